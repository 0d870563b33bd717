"""Rules give exact values from text, or a code: checked against Python's own clocks, decimals and JSON."""

from __future__ import annotations

import datetime
import decimal
import json
import zoneinfo
from collections.abc import Sequence
from typing import Any

import ibis
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cxlib.errors import CxValueError
from cxlib.readers import rules
from cxlib.readers.mapping import Rule, Source, parse

UTC = datetime.UTC
ROME = zoneinfo.ZoneInfo("Europe/Rome")


@pytest.fixture(scope="module")
def con() -> Any:
    connection = ibis.duckdb.connect()
    connection.raw_sql("SET TimeZone = 'UTC'")
    return connection


def read(con: Any, texts: Sequence[Any], kind: str, rule: Any = None, **source: Any) -> list[tuple[Any, int]]:
    """Value and code of each text under a rule on the column X."""
    table = ibis.memtable(pa.table({"at": pa.array(range(len(texts))), "c0": pa.array(texts)}))
    given_rule = rule if isinstance(rule, Rule) else Rule("column", "X", **(rule or {}))
    found = rules.fields(table, ["X"], {"X": "c0"})
    column = rules.filled(
        given_rule, kind, Source("f", "csv", (), **source), found, "f.csv", ibis.literal("EUR")
    )
    table, cells = rules.compiled(found.table, {"x": column})
    wrong = cells["x"].wrong
    out = table.select("at", value=cells["x"].value, wrong=ibis.literal(0) if wrong is None else wrong)
    rows = con.to_pyarrow(out.order_by("at")).to_pylist()
    return [(row["value"], row["wrong"]) for row in rows]


def values(*arguments: Any, **source: Any) -> list[Any]:
    return [value if wrong == 0 else f"wrong {wrong}" for value, wrong in read(*arguments, **source)]


def at(*parts: int, zone: datetime.tzinfo = UTC) -> datetime.datetime:
    return datetime.datetime(*parts, tzinfo=zone)  # type: ignore[misc, arg-type]


# --- times --------------------------------------------------------------------------------------------


@settings(max_examples=25, deadline=None)
@given(
    when=st.datetimes(datetime.datetime(1990, 1, 1), datetime.datetime(2030, 1, 1)),
    minutes=st.integers(-720, 840),
)
def test_every_way_of_writing_one_instant_gives_that_instant(
    con: Any, when: datetime.datetime, minutes: int
) -> None:
    zone = datetime.timezone(datetime.timedelta(minutes=minutes))
    there = when.replace(microsecond=0).astimezone(UTC).astimezone(zone)
    ways = ["%Y-%m-%dT%H:%M:%S%z", "%Y-%m-%d %H:%M:%S %z", "%Y/%m/%d %H:%M:%S %z", "%a %b %d %H:%M:%S %z %Y",
            "%a, %d %b %Y %H:%M:%S %z", "%B %d, %Y %I:%M:%S %p %z", "%d-%b-%Y %H:%M:%S %z", "%d/%m/%Y %H:%M:%S %z"]  # fmt: skip
    got = values(con, [there.strftime(way) for way in ways], "time", dates="day-first")
    assert got == [there] * len(ways)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2025-10-07", at(2025, 10, 7, zone=ROME)),
        ("2025-1-7 9:05", at(2025, 1, 7, 9, 5, zone=ROME)),
        ("2025-10-07T09:50:26.123456Z", at(2025, 10, 7, 9, 50, 26, 123456)),
        ("2025-10-07 09:50:26 +0200", at(2025, 10, 7, 7, 50, 26)),
        ("2025-10-07 09:50:26 UTC", at(2025, 10, 7, 9, 50, 26)),
        ("2025-10-07 09:50:26-03", at(2025, 10, 7, 12, 50, 26)),
        ("3 Oct 2025", at(2025, 10, 3, zone=ROME)),
        ("Oct 3, 2025 10:15 pm", at(2025, 10, 3, 22, 15, zone=ROME)),
        ("Wed Oct 08 08:00:00 +0000 2025", at(2025, 10, 8, 8)),
        ("Wed Oct 08 2025 08:00:00 GMT+0200", at(2025, 10, 8, 6)),
    ],
)
def test_a_time_is_read_as_written_and_else_by_the_zone(
    con: Any, text: str, expected: datetime.datetime
) -> None:
    assert values(con, [f" {text} "], "time", zone="Europe/Rome") == [expected]


@pytest.mark.parametrize(
    "text",
    [
        "07/10/2025",
        "2025-02-30",
        "2025-13-01",
        "07/10/25",
        "soon",
        "20251007",
        "2025-10-07 25:00",
        "45936.4",
        "3 Marraskuu 2026",
        "Febtober 1, 2026",
        "2025-10-07 10:00+25:00",
    ],
)
def test_what_has_no_one_reading_is_not_read(con: Any, text: str) -> None:
    assert values(con, [text], "time", zone="UTC") == ["wrong 1"]


