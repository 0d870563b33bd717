"""Persona cards: what each kind does, spends, feels and says, how to recognise it, and what it is not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd

from cxlib import stats
from cxlib.customers.blocks import Answers, Array, Block, Choices, Measures
from cxlib.customers.features import Features
from cxlib.errors import CxLookupError
from cxlib.frames import column
from cxlib.personas.recognise import recognised
from cxlib.personas.words import FEELINGS, differences, in_words, is_motive
from cxlib.results import TOO_FEW, Claim, Result, minimum, percent, visible
from cxlib.stats.laws import norm
from cxlib.study.log import END

MEANS = {"visits": "visits a customer", "orders": "orders a customer", "revenue": "revenue a customer"}
FELT = {"nps": "net promoter score"}
COLUMNS = ["persona", "about", "block", "feature", "estimate", "low", "high", "n", "overall", "difference"]
SLIGHT = 0.1  # standard deviations
SURE, MIDDLE = 0.7, (0.25, 0.75)  # of a quoted writer's membership; of the lengths of what was written


@dataclass(frozen=True, eq=False)
class Cards(Result):
    """The cards as one table: persona, about, block, feature, estimate, low, high, n, overall, difference.

    about : size, value, feelings, channels (where visits begin), beginnings (how), motive (what customers say
    they come for; without such an attribute, whichever sets the kind apart most), declared, most (the three
    largest standardised differences in one block each, what other lines tell left out), not (the three options
    it most avoids; these four beyond chance and a tenth of a standard deviation), said (themes that its writers bring up more than
    others do, else the one they bring up most), quote (the text is the feature), recognise
    (two questions and the answers that name the persona; block `right`: share of those named who belong
    to it; `found`: share of the persona that is named)
    overall : the same figure of all customers; money in minor units
    """

    frame: pd.DataFrame = field(repr=False)
    labels: tuple[str, ...] = ()

    def table(self) -> pd.DataFrame:
        """One row a line of a card."""
        return self.frame

    def card(self, persona: str) -> pd.DataFrame:
        """The lines of one card; CxLookupError where there is no such persona."""
        if persona not in self.labels:
            raise CxLookupError(f"There is no persona `{persona}`; there are: {'; '.join(self.labels)}.")
        return self.frame[self.frame["persona"] == persona].drop(columns="persona").reset_index(drop=True)

    def claim(self) -> Claim:
        """The largest kind and what it does more than others."""
        table = visible(self.frame)
        mine = table[table["persona"] == self.labels[0]]
        size, most = mine[mine["about"] == "size"], mine[mine["about"].isin(["motive", "most"])]
        if len(self.labels) == 1:
            return Claim("One card describes all customers: there is nothing to tell it from.")
        if size.empty:
            return TOO_FEW
        said = f"The largest persona is {self.labels[0]}: {percent(size['estimate'].iloc[0])} of customers"
        shares = most[most["estimate"].between(0, 1) & (most["block"] != most["feature"])]
        shares = shares.sort_values("difference", ascending=False, kind="stable")
        if shares.empty:
            return Claim(f"{said}.")
        first = shares.iloc[0]
        return Claim(
            f"{said}. Most its own is “{in_words(first['block'], first['feature'], first['difference'])}”: "
            f"{percent(first['estimate'])} ({percent(first['low'])} to {percent(first['high'])}), "
            f"{percent(first['overall'])} among all."
        )


def cards(
    labels: Sequence[str], posterior: Array, features: Features, sizes: pd.DataFrame,
    said: pd.DataFrame | None = None, themes: pd.DataFrame | None = None,
) -> Cards:  # fmt: skip
    """Cards from probabilities (persons, kinds) and the kinds' sizes; `said` and `themes` as for `Personas.cards`."""
    size = {
        "about": "size",
        "block": "",
        "feature": "share of customers",
        "overall": 1.0,
        "difference": np.nan,
    }
    told = differences(features.blocks, posterior)
    told = told[(told["feature"] != END) & _enough(told)].sort_values(
        "difference", ascending=False, kind="stable"
    )
    parts = [
        sizes.assign(kind=range(len(labels)), **size, n=sizes["customers"]),
        told[told["block"] == FEELINGS].assign(about="feelings"),
        _described(features, posterior),
    ]
    declared = [block.name for block in features.blocks if isinstance(block, Answers)]
    motives = [name for name in declared if is_motive(name)] or declared
    for _, mine in told.groupby("kind"):
        begun = mine[mine["block"] == "beginnings"].head(3)
        # What chance would do, or what would read as the same figure twice, sets nobody apart.
        clear = (mine["low"] > mine["overall"]) | (mine["high"] < mine["overall"])
        mine = mine[clear & (mine["difference"].abs() >= SLIGHT)]
        answers = mine[mine["block"].isin(declared) & (mine["difference"] > 0)]
        motive = answers[answers["block"].isin(motives)].head(1)
        parts += [
            begun.assign(about="beginnings"),
            motive.assign(about="motive"),
            answers.drop(motive.index).head(3).assign(about="declared"),
        ]
        if len(labels) > 1:
            said_of = [in_words(r.block, r.feature, r.difference) for r in mine.itertuples()]
            more = np.array(said_of, dtype=bool)
            new = ~mine["block"].isin(["beginnings", FEELINGS]) & ~mine["feature"].isin(begun["feature"])
            parts += [_largest(mine[new & more & ~mine.index.isin(motive.index)]).assign(about="most")]
            parts += [_largest(mine[~more]).assign(about="not")]
    if said is not None:
        parts.append(_words(said, said if themes is None else themes, posterior, features))
    parts.append(_recognised(labels, posterior, features))
    frame = pd.concat([part for part in parts if len(part)], ignore_index=True)
    frame = frame.sort_values("kind", kind="stable", ignore_index=True)
    return Cards(frame.assign(persona=np.array(labels)[frame["kind"]])[COLUMNS], tuple(labels))


