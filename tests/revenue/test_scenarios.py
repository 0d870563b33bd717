"""Scenarios: arithmetic where nothing is uncertain, each verdict where it is right, what knowing more is worth."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats as distributions

from cxlib.errors import CxValueError
from cxlib.revenue import Effect, Scenario, Unit, difference, plots, scenario


def quantity(plan: Scenario, name: str, column: str = "estimate") -> float:
    return float(plan.table().set_index("quantity").loc[name, column])


def effect(estimate: float, se: float, df: float = np.inf, **more: object) -> Effect:
    reach = distributions.t.ppf(0.975, df) * se
    ends = (estimate - reach, estimate + reach)
    return Effect(
        "identified", "margin", estimate, *ends, 500, se, 250, 250, basis="By randomisation", df=df, **more
    )


def test_what_is_certain_is_plain_arithmetic() -> None:
    """10 customers a month at 5, a month's cost of 20 and 100 once: 30 a month, so 100 are back in the fourth."""
    plan = scenario((5, 5, 5), 10, months=12, once=100, monthly=20, discount=0)
    assert quantity(plan, "gain") == pytest.approx(600)
    assert quantity(plan, "cost") == pytest.approx(340)
    assert quantity(plan, "net") == pytest.approx(260)
    assert quantity(plan, "payback_months") == 4
    assert quantity(plan, "loss_probability") == 0
    assert plan.path["estimate"].tolist() == pytest.approx([30.0 * month - 100 for month in range(1, 13)])
    assert plan.verdict == "do it"


def test_discounting_is_that_of_the_middle_of_each_month() -> None:
    plan = scenario((5, 5, 5), 10, months=12, discount=0.10)
    assert quantity(plan, "net") == pytest.approx(
        sum(50 / 1.1 ** ((month + 0.5) / 12) for month in range(12))
    )


def test_a_campaign_reaches_its_customers_once_and_their_effect_comes_in_over_months() -> None:
    plan = scenario((30, 30, 30), 100, months=6, during=1, each=4, spread=3, discount=0)
    assert plan.path["estimate"].tolist() == pytest.approx([600, 1600, 2600, 2600, 2600, 2600])
    late = scenario((30, 30, 30), 100, months=2, during=1, each=4, spread=3, discount=0)
    assert quantity(late, "gain") == pytest.approx(2000)  # what comes after the horizon is not counted


def test_what_is_avoided_is_gained_and_cents_are_euros() -> None:
    costly = effect(-2000.0, 100.0, unit=Unit("EUR", 100))
    plan = scenario(costly, 10, months=10, avoided=True, discount=0)
    assert quantity(plan, "gain") == pytest.approx(2000, rel=0.01)
    assert plan.unit == "EUR"
    assert "EUR net" in plan.claim()


def test_the_effects_own_interval_comes_through(base_seed: int) -> None:
    for df in (5.0, np.inf):
        plan = scenario(effect(20, 4, df), 1, months=1, discount=0, seed=base_seed)
        reach = distributions.t.ppf(0.975, df) * 4
        assert quantity(plan, "gain", "low") == pytest.approx(20 - reach, abs=0.6)
        assert quantity(plan, "gain", "high") == pytest.approx(20 + reach, abs=0.6)


def test_a_lopsided_interval_stays_lopsided(base_seed: int) -> None:
    plan = scenario((10, 8, 30), 1, months=1, discount=0, seed=base_seed)
    assert quantity(plan, "gain", "low") == pytest.approx(8, abs=0.3)
    assert quantity(plan, "gain", "high") == pytest.approx(30, abs=1.5)


def test_an_uncertain_reach_has_the_ends_it_was_given(base_seed: int) -> None:
    plan = scenario((1, 1, 1), (50, 200), months=1, discount=0, seed=base_seed)
    assert quantity(plan, "gain", "low") == pytest.approx(50, rel=0.06)
    assert quantity(plan, "gain", "high") == pytest.approx(200, rel=0.06)


def test_knowing_is_worth_the_mean_of_the_better_choices_less_the_better_mean(base_seed: int) -> None:
    """A normal net with mean 0 and standard deviation s: s / sqrt(2 pi), as for any such choice."""
    plan = scenario(effect(0, 7), 1, months=1, discount=0, seed=base_seed, draws=200_000)
    assert plan.worth_knowing == pytest.approx(7 / np.sqrt(2 * np.pi), rel=0.02)
    assert quantity(plan, "loss_probability") == pytest.approx(0.5, abs=0.01)


def test_knowing_is_worth_nothing_where_nothing_could_change_the_choice() -> None:
    assert scenario(effect(50, 1), 1).worth_knowing == 0
    assert scenario(effect(-50, 1), 1).worth_knowing == 0


@pytest.mark.parametrize(
    ("worth", "verdict", "words"),
    [
        (9.0, "do it", "Do it."),
        (0.5, "don't", "Don't."),
        (2.2, "cannot tell", "learning more is worth up to"),
    ],
)
def test_each_verdict_occurs_where_it_is_right(
    base_seed: int, worth: float, verdict: str, words: str
) -> None:
    """Of an experiment whose truth is known: treating costs 2 a customer, and is worth 9, 0.5 or about 2."""
    rng = np.random.default_rng(base_seed)
    noise = rng.normal(0, 10, 4000)
    nudged = np.arange(4000) % 2
    noise = noise - np.where(nudged, noise[nudged == 1].mean(), noise[nudged == 0].mean())  # no lucky draw
    frame = pd.DataFrame({"nudged": nudged, "margin": 20 + worth * nudged + noise})
    found = difference(frame, treated="nudged", outcome="margin", randomised=True)
    plan = scenario(found, 1000, each=2.0, months=12)
    assert plan.verdict == verdict
    assert words in plan.claim()


def test_a_thing_that_may_never_pay_says_so(base_seed: int) -> None:
    plan = scenario(effect(3, 2), 10, months=12, once=300, seed=base_seed)
    assert quantity(plan, "payback_months", "high") == np.inf
    assert "not within 12" in plan.claim()
    assert "not within 12 months" in scenario((1, 1, 1), 1, months=12, once=300).claim()


def test_without_bounds_on_the_effect_there_is_no_decision() -> None:
    wild = Effect("identified", "margin", 5.0, -np.inf, np.inf, 300, 4.0, 150, 150)
    plan = scenario(wild, 100)
    assert plan.verdict == "cannot tell"
    assert "no bound" in plan.claim()
    assert "too few" in plots.scenario(plan).alt


def test_what_is_not_an_effect_decides_nothing() -> None:
    frame = pd.DataFrame({"app": [0, 1] * 20, "margin": np.arange(40.0)})
    with pytest.raises(CxValueError, match="needs an identified effect; this one is naive"):
        scenario(difference(frame, treated="app", outcome="margin"), 10)
    with pytest.raises(CxValueError, match="low <= estimate <= high"):
        scenario((5, 6, 7), 10)
    with pytest.raises(CxValueError, match="0 < reach"):
        scenario((5, 4, 7), (0, 10))


def test_its_figure_says_how_it_ends() -> None:
    shown = plots.scenario(scenario((5, 4, 6), 10, name="A better queue"))
    assert shown.alt.startswith("A better queue: what it has earned by month: after 24 months")
