"""Intervals against published numbers, other packages and what must always hold."""

from __future__ import annotations

import os

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import stats as distributions
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import proportion_confint

from cxlib import stats
from cxlib.errors import CxLookupError, CxValueError
from tests import harness

SEED = int(os.environ.get("CXLIB_SEED", "0"))


def clustered(
    seed: int, persons: int = 600, per: float = 10.0, rho: float = 0.05
) -> tuple[np.ndarray, np.ndarray]:
    """(folds, 4) counts of categories drawn by persons who differ; and the true shares."""
    rng = np.random.default_rng(seed)
    truth = np.array([0.55, 0.3, 0.12, 0.03])
    own = rng.dirichlet(truth * (1 - rho) / rho, persons)
    drawn = rng.multinomial(rng.poisson(per, persons), own)
    counts = np.zeros((stats.FOLDS, 4))
    np.add.at(counts, rng.integers(0, stats.FOLDS, persons), drawn)
    return counts, truth


# --- score intervals ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("x", "n", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_wilson_gives_the_published_intervals_of_newcombe_1998(x, n, low, high):
    interval = stats.wilson(x, n)
    assert interval.low == pytest.approx(low, abs=5e-5)
    assert interval.high == pytest.approx(high, abs=5e-5)


@given(st.integers(0, 200), st.integers(1, 200), st.sampled_from([0.8, 0.95, 0.99]))
def test_wilson_agrees_with_statsmodels(x, n, level):
    x = min(x, n)
    expected = proportion_confint(x, n, alpha=1 - level, method="wilson")
    assert stats.wilson(x, n, level)[1:3] == pytest.approx(expected, abs=1e-12)


@given(st.integers(0, 50), st.integers(1, 50))
def test_wilson_shrinks_when_the_same_share_rests_on_more(x, n):
    x = min(x, n)
    small, large = stats.wilson(x, n), stats.wilson(4 * x, 4 * n)
    assert large.high - large.low < small.high - small.low


def test_wilson_of_nothing_is_unknown_and_refuses_more_successes_than_trials():
    assert all(np.isnan(value) for value in stats.wilson(0, 0))
    with pytest.raises(CxValueError, match="0 <= x <= n"):
        stats.wilson(3, 2)


def test_nps_of_a_half_promoters_and_a_sixth_detractors_has_a_standard_error_of_4_14_points():
    interval = stats.tango(1 / 2, 1 / 6, 324)
    assert 100 * interval.estimate == pytest.approx(100 / 3)
    assert 100 * interval.se == pytest.approx(4.14, abs=0.005)
    assert interval.se**2 * 324 == pytest.approx(5 / 9)


def test_the_variance_of_a_ratio_is_that_of_a_cluster_robust_regression():
    rng = np.random.default_rng(SEED)
    who = rng.integers(0, 80, 500)
    x, w = rng.normal(size=80)[who] + rng.normal(size=500), rng.uniform(0.5, 2, 500)
    model = sm.WLS(x, np.ones(500), weights=w)
    fitted = model.fit(cov_type="cluster", cov_kwds={"groups": who, "use_correction": False})
    ours = stats.Clustered.of(x, w, who)
    assert ours.ratio == pytest.approx(fitted.params[0])
    assert ours.variance * 79 / 80 == pytest.approx(fitted.bse[0] ** 2)
    assert ours.df == 79


def test_answers_that_are_one_a_cluster_and_unweighted_are_worth_what_they_are():
    sums = stats.Clustered.of([1, 0, 0, 1, 1])
    assert sums.effective(0.6 * 0.4) == pytest.approx(5)


def test_customers_who_answer_five_times_alike_are_worth_one_answer_each():
    x = np.repeat(np.random.default_rng(SEED).integers(0, 2, 100), 5)
    share = x.mean()
    sums = stats.Clustered.of(x, clusters=np.repeat(np.arange(100), 5))
    assert sums.effective(share * (1 - share)) == pytest.approx(100, rel=0.02)


