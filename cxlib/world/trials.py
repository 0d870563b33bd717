"""What befalls each customer besides their own visits: variants, e-mails, the linked card, and the boost.

All of it is drawn before the journeys: it depends on activity and coins, never on what a customer did.
Only leaving for good undoes some of it (`settle`). Times are whole seconds since the window's start.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.special import expit

from cxlib.world import company as c
from cxlib.world import programme
from cxlib.world.company import Array, Ints
from cxlib.world.people import People
from cxlib.world.programme import DAY, EXPERIMENT, EXPERIMENTS

NEVER = 10**12
WAKING = (8 * 3600, 22 * 3600)  # seconds of the day
OFFER_DAY = np.array([programme.OFFERED[region] for region in c.REGIONS])
NUDGE, MAILS = EXPERIMENT["app_nudge"], EXPERIMENT["email_frequency"]
FREQUENCY = np.array([int(v) for v in MAILS.variants])

Spells = list[tuple[Ints, Ints, Array]]  # from, until, boost: each (customers,)


@dataclass(frozen=True)
class Treated:
    """Arrays of shape (customers,), but for the mails."""

    variant: dict[str, Ints]  # by experiment; -1: not in it
    linked: Ints  # when the card was linked, or NEVER
    nudged: Ints  # when the nudge would make them link it, or NEVER
    opted_out: Ints  # when e-mails were refused, or NEVER
    mailed: Ints  # the customer of each mail
    mailed_at: Ints


def assign(firm: c.Company, who: People, rng: np.random.Generator, areas: np.random.Generator) -> Treated:
    """Draw variants (blind to kind), who links the card and when, and the mails. `areas` decides for whole
    areas, and must be the same for all parts of a world."""
    n = len(who.kind)
    variant = {}
    for e in EXPERIMENTS:
        variant[e.name] = np.where(who.joined < e.start, rng.integers(0, len(e.variants), n), -1)
    arms = len(EXPERIMENT[programme.CLUSTERED].variants)
    by_region = np.arange(programme.AREAS_PER_REGION) % arms
    by_area = np.concatenate([areas.permutation(by_region) for _ in c.REGIONS])
    clustered = variant[programme.CLUSTERED]
    variant[programme.CLUSTERED] = np.where(clustered >= 0, by_area[who.area], -1)
    variant[MAILS.name][~who.consent] = -1

    offer = OFFER_DAY[who.traits["region"]]
    takes = (who.joined < offer) & (rng.random(n) < takes_offer(who.activity))
    linked = moments(offer, programme.LINK_DAYS, rng)
    nudged = moments(np.full(n, NUDGE.start), programme.NUDGE_DAYS, rng)
    nudged = np.where((rng.random(n) < programme.NUDGE_LINKS) & (variant[NUDGE.name] >= 0), nudged, NEVER)
    linked = np.where(takes, linked, np.where(variant[NUDGE.name] == 1, nudged, NEVER))
    return Treated(variant, linked, nudged, *_mails(variant[MAILS.name], rng))


def takes_offer(activity: Array) -> Array:
    """Chance to link the card when one's region is offered it: the active ones do."""
    constant, slope = programme.LINK_ODDS
    return expit(constant + slope * np.log(activity))


def lost_row_chance(activity: Array) -> Array:
    """Chance that a row of the broken assignment is lost."""
    constant, slope = programme.LOST_ROWS
    return expit(constant + slope * np.log(activity))


def moments(day: Ints, within: int, rng: np.random.Generator) -> Ints:
    """Seconds at some waking hour of one of the `within` days from `day`, all equally likely."""
    return (day + rng.integers(0, within, len(day))) * DAY + rng.integers(*WAKING, len(day))


