"""One door for two inputs: a study's experiment, or a frame of one row a customer."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

import pandas as pd

from cxlib.experiments.analysis import Analysis, of_frame
from cxlib.experiments.outcomes import outcomes
from cxlib.experiments.plan import PLAN

if TYPE_CHECKING:
    from cxlib.study import Study


def analyze(data: Any, *args: Any, **named: Any) -> Analysis:
    """Analyse a randomised experiment: of a study, by its name, or of a frame of one row a customer.

    Both forms
    ----------
    metrics : `"revenue/sessions"` is a ratio of sums
    control : the arm the others are compared with (else one called control, A or 0)
    expected : planned weights of the arms (else their propensities, else equal); below p = `limit` the
        assignment is broken, and nothing is read
    lower_is_better : metrics of which less is wished
    worth : smallest change of a metric, in its unit, that would matter. An interval that lies below it
        is a reason to stop, and `more` is what surely decides. Without it `more` is what finds the
        difference seen so far, if it is real, with a chance of 80 %.
    memberships : person and one probability column a persona, made from what was known *before* the
        exposure; then `.personas` holds the effects within personas

    Verdicts are of p-values adjusted for all comparisons (Benjamini-Hochberg); each interval stands alone
    at its level, so one may leave out 0 and its verdict still be "cannot tell". The result says so.

    A study: `analyze(study, experiment, metrics, window, pre_period, memberships)`
    ----------
    metrics : orders, revenue, margin (minor units; an order without one counts as 0), bought (any order), visits (sessions with an event that
        the brand did not begin), the number of events of a touchpoint or stage by its name, `any NAME` for
        the share of customers with any, a survey question for the customer's mean score (who did not answer
        is left out and counted). Without: margin, orders and bought
    window : outcomes are counted from the first exposure of a customer on, so long; customers who cannot be
        observed so long (until the study's last event, or `until`) are left out and counted
    pre_period : the same metrics so long before the exposure are the covariates; None for no covariates
    crossovers : customers who met two variants count in their "first" arm (intention to treat), or "drop"

    The first exposure decides the arm. Where exposures have a `cluster`, clusters were assigned: they are
    what is checked and what intervals are of.

    A frame: `analyze(frame, variant, metrics, covariates)`
    ----------
    variant : the column that says which arm
    metrics : columns; a mapping also says of which kind each is: mean, proportion, ratio (a column of 0 and
        1 is taken for a proportion)
    covariates : columns known before the experiment began, for CUPED; they serve every metric
    cluster, propensity, stratum : columns of the unit that was assigned, the chance of the arm met, and the
        stratum within which it was drawn
    person : the column that memberships name

    A row that lacks the metric or a covariate is left out of that metric and counted in `dropped`;
    where this happens more in one arm (p below `limit`) the metric is not read. A proportion without
    covariates has the adjusted Wald interval (Agresti & Caffo 2000, The American Statistician 54).

    >>> frame = pd.DataFrame({"arm": ["A", "B"] * 500, "bought": [0, 1, 0, 0] * 250})
    >>> analyze(frame, "arm", ["bought"]).claim()
    Against A. Ship: B on bought +0.500 (0.454 to 0.542).
    """
    if isinstance(data, pd.DataFrame):
        return of_frame(data, *args, **named)
    return _of_study(data, *args, **named)


def _of_study(
    study: Study,
    experiment: str,
    metrics: str | Iterable[str] | None = None,
    window: str = "60 D",
    pre_period: str | None = "90 D",
    memberships: pd.DataFrame | None = None,
    *,
    crossovers: Literal["first", "drop"] = "first",
    until: str | pd.Timestamp | None = None,
    **named: Any,
) -> Analysis:
    seen = outcomes(study, experiment, metrics, window, pre_period, crossovers, until)
    result = of_frame(
        seen.frame, "variant", seen.metrics, seen.covariates, memberships=memberships, **PLAN, **named
    )
    return replace(result, experiment=experiment, notes=(*seen.notes, *result.notes))
