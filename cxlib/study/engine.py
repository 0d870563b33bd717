"""The engine: the one file that names a database, runs raw SQL or creates tables.

Rooms write Ibis expressions and hand them to a study, which hands them here. DuckDB is embedded;
any other Ibis connection (Spark is tested) serves where one machine is outgrown. What leaves the
engine is counted, so that a test can show that only results do.
"""

from __future__ import annotations

import itertools
import os
import shutil
import sys
import tempfile
import threading
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import ibis
import ibis.expr.types as ir
import pandas as pd
from pyarrow import parquet

from cxlib.contract import Settings
from cxlib.errors import CxError, CxValueError
from cxlib.readers import raw

# ibis 12 on pandas 3 and DuckDB 1.5 warns about its own internals; a reader can do nothing about it.
warnings.filterwarnings("ignore", category=DeprecationWarning, module=r"ibis\..*")
warnings.filterwarnings(
    "ignore", category=getattr(pd.errors, "Pandas4Warning", FutureWarning), module=r"ibis\..*"
)

_serial = itertools.count()
# Measured on 10 million rows of integers: written in 60 % of the default's time, and smaller.
PARQUET: dict[str, Any] = {"compression": "lz4", "parquet_version": "v2", "dictionary_size_limit": 1000}

ENCODINGS = {
    "utf-8": "utf-8",
    "utf8": "utf-8",
    "latin-1": "latin-1",
    "iso-8859-1": "latin-1",
    "utf-16": "utf-16",
}


@ibis.udf.scalar.builtin(name="epoch_us")
def _duckdb_micros(ts: ibis.dtype("timestamp(6)")) -> ibis.dtype("int64"): ...  # type: ignore[valid-type]


@ibis.udf.scalar.builtin(name="unix_micros")
def _spark_micros(ts: ibis.dtype("timestamp('UTC')")) -> ibis.dtype("int64"): ...  # type: ignore[valid-type]


class Misread(CxValueError):
    """The engine could not read a file; what reads it otherwise may, or may say more."""


