"""The silent: bounds that hold the truth where it can be known, and weights that do not pretend to."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from proofs_scores import silent_world

import cxlib as cx
from cxlib.errors import CxLookupError, MissingTable
from cxlib.results import TOO_FEW
from cxlib.voice import plots, scores, silent
from cxlib.world import simulate


@pytest.fixture(scope="module")
def demo():
    return cx.open_study("demo")


@pytest.fixture(scope="module")
def found(demo):
    """What it says of the demo."""
    return silent(demo)


@pytest.fixture(scope="module")
def mar():
    """Missing at random: the study and the truth."""
    tables, truth = silent_world(0)
    return cx.open_study(tables), truth


def test_the_first_view_is_the_score_itself(demo, found):
    first = found.table().iloc[0]
    plain = scores(demo, by=None).table().iloc[0]
    for name in ("estimate", "low", "high", "n", "customers"):
        assert first[name] == pytest.approx(plain[name])


def test_views_widen_in_order_and_end_with_everything_that_can_be(found):
    table = found.table()
    tilted = table.dropna(subset="pleased").sort_values("pleased", ascending=False)
    assert tilted["estimate"].is_monotonic_increasing  # the likelier the pleased, the worse the rest
    assert (table["least"] <= table["most"] + 1e-9).all()
    assert (table["low"] <= table["least"] + 1e-9).all()
    assert (table["most"] <= table["high"] + 1e-9).all()
    last = table.iloc[-1]
    assert last["least"] <= table["least"].min()
    assert last["most"] >= table["most"].max()
    assert np.isnan(last["estimate"])


def test_the_widest_bounds_are_manskis():
    # of 100 in contact 40 answered, 20 promoters and 10 detractors: 10/40 net; 60 may be either
    ids = [f"c{i}" for i in range(100)]
    touch = pd.DataFrame({"event_id": range(150), "customer_id": ids + ids[:50], "touchpoint": "web"})
    touch = touch.assign(channel="web", stage="engagement", ts=pd.Timestamp("2026-01-01"))
    surveys = pd.DataFrame(
        {"response_id": ids[:40], "customer_id": ids[:40], "ts": pd.Timestamp("2026-01-01")}
    )
    surveys = surveys.assign(
        question="nps", score=[10.0] * 20 + [8.0] * 10 + [0.0] * 10, scale_min=0.0, scale_max=10.0
    )
    tiers = pd.DataFrame({"customer_id": ids, "loyalty_tier": ["a", "b"] * 50})
    opened = cx.open_study({"touchpoints": touch, "surveys": surveys, "customers": tiers})
    result = silent(opened)
    last = result.table().iloc[-1]
    assert (last["least"], last["most"]) == pytest.approx((10 - 60, 10 + 60))
    assert (result.answered, result.contacted) == (0.4, 100)


def test_where_the_pleased_answer_more_the_rest_follows_in_closed_form(mar):
    result = silent(mar[0], pleased=(2,))
    w = result.raked.weights
    up, down = 0.0, 0.0
    answers = mar[0].fetch(mar[0].table("surveys").order_by("customer_id"))
    score = answers["score"].to_numpy()
    up, down = w[score >= 9].sum() / w.sum(), w[score <= 6].sum() / w.sum()
    row = result.table().query("pleased == 2").iloc[0]
    ends = [100 * (up / 2 - down) / (up / 2 + (1 - up - down) / h + down) for h in (1, 2)]
    assert (row["least"], row["most"]) == pytest.approx((min(ends), max(ends)))


def test_missing_at_random_is_put_right_by_weights(mar):
    study, truth = mar
    table = silent(study).table().set_index("view")
    assert (
        table.loc["weighted to all in contact", "low"]
        < truth
        < table.loc["weighted to all in contact", "high"]
    )
    assert table.loc["each customer once", "estimate"] > truth + 5


def test_the_planted_truth_lies_in_the_bounds_and_the_weights_do_not_reach_it(base_seed):
    # everybody who is asked answers in one world, and by the planted odds in the other
    told, partly = (simulate(3000, base_seed, faults=False, respond=how) for how in ("all", "model"))
    whole = told.tables["surveys"].query("question == 'nps'")
    truth = (
        whole.groupby("customer_id")["score"].agg(lambda x: 100 * ((x >= 9).mean() - (x <= 6).mean())).mean()
    )
    answered = partly.tables["surveys"].query("question == 'nps'")
    rates = [len(answered.query(which)) / len(whole.query(which)) for which in ("score >= 9", "score <= 6")]
    result = silent(
        cx.open_study(partly.tables), among=whole["customer_id"].unique(), pleased=(rates[0] / rates[1],)
    )
    table = result.table()
    planted, weighted, last = table.iloc[3], table.iloc[2], table.iloc[-1]
    assert rates[0] > 1.4 * rates[1]
    assert planted["low"] <= truth <= planted["high"]
    assert weighted["low"] > truth
    assert last["least"] < truth < last["most"]
    assert "No weight can tell which" in result.claim()


def test_a_share_and_a_mean_have_views_of_their_own_unit(demo):
    share, mean = silent(demo, "csat"), silent(demo, "ces")
    assert share.table()[["low", "high"]].stack().between(0, 1).all()
    assert mean.table()[["low", "high"]].stack().between(1, 7).all()
    assert share.in_percent
    assert not mean.in_percent


def test_so_much_more_answering_than_there_are_customers_is_left_out(mar):
    study, _ = mar
    few = study.fetch(study.table("surveys"))["customer_id"].unique()
    extra = study.fetch(study.table("customers"))["customer_id"].iloc[:20]
    views = silent(study, among=[*few, *extra], pleased=(3,)).table()["view"]
    assert not views.str.contains("3 times").any()


def test_pictures_and_sentences_are_made_of_enough_customers_only(found, monkeypatch):
    assert "whatever the silent feel between" in plots.silent_dots(found).alt
    assert plots.silent_dots(found).png == plots.silent_dots(found).png
    monkeypatch.setenv("CXLIB_MINIMUM", "100000")
    assert found.claim() == TOO_FEW
    assert "too few" in plots.silent_dots(found).alt


def test_what_is_lacking_is_said(demo, mar):
    with pytest.raises(CxLookupError, match="Nobody answered `npss`"):
        silent(demo, "npss")
    with pytest.raises(CxLookupError, match="None of the customers in `among`"):
        silent(mar[0], among=["nobody"])
    tables = {name: mar[0].fetch(mar[0].table(name)) for name in ("surveys", "touchpoints")}
    with pytest.raises(MissingTable, match="silent needs the table `touchpoints`"):
        silent(cx.open_study({"surveys": tables["surveys"].dropna(axis=1)}))


def test_customers_who_are_alike_count_once_each(mar):
    tables = {name: mar[0].fetch(mar[0].table(name)).dropna(axis=1) for name in ("surveys", "touchpoints")}
    tables["touchpoints"] = tables["touchpoints"].drop_duplicates("customer_id").reset_index(drop=True)
    found = silent(cx.open_study(tables)).table().set_index("view")["estimate"]
    assert found["weighted to all in contact"] == pytest.approx(found["each customer once"])


def test_a_few_known_customers_among_many_answers_are_not_spoken_of(mar):
    tables = {name: mar[0].fetch(mar[0].table(name)).dropna(axis=1) for name in ("surveys", "touchpoints")}
    surveys = tables["surveys"]
    few = surveys["customer_id"].drop_duplicates().head(5)
    tables["surveys"] = surveys.assign(
        customer_id=surveys["customer_id"].where(surveys["customer_id"].isin(few))
    )
    found = silent(cx.open_study(tables))
    assert len(found.visible()) == 1
    assert found.claim() == TOO_FEW
    assert "too few" in plots.silent_dots(found).alt


def test_answers_of_nobody_known_are_said_to_be(mar):
    tables = {name: mar[0].fetch(mar[0].table(name)).dropna(axis=1) for name in ("surveys", "touchpoints")}
    tables["surveys"] = tables["surveys"].drop(columns="customer_id")
    found = silent(cx.open_study(tables))
    assert found.table().empty
    assert "whom the answers speak for cannot be said" in found.claim()
    assert "Nothing to show" in found._repr_mimebundle_()["text/html"]
    assert plots.silent_dots(found).alt


def test_weights_can_go_by_any_column_of_customers_and_by_none_that_is_not_there(mar):
    study, _ = mar
    tables = {
        name: study.fetch(study.table(name)).dropna(axis=1)
        for name in ("surveys", "touchpoints", "customers")
    }
    tables["customers"] = tables["customers"].assign(visits=lambda f: f.index % 3)
    own = silent(cx.open_study(tables), by=["visits"])
    assert set(own.raked.table()["column"]) == {"visits", "activity"}
    with pytest.raises(CxLookupError, match="no column `visit`"):
        silent(study, by=["visit"])
