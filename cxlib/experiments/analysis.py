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

from cxlib import stats
from cxlib.errors import CxLookupError, CxValueError, did_you_mean
from cxlib.experiments.by_persona import ByPersona, by_persona
from cxlib.experiments.contrast import contrast, means
from cxlib.experiments.metrics import Metric, read_arms, read_metrics
from cxlib.experiments.moments import Moments, aggregates
from cxlib.experiments.plan import Plan
from cxlib.experiments.sample_ratio import SampleRatio, balance
from cxlib.frames import column, numbers
from cxlib.results import Claim, Result, nice, number, percent
from cxlib.stats import laws as distributions

BROKEN = "stop: the assignment is broken"
UNEVEN = "values are missing more in one arm than in another"
COLUMNS = ["metric", "arm", "estimate", "low", "high", "n", "verdict", "more", "q", "p", "lift"]
COLUMNS += ["lift_low", "lift_high", "se", "saved", "dropped", "note"]
NUMBERS = ["estimate", "low", "high", "p", "lift", "lift_low", "lift_high", "se", "saved"]


@dataclass(frozen=True, eq=False)
class Analysis(Result):
    """The effects of an experiment.

    effects : one row a metric and arm, as `table()`
    means : one row a metric and arm, the control too: estimate, low, high, n
    check : the sample ratio; where it fails no frame holds an estimate
    control : the arm that the others are compared with
    level : of each interval on its own; verdicts are of `q`, so that an interval may leave out 0 and the
        verdict still be "cannot tell"
    unassigned : rows without an arm, left out
    experiment : its name, of a study
    unit : what was assigned, customers or clusters; `more` counts them
    notes : what was left out or done otherwise, in sentences
    personas : the effects within each persona, where memberships were given
    """

    SHARES: ClassVar = ("lift", "lift_low", "lift_high", "saved")

    effects: pd.DataFrame = field(repr=False)
    means: pd.DataFrame = field(repr=False)
    check: SampleRatio
    control: str
    level: float
    unassigned: int
    experiment: str = ""
    unit: str = "customers"
    notes: tuple[str, ...] = ()
    personas: ByPersona | None = field(default=None, repr=False)

    @property
    def verdict(self) -> str:
        """The one that all rows share, else `mixed`; broken where the sample ratio is."""
        found = self.effects["verdict"].unique()
        return str(found[0]) if len(found) == 1 else "mixed"

    def table(self) -> pd.DataFrame:
        """One row a metric and arm: estimate (the arm less the control, in the metric's unit), low, high,
        n (customers of both), verdict, more (customers or clusters more that each of the two arms needs; inf: no
        number would do), q (p adjusted for all rows), p, lift (relative to the control) with its interval,
        se, saved (share of the variance the covariates took away), dropped (rows without a value), note."""
        return self.effects

    def claim(self) -> Claim:
        """What to do, in a sentence a verdict, and what was done to get there."""
        return Claim(" ".join([self.headline(), *self.notes]))

    def headline(self, most: int = 3) -> Claim:
        """What to do, in a sentence a verdict, naming `most` comparisons of each."""
        if not self.check.passed:
            return self.check.claim()
        said = []
        for verdict in ("ship", "stop", "cannot tell"):
            rows = self.effects[self.effects["verdict"] == verdict].sort_values("p", kind="stable")
            parts = [_said(row, self.unit) for row in rows.head(most).to_dict("records")]
            parts += [f"and {len(rows) - most} more"] if len(rows) > most else []
            said += [f"{verdict.capitalize()}: {'; '.join(parts)}."] if parts else []
        return Claim(f"Against {nice(self.control)}. {' '.join(said)}")


