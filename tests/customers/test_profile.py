"""What describes a customer: small logs by hand, the demo against pandas, the same on Spark."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import ibis
import numpy as np
import pandas as pd
import pytest

import cxlib as cx
from cxlib.customers.profile import DESCRIBED, described
from cxlib.customers.sources import Period
from cxlib.study import Study
from cxlib.study.opening import DEMO

CATALOG = pd.DataFrame(
    [
        ("shop", "web", "engagement", "self_service"), ("buy", "web", "transaction", "self_service"),
        ("call", "call", "retention", "assisted"), ("mail", "email", "awareness", None),
    ],
    columns=["touchpoint", "channel", "stage", "mode"],
)  # fmt: skip
EVENTS = [  # person, when, touchpoint, device; mail is the company's own doing
    ("a", "2025-03-03 10:00", "shop", "mobile"),  # a Monday
    ("a", "2025-03-03 10:05", "buy", "mobile"),
    ("a", "2025-03-08 19:00", "call", None),  # a Saturday evening
    ("a", "2025-03-08 19:10", "shop", "desktop"),
    (
        "a",
        "2025-03-01 09:00",
        "mail",
        None,
    ),  # nothing of a's own within three days: until 3 March, 10:00 is 49 hours
    ("a", "2025-03-09 09:00", "mail", None),  # no answer
    ("b", "2025-03-04 08:00", "mail", None),
    ("b", "2025-03-20 23:30", "shop", None),  # in Bucharest already Friday, half past one in the morning
    ("c", "2025-03-22 12:00", "mail", None),  # too late in the study for three days to have passed
    ("c", "2025-03-23 12:00", "shop", "mobile"),  # a Sunday
]


def study_of(zone: str = "UTC", **more: pd.DataFrame) -> Study:
    log = pd.DataFrame(EVENTS, columns=["customer_id", "ts", "touchpoint", "device"])
    log = log.merge(CATALOG[["touchpoint", "channel", "stage"]])
    log["ts"] = pd.to_datetime(log["ts"])
    log["initiated_by"] = np.where(log["touchpoint"] == "mail", "brand", "customer")
    log["event_id"] = [f"e{i}" for i in range(len(log))]
    study = cx.open_study({"touchpoints": log, "catalog": CATALOG, **more})
    object.__setattr__(study.settings, "time_zone", zone)
    return study


def of(study: Study, since: str | None = None, until: str | None = None) -> pd.DataFrame:
    return described(study, Period.of(since, until)).sort_index()


def test_three_customers_by_hand() -> None:
    found = of(study_of())
    expected = {
        "evening": [0.5, 1, 0], "weekend": [0.5, 0, 1], "transaction": [0.5, 0, 0], "active_days": [2, 1, 1],
        "channels": [2, 1, 1], "touchpoints": [3, 1, 1], "self_service": [0.75, 1, 1], "mobile": [2 / 3, np.nan, 1],
        "response": [0.5, 0, np.nan], "recency": [14 + 16 / 24 + 50 / 1440, 2 + 12.5 / 24, 0],
        "tenure": [20 + 2 / 24, 2 + 12.5 / 24, 0],
    }  # fmt: skip
    assert set(found) == set(expected)
    for name, values in expected.items():
        assert found[name].tolist() == pytest.approx(values, nan_ok=True), name


def test_hours_and_days_are_those_of_the_studys_time_zone() -> None:
    found = of(study_of("Europe/Bucharest"))
    assert found["evening"].tolist() == [0.5, 0, 0]
    # Summer time begins on 30 March, at one o'clock UTC: the clock is then three hours ahead, and not two.
    late = study_of("Europe/Bucharest", touchpoints=pd.DataFrame({
        "customer_id": ["d", "e"], "ts": pd.to_datetime(["2025-03-29 15:30", "2025-03-30 15:30"]), "event_id": ["x", "y"],
        "touchpoint": "shop", "initiated_by": "customer", "channel": "web", "stage": "engagement",
    }))  # fmt: skip
    assert of(late)["evening"].tolist() == [0, 1]


def test_a_period_counts_what_happened_in_it_and_ends_with_it() -> None:
    found = of(study_of(), since="2025-03-05", until="2025-03-21")
    assert found["touchpoints"].tolist() == [2, 1]
    assert found["recency"].tolist() == pytest.approx([12 + (4 * 60 + 50) / 1440, 0.5 / 24])


def test_a_period_before_the_log_begins_describes_nobody_and_breaks_nothing() -> None:
    assert of(study_of(), until="2020-01-01").empty
    assert of(study_of(), since="2030-01-01").empty


def test_tenure_is_since_a_customer_was_first_seen_where_that_is_known() -> None:
    since = pd.to_datetime(["2025-01-22 12:00", None, "2026-01-01 00:00"])
    people = pd.DataFrame({"customer_id": ["a", "b", "c"], "first_seen": since})
    # b's is unknown, c was seen before the date given: then the first contact counts.
    assert of(study_of(customers=people))["tenure"].tolist() == pytest.approx([60, 2 + 12.5 / 24, 0])


def test_answers_count_on_their_own_scales() -> None:
    rows = [("a", "nps", 10, 0, 10), ("a", "nps", 7, 0, 10), ("b", "nps", 6, 0, 10), ("a", "csat", 4, 1, 5), ("a", "csat", 7, 1, 7)]  # fmt: skip
    surveys = pd.DataFrame(rows, columns=["customer_id", "question", "score", "scale_min", "scale_max"])
    surveys = surveys.assign(
        response_id=[f"r{i}" for i in range(5)],
        ts=pd.Timestamp("2025-03-05"),
        sentiment=[1.0, 0, -1, 0.5, 0.5],
    )
    found = of(study_of(surveys=surveys))
    assert found["nps"].tolist() == pytest.approx([50, -100, np.nan], nan_ok=True)
    assert found["csat"].tolist() == pytest.approx([0.875, np.nan, np.nan], nan_ok=True)
    assert found["sentiment"].tolist() == pytest.approx([0.5, -1, np.nan], nan_ok=True)


def test_what_a_study_lacks_is_absent() -> None:
    log = pd.DataFrame(EVENTS, columns=["customer_id", "ts", "touchpoint", "device"]).drop(columns="device")
    log = log.assign(ts=pd.to_datetime(log["ts"]), initiated_by="customer", channel="web", stage="engagement")
    log["event_id"] = [f"e{i}" for i in range(len(log))]
    found = of(cx.open_study({"touchpoints": log}))
    assert not {"mobile", "self_service", "transaction", "response", "nps", "csat"} & set(found)
    orders = {"order_id": ["o"], "customer_id": ["a"], "ts": pd.to_datetime(["2025-01-01"]), "revenue": [5], "currency": ["EUR"]}  # fmt: skip
    assert of(cx.open_study({"orders": pd.DataFrame(orders)})).empty


def test_described_features_are_on_the_card_and_never_in_the_mixture() -> None:
    features = cx.personas.features(cx.open_study("demo"))
    card = features.table().set_index("feature")
    mine = card[card["role"] == "describes"]
    assert set(mine.index) == set(DESCRIBED) - {"sentiment"}
    assert {block.name for block in features.blocks}.isdisjoint(DESCRIBED)
    assert mine.loc[["orders", "revenue", "visits", "recency"], "outcome"].all()
    assert not mine.loc[["tenure", "evening", "nps"], "outcome"].any()
    assert (features.profile["orders"] == 0).any()  # nobody's orders are unknown where the study has orders
    shares = features.profile[["evening", "weekend", "mobile", "self_service", "response"]]
    assert (shares.isna() | ((shares >= 0) & (shares <= 1))).all(axis=None)


def test_it_costs_less_than_a_second_on_the_demo() -> None:
    study = cx.open_study("demo")
    study.log()
    began = time.process_time()
    described(study, Period.of(None, None))
    assert time.process_time() - began < 1.0  # alone it takes .3


@pytest.mark.spark
def test_the_same_on_spark(spark: Any, tmp_path: Path) -> None:
    frames = {
        name: pd.read_parquet(DEMO / f"{name}.parquet") for name in ("touchpoints", "catalog", "surveys")
    }
    first = set(frames["surveys"]["customer_id"].sort_values().unique()[:100])
    for name, frame in frames.items():
        few = frame[frame["customer_id"].isin(first)] if "customer_id" in frame else frame
        few.drop(columns="anonymous_id", errors="ignore").to_parquet(
            tmp_path / f"{name}.parquet", index=False
        )
        spark.read.parquet(str(tmp_path / f"{name}.parquet")).createOrReplaceTempView(name)
    (tmp_path / "study.yaml").write_text((DEMO / "study.yaml").read_text("utf-8"), "utf-8")
    pair = cx.open_study(tmp_path), cx.open_study(ibis.pyspark.connect(spark))
    ours, theirs = (of(study) for study in pair)
    assert len(ours) == 100
    pd.testing.assert_frame_equal(
        ours, theirs[list(ours)], rtol=1e-9, check_names=False, check_index_type=False
    )
    account, other = (cx.customers.lifecycle(study).table() for study in pair)
    pd.testing.assert_frame_equal(account, other, rtol=1e-9)
