"""The touchpoints as this room's checks read them: whose, when, through what, under which id."""

from __future__ import annotations

import ibis
import ibis.expr.types as ir

from cxlib.study import Study
from cxlib.study.people import people, touchpoints, with_person

IDENTITY = ("known customers", "linked cookies", "unlinked cookies")
NOT_STATED = "(not stated)"


def events(study: Study) -> ir.Table:
    """One row an event, kept on the engine, under names that no study's own column can have.

    event_id, anonymous_id, touchpoint, ts, consent; `person_` (the log's key; an event without any id is a
    person of its own), `identity_` (place in `IDENTITY`), `channel_`, `source_`, `at_` and `received_`
    (microseconds), `bought_` (an order, or a touchpoint of the study's `conversion`).
    """
    return study.once("events", lambda: study.engine.keep(_events(study)))


def _events(study: Study) -> ir.Table:
    raw = touchpoints(study, needed_by="quality")
    names = ("event_id", "anonymous_id", "touchpoint", "ts", "consent")
    rows = raw.select(
        "customer_id",
        *names,
        at_=study.engine.micros(raw["ts"]),
        received_=study.engine.micros(raw["received_ts"]),
        channel_=raw["channel"],
        source_=raw["source"].fill_null(NOT_STATED),
        bought_=raw["order_id"].notnull() | raw["touchpoint"].isin(study.settings.conversion),
    )
    own = known = rows["customer_id"].nullif("")
    if study.has("touchpoints", "anonymous_id"):
        rows = with_person(rows, study.engine.keep(people(study.ids)), how="left")
        own, known = rows["key"], rows["customer_id"].nullif("")
    linked = (own != rows["anonymous_id"]).fill_null(False)
    whose = ibis.cases((known.notnull(), 0), (linked, 1), else_=2)
    rows = rows.mutate(person_=ibis.coalesce(own, rows["event_id"].cast("string")), identity_=whose)
    if study.has("catalog"):
        catalog = study.table("catalog").select(named_="touchpoint", usual_="channel")
        rows = rows.left_join(catalog, rows["touchpoint"] == catalog["named_"])
        rows = rows.mutate(channel_=ibis.coalesce(rows["channel_"], rows["usual_"]))
    own_names = ("person_", "identity_", "source_", "at_", "received_", "bought_")
    return rows.select(*names, *own_names, channel_=rows["channel_"].fill_null(NOT_STATED))
