"""What the company tries on its customers: who meets what, and that nothing else is disturbed by it."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit
from scipy.stats import chi2_contingency, chisquare

from cxlib.world import World, company, kinds, programme, simulate, trials, write_large
from cxlib.world.draw import unboosted

SEED = int(os.environ.get("CXLIB_SEED", "0"))
START = pd.Timestamp(company.START)
CHANCE = 1e-6  # a test of chance fails once in so many runs


@pytest.fixture(scope="module")
def world() -> World:
    return simulate(30_000, seed=SEED + 61, respond="all")


@pytest.fixture(scope="module")
def people(world: World) -> pd.DataFrame:
    """One row a customer, hidden things included, with the day of each single contact (NaN: none)."""
    frame = world.clean["customers"].merge(world.who, on="customer_id").set_index("customer_id")
    for name in ("app_link_card", "email_unsubscribe"):
        rows = world.clean["touchpoints"].query("touchpoint == @name")
        frame[name] = rows.set_index("customer_id")["ts"]
    return frame


def met(world: World, experiment: str) -> pd.Series:
    """The first variant of each customer in an experiment."""
    rows = world.clean["exposures"].query("experiment == @experiment").sort_values("ts")
    return rows.drop_duplicates("customer_id").set_index("customer_id")["variant"]


def days(number: int) -> pd.Timestamp:
    return START + pd.Timedelta(days=number)


# Who meets which variant.


@pytest.mark.parametrize("experiment", programme.EXPERIMENTS, ids=lambda e: e.name)
def test_variants_are_blind_to_kind_and_only_known_customers_meet_them(
    world: World, people: pd.DataFrame, experiment: programme.Experiment
) -> None:
    variant = met(world, experiment.name)
    assert set(variant) == set(experiment.variants)
    assert (people.loc[variant.index, "first_seen"] < days(experiment.start)).all()
    if experiment.name != programme.CLUSTERED:  # areas differ in their customers: that is what clusters do
        table = pd.crosstab(variant, people.loc[variant.index, "kind"])
        assert chi2_contingency(table).pvalue > CHANCE
    rows = world.clean["exposures"].query("experiment == @experiment.name")
    np.testing.assert_allclose(rows["propensity"], 1 / len(experiment.variants))
    assert (rows["stratum"].to_numpy() == people.loc[rows["customer_id"], "region"].to_numpy()).all()
    assert rows["cluster"].notna().all() == (experiment.name == programme.CLUSTERED)


def test_variants_are_as_frequent_as_planned_but_where_rows_were_lost(
    world: World, people: pd.DataFrame
) -> None:
    for e in programme.EXPERIMENTS:
        if e.name != programme.CLUSTERED:
            p = chisquare(met(world, e.name).value_counts()).pvalue
            assert (p < CHANCE) == (e.name == programme.LOSES_ROWS)
    variant = met(world, "new_search")
    known = people["first_seen"] < days(programme.EXPERIMENT["new_search"].start)
    lost = people[known & ~people.index.isin(variant.index)]
    assert len(lost) / (len(lost) + (variant == "new").sum()) == pytest.approx(0.15, abs=0.03)
    assert lost["activity"].mean() < 0.8 * people.loc[variant.index, "activity"].mean()


def test_few_meet_two_variants_and_the_first_comes_on_the_first_day(world: World) -> None:
    rows = world.clean["exposures"]
    twice = rows[rows.duplicated(["experiment", "customer_id"])]
    assert set(twice["experiment"]) == {"home_page"}
    assert len(twice) / met(world, "home_page").size == pytest.approx(programme.MET_TWO, abs=0.006)
    assert (twice["ts"] > days(programme.EXPERIMENT["home_page"].start)).all()
    assert (twice["variant"].to_numpy() != met(world, "home_page")[twice["customer_id"]].to_numpy()).all()


def test_the_clustered_experiment_treats_whole_areas_a_third_of_each_region_an_arm(world: World) -> None:
    rows = world.clean["exposures"].query("experiment == 'checkout'")
    assert (rows.groupby("cluster")["variant"].nunique() == 1).all()
    areas = rows.drop_duplicates("cluster")
    assert (areas.groupby(["stratum", "variant"]).size() == programme.AREAS_PER_REGION / 3).all()
    assert (rows["cluster"].str.rsplit(" ", n=1).str[0] == rows["stratum"]).all()


# E-mails.


def test_e_mails_come_as_often_as_assigned_until_somebody_opts_out(
    world: World, people: pd.DataFrame
) -> None:
    mails = world.clean["touchpoints"].query("touchpoint == 'email_offer'")
    frequency = met(world, "email_frequency").astype(int)
    assert people.loc[frequency.index, "consent"].all()
    sent = mails.groupby("customer_id").size().reindex(frequency.index, fill_value=0)
    out = people.loc[frequency.index, "email_unsubscribe"]
    assert (sent[out.isna()] == 3 * frequency[out.isna()]).all()
    assert (sent[out.notna()] <= 3 * frequency[out.notna()]).all()
    assert not (mails["ts"] > mails["customer_id"].map(people["email_unsubscribe"])).any()
    assert set(mails["customer_id"]) <= set(frequency.index)
    for f, gone in out.notna().groupby(frequency):
        chance = 1 - (1 - programme.OPT_OUT[0] - programme.OPT_OUT[1] * f) ** (3 * f)
        assert abs(gone.mean() - chance) < 5 * (0.25 / len(gone)) ** 0.5


def test_e_mails_have_no_cookie_and_are_known_and_never_fall_into_a_visit(world: World) -> None:
    log = world.tables["touchpoints"]
    mails = log[log["touchpoint"].isin(["email_offer", "email_unsubscribe"])]
    assert mails["anonymous_id"].isna().all()
    assert mails["customer_id"].notna().all()
    assert mails["device"].isna().all()
    clean = world.clean["touchpoints"].sort_values(["customer_id", "ts"])
    same = clean["customer_id"].eq(clean["customer_id"].shift())
    pause = clean["ts"].diff().where(same)
    assert pause[clean["touchpoint"] == "email_offer"].min() > pd.Timedelta(minutes=30)


# The card.


def test_the_card_is_linked_when_the_region_is_offered_it_by_the_active_or_by_the_nudge(
    world: World, people: pd.DataFrame
) -> None:
    linked, offer = (
        people["app_link_card"],
        days(0) + pd.to_timedelta(people["region"].map(programme.OFFERED), "D"),
    )
    nudge = programme.EXPERIMENT["app_nudge"]
    by_itself = linked < days(nudge.start)
    assert (linked >= offer)[by_itself].all()
    assert (linked - offer)[by_itself].max() < pd.Timedelta(days=programme.LINK_DAYS)
    assert (people["first_seen"] < offer)[by_itself].all()
    there = (people["first_seen"] < offer) & ~(
        people["left"] < offer + pd.Timedelta(days=programme.LINK_DAYS)
    )
    chance = expit(programme.LINK_ODDS[0] + programme.LINK_ODDS[1] * np.log(people.loc[there, "activity"]))
    for _, part in (by_itself[there] - chance).groupby(pd.qcut(chance, 4)):
        assert abs(part.mean()) < 5 * (0.25 / len(part)) ** 0.5
    variant = met(world, "app_nudge")
    assert not by_itself[variant.index].any()
    linkers = linked[linked >= days(nudge.start)].index
    assert (variant[linkers] == "nudge").all()
    stayed = variant[variant == "nudge"].index.intersection(people.index[people["left"].isna()])
    share = stayed.isin(linkers).mean()
    assert abs(share - programme.NUDGE_LINKS) < 5 * (0.25 / len(stayed)) ** 0.5


# Leaving.


def test_who_has_left_makes_no_visit_any_more_and_links_no_card(world: World, people: pd.DataFrame) -> None:
    log = world.clean["touchpoints"]
    visits = log[~log["touchpoint"].isin(["email_offer", "email_unsubscribe"])]
    left = visits["customer_id"].map(people["left"])
    assert not (visits["ts"] > left).any()
    assert 0.1 < people["left"].notna().mean() < 0.3


def test_customers_leave_after_a_visit_at_their_kinds_rate_and_far_more_often_after_a_failure(
    world: World, people: pd.DataFrame
) -> None:
    log = world.clean["touchpoints"].query("touchpoint not in @company.ALONE")
    log = log.sort_values(["customer_id", "ts"])
    starts = ~(log.groupby("customer_id")["ts"].diff() <= pd.Timedelta(minutes=30))
    log = log.assign(bad=log["outcome"] == "unresolved").groupby(starts.cumsum())
    visits = log.agg({"customer_id": "first", "ts": "max", "bad": "max"})
    visits = visits.join(people[["kind", "referred_by", "left"]], on="customer_id")
    visits["leaves"] = visits["left"].sub(visits["ts"]) == pd.Timedelta(seconds=1)
    assert visits["leaves"].sum() == people["left"].notna().sum()
    rate = {k.name: k.leaves for k in kinds.FIVE}
    base = visits["kind"].map(rate) * np.where(visits["referred_by"].notna(), programme.REFERRED_LEAVES, 1.0)
    expected = 1 - (1 - base) * (1 - programme.UNRESOLVED_LEAVES * visits["bad"])
    groups = [visits["bad"], visits["kind"], visits["referred_by"].notna()]
    for group in groups:
        for _, gap in (visits["leaves"] - expected).groupby(group):
            assert abs(gap.sum()) < 5 * (expected[gap.index] * (1 - expected[gap.index])).sum() ** 0.5


# Service.


def test_a_contact_is_left_unresolved_by_the_waiting_line_alone(world: World) -> None:
    calls = (
        world.clean["touchpoints"].query("touchpoint in @company.SERVICE").merge(world.who, on="customer_id")
    )
    assert calls["queue_min"].notna().all()
    rest = world.clean["touchpoints"].query("touchpoint not in @company.SERVICE")
    assert rest["queue_min"].isna().all()
    assert not (rest["outcome"] == "unresolved").any()
    chance = expit(programme.UNRESOLVED_ODDS[0] + programme.UNRESOLVED_ODDS[1] * calls["queue_min"])
    gap = (calls["outcome"] == "unresolved") - chance
    for group in (
        pd.qcut(calls["queue_min"], 5),
        calls["kind"],
        calls["touchpoint"],
        pd.qcut(calls["activity"], 4),
    ):
        for _, part in gap.groupby(group, observed=True):
            p = chance[part.index]
            assert abs(part.sum()) < 5 * (p * (1 - p)).sum() ** 0.5


def test_gold_customers_wait_less_and_december_is_the_worst_month(world: World, people: pd.DataFrame) -> None:
    calls = world.clean["touchpoints"].query("touchpoint == 'call_support'")
    tier = calls["customer_id"].map(people["loyalty_tier"])
    median = calls["queue_min"].groupby(tier).median()
    assert median["gold"] < 0.5 * median["basic"]
    by_month = calls["queue_min"].groupby(calls["ts"].dt.month).median()
    assert by_month[12] > 1.8 * by_month.loc[3:8].mean()


def test_a_failed_contact_lowers_satisfaction(world: World) -> None:
    surveys = world.clean["surveys"].query("touchpoint == 'call_support' and question == 'nps'")
    calls = world.clean["touchpoints"].query("touchpoint == 'call_support'")
    both = pd.merge_asof(
        surveys.sort_values("ts"), calls[["customer_id", "ts", "outcome"]], on="ts", by="customer_id"
    )
    score = both.groupby("outcome")["score"].mean()
    assert score["unresolved"] < score["solved"] - 0.8


# Tiers.


def test_the_tier_follows_activity_and_costs_margin(world: World, people: pd.DataFrame) -> None:
    mean = people.groupby("loyalty_tier")["activity"].mean()
    assert mean["basic"] < mean["silver"] < mean["gold"]
    orders = world.clean["orders"]
    rate = (orders["margin"] / orders["revenue"]).groupby(
        [orders["customer_id"].map(people["loyalty_tier"]), orders["channel"]]
    )
    for channel in company.MARGIN:
        for tier, cost in zip(company.TIERS, programme.TIER_COST, strict=True):
            one = rate.get_group((tier, channel))
            assert abs(one.mean() - company.MARGIN[channel] + cost) < 5 * 0.04 / len(one) ** 0.5


# The boost.


@pytest.mark.parametrize("boost", [0.3, 1.0, 2.2])
def test_a_boost_multiplies_the_flow_into_the_stage_and_renormalises(boost: float) -> None:
    row = np.array([0.2, 0.1, 0.25, 0.05, 0.4])  # the stage: the third and fourth
    u = (np.arange(100_000) + 0.5) / 100_000
    w = unboosted(u, np.array(boost), np.array(0.3), np.array(0.3))
    share = np.bincount((w[:, None] >= row.cumsum()[:-1]).sum(1), minlength=5) / len(u)
    wanted = row * [1, 1, boost, boost, 1]
    np.testing.assert_allclose(share, wanted / wanted.sum(), atol=1e-4)


def test_boosts_multiply_and_end_in_time() -> None:
    one = np.ones(2)
    spells = [(0 * one, 10 * one, 2 * one), (5 * one, 20 * one, np.array([3.0, 0.5]))]
    at = np.array([0, 4, 5, 9, 10, 19, 20])
    assert trials.boost(spells, np.zeros(7, int), at).tolist() == [2, 2, 6, 6, 3, 3, 1]
    assert trials.boost(spells, np.ones(7, int), at).tolist() == [2, 2, 1, 1, 0.5, 0.5, 1]


# Parts and worlds.


def test_parts_of_a_large_world_agree_on_areas_and_the_first_is_the_small_world(tmp_path: Path) -> None:
    folder = write_large(tmp_path / "large", 1500, seed=SEED + 5, chunk=500)
    rows = pd.read_parquet(folder / "exposures").query("experiment == 'checkout'")
    assert (rows.groupby("cluster")["variant"].nunique() == 1).all()
    alone = simulate(500, seed=SEED + 5)
    for name in ("touchpoints", "exposures", "customers"):
        first = pd.read_parquet(folder / name / "part-00000.parquet")
        pd.testing.assert_frame_equal(first, alone.tables[name], check_dtype=False)


def test_in_the_broken_world_visits_come_in_bursts_and_by_habit() -> None:
    worlds = [simulate(6000, seed=SEED + 7, world=name, faults=False) for name in ("demo", "broken")]
    again, burst = [], []
    for w in worlds:
        log = (
            w.clean["touchpoints"]
            .query("touchpoint not in @company.ALONE")
            .sort_values(["customer_id", "ts"])
        )
        pause = log.groupby("customer_id")["ts"].diff()
        entry = log[~(pause <= pd.Timedelta(minutes=30))]
        again.append((entry["touchpoint"] == entry.groupby("customer_id")["touchpoint"].shift()).mean())
        gap = entry.groupby("customer_id")["ts"].diff().dt.days.dropna()
        burst.append(gap.std() / gap.mean())
    assert again[1] > again[0] + 0.15
    assert burst[1] > burst[0] + 0.05