def test_an_empty_time_is_empty_and_no_error(con: Any) -> None:
    assert read(con, ["", "  ", None], "time") == [(None, 0)] * 3


def test_a_time_without_offset_needs_a_zone_and_others_do_not(con: Any) -> None:
    texts = ["2025-10-07 10:00", "2025-10-07", "2025-10-07 10:00Z", "x"]
    assert values(con, texts, "time") == ["wrong 2", "wrong 2", at(2025, 10, 7, 10), "wrong 1"]


def test_day_and_month_are_taken_as_the_source_says(con: Any) -> None:
    texts = ["12/1/2010 8:26", "12.01.2010", "12-1-2010 08:26:30 PM", "13/1/2010", "2010-01-12"]
    jan, hour = at(2010, 1, 12), at(2010, 1, 12, 8, 26)
    night = at(2010, 1, 12, 20, 26, 30)
    assert values(con, texts, "time", dates="day-first", zone="UTC") == [
        hour,
        jan,
        night,
        at(2010, 1, 13),
        jan,
    ]
    got = values(con, texts, "time", dates="month-first", zone="UTC")
    assert got == [at(2010, 12, 1, 8, 26), at(2010, 12, 1), at(2010, 12, 1, 20, 26, 30), "wrong 1", jan]


def test_a_format_of_one_s_own_is_kept_to(con: Any) -> None:
    texts = ["07 Oct 25 10:00", "7.10.2025"]
    assert values(con, texts, "time", {"dates": "%d %b %y %H:%M"}, zone="UTC") == [
        at(2025, 10, 7, 10),
        "wrong 1",
    ]
    assert values(con, ["2025-10-07 +0200"], "time", {"dates": "%Y-%m-%d %z"}) == [at(2025, 10, 6, 22)]


@pytest.mark.parametrize(
    ("unit", "text"), [("s", "1772447400.5"), ("ms", "1772447400500"), ("us", "1772447400500000")]
)
def test_a_count_since_1970_is_utc(con: Any, unit: str, text: str) -> None:
    expected = datetime.datetime.fromtimestamp(1772447400.5, UTC)
    assert values(con, [text, "1e9", "x"], "time", {"unit": unit}, zone="Asia/Tokyo") == [
        expected,
        "wrong 1",
        "wrong 1",
    ]


def test_a_count_on_a_local_clock_can_be_said_to_be_one(con: Any) -> None:
    # Mixpanel projects from before 2023 count the project's own clock.
    local = datetime.datetime.fromtimestamp(1772447400, UTC).replace(tzinfo=ROME)
    assert values(con, ["1772447400"], "time", {"unit": "s", "zone": "Europe/Rome"}) == [local]
    assert values(con, ["1772447400"], "time", {"unit": "s", "zone": "source"}, zone="Europe/Rome") == [local]
    assert values(con, ["1772447400"], "time", {"unit": "s", "zone": "source"}) == ["wrong 2"]


# --- numbers and money --------------------------------------------------------------------------------


def written(amount: decimal.Decimal, point: str, gap: str) -> str:
    return f"{amount:,f}".replace(",", "G").replace(".", point).replace("G", gap)


@settings(max_examples=25, deadline=None)
@given(
    amounts=st.lists(st.decimals("-99999999999", "99999999999", places=4), min_size=1, max_size=20),
    signs=st.sampled_from([(".", ""), (".", ","), (",", "."), (",", ""), (",", " "), (".", "'")]),
)
def test_money_equals_pythons_own_decimal_arithmetic(
    con: Any, amounts: list[decimal.Decimal], signs: tuple[str, str]
) -> None:
    point, gap = signs
    texts = [written(amount, point, gap) for amount in amounts]
    expected = [int((a * 100).to_integral_value(decimal.ROUND_HALF_EVEN)) for a in amounts]
    assert values(con, texts, "money", decimal=point, thousands=gap) == expected


def test_halves_go_to_even_and_long_decimals_are_exact(con: Any) -> None:
    texts = ["1.005", "1.015", "-1.005", "0.1000000000000000055", "999999999999999.99", "1.5E3"]
    assert values(con, texts, "money") == [100, 102, -100, 10, 99999999999999999, 150000]


@pytest.mark.parametrize(
    "text", ["1,234.5", "1.234,5", "1 234", "€5", "5 EUR", "(5)", "5-", "NaN", "inf", "1_000", "0x1F"]
)
def test_a_number_written_otherwise_than_stated_is_not_read(con: Any, text: str) -> None:
    for kind in ("money", "number", "integer"):
        assert values(con, [text], kind) == ["wrong 1"]


