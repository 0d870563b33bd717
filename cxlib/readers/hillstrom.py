"""Hillstrom's e-mail experiment: the published file as a frame of one row a customer.

It has no ids and no times, so it is no study and none is invented; the frame goes straight into
`cx.experiments.analyze(frame, variant="segment", control="No E-Mail", metrics=["visit", "spend"])`.
Left as published: `zip_code` spells `Surburban`, and 6,562 rows look like an earlier one. A row is a
customer; these are different people who look alike, and dropping them would change every mean.

>>> COLUMNS["spend"]
'dollars'
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from cxlib.errors import CxValueError
from cxlib.readers.text import minor_units, read_columns, refuse, whole

FILE = "hillstrom.csv"
FILES = (FILE,)

# column -> what it holds; before the e-mail up to `segment`, the two weeks after it from `visit` on
COLUMNS = {
    "recency": "whole",  # months since the last purchase
    "history_segment": "name",
    "history": "dollars",  # spent in the past year
    "mens": "flag",
    "womens": "flag",
    "zip_code": "name",  # Rural | Surburban | Urban
    "newbie": "flag",
    "channel": "name",  # Phone | Web | Multichannel
    "segment": "name",  # the arm: Mens E-Mail | Womens E-Mail | No E-Mail
    "visit": "flag",
    "conversion": "flag",
    "spend": "dollars",
}


def read(files: Mapping[str, Path]) -> pd.DataFrame:
    """One row a customer, in the file's order: flags 0 and 1 (int64), money in dollars (float64).

    `files` maps `hillstrom.csv` to its path. Raises `CxLookupError` without it, `CxValueError` for a
    missing column or value, or one that cannot be read.
    """
    text = read_columns(files, FILE, list(COLUMNS))
    if text.isna().any(axis=None):
        holes = text.isna().sum()
        named = ", ".join(f"{name} ({count:,})" for name, count in holes[holes > 0].items())
        raise CxValueError(
            f"{FILE} lacks values in {named}. The published file has none missing; take it anew."
        )
    return pd.DataFrame({name: _values(text[name], kind) for name, kind in COLUMNS.items()})


def _values(text: pd.Series, kind: str) -> pd.Series:
    if kind == "name":
        return text
    if kind == "dollars":
        return minor_units(text, FILE).astype("float64") / 100
    values = whole(text, FILE).astype("int64")
    if kind == "flag":
        refuse(text[~values.isin([0, 1])], FILE, "0 or 1")
    return values
