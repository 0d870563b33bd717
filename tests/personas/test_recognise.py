"""Two questions a persona: planted rules come back, noise tells nothing, and the accuracy is what it says."""

import numpy as np
import pandas as pd
import pytest

import cxlib as cx
from cxlib.customers.blocks import Answers, Choices, Measures
from cxlib.customers.features import Features
from cxlib.personas.recognise import learn, questions, recognised


def answers(name: str, code, options=("no", "yes")) -> Answers:
    return Answers(name, "", tuple(options), np.asarray(code, dtype=np.int64))


def of(*blocks, persons: int) -> Features:
    names = np.array([f"p{i:05d}" for i in range(persons)], dtype=object)
    return Features(names, blocks, pd.DataFrame({"person": names}))


def noise(rng, n: int, columns: int = 12) -> list[Answers]:
    return [answers(f"noise {i}", rng.integers(0, 2, n)) for i in range(columns)]


def planted(rng, n: int):
    """Members: nine tenths of those with a and b, a twentieth of the others. Share by hand: .25 * .9 + .75 * .05."""
    a, b = rng.integers(0, 2, (2, n))
    kind = rng.random(n) < np.where(a & b, 0.9, 0.05)
    posterior = np.where(a & b, 0.9, 0.05)
    return of(answers("a", a), answers("b", b), *noise(rng, n), persons=n), posterior, kind


def test_a_planted_rule_comes_back_with_its_accuracy(base_seed):
    rng = np.random.default_rng(base_seed)
    features, p, _ = planted(rng, 4000)
    row = recognised(("A", "B"), np.stack([p, 1 - p], axis=1), features).table().iloc[0]
    assert row["ask"] in {
        "Is their a “yes”? yes; and is their b “yes”? yes",
        "Is their b “yes”? yes; and is their a “yes”? yes",
    }
    assert row["estimate"] == pytest.approx(0.9)
    share = 0.25 * 0.9 + 0.75 * 0.05
    assert row["finds_low"] < 0.25 * 0.9 / share < row["finds_high"]
    assert row["base"] == pytest.approx(share, abs=0.03)


def test_the_opposite_of_a_rule_is_named_by_or(base_seed):
    features, p, _ = planted(np.random.default_rng(base_seed), 4000)
    row = recognised(("A", "B"), np.stack([p, 1 - p], axis=1), features).table().iloc[1]
    assert "? no; or is" in row["ask"]
    assert row["estimate"] == pytest.approx(0.95)


def test_accuracy_by_probability_covers_that_by_truth(base_seed):
    """Over small worlds with kinds drawn from the probabilities; the true accuracies are those of `planted`, by hand."""
    held = []
    for seed in range(40):
        rng = np.random.default_rng([base_seed, seed])
        n, (w, v) = 800, (0.8, 0.3)
        a, b = rng.integers(0, 2, (2, n))
        p = np.clip(np.where(a & b, w, v) + rng.uniform(-0.2, 0.2, n), 0, 1)
        features = of(answers("a", a), answers("b", b), *noise(rng, n, 4), persons=n)
        row = recognised(("A", "B"), np.stack([p, 1 - p], axis=1), features).table().iloc[0]
        share = 0.25 * w + 0.75 * v
        held.append(
            (row["low"] < w < row["high"]) and (row["finds_low"] < 0.25 * w / share < row["finds_high"])
        )
    assert np.mean(held) > 0.8


def test_questions_that_tell_nothing_are_right_as_often_as_naming_anybody(base_seed):
    """No optimism: rules learnt from noise name the persona at its base rate, over worlds on average."""
    gaps = []
    for seed in range(30):
        rng = np.random.default_rng([base_seed, seed])
        p = rng.beta(0.3, 0.7, 600)
        found = (
            recognised(("A", "B"), np.stack([p, 1 - p], axis=1), of(*noise(rng, 600), persons=600))
            .table()
            .iloc[0]
        )
        gaps.append(found["estimate"] - found["base"])
    assert abs(np.mean(gaps)) < 3 * np.std(gaps) / len(gaps) ** 0.5 + 1e-3


def test_a_missing_answer_is_a_no():
    code = np.array([1] * 30 + [0] * 30 + [-1] * 30)
    asked = questions([answers("a", code)])
    assert [q.text for q in asked] == ["Is their a “yes”?"]
    assert asked[0].yes[:30].all()
    assert not asked[0].yes[30:].any()


def test_the_rule_is_the_best_of_all_pairs(base_seed):
    """Against every pair of questions and answers, one at a time, by NumPy's correlation."""
    rng = np.random.default_rng(base_seed)
    yes, p = rng.random((300, 6)) < 0.4, rng.random(300)
    about = [str(i) for i in range(6)]
    best = max(
        abs(np.corrcoef((yes[:, i] == a) & (yes[:, j] == b), p)[0, 1])
        for i in range(6) for j in range(6) if i != j for a in (True, False) for b in (True, False)
    )  # fmt: skip
    rule = learn(yes.astype(np.float32), p, about)
    assert np.corrcoef(rule.names(yes.astype(np.float32)), p)[0, 1] == pytest.approx(best, abs=1e-6)


def test_contacts_are_counted_over_first_and_later_ones_without_ends():
    # 40 customers with one visit each, begun in the shop, half of whom went on to the desk.
    who = np.arange(40)
    begun = Choices("beginnings", "", ("c",), ("shop",), 40, who, who * 0, who * 0, np.ones(40), who * 0)
    then = Choices(
        "steps", "", ("shop",), ("(end)", "desk"), 40, who, who * 0, (who < 20) * 1, np.ones(40), who * 0
    )
    yes = {q.text: int(q.yes.sum()) for q in questions([begun, then])}
    assert yes["Have they ever used “desk”?"] == 20
    assert yes["Are at least half of their contacts “desk”?"] == 20
    assert not any("end" in text for text in yes)


def test_numbers_are_asked_in_their_own_unit():
    money = np.log(np.repeat([1000.0, 5000.0, 20000.0], 40))
    texts = [q.text for q in questions([Measures("order value", "", money, unit="log EUR")])]
    assert "Is their usual order above 50.0 EUR?" in texts
    yen = [q.text for q in questions([Measures("order value", "", money, unit="log JPY")])]
    assert "Is their usual order above 5,000 JPY?" in yen
    plain = [q.text for q in questions([Measures("age", "", np.repeat([20.0, 40, 60], 40))])]
    assert "Is their age above 40.0?" in plain


def test_one_persona_has_nobody_to_be_told_from():
    found = recognised(("A",), np.ones((50, 1)), of(*noise(np.random.default_rng(0), 50), persons=50))
    assert found.table().empty
    assert "Nothing to show" in found._repr_mimebundle_()["text/html"]
    assert "nobody to tell it from" in found.claim()


def test_the_claim_names_the_easiest_and_hides_few():
    features, p, _ = planted(np.random.default_rng(0), 2000)
    found = recognised(("A", "B"), np.stack([p, 1 - p], axis=1), features)
    assert "recognise" in found.claim()
    few = cx.personas.Recognised(found.table().assign(customers=3))
    assert few.claim() == "Too few customers to say."
