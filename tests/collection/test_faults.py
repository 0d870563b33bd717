"""Faults by their stated rules: small tables where a reader sees them, and worlds where they were planted."""

from __future__ import annotations

import os

import ibis
import numpy as np
import pandas as pd
import pytest
from scipy.stats import binom

import cxlib as cx
from cxlib.collection import cleaned, faults
from cxlib.errors import MissingTable
from cxlib.study.banned import BANNED, banned
from cxlib.world import simulate

SECOND, MINUTE, HOUR = (pd.Timedelta(1, unit) for unit in ("s", "min", "h"))
START = pd.Timestamp("2026-03-02 10:00:07")
KINDS = ["again_", "junk_", "bot_", "clock_", "late_"]


def visits(people: int = 120, seed: int = 0) -> pd.DataFrame:
    """Customers with a device each and two visits of four pages, some minutes apart; all arrive at once."""
    rng = np.random.default_rng(seed)
    pause = rng.integers(20, 600, (people, 2, 4)).cumsum(axis=2) + np.array([0, 9 * 86_400])[:, None]
    at = START + pd.to_timedelta((pause + rng.integers(0, 86_400, (people, 1, 1))).ravel(), unit="s")
    who = np.repeat(np.arange(people), 8)
    return made(at, [f"d{i}" for i in who], [f"c{i}" for i in who])


def made(at, device, customer=None, delay=2 * SECOND) -> pd.DataFrame:
    """Events of the web at these times; `delay` until they arrive."""
    frame = pd.DataFrame({"ts": pd.DatetimeIndex(at)}).assign(
        customer_id=customer, anonymous_id=device, touchpoint="web_page", channel="web", stage="engagement"
    )
    return frame.assign(received_ts=frame["ts"] + delay)


def opened(*frames: pd.DataFrame, **settings):
    events = pd.concat([frame.astype({"customer_id": "string"}) for frame in frames], ignore_index=True)
    return cx.open_study({"touchpoints": events.assign(event_id=range(len(events)))}, **settings)


def flagged(study, fault: str) -> list[int]:
    """The events with that fault; they are numbered as they were put together."""
    flags = study.fetch(faults(study).flags)
    return sorted(flags.loc[flags[fault], "event_id"])


def off(study) -> dict[str, float]:
    """Devices with a wrong clock, and by how many seconds (NaN where its events do not agree)."""
    devices = study.fetch(faults(study).devices).set_index("device_")
    return (devices.loc[devices["clock_"], "offset_"] / 1e6).to_dict()


def test_events_of_people_have_no_fault():
    study = opened(visits())
    table = faults(study).table()
    assert table["fault"].tolist() == [
        "sent twice",
        "under nobody's id",
        "from a machine",
        "by a wrong clock",
        "late",
    ]
    assert table["estimate"].tolist() == [0] * 5
    assert (table["high"] > 0).all()  # none seen is not none
    assert table["n"].eq(960).all()
    assert faults(study).claim() == "No event is at fault by these rules."
    with pytest.raises(MissingTable, match="faults needs the table `touchpoints`"):
        faults(cx.open_study({"customers": pd.DataFrame({"customer_id": ["a"]})}))


# --- sent twice ----------------------------------------------------------------------------------


def test_an_event_equal_in_all_but_its_id_and_arrival_was_sent_twice_and_the_first_to_arrive_counts():
    frame = visits().assign(content=None)
    later = frame.iloc[:10].assign(received_ts=lambda f: f["received_ts"] + MINUTE)
    sooner = frame.iloc[10:20].assign(received_ts=lambda f: f["received_ts"] - SECOND)
    other = frame.iloc[20:30].assign(content="another product")
    study = opened(frame, later, later, sooner, other)
    assert flagged(study, "again_") == [*range(10, 20), *range(960, 980)]
    row = faults(study).table().iloc[0]
    assert (row["count"], row["n"], row["estimate"]) == (30, 1000, pytest.approx(0.03))


