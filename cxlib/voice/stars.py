"""How the answers to a question spread over its scores."""

from __future__ import annotations

import ibis
import ibis.expr.types as ir
import pandas as pd

from cxlib.errors import CxLookupError
from cxlib.rates import Spread, answerer, rate, sums
from cxlib.results import TOO_FEW, minimum, percent, visible
from cxlib.study import Study

MOST_SCORES = 11
"""A scale of more steps is shown in bands."""


def stars(study: Study, question: str = "csat") -> Spread:
    """How the answers to a question spread: the share of each score, to the nearest whole step.

    One row a score of the scale (from the lowest scale_min to the highest scale_max asked), or on a scale
    of more than eleven steps a band of scores ("80 to 89"); the shares sum to 1; `n` answers and
    `customers` in all, `count` customers who gave this score. Wilson's interval with customers as
    clusters; the table's weights where it has them. Raises CxLookupError where nobody answered.
    """
    surveys = study.table("surveys", needed_by="stars")
    frame = study.cached("stars", {"question": question}, lambda: _stars(study, surveys, question))
    if not len(frame):
        raise CxLookupError(f"Nobody answered `{question}`; cx.voice.asked names the questions answered.")
    return Spread(frame, _say_stars(visible(frame, Spread.WHOLE), len(frame)))


def _say_stars(shown: pd.DataFrame, levels: int) -> str:
    if not shown["estimate"].gt(0).any():
        return TOO_FEW
    answers = f"of {int(shown['n'].iloc[0]):,} answers"
    if len(shown) == levels and pd.api.types.is_numeric_dtype(shown["score"]):
        said = ", ".join(percent(value) for value in shown["estimate"])
        return f"Scores {shown['score'].iloc[0]} to {shown['score'].iloc[-1]} are {said} {answers}."
    pairs = zip(shown["score"], shown["estimate"], strict=True)
    said = ", ".join(f"{score}: {percent(share)}" for score, share in pairs)
    rest = f"; what fewer than {minimum()} customers gave, or would give that away, is left out"
    return f"Scores are {said} {answers}{rest if len(shown) < levels else ''}."


def bands(low: int, high: int) -> list[tuple[int, int]]:
    """The scores of a scale one by one, or in bands of a round width where there would be more than eleven.

    >>> bands(1, 3), bands(0, 100)[:2], bands(0, 100)[-1]
    ([(1, 1), (2, 2), (3, 3)], [(0, 9), (10, 19)], (90, 100))
    """
    if high - low < MOST_SCORES:
        return [(score, score) for score in range(low, high + 1)]
    width = next(
        w
        for power in range(18)
        for w in (10**power, 2 * 10**power, 5 * 10**power)
        if (high - low) / w < MOST_SCORES
    )
    starts = list(range(low, high, width))
    return [(start, start + width - 1 if start < starts[-1] else high) for start in starts]


def _stars(study: Study, surveys: ir.Table, question: str) -> pd.DataFrame:
    answered = surveys.filter((surveys["question"] == question) & surveys["score"].notnull())
    answered = answered.mutate(
        person_=answerer(answered),
        weight_=ibis.coalesce(answered["weight"], ibis.literal(1.0)),
        step_=(answered["score"] + 0.5).floor(),
    )
    ends = study.fetch(answered.agg(low=answered["scale_min"].min(), high=answered["scale_max"].max()))
    if pd.isna(ends["low"].iloc[0]):
        return pd.DataFrame()
    spread = bands(int(ends["low"].iloc[0]), int(ends["high"].iloc[0]))
    within = {
        f"s{k}": answered["step_"].between(*(float(end) for end in band)) for k, band in enumerate(spread)
    }
    found = study.fetch(sums(answered, within))
    people = {name: answered["person_"].nunique(where=part) for name, part in within.items()}
    count = study.fetch(answered.agg(**people)).iloc[0]
    said = [low if low == high else f"{low} to {high}" for low, high in spread]
    rows = [rate({"score": score}, found, f"s{k}") for k, score in enumerate(said)]
    return pd.DataFrame([{**row, "count": int(count[f"s{k}"])} for k, row in enumerate(rows)])
