"""How good the data are: volume, freshness, gaps, duplicates, late events, blanks, kept promises.

What is counted in full (volumes, blanks) is a number without sampling error: its low and high are
the number itself. Rates (duplicates, lateness, fulfilment) have customers as clusters.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import ibis
import ibis.expr.types as ir
import numpy as np
import pandas as pd

from cxlib.collection.clusters import Counts, rate, sums
from cxlib.collection.days import local_day, local_times
from cxlib.contract import TABLES
from cxlib.results import TOO_FEW, Claim, Result, nice, percent, visible
from cxlib.study import Study
from cxlib.study.people import known_ids, people, with_person

LATE_US = 3_600_000_000
"""An event that reached the collector more than an hour after it happened came late (microseconds)."""
CHECKS = ("repeats of another event", "arrivals over an hour late", "arrivals before the event")


@dataclass(frozen=True, eq=False)
class Quality(Result):
    """The state of a study's touchpoints, in parts that are results themselves.

    Fields: `volume`, one row a source and channel (estimate = events; customers; first, last event;
    `days_silent`, from its last event to the study's last; `longest_gap_days`, the most days in a
    row without an event; `anonymous`, share of events without a customer_id); `monthly`, events by
    channel and month; `issues`, the share of events that repeat another, came late, or came before
    they happened; `blanks`, the share of empty values in each column the study came with.

    Customers are the persons of the log (a linked cookie counts as its customer). Days, months, first
    and last are by the clock of the study's own time zone.
    """

    SHARES: ClassVar = ("estimate",)

    volume: Counts
    monthly: Counts
    issues: Counts
    blanks: Counts

    def table(self) -> pd.DataFrame:
        """The issues: one row a check; the parts have tables of their own."""
        return self.issues.table()

    def claim(self) -> Claim:
        """Volume and issues in two sentences."""
        return Claim(" ".join(dict.fromkeys([self.volume.claim(), self.issues.claim()])))


def quality(study: Study) -> Quality:
    """Volume and freshness by source and channel, duplicates, late events, empty columns.

    A duplicate repeats the person, touchpoint and time of another event. An event is late when its
    received_ts is more than an hour after its ts. Freshness is measured from the study's own last
    event, not from today, so that a report says the same tomorrow. Raises MissingTable without
    `touchpoints`.
    """
    events = _events(study)
    totals = study.cached("quality_totals", {}, lambda: study.fetch(_totals(events)))
    day = local_day(study, totals["first"].min(), totals["last"].max())
    zone = {"zone": study.settings.time_zone}
    days = study.cached("quality_days", zone, lambda: study.fetch(_daily(events, day)))
    monthly = study.cached("quality_months", zone, lambda: _monthly(study.fetch(_months(events, day))))
    volume = _volume(study, totals, days)
    issues = study.cached("quality_issues", {}, lambda: _issues(study, events))
    blanks = study.cached("quality_blanks", {}, lambda: _blanks(study))
    return Quality(
        Counts(volume, _say_volume(volume), ("anonymous",)),
        Counts(monthly, f"{days['day'].nunique():,} days have at least one event.", ()),
        Counts(issues, _say_issues(issues)),
        Counts(blanks, _say_blanks(blanks)),
    )


def _events(study: Study) -> ir.Table:
    """Touchpoints with person_, channel_, source_ and at_ (microseconds)."""
    raw = study.table("touchpoints", needed_by="quality")
    events = raw.select(
        "customer_id",
        "anonymous_id",
        "touchpoint",
        "ts",
        event_=raw["event_id"].cast("string"),
        anonymous_=raw["customer_id"].isnull().cast("int64"),
        at_=study.engine.micros(raw["ts"]),
        received_=study.engine.micros(raw["received_ts"]),
        channel_=raw["channel"],
        source_=raw["source"].fill_null("(not stated)"),
    )
    own: ir.Value = events["customer_id"].nullif("")
    if study.has("touchpoints", "anonymous_id"):
        events = with_person(events, study.engine.keep(people(known_ids(study))), how="left")
        own = events["key"]
    events = events.mutate(person_=ibis.coalesce(own, events["event_"])).drop(
        *(
            name
            for name in ("customer_id", "anonymous_id", "event_", "known_", "id_", "key")
            if name in events.columns
        )
    )
    if study.has("catalog"):
        catalog = study.table("catalog").select(named_="touchpoint", usual_="channel")
        events = events.left_join(catalog, events["touchpoint"] == catalog["named_"])
        events = events.mutate(channel_=ibis.coalesce(events["channel_"], events["usual_"])).drop(
            "named_", "usual_"
        )
    return events.mutate(channel_=events["channel_"].fill_null("(not stated)"))


def _totals(events: ir.Table) -> ir.Table:
    return events.group_by(source="source_", channel="channel_").agg(
        events=events.count(),
        customers=events["person_"].nunique(),
        first=events["ts"].min(),
        last=events["ts"].max(),
        unnamed=events["anonymous_"].sum(),
    )


def _daily(events: ir.Table, day: Callable[[ir.Value], ir.Value]) -> ir.Table:
    by = {"source": events["source_"], "channel": events["channel_"], "day": day(events["ts"])}
    return events.group_by(**by).agg(events=events.count()).order_by("source", "channel", "day")


def _months(events: ir.Table, day: Callable[[ir.Value], ir.Value]) -> ir.Table:
    by = {"channel": events["channel_"], "month": day(events["ts"]).truncate("M")}
    counted = events.group_by(**by).agg(events=events.count(), customers=events["person_"].nunique())
    return counted.order_by("channel", "month")


def _volume(study: Study, totals: pd.DataFrame, days: pd.DataFrame) -> pd.DataFrame:
    number = pd.to_datetime(days["day"]).astype("datetime64[s]").astype("int64") // 86_400
    gaps = days.assign(longest_gap_days=number.groupby([days["source"], days["channel"]]).diff() - 1)
    longest = gaps.groupby(["source", "channel"])["longest_gap_days"].max().fillna(0)
    table = totals.merge(longest.reset_index(), on=["source", "channel"], how="left")
    table = table.sort_values(
        ["events", "source", "channel"], ascending=[False, True, True], ignore_index=True
    )
    out = table[["source", "channel"]].copy()
    out["estimate"] = out["low"] = out["high"] = table["events"].astype(float)
    out["n"] = table["events"].astype(int)
    out["customers"] = table["customers"].astype(int)
    last = pd.to_datetime(table["last"])
    out["first"], out["last"] = local_times(study, table["first"]), local_times(study, last)
    out["days_silent"] = (last.max() - last) / pd.Timedelta(days=1)
    out["longest_gap_days"] = table["longest_gap_days"].astype(int)
    out["anonymous"] = table["unnamed"].astype(float) / table["events"].astype(float)
    return out if out["source"].nunique() > 1 else out.drop(columns="source")


def _monthly(months: pd.DataFrame) -> pd.DataFrame:
    count = months["events"].astype(int)
    table = months[["channel"]].assign(month=pd.to_datetime(months["month"]).astype("datetime64[s]"))
    table["estimate"] = table["low"] = table["high"] = count.astype(float)
    return table.assign(n=count, customers=months["customers"].astype(int))


def _issues(study: Study, events: ir.Table) -> pd.DataFrame:
    """One heavy pass, down to a row a person: identical events are counted first, what exceeds one repeats."""
    delay = events["received_"] - events["at_"]
    marked = events.mutate(
        late_=(delay > LATE_US).fill_null(False).cast("int64"),
        early_=(delay < 0).fill_null(False).cast("int64"),
        dated_=delay.notnull().cast("int64"),
    )
    marks = {name: marked[name].sum() for name in ("late_", "early_", "dated_")}
    same = marked.group_by(["person_", "touchpoint", "at_"]).agg(rows_=marked.count(), **marks)
    totals = {name: same[name].sum() for name in ("rows_", "late_", "early_", "dated_")}
    people = study.engine.keep(same.group_by("person_").agg(distinct_=same.count(), **totals))
    parts = (
        (people["rows_"] - people["distinct_"], people["rows_"]),
        (people["late_"], people["dated_"]),
        (people["early_"], people["dated_"]),
    )
    rows = []
    for check, (marked_events, all_events) in zip(CHECKS, parts, strict=True):
        # A person's share, weighted by the person's events, is a ratio of sums over persons.
        asked = people.mutate(weight_=all_events, share_=marked_events / all_events.nullif(0))
        asked = asked.filter(asked["weight_"] > 0)
        found = study.fetch(sums(asked, {"share": asked["share_"]}))
        if found["customers"].iloc[0]:
            rows.append(rate({"check": check}, found, "share", n=int(found["weight_"].iloc[0])))
    return pd.DataFrame(rows, columns=["check", "estimate", "low", "high", "n", "customers"])


def _blanks(study: Study) -> pd.DataFrame:
    """One row a column; `customers`: those of its table (for the catalog, the most of any table)."""
    rows: list[dict[str, object]] = []
    for table in [name for name in TABLES if study.has(name)]:
        view = study.table(table)
        columns = [name for name in view.columns if name in study.given[table]]
        found = study.fetch(
            view.agg(
                rows_=view.count(),
                people_=_people(view),
                **{f"c{i}": view[name].count() for i, name in enumerate(columns)},
            )
        )
        size = int(found["rows_"].iloc[0])
        for i, name in enumerate(columns):
            share = 1 - int(found[f"c{i}"].iloc[0]) / size if size else float("nan")
            known = name in {column.name for column in TABLES[table].columns}
            row = {"table": table, "column": name, "estimate": share, "low": share, "high": share, "n": size}
            rows.append({**row, "in_contract": known, "customers": int(found["people_"].iloc[0])})
    frame = pd.DataFrame(
        rows, columns=["table", "column", "estimate", "low", "high", "n", "in_contract", "customers"]
    )
    catalog = frame["table"] == "catalog"
    return frame.assign(customers=frame["customers"].mask(catalog, frame["customers"].max()))


def _people(view: ir.Table) -> ir.Value:
    ids = [view[name] for name in ("customer_id", "anonymous_id", "response_id") if name in view.columns]
    return ibis.coalesce(*ids).nunique() if ids else ibis.literal(0)


def _say_volume(volume: pd.DataFrame) -> str:
    shown = visible(volume)
    if not len(shown):
        return TOO_FEW
    total, largest = int(volume["n"].sum()), shown.iloc[0]
    text = (
        f"{total:,} events from {shown['first'].min():%Y-%m-%d} to {shown['last'].max():%Y-%m-%d}, "
        f"{percent(largest['n'] / total)} of them through {nice(largest['channel'])}"
    )
    silent = shown[shown["days_silent"] > 7]
    if len(silent):
        worst = silent.iloc[int(np.argmax(silent["days_silent"]))]
        text += f"; {nice(worst['channel'])} has been silent for {worst['days_silent']:.0f} days at the end"
    return text + "."


def _say_issues(issues: pd.DataFrame) -> str:
    shown = visible(issues)
    if not len(shown):
        return TOO_FEW
    share = shown.set_index("check")["estimate"]
    repeats, late, early = (share.get(check, 0.0) for check in CHECKS)
    said = [f"{percent(repeats)} of all events repeat another one"] if repeats > 0 else []
    arrived = [f"{percent(late)} came over an hour late"] if late > 0 else []
    arrived += [f"{percent(early)} came before they happened"] if early > 0 else []
    if arrived:
        said.append(f"of those with a time of arrival, {' and '.join(arrived)}")
    text = "; ".join(said) or "no event repeats another or came late"
    return f"{text[0].upper()}{text[1:]}."


def _say_blanks(blanks: pd.DataFrame) -> str:
    shown = visible(blanks)
    if not len(shown):
        return TOO_FEW
    empty = shown[shown["estimate"] > 0]
    if not len(empty):
        return "No column has an empty value."
    worst = empty.iloc[int(np.argmax(empty["estimate"]))]
    return (
        f"{len(empty)} of {len(shown)} columns have empty values, most {nice(worst['column'])} in {worst['table']} "
        f"({percent(worst['estimate'])})."
    )
