"""Promises kept: orders delivered, and delivered late, by the clock and by the calendar."""

from __future__ import annotations

from collections.abc import Callable

import ibis
import ibis.expr.types as ir
import pandas as pd

from cxlib.collection.clusters import Counts, rate, sums
from cxlib.errors import CxLookupError
from cxlib.study import Study


def promises(study: Study) -> Counts:
    """Orders delivered, and delivered later than promised, by timestamp and by calendar day.

    For studies whose orders came with `status`, `promised_ts` and `delivered_ts`; CxLookupError
    names what is absent. An order is delivered when its status says "delivered". Late by timestamp
    means delivered_ts > promised_ts; late by calendar day compares the days only, in the time zone
    the study's own files are in (`study.yaml`), so that any hour of the promised day is in time.
    Both are shares of delivered orders that have both times. Customers are the clusters.
    """
    study.table("orders", needed_by="promises")
    needed = ("status", "promised_ts", "delivered_ts")
    absent = [name for name in needed if not study.has("orders", name)]
    if absent:
        raise CxLookupError(
            f"promises needs the columns {', '.join(needed)} in orders; there is no {', '.join(absent)}. "
            "Add them (times in UTC), or skip this section."
        )
    frame = study.cached("promises", {}, lambda: _promises(study))
    shares = zip(frame["what"], frame["estimate"].to_numpy(float), strict=True)
    text = "; ".join(f"{what}: {100 * share:.2f}\u00a0%" for what, share in shares)
    return Counts(
        frame, f"Of {int(frame['n'].iloc[0]):,} orders: {text}." if len(frame) else "There are no orders."
    )


def _promises(study: Study) -> pd.DataFrame:
    orders = study.table("orders")
    orders = orders.mutate(
        person_=orders["customer_id"],
        promised_=orders["promised_ts"].cast("timestamp(6)"),
        delivered_=orders["delivered_ts"].cast("timestamp(6)"),
    )
    done = orders["status"] == "delivered"
    dated = orders.filter(done & orders["promised_"].notnull() & orders["delivered_"].notnull())
    day = _local_day(study, dated)
    zone = study.settings.time_zone
    asked = [
        ("delivered", sums(orders, {"x": done.fill_null(False)})),
        (
            "delivered later than promised, by timestamp",
            sums(dated, {"x": dated["delivered_"] > dated["promised_"]}),
        ),
        (
            f"delivered later than promised, by calendar day ({zone})",
            sums(dated, {"x": day(dated["delivered_"]) > day(dated["promised_"])}),
        ),
    ]
    found = [(what, study.fetch(expr)) for what, expr in asked]
    rows = [rate({"what": what}, part, "x") for what, part in found if part["customers"].iloc[0]]
    return pd.DataFrame(rows, columns=["what", "estimate", "low", "high", "n", "customers"])


def _local_day(study: Study, dated: ir.Table) -> Callable[[ir.Value], ir.Value]:
    """The calendar day in the study's time zone of a UTC time, on any engine.

    The zone's offset is a step function of time; its steps within the data's range are written into
    the expression, as engines differ in what a zone's cast does.
    """
    zone = study.settings.time_zone
    if zone == "UTC":
        return lambda ts: ts.date()
    ends = study.fetch(
        dated.agg(
            low=ibis.least(dated["promised_"].min(), dated["delivered_"].min()),
            high=ibis.greatest(dated["promised_"].max(), dated["delivered_"].max()),
        )
    )
    if pd.isna(ends["low"].iloc[0]):
        return lambda ts: ts.date()
    hours = pd.date_range(
        pd.Timestamp(ends["low"].iloc[0]).floor("D"),
        pd.Timestamp(ends["high"].iloc[0]).ceil("D"),
        freq="15min",
        tz="UTC",
    )
    offset = pd.Series(hours.tz_convert(zone).tz_localize(None) - hours.tz_localize(None))
    steps = offset[offset.ne(offset.shift())] // pd.Timedelta(seconds=1)

    def day(ts: ir.Value) -> ir.Value:
        seconds: ir.Value = ibis.literal(int(steps.iloc[0]))
        for instant, value in zip(hours.tz_localize(None)[steps.index][1:], steps.iloc[1:], strict=True):
            seconds = ibis.ifelse(ts >= ibis.literal(instant.to_pydatetime()), int(value), seconds)
        return (ts + seconds.as_interval("s")).date()

    return day
