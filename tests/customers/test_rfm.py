"""RFM against a hand-made table and the rules that every customer must fall under exactly one of."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import cxlib as cx
from cxlib.customers.rfm import SEGMENTS, Rfm, cut_points, segments
from cxlib.errors import CxValueError
from cxlib.study import Study

END = pd.Timestamp("2026-01-01")


def shop(days_ago: list[list[int]], worth: int = 1000, **columns: object) -> Study:
    """A study of orders: for each customer, how many days before `END` each order was."""
    rows = [(f"c{i:04d}", END - pd.Timedelta(day, "D")) for i, some in enumerate(days_ago) for day in some]
    orders = pd.DataFrame(rows, columns=["customer_id", "ts"])
    orders["order_id"] = [f"o{i}" for i in range(len(orders))]
    return cx.open_study({"orders": orders.assign(**{"revenue": worth, "currency": "EUR"} | columns)})


def test_five_customers_who_differ_in_everything_get_the_scores_one_to_five() -> None:
    """By hand (Hughes 1994): the latest, the most frequent and the one who spent most get a five."""
    study = shop([[1] * 5, [10] * 4, [20] * 3, [30] * 2, [40]])
    found = cx.customers.rfm(study, at=END).scores
    assert found["recency"].tolist() == [1, 10, 20, 30, 40]
    assert found["frequency"].tolist() == [5, 4, 3, 2, 1]
    assert found["monetary"].tolist() == [5000, 4000, 3000, 2000, 1000]
    for score in ("r", "f", "m"):
        assert found[score].tolist() == [5, 4, 3, 2, 1]
    assert found["segment"].tolist() == ["champions", "champions", "fading", "lapsed", "lapsed"]


def test_the_rules_are_printed_in_days_and_orders_and_hold_for_every_customer() -> None:
    found = cx.customers.rfm(shop([[1] * 5, [10] * 4, [20] * 3, [30] * 2, [40]]), at=END)
    rules = found.rules().table().set_index("segment")
    assert rules.loc["champions"].tolist() == ["at most 10 days", "over 3 orders", "4 to 5", "4 to 5"]
    assert rules.loc["fading"].tolist() == ["over 10 and at most 20 days", "at most 3 orders", "3", "1 to 3"]
    assert rules.loc["lapsed"].tolist() == ["over 20 days", "at most 3 orders", "1 to 2", "1 to 3"]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 12), min_size=1, max_size=60), st.integers(2, 10))
def test_cut_points_are_numpys_quantiles_where_nobody_is_alike_and_never_part_equal_customers(
    values: list[int], parts: int
) -> None:
    cuts = cut_points(np.array(values, float), parts)
    assert list(cuts) == sorted(set(cuts))
    assert set(cuts) < set(values) | {np.inf}
    part = np.searchsorted(cuts, values)
    assert len(set(zip(values, part, strict=True))) == len(set(values))
    assert set(part) == set(range(len(cuts) + 1))  # no part is empty
    assert len(cuts) < parts


@pytest.mark.parametrize(("most_r", "most_f"), list(itertools.product(range(1, 11), repeat=2)))
def test_every_cell_of_the_grid_belongs_to_exactly_one_segment(most_r: int, most_f: int) -> None:
    grid = pd.DataFrame(
        list(itertools.product(range(1, most_r + 1), range(1, most_f + 1))), columns=["r", "f"]
    )
    named = segments(grid["r"], grid["f"], most_r, most_f)
    assert set(named) <= set(SEGMENTS)
    # The rules as printed, read as a person would: scores of a segment form a block, and blocks do not meet.
    blocks = grid.groupby(named)[["r", "f"]].agg(["min", "max"])
    inside = sum(
        grid["r"].between(b["r", "min"], b["r", "max"]) & grid["f"].between(b["f", "min"], b["f", "max"])
        for _, b in blocks.iterrows()
    )
    assert (inside == 1).all()


@settings(max_examples=12, deadline=None)
@given(
    st.lists(st.lists(st.integers(1, 300), min_size=1, max_size=6), min_size=2, max_size=30),
    st.integers(2, 6),
)
def test_each_customer_is_under_one_rule_and_it_is_the_one_of_the_segment(
    days_ago: list[list[int]], parts: int
) -> None:
    found = cx.customers.rfm(shop(days_ago), parts, at=END)

    def under(said: str, value: float) -> bool:
        bounds = [part.split() for part in said.replace("any", "").split(" and ") if part]
        return all(
            value > float(words[1]) if words[0] == "over" else value <= float(words[2]) for words in bounds
        )

    rules = found.rules().table().to_dict("records")
    for row in found.scores.to_dict("records"):
        held = [
            rule["segment"] for rule in rules
            if under(rule["last order ago"], row["recency"]) and under(rule["orders"], row["frequency"])
        ]  # fmt: skip
        assert held == [row["segment"]]


def test_shares_of_buyers_and_of_revenue_add_up_and_match_the_plain_sums() -> None:
    study = cx.open_study("demo")
    found = cx.customers.rfm(study)
    orders = study.fetch(study.table("orders"))
    orders = orders[orders["revenue"] > 0]
    table = found.table()
    assert table[["estimate", "revenue_share"]].sum().tolist() == pytest.approx([1, 1])
    assert table["customers"].sum() == table["n"].iloc[0] == orders["customer_id"].nunique()
    money = orders.groupby(orders["customer_id"].map(found.scores.set_index("person")["segment"]))[
        "revenue"
    ].sum()
    assert table.set_index("segment")["revenue_share"].to_dict() == pytest.approx(
        (money / money.sum()).to_dict()
    )
    assert (table["low"] < table["estimate"]).all()
    assert (table["revenue_share"] < table["revenue_share_high"]).all()


def test_a_single_order_each_leaves_one_part_of_frequency_and_the_claim_says_so() -> None:
    found = cx.customers.rfm(shop([[day] for day in range(1, 61)] + [[5, 6]]), at=END)
    assert len(found.cuts["f"]) == 1
    assert "Frequency has 2 parts instead of 5: 98.4\u00a0% of buyers share one value (1)." in found.claim()


def test_customers_who_are_all_alike_are_one_segment_and_few_are_not_spoken_of() -> None:
    alike = cx.customers.rfm(shop([[3]] * 20), at=END)
    assert alike.table()["segment"].tolist() == ["fading"]
    assert alike.rules().table().iloc[0, 1:3].tolist() == ["any", "any"]
    assert "The fading are 100.0" in alike.claim()
    assert cx.customers.rfm(shop([[3]] * 4), at=END).claim() == "Too few customers to say."


def test_orders_after_the_date_and_orders_worth_nothing_do_not_count() -> None:
    study = shop([[5, -10], [50]])
    assert cx.customers.rfm(study, at=END).scores["frequency"].tolist() == [1, 1]
    assert cx.customers.rfm(study).at == END + pd.Timedelta("10D")
    with pytest.raises(CxValueError, match="No customer has an order"):
        cx.customers.rfm(shop([[1]], worth=0))


def test_several_currencies_and_an_impossible_number_of_parts_are_refused() -> None:
    with pytest.raises(CxValueError, match=r"several currencies \(EUR, USD\)"):
        cx.customers.rfm(shop([[1], [2]], currency=["EUR", "USD"]))
    with pytest.raises(CxValueError, match="from 2 to 10"):
        cx.customers.rfm(shop([[1]]), parts=1)


def test_segments_by_persona_are_corrected_and_add_up_in_each(base_seed: int) -> None:
    """Half of the customers are frequent; four in five are recognised: the plain share of .8 must become 1."""
    rng = np.random.default_rng(base_seed)
    often = rng.random(2000) < 0.5
    seen = np.where(rng.random(2000) < 0.8, often, ~often)
    study = shop(
        [[int(day)] * (6 if one else 1) for day, one in zip(rng.integers(0, 99, 2000), often, strict=True)]
    )
    given_ = pd.DataFrame({"person": [f"c{i:04d}" for i in range(2000)], "fan": np.where(seen, 0.8, 0.2)})
    found = cx.customers.rfm(study, memberships=given_.assign(guest=1 - given_["fan"]), at=END)
    assert isinstance(found, Rfm)
    assert found.members is not None
    table = found.members.table()
    assert table.groupby("persona")["estimate"].sum().tolist() == pytest.approx([1, 1])
    frequent = table[table["segment"].isin(["champions", "loyal", "at risk"])].groupby("persona")
    assert frequent["estimate"].sum().tolist() == pytest.approx([1, 0], abs=0.08)
    assert frequent["uncorrected"].sum().tolist() == pytest.approx([0.8, 0.2], abs=0.05)


def test_the_figure_of_segments_says_its_shares() -> None:
    shown = cx.customers.plots.rfm(cx.customers.rfm(cx.open_study("demo")))
    assert "champions" in shown.alt
    assert shown.png.startswith(b"\x89PNG")
    assert "too few" in cx.customers.plots.rfm(cx.customers.rfm(shop([[1]]))).alt
