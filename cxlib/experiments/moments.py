"""All that an experiment's effects need to know of its customers: counts, sums and cross products by arm.

An engine that adds can provide them for any number of rows; the maths begins here and sees no row.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cxlib.errors import CxValueError

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Moments:
    """Sums over the customers of each arm, of `columns` less `shift`.

    arms : names, the control first
    n : (arms,) customers
    sums : (arms, columns)
    products : (arms, columns, columns) sums of products of two columns
    shift : (columns,) any constants near the means; without them a variance that is small beside its
        mean would be the difference of two huge numbers
    """

    arms: tuple[str, ...]
    columns: tuple[str, ...]
    n: Array
    sums: Array
    products: Array
    shift: Array

    @property
    def mean(self) -> Array:
        """(arms, columns)."""
        return self.shift + self.sums / self.n[:, None]

    @property
    def covariance(self) -> Array:
        """(arms, columns, columns), within arms, with n - 1 below."""
        centred = self.products - self.sums[:, :, None] * self.sums[:, None, :] / self.n[:, None, None]
        size = np.sqrt(np.diagonal(self.products, axis1=1, axis2=2))
        # What rounding left of a constant is no variance.
        centred[np.abs(centred) <= 1e-12 * size[:, :, None] * size[:, None, :]] = 0.0
        return centred / (self.n - 1)[:, None, None]

    def padded(self) -> Moments:
        """The same with one success and one failure more in each arm, for a single 0/1 column."""
        s = self.shift
        return Moments(
            self.arms,
            self.columns,
            self.n + 2,
            self.sums + (1 - 2 * s),
            self.products + (s**2 + (1 - s) ** 2),
            s,
        )


def aggregates(frame: pd.DataFrame, variant: str, columns: Sequence[str], arms: Sequence[str]) -> Moments:
    """Moments of numeric columns by arm; rows that lack one of the columns are left out.

    `arms` are the values of `variant` as text, the control first. Raises CxValueError for an arm of
    fewer than two customers.

    >>> frame = pd.DataFrame({"arm": ["a", "a", "b", "b"], "y": [1.0, 3.0, 2.0, 6.0]})
    >>> aggregates(frame, "arm", ["y"], ["a", "b"]).mean.tolist()
    [[2.0], [4.0]]
    """
    values = frame[list(columns)].to_numpy(dtype=float)
    code = pd.Categorical(frame[variant].astype(str), categories=list(arms)).codes
    code = np.where(np.isnan(values).any(axis=1) | frame[variant].isna(), -1, code)
    counts = np.array([(code == a).sum() for a in range(len(arms))], dtype=float)
    for name, n in zip(arms, counts, strict=True):
        if n < 2:
            raise CxValueError(
                f"The arm `{name}` has {n:.0f} customer(s) with {' and '.join(columns)}; it takes at least two. "
                "Leave the arm or the column out."
            )
    shift = values[code >= 0].mean(axis=0)
    blocks = [values[code == a] - shift for a in range(len(arms))]
    return Moments(
        tuple(arms),
        tuple(columns),
        counts,
        np.stack([block.sum(axis=0) for block in blocks]),
        np.stack([block.T @ block for block in blocks]),
        shift,
    )
