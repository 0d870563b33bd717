"""The cases run on their public data, agree with what was published, and can be shown as pages."""

from __future__ import annotations

import json
import re
import resource
from pathlib import Path

import nbformat
import pytest

from cxlib.__main__ import main
from cxlib.report import sources

CASES = sorted((sources.folder() / "src" / "cases").glob("*.py"))


@pytest.mark.parametrize("path", CASES, ids=[path.stem for path in CASES])
def test_a_case_runs_with_its_checks_and_becomes_a_page_with_its_licences(
    path: Path,
    tmp_path: Path,
    mirror: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("CXLIB_DATA_MIRROR", str(mirror))
    began = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
    assert main(["case", path.stem, "--out", str(tmp_path)]) == 0
    assert (
        resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - began < 60
    )  # CPU-seconds; alone it takes 25
    page = tmp_path / f"{path.stem}.html"
    assert capsys.readouterr().out.strip() == str(page)
    text = page.read_text("utf-8")
    assert "In short" in text
    assert re.search(r"<dd>licence \w", text)
    assert "@JetBlue" not in text
    assert (tmp_path / "index.html").is_file()


@pytest.mark.parametrize("path", CASES, ids=[path.stem for path in CASES])
def test_a_case_stores_no_output_as_its_data_are_not_ours(path: Path) -> None:
    book = nbformat.read(sources.folder() / "cases" / f"{path.stem}.ipynb", 4)
    assert not [cell for cell in book.cells if cell.get("outputs")]


def test_two_cases_stand_under_one_index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    notebooks = tmp_path / "notebooks"
    for name in ("one", "two"):
        text = f'# %% [markdown]\n# # What is {name}?\n\n# %% tags=["parameters"]\nSTUDY = "demo"\n\n# %%\n1 + 1\n'
        sources.write(notebooks / "src" / "cases" / f"{name}.py", text)
    sources.regenerate(notebooks)
    monkeypatch.chdir(tmp_path)
    for name in ("one", "two"):
        assert main(["case", name, "--brief"]) == 0
    out = tmp_path / "reports" / "cases"
    index = (out / "index.html").read_text("utf-8")
    assert "What is one?" in index
    assert "What is two?" in index
    assert [page["name"] for page in json.loads((out / "report.json").read_text())["pages"]] == ["one", "two"]


def test_cases_are_listed_and_an_unknown_one_is_answered_with_those_there_are(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["case"]) == 0
    assert "airport_voice_of_customer    What do" in capsys.readouterr().out
    assert main(["case", "airport"]) == 1
    assert (
        "there are: airport_voice_of_customer, marketplace_personas, reviews_in_four_languages"
        in capsys.readouterr().err
    )


def test_without_its_data_a_case_says_how_to_get_them(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CXLIB_DATA_MIRROR", str(tmp_path))
    monkeypatch.setenv("CXLIB_CACHE", str(tmp_path / "cache"))
    assert main(["case", "airport_voice_of_customer", "--out", str(tmp_path)]) == 1
    assert "By hand: download https://" in capsys.readouterr().err
    assert not (tmp_path / "airport_voice_of_customer.html").exists()
