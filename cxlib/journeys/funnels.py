"""Funnels: how many customers who began get how far, in order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from typing import TYPE_CHECKING, Any, ClassVar

import ibis
import numpy as np
import pandas as pd

from cxlib import stats
from cxlib.contract import STAGES
from cxlib.errors import CxValueError, require
from cxlib.journeys.folded import dense
from cxlib.results import TOO_FEW, Claim, Result, nice, percent
from cxlib.study.log import GAP, Log

if TYPE_CHECKING:
    from cxlib.study import Study


@dataclass(frozen=True)
class Funnel(Result):
    """An ordered funnel counted by persons.

    names : the steps
    reached : (folds, steps) persons who reached each step
    """

    SHARES: ClassVar = ("estimate", "of_previous")

    names: tuple[str, ...]
    reached: np.ndarray

    def table(self) -> pd.DataFrame:
        """One row a step: estimate (share of those at step 1), low, high, n (persons at step 1),
        count (persons reaching the step), of_previous (share of the step before) with its interval, folds (of customers reaching it)."""
        begun, count = self.reached[:, :1], self.reached.sum(axis=0)
        share = stats.proportions(self.reached, begun)
        before = np.concatenate([begun, self.reached[:, :-1]], axis=1)
        kept = stats.proportions(self.reached, before)
        for ends in (share, kept):  # everyone at step 1 is at step 1: that is counting, not estimating
            ends.low[0] = ends.high[0] = ends.estimate[0]
        sized = {"n": count[0], "count": count, **kept.columns("of_previous")}
        keys = {"step": np.arange(1, len(self.names) + 1), "name": self.names}
        return pd.DataFrame({**keys, **share.columns(), **sized, "folds": (self.reached > 0).sum(axis=0)})

    def claim(self) -> Claim:
        """The step at which the largest share is lost, if it is clearly the largest."""
        if len(self.names) < 2:
            return Claim("All events are of one stage: there is no funnel to draw.")
        table = self.visible()
        if len(table) < 2:
            return TOO_FEW
        table = table.iloc[1:].sort_values("of_previous")
        worst, others = table.iloc[0], table.iloc[1:]
        place = int(worst["step"])
        text = (
            f"Of the {int(self.reached.sum(axis=0)[place - 2]):,} customers who reach {nice(self.names[place - 2])} in "
            f"order, {percent(worst['of_previous'])} go on to {nice(worst['name'])} "
            f"({percent(worst['of_previous_low'])} to {percent(worst['of_previous_high'])})"
        )
        if not len(others):
            return Claim(f"{text}.")
        clearly = (others["of_previous_low"] > worst["of_previous_high"]).all()
        return Claim(f"{text}: {'' if clearly else 'not clearly '}the largest loss of the funnel.")


def funnel(study: Study, steps: Sequence[Any] | None = None, gap: str = GAP) -> Funnel:
    """Persons who go through `steps` in order, each matched at its earliest time after the step before.

    Needs `touchpoints`. A step is the name of a stage or a touchpoint, or a list of names any of which
    will do; without `steps`, the stages that occur in the study. Other events may lie between. No time limit: a person whose time has not run out counts as
    not (yet) there.

    >>> import cxlib as cx
    >>> table = cx.journeys.funnel(cx.open_study("demo")).table()
    >>> table["estimate"].is_monotonic_decreasing
    True
    """
    if steps is not None and len(steps) < 2:
        raise CxValueError(f"A funnel needs at least two steps; got {len(steps)}.")
    log = study.log(gap=gap)
    steps = steps or [stage for stage in STAGES if stage in log.names["stage"]]
    names = tuple(step if isinstance(step, str) else " or ".join(step) for step in steps)
    wanted = [_codes(study, log, [step] if isinstance(step, str) else list(step)) for step in steps]

    furthest = reduce(lambda persons, codes: _next(log, codes, persons), wanted, _nowhere(log))
    stopped = dense(study, "funnel", {"steps": wanted, "gap": gap}, furthest, ("place",), (len(names) + 1,))
    return Funnel(names, stopped[:, ::-1].cumsum(axis=1)[:, -2::-1])


def _nowhere(log: Log) -> Any:
    """All persons, before the first step: `place`, how many they have reached, `at`, the event of the last."""
    return log.persons.select("fold", "person", place=ibis.literal(0), at=ibis.literal(-1, "int64"))


def _next(log: Log, codes: dict[str, list[int]], persons: Any) -> Any:
    """The persons one step on, where they have a matching event after the last; who has none is at no event."""
    events = log.table
    matches = [events[column].isin(values) for column, values in codes.items() if values]
    met = events.filter(ibis.or_(*matches)).select(met_="person", event="event")
    both = persons.left_join(met, persons.person == met["met_"])
    by = both.group_by("fold", "person", "place")
    tried = by.aggregate(at=(both["event"] > both["at"]).ifelse(both["event"], ibis.null("int64")).min())
    return tried.mutate(place=tried["place"] + tried["at"].notnull().cast("int8"))


def _codes(study: Study, log: Log, names: list[str]) -> dict[str, list[int]]:
    """Codes of stages and touchpoints; one of the contract or the catalog that never occurs matches nothing."""
    codes: dict[str, list[int]] = {"touchpoint": [], "stage": []}
    for name in names:
        column = "stage" if name in STAGES else "touchpoint"
        if name in log.names[column]:
            codes[column].append(log.names[column].index(name))
        elif name in STAGES or name in _catalog(study):
            codes[column].append(-99)
        else:
            require(name, [*STAGES, *log.names["touchpoint"]], f"No stage or touchpoint is called `{name}`")
    return codes


def _catalog(study: Study) -> set[str]:
    if "catalog" not in study.tables:
        return set()
    return set(study.fetch(study.table("catalog").select("touchpoint"))["touchpoint"])
