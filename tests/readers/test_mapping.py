"""A mapping is checked as a whole before a byte is read: what is wrong is named, with what exists."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from cxlib.contract import TABLES
from cxlib.errors import CxLookupError, CxValueError
from cxlib.readers import mapping
from cxlib.readers.mapping import Mapping, Source, parse

ORDERS = {"order_id": "Id", "customer_id": "Who", "ts": "When", "revenue": "Sum"}


def study(columns: Any = None, table: Any = None, **source: Any) -> dict[str, Any]:
    """A study.yaml with one source of orders; keywords are its further entries, `table` those of its table."""
    entry = {"table": "orders", "columns": columns or ORDERS} | (table or {})
    return {"sources": [{"file": "orders.csv", "tables": [entry]} | source]}


def only(values: dict[str, Any]) -> Source:
    return parse(values).sources[0]


def refused(values: Any, *says: str) -> None:
    with pytest.raises(CxValueError) as caught:
        parse(values)
    for text in says:
        assert text in str(caught.value)


def test_a_plain_name_is_the_column_and_defaults_are_plain_csv() -> None:
    source = only(study())
    assert (source.format, source.delimiter, source.encoding, source.header) == ("csv", ",", "utf-8", 1)
    assert (source.dates, source.decimal, source.money, source.unreadable) == ("iso", ".", "major", "refuse")
    rule = source.tables[0].columns["ts"]
    assert (rule.how, rule.name) == ("column", "When")


@pytest.mark.parametrize(
    ("file", "format"),
    [("a.TSV", "csv"), ("a.csv.gz", "csv"), ("a.xlsx", "excel"), ("a_*.jsonl", "json"), ("a.parquet", "parquet"), ("a.xes.gz", "xes")],
)  # fmt: skip
def test_the_suffix_tells_the_format(file: str, format: str) -> None:
    assert only(study(file=file)).format == format


def test_a_tab_is_the_delimiter_of_tsv_and_can_be_written_in_three_ways() -> None:
    assert only(study(file="a.tsv")).delimiter == "\t"
    for written in ("\t", "\\t", "tab"):
        assert only(study(delimiter=written)).delimiter == "\t"


def test_yaml_s_words_for_true_and_false_mean_the_texts_of_the_file() -> None:
    text = """
    sources:
    - file: a.csv
      tables:
      - table: orders
        where: {Paid: yes, State: [A, 1, null]}
        columns: {order_id: Id, customer_id: Who, ts: When, revenue: Sum, status: {column: S, map: {no: open, B: done}}}
    """
    entry = only(yaml.safe_load(text)).tables[0]
    paid, state = entry.where[0]
    assert {"yes", "Yes", "true", "TRUE"} <= set(paid.values)
    assert state.values == ("A", "1", "")
    assert ("No", "open") in entry.columns["status"].map


def test_where_as_a_list_means_any_of_them() -> None:
    entry = only(study(table={"where": [{"A": "x", "B": {"over": 0}}, {"C": "filled"}]})).tables[0]
    assert [[(c.column, c.test) for c in several] for several in entry.where] == [
        [("A", "in"), ("B", "over")],
        [("C", "filled")],
    ]


def test_how_a_first_is_read_is_handed_down_to_its_parts() -> None:
    columns = ORDERS | {"ts": {"first": ["A", {"column": "B", "dates": "iso"}], "dates": "day-first"}}
    first, second = only(study(columns)).tables[0].columns["ts"].parts
    assert (first.dates, second.dates) == ("day-first", "iso")


def test_further_columns_are_text_unless_they_say_otherwise() -> None:
    columns = ORDERS | {"voucher": "V", "pieces": {"column": "N", "kind": "integer"}}
    parsed = only(study(columns)).tables[0].columns
    assert (parsed["voucher"].kind, parsed["pieces"].kind, parsed["ts"].kind) == ("text", "integer", "")


def test_a_rule_names_the_columns_it_reads() -> None:
    rule = {"join": ["A", {"first": ["B", {"column": "C", "optional": True}]}, {"row": True}]}
    parsed = only(study(ORDERS | {"order_id": rule})).tables[0].columns["order_id"]
    assert list(parsed.names()) == [("A", False), ("B", False), ("C", True)]
    assert parsed.numbered


def test_the_catalog_keeps_its_order() -> None:
    parsed = parse(
        study() | {"catalog": {"b": ["web", "engagement"], "*": ["app", "awareness", "owned", "assisted"]}}
    )
    assert parsed.catalog == (("b", ("web", "engagement")), ("*", ("app", "awareness", "owned", "assisted")))
    assert parsed.identifiers == "hash"


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ({"delimeter": ";"}, ("unknown entry `delimeter`", "Did you mean `delimiter`?")),
        ({"delimiter": ";;"}, ("one character",)),
        ({"file": "orders.dat"}, ("write `format:`", "csv, excel, json")),
        ({"format": "exel"}, ("Did you mean `excel`?",)),
        ({"encoding": "latin-2000"}, ("not known", "cp1252")),
        ({"header": 0}, ("names: [a, b, ...]",)),
        ({"header": -1}, ("number of header rows",)),
        ({"names": "joined"}, ("write `header: 2`",)),
        ({"header": 0, "names": ["a", "b", "a"]}, ("a more than once",)),
        ({"zone": "Europe/Roma"}, ("Did you mean `Europe/Rome`?",)),
        ({"dates": "dayfirst"}, ("Did you mean `day-first`?",)),
        ({"decimal": ";"}, ("write one of ., ,",)),
        ({"decimal": ",", "thousands": ","}, ("cannot be both",)),
        ({"currency": "euro"}, ("ISO 4217",)),
        ({"money": "cents"}, ("major, minor",)),
        ({"unreadable": "ignore"}, ("refuse, drop",)),
        ({"quotes": "'"}, ("none",)),
        ({"tables": []}, ("`tables` is missing",)),
        ({"file": None}, ("file",)),
        ({"preset": "shopifi"}, ("there is no preset `shopifi`",)),
    ],
)  # fmt: skip
def test_a_wrong_entry_of_a_source_is_named_with_what_it_may_be(
    source: dict[str, Any], says: tuple[str, ...]
) -> None:
    refused(study(**source), "source 1", *says)


@pytest.mark.parametrize(
    ("table", "says"),
    [
        ({"table": "order"}, ("table is `order`", "Did you mean `orders`?")),
        ({"columns": {"order_id": "Id"}}, ("lacks customer_id, ts, revenue",)),
        ({"columns": ORDERS | {"curency": "C"}}, ("the contract calls it `currency`",)),
        ({"columns": ORDERS | {"ts": ["A", "B"]}}, ("Did you mean `{first: ['A', 'B']}`?",)),
        ({"columns": ORDERS | {"revenue": 5}}, ("Did you mean `{value: 5}`?",)),
        ({"columns": ORDERS | {"ts": {"column": "A", "value": "B"}}}, ("column and value",)),
        ({"columns": ORDERS | {"ts": {"colum": "A"}}}, ("this has none",)),
        ({"columns": ORDERS | {"ts": {"column": "A", "untis": "s"}}}, ("Did you mean `unit`?",)),
        ({"columns": ORDERS | {"ts": {"column": "A", "unit": "s", "dates": "iso"}}}, ("not both",)),
        ({"columns": ORDERS | {"ts": {"column": "A", "unit": "seconds"}}}, ("s, ms, us",)),
        ({"columns": ORDERS | {"ts": {"column": "A", "zone": "source"}}}, ("write `unit`",)),
        ({"columns": ORDERS | {"ts": {"first": ["A"]}}}, ("two or more",)),
        ({"columns": ORDERS | {"revenue": {"times": ["A", "B", "C"]}}}, ("a list of two rules",)),
        ({"columns": ORDERS | {"revenue": {"column": "A", "sum": True}}}, ("`each`",)),
        ({"columns": ORDERS | {"revenue": {"column": "A", "kind": "money"}}}, ("the contract's, money",)),
        ({"columns": ORDERS | {"more": {"column": "A", "kind": "date"}}}, ("kind is `date`",)),
        ({"columns": ORDERS | {"status": {"column": "A", "else": "x"}}}, ("go with a `map`",)),
        ({"columns": ORDERS | {"status": {"column": "A", "map": {}, "else": 1, "others": "keep"}}}, ("not both",)),
        ({"columns": ORDERS | {"order_id": {"row": "yes"}}}, ("`row: true`",)),
        ({"columns": ORDERS | {"order_id": {"column": "A", "whole": "yes"}}}, ("true or false",)),
        ({"each": "Id", "unique": "Id"}, ("not both",)),
        ({"latest": "Id"}, ("write both",)),
        ({"where": {"A": {"over": "x"}}}, ("compares with a number",)),
        ({"where": {"A": {"above": 1}}}, ("not, over, under",)),
    ],
)  # fmt: skip
def test_a_wrong_entry_of_a_table_is_named_with_what_it_may_be(
    table: dict[str, Any], says: tuple[str, ...]
) -> None:
    refused(study(table=table), "orders.csv", *says)


def test_touchpoints_need_one_of_the_two_ids() -> None:
    columns = {"event_id": {"row": True}, "ts": "When", "touchpoint": "What"}
    refused(study(columns, {"table": "touchpoints"}), "customer_id (or anonymous_id)")
    assert only(study(columns | {"anonymous_id": "Cookie"}, {"table": "touchpoints"})).tables


def test_what_is_there_but_empty_is_asked_for_all_at_once() -> None:
    values = study(
        ORDERS | {"ts": None, "status": {"column": "S", "map": {"A": None}, "else": None}},
        zone=None,
        decimal=None,
    )
    refused(values, "source 1: `zone`", "source 1: `decimal`", "tables orders, columns: `ts`")
    with pytest.raises(CxValueError) as caught:
        parse(values)
    assert "map" not in str(caught.value)
    assert "else" not in str(caught.value)


@pytest.mark.parametrize("values", [[], "orders", {"sources": {}}, {"sources": []}, {"sources": ["a.csv"]}])
def test_what_is_no_mapping_is_refused(values: Any) -> None:
    refused(values, "study.yaml")


@pytest.mark.parametrize("row", ["web", ["web"], ["web", "buying"], ["web", "awareness", "ours"], [1, 2]])
def test_a_catalog_row_that_is_none_is_refused(row: Any) -> None:
    refused(study() | {"catalog": {"page": row}}, "catalog page")


# --- presets ------------------------------------------------------------------------------------------


@pytest.fixture
def known(monkeypatch: pytest.MonkeyPatch) -> None:
    """One made-up preset in place of the package's own."""
    entry = {
        "delimiter": ";",
        "tables": [
            {"table": "surveys", "columns": {"response_id": "Rid", "ts": "End", "question": "Q"}},
            {"table": "customers", "columns": {"customer_id": "Mail"}},
        ],
    }
    made = mapping.Preset("asker", "Asker surveys", "https://example.com", "documented", needs=("zone",),
                          catalog={"*": ["web", "engagement"]}, entry=entry)  # fmt: skip
    monkeypatch.setattr(mapping, "preset", lambda name: made)


