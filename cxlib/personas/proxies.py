"""Does a persona give away what must not steer? Age, sex and the like, told from membership.

Sensitive attributes are no part of the mixture, but what customers do may go with them, and then a persona is
a proxy: treating personas differently treats these groups differently, whether anybody meant to or not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from cxlib import stats
from cxlib.customers.blocks import OTHER, Array, Ints
from cxlib.customers.columns import as_numbers
from cxlib.customers.profile import SENSITIVE, sensitive_among
from cxlib.customers.sources import LEVELS, is_study
from cxlib.errors import CxValueError
from cxlib.frames import column
from cxlib.personas.mixture import Mixture
from cxlib.personas.model import Personas
from cxlib.rates import Counts
from cxlib.results import TOO_FEW, Claim, Result, minimum, nice, percent
from cxlib.stats.laws import chi2

if TYPE_CHECKING:
    from cxlib.study import Study

ALL = "the personas"
BANDS = 4  # of a number such as an age
LEVEL = 0.05


@dataclass(frozen=True, eq=False)
class Shares(Counts):
    """The shares of each attribute's levels within each persona."""

    WHOLE = ("attribute", "persona")


@dataclass(frozen=True, eq=False)
class Proxies(Result):
    """How far membership gives each sensitive attribute away.

    frame : as `table()`
    shares : attribute, level, persona, estimate (share of the persona's customers, corrected for wrong
    assignment), low, high, n (customers whose attribute is known), customers (assigned to the persona), count
    (those with this level), uncorrected
    """

    SHARES = ("estimate", "low", "high", "right", "commonest")

    frame: pd.DataFrame = field(repr=False)
    shares: Shares = field(repr=False)

    def table(self) -> pd.DataFrame:
        """One row an attribute and what it is told by (the personas, or kinds as one block alone tells them):
        attribute, by, estimate (gain in right guesses over the commonest level), low, high, n, right, commonest
        (shares guessed right), v (Cramer's, corrected for chance), v_low, v_high, q (of no association; over the
        attributes for the personas, and over all for the blocks)."""
        return self.frame

    def claim(self) -> Claim:
        """Which attributes the personas give away, and through what."""
        if self.frame.empty:
            return Claim("No sensitive attribute is known of these customers, so this cannot be checked.")
        if self.shares.frame["persona"].nunique() == 1:
            return Claim("With one persona there is nothing that could give an attribute away.")
        said = [_said(rows) for _, rows in self.frame.groupby("attribute", sort=False)]
        return Claim(" ".join(said))


def _said(rows: pd.DataFrame) -> str:
    row, parts = rows.iloc[0], rows.iloc[1:]
    name = nice(row["attribute"])
    if row["n"] < minimum():
        return f"{name}: {TOO_FEW}"
    if not row["q"] < LEVEL:
        return f"Personas do not give {name} away as far as {row['n']:,} customers can tell."
    guess = f"a guess is right {percent(row['right'])} of the time, {percent(row['commonest'])} without them"
    through = parts[(parts["q"] < LEVEL) & (parts["v_high"] >= parts["v_low"].max())]
    most = f", most through {' and '.join(nice(by) for by in through['by'])}" if 0 < len(through) < 3 else ""
    if row["low"] > 0:
        return f"Personas give {name} away: {guess}{most}."
    return f"Personas go with {name} (Cramer's V {row['v']:.2f}{most}), but hardly give it away: {guess}."


def proxies(personas: Personas, study: Study | pd.DataFrame, sensitive: Sequence[str] = SENSITIVE) -> Proxies:
    """How well the persona assigned tells each sensitive attribute, and its levels' shares in each persona.

    `study`: its `customers` are looked at, or a frame of `person` and attributes; a number (written as text, too) or a date of more than 4
    values is cut into quarters, of more than 12 levels the 11 commonest are told apart. A guess is the commonest
    level among those of the same persona in the other 49 folds of customers, so that chance gains nothing.
    Pearson's chi-squared says whether there is an association at all (q by Benjamini and Hochberg), Cramer's V how
    strong it is (bias-corrected: Bergsma 2013, J. Korean Stat. Soc. 42); then the same for kinds told by one block
    of features alone. Shares are corrected by `cxlib.stats.correct`, which holds as long as the attribute is no
    feature itself. Not found is not proved absent: full memberships tell more than the persona assigned, and few
    customers hide much.

    >>> import cxlib as cx
    >>> study = cx.open_study("demo")
    >>> found = proxies(cx.personas.fit(cx.personas.features(study)), study)
    >>> found.table()["attribute"].unique().tolist()
    ['age_band']
    """
    people = _attributes(study, sensitive).reindex(personas.features.persons)
    posterior = personas.memberships.iloc[:, 1:].to_numpy()
    blocks, fitted = personas.features.blocks, personas.fitted
    alone = (
        Mixture(fitted.sizes, (params,), 0.0, fitted.n, 0).posterior([block]).argmax(axis=1)
        for block, params in zip(blocks, fitted.params, strict=True)
    )
    told = {ALL: posterior.argmax(axis=1)} | dict(zip((b.name for b in blocks), alone, strict=True))
    rows, shares, fold = [], [], stats.folds_of(people.index)
    for name in people:
        seen = people[name].notna().to_numpy()
        if people[name].nunique() < 2:
            continue
        code, levels = pd.factorize(people[name][seen], sort=True)
        rows += [
            {"attribute": name, "by": by} | _guessed(kind[seen], code, fold[seen])
            for by, kind in told.items() if name != by
        ]  # fmt: skip
        flags = pd.DataFrame(np.eye(len(levels))[code], columns=levels).assign(person=people.index[seen])
        found = stats.correct(flags, personas.memberships, scale="logit").table()
        found["count"] = (found["uncorrected"] * found["customers"]).fillna(0).round().astype(int)
        keys = {"attribute": name, "level": found.pop("outcome"), "persona": found.pop("persona")}
        shares.append(pd.concat([pd.DataFrame(keys), found], axis=1))
    frame = pd.DataFrame(rows)
    if rows:
        frame["q"] = frame.groupby(frame["by"] == ALL)["q"].transform(stats.benjamini_hochberg)
    whole = pd.concat(shares, ignore_index=True) if shares else pd.DataFrame()
    return Proxies(frame, Shares(whole, shares=("estimate", "low", "high", "uncorrected")))


