"""The contract as a document, and the conversion and checks it compiles to."""

from __future__ import annotations

import re
from typing import Any

import ibis
import pandas as pd
import pytest

from cxlib import contract
from cxlib.contract import (
    EXPONENTS,
    KINDS,
    STAGES,
    TABLES,
    Finding,
    Findings,
    Settings,
    complete,
    findings,
    typed,
)
from cxlib.errors import CxLookupError, CxValueError
from cxlib.study.engine import memory


def report(frames: dict[str, pd.DataFrame], settings: Settings | None = None) -> tuple[Findings, list[str]]:
    """Everything found in some frames, and the SQL of every query run for it."""
    engine, raw = memory(frames)
    queries: list[str] = []

    def fetch(expr: Any) -> pd.DataFrame:
        queries.append(ibis.to_sql(expr, dialect="duckdb"))
        return engine.fetch(expr)

    rows, found = {}, []
    for name, table in raw.items():
        others = {other: expr for other, expr in raw.items() if other != name}
        rows[name], more = findings(table, TABLES[name], settings or Settings(), others, fetch)
        found += more
    return Findings(rows, tuple(found)), queries


def orders(**columns: Any) -> pd.DataFrame:
    base = {"order_id": ["o1", "o2"], "customer_id": ["x", "y"], "ts": "2026-01-05", "revenue": [100, 250]}
    return pd.DataFrame(base | {"currency": "EUR"} | columns)


# --- the document -----------------------------------------------------------------------------------


def test_the_tables_are_those_of_the_design() -> None:
    assert list(TABLES) == [
        "touchpoints",
        "catalog",
        "customers",
        "identities",
        "surveys",
        "orders",
        "exposures",
    ]
    assert STAGES == ("awareness", "engagement", "transaction", "retention")


def test_every_column_has_a_known_kind_a_meaning_and_refers_to_a_table_that_has_it() -> None:
    for table in TABLES.values():
        names = [column.name for column in table.columns]
        assert len(set(names)) == len(names)
        assert set(table.key) <= set(names)
        for column in table.columns:
            assert column.kind in KINDS
            assert column.meaning
            assert re.fullmatch(r"[a-z_]+", column.name)
            if column.refers:
                assert column.name in TABLES[column.refers].key


def test_a_column_is_found_by_name_and_a_wrong_name_lists_them() -> None:
    assert TABLES["orders"].column("revenue").kind == "money"
    assert TABLES["orders"].required == ["order_id", "customer_id", "ts", "revenue"]
    with pytest.raises(CxLookupError, match="orders has no column `revenues`"):
        TABLES["orders"].column("revenues")


def test_money_is_integer_and_costs_are_decimal() -> None:
    money = {(t.name, c.name) for t in TABLES.values() for c in t.columns if c.kind == "money"}
    assert money == {("touchpoints", "value"), ("orders", "revenue"), ("orders", "margin")}
    assert TABLES["catalog"].column("unit_cost").kind == "number"
    assert TABLES["customers"].column("acquisition_cost").kind == "number"


@pytest.mark.parametrize(
    ("currency", "exponent"), [("JPY", 0), ("KRW", 0), ("KWD", 3), ("TND", 3), ("CLF", 4)]
)
def test_exponents_are_those_of_iso_4217(currency: str, exponent: int) -> None:
    assert EXPONENTS[currency] == exponent
    assert "EUR" not in EXPONENTS


# --- conversion -------------------------------------------------------------------------------------


def test_further_columns_are_kept_after_those_of_the_contract() -> None:
    raw = ibis.table({"order_id": "string", "note": "string", "revenue": "int64"}, name="orders")
    table = complete(typed(raw, TABLES["orders"], Settings()), TABLES["orders"])
    assert list(table.columns) == [*(c.name for c in TABLES["orders"].columns), "note"]
    assert table.margin.type().is_int64()


def test_what_fits_is_not_converted() -> None:
    kinds = {"order_id": "string", "ts": "timestamp(6)", "revenue": "int64"}
    raw = ibis.table(kinds, name="orders")
    assert typed(raw, TABLES["orders"], Settings()).schema() == raw.schema()
    assert "CAST" not in ibis.to_sql(typed(raw, TABLES["orders"], Settings()), dialect="duckdb")


def test_settings_say_what_they_may_be() -> None:
    settings = Settings.parse({"currency": "EUR", "conversion": ["buy", "renew"], "notes": "one"})
    assert settings == Settings(currency="EUR", conversion=("buy", "renew"), notes=("one",))
    for wrong in (
        {"colour": 1},
        {"money": "cents"},
        {"delimiter": ""},
        {"currency": "euro"},
        {"title": {"a": 1}},
        ["a"],
    ):
        with pytest.raises(CxValueError, match=r"study\.yaml"):
            Settings.parse(wrong)


