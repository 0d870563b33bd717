"""The lines of a journey map, each one scan of the log or of the surveys, counted by stage and persona."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import ibis
import numpy as np
import pandas as pd

from cxlib.contract import STAGES
from cxlib.errors import require
from cxlib.journeys.members import Cells, Members
from cxlib.stats import Array, Interval
from cxlib.study.log import Log

if TYPE_CHECKING:
    from cxlib.study import Study

FEELINGS = ("csat", "nps")
"""Questions that say how it feels; of another, a high answer may be good or bad."""

LATEST = 1000
"""A touchpoint first met later than at this event of the customer counts as met at it."""


@dataclass(frozen=True)
class Lines:
    """What the lines of a map are counted on; each method gives rows: persona, stage, measure, name, estimate,
    low, high, n, customers."""

    study: Study
    log: Log
    members: Members

    def met(self) -> list[pd.DataFrame]:
        """Customers met in each stage, and those who come to no later one after their first contact in it."""
        events = self._events
        met = events.group_by("person", "place").aggregate(first=events.event.min(), last=events.event.max())
        later = met["last"].max().over(ibis.window(group_by="person", order_by="place", rows=(1, None)))
        met = met.mutate(later=later)
        lost = met.later.isnull() | (met.later < met["first"])
        rows = met.select("person", "place", here=ibis.literal(1), lost=lost.cast("int64"))
        cells = self._count("map-met", rows, ("place",), ("here", "lost"))
        everybody = self.log.persons.select("person", whole=ibis.literal(0), here=ibis.literal(1))
        persons = self._count("map-persons", everybody, ("whole",), ("here",))
        base = self._base(persons.sums["here"])
        never = self._shares("never_later", cells, ("lost", cells), ("here", cells), base)
        ahead = never["stage"] != STAGES[int(cells.keys["place"].max())]  # after the last stage comes none
        return [self._shares("met", cells, ("here", cells), ("here", persons), base), never[ahead]]

    def touchpoints(self) -> tuple[list[pd.DataFrame], tuple[float, ...]]:
        """Shares of the stage's contacts by touchpoint and by the catalog's columns; and, for each persona,
        the share of all contacts that lie elsewhere than everybody's."""
        cells = self._count("map-contacts", self._contacts, ("place", "touchpoint"), ("contacts",))
        names = np.array(self.log.decode(cells.keys["touchpoint"], "touchpoint"), dtype=object)
        found = [self._parts("touchpoint", cells, names)]
        found[0]["first_step"] = self._first_steps(cells).ravel()[found[0].index]  # rows of nobody are gone
        share = lambda s: s / s.sum(axis=-1, keepdims=True)  # noqa: E731
        contacts = cells.sums["contacts"]
        whole = self.members.estimate(contacts, share, "identity", self._base(contacts)).estimate
        if "catalog" in self.study.tables:
            catalog = self.study.fetch(self.study.table("catalog")).set_index("touchpoint")
            for column in ("ownership", "mode"):
                of = pd.Series(names).map(catalog[column]).to_numpy(dtype=object)
                found += [self._parts(column, *_merged(cells, of))] if pd.notna(of).any() else []
        return found, tuple(np.abs(whole - whole[0]).sum(axis=1) / 2)

    def visits(self) -> list[pd.DataFrame]:
        """Of the visits that come to a stage, those whose last contact is in it; brand contacts left out."""
        log = self.log
        brand = log.names["initiated"].index("brand") if "brand" in log.names["initiated"] else -99
        own = self._staged.filter(self._staged.initiated != brand)
        seen = own.group_by("person", "session", "place").aggregate(last=own.event.max())
        ends = seen["last"] == seen["last"].max().over(ibis.window(group_by="session"))
        seen = seen.mutate(ends=ends.cast("int64")).filter(lambda t: t.place >= 0)
        rows = seen.group_by("person", "place").aggregate(visits=seen.count(), ends=seen.ends.sum())
        cells = self._count("map-visits", rows, ("place",), ("visits", "ends"))
        base = self._base(cells.sums["visits"])
        return [self._shares("visits_end", cells, ("ends", cells), ("visits", cells), base)]

    def feeling(self, question: str | None) -> tuple[str, list[pd.DataFrame]]:
        """The question that says how it feels, and its mean answer by stage; none where there is none."""
        if not self.study.has("surveys", "customer_id"):
            return "", []
        answers = self._answers()
        asked = self.study.cached(
            "map-questions", {"gap": self.log.gap},
            lambda: self.study.fetch(answers.group_by("question").aggregate(n=answers.answers.sum())),
        )  # fmt: skip
        asked = asked.sort_values(["n", "question"], ascending=[False, True])["question"].tolist()
        if question is not None:
            require(question, asked, f"Nobody on the log answered `{question}` about a stage", "Asked were")
        chosen = question or next((name for name in asked if name in FEELINGS), None)
        if chosen is None:
            return "", []
        rows = answers.filter(answers.question == chosen).drop("question")
        cells = self._count("map-feeling", rows, ("place",), ("answers", "weight", "value"), question=chosen)
        base = cells.sums["weight"].sum(axis=-1)  # answers are no contacts: nothing was learned from them
        found = self._shares("feeling", cells, ("value", cells), ("weight", cells), base, count="answers")
        return chosen, [found.assign(**{end: 100 * found[end] for end in ("estimate", "low", "high")})]

    # What is counted

    @cached_property
    def _staged(self) -> Any:
        """The events with the place of their stage in a journey, -1 without one."""
        names, stage = self.log.names["stage"], self.log.table.stage
        places = [(stage == code, STAGES.index(name)) for code, name in enumerate(names)]
        return self.log.table.mutate(place=ibis.cases(*places, else_=-1))

    @property
    def _events(self) -> Any:
        return self._staged.filter(self._staged.place >= 0)

    @property
    def _contacts(self) -> Any:
        events = self._events
        by = events.group_by("person", "place", "touchpoint")
        return by.aggregate(contacts=events.count(), first=ibis.least(events.step.min(), LATEST))

    def _answers(self) -> Any:
        """Answers of persons on the log by person, stage and question: how many, their weight, and its product
        with the score as a share of its scale."""
        s = self.study.table("surveys")
        s = s.filter(s.score.notnull() & (s.scale_max > s.scale_min))
        stage = {name: (s.stage == name, place) for place, name in enumerate(STAGES)}
        known = self.log.decode(self.log.of.get("stage", ()), "stage")
        about = [
            (s.touchpoint == touchpoint, STAGES.index(name))
            for touchpoint, name in zip(self.log.names["touchpoint"], known, strict=False)
            if name is not None
        ]
        weight = s.weight.fill_null(1.0).cast("float64")
        value = weight * (s.score - s.scale_min) / (s.scale_max - s.scale_min)
        place = ibis.cases(*stage.values(), *about, else_=-1)
        s = s.select("customer_id", "question", place=place, weight=weight, value=value)
        persons = self.log.persons
        s = s.filter(s.place >= 0).join(persons, s.customer_id == persons.key.cast("string"))
        by = s.group_by("person", "place", "question")
        return by.aggregate(answers=s.count(), weight=s.weight.sum(), value=s.value.sum())

    def _count(
        self, name: str, rows: Any, keys: Sequence[str], values: Sequence[str], **more: object
    ) -> Cells:
        return self.members.count(name, rows, keys, values, {"gap": self.log.gap, **more})

    def _first_steps(self, cells: Cells) -> Array:
        """(1 + personas, cells) the median event of a customer at which each touchpoint is first met."""
        rows = self._contacts.mutate(met=ibis.literal(1))
        keys, params = ("place", "touchpoint", "first"), {"gap": self.log.gap}
        firsts = self.members.count("map-firsts", rows, keys, ("met",), params, by_fold=False)
        met = firsts.sums["met"]
        total = self.members.estimate(met, lambda s: s, "identity", self._base(met)).estimate
        groups = firsts.keys.groupby(["place", "touchpoint"]).indices
        steps = firsts.keys["first"].to_numpy()
        order = [groups[tuple(key)] for key in cells.keys[["place", "touchpoint"]].itertuples(index=False)]
        return np.array([[_median(row[at], steps[at]) for at in order] for row in total])

    # What becomes of the counts

    def _base(self, sums: Array) -> Array | None:
        """What says how often the assignment is wrong, for counts of contacts."""
        return None if self.members.from_log else sums.sum(axis=-1)

    def _parts(self, measure: str, cells: Cells, names: Array) -> pd.DataFrame:
        """Each cell's share of the contacts of its stage."""
        place = cells.keys["place"].to_numpy()
        same = (place[:, None] == place[None, :]).astype(float)
        whole = Cells(
            cells.keys,
            {name: values @ same for name, values in cells.sums.items()},
            {name: values @ same for name, values in cells.own.items()},
            cells.people,
        )
        base = self._base(cells.sums["contacts"])
        return self._shares(measure, cells, ("contacts", cells), ("contacts", whole), base, names=names)

    def _shares(
        self,
        measure: str,
        cells: Cells,
        part: tuple[str, Cells],
        whole: tuple[str, Cells],
        base: Array | None,
        count: str = "",
        names: Any = "",
    ) -> pd.DataFrame:
        """Rows of a line: one value's share of another's, by persona and cell.

        A row rests on the customers in its part, or in its whole where nobody is in the part.
        """
        (x, some), (n, every) = part, whole
        people = np.where(some.people[x] > 0, some.people[x], every.people[n])
        share: Interval = self.members.share(
            some.sums[x], every.sums[n], np.broadcast_to(every.people[n], people.shape), base
        )
        size = np.broadcast_to(every.own[count or n], people.shape)
        personas, stages = self.members.personas, [STAGES[place] for place in cells.keys["place"]]
        frame = pd.DataFrame(
            {
                "persona": np.repeat(personas, len(stages)),
                "stage": stages * len(personas),
                "measure": measure,
                "name": np.tile(np.broadcast_to(np.asarray(names, dtype=object), len(stages)), len(personas)),
                **{end: values.ravel() for end, values in share.columns().items()},
                "n": size.ravel().astype(int),
                "customers": people.ravel().astype(int),
            }
        )
        return frame[frame["n"] > 0]


