"""The log against the plain pandas expression that a reader would write."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

import cxlib as cx
from cxlib.errors import CxLookupError, CxValueError, MissingTable
from cxlib.study.log import END, FOLDS, Log

Events = Callable[..., pd.DataFrame]
Folder = Callable[..., Path]
START = pd.Timestamp("2026-01-05T10:00:00")


def rows(log: Log) -> pd.DataFrame:
    """The decoded log in order, text columns as objects with None."""
    frame = log.study.fetch(log.decoded()).sort_values("event", ignore_index=True)
    text = ["key", "touchpoint", "channel", "stage", "initiated", "previous", "next"]
    frame[text] = frame[text].astype(object).where(frame[text].notna(), None)
    return frame


def persons(study: cx.study.Study) -> list[str]:
    """The person keys of a study, sorted."""
    return sorted(study.fetch(study.log().persons)["key"])


def fold(key: str) -> int:
    """The definition: the first 8 hex digits of the md5 of the UTF-8 key, modulo 50."""
    return int(hashlib.md5(key.encode()).hexdigest()[:8], 16) % 50


@st.composite
def logs(draw: st.DrawFn, sessions: bool) -> pd.DataFrame:
    """Touchpoints with many ties in time, ids that need UTF-8, pauses around half an hour, own sessions."""
    n = draw(st.integers(1, 40))
    minutes = st.sampled_from([0, 1, 30, 31, 60, 61, 10_000])
    column = lambda values: draw(st.lists(values, min_size=n, max_size=n))  # noqa: E731
    frame = pd.DataFrame(
        {
            "event_id": draw(st.permutations([f"e{i}" if i % 3 else f"É{i}" for i in range(n)])),
            "customer_id": column(st.sampled_from(["x", "y", "客", "ÿ"])),
            "ts": [START + pd.Timedelta(minutes=m) for m in column(minutes)],
            "touchpoint": column(st.sampled_from(["page", "Cart", "équipe", "zoo"])),
            "channel": column(st.sampled_from(["web", "app", "Shop"])),
            "stage": column(st.sampled_from(["awareness", "retention"])),
            "initiated_by": column(st.sampled_from(["customer", "brand", None])),
            "load_ms": np.arange(n, dtype=float),
        }
    )
    if sessions:
        frame["session_id"] = column(st.sampled_from(["s1", "s2", None]))
    return frame


def expected(frame: pd.DataFrame, pause: pd.Timedelta) -> pd.DataFrame:
    """The log by the definition, in pandas, with loops where that is plainest."""
    frame = frame.sort_values(["customer_id", "ts", "event_id"], key=utf8, ignore_index=True)
    by = frame.groupby("customer_id", sort=False)
    frame["event"] = np.arange(len(frame))
    frame["previous"], frame["next"] = by["touchpoint"].shift(1), by["touchpoint"].shift(-1)
    frame["step"] = by.cumcount() + 1
    frame["gap"] = (by["ts"].diff() // pd.Timedelta("1us")).fillna(-1).astype("int64")
    sessions: list[int] = []
    own = frame.get("session_id", pd.Series(None, index=frame.index, dtype=object))
    named: dict[tuple, int] = {}
    current = last = None
    for row in frame.itertuples():
        name = own[row.Index]
        if isinstance(name, str):
            sessions.append(named.setdefault((row.customer_id, name), row.event))
            current = None
        else:
            same = current is not None and last.customer_id == row.customer_id and row.ts - last.ts <= pause
            current = current if same else row.event
            sessions.append(current)
        last = row
    frame["session"] = sessions
    return frame


def utf8(values: pd.Series) -> pd.Series:
    """Sort key: text as its UTF-8 bytes."""
    return values.map(lambda v: v.encode()) if values.dtype in (object, "str") else values


@pytest.mark.parametrize("sessions", [False, True])
@given(data=st.data(), gap=st.sampled_from(["30 min", "1 h"]))
@settings(
    max_examples=8,
    deadline=None,
    derandomize=True,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)
def test_order_neighbours_steps_gaps_and_sessions_are_what_pandas_says(
    sessions: bool, data: st.DataObject, gap: str
) -> None:
    frame = data.draw(logs(sessions))
    log = cx.open_study({"touchpoints": frame}).log(gap=gap, carry=("load_ms",))
    ours, theirs = rows(log), expected(frame, pd.Timedelta(gap))
    theirs = theirs.rename(columns={"customer_id": "key", "initiated_by": "initiated"})
    theirs["at"] = (theirs["ts"] - pd.Timestamp(0)) // pd.Timedelta("1us")
    theirs["fold"] = theirs["key"].map(fold)
    for name in ("event", "step", "gap", "at", "session", "fold", "load_ms"):
        assert ours[name].tolist() == theirs[name].tolist(), name
    for name in ("key", "touchpoint", "channel", "stage", "initiated", "previous", "next"):
        missing = theirs[name].astype(object).where(theirs[name].notna(), None)
        assert ours[name].tolist() == missing.tolist(), name
    for name, names in log.names.items():
        assert list(names) == sorted(names, key=lambda v: v.encode()), name


def test_the_log_of_the_demo_is_what_pandas_says() -> None:
    log = cx.open_study("demo").log(carry=("load_ms", "device"))
    frame = log.study.fetch(log.table).sort_values("event", ignore_index=True)
    assert (frame["event"] == np.arange(len(frame))).all()
    assert frame["person"].is_monotonic_increasing
    by = frame.groupby("person")
    assert (frame["step"] == by.cumcount() + 1).all()
    assert (frame["next"] == by["touchpoint"].shift(-1, fill_value=-1)).all()
    assert (frame["previous"] == by["touchpoint"].shift(1, fill_value=-1)).all()
    gap = by["at"].diff().fillna(-1)
    assert (frame["gap"] == gap).all()
    starts = (gap < 0) | (gap > 30 * 60 * 10**6)
    assert (frame["session"] == frame["event"].where(starts).ffill()).all()
    who = log.study.fetch(log.persons)
    assert who.sort_values("person")["key"].map(str.encode).is_monotonic_increasing
    assert who["key"].is_unique
    assert who["fold"].tolist() == [fold(key) for key in who["key"]]
    assert who.set_index("person")["events"].sort_index().tolist() == by.size().tolist()
    touchpoints = pd.read_parquet(cx.study.opening.DEMO / "touchpoints.parquet")
    assert len(touchpoints) == len(frame)


# --- who is who -------------------------------------------------------------------------------------


def people(customer: list[Any], anonymous: list[Any], links: list[tuple[str, str]] = ()) -> list[str]:  # type: ignore[assignment]
    """Person keys for rows with these ids and these identities."""
    n = len(customer)
    frame = pd.DataFrame(
        {
            "event_id": range(n),
            "customer_id": pd.Series(customer, dtype=object),
            "anonymous_id": pd.Series(anonymous, dtype=object),
            "ts": START,
            "touchpoint": "page",
            "channel": "web",
            "stage": "awareness",
        }
    )
    tables = {"touchpoints": frame}
    if links:
        tables["identities"] = pd.DataFrame(links, columns=["id_value", "customer_id"]).assign(
            id_type="cookie"
        )
    log = cx.open_study(tables).log(carry=("event_id",))
    return log.study.fetch(log.decoded()).sort_values("event_id")["key"].tolist()


def test_the_customer_id_is_the_person_whatever_the_cookie_says() -> None:
    assert people(["x", "y"], ["d", "d"]) == ["x", "y"]


def test_a_cookie_that_rows_link_to_one_customer_is_that_customer() -> None:
    assert people([None, "x", None], ["d", "d", "e"]) == ["x", "x", "e"]


def test_a_cookie_that_rows_link_to_two_customers_stays_itself() -> None:
    assert people([None, "x", "y"], ["d", "d", "d"]) == ["d", "x", "y"]


def test_identities_link_a_cookie_that_no_row_links() -> None:
    assert people([None, "x"], ["d", None], [("d", "x")]) == ["x", "x"]


def test_identities_that_contradict_the_rows_make_the_cookie_ambiguous() -> None:
    assert people([None, "x"], ["d", "d"], [("d", "y")]) == ["d", "x"]


def test_identities_that_agree_with_the_rows_change_nothing() -> None:
    assert people([None, "x"], ["d", "d"], [("d", "x"), ("d", "x")]) == ["x", "x"]


def test_junk_ids_seen_with_many_customers_link_nobody() -> None:
    assert people(["x", "y", None, None], ["null", "null", "null", "d"]) == ["x", "y", "null", "d"]


def test_blank_ids_are_no_ids() -> None:
    assert people(["", None, "x"], ["d", "e", ""]) == ["d", "e", "x"]
    assert people(["", "x", "y"], ["d", "", ""]) == ["d", "x", "y"]


def test_whole_numbers_and_text_are_the_same_ids() -> None:
    assert people([1, 2], [None, None]) == ["1", "2"]


@pytest.mark.parametrize("missing", ["customer_id", "anonymous_id"])
def test_one_kind_of_id_is_enough(events: Events, missing: str) -> None:
    frame = events(anonymous_id=["d", "d", "e"]).drop(columns=missing)
    assert persons(cx.open_study({"touchpoints": frame})) == (
        ["d", "e"] if missing == "customer_id" else ["x", "y"]
    )


def test_folds_are_the_first_eight_hex_digits_of_the_md5_modulo_fifty(events: Events) -> None:
    keys = ["x", "客户", "é", "a much longer key, with blanks", *(f"c{i:06}" for i in range(500))]
    frame = pd.concat([events().head(1)] * len(keys)).assign(customer_id=keys, event_id=range(len(keys)))
    log = cx.open_study({"touchpoints": frame}).log()
    who = log.study.fetch(log.persons).set_index("key")["fold"]
    assert who.to_dict() == {key: fold(key) for key in keys}
    assert set(who) == set(range(FOLDS))


# --- names, columns, errors -------------------------------------------------------------------------


def test_codes_number_the_names_sorted_as_utf_8_bytes(events: Events) -> None:
    names = ["b", "Z", "é", "a", "客", "z"]
    frame = pd.concat([events()] * 2, ignore_index=True).assign(touchpoint=names, event_id=range(6))
    log = cx.open_study({"touchpoints": frame}).log()
    assert log.names["touchpoint"] == ("Z", "a", "b", "z", "é", "客")
    assert log.code("touchpoint", "é") == 4
    assert log.decode([4, -1, 0], "touchpoint", missing=END) == ["é", END, "Z"]
    with pytest.raises(CxLookupError, match="No touchpoint is called `Zz`"):
        log.code("touchpoint", "Zz")


def test_the_channel_and_stage_of_a_row_win_over_the_catalog(events: Events) -> None:
    catalog = pd.DataFrame(
        {"touchpoint": ["page", "cart"], "channel": ["web", "app"], "stage": ["retention"] * 2}
    )
    frame = events(channel=[None, "shop", ""], stage=["awareness", None, None])
    log = cx.open_study({"touchpoints": frame, "catalog": catalog}).log()
    decoded = rows(log)
    assert decoded["channel"].tolist() == ["web", "shop", "web"]
    assert decoded["stage"].tolist() == ["awareness", "retention", "retention"]
    assert "stage" not in log.of
    assert log.of["channel"] == tuple(log.code("channel", name) for name in ("shop", "web"))


def test_a_catalog_without_use_leaves_no_name_behind(events: Events) -> None:
    catalog = pd.DataFrame(
        {"touchpoint": ["page", "cart", "never"], "channel": ["a", "b", "c"], "stage": "retention"}
    )
    log = cx.open_study({"touchpoints": events(channel=None, stage=None), "catalog": catalog}).log()
    assert log.names["touchpoint"] == ("cart", "page")
    assert log.names["channel"] == ("a", "b")


def test_who_began_is_minus_one_where_nobody_said(events: Events) -> None:
    log = cx.open_study({"touchpoints": events(initiated_by=["brand", None, "customer"])}).log()
    assert log.study.fetch(log.table.order_by("event"))["initiated"].tolist() == [0, -1, 1]


def test_a_source_session_spans_a_long_pause_and_is_the_persons_own(events: Events) -> None:
    frame = events(session_id="s", ts=["2026-01-05", "2026-01-07", "2026-01-05"])
    log = cx.open_study({"touchpoints": frame}).log()
    assert rows(log)["session"].tolist() == [0, 0, 2]


def test_further_columns_are_carried_and_unknown_ones_are_named(events: Events) -> None:
    study = cx.open_study(
        {"touchpoints": events(colour=["red", "blue", None], value=[1, 2, 3], currency="EUR")}
    )
    log = study.log(carry=("colour", "value", "device"))
    frame = rows(log)
    assert frame["colour"].tolist()[:2] == ["red", "blue"]
    assert frame["value"].tolist() == [1, 2, 3]
    assert frame["device"].isna().all()
    with pytest.raises(CxLookupError, match=r"no column `color` to carry; it has: .*colour"):
        study.log(carry=("color",))


@pytest.mark.parametrize(
    "name", ["person", "fold", "first", "at", "event", "key", "step", "gap", "previous", "next"]
)
def test_further_columns_named_as_the_logs_own_change_nothing(events: Events, name: str) -> None:
    plain = rows(cx.open_study({"touchpoints": events()}).log())
    named = rows(cx.open_study({"touchpoints": events(**{name: [7, 8, 9]})}).log())
    pd.testing.assert_frame_equal(plain, named)


def test_shuffling_the_rows_changes_nothing(events: Events, base_seed: int) -> None:
    frame = pd.concat([events()] * 30, ignore_index=True)
    frame["event_id"] = [f"e{i % 7}-{i}" for i in range(90)]
    plain = rows(cx.open_study({"touchpoints": frame}).log())
    shuffled = rows(cx.open_study({"touchpoints": frame.sample(frac=1, random_state=base_seed)}).log())
    pd.testing.assert_frame_equal(plain, shuffled)


@pytest.mark.parametrize("gap", ["soon", "-1 h", "0 s", ""])
def test_a_gap_that_is_no_length_of_time_is_refused(events: Events, gap: str) -> None:
    with pytest.raises(CxValueError, match="gap is"):
        cx.open_study({"touchpoints": events()}).log(gap=gap)


def test_a_study_without_touchpoints_says_that_the_log_needs_them() -> None:
    catalog = pd.DataFrame({"touchpoint": ["page"], "channel": ["web"], "stage": ["retention"]})
    with pytest.raises(MissingTable, match=r"The log needs the table `touchpoints`; this study has: catalog"):
        cx.open_study({"catalog": catalog}).log()


def test_the_log_is_built_once_and_read_from_the_cache_after(
    folder: Folder, events: Events, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    where = folder({"touchpoints.parquet": events()})
    plain = rows(cx.open_study(where).log())
    from cxlib.study import log as module

    with monkeypatch.context() as patch:
        patch.setattr(module, "_passed", lambda *_: pytest.fail("built again"))
        pd.testing.assert_frame_equal(plain, rows(cx.open_study(where).log()))
        study = cx.open_study(where)
        assert study.log() is study.log()
        with pytest.raises(pytest.fail.Exception):
            study.log(gap="1 h")
    for name in ("events.parquet", "persons.parquet", "names.json"):
        kept = next(cache.rglob(name))
        kept.write_bytes(kept.read_bytes()[:20])
        pd.testing.assert_frame_equal(plain, rows(cx.open_study(where).log()))
