"""What stands in data/: the evidence behind quoted statistics, the citation, the licence."""

from __future__ import annotations

import csv
import tomllib

import yaml

from tests.environment import ROOT

GRADES = {"strong", "moderate", "weak", "intent", "descriptive", "none", "untraceable"}


def test_every_quoted_statistic_says_what_it_really_supports() -> None:
    with (ROOT / "data" / "evidence.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["claim", "source", "year", "design", "n", "what_it_supports", "grade"]
    assert len({row["claim"] for row in rows}) == len(rows) >= 10
    for row in rows:
        assert row["grade"] in GRADES, row
        assert all(row[column] for column in ("claim", "source", "design", "what_it_supports")), row
        assert all(row[column] == "" or row[column].isdigit() for column in ("year", "n")), row


def test_a_statistic_without_a_source_is_graded_untraceable_and_only_such_a_one() -> None:
    with (ROOT / "data" / "evidence.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            assert (row["source"] == "not traced") == (row["grade"] == "untraceable"), row


def test_the_citation_names_the_packages_version_and_licence() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert citation["version"] == project["version"]
    assert citation["license"] == project["license"] == "Apache-2.0"


def test_the_licence_is_given_in_full() -> None:
    text = (ROOT / "LICENSE").read_text()
    for heading in ("Version 2.0, January 2004", "3. Grant of Patent License", "END OF TERMS AND CONDITIONS"):
        assert heading in text
