"""Who an event is of: the person key behind each customer_id and anonymous_id.

The person key is customer_id; else the one customer to whom `identities`, or touchpoints carrying both
ids, link the anonymous_id; else the anonymous_id itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import ibis
import ibis.expr.types as ir

if TYPE_CHECKING:
    from cxlib.study.study import Study

IDS = ("customer_id", "anonymous_id")


def known_ids(study: Study) -> ir.Table:
    """Each combination of ids that occurs in the touchpoints, how often, and the person key it stands for.

    Resolving the combinations and not the events keeps long strings out of everything that follows.
    """
    t = study.table("touchpoints")
    names = [name for name in IDS if study.has("touchpoints", name)]
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
    if study.has("touchpoints", "customer_id"):
        pairs.append(ids.select(id="anonymous_id", customer="customer_id"))
    if "identities" in study.tables:
        pairs.append(study.table("identities").select(id="id_value", customer="customer_id"))
    if not pairs:
        return None
    linked = (pairs[0] if len(pairs) == 1 else ibis.union(*pairs)).filter(
        lambda t: t.id.nullif("").notnull() & t.customer.nullif("").notnull()
    )
    by_id = (
        linked.distinct()
        .group_by("id")
        .aggregate(customers=lambda t: t.count(), one=lambda t: t.customer.max())
    )
    return by_id.filter(by_id.customers == 1).select(linked_id="id", linked_customer="one")


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
