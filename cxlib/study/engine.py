"""The engine: the one file that names a database, runs raw SQL or creates tables.

Rooms write Ibis expressions and hand them to a study, which hands them here. DuckDB is embedded;
any other Ibis connection (Spark is tested) serves where one machine is outgrown. What leaves the
engine is counted, so that a test can show that only results do.
"""

from __future__ import annotations

import codecs
import csv
import io
import itertools
import os
import shutil
import tempfile
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import ibis
import ibis.expr.types as ir
import pandas as pd
from pyarrow import parquet

from cxlib.contract import Settings
from cxlib.errors import CxError, CxValueError

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
            return expr.cache()
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
            _check_text(path, settings, encoding)
        with _said_plainly(paths, settings, encoding):
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

    def staged(self, paths: Sequence[Path], path: Path, settings: Settings) -> ir.Table:
        """CSV files parsed once into a Parquet file of trimmed text, which is then checked and converted."""

        def write(unfinished: Path) -> None:
            table = self.read_csv(paths, settings)
            trimmed = table.mutate(**{name: table[name].strip().nullif("") for name in table.columns})
            with _said_plainly(paths, settings, ENCODINGS[settings.encoding.lower()]):
                self.con.to_parquet(trimmed, unfinished, **PARQUET)

        return self._stored(path, write)

    def settled(self, view: ir.Table, raw: ir.Table, path: Path, settings: Settings) -> ir.Table:
        """A converted table, computed once into `path`; one that needed no conversion stays where it is."""
        if view.schema() == raw.schema() and settings.time_zone == "UTC":
            return raw

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


@contextmanager
def _said_plainly(
    paths: Sequence[Path] = (), settings: Settings | None = None, encoding: str = "utf-8"
) -> Iterator[None]:
    """Turns the engine's errors on reading files into ours; an error in an expression stays what it is."""
    try:
        yield
    except CxError:
        raise
    except Exception as error:
        if not paths and not _is_of_reading(error):
            raise
        if settings is not None:
            for path in paths:
                _explain_text(path, settings, encoding)
        names = ", ".join(p.name for p in paths[:3]) or "A table"
        first = (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")
        if settings is not None:
            advice = "Check its encoding, delimiter and quotes, or export it again as UTF-8."
        else:
            advice = "The file is damaged or is not Parquet: export it again."
        if not paths:
            advice = "A file is damaged, or has changed: export it again, or clear the cache folder."
        raise CxValueError(f"{names} cannot be read: {first}. {advice}") from error


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


def _check_text(path: Path, settings: Settings, encoding: str) -> None:
    """Refuse a CSV file that is empty, is not in the stated encoding, or has another delimiter."""
    with path.open("rb") as file:
        start = file.read(1 << 16)
    if not start.strip():
        raise CxValueError(f"{path.name} is empty. Give it a header line, or take it away.")
    if start[:2] in (b"\xff\xfe", b"\xfe\xff") and encoding != "utf-16":
        raise CxValueError(
            f"{path.name} is UTF-16. Save it as UTF-8, or put `encoding: utf-16` into study.yaml."
        )
    if start[:4] == b"PAR1":
        raise CxValueError(f"{path.name} is a Parquet file named .csv. Rename it to {path.stem}.parquet.")
    if b"\0" in start and encoding != "utf-16":
        raise CxValueError(f"{path.name} holds binary data, not text. Export it as CSV in UTF-8.")
    if encoding == "latin-1" and _is_utf8(start):
        raise CxValueError(f"{path.name} is UTF-8. Take `encoding: {settings.encoding}` out of study.yaml.")
    text = start.decode(encoding, errors="replace").lstrip("\ufeff\r\n")
    line = text.splitlines()[0]
    for other, said in ((";", ";"), ("\t", "\\t"), ("|", "|"), (",", ",")):
        if other != settings.delimiter and line.count(other) > line.count(settings.delimiter):
            raise CxValueError(
                f"{path.name} is not delimited by `{settings.delimiter}` but, it seems, by `{said}`. "
                f'Put `delimiter: "{said}"` into study.yaml, or export it again.'
            )
    _refuse_twice(next(csv.reader(io.StringIO(text, newline=None), delimiter=settings.delimiter)), path.name)


def _is_utf8(start: bytes) -> bool:
    """True if the bytes are UTF-8 and more than ASCII; a character cut off at their end does not count."""
    try:
        return not codecs.getincrementaldecoder("utf-8")().decode(start).isascii()
    except UnicodeDecodeError:
        return False


def _explain_text(path: Path, settings: Settings, encoding: str) -> None:
    """After the engine has refused a CSV file: the first line that is wrong, in words that help."""
    decoder, size = codecs.getincrementaldecoder(encoding)(), 0
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            try:
                decoder.decode(line)
            except UnicodeDecodeError:
                raise CxValueError(
                    f"{path.name}, line {number}, is not {settings.encoding}. Save the file as UTF-8, "
                    "or put its encoding into study.yaml, such as `encoding: latin-1`."
                ) from None
    with path.open(encoding=encoding, errors="replace") as file:
        reader = csv.reader(file, delimiter=settings.delimiter, strict=True)
        try:
            for row in reader:
                size = size or len(row)
                if len(row) != size:
                    raise CxValueError(
                        f"{path.name}, line {reader.line_num}, has {len(row)} fields; the header has {size}. "
                        "Put fields that hold the delimiter into quotes, or export the file again."
                    )
        except csv.Error as error:
            raise CxValueError(
                f"{path.name}, line {reader.line_num}, cannot be read: {error}. Mend its quotes, or export again."
            ) from error
