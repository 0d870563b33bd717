"""How often customers will buy again (BG/NBD) and what a purchase is worth (Gamma-Gamma).

BG/NBD: Fader, Hardie & Lee (2005), "Counting your customers the easy way", Marketing Science 24(2).
A customer buys at random at a rate of their own (Gamma: r, alpha) and, after each purchase, leaves for good
with a probability of their own (Beta: a, b). Gamma-Gamma: Fader & Hardie (2013), "The Gamma-Gamma model of
monetary value": amounts vary around each customer's own mean, independently of how often they buy.

Both describe; neither says what would change if customers were treated differently.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pandas as pd
from scipy import linalg, special

from cxlib.errors import CxValueError
from cxlib.frames import numbers
from cxlib.results import Claim, Result, number, percent
from cxlib.revenue.likelihood import STEP, Array, Fitted, maximise, rescaled


@dataclass(frozen=True)
class BGNBD(Fitted):
    """Repeat purchase and leaving. alpha is in the frame's unit of time, r, a and b have none."""

    PARAMETERS: ClassVar = ("r", "alpha", "a", "b")

    def alive(self, frame: pd.DataFrame) -> pd.Series:
        """Probability that each customer (a row of frequency, recency, T) has not left.

        By the model a customer without repeat purchase has had no occasion to leave: 1.
        """
        x, recency, T = _checked(frame)
        return pd.Series(_alive(self.maximum.logs, x, recency, T), index=frame.index, name="alive")

    def expected(self, frame: pd.DataFrame, t: float) -> pd.Series:
        """Purchases to expect of each customer (a row of frequency, recency, T) in the `t` after T.

        A customer not yet won is a row of zeros.
        """
        return pd.Series(self.within(frame, [t])[:, 0], index=frame.index, name="expected")

    def within(self, frame: pd.DataFrame, times: Sequence[float]) -> Array:
        """(customers, times) purchases to expect of each customer in each of the `times` after T."""
        of, group = _grouped(*_checked(frame))
        return _expected(self.maximum.logs, of, times)[group]

    def moments(self, frame: pd.DataFrame, t: float) -> tuple[Array, Array]:
        """Mean and variance of each customer's purchases in the `t` after T, the parameters taken as known."""
        of, group = _grouped(*_checked(frame))
        mean, variance = _moments(self.maximum.logs, of, t)
        return mean[group], variance[group]

    def forecast(self, frame: pd.DataFrame, t: float) -> Forecast:
        """Purchases of all customers together in the `t` after T, with an interval.

        The interval holds the uncertainty of the parameters (delta method) and of the purchases themselves,
        on the scale of the square root. It does not hold a change of habits, nor a model that is wrong: on
        CDNOW, the data of the paper, the truth lies above it.
        """
        of, group = _grouped(*_checked(frame))
        count = np.bincount(group)
        logs = self.maximum.logs
        mean, variance = _moments(logs, of, t)
        total = float(count @ mean)
        steps = STEP * np.eye(4)
        slope = np.array(
            [count @ (_expected(logs + h, of, [t]) - _expected(logs - h, of, [t]))[:, 0] for h in steps]
        ) / (2 * STEP)
        se = float(np.sqrt(count @ variance + slope @ self.maximum.covariance @ slope))
        # A count: its root has a steady spread, and stays sensible where less than one purchase is expected.
        root, z = float(np.sqrt(total)), float(special.ndtri(0.975))
        reach = z * se / (2 * root) if root > 0 else np.nan
        low = 0.0 if reach > root else (root - reach) ** 2
        return Forecast(t, total, low, (root + reach) ** 2, len(group))

    def claim(self) -> Claim:
        """How often customers buy and how many leave after a purchase; what the data could not tell."""
        r, alpha, a, b = np.exp(self.maximum.logs)
        rate = np.exp(self.maximum.interval([1, -1, 0, 0]))
        left = special.expit(self.maximum.interval([0, 0, 1, -1]))
        said = (
            f"While they stay, {self.n:,} customers buy {number(r / alpha)} times per unit of time on average"
            f"{_between(rate)}; after a purchase {percent(a / (a + b))} leave"
            f"{_between(100 * left)}."
        )
        return Claim(f"{said} {self.note}".strip())


@dataclass(frozen=True)
class Forecast(Result):
    """Purchases of a group of customers in a time to come: estimate, low, high; n customers."""

    t: float
    estimate: float
    low: float
    high: float
    n: int

    def table(self) -> pd.DataFrame:
        """One row: t, estimate, low, high, n."""
        return pd.DataFrame([vars(self)])

    def claim(self) -> Claim:
        """How many purchases are to be expected, and what the interval leaves out."""
        ends = _between(np.array([self.low, self.high]))
        return Claim(
            f"{self.n:,} customers are expected to make {number(self.estimate)} purchases in the next "
            f"{number(self.t)} units of time{ends}, if they go on as before."
        )


