"""What the score of a question is: the net promoter score, a share of top boxes or a mean, by its scale."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import ibis.expr.types as ir
import numpy as np
import pandas as pd

from cxlib.errors import CxValueError
from cxlib.stats import Array

if TYPE_CHECKING:
    from cxlib.study import Study

PROMOTER, DETRACTOR = 9, 6
"""Of 0 to 10: a promoter scores at least 9, a detractor at most 6 (Reichheld 2003)."""


@dataclass(frozen=True)
class Measure:
    """A question's score: what it is called, its unit (points, share or scale), and the scale it is on.

    `boxes`: how many of the highest scores count as satisfied, where the unit is a share.
    """

    name: str
    unit: str
    low: float
    high: float
    boxes: int = 0

    def values(self, rows: ir.Table) -> dict[str, ir.Value]:
        """The values to sum; a mean is summed as a share of its scale, 0 to 1."""
        up, *down = (side.cast("float64") for side in self._sides(rows["score"]))
        return {"value": up - down[0], "up": up, "down": down[0]} if down else {"value": up}

    def sides(self, scores: Array) -> tuple[Array, Array]:
        """What each score adds and takes away: promoters and detractors, or its place and nothing."""
        up, down = (*self._sides(scores), np.zeros(len(scores)))[:2]
        return up.astype(float), down.astype(float)

    def _sides(self, score: Any) -> tuple[Any, ...]:
        """Of scores anywhere: promoters and detractors, top boxes, or the place on the scale."""
        if self.unit == "points":
            return score >= PROMOTER, score <= DETRACTOR
        top, place = score > self.high - self.boxes, (score - self.low) / (self.high - self.low)
        return (top,) if self.unit == "share" else (place,)

    def told(self, value: Array) -> Array:
        """The score in its own unit, from the mean of what `sides` add less what they take away."""
        if self.unit == "points":
            return 100 * value
        return value if self.unit == "share" else self.low + (self.high - self.low) * value


def top_boxes(low: float, high: float) -> int:
    """How many top boxes a scale has: two of 4 to 11 whole steps, one of two, none (0) of any other.

    >>> top_boxes(1, 5), top_boxes(0, 1), top_boxes(0, 100)
    (2, 1, 0)
    """
    if float(low).is_integer() and float(high).is_integer():
        steps = int(high - low) + 1
        return 2 if 4 <= steps <= 11 else 1 if steps == 2 else 0
    return 0


def scales(study: Study) -> pd.DataFrame:
    """The scales on which each question was answered: question, scale_min, scale_max, n (answers)."""
    surveys = study.table("surveys", needed_by="scores")
    answered = surveys.filter(surveys["score"].notnull())
    counted = answered.group_by(["question", "scale_min", "scale_max"]).agg(n=answered.count())
    return study.cached(
        "scales", {}, lambda: study.fetch(counted.order_by("question", "scale_min", "scale_max"))
    )


def measure(question: str, given: pd.DataFrame) -> Measure:
    """The score of a question answered on these scales (rows of `scales`).

    CxValueError where there is none: for `nps` on other scales than 0 to 10 or 1 to 10, for any other
    question on several scales, as their answers cannot be averaged.
    """
    ends = list(zip(given["scale_min"].astype(float), given["scale_max"].astype(float), strict=True))
    said = " and ".join(f"{low:g} to {high:g}" for low, high in ends)
    low, high = ends[0]
    if question == "nps":
        if not set(ends) <= {(0.0, 10.0), (1.0, 10.0)}:
            raise CxValueError(
                f"`nps` was answered on the scale {said}; a net promoter score is of answers from 0 to 10 "
                "(or 1 to 10). Give the question another name, and its mean is taken."
            )
        return Measure("The net promoter score", "points", min(ends)[0], 10.0)
    if len(ends) > 1 or not high > low:
        raise CxValueError(
            f"`{question}` was answered on the scale {said}; a score needs one scale with two ends. "
            "Name the answers on each scale as a question of its own."
        )
    boxes = top_boxes(low, high) if question == "csat" else 0
    if boxes:
        name = f"The share of satisfied answers (top {'two boxes' if boxes == 2 else 'box'})"
        return Measure(name, "share", low, high, boxes)
    return Measure(f"The mean of `{question}` on its scale of {low:g} to {high:g}", "scale", low, high)


def asked(study: Study) -> list[str]:
    """The questions of the surveys that have a score: nps, csat and ces first, then by name.

    Empty where nobody answered. Questions answered on a scale that `scores` refuses are left out.
    """
    known = []
    for question, given in scales(study).groupby("question"):
        try:
            measure(str(question), given)
        except CxValueError:
            continue
        known.append(str(question))
    first = [name for name in ("nps", "csat", "ces") if name in known]
    return first + sorted(set(known) - set(first))