def test_where_everybody_agrees_customers_are_counted_not_answers():
    assert stats.Clustered.of(np.ones(12), clusters=np.repeat(np.arange(4), 3)).effective(0.0) == 4


def test_rows_without_a_cluster_are_clusters_of_their_own():
    named = stats.Clustered.of([1, 0, 1, 0], clusters=["a", "a", "b", "c"])
    nameless = stats.Clustered.of([1, 0, 1, 0], clusters=np.array(["a", "a", None, None], dtype=object))
    assert [float(one) for one in nameless] == [float(one) for one in named]


def test_one_customer_cannot_tell():
    sums = stats.Clustered.of(np.ones(5), clusters=np.zeros(5))
    for interval in (stats.wilson(5, 5, df=sums.df), stats.tango(1, 0, 5, df=sums.df)):
        assert interval.estimate == 1
        assert np.isnan([interval.low, interval.high]).all()


# --- folds -------------------------------------------------------------------------------------


def test_jackknife_of_a_mean_over_equal_folds_is_the_textbook_standard_error():
    sums = np.random.default_rng(SEED).normal(5, 2, stats.FOLDS)
    counts = np.column_stack([sums, np.ones(stats.FOLDS)])
    interval = stats.jackknife(counts, lambda total: total[:, 0] / total[:, 1], scale="identity")
    se = sums.std(ddof=1) / np.sqrt(stats.FOLDS)
    expected = distributions.t.interval(0.95, stats.FOLDS - 1, sums.mean(), se)
    assert interval.se == pytest.approx(se)
    assert (interval.low, interval.high) == pytest.approx(expected)


def test_jackknife_of_a_share_agrees_with_a_cluster_robust_logistic_model():
    counts, _ = clustered(SEED)
    x, n = counts[:, 1], counts.sum(axis=1)
    model = sm.GLM(np.column_stack([x, n - x]), np.ones((len(x), 1)), family=sm.families.Binomial())
    fitted = model.fit(cov_type="cluster", cov_kwds={"groups": np.arange(len(x))})
    share = stats.shares(counts)
    p = share.estimate[1]
    assert p == pytest.approx(1 / (1 + np.exp(-fitted.params[0])))
    assert share.se[1] / (p * (1 - p)) == pytest.approx(fitted.bse[0], rel=0.03)


def test_shares_and_jackknife_agree_where_both_hold():
    counts, _ = clustered(SEED + 1)
    expected = stats.jackknife(counts, lambda total: total / total.sum(axis=1, keepdims=True))
    for ours, theirs in zip(stats.shares(counts), expected, strict=True):
        assert ours == pytest.approx(theirs)


def test_jackknife_with_a_single_filled_fold_cannot_tell():
    counts = np.zeros((stats.FOLDS, 2))
    counts[7] = [3, 5]
    interval = stats.jackknife(counts, lambda total: total[:, 0] / total.sum(axis=1))
    assert interval.estimate == pytest.approx(3 / 8)
    assert np.isnan([interval.low, interval.high]).all()


@pytest.mark.parametrize(("scale", "inside"), [("logit", (0, 1)), ("log", (0, np.inf))])
def test_intervals_stay_inside_their_scale(scale, inside):
    counts = np.random.default_rng(SEED).poisson([[0.3, 3]], (stats.FOLDS, 2))
    interval = stats.jackknife(counts, lambda total: total[:, 0] / total[:, 1], scale=scale)
    assert inside[0] < interval.low < interval.estimate < interval.high < inside[1]


def test_an_unknown_scale_is_named():
    with pytest.raises(CxValueError, match="logit, log and identity"):
        stats.jackknife(np.ones((5, 1)), lambda total: total[:, 0], scale="sqrt")  # type: ignore[arg-type]


tables = hnp.arrays(np.int64, st.tuples(st.just(stats.FOLDS), st.integers(2, 5)), elements=st.integers(0, 6))


