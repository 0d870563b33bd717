"""Outcomes by persona, corrected for customers who are assigned to the wrong one.

Personas are probabilities, never facts. Averaging an outcome over those assigned to a persona mixes
others in and pulls all personas together; weighting by the probabilities themselves pulls harder. The
three-step correction of Bolck, Croon and Hagenaars (2004, Political Analysis 12; weights as in Vermunt
2010, Political Analysis 18) undoes the mixing: P(assigned | true) follows from the probabilities, and
its inverse turns sums over those assigned into sums over those who truly belong.

It holds where the outcome depends on the true persona and not, beyond it, on what this was told by (an
outcome that was itself a feature breaks it), and where the probabilities are right on average. That
they come from a fitted model is not in the interval.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cxlib.errors import CxLookupError, CxValueError
from cxlib.frames import column, numbers
from cxlib.results import TOO_FEW, Claim, Result, nice, number, percent, visible
from cxlib.stats.folds import ENOUGH, FOLDS, folds_of, jackknife
from cxlib.stats.intervals import Array, Interval, Scale

SINGULAR = 1e3
"""A classification table with a larger condition number cannot be undone: personas are told apart by chance."""

Statistic = Callable[[Array], Array]


@dataclass(frozen=True, eq=False)
class Corrected(Result):
    """Outcomes by persona, corrected for classification error.

    `frame`: persona, outcome (where there are several), estimate, low, high, n (persons with values,
    whatever their persona: all of them carry the correction), customers (those of them assigned to this
    persona), uncorrected (the plain figure of those assigned). `error`: the share of persons assigned to
    a wrong persona, by their own probabilities; `unmatched`: persons with values but no membership.
    """

    frame: pd.DataFrame = field(repr=False)
    error: float
    unmatched: int = 0

    def table(self) -> pd.DataFrame:
        """One row a persona (and outcome)."""
        return self.frame

    def claim(self) -> Claim:
        """Where the first outcome is highest and lowest, and how much was corrected for."""
        table = visible(self.frame).dropna(subset=["low", "high"])
        if "outcome" in table:
            table = table[table["outcome"] == self.frame["outcome"].iloc[0]]
        if len(table) < 2:
            return TOO_FEW
        top, last = table.loc[table["estimate"].idxmax()], table.loc[table["estimate"].idxmin()]
        high, low = (
            f"{nice(row['persona'])} ({number(row['estimate'])}, {number(row['low'])} to {number(row['high'])})"
            for row in (top, last)
        )
        text = f"{high} has the highest value and {low} the lowest"
        if not top["low"] > last["high"]:
            text = f"the personas are not clearly apart, from {low} to {high}"
        text += f"; corrected for the {percent(self.error)} who are assigned to a wrong persona."
        return Claim(text[0].upper() + text[1:])


class _Matched(NamedTuple):
    """Persons with values and a membership: (n, k) probabilities, (n, m) values, and how many had only values."""

    personas: list[str]
    person: NDArray[np.object_]
    posterior: Array
    values: Array
    unmatched: int

    def only(self, rows: NDArray[np.bool_], columns: list[int]) -> _Matched:
        values = self.values[rows][:, columns]
        return _Matched(self.personas, self.person[rows], self.posterior[rows], values, self.unmatched)


def bch(memberships: pd.DataFrame) -> pd.DataFrame:
    """Weights that correct sums over persons for classification error: person, one column a persona.

    `memberships`: `person` and one probability column a persona, rows summing to 1. Anything linear in
    persons (sums, counts, numerators, denominators) is corrected by summing it with these weights. They
    may be negative; rows sum to 1, and a persona's weights add up to what its probabilities do. Give the
    memberships of the persons analysed: how often assignment fails is estimated from them. A persona that
    nobody is assigned to has weights of 0 if fewer than `ENOUGH` are expected there, else CxValueError
    says that it cannot be told from the others.

    >>> given = pd.DataFrame({"person": ["a", "b", "c"], "saver": [.9, .8, .1], "fan": [.1, .2, .9]})
    >>> print(bch(given).round(2).to_string(index=False))
    person  saver   fan
         a   1.08 -0.08
         b   1.08 -0.08
         c  -0.36  1.36
    """
    person, personas, posterior = _memberships(memberships)
    total = _sums(posterior, np.empty((len(person), 0)), np.zeros(len(person), dtype=np.int64), 1)[0]
    _refuse_alike(total, personas)
    here = np.eye(len(personas)) * (total.sum(axis=1) > 0)
    weights = (here @ np.linalg.inv(_table(total)))[:, posterior.argmax(axis=1)].T
    return pd.concat([pd.Series(person, name="person"), pd.DataFrame(weights, columns=personas)], axis=1)


def correct(
    values: pd.DataFrame,
    memberships: pd.DataFrame,
    per: str | None = None,
    scale: Scale | None = None,
    level: float = 0.95,
) -> Corrected:
    """Corrected mean of each column of `values` by persona, or its ratio to the column `per`.

    `values`: `person` and numeric columns, one row a person; a missing value leaves the person out of
    that outcome. `memberships` as for `bch`; who is in one frame only is left out, and counted. How often
    assignment fails is estimated from the persons with values, as active customers are told apart better
    than others; a persona that nobody of them is assigned to is NaN. The interval leaves out one of fifty folds of persons at a time, classification table
    and all, with t (49 df), on `scale` (if not given: identity for means, log for ratios).

    >>> rng = np.random.default_rng(0)
    >>> person, fan = np.arange(2000), rng.random(2000) < .5
    >>> seen = np.where(rng.random(2000) < .8, fan, ~fan)     # right four times in five
    >>> given = pd.DataFrame({"person": person, "fan": np.where(seen, .8, .2), "saver": np.where(seen, .2, .8)})
    >>> spent = pd.DataFrame({"person": person, "spent": 10.0 * fan + 5 + rng.normal(0, 1, 2000)})
    >>> correct(spent, given).table()[["persona", "estimate", "uncorrected"]].round().to_numpy().tolist()
    [['fan', 15.0, 13.0], ['saver', 5.0, 7.0]]
    """
    if per is not None:
        column(values, per)
    outcomes = [str(name) for name in values.columns if name not in ("person", per)]
    if not outcomes:
        raise CxValueError("values has no outcome: it needs a numeric column beside `person`.")
    matched = _match(values, outcomes + ([per] if per else []), memberships)
    tables = []
    for columns, rows in _alike(matched.values, per is not None):
        found = matched.only(rows, columns)
        named = columns if per is None else columns[:-1]
        if per is None:
            mean: Statistic = lambda sums: sums[..., 1:] / sums[..., :1]  # noqa: E731
        else:
            mean = lambda sums: sums[..., 1:-1] / sums[..., -1:]  # noqa: E731
        interval, plain = _estimate(found, mean, scale or ("identity" if per is None else "log"), level)
        customers = np.bincount(found.posterior.argmax(axis=1), minlength=len(found.personas))
        tables += [
            pd.DataFrame(
                {
                    "persona": found.personas,
                    "outcome": outcomes[which],
                    "estimate": interval.estimate[:, place],
                    "low": interval.low[:, place],
                    "high": interval.high[:, place],
                    "n": len(found.person),
                    "customers": customers,
                    "uncorrected": plain[:, place],
                }
            )
            for place, which in enumerate(named)
        ]
    frame = pd.concat(
        sorted(tables, key=lambda one: outcomes.index(one["outcome"].iloc[0])), ignore_index=True
    )
    error = float(1 - matched.posterior.max(axis=1).mean())
    return Corrected(frame if len(outcomes) > 1 else frame.drop(columns="outcome"), error, matched.unmatched)


def corrected(
    values: pd.DataFrame,
    memberships: pd.DataFrame,
    statistic: Statistic,
    scale: Scale = "identity",
    level: float = 0.95,
) -> Interval:
    """Any smooth statistic of corrected sums by persona, such as a difference of two arms' means.

    `values` as for `correct`, without missing values: `person` and m columns. `statistic` takes corrected
    sums (replicates, k personas, 1 + m), the number of persons first and then the columns in order, and
    returns (replicates, k, ...). Every field of the result is (k, ...), in the order of the memberships.

    >>> given = pd.DataFrame({"person": range(100), "a": [.9, .1] * 50, "b": [.1, .9] * 50})
    >>> arms = pd.DataFrame({"person": range(100), "treated": [1, 1, 0, 0] * 25, "control": [0, 0, 1, 1] * 25})
    >>> share = corrected(arms, given, lambda c: c[..., 1] / (c[..., 1] + c[..., 2]))
    >>> share.estimate.round(9).tolist()
    [0.5, 0.5]
    """
    names = [str(name) for name in values.columns if name != "person"]
    matched = _match(values, names, memberships)
    known = np.isfinite(matched.values).all(axis=1)
    if not known.all():
        raise CxValueError(
            f"{int((~known).sum()):,} persons lack a value in one of {', '.join(names)}; fill them or leave the persons out."
        )
    return _estimate(matched, statistic, scale, level)[0]


def unmixed(posterior: Array, sums: Array) -> Array:
    """Sums over those who belong to each persona, from sums over those assigned to it.

    `posterior` (..., k assigned, k personas): sums of the probabilities of those assigned to each persona;
    `sums` (..., k assigned, m): sums, made anywhere, of anything. For rooms that count on the engine: the
    arithmetic of `bch` on a few sums instead of on every person. The result, (..., k, m), is NaN where the
    personas cannot be told apart; a persona that nobody is assigned to has sums of 0.

    >>> unmixed(np.array([[80.0, 30], [20, 70]]), np.array([[86.0], [34.0]])).round(9).tolist()
    [[100.0], [20.0]]
    """
    table = _table(posterior)
    lost = np.linalg.cond(table) > SINGULAR
    table[lost] = np.eye(posterior.shape[-1])
    return np.where(lost[..., None, None], np.nan, np.linalg.solve(table, sums))


# --- the arithmetic ----------------------------------------------------------------------------


def _estimate(found: _Matched, statistic: Statistic, scale: Scale, level: float) -> tuple[Interval, Array]:
    """The corrected statistic with its interval, and the uncorrected one."""
    k = len(found.personas)
    by_fold = _sums(found.posterior, found.values, folds_of(found.person), FOLDS)
    total = by_fold.sum(axis=0)
    _refuse_alike(total, found.personas)
    interval = jackknife(
        by_fold, lambda sums: statistic(unmixed(sums[..., :k], _as_assigned(sums, k))), scale, level
    )
    with np.errstate(divide="ignore", invalid="ignore"):
        return interval, np.asarray(statistic(_as_assigned(total, k)[None]), dtype=float)[0]


def _sums(posterior: Array, values: Array, fold: NDArray[np.int64], folds: int) -> Array:
    """(folds, k, k + m): for those assigned to each of the k personas, sums of probabilities, then of values.

    All that the correction and its interval need; the number of persons does not matter from here on.
    """
    k = posterior.shape[1]
    cell = fold * k + posterior.argmax(axis=1)
    parts = (*posterior.T, *values.T)
    sums = np.array([np.bincount(cell, part, folds * k) for part in parts], dtype=float)
    return np.moveaxis(sums.reshape(len(parts), folds, k), 0, -1)


def _table(sums: Array) -> Array:
    """P(assigned | true), (..., k assigned, k true), from sums of probabilities by assigned persona.

    A persona that nobody is assigned to stands apart, as one of nobody's: its few are taken for others.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        table = sums / sums.sum(axis=-2, keepdims=True)
    gone = ~(sums.sum(axis=-1) > 1e-6)
    table[gone[..., :, None] | gone[..., None, :]] = 0.0
    return table + gone[..., None] * np.eye(table.shape[-1])


