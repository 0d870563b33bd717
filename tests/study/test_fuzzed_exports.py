"""Whatever an export looks like, and whatever happens to it: what opens has the right figures.

An export is drawn with values that Python knows, written in one of many dialects, and converted by the
mapping that says so. Its rows must be those values: exact times and minor units, the same persons. Then the
file or its study.yaml is spoilt. Either the command says what is wrong, or all rows are what an independent
reading of the spoilt files gives (`reading`: Python's csv, Decimal, zoneinfo), and nothing else ever happens.

`CXLIB_SEED` is the base of the seeds, `CXLIB_EXAMPLES` the number of examples.
"""

from __future__ import annotations

import csv
import datetime
import gzip
import hashlib
import hmac
import io
import json
import os
import random
import re
import shutil
import zoneinfo
from collections.abc import Iterator
from dataclasses import dataclass, replace
from decimal import ROUND_HALF_EVEN, Decimal
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml
from pyarrow import parquet as parquet_file

import cxlib as cx
from cxlib.__main__ import main
from cxlib.readers import mapping

SEED = int(os.environ.get("CXLIB_SEED", "0"))
EXAMPLES = int(os.environ.get("CXLIB_EXAMPLES", "8"))
Row = tuple[Any, ...]
Captured = pytest.CaptureFixture[str]

MINOR = {"EUR": 2, "USD": 2, "JPY": 0, "KWD": 3}
ZONES = ["Europe/Rome", "America/New_York", "Asia/Kolkata", "America/Sao_Paulo", "UTC"]
CLOCKS = {  # how times are written -> what study.yaml says of it
    "%Y-%m-%d %H:%M:%S": {},
    "%Y-%m-%dT%H:%M:%SZ": {},
    "%Y-%m-%d %H:%M:%S.%f+02:00": {},
    "%Y/%m/%d %H:%M": {"dates": "iso"},
    "%d/%m/%Y %H:%M": {"dates": "day-first"},
    "%d.%m.%Y": {"dates": "day-first"},
    "%m/%d/%Y %I:%M %p": {"dates": "month-first"},
    "%d %b %Y %H:%M": {"dates": "%d %b %Y %H:%M"},
    "%d/%m/%y %H:%M": {"dates": "%d/%m/%y %H:%M"},
    "s": {"unit": "s"},
    "ms": {"unit": "ms"},
}
COMMENTS = ["fine", "très bien", 'said "no"', "one; two, three", "first\nsecond", "", "naïve – but ok", "' x"]
BLANKS = " \t\n\r\v\f"
EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)


# --- drawing an export --------------------------------------------------------------------------------


@dataclass(frozen=True)
class Export:
    """A file, the study.yaml beside it, and the rows that are right: see `reading`."""

    file: str
    data: bytes
    said: dict[str, Any]
    rows: list[Row]
    values: list[dict[str, Any]]
    text: str = ""

    @property
    def yaml(self) -> str:
        return self.text or yaml.safe_dump(self.said, sort_keys=False, allow_unicode=True)