def _merged(cells: Cells, of: Array) -> tuple[Cells, Array]:
    """Cells added up over the touchpoints that the catalog gives the same value; those it says nothing of apart.

    People are those of the largest touchpoint: a lower bound, which costs no further scan.
    """
    keys = cells.keys.assign(name=pd.Series(of).fillna("not stated"))
    kept = keys[["place", "name"]].drop_duplicates().sort_values(["place", "name"]).reset_index(drop=True)
    at = keys.merge(kept.reset_index(names="cell"), on=["place", "name"])["cell"].to_numpy()
    to = np.eye(len(kept))[at]
    people = {
        name: np.stack([values[:, at == cell].max(axis=1) for cell in range(len(kept))], axis=1)
        for name, values in cells.people.items()
    }
    sums, own = ({name: values @ to for name, values in part.items()} for part in (cells.sums, cells.own))
    return Cells(kept[["place"]], sums, own, people), kept["name"].to_numpy(dtype=object)


def _median(count: Array, steps: Array) -> float:
    """The median of whole numbers counted, ties spread over the unit around each (some counts may be negative).

    >>> _median(np.array([1.0, 2.0, 1.0]), np.array([1, 2, 3]))
    2.0
    """
    order = np.argsort(steps)
    below = np.maximum.accumulate(np.cumsum(count[order]))
    if not below[-1] > 0:
        return float("nan")
    below = below / below[-1]
    at = int(np.argmax(below >= 0.5 - 1e-9))  # exactly half is half, however the engine added it up
    before = below[at - 1] if at else 0.0
    return float(steps[order][at] - 0.5 + (0.5 - before) / (below[at] - before))