def over_by(day: Ints, within: int, at: Ints) -> Array:
    """Chance that such a moment is at or before `at`.

    >>> over_by(np.array([10]), 28, np.array([10 * DAY, 24 * DAY, 99 * DAY])).tolist()
    [0.0, 0.5, 1.0]
    """
    today = np.clip((at % DAY - WAKING[0] + 1) / (WAKING[1] - WAKING[0]), 0, 1)
    return np.clip((at // DAY - day + today) / within, 0, 1)


def opt_out_chance(frequency: Ints) -> Array:
    """Chance to refuse further e-mails at each one."""
    constant, slope = programme.OPT_OUT
    return constant + slope * frequency.astype(float)


def _mails(variant: Ints, rng: np.random.Generator) -> tuple[Ints, Ints, Ints]:
    """When each customer opts out (or NEVER); customer and time of every mail: evenly spread, until then."""
    frequency = np.where(variant >= 0, FREQUENCY[variant], 0)
    planned = frequency * MAILS.days // 30
    last = rng.geometric(opt_out_chance(frequency))
    offset = rng.random(len(variant))
    sent = np.minimum(planned, last)
    person = np.repeat(np.arange(len(variant)), sent)
    number = np.arange(len(person)) - np.repeat(sent.cumsum() - sent, sent)
    day = ((number + offset[person]) * MAILS.days / planned[person]).astype(np.int64)
    first, until = programme.SEND_HOURS
    at = (MAILS.start + day) * DAY + rng.integers(first * 3600, until * 3600, len(day))
    out = np.full(len(variant), NEVER)
    final = (sent.cumsum() - 1)[(sent == last) & (planned > 0)]
    out[person[final]] = at[final] + rng.integers(60, 1500, len(final))
    return out, person, at


def spells(firm: c.Company, kind: Ints, traits: dict[str, Ints], treated: Treated) -> Spells:
    """All boosts with their times, for customers of these kinds and traits (customers,)."""
    n = len(kind)

    def since(begin: int | Ints, factor: float | Array, end: int | Ints = NEVER) -> None:
        """A boost from `begin` to `end`."""
        out.append((np.broadcast_to(begin, n), np.broadcast_to(end, n), np.broadcast_to(factor, n)))

    out: Spells = []
    since(-NEVER, np.array(programme.TIER_BOOST)[traits["loyalty_tier"]])
    since(treated.linked, programme.LINKED_BOOST)
    for e in EXPERIMENTS:
        if (firm.boosts[e.name] == 1).all():
            continue
        variant = treated.variant[e.name]
        given = (variant >= 0) & ((e is not NUDGE) | (treated.linked >= NUDGE.start * DAY))
        begin, end = e.start * DAY, np.full(n, (e.start + e.days) * DAY)
        if e is MAILS:
            since(treated.opted_out, programme.OPTED_OUT_BOOST, end)
            end = np.minimum(end, treated.opted_out)
        since(begin, np.where(given, firm.boosts[e.name][kind, variant], 1.0), end)
    if firm.breaks.growth:
        later = (OFFER_DAY.max() - OFFER_DAY) / np.ptp(OFFER_DAY)  # 1 in the first region, 0 in the last
        for month in range(1, 12):
            since(programme.day(month + 1, 1) * DAY, 1 + firm.breaks.growth * later[traits["region"]])
    return out


def boost(spells: Spells, person: Ints, at: Ints) -> Array:
    """What multiplies the flows of `person` into the transaction stage at a time: (n,)."""
    total = np.ones(len(person))
    for begin, end, factor in spells:
        total *= np.where((at >= begin[person]) & (at < end[person]), factor[person], 1.0)
    return total


def settle(treated: Treated, gone: Ints) -> Treated:
    """What came true, given when each customer left for good (or NEVER): who has gone links nothing, and the
    nudge goes to all who have not linked by then, gone or not: the company cannot tell."""
    linked = np.where(treated.linked < gone, treated.linked, NEVER)
    nudge = np.where(linked >= NUDGE.start * DAY, treated.variant[NUDGE.name], -1)
    return replace(treated, linked=linked, variant=treated.variant | {NUDGE.name: nudge})


def events(treated: Treated) -> tuple[Ints, Ints, Ints]:
    """Customer, time and touchpoint of the contacts that are no part of a visit."""
    parts = [(treated.mailed, treated.mailed_at, "email_offer")]
    for at, name in ((treated.opted_out, "email_unsubscribe"), (treated.linked, "app_link_card")):
        person = np.flatnonzero(at < NEVER)
        parts.append((person, at[person], name))
    codes = [np.full(len(person), c.CODE[name]) for person, _, name in parts]
    return (
        np.concatenate([p for p, _, _ in parts]),
        np.concatenate([a for _, a, _ in parts]),
        np.concatenate(codes),
    )
