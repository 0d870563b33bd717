"""A result beside the planted truth: how many of its intervals hold it, and how far off it is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import pandas as pd

from cxlib.errors import CxLookupError, CxValueError
from cxlib.results import Claim, Framed, Result, number, percent
from cxlib.stats.folds import ENOUGH


@dataclass(frozen=True, eq=False)
class Score(Result):
    """How a result compares with the planted truth.

    Fields: `cells`, one row a cell of the truth (keys, estimate, low, high, n, truth, error,
    covered, scored); `compared`, how many cells; `scored`, those with an expected count of at least
    `ENOUGH`, on which `coverage` (share of scored cells whose interval holds the truth) is taken;
    `error`, the mean absolute error over all cells; `missing`, cells of the truth the result lacks
    (their estimate counts as 0); `extra`, cells of the result that the truth doesn't have.
    """

    cells: pd.DataFrame = field(repr=False)
    compared: int
    scored: int
    coverage: float
    error: float
    missing: int
    extra: int

    def table(self) -> pd.DataFrame:
        """One row a cell, the worst first (distance from the truth, in interval widths if it has one)."""
        return self.cells

    def worst(self, rows: int = 5) -> pd.DataFrame:
        """The scored cells whose interval misses the truth by most."""
        missed = self.cells[self.cells["scored"] & ~self.cells["covered"]]
        return missed.head(rows)

    def claim(self) -> Claim:
        """One sentence: how many intervals hold the truth, and how far off the estimates are."""
        held = "no cell is large enough to be scored"
        if self.scored:
            count = round(self.coverage * self.scored)
            held = f"{count} of {self.scored} intervals ({percent(self.coverage)}) hold the planted truth"
        text = f"{held}; the mean absolute error over {self.compared} cells is {number(self.error)}"
        if self.missing:
            largest = number(float(self.cells.loc[~self.cells["found"], "truth"].abs().max()))
            text += f"; {self.missing} cells of the truth were not found, the largest {largest}"
        return Claim(text[0].upper() + text[1:] + ".")


@dataclass(frozen=True, eq=False)
class Scoreboard(Framed):
    """Several results beside the truth: one row a result.

    `frame`: result, estimate (share of the scored intervals that hold the truth), n (intervals scored),
    mean_error (mean absolute error over all cells, in the result's unit).
    """

    SHARES: ClassVar = ("hold_the_truth",)

    def shown(self) -> pd.DataFrame:
        """With columns that say what is counted: intervals, not customers, so that nothing is suppressed."""
        return self.frame.rename(columns={"estimate": "hold_the_truth", "n": "intervals"})

    def claim(self) -> Claim:
        """How many intervals hold the truth in all."""
        held, n = int((self.frame["estimate"] * self.frame["n"]).round().sum()), int(self.frame["n"].sum())
        return Claim(f"{held} of {n} intervals hold the planted truth, where 19 in 20 should on clean data.")


def scoreboard(tables: Mapping[str, pd.DataFrame], truth: Callable[[str], pd.DataFrame]) -> Scoreboard:
    """Score each named table against `truth(name)`; a study's own `truth` serves.

    >>> table = pd.DataFrame({"step": [1, 2], "estimate": [.5, .2], "low": [.4, .1], "high": [.6, .3]})
    >>> board = scoreboard({"funnel": table}, lambda name: pd.DataFrame({"step": [1, 2], "truth": [.45, .35]}))
    >>> print(board.table().round(3).to_string(index=False))
    result  estimate  n  mean_error
    funnel       0.5  2         0.1
    """
    scores = {name: score(table, truth(name)) for name, table in tables.items()}
    rows = [(name, one.coverage, one.scored, one.error) for name, one in scores.items()]
    return Scoreboard(pd.DataFrame(rows, columns=["result", "estimate", "n", "mean_error"]))


def score(table: pd.DataFrame, truth: pd.DataFrame) -> Score:
    """Compare a result's table with the truth: same key columns, then `truth`.

    Keys are the truth's columns other than `truth`. Only cells with an expected count of at least
    `ENOUGH` are scored for coverage: the table's column `expected`; or n times the truth where the
    table has `count` and `n` (its estimates are then shares, count of n); in other tables all cells.
    What was expected and not what was found decides, or the unlucky cells would go unscored. A key
    of the truth that the table lacks counts with an estimate of 0 and an interval that holds nothing;
    its n is that of the rows with the same first key.

    >>> table = pd.DataFrame({"step": [1, 2], "estimate": [.5, .2], "low": [.4, .1], "high": [.6, .3]})
    >>> result = score(table, pd.DataFrame({"step": [1, 2], "truth": [.45, .35]}))
    >>> result.coverage, round(result.error, 3), result.worst()["step"].tolist()
    (0.5, 0.1, [2])
    """
    keys = [column for column in truth.columns if column != "truth"]
    absent = [c for c in [*keys, "estimate", "low", "high"] if c not in table]
    if absent or "truth" not in truth:
        raise CxLookupError(
            f"score needs the truth's keys {keys}, estimate, low and high in the table, and a column `truth` "
            f"in the truth; the table has {list(table.columns)}, the truth {list(truth.columns)}."
        )
    if table.duplicated(keys).any() or truth.duplicated(keys).any():
        raise CxValueError(
            f"score needs one row for each of {keys}; there are several in the table or truth."
        )
    merged = truth.merge(table, on=keys, how="left", indicator="found", validate="one_to_one")
    merged["found"] = merged["found"].eq("both")
    merged["estimate"] = merged["estimate"].astype(float).fillna(0.0)
    low, high, true = (merged[name].astype(float) for name in ("low", "high", "truth"))
    merged["error"] = merged["estimate"] - true
    merged["covered"] = (low <= true) & (true <= high)
    merged["scored"] = _expected(merged, keys[0], true) >= ENOUGH
    reach = ((high - low) / 2).where(high > low)
    merged["_order"] = (merged["error"].abs() / reach).fillna(np.inf).where(~merged["covered"], 0.0)
    merged["_size"] = merged["error"].abs()
    merged = merged.sort_values(["_order", "_size"], ascending=False, kind="stable", ignore_index=True)
    front = [
        *keys,
        "estimate",
        "low",
        "high",
        *(["n"] if "n" in merged else []),
        "truth",
        "error",
        "covered",
        "scored",
    ]
    rest = [c for c in merged.columns if c not in front and not c.startswith("_")]
    scored = merged["scored"].to_numpy(dtype=bool)
    extra = int((~pd.MultiIndex.from_frame(table[keys]).isin(pd.MultiIndex.from_frame(truth[keys]))).sum())
    return Score(
        cells=merged[front + rest],
        compared=len(merged),
        scored=int(scored.sum()),
        coverage=float(merged.loc[scored, "covered"].mean()) if scored.any() else float("nan"),
        error=float(merged["error"].abs().mean()) if len(merged) else float("nan"),
        missing=int((~merged["found"]).sum()),
        extra=extra,
    )


def _expected(merged: pd.DataFrame, key: str, truth: pd.Series) -> pd.Series:
    """The expected count of each cell; infinite where the table doesn't say what it counts."""
    if "expected" not in merged and not {"count", "n"} <= set(merged.columns):
        return pd.Series(np.inf, index=merged.index)
    n = pd.Series(np.nan, index=merged.index)
    if "n" in merged:
        n = merged["n"].astype(float)
        n = n.fillna(n.groupby(merged[key], dropna=False).transform("max")).fillna(n.median())
    if "expected" not in merged:
        return n * truth.abs()
    return merged["expected"].astype(float).fillna(n * truth.abs())
