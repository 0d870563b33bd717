"""Many comparisons: how many of those that stand out would have done so by chance."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from cxlib.errors import CxValueError
from cxlib.stats.intervals import Array


def benjamini_hochberg(p: ArrayLike) -> Array:
    """Adjusted p-values: those at most q form a list with a false discovery rate of at most q.

    `p` is one axis of p-values; NaN (no test was possible) stays NaN and doesn't count as a test.
    Benjamini and Hochberg 1995, J. Royal Statistical Society B 57.

    >>> benjamini_hochberg([.01, .02, .2]).round(3).tolist()
    [0.03, 0.03, 0.2]
    """
    values = np.asarray(p, dtype=float)
    if ((values < 0) | (values > 1)).any():
        raise CxValueError("p-values lie between 0 and 1.")
    adjusted = np.full(values.shape, np.nan)
    known = np.flatnonzero(~np.isnan(values))
    order = known[np.argsort(-values[known], kind="stable")]
    ranks = np.arange(len(order), 0, -1)
    adjusted[order] = np.minimum(np.minimum.accumulate(values[order] * len(order) / ranks), 1.0)
    return adjusted
