"""Notebooks come from their sources alone, and the check says where they don't."""

from __future__ import annotations

import shutil
from pathlib import Path

import nbformat
import pytest

from cxlib.contract import TABLES
from cxlib.errors import CxError, CxLookupError, CxValueError
from cxlib.report import sources, store

HERE = Path(__file__).parent / "notebooks"
HAS = {"touchpoints"}
SMALL = """# %% [markdown]
# # What is one and one?
#
# A short notebook that asks one question, answers it by adding up, and has just words enough for its lines.

# %% tags=["parameters"]
STUDY = "demo"

# %% [markdown]
# ## The sum
#
# It is worked out here, in one line, and compared whenever the notebook is tested again.

# %% tags=["checked"]
1 + 1
"""


@pytest.fixture
def notebooks(tmp_path: Path) -> Path:
    """A folder with the source of one small notebook."""
    (tmp_path / "src" / "cases").mkdir(parents=True)
    (tmp_path / "src" / "00_sum.py").write_text(SMALL, "utf-8")
    return tmp_path


@pytest.fixture(scope="module")
def stored_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small notebook with its checked output stored; not to be written to."""
    folder = tmp_path_factory.mktemp("stored")
    (folder / "src").mkdir()
    (folder / "src" / "00_sum.py").write_text(SMALL, "utf-8")
    store(folder, HAS, quiet=True)
    return folder


@pytest.fixture
def stored(stored_once: Path, tmp_path: Path) -> Path:
    """A copy of the stored notebook and its source."""
    shutil.copytree(stored_once, tmp_path / "stored")
    return tmp_path / "stored"


def wrong(notebooks: Path) -> str:
    return "\n".join(str(finding) for finding in sources.check(notebooks, HAS) if finding.wrong)


def edit(notebooks: Path, old: str, new: str) -> None:
    source = notebooks / "src" / "00_sum.py"
    source.write_text(source.read_text("utf-8").replace(old, new), "utf-8")


def test_the_same_source_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        shutil.copytree(HERE, tmp_path / name)
        sources.regenerate(tmp_path / name)
    for path in (tmp_path / "a").glob("*.ipynb"):
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes()


def test_a_new_cell_leaves_the_ids_of_the_others_alone(notebooks: Path) -> None:
    before = [cell.id for cell in sources.generate(notebooks / "src" / "00_sum.py").cells]
    edit(notebooks, "# %% [markdown]\n# ## The sum", "# %%\nnew = 1\n\n# %% [markdown]\n# ## The sum")
    after = [cell.id for cell in sources.generate(notebooks / "src" / "00_sum.py").cells]
    assert len(after) == len(before) + 1
    assert [name for name in after if name in before] == before


def test_equal_cells_get_different_ids(notebooks: Path) -> None:
    edit(notebooks, "1 + 1\n", "1 + 1\n\n# %%\n1 + 1\n")
    ids = [cell.id for cell in sources.generate(notebooks / "src" / "00_sum.py").cells]
    assert len(set(ids)) == len(ids)


def test_every_generated_notebook_is_valid(notebooks: Path) -> None:
    for path in sources.regenerate(notebooks):
        nbformat.validate(nbformat.read(path, 4))


def test_cases_go_to_a_folder_of_their_own(notebooks: Path) -> None:
    shutil.copy(notebooks / "src" / "00_sum.py", notebooks / "src" / "cases" / "shop.py")
    assert notebooks / "cases" / "shop.ipynb" in sources.regenerate(notebooks)


def test_an_unknown_tag_is_an_error_that_names_the_cell_and_the_tag_meant(notebooks: Path) -> None:
    edit(notebooks, '"checked"', '"cheked"')
    with pytest.raises(
        CxValueError, match=r"00_sum, cell 3 \(1 \+ 1\): unknown tag `cheked`. Did you mean `checked`"
    ):
        sources.generate(notebooks / "src" / "00_sum.py")
    assert "unknown tag `cheked`" in wrong(notebooks)


def test_a_section_may_need_each_table_of_the_contract_or_the_truth() -> None:
    assert {f"needs-{table}" for table in TABLES} | {
        "needs-answers",
        "needs-conversion",
        "needs-persons",
        "needs-truth",
    } == set(sources.NEEDS)


def test_only_checked_cells_keep_an_output_and_the_check_is_then_content(stored: Path) -> None:
    cells = nbformat.read(stored / "00_sum.ipynb", 4).cells
    assert cells[3].outputs[0].data["text/plain"] == "2"
    assert cells[1].outputs == []
    assert "execution" not in cells[3].metadata
    assert [str(finding) for finding in sources.check(stored, HAS)] == []


def test_storing_twice_gives_the_same_bytes(stored: Path) -> None:
    first = (stored / "00_sum.ipynb").read_bytes()
    store(stored, HAS, quiet=True)
    assert (stored / "00_sum.ipynb").read_bytes() == first


def test_regenerating_keeps_the_stored_outputs_of_unchanged_cells_only(stored: Path) -> None:
    sources.regenerate(stored)
    assert wrong(stored) == ""
    edit(stored, "1 + 1\n", "1 + 2\n")
    sources.regenerate(stored)
    assert "is checked but stores no output" in wrong(stored)


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("one and one", "two and two", "differs from its source"),
        ("1 + 1\n", "1 + 1;\n", "ends in `;`"),
        ('["checked"]', '["checked", "product"]', "is tagged for product but is no `claim`"),
        ("1 + 1\n", "\n".join(f"x{i} = {i}" for i in range(16)) + "\n", "has 16 lines"),
        ("1 + 1\n", "\n".join(f"x{i} = {i}" for i in range(12)) + "\n", "the median code cell has 6.5 lines"),
        ('tags=["parameters"]', "", "has 0 cells tagged `parameters`"),
        ("# # What", "# What", "does not begin with a title"),
    ],
)
def test_the_check_finds(stored: Path, old: str, new: str, says: str) -> None:
    edit(stored, old, new)
    assert says in wrong(stored)


def test_the_check_finds_notebooks_edited_by_hand_missing_or_without_source(stored: Path) -> None:
    book = stored / "00_sum.ipynb"
    book.write_text(book.read_text("utf-8").replace("1 + 1", "1 + 3"), "utf-8")
    assert "differs from its source" in wrong(stored)
    shutil.move(book, stored / "stray.ipynb")
    assert "00_sum: has no notebook yet" in wrong(stored)
    assert "stray: has no source" in wrong(stored)


def test_a_notebook_that_was_opened_in_jupyterlab_and_saved_is_not_called_different(stored: Path) -> None:
    book = nbformat.read(stored / "00_sum.ipynb", 4)
    book.metadata.kernelspec.display_name = "Python 3 (ipykernel)"
    book.metadata.language_info |= {"version": "3.11.7", "file_extension": ".py", "mimetype": "text/x-python"}
    sources.write(stored / "00_sum.ipynb", sources.dumps(book))
    assert wrong(stored) == ""


def test_an_output_in_a_cell_that_is_not_checked_is_found(stored: Path) -> None:
    book = nbformat.read(stored / "00_sum.ipynb", 4)
    book.cells[1].outputs = [nbformat.v4.new_output("stream", text="a figure")]
    sources.write(stored / "00_sum.ipynb", sources.dumps(book))
    assert "stores an output but is not tagged `checked`" in wrong(stored)


def test_what_the_study_lacks_is_neither_run_nor_missed(notebooks: Path) -> None:
    edit(notebooks, "# %% [markdown]\n# ## The sum", '# %% [markdown] tags=["needs-surveys"]\n# ## The sum')
    edit(notebooks, "1 + 1", "1 / 0")
    store(notebooks, HAS, quiet=True)
    assert wrong(notebooks) == ""
    with pytest.raises(CxError, match="ZeroDivisionError"):
        store(notebooks, {*HAS, "surveys"}, quiet=True)


def test_too_few_words_are_advice_and_nothing_wrong(notebooks: Path) -> None:
    edit(notebooks, "1 + 1\n", "1 + 1\n\n# %%\na = 1\nb = 2\nc = 3\nd = 4\n")
    sources.regenerate(notebooks)
    advice = [str(finding) for finding in sources.check(notebooks, HAS) if not finding.wrong]
    assert "words a line of code, not 10 to 25" in advice[0]


def test_a_failing_cell_stores_nothing(stored: Path) -> None:
    before = (stored / "00_sum.ipynb").read_bytes()
    edit(stored, "1 + 1", "1 / 0")
    with pytest.raises(CxError, match="ZeroDivisionError"):
        store(stored, HAS, quiet=True)
    assert (stored / "00_sum.ipynb").read_bytes() == before


def test_without_sources_the_error_says_where_to_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sources, "__file__", str(tmp_path / "a" / "b" / "sources.py"))
    with pytest.raises(CxLookupError, match="in a clone of the project"):
        sources.folder()
