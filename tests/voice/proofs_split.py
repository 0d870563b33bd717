"""Draws for the coverage harness: why a score moved, and what goes with it, in worlds of which it is known.

Truth comes from the world's own parameters, by replacing its factors in each of the six orders in turn.
"""

from __future__ import annotations

from itertools import permutations
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.linalg import sqrtm
from scipy.stats import norm

from cxlib import stats
from cxlib.voice.drivers import _told, moments
from cxlib.voice.split import MET, PARTS, RATED, WHO, Split, split_frame

GROUPS, PLACES = ("basic", "gold", "silver"), ("app", "call", "chat", "store", "web")
CAUSES = (RATED, MET, WHO)
ALL = "all three"
FELL = "store"
SPREAD = np.hypot(1.0, 1.5)  # of moods between customers, and of one customer's answers


class World(NamedTuple):
    """Two periods: shares of groups (2, g), of touchpoints within them (2, g, t), and mean latent ratings."""

    who: np.ndarray
    mix: np.ndarray
    rated: np.ndarray

    def scores(self) -> np.ndarray:
        """The net promoter score that each cell's answers have in the long run, in points."""
        return 100 * (norm.sf((8.5 - self.rated) / SPREAD) - norm.cdf((6.5 - self.rated) / SPREAD))

    def truth(self) -> dict[tuple[str, str], float]:
        """What each factor adds to the change, and each touchpoint's rating, over the six orders."""
        factors = (self.who[:, :, None] * np.ones((1, 1, len(PLACES))), self.mix, self.scores())
        added = np.zeros((3, len(GROUPS), len(PLACES)))
        for order in permutations(range(3)):
            at = [0, 0, 0]
            for factor in order:
                was = np.prod([f[p] for f, p in zip(factors, at, strict=True)], axis=0)
                at[factor] = 1
                added[factor] += (np.prod([f[p] for f, p in zip(factors, at, strict=True)], axis=0) - was) / 6
        parts = {(part, "(all)"): float(one.sum()) for part, one in zip(PARTS, added, strict=True)}
        return parts | {(RATED, place): float(added[2, :, i].sum()) for i, place in enumerate(PLACES)}


def planted(cause: str) -> World:
    """A world in which one cause moves the score, by 11 to 13 points down."""
    who = np.tile([0.5, 0.2, 0.3], (2, 1))
    mix = np.array(
        [[0.15, 0.15, 0.15, 0.25, 0.30], [0.30, 0.10, 0.10, 0.30, 0.20], [0.2, 0.1, 0.2, 0.2, 0.3]]
    )
    rated = 8.3 + np.array([-0.9, 0.9, 0.0])[:, None] + np.array([0.2, -1.6, -0.6, 0.8, 0.2])
    mixes, ratings = np.tile(mix, (2, 1, 1)), np.tile(rated, (2, 1, 1))
    if cause in (RATED, ALL):
        ratings[1, :, PLACES.index(FELL)] -= 1.6
    if cause in (MET, ALL):
        mixes[1] *= np.where(np.array(PLACES) == "call", 3.1, 1.0)
        mixes[1] /= mixes[1].sum(axis=1, keepdims=True)
    if cause in (WHO, ALL):
        who[1] = [0.76, 0.08, 0.16]
    return World(who, mixes, ratings)


def answers(world: World, seed: int, customers: int = 1000) -> pd.DataFrame:
    """Answers from 0 to 10 as -100, 0 and 100: who is in both periods has one mood in both."""
    rng = np.random.default_rng(seed)
    group = rng.choice(len(GROUPS), customers, p=world.who.mean(axis=0))
    mood, rows = rng.normal(0, 1, customers), []
    for period in (0, 1):
        often = 1.2 * world.who[period] / world.who.mean(axis=0)
        person = np.repeat(np.arange(customers), rng.poisson(often[group]))
        place = (rng.random((len(person), 1)) > world.mix[period][group[person]].cumsum(axis=1)[:, :-1]).sum(
            axis=1
        )
        latent = world.rated[period][group[person], place] + mood[person] + rng.normal(0, 1.5, len(person))
        score = np.clip(np.round(latent), 0, 10)
        value = 100.0 * ((score >= 9).astype(int) - (score <= 6).astype(int))
        rows.append(
            pd.DataFrame(
                {
                    "period": period,
                    "group": np.take(GROUPS, group[person]),
                    "touchpoint": np.take(PLACES, place),
                    "value": value,
                    "person": [f"c{seed}-{one}" for one in person],
                }
            )
        )
    return pd.concat(rows, ignore_index=True)


