"""The planted effects, found again by simple estimates in plain pandas, within their error."""

from __future__ import annotations

import os

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit

from cxlib.errors import CxValueError
from cxlib.world import World, company, effects, kinds, posterior, programme, simulate, world

SEED = int(os.environ.get("CXLIB_SEED", "0"))
ERRORS = 4.5  # standard errors that an estimate may be off
MONEY = ["orders", "revenue", "margin"]
TRIED = [e for e in programme.EXPERIMENTS if e.name not in programme.NULL]


@pytest.fixture(scope="module")
def large() -> World:
    return simulate(50_000, seed=SEED + 71, faults=False)


@pytest.fixture(scope="module")
def broken() -> World:
    return simulate(25_000, seed=SEED + 72, world="broken", faults=False)


@pytest.fixture(scope="module")
def people(large: World) -> pd.DataFrame:
    """One row a customer: hidden things, when the card was linked, and the year's money."""
    frame = large.clean["customers"].merge(large.who, on="customer_id").set_index("customer_id")
    linked = large.clean["touchpoints"].query("touchpoint == 'app_link_card'")
    frame["linked"] = linked.set_index("customer_id")["ts"]
    return frame.join(spent(large, 0, 400))


def day(number: int) -> pd.Timestamp:
    return pd.Timestamp(company.START) + pd.Timedelta(days=number)


def spent(world: World, begin: int, end: int) -> pd.DataFrame:
    """Orders, revenue and margin of every customer between two days."""
    orders = world.clean["orders"]
    orders = orders[(orders["ts"] >= day(begin)) & (orders["ts"] < day(end))].assign(orders=1)
    sums = orders.groupby("customer_id")[MONEY].sum()
    return sums.reindex(world.clean["customers"]["customer_id"], fill_value=0).astype(float)


def met(world: World, e: programme.Experiment) -> pd.Series:
    rows = world.clean["exposures"].query("experiment == @e.name").sort_values("ts")
    return rows.drop_duplicates("customer_id").set_index("customer_id")["variant"]


def difference(one: pd.Series, other: pd.Series) -> tuple[float, float]:
    """Of two means, and its standard error."""
    return one.mean() - other.mean(), (one.var() / len(one) + other.var() / len(other)) ** 0.5


def close(found: tuple[float, float], truth: float) -> bool:
    return abs(found[0] - truth) < ERRORS * found[1]


def truth_of(world: World, result: str, **keys: str) -> float:
    rows = world.truth(result)
    for key, value in keys.items():
        rows = rows[rows[key] == value]
    return float(rows["truth"].item())


# Experiments.


@pytest.mark.parametrize("e", TRIED, ids=lambda e: e.name)
def test_arms_differ_by_the_true_effect(large: World, e: programme.Experiment) -> None:
    variant = met(large, e)
    y = spent(large, e.start, e.start + e.days).loc[variant.index]
    y["bought"] = (y["orders"] > 0).astype(float)
    if e.name == programme.CLUSTERED:  # whole areas: one value each, so that their differences count
        area = large.clean["customers"].set_index("customer_id").loc[variant.index, "area"]
        variant, y = variant.groupby(area).first(), y.groupby(area).mean()
    for metric in y:
        for name in e.variants[1:]:
            found = difference(y.loc[variant == name, metric], y.loc[variant == e.variants[0], metric])
            assert close(
                found, truth_of(large, "experiments", experiment=e.name, variant=name, metric=metric)
            )


def test_the_home_page_helps_each_kind_in_its_own_way(large: World, people: pd.DataFrame) -> None:
    e = programme.EXPERIMENT["home_page"]
    variant = met(large, e)
    margin, kind = spent(large, e.start, e.start + e.days)["margin"], people["kind"]
    table = large.truth("experiments_by_kind").query("experiment == 'home_page' and metric == 'margin'")
    for row in table.itertuples():
        arms = [margin[variant.index[(variant == v) & (kind[variant.index] == row.kind)]] for v in e.variants]
        assert close(difference(arms[e.variants.index(row.variant)], arms[0]), row.truth)
    best = table.loc[table.groupby("kind")["truth"].idxmax()].set_index("kind")["variant"]
    assert best.nunique() > 1