def test_where_times_have_no_seconds_two_equal_events_may_be_two():
    frame = visits().assign(ts=lambda f: f["ts"].dt.floor("min"), source="crm")
    study = opened(frame, frame.iloc[:10])
    assert "sent twice" not in faults(study).table()["fault"].tolist()
    assert flagged(study, "again_") == []
    exact = visits(seed=1).assign(source="web")
    assert flagged(opened(frame, frame.iloc[:10], exact, exact.iloc[:10]), "again_") == [*range(1930, 1940)]


# --- nobody's id ---------------------------------------------------------------------------------


def test_placeholders_are_told_in_any_case_and_ids_that_look_like_them_are_not():
    wrong = [*BANNED, "NULL", " Undefined ", "0", "0000", "00000000-0000-0000-0000-000000000000", "-0"]
    right = ["nullable", "c0", "10", "0a", "a-0", "x", "-", "anonymous-17", ""]
    right.remove("-")  # which is one
    table = ibis.memtable({"id": [*wrong, *right, None]})
    found = table.mutate(nobody=banned(table.id)).execute()
    assert found["nobody"].tolist() == [True] * len(wrong) + [False] * (len(right) + 1)


def test_under_a_placeholder_each_event_is_a_strangers():
    frame = visits()
    frame.loc[:99, ["anonymous_id", "customer_id"]] = ["undefined", None]
    row = faults(opened(frame)).table().iloc[1]
    assert (row["count"], row["estimate"]) == (100, pytest.approx(100 / 960))
    assert 0.07 < row["low"] < row["high"] < 0.15  # as of a hundred people, not of one


# --- machines ------------------------------------------------------------------------------------


def crawler(pages: int = 40, every=2 * SECOND, **more) -> pd.DataFrame:
    return made(START + np.arange(pages) * every, "bot").assign(**more)


def bots(study) -> set[str]:
    devices = study.fetch(faults(study).devices)
    return set(devices.loc[devices["bot_"], "device_"])


def test_a_machine_is_fast_for_long_and_has_a_device_of_its_own():
    short, slow = crawler(pages=29, anonymous_id="short"), crawler(every=6 * SECOND, anonymous_id="slow")
    study = opened(visits(), crawler(), short, slow, crawler(anonymous_id="null"))
    assert bots(study) == {"bot"}
    assert flagged(study, "bot_") == [*range(960, 1000)]


@pytest.mark.parametrize(
    "person", [{"customer_id": "c1"}, {"order_id": "o1"}, {"touchpoint": "web_purchase"}], ids=str
)
def test_who_signs_in_or_buys_is_no_machine_and_one_such_hides_no_other(person):
    fast = crawler(**{name: [None] * 39 + [value] for name, value in person.items()}, anonymous_id="fast")
    fast["touchpoint"] = fast["touchpoint"].fillna("web_page")
    settings = {"conversion": ["web_purchase"]} if "touchpoint" in person else {}
    assert bots(opened(visits(), crawler(), fast, **settings)) == {"bot"}


def test_a_cookie_that_is_linked_to_a_customer_is_no_machine():
    events = pd.concat([visits(), crawler()], ignore_index=True).assign(event_id=range(1000))
    link = pd.DataFrame({"id_type": ["cookie"], "id_value": ["bot"], "customer_id": ["c1"]})
    assert bots(cx.open_study({"touchpoints": events, "identities": link})) == set()


def test_where_people_send_as_fast_as_machines_only_what_is_faster_is_one():
    # Every scroll and click is an event: forty in a row, one a second, for everybody.
    at = START + pd.to_timedelta((np.arange(120)[:, None] * 3600 + np.arange(40)).ravel(), unit="s")
    who = np.repeat(np.arange(120), 40)
    dense = made(at, [f"d{i}" for i in who], [f"c{i}" for i in who])
    assert bots(opened(dense, crawler(), crawler(every=SECOND / 5, anonymous_id="swift"))) == {"swift"}


def test_machines_cannot_be_told_without_people_to_compare_with():
    study = opened(visits(99), crawler())
    assert "from a machine" not in faults(study).table()["fault"].tolist()
    assert flagged(study, "bot_") == []


# --- clocks and lateness -------------------------------------------------------------------------


