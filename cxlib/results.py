"""What every result shares: a whole table for code, a careful display for people.

A result is a small frozen dataclass. `table()` is complete; what is *shown* hides every row that
rests on fewer than `MINIMUM` customers, because a small cell can point at a person.
"""

from __future__ import annotations

import html
import os
from dataclasses import dataclass

import numpy as np
import pandas as pd

MINIMUM = 10
"""Customers a displayed row must rest on; the environment variable CXLIB_MINIMUM overrides it."""


def minimum() -> int:
    """The number of customers below which a row is not displayed."""
    return int(os.environ.get("CXLIB_MINIMUM", MINIMUM))


class Claim(str):
    """One generated sentence about a study: the line a reader takes away from a section.

    >>> Claim("Half of the journeys end in the cart.")
    Half of the journeys end in the cart.
    """

    def __repr__(self) -> str:
        return str(self)

    def _repr_markdown_(self) -> str:
        return f"**{html.escape(str(self), quote=False)}**"


@dataclass(frozen=True)
class Result:
    """Base of all results: `table()` whole, display with small cells suppressed."""

    def table(self) -> pd.DataFrame:
        """The result as a frame: keys first, then estimate, low, high, n."""
        raise NotImplementedError

    def claim(self) -> Claim:
        """The sentence this result supports."""
        raise NotImplementedError

    def _repr_mimebundle_(self, **kwargs: object) -> dict[str, str]:
        return bundle(self.table())


@dataclass(frozen=True)
class Summary:
    """The few lines a decision maker reads, each generated from a result."""

    lines: tuple[str, ...]

    def _repr_markdown_(self) -> str:
        return "\n".join(f"- {html.escape(line, quote=False)}" for line in self.lines)

    def __repr__(self) -> str:
        return "\n".join(self.lines)


def bundle(table: pd.DataFrame, rows: int = 12) -> dict[str, str]:
    """What a notebook shows of a table: HTML, text and CSV, all with small cells suppressed."""
    kept = visible(table)
    return {"text/html": show(table, rows), "text/csv": kept.to_csv(index=False), "text/plain": _plain(kept, rows)}


def visible(table: pd.DataFrame) -> pd.DataFrame:
    """The rows that may be shown: those resting on at least `minimum()` customers, or on none."""
    sizes = [name for name in ("customers", "n", "count") if name in table]
    kept = pd.Series(True, index=table.index)
    for name in sizes:
        kept &= (table[name] >= minimum()) | ((table[name] == 0) & (name == "count"))
    return table[kept]


def show(table: pd.DataFrame, rows: int = 12) -> str:
    """HTML of a result's table: at most `rows` rows, escaped, small cells suppressed, and said so.

    >>> "script&gt;" in show(pd.DataFrame({"comment": ["<script>"], "n": [50]}))
    True
    """
    kept = visible(table)
    notes = []
    if len(kept) < len(table):
        notes.append(f"{len(table) - len(kept)} rows on fewer than {minimum()} are not shown")
    if len(kept) > rows:
        notes.append(f"the first {rows} of {len(kept)} rows; .table() has them all")
    body = "".join(
        "<tr>" + "".join(_cell(value) for value in record) + "</tr>"
        for record in kept.head(rows).itertuples(index=False, name=None)
    )
    head = "".join(f'<th scope="col">{html.escape(nice(c))}</th>' for c in table.columns)
    note = f'<p class="table-note">{"; ".join(notes)}.</p>' if notes else ""
    return f'<table class="result"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{note}'


def _plain(table: pd.DataFrame, rows: int) -> str:
    text = table.head(rows).map(lambda value: number(value) if isinstance(value, float) else value)
    return text.to_string(index=False)


def _cell(value: object) -> str:
    if value is None or value is pd.NaT or (isinstance(value, float) and np.isnan(value)):
        return '<td class="empty">-</td>'
    if isinstance(value, (bool, np.bool_)):
        return f"<td>{'yes' if value else 'no'}</td>"
    if isinstance(value, (int, np.integer)):
        return f'<td class="number">{value:,}</td>'
    if isinstance(value, (float, np.floating)):
        return f'<td class="number">{number(float(value))}</td>'
    return f"<td>{html.escape(str(value))}</td>"


def number(value: float) -> str:
    """A number as people read it: three significant digits under 100, thousands separated above.

    >>> number(0.12345), number(31.04), number(12345.6)
    ('0.123', '31.0', '12,346')
    """
    if not np.isfinite(value):
        return "-"
    size = abs(value)
    if size >= 100 or value == 0:
        return f"{value:,.0f}"
    return f"{value:.1f}" if size >= 10 else f"{value:.2f}" if size >= 1 else f"{value:.3f}"


def percent(value: float) -> str:
    """A share as people read it.

    >>> percent(0.0794), percent(0.97)
    ('7.9 %', '97.0 %')
    """
    return "-" if not np.isfinite(value) else f"{100 * value:.1f} %"


def nice(name: object) -> str:
    """A name for people: `web_product_page` becomes `web product page`."""
    return str(name).replace("_", " ")
