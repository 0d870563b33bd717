"""The true effects of what the company tries, and what its customers are worth: counted in very large clean worlds.

Where a coin was tossed, arms are compared; where the company tossed none (tier, referral, the offer of the
card), a coin is tossed here, in a world that is otherwise the same; failures of service, random given the
waiting line, are weighted by their known chance. Arms are compared within strata (kind, and where it
matters region), which are then averaged as the customers are. In a world whose estimators' assumptions
are broken, effects are those of the same world without what biases a comparison (`Breaks.fair`).

Money is in cents. All sums are additive: a world of millions is counted part by part.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from cxlib.world import company as c
from cxlib.world import draw, programme, truth
from cxlib.world.company import Array, Ints
from cxlib.world.people import People
from cxlib.world.programme import DAY, EXPERIMENTS, Experiment
from cxlib.world.trials import MAILS, NEVER, NUDGE, OFFER_DAY, Treated
from cxlib.world.truth import STAGE_OF, total
from cxlib.world.year import Year

MONEY = ("orders", "revenue", "margin")
METRICS = (*MONEY, "bought", "opted_out")
KEYS = {
    "experiments": ("experiment", "variant", "metric"),
    "experiments_by_kind": ("experiment", "variant", "metric", "kind"),
    "policy": ("experiment", "policy"),
    "adoption": ("measure",),
    "service_failure": ("measure",),
    "rollout": ("measure",),
    "loyalty_tier": ("measure",),
    "referral": ("measure",),
    "value": ("kind", "measure"),
    "kinds": ("kind",),
    "stages_by_kind": ("kind", "stage"),
    "channels_by_kind": ("kind", "channel"),
}
LAST_CONTACT, ORDER_DAYS = programme.day(10, 2), 90  # service failures: contacts up to that day
LAST_OFFER = int(OFFER_DAY.max())
UNIT_COST = np.array([t.unit_cost for t in c.TOUCHPOINTS])


def money(year: Year, begin: int | Ints, end: int | Ints) -> Array:
    """Orders, revenue and margin of each customer between two moments: (3, customers)."""
    n, event = len(year.who.kind), year.bought.event
    person, at = year.log.person[event], year.log.at[event]
    here = (at >= np.broadcast_to(begin, n)[person]) & (at < np.broadcast_to(end, n)[person])
    values = (np.ones(len(event)), year.bought.revenue, year.bought.margin)
    return np.stack([np.bincount(person[here], value[here], n) for value in values])


def tally(
    stratum: Ints, arm: Ints, values: Array, shape: tuple[int, int], weight: Array | None = None
) -> Array:
    """Sums of weights and of weighted values by stratum and arm (-1: left out): (1 + values, *shape)."""
    cell, here = stratum * shape[1] + arm, arm >= 0
    w = np.ones(len(arm)) if weight is None else weight
    weighted = (w * np.vstack([np.ones(len(arm)), values]))[:, here]
    sums = np.stack([np.bincount(cell[here], row, shape[0] * shape[1]) for row in weighted])
    return sums.astype(float).reshape(-1, *shape)


def standardised(sums: Array) -> Array:
    """Mean of each value in each arm, strata averaged by their whole weight: (values, arms)."""
    means = sums[1:] / np.maximum(sums[0], 1e-9)
    return np.average(means, axis=1, weights=sums[0].sum(1))


# What is counted in the world as it is.


def realised(kinds: int, year: Year) -> dict[str, Array]:
    """Value by kind, stages and channels, and the differences that nobody should take for effects."""
    who, log, n = year.who, year.log, len(year.who.kind)
    spent = money(year, -NEVER, NEVER)
    cost = np.bincount(log.person, UNIT_COST[log.touchpoint], n)
    values = np.vstack([spent, cost, spent[2] - cost])
    met = np.zeros((n, len(c.STAGES)), bool)
    met[log.person, STAGE_OF[log.touchpoint]] = True
    seen = np.where(met.any(1), 0, -1)
    channel = np.bincount(
        who.kind[log.person] * len(c.CHANNELS) + c.CHANNEL_OF[log.touchpoint],
        minlength=kinds * len(c.CHANNELS),
    )
    everybody, known = np.zeros(n, np.int64), who.joined < NUDGE.start
    linked = np.where(known, year.treated.linked < NUDGE.start * DAY, -1)
    after = money(year, NUDGE.start * DAY, (NUDGE.start + NUDGE.days) * DAY)
    person, failed, ordered, _ = first_contacts(year)
    return {
        "value": tally(who.kind, everybody, values, (kinds, 1)),
        "stages": tally(who.kind, seen, met.T.astype(float), (kinds, 1)),
        "channels": channel.reshape(kinds, -1).astype(float),
        "adoption": tally(everybody, linked, after[2:], (1, 2)),
        "loyalty_tier": tally(everybody, who.traits["loyalty_tier"], spent[2:], (1, 3)),
        "service_failure": tally(person * 0, failed, ordered[None], (1, 2)),
    }


def first_contacts(year: Year) -> tuple[Ints, Ints, Array, Array]:
    """Of each customer with a service contact up to 2 October, the first: customer, whether it was left
    unresolved, whether an order came within 90 days, and the known chance of the former."""
    log, bought = year.log, year.bought.event
    contacts = np.flatnonzero(draw.SERVICE[log.touchpoint] & (log.at < (LAST_CONTACT + 1) * DAY))
    person, where = np.unique(log.person[contacts], return_index=True)
    event = contacts[where]
    following = np.append(bought, len(log.at))[np.searchsorted(bought, event)]
    same = np.append(log.person, -1)[following] == person
    soon = np.append(log.at, NEVER)[following] <= log.at[event] + ORDER_DAYS * DAY
    failed = (log.outcome[event] == draw.UNRESOLVED).astype(np.int64)
    return person, failed, (same & soon).astype(float), draw.unresolved_chance(log.queue[event])


# What is counted in the fair world: arms that a coin decides.


def compared(kinds: int, year: Year) -> dict[str, Array]:
    """Experiments by kind and variant, the linked card by the nudge, failures weighted by their chance."""
    who, treated, out = year.who, year.treated, {}
    for e in EXPERIMENTS:
        begin, end = e.start * DAY, (e.start + e.days) * DAY
        spent = money(year, begin, end)
        metrics = np.vstack([spent, spent[0] > 0, treated.opted_out < end])
        out[e.name] = tally(who.kind, treated.variant[e.name], metrics, (kinds, len(e.variants)))
        if e is NUDGE:  # the effect on those whom it makes link: they would, in either arm
            complies = np.where(treated.nudged < year.gone, treated.variant[e.name], -1)
            out["adoption"] = tally(who.kind, complies, spent[2:], (kinds, 2))
    person, failed, ordered, chance = first_contacts(year)
    weight = 1 / np.where(failed == 1, chance, 1 - chance)
    out["service_failure"] = tally(who.kind[person], failed, ordered[None], (kinds, 2), weight)
    return out


# What is counted where we toss the coin ourselves, before the year begins.


def toss_tier_and_friend(who: People, treated: Treated, rng: np.random.Generator) -> tuple[People, Treated]:
    """Tier and referral whatever the kind and the activity."""
    n = len(who.kind)
    traits = who.traits | {"loyalty_tier": rng.integers(0, len(c.TIERS), n)}
    return replace(who, traits=traits, referred=rng.random(n) < 0.5), treated


def by_tier_and_friend(kinds: int, year: Year) -> dict[str, Array]:
    """Margin of the year by tier, and by referral."""
    margin = money(year, -NEVER, NEVER)[2:]
    kind, arms = year.who.kind, (year.who.traits["loyalty_tier"], year.who.referred.astype(np.int64))
    return {
        "loyalty_tier": tally(kind, arms[0], margin, (kinds, 3)),
        "referral": tally(kind, arms[1], margin, (kinds, 2)),
    }


def toss_offer(who: People, treated: Treated, rng: np.random.Generator) -> tuple[People, Treated]:
    """Half the customers are never offered the card; kept: who would take it."""
    offered, takes = rng.integers(0, 2, len(who.kind)), treated.linked < NUDGE.start * DAY
    kept = {"offer": offered, "takes": takes.astype(np.int64)}
    linked = np.where(offered == 1, treated.linked, NEVER)
    return who, replace(treated, linked=linked, variant=treated.variant | kept)


def by_offer(kinds: int, year: Year) -> dict[str, Array]:
    """Margin a customer and 30 days, of customers known on their region's day: from that day until the last
    region has the offer too (so that region is left out), and in the first 30 days alone. Nothing changes
    for those who would not take it: they count, but their margin, which is nothing but noise, does not."""
    who, region = year.who, year.who.traits["region"]
    offer = OFFER_DAY[region]
    arm = np.where((who.joined < offer) & (offer < LAST_OFFER), year.treated.variant["offer"], -1)
    stratum, shape = region * kinds + who.kind, (len(c.REGIONS) * kinds, 2)
    out = {}
    for measure, days in (("effect", LAST_OFFER - offer), ("first_30_days", np.full(len(offer), 30))):
        months = np.maximum(days, 1) / 30
        margin = year.treated.variant["takes"] * money(year, offer * DAY, (offer + days) * DAY)[2:] / months
        out[measure] = tally(stratum, arm, margin, shape, months)
    return out


# From counts to truths.


def listed(result: str, values: npt.ArrayLike, **keys: Sequence[str]) -> pd.DataFrame:
    """An array with named axes as rows: `result`, one column an axis, `truth`."""
    index = pd.MultiIndex.from_product(list(keys.values()), names=list(keys))
    return pd.DataFrame({"result": result, "truth": np.ravel(values)}, index=index).reset_index()


def of_experiment(e: Experiment, sums: Array, boosts: Array, kinds: list[str]) -> list[pd.DataFrame]:
    """Effects against the control, for everybody and by kind (to the last digit 0 where nothing is tried),
    and what three policies earn."""
    pooled, own = standardised(sums), sums[1:] / np.maximum(sums[0], 1)
    counted = slice(None if e is MAILS else -1)
    keys = {"experiment": [e.name], "metric": METRICS[counted]}
    tried = float(e.name not in programme.NULL)
    gain, own_gain = (tried * (x[counted, ..., 1:] - x[counted, ..., :1]) for x in (pooled, own))
    out = [
        listed("experiments", gain, **keys, variant=e.variants[1:]),
        listed("experiments_by_kind", own_gain, **keys, kind=kinds, variant=e.variants[1:]),
    ]
    if (boosts != 1).any():
        margin, best = METRICS.index("margin"), boosts.argmax(1)  # the best variant of a kind is planted
        personal = np.average(own[margin, np.arange(len(kinds)), best], weights=sums[0].sum(1))
        earned = (pooled[margin, 0], pooled[margin, np.unique(best)].max(), personal)
        out.append(
            listed("policy", earned, experiment=[e.name], policy=("control", "best_single", "personal"))
        )
    return out


def of_kinds(counted: dict[str, Array], share: Array, kinds: list[str]) -> list[pd.DataFrame]:
    """Shares, value, stages and channels by kind."""
    spent, stages = counted["value"][..., 0], counted["stages"][..., 0]
    spent = np.column_stack([spent.sum(1), spent])
    channels = counted["channels"] / np.maximum(counted["channels"].sum(1, keepdims=True), 1)
    measures = (*MONEY, "contact_cost", "net")
    return [
        listed("kinds", share, kind=kinds),
        listed("value", spent[1:] / spent[0], measure=measures, kind=("(all)", *kinds)),
        listed("stages_by_kind", stages[1:] / np.maximum(stages[0], 1), stage=c.STAGES, kind=kinds),
        listed("channels_by_kind", channels, kind=kinds, channel=c.CHANNELS),
    ]


def of_world(world: str, customers: int, seed: int) -> list[pd.DataFrame]:
    """All rows of a named world; the continuum, which has no kinds to personalise for, gets what is realised."""
    firm, fair = c.company(world), c.company(world, fair=True)
    kinds, size = [k.name for k in firm.kinds], len(firm.kinds)
    as_is = total(partial(realised, size), firm, customers, seed)
    out = of_kinds(as_is, firm.share, kinds)
    if world == "continuum":
        return out
    arms = total(partial(compared, size), fair, customers, seed + 1)
    arms |= total(partial(by_tier_and_friend, size), fair, customers, seed + 2, change=toss_tier_and_friend)
    arms |= total(partial(by_offer, size), fair, 2 * customers, seed + 3, change=toss_offer)  # the smallest

    def against(sums: Array) -> float:
        """The last arm against the first."""
        mean = standardised(sums)[0]
        return float(mean[-1] - mean[0])

    for e in EXPERIMENTS:
        out += of_experiment(e, arms[e.name], fair.boosts[e.name], kinds)
    adopters = {"adopters": arms["adoption"][0].sum() / arms[NUDGE.name][0].sum()}
    for result in ("adoption", "service_failure", "loyalty_tier"):
        both = {"naive": against(as_is[result]), "effect": against(arms[result])}
        both |= adopters if result == "adoption" else {}
        out.append(listed(result, list(both.values()), measure=list(both)))
    out.append(listed("referral", against(arms["referral"]), measure=["effect"]))
    rollout = {m: against(arms[m]) for m in ("effect", "first_30_days")}
    return [*out, listed("rollout", list(rollout.values()), measure=list(rollout))]


def compute(world: str, customers: int = 2_000_000, seed: int = 100) -> pd.DataFrame:
    """One long frame: `result`, the union of the keys, `truth`."""
    keys = list(dict.fromkeys(key for names in KEYS.values() for key in names))
    whole = pd.concat(of_world(world, customers, seed), ignore_index=True)
    return whole.reindex(columns=["result", *keys, "truth"])


def freeze(folder: str | Path, customers: int = 2_000_000) -> None:
    """Compute and keep all truth of every world: `<folder>/<world>.parquet`."""
    Path(folder).mkdir(parents=True, exist_ok=True)
    for world in c.WORLDS:
        frame = pd.concat([truth.compute(world), compute(world, customers)], ignore_index=True)
        frame["truth"] = frame.pop("truth")  # last
        frame.to_parquet(Path(folder) / f"{world}.parquet", compression="zstd", index=False)