def drawn(rng: random.Random) -> Export:
    """Orders (perhaps in lines), events or answers."""
    table = rng.choice(["orders", "orders", "touchpoints", "surveys"])
    form = rng.choice([delimited] * 7 + [jsons] * 2 + [parquet])
    zone = zoneinfo.ZoneInfo(rng.choice(ZONES))
    clock = rng.choice(list(CLOCKS))
    decimal = rng.choice(".,")
    thousands = rng.choice(["", "", "", "," if decimal == "." else ".", " ", "'"])
    currencies = rng.choice([["EUR"], ["JPY"], ["EUR", "KWD", "JPY", "USD"]])
    persons = [
        rng.choice(["k{}", "0{}7", "Zoë-{}", "a{}@x.org", "k {}"]).format(i) for i in range(rng.randint(1, 9))
    ]
    lines = table == "orders" and rng.random() < 0.3
    product = table == "orders" and rng.random() < 0.3

    cells: list[dict[str, str]] = []
    values: list[dict[str, Any]] = []
    for number in range(rng.randint(2, 25)):
        if lines and values and rng.random() < 0.4:  # a further line of the same order
            order = {name: values[-1][name] for name in ("id", "who", "money", "status")}
        else:
            order = {
                "id": rng.choice(["A{}", "2026/{}", "{}-b"]).format(1000 + number),
                "who": rng.choice(persons),
                "money": rng.choice(currencies),
                "status": rng.choice(["paid", "open", "sent"]),
            }
        wall = datetime.datetime(2019, 1, 1) + datetime.timedelta(seconds=rng.randrange(4 * 365 * 86_400))
        at, day = written_time(wall, clock, zone)
        quantity = rng.randint(1, 5) if product else 1
        price = Decimal(rng.choice([0, 1, 99, 12345, 10**8, rng.randrange(10**6)])) / 10 ** rng.randint(0, 3)
        price = -price if rng.random() < 0.1 else price
        value = order | {
            "at": at,
            "amount": price * quantity,
            "score": Decimal(rng.randint(0, 20)) / 2,
            "comment": rng.choice(COMMENTS).strip(BLANKS),
            "what": rng.choice(["page", "mail", "call"]),
        }
        values.append(value)
        cell = {name: value[name] for name in ("status", "comment")}
        cell |= {"order_id": value["id"], "customer_id": value["who"], "created_at": day}
        if table == "surveys":
            cell |= {"score": written_number(value["score"], decimal, "")}
        else:
            cell |= {"price" if product else "total": written_number(price, decimal, thousands)}
            cell |= {"currency": value["money"], "quantity": str(quantity)}
        if table == "touchpoints":
            cell |= {"event": value["what"]}
        cells.append(cell)

    reading = CLOCKS[clock]
    columns: dict[str, Any] = {
        "ts": {"column": "created_at", **reading}
        if "unit" in reading or rng.random() < 0.3
        else "created_at",
        "customer_id": "customer_id",
        "note": "comment",
    }
    entry: dict[str, Any] = {"table": table}
    amount: Any = {"times": ["quantity", "price"]} if product else "total"
    if table == "orders":
        columns |= {"order_id": "order_id", "revenue": amount, "status": "status"}
        if lines:
            entry["each"] = "order_id"
            columns["revenue"] = {**(amount if product else {"column": amount}), "sum": True}
            del columns["note"]
    elif table == "touchpoints":
        columns |= {"event_id": {"join": ["order_id", "event"], "by": ":"}, "value": amount}
        columns["touchpoint"] = rng.choice(
            ["event", {"column": "event", "map": {"page": "view", "mail": "mail"}, "others": "keep"}]
        )
    else:
        columns |= {
            "response_id": "order_id",
            "score": "score",
            "comment": "comment",
            "question": {"value": "nps"},
        }
        columns |= {"scale_min": {"value": 0}, "scale_max": {"value": 10}}
        del columns["note"]
    if table != "surveys" and len(currencies) > 1:
        columns["currency"] = "currency"
    if rng.random() < 0.4:
        entry["where"] = rng.choice(
            [{"status": ["paid", "sent"]}, {"status": {"not": "open"}}, {"order_id": "filled"}]
            + ([{"total": {"over": 0}}] if table != "surveys" and not product else [])
        )
    entry["columns"] = columns

    source: dict[str, Any] = {"zone": zone.key} | ({} if isinstance(columns["ts"], dict) else reading)
    source |= {"decimal": decimal} if decimal == "," or rng.random() < 0.2 else {}
    source |= {"thousands": thousands} if thousands else {}
    source |= {"currency": currencies[0]} if len(currencies) == 1 and rng.random() < 0.5 else {}
    file, data, more = form(rng, cells, source)
    if form is not parquet and rng.random() < 0.15:
        file, data = f"{file}.gz", gzip.compress(data, mtime=0)
    said: dict[str, Any] = {
        "currency": currencies[0],
        "identifiers": rng.choice(["keep", "hash"]),
        "sources": [{"file": file, **source, **more, "tables": [entry]}],
    }
    if table == "touchpoints":
        said["catalog"] = {"*": ["web", "engagement"]}
    return Export(file, data, said, expected(entry, values), values)


def written_time(wall: datetime.datetime, clock: str, zone: zoneinfo.ZoneInfo) -> tuple[int, str]:
    """The moment in microseconds since 1970, and how an export writes it."""
    if clock in ("s", "ms"):
        seconds = round((wall.replace(tzinfo=datetime.UTC) - EPOCH).total_seconds())
        return seconds * 10**6, str(seconds * (1000 if clock == "ms" else 1))
    if "%S" not in clock:
        wall = wall.replace(second=0)
    if "%M" not in clock:
        wall = wall.replace(hour=0, minute=0)
    text = wall.strftime(clock)
    if clock.endswith("Z"):
        return micros(wall.replace(tzinfo=datetime.UTC)), text
    if clock.endswith("+02:00"):
        return micros(wall.replace(tzinfo=datetime.timezone(datetime.timedelta(hours=2)))), text
    return local(wall, zone), text


def micros(moment: datetime.datetime) -> int:
    return (moment - EPOCH) // datetime.timedelta(microseconds=1)


def local(wall: datetime.datetime, zone: zoneinfo.ZoneInfo) -> int:
    """A time by a zone's clock: the later where it showed it twice, and as PEP 495 has it where it left it out."""
    return max(micros(wall.replace(tzinfo=zone, fold=fold)) for fold in (0, 1))


def written_number(number: Decimal, decimal: str, thousands: str) -> str:
    text = f"{number:,f}" if thousands else f"{number:f}"
    return text.translate({ord(","): thousands, ord("."): decimal})


