"""The customers of the simulated company, and what they do."""

from __future__ import annotations

import os
import time

import numpy as np
import pandas as pd
import pytest

from cxlib.errors import CxLookupError, CxValueError
from cxlib.world import World, company, kinds, simulate

SEED = int(os.environ.get("CXLIB_SEED", "0"))


@pytest.fixture(scope="module")
def world() -> World:
    return simulate(8000, seed=SEED + 1, respond="all")


@pytest.fixture(scope="module")
def log(world: World) -> pd.DataFrame:
    """The visits of the clean log by person and time, with the row before and the customer's kind."""
    log = world.clean["touchpoints"].merge(world.who, on="customer_id").sort_values(["customer_id", "ts"])
    log = log[~log["touchpoint"].isin(company.ALONE)]
    pause = log.groupby("customer_id")["ts"].diff()
    log["starts"] = ~(pause <= pd.Timedelta(minutes=30))
    log["goes_on"] = ~log["starts"].shift(-1, fill_value=True)
    log["before"] = log["touchpoint"].shift(1).where(~log["starts"])
    log["pause"] = pause
    return log


def test_the_same_seed_draws_the_same_world_and_another_seed_other_customers() -> None:
    one, same, other = simulate(40, seed=5), simulate(40, seed=5), simulate(40, seed=6)
    for name, frame in one.tables.items():
        pd.testing.assert_frame_equal(frame, same.tables[name])
    assert not one.who["activity"].equals(other.who["activity"])


def test_faults_and_answers_leave_all_else_as_it_was() -> None:
    worlds = [simulate(60, seed=2, faults=f, respond=r) for f in (True, False) for r in ("model", "all")]
    for name in ("touchpoints", "customers", "orders", "catalog", "exposures"):
        for other in worlds[1:]:
            pd.testing.assert_frame_equal(worlds[0].clean[name], other.clean[name])
    pd.testing.assert_frame_equal(worlds[2].tables["touchpoints"], worlds[2].clean["touchpoints"])


@pytest.mark.parametrize("arguments", [{"customers": 0}, {"customers": 2.5}, {"respond": "some"}])
def test_an_impossible_wish_is_refused(arguments: dict) -> None:
    with pytest.raises(CxValueError):
        simulate(**({"customers": 10} | arguments))


def test_an_unknown_world_is_named_with_those_that_exist() -> None:
    with pytest.raises(CxLookupError, match="demo, one_kind, continuum, broken"):
        simulate(10, world="nowhere")


@pytest.mark.parametrize("customers", [1, 2, 7])
@pytest.mark.parametrize("name", company.WORLDS)
def test_a_handful_of_customers_is_a_world_too(customers: int, name: str) -> None:
    for seed in range(10):
        assert len(simulate(customers, seed=seed, world=name).who) == customers


def test_the_company_has_about_40_contacts_a_customer_on_8_channels_in_4_stages(world: World) -> None:
    catalog, log = pd.DataFrame(company.TOUCHPOINTS), world.clean["touchpoints"]
    assert 35 < len(log) / len(world.who) < 50
    assert catalog["channel"].nunique() == 8
    assert catalog["stage"].nunique() == 4
    assert set(catalog["ownership"]) == {"owned", "partner", "customer", "social"}
    assert set(catalog["mode"]) == {"self_service", "assisted"}
    assert set(log["touchpoint"]) == set(catalog["name"])
    assert set(log["initiated_by"]) == {"customer", "brand"}


def test_within_a_visit_pass_minutes_and_between_visits_hours_or_days(log: pd.DataFrame) -> None:
    within, between = log["pause"][~log["starts"]], log["pause"][log["starts"]].dropna()
    assert within.min() >= pd.Timedelta(seconds=1)  # no ties
    assert within.max() <= pd.Timedelta(minutes=25)
    assert between.min() > pd.Timedelta(hours=2)
    assert between.median() > pd.Timedelta(days=3)


def test_flows_and_entries_are_probabilities_and_no_visit_begins_with_a_purchase() -> None:
    for name in company.WORLDS:
        firm = company.company(name)
        np.testing.assert_allclose(firm.flow.sum(-1), 1)
        np.testing.assert_allclose(firm.entry.sum(-1), 1)
        assert (firm.entry[..., [company.CODE[t] for t in company.CONVERSION]] == 0).all()
        assert (firm.flow >= 0).all()


@pytest.mark.parametrize("friction", company.FRICTIONS, ids=lambda f: f.name)
def test_each_friction_loses_its_planted_share(log: pd.DataFrame, friction: company.Friction) -> None:
    """Within kind, touchpoint and device, who meets it is chance: compare who goes on."""
    here = log[log["touchpoint"].isin(friction.touchpoints)].copy()
    met = here.eval(friction.condition).fillna(False).to_numpy(bool)
    ill = here["outcome"].isin(["out_of_stock", "failed", "repeated_question", "duplicate"])
    other_friction = (ill | (here["load_ms"] > company.SLOW_MS).fillna(False)).to_numpy(bool) & ~met
    here, met = here[~other_friction], met[~other_friction]
    lost = np.where(here["device"] == "desktop", friction.lost_desktop, friction.lost_mobile)
    strata = here.groupby(["kind", "touchpoint", here["device"].fillna("none")])
    observed = expected = variance = 0.0
    for rows in strata.indices.values():
        m, on = met[rows], here["goes_on"].to_numpy()[rows]
        if m.any() and not m.all():
            p = on[~m].mean() * (1 - lost[rows][m].mean())
            observed += on[m].sum()
            expected += m.sum() * p
            variance += m.sum() * p * (1 - p) + (m.sum() ** 2) * p * (1 - p) / (~m).sum()
    assert variance > 0
    # Phases differ a little between those who meet a friction and those who don't: 4 sd and 5 %.
    assert abs(observed - expected) < 4 * variance**0.5 + 0.05 * expected


