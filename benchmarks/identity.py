"""Stitching at 750,000 edges and 300,000 people: CPU seconds, and how many people are merged wrongly.

    python benchmarks/identity.py [--people 300000] [--folder DIR]

Peers: "any shared id merges" by label propagation in SQL, and by SciPy's connected components on the same edges.
One device in 200 is used by two people, so both peers put strangers together. Every figure is of a fresh process.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

SHARED, ALLOWED = 0.005, 10.0


def draw(folder: Path, people: int) -> None:
    """2.5 devices a person, some shared; each seen signed in twice and anonymous twice by each who uses it."""
    import numpy as np
    import pandas as pd

    rng = np.random.default_rng(0)
    n = people * 5 // 2
    owner = np.concatenate([np.arange(people), rng.integers(0, people, n - people)])
    device = np.arange(n)
    shared = rng.random(n) < SHARED
    device[shared] = rng.integers(0, n, shared.sum())
    row = np.repeat(np.arange(n), 4)
    signed = np.tile([False, True, True, False], n)
    minute = np.repeat(rng.integers(0, 500_000, n), 4) + np.tile([0, 9, 12, 40], n)
    frame = pd.DataFrame(
        {
            "event_id": np.arange(len(row)),
            "anonymous_id": pd.Series(device[row]).map("d{:07}".format),
            "customer_id": pd.Series(owner[row]).map("c{:07}".format).where(signed),
            "ts": (np.datetime64("2025-01-01", "us") + minute.astype("timedelta64[m]")),
            "touchpoint": "page",
            "channel": "web",
            "stage": "awareness",
        }
    )
    folder.mkdir(parents=True, exist_ok=True)
    frame.to_parquet(folder / "touchpoints.parquet", index=False)


def ours(folder: Path) -> dict[str, Any]:
    """cxlib: all rules, windows, audit, and the shares of events linked."""
    import cxlib as cx

    study = cx.open_study(folder)
    begun = time.process_time()
    found = cx.collection.stitch(study)
    seconds = time.process_time() - begun
    table = found.table().set_index("rule")["estimate"]
    return {
        "seconds": seconds,
        "wrong": 2 * len(found.aliases),
        "linked": table["(all)"],
        "claim": found.claim(),
    }


def components(folder: Path) -> dict[str, Any]:
    """Any shared id merges: SciPy's connected components on the edges that DuckDB hands over."""
    import duckdb
    import numpy as np
    import pandas as pd
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    begun = time.process_time()
    edges = duckdb.sql(_EDGES.format(folder=folder)).df()
    people, names = pd.factorize(edges["customer_id"])
    devices, ids = pd.factorize(edges["anonymous_id"])
    size = len(names) + len(ids)
    graph = coo_array((np.ones(len(edges)), (people, len(names) + devices)), shape=(size, size))
    label = connected_components(graph, directed=False)[1][: len(names)]
    seconds = time.process_time() - begun
    members = np.bincount(label)
    return {"seconds": seconds, "wrong": int(members[members > 1].sum())}


_EDGES = "SELECT anonymous_id, customer_id FROM '{folder}/touchpoints.parquet' WHERE customer_id IS NOT NULL GROUP BY ALL"


def propagation(folder: Path) -> dict[str, Any]:
    """Any shared id merges: the least label of the neighbours, in SQL, until nothing changes."""
    import duckdb

    con = duckdb.connect()
    begun = time.process_time()
    con.execute(f"CREATE TEMP TABLE edges AS {_EDGES.format(folder=folder)}")
    con.execute("CREATE TEMP TABLE labels AS SELECT DISTINCT customer_id, customer_id AS label FROM edges")
    while True:
        con.execute("""
            CREATE OR REPLACE TEMP TABLE further AS WITH devices AS (
                SELECT anonymous_id, min(label) AS least FROM edges JOIN labels USING (customer_id) GROUP BY 1)
            SELECT customer_id, min(least) AS label FROM edges JOIN devices USING (anonymous_id) GROUP BY 1""")
        sql = "SELECT count(*) FROM labels a JOIN further b USING (customer_id) WHERE a.label <> b.label"
        changed = con.execute(sql).fetchall()[0][0]
        con.execute("CREATE OR REPLACE TEMP TABLE labels AS SELECT * FROM further")
        if not changed:
            break
    sql = "SELECT sum(n) FROM (SELECT count(*) AS n FROM labels GROUP BY label HAVING count(*) > 1)"
    wrong = int(con.execute(sql).fetchall()[0][0])
    return {"seconds": time.process_time() - begun, "wrong": wrong}


SIDES = {"cxlib": ours, "connected components": components, "label propagation in SQL": propagation}


def main() -> None:
    """Draw if need be, measure each side in a process of its own, and say what the bar says."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--people", type=int, default=300_000)
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / "cxlib-benchmark")
    parser.add_argument("--side", choices=SIDES, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    folder = arguments.folder / f"{arguments.people}-people"
    if arguments.side:
        found = SIDES[arguments.side](folder)
        print(json.dumps({**found, "gigabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6}))
        return
    if not (folder / "touchpoints.parquet").exists():
        draw(folder, arguments.people)
    print(f"{'':<26}{'CPU seconds':>12}{'gigabytes':>11}{'merged wrongly':>16}")
    measures = {side: measured(side, arguments) for side in SIDES}
    for side, found in measures.items():
        print(f"{side:<26}{found['seconds']:>12.1f}{found['gigabytes']:>11.2f}{found['wrong']:>16,}")
    print(measures["cxlib"]["claim"])
    failed = measures["cxlib"]["seconds"] > ALLOWED * arguments.people / 300_000 or measures["cxlib"]["wrong"]
    sys.exit(f"more than {ALLOWED} CPU seconds, or people merged wrongly" if failed else 0)


def measured(side: str, arguments: argparse.Namespace) -> dict[str, Any]:
    """One side in a fresh process with an empty cache."""
    cache = tempfile.mkdtemp(prefix="cxlib-cache-")
    command = [sys.executable, __file__, "--side", side, "--people", str(arguments.people)]
    try:
        done = subprocess.run(
            [*command, "--folder", str(arguments.folder)], capture_output=True, text=True, check=True,
            env={**os.environ, "CXLIB_CACHE": cache},
        )  # fmt: skip
        return json.loads(done.stdout.splitlines()[-1])
    finally:
        shutil.rmtree(cache, ignore_errors=True)


if __name__ == "__main__":
    main()