def delimited(
    rng: random.Random, cells: list[dict[str, str]], _: dict[str, Any]
) -> tuple[str, bytes, dict[str, Any]]:
    """The cells as delimited text, and what study.yaml must say of it."""
    delimiter = rng.choice([",", ";", "\t", "|"])
    encoding = rng.choice(["utf-8", "utf-8", "utf-8-sig", "latin-1", "cp1252", "utf-16"])
    header = rng.choice([1, 1, 1, 0, 3])
    names = list(cells[0])
    rng.shuffle(names)
    tops = [[f" {name} " if rng.random() < 0.1 else name for name in names]]
    tops = [*tops, *([[name.title() for name in names]] * (header - 1))] if header else []
    out = io.StringIO()
    writer = csv.writer(
        out,
        delimiter=delimiter,
        quoting=rng.choice([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
        lineterminator=rng.choice(["\n", "\r\n"]),
    )
    writer.writerows([*tops, *([cell[name] for name in names] for cell in cells)])
    text = out.getvalue()
    if rng.random() < 0.1:
        text = f"sep={delimiter}\n{text}"
    if rng.random() < 0.2:
        text = text.rstrip("\r\n")
    if encoding == "latin-1" and "–" in text:
        encoding = "cp1252"
    more: dict[str, Any] = {"delimiter": delimiter} if delimiter != "," else {}
    data = text.encode(encoding)
    plain = encoding in ("latin-1", "cp1252") and data.isascii()
    more |= {"encoding": encoding} if not encoding.startswith("utf-8") and not plain else {}
    more |= {} if header == 1 else {"header": header}
    more |= {} if header else {"names": names}
    return "export.csv", data, more


def typed(
    rng: random.Random, cells: list[dict[str, str]], source: dict[str, Any], make: Any
) -> list[dict[str, Any]]:
    """The cells with some columns of numbers stored as such."""
    chosen = {
        name for name in ("quantity", "total", "price", "score") if name in cells[0] and rng.random() < 0.5
    }
    return [
        {name: make(number_of(text, {}, source)) if name in chosen else text for name, text in cell.items()}
        for cell in cells
    ]


def jsons(
    rng: random.Random, cells: list[dict[str, str]], source: dict[str, Any]
) -> tuple[str, bytes, dict[str, Any]]:
    """The cells as objects: one a line, a list, or a list within a document."""
    records = typed(rng, cells, source, lambda number: int(number) if number % 1 == 0 else float(number))
    if rng.random() < 0.6:
        return "export.jsonl", "".join(json.dumps(r, ensure_ascii=False) + "\n" for r in records).encode(), {}
    if rng.random() < 0.5:
        return "export.json", json.dumps(records, indent=rng.choice([None, 1])).encode(), {}
    return "export.json", json.dumps({"data": {"items": records}}).encode(), {"records": "data.items"}


def parquet(
    rng: random.Random, cells: list[dict[str, str]], source: dict[str, Any]
) -> tuple[str, bytes, dict[str, Any]]:
    """The cells as Parquet: times and numbers as such, some of them."""
    records = typed(rng, cells, source, rng.choice([float, lambda number: number.quantize(Decimal("1e-6"))]))
    frame = pd.DataFrame(records)
    if rng.random() < 0.7 and re.match(r"\d{4}-", cells[0]["created_at"]):
        frame["created_at"] = pd.to_datetime(frame["created_at"], format="ISO8601")
    out = io.BytesIO()
    frame.to_parquet(out, index=False)
    return "export.parquet", out.getvalue(), {}


def expected(entry: dict[str, Any], values: list[dict[str, Any]]) -> list[Row]:
    """The rows that the values are, by Python's own arithmetic."""
    kept = [value for value in values if holds(entry.get("where", {}), value)]
    if entry["table"] == "surveys":
        return [(v["id"], v["who"], v["at"], v["score"], v["comment"]) for v in kept]
    if entry["table"] == "touchpoints":
        renamed = {"page": "view"} if isinstance(entry["columns"]["touchpoint"], dict) else {}
        return [
            (
                f"{v['id']}:{v['what']}",
                v["who"],
                v["at"],
                minor(v["amount"], v["money"]),
                renamed.get(v["what"], v["what"]),
            )
            for v in kept
        ]
    orders: dict[str, list[Any]] = {}
    for v in kept:
        cents = minor(v["amount"], v["money"])
        if v["id"] in orders:
            order = orders[v["id"]]
            order[2], order[3] = min(order[2], v["at"]), order[3] + cents
        else:
            orders[v["id"]] = [v["id"], v["who"], v["at"], cents, v["status"]]
    return [tuple(order) for order in orders.values()]


def holds(where: dict[str, Any], value: dict[str, Any]) -> bool:
    for name, test in where.items():
        if isinstance(test, list) and value[name] not in test:
            return False
        if isinstance(test, dict) and "not" in test and value[name] == test["not"]:
            return False
        if isinstance(test, dict) and "over" in test and not value["amount"] > test["over"]:
            return False
    return True


def minor(amount: Decimal, currency: str) -> int:
    return int((amount * 10 ** MINOR[currency]).to_integral_value(ROUND_HALF_EVEN))


# --- what the package makes of it ---------------------------------------------------------------------

SHOWN = {
    "orders": ("order_id", "customer_id", "ts", "revenue", "status"),
    "touchpoints": ("event_id", "customer_id", "ts", "value", "touchpoint"),
    "surveys": ("response_id", "customer_id", "ts", "score", "comment"),
}


def put(export: Export, where: Path) -> Path:
    where.mkdir(parents=True, exist_ok=True)
    (where / export.file).write_bytes(export.data)
    (where / "study.yaml").write_text(export.yaml, "utf-8")
    return where


def opened(where: Path, capsys: Captured) -> dict[str, list[Row]] | str:
    """The rows of every table, sorted; or the message with which `cx check` ends."""
    capsys.readouterr()
    code = main(["check", str(where)])
    caught = capsys.readouterr()
    said = caught.out + caught.err
    assert "Traceback" not in said
    if code:
        assert said.strip()
        return said
    study = cx.open_study(where)
    return {table: sorted(rows_of(study, table), key=repr) for table in study.tables if table in SHOWN}


def rows_of(study: Any, table: str) -> Iterator[Row]:
    t = study.table(table)
    names = [name for name in SHOWN[table] if name in t.columns]
    frame = study.fetch(t.select(*names, at=study.engine.micros(t.ts)))
    frame["ts"] = frame["at"]
    for row in frame[list(SHOWN[table])].itertuples(index=False):
        yield tuple(None if pd.isna(v) else v for v in row)


def shown(rows: list[Row], said: dict[str, Any], where: Path) -> list[Row]:
    """Rows as `opened` gives them: ids hidden where they are to be, empty text as None, scores as floats."""

    def one(row: Row) -> Row:
        key, who, at, value, text = row
        if said.get("identifiers") != "keep" and who:
            who = who.lower() if "@" in who else who
            secret = bytes.fromhex((where / ".key").read_text().strip())
            who = "p" + hmac.new(secret, who.encode(), hashlib.sha256).hexdigest()[:20]
        return key, who, at, float(value) if isinstance(value, Decimal) else value, text or None

    return sorted(map(one, rows), key=repr)


# --- an independent reading ---------------------------------------------------------------------------


class Unreadable(Exception):
    """Why a file cannot be read as study.yaml says: it must be refused."""


KINDS = {"ts": "time", "revenue": "money", "value": "money", "score": "number"}
ENTRIES = {"file", "format", "delimiter", "encoding", "header", "names", "records", "zone", "dates", "decimal",
           "thousands", "currency", "money", "tables"}  # fmt: skip


def reading(export: Export) -> dict[str, list[Row]]:
    """The rows of each table by the export's bytes and its study.yaml, as `expected` gives them."""
    try:
        node = yaml.compose(export.yaml, yaml.SafeLoader)
        refuse_twice(node)
        said = yaml.safe_load(export.yaml)
    except (yaml.YAMLError, ValueError, RecursionError, TypeError) as error:
        raise Unreadable(error) from error
    try:
        known = {"currency", "identifiers", "sources", "catalog", "title"}
        if set(said) - known or said.get("currency") not in MINOR:
            raise Unreadable("settings")
        tables: dict[str, list[Row]] = {}
        for source in said["sources"]:
            if set(source) - ENTRIES or Path(source["file"]).name != export.file:
                raise Unreadable("entries")
            given = records_of(export.data, source)
            for entry in source["tables"]:
                if set(entry) - {"table", "each", "where", "columns"}:
                    raise Unreadable("entries of a table")
                tables.setdefault(entry["table"], []).extend(table_of(given, entry, source, said))
        return tables
    except (TypeError, AttributeError, ValueError, LookupError, ArithmeticError, OSError) as error:
        raise Unreadable(repr(error)) from error


def refuse_twice(node: Any) -> None:
    """No name twice in one mapping."""
    for child in node.value if isinstance(node, yaml.SequenceNode) else ():
        refuse_twice(child)
    if isinstance(node, yaml.MappingNode):
        names = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        if len(set(names)) < len(node.value):
            raise ValueError("a name twice")
        for _, child in node.value:
            refuse_twice(child)


def records_of(data: bytes, source: dict[str, Any]) -> list[dict[str, str | None]]:
    """The file's records, every value as trimmed text, None where empty."""
    if source["file"].endswith(".gz"):
        try:
            data = gzip.decompress(data)
        except (OSError, EOFError, Exception) as error:
            raise Unreadable(error) from error
    if source["file"].endswith(".parquet"):
        table = parquet_file.read_table(io.BytesIO(data))
        return [{name: stored(value) for name, value in record.items()} for record in table.to_pylist()]
    encoding = str(source.get("encoding") or "utf-8")
    text = data.decode("utf-8-sig" if encoding == "utf-8" else encoding)
    named = source.get("format") or ("json" if ".json" in source["file"] else "csv")
    raw = json_records(text, source) if named == "json" else text_records(text, source)
    return [{name: stored(value) for name, value in record.items()} for record in raw]


def stored(value: Any) -> Any:
    """A value of a record: text trimmed, None where empty; numbers as they are, exactly."""
    if isinstance(value, bytes):
        value = value.decode()
    if isinstance(value, str):
        return value.strip(BLANKS) or None
    return Decimal(repr(value)) if isinstance(value, float | int) and not isinstance(value, bool) else value


def json_records(text: str, source: dict[str, Any]) -> list[dict[str, Any]]:
    def read(part: str) -> Any:
        return json.loads(
            part, parse_int=Decimal, parse_float=Decimal, parse_constant=str, object_pairs_hook=once
        )

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len(dict(pairs)) < len(pairs):
            raise Unreadable("a name twice")
        return dict(pairs)

    if source["file"].removesuffix(".gz").endswith(".jsonl") and not text.lstrip().startswith("["):
        found = [read(line) for line in text.splitlines() if line.strip()]
    else:
        found = read(text)
        for part in str(source["records"]).split(".") if "records" in source else ():
            found = found[part]
    if not isinstance(found, list):
        found = [found]
    rows = []
    for record in found:
        record = record if isinstance(record, dict) else {}
        rows.append({name: str(v).lower() if isinstance(v, bool) else v for name, v in record.items()})
    return rows


def text_records(text: str, source: dict[str, Any]) -> list[dict[str, str]]:
    delimiter = str(source.get("delimiter", ","))
    if said := re.match(r"sep=(.)(\r\n|\r|\n|$)", text, re.IGNORECASE):
        delimiter, text = said[1], text[said.end() :]
    lines = [line for line in split(text, "\t" if delimiter in ("\\t", "tab") else delimiter) if line != [""]]
    header = source.get("header", 1)
    if (
        not isinstance(header, int)
        or isinstance(header, bool)
        or header < 0
        or (not header and not source.get("names"))
    ):
        raise Unreadable("header")
    tops, rows = lines[:header], lines[header:]
    if len(tops) < header:
        raise Unreadable("no header")
    names = (
        [str(name) for name in source["names"]]
        if source.get("names")
        else [" ".join(c.split()) for c in tops[0]]
    )
    if rows and not source.get("names"):
        if len(names) == len(rows[0]) + 1 and not names[-1]:
            names = names[:-1]
        if len(names) + 1 == len(rows[0]) and not rows[0][-1].strip():
            names = [*names, ""]
    if any(len(row) != len(names) for row in rows):
        raise Unreadable("ragged")
    twice = {name for name in names if names.count(name) > 1}
    return [{n: v for n, v in zip(names, row, strict=True) if n not in twice} for row in rows]


def split(text: str, delimiter: str) -> Iterator[list[str]]:
    """Lines of delimited text as fields, by RFC 4180; a blank before a quoted field and blanks after it are none
    of it."""
    quoted = re.compile(rf' ?"((?:[^"]|"")*)" *(?={re.escape(delimiter)}|[\r\n]|\Z)')
    bare = re.compile(rf"[^{re.escape(delimiter)}\r\n]*")
    at, row = 0, list[str]()
    while at < len(text):
        if match := quoted.match(text, at):
            row.append(match[1].replace('""', '"'))
        else:
            match = bare.match(text, at)
            assert match
            if match[0].startswith(('"', ' "')):
                raise Unreadable("a quote that nobody closes")
            row.append(match[0])
        at = match.end()
        if text.startswith(delimiter, at):
            at += 1
            if at == len(text) or text[at] in "\r\n":
                row.append("")
        if at == len(text) or text[at] in "\r\n":
            yield row
            at, row = at + (2 if text.startswith("\r\n", at) else 1), []


def table_of(
    given: list[dict[str, Any]], entry: dict[str, Any], source: dict[str, Any], said: dict[str, Any]
) -> list[Row]:
    there = {name for record in given for name in record}
    columns, where = entry["columns"], entry.get("where") or {}
    for name in read_by(columns) | set(where) | ({entry["each"]} if entry.get("each") else set()):
        if name not in there and given:
            raise Unreadable(f"no column {name}")
    kept = [
        record for record in given if all(meets(record.get(n), test, source) for n, test in where.items())
    ]
    rows = []
    for record in kept:
        row: dict[str, Any] = {"group": record.get(entry["each"])} if entry.get("each") else {}
        row["currency"] = source.get("currency") or said["currency"]
        if "currency" in columns:
            row["currency"] = text_of(columns["currency"], record, source) or row["currency"]
        for name, rule in columns.items():
            if name != "currency":
                row[name] = cell(rule, KINDS.get(name, "text"), record, source, row["currency"])
        rows.append(row)
    if entry.get("each"):
        rows = grouped(rows, columns)
    return [tuple(row.get(name) for name in SHOWN[entry["table"]]) for row in rows]


def read_by(rule: Any) -> set[str]:
    """The source's columns that rules read."""
    if isinstance(rule, str):
        return {rule}
    if not isinstance(rule, dict):
        raise Unreadable(f"a rule {rule!r}")
    if "value" in rule:
        return set()
    parts = rule.get("join") or rule.get("times") or ([rule["column"]] if "column" in rule else rule.values())
    return set().union(*(read_by(part) for part in parts))


def grouped(rows: list[dict[str, Any]], columns: dict[str, Any]) -> list[dict[str, Any]]:
    groups: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        if row["group"] is not None:
            groups.setdefault(row["group"], []).append(row)
    made = []
    for together in groups.values():
        one = {}
        for name in together[0]:
            values = [row[name] for row in together if row[name] is not None]
            if isinstance(columns.get(name), dict) and columns[name].get("sum"):
                if len({row["currency"] for row in together}) > 1:
                    raise Unreadable("two currencies in one sum")
                one[name] = sum(values) if values else None
            elif KINDS.get(name) == "money" and len(set(values)) > 1:
                raise Unreadable("several amounts")
            else:
                one[name] = (min if name == "ts" else max)(values, default=None)
        made.append(one)
    return made


def meets(text: str | None, test: Any, source: dict[str, Any]) -> bool:
    if test in ("filled", "empty"):
        return (text is not None) is (test == "filled")
    if isinstance(test, dict):
        if set(test) - {"not", "over"}:
            raise Unreadable("where")
        return all(
            (text or "") not in [str(v) for v in (value if isinstance(value, list) else [value])]
            if name == "not"
            else text is not None and number_of(text, {}, source) > Decimal(str(value))
            for name, value in test.items()
        )
    return (text or "") in [str(v) for v in (test if isinstance(test, list) else [test])]


def cell(rule: Any, kind: str, record: dict[str, Any], source: dict[str, Any], currency: str) -> Any:
    how = rule if isinstance(rule, dict) else {}
    if "times" in how:
        factors = [text_of(part, record, source) for part in how["times"]]
        if None in factors:
            return None
        one, two = (number_of(text, {}, source) for text in factors if text)
        return minor(one * two, currency)
    text = text_of(rule, record, source)
    if text is None or kind == "text":
        return text if text is None else str(text)
    if kind == "time":
        return time_of(text, how, source)
    number = number_of(text, how, source)
    if kind == "number":
        return number
    if source.get("money", "major") != "major":
        raise Unreadable("minor units")
    return minor(number, currency) if currency in MINOR else None


def text_of(rule: Any, record: dict[str, Any], source: dict[str, Any]) -> str | None:
    if isinstance(rule, str):
        rule = {"column": rule}
    known = {"column", "value", "join", "by", "map", "others", "dates", "unit", "zone", "decimal", "sum"}
    if set(rule) - known or len({"column", "value", "join"} & set(rule)) != 1:
        raise Unreadable("a rule")
    if "value" in rule:
        return str(rule["value"])
    if "join" in rule:
        parts = [text_of(part, record, source) for part in rule["join"]]
        return None if None in parts else str(rule.get("by", "")).join(p for p in parts if p is not None)
    text = record.get(rule["column"])
    if isinstance(text, dict | list):
        raise Unreadable("records")
    if "map" in rule and text is not None:
        listed = {str(name): to for name, to in rule["map"].items()}
        if text not in listed and rule.get("others") != "keep":
            raise Unreadable("not in the map")
        text = listed.get(text, text)
    return text


def number_of(text: Any, how: dict[str, Any], source: dict[str, Any]) -> Decimal:
    """A decimal number; between the groups of three of its whole part may stand the sign of thousands."""
    if isinstance(text, Decimal):
        return text
    point = str(how.get("decimal") or source.get("decimal") or ".")
    thousands = str(how.get("thousands") or source.get("thousands") or "")
    if point not in ".," or thousands not in ("", ".", ",", " ", "'") or thousands == point:
        raise Unreadable("signs")
    plain = re.fullmatch(r"([+-]?)(.*?)([eE][+-]?\d{1,3})?", text, re.DOTALL)
    assert plain
    whole, dot, part = plain[2].partition(point)
    groups = [whole]
    if thousands:
        groups = re.split("[ \u00a0\u202f]" if thousands == " " else re.escape(thousands), whole)
    if len(groups) > 1 and not (1 <= len(groups[0]) <= 3 and all(len(g) == 3 for g in groups[1:])):
        raise Unreadable(f"number {text!r}")
    digits = "".join(groups)
    if not re.fullmatch("[0-9]*", digits + part) or not (digits or (dot and part)):
        raise Unreadable(f"number {text!r}")
    return Decimal(f"{plain[1]}{digits or 0}.{part or 0}{plain[3] or ''}")


OFFSET = r"(Z|UTC|GMT|(?:UTC|GMT)?[+-][01]\d(?::?[0-5]\d)?)?"
TIME = (
    rf"(?:(?:,? +|,? *T|,? +at +)(\d{{1,2}}):(\d\d)(?::(\d\d)(\.\d+)?)?(?: *([AaPp])\.?[Mm]\.?)? *{OFFSET})?"
)


def time_of(text: Any, how: dict[str, Any], source: dict[str, Any]) -> int:
    """Microseconds since 1970, UTC."""
    if isinstance(text, datetime.datetime) and text.tzinfo:
        return micros(text)
    if isinstance(text, datetime.datetime):
        return local(text.replace(tzinfo=None), zoneinfo.ZoneInfo(how.get("zone") or source["zone"]))
    text = str(text)
    dates = str(how.get("dates") or source.get("dates") or "iso")
    if "unit" in how:
        if not re.fullmatch(r"-?[0-9]{1,17}(\.[0-9]+)?", text):
            raise Unreadable(f"time {text!r}")
        return round(Decimal(text) * {"s": 10**6, "ms": 10**3, "us": 1}[how["unit"]])
    if "%" in dates:
        return local(
            datetime.datetime.strptime(text, dates), zoneinfo.ZoneInfo(how.get("zone") or source["zone"])
        )
    day = {
        "iso": r"(\d{4})[-/.](\d{1,2})[-/.](\d{1,2})",
        "day-first": r"(\d{1,2})[-/.](\d{1,2})[-/.](\d{4})",
        "month-first": r"(\d{1,2})[-/.](\d{1,2})[-/.](\d{4})",
    }
    order = {"iso": (1, 2, 3), "day-first": (3, 2, 1), "month-first": (3, 1, 2)}
    for mode in ("iso", dates):
        if match := re.fullmatch(day[mode] + TIME, text, re.ASCII):
            break
    else:
        raise Unreadable(f"time {text!r}")
    date = datetime.datetime(*(int(match[i]) for i in order[mode]))
    hour, minute, second = (int(match[i] or 0) for i in (4, 5, 6))
    if match[8]:
        if not 1 <= hour <= 12:
            raise Unreadable(f"time {text!r}")
        hour = hour % 12 + 12 * (match[8] in "Pp")
    if (hour > 23 and (hour, minute, second) != (24, 0, 0)) or minute > 59 or second > 59:
        raise Unreadable(f"time {text!r}")
    wall = date + datetime.timedelta(hours=hour, minutes=minute, seconds=second)
    wall += datetime.timedelta(microseconds=int((match[7] or ".0")[1:7].ljust(6, "0")))
    if not match[9]:
        return local(wall, zoneinfo.ZoneInfo(how.get("zone") or source["zone"]))
    digits = re.sub("[^0-9]", "", match[9]).ljust(4, "0")
    minutes = int(digits[:2]) * 60 + int(digits[2:])
    shift = datetime.timedelta(minutes=-minutes if "-" in match[9] else minutes)
    return micros(wall.replace(tzinfo=datetime.UTC)) - shift // datetime.timedelta(microseconds=1)


# --- the ways to spoil a file ---------------------------------------------------------------------------

NASTY = [b'"', b"'", b",", b";", b"\t", b"\n", b"\r", b"\0", b"\xff", b"\xc3", "€".encode(), b"-", b".", b"9", b" ",
         b"\xef\xbb\xbf", b"\\", b"{", b"[", b"#", b"e5", b"\n\n", b'""']  # fmt: skip


def spoilt(data: bytes, rng: random.Random) -> bytes:
    """The bytes with one thing wrong, or two."""
    for _ in range(rng.choice([1, 1, 2])):
        ways = [
            changed,
            changed,
            changed,
            flipped,
            without,
            with_more,
            doubled,
            swapped,
            cut,
            headed,
            totalled,
        ]
        data = rng.choice(ways)(data, rng)
    return data


def changed(data: bytes, rng: random.Random) -> bytes:
    """Another digit for a digit, another letter for a letter."""
    places = [at for at, byte in enumerate(data) if chr(byte).isalnum()]
    if not places:
        return data
    at = rng.choice(places)
    return (
        data[:at]
        + rng.choice(b"0123456789" if chr(data[at]).isdigit() else b"abkpst").to_bytes()
        + data[at + 1 :]
    )


def flipped(data: bytes, rng: random.Random) -> bytes:
    at = rng.randrange(len(data) or 1)
    new = rng.choice(
        [
            data[at : at + 1] and bytes([data[at] ^ 1 << rng.randrange(8)]),
            rng.choice(b"0123456789,.;").to_bytes(),
        ]
    )
    return data[:at] + new + data[at + 1 :]


def without(data: bytes, rng: random.Random) -> bytes:
    at = rng.randrange(len(data) or 1)
    return data[:at] + data[at + rng.choice([1, 1, 2, 5, 40]) :]


def with_more(data: bytes, rng: random.Random) -> bytes:
    at = rng.randrange(len(data) or 1)
    return data[:at] + rng.choice(NASTY) + data[at:]


def lines_of(data: bytes) -> list[bytes]:
    return data.splitlines(keepends=True) or [b""]


def doubled(data: bytes, rng: random.Random) -> bytes:
    lines = lines_of(data)
    at = rng.randrange(len(lines))
    return b"".join([*lines[: at + 1], *lines[at:]])


def swapped(data: bytes, rng: random.Random) -> bytes:
    """Two cells of a line change places, or two lines."""
    lines = lines_of(data)
    at = rng.randrange(len(lines))
    sign = max(b",;\t|", key=lines[at].count).to_bytes()
    cells = lines[at].rstrip(b"\r\n").split(sign)
    one, two = rng.randrange(len(cells)), rng.randrange(len(cells))
    cells[one], cells[two] = cells[two], cells[one]
    if rng.random() < 0.3:
        lines[at], lines[0] = lines[0], lines[at]
    else:
        lines[at] = sign.join(cells) + lines[at][len(lines[at].rstrip(b"\r\n")) :]
    return b"".join(lines)


def cut(data: bytes, rng: random.Random) -> bytes:
    return data[: rng.randrange(len(data) or 1)]


def headed(data: bytes, rng: random.Random) -> bytes:
    """A second header in the middle, or the whole file once more."""
    lines = lines_of(data)
    at = rng.randrange(len(lines))
    return data + data if rng.random() < 0.3 else b"".join([*lines[:at], lines[0], *lines[at:]])


def totalled(data: bytes, rng: random.Random) -> bytes:
    sign = max(b",;\t|", key=lines_of(data)[0].count).to_bytes()
    return data.rstrip(b"\n") + b"\nTotal" + sign * max(lines_of(data)[0].count(sign), 1) + b"123"


EDITS = [("day-first", "month-first"), ("month-first", "day-first"), ("decimal: ','", "decimal: ."), ("keep", "hash"),
         ("unit: s", "unit: ms"), ("unit: ms", "unit: s"), ("Europe/Rome", "Asia/Tokyo"), ("zone", "# zone"), ("total", "score"),
         ("sum: true", "sum: false"), ("delimiter: ;", "delimiter: ','"), ("header: 3", "header: 2"), ("customer_id: customer_id", "customer_id: status"),
         ("over: 0", "over: 100"), ("EUR", "JPY"), ("utf-16", "utf-8"), ("cp1252", "latin-1"), ("by: ':'", "by: ''"), ("order_id", "Order_id"),
         ("revenue: total", "revenue: {column: total, decimal: ','}"), ("thousands: ','", "thousands: ' '"), ("records: data.items", "records: data")]  # fmt: skip


def miswritten(text: str, rng: random.Random) -> str:
    """A study.yaml with one thing wrong: a slip of the hand, or of the mind."""
    edits = [edit for edit in EDITS if edit[0] in text]
    if edits and rng.random() < 0.5:
        return text.replace(*rng.choice(edits), rng.choice([1, -1]))
    if rng.random() < 0.4:
        return spoilt(text.encode(), rng).decode(errors="ignore")
    lines = text.splitlines(keepends=True)
    at, other = rng.randrange(len(lines)), rng.randrange(len(lines))
    way = rng.choice(["double", "lose", "move", "indent", "outdent"])
    if way == "double":
        lines.insert(at, lines[at])
    elif way == "lose":
        del lines[at]
    elif way == "move":
        lines[at], lines[other] = lines[other], lines[at]
    else:
        lines[at] = f"  {lines[at]}" if way == "indent" else lines[at].removeprefix("  ")
    return "".join(lines)


# --- the tests ------------------------------------------------------------------------------------------


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("CXLIB_CACHE", str(tmp_path / "cache"))
    yield
    shutil.rmtree(tmp_path, ignore_errors=True)


@pytest.mark.parametrize("number", range(EXAMPLES))
def test_an_export_has_its_values_and_when_spoilt_those_of_an_independent_reading(
    number: int, tmp_path: Path, capsys: Captured
) -> None:
    rng = random.Random(f"{SEED} {number}")
    export = drawn(rng)
    where = put(export, tmp_path / "clean")
    table = export.said["sources"][0]["tables"][0]["table"]
    found = opened(where, capsys)
    if export.rows:
        assert found == {table: shown(export.rows, export.said, where)}
        assert {table: shown(reading(export)[table], export.said, where)} == found
    spoil = number % 3
    if spoil == 2:
        broken = replace(export, text=miswritten(export.yaml, rng))
    elif export.file.endswith(".gz") and spoil:
        broken = replace(export, data=gzip.compress(spoilt(gzip.decompress(export.data), rng), mtime=0))
    else:
        broken = replace(export, data=spoilt(export.data, rng))
    where = put(broken, tmp_path / "spoilt")
    found = opened(where, capsys)
    if isinstance(found, str):
        return
    right = reading(broken)
    said = yaml.safe_load(broken.yaml)
    assert found == {name: shown(rows, said, where) for name, rows in right.items() if rows}


@pytest.mark.parametrize("number", range(EXAMPLES))
def test_a_first_mapping_of_any_file_can_be_read_and_never_ends_in_a_traceback(
    number: int, tmp_path: Path, capsys: Captured
) -> None:
    rng = random.Random(f"{SEED} new {number}")
    export = drawn(rng)
    clean = number % 2 == 0
    file = (
        put(export if clean else replace(export, data=spoilt(export.data, rng)), tmp_path / "given")
        / export.file
    )
    out = tmp_path / "guessed"
    zone = export.said["sources"][0]["zone"]
    code = main(["new", str(out), "--from", str(file), "--zone", zone, "--currency", export.said["currency"]])
    caught = capsys.readouterr()
    assert "Traceback" not in caught.err
    if code:
        assert caught.err.startswith("cx: ")
        assert not out.exists()
        return
    values = yaml.safe_load((out / "study.yaml").read_text("utf-8"))
    if "To be stated by hand" not in caught.out:
        mapping.parse(values)
    found = opened(out, capsys)
    if clean and not isinstance(found, str):
        refuse_invented(found, export.values)


def refuse_invented(found: dict[str, list[Row]], values: list[dict[str, Any]]) -> None:
    """Every time, amount and score of a guessed study must be one that the export has."""
    times = {value["at"] for value in values}
    assert all(row[2] in times for rows in found.values() for row in rows)
    scores = {float(value["score"]) for value in values}
    assert all(row[3] in scores for row in found.get("surveys", []))
    amounts: dict[str, set[int]] = {}
    for value in values:
        sums = amounts.setdefault(value["id"], {0})
        sums |= {so_far + minor(value["amount"], value["money"]) for so_far in sums}
    assert all(row[3] in amounts[row[0]] for row in found.get("orders", []))