def test_a_device_whose_events_are_all_off_by_the_same_time_has_a_wrong_clock():
    frame, behind = visits(), {"d7": -3 * HOUR, "d8": 20 * MINUTE, "d9": 3 * HOUR}
    jitter = pd.to_timedelta(np.arange(len(frame)) % 3, unit="s")
    frame["ts"] -= frame["anonymous_id"].map(behind).fillna(pd.Timedelta(0)) + jitter
    study = opened(frame)
    assert off(study) == {device: pytest.approx(by / SECOND, abs=3) for device, by in behind.items()}
    assert flagged(study, "clock_") == [*range(56, 80)]
    assert flagged(study, "late_") == []


def test_an_event_late_by_the_mended_clock_is_late():
    frame = visits()
    frame.loc[frame["anonymous_id"] == "d7", "ts"] += 4 * HOUR
    frame.loc[56, "received_ts"] += 5 * HOUR  # an hour late by the device, five in truth
    frame.loc[57, "received_ts"] += 2 * HOUR  # before it happened by the device, two hours late in truth
    study = opened(frame)
    assert off(study) == {"d7": pytest.approx(-4 * 3600, abs=3)}
    assert flagged(study, "late_") == [56, 57]


def test_one_late_event_is_late_and_one_that_comes_before_it_happened_has_a_wrong_clock():
    frame = visits()
    frame.loc[3, "received_ts"] += 5 * HOUR
    frame.loc[11, "received_ts"] -= 5 * HOUR
    single = made([START, START], ["lone", "hasty"], delay=[5 * HOUR, -5 * HOUR])
    study = opened(frame, single)
    assert flagged(study, "late_") == [3, 960]
    assert flagged(study, "clock_") == [11, 961]
    assert set(off(study)) == {"d1", "hasty"}


def test_an_offline_queue_is_late_and_no_wrong_clock():
    taps = START + np.arange(6) * 20 * SECOND
    queue = made(taps, "phone").assign(received_ts=START + 3 * HOUR + np.arange(6) * SECOND)
    study = opened(visits(), queue)
    assert off(study) == {}
    assert flagged(study, "late_") == [*range(960, 966)]


def test_a_source_that_is_off_as_a_whole_is_no_matter_of_its_devices():
    local = visits(seed=1).assign(source="till", ts=lambda f: f["ts"] + 2 * HOUR)
    study = opened(visits().assign(source="web"), local)
    assert off(study) == {}
    assert flagged(study, "clock_") == []


def test_of_two_copies_only_the_first_is_late():
    frame = visits()
    frame.loc[::40, "received_ts"] += 3 * HOUR
    again = frame.iloc[::40].assign(received_ts=lambda f: f["received_ts"] + MINUTE)
    assert flagged(opened(frame, again), "late_") == [*range(0, 960, 40)]


def test_without_times_of_arrival_or_anonymous_ids_nothing_is_said_of_what_needs_them():
    told = lambda frame: faults(opened(frame)).table()["fault"].tolist()  # noqa: E731
    assert told(visits().drop(columns="received_ts")) == ["sent twice", "under nobody's id", "from a machine"]
    assert told(visits().drop(columns="anonymous_id")) == ["sent twice", "by a wrong clock", "late"]


# --- cleaned -------------------------------------------------------------------------------------


def spoilt():
    frame = visits().assign(content=None)
    frame.loc[[0, 1], "anonymous_id"] = "null"
    frame.loc[2, ["anonymous_id", "customer_id"]] = ["NULL", None]
    frame.loc[3, "received_ts"] += 5 * HOUR
    return opened(frame, frame.iloc[10:15], crawler())


def test_the_cleaned_study_is_without_copies_machines_and_placeholders_and_keeps_the_rest():
    study = spoilt()
    clean = cleaned(study)
    rows = clean.fetch(clean.table("touchpoints").order_by("event_id"))
    assert rows["event_id"].tolist() == [*range(960)]
    assert rows["anonymous_id"].isna().tolist() == [True, True] + [False] * 958
    assert rows["anonymous_id"].iloc[2] == "event 2"  # nobody's, so of its own
    assert clean.findings.rows["touchpoints"] == 960
    again = faults(clean).table().set_index("fault")["count"]
    assert again.to_dict() == {
        "sent twice": 0,
        "under nobody's id": 0,
        "from a machine": 0,
        "by a wrong clock": 0,
        "late": 1,
    }
    assert study.fetch(study.table("touchpoints").count().as_table()).iloc[0, 0] == 1005


