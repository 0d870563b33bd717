"""Why a score moved: published decompositions, parts that sum, planted causes found, coverage."""

from __future__ import annotations

import numpy as np
import pandas as pd
import proofs_split as worlds
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest

import cxlib as cx
from cxlib.errors import CxLookupError, CxValueError, MissingTable
from cxlib.results import EVERYWHERE, TOO_FEW
from cxlib.voice import plots
from cxlib.voice.split import CHANGE, MET, RATED, WHO, das_gupta, split, split_frame
from tests import harness

# --- published --------------------------------------------------------------------------------


def factor(*values: float) -> np.ndarray:
    return np.array(values).reshape(2, 1, 1)


def test_two_factors_are_those_of_das_gupta_s_example_2_1():
    # Earnings of black and of white men: average earnings x share who earn. Das Gupta 1993, p. 8; the R package
    # DasGuptR prints 4369.913 and 1487.262.
    found = das_gupta(factor(10930, 16591), factor(0.717892, 0.825974), factor(1, 1))
    assert [one.item() for one in found] == pytest.approx([4369.913, 1487.262, 0], abs=5e-4)


def test_three_factors_are_those_of_das_gupta_s_example_2_3():
    # Crude birth rates of Austria and Chile in three factors: 10.4340333, 10.5608476 and -0.6670084 (DasGuptR).
    found = das_gupta(factor(51.78746, 84.90502), factor(0.45919, 0.75756), factor(0.52638, 0.51065))
    assert [one.item() for one in found] == pytest.approx([10.4340333, 10.5608476, -0.6670084], abs=5e-8)


def test_three_factors_over_cells_are_those_of_das_gupta_s_example_4_5():
    # Births by age group, 1960 to 1970: -7.285632, -2.720633 and -1.565181 (DasGuptR).
    births = [[393, 407, 369, 274, 184, 90, 16], [488, 452, 338, 156, 63, 22, 3]]
    married = [
        [0.122, 0.622, 0.903, 0.930, 0.916, 0.873, 0.800],
        [0.082, 0.527, 0.866, 0.941, 0.942, 0.923, 0.876],
    ]
    women = [
        [0.043, 0.041, 0.036, 0.032, 0.026, 0.020, 0.018],
        [0.058, 0.038, 0.032, 0.030, 0.026, 0.023, 0.019],
    ]
    found = das_gupta(*(np.array(one)[:, None, :] for one in (births, married, women)))
    assert [one.sum() for one in found] == pytest.approx([-7.285632, -2.720633, -1.565181], abs=5e-7)


def test_a_change_of_rates_by_age_is_split_as_kitagawa_s_two_components():
    # Household headship in the United States, 1970 and 1985 (Das Gupta 1993, example 5.1): of 2.9672 points
    # 1.2269 are age structure and 1.7403 rates.
    size = [12.9, 10.9, 9.5, 8.0, 7.8, 8.4, 8.6, 7.8, 7.0, 5.9, 4.7, 3.6, 4.9]
    size += [10.1, 11.2, 11.6, 10.9, 9.4, 7.7, 6.3, 6.0, 6.3, 5.9, 5.1, 4.0, 5.5]
    rate = [1.9, 25.8, 45.7, 49.6, 51.2, 51.6, 51.8, 54.9, 58.7, 60.4, 62.8, 66.6, 66.8]
    rate += [2.2, 24.3, 45.8, 52.5, 56.1, 55.6, 56.0, 57.4, 57.2, 61.2, 63.9, 68.6, 72.2]
    frame = pd.DataFrame({"period": np.repeat([1970, 1985], 13), "touchpoint": list(range(13)) * 2})
    frame = frame.assign(value=rate, weight=size, person=range(26))
    found = split_frame(frame, who=None, weight="weight")
    assert found.table()["estimate"].iloc[0] == pytest.approx(2.9672, abs=5e-5)
    assert found.parts()["estimate"].tolist() == pytest.approx([1.2269, 1.7403], abs=5e-5)


# --- what must always hold ---------------------------------------------------------------------


