"""The journey chapter in five lines, each from a result."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cxlib.journeys.attribution import DIRECT, Attribution, markov, purchases, shapley
from cxlib.journeys.counts import drop_off, switches
from cxlib.journeys.funnels import funnel
from cxlib.journeys.pain_points import excess, pain_points, place
from cxlib.results import Summary, nice, percent
from cxlib.stats import ENOUGH

if TYPE_CHECKING:
    from cxlib.study import Study


def summary(study: Study) -> Summary:
    """How far customers get, where they stop, how they change channel, what earns its keep, what next."""
    lines = [str(funnel(study).claim())]
    bought = purchases(study)
    exits = drop_off(study).visible()
    lost = exits[~exits["touchpoint"].isin(_no_loss(study, bought))].sort_values("count", ascending=False)
    if not lost.empty:
        top = lost.iloc[0]
        lines.append(
            f"Before a purchase, visits end most often at {nice(top['touchpoint'])}: {top['count']:,} of them, "
            f"{percent(top['estimate'])} of its events ({percent(top['low'])} to {percent(top['high'])})."
        )
    lines.append(str(switches(study).claim()))
    if bought:
        lines.append(_credit(markov(study), shapley(study)))
    pains = pain_points(study).top()
    if len(pains):
        worst = pains.loc[pains["burden"].idxmax()]
        lines.append(
            f"Next: mend {place(worst)}, where {excess(worst)}, and test whether visits then go on: credit is not "
            "effect, and neither is a difference."
        )
    elif not lost.empty:
        lines.append(
            f"Next: find out why visits end at {nice(top['touchpoint'])}, before moving any budget between channels: "
            "credit is not effect, and only an experiment can tell."
        )
    return Summary(tuple(dict.fromkeys(lines)))


def _no_loss(study: Study, bought: tuple[str, ...]) -> set[str]:
    """Touchpoints where the end of a visit is no loss: purchases, and what comes after them."""
    log = study.log()
    stages = log.decode(log.of["stage"], "stage") if "stage" in log.of else []
    after = {
        name for name, stage in zip(log.names["touchpoint"], stages, strict=False) if stage == "retention"
    }
    return after | set(bought)


def _credit(chain: Attribution, split: Attribution) -> str:
    first, second = (result.visible() for result in (chain, split))
    if chain.conversions < ENOUGH or first.empty or second.empty:
        return "There are too few conversions to credit channels with them."
    one, other = nice(first["channel"].iloc[0]), nice(second["channel"].iloc[0])
    if one == other == DIRECT:
        return "Most conversions came with no other contact before them: there is little to credit a channel with."
    if len(first) == 1 and one == other:
        return f"All conversions came by one channel, {one}: there is nothing to divide."
    if one != other:
        return (
            f"Attribution rules disagree: {one} leads by removal effect, {other} by Shapley value. "
            "Do not move money on either alone."
        )
    if chain.ahead() and split.ahead():
        return f"Both attribution rules put {one} clearly in front; neither says what it causes."
    return f"Both attribution rules put {one} first, but not clearly ahead of the next; neither says what it causes."
