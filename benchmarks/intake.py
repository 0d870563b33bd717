"""Ten million rows of a CSV export become a study: CPU seconds and peak memory, all in one process of its own.

    python benchmarks/intake.py [--rows 10000000] [--folder DIR]

The file has day-first times on Rome's clock, decimal commas, a currency a row, e-mail addresses that become
keyed pseudonyms, and comments that are masked. Peer: pandas reads the same columns, converts times and amounts
and writes Parquet, with no check, no pseudonym and amounts as floats.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

ALLOWED = 2.0  # GB
MAPPING = """\
currency: EUR
sources:
  - file: export.csv
    delimiter: ";"
    zone: Europe/Rome
    dates: day-first
    decimal: ","
    tables:
      - table: touchpoints
        columns:
          event_id: Id
          customer_id: Customer
          ts: When
          touchpoint: Kind
          value: Amount
          currency: Currency
          content: Comment
catalog: {"*": [web, engagement]}
"""


def draw(folder: Path, rows: int) -> None:
    """The export and its mapping, a million rows at a time."""
    import numpy as np
    import pandas as pd

    rng = np.random.default_rng(0)
    kinds = np.array(["view", "cart", "purchase", "email_open"])
    (folder / "study.yaml").write_text(MAPPING)
    with (folder / "export.csv").open("w") as file:
        file.write("Id;Customer;When;Kind;Amount;Currency;Comment\n")
        for first in range(0, rows, 1_000_000):
            n = min(1_000_000, rows - first)
            seconds = rng.integers(0, 365 * 86_400, n).astype("timedelta64[s]")
            when = pd.DatetimeIndex(np.datetime64("2025-01-01") + seconds).strftime("%d/%m/%Y %H:%M:%S")
            cents = rng.integers(0, 99_999, n)
            columns = {
                "id": np.arange(first, first + n),
                "who": [f"u{who}@example.com" for who in rng.integers(0, rows // 20 + 1, n)],
                "when": when,
                "kind": kinds[rng.integers(0, 4, n)],
                "amount": [f"{c // 100},{c % 100:02}" for c in cents],
                "currency": "EUR",
                "comment": "as it was said",
            }
            pd.DataFrame(columns).to_csv(file, sep=";", header=False, index=False)


def ours(folder: Path) -> int:
    """Convert and check; the rows that came out."""
    import cxlib as cx

    return cx.open_study(folder).findings.rows["touchpoints"]


def pandas(folder: Path) -> int:
    """Read the same columns and write them as Parquet."""
    import pandas as pd

    frame = pd.read_csv(folder / "export.csv", sep=";", decimal=",", dtype={"Id": str})
    frame["When"] = pd.to_datetime(frame["When"], format="%d/%m/%Y %H:%M:%S").dt.tz_localize(
        "Europe/Rome", ambiguous=True, nonexistent="shift_forward"
    )
    frame.to_parquet(folder / "peer.parquet")
    return len(frame)


def measured(name: str, folder: Path) -> dict[str, Any]:
    """One run in a fresh process: rows, CPU and wall seconds, peak memory in GB."""
    code = (
        "import json, resource, sys, time; from pathlib import Path; begun = time.time(); "
        f"sys.path.insert(0, {str(Path(__file__).parent)!r}); import intake; "
        f"rows = intake.{name}(Path({str(folder)!r})); used = resource.getrusage(resource.RUSAGE_SELF); "
        "print(json.dumps({'rows': rows, 'cpu': used.ru_utime + used.ru_stime, 'wall': time.time() - begun, "
        "'memory': used.ru_maxrss / 1e6}))"
    )
    environment = os.environ | {"CXLIB_CACHE": str(folder / "cache")}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment
    )
    return dict(json.loads(done.stdout.splitlines()[-1]))


def main() -> None:
    """Measure, and fail where the conversion takes more than 2 GB."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--folder", type=Path, help="where to write (default: a temporary folder)")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        draw(folder, arguments.rows)
        print(
            f"{(folder / 'export.csv').stat().st_size / 1e6:,.0f} MB\n{'':16}{'rows':>12}{'CPU-s':>8}{'wall':>8}{'GB':>7}"
        )
        found = {name: measured(name, folder) for name in ("ours", "pandas")}
        found["ours"]["again"] = measured("ours", folder)["cpu"]
        for name, run in found.items():
            print(f"{name:16}{run['rows']:12,}{run['cpu']:8.1f}{run['wall']:8.1f}{run['memory']:7.2f}")
        print(f"opened again: {found['ours']['again']:.1f} CPU-s")
    if found["ours"]["memory"] > ALLOWED or found["ours"]["rows"] != arguments.rows:
        sys.exit(f"More than {ALLOWED} GB, or rows are lost.")


if __name__ == "__main__":
    main()
