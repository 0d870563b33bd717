"""The voice of the customer: scores with intervals, by touchpoint, and who did not speak.

Answers of one customer resemble each other, so customers are the clusters everywhere.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import ibis
import ibis.expr.types as ir
import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy import special

from cxlib import stats
from cxlib.errors import CxValueError, require
from cxlib.rates import answerer, clustered, grouped, sums
from cxlib.results import EVERYWHERE, TOO_FEW, Claim, Framed, Result, nice, number, percent
from cxlib.stats import laws as distributions
from cxlib.study import Study
from cxlib.voice.scales import DETRACTOR, PROMOTER, Measure, measure, scales, top_boxes


@dataclass(frozen=True)
class CSAT(Result):
    """The share of answers in the top boxes, 0 to 1, with its score interval.

    Fields: `estimate`, `low`, `high`; `n` answers; `missing`, not answered; `customers`, the clusters (or
    answers, where clusters are not given).
    """

    SAID: ClassVar = ("{} are satisfied ({} to {}), on {:,} answers.", "share")

    estimate: float
    low: float
    high: float
    n: int
    missing: int
    customers: int

    def table(self) -> pd.DataFrame:
        """One row."""
        return pd.DataFrame([vars(self)])

    def claim(self) -> Claim:
        """The score in one sentence."""
        text, unit = self.SAID
        ends = (said(end, unit) for end in (self.estimate, self.low, self.high))
        return Claim(text.format(*ends, self.n)) if len(self.visible()) else TOO_FEW


@dataclass(frozen=True)
class NPS(CSAT):
    """A net promoter score, in points from -100 to 100; `promoters` and `detractors` are shares."""

    SAID: ClassVar = ("The net promoter score is {} ({} to {}), on {:,} answers.", "points")

    promoters: float
    detractors: float


def freedom(sums: stats.Clustered) -> np.ndarray:
    """Degrees of freedom of an interval by effective n: infinite where no design effect is estimated.

    That is where every customer gave one answer of the same weight: n is then known.
    """
    return np.where(np.isclose(sums.answers, sums.clusters), np.inf, sums.df)


def points(value: float) -> str:
    """Score points as people read them: one decimal, a true minus left as `-`, none before 0.0.

    >>> points(31.04), points(-0.04)
    ('31.0', '0.0')
    """
    return "-" if not np.isfinite(value) else f"{round(value, 1) + 0.0:.1f}"


def said(value: float, unit: str) -> str:
    """A score as people read it, by its unit: points, share or scale."""
    return {"points": points, "share": percent}.get(unit, number)(value)


def nps(scores: ArrayLike, weights: ArrayLike | None = None, clusters: ArrayLike | None = None) -> NPS:
    """Net promoter score of answers from 0 to 10, with its score interval (95 %).

    `scores`: one a row; NaN is "not answered", dropped and counted. `weights`: survey weights.
    `clusters`: who answered. With weights, or several answers of a customer, the interval is that of the
    effective number of answers, with t (see `cxlib.stats.tango`, which says what it covers, and
    `cxlib.stats.Clustered`). Raises CxValueError for scores outside 0 to 10.

    >>> result = nps([10, 9, 9, 8, 7, 3, None])
    >>> round(result.estimate, 1), result.n, result.missing
    (33.3, 6, 1)
    """
    x, w, who, missing = _answers(scores, weights, clusters, 0, 10)
    up, down = (x >= PROMOTER).astype(float), (x <= DETRACTOR).astype(float)
    net = stats.Clustered.of(up - down, w, who)
    p, d = (float(stats.Clustered.of(side, w, who).ratio) for side in (up, down))
    n = net.effective(p + d - (p - d) ** 2)
    interval = stats.tango(p, d, n, df=freedom(net))
    low, high = float(100 * interval.low), float(100 * interval.high)
    return NPS(100 * (p - d), low, high, len(x), missing, int(net.clusters), p, d)


def csat(
    scores: ArrayLike,
    scale_min: float,
    scale_max: float,
    weights: ArrayLike | None = None,
    clusters: ArrayLike | None = None,
    top: int | None = None,
) -> CSAT:
    """Share of answers in the `top` boxes of a scale, with Wilson's interval (95 %).

    Without `top` it is two boxes of a scale of 4 to 11 whole steps and one of a scale of two; any other
    scale has no top boxes (CxValueError), unless `top` says how many. Else as `nps`.

    >>> result = csat([5, 4, 4, 2, 1], 1, 5)
    >>> round(result.estimate, 3), round(result.low, 3), round(result.high, 3)
    (0.6, 0.231, 0.882)
    """
    top = top or top_boxes(scale_min, scale_max)
    if not 0 < top <= scale_max - scale_min:
        raise CxValueError(
            f"A scale of {scale_min:g} to {scale_max:g} has no {f'{top} ' if top else ''}top boxes; "
            "take the mean of its answers, or say how many of the highest scores count (`top`)."
        )
    x, w, who, missing = _answers(scores, weights, clusters, scale_min, scale_max)
    share = stats.Clustered.of(x > scale_max - top, w, who)
    p = share.ratio
    n = share.effective(p * (1 - p))
    interval = stats.wilson(p * n, n, df=freedom(share))
    return CSAT(float(p), float(interval.low), float(interval.high), len(x), missing, int(share.clusters))


def _answers(
    scores: ArrayLike, weights: ArrayLike | None, clusters: ArrayLike | None, low: float, high: float
) -> tuple[np.ndarray, np.ndarray | None, np.ndarray | None, int]:
    given = np.asarray(pd.to_numeric(pd.Series(np.asarray(scores).ravel()), errors="coerce"), dtype=float)
    unread = np.isnan(given) & ~np.asarray(pd.isna(pd.Series(np.asarray(scores, dtype=object).ravel())))
    if unread.any():
        raise CxValueError(f"{unread.sum():,} scores are not numbers; leave out an answer by NaN.")
    outside = pd.Series(given[(given < low) | (given > high)])
    if len(outside):
        counts = outside.value_counts().sort_index()
        named = ", ".join(f"{value:g} ({count:,} times)" for value, count in counts.head(5).items())
        raise CxValueError(
            f"{len(outside):,} scores are outside {low:g} to {high:g}: {named}. "
            "Turn codes for blank or refused into NaN, or give the scale the answers were on."
        )
    answered = ~np.isnan(given)
    others: list[np.ndarray | None] = []
    for name, values in (("weights", weights), ("clusters", clusters)):
        if values is None:
            others.append(None)
            continue
        kept = np.asarray(values).ravel()
        if len(kept) != len(given):
            raise CxValueError(f"{len(given):,} scores but {len(kept):,} {name}; there must be one for each.")
        others.append(kept[answered])
    w = others[0]
    if w is not None and not (np.isfinite(w.astype(float)) & (w.astype(float) >= 0)).all():
        raise CxValueError("Weights must be finite and not negative.")
    return given[answered], w, others[1], int((~answered).sum())


# --- by touchpoint, on the engine --------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Scores(Framed):
    """One question's score for each group and for all.

    `frame`: key (`touchpoint`, or the column asked for; "(all)" first), estimate, low, high, n
    (answers), customers, missing, `q`: the p-value of the difference from all other answers,
    adjusted for the number of groups. `measure` says what the estimate is, `unit` in what.
    """

    WHOLE: ClassVar = ()

    question: str
    measure: str
    unit: str

    @property
    def in_percent(self) -> tuple[str, ...]:
        """The estimate, where it is a share."""
        return ("estimate",) if self.unit == "share" else ()

    def told(self, table: pd.DataFrame) -> str:
        """The whole's score, and which group stands out below it, if one does."""
        key = table.columns[0]
        plain = key in ("touchpoint", "stage", "channel", "language", "month", "year")
        groups_of = f"{key}s" if plain else f"values of {key.replace('_', ' ')}"
        whole, groups = table.iloc[0], table.iloc[1:]
        whole_said, low, high = (said(whole[name], self.unit) for name in ("estimate", "low", "high"))
        text = f"{self.measure} is {whole_said} ({low} to {high}) on {whole['n']:,} answers"
        apart = groups[(groups["q"] < 0.05) & (groups["estimate"] < whole["estimate"])]
        if len(apart):
            worst = apart.loc[apart["estimate"].idxmin()]
            text += (
                f"; {len(apart)} of {len(groups)} {groups_of} {'lies' if len(apart) == 1 else 'lie'} "
                f"below the others (false discovery rate 5 %), lowest {nice(worst[key])} "
                f"at {said(worst['estimate'], self.unit)} "
                f"({said(worst['low'], self.unit)} to {said(worst['high'], self.unit)})"
            )
        elif len(groups) > 1:
            text += f"; none of {len(groups)} {groups_of} lies below the others by more than chance would do"
        return text + "."


