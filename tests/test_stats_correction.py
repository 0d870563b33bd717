"""Correction for classification error: identities that hold exactly, the attenuation it undoes, and its errors."""

from __future__ import annotations

import os

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom, ttest_ind
from stepmix.stepmix import StepMix

import cxlib as cx
from cxlib import stats
from cxlib.errors import CxLookupError, CxValueError

SEED = int(os.environ.get("CXLIB_SEED", "0"))


def memberships(posterior: np.ndarray) -> pd.DataFrame:
    names = [f"kind {i}" for i in range(posterior.shape[1])]
    frame = pd.DataFrame(posterior, columns=names)
    frame.insert(0, "person", [f"c{i}" for i in range(len(frame))])
    return frame


def outcome(given: pd.DataFrame, **columns: object) -> pd.DataFrame:
    return pd.DataFrame({"person": given["person"], **columns})


def some(seed: int, persons: int = 300, kinds: int = 3) -> tuple[np.random.Generator, pd.DataFrame]:
    rng = np.random.default_rng(SEED + seed)
    return rng, memberships(rng.dirichlet([0.4] * kinds, persons))


# --- what holds exactly --------------------------------------------------------------------------


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.integers(2, 4))
def test_an_outcome_that_mixes_the_personas_means_gives_these_means_back(seed, kinds):
    rng, frame = some(seed, 200, kinds)
    means = rng.normal(0, 10, kinds)
    mixed = outcome(frame, spent=frame.drop(columns="person").to_numpy() @ means)
    found = stats.correct(mixed, frame).table()
    assert found["estimate"].to_numpy() == pytest.approx(means, abs=1e-6)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 4))
def test_weights_sum_to_one_a_person_and_to_the_expected_size_a_persona(seed, kinds):
    _, frame = some(seed, 200, kinds)
    weights = stats.bch(frame)
    assert weights["person"].tolist() == frame["person"].tolist()
    found, posterior = (one.drop(columns="person") for one in (weights, frame))
    assert found.sum(axis=1).to_numpy() == pytest.approx(1)
    assert found.sum().to_numpy() == pytest.approx(posterior.sum().to_numpy())


def test_sums_with_the_weights_are_the_corrected_means_and_ratios():
    rng, frame = some(1)
    values = outcome(frame, spent=rng.normal(10, 3, 300), orders=rng.poisson(3, 300))
    weights = stats.bch(frame).drop(columns="person").to_numpy()
    sums = weights.T @ values[["spent", "orders"]].to_numpy()
    mean, ratio = stats.correct(values, frame), stats.correct(values, frame, per="orders")
    spent = mean.table().query("outcome == 'spent'")["estimate"].to_numpy()
    assert spent == pytest.approx(sums[:, 0] / weights.sum(axis=0))
    assert ratio.table()["estimate"].to_numpy() == pytest.approx(sums[:, 0] / sums[:, 1])


def test_where_everybody_is_sure_the_means_are_those_of_the_groups():
    rng = np.random.default_rng(SEED)
    frame = memberships(np.eye(2)[rng.integers(0, 2, 400)])
    values = outcome(frame, spent=rng.normal(0, 1, 400))
    found = stats.correct(values, frame)
    plain = values["spent"].groupby(frame["kind 1"]).mean().to_numpy()
    assert found.error == 0
    assert found.table()["estimate"].to_numpy() == pytest.approx(plain)
    assert found.table()["uncorrected"].to_numpy() == pytest.approx(plain)
    # Without error the interval is that of a mean of independent values: t, its standard error, within chance.
    width = (found.table()["high"] - found.table()["low"]).to_numpy()
    expected = 2 * 1.96 * values["spent"].groupby(frame["kind 1"]).sem().to_numpy()
    assert width == pytest.approx(expected, rel=0.5)


def test_the_order_of_persons_and_personas_changes_nothing():
    rng, frame = some(2)
    values = outcome(frame, spent=rng.normal(0, 1, 300))
    turned = frame[["kind 2", "person", "kind 0", "kind 1"]].sample(frac=1, random_state=SEED)
    found = stats.correct(values, frame).table().set_index("persona")
    again = stats.correct(values.iloc[::-1], turned).table().set_index("persona").loc[found.index]
    pd.testing.assert_frame_equal(found, again)


