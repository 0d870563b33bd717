"""Naive, adjusted and identified: three estimates of one effect, side by side.

The lesson is LaLonde's (1986, American Economic Review 76(4)): compared with people whom nobody randomised,
the same programme seems to cost what the experiment shows it earns; adjustment helps, and nothing in the
data says by how much. So the words follow the design: a difference, a difference at equal covariates, and
only where a design earns it an effect, said together with what must be true for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd

from cxlib.errors import CxValueError
from cxlib.frames import numbers
from cxlib.results import Claim, Result, nice, number
from cxlib.revenue.regression import Array, coefficient, held_equal, two_sides
from cxlib.revenue.units import PLAIN, Unit
from cxlib.stats import laws as distributions

Rung = Literal["naive", "adjusted", "identified"]


@dataclass(frozen=True)
class Effect(Result):
    """Difference in a mean outcome between treated and controls.

    rung : naive (as they came), adjusted (at equal covariates), identified (by a design)
    outcome : its name; estimate, low, high and both errors are in its unit
    n, treated, controls : rows
    se : HC2, which holds where the groups differ in spread; the interval's own
    se_classical : as if all varied alike, as regression tables print it (NaN where that has no meaning)
    covariates : what was held equal
    basis : what makes an identified one an effect, as a sentence begins
    note : what else a reader must know: overlap, first stage
    df : degrees of freedom of the interval
    unit : of the outcome, for people

    An end that is infinite: the data set no bound on that side.
    """

    rung: Rung
    outcome: str
    estimate: float
    low: float
    high: float
    n: int
    se: float
    treated: int
    controls: int
    se_classical: float = np.nan
    covariates: tuple[str, ...] = ()
    basis: str = ""
    note: str = ""
    df: float = np.inf
    unit: Unit = PLAIN

    @classmethod
    def of(
        cls,
        rung: Rung,
        outcome: str,
        estimate: float,
        se: float,
        sides: tuple[int, int],
        df: float,
        **more: Any,
    ) -> Effect:
        """An estimate of some treated and controls (`sides`) with Student's t."""  # fmt: skip
        reach = float(distributions.t.ppf(0.975, df)) * se
        ends = (estimate, estimate - reach, estimate + reach)
        return cls(rung, outcome, *ends, sum(sides), se, *sides, df=df, **more)

    def table(self) -> pd.DataFrame:
        """One row: rung, estimate, low, high, n, se, se_classical, treated, controls."""
        return pd.DataFrame([vars(self)])[COLUMNS]

    def said(self) -> str:
        """The estimate with its interval, in words."""
        if not np.isfinite([self.low, self.high]).all():
            return f"{self.unit.say(self.estimate)} (no bound can be given)"
        low = number(self.low / self.unit.size)
        return f"{self.unit.say(self.estimate)} ({low} to {self.unit.say(self.high)})"

    def claim(self) -> Claim:
        """The estimate in the words its design earns."""
        what = f"the effect on {nice(self.outcome)} is {self.said()}."
        if self.rung == "identified":
            return Claim(f"{self.basis}, {what} {self.note}".strip())
        equal = f" at equal {', '.join(nice(one) for one in self.covariates)}" if self.covariates else ""
        return Claim(
            f"{nice(self.outcome).capitalize()} of the treated differs from the controls'{equal} by {self.said()}. "
            "Nobody randomised them: this is not an effect."
        )

    def shown(self) -> pd.DataFrame:
        """The table with money in the currency."""
        return self.unit.shown(self.table(), MEASURED)


COLUMNS = ["rung", "estimate", "low", "high", "n", "se", "se_classical", "treated", "controls"]
MEASURED = ("estimate", "low", "high", "se", "se_classical")
RANDOMISED = "By randomisation"


