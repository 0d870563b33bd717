"""What customers answer and write is the same on Spark."""

from __future__ import annotations

from pathlib import Path

import ibis
import numpy as np
import pandas as pd
import pytest

import cxlib as cx

DEMO = Path(__file__).parents[2] / "data" / "demo"
METHODS = {
    "scores by month": lambda study: cx.voice.scores(study, "nps", by="month"),
    "scores by channel": lambda study: cx.voice.scores(study, "csat", by="channel"),
    "silent": cx.voice.silent,
    "careless": cx.voice.careless,
    "scale mistakes": cx.voice.scale_mistakes,
    "split": lambda study: cx.voice.split(study, who="loyalty_tier"),
    "scorecard": cx.voice.scorecard,
    "blind spots": cx.voice.unasked,
    "drivers": lambda study: cx.voice.drivers(study, "nps"),
    "mentions": lambda study: cx.text.mentions(study, every="7 D"),
    "reasons": lambda study: cx.text.reasons(study, by="stage"),
    "engagement": cx.text.engagement,
}


@pytest.mark.spark
def test_what_customers_say_is_the_same_on_both_engines(spark, tmp_path):
    for name in ("touchpoints", "catalog", "customers", "surveys"):
        frame = pd.read_parquet(DEMO / f"{name}.parquet")
        if "customer_id" in frame:
            frame = frame[frame["customer_id"] < "c0001200"].reset_index(drop=True)
        place = np.arange(len(frame))
        if name == "customers":
            frame["first_name"] = np.where(place % 2, "Anna", None)
        if name == "surveys":
            frame["reason"] = np.where(place % 3 == 0, "late", "rude")
            frame["retweets"] = (place % 5 == 0).astype(int)
            frame.loc[frame["comment"].notna() & (place % 4 == 0), "comment"] = "Anna! call 0712345678"
            frame.loc[place % 50 == 0, "comment"] = " "
        frame.to_parquet(tmp_path / f"{name}.parquet", index=False)
        spark.read.parquet(str(tmp_path / f"{name}.parquet")).createOrReplaceTempView(name)
    (tmp_path / "study.yaml").write_text((DEMO / "study.yaml").read_text("utf-8"), "utf-8")
    pair = cx.open_study(tmp_path), cx.open_study(ibis.pyspark.connect(spark))
    for name, method in METHODS.items():
        here, there = (method(study) for study in pair)
        pd.testing.assert_frame_equal(here.table(), there.table(), check_dtype=False, rtol=1e-9, obj=name)
    here, there = (cx.text.comments(study) for study in pair)
    pd.testing.assert_frame_equal(here.frame, there.frame, check_dtype=False)
    assert here.blank == there.blank > 0
    assert "[name]! call [number]" in set(here.frame["comment"])
