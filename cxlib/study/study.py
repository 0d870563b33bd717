"""A study: a set of contract tables on an engine, opened from a name, a folder, frames or a connection."""

from __future__ import annotations

import functools
import hashlib
import html
import json
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import ibis.expr.types as ir
import pandas as pd
import yaml

from cxlib import readers
from cxlib.contract import TABLES, Finding, Findings, Settings, complete, findings, typed
from cxlib.errors import (
    ContractViolations,
    CxLookupError,
    CxValueError,
    MissingTable,
    UnknownStudy,
    did_you_mean,
)
from cxlib.study import registry
from cxlib.study.engine import Engine, embedded, memory, remembered, replacing
from cxlib.study.log import GAP, Log, build_log

DEMO = Path(__file__).resolve().parents[2] / "data" / "demo"


@dataclass(frozen=True)
class Study:
    """Contract tables on an engine; what every method takes.

    Tables are lazy Ibis tables with every column of the contract (absent optional ones are null),
    then the study's own further columns. Results are cached by fingerprint and parameters.

    >>> study = open_study({"surveys": pd.DataFrame({"response_id": ["a"], "ts": ["2026-01-05"],
    ...     "question": ["nps"], "score": [9.0], "scale_min": [0.0], "scale_max": [10.0]})})
    >>> sorted(study.tables)
    ['surveys']
    >>> study.table("orders")
    Traceback (most recent call last):
      ...
    cxlib.errors.MissingTable: This step needs the table `orders`; this study has: surveys. \
Add orders.parquet or orders.csv to the study, or skip this section.
    """

    name: str
    settings: Settings
    tables: Mapping[str, ir.Table]
    findings: Findings
    engine: Engine = field(repr=False)
    given: Mapping[str, tuple[str, ...]] = field(repr=False)
    fingerprint: str = ""
    cache: Path | None = field(default=None, repr=False)
    files: Mapping[Path, tuple[int, int]] = field(default_factory=dict, repr=False)
    truths: Path | None = field(default=None, repr=False)
    _logs: dict[tuple, Log] = field(default_factory=dict, repr=False, compare=False)
    _results: dict[tuple[str, str], pd.DataFrame] = field(default_factory=dict, repr=False, compare=False)

    @property
    def title(self) -> str:
        """The study's title for people."""
        return self.settings.title or self.name

    def table(self, name: str, needed_by: str = "This step") -> ir.Table:
        """The lazy table of that name; MissingTable says who needs it and what the study has."""
        if name not in TABLES:
            hint = did_you_mean(name, TABLES)
            raise CxLookupError(f"The contract has no table `{name}`.{hint} It has: {', '.join(TABLES)}.")
        if name not in self.tables:
            raise MissingTable(name, needed_by, self.tables)
        return self.tables[name]

    def has(self, table: str, *columns: str) -> bool:
        """True if the study came with that table and all those columns."""
        return table in self.tables and set(columns) <= set(self.given[table])

    def fetch(self, expr: ir.Table) -> pd.DataFrame:
        """The rows of an expression on this study's tables, as a pandas frame."""
        self._unchanged()
        return self.engine.fetch(expr)

    def cached(self, name: str, params: Mapping[str, Any], build: Callable[[], pd.DataFrame]) -> pd.DataFrame:
        """The frame that `build` returns, computed once for this study, these parameters and this code."""
        self._unchanged()
        if self.cache is None:
            key = (name, _digest(params))
            if key not in self._results:
                self._results[key] = build()
            return self._results[key].copy()

        def confirmed() -> pd.DataFrame:
            frame = build()
            self._unchanged()
            return frame

        return remembered(self.cache / f"{name}-{_digest(params, _code())}.parquet", confirmed)

    def log(self, gap: str = GAP, carry: Sequence[str] = ()) -> Log:
        """The coded, totally ordered log of all touchpoints; built once. See `cxlib.study.log`."""
        key = (gap, tuple(carry))
        if key not in self._logs:
            self._unchanged()
            log = build_log(self, gap=gap, carry=tuple(carry))
            self._unchanged()
            self._logs[key] = log
        return self._logs[key]

    def truth(self, name: str) -> pd.DataFrame:
        """The planted truth of a named result: its keys and `truth`. Simulated studies only."""
        if self.truths is None:
            raise CxLookupError(
                f"The study `{self.name}` has no planted truth; only simulated studies have. "
                "Open the demo, or make one with `cx simulate`."
            )
        whole = pd.read_parquet(self.truths)
        part = whole[whole["result"] == name].drop(columns="result")
        if part.empty:
            known = ", ".join(sorted(whole["result"].unique()))
            raise CxLookupError(f"No truth is planted for `{name}`; there is: {known}.")
        part = part.dropna(axis="columns", how="all").reset_index(drop=True)
        if "step" in part:
            part["step"] = part["step"].astype(int)
        return part

    @property
    def provenance(self) -> dict[str, str]:
        """Where the figures come from, for the foot of a report; free of dates, so it does not drift."""
        import cxlib

        return {
            "study": self.title,
            "licence": self.settings.licence or "not stated",
            "source": self.settings.source or "the files of the study",
            "fingerprint": self.fingerprint[:12] or "not on disk",
            "engine": self.engine.name,
            "cxlib": cxlib.__version__,
        }

    def _unchanged(self) -> None:
        _refuse_changed(self.files, self.cache)

    def _repr_html_(self) -> str:
        rows = "".join(
            f'<tr><td>{html.escape(name)}</td><td class="number">{count:,}</td>'
            f"<td>{html.escape(TABLES[name].row)}</td></tr>"
            for name, count in self.findings.rows.items()
        )
        head = '<th scope="col">table</th><th scope="col">rows</th><th scope="col">one row is</th>'
        return f'<table class="result"><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>'

    def __str__(self) -> str:
        tables = ", ".join(f"{name} {count:,}" for name, count in self.findings.rows.items())
        return f"{self.title}: {tables}"


