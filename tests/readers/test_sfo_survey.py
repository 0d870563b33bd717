"""The SFO survey: nine years of other columns each, against published numbers and plain pandas on the files."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import cxlib as cx
from cxlib.errors import CxLookupError, CxValueError
from cxlib.readers import sfo_survey


@pytest.fixture(scope="module")
def files(mirror: Path) -> dict[str, Path]:
    return {file: mirror / "sfo_survey" / file for file in sfo_survey.FILES}


@pytest.fixture(scope="module")
def answers(files: dict[str, Path]) -> pd.DataFrame:
    return sfo_survey.read(files)["surveys"]


@pytest.mark.parametrize(
    ("year", "plain", "weighted", "n"), [(2017, 39.8, 40.4, 2_746), (2018, 31.0, 35.1, 2_650)]
)
def test_nps_of_both_years_is_as_published(
    answers: pd.DataFrame, year: int, plain: float, weighted: float, n: int
) -> None:
    asked = answers[(answers["year"] == year) & (answers["question"] == "nps")]
    result = cx.collection.nps(asked["score"])
    assert (round(result.estimate, 1), result.n) == (plain, n)
    assert round(cx.collection.nps(asked["score"], weights=asked["weight"]).estimate, 1) == weighted


def test_every_respondent_of_every_year_is_there_once_for_each_question(answers: pd.DataFrame) -> None:
    """28,665 respondents; the numbers a year are the files' lines."""
    assert answers["response_id"].nunique() == 28_665
    assert not answers.duplicated(["response_id", "question"]).any()
    years = answers.groupby("year")["response_id"].nunique()
    assert years.tolist() == [3_234, 3_872, 3_521, 3_535, 2_818, 2_958, 3_087, 2_831, 2_809]
    asked = answers.groupby("year")["question"].nunique()
    assert asked.tolist() == [21, 21, 21, 22, 22, 22, 22, 23, 23]


def test_the_airport_as_a_whole_of_2018_has_its_known_answers_and_weighted_mean(
    answers: pd.DataFrame,
) -> None:
    """An independent analysis of Q7ALL of 2018: 6, 46, 514, 1,428 and 631 answers of 2,809, weighted mean 4.04."""
    asked = answers[(answers["year"] == 2018) & (answers["question"] == "csat")].dropna(subset="score")
    assert asked["score"].value_counts().sort_index().tolist() == [6, 46, 514, 1_428, 631]
    assert round((asked["score"] * asked["weight"]).sum() / asked["weight"].sum(), 2) == 4.04


def test_codes_that_are_no_scores_are_empty_and_say_why(
    answers: pd.DataFrame, files: dict[str, Path]
) -> None:
    raw = pd.read_csv(files["2012_SFO_Customer_Survey.csv"])
    of_2012 = answers[answers["year"] == 2012]
    art = of_2012[of_2012["question"] == "artwork"]
    assert (art["answer"] == "never used").sum() == (raw["Q8A_ART"] == 6).sum()
    assert (art["answer"] == "blank").sum() == (raw["Q8A_ART"] == 0).sum()
    assert art["score"].notna().sum() == raw["Q8A_ART"].between(1, 5).sum()
    assert art["score"].sum() == raw.loc[raw["Q8A_ART"].between(1, 5), "Q8A_ART"].sum()
    safety = answers[answers["question"] == "safety"]
    assert set(safety["answer"]) == {"given", "blank", "don't know"}
    assert answers.loc[answers["question"] != "nps", "score"].max() == 5


def test_days_are_stated_where_the_files_state_them(answers: pd.DataFrame) -> None:
    """2017 and 2018 name a day and a weekday: all but 2 of 5,640 fit May, none of the other months."""
    years = answers.drop_duplicates("response_id").groupby("year")
    assert years["dated"].first().tolist() == ["year"] * 6 + ["day"] * 3
    assert years["ts"].min().loc[2015] == years["ts"].max().loc[2015] == pd.Timestamp("2015-01-01")
    assert [str(day.date()) for day in years["ts"].min().loc[2016:]] == [
        "2016-05-06",
        "2017-05-05",
        "2018-05-01",
    ]


def test_it_opens_by_name_and_breaks_nothing_in_the_contract(
    files: dict[str, Path], monkeypatch: pytest.MonkeyPatch, mirror: Path
) -> None:
    monkeypatch.setenv("CXLIB_DATA_MIRROR", str(mirror))
    study = cx.open_study("sfo_survey")
    assert study.findings.found == ()
    by_year = cx.collection.scores(study, "nps", by="year").table().set_index("year")["estimate"]
    assert by_year.loc[["2017", "2018"]].round(1).tolist() == [40.4, 35.1]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda text: text.replace("NETPRO", "NETPROMOTER"), "lacks the column.s. NETPRO; it has: RESPNUM"),
        (lambda text: text.replace(",WEIGHT", ", weight "), None),
        (lambda text: text.replace(",6,6,3,4,4,4,4,4,4,4,", ",6,6,3,4,4,4,9,4,4,4,", 1), "not codes of the survey, for example '9'"),
    ],
)  # fmt: skip
def test_a_year_that_is_not_as_published_is_refused_in_words(
    files: dict[str, Path], tmp_path: Path, change: Any, message: str | None
) -> None:
    copies = {name: Path(shutil.copy(path, tmp_path / name)) for name, path in files.items()}
    last = copies[sfo_survey.FILES[-1]]
    last.write_text(change(last.read_text("utf-8")), "utf-8")
    if message is None:
        assert len(sfo_survey.read(copies)["surveys"]) == 625_643
    else:
        with pytest.raises(CxValueError, match=rf"2018_SFO_Customer_Survey\.csv.*{message}"):
            sfo_survey.read(copies)


def test_a_missing_year_is_named(files: dict[str, Path]) -> None:
    without = {name: path for name, path in files.items() if not name.startswith("2014")}
    with pytest.raises(CxLookupError, match=r"the file 2014_SFO_Customer_Survey\.csv is missing"):
        sfo_survey.read(without)


def test_who_was_interviewed_together_is_kept_and_widens_the_interval(answers: pd.DataFrame) -> None:
    asked = answers[answers["question"] == "nps"]
    runs = asked.groupby("year")["flight"].nunique()
    assert runs.to_dict() == {2017: 212, 2018: 205}  # counted in the files
    assert answers[answers["year"].isin([2010, 2012])]["flight"].isna().all()
    late = asked[asked["year"] == 2018]
    alone, together = (
        cx.voice.nps(late["score"], weights=late["weight"], clusters=clusters)
        for clusters in (None, late["flight"].fillna(late["response_id"]))
    )
    assert together.high - together.low > 1.2 * (alone.high - alone.low)