@given(tables, st.randoms(use_true_random=False))
@settings(max_examples=60, deadline=None)
def test_shares_sum_to_one_stay_in_bounds_and_ignore_how_folds_and_cells_are_labelled(counts, random):
    result = stats.shares(counts)
    if counts.sum() == 0:
        assert np.isnan(result.estimate).all()
        return
    assert result.estimate.sum() == pytest.approx(1)
    assert (result.low >= 0).all()
    assert (result.high <= 1).all()
    assert (result.low <= result.estimate).all()
    assert (result.estimate <= result.high).all()
    folds, cells = list(range(counts.shape[0])), list(range(counts.shape[1]))
    random.shuffle(folds)
    random.shuffle(cells)
    again = stats.shares(counts[folds][:, cells])
    for before, after in zip(result, again, strict=True):
        np.testing.assert_allclose(after, before[cells], atol=1e-12)


def test_share_intervals_shrink_with_more_customers():
    small, large = (stats.shares(clustered(SEED, persons)[0]) for persons in (400, 6400))
    ratio = (large.high - large.low) / (small.high - small.low)
    assert ratio == pytest.approx(0.25, abs=0.12)


def test_rows_are_independent_of_their_neighbours_in_a_table_of_transitions():
    counts, _ = clustered(SEED)
    table = np.stack([counts, np.zeros_like(counts), 3 * counts], axis=1)
    rows = stats.shares(table, axis=2)
    alone = stats.shares(counts)
    assert rows.low[0] == pytest.approx(alone.low)
    assert np.isnan(rows.estimate[1]).all()
    # three times the same events of the same customers say nothing new
    assert rows.high[2] == pytest.approx(alone.high)


def test_a_zero_count_has_wilsons_upper_end_at_the_effective_n():
    counts = np.zeros((stats.FOLDS, 3))
    counts[: stats.FOLDS // 2, 0] = 8
    counts[stats.FOLDS // 2 :, 1] = 8  # every fold unanimous: 400 events are worth about 50
    empty = stats.shares(counts)
    t = distributions.t.ppf(0.975, stats.FOLDS - 1)
    effective = 400 / (8 * stats.FOLDS / (stats.FOLDS - 1))
    assert empty.low[2] == 0
    assert empty.high[2] == pytest.approx(t**2 / (effective + t**2))


def test_a_row_within_one_fold_is_worth_one_observation():
    counts = np.zeros((stats.FOLDS, 2))
    counts[3, 0] = 500
    assert stats.shares(counts).low[0] == pytest.approx(float(stats.wilson(1, 1).low))


def test_proportions_refuse_more_successes_than_trials():
    with pytest.raises(CxValueError, match="successes <= trials"):
        stats.proportions(np.full((5, 1), 2.0), np.ones((5, 1)))


@pytest.mark.slow
def test_shares_of_clustered_counts_cover_and_plain_binomial_intervals_do_not():
    def draw(seed):
        counts, truth = clustered(seed, persons=400, per=8, rho=0.15)
        fold, n = stats.shares(counts), counts.sum()
        plain = stats.wilson(counts.sum(axis=0), n)
        frames = [
            pd.DataFrame({"result": name, "cell": range(4), "truth": truth, "expected": n * truth}).assign(
                estimate=interval.estimate, low=interval.low, high=interval.high
            )
            for name, interval in (("folds", fold), ("binomial", plain))
        ]
        return pd.concat(frames)

    bar = harness.coverage(draw, 400, SEED)
    assert not bar.rejects(0.92, 0.97, "folds")
    assert bar.rejects(0.92, 0.97, "binomial")


# --- many comparisons --------------------------------------------------------------------------

# Benjamini and Hochberg 1995, section 4.1 (thrombolysis trial, 15 hypotheses)
PAPER = [
    0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344,
    0.0459, 0.3240, 0.4262, 0.5719, 0.6528, 0.7590, 1.0,
]  # fmt: skip


def test_benjamini_hochberg_rejects_the_four_of_the_1995_paper():
    assert (stats.benjamini_hochberg(PAPER) <= 0.05).sum() == 4


@given(st.lists(st.floats(0, 1), min_size=1, max_size=40))
def test_benjamini_hochberg_agrees_with_statsmodels(p):
    assert stats.benjamini_hochberg(p) == pytest.approx(multipletests(p, method="fdr_bh")[1])


def test_a_test_that_was_not_possible_is_not_counted():
    adjusted = stats.benjamini_hochberg([np.nan, 0.01, 0.02])
    assert np.isnan(adjusted[0])
    assert adjusted[1:] == pytest.approx([0.02, 0.02])
    with pytest.raises(CxValueError, match="between 0 and 1"):
        stats.benjamini_hochberg([1.2])


# --- against the truth -------------------------------------------------------------------------

TRUTH = pd.DataFrame({"source": ["a", "a", "b"], "target": ["b", "c", "c"], "truth": [0.5, 0.3, 0.9]})


def transitions() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "source": ["a", "b", "z"],
            "target": ["b", "c", "c"],
            "estimate": [0.52, 0.7, 1.0],
            "low": [0.45, 0.6, 0.9],
            "high": [0.6, 0.8, 1.0],
            "n": [100, 100, 100],
            "count": [52, 70, 100],
        }
    )


