"""The best anybody can do: the exact posterior probability of each customer's kind, given the clean log.

It reads the clean tables as an analyst would, works out visits and phases anew, and sums the logs of the
very probabilities that `draw` draws from. What does not depend on the kind cancels and is left out (e-mails,
the waiting line, coins). Whoever is silent at the end has left for good or will come back: both are weighed,
and what depends on activity (visits, tier, the card, lost rows) is integrated over it together.
The yardstick for personas: no method can recover kinds better than this does.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pandas as pd
from scipy.special import logsumexp, ndtr

from cxlib.errors import CxValueError
from cxlib.world import company as c
from cxlib.world import draw, feedback, programme, trials
from cxlib.world.company import Array, Ints
from cxlib.world.draw import Log
from cxlib.world.people import People
from cxlib.world.programme import DAY
from cxlib.world.world import World

POINTS = 40  # on which activity is integrated, over 12 standard deviations of its log and more
TINY = 1e-300


def log_likelihood(clean: Mapping[str, pd.DataFrame], world: str = "demo", everybody: bool = False) -> Array:
    """Log-likelihood of each customer's record under each kind, up to a constant: (customers, kinds)."""
    firm = c.company(world)
    if firm.breaks != programme.Breaks():
        raise CxValueError(
            f"The world `{world}` has no exact posterior: visits there depend on hidden moods."
        )
    codes = pd.Index(clean["customers"]["customer_id"])
    log = read(clean["touchpoints"], codes)
    who, treated = _people(firm, clean["customers"]), _treated(clean, codes)
    total = np.zeros((len(codes), len(firm.share)))
    for column, (_, p) in firm.traits.items():
        if column != "loyalty_tier":
            total += np.log(p.T[who.traits[column]])
    total += np.log(firm.areas.T[who.area % programme.AREAS_PER_REGION])
    said = _codes(pd.Index(c.MOTIVES), clean["customers"]["motive"])
    total += np.append(np.log(firm.motives.T), np.zeros((1, len(firm.share))), axis=0)[said]
    total += _visits(firm, log, who, treated)
    for k in range(len(firm.share)):
        kind = np.full(len(codes), k)
        boost = trials.boost(trials.spells(firm, kind, who.traits, treated), log.person, log.at)
        for person, probability in (
            *_journeys(firm, log, k, boost),
            *_orders(firm, log, clean["orders"], codes, k),
            *_surveys(firm, log, clean["surveys"], codes, k, everybody),
        ):
            total[:, k] += np.bincount(person, np.log(np.maximum(probability, TINY)), len(codes))
    return total


def posterior(world: World) -> pd.DataFrame:
    """Posterior probability of each kind from `world.clean`: customer_id, then a column a kind.

    >>> from cxlib.world import simulate
    >>> posterior(simulate(100, seed=4)).shape
    (100, 6)
    """
    firm = c.company(world.name)
    joint = log_likelihood(world.clean, world.name, world.respond == "all") + np.log(firm.share)
    p = np.exp(joint - logsumexp(joint, axis=1, keepdims=True))
    frame = pd.DataFrame(p, columns=[k.name for k in firm.kinds])
    frame.insert(0, "customer_id", world.clean["customers"]["customer_id"].to_numpy())
    return frame


def _codes(names: pd.Index, column: pd.Series) -> Ints:
    return names.get_indexer(pd.Index(column))


def _people(firm: c.Company, customers: pd.DataFrame) -> People:
    """What the table tells of each customer; kind and activity are left at 0 and 1."""
    joined = (customers["first_seen"].to_numpy("datetime64[us]") - c.START) // np.timedelta64(1, "D")
    return People(
        kind=np.zeros(len(customers), np.int64),
        activity=np.ones(len(customers)),
        joined=joined.astype(np.int64),
        traits={name: _codes(pd.Index(values), customers[name]) for name, (values, _) in firm.traits.items()},
        area=_codes(pd.Index(c.AREAS), customers["area"]),
        referred=customers["referred_by"].notna().to_numpy(bool),
        consent=customers["consent"].to_numpy(bool),
    )


