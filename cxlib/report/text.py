"""Text to safe HTML: markdown with MathML, and the HTML of outputs cleaned by an allow-list.

Whatever a notebook shows may hold what a customer typed. Markdown is rendered with raw HTML
escaped; HTML outputs keep known tags and attributes only, and load nothing.
"""

from __future__ import annotations

import base64
import csv
import html
import io
import re
from html.parser import HTMLParser

import mistune
from latex2mathml.converter import convert
from markupsafe import Markup
from mistune.plugins.math import math
from mistune.plugins.table import table

from cxlib.errors import CxValueError

TAGS = frozenset(
    re.findall(
        r"\w+",
        "table thead tbody tfoot tr th td caption p div span br hr strong b em i small sub sup code pre kbd "
        "ul ol li dl dt dd h2 h3 h4 h5 a img figure figcaption details summary blockquote abbr mark meter",
    )
)
VOID = ("br", "hr", "img")
SILENT = ("script", "style", "template", "noscript", "iframe", "object", "svg", "math", "title", "textarea")
ATTRIBUTES = ("class", "scope", "colspan", "rowspan", "title", "alt", "href", "src", "role", "aria-label")
METER = ("min", "max", "value", "low", "high", "optimum")
NUMBER = re.compile(r"^(< )?[+\-−±]?[$€£]?\d[\d,.]*( ?%)?( to [+\-−]?\d[\d,.]*( ?%)?)?$")
NO_HEAD = re.compile(r"<thead>\s*<tr>(\s*<th[^>]*>\s*</th>)+\s*</tr>\s*</thead>")


class Contents(list[tuple[int, str, str]]):
    """The headings met so far: level, id, title as HTML; ids are made unique here."""

    def name(self, title: str) -> str:
        """A new id for a heading, made of its words."""
        words = html.unescape(re.sub(r"<[^>]+>", "", title)).lower()
        slug = re.sub(r"[^\w]+", "-", words).strip("-") or "section"
        taken = {name for _, name, _ in self}
        return next(name for i in range(1000) if (name := f"{slug}-{i}" if i else slug) not in taken)


class _Renderer(mistune.HTMLRenderer):
    """HTML whose headings have ids, whose formulas are MathML, and whose pictures are inside the page."""

    def __init__(self, contents: Contents | None) -> None:
        super().__init__(escape=True)
        self.contents = contents

    def heading(self, text: str, level: int, **attrs: object) -> str:
        level = max(level, 2)  # the page has one title
        if self.contents is None:  # an output's heading must not enter the contents list
            return f'<p class="heading">{text}</p>\n'
        name = self.contents.name(text)
        self.contents.append((level, name, text))
        return f'<h{level} id="{name}">{text}</h{level}>\n'

    def text(self, text: str) -> str:
        return _typeset(html.unescape(text))  # an entity is a character, as CommonMark says

    def image(self, text: str, url: str, title: str | None = None) -> str:
        if not url.startswith("data:image/"):
            raise CxValueError(f"the picture {url} would load from outside the page; draw it in a cell")
        if not text.strip():
            raise CxValueError("a picture in markdown has no alt text; write ![what it shows](...)")
        return str(super().image(text, url, title))


def markdown(source: str, contents: Contents | None = None, maths: bool = True) -> Markup:
    """HTML of a markdown text; headings are added to `contents`, `maths=False` takes $ for money.

    >>> print(markdown("A <b>share</b> of *all*"))
    <p>A &lt;b&gt;share&lt;/b&gt; of <em>all</em></p>
    <BLANKLINE>
    """
    renderer = _Renderer(contents)
    parser = mistune.Markdown(renderer=renderer, plugins=[table, math] if maths else [table])
    renderer.register("inline_math", lambda _, tex: _mathml(tex, "inline"))
    renderer.register("block_math", lambda _, tex: f"<p>{_mathml(tex, 'block')}</p>\n")
    body = NO_HEAD.sub("", str(parser(source)))
    body = body.replace("<table>", '<div class="table" tabindex="0"><table>')
    return Markup(body.replace("</table>", "</table></div>"))


def _typeset(text: str) -> str:
    """Escaped text in which a date, or a number and its unit, stays on one line; a search finds it as typed."""
    text = html.escape(text.replace("\xa0%", " %"), quote=False)
    return re.sub(r"\b(n = [\d,]+|[\d,.]+ %|\d{4}-\d\d-\d\d\b)", r'<span class="one">\1</span>', text)


