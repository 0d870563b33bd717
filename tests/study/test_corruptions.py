"""Whatever happens to a file, either the violation is found or the figures stay as they were.

A study of 50 simulated customers is written as CSV or Parquet and spoilt in one way. For the log's tables
the figure compared is the decoded log itself, row by row: transitions, steps and funnel are counts of it.
For surveys it is the net promoter score with its n, in all and by touchpoint.

`CXLIB_EXAMPLES` sets the number of examples (200; `make proof` takes 2,000).
"""

from __future__ import annotations

import functools
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, Phase, given, note, settings
from hypothesis import strategies as st

import cxlib as cx
from cxlib.contract import TABLES
from cxlib.errors import CxError
from cxlib.study import Study

pytestmark = pytest.mark.usefixtures("own_cache")

SEED = int(os.environ.get("CXLIB_SEED", "0"))
EXAMPLES = int(os.environ.get("CXLIB_EXAMPLES", "200"))
TOGETHER = {
    "touchpoints": ("touchpoints", "catalog", "identities", "customers"),
    "surveys": ("surveys", "catalog"),
}
Frames = dict[str, pd.DataFrame]
Texts = dict[str, bytes]
# Columns that may be empty and decide the figure: emptying one is another history, not a corruption.
TELLING = {"customer_id", "anonymous_id", "score", "touchpoint"}


@functools.cache
def sound() -> Frames:
    """The tables of 50 customers, unspoilt; asked in a way that everybody answers."""
    tables = cx.simulate(50, seed=SEED, respond="all").tables
    comments = ["Très bien, merci", "prea scump\nși lent", 'said "no"', None, "很好"]
    surveys = tables["surveys"].assign(comment=[comments[i % 5] for i in range(len(tables["surveys"]))])
    return {**tables, "surveys": surveys}


def log_rows(study: Study) -> pd.DataFrame:
    """The log with names for codes and keys for persons, in order."""
    log = study.log()
    columns = ["event", "person", "at", "touchpoint", "channel", "stage", "step", "session", "next"]
    frame = log.study.fetch(log.table.select(columns)).sort_values("event", ignore_index=True)
    keys = log.study.fetch(log.persons).set_index("person")["key"]
    frame["person"] = frame["person"].map(keys).astype(object)
    for name in ("touchpoint", "channel", "stage"):
        frame[name] = pd.Series(log.decode(frame[name], name), dtype=object)
    frame["next"] = pd.Series(log.decode(frame["next"], "touchpoint", missing="(end)"), dtype=object)
    return frame.astype(dict.fromkeys(["event", "at", "step", "session"], "int64"))


def survey_rows(study: Study) -> pd.DataFrame:
    """The net promoter score by touchpoint, with its n."""
    table = cx.collection.scores(study, "nps").table()
    return table[["touchpoint", "estimate", "n"]].astype({"touchpoint": object})


FIGURES: dict[str, Callable[[Study], pd.DataFrame]] = {"touchpoints": log_rows, "surveys": survey_rows}


def text(frame: pd.DataFrame, **how: Any) -> bytes:
    """A frame as CSV bytes."""
    return str(frame.to_csv(index=False, **how)).encode()


def written(files: dict[str, pd.DataFrame | bytes], kind: str) -> Path:
    """A folder with these tables."""
    folder = Path(tempfile.mkdtemp(dir=os.environ["CXLIB_CACHE"]))
    for name, content in files.items():
        path = folder / f"{name}.{kind}"
        if isinstance(content, bytes):
            path.write_bytes(content)
        elif kind == "csv":
            path.write_bytes(text(content))
        else:
            content.to_parquet(path, index=False)
    return folder


@functools.cache
def right(figure: str, kind: str) -> pd.DataFrame:
    """The figures of the unspoilt study."""
    frames = sound()
    return FIGURES[figure](cx.open_study(written({name: frames[name] for name in TOGETHER[figure]}, kind)))


# --- the ways to spoil a table: each takes the frame, a column and a generator ------------------------


def dropped(frame: pd.DataFrame, name: str, rng: np.random.Generator) -> pd.DataFrame:
    return frame.drop(columns=name)


