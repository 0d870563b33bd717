"""Raw files as they come: what their columns are called, their records, and the line each one begins on.

Files lie: a `sep=;` line before the header, a byte order mark, several header rows, names that repeat, line
breaks inside fields, an empty last column. An engine reads the millions of rows; this module looks at the
header first, walks a file again where something in it is wrong, and rewrites what an engine cannot read.
"""

from __future__ import annotations

import codecs
import csv
import gzip
import itertools
import json
import re
import shutil
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO, TextIO, cast

from cxlib.errors import CxValueError
from cxlib.readers.mapping import Source

LONGEST = 8_000_000  # characters of one record
_CONTROLS = re.compile("[\x80-\x9f]")  # no characters in latin-1; in cp1252 the euro sign and quotes
SEPARATOR = re.compile(r'^"?sep=(.)"?$', re.IGNORECASE)


@dataclass(frozen=True)
class Layout:
    """How a delimited file is written, and what its columns are called."""

    names: tuple[str, ...]
    delimiter: str = ","
    encoding: str = "utf-8"
    quotes: bool = True
    skip: int = 1
    """Records before the data: the header rows, and a `sep=;` line."""
    plain: bool = True
    """An engine can read it as it lies: UTF-8, and no line break in the header."""


def names_of(rows: Sequence[Sequence[str]], joined: bool = False) -> tuple[str, ...]:
    """Names of columns from the header rows: blanks put right; a name that is there twice is numbered, for
    nobody could say which of the two is meant.

    >>> names_of([["Sum", "Which?", "", "Sum", ""], ["", "web", "app", "", ""]], joined=True)
    ('Sum (1)', 'Which? - web', 'Which? - app', 'Sum (2)', 'column 5')
    """
    cells = [" ".join(str(cell).split()) for cell in rows[0]] if rows else []
    if joined:
        below = [" ".join(str(cell).split()) for cell in rows[1]]
        below += [""] * (len(cells) - len(below))
        for i, cell in enumerate(cells[1:], start=1):
            cells[i] = cell or (cells[i - 1] if below[i] else "")
        cells = [f"{cell} - {under}" if under else cell for cell, under in zip(cells, below, strict=False)]
    cells = [cell or f"column {i}" for i, cell in enumerate(cells, start=1)]
    nth = [cells[:i].count(cell) + 1 for i, cell in enumerate(cells)]
    return tuple(
        f"{cell} ({n})" if cells.count(cell) > 1 else cell for cell, n in zip(cells, nth, strict=True)
    )


def layout_of(path: Path, source: Source) -> Layout:
    """The layout of a delimited file; CxValueError where it is none, or not in the way the source says."""
    check_start(path, source.delimiter, source.encoding)
    with opened(path, source.encoding) as file, _decoding(path, source.encoding):
        first = SEPARATOR.match(file.readline().strip("\r\n"))
    delimiter, before = (first[1], 1) if first else (source.delimiter, 0)
    layout = Layout((), delimiter, source.encoding, source.quotes != "none", skip=0)
    walk = records(path, layout)
    head = list(itertools.islice(walk, before + source.header + 1))
    if len(head) < before + source.header:
        raise CxValueError(
            f"{path.name} has {len(head) - before} row(s), and should have {source.header} of header."
        )
    rows = [record for _, record in head[before : before + source.header]]
    data = head[before + source.header :]
    width = len(data[0][1] if data else rows[0] if rows else source.names)
    names = source.names or names_of(rows, source.joined)
    if not source.names and abs(len(names) - width) == 1:  # a delimiter at the end of only some lines
        longer = max(rows[0], data[0][1], key=len)
        if not longer[-1].strip():
            names = names_of([[*rows[0], ""][:width], *rows[1:]], source.joined)
    if len(names) != width and (source.names or not data):
        raise CxValueError(
            f"{path.name} has {width} columns; `names` lists {len(names)}. Name them all, in order."
        )
    lines = data[0][0] - 1 if data else before + source.header
    with opened(path, source.encoding) as file:
        start = [*itertools.islice(file, lines + 1)]
    ends = {line[len(line.rstrip("\r\n")) :] for line in start} - {
        ""
    }  # of several kinds: DuckDB finds no rows
    plain = lines == before + source.header and codecs.lookup(source.encoding).name == "utf-8"
    plain = plain and len(ends) < 2
    return replace(layout, names=names, skip=before + source.header, plain=plain)


