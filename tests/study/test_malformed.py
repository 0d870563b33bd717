"""Exports as they really come: each is read right, or refused with what is wrong, where, and what to do.

One small file of two orders, spoilt in one way at a time, goes through the commands that a user types. The
figures of what is read are written out by hand; amounts in minor units, times in UTC (the files' clock is
Rome's).
"""

from __future__ import annotations

import csv
import datetime
import gzip
import io
import json
import os
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

import cxlib as cx
from cxlib.__main__ import main
from cxlib.errors import CxError
from cxlib.readers import mapping
from cxlib.study import intake

Folder = Callable[..., Path]
Whole = Callable[[], None]
Captured = pytest.CaptureFixture[str]

HEADER = ("order", "who", "day", "total")
ROWS = (("A1", "k1", "2026-02-03 10:00", "9.50"), ("A2", "k2", "2026-02-04 11:30", "1.50"))
RIGHT = [("A1", "k1", "2026-02-03T09:00", 950), ("A2", "k2", "2026-02-04T10:30", 150)]


@pytest.fixture(autouse=True)
def _always_whole(whole: Whole) -> Any:
    yield
    whole()


def orders(*more: Sequence[str], sep: str = ",", **first: str) -> str:
    """The export as text; `first` replaces cells of its first row, `more` are rows at its end."""
    out = io.StringIO()
    cells = [first.get(name, cell) for name, cell in zip(HEADER, ROWS[0], strict=True)]
    csv.writer(out, delimiter=sep, lineterminator="\n").writerows([HEADER, cells, *ROWS[1:], *more])
    return out.getvalue()


def records(*more: Any, **first: Any) -> list[Any]:
    """The export as a list of objects."""
    both = [dict(zip(HEADER, row, strict=True)) for row in ROWS]
    return [both[0] | first, both[1], *more]


def lines(values: Sequence[Any]) -> str:
    return "".join(json.dumps(value) + "\n" for value in values)


def parquet(**columns: Any) -> bytes:
    """The export as Parquet, columns replaced."""
    out = io.BytesIO()
    base = {name: [row[i] for row in ROWS] for i, name in enumerate(HEADER)}
    pq.write_table(pa.table(base | columns), out)
    return out.getvalue()


def moment(text: str) -> tuple[str, float]:
    """A cell of an Excel sheet that holds a time: the days since 1900 as Excel counts them."""
    return "date", (
        datetime.datetime.fromisoformat(text) - datetime.datetime(1899, 12, 30)
    ) / datetime.timedelta(1)


def sheet(
    *more: Sequence[Any], top: Sequence[Sequence[Any]] = (HEADER,), **first: Any
) -> list[Sequence[Any]]:
    """The export as rows of an Excel sheet."""
    cells = {"day": moment("2026-02-03 10:00"), "total": 9.5} | first
    second = ("A2", "k2", moment("2026-02-04 11:30"), 1.5)
    return [*top, [cells.get(name, cell) for name, cell in zip(HEADER, ROWS[0], strict=True)], second, *more]


def xlsx(*sheets: Sequence[Sequence[Any]], merged: str = "") -> bytes:
    """A workbook; a text that begins with # is an error cell. Written by hand: no library of ours writes one."""

    def cell(value: Any, at: str) -> str:
        if value is None:
            return ""
        if isinstance(value, tuple):
            return f'<c r="{at}" s="1"><v>{value[1]!r}</v></c>'
        if isinstance(value, float | int):
            return f'<c r="{at}"><v>{value!r}</v></c>'
        if value.startswith("#"):
            return f'<c r="{at}" t="e"><v>{value}</v></c>'
        return f'<c r="{at}" t="inlineStr"><is><t>{escape(value)}</t></is></c>'

    def rows(values: Sequence[Sequence[Any]]) -> str:
        return "".join(
            f'<row r="{r}">{"".join(cell(v, f"{chr(65 + c)}{r}") for c, v in enumerate(row))}</row>'
            for r, row in enumerate(values, start=1)
        )

    main_ = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    office = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    package = "http://schemas.openxmlformats.org/package/2006"
    numbers = range(1, len(sheets) + 1)
    listed = "".join(f'<sheet name="S{i}" sheetId="{i}" r:id="r{i}"/>' for i in numbers)
    related = "".join(
        f'<Relationship Id="r{i}" Type="{office}/worksheet" Target="{i}.xml"/>' for i in numbers
    )
    files = {
        "[Content_Types].xml": f'<Types xmlns="{package}/content-types"/>',
        "_rels/.rels": f'<Relationships xmlns="{package}/relationships"><Relationship Id="r1" '
        f'Type="{office}/officeDocument" Target="xl/workbook.xml"/></Relationships>',
        "xl/workbook.xml": f'<workbook xmlns="{main_}" xmlns:r="{office}"><sheets>{listed}</sheets></workbook>',
        "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{package}/relationships">{related}'
        f'<Relationship Id="s" Type="{office}/styles" Target="styles.xml"/></Relationships>',
        "xl/styles.xml": f'<styleSheet xmlns="{main_}"><cellXfs><xf numFmtId="0"/><xf numFmtId="22"/></cellXfs>'
        "</styleSheet>",
    }
    merge = f'<mergeCells count="1"><mergeCell ref="{merged}"/></mergeCells>' if merged else ""
    for i, values in zip(numbers, sheets, strict=True):
        files[f"xl/{i}.xml"] = (
            f'<worksheet xmlns="{main_}"><sheetData>{rows(values)}</sheetData>{merge}</worksheet>'
        )
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return out.getvalue()


