"""Promises kept: orders delivered, and delivered late, by the clock and by the calendar."""

from __future__ import annotations

import ibis
import pandas as pd

from cxlib.collection.days import local_day
from cxlib.errors import CxLookupError
from cxlib.rates import Counts, rate, sums
from cxlib.results import TOO_FEW, visible
from cxlib.study import Study


def promises(study: Study) -> Counts:
    """Orders delivered, and delivered later than promised, by timestamp and by calendar day.

    For studies whose orders came with `status`, `promised_ts` and `delivered_ts`; CxLookupError
    names what is absent. An order is delivered when its status says "delivered", in any case. Late by timestamp
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
            "Add them, or skip this section."
        )
    zone = study.settings.time_zone
    frame = study.cached("promises", {"zone": zone}, lambda: _promises(study))
    return Counts(frame, _say(frame))


def _say(frame: pd.DataFrame) -> str:
    shown = visible(frame)
    if not len(shown) or shown["what"].iloc[0] != "delivered":
        return TOO_FEW
    whole = f"Of {int(shown['n'].iloc[0]):,} orders"
    if not shown["estimate"].iloc[0] > 0:
        return f'{whole} none has the status "delivered", so nothing can be said of lateness.'
    shares = zip(shown["what"], shown["estimate"].to_numpy(float), strict=True)
    said = "; ".join(f"{what}: {100 * share:.2f}\u00a0%" for what, share in shares)
    return f"{whole}: {said}."


def _promises(study: Study) -> pd.DataFrame:
    orders = study.table("orders")
    orders = orders.mutate(
        person_=orders["customer_id"], promised_=orders["promised_ts"], delivered_=orders["delivered_ts"]
    )
    done = orders["status"].strip().lower() == "delivered"
    dated = orders.filter(done & orders["promised_"].notnull() & orders["delivered_"].notnull())
    ends = study.fetch(
        dated.agg(
            first=ibis.least(dated["promised_"].min(), dated["delivered_"].min()),
            last=ibis.greatest(dated["promised_"].max(), dated["delivered_"].max()),
        )
    )
    day = local_day(study, ends["first"].iloc[0], ends["last"].iloc[0])
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
