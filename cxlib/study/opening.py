"""Opening a study from a name, a folder, frames or a connection: checked once, converted once."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import ibis.expr.types as ir

from cxlib import readers
from cxlib.contract import TABLES, Finding, Findings, Settings, complete, findings, typed
from cxlib.errors import ContractViolations, CxValueError, UnknownStudy, did_you_mean
from cxlib.study import intake, registry
from cxlib.study.engine import Engine, embedded, memory, replacing
from cxlib.study.fingerprints import code_digest, fingerprint_of, refuse_changed, state_of
from cxlib.study.folders import mapping_of, original, public, settings_of, sources_of, unread
from cxlib.study.study import Study

DEMO = Path(__file__).resolve().parents[2] / "data" / "demo"


def open_study(where: Any = "demo", **settings: Any) -> Study:
    """Open a study: `"demo"`, a public data set's name, a folder, frames, or an Ibis connection.

    A folder holds `<table>.parquet`, `<table>.csv` or a directory `<table>/` of parts for any of the
    contract's tables, and may hold a `study.yaml` (see `cxlib.contract.Settings`). `settings` are the
    entries of a `study.yaml`, for frames and connections, which have none; a folder's they override. A
    folder of the original files of a public data set (all of Olist's, say) is converted as by its name, and
    one whose `study.yaml` names `sources` as that says (see `cxlib.readers.mapping`).

    >>> import pandas as pd
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


def unchecked(folder: Path) -> Study:
    """The study in a folder, whatever the contract's check finds."""
    return _open(folder, {}, strict=False)


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
        return _open_folder(public(str(where)), str(where), given, strict)
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


def _open_folder(folder: Path, name: str, given: Mapping[str, Any], strict: bool) -> Study:
    stated = Settings.parse(given, "open_study")
    settings = replace(
        settings_of(folder), **{k: getattr(stated, k) for k, v in given.items() if v is not None}
    )
    if mapping := mapping_of(folder):
        return _open_folder(intake.converted(folder, mapping, settings), name, {}, strict)
    sources = sources_of(folder)
    if not sources and (copy := original(folder)):
        return _open_folder(copy, name, given, strict)
    if not sources:
        present = ", ".join(sorted(p.name for p in folder.iterdir())[:8]) or "nothing"
        raise UnknownStudy(
            f"The folder `{folder}` holds none of the contract's tables; it holds: {present}. "
            f"Name the files after the tables: {', '.join(f'{t}.csv' for t in TABLES)} (or .parquet)."
        )
    before = {path: state_of(path) for paths in sources.values() for path in paths}
    fingerprint = fingerprint_of(folder, sources, settings if given else None)
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
            noted=[*unread(folder), *intake.noted(folder)],
        )
    finally:
        # Whatever was found or kept while a file changed says nothing about either of its versions.
        refuse_changed(before, cache)
    truths = folder / "truth.parquet"
    return replace(study, truths=truths if truths.exists() else None)


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
            view = engine.settled(
                view, frame, cache / "tables" / f"{table}-{code_digest()[:8]}.parquet", settings
            )
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
    path = cache / f"checked-{code_digest()[:16]}.json" if cache else None
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
