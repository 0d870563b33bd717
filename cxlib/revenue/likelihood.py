"""The maximum of a likelihood over positive parameters, and what it is worth.

Works on logarithms, so that no parameter leaves its range and intervals stay positive: several starts,
a quasi-Newton run from the best, then Newton steps whose Hessian is the observed information.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import optimize, special

from cxlib.errors import CxValueError
from cxlib.results import Result

Array = NDArray[np.float64]
Score = Callable[[Array], tuple[float, Array]]

BORDER = 12.0
"""Logarithms beyond which a parameter is called infinite (or zero); data are scaled to mean one before."""

STEP = 1e-4  # of the central differences of an exact gradient: their error is about its square
SETTLED = 1e-8  # Newton decrement at the maximum: half of it is the log-likelihood still to be gained


@dataclass(frozen=True)
class Maximum:
    """Where a log-likelihood is largest.

    logs : logarithms of the parameters
    covariance : of `logs`, from the observed information; NaN where there is no interior maximum
    log_likelihood : its value there
    note : why there are no intervals, or empty
    """

    logs: Array
    covariance: Array
    log_likelihood: float
    note: str

    def interval(self, contrast: Sequence[float] | Array) -> tuple[float, float]:
        """Ends (95 %), as logarithms, for a sum of `contrast` times `logs` (delta method)."""
        c = np.asarray(contrast, dtype=float)
        centre = float(c @ self.logs)
        reach = float(special.ndtri(0.975) * np.sqrt(c @ self.covariance @ c))
        return centre - reach, centre + reach


@dataclass(frozen=True)
class Fitted(Result):
    """A model fitted by maximum likelihood.

    maximum : logarithms of `PARAMETERS`, their covariance, the log-likelihood and a note
    n : customers it rests on
    """

    PARAMETERS: ClassVar[tuple[str, ...]] = ()

    maximum: Maximum
    n: int

    @property
    def log_likelihood(self) -> float:
        """Natural logarithm, all customers together."""
        return self.maximum.log_likelihood

    @property
    def note(self) -> str:
        """Empty, or why there are no intervals."""
        return self.maximum.note

    def table(self) -> pd.DataFrame:
        """One row a parameter: parameter, estimate, low, high (observed information, log scale), n."""
        with np.errstate(over="ignore"):
            ends = np.exp([self.maximum.interval(row) for row in np.eye(len(self.PARAMETERS))])
        names, estimate = list(self.PARAMETERS), np.exp(self.maximum.logs)
        return pd.DataFrame(
            {"parameter": names, "estimate": estimate, "low": ends[:, 0], "high": ends[:, 1], "n": self.n}
        )


def maximise(score: Score, names: Sequence[str], starts: Sequence[Sequence[float]], n: float) -> Maximum:
    """The largest of `score`, a function of log-parameters that returns a log-likelihood and its gradient.

    `starts` are parameters (not logarithms), `n` the customers behind the sum (their weights). A maximum at the border of
    the parameters, or on a ridge, comes back with a `note` and NaN for its covariance; `CxValueError` if no
    start has a finite likelihood.
    """

    def loss(logs: Array) -> tuple[float, Array]:
        value, gradient = score(logs)
        if not (np.isfinite(value) and np.isfinite(gradient).all()):
            return 1e10, np.zeros_like(logs)
        return -value / n, -gradient / n

    bounds = [(-BORDER, BORDER)] * len(names)

    def run(logs: Array, **options: float) -> optimize.OptimizeResult:
        return optimize.minimize(loss, logs, jac=True, method="L-BFGS-B", bounds=bounds, options=options)

    scouts = [run(np.log(start), maxiter=5) for start in starts]
    best = run(min(scouts, key=lambda scout: scout.fun).x, maxiter=500, ftol=1e-13, gtol=1e-7)
    logs = np.asarray(best.x)
    if best.fun >= 1e10:
        raise CxValueError(
            "The likelihood is not a finite number anywhere the search began: look for extreme values in the data."
        )
    unknown = np.full((len(logs), len(logs)), np.nan)
    for _ in range(20):
        (value, gradient), information = score(logs), _information(score, logs)
        edge = [name for name, log in zip(names, logs, strict=True) if abs(log) > BORDER - 0.5]
        if edge or not np.isfinite(information).all() or np.linalg.eigvalsh(information)[0] <= 0:
            what = f"of {', '.join(edge)} lies at the border" if edge else "lies on a ridge"
            note = (
                f"The maximum {what}: the data do not tell the parameters apart, so they have no intervals."
            )
            return Maximum(logs, unknown, value, note)
        step = np.linalg.solve(information, gradient)
        if gradient @ step < SETTLED:
            return Maximum(logs, np.asarray(np.linalg.inv(information), dtype=float), value, "")
        # A long step leaves the region where the quadratic means anything: shorten it.
        logs = logs + step / max(1.0, float(np.abs(step).max()))
    note = "The search did not settle: take the estimates as a guess; they have no intervals."
    return Maximum(logs, unknown, score(logs)[0], note)


def _information(score: Score, logs: Array) -> Array:
    """Minus the Hessian, by central differences of the exact gradient."""
    steps = STEP * np.eye(len(logs))
    rows = np.array([(score(logs - h)[1] - score(logs + h)[1]) / (2 * STEP) for h in steps])
    return (rows + rows.T) / 2


def rescaled(best: Maximum, which: int, unit: float, constant: float) -> Maximum:
    """The maximum in the caller's unit: parameter `which` grows by `unit`, the likelihood by `constant`."""
    logs = best.logs + np.where(np.arange(len(best.logs)) == which, np.log(unit), 0.0)
    return Maximum(logs, best.covariance, best.log_likelihood + constant, best.note)
