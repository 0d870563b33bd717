"""What goes with what, alone and together: least squares on sums by fold of customers."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from cxlib import stats
from cxlib.stats import Array, Interval


def differences(
    y: Array, has: Array, fold: NDArray[np.int64], truly: Array | None = None
) -> tuple[Interval, Interval]:
    """Difference in the mean of `y` that goes with each column of `has`, alone, and all columns together.

    `has` is (n, k), without gaps; `truly`, where it was looked up for some rows, what they really have (NaN in
    all others): the moments of `has` are then put right by how the two differ. A column that is a sum of others
    cannot be told apart: NaN. Jackknife over folds of customers with t; each interval is (k,).

    >>> rng = np.random.default_rng(0)
    >>> has = rng.integers(0, 2, (4000, 2)).astype(float)
    >>> alone, together = differences(has[:, 0] + rng.normal(0, 1, 4000), has, np.arange(4000) % 50)
    >>> together.estimate.round(1).tolist()
    [1.0, 0.0]
    """
    one = np.ones((len(y), 1))
    z = np.hstack([one, has, y[:, None]])
    parts: list[tuple[Array, Array, Any]] = [(z, z, np.ones(len(y), dtype=bool))]
    if truly is not None:
        known, read = ~np.isnan(truly).any(axis=1), np.hstack([one, np.nan_to_num(truly), y[:, None]])
        parts += [(read, read, known), (-z, z, known)]
    sums = np.zeros((stats.FOLDS, len(parts), z.shape[1], z.shape[1]))
    for which in np.unique(fold):
        for place, (left, right, used) in enumerate(parts):
            here = used & (fold == which)
            sums[which, place] = left[here].T @ right[here]
    found = stats.jackknife(sums, _slopes, scale="identity")
    alone, together = (stats.Interval(*(end[which] for end in found)) for which in (0, 1))
    return alone, together


def _slopes(total: Array) -> Array:
    """Slopes of y on each column alone and on all together from moments (..., parts, k, k): (..., 2, columns).

    A part's mean is over its own rows, whose number is its first cell.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        moment = (total / np.abs(total[..., :1, :1])).sum(axis=-3)
        centred = moment[..., 1:, 1:] - moment[..., 1:, :1] * moment[..., :1, 1:]
        within, across = centred[..., :-1, :-1], centred[..., :-1, -1:]
        alone = across[..., 0] / np.diagonal(within, axis1=-2, axis2=-1)
    # NaN where none was looked up, and where a column is a sum of others: its own direction is not all there.
    known = np.isfinite(centred).all(axis=(-1, -2), keepdims=True)
    inverse = np.linalg.pinv(np.where(known, within, 0.0), rcond=1e-8, hermitian=True)
    told = np.diagonal(inverse @ np.where(known, within, 0.0), axis1=-2, axis2=-1) > 1 - 1e-6
    return np.stack([alone, np.where(told, (inverse @ across)[..., 0], np.nan)], axis=-2)
