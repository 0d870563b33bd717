"""One executed notebook as one self-contained page.

A page holds everything: styles, pictures, tables as CSV links. It has no script, and a
content-security policy forbids any load. What is typed by people is escaped. A figure without alt
text is refused. The same notebook and study give the same bytes: no date, no random id.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import version
from itertools import zip_longest
from pathlib import Path

from markupsafe import Markup
from nbconvert.exporters.templateexporter import TemplateExporter
from nbconvert.filters import Highlight2HTML, strip_ansi
from nbformat import NotebookNode

from cxlib.errors import CxValueError
from cxlib.report.cells import TEAMS, LeftOut, first_line, heading, tags
from cxlib.report.text import Cleaner, Contents, data_uri, markdown

PACKAGES = ("cxlib", "ibis-framework", "duckdb", "pandas", "numpy", "scipy", "matplotlib")
WARNED = re.compile(r"^\S.*?:\d+: (\w+Warning: .*?)(\n  .*)?$", re.M)  # where it was raised is of no use here
LINE = re.compile(r"<li>\s*(.*?)\s*</li>", re.S)
IMAGES = ("image/png", "image/jpeg", "image/svg+xml")


@dataclass(frozen=True)
class About:
    """Whom a report is about, and what its numbers rest on: printed at the foot of every page.

    `provenance` is label and text: source, licence, fingerprint, rows. Nothing in it may change
    between two builds of the same study, so no date.
    """

    name: str
    title: str
    provenance: Mapping[str, str] = field(default_factory=dict)

    def lines(self) -> list[tuple[str, str]]:
        """Labels and texts for the foot, the versions that computed the figures last."""
        lines = {label[:1].upper() + label[1:]: text for label, text in self.provenance.items() if text}
        return [*lines.items(), ("Computed with", ", ".join(_versions()))]


@dataclass(frozen=True)
class Told:
    """A claim that concerns some teams: its text as HTML, and the section it stands in."""

    teams: tuple[str, ...]
    text: str
    section: str
    anchor: str


@dataclass
class Page:
    """A finished page, and what the index shows of it; `absent` says why a whole chapter is left out."""

    name: str
    title: str
    html: str = ""
    summary: str = ""
    thumbnail: str = ""
    alt: str = ""
    left_out: tuple[str, ...] = ()
    claims: tuple[Told, ...] = ()
    absent: str = ""
    tables: int = field(default=0, repr=False)

    @property
    def file(self) -> str:
        """The page's file name."""
        return f"{self.name}.html"

    @property
    def chapter(self) -> str:
        """The chapter's number as people say it: `03a_paths` is 3a."""
        found = re.match(r"0*(\d+[a-z]?)_", self.name)
        return found[1] if found else ""

    @property
    def lines(self) -> list[str]:
        """The lines of its summary, as HTML, the most important first."""
        return LINE.findall(self.summary)


def page(
    name: str,
    book: NotebookNode,
    about: About,
    *,
    brief: bool = False,
    left_out: Sequence[LeftOut] = (),
) -> Page:
    """The page of an executed notebook; `brief` leaves the code away.

    Raises `CxValueError` for a figure without alt text, naming the cell.
    """
    book = copy.deepcopy(book)
    made = Page(name, title=name.replace("_", " "), left_out=tuple(str(part) for part in left_out))
    contents, opening = Contents(), None
    for number, cell in enumerate(book.cells):
        try:
            if cell.cell_type == "code":
                cell.metadata["shown"] = _outputs(cell, made, contents)
            elif cell.cell_type == "markdown" and "summary" not in tags(cell):
                if number == 0 and heading(cell)[0] == 1:
                    made.title = heading(cell)[1]
                    opening = markdown(cell.source.partition("\n")[2], contents)
                else:
                    cell.metadata["shown"] = markdown(cell.source, contents)
        except CxValueError as error:
            raise CxValueError(f"{name}, cell {number} (`{first_line(cell)}`): {error}") from None
    body = book.cells[1:] if opening is not None else book.cells
    body = [cell for cell in body if cell.cell_type == "code" or "summary" not in tags(cell)]
    summaries = [cell.metadata.pop("shown") for cell in body if "summary" in tags(cell)]
    made.summary = str(Markup("\n").join(summaries))
    if not brief:
        _fold(body)
    resources = {"page": made, "about": about, "contents": contents, "opening": opening or ""}
    shown = NotebookNode(metadata={}, nbformat=4, nbformat_minor=5, cells=body)
    made.html = _exporter().from_notebook_node(shown, resources)[0]
    return made