def _treated(clean: Mapping[str, pd.DataFrame], codes: pd.Index) -> trials.Treated:
    """The first variant met in each experiment, and when the card was linked and e-mails were refused."""
    variant = {}
    for e in programme.EXPERIMENTS:
        rows = clean["exposures"].query("experiment == @e.name").sort_values("ts")
        rows = rows.drop_duplicates("customer_id")
        variant[e.name] = np.full(len(codes), -1)
        variant[e.name][_codes(codes, rows["customer_id"])] = _codes(pd.Index(e.variants), rows["variant"])
    when = {}
    for name in ("app_link_card", "email_unsubscribe"):
        rows = clean["touchpoints"].query("touchpoint == @name")
        when[name] = np.full(len(codes), trials.NEVER)
        when[name][_codes(codes, rows["customer_id"])] = _seconds(rows["ts"])
    none = np.zeros(0, np.int64)
    return trials.Treated(variant, when["app_link_card"], none, when["email_unsubscribe"], none, none)


def _seconds(ts: pd.Series) -> Ints:
    return (ts.to_numpy("datetime64[us]") - c.START).astype(np.int64) // 1_000_000


def read(touchpoints: pd.DataFrame, customers: pd.Index) -> Log:
    """The visits of the clean table as codes, by person and time; a pause longer than any within begins one."""
    touchpoints = touchpoints[~touchpoints["touchpoint"].isin(c.ALONE)]
    t = touchpoints.sort_values(["ts", "event_id"], kind="stable")
    person = _codes(customers, t["customer_id"])
    t = t.iloc[np.argsort(person, kind="stable")]
    person = np.sort(person, kind="stable")
    at = _seconds(t["ts"])
    same = np.append(False, person[1:] == person[:-1])[: len(person)]
    starts = ~same | (np.diff(at, prepend=0) > 60 * c.LONGEST_MINUTES)
    number = starts.cumsum()
    persons = np.maximum.accumulate(np.where(~same, number, 0))
    visit = number - persons
    touchpoint = _codes(pd.Index(c.NAMES), t["touchpoint"])
    # The clock: visits since the last purchase, as `draw` counts them.
    bought, here = draw.BOUGHT[touchpoint], np.arange(len(t))
    last = np.maximum.accumulate(np.where(bought, here, np.where(same, -1, -1 - here)))
    last = np.where(last >= np.maximum.accumulate(np.where(~same, here, 0)), last, -1)
    since = np.where(draw.ONLINE[touchpoint[last]], -2, -1) + visit - visit[last]
    return Log(
        person=person,
        at=at,
        touchpoint=touchpoint,
        visit=visit,
        device=_codes(pd.Index(c.DEVICES), t["device"]),
        load_ms=t["load_ms"].fillna(-1).to_numpy(np.int64),
        outcome=_codes(pd.Index(c.OUTCOMES), t["outcome"]),
        clock=np.where(last >= 0, since, visit),
        queue=np.rint(10 * t["queue_min"].fillna(-0.1)).to_numpy(np.int64),
        brand=(t["initiated_by"] == "brand").to_numpy(bool),
    )


Terms = list[tuple[Ints, Array]]


def _journeys(firm: c.Company, log: Log, k: int, boost: Array) -> Terms:
    """How visits begin, on which device, and every step to the next touchpoint or out."""
    starts, stage = np.flatnonzero(log.starts), draw.phase(log.clock)
    entry = firm.entry[k, stage[starts], log.touchpoint[starts]]
    device = np.maximum.reduceat(log.device, starts) if len(starts) else starts
    seen = (device >= 0) & ~draw.MOBILE_ENTRY[log.touchpoint[starts]]
    mobile = np.where(device[seen] == 0, firm.mobile[k], 1 - firm.mobile[k])
    ends = log.last
    following = np.where(ends, c.END, np.append(log.touchpoint[1:], 0)[: len(ends)])
    loss = draw.lost(draw.frictions(log.touchpoint, log.load_ms, log.outcome), log.device)
    mass = firm.flow[k][:, :, draw.TRANSACTION].sum(-1)[stage, log.touchpoint]
    flow = firm.flow[k, stage, log.touchpoint, following] / (1 + (boost - 1) * mass)
    flow = flow * np.where(np.isin(following, draw.TRANSACTION), boost, 1.0)
    step = loss * ends + (1 - loss) * flow
    return [(log.person[starts], entry), (log.person[starts[seen]], mobile), (log.person, step)]


