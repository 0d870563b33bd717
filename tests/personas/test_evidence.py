"""What speaks for a number of kinds: worlds drawn from a model, other customers, resamples, what is left over."""

import re
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binom, chisquare
from sklearn.metrics import adjusted_rand_score, jaccard_score

from cxlib.customers.blocks import Answers, Choices, Measures, Values
from cxlib.errors import CxValueError
from cxlib.personas import plots
from cxlib.personas.axis import axis
from cxlib.personas.evidence import drawn, gather, others, power
from cxlib.personas.mixture import Mixture, mixture
from cxlib.personas.residuals import residuals
from cxlib.personas.stability import Stability, jaccard, stability

SIZES = np.array([0.6, 0.4])


def empty(persons, rng, answers=6, missing=0.1):
    """Blocks of every type, and two kinds' parameters for them: what `drawn` fills."""
    places = np.repeat(np.arange(persons), rng.integers(1, 20, persons))
    contexts, zero = rng.integers(0, 3, len(places)), np.zeros(len(places), int)
    choices = Choices(
        "steps",
        "",
        ("home", "cart", "help"),
        tuple("vwxyz"),
        persons,
        places,
        contexts,
        zero,
        zero + 1.0,
        places % 2,
    )
    blocks, params = [choices], [(rng.lognormal(0, 0.7, (2, 5)), rng.dirichlet(np.ones(5), 3))]
    for i in range(answers):
        code = np.where(rng.random(persons) < missing, -1, 0)
        blocks.append(Answers(f"answer {i}", "", ("a", "b", "c"), code))
        params.append((rng.dirichlet(np.full(3, 4), 2),))
    times = rng.integers(0, 5, persons).astype(float)
    blocks += [
        Values("order value", "", times, times, times),
        Measures("age", "", np.where(times > 0, 0.0, np.nan)),
    ]
    params += [
        (np.array([0.0, 1.0]), np.array([0.3]), np.array([0.5])),
        (np.array([[0.0, 1.0], [1.0, 0.5]]), np.array([0.01])),
    ]
    return blocks, Mixture(SIZES, tuple(params), 0.0, persons, 0)


def world(seed, persons=1200, kinds=2, **given):
    """Blocks drawn from `empty`, and who is of which kind."""
    rng = np.random.default_rng(seed)
    blocks, two = empty(persons, rng, **given)
    kind = rng.choice(2, persons, p=SIZES) if kinds == 2 else np.zeros(persons, int)
    return drawn(blocks, two, kind, rng), kind, two


def personas_of(blocks, k, seed=0):
    fitted = mixture(blocks, k, seed)
    features = SimpleNamespace(blocks=tuple(blocks), n=fitted.n)
    return SimpleNamespace(features=features, fitted=fitted, k=k, labels=tuple("ABCDEFGH"[:k]))


# Worlds drawn from a model


def test_a_drawn_world_keeps_who_faced_what_and_who_said_nothing(base_seed):
    blocks, two = empty(300, np.random.default_rng(base_seed))
    made = drawn(blocks, two, np.zeros(300, int), np.random.default_rng(base_seed))
    assert (made[0].faced == blocks[0].faced).all()
    assert [(b.observed == a.observed).all() for a, b in zip(blocks, made, strict=True)] == [True] * len(
        blocks
    )


def test_what_is_drawn_has_the_models_shares_means_and_scatter(base_seed):
    blocks, two = empty(4000, np.random.default_rng(base_seed))
    made = drawn(blocks, two, np.ones(4000, int), np.random.default_rng(base_seed + 1))
    taste, usual = two.params[0]
    chance = taste[1] * usual
    expected = made[0].pooled.sum(axis=1, keepdims=True) * chance / chance.sum(axis=1, keepdims=True)
    assert all(chisquare(seen, of).pvalue > 1e-4 for seen, of in zip(made[0].pooled, expected, strict=True))
    given = made[1].made.sum(axis=0)
    assert chisquare(given, given.sum() * two.params[1][0][1]).pvalue > 1e-4
    values = made[-2]
    assert values.start(1)[2][0] == pytest.approx(0.5, rel=0.15)  # scatter within persons
    means = values.means[values.n == 4]
    assert means.mean() == pytest.approx(1.0, abs=0.15)
    assert means.var() == pytest.approx(0.3 + 0.5 / 4, rel=0.25)
    assert np.nanvar(made[-1].value) == pytest.approx(0.5, rel=0.15)


