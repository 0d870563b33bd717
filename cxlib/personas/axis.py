"""The rival of kinds: customers who differ by degree along one axis, without gaps.

A mixture cuts a continuum into as many kinds as it has data for. So the same blocks are also fitted
with one latent position u a person (standard normal, or evenly spread) on which logarithms of tastes
and means depend linearly: a latent trait instead of latent classes (Lubke and Neale 2006, Multivariate
Behavioral Research 41). Where that explains more for its parameters, there are no kinds to be found.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from cxlib.customers.blocks import TINY, Answers, Array, Block, Choices, Measures, Params, Values
from cxlib.personas.mixture import TOLERANCE, Mixture, shared

POINTS, STEPS = 9, 80


def axis(blocks: Sequence[Block], two: Mixture) -> Mixture:
    """The better of a normal and an even spread along one axis, begun at the contrast of `two` kinds."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(POINTS)
    even = np.linspace(-1, 1, POINTS) / np.linspace(-1, 1, POINTS).std()
    fits = [_fit(blocks, two, u, w / w.sum()) for u, w in ((nodes, weights), (even, np.ones(POINTS)))]
    return min(fits, key=lambda m: m.bic)


def _fit(blocks: Sequence[Block], two: Mixture, u: Array, sizes: Array) -> Mixture:
    params = [_begin(block, p, u) for block, p in zip(blocks, two.params, strict=True)]
    n, old = two.n, -np.inf
    for step in range(STEPS):
        fitted = Mixture(sizes, tuple(params), 0.0, n, 0)
        total, weights = shared(fitted.joint(blocks))
        value = float(total.sum())
        if step > 3 and value - old < TOLERANCE * n:
            break
        old = value
        params = [_bend(block, weights, p, u) for block, p in zip(blocks, params, strict=True)]
    free = sum(b.free(2) if isinstance(b, Choices | Answers) else 1 for b in blocks)
    return Mixture(sizes, fitted.params, value, n, free)


def _begin(block: Block, params: Params, u: Array) -> Params:
    """Parameters along the axis from those of two kinds, a standard deviation to either side."""
    if isinstance(block, Measures):
        mean, variance = params[0].T
        line = mean.mean() + u * (mean[0] - mean[1]) / 2
        return np.stack([line, np.full(len(u), variance.mean())], axis=1), params[1]
    logs = params[0] if isinstance(block, Values) else np.log(np.maximum(params[0], 1e-9))
    line = logs.mean(axis=0) + np.multiply.outer(u, (logs[0] - logs[1]) / 2)
    if isinstance(block, Values):
        return (line, *params[1:])
    taste = np.exp(line)
    return ((taste / taste.sum(axis=1, keepdims=True)) if isinstance(block, Answers) else taste, *params[1:])


def _bend(block: Block, weights: Array, params: Params, u: Array) -> Params:
    """The M-step under linearity in u."""
    if isinstance(block, Choices):
        taste, usual = params
        made, faced = weights.T @ block.made, weights.T @ block.faced
        taste = _step(taste, made, taste * ((faced / np.maximum(taste @ usual.T, TINY)) @ usual), u)
        usual = block.pooled / np.maximum((faced / np.maximum(taste @ usual.T, TINY)).T @ taste, TINY)
        return taste, usual / np.maximum(usual.sum(axis=1, keepdims=True), TINY)
    if isinstance(block, Answers):
        made = weights.T @ block.made
        taste = _step(params[0], made, params[0] * made.sum(axis=1, keepdims=True), u)
        return (taste / taste.sum(axis=1, keepdims=True),)
    if isinstance(block, Values):
        _, *rest = block.fit(weights, params)
        size = block.precision(params)
        return (_line(weights * size[:, None], block.filled, u), *rest)
    seen = weights * block.observed[:, None]
    line = _line(seen, np.nan_to_num(block.value), u)
    off = (seen * (np.nan_to_num(block.value)[:, None] - line) ** 2).sum() / max(seen.sum(), TINY)
    return np.stack([line, np.full(len(u), max(off, float(params[1][0])))], axis=1), params[1]


def _step(taste: Array, made: Array, expected: Array, u: Array) -> Array:
    """A step of minorisation for log taste = a + b u: the Hessian is bounded by its diagonal blocks."""
    gap = made - expected
    e0, e1, e2 = expected.sum(axis=0), u @ expected, (u * u) @ expected
    g0, g1 = gap.sum(axis=0), u @ gap
    e0, e2 = e0 + 1, e2 + 1
    det = np.maximum(e0 * e2 - e1**2, TINY)
    a, b = (e2 * g0 - e1 * g1) / det, (e0 * g1 - e1 * g0) / det
    return taste * np.exp(np.clip(a + np.multiply.outer(u, b), -2, 2))


def _line(weights: Array, values: Array, u: Array) -> Array:
    """Weighted least squares of values (persons,) on u, with weights (persons, points); fitted at each point."""
    s0, s1, s2 = weights.sum(), (weights @ u).sum(), (weights @ (u * u)).sum()
    t0, t1 = (weights.sum(axis=1) * values).sum(), ((weights @ u) * values).sum()
    det = max(s0 * s2 - s1**2, TINY)
    return (s2 * t0 - s1 * t1) / det + u * (s0 * t1 - s1 * t0) / det