def _visits(firm: c.Company, log: Log, who: People, treated: trials.Treated) -> Array:
    """Days between visits, silence at the end, and all else that depends on activity, which is integrated
    out: (customers, K). Days depend on activity / days alone, here `pace`."""
    n, old, starts, ends = len(who.kind), who.joined < 0, np.flatnonzero(log.starts), np.flatnonzero(log.last)
    person, day = log.person[starts], log.at[starts] // DAY
    goes_on = np.append(person[1:] == person[:-1], False)[: len(person)]
    came = np.append(True, ~goes_on[:-1])[: len(day)]
    usual = log.clock[ends] != -2  # else the parcel sets the pace, the same for all
    gap, first = np.append(day[1:], 0)[: len(day)] - day, came & old[person]
    rows = np.concatenate([person[goes_on & usual], person[first]])
    days = np.concatenate([gap[goes_on & usual], day[first] + 1])
    # The silence at the end: of those who came, after their last visit; of old customers who never came, all.
    visits, final = np.bincount(person, minlength=n), np.flatnonzero(~goes_on)
    silent, parcel, hurt, until = np.full(n, c.DAYS + 1), np.zeros(n, bool), np.zeros(n, bool), np.full(n, -1)
    silent[person[final]], parcel[person[final]] = c.DAYS - day[final], ~usual[final]
    until[person[final]] = log.at[ends[final]]
    bad = np.append(0, (log.outcome == draw.UNRESOLVED).cumsum())
    hurt[person[final]] = bad[ends[final] + 1] > bad[starts[final]]  # whether the last visit went wrong
    grid, value = _days(firm, rows, days, np.where(parcel, 0, silent))
    pace = np.exp(grid)
    shape, scale = c.PARCEL_GAP
    away = np.exp(-(((silent - 1)[:, None] * pace) ** c.VISIT_SHAPE))
    away[parcel] = np.exp(-(((silent[parcel] - 1) / scale) ** shape))[:, None]

    out = np.empty((n, len(firm.share)))
    for k in range(len(firm.share)):
        activity = pace * firm.days[k]
        leaves = draw.leave_chance(firm, replace(who, kind=np.full(n, k)))
        stayed = np.maximum(visits - 1, 0) * np.log1p(-leaves)
        at_last = 1 - (1 - leaves) * (1 - programme.UNRESOLVED_LEAVES * hurt)
        at_last = np.where(visits > 0, at_last, 0)[:, None]
        here, gone = _card(who, treated, activity, until)
        chance = (1 - at_last) * away * here + at_last * gone
        chance = chance * _tier(firm, who, activity, k) * _row_kept(who, treated, activity)
        prior = c.ACTIVITY_SHAPE * (np.log(activity) - activity)  # density of log activity
        whole = logsumexp(value + prior + np.log(np.maximum(chance, TINY)), axis=1)
        out[:, k] = whole + np.log(grid[:, -1] - grid[:, 0]) + stayed
    return out


def _days(firm: c.Company, rows: Ints, days: Ints, silent: Ints) -> tuple[Array, Array]:
    """Each customer's grid in log pace, and the log-likelihood there of all days between visits.

    The grid lies around the rough estimate (visits + shape) / (days at risk + shape * scale), with and
    without the silence at the end: nobody knows whether those who were silent are still customers.
    """
    n, shape = len(silent), c.ACTIVITY_SHAPE
    events = np.bincount(rows, minlength=n) + shape
    risk = np.bincount(rows, days - 0.5, n) + shape * float(np.exp(np.log(firm.days).mean()))
    width = 6 / np.sqrt(events)
    low, high = np.log(events / (risk + silent)) - width, np.log(events / risk) + width
    grid = low[:, None] + (high - low)[:, None] * np.linspace(0, 1, POINTS)
    value = np.zeros((n, POINTS))
    for point in range(POINTS):
        pace = np.exp(grid[rows, point])
        survived = ((days - 1) * pace) ** c.VISIT_SHAPE
        ended = -np.expm1(survived - (days * pace) ** c.VISIT_SHAPE)
        value[:, point] = np.bincount(rows, np.log(np.maximum(ended, TINY)) - survived, n)
    return grid, value


def _tier(firm: c.Company, who: People, activity: Array, k: int) -> Array:
    """Chance of the tier each customer is in: (customers, points)."""
    weights = firm.traits["loyalty_tier"][1][k] * activity[..., None] ** np.array(programme.TIER_ODDS)
    tier = who.traits["loyalty_tier"][:, None, None]
    return (np.take_along_axis(weights, tier, 2) / weights.sum(2, keepdims=True))[..., 0]


def _row_kept(who: People, treated: trials.Treated, activity: Array) -> Array:
    """Chance that the row of the broken assignment is there, or not: (customers, points)."""
    e, lost = programme.EXPERIMENT[programme.LOSES_ROWS], trials.lost_row_chance(activity)
    variant = treated.variant[e.name][:, None]
    return np.where(
        (who.joined >= e.start)[:, None] | (variant == 0), 1.0, np.where(variant == 1, 1 - lost, lost)
    )


