"""The Chinese hotel reviews: published counts, and files that are not as published."""

from __future__ import annotations

from pathlib import Path

import pytest

import cxlib as cx
from cxlib.errors import CxLookupError, CxValueError
from cxlib.readers import chn_hotel_reviews as reader


def test_the_published_file_has_its_known_reviews_but_the_one_without_text(mirror: Path) -> None:
    """ChineseNlpCorpus states over 7,000 reviews, over 5,000 positive and over 2,000 negative."""
    frame = reader.read({reader.FILE: mirror / "chn_hotel_reviews" / reader.FILE})["surveys"]
    assert frame["score"].value_counts().to_dict() == {1.0: 5_322, 0.0: 2_443}
    assert frame["comment"].notna().all()
    assert frame["response_id"].is_unique


def test_it_opens_by_name_and_the_review_left_out_is_said(
    mirror: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CXLIB_DATA_MIRROR", str(mirror))
    study = cx.open_study("chn_hotel_reviews")
    assert study.findings.found == ()
    assert any("no text" in note for note in study.settings.notes)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("label,review\n2,好\n", "not 0 or 1, for example '2'"),
        ("label,text\n1,好\n", r"lacks the column"),
    ],
)
def test_what_cannot_be_read_is_said(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / reader.FILE).write_text(text, "utf-8")
    with pytest.raises(CxValueError, match=message):
        reader.read({reader.FILE: tmp_path / reader.FILE})


def test_a_missing_file_is_named() -> None:
    with pytest.raises(CxLookupError, match=r"ChnSentiCorp_htl_all\.csv is missing"):
        reader.read({})