def renamed(frame: pd.DataFrame, name: str, rng: np.random.Generator) -> pd.DataFrame:
    new = rng.choice(
        [name.upper(), name.title(), f" {name}", name.replace("_", "-") + " ", f"{name}2", name[:-1]]
    )
    return frame.rename(columns={name: str(new)})


def retyped(frame: pd.DataFrame, name: str, rng: np.random.Generator) -> pd.DataFrame:
    """Another type for the same values, as exports and spreadsheets do it."""
    values = frame[name]
    if values.dtype.kind == "M":
        ways: list[Callable[[], Any]] = [
            lambda: values.dt.strftime("%d/%m/%Y %H:%M"),
            lambda: values.dt.strftime("%m/%d/%Y"),
            lambda: values.dt.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
            lambda: values.dt.strftime("%Y-%m-%d %H:%M:%S.%f").where(np.arange(len(values)) % 2 == 0, values.dt.strftime("%d.%m.%Y")),
            lambda: values.dt.tz_localize("UTC").dt.tz_convert("Asia/Tokyo"),
            lambda: values.astype("datetime64[ns]"),
            lambda: values.astype("int64"),
            lambda: values.astype("int64") / 1e6,
        ]  # fmt: skip
    elif values.dtype.kind in "iufb" or str(values.dtype) in ("Int64", "Float64"):
        whole = values.astype(object).where(values.notna(), None)
        ways = [
            lambda: values.astype("Float64"),
            lambda: whole.map(lambda v: None if v is None else str(v)),
            lambda: whole.map(lambda v: None if v is None else f"{float(v):.1f}"),
            lambda: whole.map(lambda v: None if v is None else f"{float(v):,.2f}"),
            lambda: whole.map(lambda v: None if v is None else f"{float(v):.4E}"),
            lambda: whole.map(lambda v: None if v is None else f" {v} "),
            lambda: values.astype(str).astype("category"),
        ]
    else:
        numbers = pd.Series(pd.factorize(values)[0], index=values.index)
        ways = [
            lambda: values.astype("category"),
            lambda: values.astype(object),
            lambda: values.map(lambda v: None if pd.isna(v) else f"{v} "),
            lambda: numbers.where(values.notna()).astype(float),
            lambda: values.notna(),
            lambda: values.map(lambda v: None if pd.isna(v) else [v]),
        ]
    return frame.assign(**{name: ways[int(rng.integers(len(ways)))]()})


def emptied(frame: pd.DataFrame, name: str, rng: np.random.Generator) -> pd.DataFrame:
    blank = (
        [None, "", "  "][int(rng.integers(3))]
        if frame[name].dtype.kind == "O" or str(frame[name].dtype) == "str"
        else None
    )
    values = frame[name].astype(object)
    values[rng.random(len(frame)) < 0.3] = blank
    return frame.assign(**{name: values})


def shuffled(frame: pd.DataFrame, name: str, rng: np.random.Generator) -> pd.DataFrame:
    return frame.iloc[rng.permutation(len(frame))].reset_index(drop=True)


def reordered(frame: pd.DataFrame, name: str, rng: np.random.Generator) -> pd.DataFrame:
    return frame[list(rng.permutation(frame.columns))]


def widened(frame: pd.DataFrame, name: str, rng: np.random.Generator) -> pd.DataFrame:
    extra = str(
        rng.choice(["colour", "Unnamed: 0", "événement", "index", "select", 'a "b"', "row_number", "rows"])
    )
    return frame.assign(**{extra: rng.integers(0, 9, len(frame))})


def repeated(frame: pd.DataFrame, name: str, rng: np.random.Generator) -> pd.DataFrame:
    return pd.concat([frame, frame.iloc[rng.integers(0, len(frame), 3)]], ignore_index=True)


def doubled(frame: pd.DataFrame, name: str, rng: np.random.Generator) -> pd.DataFrame | bytes:
    return text(pd.concat([frame, frame[[name]].iloc[::-1].reset_index(drop=True)], axis=1))