def _fold(cells: Sequence[NotebookNode]) -> None:
    """Code goes below the outputs it made, one fold for all cells between two texts."""
    run: list[NotebookNode] = []
    for cell, following in zip_longest(cells, cells[1:]):
        run.append(cell)
        if following is None or following.cell_type != cell.cell_type:
            cell.metadata["code"] = _code(run)
            run = []


def _code(cells: Sequence[NotebookNode]) -> str:
    code = [cell.source for cell in cells if cell.cell_type == "code" and "hide-code" not in tags(cell)]
    return "\n\n".join(source for source in code if source.strip())


def render(template: str, **values: object) -> str:
    """A template of this package, filled."""
    return str(_exporter().environment.get_template(template).render(**values))


def _outputs(cell: NotebookNode, made: Page, contents: Contents) -> Markup:
    return Markup("\n").join(_output(output, cell, made, contents) for output in cell.outputs)


def _output(output: NotebookNode, cell: NotebookNode, made: Page, contents: Contents) -> Markup:
    """An output as HTML: a figure, else a table or other HTML, else markdown, else text."""
    if output.output_type == "stream":
        shown = strip_ansi(output.text).rstrip()
        if output.name == "stderr":
            return Markup('<pre class="warning" tabindex="0">{}</pre>').format(WARNED.sub(r"\1", shown))
        return Markup('<pre class="printed" tabindex="0">{}</pre>').format(shown)
    if output.output_type == "error":
        return Markup('<pre class="warning" tabindex="0">{}: {}</pre>').format(output.ename, output.evalue)
    data = output.data
    for mime in IMAGES:
        if mime in data:
            return _figure(mime, output, cell, made)
    if "text/html" in data:
        return _html(data["text/html"], data.get("text/csv"), made, contents)
    if "text/markdown" in data:
        kind, text = (
            "claim" if "claim" in tags(cell) else "said",
            markdown(data["text/markdown"], maths=False),
        )
        if teams := tuple(tag for tag in tags(cell) if tag in TEAMS):
            _, anchor, section = contents[-1] if contents else (1, "main", Markup.escape(made.title))
            said = re.sub(r"</?(p|strong)>", "", text).strip()
            made.claims += (Told(teams, said, Markup(section).striptags(), anchor),)
        return Markup('<div class="{}">{}</div>').format(kind, text)
    if "text/latex" in data:
        return markdown(data["text/latex"])
    return Markup('<pre class="printed" tabindex="0">{}</pre>').format(data.get("text/plain", ""))


def _figure(mime: str, output: NotebookNode, cell: NotebookNode, made: Page) -> Markup:
    meta = output.get("metadata", {})
    alt = str(meta.get(mime, {}).get("alt") or meta.get("alt") or "").strip()
    if not alt:
        raise CxValueError(
            "the figure has no alt text. Say what it shows: "
            'display(fig, metadata={"image/png": {"alt": "..."}}), or cx.figures.'
        )
    content = output.data[mime]  # SVG is text, the others are base64 already
    base64 = "".join(content.split())
    uri = data_uri(mime, content) if mime == "image/svg+xml" else f"data:{mime};base64,{base64}"
    if not made.thumbnail or "thumbnail" in tags(cell):
        made.thumbnail, made.alt = uri, alt
    return Markup('<figure><img src="{}" alt="{}"></figure>').format(uri, alt)


def _html(source: str, given: str | None, made: Page, contents: Contents) -> Markup:
    clean = Cleaner(source)
    if clean.pictures_without_alt:
        raise CxValueError("a picture in its HTML has no alt text; say what it shows")
    if "<table" not in clean.html:
        return Markup('<div class="said">{}</div>').format(clean.html)
    made.tables += 1
    section = contents[-1][1] if contents else "table"
    name = f"{made.name}-{section[:40].strip('-')}-{made.tables}.csv"
    link = Markup('<a download="{}" href="{}">CSV<span class="unseen"> of table {}</span></a>')
    link = link.format(name, data_uri("text/csv", given or clean.csv), made.tables)
    shown = (
        '<div class="table" role="group" tabindex="0" aria-label="Table {}">{}</div>\n<p class="csv">{}</p>'
    )
    return Markup(shown).format(made.tables, clean.html, link)


@cache
def _exporter() -> TemplateExporter:
    here = Path(__file__).resolve().parent
    exporter = TemplateExporter(
        extra_template_basedirs=[str(here)], template_name="template", template_file="page.html.j2"
    )
    exporter.environment.filters["highlight"] = Highlight2HTML()
    exporter.environment.autoescape = True  # before any template is compiled: text is escaped unless marked
    return exporter


@cache
def _versions() -> list[str]:
    return [f"{package} {version(package)}" for package in PACKAGES]
