"""Who is asked, who answers, and what they write."""

from __future__ import annotations

import os
from itertools import pairwise

import pandas as pd
import pytest
from scipy.stats import binom

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
    assert not planted.loc[~negative, ["effort", "actionable"]].any(axis=None)
    assert negative[place < 0.3].mean() > 0.7
    assert negative[place > 0.8].mean() < 0.2


def test_a_random_sample_of_comments_was_read_by_people_who_noted_what_is_planted(some: World) -> None:
    surveys, planted = some.tables["surveys"], some.planted["comments"]
    noted = [name for name in surveys if name.startswith("read_")]
    said = surveys.dropna(subset="comment").reset_index(drop=True)
    read = said["read_aspect"].notna()
    assert surveys.loc[surveys["comment"].isna(), noted].isna().all(axis=None)
    assert said[noted].notna().eq(read, axis=0).all(axis=None)
    low, high = binom.ppf([0.0005, 0.9995], len(said), company.READ)
    assert low <= read.sum() <= high
    assert said["read_aspect"][read].tolist() == planted["aspect"][read].tolist()
    assert said["read_sentiment"][read].tolist() == planted["sentiment"][read].tolist()
    for mark in phrases.MARKS:
        assert (said[f"read_{mark}"][read] == mark).tolist() == planted[mark][read].tolist()
        assert set(said[f"read_{mark}"][read]) == {mark, "none"}


def test_marks_stand_in_both_halves_and_no_comment_shows_one() -> None:
    for mark in phrases.MARKS:
        found = phrases.marked(mark)
        assert found.any(axis=(1, 4))[:, 1].all()  # in each language and half, of the negative
        assert not found[:, :, 0].any()
    assert not any(sign in text for text in phrases.sentences().ravel() for sign in phrases.MARKS.values())


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
