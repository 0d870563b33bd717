"""Ratios over clusters (customers), from seven sums that any engine can make."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from cxlib.stats.intervals import Array


class Clustered(NamedTuple):
    """What the sampling error of a ratio needs to know of its clusters: sums, made on any engine.

    A ratio is value over weight, both summed over clusters (customers). Fields, of one shape:
    `clusters`, how many; `answers`, observations, or with weights Kish's (sum w)^2 / sum w^2;
    `weight`, `value`, their sums; `weight2`, `value2`, `product`, the sums over clusters of their
    squares and product. Linearised variance of a ratio: Cochran 1977, Sampling Techniques, 6.3.

    >>> two_each = Clustered.of([1, 1, 0, 0, 1, 0], clusters=["a", "a", "b", "b", "c", "c"])
    >>> float(two_each.ratio), float(two_each.effective(.25).round(2))
    (0.5, 3.6)
    """

    clusters: Array
    answers: Array
    weight: Array
    value: Array
    weight2: Array
    value2: Array
    product: Array

    @classmethod
    def of(
        cls, values: ArrayLike, weights: ArrayLike | None = None, clusters: ArrayLike | None = None
    ) -> Clustered:
        """From one value, one weight (1) and one cluster (else its own) a row; all 1-D."""
        x = np.asarray(values, dtype=float)
        w = np.ones(len(x)) if weights is None else np.asarray(weights, dtype=float)
        code = np.arange(len(x)) if clusters is None else pd.factorize(np.asarray(clusters))[0]
        nameless = code < 0  # a row without a name is a cluster of its own
        code = np.where(nameless, len(x) + np.cumsum(nameless), code)
        code = np.unique(code, return_inverse=True)[1]
        x_c, w_c = np.bincount(code, x * w), np.bincount(code, w)
        answers = w.sum() ** 2 / (w**2).sum() if len(w) else 0.0
        sums = (len(x_c), answers, w_c.sum(), x_c.sum(), (w_c**2).sum(), (x_c**2).sum(), (x_c * w_c).sum())
        return cls(*(np.asarray(one, dtype=float) for one in sums))

    @property
    def ratio(self) -> Array:
        """Value over weight; NaN of nothing."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return self.value / self.weight

    @property
    def variance(self) -> Array:
        """Variance of the ratio between clusters; NaN with fewer than two."""
        with np.errstate(divide="ignore", invalid="ignore"):
            residual = self.value2 - 2 * self.ratio * self.product + self.ratio**2 * self.weight2
            residual = np.where(residual > 1e-9 * np.maximum(self.value2, 1), residual, 0.0)  # rounding
            return (
                np.where(self.clusters > 1, self.clusters / (self.clusters - 1), np.nan)
                * residual
                / self.weight**2
            )

    @property
    def df(self) -> Array:
        """Degrees of freedom for t: clusters - 1."""
        return np.asarray(self.clusters) - 1.0

    def effective(self, spread: ArrayLike) -> Array:
        """Answers over the design effect (at least 1), where one answer alone has variance `spread`.

        Where all clusters agree there is no variance to compare with: it is then Kish's number of
        clusters, (sum w)^2 / sum w^2 over them.
        """
        with np.errstate(divide="ignore", invalid="ignore"):
            alone = np.asarray(spread) / np.maximum(self.answers - 1, 1e-9)
            effect = np.maximum(self.variance / alone, 1.0)
            agreed = ~(self.variance > 0)
            return np.where(
                agreed, self.weight**2 / self.weight2, self.answers / np.where(agreed, 1.0, effect)
            )
