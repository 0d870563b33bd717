"""The airline tweets: published counts, nobody's account name, and files that are not as published."""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd
import pytest

import cxlib as cx
from cxlib.errors import CxLookupError, CxValueError
from cxlib.readers import airline_tweets as reader

HEAD = (
    "tweet_id,airline_sentiment,airline_sentiment_confidence,negativereason,negativereason_confidence,"
    "airline,name,retweet_count,text,tweet_created\n"
)
ROWS = (
    '1,negative,0.6,Late Flight,0.7,Delta,anna,0,"@JetBlue why &amp;\nhow @bob?",2015-02-24 11:35:52 -0800\n'
    '1,neutral,0.9,,,Delta,anna,0,"@JetBlue why &amp;\nhow @bob?",2015-02-24 11:35:52 -0800\n'
    "2,positive,1.0,,0.0,United,bob,3,@united love,2015-02-24 01:00:00 -0800\n"
)


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    path = tmp_path / reader.FILE
    path.write_text(HEAD + ROWS, "utf-8")
    return path


@pytest.fixture(scope="module")
def tweets(mirror: Path) -> pd.DataFrame:
    return reader.read({reader.FILE: mirror / "airline_tweets" / reader.FILE})["surveys"]


def test_a_tweet_labelled_twice_is_one_with_its_surer_label_on_one_line_in_utc(tiny: Path) -> None:
    frame = reader.read({reader.FILE: tiny})["surveys"]
    assert frame["score"].tolist() == [1, 2]
    assert frame["comment"].tolist() == ["[handle] why & how [handle]?", "[handle] love"]
    assert frame["ts"].tolist() == [pd.Timestamp("2015-02-24 19:35:52"), pd.Timestamp("2015-02-24 09:00:00")]
    assert frame["touchpoint"].tolist() == ["JetBlue", "United"]
    assert frame["reason"].isna().all()
    assert frame["retweets"].tolist() == [0, 3]


def test_the_published_file_has_its_known_tweets_moods_and_writers(
    tweets: pd.DataFrame, mirror: Path
) -> None:
    """14,640 rows, 14,485 different tweets, 7,701 accounts: counted in the file by itself."""
    raw = pd.read_csv(mirror / "airline_tweets" / reader.FILE, dtype=str)
    assert (len(raw), len(tweets)) == (14_640, raw["tweet_id"].nunique())
    assert tweets["customer_id"].nunique() == raw["name"].nunique() == 7_701
    once = raw[~raw.duplicated("tweet_id", keep=False)].set_index("tweet_id")
    ours = tweets.set_index("response_id").loc[once.index]
    assert (ours["score"] == once["airline_sentiment"].map(reader.MOODS)).all()
    assert (ours["reason"].isna() == once["negativereason"].isna()).all()


def test_what_the_file_calls_delta_was_written_to_jetblue(mirror: Path) -> None:
    raw = pd.read_csv(mirror / "airline_tweets" / reader.FILE, dtype=str)
    first = raw.loc[raw["airline"] == "Delta", "text"].str.extract(r"@(\w+)")[0].str.lower()
    assert (first.eq("jetblue").sum(), first.eq("delta").sum(), len(first)) == (2_215, 0, 2_222)


def test_no_account_name_is_left_anywhere(tweets: pd.DataFrame, mirror: Path) -> None:
    assert not tweets["comment"].map(lambda text: re.search(r"(?<!\w)@\w\w", text)).any()
    assert tweets["customer_id"].str.fullmatch(r"writer \d+").all()
    raw = pd.read_csv(mirror / "airline_tweets" / reader.FILE, dtype=str)
    assert raw["text"].str.contains("“@JetBlue", regex=False).any()  # what a plainer rule would leave


def test_it_opens_by_name_and_breaks_nothing_in_the_contract(
    mirror: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CXLIB_DATA_MIRROR", str(mirror))
    study = cx.open_study("airline_tweets")
    assert study.findings.found == ()
    assert study.findings.rows == {"surveys": 14_485}


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("neutral", "so-so", "airline_sentiment: 1 value.* one of its three moods.*'so-so'"),
        ("11:35:52 -0800", "noon", "tweet_created: 2 value.* a time with its zone"),
        ("retweet_count", "retweets", r"lacks the column\(s\) retweet_count"),
        (",3,@united", ",some,@united", "retweet_count: 1 value.* whole numbers"),
    ],
)
def test_what_cannot_be_read_is_said(tiny: Path, old: str, new: str, message: str) -> None:
    tiny.write_text(tiny.read_text("utf-8").replace(old, new), "utf-8")
    with pytest.raises(CxValueError, match=message):
        reader.read({reader.FILE: tiny})


def test_a_missing_file_is_named() -> None:
    with pytest.raises(CxLookupError, match=r"TwitterUSAirlineSentiment\.csv is missing"):
        reader.read({})
