"""The kinds of features, each with its own likelihood given the kind of customer.

A block holds one row a person and knows four things: `start` parameters that are the same for all
kinds, `fit` them to responsibilities (the M-step), the log `density` of each person under each kind,
and how many parameters a further kind costs (`free`). Whatever does not depend on the kind is left out
of the density, and shared parameters (contexts, scatter within a person) are fitted over all kinds.
Blocks are independent given the kind; a person without anything in a block adds nothing to it.
Of a block's parameters the first array has one row a kind; the others are common to all.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array

Array = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Params = tuple[Array, ...]
TINY = 1e-300
OTHER = "(other)"  # the option of all answers but the commonest
REPEATS = 100  # second and further measurements needed to know the variance within persons
PRIOR = 1.0  # imagined choices of each option, or answers, as usual as everybody's: a rarity is no taste


@dataclass(frozen=True, eq=False)
class Choices:
    """What was chosen, given what there was to choose from.

    The chance of option j in context c for kind k is proportional to b[c, j] t[k, j]: the context's usual
    choices b, common to all, bent by the kind's taste t. It is the log-linear model of a contexts x options
    x kinds table without the three-way term (Bishop, Fienberg and Holland 1975; a conditional logit whose
    only attribute is the option itself). So a phase, a page's own links or how active somebody is are
    nobody's kind, and a kind costs as many parameters as there are options.

    row, context, option, count : one entry a person, context and option that occurs; the first three are
    positions among `persons` persons, `contexts` and `options`
    part : 0 for choices of the first half of the person's visits, 1 for the second
    """

    name: str
    meaning: str
    contexts: tuple[str, ...]
    options: tuple[str, ...]
    persons: int
    row: Ints
    context: Ints
    option: Ints
    count: Array
    part: Ints
    unit: str = "share of choices"
    outcomes: tuple[str, ...] = ()

    @cached_property
    def made(self) -> Array:
        """(persons, options) counts of what each person chose."""
        return self._table(self.row, self.persons, self.option, len(self.options))

    @cached_property
    def faced(self) -> Array:
        """(persons, contexts) counts of the choices each person stood before."""
        return self._table(self.row, self.persons, self.context, len(self.contexts))

    @cached_property
    def chosen(self) -> csr_array:
        """(persons, contexts x options) counts of what each person chose in each context."""
        cell = self.context * len(self.options) + self.option
        return csr_array(
            (self.count, (self.row, cell)), shape=(self.persons, len(self.contexts) * len(self.options))
        )

    @cached_property
    def pooled(self) -> Array:
        """(contexts, options) counts of all persons together."""
        return self._table(self.context, len(self.contexts), self.option, len(self.options))

    def _table(self, i: Ints, rows: int, j: Ints, columns: int) -> Array:
        counts: Array = np.bincount(i * columns + j, self.count, rows * columns).astype(float)
        return counts.reshape(rows, columns)

    @property
    def observed(self) -> npt.NDArray[np.bool_]:
        """Persons with something in this block."""
        return self.made.sum(axis=1) > 0

    def columns(self) -> list[tuple[str, Array]]:
        """Each feature with its values: the share of a person's choices."""
        total = self.made.sum(axis=1)
        with np.errstate(invalid="ignore", divide="ignore"):
            return [(option, self.made[:, j] / total) for j, option in enumerate(self.options)]

    def _only(self, keep: npt.NDArray[np.bool_], **changed: Any) -> Choices:
        cut = {
            name: changed.pop(name, getattr(self, name))[keep]
            for name in ("row", "context", "option", "count", "part")
        }
        return replace(self, **cut, **changed)

    def take(self, rows: Ints) -> Choices:
        """The same for some persons, numbered in the order of `rows`."""
        place = np.full(self.persons, -1)
        place[rows] = np.arange(len(rows))
        return self._only(place[self.row] >= 0, row=place[self.row], persons=len(rows))

    def half(self, part: int) -> Choices:
        """The choices of the first (0) or the second (1) half of everybody's visits."""
        return self._only(self.part == part)

    def like(self, other: Choices) -> Choices:
        """These choices with the contexts and options of another block; what it does not know is left out."""
        context = _positions(self.contexts, other.contexts)[self.context]
        option = _positions(self.options, other.options)[self.option]
        known = (context >= 0) & (option >= 0)
        return self._only(
            known, context=context, option=option, contexts=other.contexts, options=other.options
        )

    def free(self, k: int) -> int:
        """Parameters of k kinds above those of one."""
        return (k - 1) * (len(self.options) - 1)

    def start(self, k: int) -> Params:
        usual = self.pooled / np.maximum(self.pooled.sum(axis=1, keepdims=True), 1)
        return np.ones((k, len(self.options))), usual

    def fit(self, weights: Array, params: Params) -> Params:
        """Two rounds of iterative proportional fitting, which raise the likelihood at every round."""
        taste, usual = params
        made, faced = weights.T @ self.made, weights.T @ self.faced
        for _ in range(2):
            expected = (faced / np.maximum(taste @ usual.T, TINY)) @ usual
            taste = (made + PRIOR) / (expected + PRIOR)
            usual = self.pooled / np.maximum((faced / np.maximum(taste @ usual.T, TINY)).T @ taste, TINY)
            usual = usual / np.maximum(usual.sum(axis=1, keepdims=True), TINY)
        return taste, usual

    def density(self, params: Params) -> Array:
        taste, usual = params
        common = self.chosen @ np.log(np.maximum(usual, TINY)).ravel()
        return np.asarray(
            common[:, None]
            + self.made @ np.log(np.maximum(taste, TINY)).T
            - self.faced @ np.log(np.maximum(taste @ usual.T, TINY)).T
        )

    def expected(self, params: Params) -> Array:
        """(kinds, options) shares each kind would choose if it faced what all customers faced together."""
        taste, usual = params
        chance = taste[:, None, :] * usual[None]
        chance = chance / np.maximum(chance.sum(axis=2, keepdims=True), TINY)
        faced = self.pooled.sum(axis=1)
        return np.einsum("c,kcj->kj", faced / max(faced.sum(), 1.0), chance)