# --- checks -----------------------------------------------------------------------------------------


def test_a_sound_table_takes_one_aggregate_query() -> None:
    found, queries = report({"orders": orders()})
    assert found.found == ()
    assert len(queries) == 1
    assert str(found) == "Tables: orders 2 rows.\nThe contract holds."


def test_each_broken_rule_takes_one_query_more_for_its_examples() -> None:
    found, queries = report({"orders": orders(revenue=[1.5, 2.5], order_id=["o", "o"])})
    assert len(found.violations) == 2
    assert len(queries) == 3


def test_three_examples_at_most_are_shown_and_long_ones_shortened() -> None:
    frame = pd.concat([orders()] * 3, ignore_index=True).assign(
        order_id=range(6), ts=[f"day {i}" for i in range(5)] + ["x" * 99]
    )
    (violation,) = report({"orders": frame})[0].violations
    assert violation.rows == 6
    assert violation.examples == ("`day 0`", "`day 1`", "`day 2`")
    assert all(len(e) <= 42 for e in report({"orders": orders(ts="x" * 99)})[0].violations[0].examples)


def test_an_order_of_an_unknown_customer_is_a_warning_only() -> None:
    found, _ = report({"orders": orders(), "customers": pd.DataFrame({"customer_id": ["x"]})})
    assert not found.violations
    (warning,) = found.warnings
    assert (warning.column, warning.rows, warning.examples) == ("customer_id", 1, ("`y`",))
    assert "1 warning:" in str(found)
    assert "The contract holds." in str(found)


def test_ids_of_two_types_meet() -> None:
    found, _ = report(
        {"orders": orders(customer_id=["1", "2"]), "customers": pd.DataFrame({"customer_id": [1, 2]})}
    )
    assert found.found == ()


def test_a_key_of_two_columns_repeats_only_as_a_pair() -> None:
    def surveys(questions: list[str]) -> pd.DataFrame:
        scale = {"score": [1, 2], "scale_min": 0, "scale_max": 10}
        return pd.DataFrame({"response_id": ["r", "r"], "ts": "2026-01-05", "question": questions} | scale)

    assert report({"surveys": surveys(["nps", "csat"])})[0].found == ()
    (violation,) = report({"surveys": surveys(["nps", "nps"])})[0].violations
    assert violation.column == "response_id, question"
    assert violation.examples == ("`r, nps`",)


def test_a_missing_column_is_named_with_what_there_is_and_a_near_name() -> None:
    (violation,) = report({"orders": orders().rename(columns={"revenue": "revenues"})})[0].violations
    assert violation.rows == 0
    assert "Did you mean `revenues`?" in str(violation)
    assert "order_id, customer_id" in str(violation)


def test_an_empty_required_field_is_a_violation() -> None:
    for blank in (None, "", " "):
        found, _ = report({"orders": orders(customer_id=["x", blank])})
        assert any("empty, and must not be" in str(v) for v in found.violations)


def test_findings_read_as_sentences() -> None:
    finding = Finding("orders", "revenue", "not an amount", 1200, "Mend it.", ("`a`", "`b`"))
    assert str(finding) == "orders.revenue: 1,200 rows: not an amount (such as `a`, `b`). Mend it."
    assert (
        str(Finding("orders", "", "the table has no rows", 0, "Add rows."))
        == "orders: the table has no rows. Add rows."
    )
    assert str(Findings()) == "Tables: none.\nThe contract holds."


def test_every_advice_ends_like_a_sentence_and_says_what_to_do() -> None:
    broken = {
        "touchpoints": pd.DataFrame({"event_id": [1.5, 2.5], "ts": ["a", None], "touchpoint": ["p", " p"], "channel": ["", "w"],
            "stage": "S", "load_ms": ["x", "y"], "value": ["1.5", "z"], "consent": ["maybe", "no"], "Device": "d"}),
        "exposures": pd.DataFrame({"experiment": ["e"], "variant": ["a"], "customer_id": ["z"]}),
    }  # fmt: skip
    found, _ = report(broken)
    assert len(found.found) >= 12
    for finding in found.found:
        assert finding.advice.rstrip().endswith((".", "?"))
        assert len(finding.advice) > 8


def test_the_module_says_what_it_is() -> None:
    assert "contract" in str(contract.__doc__)
