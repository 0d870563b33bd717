"""The world as a study: faults laid over, folders written, the frozen demo, the posterior and the truth."""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from sklearn.metrics import adjusted_rand_score

from cxlib.contract import STAGES
from cxlib.errors import CxLookupError, CxValueError
from cxlib.study import check
from cxlib.world import World, company, freeze, kinds, posterior, simulate, truth, world, write_large

SEED = int(os.environ.get("CXLIB_SEED", "0"))
DEMO = Path(__file__).parents[2] / "data" / "demo"
RESULTS = ("transitions", "steps", "switches", "funnel", "markov", "nps")


@pytest.fixture(scope="module")
def messy() -> World:
    return simulate(6000, seed=SEED + 21)


# The frozen demo.


def test_the_frozen_demo_is_what_the_world_draws_today() -> None:
    drawn = simulate(5000, seed=0)
    assert {p.stem for p in DEMO.glob("*.parquet")} == {*drawn.tables, "truth"}
    for name, frame in drawn.tables.items():
        frozen = pd.read_parquet(DEMO / f"{name}.parquet")
        assert list(frozen) == list(frame)
        for column in frame:
            a, b = frozen[column], frame[column]
            if pd.api.types.is_float_dtype(b.dtype):  # rounding may differ between processors
                np.testing.assert_allclose(a, b, rtol=1e-6)
            else:
                assert a.isna().equals(b.isna())
                assert (a.dropna().to_numpy() == b.dropna().to_numpy()).all(), f"{name}.{column}"


def test_the_frozen_demo_carries_the_truth_of_its_world() -> None:
    pd.testing.assert_frame_equal(
        pd.read_parquet(DEMO / "truth.parquet"), pd.read_parquet(world.TRUTH / "demo.parquet")
    )


def test_the_frozen_demo_takes_at_most_5_megabytes() -> None:
    assert sum(p.stat().st_size for p in DEMO.iterdir()) < 5_000_000


@pytest.mark.parametrize("name", company.WORLDS)
@pytest.mark.parametrize("faults", [True, False])
def test_every_world_keeps_the_contract(name: str, faults: bool, tmp_path: Path) -> None:
    """Faults are within the contract: an analyst meets them in tables that pass."""
    folder = simulate(300, seed=SEED + 4, world=name, faults=faults).write(tmp_path / "study")
    assert not check(folder).violations


# Faults.


def test_every_event_of_the_messy_log_is_a_clean_one_or_a_bot(messy: World) -> None:
    events, clean = messy.planted["events"], messy.clean["touchpoints"].set_index("event_id")
    log = messy.tables["touchpoints"]
    assert events["event_id"].tolist() == log["event_id"].tolist()
    assert log["event_id"].is_monotonic_increasing
    assert log["event_id"].is_unique
    bot = (events["fault"] == "bot").to_numpy()
    origin = clean.loc[events["clean_event_id"][~bot]]
    for column in ("touchpoint", "outcome", "device"):
        ours = log.loc[~bot, column].fillna("none")
        assert (ours.to_numpy() == origin[column].fillna("none").to_numpy()).all()
    assert (origin["customer_id"].to_numpy() == events["customer_id"][~bot].to_numpy()).all()
    assert set(events["clean_event_id"]) == {-1, *clean.index}
    assert log.loc[bot, "customer_id"].isna().all()


def test_nobody_is_called_by_another_customers_name_and_every_row_has_an_id(messy: World) -> None:
    log, true = messy.tables["touchpoints"], messy.planted["events"]["customer_id"]
    known = log["customer_id"].notna()
    assert (log.loc[known, "customer_id"].to_numpy() == true[known].to_numpy()).all()
    assert (known | log["anonymous_id"].notna()).all()
    assert 0.6 < known.mean() < 0.95


