"""XES logs: a small one with every oddity, and the BPI Challenge 2012 with its published numbers."""

from __future__ import annotations

import gzip
from pathlib import Path

import pandas as pd
import pytest

import cxlib as cx
from cxlib.errors import CxLookupError, CxValueError
from cxlib.readers import bpic2012, xes
from cxlib.study import Study

SMALL = Path(__file__).parent / "samples" / "log.xes"


def rows(path: Path) -> pd.DataFrame:
    return pd.concat([part.to_pandas() for part in xes.events(path)], ignore_index=True)


@pytest.fixture(scope="module")
def small() -> pd.DataFrame:
    return rows(SMALL)


def test_a_declared_prefix_is_resolved_through_its_address(small: pd.DataFrame) -> None:
    assert small["concept:name"].tolist() == ["Register", "Check & call", "Check & call", "Register"]
    assert not [name for name in small if "c:name" in name and "concept" not in name]


def test_a_trace_names_its_events_even_where_its_name_comes_last(small: pd.DataFrame) -> None:
    assert small["case:concept:name"].tolist() == ["case 1"] * 3 + ["case 2"]
    assert small["case:amount"].tolist()[:3] == ["500"] * 3


def test_the_transition_is_folded_and_names_the_activity_unless_it_is_complete(small: pd.DataFrame) -> None:
    assert small["lifecycle:transition"].tolist()[:3] == ["complete", "start", "complete"]
    assert small["activity"].tolist() == ["Register", "Check & call (start)", "Check & call", "Register"]


def test_nested_attributes_and_lists_are_kept(small: pd.DataFrame) -> None:
    assert small.loc[2, "notes.note"] == "rang; nobody"
    assert (small.loc[2, "cost"], small.loc[2, "cost.unit"]) == ("12", "min")
    assert small.loc[0, "org:resource"] == "7"


def test_placeholders_of_global_and_attributes_of_the_log_are_no_data(small: pd.DataFrame) -> None:
    assert "__INVALID__" not in small.to_string()
    assert "a log" not in small.to_string()


def test_a_zipped_log_and_one_in_many_parts_are_the_same(tmp_path: Path, small: pd.DataFrame) -> None:
    packed = tmp_path / "log.xes.gz"
    packed.write_bytes(gzip.compress(SMALL.read_bytes()))
    pd.testing.assert_frame_equal(rows(packed), small)
    xes.flatten(packed, tmp_path / "out.parquet")
    pd.testing.assert_frame_equal(
        pd.read_parquet(tmp_path / "out.parquet")[list(small)], small, check_dtype=False
    )
    assert sorted(path.name for path in tmp_path.iterdir()) == ["log.xes.gz", "out.parquet"]


def test_parts_that_know_other_columns_become_one_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(xes, "CHUNK", 300)
    monkeypatch.setattr(xes.events, "__defaults__", (1,))
    assert len([part.num_rows for part in xes.events(SMALL)]) == 2
    xes.flatten(SMALL, tmp_path / "out.parquet")
    frame = pd.read_parquet(tmp_path / "out.parquet")
    assert (len(frame), frame["case:amount"].notna().sum()) == (4, 3)


BOMB = '<?xml version="1.0"?><!DOCTYPE log [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><log><trace/></log>'


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (BOMB.encode(), "holds a DOCTYPE"),
        (SMALL.read_bytes()[:900], "is damaged or is not XML: .*line"),
        (gzip.compress(SMALL.read_bytes())[:300], "is damaged or is not XML"),
        (b"case,activity\n1,a\n", "is damaged or is not XML"),
        (b"", "is damaged or is not XML"),
        (b"<html><body/></html>", "begins with <html>, not with <log>"),
        (b"<log><trace></trace></log>", "no event log with events"),
    ],
)
def test_what_is_no_log_is_refused_and_nothing_is_written(
    tmp_path: Path, content: bytes, message: str
) -> None:
    path = tmp_path / "bad.xes"
    path.write_bytes(content)
    with pytest.raises(CxValueError, match=rf"bad\.xes.*{message}"):
        xes.flatten(path, tmp_path / "out.parquet")
    assert [one.name for one in tmp_path.iterdir()] == ["bad.xes"]


@pytest.fixture(scope="module")
def loans(mirror: Path) -> Study:
    tables = bpic2012.read({bpic2012.FILE: mirror / "bpic2012" / bpic2012.FILE})
    return cx.open_study(tables, **bpic2012.SETTINGS)


def test_the_loan_log_has_its_published_cases_events_and_activities(loans: Study) -> None:
    """13,087 cases, 262,200 events, 24 activities (36 with their transitions)."""
    assert loans.findings.found == ()
    events = loans.fetch(loans.table("touchpoints"))
    assert (len(events), events["anonymous_id"].nunique(), events["activity"].nunique()) == (
        262_200,
        13_087,
        24,
    )
    assert events["touchpoint"].nunique() == loans.findings.rows["catalog"] == 36
    assert events["lifecycle"].value_counts().to_dict() == {
        "complete": 164_506,
        "start": 71_376,
        "schedule": 26_318,
    }
    # 2011-10-01T00:38:44.546+02:00
    assert events["ts"].min() == pd.Timestamp("2011-09-30 22:38:44.546")


def test_the_loan_log_has_its_published_outcomes(loans: Study) -> None:
    """Declined 7,635, cancelled 2,807, activated 2,246, and 399 still open."""
    events = loans.fetch(loans.table("touchpoints"))
    ended = events[events["touchpoint"].isin(["A_DECLINED", "A_CANCELLED", "A_ACTIVATED"])]
    cases = ended.groupby("touchpoint")["anonymous_id"].nunique()
    assert cases.to_dict() == {"A_DECLINED": 7_635, "A_CANCELLED": 2_807, "A_ACTIVATED": 2_246}
    assert 13_087 - ended["anonymous_id"].nunique() == 399


def test_a_missing_log_is_named() -> None:
    with pytest.raises(CxLookupError, match=r"bpic2012\.xes\.gz is missing; there are: none"):
        bpic2012.read({})
