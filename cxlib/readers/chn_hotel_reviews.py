"""Chinese hotel reviews (ChnSentiCorp) with a label: pleased or not.

In comes the file as published, out comes `surveys`: one row a review that has a text. See
data/cards/chn_hotel_reviews.md.

>>> SETTINGS["licence"]
'none stated: loaded on demand, never redistributed'
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from cxlib.readers.text import read_columns, refuse

SETTINGS: dict[str, Any] = {
    "name": "chn_hotel_reviews",
    "title": "Chinese hotel reviews (ChnSentiCorp)",
    "time_zone": "UTC",
    "licence": "none stated: loaded on demand, never redistributed",
    "source": "Tan Songbo, ChnSentiCorp, as collected in ChineseNlpCorpus",
    "notes": [
        "One of 7,766 reviews has no text and is left out.",
        "Reviews carry no date: ts is 1 January 2018, the year of this collection; read no time from it.",
        "5,322 pleased and 2,443 not is how they were collected: the share means nothing here.",
    ],
}

FILE = "ChnSentiCorp_htl_all.csv"
FILES = (FILE,)


def read(files: Mapping[str, Path]) -> dict[str, pd.DataFrame]:
    """Contract table `surveys`: 7,765 reviews, question `sentiment` on a scale of 0 to 1.

    `response_id` is the place of the review in the file. Raises `CxLookupError` without the file,
    `CxValueError` for a missing column or a label that is neither 0 nor 1.
    """
    raw = read_columns(files, FILE, ["label", "review"])
    refuse(raw.loc[~raw["label"].isin(["0", "1"]), "label"], FILE, "0 or 1")
    raw = raw[raw["review"].str.strip().fillna("").ne("")]
    surveys = pd.DataFrame(
        {
            "response_id": "review " + (raw.index + 1).astype(str),
            "ts": pd.Timestamp(2018, 1, 1).as_unit("us"),
            "touchpoint": "hotel",
            "question": "sentiment",
            "score": raw["label"].astype("float64"),
            "scale_min": 0,
            "scale_max": 1,
            "comment": raw["review"],
            "language": "zh",
        }
    )
    return {"surveys": surveys.reset_index(drop=True)}