def _largest(lines: pd.DataFrame) -> pd.DataFrame:
    """The three largest differences, of a block one only, and nothing twice."""
    order = lines["difference"].abs().sort_values(ascending=False, kind="stable").index
    return lines.reindex(order).drop_duplicates("feature").drop_duplicates("block").head(3)


def _described(features: Features, posterior: Array) -> pd.DataFrame:
    """Visits, orders and revenue a customer (none is 0), scores, channels: by the weights of `differences`.

    The kinds' sizes do not depend on how often a customer came, and buying is part of what they were told
    by: so probabilities are the right weights, and `stats.correct` would correct twice.
    """
    blocks: dict[str, list[Block]] = {"value": [], "feelings": [], "channels": []}
    for about, names in (("value", MEANS), ("feelings", FELT)):
        for name in (name for name in names if name in features.profile):
            values = features.profile[name].astype(float)
            blocks[about].append(
                Measures(names[name], "", (values.fillna(0.0) if about == "value" else values).to_numpy())
            )
    for block in features.blocks:
        if isinstance(block, Choices) and block.name == "beginnings" and features.channels:
            found = [features.channels.get(option, "other") for option in block.options]
            code, channels = pd.factorize(np.array(found, dtype=object), sort=True)
            blocks["channels"].append(
                replace(block, name="channels", options=tuple(channels), option=code[block.option])
            )
    tables = [differences(some, posterior).assign(about=about) for about, some in blocks.items() if some]
    told = pd.concat(tables) if tables else pd.DataFrame({"count": []})
    return told[_enough(told)]


def _enough(told: pd.DataFrame) -> pd.Series:
    """Lines of options that at least as many customers chose as may be shown, or nobody."""
    return ~told["count"].between(1, minimum() - 1)


def _words(said: pd.DataFrame, themes: pd.DataFrame, posterior: Array, features: Features) -> pd.DataFrame:
    """Themes that a kind's writers bring up more than all writers do, else the one they bring up most; and one quote.

    Shares of writers, corrected for wrong assignment; more is more at a false discovery rate of 5 % over all
    kinds and themes. The quote is on the first of them, from a writer who belongs to the kind by `SURE` at
    least, of the middle half by length: what people have read (columns `read_...`) first, then the surest.
    Nothing that fewer customers said than may be shown.
    """
    sure = pd.Series(posterior.max(axis=1), index=features.persons.astype(str))
    kind = pd.Series(posterior.argmax(axis=1), index=sure.index)
    writers = pd.Index(column(said, "person").astype(str).unique()).intersection(sure.index)
    bears = themes.assign(person=column(themes, "person").astype(str), theme=column(themes, "theme"))
    bears = bears[bears["person"].isin(writers)]
    counts = pd.crosstab(bears["person"], bears["theme"]).clip(upper=1).reindex(writers, fill_value=0)
    counts = counts.loc[:, counts.sum() >= minimum()]
    if counts.empty:
        return pd.DataFrame()
    given = pd.DataFrame(posterior).assign(person=sure.index)
    found = stats.correct(counts.rename_axis("person").reset_index(), given).table()
    found = found.assign(kind=found["persona"].astype(int), feature=found.get("outcome", counts.columns[0]))
    found["overall"] = found["feature"].map(counts.mean())
    gap, se = found["estimate"] - found["overall"], (found["high"] - found["low"]) / 4
    found["difference"] = gap / np.sqrt(found["overall"] * (1 - found["overall"]))
    apart = (stats.benjamini_hochberg(2 * norm.sf(np.abs(gap / se))) < 0.05) & (gap > 0)
    many = counts.groupby(kind.reindex(writers)).sum().stack()
    enough = many.reindex(pd.MultiIndex.from_frame(found[["kind", "feature"]])).to_numpy() >= minimum()
    found = found.assign(about="said", block="themes", n=found["customers"], low=found["low"].clip(lower=0))
    found["rank"] = np.where(apart, 10 + found["difference"], found["estimate"])
    found = found[enough].sort_values("rank", ascending=False, kind="stable")
    lines = [found[(found["rank"] > 10) | ~found.duplicated("kind")].groupby("kind").head(3)]
    for first in lines[0].drop_duplicates("kind").itertuples():
        mine = bears[(bears["theme"] == first.feature) & (bears["person"].map(kind) == first.kind)]
        length, read = mine["comment"].str.len(), mine.filter(regex="^read_").notna().any(axis=1)
        mine = mine.assign(sure=mine["person"].map(sure), read=read, about="quote", kind=first.kind)
        mine = mine.assign(block=first.feature, feature=mine["comment"], n=mine["person"].nunique())
        fit = length.between(*length.quantile(MIDDLE)) & (mine["sure"] >= SURE)
        lines.append(mine[fit].sort_values(["read", "sure"], ascending=False, kind="stable").head(1))
    return pd.concat(lines)


def _recognised(labels: Sequence[str], posterior: Array, features: Features) -> pd.DataFrame:
    """The two questions with their answers: how many of those named are right, how many are found."""
    rules = recognised(labels, posterior, features)
    table = rules.table().assign(about="recognise", kind=range(len(rules.table())))
    table = table.assign(feature=table["ask"], n=table["customers"])
    found = {"estimate": table["finds"], "low": table["finds_low"], "high": table["finds_high"]}
    right = table.assign(block="right", overall=table["base"], difference=np.nan)
    return pd.concat([right, right.assign(block="found", **found, overall=np.nan)])


__all__ = ["Cards", "cards"]
