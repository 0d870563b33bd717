"""What customers were worth: orders, revenue, margin, the cost of serving them, and what is left.

Counted over all the study holds, for every known customer, buyers or not. Money is in the contract's minor
units in tables, in the currency itself for people.

By persona there are two ways to deal with those who may be assigned to a wrong one. Memberships fitted on
the very behaviour that is counted (order values among the features) know of it: each customer then counts
for each persona by their probability. The correction of `cxlib.stats.correct` is for outcomes that the
memberships were not told; here it overcorrects, as customers who hardly appear are hard to assign and buy
little too. In the simulated company (8,000 customers, net in cents): true 1,655 and 478 for the two personas
that bring least; by probabilities 1,579 and 622; corrected -1,697 and -2,136.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import ibis
import numpy as np
import pandas as pd

from cxlib import stats
from cxlib.results import EVERYWHERE, Framed, nice, percent
from cxlib.revenue.units import MONEY, Unit, money

if TYPE_CHECKING:
    from cxlib.study import Study

NOBODY = "\0unknown"  # no person key begins so


@dataclass(frozen=True, eq=False)
class Realised(Framed):
    """Means per customer over the study's time.

    frame : one row a persona ("(all)" first) and measure: orders, revenue, margin, contact_cost, net (margin less
        contact_cost): estimate, low, high, n (customers it rests on), customers (of this persona)
    unit : of money, for people
    lost : share of the cost of contacts that falls on visitors whom nobody recognised (NaN: not known)
    unmatched : customers without a membership (0 where none were given)
    since, until : days of the first and the last order
    """

    ROWS: ClassVar = 40

    unit: Unit
    lost: float
    unmatched: int
    since: pd.Timestamp
    until: pd.Timestamp

    def told(self, table: pd.DataFrame) -> str:
        """What a customer was worth, and between which personas that varies."""
        whole = table[table["persona"] == EVERYWHERE].set_index("measure")
        best = next(name for name in ("net", "margin", "revenue") if name in whole.index)
        what = {"net": "margin net of the cost of contacts", "margin": "margin", "revenue": "revenue"}[best]
        said = (
            f"From {self.since:%Y-%m-%d} to {self.until:%Y-%m-%d} a customer was worth {self.unit.ends(whole.loc[best])} in {what}, "
            f"on {whole.loc[best, 'n']:,} customers"
        )
        personas = table[(table["persona"] != EVERYWHERE) & (table["measure"] == best)]
        if len(personas) > 1:
            top, last = personas["estimate"].idxmax(), personas["estimate"].idxmin()
            clearly = personas.loc[top, "low"] > personas.loc[last, "high"]
            apart = "" if clearly else "personas not clearly apart, "
            said += f"; {apart}from {self.unit.spread(personas)}"
        if self.lost > 0.005:
            said += f". {percent(self.lost)} of the cost of contacts falls on visitors nobody recognised, and is in no customer's"
        return f"{said}."

    def shown(self) -> pd.DataFrame:
        """The table with money in the currency."""
        return in_currency(self.frame, self.unit)


def in_currency(table: pd.DataFrame, unit: Unit) -> pd.DataFrame:
    """A table by measure with its money in the currency, which the measure then names."""
    paid = table["measure"].isin(MONEY)
    whole = unit.shown(table, ("estimate", "low", "high", "actual"))
    measure = (
        table["measure"].map(nice).where(~paid, table["measure"].map(nice) + f" ({unit.name or 'money'})")
    )
    return table.where(~paid, whole).assign(measure=measure)


def realised(study: Study, memberships: pd.DataFrame | None = None, told: bool = True) -> Realised:
    """Mean orders, revenue, margin, contact cost and net of a customer, as they were.

    Needs `orders`; margin where they have one; the cost of contacts where `touchpoints` and the catalog's
    `unit_cost` are there. Customers are the rows of `customers` (else everybody known by an order). With
    `memberships` (person, one probability column a persona) also by persona; `told` says that they were
    fitted on behaviour that includes the orders, else they are corrected for classification error. Intervals:
    bootstrap-t for everybody, folds of customers by persona.
    """
    each = study.cached("realised", {}, lambda: _each(study))
    stranger = each["person"] == NOBODY
    people = each[~stranger]
    measures = [str(name) for name in people.columns if name != "person"]
    whole = stats.bootstrap_t(people[measures].to_numpy(float))
    frame = pd.DataFrame({"persona": EVERYWHERE, "measure": measures, **whole.columns()})
    frame["n"] = frame["customers"] = len(people)
    unmatched = 0
    if memberships is not None:
        given = memberships.assign(person=memberships["person"].astype(str))
        unmatched = int((~people["person"].isin(given["person"])).sum())
        find = _by_probability if told else _by_correction
        frame = pd.concat([frame, find(people, given, measures)], ignore_index=True)
    lost = float("nan")
    if "contact_cost" in each and each["contact_cost"].sum() > 0:
        lost = float(each.loc[stranger, "contact_cost"].sum() / each["contact_cost"].sum())
    ts = study.table("orders")["ts"]
    span = study.fetch(study.table("orders").aggregate(since=ts.min(), until=ts.max())).iloc[0]
    return Realised(frame, money(study), lost, unmatched, span["since"], span["until"])


def _by_probability(people: pd.DataFrame, memberships: pd.DataFrame, measures: list[str]) -> pd.DataFrame:
    """Means with each customer counting for each persona by their probability; folds of customers."""
    both = memberships.merge(people, on="person", validate="one_to_one")
    personas = [str(name) for name in memberships.columns if name != "person"]
    chance, values = both[personas].to_numpy(float), both[measures].to_numpy(float)
    values = np.column_stack([np.ones(len(both)), values])
    sums = np.zeros((stats.FOLDS, len(personas), values.shape[1]))
    np.add.at(sums, stats.folds_of(both["person"]), chance[:, :, None] * values[:, None, :])
    found = stats.jackknife(sums, lambda total: total[..., 1:] / total[..., :1], "identity")
    sizes = np.bincount(chance.argmax(axis=1), minlength=len(personas))
    tables = []
    for place, measure in enumerate(measures):
        ends = {name: values[:, place] for name, values in found.columns().items()}
        tables.append(pd.DataFrame({"persona": personas, "measure": measure, **ends}))
    return pd.concat([table.assign(n=len(both), customers=sizes) for table in tables])


def _by_correction(people: pd.DataFrame, memberships: pd.DataFrame, measures: list[str]) -> pd.DataFrame:
    found = stats.correct(people[["person", *measures]], memberships).table()
    return found.rename(columns={"outcome": "measure"}).drop(columns="uncorrected")


def _each(study: Study) -> pd.DataFrame:
    """One row a customer: person and the measures; the last row is nobody's: contacts of unknown visitors."""
    orders = study.table("orders", needed_by="realised")
    amounts = [name for name in ("revenue", "margin") if name == "revenue" or study.has("orders", name)]
    sums = {name: orders[name].sum() for name in amounts}
    each = study.fetch(orders.group_by(person="customer_id").aggregate(orders=orders.count(), **sums))
    if "customers" in study.tables:
        known = study.fetch(study.table("customers").select(person="customer_id"))
        each = known.merge(each, "outer", "person")
    if study.has("touchpoints") and study.has("catalog", "unit_cost"):
        costs = study.fetch(_costs(study))
        inside = costs["person"].isin(each["person"])
        strangers = pd.DataFrame(
            {"person": [NOBODY], "contact_cost": [costs.loc[~inside, "contact_cost"].sum()]}
        )
        each = each.merge(pd.concat([costs[inside], strangers]), "outer", "person")
    each = each.fillna(dict.fromkeys(each.columns.drop("person"), 0)).astype(
        dict.fromkeys(each.columns.drop("person"), float)
    )
    if {"margin", "contact_cost"} <= set(each):
        each["net"] = each["margin"] - each["contact_cost"]
    return each


def _costs(study: Study) -> ibis.Table:
    """What each person's contacts cost, by the catalog."""
    log = study.log()
    catalog = study.fetch(study.table("catalog").select("touchpoint", "unit_cost"))
    cost = catalog.set_index("touchpoint")["unit_cost"].reindex(log.names["touchpoint"]).fillna(0)
    prices = ibis.memtable(pd.DataFrame({"code": np.arange(len(cost)), "price": cost.to_numpy(float)}))
    events = log.table.join(prices, log.table["touchpoint"].cast("int64") == prices["code"])
    by_person = events.group_by("person").aggregate(contact_cost=events["price"].sum())
    return by_person.join(log.persons[["person", "key"]], "person").select("contact_cost", person="key")
