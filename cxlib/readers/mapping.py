"""A mapping: how the files that a company exports become contract tables, as `study.yaml` says it.

Parsed and checked as a whole before a byte of data is read; what comes out is plain frozen data. A preset
is one YAML file beside this one: a source entry for a known export, whose entries are defaults.

>>> mapping = parse({"sources": [{"file": "orders.csv", "zone": "Europe/Rome", "tables": [{"table": "orders",
...     "columns": {"order_id": "Name", "customer_id": "Email", "ts": "Created at", "revenue": "Total"}}]}]})
>>> mapping.sources[0].format, mapping.sources[0].tables[0].columns["ts"].name
('csv', 'Created at')
"""

from __future__ import annotations

import difflib
import re
import zoneinfo
from collections import abc
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

from cxlib.contract import CURRENCY, KINDS, TABLES
from cxlib.errors import CxLookupError, CxValueError, did_you_mean, require
from cxlib.readers import plain_yaml

ENTRIES = ("sources", "catalog", "identifiers")
"""What a mapping adds to the settings of a `study.yaml`."""

SUFFIXES = {
    **dict.fromkeys((".csv", ".tsv", ".txt"), "csv"),
    **dict.fromkeys((".xlsx", ".xls", ".xlsm", ".xlsb", ".ods"), "excel"),
    **dict.fromkeys((".json", ".jsonl", ".ndjson"), "json"),
    ".parquet": "parquet",
    ".xes": "xes",
}
"""Suffix of a file (before a `.gz`) -> its format."""

DATES = ("iso", "day-first", "month-first")
HOWS = ("column", "value", "first", "join", "times", "param", "row", "file")
CHOICES: dict[str, tuple[str, ...]] = {
    "format": ("csv", "excel", "json", "parquet", "xes"),
    "quotes": ('"', "none"),
    "money": ("major", "minor"),
    "unreadable": ("refuse", "drop"),
    "decimal": (".", ","),
    "thousands": (".", ",", " ", "'"),
    "unit": ("s", "ms", "us"),
    "others": ("refuse", "keep"),
    "kind": tuple(kind for kind in KINDS if kind not in ("id", "key")),
    "identifiers": ("hash", "keep"),
}
"""What entries of few possible values may be."""
_READING = ("dates", "zone", "unit", "decimal", "thousands", "optional")  # handed down to the parts of a rule
_FLAGS = ("whole", "lower", "sum", "optional")
_DIRECTIVES = re.compile(r"%-?[aAbBdmyYHIpMSfzZjgnuwUWcxXDT%]")


@dataclass(frozen=True)
class Rule:
    """How one column is filled: `how` (one of `HOWS`), from what, and what is then done to it."""

    how: str
    name: str = ""
    """The source's column, or the key of a `param`."""
    value: str | None = None
    """The constant."""
    parts: tuple[Rule, ...] = ()
    """Of `first`, `join` and `times`."""
    by: str = ""
    inside: str = ""
    """The list of key/value records that a `param` is looked up in."""
    map: tuple[tuple[str, str | None], ...] = ()
    others: str | None = "refuse"
    """What becomes of a value that `map` does not list: refuse, keep, or `else` (the constant `otherwise`)."""
    otherwise: str | None = None
    strip: str = ""
    """Taken off the beginning, or else the end."""
    whole: bool = False
    lower: bool = False
    dates: str = ""
    zone: str = ""
    """A zone's name; `source` gives an epoch number (which is UTC) the source's."""
    unit: str = ""
    decimal: str = ""
    thousands: str = ""
    sum: bool = False
    kind: str = ""
    """Of a further column: one of the contract's kinds; empty for the contract's own columns."""
    optional: bool = False

    def names(self) -> abc.Iterator[tuple[str, bool]]:
        """The source's columns that the rule reads, and whether a file may lack each."""
        if self.how == "column":
            yield self.name, self.optional
        elif self.how == "param":
            yield self.inside, self.optional
        for part in self.parts:
            yield from part.names()

    @property
    def numbered(self) -> bool:
        """True where the rule reads the number of the row."""
        return self.how == "row" or any(part.numbered for part in self.parts)


