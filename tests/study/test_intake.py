"""Exports become a study: whatever their form, exactly, or with the line that is wrong; killed or not."""

from __future__ import annotations

import datetime
import gzip
import hashlib
import hmac
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

import cxlib as cx
from cxlib.errors import ContractViolations, CxError
from cxlib.study import intake

ORDERS = {"order_id": "Id", "customer_id": "Who", "ts": "When", "revenue": "Sum"}
CSV = "Id,Who,When,Sum\na,x,2025-01-02,9.99\nb,y,2025-01-03T10:00+02:00,5\n"
Write = Callable[..., Path]


@pytest.fixture
def study(folder: Callable[..., Path], cache: Path) -> Write:
    """Writes a study of one source of orders: files, further entries of the source, of its table, of the study."""

    def write(
        files: dict[str, Any], columns: Any = None, table: Any = None, top: Any = None, **source: Any
    ) -> Path:
        entry = {"table": "orders", "columns": columns or ORDERS} | (table or {})
        whole = {"file": next(iter(files)), "zone": "UTC", "tables": [entry]} | source
        said = {"currency": "EUR", "identifiers": "keep", "sources": [whole]} | (top or {})
        return folder(files, yaml.safe_dump(said, sort_keys=False))

    return write


def table(where: Path, name: str = "orders") -> pd.DataFrame:
    """A table of an opened study, in order of its first column, without the columns that are all empty."""
    opened = cx.open_study(where)
    frame = opened.fetch(opened.table(name)).dropna(axis="columns", how="all")
    return frame.sort_values(frame.columns[0], ignore_index=True)


def refused(where: Path, *says: str) -> str:
    with pytest.raises(CxError) as caught:
        cx.open_study(where)
    for text in says:
        assert text in str(caught.value)
    return str(caught.value)


def warned(where: Path) -> str:
    return "\n".join(str(finding) for finding in cx.check(where).warnings)


# --- delimited text -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "source"),
    [
        (CSV, {}),
        (CSV.replace("\n", "\r\n").replace(",", ";"), {"delimiter": ";"}),
        ("sep=;\n" + CSV.replace(",", ";"), {}),
        (CSV.encode("utf-8-sig"), {}),
        (CSV.encode("utf-16"), {"encoding": "utf-16"}),
        (CSV.replace("\n", ",\n"), {}),
        (CSV.replace("9.99\n", "9.99\r\n"), {}),
        ("\n" + CSV + "\n", {}),
        (CSV.replace("Sum\n", 'Sum\n"an id,\nquoted",who,when,sum\n{},{},{},{}\n'), {"header": 3}),
        (CSV.split("\n", 1)[1], {"header": 0, "names": ["Id", "Who", "When", "Sum"]}),
        (CSV.replace("9.99", "€ 9,99").replace(",5", ";5").replace(",2025", ";2025").replace(",x", ";x").replace(",y", ";y").replace(";€", "€").replace(",€", ";€").replace("Id,Who,When,Sum", "Id;Who;When;Sum").encode("cp1252"),
         {"encoding": "cp1252", "delimiter": ";", "decimal": ",", "tables": [{"table": "orders", "columns": ORDERS | {"revenue": {"column": "Sum", "strip": "€"}}}]}),
    ],
)  # fmt: skip
def test_a_csv_file_gives_the_same_orders_however_it_is_written(
    study: Write, content: Any, source: Any
) -> None:
    frame = table(study({"o.csv": content}, **source))
    assert frame["order_id"].tolist() == ["a", "b"]
    assert frame["revenue"].tolist() == [999, 500]
    assert frame["ts"].tolist() == [pd.Timestamp("2025-01-02"), pd.Timestamp("2025-01-03 08:00")]


def test_a_packed_file_and_a_glob_are_read_and_rows_are_numbered_by_file(study: Write) -> None:
    packed = gzip.compress(CSV.encode())
    frame = table(study({"o_1.csv.gz": packed, "o_2.csv.gz": packed}, ORDERS | {"order_id": {"row": True}}, file="o_*"
                        ".csv.gz", format="csv"))  # fmt: skip
    assert frame["order_id"].tolist() == [f"o_{f}.csv.gz:00000000{r}" for f in (1, 2) for r in (1, 2)]