@st.composite
def frames(draw) -> pd.DataFrame:
    rows = draw(st.integers(4, 60))
    one = st.lists(st.integers(0, 3), min_size=rows, max_size=rows)
    frame = pd.DataFrame({name: draw(one) for name in ("period", "group", "touchpoint", "person")})
    frame["period"] = (frame["period"] > 1).astype(int)
    frame.loc[:1, "period"] = [0, 1]
    score = st.lists(st.integers(0, 10), min_size=rows, max_size=rows)
    return frame.assign(value=draw(score), weight=np.array(draw(score)) / 4 + 0.25)


@given(frames())
@settings(deadline=None, max_examples=40)
def test_the_parts_sum_to_the_change_and_the_details_to_their_part(frame):
    found = split_frame(frame, weight="weight")
    table, parts = found.table(), found.parts()
    means = [np.average(one["value"], weights=one["weight"]) for _, one in frame.groupby("period")]
    assert table["estimate"].iloc[0] == pytest.approx(means[1] - means[0], abs=1e-9)
    assert parts["estimate"].sum() == pytest.approx(means[1] - means[0], abs=1e-9)
    details = table[table["detail"] != EVERYWHERE].groupby("part")["estimate"].sum()
    for row in parts.itertuples():
        assert details[row.part] == pytest.approx(row.estimate, abs=1e-9)


@given(frames())
@settings(deadline=None, max_examples=20)
def test_time_reversed_every_part_changes_its_sign(frame):
    there = split_frame(frame).table().set_index(["part", "detail"])["estimate"]
    back = (
        split_frame(frame.assign(period=1 - frame["period"]))
        .table()
        .set_index(["part", "detail"])["estimate"]
    )
    assert there.to_dict() == pytest.approx((-back).to_dict(), abs=1e-9)


def test_other_names_and_another_order_of_rows_change_no_estimate():
    frame = worlds.answers(worlds.planted(RATED), 0, 200)
    other = frame.sample(frac=1, random_state=1).assign(person=lambda one: "x" + one["person"])
    plain, again = (
        split_frame(one).table().set_index(["part", "detail"])["estimate"] for one in (frame, other)
    )
    assert again.to_dict() == pytest.approx(plain.to_dict(), abs=1e-9)


def test_a_touchpoint_met_in_one_period_only_changes_what_was_met_and_not_how_it_was_rated():
    frame = pd.DataFrame({"period": [0] * 20 + [1] * 20, "touchpoint": ["web"] * 30 + ["kiosk"] * 10})
    frame = frame.assign(value=[8.0] * 30 + [2.0] * 10, person=range(40))
    parts = split_frame(frame, who=None).parts().set_index("part")["estimate"]
    assert parts.to_dict() == pytest.approx({MET: -3.0, RATED: 0.0})


def test_a_group_that_answered_in_one_period_only_is_a_change_of_who_answered():
    frame = pd.DataFrame(
        {"period": [0] * 20 + [1] * 20, "group": ["gold"] * 30 + ["new"] * 10, "touchpoint": "web"}
    )
    frame = frame.assign(value=[8.0] * 30 + [2.0] * 10, person=range(40))
    parts = split_frame(frame).parts().set_index("part")["estimate"]
    assert parts.to_dict() == pytest.approx({WHO: -3.0, MET: 0.0, RATED: 0.0})


# --- planted causes ----------------------------------------------------------------------------


def test_the_planted_cause_is_found_in_at_least_90_of_100_worlds(base_seed):
    found = 0
    for seed in range(base_seed, base_seed + 40):
        cause = worlds.cause_of(seed)
        found += worlds.finds(split_frame(worlds.answers(worlds.planted(cause), seed)), cause)
    assert binomtest(found, 40, 0.9, alternative="less").pvalue > 0.001, found


def test_the_worlds_truth_is_a_sum_too():
    for cause in (*worlds.CAUSES, worlds.ALL):
        world = worlds.planted(cause)
        levels = (world.who[:, :, None] * world.mix * world.scores()).sum(axis=(1, 2))
        truth = world.truth()
        assert sum(truth[part, "(all)"] for part in (WHO, MET, RATED)) == pytest.approx(levels[1] - levels[0])
        if cause != worlds.ALL:
            assert truth[cause, "(all)"] == pytest.approx(levels[1] - levels[0])


