"""What sets kinds apart, in numbers and in two words.

What a kind does is a ratio of sums over persons, each weighted by the probability of being of that
kind: consistent for features of the mixture, which those probabilities know (Vermunt 2010, Political
Analysis 18). The interval takes persons as the independent units, and the probabilities as given.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd

from cxlib.customers.blocks import Answers, Array, Block, Choices, Values
from cxlib.results import nice
from cxlib.study.log import END

LONGEST = 40
FEELINGS = "satisfaction"
TRAVEL = ("beginnings", "steps")
MOTIVES = {"motive", "motives", "motivation", "need", "needs", "goal", "goals", "reason", "purpose"}


def differences(blocks: Sequence[Block], posterior: Array) -> pd.DataFrame:
    """Each feature by kind: kind (position), block, feature, estimate, low, high, n, overall, difference, count.

    estimate, overall : share of choices or of persons, or mean; n: persons with the feature assigned to
    the kind, count: those of them who chose it; difference: (estimate - overall) in standard deviations, of a single
    choice or between persons.
    """
    assigned, k = posterior.argmax(axis=1), posterior.shape[1]
    rows = []
    for block in blocks:
        customers = np.bincount(assigned[block.observed], minlength=k)
        for feature, top, bottom in _ratios(block):
            size = posterior.T @ bottom
            estimate = posterior.T @ top / np.maximum(size, 1e-12)
            off = top[:, None] - estimate * bottom[:, None]
            se = np.sqrt((posterior**2 * off**2).sum(axis=0)) / np.maximum(size, 1e-12)
            overall = top.sum() / bottom.sum()
            spread = _spread(block, overall)
            chose = top > 0 if isinstance(block, Choices | Answers) else block.observed
            count = np.bincount(assigned[chose], minlength=k)
            for kind in range(k):
                low, high = estimate[kind] - 1.96 * se[kind], estimate[kind] + 1.96 * se[kind]
                if isinstance(block, Choices | Answers):
                    low, high = max(low, 0.0), min(high, 1.0)
                gap = (estimate[kind] - overall) / spread
                line = (estimate[kind], low, high, customers[kind], overall, gap, count[kind])
                rows.append((kind, block.name, feature, *line))
    names = ["kind", "block", "feature", "estimate", "low", "high", "n", "overall", "difference", "count"]
    return pd.DataFrame(rows, columns=names)


def _ratios(block: Block) -> Iterator[tuple[str, Array, Array]]:
    """Feature, numerator and denominator by person."""
    if isinstance(block, Choices | Answers):
        made = block.made
        for j, option in enumerate(block.options):
            yield option, made[:, j], made.sum(axis=1)
    else:
        values = block.means if isinstance(block, Values) else block.value
        yield block.name, np.nan_to_num(values), block.observed.astype(float)


def _spread(block: Block, overall: float) -> float:
    if isinstance(block, Choices | Answers):
        return max(float(np.sqrt(max(overall * (1 - overall), 0.0))), 1e-9)
    values = block.means if isinstance(block, Values) else block.value
    return max(float(np.nanstd(values)), 1e-9)


def labels(table: pd.DataFrame, k: int) -> tuple[str, ...]:
    """A letter and two features that set a kind apart: first what it does, then anything else; unique.

    `table`: from `differences`. With one kind there is nothing to tell it from.
    """
    if k == 1:
        return ("A: all customers",)
    out = []
    for kind in range(k):
        mine = table[(table["kind"] == kind) & (table["feature"] != END)]
        mine = mine.assign(size=mine["difference"].abs()).sort_values(
            ["size", "feature"], ascending=[False, True]
        )
        travel = mine[mine["block"].isin(TRAVEL)]
        words: list[str] = []
        for some in (travel, mine):
            said = (in_words(str(r.block), str(r.feature), float(r.difference)) for r in some.itertuples())
            taken = {token for word in words for token in word.split()}
            fresh = (w for w in said if w and not taken & set(w.split()) and _fits(kind, [*words, w]))
            words += [word for word in [next(fresh, "")] if word]
        out.append(f"{letter(kind)}: {', '.join(words) or 'like all'}"[:LONGEST])
    return tuple(out)


def letter(kind: int) -> str:
    """A, B, ..., Z, A26, ..."""
    return chr(ord("A") + kind) if kind < 26 else f"A{kind}"


def is_motive(name: str) -> bool:
    """Whether a declared attribute says what customers come for, by a word of its name.

    >>> is_motive("main_motive"), is_motive("region")
    (True, False)
    """
    return bool(MOTIVES & set(name.lower().split("_")))


def _fits(kind: int, words: list[str]) -> bool:
    return len(f"{letter(kind)}: {', '.join(words)}") <= LONGEST


def in_words(block: str, feature: str, difference: float) -> str:
    """A feature and its direction in words; empty for an option that a kind merely chooses less often.

    >>> in_words("steps", "app_cart", 0.4), in_words("motive", "price", 0.7), in_words("order value", "order value", -1.0)
    ('app cart', 'for price', 'small orders')
    """
    if block == FEELINGS:
        return "content" if difference > 0 else "discontent"
    if feature.endswith("order value"):
        which = feature.removesuffix("order value")
        return f"{'large' if difference > 0 else 'small'} {which}orders"
    if block == feature:
        return f"{'high' if difference > 0 else 'low'} {nice(feature)}"
    if difference <= 0:
        return ""
    if block.startswith("orders by "):
        return f"{nice(feature)} orders"
    if is_motive(block):
        return f"for {nice(feature)}"
    return nice(feature) if block in TRAVEL else f"{nice(block)} {nice(feature)}"


__all__ = ["differences", "in_words", "is_motive", "labels", "letter"]
