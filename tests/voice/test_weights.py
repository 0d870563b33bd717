"""Raking: a published table, an independent solver, what it costs, and what it refuses."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

from cxlib.errors import CxLookupError, CxValueError
from cxlib.voice import nps, rake


def people(n: int = 400, seed: int = 0) -> pd.DataFrame:
    """Customers with unequal design weights; the old are gold more often."""
    rng = np.random.default_rng(seed)
    age = rng.choice(["old", "young"], n, p=[0.7, 0.3])
    tier = np.where(rng.random(n) < np.where(age == "old", 0.6, 0.2), "gold", "basic")
    return pd.DataFrame({"age": age, "tier": tier, "w": rng.choice([0.5, 1.0, 2.0], n)})


TARGETS = {"age": {"old": 0.5, "young": 0.5}, "tier": {"gold": 0.3, "basic": 0.7}}


def test_a_table_of_four_by_four_is_fitted_as_published():
    # Wikipedia, Iterative proportional fitting, example of 2 dimensions: the table after three rounds
    seed = np.array([[40, 30, 20, 10], [35, 50, 100, 75], [30, 80, 70, 120], [20, 30, 40, 50]])
    published = [
        [64.61, 46.28, 35.42, 3.83],
        [49.95, 68.15, 156.49, 25.37],
        [56.70, 144.40, 145.06, 53.76],
        [28.74, 41.18, 63.03, 17.03],
    ]
    cells = pd.DataFrame(
        {"row": np.repeat(range(4), 4), "column": np.tile(range(4), 4), "cell": seed.ravel()}
    )
    rows, columns = dict(enumerate([150, 300, 400, 150])), dict(enumerate([200, 300, 400, 100]))
    raked = rake(cells, {"row": rows, "column": columns}, "cell")
    fitted = raked.weights * 1000 / raked.weights.sum()
    assert fitted == pytest.approx(np.ravel(published), abs=0.15)  # three rounds stop at 150.13 of 150
    assert raked.rounds > 3


def test_the_weights_are_those_of_least_discrimination_from_the_design():
    frame = people()
    raked = rake(frame, TARGETS, "w")
    d = frame["w"].to_numpy()
    x = np.column_stack([np.ones(len(frame)), frame["age"] == "old", frame["tier"] == "gold"]).astype(float)
    goal = d.sum() * np.array([1, 0.5, 0.3])
    # the dual of: least sum of w log(w / d) - w + d with the margins met (Deville and Sarndal 1992)
    dual = minimize(lambda b: (d * np.exp(x @ b)).sum() - b @ goal, np.zeros(3), method="BFGS", tol=1e-10)
    assert raked.weights == pytest.approx(d * np.exp(x @ dual.x), rel=1e-5)


@given(st.integers(0, 10_000), st.floats(0.2, 0.8), st.floats(0.2, 0.8))
@settings(deadline=None, max_examples=25)
def test_margins_are_met_the_sum_is_kept_and_the_scale_of_weights_does_not_matter(seed, old, gold):
    frame = people(120, seed)
    targets = {"age": {"old": old, "young": 1 - old}, "tier": {"gold": gold, "basic": 1 - gold}}
    raked = rake(frame, targets, "w")
    assert raked.weights.sum() == pytest.approx(frame["w"].sum())
    assert (raked.weights > 0).all()
    for name, target in targets.items():
        shares = pd.Series(raked.weights).groupby(frame[name]).sum() / raked.weights.sum()
        assert shares.to_dict() == pytest.approx(target, abs=1e-6)
    again = rake(frame, targets, 1000 * frame["w"])
    assert again.weights == pytest.approx(1000 * raked.weights)
    assert again.effect == pytest.approx(raked.effect)


def test_targets_already_met_leave_the_design_weights_as_they_are():
    frame = people()
    met = {name: frame.groupby(name)["w"].sum().to_dict() for name in ("age", "tier")}
    raked = rake(frame, met, "w")
    assert raked.weights == pytest.approx(frame["w"].to_numpy())
    assert raked.effect == pytest.approx(raked.given)


def test_bounds_are_kept_and_the_margins_met_all_the_same():
    frame = people()
    free, bound = rake(frame, TARGETS, "w"), rake(frame, TARGETS, "w", bounds=(0.55, 1.55))
    ratio = bound.weights / frame["w"].to_numpy()
    assert (free.weights / frame["w"].to_numpy()).max() > 1.55
    assert ratio.min() >= 0.55 - 1e-9
    assert ratio.max() <= 1.55 + 1e-9
    assert bound.table()["raked"].to_numpy() == pytest.approx(bound.table()["target"].to_numpy(), abs=1e-6)


def test_the_table_says_what_was_off_and_the_claim_what_it_costs():
    raked = rake(people(), TARGETS, "w")
    table = raked.table().set_index(["column", "value"])
    assert (table["estimate"] - table["target"])["age"].abs().max() > 0.1
    assert table["n"].groupby("column").sum().eq(400).all()
    assert "tier basic" in raked.claim() or "age young" in raked.claim()
    assert "400 answers worth" in raked.claim()
    assert raked.effect > raked.given > 1


def test_what_the_margins_explain_is_no_error_any_more():
    frame = people(600)
    score = np.where(frame["age"] == "old", 10, 3)  # wholly explained
    exact = rake(frame, TARGETS, "w").score(score)
    assert exact.estimate == pytest.approx(0, abs=1e-4)
    noise = np.random.default_rng(1).choice([10, 8, 3], 600)
    raked = rake(frame, TARGETS, "w")
    near, design = raked.score(noise), nps(noise, raked.weights)
    assert near.estimate == pytest.approx(design.estimate)
    mixed = np.where(np.random.default_rng(2).random(600) < 0.8, score, noise)
    near, design = raked.score(mixed), nps(mixed, raked.weights)
    assert near.high - near.low < 0.8 * (design.high - design.low)


def test_unraked_and_unweighted_the_score_is_the_plain_one():
    frame = people(2000).assign(w=1.0)
    score = np.random.default_rng(0).choice([10, 8, 3], 2000)
    one = rake(frame.assign(all=1), {"all": {1: 1}}).score(score)
    plain = nps(score)
    assert (one.estimate, one.low, one.high) == pytest.approx(
        (plain.estimate, plain.low, plain.high), abs=0.02
    )


def test_answers_left_out_do_not_count_and_scores_off_the_scale_are_refused():
    frame = people()
    score = np.random.default_rng(0).choice([10.0, 8.0, 3.0], 400)
    raked = rake(frame, TARGETS, "w")
    score[:50] = np.nan
    some = raked.score(score)
    w = raked.weights[50:]
    expected = 100 * (w[score[50:] >= 9].sum() - w[score[50:] <= 6].sum()) / w.sum()
    assert some.estimate == pytest.approx(expected)
    with pytest.raises(CxValueError, match="outside 0 to 10"):
        raked.score(score + 5)
    with pytest.raises(CxValueError, match="3 scores but 400 rows"):
        raked.score([1, 2, 3])


@pytest.mark.parametrize(
    ("targets", "more", "error", "message"),
    [
        ({"ages": {"old": 1}}, {}, CxLookupError, "no column `ages`. Did you mean `age`"),
        ({"age": {"old": 1}}, {}, CxLookupError, "`young` in `age`, which has no target"),
        ({"age": {"old": 0.5, "young": 0.4, "baby": 0.1}}, {}, CxValueError, "`age` is baby"),
        ({"age": {"old": 0.5, "young": 0.3}}, {}, CxValueError, "sum to 0.8"),
        ({"age": {"old": 1.0, "young": 0.0}}, {}, CxValueError, "must be above 0"),
        ({}, {}, CxValueError, "at least one column"),
        (TARGETS, {"weights": [1, 2]}, CxValueError, "400 rows but 2 weights"),
        (TARGETS, {"weights": "v"}, CxLookupError, "no column `v`"),
        (TARGETS, {"weights": -np.ones(400)}, CxValueError, "must be numbers from 0"),
        (TARGETS, {"bounds": (2, 3)}, CxValueError, "must hold 1 between them"),
        (TARGETS, {"bounds": (0.95, 1.05)}, CxValueError, "within these bounds: widen"),
    ],
)
def test_what_cannot_be_raked_is_said_with_what_to_do(targets, more, error, message):
    with pytest.raises(error, match=message):
        rake(people(), targets, **{"weights": "w", **more})


def test_cells_that_nobody_answered_from_can_make_targets_unreachable():
    frame = pd.DataFrame({"age": ["old", "young"] * 5, "tier": ["gold", "basic"] * 5})
    with pytest.raises(CxValueError, match="some combinations of values did not answer"):
        rake(frame, {"age": {"old": 0.9, "young": 0.1}, "tier": {"gold": 0.1, "basic": 0.9}})


def test_blanks_are_not_left_out_silently():
    frame = people()
    frame.loc[:4, "age"] = None
    with pytest.raises(CxLookupError, match="5 rows have nothing in `age`"):
        rake(frame, TARGETS, "w")