@dataclass(frozen=True)
class Condition:
    """A condition on the rows to keep: `test` is in, not, filled, empty, over or under."""

    column: str
    test: str
    values: tuple[str, ...] = ()


@dataclass(frozen=True)
class Entry:
    """One contract table that a source fills: a rule a column, and which rows."""

    table: str
    columns: abc.Mapping[str, Rule]
    each: tuple[str, ...] = ()
    where: tuple[tuple[Condition, ...], ...] = ()
    """Rows are kept for which all conditions of any of these hold."""
    unique: tuple[str, ...] = ()
    latest: str = ""


@dataclass(frozen=True)
class Source:
    """Files of one form, how they are written, and the tables they fill."""

    file: str
    format: str
    tables: tuple[Entry, ...]
    delimiter: str = ","
    quotes: str = '"'
    encoding: str = "utf-8"
    header: int = 1
    names: tuple[str, ...] = ()
    joined: bool = False
    sheet: str = ""
    records: str = ""
    zone: str = ""
    dates: str = "iso"
    decimal: str = "."
    thousands: str = ""
    currency: str = ""
    money: str = "major"
    unreadable: str = "refuse"
    preset: str = ""


@dataclass(frozen=True)
class Mapping:
    """The sources of a study, its catalog (pattern -> channel, stage, ownership, mode; the first that fits
    wins), and what becomes of identifiers: hash or keep."""

    sources: tuple[Source, ...]
    catalog: tuple[tuple[str, tuple[str, ...]], ...] = ()
    identifiers: str = "hash"


@dataclass(frozen=True)
class Preset:
    """A known export: where its form is documented, how surely, and its source entry."""

    name: str
    title: str
    address: str
    confidence: str
    recognise: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    catalog: abc.Mapping[str, Any] = field(default_factory=dict)
    entry: abc.Mapping[str, Any] = field(default_factory=dict)


def parse(values: object, where: str = "study.yaml") -> Mapping:
    """The mapping that a `study.yaml` holds, checked; its settings are left to `Settings.parse`.

    CxValueError says which entry of which source is wrong, what it may be, and what was perhaps meant.
    """
    at = _At(where)
    values = at.mapping(values)
    listed: Any = values.get("sources")
    at.need(
        listed and isinstance(listed, list),
        "`sources` must be a list of files: `sources:`, then `  - file: ...`.",
    )
    unstated = [name for i, entry in enumerate(listed, start=1) for name in _unstated(entry, f"source {i}")]
    at.need(
        not unstated,
        f"what only you can know is left open: {'; '.join(unstated)}. "
        'Write what it is (`zone: Europe/Rome`, `decimal: ","`, a column), or take the line away.',
    )
    sources, catalog = [], dict(at.to("catalog").mapping(values.get("catalog")))
    for number, entry in enumerate(listed, start=1):
        source, more = _source(entry, _At(f"{where}, source {number}"))
        sources.append(source)
        catalog |= {name: row for name, row in more.items() if name not in catalog}
    identifiers = at.choice("identifiers", values.get("identifiers") or "hash")
    made = any(entry.table == "catalog" for source in sources for entry in source.tables)
    at.need(not (made and catalog), "the catalog is given as `catalog:` and by a source. Keep one.")
    rows = tuple(_catalog_row(name, row, at.to(f"catalog {name}")) for name, row in catalog.items())
    return Mapping(tuple(sources), rows, identifiers)


@cache
def presets() -> tuple[str, ...]:
    """Names of the presets there are, sorted."""
    return tuple(sorted(path.stem for path in Path(__file__).parent.glob("*.yaml")))


@cache
def preset(name: str) -> Preset:
    """The preset of that name; CxLookupError lists those there are."""
    require(name, presets(), f"there is no preset `{name}`")
    values = plain_yaml.load((Path(__file__).parent / f"{name}.yaml").read_text("utf-8"))
    about: dict[str, Any] = {key: values.pop(key) for key in ("title", "address", "confidence")}
    about |= {key: tuple(values.pop(key, ())) for key in ("recognise", "needs")}
    return Preset(name, **about, catalog=values.pop("catalog", {}), entry=values)


