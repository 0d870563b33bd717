"""Who is asked, who answers, and what they write."""

from __future__ import annotations

import os
from itertools import pairwise

import pandas as pd
import pytest

from cxlib.world import World, company, phrases, simulate

SEED = int(os.environ.get("CXLIB_SEED", "0"))


@pytest.fixture(scope="module")
def everybody() -> World:
    return simulate(6000, seed=SEED + 11, faults=False, respond="all")


@pytest.fixture(scope="module")
def some() -> World:
    return simulate(6000, seed=SEED + 11, faults=False)


def test_scores_are_inside_their_scale_and_a_response_asks_each_question_once(everybody: World) -> None:
    surveys = everybody.tables["surveys"]
    assert surveys["score"].ge(surveys["scale_min"]).all()
    assert surveys["score"].le(surveys["scale_max"]).all()
    assert not surveys.duplicated(["response_id", "question"]).any()
    assert set(surveys["question"]) == set(company.QUESTIONS)
    assert surveys.groupby("response_id").size().eq(1 + company.ITEMS_ASKED).all()


def test_answering_depends_on_satisfaction(everybody: World, some: World) -> None:
    """The content answer most, then the angry: what comes back is not what was felt."""
    asked = everybody.tables["surveys"].query("question == 'nps'")["score"].value_counts()
    back = some.tables["surveys"].query("question == 'nps'")["score"].value_counts()
    rate = back / asked
    assert 0.2 < len(some.tables["surveys"]) / len(everybody.tables["surveys"]) < 0.6
    assert rate[10] > rate[0] > rate[5]


def test_a_friction_in_the_visit_lowers_satisfaction(everybody: World) -> None:
    surveys = everybody.clean["surveys"].query("touchpoint == 'chat_bot' and question == 'ces'")
    bots = everybody.clean["touchpoints"].query("touchpoint == 'chat_bot'")
    both = pd.merge_asof(
        surveys.sort_values("ts"), bots[["customer_id", "ts", "outcome"]], on="ts", by="customer_id"
    )
    score = both.groupby("outcome")["score"].mean()
    assert score["failed"] < score["solved"] - 0.5


def test_kinds_feel_differently(everybody: World) -> None:
    scores = everybody.clean["surveys"].query("question == 'nps'").merge(everybody.who, on="customer_id")
    mean = scores.groupby("kind")["score"].mean()
    assert mean["store_regular"] > mean["researcher"] > mean["help_seeker"]


def test_comments_come_in_four_languages_with_aspect_and_sentiment_planted(some: World) -> None:
    said = some.tables["surveys"].dropna(subset="comment")
    planted = some.planted["comments"]
    assert set(said["language"]) == set(company.LANGUAGES)
    assert said["response_id"].tolist() == planted["response_id"].tolist()
    assert set(planted["aspect"]) == set(company.DIMENSIONS)
    place = ((said["score"] - said["scale_min"]) / (said["scale_max"] - said["scale_min"])).to_numpy()
    negative = (planted["sentiment"] == "negative").to_numpy()
    assert negative[place < 0.3].mean() > 0.7
    assert negative[place > 0.8].mean() < 0.2


def test_the_halves_of_the_phrase_bank_share_no_sentence_and_no_judgement() -> None:
    texts = phrases.sentences()
    assert not set(texts[:, :, :, 0].ravel()) & set(texts[:, :, :, 1].ravel())
    bank = pd.read_csv(phrases.BANK, sep="\t")
    assert len(bank) == len(company.LANGUAGES) * len(company.DIMENSIONS)
    judged = [set("|".join(bank[c]).split("|")) for c in bank.columns[3:]]
    assert all(not a & b for a, b in pairwise(judged))
    assert len(set().union(*judged)) == sum(len(j) for j in judged)


def test_no_sentence_means_two_things() -> None:
    texts = phrases.sentences()
    assert len(set(texts.ravel())) == texts.size
