"""One arm against the control, from moments: the difference, the relative lift, and what CUPED saves.

A mean is a mean; a ratio of sums is linearised, (y - R d) / mean(d), which carries its variance (the
delta method; Deng, Knoblich & Lu 2018, KDD). Covariates from before the experiment are regressed out
with one slope pooled within all arms (CUPED; Deng, Xu, Kohavi & Walker 2013, WSDM): they cannot have
been changed by it, so the estimand stays and only noise goes. Student's t with Welch's degrees of freedom.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from cxlib.experiments.moments import Array, Moments
from cxlib.stats import Interval
from cxlib.stats import laws as distributions


class Contrast(NamedTuple):
    """Treated less control, and treated over control less 1.

    `difference`, `lift` are intervals; `p`, `lift_p` two-sided p-values of no effect; `per_customer`
    (2,) the variance a customer of the control and of the treated arm adds (se**2 is their sum, each over
    its n); `saved` the share of the variance that the covariates took away. The lift is NaN where the
    control's mean is not clearly apart from zero: nothing can be relative to it.
    """

    difference: Interval
    p: float
    lift: Interval
    lift_p: float
    per_customer: Array
    saved: float


def contrast(moments: Moments, treated: int = 1, *, ratio: bool = False, level: float = 0.95) -> Contrast:
    """The arm in place `treated` against the first, from moments whose columns are the metric (for a
    `ratio` numerator and denominator), then covariates.

    >>> n, sums, squares = np.array([3407.0, 3461.0]), [[1396.87], [2422.7]], [[[52377.9767]], [[134698.29]]]
    >>> arms = Moments(("old", "new"), ("revenue",), n, np.array(sums), np.array(squares), np.zeros(1))
    >>> round(float(contrast(arms).lift.estimate), 5)
    0.70732
    """
    centre, x, covariance = _linear(moments, ratio)
    slope = _slope(covariance, moments.n)
    arms, n, k = [0, treated], moments.n[[0, treated]], len(slope)
    control, new = centre[arms]
    gap = float(slope @ (x[treated] - x[0]))
    share = n / n.sum()
    # Both means at the covariates of the two arms together, of which each is a part.
    new, control = new - share[0] * gap, control + share[1] * gap
    # The slopes were fitted: what they used up is given back.
    spare = moments.n.sum() - len(moments.n)
    covariance = covariance[arms] * (spare / max(spare - k, 1.0))

    def judge(estimate: float, gradient: list[Array], df: float | None = None) -> _Test:
        return _test(estimate, np.stack(gradient), covariance, n, level, df)

    with np.errstate(divide="ignore", invalid="ignore"):
        change = judge(new - control, [np.r_[-1.0, slope], np.r_[1.0, -slope]])
        base = judge(control, [np.r_[1.0, -share[1] * slope], np.r_[0.0, share[1] * slope]]).interval
        pull = slope * (share[0] + share[1] * new / control) / control
        # With the difference's degrees of freedom, as in gbstats.
        lift = judge(
            new / control - 1, [np.r_[-new / control**2, pull], np.r_[1 / control, -pull]], change.df
        )
        if not (base.low > 0 or base.high < 0):
            lift = _Test(Interval(*[np.asarray(np.nan)] * 4), math.nan, math.nan, change.each)
    raw = float((covariance[:, 0, 0] / n).sum())
    saved = 1 - float(change.interval.se) ** 2 / raw if k and raw else 0.0
    return Contrast(change.interval, change.p, lift.interval, lift.p, change.each, saved)


def means(moments: Moments, *, ratio: bool = False, level: float = 0.95) -> Interval:
    """Each arm's own mean or ratio with its t interval, covariates aside."""
    centre, _, covariance = _linear(moments, ratio)
    se = np.sqrt(covariance[:, 0, 0] / moments.n)
    reach = distributions.t.ppf(0.5 + level / 2, moments.n - 1) * se
    return Interval(centre, centre - reach, centre + reach, se)


def _linear(moments: Moments, ratio: bool) -> tuple[Array, Array, Array]:
    """(arms,) estimates, (arms, k) covariate means, (arms, 1 + k, 1 + k) covariances of metric and covariates."""
    mean, covariance = moments.mean, moments.covariance
    if not ratio:
        return mean[:, 0], mean[:, 1:], covariance
    rate, below = mean[:, 0] / mean[:, 1], mean[:, 1]
    arms, p = mean.shape
    onto = np.zeros((arms, p - 1, p))
    onto[:, 0, 0], onto[:, 0, 1] = 1 / below, -rate / below
    onto[:, 1:, 2:] = np.eye(p - 2)
    return rate, mean[:, 2:], onto @ covariance @ onto.transpose(0, 2, 1)


def _slope(covariance: Array, n: Array) -> Array:
    """Slopes of the metric on its covariates, pooled within arms; the shortest where covariates repeat."""
    within = ((n - 1)[:, None, None] * covariance).sum(axis=0)
    scale = np.sqrt(np.diag(within)[1:])
    scale = np.where(scale > 0, scale, 1.0)
    return (
        np.linalg.pinv(within[1:, 1:] / np.outer(scale, scale), rcond=1e-10) @ (within[1:, 0] / scale) / scale
    )


class _Test(NamedTuple):
    interval: Interval
    p: float
    df: float
    each: Array


def _test(
    estimate: float, gradient: Array, covariance: Array, n: Array, level: float, df: float | None = None
) -> _Test:
    """An estimate linear in two arms' means: interval, p-value, variance that a customer of each arm adds."""
    each = np.einsum("ai,aij,aj->a", gradient, covariance, gradient)
    part = each / n
    se = math.sqrt(part.sum())
    if not se > 0:  # nobody differs from anybody: that is not the same as no doubt
        unknown = np.asarray(np.nan)
        return _Test(
            Interval(np.asarray(estimate), unknown, unknown, np.asarray(se)), math.nan, math.nan, each
        )
    df = float(part.sum() ** 2 / (part**2 / (n - 1)).sum()) if df is None else df
    reach = distributions.t.ppf(0.5 + level / 2, df) * se
    p = float(2 * distributions.t.sf(abs(estimate) / se, df))
    return _Test(Interval(*map(np.asarray, (estimate, estimate - reach, estimate + reach, se))), p, df, each)
