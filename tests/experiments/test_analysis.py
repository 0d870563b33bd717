"""Effects against published numbers and plain pandas, what must always hold, and each verdict where it is right."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats as distributions

import cxlib as cx
from cxlib import stats
from cxlib.errors import CxLookupError, CxValueError
from cxlib.experiments import Analysis, Moments, aggregates, analyze, contrast
from cxlib.experiments.analysis import BROKEN, UNEVEN
from cxlib.readers import hillstrom
from tests import harness

SEED = int(os.environ.get("CXLIB_SEED", "0"))
METRICS = ["bought", "spend", "spend/visits"]


def world(seed: int, n: int = 400, lift: float = 0.0, missing: float = 0.0) -> pd.DataFrame:
    """One row a customer: two arms, a skewed spend, a purchase, visits, and spend before; `lift` multiplies
    the rates of the treated."""
    rng = np.random.default_rng(SEED + seed)
    taste = rng.gamma(2.0, 0.5, n)
    treated = rng.permutation(n) < n / 2
    rate = taste * (1 + lift * treated)
    visits = 1 + rng.poisson(2 * taste)
    frame = pd.DataFrame(
        {
            "arm": np.where(treated, "new", "control"),
            "bought": rng.random(n) < np.minimum(0.2 * rate, 0.95),
            "spend": visits * rng.gamma(1.0, 5.0, n) * (1 + lift * treated),
            "visits": visits,
            "before": taste * rng.gamma(3.0, 2.0, n),
            "age": rng.normal(40, 10, n),
        }
    )
    if missing:
        frame["spend"] = frame["spend"].mask(rng.random(n) < missing)
    return frame


def one(result: Analysis, metric: str) -> pd.Series:
    return result.table().set_index("metric").loc[metric]


# --- published numbers -------------------------------------------------------------------------


@pytest.fixture(scope="module")
def emails(mirror: Path) -> pd.DataFrame:
    return hillstrom.read({hillstrom.FILE: mirror / "hillstrom" / hillstrom.FILE})


def test_hillstrom_arm_means_are_those_published(emails: pd.DataFrame) -> None:
    result = analyze(emails, "segment", ["visit", "conversion", "spend"], control="No E-Mail")
    means = result.means.pivot(index="metric", columns="arm", values="estimate").round(6)
    assert means.loc["visit"].to_dict() == {
        "Mens E-Mail": 0.182757, "Womens E-Mail": 0.151400, "No E-Mail": 0.106167,
    }  # fmt: skip
    assert means.loc["conversion"].to_dict() == {
        "Mens E-Mail": 0.012531, "Womens E-Mail": 0.008837, "No E-Mail": 0.005726,
    }  # fmt: skip
    assert means.loc["spend"].to_dict() == {
        "Mens E-Mail": 1.422617, "Womens E-Mail": 1.077202, "No E-Mail": 0.652789,
    }  # fmt: skip


def test_hillstrom_effects_and_sample_ratio_are_those_published(emails: pd.DataFrame) -> None:
    result = analyze(emails, "segment", ["visit", "spend"], control="No E-Mail")
    table = result.table().set_index(["metric", "arm"])
    visit, spend = table.loc["visit"], table.loc["spend"]
    assert visit["estimate"].round(5).tolist() == [0.07659, 0.04523]
    assert visit["se"].round(5).tolist() == [0.00339, 0.00323]
    assert spend.loc["Mens E-Mail", ["estimate", "low", "high"]].astype(float).round(3).tolist() == [
        0.770,
        0.485,
        1.055,
    ]
    assert spend.loc["Womens E-Mail", ["estimate", "low", "high"]].astype(float).round(3).tolist() == [
        0.424,
        0.169,
        0.680,
    ]
    assert round(result.check.p, 3) == 0.904
    assert result.verdict == "ship"


def test_hillstrom_history_saves_under_half_a_percent(emails: pd.DataFrame) -> None:
    result = analyze(emails, "segment", ["visit", "spend"], covariates="history", control="No E-Mail")
    assert result.table()["saved"].between(0, 0.005).all()


def test_a_t_test_from_sums_is_that_of_gbstats() -> None:
    # gbstats' own test of the relative effect of a mean
    moments = Moments(
        ("control", "new"), ("revenue",), np.array([3407.0, 3461.0]), np.array([[1396.87], [2422.7]]),
        np.array([[[52377.9767]], [[134698.29]]]), np.zeros(1),
    )  # fmt: skip
    found = contrast(moments)
    assert [round(float(value), 5) for value in found.lift] == [0.70732, -0.03526, 1.44989, 0.37879]
    assert round(found.lift_p, 5) == 0.06191


def test_a_mean_is_welchs_t_test() -> None:
    frame = world(1)
    row = one(analyze(frame, "arm", "spend"), "spend")
    new, old = (frame.loc[frame["arm"] == arm, "spend"] for arm in ("new", "control"))
    theirs = distributions.ttest_ind(new, old, equal_var=False)
    assert row["p"] == pytest.approx(theirs.pvalue, rel=1e-10)
    assert [row["low"], row["high"]] == pytest.approx(list(theirs.confidence_interval()), rel=1e-10)


def test_cuped_is_the_regression_on_arm_and_covariates() -> None:
    frame = world(2)
    row = one(analyze(frame, "arm", "spend", covariates=["before", "age"]), "spend")
    design = np.c_[np.ones(len(frame)), frame["arm"] == "new", frame["before"], frame["age"]]
    slope = np.linalg.lstsq(design, frame["spend"].to_numpy(), rcond=None)[0]
    assert row["estimate"] == pytest.approx(slope[1], rel=1e-9)


def test_a_ratio_is_that_of_sums_and_its_error_the_spread_of_resampled_ones() -> None:
    frame = world(3, n=600)
    row = one(analyze(frame, "arm", "spend/visits"), "spend/visits")
    sums = frame.groupby("arm")[["spend", "visits"]].sum()
    ratio = sums["spend"] / sums["visits"]
    assert row["estimate"] == pytest.approx(ratio["new"] - ratio["control"])
    assert row["lift"] == pytest.approx(ratio["new"] / ratio["control"] - 1)
    rng, spread = np.random.default_rng(SEED), []
    parts = [frame.loc[frame["arm"] == arm, ["spend", "visits"]].to_numpy() for arm in ("new", "control")]
    for _ in range(500):
        again = [part[rng.integers(0, len(part), len(part))].sum(axis=0) for part in parts]
        spread.append(again[0][0] / again[0][1] - again[1][0] / again[1][1])
    assert row["se"] == pytest.approx(np.std(spread), rel=0.15)


# --- what must always hold ---------------------------------------------------------------------

seeds = st.integers(0, 10_000)


@settings(max_examples=25, deadline=None)
@given(seeds)
def test_swapping_the_arms_turns_every_difference_round(seed: int) -> None:
    frame = world(seed, n=80)
    for covariates in (None, ["before"]):
        here = analyze(frame, "arm", METRICS, covariates, control="control").table()
        there = analyze(frame, "arm", METRICS, covariates, control="new").table()
        np.testing.assert_allclose(here["estimate"], -there["estimate"], atol=1e-9)
        np.testing.assert_allclose(here["low"], -there["high"], atol=1e-9)
        np.testing.assert_allclose(here["p"], there["p"], rtol=1e-7)


@settings(max_examples=25, deadline=None)
@given(seeds, st.floats(-1e6, 1e6), st.floats(0.01, 1e4))
def test_a_constant_added_leaves_the_difference_and_a_factor_scales_it(
    seed: int, plus: float, times: float
) -> None:
    frame = world(seed, n=80)
    base = one(analyze(frame, "arm", "spend", "before"), "spend")
    moved = one(analyze(frame.assign(spend=frame["spend"] + plus), "arm", "spend", "before"), "spend")
    scaled = one(analyze(frame.assign(spend=frame["spend"] * times), "arm", "spend", "before"), "spend")
    numbers = ["estimate", "low", "high", "se"]
    np.testing.assert_allclose(
        moved[numbers].astype(float), base[numbers].astype(float), rtol=1e-6, atol=1e-8
    )
    np.testing.assert_allclose(scaled[numbers].astype(float), base[numbers].astype(float) * times, rtol=1e-9)
    same = ["p", "lift", "lift_low", "lift_high", "saved"]
    np.testing.assert_allclose(scaled[same].astype(float), base[same].astype(float), rtol=1e-7, atol=1e-12)


@settings(max_examples=15, deadline=None)
@given(seeds)
def test_the_order_of_customers_columns_and_covariates_changes_nothing(seed: int) -> None:
    frame = world(seed, n=80, missing=0.1)
    shuffled = frame.sample(frac=1, random_state=seed)[list(reversed(frame.columns))]
    here = analyze(frame, "arm", METRICS, ["before", "age"]).table()
    there = analyze(shuffled, "arm", METRICS, ["age", "before"]).table()
    pd.testing.assert_frame_equal(here, there, rtol=1e-7)


@settings(max_examples=15, deadline=None)
@given(seeds)
def test_a_covariate_given_twice_or_constant_or_rescaled_changes_nothing(seed: int) -> None:
    frame = world(seed, n=80).assign(flat=1.0, cents=lambda f: 100 * f["before"])
    once = one(analyze(frame, "arm", "spend", ["before"]), "spend")
    again = one(analyze(frame, "arm", "spend", ["before", "cents", "flat"]), "spend")
    assert again["estimate"] == pytest.approx(once["estimate"], rel=1e-6, abs=1e-9)


def test_a_large_constant_costs_no_digits() -> None:
    frame = world(4)
    base = one(analyze(frame, "arm", "spend"), "spend")
    far = one(analyze(frame.assign(spend=frame["spend"] + 1e9), "arm", "spend"), "spend")
    assert far["se"] == pytest.approx(base["se"], rel=1e-6)


def test_moments_that_an_engine_summed_with_another_shift_give_the_same() -> None:
    frame = world(5)
    ours = aggregates(frame, "arm", ["spend", "before"], ["control", "new"])
    rows = [frame.loc[frame["arm"] == arm, ["spend", "before"]].to_numpy() for arm in ours.arms]
    sums, products = np.stack([r.sum(axis=0) for r in rows]), np.stack([r.T @ r for r in rows])
    plain = Moments(ours.arms, ours.columns, ours.n, sums, products, np.zeros(2))
    assert float(contrast(plain).difference.se) == pytest.approx(
        float(contrast(ours).difference.se), rel=1e-9
    )


# --- what the intervals hold -------------------------------------------------------------------


def _draw(truth: dict[str, float], lift: float, covariates: list[str] | None):
    def draw(seed: int) -> pd.DataFrame:
        table = analyze(world(seed, n=500, lift=lift), "arm", METRICS, covariates, limit=0).table()
        table["truth"] = table["metric"].map(truth)
        return table.assign(result=table["metric"], expected=50.0)[
            ["result", "arm", "estimate", "low", "high", "truth", "expected"]
        ]

    return draw


@pytest.mark.slow
@pytest.mark.parametrize("covariates", [None, ["before", "age"]])
def test_an_a_a_test_is_wrong_as_often_as_promised(covariates: list[str] | None) -> None:
    bar = harness.coverage(_draw(dict.fromkeys(METRICS, 0.0), 0.0, covariates), 400, SEED)
    assert not bar.rejects(0.92, 0.97), bar.table()


@pytest.mark.slow
@pytest.mark.parametrize("covariates", [None, ["before", "age"]])
def test_intervals_hold_the_effect_that_was_planted(covariates: list[str] | None) -> None:
    # taste has mean 1; a customer makes 1 + Poisson(2 taste) visits of 5 each, and a quarter more when
    # treated. Buying stops at .95: E min(.2 (1 + lift) taste, .95) by the gamma's own integral.
    def buying(factor: float) -> float:
        taste, cap = distributions.gamma(2.0, scale=0.5), 0.95 / (0.2 * factor)
        return float(0.2 * factor * taste.expect(lambda x: x, ub=cap) + 0.95 * taste.sf(cap))

    truth = {"bought": buying(1.25) - buying(1.0), "spend": 0.25 * 15.0, "spend/visits": 0.25 * 5.0}
    bar = harness.coverage(_draw(truth, 0.25, covariates), 400, SEED + 1_000)
    assert not bar.rejects(0.92, 0.97), bar.table()
    # Adjusted or not, the estimate is of the same effect: its bias lies within four of its own errors.
    table = bar.table()
    assert (table["bias"].abs() < table["width"] / np.sqrt(400)).all()


@pytest.mark.slow
def test_a_rare_proportion_keeps_its_promise() -> None:
    rng = np.random.default_rng(SEED + 7)
    arm = np.repeat(["control", "new"], [250, 750])
    missed = 0
    for _ in range(600):
        frame = pd.DataFrame({"arm": arm, "bought": rng.random(1_000) < 0.02})
        row = analyze(frame, "arm", "bought", expected={"control": 1, "new": 3}).table().iloc[0]
        missed += not row["low"] <= 0 <= row["high"]
    assert stats.wilson(missed, 600, level=0.999).low <= 0.08


def test_covariates_that_know_something_narrow_the_interval_and_say_how_much() -> None:
    frame = world(8, n=4_000)
    plain, sharp = (one(analyze(frame, "arm", "visits", c), "visits") for c in (None, ["before"]))
    assert sharp["saved"] > 0.1
    assert sharp["se"] ** 2 / plain["se"] ** 2 == pytest.approx(1 - sharp["saved"], rel=1e-3)
    assert plain["saved"] == 0


# --- the verdicts ------------------------------------------------------------------------------


def test_ship_where_the_effect_is_good_and_stop_where_it_harms() -> None:
    frame = world(9, n=6_000, lift=0.5)
    result = analyze(frame, "arm", ["bought", "spend"], lower_is_better=["spend"])
    assert result.table()["verdict"].tolist() == ["ship", "stop"]
    assert result.verdict == "mixed"
    assert result.claim().startswith("Against control. Ship: new on bought +0.")
    assert " Stop: new on spend +" in result.claim()
    assert analyze(frame, "arm", ["bought", "spend"], control="new").verdict == "stop"


def alike(n: int, plus: float = 0.0) -> pd.DataFrame:
    """Two arms of the same ten values over and over, the treated's moved by `plus`; no chance in it."""
    value = np.repeat(np.arange(10.0), 2)
    frame = pd.DataFrame({"arm": ["control", "new"] * (n // 2), "spend": np.resize(value, n)})
    return frame.assign(spend=frame["spend"] + plus * (frame["arm"] == "new"))


def test_cannot_tell_says_how_many_more_and_so_many_more_are_enough() -> None:
    frame = alike(300, plus=0.2)
    row = one(analyze(frame, "arm", "spend"), "spend")
    assert row["verdict"] == "cannot tell"
    arms = frame["arm"].value_counts()
    variance = frame.groupby("arm")["spend"].var()
    se = np.sqrt(sum(variance[arm] / (arms[arm] + row["more"]) for arm in arms.index))
    power = distributions.norm.sf(distributions.norm.isf(0.025) - abs(row["estimate"]) / se)
    assert power == pytest.approx(0.8, abs=0.001)
    assert "more customers an arm needed" in analyze(frame, "arm", "spend").claim()


def test_an_a_a_test_cannot_tell_and_with_a_smallest_worthwhile_effect_it_stops() -> None:
    assert one(analyze(alike(2_000, plus=0.01), "arm", "spend"), "spend")["verdict"] == "cannot tell"
    assert one(analyze(alike(2_000), "arm", "spend"), "spend")["more"] == np.inf
    row = one(analyze(alike(2_000, plus=0.01), "arm", "spend", worth={"spend": 0.5}), "spend")
    assert row["verdict"] == "stop"
    assert row["high"] < 0.5
    small = analyze(alike(200, plus=0.01), "arm", "spend", worth={"spend": 0.5})
    assert one(small, "spend")["verdict"] == "cannot tell"
    more = int(one(small, "spend")["more"])
    assert (
        one(analyze(alike(200 + 2 * more + 20, plus=0.01), "arm", "spend", worth={"spend": 0.5}), "spend")[
            "verdict"
        ]
        == "stop"
    )


@settings(max_examples=25, deadline=None)
@given(seeds, st.floats(0.5, 20))
def test_what_cannot_be_told_always_asks_for_more(seed: int, worth: float) -> None:
    for worths in (None, {"spend": worth}):
        table = analyze(world(seed, n=80), "arm", METRICS, worth=worths, limit=0).table()
        open_, closed = table["verdict"] == "cannot tell", table["verdict"] != "cannot tell"
        assert (table.loc[open_, "more"] >= 1).all()
        assert table.loc[closed, "more"].isna().all()


def test_a_broken_assignment_stops_the_reading() -> None:
    frame = world(11, n=4_000, lift=1.0)
    lost = frame.drop(frame[(frame["arm"] == "new") & frame["bought"]].index)
    result = analyze(lost, "arm", METRICS)
    assert result.verdict == BROKEN
    numbers = ["estimate", "low", "high", "p", "q", "lift", "se", "more"]
    assert result.table()[numbers].isna().all(axis=None)
    assert result.means[["estimate", "low", "high"]].isna().all(axis=None)
    assert result.table()["metric"].tolist() == METRICS
    assert "The assignment is broken" in result.claim()
    assert "No effect" in result.claim()


def test_many_comparisons_are_controlled_together() -> None:
    frame = world(12)
    table = analyze(frame, "arm", METRICS).table()
    assert table["q"].tolist() == pytest.approx(list(distributions.false_discovery_control(table["p"])))


# --- missing and wrong -------------------------------------------------------------------------


def test_missing_values_are_dropped_from_their_metric_only_and_counted() -> None:
    frame = world(14, missing=0.2)
    frame.loc[:4, "arm"] = None
    result = analyze(frame, "arm", ["bought", "spend"])
    kept = frame[frame["arm"].notna()]
    assert result.unassigned == 5
    assert one(result, "bought")[["n", "dropped"]].tolist() == [len(kept), 0]
    assert one(result, "spend")[["n", "dropped"]].tolist() == [
        kept["spend"].notna().sum(),
        kept["spend"].isna().sum(),
    ]


def test_a_metric_missing_more_in_one_arm_is_not_read() -> None:
    frame = world(15, n=2_000, lift=1.0)
    frame.loc[(frame["arm"] == "new") & (frame["spend"] < 5), "spend"] = np.nan
    result = analyze(frame, "arm", ["bought", "spend"])
    row = one(result, "spend")
    assert np.isnan(row["estimate"])
    assert row[["verdict", "note"]].tolist() == ["cannot tell", UNEVEN]
    assert np.isfinite(one(result, "bought")["estimate"])
    assert UNEVEN in result.claim()


def test_a_metric_in_which_nobody_differs_is_no_certainty() -> None:
    result = analyze(world(16).assign(flat=3.0), "arm", ["flat"])
    assert one(result, "flat")["verdict"] == "cannot tell"
    assert one(result, "flat")["more"] == np.inf
    assert "nobody differs" in result.claim()


def test_a_lift_over_a_control_near_zero_is_not_given() -> None:
    frame = world(17).assign(spend=lambda f: f["age"] - f.loc[f["arm"] == "control", "age"].mean())
    assert np.isnan(one(analyze(frame, "arm", "spend"), "spend")["lift"])


def test_kinds_can_be_said_and_are_otherwise_seen() -> None:
    frame = world(18).assign(**{"odd/name": 1.5})
    frame.loc[::2, "odd/name"] = 2.5
    said = analyze(frame, "arm", {"bought": "mean", "spend/visits": "ratio"}).table()
    assert said["metric"].tolist() == ["bought", "spend/visits"]
    assert one(analyze(frame, "arm", "odd/name"), "odd/name")["n"] == len(frame)
    nullable = frame.astype({"bought": "boolean", "visits": "Int64"})
    assert one(analyze(nullable, "arm", METRICS), "bought")["n"] == len(frame)


def test_more_than_two_arms_are_each_compared_with_the_control() -> None:
    frame = world(19).assign(arm=lambda f: [f"{'BAC'[i % 3]}" for i in f.index])
    table = analyze(frame, "arm", ["spend"]).table()
    assert table["arm"].tolist() == ["B", "C"]


@pytest.mark.parametrize(
    ("change", "asked", "error", "message"),
    [
        ({"arm": "new"}, {}, CxValueError, "holds new; a comparison needs two arms"),
        ({}, {"variant": "amr"}, CxLookupError, "no column `amr`. Did you mean `arm`"),
        ({}, {"metrics": ["spent"]}, CxLookupError, "no column `spent`. Did you mean `spend`"),
        ({}, {"metrics": []}, CxValueError, "at least one metric"),
        ({}, {"metrics": ["spend/visits/age"]}, CxValueError, "no ratio of two columns"),
        ({}, {"metrics": {"spend": "proportion"}}, CxValueError, "neither 0 nor 1, such as"),
        ({}, {"metrics": {"spend": "average"}}, CxValueError, "no kind `average`; there are mean"),
        ({}, {"covariates": ["befor"]}, CxLookupError, "Did you mean `before`"),
        ({}, {"covariates": ["spend"]}, CxValueError, "cannot be a metric and also"),
        ({}, {"control": "old"}, CxLookupError, "no arm `old`"),
        ({"spend": np.inf}, {}, CxValueError, "must be numbers: 400 value"),
        ({"spend": "much"}, {}, CxValueError, "must be numbers; it holds text"),
        ({"visits": 0}, {"metrics": "spend/visits"}, CxValueError, "0 for everybody in an arm"),
        ({"visits": -1}, {"metrics": "spend/visits"}, CxValueError, "negative in 400 row"),
        ({"spend": np.nan}, {}, CxValueError, "takes at least two"),
        ({}, {"worth": {"spnd": 1.0}}, CxLookupError, "none of the metrics: spend. Did you mean"),
        ({}, {"worth": {"spend": -1.0}}, CxValueError, "sizes of effects"),
        ({}, {"expected": {"new": 1}}, CxValueError, "each arm a weight"),
    ],
)
def test_what_cannot_be_analysed_is_said(change: dict, asked: dict, error: type, message: str) -> None:
    frame = world(20).assign(**change)
    before = frame.copy()
    with pytest.raises(error, match=message):
        analyze(frame, **({"variant": "arm", "metrics": ["spend"]} | asked))
    pd.testing.assert_frame_equal(frame, before)


@pytest.mark.parametrize("codes", [(0, 1), (0.0, 1.0), (False, True), ("0", "1")])
def test_arms_may_be_coded_by_numbers_even_where_one_is_missing(codes: tuple) -> None:
    frame = world(25).assign(arm=lambda f: np.where(f["arm"] == "new", codes[1], codes[0]).astype(object))
    frame["arm"] = frame["arm"].infer_objects()
    with_hole = pd.concat([frame, frame.iloc[:1].assign(arm=np.nan)], ignore_index=True)
    for rows in (frame, with_hole):
        result = analyze(rows, "arm", "spend")
        assert result.table()["arm"].tolist() == ["True" if codes[1] is True else "1"]


def test_a_control_that_nobody_named_is_asked_for() -> None:
    frame = world(21).replace({"arm": {"control": "blue", "new": "red"}})
    with pytest.raises(CxValueError, match=r"Which arm is the control.*blue, red"):
        analyze(frame, "arm", "spend")


# --- what is shown -----------------------------------------------------------------------------


def test_a_figure_says_every_effect_in_its_alt_text() -> None:
    shown = cx.experiments.plots.effects(analyze(world(22), "arm", METRICS))
    assert shown.png.startswith(b"\x89PNG")
    assert "Differences from control with 95 % intervals: bought, new: " in shown.alt


def test_the_figure_of_a_broken_experiment_shows_the_assignment_and_no_effect() -> None:
    frame = world(23, n=1_000)
    shown = cx.experiments.plots.effects(
        analyze(frame.drop(frame[frame["arm"] == "new"].index[:200]), "arm", METRICS)
    )
    assert shown.alt.startswith("Share of the customers in each arm, and as planned: control")


def test_the_display_has_shares_in_per_cent_and_hides_no_verdict() -> None:
    html = analyze(world(24), "arm", METRICS)._repr_mimebundle_()["text/html"]
    assert "cannot tell" in html or "ship" in html or "stop" in html
    assert "lift interval" in html
