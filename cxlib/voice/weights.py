"""Weights that make those who answered resemble those they stand for: raking, from the weights of the design."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import ClassVar

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from cxlib import stats
from cxlib.errors import CxLookupError, CxValueError
from cxlib.frames import column, numbers
from cxlib.results import Framed, nice, number, percent
from cxlib.stats import Array
from cxlib.voice.scales import Measure, measure
from cxlib.voice.scores import interval_of

Targets = Mapping[str, Mapping[str, float]]
ROUNDS, CLOSE = 2000, 1e-9
"""Rounds over all margins before giving up, and how far a share may then be off."""


@dataclass(frozen=True, eq=False)
class Raked(Framed):
    """Answers weighted so that their margins are the targets.

    `frame`: column, value, estimate (its share by the weights given, with Wilson's interval: low, high),
    n (rows), target, raked (its share by the new weights). `weights`: one a row of the frame raked, with
    the sum of those given. `given` and `effect`: Kish's design effects n sum(w^2) / sum(w)^2 of the
    weights before and after; `rounds` it took. `margins`: indicators of every value, one row a row.
    """

    SHARES: ClassVar = ("estimate", "low", "high", "target", "raked")
    WHOLE: ClassVar = ("column",)

    weights: Array = field(repr=False)
    margins: Array = field(repr=False)
    given: float
    effect: float
    rounds: int

    def told(self, table: pd.DataFrame) -> str:
        """Whom the answers had too few and too many of, and what putting that right costs."""
        off = table["target"] / table["estimate"]
        few, many = (
            f"{nice(row['column'])} {nice(row['value'])} ({percent(row['estimate'])} of the answers, "
            f"{percent(row['target'])} of those they stand for)"
            for _, row in table.loc[[off.idxmax(), off.idxmin()]].iterrows()
        )
        n = len(self.weights)
        return (
            f"Fewest answers for its size: {few}; most: {many}. The weights make {n:,} answers worth "
            f"{number(n / self.effect)} (Kish; {number(n / self.given)} by those given)."
        )

    @cached_property
    def _basis(self) -> Array:
        """An orthonormal basis of the weighted margins, without those that follow from others."""
        left, size, _ = np.linalg.svd(self.margins * np.sqrt(self.weights)[:, None], full_matrices=False)
        return np.asarray(left[:, size > 1e-9 * size[0]])

    def score(
        self,
        scores: ArrayLike,
        question: str = "nps",
        scale: tuple[float, float] = (0, 10),
        clusters: ArrayLike | None = None,
    ) -> stats.Interval:
        """The weighted score of the rows, one score each (NaN: not answered), with a 95 % interval.

        In the unit of `scores`: points, a share or a mean on its scale. What the margins explain is no
        sampling error any more: the variance is that of the residuals of a weighted regression on the
        margins (Deville and Sarndal 1992, J. American Statistical Association 87), by `clusters`, each as if
        left out (as a jackknife would), with t on Kish's number of clusters less the margins.
        """
        given = pd.DataFrame({"scale_min": [scale[0]], "scale_max": [scale[1]]})
        x = numbers(pd.DataFrame({"scores": np.asarray(scores)}), "scores", missing=True)
        if len(x) != len(self.weights):
            raise CxValueError(f"{len(x):,} scores but {len(self.weights):,} rows were raked.")
        if ((x < scale[0]) | (x > scale[1])).any():
            raise CxValueError(f"Some scores are outside {scale[0]:g} to {scale[1]:g}.")
        return self.estimate(x, measure(question, given), clusters)

    def estimate(
        self,
        scores: Array,
        kind: Measure,
        clusters: ArrayLike | None = None,
        times: Array | None = None,
        stand_for: float = np.inf,
    ) -> stats.Interval:
        """As `score`, of a known measure; `times` multiplies the weights, after raking.

        `stand_for`: how many customers the targets were counted on, where they are a sample themselves.
        """
        answered = np.isfinite(scores)
        more = np.where(answered, 1.0 if times is None else times, 0.0)
        up, down = (np.where(answered, side, 0.0) for side in kind.sides(np.nan_to_num(scores)))
        total = (self.weights * more).sum()
        p, d = ((self.weights * more * side).sum() / total for side in (up, down))
        off = more * (up - down - (p - d))
        root = np.sqrt(self.weights)
        left = self._basis
        fitted = left @ (left.T @ (off * root)) / np.maximum(root, 1e-150)
        row = np.arange(len(off))
        code = row if clusters is None else pd.factorize(np.asarray(clusters))[0]
        code = np.unique(np.where(code < 0, len(off) + row, code), return_inverse=True)[1]
        # A customer's residual, had the regression been made without: few answers, large weights.
        leverage = np.minimum(np.bincount(code, (left**2).sum(axis=1)), 0.9)
        own = np.bincount(code, self.weights * (off - fitted)) / (1 - leverage)
        held = np.bincount(code, self.weights * more)
        count = total**2 / (held**2).sum()
        df = count - left.shape[1]
        explained = np.average(fitted**2, weights=self.weights) * (self.weights.sum() / total) ** 2
        with np.errstate(divide="ignore", invalid="ignore"):
            variance = (own**2).sum() * len(own) / (len(own) - 1) / total**2 + explained / stand_for
            n = (p + d - (p - d) ** 2) / variance if variance > 0 and kind.unit != "scale" else count
        df = np.where(df > 0, df, np.nan)
        return interval_of(kind, *(np.asarray(one) for one in (p, d, n, variance, df, df)))


def rake(
    frame: pd.DataFrame,
    targets: Targets,
    weights: str | ArrayLike | None = None,
    bounds: tuple[float, float] | None = None,
) -> Raked:
    """Weights for the rows of `frame` under which each column's values have the shares of `targets`.

    `targets`: column -> value -> share (or any totals in proportion). `weights`: those of the design, a
    column's name or one a row, which the new ones stay as close to as the targets allow; none: equal.
    `bounds`: the least and greatest factor by which a weight may change, such as (1/4, 4).

    Raking is iterative proportional fitting (Deming and Stephan 1940, Annals of Mathematical Statistics
    11), with bounds the truncated method of Deville and Sarndal (1992): each margin in turn is brought to
    its target until all are. Raises CxLookupError for a column that is not there, CxValueError for values
    without a target, targets without an answer, and targets that no weights reach.

    >>> who = pd.DataFrame({"age": ["young", "old", "old", "old"], "tier": ["gold", "basic", "gold", "basic"]})
    >>> result = rake(who, {"age": {"young": .5, "old": .5}, "tier": {"gold": .6, "basic": .4}})
    >>> result.weights.round(2).tolist()
    [2.0, 0.8, 0.4, 0.8]
    """
    if not len(frame) or not targets:
        raise CxValueError("rake needs at least one row, and the target shares of at least one column.")
    if isinstance(weights, str):
        design = numbers(frame, weights, least=0)
    else:
        given = np.ones(len(frame)) if weights is None else np.asarray(weights)
        design = numbers(pd.DataFrame({"weights": given}), "weights", least=0)
    if len(design) != len(frame) or not design.sum() > 0:
        raise CxValueError(f"{len(frame):,} rows but {len(design):,} weights, or weights that are all 0.")
    margins = [_margin(frame, name, dict(target), design) for name, target in targets.items()]
    made, rounds = _fitted(design, [(code, shares) for code, shares, _ in margins], bounds)
    effects = [len(w) * (w**2).sum() / w.sum() ** 2 for w in (design, made)]
    n, rows = len(frame) / effects[0], []
    for name, (code, shares, values) in zip(targets, margins, strict=True):
        before, after = (np.bincount(code, w, len(values)) / w.sum() for w in (design, made))
        interval = stats.wilson(before * n, n)
        part = pd.DataFrame({"column": name, "value": values, **interval.columns()})
        rows.append(part.assign(n=np.bincount(code, minlength=len(values)), target=shares, raked=after))
    indicators = np.column_stack([np.eye(len(values))[code] for code, _, values in margins])
    return Raked(pd.concat(rows, ignore_index=True), made, indicators, effects[0], effects[1], rounds)


def _margin(
    frame: pd.DataFrame, name: str, target: Mapping[str, float], design: Array
) -> tuple[np.ndarray, Array, list[str]]:
    """The code of each row, the target share of each code, and its value."""
    given, values = column(frame, name), list(target)
    shares = np.array([float(target[value]) for value in values])
    if not (np.isfinite(shares) & (shares > 0)).all():
        raise CxValueError(f"The targets of `{name}` must be above 0; leave out rows that stand for nobody.")
    if shares.max() < 1 and abs(shares.sum() - 1) > 0.01:
        raise CxValueError(f"The target shares of `{name}` sum to {shares.sum():.3g}; they should sum to 1.")
    code = pd.Index(values).get_indexer(pd.Index(given))
    if (code < 0).any():
        wrong = given[code < 0]
        example = "nothing" if wrong.isna().any() else f"`{nice(wrong.iloc[0])}`"
        raise CxLookupError(
            f"{len(wrong):,} rows have {example} in `{name}`, which has no target; there are targets for: "
            f"{', '.join(nice(value) for value in values)}. Fill blanks with a value that has one, or merge values."
        )
    if len(empty := np.flatnonzero(np.bincount(code, design, len(values)) == 0)):
        raise CxValueError(
            f"Nobody answered whose `{name}` is {', '.join(nice(values[one]) for one in empty)}, so that no weight makes up for them. "
            "Merge these with values that did answer."
        )
    return code, shares / shares.sum(), values


def _fitted(
    design: Array, margins: list[tuple[np.ndarray, Array]], bounds: tuple[float, float] | None
) -> tuple[Array, int]:
    """The weights, and how many rounds it took."""
    least, most = bounds or (0.0, np.inf)
    if not 0 <= least <= 1 <= most:
        raise CxValueError(f"bounds must hold 1 between them, such as (0.25, 4), not ({least:g}, {most:g}).")
    factor, whole, off = np.ones(len(design)), design.sum(), np.inf
    for done in range(1, ROUNDS + 1):
        for code, shares in margins:
            total = np.bincount(code, design * np.clip(factor, least, most), len(shares))
            factor = np.clip(factor * (shares * whole / total)[code], 1e-12, 1e12)
        made = design * np.clip(factor, least, most)
        off = max(np.abs(np.bincount(c, made, len(s)) / whole - s).max() for c, s in margins)
        if off < CLOSE:
            return made, done
    why = "within these bounds: widen them" if bounds else "as some combinations of values did not answer"
    raise CxValueError(
        f"No weights reach the targets (a share is still off by {off:.2g}) {why}, merge values or leave out a column."
    )