def encoded(frame: pd.DataFrame, name: str, rng: np.random.Generator) -> bytes:
    codes = ["latin-1", "cp1252", "utf-16", "utf-16-le", "utf-8-sig", "shift-jis", "mac-roman"]
    return text(frame).decode().encode(str(rng.choice(codes)), errors="replace")


def delimited(frame: pd.DataFrame, name: str, rng: np.random.Generator) -> bytes:
    return text(frame, sep=str(rng.choice([";", "\t", "|", " ", ":"])))


def punctuated(frame: pd.DataFrame, name: str, rng: np.random.Generator) -> bytes:
    """Line ends, quotes and decimal commas of another world."""
    plain = text(frame)
    return [
        plain.replace(b"\n", b"\r\n"),
        plain.replace(b"\n", b"\n\n", 1),
        text(frame, quoting=1),
        text(frame, decimal=","),
        text(frame, na_rep="NULL"),
        b"\n" + plain,
        plain.replace(b",", b"", 1),
        plain.rstrip(b"\n"),
    ][int(rng.integers(8))]


ANY = [dropped, renamed, retyped, emptied, shuffled, reordered, widened, repeated]
TEXTS = [encoded, delimited, punctuated, doubled]


@settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)
@given(
    figure=st.sampled_from(["touchpoints", "surveys"]),
    kind=st.sampled_from(["csv", "parquet"]),
    place=st.integers(0, 10**6),
    seed=st.integers(0, 10**6),
    data=st.data(),
)
def test_a_violation_is_found_or_the_figures_are_unchanged(
    figure: str, kind: str, place: int, seed: int, data: st.DataObject
) -> None:
    table = data.draw(st.sampled_from(TOGETHER[figure]))
    spoil = data.draw(st.sampled_from(ANY + (TEXTS if kind == "csv" else [])))
    frames = sound()
    names = list(frames[table].columns)
    if spoil is emptied:
        names = [name for name in names if name not in TELLING or name in TABLES[table].required]
    name = names[place % len(names)]
    spoilt = spoil(frames[table], name, np.random.default_rng(seed))
    note(f"{spoil.__name__} {table}.{name} in {kind}")
    if kind == "csv" and spoil is retyped and any(isinstance(value, list) for value in spoilt[name]):
        return  # a list has no form in CSV
    files: dict[str, Any] = {other: frames[other] for other in TOGETHER[figure]} | {table: spoilt}
    try:
        folder = written(files, kind)
    except Exception:  # pandas could not write such a file, so nobody can have it
        return
    try:
        study = cx.open_study(folder)
        ours = FIGURES[figure](study)
        found = study.findings.warnings
    except CxError:
        return
    finally:
        shutil.rmtree(folder)
        shutil.rmtree(Path(os.environ["CXLIB_CACHE"]) / "results", ignore_errors=True)
    if any(finding.column == name for finding in found):
        return
    expected = right(figure, kind)
    if figure == "surveys" and name == "touchpoint" and len(ours) < len(expected):
        expected = expected[expected["touchpoint"].isin(ours["touchpoint"])]  # fewer groups, not other ones
    assert _differences(ours, expected) == []


def _differences(ours: pd.DataFrame, expected: pd.DataFrame) -> list[str]:
    if len(ours) != len(expected):
        return [f"{len(ours)} rows, not {len(expected)}"]
    return [name for name in expected if ours[name].tolist() != expected[name].tolist()]


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_the_comparison_notices_a_change_that_no_contract_can_see(kind: str) -> None:
    frames = sound()
    moved = frames["touchpoints"].assign(ts=frames["touchpoints"]["ts"] + pd.Timedelta("1us"))
    other = {**{name: frames[name] for name in TOGETHER["touchpoints"]}, "touchpoints": moved}
    assert _differences(log_rows(cx.open_study(written(other, kind))), right("touchpoints", kind)) == ["at"]


def test_the_study_is_the_same_in_csv_and_in_parquet() -> None:
    for figure in FIGURES:
        assert _differences(right(figure, "csv"), right(figure, "parquet")) == []