def _attributes(study: Study | pd.DataFrame, sensitive: Sequence[str]) -> pd.DataFrame:
    """The sensitive attributes as categories, by person."""
    if isinstance(study, pd.DataFrame):
        found = study.set_index(column(study, "person").astype(str)).drop(columns="person")
        found = found[sensitive_among(found, sensitive)]
    elif is_study(study).has("customers"):
        table = study.table("customers")
        names = sensitive_among(study.given["customers"], sensitive)
        found = study.fetch(table.select("customer_id", *names)).set_index("customer_id")
    else:
        return pd.DataFrame()
    if found.index.has_duplicates:
        raise CxValueError("A person has more than one row of attributes; keep one.")
    for name in found.columns[found.nunique() > BANDS]:
        found[name] = as_numbers(found[name])
        if found[name].dtype.kind in "iufM":
            found[name] = pd.qcut(found[name], BANDS, duplicates="drop")
        else:
            rare = ~found[name].isin(found[name].value_counts().index[: LEVELS - 1]) & found[name].notna()
            found[name] = found[name].mask(rare, OTHER) if found[name].nunique() > LEVELS else found[name]
    return found.map(lambda value: value if pd.isna(value) else str(value))


def _guessed(kind: Ints, code: Ints, fold: Ints) -> dict[str, float]:
    """What guesses by kind gain over the commonest level, each customer's learnt from the other folds."""
    counts = np.zeros((stats.FOLDS, kind.max() + 1, code.max() + 1))
    np.add.at(counts, (fold, kind, code), 1)
    others = counts.sum(axis=0) - counts
    guess, plain = others.argmax(axis=2), others.sum(axis=1).argmax(axis=1)
    right = np.take_along_axis(counts, guess[:, :, None], 2).sum(axis=(1, 2))
    commonest = np.take_along_axis(counts, plain[:, None, None], 2).sum(axis=(1, 2))
    every = counts.sum(axis=(1, 2))
    gain = stats.jackknife(
        np.stack([right - commonest, every], axis=1), lambda sums: sums[:, 0] / sums[:, 1], "identity"
    )
    v = stats.jackknife(counts, lambda sums: _cramer(sums)[0], "identity")
    return {
        "estimate": float(gain.estimate), "low": float(gain.low), "high": float(gain.high), "n": len(code),
        "right": right.sum() / len(code), "commonest": commonest.sum() / len(code),
        "v": float(v.estimate), "v_low": max(float(v.low), 0.0), "v_high": float(v.high),
        "q": float(_cramer(counts.sum(axis=0)[None])[1][0]),
    }  # fmt: skip


def _cramer(counts: Array) -> tuple[Array, Array]:
    """Cramer's V without its bias, and the p-value of no association, of tables (..., kinds, levels)."""
    n = counts.sum(axis=(-2, -1))
    kinds, levels = counts.sum(axis=-1, keepdims=True), counts.sum(axis=-2, keepdims=True)
    phi2 = (counts**2 / np.maximum(kinds * levels, 1.0)).sum(axis=(-2, -1)) - 1
    size = np.stack([(kinds > 0).sum(axis=(-2, -1)), (levels > 0).sum(axis=(-2, -1))])
    free = (size - 1).prod(axis=0)
    least = (size - (size - 1) ** 2 / (n - 1)).min(axis=0) - 1
    v = np.sqrt(np.maximum(phi2 - free / (n - 1), 0.0) / np.maximum(least, 1e-9))
    return v, np.where(free > 0, chi2.sf(n * phi2, np.maximum(free, 1)), 1.0)


__all__ = ["Proxies", "proxies"]
