"""Exports become contract tables: each file converted once into a part, all parts settled into one study.

Parts are written whole or not at all and are named by all that they depend on (see `cxlib.study.parts`), so
a run that was killed goes on where it was, and only what changed is converted again. What looks at several
files (`each`, `unique`, the catalog) is done when all parts are there; the study's folder then appears by
one rename.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import ibis
import ibis.expr.types as ir
import pandas as pd
import yaml
from tqdm import tqdm

from cxlib.contract import TABLES, Finding, Settings
from cxlib.errors import CxValueError, did_you_mean
from cxlib.readers.mapping import Entry, Mapping, Source
from cxlib.study import registry
from cxlib.study.engine import Engine, frugal
from cxlib.study.fingerprints import code_digest, digest_of, refuse_changed, sha256_of, state_of
from cxlib.study.folders import made_whole, sources_of
from cxlib.study.parts import Door, Job, convert, counted, lacking, names_in
from cxlib.study.pseudonyms import forgotten, key_of

NOTES = "intake.json"
"""In a converted folder: rows read and kept of each table's files, and the warnings."""


@contextmanager
def _said_plainly() -> Iterator[None]:
    """Turns what the machine refuses (no permission, no room, a folder for a file) into our error."""
    try:
        yield
    except OSError as error:
        what = error.filename or "A file"
        raise CxValueError(
            f"{what} cannot be read or written: {error.strerror or error}. Mend that, and try again."
        ) from error


@_said_plainly()
def converted(folder: Path, mapping: Mapping, settings: Settings) -> Path:
    """The folder of contract tables that a study's sources make: from the cache, or converted into it.

    CxValueError where files are missing or cannot be read as the mapping says, with lines and examples.
    """
    gone, hide = forgotten(folder), mapping.identifiers == "hash"
    door = Door(key_of(folder, make=True) if hide or gone else None, hide, gone)
    given = [(source, _files(folder, source)) for source in mapping.sources]
    given += _beside(folder, settings, mapping, {path for _, paths in given for path in paths})
    before = {path: state_of(path) for _, paths in given for path in paths}
    sums, jobs, home = {path: sha256_of(path) for path in before}, [], _home(folder)
    for source, paths in given:
        for entry in source.tables:
            how = [
                asdict(replace(source, file="", tables=())),
                asdict(entry),
                settings.currency,
                asdict(door),
            ]
            names = {path: digest_of(sums[path], path.name, how, code_digest()) for path in paths}
            jobs.append(
                Job(source, entry, {p: home / "parts" / f"{name}.parquet" for p, name in names.items()})
            )
    whole = [[part.name for part in job.parts.values()] for job in jobs]
    out = home / f"study-{digest_of(whole, asdict(settings), mapping.catalog)}"
    if (out / "study.yaml").exists():
        if all(map(Engine.readable, out.rglob("*.parquet"))):
            return out
        (out / "study.yaml").unlink()  # a table was damaged: the folder is made anew
    _sweep(home)
    with made_whole(out) as unfinished:
        (unfinished / "scratch").mkdir()
        notes = _convert(jobs, mapping, settings, door, unfinished)
        refuse_changed(before, None)
        shutil.rmtree(unfinished / "scratch")
        said = {name: value for name, value in asdict(settings).items() if value} | {"money": "minor"}
        said = {name: list(v) if isinstance(v, tuple) else v for name, v in said.items()}
        for done in ("delimiter", "encoding"):
            said.pop(done, None)
        (unfinished / NOTES).write_text(json.dumps(notes, ensure_ascii=False, indent=1), "utf-8")
        (unfinished / "study.yaml").write_text(yaml.safe_dump(said, allow_unicode=True), "utf-8")
    return out


def clear(folder: Path) -> None:
    """Take away all that was converted for the study in a folder."""
    shutil.rmtree(_home(folder), ignore_errors=True)


def noted(folder: Path) -> list[Finding]:
    """The warnings of the conversion that made a folder; none of any other folder."""
    path = folder / NOTES
    kept = json.loads(path.read_text("utf-8"))["warnings"] if path.exists() else []
    return [Finding(**{**finding, "examples": tuple(finding["examples"])}) for finding in kept]


def _home(folder: Path) -> Path:
    return registry.where() / "intake" / digest_of(str(folder.resolve()))


def _sweep(home: Path) -> None:
    """Take away what killed runs left half-written."""
    for path in [*home.glob(".study-*"), *home.glob("parts/.*")]:
        if time.time() - path.stat().st_mtime > 86_400:  # a day: other runs may be at work
            shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(missing_ok=True)


