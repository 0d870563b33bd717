"""Tweets to six US airlines in February 2015, labelled by people for mood and for the reason of a complaint.

In comes the file as published, out comes `surveys`: one row a tweet, the mood as its score. Who wrote is a
number; account names, a writer's own and those addressed, are taken out of everything. See
data/cards/airline_tweets.md.

>>> MOODS["positive"], SETTINGS["licence"][:15]
(2, 'CC BY-NC-SA 4.0')
"""

from __future__ import annotations

import html
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from cxlib.readers.text import read_columns, refuse, whole

SETTINGS: dict[str, Any] = {
    "name": "airline_tweets",
    "title": "Tweets to six US airlines, 17 to 24 February 2015",
    "time_zone": "UTC",
    "licence": "CC BY-NC-SA 4.0, not verified; not for commercial use",
    "source": "CrowdFlower, Twitter US Airline Sentiment",
    "notes": [
        "155 tweets were labelled twice: the label with the higher confidence is kept, of equals the first.",
        "The file's `Delta` is JetBlue here: 2,215 of these 2,222 rows address @JetBlue, none begins with @Delta.",
        "American Airlines' tweets begin on 22 February, where the collection does, not where people began.",
        "Account names are taken out: the writer's is a number, those in the text are [handle].",
    ],
}

FILE = "TwitterUSAirlineSentiment.csv"
FILES = (FILE,)
MOODS = {"negative": 0, "neutral": 1, "positive": 2}
HANDLE = (
    r"(?<!\w)[@＠][A-Za-z0-9_]{2,}"  # after any sign, a curly quotation mark too; an e-mail address is none
)


def read(files: Mapping[str, Path]) -> dict[str, pd.DataFrame]:
    """Contract table `surveys`: 14,485 tweets, question `sentiment` on a scale of 0 (negative) to 2 (positive).

    `touchpoint` is the airline, `comment` the text on one line. Further columns: `reason` (of a complaint),
    `confidence` and `reason_confidence` (of the labels, 0 to 1), `retweets`. Raises `CxLookupError` without
    the file, `CxValueError` for a missing column, a mood that is none, a time that cannot be read.
    """
    columns = "tweet_id airline airline_sentiment airline_sentiment_confidence negativereason"
    columns += " negativereason_confidence name text retweet_count tweet_created"
    raw = read_columns(files, FILE, columns.split())
    moods = raw["airline_sentiment"]
    refuse(moods[~moods.isin(MOODS)], FILE, "one of its three moods")
    raw["ts"] = pd.to_datetime(raw["tweet_created"], format="%Y-%m-%d %H:%M:%S %z", utc=True, errors="coerce")
    refuse(raw["tweet_created"][raw["ts"].isna()], FILE, "a time with its zone")
    raw["confidence"] = pd.to_numeric(raw["airline_sentiment_confidence"])
    # The writer's number is the place of their first tweet: unlike a digest, nobody can compute it from a name.
    raw["customer_id"] = "writer " + (pd.factorize(raw["name"])[0] + 1).astype(str).astype(object)
    best = raw.sort_values("confidence", ascending=False, kind="stable").drop_duplicates("tweet_id").index
    raw = raw.loc[best.sort_values()]
    sure = pd.to_numeric(raw["negativereason_confidence"])
    surveys = pd.DataFrame(
        {
            "response_id": raw["tweet_id"],
            "customer_id": raw["customer_id"],
            "ts": raw["ts"].dt.tz_localize(None).astype("datetime64[us]"),
            "touchpoint": raw["airline"].replace("Delta", "JetBlue"),
            "question": "sentiment",
            "score": raw["airline_sentiment"].map(MOODS).astype("float64"),
            "scale_min": 0,
            "scale_max": 2,
            "comment": raw["text"].map(_line),
            "language": "en",
            "reason": raw["negativereason"].replace("longlines", "Long Lines"),
            "confidence": raw["confidence"],
            "reason_confidence": sure.where(raw["negativereason"].notna()),
            "retweets": whole(raw["retweet_count"], FILE),
        }
    )
    return {"surveys": surveys.reset_index(drop=True)}


def _line(text: str) -> str:
    """A tweet on one line, its account names masked, its HTML read."""
    return " ".join(re.sub(HANDLE, "[handle]", html.unescape(text)).split())
