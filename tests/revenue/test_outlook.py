"""Expected value: its history from the engine, the published holdout of CDNOW, truth by construction, words."""

from __future__ import annotations

import os

import numpy as np
import pandas as pd
import pytest
from conftest import CALIBRATION, simulated  # of this folder

import cxlib as cx
from cxlib.errors import CxLookupError, CxValueError
from cxlib.revenue import BGNBD, fit_bgnbd, history, plots, value
from cxlib.revenue.likelihood import Maximum
from cxlib.revenue.outlook import _fit, _Model, _people, _table, _tried
from cxlib.study import Study
from tests import harness

TRUTH = {"r": 0.8, "alpha": 6.0, "a": 1.0, "b": 3.0}
DAY = pd.Timedelta(days=1)


def orders(
    n: int, rng: np.random.Generator, watched: int = 364, ahead: int = 364
) -> tuple[pd.DataFrame, float]:
    """Orders of `n` customers by BG/NBD and Gamma-Gamma to the end of day `watched`, and the mean margin they
    bring in the `ahead` days after it. Everybody buys first within eight weeks; purchases are days."""
    rate, leaving = rng.gamma(TRUTH["r"], 1 / TRUTH["alpha"], n), rng.beta(TRUTH["a"], TRUTH["b"], n)
    nu = rng.gamma(6, 1 / 9000, n)
    rows, later = [], 0.0
    for i in range(n):
        day = first = float(rng.integers(0, 56))
        days = [first]
        while rng.random() > (leaving[i] if len(days) > 1 else 0.0):
            day += rng.exponential(7 / rate[i])
            if day > watched + ahead:
                break
            days.append(day)
        for day in sorted({int(one) for one in days}):
            spent = rng.gamma(5, 1 / nu[i])
            if day <= watched:
                rows.append((i, day, spent))
            else:
                later += spent
    frame = pd.DataFrame(rows, columns=["customer_id", "day", "margin"])
    frame = frame.assign(
        order_id=[str(k) for k in range(len(frame))],
        customer_id="c" + frame["customer_id"].astype(str),
        ts=pd.Timestamp("2025-01-01") + pd.to_timedelta(frame.pop("day"), unit="D"),
        margin=frame["margin"].round().astype(int),
        revenue=(frame["margin"] * 3).round().astype(int),
        currency="EUR",
    )
    return frame, later / n


