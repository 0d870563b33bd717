"""The notebooks run, their stored outputs still hold, and a stored number that is wrong is found."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

from cxlib.__main__ import _about
from cxlib.report import sources
from cxlib.study import open_study

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOKS = ROOT / "notebooks"
CHAPTERS = sorted(NOTEBOOKS.glob("*.ipynb"))


def nbval(path: Path, ipython: Path) -> subprocess.CompletedProcess[str]:
    """Run every cell of a notebook and compare what it stores, strictly."""
    compare = ["--nbval", "--nbval-current-env", "--nbval-sanitize-with", str(ROOT / "tests" / "nbval.cfg")]
    plain = ["-q", "--color=no", "-p", "no:cacheprovider", "-o", "addopts="]
    ours = {key: value for key, value in os.environ.items() if not key.startswith(("PYTEST_", "MPLBACKEND"))}
    environment = {**ours, "IPYTHONDIR": str(ipython)}
    command = [sys.executable, "-m", "pytest", *plain, *compare, str(path)]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)


def test_notebooks_and_sources_agree() -> None:
    _, has = _about(open_study("demo"))
    assert [str(finding) for finding in sources.check(NOTEBOOKS, has) if finding.wrong] == []


@pytest.mark.parametrize("path", CHAPTERS, ids=[path.stem for path in CHAPTERS])
def test_a_notebook_gives_what_it_stores(path: Path, tmp_path: Path) -> None:
    done = nbval(path, tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("path", CHAPTERS[:1], ids=[path.stem for path in CHAPTERS[:1]])
def test_a_corrupted_stored_number_is_found(path: Path, tmp_path: Path) -> None:
    book = nbformat.read(path, 4)
    outputs = [output for cell in book.cells for output in cell.get("outputs", [])]
    corrupted = next((digit for output in outputs if (digit := spoiled(output))), None)
    assert corrupted, "no checked output holds a number; run `cx notebooks --run`"
    sources.write(tmp_path / path.name, sources.dumps(book))
    done = nbval(tmp_path / path.name, tmp_path / "ipython")
    assert done.returncode == 1, done.stdout + done.stderr
    assert "mismatch" in done.stdout
    assert corrupted in done.stdout.replace("\n", "")


def spoiled(output: nbformat.NotebookNode) -> str:
    """Raise the first digit of an output's text by one, in place; the text around it, or nothing."""
    where, key = (output, "text") if "text" in output else (output.get("data", {}), "text/plain")
    found = re.search(r"(?<!\w)\d", where.get(key, ""))  # not one in an object's address
    if found is None:
        return ""
    digit = str((int(found[0]) + 1) % 10)
    where[key] = where[key][: found.start()] + digit + where[key][found.end() :]
    return digit