def test_one_kind_is_found_in_a_world_drawn_with_one_whatever_was_there_before(base_seed):
    blocks, _, _ = world(base_seed)
    found = gather(blocks, {k: mixture(blocks, k) for k in (1, 2, 3)}, 0, None)
    assert (found.k, found.verdict) == (2, "kinds")
    table = found.table().set_index("kinds")
    assert table["null"].idxmin() == 1
    assert "the same method finds 1" in found.null()
    assert "kind kept foretells what" in found.foretells()
    assert "One kind more foretells worse" in found.foretells()
    assert "K-means with 2 clusters" in found.agrees()
    assert "worse than 2 kinds" in found.degrees()


def test_a_kind_foretells_other_customers_and_one_too_many_does_not(base_seed):
    blocks, _, _ = world(base_seed + 1)
    scores = others(blocks, (1, 2, 3), np.random.default_rng(base_seed))
    right, wrong = scores[2] - scores[1], scores[3] - scores[2]
    assert right.mean() > 3 * right.std() / len(right) ** 0.5
    assert wrong.mean() < 0


def test_k_means_agrees_where_kinds_lie_far_apart(base_seed):
    rng = np.random.default_rng(base_seed)
    kind = rng.integers(0, 2, 300)
    blocks = [Measures(name, "", 8.0 * kind + rng.standard_normal(300)) for name in "xyz"]
    found = gather(blocks, {k: mixture(blocks, k) for k in (1, 2)}, 0, None)
    assert found.table().set_index("kinds").loc[2, "agreement"] == pytest.approx(1.0)


def test_more_customers_are_needed_the_less_is_known_of_each(base_seed):
    needed = []
    for answers in (3, 12):
        blocks, _, _ = world(base_seed + 2, kinds=1, answers=answers)
        blocks = blocks[1:-2]
        needed.append(power(blocks, mixture(blocks, 1), np.random.default_rng(base_seed)))
    assert needed[0] > needed[1] > 20


def test_a_continuum_is_called_one_with_its_ends_and_its_slices_in_order(base_seed):
    rng = np.random.default_rng(base_seed)
    u = rng.standard_normal(1500)
    blocks = [Measures(name, "", sign * u + 0.8 * rng.standard_normal(1500)) for name, sign in
              (("spend", 1), ("visits", 1), ("calls", -1), ("doubt", -1), ("wait", -1))]  # fmt: skip
    fits = {k: mixture(blocks, k) for k in (1, 2, 3, 4)}
    found = gather(blocks, fits, 0, None)
    assert found.verdict == "degrees"
    assert "by degree" in found.claim()
    assert "better than" in found.degrees()
    signs = {"spend": 1, "visits": 1, "calls": -1, "doubt": -1, "wait": -1}
    ends = re.findall(r"with (high|low) (\w+)", found.along)
    low, high = ((1 if much == "high" else -1) * signs[what] for much, what in ends)
    assert low == -high
    line = axis(blocks, fits[2]).posterior(blocks) @ np.arange(9)
    assert abs(np.corrcoef(line, u)[0, 1]) > 0.9
    order = [
        ord(letter) - ord("A") for letter in found.along.rpartition("order: ")[2].rstrip(")").split(", ")
    ]
    kind = fits[found.k].posterior(blocks).argmax(axis=1)
    assert (np.diff([line[kind == i].mean() for i in order]) > 0).all()


# Resamples


def test_the_jaccard_index_is_scikit_learns_of_matched_groups(base_seed):
    rng = np.random.default_rng(base_seed)
    one = rng.integers(0, 3, 200)
    other = np.where(rng.random(200) < 0.8, (one + 1) % 3, rng.integers(0, 3, 200))
    theirs = jaccard_score(one, (other - 1) % 3, average=None)
    assert np.allclose(jaccard(one, other, 3), theirs)


