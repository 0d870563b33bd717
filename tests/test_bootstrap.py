"""Bootstrap-t: heavy tails held where a plain interval fails, and what must always be true of it."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats as distributions

from cxlib.errors import CxValueError
from cxlib.stats.bootstrap import bootstrap_t
from tests import harness


@pytest.fixture
def spent(base_seed: int) -> np.ndarray:
    return np.random.default_rng(base_seed).lognormal(3, 1, 400)


def covered(log_sd: float, n: int, worlds: int, base: int) -> harness.Coverage:
    """Log-normal amounts, whose mean is exp(log_sd**2 / 2)."""

    def draw(seed: int) -> pd.DataFrame:
        x = np.random.default_rng(seed).lognormal(0, log_sd, n)
        found, se = bootstrap_t(x, draws=1000), x.std(ddof=1) / np.sqrt(n)
        ends = {"bootstrap_t": (found.low, found.high), "plain": (x.mean() - 1.96 * se, x.mean() + 1.96 * se)}
        rows = [(name, "mean", x.mean(), *pair, np.exp(log_sd**2 / 2), n) for name, pair in ends.items()]
        return pd.DataFrame(
            rows, columns=["result", "cell", "estimate", "low", "high", "truth", "expected"], dtype=object
        )

    return harness.coverage(draw, worlds, base)


@pytest.mark.slow
def test_it_holds_the_mean_of_log_normal_amounts(base_seed: int) -> None:
    assert not covered(1.0, 300, 400, base_seed).rejects(0.92, 0.97, "bootstrap_t")


@pytest.mark.slow
def test_where_half_the_mean_is_a_customer_in_forty_it_falls_short_but_less_than_the_plain(
    base_seed: int,
) -> None:
    """TRAPS: plain covered .79 at n = 300. Nor does this reach .92; it is said in the docstring."""
    found = covered(2.0, 300, 300, base_seed).table().set_index("result")["estimate"]
    assert found["bootstrap_t"] > found["plain"] + 0.03
    assert found["plain"] < 0.87


def test_without_skewness_it_is_the_t_interval(base_seed: int) -> None:
    x = np.random.default_rng(base_seed + 1).normal(50, 5, 500)
    found = bootstrap_t(x, draws=5000)
    low, high = distributions.t.interval(0.95, 499, x.mean(), x.std(ddof=1) / np.sqrt(500))
    assert found.se == pytest.approx(x.std(ddof=1) / np.sqrt(500))
    assert np.allclose([found.low, found.high], [low, high], atol=0.1 * (high - low))


def test_a_long_right_tail_reaches_further_up_than_down(spent: np.ndarray) -> None:
    found = bootstrap_t(spent)
    assert found.high - found.estimate > found.estimate - found.low > 0


def test_columns_are_as_if_each_were_alone_and_units_carry_through(spent: np.ndarray) -> None:
    both, one = bootstrap_t(np.column_stack([spent, 100 * spent - 7])), bootstrap_t(spent)
    assert both.low.shape == (2,)
    assert np.allclose([both.low[0], both.high[0]], [one.low, one.high])
    assert np.allclose([both.low[1], both.high[1]], [100 * one.low - 7, 100 * one.high - 7])
    assert bootstrap_t(spent) == one  # the same seed


def test_a_customers_rows_count_as_one_customer(spent: np.ndarray) -> None:
    who = np.arange(len(spent))
    alone, twice = bootstrap_t(spent, who), bootstrap_t(np.repeat(spent, 2), np.repeat(who, 2))
    assert np.allclose(alone, bootstrap_t(spent))
    assert np.allclose(twice, alone)


def test_weights_make_a_ratio_of_sums(spent: np.ndarray, base_seed: int) -> None:
    visits = np.random.default_rng(base_seed + 2).integers(1, 9, len(spent))
    found = bootstrap_t(spent / visits, weights=visits)
    assert found.estimate == pytest.approx(spent.sum() / visits.sum())
    # Linearised: the residuals of a ratio, as any book on surveys has it (Cochran 1977, chapter 6).
    residual = spent - found.estimate * visits
    assert found.se == pytest.approx(residual.std(ddof=1) / visits.mean() / np.sqrt(len(spent)))
    assert found.low < found.estimate < found.high


def test_too_little_to_tell_has_no_ends_and_no_spread_no_width() -> None:
    assert np.isnan(bootstrap_t([3.0]).low)
    assert np.isnan([bootstrap_t([0.0, 1.0]).low, bootstrap_t([0.0, 1.0]).high]).all()
    assert bootstrap_t([2.0] * 20)[:3] == (2.0, 2.0, 2.0)


@pytest.mark.parametrize(
    ("values", "options", "message"),
    [
        ([1.0, np.nan], {}, "must be finite"),
        ([1.0, 2.0], {"weights": [1.0]}, "2 values; weights and clusters need one for each"),
        ([1.0, 2.0], {"clusters": ["a"]}, "2 values; weights and clusters need one for each"),
        ([1.0, 2.0], {"weights": [0.0, 0.0]}, "nor all 0"),
    ],
)
def test_what_has_no_mean_is_refused(values: list[float], options: dict[str, list], message: str) -> None:
    with pytest.raises(CxValueError, match=message):
        bootstrap_t(values, **options)
