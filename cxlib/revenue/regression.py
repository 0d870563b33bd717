"""One coefficient by least squares, with errors that hold where the groups differ in spread."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cxlib.errors import CxValueError
from cxlib.frames import numbers

Array = NDArray[np.float64]


class Coefficient(NamedTuple):
    """What one column explains of each outcome at equal others: estimate (k,), its HC2 covariance (k, k),
    and the errors as if all rows varied alike (k,)."""

    estimate: Array
    covariance: Array
    classical: Array


def coefficient(t: Array, outcomes: Array, held: Array, names: Sequence[str] = ()) -> Coefficient:
    """Regress each column of `outcomes` (n, k) on `t` (n,), a constant and `held` (n, m), called `names`.

    What of `t` the rest cannot explain carries the estimate (Frisch & Waugh 1933). Raises CxValueError
    where nothing is left of it.
    """
    n = len(t)
    rest = np.column_stack([np.ones(n), held])
    # Columns of one length: dollars beside indicators must not decide what counts as a dependence.
    rest = rest / np.maximum(np.linalg.norm(rest, axis=0), np.finfo(float).tiny)
    spare = n - rest.shape[1] - 1
    if np.linalg.matrix_rank(np.column_stack([rest, t / np.linalg.norm(t)])) <= rest.shape[1] or spare < 1:
        raise CxValueError(
            f"The covariates {', '.join(names)} follow from each other, or decide who is treated, or are "
            f"more than {n} rows can tell apart. Leave some out."
        )
    basis = np.linalg.qr(rest)[0]
    own = t - basis @ (basis.T @ t)
    size = float(own @ own)
    estimate = own @ outcomes / size
    residual = outcomes - basis @ (basis.T @ outcomes) - np.outer(own, estimate)
    # Each row's pull on its own fitted value; HC2 divides by what is left (MacKinnon & White 1985).
    free = 1 - (basis**2).sum(axis=1) - own**2 / size
    # A row that is fitted exactly, whatever its outcome, says nothing about the errors.
    known = free > 1e-10
    pull = own[known, None] * residual[known] / np.sqrt(free[known, None])
    classical = np.sqrt((residual**2).sum(axis=0) / spare / size)
    return Coefficient(estimate, pull.T @ pull / size**2, classical)


def two_sides(frame: pd.DataFrame, name: str) -> Array:
    """A column of 0 and 1 with at least two rows on each side, or CxValueError."""
    t = numbers(frame, name)
    if not np.isin(t, (0, 1)).all():
        found = ", ".join(f"{value:g}" for value in np.unique(t)[:3])
        raise CxValueError(f"`{name}` must be 0 (control) or 1 (treated); it has {found}.")
    if min(t.sum(), (1 - t).sum()) < 2:
        raise CxValueError(
            f"A difference needs two treated and two controls; there are {t.sum():g} and {(1 - t).sum():g}."
        )
    return t


def held_equal(frame: pd.DataFrame, covariates: Sequence[str], others: set[str]) -> Array:
    """The covariates as columns (n, m); CxValueError for text, or for a column that plays another part."""
    if isinstance(covariates, str):
        raise CxValueError("covariates must be a list of columns.")
    if twice := others & set(covariates):
        raise CxValueError(f"`{', '.join(sorted(twice))}` cannot also be a covariate.")
    return np.column_stack([np.empty((len(frame), 0)), *(numbers(frame, name) for name in covariates)])
