"""Learning from texts: nobody is judged by themselves, published numbers are reached, a second run is the same."""

from __future__ import annotations

import json
import os
import time

import numpy as np
import pandas as pd
import proofs_text
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

import cxlib as cx
from cxlib import stats
from cxlib.errors import CxLookupError, CxValueError
from cxlib.text import Comments, Themes, comments, sentiment, themes
from cxlib.text.learned import _book
from cxlib.text.learning import apart, auc, learn, normalised, runs_on
from tests import harness

SEED = int(os.environ.get("CXLIB_SEED", "0"))


@pytest.fixture(scope="module")
def said() -> Comments:
    return comments(cx.open_study("demo"))


# --- folds --------------------------------------------------------------------------------------

TEXTS = st.lists(
    st.sampled_from(["good", "Good!", "bad", "so so", "slow", "rude", "kind", ""]), min_size=1, max_size=40
)


@given(TEXTS, st.integers(2, 6), st.data())
@settings(deadline=None, max_examples=60)
def test_texts_that_say_the_same_are_always_in_one_fold(texts, folds, data):
    persons = data.draw(st.lists(st.integers(0, 9), min_size=len(texts), max_size=len(texts)))
    for found in (apart(texts, folds=folds), apart(texts, persons, folds)):
        assert found.min() >= 0
        assert found.max() < folds
        assert (pd.Series(found).groupby(normalised(texts).to_numpy()).nunique() == 1).all()