def scores(study: Study, question: str = "nps", by: str | None = "touchpoint") -> Scores:
    """A survey question's score for each touchpoint (or another grouping), and for all.

    `nps` gives the net promoter score (points; Tango's score interval); `csat` the share in the top two
    boxes of a scale of 4 to 11 steps, in the top box of a scale of two (Wilson); anything else the mean on
    its own scale (t on the logit scale of its place between the two ends, so that it stays inside, with a
    quarter of an answer more at either end; where all answers agree, Wilson's). All with the customers as clusters, and with the table's weights where
    it has them.

    `by`: any column of `surveys`, or `month`, as 2025-03; where `surveys` does not say its `channel` or
    `stage`, it is the catalog's for the touchpoint. None gives the whole alone. Groups are
    compared with all other answers, at a false discovery rate of 5 %.

    Raises MissingTable without `surveys`, CxLookupError for a question nobody answered or a grouping that
    is not there, CxValueError where it was answered on a scale that gives no score (`nps` on 0 to 100),
    or on several.
    """
    surveys = grouped(study, by, needed_by="scores")
    _, kind = asked_of(study, question)
    frame = study.cached(
        "scores", {"question": question, "by": by}, lambda: _scores(study, surveys, question, kind, by)
    )
    return Scores(frame, question, kind.name, kind.unit)


