"""All experiments of a study on one metric: what is known, what is not, what may not be read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pandas as pd

from cxlib.experiments.analysis import BROKEN
from cxlib.experiments.analyze import analyze
from cxlib.experiments.exposures import trials
from cxlib.experiments.outcomes import default
from cxlib.results import Framed, nice

if TYPE_CHECKING:
    from cxlib.study import Study

COLUMNS = ["experiment", "arm", "estimate", "low", "high", "n", "q", "verdict", "more", "unit", "window"]


@dataclass(frozen=True, eq=False)
class Overview(Framed):
    """Every arm of every experiment against its control, on one metric.

    frame : one row an experiment and arm: estimate (arm less control), low, high, n, q (adjusted within the
        experiment), verdict, more (customers or clusters, as `unit` says, that each arm needs), unit, window
    """

    metric: str

    def told(self, shown: pd.DataFrame) -> str:
        """How many arms to ship, to stop, and not to judge yet."""
        said = []
        for verdict in ("ship", "stop", "cannot tell", BROKEN):
            rows = shown[shown["verdict"] == verdict]
            named = [f"{nice(r.arm)} ({nice(r.experiment)})" for r in rows.head(4).itertuples()]
            named += [f"{len(rows) - 4} more"] if len(rows) > 4 else []
            head = "not to be read" if verdict == BROKEN else verdict
            said += [f"{head}: {', '.join(named)}"] if named else []
        return f"On {nice(self.metric)}, {'; '.join(said)}."


def overview(study: Study, metric: str | None = None, days: int = 60) -> Overview:
    """Analyse every experiment on one metric (margin, else revenue, else visits), over as many days as can be
    observed of everybody, `days` at most, with the same metric before as the covariate.

    Verdicts are adjusted within an experiment, not over all of them: each was asked by itself.
    """
    found, metric = trials(study), metric or next(iter(default(study)), "visits")
    parts = []
    for name in found.checks:
        window = found.window(name, days)
        result = analyze(study, name, metric, window)
        parts.append(result.table().assign(experiment=name, unit=result.unit, window=window))
    return Overview(pd.concat(parts, ignore_index=True)[COLUMNS], metric)