class Engine:
    """A connection and what a study asks of it: fetch a result, keep a table, read files."""

    def __init__(self, con: Any):
        self.con = con
        self.rows_out = 0

    @property
    def name(self) -> str:
        """The backend's name, such as `duckdb` or `pyspark`."""
        return str(self.con.name)

    def fetch(self, expr: ir.Table) -> pd.DataFrame:
        """The rows of an expression as a pandas frame; counted in `rows_out`."""
        with _said_plainly():
            frame = self.con.to_pandas(expr) if hasattr(self.con, "to_pandas") else expr.to_pandas()
        self.rows_out += len(frame)
        return frame

    def micros(self, ts: Any) -> Any:
        """Integer microseconds since 1970 of a UTC timestamp column."""
        if self.name == "duckdb":
            return _duckdb_micros(ts.cast("timestamp(6)"))
        if self.name == "pyspark":
            return _spark_micros(ts.cast("timestamp('UTC')"))
        # Of whole seconds: some engines count their fraction in, as others do not.
        return ts.truncate("s").epoch_seconds().cast("int64") * 1_000_000 + ts.microsecond()

    def keep(self, expr: ir.Table, path: Path | None = None) -> ir.Table:
        """Compute a table once; on DuckDB into the Parquet file `path` (temporary file, then rename)."""
        if self.name != "duckdb":
            # ibis caches without registering the in-memory tables that the expression joins.
            self.con._run_pre_execute_hooks(expr)
            return self.con._cached_table(expr)  # expr.cache() would keep plain values on DuckDB
        if path is None:
            return self.con.create_table(ibis.util.gen_name("kept"), expr, temp=True)
        with replacing(path) as unfinished:
            self._copy(expr, unfinished)
        return self.read_parquet([path])

    def _copy(self, expr: ir.Table, path: Path) -> None:
        with _said_plainly():
            self.con.to_parquet(expr, path, **PARQUET)

    def read_parquet(self, paths: Sequence[Path]) -> ir.Table:
        """A lazy table over Parquet files; CxValueError where one cannot be read."""
        for path in paths:
            with _said_plainly([path]):
                _refuse_twice(parquet.read_schema(path).names, path.name)
        with _said_plainly(paths):
            return self.con.read_parquet([str(p) for p in paths], union_by_name=True)

    def read_csv(self, paths: Sequence[Path], settings: Settings) -> ir.Table:
        """A lazy table over CSV files, every column as text (empty is null), header checked first."""
        encoding = ENCODINGS.get(settings.encoding.lower())
        if encoding is None:
            known = ", ".join(ENCODINGS)
            raise CxValueError(
                f"study.yaml: encoding `{settings.encoding}` is not known; write one of {known}."
            )
        for path in paths:
            raw.check_start(path, settings.delimiter, settings.encoding)
            _refuse_twice(_walked(path, settings).names, path.name)
        with _said_plainly(paths, settings):
            return self.con.read_csv(
                [str(p) for p in paths],
                all_varchar=True,
                header=True,
                delim=settings.delimiter,
                quote='"',
                escape='"',
                encoding=encoding,
                union_by_name=True,
                strict_mode=True,
                null_padding=False,
                max_line_size=8_000_000,
            )

    def text(self, path: Path, layout: raw.Layout) -> ir.Table:
        """A lazy table over a delimited file as it lies, every column as text: c0, c1, ..."""
        with _said_plainly([path]):
            return self.con.read_csv(
                str(path),
                columns={f"c{i}": "VARCHAR" for i in range(len(layout.names))},
                auto_detect=False,
                header=False,
                skip=layout.skip,
                delim=layout.delimiter,
                quote='"' if layout.quotes else "",
                escape='"' if layout.quotes else "",
                strict_mode=True,
                null_padding=False,
                max_line_size=raw.LONGEST,
            )

    def documents(self, path: Path, form: str) -> ir.Table:
        """A lazy table over a JSON file, one column `json`; `form` as `cxlib.readers.raw.form_of` says it."""
        largest = max(raw.LONGEST, path.stat().st_size + 1 if form == "unstructured" else 0)
        with _said_plainly([path]):
            return self.con.read_json(
                str(path),
                columns={"json": "JSON"},
                format=form,
                records="false",
                maximum_object_size=largest,
            )

    def write(self, expr: ir.Table, path: Path, reads: Path, tell: Callable[[float], None]) -> None:
        """Write a table computed from the file `reads`; `tell` hears now and then what share is done."""
        done = threading.Event()

        def watch() -> None:
            while not done.wait(0.5):
                tell(max(self.con.con.query_progress(), 0.0) / 100)

        watcher = threading.Thread(target=watch, daemon=True)
        watcher.start()
        try:
            with replacing(path) as unfinished, _said_plainly([reads]):
                self.con.to_parquet(expr, unfinished, **PARQUET)
        finally:
            done.set()
            watcher.join()

    @staticmethod
    def readable(path: Path) -> bool:
        """True if a Parquet file is there and whole."""
        try:
            parquet.read_metadata(path)
        except Exception:  # whatever is wrong with a cache file, the remedy is the same
            return False
        return True

    def staged(self, paths: Sequence[Path], path: Path, settings: Settings) -> ir.Table:
        """CSV files parsed once into a Parquet file of trimmed text, which is then checked and converted."""

        def write(unfinished: Path) -> None:
            table = self.read_csv(paths, settings)
            trimmed = table.mutate(**{name: table[name].strip().nullif("") for name in table.columns})
            with _said_plainly(paths, settings):
                self.con.to_parquet(trimmed, unfinished, **PARQUET)

        return self._stored(path, write)

    def settled(self, view: ir.Table, given: ir.Table, path: Path, settings: Settings) -> ir.Table:
        """A converted table, computed once into `path`; one that needed no conversion stays where it is."""
        if view.schema() == given.schema() and settings.time_zone == "UTC":
            return given

        def write(unfinished: Path) -> None:
            with self.in_zone(settings.time_zone):
                self._copy(view, unfinished)

        return self._stored(path, write)

    def _stored(self, path: Path, write: Callable[[Path], None]) -> ir.Table:
        """The table kept at `path`; written anew where it is not there or cannot be read."""
        if path.exists():
            try:
                return self.read_parquet([path])
            except CxValueError:
                path.unlink(missing_ok=True)
        with replacing(path) as unfinished:
            write(unfinished)
        return self.read_parquet([path])

    @contextmanager
    def in_zone(self, zone: str) -> Iterator[None]:
        """Read zone-less times in that time zone while the block runs (DuckDB; elsewhere they must be UTC)."""
        if zone == "UTC":
            yield
            return
        if self.name != "duckdb":
            raise CxValueError(
                f"time_zone `{zone}` works on DuckDB only. On {self.name}, convert the times to UTC first."
            )
        try:
            self.con.raw_sql(f"SET TimeZone = {_quoted(zone)}")
        except Exception as error:
            raise CxValueError(
                f"study.yaml: time_zone `{zone}` is not known; write one such as Europe/Rome."
            ) from error
        try:
            yield
        finally:
            self.con.raw_sql("SET TimeZone = 'UTC'")