def of_frame(
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
    cluster: str | None = None,
    propensity: str | None = None,
    stratum: str | None = None,
    memberships: pd.DataFrame | None = None,
    person: str = "customer_id",
) -> Analysis:
    """`analyze` of a frame of one row a customer; see there."""
    covariates = [covariates] if isinstance(covariates, str) else list(covariates or ())
    # As text, and 1 where a missing arm has turned a column of 0 and 1 into 0.0 and 1.0.
    frame = frame.assign(**{variant: column(frame, variant).convert_dtypes().astype("string")})
    arms = read_arms(frame, variant, control)
    plan = Plan(variant, cluster, propensity, stratum).read(frame)
    found = read_metrics(frame, metrics, [variant, *covariates])
    for covariate in covariates:
        numbers(frame, covariate, missing=True)
    names, less, worth = [metric.name for metric in found], set(lower_is_better), dict(worth or {})
    for name in [*less, *worth]:
        if name not in names:
            raise CxLookupError(
                f"`{name}` is none of the metrics: {', '.join(names)}.{did_you_mean(name, names)}"
            )
    if not all(value > 0 for value in worth.values()) or not 0 < level < 1:
        raise CxValueError("worth holds sizes of effects, above 0; level lies between 0 and 1.")

    check = balance(plan.groups(frame), arms, expected, limit, plan.unit)
    read = _read if check.passed else _unread
    pairs = [read(frame, plan, metric, covariates, check, level) for metric in found]
    own, effects = (pd.concat(parts, ignore_index=True) for parts in zip(*pairs, strict=True))
    notes, personas = [], None
    if check.passed:
        effects["q"] = stats.benjamini_hochberg(effects["p"])
        decided = [
            _decide(row, level, len(effects), -1 if row["metric"] in less else 1, worth.get(row["metric"]))
            for row in effects.to_dict("records")
        ]
        effects["verdict"], effects["more"] = zip(*decided, strict=True)
        if len(effects) > 1:
            notes.append(f"Verdicts are adjusted for {len(effects)} comparisons; each interval stands alone.")
        if plan.cluster:
            units = f"{sum(check.counts):,} clusters"
            notes.append(f"Whole clusters were assigned: intervals are of {units}, not of single customers.")
    if memberships is not None:
        personas = ByPersona(pd.DataFrame(), pd.DataFrame(), arms[0], level, 0)
        if check.passed:
            personas = by_persona(frame, plan, found, covariates, arms, memberships, person, level)
    unassigned = int(frame[variant].isna().sum())
    return Analysis(
        effects.reindex(columns=COLUMNS), own, check, arms[0], level, unassigned,
        unit=plan.unit, notes=tuple(notes), personas=personas,
    )  # fmt: skip


def _unread(
    frame: pd.DataFrame, plan: Plan, metric: Metric, covariates: list[str], check: SampleRatio, level: float
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """A metric of a broken experiment: customers, and no number that somebody could act on."""
    own = pd.DataFrame({"metric": metric.name, "arm": check.arms, "estimate": np.nan, "low": np.nan})
    own["high"], own["n"] = np.nan, frame[plan.variant].value_counts().reindex(list(check.arms)).to_numpy()
    effects = own.iloc[1:].assign(n=own["n"].iloc[1:] + own["n"].iloc[0], verdict=BROKEN)
    return own, effects.reindex(columns=COLUMNS)


def _read(
    frame: pd.DataFrame, plan: Plan, metric: Metric, covariates: list[str], check: SampleRatio, level: float
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """A metric's own means by arm, and its effects, not yet judged."""
    assigned = frame[plan.variant].value_counts().reindex(list(check.arms)).to_numpy()
    complete = frame[frame[[*metric.columns, *covariates]].notna().all(axis=1)]
    n = complete[plan.variant].value_counts().reindex(list(check.arms)).fillna(0).to_numpy().astype(int)
    rows, columns = complete, list(metric.columns)
    if plan.cluster or plan.weights(complete) is not None:
        rows, columns = plan.sums(complete, metric, covariates), ["top", "below"]
        metric = metric._replace(
            kind="ratio", columns=("top", "below" if metric.kind != "ratio" else metric.columns[1])
        )
    moments = aggregates(rows, plan.variant, [*columns, *covariates], check.arms)
    ratio = metric.kind == "ratio"
    if ratio and not (moments.mean[:, 1] > 0).all():
        raise CxValueError(
            f"The denominator `{metric.columns[1]}` is 0 for everybody in an arm; choose one that counts something."
        )
    own = means(moments, ratio=ratio, level=level)
    if metric.kind == "proportion":
        own = stats.wilson(np.round(own.estimate * moments.n), moments.n, level)
    table = pd.DataFrame({"metric": metric.name, "arm": check.arms, **own._asdict()}).drop(columns="se")
    table["n"] = n
    found = [_effect(moments, metric, arm, level) for arm in range(1, len(check.arms))]
    effects = table[["metric", "arm"]].iloc[1:].reset_index(drop=True).join(pd.DataFrame(found))
    lost = assigned - n
    effects["n"], effects["dropped"], effects["note"] = n[0] + n[1:], lost[0] + lost[1:], ""
    if lost.any() and distributions.alike(np.array([n, lost])) < check.limit:
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
    return numbers | {"sizes": moments.n[[0, arm]], "per_customer": found.per_customer}


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


def signed(row: Mapping[Any, Any] | pd.Series) -> str:
    """A difference in words: its sign, its size, its interval."""
    plus = "+" if row["estimate"] > 0 else ""
    return f"{plus}{number(row['estimate'])} ({number(row['low'])} to {number(row['high'])})"


def _said(row: dict[Any, Any], unit: str) -> str:
    """A comparison in words."""
    head = f"{nice(row['arm'])} on {nice(row['metric'])}"
    if row["note"]:
        return f"{head} ({row['note']})"
    if not math.isfinite(row["low"]):
        return f"{head} (nobody differs from anybody)"
    lift = f", {'+' if row['lift'] > 0 else ''}{percent(row['lift'])}" if math.isfinite(row["lift"]) else ""
    text = f"{head} {signed(row)}{lift}"
    if row["verdict"] != "cannot tell":
        return text
    return f"{text}, {row['more']:,.0f} more {unit} an arm needed" if row["more"] < 1e6 else text
