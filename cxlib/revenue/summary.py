"""The revenue chapter in five lines, each from a result, and only those the study's tables allow."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

import pandas as pd

from cxlib.errors import CxError
from cxlib.results import Summary
from cxlib.revenue.causal import Ladder
from cxlib.revenue.ladders import adoption, service_failure
from cxlib.revenue.outlook import value
from cxlib.revenue.realised import realised

if TYPE_CHECKING:
    from cxlib.study import Study

Anything = TypeVar("Anything")


def summary(study: Study, memberships: pd.DataFrame | None = None) -> Summary:
    """What customers were worth, will be worth, how such a forecast did, what a failure and a channel change."""
    lines = [str(realised(study, memberships).claim().first)]
    found = _if_possible(lambda: value(study, memberships))
    if found is not None:
        lines += [str(found.claim().first), str(found.check.claim())]
    causes: list[Ladder | None] = []
    if study.has("touchpoints", "outcome", "queue_min"):
        causes.append(_if_possible(lambda: service_failure(study)))
    if study.has("exposures"):
        causes.append(_if_possible(lambda: adoption(study)))
    lines += [str(one.claim()) for one in causes if one is not None]
    if not any(causes):
        lines.append(
            "Next: find a lever whose effect can be known, by an experiment or a roll-out in steps; none of this says what would change it."
        )
    return Summary(tuple(lines))


def _if_possible(build: Callable[[], Anything]) -> Anything | None:
    """The result, or nothing where the study lacks what it takes."""
    try:
        return build()
    except CxError:
        return None
