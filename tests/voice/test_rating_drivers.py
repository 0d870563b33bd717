"""Which ratings go with the whole: published weights, an exact split of R2, missing answers, coverage."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pandas as pd
import proofs_split as worlds
import pytest

import cxlib as cx
from cxlib import stats
from cxlib.errors import CxLookupError, CxValueError
from cxlib.voice.drivers import correlations, drivers, moments, relative_weights
from tests import harness

# Motor Trend 1974 (R's mtcars): miles a gallon, then cylinders, displacement, horse power, gears.
MPG = [21, 21, 22.8, 21.4, 18.7, 18.1, 14.3, 24.4, 22.8, 19.2, 17.8, 16.4, 17.3, 15.2, 10.4, 10.4]
MPG += [14.7, 32.4, 30.4, 33.9, 21.5, 15.5, 15.2, 13.3, 19.2, 27.3, 26, 30.4, 15.8, 19.7, 15, 21.4]
CYL = [int(one) for one in "66468684466888888444488884448684"]
DISP = [160, 160, 108, 258, 360, 225, 360, 146.7, 140.8, 167.6, 167.6, 275.8, 275.8, 275.8, 472, 460]
DISP += [440, 78.7, 75.7, 71.1, 120.1, 318, 304, 350, 400, 79, 120.3, 95.1, 351, 145, 301, 121]
HP = [110, 110, 93, 110, 175, 105, 245, 62, 95, 123, 123, 180, 180, 180, 205, 215]
HP += [230, 66, 52, 65, 97, 150, 150, 245, 175, 66, 91, 113, 264, 175, 335, 109]
GEAR = [int(one) for one in "44433334444333333444333334555554"]
CARS = pd.DataFrame({"mpg": MPG, "cyl": CYL, "disp": DISP, "hp": HP, "gear": GEAR})


def responses(wide: pd.DataFrame, **more: object) -> cx.study.Study:
    """A study of one response a row, one question a column, on a scale wide enough for any value."""
    long = wide.assign(response_id=[f"r{i}" for i in range(len(wide))]).melt(
        "response_id", var_name="question"
    )
    long = long.rename(columns={"value": "score"}).assign(
        ts="2025-06-01", scale_min=-500.0, scale_max=500.0, **more
    )
    return cx.open_study({"surveys": long})


def test_relative_weights_are_those_of_r_s_package_rwa():
    # README of rwa: cyl .2284797, disp .2221469, hp .2321744, gear .0963886; R2 .7791896.
    found = drivers(responses(CARS), "mpg")
    weights = found.table().set_index("item")["estimate"]
    published = {"cyl": 0.2284797, "disp": 0.2221469, "hp": 0.2321744, "gear": 0.0963886}
    assert weights.to_dict() == pytest.approx(published, abs=5e-8)
    assert found.r2 == pytest.approx(0.7791896, abs=5e-8)


def lmg(between: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """R2 shared by averaging over all orders of entry (Lindeman, Merenda and Gold 1980)."""

    def r2(of: tuple[int, ...]) -> float:
        at = list(of)
        return float(whole[at] @ np.linalg.solve(between[np.ix_(at, at)], whole[at])) if at else 0.0

    added = np.zeros(len(whole))
    orders = list(permutations(range(len(whole))))
    for order in orders:
        for place, item in enumerate(order):
            added[item] += r2(order[: place + 1]) - r2(order[:place])
    return added / len(orders)


def test_relative_weights_lie_close_to_the_exact_split_over_all_orders():
    r = np.corrcoef(CARS.to_numpy().T)
    exact = lmg(r[1:, 1:], r[0, 1:])
    # relaimpo 2.2-7, calc.relimp(type = "lmg") of the same model.
    assert exact == pytest.approx(
        [0.2470520332352, 0.2434995947956, 0.2109128995443, 0.0777251114079], abs=1e-12
    )
    assert relative_weights(r[1:, 1:], r[0, 1:])[0] == pytest.approx(exact, abs=0.025)


def test_the_two_splits_agree_for_two_items_and_for_items_that_do_not_go_together():
    between, whole = np.array([[1, 0.5], [0.5, 1]]), np.array([0.6, 0.4])
    assert relative_weights(between, whole)[0] == pytest.approx(lmg(between, whole))
    assert relative_weights(np.eye(3), np.array([0.5, 0.3, 0.1]))[0] == pytest.approx([0.25, 0.09, 0.01])


def ratings(seed: int, responses: int = 300, missing: float = 0.4) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    common = rng.normal(size=(responses, 1))
    items = common + rng.normal(size=(responses, 5))
    whole = items @ [0.5, 0.3, 0.2, 0.0, 0.0] + rng.normal(size=responses)
    frame = pd.DataFrame(np.column_stack([whole, items]), columns=["csat", *"abcde"])
    frame[list("abcde")] = frame[list("abcde")].mask(rng.random((responses, 5)) < missing)
    return frame


def test_correlations_are_those_of_everybody_who_rated_both():
    frame = ratings(0)
    sums = moments(frame.to_numpy(), np.ones(len(frame)), stats.folds_of(range(len(frame)))).sum(axis=0)
    assert correlations(sums) == pytest.approx(frame.corr().to_numpy())


def test_weights_count_as_so_many_responses():
    frame, weight = ratings(1, 200), np.random.default_rng(1).integers(1, 4, 200)
    fold = stats.folds_of(range(200))
    weighted = moments(frame.to_numpy(), weight.astype(float), fold).sum(axis=0)
    repeated = moments(
        np.repeat(frame.to_numpy(), weight, axis=0), np.ones(weight.sum()), np.repeat(fold, weight)
    )
    assert correlations(weighted) == pytest.approx(correlations(repeated.sum(axis=0)))


def test_the_weights_sum_to_r2_and_no_scale_changes_them():
    frame = ratings(2)
    one = drivers(responses(frame), "csat")
    other = drivers(responses(3 + 7 * frame), "csat")
    assert one.table()["estimate"].sum() == pytest.approx(one.r2, abs=1e-12)
    columns = ["estimate", "low", "high", "alone", "q"]
    assert np.allclose(one.table()[columns], other.table()[columns], atol=1e-9)
    assert (one.table()["estimate"] >= 0).all()


def test_correlations_that_contradict_each_other_are_mended_and_said():
    impossible = np.array([[1, 0.9, 0.9], [0.9, 1, -0.9], [0.9, -0.9, 1]])
    weights, _ = relative_weights(impossible, np.array([0.5, 0.4, 0.3]))
    assert np.isfinite(weights).all()
    rng = np.random.default_rng(0)
    pair, rows = np.array([[1, 1], [1, 1], [1, -1]]), []
    for (i, j), sign in zip(((0, 1), (0, 2), (1, 2)), pair, strict=True):
        x = np.full((60, 3), np.nan)
        x[:, i] = rng.normal(size=60)
        x[:, j] = sign[1] * x[:, i] + 0.1 * rng.normal(size=60)
        rows.append(x)
    items = np.vstack(rows)
    frame = pd.DataFrame(items, columns=list("abc")).assign(csat=np.nanmean(items, axis=1))
    assert drivers(responses(frame), "csat").mended
    assert not drivers(responses(ratings(3)), "csat").mended


def test_the_intervals_hold_their_truth(base_seed):
    bar = harness.coverage(worlds.drivers_draw, 100, base_seed)
    assert not bar.rejects(0.92, 0.97), bar.table().to_string()


def test_an_item_that_only_goes_with_others_is_seldom_said_to_go_further(base_seed):
    found = [
        drivers(responses(ratings(seed)), "csat").table().set_index("item")["q"]
        for seed in range(base_seed, base_seed + 8)
    ]
    assert sum(one["a"] < 0.05 for one in found) >= 5
    assert sum((one[["d", "e"]] < 0.05).any() for one in found) <= 4


def test_the_claim_is_of_an_association_and_of_what_would_be_needed():
    claim = drivers(responses(ratings(4)), "csat").claim()
    assert claim.startswith("Of 5 items a goes with csat most:")
    assert "This is association: whether changing it changes csat, only an experiment" in claim


def test_a_period_takes_its_answers_alone():
    both = pd.concat([ratings(5, 100), ratings(6, 150)], ignore_index=True)
    study = responses(both)
    late = study.fetch(study.table("surveys")).assign(
        ts=lambda one: np.where(one["response_id"].str[1:].astype(int) < 100, "2024-06-01", "2025-06-01")
    )
    found = drivers(cx.open_study({"surveys": late}), "csat", list("abc"), ("2025-01-01", "2026-01-01"))
    assert found.table()["n"].max() <= 150


@pytest.mark.parametrize(
    ("arguments", "error", "says"),
    [
        ({"whole": "cstat"}, CxLookupError, "Did you mean `csat`"),
        ({"items": ["a", "z"]}, CxLookupError, "Nobody answered `z`"),
        ({"items": ["a"]}, CxValueError, "Fewer than two items"),
        ({"period": ("2031-01-01", "2032-01-01")}, CxValueError, "Fewer than two items"),
        ({"items": ["a", "rare"]}, CxValueError, "leave one out"),
    ],
)
def test_what_cannot_be_compared_is_said(arguments, error, says):
    frame = ratings(7)
    frame["rare"] = np.where(np.arange(len(frame)) < 3, 1.0, np.nan)
    with pytest.raises(error, match=says):
        drivers(responses(frame), **arguments)


def test_at_the_airport_restaurants_go_with_the_whole_and_most_others_close_behind(mirror):
    # A cross-check on public data: plain pandas must give the same correlation.
    items = ["artwork", "restaurants", "shops", "signs", "walkways", "screens", "roads", "airtrain", "wifi"]
    items += ["parking", "long_term_parking", "rental_cars"]
    found = drivers(cx.open_study("sfo_survey"), "csat", items, ("2017-01-01", "2018-01-01"))
    table = found.table().set_index("item")
    assert table.index[0] == "restaurants"
    survey = pd.read_csv(mirror / "sfo_survey" / "2017_SFO_Customer_Survey.csv", low_memory=False)
    survey.columns = survey.columns.str.strip()
    both = survey[["Q7FOOD", "Q7ALL", "WEIGHT"]].apply(pd.to_numeric, errors="coerce")
    both = both[both[["Q7FOOD", "Q7ALL"]].isin([1, 2, 3, 4, 5]).all(axis=1)]
    cov = np.cov(both["Q7FOOD"], both["Q7ALL"], aweights=both["WEIGHT"])
    assert table.loc["restaurants", "n"] == len(both)
    assert table.loc["restaurants", "alone"] == pytest.approx(cov[0, 1] / np.sqrt(cov[0, 0] * cov[1, 1]))