def stated(
    file: str = "orders.csv", *, table: Mapping[str, Any] = {}, columns: Mapping[str, Any] = {}, **source: Any
) -> dict[str, Any]:
    """The mapping of the export; None takes an entry away."""
    rules = {"order_id": "order", "customer_id": "who", "ts": "day", "revenue": "total"} | dict(columns)
    entry = {"table": "orders", **table, "columns": rules}
    given = {"file": file, "zone": "Europe/Rome"} | source | {"tables": [entry]}
    kept = {name: value for name, value in given.items() if value is not None}
    return {"currency": "EUR", "identifiers": "keep", "sources": [kept]}


@dataclass(frozen=True)
class Case:
    """A file, what study.yaml says of it, and what must come of it: a message with all of `says`, or `rows`
    (and a message of what was left out with all of `says`)."""

    name: str
    content: str | bytes
    says: tuple[str, ...]
    rows: list[tuple[Any, ...]] | None = None
    file: str = "orders.csv"
    how: Mapping[str, Any] = field(default_factory=dict)


def refused(name: str, content: str | bytes, *says: str, file: str = "orders.csv", **how: Any) -> Any:
    return pytest.param(Case(name, content, says, None, file, how), id=name)


def handled(
    name: str,
    content: str | bytes,
    rows: list[tuple[Any, ...]] = RIGHT,
    *says: str,
    file: str = "orders.csv",
    **how: Any,
) -> Any:
    return pytest.param(Case(name, content, says, rows, file, how), id=name)


def told(capsys: Captured, code: int, *argv: str) -> str:
    """What a command prints that ends with this exit code, and never with a traceback."""
    capsys.readouterr()
    assert main(list(argv)) == code
    caught = capsys.readouterr()
    assert "Traceback" not in caught.err
    if code and not caught.out:
        assert caught.err.startswith("cx: ")
    return caught.out + caught.err


def rows_of(where: Path, *columns: str) -> list[tuple[Any, ...]]:
    """Orders as opened: order_id, customer_id, UTC time, revenue, and further columns."""
    study = cx.open_study(where)
    t = study.table("orders")
    frame = study.fetch(t.select("order_id", "customer_id", "ts", "revenue", *columns)).sort_values(
        "order_id"
    )
    times = pd.to_datetime(frame["ts"])
    frame["ts"] = [
        t.isoformat(timespec="minutes" if not (t.second or t.microsecond) else "auto") for t in times
    ]
    return [tuple(None if pd.isna(v) else v for v in row) for row in frame.itertuples(index=False)]


LONG = orders(*[(f"B{i}", "k1", "2026-02-05 08:00", "1.00") for i in range(3000)])
NOTED = "order,who,day,total,city,note\n" + "".join(",".join(row) + ",Rome,x\n" for row in ROWS)
LINES = lines(records())