def test_faults_come_in_their_planted_shares(messy: World) -> None:
    log, fault = messy.tables["touchpoints"], messy.planted["events"]["fault"].value_counts(normalize=True)
    assert 0.008 < fault["duplicate"] < 0.012
    delay = log["received_ts"] - log["ts"]
    assert 0.015 < (delay > pd.Timedelta(hours=6)).mean() < 0.025
    assert (delay < pd.Timedelta(0)).any()  # a clock ahead of time
    junk = log["anonymous_id"].isin(company.JUNK)
    assert 0.003 < junk.mean() < 0.01
    owners = messy.tables["identities"].query("id_value not in @company.JUNK").groupby("id_value").size()
    assert 0 < (owners > 1).mean() < 0.02


def test_people_have_several_devices_and_visit_before_they_sign_in(messy: World) -> None:
    log, true = messy.tables["touchpoints"], messy.planted["events"]["customer_id"]
    devices = log["anonymous_id"].groupby(true).nunique()
    assert (devices > 1).mean() > 0.3
    signed = log["customer_id"].notna() & log["anonymous_id"].notna()
    first = log["ts"].where(signed).groupby(log["anonymous_id"]).transform("min")
    before = log["customer_id"].isna() & (log["ts"] < first)
    assert before.mean() > 0.03


def test_in_a_clean_log_there_is_nobody_to_link() -> None:
    clean = simulate(50, faults=False).tables
    assert clean["touchpoints"]["anonymous_id"].isna().all()
    assert clean["identities"].empty
    assert list(clean["identities"]) == list(simulate(50).tables["identities"])


# Folders.


def test_a_written_world_reads_back_as_it_was(tmp_path: Path) -> None:
    drawn = simulate(80, seed=3)
    folder = drawn.write(tmp_path / "a study with blanks")
    for name, frame in drawn.tables.items():
        pd.testing.assert_frame_equal(pd.read_parquet(folder / f"{name}.parquet"), frame, check_dtype=False)
    settings = yaml.safe_load((folder / "study.yaml").read_text(encoding="utf-8"))
    assert settings["money"] == "minor"
    assert settings["conversion"] == list(company.CONVERSION)


def test_a_write_that_fails_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = simulate(20).write(tmp_path / "study")
    before = {p.name: p.read_bytes() for p in folder.iterdir()}

    def full_disk(*_: object) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr(world, "_write_settings", full_disk)
    with pytest.raises(OSError, match="No space"):
        simulate(30).write(folder)
    assert {p.name: p.read_bytes() for p in folder.iterdir()} == before
    assert [p.name for p in tmp_path.iterdir()] == ["study"]