def _as_assigned(sums: Array, k: int) -> Array:
    """(..., k, 1 + m) persons and sums by assigned persona."""
    return np.concatenate([sums[..., :k].sum(axis=-1, keepdims=True), sums[..., k:]], axis=-1)


def _refuse_alike(total: Array, personas: list[str]) -> None:
    """CxValueError where the personas cannot be told apart; `total` is (k, k + m) sums."""
    k = len(personas)
    size, mass = total[:, :k].sum(axis=1), total[:, :k].sum(axis=0)
    for name, n, expected in zip(personas, size, mass, strict=True):
        if n < 0.5 and expected >= ENOUGH:
            raise CxValueError(
                f"Nobody of {size.sum():,.0f} persons is assigned to `{name}`, though {expected:,.0f} are expected "
                "there: it cannot be told from the others. Merge it with one of them, or fit fewer personas."
            )
    if np.linalg.cond(_table(total[:, :k])) > SINGULAR:
        raise CxValueError(
            f"The personas {', '.join(personas)} are told apart by little more than chance, so nothing can be "
            "said of each. Fit fewer personas, or give the fit more to go by."
        )


# --- reading the frames ------------------------------------------------------------------------


def _memberships(frame: pd.DataFrame) -> tuple[NDArray[np.object_], list[str], Array]:
    """Person keys as text, personas, and their (n, k) probabilities; CxValueError says what is wrong."""
    person = _persons(frame, "memberships")
    personas = [str(name) for name in frame.columns if name != "person"]
    if not personas or not len(frame):
        raise CxValueError("memberships needs rows, `person` and one probability column a persona.")
    posterior = np.column_stack([numbers(frame, name) for name in frame.columns if name != "person"])
    total = posterior.sum(axis=1)
    for wrong, what in (
        (((posterior < -1e-9) | (posterior > 1 + 1e-9)).any(axis=1), "lies outside 0 to 1"),
        (np.abs(total - 1) > 1e-3, "does not sum to 1 over the personas"),
    ):
        if wrong.any():
            first = int(np.argmax(wrong))
            shown = ", ".join(f"{value:g}" for value in posterior[first][:6])
            raise CxValueError(
                f"memberships: the probability of {int(wrong.sum()):,} persons {what}, such as {shown} (row {first}). "
                "Give `person` and the probability of each persona, nothing else."
            )
    return person, personas, np.clip(posterior, 0, 1) / total[:, None]


