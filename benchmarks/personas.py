"""Chapter 2 on simulated companies whose kinds are known: are they found again, and are the probabilities right?

    python benchmarks/personas.py [--customers 20000] [--seeds 20] [--worlds demo one_kind continuum]

A line a world: the number of kinds found, the verdict and, where kinds are planted, the adjusted Rand index (ARI) of
the likeliest persona against the true kind. Beside it stand two that know more:

- labelled: the same mixture on the same features, its parameters taken from 250,000 other customers whose kinds
  are known. What is lost against it is lost by not knowing the kinds.
- posterior: the exact one, which knows every number of the company and sees the clean tables with true ids.

Then how often the right verdict was given, mean ARIs, and whether the stated probabilities hold: of the customers
said to belong to a persona with probability p, a share p should. Seeds follow CXLIB_SEED.
"""

from __future__ import annotations

import argparse
import os
import pickle
import time
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.optimize import linear_sum_assignment
from sklearn.metrics import adjusted_rand_score

import cxlib as cx
from cxlib.customers.blocks import Answers, Block, Choices, Values, aligned
from cxlib.personas.mixture import Mixture
from cxlib.world import posterior, simulate

RIGHT = {"demo": ("kinds", 5), "one_kind": ("one kind", 1), "continuum": ("degrees", None)}
CHUNK, ELSEWHERE = 25_000, 1_000_000  # labelled customers at a time, and where their seeds begin
BINS, ENOUGH = (
    np.linspace(0, 1, 11),
    500,
)  # of stated probability; pairs of customer and persona that fill a bin
PACKAGE = Path(cx.__file__).parent
MADE_BY = (
    "customers/blocks",
    "customers/features",
    "customers/sources",
    "customers/visits",
    "world/company",
    "world/kinds",
)


def kinds_in(drawn: Any, persons: np.ndarray) -> np.ndarray:
    """The true kind of each person, as a position among the kinds' names."""
    kind = drawn.who.set_index("customer_id")["kind"]
    return np.unique(kind, return_inverse=True)[1][kind.index.get_indexer(persons)]


def pooled(blocks: list[Choices], kinds: list[np.ndarray]) -> Choices:
    """Everybody's choices as those of one customer a kind, which is all that the M-step asks."""
    parts = []
    for block, kind in zip(blocks, kinds, strict=True):
        names = {
            "context": np.array(block.contexts)[block.context],
            "option": np.array(block.options)[block.option],
        }
        cells = pd.DataFrame({"kind": kind[block.row], **names, "count": block.count})
        parts.append(cells.groupby(["kind", "context", "option"], as_index=False).sum())
    cells = pd.concat(parts).groupby(["kind", "context", "option"], as_index=False).sum()
    (context, contexts), (option, options) = (pd.factorize(cells[name]) for name in ("context", "option"))
    size, part = int(cells["kind"].max()) + 1, np.zeros(len(cells), int)
    row, count = cells["kind"].to_numpy(), cells["count"].to_numpy()
    return Choices(
        blocks[0].name, "", tuple(contexts), tuple(options), size, row, context, option, count, part
    )


def joined(blocks: list[Any]) -> Block:
    """Answers or values of all customers together."""
    first = blocks[0]
    if isinstance(first, Values):
        return Values(
            first.name,
            "",
            *(np.concatenate([getattr(b, of) for b in blocks]) for of in ("n", "total", "squares")),
        )
    options = tuple(sorted({option for block in blocks for option in block.options}))
    empty = Answers(first.name, "", options, np.zeros(0, int))
    return Answers(first.name, "", options, np.concatenate([aligned(block, empty).code for block in blocks]))


