"""What is wrong with the events: sent twice, nobody's id, a machine's, a wrong clock, late; each by a stated rule.

What these rules cannot tell: equal events apart where times have no seconds; a wrong clock from lateness on a
device that sent one event, or all within a minute, unless it arrived before it happened; a machine that is
slow, sends fewer than thirty events, or shows a new id each time.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, NamedTuple

import ibis
import ibis.expr.types as ir
import pandas as pd

from cxlib.collection.events import NOT_STATED, events
from cxlib.rates import event_shares
from cxlib.results import Framed, percent
from cxlib.study import Study
from cxlib.study.banned import banned

SECOND = 1_000_000  # microseconds, as all times here
MINUTE = 60 * SECOND
LATE = 60 * MINUTE
RUN, PACE = 30, 5 * SECOND
PEOPLE, FASTEST = 100, 1_000
CLOSER = 5

# The flag of each fault, what it is called, and its rule.
FAULTS = {
    "again_": ("sent twice", "equals an event that arrived before in everything but event_id and received_ts"),
    "junk_": ("under nobody's id", "its anonymous id is a placeholder, such as null or 0"),
    "bot_": ("from a machine", "30 events in a row, 5 seconds each or less, faster than people; no customer, no order"),
    "clock_": ("by a wrong clock", "its device's events are off by the same time, or it arrived before it happened"),
    "late_": ("late", "arrived over an hour after it happened, by the device's mended clock; first copies only"),
}  # fmt: skip
DATED = ("clock_", "late_")


@dataclass(frozen=True, eq=False)
class Faults(Framed):
    """How many events have which fault; an event may have several.

    `frame`: fault, estimate (share of events; for clocks and lateness, of those with a time of arrival), low,
    high, n (of so many events), customers, count (events at fault), rule. No row for what cannot be told.
    `study`: the one they are of, which `flags` and `devices` show.
    """

    SHARES: ClassVar = ("estimate",)

    study: Study = field(repr=False)

    def told(self, shown: pd.DataFrame) -> str:
        """The faults there are, in a sentence."""
        shown = shown.sort_values("estimate", ascending=False)
        pairs = zip(shown["fault"], shown["estimate"], strict=True)
        said = ", ".join(f"{fault} {percent(share)}" for fault, share in pairs if share > 0)
        return f"Of the events: {said}." if said else "No event is at fault by these rules."

    @property
    def flags(self) -> ir.Table:
        """The events at fault, for code only: event_id and again_, junk_, bot_, clock_, late_ (true or false)."""
        rows = flagged(self.study).events
        return rows.filter(ibis.or_(*(rows[name] for name in FAULTS))).select("event_id", *FAULTS)

    @property
    def devices(self) -> ir.Table:
        """The anonymous ids at fault, for code only: device_, junk_, bot_, clock_, and offset_, how many
        microseconds its clock is behind (empty where its events do not agree)."""
        rows = flagged(self.study).devices
        return rows.filter(rows["junk_"] | rows["bot_"] | rows["clock_"])


class Flagged(NamedTuple):
    """Events and devices with a column a fault, kept on the engine, and the faults that can be told."""

    events: ir.Table
    devices: ir.Table
    told: set[str]


def faults(study: Study) -> Faults:
    """Duplicates, placeholder ids, machines, wrong clocks and late events; customers are the clusters.

    Each fault's rule stands beside its share. A device is an anonymous_id. Its clock is wrong where more than
    half of its events, at least two, have delays (received_ts - ts) that lie over a minute from their
    source's median, agree with one another to the minute, and agree five times more closely than their
    arrivals, as those of an offline queue do not. A single event that arrives late is late; one that arrives
    over a minute before it happened has a wrong clock. Machines are those without customer or order whose 30
    fastest events in a row took less than 150 seconds, and less than those of all but one in a thousand
    people's devices (of all but one, where there are fewer: it may be a machine that signs in); with fewer
    than 100 of these to compare with, machines cannot be told. Nor can duplicates from a source whose times
    have no seconds. Raises MissingTable without `touchpoints`.
    """
    study.table("touchpoints", needed_by="faults")
    conversion = {"conversion": study.settings.conversion}
    return Faults(study.cached("quality_faults", conversion, lambda: _rates(study, flagged(study))), study)


def cleaned(study: Study) -> Study:
    """The study without second copies and machines' events, and without placeholders for anonymous ids.

    Late events and those of wrong clocks stay. A placeholder becomes empty; where there is no customer
    either, it becomes an id of that event's own, so that no event is nobody's and no two strangers are one.
    The new study has a fingerprint and caches of its own.
    """
    flags, devices = (found := faults(study)).flags, found.devices
    gone = study.engine.keep(flags.filter(flags["again_"] | flags["bot_"]).select("event_id"))
    junk = study.fetch(devices.filter(devices["junk_"]).select("device_"))["device_"].tolist()
    kept = study.table("touchpoints").anti_join(gone, "event_id")
    own = kept["customer_id"].isnull().ifelse("event " + kept["event_id"].cast("string"), ibis.null("string"))
    mended = kept["anonymous_id"].isin(junk).ifelse(own, kept["anonymous_id"])
    tables = {"touchpoints": kept.mutate(anonymous_id=mended)}
    if study.has("identities"):
        links = study.table("identities")
        tables["identities"] = links.filter(~links["id_value"].isin(junk))
    return study.derived(tables, "cleaned")


def flagged(study: Study) -> Flagged:
    """Every event and device with its faults."""
    return study.once("flagged", lambda: _flagged(study, events(study)))


def _flagged(study: Study, rows: ir.Table) -> Flagged:
    keep = study.engine.keep
    wait = rows["received_"] - rows["at_"]
    exact = (rows["at_"] % MINUTE != 0).cast("int64").max()
    sources = study.fetch(rows.group_by("source_").agg(wait=wait.cast("float64").median(), exact=exact))
    usual = sources.dropna().set_index("source_")["wait"].round().astype("int64")
    medians = [(rows["source_"] == name, int(median)) for name, median in usual.items()]
    base = ibis.cases(*medians, else_=0) if medians else ibis.literal(0)
    again = _again(study, sources.loc[sources["exact"] > 0, "source_"].tolist())
    rows = rows.mutate(
        wait_=wait, off_=wait - base, early_=(wait - ibis.least(base, 0) < -MINUTE).fill_null(False)
    )
    rows = keep(
        rows.left_join(again, "event_id").drop("event_id_right").mutate(again_=ibis._["again_"].notnull())
    )

    once = rows.filter(~rows["again_"] & rows["anonymous_id"].notnull()).rename(device_="anonymous_id")
    devices = once.group_by("device_").agg(
        events_=once.count(),
        dated_=once["wait_"].count(),
        human_=((once["identity_"] < 2) | once["bought_"]).cast("int64").max(),
        hasty_=once["early_"].cast("int64").max(),
    )
    devices = keep(devices.mutate(junk_=banned(devices["device_"])))
    named = devices.filter(~devices["junk_"])
    bots, compared = _bots(study, named, once)
    marks = devices.select("device_", "junk_", "hasty_").left_join(bots, "device_").drop("device__right")
    marks = marks.left_join(_clocks(named, once), "device_").drop("device__right")
    clock = marks["offset_"].notnull() | ((marks["hasty_"] == 1) & ~marks["junk_"])
    marks = keep(marks.select("device_", "junk_", "offset_", bot_=marks["quick_"].notnull(), clock_=clock))

    few = marks.filter(marks["junk_"] | marks["bot_"] | marks["offset_"].notnull()).drop("clock_")
    rows = rows.left_join(few, rows["anonymous_id"] == few["device_"]).drop("device_")
    late = ~rows["again_"] & (rows["wait_"] - rows["offset_"].fill_null(0) > LATE).fill_null(False)
    spoilt = {name: rows[name].fill_null(False) for name in ("junk_", "bot_")}
    rows = keep(rows.mutate(**spoilt, late_=late, clock_=rows["offset_"].notnull() | rows["early_"]))
    told = {"clock_", "late_"} | ({"again_"} if sources["exact"].max() > 0 else set())
    if study.has("touchpoints", "anonymous_id"):
        told |= {"junk_", "bot_"} if compared else {"junk_"}
    return Flagged(rows, marks, told)


def _again(study: Study, exact: list[str]) -> ir.Table:
    """The event_id of each event that equals one that arrived before, from sources that tell seconds."""
    t = study.table("touchpoints")
    t = t.filter(t["source"].fill_null(NOT_STATED).isin(exact))
    met = t.group_by("touchpoint", "ts").agg(met_=t.count())
    some = t.semi_join(met.filter(met["met_"] > 1), ["touchpoint", "ts"])
    payload = [name for name in study.given["touchpoints"] if name not in ("event_id", "received_ts")]
    order = [some["received_ts"].fill_null(some["ts"]), some["event_id"]]
    placed = some.mutate(again_=ibis.row_number().over(group_by=payload, order_by=order))
    return placed.filter(placed["again_"] > 0).select("event_id", "again_")


def _bots(study: Study, named: ir.Table, once: ir.Table) -> tuple[ir.Table, bool]:
    """The devices without customer or order that are faster than people, and whether there are people enough."""
    long = once.semi_join(named.filter(named["events_"] >= RUN), "device_")
    began = long["at_"].lag(RUN - 1).over(group_by="device_", order_by=["at_", "event_id"])
    runs = long.mutate(pace_=long["at_"] - began).group_by("device_").agg(pace_=lambda t: t["pace_"].min())
    runs = study.engine.keep(runs.join(named, "device_").select("device_", "pace_", "human_"))
    people = int(study.fetch(named.agg(n=named["human_"].sum()))["n"].fillna(0).iloc[0])
    but = max(people // FASTEST, 1)
    fastest = study.fetch(runs.filter(runs["human_"] == 1).select("pace_").order_by("pace_").limit(but + 1))
    limit = min([RUN * PACE, *fastest["pace_"].iloc[but:]]) if people >= PEOPLE else 0
    quick = runs.filter((runs["human_"] == 0) & (runs["pace_"] < limit))
    return quick.select("device_", quick_="pace_"), people >= PEOPLE


def _clocks(named: ir.Table, once: ir.Table) -> ir.Table:
    """The devices most of whose delays agree on another time than usual, and by how much (`offset_`)."""
    off = once.semi_join(named, "device_").filter(once["off_"].abs() > MINUTE)
    order = [off["off_"], off["event_id"]]
    apart = off["off_"] - off["off_"].lag().over(group_by="device_", order_by=order)
    off = off.mutate(new_=(apart > MINUTE).fill_null(True).cast("int64"))
    so_far = ibis.window(group_by="device_", order_by=order, preceding=None, following=0)
    off = off.mutate(group_=off["new_"].sum().over(so_far))
    alike = off.group_by("device_", "group_").agg(
        agree_=off.count(),
        offset_=off["off_"].min(),
        unlike_=off["off_"].max() - off["off_"].min(),
        apart_=off["received_"].max() - off["received_"].min(),
    )
    both = alike.join(named.select("device_", "dated_"), "device_")
    most = (both["agree_"] >= 2) & (2 * both["agree_"] > both["dated_"])
    return both.filter(most & (both["apart_"] >= CLOSER * (both["unlike_"] + SECOND))).select(
        "device_", "offset_"
    )


def _rates(study: Study, flagged: Flagged) -> pd.DataFrame:
    """The share of events with each fault; under a placeholder each event is a stranger's."""
    rows = flagged.events
    stranger = rows["junk_"] & (rows["identity_"] > 0)
    rows = rows.mutate(person_=stranger.ifelse("event " + rows["event_id"].cast("string"), rows["person_"]))
    marks = {name: rows[name].cast("int64").sum() for name in FAULTS}
    people = rows.group_by("person_").agg(all_=rows.count(), dated_=rows["wait_"].count(), **marks)
    people = study.engine.keep(people)
    whole = dict.fromkeys(FAULTS, people["all_"]) | dict.fromkeys(DATED, people["dated_"])
    parts = {name: (people[name], whole[name]) for name in FAULTS if name in flagged.told}
    table = event_shares(study, people, parts, "fault")
    said = [table["fault"].map(lambda name, i=i: FAULTS[name][i]) for i in (0, 1)]
    return table.assign(fault=said[0], rule=said[1])
