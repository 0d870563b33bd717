"""Personas: the kinds of customers that a mixture finds, if the evidence is for any.

A kind is a disposition: given the same moment, it chooses otherwise, and it does so at other times
too. The number of kinds is the one with the smallest BIC, lowered as long as the last kind does not
help to tell what customers do at *later* visits from what they did at earlier ones.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from numbers import Real
from typing import TYPE_CHECKING

import ibis.expr.types as ir
import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

from cxlib.customers.blocks import Array, aligned
from cxlib.customers.features import Features, features, keeper
from cxlib.customers.sources import Period
from cxlib.errors import CxValueError
from cxlib.personas.cards import Cards, cards
from cxlib.personas.evidence import Evidence, gather
from cxlib.personas.mixture import Mixture, mixture, packed, unpacked
from cxlib.personas.place import SURE, Placed, placed
from cxlib.personas.score import score
from cxlib.personas.words import differences, labels
from cxlib.results import Claim, Result

if TYPE_CHECKING:
    from cxlib.study import Study

PATIENCE = 2  # larger BICs in a row that end the search


@dataclass(frozen=True, eq=False)
class Personas(Result):
    """A fitted set of kinds, the largest first.

    labels : one a kind, such as `A: store visit, store advice`
    memberships : person and one probability column a label; rows sum to 1
    """

    labels: tuple[str, ...]
    memberships: pd.DataFrame = field(repr=False)
    features: Features = field(repr=False)
    fitted: Mixture = field(repr=False)
    found: Evidence = field(repr=False)

    SHARES = ("estimate", "low", "high", "error")
    WHOLE = ()

    @property
    def k(self) -> int:
        """Number of kinds."""
        return self.fitted.k

    def table(self) -> pd.DataFrame:
        """Sizes: persona, estimate (share of customers), low, high, n, customers (assigned), error.

        The share is the mixing proportion, which is corrected for wrong assignment by its very nature; its
        interval takes what the kinds are as given. `error` is the expected share of wrong ones among those
        assigned to the persona.
        """
        return sizes(self)

    def predict_proba(self, features: Features) -> pd.DataFrame:
        """Memberships of other customers, or of the same ones by another period's features.

        Touchpoints, contexts and categories that the fit has not seen are left out; a block that is
        missing adds nothing.
        """
        _refuse(features, "predict_proba")
        given = {block.name: block for block in (*features.blocks, *features.spare)}
        known = [
            i for i, block in enumerate(self.features.blocks) if type(given.get(block.name)) is type(block)
        ]
        if not known:
            raise CxValueError(
                f"These features have no block in common with the personas, which need some of: "
                f"{', '.join(block.name for block in self.features.blocks)}."
            )
        blocks = [aligned(given[self.features.blocks[i].name], self.features.blocks[i]) for i in known]
        part = Mixture(self.fitted.sizes, tuple(self.fitted.params[i] for i in known), 0.0, features.n, 0)
        return _memberships(features.persons, part.posterior(blocks), self.labels)

    def score(
        self,
        given: Study | ir.Table | pd.DataFrame,
        since: str | pd.Timestamp | None = None,
        until: str | pd.Timestamp | None = None,
    ) -> ir.Table:
        """Memberships of everybody, computed on the engine: a lazy Ibis table of `person` and a column a persona.

        given : a study, or one row a customer as an Ibis table or frame (`person` and the columns of the features)
        since, until : as in `features`; for a study only

        The same numbers as `predict_proba` of their features. What the personas have not seen is left out, and
        what the data lack (such as columns of `extra`) adds nothing; CxValueError where nothing is left.

        >>> import cxlib as cx
        >>> study = cx.open_study("demo")
        >>> personas = cx.personas.fit(cx.personas.features(study, sample=1000), k=2)
        >>> everybody = study.fetch(personas.score(study))
        >>> len(everybody) > personas.features.n, bool((everybody.iloc[:, 1:].sum(axis=1) - 1).abs().max() < 1e-9)
        (True, True)
        """
        blocks = self.features.blocks
        learnt = {block.name: (block, p) for block, p in zip(blocks, self.fitted.params, strict=True)}
        return score(given, learnt, self.fitted.sizes, self.labels, Period.of(since, until))

    def place(self, features: Features, sure: float = SURE) -> Placed:
        """The persona of each of other customers, or `uncertain` where none is at least `sure`.

        Raises CxValueError where `sure` is no probability over 1/2, below which two personas could be meant.

        >>> import cxlib as cx
        >>> features = cx.personas.features(cx.open_study("demo"))
        >>> placed = cx.personas.fit(features, k=2).place(features, sure=0.9)
        >>> placed.frame.columns.tolist(), bool((placed.frame["persona"] == "uncertain").any())
        (['person', 'persona', 'probability'], True)
        """
        return placed(self.predict_proba(features), sure)

    def evidence(self) -> Evidence:
        """How many kinds, and how we know: BIC by k, later visits, data without kinds."""
        return self.found

    def cards(self, said: pd.DataFrame | None = None, themes: pd.DataFrame | None = None) -> Cards:
        """What each kind is, does, spends and feels, how to recognise it, and what it is not; see `cards.cards`.

        `said`: what customers wrote, one row a comment (`person`, `comment`, masked); `themes`: one row a comment
        and theme that it bears (`person`, `theme`, `comment`). `cx.text` makes both.
        """
        posterior = self.memberships.iloc[:, 1:].to_numpy()
        return cards(self.labels, posterior, self.features, self.table(), said, themes)

    def claim(self) -> Claim:
        """The verdict in words."""
        return self.found.claim()


def fit(features: Features, kmax: int = 8, seed: int = 0, k: int | None = None) -> Personas:
    """Personas by EM on the blocks of `features`, conditional on how active customers are.

    For each number of kinds up to `kmax` several starts (random responsibilities on a sample, the best
    carried on with all), and the BIC with the number of customers as n. `k` fixes the number. The same
    seed gives the same result; rows may come in any order.

    Raises CxValueError for fewer than two customers or a number of kinds that is not possible.

    >>> import cxlib as cx
    >>> personas = cx.personas.fit(cx.personas.features(cx.open_study("demo")), k=2)
    >>> personas.k, bool((personas.memberships.iloc[:, 1:].sum(axis=1) - 1).abs().max() < 1e-9)
    (2, True)
    """
    _refuse(features, "fit")
    if features.n < 2:
        raise CxValueError(
            f"{features.n} customer is no ground for kinds of customers; there must be at least 2."
        )
    for name, value, most in (("kmax", kmax, np.inf), ("k", k, features.n)):
        if value is not None and (not isinstance(value, Real) or value % 1 or not 1 <= value <= most):
            raise CxValueError(
                f"{name} is {value!r}; it must be a whole number from 1 to the number of customers ({features.n:,})."
            )
    if not isinstance(seed, int) or seed < 0:
        raise CxValueError(f"seed is {seed!r}; it must be a whole number from 0.")
    if not features.blocks:
        raise CxValueError(
            "No feature tells customers apart: every block is constant or missing. Give some with `extra`."
        )
    with threadpool_limits(1):  # many small products: on a busy machine threads make them ten times slower
        found = _fit(features, kmax, seed, k)
    if k is None and features.keep is not None:
        features.keep("memberships", {"kmax": kmax, "seed": seed}, lambda: found.memberships)
    return found


def memberships(
    study: Study,
    since: str | pd.Timestamp | None = None,
    until: str | pd.Timestamp | None = None,
    kmax: int = 8,
    seed: int = 0,
) -> pd.DataFrame:
    """The `.memberships` of `fit(features(study, since=, until=), kmax, seed)`: fitted once a study, then remembered.

    What later chapters take: person and one probability column a persona; rows sum to 1. Where the fit was on
    a sample of the customers, all are scored on the engine.

    >>> import cxlib as cx
    >>> frame = cx.personas.memberships(cx.open_study("demo"))
    >>> str(frame.columns[0]), bool((frame.iloc[:, 1:].sum(axis=1) - 1).abs().max() < 1e-9)
    ('person', True)
    """

    def build() -> pd.DataFrame:
        made = replace(features(study, since=since, until=until), keep=None)
        found = fit(made, kmax, seed)
        return found.memberships if made.share == 1 else study.fetch(found.score(study, since, until))

    return keeper(study, since, until)("memberships", {"kmax": kmax, "seed": seed}, build)


def _fit(features: Features, kmax: int, seed: int, k: int | None) -> Personas:
    def build() -> pd.DataFrame:
        fits: dict[int, Mixture] = {}
        for tried in range(1, min(kmax, features.n) + 1) if k is None else range(1, k + 1):
            fits[tried] = mixture(features.blocks, tried, seed)
            best = min(fits, key=lambda i: fits[i].bic)
            if k is None and tried - best >= PATIENCE:
                break
        return packed(fits)

    if features.keep is None:
        frame = build()
    else:  # features that somebody has changed since are told by their likelihood
        one = mixture(features.blocks, 1).log_likelihood
        frame = features.keep("mixtures", {"kmax": kmax, "seed": seed, "k": k, "likelihood": one}, build)
    fits = unpacked(frame, features.blocks)
    found = gather(features.blocks, fits, seed, k, features.once)
    chosen = fits[found.k]
    posterior = chosen.posterior(features.blocks)
    names = labels(differences(features.blocks, posterior), chosen.k)
    return Personas(names, _memberships(features.persons, posterior, names), features, chosen, found)


def _refuse(given: object, what: str) -> None:
    if not isinstance(given, Features):
        raise CxValueError(f"{what} takes the result of `features(study)`, not a {type(given).__name__}.")


def _memberships(persons: np.ndarray, posterior: Array, names: tuple[str, ...]) -> pd.DataFrame:
    return pd.concat(
        [pd.Series(persons, name="person"), pd.DataFrame(posterior, columns=list(names))], axis=1
    )


def sizes(personas: Personas) -> pd.DataFrame:
    """Mixing proportions with intervals from the observed information of the proportions."""
    posterior = personas.memberships.iloc[:, 1:].to_numpy()
    share, k = personas.fitted.sizes, personas.k
    error = 1 - posterior.max(axis=1)
    assigned = posterior.argmax(axis=1)
    se = np.zeros(k)
    if k > 1:
        score = posterior[:, :-1] / share[:-1] - posterior[:, -1:] / share[-1]
        cov = np.linalg.pinv(score.T @ score)
        se = np.sqrt(np.append(np.diag(cov), cov.sum()))
    logit = np.log(share / np.maximum(1 - share, 1e-12))
    half = 1.96 * se / np.maximum(share * (1 - share), 1e-12)
    low, high = (1 / (1 + np.exp(-(logit + sign * half))) for sign in (-1, 1))
    return pd.DataFrame(
        {
            "persona": list(personas.labels),
            "estimate": share,
            "low": np.where(k > 1, low, share),
            "high": np.where(k > 1, high, share),
            "n": personas.features.n,
            "customers": np.bincount(assigned, minlength=k),
            "error": [
                float(error[assigned == i].mean()) if (assigned == i).any() else np.nan for i in range(k)
            ],
        }
    )


__all__ = ["Personas", "fit", "memberships"]
