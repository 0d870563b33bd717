"""What happens after what: transitions, the step matrix, channel switches and drop-off.

Each is a group-by on the log, counted by fold; the intervals come from the same scan.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import ibis
import numpy as np
import pandas as pd

from cxlib import stats
from cxlib.journeys.folded import dense, pairs
from cxlib.results import TOO_FEW, Claim, Result, minimum, nice, percent
from cxlib.study.log import END, FOLDS, GAP

if TYPE_CHECKING:
    from cxlib.study import Study


@dataclass(frozen=True)
class Shares(Result):
    """Shares of the cells of a table within its rows, with customer-clustered intervals.

    keys : names of the two key columns
    rows, cells : names of the rows and of the cells within a row
    counts : (folds, rows, cells) integer counts
    """

    SHARES: ClassVar = ("estimate",)
    ROWS: ClassVar = 8

    keys: tuple[str, str]
    rows: tuple[Any, ...]
    cells: tuple[str, ...]
    counts: np.ndarray

    @property
    def total(self) -> np.ndarray:
        """(rows, cells) counts over all folds."""
        return self.counts.sum(axis=0)

    def matrix(self) -> pd.DataFrame:
        """The shares as a matrix, rows by cells."""
        total = self.total
        size = total.sum(axis=1, keepdims=True)
        share = np.divide(total, size, out=np.zeros(total.shape), where=size > 0)
        return pd.DataFrame(share, index=list(self.rows), columns=list(self.cells))

    def table(self) -> pd.DataFrame:
        """One row a cell that occurs: keys, estimate (share of the row), low, high, n (the row's count), count,
        folds (of customers that the count comes from)."""
        total = self.total
        i, j = np.nonzero(total)
        keys = {self.keys[0]: [self.rows[k] for k in i], self.keys[1]: [self.cells[k] for k in j]}
        ends = {name: values[i, j] for name, values in stats.shares(self.counts).columns().items()}
        size = {"n": total.sum(axis=1)[i], "count": total[i, j], "folds": self.folds[i, j]}
        return pd.DataFrame({**keys, **ends, **size})

    def shown(self) -> pd.DataFrame:
        """The largest cells first, but for the step matrix, which is read in its own order."""
        table = self.table()
        if self.keys[0] != "step":
            table = table.sort_values("count", ascending=False, kind="stable")
        return table

    @property
    def folds(self) -> np.ndarray:
        """(rows, cells) folds of customers with a count: at least so many customers stand behind it."""
        return (self.counts > 0).sum(axis=0)

    def may_show(self) -> np.ndarray:
        """(rows, cells) true where a cell may be displayed; an empty cell may."""
        may, kept = self.total == 0, self.visible().index
        i, j = np.nonzero(self.total)
        may[i[kept], j[kept]] = True
        return may


@dataclass(frozen=True)
class Transitions(Shares):
    """Where customers go next from each touchpoint; `(end)` after a customer's last event."""

    WHOLE: ClassVar = ("source",)

    def claim(self) -> Claim:
        """The commonest move to another touchpoint."""
        table = self.visible()
        moves = table[(table["source"] != table["target"]) & (table["target"] != END)]
        if moves.empty:
            return TOO_FEW
        top = moves.sort_values(["count", "source", "target"], ascending=[False, True, True]).iloc[0]
        return Claim(
            f"The commonest move is from {nice(top['source'])} to {nice(top['target'])}: "
            f"{percent(top['estimate'])} of what follows ({percent(top['low'])} to {percent(top['high'])}, "
            f"n = {top['n']:,})."
        )


@dataclass(frozen=True)
class Steps(Shares):
    """Where customers are at their 1st, 2nd, ... event; who has ended stays at `(end)`."""

    WHOLE: ClassVar = ("step",)

    def claim(self) -> Claim:
        """How the journeys begin."""
        begun = self.visible().query("step == 1").sort_values("estimate", ascending=False)
        if begun.empty:
            return TOO_FEW
        first = begun.iloc[0]
        return Claim(
            f"Journeys begin most often with {nice(first['touchpoint'])}: {percent(first['estimate'])} "
            f"({percent(first['low'])} to {percent(first['high'])}, n = {first['n']:,})."
        )


@dataclass(frozen=True)
class Switches(Shares):
    """Of the events that follow one in a channel, which channel they are in."""

    WHOLE: ClassVar = ("source",)

    def claim(self) -> Claim:
        """How often the next contact is in another channel."""
        by_fold = self.counts
        same = np.trace(by_fold, axis1=1, axis2=2)
        moves = by_fold.sum(axis=(1, 2))
        if ((moves - same) > 0).sum() < min(minimum(), FOLDS):
            return TOO_FEW
        other = stats.proportions((moves - same)[:, None], moves[:, None])
        return Claim(
            f"{percent(other.estimate[0])} of next contacts are in another channel than the one before "
            f"({percent(other.low[0])} to {percent(other.high[0])}, n = {int(moves.sum()):,})."
        )


@dataclass(frozen=True)
class DropOff(Result):
    """How often a visit ends at a touchpoint: exits for each event there, brand contacts left out.

    touchpoints : names
    exits, events : (folds, touchpoints) counts
    """

    SHARES: ClassVar = ("estimate",)

    touchpoints: tuple[str, ...]
    exits: np.ndarray
    events: np.ndarray

    def table(self) -> pd.DataFrame:
        """One row a touchpoint: estimate (exit rate), low, high, n (events there), count (exits), folds (of
        customers with exits there, or with events where there is no exit)."""
        seen = self.events.sum(axis=0) > 0
        rate = stats.proportions(self.exits[:, seen], self.events[:, seen])
        names = np.asarray(self.touchpoints, dtype=object)[seen]
        table = pd.DataFrame({"touchpoint": names, **rate.columns(), "n": self.events.sum(axis=0)[seen]})
        table["count"] = self.exits.sum(axis=0)[seen]
        behind = np.where(self.exits.any(axis=0), self.exits > 0, self.events > 0)
        table["folds"] = behind.sum(axis=0)[seen]
        return table.sort_values(["estimate", "touchpoint"], ascending=[False, True], ignore_index=True)

    def claim(self) -> Claim:
        """Where most visits end."""
        table = self.visible().sort_values(["count", "touchpoint"], ascending=[False, True])
        if table.empty:
            return TOO_FEW
        top = table.iloc[0]
        return Claim(
            f"More visits end at {nice(top['touchpoint'])} than anywhere else: {top['count']:,}, which is "
            f"{percent(top['estimate'])} of its events ({percent(top['low'])} to {percent(top['high'])})."
        )


def transitions(study: Study, gap: str = GAP) -> Transitions:
    """Shares of what follows each touchpoint within the person, `(end)` included.

    Needs `touchpoints`. Rows of one source sum to 1. Intervals by folds (DESIGN idea 4).

    >>> import cxlib as cx
    >>> table = cx.journeys.transitions(cx.open_study("demo")).table()
    >>> bool((table.groupby("source")["estimate"].sum().sub(1).abs() < 1e-9).all())
    True
    """
    log = study.log(gap=gap)
    names = log.names["touchpoint"]
    return Transitions(("source", "target"), names, (*names, END), pairs(study, log))


def steps(study: Study, n: int = 10, gap: str = GAP) -> Steps:
    """The step matrix: shares of all persons at each touchpoint at their first `n` events.

    Needs `touchpoints`. Each step sums to 1; a person without a k-th event is at `(end)`.
    """
    log = study.log(gap=gap)
    names = log.names["touchpoint"]
    events = log.table.filter(log.table.step <= n)
    counts = dense(study, "steps", {"n": n, "gap": gap}, events, ("step", "touchpoint"), (n + 1, len(names)))[
        :, 1:, :
    ]
    persons = dense(study, "persons", {"gap": log.gap}, log.persons, (), ())
    ended = persons[:, None] - counts.sum(axis=2)
    whole = np.concatenate([counts, ended[:, :, None]], axis=2)
    return Steps(("step", "touchpoint"), tuple(range(1, n + 1)), (*names, END), whole)


def switches(study: Study, gap: str = GAP) -> Switches:
    """Which channel the next event is in, by the channel of this one; ends are not counted.

    Needs `touchpoints` with channels (its own or the catalog's). Rows of one source sum to 1.
    """
    log = study.log(gap=gap)
    names = log.names["channel"]
    if "channel" in log.of:
        # Every touchpoint has one channel: the switches are the transitions, added up.
        moved = pairs(study, log)[:, :, :-1]
        to = (np.array(log.of["channel"])[:, None] == np.arange(len(names))).astype(moved.dtype)
        counts = np.einsum("fab,ac,bd->fcd", moved, to, to, optimize=True)
    else:
        window = ibis.window(group_by="person", order_by="event")
        moved = log.table.mutate(channel_next=log.table.channel.lead().over(window))
        moved = moved.filter((moved.channel >= 0) & (moved.channel_next >= 0))
        size = (len(names), len(names))
        counts = dense(study, "switches", {"gap": gap}, moved, ("channel", "channel_next"), size)
    return Switches(("source", "target"), names, names, counts)


def drop_off(study: Study, gap: str = GAP) -> DropOff:
    """The exit rate of each touchpoint: the share of its events that are the last of their session.

    Contacts begun by the brand neither continue nor end a visit and are left out. A purchase ends a
    visit too: an exit is not yet a loss; `funnel` says what is lost.
    """
    log = study.log(gap=gap)
    names, initiators = log.names["touchpoint"], log.names["initiated"]
    events = log.table
    if "brand" in initiators:
        events = events.filter(events.initiated != initiators.index("brand"))
    seen = dense(study, "visited", {"gap": gap}, events, ("touchpoint",), (len(names),))
    ends = events.group_by("fold", "session").aggregate(touchpoint=events.touchpoint.argmax(events.event))
    exits = dense(study, "exits", {"gap": gap}, ends, ("touchpoint",), (len(names),))
    return DropOff(names, exits, seen)
