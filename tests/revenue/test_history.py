"""Transactions to one row a customer, by the conventions of the literature."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from cxlib.errors import CxError
from cxlib.revenue import history


@pytest.fixture
def bought() -> pd.DataFrame:
    days = ["1997-01-01 09:00", "1997-01-01 18:00", "1997-01-15", "1997-01-29", "1997-01-20", "1997-03-01"]
    return pd.DataFrame(
        {
            "customer_id": ["a", "a", "a", "a", "b", "c"],
            "date": pd.to_datetime(days, format="mixed"),
            "dollars": [10.0, 1.0, 4.0, 0.0, 7.0, 9.0],
        }
    )


def test_a_purchase_is_a_day_and_the_first_day_is_not_counted(bought: pd.DataFrame) -> None:
    table = history(bought, end="1997-02-05")
    assert table.loc["a"].tolist() == [2, 4, 5, 2]  # a day that spends nothing is a purchase too
    assert table.loc["b", ["frequency", "recency"]].tolist() == [0, 0]
    assert table.loc["b", "T"] == pytest.approx(16 / 7)
    assert np.isnan(table.loc["b", "monetary_value"])
    assert "c" not in table.index  # first bought after the end


def test_days_are_seven_times_weeks_and_the_end_is_the_last_day_unless_given(bought: pd.DataFrame) -> None:
    weeks, days = history(bought), history(bought, unit="D")
    assert np.allclose(days[["recency", "T"]], weeks[["recency", "T"]] * 7)
    assert days.loc["c", "T"] == 0
    assert days.loc["a", "T"] == 59


def test_any_names_will_do_and_the_order_of_rows_does_not_matter(bought: pd.DataFrame) -> None:
    orders = bought.rename(columns={"date": "ts", "dollars": "revenue"}).sample(frac=1, random_state=0)
    pd.testing.assert_frame_equal(history(orders, time="ts", money="revenue"), history(bought))


def test_cdnow_has_the_published_numbers_of_customers(customers: pd.DataFrame) -> None:
    assert len(customers) == 2357
    assert (customers["frequency"] > 0).sum() == 946
    first = customers.loc["00004"]  # customer 0001 of the sample, printed in lifetimes' data
    assert first["frequency"] == 2
    assert round(first["recency"], 2) == 30.43
    assert round(first["T"], 2) == 38.86
    assert first["monetary_value"] == pytest.approx((29.73 + 14.96) / 2)


def test_an_exact_duplicate_changes_no_frequency(purchases: pd.DataFrame) -> None:
    once = history(purchases.drop_duplicates())
    assert once["frequency"].equals(history(purchases)["frequency"])


@pytest.mark.parametrize(
    ("change", "options", "message"),
    [
        ({}, {"unit": "M"}, "unit is 'M'; there are: D"),
        ({}, {"time": "ts"}, "has no column `ts`"),
        ({"dollars": np.nan}, {}, "6 transaction.s. lack `dollars`"),
        ({"date": "1997"}, {}, "use pd.to_datetime"),
        ({}, {"end": "1996-01-01"}, "no transaction up to 1996-01-01"),
    ],
)
def test_what_cannot_be_read_is_refused(
    bought: pd.DataFrame, change: dict[str, object], options: dict[str, str], message: str
) -> None:
    with pytest.raises(CxError, match=message):
        history(bought.assign(**change), **options)
