"""Customer value: fits of BG/NBD at three sizes and Gamma-Gamma, in CPU seconds.

    python benchmarks/value.py [--peers] [--largest 2000000]

Customers are drawn from the model with the parameters published for CDNOW, in days of observation. Beside each
figure: what the design printed for an own grouped likelihood and for lifetimes, on its machine; with `--peers`
also lifetimes here and now, where it is installed. Run it with OMP_NUM_THREADS=1: two threads on a busy machine
cost a hundredfold in small fits.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from cxlib.revenue import fit_bgnbd, fit_gamma_gamma

# customers: CPU seconds of the design's own fit and of lifetimes
DESIGN = {2_357: (0.007, 0.129), 200_000: (0.033, 2.0), 2_000_000: (0.19, None)}
R, ALPHA, A, B = 0.2425945, 4.4136019, 0.7929199, 2.4258881


def customers(n: int, seed: int = 0) -> pd.DataFrame:
    """`n` customers who joined in twelve weeks and were watched to the end of week 39, by the day."""
    rng = np.random.default_rng(seed)
    rate, leaving = rng.gamma(R, 1 / ALPHA, n), np.maximum(rng.beta(A, B, n), 1e-9)
    days = 39 * 7 - rng.integers(1, 85, n)
    chances = rng.poisson(rate * days / 7)
    x = np.minimum(chances, rng.geometric(leaving))
    last = np.ceil(days * rng.beta(np.maximum(x, 1), chances - x + 1))
    spent = rng.gamma(6 * np.maximum(x, 1), 1.0) / (rng.gamma(4, 1 / 15, n) * np.maximum(x, 1))
    recency = np.where(x > 0, last, 0) / 7
    return pd.DataFrame({"frequency": x, "recency": recency, "T": days / 7, "monetary_value": spent})


def seconds(work: Callable[[], Any], times: int) -> float:
    """CPU seconds of the fastest of several runs, the first (imports, caches) left out."""
    work()
    taken = []
    for _ in range(times):
        begun = time.process_time()
        work()
        taken.append(time.process_time() - begun)
    return min(taken)


def main() -> None:
    """Measure, and fail where a fit is slower than lifetimes' printed figure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--peers", action="store_true", help="also time lifetimes, if installed")
    parser.add_argument("--largest", type=int, default=2_000_000, help="customers of the largest fit")
    arguments = parser.parse_args()
    print(
        f"{'customers':>10}{'groups':>9}{'BG/NBD':>9}{'design':>9}{'lifetimes':>11}{'here':>8}{'forecast':>10}{'Gamma-Gamma':>13}"
    )
    slow = False
    for n, (design, peer) in DESIGN.items():
        if n > arguments.largest:
            continue
        frame = customers(n)
        times = 5 if n < 1_000_000 else 2
        ours = seconds(lambda frame=frame: fit_bgnbd(frame), times)
        fit = fit_bgnbd(frame)
        ahead = seconds(lambda fit=fit, frame=frame: fit.forecast(frame, 39), 1)
        worth = seconds(lambda frame=frame: fit_gamma_gamma(frame), times)
        groups = len(frame[["frequency", "recency", "T"]].drop_duplicates())
        here = f"{peers(frame):.3f}" if arguments.peers and n < 1_000_000 else "-"
        print(
            f"{n:>10,}{groups:>9,}{ours:>9.3f}{design:>9.3f}{peer if peer else '-':>11}{here:>8}{ahead:>10.3f}{worth:>13.3f}"
        )
        slow |= peer is not None and ours > peer
    sys.exit("slower than lifetimes" if slow else 0)


def peers(frame: pd.DataFrame) -> float:
    """lifetimes' fit of the same customers."""
    from lifetimes import BetaGeoFitter

    return seconds(lambda: BetaGeoFitter().fit(frame["frequency"], frame["recency"], frame["T"]), 1)


if __name__ == "__main__":
    main()
