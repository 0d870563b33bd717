"""Customer folds: smooth statistics and shares with intervals, from the counts of one scan.

Counts come in with folds of customers on the first axis, as customers are the independent units and
events are not.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cxlib.errors import CxValueError
from cxlib.stats import laws as distributions
from cxlib.stats.intervals import Array, Interval, Scale, on_scale, t_quantile, wilson_ends

FOLDS = 50
"""Customer folds; a fold is part of a person's key (see the log), so it never depends on order."""

ENOUGH = 10
"""The jackknife is for smooth statistics with at least this expected count (and as many failures)."""


def folds_of(persons: Iterable[object]) -> NDArray[np.int64]:
    """The fold of each person key, 0 to 49: the first 8 hex digits of its md5, modulo 50, as in the log.

    >>> folds_of(["c1", "c2"]).tolist() == [int(hashlib.md5(k).hexdigest()[:8], 16) % 50 for k in (b"c1", b"c2")]
    True
    """
    digests = (hashlib.md5(str(one).encode(), usedforsecurity=False).digest()[:4] for one in persons)
    return np.fromiter((int.from_bytes(start) % FOLDS for start in digests), dtype=np.int64)


def jackknife(
    counts: ArrayLike,
    statistic: Callable[[Array], Array],
    scale: Scale = "logit",
    level: float = 0.95,
) -> Interval:
    """Interval of any smooth statistic of summed counts, leaving out one fold of customers at a time.

    `counts` is (folds, ...): counts or sums by fold, additive over customers. `statistic` takes
    totals stacked on a first axis, (1 + non-empty folds, ...), and returns (1 + non-empty folds,
    ...) estimates: the first row is the whole, each other leaves one fold out. With fewer than two
    non-empty folds, or an estimate on the border of its scale (a share of 0 or 1), the ends are NaN.

    The variance is (F - 1)/F times the summed squared distances of the leave-one-out estimates from
    the whole's (the delete-a-group jackknife; Kott 2001, J. Official Statistics 17), carried to the
    scale by its derivative, the interval Student's t with F - 1 degrees of freedom. The derivative
    and not the transformed leave-one-out values, as those run off to infinity in small cells: at an
    expected count of 10 they cover .977, this .95 to .96.

    >>> counts = np.random.default_rng(0).poisson([[4, 6]], (50, 2))
    >>> share = jackknife(counts, lambda total: total[:, 0] / total.sum(axis=1))
    >>> bool(share.low < share.estimate < share.high)
    True
    """
    by_fold = np.asarray(counts, dtype=float)
    if by_fold.ndim < 1:
        raise CxValueError("jackknife needs an array with folds on its first axis; got a single number.")
    filled = by_fold.reshape(len(by_fold), -1).any(axis=1)
    total = by_fold.sum(axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        estimates = np.asarray(statistic(np.concatenate([total[None], total - by_fold[filled]])), dtype=float)
    folds, estimate = int(filled.sum()), estimates[0]
    if folds < 2:
        unknown = np.full_like(estimate, np.nan)
        return Interval(estimate, unknown, unknown, unknown)
    variance = (folds - 1) / folds * ((estimates[1:] - estimate) ** 2).sum(axis=0)
    return on_scale(estimate, np.sqrt(variance), scale, t_quantile(level, np.asarray(folds - 1.0)))


def shares(counts: ArrayLike, axis: int = -1, level: float = 0.95) -> Interval:
    """Share of each cell within its row, from counts by fold; a row runs along `axis`.

    `counts` is (folds, ...), `axis` one of the axes behind the folds (negative counts from the
    end). Every field has the shape of the summed counts; a row without counts is NaN.

    >>> by_fold = np.random.default_rng(0).multinomial(20, [.6, .4, 0], 50)
    >>> result = shares(by_fold)
    >>> float(result.estimate.sum().round(12)), float(result.low[2]), bool(0 < result.high[2] < .01)
    (1.0, 0.0, True)
    """
    by_fold = np.asarray(counts, dtype=float)
    if by_fold.ndim < 2 or axis % by_fold.ndim == 0:
        raise CxValueError(
            f"shares needs folds on the first axis and a row along another; got {by_fold.shape}, {axis=}."
        )
    row = by_fold.sum(axis=axis, keepdims=True)
    return proportions(by_fold, row, pool=axis % by_fold.ndim - 1, level=level)


def proportions(
    successes: ArrayLike, trials: ArrayLike, pool: int | None = None, level: float = 0.95
) -> Interval:
    """Successes per trial, both counted by fold (folds, ...); `trials` broadcasts against `successes`.

    Two intervals, each where it holds: with at least `ENOUGH` successes and as many failures, the
    fold jackknife with t on the logit scale; for small, zero and full counts Wilson's with the
    cluster-effective n = n / design effect (Korn and Graubard 1998). The design effect compares the
    variance between folds with the binomial's; it is pooled over the axis `pool` of the totals (a
    row's cells share their customers) and, where a row says nothing, over everything; never below 1.
    A row within a single fold counts as one observation, since it may be one customer.

    >>> by_fold = np.ones((50, 1))
    >>> full = proportions(by_fold, by_fold)
    >>> full.estimate.tolist(), full.low.round(3).tolist(), full.high.tolist()
    ([1.0], [0.925], [1.0])
    """
    x_f = np.asarray(successes, dtype=float)
    n_f = np.broadcast_to(np.asarray(trials, dtype=float), x_f.shape)
    x, n = x_f.sum(axis=0), n_f.sum(axis=0)
    if (x_f < 0).any() or (x_f > n_f + 1e-9).any():
        raise CxValueError("proportions needs 0 <= successes <= trials in every fold.")
    folds = (n_f > 0).sum(axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        p = x / n
        residual = np.where(n_f > 0, x_f - p * n_f, 0.0)
        without = np.where(n_f > 0, n - n_f, np.inf)
        several = folds >= 2
        se = np.sqrt((folds - 1) / folds * ((residual / np.where(several, without, np.inf)) ** 2).sum(axis=0))
        t = t_quantile(level, np.maximum(folds - 1.0, 1.0))
        smooth = on_scale(p, se, "logit", t)

        clustered = np.where(several, folds / (folds - 1) * (residual**2).sum(axis=0) / n**2, 0.0)
        binomial = np.where(several, p * (1 - p) / n, 0.0)
        if pool is not None:
            clustered = clustered.sum(axis=pool, keepdims=True)
            binomial = binomial.sum(axis=pool, keepdims=True)
        everything = np.nansum(clustered * n) / np.nansum(binomial * n)
        effect = np.where(binomial > 0, clustered / binomial, everything)
        effect = np.maximum(np.where(np.isfinite(effect), effect, 1.0), 1.0)
        effective = np.where(several, n / effect, np.minimum(n, 1.0))
        wilson_low, wilson_high = wilson_ends(
            p, effective, np.where(several, t, distributions.norm.ppf(0.5 + level / 2))
        )
    usual = (x >= ENOUGH) & (n - x >= ENOUGH) & several & np.isfinite(smooth.low)
    return Interval(
        p, np.where(usual, smooth.low, wilson_low), np.where(usual, smooth.high, wilson_high), smooth.se
    )