@dataclass(frozen=True, eq=False)
class Answers:
    """One categorical answer a person: `code` of `options`, -1 where missing. Multinomial given the kind.

    A number is an answer too, by the band between `cuts` it lies in (each cut belongs to the band below it):
    neither its shape, nor steps, nor an outlier then looks like a kind. `raw`: the answers as given (None or NaN
    where missing), where options stand for several of them.
    """

    name: str
    meaning: str
    options: tuple[str, ...]
    code: Ints
    unit: str = "category"
    outcomes: tuple[str, ...] = ()
    cuts: Array | None = None
    raw: npt.NDArray[Any] | None = None

    @property
    def observed(self) -> npt.NDArray[np.bool_]:
        return self.code >= 0

    @cached_property
    def made(self) -> Array:
        """(persons, options) one where the answer was given."""
        return (self.code[:, None] == np.arange(len(self.options))).astype(float)

    @cached_property
    def usual(self) -> Array:
        """(options,) share of all persons who gave each answer."""
        return np.asarray(self.made.mean(axis=0))

    def columns(self) -> list[tuple[str, Array]]:
        known = np.where(self.observed, 1.0, np.nan)
        return [(option, known * (self.code == j)) for j, option in enumerate(self.options)]

    def take(self, rows: Ints) -> Answers:
        return replace(self, code=self.code[rows], raw=None if self.raw is None else self.raw[rows])

    def like(self, other: Answers) -> Answers:
        if self.raw is None:
            names = np.array([*self.options, None], object)[self.code]
            return replace(other, code=replace(other, cuts=None).coded(names), raw=None)
        alike = (self.cuts is None) == (other.cuts is None)
        code = other.coded(self.raw) if alike else np.full(len(self.raw), -1)
        return replace(other, code=code, raw=self.raw)

    def coded(self, raw: npt.NDArray[Any]) -> Ints:
        """The place among the options: text that is none of them is one of the others, if there are such, else -1."""
        if self.cuts is not None:
            return np.where(np.isnan(raw), -1, np.searchsorted(self.cuts, raw))
        place: dict[Any, int] = {option: j for j, option in enumerate(self.options)}
        rest = place.get(OTHER, -1)
        return np.array([-1 if text is None else place.get(text, rest) for text in raw], dtype=np.int64)

    def free(self, k: int) -> int:
        return (k - 1) * (len(self.options) - 1)

    def start(self, k: int) -> Params:
        share = self.made.sum(axis=0) + TINY
        return (np.tile(share / share.sum(), (k, 1)),)

    def fit(self, weights: Array, params: Params) -> Params:
        chosen = weights.T @ self.made + PRIOR * self.usual
        return (chosen / np.maximum(chosen.sum(axis=1, keepdims=True), TINY),)

    def density(self, params: Params) -> Array:
        logs = np.log(np.maximum(params[0], TINY))
        return np.append(logs.T, np.zeros((1, len(logs))), axis=0)[self.code]  # the last row is code -1's

    def expected(self, params: Params) -> Array:
        return params[0]


