"""The kinds of customers, as tables one can read, and which of them a world has."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np


@dataclass(frozen=True)
class Kind:
    """A kind of customer: how it bends what the average customer does."""

    name: str
    motive: str
    share: float
    days: float  # scale of the days between visits, at activity 1
    channels: tuple[float, ...]  # taste for each of CHANNELS: multiplies flows and entries into it
    push: tuple[float, float, float, float]  # multiplies flows into the transaction stage, by phase
    instinctive: tuple[float, float, float, float]  # share of instinctive purchases, by phase
    basket: tuple[float, float]  # median order in euros: instinctive, considered
    mobile: float  # share of visits on a mobile device, where there is a choice
    mood: float  # satisfaction, in standard deviations
    replies: float  # shift of the log-odds to answer a survey
    leaves: float  # chance to leave for good at the end of a visit
    home_page: tuple[float, ...]  # boost of each variant of that experiment
    languages: tuple[float, ...]
    regions: tuple[float, ...]
    ages: tuple[float, ...]
    tiers: tuple[float, ...]
    motives: tuple[float, ...]  # what they say they come for, where asked: see MOTIVES of the company


FIVE: tuple[Kind, ...] = (
    Kind(
        "deal_seeker", "price: buys on impulse when the price is right", 0.24, 26,
        #        search social email web  app  store call chat
        channels=(2.1, 1.0, 1.6, 1.2, 0.5, 0.5, 0.6, 0.6),
        push=(1.1, 1.2, 1.3, 0.4), instinctive=(0.90, 0.80, 0.70, 0.8), basket=(24, 140),
        mobile=0.55, mood=-0.10, replies=-0.2, leaves=0.016, home_page=(1.0, 1.9, 1.1, 0.7),
        languages=(0.25, 0.40, 0.28, 0.07), regions=(3, 2.4, 2, 1.4, 1.2), ages=(3, 3, 2.5, 1.5), tiers=(6, 3, 1),
        motives=(6, 1, 1, 1, 1),
    ),
    Kind(
        "app_native", "convenience: little orders, often, on the phone", 0.22, 21,
        channels=(0.5, 1.9, 0.7, 0.5, 2.6, 0.6, 0.4, 0.9),
        push=(1.2, 1.3, 1.3, 0.4), instinctive=(0.85, 0.80, 0.75, 0.8), basket=(32, 120),
        mobile=0.90, mood=0.45, replies=-0.3, leaves=0.014, home_page=(1.0, 0.9, 1.8, 0.65),
        languages=(0.32, 0.30, 0.26, 0.12), regions=(3, 2, 2.4, 1.2, 1.4), ages=(4.5, 3.5, 1.5, 0.5), tiers=(5, 3.5, 1.5),
        motives=(1, 6, 1, 1, 1),
    ),
    Kind(
        "researcher", "certainty: compares for weeks, then buys the large thing", 0.22, 29,
        channels=(1.3, 0.5, 0.8, 1.9, 0.4, 0.7, 0.7, 1.2),
        push=(0.25, 0.6, 1.5, 0.3), instinctive=(0.30, 0.15, 0.10, 0.5), basket=(38, 420),
        mobile=0.25, mood=0.05, replies=0.2, leaves=0.012, home_page=(1.0, 0.65, 0.8, 2.2),
        languages=(0.34, 0.26, 0.26, 0.14), regions=(2.4, 2, 2.4, 1.4, 1.8), ages=(2, 3.5, 3, 1.5), tiers=(5, 3.5, 1.5),
        motives=(1, 1, 6, 1, 1),
    ),
    Kind(
        "store_regular", "touch: wants to see, feel and be advised", 0.18, 31,
        channels=(0.6, 0.6, 1.4, 0.6, 0.5, 3.2, 1.0, 0.4),
        push=(0.7, 1.1, 1.4, 0.5), instinctive=(0.50, 0.35, 0.30, 0.6), basket=(45, 310),
        mobile=0.45, mood=0.55, replies=0.3, leaves=0.010, home_page=(1.0, 1.7, 0.8, 0.8),
        languages=(0.22, 0.38, 0.32, 0.08), regions=(2.6, 2.6, 2, 1.8, 1), ages=(1, 2.5, 3.5, 3), tiers=(4, 3.5, 2.5),
        motives=(1, 1, 1, 6, 1),
    ),
    Kind(
        "help_seeker", "reassurance: asks before and after every purchase", 0.14, 28,
        channels=(0.8, 0.7, 0.9, 0.9, 0.7, 0.8, 3.2, 2.8),
        push=(0.6, 0.8, 1.1, 0.4), instinctive=(0.45, 0.40, 0.35, 0.5), basket=(35, 230),
        mobile=0.50, mood=-0.60, replies=0.4, leaves=0.018, home_page=(1.0, 0.8, 0.7, 1.7),
        languages=(0.27, 0.35, 0.28, 0.10), regions=(2.6, 2.2, 2.2, 1.6, 1.4), ages=(1.5, 2.5, 3, 3), tiers=(5.5, 3, 1.5),
        motives=(1, 1, 1, 1, 6),
    ),
)  # fmt: skip

POSITIONS = 41  # on the continuum


def blend(name: str, kinds: Sequence[Kind], weights: Sequence[float]) -> Kind:
    """The weighted average of kinds, number by number.

    >>> blend("both", FIVE[:2], [1, 1]).days
    23.5
    """
    w = np.asarray(weights, float) / np.sum(weights)
    values: dict[str, object] = {"name": name, "motive": " and ".join(k.motive.split(":")[0] for k in kinds)}
    for field in fields(Kind)[2:]:
        mean = w @ np.array([getattr(k, field.name) for k in kinds], float)
        values[field.name] = tuple(mean.tolist()) if np.ndim(mean) else float(mean)
    return Kind(**values)  # type: ignore[arg-type]


def kinds_of(world: str) -> tuple[Kind, ...]:
    """The kinds of a named world."""
    if world in ("demo", "broken"):
        return FIVE
    if world == "one_kind":
        return (blend("everybody", FIVE, [k.share for k in FIVE]),)
    ends = (FIVE[2], FIVE[1])
    return tuple(blend(f"at_{u:.3f}", ends, [1 - u, u]) for u in np.linspace(0, 1, POSITIONS))
