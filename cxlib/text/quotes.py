"""Quotes chosen by a rule, so that nobody picks those that suit: and never where few customers speak of a thing."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from cxlib.errors import CxValueError, require
from cxlib.results import Framed, minimum, nice
from cxlib.text.learned import UNKNOWN, Themes
from cxlib.text.learning import normalised

BAND = (0.25, 0.75)
"""Quotes are of middling length: between these quantiles of the theme's comments."""


@dataclass(frozen=True, eq=False)
class Quotes(Framed):
    """Comments that stand for a theme, masked.

    `frame`: comment, language, theme, and what they were chosen from: n (comments with the theme),
    customers. Empty where fewer customers than the minimum for display speak of it. `rule` says how.
    """

    theme: str
    rule: str

    def told(self, shown: pd.DataFrame) -> str:
        """How many quotes there are, and the rule they were chosen by."""
        of = f"{len(shown)} of {shown['n'].iloc[0]:,} comments on {nice(self.theme)}"
        return f"{of}, chosen by rule: {self.rule}."


def quotes(themes: Themes, theme: str, n: int = 3, language: str | None = None) -> Quotes:
    """At most `n` comments that stand for a theme, the same ones every time.

    By rule: comments with the theme (as read, else as predicted); of the middle half of their language by
    length; those read by people first, then the most certain, then the earliest, the languages in turn; one
    a customer; no two that say the same. Masked as all comments are. None where fewer than the minimum
    number of customers speak of it, and a language in which so few do comes last. `language`: in that one alone.
    """
    require(theme, themes.names, f"No theme `{theme}`")
    if n < 1:
        raise CxValueError(f"n must be at least 1, not {n}.")
    read = themes.read[theme]
    said = themes.frame.assign(theme=theme, read_=read.notna(), sure_=themes.probability[theme])
    said["same_"], said["length_"] = normalised(said["comment"]).to_numpy(), said["comment"].str.len()
    said["spoken_"] = said["language"].fillna(UNKNOWN)
    said = said[
        (read.fillna(themes.predicted[theme]) == 1)
        & (True if language is None else said["language"] == language)
    ]
    said = said.assign(n=len(said), customers=said["person"].nunique())
    by = said.groupby("spoken_")
    low, high = (by["length_"].transform("quantile", one) for one in BAND)
    said["rare_"] = by["person"].transform("nunique") < minimum()
    order = {"rare_": True, "read_": False, "sure_": False, "ts": True, "response_id": True}
    chosen = said[said["length_"].between(low, high)]
    chosen = chosen.sort_values(list(order), ascending=list(order.values()))
    chosen = chosen.drop_duplicates("person").drop_duplicates("same_")
    turn = chosen.groupby("spoken_").cumcount()
    chosen = chosen.iloc[turn.where(~chosen["rare_"], len(chosen)).argsort(kind="stable")].head(n)
    if said["person"].nunique() < minimum():
        chosen = chosen.head(0)
    rule = (
        "of middling length, read by people first, then the most certain, then the earliest, the languages in "
        "turn; one a customer, no two that say the same"
    )
    columns = ["comment", "language", "theme", "n", "customers"]
    return Quotes(chosen[columns].reset_index(drop=True), theme, rule)
