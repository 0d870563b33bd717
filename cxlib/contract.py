"""The contract: the tables of a study, their columns, what they mean, and how they are checked.

A study needs at least one of these tables; every method says which it needs. Columns beyond the
contract are kept and carried. `findings` compiles the whole check of a table to one aggregate query.

>>> [table.name for table in TABLES.values()][:3]
['touchpoints', 'catalog', 'customers']
>>> TABLES["catalog"].column("stage").allowed
('awareness', 'engagement', 'transaction', 'retention')
"""

from __future__ import annotations

import datetime
import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import ibis
import ibis.expr.types as ir

from cxlib.errors import CxLookupError, CxValueError, did_you_mean

CURRENCY = r"^[A-Z]{3}$"
STAGES = ("awareness", "engagement", "transaction", "retention")
EARLIEST = datetime.datetime(1990, 1, 1)
MOST_TOUCHPOINTS = 500
RESERVED = ("(end)", "(direct)")  # results use them beside the names of touchpoints and channels

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

KINDS = {
    "id": "string",
    "key": "string",  # an id that also orders events: an integer column stays one
    "text": "string",
    "time": "timestamp(6)",
    "number": "float64",
    "integer": "int64",
    "money": "int64",
    "flag": "boolean",
}
SAYS = {
    "time": "a time",
    "number": "a number",
    "integer": "a whole number",
    "money": "an amount",
    "flag": "true or false",
}


@dataclass(frozen=True)
class Column:
    """A column: its kind (see `KINDS`), what it means, and what its values may be."""

    name: str
    kind: str
    meaning: str
    required: bool = False
    allowed: tuple[str, ...] = ()
    refers: str = ""  # the table whose column of the same name holds the values this one may take


@dataclass(frozen=True)
class Table:
    """A table of the contract: what one row is, its columns, and the columns that name a row."""

    name: str
    row: str
    columns: tuple[Column, ...]
    key: tuple[str, ...] = ()

    def column(self, name: str) -> Column:
        """The column of that name; CxLookupError where the contract has none."""
        for column in self.columns:
            if column.name == name:
                return column
        names = [c.name for c in self.columns]
        raise CxLookupError(
            f"{self.name} has no column `{name}` in the contract; it has: {', '.join(names)}."
        )

    @property
    def required(self) -> list[str]:
        """Names of the columns that must be there and filled."""
        return [c.name for c in self.columns if c.required]


def _c(name: str, kind: str, meaning: str, **more: Any) -> Column:
    return Column(name, kind, meaning, **more)


