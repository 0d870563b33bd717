"""The coverage harness: over many simulated worlds, do intervals hold the truth as often as they promise?"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import special

from cxlib.errors import CxLookupError, CxValueError
from cxlib.results import Claim, Result, percent
from cxlib.stats import ENOUGH, Array, wilson

_NUMBERS = ["estimate", "low", "high", "truth", "expected"]


@dataclass(frozen=True, eq=False)
class Coverage(Result):
    """What intervals really cover, over many simulated worlds.

    Fields: `results`, one row a result (result, estimate = coverage averaged over its cells, low,
    high = its own uncertainty, n = worlds, cells, width, bias, trials = the number of independent
    trials the covered cells are worth); `cells`, the same for each cell; `worlds`.
    """

    results: pd.DataFrame = field(repr=False)
    cells: pd.DataFrame = field(repr=False)
    worlds: int

    def table(self) -> pd.DataFrame:
        """One row a result: coverage with its uncertainty, worlds, cells, mean width and bias."""
        return self.results

    def within(self, low: float, high: float, result: str | None = None) -> bool:
        """Whether the coverage (of `result`, or of every result) lies in the band."""
        return bool(self._chosen(result)["estimate"].between(low, high).all())

    def rejects(self, low: float, high: float, result: str | None = None, alpha: float = 0.001) -> bool:
        """Whether the whole band is rejected at `alpha` (for `result`, or for any result).

        Worlds are independent, cells of one world are not. The covered share is tested as
        binomial with as many trials as its variance between worlds says it is worth (one cell a
        world: exactly binomial), against the band's nearer end.
        """
        chosen = self._chosen(result)
        worth = zip(chosen["estimate"].to_numpy(float), chosen["trials"].to_numpy(float), strict=True)
        return any(_tails(share * trials, trials, low, high) < alpha for share, trials in worth)

    def claim(self) -> Claim:
        """One sentence: what the intervals cover."""
        shares = self.results["estimate"].to_numpy(float)
        said = ", ".join(
            f"{name} {percent(s)}" for name, s in zip(self.results["result"], shares, strict=True)
        )
        return Claim(f"Over {self.worlds:,} simulated worlds the 95 % intervals hold the truth in: {said}.")

    def _chosen(self, result: str | None) -> pd.DataFrame:
        if result is None:
            return self.results
        chosen = self.results[self.results["result"] == result]
        if chosen.empty:
            raise CxLookupError(f"No result {result!r}; there are {', '.join(self.results['result'])}.")
        return chosen


def _tails(x: float, n: float, low: float, high: float) -> float:
    """p-value of x covered of n (not whole) trials against every rate in [low, high]."""
    if low <= x / n <= high:
        return 1.0
    if x / n < low:
        return float(special.betainc(n - x, x + 1, 1 - low))
    return float(special.betainc(x, n - x + 1, high))


def coverage(
    draw: Callable[[int], pd.DataFrame],
    worlds: int,
    base: int | None = None,
    *,
    store: str | Path | None = None,
    seconds: float | None = None,
    chunk: int = 20,
    progress: Callable[[int, int], None] | None = None,
) -> Coverage:
    """Draw worlds with seeds base, base + 1, ... and count how often intervals hold the truth.

    `draw(seed)` returns one row a cell: key columns (an optional one named `result` tells several
    results apart), estimate, low, high, truth and expected (the expected count). Cells are averaged
    when their expected count, averaged over the worlds, is at least `ENOUGH`; an interval that is
    NaN, or a cell missing in a world, does not cover. `base` defaults to CXLIB_SEED.

    `store` is a folder that keeps every world, `chunk` worlds a file, written aside and renamed: a
    run can be stopped and resumed. Name it anew when the draw changes. After `seconds` of CPU
    nothing more is drawn (but one chunk at least); the result says how many worlds it has.
    `progress(done, worlds)` is called after each chunk.

    >>> def draw(seed):
    ...     x = np.random.default_rng(seed).binomial(60, .4)
    ...     one = wilson(x, 60)
    ...     return pd.DataFrame({"cell": ["heads"], "estimate": one.estimate, "low": one.low,
    ...                          "high": one.high, "truth": .4, "expected": 24.0})
    >>> bar = coverage(draw, 200)
    >>> bar.rejects(.92, .97), bar.rejects(.5, .6)
    (False, True)
    """
    first = int(os.environ.get("CXLIB_SEED", "0")) if base is None else base
    folder = Path(store) if store is not None else None
    frames: list[pd.DataFrame] = []
    began = time.process_time()
    for start in range(0, worlds, chunk):
        stop = min(start + chunk, worlds)
        path = folder / f"{first + start}-{first + stop - 1}.parquet" if folder else None
        kept = _kept(path)
        if kept is None:
            if seconds is not None and frames and time.process_time() - began > seconds:
                continue  # later chunks may lie in the store
            kept = pd.concat(
                [_world(draw, seed) for seed in range(first + start, first + stop)], ignore_index=True
            )
            if path is not None:
                path.parent.mkdir(parents=True, exist_ok=True)
                aside = path.with_name(f"{path.name}.{os.getpid()}.tmp")
                kept.to_parquet(aside, compression="zstd", index=False)
                aside.replace(path)
        frames.append(kept)
        if progress is not None:
            progress(stop, worlds)
    return _covered(pd.concat(frames, ignore_index=True), sum(frame["world"].nunique() for frame in frames))


def _kept(path: Path | None) -> pd.DataFrame | None:
    if path is None or not path.exists():
        return None
    try:
        return pd.read_parquet(path)
    except (OSError, ValueError):  # half a file is no file: draw these worlds again
        return None


def _world(draw: Callable[[int], pd.DataFrame], seed: int) -> pd.DataFrame:
    frame = draw(seed)
    absent = [name for name in _NUMBERS if name not in frame]
    if absent:
        raise CxLookupError(f"A draw must return {', '.join(_NUMBERS)}; missing: {', '.join(absent)}.")
    keys = [c for c in frame.columns if c not in {*_NUMBERS, "result", "n"}]
    label = pd.Series("", index=frame.index)
    for key in keys:
        label = label + frame[key].map(lambda value: "" if pd.isna(value) else f"{value} > ")
    kept = frame[_NUMBERS].astype("float64").reset_index(drop=True)
    kept.insert(0, "world", seed)
    kept.insert(1, "result", frame["result"].astype(str).to_numpy() if "result" in frame else "all")
    kept.insert(2, "cell", label.str.removesuffix(" > ").to_numpy())
    if kept.duplicated(["result", "cell"]).any():
        raise CxValueError("A draw must return each cell once.")
    return kept[kept["truth"].notna()]


def _covered(drawn: pd.DataFrame, worlds: int) -> Coverage:
    drawn = drawn.assign(
        covered=((drawn["low"] <= drawn["truth"]) & (drawn["truth"] <= drawn["high"])).astype(float),
        width=drawn["high"] - drawn["low"],
        bias=drawn["estimate"] - drawn["truth"],
    )
    grouped = drawn.groupby(["result", "cell"], sort=False)
    cells = grouped[["covered", "expected"]].sum() / worlds  # a missing world is a miss
    cells = cells.join(grouped[["width", "bias", "truth"]].mean()).reset_index()
    cells["scored"] = cells["expected"] >= ENOUGH
    keep = drawn.merge(cells.loc[cells["scored"], ["result", "cell"]], on=["result", "cell"])
    rows = []
    for result in cells["result"].unique():
        mine = cells[(cells["result"] == result) & cells["scored"]]
        if mine.empty:
            continue
        k = len(mine)
        by_world = keep[keep["result"] == result].groupby("world")["covered"].sum() / k
        spread = np.r_[by_world.to_numpy(), np.zeros(worlds - len(by_world))]
        share = float(spread.mean())
        trials = _worth(spread, share, k)
        own = wilson(share * trials, trials)
        rows.append(
            {
                "result": result,
                "estimate": share,
                "low": float(own.low),
                "high": float(own.high),
                "n": worlds,
                "cells": k,
                "width": float(mine["width"].mean()),
                "bias": float(mine["bias"].mean()),
                "trials": trials,
            }
        )
    columns = ["result", "estimate", "low", "high", "n", "cells", "width", "bias", "trials"]
    cells = cells.rename(columns={"covered": "estimate"}).assign(n=worlds)
    return Coverage(pd.DataFrame(rows, columns=columns), cells, worlds)


def _worth(shares_by_world: Array, mean: float, cells: int) -> float:
    """How many independent trials the covered cells are worth: between one a world and all."""
    worlds = len(shares_by_world)
    independent = mean * (1 - mean) / cells
    if cells == 1 or worlds < 2 or independent <= 0:
        return float(worlds)
    effect = float(shares_by_world.var(ddof=1)) / independent
    return worlds * cells / float(np.clip(effect, 1.0, cells))