def labelled(customers: int, base: int, cache: Path) -> tuple[list[Block], Mixture]:
    """The mixture's parameters where the kinds are known, and blocks that name their options."""
    code = blake2b(
        b"".join((PACKAGE / f"{name}.py").read_bytes() for name in MADE_BY), digest_size=6
    ).hexdigest()
    path = cache / f"labelled-{customers}-{base}-{code}.pickle"
    if path.exists():
        return pickle.loads(path.read_bytes())
    seen: dict[str, list[Any]] = {}
    kinds = []
    for i in range(-(-customers // CHUNK)):
        drawn = simulate(min(CHUNK, customers), ELSEWHERE + base + i)
        features = cx.personas.features(cx.open_study(drawn.tables))
        kinds.append(kinds_in(drawn, features.persons))
        for block in features.blocks:
            seen.setdefault(block.name, []).append(block)
    everybody = np.eye(int(kinds[0].max()) + 1)[np.concatenate(kinds)]
    blocks, params = [], []
    for given in seen.values():
        choices = isinstance(given[0], Choices)
        block = pooled(given, kinds) if choices else joined(given)
        weights = np.eye(everybody.shape[1]) if choices else everybody
        fitted = block.start(everybody.shape[1])
        for _ in range(2000):
            before, fitted = fitted, block.fit(weights, fitted)
            if max(np.abs(a - b).max() for a, b in zip(before, fitted, strict=True)) < 1e-7:
                break
        blocks.append(block)
        params.append(fitted)
    found = blocks, Mixture(everybody.mean(axis=0), tuple(params), 0.0, len(everybody), 0)
    cache.mkdir(parents=True, exist_ok=True)
    path.write_bytes(pickle.dumps(found))
    return found


def known(found: tuple[list[Block], Mixture], blocks: tuple[Block, ...]) -> np.ndarray:
    """What the labelled mixture says of these customers: (persons, kinds)."""
    given = {block.name: block for block in blocks}
    return found[1].posterior([aligned(given[block.name], block) for block in found[0]])


def calibration(stated: np.ndarray, kind: np.ndarray) -> np.ndarray:
    """(3, bins): pairs of customer and persona, of stated probability and truly so, personas matched to kinds."""
    _, match = linear_sum_assignment(stated.T @ np.eye(stated.shape[1])[kind], maximize=True)
    place = np.minimum(np.digitize(stated.ravel(), BINS) - 1, len(BINS) - 2)
    truly = (match[None, :] == kind[:, None]).ravel()
    return np.array(
        [np.bincount(place, of, len(BINS) - 1) for of in (np.ones(len(place)), stated.ravel(), truly)]
    )


def off(cells: np.ndarray) -> str:
    """The largest gap between stated and true shares, and the mean one."""
    n, stated, truly = cells
    gap = (truly - stated) / np.maximum(n, 1)
    return f"largest gap {np.abs(gap[n >= ENOUGH]).max():.3f}, mean {(n * np.abs(gap)).sum() / n.sum():.4f}"


def one(world: str, customers: int, seed: int, best: tuple[list[Block], Mixture] | None) -> dict[str, Any]:
    """What one world showed."""
    drawn = simulate(customers, seed, world)
    study = cx.open_study(drawn.tables)
    begun = time.process_time()
    features = cx.personas.features(study)
    counted = time.process_time()
    personas = cx.personas.fit(features)
    fitted = time.process_time()
    found: dict[str, Any] = {"k": personas.k, "verdict": personas.evidence().verdict}
    said = f"{world} {customers:,} seed {seed}: {found['k']} kinds, {found['verdict']}"
    if best is not None:
        kind = kinds_in(drawn, personas.features.persons)
        exact = posterior(drawn).set_index("customer_id").reindex(personas.features.persons).to_numpy()
        stated = {
            "ours": personas.memberships.iloc[:, 1:].to_numpy(),
            "labelled": known(best, features.blocks),
        }
        for name, p in (*stated.items(), ("posterior", exact)):
            found[name] = adjusted_rand_score(kind, p.argmax(axis=1))
            said += f"; {name} {found[name]:.3f}"
        for name, p in stated.items():
            if p.shape[1] == exact.shape[1]:
                found[f"{name} cells"] = calibration(p, kind)
                said += f"; {name} probabilities: {off(found[f'{name} cells'])}"
    print(f"{said}; features {counted - begun:.1f} + fit {fitted - counted:.1f} CPU-s", flush=True)
    return found


def told(world: str, seen: list[dict[str, Any]]) -> str:
    """All seeds of a world together."""
    verdict, k = RIGHT[world]
    right = sum(one["verdict"] == verdict and k in (None, one["k"]) for one in seen)
    lines = [f"{world}: right in {right} of {len(seen)}"]
    if "ours" in seen[0]:
        ours, other, exact = (
            np.mean([one[name] for one in seen]) for name in ("ours", "labelled", "posterior")
        )
        lines.append(
            f"  mean ARI {ours:.3f}; labelled {other:.3f} ({ours / other:.2f}); posterior {exact:.3f} ({ours / exact:.2f})"
        )
        for name in ("ours", "labelled"):
            cells = [one[f"{name} cells"] for one in seen if f"{name} cells" in one]
            if cells:
                n, stated, truly = total = np.sum(cells, axis=0)
                lines.append(f"  {name}, {len(cells)} worlds together: {off(total)}")
                lines += [
                    f"    said {s / c:.3f}, are {t / c:.3f} of {c:,.0f}"
                    for c, s, t in zip(n, stated, truly, strict=True)
                    if c
                ]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--customers", type=int, default=20_000)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--labelled", type=int, default=250_000)
    parser.add_argument("--base", type=int, default=int(os.environ.get("CXLIB_SEED", "0")))
    parser.add_argument("--worlds", nargs="+", default=list(RIGHT), choices=list(RIGHT))
    parser.add_argument("--cache", type=Path, default=Path(".proof"))
    given = parser.parse_args()
    for world in given.worlds:
        best = labelled(given.labelled, given.base, given.cache) if world == "demo" else None
        seeds = range(given.base, given.base + given.seeds)
        print(told(world, [one(world, given.customers, seed, best) for seed in seeds]), flush=True)


if __name__ == "__main__":
    main()
