"""Scores with intervals: published figures, bad input, and what must hold on any study."""

from __future__ import annotations

import os

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import gammaln, xlogy
from scipy.stats import binom, chi2_contingency, fisher_exact
from statsmodels.stats.proportion import proportion_confint

import cxlib as cx
from cxlib import stats
from cxlib.errors import CxLookupError, CxValueError, MissingTable
from cxlib.results import TOO_FEW
from cxlib.voice import csat, nps, responders, scores
from cxlib.voice.responders import _differs


def answers(customers: int = 120, seed: int = 0) -> pd.DataFrame:
    """Answers of customers with moods of their own, at three touchpoints, one of them bad."""
    rng = np.random.default_rng(seed)
    who = np.repeat(np.arange(customers), rng.integers(1, 6, customers))
    mood = rng.normal(0, 1.5, customers)[who]
    place = rng.choice(["chat", "store", "web"], len(who))
    score = np.clip(np.round(8 + mood + np.where(place == "chat", -3, 0) + rng.normal(0, 1, len(who))), 0, 10)
    return pd.DataFrame(
        {
            "response_id": [f"r{i}" for i in range(len(who))],
            "customer_id": [f"c{i}" for i in who],
            "ts": pd.Timestamp("2026-01-01") + pd.to_timedelta(np.arange(len(who)), unit="h"),
            "touchpoint": place,
            "question": "nps",
            "score": score,
            "scale_min": 0.0,
            "scale_max": 10.0,
        }
    )


# --- nps and csat ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("year", "unweighted", "weighted", "n"), [(2017, 39.8, 40.4, 2746), (2018, 31.0, 35.1, 2650)]
)
def test_nps_of_the_san_francisco_airport_survey_is_the_published_one(mirror, year, unweighted, weighted, n):
    survey = pd.read_csv(mirror / "sfo_survey" / f"{year}_SFO_Customer_Survey.csv", low_memory=False)
    survey.columns = survey.columns.str.strip()
    answer = pd.to_numeric(survey["NETPRO"], errors="coerce").mask(lambda x: x == 11)  # 11 is blank
    plain, heavy = nps(answer), nps(answer, weights=survey["WEIGHT"])
    assert (plain.n, heavy.n) == (n, n)
    assert round(plain.estimate, 1) == unweighted
    assert round(heavy.estimate, 1) == weighted
    assert heavy.high - heavy.low > plain.high - plain.low  # unequal weights cost precision


def test_the_code_for_blank_is_refused_by_name_and_count(mirror):
    survey = pd.read_csv(mirror / "sfo_survey" / "2018_SFO_Customer_Survey.csv", low_memory=False)
    survey.columns = survey.columns.str.strip()
    with pytest.raises(CxValueError, match=r"159 scores are outside 0 to 10: 11 \(159 times\)"):
        nps(survey["NETPRO"])


def test_nps_of_324_answers_has_the_textbook_width():
    # p = 1/2, d = 1/6: standard error 4.14 points; adding three answers changes little at n = 324
    result = nps([10] * 162 + [7] * 108 + [0] * 54)
    assert result.estimate == pytest.approx(100 / 3)
    assert (result.promoters, result.detractors) == pytest.approx((1 / 2, 1 / 6))
    assert (result.high - result.low) / 2 == pytest.approx(1.96 * 4.14, rel=0.01)


@given(st.lists(st.integers(0, 10), min_size=1, max_size=80))
@settings(deadline=None)
def test_nps_lies_inside_its_interval_and_its_scale(given_scores):
    result = nps(given_scores)
    assert -100 <= result.low <= result.estimate + 1e-9
    assert result.estimate - 1e-9 <= result.high <= 100
    assert result.low < result.high


@given(st.lists(st.integers(0, 10), min_size=4, max_size=60), st.randoms(use_true_random=False))
@settings(deadline=None, max_examples=40)
def test_order_of_answers_and_names_of_customers_do_not_matter(given_scores, random):
    who = [f"c{i // 2}" for i in range(len(given_scores))]
    order = list(range(len(who)))
    random.shuffle(order)
    renamed = [f"x{hash(who[i])}" for i in order]
    first = nps(given_scores, clusters=who)
    second = nps([given_scores[i] for i in order], clusters=renamed)
    assert second.table().to_numpy(float) == pytest.approx(first.table().to_numpy(float), nan_ok=True)