def _card(who: People, treated: trials.Treated, activity: Array, until: Ints) -> tuple[Array, Array]:
    """Chance of what is seen of the linked card, for who is still a customer and for who left after the last
    visit: (customers, points) each. Who has left links nothing any more."""
    offer, linked = trials.OFFER_DAY[who.traits["region"]], treated.linked
    takes = trials.takes_offer(activity)
    took, offered = linked < trials.NUDGE.start * DAY, who.joined < offer
    before = trials.over_by(offer, programme.LINK_DAYS, until)  # chance that the moment came before they left
    here = np.where(took[:, None], takes, np.where(offered[:, None], 1 - takes, 1.0))
    gone = np.where(took[:, None], takes, np.where(offered[:, None], 1 - takes * before[:, None], 1.0))
    nudged = (treated.variant[trials.NUDGE.name] == 1) & (linked == trials.NEVER)
    links = programme.NUDGE_LINKS * nudged
    before = trials.over_by(np.full(len(linked), trials.NUDGE.start), programme.NUDGE_DAYS, until)
    sure = (linked < trials.NEVER) & (linked > until)  # seen after the last visit
    return here * (1 - links)[:, None], gone * ((1 - links * before) * ~sure)[:, None]


def _orders(firm: c.Company, log: Log, orders: pd.DataFrame, codes: pd.Index, k: int) -> Terms:
    """What each purchase was and what it cost."""
    o = orders.assign(person=_codes(codes, orders["customer_id"]))
    o = o.sort_values(["person", "ts"], kind="stable")
    event = np.flatnonzero(draw.BOUGHT[log.touchpoint])
    stage = draw.phase(draw.before_purchase(log)[event])
    instinctive = (o["purchase"] == "instinctive").to_numpy()
    type_ = np.where(instinctive, firm.instinctive[k, stage], 1 - firm.instinctive[k, stage])
    mean, revenue = firm.basket[k, (~instinctive).astype(int)], o["revenue"].to_numpy(float)
    low = np.where(revenue > 10, np.log(revenue), -np.inf)
    value = ndtr((np.log(revenue + 10) - mean) / c.BASKET_SD) - ndtr((low - mean) / c.BASKET_SD)
    return [(log.person[event], type_), (log.person[event], value)]


def _surveys(
    firm: c.Company, log: Log, surveys: pd.DataFrame, codes: pd.Index, k: int, everybody: bool
) -> Terms:
    """The answers given, and the visits after which none came."""
    ask = np.array([c.ASK.get(name, (0.0, ""))[0] for name in c.NAMES])
    ends = np.flatnonzero(log.last)
    ends = ends[ask[log.touchpoint[ends]] > 0]
    mean = feedback.satisfaction(firm, np.full(len(log.at), k), log, np.arange(len(log.at)))
    horizon = (c.DAYS + 2) * DAY
    asked = _seconds(surveys["ts"])
    key = _codes(codes, surveys["customer_id"]) * horizon + asked
    visit = np.searchsorted(log.person[ends] * horizon + log.at[ends], key, side="right") - 1
    score = (surveys["score"] - surveys["scale_min"]).to_numpy(np.int64)
    silent = np.ones(len(ends), bool)
    silent[visit] = False
    terms: Terms = []
    for name in c.QUESTIONS:
        rows = np.flatnonzero((surveys["question"] == name).to_numpy())
        event = ends[visit[rows]]
        p = feedback.answer_probabilities(mean[event] + c.ITEM_SHIFT.get(name, 0.0), name)
        chance = p[np.arange(len(rows)), score[rows]]
        if name in c.DIMENSIONS:
            terms.append((log.person[event], chance))
            continue
        first = np.isin(log.touchpoint, [c.CODE[t] for t, (_, question) in c.ASK.items() if question == name])
        no = ends[silent & first[ends]]
        answers = np.arange(len(c.CUTS[name]) + 1)
        reply = (
            np.ones(len(answers)) if everybody else feedback.reply_probability(answers, name, firm.replies[k])
        )
        terms.append((log.person[event], chance * reply[score[rows]]))
        back = feedback.answer_probabilities(mean[no], name) @ reply
        terms.append((log.person[no], 1 - ask[log.touchpoint[no]] * back))
    return terms
