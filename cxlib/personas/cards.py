"""Persona cards: what each kind does, spends, feels and says of itself, and what it is not."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from cxlib.personas.blocks import Answers, Array, Measures
from cxlib.personas.features import Features
from cxlib.personas.words import FEELINGS, differences, in_words
from cxlib.results import TOO_FEW, Claim, Result, percent, visible
from cxlib.study.log import END

MEANS = {"visits": "visits a customer", "orders": "orders a customer", "revenue": "revenue a customer"}


@dataclass(frozen=True, eq=False)
class Cards(Result):
    """The cards as one table: persona, about, feature, estimate, low, high, n, overall, difference.

    about : size, value, feelings, beginnings (how visits begin), declared, most (the three largest
    standardised differences in one block each, what other lines tell left out) and not (the three options it most avoids)
    overall : the same figure of all customers; money in minor units
    """

    frame: pd.DataFrame = field(repr=False)
    labels: tuple[str, ...] = ()

    def table(self) -> pd.DataFrame:
        """One row a line of a card."""
        return self.frame

    def card(self, persona: str) -> pd.DataFrame:
        """The lines of one card."""
        return self.frame[self.frame["persona"] == persona].drop(columns="persona").reset_index(drop=True)

    def claim(self) -> Claim:
        """The largest kind and what it does more than others."""
        table = visible(self.frame)
        mine = table[table["persona"] == self.labels[0]]
        size, most = mine[mine["about"] == "size"], mine[mine["about"] == "most"]
        if len(self.labels) == 1:
            return Claim("One card describes all customers: there is nothing to tell it from.")
        if size.empty:
            return TOO_FEW
        said = f"The largest persona is {self.labels[0]}: {percent(size['estimate'].iloc[0])} of customers"
        shares = most[most["estimate"].between(0, 1) & (most["block"] != most["feature"])]
        if shares.empty:
            return Claim(f"{said}.")
        first = shares.iloc[0]
        return Claim(
            f"{said}. It stands out by {in_words(first['block'], first['feature'], first['difference'])}: "
            f"{percent(first['estimate'])} ({percent(first['low'])} to {percent(first['high'])}), "
            f"{percent(first['overall'])} among all."
        )


def cards(labels: tuple[str, ...], posterior: Array, features: Features, sizes: pd.DataFrame) -> Cards:
    """Cards from probabilities (persons, kinds) and the kinds' sizes."""
    table = differences(features.blocks, posterior)
    declared = [block.name for block in features.blocks if isinstance(block, Answers)]
    parts = [
        sizes.assign(
            about="size",
            block="",
            feature="share of customers",
            overall=1.0,
            difference=np.nan,
            n=sizes["customers"],
        )
    ]
    parts.append(_value(labels, posterior, features))
    plain = table[table["feature"] != END].assign(
        persona=[labels[i] for i in table.loc[table["feature"] != END, "kind"]]
    )
    for persona in labels:
        mine = plain[plain["persona"] == persona]
        ranked = mine.sort_values("difference", ascending=False, kind="stable")
        parts += [
            mine[mine["block"] == FEELINGS].assign(about="feelings"),
            ranked[ranked["block"] == "beginnings"].head(3).assign(about="beginnings"),
            ranked[ranked["block"].isin(declared) & (ranked["difference"] > 0)]
            .head(3)
            .assign(about="declared"),
        ]
        if len(labels) > 1:
            said = np.array([bool(in_words(r.block, r.feature, r.difference)) for r in mine.itertuples()])
            told = set(ranked.loc[ranked["block"] == "beginnings", "feature"].head(3))
            new = (mine["block"] != "beginnings") & ~mine["feature"].isin(told) & (mine["block"] != FEELINGS)
            parts += [_largest(mine[new & said]).assign(about="most")]
            parts += [_largest(mine[~said]).assign(about="not")]
    columns = [
        "persona",
        "about",
        "block",
        "feature",
        "estimate",
        "low",
        "high",
        "n",
        "overall",
        "difference",
    ]
    frame = pd.concat([part[columns] for part in parts if len(part)], ignore_index=True)
    place = frame["persona"].map({name: i for i, name in enumerate(labels)})
    return Cards(frame.iloc[np.argsort(place, kind="stable")].reset_index(drop=True), labels)


def _largest(lines: pd.DataFrame) -> pd.DataFrame:
    """The three largest differences, of a block one only."""
    order = lines["difference"].abs().sort_values(ascending=False, kind="stable").index
    return lines.reindex(order).drop_duplicates("block").head(3)


def _value(labels: tuple[str, ...], posterior: Array, features: Features) -> pd.DataFrame:
    """Visits, orders and revenue a customer (none is 0), by the weights of `differences`.

    The kinds' sizes do not depend on how often a customer came, and buying is part of what they were told
    by: so probabilities are the right weights, and `stats.correct` would correct twice.
    """
    parts = []
    for name in (name for name in MEANS if name in features.profile):
        values = features.profile[name].fillna(0.0).to_numpy(float)
        found = differences([Measures(MEANS[name], "", values)], posterior)
        parts.append(found.assign(about="value", block="", persona=[labels[i] for i in found["kind"]]))
    return pd.concat(parts) if parts else pd.DataFrame()


__all__ = ["Cards", "cards"]