def test_the_parts_intervals_hold_their_truth(base_seed):
    bar = harness.coverage(worlds.split_draw, 20, base_seed)
    assert not bar.rejects(0.92, 0.97), bar.table().to_string()


def test_where_nothing_moved_the_claim_says_so_in_nearly_all_worlds(base_seed):
    still = worlds.planted(RATED)
    still.rated[1] = still.rated[0]
    quiet = 0
    for seed in range(base_seed, base_seed + 25):
        claim = split_frame(worlds.answers(still, seed, 400), unit="points").claim()
        quiet += "did not move by more than chance" in claim
    assert binomtest(quiet, 25, 0.95, alternative="less").pvalue > 0.001, quiet


def test_the_claim_names_the_part_and_the_touchpoint():
    found = split_frame(
        worlds.answers(worlds.planted(RATED), 1), measure="The net promoter score", unit="points"
    )
    assert found.claim().startswith("The net promoter score fell: -1")
    assert "most of it is how rated -" in found.claim()
    assert "above all store (-" in found.claim()


# --- on a study --------------------------------------------------------------------------------


def study(frame: pd.DataFrame, customers: pd.DataFrame | None = None) -> cx.study.Study:
    surveys = pd.DataFrame(
        {
            "response_id": [f"r{i}" for i in range(len(frame))],
            "customer_id": frame["person"],
            "ts": pd.to_datetime(np.where(frame["period"] == 0, "2025-02-01", "2025-05-01")),
            "touchpoint": frame["touchpoint"],
            "question": "nps",
            "score": frame["value"].map({-100.0: 2.0, 0.0: 8.0, 100.0: 10.0}),
            "scale_min": 0.0,
            "scale_max": 10.0,
            "tier": frame["group"],
        }
    )
    tables = {"surveys": surveys}
    return cx.open_study(tables | ({"customers": customers} if customers is not None else {}))


@pytest.fixture(scope="module")
def answers() -> pd.DataFrame:
    return worlds.answers(worlds.planted(RATED), 3, 300)


WINDOWS = (("2025-01-01", "2025-04-01"), ("2025-04-01", "2025-07-01"))


def test_a_study_is_split_like_its_frame_wherever_the_groups_come_from(answers):
    plain = split_frame(answers).table()
    tiers = answers.groupby("person")["group"].first()
    customers = pd.DataFrame({"customer_id": tiers.index, "loyalty_tier": tiers.to_numpy()})
    frame = pd.DataFrame({"person": tiers.index, "group": tiers.to_numpy()})
    for who in ("tier", "loyalty_tier", frame):
        table = split(study(answers, customers), "nps", *WINDOWS, who=who).table()
        pd.testing.assert_frame_equal(table, plain)


def test_without_groups_there_are_two_parts(answers):
    found = split(study(answers), "nps", *WINDOWS)
    assert found.parts()["part"].tolist() == [MET, RATED]
    assert found.parts()["estimate"].sum() == pytest.approx(found.table()["estimate"].iloc[0], abs=1e-9)
    assert found.levels["n"].sum() == len(answers)


def test_periods_default_to_the_two_halves(answers):
    halves = split(study(answers)).levels
    assert halves["n"].tolist() == answers["period"].value_counts().sort_index().tolist()
    assert halves["from"].iloc[1] == halves["to"].iloc[0] == pd.Timestamp("2025-03-18")


def test_one_touchpoint_and_no_groups_are_nothing_to_split_by(answers):
    fell = answers.assign(touchpoint="airport", value=answers["value"].where(answers["period"] == 0, -100.0))
    found = split(study(fell), "nps", *WINDOWS)
    assert found.claim().endswith("there is nothing to split it by.")


