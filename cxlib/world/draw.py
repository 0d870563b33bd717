"""Draw customers and all they do: one step emits one touchpoint for each person still in the window.

Everything is drawn from the tables of `company`, given kind, activity and the recorded past; `posterior`
reads the same tables. Times are whole seconds since the window's start.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import expit, ndtr

from cxlib.world import company as c
from cxlib.world.company import Array

Ints = npt.NDArray[np.int64]
DAY = 86_400

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
APP = np.isin(c.CHANNEL_OF, c.CHANNELS.index("app"))
STAFFED = np.isin(c.CHANNEL_OF, [c.CHANNELS.index("store"), c.CHANNELS.index("call")])
MOBILE_ENTRY = APP | np.isin(c.CHANNEL_OF, c.CHANNELS.index("store"))  # in the store the device is the phone
LOST = np.array([[f.lost_mobile, f.lost_desktop] for f in c.FRICTIONS])
DWELL_B = c.LONGEST_MINUTES / np.array([t.minutes for t in c.TOUCHPOINTS]) - 1
ACTIVITY_SCALE = 1 / c.ACTIVITY_SHAPE
_AVAILABLE, _OUT, _SOLVED, _FAILED, _REPEATED, _REACHED, _DUPLICATE = range(len(c.OUTCOMES))


@dataclass(frozen=True)
class People:
    """Who the customers are. Arrays of shape (customers,)."""

    kind: Ints
    activity: Array
    joined: Ints  # day of the first contact; negative: before the window
    traits: dict[str, Ints]  # codes of region, age_band, loyalty_tier, language


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


def pick(rng: np.random.Generator, rows: Array) -> Ints:
    """One column a row, with the probabilities in `rows` (n, m)."""
    return (rng.random(len(rows))[:, None] >= rows.cumsum(1)[:, :-1]).sum(1)


def frictions(touchpoint: Ints, load_ms: Ints, outcome: Ints) -> npt.NDArray[np.bool_]:
    """Which frictions each event meets: (events, 5), in the order of FRICTIONS."""
    slow = PAGE[touchpoint] & (load_ms > c.SLOW_MS)
    bad = [outcome == code for code in (_OUT, _FAILED, _REPEATED, _DUPLICATE)]
    return np.stack([slow, *bad], axis=1)


def lost(met: npt.NDArray[np.bool_], device: Ints) -> Array:
    """Share of those who would have gone on that leave, given the frictions met."""
    return 1 - np.where(met, 1 - LOST[:, np.maximum(device, 0)].T, 1.0).prod(1)


def people(firm: c.Company, n: int, rng: np.random.Generator) -> People:
    """Draw n customers."""
    kind = rng.choice(len(firm.share), n, p=firm.share)
    activity = rng.gamma(c.ACTIVITY_SHAPE, ACTIVITY_SCALE, n)
    old = rng.random(n) < c.OLD_CUSTOMERS
    joined = np.where(old, -1 - rng.integers(0, 1200, n), rng.integers(0, c.FIRST_SEEN_DAYS, n))
    traits = {column: pick(rng, p[kind]) for column, (_, p) in firm.traits.items()}
    return People(kind, activity, joined, traits)


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


def outcomes(touchpoint: Ints, before: Ints, device: Ints, since_call: Ints, u: Array) -> Ints:
    """How a touchpoint ends, given the one before in the visit (-1: none) and seconds since the last sales call."""
    handed_on = (before >= 0) & ASKED[before] & (before != touchpoint)
    outcome = np.full(len(touchpoint), -1)
    for where, chance, ill, well in (
        (PRODUCT, c.OUT_OF_STOCK, _OUT, _AVAILABLE),
        (BOT, np.array(c.BOT_FAILS)[device], _FAILED, _SOLVED),
        (ANSWERED, c.REPEATED * handed_on, _REPEATED, _SOLVED),
        (SALES, since_call < c.DUPLICATE_DAYS * DAY, _DUPLICATE, _REACHED),
    ):
        here = where[touchpoint]
        outcome[here] = np.where(u < chance, ill, well)[here]
    return outcome


def journeys(firm: c.Company, who: People, rng: np.random.Generator) -> Log:
    """Draw every touchpoint of the window."""
    flow = firm.flow.cumsum(-1)[..., :-1].reshape(-1, c.END)
    entry = firm.entry.cumsum(-1)[..., :-1].reshape(-1, c.END - 1)
    hours = firm.hours.cumsum(-1)[:, :-1]
    by_brand = np.array([t.by_brand for t in c.TOUCHPOINTS])
    n = len(who.kind)

    def begin(kind: Ints, clock: Ints) -> tuple[Ints, Ints, Ints]:
        """Entry touchpoint, second of the day and device of new visits."""
        u = rng.random((4, len(kind)))
        first = (u[0][:, None] >= entry[kind * 4 + phase(clock)]).sum(1)
        hour = (u[1][:, None] >= hours[STAFFED[first].astype(int)]).sum(1) + c.HOURS[0]
        second = ((hour + u[2]) * 3600).astype(np.int64)
        return first, second, ((u[3] >= firm.mobile[kind]) & ~MOBILE_ENTRY[first]).astype(np.int64)

    # State of those still in the window; `who_is` is their row in `who`.
    scale = firm.days[who.kind] / who.activity
    day = np.where(who.joined >= 0, who.joined, days_to_next(scale, np.zeros(n, bool), rng) - 1)
    who_is = np.flatnonzero(day < c.DAYS)
    day, kind, scale = day[who_is], who.kind[who_is], scale[who_is]
    clock, visit = np.zeros(len(who_is), np.int64), np.zeros(len(who_is), np.int64)
    called, before = np.full(len(who_is), -(10**9)), np.full(len(who_is), -1)
    at_touchpoint, at, device = begin(kind, clock)
    at += day * DAY
    out: list[tuple[Any, ...]] = []
    while len(who_is):
        m = len(who_is)
        u = rng.random((4, m))
        load = load_times(at_touchpoint, device, rng)
        outcome = outcomes(at_touchpoint, before, device, at - called, u[0])
        called = np.where(SALES[at_touchpoint], at, called)
        clock = np.where(BOUGHT[at_touchpoint], np.where(ONLINE[at_touchpoint], -2, -1), clock)
        shown = np.where(STAFFED[at_touchpoint], -1, device)
        brand = u[1] < by_brand[at_touchpoint]
        out.append((who_is, at, at_touchpoint, visit, shown, load, outcome, clock, brand))
        # Where next: a friction loses its share first, then the flow decides.
        loss = lost(frictions(at_touchpoint, load, outcome), shown)
        stays = (u[2] - loss) / (1 - loss)
        row = (kind * 4 + phase(clock)) * c.END + at_touchpoint
        following = (stays[:, None] >= flow[row]).sum(1)
        following[u[2] < loss] = c.END
        dwell = 1 + (60 * c.LONGEST_MINUTES * (1 - u[3] ** (1 / DWELL_B[at_touchpoint]))).astype(np.int64)
        at = at + dwell
        # Those who left come back after some days, or not within the window.
        ends = following == c.END
        left = np.flatnonzero(ends)
        day[left] += days_to_next(scale[left], clock[left] == -2, rng)
        before, clock, visit = np.where(ends, -1, at_touchpoint), clock + ends, visit + ends
        following[left], second, device[left] = begin(kind[left], clock[left])
        at[left] = day[left] * DAY + second
        at_touchpoint = following
        keep = day < c.DAYS
        if not keep.all():
            who_is, at_touchpoint, at, device, day = _kept(keep, who_is, at_touchpoint, at, device, day)
            kind, scale, clock, visit, called, before = _kept(keep, kind, scale, clock, visit, called, before)
    return _in_order(out, n)


def _kept(keep: npt.NDArray[np.bool_], *arrays: Any) -> list[Any]:
    return [array[keep] for array in arrays]


def _in_order(out: list[tuple[Any, ...]], n: int) -> Log:
    """Steps to one log by person and time; each person emits at every step until the last: no sort."""
    events = np.zeros(n, np.int64)
    for step, values in enumerate(out):
        events[values[0]] = step + 1
    first = events.cumsum() - events
    columns: list[Any] = [np.empty(int(events.sum()), dtype) for dtype in [np.int64] * 8 + [np.bool_]]
    for step, values in enumerate(out):
        place = first[values[0]] + step
        for column, value in zip(columns, values, strict=True):
            column[place] = value
    return Log(*columns)


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
    margin = np.rint(revenue * (rate + 0.04 * rng.standard_normal(len(event)))).astype(np.int64)
    return Orders(event, instinctive, revenue, margin)


def answer_probabilities(mean: Array, question: str) -> Array:
    """Probability of each answer, lowest first: (n, answers), for satisfaction `mean` (n,)."""
    cuts = ndtr(np.array(c.CUTS[question]) - np.asarray(mean)[:, None])
    return np.diff(cuts, axis=1, prepend=0.0, append=1.0)


def reply_probability(answer: Ints | Array, question: str, shift: Array) -> Array:
    """Chance that somebody asked sends the questionnaire back, by the first answer (0 = worst)."""
    place = np.asarray(answer) / len(c.CUTS[question])
    constant, linear, quadratic = c.ANSWER_ODDS
    return expit(constant + linear * place + quadratic * place**2 + shift)


def visit_mood(log: Log) -> Array:
    """Shift of satisfaction at each event by the frictions met so far in its visit."""
    met = frictions(log.touchpoint, log.load_ms, log.outcome)
    total = np.append(0.0, (met @ np.array([f.mood for f in c.FRICTIONS])).cumsum())
    first = np.maximum.accumulate(np.where(log.starts, np.arange(len(log.at)), 0))
    return np.maximum(total[1:] - total[first], -2.0)


@dataclass(frozen=True)
class Answers:
    """One row a question answered; the rows of one questionnaire share `event`."""

    event: Ints  # row of the log: the last touchpoint of the visit
    question: Ints  # code of QUESTIONS
    answer: Ints  # 0 = worst
    comment: npt.NDArray[np.bool_]  # whether the row carries a comment


def satisfaction(firm: c.Company, kind: Ints, log: Log, event: Ints) -> Array:
    """Mean of the satisfaction behind an answer: kind, touchpoint and the visit's frictions."""
    at_touchpoint = np.array([t.mood for t in c.TOUCHPOINTS])[log.touchpoint[event]]
    return firm.mood[kind] + at_touchpoint + visit_mood(log)[event]


