"""Chapter 2 on simulated companies whose kinds are known: are they found again, and what does it cost?

    python benchmarks/personas.py [--customers 20000] [--seeds 3] [--worlds demo one_kind] [--base 0]

A line a world: the number of kinds found; the adjusted Rand index of the likeliest persona against the true kind,
beside that of the exact posterior, which knows every number of the company and sees the clean tables with true ids
(nothing can do better); CPU seconds of features and fit.
"""

from __future__ import annotations

import argparse
import time

from sklearn.metrics import adjusted_rand_score

import cxlib as cx
from cxlib.world import posterior, simulate


def line(world: str, customers: int, seed: int) -> str:
    """What one world showed."""
    drawn = simulate(customers, seed, world)
    study = cx.open_study(drawn.tables)
    begun = time.process_time()
    features = cx.personas.features(study)
    counted = time.process_time()
    personas = cx.personas.fit(features)
    fitted = time.process_time()
    said = f"{world} {customers:,} seed {seed}: {personas.k} kinds, {personas.evidence().verdict}"
    if drawn.who["kind"].nunique() > 1 and world != "broken":
        kind = drawn.who.set_index("customer_id")["kind"]
        found = personas.memberships.set_index("person").idxmax(axis=1)
        best = posterior(drawn).set_index("customer_id").idxmax(axis=1).reindex(found.index)
        ours, most = (adjusted_rand_score(kind.loc[found.index], of) for of in (found, best))
        said += f"; ARI {ours:.3f}, posterior {most:.3f}: {ours / most:.2f} of it"
    return f"{said}; features {counted - begun:.1f} + fit {fitted - counted:.1f} CPU-s"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--customers", type=int, default=20_000)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--base", type=int, default=0)
    parser.add_argument("--worlds", nargs="+", default=["demo", "one_kind"])
    given = parser.parse_args()
    for world in given.worlds:
        for seed in range(given.base, given.base + given.seeds):
            print(line(world, given.customers, seed), flush=True)


if __name__ == "__main__":
    main()