def test_a_value_that_cannot_be_read_is_named_with_its_line_and_what_to_do(study: Write) -> None:
    text = 'Id,Who,When,Sum,Note\na,x,2025-01-02,1,"x\ny"\n\nb,y,03/01/2025,"1,5",\nc,z,2025-01-04,2,\n'
    says = ("o.csv, table orders, column ts (from `When`): 1 value is no time: `03/01/2025` (line 5)",
            "dates: day-first", "column revenue (from `Sum`): 1 value is no amount: `1,5` (line 5)", "decimal:")  # fmt: skip
    refused(study({"o.csv": text}), *says)
    frame = table(study({"o.csv": text}, unreadable="drop"))
    assert frame["order_id"].tolist() == ["a", "c"]
    assert "1 row: cannot be read, left out" in warned(study({"o.csv": text}, unreadable="drop"))


def test_lines_are_those_of_the_file_far_into_it_too(study: Write) -> None:
    rows = [f'{i},c,2025-01-02,1,"c\n{i}"' for i in range(30_000)] + ["z,z,soon,1,"]
    refused(study({"o.csv": "Id,Who,When,Sum,Note\n" + "\n".join(rows)}), "`soon` (line 60002)")


def test_a_time_without_an_offset_needs_a_zone_even_where_rows_may_be_dropped(study: Write) -> None:
    where = study({"o.csv": CSV}, zone="Europe/Rome")
    assert table(where)["ts"][0] == pd.Timestamp("2025-01-01 23:00")
    text = yaml.safe_load((where / "study.yaml").read_text())
    del text["sources"][0]["zone"]
    text["sources"][0]["unreadable"] = "drop"
    (where / "study.yaml").write_text(yaml.safe_dump(text))
    refused(where, "1 value is times without an offset", "`2025-01-02` (line 2)", "zone: Europe/Rome")


@pytest.mark.parametrize(
    ("columns", "says"),
    [
        (
            ORDERS | {"revenue": "sum"},
            ("o.csv has no column `sum`", "Did you mean `Sum`?", "It has: Id, Who"),
        ),
        (ORDERS | {"margin": "Marge"}, ("optional: true",)),
    ],
)
def test_a_column_that_a_file_lacks_is_named_unless_it_may_lack_it(
    study: Write, columns: Any, says: Any
) -> None:
    refused(study({"o.csv": CSV}, columns), *says)
    may = ORDERS | {"margin": {"column": "Marge", "optional": True}}
    assert "margin" not in table(study({"o.csv": CSV}, may))


def test_a_file_that_is_not_there_is_named_with_what_is(study: Write) -> None:
    refused(study({"o.csv": CSV}, file="orders/o.csv"), "no file orders/o.csv", "no such folder")
    refused(study({"o.csv": CSV}, file="p.csv"), "Did you mean `o.csv`?")


def test_a_repeated_name_is_told_apart_by_a_number_and_means_nothing_without(study: Write) -> None:
    text = CSV.replace("Sum", "Sum,Sum").replace("9.99", "9.99,1").replace(",5\n", ",5,2\n")
    assert table(study({"o.csv": text}, ORDERS | {"revenue": "Sum (2)"}))["revenue"].tolist() == [100, 200]
    refused(study({"o.csv": text}), "no column `Sum`", "Did you mean `Sum (")


def test_times_with_another_zone_of_days_keep_their_instant(study: Write) -> None:
    where = study({"o.csv": CSV}, top={"time_zone": "America/New_York"})
    assert table(where)["ts"].tolist() == [pd.Timestamp("2025-01-02"), pd.Timestamp("2025-01-03 08:00")]
    assert cx.open_study(where).settings.time_zone == "America/New_York"


