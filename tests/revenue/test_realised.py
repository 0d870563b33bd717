"""What customers were worth: plain sums, truth in the simulated company, personas, and what is not known."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import cxlib as cx
from cxlib import world
from cxlib.errors import CxValueError, MissingTable
from cxlib.revenue import plots, realised
from cxlib.study import Study
from tests import harness


@pytest.fixture(scope="module")
def small() -> Study:
    """Two buyers, one who only looks, one whom nobody knows."""
    day = "2026-01-0{}".format
    touchpoints = pd.DataFrame(
        {
            "event_id": range(5),
            "customer_id": ["a", "a", "b", "c", None],
            "anonymous_id": [None] * 4 + ["cookie"],
            "ts": [day(i + 1) for i in range(5)],
            "touchpoint": ["page", "call", "page", "page", "call"],
        }
    )
    catalog = pd.DataFrame(
        {
            "touchpoint": ["page", "call"],
            "channel": ["web", "call"],
            "stage": "engagement",
            "unit_cost": [1.0, 50.0],
        }
    )
    orders = pd.DataFrame(
        {"order_id": ["1", "2", "3"], "customer_id": ["a", "a", "b"], "ts": [day(2), day(3), day(4)],
         "revenue": [1000, 500, 300], "margin": [400, 200, -90]}
    )  # fmt: skip
    customers = pd.DataFrame({"customer_id": ["a", "b", "c", "d"]})
    tables = {"touchpoints": touchpoints, "catalog": catalog, "orders": orders, "customers": customers}
    return cx.open_study(tables, currency="EUR", money="minor")


def whole(study: Study, **options: object) -> pd.DataFrame:
    return realised(study, **options).table().query("persona == '(all)'").set_index("measure")


def test_each_measure_is_a_plain_mean_over_all_known_customers(small: Study) -> None:
    means = whole(small)["estimate"]
    assert means.to_dict() == pytest.approx(
        {"orders": 3 / 4, "revenue": 1800 / 4, "margin": 510 / 4, "contact_cost": 53 / 4, "net": 457 / 4}
    )
    assert realised(small).lost == pytest.approx(50 / 103)


def test_without_customers_they_are_those_with_an_order(small: Study) -> None:
    orders = cx.open_study({"orders": small.fetch(small.table("orders"))}, currency="EUR", money="minor")
    means = whole(orders)["estimate"]
    assert means["revenue"] == 900
    assert "contact_cost" not in means
    assert np.isnan(realised(orders).lost)


def test_money_is_minor_in_tables_and_the_currency_for_people(small: Study) -> None:
    shown = realised(small)
    assert shown.unit.say(45000) == "450 EUR"
    many = cx.open_study(world.simulate(100, 1).tables, currency="EUR")
    assert "margin (EUR)" in realised(many)._repr_mimebundle_()["text/plain"]
    assert "EUR" in realised(many).claim()


def test_few_customers_are_not_shown(small: Study) -> None:
    assert realised(small).claim() == "Too few customers to say."
    assert "too few" in plots.realised(realised(small)).alt


def test_needs_orders_and_one_currency() -> None:
    with pytest.raises(MissingTable, match="realised needs the table `orders`"):
        realised(cx.open_study({"customers": pd.DataFrame({"customer_id": ["a"]})}))
    orders = pd.DataFrame(
        {
            "order_id": ["1", "2"],
            "customer_id": "a",
            "ts": "2026-01-01",
            "revenue": [1, 2],
            "currency": ["EUR", "USD"],
        }
    )
    with pytest.raises(CxValueError, match="EUR, USD"):
        realised(cx.open_study({"orders": orders}, money="minor"))


def test_by_persona_the_probabilities_share_out_what_there_was(base_seed: int) -> None:
    """Customers who count for each persona by their probability: the personas' sums add up to everybody's."""
    drawn = world.simulate(400, base_seed, faults=False)
    study = cx.open_study(drawn.tables)
    given = world.posterior(drawn).rename(columns={"customer_id": "person"})
    table = realised(study, given).table()
    sizes = given.drop(columns="person").sum()
    everybody = table[table["persona"] == "(all)"].set_index("measure")["estimate"]
    for measure, part in table.query("persona != '(all)'").groupby("measure"):
        shared = part.set_index("persona")["estimate"] @ sizes / sizes.sum()
        assert shared == pytest.approx(everybody[measure])


def test_who_is_sure_of_a_persona_counts_for_it_alone(base_seed: int) -> None:
    drawn = world.simulate(300, base_seed, faults=False)
    study = cx.open_study(drawn.tables)
    given = pd.get_dummies(drawn.who["kind"], dtype=float).assign(person=drawn.who["customer_id"])
    spent = drawn.tables["orders"].groupby("customer_id")["revenue"].sum()
    plain = drawn.who["customer_id"].map(spent).fillna(0).groupby(drawn.who["kind"]).mean()
    for told in (True, False):
        table = realised(study, given, told=told).table().query("measure == 'revenue' and persona != '(all)'")
        assert table.set_index("persona")["estimate"].to_dict() == pytest.approx(plain.to_dict())


@pytest.mark.slow
def test_intervals_hold_the_planted_value_of_customers_and_of_kinds(base_seed: int) -> None:
    def draw(seed: int) -> pd.DataFrame:
        drawn = world.simulate(600, seed, faults=False)
        given = world.posterior(drawn).rename(columns={"customer_id": "person"})
        needed = {name: drawn.tables[name] for name in ("touchpoints", "catalog", "customers", "orders")}
        found = realised(cx.open_study(needed), given).table().rename(columns={"persona": "kind"})
        found = found.merge(drawn.truth("value"), on=["kind", "measure"])
        found["result"] = np.where(found["kind"] == "(all)", "everybody", "kinds")
        return found[["result", "kind", "measure", "estimate", "low", "high", "truth"]].assign(expected=100.0)

    bar = harness.coverage(draw, 14, base_seed)
    assert not bar.rejects(0.90, 0.99, "everybody"), bar.table().to_string()
    assert not bar.rejects(0.90, 0.99, "kinds"), bar.table().to_string()
