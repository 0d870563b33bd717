"""The rules of a mapping as Ibis expressions: from what stands in a file to the contract's kinds, exactly.

Everything goes by its text: a value is never half-read. Each column becomes a value and a code beside it:
0 where it was read or is empty, 1 where it is filled but cannot be read, 2 for a time that needs a zone.
"""

from __future__ import annotations

import itertools
from collections.abc import Generator, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import ibis
import ibis.expr.datatypes as dt
import ibis.expr.types as ir

from cxlib.contract import half_even, scaled
from cxlib.errors import CxValueError
from cxlib.readers.mapping import Condition, Entry, Rule, Source

UTC = dt.Timestamp("UTC", scale=6)
CLOCKLESS = dt.Timestamp(scale=6)
SLOTS = ("string_value", "int_value", "float_value", "double_value")
RECORDS = dt.Array(dt.Struct({"key": dt.string, "value": dt.Struct(dict.fromkeys(SLOTS, dt.string))}))
RECORDS_SAID = '[{"key":"VARCHAR","value":{%s}}]' % ",".join(f'"{slot}":"VARCHAR"' for slot in SLOTS)  # noqa: UP031


def _builtin(name: str, gives: dt.DataType, *takes: dt.DataType) -> Any:
    """A function that the engine has under that name."""
    shape = (lambda a: None) if len(takes) == 1 else (lambda a, b: None)
    return ibis.udf.scalar.builtin(name=name, signature=(takes, gives))(shape)


TEXTS = dt.Array(dt.string)
_json_texts = _builtin("json_extract_string", TEXTS, dt.json, TEXTS)
_json_types = _builtin("json_type", TEXTS, dt.json, TEXTS)
_json_items = _builtin("json_extract", dt.Array(dt.json), dt.json, dt.string)
_records = _builtin("from_json", RECORDS, dt.string, dt.string)
_local = _builtin("try_strptime", CLOCKLESS, dt.string, TEXTS)
_instant = _builtin("try_strptime", UTC, dt.string, TEXTS)
_in_zone = _builtin("timezone", UTC, dt.string, CLOCKLESS)
_decoded = _builtin("decode", dt.string, dt.binary)
_moment = _builtin("make_timestamp", CLOCKLESS, dt.int64)


@dataclass(frozen=True)
class Filled:
    """A column of a contract table: its text in the file, its value, and its code (None where always 0)."""

    text: Any
    value: Any
    wrong: Any = None


@dataclass(frozen=True)
class Fields:
    """A file's columns by the names that a mapping uses."""

    table: ir.Table
    values: Mapping[str, Any]
    types: Mapping[str, Any]
    """Of JSON: what stands there (OBJECT, ARRAY, ...), null where a record has not even the name; a typing
    error must not look like an empty column."""
    there: tuple[str, ...] = ()


def fields(table: ir.Table, names: Iterable[str], columns: Mapping[str, str] | None) -> Fields:
    """The fields of those names. `columns` maps the names in the file to the table's columns; None where
    each row is a JSON document. What is in no way there is left out."""
    if columns is not None:
        values = {name: value for name in names if (value := _reached(table, columns, name)) is not None}
        return Fields(table, values, {}, tuple(columns))
    listed = list(names)
    paths = {name: _paths(name) for name in listed}
    flat = [path for name in listed for path in paths[name]]
    at = {path: i for i, path in enumerate(flat)}
    wanted = ibis.array(flat) if flat else ibis.literal([], dt.Array(dt.string))
    table = table.select(
        *(name for name in table.columns if name != "json"),
        texts=_json_texts(table.json, wanted),
        types=_json_types(table.json, wanted),
    )
    return Fields(
        table,
        {name: ibis.coalesce(*(table.texts[at[path]] for path in paths[name])) for name in listed},
        {name: ibis.coalesce(*(table.types[at[path]] for path in paths[name])) for name in listed},
    )


def items(table: ir.Table, records: str) -> ir.Table:
    """The records that a dotted path of a document leads to, one a row."""
    return table.select(json=_json_items(table.json, f"{_paths(records)[-1]}[*]").unnest())


def _paths(name: str) -> list[str]:
    """JSON paths of a name: as it is, and with its dots as steps (a number as a place in a list)."""
    parts = [f"[{part}]" if part.isdigit() else f'."{_escaped(part)}"' for part in name.split(".")]
    return [f'$."{_escaped(name)}"', *(["$" + "".join(parts)] if "." in name else [])]


