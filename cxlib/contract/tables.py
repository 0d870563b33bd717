"""The tables of a study and their columns: what each means, its unit, and what its values may be."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cxlib.errors import CxLookupError

STAGES = ("awareness", "engagement", "transaction", "retention")
EARLIEST = datetime.datetime(1990, 1, 1)
MOST_TOUCHPOINTS = 500
RESERVED = ("(end)", "(direct)", "(all)")  # results use them beside the names of what they group by

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
