"""The experiments chapter in five lines, each from a result."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from cxlib.experiments.analyze import analyze
from cxlib.experiments.exposures import trials
from cxlib.experiments.frequency import frequency
from cxlib.experiments.outcomes import default
from cxlib.experiments.policy import policy
from cxlib.results import Summary, nice

if TYPE_CHECKING:
    from cxlib.study import Study


def summary(
    study: Study,
    memberships: pd.DataFrame | None = None,
    experiment: str = "",
    metric: str | None = None,
    days: int = 60,
) -> Summary:
    """Is personalising worth it, what one experiment did (by name, or as `Trials.pick`), for whom, how often to
    write, and which experiments ran; on one metric, over as many days as can be observed, `days` at most."""
    found = trials(study)
    name, lines = found.pick(experiment), []
    window, metric = found.window(name, days), metric or next(iter(default(study)), "")
    if metric:
        result = analyze(study, name, metric, window, memberships=memberships)
        about = f"{nice(name)[:1].upper()}{nice(name)[1:]}"
        if memberships is not None and result.check.passed:
            lines.append(f"{about}: {policy(study, name, metric, memberships, window).claim()}")
        lines.append(f"{about}: {result.headline(2)}")
        if result.personas is not None:
            lines.append(str(result.personas.claim().first))
        if found.doses:
            lines.append(str(frequency(study, metric=metric).claim()))
    return Summary(tuple(dict.fromkeys([*lines, str(found.claim())])))