def embedded() -> Engine:
    """A DuckDB in memory, in UTC, that spills to a temporary folder instead of failing."""
    con = ibis.duckdb.connect()
    con.raw_sql("SET TimeZone = 'UTC'")
    con.raw_sql("SET preserve_insertion_order = false")
    con.raw_sql(f"SET temp_directory = {_quoted(Path(tempfile.gettempdir()) / f'cxlib-{os.getpid()}')}")
    return Engine(con)


def frugal() -> Engine:
    """A DuckDB for files larger than memory: it keeps the order of rows, and within a gigabyte."""
    engine = embedded()
    settings = {
        "preserve_insertion_order": "true",
        "memory_limit": "'1GB'",
        "threads": min(os.cpu_count() or 1, 4),
    }
    if sys.stderr.isatty():  # elsewhere nobody sees it, and in a notebook it would be drawn by itself
        settings |= {"enable_progress_bar": "true", "enable_progress_bar_print": "false"}
    for name, value in settings.items():
        engine.con.raw_sql(f"SET {name} = {value}")
    return engine


def memory(frames: Mapping[str, pd.DataFrame]) -> tuple[Engine, dict[str, ir.Table]]:
    """An embedded engine holding pandas frames."""
    engine = embedded()
    tables = {}
    for name, frame in frames.items():
        if not isinstance(frame, pd.DataFrame):
            raise CxValueError(f"The table {name} is a {type(frame).__name__}; give a pandas DataFrame.")
        _refuse_twice([str(column) for column in frame.columns], f"The frame {name}")
        engine.con.con.register(f"frame_{name}", frame)
        tables[name] = engine.con.table(f"frame_{name}")
    return engine, tables


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary sibling to write to, renamed to `path` if all went well, removed if not."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.stem}-{os.getpid()}-{next(_serial)}{path.suffix}")
    try:
        yield unfinished
        os.replace(unfinished, path)
    finally:
        if unfinished.is_dir():
            shutil.rmtree(unfinished, ignore_errors=True)
        else:
            unfinished.unlink(missing_ok=True)


def remembered(path: Path, build: Callable[[], pd.DataFrame]) -> pd.DataFrame:
    """The frame kept at `path`, or built and kept; a file that cannot be read is built again."""
    if path.exists():
        try:
            return pd.read_parquet(path)
        except Exception:  # whatever is wrong with a cache file, the remedy is the same
            path.unlink(missing_ok=True)
    frame = build()
    with replacing(path) as unfinished:
        frame.to_parquet(unfinished, index=False)
    return frame


def _quoted(text: object) -> str:
    return "'" + str(text).replace("'", "''") + "'"


def _walked(path: Path, settings: Settings) -> raw.Layout:
    """The layout of a CSV file that holds a table of the contract."""
    layout = raw.Layout((), settings.delimiter, settings.encoding, skip=0)
    return replace(layout, names=tuple(next(raw.records(path, layout))[1]), skip=1)


@contextmanager
def _said_plainly(paths: Sequence[Path] = (), settings: Settings | None = None) -> Iterator[None]:
    """Turns the engine's errors on reading files into ours; an error in an expression stays what it is."""
    try:
        yield
    except CxError:
        raise
    except Exception as error:
        if not paths and not _is_of_reading(error):
            raise
        if settings is not None:
            for path in paths:  # raises at the first line that is wrong
                for _ in raw.records(path, _walked(path, settings)):
                    pass
        names = ", ".join(p.name for p in paths[:3]) or "A table"
        if "No space left" in str(error):
            raise CxValueError(
                "The disk is full. Make room, or name another cache folder in CXLIB_CACHE."
            ) from error
        first = (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")
        if settings is not None:
            advice = "Check its encoding, delimiter and quotes, or export it again as UTF-8."
        else:
            advice = "The file is damaged or is not Parquet: export it again."
        if not paths:
            advice = "A file is damaged, or has changed: export it again, or clear the cache folder."
        raise Misread(f"{names} cannot be read: {first}. {advice}") from error


def _is_of_reading(error: Exception) -> bool:
    """True for what a damaged file causes, false for what a wrong expression or a full disk does."""
    import duckdb

    kinds = (duckdb.IOException, duckdb.InvalidInputException, duckdb.SerializationException)
    return isinstance(error, kinds) or type(error) is duckdb.Error


def _refuse_twice(names: Sequence[str], where: str) -> None:
    """Engines rename the second of two equal names, and so would count the first without a word."""
    lower = [name.strip().lower() for name in names]
    twice = sorted({name for name, low in zip(names, lower, strict=True) if low and lower.count(low) > 1})
    if twice:
        raise CxValueError(f"{where} has a column more than once: {', '.join(twice)}. Keep one, or rename.")
