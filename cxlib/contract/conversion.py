"""A table as it came turned into the contract's kinds: ids as text, UTC times, money in minor units."""

from __future__ import annotations

from typing import Any

import ibis
import ibis.expr.types as ir

from cxlib.contract.settings import Settings
from cxlib.contract.tables import KINDS, Column, Table

# ISO 4217 currencies whose minor unit is not a hundredth.
EXPONENTS = {
    code: exponent
    for exponent, codes in (
        (0, "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF"),
        (3, "BHD IQD JOD KWD LYD OMR TND"),
        (4, "CLF UYW"),
    )
    for code in codes.split()
}


def typed(raw: ir.Table, table: Table, settings: Settings) -> ir.Table:
    """The table with each contract column cast to its kind; what cannot be cast becomes null."""
    return raw.mutate(
        **{
            c.name: _cast(raw, c, settings)
            for c in table.columns
            if c.name in raw.columns and not fits(raw, c, settings)
        }
    )


def complete(table: ir.Table, spec: Table) -> ir.Table:
    """The table with blank text as null, times without a zone (they are UTC), and the contract's absent
    optional columns added as nulls; contract columns first."""
    table = plain(table, spec)
    absent = {c.name: ibis.null(KINDS[c.kind]) for c in spec.columns if c.name not in table.columns}
    further = [name for name in table.columns if name not in {c.name for c in spec.columns}]
    return table.mutate(**absent)[[*(c.name for c in spec.columns), *further]]


def plain(table: ir.Table, spec: Table) -> ir.Table:
    """Blank text as null and UTC times without their zone: what costs too little to be stored."""
    plain: dict[str, ir.Value] = {}
    for column in spec.columns:
        value: Any = table[column.name] if column.name in table.columns else None
        if value is None:
            continue
        if value.type().is_string() and not column.required:
            plain[column.name] = value.nullif("")
        if value.type().is_timestamp() and value.type().timezone is not None:
            plain[column.name] = value.cast("timestamp(6)")
    return table.mutate(**plain)


def fits(raw: ir.Table, column: Column, settings: Settings) -> bool:
    """True where the column needs no conversion at all."""
    has = raw[column.name].type()
    if column.kind == "key":
        return has.is_string() or has.is_integer()
    if column.kind in ("id", "text"):
        return has.is_string()
    if column.kind == "time":
        fine = has.is_timestamp() and has.timezone is None and (has.scale or 6) <= 6
        return fine and settings.time_zone == "UTC"
    if column.kind == "number":
        return has.is_float64()
    if column.kind == "flag":
        return has.is_boolean()
    return has.is_int64() and not (column.kind == "money" and settings.money == "major")


NAMING = ("touchpoint", "channel", "question", "currency")  # columns whose values are names


def may_be_true_or_false(column: Column) -> bool:
    return column.kind == "text" and column.name not in NAMING


def _cast(raw: ir.Table, column: Column, settings: Settings) -> ir.Value:
    value: Any = raw[column.name]
    has = value.type()
    if column.kind in ("id", "key", "text"):
        unfit = (
            has.is_floating() or has.is_nested() or (has.is_boolean() and not may_be_true_or_false(column))
        )
        return ibis.null("string") if unfit else value.cast("string")
    if column.kind == "time":
        return _time(value)
    if column.kind == "flag":
        if has.is_string():
            text = value.strip().lower()
            truth = text.isin(["true", "t", "yes", "y", "1"])
            return ibis.cases((truth, True), (text.isin(["false", "f", "no", "n", "0"]), False), else_=None)
        if has.is_numeric():
            return ibis.cases((value == 1, True), (value == 0, False), else_=None)
        return value if has.is_boolean() else ibis.null("boolean")
    if not (has.is_string() or has.is_numeric()):
        return ibis.null(KINDS[column.kind])
    if column.kind == "number":
        return _finite(value)
    # A float by its shortest text: 2.675 is meant, not 2.67499999999999982236431605997495353221893310546875.
    exact = (value.cast("string") if has.is_floating() else value).try_cast("decimal(31, 12)")
    if column.kind == "money":
        return _minor_units(exact, raw, settings)
    return _whole(exact)


def _time(value: Any) -> ir.Value:
    """A time in UTC; text must be ISO 8601 (YYYY-MM-DD, then the time), which has one reading only."""
    if value.type().is_string():
        iso = value.strip().re_search(
            r"^\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}(:\d{2}(\.\d+)?)?\s?(Z|[+-]\d{2}(:?\d{2})?)?)?$"
        )
        return iso.ifelse(value.strip(), ibis.null("string")).try_cast("timestamp('UTC', 6)")
    if value.type().is_timestamp() or value.type().is_date():
        return value.cast("timestamp('UTC', 6)")
    return ibis.null("timestamp(6)")


def _finite(value: Any) -> ir.Value:
    number = value.try_cast("float64")
    return (number.isnan() | number.isinf()).ifelse(ibis.null("float64"), number)


def _whole(exact: Any) -> ir.Value:
    return (exact == exact.floor()).ifelse(exact.try_cast("int64"), ibis.null("int64"))


def _minor_units(exact: Any, raw: ir.Table, settings: Settings) -> ir.Value:
    """Integer minor units; with `money: major`, by the currency's exponent, halves to even."""
    if settings.money != "major":
        return _whole(exact)
    currency: Any = ibis.literal(settings.currency)
    if "currency" in raw.columns:
        named: Any = raw["currency"].cast("string")
        currency = ibis.coalesce(named.nullif(""), settings.currency)
    return half_even(scaled(exact, currency))


def scaled(exact: Any, currency: Any) -> Any:
    """A decimal amount times the minor units in one of each row's currency, exactly."""
    powers = [
        (currency.isin([c for c, e in EXPONENTS.items() if e == exponent]), 10**exponent)
        for exponent in (0, 3, 4)
    ]
    usual = ~currency.re_search(f"^({'|'.join(EXPONENTS)})$")  # the lists are slow, and rarely needed
    power: Any = ibis.cases((usual, 100), *powers, else_=100)
    return exact * power.cast("decimal(5, 0)")


def half_even(number: Any) -> ir.Value:
    """The whole number nearest to a decimal, of two the even one."""
    below = number.floor().try_cast("int64")
    rest = number - number.floor()
    up = (rest > 0.5) | ((rest == 0.5) & (below % 2 != 0))
    return below + up.cast("int64")