def test_a_folder_that_is_not_a_study_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("mine")
    with pytest.raises(CxValueError, match="not a study"):
        simulate(20).write(tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["letter.txt"]


def test_a_large_world_is_written_in_parts_with_ids_of_their_own(tmp_path: Path) -> None:
    folder = write_large(tmp_path / "large", 250, seed=1, chunk=100)
    assert [p.name for p in sorted((folder / "touchpoints").iterdir())] == [
        f"part-0000{i}.parquet" for i in range(3)
    ]
    log, people = pd.read_parquet(folder / "touchpoints"), pd.read_parquet(folder / "customers")
    assert log["event_id"].is_unique
    assert people["customer_id"].is_unique
    assert len(people) == 250
    assert pd.read_parquet(folder / "orders")["order_id"].is_unique
    assert not check(folder).violations


def test_freezing_writes_a_whole_study(tmp_path: Path) -> None:
    assert {p.name for p in freeze(tmp_path / "demo").iterdir()} == {p.name for p in DEMO.iterdir()}


# The posterior.


def test_the_posterior_is_calibrated_and_recovers_the_kinds() -> None:
    """Among customers given p of a kind, a share p is of that kind; 3 worlds of 4,000, 4 standard errors."""
    for respond in ("model", "all"):
        excess, aris = [], []
        for i in range(3):
            w = simulate(4000, seed=SEED + 100 + i, faults=False, respond=respond)  # type: ignore[arg-type]
            p = posterior(w).drop(columns="customer_id")
            np.testing.assert_allclose(p.sum(axis=1), 1)
            is_kind = w.who["kind"].to_numpy()[:, None] == p.columns.to_numpy()[None]
            excess.append(((is_kind - p.to_numpy()) * p.to_numpy()).sum(1))
            aris.append(adjusted_rand_score(w.who["kind"], p.columns[p.to_numpy().argmax(1)]))
        pooled = np.concatenate(excess)
        assert abs(pooled.mean()) < 4 * pooled.std() / len(pooled) ** 0.5
        assert 0.74 < np.mean(aris) < 0.85


def test_40_points_integrate_activity_as_well_as_600(monkeypatch: pytest.MonkeyPatch) -> None:
    w = simulate(500, seed=SEED + 7, faults=False)
    p = posterior(w).drop(columns="customer_id").to_numpy()
    monkeypatch.setattr(sys.modules["cxlib.world.posterior"], "POINTS", 600)
    np.testing.assert_allclose(p, posterior(w).drop(columns="customer_id").to_numpy(), atol=1e-4)


def test_the_posterior_does_not_depend_on_the_order_of_rows() -> None:
    w = simulate(200, seed=SEED + 8, faults=False)
    mixed = {name: frame.sample(frac=1, random_state=0) for name, frame in w.clean.items()}
    mixed["customers"] = w.clean["customers"]
    again = World(w.name, w.seed, w.faults, w.respond, mixed, mixed, w.who, {})
    pd.testing.assert_frame_equal(posterior(w), posterior(again))


def test_where_there_is_one_kind_the_posterior_says_so_and_on_the_continuum_it_finds_the_place() -> None:
    assert (posterior(simulate(100, world="one_kind"))["everybody"] == 1).all()
    w = simulate(1000, seed=SEED + 9, world="continuum")
    p = posterior(w).drop(columns="customer_id").to_numpy()
    place = p @ np.linspace(0, 1, kinds.POSITIONS)
    assert np.corrcoef(place, w.who["position"])[0, 1] > 0.7
    assert abs((place - w.who["position"]).mean()) < 0.03


# The truth, counted here with plain pandas.


def _persons(w: World) -> pd.DataFrame:
    log = w.clean["touchpoints"].merge(
        w.clean["catalog"][["touchpoint", "channel", "stage"]], on="touchpoint"
    )
    log = log.sort_values(["customer_id", "ts", "event_id"], ignore_index=True)
    for column in ("touchpoint", "channel"):
        log[f"next_{column}"] = log.groupby("customer_id")[column].shift(-1)
    return log


def _transitions(w: World) -> pd.Series:
    log = _persons(w).fillna({"next_touchpoint": "(end)"})
    return log.groupby("touchpoint")["next_touchpoint"].value_counts(normalize=True)


def _switches(w: World) -> pd.Series:
    return _persons(w).groupby("channel")["next_channel"].value_counts(normalize=True)


def _steps(w: World) -> pd.Series:
    log = _persons(w)
    step = log.groupby("customer_id").cumcount() + 1
    table = (
        log.pivot_table(index=step, columns="touchpoint", values="event_id", aggfunc="size")
        .loc[:10]
        .fillna(0)
    )
    table["(end)"] = log["customer_id"].nunique() - table.sum(axis=1)
    return table.div(table.sum(axis=1), axis=0).stack()


def _funnel(w: World) -> pd.Series:
    reached = []
    for _, stages in _persons(w).groupby("customer_id")["stage"]:
        sequence, at, depth = stages.tolist(), -1, 0
        for stage in STAGES:
            if stage not in sequence[at + 1 :]:
                break
            at, depth = sequence.index(stage, at + 1), depth + 1
        reached.append(depth)
    counts = pd.Series({(k + 1, s): sum(d > k for d in reached) for k, s in enumerate(STAGES)})
    return counts / counts.iloc[0]


def _markov(w: World) -> pd.Series:
    """Removal effects by following every path of the fitted chain, step by step until it has run dry."""
    moves: Counter[tuple[str, str]] = Counter()
    log, state, previous = _persons(w), "(start)", ""
    for person, channel, touchpoint in log[["customer_id", "channel", "touchpoint"]].itertuples(index=False):
        if person != previous and state != "(start)":
            moves[state, "null"] += 1
        state = "(start)" if person != previous else state
        previous = person
        if touchpoint in company.CONVERSION:
            if state == "(start)":
                moves[state, "(direct)"] += 1
                state = "(direct)"
            moves[state, "won"] += 1
            state = "(start)"
        else:
            moves[state, channel] += 1
            state = channel
    if state != "(start)":
        moves[state, "null"] += 1
    count = pd.Series(moves).unstack(fill_value=0)
    chain = count.div(count.sum(axis=1), axis=0)

    def won(without: str | None = None) -> float:
        states = [s for s in chain.index if s != without]
        onward, win = (
            chain.reindex(columns=states).fillna(0).loc[states].to_numpy(),
            chain["won"][states].to_numpy(),
        )
        mass, total = np.array([s == "(start)" for s in states], float), 0.0
        for _ in range(2000):
            total += mass @ win
            mass = mass @ onward
        return total

    base = won()
    return pd.Series({s: 1 - won(s) / base for s in chain.index if s != "(start)"})


def _nps(w: World) -> pd.Series:
    scores = w.clean["surveys"].query("question == 'nps'")
    vote = 100.0 * ((scores["score"] >= 9).astype(int) - (scores["score"] <= 6).astype(int))
    return pd.concat([pd.Series({"(all)": vote.mean()}), vote.groupby(scores["touchpoint"]).mean()])


@pytest.fixture(scope="module")
def large() -> World:
    return simulate(12_000, seed=SEED + 31, faults=False, respond="all")


@pytest.mark.parametrize(
    ("name", "count", "scale"),
    [
        ("transitions", _transitions, 1),
        ("switches", _switches, 1),
        ("steps", _steps, 1),
        ("funnel", _funnel, 1),
        ("markov", _markov, 1),
        ("nps", _nps, 500),
    ],
)
def test_the_frozen_truth_is_what_plain_pandas_counts(
    large: World, name: str, count: Callable[[World], pd.Series], scale: float
) -> None:
    """Within Monte-Carlo error: 12,000 against 250,000 customers; few vote on some touchpoints, from -100 to 100."""
    frozen = large.truth(name)
    keys = list(frozen.columns[:-1])
    counted = count(large).rename_axis(keys).rename("counted").reset_index()
    both = frozen.merge(counted, on=keys, how="outer").fillna({"truth": 0.0, "counted": 0.0})
    gap = (both["truth"] - both["counted"]).abs() / scale
    assert gap.mean() < 0.01
    assert gap.max() < 0.05


@pytest.mark.parametrize("name", company.WORLDS)
def test_shares_of_the_truth_sum_to_1(name: str) -> None:
    drawn = simulate(5, world=name)
    assert drawn.truth("transitions").groupby("source")["truth"].sum().to_numpy() == pytest.approx(1)
    assert drawn.truth("switches").groupby("source")["truth"].sum().to_numpy() == pytest.approx(1)
    assert drawn.truth("steps").groupby("step")["truth"].sum().to_numpy() == pytest.approx(1)
    assert drawn.truth("funnel")["truth"].is_monotonic_decreasing
    assert drawn.truth("markov")["truth"].between(0, 1).all()
    assert drawn.truth("nps")["truth"].between(-100, 100).all()


@pytest.mark.slow
@pytest.mark.parametrize("name", company.WORLDS)
def test_the_frozen_truth_belongs_to_the_company_as_it_is(name: str) -> None:
    """Counted anew in a smaller world: whoever changes the company must freeze anew."""
    frozen = pd.read_parquet(world.TRUTH / f"{name}.parquet").query("result in @RESULTS")
    keys = ["result", *dict.fromkeys(key for names in truth.KEYS.values() for key in names)]
    frozen = frozen[[*keys, "truth"]]
    both = (
        truth.compute(name, 40_000, seed=SEED + 41)
        .merge(frozen, on=keys, how="outer")
        .fillna({"truth_x": 0, "truth_y": 0})
    )
    gap = (both["truth_x"] - both["truth_y"]).abs() / both["result"].map(lambda r: 100 if r == "nps" else 1)
    assert gap.mean() < 0.005
    assert gap.max() < 0.05


def test_a_truth_that_is_not_planted_is_refused_with_those_that_are() -> None:
    with pytest.raises(CxLookupError, match="transitions, steps, switches"):
        simulate(5).truth("transition")
