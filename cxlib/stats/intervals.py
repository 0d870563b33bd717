"""Intervals in closed form: what an interval is, score and adjusted intervals, and scales that keep ends inside."""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from cxlib.errors import CxValueError
from cxlib.stats import laws as distributions

Array = NDArray[np.float64]
Scale = Literal["logit", "log", "identity"]


class Interval(NamedTuple):
    """An estimate with its interval; each field has the shape of the statistic.

    Fields: `estimate`; `low` and `high`, the interval's ends; `se`, the standard error in the
    estimate's own unit. NaN ends mean "cannot tell", never "no doubt".
    """

    estimate: Array
    low: Array
    high: Array
    se: Array

    def columns(self, name: str = "") -> dict[str, Array]:
        """As columns of a table: estimate, low, high; or `name`, name_low, name_high.

        >>> [*wilson(1, 2).columns()], [*wilson(1, 2).columns("rated")]
        (['estimate', 'low', 'high'], ['rated', 'rated_low', 'rated_high'])
        """
        low, high = (f"{name}_{end}" if name else end for end in ("low", "high"))
        return {name or "estimate": self.estimate, low: self.low, high: self.high}

    def p(self, df: ArrayLike) -> Array:
        """Two-sided p-value of "it is 0" by Student's t; NaN without a standard error."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.asarray(2 * distributions.t.sf(np.abs(self.estimate / self.se), df))


def t_quantile(level: float, df: Array) -> Array:
    """Student's t that holds `level` between its negative and itself; the normal's where df is infinite."""
    return np.asarray(distributions.t.ppf(0.5 + level / 2, df))


def on_scale(estimate: Array, se: Array, scale: Scale, t: Array) -> Interval:
    """Estimate plus or minus t standard errors on a scale, carried there by its derivative and back."""
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        if scale == "identity":
            low, high = estimate - t * se, estimate + t * se
        elif scale == "log":
            reach = np.exp(t * se / np.where(estimate > 0, estimate, np.nan))
            low, high = estimate / reach, estimate * reach
        elif scale == "logit":
            inside = np.where((estimate > 0) & (estimate < 1), estimate, np.nan)
            reach = t * se / (inside * (1 - inside))
            centre = special.logit(inside)
            low, high = special.expit(centre - reach), special.expit(centre + reach)
        else:
            raise CxValueError(f"Unknown scale {scale!r}; there are logit, log and identity.")
    return Interval(estimate, low, high, se)


def wilson(x: ArrayLike, n: ArrayLike, level: float = 0.95, df: ArrayLike = np.inf) -> Interval:
    """Wilson's score interval of a proportion: x successes of n independent trials, any shape.

    `n` may be an effective number (not whole); `df` then puts Student's t in the normal's place
    (fewer than 1: NaN ends). n = 0 gives NaN. Wilson 1927, J. Am. Stat. Assoc. 22; Newcombe 1998,
    Statistics in Medicine 17, method 3.

    >>> [round(float(end), 4) for end in wilson(81, 263)[1:3]]
    [0.2553, 0.3662]
    """
    successes, trials = np.broadcast_arrays(np.asarray(x, dtype=float), np.asarray(n, dtype=float))
    if (successes < 0).any() or (successes > trials + 1e-9).any():
        raise CxValueError("wilson needs 0 <= x <= n.")
    with np.errstate(divide="ignore", invalid="ignore"):
        p = successes / trials
        low, high = wilson_ends(p, trials, t_quantile(level, np.asarray(df, dtype=float)))
        return Interval(p, low, high, np.sqrt(p * (1 - p) / trials))


def wilson_ends(p: Array, n: Array, z: Array) -> tuple[Array, Array]:
    """The two ends of Wilson's interval for shares p of (effective) n; NaN where n is 0."""
    with np.errstate(divide="ignore", invalid="ignore"):
        widen = z**2 / n
        centre = (p + widen / 2) / (1 + widen)
        reach = np.sqrt(p * (1 - p) * widen + widen**2 / 4) / (1 + widen)
    # A border is a border: rounding must not turn a low end of 0 into 1e-17.
    low = np.where(p <= 0, 0.0, np.clip(centre - reach, 0, 1))
    high = np.where(p >= 1, 1.0, np.clip(centre + reach, 0, 1))
    unknown = ~(n > 0) | np.isnan(z)
    return np.where(unknown, np.nan, low), np.where(unknown, np.nan, high)


def tango(p: ArrayLike, d: ArrayLike, n: ArrayLike, level: float = 0.95, df: ArrayLike = np.inf) -> Interval:
    """Net promoter share (-1 to 1) with its score interval; any shape.

    `p` and `d` are the shares of promoters and detractors, `n` the (effective) number of answers, `df` as
    in `wilson`. A net promoter share is the difference of two paired proportions, (b - c) / n, and the
    interval that of Tango (1998, Statistics in Medicine 17): all differences that a score test, with the
    variance that each would imply, does not reject. It holds its estimate and stays inside -1 to 1.

    Exact coverage is 92 to 98 % at every pair of shares in steps of .01 (p below 1) where four answers are
    expected that are not passive: n = 30 and p + d >= .13, n = 100 and p + d >= .04, n = 400 and p + d >= .01;
    with fewer it is more. Adding 3/4 promoter, 3/4 detractor and 3 answers (Rocks 2016, The American
    Statistician 70) covers from 90.3 to 99.7 % at n = 30 there.

    >>> [round(float(end), 4) for end in tango(6 / 161, 16 / 161, 161)[1:3]]
    [-0.124, -0.0054]
    """
    up, down, size, t = np.broadcast_arrays(
        *(np.asarray(one, dtype=float) for one in (p, d, n)), t_quantile(level, np.asarray(df, dtype=float))
    )
    net = up - down
    unknown = ~(size > 0) | np.isnan(t)
    low, high = (np.where(unknown, np.nan, _tango_end(up, down, size, t, side)) for side in (-1.0, 1.0))
    with np.errstate(divide="ignore", invalid="ignore"):
        se = np.sqrt(np.maximum(up + down - net**2, 0.0) / size)
    return Interval(net, low, high, se)


def _tango_end(up: Array, down: Array, n: Array, t: Array, side: float) -> Array:
    """The last difference towards `side` (-1 or 1) that is not rejected, by halving."""
    kept, lost = up - down, np.full(up.shape, side)
    for _ in range(50):
        tried = (kept + lost) / 2
        # The share of detractors is the likeliest one under the difference tried: a quadratic.
        b = (2 - up + down) * tried - up - down
        least = (np.sqrt(np.maximum(b**2 + 8 * down * tried * (1 - tried), 0.0)) - b) / 4
        variance = 2 * least + tried * (1 - tried)
        with np.errstate(invalid="ignore"):
            holds = n * (up - down - tried) ** 2 <= t**2 * variance
        kept, lost = np.where(holds, tried, kept), np.where(holds, lost, tried)
    return np.where(np.abs(kept - side) < 1e-12, side, kept)