def open_study(where: Any = "demo", **settings: Any) -> Study:
    """Open a study: `"demo"`, a public data set's name, a folder, frames, or an Ibis connection.

    A folder holds `<table>.parquet`, `<table>.csv` or a directory `<table>/` of parts for any of the
    contract's tables, and may hold a `study.yaml` (see `cxlib.contract.Settings`). `settings` are the
    entries of a `study.yaml`, for frames and connections, which have none; a folder's they override.

    >>> orders = pd.DataFrame({"order_id": ["a"], "customer_id": ["x"], "ts": ["2026-01-05"], "revenue": [9.99]})
    >>> study = open_study({"orders": orders}, currency="EUR", money="major")
    >>> study.fetch(study.table("orders"))["revenue"].tolist()
    [999]

    Raises UnknownStudy where there is nothing of that name, ContractViolations with every violation
    where the tables break the contract, CxValueError where a file cannot be read.
    """
    return _open(where, settings, strict=True)


def check(where: Any, **settings: Any) -> Findings:
    """Everything that `open_study` would find, without raising for violations of the contract."""
    return _open(where, settings, strict=False).findings


def studies() -> dict[str, str]:
    """The studies that can be opened by name, and what each is."""
    public = {name: readers.reader(name).SETTINGS["title"] for name in readers.READERS}
    return {"demo": "A simulated company whose truth is known", **public}