def fit_bgnbd(frame: pd.DataFrame, weights: Array | None = None, near: BGNBD | None = None) -> BGNBD:
    """Maximum likelihood of BG/NBD on `frequency`, `recency`, `T` (one row a customer, any unit of time).

    `frequency`: repeat purchases; `recency`: time from the first to the last; `T`: from the first to the end
    of observation (see `history`). Customers alike in all three are counted once. `weights`: how much each
    row counts, such as the probability of a persona. `near`: a fit to much the same customers, at which the
    search begins. Raises `CxValueError` for columns that lack, values that
    cannot be, fewer than two customers, or no repeat purchase at all.

    >>> frame = pd.DataFrame({"frequency": [0, 3, 1, 0, 8], "recency": [0, 20, 5, 0, 38], "T": [39.0] * 5})
    >>> fit_bgnbd(frame).table()["parameter"].tolist()
    ['r', 'alpha', 'a', 'b']
    """
    x, recency, T = _checked(frame)
    if len(x) < 2 or not x.any():
        found = f"{len(x)} customer(s), {int(x.sum())} repeat purchase(s)"
        raise CxValueError(f"BG/NBD needs at least two customers and a repeat purchase; there are {found}.")
    # In a unit of the customers' own mean T: starts and borders then suit any unit of time.
    unit = float(T.mean())
    (gx, gt, gT), group = _grouped(x, recency / unit, T / unit)
    count = np.bincount(group, weights).astype(float)
    ux, place = np.unique(gx, return_inverse=True)
    nx = np.bincount(place, weights=count)
    # Nobody leaves before a first repeat purchase: there the second term vanishes.
    safe, never, n = np.maximum(gx - 1, 0.0), np.where(gx > 0, 0.0, -np.inf), float(count.sum())

    def score(logs: Array) -> tuple[float, Array]:
        r, alpha, a, b = np.exp(logs)
        at_end, at_last, s = alpha + gT, alpha + gt, r + gx
        log_end, log_last = np.log(at_end), np.log(at_last)
        odds = logs[2] - np.log(b + safe) + s * (log_end - log_last) + never
        # expit and log_expit from one exponential: scipy's own take half of the fit's time.
        small = np.exp(-np.abs(odds))
        gone = np.where(odds > 0, 1.0, small) / (1 + small)
        either = np.maximum(odds, 0) + np.log1p(small)
        rates = special.gammaln(r + ux) - special.gammaln(r)
        drops = special.betaln(a, b + ux) - special.betaln(a, b)
        value = nx @ (rates + drops) + n * r * logs[1] - count @ (s * log_end - either)
        both, psi = special.psi(a + b) - special.psi(a + b + ux), special.psi
        gradient = [
            nx @ (psi(r + ux) - psi(r)) + n * logs[1] - count @ (log_end - gone * (log_end - log_last)),
            n * r / alpha - count @ (s * ((1 - gone) / at_end + gone / at_last)),
            nx @ both + count @ gone / a,
            nx @ (both + psi(b + ux) - psi(b)) - count @ (gone / (b + safe)),
        ]
        return float(value), np.array(gradient) * np.exp(logs)

    starts = [(0.3, 0.2, 0.8, 2.5), (1.0, 1.0, 1.0, 1.0), (2.0, 0.5, 0.5, 10.0)]
    if near is not None and not near.note:
        starts = [tuple(np.exp(near.maximum.logs) / [1, unit, 1, 1])]
    best = maximise(score, BGNBD.PARAMETERS, starts, n)
    return BGNBD(rescaled(best, 1, unit, -float(nx @ ux) * np.log(unit)), round(n))


def _alive(logs: Array, x: Array, recency: Array, T: Array) -> Array:
    r, alpha, _, b = np.exp(logs)
    safe = np.maximum(x - 1, 0.0)
    odds = logs[2] - np.log(b + safe) + (r + x) * np.log((alpha + T) / (alpha + recency))
    return np.asarray(special.expit(np.where(x > 0, -odds, np.inf)))


def _expected(logs: Array, of: tuple[Array, Array, Array], times: Sequence[float]) -> Array:
    """(groups, times) mean purchases in the next `times`, as a row's customer would make them."""
    mean = _over_leaving(logs, of, times, lambda p, u, s: -np.expm1(-s * np.log1p(u)) / p)
    return _alive(logs, *of)[:, None] * mean


