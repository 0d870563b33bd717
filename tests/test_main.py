"""The command line: every command answers, every error is one message and an exit code."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest

from cxlib.__main__ import main

ROOT = Path(__file__).resolve().parents[1]


def refused(capsys: pytest.CaptureFixture[str], *argv: str) -> str:
    """The message of a command that ends with exit code 1."""
    assert main(list(argv)) == 1
    caught = capsys.readouterr()
    assert caught.err.startswith("cx: ")
    assert "Traceback" not in caught.err
    return caught.err


def test_help_comes_quickly_and_names_every_command() -> None:
    begin = time.perf_counter()
    done = subprocess.run([sys.executable, "-m", "cxlib", "--help"], cwd=ROOT, capture_output=True, text=True)
    assert time.perf_counter() - begin < 3  # 0.1 s on a quiet machine; importing pandas would take longer
    for command in ("report", "check", "new", "studies", "data", "notebooks", "simulate"):
        assert f"\n    {command}" in done.stdout


def test_help_imports_nothing_heavy() -> None:
    script = (
        "import sys\nfrom cxlib.__main__ import _parser\n_parser().format_help()\n"
        "print([m for m in ('pandas', 'ibis', 'duckdb', 'nbformat', 'matplotlib') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stderr


@pytest.mark.parametrize(
    "argv",
    [[], ["paint"], ["new", "x"], ["data"], ["notebooks", "--run", "--check"], ["simulate", "x"], ["check"],
     ["simulate", "x", "--customers", "0"], ["simulate", "x", "--customers", "many"]],
)  # fmt: skip
def test_a_wrong_command_line_is_exit_code_2(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(argv)
    assert caught.value.code == 2
    assert "usage: cx" in capsys.readouterr().err


def test_studies_lists_the_demo(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["studies"]) == 0
    assert capsys.readouterr().out.startswith("demo ")


def test_data_lists_names_sizes_and_licences(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "list"]) == 0
    assert "olist" in capsys.readouterr().out


def test_data_says_where_it_keeps_files(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("CXLIB_CACHE", str(tmp_path))
    assert main(["data", "where"]) == 0
    assert capsys.readouterr().out.strip() == str(tmp_path)


def test_fetching_an_unknown_data_set_lists_those_that_exist(capsys: pytest.CaptureFixture[str]) -> None:
    assert "olist" in refused(capsys, "data", "fetch", "olits")


def test_fetching_from_a_mirror_prints_the_paths(capsys: pytest.CaptureFixture[str], mirror: Path) -> None:
    assert main(["data", "fetch", "cdnow"]) == 0
    assert all(Path(line).is_file() for line in capsys.readouterr().out.splitlines())


def test_a_report_on_an_unknown_study_says_which_exist(capsys: pytest.CaptureFixture[str]) -> None:
    message = refused(capsys, "report", "olits")
    assert "Did you mean `olist`?" in message


def test_check_prints_every_violation_without_a_traceback(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    frame = {
        "event_id": ["a", "a", "b"],
        "customer_id": ["1", "2", None],
        "ts": ["2026-01-01", "2026-01-02", "1066-10-14"],
        "touchpoint": ["search", "cart", "cart"],
        "initiated_by": ["customer", "nobody", "customer"],
    }
    pd.DataFrame(frame).to_csv(tmp_path / "touchpoints.csv", index=False)
    assert main(["check", str(tmp_path)]) == 1
    caught = capsys.readouterr()
    assert caught.err == ""
    for column in ("event_id", "initiated_by", "ts"):
        assert column in caught.out
    assert "nobody" in caught.out


def test_check_is_content_with_the_demo(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "demo"]) == 0
    assert capsys.readouterr().err == ""


def test_check_of_an_empty_folder_is_one_message(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "none of the contract's tables" in refused(capsys, "check", str(tmp_path))


def test_new_writes_a_mapping_and_a_key_and_says_what_comes_next(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [
        [f"u{i % 20}", ["view", "purchase"][i % 2], f"2026-01-{13 + i % 15}", "a@b.org"] for i in range(60)
    ]
    log = pd.DataFrame(rows, columns=["user_id", "event", "time", "email"])
    log.to_csv(tmp_path / "log.csv", index=False)
    folder = tmp_path / "studies" / "mine, été"
    assert main(["new", str(folder), "--from", str(tmp_path / "log.csv")]) == 0
    printed = capsys.readouterr().out
    assert "contact columns: email" in printed
    assert "zone: the clock of `time`" in printed
    assert printed.endswith(f"Next: cx check {folder}\n")
    assert sorted(path.name for path in folder.iterdir()) == [".gitignore", ".key", "study.yaml"]
    assert (folder / ".key").stat().st_mode & 0o077 == 0
    assert "`zone`" in refused(capsys, "check", str(folder))
    written = (folder / "study.yaml").read_text("utf-8")
    (folder / "study.yaml").write_text(written.replace("zone:  ", "zone: Europe/Rome  "), "utf-8")
    assert main(["check", str(folder)]) == 0
    assert "touchpoints 60 rows" in capsys.readouterr().out
    assert "not empty" in refused(capsys, "new", str(folder), "--from", str(tmp_path / "log.csv"))


def test_new_writes_nothing_where_no_file_is_of_use(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.csv").write_text("x,y\n1,2\n")
    message = refused(
        capsys, "new", str(tmp_path / "new"), "--from", str(tmp_path / "a.csv"), str(tmp_path / "b.csv")
    )
    assert "no column says who it was or when" in message
    assert "b.csv is not there" in message
    for wrong in (["--zone", "Rome"], ["--currency", "eur"]):
        assert wrong[1] in refused(
            capsys, "new", str(tmp_path / "new"), "--from", str(tmp_path / "a.csv"), *wrong
        )
    assert not (tmp_path / "new").exists()
    assert "cannot be written" in refused(
        capsys,
        "new",
        str(tmp_path / "a.csv" / "x"),
        "--from",
        str(ROOT / "tests" / "readers" / "samples" / "log.xes"),
    )


def test_simulate_writes_a_study_that_opens_and_will_not_write_over_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "a company, été"
    assert main(["simulate", str(out), "--customers", "60", "--seed", "1"]) == 0
    assert main(["check", str(out)]) == 0
    before = sorted(out.iterdir())
    capsys.readouterr()
    assert "not empty" in refused(capsys, "simulate", str(out), "--customers", "60")
    assert sorted(out.iterdir()) == before


def test_simulate_refuses_an_unknown_world_and_writes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    refused(capsys, "simulate", str(tmp_path / "new"), "--customers", "60", "--world", "mars")
    assert not (tmp_path / "new").exists()


def test_a_report_on_a_folder_of_ones_own_leaves_out_what_it_lacks_and_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    own = tmp_path / "my data, été"
    own.mkdir()
    demo = ROOT / "data" / "demo"
    table = pd.read_parquet(demo / "touchpoints.parquet")
    few = table["customer_id"].isin(table["customer_id"].dropna().unique()[:300])
    table[few].to_csv(own / "touchpoints.csv", index=False)
    pd.read_parquet(demo / "catalog.parquet").to_csv(own / "catalog.csv", index=False)
    (own / "study.yaml").write_text((demo / "study.yaml").read_text("utf-8"), "utf-8")
    out = tmp_path / "out"
    assert main(["report", str(own), "--only", "03", "--brief", "--out", str(out)]) == 0
    printed = capsys.readouterr().out
    assert "planted truth" in printed
    assert "Left out" in printed
    assert " 3  How do customers travel" in printed
    assert printed.endswith(f"Report: {out / 'index.html'}\n")
    pages = sorted(path.name for path in out.glob("*.html"))
    assert pages == ["03_journey_templates.html", "index.html"]
    page = (out / pages[0]).read_text("utf-8")
    assert "Not in this report" in page
    assert "<details" not in page  # a brief has no code


SOURCE = """# %% [markdown]
# # What is one and one?
#
# {text}

# %% tags=["parameters"]
STUDY = "demo"

# %% tags=["checked"]
1 + 1
"""


def test_notebooks_are_made_run_and_checked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "notebooks" / "src").mkdir(parents=True)
    source = tmp_path / "notebooks" / "src" / "00_sum.py"
    source.write_text(SOURCE.format(text="Add them up and see; " * 6), "utf-8")
    monkeypatch.chdir(tmp_path)
    assert main(["notebooks", "--check"]) == 1
    assert "00_sum: has no notebook yet" in capsys.readouterr().out
    assert main(["notebooks"]) == 0
    assert main(["notebooks", "--check"]) == 1
    assert "is checked but stores no output" in capsys.readouterr().out
    assert main(["notebooks", "--run"]) == 0
    assert main(["notebooks", "--check"]) == 0
    assert capsys.readouterr().out.endswith("1 notebooks, 0 things wrong\n")
    source.write_text(SOURCE.format(text="Something else."), "utf-8")
    assert main(["notebooks", "--check"]) == 1
    assert "differs from its source" in capsys.readouterr().out