CASES = [
    # --- bytes
    handled("a byte order mark is taken off", b"\xef\xbb\xbf" + orders().encode()),
    refused("UTF-16 that is not stated", orders().encode("utf-16"), "orders.csv is UTF-16", "encoding: utf-16"),
    handled("UTF-16 that is stated", orders().encode("utf-16"), encoding="utf-16"),
    refused("UTF-16 without a mark", orders().encode("utf-16-le"), "binary data"),
    refused(
        "UTF-16 without a mark where one is promised",
        orders().encode("utf-16-le"), "orders.csv", "utf-16-le", encoding="utf-16",
    ),
    refused("Latin-1 that is not stated", orders(who="Zoë").encode("latin-1"), "line 2", "not utf-8", "latin-1"),
    handled(
        "Latin-1 that is stated",
        orders(who="Zoë").encode("latin-1"), [("A1", "Zoë", *RIGHT[0][2:]), RIGHT[1]], encoding="latin-1",
    ),
    refused(
        "a euro sign of Windows in a file called Latin-1",
        orders(who="k€").encode("cp1252"), "line 2", "cp1252", encoding="latin-1",
    ),
    handled(
        "a euro sign of Windows, stated, and taken off the amounts",
        orders(total="9,50 €", sep=";").replace("1.50", "1,50 €").encode("cp1252"),
        encoding="cp1252", delimiter=";", decimal=",", columns={"revenue": {"column": "total", "strip": "€"}},
    ),
    refused("UTF-8 called Latin-1", orders(who="Zoë"), "is UTF-8", "Take `encoding", encoding="latin-1"),
    refused("a byte that is no UTF-8 far into a file", LONG.encode() + b"C1,\xff,,\n", "line 3004", "not utf-8"),
    refused("NUL bytes", orders(who="k\0"), "orders.csv holds binary data"),
    refused("a web page named .csv", "<!DOCTYPE html><html><body>Sign in</body></html>\n", "has no column"),
    refused("a ZIP archive named .csv", xlsx(sheet()), "orders.csv holds binary data", "Export it as CSV"),
    refused("a Parquet file named .csv", parquet(), "a Parquet file named .csv", "Rename it"),
    refused("an empty file", "", "orders.csv is empty", "header line"),
    refused("a packed file cut off", gzip.compress(LONG.encode())[:-9], "unpacked", file="orders.csv.gz"),
    refused(
        "a packed file with one byte changed at its end",
        gzip.compress(orders().encode())[:-6] + b"\0" + gzip.compress(orders().encode())[-5:],
        "orders.csv.gz cannot be unpacked", file="orders.csv.gz",
    ),
    refused("a packed file that is none", orders(), "orders.csv.gz cannot be unpacked", file="orders.csv.gz"),
    # --- the shape of a table
    refused("a header alone", orders().split("\n")[0] + "\n", "the table has no rows"),
    refused("one column only", "order\nA1\n", "no column `who`", "It has: order"),
    refused("another delimiter", orders(sep=";"), "not delimited by `,`", 'delimiter: ";"'),
    handled("the delimiter that Excel writes above the header", "sep=;\n" + orders(sep=";")),
    handled("line ends of old Macs", orders().replace("\n", "\r")),
    handled("blank lines here and there", orders().replace("A1", "\n\nA1").replace("A2", "\nA2") + "\n\n"),
    refused("a row that is too short", orders(("A3", "k3")), "line 4, has 2 fields; the header has 4", "Put"),
    refused("a row that is too long", orders(("A3", "k3", "", "1", "x")), "line 4, has 5 fields"),
    refused(
        "a comma without quotes that shifts a row whose last field is empty",
        NOTED + "A3,k1,2026-02-05 10:00,3.00,Rome, Italy,\n", "line 4, has 7 fields; the header has 6",
        columns={"city": "city", "note": "note"},
    ),
    handled("a comma at the end of every row but not of the header", orders().replace("0\n", "0,\n")),
    handled("a comma at the end of every line", orders().replace("\n", ",\n")),
    handled("a line break within quotes", NOTED.replace("Rome", '"Rome,\nItaly"'), columns={"city": "city"}),
    refused("a quote that is closed rows later", orders().replace("k1", '"k1').replace("k2", 'k2"'), "line 2", "line break"),
    handled("quotes within quotes", orders(who='k"1"'), [("A1", 'k"1"', *RIGHT[0][2:]), RIGHT[1]]),
    refused("a quote that nobody closes", orders().replace("k1", '"k1'), "orders.csv, line", "Mend its quotes"),
    refused("text behind a closing quote", orders().replace("k1", '"k"1'), "orders.csv, line 2", "quotes"),
    refused("a second header in the middle", orders(HEADER, *ROWS), "line 4", "`day`", "`total`"),
    refused("three header rows called one", orders().replace("A1", "a,b,c,d\n1,2,3,4\nA1"), "line 2", "line 3"),
    handled("three header rows, stated", orders().replace("A1", "a,b,c,d\n1,2,3,4\nA1"), header=3),
    handled("no header row, and names stated", orders()[20:], header=0, names=list(HEADER)),
    refused("two names for four columns", orders()[20:], "has 4 columns; `names` lists 2", header=0, names=["a", "b"]),
    refused("two columns of one name", orders().replace("who", "total"), "no column `total`", "total (1)", "total (2)",
            columns={"customer_id": "day"}),
    handled("a header with blanks around names", orders().replace("who,day", "  who , day  ")),
    refused("a header in capitals", orders().upper(), "has no column", "Did you mean", "ORDER"),
    refused("a row of totals at the end", orders(("Total", "", "", "11.00")), "orders.customer_id: 1 row: empty"),
    handled(
        "a row of totals that `where` leaves out",
        orders(("Total", "", "", "11.00")), RIGHT, "1 row: left out by `where`", table={"where": {"who": "filled"}},
    ),
    refused("comment lines above the header", "# Orders of 2026\n# all\n" + orders(), "line 3, has 4 fields", "the header has 1"),
    handled("a field of two million characters", orders().replace("total\n", "total,note\n").replace("9.50", "9.50," + "x" * 2_000_000).replace("1.50", "1.50,y"), columns={"note": "note"}),
    # --- amounts
    refused("decimal commas not stated", orders(total="9,50"), "line 2", "`9,50`", "column revenue", 'decimal: ","'),
    handled("decimal commas stated", orders(total="9,50").replace("1.50", '"1,50"'), decimal=","),
    refused("thousands not stated", orders(total="1,009.50"), "line 2", "`1,009.50`", "thousands"),
    handled(
        "thousands stated", orders(total="1,009.50"), [(*RIGHT[0][:3], 100950), RIGHT[1]], thousands=","
    ),
    refused("a decimal sign that is no group of thousands", orders(total="9,50"), "line 2", "`9,50`", thousands=","),
    refused("a currency sign not stated", orders(total="€9.50"), "line 2", "`€9.50`"),
    refused("percent", orders(total="95%"), "line 2", "`95%`"),
    refused("parentheses for a negative amount", orders(total="(9.50)"), "line 2", "`(9.50)`"),
    handled(
        "cancellations as negative rows",
        orders(("A3", "k1", "2026-02-05 10:00", "-9.50")), [*RIGHT, ("A3", "k1", "2026-02-05T09:00", -950)],
    ),
    refused(
        "a condition on an amount that cannot be read",
        orders(total="1,009.50"), "line 2", "`1,009.50`", table={"where": {"total": {"over": 0}}},
    ),
    refused("NULL for an empty amount", orders(total="NULL"), "line 2", "`NULL`"),
    handled(
        "N/A and a hyphen mapped to empty",
        "order,who,day,total,note\n" + "A1,k1,2026-02-03 10:00,9.50,-\nA2,k2,2026-02-04 11:30,1.50,N/A\n",
        columns={"channel": {"column": "note", "map": {"N/A": None, "-": None}}},
    ),
    handled(
        "unreadable rows dropped where study.yaml says so",
        orders(("A3", "k1", "2026-02-05", "?")), RIGHT, "orders.revenue: 1 row: cannot be read", unreadable="drop",
    ),
    handled(
        "two currencies, each with its own minor unit",
        "order,who,day,total,money\nA1,k1,2026-02-03 10:00,9.50,EUR\nA2,k2,2026-02-04 11:30,150,JPY\n",
        columns={"currency": "money"},
    ),
    refused(
        "two currencies within one sum",
        "order,who,day,total,money\nA1,k1,2026-02-03 10:00,9.50,EUR\nA1,k1,2026-02-03 10:00,150,JPY\n",
        "column currency", "`A1`",
        columns={"currency": "money", "revenue": {"column": "total", "sum": True}}, table={"each": "order"},
    ),
    refused(
        "a currency in small letters",
        "order,who,day,total,money\nA1,k1,2026-02-03 10:00,9.50,eur\n", "`eur`", "three capitals",
        columns={"currency": "money"},
    ),
    # --- times
    handled("days first", orders(day="03/02/2026 10:00").replace("2026-02-04", "04.02.2026"), dates="day-first"),
    refused("days first not stated", orders(day="13/02/2026"), "line 2", "`13/02/2026`", "dates: day-first"),
    refused("days first among months first", orders(day="13/02/2026"), "line 2", "`13/02/2026`", dates="month-first"),
    refused("two digits for a year", orders(day="03/02/26"), "line 2", "`03/02/26`", "%d", dates="day-first"),
    handled(
        "two digits for a year, stated",
        orders(day="03/02/26 10:00").replace("2026-02-04", "04/02/26"), dates="%d/%m/%y %H:%M",
    ),
    refused("days as Excel counts them", orders(day="46056.42"), "line 2", "`46056.42`"),
    refused(
        "milliseconds among seconds since 1970",
        orders(day="1770109200").replace("2026-02-04 11:30", "1770201000000"), "orders.ts: 1 row: outside 1990",
        columns={"ts": {"column": "day", "unit": "s"}},
    ),
    refused(
        "microseconds among milliseconds since 1970",
        orders(day="1770109200000").replace("2026-02-04 11:30", "1770201000000000"), "orders.ts: 1 row: outside 1990",
        columns={"ts": {"column": "day", "unit": "ms"}},
    ),
    handled("midnight written as 24:00", orders(day="2026-02-02 24:00"), [("A1", "k1", "2026-02-02T23:00", 950), RIGHT[1]]),
    refused("29 February of a year that has none", orders(day="2025-02-29 10:00"), "line 2", "`2025-02-29 10:00`"),
    refused("the year 0202", orders(day="0202-02-03"), "orders.ts: 1 row: outside 1990"),
    handled(  # as PEP 495 has it: by the offset before the clock was put forward
        "an hour that the clock left out", orders(day="2026-03-29 02:30"), [("A1", "k1", "2026-03-29T01:30", 950), RIGHT[1]]
    ),
    handled(  # the later of the two
        "an hour that the clock showed twice", orders(day="2025-10-26 02:30"), [("A1", "k1", "2025-10-26T01:30", 950), RIGHT[1]]
    ),
    refused("an offset that no clock has", orders(day="2026-02-03T10:00+25:00"), "line 2", "+25:00"),
    refused("a month of another language", orders(day="marraskuu 3 2026"), "line 2", "`marraskuu 3 2026`"),
    refused("a format that strptime does not know", orders(), "study.yaml", "%Q", dates="%Q"),
    refused("times without a zone", orders(), "line 2", "Say which clock", "zone: Europe/Rome", zone=None),
    # --- ids
    refused("an id that has been a float, hidden by its pseudonym", orders(who="17850.0"), "line 2", "`17850.0`"),
    refused("an id in powers of ten", orders(who="1.7850E4"), "line 2", "`1.7850E4`", "whole: true"),
    handled(
        "ids that have been floats, made whole", orders(who="17850.0").replace("k2", "1.7850E4"),
        [("A1", "17850", *RIGHT[0][2:]), ("A2", "17850", *RIGHT[1][2:])],
        columns={"customer_id": {"column": "who", "whole": True}},
    ),
    refused(
        "a float beyond the digits that it keeps",
        orders(who="1.2345678901234567E17"), "line 2", "lost", columns={"customer_id": {"column": "who", "whole": True}},
    ),
    handled("ids with leading noughts", orders(who="007"), [("A1", "007", *RIGHT[0][2:]), RIGHT[1]]),
    handled("an apostrophe before an id", orders(who="'k1"), columns={"customer_id": {"column": "who", "strip": "'"}}),
    refused("an order listed twice", orders(ROWS[0]), "1 row: repeat a key", "`A1`"),
    # --- JSON
    handled("one object a line", LINES, file="orders.jsonl"),
    refused("a broken line of JSON", LINES + '{"order": "A3", \n' + LINES, "orders.jsonl, line 3", file="orders.jsonl"),
    refused("a list of JSON cut off", json.dumps(records())[:-20], "orders.json cannot be read", "JSON", file="orders.json"),
    refused("a list of JSON and more behind it", json.dumps(records()) * 2, "orders.json cannot be read", file="orders.json"),
    refused(
        "an object where an id was", lines(records(dict(zip(HEADER, ROWS[0], strict=True)) | {"order": "A3", "who": {"id": 5}})),
        "column customer_id", "line 3", '{"id":5}', file="orders.jsonl",
    ),
    refused("an object where an amount was", lines(records(total={"amount": 9.5})), "line 1", "amount", file="orders.jsonl"),
    handled("numbers as numbers, and integers as text", lines(records(total=9.5, who="k1")), file="orders.jsonl"),
    handled(
        "numbers as such among decimal commas", lines(records(total=123.456)).replace("1.50", "1.123,50"),
        [(*RIGHT[0][:3], 12346), (*RIGHT[1][:3], 112350)], file="orders.jsonl", decimal=",", thousands=".",
    ),
    refused("a line that is no object", LINES + "5\n", "orders.order_id: 1 row: empty", file="orders.jsonl"),
    refused(
        "a path that leads to no records",
        json.dumps({"data": {"items": records()}}), "orders.json", "`data.item`", file="orders.json", records="data.item",
    ),
    refused("JSON nested a thousandfold", "[" * 5000 + "]" * 5000, "orders.json", file="orders.json"),
    refused("a letter of Latin-1 in JSON", LINES.replace("k1", "Zoë").replace("\\u00eb", "ë").encode("latin-1"), "line 1", "not utf-8", file="orders.jsonl"),
    # --- Excel
    handled("a workbook", xlsx(sheet()), file="orders.xlsx"),
    handled("numbers stored as text", xlsx(sheet(total="9.50")), file="orders.xlsx"),
    refused("empty rows above the header", xlsx(sheet(top=[[], [], HEADER])), "has no column", "column 1", file="orders.xlsx"),
    handled("empty rows above the header, counted", xlsx(sheet(top=[[], [], HEADER])), file="orders.xlsx", header=3, names=list(HEADER)),
    refused("merged cells", xlsx(sheet((None, "k1", moment("2026-02-05 10:00"), 2.0)), merged="A3:A4"), "orders.order_id: 1 row: empty", file="orders.xlsx"),
    refused("two sheets and none named", xlsx(sheet(), sheet()), "S1, S2", "sheet:", file="orders.xlsx"),
    handled("two sheets and one named", xlsx([["x"]], sheet()), file="orders.xlsx", sheet="S2"),
    refused("a sheet that is not there", xlsx(sheet()), "orders.xlsx", "Orders", file="orders.xlsx", sheet="Orders"),
    refused("an error in a cell", xlsx(sheet(total="#N/A")), "line 2", "#N/A", file="orders.xlsx"),
    refused("an id too long for a cell", xlsx(sheet(who=12345678901234567890.0)), "line 2", "customer_id", file="orders.xlsx"),
    refused("days as bare numbers", xlsx(sheet(day=46056.5)), "line 2", "`46056.5`", file="orders.xlsx"),
    refused("an empty sheet", xlsx([]), "orders.xlsx", file="orders.xlsx"),
    refused("text named .xlsx", orders(), "orders.xlsx cannot be read", file="orders.xlsx"),
    # --- Parquet and XES
    handled("texts stored as bytes", parquet(who=pa.array(["Zoë".encode(), b"k2"])), [("A1", "Zoë", *RIGHT[0][2:]), RIGHT[1]], file="orders.parquet"),
    refused("bytes that are no text", parquet(who=pa.array([b"\xff\xfe", b"k2"])), "orders.parquet", file="orders.parquet"),
    handled("decimal amounts", parquet(total=pa.array([Decimal("9.50"), Decimal("1.50")], pa.decimal128(38, 9))), file="orders.parquet"),
    handled(
        "times in nanoseconds", parquet(day=pd.to_datetime(["2026-02-03 10:00:00.123456789", "2026-02-04 11:30:00.0"], format="ISO8601").astype("datetime64[ns]")),
        [("A1", "k1", "2026-02-03T09:00:00.123456", 950), RIGHT[1]], file="orders.parquet",
    ),
    handled("dates without a time", parquet(day=pa.array([datetime.date(2026, 2, 3), datetime.date(2026, 7, 4)])),
            [("A1", "k1", "2026-02-02T23:00", 950), ("A2", "k2", "2026-07-03T22:00", 150)], file="orders.parquet"),
    refused("ids stored as floats", parquet(who=[17850.0, 1e17]), "record 1", "`17850.0`", file="orders.parquet"),
    refused("lists where ids were", parquet(who=[["k1"], ["k2"]]), "`who` holds records", file="orders.parquet"),
    refused("maps where ids were", parquet(who=pa.array([[("a", 1)], []], pa.map_(pa.string(), pa.int64()))), "`who` holds records", file="orders.parquet"),
    refused("not a number", parquet(total=pa.array([9.5, float("nan")])), "record 2", "`nan`", file="orders.parquet"),
    refused("Parquet cut off", parquet()[:-9], "orders.parquet cannot be read", file="orders.parquet"),
    refused("a log with a DOCTYPE", '<?xml version="1.0"?><!DOCTYPE log [<!ENTITY a "b">]><log/>', "orders.xes", "DOCTYPE", file="orders.xes"),
    refused("a log cut off", '<?xml version="1.0"?><log><trace><event>', "orders.xes", "Export it again", file="orders.xes"),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_a_file_is_read_right_or_refused_with_a_reason(case: Case, folder: Folder, capsys: Captured) -> None:
    where = folder({case.file: case.content, "study.yaml": yaml.safe_dump(stated(case.file, **case.how))})
    said = told(capsys, 1 if case.rows is None else 0, "check", str(where))
    for text in case.says:
        assert text in said
    if case.rows is not None:
        assert rows_of(where) == case.rows


# --- study.yaml -------------------------------------------------------------------------------------

WRITTEN = """\
currency: EUR
identifiers: keep
sources:
  - file: orders.csv
    zone: Europe/Rome
    tables:
      - table: orders
        columns:
          order_id: order
          customer_id: who
          ts: day
          revenue: total
"""


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        pytest.param(old, new, says, id=name)
        for name, old, new, says in (
            ("a wrong indentation", "    zone", "   zone", ["study.yaml is not YAML", "line 5"]),
            ("a tab for an indentation", "    zone", "\tzone", ["study.yaml is not YAML", "line 5"]),
            ("an entry that is not known", "zone:", "zoen:", ["source 1", "`zoen`", "Did you mean `zone`?"]),
            ("a setting that is not known", "currency:", "curency:", ["`curency`", "Did you mean `currency`?"]),
            ("an entry left empty", "zone: Europe/Rome", "zone:", ["source 1: `zone`", "only you can know"]),
            ("an entry written twice", "ts: day", "ts: day\n          ts: total", ["`ts`", "twice", "line 12"]),
            ("sources written twice", "sources:", "sources: []\nsources:", ["`sources`", "twice"]),
            ("a zone that is not known", "Europe/Rome", "Europe/Roma", ["`Europe/Roma`", "Did you mean `Europe/Rome`?"]),
            ("a preset that is not known", "zone:", "preset: shopfy\n    zone:", ["`shopfy`", "Did you mean `shopify`?"]),
            ("a pattern that fits no file", "orders.csv", "order_*.csv", ["no file order_*.csv", "holds: orders.csv"]),
            ("a name longer than files have", "orders.csv", "x" * 5000 + ".csv", ["no file xxx"]),
            ("a column that the file has not", "revenue: total", "revenue: totl", ["`totl`", "Did you mean `total`?", "order, who"]),
            ("a column that the contract calls otherwise", "revenue", "revenu", ["`columns` lacks revenue"]),
            ("a table that the contract has not", "table: orders", "table: order", ["`order`", "Did you mean `orders`?"]),
            ("a column in the contract's name but for capitals", "ts: day", "ts: day\n          TS: day", ["column TS", "capitals"]),
            ("a further column whose name has a colon", "ts: day", "ts: day\n          'a:b': day", ["a:b", "colon"]),
            ("a further column without a name", "ts: day", "ts: day\n          '': day", ["column", "name"]),
            ("a column called no, which YAML takes for false", "columns:", "each: no\n        columns:", ["each", "quotes"]),
            ("a number with a leading nought", "order_id: order", "order_id: {value: 010}", ["`010`"]),
            ("a condition that is not known", "columns:", "where: {total: {above: 0}}\n        columns:", ["`above`", "Did you mean `over`?"]),
            ("a condition on a list within a list", "columns:", "where: {total: [[1]]}\n        columns:", ["where total", "one value"]),
            ("an encoding that is none", "zone:", "encoding: hex\n    zone:", ["encoding `hex` is not known"]),
            ("a list for a name", "ts: day", "? [ts]\n          : day", ["study.yaml is not YAML", "line 11"]),
            ("an encoding of host names", "zone:", "encoding: idna\n    zone:", ["encoding `idna` is not known"]),
            ("an encoding that Python only pretends to have", "zone:", "encoding: undefined\n    zone:", ["encoding `undefined` is not known"]),
            ("two characters for a delimiter", "zone:", "delimiter: ';;'\n    zone:", ["one character"]),
            ("a list that holds itself", "sources:", "sources: &a\n  - *a", ["study.yaml"]),
            ("a list in place of entries", "sources:", "- a", ["study.yaml"]),
            ("two documents in one file", "sources:", "---\nsources:", ["study.yaml is not YAML"]),
        )
    ],
)  # fmt: skip
def test_a_mapping_that_is_not_what_it_should_be_says_where(
    folder: Folder, capsys: Captured, old: str, new: str, says: list[str]
) -> None:
    assert old in WRITTEN
    where = folder({"orders.csv": orders(), "study.yaml": WRITTEN.replace(old, new, 1)})
    said = told(capsys, 1, "check", str(where))
    for text in says:
        assert text in said
    with pytest.raises(CxError):
        cx.open_study(where)