def test_pages_are_slower_on_mobile(log: pd.DataFrame) -> None:
    slow = (log["load_ms"] > company.SLOW_MS).fillna(False).groupby(log["device"]).mean()
    assert slow["mobile"] > 1.5 * slow["desktop"]


def test_a_question_is_repeated_only_after_a_hand_off(log: pd.DataFrame) -> None:
    repeated = log[log["outcome"] == "repeated_question"]
    assert repeated["before"].isin(company.ASKED).all()
    assert (repeated["before"] != repeated["touchpoint"]).all()


def test_a_sales_call_is_a_duplicate_within_30_days_of_the_last(log: pd.DataFrame) -> None:
    calls = log[log["touchpoint"] == "call_sales"]
    soon = calls.groupby("customer_id")["ts"].diff() < pd.Timedelta(days=30)
    assert soon.equals(calls["outcome"] == "duplicate")


def test_a_parcel_follows_an_online_purchase_within_days(log: pd.DataFrame) -> None:
    visit = log["starts"].cumsum()
    online = log["touchpoint"].isin(company.ONLINE_PURCHASE).groupby(visit).any()
    last = log.groupby(visit)["customer_id"].first()
    entry, entry_pause = log["touchpoint"][log["starts"]], log["pause"][log["starts"]]
    after = (online.shift(1, fill_value=False) & (last == last.shift(1))).to_numpy()
    assert entry[after].isin(["email_delivery_notice", "store_parcel_pickup"]).mean() > 0.5
    assert not entry[~after].isin(["email_delivery_notice"]).any()
    assert entry_pause[after].median() < pd.Timedelta(days=6)


def test_orders_are_the_purchases_of_the_log_in_whole_cents(world: World) -> None:
    bought = world.clean["touchpoints"].dropna(subset="order_id").set_index("order_id").sort_index()
    orders = world.clean["orders"].set_index("order_id").sort_index()
    assert bought.index.equals(orders.index)
    assert (bought["value"] == orders["revenue"]).all()
    assert (bought["ts"] == orders["ts"]).all()
    assert set(bought["touchpoint"]) == set(company.CONVERSION)
    assert orders["revenue"].dtype == orders["margin"].dtype == np.int64
    assert (orders["revenue"] > orders["margin"]).all()
    assert set(orders["currency"]) == {"EUR"}
    value = orders.groupby("purchase")["revenue"].median()
    assert value["considered"] > 3 * value["instinctive"]


def test_researchers_consider_and_deal_seekers_buy_on_impulse(world: World) -> None:
    orders = world.clean["orders"].merge(world.who, on="customer_id")
    instinctive = (orders["purchase"] == "instinctive").groupby(orders["kind"]).mean()
    assert instinctive["deal_seeker"] > 0.6 > 0.3 > instinctive["researcher"]


@pytest.mark.slow
def test_a_million_events_take_10_cpu_seconds_and_a_small_world_a_quarter() -> None:
    started = time.process_time()
    events = len(simulate(25_000, seed=SEED).tables["touchpoints"])
    assert (time.process_time() - started) / events * 1e6 < 10
    small = []
    for seed in range(3):
        started = time.process_time()
        simulate(600, seed=seed, faults=False, respond="all")
        small.append(time.process_time() - started)
    assert min(small) < 0.25


def test_kinds_are_drawn_in_their_shares_and_activity_has_mean_1(world: World) -> None:
    share = world.who["kind"].value_counts(normalize=True)
    for kind in kinds.FIVE:
        assert abs(share[kind.name] - kind.share) < 4 * (0.25 / len(world.who)) ** 0.5
    mean, sd = 1, company.ACTIVITY_SHAPE**-0.5
    assert abs(world.who["activity"].mean() - mean) < 4 * sd / len(world.who) ** 0.5


def test_one_kind_keeps_the_spread_of_activity_and_of_contacts(world: World) -> None:
    """Activity follows the same law; contacts spread a little less, since kinds differ in pace and in visits."""
    one = simulate(8000, seed=SEED + 2, world="one_kind")
    assert one.who["kind"].nunique() == 1
    at = [0.1, 0.5, 0.9]
    activity = [w.who["activity"].quantile(at) for w in (world, one)]
    np.testing.assert_allclose(*activity, rtol=0.1)
    contacts = [w.clean["touchpoints"].groupby("customer_id").size().quantile(at) for w in (world, one)]
    np.testing.assert_allclose(*contacts, rtol=0.3, atol=2)


def test_the_continuum_has_no_gaps_and_its_ends_differ() -> None:
    w = simulate(8000, seed=SEED + 3, world="continuum")
    assert w.who["position"].nunique() == kinds.POSITIONS
    app = w.clean["touchpoints"]["touchpoint"].str.startswith("app_")
    position = w.clean["touchpoints"]["customer_id"].map(w.who.set_index("customer_id")["position"])
    share = app.groupby(pd.cut(position, np.linspace(-0.001, 1, 6))).mean()
    assert share.is_monotonic_increasing
    assert share.iloc[-1] > share.iloc[0] + 0.25
    assert share.diff().max() < 0.25