def test_planted_kinds_are_stable_and_slices_of_one_are_not(base_seed):
    rng = np.random.default_rng(base_seed)
    kind = rng.integers(0, 2, 600)
    apart = [Measures(name, "", 4.0 * kind + rng.standard_normal(600)) for name in "xyz"]
    found = stability(personas_of(apart, 2), times=5, seed=base_seed)
    assert (found.table()["reading"] == "highly stable").all()
    assert found.picked == {2: 5}
    assert "2 kinds again in 5 of 5" in found.claim()
    cut = [Measures(name, "", rng.standard_normal(600)) for name in "xyz"]
    slices = stability(personas_of(cut, 3), times=5, seed=base_seed)
    assert (slices.table()["estimate"] < 0.75).any()
    assert 3 not in slices.picked or slices.picked[3] < 3


def test_resamples_of_one_kind_and_of_too_few_speak_plainly(base_seed):
    blocks, _, _ = world(base_seed, kinds=1, persons=400)
    assert (
        stability(personas_of(blocks, 1), times=3).claim().startswith("The BIC picks 1 kind again in 3 of 3")
    )
    frame = pd.DataFrame({"persona": ["A"], "estimate": 1.0, "low": 1.0, "high": 1.0, "n": 5})
    assert "Too few" in Stability(frame, {1: 2}, 1, 2).claim()
    with pytest.raises(CxValueError, match="at least 2 resamples"):
        stability(personas_of(blocks, 1), times=1)


# What is left over


def test_the_residual_of_two_answers_is_observed_less_expected(base_seed):
    """Bivariate residual (Vermunt and Magidson 2005): chi-squared of the two-way table against the model's, by hand."""
    blocks, _, _ = world(base_seed + 3, answers=5, missing=0.0, persons=600)
    blocks = blocks[1:-2]
    found = personas_of(blocks, 2)
    table = residuals(found).table().set_index(["block", "feature", "with_block", "with_feature"])
    weights = found.fitted.posterior(blocks)
    shares = [p[0] for p in found.fitted.params]
    chi, ours = [], []
    for i in range(4):
        observed = blocks[i].made.T @ blocks[i + 1].made
        expected = (weights.sum(axis=0)[:, None, None] * shares[i][:, :, None] * shares[i + 1][:, None]).sum(
            axis=0
        )
        chi.append(((observed - expected) ** 2 / expected).sum() / 4)
        scale = [np.sqrt((weights.T @ (b.made[:, None] - s) ** 2).diagonal()) if False else
                 np.sqrt(sum(weights[:, k] @ (b.made - s[k]) ** 2 for k in range(2))) for b, s in
                 ((blocks[i], shares[i]), (blocks[i + 1], shares[i + 1]))]  # fmt: skip
        left = table.loc[(blocks[i].name, slice(None), blocks[i + 1].name)]["estimate"].unstack().to_numpy()
        left = left * scale[0][:, None] * scale[1]
        assert np.allclose(left, observed - expected, atol=0.05 * np.sqrt(600))
        ours.append((left**2 / expected).sum() / 4)
    assert np.allclose(ours, chi, atol=0.2)


def test_features_independent_given_the_kind_are_seldom_called_dependent(base_seed):
    worlds = 30
    called = 0
    for i in range(worlds):
        blocks, _, _ = world(base_seed + i, persons=500)
        called += (residuals(personas_of(blocks, 2)).table()["p"] <= 0.05).any()
    assert called <= binom.ppf(0.999, worlds, 0.05)


def test_two_columns_that_say_the_same_come_first(base_seed):
    blocks, _, _ = world(base_seed + 4)
    rng = np.random.default_rng(base_seed)
    region = rng.integers(0, 4, 1200)
    language = np.where(rng.random(1200) < 0.8, region, rng.integers(0, 4, 1200))
    blocks += [Answers("region", "", tuple("abcd"), region), Answers("language", "", tuple("efgh"), language)]
    found = residuals(personas_of(blocks, 2))
    first = found.table().iloc[0]
    assert (first["block"], first["with_block"]) == ("region", "language")
    assert first["p"] < 1e-6
    assert "region" in found.claim()
    assert "still go together" in found.claim()


