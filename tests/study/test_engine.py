"""The engine: what is kept is whole, what leaves is counted, what fails says so."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import ibis
import pandas as pd
import pytest

from cxlib.contract import Settings
from cxlib.errors import CxValueError
from cxlib.study.engine import Engine, embedded, memory, remembered, replacing

Events = Callable[..., pd.DataFrame]


def test_rows_that_leave_are_counted(events: Events) -> None:
    engine, tables = memory({"touchpoints": events()})
    assert engine.name == "duckdb"
    engine.fetch(tables["touchpoints"])
    engine.fetch(tables["touchpoints"].limit(1))
    assert engine.rows_out == 4


def test_times_are_integer_microseconds_before_and_after_1970() -> None:
    moments = pd.to_datetime(
        ["1969-12-31T23:59:59.999999", "1970-01-01", "2026-01-05T10:00:00.123456"], format="ISO8601"
    )
    engine, tables = memory({"t": pd.DataFrame({"ts": moments})})
    micros = engine.fetch(tables["t"].select(at=engine.micros(tables["t"].ts)))["at"]
    assert micros.tolist() == [-1, 0, 1767607200123456]


def test_an_engine_without_a_function_of_its_own_counts_microseconds_all_the_same() -> None:
    class Other:
        name = "sqlite"

    ts = ibis.table({"ts": "timestamp(6)"}, name="t").ts
    moments = pd.to_datetime(["2026-01-05T10:00:00.123456"])
    engine, tables = memory({"t": pd.DataFrame({"ts": moments})})
    assert Engine(Other()).micros(ts).type().is_integer()
    at = engine.fetch(tables["t"].select(at=Engine(Other()).micros(tables["t"].ts)))["at"]
    assert at.tolist() == [1767607200123456]


def test_a_kept_table_is_a_file_or_a_table_and_the_same_rows(tmp_path: Path, events: Events) -> None:
    engine, tables = memory({"touchpoints": events()})
    rows = engine.fetch(tables["touchpoints"].order_by("event_id"))
    for path in (None, tmp_path / "deep" / "kept.parquet"):
        kept = engine.keep(tables["touchpoints"], path)
        pd.testing.assert_frame_equal(engine.fetch(kept.order_by("event_id")), rows)
    assert [p.name for p in (tmp_path / "deep").iterdir()] == ["kept.parquet"]


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "file.txt"
    path.write_text("old")

    def fails() -> None:
        with replacing(path) as unfinished:
            unfinished.write_text("half")
            assert path.read_text() == "old"
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fails()
    assert path.read_text() == "old"
    with replacing(path) as unfinished:
        unfinished.write_text("new")
    assert path.read_text() == "new"
    assert [p.name for p in tmp_path.iterdir()] == ["file.txt"]


def test_two_writers_of_one_file_do_not_meet(tmp_path: Path) -> None:
    path = tmp_path / "file.txt"
    with replacing(path) as one, replacing(path) as two:
        assert one != two
        one.write_text("1")
        two.write_text("2")
    assert path.read_text() in "12"


def test_a_remembered_frame_is_built_once_and_again_when_damaged(tmp_path: Path) -> None:
    path, calls = tmp_path / "frame.parquet", []

    def build() -> pd.DataFrame:
        calls.append(1)
        return pd.DataFrame({"a": [1, 2]})

    first = remembered(path, build)
    pd.testing.assert_frame_equal(remembered(path, build), first)
    assert len(calls) == 1
    path.write_bytes(b"PAR1 and no more")
    pd.testing.assert_frame_equal(remembered(path, build), first)
    assert len(calls) == 2


def test_a_time_zone_holds_within_its_block_only(events: Events) -> None:
    engine = embedded()
    now = lambda: engine.con.raw_sql("SELECT current_setting('TimeZone')").fetchone()[0]  # noqa: E731
    assert now() == "UTC"

    def fails() -> None:
        with engine.in_zone("Europe/Rome"):
            assert now() == "Europe/Rome"
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fails()
    assert now() == "UTC"


def test_a_wrong_expression_stays_the_engines_own_error(events: Events) -> None:
    engine, tables = memory({"touchpoints": events()})
    wrong = tables["touchpoints"].mutate(n=tables["touchpoints"].touchpoint.cast("int64"))
    with pytest.raises(Exception, match="Could not convert") as caught:
        engine.fetch(wrong)
    assert not isinstance(caught.value, CxValueError)


def test_a_file_that_is_damaged_after_it_was_opened_is_our_error(tmp_path: Path, events: Events) -> None:
    path = tmp_path / "t.parquet"
    events().to_parquet(path)
    engine = embedded()
    table = engine.read_parquet([path])
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(CxValueError, match="export it again"):
        engine.fetch(table)


def test_a_csv_is_text_throughout(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("a,b,c\n007,1.50,\n1e3,2026-01-05,true\n", "utf-8")
    engine = embedded()
    table = engine.read_csv([path], Settings())
    assert all(kind.is_string() for kind in table.schema().values())
    rows = engine.fetch(table).astype(object)
    assert rows.where(rows.notna(), None).to_numpy().tolist() == [
        ["007", "1.50", None],
        ["1e3", "2026-01-05", "true"],
    ]


def test_a_csv_type_is_not_guessed_from_its_first_rows(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("a,b\n" + "1,2\n" * 50_000 + "x,y\n", "utf-8")
    engine = embedded()
    table = engine.read_csv([path], Settings())
    assert engine.fetch(table.filter(table.a == "x"))["b"].tolist() == ["y"]