def test_many_outcomes_at_once_are_each_what_they_are_alone():
    rng, frame = some(3)
    values = outcome(frame, a=rng.normal(0, 1, 300), b=rng.random(300), c=rng.normal(0, 1, 300))
    values.loc[:40, "b"] = np.nan
    together = stats.correct(values, frame).table()
    assert together["outcome"].unique().tolist() == ["a", "b", "c"]
    for name in "abc":
        alone = stats.correct(values[["person", name]], frame).table()
        mine = together[together["outcome"] == name].drop(columns="outcome").reset_index(drop=True)
        pd.testing.assert_frame_equal(mine, alone)
    assert together.groupby("outcome")["n"].first().to_dict() == {"a": 300, "b": 259, "c": 300}


def test_any_statistic_of_corrected_sums_can_be_asked_for():
    rng, frame = some(4)
    values = outcome(frame, spent=rng.normal(0, 1, 300))
    mean = stats.corrected(values, frame, lambda c: c[..., 1] / c[..., 0])
    table = stats.correct(values, frame).table()
    for name in ("estimate", "low", "high"):
        assert getattr(mean, name) == pytest.approx(table[name].to_numpy())


def test_a_persons_fold_is_that_of_the_log():
    study = cx.open_study("demo")
    persons = study.fetch(study.log().persons)
    assert stats.folds_of(persons["key"]).tolist() == persons["fold"].tolist()


# --- what it undoes ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answers", "yes", "error", "hard", "soft"),
    [(3, 0.855, 0.057, 0.851, 0.785), (12, 0.635, 0.147, 0.651, 0.499), (6, 0.65, 0.188, 0.556, 0.361)],
)
def test_a_difference_of_one_shrinks_by_assigning_and_more_by_weighting_and_is_restored(
    answers, yes, error, hard, soft
):
    # Three in ten are of the second kind; the expected numbers of each kind by number of yes, by enumeration.
    # The shrunken differences are those of the same enumeration, summed by hand.
    said = np.arange(answers + 1)
    expected = np.array([0.7 * binom.pmf(said, answers, 1 - yes), 0.3 * binom.pmf(said, answers, yes)])
    copies = np.round(200_000 * expected).astype(int)
    kind = np.repeat([0, 1], copies.sum(axis=1))
    given = np.concatenate([np.repeat(said, row) for row in copies])
    frame = memberships((expected / expected.sum(axis=0)).T[given])
    found = stats.correct(outcome(frame, y=kind), frame)
    table = found.table()
    weights = frame.drop(columns="person").to_numpy()
    weighted = kind @ weights / weights.sum(axis=0)
    assert found.error == pytest.approx(error, abs=1e-3)
    assert np.diff(table["uncorrected"])[0] == pytest.approx(hard, abs=2e-3)
    assert np.diff(weighted)[0] == pytest.approx(soft, abs=2e-3)
    assert table["estimate"].to_numpy() == pytest.approx([0, 1], abs=2e-3)


def test_corrected_means_are_those_of_stepmix(base_seed):
    """StepMix 3.0.0 (Morin et al. 2025, J. Statistical Software 113): three steps, BCH, modal assignment."""
    rng = np.random.default_rng(base_seed)
    kind = rng.random(500) < 0.4
    answers = (rng.random((500, 5)) < np.where(kind, 0.75, 0.25)[:, None]).astype(int)
    y = np.column_stack([3.0 * kind, -1.0 * kind]) + rng.normal(0, 1, (500, 2))
    quiet = {"verbose": 0, "progress_bar": 0, "random_state": 0}
    theirs = StepMix(n_steps=3, correction="BCH", measurement="bernoulli", **quiet).fit(answers, y)
    frame = memberships(theirs.predict_proba(answers))
    found = stats.correct(outcome(frame, a=y[:, 0], b=y[:, 1]), frame).table()
    expected = theirs.get_parameters()["structural"]["means"]
    assert found["estimate"].to_numpy() == pytest.approx(expected.T.ravel(), abs=1e-9)


# --- differences -----------------------------------------------------------------------------------


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.integers(2, 4))
def test_differences_are_those_of_the_corrected_means(seed, kinds):
    rng, frame = some(seed, 200, kinds)
    values = outcome(frame, y=rng.normal(3, 1, 200), z=rng.random(200) + 1)
    mean = stats.correct(values[["person", "y"]], frame).table().set_index("persona")
    than = stats.correct(values[["person", "y"]], frame, against="kind 0").table().set_index("persona")
    for column in ("estimate", "uncorrected"):
        gap = (mean[column] - mean.loc["kind 0", column]).drop("kind 0")
        pd.testing.assert_series_equal(than[column], gap, check_names=False)
    # From all: weighted by the personas' sizes they cancel, as the whole is the plain mean of everybody.
    than = stats.correct(values, frame, per="z", against="all").table()
    size = values["z"] @ stats.bch(frame).drop(columns="person")
    assert size.to_numpy() @ than["estimate"] == pytest.approx(0, abs=1e-9)


