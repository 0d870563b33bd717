"""A million customers with features given: fit on a sample, score everybody; CPU seconds, memory, and who is found.

    python benchmarks/personas_scale.py [--customers 1000000] [--folder DIR] [--kprototypes PYTHON]

Five planted kinds; ten columns of text with 3 to 8 levels and five numbers, two of them log-normal, all independent
given the kind (two columns of text and a number know nothing of it); one value in twelve is missing. The number of
kinds is given. Ours takes numbers by tenths and is told of no distribution. Peers, each in a fresh process with one
thread, get skewed numbers as logarithms: scikit-learn's k-means on all customers; StepMix's mixture fitted on as
large a sample, which knows that the numbers are normal; k-prototypes. k-means and k-prototypes get missing numbers
as the mean and missing text as one more level.
k-prototypes is fitted on as large a sample too. It has a lock of its own (benchmarks/requirements.lock);
`--kprototypes` names the Python that has it.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

SAMPLE, KINDS, ALLOWED, MOST = 20_000, 5, 20.0, 2.0
TEXTS, NUMBERS, SKEWED = 10, 5, ("x0", "x1")
CHUNK = 50_000  # customers whom StepMix and k-prototypes place at a time


def draw(folder: Path, customers: int) -> None:
    """The customers' features, and their kinds beside them."""
    rng = np.random.default_rng(0)
    kind = rng.choice(KINDS, customers, p=[0.3, 0.25, 0.2, 0.15, 0.1])
    columns: dict[str, Any] = {"person": pd.Series(np.arange(customers)).map("c{:07}".format)}
    for j in range(TEXTS):
        levels = 3 + j % 6
        chance = rng.dirichlet(np.full(levels, 1.5), KINDS if j < TEXTS - 2 else 1)
        chance = chance if len(chance) == KINDS else np.repeat(chance, KINDS, axis=0)
        code = (rng.random(customers)[:, None] > chance[kind].cumsum(axis=1)[:, :-1]).sum(axis=1)
        text = pd.Series(np.array([f"level {i}" for i in range(levels)], dtype=object)[code])
        columns[f"t{j}"] = text.where(rng.random(customers) > 1 / 12)
    for j in range(NUMBERS):
        mean = rng.normal(0, 1, KINDS) if j < NUMBERS - 1 else np.zeros(KINDS)
        value = rng.normal(mean[kind], 1.0)
        value = np.exp(value + 3) if f"x{j}" in SKEWED else value
        columns[f"x{j}"] = np.where(rng.random(customers) > 1 / 12, value, np.nan)
    folder.mkdir(parents=True, exist_ok=True)
    pd.DataFrame(columns).to_parquet(folder / "features.parquet", index=False)
    np.save(folder / "kind.npy", kind)


def ours(folder: Path) -> dict[str, Any]:
    """cxlib: features of a sample, personas, and everybody's memberships written to Parquet by the engine."""
    import ibis

    import cxlib as cx

    engine = ibis.duckdb.connect(threads=1)
    begun = time.process_time()
    table = engine.read_parquet(folder / "features.parquet")
    personas = cx.personas.fit(cx.personas.features(table, sample=SAMPLE), k=KINDS)
    fitted = time.process_time()
    engine.to_parquet(personas.score(table), folder / "memberships.parquet")
    done, peak = time.process_time(), gigabytes()
    found = pd.read_parquet(folder / "memberships.parquet").sort_values("person", ignore_index=True)
    some = pd.read_parquet(folder / "features.parquet", filters=[("person", "<", "c0010000")])
    by_numpy = personas.predict_proba(cx.personas.features(some)).set_index("person").sort_index()
    gap = np.abs(found.set_index("person").loc[by_numpy.index] - by_numpy).to_numpy().max()
    np.save(folder / "cxlib.npy", found.drop(columns="person").to_numpy().argmax(axis=1))
    return {"fit": fitted - begun, "place": done - fitted, "gigabytes": peak, "gap": float(gap)}


def kmeans(folder: Path) -> dict[str, Any]:
    """scikit-learn's k-means on all customers, numbers standardised, text one-hot, the best of three starts."""
    from sklearn.cluster import KMeans

    begun = time.process_time()
    frame = prepared(pd.read_parquet(folder / "features.parquet").drop(columns="person"))
    table = pd.get_dummies(frame, dtype="float32").astype("float32").to_numpy()
    table[:, :NUMBERS] = (table[:, :NUMBERS] - table[:, :NUMBERS].mean(axis=0)) / table[:, :NUMBERS].std(
        axis=0
    )
    model = KMeans(KINDS, n_init=3, random_state=0).fit(table)
    np.save(folder / "k-means.npy", model.labels_)
    return {"fit": time.process_time() - begun, "place": 0.0, "gigabytes": gigabytes()}


