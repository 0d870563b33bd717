"""From a study to a frame that a design can be read off: one row a customer, what came before, what came after.

Everything is counted around one moment of each customer (a service contact, an assignment): `..._before` in
the time before it, and so settled; `orders`, `revenue`, `margin`, `bought` in the time after it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import ibis
import ibis.expr.types as ir
import numpy as np
import pandas as pd

from cxlib.errors import CxLookupError, CxValueError, require
from cxlib.results import Claim, nice
from cxlib.revenue.units import Unit, money
from cxlib.study.log import microseconds

if TYPE_CHECKING:
    from cxlib.study import Study

TRAITS = ("loyalty_tier", "region", "age_band", "acquisition_channel")
MOST_VALUES = 12
DAY = 86_400_000_000  # microseconds


@dataclass(frozen=True, eq=False)
class Cases:
    """Customers with what happened to them, one row each.

    frame : customer_id, at (the moment), the treatment, covariates, outcomes; money in minor units
    covariates : names of the columns settled before that moment, ready for `adjusted`
    unit : of the money, for people
    says : what the rows are
    """

    frame: pd.DataFrame = field(repr=False)
    covariates: tuple[str, ...]
    unit: Unit
    says: str

    def a_month(self, treated: str) -> float:
        """How many of the treated there were in 30 days, between the first and the last of all cases."""
        span = (self.frame["at"].max() - self.frame["at"].min()) / (30 * DAY)
        return float(self.frame[treated].sum() / max(span, 1.0))

    def claim(self) -> Claim:
        """What the rows are, and how many."""
        return Claim(f"{len(self.frame):,} {self.says}.")


def failures(
    study: Study,
    touchpoints: Sequence[str] = (),
    failed: str = "unresolved",
    load: str = "queue_min",
    window: str = "90 D",
    before: str = "90 D",
) -> Cases:
    """Each customer's first contact at `touchpoints` and whether its outcome was `failed`, with its `load`.

    Columns: `failed` (0 and 1), `load` under its own name, `touchpoint`, and what came before and after.
    Without `touchpoints`, those where `failed` occurs. Only contacts that leave a whole `window` until the
    study's last order. Needs `touchpoints` with `outcome` and the load's column, and `orders`.
    """
    orders = study.table("orders", needed_by="failures")
    log = study.log(carry=("outcome", load))
    events = log.table.filter(log.table["outcome"].notnull() & log.table[load].notnull())
    if not touchpoints:
        seen = study.fetch(events.filter(events["outcome"] == failed).select("touchpoint").distinct())
        touchpoints = [str(name) for name in log.decode(seen["touchpoint"].sort_values(), "touchpoint")]
    if not touchpoints:
        raise CxLookupError(f"No contact with a `{load}` ended as `{failed}`; look at touchpoints.outcome.")
    last = int(study.fetch(orders.aggregate(at=study.engine.micros(orders["ts"]).max()))["at"].iloc[0])
    codes = [log.code("touchpoint", name) for name in touchpoints]
    events = events.filter(
        events["touchpoint"].isin(codes) & (events["at"] <= last - microseconds(window, "window"))
    )
    events = events.mutate(earliest=events["event"].min().over(ibis.window(group_by="person")))
    first = events.filter(events["event"] == events["earliest"]).join(
        log.persons[["person", "key"]], "person"
    )
    found = study.fetch(first.select("key", "at", "touchpoint", load, "outcome"))
    found = found.rename(columns={"key": "customer_id"})
    found["failed"] = (found["outcome"] == failed).astype(int)
    found["touchpoint"] = log.decode(found["touchpoint"], "touchpoint")
    names = " or ".join(nice(name) for name in touchpoints)
    says = f"customers with a first contact at {names}, {int(found['failed'].sum()):,} of them {nice(failed)}"
    return _around(study, found.drop(columns="outcome"), window, before, says)


def adopters(
    study: Study, touchpoint: str, at: str | pd.Timestamp, window: str = "120 D", before: str = "90 D"
) -> Cases:
    """Everybody known by the moment `at`, and whether they had met `touchpoint` by then (`adopted`)."""
    moment = pd.Timestamp(at).value // 1000
    known = study.fetch(study.table("customers", needed_by="adopters").select("customer_id", "first_seen"))
    known = known[known["first_seen"].isna() | (known["first_seen"] < pd.Timestamp(at))]
    first = _first(study, touchpoint)
    found = known[["customer_id"]].assign(at=moment)
    found["adopted"] = (found["customer_id"].map(first) < moment).astype(int)
    says = f"customers known by {pd.Timestamp(at):%Y-%m-%d}, {int(found['adopted'].sum()):,} of them with {nice(touchpoint)}"
    return _around(study, found, window, before, says)


def nudged(
    study: Study,
    experiment: str,
    touchpoint: str,
    control: str = "control",
    window: str = "120 D",
    before: str = "90 D",
) -> Cases:
    """Everybody assigned in an experiment (`nudged` against `control`, the first assignment counts), and
    whether they met `touchpoint` in the `window` after it (`adopted`)."""
    exposures = study.table("exposures", needed_by="nudged")
    known = sorted(study.fetch(exposures.select("experiment").distinct())["experiment"])
    require(experiment, known, f"No experiment is called `{experiment}`")
    mine = exposures.filter(exposures["experiment"] == experiment)
    found = study.fetch(mine.select("customer_id", "variant", at=study.engine.micros(mine["ts"])))
    found = found.sort_values(["at", "variant"]).drop_duplicates("customer_id")
    variants = sorted(found["variant"].unique())
    if control not in variants or len(variants) != 2:
        raise CxValueError(
            f"`{experiment}` has the variants {', '.join(variants)}; it needs `{control}` and one other."
        )
    first = found["customer_id"].map(_first(study, touchpoint))
    found["nudged"] = (found.pop("variant") != control).astype(int)
    found["adopted"] = (
        (first >= found["at"]) & (first < found["at"] + microseconds(window, "window"))
    ).astype(int)
    says = f"customers of the experiment {nice(experiment)}, {int(found['nudged'].sum()):,} of them nudged"
    return _around(study, found, window, before, says)


def monthly(study: Study, begins: Mapping[str, str], by: str = "region") -> pd.DataFrame:
    """A panel for `rollout`: one row a customer and month, the months counted from the first of `begins`.

    `begins`: the day an offer went live in each region (another column of `customers` by `by`). Columns:
    customer_id, `by`, period (0 begins with the first offer), known (the period the customer was first seen
    in), orders, revenue, margin of 30 days, in minor units. Months that the orders cover only in part are
    left out.
    """
    customers, orders = (
        study.table("customers", needed_by="monthly"),
        study.table("orders", needed_by="monthly"),
    )
    people = study.fetch(
        customers.filter(customers[by].isin(list(begins))).select("customer_id", "first_seen", by)
    )
    at = study.engine.micros(orders["ts"])
    span = study.fetch(orders.aggregate(first=at.min(), last=at.max())).iloc[0]
    start = min(pd.Timestamp(day) for day in begins.values())
    steps = [k for k in range(-120, 121) if span["first"] - DAY <= _at(start, k) <= span["last"] + DAY]
    edges = np.array([_at(start, k) for k in steps])
    rows = orders.mutate(at=at).filter(lambda t: (t.at >= int(edges[0])) & (t.at < int(edges[-1])))
    place = sum((rows["at"] >= int(edge)).cast("int32") for edge in edges[1:])  # which month
    amounts = {name: rows[name].sum() for name in _amounts(study)}
    sums = study.fetch(rows.group_by("customer_id", place=place).aggregate(orders=rows.count(), **amounts))
    grid = pd.MultiIndex.from_product(
        [people["customer_id"], range(len(steps) - 1)], names=["customer_id", "place"]
    )
    panel = sums.set_index(["customer_id", "place"]).reindex(grid, fill_value=0).astype(float)
    panel = panel.mul(30 * DAY / np.tile(np.diff(edges), len(people)), axis=0).reset_index()
    seen = people["first_seen"].to_numpy("datetime64[us]").astype(np.int64)
    known = np.searchsorted(edges, seen, side="right") - 1 + steps[0]
    panel["period"] = panel.pop("place") + steps[0]
    panel["known"] = np.repeat(np.where(people["first_seen"].isna(), steps[0], known), len(steps) - 1)
    panel[by] = np.repeat(people[by].to_numpy(), len(steps) - 1)
    offers = {name: pd.Timestamp(day).value // 1000 for name, day in begins.items()}
    panel["begins"] = panel[by].map(
        {name: np.searchsorted(edges, day) + steps[0] for name, day in offers.items()}
    )
    return panel


def _at(start: pd.Timestamp, months: int) -> int:
    return int((start + pd.DateOffset(months=months)).value // 1000)


def _amounts(study: Study) -> list[str]:
    return ["revenue", *(["margin"] if study.has("orders", "margin") else [])]


def _first(study: Study, touchpoint: str) -> pd.Series:
    """When each person first met a touchpoint, microseconds by person key."""
    log = study.log()
    met = log.table.filter(log.table["touchpoint"] == log.code("touchpoint", touchpoint))
    first = (
        met.group_by("person").aggregate(first=met["at"].min()).join(log.persons[["person", "key"]], "person")
    )
    return study.fetch(first.select("key", "first")).set_index("key")["first"]


def _around(study: Study, found: pd.DataFrame, window: str, before: str, says: str) -> Cases:
    """The cases with what is known of each customer before and after their moment."""
    moments = ibis.memtable(
        found[["customer_id", "at"]].rename(columns={"customer_id": "who", "at": "moment"})
    )
    after, past = microseconds(window, "window"), microseconds(before, "before")
    orders = study.table("orders", needed_by="This step")
    rows = orders.mutate(at=study.engine.micros(orders["ts"])).join(
        moments, orders["customer_id"] == moments["who"]
    )
    since = rows["at"] - rows["moment"]
    inside, earlier = (since >= 0) & (since < after), (since < 0) & (since >= -past)
    sums: dict[str, Any] = {
        "orders": inside.cast("int64").sum(),
        "orders_before": earlier.cast("int64").sum(),
    }
    for name in _amounts(study):
        sums |= {
            name: inside.ifelse(rows[name], 0).sum(),
            f"{name}_before": earlier.ifelse(rows[name], 0).sum(),
        }
    parts = [study.fetch(rows.group_by("who").aggregate(**sums))]
    if study.has("touchpoints"):
        parts.append(study.fetch(_visits(study, moments, past)))
    frame = found.reset_index(drop=True)
    for part in parts:
        part = part.rename(columns={"who": "customer_id"})
        frame = frame.merge(part, "left", "customer_id").fillna(dict.fromkeys(part.columns[1:], 0))
    frame["bought"] = (frame["orders"] > 0).astype(int)
    settled = [name for name in frame if str(name).endswith("_before")]
    if "customers" in study.tables:
        frame, more = _with_traits(study, frame)
        settled += more
    varied = tuple(str(name) for name in settled if frame[name].nunique() > 1)
    return Cases(frame, varied, money(study), says)


def _visits(study: Study, moments: ir.Table, past: int) -> ir.Table:
    """How many visits each customer made in the time before their moment."""
    log = study.log()
    events = log.table.join(log.persons[["person", "key"]], "person")
    events = events.join(moments, events["key"] == moments["who"])
    events = events.filter((events["at"] < events["moment"]) & (events["at"] >= events["moment"] - past))
    return events.group_by("who").aggregate(visits_before=events["session"].nunique())


def _with_traits(study: Study, frame: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """What the customers table says of them: years known, and an indicator for each value of a trait."""
    traits = [name for name in TRAITS if study.has("customers", name)]
    table = study.table("customers").select("customer_id", "first_seen", *traits)
    frame = frame.merge(
        study.fetch(table), "inner", "customer_id"
    )  # persons whom nobody knows have no orders
    known = (frame["at"] - frame["first_seen"].to_numpy("datetime64[us]").astype(np.int64)) / DAY
    frame["days_known"] = known.where(frame["first_seen"].notna()).clip(lower=0).fillna(0.0)
    names = ["days_known"]
    for trait in traits:
        if 2 <= frame[trait].nunique() <= MOST_VALUES:
            indicators = pd.get_dummies(frame[trait], prefix=trait, dtype=float).iloc[:, 1:]
            frame, names = frame.join(indicators), [*names, *indicators.columns]
    return frame, names
