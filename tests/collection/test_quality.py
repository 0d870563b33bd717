"""Volume, freshness, duplicates, late events, blanks, promises and stars, against plain pandas."""

from __future__ import annotations

import dataclasses
import re

import numpy as np
import pandas as pd
import pytest

import cxlib as cx
from cxlib import voice
from cxlib.collection import csat, promises, quality, scores, stars, summary
from cxlib.collection.gaps import gaps
from cxlib.errors import CxLookupError, MissingTable

HOUR, DAY = pd.Timedelta(hours=1), pd.Timedelta(days=1)


def events() -> pd.DataFrame:
    """Forty customers for sixty days on the web and, until day 40, by phone; some events spoiled."""
    rng = np.random.default_rng(0)
    n = 1200
    frame = pd.DataFrame(
        {
            "event_id": np.arange(n),
            "customer_id": [f"c{i}" for i in rng.integers(0, 40, n)],
            "ts": pd.Timestamp("2026-01-01")
            + pd.to_timedelta(np.sort(rng.integers(0, 60 * 86_400, n)), unit="s"),
        }
    )
    late_phone = (frame["ts"] >= pd.Timestamp("2026-02-10")) | frame["ts"].between("2026-01-11", "2026-01-15")
    frame["channel"] = np.where((frame.index % 3 == 0) & ~late_phone, "call", "web")
    frame["touchpoint"] = frame["channel"] + "_contact"
    frame["source"], frame["stage"] = "crm", "engagement"
    frame["received_ts"] = frame["ts"] + pd.Timedelta(seconds=5)
    return frame


def opened(frame: pd.DataFrame, **more: pd.DataFrame) -> object:
    return quality(cx.open_study({"touchpoints": frame, **more}))


def test_volume_freshness_and_gaps_are_those_a_reader_would_count():
    frame = events()
    table = opened(frame).volume.table().set_index("channel")
    for channel, part in frame.groupby("channel"):
        row = table.loc[channel]
        assert row["n"] == row["estimate"] == len(part)
        assert row["customers"] == part["customer_id"].nunique()
        assert row["first"] == part["ts"].min()
        assert row["days_silent"] == pytest.approx((frame["ts"].max() - part["ts"].max()) / DAY)
        days = part["ts"].dt.normalize().drop_duplicates()
        assert row["longest_gap_days"] == days.diff().max() / DAY - 1
    assert table.loc["call", "longest_gap_days"] >= 4
    assert "call has been silent" in opened(frame).claim()


def test_a_channel_missing_in_the_events_is_taken_from_the_catalog():
    frame = events().drop(columns=["channel", "stage"])
    catalog = pd.DataFrame(
        {"touchpoint": ["web_contact", "call_contact"], "channel": ["web", "call"], "stage": "engagement"}
    )
    assert set(opened(frame, catalog=catalog).volume.table()["channel"]) == {"web", "call"}


def test_anonymous_events_are_a_share_of_each_channel():
    frame = events()
    frame["anonymous_id"] = np.where(frame.index < 300, "cookie", None)
    frame.loc[frame.index < 300, "customer_id"] = None
    table = opened(frame).volume.table()
    assert (table["anonymous"] * table["n"]).sum() == pytest.approx(300)


def test_blanks_are_counted_for_every_column_that_came():
    frame = events().assign(shelf=None, device=[None, "mobile"] * 600)
    table = opened(frame).blanks.table().set_index("column")
    assert table.loc["device", "estimate"] == pytest.approx(0.5)
    assert table.loc["shelf", "estimate"] == 1
    assert not table.loc["shelf", "in_contract"]
    assert "campaign" not in table.index


def test_events_by_month_add_up():
    frame = events()
    table = opened(frame).monthly.table()
    assert table["n"].sum() == len(frame)
    expected = frame.groupby([frame["channel"], frame["ts"].dt.to_period("M").dt.start_time]).size()
    assert table.set_index(["channel", "month"])["n"].to_dict() == expected.to_dict()


def test_renaming_customers_changes_no_figure():
    frame = events()
    one = opened(frame)
    other = opened(frame.assign(customer_id="x" + frame["customer_id"].str[::-1]))
    for part in ("volume", "faults", "gaps", "identity", "blanks", "monthly"):
        pd.testing.assert_frame_equal(getattr(one, part).table(), getattr(other, part).table(), rtol=1e-9)