def surveys(firm: c.Company, who: People, log: Log, everybody: bool, rng: np.random.Generator) -> Answers:
    """Draw who is asked, what they would answer, and who replies (`everybody`: all)."""
    ask = np.array([c.ASK.get(name, (0.0, ""))[0] for name in c.NAMES])
    first_question = np.array([c.QUESTIONS.index(c.ASK.get(name, (0, "nps"))[1]) for name in c.NAMES])
    ends = np.flatnonzero(log.last) if len(log.at) else np.zeros(0, np.int64)
    event = ends[rng.random(len(ends)) < ask[log.touchpoint[ends]]]
    kind = who.kind[log.person[event]]
    mean = satisfaction(firm, kind, log, event)
    question = first_question[log.touchpoint[event]]
    answer, reply = np.zeros(len(event), np.int64), np.ones(len(event))
    for code, name in enumerate(c.QUESTIONS[:3]):
        q = question == code
        answer[q] = pick(rng, answer_probabilities(mean[q], name))
        reply[q] = reply_probability(answer[q], name, firm.replies[kind[q]])
    back = rng.random(len(event)) < (1.0 if everybody else reply)
    comment = rng.random(len(event)) < c.COMMENTS
    items = rng.random((len(event), len(c.DIMENSIONS))).argsort(1)[:, : c.ITEMS_ASKED]
    parts = [(event[back], question[back], answer[back], comment[back])]
    for column in items.T:
        code = 3 + column
        given = np.zeros(len(event), np.int64)
        for d, name in enumerate(c.DIMENSIONS):
            q = column == d
            given[q] = pick(rng, answer_probabilities(mean[q] + c.ITEM_SHIFT[name], name))
        parts.append((event[back], code[back], given[back], np.zeros(int(back.sum()), bool)))
    columns: list[Any] = [np.concatenate(values) for values in zip(*parts, strict=True)]
    order = np.argsort(columns[0], kind="stable")
    return Answers(*(column[order] for column in columns))
