"""XES event logs (IEEE 1849), plain or gzipped: one row an event, streamed, every value as text.

Columns are the log's attributes under their standard names (`concept:name`, `lifecycle:transition`,
`time:timestamp`, `org:resource`): a log declares the prefix of each extension, and it need not be the usual
one. A trace's attributes come with `case:` before them; nested ones as `outer.inner`. `activity` is
the event's name, with its transition behind it where that is not `complete`: "Check (start)". A DOCTYPE is
refused, so no entity is ever expanded.

Elements and attributes: https://xes-standard.org/ (as summarised at
https://blog.csdn.net/free1985/article/details/75735797 and in pm4py's constants; the standard was not read).
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import BinaryIO, cast
from xml.parsers import expat

import pyarrow as pa
from pyarrow import parquet

from cxlib.errors import CxValueError

STANDARD = {"concept", "time", "lifecycle", "org"}
ROWS = 50_000
CHUNK = 1 << 20

Row = dict[str, str]


def flatten(path: Path, out: Path) -> None:
    """Write the events of a log into one Parquet file of text columns, a part of the log at a time.

    A column is null where an event lacks the attribute. Raises CxValueError for what is no XES log.
    """
    with TemporaryDirectory(dir=out.parent) as folder:
        for number, table in enumerate(events(path)):
            parquet.write_table(table, Path(folder) / f"{number:06}.parquet")
        parts = sorted(Path(folder).iterdir())
        schema = pa.unify_schemas([parquet.read_schema(part) for part in parts])
        with parquet.ParquetWriter(out, schema) as writer:
            for part in parts:
                table = pa.concat_tables(
                    [schema.empty_table(), parquet.read_table(part)], promote_options="default"
                )
                writer.write_table(table.select(schema.names))


def events(path: Path, rows: int = ROWS) -> Iterator[pa.Table]:
    """Tables of at least `rows` events (the last has fewer) in the order of the log, with the columns they use.

    CxValueError for a file that is damaged, is not XML, holds a DOCTYPE, or has no `<log>` with events.
    """
    log, found = _Log(), False
    try:
        with _opened(path) as file:
            while chunk := file.read(CHUNK):
                log.parser.Parse(chunk)
                if len(log.rows) >= rows:
                    yield _table(log.rows)
                    found, log.rows = True, []
            log.parser.Parse(b"", True)
    except (expat.ExpatError, EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise CxValueError(f"{path.name} is damaged or is not XML: {error}. Export it again.") from error
    except _NotXES as error:
        raise CxValueError(f"{path.name}: {error}") from None
    if log.rows:
        yield _table(log.rows)
    elif not found:
        raise CxValueError(f"{path.name} is no event log with events in traces. Export it as XES again.")


def _opened(path: Path) -> BinaryIO:
    with path.open("rb") as file:
        packed = file.read(2) == b"\x1f\x8b"
    return cast(BinaryIO, gzip.open(path) if packed else path.open("rb"))


def _table(rows: list[Row]) -> pa.Table:
    names = dict.fromkeys(name for row in rows for name in row)
    return pa.table({name: pa.array([row.get(name) for row in rows], pa.string()) for name in names})


class _NotXES(Exception):
    """Why a file is not read."""


class _Log:
    """What has been read of a log: the rows of its finished traces, and where in the file the parser stands."""

    def __init__(self) -> None:
        self.rows: list[Row] = []
        self.prefixes: dict[str, str] = {}
        self.case: Row = {}
        self.of_case: list[Row] = []
        self.event: Row | None = None
        self.open: list[str] = []  # elements, by name
        self.keys: list[str] = []  # of the attributes that are open: they nest; empty for a list's `<values>`
        self.parser = expat.ParserCreate()
        self.parser.buffer_text = True
        self.parser.StartElementHandler = self.start
        self.parser.EndElementHandler = self.end
        self.parser.StartDoctypeDeclHandler = self.refuse

    def refuse(self, *_: object) -> None:
        raise _NotXES(
            "it holds a DOCTYPE, which an event log does not need. Take it out, if you trust the file."
        )

    def start(self, name: str, values: dict[str, str]) -> None:
        name = name.rpartition(":")[2]
        if not self.open and name != "log":
            raise _NotXES(f"it is no XES log: it begins with <{name}>, not with <log>.")
        self.open.append(name)
        if name == "extension":
            standard = values.get("uri", "").rpartition("/")[2].removesuffix(".xesext")
            self.prefixes[values.get("prefix", "")] = standard if standard in STANDARD else ""
        elif name == "event":
            self.event = {}
        elif name != "trace" and ("event" in self.open or "trace" in self.open):
            self.keys.append(self.named(values.get("key", "")))
            if "value" in values:
                self.keep(".".join(filter(None, self.keys)), values["value"])

    def end(self, name: str) -> None:
        name = self.open.pop()
        if name == "event":
            self.of_case.append(self.event or {})
            self.event = None
            if "trace" not in self.open:
                self.finish()
        elif name == "trace":
            self.finish()
        elif self.keys:
            self.keys.pop()

    def finish(self) -> None:
        self.rows += [{**self.case, **event, **_activity(event)} for event in self.of_case]
        self.case, self.of_case = {}, []

    def keep(self, key: str, value: str) -> None:
        row, key = (self.case, f"case:{key}") if self.event is None else (self.event, key)
        row[key] = f"{row[key]}; {value}" if key in row else value

    def named(self, key: str) -> str:
        """The key with the standard's prefix in place of the log's own."""
        prefix, colon, rest = key.partition(":")
        return f"{self.prefixes.get(prefix) or prefix}:{rest}" if colon else key


def _activity(event: Row) -> Row:
    """The transition in small letters, and the activity that it makes of the event's name."""
    name = event.get("concept:name", "")
    transition = event.get("lifecycle:transition", "").lower()
    folded = {"lifecycle:transition": transition} if transition else {}
    return {**folded, "activity": f"{name} ({transition})" if transition not in ("", "complete") else name}
