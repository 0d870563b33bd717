"""Small companies whose experiments are known, as tables of a study or one row a customer."""

from __future__ import annotations

import os
from collections.abc import Mapping

import numpy as np
import pandas as pd

SEED = int(os.environ.get("CXLIB_SEED", "0"))
START, DAY = pd.Timestamp("2025-03-01"), pd.Timedelta("1D")
KINDS = ("calm", "keen", "slow")


def shop(
    seed: int,
    n: int = 600,
    boost: Mapping[str, float | tuple[float, ...]] | None = None,
    clusters: int = 0,
    spread: float = 0.0,
    opt_out: Mapping[str, float] | None = None,
) -> dict[str, pd.DataFrame]:
    """Tables of a shop with one experiment, `trial`, from 1 March, and orders from 90 days before to 60 after.

    `boost` multiplies the rate of orders of each arm (the first is the control), of each of the three kinds
    apart where it is a tuple. A customer makes 2 orders in 90 days on average before, 3 in the 60 days after.
    With `clusters`, arms are given to clusters whose rates differ by `spread` (sd of their logarithm).
    `opt_out`: the chance of an event `email_unsubscribe`, by arm. Hidden kinds are in customers.kind.
    """
    rng = np.random.default_rng(SEED + seed)
    boost = boost or {"control": 1.0, "new": 1.0}
    arms = list(boost)
    kind = rng.integers(0, 3, n)
    cluster = rng.integers(0, clusters, n) if clusters else np.zeros(n, int)
    level = np.exp(rng.normal(0, spread, max(clusters, 1)) - spread**2 / 2)[cluster]
    arm = rng.integers(0, len(arms), n) if not clusters else (rng.permutation(clusters) % len(arms))[cluster]
    taste = rng.gamma(2.0, 0.5, n) * level
    factor = np.array([np.broadcast_to(boost[name], 3) for name in arms])[arm, kind]
    who = np.array([f"c{i:05d}" for i in range(n)])
    counts = rng.poisson(2 * taste), rng.poisson(3 * taste * factor)
    days = rng.uniform(-90, 0, counts[0].sum()), rng.uniform(0, 60, counts[1].sum())
    buyer = np.concatenate([np.repeat(who, count) for count in counts])
    at = START + pd.to_timedelta(np.concatenate(days), "D")
    revenue = rng.gamma(4.0, 250.0, len(at)).round().astype(int)
    tables = {
        "customers": pd.DataFrame({"customer_id": who, "kind": np.array(KINDS)[kind]}),
        "orders": pd.DataFrame({"order_id": range(len(at)), "customer_id": buyer, "ts": at, "revenue": revenue,
                                "currency": "EUR"}),
        "exposures": pd.DataFrame({"experiment": "trial", "variant": np.array(arms)[arm], "customer_id": who, "ts": START,
                                   "cluster": cluster.astype(str) if clusters else None}),
    }  # fmt: skip
    # Somebody is seen on the last day, so that all 60 days can be observed of everybody.
    events = pd.DataFrame({"customer_id": ["nobody"], "ts": [START + 61 * DAY], "touchpoint": ["web_page"]})
    if opt_out:
        left = rng.random(n) < np.array([opt_out[name] for name in arms])[arm]
        gone = pd.DataFrame(
            {"customer_id": who[left], "ts": START + 5 * DAY, "touchpoint": "email_unsubscribe"}
        )
        events = pd.concat([events, gone], ignore_index=True)
    tables["touchpoints"] = events.assign(
        event_id=range(len(events)), initiated_by="customer", channel="web", stage="engagement"
    )
    return tables


def told(tables: Mapping[str, pd.DataFrame], right: float = 0.85) -> pd.DataFrame:
    """Memberships that name the true kind as often as they say they do: `right` of the time."""
    kind = tables["customers"]["kind"].to_numpy()
    rng = np.random.default_rng(SEED + len(kind))
    others = np.array([[one for one in KINDS if one != name] for name in KINDS])
    wrong = others[pd.Categorical(kind, categories=KINDS).codes, rng.integers(0, 2, len(kind))]
    seen = np.where(rng.random(len(kind)) < right, kind, wrong)
    share = np.where(seen[:, None] == np.array(KINDS), right, (1 - right) / 2)
    frame = pd.DataFrame(share, columns=list(KINDS))
    frame.insert(0, "person", tables["customers"]["customer_id"])
    return frame