def _escaped(name: str) -> str:
    return name.replace("\\", "\\\\").replace('"', '\\"')


def _reached(table: ir.Table, columns: Mapping[str, str], name: str) -> Any:
    """A column, a field of a record in a column, or a path into JSON that a text column holds; or None."""
    parts = name.split(".")
    for taken in range(len(parts), 0, -1):
        head, rest = ".".join(parts[:taken]), parts[taken:]
        if head in columns:
            value: Any = table[columns[head]]
            for i, part in enumerate(rest):
                if value.type().is_struct() and part in value.type().fields:
                    value = value[part]
                elif value.type().is_array() and part.isdigit():
                    value = value[int(part)]
                elif value.type().is_string():
                    path = _paths(".".join(["", *rest[i:]]))[-1].replace('$.""', "$")
                    return _json_texts(value.try_cast("json"), ibis.array([path]))[0]
                else:
                    return None
            return value
    return None


def filled(
    rule: Rule, kind: str, source: Source, found: Fields, file: str, currency: Any = ""
) -> Generator[Any, Any, Filled]:
    """The column that a rule makes, of one of the contract's kinds: for `compiled` to run, which computes
    each step that is yielded once. `file` is the file's name, `currency` the rows' currency (of money)."""
    plain = kind in ("id", "key", "text")
    if rule.how == "first" and not plain and not (rule.map or rule.strip or rule.whole or rule.lower):
        parts = []
        for part in rule.parts:
            parts.append((yield from filled(part, kind, source, found, file, currency)))
        wrong = [ibis.literal(0) if part.wrong is None else part.wrong for part in parts]
        return Filled(
            ibis.coalesce(*(part.text for part in parts)),
            ibis.cases(*((part.text.notnull(), part.value) for part in parts), else_=None),
            ibis.cases(*((p.text.notnull(), w) for p, w in zip(parts, wrong, strict=True)), else_=0),
        )
    if kind == "time" and rule.how == "column" and found.values[rule.name].type().is_timestamp():
        return _stamped(found.values[rule.name], rule, source)
    text, broken = _text(rule, found, file)
    text = yield text
    shown = text if broken is None else _text(replace(rule, map=(), whole=False), found, file)[0]
    if kind in ("id", "key"):
        # 17850.0, 1.785E4: what was a whole number once, and may have lost digits since. A line break: rows
        # that a quote has swallowed.
        spoilt = text.re_search(r"^[+-]?\d+(\.0+|\.\d+[eE][+-]?\d+|[eE]\+\d+)$|[\r\n]").fill_null(False)
        broken = spoilt if broken is None else broken | spoilt
    if plain:
        return Filled(shown, text, None if broken is None else broken.ifelse(1, 0))
    zoneless = None
    if rule.how == "times":
        a, b = (_text(part, found, file)[0] for part in rule.parts)
        exact = (yield from _exact(a, rule.parts[0], source, found)) * (
            yield from _exact(b, rule.parts[1], source, found)
        )
        value = yield from _of_number(exact, kind, source, currency)
    elif kind == "time":
        value, zoneless = yield from _epoch(text, rule, source) if rule.unit else _time(text, rule, source)
    elif kind == "flag":
        word = text.lower()
        yes, no = word.isin(["true", "t", "yes", "y", "1"]), word.isin(["false", "f", "no", "n", "0"])
        value = yield ibis.cases((yes, True), (no, False), else_=None)
    elif kind == "number":
        value = yield _plain_number(text, rule, source, found).try_cast("float64")
    else:
        exact = yield from _exact(text, rule, source, found)
        value = yield from _of_number(exact, kind, source, currency)
    unread = text.notnull() & value.isnull()
    unread = unread if broken is None else unread | broken
    wrong = unread.ifelse(1, 0) if zoneless is None else ibis.cases((zoneless, 2), (unread, 1), else_=0)
    return Filled(shown, value, wrong)