def test_quality_without_touchpoints_says_what_is_missing():
    people = pd.DataFrame({"customer_id": ["a"]})
    with pytest.raises(MissingTable, match="quality needs the table `touchpoints`"):
        quality(cx.open_study({"customers": people}))


# --- promises and stars ------------------------------------------------------------------------


@pytest.fixture(scope="module")
def olist(mirror) -> object:
    return cx.open_study("olist")


def test_olist_delivers_and_is_late_as_published(olist):
    table = promises(olist).table()
    # 15,000 orders, 97.0 % delivered; 7.94 % later by timestamp, 6.58 % by calendar day (the data's card)
    assert table["n"].iloc[0] == 15_000
    delivered, by_time, by_day = 100 * table["estimate"]
    assert delivered == pytest.approx(97.0, abs=0.05)
    assert by_time == pytest.approx(7.94, abs=0.005)
    assert by_day == pytest.approx(6.58, abs=0.005)
    assert (table["low"] < table["estimate"]).all()
    assert (table["estimate"] < table["high"]).all()
    said = promises(olist).claim().replace("\u00a0", " ")
    assert "by timestamp: 7.94 %" in said
    assert "by calendar day (UTC): 6.58 %" in said


def test_olist_stars_spread_as_published(olist):
    table = stars(olist).table()
    assert table["n"].eq(14_944).all()
    assert (100 * table["estimate"]).round(1).tolist() == [11.4, 3.2, 8.6, 19.3, 57.5]
    assert table["estimate"].sum() == pytest.approx(1)


def deliveries() -> pd.DataFrame:
    """Promised for 10 January in Rome; delivered on that day and the next, by Rome's clock."""
    delivered = ["2026-01-10 12:00", "2026-01-10 22:59", "2026-01-10 23:01", None]
    return pd.DataFrame(
        {
            "order_id": list("abcd"),
            "customer_id": list("wxyz"),
            "ts": pd.Timestamp("2026-01-02"),
            "revenue": 100,
            "currency": "EUR",
            "status": ["delivered", "delivered", "delivered", "shipped"],
            "promised_ts": pd.Timestamp("2026-01-09 23:00"),  # midnight in Rome as 10 January begins
            "delivered_ts": pd.to_datetime(delivered),
        }
    )


@pytest.mark.parametrize(("zone", "late"), [("Europe/Rome", 1 / 3), ("UTC", 1.0)])
def test_calendar_days_are_those_of_the_files_own_time_zone(zone, late):
    study = cx.open_study({"orders": deliveries()})
    study = dataclasses.replace(study, settings=dataclasses.replace(study.settings, time_zone=zone))
    table = promises(study).table()
    assert table["estimate"].tolist() == pytest.approx([3 / 4, 1.0, late])
    assert zone in table["what"].iloc[2]


def test_calendar_days_follow_a_change_of_clocks():
    # Rome went to summer time on 29 March 2026: 22:30 UTC is the same day before it, the next day after it.
    frame = (
        deliveries()
        .iloc[:2]
        .assign(
            promised_ts=pd.to_datetime(["2026-03-27 23:00", "2026-03-29 22:00"]),
            delivered_ts=pd.to_datetime(["2026-03-28 22:30", "2026-03-30 22:30"]),
        )
    )
    study = cx.open_study({"orders": frame})
    study = dataclasses.replace(study, settings=dataclasses.replace(study.settings, time_zone="Europe/Rome"))
    assert promises(study).table()["estimate"].iloc[2] == pytest.approx(1 / 2)


def test_promises_name_the_columns_that_are_absent():
    with pytest.raises(CxLookupError, match="there is no promised_ts"):
        promises(cx.open_study({"orders": deliveries().drop(columns="promised_ts")}))


def test_stars_cover_the_scale_even_where_nobody_chose_a_score():
    frame = pd.DataFrame(
        {
            "response_id": list("abc"),
            "customer_id": list("xyz"),
            "ts": pd.Timestamp("2026-01-01"),
            "question": "csat",
            "score": [5.0, 5.0, 2.0],
            "scale_min": 1.0,
            "scale_max": 5.0,
        }
    )
    table = stars(cx.open_study({"surveys": frame})).table()
    assert table["score"].tolist() == [1, 2, 3, 4, 5]
    assert table["estimate"].tolist() == pytest.approx([0, 1 / 3, 0, 0, 2 / 3])
    with pytest.raises(CxLookupError, match="Nobody answered `ces`"):
        stars(cx.open_study({"surveys": frame}), "ces")


