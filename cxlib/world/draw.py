"""Draw all that customers do: one step emits one touchpoint for each person still in the window.

Everything is drawn from the tables of `company`, given kind, activity and the recorded past; `posterior`
reads the same tables. Times are whole seconds since the window's start.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import expit

from cxlib.world import company as c
from cxlib.world import programme, trials
from cxlib.world.company import Array, Ints
from cxlib.world.people import People
from cxlib.world.programme import DAY

_SETS = (
    c.PAGES,
    c.PRODUCT_PAGES,
    ("chat_bot",),
    c.ANSWERED,
    c.ASKED,
    ("call_sales",),
)
PAGE, PRODUCT, BOT, ANSWERED, ASKED, SALES = (np.isin(c.NAMES, s) for s in _SETS)
ONLINE, BOUGHT = np.isin(c.NAMES, c.ONLINE_PURCHASE), np.isin(c.NAMES, c.CONVERSION)
SERVICE = np.isin(c.NAMES, c.SERVICE)
TRANSACTION = np.flatnonzero([t.stage == "transaction" for t in c.TOUCHPOINTS])  # next to each other
APP = np.isin(c.CHANNEL_OF, c.CHANNELS.index("app"))
STAFFED = np.isin(c.CHANNEL_OF, [c.CHANNELS.index("store"), c.CHANNELS.index("call")])
MOBILE_ENTRY = APP | np.isin(c.CHANNEL_OF, c.CHANNELS.index("store"))  # in the store the device is the phone
LOST = np.array([[f.lost_mobile, f.lost_desktop] for f in c.FRICTIONS])
# By day of the window; a visit may run into the next year.
QUEUE_DAY = np.array(
    [programme.QUEUE_MONTH[(c.START + np.timedelta64(d, "D")).item().month - 1] for d in range(c.DAYS + 2)]
)
DWELL_B = c.LONGEST_MINUTES / np.array([t.minutes for t in c.TOUCHPOINTS]) - 1
_AVAILABLE, _OUT, _SOLVED, _FAILED, _REPEATED, _REACHED, _DUPLICATE, UNRESOLVED = range(len(c.OUTCOMES))


@dataclass(frozen=True)
class Log:
    """All events, by person and time. Arrays of shape (events,)."""

    person: Ints
    at: Ints  # seconds since the window's start
    touchpoint: Ints
    visit: Ints  # 0, 1, ... within the person
    device: Ints  # -1 where there is none (store, call)
    load_ms: Ints  # -1 where there is none
    outcome: Ints  # code of OUTCOMES, -1 where there is none
    clock: Ints  # visits since the last purchase, see `phase`
    queue: Ints  # tenths of a minute in the waiting line, -1 where there is none
    brand: npt.NDArray[np.bool_]

    @property
    def last(self) -> npt.NDArray[np.bool_]:
        """Whether the event ends its visit."""
        key = self.person * (self.visit.max(initial=0) + 1) + self.visit
        return np.append(key[1:] != key[:-1], True)[: len(key)]

    @property
    def starts(self) -> npt.NDArray[np.bool_]:
        """Whether the event begins its visit."""
        return np.append(True, self.last[:-1])[: len(self.at)]


def phase(clock: Ints) -> Ints:
    """Phase by the clock: 0, 1, 2 and more visits since the last purchase; below 0: just after one."""
    return np.where(clock < 0, 3, np.minimum(clock, 2))


def frictions(touchpoint: Ints, load_ms: Ints, outcome: Ints) -> npt.NDArray[np.bool_]:
    """Which frictions each event meets: (events, 5), in the order of FRICTIONS."""
    slow = PAGE[touchpoint] & (load_ms > c.SLOW_MS)
    bad = [outcome == code for code in (_OUT, _FAILED, _REPEATED, _DUPLICATE)]
    return np.stack([slow, *bad], axis=1)


def lost(met: npt.NDArray[np.bool_], device: Ints) -> Array:
    """Share of those who would have gone on that leave, given the frictions met."""
    return 1 - np.where(met, 1 - LOST[:, np.maximum(device, 0)].T, 1.0).prod(1)


def days_to_next(scale: Array, parcel: npt.NDArray[np.bool_], rng: np.random.Generator) -> Ints:
    """Days to the next visit, at least 1: discrete Weibull; short for all when a parcel comes."""
    parcel_shape, parcel_scale = c.PARCEL_GAP
    e = rng.standard_exponential(len(scale))
    usual = e ** (1 / c.VISIT_SHAPE) * scale
    days = np.where(parcel, e ** (1 / parcel_shape) * parcel_scale, usual)
    return 1 + np.minimum(days, 10_000).astype(np.int64)


def load_times(touchpoint: Ints, device: Ints, rng: np.random.Generator) -> Ints:
    """How long a page takes to load, in milliseconds; -1 where the touchpoint is no page."""
    page = np.flatnonzero(PAGE[touchpoint])
    median, sd = np.array(c.LOAD_MS).T[:, device[page]]
    median = median * np.where(APP[touchpoint[page]], c.APP_FASTER, 1.0)
    load = np.full(len(touchpoint), -1)
    load[page] = (median * np.exp(sd * rng.standard_normal(len(page))) / 10).astype(np.int64) * 10 + 10
    return load


def queues(touchpoint: Ints, tier: Ints, at: Ints, rng: np.random.Generator) -> Ints:
    """Tenths of a minute that a service contact waits in line, by channel, tier and season; -1 elsewhere."""
    here = np.flatnonzero(SERVICE[touchpoint])
    median = np.array([programme.QUEUE_MEDIAN.get(name, 0.0) for name in c.NAMES])[touchpoint[here]]
    median = median * np.array(programme.QUEUE_TIER)[tier[here]] * QUEUE_DAY[at[here] // DAY]
    queue = np.full(len(touchpoint), -1)
    queue[here] = (10 * median * np.exp(programme.QUEUE_SD * rng.standard_normal(len(here)))).astype(np.int64)
    return queue


def unresolved_chance(queue: Ints) -> Array:
    """Chance that a contact is left unresolved, by its queue (0 where there is none)."""
    constant, slope = programme.UNRESOLVED_ODDS
    return np.where(queue < 0, 0.0, expit(constant + slope * queue / 10))


def outcomes(
    touchpoint: Ints, before: Ints, device: Ints, since_call: Ints, unresolved: Array, u: Array
) -> Ints:
    """How a touchpoint ends, given the one before in the visit (-1: none), seconds since the last sales call
    and the chance to be left unresolved; `u`: two uniform numbers each."""
    handed_on = (before >= 0) & ASKED[before] & (before != touchpoint)
    outcome = np.full(len(touchpoint), -1)
    for where, chance, ill, well in (
        (PRODUCT, c.OUT_OF_STOCK, _OUT, _AVAILABLE),
        (BOT, np.array(c.BOT_FAILS)[device], _FAILED, _SOLVED),
        (ANSWERED, c.REPEATED * handed_on, _REPEATED, _SOLVED),
        (SALES, since_call < c.DUPLICATE_DAYS * DAY, _DUPLICATE, _REACHED),
    ):
        here = where[touchpoint]
        outcome[here] = np.where(u[0] < chance, ill, well)[here]
    outcome[u[1] < unresolved] = UNRESOLVED
    return outcome


def unboosted(u: Array, boost: Array, below: Array, mass: Array) -> Array:
    """Where a uniform number must point in a row of flows for that row to be boosted.

    `below`: the row's total before the transaction stage, `mass`: the stage's own. It is the inverse of the
    boosted distribution function, so rows need not be changed.

    >>> unboosted(np.array([0.1, 0.5, 0.9]), np.array(2.0), np.array(0.2), np.array(0.3)).round(3).tolist()
    [0.13, 0.425, 0.87]
    """
    w = u * (1 + (boost - 1) * mass)
    inside = below + (w - below) / boost
    return np.where(w < below, w, np.where(w < below + boost * mass, inside, w - (boost - 1) * mass))


def journeys(
    firm: c.Company, who: People, treated: trials.Treated, rng: np.random.Generator
) -> tuple[Log, Ints]:
    """Draw every touchpoint of the window, and when each customer left for good (or trials.NEVER)."""
    n, tier, breaks = len(who.kind), who.traits["loyalty_tier"], firm.breaks
    spells = trials.spells(firm, who.kind, who.traits, treated)
    flow = firm.flow.cumsum(-1)[..., :-1].reshape(-1, c.END)
    below, mass = flow[:, TRANSACTION[0] - 1], flow[:, TRANSACTION[-1]] - flow[:, TRANSACTION[0] - 1]
    entry = firm.entry.cumsum(-1)[..., :-1].reshape(-1, c.END - 1)
    hours = firm.hours.cumsum(-1)[:, :-1]
    by_brand = np.array([t.by_brand for t in c.TOUCHPOINTS])

    def begin(kind: Ints, clock: Ints, usual: Ints) -> tuple[Ints, Ints, Ints]:
        """Entry touchpoint, second of the day and device of new visits; `usual`: how the last one began."""
        u = rng.random((4, len(kind)))
        stage = phase(clock)
        first = (u[0][:, None] >= entry[kind * 4 + stage]).sum(1)
        if breaks.habit:
            first = np.where(
                (rng.random(len(kind)) < breaks.habit) & (usual >= 0) & (stage < 3), usual, first
            )
        hour = (u[1][:, None] >= hours[STAFFED[first].astype(int)]).sum(1) + c.HOURS[0]
        second = ((hour + u[2]) * 3600).astype(np.int64)
        return first, second, ((u[3] >= firm.mobile[kind]) & ~MOBILE_ENTRY[first]).astype(np.int64)

    # State of those still in the window; `who_is` is their row in `who`.
    scale, leaves, gone = (
        firm.days[who.kind] / who.activity,
        leave_chance(firm, who),
        np.full(n, trials.NEVER),
    )
    day = np.where(who.joined >= 0, who.joined, days_to_next(scale, np.zeros(n, bool), rng) - 1)
    who_is = np.flatnonzero(day < c.DAYS)
    m = len(who_is)
    day, kind, scale, leaves = _kept(who_is, day, who.kind, scale, leaves)
    clock, visit, called, before = np.repeat([[0], [0], [-(10**9)], [-1]], m, axis=1)
    at_touchpoint, at, device = begin(kind, clock, before)
    usual, leaving = at_touchpoint, rng.random(m) < early(breaks, leaves, visit)
    hurt = np.zeros(m, bool)  # whether the visit held an unresolved contact
    at += day * DAY
    out: list[tuple[Any, ...]] = []
    while len(who_is):
        u = rng.random((6, len(who_is)))
        load = load_times(at_touchpoint, device, rng)
        queue = queues(at_touchpoint, tier[who_is], at, rng)
        unresolved = unresolved_chance(queue)
        unresolved = unresolved + breaks.leaving_fails * leaving * (unresolved > 0)
        outcome = outcomes(at_touchpoint, before, device, at - called, unresolved, u[:2])
        hurt = hurt | (outcome == UNRESOLVED)
        called = np.where(SALES[at_touchpoint], at, called)
        clock = np.where(BOUGHT[at_touchpoint], np.where(ONLINE[at_touchpoint], -2, -1), clock)
        shown = np.where(STAFFED[at_touchpoint], -1, device)
        brand = u[2] < by_brand[at_touchpoint]
        out.append((who_is, at, at_touchpoint, visit, shown, load, outcome, clock, queue, brand))
        # Where next: a friction loses its share first, then the boosted flow decides.
        loss = lost(frictions(at_touchpoint, load, outcome), shown)
        row = (kind * 4 + phase(clock)) * c.END + at_touchpoint
        stays = unboosted((u[3] - loss) / (1 - loss), trials.boost(spells, who_is, at), below[row], mass[row])
        following = (stays[:, None] >= flow[row]).sum(1)
        following[u[3] < loss] = c.END
        # Those whose visit ends come back after some days, or not within the window, or never.
        ends = following == c.END
        parts = ends & (leaving | (hurt & (u[5] < programme.UNRESOLVED_LEAVES)))
        gone[who_is[parts]] = at[parts] + 1
        dwell = 1 + (60 * c.LONGEST_MINUTES * (1 - u[4] ** (1 / DWELL_B[at_touchpoint]))).astype(np.int64)
        at = at + dwell
        left = np.flatnonzero(ends)
        pace = np.exp(breaks.bursts * rng.standard_normal(len(left))) if breaks.bursts else 1.0
        day[left] += days_to_next(scale[left] * pace, clock[left] == -2, rng)
        before, clock, visit = np.where(ends, -1, at_touchpoint), clock + ends, visit + ends
        following[left], second, device[left] = begin(kind[left], clock[left], usual[left])
        usual = np.where(ends & (clock >= 0), following, usual)
        leaving[left] = rng.random(len(left)) < early(breaks, leaves[left], visit[left])
        hurt = hurt & ~ends
        at[left] = day[left] * DAY + second
        at_touchpoint = following
        keep = (day < c.DAYS) & ~parts
        if not keep.all():
            who_is, at_touchpoint, at, device, day = _kept(keep, who_is, at_touchpoint, at, device, day)
            kind, scale, clock, visit, called, before = _kept(keep, kind, scale, clock, visit, called, before)
            leaves, leaving, hurt, usual = _kept(keep, leaves, leaving, hurt, usual)
    return _in_order(out, n), gone


def leave_chance(firm: c.Company, who: People) -> Array:
    """Chance that a customer leaves for good after a visit in which all went well: (customers,)."""
    return firm.leaves[who.kind] * np.where(who.referred, programme.REFERRED_LEAVES, 1.0)


def early(breaks: programme.Breaks, leaves: Array, visit: Ints) -> Array:
    """The chance at a customer's visit of that number: the same at all, where nothing is broken."""
    more = 1 + breaks.leave_early
    return leaves * np.where(visit < programme.EARLY_VISITS, more, 1 / more)


