"""LaRoSeDa: Romanian product reviews with their stars, half of them 1 or 2, half 4 or 5.

In come the two JSON files as published, out comes `surveys`: one row a review, its text without the title,
which often says the verdict in a word and stands apart. See data/cards/laroseda.md.

>>> SETTINGS["title"]
'LaRoSeDa, Romanian product reviews'
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from cxlib.errors import CxValueError
from cxlib.readers.text import present, whole

SETTINGS: dict[str, Any] = {
    "name": "laroseda",
    "title": "LaRoSeDa, Romanian product reviews",
    "time_zone": "UTC",
    "licence": "CC BY-NC-SA 4.0, not for commercial use",
    "source": "Tache, Gaman and Ionescu 2021, LaRoSeDa: A Large Romanian Sentiment Data Set",
    "notes": [
        "Reviews carry no date: ts is 1 January 2021, the year they were published in; read no time from it.",
        "Half are positive by design and none has three stars: a share of stars means nothing here.",
        "Nobody can be told from anybody: a review is a person of its own.",
    ],
}

FILES = ("positive_reviews.json", "negative_reviews.json")
FIELDS = ("index", "title", "content", "starRating")


def read(files: Mapping[str, Path]) -> dict[str, pd.DataFrame]:
    """Contract table `surveys`: 15,000 reviews, question `stars` (1 to 5), `title` apart from `comment`.

    Raises `CxLookupError` for a missing file, `CxValueError` for one that is not as published.
    """
    raw = pd.concat([_reviews(files, file) for file in FILES], ignore_index=True)
    surveys = pd.DataFrame(
        {
            "response_id": raw["index"],
            "ts": pd.Timestamp(2021, 1, 1).as_unit("us"),
            "touchpoint": "product",
            "question": "stars",
            "score": whole(raw["starRating"], FILES[0]).astype("float64"),
            "scale_min": 1,
            "scale_max": 5,
            "comment": raw["content"],
            "language": "ro",
            "title": raw["title"],
        }
    )
    return {"surveys": surveys}


def _reviews(files: Mapping[str, Path], file: str) -> pd.DataFrame:
    path = present(files, file)
    try:
        frame = pd.DataFrame(json.loads(path.read_text("utf-8"))["reviews"], dtype="str")
        return frame[list(FIELDS)].apply(lambda column: column.str.strip())
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise CxValueError(
            f"{file} is not a JSON object of `reviews` with {', '.join(FIELDS)} ({type(error).__name__}: "
            f"{error}). Take the file as published."
        ) from error
