"""Blind spots: trouble that behaviour shows where nobody is asked."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binomtest

import cxlib as cx
from cxlib.errors import MissingTable
from cxlib.results import TOO_FEW
from cxlib.voice.unasked import unasked

PAGES = [f"page_{i}" for i in range(6)]
CATALOG = pd.DataFrame(
    {"touchpoint": [*PAGES, "hotline"], "channel": ["web"] * 6 + ["call"], "stage": "engagement"}
)
CATALOG["mode"] = ["self_service"] * 6 + ["assisted"]


def study(
    seed: int,
    bad: dict[str, float] | None = None,
    asked: dict[str, float] | None = None,
    customers: int = 250,
):
    """Visits of one to four pages; each fails one time in ten, at `bad` more often, and then ends there."""
    rng = np.random.default_rng(seed)
    clumsy, rows = rng.beta(2, 18, customers), []
    for person in range(customers):
        for day in range(rng.poisson(3)):
            for minute in range(rng.integers(1, 5)):
                page = PAGES[rng.integers(6)]
                failed = rng.random() < (bad or {}).get(page, clumsy[person])
                when = pd.Timestamp("2025-03-01") + pd.Timedelta(days=day, minutes=int(minute))
                rows.append((f"c{seed}-{person}", when, page, "failed" if failed else "ok"))
                if failed:
                    break
    touched = pd.DataFrame(rows, columns=["customer_id", "ts", "touchpoint", "outcome"])
    touched["event_id"] = [f"e{i}" for i in range(len(touched))]
    tables = {"touchpoints": touched, "catalog": CATALOG}
    if asked is not None:
        drawn = touched[rng.random(len(touched)) < touched["touchpoint"].map(asked).fillna(0.2)]
        answers = drawn[["customer_id", "ts", "touchpoint"]].assign(question="csat", score=4.0)
        answers = answers.assign(
            scale_min=1.0, scale_max=5.0, response_id=[f"r{i}" for i in range(len(drawn))]
        )
        tables["surveys"] = answers
    return cx.open_study(tables)


def test_the_planted_blind_spot_is_found_and_named():
    found = unasked(study(1, bad={"page_2": 0.4, "page_4": 0.4}, asked={"page_2": 0.0}))
    assert found.table().loc[found.table()["blind"], "touchpoint"].tolist() == ["page_2"]
    claim = found.claim().replace("\u00a0", " ")
    assert claim.startswith("The worst blind spot is page 2:")
    assert "0.0 % are asked about" in claim


def test_trouble_that_people_are_asked_about_is_no_blind_spot():
    found = unasked(study(2, bad={"page_2": 0.4}, asked={}))
    assert not found.table()["blind"].any()
    assert found.claim().startswith("At none of 6 touchpoints")


def test_without_surveys_nobody_is_asked_anywhere():
    found = unasked(study(3, bad={"page_2": 0.4}))
    assert found.asked == 0
    assert "nobody is asked anywhere" in found.claim()
    assert found.table().loc[found.table()["blind"], "touchpoint"].tolist() == ["page_2"]


def test_at_most_five_in_a_hundred_worlds_of_equal_touchpoints_have_a_blind_spot(base_seed):
    flagged = sum(
        unasked(study(seed, customers=150)).table()["blind"].any() for seed in range(base_seed, base_seed + 5)
    )
    assert binomtest(flagged, 5, 0.05, alternative="greater").pvalue > 0.001, flagged


def test_a_contact_is_in_trouble_if_the_visit_ends_on_a_failure_or_turns_to_another_channel():
    rows = []
    for i in range(20):
        for minute, (touchpoint, outcome, load) in enumerate(
            [
                ("page_0", "failed", None),
                ("page_1", None, 9000.0),
                ("page_2", None, None),
                ("hotline", "ok", None),
            ]
        ):
            rows.append(
                (
                    f"c{i}",
                    pd.Timestamp("2025-03-01") + pd.Timedelta(minutes=minute),
                    touchpoint,
                    outcome,
                    load,
                )
            )
        rows.append((f"c{i}", pd.Timestamp("2025-03-05"), "page_3", None, 9000.0))
    frame = pd.DataFrame(rows, columns=["customer_id", "ts", "touchpoint", "outcome", "load_ms"])
    frame["event_id"] = [f"e{i}" for i in range(len(frame))]
    found = unasked(cx.open_study({"touchpoints": frame, "catalog": CATALOG})).table().set_index("touchpoint")
    # The failure of page 0 and the slow page 1 were overcome; page 2 led to the telephone, page 3 to leaving.
    assert found["estimate"].to_dict() == {"page_0": 0, "page_1": 0, "page_2": 1, "page_3": 1, "hotline": 0}
    assert found.loc["page_2", "peers"] == pytest.approx(20 / 80)


def test_the_asked_share_counts_responses_for_each_contact():
    one = study(5, asked={"page_1": 0.5})
    found = unasked(one).table().set_index("touchpoint")
    responses = one.fetch(one.table("surveys"))["touchpoint"].value_counts()
    contacts = one.fetch(one.table("touchpoints"))["touchpoint"].value_counts()
    assert found["asked"].to_dict() == pytest.approx((responses / contacts).to_dict())


def test_what_cannot_be_said_is_not_said(monkeypatch):
    with pytest.raises(MissingTable, match="touchpoints"):
        unasked(cx.open_study({"catalog": CATALOG}))
    small = study(4, customers=40)
    monkeypatch.setenv("CXLIB_MINIMUM", "1000")
    assert unasked(small).claim() == TOO_FEW