def test_the_rows_currency_wins_over_the_source_s_and_that_over_the_study_s(study: Write) -> None:
    text = "Id,Who,When,Sum,Cur\na,x,2025-01-02,9.99,JPY\nb,x,2025-01-02,9.99,\n"
    frame = table(study({"o.csv": text}, ORDERS | {"currency": "Cur"}, currency="KWD"))
    assert frame["revenue"].tolist() == [10, 9990]
    assert frame["currency"].tolist() == ["JPY", "KWD"]


# --- other forms --------------------------------------------------------------------------------------


def excel(path: Path) -> None:
    from openpyxl import Workbook

    book = Workbook()
    book.active.append(["About this export"])
    sheet = book.create_sheet("Data")
    for row in (["Id", "Who", "When", "Sum"], ["00123", 17850, datetime.datetime(2025, 1, 2, 3, 4, 5), 1.234], [None] * 4,
                ["b", "y", "31/01/2025", "1.234,5"]):  # fmt: skip
        sheet.append(row)
    sheet["F2"] = "#N/A"
    sheet["F2"].data_type = "e"
    book.save(path)


def test_a_sheet_gives_dates_whole_ids_and_numbers_whichever_way_a_cell_holds_them(
    study: Write, tmp_path: Path
) -> None:
    excel(tmp_path / "made.xlsx")
    content = (tmp_path / "made.xlsx").read_bytes()
    how = {"sheet": "Data", "dates": "day-first", "decimal": ",", "thousands": "."}
    frame = table(study({"o.xlsx": content}, **how))
    assert frame["order_id"].tolist() == ["00123", "b"]
    assert frame["customer_id"].tolist() == ["17850", "y"]
    assert frame["ts"].tolist() == [pd.Timestamp("2025-01-02 03:04:05"), pd.Timestamp("2025-01-31")]
    assert frame["revenue"].tolist() == [123, 123450]
    refused(study({"o.xlsx": content}, **how | {"dates": "iso"}), "`31/01/2025` (line 4)")
    refused(study({"o.xlsx": content}, **how | {"sheet": "Dato"}), "no sheet `Dato`", "Did you mean `Data`?")
    refused(study({"o.xlsx": content}, **how | {"sheet": ""}), "several sheets: Sheet, Data")
    with_error = ORDERS | {"margin": {"column": "column 6"}}
    refused(study({"o.xlsx": content}, with_error, **how), "`#N/A` (line 2)")


DOCUMENTS = [
    {"id": 1, "who": {"mail": "x"}, "t": 1735776000123, "sum": 9.99, "items": [{"p": 1}, {"p": 2}]},
    {"id": "2", "who": {"mail": "y"}, "t": "1735776000123", "sum": "5", "note": "ü"},
]
PATHS = {"order_id": "id", "customer_id": "who.mail", "ts": {"column": "t", "unit": "ms"}, "revenue": "sum",
         "second": {"column": "items.1.p", "kind": "integer"}, "note": "note"}  # fmt: skip
LINES = "\n\n".join(json.dumps(document) for document in DOCUMENTS)


@pytest.mark.parametrize(
    ("file", "content", "source"),
    [
        ("o.jsonl", LINES, {}),
        ("o.json", json.dumps(DOCUMENTS, indent=1), {}),
        (
            "o.json",
            "\ufeff" + json.dumps({"data": {"orders": DOCUMENTS}}, indent=1),
            {"records": "data.orders"},
        ),
        ("o.json.gz", gzip.compress(LINES.encode()), {}),
    ],
)
def test_json_in_every_form_gives_the_same_orders(study: Write, file: str, content: Any, source: Any) -> None:
    frame = table(study({file: content}, PATHS, **source))
    assert frame["order_id"].tolist() == ["1", "2"]
    assert frame["revenue"].tolist() == [999, 500]
    assert frame["ts"].tolist() == [pd.Timestamp("2025-01-02 00:00:00.123")] * 2
    assert frame["second"].fillna(-1).tolist() == [2, -1]


