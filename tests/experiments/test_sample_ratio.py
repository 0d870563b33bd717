"""The sample ratio: published p-values, and that it fires where it should and only there."""

from __future__ import annotations

import os

import numpy as np
import pytest

from cxlib import stats
from cxlib.errors import CxValueError
from cxlib.experiments import sample_ratio

SEED = int(os.environ.get("CXLIB_SEED", "0"))


def test_p_values_are_those_published() -> None:
    # tea-tasting's documented sample-ratio example
    counts = {"control": 2023, "treatment": 1977}
    assert sample_ratio(counts).p == pytest.approx(0.47677, abs=5e-6)
    assert sample_ratio(counts, method="chi-square").p == pytest.approx(0.46703, abs=5e-6)


def test_planned_weights_need_not_sum_to_one_and_the_order_of_arms_changes_nothing() -> None:
    thirds = sample_ratio({"a": 200, "b": 100}, {"b": 1, "a": 2})
    assert thirds.p == pytest.approx(1.0)
    assert thirds.p == sample_ratio({"b": 100, "a": 200}, {"a": 20, "b": 10}).p
    assert thirds.table()["expected"].tolist() == pytest.approx([2 / 3, 1 / 3])


def test_a_broken_assignment_is_said_with_the_arm_that_is_furthest_off() -> None:
    check = sample_ratio({"a": 10_000, "b": 9_000, "c": 10_000})
    assert not check.passed
    assert "b has 31.0\xa0%" in check.claim()
    assert (
        sample_ratio({"a": 100, "b": 90}).claim() == "The arms have the sizes that were planned (p = 0.514)."
    )


@pytest.mark.parametrize(
    ("counts", "expected", "method", "message"),
    [
        ({"a": 5}, None, "auto", "needs two arms"),
        ({"a": 5, "b": 5}, {"a": 1}, "auto", "each arm a weight"),
        ({"a": 5, "b": 5}, {"a": 1, "b": 0}, "auto", "each arm a weight"),
        ({"a": 5, "b": 5, "c": 5}, None, "binomial", "use chi-square"),
    ],
)
def test_what_cannot_be_checked_is_said(counts: dict, expected: dict, method: str, message: str) -> None:
    with pytest.raises(CxValueError, match=message):
        sample_ratio(counts, expected, method)  # type: ignore[arg-type]


@pytest.mark.slow
@pytest.mark.parametrize("arms", [2, 3])
def test_a_fair_assignment_fails_as_seldom_as_promised_and_a_broken_one_nearly_always(arms: int) -> None:
    rng = np.random.default_rng(SEED + 11)
    names = [f"arm {a}" for a in range(arms)]
    fair = rng.multinomial(6_000, np.full(arms, 1 / arms), 1_000)
    # One in five customers of the last arm is lost on the way.
    broken = np.c_[fair[:, :-1], rng.binomial(fair[:, -1], 0.8)]
    alarms = sum(not sample_ratio(dict(zip(names, row, strict=True)), limit=0.05).passed for row in fair)
    caught = sum(not sample_ratio(dict(zip(names, row, strict=True))).passed for row in broken[:200])
    own = stats.wilson(alarms, 1_000, level=0.999)
    assert own.low <= 0.05
    assert alarms > 20
    assert caught > 190
