"""What the kinds leave unexplained: features that still go together among customers of one kind.

A mixture takes its blocks as independent given the kind. Where two columns say the same thing twice that is wrong,
and the mixture pays with kinds that are none. For a feature a of one block and b of another the sum over customers i and
kinds k of p[i, k] r_a[i, k] r_b[i, k] (p the membership, r what was observed less what the kind leads to expect) is zero
in expectation if the model holds: a score test of the pair's missing interaction (Oberski, van Kollenburg and Vermunt
2013, Advances in Data Analysis and Classification 7). For two answers the sum is the observed less the expected count of the
bivariate residuals of Vermunt and Magidson (2005, Technical Guide for Latent GOLD).
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from cxlib.customers.blocks import TINY, Answers, Array, Block, Choices, Measures, Params
from cxlib.results import TOO_FEW, Claim, Result, nice
from cxlib.stats import benjamini_hochberg
from cxlib.stats.laws import norm

if TYPE_CHECKING:
    from cxlib.personas.model import Personas

CELL = 5.0  # customers expected with both, below which a pair is not judged (Cochran's rule)
RATE = 0.05  # of false discoveries


@dataclass(frozen=True, eq=False)
class Residuals(Result):
    """Pairs of features of different blocks, those that go together most surely first.

    frame : block, feature, with_block, with_feature, estimate (correlation left within kinds), low, high, n (customers
    with both), p (adjusted for the false discovery rate over all pairs)
    """

    ROWS = 8

    frame: pd.DataFrame = field(repr=False)

    def table(self) -> pd.DataFrame:
        """One row a pair that was judged."""
        return self.frame

    def shown(self) -> pd.DataFrame:
        """The strongest pair of each two blocks."""
        return self.frame.drop_duplicates(["block", "with_block"])

    def claim(self) -> Claim:
        """How many pairs still go together, and which the most."""
        table = self.visible()
        if table.empty:
            return TOO_FEW
        found = table[table["p"] <= RATE]
        pairs = f"of {len(table):,} pairs of features"
        if found.empty:
            return Claim(f"Within the personas nothing goes together that chance would not explain, {pairs}.")
        first = found.loc[found["estimate"].abs().idxmax()].to_dict()
        goes = "still goes" if len(found) == 1 else "still go"
        return Claim(
            f"Within the personas {len(found):,} {pairs} {goes} together (false discovery rate {RATE:.0%}); the "
            f"strongest: {' with '.join(feature_name(first))}, correlation {first['estimate']:+.2f} "
            f"({first['low']:+.2f} to {first['high']:+.2f})."
        )


def residuals(personas: Personas) -> Residuals:
    """The correlation left within kinds for every pair of features of different blocks.

    The interval takes customers as the independent units and the personas as given, which errs to the safe side: what
    was fitted to the same customers leaves a little less than chance would. Where the model's own variance is the
    larger, as for rare options, it counts. Pairs expected together in fewer than five customers are not judged.

    >>> import cxlib as cx
    >>> personas = cx.personas.fit(cx.personas.features(cx.open_study("demo")), k=2)
    >>> cx.personas.residuals(personas).table().columns.tolist()[:5]
    ['block', 'feature', 'with_block', 'with_feature', 'estimate']
    """
    blocks, fitted = personas.features.blocks, personas.fitted
    posterior = fitted.posterior(blocks)
    parts = [_left(block, params) for block, params in zip(blocks, fitted.params, strict=True)]
    left, spread = (np.concatenate([part[i] for part in parts], axis=2) for i in (0, 1))
    names = [(block.name, option) for block in blocks for option in block.options]
    seen = np.stack([block.observed for block in blocks for _ in block.options], axis=1).astype(float)
    k, _, size = left.shape
    both, scale, expected, empirical = np.zeros((4, size, size))
    for i in range(k):
        weighted = posterior[:, i, None] * left[i]
        both += weighted.T @ left[i]
        scale += (weighted * left[i]).T @ seen
        expected += (posterior[:, i, None] * spread[i]).T @ spread[i]
        for j in range(k):
            product = left[i] * left[j]
            empirical += (posterior[:, i, None] * posterior[:, j, None] * product).T @ product
    n = seen.T @ seen
    scale = np.sqrt(np.maximum(scale * scale.T, TINY))
    error = np.sqrt(np.maximum(np.maximum(empirical - both**2 / np.maximum(n, 1), expected), TINY))
    group = np.array([name for name, _ in names])
    a, b = np.nonzero(np.triu(group[:, None] != group) & (expected >= CELL))
    frame = pd.DataFrame([(*names[i], *names[j]) for i, j in zip(a, b, strict=True)])
    frame = frame.reindex(columns=range(4)).set_axis(
        ["block", "feature", "with_block", "with_feature"], axis=1
    )
    frame["estimate"] = (both / scale)[a, b]
    for end, sign in (("low", -1), ("high", 1)):
        frame[end] = np.clip((both + sign * 1.96 * error) / scale, -1, 1)[a, b]
    frame["n"] = n[a, b].astype(int)
    z = np.abs(both / error)[a, b]
    frame["p"] = benjamini_hochberg(2 * norm.sf(z))
    return Residuals(frame.iloc[np.argsort(-z, kind="stable")].reset_index(drop=True))


def feature_name(row: Mapping[Hashable, Any]) -> tuple[str, str]:
    """The two features of a pair in words: with the block's name where that is another."""
    pairs = ((row["block"], row["feature"]), (row["with_block"], row["with_feature"]))
    one, other = (nice(block) if block == name else f"{nice(block)} {nice(name)}" for block, name in pairs)
    return one, other


def _left(block: Block, params: Params) -> tuple[Array, Array]:
    """(kinds, persons, options) observed less expected, and its variance by the model; 0 where nothing was seen."""
    seen = block.observed[:, None].astype(float)
    if isinstance(block, Choices):
        # A customer's choices count as one: nobody weighs more for having come more often.
        taste, usual = params
        chance = taste[:, None] * usual
        chance = chance / np.maximum(chance.sum(axis=2, keepdims=True), TINY)
        total = np.maximum(block.made.sum(axis=1, keepdims=True), 1)
        expected = block.faced @ chance
        return (block.made - expected) / np.sqrt(total), (expected - block.faced @ chance**2) / total
    if isinstance(block, Answers):
        share = params[0][:, None]
        return seen * (block.made - share), seen * share * (1 - share)
    if isinstance(block, Measures):
        mean, variance = (column[:, None, None] for column in params[0].T)
        x = np.nan_to_num(block.value)[:, None]
        return seen * (x - mean) / np.sqrt(variance), seen * np.ones_like(mean)
    off = (block.filled - params[0][:, None]) * np.sqrt(block.precision(params))
    return off[:, :, None], np.broadcast_to(seen, (*off.shape, 1))


__all__ = ["RATE", "Residuals", "feature_name", "residuals"]