def buyers(n: int, rng: np.random.Generator) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The same people as one row a customer (see `simulated`), and what they do in the next 39 weeks."""
    frame = simulated(n, rng, **TRUTH)
    nu, x = rng.gamma(6, 1 / 9000, n), frame["frequency"].to_numpy()
    spent = rng.gamma(5.0, 1 / nu[:, None], (n, max(int(x.max()), 1))) * (
        np.arange(max(x.max(), 1)) < x[:, None]
    )
    frame["monetary_value"] = np.divide(spent.sum(axis=1), x, out=np.full(n, np.nan), where=x > 0)
    frame["squares"] = (spent**2).sum(axis=1)
    frame["customer_id"] = [f"c{i}" for i in range(n)]
    later = frame.pop("later").to_numpy()
    amount = rng.gamma(np.maximum(5.0 * later, 1e-9), 1 / nu)
    return frame, pd.DataFrame({"customer_id": frame["customer_id"], "days": later, "amount": amount})


def shrunk(people: pd.DataFrame) -> np.ndarray:
    """What a purchase of each brings, by the parameters amounts were drawn with: p 5, q 6, v 9000."""
    x, own = people["frequency"].to_numpy(), people["monetary_value"].fillna(0).to_numpy()
    return 5 * (9000 + x * own) / (5 * x + 6 - 1)


def opened(frame: pd.DataFrame) -> Study:
    return cx.open_study({"orders": frame}, money="minor")


@pytest.fixture(scope="module")
def drawn(base_seed: int) -> Study:
    return opened(orders(600, np.random.default_rng(base_seed))[0])


@pytest.fixture(scope="module")
def cdnow(purchases: pd.DataFrame) -> Study:
    frame = purchases.assign(
        order_id=[str(k) for k in range(len(purchases))],
        ts=purchases["date"],
        revenue=(purchases["dollars"] * 100).round().astype(int),
        currency="USD",
    )
    return cx.open_study(
        {"orders": frame[["order_id", "customer_id", "ts", "revenue", "currency"]]}, money="minor"
    )


# ---------------------------------------------------------------- published, and other arithmetic


def test_the_engines_history_is_that_of_the_frames(drawn: Study) -> None:
    frame = drawn.fetch(drawn.table("orders"))
    until = int((frame["ts"].max().normalize() - pd.Timestamp(0)) / DAY)
    for cut in (until, until - 100):
        ours = _people(drawn, "margin", cut).set_index("customer_id")
        theirs = history(frame, time="ts", money="margin", end=pd.Timestamp(0) + cut * DAY)
        columns = list(theirs.columns)
        pd.testing.assert_frame_equal(ours[columns], theirs[columns], check_dtype=False, check_names=False)


def test_the_published_holdout_of_cdnow_and_its_misses(cdnow: Study) -> None:
    """1,882 purchases came: the model of the literature foresees 1,653, the past rate 2,930 (+56 %)."""
    check = value(cdnow, holdout="273 D").check
    rows = check.table().set_index(["measure", "method"])
    model, naive = rows.loc[("purchases", "model")], rows.loc[("purchases", "naive")]
    assert (model["actual"], round(model["estimate"]), model["n"]) == (1882, 1653, 2357)
    assert round(naive["estimate"]) == 2930
    assert round(naive["error"], 2) == 0.56
    assert rows.loc[("purchases", "zero"), "error"] == -1
    assert model["high"] < 1882
    assert "misses it" in check.claim()


def test_the_discounted_expectation_is_the_integral_of_its_own_rate(customers: pd.DataFrame) -> None:
    """Against purchases in each of 1,000 steps of the horizon, each with the discount of its middle."""
    bgnbd = fit_bgnbd(customers)
    model = _Model(bgnbd, 1.0, 1.0, 1.0, 1.0, None)
    some, weeks = customers.iloc[[0, 3, 50, 500]], 104.0
    edges = np.linspace(0, weeks, 1001)
    cumulated = np.array([np.zeros(4), *(bgnbd.expected(some, t).to_numpy() for t in edges[1:])])
    fade = 1.1 ** -((edges[1:] + edges[:-1]) / 2 / (365.25 / 7))
    assert np.allclose(model.discounted(some, weeks, 0.10), fade @ np.diff(cumulated, axis=0), rtol=2e-4)
    assert np.allclose(model.discounted(some, weeks, 0.0), cumulated[-1])


def test_what_a_purchase_brings_is_gamma_gammas_own_mean(cdnow: Study, customers: pd.DataFrame) -> None:
    """Fader & Hardie 2013: (q - 1) / (p x + q - 1) of everybody's mean, the rest the customer's own."""
    cut = int((pd.Timestamp(CALIBRATION) - pd.Timestamp(0)) / DAY)
    people = _people(cdnow, "revenue", cut)
    model = _fit(people)
    assert not model.heavy
    p, q, v = 6.25, 3.74, 1544.0
    own = people["monetary_value"].fillna(0)
    shrunk = (p * v + p * people["frequency"] * own) / (p * people["frequency"] + q - 1)
    assert np.allclose(model.each(people), shrunk, rtol=2e-3)


def test_without_a_discount_the_naive_forecast_is_the_past_rate(drawn: Study) -> None:
    found = value(drawn, discount=0.0, horizon="70 D")
    frame = drawn.fetch(drawn.table("orders"))
    past = history(frame, time="ts", money="margin")
    rate = (past["frequency"] / past["T"] * past["monetary_value"]).fillna(0)
    assert found.table()["naive"].item() == pytest.approx(10 * rate.mean())


# ---------------------------------------------------------------- truth


@pytest.mark.slow
def test_intervals_hold_what_comes_and_the_expected_value_where_purchasing_is_bgnbd(base_seed: int) -> None:
    """The holdout's interval is for what these customers do, the value's for the mean of such customers."""
    true = BGNBD(Maximum(np.log(list(TRUTH.values())), np.eye(4), 0.0, ""), 1)
    many, _ = buyers(60_000, np.random.default_rng(7))
    expected = np.mean(_Model(true, 1.0, 1.0, 1.0, 1.0, None).discounted(many, 52.0, 0.10) * shrunk(many))

    def draw(seed: int) -> pd.DataFrame:
        past, came = buyers(800, np.random.default_rng(seed))
        tried = _tried(past, came, "margin", 39.0).query("method == 'model'")
        tried = tried.assign(result=tried["measure"], truth=tried["actual"])
        worth = _table(past, None, 52.0, 0.10).assign(result="value", truth=expected)
        both = pd.concat([tried, worth])[["result", "estimate", "low", "high", "truth"]]
        return both.assign(cell="all", expected=800.0)

    bar = harness.coverage(draw, int(os.environ.get("CXLIB_WORLDS", "16")), base_seed)
    assert not bar.rejects(0.90, 0.99), bar.table().to_string()


def test_the_expected_value_is_near_the_mean_of_a_large_company(base_seed: int) -> None:
    frame, later = orders(6000, np.random.default_rng(base_seed))
    found = value(opened(frame), horizon="364 D", discount=0.0).table().iloc[0]
    assert found["estimate"] == pytest.approx(later, rel=0.12)
    assert found["low"] < found["estimate"] < found["high"]
    assert found["high"] / found["low"] < 1.4


def test_overdispersed_amounts_are_left_to_components_of_variance(base_seed: int) -> None:
    """From candles to kitchens (log-sd 1.5 between customers): Gamma-Gamma's mean has no variance there."""
    rng = np.random.default_rng(base_seed)
    frame, _ = orders(800, rng)
    taste = dict(zip(frame["customer_id"].unique(), rng.lognormal(8, 1.5, 800), strict=True))
    frame["margin"] = (frame["customer_id"].map(taste) * rng.gamma(5, 0.2, len(frame))).round().astype(int)
    found = value(opened(frame))
    assert "components of variance" in found.claim()
    error = found.check.table().query("measure == 'margin' and method == 'model'")["error"].item()
    assert abs(error) < 0.6


