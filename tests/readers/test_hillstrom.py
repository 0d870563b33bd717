"""The Hillstrom reader: facts of the published file, and small files that are wrong."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from cxlib.errors import CxLookupError, CxValueError
from cxlib.readers import hillstrom

HEAD = "recency,history_segment,history,mens,womens,zip_code,newbie,channel,segment,visit,conversion,spend\n"
ROW = "10,2) $100 - $200,142.44,1,0,Surburban,0,Phone,Womens E-Mail,0,0,29.99\n"


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    path = tmp_path / hillstrom.FILE
    path.write_text(HEAD + ROW + ROW)
    return path


def test_rows_that_look_alike_are_two_customers_and_spelling_is_kept(tiny: Path) -> None:
    frame = hillstrom.read({hillstrom.FILE: tiny})
    assert len(frame) == 2
    assert frame.loc[0, ["recency", "zip_code", "history", "spend"]].tolist() == [
        10,
        "Surburban",
        142.44,
        29.99,
    ]
    assert list(frame.columns) == list(hillstrom.COLUMNS)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("spend\n", "spent\n", r"lacks the column\(s\) spend"),
        ("142.44", "", r"lacks values in history \(2\)"),
        (",0,Phone", ",2,Phone", r"column newbie: 2 value\(s\) are not 0 or 1, for example '2'"),
        ("29.99", "much", r"column spend: 2 value\(s\) are not decimal amounts"),
    ],
)
def test_what_cannot_be_right_is_said(tiny: Path, old: str, new: str, message: str) -> None:
    tiny.write_text(tiny.read_text().replace(old, new))
    with pytest.raises(CxValueError, match=message):
        hillstrom.read({hillstrom.FILE: tiny})


def test_a_missing_file_is_named() -> None:
    with pytest.raises(CxLookupError, match=r"hillstrom\.csv is missing"):
        hillstrom.read({})


def test_the_published_file_has_its_known_customers(mirror: Path) -> None:
    path = mirror / "hillstrom" / hillstrom.FILE
    frame = hillstrom.read({hillstrom.FILE: path})
    assert frame["segment"].value_counts().to_dict() == {
        "Womens E-Mail": 21_387,
        "Mens E-Mail": 21_307,
        "No E-Mail": 21_306,
    }
    assert int(frame.duplicated().sum()) == 6_562
    assert set(frame["zip_code"]) == {"Surburban", "Urban", "Rural"}
    plain = pd.read_csv(path)
    pd.testing.assert_frame_equal(frame, plain, check_dtype=False, check_exact=True)