def _open(where: Any, given: Mapping[str, Any], strict: bool) -> Study:
    if isinstance(where, Study):
        if given:
            raise CxValueError("The study is open already: give its settings when it is opened.")
        return where
    settings = Settings.parse(given, "open_study")
    if isinstance(where, Mapping):
        _refuse_unknown(where, "These frames")
        if not where:
            raise UnknownStudy(f"There is no table. A study has at least one of: {', '.join(TABLES)}.")
        engine, raw = memory(where)
        return _assemble(settings.name or "frames", engine, raw, settings, strict)
    if hasattr(where, "list_tables"):
        engine = Engine(where)
        raw = {name: where.table(name) for name in TABLES if name in set(where.list_tables())}
        if not raw:
            raise UnknownStudy(f"The connection has none of the contract's tables: {', '.join(TABLES)}.")
        return _assemble(settings.name or engine.name, engine, raw, settings, strict)
    if not isinstance(where, (str, os.PathLike)):
        raise CxValueError(
            f"A study is not opened from a {type(where).__name__}, but from a name, a folder, a dict of "
            "table name to pandas DataFrame, or an Ibis connection."
        )
    if str(where) == "demo":
        return _open_folder(DEMO, "demo", given, strict)
    if str(where) in readers.READERS:
        return _open_folder(_converted(str(where)), str(where), given, strict)
    folder = Path(where).expanduser()
    if not folder.is_dir():
        known = list(studies())
        what = (
            "is a file; name the folder it lies in" if folder.exists() else "is neither a study nor a folder"
        )
        raise UnknownStudy(
            f"`{where}` {what}.{did_you_mean(str(where), known)} "
            f"Studies: {', '.join(known)}; or the path of a folder with touchpoints.csv and the like."
        )
    return _open_folder(folder, folder.resolve().name, given, strict)


def _refuse_unknown(tables: Iterable[str], what: str) -> None:
    unknown = [name for name in tables if name not in TABLES]
    if unknown:
        hints = "".join(did_you_mean(name, TABLES) for name in unknown)
        raise CxValueError(
            f"{what} include `{', '.join(unknown)}`, not in the contract.{hints} Tables: {', '.join(TABLES)}."
        )


def _converted(name: str) -> Path:
    """A public data set as a folder of contract tables, converted once into the cache."""
    reader = readers.reader(name)
    files = registry.fetch(name)
    folder = registry.where() / "studies" / f"{name}-{_digest(sorted(files), _code())}"
    if not (folder / "study.yaml").exists():
        unfinished = folder.with_name(f".{folder.name}-{os.getpid()}")
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(parents=True)
        try:
            for table, frame in reader.read(files).items():
                frame.to_parquet(unfinished / f"{table}.parquet", index=False)
            (unfinished / "study.yaml").write_text(
                yaml.safe_dump(reader.SETTINGS, allow_unicode=True), "utf-8"
            )
            if not (folder / "study.yaml").exists():  # unless another process was faster
                shutil.rmtree(folder, ignore_errors=True)
                unfinished.rename(folder)
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)
    return folder


def _open_folder(folder: Path, name: str, given: Mapping[str, Any], strict: bool) -> Study:
    stated = Settings.parse(given, "open_study")
    settings = replace(
        _settings(folder), **{k: getattr(stated, k) for k, v in given.items() if v is not None}
    )
    sources = _sources(folder)
    if not sources:
        present = ", ".join(sorted(p.name for p in folder.iterdir())[:8]) or "nothing"
        raise UnknownStudy(
            f"The folder `{folder}` holds none of the contract's tables; it holds: {present}. "
            f"Name the files after the tables: {', '.join(f'{t}.csv' for t in TABLES)} (or .parquet)."
        )
    before = {path: _stat(path) for paths in sources.values() for path in paths}
    fingerprint = _fingerprint(folder, sources, settings if given else None)
    cache = registry.where() / "results" / fingerprint[:24]
    try:
        engine = embedded()
        raw = {}
        for table, paths in sources.items():
            if paths[0].suffix == ".parquet":
                raw[table] = engine.read_parquet(paths)
            else:
                raw[table] = engine.staged(paths, cache / "tables" / f"{table}-text.parquet", settings)
        study = _assemble(
            settings.name or name,
            engine,
            raw,
            settings,
            strict,
            fingerprint=fingerprint,
            cache=cache,
            files=before,
            noted=_unread(folder),
        )
    finally:
        # Whatever was found or kept while a file changed says nothing about either of its versions.
        _refuse_changed(before, cache)
    truths = folder / "truth.parquet"
    return replace(study, truths=truths if truths.exists() else None)


