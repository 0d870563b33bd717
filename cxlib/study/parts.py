"""One file of an export becomes one part: a Parquet file with the columns of one table, converted.

Beside each column that may be unreadable stands its code (`wrong:ts`, see `cxlib.readers.rules`); `kept:` is
what `where` says of the row, `group:` names rows that belong together, `latest:` orders copies, `seen:`
tells whether a JSON record has a name at all, `gone:` marks (in groups) the rows of persons who are to be
forgotten. No contract table has a colon in a column's name.
"""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import ibis
import ibis.expr.types as ir
import pyarrow as pa
from pyarrow import parquet

from cxlib.contract import TABLES, Settings
from cxlib.errors import CxValueError, did_you_mean
from cxlib.readers import raw, rules, sheets
from cxlib.readers.mapping import Entry, Rule, Source
from cxlib.study.engine import Engine, Misread
from cxlib.study.pseudonyms import PERSONS, disguised, pseudonyms

AMOUNTS = ("value", "revenue", "margin", "unit_cost", "acquisition_cost")
_NUMBERS = 'Say how numbers are written (`decimal: ","`, `thousands: "."`)'
UNREADABLE = {
    "time": (
        "no time",
        "Say how times are written (`dates: day-first`, `month-first`, or a format such as `%d %b %Y %H:%M`)",
    ),
    "money": ("no amount", _NUMBERS),
    "number": ("no number", _NUMBERS),
    "integer": ("no whole number", _NUMBERS),
    "flag": ("neither true nor false", "Put a `map` of the values to true and false"),
    "text": ("not in the `map`", "Add what is missing, or write `else: ...` or `others: keep`"),
}


@dataclass(frozen=True)
class Door:
    """What becomes of identifiers: the study's key, whether ids are hidden, who is left out for good."""

    key: str | None
    hide: bool
    gone: tuple[str, ...] = ()


@dataclass(frozen=True)
class Job:
    """One table entry of a source, and the part that each of its files becomes."""

    source: Source
    entry: Entry
    parts: Mapping[Path, Path]


@dataclass(frozen=True)
class _Raw:
    """A raw file on the engine: its columns by their names in the file (None: JSON), and its records with
    the line each begins on (None where it has no lines)."""

    table: ir.Table
    columns: Mapping[str, str] | None
    walk: Callable[[], Iterator[tuple[int, Any]]] | None = None


def convert(
    engine: Engine,
    job: Job,
    file: Path,
    settings: Settings,
    door: Door,
    scratch: Path,
    tell: Callable[[float], None],
) -> None:
    """Write the part of one file. CxValueError where a column is not there, or where a value cannot be read
    and the source does not say that such rows are dropped."""
    source, part = job.source, job.parts[file]

    def write(mend: bool) -> _Raw:
        given = _raw(engine, file, source, scratch, mend)
        engine.write(_columns(given, job, file, settings, door), part, file, tell)
        return given

    try:
        given = write(mend=False)
    except Misread:
        if source.format == "json" and raw.form_of(file, source.encoding) == "newline_delimited":
            for _ in raw.json_lines(file, source.encoding):  # raises at the line that is wrong
                pass
        if source.format != "csv":
            raise
        given = write(mend=True)  # raises at the line that is wrong, or mends what engines stumble over
    counts = counted(engine, engine.read_parquet([part]))
    wrong = {name.split("=")[0] for name, n in counts.items() if n and name.startswith("wrong:")}
    if wrong and (source.unreadable == "refuse" or any(counts[f"{name}=2"] for name in wrong)):
        part.unlink()
        numbered = given.table.mutate(**{"row:number": ibis.row_number() + 1})
        broken = _columns(replace(given, table=numbered), job, file, settings, door, texts=True)
        said = [_said(engine, broken, name, counts, given, job) for name in broken.columns if name in wrong]
        raise CxValueError("\n".join(f"{file.name}, table {job.entry.table}, {text}" for text in said[:5]))


def counted(engine: Engine, table: ir.Table) -> dict[str, int]:
    """Rows of a part (or of several), rows kept, and of those the ones with each code, and names seen."""
    kept = table["kept:"] if "kept:" in table.columns else ibis.literal(True)
    measures = {"rows": table.count(), "kept": kept.sum() if "kept:" in table.columns else table.count()}
    for name in table.columns:
        if name.startswith("wrong:"):
            measures |= {f"{name}={code}": ((table[name] == code) & kept).sum() for code in (1, 2)}
        elif name.startswith("seen:"):
            measures[name] = table[name].sum()
    return {name: int(n) for name, n in engine.fetch(table.aggregate(**measures)).fillna(0).iloc[0].items()}


def lacking(file: str, name: str, table: str, there: Sequence[str]) -> CxValueError:
    """The error for a column that a file has not."""
    listed = ", ".join(there[:30]) + (", ..." if len(there) > 30 else "")
    hint = did_you_mean(next((other for other in there if other.lower() == name.lower()), name), there)
    return CxValueError(
        f"{file} has no column `{name}`, which the table {table} reads.{hint} It has: {listed}. "
        f"Mend the name in study.yaml, or write `{{column: {name}, optional: true}}` where files may lack it."
    )


