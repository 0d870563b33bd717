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

The person key is that of `cxlib.study.people`. A fold is the first 8 hex digits of the md5 of the person
key, modulo 50: the same on every engine.
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

from cxlib.errors import CxLookupError, CxValueError, require
from cxlib.study.engine import replacing
from cxlib.study.fingerprints import code_digest
from cxlib.study.people import IDS, people, touchpoints, with_person

if TYPE_CHECKING:
    from cxlib.study.study import Study

GAP = "30 min"
FOLDS = 50
CODED = ("touchpoint", "channel", "stage", "initiated")
OWN = ("event", "person", "fold", "at", "previous", "next", "step", "gap", "session")
NAMED = ["touchpoint", "channel", "stage", "initiated_by"]
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
        return names.index(require(name, names, f"No {column} is called `{name}`"))

    def decode(
        self, codes: pd.Series | Sequence[int], column: str, missing: str | None = None
    ) -> list[str | None]:
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
    pause = microseconds(gap)
    unknown = [name for name in carry if name not in study.table("touchpoints").columns]
    if unknown:
        has = ", ".join(study.table("touchpoints").columns)
        raise CxLookupError(f"touchpoints has no column `{', '.join(unknown)}` to carry; it has: {has}.")
    if taken := [name for name in carry if name in (*CODED, *OWN)]:
        raise CxValueError(
            f"The log has a column `{taken[0]}` of its own; rename the study's before carrying it."
        )
    paths = _paths(study, gap, carry)
    kept = _kept(study, paths)
    if kept is not None:
        return Log(*kept, gap=gap, carry=carry, study=study)

    ids = study.ids
    persons = study.engine.keep(_persons(ids), paths.get("persons"))
    coding, names, of = _coding(study)
    coded = _coded(study, ids, persons, coding, carry)
    events = study.engine.keep(_with_sessions(_passed(coded, carry), pause, carry), paths.get("events"))
    if paths:
        with replacing(paths["names"]) as unfinished:
            unfinished.write_text(json.dumps({"names": names, "of": of}), "utf-8")
    return Log(events, persons, names, of, gap, carry, study)


def microseconds(text: str, what: str = "gap") -> int:
    """A length of time such as `30 min` or `60 D` in microseconds; CxValueError says that `what` is none.

    >>> microseconds("1 min")
    60000000
    """
    try:
        length = pd.Timedelta(text)
    except ValueError:
        raise CxValueError(
            f"{what} is `{text}`; write a length of time such as `30 min`, `1 h` or `60 D`."
        ) from None
    if not length > pd.Timedelta(0):
        raise CxValueError(f"{what} is `{text}`; it must be longer than nothing.")
    return length // pd.Timedelta("1us")


def _paths(study: Study, gap: str, carry: tuple[str, ...]) -> dict[str, Path]:
    """Where the log is kept, or nothing for a study that is not on disk."""
    if study.cache is None:
        return {}
    digest = hashlib.blake2b(json.dumps([gap, carry, code_digest()]).encode(), digest_size=8).hexdigest()
    folder = study.cache / f"log-{digest}"
    files = {name: folder / f"{name}.parquet" for name in ("events", "persons")}
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


def _persons(ids: ir.Table) -> ir.Table:
    """One row a person: key, code, fold, how many events, and the number of the first."""
    counted = ids.group_by("key").aggregate(events=ids.events.sum())
    window = ibis.window(order_by="key")
    return counted.select(
        "key",
        "events",
        person=ibis.row_number().over(window).cast("int32"),
        fold=fold(counted.key).cast("int8"),
        first=(counted.events.sum().over(ibis.cumulative_window(order_by="key")) - counted.events).cast(
            "int64"
        ),
    )


def fold(key: Any) -> Any:
    """First 8 hex digits of the md5 of the key, modulo 50; 16 ** i modulo 50 keeps the sum small."""
    digest = key.hexdigest("md5")
    digits = [
        ibis.literal("0123456789abcdef").find(digest.substr(place, 1)) * pow(16, 7 - place, FOLDS)
        for place in range(8)
    ]
    return sum(digits[1:], digits[0]) % FOLDS


