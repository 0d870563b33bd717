"""Chance at equal load, a randomised nudge, a staggered roll-out: what was planted, and words that are earned."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from scipy import special

from cxlib.errors import CxError, CxValueError
from cxlib.revenue import (
    Rollout,
    adjusted,
    as_good_as_random,
    difference,
    encouraged,
    ladder,
    rollout,
)
from tests import harness

FAILURE, LINKED = -0.12, 8.0
KEYS = ["result", "cell", "estimate", "low", "high", "truth", "expected"]


def callers(n: int, rng: np.random.Generator) -> pd.DataFrame:
    """Active customers hold the gold card and wait less; a failure is drawn given the wait alone and costs
    FAILURE of the share who come back."""
    activity = rng.gamma(2.5, 0.4, n)
    gold = rng.random(n) < special.expit(3 * activity - 3)
    queue = rng.gamma(2, np.where(gold, 1.5, 6.0))
    failed = rng.random(n) < special.expit(-2.2 + 0.15 * queue)
    back = 0.2 + 0.2 * np.tanh(activity) + 0.3 * gold
    return pd.DataFrame(
        {
            "failed": failed.astype(int),
            "queue": queue,
            "activity": activity,
            "back": (rng.random(n) < back + FAILURE * failed).astype(int),
        }
    )


def linkers(n: int, rng: np.random.Generator, moved: float = 0.35) -> pd.DataFrame:
    """The keen link by themselves and spend more; a nudge moves some others; linking is worth LINKED."""
    keen, nudged = rng.random(n), rng.random(n) < 0.5
    linked = (keen > 0.8) | (nudged & (keen > 0.8 - moved))
    spent = 40 * keen * rng.lognormal(0, 0.6, n) + LINKED * linked
    return pd.DataFrame({"nudged": nudged, "linked": linked, "spent": spent, "keen": keen})


def regions(n: int, rng: np.random.Generator, effect: float = 3.0, ahead: float = 0.0) -> pd.DataFrame:
    """Five regions of different level, in periods of different level; four get the offer one after the other,
    worth `effect` each period; `ahead` is a growth of the first ones that nobody caused."""
    region = rng.integers(0, 5, n)
    panel = pd.MultiIndex.from_product([range(n), range(7)], names=["customer_id", "period"])
    frame = panel.to_frame(index=False)
    mine = region[frame["customer_id"]]
    frame["region"], frame["begins"] = mine, np.where(mine < 4, mine + 2.0, np.nan)
    level = np.repeat(rng.gamma(2, 5, n), 7) + 3 * mine + np.array([0, 2, 1, 5, 3, 0, 4])[frame["period"]]
    level = level + ahead * (4 - mine) * frame["period"]
    frame["spent"] = level + effect * (frame["period"] >= frame["begins"]) + rng.gamma(1, 8, len(frame)) - 8
    return frame


def row(result: str, found: object, truth: float) -> tuple:
    return (result, "effect", found.estimate, found.low, found.high, truth, 1e3)


# ---------------------------------------------------------------- they find what was planted


@pytest.mark.slow
def test_identified_intervals_hold_the_planted_effect_and_naive_ones_do_not(base_seed: int) -> None:
    def draw(seed: int) -> pd.DataFrame:
        rng = np.random.default_rng(seed)
        calls, links, panel = callers(800, rng), linkers(800, rng), regions(400, rng)
        of = {"treated": "failed", "outcome": "back"}
        rows = [
            row("chance", as_good_as_random(calls, **of, given="queue"), FAILURE),
            row("chance, sharper", as_good_as_random(calls, **of, given="queue", covariates=["activity"]), FAILURE),
            row("nudge", encouraged(links, nudged="nudged", adopted="linked", outcome="spent"), LINKED),
            row("naive link", difference(links, treated="linked", outcome="spent"), LINKED),
            row("roll-out", rollout(panel, outcome="spent").effect, 3.0),
        ]  # fmt: skip
        return pd.DataFrame(rows, columns=KEYS)

    bar = harness.coverage(draw, 300, base_seed)
    for result in ("chance", "chance, sharper", "nudge", "roll-out"):
        assert not bar.rejects(0.92, 0.97, result), bar.table().to_string()
    assert bar.table().set_index("result").loc["naive link", "estimate"] < 0.05


@pytest.mark.slow
def test_a_weak_nudge_still_holds_the_effect_mostly_by_giving_no_bounds(base_seed: int) -> None:
    def draw(seed: int) -> pd.DataFrame:
        found = encouraged(
            linkers(300, np.random.default_rng(seed), moved=0.02), nudged="nudged", adopted="linked", outcome="spent"
        )  # fmt: skip
        return pd.DataFrame([row("weak", found, LINKED)], columns=KEYS)

    bar = harness.coverage(draw, 300, base_seed)
    assert not bar.rejects(0.93, 0.98)
    assert np.isinf(bar.cells["width"]).all()


def test_a_ladder_of_a_failure_has_the_effect_nearer_to_the_truth(base_seed: int) -> None:
    frame, of = callers(20_000, np.random.default_rng(base_seed)), {"treated": "failed", "outcome": "back"}
    rungs = ladder(
        difference(frame, **of),
        adjusted(frame, **of, covariates=["activity"]),
        as_good_as_random(frame, **of, given="queue"),
        says="Calls",
    )
    errors = (rungs.table()["estimate"] - FAILURE).abs()
    assert errors.iloc[2] < errors.iloc[0]
    assert rungs.claim().startswith("Calls: naive")


# ---------------------------------------------------------------- against other people's arithmetic


def test_without_covariates_the_nudge_is_walds_ratio(base_seed: int) -> None:
    frame = linkers(500, np.random.default_rng(base_seed))
    found = encouraged(frame, nudged="nudged", adopted="linked", outcome="spent")
    means = frame.astype(float).groupby("nudged")[["spent", "linked"]].mean().diff().iloc[1]
    assert found.estimate == pytest.approx(means["spent"] / means["linked"])


def test_anderson_and_rubins_ends_are_where_the_reduced_form_no_longer_differs(base_seed: int) -> None:
    """At an end, the nudge's robust t on spent - end * linked, by statsmodels, is exactly critical."""
    frame = linkers(500, np.random.default_rng(base_seed)).astype(float)
    found = encouraged(frame, nudged="nudged", adopted="linked", outcome="spent", covariates=["keen"])
    for end in (found.low, found.high):
        y = frame["spent"] - end * frame["linked"]
        fit = sm.OLS(y, sm.add_constant(frame[["nudged", "keen"]])).fit(cov_type="HC2", use_t=True)
        assert fit.pvalues["nudged"] == pytest.approx(0.05, abs=1e-6)


