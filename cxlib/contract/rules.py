"""The conditions that rows may break, each compiled into its table's one aggregate query."""

from __future__ import annotations

import datetime
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import ibis
import ibis.expr.types as ir

from cxlib.contract.conversion import fits, may_be_true_or_false, plain, typed
from cxlib.contract.settings import CURRENCY, Settings
from cxlib.contract.tables import EARLIEST, RESERVED, SAYS, STAGES, Column, Table

# Columns that results are grouped by: there the names of their own rows are taken.
GROUPS = ("touchpoint", "channel", "region", "age_band", "loyalty_tier", "acquisition_channel", "variant")
_RANGES = {"weight": (0.0, math.inf, "below 0"), "propensity": (0.0, 1.0, "outside 0 to 1")}


@dataclass(frozen=True)
class Rule:
    """A condition that a row breaks, compiled into the table's one aggregate query."""

    column: str
    problem: str
    advice: str
    broken: ir.BooleanValue
    blocks: bool = True


def beside(
    raw: ir.Table, table: Table, settings: Settings, others: Mapping[str, ir.Table]
) -> tuple[ir.Table, dict[str, str]]:
    """Typed columns, the raw ones beside them (`x__raw`), and one match column for each table referred to."""
    given = raw.mutate(**{f"{c.name}__raw": raw[c.name] for c in table.columns if c.name in raw.columns})
    both = plain(typed(given, table, settings), table)
    parents = {}
    for column in table.columns:
        if (
            column.refers in others
            and column.name in raw.columns
            and column.name in others[column.refers].columns
        ):
            parent = others[column.refers]
            name = parent[column.name].cast("string")
            beside = (
                [n for n in ("channel", "stage") if n in parent.columns] if column.refers == "catalog" else []
            )
            # One row for each name, whatever the parent holds: a join must not multiply rows.
            known = parent.group_by(**{f"{column.name}__known": name}).aggregate(
                **{f"{n}__catalog": parent[n].cast("string").max() for n in beside}
            )
            joined = both.left_join(known, both[column.name].cast("string") == known[f"{column.name}__known"])
            both = joined.select(*both.columns, *known.columns)
            parents[column.name] = column.refers
    return both, parents


def rules(
    both: ir.Table, raw: ir.Table, table: Table, settings: Settings, parents: Mapping[str, str]
) -> Iterator[Rule]:
    for column in table.columns:
        name = column.name
        if name not in raw.columns:
            continue
        value: Any = both[name]
        given: Any = both[f"{name}__raw"]
        empty = _empty(given)
        if not fits(raw, column, settings):
            yield Rule(name, *_unreadable(column, given, settings), broken=~empty & value.isnull())
        elif column.kind == "number":
            yield Rule(name, "not finite", "Leave the field empty where the value is not known.",
                        broken=value.isnan() | value.isinf())  # fmt: skip
        if column.required:
            yield Rule(name, "empty, and must not be", f"It is {column.meaning}.", broken=empty)
        if column.allowed:
            advice = f"Allowed: {', '.join(column.allowed)}."
            yield Rule(
                name, "not an allowed value", advice, broken=value.notnull() & ~value.isin(column.allowed)
            )
        elif given.type().is_string() and column.kind in ("id", "key", "text"):
            yield from _text_rules(column, given)
        if column.kind == "time":
            # ibis.now() would make the check's answer depend on the engine's clock and zone.
            days, until = (3653, "ten years from now") if name == "promised_ts" else (1, "tomorrow")
            last = datetime.datetime.now(datetime.UTC).replace(tzinfo=None) + datetime.timedelta(days=days)
            off = (value < ibis.literal(EARLIEST)) | (value > ibis.literal(last))
            yield Rule(name, f"outside 1990 to {until}", "Check the unit and the time zone.", broken=off)
        if name in _RANGES:
            low, high, problem = _RANGES[name]
            yield Rule(name, problem, "Mend the values, or leave them empty where not known.",
                        broken=(value < low) | (value > high))  # fmt: skip
        if name in GROUPS:
            taken = RESERVED + (STAGES if name == "touchpoint" else ())
            advice = f"Rename it; {', '.join(taken)} mean something else in results."
            yield Rule(name, "a reserved name", advice, broken=value.isin(taken))
        if name in parents:
            yield from _orphans(both, table, name, parents[name], raw)
    if table.name == "touchpoints":
        yield from _touchpoint_rules(both, raw, parents)
    if table.name == "surveys" and {"score", "scale_min", "scale_max"} <= set(raw.columns):
        off = (both.score < both.scale_min) | (both.score > both.scale_max)
        yield Rule("score", "outside scale_min to scale_max", "Mend the score or the scale.", broken=off)
    for name in ("value", "revenue"):
        if name in raw.columns and table.column(name).kind == "money" and not settings.currency:
            money: Any = both[name]
            nameless = both.currency.isnull() if "currency" in raw.columns else ibis.literal(True)
            advice = "Fill `currency` (EUR, BRL, ...), or put `currency:` into study.yaml (or pass currency='EUR' to open_study)."
            yield Rule(name, "money without a currency", advice, broken=money.notnull() & nameless)


