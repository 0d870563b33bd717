"""The log: one coded, totally ordered table of all touchpoints, on which every journey is counted.

Columns of `Log.table`, one row an event:

event       integer row key: numbers the events by person, then time (ties by event_id)
person      integer code of the person key
fold        0..49, for customer-clustered intervals
at          integer microseconds since 1970, UTC
touchpoint, channel, stage, initiated
            codes that number the names sorted as UTF-8 bytes; null is -1
previous, next
            touchpoint codes of the person's neighbouring events; -1 at the beginning and the end
step        1, 2, ... within the person
gap         microseconds since the person's previous event; -1 at the first
session     `event` of the session's first event: the table's own session_id where given, else a new
            session after a pause longer than `gap`

then the carried columns. Only this file knows codes; `Log.decode` gives names back.

The person key is customer_id; else the one customer to whom `identities`, or touchpoints carrying
both ids, link the anonymous_id; else the anonymous_id itself. A fold is the first 8 hex digits of the
md5 of the person key, modulo 50: the same on every engine.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ibis
import ibis.expr.types as ir
import pandas as pd

from cxlib.errors import CxLookupError, CxValueError, did_you_mean
from cxlib.study.engine import replacing

if TYPE_CHECKING:
    from cxlib.study.study import Study

GAP = "30 min"
FOLDS = 50
CODED = ("touchpoint", "channel", "stage", "initiated")
END = "(end)"


@dataclass(frozen=True)
class Log:
    """The coded log of a study: `table` (events), `persons` (key, person, fold, first, events), `names`.

    `of["channel"]` and `of["stage"]` give the channel's and the stage's code of each touchpoint, where
    every touchpoint has one only; a study may set them event by event.
    """

    table: ir.Table
    persons: ir.Table
    names: Mapping[str, tuple[str, ...]]
    of: Mapping[str, tuple[int, ...]]
    gap: str
    carry: tuple[str, ...] = ()
    study: Any = field(default=None, repr=False, compare=False)

    @cached_property
    def people(self) -> int:
        """Number of persons."""
        return int(self.study.fetch(self.persons.aggregate(n=self.persons.count()))["n"].iloc[0])

    def code(self, column: str, name: str) -> int:
        """The code of a name; CxLookupError lists the names there are."""
        names = self.names[column]
        if name not in names:
            raise CxLookupError(
                f"No {column} is called `{name}`.{did_you_mean(name, names)} There are: {', '.join(names)}."
            )
        return names.index(name)

    def decode(self, codes: pd.Series | Sequence[int], column: str, missing: str | None = None) -> list[str | None]:
        """Names for codes of `column` (touchpoint, channel, stage or initiated); -1 becomes `missing`."""
        names = self.names[column]
        return [missing if code < 0 else names[int(code)] for code in codes]

    def decoded(self) -> ir.Table:
        """The events with names for codes and the person key for its code: for looking, not for counting."""
        table = self.table.join(self.persons[["person", "key"]], "person")
        columns = {name: (name, name) for name in CODED} | {
            "previous": ("touchpoint", "previous"),
            "next": ("touchpoint", "next"),
        }
        for name, (coded, source) in columns.items():
            if self.names[coded]:
                branches = [(table[source] == code, text) for code, text in enumerate(self.names[coded])]
                table = table.mutate(**{name: ibis.cases(*branches, else_=None)})
        return table


def build_log(study: Study, gap: str = GAP, carry: tuple[str, ...] = ()) -> Log:
    """Code, order and keep the log of a study (read from the study's cache where it is there)."""
    study.table("touchpoints", needed_by="The log")
    pause = _microseconds(gap)
    unknown = [name for name in carry if name not in study.table("touchpoints").columns]
    if unknown:
        has = ", ".join(study.table("touchpoints").columns)
        raise CxLookupError(f"touchpoints has no column `{', '.join(unknown)}` to carry; it has: {has}.")
    paths = _paths(study, gap, carry)
    kept = _kept(study, paths)
    if kept is not None:
        return Log(*kept, gap=gap, carry=carry, study=study)

    events = _events(study, carry)
    persons = study.engine.keep(_persons(events), paths.get("persons"))
    coding, names, of = _coding(study, events)
    table = _passed(_coded(events, persons, coding, study), carry)
    passed = study.engine.keep(table, paths.get("passed"))
    events_table = study.engine.keep(_with_sessions(passed, pause, carry), paths.get("events"))
    if paths:
        paths["passed"].unlink(missing_ok=True)
        with replacing(paths["names"]) as unfinished:
            unfinished.write_text(json.dumps({"names": names, "of": of}), "utf-8")
    return Log(events_table, persons, names, of, gap, carry, study)


def _microseconds(gap: str) -> int:
    try:
        pause = pd.Timedelta(gap)
    except ValueError:
        raise CxValueError(f"gap is `{gap}`; write a length of time such as `30 min` or `1 h`.") from None
    if not pause > pd.Timedelta(0):
        raise CxValueError(f"gap is `{gap}`; it must be longer than nothing.")
    return pause // pd.Timedelta("1us")


def _paths(study: Study, gap: str, carry: tuple[str, ...]) -> dict[str, Path]:
    """Where the log is kept, or nothing for a study that is not on disk."""
    if study.cache is None:
        return {}
    from cxlib.study.study import _code

    digest = hashlib.blake2b(json.dumps([gap, carry, _code()]).encode(), digest_size=8).hexdigest()
    folder = study.cache / f"log-{digest}"
    files = {name: folder / f"{name}.parquet" for name in ("events", "persons", "passed")}
    return files | {"names": folder / "names.json"}


def _kept(study: Study, paths: dict[str, Path]) -> tuple[ir.Table, ir.Table, dict, dict] | None:
    if not paths or not all(paths[name].exists() for name in ("events", "persons", "names")):
        return None
    try:
        coding = json.loads(paths["names"].read_text("utf-8"))
        names, of = ({k: tuple(v) for k, v in coding[part].items()} for part in ("names", "of"))
        tables = [study.engine.read_parquet([paths[name]]) for name in ("events", "persons")]
    except (ValueError, KeyError, OSError):  # a damaged cache is built again
        return None
    return tables[0], tables[1], names, of


def _events(study: Study, carry: tuple[str, ...]) -> ir.Table:
    """The touchpoints with their person key."""
    t = study.table("touchpoints")
    session = ["session_id"] if study.has("touchpoints", "session_id") else []
    wanted = ["event_id", "ts", "touchpoint", "channel", "stage", "initiated_by", *session]
    wanted += [name for name in carry if name not in wanted]
    ids = [name for name in ("customer_id", "anonymous_id") if study.has("touchpoints", name)]
    links = _links(study, t) if "anonymous_id" in ids else None
    if links is not None:
        # Selected plainly before anything is computed: ibis folds a computed join into the next one.
        t = t.left_join(links, t.anonymous_id == links.linked_id).select(*wanted, *ids, "linked_customer")
        ids.insert(ids.index("anonymous_id"), "linked_customer")
    return t.select(*wanted, key=ibis.coalesce(*(t[name].nullif("") for name in ids)))


def _links(study: Study, touchpoints: ir.Table) -> ir.Table | None:
    """anonymous ids that are linked to exactly one customer."""
    pairs = []
    if study.has("touchpoints", "customer_id"):
        pairs.append(touchpoints.select(id="anonymous_id", customer="customer_id"))
    if "identities" in study.tables:
        pairs.append(study.table("identities").select(id="id_value", customer="customer_id"))
    if not pairs:
        return None
    linked = (pairs[0] if len(pairs) == 1 else ibis.union(*pairs)).filter(
        lambda t: t.id.nullif("").notnull() & t.customer.nullif("").notnull()
    )
    by_id = linked.distinct().group_by("id").aggregate(customers=lambda t: t.count(), one=lambda t: t.customer.max())
    return by_id.filter(by_id.customers == 1).select(linked_id="id", linked_customer="one")


def _persons(events: ir.Table) -> ir.Table:
    """One row a person: key, code, fold, how many events, and the number of the first."""
    counted = events.group_by("key").aggregate(events=events.count())
    window = ibis.window(order_by="key")
    return counted.select(
        "key",
        "events",
        person=ibis.row_number().over(window).cast("int32"),
        fold=_fold(counted.key).cast("int8"),
        first=(counted.events.sum().over(ibis.cumulative_window(order_by="key")) - counted.events).cast("int64"),
    )


def _fold(key: Any) -> Any:
    """First 8 hex digits of the md5 of the key, modulo 50; 16 ** i modulo 50 keeps the sum small."""
    digest = key.hexdigest("md5")
    digits = [
        ibis.literal("0123456789abcdef").find(digest.substr(place, 1)) * pow(16, 7 - place, FOLDS) for place in range(8)
    ]
    return sum(digits[1:], digits[0]) % FOLDS


def _coding(
    study: Study, events: ir.Table
) -> tuple[pd.DataFrame, dict[str, tuple[str, ...]], dict[str, tuple[int, ...]]]:
    """Codes for each combination of touchpoint, channel and stage that occurs, and the names."""
    own = events.select("touchpoint", "channel", "stage", "initiated_by").distinct()
    combos = study.fetch(own).astype(object)
    combos = combos.where(combos.notna(), None)
    if "catalog" in study.tables:
        catalog = study.fetch(study.table("catalog").select("touchpoint", "channel", "stage")).set_index("touchpoint")
    else:
        catalog = pd.DataFrame(columns=["channel", "stage"])
    resolved = combos.copy()
    for name in ("channel", "stage"):
        default = combos["touchpoint"].map(catalog[name].to_dict())
        resolved[name] = combos[name].where(combos[name].notna(), default)
    resolved["initiated"] = combos["initiated_by"]
    names, coding = {}, combos.map(lambda value: value or "")
    for name in CODED:
        values = [value for value in resolved[name].unique() if isinstance(value, str)]
        names[name] = tuple(sorted(values, key=lambda value: value.encode()))
        codes = {value: code for code, value in enumerate(names[name])}
        coding[f"{name}_code"] = [codes.get(value, -1) for value in resolved[name]]
    of = {}
    for name in ("channel", "stage"):
        by_touchpoint = coding.groupby("touchpoint_code")[f"{name}_code"]
        if (by_touchpoint.nunique() == 1).all():
            of[name] = tuple(int(code) for code in by_touchpoint.first())
    return coding.astype({f"{name}_code": "int16" for name in CODED}), names, of


def _coded(events: ir.Table, persons: ir.Table, coding: pd.DataFrame, study: Study) -> ir.Table:
    """Events with integers for names; only columns that differ take part in the join."""
    given = ["touchpoint", "channel", "stage", "initiated_by"]
    varying = [name for name in given if name == "touchpoint" or study.has("touchpoints", name)]
    small = coding.rename(columns={name: f"{name}_name" for name in given})
    codes = ibis.memtable(small[[f"{name}_name" for name in varying] + [f"{name}_code" for name in CODED]])
    who = persons.select("key", "person", "fold", "first")
    person = events.join(who, "key").select(*events.columns, "person", "fold", "first")
    joined = person.join(codes, [_filled(person[name], name) == codes[f"{name}_name"] for name in varying])
    return joined.mutate(at=study.engine.micros(joined.ts), **{name: joined[f"{name}_code"] for name in CODED})


def _filled(value: Any, name: str) -> Any:
    """Null-safe join key; the touchpoint itself is never null, and is left alone to be fast."""
    return value if name == "touchpoint" else value.fill_null("")


def _passed(coded: ir.Table, carry: tuple[str, ...]) -> ir.Table:
    """The one ordered pass: neighbours, step, gap and the integer row key."""
    window = ibis.window(group_by="person", order_by=["at", "event_id"])
    place = ibis.row_number().over(window)
    return coded.select(
        "person", "fold", "at", *CODED, *carry,
        *(["session_id"] if "session_id" in coded.columns and "session_id" not in carry else []),
        event=place + coded["first"],
        previous=coded.touchpoint.lag().over(window).fill_null(-1).cast("int16"),
        next=coded.touchpoint.lead().over(window).fill_null(-1).cast("int16"),
        step=(place + 1).cast("int32"),
        gap=(coded["at"] - coded["at"].lag().over(window)).fill_null(-1),
    )  # fmt: skip


def _with_sessions(passed: ir.Table, pause: int, carry: tuple[str, ...]) -> ir.Table:
    """The log with its sessions: the source's own where it names them, by a pause elsewhere."""
    window = ibis.window(group_by="person", order_by="event", preceding=None, following=0)
    starts = (passed.gap < 0) | (passed.gap > pause)
    if "session_id" in passed.columns:
        before = ibis.window(group_by="person", order_by="event")
        starts = starts | (passed.session_id.lag().over(before).notnull() & passed.session_id.isnull())
    session = starts.ifelse(passed.event, ibis.null("int64")).max().over(window)
    if "session_id" in passed.columns:
        own = passed.event.min().over(ibis.window(group_by=["person", "session_id"]))
        session = passed.session_id.notnull().ifelse(own, session)
    return passed.select(
        "event", "person", "fold", "at", *CODED, "previous", "next", "step", "gap", session=session,
        **{name: passed[name] for name in carry},
    )  # fmt: skip


__all__ = ["CODED", "END", "FOLDS", "GAP", "Log", "build_log"]
