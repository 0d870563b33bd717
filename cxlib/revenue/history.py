"""From transactions to what models of repeat purchase ask for: one row a customer."""

from __future__ import annotations

from typing import Literal

import pandas as pd

from cxlib.errors import CxValueError
from cxlib.frames import column

DAYS = {"D": 1.0, "W": 7.0}


def history(
    transactions: pd.DataFrame,
    unit: Literal["D", "W"] = "W",
    end: str | pd.Timestamp | None = None,
    time: str = "date",
    money: str = "dollars",
) -> pd.DataFrame:
    """One row a customer (index customer_id): frequency, recency, T, monetary_value.

    `transactions` has customer_id, a time and an amount of money (for the contract's orders:
    `time="ts", money="revenue"`). The conventions are those of the BG/NBD literature (Fader, Hardie & Lee
    2005): a purchase is a *day* with at least one transaction, whatever was spent; the first day makes the
    customer and isn't counted. So `frequency` is the number of later days, `recency` the time from the first
    day to the last (0 without repeat), `T` from the first day to `end`, both in days or in weeks of seven
    days, not rounded; `monetary_value` the mean spent on a repeat day, in the frame's unit (NaN without one).

    What comes after `end` (its day included; by default the last in the data) is not looked at, nor are
    customers whose first purchase does. Raises `CxValueError` for a missing column or value.

    >>> bought = pd.DataFrame({"customer_id": ["a", "a", "a"], "dollars": [5.0, 3.0, 4.0],
    ...     "date": pd.to_datetime(["1997-01-01", "1997-01-15", "1997-01-15"])})
    >>> history(bought, end="1997-01-22").iloc[0].to_dict()
    {'frequency': 1.0, 'recency': 2.0, 'T': 3.0, 'monetary_value': 7.0}
    """
    if unit not in DAYS:
        raise CxValueError(f"unit is {unit!r}; there are: D (days), W (weeks).")
    for name in ("customer_id", time, money):
        if missing := int(column(transactions, name).isna().sum()):
            raise CxValueError(f"{missing:,} transaction(s) lack `{name}`: fill it in, or leave them out.")
    if not pd.api.types.is_datetime64_any_dtype(transactions[time]):
        raise CxValueError(f"`{time}` must be times, not {transactions[time].dtype}: use pd.to_datetime.")
    day = transactions[time].dt.tz_localize(None).dt.normalize()
    last = day.max() if end is None else pd.Timestamp(end).tz_localize(None).normalize()
    days = pd.DataFrame(
        {"customer_id": transactions["customer_id"], "day": day, "money": transactions[money]}
    )
    days = days[day <= last].groupby(["customer_id", "day"], as_index=False)["money"].sum()
    if days.empty:
        raise CxValueError(f"There is no transaction up to {last}.")
    seen = days.groupby("customer_id")["day"].agg(["min", "max", "size"])
    repeat = days[days["day"] > days["customer_id"].map(seen["min"])]
    length = pd.Timedelta(days=DAYS[unit])
    return pd.DataFrame(
        {
            "frequency": seen["size"] - 1,
            "recency": (seen["max"] - seen["min"]) / length,
            "T": (last - seen["min"]) / length,
            "monetary_value": repeat.groupby("customer_id")["money"].mean(),
        },
        index=seen.index,
    )