def test_a_difference_of_two_sure_groups_has_welchs_interval(base_seed):
    rng = np.random.default_rng(base_seed)
    kind = rng.integers(0, 2, 4000)
    frame = memberships(np.eye(2)[kind])
    values = outcome(frame, y=rng.normal(0, 1, 4000) * (1 + kind) + kind)
    row = stats.correct(values, frame, against="kind 0").table().iloc[0]
    one, two = (values["y"][kind == i] for i in (1, 0))
    ends = ttest_ind(one, two, equal_var=False).confidence_interval()
    assert row["estimate"] == pytest.approx(one.mean() - two.mean())
    assert (row["low"], row["high"]) == pytest.approx(tuple(ends), abs=0.3 * (ends.high - ends.low))
    assert row["q"] < 1e-6


def test_what_differs_by_chance_is_seldom_called_different(base_seed):
    called = 0
    for seed in range(40):
        rng, frame = some(100 * base_seed + seed)
        found = stats.correct(outcome(frame, y=rng.normal(0, 1, 300)), frame, against="all")
        called += bool((found.table()["q"] < 0.05).any())
    assert called <= binom.ppf(0.999, 40, 0.05)


# --- strata ----------------------------------------------------------------------------------------


def test_strata_undo_what_activity_does_to_both_outcome_and_certainty():
    # By enumeration: passive customers answer 3 questions, a fifth are of the second kind; active ones answer 9,
    # half are, and they spend 2 more. The memberships know the answers, but not who is active.
    parts, size = [], 0.35
    for active, answers, share in ((0, 3, 0.2), (1, 9, 0.5)):
        said = np.arange(answers + 1)
        chance = np.array([binom.pmf(said, answers, 0.3), binom.pmf(said, answers, 0.7)]).T
        for kind in (0, 1):
            copies = np.round(3000 * (share if kind else 1 - share) * chance[:, kind]).astype(int)
            rows = pd.DataFrame(np.repeat(chance, copies, axis=0))
            parts.append(rows.assign(kind=kind, active=active))
    every = pd.concat(parts)
    for _ in range(500):  # the size that a mixture would find
        posterior = every[[0, 1]].to_numpy() * [1 - size, size]
        posterior /= posterior.sum(axis=1, keepdims=True)
        size = posterior[:, 1].mean()
    frame = memberships(posterior)
    values = outcome(frame, y=every["kind"].to_numpy() + 2.0 * every["active"].to_numpy())
    values["active"] = np.where(every["active"], "often", "seldom")
    truth = 1 + 2 * (0.5 / 0.7 - 0.5 / 1.3)
    stratified = stats.correct(values, frame, strata="active", against="kind 0").table().iloc[0]
    plain = stats.correct(values.drop(columns="active"), frame, against="kind 0").table().iloc[0]
    assert stratified["estimate"] == pytest.approx(truth, abs=5e-3)
    assert abs(plain["estimate"] - truth) > 0.1
    assert stratified["strata"] == 2


def test_within_strata_sure_groups_keep_their_plain_means(base_seed):
    rng = np.random.default_rng(base_seed)
    kind = rng.integers(0, 2, 600)
    frame = memberships(np.eye(2)[kind])
    values = outcome(frame, y=rng.normal(0, 1, 600), visits=rng.poisson(5, 600))
    table = stats.correct(values, frame, strata="visits").table()
    assert table["estimate"].to_numpy() == pytest.approx(values["y"].groupby(kind).mean().to_numpy())
    assert 2 <= table["strata"].iloc[0] <= 10


def test_one_stratum_is_none_and_small_ones_are_joined():
    rng, frame = some(7)
    values = outcome(frame, y=rng.normal(0, 1, 300))
    same = stats.correct(values.assign(visits=1), frame, strata="visits").table()
    pd.testing.assert_frame_equal(same.drop(columns="strata"), stats.correct(values, frame).table())
    groups = np.repeat(["north", "south", "isle", None], [150, 130, 15, 5])
    few = stats.correct(values.assign(place=groups), frame, strata="place").table()
    assert few["strata"].tolist() == [2, 2, 2]  # 20 customers cannot hold ten of each of three personas


def test_strata_take_missing_numbers_and_do_not_depend_on_the_order_of_persons():
    rng, frame = some(8, 600)
    values = outcome(frame, y=rng.normal(0, 1, 600), z=1.0, visits=rng.poisson(5, 600))
    values["visits"] = values["visits"].where(values["visits"] > 1)
    values.loc[:50, "z"] = np.nan
    found = stats.correct(values, frame, strata="visits").table()
    again = stats.correct(values.sample(frac=1, random_state=1), frame, strata="visits").table()
    pd.testing.assert_frame_equal(found, again)
    assert found["estimate"].notna().all()