def test_equal_weights_change_nothing_and_their_scale_neither():
    x = [10, 9, 8, 3, 9, 7, 2, 10]
    plain = nps(x)
    for weights in (np.ones(8), np.full(8, 250.0)):
        assert nps(x, weights=weights).table().to_numpy(float) == pytest.approx(plain.table().to_numpy(float))


def test_customers_who_answer_alike_widen_the_interval():
    x, who = np.repeat([10, 10, 8, 3, 9, 7, 2, 10] * 5, 4), np.repeat(np.arange(40), 4)
    apart, together = nps(x), nps(x, clusters=who)
    assert together.customers == 40
    assert together.high - together.low > 1.8 * (apart.high - apart.low)


def test_unanswered_is_counted_not_scored():
    result = nps([10, np.nan, None, 0])
    assert (result.n, result.missing, result.estimate) == (2, 2, 0.0)


def test_nullable_columns_are_read_like_any_other():
    given = pd.Series([10, None, 0, 9], dtype="Int64")
    assert (nps(given).n, nps(given).missing) == (3, 1)


def test_nothing_answered_gives_no_number_and_says_so():
    result = nps([np.nan])
    assert result.n == 0
    assert np.isnan([result.estimate, result.low, result.high]).all()
    assert result.claim() == csat([None], 1, 5).claim() == TOO_FEW


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"scores": [5, 12, -1, 12]}, r"3 scores are outside 0 to 10: -1 \(1 times\), 12 \(2 times\)"),
        ({"scores": [5, "good"]}, "1 scores are not numbers"),
        ({"scores": [5, 6], "weights": [1]}, "2 scores but 1 weights"),
        ({"scores": [5, 6], "weights": [1, -1]}, "not negative"),
        ({"scores": [5, 6], "clusters": ["a"]}, "2 scores but 1 clusters"),
        ({"scores": [float("inf")]}, "outside 0 to 10: inf"),
    ],
)
def test_bad_answers_are_refused_with_the_values_named(kwargs, message):
    with pytest.raises(CxValueError, match=message):
        nps(**kwargs)


def test_csat_counts_the_top_two_boxes_with_wilsons_interval():
    result = csat([5, 5, 4, 3, 2, 1, None], 1, 5)
    low, high = proportion_confint(3, 6, method="wilson")
    assert (result.estimate, result.low, result.high) == pytest.approx((0.5, low, high))
    assert csat([7, 6, 5], 1, 7).estimate == pytest.approx(2 / 3)


# --- what the intervals cover, exactly -----------------------------------------------------------


def covered(n: int, grid: list[tuple[float, float]]) -> np.ndarray:
    """The probability that Tango's interval of n answers holds p - d: a sum over all outcomes, no draws."""
    up, down = (side.ravel().astype(float) for side in np.mgrid[: n + 1, : n + 1])
    up, down = up[up + down <= n], down[up + down <= n]
    rest = n - up - down
    ways = gammaln(n + 1) - gammaln(up + 1) - gammaln(down + 1) - gammaln(rest + 1)
    one = stats.tango(up / n, down / n, n)
    return np.array(
        [
            np.exp(ways + xlogy(up, p) + xlogy(down, d) + xlogy(rest, max(1 - p - d, 0)))[
                (one.low <= p - d + 1e-9) & (p - d - 1e-9 <= one.high)
            ].sum()
            for p, d in grid
        ]
    )


@pytest.mark.parametrize(("n", "step", "least"), [(30, 0.01, 0.13), (100, 0.01, 0.04), (400, 0.05, 0.05)])
def test_nps_covers_92_to_98_percent_at_every_pair_of_shares_of_the_grid(n, step, least):
    # of p >= d, as the other half is its mirror; nobody is told by p = 1, where all answers agree
    shares = np.round(np.arange(0, 1 + step / 2, step), 3)
    grid = [(p, d) for p in shares for d in shares if p < 1 and d <= p and least <= p + d + 1e-9 <= 1 + 1e-8]
    exact = covered(n, grid)
    assert len(grid) > 100
    assert exact.min() > 0.92
    assert exact.max() < 0.98


def test_nps_of_few_opinions_covers_more_than_it_says():
    exact = covered(30, [(0.05, 0.0), (0.02, 0.02), (0.09, 0.02)])
    assert exact.min() > 0.98


