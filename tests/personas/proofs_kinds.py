"""Draws for the coverage harness: is the right number of kinds found, and is nothing left over where nothing is?"""

from __future__ import annotations

import numpy as np
import pandas as pd

import cxlib as cx
from cxlib.customers.blocks import Answers
from cxlib.personas.evidence import drawn
from cxlib.personas.mixture import Mixture, mixture
from cxlib.personas.model import Personas
from cxlib.personas.residuals import residuals

RIGHT = {"demo": ("kinds", 5), "one_kind": ("one kind", 1), "continuum": ("degrees", None)}
CUSTOMERS = 3000


def number_draw(seed: int) -> pd.DataFrame:
    """3,000 customers with faults of a company with five kinds, with one, and of a continuum: 1 where that is said."""
    rows = []
    for world, (verdict, k) in RIGHT.items():
        study = cx.open_study(cx.world.simulate(CUSTOMERS, seed, world).tables)
        found = cx.personas.fit(cx.personas.features(study), kmax=6).evidence()
        rows.append((f"said: {verdict}", world, float(found.verdict == verdict and k in (None, found.k))))
    frame = pd.DataFrame(rows, columns=["result", "cell", "estimate"])
    return frame.assign(low=frame["estimate"], high=frame["estimate"], truth=1.0, expected=float(CUSTOMERS))


def left_draw(seed: int) -> pd.DataFrame:
    """500 customers of two kinds who answer eight questions independently: what is left within kinds is nothing."""
    rng = np.random.default_rng(seed)
    kind = (rng.random(500) < 0.4).astype(int)
    blank = [
        Answers(f"question {i}", "", tuple("abc"), np.where(rng.random(500) < 0.1, -1, 0)) for i in range(8)
    ]
    shares = tuple((rng.dirichlet(np.full(3, 4), 2),) for _ in blank)
    blocks = tuple(drawn(blank, Mixture(np.array([0.6, 0.4]), shares, 0.0, 500, 0), kind, rng))
    features = cx.personas.Features(np.arange(500), blocks, pd.DataFrame())
    fitted = mixture(blocks, 2)
    found = residuals(Personas(("A", "B"), pd.DataFrame(), features, fitted, None)).table()  # type: ignore[arg-type]
    keys = ["block", "feature", "with_block", "with_feature"]
    frame = found[["estimate", "low", "high"]].assign(truth=0.0, expected=found["n"].astype(float))
    return frame.assign(result="left within kinds", cell=found[keys].agg(" ".join, axis=1))


CODE = ("cxlib/customers", "cxlib/personas", "cxlib/world")
CLAIMS = (
    (
        "kinds",
        f"{CUSTOMERS:,} customers of the simulated company, data as they come: whether five kinds, one kind and a continuum are "
        "called so (1 where they are).",
        number_draw,
        {"said: kinds": (0.85, 1.0), "said: one kind": (0.9, 1.0), "said: degrees": (0.75, 1.0)},
        CODE,
        20,
        1,
        1,
    ),
    (
        "left within kinds",
        "500 customers of two kinds, found again, who answer eight questions independently: the correlation left between two "
        "answers, whose interval takes the personas as given.",
        left_draw,
        {"left within kinds": (0.92, 0.97)},
        CODE,
        2000,
        100,
        100,
    ),
)
