"""Exact values from the text of delimited files: columns, times, whole numbers, money.

Everything is read as text first: a type guessed from the first rows is wrong in a later one, and a
price that has been a float has already lost its last digit. What cannot be read is an error that
names the file, the column, how many values, and three of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from cxlib.errors import CxLookupError, CxValueError

TIME = r"[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,6})?"
INTEGER = r"[+-]?[0-9]{1,18}"
AMOUNT = r"[+-]?[0-9]{1,15}(?:\.[0-9]{0,10})?"


def read_columns(
    files: Mapping[str, Path], file: str, columns: Sequence[str], tidy: Callable[[str], str] = str
) -> pd.DataFrame:
    """Named columns of one UTF-8 comma-separated file, all text; an empty field is null.

    `files` maps file names to paths; `tidy` turns a name of the header into the one asked for. Raises
    `CxLookupError` for a file that is not among them and `CxValueError` for one that is not such a file or
    lacks a column.
    """
    path = present(files, file)
    try:
        frame = pd.read_csv(path, dtype=str, keep_default_na=False, na_values=[""], encoding="utf-8-sig")
    except (UnicodeDecodeError, pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        raise CxValueError(
            f"{file} is not a UTF-8 comma-separated file with a header ({error}). Save it as one."
        ) from error
    frame.columns = [tidy(column) for column in frame.columns]
    absent = [column for column in columns if column not in frame.columns]
    if absent:
        raise CxValueError(
            f"{file} lacks the column(s) {', '.join(absent)}; it has: {', '.join(map(str, frame.columns))}. "
            "Take the file as published, with its header and commas."
        )
    return frame[list(columns)]


def present(files: Mapping[str, Path], file: str) -> Path:
    """Where a file lies; CxLookupError names those there are if it is not among them."""
    there = sorted(name for name, path in files.items() if Path(path).is_file())
    if file not in there:
        listed = ", ".join(there) or "none"
        raise CxLookupError(f"the file {file} is missing; there are: {listed}. Put it beside the others.")
    return Path(files[file])


def times(text: pd.Series, file: str) -> pd.Series:
    """Times written `2018-06-12 20:07:44`, with or without a fraction, in microseconds; null stays null.

    >>> times(pd.Series(["2018-06-12 20:07:44", None]), "orders.csv").dt.hour.tolist()
    [20.0, nan]
    """
    values = pd.to_datetime(text.where(_matches(text, TIME)), format="ISO8601", errors="coerce")
    refuse(text[text.notna() & values.isna()], file, "times written YYYY-MM-DD HH:MM:SS")
    return values.astype("datetime64[us]")


def whole(text: pd.Series, file: str) -> pd.Series:
    """Whole numbers as nullable Int64.

    >>> whole(pd.Series(["5", None]), "reviews.csv").tolist()
    [5, <NA>]
    """
    refuse(text[text.notna() & ~_matches(text, INTEGER)], file, "whole numbers")
    return text.astype("Int64")


def minor_units(text: pd.Series, file: str, exponent: int = 2) -> pd.Series:
    """Decimal money as whole minor units (Int64): exact, half to even past the currency's last digit.

    >>> minor_units(pd.Series(["199.0", "1.005", "1.015", "0.29", None]), "items.csv").tolist()
    [19900, 100, 102, 29, <NA>]
    """
    refuse(text[text.notna() & ~_matches(text, AMOUNT)], file, "decimal amounts of money")
    exact = pa.array(text, type=pa.string(), from_pandas=True).cast(pa.decimal128(25, 10))
    rounded = pc.round(exact, ndigits=exponent, round_mode="half_to_even")
    minor = pc.multiply(rounded, pa.scalar(10**exponent, pa.decimal128(4, 0))).cast(pa.int64())
    return pd.Series(minor.to_pandas(integer_object_nulls=True), index=text.index, dtype="Int64")


def _matches(text: pd.Series, pattern: str) -> pd.Series:
    return text.str.fullmatch(pattern).eq(True)


def refuse(wrong: pd.Series, file: str, wanted: str) -> None:
    """CxValueError for values of a column that are not what is wanted, if there are any."""
    if len(wrong):
        examples = ", ".join(repr(value) for value in wrong.drop_duplicates().head(3))
        raise CxValueError(
            f"{file}, column {wrong.name}: {len(wrong):,} value(s) are not {wanted}, for example {examples}. "
            "Correct them in the file, or take it anew from its source."
        )
