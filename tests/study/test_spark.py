"""The same study on DuckDB and on Spark: the same log, the same folds, the same counts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import ibis
import pandas as pd
import pytest

import cxlib as cx
from cxlib.study.log import CODED, FOLDS, Log
from cxlib.study.opening import DEMO, Study

pytestmark = pytest.mark.spark
FEW = 500
TABLES = ("touchpoints", "catalog", "customers", "identities")


def on_spark(session: Any, folder: Path) -> Study:
    """The study of a folder on Spark: its Parquet files as views named after the tables."""
    for name in ("touchpoints", "catalog", "identities"):
        session.read.parquet(str(folder / f"{name}.parquet")).createOrReplaceTempView(name)
    return cx.open_study(ibis.pyspark.connect(session))


@pytest.fixture(scope="module")
def few(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo's first customers, with all that is linked to them."""
    where = tmp_path_factory.mktemp("few")
    frames = {name: pd.read_parquet(DEMO / f"{name}.parquet") for name in TABLES}
    first = set(frames["customers"]["customer_id"].sort_values().head(FEW))
    identities = frames["identities"]
    linked = set(identities.loc[identities["customer_id"].isin(first), "id_value"])
    for name, frame in frames.items():
        if name == "touchpoints":
            frame = frame[frame["customer_id"].isin(first) | frame["anonymous_id"].isin(linked)]
        elif "customer_id" in frame:
            frame = frame[frame["customer_id"].isin(first)]
        frame.to_parquet(where / f"{name}.parquet", index=False)
    (where / "study.yaml").write_text((DEMO / "study.yaml").read_text("utf-8"), "utf-8")
    return where


@pytest.fixture(scope="module")
def pair(spark: Any, few: Path) -> tuple[Study, Study]:
    """The first customers on DuckDB and on Spark."""
    return cx.open_study(few), on_spark(spark, few)


@pytest.fixture(scope="module")
def demos(spark: Any) -> tuple[Study, Study]:
    """The whole demo on DuckDB and on Spark."""
    return cx.open_study("demo"), on_spark(spark, DEMO)


def rows(study: Study) -> pd.DataFrame:
    """The whole decoded log, in order, with plain types."""
    log = study.log(carry=("device", "load_ms"))
    frame = study.fetch(log.decoded()).sort_values("event", ignore_index=True)
    text = ["key", *CODED, "previous", "next", "device"]
    frame[text] = frame[text].astype(object).where(frame[text].notna(), None)
    whole = [name for name in frame if name not in text and name != "load_ms"]
    return frame.astype(dict.fromkeys(whole, "int64") | {"load_ms": "float64"})[sorted(frame)]


def test_the_decoded_logs_are_equal_row_by_row(pair: tuple[Study, Study]) -> None:
    duckdb, spark = (rows(study) for study in pair)
    assert len(duckdb) > 20 * FEW
    pd.testing.assert_frame_equal(duckdb, spark)


def test_persons_and_folds_are_equal_row_by_row(pair: tuple[Study, Study]) -> None:
    duckdb, spark = (
        study.fetch(study.log().persons).sort_values("key", ignore_index=True).astype({"key": object})
        for study in pair
    )
    assert duckdb["fold"].between(0, FOLDS - 1).all()
    pd.testing.assert_frame_equal(duckdb[sorted(duckdb)], spark[sorted(duckdb)], check_dtype=False)


def checksums(study: Study, log: Log) -> pd.DataFrame:
    """Per fold: rows, and a sum that changes if any two events of it change places. Integers only."""
    t = log.table
    big = 1_000_003
    wide = {
        name: t[name].cast("int64") for name in ("event", "person", "at", "step", "gap", "session", *CODED)
    }
    mixed = (
        (wide["event"] + 1)
        * (
            wide["touchpoint"] * 3
            + wide["channel"] * 101
            + wide["stage"] * 1009
            + wide["initiated"] * 10007
            + 2
        )
        + wide["person"] * 7
        + (wide["at"] % big) * (wide["step"] + 5)
        + (wide["gap"] % big) * 11
        + wide["session"] * 13
    )
    hashed = t.select("fold", mixed=mixed % big)
    return (
        study.fetch(hashed.group_by("fold").aggregate(rows=hashed.count(), checksum=hashed.mixed.sum()))
        .sort_values("fold", ignore_index=True)
        .astype("int64")
    )  # fmt: skip


def test_counts_and_an_order_sensitive_checksum_by_fold_are_equal_on_the_whole_demo(
    demos: tuple[Study, Study],
) -> None:
    sums = [checksums(study, study.log()) for study in demos]
    assert len(sums[0]) == FOLDS
    pd.testing.assert_frame_equal(*sums)


def test_the_checksum_notices_two_events_that_change_places(pair: tuple[Study, Study]) -> None:
    study = pair[0]
    log = study.log()
    t = log.table
    differ = study.fetch(t.filter((t.touchpoint != t.next) & (t.next >= 0)).order_by("event").limit(1))
    first = int(differ["event"].iloc[0])
    later = ibis.cases((t.event == first, first + 1), (t.event == first + 1, first), else_=t.event)
    swapped = Log(t.mutate(event=later), log.persons, log.names, log.of, log.gap, study=study)
    assert (checksums(study, log)["checksum"] != checksums(study, swapped)["checksum"]).sum() == 1


def test_every_count_of_the_chapter_is_equal_and_only_results_leave_spark(demos: tuple[Study, Study]) -> None:
    duckdb, spark = demos
    events = int(spark.findings.rows["touchpoints"])
    spark.log()
    before = spark.engine.rows_out
    conversion = list(duckdb.settings.conversion)
    for method in (cx.journeys.transitions, cx.journeys.steps, cx.journeys.switches):
        ours, theirs = method(duckdb), method(spark)
        assert (ours.rows, ours.cells) == (theirs.rows, theirs.cells)
        assert (ours.counts == theirs.counts).all()
    assert (cx.journeys.funnel(duckdb).reached == cx.journeys.funnel(spark).reached).all()
    ours, theirs = cx.journeys.drop_off(duckdb), cx.journeys.drop_off(spark)
    assert (ours.exits == theirs.exits).all()
    assert (ours.events == theirs.events).all()
    ours, theirs = (cx.journeys.markov(study, conversion=conversion).table() for study in demos)
    pd.testing.assert_frame_equal(ours, theirs, rtol=1e-9)
    names = len(spark.log().names["touchpoint"])
    # Fold by touchpoint by next touchpoint is the largest result; nothing of the size of the log leaves.
    assert spark.engine.rows_out - before < 2 * FOLDS * names * (names + 1)
    assert before < 5_000 < events