def stepmix(folder: Path) -> dict[str, Any]:
    """StepMix, categorical and Gaussian with missing values, on as large a sample; all placed by 50,000."""
    from stepmix.stepmix import StepMix
    from stepmix.utils import get_mixed_descriptor

    begun = time.process_time()
    frame = logs(pd.read_parquet(folder / "features.parquet").drop(columns="person"))
    texts = [name for name in frame if name.startswith("t")]
    for name in texts:
        frame[name] = frame[name].astype("category").cat.codes.astype(float).replace(-1, np.nan)
    numbers = [name for name in frame if name.startswith("x")]
    _, describe = get_mixed_descriptor(frame, categorical_nan=texts, continuous_nan=numbers)
    model = StepMix(KINDS, measurement=describe, random_state=0, verbose=0, progress_bar=0, n_init=3)
    model.fit(frame.sample(SAMPLE, random_state=0))
    fitted = time.process_time()
    found = [model.predict(frame.iloc[i : i + CHUNK]) for i in range(0, len(frame), CHUNK)]
    np.save(folder / "StepMix.npy", np.concatenate(found))
    return {"fit": fitted - begun, "place": time.process_time() - fitted, "gigabytes": gigabytes()}


def kprototypes(folder: Path) -> dict[str, Any]:
    """k-prototypes (kmodes), numbers standardised: fitted on as large a sample, all placed by 50,000."""
    from kmodes.kprototypes import KPrototypes

    begun = time.process_time()
    frame = prepared(pd.read_parquet(folder / "features.parquet").drop(columns="person"))
    numbers = [name for name in frame if name.startswith("x")]
    frame[numbers] = (frame[numbers] - frame[numbers].mean()) / frame[numbers].std()
    texts = [i for i, name in enumerate(frame) if name.startswith("t")]
    some = frame.sample(SAMPLE, random_state=0).to_numpy(object)
    model = KPrototypes(KINDS, n_init=1, random_state=0).fit(some, categorical=texts)
    fitted = time.process_time()
    chunks = (frame.iloc[i : i + CHUNK].to_numpy(object) for i in range(0, len(frame), CHUNK))
    np.save(
        folder / "k-prototypes.npy", np.concatenate([model.predict(c, categorical=texts) for c in chunks])
    )
    return {"fit": fitted - begun, "place": time.process_time() - fitted, "gigabytes": gigabytes()}


def logs(frame: pd.DataFrame) -> pd.DataFrame:
    """Skewed numbers as logarithms."""
    return frame.assign(**{name: np.log1p(frame[name]) for name in SKEWED})


def prepared(frame: pd.DataFrame) -> pd.DataFrame:
    """Nothing missing, numbers first."""
    frame = logs(frame)
    numbers = [name for name in frame if name.startswith("x")]
    texts = frame.drop(columns=numbers).fillna("missing")
    return pd.concat([frame[numbers].fillna(frame[numbers].mean()), texts], axis=1)


def gigabytes() -> float:
    """Peak memory of this process."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6


SIDES = {"cxlib": ours, "k-means": kmeans, "StepMix": stepmix, "k-prototypes": kprototypes}


def main() -> None:
    """Draw if need be, measure each side in a process of its own, and say what the bar says."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--customers", type=int, default=1_000_000)
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / "cxlib-benchmark")
    parser.add_argument("--kprototypes", default=sys.executable, help="a Python that has kmodes")
    parser.add_argument("--side", choices=SIDES, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    folder = arguments.folder / f"{arguments.customers}-customers"
    if arguments.side:
        print(json.dumps(SIDES[arguments.side](folder)))
        return
    from sklearn.metrics import adjusted_rand_score

    if not (folder / "kind.npy").exists():
        draw(folder, arguments.customers)
    kind = np.load(folder / "kind.npy")
    print(
        f"{'CPU seconds':<14}{'fit':>8}{'place':>8}{'together':>10}{'gigabytes':>11}{'customers':>12}{'ARI':>7}"
    )
    measures = {}
    for side in SIDES:
        python = arguments.kprototypes if side == "k-prototypes" else sys.executable
        found = measures[side] = measured(side, python, arguments)
        if found is None:
            print(f"{side:<14}not installed")
            continue
        placed = np.load(folder / f"{side}.npy")
        ari = adjusted_rand_score(kind[: len(placed)], placed)
        both = found["fit"] + found["place"]
        print(
            f"{side:<14}{found['fit']:>8.1f}{found['place']:>8.1f}{both:>10.1f}{found['gigabytes']:>11.2f}"
            f"{len(placed):>12,}{ari:>7.3f}",
            flush=True,
        )
    mine = measures["cxlib"]
    assert mine is not None
    print(f"cxlib: the engine's probabilities are within {mine['gap']:.0e} of numpy's for 10,000 customers.")
    slow = mine["fit"] + mine["place"] > ALLOWED * max(1.0, arguments.customers / 1e6)
    failed = slow or mine["gigabytes"] > MOST or mine["gap"] > 1e-9
    sys.exit(f"more than {ALLOWED} CPU seconds or {MOST} GB, or not as numpy" if failed else 0)


def measured(side: str, python: str, arguments: argparse.Namespace) -> dict[str, Any] | None:
    """One side in a fresh process with one thread; None where it is not installed."""
    command = [python, __file__, "--side", side, "--customers", str(arguments.customers)]
    one = {f"{name}_NUM_THREADS": "1" for name in ("OMP", "OPENBLAS", "MKL")}
    done = subprocess.run(
        [*command, "--folder", str(arguments.folder)],
        capture_output=True,
        text=True,
        env={**os.environ, **one},
    )
    if "ModuleNotFoundError" in done.stderr and side != "cxlib":
        return None
    if done.returncode:
        sys.exit(done.stderr)
    return json.loads(done.stdout.splitlines()[-1])


if __name__ == "__main__":
    main()
