"""LaRoSeDa: published counts, and files that are not as published."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import cxlib as cx
from cxlib.errors import CxLookupError, CxValueError
from cxlib.readers import laroseda as reader


def test_the_published_files_have_their_known_stars_and_titles_stand_apart(mirror: Path) -> None:
    """15,000 reviews, half positive, none of 3 stars (Tache, Gaman and Ionescu 2021); stars counted in the files."""
    frame = reader.read({file: mirror / "laroseda" / file for file in reader.FILES})["surveys"]
    counts = frame["score"].value_counts()
    assert [int(counts[star]) for star in (1, 2, 4, 5)] == [5_561, 1_939, 1_262, 6_238]
    assert frame["response_id"].is_unique
    assert frame["comment"].str.strip().ne("").all()
    first = json.loads((mirror / "laroseda" / "positive_reviews.json").read_text("utf-8"))["reviews"][0]
    assert frame.loc[0, "title"] == first["title"].strip()
    assert first["title"] not in frame.loc[0, "comment"]


def test_it_opens_by_name_and_says_that_it_has_no_dates(
    mirror: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CXLIB_DATA_MIRROR", str(mirror))
    study = cx.open_study("laroseda")
    assert study.findings.found == ()
    assert any("no date" in note for note in study.settings.notes)


@pytest.mark.parametrize("text", ["[]", "{}", '{"reviews": [{"index": "1"}]}', "not JSON"])
def test_a_file_that_is_not_as_published_is_refused_in_words(tmp_path: Path, text: str) -> None:
    files = {file: tmp_path / file for file in reader.FILES}
    for path in files.values():
        path.write_text(text, "utf-8")
    with pytest.raises(
        CxValueError, match=r"positive_reviews\.json is not a JSON object .*Take the file as published"
    ):
        reader.read(files)


def test_a_missing_half_is_named(tmp_path: Path) -> None:
    with pytest.raises(CxLookupError, match=r"positive_reviews\.json is missing"):
        reader.read({})
