"""Lifecycle accounts: four customers by hand, an identity that always holds, and what cannot be known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import cxlib as cx
from cxlib.errors import CxValueError
from cxlib.results import EVERYWHERE
from cxlib.study import Study

YEAR = pd.Timestamp("2025-01-01")


def study_of(
    days: Mapping[str, Sequence[float]], first_seen: dict[str, int] | None = None, brand: tuple[str, ...] = ()
) -> Study:
    """Contacts on days of the year by customer; those of `brand` are the company's own doing."""
    rows = [(who, YEAR + pd.Timedelta(day + 0.5, "D")) for who, some in days.items() for day in some]
    frame = pd.DataFrame(rows, columns=["customer_id", "ts"])
    frame = frame.assign(event_id=range(len(frame)), touchpoint="visit", channel="web", stage="engagement")
    frame["initiated_by"] = np.where(frame["customer_id"].isin(brand), "brand", "customer")
    frame["customer_id"] = frame["customer_id"].str.removesuffix("*")
    tables = {"touchpoints": frame.astype({"event_id": str})}
    if first_seen is not None:
        since = [YEAR + pd.Timedelta(day, "D") for day in first_seen.values()]
        tables["customers"] = pd.DataFrame({"customer_id": list(first_seen), "first_seen": since})
    return cx.open_study(tables)


FOUR = {
    "anna": [0, 40, 80, 100, 150],  # dormant at the end of January, current ever after
    "ben": [10, 130],  # away from day 40 on, back in May
    "cleo": [95],  # new in April (days 90 to 119), lapses in May
    "dora": [5, 35],  # lapses on day 65, early in March
}


def test_four_customers_by_hand() -> None:
    """dormant after 30 days; whole months that begin on or after 31 January: February to May (day 150 is 31 May)."""
    account = cx.customers.lifecycle(study_of(FOUR), dormant="30 D")
    table = account.table().set_index("period")
    # At the ends of January to May (days 31, 59, 90, 120, 151) a last contact after day 1, 29, 60, 90, 121 counts.
    assert list(table.index.strftime("%b")) == ["Feb", "Mar", "Apr", "May"]
    assert table["opening"].tolist() == [2, 2, 1, 2]  # ben dora; anna dora; anna; anna cleo
    assert table["new"].tolist() == [0, 0, 1, 0]
    assert table["returned"].tolist() == [
        1,
        0,
        0,
        1,
    ]  # anna in February (her contact of day 0 was too long ago); ben
    assert table["lapsed"].tolist() == [1, 1, 0, 1]  # ben; dora; none; cleo
    assert table["closing"].tolist() == [2, 1, 2, 2]
    assert table["dormant"].tolist() == [1, 2, 2, 2]
    assert table["n"].tolist() == [3, 3, 4, 4]
    assert table["estimate"].tolist() == [0.5, 0.5, 0, 0.5]
    assert account.claim() == "Too few customers to say."


def test_contacts_of_the_company_keep_nobody_current() -> None:
    with_mail = FOUR | {"ben*": [45, 75, 100], "dora*": [70, 100, 140]}
    assert set(with_mail) == {*FOUR, "ben*", "dora*"}
    plain, mailed = (
        cx.customers.lifecycle(study_of(days, brand=("ben*", "dora*")), dormant="30 D").table()
        for days in (FOUR, with_mail)
    )
    pd.testing.assert_frame_equal(plain, mailed)


def test_who_was_a_customer_before_the_study_begins_returns_and_is_not_new() -> None:
    since = {"anna": -300, "ben": 0, "cleo": -200, "dora": -5, "emil": -100}
    table = cx.customers.lifecycle(study_of(FOUR, since), dormant="30 D").table().set_index("period")
    assert table["new"].tolist() == [0, 0, 0, 0]
    assert table["returned"].tolist() == [1, 0, 1, 1]
    assert table["n"].tolist() == [5, 5, 5, 5]  # emil, who was never seen, is dormant throughout
    without = cx.customers.lifecycle(
        study_of({f"c{i}": [i % 9, 60 + i % 9, 110] for i in range(30)}), dormant="30 D"
    )
    assert "some of the new are old customers" in without.note


def test_a_last_month_that_is_not_over_is_left_out_and_one_that_ends_today_is_not() -> None:
    days = {f"c{i}": list(range(i % 5, 150, 5)) for i in range(20)}
    short = cx.customers.lifecycle(study_of(days | {"z": [149]}), dormant="20 D")
    whole = cx.customers.lifecycle(study_of(days | {"z": [150]}), dormant="20 D")
    assert short.table()["period"].max() == pd.Timestamp("2025-04-01")
    assert whole.table()["period"].max() == pd.Timestamp("2025-05-01")
    assert "Counted from 2025-02-01 to 2025-05-01" in short.claim()