def names_in(engine: Engine, job: Job, scratch: Path) -> list[str]:
    """Names that the first records of a job's JSON files have, those inside others with their path."""
    found: dict[str, None] = {}
    table: Any = _raw(engine, next(iter(job.parts)), job.source, scratch).table
    for text in engine.fetch(table.select(text=table.json.cast("string")).limit(50))["text"]:
        try:
            document = json.loads(text)
        except RecursionError:
            continue
        for name, value in document.items() if isinstance(document, dict) else ():
            inner = value if isinstance(value, dict) else {}
            found |= dict.fromkeys([name, *(f"{name}.{field}" for field in inner)])
    return list(found)


def _raw(engine: Engine, file: Path, source: Source, scratch: Path, mend: bool = False) -> _Raw:
    """The file on the engine; by way of a copy where the engine cannot read it as it lies."""
    copy = scratch / f"copy{'.parquet' if source.format in ('excel', 'xes') else '.txt'}"
    raw.check_packed(file)
    if source.format == "csv":
        layout = given = raw.layout_of(file, source)
        if mend or not layout.plain:
            given = raw.rewritten(file, layout, copy)
        else:
            raw.check_widths(file, layout)
        columns = {name: f"c{i}" for i, name in enumerate(layout.names)}
        table = engine.text(file if given is layout else copy, given)
        return _Raw(table, columns, lambda: raw.records(file, layout))
    if source.format == "excel":
        names, rows = sheets.sheet(file, source)
        columns = {name: f"c{i}" for i, name in enumerate(names)}
        cells = list(zip(*(row for _, row in rows), strict=True)) or [()] * len(names)
        texts = {column: pa.array(cells[i], pa.string()) for i, column in enumerate(columns.values())}
        parquet.write_table(pa.table(texts), copy)
        return _Raw(engine.read_parquet([copy]), columns, lambda: sheets.sheet(file, source)[1])
    if source.format == "json":
        form, path = raw.form_of(file, source.encoding), raw.unmarked(file, source.encoding, copy)
        table = engine.documents(path, form)
        if source.records:
            return _Raw(rules.items(table, source.records), None)
        return _Raw(
            table,
            None,
            (lambda: raw.json_lines(file, source.encoding)) if form == "newline_delimited" else None,
        )
    if source.format == "xes":
        importlib.import_module("cxlib.readers.xes").flatten(file, copy)
    table = engine.read_parquet([copy if source.format == "xes" else file])
    return _Raw(table, {name: name for name in table.columns})


def _columns(
    given: _Raw, job: Job, file: Path, settings: Settings, door: Door, texts: bool = False
) -> ir.Table:
    """The columns of a part; with `texts`, what stands in the file and in which row instead of the values."""
    source, entry = job.source, _spelt_out(job.entry, given)
    kinds = {column.name: column.kind for column in TABLES[entry.table].columns}
    found, needed = _found(given, entry, file)
    table, currency = found.table, ibis.literal(source.currency or settings.currency)
    if "currency" in entry.columns:
        column = rules.filled(entry.columns["currency"], "text", source, found, file.name)
        table, named = rules.compiled(table, {"currency of rows": column})
        currency = ibis.coalesce(named["currency of rows"].value, currency)
    steps = {
        name: rules.filled(rule, kinds.get(name, rule.kind), source, found, file.name, currency)
        for name, rule in entry.columns.items()
    }
    for condition in [c for several in entry.where for c in several if c.test in ("over", "under")]:
        rule = Rule("column", condition.column)
        steps[f"where:{condition.column}"] = rules.filled(rule, "number", source, found, file.name)
    table, cells = rules.compiled(table, steps)
    beside = {
        f"wrong:{name}": cell.wrong.cast("int8") for name, cell in cells.items() if cell.wrong is not None
    }
    compared = {name.removeprefix("where:"): cell for name, cell in cells.items()}
    if (kept := rules.kept(entry, found, compared)) is not None:
        beside["kept:"] = kept
    if texts:
        shown = {name: cell.text for name, cell in cells.items()}
        return table.select(**shown, **beside, **{"row:number": table["row:number"]})
    values = {name: cells[name].value for name in entry.columns}
    if source.currency and "currency" in kinds and set(AMOUNTS) & set(values):
        values["currency"] = currency
    if together := entry.each or entry.unique:
        parts = [rules.as_text(found.values[name], name) for name in together]
        beside["group:"] = _joined(parts if entry.each else [part.fill_null("") for part in parts])
    if entry.latest:
        latest = rules.as_text(found.values[entry.latest], entry.latest)
        number = latest.try_cast("float64").fill_null(float("-inf"))
        beside |= {"latest:number": number, "latest:text": latest.fill_null("")}
    beside |= {f"seen:{name}": found.types[name].notnull() for name in needed if name in found.types}
    if door.key and door.hide:
        values = disguised(values, source, entry, door.key)
    if not (door.key and door.gone):
        return table.select(**values, **beside)
    shown = {
        name: values[name] if door.hide else pseudonyms(values[name], door.key)
        for name in PERSONS
        if name in values
    }
    listed = {name: person.isin(door.gone).fill_null(False) for name, person in shown.items()}
    if "referred_by" in listed:  # the row is somebody else's
        values["referred_by"] = listed.pop("referred_by").ifelse(ibis.null("string"), values["referred_by"])
    gone = ibis.or_(*listed.values()) if listed else ibis.literal(False)
    if not entry.each:
        return table.filter(~gone).select(**values, **beside)
    # Only one row of a group may name the person: the rest is found by the group, when all parts are there.
    values = {name: gone.ifelse(ibis.null(value.type()), value) for name, value in values.items()}
    return table.select(**values, **beside, **{"gone:": gone})