def test_a_name_that_no_record_has_is_a_mistake_and_not_an_empty_column(study: Write) -> None:
    columns = PATHS | {"status": "state"}
    refused(study({"o.jsonl": LINES}, columns), "o.jsonl has no column `state`", "who.mail", "optional: true")
    assert "status" not in table(
        study({"o.jsonl": LINES}, PATHS | {"status": {"column": "state", "optional": True}})
    )


@pytest.mark.parametrize(
    ("content", "source", "says"),
    [
        (LINES[:-3], {}, "o.jsonl, line 3, is not JSON"),
        (LINES.replace("9.99", '"x"'), {}, "`x` (line 1)"),
        (LINES, {"records": "data"}, "no list of records at `data`"),
        ("", {}, "is empty"),
    ],
)
def test_json_that_cannot_be_read_says_where(study: Write, content: str, source: Any, says: str) -> None:
    refused(study({"o.jsonl": content}, PATHS, **source), says)


def test_a_record_where_an_id_should_be_is_refused(study: Write) -> None:
    refused(study({"o.jsonl": LINES}, PATHS | {"customer_id": "who"}), "a record or a list", "a.b")


def test_parquet_keeps_its_own_types(study: Write, tmp_path: Path) -> None:
    columns = {
        "Id": [1.0, 2.0],
        "Who": pa.array([{"mail": "x"}, {"mail": "y"}]),
        "When": pa.array([datetime.datetime(2025, 7, 1)] * 2, pa.timestamp("ns")),
        "Sum": pa.array([decimal_of("1.005"), None], pa.decimal128(9, 3)),
    }
    pq.write_table(pa.table(columns), tmp_path / "made.parquet")
    rules = ORDERS | {
        "order_id": {"column": "Id", "whole": True},
        "customer_id": "Who.mail",
        "revenue": {"first": ["Sum", {"value": 2}]},
    }
    frame = table(study({"o.parquet": (tmp_path / "made.parquet").read_bytes()}, rules, zone="Europe/Rome"))
    assert frame[["order_id", "customer_id", "revenue"]].to_numpy().tolist() == [
        ["1", "x", 100],
        ["2", "y", 200],
    ]
    assert frame["ts"].tolist() == [pd.Timestamp("2025-06-30 22:00")] * 2


def decimal_of(text: str) -> Any:
    import decimal

    return decimal.Decimal(text)


# --- several rows that are one ------------------------------------------------------------------------

ITEMS = (
    "Name,Mail,When,Total,Qty,Price\n#1,x,2025-01-03,30,2,10\n#1,,2025-01-02,,1,10\n#2,y,2025-01-03,5,1,5\n"
)
GROUPED = {
    "order_id": "Name",
    "customer_id": "Mail",
    "ts": "When",
    "revenue": "Total",
    "margin": {"times": ["Qty", "Price"], "sum": True},
    "pieces": {"column": "Qty", "kind": "integer", "sum": True},
}


def test_order_lines_become_orders_across_files_and_equal_pandas_sums(study: Write) -> None:
    lines = pd.read_csv(pd.io.common.StringIO(ITEMS))
    where = study({"o1.csv": ITEMS, "o2.csv": "Name,Mail,When,Total,Qty,Price\n#2,y,2025-01-04,5,4,0.5\n,z,2025-01-04,5,4,0.5\n"},
                  GROUPED, {"each": "Name"}, file="o*.csv")  # fmt: skip
    frame = table(where)
    cents = (lines["Qty"] * lines["Price"] * 100).groupby(lines["Name"]).sum()
    assert frame["margin"].tolist() == [cents["#1"], cents["#2"] + 200]
    assert frame["pieces"].tolist() == [3, 5]
    assert frame["revenue"].tolist() == [3000, 500]
    assert frame["ts"].tolist() == [pd.Timestamp("2025-01-02"), pd.Timestamp("2025-01-03")]
    assert "1 row: no Name, left out" in warned(where)


