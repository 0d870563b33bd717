"""One driver of a study from the least to the most credible estimate: failures of service, a channel adopted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd

from cxlib.errors import CxLookupError
from cxlib.results import nice
from cxlib.revenue.causal import Ladder, adjusted, difference, ladder
from cxlib.revenue.chance import as_good_as_random
from cxlib.revenue.drivers import Cases, adopters, failures, nudged
from cxlib.revenue.encouragement import encouraged
from cxlib.revenue.units import MONEY, PLAIN, POINTS, Unit

if TYPE_CHECKING:
    from cxlib.study import Study


def service_failure(
    study: Study,
    outcome: str = "bought",
    touchpoints: Sequence[str] = (),
    failed: str = "unresolved",
    load: str = "queue_min",
    window: str = "90 D",
) -> Ladder:
    """What a contact that fails changes in the `window` after it: `bought`, `orders`, `revenue` or `margin`.

    The cases are those of `failures`: each customer's first contact. Naive: failed against the others.
    Adjusted: at equal customers (orders and visits before, tier, region, ...). Identified: at equal `load`,
    if chance decides there. Needs `orders` and `touchpoints` with `outcome` and the load's column.
    """
    cases = failures(study, touchpoints, failed, load, window)
    of: dict[str, Any] = {"treated": "failed", "outcome": outcome, "unit": _unit(cases, outcome)}
    return ladder(
        naive=difference(cases.frame, **of),
        adjusted=adjusted(cases.frame, **of, covariates=cases.covariates),
        identified=as_good_as_random(cases.frame, **of, given=load),
        says=f"{nice(failed).capitalize()} against other contacts, {nice(outcome)} in {_days(window)}",
    )


def adoption(
    study: Study,
    experiment: str = "app_nudge",
    touchpoint: str = "app_link_card",
    outcome: str = "margin",
    control: str = "control",
    window: str = "120 D",
) -> Ladder:
    """What adopting something (`touchpoint`) changes in the `window` after an `experiment` that nudged to it.

    Naive: those who had adopted by the day of the experiment against those who had not. Adjusted: at equal
    customers. Identified: the randomised nudge as an instrument, among those it was drawn for. Needs
    `exposures`, `orders`, `customers`. The names given are those of the simulated company.
    """
    drawn = nudged(study, experiment, touchpoint, control, window)
    unit = _unit(drawn, outcome)
    at = pd.Timestamp(drawn.frame["at"].min() * 1000)
    before = adopters(study, touchpoint, at, window)
    of: dict[str, Any] = {"treated": "adopted", "outcome": outcome, "unit": unit}
    return ladder(
        naive=difference(before.frame, **of),
        adjusted=adjusted(before.frame, **of, covariates=before.covariates),
        identified=encouraged(
            drawn.frame,
            nudged="nudged",
            adopted="adopted",
            outcome=outcome,
            covariates=drawn.covariates,
            unit=unit,
        ),
        says=f"{nice(touchpoint).capitalize()}, {nice(outcome)} in {_days(window)}",
    )


def _days(window: str) -> str:
    return f"{pd.Timedelta(window).days} days"


def _unit(cases: Cases, outcome: str) -> Unit:
    if outcome not in cases.frame:
        raise CxLookupError(
            f"No outcome `{outcome}`; there are bought, orders, revenue, margin (if orders have one)."
        )
    return cases.unit if outcome in MONEY else POINTS if outcome == "bought" else PLAIN
