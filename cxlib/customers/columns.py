"""A frame of one row a customer as blocks: how each column enters the mixture, or why it does not."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pandas as pd

from cxlib.customers.blocks import OTHER, Answers, Array, Block, Choices, Values
from cxlib.customers.sources import LEVELS
from cxlib.errors import CxValueError
from cxlib.results import minimum

AGAIN = 0.1  # share of the persons in a block of choices who must have chosen more than once
BANDS = 10  # of a number, each with as many customers
MANY = "too many different values"
NOBODY = np.zeros(0, np.int64)
TIMES = ("datetime64", "datetime", "date", "timedelta64", "timedelta", "time", "period")


def by_person(frame: pd.DataFrame, what: str) -> pd.DataFrame:
    """The frame's columns by person (text), rows sorted; CxValueError where it is not one row a person."""
    if "person" not in frame or len(frame.columns) < 2:
        raise CxValueError(f"{what} needs a column `person` and at least one further column.")
    if not frame.columns.is_unique:
        raise CxValueError(f"{what} has two columns of one name; rename one.")
    if missing := int(frame["person"].isna().sum()):
        raise CxValueError(f"{what} has {missing:,} rows without a person; leave them out.")
    person = frame["person"].astype(str)
    if person.duplicated().any():
        raise CxValueError(f"{what} has more than one row for a person; aggregate it to one row each.")
    return frame.drop(columns="person").set_index(pd.Index(person.to_numpy(object))).sort_index()


def plain(column: pd.Series) -> np.ndarray | None:
    """Numbers as floats (NaN where missing), everything else as text (None where missing); None for times."""
    kind = pd.api.types.infer_dtype(column, skipna=True)
    if kind in TIMES:
        return None
    if kind != "boolean" and (pd.api.types.is_numeric_dtype(column) or kind == "decimal"):
        return column.to_numpy(float, na_value=np.nan)
    text = column.astype("str").astype(object)
    return text.where(column.notna(), None).to_numpy(object)


def as_numbers(column: pd.Series) -> pd.Series:
    """A column of text that is nothing but numbers as numbers, as files that state no types have them; else as it is.

    >>> as_numbers(pd.Series(["31", None, "4.5"])).tolist(), as_numbers(pd.Series(["31", "old"])).tolist()
    ([31.0, nan, 4.5], ['31', 'old'])
    """
    if pd.api.types.infer_dtype(column, skipna=True) != "string":
        return column
    found = pd.to_numeric(column, errors="coerce")
    return found.astype(float) if found.notna().equals(column.notna()) else column


def block_of(name: str, meaning: str, column: pd.Series, outcome: bool = False) -> Answers | None:
    """The block of a column, one answer a person; None for times.

    Of more than `LEVELS` texts only the commonest go by name. Numbers go by bands of a tenth of the customers
    (fewer bands where that would be under `minimum()`; ties are never split): a normal distribution a kind would
    take every skew or step for kinds, and tenths lose next to nothing.

    >>> block = block_of("orders", "", pd.Series([0, 0, 1, 7, 1e9]))
    >>> block.options, block.code.tolist()
    (('up to 1', 'over 1'), [0, 0, 0, 1, 1])
    """
    values = plain(column)
    if values is None:
        return None
    made = _texts(name, meaning, values) if values.dtype == object else _bands(name, meaning, values)
    return replace(made, code=made.coded(values), outcomes=made.options if outcome else (), raw=values)


def useless(block: Block) -> str:
    """Why a block cannot tell persons apart at all; empty if it can.

    Where hardly anybody chose twice, a choice may be the occasion's and not the customer's.
    """
    if not block.observed.any():
        return "nobody has a value"
    if isinstance(block, Answers | Choices):
        if len(block.options) < 2:
            everybody = OTHER in block.options
            return MANY if everybody else "(nearly) everybody has the same value"
        chosen = block.made.sum(axis=1)
        once = isinstance(block, Choices) and (chosen > 1).sum() < AGAIN * block.observed.sum()
        return "hardly anybody chose more than once" if once else ""
    values = block.means if isinstance(block, Values) else block.value
    seen = values[np.isfinite(values)]
    return "" if float(seen.std()) > 1e-9 * np.abs(seen).max() else "(nearly) everybody has the same value"


def skew(values: Array) -> float:
    """The third standardised moment; NaN where there is none."""
    if len(values) < 3 or not (size := np.abs(values).max()):
        return float("nan")
    off = values / size - (values / size).mean()
    return float((off**3).mean() / off.std() ** 3) if off.std() > 1e-9 else float("nan")


def _texts(name: str, meaning: str, texts: np.ndarray) -> Answers:
    counts = pd.Series(texts, dtype=object).value_counts().rename_axis("text").reset_index(name="n")
    counts = counts.sort_values(["n", "text"], ascending=[False, True])
    options = sorted(counts["text"])
    if len(options) > LEVELS:
        # Fewer customers than may be shown are nobody's trait, and their answer might be a name.
        kept = counts[counts["n"] >= minimum()].head(LEVELS - 1)
        meaning += f"; the {len(kept)} commonest of {len(options):,} answers, the rest as {OTHER}"
        # Where most are others, the column is an address or a name and no attribute.
        options = [*sorted(kept["text"]), OTHER] if 2 * kept["n"].sum() >= counts["n"].sum() else [OTHER]
    return Answers(name, meaning, tuple(options), NOBODY)


def _bands(name: str, meaning: str, values: Array) -> Answers:
    seen = values[~np.isnan(values)]
    bands = min(BANDS, max(len(seen) // minimum(), 2))
    shares = np.arange(1, bands) / bands
    cuts = np.unique(np.quantile(seen, shares, method="inverted_cdf")) if len(seen) else seen
    cuts = cuts[cuts < seen.max(initial=-np.inf)]
    ends = [f"{cut:,.0f}" if abs(cut) >= 1000 else f"{cut:.3g}" for cut in cuts]
    ends = ends if len(set(ends)) == len(ends) else [repr(float(cut)) for cut in cuts]
    middle = [f"{low} to {high}" for low, high in pairwise(ends)]
    options = (f"up to {ends[0]}", *middle, f"over {ends[-1]}") if ends else ("all alike",)[: len(seen)]
    return Answers(name, meaning, options, NOBODY, "band of the number", cuts=cuts)


__all__ = ["as_numbers", "block_of", "by_person", "plain", "skew", "useless"]
