"""Does it work for everybody? The effect of each arm within each persona, and whether these differ at all.

A persona is a probability. Averages over those assigned to one mix others in and make all personas look
alike; the weights of `cxlib.stats.bch` undo the mixing, in each arm, as sums over persons are linear. The
variance is the linearised one of weighted ratios, between the units of assignment, and with it Wald's test
of whether the effects of an arm are the same in all personas: without that, the persona in which an arm
"works" is only the largest of several draws. How well personas are told apart is taken as known.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import pandas as pd

from cxlib import stats
from cxlib.errors import CxLookupError
from cxlib.experiments.metrics import Metric
from cxlib.experiments.moments import Array
from cxlib.experiments.plan import Plan
from cxlib.frames import column
from cxlib.results import TOO_FEW, Claim, Framed, nice, number, visible
from cxlib.stats import laws as distributions

LEAST = 2.0  # customers an arm, by weight, below which a persona is not read


@dataclass(frozen=True, eq=False)
class ByPersona(Framed):
    """Effects within personas, corrected for classification error.

    frame : one row a persona, arm and metric: estimate (arm less control), low, high, n (customers of both arms
        assigned to the persona), p, q (adjusted for all rows), uncorrected (of those assigned)
    tests : one row a metric and arm: f, p, q of "the effect is the same in all personas"
    control : the arm the others are compared with; level : of each interval
    unmatched : customers without a membership, left out
    """

    tests: pd.DataFrame = field(repr=False)
    control: str
    level: float
    unmatched: int

    def claim(self) -> Claim:
        """Whether effects differ between personas, and where it helps or harms."""
        if self.frame.empty:
            return Claim("The assignment is broken: nothing is read by persona.")
        if self.frame["persona"].nunique() == 1:
            return Claim("There is one kind of customer here: the effects for all are its effects.")
        shown = visible(self.frame).dropna(subset=["low", "high"])
        if shown["persona"].nunique() < 2:
            return TOO_FEW
        apart = self.tests[self.tests["q"] <= 1 - self.level]
        if apart.empty:
            return Claim(
                f"No effect differs between personas by more than chance would do ({len(self.tests)} tested). "
                "Read the effects for all, not those by persona."
            )
        said = []
        for metric, arm in apart.sort_values("p")[["metric", "arm"]].head(2).itertuples(index=False):
            rows = shown[(shown["metric"] == metric) & (shown["arm"] == arm)]
            if len(rows):
                ends = [rows.loc[rows["estimate"].idxmax()], rows.loc[rows["estimate"].idxmin()]]
                best, worst = (
                    f"{number(row['estimate'])} ({number(row['low'])} to {number(row['high'])}) for {nice(row['persona'])}"
                    for row in ends
                )
                said.append(f"{nice(arm)} on {nice(metric)} from {worst} to {best}")
        differ = "differ" if len(apart) > 1 else "differs"
        several = "effects" if len(self.tests) > 1 else "effect"
        return Claim(
            f"{len(apart)} of {len(self.tests)} {several} {differ} between personas: {'; '.join(said)}. "
            "Corrected for customers assigned to a wrong persona."
        )


def by_persona(
    frame: pd.DataFrame,
    plan: Plan,
    metrics: Sequence[Metric],
    covariates: Sequence[str],
    arms: Sequence[str],
    memberships: pd.DataFrame,
    person: str,
    level: float,
) -> ByPersona:
    """Effects within personas; covariates adjust means (one slope for all), not ratios."""
    key = column(frame, person).astype(str)
    kept = memberships[column(memberships, "person").astype(str).isin(set(key))]
    if kept.empty:
        raise CxLookupError(
            f"None of the {len(memberships):,} persons of the memberships is among the {len(frame):,} customers of "
            "the experiment. Both need the study's person key, as text."
        )
    weights = stats.bch(kept).set_index("person")
    modal = kept.set_index(kept["person"].astype(str)).drop(columns="person").to_numpy().argmax(axis=1)
    frame = frame[key.isin(weights.index) & frame[plan.variant].notna()]
    place = weights.index.get_indexer(frame[person].astype(str))
    chance = plan.weights(frame)
    chance = np.ones(len(frame)) if chance is None else chance
    names, units = [str(name) for name in weights], plan.units(frame)
    arm_of = pd.Categorical(frame[plan.variant], categories=list(arms)).codes
    member, assigned = weights.to_numpy()[place], np.eye(len(names))[modal[place]]
    rows, tests = [], []
    for metric in metrics:
        top, below = _linear(frame, metric, covariates, arm_of)
        found = [_ratio(member, chance, top, below, arm_of == a, units) for a in range(len(arms))]
        plain = [_ratio(assigned, chance, top, below, arm_of == a, units).rate for a in range(len(arms))]
        for a in range(1, len(arms)):
            change, variance = found[a].rate - found[0].rate, found[a].variance + found[0].variance
            each = [np.diag(found[i].variance) for i in (a, 0)]
            with np.errstate(divide="ignore", invalid="ignore"):
                df = sum(each) ** 2 / sum(
                    v**2 / one.df for v, one in zip(each, (found[a], found[0]), strict=True)
                )
                se = np.sqrt(np.diag(variance))
                reach = distributions.t.ppf(0.5 + level / 2, df) * se
                p = 2 * distributions.t.sf(np.abs(change) / se, df)
            n = assigned[(arm_of == a) | (arm_of == 0)].sum(axis=0).astype(int)
            rows.append(
                pd.DataFrame({"persona": names, "arm": arms[a], "metric": metric.name, "estimate": change,
                    "low": change - reach, "high": change + reach, "n": n, "p": p, "uncorrected": plain[a] - plain[0]})
            )  # fmt: skip
            tests.append(
                {"metric": metric.name, "arm": arms[a]} | _homogeneous(change, variance, float(np.nanmin(df)))
            )
    table, tested = pd.concat(rows, ignore_index=True), pd.DataFrame(tests)
    table.insert(8, "q", stats.benjamini_hochberg(table["p"]))
    tested["q"] = stats.benjamini_hochberg(tested["p"])
    return ByPersona(table, tested, arms[0], level, len(key) - len(frame))


class _Rates(NamedTuple):
    """Rates by persona in one arm: (k,), their (k, k) covariance, and (k,) degrees of freedom."""

    rate: Array
    variance: Array
    df: Array


def _ratio(member: Array, chance: Array, top: Array, below: Array, inside: Array, units: pd.Series) -> _Rates:
    """sum(w top) / sum(w below) for each persona among the rows `inside`, and how it varies between units."""
    weight = (member * chance[:, None])[inside]
    with np.errstate(divide="ignore", invalid="ignore"):
        size = weight.T @ below[inside]
        rate = weight.T @ top[inside] / size
        pull = weight * (top[inside, None] - rate * below[inside, None]) / size
        by_unit = (
            pd.DataFrame(np.c_[pull, weight]).groupby(units[inside].to_numpy(), sort=False).sum().to_numpy()
        )
        pull, mass = by_unit[:, : len(rate)], by_unit[:, len(rate) :]
        worth = mass.sum(axis=0) ** 2 / (mass**2).sum(axis=0)  # units, as Kish counts them
    unread = ~(worth > LEAST) | ~(size > 0)
    rate, pull = np.where(unread, np.nan, rate), np.where(unread, np.nan, pull)
    return _Rates(rate, pull.T @ pull * len(pull) / max(len(pull) - 1, 1), np.maximum(worth - 1, 1.0))


def _linear(
    frame: pd.DataFrame, metric: Metric, covariates: Sequence[str], arm: Array
) -> tuple[Array, Array]:
    """Numerator (of a mean, adjusted for covariates) and denominator; 0 and 0 where a value is missing."""
    known = [] if metric.kind == "ratio" else list(covariates)
    values = frame[[*metric.columns, *known]].to_numpy(dtype=float)
    whole = np.isfinite(values).all(axis=1)
    values = np.where(whole[:, None], values, 0.0)
    top, below = values[:, 0], values[:, 1] if metric.kind == "ratio" else whole.astype(float)
    if known:
        x = values[:, 1:]
        centred = pd.DataFrame(np.c_[top, x])[whole]
        centred = (centred - centred.groupby(arm[whole]).transform("mean")).to_numpy()
        slope = np.linalg.lstsq(centred[:, 1:], centred[:, 0], rcond=1e-10)[0]
        top = np.where(whole, top - (x - x[whole].mean(axis=0)) @ slope, 0.0)
    return top, below


def _homogeneous(change: Array, variance: Array, df: float) -> dict[str, float]:
    """Wald's test that all personas have the same effect, as an F test: f and p."""
    known = np.isfinite(change)
    if known.sum() < 2:
        return {"f": np.nan, "p": np.nan}
    change, variance = change[known], variance[np.ix_(known, known)]
    onto = np.c_[-np.ones((len(change) - 1, 1)), np.eye(len(change) - 1)]
    gap = onto @ change
    f = float(gap @ np.linalg.pinv(onto @ variance @ onto.T) @ gap) / len(gap)
    return {"f": f, "p": float(distributions.f.sf(f, len(gap), df))}