def _kept(keep: Any, *arrays: Any) -> list[Any]:
    return [array[keep] for array in arrays]


def _in_order(out: list[tuple[Any, ...]], n: int) -> Log:
    """Steps to one log by person and time; each person emits at every step until the last: no sort."""
    events = np.zeros(n, np.int64)
    for step, values in enumerate(out):
        events[values[0]] = step + 1
    first = events.cumsum() - events
    columns: list[Any] = [np.empty(int(events.sum()), dtype) for dtype in [np.int64] * 9 + [np.bool_]]
    for step, values in enumerate(out):
        place = first[values[0]] + step
        for column, value in zip(columns, values, strict=True):
            column[place] = value
    return Log(*columns)


def woven(log: Log, person: Ints, at: Ints, touchpoint: Ints) -> tuple[Log, Ints]:
    """The log with contacts that come by themselves, each a visit of its own; and the new row of each old one."""
    old, new = len(log.at), len(at)
    none = np.full(new, -1)
    device = np.where(APP[touchpoint], 0, none)
    brand = np.array([t.by_brand for t in c.TOUCHPOINTS])[touchpoint] > 0
    alone = log.visit.max(initial=0) + 1 + np.arange(new)
    added = Log(person, at, touchpoint, alone, device, none, none, none * 0, none, brand)
    both = [np.concatenate([getattr(log, f.name), getattr(added, f.name)]) for f in fields(Log)]
    order = np.lexsort((both[1], both[0]))
    whole = Log(*(column[order] for column in both))
    row = np.arange(old + new)
    begins = row[np.append(True, whole.person[1:] != whole.person[:-1])[: old + new]]
    run = whole.starts.cumsum()
    visit = run - np.repeat(run[begins], np.diff(begins, append=old + new))
    place = np.empty(old + new, np.int64)
    place[order] = row
    return replace(whole, visit=visit), place[:old]