def format_of(file: str) -> str:
    """The format that a file's suffix tells, or an empty string.

    >>> format_of("events_*.json.gz"), format_of("hits")
    ('json', '')
    """
    return SUFFIXES.get(Path(file.lower().removesuffix(".gz")).suffix, "")


def texts(value: object) -> tuple[str, ...]:
    """The texts in a file that a value written in YAML means: YAML takes yes, on and true for one thing.

    >>> texts("A"), texts(1), texts(None), texts(False)[:3]
    (('A',), ('1',), ('',), ('false', 'False', 'FALSE'))
    """
    if isinstance(value, bool):
        words = ("true", "yes", "on") if value else ("false", "no", "off")
        return tuple(form for word in words for form in (word, word.capitalize(), word.upper()))
    return ("",) if value is None else (str(value),)


@dataclass(frozen=True)
class _At:
    """A place in a study.yaml, which what is wrong there is said with."""

    where: str

    def to(self, more: str) -> _At:
        return _At(f"{self.where}: {more}")

    def need(self, fine: object, otherwise: str) -> None:
        if not fine:
            raise CxValueError(f"{self.where}: {otherwise}")

    def one_of(self, entry: str, value: object, allowed: abc.Collection[str]) -> str:
        listed = ", ".join(allowed)
        self.need(
            value in allowed,
            f"{entry} is `{value}`; write one of {listed}.{did_you_mean(str(value), allowed)}",
        )
        return str(value)

    def choice(self, entry: str, value: object) -> str:
        return self.one_of(entry, value, CHOICES[entry])

    def known(self, values: abc.Iterable[object], known: abc.Collection[str]) -> None:
        for name in values:
            hint = did_you_mean(str(name), known)
            self.need(name in known, f"unknown entry `{name}`.{hint} Known: {', '.join(known)}.")

    def mapping(self, value: object) -> abc.Mapping[Any, Any]:
        self.need(
            value is None or isinstance(value, abc.Mapping), f"write `name: value` lines, not {value!r}."
        )
        return value or {}  # type: ignore[return-value]

    def text(self, value: object) -> str:
        """A value as it would stand in a file."""
        self.need(isinstance(value, (bool, str, int, float)), f"write one value, not {value!r}.")
        return str(value).lower() if isinstance(value, bool) else str(value)

    def name(self, value: object) -> str:
        """The name of a column; YAML takes an unquoted No or on for a truth value."""
        self.need(
            not isinstance(value, bool) and value != "",
            f"`{value}` is no name; put it into quotes if it is one.",
        )
        return self.text(value)

    def names(self, value: object) -> tuple[str, ...]:
        listed = [] if value is None else value if isinstance(value, list) else [value]
        return tuple(self.name(item) for item in listed)


def _source(given: object, at: _At) -> tuple[Source, abc.Mapping[str, Any]]:
    """A source with its preset's entries as defaults, and the preset's catalog."""
    values, catalog = _with_preset(at.mapping(given), at)
    at.known(values, [name for name in Source.__dataclass_fields__ if name != "joined"])
    file = values.get("file")
    at.need(
        file and isinstance(file, str),
        "`file` is missing: the path of a file, or a glob such as orders_*.csv.",
    )
    at = _At(f"{at.where} ({file})")
    apart = ("header", "names", "tables")
    kept: dict[str, Any] = {key: at.to(key).text(value) for key, value in values.items() if key not in apart}
    kept.setdefault("format", format_of(kept["file"]))
    at.need(kept["format"], f"write `format:`, one of {', '.join(CHOICES['format'])}.")
    kept.setdefault("delimiter", "\t" if ".tsv" in kept["file"].lower() else ",")
    kept["delimiter"] = "\t" if kept["delimiter"] in ("\\t", "tab") else kept["delimiter"]
    at.need(len(kept["delimiter"]) == 1, 'delimiter must be one character, such as ";", "," or "\\t".')
    _check_reading(kept, at)
    currency, encoding = kept.get("currency", "EUR"), kept.get("encoding", "utf-8")
    at.need(re.search(CURRENCY, currency), f"currency is `{currency}`; write an ISO 4217 code such as EUR.")
    try:
        b"a".decode(encoding, "replace")
    except (LookupError, ValueError):
        at.need(False, f"encoding `{encoding}` is not known; write utf-8, latin-1, cp1252 or utf-16.")
    tables = values.get("tables")
    at.need(
        tables and isinstance(tables, list),
        "`tables` is missing: what the file fills, as a list of `- table: ...`.",
    )
    entries = tuple(_entry(table, at) for table in tables)
    return Source(**kept, **_header(values, at), tables=entries), catalog