def test_opting_out_grows_with_the_frequency(large: World) -> None:
    e = programme.EXPERIMENT["email_frequency"]
    out = large.clean["touchpoints"].query("touchpoint == 'email_unsubscribe'")["customer_id"]
    variant = met(large, e)
    gone = pd.Series(variant.index.isin(out).astype(float), variant.index)
    assert not gone[variant == "0"].any()
    for name in e.variants[1:]:
        truth = truth_of(large, "experiments", experiment=e.name, variant=name, metric="opted_out")
        assert close(difference(gone[variant == name], gone[variant == "0"]), truth)


def test_nothing_has_no_effect_and_an_a_a_finds_none(large: World) -> None:
    planted = large.truth("experiments")
    assert (planted.loc[planted["experiment"].isin(programme.NULL), "truth"] == 0).all()
    e = programme.EXPERIMENT["aa_spring"]
    variant, y = met(large, e), spent(large, e.start, e.start + e.days)
    for metric in MONEY:
        arms = [y.loc[variant.index[variant == v], metric] for v in e.variants]
        assert close(difference(arms[1], arms[0]), 0)


def test_personalising_pays_in_one_experiment_and_not_where_there_is_one_kind() -> None:
    for name in ("demo", "one_kind"):
        policy = world.truth(name, "policy").pivot(index="experiment", columns="policy", values="truth")
        assert (policy["best_single"] > 1.05 * policy["control"]).all()
        gain = policy["personal"] / policy["best_single"] - 1
        assert gain["checkout"] == pytest.approx(0, abs=1e-9)
        assert gain["email_frequency"] == pytest.approx(0, abs=1e-9)
        assert gain["home_page"] > 0.1 if name == "demo" else gain["home_page"] == pytest.approx(0, abs=1e-9)


# What nobody was randomised to.


def test_the_nudge_finds_the_effect_of_the_card_and_the_naive_difference_does_not(
    large: World, people: pd.DataFrame
) -> None:
    e = programme.EXPERIMENT["app_nudge"]
    margin, variant = spent(large, e.start, e.start + e.days)["margin"], met(large, e)
    nudged = variant == "nudge"
    effect, error = difference(margin[variant.index[nudged]], margin[variant.index[~nudged]])
    share = people.loc[variant.index[nudged], "linked"].notna().mean()
    assert share == pytest.approx(truth_of(large, "adoption", measure="adopters"), abs=0.02)
    assert close((effect / share, error / share), truth_of(large, "adoption", measure="effect"))
    known = people[people["first_seen"] < day(e.start)]
    linked = known["linked"] < day(e.start)
    naive = difference(margin[known.index[linked]], margin[known.index[~linked]])
    assert close(naive, truth_of(large, "adoption", measure="naive"))
    assert (
        truth_of(large, "adoption", measure="naive") > 3 * truth_of(large, "adoption", measure="effect") > 0
    )


def test_failures_of_service_cost_orders_and_comparing_alike_queues_finds_how_many(large: World) -> None:
    log = large.clean["touchpoints"].query("touchpoint in @company.SERVICE").sort_values(["ts", "event_id"])
    first = log[log["ts"] < day(programme.day(10, 3))].drop_duplicates("customer_id")
    orders = large.clean["orders"][["customer_id", "ts"]].rename(columns={"ts": "ordered"})
    later = first.merge(orders, on="customer_id")
    later = later[
        (later["ordered"] > later["ts"]) & (later["ordered"] <= later["ts"] + pd.Timedelta(days=90))
    ]
    first = first.assign(
        y=first["customer_id"].isin(later["customer_id"]) * 1.0, bad=first["outcome"] == "unresolved"
    )
    assert close(
        difference(first.loc[first["bad"], "y"], first.loc[~first["bad"], "y"]),
        truth_of(large, "service_failure", measure="naive"),
    )
    effect, variance = 0.0, 0.0
    for _, cell in first.groupby(pd.qcut(first["queue_min"], 25, duplicates="drop"), observed=True):
        found = difference(cell.loc[cell["bad"], "y"], cell.loc[~cell["bad"], "y"])
        weight = len(cell) / len(first)
        effect, variance = effect + weight * found[0], variance + (weight * found[1]) ** 2
    assert close((effect, variance**0.5), truth_of(large, "service_failure", measure="effect"))