def _moments(logs: Array, of: tuple[Array, Array, Array], t: float) -> tuple[Array, Array]:
    """Mean and variance of each group's purchases in the next `t`."""

    def second(p: Array, u: Array, s: float) -> Array:
        once = -np.expm1(-s * np.log1p(u))
        # once - s u / (1 + u)^(s + 1), whose leading terms cancel for a small u
        twice = once - s * u * np.exp(-(s + 1) * np.log1p(u))
        small = (s + 2) * u < 1e-4
        twice = np.where(small, s * (s + 1) / 2 * u**2 * (1 - 2 / 3 * (s + 2) * u), twice)
        return np.asarray(once / p + 2 * (1 - p) / p**2 * twice)

    mean = _expected(logs, of, [t])[:, 0]
    return mean, _alive(logs, *of) * _over_leaving(logs, of, [t], second)[:, 0] - mean**2


def _over_leaving(
    logs: Array,
    of: tuple[Array, Array, Array],
    times: Sequence[float],
    moment: Callable[[Array, Array, float], Array],
) -> Array:
    """(groups, times) means over the chance p of leaving of a moment of the purchases in the next `times`, of
    customers who are still there; `moment` takes p, u = p t / (alpha + T) and s = r + x.

    The paper's closed form divides by a - 1 and overflows in 2F1 for loyal customers. Given p, the chance of
    leaving, and still being there, the purchases are the lesser of a negative binomial and a geometric
    number; their moments are averaged over p ~ Beta(a, b + x) by Gauss-Jacobi quadrature, which cannot fail.
    """
    x, _, T = of
    r, alpha, a, b = np.exp(logs)
    ratio = np.array([_positive(t) for t in times]) / (alpha + T)[:, None]
    nodes = int(np.clip(24 + 6 * np.sqrt(ratio.max()), 30, 400))  # the integrand's pole nears 0 as t grows
    mean = np.empty(ratio.shape)
    for purchases in np.unique(x):
        rows = x == purchases
        different, place = np.unique(ratio[rows], return_inverse=True)
        p, weight = _jacobi(a, b + purchases, nodes)
        mean[rows] = (moment(p, different[:, None] * p, r + purchases) @ weight)[
            place.reshape(-1, len(times))
        ]
    return mean


def _jacobi(a: float, b: float, nodes: int) -> tuple[Array, Array]:
    """Nodes and weights (which sum to 1) for means over Beta(a, b), by Golub and Welsch (1969).

    Not scipy's roots_jacobi: its weights contain a beta function that leaves the floats for a large b.
    """
    i, k, c = np.arange(nodes), np.arange(1, nodes), a + b
    with np.errstate(invalid="ignore", divide="ignore"):
        diagonal = 0.5 + (a - b) * (c - 2) / (2 * (2 * i + c - 2) * (2 * i + c))
        off = k * (k + a - 1) * (k + b - 1) * (k + c - 2) / ((2 * k + c - 3) * (2 * k + c - 1))
    diagonal[0], off[0] = a / c, a * b / (c + 1)  # the general terms are 0/0 for c = 2 and c = 1
    values, vectors = linalg.eigh_tridiagonal(diagonal, np.sqrt(off) / (2 * k + c - 2))
    return np.maximum(values, np.finfo(float).tiny), vectors[0] ** 2


@dataclass(frozen=True)
class GammaGamma(Fitted):
    """The value of a purchase. v is in the frame's unit of money, p and q have none."""

    PARAMETERS: ClassVar = ("p", "q", "v")

    def expected_value(self, frame: pd.DataFrame) -> pd.Series:
        """Mean value of each customer's purchases to come (a row of frequency, monetary_value).

        Their own mean, drawn towards everybody's the more the fewer purchases it rests on; everybody's where
        frequency is 0, whatever monetary_value then says. Infinite where the fitted mean is (q at most 1).
        """
        x = numbers(frame, "frequency", 0, whole=True)
        m = np.zeros(len(x))
        m[x > 0] = numbers(frame[x > 0], "monetary_value", 0)
        p, q, v = np.exp(self.maximum.logs)
        left = p * x + q - 1
        mean = np.divide(p * (v + x * m), left, out=np.full(len(x), np.inf), where=left > 0)
        return pd.Series(mean, index=frame.index, name="expected_value")

    def claim(self) -> Claim:
        """What a purchase is worth on average over customers."""
        p, q, v = np.exp(self.maximum.logs)
        if q <= 1:
            return Claim(
                f"Customers' values differ too much for a mean to exist (q = {number(q)}, n = {self.n:,})."
            )
        mean = p * v / (q - 1)
        tilt = np.array([1, -q / (q - 1), 1])  # the logarithm's slope in log p, log q, log v
        low, high = np.array(self.maximum.interval(tilt)) - tilt @ self.maximum.logs
        ends = mean * np.exp([low, high])
        said = f"A purchase is worth {number(mean)} on average over customers{_between(ends)}, from {self.n:,} who bought again."
        return Claim(f"{said} {self.note}".strip())