def test_score_counts_what_is_covered_missing_and_extra():
    result = stats.score(transitions(), TRUTH)
    assert (result.compared, result.scored, result.missing, result.extra) == (3, 3, 1, 1)
    assert result.coverage == pytest.approx(1 / 3)
    assert result.error == pytest.approx((0.02 + 0.2 + 0.3) / 3)
    assert result.worst(1)["target"].tolist() == ["c"]
    assert "1 cells of the truth were not found, the largest 0.300" in result.claim()


def test_score_leaves_small_cells_out_of_coverage_but_not_out_of_the_error():
    table = transitions().assign(n=[100, 11, 100])
    result = stats.score(table[table["source"] != "z"], TRUTH)
    assert result.scored == 2  # the found large cell, and the missing one expected to be large
    assert result.error == pytest.approx((0.02 + 0.2 + 0.3) / 3)


def test_what_was_expected_and_not_what_was_found_decides_what_is_scored():
    found = transitions().assign(count=[2, 70, 100])  # 2 of 100 where the truth is one half
    assert stats.score(found, TRUTH).scored == 3
    told = transitions().assign(expected=[9.0, 9.0, 9.0])
    assert stats.score(told, TRUTH).scored == 1  # the missing one
    assert stats.score(transitions().drop(columns="count"), TRUTH).scored == 3


def test_score_names_the_columns_it_lacks():
    with pytest.raises(CxLookupError, match="'source', 'target'"):
        stats.score(pd.DataFrame({"touchpoint": []}), TRUTH)
    with pytest.raises(CxValueError, match="one row for each"):
        stats.score(pd.concat([transitions(), transitions()]), TRUTH)


def test_score_does_not_touch_its_inputs():
    table, truth = transitions(), TRUTH.copy()
    stats.score(table, truth)
    pd.testing.assert_frame_equal(table, transitions())
    pd.testing.assert_frame_equal(truth, TRUTH)


# --- the coverage harness ----------------------------------------------------------------------


def coins(seed: int, cells: int = 3, level: float = 0.95, shared: bool = False) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    x = np.repeat(rng.binomial(80, 0.4), cells) if shared else rng.binomial(80, 0.4, cells)
    interval = stats.wilson(x, 80, level)
    return pd.DataFrame(
        {"cell": range(cells), "estimate": interval.estimate, "low": interval.low, "high": interval.high}
    ).assign(truth=0.4, expected=32.0)


def test_good_intervals_are_not_rejected_and_bad_ones_are():
    good, bad = (harness.coverage(lambda seed, q=q: coins(seed, level=q), 300, SEED) for q in (0.95, 0.8))
    assert not good.rejects(0.92, 0.97)
    assert bad.rejects(0.92, 0.97)
    assert not bad.within(0.92, 0.97)
    assert "300 simulated worlds" in good.claim()


