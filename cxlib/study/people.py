"""Who an event is of: the person key behind each customer_id and anonymous_id.

The person key is customer_id; else the one customer to whom `identities`, or touchpoints carrying both
ids, link the anonymous_id; else the anonymous_id itself. Rows of `identities` whose rule is `WINDOW` hold
for events from their first_seen to their last_seen only, and link the id to nobody at other times.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import ibis
import ibis.expr.types as ir
import pandas as pd

from cxlib.contract import TABLES
from cxlib.errors import CxLookupError, CxValueError

if TYPE_CHECKING:
    from cxlib.study.study import Study

IDS = ("customer_id", "anonymous_id")
WINDOW = "window on a shared device"
CUSTOMER = "customer_id"
"""The id_type of an alias: a row of identities that says which customer a customer_id stands for."""


def touchpoints(study: Study, needed_by: str = "This step") -> ir.Table:
    """The touchpoints; an anonymous event within a window of its device has the window's customer_id."""
    t, windows = study.table("touchpoints", needed_by), _windows(study)
    if windows is None:
        return t
    unnamed = t.filter(t.customer_id.nullif("").isnull()).select(
        "event_id", "anonymous_id", at_=study.engine.micros(t.ts)
    )
    met = unnamed.join(
        windows,
        [
            unnamed.anonymous_id == windows["device_"],
            unnamed["at_"] >= windows["from_"],
            unnamed["at_"] <= windows["to_"],
        ],
    )
    by_event = met.group_by(met_="event_id").aggregate(
        owner_=met["owner_"].max(), owners_=met["owner_"].nunique()
    )
    one = by_event.filter(by_event["owners_"] == 1)
    named = t.left_join(one, t.event_id == one["met_"]).select(*t.columns, "owner_")
    return named.mutate(customer_id=ibis.coalesce(named.customer_id.nullif(""), named["owner_"])).drop(
        "owner_"
    )


def has_windows(study: Study) -> bool:
    """Whether some identities hold for a time only."""
    if not study.has("identities", "rule", "first_seen", "last_seen"):
        return False
    t = study.table("identities")
    return not study.fetch(t.filter(t.rule == WINDOW).limit(1)).empty


def _windows(study: Study) -> ir.Table | None:
    """The windows of shared devices: device_, owner_, from_ and to_ (microseconds); None where there are none."""
    if not study.windowed:
        return None
    t, micros = study.table("identities"), study.engine.micros
    return t.filter(t.rule == WINDOW).select(
        device_="id_value", owner_="customer_id", from_=micros(t.first_seen), to_=micros(t.last_seen)
    )


def known_ids(study: Study) -> ir.Table:
    """Each combination of ids that occurs in the touchpoints, how often, and the person key it stands for.

    Resolving the combinations and not the events keeps long strings out of everything that follows.
    """
    t = touchpoints(study)
    filled = {"customer_id"} if study.windowed else set()
    names = [name for name in IDS if study.has("touchpoints", name) or name in filled]
    ids = t.group_by(names).aggregate(events=t.count())
    links = _links(study, ids) if "anonymous_id" in names else None
    ranked = list(names)
    if links is not None:
        # Selected plainly before anything is computed: ibis folds a computed join into the next one.
        ids = ids.left_join(links, ids.anonymous_id == links.linked_id).select(
            *names, "events", "linked_customer"
        )
        ranked.insert(ranked.index("anonymous_id"), "linked_customer")
    return ids.mutate(key=ibis.coalesce(*(ids[name].nullif("") for name in ranked)))


