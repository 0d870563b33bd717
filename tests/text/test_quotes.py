"""Quotes: the same ones every time, chosen by rule, never of few."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import cxlib as cx
from cxlib.errors import CxLookupError, CxValueError
from cxlib.results import TOO_FEW
from cxlib.text import Themes, comments, quotes, themes
from cxlib.text.learning import normalised


def spoken(texts, persons=None, read=None, sure=None) -> Themes:
    """Comments that all bear one theme."""
    n = len(texts)
    frame = pd.DataFrame(
        {
            "response_id": [f"r{i:03d}" for i in range(n)],
            "person": persons or [f"p{i}" for i in range(n)],
            "ts": pd.Timestamp("2026-01-01"),
            "language": "en",
            "comment": texts,
        }
    )
    one = pd.DataFrame({"queue": np.ones(n)})
    noted = pd.DataFrame({"queue": np.full(n, np.nan) if read is None else np.asarray(read, float)})
    return Themes(frame, one, noted, pd.DataFrame({"queue": np.full(n, 0.9) if sure is None else sure}))


def test_those_read_by_people_come_first_then_the_most_certain():
    texts = [
        f"the queue took {word} today"
        for word in ["aa", "bb", "cc", "dd", "ee", "ff", "gg", "hh", "ii", "jj", "kk", "ll"]
    ]
    sure = np.linspace(0.6, 0.95, 12)
    read = np.where(np.arange(12) == 2, 1.0, np.nan)
    found = quotes(spoken(texts, read=read, sure=sure), "queue")
    assert found.table()["comment"].tolist() == [texts[2], texts[11], texts[10]]
    assert "3 of 12 comments on queue" in found.claim()


def test_one_a_customer_and_no_two_that_say_the_same():
    texts = ["so slow", "So slow!", "too slow", "far slow"] * 6
    persons = [f"p{i % 12}" for i in range(24)]
    found = quotes(spoken(texts, persons=persons), "queue", n=10).table()
    assert normalised(found["comment"]).is_unique
    assert len(found) == 3


def test_very_short_and_very_long_ones_are_not_quoted():
    texts = ["ok", *[f"the queue was number {i:02d}" for i in range(20)], "x" * 50_000]
    found = quotes(spoken(texts), "queue", n=50).table()
    assert found["comment"].str.len().between(5, 100).all()


def test_a_theme_on_fewer_customers_than_the_minimum_is_never_quoted(monkeypatch):
    texts = [f"the queue was number {i:02d}" for i in range(30)]
    of_nine = spoken(texts, persons=[f"p{i % 9}" for i in range(30)])
    assert quotes(of_nine, "queue").table().empty
    assert quotes(of_nine, "queue").claim() == TOO_FEW
    assert "Nothing to show" in quotes(of_nine, "queue")._repr_mimebundle_()["text/html"]
    monkeypatch.setenv("CXLIB_MINIMUM", "9")
    assert len(quotes(of_nine, "queue").table()) == 3


@given(st.permutations(range(24)))
@settings(deadline=None, max_examples=20)
def test_the_order_of_rows_changes_nothing(order):
    texts = [f"queue {i % 7} of {i:02d}" for i in range(24)]
    one = spoken(texts)
    parts = [one.frame, one.predicted, one.read, one.probability]
    other = Themes(*(part.iloc[list(order)].reset_index(drop=True) for part in parts))
    assert quotes(one, "queue").table().equals(quotes(other, "queue").table())


def test_quotes_of_the_demo_bear_their_theme_in_the_language_asked_for():
    said = themes(comments(cx.open_study("demo")), ("aspect", "sentiment"))
    found = quotes(said, "communication: negative", language="ro").table()
    assert len(found) == 3
    assert (found["language"] == "ro").all()
    assert found["comment"].str.contains("Consultant|Coleg|Agent").all()


def test_wrong_input_is_named():
    with pytest.raises(CxLookupError, match="There are: queue"):
        quotes(spoken(["a"]), "price")
    with pytest.raises(CxValueError, match="at least 1"):
        quotes(spoken(["a"]), "queue", n=0)


def test_languages_take_turns_and_one_of_few_customers_comes_last():
    said = spoken([f"the queue was number {i:02d}" for i in range(45)])
    said.frame["language"] = ["en"] * 24 + ["ro"] * 12 + ["it"] * 9
    found = quotes(said, "queue", n=4).table()
    assert found["language"].tolist() == ["en", "ro", "en", "ro"]
    assert quotes(said, "queue", n=40).table()["language"].iloc[-1] == "it"
    assert quotes(said, "queue", language="it").table().empty
