"""The best anybody can do: the exact posterior probability of each customer's kind, given the clean log.

It reads the clean tables as an analyst would, works out visits and phases anew, and sums the logs of the
very probabilities that `draw` draws from. What does not depend on the kind cancels and is left out.
The yardstick for personas: no method can recover kinds better than this does.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.special import logsumexp, ndtr

from cxlib.world import company as c
from cxlib.world import draw
from cxlib.world.draw import Array, Ints, Log
from cxlib.world.world import World

POINTS = 30  # on which activity is integrated, over 12 standard deviations of its log
TINY = 1e-300


def log_likelihood(clean: Mapping[str, pd.DataFrame], world: str = "demo", everybody: bool = False) -> Array:
    """Log-likelihood of each customer's record under each kind, up to a constant: (customers, kinds)."""
    firm = c.company(world)
    customers = clean["customers"]
    codes = pd.Index(customers["customer_id"])
    log = read(clean["touchpoints"], codes)
    total = np.zeros((len(codes), len(firm.share)))
    for column, (values, p) in firm.traits.items():
        total += np.log(p.T[_codes(pd.Index(values), customers[column])])
    old = (customers["first_seen"] < pd.Timestamp(c.START)).to_numpy()
    total += _visits(firm, log, old)
    for k in range(len(firm.share)):
        for person, probability in (
            *_journeys(firm, log, k),
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


def read(touchpoints: pd.DataFrame, customers: pd.Index) -> Log:
    """The clean table as codes, by person and time; a pause longer than any within a visit begins one."""
    t = touchpoints.sort_values(["ts", "event_id"], kind="stable")
    person = _codes(customers, t["customer_id"])
    t = t.iloc[np.argsort(person, kind="stable")]
    person = np.sort(person, kind="stable")
    at = (t["ts"].to_numpy("datetime64[us]") - c.START).astype(np.int64) // 1_000_000
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
        brand=(t["initiated_by"] == "brand").to_numpy(bool),
    )


Terms = list[tuple[Ints, Array]]


def _journeys(firm: c.Company, log: Log, k: int) -> Terms:
    """How visits begin, on which device, and every step to the next touchpoint or out."""
    starts, stage = np.flatnonzero(log.starts), draw.phase(log.clock)
    entry = firm.entry[k, stage[starts], log.touchpoint[starts]]
    device = np.maximum.reduceat(log.device, starts) if len(starts) else starts
    seen = (device >= 0) & ~draw.MOBILE_ENTRY[log.touchpoint[starts]]
    mobile = np.where(device[seen] == 0, firm.mobile[k], 1 - firm.mobile[k])
    ends = log.last
    following = np.where(ends, c.END, np.append(log.touchpoint[1:], 0)[: len(ends)])
    loss = draw.lost(draw.frictions(log.touchpoint, log.load_ms, log.outcome), log.device)
    step = loss * ends + (1 - loss) * firm.flow[k, stage, log.touchpoint, following]
    return [(log.person[starts], entry), (log.person[starts[seen]], mobile), (log.person, step)]


def _visits(firm: c.Company, log: Log, old: npt.NDArray[np.bool_]) -> Array:
    """Days between visits, the open end of the window included, activity integrated out: (customers, K).

    They depend on activity / days alone, here `pace`. Each customer has a grid in log pace around the rough
    estimate (visits + shape) / (days at risk + shape * scale); kinds differ in the prior of pace.
    """
    n, starts = len(old), np.flatnonzero(log.starts)
    person, day, clock = log.person[starts], log.at[starts] // draw.DAY, log.clock
    ends = np.flatnonzero(log.last)
    following = np.append(person[1:] == person[:-1], False)[: len(person)]
    gap = np.where(following, np.append(day[1:], 0)[: len(day)] - day, c.DAYS - day)
    usual = clock[ends] != -2  # else the parcel sets the pace, the same for all
    came, never = np.append(True, ~following[:-1])[: len(day)], np.setdiff1d(np.arange(n), person)
    first = came & old[person]
    who = np.concatenate([person[usual], person[first], never])
    days = np.concatenate([gap[usual], day[first] + 1, np.full(len(never), c.DAYS + 1)])
    open_end = np.concatenate([~following[usual], ~first[first], never >= 0])
    keep = old[who] | np.isin(who, person)  # a new customer always comes
    who, days, open_end = who[keep], days[keep], open_end[keep]

    events, risk = np.bincount(who, ~open_end, n), np.bincount(who, days - 0.5, n)
    shape, middle = c.ACTIVITY_SHAPE, float(np.exp(np.log(firm.days).mean()))
    centre = np.log((events + shape) / (risk + shape * middle))
    width = 1 / np.sqrt(events + shape)
    grid = centre[:, None] + width[:, None] * np.linspace(-6, 6, POINTS)
    value = np.zeros((n, POINTS))
    for point in range(POINTS):
        pace = np.exp(grid[who, point])
        survived = ((days - 1) * pace) ** c.VISIT_SHAPE
        ended = -np.expm1(survived - (days * pace) ** c.VISIT_SHAPE)
        chance = np.where(open_end, 0.0, np.log(np.maximum(ended, TINY))) - survived
        value[:, point] = np.bincount(who, chance, n)
    out = np.empty((n, len(firm.share)))
    for k, scale in enumerate(firm.days):
        log_activity = grid + np.log(scale)
        prior = shape * log_activity - shape * np.exp(log_activity)  # density of log activity
        out[:, k] = logsumexp(value + prior, axis=1) + np.log(width)
    return out


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
    mean = draw.satisfaction(firm, np.full(len(log.at), k), log, np.arange(len(log.at)))
    horizon = (c.DAYS + 2) * draw.DAY
    asked = (surveys["ts"].to_numpy("datetime64[us]") - c.START).astype(np.int64) // 1_000_000
    key = _codes(codes, surveys["customer_id"]) * horizon + asked
    visit = np.searchsorted(log.person[ends] * horizon + log.at[ends], key, side="right") - 1
    score = (surveys["score"] - surveys["scale_min"]).to_numpy(np.int64)
    silent = np.ones(len(ends), bool)
    silent[visit] = False
    terms: Terms = []
    for name in c.QUESTIONS:
        rows = np.flatnonzero((surveys["question"] == name).to_numpy())
        event = ends[visit[rows]]
        p = draw.answer_probabilities(mean[event] + c.ITEM_SHIFT.get(name, 0.0), name)
        chance = p[np.arange(len(rows)), score[rows]]
        if name in c.DIMENSIONS:
            terms.append((log.person[event], chance))
            continue
        first = np.isin(log.touchpoint, [c.CODE[t] for t, (_, question) in c.ASK.items() if question == name])
        no = ends[silent & first[ends]]
        answers = np.arange(len(c.CUTS[name]) + 1)
        reply = np.ones(len(answers)) if everybody else draw.reply_probability(answers, name, firm.replies[k])
        terms.append((log.person[event], chance * reply[score[rows]]))
        back = draw.answer_probabilities(mean[no], name) @ reply
        terms.append((log.person[no], 1 - ask[log.touchpoint[no]] * back))
    return terms
