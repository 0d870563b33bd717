"""Six dimensions of the experience by stage, as customers were asked, as they behaved, and as they said.

Three witnesses stand side by side and are never averaged: each is a share of what is good, from 0 to 1, but
each of something else, so that only large gaps between them mean anything.

What behaviour counts, from the columns of the contract alone (a rule whose columns are absent is left out):

ease              page loads of at most 3 s (`load_ms`)
availability      contacts not `out_of_stock`, at touchpoints where that outcome occurs (`outcome`)
self_service      visits begun in self-service without an assisted contact in them (catalog `mode`)
communication     assisted contacts with an outcome that is no failure (catalog `mode`, `outcome`)
information       steps in self-service after which nobody turns at once to chat or another channel's staff
personalisation   contacts the brand began that a step of the customer's follows in the same visit

Paying is no call for help: staff of the stage transaction do not count as assistance.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import ibis
import ibis.expr.types as ir
import numpy as np
import pandas as pd

from cxlib import stats
from cxlib.contract.tables import STAGES
from cxlib.errors import CxLookupError, CxValueError
from cxlib.frames import column, numbers
from cxlib.results import Framed, nice, percent
from cxlib.study import Study
from cxlib.study.log import Log, fold
from cxlib.voice.scales import scales
from cxlib.voice.split import answers

DIMENSIONS = ("information", "ease", "self_service", "personalisation", "communication", "availability")
WITNESSES = ASKED, BEHAVIOUR, SAID = ("asked", "behaviour", "said")
FAILURES = (
    *("failed", "failure", "error", "timeout", "out_of_stock", "unavailable", "unresolved", "rejected"),
    *("repeated_question", "duplicate", "abandoned", "declined", "lost", "late", "damaged", "no_answer"),
)
"""Outcomes that are no success, by name; give your own where yours are called otherwise."""
OUT, SLOW_MS = "out_of_stock", 3000
GOOD, POOR = 0.75, 0.6
"""A convention, no statistics: an interval wholly above the one reads as good, wholly below the other as poor."""


@dataclass(frozen=True, eq=False)
class Scorecard(Framed):
    """Six dimensions by stage, from up to three witnesses.

    `frame`: dimension, stage, witness, estimate (share that is good, 0 to 1), low, high, n (answers, events
    or comments), customers, reads (good, poor or between), disagree (another witness of the same dimension
    and stage reads the opposite). A cell that no witness speaks of is absent. `neither`: themes in comments that
    are neither positive nor negative, such as "ease: mixed", which say nothing of good.
    """

    SHARES: ClassVar = ("estimate", "low", "high")
    ROWS: ClassVar = 72

    neither: int = 0

    def told(self, table: pd.DataFrame) -> str:
        """Where the witnesses disagree most, else which cell they call worst; what of the comments does not count."""
        rest = f" {self.neither:,} mentions that are neither positive nor negative do not count."
        return f"{self._contradicted(table)}{rest if self.neither else ''}"

    def _contradicted(self, table: pd.DataFrame) -> str:
        cells = len(table.drop_duplicates(["dimension", "stage"]))
        split = table[table["disagree"]].groupby(["dimension", "stage"], sort=False)["estimate"]
        if len(split):
            dimension, stage = (split.max() - split.min()).idxmax()
            here = table.query("dimension == @dimension and stage == @stage").sort_values("estimate")
            said = " and ".join(f"{r.witness} {percent(r.estimate)}" for r in here.itertuples())
            return (
                f"The witnesses contradict each other in {len(split)} of {cells} cells, most on "
                f"{nice(dimension)} in {stage}: {said} good."
            )
        compared = table.duplicated(["dimension", "stage"]).any()
        text = f"No two witnesses contradict each other in {cells} cells"
        if not compared:
            text = f"Each of {cells} cells has one witness only, so none can contradict another"
        asked = table[table["witness"] != BEHAVIOUR]  # a rule may ask too much of what people do
        if asked.empty:
            return f"{text}: there is only what people do."
        worst = asked.loc[asked["high"].idxmin()]
        return (
            f"{text}; the lowest is {nice(worst['dimension'])} in "
            f"{worst['stage']} ({worst['witness']}): {percent(worst['estimate'])} good ({percent(worst['low'])} to "
            f"{percent(worst['high'])})."
        )


def scorecard(
    study: Study,
    themes: pd.DataFrame | None = None,
    items: Mapping[str, Sequence[str]] | None = None,
    failures: Collection[str] = FAILURES,
) -> Scorecard:
    """The scorecard of a study: what of surveys, touchpoints and themes there is.

    `items`: which questions ask about a dimension, if not the question of its name. An answer counts by its
    place between the two ends of its scale, at the stage it was asked about (else the catalog's for its
    touchpoint). `themes`: comments that speak of a dimension, one row each: `person`, `stage`, `dimension` and
    `good` (1 or 0), or in the place of both `theme`, such as "ease: negative" (the mentions of
    `cx.text.themes(comments, read=["aspect", "sentiment"])`); that some are misread is not in the interval. Intervals: fold jackknife with t on the logit scale, Wilson's for small counts.

    Raises CxLookupError for an unknown dimension, CxValueError for themes that are not 0 or 1.

    >>> import cxlib as cx
    >>> sorted(scorecard(cx.open_study("demo")).table()["witness"].unique())
    ['asked', 'behaviour']
    """
    counted, neither = [], 0
    if "surveys" in study.tables:
        counted.append(_asked(study, items or {}))
    if "touchpoints" in study.tables:
        counted.append(_behaviour(study, failures))
    if themes is not None:
        said, neither = _said(themes)
        counted.append(said)
    if not counted:
        study.table("surveys", needed_by="scorecard")
    every = pd.concat(counted, ignore_index=True).rename(columns={"n": "many"})
    for name in ("dimension", "stage", "witness"):
        known = {"dimension": DIMENSIONS, "stage": STAGES, "witness": WITNESSES}[name]
        every[name] = pd.Categorical(every[name], known, ordered=True)
    every = every.dropna(subset=["dimension", "stage"])
    by = every.groupby(["dimension", "stage", "witness"], observed=True)
    cell = by.ngroup().to_numpy()
    sums = np.zeros((2, stats.FOLDS, max(cell, default=-1) + 1))
    for one, name in zip(sums, ("good", "weight"), strict=True):
        np.add.at(one, (every["fold"].to_numpy(int), cell), every[name].to_numpy(float))
    found = stats.proportions(sums[0], sums[1])
    frame = by[["many", "customers"]].sum().astype(int).reset_index()
    frame = frame.astype({"dimension": str, "stage": str, "witness": str}).rename(columns={"many": "n"})
    for place, (name, values) in enumerate(found.columns().items()):
        frame.insert(3 + place, name, values)
    frame["reads"] = np.select([frame["low"] > GOOD, frame["high"] < POOR], ["good", "poor"], "between")
    reads = frame.groupby(["dimension", "stage"])["reads"]
    both = reads.transform(lambda one: {"good", "poor"} <= set(one))
    frame["disagree"] = both.astype(bool) & frame["reads"].ne("between")
    return Scorecard(frame, neither)


def _asked(study: Study, items: Mapping[str, Sequence[str]]) -> pd.DataFrame:
    """The place of each answer on its scale, by fold."""
    _known(items)
    of = {question: name for name in DIMENSIONS for question in items.get(name, [name])}
    given = set(scales(study)["question"]) & set(of)
    t, stage = answers(study, "scorecard", *given), "stage"
    if "catalog" in study.tables:
        catalog = study.table("catalog").select(met_="touchpoint", else_="stage")
        t = t.left_join(catalog, t["touchpoint"] == catalog["met_"])
        t, stage = t.mutate(stage_=ibis.coalesce(t["stage"], t["else_"])), "stage_"
    rows = t.select(
        "person_",
        fold=fold(t["person_"]),
        dimension=ibis.cases(*((t["question"] == question, name) for question, name in of.items())),
        stage=stage,
        weight="weight_",
        place="place_",
    )
    counted = rows.group_by(["fold", "dimension", "stage"]).aggregate(
        good=(rows["weight"] * rows["place"]).sum(),
        weight=rows["weight"].sum(),
        n=rows.count(),
        customers=rows["person_"].nunique(),
    )
    frame = study.fetch(counted)
    scale = frame["n"].sum() / max(frame["weight"].sum(), 1e-9)  # so that a weight of 1 is one answer
    return frame.assign(good=frame["good"] * scale, weight=frame["weight"] * scale, witness=ASKED)


def visits(study: Study) -> tuple[Log, ir.Table]:
    """The log (with `outcome` and `load_ms` where given), and its events with what tells how visits went.

    Added columns: `own`, the customer began it; `begins`, `ends`, the customer's first and last contact of
    the visit (-1 where there is none); `itself`, self-service; `assisted`, by staff and nobody pays there;
    `talk`, that or chat; `then`, the customer turns at once to chat or to another channel's staff.
    """
    log = study.log(carry=tuple(name for name in ("outcome", "load_ms") if study.has("touchpoints", name)))
    kinds = pd.DataFrame({"touchpoint": log.names["touchpoint"]}).assign(channel="", stage="", mode="")
    if "catalog" in study.tables:
        kinds = kinds[["touchpoint"]].merge(study.fetch(study.table("catalog")), on="touchpoint", how="left")
    assisted = kinds["mode"].eq("assisted") & kinds["stage"].ne("transaction")
    talk = assisted | kinds["channel"].eq("chat")
    t, channels = log.table, log.names["channel"]

    def at(those: pd.Series) -> ir.BooleanValue:
        return t["touchpoint"].isin([-9, *np.flatnonzero(those).tolist()])

    # Advice in the shop one stands in is no change of plan; to take up the phone or the chat is.
    elsewhere: Any = ibis.literal(False)
    for code in np.flatnonzero(talk).tolist():
        channel = kinds["channel"].iloc[code]
        own_channel = channels.index(channel) if channel in channels and channel != "chat" else -9
        elsewhere = elsewhere | ((t["next"] == code) & (t["channel"] != own_channel))
    visit = ibis.window(group_by="session")
    own = t["initiated"] != (log.code("initiated", "brand") if "brand" in log.names["initiated"] else -9)
    event = own.ifelse(t["event"], ibis.null("int64"))
    return log, t.mutate(
        own=own,
        begins=event.min().over(visit).fill_null(-1),
        ends=event.max().over(visit).fill_null(-1),
        itself=at(kinds["mode"].eq("self_service")),
        assisted=at(assisted),
        talk=at(talk),
        then=(t["event"] < t["event"].max().over(visit)) & elsewhere,
    )


def _behaviour(study: Study, failures: Collection[str]) -> pd.DataFrame:
    """Events that are good, by fold, for each rule whose columns there are."""
    log, t = visits(study)
    t = t.mutate(helped=t["assisted"].max().over(ibis.window(group_by="session")))
    rules: dict[str, tuple[Any, Any]] = {"personalisation": (~t["own"], t["ends"] > t["event"])}
    if "load_ms" in log.carry:
        rules["ease"] = t["load_ms"].notnull(), t["load_ms"] <= SLOW_MS
    if "outcome" in log.carry:
        told, out = t["outcome"].nullif("").notnull(), t["outcome"] == OUT
        could = study.fetch(t.filter(out).select("touchpoint").distinct())["touchpoint"].tolist()
        rules["availability"] = told & t["touchpoint"].isin([-9, *could]), ~out
        rules["communication"] = told & t["assisted"], t["outcome"].notin(list(failures))
    if study.has("catalog", "mode"):
        rules["self_service"] = (t["event"] == t["begins"]) & t["itself"], ~t["helped"]
        rules["information"] = t["own"] & t["itself"] & ~t["talk"], ~t["then"]
    cells: dict[str, Any] = {}  # one pass over the events, whatever the number of rules
    for name, (which, good) in rules.items():
        cells |= {f"{name} good": (which & good).sum(), f"{name} n": which.sum()}
        cells[f"{name} customers"] = t["person"].nunique(where=which)
    counted = t.filter(t["stage"] >= 0).group_by(["fold", "stage"]).aggregate(**cells)
    wide = study.cached("scorecard", {"failures": sorted(failures)}, lambda: study.fetch(counted))
    wide = wide.assign(stage=log.decode(wide["stage"], "stage"), witness=BEHAVIOUR)
    told_of = [
        wide[["fold", "stage", "witness"]].assign(
            dimension=name, **{what: wide[f"{name} {what}"] for what in ("good", "n", "customers")}
        )
        for name in rules
    ]
    every = pd.concat(told_of)
    return every[every["n"] > 0].assign(weight=lambda one: one["n"])


def _known(names: Iterable[str]) -> None:
    if unknown := sorted(set(names) - set(DIMENSIONS)):
        raise CxLookupError(f"There is no dimension `{unknown[0]}`; there are {', '.join(DIMENSIONS)}.")


def _said(themes: pd.DataFrame) -> tuple[pd.DataFrame, int]:
    """Comments that speak well of a dimension, by fold; and how many speak of one neither well nor ill."""
    neither = 0
    if "theme" in themes and "dimension" not in themes:
        theme = themes["theme"].astype(str).str.partition(": ")
        themes = themes.assign(dimension=theme[0], good=theme[2].map({"positive": 1, "negative": 0}))
        themes = themes[themes["dimension"].isin(DIMENSIONS)]
        neither = int(themes["good"].isna().sum())
        themes = themes.dropna(subset="good")
    frame = pd.DataFrame({name: column(themes, name) for name in ("person", "stage", "dimension")})
    frame["good"] = numbers(themes, "good")
    if not frame["good"].isin([0, 1]).all():
        raise CxValueError("`good` must be 1 (a comment speaks well of the dimension) or 0.")
    _known(frame["dimension"].dropna())
    frame["fold"] = stats.folds_of(frame["person"])
    by = frame.groupby(["fold", "dimension", "stage"])
    counted = by.agg(good=("good", "sum"), n=("good", "size"), customers=("person", "nunique")).reset_index()
    return counted.assign(weight=counted["n"], witness=SAID), neither