def test_texts_of_a_person_are_in_one_fold_where_that_leaves_folds(said):
    frame = said.frame[said.frame["language"] == "ro"]
    fold = apart(frame["comment"], frame["person"])
    assert (pd.Series(fold).groupby(frame["person"].to_numpy()).nunique() == 1).all()
    assert np.bincount(fold).max() < 0.3 * len(fold)
    one_text_each = apart(["good", "bad", "poor"] * 20, np.arange(60) // 4)
    assert np.bincount(one_text_each).max() == 20  # three texts tie everybody: then persons are split


def test_words_that_only_one_person_uses_teach_nothing_about_them():
    """Each of 40 persons has a word of their own and one mood: judged by others, the word is worth nothing."""
    rng = np.random.default_rng(SEED)
    person = np.repeat(np.arange(40), 6)
    label = rng.permutation(np.arange(40) % 2)[person].astype(float)
    texts = [f"word{p} filler{i} paper" for i, p in enumerate(person)]
    alone, together = learn(texts, label), learn(texts, label, person)
    assert auc(alone, label).estimate > 0.95
    assert auc(together, label).estimate < 0.75


def test_labels_of_a_text_never_reach_its_own_probability():
    texts = [
        f"{a} {b} {c}"
        for a in ["red", "blue", "green"]
        for b in ["car", "bus", "van"]
        for c in ["one", "two", "three", "four", "five", "six"]
    ]
    label = np.array([float("red" in text) for text in texts])
    found = learn(texts, label)
    for at in (0, 20, 50):
        other = label.copy()
        other[at] = 1 - other[at]
        assert learn(texts, other)[at] == pytest.approx(found[at], abs=1e-12)
        assert learn(texts, np.where(np.arange(54) == at, np.nan, label))[at] == pytest.approx(
            found[at], abs=1e-12
        )


def test_too_few_texts_are_not_guessed():
    assert np.isnan(learn(["good", "bad"] * 19, [1, 0] * 19)).all()
    assert np.isnan(learn([f"text {i}" for i in range(100)], [1] * 95 + [0] * 5)).all()
    assert np.isnan(learn([], [])).all()
    with pytest.raises(CxValueError, match="2 texts but 1 labels"):
        learn(["a", "b"], [1])
    with pytest.raises(CxValueError, match="0, 1 or NaN"):
        learn(["a"], [2])


def test_scripts_without_spaces_are_read_by_characters():
    assert runs_on(["服务很好，下次再来"])
    assert runs_on(["บริการดีมาก"])
    assert not runs_on(["ok 好", "service was fine"])


# --- how well -----------------------------------------------------------------------------------


def test_the_area_is_the_published_one():
    """Hanley and McNeil 1982, Radiology 143: 109 readings of CT images, area .893, standard error .032."""
    normal, abnormal = [33, 6, 6, 11, 2], [3, 2, 2, 11, 33]
    score = np.repeat([*range(5), *range(5)], [*normal, *abnormal])
    label = np.repeat([0, 1], [sum(normal), sum(abnormal)])
    found = auc(score, label)
    assert float(found.estimate) == pytest.approx(0.893, abs=0.0005)
    assert float(found.se) == pytest.approx(0.032, abs=0.002)
    assert float(found.estimate) == pytest.approx(roc_auc_score(label, score))


@given(st.integers(0, 1000))
@settings(deadline=None, max_examples=20)
def test_every_text_twice_by_the_same_person_is_worth_one(seed):
    """Obuchowski 1997: what is repeated within a customer adds nothing."""
    rng = np.random.default_rng(seed)
    label = np.arange(30) % 2
    score = label + rng.normal(0, 1, 30)
    once = auc(score, label, np.arange(30))
    twice = auc(np.tile(score, 2), np.tile(label, 2), np.tile(np.arange(30), 2))
    assert float(twice.estimate) == pytest.approx(float(once.estimate))
    assert float(twice.se) == pytest.approx(float(once.se))
    assert np.isnan(float(auc(score, np.ones(30)).estimate))


def test_the_intervals_of_the_area_hold():
    assert not harness.coverage(proofs_text.auc_draw, 100).rejects(0.92, 0.98)


def reviews(mirror, name: str) -> tuple[pd.Series, pd.Series]:
    """Texts and whether they are pleased, as the files have them."""
    if name == "olist":
        raw = pd.read_csv(mirror / "olist" / "olist_order_reviews_dataset.csv")
        parts = [raw[f"review_comment_{part}"].fillna("").str.strip() for part in ("title", "message")]
        text, stars = (parts[0] + "\n" + parts[1]).str.strip(), raw["review_score"]
    elif name == "laroseda":
        files = [mirror / "laroseda" / f"{mood}_reviews.json" for mood in ("positive", "negative")]
        raw = pd.concat([pd.DataFrame(json.loads(f.read_text("utf-8"))["reviews"]) for f in files])
        text, stars = raw["content"].str.strip(), raw["starRating"].astype(int)
    else:
        raw = pd.read_csv(mirror / "chn_hotel_reviews" / "ChnSentiCorp_htl_all.csv").dropna()
        text, stars = raw["review"], 1 + 4 * raw["label"]
    kept = (stars != 3) & (text != "")
    return text[kept], (stars[kept] > 3).astype(float)


@pytest.mark.parametrize(
    ("name", "least", "seconds"),
    [("olist", 0.965, 5), ("laroseda", 0.970, 10), ("chn_hotel_reviews", 0.950, 20)],
)
def test_public_reviews_are_told_as_well_as_known_to_be_possible(mirror, name, least, seconds):
    text, pleased = reviews(mirror, name)
    began = time.process_time()
    found = learn(text, pleased)
    assert time.process_time() - began < seconds
    assert auc(found, pleased).estimate > least
    if name == "olist":
        assert (learn(text, pleased) == found).all()  # a second run gives the same digits


# --- sentiment ----------------------------------------------------------------------------------


def test_words_that_never_err_have_an_interval_too():
    found = auc([0.1] * 20 + [0.9] * 30, [0] * 20 + [1] * 30)
    assert (found.estimate, found.high) == (1, 1)
    assert found.low == pytest.approx(stats.wilson(20, 20).low)
    assert auc([0.9, 0.1], [0, 1]).low == 0


def test_several_notes_of_one_comment_go_with_its_mood():
    said = Comments(pd.DataFrame({"comment": ["a"] * 4, "person": list("abcd"), "language": "en"}).assign(
        aspect=["ease; parcel", "ease", "none", None], mood=["negative", "positive", "neutral", None]))  # fmt: skip
    found = themes(said, read=["aspect", "mood"])
    assert found.names == ["ease: negative", "ease: positive", "parcel: negative"]
    assert found.read.sum(axis=1).tolist() == [2, 1, 0, 0]
    assert found.read.iloc[3].isna().all()


def test_comments_without_a_score_are_said_to_have_none():
    surveys = pd.DataFrame({"response_id": [f"r{i}" for i in range(50)], "comment": "slow again"})
    surveys = surveys.assign(ts=pd.Timestamp("2025-01-01"), question="nps", scale_min=0, scale_max=10)
    claim = sentiment(comments(cx.open_study({"surveys": surveys.assign(score=np.nan)}))).claim()
    assert claim == "Too few comments have a score near either end of its scale to learn from."


def test_sentiment_of_the_demo_tells_what_was_planted(said):
    result = sentiment(said)
    assert result.table()["language"].tolist() == ["en", "it", "ro", "zh"]
    assert (result.table()["low"] > 0.5).all()
    read = result.frame["read_sentiment"].notna()
    assert auc(result.frame["positive"][read], result.frame["read_sentiment"][read] == "positive").low > 0.85
    assert "en 0." in result.claim()
    assert sentiment(said).frame["positive"].equals(result.frame["positive"])


def test_a_language_with_too_few_comments_is_said_and_not_guessed(said):
    few = Comments(said.frame.groupby("language").head(150).query("language != 'ro' or place < .5"))
    result = sentiment(few)
    row = result.table().set_index("language").loc["ro"]
    assert np.isnan(row["estimate"])
    assert result.frame.loc[result.frame["language"] == "ro", "positive"].isna().all()
    assert "too few comments to learn from in ro" in result.claim()


def test_ends_that_cross_are_refused(said):
    with pytest.raises(CxValueError, match="low < high"):
        sentiment(said, low=0.8, high=0.2)


# --- themes -------------------------------------------------------------------------------------


def test_themes_learnt_from_a_sample_find_what_people_read(said):
    result = themes(said)
    assert set(result.names) == {
        "information",
        "ease",
        "self_service",
        "personalisation",
        "communication",
        "availability",
    }
    table = result.table()
    assert (table["estimate"] > 0.8).all()
    assert (table["false_alarms"] < 0.05).all()
    assert result.read.sum(axis=1)[said.frame["read_aspect"].notna()].eq(1).all()
    assert "6 themes in 1,360 comments" in result.claim()


def test_readings_of_two_columns_are_combined_and_several_themes_split():
    frame = pd.DataFrame(
        {
            "comment": ["a", "b", "c", "d"],
            "person": list("wxyz"),
            "language": "en",
            "read_topic": ["queue; staff", "none", None, "queue"],
            "mood": ["bad", "good", "bad", "good"],
        }
    )
    result = themes(Comments(frame), "topic")
    assert result.read.fillna(-1).to_dict("list") == {"queue": [1, 0, -1, 1], "staff": [1, 0, -1, 0]}
    assert result.predicted.isna().all(axis=None)
    both = themes(Comments(frame.assign(read_topic=["queue", "price", None, "queue"])), ("topic", "mood"))
    assert both.names == ["price: good", "queue: bad", "queue: good"]


def test_readings_of_something_else_say_nothing_of_a_codebook(said):
    book = {"waiting": {"en": ["slow"], "it": ["lent"], "ro": ["lent"]}}
    assert themes(said, "aspect", words=book).read.isna().all(axis=None)
    both = themes(said, "aspect", words={"ease": book["waiting"], "price": {"en": ["price"]}})
    read = said.frame["read_aspect"].notna()
    assert both.read["price"][read].eq(0).all()
    assert both.read["ease"][read].sum() == (said.frame["read_aspect"] == "ease").sum()
    assert both.read[~read].isna().all(axis=None)
    assert themes(said, words="effort").read.notna().sum().iloc[0] == read.sum()


@pytest.mark.parametrize("name", ["effort", "actionable"])
def test_the_codebook_finds_effort_and_what_can_be_acted_on(said, name):
    result = themes(said, name, words=name)
    assert isinstance(result, Themes)
    row = result.table().iloc[0]
    assert row["estimate"] > 0.9
    assert row["false_alarms"] < 0.1
    assert set(_book(name)[name]) == {"en", "it", "ro", "zh", "pt"}


def test_a_codebook_of_ones_own_reads_stems_whole_words_and_characters():
    frame = pd.DataFrame(
        {
            "comment": ["Waited AGES", "unwaited", "we WAIT", "等了很久", "aștept", "attesa"],
            "person": list("uvwxyz"),
            "language": ["en", "en", "en", "zh", "ro", "it"],
        }
    )
    result = themes(Comments(frame), words={"waiting": {"en": ["wait"], "zh": ["等了"], "ro": ["astept"]}})
    assert result.predicted["waiting"].fillna(-1).tolist() == [1, 0, 1, 1, 1, -1]
    assert "its errors" not in result.claim()
    assert "not known" in result.claim()


def test_what_is_asked_for_by_a_wrong_name_is_answered_with_what_there_is(said):
    with pytest.raises(CxLookupError, match="read_aspect, read_sentiment"):
        themes(said, "aspects")
    with pytest.raises(CxLookupError, match="effort, actionable"):
        themes(said, words="efort")
    with pytest.raises(CxValueError, match="give a codebook"):
        themes(Comments(said.frame.assign(read_aspect=None)))
    with pytest.raises(CxValueError, match="Of 1,360 comments read, `aspect` notes no theme"):
        themes(Comments(said.frame.assign(read_aspect="none")))


def test_mentions_are_one_row_a_comment_and_theme_as_read_else_as_predicted():
    one = pd.DataFrame({"queue": [1.0, 0.0, 1.0], "staff": [1.0, 1.0, np.nan]})
    read = pd.DataFrame({"queue": [0.0, np.nan, np.nan], "staff": [1.0, np.nan, np.nan]})
    spoken = Themes(pd.DataFrame({"person": list("abc")}), one, read, one)
    found = spoken.mentions()
    assert list(zip(found["person"], found["theme"], strict=True)) == [
        ("a", "staff"),
        ("b", "staff"),
        ("c", "queue"),
    ]


def test_a_part_of_the_comments_keeps_its_themes(said):
    result = themes(said)
    assert result.only(said.frame["language"] == "ro").frame["language"].eq("ro").all()
    assert len(result.mentions()) == (result.read.fillna(result.predicted) == 1).sum().sum()


def test_themes_are_learnt_once_of_the_same_comments(said):
    assert themes(said, "aspect") is themes(said, "aspect")
    assert themes(said, "aspect") is not themes(said, "sentiment")


def test_notes_of_no_theme_are_as_good_as_none():
    demo = cx.open_study("demo")
    answers = demo.fetch(demo.table("surveys")).assign(read_aspect="none")
    study = cx.open_study({"surveys": answers}, currency="EUR")
    assert study.has("surveys", "read_aspect")
    assert not cx.text.noted(study, "aspect")
    assert cx.text.noted(study, "sentiment")