def fit_gamma_gamma(
    frame: pd.DataFrame, weights: Array | None = None, near: GammaGamma | None = None
) -> GammaGamma:
    """Maximum likelihood of Gamma-Gamma on `frequency` and `monetary_value` (mean a purchase, any unit).

    Only customers with frequency > 0 enter. The model takes value and frequency for independent: look at
    their correlation first. `weights` and `near` as for `fit_bgnbd`. Raises `CxValueError` for columns that lack, a mean value that is not positive,
    or fewer than two customers who differ.

    >>> frame = pd.DataFrame({"frequency": [1, 2, 5, 0], "monetary_value": [20.0, 35.0, 12.0, None]})
    >>> fit_gamma_gamma(frame).n
    3
    """
    every = numbers(frame, "frequency", 0, whole=True)
    x, m = every[every > 0], numbers(frame[every > 0], "monetary_value")
    if (m <= 0).any():
        raise CxValueError(
            f"{int((m <= 0).sum()):,} customer(s) have frequency > 0 and a monetary_value that is not positive, "
            f"for example {m[m <= 0][0]:g}. Leave them out: the model knows only positive values."
        )
    if len(np.unique(m)) < 2:
        raise CxValueError(
            f"Gamma-Gamma needs at least two customers with repeat purchases of different value; there are {len(x)}."
        )
    w = np.ones(len(x)) if weights is None else weights[every > 0]
    unit = float(m.mean())
    m = m / unit
    ux, place = np.unique(x, return_inverse=True)
    nx, wx = np.bincount(place, w), w * x
    log_xm = np.log(x * m)
    spent_logs = float(wx @ log_xm)
    n, psi = float(w.sum()), special.psi

    def score(logs: Array) -> tuple[float, Array]:
        p, q, v = np.exp(logs)
        size, spent = p * x + q, x * m + v
        log_spent = np.log(spent)
        value = -nx @ special.betaln(p * ux, q) + n * q * logs[2] + p * spent_logs - (w * size) @ log_spent
        both = psi(p * ux + q)
        gradient = [
            nx @ (ux * (both - psi(p * ux))) + spent_logs - wx @ log_spent,
            nx @ (both - psi(q)) + n * logs[2] - w @ log_spent,
            n * q / v - w @ (size / spent),
        ]
        return float(value), np.array(gradient) * np.exp(logs)

    starts = [(5.0, 4.0, 0.5), (1.0, 2.0, 1.0), (0.5, 10.0, 10.0)]
    if near is not None and not near.note:
        starts = [tuple(np.exp(near.maximum.logs) / [1, 1, unit])]
    best = maximise(score, GammaGamma.PARAMETERS, starts, n)
    # The density's own 1 / m, left out above, then the change of unit.
    constant = float(w @ (np.log(x) - log_xm)) - n * np.log(unit)
    return GammaGamma(rescaled(best, 2, unit, constant), round(n))


def _grouped(x: Array, recency: Array, T: Array) -> tuple[tuple[Array, Array, Array], Array]:
    """The different (x, recency, T) and each customer's place among them, by one integer key.

    In two steps, since a product of three numbers of levels could leave the integers.
    """
    codes, first = pd.factorize(x)[0], pd.factorize(recency)
    codes = pd.factorize(codes * len(first[1]) + first[0])[0]
    last = pd.factorize(T)
    place, keys = pd.factorize(codes * len(last[1]) + last[0])
    example = np.empty(len(keys), dtype=np.int64)
    example[place] = np.arange(len(place))
    return (x[example], recency[example], T[example]), np.asarray(place)


def _checked(frame: pd.DataFrame) -> tuple[Array, Array, Array]:
    x, recency, T = numbers(frame, "frequency", 0, True), numbers(frame, "recency", 0), numbers(frame, "T", 0)
    faults = {
        "recency is later than T": recency > T,
        "frequency is 0 but recency is not": (x == 0) & (recency > 0),
        "frequency is positive but recency is 0: purchases on the first day belong to the first": (x > 0)
        & (recency == 0),
    }
    for fault, wrong in faults.items():
        if wrong.any():
            row = frame.index[int(np.argmax(wrong))]
            raise CxValueError(
                f"{fault}: {int(wrong.sum()):,} of {len(x):,} customers, for example row {row!r}. See cx.revenue.history."
            )
    if len(T) and not T.max() > 0:
        raise CxValueError("T is 0 for every customer: nobody has been observed for any time.")
    return x, recency, T


def _positive(t: float) -> float:
    if not (np.isfinite(t) and t > 0):
        raise CxValueError(f"t is {t}; it must be a positive time, in the unit of the frame.")
    return float(t)


def _between(ends: Array) -> str:
    return f" ({number(ends[0])} to {number(ends[1])})" if np.isfinite(ends).all() else ""