@pytest.mark.parametrize("status", ["Delivered", "DELIVERED ", "delivered"])
def test_a_status_is_read_in_any_case(status):
    orders = pd.concat([deliveries().iloc[:3].assign(status=status)] * 5, ignore_index=True)
    orders = orders.assign(order_id=range(15), customer_id=[f"c{i}" for i in range(15)])
    study = cx.open_study({"orders": orders})
    assert promises(study).table()["estimate"].iloc[0] == 1
    assert "delivered: 100.00" in promises(study).claim()


def test_where_no_status_says_delivered_that_is_said():
    orders = pd.concat([deliveries().assign(status="Consegnato")] * 5, ignore_index=True)
    orders = orders.assign(order_id=range(20), customer_id=[f"c{i}" for i in range(20)])
    assert 'none has the status "delivered"' in promises(cx.open_study({"orders": orders})).claim()


def test_stars_use_the_weights_of_the_table_as_scores_do():
    frame = pd.DataFrame(
        {
            "response_id": range(60),
            "customer_id": [f"c{i // 2}" for i in range(60)],
            "ts": pd.Timestamp("2026-01-01"),
            "question": "csat",
            "score": np.tile([5.0, 4.0, 2.0], 20),
            "scale_min": 1.0,
            "scale_max": 5.0,
            "weight": np.tile([1.0, 0.5, 3.0], 20),
        }
    )
    study = cx.open_study({"surveys": frame})
    table = stars(study).table().set_index("score")
    assert table.loc[2, "estimate"] == pytest.approx(3 / 4.5)
    assert table.loc[[4, 5], "estimate"].sum() == pytest.approx(
        scores(study, "csat", None).table()["estimate"][0]
    )
    low = csat((frame["score"] == 2).astype(float), 0, 1, frame["weight"], frame["customer_id"])
    assert (table.loc[2, "low"], table.loc[2, "high"]) == pytest.approx((low.low, low.high))


def test_a_score_that_few_customers_gave_is_neither_said_nor_drawn():
    frame = pd.DataFrame(
        {
            "response_id": range(100),
            "customer_id": [f"c{i}" for i in range(100)],
            "ts": pd.Timestamp("2026-01-01"),
            "question": "csat",
            "score": [1.0] + [4.0] * 40 + [5.0] * 59,
            "scale_min": 1.0,
            "scale_max": 5.0,
        }
    )
    result = stars(cx.open_study({"surveys": frame}))
    assert result.table()["count"].tolist() == [1, 0, 0, 40, 59]
    for text in (result.claim(), voice.plots.stars_bar(result).alt, result._repr_mimebundle_()["text/html"]):
        assert "59.0" in text
        assert not re.search(r"\b1\.0[\s\u00a0]%", text)
        # The shares sum to 1: beside 59 %, a 40 % would say that 1 % is left.
        assert "40.0" not in text


def test_a_scale_of_a_hundred_steps_is_shown_in_bands():
    score = np.r_[np.repeat([0.0, 9.0, 10.0, 55.0, 99.0, 100.0], 20)]
    frame = pd.DataFrame(
        {
            "response_id": range(120),
            "customer_id": [f"c{i}" for i in range(120)],
            "ts": pd.Timestamp("2026-01-01"),
            "question": "csat",
            "score": score,
            "scale_min": 0.0,
            "scale_max": 100.0,
        }
    )
    result = stars(cx.open_study({"surveys": frame}))
    table = result.table().set_index("score")
    assert list(table.index) == [f"{low} to {low + 9 + (low == 90)}" for low in range(0, 100, 10)]
    found = table.loc[table["count"] > 0, "count"]
    assert found.to_dict() == {"0 to 9": 40, "10 to 19": 20, "50 to 59": 20, "90 to 100": 40}
    assert table["estimate"].sum() == pytest.approx(1)
    assert "90 to 100: 33.3" in result.claim()
    assert "90 to 100: 33.3" in voice.plots.stars_bar(result).alt


# --- days, persons -----------------------------------------------------------------------------