@settings(max_examples=10, deadline=None)
@given(
    st.dictionaries(
        st.sampled_from([f"c{i}" for i in range(12)]),
        st.lists(st.integers(0, 250), min_size=1, max_size=8), min_size=2,
    ),
    st.sampled_from(["5 D", "30 D", "61 D"]),
    st.sampled_from(["week", "month"]),
    st.integers(0, 2**16),
)  # fmt: skip
def test_opening_and_new_and_returned_less_lapsed_is_closing_in_every_period_and_persona(
    days: dict[str, list[int]], dormant: str, every: str, seed: int
) -> None:
    study = study_of(days | {"first": [0], "last": [250]})
    people = [*days, "first", "last"]
    chance = np.random.default_rng(seed).uniform(0.6, 1, len(people))
    chance = np.where(np.arange(len(people)) % 2, chance, 1 - chance)
    given_ = pd.DataFrame({"person": people, "fan": chance, "guest": 1 - chance})
    table = cx.customers.lifecycle(study, given_, dormant, every).table()
    left = table["opening"] + table["new"] + table["returned"] - table["lapsed"]
    assert np.allclose(left, table["closing"])
    by_persona = (
        table[table["persona"] != EVERYWHERE].groupby("period")[["opening", "new", "lapsed", "dormant"]].sum()
    )
    everybody = table[table["persona"] == EVERYWHERE].set_index("period")
    assert np.allclose(by_persona, everybody[by_persona.columns])
    # One period's closing is the next one's opening.
    assert everybody["closing"].iloc[:-1].tolist() == everybody["opening"].iloc[1:].tolist()


def test_a_persona_that_lapses_more_is_found_though_one_in_five_is_taken_for_the_other(
    base_seed: int,
) -> None:
    """Customers come each month with chance .9 or .5 and are dormant after 31 days: lapse rates of .1 and .5."""
    rng = np.random.default_rng(base_seed)
    loyal = rng.random(3000) < 0.5
    came = rng.random((3000, 8)) < np.where(loyal, 0.9, 0.5)[:, None]
    days = {
        f"c{i}": [int(31 * m + 15) for m in np.flatnonzero(row)] for i, row in enumerate(came) if row.any()
    }
    seen = np.where(rng.random(3000) < 0.8, loyal, ~loyal)
    given_ = pd.DataFrame({"person": [f"c{i}" for i in range(3000)], "loyal": np.where(seen, 0.8, 0.2)})
    study = study_of(days | {"first": [0], "last": [250]})
    given_ = given_[given_["person"].isin(list(days))].assign(fleeting=lambda f: 1 - f["loyal"])
    account = cx.customers.lifecycle(study, given_, dormant="31 D")
    rates = account.table().groupby("persona")["estimate"].mean()
    assert rates["loyal"] == pytest.approx(0.1, abs=0.05)
    assert rates["fleeting"] == pytest.approx(0.5, abs=0.05)
    assert "2 without a membership are left out" in account.claim()


def test_months_end_at_midnight_by_the_clock_of_the_study() -> None:
    """A first contact on 1 February at 01:12 UTC, when it is still January in Sao Paulo."""
    days: dict[str, list[float]] = {"first": [0], "last": [60]} | {f"c{i}": [30.55] for i in range(12)}
    here, there = study_of(days), study_of(days)
    object.__setattr__(there.settings, "time_zone", "America/Sao_Paulo")
    utc, local = (cx.customers.lifecycle(one, dormant="30 D").table().iloc[0] for one in (here, there))
    assert utc["period"] == local["period"] == pd.Timestamp("2025-02-01")
    assert (utc["opening"], utc["new"], utc["closing"]) == (0, 12, 12)
    assert (local["opening"], local["new"], local["closing"]) == (12, 0, 12)


def test_orders_stand_in_where_there_is_no_log() -> None:
    days = [
        (f"c{i}", YEAR + pd.Timedelta(d, "D")) for i in range(120) for d in range(i % 7, 121, 30 + i % 40)
    ]
    orders = pd.DataFrame(days, columns=["customer_id", "ts"]).assign(revenue=100, currency="EUR")
    account = cx.customers.lifecycle(
        cx.open_study({"orders": orders.assign(order_id=range(len(orders))).astype({"order_id": str})}),
        dormant="40 D",
    )
    assert account.table()["opening"].iloc[0] > 0
    assert account.claim().startswith("After 2 months")


def test_a_flow_of_a_few_customers_is_not_shown() -> None:
    days = {f"c{i}": list(range(i % 5, 155, 5)) for i in range(40)} | {f"d{i}": [1, 20] for i in range(3)}
    account = cx.customers.lifecycle(study_of(days), dormant="20 D")
    assert 3 in account.table()["lapsed"].tolist()
    assert 3 not in account.visible()["lapsed"].tolist()
    small = (
        account.table()[["new", "returned", "lapsed", "closing", "dormant"]].isin(range(1, 10)).any(axis=1)
    )
    assert len(account.visible()) == len(account.table()) - small.sum()
    assert 3 not in account.visible()["dormant"].tolist()


def test_a_study_shorter_than_dormancy_and_an_unknown_period_are_refused() -> None:
    with pytest.raises(
        CxValueError, match="No month lies whole within the study once it has lasted 200 days"
    ):
        cx.customers.lifecycle(study_of(FOUR), dormant="200 D")
    with pytest.raises(CxValueError, match="there are: week, month, quarter"):
        cx.customers.lifecycle(study_of(FOUR), every="year")
    with pytest.raises(CxValueError, match="dormant is `soon`"):
        cx.customers.lifecycle(study_of(FOUR), dormant="soon")


def test_the_figure_says_the_last_period() -> None:
    account = cx.customers.lifecycle(cx.open_study("demo"))
    shown = cx.customers.plots.lifecycle(account)
    assert f"{account.table()['closing'].iloc[-1]:,.0f} at the last" in shown.alt
    assert (
        "too few" in cx.customers.plots.lifecycle(cx.customers.lifecycle(study_of(FOUR), dormant="30 D")).alt
    )
