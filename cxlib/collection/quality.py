"""How good the data are: volume, freshness, gaps and bursts, faults, coverage, blanks, drift.

What is counted in full (volumes, blanks) is a number without sampling error: its low and high are
the number itself. Rates (duplicates, lateness, identity) have customers as clusters.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import ibis
import ibis.expr.types as ir
import numpy as np
import pandas as pd

from cxlib.collection.days import local_day, local_times
from cxlib.collection.drift import drift
from cxlib.collection.events import events
from cxlib.collection.faults import Faults, faults
from cxlib.collection.gaps import gaps
from cxlib.collection.known import consent, identity
from cxlib.contract import TABLES
from cxlib.rates import Counts
from cxlib.results import TOO_FEW, Claim, Result, nice, percent, visible
from cxlib.study import Study


@dataclass(frozen=True, eq=False)
class Quality(Result):
    """The state of a study's touchpoints, in parts that are results themselves.

    Fields: `volume`, one row a source and channel (estimate = events; customers; first, last event;
    `days_silent`, from its last event to the study's last; `longest_gap_days`, the most days in a
    row without an event; `anonymous`, share of events without a customer_id); `monthly`, events by
    channel and month; `blanks`, the share of empty values in each column the study came with; and the parts
    with files of their own: `faults`, each by a stated rule; `gaps`, days without events where some were due
    and days with far more than usual; `identity`, whose the events are; `consent`; `drift`, the columns that
    differ between the halves of the study's time.

    Customers are the persons of the log (a linked cookie counts as its customer). Days, months, first
    and last are by the clock of the study's own time zone.
    """

    SHARES: ClassVar = ("estimate",)

    volume: Counts
    monthly: Counts
    blanks: Counts
    faults: Faults
    gaps: Counts
    identity: Counts
    consent: Counts
    drift: Counts

    def table(self) -> pd.DataFrame:
        """The faults: one row each; the parts have tables of their own."""
        return self.faults.table()

    def claim(self) -> Claim:
        """Volume and faults in two sentences."""
        return Claim(" ".join(dict.fromkeys([self.volume.claim(), self.faults.claim()])))


def quality(study: Study) -> Quality:
    """One page on the events and tables that an analyst can sign; `Quality` says what is on it.

    Freshness is measured from the study's own last event, not from today, so that a report says the same
    tomorrow. Raises MissingTable without `touchpoints`.
    """
    study.table("touchpoints", needed_by="quality")
    totals = study.cached("quality_totals", {}, lambda: study.fetch(_totals(events(study))))
    day = local_day(study, totals["first"].min(), totals["last"].max())
    zone = {"zone": study.settings.time_zone}
    days = study.cached("quality_days", zone, lambda: study.fetch(_daily(events(study), day)))
    monthly = study.cached("quality_months", zone, lambda: _monthly(study.fetch(_months(events(study), day))))
    volume = _volume(study, totals, days)
    blanks = study.cached("quality_blanks", {}, lambda: _blanks(study))
    return Quality(
        Counts(volume, _say_volume(volume), ("anonymous",)),
        Counts(monthly, f"{days['day'].nunique():,} days have at least one event.", ()),
        Counts(blanks, _say_blanks(blanks)),
        faults(study),
        gaps(days, *pd.to_datetime(days["day"]).agg(["min", "max"])),
        identity(study),
        consent(study),
        drift(study),
    )


def _totals(events: ir.Table) -> ir.Table:
    return events.group_by(source="source_", channel="channel_").agg(
        events=events.count(),
        customers=events["person_"].nunique(),
        first=events["ts"].min(),
        last=events["ts"].max(),
        unnamed=(events["identity_"] > 0).sum(),
    )


def _daily(events: ir.Table, day: Callable[[ir.Value], ir.Value]) -> ir.Table:
    by = {"source": events["source_"], "channel": events["channel_"], "day": day(events["ts"])}
    counted = events.group_by(**by).agg(events=events.count(), customers=events["person_"].nunique())
    return counted.order_by("source", "channel", "day")


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