def _refuse_changed(files: Mapping[Path, tuple[int, int]], cache: Path | None) -> None:
    """CxValueError where a file is not what it was when the study was opened; what was kept is dropped."""
    for path, then in files.items():
        try:
            changed = "" if _stat(path) == then else "has changed"
        except OSError:
            changed = "is gone"
        if changed:
            if cache is not None:
                shutil.rmtree(cache, ignore_errors=True)
            raise CxValueError(f"{path.name} {changed} since the study was opened. Open it again.")


def _unread(folder: Path) -> list[Finding]:
    """Warnings for files that look like tables of the contract and are not."""
    found = []
    for path in sorted(folder.iterdir()):
        stem = path.name.split(".")[0].lower()
        hint = did_you_mean(stem, TABLES)
        data = path.is_file() and path.suffix.lower() in (".csv", ".parquet", ".tsv", ".gz", ".xlsx", ".json")
        if (
            data
            and hint
            and path.name not in {f"{table}{kind}" for table in TABLES for kind in (".csv", ".parquet")}
        ):
            advice = f"Tables are <table>.csv or <table>.parquet.{hint}"
            found.append(Finding(path.name, "", "this file is not read", 0, advice, blocks=False))
    return found


def _settings(folder: Path) -> Settings:
    path = folder / "study.yaml"
    if not path.exists():
        return Settings()
    try:
        values = yaml.safe_load(path.read_text("utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise CxValueError(f"{path} is not YAML: {error}. Write lines such as `currency: EUR`.") from error
    return Settings.parse(values or {}, "study.yaml")


def _sources(folder: Path) -> dict[str, list[Path]]:
    """The files of each table present; two forms of one table are refused."""
    sources = {}
    for table in TABLES:
        forms = []
        for path in (folder / f"{table}.parquet", folder / f"{table}.csv"):
            if path.is_file():
                forms.append([path])
        if (folder / table).is_dir():
            parts = [p for p in sorted((folder / table).iterdir()) if p.suffix in (".parquet", ".csv")]
            if len({p.suffix for p in parts}) > 1:
                raise CxValueError(f"{table}/ mixes CSV and Parquet parts. Keep one kind.")
            if parts:
                forms.append(parts)
        if len(forms) > 1:
            names = " and ".join(str(paths[0].relative_to(folder)) for paths in forms)
            raise CxValueError(f"The table {table} is there twice: {names}. Keep one.")
        if forms:
            sources[table] = forms[0]
    return sources


def _stat(path: Path) -> tuple[int, int]:
    now = path.stat()
    return now.st_size, now.st_mtime_ns


def _fingerprint(folder: Path, sources: Mapping[str, Sequence[Path]], settings: Settings | None) -> str:
    """A digest of the study's contents and of settings that differ from its file's: the same wherever the
    folder lies, another if a byte changes."""
    digest = hashlib.blake2b(digest_size=16)
    files = [path for paths in sources.values() for path in paths]
    files += [p for p in (folder / "study.yaml",) if p.exists()]
    for path in files:
        digest.update(str(path.relative_to(folder)).encode())
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "blake2b").digest())
    if settings is not None:
        digest.update(json.dumps(asdict(settings)).encode())
    return digest.hexdigest()


