"""The room's figures are the same on Spark as on DuckDB."""

from __future__ import annotations

import dataclasses

import ibis
import pandas as pd
import pytest

import cxlib as cx
from cxlib.collection import cleaned, promises, quality, responders, scores, stars
from cxlib.study.opening import DEMO

pytestmark = pytest.mark.spark


@pytest.fixture(scope="module")
def pair(spark, tmp_path_factory):
    """A hundred customers of the demo, with promises added to their orders, on both engines."""
    where = tmp_path_factory.mktemp("hundred")
    names = ("customers", "touchpoints", "catalog", "identities", "surveys", "orders")
    frames = {name: pd.read_parquet(DEMO / f"{name}.parquet") for name in names}
    first = frames["customers"]["customer_id"].sort_values().head(100)
    for name, frame in frames.items():
        if "customer_id" in frame:
            frame = frame[frame["customer_id"].isin(first)].reset_index(drop=True)
        if name == "orders":
            took = pd.to_timedelta(frame.index % 60, unit="h")
            promised = frame["ts"] + pd.Timedelta(days=1)
            frame = frame.assign(status="delivered", promised_ts=promised, delivered_ts=frame["ts"] + took)
        if name == "touchpoints":  # the clock of the busiest device goes wrong
            busiest = frame["anonymous_id"].value_counts().index[0]
            frame.loc[frame["anonymous_id"] == busiest, "ts"] += pd.Timedelta(hours=3)
        frame.to_parquet(where / f"{name}.parquet", index=False)
        spark.read.parquet(str(where / f"{name}.parquet")).createOrReplaceTempView(name)
    studies = cx.open_study(where), cx.open_study(ibis.pyspark.connect(spark))
    rome = dataclasses.replace(studies[0].settings, time_zone="Europe/Rome")
    return tuple(dataclasses.replace(study, settings=rome) for study in studies)


@pytest.mark.parametrize(
    "figures",
    [
        lambda study: scores(study).table(),
        lambda study: scores(study, "ease").table(),
        lambda study: stars(study).table(),
        lambda study: responders(study).table(),
        lambda study: promises(study).table(),
        lambda study: quality(study).volume.table(),
        lambda study: quality(study).monthly.table(),
        lambda study: quality(study).blanks.table(),
        lambda study: quality(study).faults.table(),
        lambda study: quality(study).identity.table(),
        lambda study: quality(study).consent.table(),
        lambda study: quality(study).drift.table(),
        lambda study: study.fetch(cleaned(study).table("touchpoints")).sort_values(
            "event_id", ignore_index=True
        ),
    ],
)
def test_figures_are_the_same_on_both_engines(pair, figures):
    duckdb, spark = (figures(study) for study in pair)
    assert len(duckdb)
    pd.testing.assert_frame_equal(duckdb, spark, rtol=1e-9, check_dtype=False)