def compiled(
    table: ir.Table, columns: Mapping[str, Generator[Any, Any, Any]]
) -> tuple[ir.Table, dict[str, Any]]:
    """Run columns side by side: what they yield becomes columns of the next stage of the table.

    An engine computes an expression anew wherever it stands inside a CASE: written out in one piece, a
    time or an amount would be parsed dozens of times.
    """
    running, sent, done = dict(columns), dict.fromkeys(columns), {}
    for stage in itertools.count():
        asked = {}
        for name, column in list(running.items()):
            try:
                asked[f"{name}:{stage}"] = column.send(sent[name])
            except StopIteration as stop:
                done[name] = stop.value
                del running[name]
        if not running:
            return table, done
        # Ibis folds selections into one, unless one holds a random number; the engine leaves that out.
        table = table.mutate(**asked, **{"stage:": ibis.random()})
        sent = {name: table[f"{name}:{stage}"] for name in running}
    raise AssertionError


def kept(entry: Entry, found: Fields, compared: Mapping[str, Filled]) -> Any:
    """True for the rows that the entry's `where` keeps, None where it keeps all. `compared` holds the columns
    of `over` and `under` as numbers; a row in which one cannot be read is kept, to be refused with the rest."""
    if not entry.where:
        return None
    return ibis.or_(
        *(ibis.and_(*(_holds(one, found, compared) for one in several)) for several in entry.where)
    )


def _holds(condition: Condition, found: Fields, compared: Mapping[str, Filled]) -> Any:
    text, values = as_text(found.values[condition.column], condition.column), condition.values
    if condition.test in ("filled", "empty"):
        return text.notnull() if condition.test == "filled" else text.isnull()
    if condition.test in ("over", "under"):
        number, bound = compared[condition.column], float(values[0])
        holds = number.value > bound if condition.test == "over" else number.value < bound
        return holds.fill_null(False) | (number.wrong > 0)
    listed = text.fill_null("").isin(values)
    return listed if condition.test == "in" else ~listed


def as_text(value: Any, name: str) -> Any:
    """A field as trimmed text, null where there is nothing; records are refused."""
    if value.type().is_binary():
        value = _decoded(value)
    if value.type().is_nested():
        inner = ", ".join(f"{name}.{field}" for field in getattr(value.type(), "names", ()))
        raise CxValueError(
            f"the column `{name}` holds records, not values. Name a part of it{f': {inner}' if inner else ''}."
        )
    return value.cast("string").strip().nullif("")


def _text(rule: Rule, found: Fields, file: str) -> tuple[Any, Any]:
    """The text that a rule makes, and where it is one that its modifiers refuse (None: nowhere)."""
    refused = []
    if rule.how == "column":
        text = as_text(found.values[rule.name], rule.name)
        if rule.name in found.types:
            refused.append(found.types[rule.name].isin(["OBJECT", "ARRAY"]).fill_null(False))
    elif rule.how == "param":
        text = _param(found.values[rule.inside], rule)
    elif rule.how == "value":
        text = ibis.literal(rule.value, "string")
    elif rule.how == "file":
        text = ibis.literal(file)
    elif rule.how == "row":
        text = ibis.literal(f"{file}:").concat(found.table["row:number"].cast("string").lpad(9, "0"))
    else:
        parts = [_text(part, found, file) for part in rule.parts]
        refused += [broken for _, broken in parts if broken is not None]
        texts = [part for part, _ in parts]
        if rule.how == "first":
            text = ibis.coalesce(*texts)
        else:
            text = texts[0]
            for more in texts[1:]:
                text = text.concat(rule.by, more)
    if rule.strip:
        bare = ibis.cases(
            (text.startswith(rule.strip), text.substr(len(rule.strip))),
            (text.endswith(rule.strip), text.left(text.length() - len(rule.strip))),
            else_=text,
        )
        text = bare.strip().nullif("")
    if rule.whole:
        digits, number = text.re_search(r"^[+-]?\d+$"), text.try_cast("float64")
        spoilt = text.re_search(r"^[+-]?\d+(\.\d*)?([eE][+-]?\d+)?$") & ~digits
        fine = (number.abs() < 1e15) & (number == number.floor())
        refused.append((spoilt & ~fine).fill_null(False))
        text = (spoilt & fine).ifelse(number.try_cast("int64").cast("string"), text)
    if rule.lower:
        text = text.lower()
    if rule.map:
        listed = [(text == value, ibis.literal(to, "string")) for value, to in rule.map]
        others = {"keep": text, "refuse": None}.get(str(rule.others), ibis.literal(rule.otherwise, "string"))
        if rule.others == "refuse":
            refused.append(text.notnull() & ~text.isin([value for value, _ in rule.map]))
            others = ibis.null("string")
        text = ibis.cases((text.isnull(), ibis.null("string")), *listed, else_=others)
    return text, ibis.or_(*refused) if refused else None


