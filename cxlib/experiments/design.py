"""How many customers an experiment takes, or what a given number of them can show.

Means: the noncentral t distribution (Student's test, equal variances), or its normal approximation.
Proportions: Cohen's arcsine effect size, h = 2 asin(sqrt(p1)) - 2 asin(sqrt(p0)), and the normal
distribution (Cohen 1988, Statistical Power Analysis, chapters 2 and 6); statsmodels' conventions.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from scipy import optimize, special

from cxlib.errors import CxValueError
from cxlib.results import Claim, Result, number, percent
from cxlib.stats import laws as distributions

LARGEST = 1e12  # customers an arm; beyond it no experiment is worth planning


@dataclass(frozen=True)
class Design(Result):
    """A planned two-arm comparison, two-sided.

    solved_for : n, effect or power, whichever was not given
    n : customers of the control arm, not rounded (393.4); `ratio` times as many in the other
    effect : difference of means, in the metric's unit, or of proportions
    power : chance of finding it; level : of the interval
    baseline : the control's proportion, None for a mean
    """

    solved_for: str
    n: float
    effect: float
    power: float
    level: float
    ratio: float
    baseline: float | None

    def table(self) -> pd.DataFrame:
        """One row: what was solved for (estimate; exact, so low and high are the same), n in whole
        customers, then the plan."""
        value = getattr(self, self.solved_for)
        row = {"solved_for": self.solved_for, "estimate": value, "low": value, "high": value}
        whole = math.ceil(round(self.n, 6))
        plan = {"effect": self.effect, "power": self.power, "level": self.level}
        return pd.DataFrame(
            [row | {"n": whole, "n_treated": math.ceil(round(self.n * self.ratio, 6))} | plan]
        )

    def claim(self) -> Claim:
        """The plan in a sentence."""
        row = self.table().iloc[0]
        if self.baseline is None:
            change = f"a difference of {number(self.effect)}"
        else:
            change = f"a change from {percent(self.baseline)} to {percent(self.baseline + self.effect)}"
        arms = f"{row['n']:,} customers an arm"
        if self.ratio != 1:
            arms = f"{row['n']:,} customers in the control arm and {row['n_treated']:,} in the other"
        return Claim(f"With {arms}, {change} is found with a chance of {percent(self.power)}.")


def design(
    effect: float | None = None,
    *,
    n: float | None = None,
    power: float | None = None,
    sd: float = 1.0,
    baseline: float | None = None,
    level: float = 0.95,
    ratio: float = 1.0,
    method: Literal["t", "normal"] = "t",
) -> Design:
    """Solve a two-arm design for the one of `n`, `effect`, `power` that is not given.

    With `baseline` (the control's proportion) the metric is a proportion and `effect` is in points of
    it, .01 for .10 to .11; else a mean, `effect` in its unit and `sd` its standard deviation (1:
    effects in standard deviations). `power` is .8 where it and one of the others are not given.
    `n` customers are in the control arm, `n * ratio` in the other. The smallest effect that can be
    found is the positive one. `method` concerns means. Raises CxValueError where no design fits.

    >>> round(design(0.2).n, 4), round(design(0.01, baseline=0.10).n, 1)
    (393.4057, 14744.1)
    >>> design(0.01, baseline=0.10).claim()
    With 14,745 customers an arm, a change from 10.0\xa0% to 11.0\xa0% is found with a chance of 80.0\xa0%.
    """
    if power is None and (effect is None or n is None):
        power = 0.8
    if sum(value is None for value in (effect, n, power)) != 1:
        raise CxValueError(
            "Give two of effect, n and power; the third is solved for (power is .8 if left out)."
        )
    for name, value in (("power", power), ("level", level), ("baseline", baseline)):
        if value is not None and not 0 < value < 1:
            raise CxValueError(f"{name} is {value:g}; it must lie between 0 and 1.")
    for name, value in (("sd", sd), ("ratio", ratio)):
        if not (value > 0 and math.isfinite(value)):
            raise CxValueError(f"{name} is {value:g}; it must be a number above 0.")
    if n is not None and not (2 <= min(n, n * ratio) < LARGEST):
        raise CxValueError(f"n is {n:g} and ratio {ratio:g}; each arm takes at least two customers.")
    if power is not None and power <= 1 - level:
        raise CxValueError(
            f"power is {power:g}; above {1 - level:g}, which chance alone gives, it says something."
        )
    if effect is not None and (not math.isfinite(effect) or effect == 0):
        raise CxValueError("effect must be a number other than 0: no number of customers finds nothing.")
    if baseline is not None and effect is not None and not 0 <= baseline + effect <= 1:
        raise CxValueError(
            f"{baseline:g} changed by {effect:g} is not a proportion; effect is in points, as .01."
        )

    def chance(size: float, change: float) -> float:
        if baseline is None:
            return _power(change / sd, size, ratio, level, method)
        h = 2 * math.asin(math.sqrt(baseline + change)) - 2 * math.asin(math.sqrt(baseline))
        return _power(h, size, ratio, level, "normal")

    if effect is not None and n is not None:
        return Design("power", float(n), effect, chance(n, effect), level, ratio, baseline)
    assert power is not None  # two of three are given
    if effect is not None:
        found = _solve(lambda size: chance(size, effect), power, max(2.0, 2.0 / ratio), LARGEST, "n")
        return Design("n", found, effect, power, level, ratio, baseline)
    assert n is not None
    most = 1e3 * sd if baseline is None else 1 - baseline
    found = _solve(lambda change: chance(n, change), power, 1e-12 * most, most, "effect")
    return Design("effect", float(n), found, power, level, ratio, baseline)


def _power(d: float, n: float, ratio: float, level: float, method: str) -> float:
    """Power of a two-sided test of the standardised effect d; both tails count."""
    shift = abs(d) * math.sqrt(n * ratio / (1 + ratio))
    df = n * (1 + ratio) - 2
    if method == "normal" or df > 1e6:  # where the noncentral t is slow, and is the normal
        z = distributions.norm.isf((1 - level) / 2)
        return float(distributions.norm.sf(z - shift) + distributions.norm.cdf(-z - shift))
    t = distributions.t.isf((1 - level) / 2, df)
    if shift > t + 12:  # power 1 to every digit, where the noncentral t runs out of numbers
        return 1.0
    below, above = special.nctdtr(df, shift, [-t, t])
    return float(1 - above + np.nan_to_num(below))


def _solve(power_at: Callable[[float], float], power: float, low: float, high: float, what: str) -> float:
    """Where the power, which grows from `low` to `high`, is the one asked for."""
    if power_at(low) >= power:
        return low
    if power_at(high) < power:
        raise CxValueError(
            f"No {what} up to {high:g} gives a power of {power:g}. Ask for less of the others."
        )
    # On the log scale, over which sizes and effects spread.
    return float(
        math.exp(
            optimize.brentq(
                lambda x: power_at(math.exp(x)) - power, math.log(low), math.log(high), xtol=1e-12
            )
        )
    )