@pytest.mark.parametrize("n", [30, 100, 400])
def test_csat_covers_92_to_98_percent_at_every_percent(n):
    x = np.arange(n + 1)
    one = stats.wilson(x, n)
    for p in np.arange(1, 100) / 100:
        share = binom.pmf(x, n, p)[(one.low <= p) & (p <= one.high)].sum()
        assert 0.92 < share < 0.98


def test_the_interval_of_paired_proportions_is_the_published_one():
    # complete response before and after treatment (Cavo et al. 2012): 6 and 16 of 161 pairs differ; Tango's
    # interval as printed for Fagerland, Lydersen and Laake 2017 (R package contingencytables, its tests)
    one = stats.tango(6 / 161, 16 / 161, 161)
    assert (round(float(one.estimate), 4), round(float(one.low), 4), round(float(one.high), 4)) == (
        -0.0621,
        -0.1240,
        -0.0054,
    )


@given(st.integers(1, 500), st.floats(0, 1), st.floats(0, 1), st.floats(0.5, 1e4))
@settings(deadline=None)
def test_the_interval_of_a_net_share_mirrors_holds_its_estimate_and_narrows(n, p, part, df):
    d = (1 - p) * part
    one, back, more = (
        stats.tango(p, d, n, df=df),
        stats.tango(d, p, n, df=df),
        stats.tango(p, d, 4 * n, df=df),
    )
    assert -1 <= one.low <= one.estimate + 1e-9
    assert one.estimate - 1e-9 <= one.high <= 1
    assert (one.low, one.high) == pytest.approx((-back.high, -back.low), abs=1e-9)
    assert more.high - more.low <= one.high - one.low + 1e-9


def test_a_net_share_of_nothing_is_unknown():
    assert np.isnan([*stats.tango([0.5, np.nan], [0.2, np.nan], [0, 0])[1:3]]).all()
    assert np.isnan(stats.tango(1, 0, 5, df=0)[1:3]).all()


# --- on a study --------------------------------------------------------------------------------


def test_scores_by_touchpoint_are_those_of_nps_on_each_part():
    frame = answers()
    table = scores(cx.open_study({"surveys": frame})).table()
    assert table["touchpoint"].tolist() == ["(all)", "chat", "store", "web"]
    for row in table.to_dict("records"):
        part = frame if row["touchpoint"] == "(all)" else frame[frame["touchpoint"] == row["touchpoint"]]
        expected = nps(part["score"], clusters=part["customer_id"])
        got = [row[name] for name in ("estimate", "low", "high", "n", "customers")]
        assert got == pytest.approx(
            [expected.estimate, expected.low, expected.high, expected.n, expected.customers]
        )


def test_scores_use_the_weights_of_the_table():
    frame = answers().assign(weight=lambda f: np.where(f["touchpoint"] == "chat", 3.0, 0.5))
    row = scores(cx.open_study({"surveys": frame}), by=None).table().iloc[0]
    expected = nps(frame["score"], weights=frame["weight"], clusters=frame["customer_id"])
    assert [row["estimate"], row["low"], row["high"]] == pytest.approx(
        [expected.estimate, expected.low, expected.high]
    )


def test_scores_of_csat_are_top_two_box_shares_and_of_other_questions_means():
    frame = answers().assign(
        scale_max=5.0, scale_min=1.0, score=lambda f: (f["score"] / 2).clip(1, 5).round()
    )
    for question in ("csat", "ease"):
        study = cx.open_study({"surveys": frame.assign(question=question)})
        table = scores(study, question).table().set_index("touchpoint")
        part = frame[frame["touchpoint"] == "web"]
        expected = (part["score"] >= 4).mean() if question == "csat" else part["score"].mean()
        assert table.loc["web", "estimate"] == pytest.approx(expected)
        assert table.loc["web", "low"] < expected < table.loc["web", "high"]


