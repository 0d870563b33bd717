"""Was the assignment carried out as planned? Looked at before any effect, for a broken one has none.

Fabijan et al. 2019, "Diagnosing sample ratio mismatch in online controlled experiments", KDD.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Literal

import numpy as np
import pandas as pd

from cxlib import stats
from cxlib.errors import CxValueError
from cxlib.results import Claim, Result, number, percent
from cxlib.stats import laws as distributions


@dataclass(frozen=True)
class SampleRatio(Result):
    """Customers by arm against the plan.

    arms, counts, expected : name, customers (or clusters), planned share of each arm
    p : of a split at least this uneven, had the plan been carried out
    limit : the check fails where p lies below it; far from .05, as it is looked at in every experiment
    unit : what was assigned, customers or clusters
    strata_p : the same within strata, where there are such: arms that are even on the whole may not be inside
    """

    SHARES: ClassVar = ("estimate", "low", "high", "expected")

    arms: tuple[str, ...]
    counts: tuple[int, ...]
    expected: tuple[float, ...]
    p: float
    limit: float
    unit: str = "customers"
    strata_p: float = math.nan

    @property
    def least(self) -> float:
        """The smaller of the two p-values."""
        return float(np.fmin(self.p, self.strata_p))

    @property
    def passed(self) -> bool:
        """Whether the reading may go on."""
        return self.least >= self.limit

    def table(self) -> pd.DataFrame:
        """One row an arm: its share of the customers (estimate) with Wilson's interval, n, expected."""
        share = stats.wilson(self.counts, sum(self.counts))
        columns = {"arm": self.arms, "estimate": share.estimate, "low": share.low, "high": share.high}
        return pd.DataFrame(columns | {"n": self.counts, "expected": self.expected})

    def claim(self) -> Claim:
        """The check in a sentence."""
        if self.passed:
            return Claim(f"The arms have the sizes that were planned (p = {number(self.least)}).")
        if self.p >= self.limit:
            return Claim(
                f"The assignment is broken: within strata the arms do not have the sizes that were planned "
                f"(p {number(self.strata_p)}). No effect is read from it; find the cause first."
            )
        shares = np.array(self.counts) / sum(self.counts)
        worst = int(np.argmax(np.abs(shares / np.array(self.expected) - 1)))
        return Claim(
            f"The assignment is broken: {self.arms[worst]} has {percent(shares[worst])} of the {self.unit}, planned "
            f"were {percent(self.expected[worst])} (p {number(self.p)}). No effect is read from it; find the cause first."
        )


def sample_ratio(
    counts: Mapping[str, int],
    expected: Mapping[str, float] | None = None,
    method: Literal["auto", "binomial", "chi-square"] = "auto",
    limit: float = 0.001,
) -> SampleRatio:
    """Test the customers by arm against the planned weights (equal ones unless `expected` says others).

    `auto` is the exact binomial test for two arms, else Pearson's chi-square.

    >>> round(sample_ratio({"A": 2023, "B": 1977}).p, 5)
    0.47677
    """
    arms = tuple(counts)
    weights = dict.fromkeys(arms, 1.0) if expected is None else dict(expected)
    if len(arms) < 2:
        raise CxValueError(f"A comparison needs two arms; there is {', '.join(arms) or 'none'}.")
    if set(weights) != set(arms) or not all(weight > 0 for weight in weights.values()):
        raise CxValueError(
            f"expected must give each arm a weight above 0. Arms: {', '.join(arms)}; "
            f"given: {', '.join(f'{arm} {weight:g}' for arm, weight in weights.items())}."
        )
    if method == "binomial" and len(arms) > 2:
        raise CxValueError(f"The binomial test is for two arms; for {len(arms)} use chi-square.")
    size, whole = np.array([counts[arm] for arm in arms]), sum(weights.values())
    planned = np.array([weights[arm] / whole for arm in arms])
    if len(arms) == 2 and method != "chi-square":
        from scipy.stats import binomtest  # costs a second to import

        p = binomtest(int(size[0]), int(size.sum()), float(planned[0])).pvalue
    else:
        off = ((size - planned * size.sum()) ** 2 / (planned * size.sum())).sum()
        p = distributions.chi2.sf(off, len(size) - 1)
    return SampleRatio(arms, tuple(map(int, size)), tuple(map(float, planned)), float(p), limit)


def balance(
    groups: pd.DataFrame,
    arms: Sequence[str],
    expected: Mapping[str, float] | None = None,
    limit: float = 0.001,
    unit: str = "customers",
) -> SampleRatio:
    """The check from counts by stratum and arm, on the whole and within strata.

    groups : stratum, variant, units, customers, `inverse` (sum of 1 / propensity over customers) and `planned`
        (customers with a propensity). Where all have one it says what was planned: customers over the sum of
        inverses is its harmonic mean, right also where it differs between customers. `expected` wins over it;
        without either the arms should be equal.
    """
    whole = groups.groupby("variant")[["units", "customers", "inverse", "planned"]].sum().reindex(list(arms))
    if expected is None:
        expected = _planned(whole)
    check = sample_ratio({arm: int(n) for arm, n in whole["units"].items()}, expected, limit=limit)
    inside, freedom = 0.0, 0
    for _, group in groups.groupby("stratum"):
        stratum = group.set_index("variant").reindex(list(arms)).fillna(0)
        planned = check.expected if (stratum["planned"] < stratum["customers"]).any() else None
        weights = np.array(planned or list(_planned(stratum).values()))
        if len(group) == len(arms) or planned:
            size = weights / weights.sum() * stratum["units"].sum()
            inside += float(((stratum["units"] - size) ** 2 / size).sum())
            freedom += len(arms) - 1
    strata_p = float(distributions.chi2.sf(inside, freedom)) if groups["stratum"].nunique() > 1 else math.nan
    return replace(check, unit=unit, strata_p=strata_p)


def _planned(groups: pd.DataFrame) -> dict[str, float]:
    """The planned weight of each arm."""
    if (groups["planned"] < groups["customers"]).any() or not (groups["inverse"] > 0).all():
        return dict.fromkeys(groups.index, 1.0)
    return (groups["customers"] / groups["inverse"]).to_dict()