def _with_preset(values: abc.Mapping[str, Any], at: _At) -> tuple[Any, abc.Mapping[str, Any]]:
    """Each own table over the preset's first of its name, the preset's others after them, and its catalog."""
    if not (name := values.get("preset")):
        return values, {}
    try:
        known = preset(str(name))
    except CxLookupError as error:
        raise CxValueError(f"{at.where}: {error}") from None
    missing = [need for need in known.needs if need not in values]
    said = ", ".join(f"`{need}: {_NEEDED.get(need, '...')}`" for need in missing)
    at.need(
        not missing,
        f"{known.title} does not say its {' and '.join(missing)}: write {said} beside `preset: {name}`.",
    )
    own, theirs, tables = values.get("tables") or [], known.entry.get("tables", []), []
    at.need(isinstance(own, list), "`tables` is a list of `- table: ...`.")
    for entry in map(at.to("tables").mapping, own):
        first: dict[str, Any] = next((other for other in theirs if other["table"] == entry.get("table")), {})
        columns = {**first.get("columns", {}), **at.to("columns").mapping(entry.get("columns"))}
        tables.append({**first, **entry, "columns": columns})
    named = {entry["table"] for entry in tables if "table" in entry}
    tables += [entry for entry in theirs if entry["table"] not in named]
    return {**known.entry, **values, "tables": tables}, known.catalog


_NEEDED = {"zone": "Europe/Rome", "currency": "EUR", "dates": "day-first"}


def _unstated(entry: object, where: str) -> abc.Iterator[str]:
    """Entries that are there but empty: `cx new` writes them where it cannot know."""
    if isinstance(entry, abc.Mapping):
        for key, value in entry.items():
            if value is None and key not in ("value", "else"):
                yield f"{where}: `{key}`"
            elif key != "map":
                yield from _unstated(value, f"{where}, {key}")
    elif isinstance(entry, list):
        for item in entry:
            name = item.get("table", "") if isinstance(item, abc.Mapping) else ""
            yield from _unstated(item, f"{where} {name}".rstrip())


def _header(values: abc.Mapping[str, Any], at: _At) -> dict[str, Any]:
    """The number of header rows, and the names where they are given."""
    header, names = values.get("header", 1), values.get("names")
    fine = isinstance(header, int) and not isinstance(header, bool) and header >= 0
    at.need(fine, f"header is the number of header rows: 0, 1, 2, ...; not `{header}`.")
    if names == "joined":
        at.need(header >= 2, "`names: joined` joins two header rows: write `header: 2` as well.")
        return {"header": header, "joined": True}
    at.need(names is None or isinstance(names, list), "names is `joined` or a list of column names.")
    at.need(header or names, "with `header: 0` name the columns in order: `names: [a, b, ...]`.")
    named = at.to("names").names(names)
    twice = ", ".join(sorted({name for name in named if named.count(name) > 1}))
    at.need(not twice, f"names lists {twice} more than once.")
    return {"header": header, "names": named}