def test_answers_of_one_time_have_no_before_and_after(answers):
    found = split(study(answers.assign(period=0)))
    assert found.table().empty
    assert found.parts()["estimate"].sum() == 0
    assert found.claim() == "All answers are of one time: there is no before and after to compare."
    assert "Nothing to show" in found._repr_mimebundle_()["text/html"]
    assert "Why the score moved" in plots.split_bars(found).alt


def test_surveys_without_any_score_are_said_to_have_none(answers):
    with pytest.raises(CxLookupError, match="The surveys ask: none"):
        split(study(answers.assign(value=np.nan)))


def test_where_all_answers_are_alike_chance_is_not_said_to_be_nought(answers):
    claim = split(study(answers.assign(value=100.0)), "nps", *WINDOWS).claim()
    assert "moved by 0.0 points, and all answers of a period are alike" in claim
    assert "-0.0" not in claim


@pytest.mark.parametrize(
    ("arguments", "error", "says"),
    [
        ({"question": "npss"}, CxLookupError, "Did you mean `nps`"),
        ({"who": "loyalty"}, CxLookupError, "There is no column `loyalty`. There are: response_id"),
        ({"touchpoint": "touchpoints"}, CxLookupError, "Did you mean `touchpoint`"),
        ({"before": ("2025-01-01", "2025-04-01")}, CxValueError, "Give both periods"),
        ({"before": WINDOWS[0], "after": ("2025-03-01", "2025-06-01")}, CxValueError, "overlap"),
        ({"before": WINDOWS[0], "after": ("2025-06-01", "2025-05-01")}, CxValueError, "`from` before `to`"),
        (
            {"before": WINDOWS[0], "after": ("2031-01-01", "2031-02-01")},
            CxValueError,
            "Nobody answered `nps` from",
        ),
    ],
)
def test_what_cannot_be_split_is_said(answers, arguments, error, says):
    with pytest.raises(error, match=says):
        split(study(answers), **arguments)


def test_without_surveys_nothing_can_be_split():
    with pytest.raises(MissingTable, match="split needs the table `surveys`"):
        split(cx.open_study({"customers": pd.DataFrame({"customer_id": ["a"]})}))


def test_a_frame_needs_two_periods():
    with pytest.raises(CxValueError, match="must hold two periods"):
        split_frame(
            pd.DataFrame({"period": [1], "touchpoint": ["a"], "value": [1.0], "person": [1]}), who=None
        )


def test_small_cells_and_hostile_names_are_not_displayed(answers):
    odd = answers.copy()
    odd.loc[odd.index[:4], "touchpoint"] = "<script>alert(1)</script>"
    odd.loc[odd["touchpoint"] == "web", "touchpoint"] = "ask anna@example.com <b>"
    shown = split_frame(odd)._repr_mimebundle_()
    assert "script>" not in shown["text/html"]
    assert not any("anna@example.com" in text for text in shown.values())
    assert "<b>" not in shown["text/html"]


def test_too_few_customers_are_too_few(monkeypatch, answers):
    monkeypatch.setenv("CXLIB_MINIMUM", "100000")
    assert split_frame(answers).claim() == TOO_FEW


def test_the_parts_are_named_in_order():
    found = split_frame(worlds.answers(worlds.planted(MET), 0, 100)).table()
    assert found["part"].drop_duplicates().tolist() == [CHANGE, WHO, MET, RATED]


def test_the_airport_s_fall_from_2017_to_2018_lies_in_the_ratings_of_evening_passengers(mirror):
    # The published weighted scores are 40.4 and 35.1; that the parts sum to their difference is ours to show.
    years = (("2017-01-01", "2018-01-01"), ("2018-01-01", "2019-01-01"))
    found = split(cx.open_study("sfo_survey"), "nps", *years, who="language", touchpoint="strata")
    assert found.levels["estimate"].round(1).tolist() == [40.4, 35.1]
    assert found.parts()["estimate"].sum() == pytest.approx(np.diff(found.levels["estimate"])[0], abs=1e-9)
    rated = found.table().query("part == @RATED and q < 0.05 and detail != @EVERYWHERE")
    assert rated["detail"].tolist() == ["departs after 17"]
