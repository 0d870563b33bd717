"""Chapter 3 at 10 million events: the log and the aggregates, in CPU seconds and memory.

    python benchmarks/journeys.py [--events 10] [--folder DIR]

Beside each figure: the hand-written SQL probe of the design (its printed figure, and the same probe run here
and now, since machines differ). Simulates the study once into the folder; every figure is of a fresh process.
"""

from __future__ import annotations

import argparse
import json
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

# CPU seconds that the design printed for 10 million events; the pass with its tie-break costs half as much again.
DESIGN = {"coding": 1.8, "pass": 4.9 * 1.5, "transitions": 0.38, "steps": 0.10, "switches": 0.15}
ALLOWED, MEMORY = 1.5, 2.5


def timed(label: str, into: dict[str, float], work: Callable[[], Any]) -> Any:
    """Run `work`, note its CPU seconds under `label`."""
    begun = time.process_time()
    done = work()
    into[label] = round(time.process_time() - begun, 2)
    return done


def ours(folder: Path) -> dict[str, float]:
    """cxlib: log and aggregates with their intervals; results are not cached."""
    import cxlib as cx

    seconds: dict[str, float] = {}
    study = timed("open and check", seconds, lambda: cx.open_study(folder))
    timed("log", seconds, study.log)
    for name in ("transitions", "steps", "switches", "funnel", "drop_off", "markov", "shapley"):
        timed(name, seconds, lambda name=name: getattr(cx.journeys, name)(study).table())
    return seconds


def probe(folder: Path) -> dict[str, float]:
    """The design's probe: the same work in hand-written SQL, without intervals, checks or people resolved."""
    import duckdb

    con = duckdb.connect()
    con.execute("SET preserve_insertion_order = false")
    events, catalog = f"'{folder}/touchpoints/*.parquet'", f"'{folder}/catalog.parquet'"
    seconds: dict[str, float] = {}
    timed("coding", seconds, lambda: con.execute(f"""
        CREATE TEMP TABLE persons AS SELECT key, row_number() OVER (ORDER BY key) AS person, ('0x' || substr(md5(key), 1, 8))::BIGINT % 50 AS fold
        FROM (SELECT DISTINCT coalesce(customer_id, anonymous_id) AS key FROM {events})"""))  # fmt: skip
    timed("coded", seconds, lambda: con.execute(f"""
        CREATE TEMP TABLE coded AS SELECT person::INT AS person, fold::TINYINT AS fold, epoch_us(ts) AS moment, event_id, code::SMALLINT AS touchpoint, channel
        FROM {events} e JOIN persons p ON p.key = coalesce(e.customer_id, e.anonymous_id)
        JOIN (SELECT touchpoint, (row_number() OVER (ORDER BY touchpoint))::SMALLINT AS code, (dense_rank() OVER (ORDER BY channel))::SMALLINT AS channel FROM {catalog}) c USING (touchpoint)"""))  # fmt: skip
    seconds["coding"] += seconds.pop("coded")
    timed("pass", seconds, lambda: con.execute("""
        CREATE TEMP TABLE log AS SELECT *, lag(touchpoint) OVER w AS previous, lead(touchpoint) OVER w AS next, lead(channel) OVER w AS channel_next,
        row_number() OVER w AS step, moment - lag(moment) OVER w AS gap FROM coded WINDOW w AS (PARTITION BY person ORDER BY moment, event_id)"""))  # fmt: skip
    for name, sql in {
        "transitions": "SELECT fold, touchpoint, next, count(*) FROM log GROUP BY ALL",
        "steps": "SELECT fold, step, touchpoint, count(*) FROM log WHERE step <= 10 GROUP BY ALL",
        "switches": "SELECT fold, channel, channel_next, count(*) FROM log GROUP BY ALL",
    }.items():
        timed(name, seconds, lambda sql=sql: con.execute(sql).fetchall())
    return seconds


def main() -> None:
    """Simulate if need be, measure each side in a process of its own, and say what the bars say."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--events", type=float, default=10, help="millions of events")
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / "cxlib-benchmark")
    parser.add_argument("--side", choices=("ours", "probe"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    folder = arguments.folder / f"{arguments.events:g}-million"
    if arguments.side:
        seconds = {"ours": ours, "probe": probe}[arguments.side](folder)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
        print(json.dumps({"seconds": seconds, "gigabytes": round(peak, 2)}))
        return
    if not (folder / "study.yaml").exists():
        from cxlib.world import write_large

        write_large(folder, round(arguments.events * 1e6 / 42), 0, "demo")
    sides = {side: measured(side, arguments) for side in ("probe", "ours")}
    report(sides, arguments.events)


def measured(side: str, arguments: argparse.Namespace) -> dict[str, Any]:
    """One side in a fresh process with an empty cache."""
    import os

    cache = tempfile.mkdtemp(prefix="cxlib-cache-")
    command = [sys.executable, __file__, "--side", side, "--events", str(arguments.events)]
    try:
        done = subprocess.run(
            [*command, "--folder", str(arguments.folder)], capture_output=True, text=True, check=True,
            env={**os.environ, "CXLIB_CACHE": cache},
        )  # fmt: skip
        return json.loads(done.stdout.splitlines()[-1])
    finally:
        shutil.rmtree(cache, ignore_errors=True)


def report(sides: dict[str, dict[str, Any]], events: float) -> None:
    """The figures, and the two bars."""
    mine, theirs = sides["ours"]["seconds"], sides["probe"]["seconds"]
    print(f"{'CPU seconds':<16}{'cxlib':>8}{'probe here':>12}{'design':>8}")
    rows = {"coding": None, "pass": None, "log": "log", **dict.fromkeys(("transitions", "steps", "switches"))}
    for row in rows:
        ours_here = mine.get(row, "")
        design = DESIGN.get(row, DESIGN["coding"] + DESIGN["pass"] if row == "log" else "")
        here = theirs.get(row, round(theirs["coding"] + theirs["pass"], 2) if row == "log" else "")
        print(f"{row:<16}{ours_here!s:>8}{here!s:>12}{round(design, 2) if design else ''!s:>8}")
    for row in ("open and check", "funnel", "drop_off", "markov", "shapley"):
        print(f"{row:<16}{mine[row]!s:>8}")
    counted = ("log", "transitions", "steps", "switches")
    total = sum(mine[row] for row in counted)
    here, design = sum(theirs.values()), sum(DESIGN.values()) * events / 10
    print(
        f"in sum {total:.1f}: {total / design:.2f} of the design's probe, {total / here:.2f} of the probe here (allowed {ALLOWED})"
    )
    print(f"memory {sides['ours']['gigabytes']} GB (allowed {MEMORY})")
    failed = total > ALLOWED * max(design, here) or sides["ours"]["gigabytes"] > MEMORY
    sys.exit("too slow or too large" if failed else 0)


if __name__ == "__main__":
    main()
