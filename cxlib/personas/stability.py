"""Would the same personas be found among other customers? Each resample is fitted anew, from fresh starts.

The Jaccard index of a persona is the number of resampled customers who are in it both times, over those who are in it
at either: the persona-wise stability of Hennig (2007, Computational Statistics and Data Analysis 52). It is
reported and chooses nothing: a continuum can be cut at the same places again and again. Customers whom the bootstrap
draws twice count once (`multipleboot = FALSE` in Hennig's fpc): they would look like a kind of their own.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy.optimize import linear_sum_assignment
from threadpoolctl import threadpool_limits

from cxlib.customers.blocks import Array, Ints
from cxlib.errors import CxValueError
from cxlib.personas.evidence import FEW
from cxlib.personas.mixture import mixture
from cxlib.results import TOO_FEW, Claim, Result

if TYPE_CHECKING:
    from cxlib.personas.model import Personas

DISTINCT = 0.632  # of all customers are in a bootstrap sample at least once
READINGS = {0.85: "highly stable", 0.75: "stable", 0.6: "a pattern", 0.5: "doubtful", 0.0: "dissolved"}


@dataclass(frozen=True, eq=False)
class Stability(Result):
    """How well each persona survives in resamples.

    frame : persona, estimate (mean Jaccard index), low, high (between which 95 of 100 resamples lie), n (customers drawn
    for a resample), customers (of the persona), dissolved (share of resamples with an index under one half), reading
    (after Hennig: `highly stable` from .85, `stable` from .75, `a pattern` from .6, `doubtful` from .5, `dissolved`)
    picked : number of kinds with the smallest BIC, among k - 1, k and k + 1, and in how many resamples
    k, times : kinds fitted, and resamples
    """

    SHARES = ("dissolved",)

    frame: pd.DataFrame = field(repr=False)
    picked: Mapping[int, int]
    k: int
    times: int

    def table(self) -> pd.DataFrame:
        """One row a persona."""
        return self.frame

    def claim(self) -> Claim:
        """How many personas are found again, which is the weakest, and how often the number is the same."""
        table = self.visible()
        if table.empty:
            return TOO_FEW
        n = int(table["n"].iloc[0])
        other = ", ".join(
            f"{kinds} in {count}" for kinds, count in sorted(self.picked.items()) if kinds != self.k
        )
        again = f"{self.k} kind{'s' * (self.k > 1)} again in {self.picked.get(self.k, 0)} of {self.times} resamples"
        said = f"The BIC picks {again} of {n:,} customers{f' ({other})' if other else ''}"
        if self.k == 1:
            return Claim(f"{said}.")
        weak = table.loc[table["estimate"].idxmin()]
        firm = int((table["estimate"] >= 0.75).sum())
        return Claim(
            f"{said}; {firm} of {len(table)} personas {'is' if firm == 1 else 'are'} stable. The least so is "
            f"{weak['persona']}: {weak['reading']} ({weak['estimate']:.2f}, {weak['low']:.2f} to {weak['high']:.2f})."
        )


def stability(personas: Personas, times: int = 10, sample: int = 1000, seed: int = 0) -> Stability:
    """Personas fitted again to `times` bootstrap samples, each of its distinct customers or of `sample` of them.

    Personas are matched one to one so that the indices are largest together. A small sample is a hard test: what
    is found again in 1,000 customers would be in all of them; what is not may need more.

    Raises CxValueError unless `times` is at least 2 and `sample` as large as what may be shown.

    >>> import cxlib as cx
    >>> personas = cx.personas.fit(cx.personas.features(cx.open_study("demo")), k=2)
    >>> sum(cx.personas.stability(personas, times=2, sample=300).picked.values())
    2
    """
    if times < 2 or sample < 10:
        raise CxValueError(
            f"times is {times} and sample {sample}; at least 2 resamples of 10 customers are needed."
        )
    blocks, k, n = personas.features.blocks, personas.k, personas.features.n
    size = min(sample, max(round(DISTINCT * n), 2))
    kind = personas.fitted.posterior(blocks).argmax(axis=1)
    rng = np.random.default_rng([seed, 3])
    picked, indices = Counter[int](), []
    with threadpool_limits(1):
        for _ in range(times):
            rows = np.sort(rng.permutation(n)[:size])
            some = [part for block in blocks if (part := block.take(rows)).observed.any()]
            start = int(rng.integers(2**31))
            fits = {tried: mixture(some, tried, start, FEW) for tried in range(max(k - 1, 1), k + 2)}
            picked[min(fits, key=lambda tried: fits[tried].bic)] += 1
            indices.append(jaccard(kind[rows], fits[k].posterior(some).argmax(axis=1), k))
    found = np.array(indices)
    frame = pd.DataFrame({"persona": list(personas.labels), "estimate": found.mean(axis=0)})
    frame["low"], frame["high"] = np.quantile(found, (0.025, 0.975), axis=0)
    frame["n"] = size
    frame["customers"] = np.bincount(kind, minlength=k)
    frame["dissolved"] = (found < 0.5).mean(axis=0)
    frame["reading"] = [
        next(said for least, said in READINGS.items() if x >= least) for x in frame["estimate"]
    ]
    return Stability(frame, dict(picked), k, times)


def jaccard(one: Ints, other: Ints, k: int) -> Array:
    """(k,) Jaccard index of each group of `one` with its match among those of `other`; 0 for one of nobody.

    >>> jaccard(np.array([0, 0, 0, 1, 1]), np.array([1, 1, 0, 0, 0]), 2).round(3).tolist()
    [0.667, 0.667]
    """
    both = np.eye(k)[one].T @ np.eye(k)[other]
    either = both.sum(axis=1, keepdims=True) + both.sum(axis=0) - both
    index = both / np.maximum(either, 1)
    return np.asarray(index[linear_sum_assignment(index, maximize=True)])


__all__ = ["Stability", "jaccard", "stability"]
