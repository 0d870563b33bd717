"""From a study to frames a design can be read off: counted by hand, then in the simulated company."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import cxlib as cx
from cxlib import world
from cxlib.errors import CxLookupError, CxValueError
from cxlib.revenue import (
    adopters,
    adoption,
    failures,
    monthly,
    nudged,
    plots,
    realised,
    rollout,
    service_failure,
    summary,
)
from cxlib.study import Study
from cxlib.world.world import truth as planted

OFFERS = {
    "London": "2025-03-15",
    "Lombardy": "2025-04-15",
    "Lazio": "2025-05-15",
    "Bucharest": "2025-06-15",
    "Transylvania": "2025-07-15",
}


@pytest.fixture(scope="module")
def small() -> Study:
    """a fails, b does not, c's second contact fails, d calls too late; e links before the nudge, f after it."""
    calls = [("a", "03-01", "unresolved", 9.0), ("b", "03-02", "solved", 2.0), ("c", "03-03", "solved", 1.0),
             ("c", "03-04", "unresolved", 7.0), ("d", "12-30", "unresolved", 8.0)]  # fmt: skip
    links = [("e", "04-01"), ("f", "07-10"), ("g", "11-30")]
    touchpoints = pd.DataFrame(
        [(who, f"2025-{day}", "call", outcome, wait) for who, day, outcome, wait in calls]
        + [(who, f"2025-{day}", "link", None, None) for who, day in links]
        + [("a", "2025-02-20", "page", None, None), ("a", "2025-02-21", "page", None, None)],
        columns=["customer_id", "ts", "touchpoint", "outcome", "queue_min"],
    ).assign(event_id=lambda f: range(len(f)), channel="call", stage="engagement")
    bought = [("a", "02-25", 100), ("a", "03-01", 700), ("b", "05-30", 300), ("b", "06-01", 5), ("c", "01-01", 50),
              ("f", "08-01", 900), ("h", "12-31", 1)]  # fmt: skip
    orders = pd.DataFrame(
        [(str(k), who, f"2025-{day} 12:00", spent) for k, (who, day, spent) in enumerate(bought)],
        columns=["order_id", "customer_id", "ts", "revenue"],
    )
    who = list("abcdefgh")
    customers = pd.DataFrame(
        {"customer_id": who, "first_seen": "2025-01-01", "region": ["N", "S"] * 4, "loyalty_tier": "basic"}
    )
    exposures = pd.DataFrame(
        [
            ("nudge", "2025-07-01", variant, one)
            for variant, ones in (("control", "gh"), ("sms", "fb"))
            for one in ones
        ]
        + [("nudge", "2025-07-05", "control", "f")],
        columns=["experiment", "ts", "variant", "customer_id"],
    )
    tables = {"touchpoints": touchpoints, "orders": orders, "customers": customers, "exposures": exposures}
    return cx.open_study(tables, currency="EUR", money="minor")


@pytest.fixture(scope="module")
def company(base_seed: int) -> Study:
    return cx.open_study(world.simulate(1200, base_seed, faults=False).tables, currency="EUR")


def test_a_case_is_the_first_contact_that_leaves_a_whole_window(small: Study) -> None:
    frame = failures(small, window="90 D").frame.set_index("customer_id")
    assert frame["failed"].to_dict() == {"a": 1, "b": 0, "c": 0}
    assert frame["queue_min"].to_dict() == {"a": 9, "b": 2, "c": 1}
    assert set(frame["touchpoint"]) == {"call"}


def test_what_came_before_is_settled_and_what_comes_after_counts_from_the_contact(small: Study) -> None:
    frame = failures(small, window="90 D").frame.set_index("customer_id")
    assert frame.loc["a", ["orders_before", "revenue_before", "visits_before"]].tolist() == [1, 100, 2]
    assert frame.loc["a", ["orders", "revenue", "bought"]].tolist() == [1, 700, 1]
    assert frame.loc["b", ["orders", "revenue"]].tolist() == [1, 300]  # the day 91 comes too late
    assert frame.loc["c", ["bought", "orders_before"]].tolist() == [0, 1]
    assert frame.loc["a", "days_known"] == 59


def test_covariates_are_those_that_vary(small: Study) -> None:
    cases = failures(small)
    assert "region_S" in cases.covariates
    assert not any("tier" in name for name in cases.covariates)
    assert "1 of them unresolved" in cases.claim()


