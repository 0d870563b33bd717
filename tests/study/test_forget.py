"""A person who is forgotten is in no table, no cache and no later conversion; nobody else is touched."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from pyarrow import parquet

import cxlib as cx
from cxlib.errors import CxLookupError
from cxlib.study import forget as room
from cxlib.study import registry
from cxlib.study.forget import forget
from cxlib.study.pseudonyms import key_of, pseudonym

pytestmark = pytest.mark.usefixtures("own_cache")

TABLES = ("touchpoints", "identities", "orders", "surveys", "customers", "exposures")


def tables() -> dict[str, pd.DataFrame]:
    """Anna (c1, of the cookies a1 and, shared with Bob, s), Bob (c2, a2), and a stranger on a3."""
    ts = pd.date_range("2026-01-05", periods=9, freq="h").strftime("%Y-%m-%dT%H:%M:%S")
    touchpoints = pd.DataFrame(
        {
            "event_id": list("abcdefghi"),
            "customer_id": ["c1", None, None, "c1", "c2", None, None, "c2", None],
            "anonymous_id": ["a1", "a1", "s", "s", "s", "a2", "a3", "a2", "s"],
            "ts": ts,
            "touchpoint": "page",
            "channel": "web",
            "stage": "awareness",
            "content": ['said "hello, you"', "two\nlines", "", "", "", "", "", "", ""],
        }
    )
    identities = pd.DataFrame(
        {"id_type": "cookie", "id_value": ["a1", "s", "s", "a2"], "customer_id": ["c1", "c1", "c2", "c2"]}
    )
    orders = pd.DataFrame(
        {"order_id": ["o1", "o2"], "customer_id": ["c1", "c2"], "ts": ts[:2], "revenue": 9, "currency": "EUR"}
    )
    surveys = pd.DataFrame(
        {
            "response_id": ["r1", "r2"], "customer_id": ["c1", "c2"], "ts": ts[:2], "question": "nps",
            "score": 9, "scale_min": 0, "scale_max": 10,
        }
    )  # fmt: skip
    customers = pd.DataFrame({"customer_id": ["c1", "c2"], "referred_by": [None, "c1"], "region": ["n", "s"]})
    exposures = pd.DataFrame(
        {"experiment": "e", "variant": ["x", "y"], "customer_id": ["c1", "c2"], "ts": ts[:2]}
    )
    made = (touchpoints, identities, orders, surveys, customers, exposures)
    return dict(zip(TABLES, made, strict=True))


def written(folder: Path, kind: str) -> Path:
    folder.mkdir(parents=True)
    for name, frame in tables().items():
        frame.to_csv(folder / f"{name}.csv", index=False) if kind == "csv" else frame.to_parquet(
            folder / f"{name}.parquet", index=False
        )
    return folder


def everything(folder: Path) -> str:
    """All bytes of the folder and the cache as text, Parquet files decoded."""
    text = []
    for path in [*folder.rglob("*"), *registry.where().rglob("*")]:
        if path.suffix == ".parquet":
            text.append(parquet.read_table(path).to_pandas().to_csv())
        elif path.is_file():
            text.append(path.read_text("utf-8"))
    return "\n".join(text)


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_nothing_of_the_person_is_left_and_all_of_the_others_is(tmp_path: Path, kind: str) -> None:
    folder = written(tmp_path / "study", kind)
    cx.journeys.transitions(cx.open_study(folder))  # fills the caches
    done = forget(folder, "c1")
    assert done.removed == {
        "touchpoints": 3, "identities": 2, "orders": 1, "surveys": 1, "customers": 2, "exposures": 1,
    }  # fmt: skip
    assert set(done.left.values()) == {0}
    study = cx.open_study(folder)
    left = study.fetch(study.table("touchpoints")).sort_values("event_id")
    # What was done on the shared device without signing in may have been Bob.
    assert left["event_id"].tolist() == list("cefghi")
    customers = study.fetch(study.table("customers"))
    assert customers["customer_id"].tolist() == ["c2"]
    assert customers["referred_by"].isna().all()
    assert not {"c1", "a1"} & set(everything(folder).replace("\n", ",").replace('"', "").split(","))
    assert not (folder / room.UNFINISHED).exists()


def test_lines_of_a_csv_file_that_stay_stay_as_they_are(tmp_path: Path) -> None:
    folder = written(tmp_path / "study", "csv")
    before = (folder / "touchpoints.csv").read_text("utf-8")
    forget(folder, "c2")
    after = (folder / "touchpoints.csv").read_text("utf-8")
    gone = [line for line in before.splitlines() if line not in after.splitlines()]
    assert [line[0] for line in gone] == ["e", "f", "h"]
    assert 'said ""hello, you""' in after
    assert '"two\nlines"' in after


@pytest.mark.parametrize("name", ["c1", "a1", " c1 "])
def test_a_person_is_found_by_any_id_of_theirs(tmp_path: Path, name: str) -> None:
    assert forget(written(tmp_path / "study", "csv"), name).ids == 2


def test_somebody_never_heard_of_is_named_and_nothing_changes(tmp_path: Path) -> None:
    folder = written(tmp_path / "study", "csv")
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    with pytest.raises(CxLookupError, match=r"Nobody in .* is called `c9`"):
        forget(folder, "c9")
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    with pytest.raises(CxLookupError, match="no folder"):
        forget(tmp_path / "none", "c1")


def test_a_run_that_was_killed_between_two_files_is_finished_by_the_next(
    tmp_path: Path, monkeypatch: Any
) -> None:
    folder = written(tmp_path / "study", "csv")
    # As if the identities and touchpoints were done: nothing links a1 to c1 any more.
    (folder / room.UNFINISHED).write_text(json.dumps([["c1"], ["a1"]]))
    rows = tables()
    rows["identities"].query("customer_id != 'c1'").to_csv(folder / "identities.csv", index=False)
    mixed = rows["touchpoints"].query("event_id not in ('a', 'd')")
    mixed.to_csv(folder / "touchpoints.csv", index=False)
    forget(folder, "c1")
    study = cx.open_study(folder)
    assert set(study.fetch(study.table("touchpoints"))["event_id"]) == set("cefghi")


def exported(folder: Path, identifiers: str) -> Path:
    folder.mkdir(parents=True)
    lines = ["Order,Mail,When,Sum"] + [
        f"{i},{'anna' if i % 2 else 'bob'}@x.it,2026-01-0{i},9.50" for i in range(1, 7)
    ]
    (folder / "orders_export.csv").write_text("\n".join(lines) + "\n")
    (folder / "study.yaml").write_text(
        f"""
