"""A notebook runs as a copy, without the sections that a study cannot fill."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import nbformat
import pytest
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from cxlib.errors import CxError, CxLookupError, CxValueError
from cxlib.report import About, build, run
from cxlib.report.cells import fit

ABOUT = About("tiny", "A tiny study")


def text(source: str, *tags: str) -> NotebookNode:
    return new_markdown_cell(source, metadata={"tags": list(tags)})


def code(source: str, *tags: str) -> NotebookNode:
    return new_code_cell(source, metadata={"tags": list(tags)})


def sections() -> NotebookNode:
    return new_notebook(
        cells=[
            text("# Title"),
            code("STUDY = 'demo'", "parameters"),
            text("## Feelings", "needs-surveys"),
            code("raise SystemError('must not run')"),
            text("### Whose?"),
            code("raise SystemError('must not run either')"),
            text("## Travels"),
            code("kept = 1"),
            text("### Marks", "needs-truth", "needs-orders"),
            code("raise SystemError('nor this')"),
            text("### End"),
            code("alone = 1", "needs-catalog"),
            text("## Try it", "exercise"),
            code("...", "exercise"),
        ]
    )


def sources_of(book: NotebookNode) -> list[str]:
    return [cell.source for cell in book.cells]


def test_a_section_without_its_table_goes_with_all_that_is_below_it() -> None:
    book, left_out = fit(sections(), has={"touchpoints", "orders", "catalog"})
    assert sources_of(book) == [
        "# Title", "STUDY = 'demo'", "## Travels", "kept = 1", "### End", "alone = 1",
    ]  # fmt: skip
    assert [str(part) for part in left_out] == [
        "Feelings (needs the table surveys)",
        "Marks (needs a planted truth)",
    ]


def test_a_cell_that_needs_a_table_goes_alone() -> None:
    book, _ = fit(sections(), has={"surveys", "truth", "orders"})
    assert "alone = 1" not in sources_of(book)
    assert "### End" in sources_of(book)


def test_with_every_table_only_exercises_are_left_away_and_not_reported() -> None:
    book, left_out = fit(sections(), has={"surveys", "truth", "orders", "catalog"})
    assert len(book.cells) == 12
    assert left_out == ()


def test_whole_keeps_outputs_and_exercises() -> None:
    given = sections()
    given.cells[7].outputs = [nbformat.v4.new_output("stream", text="kept")]
    book, _ = fit(given, has=set(), whole=True)
    assert sources_of(book)[-2:] == ["## Try it", "..."]
    assert book.cells[3].outputs[0].text == "kept"


def test_the_notebook_given_is_not_changed() -> None:
    book = sections()
    before = nbformat.writes(book)
    fitted, _ = fit(book, has=set())
    run.set_parameters("00", fitted, {"STUDY": "olist"})
    assert nbformat.writes(book) == before


@pytest.mark.parametrize("study", ["olist", "/a path/with 'quotes' and \\1/été"])
def test_the_parameters_cell_gets_the_study(study: str) -> None:
    book = new_notebook(
        cells=[code("STUDY = 'demo'  # which\nOTHER = 2", "parameters"), code("STUDY = 'no'")]
    )
    run.set_parameters("00", book, {"STUDY": study})
    values: dict[str, object] = {}
    exec(book.cells[0].source, values)
    assert (values["STUDY"], values["OTHER"]) == (study, 2)
    assert book.cells[1].source == "STUDY = 'no'"


def test_an_unknown_parameter_is_an_error() -> None:
    with pytest.raises(CxValueError, match="no cell tagged `parameters` assigns `STUDIO`"):
        run.set_parameters("00", sections(), {"STUDIO": "olist"})


def test_a_kernel_runs_this_interpreter_with_one_thread_in_an_empty_folder(tmp_path: Path) -> None:
    source = "import os, sys\n(sys.executable, os.environ['OMP_NUM_THREADS'], os.getcwd())"
    executed = run.execute("00", new_notebook(cells=[code(source)]), tmp_path)
    found = ast.literal_eval(executed.cells[0].outputs[0].data["text/plain"])
    assert found == (sys.executable, "1", str(tmp_path.resolve()))
    assert "execution" not in executed.cells[0].metadata


def test_an_environment_variable_of_ours_keeps_meaning_the_same_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mirror").mkdir()
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CXLIB_DATA_MIRROR", "mirror")
    book = new_notebook(cells=[code("import os\nos.path.isdir(os.environ['CXLIB_DATA_MIRROR'])")])
    executed = run.execute("00", book, tmp_path / "work")
    assert executed.cells[0].outputs[0].data["text/plain"] == "True"


def write(folder: Path, **books: list[NotebookNode]) -> list[Path]:
    for name, cells in books.items():
        nbformat.write(
            new_notebook(cells=[text("# A title"), code("STUDY = 1", "parameters"), *cells]),
            folder / f"{name}.ipynb",
        )
    return sorted(folder.glob("*.ipynb"))


def test_a_failing_cell_names_notebook_cell_and_error_and_nothing_is_written(tmp_path: Path) -> None:
    books = write(tmp_path, a=[code("fine = 1")], b=[code("fine = 1"), code("total = 1\ntotal / 0")])
    with pytest.raises(CxError) as caught:
        build(books, ABOUT, tmp_path / "out", has=set(), quiet=True)
    assert "b: the cell `total = 1` failed with ZeroDivisionError: division by zero" in str(caught.value)
    assert "    total = 1\n->  total / 0\n" in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_a_failing_build_leaves_the_last_report_as_it_was(tmp_path: Path) -> None:
    build(write(tmp_path, a=[code("x = 1")]), ABOUT, tmp_path / "out", has=set(), quiet=True)
    before = {path: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    with pytest.raises(CxError):
        build(write(tmp_path, a=[code("1 / 0")]), ABOUT, tmp_path / "out", has=set(), quiet=True)
    assert {path: path.read_bytes() for path in (tmp_path / "out").iterdir()} == before


def test_building_twice_gives_the_same_bytes_and_leaves_the_notebooks_alone(tmp_path: Path) -> None:
    books = write(tmp_path, a=[code("{'z', 'y', 'x'}")])
    before = books[0].read_bytes()
    build(books, ABOUT, tmp_path / "one", has=set(), quiet=True)
    build(books, ABOUT, tmp_path / "two", has=set(), quiet=True)
    for path in (tmp_path / "one").iterdir():
        assert path.read_bytes() == (tmp_path / "two" / path.name).read_bytes()
    assert books[0].read_bytes() == before


def test_one_chapter_built_alone_keeps_the_pages_beside_it(tmp_path: Path) -> None:
    out = tmp_path / "out"
    books = write(tmp_path, a=[code("print('first')")], b=[code("print('first')")])
    build(books, ABOUT, out, has=set(), quiet=True)
    (out / "notes.txt").write_text("mine")
    books = write(tmp_path, a=[code("print('second')")], b=[code("print('second')")])
    build(books, ABOUT, out, has=set(), only="b", quiet=True)
    assert "first" in (out / "a.html").read_text()
    assert "second" in (out / "b.html").read_text()
    assert (out / "index.html").read_text().count("<article") == 2
    build(books, About("other", "Another study"), out, has=set(), only="b", quiet=True)
    assert not (out / "a.html").exists()  # it belonged to another study
    assert (out / "index.html").read_text().count("<article") == 1
    assert (out / "notes.txt").read_text() == "mine"


def test_a_chapter_that_does_not_exist_is_an_error_that_lists_those_that_do(tmp_path: Path) -> None:
    with pytest.raises(CxLookupError, match=r"begins with `07`. There are: a, b\."):
        build(write(tmp_path, a=[], b=[]), ABOUT, tmp_path, has=set(), only="07", quiet=True)