def test_every_event_of_the_cleaned_study_is_somebodys():
    clean = cleaned(spoilt())
    assert clean.fetch(clean.log().table.count().as_table()).iloc[0, 0] == 960
    assert clean.log().people == 121  # the stranger under a placeholder is one more


def test_the_cleaned_study_has_its_own_fingerprint_caches_and_identities(tmp_path):
    world = simulate(150, seed=3)
    study = cx.open_study(world.write(tmp_path / "study"))
    clean = cleaned(study)
    assert clean.fingerprint != study.fingerprint
    assert clean.cache != study.cache
    assert cleaned(study).fingerprint == clean.fingerprint
    assert faults(clean).table()["count"].iloc[:3].tolist() == [0, 0, 0]
    assert faults(study).table()["count"].iloc[0] > 0
    ids = clean.fetch(clean.table("identities"))["id_value"]
    assert not ids.isin(["null", "0", "anonymous", "undefined"]).any()
    assert clean.truth("nps").equals(study.truth("nps"))


def test_no_identifier_is_said_or_shown():
    frame = visits()
    frame["anonymous_id"] = "secret" + frame["anonymous_id"]
    frame["customer_id"] = "secret" + frame["customer_id"]
    frame.loc[frame["anonymous_id"].isin([f"secretd{i}" for i in range(20)]), "ts"] -= 3 * HOUR
    found = faults(opened(frame, frame.iloc[:200]))
    shown = [*found._repr_mimebundle_().values(), found.claim(), repr(found)]
    assert not any("secret" in text for text in shown)
    assert found.table()["count"].sum() > 200


# --- planted -------------------------------------------------------------------------------------


@pytest.mark.slow
def test_what_was_planted_is_counted_to_five_per_cent_and_told_nine_times_in_ten(base_seed):
    customers = int(os.environ.get("CXLIB_CUSTOMERS", "5000"))  # the bars are for 20,000
    told = {"bots": np.zeros(3), "clocks": np.zeros(3)}
    for seed in range(base_seed, base_seed + 3):
        world = simulate(customers, seed)
        study, planted = cx.open_study(world.tables), world.planted["events"]
        events = world.tables["touchpoints"].merge(
            planted[["event_id", "clean_event_id", "fault"]], on="event_id"
        )
        clean = world.clean["touchpoints"][["event_id", "ts"]].set_axis(["clean_event_id", "truly"], axis=1)
        events = events.merge(clean, on="clean_event_id", how="left")
        result = faults(study)
        flags, devices = study.fetch(result.flags), study.fetch(result.devices)
        count = dict(zip(KINDS, result.table()["count"], strict=True))
        assert count == {kind: flags[kind].sum() for kind in KINDS}

        copy = events["fault"] == "duplicate"
        junk = events["anonymous_id"].isin(["null", "0", "anonymous", "undefined"])
        late = (events["received_ts"] - events["truly"] > HOUR) & ~copy
        for kind, planted_here in (("again_", copy), ("junk_", junk), ("late_", late)):
            assert count[kind] == pytest.approx(planted_here.sum(), rel=0.05), kind

        wrong = (events["ts"] - events["truly"]).abs() > MINUTE
        truth = {
            "bots": set(events.loc[events["fault"] == "bot", "anonymous_id"]),
            "clocks": set(events.loc[wrong & ~junk & events["anonymous_id"].notna(), "anonymous_id"]),
        }
        for name, mark in (("bots", "bot_"), ("clocks", "clock_")):
            found = set(devices.loc[devices[mark], "device_"])
            told[name] += len(found & truth[name]), len(found), len(truth[name])
    for both, found, there in told.values():  # rejected only where nine in ten is ruled out
        assert binom.cdf(both, found, 0.9) > 0.001
        assert binom.cdf(both, there, 0.9) > 0.001
