"""Who answered, and who did not: the response of customers in contact, by what is known of them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

import ibis
import ibis.expr.types as ir
import numpy as np
import pandas as pd

from cxlib import stats
from cxlib.results import EVERYWHERE, Framed, percent
from cxlib.stats import laws as distributions
from cxlib.study import Study


@dataclass(frozen=True, eq=False)
class Responders(Framed):
    """Which customers answered a survey at all, by what is known of them.

    `frame`: `attribute`, `value`, estimate (share of the customers who answered anything), low,
    high, n and customers (both the customers in contact), `q`: p-value of "response does not depend
    on this attribute", adjusted for the number of attributes; NaN where there was nothing to compare.
    "(all)" first.
    """

    SHARES: ClassVar = ("estimate",)
    WHOLE: ClassVar = ("attribute",)

    def told(self, table: pd.DataFrame) -> str:
        """How many answered, and along which attributes those who did differ from those who did not."""
        whole = table.iloc[0]
        tested = table.iloc[1:].dropna(subset="q").drop_duplicates("attribute")
        apart = tested.loc[tested["q"] < 0.05, "attribute"].tolist()
        text = f"{percent(whole['estimate'])} of {whole['n']:,} customers in contact answered a survey"
        if apart:
            text += f"; who answers differs by {_list(apart)}"
        elif len(tested):
            text += f"; by {_list(tested['attribute'])} it differs no more than by chance"
        return text + ". Whether the silent are as satisfied as the others cannot be seen from answers."


def _list(names: Iterable[str]) -> str:
    return ", ".join(name.replace("_", " ") for name in names)


ATTRIBUTES = ("age_band", "region", "loyalty_tier", "acquisition_channel")
UNKNOWN = "(unknown)"
ACTIVITY = ((1, "1 event"), (4, "2 to 4"), (9, "5 to 9"), (29, "10 to 29"), (99, "30 to 99"))
"""Upper ends of the bands of activity, in events, and their names; above them "100 or more"."""


def responders(study: Study) -> Responders:
    """Share of the customers in contact who answered a survey, by attribute and by activity.

    Customers in contact have at least one touchpoint (in a study without touchpoints: one order)
    under their customer_id. An attribute is any of age_band, region, loyalty_tier and
    acquisition_channel that `customers` came with. Customers are independent: Wilson's interval, and
    a chi-square test an attribute (by simulation where counts are small), adjusted by Benjamini and
    Hochberg.

    Activity counts all of a customer's events. Where answering a survey is itself a touchpoint, part
    of activity is response: who answered has an event more, and a difference by activity is overstated.
    """
    surveys = study.table("surveys", needed_by="responders")
    known = [name for name in ATTRIBUTES if study.has("customers", name)]
    frame = study.cached("responders", {}, lambda: _responders(study, surveys, known))
    return Responders(frame)


def contacted(study: Study, known: list[str], needed_by: str = "responders") -> ir.Table:
    """The customers in contact, one row each: customer_id, what is known of them, activity; lazily."""
    source = "orders" if study.has("orders") and not study.has("touchpoints") else "touchpoints"
    contacts = study.table(source, needed_by=needed_by)
    named = contacts.filter(contacts["customer_id"].notnull())
    people = named.group_by("customer_id").agg(events=named.count())
    people = people.mutate(activity=_band(people["events"])).drop("events")
    if known:
        customers = study.table("customers").select(who_="customer_id", **{name: name for name in known})
        people = people.left_join(customers, people["customer_id"] == customers["who_"]).drop("who_")
    return people


def _responders(study: Study, surveys: ir.Table, known: list[str]) -> pd.DataFrame:
    people = contacted(study, known)
    answered = surveys.filter(surveys["score"].notnull() & surveys["customer_id"].notnull())
    answered = answered.select(who_=answered["customer_id"]).distinct()
    people = people.left_join(answered, people["customer_id"] == answered["who_"])
    people = people.mutate(answered_=people["who_"].notnull().cast("int64")).drop("who_")
    people = study.engine.keep(people)  # one row a customer, counted several ways
    rows = None
    for name in ["", *known, "activity"]:
        value = people[name].cast("string") if name else ibis.literal(EVERYWHERE)
        part = people.select(
            attribute=ibis.literal(name or EVERYWHERE),
            value=value.fill_null(UNKNOWN),
            answered_="answered_",
        )
        part = part.group_by(["attribute", "value"]).agg(x=part["answered_"].sum(), n=part.count())
        rows = part if rows is None else rows.union(part)
    counted = study.fetch(rows)
    order = {name: rank for rank, name in enumerate([EVERYWHERE, *known, "activity"])}
    bands = {name: rank for rank, (_, name) in enumerate(ACTIVITY)}
    counted = counted.assign(
        _attribute=counted["attribute"].map(order), _value=counted["value"].map(bands).fillna(len(bands))
    )
    counted = counted.sort_values(["_attribute", "_value", "value"], ignore_index=True)
    interval = stats.wilson(counted["x"].to_numpy(float), counted["n"].to_numpy(float))
    table = counted[["attribute", "value"]].assign(**interval.columns(), n=counted["n"].astype(int))
    table["customers"] = table["n"]
    tested = {
        str(name): _differs(group["x"].to_numpy(float), group["n"].to_numpy(float))
        for name, group in counted.groupby("attribute", sort=False)
        if name != EVERYWHERE
    }
    adjusted = dict(zip(tested, stats.benjamini_hochberg(list(tested.values())), strict=True))
    return table.assign(q=table["attribute"].map(adjusted))


def _band(events: ir.Value) -> ir.Value:
    named: ir.Value = ibis.literal("100 or more")
    for upper, name in reversed(ACTIVITY):
        named = ibis.ifelse(events <= upper, ibis.literal(name), named)
    return named


DRAWS, PARTS = 9_999, 11


def _differs(x: np.ndarray, n: np.ndarray) -> float:
    """p-value of equal shares (chi-square); NaN where there is nothing to compare.

    Where a value has an expected count under 5, chi-square is no guide, and its statistic is compared
    with that of `DRAWS` tables with the same margins (Hope 1968, J. Royal Statistical Society B 30);
    always the same tables, so that the same study gives the same figure.
    """
    total, answered = n.sum(), x.sum()
    if len(n) < 2 or not 0 < answered < total:
        return float("nan")
    share = answered / total
    if n.min() * min(share, 1 - share) >= 5:
        return distributions.alike(np.array([x, n - x]))
    rng, as_far = np.random.default_rng(0), 0
    found = ((x - n * share) ** 2 / n).sum() * (1 - 1e-9)
    for _ in range(PARTS):  # in parts, as an attribute may have thousands of values
        drawn = rng.multivariate_hypergeometric(
            n.astype(np.int64), int(answered), size=DRAWS // PARTS, method="marginals"
        )
        as_far += int((((drawn - n * share) ** 2 / n).sum(axis=1) >= found).sum())
    return (1 + as_far) / (1 + DRAWS)
