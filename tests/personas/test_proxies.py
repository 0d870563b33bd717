"""The proxy check: planted associations are found, independence is left alone, small cells stay hidden."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binom, chi2_contingency
from scipy.stats.contingency import association

import cxlib as cx
from cxlib.customers.profile import SENSITIVE, sensitive_among
from cxlib.errors import CxValueError
from cxlib.personas.model import Personas
from cxlib.personas.proxies import ALL, _cramer, _guessed

N = 1200


@pytest.fixture(scope="module")
def fitted(base_seed: int) -> tuple[Personas, np.ndarray]:
    """Two kinds told by four answers, and who is of which."""
    rng = np.random.default_rng(base_seed)
    kind = rng.integers(0, 2, N)
    answers = {f"q{i}": np.where(rng.random(N) < 0.85, kind, 1 - kind).astype(str) for i in range(4)}
    noise = {"coin": rng.integers(0, 2, N).astype(str)}
    frame = pd.DataFrame({"person": [f"p{i:04d}" for i in range(N)]} | answers | noise)
    return cx.personas.fit(cx.personas.features(frame), k=2), kind


def of(fitted: tuple[Personas, np.ndarray], **columns: object) -> pd.DataFrame:
    return pd.DataFrame({"person": fitted[0].features.persons} | columns)


def test_the_words_are_looked_for_as_words() -> None:
    names = ["age", "age_band", "AgeGroup", "language", "sex", "middlesex", "trade-union", "usage", "area"]
    assert sensitive_among(names, SENSITIVE) == ["age", "age_band", "AgeGroup", "sex", "trade-union"]
    assert sensitive_among(names, ()) == []


def test_a_sensitive_attribute_is_out_of_the_mixture_and_said_so_unless_it_is_let_in() -> None:
    study = cx.open_study("demo")
    card = cx.personas.features(study).table().set_index("block")
    assert card.loc["age_band", "role"] == "left out"
    assert card.loc["age_band", "meaning"] == "sensitive"
    card = cx.personas.features(study, sensitive=()).table().set_index("block")
    assert set(card.loc["age_band", "role"]) == {"tells"}


def test_an_attribute_that_goes_with_the_kinds_is_given_away(
    fitted: tuple[Personas, np.ndarray], base_seed: int
) -> None:
    """Two in three of one kind, one in three of the other: a guess by the kind is right .67 of the time, else .5."""
    rng = np.random.default_rng(base_seed + 1)
    personas, kind = fitted
    gender = np.where(rng.random(N) < np.where(kind, 2 / 3, 1 / 3), "f", "m")
    found = cx.personas.proxies(personas, of(fitted, gender=gender))
    row = found.table().iloc[0]
    assert (row["attribute"], row["by"], row["n"]) == ("gender", ALL, N)
    told = personas.memberships.iloc[:, 1:].to_numpy().argmax(axis=1)
    right = max(np.mean(told == kind), np.mean(told != kind))
    assert row["right"] == pytest.approx(right * 2 / 3 + (1 - right) / 3, abs=0.05)
    assert row["low"] > 0
    assert found.claim().startswith("Personas give gender away: a guess is right")
    shares = found.shares.table()
    of_women = shares[shares["level"] == "f"]["estimate"]
    assert sorted(of_women) == pytest.approx(
        [1 / 3, 2 / 3], abs=0.08
    )  # corrected: the kinds', not the assigned's
    assert shares.groupby("persona")["estimate"].sum().tolist() == pytest.approx([1, 1])


def test_independent_attributes_are_flagged_one_time_in_twenty(
    fitted: tuple[Personas, np.ndarray], base_seed: int
) -> None:
    flagged, gained = 0, 0
    for seed in range(100):
        rng = np.random.default_rng([base_seed, seed])
        religion = rng.choice(["a", "b", "c"], N, p=[0.5, 0.3, 0.2])
        table = cx.personas.proxies(fitted[0], of(fitted, religion=religion)).table()
        flagged += table["q"].iloc[0] < 0.05
        gained += table["low"].iloc[0] > 0
    assert flagged <= binom.ppf(0.999, 100, 0.05)
    assert gained <= binom.ppf(0.999, 100, 0.05)


def test_the_block_that_tells_it_is_named(fitted: tuple[Personas, np.ndarray]) -> None:
    personas, _ = fitted
    block = next(b for b in personas.features.blocks if b.name == "q2")
    found = cx.personas.proxies(personas, of(fitted, sex=np.where(block.code == 1, "f", "m")))
    assert "most through q2." in found.claim()


def test_an_association_too_weak_for_a_better_guess_is_said_to_be_one(
    fitted: tuple[Personas, np.ndarray], base_seed: int
) -> None:
    rng = np.random.default_rng(base_seed + 3)
    health = np.where(rng.random(N) < np.where(fitted[1], 0.25, 0.08), "ill", "well")
    claim = cx.personas.proxies(fitted[0], of(fitted, health=health)).claim()
    assert claim.startswith("Personas go with health (Cramer's V 0.")
    assert "hardly give it away" in claim


def test_the_association_is_that_of_scipy() -> None:
    counts = np.array([[20.0, 30, 10], [25, 5, 40]])
    (v,), (p,) = _cramer(counts[None])
    found = chi2_contingency(counts, correction=False)
    assert p == pytest.approx(found.pvalue)
    # Bergsma (2013): phi2 less its expectation under independence, over the corrected smaller side less one.
    plain = association(counts.astype(int), method="cramer") ** 2 * min(np.array(counts.shape) - 1)
    assert v**2 == pytest.approx((plain - 2 / 129) / (2 - 1 / 129 - 1))


def test_a_guess_is_not_learnt_from_those_it_is_judged_on(base_seed: int) -> None:
    """Ten kinds and ten levels by chance: right one time in ten, and twice as often where both are the same customers."""
    rng = np.random.default_rng(base_seed)
    kind, code, fold = rng.integers(0, 10, (40, 200)), rng.integers(0, 10, (40, 200)), np.arange(200) % 50
    right = [_guessed(*pair, fold)["right"] for pair in zip(kind, code, strict=True)]
    assert np.mean(right) == pytest.approx(0.1, abs=0.03)


def test_a_number_is_cut_into_quarters_and_missing_values_are_left_out(
    fitted: tuple[Personas, np.ndarray],
) -> None:
    age = np.where(np.arange(N) < 200, np.nan, np.arange(N) % 60 + 18.0)
    found = cx.personas.proxies(fitted[0], of(fitted, age=age))
    assert found.shares.table()["level"].nunique() == 4
    assert found.table()["n"].iloc[0] == N - 200
    assert "do not give age away as far as 1,000 customers can tell" in found.claim()


def test_a_number_written_as_text_is_a_number(fitted: tuple[Personas, np.ndarray]) -> None:
    age = np.random.default_rng(4).integers(18, 80, N)
    one, other = (
        cx.personas.proxies(fitted[0], of(fitted, age=given)).table() for given in (age, age.astype(str))
    )
    pd.testing.assert_frame_equal(one, other)


def test_one_word_of_sensitive_attributes_may_be_given_alone() -> None:
    assert sensitive_among(["age", "g", "customerAge", "language"], "age") == ["age", "customerAge"]


def test_a_level_of_a_few_customers_is_hidden(fitted: tuple[Personas, np.ndarray]) -> None:
    rare = np.where(np.arange(N) < 12, "few", np.where(np.arange(N) % 2, "one", "two"))
    found = cx.personas.proxies(fitted[0], of(fitted, religion=rare))
    shown, whole = found.shares.visible(), found.shares.table()
    hidden = whole[(whole["level"] == "few") & whole["count"].between(1, 9)]["persona"]
    assert len(hidden)
    assert not (shown["persona"].isin(hidden) & (shown["level"] == "few")).any()
    # One level alone left out would follow from the rest.
    assert (shown[shown["persona"].isin(hidden)].groupby("persona").size() == 1).all()


def test_of_many_levels_the_commonest_are_told_apart(fitted: tuple[Personas, np.ndarray]) -> None:
    place = np.arange(N)
    found = cx.personas.proxies(
        fitted[0],
        of(
            fitted,
            ethnicity=[f"e{i % 40}" for i in place],
            birthdate=pd.to_datetime("1980-01-01") + pd.to_timedelta(place, "D"),
        ),
    )
    levels = found.shares.table().groupby("attribute")["level"].nunique()
    assert levels.to_dict() == {"ethnicity": 12, "birthdate": 4}


def no_customers(fitted: tuple[Personas, np.ndarray]) -> object:
    return of(fitted, colour="red")


def constant(fitted: tuple[Personas, np.ndarray]) -> object:
    return of(fitted, sex="f")


@pytest.mark.parametrize("given", [no_customers, constant])
def test_without_a_sensitive_attribute_it_says_that_nothing_was_checked(
    fitted: tuple[Personas, np.ndarray], given: Callable
) -> None:
    found = cx.personas.proxies(fitted[0], given(fitted))
    assert found.table().empty
    assert "cannot be checked" in found.claim()
    assert "text/html" in found._repr_mimebundle_()


def test_one_kind_gives_nothing_away(fitted: tuple[Personas, np.ndarray]) -> None:
    one = cx.personas.fit(fitted[0].features, k=1)
    found = cx.personas.proxies(one, of(fitted, sex=np.where(np.arange(N) % 2, "f", "m")))
    assert found.table().iloc[0][["estimate", "v", "q"]].tolist() == [0, 0, 1]
    assert str(found.claim()) == "With one persona there is nothing that could give an attribute away."


def test_two_rows_of_a_person_are_refused(fitted: tuple[Personas, np.ndarray]) -> None:
    frame = of(fitted, sex="f")
    with pytest.raises(CxValueError, match="more than one row"):
        cx.personas.proxies(fitted[0], pd.concat([frame, frame]))


def test_age_is_given_away_by_the_personas_of_the_demo() -> None:
    """Planted: each kind of the simulated company has its own ages (`cxlib.world.kinds`)."""
    study = cx.open_study("demo")
    found = cx.personas.proxies(cx.personas.fit(cx.personas.features(study), k=5), study)
    assert found.claim().startswith("Personas give age band away")