def _coding(study: Study) -> tuple[pd.DataFrame, dict[str, tuple[str, ...]], dict[str, tuple[int, ...]]]:
    """Codes for each combination of names that occurs, the names, and the channel and stage of each touchpoint.

    The catalog is looked up here, on the few combinations, and not on the events.
    """
    given = _given(study)
    combos = study.fetch(study.table("touchpoints").select(given).distinct())
    combos = combos.astype(object).where(combos.notna(), None).reindex(columns=NAMED)
    defaults: dict[str, dict] = {"channel": {}, "stage": {}}
    if "catalog" in study.tables:
        catalog = study.fetch(study.table("catalog").select("touchpoint", *defaults)).set_index("touchpoint")
        defaults = {name: catalog[name].to_dict() for name in defaults}
    resolved = combos.rename(columns={"initiated_by": "initiated"})
    for name, default in defaults.items():
        resolved[name] = combos[name].where(combos[name].notna(), combos["touchpoint"].map(default))
    names, coding = {}, combos.map(lambda value: value if isinstance(value, str) else "")
    for name in CODED:
        values = [value for value in resolved[name].unique() if isinstance(value, str)]
        names[name] = tuple(sorted(values, key=lambda value: value.encode()))
        codes = {value: code for code, value in enumerate(names[name])}
        coding[f"{name}_code"] = [codes.get(value, -1) for value in resolved[name]]
    of = {}
    for name in defaults:
        by_touchpoint = coding.groupby("touchpoint_code")[f"{name}_code"]
        if (by_touchpoint.nunique() == 1).all():
            of[name] = tuple(int(code) for code in by_touchpoint.first())
    return coding.astype({f"{name}_code": "int16" for name in CODED}), names, of


def _given(study: Study) -> list[str]:
    """The columns with names to code that the study came with; the others are null throughout."""
    return [name for name in NAMED if study.has("touchpoints", name)]


def _coded(
    study: Study, ids: ir.Table, persons: ir.Table, coding: pd.DataFrame, carry: tuple[str, ...]
) -> ir.Table:
    """Events with integers for names and persons."""
    events, given = touchpoints(study), _given(study)
    session = ["session_id"] if study.has("touchpoints", "session_id") else []
    wanted = ["event_id", "ts", *given, *session]
    wanted += [name for name in carry if name not in wanted]
    # Only what is wanted: a study's further columns may be called `person` too.
    own = [name for name in IDS if name in ids.columns]
    who = people(ids).join(persons, "key").select("known_", "id_", "person", "fold", "first")
    events = with_person(events.select(*dict.fromkeys([*wanted, *own])), who)
    events = events.select(*wanted, "person", "fold", "first")
    # The touchpoint is never null and the two initiators are few: leaving both alone keeps the join fast.
    keys = [name for name in given if name != "initiated_by"]
    joined_codes = [f"{name}_code" for name in CODED if name != "initiated"]
    small = coding[[*keys, *joined_codes]].drop_duplicates()
    codes = ibis.memtable(small.rename(columns={name: f"{name}_name" for name in keys}))
    match = [
        (events[n] if n == "touchpoint" else events[n].fill_null("")) == codes[f"{n}_name"] for n in keys
    ]
    joined = events.join(codes, match).select(*events.columns, *joined_codes)
    initiators = coding[["initiated_by", "initiated_code"]].drop_duplicates()
    initiators = initiators[initiators["initiated_code"] >= 0]
    initiated = ibis.literal(-1, "int16")
    if len(initiators):
        branches = [
            (joined["initiated_by"] == name, code) for name, code in initiators.itertuples(index=False)
        ]
        initiated = ibis.cases(*branches, else_=-1).cast("int16")
    named = {name: joined[f"{name}_code"] for name in CODED if name != "initiated"}
    return joined.mutate(at=study.engine.micros(joined.ts), initiated=initiated, **named)


def _passed(coded: ir.Table, carry: tuple[str, ...]) -> ir.Table:
    """The one ordered pass: neighbours, step, gap and the integer row key."""
    window = ibis.window(group_by="person", order_by=["at", "event_id"])
    place = ibis.row_number().over(window)
    return coded.select(
        "person", "fold", "at", *CODED, *carry,
        *(["session_id"] if "session_id" in coded.columns and "session_id" not in carry else []),
        **({"named_before": coded.session_id.lag().over(window).notnull()} if "session_id" in coded.columns else {}),
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
        starts = starts | (passed.named_before & passed.session_id.isnull())
    # Not `last()`, which would be cheaper: ibis skips nulls in it on Spark, and does not on DuckDB.
    session = starts.ifelse(passed.event, ibis.null("int64")).max().over(window)
    if "session_id" in passed.columns:
        own = passed.event.min().over(ibis.window(group_by=["person", "session_id"]))
        session = passed.session_id.notnull().ifelse(own, session)
    return passed.select(
        "event", "person", "fold", "at", *CODED, "previous", "next", "step", "gap", session=session,
        **{name: passed[name] for name in carry},
    )  # fmt: skip


__all__ = ["CODED", "END", "FOLDS", "GAP", "Log", "build_log", "fold", "microseconds"]
