"""The contract as a document, and the conversion and checks it compiles to."""

from __future__ import annotations

import re
from typing import Any

import ibis
import numpy as np
import pandas as pd
import pytest

import cxlib as cx
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


def test_the_times_of_an_order_are_typed_and_checked_and_a_promise_may_lie_ahead() -> None:
    soon = (pd.Timestamp.now("UTC") + pd.Timedelta(days=30)).strftime("%Y-%m-%d")
    fine = orders(status=["delivered", None], delivered_ts=["2026-01-09", None], promised_ts=soon)
    assert report({"orders": fine})[0].found == ()
    wrong = fine.assign(promised_ts=["02/04/2024", "9999-12-31"], delivered_ts=soon)
    found, _ = report({"orders": wrong})
    assert [(v.column, v.problem, v.rows) for v in found.violations] == [
        ("promised_ts", "not a time", 1),
        ("promised_ts", "outside 1990 to ten years from now", 1),
        ("delivered_ts", "outside 1990 to tomorrow", 2),
    ]


def touchpoints(**columns: Any) -> pd.DataFrame:
    base = {
        "event_id": ["a", "b"],
        "customer_id": ["x", "y"],
        "ts": "2026-01-05",
        "touchpoint": ["page", "buy"],
    }
    return pd.DataFrame(base | {"channel": "web", "stage": "engagement"} | columns)


def test_a_conversion_that_is_no_touchpoint_is_a_violation_with_a_hint() -> None:
    found, _ = report({"touchpoints": touchpoints()}, Settings(conversion=("buy", "pagee")))
    (violation,) = found.violations
    assert "`pagee`" in violation.problem
    assert "There are: buy, page. Did you mean `page`?" in violation.advice
    catalog = pd.DataFrame({"touchpoint": ["page", "buy", "renew"], "channel": "web", "stage": "retention"})
    both = {"touchpoints": touchpoints(stage="retention"), "catalog": catalog}
    assert report(both, Settings(conversion=("renew",)))[0].found == ()
    assert report(both, Settings(conversion=("renw",)))[0].violations[0].advice.endswith("`renew`?")


@pytest.mark.parametrize("kinds", [500, 501])
def test_more_than_500_kinds_of_touchpoints_are_a_violation(kinds: int) -> None:
    names = [f"/item/{i:03}" for i in range(kinds)]
    frame = touchpoints(event_id=names, touchpoint=names, customer_id="x")
    found, queries = report({"touchpoints": frame})
    if kinds == 500:
        assert (found.found, len(queries)) == ((), 1)
    else:
        (violation,) = found.violations
        assert str(violation).startswith(
            "touchpoints.touchpoint: 501 kinds of touchpoints, more than 500 (such as `/item/000`"
        )
        assert "`content`" in violation.advice


@pytest.mark.parametrize(
    ("column", "name"),
    [
        ("touchpoint", "(end)"),
        ("touchpoint", "(direct)"),
        ("touchpoint", "retention"),
        ("channel", "(direct)"),
        ("channel", "(all)"),
    ],
)
def test_a_name_that_results_use_themselves_is_a_violation(column: str, name: str) -> None:
    (violation,) = report({"touchpoints": touchpoints(**{column: ["page", name]})})[0].violations
    assert (violation.column, violation.rows, violation.examples) == (column, 1, (f"`{name}`",))
    assert violation.advice.startswith("Rename it")
    catalog = pd.DataFrame({"touchpoint": ["page"], "channel": "web", "stage": "retention"}).assign(
        **{column: name}
    )
    assert [v.column for v in report({"catalog": catalog})[0].violations] == [column]


@pytest.mark.parametrize("column", ["region", "age_band", "loyalty_tier", "acquisition_channel"])
def test_no_group_of_customers_may_be_called_all(column: str) -> None:
    customers = pd.DataFrame({"customer_id": ["x", "y"], column: ["north", "(all)"]})
    (violation,) = report({"customers": customers})[0].violations
    assert (violation.column, violation.problem, violation.rows) == (column, "a reserved name", 1)


def test_a_channel_may_be_called_like_a_stage() -> None:
    assert report({"touchpoints": touchpoints(channel="retention")})[0].found == ()


def test_a_text_that_is_a_customer_and_an_unlinked_visitor_is_a_warning() -> None:
    mixed = touchpoints(event_id=["a", "b", "c"], customer_id=["x", None, None], anonymous_id=["k", "x", "k"],
                        touchpoint="page")  # fmt: skip
    found, _ = report({"touchpoints": mixed})
    assert not found.violations
    (warning,) = found.warnings
    assert warning.problem.startswith("1 id(s) are both a customer_id and an anonymous_id")
    assert (warning.column, warning.examples) == ("anonymous_id", ("`x`",))
    linked = pd.DataFrame({"id_type": ["cookie"], "id_value": ["x"], "customer_id": ["x"]})
    assert report({"touchpoints": mixed, "identities": linked})[0].found == ()


def test_an_id_of_two_types_and_two_customers_is_a_warning() -> None:
    ids = pd.DataFrame({"id_type": ["cookie", "phone", "cookie", "phone"], "id_value": ["1", "1", "2", "2"]})
    (warning,) = report({"identities": ids.assign(customer_id=["x", "y", "z", "z"])})[0].found
    assert not warning.blocks
    assert warning.problem == "1 id(s) belong to different customers under different id_types"
    assert warning.examples == ("`1`",)


@pytest.mark.parametrize(("weight", "problem"), [(-0.1, "below 0"), (np.inf, "not finite")])
def test_a_weight_is_a_finite_number_not_below_0(weight: float, problem: str) -> None:
    frame = pd.DataFrame({"response_id": ["r", "s"], "ts": "2026-01-05", "question": "nps", "scale_min": 0.0,
                          "scale_max": 10.0, "weight": [0.0, weight]})  # fmt: skip
    (violation,) = report({"surveys": frame})[0].violations
    assert (violation.column, violation.problem, violation.rows) == ("weight", problem, 1)


def test_a_propensity_is_a_probability() -> None:
    frame = pd.DataFrame({"experiment": "e", "variant": "a", "customer_id": list("wxyz"), "ts": "2026-01-05",
                          "propensity": [0.0, 1.0, 1.01, -0.5]})  # fmt: skip
    (violation,) = report({"exposures": frame})[0].violations
    assert (violation.column, violation.problem, violation.rows) == ("propensity", "outside 0 to 1", 2)


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


@pytest.mark.parametrize("channel", [[True, False], ["True", "False"]])
def test_true_and_false_are_no_names_of_a_channel(channel):
    catalog = pd.DataFrame({"touchpoint": ["home", "cart"], "channel": channel, "stage": "engagement"})
    found = cx.check({"catalog": catalog}).violations
    assert [finding.column for finding in found] == ["channel"]