def test_left_over_correlations_are_correlations(base_seed):
    blocks, _, _ = world(base_seed + 5, persons=300)
    table = residuals(personas_of(blocks, 2)).table()
    assert table["estimate"].between(-1, 1).all()
    assert (table["low"].le(table["estimate"]) & table["estimate"].le(table["high"])).all()
    assert (table["block"] != table["with_block"]).all()
    assert not table.duplicated(["block", "feature", "with_block", "with_feature"]).any()
    assert table["n"].max() <= 300


def test_one_block_leaves_nothing_to_compare(base_seed):
    blocks, _, _ = world(base_seed, persons=300)
    found = residuals(personas_of(blocks[:1], 2))
    assert found.table().empty
    assert "Too few" in found.claim()


def test_kinds_drawn_are_kinds_found(base_seed):
    blocks, kind, _ = world(base_seed + 6)
    assert adjusted_rand_score(kind, mixture(blocks, 2).posterior(blocks).argmax(axis=1)) > 0.5


def test_figures_of_the_evidence_have_words_for_many_and_for_nothing(base_seed):
    blocks, _, _ = world(base_seed, persons=300)
    found = personas_of(blocks, 2)
    several = gather(blocks, {k: mixture(blocks, k) for k in (1, 2)}, 0, None)
    alone = gather(blocks, {1: mixture(blocks, 1)}, 0, 1)
    few = Stability(
        pd.DataFrame({"persona": ["A"], "estimate": 1.0, "low": 1.0, "high": 1.0, "n": 5}), {1: 2}, 1, 2
    )
    shown = [
        plots.others(several),
        plots.stability(stability(found, times=2)),
        plots.residuals(residuals(found)),
    ]
    empty_ones = [
        plots.others(alone),
        plots.stability(few),
        plots.residuals(residuals(personas_of(blocks[:1], 2))),
    ]
    for figure in shown + empty_ones:
        assert figure.png.startswith(b"\x89PNG")
        assert len(figure.alt.split()) > 6
    assert all("too few" in figure.alt for figure in empty_ones)
    assert alone.foretells() == "No second number of kinds was tried."
    assert "nothing" in alone.agrees()
    assert "nothing" in alone.degrees()


@pytest.mark.parametrize("persons", [2, 3, 5])
def test_a_handful_of_customers_of_whom_hardly_anything_is_known_gives_a_table(persons):
    rng = np.random.default_rng(persons)
    times, code = np.zeros(persons), rng.permutation(np.arange(persons) % 2)
    times[:2] = 1.0, 2.0
    blocks = [Values("rare", "", times, times * 3, times * 10), Answers("x", "", ("a", "b"), code)]
    found = gather(blocks, {k: mixture(blocks, k) for k in (1, 2)}, 0, None)
    assert len(found.table()) == 3
    assert str(found.null() + found.foretells() + found.agrees())
    assert len(stability(personas_of(blocks, 2), times=2).table()) == 2


def test_an_outlier_of_fewer_customers_than_may_be_shown_is_no_kind(base_seed):
    rng = np.random.default_rng(base_seed)
    far = np.r_[np.full(6, 30.0), np.zeros(394)]
    blocks = [Measures(name, "", far + rng.standard_normal(400)) for name in "xyz"]
    fits = {k: mixture(blocks, k) for k in (1, 2)}
    assert fits[2].bic < fits[1].bic
    assert gather(blocks, fits, 0, None).k == 1


def test_a_number_of_kinds_beyond_which_nothing_was_tried_is_said_to_be_the_least(base_seed):
    blocks, _, _ = world(base_seed)
    fits = {k: mixture(blocks, k) for k in (1, 2, 3)}
    found, edge, one, many = (
        gather(blocks, {k: fits[k] for k in range(1, most + 1)}, 0, fixed)
        for most, fixed in ((3, None), (2, None), (1, 1), (3, 3))
    )
    assert found.claim().startswith("There are 2 kinds")
    assert edge.claim().startswith("There are at least 2 kinds")
    assert one.claim().startswith("One kind was asked for")
    assert "not looked at" in one.claim()
    assert one.null() == "No second number of kinds was tried."
    assert many.claim().startswith("3 kinds were asked for")
    failed = replace(many, frame=many.frame.assign(later=500, low=-0.1))
    assert "does not clearly tell" in failed.claim()
    assert "smallest at 2; judged is 3" in plots.evidence(many).alt