# --- few, missing, wrong -------------------------------------------------------------------------


def test_persons_without_a_membership_or_a_value_are_left_out_and_counted():
    rng, frame = some(5)
    values = outcome(frame, spent=rng.normal(0, 1, 300))
    found = stats.correct(values.iloc[:200], frame.iloc[50:])
    assert found.unmatched == 50
    assert found.table()["n"].tolist() == [150, 150, 150]
    assert found.table()["customers"].sum() == 150
    same = stats.correct(values.iloc[50:200], frame.iloc[50:200]).table()
    pd.testing.assert_frame_equal(found.table(), same)


def test_fewer_persons_than_folds_have_an_estimate_and_an_interval():
    frame = memberships(np.array([[0.9, 0.1], [0.2, 0.8]] * 6))
    table = stats.correct(outcome(frame, y=np.arange(12.0)), frame).table()
    assert np.isfinite(table[["estimate", "low", "high"]]).all(axis=None)
    assert ((table["low"] < table["estimate"]) & (table["estimate"] < table["high"])).all()


def test_a_persona_that_rests_on_one_fold_has_no_interval_and_leaves_the_others_theirs():
    posterior = np.tile([[0.9, 0.1, 0.0], [0.1, 0.9, 0.0]], (100, 1))
    posterior[7] = [0.0, 0.1, 0.9]
    frame = memberships(posterior)
    table = stats.correct(outcome(frame, y=np.arange(200.0)), frame).table().set_index("persona")
    assert np.isfinite(table["estimate"]).all()
    assert table.loc["kind 2", ["low", "high"]].isna().all()
    assert np.isfinite(table.drop("kind 2")[["low", "high"]]).all(axis=None)


def test_a_persona_that_nobody_is_assigned_to_is_unknown_if_few_are_expected_and_refused_if_many():
    posterior = np.tile([[0.89, 0.1, 0.01], [0.1, 0.89, 0.01]], (100, 1))
    frame = memberships(posterior)
    values = outcome(frame, y=[1.0, 3.0] * 100)
    table = stats.correct(values, frame).table().set_index("persona")
    assert table.loc["kind 2", "customers"] == 0
    assert table.loc["kind 2", ["estimate", "low", "high", "uncorrected"]].isna().all()
    assert (stats.bch(frame)["kind 2"] == 0).all()
    assert stats.bch(frame).drop(columns="person").sum(axis=1).to_numpy() == pytest.approx(1)
    # The two that are left are told apart as .89 to .1, whatever the third.
    share = 0.1 / 0.99
    undone = np.linalg.inv([[1 - share, share], [share, 1 - share]]) @ [1.0, 3.0]
    assert table["estimate"].to_numpy()[:2] == pytest.approx(undone)
    many = memberships(np.tile([[0.5, 0.1, 0.4], [0.1, 0.5, 0.4]], (100, 1)))
    with pytest.raises(CxValueError, match="Nobody of 200 persons is assigned to `kind 2`, though 80 are"):
        stats.correct(values, many)


def test_an_outcome_that_nobody_has_is_unknown():
    rng, frame = some(6)
    values = outcome(frame, a=rng.normal(0, 1, 300), b=np.nan)
    table = stats.correct(values, frame).table().set_index("outcome")
    assert table.loc["b", "estimate"].isna().all()
    assert (table.loc["b", "n"] == 0).all()
    assert table.loc["a", "estimate"].notna().all()


def test_one_persona_is_the_plain_mean():
    rng = np.random.default_rng(SEED)
    frame = memberships(np.ones((100, 1)))
    values = outcome(frame, y=rng.normal(0, 1, 100))
    table = stats.correct(values, frame).table()
    assert table["estimate"].to_numpy() == pytest.approx([values["y"].mean()])


GOOD = memberships(np.array([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]]))
VALUES = outcome(GOOD, y=[1.0, 2.0, 3.0])


