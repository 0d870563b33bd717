"""How often a theme is spoken of: published corrections, the closed form's variance, coverage, honest misses."""

from __future__ import annotations

import os

import numpy as np
import pandas as pd
import proofs_text
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize
from scipy.special import expit

import cxlib as cx
from cxlib.errors import CxLookupError, CxValueError
from cxlib.results import TOO_FEW
from cxlib.text import Themes, comments, plots, prevalence, themes
from cxlib.text.prevalence import corrected_shares, likeliest
from tests import harness

SEED = int(os.environ.get("CXLIB_SEED", "0"))


@pytest.mark.parametrize(
    ("positive", "tested", "sensitivity", "specificity", "published"),
    [
        (23, 150, 0.96, 0.89, 0.05),  # brucellosis of cows: R package epiR, epi.prev, "5 cases per 100"
        (
            0.151 * 1e5,
            1e5,
            0.964,
            0.927,
            0.0875,
        ),  # Helicobacter pylori: (.151 + .927 - 1) / (.964 + .927 - 1)
    ],
)
def test_error_rates_known_from_elsewhere_correct_as_rogan_and_gladen_do(
    positive, tested, sensitivity, specificity, published
):
    many = 1e9
    elsewhere = [
        [specificity * many, (1 - sensitivity) * many, 0],
        [(1 - specificity) * many, sensitivity * many, 0],
    ]
    here = [[0, 0, tested - positive], [0, 0, positive]]
    found = likeliest([elsewhere, here])[1]
    expected = (positive / tested + specificity - 1) / (sensitivity + specificity - 1)
    assert found == pytest.approx(expected, abs=1e-5)
    assert found == pytest.approx(published, abs=0.002)


def test_one_group_is_tenenbeins_estimate_and_its_variance():
    """Tenenbein 1970: variance p q [(1 - K)/n + K/N], K = p q (1 - theta - phi)^2 / (pi (1 - pi))."""
    rng = np.random.default_rng(SEED)
    size, read, p, missed, invented = 40_000, 8_000, 0.2, 0.3, 0.05
    true = rng.random(size) < p
    predicted = np.where(true, rng.random(size) > missed, rng.random(size) < invented).astype(int)
    known = np.where(np.arange(size) < read, true.astype(int), 2)
    counts = np.zeros((50, 1, 2, 3))
    np.add.at(counts, (rng.integers(0, 50, size), 0, predicted, known), 1)
    found = corrected_shares(counts)
    pi = p * (1 - missed) + (1 - p) * invented
    k = p * (1 - p) * (1 - missed - invented) ** 2 / (pi * (1 - pi))
    se = np.sqrt(p * (1 - p) * ((1 - k) / read + k / size))
    assert found.se[0] == pytest.approx(se, rel=0.35)  # of 49 degrees of freedom: a tenth, three times over
    assert abs(found.estimate[0] - p) < 4 * se


def test_several_groups_are_the_maximum_of_the_likelihood():
    """Against a general optimiser that knows nothing of EM."""
    rng = np.random.default_rng(SEED + 1)
    counts = rng.poisson(
        [[[30, 6, 90], [4, 12, 40]], [[20, 9, 60], [3, 25, 80]], [[40, 2, 50], [6, 3, 10]]]
    ).astype(float)

    def surprise(x):
        share, rate = expit(x[:3])[:, None], expit(x[3:])  # predicted 1, given truly 0 and 1
        joint = np.stack(
            [
                np.stack([(1 - share[:, 0]) * (1 - rate[0]), share[:, 0] * (1 - rate[1])], -1),
                np.stack([(1 - share[:, 0]) * rate[0], share[:, 0] * rate[1]], -1),
            ],
            axis=1,
        )
        cells = np.concatenate([joint, joint.sum(axis=-1, keepdims=True)], axis=-1)
        return -(counts * np.log(cells)).sum()

    best = minimize(surprise, np.array([-1.0, -1.0, -1.0, -2.0, 1.0]), method="BFGS", options={"gtol": 1e-8})
    assert likeliest(counts) == pytest.approx(expit(best.x[:3]), abs=1e-5)


@given(st.lists(st.integers(0, 30), min_size=18, max_size=18), st.booleans())
@settings(deadline=None, max_examples=60)
def test_a_share_is_between_none_and_all_and_reading_everything_is_counting(cells, apart):
    counts = np.array(cells, dtype=float).reshape(2, 3, 3)
    counts[:, :, :2] += 1
    found = likeliest(counts, apart)
    assert ((found >= 0) & (found <= 1)).all()
    counts[:, :, 2] = 0
    read = counts[:, :, 1].sum(axis=1) / counts.sum(axis=(1, 2))
    assert likeliest(counts, apart) == pytest.approx(read, abs=1e-9)