def test_gold_is_mostly_selection(large: World, people: pd.DataFrame) -> None:
    gold, basic = (people.loc[people["loyalty_tier"] == t, "margin"] for t in ("gold", "basic"))
    assert close(difference(gold, basic), truth_of(large, "loyalty_tier", measure="naive"))
    effect, variance, weight = 0.0, 0.0, 0.0
    for _, cell in people.groupby(["kind", pd.qcut(people["activity"], 20)], observed=True):
        arms = [cell.loc[cell["loyalty_tier"] == t, "margin"] for t in ("gold", "basic")]
        if min(map(len, arms)) > 4:
            found = difference(*arms)
            effect, variance = effect + len(cell) * found[0], variance + (len(cell) * found[1]) ** 2
            weight += len(cell)
    assert weight > 0.95 * len(people)
    truth = truth_of(large, "loyalty_tier", measure="effect")
    assert close((effect / weight, variance**0.5 / weight), truth)
    assert abs(truth) < 0.1 * truth_of(large, "loyalty_tier", measure="naive")


def test_customers_brought_by_a_friend_are_worth_a_little_more(large: World, people: pd.DataFrame) -> None:
    brought = people["referred_by"].notna()
    found = difference(people.loc[brought, "margin"], people.loc[~brought, "margin"])
    assert close(found, truth_of(large, "referral", measure="effect"))


