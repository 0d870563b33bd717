"""Naive, adjusted, identified: LaLonde's figures, other people's least squares, and words that are earned."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from scipy import stats as distributions

from cxlib.errors import CxError, CxValueError
from cxlib.revenue import Ladder, adjusted, difference, ladder
from tests import harness

COVARIATES = ["age", "educ", "black", "hisp", "marr", "nodegree", "re74", "re75"]


@pytest.fixture(scope="module")
def experiment(mirror: Path) -> pd.DataFrame:
    return pd.read_csv(mirror / "lalonde" / "nsw_mixtape.csv")


@pytest.fixture(scope="module")
def survey(mirror: Path, experiment: pd.DataFrame) -> pd.DataFrame:
    """The experiment's treated beside people of a survey."""
    others = pd.read_csv(mirror / "lalonde" / "cps_mixtape.csv")
    return pd.concat([experiment[experiment["treat"] == 1], others], ignore_index=True)


@pytest.fixture(scope="module")
def rungs(experiment: pd.DataFrame, survey: pd.DataFrame) -> Ladder:
    of = {"treated": "treat", "outcome": "re78"}
    return ladder(
        naive=difference(survey, **of),
        adjusted=adjusted(survey, **of, covariates=COVARIATES),
        identified=difference(experiment, **of, randomised=True),
    )


@pytest.fixture
def frame(base_seed: int) -> pd.DataFrame:
    return shoppers(200, np.random.default_rng(base_seed))


def shoppers(n: int, rng: np.random.Generator) -> pd.DataFrame:
    """The app is worth 2 more; who likes the shop has it more often, and spends more anyway."""
    liking = rng.normal(size=n)
    app = (liking + rng.normal(size=n) > 0.5).astype(int)
    spend = 10 + 2 * app + 3 * liking + rng.normal(size=n) * (1 + app)
    return pd.DataFrame({"app": app, "liking": liking, "spend": spend})


def test_lalondes_experiment_and_naive_comparison_to_the_digits(rungs: Ladder) -> None:
    table = rungs.table().set_index("rung")
    assert round(table.loc["identified", "estimate"], 2) == 1794.34
    assert round(table.loc["identified", "se_classical"], 2) == 632.85
    assert round(table.loc["identified", "se"], 2) == 671.00
    assert table.loc["identified", ["treated", "controls"]].tolist() == [185, 260]
    assert round(table.loc["naive", "estimate"]) == -8498


def test_lalondes_adjusted_figure_is_our_cross_check(rungs: Ladder) -> None:
    table = rungs.table().set_index("rung")
    assert table.loc["adjusted", "estimate"] == pytest.approx(700, abs=1)
    assert round(table.loc["adjusted", "se_classical"]) == 548


def test_the_ladder_says_which_rung_is_the_effect_and_which_missed_it(rungs: Ladder) -> None:
    claim = rungs.claim()
    assert "naive -8,498" in claim
    assert "the naive interval misses it" in claim
    assert rungs.table()["rung"].tolist() == ["naive", "adjusted", "identified"]


def test_least_squares_and_both_errors_are_those_of_statsmodels(frame: pd.DataFrame) -> None:
    got = adjusted(frame, treated="app", outcome="spend", covariates=["liking"])
    fit = sm.OLS(frame["spend"], sm.add_constant(frame[["app", "liking"]])).fit()
    robust = fit.get_robustcov_results("HC2", use_t=True)
    assert got.estimate == pytest.approx(fit.params["app"])
    assert got.se_classical == pytest.approx(fit.bse["app"])
    assert got.se == pytest.approx(robust.bse[1])
    assert [got.low, got.high] == pytest.approx(robust.conf_int()[1].tolist())


def test_a_difference_has_welchs_interval(frame: pd.DataFrame) -> None:
    got = difference(frame, treated="app", outcome="spend")
    sides = [frame.loc[frame["app"] == side, "spend"] for side in (1, 0)]
    welch = distributions.ttest_ind(*sides, equal_var=False)
    assert got.estimate == pytest.approx(sides[0].mean() - sides[1].mean())
    assert got.se == pytest.approx(welch.statistic**-1 * got.estimate)
    assert [got.low, got.high] == pytest.approx(list(welch.confidence_interval()))


