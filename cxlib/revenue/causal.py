"""Naive, adjusted and identified: three estimates of one effect, side by side.

The lesson is LaLonde's (1986, American Economic Review 76(4)): compared with people whom nobody randomised,
the same programme seems to cost what the experiment shows it earns; adjustment helps, and nothing in the
data says by how much. So the words follow the design: a difference, a difference at equal covariates, and
only with randomisation an effect.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats as distributions

from cxlib.errors import CxValueError
from cxlib.results import Claim, Result, number
from cxlib.revenue.columns import numbers

Array = NDArray[np.float64]
Rung = Literal["naive", "adjusted", "identified"]


@dataclass(frozen=True)
class Effect(Result):
    """Difference in a mean outcome between treated and controls.

    rung : naive (as they came), adjusted (at equal covariates), identified (randomised)
    outcome : its name; estimate, low, high and both errors are in its unit
    se : HC2, which holds where the groups differ in spread; the interval's own
    se_classical : as if all varied alike, as regression tables print it
    n, treated, controls : rows
    covariates : what was held equal
    """

    rung: Rung
    outcome: str
    estimate: float
    low: float
    high: float
    n: int
    se: float
    se_classical: float
    treated: int
    controls: int
    covariates: tuple[str, ...] = ()

    def table(self) -> pd.DataFrame:
        """One row: rung, estimate, low, high, n, se, se_classical, treated, controls."""
        return pd.DataFrame([vars(self)])[_COLUMNS]

    def claim(self) -> Claim:
        """The estimate in the words its design earns."""
        ends = f"{number(self.estimate)} ({number(self.low)} to {number(self.high)})"
        if self.rung == "identified":
            return Claim(f"By randomisation, the effect on {self.outcome} is {ends}.")
        equal = f" at equal {', '.join(self.covariates)}" if self.covariates else ""
        return Claim(
            f"{self.outcome} of the treated differs from the controls'{equal} by {ends}. "
            "Nobody randomised them: this is not an effect."
        )


_COLUMNS = [f.name for f in fields(Effect) if f.name not in ("outcome", "covariates")]


@dataclass(frozen=True)
class Ladder(Result):
    """Estimates of one effect from the least to the most credible."""

    rungs: tuple[Effect, ...]

    def table(self) -> pd.DataFrame:
        """One row a rung: rung, estimate, low, high, n, se, se_classical, treated, controls."""
        return pd.concat([effect.table() for effect in self.rungs], ignore_index=True)

    def claim(self) -> Claim:
        """What each rung says and, where one is identified, whether the others found it."""
        said = "; ".join(
            f"{effect.rung} {number(effect.estimate)} ({number(effect.low)} to {number(effect.high)})"
            for effect in self.rungs
        )
        said = f"{self.rungs[0].outcome}: {said}."
        last = self.rungs[-1]
        if last.rung != "identified":
            return Claim(f"{said} None of them is identified: the effect is not known.")
        missed = [e.rung for e in self.rungs[:-1] if not e.low <= last.estimate <= e.high]
        if not missed:
            return Claim(
                f"{said} Here the others' intervals hold the identified estimate, which they need not."
            )
        others = " and ".join(missed)
        return Claim(f"{said} The identified estimate is the effect; the {others} interval misses it.")


def difference(
    frame: pd.DataFrame, *, treated: str, outcome: str, randomised: bool = False, level: float = 0.95
) -> Effect:
    """Mean outcome of the treated minus that of the controls.

    `frame` has a row a unit; `treated` names a column of 0 and 1 (or bool), `outcome` one of numbers.
    `randomised` says that chance alone decided who was treated: the one thing that makes the difference an
    effect. The HC2 error is that of unequal variances (Welch), with his degrees of freedom. Raises
    `CxValueError` for missing columns or values, or fewer than two rows on a side.

    >>> frame = pd.DataFrame({"nudged": [1, 1, 1, 0, 0, 0], "spend": [5.0, 7.0, 9.0, 1.0, 2.0, 3.0]})
    >>> round(difference(frame, treated="nudged", outcome="spend", randomised=True).estimate, 9)
    5.0
    """
    t, y = _treated(frame, treated), numbers(frame, outcome)
    parts = [y[t == side].var(ddof=1) / (t == side).sum() for side in (1, 0)]
    sizes = [(t == side).sum() - 1 for side in (1, 0)]
    scale = sum(part**2 / size for part, size in zip(parts, sizes, strict=True))
    df = sum(parts) ** 2 / scale if scale else float(len(y) - 2)
    rung: Rung = "identified" if randomised else "naive"
    return _regression(rung, t, y, np.empty((len(y), 0)), outcome, (), level, df)


def adjusted(
    frame: pd.DataFrame,
    *,
    treated: str,
    outcome: str,
    covariates: Sequence[str],
    randomised: bool = False,
    level: float = 0.95,
) -> Effect:
    """The same difference at equal covariates, by least squares.

    `covariates` name columns of numbers or bools that were settled *before* treatment. Without
    randomisation it is right only if they hold all that decides both treatment and outcome, in a straight
    line, which no data can show. Raises as `difference` does, and for covariates that follow from others.
    """
    if isinstance(covariates, str) or not covariates:
        raise CxValueError("covariates must be a list of at least one column; without any, use difference.")
    if twice := {treated, outcome} & set(covariates):
        raise CxValueError(f"`{', '.join(sorted(twice))}` cannot also be a covariate.")
    t, y = _treated(frame, treated), numbers(frame, outcome)
    X = np.column_stack([numbers(frame, name) for name in covariates])
    rung: Rung = "identified" if randomised else "adjusted"
    return _regression(rung, t, y, X, outcome, tuple(covariates), level, float(len(y) - 2 - X.shape[1]))


def ladder(
    naive: Effect | None = None, adjusted: Effect | None = None, identified: Effect | None = None
) -> Ladder:
    """Put estimates of one outcome side by side; `identified` must come from a randomised design.

    Labels come from the place: a randomised estimate may stand in for no other rung. Raises `CxValueError`
    for an estimate in a place its design has not earned, for several outcomes, or for none.
    """
    given = {"naive": naive, "adjusted": adjusted, "identified": identified}
    rungs = tuple(effect for effect in given.values() if effect is not None)
    if not rungs:
        raise CxValueError("A ladder needs at least one estimate: naive=, adjusted= or identified=.")
    for place, effect in given.items():
        if effect is not None and effect.rung != place:
            raise CxValueError(
                f"{place}= got an estimate that is {effect.rung}. Only `randomised=True` makes one identified."
            )
    if len({effect.outcome for effect in rungs}) > 1:
        raise CxValueError(f"The estimates are of several outcomes: {', '.join(e.outcome for e in rungs)}.")
    return Ladder(rungs)


def _regression(
    rung: Rung,
    t: Array,
    y: Array,
    X: Array,
    outcome: str,
    covariates: tuple[str, ...],
    level: float,
    df: float,
) -> Effect:
    """Least squares of y on treatment and X: what of t the rest cannot explain carries the estimate."""
    rest = np.column_stack([np.ones(len(y)), X])
    # Columns of one length: dollars beside indicators must not decide what counts as a dependence.
    rest = rest / np.maximum(np.linalg.norm(rest, axis=0), np.finfo(float).tiny)
    if np.linalg.matrix_rank(np.column_stack([rest, t / np.linalg.norm(t)])) <= rest.shape[1] or df < 1:
        raise CxValueError(
            f"The covariates {', '.join(covariates)} follow from each other, or decide who is treated, or are "
            f"more than {len(y)} rows can tell apart. Leave some out."
        )
    basis = np.linalg.qr(rest)[0]
    own = t - basis @ (basis.T @ t)
    size = float(own @ own)
    estimate = float(own @ y) / size
    residual = y - basis @ (basis.T @ y) - estimate * own
    # Each row's pull on its own fitted value; HC2 divides by what is left (MacKinnon & White 1985).
    free = 1 - (basis**2).sum(axis=1) - own**2 / size
    # A row that is fitted exactly, whatever its outcome, says nothing about the errors.
    known = free > 1e-10
    se = float(np.sqrt(((own[known] * residual[known]) ** 2 / free[known]).sum()) / size)
    classical = float(np.sqrt((residual @ residual) / (len(y) - rest.shape[1] - 1) / size))
    reach = float(distributions.t.ppf(0.5 + level / 2, df)) * se
    low, high, n, ones = estimate - reach, estimate + reach, len(y), int(t.sum())
    return Effect(rung, outcome, estimate, low, high, n, se, classical, ones, n - ones, covariates)


def _treated(frame: pd.DataFrame, name: str) -> Array:
    t = numbers(frame, name)
    if not np.isin(t, (0, 1)).all():
        found = ", ".join(f"{value:g}" for value in np.unique(t)[:3])
        raise CxValueError(f"`{name}` must be 0 (control) or 1 (treated); it has {found}.")
    if min(t.sum(), (1 - t).sum()) < 2:
        raise CxValueError(
            f"A difference needs two treated and two controls; there are {t.sum():g} and {(1 - t).sum():g}."
        )
    return t