def _mathml(tex: str, display: str) -> str:
    try:
        return str(convert(tex.strip(), display=display))
    except Exception:  # latex2mathml has no common error; the formula is then shown as written
        return f"<code>{html.escape(tex)}</code>"


class Cleaner(HTMLParser):
    """HTML of an output, cleaned, with the rows of its tables read on the way.

    An empty heading cell becomes a plain one (a reader for the blind would announce nothing), and
    columns of numbers are marked so that they align on the right.
    """

    def __init__(self, source: str) -> None:
        super().__init__(convert_charrefs=True)
        self.out: list[str] = []
        self.rows: list[list[str]] = []
        self.pictures_without_alt = 0
        self._silent = 0
        self._open: list[str] = []
        self._cell: int | None = None
        self._columns: list[list[tuple[int, str]]] = []  # of the table being read: place in `out`, text
        self.feed(source)
        self.close()
        self.out += [f"</{tag}>" for tag in reversed(self._open)]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._silent += tag in SILENT
        if self._silent or tag not in TAGS:
            return
        if tag == "table":
            self._columns = []
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self._cell = len(self.out)
            if not self.rows:
                self.rows.append([])
            self.rows[-1].append("")
        kept = {key: value or "" for key, value in attrs if _harmless(tag, key, value or "")}
        if tag == "img":
            self.pictures_without_alt += not kept.get("alt", "").strip()
        written = "".join(f' {key}="{html.escape(value)}"' for key, value in kept.items())
        self.out.append(f"<{tag}{written}>")
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag in SILENT:
            self._silent = max(self._silent - 1, 0)
            return
        if self._silent or tag in VOID or tag not in self._open:
            return
        while self._open:
            inner = self._open.pop()
            self._end(inner)
            if inner == tag:
                break

    def _end(self, tag: str) -> None:
        if tag in ("td", "th") and self._cell is not None:
            text, column = self.rows[-1][-1].strip(), len(self.rows[-1])
            if tag == "th" and not text:
                self.out[self._cell] = "<td" + self.out[self._cell][3:]
                tag = "td"
            self._columns += [[] for _ in range(column - len(self._columns))]
            self._columns[column - 1].append((self._cell, text))
            self._cell = None
        self.out.append(f"</{tag}>")
        if tag == "table":
            for cells in self._columns:
                self._align(cells)

    def _align(self, cells: list[tuple[int, str]]) -> None:
        """Mark a column of numbers, its heading with it."""
        values = [
            text for index, text in cells if self.out[index].startswith("<td") and text not in ("", "-")
        ]
        if values and all(NUMBER.match(text) for text in values):
            for index, _ in cells:
                bare = re.sub(r' class="[^"]*"', "", self.out[index])
                self.out[index] = bare[:3] + ' class="number"' + bare[3:]

    def handle_data(self, data: str) -> None:
        if self._silent:
            return
        data = data.replace("\xa0%", " %")
        self.out.append(_typeset(data) if self._cell is None else html.escape(data, quote=False))
        if self._cell is not None:
            self.rows[-1][-1] += data

    @property
    def html(self) -> Markup:
        """The cleaned HTML."""
        return Markup("".join(self.out))

    @property
    def csv(self) -> str:
        """The table as CSV: no thousands marks, and no text that a spreadsheet takes for a formula."""
        stream = io.StringIO()
        rows = ([_plain(cell) for cell in row] for row in self.rows if row)
        csv.writer(stream, lineterminator="\n").writerows(rows)
        return stream.getvalue()


def _harmless(tag: str, key: str, value: str) -> bool:
    if key == "src":
        return tag == "img" and value.startswith("data:image/")
    if key == "href":
        return bool(re.match(r"(https?://|mailto:|#|[\w./-]+\.html)", value))
    return key in ATTRIBUTES or (tag == "meter" and key in METER)


def _plain(cell: str) -> str:
    text = " ".join(cell.split())
    if NUMBER.match(text):
        return text.replace(",", "").replace("−", "-")
    return f"'{text}" if text[:1] in ("=", "+", "-", "@") and text != "-" else text


def data_uri(mime: str, content: str | bytes) -> str:
    """A file as a link that loads nothing.

    >>> data_uri("text/csv", "a")
    'data:text/csv;base64,YQ=='
    """
    raw = content.encode() if isinstance(content, str) else content
    return f"data:{mime};base64,{base64.b64encode(raw).decode()}"