def test_answers_go_by_month_stage_and_channel_as_by_any_column():
    frame = answers().assign(
        ts=pd.Timestamp("2025-12-30") + pd.to_timedelta(np.arange(len(answers())) % 3, unit="D")
    )
    stages = {"chat": "retention", "store": "transaction", "web": "engagement"}
    catalog = pd.DataFrame(
        {"touchpoint": list(stages), "channel": ["c", "s", "w"], "stage": list(stages.values())}
    )
    frame["stage"] = np.where(frame["touchpoint"] == "web", "awareness", None)
    study = cx.open_study({"surveys": frame, "catalog": catalog})
    own = frame["stage"].fillna(frame["touchpoint"].map(stages))
    by = {
        "month": frame["ts"].dt.strftime("%Y-%m"),
        "stage": own,
        "channel": frame["touchpoint"].map(dict(zip(catalog["touchpoint"], catalog["channel"], strict=True))),
    }
    for name, groups in by.items():
        table = scores(study, by=name).table()
        expected = frame.groupby(groups)["score"].agg(lambda x: 100 * ((x >= 9).mean() - (x <= 6).mean()))
        assert table.set_index(name)["estimate"].iloc[1:].to_dict() == pytest.approx(expected.to_dict())
    assert set(by["month"]) == {"2025-12", "2026-01"}


def test_a_grouping_that_is_not_there_is_named_with_those_that_are():
    with pytest.raises(CxLookupError, match=r"no column `moth`\. Did you mean `month`"):
        scores(cx.open_study({"surveys": answers()}), by="moth")


def test_one_answer_each_has_the_interval_of_independent_answers():
    frame = answers().drop_duplicates("customer_id")
    row = scores(cx.open_study({"surveys": frame}), by=None).table().iloc[0]
    alone = nps(frame["score"])
    assert [row["low"], row["high"]] == pytest.approx([alone.low, alone.high])


def test_the_touchpoint_that_is_worse_is_named_and_no_other():
    result = scores(cx.open_study({"surveys": answers(400)}))
    assert "1 of 3 touchpoints lies below the others" in result.claim()
    assert "lowest chat at" in result.claim()


def test_where_touchpoints_are_alike_none_is_called_worse():
    frame = answers(300, seed=1)
    frame["touchpoint"] = np.random.default_rng(5).choice(["a", "b", "c"], len(frame))
    assert "none of 3 touchpoints lies below" in scores(cx.open_study({"surveys": frame})).claim()


def test_a_few_answers_that_agree_are_not_called_worse():
    frame = pd.concat(
        [answers(200), answers(3, seed=2).assign(touchpoint="rare", score=9.0)], ignore_index=True
    )
    frame["response_id"] = [f"r{i}" for i in range(len(frame))]
    table = scores(cx.open_study({"surveys": frame})).table().set_index("touchpoint")
    assert table.loc["rare", "q"] > 0.05


def test_unanswered_questions_are_counted_by_touchpoint():
    frame = answers()
    frame.loc[frame.index[:10], "score"] = np.nan
    table = scores(cx.open_study({"surveys": frame})).table()
    assert table["missing"].iloc[0] == 10
    assert table["missing"].iloc[1:].sum() == 10
    assert table["n"].iloc[0] == len(frame) - 10


def test_answers_without_a_customer_are_customers_of_their_own():
    frame = answers().assign(customer_id=None)
    row = scores(cx.open_study({"surveys": frame}), by=None).table().iloc[0]
    assert row["customers"] == row["n"] == len(frame)


def test_a_missing_table_column_or_question_is_said():
    study = cx.open_study({"surveys": answers()})
    with pytest.raises(CxLookupError, match=r"Nobody answered `nsp`\. Did you mean `nps`"):
        scores(study, "nsp")
    with pytest.raises(CxLookupError, match=r"surveys has no column `touchpint`\. Did you mean `touchpoint`"):
        scores(study, by="touchpint")
    with pytest.raises(MissingTable, match="responders needs the table `touchpoints`"):
        responders(study)


# --- who answered ------------------------------------------------------------------------------


def contacts(customers: int = 400) -> dict[str, pd.DataFrame]:
    """Gold customers answer more often; regions don't differ."""
    rng = np.random.default_rng(3)
    ids = np.array([f"c{i}" for i in range(customers)])
    tier = rng.choice(["basic", "gold"], customers)
    events = rng.integers(1, 40, customers)
    spoke = rng.random(customers) < np.where(tier == "gold", 0.6, 0.3)
    who = np.repeat(ids, events)
    touchpoints = pd.DataFrame({"event_id": np.arange(len(who)), "customer_id": who, "touchpoint": "web"})
    touchpoints = touchpoints.assign(channel="web", stage="engagement")
    touchpoints["ts"] = pd.Timestamp("2026-01-01") + pd.to_timedelta(np.arange(len(who)), unit="min")
    surveys = answers(customers).drop_duplicates("customer_id")
    surveys = surveys[surveys["customer_id"].isin(ids[spoke])]
    people = pd.DataFrame(
        {"customer_id": ids, "loyalty_tier": tier, "region": rng.choice(["n", "s"], customers)}
    )
    return {"touchpoints": touchpoints, "surveys": surveys, "customers": people}