def test_where_everybody_obeys_the_nudge_it_is_the_randomised_difference(base_seed: int) -> None:
    frame = linkers(400, np.random.default_rng(base_seed)).assign(linked=lambda f: f["nudged"])
    found = encouraged(frame, nudged="nudged", adopted="linked", outcome="spent")
    plain = difference(frame, treated="nudged", outcome="spent", randomised=True)
    assert [found.estimate, found.se] == pytest.approx([plain.estimate, plain.se])
    assert [found.low, found.high] == pytest.approx([plain.low, plain.high], rel=1e-3)


def test_with_one_load_for_all_chance_is_the_difference(base_seed: int) -> None:
    frame = callers(500, np.random.default_rng(base_seed)).assign(queue=1.0)
    of = {"treated": "failed", "outcome": "back"}
    found, plain = as_good_as_random(frame, **of, given="queue"), difference(frame, **of)
    assert [found.estimate, found.se] == pytest.approx([plain.estimate, plain.se], rel=0.01)


def test_with_a_load_of_few_values_chance_is_the_stratified_difference(base_seed: int) -> None:
    frame = callers(3000, np.random.default_rng(base_seed))
    frame["queue"] = np.digitize(frame["queue"], [3, 8])
    found = as_good_as_random(frame, treated="failed", outcome="back", given="queue")
    means = frame.groupby(["queue", "failed"])["back"].mean().unstack()
    assert found.estimate == pytest.approx(
        (means[1] - means[0]) @ frame["queue"].value_counts(normalize=True).sort_index()
    )


