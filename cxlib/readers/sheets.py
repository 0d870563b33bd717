"""Spreadsheets as text: one sheet's column names and its rows, each cell as a file would hold it.

Dates come as ISO 8601, whole numbers without a decimal point, errors such as #N/A as what they say.
"""

from __future__ import annotations

import datetime
import re
import zipfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from cxlib.errors import CxValueError, did_you_mean
from cxlib.readers.mapping import Source
from cxlib.readers.raw import names_of

WHOLE = 1e15  # beyond it a float is no longer sure of its last digit
Rows = Iterator[tuple[int, list[str | None]]]


def sheets(path: Path) -> list[str]:
    """Names of the sheets of a file that hold anything."""
    book = _opened(path)
    names = book.sheet_names
    return [name for name in names if book.get_sheet_by_name(name).height]


def sheet(path: Path, source: Source) -> tuple[tuple[str, ...], Rows]:
    """Names of a sheet's columns, and its records with the row each stands in; blank rows are left out."""
    there, book = sheets(path), _opened(path)
    name, listed = source.sheet or (there or [""])[0], ", ".join(there)
    if not there or (source.sheet and source.sheet not in book.sheet_names):
        hint = did_you_mean(source.sheet, there)
        raise CxValueError(
            f"{path.name} has no sheet `{name}` with anything in it.{hint} It has: {listed or 'none'}."
        )
    if not source.sheet and len(there) > 1:
        raise CxValueError(
            f"{path.name} has several sheets: {listed}. Write `sheet: {name}`, and a source for each."
        )
    cells = [
        [_text(value, source.decimal) for value in row]
        for row in book.get_sheet_by_name(name).to_python(skip_empty_area=False)
    ]
    for (row, column), said in _errors(path, book.sheet_names.index(name)).items():
        cells[row][column] = said
    names = source.names or names_of(
        [[c or "" for c in row] for row in cells[: source.header]], source.joined
    )
    width = max(map(len, cells), default=0)
    if len(names) != width:
        raise CxValueError(f"{path.name} has {width} columns; `names` lists {len(names)}. Name them all.")
    return names, ((i, row) for i, row in enumerate(cells, start=1) if i > source.header and any(row))


def _opened(path: Path) -> Any:
    import python_calamine

    try:
        return python_calamine.CalamineWorkbook.from_path(str(path))
    except Exception as error:  # the library has a root for its errors, and others beside it
        first = (str(error) or type(error).__name__).splitlines()[0].rstrip(".")
        raise CxValueError(f"{path.name} cannot be read: {first}. Save it as .xlsx, or as CSV.") from error


def _text(value: Any, decimal: str) -> str | None:
    """A cell as text; a number with the decimal sign that the numbers written as text have there."""
    if value is None or value == "":
        return None
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        whole = value.is_integer() and abs(value) < WHOLE
        return str(int(value)) if whole else str(value).replace(".", decimal)
    return value.isoformat(" ") if isinstance(value, datetime.datetime) else str(value)


def _errors(path: Path, number: int) -> dict[tuple[int, int], str]:
    """The cells of an .xlsx sheet that hold an error, which would otherwise come as empty ones."""
    found = {}
    with suppress(zipfile.BadZipFile, KeyError, IndexError, StopIteration), zipfile.ZipFile(path) as parts:
        tag = re.findall(rb"<sheet\b[^>]*>", parts.read("xl/workbook.xml"))[number]
        wanted = b'Id="' + re.findall(rb'r:id="([^"]+)"', tag)[0] + b'"'
        relations = re.findall(rb"<Relationship\b[^>]*>", parts.read("xl/_rels/workbook.xml.rels"))
        target = re.findall(rb'Target="([^"]+)"', next(r for r in relations if wanted in r))[0].decode()
        inner = parts.read(target.lstrip("/") if target.startswith("/") else f"xl/{target}")
        cell = rb'<c r="([A-Z]+)(\d+)"[^>]*\bt="e"[^>]*>(?:<f\b[^>]*/>|<f\b.*?</f>)?<v>([^<]*)</v>'
        for letters, row, said in re.findall(cell, inner, re.DOTALL):
            column = 0
            for letter in letters:
                column = column * 26 + letter - 64
            found[int(row) - 1, column - 1] = said.decode()
    return found