def test_who_answered_is_counted_by_attribute_with_intervals():
    frames = contacts()
    result = responders(cx.open_study(frames))
    table = result.table()
    people = frames["customers"].assign(
        spoke=lambda f: f["customer_id"].isin(frames["surveys"]["customer_id"])
    )
    assert table["estimate"].iloc[0] == pytest.approx(people["spoke"].mean())
    by_tier = people.groupby("loyalty_tier")["spoke"].agg(["sum", "size", "mean"])
    tiers = table[table["attribute"] == "loyalty_tier"].set_index("value")
    assert tiers["estimate"].to_dict() == pytest.approx(by_tier["mean"].to_dict())
    low, high = proportion_confint(by_tier.loc["gold", "sum"], by_tier.loc["gold", "size"], method="wilson")
    assert tuple(tiers.loc["gold", ["low", "high"]]) == pytest.approx((low, high))
    assert table.groupby("attribute")["n"].sum().eq(400).all()
    assert "differs by loyalty tier" in result.claim()
    assert "region" not in result.claim()


def test_the_test_of_response_is_chi_squared_adjusted_for_the_number_of_attributes():
    frames = contacts()
    table = responders(cx.open_study(frames)).table().drop_duplicates("attribute").set_index("attribute")
    people = frames["customers"].assign(
        spoke=lambda f: f["customer_id"].isin(frames["surveys"]["customer_id"])
    )
    p = chi2_contingency(pd.crosstab(people["spoke"], people["loyalty_tier"]), correction=False).pvalue
    assert table.loc["loyalty_tier", "q"] == pytest.approx(3 * p)  # the smallest of three


def test_silent_customers_without_any_contact_are_not_in_the_count():
    frames = contacts()
    extra = pd.DataFrame({"customer_id": ["never"], "loyalty_tier": ["gold"], "region": ["n"]})
    frames["customers"] = pd.concat([frames["customers"], extra], ignore_index=True)
    assert responders(cx.open_study(frames)).table()["n"].iloc[0] == 400


def test_response_by_a_rare_value_is_tested_by_simulation_and_agrees_with_fishers_test():
    x, n = np.array([3.0, 60.0]), np.array([4.0, 400.0])
    exact = fisher_exact([[3, 1], [60, 340]]).pvalue
    assert _differs(x, n) == pytest.approx(exact, abs=0.004)
    assert _differs(x, n) == _differs(x, n)


def test_a_difference_that_leaves_almost_nobody_silent_is_found():
    # nearly all answer, so that the silent are expected to be under five among the regulars
    assert _differs(np.array([9_990.0, 13.0]), np.array([9_991.0, 19.0])) < 0.001


def test_attributes_that_could_not_be_tested_are_not_called_equal():
    frames = contacts()
    frames["customers"]["age_band"] = "18 to 24"
    result = responders(cx.open_study(frames))
    table = result.table()
    assert table.loc[table["attribute"] == "age_band", "q"].isna().all()
    assert "age band" not in result.claim()
    everybody = frames["customers"].assign(region="n", loyalty_tier="x", age_band="y")
    one = {
        **frames,
        "customers": everybody,
        "touchpoints": frames["touchpoints"].drop_duplicates("customer_id"),
    }
    one["touchpoints"] = one["touchpoints"].reset_index(drop=True)
    assert "by chance" not in responders(cx.open_study(one)).claim()


def test_chance_alone_is_called_a_difference_by_rare_values_at_most_as_often_as_promised():
    rng = np.random.default_rng(int(os.environ.get("CXLIB_SEED", "0")))
    n = np.array([3, 4, 6, 30, 60])
    found = [_differs(rng.binomial(n, 0.2).astype(float), n.astype(float)) < 0.05 for _ in range(200)]
    assert sum(found) <= binom.ppf(0.999, 200, 0.05)