def records(path: Path, layout: Layout) -> Iterator[tuple[int, list[str]]]:
    """The records after the header, with the line each begins on; blank lines are passed over.

    CxValueError names the first line that is not in the encoding, has other than the header's number of
    fields (where names are known), or has a quote that does not end.
    """
    csv.field_size_limit(LONGEST)
    with opened(path, layout.encoding) as file, _decoding(path, layout.encoding):
        quoting: Any = csv.QUOTE_MINIMAL if layout.quotes else csv.QUOTE_NONE
        reader = csv.reader(
            file, delimiter=layout.delimiter, quoting=quoting, skipinitialspace=True, strict=True
        )
        before, skip, width = 0, layout.skip, len(layout.names)
        latin = codecs.lookup(layout.encoding).name == "iso8859-1"
        try:
            for record in reader:
                line, before = before + 1, reader.line_num
                if skip or not record:
                    skip -= bool(record)
                    continue
                if width and len(record) != width:
                    raise CxValueError(
                        f"{path.name}, line {line}, has {len(record)} fields; the header has {width}. "
                        "Put fields that hold the delimiter into quotes, or export the file again."
                    )
                if latin and _CONTROLS.search("".join(record)):
                    raise CxValueError(
                        f"{path.name}, line {line}, is not {layout.encoding} but, it seems, Windows' own form of it. "
                        "Put `encoding: cp1252` into study.yaml."
                    )
                yield line, record
        except csv.Error as error:
            raise CxValueError(
                f"{path.name}, line {reader.line_num}, cannot be read: {error}. Mend its quotes, or export again."
            ) from error


def check_widths(path: Path, layout: Layout) -> None:
    """Refuse a plain file with a record of other than the header's number of fields, by its line: an engine
    takes no notice of a last field too many if it is empty, though what stands before it is shifted."""
    import pyarrow as pa
    from pyarrow import csv as strict

    names = list(layout.names)
    try:
        walk = strict.open_csv(
            str(path),
            strict.ReadOptions(column_names=names, skip_rows=layout.skip, block_size=1 << 24),
            strict.ParseOptions(
                delimiter=layout.delimiter, quote_char=layout.quotes and '"', newlines_in_values=True
            ),
            strict.ConvertOptions(include_columns=names[:1], column_types={names[0]: pa.string()}),
        )
        for _ in walk:
            pass
    except (pa.ArrowInvalid, OSError):
        for _ in records(path, layout):  # raises at the line that is wrong
            pass


def rewritten(path: Path, layout: Layout, out: Path) -> Layout:
    """The records written anew as plain UTF-8 with one header line, and their layout."""
    with out.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(layout.names)
        writer.writerows(record for _, record in records(path, layout))
    return Layout(layout.names)


def form_of(path: Path, encoding: str = "utf-8") -> str:
    """How a JSON file is written: `newline_delimited`, `array` (a list), or `unstructured` (one document)."""
    with opened(path, encoding) as file, _decoding(path, encoding):
        start = next((line.strip() for line in iter(lambda: file.readline(LONGEST), "") if line.strip()), "")
    if not start:
        raise CxValueError(f"{path.name} is empty. Export it again, or take it away.")
    if start[0] == "[":
        return "array"
    try:
        json.loads(start)
    except (ValueError, RecursionError):
        return "unstructured"
    return "newline_delimited"


def unmarked(path: Path, encoding: str, copy: Path) -> Path:
    """The path of a JSON file in UTF-8 without a byte order mark: its own, or that of a copy."""
    with _unpacked(path) as file:
        start = file.read(3)
    if start != codecs.BOM_UTF8 and codecs.lookup(encoding).name == "utf-8":
        return path
    with opened(path, encoding) as text, copy.open("w", encoding="utf-8", newline="") as out:
        shutil.copyfileobj(text, out)
    return copy