currency: EUR
identifiers: {identifiers}
sources:
  - file: orders_export.csv
    zone: UTC
    tables:
      - table: orders
        columns: {{order_id: Order, customer_id: Mail, ts: When, revenue: Sum}}
"""
    )
    return folder


@pytest.mark.parametrize("identifiers", ["hash", "keep"])
def test_whoever_is_forgotten_stays_out_at_every_later_conversion(tmp_path: Path, identifiers: str) -> None:
    folder = exported(tmp_path / "study", identifiers)
    assert cx.open_study(folder).findings.rows["orders"] == 6
    done = forget(folder, "Anna@x.it" if identifiers == "hash" else "anna@x.it")
    assert done.removed == {"orders": 3}
    assert any("orders_export.csv" in line for line in done.beyond)
    assert cx.open_study(folder).findings.rows["orders"] == 3
    with (folder / "orders_export.csv").open("a") as file:
        file.write("7,anna@x.it,2026-01-09,9.50\n8,cleo@x.it,2026-01-09,9.50\n")
    study = cx.open_study(folder)
    assert sorted(study.fetch(study.table("orders"))["order_id"]) == ["2", "4", "6", "8"]
    assert "anna" not in (folder / "forgotten").read_text()


def test_a_pseudonym_names_the_person_as_well(tmp_path: Path) -> None:
    folder = exported(tmp_path / "study", "hash")
    cx.open_study(folder)
    key = key_of(folder)
    assert key is not None
    assert forget(folder, pseudonym("bob@x.it", key)).removed == {"orders": 3}