def test_one_cell_a_world_is_tested_by_the_exact_binomial():
    bar = harness.coverage(lambda seed: coins(seed, cells=1, level=0.85), 120, SEED)
    covered = round(float(bar.results["estimate"].iloc[0]) * 120)
    exact = distributions.binomtest(covered, 120, 0.95, alternative="less").pvalue
    assert bar.rejects(0.95, 0.99, alpha=exact * 1.01)
    assert not bar.rejects(0.95, 0.99, alpha=exact * 0.99)


def test_cells_that_move_together_are_worth_one_trial_a_world():
    together, apart = (
        harness.coverage(lambda seed, s=s: coins(seed, 5, shared=s), 300, SEED) for s in (True, False)
    )
    assert together.results["trials"].iloc[0] == pytest.approx(300)
    assert apart.results["trials"].iloc[0] > 1000


def test_a_handful_of_worlds_that_all_cover_does_not_reject():
    def sure(seed):
        return coins(seed).assign(low=0.0, high=1.0)

    assert not harness.coverage(sure, 10, SEED).rejects(0.92, 0.97)
    assert harness.coverage(sure, 400, SEED).rejects(0.92, 0.97)


def test_small_cells_are_not_averaged_and_unknown_or_absent_intervals_do_not_cover():
    def draw(seed):
        frame = coins(seed).assign(expected=[32.0, 9.0, 32.0])
        frame.loc[0, ["low", "high"]] = np.nan
        return frame if seed % 2 else frame.iloc[:2]

    bar = harness.coverage(draw, 40, 0)
    assert bar.results["cells"].iloc[0] == 2
    shares = bar.cells.set_index("cell")["estimate"]
    assert shares["0"] == 0
    assert shares["2"] <= 0.5


def test_each_of_several_results_has_its_own_row():
    def draw(seed):
        return pd.concat([coins(seed).assign(result="good"), coins(seed, level=0.5).assign(result="bad")])

    bar = harness.coverage(draw, 100, SEED)
    assert bar.rejects(0.9, 0.99, "bad")
    assert not bar.rejects(0.9, 0.99, "good")
    with pytest.raises(CxLookupError, match="good, bad"):
        bar.within(0.9, 1, "ugly")


def test_a_stopped_run_is_resumed_and_equals_an_undisturbed_one(tmp_path):
    seen: list[int] = []

    def draw(seed):
        seen.append(seed)
        if len(seen) == 25:
            raise KeyboardInterrupt
        return coins(seed)

    with pytest.raises(KeyboardInterrupt):
        harness.coverage(draw, 40, 0, store=tmp_path, chunk=10)
    resumed = harness.coverage(draw, 40, 0, store=tmp_path, chunk=10)
    assert len(seen) == 25 + 20
    whole = harness.coverage(coins, 40, 0)
    pd.testing.assert_frame_equal(resumed.results, whole.results)
    assert len(list(tmp_path.iterdir())) == 4


def test_a_broken_file_in_the_store_is_drawn_again(tmp_path):
    harness.coverage(coins, 20, 0, store=tmp_path, chunk=10)
    (tmp_path / "0-9.parquet").write_bytes(b"half a fi")
    again = harness.coverage(coins, 20, 0, store=tmp_path, chunk=10)
    assert again.worlds == 20


def test_a_budget_stops_after_whole_chunks_and_says_how_far_it_came():
    told: list[tuple[int, int]] = []
    bar = harness.coverage(
        coins, 100, 0, seconds=0, chunk=10, progress=lambda done, of: told.append((done, of))
    )
    assert bar.worlds == 10
    assert told == [(10, 100)]


def test_a_draw_without_truth_is_refused():
    with pytest.raises(CxLookupError, match="missing: truth"):
        harness.coverage(lambda seed: coins(seed).drop(columns="truth"), 2, 0)
