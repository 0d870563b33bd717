"""Who the customers of the simulated company are."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cxlib.world import company as c
from cxlib.world import programme
from cxlib.world.company import Array, Ints

ACTIVITY_SCALE = 1 / c.ACTIVITY_SHAPE


@dataclass(frozen=True)
class People:
    """Arrays of shape (customers,)."""

    kind: Ints
    activity: Array
    joined: Ints  # day of the first contact; negative: before the window
    traits: dict[str, Ints]  # codes of region, age_band, loyalty_tier, language, acquisition_channel
    area: Ints  # code of AREAS
    referred: npt.NDArray[np.bool_]
    consent: npt.NDArray[np.bool_]


def pick(rng: np.random.Generator, rows: Array) -> Ints:
    """One column a row, with the probabilities in `rows` (n, m)."""
    return (rng.random(len(rows))[:, None] >= rows.cumsum(1)[:, :-1]).sum(1)


def tier_probabilities(firm: c.Company, kind: Ints, activity: Array) -> Array:
    """Chance of each loyalty tier, given kind and activity: (n, 3)."""
    weights = firm.traits["loyalty_tier"][1][kind] * activity[:, None] ** np.array(programme.TIER_ODDS)
    return weights / weights.sum(1, keepdims=True)


def people(firm: c.Company, n: int, rng: np.random.Generator) -> People:
    """Draw n customers."""
    kind = rng.choice(len(firm.share), n, p=firm.share)
    activity = rng.gamma(c.ACTIVITY_SHAPE, ACTIVITY_SCALE, n)
    old = rng.random(n) < c.OLD_CUSTOMERS
    joined = np.where(old, -1 - rng.integers(0, 1200, n), rng.integers(0, c.FIRST_SEEN_DAYS, n))
    chances = {column: p[kind] for column, (_, p) in firm.traits.items()}
    chances["loyalty_tier"] = tier_probabilities(firm, kind, activity)
    traits = {column: pick(rng, p) for column, p in chances.items()}
    area = traits["region"] * programme.AREAS_PER_REGION + pick(rng, firm.areas[kind])
    referred = (rng.random(n) < c.REFERRED) & (np.arange(n) > 0)  # by an earlier one
    return People(kind, activity, joined, traits, area, referred, rng.random(n) < c.CONSENT)