def test_several_amounts_in_one_order_are_refused_and_several_texts_are_counted(study: Write) -> None:
    other = ITEMS.replace("#1,,2025-01-02,,", "#1,q,2025-01-02,29,")
    refused(
        study({"o.csv": other}, GROUPED, {"each": "Name"}),
        "several amounts or currencies",
        "`#1`",
        "sum: true",
    )
    added = GROUPED | {"revenue": {"column": "Total", "sum": True}}
    where = study({"o.csv": other}, added, {"each": "Name"})
    assert table(where)["revenue"].tolist() == [5900, 500]
    assert "customer_id: 1 row: several values in the rows of one Name" in warned(where)


def test_an_order_of_which_one_line_cannot_be_read_is_dropped_whole(study: Write) -> None:
    where = study({"o.csv": ITEMS.replace(",1,10", ",1,ten")}, GROUPED, {"each": "Name"}, unreadable="drop")
    assert table(where)["order_id"].tolist() == ["#2"]


def test_copies_in_several_files_are_one_and_the_latest_is_kept(study: Write) -> None:
    text = (
        "Id,Who,When,Sum,At\na,x,2025-01-02,1,9\na,x,2025-01-02,2,10\na,x,2025-01-02,9,\nb,x,2025-01-02,3,\n"
    )
    where = study({"o1.csv": text, "o2.csv": text + "c,,2025-01-02,4,1\n"}, ORDERS | {"customer_id": {"first": ["Who", {"value": "z"}]}},
                  {"unique": ["Id", "Who"], "latest": "At"}, file="o*.csv")  # fmt: skip
    frame = table(where)
    assert frame[["order_id", "revenue"]].to_numpy().tolist() == [["a", 200], ["b", 300], ["c", 400]]
    assert "6 rows: the same as another in Id, Who, left out" in warned(where)


# --- the study that comes out -------------------------------------------------------------------------

EVENTS = {"event_id": {"row": True}, "customer_id": "Who", "ts": "When", "touchpoint": "What", "value": "Sum"}


def test_the_catalog_is_made_of_patterns_and_the_first_that_fits_wins(study: Write) -> None:
    text = "Who,When,What,Sum\nx,2025-01-02,email_open,\nx,2025-01-02,email_buy,5\n"
    top = {
        "catalog": {
            "email_buy": ["email", "transaction"],
            "email_*": ["email", "awareness", "owned"],
            "visit": ["web", "engagement"],
        }
    }
    where = study({"t.csv": text}, EVENTS, {"table": "touchpoints"}, top)
    frame = table(where, "catalog")
    assert frame["touchpoint"].tolist() == ["email_buy", "email_open", "visit"]
    assert frame["stage"].tolist() == ["transaction", "awareness", "engagement"]
    bare = study({"t.csv": text}, EVENTS, {"table": "touchpoints"}, {"catalog": {"x": ["web", "engagement"]}})
    with pytest.raises(ContractViolations, match="not in the catalog"):
        cx.open_study(bare)


def test_rows_left_out_by_where_are_counted_and_need_not_be_readable(study: Write) -> None:
    where = study({"o.csv": CSV + "c,z,never,?\n"}, table={"where": {"Id": {"not": ["c"]}}})
    assert table(where)["order_id"].tolist() == ["a", "b"]
    assert "1 row: left out by `where` (o.csv)" in warned(where)


def test_tables_beside_the_sources_come_in_and_one_made_twice_is_refused(study: Write) -> None:
    beside = "customer_id,region,first_seen\nx,N,2025-01-01\ny,S,2025-01-02\n"
    where = study({"o.csv": CSV, "customers.csv": beside}, top={"identifiers": "hash"})
    assert not cx.check(where).warnings  # no orphans: both tables hold the same pseudonyms
    assert sorted(table(where, "customers")["region"]) == ["N", "S"]
    refused(study({"o.csv": CSV, "orders.csv": "order_id\n"}), "made by study.yaml", "Keep one")


