"""Experiments of a study: who counts in which arm, what is counted of them, and when nothing may be read."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import cxlib as cx
from cxlib import stats
from cxlib.errors import CxLookupError, CxValueError, MissingTable
from cxlib.experiments import analyze, trials
from cxlib.experiments.analysis import BROKEN, of_frame
from cxlib.experiments.outcomes import outcomes
from tests import harness
from tests.experiments.made import DAY, SEED, START, shop

SECOND = pd.Timedelta("1s")


def tiny() -> dict[str, pd.DataFrame]:
    """Four customers of a trial: a buys at every edge of the windows, b was told of by a cookie, c did
    nothing, d met both variants."""
    exposed = START + pd.Timedelta("10h")
    orders = [("a", exposed - 90 * DAY - SECOND, 1), ("a", exposed - 90 * DAY, 2), ("a", exposed - SECOND, 4)]
    orders += [
        ("a", exposed, 8),
        ("a", exposed + 60 * DAY - SECOND, 16),
        ("a", exposed + 60 * DAY, 32),
        ("d", exposed + DAY, 64),
    ]
    events = [
        ("b", "x", exposed + DAY, "web_page", "customer", "s1"),
        (None, "x", exposed + DAY + SECOND, "web_cart", "customer", "s1"),
    ]
    events += [
        ("b", "x", exposed + 3 * DAY, "email_offer", "brand", "s2"),
        ("b", "x", exposed - DAY, "web_page", "customer", "s0"),
    ]
    events += [("z", None, exposed + 70 * DAY, "web_page", "customer", "s9")]
    met = [("a", "new", 0), ("b", "control", 0), ("c", "new", 0), ("d", "control", 0), ("d", "new", 2)]
    answers = [
        ("r1", "b", exposed + DAY, 8.0),
        ("r2", "b", exposed + 2 * DAY, 4.0),
        ("r3", "d", exposed + DAY, None),
    ]
    stage = {"web_page": "engagement", "web_cart": "transaction", "email_offer": "retention"}
    return {
        "orders": pd.DataFrame(orders, columns=["customer_id", "ts", "revenue"]).assign(
            order_id=lambda f: range(len(f)), margin=lambda f: 10 * f["revenue"], currency="EUR"),
        "touchpoints": pd.DataFrame(events, columns=["customer_id", "anonymous_id", "ts", "touchpoint", "initiated_by", "session_id"]
            ).assign(event_id=lambda f: range(len(f)), stage=lambda f: f["touchpoint"].map(stage), channel="web"),
        "exposures": pd.DataFrame(met, columns=["customer_id", "variant", "day"]).assign(
            experiment="trial", ts=lambda f: exposed + f.pop("day") * DAY),
        "surveys": pd.DataFrame(answers, columns=["response_id", "customer_id", "ts", "score"]).assign(
            question="nps", scale_min=0.0, scale_max=10.0),
    }  # fmt: skip


def seen(*metrics: str, **more: object) -> pd.DataFrame:
    found = outcomes(cx.open_study(tiny()), "trial", list(metrics), **more)  # type: ignore[arg-type]
    return found.frame.set_index("customer_id")


# --- what is counted ---------------------------------------------------------------------------


def test_a_window_holds_the_exposure_itself_and_not_its_own_end() -> None:
    frame = seen("revenue", "margin", "orders", "bought")
    assert frame["revenue"].to_dict() == {"a": 8 + 16, "b": 0, "c": 0, "d": 64}
    assert frame["margin"].to_dict() == {"a": 240, "b": 0, "c": 0, "d": 640}
    assert frame["orders"].to_dict() == {"a": 2, "b": 0, "c": 0, "d": 1}
    assert frame["bought"].to_dict() == {"a": 1, "b": 0, "c": 0, "d": 1}


def test_the_pre_period_ends_where_the_window_begins() -> None:
    assert seen("revenue")["before revenue"].to_dict() == {"a": 2 + 4, "b": 0, "c": 0, "d": 0}
    assert seen("revenue", pre_period=None).columns.str.startswith("before").sum() == 0


def test_touchpoints_stages_and_visits_are_those_of_the_person_whatever_id_they_came_with() -> None:
    frame = seen("web_page", "web_cart", "transaction", "any email_offer", "visits")
    counted = frame.loc["b", ["web_page", "web_cart", "transaction", "any email_offer", "visits"]]
    assert counted.tolist() == [1, 1, 1, 1, 1]  # the offer is the brand's: no visit
    assert frame.loc["c", ["web_page", "visits"]].tolist() == [0, 0]


def test_a_score_is_the_mean_of_a_customers_answers_and_missing_where_there_is_none() -> None:
    score = seen("nps")["nps"]
    assert score["b"] == 6.0
    assert score[["a", "c", "d"]].isna().all()


def test_the_first_exposure_decides_and_who_met_two_variants_is_counted_or_left_out() -> None:
    study = cx.open_study(tiny())
    first = outcomes(study, "trial", "orders")
    assert first.frame.set_index("customer_id")["variant"].to_dict() == {
        "a": "new", "b": "control", "c": "new", "d": "control",
    }  # fmt: skip
    assert first.notes == ("1 customers who met two variants count in the first one.",)
    dropped = outcomes(study, "trial", "orders", crossovers="drop")
    assert dropped.frame["customer_id"].tolist() == ["a", "b", "c"]
    assert dropped.notes == ("1 customers who met two variants are left out.",)


def test_customers_whose_window_is_not_over_are_left_out_and_counted() -> None:
    tables = shop(1)
    late = tables["exposures"]["customer_id"] < "c00050"
    tables["exposures"].loc[late, "ts"] += 20 * DAY
    result = analyze(cx.open_study(tables), "trial", "orders")
    assert result.table()["n"].tolist() == [550]
    assert "50 customers whose 60 D are not over are left out." in result.claim()
    whole = analyze(cx.open_study(tables), "trial", "orders", window="40 D")
    assert whole.table()["n"].tolist() == [600]


def test_a_study_gives_what_a_plain_frame_of_its_customers_gives() -> None:
    tables = shop(2)
    orders, met = tables["orders"], tables["exposures"].set_index("customer_id")
    after = orders[(orders["ts"] >= START) & (orders["ts"] < START + 60 * DAY)].groupby("customer_id")
    before = orders[orders["ts"] < START].groupby("customer_id")
    frame = pd.DataFrame({"arm": met["variant"], "orders": after.size(), "revenue": after["revenue"].sum(),
                          "earlier": before.size(), "spent": before["revenue"].sum()}).fillna(0)  # fmt: skip
    metrics = ["revenue", "orders", "revenue/orders"]
    theirs = analyze(frame, "arm", metrics, ["earlier", "spent"]).table()
    ours = analyze(cx.open_study(tables), "trial", metrics).table()
    pd.testing.assert_frame_equal(ours, theirs, rtol=1e-9)


# --- which experiments there are ---------------------------------------------------------------


def test_each_experiment_has_a_row_that_says_who_met_what_when() -> None:
    row = trials(cx.open_study(tiny())).table().iloc[0]
    assert row[["experiment", "variants", "customers", "met_two", "assigned_by", "days"]].tolist() == [
        "trial", "control, new", 4, 1, "customer", 70,
    ]  # fmt: skip
    assert row["first"] == row["last"] == START + pd.Timedelta("10h")


def test_doses_are_ordered_as_numbers_and_known_as_doses() -> None:
    tables = shop(3, boost={"0": 1, "2": 1, "10": 1})
    found = trials(cx.open_study(tables))
    assert found.table()["variants"].tolist() == ["0, 2, 10"]
    assert found.doses == ("trial",)


def test_without_a_name_the_sound_experiment_with_most_variants_is_read() -> None:
    two, three = shop(4)["exposures"], shop(5, boost={"control": 1, "b": 1, "c": 1})["exposures"]
    both = pd.concat([two.assign(experiment="two"), three.assign(experiment="three")])
    found = trials(cx.open_study({"exposures": both}))
    assert found.pick() == "three"
    assert (
        found.claim() == "2 experiments on 600 to 600 customers; the arms have the sizes that were planned."
    )


@pytest.mark.parametrize(
    ("asked", "error", "message"),
    [
        ({"experiment": "trail"}, CxLookupError, "No experiment is called `trail`. Did you mean `trial`"),
        ({"metrics": "ordres"}, CxLookupError, "No metric is called `ordres`. Did you mean `orders`"),
        ({"metrics": "any web_pag"}, CxLookupError, "Did you mean `web_page`"),
        ({"window": "90 D"}, CxValueError, "Nobody of `trial` can be observed for 90 D.*at most 61 D"),
        ({"window": "long"}, CxValueError, "window is `long`; write a length of time"),
        ({"pre_period": "-3 D"}, CxValueError, "pre_period is `-3 D`; it must be longer"),
        ({"crossovers": "last"}, CxValueError, "crossovers is `last`"),
    ],
)
def test_what_cannot_be_read_is_said(asked: dict, error: type, message: str) -> None:
    with pytest.raises(error, match=message):
        analyze(cx.open_study(shop(6)), **({"experiment": "trial", "metrics": "orders"} | asked))


def test_a_study_without_exposures_says_what_is_missing() -> None:
    tables = {name: frame for name, frame in shop(7).items() if name != "exposures"}
    with pytest.raises(MissingTable, match="exposures"):
        trials(cx.open_study(tables))


def test_money_in_two_currencies_is_not_added() -> None:
    tables = shop(15)
    tables["orders"].loc[::2, "currency"] = "RON"
    study = cx.open_study(tables)
    with pytest.raises(CxValueError, match="Orders are in EUR, RON, which cannot be added"):
        analyze(study, "trial", "revenue")
    assert len(analyze(study, "trial", "bought").table()) == 1


def test_an_experiment_with_one_variant_compares_nothing() -> None:
    tables = shop(16)
    alone = tables["exposures"].assign(experiment="roll_out", variant="new")
    study = cx.open_study(tables | {"exposures": pd.concat([tables["exposures"], alone])})
    found = trials(study)
    assert "roll out: one variant only, nothing to compare" in found.claim()
    assert found.pick() == "trial"
    with pytest.raises(CxValueError, match="a comparison needs two arms"):
        analyze(study, "roll_out")


# --- how the arms came about -------------------------------------------------------------------


def test_a_broken_assignment_is_found_before_anything_is_read() -> None:
    tables = shop(8, n=8_000)
    bought = tables["orders"].loc[tables["orders"]["ts"] >= START, "customer_id"]
    met = tables["exposures"]
    lazy = (met["variant"] == "new") & ~met["customer_id"].isin(bought)
    tables["exposures"] = met.drop(met[lazy].index)
    study = cx.open_study(tables)
    assert analyze(study, "trial", "orders").verdict == BROKEN
    assert trials(study).sound == ()
    assert "of trial the assignment is broken" in trials(study).claim()


def test_unequal_chances_are_the_plan_where_propensities_say_so() -> None:
    rng = np.random.default_rng(SEED + 9)
    new = rng.random(4_000) < 0.2
    frame = pd.DataFrame({"arm": np.where(new, "new", "control"), "y": rng.normal(0, 1, 4_000)})
    assert analyze(frame, "arm", "y").verdict == BROKEN
    frame["chance"] = np.where(new, 0.2, 0.8)
    check = analyze(frame, "arm", "y", propensity="chance").check
    assert check.passed
    assert check.expected == pytest.approx((0.8, 0.2))


def test_arms_that_are_even_on_the_whole_and_not_within_strata_are_broken() -> None:
    arm = np.r_[np.repeat(["A", "B"], [700, 300]), np.repeat(["A", "B"], [300, 700])]
    frame = pd.DataFrame({"arm": arm, "region": np.repeat(["x", "y"], 1_000), "y": np.arange(2_000.0)})
    assert analyze(frame, "arm", "y").check.passed
    result = analyze(frame, "arm", "y", stratum="region")
    assert result.verdict == BROKEN
    assert "within strata" in result.claim()


def test_chances_that_differ_between_strata_do_not_bias_the_effect() -> None:
    # region y spends 10 more and gets the new arm four times as often: the plain difference is about 6 off
    rng = np.random.default_rng(SEED + 10)
    n, rich = 20_000, rng.random(20_000) < 0.5
    chance = np.where(rich, 0.8, 0.2)
    new = rng.random(n) < chance
    frame = pd.DataFrame({"arm": np.where(new, "new", "control"), "region": np.where(rich, "y", "x")})
    frame["spend"] = 10.0 * rich + 1.0 * new + rng.normal(0, 1, n)
    frame["chance"] = np.where(new, chance, 1 - chance)
    row = analyze(frame, "arm", "spend", propensity="chance", stratum="region").table().iloc[0]
    assert abs(row["estimate"] - 1.0) < 5 * row["se"]
    assert row["se"] < 0.2


def test_clusters_are_what_is_checked_counted_and_asked_for_more_of() -> None:
    study = cx.open_study(shop(11, n=2_000, clusters=40, spread=0.5))
    result = analyze(study, "trial", ["orders", "bought"])
    assert result.check.counts == (20, 20)
    assert result.unit == "clusters"
    assert result.table()["n"].tolist() == [2_000, 2_000]
    assert "40 clusters, not of single customers" in result.claim()
    assert trials(study).table()["assigned_by"].tolist() == ["40 clusters"]


def test_a_clustered_mean_is_the_ratio_of_sums_over_clusters() -> None:
    tables = shop(12, n=900, clusters=30, spread=0.5)
    frame = outcomes(cx.open_study(tables), "trial", "revenue").frame
    row = of_frame(frame, "variant", "revenue", cluster="cluster").table().iloc[0]
    parts = []
    for arm in ("new", "control"):
        by = frame[frame["variant"] == arm].groupby("cluster")["revenue"].agg(["sum", "size"])
        rate = by["sum"].sum() / by["size"].sum()
        residual = by["sum"] - rate * by["size"]
        m = len(by)  # Cochran 1977, equation 6.9 without the finite population correction
        parts.append((rate, (residual**2).sum() / (m - 1) / m / by["size"].mean() ** 2))
    assert row["estimate"] == pytest.approx(parts[0][0] - parts[1][0])
    assert row["se"] == pytest.approx(np.sqrt(parts[0][1] + parts[1][1]))


@pytest.mark.slow
def test_clustered_intervals_keep_their_promise_where_plain_ones_do_not() -> None:
    def draw(cluster: str | None):
        def one(seed: int) -> pd.DataFrame:
            rng = np.random.default_rng(seed)
            area = rng.integers(0, 40, 600)
            arm = (rng.permutation(40) % 2)[area]
            known = rng.normal(0, 1, 600)
            frame = pd.DataFrame({"arm": np.where(arm, "new", "control"), "area": area, "known": known})
            # What is known taken out, the intraclass correlation is .2: 15 in a cluster are worth 4.
            frame["y"] = 2.0 * arm + known + rng.normal(0, 0.5, 40)[area] + rng.normal(0, 1, 600)
            frame["visits"] = 1 + rng.poisson(2, 600)
            frame["spend"] = frame["visits"] * (5.0 + frame["y"])
            asked = {"adjusted": ("y", ["known"])}
            if cluster:
                asked |= {"mean": ("y", None), "ratio": ("spend/visits", None)}
            parts = [
                analyze(frame, "arm", metric, known, cluster=cluster, limit=0).table().assign(result=name)
                for name, (metric, known) in asked.items()
            ]
            table = pd.concat(parts).assign(truth=2.0, expected=50.0)
            return table[["result", "arm", "estimate", "low", "high", "truth", "expected"]]

        return one

    bar = harness.coverage(draw("area"), 100, SEED)
    assert not bar.rejects(0.92, 0.97), bar.table()
    # 1.96 / sqrt(1 + 14 * .2) standard errors hold .685; .9 lies more than three of its own errors above.
    assert harness.coverage(draw(None), 60, SEED).table()["estimate"].iloc[0] < 0.9


@pytest.mark.slow
def test_an_a_a_test_of_a_study_is_wrong_as_often_as_promised() -> None:
    # One shop, whose customers are shared out anew for each of many experiments that change nothing.
    tables, rng = shop(13, n=400), np.random.default_rng(SEED + 13)
    met = tables["exposures"]
    again = [
        met.assign(experiment=f"e{i}", variant=rng.permutation(met["variant"].to_numpy())) for i in range(40)
    ]
    study = cx.open_study(tables | {"exposures": pd.concat(again)})
    metrics = ["revenue", "bought", "revenue/orders"]
    p = pd.concat([analyze(study, f"e{i}", metrics, limit=0).table() for i in range(40)])["p"]
    assert stats.wilson(int((p < 0.05).sum()), len(p), level=0.999).low < 0.06


# --- another package's numbers -----------------------------------------------------------------


def test_tea_tastings_documented_example() -> None:
    import tea_tasting as tea

    data = tea.make_users_data(rng=42, covariates=True, return_type="pandas")
    metrics = {
        "sessions": tea.Mean("sessions", "sessions_covariate"),
        "orders/sessions": tea.RatioOfMeans("orders", "sessions", "orders_covariate", "sessions_covariate"),
        "orders": tea.Mean("orders", "orders_covariate"),
        "revenue": tea.Mean("revenue", "revenue_covariate"),
    }
    theirs = tea.Experiment({name.replace("/", "_"): metric for name, metric in metrics.items()}).analyze(
        data
    )
    saved = {"sessions": 0.680, "orders/sessions": 0.626, "orders": 0.635, "revenue": 0.723}  # documented
    for name in metrics:
        covariates = [f"{part}_covariate" for part in name.split("/")]
        row, other = (
            analyze(data, "variant", name, covariates).table().iloc[0],
            theirs[name.replace("/", "_")],
        )
        # They take one slope from all customers, we one from within the arms.
        width = other.effect_size_ci_upper - other.effect_size_ci_lower
        assert row["estimate"] == pytest.approx(other.effect_size, abs=0.01 * width)
        assert row["high"] - row["low"] == pytest.approx(width, rel=1e-3)
        assert 1 - row["saved"] == pytest.approx(saved[name], abs=6e-4)
    plain = tea.Experiment(revenue=tea.Mean("revenue")).analyze(data)["revenue"]
    row = analyze(data, "variant", "revenue").table().iloc[0]
    assert [row["estimate"], row["low"], row["p"]] == pytest.approx(
        [plain.effect_size, plain.effect_size_ci_lower, plain.pvalue]
    )


# --- the same on another engine ----------------------------------------------------------------


@pytest.mark.spark
def test_experiments_are_the_same_on_spark(spark, tmp_path) -> None:
    import ibis

    for name, frame in tiny().items():
        frame.to_parquet(tmp_path / f"{name}.parquet", index=False)
        spark.read.parquet(str(tmp_path / f"{name}.parquet")).createOrReplaceTempView(name)
    studies = cx.open_study(tmp_path), cx.open_study(ibis.pyspark.connect(spark))
    metrics = ["revenue", "orders", "visits", "web_page", "transaction", "nps", "any email_offer"]
    duckdb, other = (outcomes(study, "trial", metrics).frame for study in studies)
    pd.testing.assert_frame_equal(duckdb, other, check_dtype=False, rtol=1e-9)
    duckdb, other = (trials(study).table() for study in studies)
    pd.testing.assert_frame_equal(duckdb, other, check_dtype=False, rtol=1e-9)
