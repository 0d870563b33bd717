"""The population value of each named result, counted in a large clean world with numpy alone.

This is an implementation of its own: it shares no code with the rooms whose estimates it scores.
Counts of parts add up, so 250,000 customers (50 times the demo) are counted part by part.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd

from cxlib.world import company as c
from cxlib.world.company import Array, Ints
from cxlib.world.year import Change, Year, draw_year

STEPS = 10
END_NAME = "(end)"
DIRECT = "(direct)"
STAGE_OF = np.array([c.STAGES.index(t.stage) for t in c.TOUCHPOINTS])
BOUGHT = np.isin(c.NAMES, c.CONVERSION)
KEYS = {
    "transitions": ("source", "target"),
    "steps": ("step", "touchpoint"),
    "switches": ("source", "target"),
    "funnel": ("step", "name"),
    "markov": ("channel",),
    "nps": ("touchpoint",),
}
# States of the attribution chain, after the channels.
N = len(c.CHANNELS)
DIRECT_STATE, START_STATE, WON, NULL = N, N + 1, N + 2, N + 3


def counts(year: Year) -> dict[str, Array]:
    """Additive counts of one part: the numerators and denominators of every result."""
    log, answers = year.log, year.answers
    tp, channel = log.touchpoint, c.CHANNEL_OF[log.touchpoint]
    follows = np.append(log.person[1:] == log.person[:-1], False)[: len(tp)]  # the person has a next event
    first = np.append(True, ~follows[:-1])[: len(tp)]
    person = first.cumsum() - 1
    following = np.where(follows, np.append(tp[1:], 0)[: len(tp)], c.END)
    pairs = np.flatnonzero(follows)
    step = np.arange(len(tp)) - np.flatnonzero(first)[person]
    early = step < STEPS
    nps = answers.question == c.QUESTIONS.index("nps")
    vote = np.digitize(answers.answer[nps], [7, 9])  # detractor, passive, promoter
    return {
        "persons": np.array([float(first.sum())]),
        "transitions": _table(tp, following, (c.END, c.END + 1)),
        "steps": _table(step[early], tp[early], (STEPS, c.END)),
        "switches": _table(channel[pairs], channel[pairs + 1], (N, N)),
        "funnel": _funnel(person, STAGE_OF[tp], int(first.sum())),
        "chain": _chain(channel, BOUGHT[tp], first, ~follows),
        "nps": _table(tp[answers.event[nps]], vote, (c.END, 3)),
    }


def _table(row: Ints, column: Ints, shape: tuple[int, int]) -> Array:
    return np.bincount(row * shape[1] + column, minlength=shape[0] * shape[1]).reshape(shape).astype(float)


def _funnel(person: Ints, stage: Ints, persons: int) -> Array:
    """Persons who reach each stage after the earliest match of the one before."""
    reached = np.full(persons, -1)  # event of the earliest match so far
    alive = np.ones(persons, bool)
    totals = []
    for k in range(len(c.STAGES)):
        hits = np.flatnonzero(stage == k)
        hits = hits[alive[person[hits]] & (hits > reached[person[hits]])]
        who, where = np.unique(person[hits], return_index=True)
        alive = np.zeros(persons, bool)
        alive[who] = True
        reached[who] = hits[where]
        totals.append(float(len(who)))
    return np.array(totals)


def _chain(channel: Ints, bought: np.ndarray, first: np.ndarray, last: np.ndarray) -> Array:
    """Steps between the states of the attribution chain: (12, 12)."""
    begins = first | np.append(False, bought[:-1])[: len(first)]  # of a path
    source = np.where(begins, START_STATE, np.append(0, channel[:-1])[: len(first)])
    target = np.where(bought, WON, channel)
    direct = begins & bought
    size = NULL + 1
    chain = _table(source[~direct], target[~direct], (size, size))
    chain[START_STATE, DIRECT_STATE] += direct.sum()
    chain[DIRECT_STATE, WON] += direct.sum()
    dropped = last & ~bought
    return chain + _table(channel[dropped], np.full(int(dropped.sum()), NULL), (size, size))


def _conversion(chain: Array, removed: int | None = None) -> float:
    """Chance to convert from the start, by solving the absorbing chain."""
    states = [s for s in range(START_STATE + 1) if s != removed and chain[s].sum() > 0]
    p = chain[states] / chain[states].sum(1, keepdims=True)
    solved = np.linalg.solve(np.eye(len(states)) - p[:, states], p[:, WON])
    return float(solved[states.index(START_STATE)])


def results(total: dict[str, Array]) -> pd.DataFrame:
    """One long frame: `result`, the union of the keys, `truth`."""
    rows: list[dict[str, object]] = []

    def add(result: str, truth: float, **keys: object) -> None:
        rows.append({"result": result, **keys, "truth": float(truth)})

    names = (*c.NAMES, END_NAME)
    shares = total["transitions"] / np.maximum(total["transitions"].sum(1, keepdims=True), 1)
    for i, j in zip(*np.nonzero(shares), strict=True):
        add("transitions", shares[i, j], source=names[i], target=names[j])
    at = np.column_stack([total["steps"], total["persons"] - total["steps"].sum(1)]) / total["persons"]
    for i, j in zip(*np.nonzero(at), strict=True):
        add("steps", at[i, j], step=i + 1, touchpoint=names[j])
    switches = total["switches"] / np.maximum(total["switches"].sum(1, keepdims=True), 1)
    for i, j in zip(*np.nonzero(switches), strict=True):
        add("switches", switches[i, j], source=c.CHANNELS[i], target=c.CHANNELS[j])
    for k, stage in enumerate(c.STAGES):
        add("funnel", total["funnel"][k] / total["funnel"][0], step=k + 1, name=stage)
    chain, states = total["chain"], (*c.CHANNELS, DIRECT)
    base = _conversion(chain)
    for s, name in enumerate(states):
        if chain[s].sum() > 0:
            add("markov", 1 - _conversion(chain, removed=s) / base, channel=name)
    votes = total["nps"]
    for name, vote in (("(all)", votes.sum(0)), *zip(c.NAMES, votes, strict=True)):
        if vote.sum() > 0:
            add("nps", 100 * (vote[2] - vote[0]) / vote.sum(), touchpoint=name)
    keys = list(dict.fromkeys(key for names in KEYS.values() for key in names))
    return pd.DataFrame(rows, columns=["result", *keys, "truth"]).astype({"step": "Int64"})


def total(
    count: Callable[[Year], dict[str, Array]],
    firm: c.Company,
    customers: int,
    seed: int,
    everybody: bool = False,
    change: Change | None = None,
    chunk: int = 25_000,
) -> dict[str, Array]:
    """Additive counts of a large clean world, drawn part by part."""
    totals: dict[str, Array] = {}
    for part in range(-(-customers // chunk)):
        rng = np.random.default_rng([seed, part])
        year = draw_year(firm, min(chunk, customers - part * chunk), [rng] * 5, rng, everybody, change)
        for name, value in count(year).items():
            totals[name] = totals.get(name, 0.0) + value
    return totals


def compute(world: str, customers: int = 250_000, seed: int = 1) -> pd.DataFrame:
    """The truth of a named world by counting a large clean one in which everybody answers."""
    return results(total(counts, c.company(world), customers, seed, everybody=True))