def test_groups_of_digits_must_be_thousands(con: Any) -> None:
    texts = ["1.234", "1.234.567,5", "12.34", "1234,5", "1.2345"]
    assert values(con, texts, "number", decimal=",", thousands=".") == [
        1234,
        1234567.5,
        "wrong 1",
        1234.5,
        "wrong 1",
    ]


def test_a_number_stored_as_one_is_not_read_by_how_text_is_written(con: Any) -> None:
    assert values(con, [1.234, 5.0], "money", decimal=",", thousands=".") == [123, 500]


def test_the_currency_of_each_row_gives_the_exponent(con: Any) -> None:
    table = ibis.memtable({"c": ["EUR", "JPY", "KWD", "CLF"]})
    found = rules.fields(table, ["C"], {"C": "c"})
    column = rules.filled(Rule("value", value="1.2345"), "money", Source("f", "csv", ()), found, "f", table.c)
    made, cells = rules.compiled(table, {"x": column})
    out = con.to_pandas(made.select("c", x=cells["x"].value)).set_index("c")["x"]
    assert out.to_dict() == {"EUR": 123, "JPY": 1, "KWD": 1234, "CLF": 12345}


def test_a_product_of_two_columns_is_exact(con: Any) -> None:
    rule = Rule("times", parts=(Rule("column", "X"), Rule("value", value="3")))
    assert values(con, ["2.675", "0.335", None, "x"], "money", rule) == [802, 100, None, "wrong 1"]


def test_minor_units_are_whole_or_refused(con: Any) -> None:
    assert values(con, ["1999", "19.99"], "money", money="minor") == [1999, "wrong 1"]


def test_true_and_false_have_few_words(con: Any) -> None:
    assert values(con, ["Yes", "0", "T", "maybe"], "flag") == [True, False, True, "wrong 1"]


# --- text ---------------------------------------------------------------------------------------------


def test_ids_that_have_been_floats_are_whole_again_unless_digits_were_lost(con: Any) -> None:
    texts = ["17850.0", "17850", "0017", "C536379", "1.785E4", "12.5", "1.7850123456789012E+17"]
    assert values(con, texts, "id", {"whole": True}) == [
        "17850",
        "17850",
        "0017",
        "C536379",
        "17850",
        "wrong 1",
        "wrong 1",
    ]


def test_an_id_that_has_been_a_float_is_refused_and_one_that_only_looks_so_is_not(con: Any) -> None:
    spoilt, fine = ["17850.0", "1.7850E4", "1.23e+17"], ["123.456", "12e5", "C1.0", "0017"]
    for kind in ("id", "key"):
        assert values(con, spoilt, kind) == ["wrong 1"] * 3
        assert values(con, fine, kind) == fine
    assert values(con, spoilt, "text") == spoilt


def test_a_text_is_taken_off_the_beginning_or_else_the_end(con: Any) -> None:
    assert values(con, ["zcrm_1", "1", "zcrm_"], "id", {"strip": "zcrm_"}) == ["1", "1", None]
    assert values(con, ["€ 12,50", "12,50 €"], "money", {"strip": "€"}, decimal=",") == [1250, 1250]


def test_a_value_that_a_map_does_not_list_is_unreadable_unless_it_says_otherwise(con: Any) -> None:
    listed = {"map": (("A", "a"), ("B", None))}
    texts = ["A", "B", "C", None]
    assert values(con, texts, "text", listed) == ["a", None, "wrong 1", None]
    assert values(con, texts, "text", listed | {"others": "keep"}) == ["a", None, "C", None]
    assert values(con, texts, "text", listed | {"others": "else", "otherwise": "z"}) == ["a", None, "z", None]


def test_joined_texts_are_empty_where_one_is_and_first_takes_what_is_filled(con: Any) -> None:
    x = Rule("column", "X")
    joined = Rule("join", parts=(Rule("value", value="p"), x, Rule("file")), by=":")
    assert values(con, ["a", ""], "key", joined) == ["p:a:f.csv", None]
    assert values(con, ["a", " "], "key", Rule("first", parts=(x, Rule("value", value="z")))) == ["a", "z"]


def test_the_first_filled_time_is_read_its_own_way(con: Any) -> None:
    x = Rule("column", "X", unit="s")
    rule = Rule("first", parts=(x, Rule("value", value="03/04/2026", dates="day-first", zone="UTC")))
    assert values(con, ["0", None, "x"], "time", rule) == [at(1970, 1, 1), at(2026, 4, 3), "wrong 1"]


# --- documents and records ----------------------------------------------------------------------------

DOCUMENT = {"id": 7, "who": {"mail": "a@x", "deep": [{"n": 1}, {"n": 2.50}]}, "a.b": "dotted", 'q"': 1, "no": None,
            "params": [{"key": "s", "value": {"int_value": "17"}}, {"key": "t", "value": {"string_value": "x"}}]}  # fmt: skip


