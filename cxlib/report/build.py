"""A whole report: every notebook run for one study, its pages, and the index over them.

Nothing is written before everything is built, so a failing cell leaves the last report as it was.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from cxlib.errors import CxLookupError
from cxlib.report import html, overview, run, sources
from cxlib.report.cells import fit
from cxlib.report.html import About, Page, Told
from cxlib.report.sources import write

LEDGER = "report.json"
BAR = "{desc} {bar:24} {n_fmt}/{total_fmt} cells, {elapsed}"


@dataclass(frozen=True)
class Built:
    """Where a report stands, which sections are not in it (chapter and reason), and what it says.

    `headlines`: chapter, question and most important finding, of every page with a summary.
    """

    index: Path
    pages: tuple[Path, ...]
    left_out: tuple[str, ...]
    headlines: tuple[tuple[str, str, str], ...]


def build(
    notebooks: Iterable[Path],
    about: About,
    out: Path,
    *,
    has: Collection[str],
    parameters: dict[str, object] | None = None,
    brief: bool = False,
    only: str | None = None,
    quiet: bool = False,
) -> Built:
    """Run copies of `notebooks` and write one page each and `index.html` into `out`.

    `has` names the tables the study has, and "truth" where its truth is planted. `only` picks the
    notebooks whose name begins so; pages of the same study built before are kept beside it.
    Raises `CellFailed` or `CxValueError`, and then writes nothing.
    """
    chosen = _choose(list(notebooks), only)
    fitted = {path.stem: fit(nbformat.read(path, 4), has) for path in chosen}
    absent = [
        Page(name, part.title, absent=part.reason)
        for name, (book, parts) in fitted.items()
        for part in parts[: not book.cells]
    ]
    fitted = {name: fit for name, fit in fitted.items() if fit[0].cells}
    for name, (book, _) in fitted.items():
        run.set_parameters(name, book, parameters or {})
    pages = [
        html.page(name, executed, about, brief=brief, left_out=fitted[name][1])
        for name, executed in _executed({name: book for name, (book, _) in fitted.items()}, quiet)
    ]
    pages = sorted([*pages, *absent], key=lambda page: page.name)
    return _write(pages, about, out, brief=brief, keep=only is not None)


CASES = About("cases", "Cases: the same methods on public data")
"""What the index over the cases is about; each case's own page says what its numbers rest on."""


def case(notebook: Path, about: About, out: Path, *, brief: bool = False, quiet: bool = False) -> Built:
    """Run a copy of one case as it stands; its page stands in `out` beside those of other cases.

    A case names its own data, so nothing is left out of it. Raises as `build` does.
    """
    name, book = notebook.stem, fit(nbformat.read(notebook, 4), ())[0]
    pages = [html.page(name, run, about, brief=brief) for name, run in _executed({name: book}, quiet)]
    return _write(pages, CASES, out, brief=brief, keep=True)


def store(notebooks: Path, has: Collection[str], *, quiet: bool = False) -> list[Path]:
    """Regenerate every notebook and store the outputs of its checked cells, run as it stands.

    `has` as in `build`, for the study the notebooks name. Cases are regenerated but not run: their
    data is not part of the project. Nothing is written where a cell fails.
    """
    made = {target: sources.generate(source) for source, target in sources.sources(notebooks)}
    chapters = {target.stem: target for target in made if target.parent == notebooks}
    books = {name: fit(made[target], has, whole=True)[0] for name, target in chapters.items()}
    for name, executed in _executed(books, quiet):
        sources.keep_checked(made[chapters[name]], executed)
    for target, book in made.items():
        write(target, sources.dumps(book))
    return list(made)


def _executed(books: Mapping[str, NotebookNode], quiet: bool) -> Iterator[tuple[str, NotebookNode]]:
    """Each notebook executed, under one bar: chapter, code cells done, time."""
    from tqdm import tqdm

    total = sum(cell.cell_type == "code" for book in books.values() for cell in book.cells)
    with run.working_folder() as workdir, tqdm(total=total, bar_format=BAR, disable=quiet) as bar:
        for name, book in books.items():
            bar.set_description_str(f"{name:<28.28}")
            yield name, run.execute(name, book, workdir, done=bar.update)
        bar.set_description_str(f"{'all chapters':<28}")


def _choose(notebooks: list[Path], only: str | None) -> list[Path]:
    chosen = [path for path in notebooks if path.stem.startswith(only or "")]
    if not chosen:
        names = ", ".join(path.stem for path in notebooks) or "none; run `cx notebooks`"
        raise CxLookupError(f"No notebook's name begins with `{only or ''}`. There are: {names}.")
    return chosen


def _write(pages: list[Page], about: About, out: Path, *, brief: bool, keep: bool) -> Built:
    """Each file replaced whole, the index last; pages that no longer belong are taken away."""
    old = _ledger(out)
    stamp = {"study": asdict(about), "brief": brief}
    if keep and json.dumps(old.get("stamp")) == json.dumps(stamp):
        made = {page.name for page in pages}
        kept = [_page(entry) for entry in old["pages"] if entry["name"] not in made]
        shown = sorted([*pages, *kept], key=lambda page: page.name)
    else:
        shown = pages
    present = [page for page in pages if not page.absent]
    for page in present:
        write(out / page.file, page.html)
    for entry in old.get("pages", []):
        if entry["name"] not in {page.name for page in shown if not page.absent}:
            (out / f"{entry['name']}.html").unlink(missing_ok=True)
    entries = [{key: value for key, value in asdict(page).items() if key != "html"} for page in shown]
    write(out / LEDGER, json.dumps({"stamp": stamp, "pages": entries}, indent=1))
    write(out / "index.html", overview.index(shown, about))
    left_out = [f"{page.name}: {part}" for page in pages for part in page.left_out or _whole(page)]
    files = tuple(out / page.file for page in present)
    return Built(out / "index.html", files, tuple(left_out), overview.headlines(shown))


def _whole(page: Page) -> tuple[str, ...]:
    return (f"{page.title} ({page.absent})",) if page.absent else ()


def _page(entry: dict) -> Page:
    """A page as the ledger keeps it."""
    claims = tuple(Told(**claim) for claim in entry.get("claims", ()))
    return Page(**{**entry, "claims": claims})


def _ledger(out: Path) -> dict:
    try:
        return dict(json.loads((out / LEDGER).read_text("utf-8")))
    except (OSError, ValueError):
        return {}
