"""One draw of the whole company's year, before any table is made of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from cxlib.world import company as c
from cxlib.world import draw, feedback, trials
from cxlib.world.company import Ints
from cxlib.world.people import People, people
from cxlib.world.trials import Treated

Change = Callable[[People, Treated, np.random.Generator], tuple[People, Treated]]


@dataclass(frozen=True)
class Year:
    """Customers, what befell them, and what they did."""

    who: People
    treated: Treated
    gone: Ints  # when each left for good, or trials.NEVER
    log: draw.Log
    bought: draw.Orders
    answers: feedback.Answers


def draw_year(
    firm: c.Company,
    customers: int,
    streams: Sequence[np.random.Generator],
    areas: np.random.Generator,
    everybody: bool = False,
    change: Change | None = None,
) -> Year:
    """Draw customers, trials, journeys, orders and answers, each from its own stream (five of them).

    `change` may alter customers and trials before anybody makes a visit: that is how effects are counted
    where the company itself never tossed a coin.
    """
    who = people(firm, customers, streams[0])
    treated = trials.assign(firm, who, streams[1], areas)
    if change:
        who, treated = change(who, treated, streams[1])
    visits, gone = draw.journeys(firm, who, treated, streams[2])
    treated = trials.settle(treated, gone)
    bought = draw.orders(firm, who, visits, streams[3])
    answers = feedback.surveys(firm, who, visits, everybody, streams[4])
    log, row = draw.woven(visits, *trials.events(treated))
    return Year(
        who,
        treated,
        gone,
        log,
        replace(bought, event=row[bought.event]),
        replace(answers, event=row[answers.event]),
    )
