"""Failures that chance deals out: an effect where, given a load, nothing else decides whom they hit.

Customers who meet a failure differ from others: they came at busy hours, by the longer queue, without the
gold card. If all of that works through the length of the queue, then among customers who waited equally
long the failure is as good as drawn by lot. Both the chance of a failure and the outcome are modelled,
and the estimate is right if either model is (Robins, Rotnitzky & Zhao 1994, JASA 89).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy import special

from cxlib.errors import CxValueError
from cxlib.frames import numbers
from cxlib.results import nice, percent
from cxlib.revenue.causal import Effect
from cxlib.revenue.regression import Array, held_equal, two_sides
from cxlib.revenue.units import PLAIN, Unit

OVERLAP = 0.01
"""Rows whose chance of treatment lies within this of 0 or 1 have nobody to be compared with."""


def as_good_as_random(
    frame: pd.DataFrame,
    *,
    treated: str,
    outcome: str,
    given: str,
    covariates: Sequence[str] = (),
    unit: Unit = PLAIN,
) -> Effect:
    """Average effect of `treated` (0 and 1) on `outcome`, if chance alone decides at equal `given`.

    `given` is a column of numbers settled before treatment, bent freely (a cubic spline); `covariates`,
    settled before it too, only sharpen the estimate. Rows whose chance of treatment is under 1 % or over
    99 % have nobody to be compared with: they are left out, and the note says how many. The error is that
    of the estimate's influence function, with Student's t. Raises CxError for missing columns or values,
    and where nobody is left to compare.

    The assumption is not in the interval, and no data can show it: what *can* be shown is whether customers
    who waited equally long and failed were alike before (a difference that should be none).

    >>> rng = np.random.default_rng(0)
    >>> queue = rng.gamma(2, 4, 4000)
    >>> failed = rng.random(4000) < special.expit(0.3 * queue - 3)
    >>> back = rng.random(4000) < 0.6 - 0.02 * np.minimum(queue, 20) - 0.1 * failed
    >>> frame = pd.DataFrame({"failed": failed, "back": back, "queue": queue})
    >>> found = as_good_as_random(frame, treated="failed", outcome="back", given="queue")
    >>> found.low < -0.1 < found.high
    True
    """
    X = held_equal(frame, covariates, {treated, outcome, given})
    t, y = two_sides(frame, treated), numbers(frame, outcome)
    load = _bent(numbers(frame, given))
    chance = _chance(t, load)
    kept = (chance > OVERLAP) & (chance < 1 - OVERLAP)
    sides = [int((t[kept] == side).sum()) for side in (0, 1)]
    design = np.column_stack([load, X])[kept]
    if min(sides) < design.shape[1] + 2:
        raise CxValueError(
            f"At equal `{given}` there are {sides[1]} treated and {sides[0]} controls who could have been the other: "
            "too few to compare. Look at their loads first."
        )
    t, y, chance = t[kept], y[kept], chance[kept]
    gain = np.zeros(len(y))
    for side, sign, p in ((1, 1, chance), (0, -1, 1 - chance)):
        fitted, residual = _line(design, y, t == side)
        gain += sign * fitted
        gain[t == side] += sign * residual / p[t == side]
    se, df = float(gain.std(ddof=1) / np.sqrt(len(gain))), float(min(sides) - design.shape[1])
    left = f" {int((~kept).sum()):,} customers beyond that are left out." if not kept.all() else ""
    note = (
        f"The chance of {nice(treated)} runs from {percent(chance.min())} to {percent(chance.max())}.{left}"
    )
    basis = f"If at equal {nice(given)} chance alone decides"
    more = {"covariates": (given, *covariates), "basis": basis, "note": note, "unit": unit}
    return Effect.of("identified", outcome, float(gain.mean()), se, (sides[1], sides[0]), df, **more)


def _bent(x: Array) -> Array:
    """A constant and a natural cubic spline with five knots at fixed quantiles (Harrell 2001), scaled;
    of few different values, an indicator each."""
    values = np.unique(x)
    if len(values) <= 6:
        return np.asarray(x[:, None] == values, dtype=float)
    knots = np.unique(np.quantile(x, [0.05, 0.275, 0.5, 0.725, 0.95]))
    if len(knots) < 3:
        return np.column_stack([np.ones(len(x)), x == values[0], (x - x.mean()) / x.std()])
    cube = lambda k: np.maximum(x - k, 0) ** 3  # noqa: E731
    last, before = knots[-1], knots[-2]
    curves = [
        cube(k) - (cube(before) * (last - k) - cube(last) * (before - k)) / (last - before)
        for k in knots[:-2]
    ]
    columns = np.column_stack([x, *curves])
    return np.column_stack([np.ones(len(x)), (columns - columns.mean(axis=0)) / columns.std(axis=0)])


def _chance(t: Array, load: Array) -> Array:
    """The chance of treatment by logistic regression on the load, Newton's steps with a touch of ridge."""
    weights = np.zeros(load.shape[1])
    ridge = 1e-6 * len(t) * np.eye(load.shape[1])
    for _ in range(50):
        p = special.expit(load @ weights)
        step = np.linalg.solve(
            load.T @ (load * (p * (1 - p))[:, None]) + ridge, load.T @ (t - p) - ridge @ weights
        )
        weights = weights + step / max(1.0, float(np.abs(step).max()) / 4)
        if np.abs(step).max() < 1e-8:
            break
    return np.asarray(special.expit(load @ weights))


def _line(design: Array, y: Array, rows: Array) -> tuple[Array, Array]:
    """Least squares on some rows: fitted values of all, and the rows' residuals, as large as they would be
    had each row not been fitted (HC3's, which small groups need)."""
    own = design[rows]
    inverse = np.linalg.pinv(own.T @ own)
    slopes = inverse @ (own.T @ y[rows])
    pull = np.einsum("ij,jk,ik->i", own, inverse, own)
    return design @ slopes, (y[rows] - own @ slopes) / np.maximum(1 - pull, 1e-6)