_TABLES = (
    Table(
        "touchpoints",
        "one contact between a customer and the company",
        (
            _c("event_id", "key", "names the event; breaks ties in time", required=True),
            _c("customer_id", "id", "the known customer", refers="customers"),
            _c("anonymous_id", "id", "cookie, device or other id before sign-in"),
            _c("ts", "time", "when it happened, UTC", required=True),
            _c("touchpoint", "text", "what it was, as named in the catalog", required=True, refers="catalog"),
            _c("initiated_by", "text", "who began it", allowed=("customer", "brand")),
            _c("channel", "text", "where; wins over the catalog's"),
            _c("stage", "text", "journey stage; wins over the catalog's", allowed=STAGES),
            _c("received_ts", "time", "when it reached the collector, UTC"),
            _c("session_id", "id", "the source's own session, unique within a visitor"),
            _c("order_id", "id", "the order it belongs to"),
            _c("device", "text", "mobile, desktop, ..."),
            _c("campaign", "text", "the campaign it belongs to"),
            _c("content", "text", "what was shown or said"),
            _c("value", "money", "money, minor units"),
            _c("currency", "text", "ISO 4217 code of `value`"),
            _c("load_ms", "number", "load time, milliseconds"),
            _c("outcome", "text", "how it ended: ok, failed, out_of_stock, ..."),
            _c("consent", "flag", "consent at that moment"),
            _c("source", "text", "the system it came from"),
        ),
        key=("event_id",),
    ),
    Table(
        "catalog",
        "one kind of touchpoint",
        (
            _c("touchpoint", "text", "its name", required=True),
            _c("channel", "text", "web, app, email, store, call, chat, social, ...", required=True),
            _c("stage", "text", "journey stage", required=True, allowed=STAGES),
            _c("ownership", "text", "whose it is", allowed=("owned", "partner", "customer", "social")),
            _c("mode", "text", "who does the work", allowed=("self_service", "assisted")),
            _c("unit_cost", "number", "cost of one contact, decimal minor units"),
            _c("currency", "text", "ISO 4217 code of `unit_cost`"),
        ),
        key=("touchpoint",),
    ),
    Table(
        "customers",
        "one known customer",
        (
            _c("customer_id", "id", "the customer", required=True),
            _c("first_seen", "time", "first contact, UTC"),
            _c("acquisition_channel", "text", "where they came from"),
            _c("acquisition_cost", "number", "what winning them cost, decimal minor units"),
            _c("currency", "text", "ISO 4217 code of `acquisition_cost`"),
            _c("region", "text", "region"),
            _c("age_band", "text", "age band"),
            _c("loyalty_tier", "text", "loyalty tier"),
            _c("referred_by", "id", "the customer who brought them"),
            _c("consent", "flag", "consent to be contacted"),
        ),
        key=("customer_id",),
    ),
    Table(
        "identities",
        "one link from an id to a customer",
        (
            _c("id_type", "text", "kind of id", required=True),
            _c("id_value", "id", "the id", required=True),
            _c("customer_id", "id", "whose it is", required=True, refers="customers"),
            _c("rule", "text", "why they are linked"),
            _c("first_seen", "time", "first time the link was seen, UTC"),
            _c("last_seen", "time", "last time the link was seen, UTC"),
        ),
    ),
    Table(
        "surveys",
        "one answer to one question",
        (
            _c("response_id", "id", "the response the answer belongs to", required=True),
            _c("customer_id", "id", "who answered", refers="customers"),
            _c("ts", "time", "when, UTC", required=True),
            _c("touchpoint", "text", "what was asked about", refers="catalog"),
            _c("stage", "text", "the stage asked about", allowed=STAGES),
            _c("question", "text", "nps, csat, ces or an item's name", required=True),
            _c("score", "number", "the answer; empty where not answered"),
            _c("scale_min", "number", "lowest answer possible", required=True),
            _c("scale_max", "number", "highest answer possible", required=True),
            _c("comment", "text", "in the customer's words"),
            _c("language", "text", "language of the comment"),
            _c("weight", "number", "survey weight"),
        ),
        key=("response_id", "question"),
    ),
    Table(
        "orders",
        "one order",
        (
            _c("order_id", "id", "the order", required=True),
            _c("customer_id", "id", "who bought", required=True, refers="customers"),
            _c("ts", "time", "when, UTC", required=True),
            _c("channel", "text", "where"),
            _c("revenue", "money", "revenue, minor units", required=True),
            _c("margin", "money", "margin, minor units"),
            _c("currency", "text", "ISO 4217 code"),
            _c("status", "text", "how it stands: delivered, canceled, ..."),
            _c("promised_ts", "time", "when it was promised for, UTC"),
            _c("delivered_ts", "time", "when it was delivered, UTC"),
        ),
        key=("order_id",),
    ),
    Table(
        "exposures",
        "one assignment of a customer to a variant",
        (
            _c("experiment", "text", "the experiment", required=True),
            _c("variant", "text", "the variant assigned", required=True),
            _c("customer_id", "id", "who", required=True, refers="customers"),
            _c("ts", "time", "when, UTC", required=True),
            _c("propensity", "number", "probability of this assignment, 0 to 1"),
            _c("cluster", "id", "unit of randomisation where it is not the customer"),
            _c("stratum", "text", "stratum within which it was randomised"),
        ),
    ),
)
TABLES: Mapping[str, Table] = {table.name: table for table in _TABLES}