@dataclass(frozen=True)
class Ladder(Result):
    """Estimates of one effect from the least to the most credible: `rungs`; `says` what of, for people."""

    rungs: tuple[Effect, ...]
    says: str = ""

    def table(self) -> pd.DataFrame:
        """One row a rung: rung, estimate, low, high, n, se, se_classical, treated, controls."""
        return pd.concat([effect.table() for effect in self.rungs], ignore_index=True)

    def claim(self) -> Claim:
        """What each rung says and, where one is identified, whether the others found it."""
        said = "; ".join(f"{effect.rung} {effect.said()}" for effect in self.rungs)
        last = self.rungs[-1]
        said = f"{self.says or nice(last.outcome).capitalize()}: {said}, on {last.n:,} customers."
        if last.rung != "identified":
            return Claim(f"{said} None of them is identified: the effect is not known.")
        if not np.isfinite([last.low, last.high]).all():
            return Claim(f"{said} {last.note} The effect is not known.")
        missed = [e.rung for e in self.rungs[:-1] if not e.low <= last.estimate <= e.high]
        if not missed:
            return Claim(f"{said} The others' intervals hold it too, which they need not.")
        others = " and ".join(missed)
        return Claim(
            f"{said} {last.basis}, the identified estimate is the effect; the {others} "
            f"{'interval misses' if len(missed) == 1 else 'intervals miss'} it."
        )

    def shown(self) -> pd.DataFrame:
        """The table with money in the currency, and one standard error only."""
        return self.rungs[-1].unit.shown(self.table(), MEASURED).drop(columns="se_classical")


def difference(
    frame: pd.DataFrame,
    *,
    treated: str,
    outcome: str,
    randomised: bool = False,
    unit: Unit = PLAIN,
) -> Effect:
    """Mean outcome of the treated minus that of the controls.

    `frame` has a row a unit; `treated` names a column of 0 and 1 (or bool), `outcome` one of numbers.
    `randomised` says that chance alone decided who was treated: the one thing that makes the difference an
    effect. The HC2 error is that of unequal variances (Welch), with his degrees of freedom. Raises
    `CxError` for missing columns or values, or fewer than two rows on a side.

    >>> frame = pd.DataFrame({"nudged": [1, 1, 1, 0, 0, 0], "spend": [5.0, 7.0, 9.0, 1.0, 2.0, 3.0]})
    >>> round(difference(frame, treated="nudged", outcome="spend", randomised=True).estimate, 9)
    5.0
    """
    t, y = two_sides(frame, treated), numbers(frame, outcome)
    parts = [y[t == side].var(ddof=1) / (t == side).sum() for side in (1, 0)]
    sizes = [(t == side).sum() - 1 for side in (1, 0)]
    scale = sum(part**2 / size for part, size in zip(parts, sizes, strict=True))
    df = sum(parts) ** 2 / scale if scale else float(len(y) - 2)
    rung: Rung = "identified" if randomised else "naive"
    return _effect(rung, t, y, np.empty((len(y), 0)), outcome, (), df, unit)


def adjusted(
    frame: pd.DataFrame,
    *,
    treated: str,
    outcome: str,
    covariates: Sequence[str],
    randomised: bool = False,
    unit: Unit = PLAIN,
) -> Effect:
    """The same difference at equal covariates, by least squares.

    `covariates` name columns of numbers or bools that were settled *before* treatment. Without
    randomisation it is right only if they hold all that decides both treatment and outcome, in a straight
    line, which no data can show. Raises as `difference` does, and for covariates that follow from others.
    """
    if isinstance(covariates, str) or not covariates:
        raise CxValueError("covariates must be a list of at least one column; without any, use difference.")
    X = held_equal(frame, covariates, {treated, outcome})
    t, y = two_sides(frame, treated), numbers(frame, outcome)
    rung: Rung = "identified" if randomised else "adjusted"
    return _effect(rung, t, y, X, outcome, tuple(covariates), float(len(y) - 2 - X.shape[1]), unit)


def ladder(
    naive: Effect | None = None,
    adjusted: Effect | None = None,
    identified: Effect | None = None,
    says: str = "",
) -> Ladder:
    """Put estimates of one outcome side by side; `identified` must come from a design. `says` what they are of.

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
                f"{place}= got an estimate that is {effect.rung}. Only a design makes one identified: "
                "`randomised=True`, as_good_as_random, encouraged or rollout."
            )
    if len({effect.outcome for effect in rungs}) > 1:
        raise CxValueError(f"The estimates are of several outcomes: {', '.join(e.outcome for e in rungs)}.")
    return Ladder(rungs, says)


def _effect(
    rung: Rung,
    t: Array,
    y: Array,
    X: Array,
    outcome: str,
    covariates: tuple[str, ...],
    df: float,
    unit: Unit,
) -> Effect:
    found = coefficient(t, y[:, None], X, covariates)
    se, sides = float(np.sqrt(found.covariance.item())), (int(t.sum()), int((1 - t).sum()))
    basis = RANDOMISED if rung == "identified" else ""
    more = {"se_classical": found.classical.item(), "covariates": covariates, "basis": basis, "unit": unit}
    return Effect.of(rung, outcome, found.estimate.item(), se, sides, df, **more)