@dataclass(frozen=True)
class Orders:
    """All orders, by person and time."""

    event: Ints  # row of the log
    instinctive: npt.NDArray[np.bool_]
    revenue: Ints  # cents
    margin: Ints


def before_purchase(log: Log) -> Ints:
    """The clock just before each event that is a purchase (for other events without meaning)."""
    earlier = np.append(-3, log.clock[:-1])
    same = np.append(False, (log.person[1:] == log.person[:-1]) & (log.visit[1:] == log.visit[:-1]))
    new_person = np.append(True, log.person[1:] != log.person[:-1])[: len(earlier)]
    return np.where(new_person, 0, np.where(same, earlier, earlier + 1))[: len(log.clock)]


def orders(firm: c.Company, who: People, log: Log, rng: np.random.Generator) -> Orders:
    """Draw what each purchase was: instinctive or considered, its value and margin."""
    event = np.flatnonzero(BOUGHT[log.touchpoint])
    kind = who.kind[log.person[event]]
    instinctive = rng.random(len(event)) < firm.instinctive[kind, phase(before_purchase(log)[event])]
    mean = firm.basket[kind, (~instinctive).astype(int)]
    revenue = (
        np.maximum(np.exp(mean + c.BASKET_SD * rng.standard_normal(len(event))) / 10, 1).astype(np.int64) * 10
    )
    rate = np.array([c.MARGIN.get(name, 0.0) for name in c.CHANNELS])[c.CHANNEL_OF[log.touchpoint[event]]]
    rate = rate - np.array(programme.TIER_COST)[who.traits["loyalty_tier"][log.person[event]]]
    margin = np.rint(revenue * (rate + 0.04 * rng.standard_normal(len(event)))).astype(np.int64)
    return Orders(event, instinctive, revenue, margin)