@pytest.mark.slow
def test_the_offer_of_the_card_is_worth_what_a_company_without_it_lacks(
    large: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(programme, "LINK_ODDS", (-1000.0, 0.0))
    without = simulate(50_000, seed=SEED + 73, faults=False)
    last = programme.OFFERED["Transylvania"]
    totals = []
    for w in (large, without):
        people, parts = w.clean["customers"].set_index("customer_id"), []
        for region, offer in programme.OFFERED.items():
            known = people.index[(people["region"] == region) & (people["first_seen"] < day(offer))]
            months = (last - offer) / 30
            parts += (
                [spent(w, offer, last)["margin"][known].to_frame().assign(months=months)] if months else []
            )
        totals.append(pd.concat(parts))
    values = [t["margin"].sum() / t["months"].sum() for t in totals]
    errors = [(t["margin"] - v * t["months"]).std() * len(t) ** 0.5 / t["months"].sum()
              for t, v in zip(totals, values, strict=True)]  # fmt: skip
    assert close((values[0] - values[1], np.hypot(*errors)), truth_of(large, "rollout", measure="effect"))


# What is realised.


def test_value_by_kind_is_what_the_orders_and_the_catalog_say(large: World, people: pd.DataFrame) -> None:
    cost = large.clean["touchpoints"]["touchpoint"].map(
        large.clean["catalog"].set_index("touchpoint")["unit_cost"]
    )
    people = people.assign(contact_cost=cost.groupby(large.clean["touchpoints"]["customer_id"]).sum())
    people["net"] = people["margin"] - people["contact_cost"].fillna(0)
    for row in large.truth("value").itertuples():
        y = people.loc[(people["kind"] == row.kind) | (row.kind == "(all)"), row.measure].fillna(0)
        assert close((y.mean(), y.std() / len(y) ** 0.5), row.truth)


def test_stages_and_channels_by_kind_are_what_the_log_says(large: World, people: pd.DataFrame) -> None:
    log = large.clean["touchpoints"].merge(large.clean["catalog"], on="touchpoint")
    log["kind"] = log["customer_id"].map(people["kind"])
    seen = log.groupby("kind")["customer_id"].nunique()
    stages = log.groupby(["kind", "stage"])["customer_id"].nunique().div(seen, level="kind")
    channels = log.groupby("kind")["channel"].value_counts(normalize=True)
    for result, found in (("stages_by_kind", stages), ("channels_by_kind", channels)):
        truth = large.truth(result).set_index(list(found.index.names))["truth"]
        assert (truth - found).abs().max() < 0.02
    assert large.truth("kinds").set_index("kind")["truth"].to_dict() == pytest.approx(
        {k.name: k.share for k in kinds.FIVE}
    )


# All worlds.


@pytest.mark.parametrize("name", company.WORLDS)
def test_every_world_has_its_truths(name: str) -> None:
    some = {"kinds", "value", "stages_by_kind", "channels_by_kind"}
    for result, keys in effects.KEYS.items():
        if result in some or name != "continuum":
            rows = world.truth(name, result)
            assert rows.notna().all(axis=None)
            assert not rows.duplicated(list(keys)).any()
    assert list(pd.read_parquet(world.TRUTH / f"{name}.parquet"))[-1] == "truth"


@pytest.mark.slow
@pytest.mark.parametrize("name", company.WORLDS)
def test_the_frozen_effects_belong_to_the_company_as_it_is(name: str) -> None:
    """Counted anew in a smaller world; margins vary most, so the surest rows of each result are compared."""
    frozen = pd.read_parquet(world.TRUTH / f"{name}.parquet")
    keys = ["result", *dict.fromkeys(key for names in effects.KEYS.values() for key in names)]
    both = effects.compute(name, 50_000, seed=SEED + 500).merge(frozen, on=keys, suffixes=("", "_frozen"))
    assert len(both) == len(frozen[frozen["result"].isin(effects.KEYS)])
    share = both["result"].isin(["kinds", "stages_by_kind", "channels_by_kind", "service_failure"])
    share |= both["metric"].isin(["bought", "opted_out"]) & (both["result"] == "experiments")
    assert (both["truth"] - both["truth_frozen"])[share].abs().max() < 0.05
    value = both[(both["result"] == "value") & (both["kind"] == "(all)")]
    np.testing.assert_allclose(value["truth"], value["truth_frozen"], rtol=0.06)


# The broken world.


def test_the_broken_world_has_no_exact_posterior(broken: World) -> None:
    with pytest.raises(CxValueError, match="broken"):
        posterior(broken)


def test_what_biases_comparisons_is_left_out_of_the_fair_world_alone() -> None:
    as_is, fair = company.company("broken"), company.company("broken", fair=True)
    assert (as_is.boosts["checkout"][:, 0] > 1).all()
    assert (fair.boosts["checkout"][:, 0] == 1).all()
    assert (as_is.boosts["app_nudge"][:, 1] > 1).all()
    assert (fair.boosts["app_nudge"] == 1).all()
    assert as_is.breaks._replace(spill_over=0, nudge_sells=1, leaving_fails=0) == fair.breaks
    assert company.company("demo").breaks == company.company("demo", fair=True).breaks == programme.Breaks()


def test_in_the_broken_world_failures_hit_those_who_are_leaving(broken: World) -> None:
    calls = (
        broken.clean["touchpoints"]
        .query("touchpoint in @company.SERVICE")
        .merge(broken.who, on="customer_id")
    )
    chance = expit(programme.UNRESOLVED_ODDS[0] + programme.UNRESOLVED_ODDS[1] * calls["queue_min"])
    excess = (calls["outcome"] == "unresolved") - chance
    assert excess.sum() > 2 * (chance * (1 - chance)).sum() ** 0.5


def test_in_the_broken_world_customers_leave_early_and_some_regions_grow(broken: World) -> None:
    log = (
        broken.clean["touchpoints"]
        .query("touchpoint not in @company.ALONE")
        .sort_values(["customer_id", "ts"])
    )
    starts = ~(log.groupby("customer_id")["ts"].diff() <= pd.Timedelta(minutes=30))
    visits = starts.groupby(log["customer_id"]).sum()
    left = broken.who.set_index("customer_id")["left"].notna().reindex(visits.index)
    early = visits <= programme.EARLY_VISITS
    at_risk_early = np.minimum(visits, programme.EARLY_VISITS).sum()
    rates = (left & early).sum() / at_risk_early, (left & ~early).sum() / (visits.sum() - at_risk_early)
    assert rates[0] > 2 * rates[1]
    orders = broken.clean["orders"].merge(broken.clean["customers"], on="customer_id")
    late = (orders["ts"] >= day(240)).groupby(orders["region"]).mean()
    assert late["London"] > late["Transylvania"]