@dataclass(frozen=True)
class Settings:
    """What `study.yaml` or `open_study(where, ...)` may say. `money: major` has decimals converted to minor
    units when read."""

    name: str = ""
    title: str = ""
    currency: str = ""
    money: str = ""
    time_zone: str = "UTC"
    conversion: tuple[str, ...] = ()
    delimiter: str = ","
    encoding: str = "utf-8"
    licence: str = ""
    source: str = ""
    notes: tuple[str, ...] = ()

    @classmethod
    def parse(cls, values: object, where: str = "study.yaml") -> Settings:
        """Settings from a mapping, each checked; CxValueError names the entry and what it may be."""
        if not isinstance(values, Mapping):
            raise CxValueError(f"{where} must be a list of `name: value` lines, not {type(values).__name__}.")
        known = list(cls.__dataclass_fields__)
        for entry in values:
            if entry not in known:
                hint = did_you_mean(str(entry), known)
                raise CxValueError(
                    f"{where} has an unknown entry `{entry}`.{hint} Known: {', '.join(known)}."
                )
        kept: dict[str, Any] = {}
        for entry, value in values.items():
            if entry in ("conversion", "notes") and isinstance(value, (list, tuple)):
                kept[entry] = tuple(str(v) for v in value)
            elif isinstance(value, (list, tuple, Mapping)):
                raise CxValueError(f"{where}: {entry} must be one value, not a list: write `{entry}: ...`.")
            elif value is not None:
                kept[entry] = (str(value),) if entry in ("conversion", "notes") else str(value)
        settings = cls(**kept)
        if settings.money not in ("", "major", "minor"):
            raise CxValueError(
                f"{where}: money is `{settings.money}`; write `money: major` or `money: minor`."
            )
        if settings.currency and not re.match(CURRENCY, settings.currency):
            raise CxValueError(
                f"{where}: currency is `{settings.currency}`; write an ISO 4217 code such as EUR."
            )
        if len(settings.delimiter) != 1:
            raise CxValueError(f"{where}: delimiter must be one character, not `{settings.delimiter}`.")
        return settings


@dataclass(frozen=True)
class Finding:
    """One thing found in a table: how many rows, three examples, and what to do.

    `blocks` is true for a violation, false for a warning that is reported but does not stop a study.
    """

    table: str
    column: str
    problem: str
    rows: int
    advice: str
    examples: tuple[str, ...] = ()
    blocks: bool = True

    def __str__(self) -> str:
        where = f"{self.table}.{self.column}" if self.column else self.table
        rows = f"{self.rows:,} row{'' if self.rows == 1 else 's'}: " if self.rows else ""
        shown = f" (such as {', '.join(self.examples)})" if self.examples else ""
        return f"{where}: {rows}{self.problem}{shown}. {self.advice}"


@dataclass(frozen=True)
class Findings:
    """Everything a check found, and how many rows each table has."""

    rows: Mapping[str, int] = field(default_factory=dict)
    found: tuple[Finding, ...] = ()

    @property
    def violations(self) -> tuple[Finding, ...]:
        """What must be mended before the study can be opened."""
        return tuple(f for f in self.found if f.blocks)

    @property
    def warnings(self) -> tuple[Finding, ...]:
        """What the reader should know; the study opens all the same."""
        return tuple(f for f in self.found if not f.blocks)

    def __str__(self) -> str:
        tables = ", ".join(f"{name} {rows:,} rows" for name, rows in self.rows.items())
        lines = [f"Tables: {tables or 'none'}."]
        for title, group in (("violation", self.violations), ("warning", self.warnings)):
            if group:
                lines.append(f"{len(group)} {title}{'' if len(group) == 1 else 's'}:")
                lines += [f"  - {finding}" for finding in group]
        if not self.violations:
            lines.append("The contract holds.")
        return "\n".join(lines)


def typed(raw: ir.Table, table: Table, settings: Settings) -> ir.Table:
    """The table with each contract column cast to its kind; what cannot be cast becomes null."""
    return raw.mutate(
        **{
            c.name: _cast(raw, c, settings)
            for c in table.columns
            if c.name in raw.columns and not _fits(raw, c, settings)
        }
    )


def complete(table: ir.Table, spec: Table) -> ir.Table:
    """The table with blank text as null, times without a zone (they are UTC), and the contract's absent
    optional columns added as nulls; contract columns first."""
    table = _plain(table, spec)
    absent = {c.name: ibis.null(KINDS[c.kind]) for c in spec.columns if c.name not in table.columns}
    further = [name for name in table.columns if name not in {c.name for c in spec.columns}]
    return table.mutate(**absent)[[*(c.name for c in spec.columns), *further]]


