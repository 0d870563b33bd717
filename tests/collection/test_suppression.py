"""Nothing is said or shown of fewer customers than the minimum."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import cxlib as cx
from cxlib import voice
from cxlib.collection import plots, promises, quality, responders, scores, stars, summary

TOUCHPOINTS, CHANNELS = ("zebra_desk", "yak_page"), ("zeppelin", "yacht")


def frames(customers: int, seed: int, prefix: str = "c") -> dict[str, pd.DataFrame]:
    """Few customers with many events, answers and orders, of which some are spoiled."""
    rng = np.random.default_rng(seed)
    n = 40 * customers
    who = [f"{prefix}{i % customers}" for i in range(n)]
    place = rng.integers(0, 2, n)
    ts = pd.Timestamp("2026-01-01") + pd.to_timedelta(np.sort(rng.integers(0, 100 * 86_400, n)), unit="s")
    base = pd.DataFrame({"customer_id": who, "ts": ts, "touchpoint": np.take(TOUCHPOINTS, place)})
    events = base.assign(
        event_id=[f"{prefix}{i}" for i in range(n)],
        channel=np.take(CHANNELS, place),
        stage="engagement",
        device=rng.choice(["mobile", None], n),
        received_ts=ts + pd.to_timedelta(rng.integers(-1, 3, n), unit="h"),
    )
    surveys = base.assign(
        response_id=[f"{prefix}{i}" for i in range(n)],
        question=rng.choice(["nps", "csat", "ces"], n),
        score=rng.integers(1, 6, n).astype(float),
        scale_min=1.0,
    )
    surveys["scale_max"] = np.where(surveys["question"] == "nps", 10.0, 5.0)
    orders = base[["customer_id", "ts"]].assign(
        order_id=[f"{prefix}{i}" for i in range(n)], revenue=100, currency="EUR", status="delivered"
    )
    orders = orders.assign(
        promised_ts=ts, delivered_ts=ts + pd.to_timedelta(rng.integers(-1, 2, n), unit="D")
    )
    people = pd.DataFrame({"customer_id": sorted(set(who)), "region": "north"})
    return {"touchpoints": events, "surveys": surveys, "orders": orders, "customers": people}


def everything(study: object) -> dict[str, str]:
    """All that the room says and shows of a study, by what it is."""
    found = quality(study)
    parts = ("volume", "monthly", "blanks", "faults", "gaps", "identity", "consent", "drift")
    results = {part: getattr(found, part) for part in parts}
    results |= {"quality": found, "responders": responders(study), "promises": promises(study)}
    results |= {f"scores {q}": scores(study, q) for q in ("nps", "csat", "ces")}
    results |= {f"stars {q}": stars(study, q) for q in ("nps", "csat", "ces")}
    results |= {"contents": cx.collection.contents(study), "checks": cx.collection.checks(study)}
    said = {f"{name}, claim": str(result.claim()) for name, result in results.items()}
    for name, result in results.items():
        said |= {f"{name}, {kind}": text for kind, text in result._repr_mimebundle_().items()}
    said["summary"] = "\n".join(summary(study).lines)
    said["contents, summary"] = "\n".join(results["contents"].summary().lines)
    drawn = {
        "volume": plots.volume_lines(found),
        "responders": voice.plots.response_dots(results["responders"]),
    }
    drawn |= {"faults": plots.fault_dots(found.faults), "drift": plots.drift_dots(found.drift)}
    drawn |= {"identity": plots.identity_bars(found.identity)}
    drawn |= {q: voice.plots.score_dots(results[f"scores {q}"]) for q in ("nps", "csat", "ces")}
    drawn |= {f"stars {q}": voice.plots.stars_bar(results[f"stars {q}"]) for q in ("nps", "csat", "ces")}
    return said | {f"{name}, figure": shown.alt for name, shown in drawn.items()}


@given(st.integers(1, 9), st.integers(0, 1_000))
@settings(deadline=None, max_examples=4, suppress_health_check=list(HealthCheck))
def test_of_nine_customers_or_fewer_no_name_and_no_percentage_is_said_or_shown(customers, seed):
    telling = re.compile(r"zebra|yak|zeppelin|yacht|\d[\s\u00a0]*%")
    for where, text in everything(cx.open_study(frames(customers, seed))).items():
        assert not telling.search(text), where


def test_of_many_customers_the_same_things_are_said():
    said = everything(cx.open_study(frames(40, 0)))
    assert re.search(r"zeppelin|yacht", said["volume, claim"])
    for where in (
        "volume, figure",
        "responders, figure",
        "stars csat, claim",
        "nps, figure",
        "blanks, claim",
    ):
        assert "Too few" not in said[where], where


def test_a_channel_of_one_customer_is_not_named_beside_large_ones():
    many = frames(40, 0)
    lone = (
        many["touchpoints"]
        .iloc[:20]
        .assign(
            event_id=[f"x{i}" for i in range(20)],
            customer_id="c1",
            channel="airship",
            touchpoint="airship_desk",
        )
    )
    lone["ts"] = pd.Timestamp("2026-01-02")  # silent ever since
    lone["received_ts"] = lone["ts"]
    many["touchpoints"] = pd.concat([many["touchpoints"], lone], ignore_index=True)
    said = everything(cx.open_study(many))
    assert [where for where, text in said.items() if "airship" in text] == []
    for where in (
        "volume, claim",
        "volume, figure",
        "monthly, text/csv",
        "volume, text/html",
        "identity, figure",
    ):
        assert re.search(r"zeppelin|yacht|2 channels", said[where]), where
