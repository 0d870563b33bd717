"""What the cells of a notebook say of themselves: tags, headings, and sections with their needs.

A markdown cell tagged `needs-surveys` opens a section (to the next heading of its level or above)
that is of no use where a study has no surveys. The caller says what there is, as a set of names:
tables, `table.column`, `table.column=value`, "truth". Nothing here knows a study.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass

import nbformat
from nbformat import NotebookNode

TEAMS = ("marketing", "product", "service", "finance")
"""Tags that say whom a claim concerns: the index gathers claims by team."""


def tags(cell: NotebookNode) -> tuple[str, ...]:
    """The tags of a cell, in the order they were written."""
    return tuple(cell.metadata.get("tags", ()))


def first_line(cell: NotebookNode) -> str:
    """How a message names a cell: its first line, shortened."""
    line = next((text.strip() for text in cell.source.splitlines() if text.strip()), "empty")
    return line if len(line) <= 60 else f"{line[:57]}..."


def heading(cell: NotebookNode) -> tuple[int, str]:
    """Level and title of a markdown cell's first heading; level 7 where it has none."""
    found = re.search(r"^(#{1,6})\s+(.+?)\s*#*$", cell.source, re.M) if cell.cell_type == "markdown" else None
    return (len(found[1]), re.sub(r"[*_`]", "", found[2])) if found else (7, "")


@dataclass(frozen=True)
class LeftOut:
    """A section that this study cannot fill: its title and the tables it lacks."""

    title: str
    needs: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.title} ({self.reason})"

    @property
    def reason(self) -> str:
        """What is missing, in words."""
        return f"needs {' and '.join(_said(need) for need in self.needs)}"


def _said(need: str) -> str:
    table, _, column = need.partition(".")
    if "=" in column:
        return f"{column.replace('=', ' ')} in {table}"
    if column:
        return f"the column {column} in {table}"
    others = {
        "truth": "a planted truth",
        "conversion": "touchpoints known to be conversions",
        "answers": "survey answers",
        "persons": "touchpoints, orders or answers of customers",
    }
    return others.get(need, f"the table {need}")


def fit(
    book: NotebookNode, has: Collection[str], *, whole: bool = False
) -> tuple[NotebookNode, tuple[LeftOut, ...]]:
    """A copy without the sections that `has` cannot fill, and what they were.

    Outputs and exercises go too, unless `whole`.
    """
    copy = nbformat.from_dict(dict(book))
    left_out, cells, closes = [], [], 7
    for cell in book.cells:
        level = heading(cell)[0]
        if level <= closes:
            closes = 7
        if closes < 7:
            continue
        lacks = tuple(tag[6:] for tag in tags(cell) if tag.startswith("needs-") and tag[6:] not in has)
        if lacks or ("exercise" in tags(cell) and not whole):
            if level < 7:
                closes = level
                left_out += [LeftOut(heading(cell)[1], lacks)] if lacks else []
            continue
        cells.append(nbformat.from_dict(dict(cell)))
        if cell.cell_type == "code" and not whole:
            cells[-1].outputs, cells[-1].execution_count = [], None
    copy.cells = cells
    return copy, tuple(left_out)
