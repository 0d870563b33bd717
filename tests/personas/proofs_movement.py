"""Draws for the coverage harness: customers who change persona, some or none, and personas that do not."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from cxlib.customers.blocks import Choices
from cxlib.personas import Features, Personas, drift, movement
from cxlib.personas.mixture import Mixture

LABELS = ("app", "store", "call")
SIZES = np.array([0.5, 0.3, 0.2])
TASTE = np.array([[4.0, 1, 1, 1, 1, 1], [1, 4, 2, 1, 1, 1], [1, 1, 1, 3, 2, 1]])
USUAL = np.array([[0.3, 0.2, 0.1, 0.1, 0.1, 0.2], [0.1, 0.1, 0.2, 0.2, 0.3, 0.1]])
FITTED = Mixture(SIZES, ((TASTE, USUAL),), 0.0, 800, 0)


def chosen(
    rng: np.random.Generator, kind: np.ndarray, taste: np.ndarray = TASTE, each: float = 7
) -> Features:
    """One and more choices of each customer, drawn as the personas would choose them."""
    row = np.repeat(np.arange(len(kind)), 1 + rng.poisson(each, len(kind)))
    context = rng.integers(0, 2, len(row))
    chance = USUAL[context] * taste[kind[row]]
    chance = (chance / chance.sum(axis=1, keepdims=True)).cumsum(axis=1)
    option = (rng.random(len(row))[:, None] >= chance[:, :-1]).sum(axis=1)
    block = Choices(
        "steps",
        "",
        ("c0", "c1"),
        tuple("uvwxyz"),
        len(kind),
        row,
        context,
        option,
        np.ones(len(row)),
        row % 2,
    )
    persons = np.array([f"c{i:05d}" for i in range(len(kind))], dtype=object)
    return Features(persons, (block,), pd.DataFrame({"person": persons}))


def known(given: Features) -> Personas:
    """Personas as if they had been fitted perfectly."""
    own = pd.DataFrame(FITTED.posterior(given.blocks), columns=list(LABELS))
    own.insert(0, "person", given.persons)
    found: Any = None
    return Personas(LABELS, own, given, FITTED, found)


def years(
    rng: np.random.Generator, share: float, to: np.ndarray = SIZES, each: float = 7, customers: int = 800
) -> tuple[dict[str, Features], np.ndarray, np.ndarray]:
    """Two years, between which the `share` of each persona moves to the others in proportion to `to`."""
    kind = rng.choice(3, customers, p=SIZES)
    odds = np.tile(to, (3, 1)) * (1 - np.eye(3))
    other = (rng.random(customers)[:, None] >= (odds / odds.sum(1, keepdims=True)).cumsum(1)[kind]).sum(1)
    later = np.where(rng.random(customers) < share, other, kind)
    return {"2024": chosen(rng, kind, each=each), "2025": chosen(rng, later, each=each)}, kind, later


def movement_draw(seed: int) -> pd.DataFrame:
    """800 customers in two years: nobody, one in ten or three in ten change persona."""
    rng = np.random.default_rng(seed)
    parts = []
    cases = (
        ("nobody moves", 0.0, SIZES, 15),
        ("one in ten", 0.1, SIZES, 15),
        ("three in ten", 0.3, SIZES, 15),
        ("three in ten, to all alike", 0.3, np.ones(3), 15),
        ("nobody, of few choices", 0.0, SIZES, 7),
        ("three in ten, of few choices", 0.3, SIZES, 7),
    )
    for name, share, to, each in cases:
        given, _, _ = years(rng, share, to, each)
        table = movement(known(given["2024"]), given).table().assign(truth=share, result=name)
        parts.append(table)
        se = np.sqrt(table["naive"] * (1 - table["naive"]) / table["customers"])
        ends = {"low": table["naive"] - 1.96 * se, "high": table["naive"] + 1.96 * se}
        parts.append(table.assign(estimate=table["naive"], result=f"{name}, as assigned", **ends))
    found = pd.concat(parts).assign(expected=lambda t: t["customers"].astype(float))
    return found[["result", "persona", "estimate", "low", "high", "truth", "expected"]]


def drift_draw(seed: int) -> pd.DataFrame:
    """800 customers in two years, the personas unchanged: each taste's ratio is 1. And is anything called a drift?"""
    given, _, _ = years(np.random.default_rng(seed), 0.1)
    found = drift(known(given["2024"]), given)
    table = found.table().assign(truth=1.0, result="tastes", expected=100.0)
    alarm = float((table["q"] < 0.05).any())
    # An interval that holds the truth (none) unless there was an alarm: coverage is 1 less false alarms.
    none = {"estimate": alarm, "low": alarm, "high": 1.0, "truth": 0.0, "feature": ""}
    sizes = found.sizes.assign(result="sizes", feature="", expected=100.0)
    sizes["truth"] = sizes["persona"].map(dict(zip(LABELS, SIZES, strict=True)))
    both = pd.concat(
        [table, sizes, table.head(1).assign(result="no false alarm", period="", persona="", **none)]
    )
    keys = ["result", "period", "persona", "feature"]
    return both[[*keys, "estimate", "low", "high", "truth", "expected"]]


CLOSED = (0.92, 0.97)
CLAIMS = (
    (
        "movement",
        "How many of 800 customers of three personas changed persona between two years in which each was seen "
        "choosing about 16 times (few: 8); and how many were assigned to another one. To all alike: who moves goes "
        "everywhere alike, which the method does not expect.",
        movement_draw,
        {"nobody moves": (0.95, 1.0), "one in ten": CLOSED, "three in ten": CLOSED},
        ("cxlib/stats", "cxlib/customers", "cxlib/personas", "tests/personas/proofs_movement.py"),
        2000,
        40,
        100,
    ),
    (
        "drift",
        "Tastes and sizes of three personas that do not change, among 800 customers in each of two years; and how "
        "often any taste is called changed.",
        drift_draw,
        {"no false alarm": (0.95, 1.0), "sizes": CLOSED},
        ("cxlib/stats", "cxlib/customers", "cxlib/personas", "tests/personas/proofs_movement.py"),
        2000,
        60,
        100,
    ),
)
