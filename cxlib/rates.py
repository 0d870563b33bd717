"""Sums over customers, made on the engine: what a ratio's sampling error needs, in one small frame.

Customers are independent, their answers and events are not. Two group-bys (by customer, then over
customers) bring any number of rows down to one a group.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import ibis
import ibis.expr.types as ir
import numpy as np
import pandas as pd

from cxlib import stats
from cxlib.errors import require
from cxlib.results import Claim, Framed
from cxlib.stats import Clustered
from cxlib.study import Study

PERSON = "person_"  # the names of our own columns end in _, so that no study's own can be hit


@dataclass(frozen=True, eq=False)
class Counts(Framed):
    """A table of things counted in full, or of rates with their interval.

    `frame`: keys, estimate, low, high, n, then further columns; `said`: its sentence; `shares`: the
    columns that are shares.
    """

    said: str = ""
    shares: tuple[str, ...] = ("estimate",)

    def claim(self) -> Claim:
        """The sentence."""
        return Claim(self.said)

    @property
    def in_percent(self) -> tuple[str, ...]:
        """The columns that are shares."""
        return self.shares

    def shown(self) -> pd.DataFrame:
        """The table; a count says its number once."""
        table = self.frame
        if {"estimate", "low", "high", "n"} <= set(table) and (
            table[["estimate", "low", "high"]].eq(table["n"], axis=0).all(axis=None)
        ):
            table = table.drop(columns=["estimate", "low", "high"])
        return table


@dataclass(frozen=True, eq=False)
class Spread(Counts):
    """How one whole is spread: the shares of its parts, which sum to 1."""

    WHOLE: ClassVar = ()


def sums(rows: ir.Table, values: Mapping[str, ir.Value], by: Sequence[str] = ()) -> ir.Table:
    """Sums by group over the customers of `rows`: one row a group (`by`), lazily.

    `rows` has `person_` (a row without one is a customer of its own kind: null is one group, so fill
    it first) and may have `weight_`. Columns of the result: `by`, then `customers`, `n` (rows),
    `weight_`, `kish_`, `weight2_` and, for each name in `values`, its three sums; `clustered` reads them.
    """
    weight = rows["weight_"].cast("float64") if "weight_" in rows.columns else ibis.literal(1.0, "float64")
    drawn = rows.select(
        *by, PERSON, weight_=weight, **{f"{name}_": value.cast("float64") for name, value in values.items()}
    )
    person = drawn.group_by([*by, PERSON]).agg(
        n=drawn.count(),
        kish_=(drawn["weight_"] * drawn["weight_"]).sum(),
        weight_=drawn["weight_"].sum(),
        **{f"{name}_": (drawn[f"{name}_"] * drawn["weight_"]).sum() for name in values},
    )
    total = {
        "customers": person.count(),
        "n": person["n"].sum(),
        "kish_": person["kish_"].sum(),
        "weight_": person["weight_"].sum(),
        "weight2_": (person["weight_"] * person["weight_"]).sum(),
    }
    for name in values:
        value = person[f"{name}_"]
        total |= {
            f"{name}_": value.sum(),
            f"{name}2_": (value * value).sum(),
            f"{name}w_": (value * person["weight_"]).sum(),
        }
    return person.group_by(list(by)).agg(**total) if by else person.agg(**total)


def clustered(frame: pd.DataFrame, name: str) -> Clustered:
    """The sums of one value, as fetched, in the form in which `cxlib.stats` takes them."""

    def column(of: str) -> np.ndarray:
        return frame[of].fillna(0).to_numpy(dtype=float)

    with np.errstate(divide="ignore", invalid="ignore"):
        answers = column("weight_") ** 2 / column("kish_")
    return Clustered(
        clusters=column("customers"),
        answers=answers,
        weight=column("weight_"),
        value=column(f"{name}_"),
        weight2=column("weight2_"),
        value2=column(f"{name}2_"),
        product=column(f"{name}w_"),
    )


def answerer(surveys: ir.Table) -> ir.Value:
    """Who gave each answer: the customer, else the response, as a person whom nobody else is."""
    customer = surveys["customer_id"].cast("string").nullif("")
    return ibis.coalesce(customer, surveys["response_id"].cast("string"))


def grouped(study: Study, by: str | None, needed_by: str) -> ir.Table:
    """`surveys` with a column `group_`, the text of the group that each answer is in (see `scores`)."""
    surveys = study.table("surveys", needed_by=needed_by)
    if by is None:
        return surveys.mutate(group_=ibis.null("string"))
    if by == "month" and by not in surveys.columns:
        month = (ibis.literal("0") + surveys["ts"].month().cast("string")).right(2)
        return surveys.mutate(group_=surveys["ts"].year().cast("string") + "-" + month)
    own = surveys[by].cast("string") if by in surveys.columns else ibis.null("string")
    if by in ("channel", "stage") and study.has("catalog", by):
        catalog = study.table("catalog").select(touchpoint_="touchpoint", of_=by)
        joined = surveys.mutate(group_=own).left_join(
            catalog, surveys["touchpoint"] == catalog["touchpoint_"]
        )
        return joined.mutate(group_=ibis.coalesce(joined["group_"], joined["of_"])).drop("touchpoint_", "of_")
    if by not in surveys.columns:
        known = {*surveys.columns, "month", *(["channel"] if study.has("catalog", "channel") else [])}
        require(by, sorted(known), f"surveys has no column `{by}`", "Answers go by")
    return surveys.mutate(group_=own)


def rate(keys: dict[str, object], found: pd.DataFrame, name: str, n: int | None = None) -> dict[str, object]:
    """One row of a table of rates: `keys`, then the share with Wilson's interval, n and customers.

    `found` is one row of fetched sums; `n` says how many cases the share is of, if not its rows (the
    weights are then these cases, and not a survey's).
    """
    count, share = int(found["n"].iloc[0]), clustered(found, name)
    if n is not None:
        count, share = n, share._replace(answers=np.array([float(n)]))
    p = share.ratio
    size = share.effective(p * (1 - p))
    interval = stats.wilson(p * size, size, df=share.df)
    ends = {name: float(values[0]) for name, values in interval.columns().items()}
    return {**keys, **ends, "n": count, "customers": int(found["customers"].iloc[0])}


def event_shares(
    study: Study, people: ir.Table, parts: Mapping[str, tuple[ir.Value, ir.Value]], key: str
) -> pd.DataFrame:
    """The share of events that each part marks, customers as clusters: one row a part that has events.

    `people` is one row a person, a part two of its counts: events marked, of all events. Columns: `key`
    (the part), estimate, low, high, n (events), customers, count (events marked).
    """
    rows = []
    for name, (marked, whole) in parts.items():
        # A person's share, weighted by the person's events, is a ratio of sums over persons.
        asked = people.mutate(weight_=whole, share_=marked / whole.nullif(0))
        asked = asked.filter(asked["weight_"] > 0)
        found = study.fetch(sums(asked, {"share": asked["share_"]}))
        if found["customers"].iloc[0]:
            row = rate({key: name}, found, "share", n=int(found["weight_"].iloc[0]))
            rows.append({**row, "count": round(found["share_"].iloc[0])})
    return pd.DataFrame(rows, columns=[key, "estimate", "low", "high", "n", "customers", "count"])
