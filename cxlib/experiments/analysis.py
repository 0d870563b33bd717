"""What an experiment changed: every metric in every arm against the control, and what to do about it.

First the sample ratio; where it fails nothing else is computed. A verdict is read off the p-value
adjusted for all comparisons (Benjamini-Hochberg): ship, stop, or cannot tell and how many more
customers it would take.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from scipy import stats as distributions

from cxlib import stats
from cxlib.errors import CxLookupError, CxValueError, did_you_mean
from cxlib.experiments.contrast import contrast, means
from cxlib.experiments.metrics import Metric, column, numbers, read_arms, read_metrics
from cxlib.experiments.moments import Moments, aggregates
from cxlib.experiments.sample_ratio import SampleRatio, sample_ratio
from cxlib.results import Claim, Result, nice, number, percent

BROKEN = "stop: the assignment is broken"
UNEVEN = "values are missing more in one arm than in another"
COLUMNS = ["metric", "arm", "estimate", "low", "high", "n", "p", "q", "verdict", "more", "lift"]
COLUMNS += ["lift_low", "lift_high", "se", "saved", "dropped", "note"]
NUMBERS = ["estimate", "low", "high", "p", "lift", "lift_low", "lift_high", "se", "saved"]


@dataclass(frozen=True, eq=False)
class Analysis(Result):
    """The effects of an experiment.

    effects : one row a metric and arm, as `table()`
    means : one row a metric and arm, the control too: estimate, low, high, n
    check : the sample ratio; where it fails no frame holds an estimate
    control : the arm that the others are compared with
    level : of the intervals
    unassigned : rows without an arm, left out
    """

    SHARES: ClassVar = ("lift", "lift_low", "lift_high", "saved")

    effects: pd.DataFrame = field(repr=False)
    means: pd.DataFrame = field(repr=False)
    check: SampleRatio
    control: str
    level: float
    unassigned: int

    @property
    def verdict(self) -> str:
        """The one that all rows share, else `mixed`; broken where the sample ratio is."""
        found = self.effects["verdict"].unique()
        return str(found[0]) if len(found) == 1 else "mixed"

    def table(self) -> pd.DataFrame:
        """One row a metric and arm: estimate (the arm less the control, in the metric's unit), low, high,
        n (customers of both), p, q (p adjusted for all rows), verdict, more (customers more that each
        of the two arms needs; inf: no number would do), lift (relative to the control) with its interval,
        se, saved (share of the variance the covariates took away), dropped (rows without a value), note."""
        return self.effects

    def claim(self) -> Claim:
        """What to do, in a sentence a verdict."""
        if not self.check.passed:
            return self.check.claim()
        said = []
        for verdict in ("ship", "stop", "cannot tell"):
            rows = self.effects[self.effects["verdict"] == verdict]
            parts = [_said(row) for row in rows.head(3).to_dict("records")]
            parts += [f"and {len(rows) - 3} more"] if len(rows) > 3 else []
            said += [f"{verdict.capitalize()}: {'; '.join(parts)}."] if parts else []
        return Claim(f"Against {nice(self.control)}. {' '.join(said)}")


def analyze(
    frame: pd.DataFrame,
    variant: str,
    metrics: str | Iterable[str] | Mapping[str, str],
    covariates: str | Sequence[str] | None = None,
    control: str | None = None,
    level: float = 0.95,
    *,
    expected: Mapping[str, float] | None = None,
    lower_is_better: Iterable[str] = (),
    worth: Mapping[str, float] | None = None,
    limit: float = 0.001,
) -> Analysis:
    """Analyse a randomised experiment from a frame of one row a customer.

    variant : the column that says which arm; `control` is one of its values
    metrics : columns, or `"revenue/sessions"` for a ratio of sums; a mapping also says of which kind
        each is: mean, proportion, ratio (a column of 0 and 1 is taken for a proportion)
    covariates : columns known before the experiment began, for CUPED; they serve every metric
    expected : planned weights of the arms (equal); below p = `limit` the assignment is broken
    lower_is_better : metrics of which less is wished
    worth : smallest change of a metric, in its unit, that would matter. An interval that lies below it
        is a reason to stop, and `more` is what surely decides. Without it `more` is what finds the
        difference seen so far, if it is real, with a chance of 80 %.

    A row that lacks the metric or a covariate is left out of that metric and counted in `dropped`;
    where this happens more in one arm (p below `limit`) the metric is not read. A proportion without
    covariates has the adjusted Wald interval (Agresti & Caffo 2000, The American Statistician 54).

    >>> frame = pd.DataFrame({"arm": ["A", "B"] * 500, "bought": [0, 1, 0, 0] * 250})
    >>> analyze(frame, "arm", ["bought"]).claim()
    Against A. Ship: B on bought +0.500 (0.454 to 0.542).
    """
    covariates = [covariates] if isinstance(covariates, str) else list(covariates or ())
    # As text, and 1 where a missing arm has turned a column of 0 and 1 into 0.0 and 1.0.
    frame = frame.assign(**{variant: column(frame, variant).convert_dtypes().astype("string")})
    arms = read_arms(frame, variant, control)
    found = read_metrics(frame, metrics, [variant, *covariates])
    for covariate in covariates:
        numbers(frame, covariate)
    names, less, worth = [metric.name for metric in found], set(lower_is_better), dict(worth or {})
    for name in [*less, *worth]:
        if name not in names:
            raise CxLookupError(
                f"`{name}` is none of the metrics: {', '.join(names)}.{did_you_mean(name, names)}"
            )
    if not all(value > 0 for value in worth.values()) or not 0 < level < 1:
        raise CxValueError("worth holds sizes of effects, above 0; level lies between 0 and 1.")

    assigned = frame[variant].value_counts()
    check = sample_ratio({arm: int(assigned[arm]) for arm in arms}, expected, limit=limit)
    read = _read if check.passed else _unread
    pairs = [read(frame, variant, metric, covariates, check, level) for metric in found]
    own, effects = (pd.concat(parts, ignore_index=True) for parts in zip(*pairs, strict=True))
    if check.passed:
        effects["q"] = stats.benjamini_hochberg(effects["p"])
        decided = [
            _decide(row, level, len(effects), -1 if row["metric"] in less else 1, worth.get(row["metric"]))
            for row in effects.to_dict("records")
        ]
        effects["verdict"], effects["more"] = zip(*decided, strict=True)
    unassigned = int(frame[variant].isna().sum())
    return Analysis(effects.reindex(columns=COLUMNS), own, check, arms[0], level, unassigned)


def _unread(
    frame: pd.DataFrame, variant: str, metric: Metric, covariates: list[str], check: SampleRatio, level: float
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """A metric of a broken experiment: customers, and no number that somebody could act on."""
    own = pd.DataFrame({"metric": metric.name, "arm": check.arms, "estimate": np.nan, "low": np.nan})
    own["high"], own["n"] = np.nan, check.counts
    effects = own.iloc[1:].assign(n=own["n"].iloc[1:] + check.counts[0], verdict=BROKEN)
    return own, effects.reindex(columns=COLUMNS)


def _read(
    frame: pd.DataFrame, variant: str, metric: Metric, covariates: list[str], check: SampleRatio, level: float
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """A metric's own means by arm, and its effects, not yet judged."""
    moments = aggregates(frame, variant, [*metric.columns, *covariates], check.arms)
    ratio = metric.kind == "ratio"
    if ratio and not (moments.mean[:, 1] > 0).all():
        raise CxValueError(
            f"The denominator `{metric.columns[1]}` is 0 for everybody in an arm; choose one that counts something."
        )
    own = means(moments, ratio=ratio, level=level)
    if metric.kind == "proportion":
        own = stats.wilson(np.round(own.estimate * moments.n), moments.n, level)
    table = pd.DataFrame({"metric": metric.name, "arm": check.arms, **own._asdict()}).drop(columns="se")
    table["n"] = moments.n.astype(int)
    rows = [_effect(moments, metric, arm, level) for arm in range(1, len(check.arms))]
    effects = table[["metric", "arm"]].iloc[1:].reset_index(drop=True).join(pd.DataFrame(rows))
    lost = np.array(check.counts) - moments.n
    effects["dropped"], effects["note"] = (lost[0] + lost[1:]).astype(int), ""
    if (
        lost.any()
        and distributions.chi2_contingency([moments.n, lost], correction=False).pvalue < check.limit
    ):
        table[["estimate", "low", "high"]] = np.nan
        effects[NUMBERS], effects["note"] = np.nan, UNEVEN
    return table, effects


def _effect(moments: Moments, metric: Metric, arm: int, level: float) -> dict[str, Any]:
    found = contrast(moments, arm, ratio=metric.kind == "ratio", level=level)
    change, p = found.difference, found.p
    if metric.kind == "proportion" and len(moments.columns) == 1:
        careful = contrast(moments.padded(), arm, level=level)
        change, p = careful.difference._replace(estimate=change.estimate, se=change.se), careful.p
    numbers = {name: float(value) for name, value in change._asdict().items()}
    lift = {"lift": found.lift.estimate, "lift_low": found.lift.low, "lift_high": found.lift.high}
    numbers |= {name: float(value) for name, value in lift.items()} | {"p": p, "saved": found.saved}
    sizes = moments.n[[0, arm]]
    return numbers | {"n": int(sizes.sum()), "sizes": sizes, "per_customer": found.per_customer}


# What to do


def _decide(
    row: dict[Any, Any], level: float, comparisons: int, sign: int, worth: float | None
) -> tuple[str, float]:
    """The verdict of a row, and how many more customers an arm it takes where there is none."""
    if not math.isfinite(row["low"]):
        return "cannot tell", math.nan if row["note"] else math.inf
    good = sign * row["estimate"]
    best = max(sign * row["low"], sign * row["high"])
    if worth is not None and best < worth:
        return "stop", math.nan
    if row["q"] <= 1 - level:
        return ("ship" if good > 0 else "stop"), math.nan
    # An undecided row's |z| lies below `strict`, so that the numbers below always ask for more.
    strict, single = (distributions.norm.isf((1 - level) / 2 / many) for many in (comparisons, 1))
    goal = worth / (strict + single) if worth else abs(good) / (strict + distributions.norm.ppf(0.8))
    return "cannot tell", _more(row["sizes"], row["per_customer"], goal**2)


def _more(n: np.ndarray, per_customer: np.ndarray, goal: float) -> float:
    """Customers to add to each of two arms until sum(per_customer / n) is `goal`: a quadratic's root."""
    if goal <= 0:
        return math.inf
    linear = goal * n.sum() - per_customer.sum()
    rest = goal * n.prod() - (per_customer * n[::-1]).sum()
    root = (-linear + math.sqrt(max(linear**2 - 4 * goal * rest, 0))) / (2 * goal)
    return float(max(math.ceil(root), 1))


def _said(row: dict[Any, Any]) -> str:
    """A comparison in words."""
    head = f"{nice(row['arm'])} on {nice(row['metric'])}"
    if row["note"]:
        return f"{head} ({row['note']})"
    if not math.isfinite(row["low"]):
        return f"{head} (nobody differs from anybody)"
    plus = "+" if row["estimate"] > 0 else ""
    lift = f", {'+' if row['lift'] > 0 else ''}{percent(row['lift'])}" if math.isfinite(row["lift"]) else ""
    text = f"{head} {plus}{number(row['estimate'])} ({number(row['low'])} to {number(row['high'])}){lift}"
    if row["verdict"] != "cannot tell":
        return text
    return f"{text}, {number(row['more'])} more customers an arm needed" if row["more"] < 1e9 else text
