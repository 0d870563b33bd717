"""Careless answers and mistaken scales: what is planted is found, what is clean is left alone."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from proofs_scores import attentive, items_survey

import cxlib as cx
from cxlib.errors import CxLookupError
from cxlib.results import TOO_FEW
from cxlib.voice import careless, scale_mistakes
from cxlib.voice.careless import _attentive


@pytest.fixture(scope="module")
def demo():
    study = cx.open_study("demo")
    return study.fetch(study.table("surveys"))


def opened(frame: pd.DataFrame):
    return cx.open_study({"surveys": frame})


# --- careless ------------------------------------------------------------------------------------


def test_straight_lines_beyond_what_attentive_customers_give_are_found(base_seed):
    rng = np.random.default_rng(base_seed)
    wide = attentive(rng, 600, 8)
    wide.iloc[:60] = rng.integers(1, 6, (60, 1))
    row = careless(opened(items_survey(wide))).table().set_index("rule").loc["straight line"]
    assert row["count"] >= 60
    assert row["q"] < 0.001
    assert row["low"] > row["expected"]


def test_the_expected_share_of_straight_lines_is_that_of_the_model():
    # independent items: the product of the shares, by hand; opinions: a large sample of the model itself
    rng = np.random.default_rng(5)
    alone = rng.integers(1, 4, (20_000, 4)).astype(float)
    assert _attentive(alone) == pytest.approx(3 * (1 / 3) ** 4, rel=0.05)
    wide = attentive(rng, 20_000, 6).to_numpy(float)
    assert _attentive(wide) == pytest.approx((wide.max(axis=1) == wide.min(axis=1)).mean(), rel=0.08)


def test_the_demo_is_clean(demo):
    result = careless(opened(demo))
    assert result.table()["count"].sum() == 0
    assert not (result.table()["q"] < 0.05).any()
    for by in ("touchpoint", "stage", "language", "month"):
        assert not scale_mistakes(opened(demo), by).table()["check"].any(), by


def test_speeders_are_found_by_the_item_and_by_what_others_took():
    wide = attentive(np.random.default_rng(0), 100, 5)
    seconds = np.full(100, 40.0)
    seconds[:5], seconds[5:12], seconds[12] = 9.0, 12.0, np.nan  # under 2 an item; under a third of 40
    result = careless(opened(items_survey(wide, duration_s=seconds)), "item_0")
    row = result.table().set_index("rule").loc["too fast"]
    assert (row["count"], row["n"]) == (12, 99)
    answers = wide["item_0"]
    kept = answers.iloc[12:]
    assert row["score"] == pytest.approx(answers.mean())
    assert row["without"] == pytest.approx(kept.mean())
    assert "too fast: 12.1\u00a0% of 99 responses" in result.claim().casefold()


def test_comments_given_before_are_found_and_short_ones_are_not(demo):
    frame = demo.copy()
    said = frame[frame["comment"].str.len() > 30].index
    assert len(said) > 40
    frame.loc[said[1:11], ["customer_id", "comment"]] = ["c1", "The same words over and over again."]
    frame.loc[said[20:30], "comment"] = "ok"
    row = careless(opened(frame)).table().set_index("rule").loc["word for word"]
    assert row["count"] == 9  # the first may be honest


def test_nothing_is_to_be_looked_at_where_nothing_was_found(demo):
    found = careless(opened(demo))
    assert not found.table()["count"].any()
    assert "To be looked at" not in found.claim()


def test_a_study_with_nothing_to_judge_by_says_so(demo):
    frame = demo[demo["question"] == "nps"].assign(comment=None)
    assert "Nothing to judge by" in careless(opened(frame)).claim()
    with pytest.raises(CxLookupError, match="Nobody answered `npss`"):
        careless(opened(frame), "npss")


def test_few_customers_are_not_spoken_of():
    wide = attentive(np.random.default_rng(0), 8, 5)
    assert careless(opened(items_survey(wide))).claim() == TOO_FEW


# --- scales --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def part(demo):
    """Six touchpoints of the demo."""
    places = ["call_support", "store_purchase", "chat_agent", "chat_bot", "store_advice", "web_product_page"]
    return demo[demo["touchpoint"].isin(places)]


def group(frame: pd.DataFrame, touchpoint: str, question: str) -> pd.Series:
    return (frame["touchpoint"] == touchpoint) & (frame["question"] == question)


def first(frame: pd.DataFrame, **more) -> list[object]:
    table = scale_mistakes(opened(frame), **more).table()
    assert table["check"].sum() == 1, table.to_string()
    return table.iloc[0, :3].tolist()


def test_answers_shifted_up_by_one_are_found(part):
    frame, mine = part.copy(), group(part, "call_support", "nps")
    frame.loc[mine, "score"] = np.minimum(frame.loc[mine, "score"] + 1, 10)
    assert first(frame) == ["nps", "call_support", "lowest never used"]


def test_answers_shifted_down_by_one_are_found(part):
    frame, mine = part.copy(), group(part, "store_purchase", "nps")
    frame.loc[mine, "score"] = np.maximum(frame.loc[mine, "score"] - 1, 0)
    assert first(frame) == ["nps", "store_purchase", "highest never used"]


def test_a_reversed_scale_is_found_in_a_group_and_in_a_question(part):
    frame, mine = part.copy(), group(part, "chat_agent", "csat")
    frame.loc[mine, "score"] = 6 - frame.loc[mine, "score"]
    assert first(frame) == ["csat", "chat_agent", "reversed"]
    frame, mine = part.copy(), part["question"] == "ces"
    frame.loc[mine, "score"] = 8 - frame.loc[mine, "score"]
    assert first(frame) == ["ces", "(all)", "reversed"]
    assert "ces (reversed): is the best answer the lowest number?" in scale_mistakes(opened(frame)).claim()


def test_zeros_that_stand_for_blank_are_found(part):
    frame, mine = part.copy(), group(part, "store_purchase", "nps")
    frame.loc[mine & frame["score"].isin([0, 1, 2]), "score"] = 3.0
    frame.loc[frame.index[mine][::8], "score"] = 0.0
    assert first(frame) == ["nps", "store_purchase", "0 as blank"]


def test_a_group_that_is_only_happier_is_not_suspected():
    rng = np.random.default_rng(0)
    wide = attentive(rng, 400, 6)
    happy = rng.random(400) < 0.5
    wide.loc[happy] = (wide.loc[happy] + (rng.random((happy.sum(), 6)) < 0.6)).clip(upper=5)
    place = np.where(happy, "spa", "gate")
    result = scale_mistakes(opened(items_survey(wide, touchpoint=place)))
    assert not result.table()["check"].any()
    assert "No group of answers" in result.claim()


def test_groups_of_few_customers_are_not_judged():
    wide = attentive(np.random.default_rng(0), 19, 4)
    result = scale_mistakes(opened(items_survey(wide, touchpoint=["gate"] * 19)))
    assert not len(result.table())


def test_a_grouping_that_is_not_there_is_named(demo):
    with pytest.raises(CxLookupError, match=r"no column `touchpiont`\. Did you mean `touchpoint`"):
        scale_mistakes(opened(demo), "touchpiont")