def _plain(table: ir.Table, spec: Table) -> ir.Table:
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


def _fits(raw: ir.Table, column: Column, settings: Settings) -> bool:
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


def _may_be_true_or_false(column: Column) -> bool:
    return column.kind == "text" and column.name not in NAMING


def _cast(raw: ir.Table, column: Column, settings: Settings) -> ir.Value:
    value: Any = raw[column.name]
    has = value.type()
    if column.kind in ("id", "key", "text"):
        unfit = (
            has.is_floating() or has.is_nested() or (has.is_boolean() and not _may_be_true_or_false(column))
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
    power: Any = ibis.cases(
        *(
            (currency.isin([c for c, e in EXPONENTS.items() if e == exponent]), 10**exponent)
            for exponent in (0, 3, 4)
        ),
        else_=100,
    )
    scaled = exact * power.cast("decimal(5, 0)")
    below = scaled.floor().try_cast("int64")
    rest = scaled - scaled.floor()
    up = (rest > 0.5) | ((rest == 0.5) & (below % 2 != 0))
    return below + up.cast("int64")


@dataclass(frozen=True)
class _Rule:
    """A condition that a row breaks, compiled into the table's one aggregate query."""

    column: str
    problem: str
    advice: str
    broken: ir.BooleanValue
    blocks: bool = True


Fetch = Callable[[ir.Table], Any]
_RANGES = {"weight": (0.0, math.inf, "below 0"), "propensity": (0.0, 1.0, "outside 0 to 1")}


def findings(
    raw: ir.Table, table: Table, settings: Settings, others: Mapping[str, ir.Table], fetch: Fetch
) -> tuple[int, list[Finding]]:
    """Rows of the table and everything that breaks the contract.

    `raw` is the table as it came, `others` the study's other tables (for orphans), `fetch` turns an
    expression into a frame. One aggregate query; one on distinct ids where two kinds of id can clash;
    a further small one for the examples of each rule that is broken.
    """
    found = [
        Finding(table.name, name, "the required column is missing", 0, _missing_advice(table, name, raw))
        for name in table.required
        if name not in raw.columns
    ]
    found += _misnamed(raw, table)
    if table.name == "touchpoints" and not {"customer_id", "anonymous_id"} & set(raw.columns):
        advice = f"Name the person in at least one of the two. The table has: {', '.join(raw.columns[:12])}."
        found.append(Finding(table.name, "customer_id", "neither customer_id nor anonymous_id", 0, advice))
    if table.name == "touchpoints" and "catalog" not in others:
        for name in ("channel", "stage"):
            if name not in raw.columns:
                advice = f"Add a catalog table (touchpoint, channel, stage, ...) or a column {name}."
                found.append(Finding(table.name, name, "neither in the table nor in a catalog", 0, advice))

    both, parents = _beside(raw, table, settings, others)
    rules = list(_rules(both, raw, table, settings, parents))
    key = [name for name in table.key if name in raw.columns]
    measures: dict[str, ir.Value] = {"rows": both.count()}
    if len(key) == len(table.key) > 0:
        measures["keys"] = both[key[0]].nunique() if len(key) == 1 else _joined(both, key).nunique()
        measures["keyed"] = ibis.and_(*(both[k].notnull() for k in key)).sum()
    measures |= {f"r{i}": rule.broken.sum() for i, rule in enumerate(rules)}
    named = table.name == "touchpoints" and "touchpoint" in raw.columns
    if named:
        measures["kinds"] = both.touchpoint.nunique()
        measures |= {f"c{i}": (both.touchpoint == name).sum() for i, name in enumerate(settings.conversion)}
    counts = fetch(both.aggregate(**measures)).iloc[0].fillna(0).astype(int)

    for i, rule in enumerate(rules):
        if counts[f"r{i}"]:
            shown = rule.column if rule.column in raw.columns else ""
            examples = _examples(both.filter(rule.broken), f"{shown}__raw", fetch) if shown else ()
            found.append(
                Finding(
                    table.name,
                    rule.column,
                    rule.problem,
                    int(counts[f"r{i}"]),
                    rule.advice,
                    examples,
                    rule.blocks,
                )
            )
    if "keys" in counts and counts["keyed"] > counts["keys"]:
        repeated = both.filter(ibis.and_(*(both[k].notnull() for k in key)))
        twice = repeated.group_by(key).aggregate(times=repeated.count()).filter(lambda t: t.times > 1)
        advice = "Keep one row for each, or give each event its own id."
        examples = _examples(twice.mutate(key__raw=_joined(twice, key, ", ")), "key__raw", fetch)
        extra = int(counts["keyed"] - counts["keys"])
        found.append(
            Finding(table.name, ", ".join(key), "repeat a key that must be unique", extra, advice, examples)
        )
    if named and counts["rows"]:
        absent = [name for i, name in enumerate(settings.conversion) if not counts[f"c{i}"]]
        found += _kinds(both, int(counts["kinds"]), absent, others, fetch)
    found += _ambiguous(raw, table, settings, others, fetch)
    if not counts["rows"]:
        alone = table.name == "touchpoints" or not others
        advice = "Add rows, or take the table away." if alone else "It is treated as absent."
        found.append(Finding(table.name, "", "the table has no rows", 0, advice, blocks=alone))
    return int(counts["rows"]), found


def _kinds(
    both: ir.Table, kinds: int, absent: list[str], others: Mapping[str, ir.Table], fetch: Fetch
) -> Iterator[Finding]:
    """Too many kinds of touchpoints, and conversions that are none of them."""
    if kinds > MOST_TOUCHPOINTS:
        advice = "A touchpoint is a kind of contact: put the address or item into `content`."
        problem = f"{kinds:,} kinds of touchpoints, more than {MOST_TOUCHPOINTS}"
        examples = _examples(both, "touchpoint", fetch)
        yield Finding("touchpoints", "touchpoint", problem, 0, advice, examples)
    if not absent:
        return
    names = both.select(name=both.touchpoint).distinct()
    known = set(fetch(names.limit(1000))["name"].dropna())
    if "touchpoint" in getattr(others.get("catalog"), "columns", ()):
        catalog = others["catalog"]
        known |= set(fetch(catalog.select(name=catalog.touchpoint.cast("string")))["name"].dropna())
    for name in absent:
        if name not in known:
            problem = f"no touchpoint is called `{name}`, which `conversion:` of study.yaml names"
            advice = f"There are: {', '.join(sorted(known)[:12])}.{did_you_mean(name, known)}"
            yield Finding("touchpoints", "touchpoint", problem, 0, advice)


def _ambiguous(
    raw: ir.Table, table: Table, settings: Settings, others: Mapping[str, ir.Table], fetch: Fetch
) -> Iterator[Finding]:
    """Warnings for ids that may stand for two persons, counted on distinct ids."""
    if table.name == "identities" and {"id_type", "id_value", "customer_id"} <= set(raw.columns):
        ids = raw.group_by("id_value").aggregate(
            types=raw.id_type.nunique(), owners=raw.customer_id.nunique()
        )
        shared, name = ids.filter((ids.types > 1) & (ids.owners > 1)), "id_value"
        problem = "belong to different customers under different id_types"
        advice = "They are linked to nobody; put the id_type before the id if these are different ids."
    elif table.name == "touchpoints" and {"customer_id", "anonymous_id"} <= set(raw.columns):
        own = _plain(typed(raw.select("customer_id", "anonymous_id"), table, settings), table)
        pairs = own.distinct()
        known = pairs.filter(pairs.customer_id.notnull()).select(id="customer_id").distinct()
        links = pairs.select(id="anonymous_id", customer="customer_id")
        linked = others.get("identities")
        if linked is not None and {"id_value", "customer_id"} <= set(linked.columns):
            given = linked.select(
                id=linked.id_value.cast("string"), customer=linked.customer_id.cast("string")
            )
            links = links.union(given)
        owned = (
            links.filter(links.customer.notnull()).group_by("id").aggregate(n=lambda t: t.customer.nunique())
        )
        alone = pairs.filter(pairs.customer_id.isnull() & pairs.anonymous_id.notnull()).select(
            id="anonymous_id"
        )
        shared, name = alone.semi_join(known, "id").anti_join(owned.filter(owned.n == 1), "id"), "id"
        problem = "are both a customer_id and an anonymous_id that nothing links to a customer"
        advice = (
            "Each counts as one person; put a prefix before one of the two if these are different people."
        )
    else:
        return
    if count := int(fetch(shared.aggregate(n=shared.count()))["n"].iloc[0]):
        column = "anonymous_id" if name == "id" else name
        examples = _examples(shared, name, fetch)
        yield Finding(table.name, column, f"{count:,} id(s) {problem}", 0, advice, examples, blocks=False)


def _misnamed(raw: ir.Table, table: Table) -> Iterator[Finding]:
    """Columns that differ from the contract's in case, blanks or hyphens only: taken as further ones they
    would be lost without a word."""
    for given in raw.columns:
        name = given.strip().lower().replace(" ", "_").replace("-", "_")
        if name != given and any(c.name == name for c in table.columns):
            yield Finding(table.name, name, f"the column is named `{given}`", 0, f"Rename it to `{name}`.")


def _missing_advice(table: Table, name: str, raw: ir.Table) -> str:
    has = ", ".join(raw.columns[:12])
    return f"It is {table.column(name).meaning}. The table has: {has}.{did_you_mean(name, raw.columns)}"


def _beside(
    raw: ir.Table, table: Table, settings: Settings, others: Mapping[str, ir.Table]
) -> tuple[ir.Table, dict[str, str]]:
    """Typed columns, the raw ones beside them (`x__raw`), and one match column for each table referred to."""
    given = raw.mutate(**{f"{c.name}__raw": raw[c.name] for c in table.columns if c.name in raw.columns})
    both = _plain(typed(given, table, settings), table)
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


def _rules(
    both: ir.Table, raw: ir.Table, table: Table, settings: Settings, parents: Mapping[str, str]
) -> Iterator[_Rule]:
    for column in table.columns:
        name = column.name
        if name not in raw.columns:
            continue
        value: Any = both[name]
        given: Any = both[f"{name}__raw"]
        empty = _empty(given)
        if not _fits(raw, column, settings):
            yield _Rule(name, *_unreadable(column, given, settings), broken=~empty & value.isnull())
        elif column.kind == "number":
            yield _Rule(name, "not finite", "Leave the field empty where the value is not known.",
                        broken=value.isnan() | value.isinf())  # fmt: skip
        if column.required:
            yield _Rule(name, "empty, and must not be", f"It is {column.meaning}.", broken=empty)
        if column.allowed:
            advice = f"Allowed: {', '.join(column.allowed)}."
            yield _Rule(
                name, "not an allowed value", advice, broken=value.notnull() & ~value.isin(column.allowed)
            )
        elif given.type().is_string() and column.kind in ("id", "key", "text"):
            yield from _text_rules(column, given)
        if column.kind == "time":
            # ibis.now() would make the check's answer depend on the engine's clock and zone.
            days, until = (3653, "ten years from now") if name == "promised_ts" else (1, "tomorrow")
            last = datetime.datetime.now(datetime.UTC).replace(tzinfo=None) + datetime.timedelta(days=days)
            off = (value < ibis.literal(EARLIEST)) | (value > ibis.literal(last))
            yield _Rule(name, f"outside 1990 to {until}", "Check the unit and the time zone.", broken=off)
        if name in _RANGES:
            low, high, problem = _RANGES[name]
            yield _Rule(name, problem, "Mend the values, or leave them empty where not known.",
                        broken=(value < low) | (value > high))  # fmt: skip
        if table.name in ("touchpoints", "catalog") and name in ("touchpoint", "channel"):
            taken = RESERVED + (STAGES if name == "touchpoint" else ())
            advice = f"Rename it; {', '.join(taken)} mean something else in results."
            yield _Rule(name, "a reserved name", advice, broken=value.isin(taken))
        if name in parents:
            yield from _orphans(both, table, name, parents[name], raw)
    if table.name == "touchpoints":
        yield from _touchpoint_rules(both, raw, parents)
    if table.name == "surveys" and {"score", "scale_min", "scale_max"} <= set(raw.columns):
        off = (both.score < both.scale_min) | (both.score > both.scale_max)
        yield _Rule("score", "outside scale_min to scale_max", "Mend the score or the scale.", broken=off)
    for name in ("value", "revenue"):
        if name in raw.columns and table.column(name).kind == "money" and not settings.currency:
            money: Any = both[name]
            nameless = both.currency.isnull() if "currency" in raw.columns else ibis.literal(True)
            advice = "Fill `currency` (EUR, BRL, ...), or put `currency:` into study.yaml (or pass currency='EUR' to open_study)."
            yield _Rule(name, "money without a currency", advice, broken=money.notnull() & nameless)


def _empty(given: Any) -> Any:
    return given.isnull() | (given.strip() == "") if given.type().is_string() else given.isnull()


def _text_rules(column: Column, given: Any) -> Iterator[_Rule]:
    """Text that is not what it seems: names that differ by a blank, ids that have been floats."""
    if column.kind in ("id", "key"):
        # The cheap test first; GA's 123.456 ids must pass, and so must hashes such as 12e5.
        decimal = given.endswith(".0") | given.contains("E+")
        spoilt = decimal & given.re_search(r"^-?\d+(\.0|(\.\d+)?E\+\d+)$") | given.isin(
            ["True", "False", "true", "false"]
        )
        advice = "Export ids as text: as numbers they lose digits."
        yield _Rule(column.name, "a decimal number or true/false, not an id", advice, broken=spoilt)
    elif not _may_be_true_or_false(column):
        yield _Rule(column.name, "true/false, not a name", "Export the names themselves.",
                    broken=given.isin(["True", "False", "true", "false"]))  # fmt: skip
    if not _may_be_true_or_false(column):
        outside = given.startswith(" ") | given.endswith(" ")
        yield _Rule(column.name, "begins or ends with a blank", "Trim the values.", broken=outside)
    if column.name == "currency":
        yield _Rule("currency", "not an ISO 4217 code", "Write three capitals, such as EUR.",
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


def _orphans(both: ir.Table, table: Table, name: str, parent: str, raw: ir.Table) -> Iterator[_Rule]:
    value: Any = both[name]
    unknown = value.notnull() & both[f"{name}__known"].isnull()
    if table.name == "touchpoints" and parent == "catalog":
        own = [both[c].notnull() for c in ("channel", "stage") if c in raw.columns]
        if len(own) == 2:
            unknown = unknown & ~(own[0] & own[1])
        yield _Rule(name, "not in the catalog", "Add it to the catalog with its channel and stage.", unknown)
    else:
        advice = f"Add them to {parent}; until then their attributes are unknown."
        yield _Rule(name, f"not in {parent}", advice, broken=unknown, blocks=False)


def _touchpoint_rules(both: ir.Table, raw: ir.Table, parents: Mapping[str, str]) -> Iterator[_Rule]:
    ids = [both[f"{name}__raw"] for name in ("customer_id", "anonymous_id") if name in raw.columns]
    if ids:
        nobody = ibis.and_(*(_empty(i) for i in ids))
        yield _Rule(
            "customer_id", "neither customer_id nor anonymous_id", "Name the person in one of them.", nobody
        )
    for name in ("channel", "stage"):
        if name in raw.columns and f"{name}__catalog" in both.columns:
            differs: Any = both[name] != both[f"{name}__catalog"]
            advice = "The touchpoint's own counts; mend one if it is wrong."
            yield _Rule(name, "differs from the catalog's", advice, broken=differs, blocks=False)
    if "touchpoint" not in parents:
        for name in ("channel", "stage"):
            if name in raw.columns:
                yield _Rule(name, "empty, and there is no catalog to look it up in",
                            f"Fill {name} or add a catalog table.", broken=both[name].isnull())  # fmt: skip


def _joined(table: ir.Table, columns: list[str], by: str = "\x1f") -> Any:
    joined: Any = table[columns[0]].cast("string")
    for name in columns[1:]:
        joined = joined.concat(by, table[name].cast("string"))
    return joined


def _examples(broken: ir.Table, column: str, fetch: Fetch) -> tuple[str, ...]:
    rows = fetch(broken.select(example=broken[column].cast("string")).distinct().order_by("example").limit(3))
    return tuple(
        f"`{text if len(text) <= 40 else text[:37] + '...'}`" for text in rows["example"].fillna("empty")
    )