def test_card_and_kruegers_two_by_two(base_seed: int) -> None:
    """1994, American Economic Review 84, table 3: employment per store, New Jersey 20.44 to 21.03,
    Pennsylvania 23.33 to 21.17. The change of the one less that of the other: 2.75 (printed, unrounded: 2.76)."""
    means = {("NJ", 0): 20.44, ("NJ", 1): 21.03, ("PA", 0): 23.33, ("PA", 1): 21.17}
    noise = np.random.default_rng(base_seed).normal(0, 9, (2, 60))
    rows = [
        (f"{state}{store}", state, when, means[state, when] + (noise[when] - noise[when].mean())[store])
        for state, when in means
        for store in range(60)
    ]
    panel = pd.DataFrame(rows, columns=["customer_id", "region", "period", "jobs"])
    panel["begins"] = panel["region"].map({"NJ": 1.0})
    assert rollout(panel, outcome="jobs").effect.estimate == pytest.approx(2.75, abs=1e-9)


def test_two_by_two_is_the_regression_of_changes_with_its_robust_error(base_seed: int) -> None:
    panel = regions(300, np.random.default_rng(base_seed)).query("period in (2, 3)")
    panel = panel.assign(begins=np.where(panel["region"] == 1, 3.0, np.nan))
    found = rollout(panel, outcome="spent").effect
    wide = panel.pivot(index="customer_id", columns="period", values="spent")
    live = panel.groupby("customer_id")["begins"].first().notna().astype(float)
    fit = sm.OLS(wide[3] - wide[2], sm.add_constant(live.rename("live"))).fit(cov_type="HC2")
    assert [found.estimate, found.se] == pytest.approx([fit.params["live"], fit.bse["live"]])


def test_a_staggered_rollout_is_the_hand_computed_mean_of_its_comparisons(base_seed: int) -> None:
    panel = regions(300, np.random.default_rng(base_seed))
    mean = panel.pivot_table(index="region", columns="period", values="spent")
    sizes = panel.query("period == 0").groupby("region").size()
    found, weight = [], []
    for region in range(4):
        begin = region + 2
        for at in range(begin, 7):
            waiting = [other for other in range(5) if other == 4 or other + 2 > at]
            rest = panel[panel["region"].isin(waiting)].pivot_table(index="period", values="spent")["spent"]
            found.append(mean.loc[region, at] - mean.loc[region, begin - 1] - rest[at] + rest[begin - 1])
            weight.append(sizes[region])
    assert rollout(panel, outcome="spent").effect.estimate == pytest.approx(np.average(found, weights=weight))


def test_the_rollouts_error_is_that_of_leaving_out_one_customer_at_a_time(base_seed: int) -> None:
    panel = regions(60, np.random.default_rng(base_seed))
    whole = rollout(panel, outcome="spent").effect
    without = [rollout(panel[panel["customer_id"] != i], outcome="spent").effect.estimate for i in range(60)]
    jackknife = np.sqrt(59 / 60 * ((np.array(without) - np.mean(without)) ** 2).sum())
    assert whole.se == pytest.approx(jackknife, rel=0.12)


# ---------------------------------------------------------------- words


def test_each_design_says_what_must_be_true_and_what_the_reader_must_know(base_seed: int) -> None:
    rng = np.random.default_rng(base_seed)
    calls, links = callers(2000, rng), linkers(2000, rng)
    chance = as_good_as_random(calls, treated="failed", outcome="back", given="queue")
    assert chance.claim().startswith("If at equal queue chance alone decides, the effect on back is")
    assert "The chance of failed runs from" in chance.claim()
    nudge = encouraged(links, nudged="nudged", adopted="linked", outcome="spent")
    assert nudge.claim().startswith("If the nudge works through adoption alone, the effect on spent is")
    assert "whom the nudge made adopt" in nudge.claim()
    assert ladder(identified=nudge).rungs[0].rung == "identified"