def _param(value: Any, rule: Rule) -> Any:
    """What a list of key/value records holds under a key, in whichever of its slots."""
    if value.type().is_string():
        value = _records(value, RECORDS_SAID)
    if value.type().is_struct() and "list" in value.type().fields:
        value = value["list"]
    if not value.type().is_array():
        raise CxValueError(f"the column `{rule.inside}` is no list of key/value records.")
    item = value.type().value_type
    wrapper = next(
        (name for name in ("element", "item") if item.is_struct() and set(item.names) == {name}), ""
    )
    if wrapper:
        value = value.map(lambda record: record[wrapper])
    record = value.filter(lambda record: record.key == rule.name)[0]
    slots = [record.value[slot].cast("string") for slot in SLOTS if slot in record.value.type().fields]
    return ibis.coalesce(*slots).strip().nullif("")


def _of_number(exact: Any, kind: str, source: Source, currency: Any) -> Generator[Any, Any, Any]:
    if kind == "number":
        return (yield exact.cast("float64"))
    if kind == "money" and source.money == "major":
        amount = yield scaled(exact, currency)
        return (yield half_even(amount))
    return (yield (exact == exact.floor()).ifelse(exact.try_cast("int64"), ibis.null("int64")))


def _plain_number(text: Any, rule: Rule, source: Source, found: Fields) -> Any:
    """The text of a number with a decimal point and nothing between its digits; null where it is none."""
    decimal, thousands = rule.decimal or source.decimal, rule.thousands or source.thousands
    if rule.how == "column" and found.values[rule.name].type().is_numeric():
        decimal, thousands = ".", ""
    if (
        rule.how == "column" and rule.name in found.types and decimal != "."
    ):  # JSON writes its numbers its own way
        text = (found.types[rule.name] == "DOUBLE").ifelse(text.replace(".", decimal), text)
    point = "\\" + decimal
    gap = {" ": "[ \u00a0\u202f]", "": ""}.get(thousands, "\\" + thousands)
    whole = rf"(\d+|\d{{1,3}}({gap}\d{{3}})+)" if gap else r"\d+"
    fits = text.re_search(rf"^[+-]?({whole}({point}\d*)?|{point}\d+)([eE][+-]?\d{{1,3}})?$")
    if gap:
        text = text.re_replace(gap, "")
    return fits.ifelse(text if decimal == "." else text.replace(decimal, "."), ibis.null("string"))


def _exact(text: Any, rule: Rule, source: Source, found: Fields) -> Generator[Any, Any, Any]:
    """The number as an exact decimal: through a small one where that holds it, for it casts in no time."""
    plain = yield _plain_number(text, rule, source, found)
    short = plain.re_search(r"^[+-]?\d{1,14}(\.\d{1,4})?$")
    return (
        yield ibis.cases(
            (short, plain.try_cast("decimal(18, 4)").cast("decimal(31, 12)")),
            else_=plain.try_cast("decimal(31, 12)"),
        )
    )


def _epoch(text: Any, rule: Rule, source: Source) -> Generator[Any, Any, tuple[Any, Any]]:
    """A count since 1970: UTC, unless the rule names the zone whose clock was counted on."""
    power = {"s": 1_000_000, "ms": 1_000, "us": 1}[rule.unit]
    ticks = yield ibis.cases(
        (text.re_search(r"^-?\d{1,17}$"), text.try_cast("int64") * power),
        # A float is sure of its microseconds until the year 2255.
        (text.re_search(r"^-?\d{1,17}\.\d+$"), (text.try_cast("float64") * power).round().try_cast("int64")),
        else_=None,
    )
    local = _moment(ticks)
    zone = source.zone if rule.zone == "source" else rule.zone or "UTC"
    value = yield (_in_zone(zone, local) if zone else ibis.null(UTC))
    return value, None if zone else ticks.notnull()


def _stamped(value: Any, rule: Rule, source: Source) -> Filled:
    """A time that a Parquet file holds as such."""
    text = value.cast("string")
    if value.type().timezone is not None:
        return Filled(text, value.cast(UTC))
    if zone := rule.zone or source.zone:
        return Filled(text, _in_zone(zone, value.cast(CLOCKLESS)))
    return Filled(text, ibis.null(UTC), text.notnull().ifelse(2, 0))


