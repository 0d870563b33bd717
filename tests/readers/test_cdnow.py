"""The CDNOW reader: published counts, and small files with known content."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

import cxlib as cx
from cxlib.errors import CxLookupError, CxValueError
from cxlib.readers import cdnow, reader

MASTER = """ customer_id  date number_of_cds  dollar_value\r
 00001 19970101  1   11.77\r
 00001 19970101  1   11.77\r
 00002 19970112  5    0.00\r
"""
SAMPLE = " 00001 0001 19970101  1   11.77\r\n 00001 0001 19970101  1   11.77\r\n"


@pytest.fixture
def tiny(tmp_path: Path) -> dict[str, Path]:
    for file, content in ((cdnow.MASTER, MASTER), (cdnow.SAMPLE, SAMPLE)):
        (tmp_path / file).write_bytes(content.encode())
    return {file: tmp_path / file for file in cdnow.FILES}


@pytest.fixture(scope="module")
def files(mirror: Path) -> dict[str, Path]:
    return {file: mirror / "cdnow" / file for file in cdnow.FILES}


def test_a_line_is_a_transaction_and_none_is_dropped(tiny: dict[str, Path]) -> None:
    frame = cdnow.transactions(tiny, cdnow.MASTER)
    assert list(frame) == ["customer_id", "date", "units", "dollars"]
    assert frame["customer_id"].tolist() == ["00001", "00001", "00002"]
    assert frame["dollars"].tolist() == [11.77, 11.77, 0.0]
    assert frame.attrs == {"zero_spend": 1, "duplicates": 1}
    assert len(cdnow.transactions(tiny)) == 2


def test_an_order_is_a_line_in_cents_at_midnight(tiny: dict[str, Path]) -> None:
    tables = cdnow.read(tiny)
    assert tables["orders"]["order_id"].tolist() == ["2", "3", "4"]
    assert tables["orders"]["revenue"].tolist() == [1177, 1177, 0]
    assert set(tables["orders"]["ts"].dt.time.astype(str)) == {"00:00:00"}
    assert tables["customers"]["sampled"].tolist() == [True, False]


def test_the_files_have_their_published_counts(files: dict[str, Path]) -> None:
    """Data card: 69,659 transactions of 23,570 customers, 80 spend zero, 255 exact duplicates; 2,357 sampled."""
    master, sample = cdnow.transactions(files, cdnow.MASTER), cdnow.transactions(files)
    assert (len(master), master["customer_id"].nunique()) == (69_659, 23_570)
    assert master.attrs == {"zero_spend": 80, "duplicates": 255}
    assert sample["customer_id"].nunique() == 2_357
    assert master["date"].min() == pd.Timestamp("1997-01-01")
    assert master["date"].max() == pd.Timestamp("1998-06-30")


def test_the_sample_is_the_masters_own_lines_of_its_customers(files: dict[str, Path]) -> None:
    master, sample = cdnow.transactions(files, cdnow.MASTER), cdnow.transactions(files)
    own = master[master["customer_id"].isin(sample["customer_id"])]
    own, sample = (frame.sort_values(list(frame), ignore_index=True) for frame in (own, sample))
    pd.testing.assert_frame_equal(own, sample)


def test_the_tables_make_a_study_that_breaks_nothing_in_the_contract(files: dict[str, Path]) -> None:
    tables = reader("cdnow").read(files)
    study = cx.open_study(tables)
    assert study.findings.found == ()
    assert (len(tables["orders"]), len(tables["customers"])) == (69_659, 23_570)
    assert tables["customers"]["sampled"].sum() == 2_357


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("19970112", "19970132", "times written YYYY-MM-DD HH:MM:SS, for example '1997-01-32"),
        ("0.00", "free", "decimal amounts of money, for example 'free'"),
        ("  5 ", "  5.5 ", "whole numbers"),
        ("19970112  5", "19970112", "line 4 has 3"),
    ],
)
def test_a_line_that_cannot_be_right_stops_the_reader(
    tiny: dict[str, Path], old: str, new: str, message: str
) -> None:
    tiny[cdnow.MASTER].write_text(MASTER.replace(old, new))
    with pytest.raises(CxValueError, match=message):
        cdnow.read(tiny)


def test_a_missing_file_is_named(tiny: dict[str, Path]) -> None:
    del tiny[cdnow.SAMPLE]
    with pytest.raises(CxLookupError, match=r"CDNOW_sample.txt is missing; there are: CDNOW_master.txt"):
        cdnow.transactions(tiny)
    with pytest.raises(CxLookupError, match="no file other"):
        cdnow.transactions(tiny, "other")