def test_a_nudge_that_moved_hardly_anybody_gives_no_bounds_and_says_so(base_seed: int) -> None:
    spent = np.random.default_rng(base_seed).lognormal(3, 1, 400)
    frame = pd.DataFrame(
        {"nudged": np.repeat([0, 1], 200), "linked": np.arange(400) % 5 == 0, "spent": spent}
    )
    frame.loc[201, "linked"] = True  # one more than without the nudge
    found = encouraged(frame, nudged="nudged", adopted="linked", outcome="spent")
    assert [found.low, found.high] == [-np.inf, np.inf]
    assert "no bound can be given" in found.claim()
    assert "too few" in found.claim()
    assert "The effect is not known." in ladder(identified=found).claim()


def test_regions_on_their_way_apart_are_not_believed(base_seed: int) -> None:
    rng = np.random.default_rng(base_seed)
    fair, apart = (rollout(regions(1500, rng, ahead=ahead), outcome="spent") for ahead in (0.0, 2.0))
    assert isinstance(fair, Rollout)
    assert fair.parallel()
    assert "a shock to one of them alone is not in the interval" in fair.claim()
    assert not apart.parallel()
    assert "do not believe it" in apart.claim()


def test_one_period_before_leaves_parallel_trends_unseen(base_seed: int) -> None:
    panel = regions(200, np.random.default_rng(base_seed)).query("period >= 1 and region in (0, 4)")
    assert "no period before" in rollout(panel, outcome="spent").claim()


def test_customers_join_the_comparison_only_where_they_were_known_before_the_start(base_seed: int) -> None:
    panel = regions(400, np.random.default_rng(base_seed))
    known = np.random.default_rng(base_seed + 1).integers(-2, 6, 400)[panel["customer_id"]]
    found = rollout(panel.assign(known=known), outcome="spent", known="known")
    assert found.effect.n < rollout(panel, outcome="spent").effect.n


# ---------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    ("change", "options", "message"),
    [
        ({"queue": 10.0 * np.arange(300)}, {}, "too few to compare"),
        ({"queue": "long"}, {}, "`queue` must be numbers"),
        ({}, {"given": "que"}, "Did you mean `queue`"),
        ({}, {"covariates": ["queue"]}, "cannot also be a covariate"),
        ({"failed": 0}, {}, "two treated and two controls"),
    ],
)
def test_chance_refuses_what_it_cannot_compare(
    base_seed: int, change: dict, options: dict, message: str
) -> None:
    frame = callers(300, np.random.default_rng(base_seed))
    frame["failed"] = (frame.index >= 150).astype(int)
    of = {"treated": "failed", "outcome": "back", "given": "queue", **options}
    with pytest.raises(CxError, match=message):
        as_good_as_random(frame.assign(**change), **of)


def test_a_nudge_and_a_rollout_refuse_what_they_cannot_compare(base_seed: int) -> None:
    rng = np.random.default_rng(base_seed)
    links, panel = linkers(100, rng), regions(50, rng)
    of = {"nudged": "nudged", "adopted": "linked", "outcome": "spent"}
    with pytest.raises(CxValueError, match="moved nobody"):
        encouraged(links.assign(linked=False), **of)
    with pytest.raises(CxValueError, match=r"must be 0 .has not. or 1"):
        encouraged(links.assign(linked=2.0), **of)
    with pytest.raises(CxValueError, match=r"one row for each of 50 customers in each of 7 periods"):
        rollout(panel.iloc[1:], outcome="spent")
    with pytest.raises(CxValueError, match="nothing to compare"):
        rollout(panel.assign(begins=3.0), outcome="spent")
