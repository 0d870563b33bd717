"""Notebooks from their only edited form: one py:percent file a notebook.

`notebooks/src/03_journeys.py` becomes `notebooks/03_journeys.ipynb`, `src/cases/x.py` becomes
`cases/x.ipynb`. The result depends on the source alone: cell ids are made from the cell's own first
words, no execution metadata is kept, and only cells tagged `checked` hold an output.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import jupytext
import nbformat
from nbformat import NotebookNode

from cxlib.errors import CxLookupError, CxValueError, did_you_mean
from cxlib.report.cells import TEAMS, first_line, fit, tags

TABLES = ("touchpoints", "catalog", "customers", "identities", "surveys", "orders", "exposures")
NEEDS = tuple(f"needs-{what}" for what in (*TABLES, "answers", "conversion", "persons", "truth"))
"""What a section may need; a single column too, as in `needs-orders.promised_ts`, or a value of the columns
that name things, as in `needs-exposures.experiment=app_nudge`."""
SHOWN = ("summary", "claim", "thumbnail", "hide-code", "exercise")
TAGS = ("parameters", *SHOWN, *TEAMS, "checked", "nbval-skip", *NEEDS)
"""Every tag there is.

`summary`: the lines on top of the page and on the index, the most important first, a last one that
begins `Next: ` for what to do. `claim`: the sentence a section is read for; a team beside it
(`marketing`, `product`, `service`, `finance`) puts it under *For your team* on the index. `thumbnail`:
the figure the index shows. `nbval-skip`: cells of a section that the demo cannot fill.
"""
MEDIAN_LINES, MOST_LINES = 5, 15
WORDS_A_LINE = (10, 25)
WORD = re.compile(r"\S*\w\S*")  # marks that stand alone, as in tables and headings, are no words
KERNEL = {"display_name": "Python 3", "language": "python", "name": "python3"}


@dataclass(frozen=True)
class Finding:
    """Something about one notebook: `wrong` fails a check, otherwise it is advice."""

    notebook: str
    text: str
    wrong: bool = True

    def __str__(self) -> str:
        return f"{self.notebook}: {self.text}"


def folder() -> Path:
    """The project's `notebooks/`: in the working directory, else beside the installed package.

    Raises `CxLookupError` where there is none (a package installed without its clone).
    """
    for root in (Path.cwd(), Path(__file__).resolve().parents[2]):
        if (root / "notebooks" / "src").is_dir():
            return root / "notebooks"
    raise CxLookupError("There is no folder `notebooks/src` here. Run this in a clone of the project.")


def sources(notebooks: Path) -> list[tuple[Path, Path]]:
    """Pairs of a source and the notebook it makes, chapters first, then cases, by name."""
    src = notebooks / "src"
    found = [*sorted(src.glob("*.py")), *sorted((src / "cases").glob("*.py"))]
    return [(path, notebooks / path.relative_to(src).with_suffix(".ipynb")) for path in found]


def generate(source: Path) -> NotebookNode:
    """The notebook of one py:percent source: no outputs, fixed ids.

    Raises `CxValueError` for a tag that is not in `TAGS`.
    """
    read = jupytext.reads(source.read_text("utf-8"), fmt="py:percent")
    cells, seen = [], Counter[str]()
    for number, cell in enumerate(read.cells):
        known_tags(source.stem, number, cell)
        words = " ".join(cell.source.split()[:8])
        seen[words] += 1
        key = f"{source.stem}|{cell.cell_type}|{words}|{seen[words]}"
        node = {
            "cell_type": cell.cell_type,
            "id": hashlib.sha256(key.encode()).hexdigest()[:12],
            "metadata": {"tags": list(tags(cell))} if tags(cell) else {},
            "source": cell.source,
        }
        if cell.cell_type == "code":
            node |= {"execution_count": None, "outputs": []}
        cells.append(nbformat.from_dict(node))
    metadata = {"kernelspec": dict(KERNEL), "language_info": {"name": "python"}}
    book = nbformat.v4.new_notebook(cells=cells, metadata=metadata)
    book.nbformat_minor = 5
    return book


def known_tags(notebook: str, number: int, cell: NotebookNode) -> None:
    """Raise `CxValueError`, naming the cell, for a tag outside the allowed list."""
    for tag in tags(cell):
        if tag not in TAGS and tag.partition(".")[0] not in NEEDS:
            raise CxValueError(
                f"{notebook}, cell {number} ({first_line(cell)}): unknown tag `{tag}`."
                f"{did_you_mean(tag, TAGS)} Allowed: {', '.join(TAGS)}."
            )


def write(path: Path, text: str) -> None:
    """Replace a file's text whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_text(text, "utf-8")
    temporary.replace(path)


def dumps(book: NotebookNode) -> str:
    """The notebook as it is stored."""
    return str(nbformat.writes(book)).rstrip("\n") + "\n"


def regenerate(notebooks: Path) -> list[Path]:
    """Write every notebook from its source; stored outputs of unchanged checked cells are kept."""
    made = [(target, generate(source), source) for source, target in sources(notebooks)]
    for target, book, _ in made:
        kept = {cell.id: cell for cell in nbformat.read(target, 4).cells} if target.exists() else {}
        for cell in book.cells:
            old = kept.get(cell.id)
            if "checked" in tags(cell) and old is not None and old.source == cell.source:
                cell.outputs, cell.execution_count = old.outputs, old.execution_count
        write(target, dumps(book))
    return [target for target, _, _ in made]