def _persons(frame: pd.DataFrame, what: str) -> NDArray[np.object_]:
    named = column(frame, "person")
    if named.isna().any():
        raise CxValueError(f"{what}: {int(named.isna().sum()):,} rows have no person; leave them out.")
    person = named.astype(str).to_numpy(dtype=object)
    if extra := len(person) - len(set(person)):
        raise CxValueError(
            f"{what}: {extra:,} rows repeat a person, such as `{_repeated(person)}`; it takes one row a person (sum or average first)."
        )
    return person


def _repeated(person: NDArray[np.object_]) -> str:
    return str(pd.Series(person)[pd.Series(person).duplicated()].iloc[0])


def _match(values: pd.DataFrame, columns: list[str], memberships: pd.DataFrame) -> _Matched:
    """The persons of both frames, in the order of the memberships."""
    person, personas, posterior = _memberships(memberships)
    valued = _persons(values, "values")
    found = np.column_stack([numbers(values, name, missing=True) for name in columns])
    place = pd.Index(valued).get_indexer(person)
    both = place >= 0
    if not both.any():
        raise CxLookupError(
            f"None of {len(valued):,} persons with values is among the {len(person):,} of the memberships: "
            f"`{valued[0] if len(valued) else ''}` against `{person[0]}`. Both need the study's person key, as text."
        )
    return _Matched(
        personas, person[both], posterior[both], found[place[both]], len(valued) - int(both.sum())
    )


def _alike(values: Array, per: bool) -> Iterator[tuple[list[int], NDArray[np.bool_]]]:
    """Columns known of the same persons, with these persons: one pass over them does for all.

    With `per`, the last column is the denominator and goes with each group.
    """
    known = np.isfinite(values)
    groups: dict[bytes, list[int]] = {}
    for place in range(values.shape[1] - per):
        rows = known[:, place] & known[:, -1] if per else known[:, place]
        groups.setdefault(rows.tobytes(), []).append(place)
    for rows_, places in groups.items():
        yield places + [values.shape[1] - 1] * per, np.frombuffer(rows_, dtype=bool)