def test_what_was_read_and_kept_is_written_down(study: Write, cache: Path) -> None:
    cx.open_study(study({"o.csv": CSV}, table={"where": {"Id": "a"}}))
    notes = json.loads(next(cache.rglob("intake.json")).read_text())
    assert notes["files"] == [{"file": "o.csv", "table": "orders", "rows": 2, "kept": 1}]


def test_a_changed_file_or_mapping_is_converted_again_and_nothing_else(study: Write, cache: Path) -> None:
    where = study({"o1.csv": CSV, "o2.csv": CSV.replace("a,x", "c,x").replace("b,y", "d,y")}, file="o*.csv")
    cx.open_study(where)
    first = {path: path.stat().st_mtime_ns for path in cache.rglob("parts/*")}
    (where / "o2.csv").write_text(CSV.replace("a,x", "e,x").replace("b,y", "f,y"))
    assert table(where)["order_id"].tolist() == ["a", "b", "e", "f"]
    again = {path: path.stat().st_mtime_ns for path in cache.rglob("parts/*")}
    assert first.items() <= again.items()
    assert len(again) == 3


def test_a_damaged_part_is_made_again(study: Write, cache: Path) -> None:
    where = study({"o.csv": CSV})
    before = table(where)
    for path in [p for p in cache.rglob("*.parquet") if p.is_file()]:
        path.write_bytes(b"PAR1 nothing")
    for path in cache.glob("intake/*/study-*/study.yaml"):
        path.unlink()
    assert table(where).equals(before)


def test_what_was_converted_can_be_cleared(study: Write, cache: Path) -> None:
    where = study({"o.csv": CSV})
    cx.open_study(where)
    intake.clear(where)
    assert not list((cache / "intake").iterdir())


def test_a_refused_study_leaves_nothing_half_written(
    study: Write, cache: Path, whole: Callable[[], None]
) -> None:
    refused(study({"o.csv": CSV.replace("9.99", "?")}), "no amount")
    whole()
    assert not list(cache.rglob("study.yaml"))