def _files(folder: Path, source: Source) -> list[Path]:
    """The files that a source names, sorted."""
    path = folder / source.file
    if os.path.isfile(path):
        return [path]
    base = Path(path.anchor) if path.is_absolute() else folder
    found: list[Path] = []
    with suppress(OSError):  # a name that no file can have
        found = sorted(p for p in base.glob(os.path.relpath(path, base)) if p.is_file())
    if not found:
        there = sorted(p.name for p in path.parent.iterdir() if p.is_file()) if path.parent.is_dir() else []
        listed = (
            f"That folder holds: {', '.join(there[:8]) or 'no file'}."
            if path.parent.is_dir()
            else "There is no such folder."
        )
        raise CxValueError(f"study.yaml: no file {source.file}.{did_you_mean(path.name, there)} {listed}")
    return found


def _beside(
    folder: Path, settings: Settings, mapping: Mapping, taken: set[Path]
) -> list[tuple[Source, list[Path]]]:
    """Contract tables that lie beside the sources: they come in through the same door."""
    mapped = {entry.table for source in mapping.sources for entry in source.tables}
    mapped |= {"catalog"} if mapping.catalog else set()
    found = []
    for table, paths in sources_of(folder).items():
        if taken & set(paths):
            continue
        if table in mapped:
            raise CxValueError(
                f"The table {table} is made by study.yaml and lies there as {paths[0].name}. Keep one."
            )
        how: dict[str, Any] = {
            "delimiter": settings.delimiter,
            "encoding": settings.encoding,
            "zone": settings.time_zone,
        }
        form = "parquet" if paths[0].suffix == ".parquet" else "csv"
        found.append(
            (Source(table, form, (Entry(table, {}),), money=settings.money or "minor", **how), paths)
        )
    return found


def _convert(
    jobs: Sequence[Job], mapping: Mapping, settings: Settings, door: Door, out: Path
) -> dict[str, Any]:
    """Write the parts that are missing, then the tables; returns what `intake.json` says."""
    engine = frugal()
    sizes = {part: file.stat().st_size for job in jobs for file, part in job.parts.items()}
    with tqdm(total=sum(sizes.values()), unit="B", unit_scale=True, leave=False, disable=None) as bar:
        for job in jobs:
            for file, part in job.parts.items():
                bar.set_description(f"{file.name}: {job.entry.table}")
                start = bar.n

                def tell(share: float, start: float = start, size: int = sizes[part]) -> None:
                    bar.update(start + int(size * share) - bar.n)

                if not engine.readable(part):
                    convert(engine, job, file, settings, door, out / "scratch", tell)
                tell(1.0)
    files: list[dict[str, Any]] = []
    warnings: list[Finding] = []
    for number, job in enumerate(jobs):
        files += _settle(
            engine, job, out / job.entry.table / f"{number:03}.parquet", out / "scratch", warnings
        )
    if mapping.catalog:
        _catalog(engine, mapping, out)
    return {"files": files, "warnings": [asdict(finding) for finding in warnings]}


def _settle(
    engine: Engine, job: Job, path: Path, scratch: Path, warnings: list[Finding]
) -> list[dict[str, Any]]:
    """Write one table from its parts: rows kept, groups made one, copies gone; all of it counted."""
    entry, source = job.entry, job.source
    counts = {file: counted(engine, engine.read_parquet([part])) for file, part in job.parts.items()}
    table = engine.read_parquet(list(job.parts.values()))
    total = {
        name: sum(count.get(name, 0) for count in counts.values()) for name in set().union(*counts.values())
    }
    unseen = [
        name.removeprefix("seen:") for name in table.columns if name.startswith("seen:") and not total[name]
    ]
    if source.records and not total["rows"]:
        raise CxValueError(
            f"{source.file} has no list of records at `{source.records}`. Mend `records` in study.yaml."
        )
    if unseen and total["rows"]:
        raise lacking(source.file, unseen[0], entry.table, names_in(engine, job, scratch))

    def warn(rows: int, problem: str, advice: str, column: str = "") -> None:
        if rows:
            warnings.append(
                Finding(entry.table, column, f"{problem} ({source.file})", rows, advice, blocks=False)
            )

    if "gone:" in table.columns:
        table = table.anti_join(table.filter(table["gone:"]).select("group:").distinct(), "group:")
    if "kept:" in table.columns:
        warn(total["rows"] - total["kept"], "left out by `where`", "As study.yaml says.")
        table = table.filter(table["kept:"])
    wrong = [name for name in table.columns if name.startswith("wrong:")]
    for name in wrong:
        warn(total[f"{name}=1"], "cannot be read, left out", "Mend the file.", name.removeprefix("wrong:"))
    spoilt = ibis.or_(*(table[name] > 0 for name in wrong)) if wrong else ibis.literal(False)
    if entry.each:
        table = _grouped(engine, table.mutate(**{"spoilt:": spoilt}), job, scratch, warn)
    elif wrong:
        table = table.filter(~spoilt)
    if entry.unique:
        table = _latest(engine, table, entry, scratch, warn)
    engine.keep(table.drop(*(name for name in table.columns if ":" in name)), path)
    return [
        {"file": file.name, "table": entry.table, "rows": count["rows"], "kept": count["kept"]}
        for file, count in counts.items()
    ]