def _links(study: Study, ids: ir.Table) -> ir.Table | None:
    """anonymous ids that are linked to exactly one customer."""
    pairs = []
    if study.has("touchpoints", "customer_id") and not study.stitched:
        pairs.append(ids.select(id="anonymous_id", customer="customer_id"))
    if "identities" in study.tables:
        pairs.append(study.table("identities").select(id="id_value", customer="customer_id"))
    if not pairs:
        return None
    linked = (pairs[0] if len(pairs) == 1 else ibis.union(*pairs)).filter(
        lambda t: t.id.nullif("").notnull() & t.customer.nullif("").notnull()
    )
    if (windows := _windows(study)) is not None:
        linked = linked.anti_join(windows, linked.id == windows["device_"])
    by_id = (
        linked.distinct()
        .group_by("id")
        .aggregate(customers=lambda t: t.count(), one=lambda t: t.customer.max())
    )
    return by_id.filter(by_id.customers == 1).select(linked_id="id", linked_customer="one")


def relinked(study: Study, identities: pd.DataFrame) -> dict[str, ir.Table]:
    """The tables that these identities change: their own; where they make customers one person, all others.

    Of several rows of `customers` that become one person, that of the person's key stays.
    """
    spec = TABLES["identities"]
    if missing := [name for name in spec.required if name not in identities]:
        raise CxLookupError(
            f"These identities have no column `{', '.join(missing)}`. They need: {', '.join(spec.required)}."
        )
    kinds = {c.name: "datetime64[us]" if c.kind == "time" else "string" for c in spec.columns}
    frame = identities.reindex(columns=list(kinds)).astype(kinds)
    tables = {"identities": study.engine.keep(ibis.memtable(frame))}
    same = frame.loc[frame["id_type"] == CUSTOMER, ["id_value", "customer_id"]].drop_duplicates()
    same = same[same["id_value"] != same["customer_id"]].set_axis(["alias_", "person_"], axis=1)
    if same["alias_"].duplicated().any() or same["alias_"].isin(same["person_"]).any():
        raise CxValueError(
            "A customer_id is an alias of two persons, or of an alias. Link each to one person."
        )
    if same.empty:
        return tables
    aliases = study.engine.keep(ibis.memtable(same))
    for name, table in study.tables.items():
        for column in ("customer_id", "referred_by"):
            if column in table.columns and name != "identities":
                tables[name] = _renamed(tables.get(name, table), column, aliases, once=name == "customers")
    return tables


def _renamed(table: ir.Table, column: str, aliases: ir.Table, once: bool) -> ir.Table:
    """The table with persons for aliases; with `once`, one row a person."""
    joined = table.left_join(aliases, table[column] == aliases["alias_"]).select(
        *table.columns, "alias_", "person_"
    )
    named = joined.mutate(**{column: ibis.coalesce(joined["person_"], joined[column])})
    if once and column == "customer_id":
        own = ibis.window(group_by=column, order_by=[named["alias_"].notnull(), named["alias_"]])
        named = named.mutate(place_=ibis.row_number().over(own)).filter(lambda t: t["place_"] == 0)
    return named.select(*table.columns)


def people(ids: ir.Table) -> ir.Table:
    """One row an id: `known_` (true of a customer_id, false of an anonymous_id), `id_`, and the person's `key`.

    `ids` are those of `known_ids`. The same text may be a customer's id and a cookie's, so both `known_` and
    `id_` say who it is.
    """
    known, own = _own(ids)
    return ids.select("key", known_=known, id_=own).filter(lambda t: t.id_.notnull()).distinct()


def with_person(events: ir.Table, who: ir.Table, how: Literal["inner", "left"] = "inner") -> ir.Table:
    """The events beside what `who` (`people`, or a table with its `known_` and `id_`) says of their person.

    One id decides: the customer_id, else the anonymous_id.
    """
    known, own = _own(events)
    return events.join(who, [own == who["id_"], known == who["known_"]], how=how)


def _own(table: ir.Table) -> tuple[Any, Any]:
    ids = [table[name].nullif("") for name in IDS if name in table.columns]
    known = ids[0].notnull() if "customer_id" in table.columns else ibis.literal(False)
    return known, ibis.coalesce(*ids)