def test_a_perfect_rule_is_believed():
    counts = np.array([[[40.0, 0, 60], [0, 10, 90]]])
    assert likeliest(counts)[0] == pytest.approx(100 / 200)


def test_the_corrected_interval_covers_what_was_planted_and_the_count_misses():
    bar = harness.coverage(proofs_text.prevalence_draw, 40)
    assert not bar.rejects(0.92, 0.97, "aspect")
    assert not bar.rejects(0.92, 0.97, "complaint")
    assert bar.rejects(0.5, 1, "aspect, as counted")
    assert bar.rejects(0.5, 1, "complaint, as counted")


def test_groups_that_share_their_error_rates_are_covered_and_counting_them_is_not():
    bar = harness.coverage(proofs_text.groups_draw, 40)
    assert not bar.rejects(0.92, 0.97, "by touchpoint")
    assert bar.rejects(0.92, 0.97, "by touchpoint, as counted")


def test_a_theme_of_a_few_customers_is_not_displayed():
    notes = pd.DataFrame({"queue": [1.0] * 40 + [0.0] * 60, "my neighbour": [0.0] * 97 + [1.0] * 3})
    frame = pd.DataFrame({"person": [f"c{i}" for i in range(100)], "shop": ["north", "south"] * 50})
    result = prevalence(Themes(frame, notes, notes, notes), by="shop")
    assert result.table().set_index(["theme", "group"])["count"].tolist() == [40, 20, 20, 3, 1, 2]
    assert set(result.visible()["theme"]) == {"queue"}
    assert "neighbour" not in result._repr_mimebundle_()["text/csv"]


# --- on a study ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def spoken() -> Themes:
    return themes(comments(cx.open_study("demo")))


def test_the_demos_table_says_the_share_the_count_and_what_was_read(spoken):
    result = prevalence(spoken)
    table = result.table()
    assert table.columns.tolist() == [
        "theme", "estimate", "low", "high", "n", "customers", "naive", "naive_low", "naive_high", "read",
        "count",
    ]  # fmt: skip
    assert table["estimate"].sum() == pytest.approx(1, abs=0.01)  # every comment of the demo has one aspect
    assert (table["low"] < table["estimate"]).all()
    assert (table["n"] == 1360).all()
    assert "corrected by the 596" in result.claim()
    assert b"PNG" in plots.prevalence_dots(result).png[:8]


def test_groups_add_up_to_the_whole_nearly_and_small_ones_are_not_shown(spoken):
    result = prevalence(spoken, by="language")
    table = result.table()
    whole = table[table["group"] == "(all)"].set_index("theme")["estimate"]
    parts = table[table["group"] != "(all)"]
    mixed = (parts["estimate"] * parts["n"]).groupby(parts["theme"]).sum() / 1360
    assert (mixed - whole).abs().max() < 0.02
    by_place = prevalence(spoken, by="touchpoint")
    assert (by_place.visible()["customers"] >= 10).all()
    assert "spoken of most" in by_place.claim()


def test_relabelled_customers_change_no_estimate(spoken):
    other = Themes(
        spoken.frame.assign(person="x" + spoken.frame["person"]),
        spoken.predicted,
        spoken.read,
        spoken.probability,
    )
    one, two = prevalence(spoken).table(), prevalence(other).table()
    assert one["estimate"].tolist() == pytest.approx(two["estimate"].tolist(), abs=1e-9)
    assert (one["high"] - one["low"]).mean() == pytest.approx((two["high"] - two["low"]).mean(), rel=0.2)


def test_where_nobody_read_the_count_stands_and_says_so(spoken):
    unread = Themes(spoken.frame, spoken.predicted, spoken.read * np.nan, spoken.probability)
    result = prevalence(unread)
    assert not result.corrected
    assert result.table()["estimate"].equals(result.table()["naive"])
    assert "its errors are not known" in result.claim()


def test_a_theme_that_no_rule_can_judge_is_as_the_readings_are(spoken):
    blind = Themes(spoken.frame, spoken.predicted * np.nan, spoken.read, spoken.probability)
    table = prevalence(blind).table()
    assert table["estimate"].tolist() == pytest.approx(spoken.read.mean().tolist())
    assert table["naive"].isna().all()


def test_few_customers_are_too_few_to_say(spoken):
    few = spoken.only(pd.Series(np.arange(1360) < 8))
    assert prevalence(few).claim() == TOO_FEW
    assert "too few customers" in plots.prevalence_dots(prevalence(few)).alt


def test_wrong_input_is_named(spoken):
    with pytest.raises(CxLookupError, match="Did you mean `touchpoint`"):
        prevalence(spoken, by="touchpiont")
    with pytest.raises(CxValueError, match=r"got \(3, 3\)"):
        corrected_shares(np.ones((3, 3)))