def test_an_order_in_two_sources_is_a_key_that_repeats(folder: Folder, capsys: Captured) -> None:
    both = stated()
    both["sources"] += stated("more.csv")["sources"]
    where = folder({"orders.csv": orders(), "more.csv": orders(), "study.yaml": yaml.safe_dump(both)})
    said = told(capsys, 1, "check", str(where))
    assert "orders.order_id: 2 rows: repeat a key" in said
    assert "`A1`" in said


# --- files that are none, or change, or find no room ------------------------------------------------


def test_a_link_to_itself_and_a_folder_are_no_file(folder: Folder, capsys: Captured) -> None:
    where = folder({"study.yaml": yaml.safe_dump(stated())})
    (where / "orders.csv").symlink_to("orders.csv")
    for again in (False, True):
        if again:
            (where / "orders.csv").unlink()
            (where / "orders.csv").mkdir()
        assert "no file orders.csv" in told(capsys, 1, "check", str(where))
        assert "orders.csv" in told(capsys, 1, "new", str(where / "new"), "--from", str(where / "orders.csv"))
        assert not (where / "new").exists()


def test_a_folder_in_place_of_study_yaml_is_named(folder: Folder, capsys: Captured) -> None:
    where = folder({"orders.csv": orders()})
    (where / "study.yaml").mkdir()
    assert "study.yaml" in told(capsys, 1, "check", str(where))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every file")