@dataclass(frozen=True, eq=False)
class Values:
    """Repeated measurements of a person, as their number, sum and sum of squares.

    x = m[k] + u + e: the kind's mean, what is the person's own (variance t2) and the scatter within a
    person (variance s2). Both variances are common to all kinds: customers may differ by degrees within
    a kind, and a spread of means is no evidence of two kinds. s2 is the pooled variance within persons,
    and all there is where hardly anybody was measured twice: one value each cannot tell kinds apart by its
    own shape.
    """

    name: str
    meaning: str
    n: Array
    total: Array
    squares: Array
    unit: str = "log"
    outcomes: tuple[str, ...] = ()

    @property
    def observed(self) -> npt.NDArray[np.bool_]:
        return self.n > 0

    @property
    def means(self) -> Array:
        """Each person's mean, NaN where there is none."""
        with np.errstate(invalid="ignore", divide="ignore"):
            return self.total / self.n

    @cached_property
    def filled(self) -> Array:
        """Each person's mean, 0 where there is none."""
        return np.nan_to_num(self.means)

    @property
    def options(self) -> tuple[str, ...]:
        return (self.name,)

    def columns(self) -> list[tuple[str, Array]]:
        return [(self.name, self.means)]

    def take(self, rows: Ints) -> Values:
        return replace(self, n=self.n[rows], total=self.total[rows], squares=self.squares[rows])

    def like(self, other: Values) -> Values:
        return replace(other, n=self.n, total=self.total, squares=self.squares)

    def free(self, k: int) -> int:
        return k - 1

    def start(self, k: int) -> Params:
        seen, more = self.observed, np.maximum(self.n - 1, 0).sum()
        n, total, squares = self.n.sum(), self.total.sum(), self.squares.sum()
        whole = max(float(squares / n - (total / n) ** 2), 1e-9)
        within = np.maximum(self.squares[seen] - self.total[seen] ** 2 / self.n[seen], 0).sum()
        s2 = float(within / more) if more >= REPEATS else whole
        spread = max(whole - s2, 1e-3 * whole)
        mean = total / n
        return np.full(k, mean), np.array([spread]), np.array([s2])

    def precision(self, params: Params) -> Array:
        """1 / variance of each person's mean about the kind's, 0 where there is none."""
        n = np.maximum(self.n, 1)
        return np.where(self.observed, 1 / np.maximum(params[1] + params[2] / n, 1e-9), 0.0)

    def fit(self, weights: Array, params: Params) -> Params:
        means, (t2,), s2 = self.filled, params[1], params[2]
        for _ in range(3):
            w = self.precision((params[0], np.array([t2]), s2))
            size = weights.T @ w
            mean = np.where(size > 0, (weights.T @ (w * means)) / np.maximum(size, TINY), params[0])
            # Expected squared distance from the kind's mean, by moments: no (persons, kinds) array is made.
            centre = mean.mean()
            here, gap = means - centre, mean - centre
            off = here * (here - 2 * (weights @ gap)) + weights @ gap**2
            # Fisher scoring for the variance between persons; never below nothing.
            score, information = (w**2 * off - w).sum(), (w**2).sum()
            t2 = max(t2 + score / max(information, TINY), 0.0)
        return mean, np.array([t2]), s2

    def density(self, params: Params) -> Array:
        w = self.precision(params)[:, None]
        off = self.filled[:, None] - params[0]
        logs = np.log(np.maximum(w, TINY) / (2 * np.pi))
        return np.where(w > 0, 0.5 * (logs - w * off**2), 0.0)

    def expected(self, params: Params) -> Array:
        return params[0][:, None]


@dataclass(frozen=True, eq=False)
class Measures:
    """One number a person (NaN where missing): normal, with a mean and a variance a kind."""

    name: str
    meaning: str
    value: Array
    unit: str = "as given"
    outcomes: tuple[str, ...] = ()

    @property
    def observed(self) -> npt.NDArray[np.bool_]:
        return np.isfinite(self.value)

    @property
    def options(self) -> tuple[str, ...]:
        return (self.name,)

    def columns(self) -> list[tuple[str, Array]]:
        return [(self.name, self.value)]

    def take(self, rows: Ints) -> Measures:
        return replace(self, value=self.value[rows])

    def like(self, other: Measures) -> Measures:
        return replace(other, value=self.value)

    def free(self, k: int) -> int:
        return 2 * (k - 1)

    def start(self, k: int) -> Params:
        mean, variance = float(np.nanmean(self.value)), float(np.nanvar(self.value))
        return np.tile([mean, variance], (k, 1)), np.array([variance * 1e-3])

    def fit(self, weights: Array, params: Params) -> Params:
        seen, x = weights * self.observed[:, None], np.nan_to_num(self.value)
        size = np.maximum(seen.sum(axis=0), TINY)
        mean = seen.T @ x / size
        variance = (seen * (x[:, None] - mean) ** 2).sum(axis=0) / size
        return np.stack([mean, np.maximum(variance, params[1])], axis=1), params[1]

    def density(self, params: Params) -> Array:
        mean, variance = params[0].T
        z = np.log(2 * np.pi * variance) + (np.nan_to_num(self.value)[:, None] - mean) ** 2 / variance
        return np.where(self.observed[:, None], -0.5 * z, 0.0)

    def expected(self, params: Params) -> Array:
        return params[0][:, :1]


Block = Choices | Answers | Values | Measures


def aligned(block: Block, other: Block) -> Block:
    """A block of new persons with the contexts, options and parameters' places of another of its type."""
    return block.like(other)  # type: ignore[arg-type]


def _positions(have: Sequence[str], want: Sequence[str]) -> Ints:
    place = {name: j for j, name in enumerate(want)}
    return np.array([place.get(name, -1) for name in have], dtype=np.int64)