def _assemble(
    name: str,
    engine: Engine,
    raw: dict[str, ir.Table],
    settings: Settings,
    strict: bool,
    *,
    fingerprint: str = "",
    cache: Path | None = None,
    files: Mapping[Path, tuple[int, int]] | None = None,
    noted: Sequence[Finding] = (),
) -> Study:
    report = _checked(engine, raw, settings, cache)
    report = replace(report, found=(*report.found, *noted))
    if strict and report.violations:
        raise ContractViolations(f"The study `{name}` breaks the contract.\n{report}", report.violations)
    tables = {}
    for table, frame in raw.items():
        if not report.rows[table]:
            continue
        view = typed(frame, TABLES[table], settings)
        if cache is not None and not report.violations:
            view = engine.settled(view, frame, cache / "tables" / f"{table}-{_code()[:8]}.parquet", settings)
        elif settings.time_zone != "UTC":
            with engine.in_zone(settings.time_zone):  # lazily, its times would be read in UTC later on
                view = engine.keep(view)
        tables[table] = complete(view, TABLES[table])
    given = {table: tuple(frame.columns) for table, frame in raw.items()}
    return Study(name, settings, tables, report, engine, given, fingerprint, cache, files or {})


def _checked(engine: Engine, raw: dict[str, ir.Table], settings: Settings, cache: Path | None) -> Findings:
    """The findings of every table, remembered for a study on disk that has no violation.

    Keys that are text but whole numbers all of them become integers in `raw`: else the same events would
    be ordered otherwise in a CSV file than in a Parquet file.
    """
    path = cache / f"checked-{_code()[:16]}.json" if cache else None
    if path is not None and path.exists():
        try:
            kept = json.loads(path.read_text("utf-8"))
            found = [
                Finding(**{**finding, "examples": tuple(finding["examples"])}) for finding in kept["found"]
            ]
            _number(raw, kept["numbered"])
            return Findings(kept["rows"], tuple(found))
        except (ValueError, KeyError, TypeError, AttributeError):
            path.unlink(missing_ok=True)
    rows, found = {}, []
    with engine.in_zone(settings.time_zone):
        numbered = {}
        for table, frame in raw.items():
            with _naming(table):
                numbered[table] = _whole_keys(engine, table, frame)
        _number(raw, numbered)
        for table, frame in raw.items():
            others = {other: expr for other, expr in raw.items() if other != table}
            with _naming(table):
                rows[table], more = findings(frame, TABLES[table], settings, others, engine.fetch)
            found += more
    report = Findings(rows, tuple(found))
    if path is not None and not report.violations:
        kept = {"rows": rows, "found": [asdict(finding) for finding in found], "numbered": numbered}
        with replacing(path) as unfinished:
            unfinished.write_text(json.dumps(kept), "utf-8")
    return report


@contextmanager
def _naming(table: str) -> Iterator[None]:
    """Says which table an error on reading is about."""
    try:
        yield
    except CxValueError as error:
        raise CxValueError(f"{table}: {error}") from error


def _whole_keys(engine: Engine, table: str, frame: ir.Table) -> list[str]:
    """The text columns of kind key that hold whole numbers only, without leading noughts."""
    keys = [c.name for c in TABLES[table].columns if c.kind == "key" and c.name in frame.columns]
    texts = [name for name in keys if frame[name].type().is_string()]
    if not texts:
        return []
    others = {name: (~frame[name].re_search(r"^(0|[1-9][0-9]{0,17})$")).sum().fill_null(0) for name in texts}
    counts = engine.fetch(frame.aggregate(**others)).iloc[0]
    return [name for name in texts if counts[name] == 0]


def _number(raw: dict[str, ir.Table], numbered: Mapping[str, Sequence[str]]) -> None:
    for table, names in numbered.items():
        raw[table] = raw[table].mutate(**{name: raw[table][name].cast("int64") for name in names})


def _digest(*parts: object) -> str:
    return hashlib.blake2b(
        json.dumps(parts, sort_keys=True, default=str).encode(), digest_size=10
    ).hexdigest()


@functools.cache
def _code() -> str:
    """A digest of the package's own sources, so that no cache outlives the code that filled it."""
    digest = hashlib.blake2b(digest_size=16)
    package = Path(__file__).resolve().parents[1]
    for path in sorted(package.rglob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()