def _entry(given: object, at: _At) -> Entry:
    values = at.to("tables").mapping(given)
    name = at.one_of("table", values.get("table"), TABLES)
    at, table = _At(f"{at.where}, table {name}"), TABLES[name]
    at.known(values, list(Entry.__dataclass_fields__))
    rules = at.to("columns").mapping(values.get("columns"))
    of = {column.name: column.kind for column in table.columns}
    missing = [column for column in table.required if column not in rules]
    if name == "touchpoints" and not {"customer_id", "anonymous_id"} & set(rules):
        missing.append("customer_id (or anonymous_id)")
    at.need(
        not missing, f"`columns` lacks {', '.join(missing)}. Write `{(missing or [''])[0]}: <its column>`."
    )
    each, unique, latest = (at.to(key).names(values.get(key)) for key in ("each", "unique", "latest"))
    at.need(
        not latest or (unique and len(latest) == 1),
        "`latest` chooses among rows that `unique` finds equal; write both.",
    )
    at.need(not (each and unique), "write `each` (rows make one) or `unique` (copies go), not both.")
    columns: dict[str, Rule] = {}
    for given_name, rule in rules.items():
        here = _At(f"{at.where}, column {given_name}")
        column, parsed = here.name(given_name), _rule(rule, here)
        here.need(":" not in column and column.strip(), "a column's name is not blank, and has no colon.")
        close = difflib.get_close_matches(column.lower(), set(of) - set(rules), n=1, cutoff=0.85)
        rename = "Rename it, or give a further column another name."
        here.need(column in of or not close, f"the contract calls it `{(close or [''])[0]}`. {rename}")
        here.need(
            column in of or column.lower() not in {*of, *map(str.lower, columns)},
            f"it is there already, but for capitals. {rename}",
        )
        here.need(
            not (column in of and parsed.kind),
            f"its kind is the contract's, {of.get(column)}. Take `kind` away.",
        )
        kind = of.get(column) or parsed.kind or "text"
        adds = kind in ("number", "integer", "money") and each
        here.need(adds or not parsed.sum, "`sum` adds numbers up within `each`; it needs both.")
        columns[column] = parsed if column in of else replace(parsed, kind=kind)
    listed = values.get("where") or []
    kept = tuple(
        tuple(
            c for column, test in at.to("where").mapping(one).items() for c in _conditions(column, test, at)
        )
        for one in (listed if isinstance(listed, list) else [listed])
    )
    return Entry(name, columns, each, kept, unique, "".join(latest))


def _rule(given: object, at: _At) -> Rule:
    if isinstance(given, str):
        return Rule("column", at.name(given))
    hint = f"{{first: {given}}}" if isinstance(given, list) else f"{{value: {given}}}"
    is_rule = isinstance(given, abc.Mapping)
    at.need(is_rule, f"`{given}` is no column's name. Did you mean `{hint}`?")
    values = at.mapping(given)
    hows = [how for how in HOWS if how in values]
    at.need(len(hows) == 1, f"a rule has one of {', '.join(HOWS)}; this has {' and '.join(hows) or 'none'}.")
    how, what = hows[0], values[hows[0]]
    own = {"join": ["by"], "param": ["in"]}.get(how, [])
    at.known(
        values, [how, *_READING, "map", "else", "others", "strip", "whole", "lower", "sum", "kind", *own]
    )
    kept: dict[str, Any] = {
        key: at.to(key).text(values[key]) for key in (*_READING[:-1], "strip", "by", "kind") if key in values
    }
    for key in [key for key in _FLAGS if key in values]:
        at.need(isinstance(values[key], bool), f"{key}: write true or false, not `{values[key]}`.")
        kept[key] = values[key]
    _check_reading(kept, at)
    kept |= _map(values, at)
    if how in ("column", "param"):
        kept["name"] = at.to(how).name(what)
    if how == "param":
        kept["inside"] = at.to("in").name(values.get("in", "event_params"))
    if how == "value":
        kept["value"] = None if what is None else at.to("value").text(what)
    at.need(how not in ("row", "file") or what is True, f"write `{how}: true`.")
    if how in ("first", "join", "times"):
        fine = isinstance(what, list) and len(what) >= 2 and (how != "times" or len(what) == 2)
        count = "two" if how == "times" else "two or more"
        at.need(fine, f"`{how}` takes a list of {count} rules, such as `{how}: [A, B]`.")
        parts = [_rule(part, at.to(how)) for part in what]
        down = {key: kept[key] for key in _READING if key in kept}
        kept["parts"] = tuple(
            replace(part, **{key: value for key, value in down.items() if not getattr(part, key)})
            for part in parts
        )
    return Rule(how, **kept)


