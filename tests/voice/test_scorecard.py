"""Six dimensions from three witnesses: each rule counted by hand, witnesses kept apart, what is absent left out."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import cxlib as cx
from cxlib.errors import CxLookupError, CxValueError, MissingTable
from cxlib.results import TOO_FEW
from cxlib.voice.scorecard import ASKED, BEHAVIOUR, SAID, scorecard

CATALOG = pd.DataFrame(
    [
        ("mail", "email", "awareness", "self_service"),
        ("page", "web", "engagement", "self_service"),
        ("advice", "store", "engagement", "assisted"),
        ("shelf", "store", "engagement", "self_service"),
        ("bot", "chat", "engagement", "self_service"),
        ("till", "store", "transaction", "assisted"),
        ("cart", "web", "transaction", "self_service"),
        ("hotline", "call", "retention", "assisted"),
    ],
    columns=["touchpoint", "channel", "stage", "mode"],
)


def visit(person: str, day: int, *steps: tuple) -> list[dict]:
    """One visit, a minute a step: (touchpoint, outcome, milliseconds)."""
    rows = []
    for minute, (touchpoint, outcome, load) in enumerate(steps):
        when = pd.Timestamp("2025-03-01") + pd.Timedelta(days=day, minutes=minute)
        began = "brand" if touchpoint == "mail" else "customer"
        order = f"o{person}{day}" if touchpoint == "till" else None
        rows.append(
            {
                "customer_id": person,
                "ts": when,
                "touchpoint": touchpoint,
                "initiated_by": began,
                "order_id": order,
            }
            | {"outcome": outcome, "load_ms": load}
        )
    return rows


def log() -> pd.DataFrame:
    """Forty customers who do the same."""
    rows = []
    for i in range(40):
        who = f"c{i}"
        rows += visit(
            who, 0, ("mail", None, None), ("page", "available", 500.0), ("page", "out_of_stock", 4000.0)
        )
        rows += visit(who, 2, ("mail", None, None))
        rows += visit(
            who, 4, ("page", "available", 3000.0), ("bot", None, None), ("hotline", "unresolved", None)
        )
        rows += visit(who, 6, ("shelf", None, None), ("advice", "solved", None), ("till", None, None))
        rows += visit(who, 8, ("cart", None, None), ("hotline", "solved", None))
        rows += visit(who, 10, ("shelf", None, None), ("till", None, None))
    return pd.DataFrame(rows).assign(event_id=lambda one: [f"e{i}" for i in range(len(one))])


def surveys(**more: object) -> pd.DataFrame:
    rows = [(f"c{i}", "page", "ease", 1.0 + i % 5) for i in range(40)]
    rows += [(f"c{i}", "hotline", "clear_words", 4.0) for i in range(30)]
    frame = pd.DataFrame(rows, columns=["customer_id", "touchpoint", "question", "score"])
    frame = frame.assign(response_id=[f"r{i}" for i in range(len(frame))], ts="2025-03-20")
    return frame.assign(scale_min=1.0, scale_max=5.0, **more)


@pytest.fixture(scope="module")
def study() -> cx.study.Study:
    return cx.open_study({"touchpoints": log(), "catalog": CATALOG, "surveys": surveys()})


@pytest.fixture(scope="module")
def cells(study) -> dict:
    return scorecard(study).table().set_index(["dimension", "stage", "witness"]).to_dict("index")


def behaved(cells: dict, dimension: str, stage: str) -> tuple[float, int]:
    cell = cells[dimension, stage, BEHAVIOUR]
    return cell["estimate"], cell["n"] // 40


def test_a_page_is_easy_if_it_loads_within_three_seconds(cells):
    assert behaved(cells, "ease", "engagement") == (pytest.approx(2 / 3), 3)


def test_goods_are_available_where_they_could_have_been_out_of_stock(cells):
    assert behaved(cells, "availability", "engagement") == (pytest.approx(2 / 3), 3)
    assert ("availability", "retention", BEHAVIOUR) not in cells  # that outcome does not occur there


def test_self_service_is_a_visit_begun_in_it_without_staff_and_paying_needs_none(cells):
    # Days 0 and 10 alone, day 4 ends on the telephone, day 6 takes advice.
    assert behaved(cells, "self_service", "engagement") == (pytest.approx(2 / 4), 4)
    assert behaved(cells, "self_service", "transaction") == (0.0, 1)


def test_communication_is_staff_who_do_not_fail(cells):
    assert behaved(cells, "communication", "retention") == (pytest.approx(1 / 2), 2)
    assert behaved(cells, "communication", "engagement") == (1.0, 1)


def test_information_is_a_step_after_which_nobody_turns_to_chat_or_another_channel_s_staff(cells):
    # Five steps: the page of day 4 is followed by chat; advice in the shop one stands in does not count.
    assert behaved(cells, "information", "engagement") == (pytest.approx(4 / 5), 5)
    assert behaved(cells, "information", "transaction") == (0.0, 1)


def test_personalisation_is_a_contact_by_the_brand_that_the_customer_goes_on_from(cells):
    assert behaved(cells, "personalisation", "awareness") == (pytest.approx(1 / 2), 2)


def test_asked_is_the_mean_place_on_the_scale_at_the_touchpoint_s_stage(cells):
    cell = cells["ease", "engagement", ASKED]
    assert (cell["estimate"], cell["n"], cell["customers"]) == (pytest.approx(0.5), 40, 40)


def test_other_questions_can_be_named_for_a_dimension(study):
    table = scorecard(study, items={"communication": ["clear_words"]}).table()
    row = table[(table["witness"] == ASKED) & (table["dimension"] == "communication")].iloc[0]
    assert (row["stage"], row["estimate"], row["n"]) == ("retention", pytest.approx(0.75), 30)


def test_survey_weights_count(study):
    weighted = surveys(weight=lambda one: np.where(one["score"] == 5, 3.0, 1.0))
    found = scorecard(
        cx.open_study({"catalog": CATALOG, "surveys": weighted}), items={"ease": ["ease"]}
    ).table()
    assert found["estimate"].iloc[0] == pytest.approx((0.25 + 0.5 + 0.75 + 3) / 7)


def test_what_was_said_stands_beside_and_contradictions_are_marked(study):
    said = pd.DataFrame(
        {"person": [f"c{i}" for i in range(40)], "stage": "retention", "dimension": "information"}
    )
    good = said.assign(good=[int(i % 20 == 0) for i in range(40)])
    also = said.assign(dimension="communication", good=1)
    table = scorecard(study, pd.concat([good, also]), items={"information": ["clear_words"]}).table()
    here = table.query("dimension == 'information' and stage == 'retention'").set_index("witness")
    assert here.loc[SAID, "estimate"] == pytest.approx(0.05)
    assert here["reads"].to_dict() == {ASKED: "between", SAID: "poor"}
    assert not here["disagree"].any()
    both = table.query("dimension == 'communication' and stage == 'retention'").set_index("witness")
    assert both["reads"].to_dict() == {BEHAVIOUR: "poor", SAID: "good"}
    assert both["disagree"].all()


def test_themes_may_name_the_dimension_and_the_mood_in_one(study):
    said = pd.DataFrame({"person": [f"c{i}" for i in range(60)], "stage": "engagement"})
    said["theme"] = ["ease: negative", "ease: positive", "ease: neutral", "price: negative"] * 15
    found = scorecard(study, said)
    here = found.table().query("witness == 'said'")
    assert here[["dimension", "n", "estimate"]].to_numpy().tolist() == [["ease", 30, 0.5]]
    assert found.neither == 15
    assert found.claim().endswith("15 mentions that are neither positive nor negative do not count.")


def test_one_witness_is_not_said_to_agree():
    claim = scorecard(cx.open_study({"touchpoints": log(), "catalog": CATALOG})).claim()
    assert claim.endswith(
        "has one witness only, so none can contradict another: there is only what people do."
    )


def test_good_against_poor_is_a_contradiction_and_the_claim_names_it(study):
    said = pd.DataFrame({"person": [f"c{i}" for i in range(40)], "stage": "engagement", "good": 0})
    found = scorecard(study, said.assign(dimension="communication"))
    here = found.table().query("dimension == 'communication' and stage == 'engagement'")
    assert here["disagree"].all()
    assert "communication in engagement: said 0.0" in found.claim().replace("\u00a0", " ")


def test_rules_without_their_columns_are_left_out():
    bare = log()[["event_id", "customer_id", "ts", "touchpoint"]]
    found = scorecard(cx.open_study({"touchpoints": bare, "catalog": CATALOG.drop(columns="mode")})).table()
    assert found.empty  # nothing says who began a contact, who did the work, or how it went
    with pytest.raises(MissingTable):
        scorecard(cx.open_study({"catalog": CATALOG}))


def test_failures_can_be_named_otherwise(study):
    found = scorecard(study, failures=["solved"]).table()
    row = found.query("dimension == 'communication' and stage == 'engagement'").iloc[0]
    assert row["estimate"] == 0.0


@pytest.mark.parametrize(
    ("arguments", "error", "says"),
    [
        ({"items": {"speed": ["ease"]}}, CxLookupError, "no dimension `speed`"),
        (
            {
                "themes": pd.DataFrame(
                    {"person": ["a"], "stage": ["engagement"], "dimension": ["ease"], "good": [2]}
                )
            },
            CxValueError,
            "`good` must be 1",
        ),
        (
            {
                "themes": pd.DataFrame(
                    {"person": ["a"], "stage": ["engagement"], "dimension": ["pace"], "good": [1]}
                )
            },
            CxLookupError,
            "no dimension `pace`",
        ),
    ],
)
def test_what_is_no_dimension_is_refused(study, arguments, error, says):
    with pytest.raises(error, match=says):
        scorecard(study, **arguments)


def test_cells_of_few_customers_are_not_shown(study, monkeypatch):
    assert "ease" in scorecard(study)._repr_mimebundle_()["text/plain"]
    monkeypatch.setenv("CXLIB_MINIMUM", "41")
    assert scorecard(study).claim() == TOO_FEW


def test_on_the_demo_the_shares_are_those_of_plain_pandas():
    demo = cx.open_study("demo")
    table = scorecard(demo).table().set_index(["dimension", "stage", "witness"])
    answers = demo.fetch(demo.table("surveys")).query("question == 'ease' and stage == 'retention'")
    assert table.loc[("ease", "retention", ASKED), "estimate"] == pytest.approx(
        (answers["score"].mean() - 1) / 4
    )
    events = demo.fetch(demo.table("touchpoints").select("touchpoint", "load_ms", "outcome"))
    engaged = events[
        events["touchpoint"].isin(["web_category_page", "web_product_page", "app_home", "app_product_page"])
    ]
    loads = engaged["load_ms"].dropna()
    assert table.loc[("ease", "engagement", BEHAVIOUR), "estimate"] == pytest.approx((loads <= 3000).mean())
    calls = events[events["touchpoint"] == "call_support"]["outcome"].dropna()
    assert table.loc[("communication", "retention", BEHAVIOUR), "estimate"] == pytest.approx(
        (calls == "solved").mean()
    )


def test_a_study_whose_surveys_ask_other_things_has_an_empty_scorecard():
    other = surveys().assign(question="nps", scale_min=0.0, scale_max=10.0)
    found = scorecard(cx.open_study({"surveys": other}))
    assert found.table().empty
    assert found.claim() == TOO_FEW