# ---------------------------------------------------------------- personas


def test_each_persona_has_a_fit_of_its_own(base_seed: int) -> None:
    """Two groups, one spending four times as much: each is expected to bring what it would alone."""
    rng = np.random.default_rng(base_seed)
    frame, _ = orders(800, rng)
    rich = frame["customer_id"].str[1:].astype(int) % 2 == 0
    frame["margin"] = frame["margin"] * np.where(rich, 4, 1)
    who = sorted(frame["customer_id"].unique())
    sure = pd.Series([int(one[1:]) % 2 == 0 for one in who], dtype=float)
    study, until = opened(frame), int((frame["ts"].max().normalize() - pd.Timestamp(0)) / DAY)
    table = (
        value(study, pd.DataFrame({"person": who, "rich": sure, "poor": 1 - sure}))
        .table()
        .set_index("persona")
    )
    for name, rows in (("rich", rich), ("poor", ~rich)):
        alone = _table(_people(opened(frame[rows]), "margin", until), None, 365 / 7, 0.10)
        assert table.loc[name, "estimate"] == pytest.approx(alone["estimate"].item(), rel=1e-3)
        assert table.loc[name, "customers"] == alone["n"].item()
    assert table.loc["rich", "estimate"] > 2.5 * table.loc["poor", "estimate"]
    assert "from poor" in value(study, pd.DataFrame({"person": who, "rich": sure, "poor": 1 - sure})).claim()