def test_adopters_are_those_who_had_by_then(small: Study) -> None:
    frame = adopters(small, "link", "2025-07-01").frame.set_index("customer_id")
    assert frame["adopted"].sum() == frame.loc["e", "adopted"] == 1
    assert len(frame) == 8
    assert frame.loc["f", "revenue"] == 900


def test_the_nudged_adopt_within_the_window_and_their_first_assignment_counts(small: Study) -> None:
    frame = nudged(small, "nudge", "link", window="120 D").frame.set_index("customer_id")
    assert frame["nudged"].to_dict() == {"b": 1, "f": 1, "g": 0, "h": 0}
    assert frame["adopted"].to_dict() == {"b": 0, "f": 1, "g": 0, "h": 0}
    assert frame.loc["f", "revenue"] == 900


def test_a_panel_has_every_customer_in_every_whole_month(small: Study) -> None:
    panel = monthly(small, {"N": "2025-03-01", "S": "2025-05-01"})
    assert panel.groupby("customer_id").size().unique().tolist() == [12]
    assert panel.groupby("region")["begins"].unique().map(list).to_dict() == {"N": [0], "S": [2]}
    mine = panel.set_index(["customer_id", "period"])["revenue"]
    assert mine["a", 0] == pytest.approx(700 * 30 / 31)  # March, of 30 days
    assert mine["a", -1] == pytest.approx(100 * 30 / 28)
    assert mine["f", 5] == pytest.approx(900 * 30 / 31)
    assert mine.sum() > 0
    assert (panel["known"] == -2).all()


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (lambda s: failures(s, failed="lost"), "ended as `lost`"),
        (lambda s: failures(s, touchpoints=["cal"]), "Did you mean `call`"),
        (lambda s: failures(s, window="a while"), "write a length of time"),
        (lambda s: nudged(s, "nudges", "link"), "Did you mean `nudge`"),
        (lambda s: nudged(s, "nudge", "link", control="none"), "it needs `none` and one other"),
        (lambda s: adoption(s, "nudge", "link", outcome="profit"), "No outcome `profit`"),
    ],
)
def test_what_is_not_there_is_named(small: Study, ask: object, message: str) -> None:
    with pytest.raises((CxLookupError, CxValueError), match=message):
        ask(small)


def test_in_the_company_identified_effects_are_near_those_planted(base_seed: int, company: Study) -> None:
    """Within four standard errors, so that no lucky seed is needed; their coverage is a proof of its own."""
    for name, built in (("service_failure", service_failure(company)), ("adoption", adoption(company))):
        assert [effect.rung for effect in built.rungs] == ["naive", "adjusted", "identified"]
        truth = planted("demo", name).set_index("measure").loc["effect", "truth"]
        assert abs(built.rungs[-1].estimate - truth) < 4 * built.rungs[-1].se


def test_ladders_say_what_they_are_of_and_in_which_unit(company: Study) -> None:
    cost, link = service_failure(company), adoption(company)
    assert cost.claim().startswith("Unresolved against other contacts, bought in 90 days")
    assert "points" in cost.claim()
    assert "EUR" in link.claim()
    assert "One effect, three ways" in plots.ladder(cost, link).alt


def test_the_companys_rollout_has_four_regions_with_an_effect_of_their_own(company: Study) -> None:
    found = rollout(monthly(company, OFFERS), outcome="margin", known="known", unit=realised(company).unit)
    assert set(found.regions) == set(OFFERS) - {"Transylvania"}
    assert found.table()["regions"].tolist()[0] == 4
    assert "months after" in plots.rollout(found).alt


def test_the_summary_has_a_line_for_each_thing_the_tables_allow(company: Study) -> None:
    lines = summary(company).lines
    assert len(lines) == 5
    assert lines[0].startswith("From 2025-01-0")
    assert "Tried on the last" in lines[2]
    assert lines[3].startswith("Unresolved against other contacts")
    assert lines[4].startswith("App link card")
    orders = cx.open_study({"orders": company.fetch(company.table("orders"))}, currency="EUR", money="minor")
    fewer = summary(orders).lines
    assert len(fewer) == 4
    assert fewer[-1].startswith("Next: find a lever")


def test_figures_of_value_say_what_they_show(company: Study, base_seed: int) -> None:
    drawn = world.simulate(300, base_seed, faults=False)
    given = world.posterior(drawn).rename(columns={"customer_id": "person"})
    study = cx.open_study(drawn.tables, currency="EUR")
    assert "net" in plots.realised(realised(company)).alt
    assert "researcher" in plots.realised(realised(study, given)).alt
    assert np.isfinite(realised(study, given).table()["estimate"]).all()
