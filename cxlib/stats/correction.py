"""Outcomes by persona, corrected for customers who are assigned to the wrong one.

Personas are probabilities, never facts. Averaging an outcome over those assigned to a persona mixes
others in and pulls all personas together; weighting by the probabilities themselves pulls harder. The
three-step correction of Bolck, Croon and Hagenaars (2004, Political Analysis 12; weights as in Vermunt
2010, Political Analysis 18) undoes the mixing: P(assigned | true) follows from the probabilities, and
its inverse turns sums over those assigned into sums over those who truly belong.

It holds where the outcome depends on the true persona and not, beyond it, on what this was told by (an
outcome that was itself a feature breaks it), and where the probabilities are right on average. That
they come from a fitted model is not in the interval (with k given, 95 % then cover 91 to 94 in small worlds).

Who is more active is told apart better, and often worth more: then the outcome does depend on what
persons are told by. Within strata of activity it no longer does. There the sizes of the personas are
estimated anew from the same probabilities (a covariate of class membership, Vermunt 2010), P(assigned |
true) follows, and the corrected sums are added up over the strata.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import special

from cxlib.errors import CxLookupError, CxValueError
from cxlib.frames import column, numbers
from cxlib.results import TOO_FEW, Claim, Result, nice, number, percent, visible
from cxlib.stats.folds import ENOUGH, FOLDS, folds_of, jackknife
from cxlib.stats.intervals import Array, Interval, Scale
from cxlib.stats.multiplicity import benjamini_hochberg

SINGULAR = 1e3
"""A classification table with a larger condition number cannot be undone: personas are told apart by chance."""

BANDS = 10
"""Into so many bands of equal size numbers are cut for strata; bands too small are joined with the next."""

STEPS = 40
"""Steps of EM for the sizes of the personas within a stratum; they converge fast, as the likelihoods are given."""

Statistic = Callable[[Array], Array]


@dataclass(frozen=True, eq=False)
class Corrected(Result):
    """Outcomes by persona, corrected for classification error.

    `frame`: persona, outcome (where there are several), estimate, low, high, n (persons with values,
    whatever their persona: all of them carry the correction), customers (those of them assigned to this
    persona), uncorrected (the plain figure of those assigned), strata (how many, where there are any). `error`:
    the share of persons assigned to a wrong persona, by their own probabilities; `unmatched`: persons with
    values but no membership; `against`: what the figures are differences from ("all" customers, or a
    persona), with a column q: differences of at most q are a list with a false discovery rate of at most q;
    `outcome`: the first one, of which the claim speaks.
    """

    frame: pd.DataFrame = field(repr=False)
    error: float
    unmatched: int = 0
    against: str | None = None
    outcome: str = "value"

    def table(self) -> pd.DataFrame:
        """One row a persona (and outcome)."""
        return self.frame

    def claim(self) -> Claim:
        """Where the first outcome is highest and lowest (or clearly different), and how much was corrected for."""
        table = visible(self.frame).dropna(subset=["low", "high"]).sort_values("estimate", kind="stable")
        if "outcome" in table:
            table = table[table["outcome"] == self.frame["outcome"].iloc[0]]
        said = [
            f"{nice(row.persona)} ({number(row.estimate)}, {number(row.low)} to {number(row.high)})"
            for row in table.itertuples()
        ]
        if len(said) < 1 + (self.against is None):
            return TOO_FEW
        what = nice(self.outcome)
        if self.against is not None:
            apart = [words for words, q in zip(said, table["q"], strict=True) if q < 0.05]
            rest = "all customers" if self.against == "all" else nice(self.against)
            text = f"{what} clearly different from {rest}: {', '.join(apart) or 'no persona'}"
        elif table["low"].iloc[-1] > table["high"].iloc[0]:
            text = f"{what} is clearly higher for {said[-1]} than for {said[0]}"
        else:
            text = f"by {what} the personas are not clearly apart, from {said[0]} to {said[-1]}"
        text += f"; corrected for the {percent(self.error)} who are assigned to a wrong persona."
        return Claim(text[0].upper() + text[1:])


class _Matched(NamedTuple):
    """Persons with values and a membership: (n, k) probabilities, (n, m) values, and how many had only values;
    the personas' sizes among all memberships, and the band of each person, where there are strata."""

    personas: list[str]
    person: NDArray[np.object_]
    posterior: Array
    values: Array
    unmatched: int
    sizes: Array
    band: NDArray[np.int64]

    def only(self, rows: NDArray[np.bool_], columns: list[int]) -> _Matched:
        person, posterior, values = self.person[rows], self.posterior[rows], self.values[rows][:, columns]
        return self._replace(person=person, posterior=posterior, values=values, band=self.band[rows])

    def strata(self) -> list[NDArray[np.int64]]:
        """Rows of each stratum: bands, joined with the next as `correct` says; what is left joins the last."""
        whole: list[NDArray[np.int64]] = []
        rows = np.empty(0, dtype=np.int64)
        for band in range(self.band.max(initial=0) + 1):
            rows = np.append(rows, np.flatnonzero(self.band == band))
            assigned = np.bincount(self.posterior[rows].argmax(axis=1), minlength=len(self.personas))
            if min(assigned.min(), self.posterior[rows].sum(axis=0).min()) >= ENOUGH:
                whole, rows = [*whole, rows], rows[:0]
        return [*whole[:-1], np.concatenate([*whole[-1:], rows])]


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
    strata: str | None = None,
    against: str | None = None,
) -> Corrected:
    """Corrected mean of each column of `values` by persona, or its ratio to the column `per`.

    `values`: `person` and numeric columns, one row a person; a missing value leaves the person out of
    that outcome. `memberships` as for `bch`; who is in one frame only is left out, and counted. How often
    assignment fails is estimated from the persons with values, as active customers are told apart better
    than others; a persona that nobody of them is assigned to is NaN. The interval leaves out one of fifty
    folds of persons at a time, classification table and all, with t (49 df), on `scale` (if not given:
    identity for means and differences, log for ratios).

    `against`: "all" or a persona; gives differences from it. Uncorrected ones stand beside them.

    `strata`: a column of `values` that has to do both with the outcome and with how well persons are told
    apart, but was not itself told to the personas: how active they are, above all. Numbers are cut into
    ten bands of equal size, anything else goes by its groups, from the largest. A band is joined with the next
    until every persona has ten persons there, both expected and assigned. `memberships` must then be
    those of all who were fitted, as the sizes in each stratum are found by comparison with all.

    >>> rng = np.random.default_rng(0)
    >>> person, fan = np.arange(2000), rng.random(2000) < .5
    >>> seen = np.where(rng.random(2000) < .8, fan, ~fan)     # right four times in five
    >>> given = pd.DataFrame({"person": person, "fan": np.where(seen, .8, .2), "saver": np.where(seen, .2, .8)})
    >>> spent = pd.DataFrame({"person": person, "spent": 10.0 * fan + 5 + rng.normal(0, 1, 2000)})
    >>> correct(spent, given).table()[["persona", "estimate", "uncorrected"]].round().to_numpy().tolist()
    [['fan', 15.0, 13.0], ['saver', 5.0, 7.0]]
    >>> correct(spent, given, against="saver").table()[["persona", "estimate", "uncorrected"]].round().to_numpy().tolist()
    [['fan', 10.0, 6.0]]
    """
    for name in (per, strata):
        if name is not None:
            column(values, name)
    outcomes = [str(name) for name in values.columns if name not in ("person", per, strata)]
    if not outcomes:
        raise CxValueError("values has no outcome: it needs a numeric column beside `person`.")
    matched = _match(values, outcomes + ([per] if per else []), memberships, strata)
    if against not in (None, "all", *matched.personas):
        known = ", ".join(matched.personas)
        raise CxLookupError(f"against is `{against}`; it is `all` or one of the personas: {known}.")
    if against is not None and scale not in (None, "identity"):
        raise CxValueError(f"Differences lie on the scale `identity`, not `{scale}`: leave `scale` out.")
    scale = scale or ("identity" if per is None or against is not None else "log")
    of, by = (slice(1, None), slice(0, 1)) if per is None else (slice(1, -1), slice(-1, None))

    def figure(sums: Array) -> Array:
        mine: Array = sums[..., of] / sums[..., by]
        if against is None:
            return mine
        if against == "all":
            rest = sums.sum(axis=-2, keepdims=True)
        else:
            rest = sums[..., [matched.personas.index(against)], :]
        return mine - rest[..., of] / rest[..., by]

    tables = []
    for columns, rows in _alike(matched.values, per is not None):
        found = matched.only(rows, columns)
        interval, plain = _estimate(found, figure, scale, level)
        customers = np.bincount(found.posterior.argmax(axis=1), minlength=len(found.personas))
        tables += [
            pd.DataFrame(
                {
                    "persona": found.personas,
                    "outcome": outcomes[which],
                    **{name: part[:, place] for name, part in interval._asdict().items()},
                    "n": len(found.person),
                    "customers": customers,
                    "uncorrected": plain[:, place],
                    "strata": len(found.strata()),
                }
            )
            for place, which in enumerate(columns[: len(columns) - (per is not None)])
        ]
    frame = pd.concat(sorted(tables, key=lambda one: outcomes.index(one["outcome"].iloc[0])))
    frame = frame[frame["persona"] != against].reset_index(drop=True)
    if against is not None:
        unlike = np.abs(frame["estimate"] / frame["se"])
        frame["q"] = benjamini_hochberg(2 * special.stdtr(FOLDS - 1, -unlike))
    aside = {"se": True, "outcome": len(outcomes) == 1, "strata": strata is None}
    frame = frame.drop(columns=[name for name, drop in aside.items() if drop])
    error = float(1 - matched.posterior.max(axis=1).mean())
    return Corrected(frame, error, matched.unmatched, against, outcomes[0])


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
    k, fold = len(found.personas), folds_of(found.person)
    by_fold = _sums(found.posterior, found.values, fold, FOLDS)
    total = by_fold.sum(axis=0)
    _refuse_alike(total, found.personas)
    strata = found.strata()
    if len(strata) == 1:
        interval = jackknife(
            by_fold, lambda sums: statistic(unmixed(sums[..., :k], _as_assigned(sums, k))), scale, level
        )
    else:  # sizes are found anew without each fold: what is added up is which folds are kept
        kept = np.diag(by_fold.any(axis=(1, 2)))
        interval = jackknife(
            kept, lambda folds: statistic(_within(found, strata, folds[:, fold])), scale, level
        )
    with np.errstate(divide="ignore", invalid="ignore"):
        return interval, np.asarray(statistic(_as_assigned(total, k)[None]), dtype=float)[0]