def asked_of(study: Study, question: str) -> tuple[pd.DataFrame, Measure]:
    """The scales a question was answered on, and its score; the errors of `scores` where it has none."""
    given = scales(study)
    require(question, given["question"].unique(), f"Nobody answered `{question}`", "The surveys ask")
    on = given[given["question"] == question]
    return on, measure(question, on)


def _scores(study: Study, surveys: ir.Table, question: str, kind: Measure, by: str | None) -> pd.DataFrame:
    key = by or "touchpoint"
    asked = surveys.filter(surveys["question"] == question)
    asked = asked.mutate(
        person_=answerer(asked),
        weight_=ibis.coalesce(asked["weight"], ibis.literal(1.0)),
    )
    answered = asked.filter(asked["score"].notnull())
    values = kind.values(answered)
    whole = study.fetch(sums(answered, values)).assign(group_=EVERYWHERE)
    empty = study.fetch(asked.group_by("group_").agg(missing=asked["score"].isnull().sum()))
    parts = [whole]
    if by is not None:
        groups = study.fetch(sums(answered, values, by=["group_"]))
        parts.append(groups[groups["group_"].notna()].sort_values("group_"))
    frame = pd.concat(parts, ignore_index=True)
    interval = _interval(frame, kind)
    table = pd.DataFrame({key: frame["group_"], **interval.columns(), "n": frame["n"].astype(int)})
    table["customers"] = frame["customers"].astype(int)
    counted = empty.set_index("group_")["missing"]
    table["missing"] = frame["group_"].map(counted).fillna(0).astype(int)
    table.loc[0, "missing"] = int(counted.sum())
    value = clustered(frame, "value")
    df = value.df if kind.unit == "scale" else freedom(value)
    table["q"] = _apart(table, frame["weight_"].to_numpy(float), df)
    return table