def _map(values: abc.Mapping[str, Any], at: _At) -> dict[str, Any]:
    """The value map of a rule, and what it does with a value that it does not list."""
    rest = [key for key in ("else", "others") if key in values]
    at.need("map" in values or not rest, "`else` and `others` go with a `map`.")
    at.need(len(rest) < 2, "write `else: ...` or `others: keep`, not both.")
    if "map" not in values:
        return {}

    def target(value: object) -> str | None:
        return None if value is None else at.to("map").text(value)

    pairs = at.to("map").mapping(values["map"])
    kept: dict[str, Any] = {
        "map": tuple((text, target(to)) for one, to in pairs.items() for text in texts(one))
    }
    if "else" in values:
        return {**kept, "others": "else", "otherwise": target(values["else"])}
    return kept | {"others": at.choice("others", values.get("others", "refuse"))}


def _conditions(column: object, test: object, at: _At) -> abc.Iterator[Condition]:
    at, name = at.to(f"where {column}"), at.to("where").name(column)

    def every(value: object) -> tuple[str, ...]:
        listed = value if isinstance(value, list) else [value]
        for one in listed:
            at.text("" if one is None else one)
        return tuple(text for one in listed for text in texts(one))

    if test in ("filled", "empty"):
        yield Condition(name, str(test))
    elif isinstance(test, abc.Mapping):
        at.known(test, ("not", "over", "under"))
        for key, value in test.items():
            number = isinstance(value, (int, float)) and not isinstance(value, bool)
            at.need(key == "not" or number, f"`{key}` compares with a number, not with `{value}`.")
            yield Condition(name, key, every(value))
    else:
        yield Condition(name, "in", every(test))


def _check_reading(kept: abc.Mapping[str, Any], at: _At) -> None:
    """How times and numbers are written, of a source or of one rule, and all entries of few possible values."""
    for entry in CHOICES.keys() & kept.keys():
        at.choice(entry, kept[entry])
    dates, unit, zone = (kept.get(key, "") for key in ("dates", "unit", "zone"))
    at.need(not (dates and unit), "write `dates` (times as text) or `unit` (seconds since 1970), not both.")
    said = (
        f"write one of {', '.join(DATES)}, or a format such as `%d %b %Y %H:%M`.{did_you_mean(dates, DATES)}"
    )
    fine = not dates or dates in DATES or ("%" in dates and "%" not in _DIRECTIVES.sub("", dates))
    at.need(fine, f"dates is `{dates}`; {said}")
    at.need(unit or zone != "source", "`zone: source` is of epoch numbers: write `unit` as well.")
    zones = (
        {name for name in zoneinfo.available_timezones() if "/" in name} | {"UTC", "GMT"} if zone else set()
    )
    fine = zone in ("", "source") or zone in zones or len(zones) == 2  # a machine without time zones
    at.need(fine, f"zone `{zone}` is not known; write one such as Europe/Rome.{did_you_mean(zone, zones)}")
    grouped = kept.get("thousands")
    clash = grouped and grouped == kept.get("decimal", ".")
    at.need(not clash, f"`{grouped}` cannot be both the decimal sign and that of thousands.")


def _catalog_row(name: object, row: Any, at: _At) -> tuple[str, tuple[str, ...]]:
    fine = isinstance(row, list) and 2 <= len(row) <= 4 and all(isinstance(item, str) for item in row)
    at.need(fine, f"write `{name}: [channel, stage]`, and perhaps ownership and mode.")
    for column, value in zip(("stage", "ownership", "mode"), row[1:], strict=False):
        at.one_of(column, value, TABLES["catalog"].column(column).allowed)
    return str(name), tuple(row)