def test_unsure_memberships_share_out_the_past_rate(drawn: Study) -> None:
    who = sorted(drawn.fetch(drawn.table("orders"))["customer_id"].unique())
    keen = np.linspace(0.05, 0.95, len(who))
    found = value(drawn, pd.DataFrame({"person": who, "keen": keen, "calm": 1 - keen}))
    table = found.table().set_index("persona")
    assert table.loc[["keen", "calm"], "naive"].mean() == pytest.approx(table.loc["(all)", "naive"])
    assert table.loc[["keen", "calm"], "estimate"].mean() == pytest.approx(
        table.loc["(all)", "estimate"], rel=0.1
    )
    assert table["customers"].tolist() == [600, 300, 300]
    assert (table["low"] < table["estimate"]).all()
    assert "keen" in plots.value(found).alt


def test_memberships_of_other_people_are_refused(drawn: Study) -> None:
    with pytest.raises(CxLookupError, match="None of the persons"):
        value(drawn, pd.DataFrame({"person": ["x"], "keen": [1.0]}))


# ---------------------------------------------------------------- words


def test_a_fit_at_the_border_is_said_and_still_tried(base_seed: int) -> None:
    """Nobody ever leaves and all buy alike: the parameters mean nothing, the forecast is right all the same."""
    rng = np.random.default_rng(base_seed)
    days = [np.unique(rng.integers(0, 364, 20)) for _ in range(200)]
    frame = pd.DataFrame(
        {
            "day": np.concatenate(days),
            "customer_id": np.repeat([f"c{i}" for i in range(200)], [len(d) for d in days]),
        }
    )
    frame = frame.assign(
        order_id=[str(k) for k in range(len(frame))],
        ts=pd.Timestamp("2025-01-01") + pd.to_timedelta(frame.pop("day"), unit="D"),
        revenue=rng.integers(500, 1500, len(frame)), currency="EUR",
    )  # fmt: skip
    found = value(opened(frame))
    assert "trust it no further than it was tried" in found.claim()
    assert found.amount == "revenue"
    model = found.check.table().set_index(["measure", "method"]).loc[("purchases", "model")]
    assert model["low"] < model["actual"] < model["high"]


def test_nobody_who_buys_again_gives_no_forecast(drawn: Study) -> None:
    once = drawn.fetch(drawn.table("orders")).drop_duplicates("customer_id")
    with pytest.raises(CxValueError, match="None of 600 customers bought on a second day"):
        value(opened(once[["order_id", "customer_id", "ts", "revenue", "currency"]]))


def test_hardly_anybody_who_buys_again_is_said(drawn: Study) -> None:
    frame = drawn.fetch(drawn.table("orders"))[["order_id", "customer_id", "ts", "revenue", "currency"]]
    first = frame.sort_values("ts").drop_duplicates("customer_id")
    again = frame[frame["customer_id"].isin([f"c{i}" for i in range(0, 60, 4)])]
    few = pd.concat([first, again]).drop_duplicates("order_id")
    assert "bought on a second day" in value(opened(few)).claim()


def test_claims_speak_of_money_in_the_currency_and_of_misses(drawn: Study) -> None:
    found = value(drawn)
    assert "EUR" in found.claim()
    assert "discounted at 10.0" in found.claim()
    assert "Tried on the last" in found.check.claim()
    assert "Error of each forecast" in plots.check(found.check).alt
    assert "expected to bring" in plots.value(found).alt
    assert "margin (EUR)" in found.check._repr_mimebundle_()["text/plain"]


def test_a_study_too_short_to_try_says_so(drawn: Study) -> None:
    frame = drawn.fetch(drawn.table("orders"))[["order_id", "customer_id", "ts", "revenue", "currency"]]
    found = value(opened(frame), holdout="400 D").check
    assert found.claim() == "There was too little to try the forecast on."
    assert "too few" in plots.check(found).alt