def test_a_run_that_was_killed_goes_on_where_it_was_and_gives_the_same_study(
    study: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    draw = np.random.default_rng(1)
    files = {}
    for number, rows in ((1, 10_000), (2, 150_000)):
        days = draw.integers(1, 29, rows)
        frame = pd.DataFrame(
            {
                "Id": np.arange(rows) + number * 10**6,
                "Who": draw.integers(0, 999, rows),
                "Sum": draw.integers(0, 9999, rows) / 100,
            }
        )
        files[f"o{number}.csv"] = frame.assign(When=[f"2025-01-{day:02}" for day in days])
    where = study(files, file="o*.csv", top={"identifiers": "hash"})
    environment = os.environ | {"CXLIB_CACHE": str(tmp_path / "killed")}
    run = subprocess.Popen(
        [sys.executable, "-c", f"import cxlib; cxlib.open_study({str(where)!r})"], env=environment
    )
    deadline = time.monotonic() + 60
    while not (done := list((tmp_path / "killed").rglob("parts/[!.]*"))) and time.monotonic() < deadline:
        time.sleep(0.01)
    run.send_signal(signal.SIGKILL)
    run.wait()
    assert len(done) == 1
    assert not list((tmp_path / "killed").rglob("study.yaml"))
    written = done[0].stat().st_mtime_ns

    def rows(cache: str) -> bytes:
        monkeypatch.setenv("CXLIB_CACHE", str(tmp_path / cache))
        opened = cx.open_study(where)
        frame = opened.fetch(opened.table("orders").order_by("order_id"))
        return frame.to_csv().encode()

    killed = rows("killed")
    assert done[0].stat().st_mtime_ns == written  # the finished part was used
    assert killed == rows("never killed")
    assert killed.count(b"\n") == 160_001


# --- persons ------------------------------------------------------------------------------------------


def test_ids_are_keyed_pseudonyms_that_python_s_own_hmac_confirms(study: Write) -> None:
    text = "Id,Who,When,Sum\na, Anna@X.it ,2025-01-02,1\nb,anna@x.it,2025-01-02,1\nc,undefined,2025-01-02,1\nd,Müller,2025-01-02,1\n"
    where = study({"o.csv": text}, top={"identifiers": "hash"})
    frame = table(where)
    key = bytes.fromhex((where / ".key").read_text().strip())
    assert len(key) == 32
    assert (where / ".key").stat().st_mode & 0o777 == 0o600
    anna, miller = (
        "p" + hmac.new(key, text.encode(), hashlib.sha256).hexdigest()[:20]
        for text in ("anna@x.it", "Müller")
    )
    assert frame["customer_id"].tolist() == [anna, anna, "undefined", miller]
    assert table(where).equals(frame)  # the key is kept


def test_no_person_shows_anywhere_in_what_was_converted(study: Write, cache: Path) -> None:
    text = (
        "Id,Mail,Cookie,When,What,Said\n"
        "1,anna@x.it,ck-77,2025-01-02,call,write to anna@x.it or +39 333 123 4567 please\n"
        "2,,ck-77,2025-01-02,page,see 4111 1111 1111 1111\n"
    )
    columns = {"event_id": {"join": ["Cookie", "Id"], "by": "-"}, "customer_id": "Mail", "anonymous_id": "Cookie", "ts": "When",
               "touchpoint": "What", "content": "Said", "session_id": {"join": ["Cookie", "When"]}, "order_id": "Mail", "mail": "Mail",
               "channel": {"value": "web"}, "stage": {"value": "engagement"}}  # fmt: skip
    where = study({"t.csv": text}, columns, {"table": "touchpoints"}, {"identifiers": "hash"})
    frame = table(where, "touchpoints")
    shown = frame.to_csv()
    stored = b"".join(path.read_bytes() for path in cache.rglob("*") if path.is_file())
    for secret in ("anna", "ck-77", "333", "4111"):
        assert secret not in shown
        assert secret.encode() not in stored
    assert frame["content"].str.contains(r"\[e-mail\] or \[number\] please").sum() == 1
    assert frame["anonymous_id"].nunique() == 1


def test_a_measurement_with_many_decimals_is_no_number_of_a_person_s(study: Write) -> None:
    text = "Id,Who,When,Sum,Score\na,x,2025-01-02,1,42.123456789012\nb,y,2025-01-02,1,3331234567\n"
    where = study({"o.csv": text}, ORDERS | {"score": "Score"}, top={"identifiers": "hash"})
    assert table(where)["score"].tolist() == ["42.123456789012", "[number]"]


def test_a_forgotten_person_is_left_out_whatever_the_ids_are_kept_as(study: Write) -> None:
    text = CSV + "c,x,2025-01-05,1\n"
    beside = "customer_id,referred_by\nx,\ny,x\n"
    for identifiers in ("hash", "keep"):
        where = study({"o.csv": text, "customers.csv": beside}, top={"identifiers": identifiers})
        cx.open_study(where)
        key = "11" * 32
        (where / ".key").write_text(key)
        (where / "forgotten").write_text(
            "p" + hmac.new(bytes.fromhex(key), b"x", hashlib.sha256).hexdigest()[:20] + "\n"
        )
        assert table(where)["order_id"].tolist() == ["b"]
        kept = table(where, "customers")
        assert len(kept) == 1
        assert "referred_by" not in kept  # emptied: the row is somebody else's
        (where / "forgotten").unlink()


def test_an_order_of_a_forgotten_person_goes_whole_though_only_one_of_its_lines_names_them(
    study: Write,
) -> None:
    key = "22" * 32
    for identifiers in ("hash", "keep"):
        where = study({"o.csv": ITEMS}, GROUPED, {"each": "Name"}, {"identifiers": identifiers})
        (where / ".key").write_text(key)
        (where / "forgotten").write_text(
            "p" + hmac.new(bytes.fromhex(key), b"x", hashlib.sha256).hexdigest()[:20] + "\n"
        )
        assert table(where)["order_id"].tolist() == ["#2"]