@pytest.mark.parametrize(
    ("values", "frame", "kind", "says"),
    [
        (VALUES, GOOD.assign(**{"kind 0": [0.9, 0.2, 0.7]}), CxValueError, r"1 persons does not sum to 1.*0\.7, 0\.4 \(row 2\)"),
        (VALUES, GOOD.assign(**{"kind 0": [1.2, 0.2, 0.6]}), CxValueError, "1 persons lies outside 0 to 1"),
        (VALUES, GOOD.assign(**{"kind 0": ["a", "b", "c"]}), CxValueError, "`kind 0` must be numbers"),
        (VALUES, GOOD.assign(person=["c0", "c0", "c1"]), CxValueError, "memberships: 1 rows repeat a person, such as `c0`"),
        (VALUES, GOOD.assign(person=["c0", None, "c1"]), CxValueError, "memberships: 1 rows have no person"),
        (VALUES, GOOD.drop(columns="person"), CxLookupError, "no column `person`"),
        (VALUES, GOOD[["person"]], CxValueError, "one probability column a persona"),
        (pd.concat([VALUES, VALUES]), GOOD, CxValueError, r"values: 3 rows repeat a person.*sum or average"),
        (VALUES.assign(person=[7, 8, 9]), GOOD, CxLookupError, "None of 3 persons with values is among the 3.*`7` against `c0`"),
        (VALUES.assign(y="much"), GOOD, CxValueError, "`y` must be numbers; it holds text"),
        (VALUES[["person"]], GOOD, CxValueError, "values has no outcome"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named(values, frame, kind, says):
    with pytest.raises(kind, match=f"(?is){says}"):
        stats.correct(values, frame)


def test_a_wrong_denominator_is_named_and_a_statistic_takes_no_gaps():
    with pytest.raises(CxLookupError, match=r"no column `ys`\. Did you mean `y`"):
        stats.correct(VALUES.assign(z=1), GOOD, per="ys")
    with pytest.raises(CxValueError, match="1 persons lack a value in one of y"):
        stats.corrected(VALUES.assign(y=[1, 2, np.nan]), GOOD, lambda c: c[..., 1])


def test_what_cannot_be_compared_is_named():
    with pytest.raises(
        CxLookupError, match="against is `kind 2`; it is `all` or one of the personas: kind 0, kind 1"
    ):
        stats.correct(VALUES, GOOD, against="kind 2")
    with pytest.raises(CxValueError, match="not `log`"):
        stats.correct(VALUES, GOOD, against="all", scale="log")
    with pytest.raises(CxLookupError, match="no column `visits`"):
        stats.correct(VALUES, GOOD, strata="visits")


def test_personas_told_apart_by_chance_are_refused():
    frame = memberships(np.array([[0.5001, 0.4999], [0.4999, 0.5001]] * 50))
    with pytest.raises(CxValueError, match="little more than chance"):
        stats.bch(frame)


# --- what is said --------------------------------------------------------------------------------


def test_the_claim_names_the_ends_and_the_error_and_hides_small_personas():
    posterior = np.repeat([[0.9, 0.1, 0], [0.1, 0.9, 0], [0, 0, 1]], [200, 200, 5], axis=0)
    frame = memberships(posterior)
    rng = np.random.default_rng(SEED)
    values = outcome(frame, y=posterior @ [1.0, 5.0, 99.0] + rng.normal(0, 0.1, 405))
    found = stats.correct(values, frame)
    assert str(found.claim()).startswith("Y is clearly higher for kind 1 (")
    assert "kind 2" not in str(found.claim())
    assert "9.9\u00a0% who are assigned to a wrong persona" in str(found.claim())
    assert "kind 2" not in found._repr_mimebundle_()["text/html"]
    alike = stats.correct(outcome(frame, y=np.tile([1.0, 2.0, 3.0], 135)), frame)
    assert str(alike.claim()).startswith("By y the personas are not clearly apart, from kind ")
    assert str(stats.correct(values.iloc[195:205], frame).claim()) == "Too few customers to say."


def test_the_claim_says_who_differs_from_whom():
    posterior = np.repeat([[0.9, 0.1, 0], [0.1, 0.9, 0], [0.0, 0.1, 0.9]], 100, axis=0)
    frame = memberships(posterior)
    noise = np.random.default_rng(SEED).normal(0, 0.1, 300)
    values = outcome(frame, y=posterior @ [1.0, 5.0, 1.0] + noise)
    found = stats.correct(values, frame, against="kind 0")
    assert found.table()["persona"].tolist() == ["kind 1", "kind 2"]
    assert str(found.claim()).startswith("Y clearly different from kind 0: kind 1 (")
    assert "kind 2" not in found.claim()
    assert "from all customers: kind " in stats.correct(values, frame, against="all").claim()
    alike = stats.correct(outcome(frame, y=np.tile([1.0, 2.0, 3.0], 100)), frame, against="all")
    assert str(alike.claim()).startswith("Y clearly different from all customers: no persona; corrected")
    assert (
        str(stats.correct(values.iloc[95:104], frame, against="all").claim()) == "Too few customers to say."
    )
