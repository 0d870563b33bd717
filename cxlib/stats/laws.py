"""Tails and quantiles of the usual distributions, by SciPy's special functions.

`scipy.stats` says the same, after a second of importing that every notebook would spend. Names and
arguments are its own; what is not used here is not here.

>>> round(float(norm.ppf(0.975)), 6), round(float(t.ppf(0.975, 49)), 6)
(1.959964, 2.009575)
"""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import numpy.typing as npt
from scipy import special

norm = SimpleNamespace(
    cdf=special.ndtr,
    sf=lambda x: special.ndtr(-x),
    ppf=special.ndtri,
    isf=lambda q: -special.ndtri(q),
)
t = SimpleNamespace(
    sf=lambda x, df: special.stdtr(df, -x),
    ppf=lambda q, df: special.stdtrit(df, q),
    isf=lambda q, df: -special.stdtrit(df, q),
)
chi2 = SimpleNamespace(
    sf=lambda x, df: special.chdtrc(df, x),
    ppf=lambda q, df: 2 * special.gammaincinv(df / 2, q),
)
f = SimpleNamespace(sf=lambda x, first, second: special.fdtrc(first, second, x))
binom = SimpleNamespace(sf=lambda k, n, p: special.bdtrc(k, n, p))


def alike(cells: npt.NDArray[np.float64]) -> float:
    """The p-value of Pearson's chi-squared test that all rows (or columns) of counts share their shares.

    >>> round(alike(np.array([[10.0, 20.0], [20.0, 10.0]])), 6)
    0.009823
    """
    expected = np.multiply.outer(cells.sum(axis=1), cells.sum(axis=0)) / cells.sum()
    rows, columns = cells.shape
    return float(chi2.sf(((cells - expected) ** 2 / expected).sum(), (rows - 1) * (columns - 1)))
