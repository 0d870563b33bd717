"""CDNOW's sample as the literature prepares it, and customers who buy and leave by BG/NBD itself."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from cxlib.readers import cdnow
from cxlib.revenue import history

CALIBRATION = "1997-09-30"  # 39 weeks; the other 39 are the holdout


def simulated(n: int, rng: np.random.Generator, r: float, alpha: float, a: float, b: float) -> pd.DataFrame:
    """`n` customers from the model's own story: purchases at random, leaving after one with probability p.

    Among N purchases at random in (0, T), the x-th in time is T times a Beta(x, N - x + 1) number.
    """
    rate, leaving = rng.gamma(r, 1 / alpha, n), rng.beta(a, b, n)
    T = rng.uniform(27, 39, n)
    chances = rng.poisson(rate * T)
    leaves_after = rng.geometric(np.maximum(leaving, 1e-9))
    x = np.minimum(chances, leaves_after)
    last = T * rng.beta(np.maximum(x, 1), chances - x + 1)
    later = np.minimum(rng.poisson(rate * 39), leaves_after - x)
    return pd.DataFrame({"frequency": x, "recency": np.where(x > 0, last, 0.0), "T": T, "later": later})


@pytest.fixture(scope="session")
def purchases(mirror: Path) -> pd.DataFrame:
    return cdnow.transactions({file: mirror / "cdnow" / file for file in cdnow.FILES})


@pytest.fixture(scope="session")
def customers(purchases: pd.DataFrame) -> pd.DataFrame:
    return history(purchases, end=CALIBRATION)