def test_days_and_months_are_those_of_the_files_own_time_zone(tmp_path):
    # A date-only export from Rome: midnight there is the evening before in UTC.
    days = ["2026-01-31", "2026-02-01", "2026-07-01"] * 10
    frame = pd.DataFrame({"event_id": range(30), "customer_id": [f"c{i}" for i in range(30)], "ts": days})
    frame = frame.assign(touchpoint="web", channel="web", stage="engagement")
    frame.to_csv(tmp_path / "touchpoints.csv", index=False)
    (tmp_path / "study.yaml").write_text("time_zone: Europe/Rome\n")
    result = quality(cx.open_study(tmp_path))
    volume, monthly = result.volume.table().iloc[0], result.monthly.table()
    assert (str(volume["first"].date()), str(volume["last"].date())) == ("2026-01-31", "2026-07-01")
    assert monthly["month"].dt.strftime("%Y-%m").tolist() == ["2026-01", "2026-02", "2026-07"]
    assert monthly["n"].tolist() == monthly["customers"].tolist() == [10, 10, 10]
    assert volume["longest_gap_days"] == (pd.Timestamp("2026-07-01") - pd.Timestamp("2026-02-01")).days - 1
    assert "from 2026-01-31 to 2026-07-01" in result.volume.claim()


@pytest.mark.parametrize("both", [True, False])
def test_a_linked_cookie_counts_as_its_customer_once(both):
    frame = pd.DataFrame(
        {
            "event_id": range(6),
            "customer_id": ["ann", None, None, None, "bob", "cookie1"],
            "anonymous_id": [None, "cookie1", "cookie2", "cookie9", None, None],
            "ts": pd.Timestamp("2026-01-01"),
            "touchpoint": "web",
            "channel": "web",
            "stage": "engagement",
        }
    )
    identities = pd.DataFrame(
        {"id_type": "cookie", "id_value": ["cookie1", "cookie2"], "customer_id": "ann", "rule": "login"}
    )
    if not both:
        frame = frame.drop(columns="customer_id")[1:4]
    study = cx.open_study({"touchpoints": frame, "identities": identities})
    result = quality(study)
    # ann (with two cookies), bob, an unknown cookie, and a customer whose id is a cookie's text
    assert result.volume.table()["customers"].iloc[0] == study.log().people == (4 if both else 2)
    repeats = result.faults.table()
    assert repeats["customers"].iloc[0] == study.log().people


# --- what is said and shown --------------------------------------------------------------------


def test_a_count_is_shown_once_and_kept_whole_in_the_table():
    volume = opened(events()).volume
    shown = volume._repr_mimebundle_()
    assert {"estimate", "low", "high", "n"} <= set(volume.table())
    assert "estimate" not in shown["text/csv"]
    assert "estimate" not in shown["text/html"]


def test_a_study_of_orders_alone_is_summarised_by_what_it_has():
    lines = summary(cx.open_study({"orders": deliveries()})).lines
    said = "Neither touchpoints nor surveys are in this study; it has orders 4 (rows)."
    assert lines == (said, "Too few customers to say.")  # of four orders, nothing on promises


# --- gaps and bursts -----------------------------------------------------------------------------


def daily(days: int = 120, mean: float = 40.0, weekend: float = 1.0, seed: int = 0) -> pd.DataFrame:
    """Visitors a day of one channel, each with two events on average; fewer at weekends."""
    rng = np.random.default_rng(seed)
    day = pd.date_range("2026-01-05", periods=days)
    customers = rng.poisson(mean * np.where(day.day_of_week < 5, 1.0, weekend))
    events = customers + rng.poisson(customers)
    return pd.DataFrame(
        {"source": "s", "channel": "web", "day": day, "events": events, "customers": customers}
    )


def unusual(frame: pd.DataFrame) -> list[tuple[str, str, int]]:
    """What is unusual in the days with events: what, from which day, for how many days."""
    table = gaps(frame[frame["events"] > 0], frame["day"].min(), frame["day"].max()).table()
    return [(row.what, f"{row.first:%m-%d}", row.days) for row in table.itertuples()]


@pytest.mark.parametrize("weekend", [1.0, 0.3, 0.0])
def test_a_rhythm_of_the_week_is_neither_a_gap_nor_a_burst_and_a_day_against_it_is(weekend):
    frame = daily(weekend=weekend)
    assert unusual(frame) == []
    frame.loc[frame["day"] == "2026-03-04", ["events", "customers"]] = 0  # a Wednesday
    frame.loc[frame["day"] == "2026-04-01", "events"] *= 4
    assert unusual(frame) == [("burst", "04-01", 1), ("gap", "03-04", 1)]


