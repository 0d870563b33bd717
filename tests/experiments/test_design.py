"""Designs against statsmodels' printed numbers, and what must hold of any."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cxlib.errors import CxValueError
from cxlib.experiments import design


@pytest.mark.parametrize(
    ("asked", "n"),
    [
        # statsmodels: TTestIndPower, NormalIndPower; proportions by proportion_effectsize
        ({"effect": 0.2}, 393.4057),
        ({"effect": 0.2, "method": "normal"}, 392.443),
        ({"effect": 0.5}, 63.7656),
        ({"effect": 0.01, "baseline": 0.10}, 14744.1),
    ],
)
def test_sample_sizes_are_those_of_statsmodels(asked: dict, n: float) -> None:
    assert design(**asked).n == pytest.approx(n, rel=2e-6)


@pytest.mark.parametrize(("ratio", "level", "power"), [(1.0, 0.95, 0.8), (0.5, 0.9, 0.9), (3.0, 0.99, 0.6)])
def test_designs_agree_with_statsmodels_where_it_is_installed(
    ratio: float, level: float, power: float
) -> None:
    sm = pytest.importorskip("statsmodels.stats.power")
    for d in (0.1, 0.4, 1.5):
        theirs = sm.TTestIndPower().solve_power(effect_size=d, alpha=1 - level, power=power, ratio=ratio)
        assert design(d, power=power, level=level, ratio=ratio).n == pytest.approx(float(theirs), rel=1e-5)


@settings(max_examples=40, deadline=None)
@given(
    d=st.floats(0.02, 1.5), power=st.floats(0.3, 0.98), sd=st.floats(0.01, 1e4), baseline=st.sampled_from([None, 0.1])
)  # fmt: skip
def test_solving_for_each_of_the_three_leads_back_to_the_others(
    d: float, power: float, sd: float, baseline: float | None
) -> None:
    effect = d * sd if baseline is None else d / 2
    plan = design(effect, power=power, sd=sd, baseline=baseline)
    if plan.n <= 2.0000001:  # the smallest there is: its power is higher than asked for
        return
    assert design(effect, n=plan.n, sd=sd, baseline=baseline).power == pytest.approx(power, rel=1e-6)
    found = design(n=plan.n, power=power, sd=sd, baseline=baseline)
    assert found.solved_for == "effect"
    assert found.effect == pytest.approx(effect, rel=1e-5)


def test_a_smaller_effect_a_larger_spread_and_unequal_arms_take_more_customers() -> None:
    base = design(0.2)
    assert design(0.1).n > base.n
    assert design(0.2, sd=2.0).n == pytest.approx(design(0.1).n)
    uneven = design(0.2, ratio=3.0)
    assert uneven.n * 4 > base.n * 2
    assert design(-0.2).n == pytest.approx(base.n)


def test_the_table_has_whole_customers_and_the_claim_says_them() -> None:
    plan = design(0.01, baseline=0.10)
    row = plan.table().iloc[0]
    assert row["n"] == 14_745
    assert row["estimate"] == row["low"] == row["high"] == plan.n
    assert "14,745 customers an arm" in plan.claim()
    assert "10.0\xa0% to 11.0\xa0%" in plan.claim()
    assert "control arm" in design(0.2, ratio=2.0).claim()


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({}, "Give two of effect, n and power"),
        ({"effect": 0.2, "n": 50, "power": 0.8}, "Give two of effect, n and power"),
        ({"effect": 0.0}, "other than 0"),
        ({"effect": math.inf}, "other than 0"),
        ({"effect": 0.2, "sd": 0.0}, "sd is 0"),
        ({"effect": 0.2, "power": 1.0}, "power is 1"),
        ({"effect": 0.2, "power": 0.04}, "which chance alone gives"),
        ({"effect": 0.2, "n": 1}, "at least two"),
        ({"effect": 0.95, "baseline": 0.1}, "not a proportion"),
        ({"n": 3, "baseline": 0.9, "power": 0.99}, "No effect up to"),
    ],
)
def test_what_cannot_be_designed_is_said(asked: dict, message: str) -> None:
    with pytest.raises(CxValueError, match=message):
        design(**asked)
