"""Opening a study, its fingerprint, its cache, its truth."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import ibis
import numpy as np
import pandas as pd
import pytest
import yaml

import cxlib as cx
from cxlib.errors import CxLookupError, CxValueError, DataUnavailable, MissingTable, UnknownStudy
from cxlib.readers import cdnow
from cxlib.study import registry
from cxlib.study import study as module
from cxlib.study.opening import DEMO

Events = Callable[..., pd.DataFrame]
Folder = Callable[..., Path]


# --- opening ----------------------------------------------------------------------------------------


def test_a_folder_frames_and_a_connection_are_one_study(folder: Folder, events: Events) -> None:
    con = ibis.duckdb.connect()
    con.create_table("touchpoints", events())
    con.create_table("unrelated", events())
    ways = (folder({"touchpoints.csv": events()}), {"touchpoints": events()}, con)
    tables = [cx.journeys.transitions(cx.open_study(way)).table() for way in ways]
    for table in tables[1:]:
        pd.testing.assert_frame_equal(tables[0], table)


def test_a_folder_is_opened_by_path_or_text_and_a_study_by_itself(folder: Folder, events: Events) -> None:
    where = folder({"touchpoints.csv": events()})
    assert cx.open_study(where).fingerprint == cx.open_study(str(where)).fingerprint
    study = cx.open_study(where)
    assert cx.open_study(study) is study


def test_a_connection_without_any_table_of_the_contract_is_no_study() -> None:
    with pytest.raises(UnknownStudy, match="none of the contract's tables: touchpoints"):
        cx.open_study(ibis.duckdb.connect())


def test_the_demo_opens_by_name_without_violations_or_warnings_that_surprise() -> None:
    study = cx.open_study("demo")
    assert (study.name, study.settings.currency) == ("demo", "EUR")
    assert set(study.tables) >= {"touchpoints", "catalog", "customers", "identities", "surveys", "orders"}
    assert study.findings.rows["customers"] == 5000
    assert not study.findings.violations
    assert "The contract holds." in str(study.findings)


def test_a_table_has_every_column_of_the_contract_then_its_own(events: Events) -> None:
    study = cx.open_study({"touchpoints": events(colour="red", ts=pd.Timestamp("2026-01-05"))})
    names = [column.name for column in cx.contract.TABLES["touchpoints"].columns]
    table = study.table("touchpoints")
    assert list(table.columns) == [*names, "colour"]
    assert table.load_ms.type().is_float64()
    assert study.has("touchpoints", "channel")
    assert not study.has("touchpoints", "load_ms")
    assert not study.has("orders")


def test_a_missing_table_names_what_needs_it_and_what_there_is(events: Events) -> None:
    study = cx.open_study({"touchpoints": events()})
    with pytest.raises(MissingTable, match=r"nps needs the table `surveys`; this study has: touchpoints\."):
        study.table("surveys", needed_by="nps")
    with pytest.raises(CxLookupError, match=r"no table `survey`\. Did you mean `surveys`"):
        study.table("survey")


def test_studies_lists_what_opens_by_name() -> None:
    assert set(cx.studies()) == {"demo", *cx.readers.READERS}
    assert all(cx.studies().values())


def test_check_takes_whatever_open_takes_and_raises_for_no_violation(folder: Folder, events: Events) -> None:
    assert cx.check("demo").rows["touchpoints"] > 100_000
    bad = folder({"touchpoints.csv": events(stage="nowhere")})
    assert len(cx.check(bad).violations) == 1
    assert len(cx.check({"touchpoints": events(stage="nowhere")}).violations) == 1
    assert not cx.check({"touchpoints": events()}).violations


def test_settings_come_from_study_yaml(folder: Folder, events: Events) -> None:
    text = "name: mine\ntitle: My study\ncurrency: JPY\nconversion: [cart]\nlicence: CC0\nsource: me\n"
    study = cx.open_study(folder({"touchpoints.csv": events()}, text))
    assert (study.name, study.title, study.settings.conversion) == ("mine", "My study", ("cart",))
    assert str(study) == "My study: touchpoints 3"


# --- fingerprint ------------------------------------------------------------------------------------


def test_the_fingerprint_does_not_know_where_the_folder_lies(folder: Folder, events: Events) -> None:
    here = cx.open_study(folder({"touchpoints.csv": events()}, name="here"))
    there = cx.open_study(folder({"touchpoints.csv": events()}, name="deep/in/there"))
    assert here.fingerprint == there.fingerprint
    assert here.provenance["fingerprint"] == there.provenance["fingerprint"]


def test_the_fingerprint_changes_with_one_byte_anywhere(folder: Folder, events: Events) -> None:
    text = events().to_csv(index=False)
    seen = [
        cx.open_study(folder(files, settings, name=f"s{i}")).fingerprint
        for i, (files, settings) in enumerate(
            [
                ({"touchpoints.csv": text}, ""),
                ({"touchpoints.csv": text.replace("10:05:00", "10:05:01")}, ""),
                ({"touchpoints.csv": text}, "name: other\n"),
                ({"touchpoints.csv": text, "customers.csv": "customer_id\nx\ny\n"}, ""),
                ({"touchpoints/1.csv": text}, ""),
            ]
        )
    ]
    assert len(set(seen)) == len(seen)
    assert all(len(digest) == 32 for digest in seen)


# --- cache ------------------------------------------------------------------------------------------


def test_changing_one_row_of_the_demo_changes_the_figures(tmp_path: Path) -> None:
    other = tmp_path / "demo"
    shutil.copytree(DEMO, other)
    path = other / "touchpoints.parquet"
    frame = pd.read_parquet(path)
    place = frame.index[(frame["touchpoint"] == frame["touchpoint"].iloc[0]) & frame["customer_id"].notna()][
        7
    ]
    frame.loc[place, "touchpoint"] = frame.loc[
        frame["touchpoint"] != frame["touchpoint"].iloc[0], "touchpoint"
    ].iloc[0]
    frame.to_parquet(path, index=False)
    before, after = cx.open_study("demo"), cx.open_study(other)
    assert before.fingerprint != after.fingerprint
    counts = [cx.journeys.transitions(study).total for study in (before, after)]
    changed = np.abs(counts[0] - counts[1]).sum()
    assert 1 <= changed <= 6  # one event is in two moves, each leaves one cell and enters another
    assert counts[0].sum() == counts[1].sum()


def test_a_result_is_computed_once_for_a_study_and_its_parameters(
    folder: Folder, events: Events, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    where, calls = folder({"touchpoints.csv": events()}), []

    def build() -> pd.DataFrame:
        calls.append(1)
        return pd.DataFrame({"a": [len(calls)]})

    for _ in range(2):
        assert cx.open_study(where).cached("it", {"n": 1}, build)["a"].tolist() == [1]
    assert cx.open_study(where).cached("it", {"n": 2}, build)["a"].tolist() == [2]
    assert cx.open_study(where).cached("other", {"n": 1}, build)["a"].tolist() == [3]
    monkeypatch.setattr(module, "code_digest", lambda: "another version of the package")
    assert cx.open_study(where).cached("it", {"n": 1}, build)["a"].tolist() == [4]
    folder({"touchpoints.csv": events(channel="app")})
    assert cx.open_study(where).cached("it", {"n": 1}, build)["a"].tolist() == [5]


def test_a_second_opening_counts_nothing_again(folder: Folder, events: Events, cache: Path) -> None:
    where = folder({"touchpoints.parquet": events()})
    first = cx.open_study(where)
    ours = cx.journeys.transitions(first).table()
    second = cx.open_study(where)
    theirs = cx.journeys.transitions(second).table()
    assert first.engine.rows_out > 0
    assert second.engine.rows_out == 0
    pd.testing.assert_frame_equal(ours, theirs)


@pytest.mark.parametrize("damage", ["cut", "empty", "garbage"])
def test_any_damaged_file_of_the_cache_is_built_again(
    folder: Folder, events: Events, cache: Path, whole: Callable[[], None], damage: str
) -> None:
    where = folder({"touchpoints.csv": events(), "customers.csv": "customer_id\nx\ny\n"})
    expected = cx.journeys.transitions(cx.open_study(where)).table()
    files = sorted(path for path in cache.rglob("*") if path.is_file())
    assert len(files) >= 6
    for path in files:
        good = path.read_bytes()
        path.write_bytes({"cut": good[: len(good) // 2], "empty": b"", "garbage": b"\xff" * 300}[damage])
        pd.testing.assert_frame_equal(cx.journeys.transitions(cx.open_study(where)).table(), expected)
        whole()


def test_what_fails_while_it_is_built_leaves_nothing_behind(
    folder: Folder, events: Events, cache: Path
) -> None:
    study = cx.open_study(folder({"touchpoints.csv": events()}))
    before = sorted(cache.rglob("*"))

    def fails() -> pd.DataFrame:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        study.cached("it", {}, fails)
    assert sorted(cache.rglob("*")) == before


def test_everything_is_kept_under_cxlib_cache_and_nothing_in_the_study(
    folder: Folder, events: Events, cache: Path
) -> None:
    where = folder({"touchpoints.csv": events()})
    study = cx.open_study(where)
    cx.journeys.transitions(study)
    assert study.cache is not None
    assert study.cache.is_relative_to(cache)
    assert [path.name for path in where.iterdir()] == ["touchpoints.csv"]


def test_frames_are_cached_nowhere(events: Events, cache: Path) -> None:
    study = cx.open_study({"touchpoints": events()})
    cx.journeys.transitions(study)
    assert study.cache is None
    assert study.provenance["fingerprint"] == "not on disk"
    assert not cache.exists()


# --- truth and provenance ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "keys"),
    [
        ("transitions", ["source", "target"]),
        ("steps", ["step", "touchpoint"]),
        ("switches", ["source", "target"]),
        ("funnel", ["step", "name"]),
        ("markov", ["channel"]),
        ("nps", ["touchpoint"]),
    ],
)
def test_the_demo_has_planted_truth_with_exactly_the_keys(name: str, keys: list[str]) -> None:
    truth = cx.open_study("demo").truth(name)
    assert sorted(truth.columns) == sorted([*keys, "truth"])
    assert truth.columns[-1] == "truth"
    assert truth.notna().all().all()
    assert not truth.duplicated(keys).any()
    if "step" in keys:
        assert truth["step"].dtype == "int64"


def test_truth_is_refused_where_there_is_none(events: Events) -> None:
    with pytest.raises(CxLookupError, match=r"No truth is planted for `revenue`; there is: .*transitions"):
        cx.open_study("demo").truth("revenue")
    with pytest.raises(CxLookupError, match="has no planted truth; only simulated studies have"):
        cx.open_study({"touchpoints": events()}).truth("funnel")


def test_provenance_says_study_licence_source_and_engine_and_no_date(folder: Folder, events: Events) -> None:
    study = cx.open_study(folder({"touchpoints.csv": events()}, "licence: CC0\nsource: made up\n"))
    assert study.provenance == {
        "study": "study",
        "licence": "CC0",
        "source": "made up",
        "fingerprint": study.fingerprint[:12],
        "engine": "duckdb",
        "cxlib": cx.__version__,
    }
    assert cx.open_study({"touchpoints": events()}).provenance["licence"] == "not stated"


def test_a_study_shows_its_tables_escaped(events: Events) -> None:
    shown = cx.open_study({"touchpoints": events()})._repr_html_()
    assert "<table" in shown
    assert "one contact between a customer and the company" in shown


# --- public data sets -------------------------------------------------------------------------------


class Reader:
    """A reader of no files, whose tables are given."""

    SETTINGS: ClassVar = {"name": "fake", "title": "A fake", "currency": "EUR"}

    def __init__(self, tables: Any) -> None:
        self.tables, self.calls, self.sha256 = tables, 0, ""

    def read(self, files: Any) -> Any:
        self.calls += 1
        if isinstance(self.tables, Exception):
            raise self.tables
        return self.tables


@pytest.fixture
def public(monkeypatch: pytest.MonkeyPatch, events: Events, cache: Path) -> Reader:
    """A public data set `fake` that needs no file."""
    reader = Reader({"touchpoints": events()})
    monkeypatch.setattr(cx.readers, "READERS", (*cx.readers.READERS, "fake"))
    monkeypatch.setattr(cx.readers, "reader", lambda name: reader)
    monkeypatch.setattr(registry, "fetch", lambda name: {"a.csv": Path("a.csv")})
    monkeypatch.setattr(registry, "files", lambda name: (SimpleNamespace(sha256=reader.sha256),))
    return reader


def test_a_public_data_set_is_converted_once(public: Reader, cache: Path) -> None:
    for _ in range(2):
        study = cx.open_study("fake")
        assert (study.name, study.title, study.findings.rows["touchpoints"]) == ("fake", "A fake", 3)
    assert public.calls == 1
    folders = list((cache / "studies").iterdir())
    assert [path.name.split("-")[0] for path in folders] == ["fake"]
    assert yaml.safe_load((folders[0] / "study.yaml").read_text("utf-8")) == Reader.SETTINGS


@pytest.mark.parametrize("when", ["reading", "writing"])
def test_a_conversion_that_fails_leaves_nothing_and_can_be_repeated(
    public: Reader, events: Events, cache: Path, when: str
) -> None:
    good = public.tables
    public.tables = CxValueError("bad file.") if when == "reading" else {**good, "orders": None}
    with pytest.raises((CxValueError, AttributeError)):
        cx.open_study("fake")
    assert not list((cache / "studies").iterdir())
    public.tables = good
    assert cx.open_study("fake").findings.rows["touchpoints"] == 3


def test_half_a_conversion_left_by_a_crash_is_replaced(public: Reader, cache: Path) -> None:
    cx.open_study("fake")
    folder = next((cache / "studies").iterdir())
    (folder / "study.yaml").unlink()
    (folder / "touchpoints.parquet").write_bytes(b"half")
    assert cx.open_study("fake").findings.rows["touchpoints"] == 3


def test_a_public_data_set_whose_registered_files_change_is_converted_again(public: Reader) -> None:
    for sha256 in ("a", "a", "b"):
        public.sha256 = sha256
        cx.open_study("fake")
    assert public.calls == 2


def test_a_folder_of_original_files_is_converted_as_by_its_name(tmp_path: Path, cache: Path) -> None:
    mine = tmp_path / "my download"
    mine.mkdir()
    lines = " 00001 19970101  1   11.77\r\n 00002 19970112  5    0.00\r\n"
    (mine / cdnow.MASTER).write_bytes(f" customer_id  date number_of_cds  dollar_value\r\n{lines}".encode())
    (mine / cdnow.SAMPLE).write_bytes(b" 00001 0001 19970101  1   11.77\r\n")
    study = cx.open_study(mine)
    assert (study.name, study.settings.currency, study.findings.rows["orders"]) == ("cdnow", "USD", 2)
    assert sorted(path.name for path in mine.iterdir()) == sorted([cdnow.MASTER, cdnow.SAMPLE])
    (mine / cdnow.MASTER).write_bytes(
        f" customer_id  date number_of_cds  dollar_value\r\n{lines[:28]}".encode()
    )
    assert cx.open_study(mine).findings.rows["orders"] == 1
    (mine / cdnow.SAMPLE).unlink()
    with pytest.raises(UnknownStudy, match="holds none of the contract's tables"):
        cx.open_study(mine)


def test_a_public_data_set_that_cannot_be_had_says_what_to_do(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CXLIB_DATA_MIRROR", str(tmp_path / "empty"))
    with pytest.raises(DataUnavailable, match="is not in the mirror"):
        cx.open_study("olist")
    assert not (cache / "studies").exists()


def test_olist_opens_by_name_from_the_mirror(mirror: Path) -> None:
    study = cx.open_study("olist")
    assert study.name == "olist"
    assert not study.findings.violations
    assert {"touchpoints", "orders", "surveys", "customers", "catalog"} <= set(study.tables)


def test_frames_take_settings_that_a_folder_has_in_its_file(events: Events) -> None:
    local = events(ts="2026-07-05T10:00:00", value=["1.5", "2", "3"])
    study = cx.open_study(
        {"touchpoints": local},
        name="shop",
        currency="EUR",
        money="major",
        time_zone="Europe/Rome",
        conversion=["cart"],
    )
    assert (study.name, study.settings.conversion) == ("shop", ("cart",))
    table = study.fetch(study.table("touchpoints"))
    assert sorted(table["value"]) == [150, 200, 300]
    assert set(table["ts"]) == {pd.Timestamp("2026-07-05T08:00:00")}
    assert study.fetch(study.log().table)["at"].tolist() == [1783238400000000] * 3


def test_a_connection_takes_settings(events: Events) -> None:
    con = ibis.duckdb.connect()
    con.create_table("touchpoints", events(ts=pd.Timestamp("2026-01-05T10:00:00"), value=1.5))
    settings = {"currency": "JPY", "money": "major", "time_zone": "Europe/Rome"}
    study = cx.open_study(con, **settings)
    table = study.fetch(study.table("touchpoints"))
    assert set(table["value"]) == {2}
    assert set(table["ts"]) == {pd.Timestamp("2026-01-05T09:00:00")}
    assert not cx.check(con, **settings).violations


def test_settings_override_those_of_a_folder_and_are_part_of_its_fingerprint(
    folder: Folder, events: Events, cache: Path
) -> None:
    where = folder({"touchpoints.csv": events(value="1.5")}, "currency: EUR\nmoney: major\ntitle: A shop")

    def value(study: Any) -> set[int]:
        return set(study.fetch(study.table("touchpoints"))["value"])

    plain, yen = cx.open_study(where), cx.open_study(where, currency="KWD", title=None)
    assert (value(plain), value(yen), value(cx.open_study(where))) == ({150}, {1500}, {150})
    assert yen.title == "A shop"
    assert (
        len({plain.fingerprint, yen.fingerprint, cx.open_study(where, conversion=["cart"]).fingerprint}) == 3
    )


def test_settings_are_checked_by_name_and_value(events: Events) -> None:
    frames = {"touchpoints": events()}
    with pytest.raises(CxValueError, match=r"open_study has an unknown entry `curency`.*`currency`"):
        cx.open_study(frames, curency="EUR")
    with pytest.raises(CxValueError, match="open_study: money is `cents`"):
        cx.check(frames, money="cents")
    with pytest.raises(CxValueError, match="open already"):
        cx.open_study(cx.open_study(frames), currency="EUR")


def test_the_times_of_orders_are_read_in_the_zone_of_the_study(folder: Folder) -> None:
    order = {
        "order_id": ["o"],
        "customer_id": ["x"],
        "ts": ["2026-07-01"],
        "revenue": [1],
        "currency": ["EUR"],
    }
    local = pd.DataFrame(
        order | {"promised_ts": ["2026-07-05T10:00:00"], "delivered_ts": ["2026-07-05 12:00:00"]}
    )
    study = cx.open_study(folder({"orders.csv": local}, "time_zone: Europe/Rome"))
    row = study.fetch(study.table("orders")).iloc[0]
    assert row["promised_ts"] == pd.Timestamp("2026-07-05T08:00:00")
    assert row["delivered_ts"] == pd.Timestamp("2026-07-05T10:00:00")
