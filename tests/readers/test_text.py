"""Columns, times, whole numbers and money from text: exact, or an error that names the value."""

from __future__ import annotations

import decimal
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cxlib.errors import CxLookupError, CxValueError
from cxlib.readers.text import minor_units, read_columns, times, whole


@given(st.decimals("-99999999999999", "99999999999999", places=4), st.sampled_from([0, 2, 3]))
def test_money_equals_pythons_own_decimal_arithmetic(amount: decimal.Decimal, exponent: int) -> None:
    text = format(amount, "f")
    expected = int(amount.scaleb(exponent).to_integral_value(decimal.ROUND_HALF_EVEN))
    assert minor_units(pd.Series([text]), "file", exponent).tolist() == [expected]


def test_amounts_that_floats_truncate_come_out_exact() -> None:
    text = [f"{cents / 100:.2f}" for cents in range(100_000)]
    assert minor_units(pd.Series(text), "file").tolist() == list(range(100_000))
    assert int(float("1.15") * 100) == 114  # what is avoided here


@pytest.mark.parametrize("wrong", ["1,99", "R$ 5", "nan", "inf", "1e3", "", "٣"])
def test_money_that_is_no_decimal_is_an_error_with_the_value(wrong: str) -> None:
    with pytest.raises(CxValueError, match=r"items\.csv, column price: 1 value\(s\) are not decimal amounts"):
        minor_units(pd.Series(["1.00", wrong], name="price"), "items.csv")


def test_examples_are_three_at_most() -> None:
    with pytest.raises(CxValueError, match=r"1,000 value\(s\).*'x0', 'x1', 'x2'\. "):
        whole(pd.Series([f"x{i}" for i in range(1000)], name="n"), "items.csv")


def test_nulls_stay_null() -> None:
    null = pd.Series([None, np.nan], dtype="str")
    assert minor_units(null, "file").isna().all()
    assert whole(null, "file").isna().all()
    assert times(null, "file").isna().all()


@pytest.mark.parametrize(
    "wrong",
    [
        "13/05/2018 10:00",
        "2018-05-13",
        "2018-13-01 00:00:00",
        "2018-02-30 00:00:00",
        "2018-05-13 10:00:00Z",
        "soon",
    ],
)
def test_a_time_in_another_layout_is_an_error_not_a_guess(wrong: str) -> None:
    with pytest.raises(CxValueError, match="are not times written"):
        times(pd.Series(["2018-05-13 10:00:00", wrong], name="ts"), "orders.csv")


def test_a_fraction_of_a_second_is_kept() -> None:
    """The first public release of the Olist files writes milliseconds."""
    text = pd.Series(["2018-08-29 02:00:24.000", "2018-08-29 02:00:24", "2018-08-29 02:00:24.000001"])
    whole_second = pd.Timestamp(2018, 8, 29, 2, 0, 24)
    assert times(text, "file").tolist() == [whole_second, whole_second, whole_second + pd.Timedelta(1, "us")]


def test_a_file_that_is_not_there_is_named_with_those_that_are(tmp_path: Path) -> None:
    there = tmp_path / "a.csv"
    there.write_text("x\n1\n")
    with pytest.raises(CxLookupError, match=r"b\.csv is missing; there are: a\.csv"):
        read_columns({"a.csv": there, "b.csv": tmp_path / "b.csv"}, "b.csv", ["x"])


def test_a_missing_column_is_named_with_those_that_are_there(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("x;y\n1;2\n")
    with pytest.raises(CxValueError, match=r"a\.csv lacks the column\(s\) x, y; it has: x;y"):
        read_columns({"a.csv": tmp_path / "a.csv"}, "a.csv", ["x", "y"])


@pytest.mark.parametrize("content", [b"", b"x,y\n\xe9\xff,1\n", b'x,y\n1,2,3,4\n"open'])
def test_a_file_that_is_no_utf8_csv_is_an_error_of_ours(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.csv").write_bytes(content)
    with pytest.raises(CxValueError, match="UTF-8 comma-separated"):
        read_columns({"a.csv": tmp_path / "a.csv"}, "a.csv", ["x"])


def test_codes_keep_their_leading_zeros_and_the_text_na_is_text(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(b"\xef\xbb\xbfcode,word\n00123,NA\n,\n")
    frame = read_columns({"a.csv": tmp_path / "a.csv"}, "a.csv", ["code", "word"])
    assert frame["code"].iloc[0] == "00123"
    assert frame["word"].iloc[0] == "NA"
    assert frame.iloc[1].isna().all()