def json_lines(path: Path, encoding: str = "utf-8") -> Iterator[tuple[int, Any]]:
    """The objects of a file of one object a line, with their lines; CxValueError at the first that is none."""
    with opened(path, encoding) as file, _decoding(path, encoding):
        for number, line in enumerate(file, start=1):
            if not line.strip():
                continue
            try:
                yield number, json.loads(line)
            except (ValueError, RecursionError) as error:
                raise CxValueError(
                    f"{path.name}, line {number}, is not JSON: {error}. The file may be cut off: export it again."
                ) from None


def check_start(path: Path, delimiter: str, encoding: str) -> None:
    """Refuse a delimited file that is empty, is not in the stated encoding, or has another delimiter."""
    codec = codecs.lookup(encoding).name
    with _unpacked(path) as file, _decoding(path, encoding):
        start = file.read(1 << 16)
    if not start.strip():
        raise CxValueError(f"{path.name} is empty. Give it a header line, or take it away.")
    if start[:2] in (b"\xff\xfe", b"\xfe\xff") and not codec.startswith("utf-16"):
        raise CxValueError(
            f"{path.name} is UTF-16. Save it as UTF-8, or put `encoding: utf-16` into study.yaml."
        )
    if start[:4] == b"PAR1":
        raise CxValueError(f"{path.name} is a Parquet file named .csv. Rename it to {path.stem}.parquet.")
    if b"\0" in start and not codec.startswith("utf-16"):
        raise CxValueError(f"{path.name} holds binary data, not text. Export it as CSV in UTF-8.")
    if codec in ("iso8859-1", "cp1252") and _is_utf8(start):
        raise CxValueError(f"{path.name} is UTF-8. Take `encoding: {encoding}` out of study.yaml.")
    line = start.decode(encoding, errors="replace").lstrip("\ufeff\r\n").splitlines()[0]
    for other, said in ((";", ";"), ("\t", "\\t"), ("|", "|"), (",", ",")):
        if other != delimiter and line.count(other) > line.count(delimiter) and not SEPARATOR.match(line):
            raise CxValueError(
                f"{path.name} is not delimited by `{delimiter}` but, it seems, by `{said}`. "
                f'Put `delimiter: "{said}"` into study.yaml, or export it again.'
            )


def _is_utf8(start: bytes) -> bool:
    """True if the bytes are UTF-8 and more than ASCII; a character cut off at their end does not count."""
    try:
        return not codecs.getincrementaldecoder("utf-8")().decode(start).isascii()
    except UnicodeDecodeError:
        return False


@contextmanager
def _decoding(path: Path, encoding: str) -> Iterator[None]:
    """Says which line of a file is not in its encoding, and that a packed file is damaged."""
    try:
        yield
    except UnicodeDecodeError:
        number, decoder = 0, codecs.getincrementaldecoder(encoding)()
        with suppress(UnicodeDecodeError), _unpacked(path) as file:
            for line in file:
                number += 1
                decoder.decode(line)
        raise CxValueError(
            f"{path.name}, line {number}, is not {encoding}. Save the file as UTF-8, "
            "or put its encoding into study.yaml, such as `encoding: latin-1`."
        ) from None
    except UnicodeError:
        raise CxValueError(
            f"{path.name} has no byte order mark. Put `encoding: {encoding}-le` (or -be) into study.yaml."
        ) from None
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise CxValueError(f"{path.name} cannot be unpacked: {error}. Export it again.") from None


def check_packed(path: Path) -> None:
    """Refuse a packed file that is damaged or cut off: engines read it without a look at its check sum."""
    if path.suffix == ".gz":
        with _unpacked(path) as file, _decoding(path, "utf-8"):
            while file.read(1 << 20):
                pass


def _unpacked(path: Path) -> BinaryIO:
    return cast(BinaryIO, gzip.open(path)) if path.suffix == ".gz" else path.open("rb")


def opened(path: Path, encoding: str) -> TextIO:
    """The text of a file, unpacked where its name ends in .gz; a byte order mark is taken off."""
    encoding = "utf-8-sig" if codecs.lookup(encoding).name == "utf-8" else encoding
    if path.suffix == ".gz":
        return cast(TextIO, gzip.open(path, "rt", encoding=encoding, newline=""))
    return path.open(encoding=encoding, newline="")