def _empty(given: Any) -> Any:
    return given.isnull() | (given.strip() == "") if given.type().is_string() else given.isnull()


def _text_rules(column: Column, given: Any) -> Iterator[Rule]:
    """Text that is not what it seems: names that differ by a blank, ids that have been floats."""
    if column.kind in ("id", "key"):
        # The cheap test first; GA's 123.456 ids must pass, and so must hashes such as 12e5.
        decimal = given.endswith(".0") | given.contains("E+")
        spoilt = decimal & given.re_search(r"^-?\d+(\.0|(\.\d+)?E\+\d+)$") | given.isin(
            ["True", "False", "true", "false"]
        )
        advice = "Export ids as text: as numbers they lose digits."
        yield Rule(column.name, "a decimal number or true/false, not an id", advice, broken=spoilt)
    elif not may_be_true_or_false(column):
        yield Rule(column.name, "true/false, not a name", "Export the names themselves.",
                    broken=given.isin(["True", "False", "true", "false"]))  # fmt: skip
    if not may_be_true_or_false(column):
        outside = given.startswith(" ") | given.endswith(" ")
        yield Rule(column.name, "begins or ends with a blank", "Trim the values.", broken=outside)
    if column.name == "currency":
        yield Rule("currency", "not an ISO 4217 code", "Write three capitals, such as EUR.",
                    broken=(given != "") & ~given.re_search(CURRENCY))  # fmt: skip


def _unreadable(column: Column, given: Any, settings: Settings) -> tuple[str, str]:
    if column.kind == "money":
        if settings.money == "major":
            return "not an amount of money", "Write digits with a decimal point."
        return (
            "not whole minor units (cents)",
            "Write integers, or put `money: major` into study.yaml (or pass money='major' to open_study) "
            "to have decimals converted.",
        )
    if column.kind == "time":
        return (
            "not a time",
            "Write ISO 8601: 2026-03-31 or 2026-03-31T18:30:00, with Z or an offset if not UTC.",
        )
    if column.kind in ("id", "key", "text"):
        advice = "Store ids as text or integers: a float loses digits and gains a `.0`."
        return f"stored as {given.type()}, not as text", advice
    return f"not {SAYS[column.kind]}", "Mend the values, or leave them empty where not known."


def _orphans(both: ir.Table, table: Table, name: str, parent: str, raw: ir.Table) -> Iterator[Rule]:
    value: Any = both[name]
    unknown = value.notnull() & both[f"{name}__known"].isnull()
    if table.name == "touchpoints" and parent == "catalog":
        own = [both[c].notnull() for c in ("channel", "stage") if c in raw.columns]
        if len(own) == 2:
            unknown = unknown & ~(own[0] & own[1])
        yield Rule(name, "not in the catalog", "Add it to the catalog with its channel and stage.", unknown)
    else:
        advice = f"Add them to {parent}; until then their attributes are unknown."
        yield Rule(name, f"not in {parent}", advice, broken=unknown, blocks=False)


def _touchpoint_rules(both: ir.Table, raw: ir.Table, parents: Mapping[str, str]) -> Iterator[Rule]:
    ids = [both[f"{name}__raw"] for name in ("customer_id", "anonymous_id") if name in raw.columns]
    if ids:
        nobody = ibis.and_(*(_empty(i) for i in ids))
        yield Rule(
            "customer_id", "neither customer_id nor anonymous_id", "Name the person in one of them.", nobody
        )
    for name in ("channel", "stage"):
        if name in raw.columns and f"{name}__catalog" in both.columns:
            differs: Any = both[name] != both[f"{name}__catalog"]
            advice = "The touchpoint's own counts; mend one if it is wrong."
            yield Rule(name, "differs from the catalog's", advice, broken=differs, blocks=False)
    if "touchpoint" not in parents:
        for name in ("channel", "stage"):
            if name in raw.columns:
                yield Rule(name, "empty, and there is no catalog to look it up in",
                            f"Fill {name} or add a catalog table.", broken=both[name].isnull())  # fmt: skip
