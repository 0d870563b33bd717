"""EM for a mixture over blocks, and for one latent axis in place of kinds.

Rows are persons. Everything is deterministic given the seed: responsibilities are started at random
on a sample, the best starts are carried on with everybody, and kinds are ordered by size.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from cxlib.customers.blocks import Array, Block, Params

STARTS, KEPT, SAMPLE = 6, 2, 2000
FIRST, SHORT, LONG = 10, 15, 150  # steps of all starts, of those kept, and of the best with everybody
TOLERANCE = 1e-5  # the gain a person in log-likelihood that ends them


@dataclass(frozen=True)
class Mixture:
    """A fitted mixture of k kinds: sizes (k,), the parameters of each block, log-likelihood of `n` persons."""

    sizes: Array
    params: tuple[Params, ...]
    log_likelihood: float
    n: int
    free: int

    @property
    def k(self) -> int:
        """Number of kinds."""
        return len(self.sizes)

    @property
    def bic(self) -> float:
        """Bayesian information criterion, smaller is better; parameters that all kinds share are not counted."""
        return -2 * self.log_likelihood + self.free * float(np.log(self.n))

    def joint(self, blocks: Sequence[Block]) -> Array:
        """(persons, kinds) log-likelihood and log size."""
        densities = (block.density(params) for block, params in zip(blocks, self.params, strict=True))
        return sum(densities, np.log(np.maximum(self.sizes, 1e-300)))

    def posterior(self, blocks: Sequence[Block]) -> Array:
        """(persons, kinds) probabilities; rows sum to 1."""
        return shared(self.joint(blocks))[1]


def shared(joint: Array) -> tuple[Array, Array]:
    """The logarithm of each row's sum, and its parts' shares of that: (persons,) and (persons, kinds)."""
    most = joint.max(axis=1)
    total = most + np.log(np.exp(joint - most[:, None]).sum(axis=1))
    return total, np.exp(joint - total[:, None])


def em(blocks: Sequence[Block], weights: Array, steps: int) -> Mixture:
    """Steps of EM from responsibilities `weights` (persons, kinds), until a step gains too little."""
    n, k = weights.shape
    params = tuple(block.start(k) for block in blocks)
    old = -np.inf
    for step in range(max(steps, 1)):
        params = tuple(block.fit(weights, p) for block, p in zip(blocks, params, strict=True))
        fitted = Mixture(weights.mean(axis=0), params, 0.0, n, 0)
        total, weights = shared(fitted.joint(blocks))
        value = float(total.sum())
        if step > 3 and value - old < TOLERANCE * n:
            break
        old = value
    free = k - 1 + sum(block.free(k) for block in blocks)
    return Mixture(fitted.sizes, params, value, n, free)


def mixture(blocks: Sequence[Block], k: int, seed: int = 0, starts: int = STARTS) -> Mixture:
    """The best of several starts with k kinds, the largest kind first.

    Short runs of all starts, longer ones of the best, the best of these with everybody (Biernacki, Celeux and
    Govaert 2003, Computational Statistics and Data Analysis 41).
    """
    n = len(blocks[0].observed)
    if k == 1:
        return em(blocks, np.ones((n, 1)), 30)
    rng = np.random.default_rng([seed, k])
    sample: Any = np.sort(rng.permutation(n)[:SAMPLE])
    some = [block.take(sample) for block in blocks]
    tried = [em(some, rng.dirichlet(np.full(k, 0.5), len(sample)), FIRST) for _ in range(starts)]
    kept = sorted(tried, key=lambda m: -m.log_likelihood)[:KEPT]
    best = max((em(some, m.posterior(some), SHORT) for m in kept), key=lambda m: m.log_likelihood)
    # Parameters start anew: a sample has not seen every context.
    return ordered(em(blocks, best.posterior(blocks), LONG))


def ordered(fitted: Mixture) -> Mixture:
    """The same with the largest kind first."""
    order = np.argsort(-fitted.sizes, kind="stable")
    params = tuple((p[0][order], *p[1:]) for p in fitted.params)
    return replace(fitted, sizes=fitted.sizes[order], params=params)


def packed(fits: Mapping[int, Mixture]) -> pd.DataFrame:
    """Fits as a frame that can be remembered: one row each, all of its parameters as one list."""
    rows = [
        (m.k, m.log_likelihood, m.n, m.free, np.concatenate([m.sizes, *(a.ravel() for p in m.params for a in p)]))
        for m in fits.values()
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=["k", "log_likelihood", "n", "free", "numbers"])


def unpacked(frame: pd.DataFrame, blocks: Sequence[Block]) -> dict[int, Mixture]:
    """The fits of `packed`, to the last digit; the blocks know the shapes of their parameters."""
    fits = {}
    for k, value, n, free, numbers in frame.itertuples(index=False):
        rest = np.asarray(numbers, float)
        sizes, rest = rest[:k], rest[k:]
        params = []
        for block in blocks:
            part = []
            for shape in (array.shape for array in block.start(k)):
                part.append(rest[: np.prod(shape)].reshape(shape))
                rest = rest[np.prod(shape) :]
            params.append(tuple(part))
        fits[int(k)] = Mixture(sizes, tuple(params), float(value), int(n), int(free))
    return fits
