"""Honest numbers: folds and the jackknife, score intervals, many comparisons, truth and coverage.

Nothing here knows what a study is. Counts come in with customer folds on the first axis (customers
are the independent units, events are not), estimates come out with intervals. The last third asks
the only question that matters of an interval: does it hold what it promises?
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy import special
from scipy import stats as distributions

from cxlib.errors import CxLookupError, CxValueError
from cxlib.results import Claim, Result, bundle, number, percent

FOLDS = 50
"""Customer folds; a fold is part of a person's key (see the log), so it never depends on order."""

ENOUGH = 10
"""The jackknife is for smooth statistics with at least this expected count (and as many failures)."""

Array = NDArray[np.float64]
Scale = Literal["logit", "log", "identity"]


class Interval(NamedTuple):
    """An estimate with its interval; each field has the shape of the statistic.

    Fields: `estimate`; `low` and `high`, the interval's ends; `se`, the standard error in the
    estimate's own unit. NaN ends mean "cannot tell", never "no doubt".
    """

    estimate: Array
    low: Array
    high: Array
    se: Array


# --- folds -------------------------------------------------------------------------------------


def jackknife(
    counts: ArrayLike,
    statistic: Callable[[Array], Array],
    scale: Scale = "logit",
    level: float = 0.95,
) -> Interval:
    """Interval of any smooth statistic of summed counts, leaving out one fold of customers at a time.

    `counts` is (folds, ...): counts or sums by fold, additive over customers. `statistic` takes
    totals stacked on a first axis, (1 + non-empty folds, ...), and returns (1 + non-empty folds,
    ...) estimates: the first row is the whole, each other leaves one fold out. With fewer than two
    non-empty folds, or an estimate on the border of its scale (a share of 0 or 1), the ends are NaN.

    The variance is (F - 1)/F times the summed squared distances of the leave-one-out estimates from
    the whole's (the delete-a-group jackknife; Kott 2001, J. Official Statistics 17), carried to the
    scale by its derivative, the interval Student's t with F - 1 degrees of freedom. The derivative
    and not the transformed leave-one-out values, as those run off to infinity in small cells: at an
    expected count of 10 they cover .977, this .95 to .96.

    >>> counts = np.random.default_rng(0).poisson([[4, 6]], (50, 2))
    >>> share = jackknife(counts, lambda total: total[:, 0] / total.sum(axis=1))
    >>> bool(share.low < share.estimate < share.high)
    True
    """
    by_fold = np.asarray(counts, dtype=float)
    if by_fold.ndim < 1:
        raise CxValueError("jackknife needs an array with folds on its first axis; got a single number.")
    filled = by_fold.reshape(len(by_fold), -1).any(axis=1)
    total = by_fold.sum(axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        estimates = np.asarray(statistic(np.concatenate([total[None], total - by_fold[filled]])), dtype=float)
    folds, estimate = int(filled.sum()), estimates[0]
    if folds < 2:
        unknown = np.full_like(estimate, np.nan)
        return Interval(estimate, unknown, unknown, unknown)
    variance = (folds - 1) / folds * ((estimates[1:] - estimate) ** 2).sum(axis=0)
    return _on_scale(estimate, np.sqrt(variance), scale, _t(level, np.asarray(folds - 1.0)))


def shares(counts: ArrayLike, axis: int = -1, level: float = 0.95) -> Interval:
    """Share of each cell within its row, from counts by fold; a row runs along `axis`.

    `counts` is (folds, ...), `axis` one of the axes behind the folds (negative counts from the
    end). Every field has the shape of the summed counts; a row without counts is NaN.

    >>> by_fold = np.random.default_rng(0).multinomial(20, [.6, .4, 0], 50)
    >>> result = shares(by_fold)
    >>> float(result.estimate.sum().round(12)), float(result.low[2]), bool(0 < result.high[2] < .01)
    (1.0, 0.0, True)
    """
    by_fold = np.asarray(counts, dtype=float)
    if by_fold.ndim < 2 or axis % by_fold.ndim == 0:
        raise CxValueError(
            f"shares needs folds on the first axis and a row along another; got {by_fold.shape}, {axis=}."
        )
    row = by_fold.sum(axis=axis, keepdims=True)
    return proportions(by_fold, row, pool=axis % by_fold.ndim - 1, level=level)


def proportions(
    successes: ArrayLike, trials: ArrayLike, pool: int | None = None, level: float = 0.95
) -> Interval:
    """Successes per trial, both counted by fold (folds, ...); `trials` broadcasts against `successes`.

    Two intervals, each where it holds: with at least `ENOUGH` successes and as many failures, the
    fold jackknife with t on the logit scale; for small, zero and full counts Wilson's with the
    cluster-effective n = n / design effect (Korn and Graubard 1998). The design effect compares the
    variance between folds with the binomial's; it is pooled over the axis `pool` of the totals (a
    row's cells share their customers) and, where a row says nothing, over everything; never below 1.
    A row within a single fold counts as one observation, since it may be one customer.

    >>> by_fold = np.ones((50, 1))
    >>> full = proportions(by_fold, by_fold)
    >>> full.estimate.tolist(), full.low.round(3).tolist(), full.high.tolist()
    ([1.0], [0.925], [1.0])
    """
    x_f = np.asarray(successes, dtype=float)
    n_f = np.broadcast_to(np.asarray(trials, dtype=float), x_f.shape)
    x, n = x_f.sum(axis=0), n_f.sum(axis=0)
    if (x_f < 0).any() or (x_f > n_f + 1e-9).any():
        raise CxValueError("proportions needs 0 <= successes <= trials in every fold.")
    folds = (n_f > 0).sum(axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        p = x / n
        residual = np.where(n_f > 0, x_f - p * n_f, 0.0)
        without = np.where(n_f > 0, n - n_f, np.inf)
        several = folds >= 2
        se = np.sqrt((folds - 1) / folds * ((residual / np.where(several, without, np.inf)) ** 2).sum(axis=0))
        t = _t(level, np.maximum(folds - 1.0, 1.0))
        smooth = _on_scale(p, se, "logit", t)

        clustered = np.where(several, folds / (folds - 1) * (residual**2).sum(axis=0) / n**2, 0.0)
        binomial = np.where(several, p * (1 - p) / n, 0.0)
        if pool is not None:
            clustered = clustered.sum(axis=pool, keepdims=True)
            binomial = binomial.sum(axis=pool, keepdims=True)
        everything = np.nansum(clustered * n) / np.nansum(binomial * n)
        effect = np.where(binomial > 0, clustered / binomial, everything)
        effect = np.maximum(np.where(np.isfinite(effect), effect, 1.0), 1.0)
        effective = np.where(several, n / effect, np.minimum(n, 1.0))
        wilson_low, wilson_high = _wilson(
            p, effective, np.where(several, t, distributions.norm.ppf(0.5 + level / 2))
        )
    usual = (x >= ENOUGH) & (n - x >= ENOUGH) & several & np.isfinite(smooth.low)
    return Interval(
        p, np.where(usual, smooth.low, wilson_low), np.where(usual, smooth.high, wilson_high), smooth.se
    )


def _t(level: float, df: Array) -> Array:
    return np.asarray(distributions.t.ppf(0.5 + level / 2, df))


def _on_scale(estimate: Array, se: Array, scale: Scale, t: Array) -> Interval:
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        if scale == "identity":
            low, high = estimate - t * se, estimate + t * se
        elif scale == "log":
            reach = np.exp(t * se / np.where(estimate > 0, estimate, np.nan))
            low, high = estimate / reach, estimate * reach
        elif scale == "logit":
            inside = np.where((estimate > 0) & (estimate < 1), estimate, np.nan)
            reach = t * se / (inside * (1 - inside))
            centre = special.logit(inside)
            low, high = special.expit(centre - reach), special.expit(centre + reach)
        else:
            raise CxValueError(f"Unknown scale {scale!r}; there are logit, log and identity.")
    return Interval(estimate, low, high, se)


# --- score and adjusted intervals --------------------------------------------------------------


def wilson(x: ArrayLike, n: ArrayLike, level: float = 0.95, df: ArrayLike = np.inf) -> Interval:
    """Wilson's score interval of a proportion: x successes of n independent trials, any shape.

    `n` may be an effective number (not whole); `df` then puts Student's t in the normal's place
    (fewer than 1: NaN ends). n = 0 gives NaN. Wilson 1927, J. Am. Stat. Assoc. 22; Newcombe 1998,
    Statistics in Medicine 17, method 3.

    >>> [round(float(end), 4) for end in wilson(81, 263)[1:3]]
    [0.2553, 0.3662]
    """
    successes, trials = np.broadcast_arrays(np.asarray(x, dtype=float), np.asarray(n, dtype=float))
    if (successes < 0).any() or (successes > trials + 1e-9).any():
        raise CxValueError("wilson needs 0 <= x <= n.")
    with np.errstate(divide="ignore", invalid="ignore"):
        p = successes / trials
        low, high = _wilson(p, trials, _t(level, np.asarray(df, dtype=float)))
        return Interval(p, low, high, np.sqrt(p * (1 - p) / trials))


def _wilson(p: Array, n: Array, z: Array) -> tuple[Array, Array]:
    with np.errstate(divide="ignore", invalid="ignore"):
        widen = z**2 / n
        centre = (p + widen / 2) / (1 + widen)
        reach = np.sqrt(p * (1 - p) * widen + widen**2 / 4) / (1 + widen)
    # A border is a border: rounding must not turn a low end of 0 into 1e-17.
    low = np.where(p <= 0, 0.0, np.clip(centre - reach, 0, 1))
    high = np.where(p >= 1, 1.0, np.clip(centre + reach, 0, 1))
    unknown = ~(n > 0) | np.isnan(z)
    return np.where(unknown, np.nan, low), np.where(unknown, np.nan, high)


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


def adjusted_wald_nps(
    p: ArrayLike, d: ArrayLike, n: ArrayLike, level: float = 0.95, df: ArrayLike = np.inf
) -> Interval:
    """Net promoter share (-1 to 1) with an adjusted-Wald interval; any shape.

    `p` and `d` are the shares of promoters and detractors, `n` the (effective) number of answers.
    The estimate is p - d, with variance [p + d - (p - d)^2] / n; the interval first adds 3/4
    promoter, 3/4 detractor and 3 answers (Rocks 2016, The American Statistician 70). With `df`,
    Student's t in place of the normal; fewer than one degree of freedom gives NaN ends.

    >>> [round(100 * float(value), 1) for value in adjusted_wald_nps(.9, 0, 10)]
    [90.0, 38.1, 100.0, 9.5]
    """
    up, down, size = (np.asarray(one, dtype=float) for one in (p, d, n))
    t = _t(level, np.asarray(df, dtype=float))
    with np.errstate(divide="ignore", invalid="ignore"):
        p_adjusted, d_adjusted = (up * size + 0.75) / (size + 3), (down * size + 0.75) / (size + 3)
        net = p_adjusted - d_adjusted
        reach = t * np.sqrt((p_adjusted + d_adjusted - net**2) / (size + 3))
        se = np.sqrt(np.maximum(up + down - (up - down) ** 2, 0.0) / size)
    # Pulled towards 0, the interval of one or two answers can miss its own estimate: widen it to hold that.
    low, high = np.minimum(net - reach, up - down), np.maximum(net + reach, up - down)
    return Interval(up - down, np.clip(low, -1, 1), np.clip(high, -1, 1), se)


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


# --- against the truth -------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Score(Result):
    """How a result compares with the planted truth.

    Fields: `cells`, one row a cell of the truth (keys, estimate, low, high, n, truth, error,
    covered, scored); `compared`, how many cells; `scored`, those with an expected count of at least
    `ENOUGH`, on which `coverage` (share of scored cells whose interval holds the truth) is taken;
    `error`, the mean absolute error over all cells; `missing`, cells of the truth the result lacks
    (their estimate counts as 0); `extra`, cells of the result that the truth doesn't have.
    """

    cells: pd.DataFrame = field(repr=False)
    compared: int
    scored: int
    coverage: float
    error: float
    missing: int
    extra: int

    def table(self) -> pd.DataFrame:
        """One row a cell, the worst first (distance from the truth, in interval widths if it has one)."""
        return self.cells

    def worst(self, rows: int = 5) -> pd.DataFrame:
        """The scored cells whose interval misses the truth by most."""
        missed = self.cells[self.cells["scored"] & ~self.cells["covered"]]
        return missed.head(rows)

    def claim(self) -> Claim:
        """One sentence: how many intervals hold the truth, and how far off the estimates are."""
        held = "no cell is large enough to be scored"
        if self.scored:
            count = round(self.coverage * self.scored)
            held = f"{count} of {self.scored} intervals ({percent(self.coverage)}) hold the planted truth"
        text = f"{held}; the mean absolute error over {self.compared} cells is {number(self.error)}"
        if self.missing:
            largest = number(float(self.cells.loc[~self.cells["found"], "truth"].abs().max()))
            text += f"; {self.missing} cells of the truth were not found, the largest {largest}"
        return Claim(text[0].upper() + text[1:] + ".")


@dataclass(frozen=True)
class Scoreboard(Result):
    """Several results beside the truth: one row a result.

    `frame`: result, estimate (share of the scored intervals that hold the truth), n (intervals scored),
    mean_error (mean absolute error over all cells, in the result's unit).
    """

    frame: pd.DataFrame = field(repr=False)

    def table(self) -> pd.DataFrame:
        """One row a result."""
        return self.frame

    def _repr_mimebundle_(self, **kwargs: object) -> dict[str, str]:
        # Intervals are counted here, not customers: nothing is suppressed.
        shown = self.frame.rename(columns={"estimate": "hold_the_truth", "n": "intervals"})
        return bundle(shown, shares=("hold_the_truth",))

    def claim(self) -> Claim:
        """How many intervals hold the truth in all."""
        held, n = int((self.frame["estimate"] * self.frame["n"]).round().sum()), int(self.frame["n"].sum())
        return Claim(f"{held} of {n} intervals hold the planted truth, where 19 in 20 should on clean data.")


def scoreboard(tables: Mapping[str, pd.DataFrame], truth: Callable[[str], pd.DataFrame]) -> Scoreboard:
    """Score each named table against `truth(name)`; a study's own `truth` serves.

    >>> table = pd.DataFrame({"step": [1, 2], "estimate": [.5, .2], "low": [.4, .1], "high": [.6, .3]})
    >>> board = scoreboard({"funnel": table}, lambda name: pd.DataFrame({"step": [1, 2], "truth": [.45, .35]}))
    >>> print(board.table().round(3).to_string(index=False))
    result  estimate  n  mean_error
    funnel       0.5  2         0.1
    """
    scores = {name: score(table, truth(name)) for name, table in tables.items()}
    rows = [(name, one.coverage, one.scored, one.error) for name, one in scores.items()]
    return Scoreboard(pd.DataFrame(rows, columns=["result", "estimate", "n", "mean_error"]))


def score(table: pd.DataFrame, truth: pd.DataFrame) -> Score:
    """Compare a result's table with the truth: same key columns, then `truth`.

    Keys are the truth's columns other than `truth`. Only cells with an expected count of at least
    `ENOUGH` are scored for coverage: the table's column `expected`; or n times the truth where the
    table has `count` and `n` (its estimates are then shares, count of n); in other tables all cells.
    What was expected and not what was found decides, or the unlucky cells would go unscored. A key
    of the truth that the table lacks counts with an estimate of 0 and an interval that holds nothing;
    its n is that of the rows with the same first key.

    >>> table = pd.DataFrame({"step": [1, 2], "estimate": [.5, .2], "low": [.4, .1], "high": [.6, .3]})
    >>> result = score(table, pd.DataFrame({"step": [1, 2], "truth": [.45, .35]}))
    >>> result.coverage, round(result.error, 3), result.worst()["step"].tolist()
    (0.5, 0.1, [2])
    """
    keys = [column for column in truth.columns if column != "truth"]
    absent = [c for c in [*keys, "estimate", "low", "high"] if c not in table]
    if absent or "truth" not in truth:
        raise CxLookupError(
            f"score needs the truth's keys {keys}, estimate, low and high in the table, and a column `truth` "
            f"in the truth; the table has {list(table.columns)}, the truth {list(truth.columns)}."
        )
    if table.duplicated(keys).any() or truth.duplicated(keys).any():
        raise CxValueError(
            f"score needs one row for each of {keys}; there are several in the table or truth."
        )
    merged = truth.merge(table, on=keys, how="left", indicator="found", validate="one_to_one")
    merged["found"] = merged["found"].eq("both")
    merged["estimate"] = merged["estimate"].astype(float).fillna(0.0)
    low, high, true = (merged[name].astype(float) for name in ("low", "high", "truth"))
    merged["error"] = merged["estimate"] - true
    merged["covered"] = (low <= true) & (true <= high)
    merged["scored"] = _expected(merged, keys[0], true) >= ENOUGH
    reach = ((high - low) / 2).where(high > low)
    merged["_order"] = (merged["error"].abs() / reach).fillna(np.inf).where(~merged["covered"], 0.0)
    merged["_size"] = merged["error"].abs()
    merged = merged.sort_values(["_order", "_size"], ascending=False, kind="stable", ignore_index=True)
    front = [
        *keys,
        "estimate",
        "low",
        "high",
        *(["n"] if "n" in merged else []),
        "truth",
        "error",
        "covered",
        "scored",
    ]
    rest = [c for c in merged.columns if c not in front and not c.startswith("_")]
    scored = merged["scored"].to_numpy(dtype=bool)
    extra = int((~pd.MultiIndex.from_frame(table[keys]).isin(pd.MultiIndex.from_frame(truth[keys]))).sum())
    return Score(
        cells=merged[front + rest],
        compared=len(merged),
        scored=int(scored.sum()),
        coverage=float(merged.loc[scored, "covered"].mean()) if scored.any() else float("nan"),
        error=float(merged["error"].abs().mean()) if len(merged) else float("nan"),
        missing=int((~merged["found"]).sum()),
        extra=extra,
    )


def _expected(merged: pd.DataFrame, key: str, truth: pd.Series) -> pd.Series:
    """The expected count of each cell; infinite where the table doesn't say what it counts."""
    if "expected" not in merged and not {"count", "n"} <= set(merged.columns):
        return pd.Series(np.inf, index=merged.index)
    n = pd.Series(np.nan, index=merged.index)
    if "n" in merged:
        n = merged["n"].astype(float)
        n = n.fillna(n.groupby(merged[key], dropna=False).transform("max")).fillna(n.median())
    if "expected" not in merged:
        return n * truth.abs()
    return merged["expected"].astype(float).fillna(n * truth.abs())


# --- the coverage harness ----------------------------------------------------------------------

_NUMBERS = ["estimate", "low", "high", "truth", "expected"]


@dataclass(frozen=True, eq=False)
class Coverage(Result):
    """What intervals really cover, over many simulated worlds.

    Fields: `results`, one row a result (result, estimate = coverage averaged over its cells, low,
    high = its own uncertainty, n = worlds, cells, width, bias, trials = the number of independent
    trials the covered cells are worth); `cells`, the same for each cell; `worlds`.
    """

    results: pd.DataFrame = field(repr=False)
    cells: pd.DataFrame = field(repr=False)
    worlds: int

    def table(self) -> pd.DataFrame:
        """One row a result: coverage with its uncertainty, worlds, cells, mean width and bias."""
        return self.results

    def within(self, low: float, high: float, result: str | None = None) -> bool:
        """Whether the coverage (of `result`, or of every result) lies in the band."""
        return bool(self._chosen(result)["estimate"].between(low, high).all())

    def rejects(self, low: float, high: float, result: str | None = None, alpha: float = 0.001) -> bool:
        """Whether the whole band is rejected at `alpha` (for `result`, or for any result).

        Worlds are independent, cells of one world are not. The covered share is tested as
        binomial with as many trials as its variance between worlds says it is worth (one cell a
        world: exactly binomial), against the band's nearer end.
        """
        chosen = self._chosen(result)
        worth = zip(chosen["estimate"].to_numpy(float), chosen["trials"].to_numpy(float), strict=True)
        return any(_tails(share * trials, trials, low, high) < alpha for share, trials in worth)

    def claim(self) -> Claim:
        """One sentence: what the intervals cover."""
        shares = self.results["estimate"].to_numpy(float)
        said = ", ".join(
            f"{name} {percent(s)}" for name, s in zip(self.results["result"], shares, strict=True)
        )
        return Claim(f"Over {self.worlds:,} simulated worlds the 95 % intervals hold the truth in: {said}.")

    def _chosen(self, result: str | None) -> pd.DataFrame:
        if result is None:
            return self.results
        chosen = self.results[self.results["result"] == result]
        if chosen.empty:
            raise CxLookupError(f"No result {result!r}; there are {', '.join(self.results['result'])}.")
        return chosen


def _tails(x: float, n: float, low: float, high: float) -> float:
    """p-value of x covered of n (not whole) trials against every rate in [low, high]."""
    if low <= x / n <= high:
        return 1.0
    if x / n < low:
        return float(special.betainc(n - x, x + 1, 1 - low))
    return float(special.betainc(x, n - x + 1, high))


def coverage(
    draw: Callable[[int], pd.DataFrame],
    worlds: int,
    base: int | None = None,
    *,
    store: str | Path | None = None,
    seconds: float | None = None,
    chunk: int = 20,
    progress: Callable[[int, int], None] | None = None,
) -> Coverage:
    """Draw worlds with seeds base, base + 1, ... and count how often intervals hold the truth.

    `draw(seed)` returns one row a cell: key columns (an optional one named `result` tells several
    results apart), estimate, low, high, truth and expected (the expected count). Cells are averaged
    when their expected count, averaged over the worlds, is at least `ENOUGH`; an interval that is
    NaN, or a cell missing in a world, does not cover. `base` defaults to CXLIB_SEED.

    `store` is a folder that keeps every world, `chunk` worlds a file, written aside and renamed: a
    run can be stopped and resumed. Name it anew when the draw changes. After `seconds` of CPU
    nothing more is drawn (but one chunk at least); the result says how many worlds it has.
    `progress(done, worlds)` is called after each chunk.

    >>> def draw(seed):
    ...     x = np.random.default_rng(seed).binomial(60, .4)
    ...     one = wilson(x, 60)
    ...     return pd.DataFrame({"cell": ["heads"], "estimate": one.estimate, "low": one.low,
    ...                          "high": one.high, "truth": .4, "expected": 24.0})
    >>> bar = coverage(draw, 200)
    >>> bar.rejects(.92, .97), bar.rejects(.5, .6)
    (False, True)
    """
    first = int(os.environ.get("CXLIB_SEED", "0")) if base is None else base
    folder = Path(store) if store is not None else None
    frames: list[pd.DataFrame] = []
    began = time.process_time()
    for start in range(0, worlds, chunk):
        stop = min(start + chunk, worlds)
        path = folder / f"{first + start}-{first + stop - 1}.parquet" if folder else None
        kept = _kept(path)
        if kept is None:
            if seconds is not None and frames and time.process_time() - began > seconds:
                continue  # later chunks may lie in the store
            kept = pd.concat(
                [_world(draw, seed) for seed in range(first + start, first + stop)], ignore_index=True
            )
            if path is not None:
                path.parent.mkdir(parents=True, exist_ok=True)
                aside = path.with_name(f"{path.name}.{os.getpid()}.tmp")
                kept.to_parquet(aside, compression="zstd", index=False)
                aside.replace(path)
        frames.append(kept)
        if progress is not None:
            progress(stop, worlds)
    return _covered(pd.concat(frames, ignore_index=True), sum(frame["world"].nunique() for frame in frames))


def _kept(path: Path | None) -> pd.DataFrame | None:
    if path is None or not path.exists():
        return None
    try:
        return pd.read_parquet(path)
    except (OSError, ValueError):  # half a file is no file: draw these worlds again
        return None


def _world(draw: Callable[[int], pd.DataFrame], seed: int) -> pd.DataFrame:
    frame = draw(seed)
    absent = [name for name in _NUMBERS if name not in frame]
    if absent:
        raise CxLookupError(f"A draw must return {', '.join(_NUMBERS)}; missing: {', '.join(absent)}.")
    keys = [c for c in frame.columns if c not in {*_NUMBERS, "result", "n"}]
    label = pd.Series("", index=frame.index)
    for key in keys:
        label = label + frame[key].map(lambda value: "" if pd.isna(value) else f"{value} > ")
    kept = frame[_NUMBERS].astype("float64").reset_index(drop=True)
    kept.insert(0, "world", seed)
    kept.insert(1, "result", frame["result"].astype(str).to_numpy() if "result" in frame else "all")
    kept.insert(2, "cell", label.str.removesuffix(" > ").to_numpy())
    if kept.duplicated(["result", "cell"]).any():
        raise CxValueError("A draw must return each cell once.")
    return kept[kept["truth"].notna()]


def _covered(drawn: pd.DataFrame, worlds: int) -> Coverage:
    drawn = drawn.assign(
        covered=((drawn["low"] <= drawn["truth"]) & (drawn["truth"] <= drawn["high"])).astype(float),
        width=drawn["high"] - drawn["low"],
        bias=drawn["estimate"] - drawn["truth"],
    )
    grouped = drawn.groupby(["result", "cell"], sort=False)
    cells = grouped[["covered", "expected"]].sum() / worlds  # a missing world is a miss
    cells = cells.join(grouped[["width", "bias", "truth"]].mean()).reset_index()
    cells["scored"] = cells["expected"] >= ENOUGH
    keep = drawn.merge(cells.loc[cells["scored"], ["result", "cell"]], on=["result", "cell"])
    rows = []
    for result in cells["result"].unique():
        mine = cells[(cells["result"] == result) & cells["scored"]]
        if mine.empty:
            continue
        k = len(mine)
        by_world = keep[keep["result"] == result].groupby("world")["covered"].sum() / k
        spread = np.r_[by_world.to_numpy(), np.zeros(worlds - len(by_world))]
        share = float(spread.mean())
        trials = _worth(spread, share, k)
        own = wilson(share * trials, trials)
        rows.append(
            {
                "result": result,
                "estimate": share,
                "low": float(own.low),
                "high": float(own.high),
                "n": worlds,
                "cells": k,
                "width": float(mine["width"].mean()),
                "bias": float(mine["bias"].mean()),
                "trials": trials,
            }
        )
    columns = ["result", "estimate", "low", "high", "n", "cells", "width", "bias", "trials"]
    cells = cells.rename(columns={"covered": "estimate"}).assign(n=worlds)
    return Coverage(pd.DataFrame(rows, columns=columns), cells, worlds)


def _worth(shares_by_world: Array, mean: float, cells: int) -> float:
    """How many independent trials the covered cells are worth: between one a world and all."""
    worlds = len(shares_by_world)
    independent = mean * (1 - mean) / cells
    if cells == 1 or worlds < 2 or independent <= 0:
        return float(worlds)
    effect = float(shares_by_world.var(ddof=1)) / independent
    return worlds * cells / float(np.clip(effect, 1.0, cells))