def _interval(frame: pd.DataFrame, kind: Measure) -> stats.Interval:
    value = clustered(frame, "value")
    up, down = value.ratio, np.zeros(len(frame))
    if kind.unit == "points":
        up, down = clustered(frame, "up").ratio, clustered(frame, "down").ratio
    n = value.effective(up + down - (up - down) ** 2)
    return interval_of(kind, up, down, n, value.variance, value.df, freedom(value))


QUARTER = 0.25
"""Answers added at either end of the scale for the interval of a mean."""


def interval_of(
    kind: Measure,
    up: np.ndarray,
    down: np.ndarray,
    n: np.ndarray,
    variance: np.ndarray,
    df: np.ndarray,
    free: np.ndarray,
) -> stats.Interval:
    """A score in its own unit, from the shares (or mean places) `up` and `down` of `Measure.sides`.

    `n` is the effective number of answers and `free` its degrees of freedom, for shares; `variance` that
    of up - down and `df` its degrees of freedom, for means. Means of 1 to 7 cover 95 to 97.5 % at 30, 100 and
    400 answers however they spread, but .995 where 30 lie within one step of the middle.
    """
    if kind.unit == "points":
        return stats.Interval(*map(kind.told, stats.tango(up, down, n, df=free)))
    share = stats.wilson(up * n, n, df=free)
    if kind.unit == "share":
        return share
    with np.errstate(divide="ignore", invalid="ignore"):
        # Nearly all at one end say little of the few at the other: a quarter of an answer more at both.
        centre = (n * up + QUARTER) / (n + 2 * QUARTER)
        more = n * (up - centre) ** 2 + QUARTER * (centre**2 + (1 - centre) ** 2)
        se = np.sqrt(n**2 * variance + more) / (n + 2 * QUARTER)
        reach = distributions.t.ppf(0.975, df) * se / (centre * (1 - centre))
        # Answers that all agree have no variance: Wilson's is then too wide rather than too narrow.
        varies = (variance > 0) & (up > 0) & (up < 1)
        low = np.where(varies, np.minimum(special.expit(special.logit(centre) - reach), up), share.low)
        high = np.where(varies, np.maximum(special.expit(special.logit(centre) + reach), up), share.high)
        se = np.where(varies, np.sqrt(variance), share.se)
    return stats.Interval(kind.told(up), kind.told(low), kind.told(high), (kind.high - kind.low) * se)


def _apart(table: pd.DataFrame, weight: np.ndarray, df: np.ndarray) -> np.ndarray:
    """Adjusted p-values of each group against all other answers (the first row is the whole).

    The rest is the whole less the group; the covariance through customers who are in both is left
    out, which, as it is positive, errs on the careful side. Standard errors are read off the wider
    half of the intervals: these know that three answers which agree prove little.
    """
    estimate = table["estimate"].to_numpy(float)
    wider = np.fmax(table["high"] - estimate, estimate - table["low"]).to_numpy(float)
    with np.errstate(divide="ignore", invalid="ignore"):
        variance = (wider / distributions.t.ppf(0.975, df)) ** 2
        part = weight[1:] / weight[0]
        difference = (estimate[1:] - estimate[0]) / (1 - part)
        rest = np.maximum(variance[0] - part**2 * variance[1:], 0) / (1 - part) ** 2
        z = difference / np.sqrt(variance[1:] + rest)
    return np.r_[np.nan, stats.benjamini_hochberg(2 * distributions.t.sf(np.abs(z), df[1:]))]