def keep_checked(generated: NotebookNode, executed: NotebookNode) -> None:
    """Give a generated notebook the outputs of its checked cells, and no others."""
    outputs = {cell.id: cell for cell in executed.cells}
    for cell in generated.cells:
        if cell.cell_type == "code" and "checked" in tags(cell) and cell.id in outputs:
            cell.outputs = [without_timing(output) for output in outputs[cell.id].outputs]
            cell.execution_count = 1  # a fixed number: a new cell above must not change this one


def without_timing(output: NotebookNode) -> NotebookNode:
    """An output as it is stored: no picture (nbval skips them), no run number."""
    output = nbformat.from_dict(dict(output))
    if "data" in output:
        output.data = {mime: value for mime, value in output.data.items() if not mime.startswith("image/")}
    if "execution_count" in output:
        output.execution_count = 1
    return output


def check(notebooks: Path, has: Collection[str]) -> list[Finding]:
    """Everything that keeps notebooks and sources apart, and the rules of the house.

    `has` names what the study has that notebooks are stored with; see `cxlib.report.cells`. Wrong: a notebook that its source would not make, one without a source, a checked cell without
    output, a cell of more than 15 lines, a median over 5, a line that ends in `;`, not exactly one
    parameters cell. Advice: words of text for a line of code outside 10 to 25.
    """
    findings, made = [], set()
    for source, target in sources(notebooks):
        made.add(target)
        try:
            book = generate(source)
        except CxValueError as error:
            findings.append(Finding(source.stem, str(error).split(", ", 1)[1]))
            continue
        if not target.exists():
            findings.append(Finding(source.stem, "has no notebook yet; run `cx notebooks`"))
        else:
            stored = nbformat.read(target, 4)
            findings += _drift(source.stem, book, stored)
            findings += _unstored(source.stem, stored, has) if target.parent == notebooks else []
        findings += _rules(source.stem, book)
    for stray in sorted({*notebooks.glob("*.ipynb"), *notebooks.glob("cases/*.ipynb")} - made):
        findings.append(Finding(stray.stem, "has no source in notebooks/src; edit sources only"))
    return findings


def _unstored(name: str, stored: NotebookNode, has: Collection[str]) -> Iterator[Finding]:
    for cell in fit(stored, has, whole=True)[0].cells:
        if "checked" in tags(cell) and cell.cell_type == "code" and not cell.outputs:
            what = f"`{first_line(cell)}` is checked but stores no output"
            yield Finding(name, f"{what}; run `cx notebooks --run`")


def _drift(name: str, book: NotebookNode, stored: NotebookNode) -> Iterator[Finding]:
    for cell in stored.cells:
        if cell.get("outputs") and "checked" not in tags(cell):
            yield Finding(name, f"`{first_line(cell)}` stores an output but is not tagged `checked`")
    bare = nbformat.from_dict(dict(stored))
    bare.cells = [nbformat.from_dict(dict(cell)) for cell in stored.cells]
    bare.metadata = book.metadata  # JupyterLab rewrites it when a notebook is merely opened
    for cell in bare.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    if dumps(bare) != dumps(book):
        yield Finding(name, "differs from its source; edit the source, then run `cx notebooks --run`")


def _rules(name: str, book: NotebookNode) -> Iterator[Finding]:
    code = [cell for cell in book.cells if cell.cell_type == "code"]
    lines = [_lines(cell.source) for cell in code]
    for cell, count in zip(code, lines, strict=True):
        what = f"`{first_line(cell)}`"
        if count > MOST_LINES:
            yield Finding(name, f"{what} has {count} lines; what needs over {MOST_LINES} belongs in cxlib")
        if cell.source.rstrip().endswith(";"):
            yield Finding(name, f"{what} ends in `;`, which nbval cannot check; write `_ = ...`")
        if "claim" not in tags(cell) and (teams := [tag for tag in tags(cell) if tag in TEAMS]):
            yield Finding(name, f"{what} is tagged for {' and '.join(teams)} but is no `claim`")
    if lines and median(lines) > MEDIAN_LINES:
        yield Finding(name, f"the median code cell has {median(lines):g} lines, more than {MEDIAN_LINES}")
    parameters = sum("parameters" in tags(cell) for cell in code)
    if parameters != 1:
        yield Finding(name, f"has {parameters} cells tagged `parameters`, not one")
    if not book.cells or not re.match(r"#\s+\S", book.cells[0].source):
        yield Finding(name, "does not begin with a title (`# ...` in a markdown cell)")
    words = sum(len(WORD.findall(cell.source)) for cell in book.cells if cell.cell_type == "markdown")
    rate, (least, most) = words / max(sum(lines), 1), WORDS_A_LINE
    if not least <= rate <= most:
        yield Finding(name, f"has {rate:.0f} words a line of code, not {least} to {most}", wrong=False)


def _lines(source: str) -> int:
    return sum(bool(line.strip()) and not line.strip().startswith("#") for line in source.splitlines())