def of_document(con: Any, *names: str) -> list[Any]:
    table = ibis.memtable({"json": [json.dumps(DOCUMENT)]}).mutate(json=lambda t: t.json.cast("json"))
    found = rules.fields(table, names, None)
    row = con.to_pyarrow(
        found.table.select(**{f"c{i}": found.values[n] for i, n in enumerate(names)})
    ).to_pylist()[0]
    return list(row.values())


def test_dotted_names_reach_into_documents_and_a_name_with_dots_wins(con: Any) -> None:
    assert of_document(con, "id", "who.mail", "who.deep.1.n", "a.b", 'q"', "no", "nothing") == [
        "7", "a@x", "2.5", "dotted", "1", None, None]  # fmt: skip


def test_dotted_names_reach_into_records_lists_and_json_in_text(con: Any) -> None:
    frame = pa.table({"who": [{"mail": "a", "deep": [{"n": 1}]}], "text": ['{"k": {"n": 5}}'], "bad": ["{"]})
    table = ibis.memtable(frame)
    names = ["who.mail", "who.deep.0.n", "text.k.n", "bad.k", "who.nobody", "none.x"]
    found = rules.fields(table, names, {name: name for name in table.columns})
    assert set(names) - set(found.values) == {"who.nobody", "none.x"}
    row = con.to_pyarrow(
        table.select(**{str(i): v for i, v in enumerate(found.values.values())})
    ).to_pylist()[0]
    assert list(row.values()) == ["a", 1, "5", None]


@pytest.mark.parametrize("wrapped", [False, True])
def test_parameters_are_found_in_whichever_slot_they_stand(con: Any, wrapped: bool) -> None:
    slots = pa.struct(
        [("string_value", pa.string()), ("int_value", pa.int64()), ("double_value", pa.float64())]
    )
    item = pa.struct([("key", pa.string()), ("value", slots)])
    listed = [
        {"key": "i", "value": {"int_value": 9007199254740993}},
        {"key": "d", "value": {"double_value": 0.5}},
    ]
    if wrapped:  # as BigQuery may write repeated records
        of = pa.struct([("list", pa.list_(pa.struct([("element", item)])))])
        column = pa.array([{"list": [{"element": one} for one in listed]}], of)
    else:
        column = pa.array([listed], pa.list_(item))
    table = ibis.memtable(pa.table({"p": column}))
    found = rules.fields(table, ["p"], {"p": "p"})
    for key, expected in (("i", "9007199254740993"), ("d", "0.5"), ("none", None)):
        column = rules.filled(Rule("param", key, inside="p"), "text", Source("f", "parquet", ()), found, "f")
        made, cells = rules.compiled(table, {"x": column})
        assert con.to_pyarrow(made.select(x=cells["x"].value)).to_pylist() == [{"x": expected}]


def test_a_record_is_no_value_and_its_parts_are_named(con: Any) -> None:
    table = ibis.memtable(pa.table({"who": [{"mail": "a", "name": "b"}]}))
    found = rules.fields(table, ["who"], {"who": "who"})
    column = rules.filled(Rule("column", "who"), "text", Source("f", "parquet", ()), found, "f")
    with pytest.raises(CxValueError, match=r"who\.mail, who\.name"):
        rules.compiled(table, {"x": column})


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ({"X": "a"}, [True, False, False, False]),
        ({"X": ["a", None]}, [True, False, False, True]),
        ({"X": {"not": ["a"]}}, [False, True, True, True]),
        ({"X": "filled"}, [True, True, True, False]),
        ({"X": "empty"}, [False, False, False, True]),
        # What is no number is kept, to be refused as unreadable: left out, it would be lost.
        ({"X": {"over": 5}}, [True, True, False, False]),
        ({"X": {"under": 5}}, [True, False, True, False]),
        ([{"X": "empty"}, {"X": {"over": 5}}], [True, True, False, True]),
    ],
)  # fmt: skip
def test_conditions_keep_the_rows_they_say(con: Any, where: Any, expected: list[bool]) -> None:
    columns = {"customer_id": "X"}
    study = {
        "sources": [{"file": "a.csv", "tables": [{"table": "customers", "columns": columns, "where": where}]}]
    }
    source = parse(study).sources[0]
    table = ibis.memtable(pd.DataFrame({"at": range(4), "c": ["a", "7", "-1", None]}))
    found = rules.fields(table, ["X"], {"X": "c"})
    number = rules.filled(Rule("column", "X"), "number", source, found, "f")
    made, compared = rules.compiled(table, {"X": number})
    out = con.to_pandas(made.select("at", k=rules.kept(source.tables[0], found, compared)).order_by("at"))
    assert out["k"].tolist() == expected