def test_a_long_silence_is_one_gap_also_at_the_end_but_not_before_the_beginning():
    frame = daily()
    frame.loc[frame["day"].between("2026-02-10", "2026-03-20"), ["events", "customers"]] = 0
    assert unusual(frame) == [("gap", "02-10", 39)]
    table = gaps(frame[frame["events"] > 0], frame["day"].min(), frame["day"].max()).table()
    assert table["usual"].iloc[0] == pytest.approx(39 * 80, rel=0.1)
    assert table["estimate"].iloc[0] == 0
    whole = daily()
    began = pd.concat([whole.assign(channel="old"), whole[whole["day"] >= "2026-03-01"]])
    assert unusual(began) == []
    ended = pd.concat([whole.assign(channel="old"), whole[whole["day"] < "2026-03-01"]])
    assert unusual(ended) == [("gap", "03-01", 64)]  # to the last whole day of the study


def test_days_without_visitors_where_few_come_are_no_gap():
    frame = daily(mean=0.7)
    assert (frame["events"] == 0).sum() > 40
    assert unusual(frame) == []


def test_a_study_of_two_weeks_is_too_short_for_gaps():
    frame = daily(days=14)
    frame.loc[7, ["events", "customers"]] = 0
    assert gaps(frame[frame["events"] > 0], frame["day"].min(), frame["day"].max()).claim() == (
        "Too short a time to know what is usual on a day."
    )


def test_chance_alone_makes_gaps_and_bursts_seldom(base_seed):
    found = [
        unusual(daily(365, mean, weekend, base_seed + i))
        for i, (mean, weekend) in enumerate([(0.5, 1), (3, 0.5), (15, 0.2), (60, 1), (400, 0.7)] * 4)
    ]
    assert sum(map(len, found)) <= 2  # in twenty years of days


def test_gaps_are_said_with_their_dates():
    frame = events()
    more = pd.concat([frame.assign(event_id=lambda f, k=k: f["event_id"] + 2000 * k) for k in range(20)])
    more["customer_id"] += (more["event_id"] // 2000).astype(str)
    found = opened(more.reset_index(drop=True)).gaps
    table = found.table()
    assert table[["what", "channel"]].to_numpy().tolist() == [["gap", "call"]] * 2
    assert [f"{day:%m-%d}" for day in table["first"]] == ["02-10", "01-11"]
    assert table["days"].tolist() == [19, 4]
    assert "2 gaps, the greatest in call from 2026-02-10" in found.claim()


# --- whose the events are, and consent -----------------------------------------------------------


def test_events_are_a_known_customers_a_linked_or_an_unlinked_cookies_and_nobody_elses():
    frame = events()
    frame["anonymous_id"] = "cookie" + frame["customer_id"]
    known = frame["customer_id"].str[1:].astype(int)
    frame.loc[(known >= 20) | (frame.index % 4 == 0), "customer_id"] = None
    linked = frame["customer_id"].isna() & (known < 20)
    result = opened(frame).identity
    table = result.table().set_index(["channel", "whose"])["estimate"]
    expected = [frame["customer_id"].notna().mean(), linked.mean(), (known >= 20).mean()]
    assert table["(all)"].tolist() == pytest.approx(expected)
    web = frame["channel"] == "web"
    assert table["web", "unlinked cookies"] == pytest.approx((known >= 20)[web].mean())
    assert table.groupby("channel").sum().tolist() == pytest.approx([1] * 3)
    assert f"{100 * expected[2]:.1f}" in result.claim()


def test_consent_is_known_and_given_by_shares_of_events_and_of_customers():
    frame = events().assign(consent=[True, True, False, None] * 300)
    people = pd.DataFrame({"customer_id": [f"c{i}" for i in range(40)], "consent": [True] * 30 + [None] * 10})
    table = opened(frame, customers=people).consent.table()
    assert table[["of", "what"]].to_numpy().tolist() == [
        ["events", "known"],
        ["events", "given"],
        ["customers", "known"],
        ["customers", "given"],
    ]
    assert table["estimate"].tolist() == pytest.approx([3 / 4, 2 / 3, 3 / 4, 1])
    assert table["n"].tolist() == [1200, 900, 40, 30]
    assert "known for 75.0" in opened(frame, customers=people).consent.claim()
    assert opened(events()).consent.claim() == "Nothing in this study says who agreed to what."


def test_the_page_costs_nothing_the_second_time(tmp_path):
    events().to_parquet(tmp_path / "touchpoints.parquet")
    first, second = cx.open_study(tmp_path), cx.open_study(tmp_path)
    quality(first)
    before = second.engine.rows_out
    again = quality(second)
    assert second.engine.rows_out == before
    assert len(again.faults.table()) == 3