def _spelt_out(entry: Entry, given: _Raw) -> Entry:
    """The entry with a rule for every column where it has none at all: a contract table as it lies."""
    if entry.columns or given.columns is None:
        return entry
    columns = {}
    for name, at in given.columns.items():
        has = given.table[at].type()
        kind = "integer" if has.is_integer() else "number" if has.is_numeric() else "text"
        kind = "time" if has.is_timestamp() else "flag" if has.is_boolean() else kind
        columns[name] = Rule("column", name, kind=kind)
    return replace(entry, columns=columns)


def _found(given: _Raw, entry: Entry, file: Path) -> tuple[rules.Fields, list[str]]:
    """The fields that an entry reads, empty where the file lacks them and may, and those it must have."""
    read = [pair for rule in entry.columns.values() for pair in rule.names()]
    read += [(condition.column, False) for several in entry.where for condition in several]
    read += [(name, False) for name in (*entry.each, *entry.unique, entry.latest) if name]
    optional = {name for name, may_lack in read if may_lack}
    table, names = given.table, dict.fromkeys(name for name, _ in read)
    if "row:number" not in table.columns and any(rule.numbered for rule in entry.columns.values()):
        table = table.mutate(**{"row:number": ibis.row_number() + 1})
    found = rules.fields(table, names, given.columns)
    for name in names:
        if name not in found.values and name not in optional:
            raise lacking(file.name, name, entry.table, found.there)
    found = replace(found, values={name: found.values.get(name, ibis.null("string")) for name in names})
    return found, [name for name in names if name not in optional]


def _joined(texts: Sequence[Any]) -> Any:
    joined = texts[0]
    for text in texts[1:]:
        joined = joined.concat("\x1f", text)
    return joined


def _said(
    engine: Engine, broken: ir.Table, wrong: str, counts: Mapping[str, int], given: _Raw, job: Job
) -> str:
    """What is unreadable in a column: how many values, three of them with their lines, and what to do."""
    column, entry = wrong.removeprefix("wrong:"), _spelt_out(job.entry, given)
    code = 2 if counts[f"{wrong}=2"] else 1
    kept = broken["kept:"] if "kept:" in broken.columns else True
    rows = broken.filter((broken[wrong] == code) & kept).select(row="row:number", text=column)
    frame = engine.fetch(rows.order_by("row").limit(3))
    lines = {row: f"record {row}" for row in frame["row"]}
    if given.walk is not None and len(frame):
        for row, (line, _) in enumerate(given.walk(), start=1):
            if row in lines:
                lines[row] = f"line {line}"
            if row >= frame["row"].max():
                break
    texts = [text.replace("\r", "\\r").replace("\n", "\\n") for text in frame["text"]]
    texts = [text if len(text) < 80 else f"{text[:77]}..." for text in texts]
    shown = ", ".join(f"`{text}` ({lines[row]})" for row, text in zip(frame["row"], texts, strict=True))
    compared = column.removeprefix("where:")
    rule = entry.columns.get(column) or Rule("column", compared, kind="number")
    kind = next((c.kind for c in TABLES[entry.table].columns if c.name == column), rule.kind)
    names = " and ".join(f"`{name}`" for name, _ in rule.names())
    what = f"`where` {names}" if compared != column else f"column {column}"
    what += f" (from {names})" if names not in (f"`{column}`", f"`{compared}`") else ""
    count = counts[f"{wrong}={code}"]
    values = f"{count:,} value{' is' if count == 1 else 's are'}"
    if code == 2:
        return (
            f"{what}: {values} times without an offset, such as {shown}. Say which clock they were written by: "
            "`zone: Europe/Rome`, or `zone: UTC`."
        )
    problem, advice = UNREADABLE.get(kind, UNREADABLE["text"])
    if shown.startswith(("`{", "`[")):
        problem, advice = "a record or a list", "Name a part of it, such as `a.b`"
    elif kind in ("id", "key") and frame["text"].str.contains("[\r\n]").any():
        problem, advice = "an id with a line break within", "Close the quote that swallowed further rows"
    elif rule.whole:
        problem, advice = "no whole number of up to 15 digits", "Export ids as text: a float has lost digits"
    elif kind in ("id", "key") and not rule.map:
        problem, advice = (
            "a number that has been a float, not an id",
            "Write `whole: true`, or export ids as text",
        )
    return (
        f"{what}: {values} {problem}: {shown}. {advice}, mend the file, or write `unreadable: drop` to leave "
        "such rows out."
    )
