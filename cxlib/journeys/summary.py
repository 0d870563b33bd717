"""The journey chapter in five lines, each from a result."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cxlib.errors import CxError
from cxlib.journeys.attribution import markov, purchases, shapley
from cxlib.journeys.counts import drop_off, switches
from cxlib.journeys.funnels import funnel
from cxlib.results import Summary, nice, percent, visible

if TYPE_CHECKING:
    from cxlib.study import Study


def summary(study: Study) -> Summary:
    """How far customers get, where they stop, how they change channel, what earns its keep, what next."""
    far = funnel(study)
    lines = [str(far.claim())]
    bought = purchases(study)
    exits = visible(drop_off(study).table())
    lost = exits[~exits["touchpoint"].isin(bought)].sort_values("count", ascending=False)
    if not lost.empty:
        top = lost.iloc[0]
        lines.append(
            f"Apart from purchases, most visits end at {nice(top['touchpoint'])}: {top['count']:,} of them, "
            f"{percent(top['estimate'])} of its events ({percent(top['low'])} to {percent(top['high'])})."
        )
    lines.append(str(switches(study).claim()))
    if bought:
        lines.append(_credit(study))
    if not lost.empty:
        lines.append(
            f"Next: find out why visits end at {nice(top['touchpoint'])}, before moving any budget between channels: "
            "credit is not effect, and only an experiment can tell."
        )
    return Summary(tuple(lines))


def _credit(study: Study) -> str:
    try:
        chain, split = markov(study), shapley(study)
    except CxError as error:
        return f"Channels cannot be credited here: {error}"
    if not chain.conversions:
        return "There is no conversion to credit."
    first, second = chain.table()["channel"].iloc[0], split.table()["channel"].iloc[0]
    if first == second:
        return f"Both attribution rules put {nice(first)} in front; neither says what it causes."
    return (
        f"Attribution rules disagree: {nice(first)} leads by removal effect, {nice(second)} by Shapley value. "
        "Do not move money on either alone."
    )
