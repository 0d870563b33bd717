"""Why did a score move: who answered, which touchpoints they met, and how each was rated.

A score is a sum over groups g of customers and touchpoints t: share(g) x share(t | g) x rating(g, t). A
change between two periods is split among the three factors by averaging over the six orders in which one
period's factors can be replaced by the other's (Das Gupta 1993, Standardization and Decomposition of Rates,
US Bureau of the Census P23-186; with two factors it is Kitagawa 1955, J. Am. Stat. Assoc. 50). The parts sum
to the change. It is bookkeeping: it says where a change sits, not what brought it about. Of 100 worlds with one
planted cause worth 11 to 13 points of net promoter score the split names it in 99 on 1,200 answers a period, in
95 on 600, in 88 on 360 and in 58 on 180.

What was met in one period only has no rating in the other: it takes the rating it has, so that its coming or
going counts as a change of what was met. A group that answered in one period only takes its touchpoints along.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import ibis
import ibis.expr.types as ir
import numpy as np
import pandas as pd

from cxlib import stats
from cxlib.errors import CxValueError, require
from cxlib.frames import column, numbers
from cxlib.rates import answerer
from cxlib.results import EVERYWHERE, TOO_FEW, Claim, Framed, nice, number
from cxlib.stats import Array
from cxlib.study import Study
from cxlib.voice.scales import measure, scales
from cxlib.voice.scores import points

WHO, MET, RATED = PARTS = ("who answered", "touchpoints met", "how rated")
CHANGE = "change"
UNKNOWN = "(unknown)"
UNITS = {"points": " points", "share": " percentage points", "scale": ""}
COLUMNS = ["part", "detail", "estimate", "low", "high", "n", "customers", "q"]
COLUMNS += [f"{what}_{when}" for what in ("share", "score") for when in ("before", "after")]
Window = tuple[object, object]


@dataclass(frozen=True, eq=False)
class Split(Framed):
    """A change in a score, split into parts that sum to it.

    `frame`: part (`change`, then its parts), detail ("(all)", or for who answered a group, for the others a
    touchpoint), estimate (what it adds to the change, in the score's unit), low, high, n (answers of both
    periods), customers, q (p-value of "adds nothing", adjusted over the parts or over one part's details),
    share_before, share_after (of all answers), score_before, score_after. A detail of who answered or of the
    touchpoints met counts against the score of the two periods: more of what lies below it pulls it down.
    `levels`: period, from, to, estimate, low, high, n, customers. `measure`, `unit`: what is scored, in what.
    """

    WHOLE: ClassVar = ("part",)
    ROWS: ClassVar = 30

    levels: pd.DataFrame = field(repr=False)
    measure: str
    unit: str

    @property
    def in_percent(self) -> tuple[str, ...]:
        """The shares of answers, and the score where it is one."""
        score = ("estimate", "low", "high", "score_before", "score_after") if self.unit == "share" else ()
        return ("share_before", "share_after", *score)

    def shown(self) -> pd.DataFrame:
        """Without the number of answers."""
        return self.visible().drop(columns="n")

    def parts(self) -> pd.DataFrame:
        """The parts alone; they sum to the change."""
        return self.frame[(self.frame["detail"] == EVERYWHERE) & (self.frame["part"] != CHANGE)]

    def claim(self) -> Claim:
        """Whether the score moved by more than chance, and which part, and which touchpoint, moved it most."""
        table = self.visible()
        if self.frame.empty:
            return Claim("All answers are of one time: there is no before and after to compare.")
        if not len(table) or table["part"].iloc[0] != CHANGE:
            return TOO_FEW
        change, all_parts = table.iloc[0], self.parts().sort_values("estimate", key=abs, ascending=False)
        size, unit = change["estimate"], UNITS[self.unit]
        ends = f"{unit} ({self._say(change['low'])} to {self._say(change['high'])})"
        if np.isclose(change["low"], change["high"]):  # nothing varies that chance could be read off
            alike = f"{self.measure} moved by {self._say(size)}{unit}, and all answers of a period are alike"
            return Claim(f"{alike}: how much chance would do cannot be told.")
        if not (change["low"] > 0 or change["high"] < 0):
            text = f"{self.measure} did not move by more than chance would do: {self._say(size)}{ends}"
            clear = all_parts[all_parts["q"] < 0.05]
            return Claim(f"{text}{'; its parts cancel: ' if len(clear) else ''}{self._list(clear)}.")
        # The change itself is off zero, so its parts are looked at one by one: they are no search.
        clear = all_parts[(all_parts["low"] > 0) | (all_parts["high"] < 0)]
        text = f"{self.measure} {'rose' if size > 0 else 'fell'}: {self._say(size)}{ends}"
        if len(self.frame) == 5:  # the change, two parts, and the one touchpoint of each
            return Claim(f"{text}; all answers are about one touchpoint, so there is nothing to split it by.")
        clear = clear[clear["estimate"] * size > 0]
        if clear.empty:
            return Claim(f"{text}; none of its {len(all_parts)} parts stands out: {self._list(all_parts)}.")
        part = clear["part"].iloc[0]
        text += f"; most of it is {self._list(clear.head(1))}"
        inside = table[(table["part"] == part) & (table["detail"] != EVERYWHERE) & (table["q"] < 0.05)]
        inside = inside[inside["estimate"] * size > 0]
        if len(inside):
            first = inside.iloc[0]
            text += f", above all {nice(first['detail'])} ({self._say(first['estimate'])})"
        return Claim(f"{text}; beside it {self._list(all_parts[all_parts['part'] != part])}.")

    def _list(self, parts: pd.DataFrame) -> str:
        say, rows = self._say, parts.itertuples(index=False)
        return ", ".join(f"{r.part} {say(r.estimate)} ({say(r.low)} to {say(r.high)})" for r in rows)

    def _say(self, value: float) -> str:
        return number(value) if self.unit == "scale" else points(value * (100 if self.unit == "share" else 1))


def answers(study: Study, needed_by: str, *questions: str) -> ir.Table:
    """The answers given to some questions, with `person_`, `weight_` and `place_` (on the scale, 0 to 1).

    Raises MissingTable without `surveys`, CxLookupError for a question nobody answered.
    """
    t = study.table("surveys", needed_by=needed_by)
    known = sorted(scales(study)["question"].unique())
    for name in questions:
        require(name, known, f"Nobody answered `{name}`", "The surveys ask")
    t = t.filter(t["score"].notnull() & (t["scale_max"] > t["scale_min"]) & t["question"].isin(questions))
    return t.mutate(
        person_=answerer(t),
        weight_=ibis.coalesce(t["weight"].cast("float64"), ibis.literal(1.0)),
        place_=((t["score"] - t["scale_min"]) / (t["scale_max"] - t["scale_min"])).cast("float64"),
    )


def split(
    study: Study,
    question: str = "nps",
    before: Window | None = None,
    after: Window | None = None,
    who: str | pd.DataFrame | None = None,
    touchpoint: str = "touchpoint",
) -> Split:
    """The change of a question's score between two periods, split exactly into its parts, with intervals.

    `before`, `after`: (from, to), from included and to not; without them the two halves of the time over
    which there are answers (if that is one day, of whose halves one has none, the table is empty). `who`: a column of `customers` or `surveys` that groups those who answered, or a
    frame of `person` and `group`; without it there are two parts. `touchpoint`: the column of `surveys` that
    says what was rated. The table's weights count where it has them.

    Raises MissingTable without `surveys`, CxLookupError for an unknown question or column, CxValueError for
    a period without answers.

    >>> import cxlib as cx
    >>> found = split(cx.open_study("demo"), who="loyalty_tier")
    >>> bool(abs(found.parts()["estimate"].sum() - found.table()["estimate"].iloc[0]) < 1e-9)
    True
    """
    rows = answers(study, "split", question)
    kind = measure(question, scales(study).query("question == @question"))
    columns, groups = {"person": "person_", "weight": "weight_", "met": touchpoint}, None
    if isinstance(who, pd.DataFrame):
        groups = pd.DataFrame({name: column(who, name).astype(str) for name in ("person", "group")})
    elif who is not None and study.has("customers", who):
        groups = study.fetch(study.table("customers").select(person="customer_id", group=who))
    elif who is not None:
        columns["group"] = who
    for name in [name for name in columns.values() if name not in rows.columns]:
        has = [*study.given["surveys"], *study.given.get("customers", ())]
        require(name, has, f"There is no column `{name}`")
    frame = study.fetch(rows.select("ts", **columns, value=kind.values(rows)["value"].cast("float64")))
    if groups is not None:
        frame = frame.merge(groups.drop_duplicates("person"), on="person", how="left")
    ends = _periods(frame["ts"], before, after)
    within = [frame["ts"].ge(start) & frame["ts"].lt(stop) for start, stop in ends]
    if before is None and not all(mine.any() for mine in within):
        return Split(pd.DataFrame(columns=COLUMNS), pd.DataFrame(), kind.name, kind.unit)
    for (start, stop), mine in zip(ends, within, strict=True):
        if not mine.any():
            raise CxValueError(
                f"Nobody answered `{question}` from {start:%Y-%m-%d} to {stop:%Y-%m-%d}; there are answers "
                f"from {frame['ts'].min():%Y-%m-%d} to {frame['ts'].max():%Y-%m-%d}."
            )
    frame["period"] = np.where(within[0], "1 before", "2 after")
    factor = {"points": 100.0, "share": 1.0}.get(kind.unit, kind.high - kind.low)
    frame["value"] = factor * frame["value"] + (kind.low if kind.unit == "scale" else 0.0)
    grouped = None if who is None else "group"
    found = split_frame(frame[within[0] | within[1]], who=grouped, touchpoint="met", weight="weight")
    levels = found.levels.assign(period=["before", "after"])
    ends_of = {"points": (-100, 100), "share": (0, 1)}.get(kind.unit, (kind.low, kind.high))
    levels[["low", "high"]] = levels[["low", "high"]].clip(*ends_of)
    for place, name in enumerate(("from", "to")):
        levels.insert(1 + place, name, [one[place] for one in ends])
    return Split(found.frame, levels, kind.name, kind.unit)


def _periods(
    ts: pd.Series, before: Window | None, after: Window | None
) -> list[tuple[pd.Timestamp, pd.Timestamp]]:
    """Two windows of time: those given, else the halves of whole days."""
    if (before is None) != (after is None):
        raise CxValueError("Give both periods, `before` and `after`, each as (from, to), or neither.")
    if before is not None and after is not None:
        ends = [(pd.Timestamp(a), pd.Timestamp(b)) for a, b in (before, after)]
        if any(not a < b for a, b in ends):
            raise CxValueError("A period is (from, to) with `from` before `to`.")
        if ends[0][0] < ends[1][1] and ends[1][0] < ends[0][1]:
            raise CxValueError("The two periods overlap; an answer cannot be both before and after.")
        return ends
    first, last = ts.min().normalize(), ts.max().normalize() + pd.Timedelta("1D")
    middle = first + (last - first) / 2
    return [(first, middle), (middle, last)]


def split_frame(
    frame: pd.DataFrame,
    period: str = "period",
    who: str | None = "group",
    touchpoint: str = "touchpoint",
    value: str = "value",
    person: str = "person",
    weight: str | None = None,
    measure: str = "The score",
    unit: str = "scale",
) -> Split:
    """The split of a change, from one row an answer.

    `period` holds two values, the earlier first when sorted; `who` the groups (None: there are none),
    `value` what is averaged (by `weight`, if named), `person` the clusters. An empty group or touchpoint is
    "(unknown)". `measure` and `unit` (points, share or scale) say what is averaged. Raises CxLookupError for
    a column that is not there, CxValueError where there are not two periods or values are no numbers.

    >>> answers = pd.DataFrame({"period": [1, 1, 2, 2], "touchpoint": ["web", "call"] * 2,
    ...     "value": [10.0, 8, 10, 6], "person": ["a", "b", "c", "d"]})
    >>> split_frame(answers, who=None).parts()[["part", "estimate"]].values.tolist()
    [['touchpoints met', 0.0], ['how rated', -1.0]]
    """
    when, times = pd.factorize(column(frame, period), sort=True)
    if len(times) != 2 or (when < 0).any():
        raise CxValueError(f"`{period}` must hold two periods and no gaps; it holds {len(times)}.")
    group, groups = _coded(frame, who)
    met, places = _coded(frame, touchpoint)
    weights = np.ones(len(frame)) if weight is None else numbers(frame, weight, least=0)
    values = numbers(frame, value)
    people, persons = pd.factorize(column(frame, person).astype(str))
    fold = stats.folds_of(persons)[people]
    counts = np.zeros((stats.FOLDS, 2, len(groups), len(places), 2))
    np.add.at(counts, (fold, when, group, met), np.column_stack([weights, weights * values]))
    found = stats.jackknife(counts, _effects, scale="identity")
    everything = np.zeros(len(frame), dtype=int)
    codes = [*[everything] * 4, group, met, met]
    total = counts.sum(axis=0)
    sums = np.concatenate(
        [total.sum(axis=(1, 2))[:, None]] * 4 + [total.sum(axis=2), *[total.sum(axis=1)] * 2], axis=1
    )
    many = np.concatenate([_many(code, people) for code in codes], axis=1)
    table = pd.DataFrame(
        {
            "part": [CHANGE, *PARTS, *[WHO] * len(groups), *[MET] * len(places), *[RATED] * len(places)],
            "detail": [EVERYWHERE] * 4 + [*groups, *places, *places],
            **{name: ends[2:] for name, ends in found.columns().items()},
            "n": many[0],
            "customers": many[1],
            "q": found.p(len(np.unique(fold)) - 1)[2:],
        }
    )
    with np.errstate(divide="ignore", invalid="ignore"):
        for name, values in (
            ("share", sums[..., 0] / sums[:, :1, 0]),
            ("score", sums[..., 1] / sums[..., 0]),
        ):
            table[[f"{name}_before", f"{name}_after"]] = values.T
    table = table[table["part"] != WHO] if who is None else table
    detail = table["detail"] != EVERYWHERE
    family = table["part"].where(detail | (table["part"] == CHANGE), "parts") + detail.astype(str)
    table["q"] = table["q"].groupby(family).transform(stats.benjamini_hochberg)
    order = table["part"].map({CHANGE: 0, **{part: 1 + i for i, part in enumerate(PARTS)}}) + 10 * detail
    table = table.iloc[np.lexsort((-table["estimate"].abs() * detail, order))].reset_index(drop=True)
    levels = {"period": times, **{name: ends[:2] for name, ends in found.columns().items()}}
    levels |= dict(zip(("n", "customers"), _many(when, people), strict=True))
    return Split(table, pd.DataFrame(levels), measure, unit)


def _many(code: np.ndarray, people: np.ndarray) -> np.ndarray:
    """How many answers, and how many customers, each code has."""
    whose = np.unique(np.column_stack([code, people]), axis=0)
    return np.stack([np.bincount(code), np.bincount(whose[:, 0])])


def _coded(frame: pd.DataFrame, name: str | None) -> tuple[np.ndarray, Sequence[str]]:
    if name is None:
        return np.zeros(len(frame), dtype=int), [EVERYWHERE]
    texts = column(frame, name).astype(object)
    return pd.factorize(texts.where(texts.notna(), UNKNOWN).astype(str), sort=True)


def _effects(total: Array) -> Array:
    """From sums of weights and of weighted values, (..., 2, groups, touchpoints, 2): scores, change, parts, details."""
    weight, value = total[..., 0], total[..., 1]
    own = weight.sum(axis=-1, keepdims=True)
    who = own / own.sum(axis=-2, keepdims=True)
    mix, rated = _else_the_other(weight / own), _else_the_other(value / weight)
    scores = (who * mix * rated).sum(axis=(-2, -1))
    # Against the middle of the two scores, a group or touchpoint counts by how far it lies off it; as shares
    # sum to 1, the parts are the same.
    rated = rated - scores.mean(axis=-1)[..., None, None, None]
    effects = das_gupta(who, mix, rated)
    parts = np.stack([one.sum(axis=(-2, -1)) for one in effects], axis=-1)
    change = scores[..., 1:] - scores[..., :1]
    details = [effects[0].sum(axis=-1), effects[1].sum(axis=-2), effects[2].sum(axis=-2)]
    return np.concatenate([scores, change, parts, *details], axis=-1)


def _else_the_other(values: Array) -> Array:
    """What a period lacks, from the other period; 0 where both lack it."""
    return np.nan_to_num(np.where(np.isnan(values), np.flip(values, axis=-3), values))


def das_gupta(a: Array, b: Array, c: Array) -> tuple[Array, Array, Array]:
    """The effects of three factors on the change of their product, cell by cell; they sum to the change.

    Each is (..., 2, rows, columns), the two populations on the third axis from the end; they broadcast.
    Das Gupta 1993, chapter 2: the average over the six orders of replacement.

    >>> a, b, c = (np.array(x).reshape(2, 1, 1) for x in ([51.78746, 84.90502], [.45919, .75756], [.52638, .51065]))
    >>> [round(float(one.item()), 3) for one in das_gupta(a, b, c)]
    [10.434, 10.561, -0.667]
    """

    def effect(x: Array, y: Array, z: Array) -> Array:
        (x0, x1), (y0, y1), (z0, z1) = (np.moveaxis(one, -3, 0) for one in (x, y, z))
        return (x1 - x0) * ((y0 * z0 + y1 * z1) / 3 + (y0 * z1 + y1 * z0) / 6)

    return effect(a, b, c), effect(b, a, c), effect(c, a, b)