def cause_of(seed: int) -> str:
    """Which cause the world of this seed has planted."""
    return CAUSES[seed % 3]


def finds(found: Split, cause: str) -> bool:
    """Whether the split names the planted cause: the largest part, its interval off zero, the right place."""
    parts = found.parts()
    top = parts.loc[parts["estimate"].abs().idxmax()]
    right = top["part"] == cause and (top["low"] > 0 or top["high"] < 0)
    if right and cause == RATED:
        details = found.table().query("part == @RATED and detail != '(all)'")
        worst = details.loc[details["estimate"].abs().idxmax()]
        right = worst["detail"] == FELL and worst["high"] < 0
    return bool(right)


def split_draw(seed: int, customers: int = 1000) -> pd.DataFrame:
    """The parts of a change and each touchpoint's rating, with each cause planted, and with all three."""
    cells = []
    for cause in (*CAUSES, ALL):
        world = planted(cause)
        truth = pd.Series(world.truth(), name="truth").rename_axis(["part", "detail"]).reset_index()
        table = split_frame(answers(world, seed, customers)).table()
        one = table.merge(truth, on=["part", "detail"], validate="one_to_one")
        one["result"] = np.where(one["detail"] == "(all)", "parts", "ratings")
        one["cell"] = cause + ": " + one["part"] + " " + one["detail"]
        cells.append(
            one[["result", "cell", "estimate", "low", "high", "truth"]].assign(expected=one["n"] / 2)
        )
    return pd.concat(cells, ignore_index=True)


LOADINGS = np.array([0.9, 0.8, 0.7, 0.6, 0.5])
ADDS = np.array([0.5, 0.3, 0.2, 0.0, 0.1])


def drivers_draw(seed: int, responses: int = 600) -> pd.DataFrame:
    """Relative weights and R2 of five items that go together, each rated by six in ten; two responses a customer."""
    rng = np.random.default_rng(seed)
    person = np.repeat(np.arange(responses // 2), 2)
    # Half of what is common is the customer's own and the same in both responses.
    common = (rng.normal(size=responses // 2)[person] + rng.normal(size=responses)) / np.sqrt(2)
    items = LOADINGS * common[:, None] + np.sqrt(1 - LOADINGS**2) * rng.normal(size=(responses, 5))
    whole = items @ ADDS + rng.normal(size=responses)
    items[rng.random(items.shape) < 0.4] = np.nan
    x = np.column_stack([whole, items])
    found = stats.jackknife(moments(x, np.ones(responses), stats.folds_of(person)), _told)
    between = np.outer(LOADINGS, LOADINGS) * (1 - np.eye(5)) + np.eye(5)
    cover = between @ ADDS
    r = cover / np.sqrt(ADDS @ cover + 1)
    root = np.real(sqrtm(between))
    truth = root**2 @ np.linalg.solve(root, r) ** 2
    cells = pd.DataFrame({"result": ["weights"] * 5 + ["R2"], "cell": [*"abcde", "all"]})
    for name in ("estimate", "low", "high"):
        cells[name] = getattr(found, name)[[0, 1, 2, 3, 4, -1]]
    return cells.assign(truth=[*truth, truth.sum()], expected=0.6 * responses)


CLAIMS = (
    (
        "split",
        "Why a score moved: three parts and each touchpoint's rating, of 1,000 customers who answer about 1.2 "
        "times in each of two periods, where one of three causes is planted, or all three.",
        split_draw,
        {"parts": (0.92, 0.97), "ratings": (0.92, 0.97)},
        ("cxlib/stats", "cxlib/voice/split.py", "tests/voice/proofs_split.py"),
        2000,
        40,
        100,
    ),
    (
        "drivers",
        "How much of a whole goes with each of five items (Johnson's relative weights) and with all, of 600 "
        "responses by 300 customers, each item rated in six of ten.",
        drivers_draw,
        {"weights": (0.92, 0.97), "R2": (0.92, 0.97)},
        ("cxlib/stats", "cxlib/voice/drivers.py", "tests/voice/proofs_split.py"),
        2000,
        150,
        100,
    ),
)
"""Proofs as `tests.proof` registers them: name, says, draw, bands, code, worlds, few, chunk."""