def test_a_file_that_may_not_be_read_is_named(folder: Folder, capsys: Captured) -> None:
    where = folder({"orders.csv": orders(), "study.yaml": yaml.safe_dump(stated())})
    (where / "orders.csv").chmod(0)
    assert "orders.csv" in told(capsys, 1, "check", str(where))
    assert "orders.csv" in told(capsys, 1, "new", str(where / "new"), "--from", str(where / "orders.csv"))


def test_a_file_that_grows_while_it_is_converted_is_refused_and_nothing_is_opened(
    folder: Folder, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    where = folder({"orders.csv": orders(), "study.yaml": yaml.safe_dump(stated())})
    convert = intake.convert

    def grows(*given: Any) -> None:
        convert(*given)
        folder({"orders.csv": orders(("A3", "k3", "2026-02-05 10:00", "3.00"))})

    monkeypatch.setattr(intake, "convert", grows)
    assert "orders.csv has changed" in told(capsys, 1, "check", str(where))
    monkeypatch.setattr(intake, "convert", convert)
    assert [row[0] for row in rows_of(where)] == ["A1", "A2", "A3"]


@pytest.mark.parametrize("teller", ["the engine", "the system"])
def test_a_full_disk_is_said_so_and_leaves_nothing_half_written(
    folder: Folder, capsys: Captured, cache: Path, monkeypatch: pytest.MonkeyPatch, teller: str
) -> None:
    import duckdb
    from ibis.backends.duckdb import Backend

    where = folder({"orders.csv": orders(), "study.yaml": yaml.safe_dump(stated())})
    full = {
        "the engine": duckdb.IOException('IO Error: Could not write file "part": No space left on device'),
        "the system": OSError(28, "No space left on device", "part"),
    }[teller]

    def writes(self: Any, expr: Any, path: Path, **how: Any) -> None:
        Path(path).write_bytes(b"half")
        raise full

    monkeypatch.setattr(Backend, "to_parquet", writes)
    said = told(capsys, 1, "check", str(where))
    assert "The disk is full" in said
    assert "damaged" not in said
    assert not [path for path in cache.rglob("*") if path.is_file()]
    monkeypatch.undo()
    monkeypatch.setenv("CXLIB_CACHE", str(cache))
    assert rows_of(where) == RIGHT


def test_a_converted_study_that_was_damaged_is_converted_again(
    folder: Folder, capsys: Captured, cache: Path
) -> None:
    where = folder({"orders.csv": orders(), "study.yaml": yaml.safe_dump(stated())})
    told(capsys, 0, "check", str(where))
    for damaged in [*cache.rglob("study-*/orders/*.parquet"), *cache.rglob("parts/*.parquet")]:
        damaged.write_bytes(damaged.read_bytes()[:-40])
    assert rows_of(where) == RIGHT


def test_a_damaged_list_of_the_forgotten_is_refused(folder: Folder, capsys: Captured) -> None:
    where = folder(
        {"orders.csv": orders(), "study.yaml": yaml.safe_dump(stated()), "forgotten": b"\xff\xfep"}
    )
    assert "is no pseudonym" in told(capsys, 1, "check", str(where))


def test_a_cache_that_is_a_file_is_named(
    folder: Folder, capsys: Captured, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    where = folder({"orders.csv": orders(), "study.yaml": yaml.safe_dump(stated())})
    (tmp_path / "occupied").write_text("")
    monkeypatch.setenv("CXLIB_CACHE", str(tmp_path / "occupied"))
    assert "occupied" in told(capsys, 1, "check", str(where))


# --- cx new -----------------------------------------------------------------------------------------


def seen(day: str = "2026-02-{:02} 10:00", total: str = "{}.50") -> str:
    """Orders with names that are known, their days and totals so written."""
    rows = [
        (f"A{i}", f"k{i % 7}", day.format(i % 9 + 1), total.format(i + 1), "paid" if i % 3 else "open")
        for i in range(30)
    ]
    return "".join(
        ",".join(row) + "\n" for row in [("order_id", "customer_id", "created_at", "total", "status"), *rows]
    )


SEEN = seen()
MIXED = seen(day="{:02}/03/2026").replace("01/03", "13/03").replace("02/03", "03/14")


def guessed(folder: Folder, capsys: Captured, content: str | bytes, file: str, code: int) -> tuple[str, Path]:
    """What `cx new` prints of a file, and the folder it writes."""
    where = folder({file: content}, name="exports")
    out = where.parent / "guessed"
    said = told(
        capsys, code, "new", str(out), "--from", str(where / file), "--zone", "UTC", "--currency", "EUR"
    )
    assert out.exists() is (code == 0)
    return said, out


@pytest.mark.parametrize(
    ("content", "file", "says"),
    [
        pytest.param(content, file, says, id=name)
        for name, content, file, says in (
            ("an empty file", "", "a.csv", ["a.csv is empty"]),
            ("a header alone", SEEN.partition("\n")[0], "a.csv", ["a.csv has no records"]),
            ("a web page", "<!DOCTYPE html><html>\n<body>Sign in</body></html>", "a.csv", ["a.csv"]),
            ("an archive", xlsx(sheet()), "a.csv", ["a.csv holds binary data"]),
            ("Parquet named .csv", parquet(), "a.csv", ["Rename it"]),
            ("UTF-16 without a mark", SEEN.encode("utf-16-le"), "a.csv", ["binary data"]),
            ("comments above the header", "# Orders\n# of 2026\n" + SEEN, "a.csv", ["line 3, has 5 fields; the header has 1"]),
            ("one column", "order_id\nA1\nA2\n", "a.csv", ["no column says who it was or when"]),
            ("a list of JSON cut off", "[" + lines(records())[:50], "a.json", ["a.json"]),
            ("JSON nested a thousandfold", "[" * 5000 + "]" * 5000, "a.json", ["a.json"]),
            ("a number for a document", "5", "a.json", ["no records"]),
            ("an empty sheet", xlsx([]), "a.xlsx", ["a.xlsx"]),
            ("a packed file cut off", gzip.compress(SEEN.encode())[:-20], "a.csv.gz", ["a.csv.gz"]),
            ("Parquet cut off", parquet()[:-9], "a.parquet", ["a.parquet cannot be read"]),
            ("a log with a DOCTYPE", '<?xml version="1.0"?><!DOCTYPE log><log/>', "a.xes", ["DOCTYPE"]),
        )
    ],
)  # fmt: skip
def test_a_file_of_no_use_makes_no_study_and_says_why(
    folder: Folder, capsys: Captured, content: str | bytes, file: str, says: list[str]
) -> None:
    said, _ = guessed(folder, capsys, content, file, 1)
    for text in says:
        assert text in said


@pytest.mark.parametrize(
    ("content", "says"),
    [
        pytest.param(content, says, id=name)
        for name, content, says in (
            ("days that may be months", seen(day="{:02}/03/2026"), "day-first or month-first?"),
            ("days first among months first", MIXED, "day-first or month-first?"),
            ("thousands that may be decimals", seen(total="{}.500"), "decimal sign"),
            ("a row too short", SEEN.replace("A7,k0,", "A7,"), "line 9, has 4 fields; the header has 5"),
            ("a quote that nobody closes", SEEN.replace("k1", '"k1', 1), "line 31, cannot be read"),
        )
    ],
)
def test_what_a_file_cannot_say_is_left_to_be_stated(
    folder: Folder, capsys: Captured, content: str, says: str
) -> None:
    said, out = guessed(folder, capsys, content, "a.csv", 0)
    assert says in said.partition("To be stated by hand")[2]
    assert told(capsys, 1, "check", str(out))


def test_every_sheet_of_a_workbook_is_taken(folder: Folder, capsys: Captured) -> None:
    rows = [line.split(",") for line in SEEN.splitlines()]
    said, out = guessed(folder, capsys, xlsx(rows, [rows[0], ["B1", *rows[1][1:]]]), "a.xlsx", 0)
    assert "S2" in said
    assert "orders 31 rows" in told(capsys, 0, "check", str(out))


def test_names_and_values_that_look_like_yaml_are_written_so_that_they_are_read(
    folder: Folder, capsys: Captured
) -> None:
    text = (
        SEEN.replace("customer_id", "customer: #id {x}")
        .replace("total", "- total: \"'")
        .replace("paid", "no: {#}")
    )
    _, out = guessed(folder, capsys, text.replace(",open", ",*yes"), "a.csv", 0)
    assert mapping.parse(yaml.safe_load((out / "study.yaml").read_text("utf-8")))
    assert "orders 30 rows" in told(capsys, 0, "check", str(out))
