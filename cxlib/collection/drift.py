"""Whether the columns of the tables look the same in both halves of the study's time.

Every column becomes a few classes and is tested once, with customers as the independent units; over all
columns the false discovery rate is controlled.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import ibis
import ibis.expr.types as ir
import numpy as np
import pandas as pd

from cxlib import stats
from cxlib.contract import TABLES
from cxlib.rates import Counts
from cxlib.results import TOO_FEW, nice, percent, visible
from cxlib.stats import Array
from cxlib.stats import laws as distributions
from cxlib.study import Study
from cxlib.study.log import fold
from cxlib.study.people import people, touchpoints, with_person

TOP = 8
DECILES = [k / 10 for k in range(1, 10)]
FREE = ("comment", "content")
Classes = tuple[tuple[str, ...], Any]  # their names, and the number of a row's class on the engine
PRESENT = ("empty", "filled")


def drift(study: Study) -> Counts:
    """How far each column of each dated table moved between the halves of the study's time.

    A dated table has a column `ts`; the halves meet midway between the first and the last touchpoint. Classes
    of a column: empty, its eight most frequent values and other ones; empty and the deciles of numbers, and
    of the seconds from `ts` to other times; for ids, and texts whose eight make up less than half of them,
    whether they are filled. Classes expected fewer than ten times in a half are put together.

    One row a column, the surest first: table, column, class (that moved most), estimate (its share in the
    second half less that in the first, points), low, high, q (false discovery rate over all columns),
    distance (total variation: half the sum of all classes' absolute moves), n (rows), folds (of customers
    that the class comes from). A column with a single class, and a table of one half only, are left out.

    Test: Hotelling's T2 of the classes' moves, their covariance from leaving out one of fifty folds of
    customers at a time, by F with 49 degrees of freedom, or fewer where the folds are uneven (Kish's number
    of folds, less one); Hotelling 1931, Annals of Mathematical Statistics 2; Korn and Graubard 1990, The
    American Statistician 44, who also have the interval's Bonferroni t, over the column's classes, as the one
    that moved most was picked.
    """
    study.table("touchpoints", needed_by="drift")
    frame = study.cached("quality_drift", {}, lambda: _drift(study))
    return Counts(frame, _say(visible(frame)), ("distance",))


def _drift(study: Study) -> pd.DataFrame:
    at = study.engine.micros(study.table("touchpoints")["ts"])
    ends = study.fetch(study.table("touchpoints").agg(first=at.min(), last=at.max())).iloc[0]
    middle = int(ends["first"] + ends["last"]) // 2
    found = [row for table in TABLES if study.has(table, "ts") for row in _columns(study, table, middle)]
    names = ["table", "column", "class", "estimate", "low", "high", "q", "distance", "n", "folds"]
    frame = pd.DataFrame(found, columns=names).astype({"q": "float64", "distance": "float64"})
    frame["q"] = stats.benjamini_hochberg(frame["q"])
    return frame.sort_values(["q", "distance"], ascending=[True, False], ignore_index=True)


def _columns(study: Study, table: str, middle: int) -> list[dict[str, object]]:
    """One row a column that can be tested, `q` its p-value: one aggregate by half, fold and class."""
    t = touchpoints(study) if table == "touchpoints" else study.table(table)
    classes = _classes(study, table, t)
    codes = {f"c{i}": code.cast("int8") for i, (_, code) in enumerate(classes.values())}
    half = (study.engine.micros(t["ts"]) >= middle).cast("int8")
    if table == "touchpoints":
        who = people(study.ids)
        who = study.engine.keep(who.mutate(fold_=fold(who["key"])))
        rows = with_person(t.select("customer_id", "anonymous_id", half_=half, **codes), who)
    else:
        own = [t[name].cast("string") for name in ("customer_id", *TABLES[table].key) if name in t.columns]
        rows = t.select(half_=half, fold_=fold(ibis.coalesce(*own)), **codes)
    cells = [(f"c{i}", k) for i, (names, _) in enumerate(classes.values()) for k in range(len(names))]
    sums = {f"{code}_{k}": (rows[code] == k).sum() for code, k in cells}
    found = study.fetch(rows.group_by("half_", "fold_").agg(**sums))
    place, out = (found["half_"].to_numpy(int), found["fold_"].to_numpy(int)), []
    for i, (column, (names, _)) in enumerate(classes.items()):
        counts = np.zeros((2, stats.FOLDS, len(names)))
        counts[place] = found[[f"c{i}_{k}" for k in range(len(names))]].to_numpy(float)
        if row := compared(counts, names):
            out.append({"table": table, "column": column, **row})
    return out


def _classes(study: Study, table: str, t: ir.Table) -> dict[str, Classes]:
    """The classes of each column but `ts`, from two queries: deciles of numbers, most frequent values of texts."""
    present = {c.name for c in TABLES[table].columns if c.kind in ("id", "key") or c.name in FREE}
    columns = [name for name in study.given[table] if name != "ts"]
    out: dict[str, Classes] = {name: (PRESENT, t[name].notnull()) for name in columns}
    texts, numbers = {}, {}
    for name in (name for name in columns if name not in present):
        value: Any = t[name]
        if value.type().is_string() or value.type().is_boolean():
            texts[name] = value.cast("string")
        elif value.type().is_timestamp():
            numbers[name] = (study.engine.micros(value) - study.engine.micros(t["ts"])) / 1e6
        elif value.type().is_numeric():
            numbers[name] = value.cast("float64")
    if numbers:
        deciles = {name: value.quantile(DECILES) for name, value in numbers.items()}
        cuts = study.fetch(t.agg(**deciles)).iloc[0]
        for name, value in numbers.items():
            if np.ndim(cuts[name]):
                out[name] = _deciles(value, cuts[name], " s" if t[name].type().is_timestamp() else "")
    tops = []
    for name, value in texts.items():
        met = t.select(value=value).group_by("value").agg(n=lambda v: v.count())
        met = met.filter(met["value"].notnull())
        met = met.mutate(column=ibis.literal(name), all_=met["n"].sum().over(ibis.window()))
        tops.append(met.order_by(met["n"].desc(), "value").limit(TOP))
    for name, top in study.fetch(ibis.union(*tops)).groupby("column") if tops else ():
        if 2 * top["n"].sum() >= top["all_"].iloc[0]:
            said = sorted(top["value"])
            those = [(texts[name] == text, 2 + k) for k, text in enumerate(said)]
            out[name] = ("empty", "other", *said), ibis.cases((texts[name].isnull(), 0), *those, else_=1)
    return out


def _deciles(value: Any, cuts: Sequence[float], unit: str) -> Classes:
    """Classes between the cuts that differ: between equal values engines interpolate to the last digit only."""
    ordered = sorted(float(cut) for cut in cuts)
    kept = [a for a, b in itertools.pairwise([*ordered, np.inf]) if b - a > 1e-9 * abs(a)]
    said = [f"{cut:,.6g}{unit}" for cut in kept]
    between = [f"over {a} to {b}" for a, b in itertools.pairwise(said)]
    up_to = [(value <= cut, 1 + k) for k, cut in enumerate(kept)]
    code = ibis.cases((value.isnull(), 0), *up_to, else_=len(kept) + 1)
    return ("empty", f"up to {said[0]}", *between, f"over {said[-1]}"), code


def compared(counts: Array, names: Sequence[str]) -> dict[str, object]:
    """The class that moved most, its move in points, `q` (the p-value) and distance; nothing of a single class.

    `counts` is (2 halves, folds, classes).

    >>> same = compared(np.random.default_rng(0).multinomial(20, [.5, .3, .2], (2, 50)).astype(float), "abc")
    >>> same["q"] > .05, same["low"] < 0 < same["high"]
    (True, True)
    """
    counts, kept = _enough(counts, names)
    filled, whole = counts.any(axis=(0, 2)), counts.sum(axis=1)
    totals = np.concatenate([whole[:, None], whole[:, None] - counts[:, filled]], axis=1)
    if len(kept) < 2 or not totals.any(axis=2).all():
        return {}
    first, second = totals / totals.sum(axis=2, keepdims=True)
    move, folds, size = (second - first)[0], int(filled.sum()), counts.sum(axis=(0, 2))
    spread = (second - first)[1:] - move
    covariance = (folds - 1) / folds * spread.T @ spread
    values, vectors = np.linalg.eigh(covariance)
    real = values > 1e-10 * max(values.max(), 1e-10)
    along, rank, worth = vectors.T @ move, max(int(real.sum()), 1), size.sum() ** 2 / (size**2).sum()
    if rank >= worth - 1:
        return {}
    t2 = (along[real] ** 2 / values[real]).sum()
    p = distributions.f.sf((worth - rank) / ((worth - 1) * rank) * t2, rank, worth - rank)
    if (np.abs(along[~real]) > 1e-8).any():  # a class that is all of one half and nothing of the other:
        p = 0.5 ** (folds - 1)  # every fold says so, the sign test
    most = int(np.argmax(np.abs(move)))
    reach = distributions.t.ppf(1 - 0.025 / len(kept), worth - 1) * np.sqrt(covariance[most, most])
    ends = {"estimate": move[most], "low": move[most] - reach, "high": move[most] + reach}
    moved = {"class": kept[most], **{name: 100 * float(end) for name, end in ends.items()}, "q": float(p)}
    n, met = int(whole.sum()), int(counts[:, :, most].any(axis=0).sum())
    return {**moved, "distance": float(np.abs(move).sum() / 2), "n": n, "folds": met}


def _enough(counts: Array, names: Sequence[str]) -> tuple[Array, list[str]]:
    """The classes that there are, those expected fewer than ten times in a half put together."""
    total, shorter = counts.sum(axis=(0, 1)), counts.sum(axis=(1, 2)).min() / max(counts.sum(), 1)
    order = [int(k) for k in np.argsort(total, kind="stable") if total[k] > 0]
    rare = [k for k in order if total[k] * shorter < stats.ENOUGH]
    if rare and total[rare].sum() * shorter < stats.ENOUGH:
        rare = order[: len(rare) + 1]
    kept = sorted(set(order) - set(rare))
    parts = [counts[:, :, kept], *([counts[:, :, rare].sum(axis=2, keepdims=True)] if rare else [])]
    return np.concatenate(parts, axis=2), [*(names[k] for k in kept), *(["the rest"] if rare else [])]


def _say(shown: pd.DataFrame) -> str:
    if shown.empty:
        return TOO_FEW
    moved = shown[shown["q"] < 0.05].sort_values("distance", ascending=False)
    if moved.empty:
        return f"None of {len(shown)} columns differs between the halves beyond chance."
    worst = moved.iloc[int(np.argmin(moved["table"] == "exposures"))]  # whom an experiment met was planned
    return (
        f"{len(moved)} of {len(shown)} columns differ between the halves beyond chance, most "
        f"{nice(worst['column'])} in {worst['table']} ({percent(worst['distance'])} of it; {nice(worst['class'])} by "
        f"{worst['estimate']:+.1f} points)."
    )