_CLOCK = (
    r"(?:(?:,? +|,? *T|,? +at +)(\d{1,2}:\d{2}(?::\d{2}(?:\.\d+)?)?)(?: *([AaPp])\.?[Mm]\.?)?"
    r" *(Z|UTC|GMT|(?:UTC|GMT)?[+-](?:0\d|1[0-4])(?::?[0-5]\d)?)?)?$"
)
_DAY_NAME = r"^(?:(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)[a-z]*\.?,? +)?"
_MONTH = (
    r"\b(Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)"
    r"(?:uary|ruary|ch|il|e|y|ust|t|tember|ober|ember)?\b\.?"
)
# Each leaves year-month-day, the clock, A or P, and the offset.
_FORMS = {
    "iso": (r"^(\d{4})[-/.](\d{1,2})[-/.](\d{1,2})" + _CLOCK, r"\1-\2-\3 \4|\5|\6"),
    "day-first": (r"^(\d{1,2})[-/.](\d{1,2})[-/.](\d{4})" + _CLOCK, r"\3-\2-\1 \4|\5|\6"),
    "month-first": (r"^(\d{1,2})[-/.](\d{1,2})[-/.](\d{4})" + _CLOCK, r"\3-\1-\2 \4|\5|\6"),
    "day month": (_DAY_NAME + r"(\d{1,2})[- .]+" + _MONTH + r"[- ,]+(\d{4})" + _CLOCK, r"\3-\2-\1 \4|\5|\6"),
    "month day": (
        _DAY_NAME + _MONTH + r" +(\d{1,2})(?:st|nd|rd|th)?,? +(\d{4})" + _CLOCK,
        r"\3-\1-\2 \4|\5|\6",
    ),
    "year last": (
        _DAY_NAME + _MONTH + r" +(\d{1,2}) +(\d{2}:\d{2}:\d{2}) +(?:(UTC|GMT|[+-]\d{4}) +)?(\d{4})$",
        r"\5-\1-\2 \3||\4",
    ),
}
_STAMPS = [
    f"%Y-{month}-%d {clock}".rstrip()
    for month in ("%m", "%b")
    for clock in ("", "%H:%M", "%H:%M:%S", "%H:%M:%S.%f", "%I:%M %p", "%I:%M:%S %p")
]


def _time(text: Any, rule: Rule, source: Source) -> Generator[Any, Any, tuple[Any, Any]]:
    """A time written out: ISO 8601 and months by name in any mode, 03/04/2026 as the mode says."""
    dates, zone = rule.dates or source.dates, rule.zone or source.zone
    if "%z" in dates or "%Z" in dates:
        value = yield _instant(text, ibis.array([dates]))
        return value, None
    if "%" in dates:
        local, offset = (yield _local(text, ibis.array([dates]))), ibis.literal("")
    else:
        forms = [_form(text, name) for name in (["iso"] if dates == "iso" else ["iso", dates])]
        named = [_form(text, name, "(?i)") for name in _FORMS if " " in name]
        spelt = text.re_search("(?i)" + _MONTH)
        written = ibis.cases(*forms, (spelt, ibis.cases(*named, else_=None)), else_=ibis.null("string"))
        parts = yield written.split("|")
        stamp, half = parts[0].strip(), parts[1].upper()
        simple = (half == "") & ~stamp.re_search("[A-Za-z]")
        local = yield ibis.cases(
            (simple, stamp.try_cast(CLOCKLESS)),
            else_=_local((half == "").ifelse(stamp, stamp.concat(" ", half, "M")), ibis.array(_STAMPS)),
        )
        offset = parts[2].upper().re_replace("^(UTC|GMT)([+-])", r"\2")
    bare = local.notnull() & (offset == "")
    value = yield ibis.cases(
        (bare, _in_zone(zone, local) if zone else ibis.null(UTC)),
        (offset.isin(["Z", "UTC", "GMT"]), _in_zone("UTC", local)),
        else_=local.cast("string").concat(offset).try_cast(UTC),
    )
    return value, None if zone else bare.fill_null(False)


def _form(text: Any, name: str, flags: str = "") -> tuple[Any, Any]:
    pattern, parts = _FORMS[name]
    return text.re_search(flags + pattern), text.re_replace(flags + pattern, parts)
