"""Recency, frequency and monetary value of buyers, with cut points and rules that are stated and never overlap.

Each number is cut at its own quantiles (quintiles as in Hughes 1994, Strategic Database Marketing). Equal
customers get equal scores, so a cut falls between two values and parts need not be equally large; where most
customers have one value, as with a single order each, there are fewer parts than were asked for, and it is
said. Segments are made of recency and frequency only: each cell of that grid belongs to exactly one.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from cxlib import stats
from cxlib.customers.blocks import Array
from cxlib.customers.sources import Period
from cxlib.errors import CxValueError
from cxlib.rates import Counts
from cxlib.results import TOO_FEW, Claim, Result, percent

if TYPE_CHECKING:
    from cxlib.study import Study

SEGMENTS = {
    "champions": (2, True), "recent": (2, False), "loyal": (1, True),
    "fading": (1, False), "at risk": (0, True), "lapsed": (0, False),
}  # fmt: skip
"""Recency (2: upper scores, 1: the middle one, 0: lower), and whether frequency is among the upper scores."""

DAYS = pd.Timedelta("1D")


@dataclass(frozen=True, eq=False)
class Members(Counts):
    """The shares of segments within each persona."""

    WHOLE = ("persona",)


@dataclass(frozen=True, eq=False)
class Rfm(Result):
    """Buyers by recency, frequency and monetary value.

    frame : as `table()`
    scores : person, recency (days), frequency (orders), monetary (minor units), their scores r, f, m, segment
    cuts : for r, f and m, the values that end a part and still belong to it
    parts : asked for; at : when recency is counted from
    members : the share of each persona's buyers in each segment, where memberships were given
    """

    SHARES = ("estimate", "low", "high", "revenue_share", "revenue_share_low", "revenue_share_high")
    WHOLE = ()

    frame: pd.DataFrame = field(repr=False)
    scores: pd.DataFrame = field(repr=False)
    cuts: dict[str, tuple[float, ...]]
    parts: int
    at: pd.Timestamp
    members: Members | None = field(default=None, repr=False)

    def table(self) -> pd.DataFrame:
        """One row a segment: segment, estimate (share of buyers), low, high, n (all buyers), customers,
        revenue_share, its ends, and the means of recency, frequency and monetary."""
        return self.frame

    def rules(self) -> Counts:
        """One row a segment that can occur: segment, recency and frequency in words, and their scores."""
        most = {name: len(self.cuts[name]) + 1 for name in ("r", "f")}
        grid = pd.DataFrame(np.indices(tuple(most.values())).reshape(2, -1).T + 1, columns=["r", "f"])
        grid["segment"] = segments(grid["r"], grid["f"], *most.values())
        rows = []
        for segment in (name for name in SEGMENTS if (grid["segment"] == name).any()):
            ends = [grid.loc[grid["segment"] == segment, name].agg(["min", "max"]).tolist() for name in most]
            words = [self._range(*one) for one in zip("rf", ends, ("days", "orders"), strict=True)]
            rows.append((segment, *words, *(" to ".join(map(str, dict.fromkeys(one))) for one in ends)))
        names = ["segment", "last order ago", "orders", "recency score", "frequency score"]
        return Counts(pd.DataFrame(rows, columns=names), shares=())

    def claim(self) -> Claim:
        """Who brings most of the revenue, and which numbers could not be cut as asked."""
        shown = self.visible()
        if shown.empty:
            return TOO_FEW
        top = shown.loc[shown["revenue_share"].idxmax()]
        text = (
            f"The {top['segment']} are {percent(top['estimate'])} of {top['n']:,} buyers and bring "
            f"{percent(top['revenue_share'])} of the revenue ({percent(top['revenue_share_low'])} to "
            f"{percent(top['revenue_share_high'])})."
        )
        for name, what in (("r", "Recency"), ("f", "Frequency"), ("m", "Monetary value")):
            if (made := len(self.cuts[name]) + 1) < self.parts:
                same = self.scores[{"r": "recency", "f": "frequency", "m": "monetary"}[name]]
                most = same.value_counts(normalize=True)
                text += (
                    f" {what} has {made} part{'s' * (made > 1)} instead of {self.parts}: "
                    f"{percent(most.iloc[0])} of buyers share one value ({most.index[0]:,.10g})."
                )
        return Claim(text)

    def _range(self, which: str, scores: list[int], unit: str) -> str:
        """The values of adjoining scores in words. Recency is cut upside down: the latest score highest."""
        ends = [-np.inf, *self.cuts[which], np.inf]
        low, high = sorted(len(ends) - score if which == "r" else score for score in scores)
        bounds = {"over": ends[low - 1], "at most": ends[high]}
        said = [(f"{word} {end:,.10g}", end) for word, end in bounds.items() if np.isfinite(end)]
        unit = unit.removesuffix("s") if said and said[-1][1] == 1 else unit
        return f"{' and '.join(text for text, _ in said)} {unit}" if said else "any"


def rfm(
    study: Study,
    parts: int = 5,
    at: str | pd.Timestamp | None = None,
    memberships: pd.DataFrame | None = None,
) -> Rfm:
    """Recency, frequency and monetary value of everybody who ordered before `at` (default: the last order's time).

    Recency is in whole days, frequency the number of orders worth something, monetary their sum in minor units.
    Each is cut into `parts` (2 to 10) at its quantiles, ties together; the highest score is the best customer's.
    With `memberships` (of all who were fitted), `.members` has the shares of segments within each persona, corrected
    for wrong assignment within strata of frequency, as who orders often is told apart better. CxValueError where
    there are no such orders, or several currencies.

    >>> import cxlib as cx
    >>> rfm(cx.open_study("demo")).rules().table()["segment"].tolist()
    ['champions', 'recent', 'loyal', 'fading', 'at risk', 'lapsed']
    """
    if not 2 <= parts <= 10:
        raise CxValueError(f"parts is {parts}; write a number from 2 to 10, such as 5.")
    until = Period.of(None, at).until
    t = Period(None, until).cut(study.table("orders", needed_by="rfm"))
    t = t.filter(t.customer_id.notnull() & (t.revenue > 0))
    found = study.fetch(
        t.group_by("currency", person="customer_id").aggregate(
            last=t.ts.max(), frequency=t.count(), monetary=t.revenue.sum()
        )
    ).sort_values("person", ignore_index=True)
    if found.empty:
        raise CxValueError("No customer has an order worth something before that time.")
    if len(found["currency"].unique()) > 1:
        raise CxValueError(
            f"Orders are in several currencies ({', '.join(map(str, found['currency'].unique()))}), whose sums "
            "cannot be compared: convert them, or keep the orders of one."
        )
    end = until if until is not None else pd.Timestamp(found["last"].max())
    scores = found[["person"]].assign(
        recency=((end - found["last"]) // DAYS).astype(int),
        frequency=found["frequency"].astype(int),
        monetary=found["monetary"].astype(float),
    )
    cuts = {}
    for short, name in (("r", "recency"), ("f", "frequency"), ("m", "monetary")):
        values = scores[name].to_numpy(float)
        cuts[short] = cut_points(values, parts)
        part = 1 + np.searchsorted(cuts[short], values, side="left")
        scores[short] = len(cuts[short]) + 2 - part if short == "r" else part
    scores["segment"] = segments(scores["r"], scores["f"], len(cuts["r"]) + 1, len(cuts["f"]) + 1)
    members = None if memberships is None else _members(scores, memberships)
    return Rfm(_table(scores), scores, cuts, parts, end, members)


def cut_points(values: Array, parts: int) -> tuple[float, ...]:
    """The values that end each part but the last: quantiles that occur, no two alike, none the largest.

    >>> cut_points(np.array([1.0, 2, 3, 4, 5, 6, 7, 8, 9, 10]), 5), cut_points(np.array([1.0, 1, 1, 1, 2]), 5)
    ((2.0, 4.0, 6.0, 8.0), (1.0,))
    """
    ends = np.quantile(values, np.arange(1, parts) / parts, method="inverted_cdf")
    return tuple(float(end) for end in np.unique(ends) if end < values.max())


def segments(r: pd.Series, f: pd.Series, most_r: int, most_f: int) -> pd.Series:
    """The segment of each pair of scores, of which there are `most_r` and `most_f`; one part alone is a middle one."""
    band_r, band_f = (
        np.digitize((score - 1) / (most - 1) if most > 1 else score * 0 + 0.5, [1 / 3, 2 / 3 + 1e-9])
        for score, most in ((r, most_r), (f, most_f))
    )
    names = {rule: name for name, rule in SEGMENTS.items()}
    return pd.Series([names[int(a), b == 2] for a, b in zip(band_r, band_f, strict=True)], index=r.index)


def _table(scores: pd.DataFrame) -> pd.DataFrame:
    here = [name for name in SEGMENTS if (scores["segment"] == name).any()]
    place = scores["segment"].map({name: i for i, name in enumerate(here)}).to_numpy(int)
    cell = stats.folds_of(scores["person"]) * len(here) + place
    money = np.bincount(cell, scores["monetary"], stats.FOLDS * len(here)).reshape(stats.FOLDS, -1)
    revenue = stats.jackknife(money, lambda total: total / total.sum(axis=-1, keepdims=True))
    customers = np.bincount(place)
    share = stats.wilson(customers, len(scores))
    frame = pd.DataFrame({"segment": here, "estimate": share.estimate, "low": share.low, "high": share.high})
    frame = frame.assign(
        n=len(scores), customers=customers, revenue_share=revenue.estimate,
        revenue_share_low=revenue.low, revenue_share_high=revenue.high,
    )  # fmt: skip
    means = scores.groupby("segment")[["recency", "frequency", "monetary"]].mean()
    return frame.join(means, on="segment")


def _members(scores: pd.DataFrame, memberships: pd.DataFrame) -> Members:
    flags = pd.get_dummies(scores["segment"], dtype=float).reindex(columns=list(SEGMENTS), fill_value=0.0)
    values = flags.assign(person=scores["person"], frequency=scores["frequency"])
    found = stats.correct(values, memberships, scale="logit", strata="frequency").table()
    found = found.rename(columns={"outcome": "segment"}).drop(columns="strata")
    found["count"] = (found["uncorrected"] * found["customers"]).fillna(0).round().astype(int)
    return Members(found, shares=("estimate", "low", "high", "uncorrected"))


__all__ = ["SEGMENTS", "Rfm", "cut_points", "rfm", "segments"]
