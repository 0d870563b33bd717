"""Draws for the coverage harness: the revenue chapter on the simulated company, each result against its truth.

`tests.proof` may register them: results `everybody`, `kinds`, `failure`, `link`, `roll-out` should be held;
`failure, naive` and `link, naive` are there to be missed.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

import cxlib as cx
from cxlib import world

OFFERS = {
    "London": "2025-03-15",
    "Lombardy": "2025-04-15",
    "Lazio": "2025-05-15",
    "Bucharest": "2025-06-15",
    "Transylvania": "2025-07-15",
}
TABLES = ("touchpoints", "catalog", "customers", "orders", "exposures")


def revenue_draw(seed: int, customers: int = 1000, name: str = "demo") -> pd.DataFrame:
    """Realised value, a service failure, a nudge and a roll-out in one world with a clean log."""
    drawn = world.simulate(customers, seed, world=name, faults=False)
    study = cx.open_study({table: drawn.tables[table] for table in TABLES})
    given = world.posterior(drawn).rename(columns={"customer_id": "person"})
    value = cx.revenue.realised(study, given).table().rename(columns={"persona": "kind"})
    value = value.merge(drawn.truth("value"), on=["kind", "measure"])
    value["result"] = np.where(value["kind"] == "(all)", "everybody", "kinds")
    value["cell"] = value["kind"] + " > " + value["measure"]
    parts = [value]
    built = {
        "failure": ("service_failure", cx.revenue.service_failure),
        "link": ("adoption", cx.revenue.adoption),
    }
    for result, (truth, ladder) in built.items():
        rungs = ladder(study).table().query("rung != 'adjusted'")
        effect = drawn.truth(truth).set_index("measure").loc["effect", "truth"]
        named = np.where(rungs["rung"] == "naive", f"{result}, naive", result)
        parts.append(rungs.assign(result=named, cell="effect", truth=effect))
    regions = cx.revenue.rollout(cx.revenue.monthly(study, OFFERS), outcome="margin", known="known").table()
    regions = regions.head(1).merge(drawn.truth("rollout"), on="measure")
    parts.append(regions.assign(result="roll-out", cell="effect"))
    columns = ["result", "cell", "estimate", "low", "high", "truth"]
    return pd.concat([part[columns] for part in parts]).assign(expected=float(customers))