@pytest.mark.usefixtures("known")
def test_a_preset_says_what_only_the_user_can_know() -> None:
    refused(
        {"sources": [{"file": "a.csv", "preset": "asker"}]}, "does not say its zone", "`zone: Europe/Rome`"
    )


@pytest.mark.usefixtures("known")
def test_own_entries_win_over_the_preset_s_and_own_tables_are_merged_over_its() -> None:
    score = {"score": "Q5", "scale_min": {"value": 0}, "scale_max": {"value": 10}}
    own = [{"table": "surveys", "columns": score | {"question": {"value": "nps"}}}]
    parsed: Mapping = parse({"sources": [{"file": "a.csv", "preset": "asker", "zone": "UTC", "tables": own}]})
    source = parsed.sources[0]
    assert source.delimiter == ";"
    assert [entry.table for entry in source.tables] == ["surveys", "customers"]
    merged = source.tables[0].columns
    assert (merged["response_id"].name, merged["question"].value) == ("Rid", "nps")
    assert parsed.catalog == (("*", ("web", "engagement")),)
    assert set(TABLES["surveys"].required) <= set(merged)


@pytest.mark.usefixtures("known")
def test_what_a_preset_leaves_open_is_named() -> None:
    refused({"sources": [{"file": "a.csv", "preset": "asker", "zone": "UTC"}]}, "lacks scale_min, scale_max")


def test_a_preset_that_there_is_not_lists_those_there_are() -> None:
    with pytest.raises(CxLookupError, match="there is no preset `nothing`"):
        mapping.preset("nothing")
