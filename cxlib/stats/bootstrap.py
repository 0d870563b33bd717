"""Means of heavy tails: the bootstrap-t interval, over customers.

A few large orders make a mean's own error vary with it, so that mean and error miss together, and plain
intervals are too low and too short. The bootstrap-t (Efron 1981; Hall 1988, Annals of Statistics 16)
studentises every resample and reads the quantiles of that. Log-normal amounts, n = 300, 95 % asked for:
log-sd 1, .93 to .94 (plain .93); log-sd 1.5, .92 (.86); log-sd 2, where half the mean comes from one
customer in forty, .87 (.78). No interval from the data alone does better there: what has not been seen
cannot be resampled.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from cxlib.errors import CxValueError
from cxlib.stats.intervals import Array, Interval

CELLS = 2_000_000  # counts held at once: 16 MB


def bootstrap_t(
    values: ArrayLike,
    clusters: ArrayLike | None = None,
    level: float = 0.95,
    draws: int = 2000,
    seed: int = 0,
    weights: ArrayLike | None = None,
) -> Interval:
    """Bootstrap-t interval of the mean of each column of `values`, (n,) or (n, k).

    `clusters`: whom each row belongs to; then these are resampled. `weights`: of rows, not negative; the
    mean is sum(w x) / sum(w), so a ratio of sums a / b is the mean of a / b with weights b. Columns share
    their resamples. An end is NaN where resamples without any spread are too many to tell. Raises
    CxValueError for values that are not finite, or lengths that differ.

    >>> spent = np.random.default_rng(0).lognormal(3, 1, 400)
    >>> one = bootstrap_t(spent)
    >>> bool(one.low < spent.mean() < one.high), bool(one.high - one.estimate > one.estimate - one.low)
    (True, True)
    """
    x = np.asarray(values, dtype=float)
    shape, x = x.shape[1:], x.reshape(len(x), -1)
    w = np.ones(len(x)) if weights is None else np.asarray(weights, dtype=float)
    if w.shape != (len(x),) or (clusters is not None and len(np.asarray(clusters)) != len(x)):
        raise CxValueError(f"There are {len(x):,} values; weights and clusters need one for each.")
    if not (np.isfinite(x).all() and np.isfinite(w).all() and (w >= 0).all() and w.sum() > 0):
        raise CxValueError("Values and weights must be finite, and weights not negative nor all 0.")
    mean = w @ x / w.sum()
    # What a unit adds to the mean's numerator, centred, and to its denominator: all that a resample needs.
    own, size = w[:, None] * (x - mean), w
    if clusters is not None:
        place, groups = pd.factorize(np.asarray(clusters))
        own = np.stack([np.bincount(place, column, len(groups)) for column in own.T], axis=1)
        size = np.bincount(place, w, len(groups))
    n = len(size)
    if n < 2:
        unknown = np.full(shape, np.nan)
        return Interval(mean.reshape(shape), unknown, unknown, unknown)
    se = np.sqrt((own**2).sum(axis=0) * n / (n - 1)) / size.sum()
    ratio = _studentised(own, size, draws, np.random.default_rng(seed))
    tail = (1 - level) / 2
    # Method `lower` and `higher`: infinite resamples must not be averaged with finite ones.
    upper, lower = (
        np.quantile(ratio, 1 - tail, axis=0, method="higher"),
        np.quantile(ratio, tail, axis=0, method="lower"),
    )
    ends = [np.where(np.isfinite(q), mean - q * se, np.nan) for q in (upper, lower)]
    return Interval(*(np.asarray(one).reshape(shape) for one in (mean, *ends, se)))


def _studentised(own: Array, size: Array, draws: int, rng: np.random.Generator) -> Array:
    """(draws, k): the error of each resampled mean over its own standard error.

    A resample is how often each unit is in it; everything else is one product of matrices.
    """
    n, k = own.shape
    columns = np.column_stack([size, size**2, own, own**2, own * size[:, None]])
    found = np.empty((draws, k))
    at_once = max(1, CELLS // n)
    for start in range(0, draws, at_once):
        count = min(at_once, draws - start)
        times = np.stack([np.bincount(rng.integers(0, n, n), minlength=n) for _ in range(count)])
        total = times.astype(float) @ columns
        whole, squares = total[:, :1], total[:, 1:2]
        first, second, mixed = np.split(total[:, 2:], 3, axis=1)
        with np.errstate(divide="ignore", invalid="ignore"):
            error = first / whole
            spread = np.maximum(second - 2 * error * mixed + error**2 * squares, 0) * n / (n - 1)
            t = first / np.sqrt(spread)
        found[start : start + count] = np.where(np.isnan(t), 0.0, t)
    return found
