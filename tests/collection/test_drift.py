"""Drift between the halves: what was planted is found, and what was not is seldom."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binom
from statsmodels.stats.multivariate import test_mvmean as hotelling

import cxlib as cx
from cxlib import stats
from cxlib.collection import drift
from cxlib.collection.drift import compared
from cxlib.errors import MissingTable
from tests import harness

START, DAYS = pd.Timestamp("2026-01-01"), 100


def made(customers: int, seed: int, moved: float = 0.0) -> dict[str, pd.DataFrame]:
    """Customers with tastes and activities of their own, in two halves alike but for what `moved` moves."""
    rng = np.random.default_rng(seed)
    n = rng.poisson(8 * rng.gamma(1.5, 1 / 1.5, customers))
    who = np.repeat(np.arange(customers), n)
    at = rng.uniform(0, DAYS, n.sum())
    late = at > DAYS / 2
    taste = rng.dirichlet([3, 2, 1, 0.5], customers).cumsum(axis=1)[who]
    device = (rng.random((len(who), 1)) > taste).sum(axis=1)
    device = np.where(late & (rng.random(len(who)) < moved), 3, device)
    ts = START + pd.to_timedelta(at, unit="D")
    touchpoints = pd.DataFrame(
        {
            "event_id": np.arange(len(who)),
            "customer_id": [f"c{i}" for i in who],
            "ts": ts,
            "received_ts": ts + pd.to_timedelta(rng.exponential(3, len(who)), unit="s"),
            "touchpoint": np.take(["home", "item", "cart"], rng.integers(0, 3, len(who))),
            "channel": "web",
            "stage": "engagement",
            "device": np.take(["mobile", "desktop", "tablet", None], device),
            "load_ms": rng.lognormal(7, 0.5, len(who)) * (1 + moved * late),
            "content": [f"a text of its own {i}" for i in range(len(who))],
            "member": rng.random(len(who)) < 0.3,
        }
    )
    orders = pd.DataFrame(
        {"order_id": np.arange(400), "customer_id": [f"c{i % customers}" for i in range(400)]}
    )
    orders["ts"] = START + pd.to_timedelta(rng.uniform(0, DAYS, 400), unit="D")
    orders["revenue"], orders["currency"] = rng.integers(100, 9_000, 400), "EUR"
    return {"touchpoints": touchpoints, "orders": orders}


def opened(customers: int = 300, seed: int = 0, moved: float = 0.0):
    return cx.open_study(made(customers, seed, moved))


def test_a_planted_drift_is_found_where_it_is_and_sized(base_seed):
    found = drift(opened(400, base_seed, moved=0.2))
    table = found.table().set_index(["table", "column"])
    frame = made(400, base_seed, moved=0.2)["touchpoints"]
    half = frame["ts"] < frame["ts"].min() + (frame["ts"].max() - frame["ts"].min()) / 2
    row = table.loc[("touchpoints", "device")]
    share = frame["device"].isna()
    assert row["class"] == "empty"
    assert row["estimate"] == pytest.approx(100 * (share[~half].mean() - share[half].mean()))
    assert row["low"] < row["estimate"] < row["high"]
    assert row["low"] > 0
    shares = [frame["device"].fillna("-")[h].value_counts(normalize=True) for h in (half, ~half)]
    assert row["distance"] == pytest.approx(shares[1].sub(shares[0]).abs().sum() / 2)
    assert row["n"] == len(frame)
    assert set(table.index[table["q"] < 0.001]) >= {("touchpoints", "device"), ("touchpoints", "load_ms")}
    assert "columns differ between the halves beyond chance" in found.claim()


def test_every_column_of_every_dated_table_is_there_but_those_of_a_single_class():
    study = opened()
    columns = drift(study).table().groupby("table")["column"].agg(set).to_dict()
    single = {"event_id", "customer_id", "channel", "stage", "content"}
    assert columns["touchpoints"] == {*made(9, 0)["touchpoints"]} - {"ts", *single}
    assert columns["orders"] == {"revenue"}
    with pytest.raises(MissingTable, match="drift needs the table `touchpoints`"):
        drift(cx.open_study({"orders": made(30, 0)["orders"]}))


def test_no_free_text_and_no_identifier_is_a_class():
    frames = made(200, 1)
    events = frames["touchpoints"]
    events["name"] = "private " + events["customer_id"]
    events.loc[::3, "content"] = "private"
    events.loc[::2, ["anonymous_id"]] = "private " + events["customer_id"]
    found = drift(cx.open_study(frames))
    assert not found.table()["class"].str.contains("private").any()
    assert set(found.table()["column"]) >= {"anonymous_id"}


def test_numbers_become_deciles_and_classes_too_rare_are_put_together():
    frames = made(300, 2)
    frames["touchpoints"]["device"] = np.where(frames["touchpoints"].index < 12, "watch", "mobile")
    table = drift(cx.open_study(frames)).table().set_index("column")
    assert table.loc["load_ms", "class"].startswith(("up to", "over"))
    assert "device" not in table.index  # twelve watches alone can be tested against nothing
    counts = np.zeros((2, 50, 4))
    counts[:, :, 0], counts[:, :, 1] = 5, 4
    counts[0, 0, 2] = counts[1, 0, 3] = 9
    assert compared(counts, ["a", "b", "rare", "as rare"])["class"] in ("a", "b", "the rest")


def test_renaming_customers_changes_no_estimate_and_the_test_little():
    frames = made(300, 3, moved=0.3)
    renamed = {name: frame.assign(customer_id="x" + frame["customer_id"]) for name, frame in frames.items()}
    one, other = (drift(cx.open_study(f)).table().set_index(["table", "column"]) for f in (frames, renamed))
    pd.testing.assert_series_equal(one["distance"], other["distance"].reindex(one.index))
    assert other.loc[one.index[one["q"] < 1e-6], "q"].max() < 1e-3


def test_what_is_all_of_one_half_and_nothing_of_the_other_is_a_drift():
    counts = np.zeros((2, 50, 2))
    counts[0, :, 0] = counts[1, :, 1] = 3
    found = compared(counts, ["before", "after"])
    assert found["q"] < 1e-9
    assert abs(found["estimate"]) == 100
    counts = np.zeros((2, 50, 3))
    counts[0, :, 0] = 6
    counts[1, :, 1:] = np.random.default_rng(0).multinomial(6, [0.5, 0.5], 50)
    assert compared(counts, ["before", "a", "b"])["q"] < 1e-9


def test_on_even_folds_the_test_is_hotellings_t2_of_the_folds():
    # Each fold as large as any other: leaving one out is then the fold's own difference, scaled.
    rng = np.random.default_rng(4)
    share = np.array([[0.5, 0.3, 0.2], [0.48, 0.29, 0.23]])
    counts = np.stack([rng.multinomial(40, p, 50) for p in share]).astype(float)
    moves = (counts[1] - counts[0])[:, :2] / 40
    assert compared(counts, "abc")["q"] == pytest.approx(hotelling(moves, np.zeros(2)).pvalue, rel=1e-9)


def null(seed: int, customers: int = 500) -> pd.DataFrame:
    """Twelve columns of two to ten classes in two halves alike: a customer's events resemble each other."""
    rng = np.random.default_rng(seed)
    fold = rng.integers(0, stats.FOLDS, customers)
    activity = rng.gamma(1.0, 1.0, customers)
    events = [rng.poisson(4 * activity * rng.gamma(2, 0.5, customers)) for _ in range(2)]
    rows = []
    for column, classes in enumerate([2, 3, 4, 6, 8, 10] * 2):
        taste = rng.dirichlet(5 * rng.dirichlet(np.full(classes, 2.0)) + 1e-3, customers)
        counts = np.zeros((2, stats.FOLDS, classes))
        for half in (0, 1):
            np.add.at(counts[half], fold, rng.multinomial(events[half], taste))
        if row := compared(counts, [str(k) for k in range(classes)]):
            rows.append({"column": column, "truth": 0.0, "expected": 100.0, **row})
    return pd.DataFrame(rows)


@pytest.mark.slow
def test_identical_halves_are_called_different_as_seldom_as_promised(base_seed):
    worlds = 120
    drawn = [null(seed) for seed in range(base_seed, base_seed + worlds)]
    alarms = [(stats.benjamini_hochberg(frame["q"]) < 0.05).any() for frame in drawn]
    assert binom.sf(sum(alarms) - 1, worlds, 0.05) > 0.001
    p = np.concatenate([frame["q"] for frame in drawn])
    assert 0.03 < (p < 0.05).mean() < 0.07
    assert (np.concatenate([stats.benjamini_hochberg(frame["q"]) for frame in drawn]) < 0.05).mean() < 0.05
    # The interval is of the class that moved most: Bonferroni keeps it from being too short for that.
    covered = harness.coverage(lambda seed: drawn[seed - base_seed].drop(columns="class"), worlds, base_seed)
    assert not covered.rejects(0.95, 0.99), covered.table()