def test_swapping_the_groups_changes_the_sign_and_units_scale_everything(frame: pd.DataFrame) -> None:
    of = {"treated": "app", "outcome": "spend", "covariates": ["liking"]}
    one = adjusted(frame, **of)
    other = adjusted(frame.assign(app=1 - frame["app"], liking=frame["liking"] * 1e6), **of)
    assert [other.estimate, other.low, other.high] == pytest.approx([-one.estimate, -one.high, -one.low])
    cents = adjusted(frame.assign(spend=frame["spend"] * 100).sample(frac=1, random_state=1), **of)
    assert [cents.estimate, cents.se] == pytest.approx([one.estimate * 100, one.se * 100])


def test_a_bool_treats_like_one_and_zero(frame: pd.DataFrame) -> None:
    of = {"treated": "app", "outcome": "spend"}
    assert difference(frame.assign(app=frame["app"] == 1), **of) == difference(frame, **of)


@pytest.mark.slow
def test_intervals_hold_the_effect_where_the_design_earns_it_and_naive_ones_never(base_seed: int) -> None:
    def draw(seed: int) -> pd.DataFrame:
        world = shoppers(300, np.random.default_rng(seed))
        of = {"treated": "app", "outcome": "spend"}
        naive, equal = difference(world, **of), adjusted(world, **of, covariates=["liking"])
        table = pd.concat([naive.table(), equal.table()], ignore_index=True)
        table = table[["rung", "estimate", "low", "high"]].rename(columns={"rung": "result"})
        return table.assign(cell="app", truth=2.0, expected=300.0)

    bar = harness.coverage(draw, 300, base_seed)
    assert not bar.rejects(0.92, 0.97, "adjusted")
    assert bar.table().set_index("result").loc["naive", "estimate"] < 0.05


def test_causal_words_are_earned_by_randomisation_only(frame: pd.DataFrame) -> None:
    of = {"treated": "app", "outcome": "spend"}
    naive, equal = difference(frame, **of), adjusted(frame, **of, covariates=["liking"])
    for result in (naive, equal):
        assert "this is not an effect" in result.claim()
    drawn = adjusted(frame, **of, covariates=["liking"], randomised=True)
    assert drawn.rung == "identified"
    assert "By randomisation, the effect" in drawn.claim()
    assert "the effect is not known" in ladder(naive=naive, adjusted=equal).claim()
    with pytest.raises(
        CxValueError, match=r"identified= got an estimate that is adjusted\. Only a design makes one"
    ):
        ladder(identified=equal)


def test_a_ladder_is_of_one_outcome_and_not_empty(frame: pd.DataFrame) -> None:
    with pytest.raises(CxValueError, match="at least one estimate"):
        ladder()
    with pytest.raises(CxValueError, match="several outcomes: spend, liking"):
        ladder(
            naive=difference(frame, treated="app", outcome="spend"),
            identified=difference(frame, treated="app", outcome="liking", randomised=True),
        )


@pytest.mark.parametrize(
    ("change", "options", "message"),
    [
        ({"app": 2}, {}, "`app` must be 0 .control. or 1 .treated.; it has 2"),
        ({"app": 1}, {}, "two treated and two controls; there are 200 and 0"),
        ({"app": "yes"}, {}, "`app` must be numbers"),
        ({"spend": np.nan}, {}, "`spend` must be numbers: 200 value"),
        ({}, {"outcome": "spent"}, "Did you mean `spend`"),
        ({}, {"covariates": []}, "use difference"),
        ({}, {"covariates": ["app"]}, "cannot also be a covariate"),
        ({"twin": 3.0}, {"covariates": ["liking", "twin"]}, "liking, twin follow from each other"),
    ],
)
def test_what_cannot_be_estimated_is_refused(
    frame: pd.DataFrame, change: dict[str, object], options: dict[str, object], message: str
) -> None:
    arguments = {"treated": "app", "outcome": "spend", "covariates": ["liking"], **options}
    with pytest.raises(CxError, match=message):
        adjusted(frame.assign(**change), **arguments)