def _within(found: _Matched, strata: list[NDArray[np.int64]], kept: Array) -> Array:
    """Sums as of `unmixed`, but within strata and then added up; `kept` (replicates, persons) is 1 or 0."""
    total: Array = np.zeros(())
    for rows in strata:
        weight, posterior = kept[:, rows], found.posterior[rows]
        likely = posterior / np.maximum(
            found.sizes, 1e-300
        )  # in proportion to the likelihood of each persona
        size = np.tile(found.sizes, (len(kept), 1))
        for _ in range(STEPS):
            size = size * ((weight / (size @ likely.T)) @ likely) / weight.sum(axis=1, keepdims=True)
        weighed, values = (
            weight / (size @ likely.T),
            np.column_stack([np.ones(len(rows)), found.values[rows]]),
        )
        told = np.eye(len(found.personas))[posterior.argmax(axis=1)].T
        table = np.stack([(weighed * one) @ likely * size for one in told], axis=1)
        total = total + unmixed(table, np.stack([(weight * one) @ values for one in told], axis=1))
    return total


def _bands(of: pd.Series) -> NDArray[np.int64]:
    """Numbers in bands of equal size, missing ones in the last; anything else in groups, the largest first."""
    if pd.api.types.is_numeric_dtype(of) and not pd.api.types.is_bool_dtype(of):
        x = of.to_numpy(dtype=float, na_value=np.nan)
        return np.searchsorted(np.unique(np.nanquantile(x, np.arange(1, BANDS) / BANDS)), x)
    sizes = of.astype(str).value_counts().sort_index().sort_values(ascending=False, kind="stable")
    return np.asarray(sizes.index.get_indexer(of.astype(str)), dtype=np.int64)


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


def _match(
    values: pd.DataFrame, columns: list[str], memberships: pd.DataFrame, strata: str | None = None
) -> _Matched:
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
    unmatched, sizes = len(valued) - int(both.sum()), posterior.mean(axis=0)
    band = _bands(values[strata] if strata else pd.Series(0.0, values.index))[place[both]]
    return _Matched(personas, person[both], posterior[both], found[place[both]], unmatched, sizes, band)


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
