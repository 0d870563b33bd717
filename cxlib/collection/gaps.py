"""Days on which a channel fell silent though people were due, and days with far more events than usual."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cxlib.rates import Counts
from cxlib.results import nice, number, visible
from cxlib.stats import Array

Ints = NDArray[np.int64]
NEAR = 14
BESIDE = np.r_[-NEAR:0, 1 : NEAR + 1]
AWAY = 7 * np.r_[-4:0, 1:5]
DUE = 10
FAR, TIMES = 5.0, 2.0
COLUMNS = ["source", "channel", "what", "first", "last", "days"]
COLUMNS += ["estimate", "low", "high", "usual", "n", "customers"]


def gaps(days: pd.DataFrame, first: pd.Timestamp, last: pd.Timestamp) -> Counts:
    """Gaps and bursts by source and channel, one row a run of days, the latest first.

    `days` has source, channel, day, events and customers (people that day), where there are any; `first` and
    `last` are the study's first and last day: it may cover them in part only, and they are left out.

    Two medians say what is usual on a day: of the fourteen days on either side, and of the days one to four
    whole weeks away. A rhythm of the week, if there is one, is so known without being assumed. A *gap* is a
    run of days without events, after the channel's first, where the smaller of the medians, added up, expects
    at least ten customers: by chance none would come once in 20,000 times. A *burst* is a day with over twice
    the larger of the medians, and five robust deviations above it, on roots of counts (deviation: 1.4826
    times the median absolute one, at least that of independent visits with the channel's events a visitor).

    Columns: source (where there are several), channel, what, first, last, days, estimate = low = high (events
    found, counted in full), usual (events), n (events of the days compared with) and customers (at least; in
    a gap, of the days compared with).
    """
    calendar = pd.date_range(first, last, freq="D")
    found: list[tuple[object, ...]] = []
    for keys, part in days.assign(day=pd.to_datetime(days["day"])).groupby(["source", "channel"]):
        daily = part.set_index("day")[["events", "customers"]].reindex(calendar, fill_value=0)
        for what, run, *numbers in _unusual(*daily.to_numpy(float).T):
            found.append((*keys, what, calendar[run[0]], calendar[run[-1]], len(run), *numbers))
    table = pd.DataFrame(found, columns=COLUMNS).sort_values("first", ascending=False, kind="stable")
    table = table.reset_index(drop=True).drop(columns=["source"] if days["source"].nunique() == 1 else [])
    return Counts(table, _say(visible(table), len(calendar)), ())


def _unusual(events: Array, customers: Array) -> Iterator[tuple[Any, ...]]:
    """Of one channel: what, the days' places in the calendar, and the numbers of the last six columns."""
    place = np.arange(len(events))
    opened, closed = np.flatnonzero(events)[[0, -1]]
    whole = (place > 0) & (place < len(events) - 1)
    for run in _runs(whole & (events == 0) & (place > opened)):
        rest = np.where(whole & (place >= opened) & ~np.isin(place, run), 1.0, np.nan)
        beside = np.r_[run[0] - NEAR : run[0], run[-1] + 1 : run[-1] + 1 + NEAR]
        near, people = _at(events * rest, beside), _at(customers * rest, beside)
        weeks = [_median(_at(values * rest, run[:, None] + AWAY)) for values in (events, customers)]
        usual, due = (np.fmin(a, _median(b[None])).sum() for a, b in zip(weeks, (near, people), strict=True))
        if np.isfinite(near).sum() >= NEAR // 2 and due >= DUE:
            yield "gap", run, 0.0, 0.0, 0.0, usual, int(np.nansum(near)), int(np.nanmax(people))

    known = np.where(whole & (place >= opened) & (place <= closed), events, np.nan)
    near, far = (_at(2 * np.sqrt(known + 3 / 8), place[:, None] + days) for days in (BESIDE, AWAY))
    middle = _median(near)
    centre = np.fmax(middle, _median(far))
    alone = np.sqrt(max(2 * events.sum() / customers.sum() - 1, 1.0))
    reach = FAR * np.fmax(1.4826 * _median(np.abs(near - middle[:, None])), alone)
    usual = np.maximum(centre**2 / 4 - 3 / 8, 0.0)
    high = (2 * np.sqrt(known + 3 / 8) > centre + reach) & (known > TIMES * usual)
    for run in _runs(high & (np.isfinite(near).sum(axis=1) >= NEAR)):
        count, n = float(events[run].sum()), np.nansum(_at(known, run[0] + BESIDE))
        yield "burst", run, count, count, count, float(usual[run].sum()), int(n), int(customers[run].max())


def _runs(marked: NDArray[np.bool_]) -> list[Ints]:
    """The places of each run of neighbouring marks."""
    places = np.flatnonzero(marked)
    return [run for run in np.split(places, np.flatnonzero(np.diff(places) > 1) + 1) if len(run)]


def _at(values: Array, places: Ints) -> Array:
    """The values at places up to four weeks outside; NaN there."""
    return np.pad(values, 28, constant_values=np.nan)[places + 28]


def _median(values: Array) -> Array:
    """The median of each row's numbers; NaN of none."""
    return pd.DataFrame(values).median(axis=1).to_numpy()


def _say(shown: pd.DataFrame, days: int) -> str:
    if days < NEAR + 3:
        return "Too short a time to know what is usual on a day."
    said = []
    for what, rows in shown.groupby("what", sort=False):
        worst = rows.loc[(rows["usual"] - rows["estimate"]).abs().idxmax()]
        counted = f"{number(worst['estimate'])} events, {number(worst['usual'])} usual"
        where = f"{nice(worst['channel'])} from {worst['first']:%Y-%m-%d} ({counted})"
        said.append(f"{len(rows)} {what}{'s' if len(rows) > 1 else ''}, the greatest in {where}")
    return f"By channel and day: {'; '.join(said)}." if said else "No channel has a gap or a burst of days."
