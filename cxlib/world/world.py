"""A world: the company's tables with and without faults, who its customers are, and its truth."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from cxlib.errors import CxLookupError, CxValueError, did_you_mean
from cxlib.world import company as c
from cxlib.world import effects, faults, tables, trials
from cxlib.world import truth as walk
from cxlib.world.programme import DAY
from cxlib.world.year import draw_year

Tables = dict[str, pd.DataFrame]
TRUTH = Path(__file__).parent / "truth"
KEYS: dict[str, tuple[str, ...]] = walk.KEYS | effects.KEYS
TITLES = {
    "demo": "Alba Home: a simulated company with planted truth",
    "one_kind": "Alba Home, if there were one kind of customer",
    "continuum": "Alba Home, if customers varied along one axis",
    "broken": "Alba Home, where what estimators assume does not hold",
}


@dataclass(frozen=True)
class World:
    """A simulated study and what is hidden behind it.

    tables: the study, as the company would see it.
    clean: the same without faults, the true customer on every row.
    who: customer_id, kind, position (of the kind among all, 0 to 1: the continuum's axis), activity,
    left (for good, when; empty: still a customer at the end).
    planted: frames of what was laid in: `frictions` and their effects, `comments` by response, and with
    faults `events`: the true customer, the clean event and the fault of every row of the log.
    """

    name: str
    seed: int
    faults: bool
    respond: str
    tables: Tables = field(repr=False)
    clean: Tables = field(repr=False)
    who: pd.DataFrame = field(repr=False)
    planted: dict[str, pd.DataFrame] = field(repr=False)

    @property
    def source(self) -> str:
        """The call that draws this world."""
        more = f"world={self.name!r}, faults={self.faults}, respond={self.respond!r}"
        return f"simulate({len(self.who)}, seed={self.seed}, {more})"

    def truth(self, name: str) -> pd.DataFrame:
        """Population value of a named result: its keys and `truth`. CxLookupError where none is planted."""
        return truth(self.name, name)

    def write(self, folder: str | Path) -> Path:
        """Write the study as a folder (tables, study.yaml, truth.parquet): whole or not at all."""
        with _whole(Path(folder)) as new:
            for name, frame in self.tables.items():
                _write_table(frame, new / f"{name}.parquet")
            _write_settings(new, self.name, self.source)
        return Path(folder)


def truth(world: str, name: str) -> pd.DataFrame:
    """Population value of a named result in a named world."""
    frame = pd.read_parquet(TRUTH / f"{world}.parquet")
    names = frame["result"].unique().tolist()
    if name not in names:
        raise CxLookupError(
            f"No truth is planted for `{name}`; there is: {', '.join(names)}.{did_you_mean(name, names)}"
        )
    return frame.loc[frame["result"] == name, [*KEYS[name], "truth"]].reset_index(drop=True)


def simulate(
    customers: int,
    seed: int = 0,
    world: str = "demo",
    faults: bool = True,
    respond: Literal["model", "all"] = "model",
) -> World:
    """Draw `customers` independent customers of a named world over one year.

    `faults=False` leaves the log clean; `respond="all"` has everybody asked answer. All else stays as it was.

    >>> simulate(50, seed=3, faults=False).tables["touchpoints"]["customer_id"].notna().all()
    np.True_
    """
    if world not in c.WORLDS:
        raise CxLookupError(
            f"No world `{world}`; there are: {', '.join(c.WORLDS)}.{did_you_mean(world, c.WORLDS)}"
        )
    if customers < 1 or int(customers) != customers:
        raise CxValueError(f"customers must be a whole number of at least 1, not {customers!r}.")
    if respond not in ("model", "all"):
        raise CxValueError(f"respond must be `model` or `all`, not {respond!r}.")
    return _part(int(customers), seed, world, faults, respond, part=0, first=1)


def _part(
    customers: int, seed: int, world: str, with_faults: bool, respond: str, part: int, first: int
) -> World:
    """Customers numbered from `first`; each concern has a stream of its own: none disturbs another."""
    firm = c.company(world)
    seeds = np.random.SeedSequence([abs(seed), int(seed < 0), part]).spawn(10)
    streams = [np.random.default_rng(s) for s in seeds]
    areas = np.random.default_rng([abs(seed), int(seed < 0)])  # the same in all parts
    year = draw_year(firm, customers, [streams[i] for i in (0, 7, 1, 2, 3)], areas, respond == "all")
    who, log, bought = year.who, year.log, year.bought
    survey_frame, comments = tables.surveys(
        who, log, year.answers, first, 100 * first, streams[4], streams[9]
    )

    in_time = np.argsort(log.at, kind="stable")
    event_id = np.empty(len(in_time), np.int64)
    event_id[in_time] = 1000 * first + np.arange(len(in_time))
    order_number = 100 * first + np.argsort(np.argsort(log.at[bought.event], kind="stable"), kind="stable")
    columns = tables.touchpoints(log, bought, first, event_id, order_number)
    rest: Tables = {
        "catalog": tables.catalog(),
        "customers": tables.customers(firm, who, log, first, streams[6]),
        "surveys": survey_frame,
        "orders": tables.orders(log, bought, first, order_number),
        "exposures": tables.exposures(who, year.treated, first, streams[8]),
    }
    clean_log = pd.DataFrame(columns).iloc[in_time].reset_index(drop=True)
    frictions = pd.DataFrame(c.FRICTIONS).explode("touchpoints", ignore_index=True)
    planted = {"frictions": frictions, "comments": comments}
    if with_faults:
        dirty, identities, events = faults.lay_over(log, columns, customers, first, streams[5])
        planted["events"] = events
    else:
        dirty, identities = clean_log, faults.no_identities()
    hidden = pd.DataFrame({"customer_id": rest["customers"]["customer_id"]}).assign(
        kind=tables.text(who.kind, [k.name for k in firm.kinds]),
        position=who.kind / max(len(firm.kinds) - 1, 1),
        activity=who.activity,
        left=tables.time(np.minimum(year.gone, 2 * c.DAYS * DAY)).where(year.gone < trials.NEVER),
    )
    return World(
        name=world,
        seed=seed,
        faults=with_faults,
        respond=respond,
        tables={"touchpoints": dirty, "identities": identities} | rest,
        clean={"touchpoints": clean_log, "identities": faults.no_identities()} | rest,
        who=hidden,
        planted=planted,
    )


def write_large(
    folder: str | Path,
    customers: int,
    seed: int = 0,
    world: str = "demo",
    chunk: int = 10_000,
    faults: bool = True,
) -> Path:
    """Write millions of customers part by part (`touchpoints/part-00000.parquet`), in bounded memory."""
    with _whole(Path(folder)) as new:
        for part, start in enumerate(range(0, customers, chunk)):
            some = _part(min(chunk, customers - start), seed, world, faults, "model", part, 1 + start)
            for name, frame in some.tables.items():
                if name == "catalog":
                    _write_table(frame, new / "catalog.parquet")
                else:
                    (new / name).mkdir(exist_ok=True)
                    _write_table(frame, new / name / f"part-{part:05d}.parquet")
        source = f"write_large({customers}, seed={seed}, world={world!r}, chunk={chunk}, faults={faults})"
        _write_settings(new, world, source)
    return Path(folder)


def freeze(folder: str | Path) -> Path:
    """Write the demo study anew: 5,000 customers, seed 0."""
    return simulate(5000, seed=0).write(folder)


@contextmanager
def _whole(target: Path) -> Iterator[Path]:
    """A folder that appears when it is complete: written beside its place, then renamed.

    An older study there is replaced; anything else is left alone.
    """
    if target.exists() and not (target / "study.yaml").exists() and not (target.is_dir() and _empty(target)):
        raise CxValueError(
            f"{target} exists and is not a study: it is left as it is. Name a new or an empty folder."
        )
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{target.name}-", dir=target.parent) as scratch:
        new, old = Path(scratch, "new"), Path(scratch, "old")
        new.mkdir()
        yield new
        if target.exists():
            target.rename(old)
        new.rename(target)


def _empty(folder: Path) -> bool:
    return next(folder.iterdir(), None) is None


def _write_table(frame: pd.DataFrame, path: Path) -> None:
    """Parquet, zstd; numbers and times as differences, texts by dictionary: about 12 bytes an event."""
    table = pa.Table.from_pandas(frame, preserve_index=False)
    fields = [f.with_type(pa.string()) if pa.types.is_large_string(f.type) else f for f in table.schema]
    table = table.cast(pa.schema(fields))
    steps = [f.name for f in fields if pa.types.is_timestamp(f.type) or f.name == "event_id"]
    pq.write_table(
        table,
        path,
        compression="zstd",
        compression_level=9,
        use_dictionary=[f.name for f in fields if f.name not in steps],
        column_encoding=dict.fromkeys(steps, "DELTA_BINARY_PACKED"),
    )


def _write_settings(folder: Path, world: str, source: str) -> None:
    settings = {
        "name": world,
        "title": TITLES[world],
        "currency": c.CURRENCY,
        "money": "minor",
        "time_zone": "UTC",
        "conversion": list(c.CONVERSION),
        "licence": "CC0-1.0",
        "source": f"simulated: {source}",
    }
    text = yaml.safe_dump(settings, sort_keys=False, allow_unicode=True)
    (folder / "study.yaml").write_text(text, encoding="utf-8")
    known = TRUTH / f"{world}.parquet"
    if known.exists():
        shutil.copyfile(known, folder / "truth.parquet")