def _grouped(engine: Engine, table: ir.Table, job: Job, scratch: Path, warn: Any) -> ir.Table:
    """One row for each group: the earliest time, sums where asked for, else the one value that there is."""
    entry, name = job.entry, " and ".join(job.entry.each)
    alone = int(engine.fetch(table.aggregate(n=table["group:"].isnull().sum()))["n"].fillna(0).iloc[0])
    warn(alone, f"no {name}, left out", f"`each: {name}` cannot place such rows.")
    table = table.filter(table["group:"].notnull())
    made: dict[str, Any] = {"spoilt:": table["spoilt:"].max()}
    for column in table.columns:
        value: Any = table[column]
        if ":" in column:
            continue
        if column in entry.columns and entry.columns[column].sum:
            # A sum of whole numbers is wider than they are, and a Parquet file would hold it as a float.
            exact = value.sum().cast("decimal(38, 0)").cast("int64")
            made[column] = exact if value.type().is_integer() else value.sum()
        elif value.type().is_timestamp():
            made[column] = value.min()
        else:
            made[column], made[f"several:{column}"] = value.max(), value.nunique() > 1
    groups = engine.keep(
        table.group_by("group:").aggregate(**made), scratch / f"{entry.table}-{id(job)}.parquet"
    )
    several = [column for column in groups.columns if column.startswith("several:")]
    counts = (
        engine.fetch(groups.aggregate(**{c: groups[c].sum() for c in [*several, "spoilt:"]}))
        .iloc[0]
        .fillna(0)
    )
    for flag in several:
        column = flag.removeprefix("several:")
        kinds = {c.name: c.kind for c in TABLES[entry.table].columns}
        if counts[flag] and (kinds.get(column) == "money" or column == "currency"):
            shown = engine.fetch(groups.filter(groups[flag]).select(key="group:").order_by("key").limit(3))[
                "key"
            ]
            raise CxValueError(
                f"{job.source.file}, table {entry.table}, column {column}: {int(counts[flag]):,} time(s) the rows of one {name} "
                f"have several amounts or currencies, such as {', '.join(f'`{key}`' for key in shown)}. Write "
                "`sum: true` to have amounts of one currency added up, or name a column that says the same in all rows."
            )
        warn(
            int(counts[flag]),
            f"several values in the rows of one {name}, the greatest taken",
            "Check the column.",
            column,
        )
    warn(int(counts["spoilt:"]), f"all rows of one {name}, of which one cannot be read, left out", "Mend it.")
    return groups.filter(~groups["spoilt:"])


def _latest(engine: Engine, table: ir.Table, entry: Entry, scratch: Path, warn: Any) -> ir.Table:
    """Of rows that are the same in `unique` the one with the greatest `latest`, and among those any, but always
    the same one."""
    repeated = table.group_by("group:").aggregate(n=table.count())
    repeated = engine.keep(repeated.filter(repeated.n > 1), scratch / f"{entry.table}-{id(entry)}.parquet")
    counts = engine.fetch(repeated.aggregate(n=repeated.n.sum(), kept=repeated.count())).iloc[0].fillna(0)
    copies = int(counts["n"] - counts["kept"])
    warn(copies, f"the same as another in {', '.join(entry.unique)}, left out", "As study.yaml says.")
    if not copies:
        return table
    names = [name for name in table.columns if ":" not in name]
    order = [name for name in table.columns if name.startswith("latest:")] + names
    same = table.semi_join(repeated, "group:")
    row = ibis.struct({f"c{i}": same[name] for i, name in enumerate(order)})
    best = same.group_by("group:").aggregate(row=row.max())
    best = best.select(**{name: best.row[f"c{order.index(name)}"] for name in names})
    return table.anti_join(repeated, "group:").select(*names).union(best)


def _catalog(engine: Engine, mapping: Mapping, out: Path) -> None:
    """The catalog of the touchpoints that occur, each by the first pattern that fits, and of those named."""
    names = {pattern for pattern, _ in mapping.catalog if "*" not in pattern}
    if parts := sorted((out / "touchpoints").glob("*.parquet")):
        kinds = engine.read_parquet(parts).select("touchpoint").distinct().limit(10_000)
        names |= set(engine.fetch(kinds)["touchpoint"].dropna())
    rows = []
    for name in sorted(names):
        for pattern, row in mapping.catalog:
            if re.fullmatch(re.escape(pattern).replace(r"\*", ".*"), name, re.DOTALL):
                rows.append((name, *row, *[None] * (4 - len(row))))
                break
    columns = ["touchpoint", "channel", "stage", "ownership", "mode"]
    pd.DataFrame(rows, columns=columns, dtype="str").to_parquet(out / "catalog.parquet", index=False)
