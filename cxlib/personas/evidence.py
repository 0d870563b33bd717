"""How many kinds, and how do we know? Four questions, each with a world in which the answer is no.

1. Is the gain worth the parameters? The BIC, with one kind allowed.
2. Do kinds last? Kinds learnt from everybody's earlier visits must make the later ones likelier: a phase
   passes, a kind stays. The last kind must do so clearly, and so must all of them together, or it is dropped.
3. Is it kinds, and not degrees? One axis without gaps must explain less (see `axis`).
4. Would kinds have been found? Where one kind is found, two are planted in the same customers' contexts;
   if the method misses those too, it cannot tell.
And for comparison: what the same method makes of the same data with everything shuffled that is not context.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
import pandas as pd
from scipy.special import logsumexp

from cxlib.personas.axis import axis
from cxlib.personas.blocks import Answers, Array, Block, Choices, Ints, Measures, Values
from cxlib.personas.mixture import Mixture, em, mixture
from cxlib.results import Claim, Result, minimum, percent

PLANTED = 3000  # customers in whom kinds are planted; what they show is scaled to all
FACTOR, SHIFT = 2.0, 0.5  # planted: tastes apart by this factor, means by so many standard deviations
MOST = 10_000_000

Verdict = Literal["kinds", "one kind", "phases", "degrees", "cannot tell"]


@dataclass(frozen=True, eq=False)
class Evidence(Result):
    """What speaks for the number of kinds.

    frame : model (`1 kind`, ..., `one axis`), kinds, bic (above that of the chosen number), null (the same
    on shuffled data, above one kind), and for later visits given earlier ones: estimate, low, high (gain in
    log-likelihood a customer over one kind fewer), later (customers with both), n (customers)
    needed : customers who would be needed to find two planted kinds; only where one kind is found
    asked : the number of kinds was given and not found
    once : share of buyers who bought again, where they are so few that an occasion looks like a kind
    """

    k: int
    n: int
    verdict: Verdict
    frame: pd.DataFrame = field(repr=False)
    error: float
    needed: int | None = None
    asked: bool = False
    once: float | None = None

    def table(self) -> pd.DataFrame:
        """One row a model that was fitted."""
        return self.frame

    def claim(self) -> Claim:
        """The verdict in words."""
        unlike = f"two kinds whose tastes differ by a factor of {FACTOR:g}"
        if self.once is not None:
            return Claim(
                f"Cannot tell: of {self.n:,} customers only {percent(self.once)} bought more than once, so that "
                "what looks like a kind of customer may be the occasion."
            )
        if self.verdict == "cannot tell":
            more = (
                f"about {self.needed:,} would be needed"
                if self.needed and self.needed < MOST
                else "no number would be enough"
            )
            return Claim(
                f"Cannot tell: no kinds show among {self.n:,} customers, but {unlike} would not show either; "
                f"with such features {more}."
            )
        if self.verdict == "phases":
            return Claim(
                f"No kinds that last: the {self.n:,} customers differ from each other, but what they did "
                "earlier does not tell what they do later."
            )
        if self.verdict == "one kind":
            return Claim(f"There is one kind of customer among {self.n:,}; {unlike} would have been found.")
        if self.verdict == "degrees":
            return Claim(
                f"Customers differ by degree, along one axis without gaps: the {self.k} personas of {self.n:,} "
                f"customers are cuts for convenience, not kinds."
            )
        rows = self.frame.set_index("kinds")
        checked = self.k in rows.index and bool(rows.loc[self.k, "low"] > 0)
        lasts = (
            "what customers did earlier tells what they do later"
            if checked
            else "whether they last is unchecked"
        )
        first = f"{self.k} kinds were asked for" if self.asked else f"There are {self.k} kinds of customers"
        return Claim(
            f"{first} among {self.n:,}, and {lasts}; {percent(self.error)} would be assigned to a wrong one."
        )


def gather(
    blocks: Sequence[Block],
    fits: Mapping[int, Mixture],
    seed: int,
    fixed: int | None,
    once: float | None = None,
) -> Evidence:
    """All evidence from fits by number of kinds; `fixed`: the number that was asked for.

    `once`: the share of buyers who bought again, where hardly any did and there is little else.
    """
    # A persona of fewer customers than may be shown is an outlier, not a kind.
    large = [i for i, m in fits.items() if i == 1 or m.sizes.min() * m.n >= minimum()]
    best = min(large, key=lambda i: fits[i].bic)
    top = fixed or best
    later = {
        k: ahead(blocks, fits[k], fits[k - 1])
        for k in range(2, max(top, best) + 1)
        if k in fits and k - 1 in fits
    }
    while best > 1 and len(later.get(best, ())) > 1 and not _lasts(later, best):
        best -= 1
    if once is not None:
        best = 1
    k = fixed or best
    shuffled = shuffle(blocks, np.random.default_rng([seed, 1]))
    null = {i: mixture(shuffled, i, seed).bic for i in (1, 2)}
    frame = pd.DataFrame({"model": [f"{i} kind{'s' * (i > 1)}" for i in fits], "kinds": list(fits)})
    frame["bic"] = [m.bic - fits[k].bic for m in fits.values()]
    frame["null"] = [null[i] - null[1] if i in null else np.nan for i in fits]
    line = axis(blocks, fits[2]) if 2 in fits else None
    if line is not None:
        frame.loc[len(frame)] = ["one axis", None, line.bic - fits[k].bic, np.nan]
    frame["kinds"] = frame["kinds"].astype("Int64")
    gains = {i: _interval(v) for i, v in later.items() if len(v) > 1}
    for place, name in enumerate(("estimate", "low", "high", "later")):
        frame[name] = [
            gains.get(i, (np.nan,) * 3 + (0,))[place] for i in (*fits, *([0] if line is not None else []))
        ]
    frame["n"] = fits[k].n
    verdict: Verdict = (
        "kinds" if k > 1 else "phases" if fits[large[0]].bic > min(fits[i].bic for i in large) else "one kind"
    )
    if best > 1 and line is not None and line.bic < fits[best].bic:
        verdict = "degrees"
    needed = (
        power(blocks, fits[1], np.random.default_rng([seed, 2])) if k == 1 and verdict == "one kind" else None
    )
    if once is not None or (needed is not None and needed > fits[1].n):
        verdict = "cannot tell"
    error = float(1 - fits[k].posterior(blocks).max(axis=1).mean())
    return Evidence(k, fits[k].n, verdict, frame, error, needed, fixed not in (None, best), once)


def _lasts(later: Mapping[int, Array], k: int) -> bool:
    """Whether the k-th kind helps to tell later visits, and all k together do: against one kind, not only against
    k - 1 that may have been wrong by more."""
    every = sum((later[i] for i in range(2, k + 1)), np.zeros_like(later[k]))
    return _interval(later[k])[1] > 0 and _interval(every)[1] > 0


def _interval(values: Array) -> tuple[float, float, float, int]:
    mean, half = float(values.mean()), 1.96 * float(values.std(ddof=1)) / len(values) ** 0.5
    return mean, mean - half, mean + half, len(values)


def ahead(blocks: Sequence[Block], more: Mixture, fewer: Mixture) -> Array:
    """How much likelier (log) each customer's later visits are given the earlier ones: `more` kinds against `fewer`.

    Both are learnt on earlier visits alone, starting from their memberships.
    """
    choices = [i for i, b in enumerate(blocks) if isinstance(b, Choices) and b.part.any()]
    if not choices:
        return np.zeros(0)
    first, second = ([blocks[i].half(part) for i in choices] for part in (0, 1))  # type: ignore[union-attr]
    seen = np.any([b.observed for b in first], axis=0) & np.any([b.observed for b in second], axis=0)
    score = []
    for fitted in (more, fewer):
        learnt = em(first, fitted.posterior(blocks), 15)
        prior = np.log(np.maximum(learnt.posterior(first), 1e-300))
        joint = sum((b.density(p) for b, p in zip(second, learnt.params, strict=True)), prior)
        score.append(logsumexp(joint, axis=1))
    return (score[0] - score[1])[seen]


def shuffle(blocks: Sequence[Block], rng: np.random.Generator) -> list[Block]:
    """The same blocks without kinds: within each context, who chose what is drawn by lot; so is everything else."""
    return [_shuffled(block, rng) for block in blocks]


def _shuffled(block: Block, rng: np.random.Generator) -> Block:
    if isinstance(block, Choices):
        single = _single(block)
        lot = np.lexsort((rng.random(len(single.row)), single.context))
        here = np.argsort(single.context, kind="stable")
        option = np.empty_like(single.option)
        option[here] = single.option[lot]
        return replace(single, option=option)
    if isinstance(block, Values):
        return _drawn(block, rng, np.zeros(len(block.n)))
    lot = rng.permutation(len(block.observed))
    return (
        replace(block, code=block.code[lot])
        if isinstance(block, Answers)
        else replace(block, value=block.value[lot])
    )


def _single(block: Choices) -> Choices:
    """One entry a choice instead of one a count."""
    times = block.count.astype(np.int64)
    return replace(
        block,
        row=np.repeat(block.row, times),
        context=np.repeat(block.context, times),
        option=np.repeat(block.option, times),
        part=np.repeat(block.part, times),
        count=np.ones(int(times.sum())),
    )


def _drawn(block: Values, rng: np.random.Generator, shift: Array) -> Values:
    """Values drawn anew from one kind whose mean is shifted by person; the scatter within persons stays."""
    (mean,), (t2,), (s2,) = block.start(1)
    n = np.maximum(block.n, 1)
    means = mean + shift + np.sqrt(t2 + s2 / n) * rng.standard_normal(len(n))
    within = np.maximum(block.squares - block.total**2 / n, 0)
    seen = block.observed
    return replace(
        block, total=np.where(seen, n * means, 0.0), squares=np.where(seen, n * means**2 + within, 0.0)
    )


def power(blocks: Sequence[Block], one: Mixture, rng: np.random.Generator) -> int:
    """Customers needed to find two equally large kinds, planted in the contexts that some of these customers faced."""
    rows = np.sort(rng.permutation(one.n)[:PLANTED])
    side = rng.integers(0, 2, len(rows))
    planted = [_planted(block.take(rows), side, rng) for block in blocks]
    two = em(planted, np.eye(2)[side], 50)
    plain = em(planted, np.ones((len(rows), 1)), 30)
    # Twice the parameters: what a second kind gains by chance alone.
    gain = max(2 * (two.log_likelihood - plain.log_likelihood) - 2 * two.free, 0.0) / len(rows)
    counts = np.unique(np.geomspace(20, MOST, 400).astype(int))
    enough = counts[counts * gain > two.free * np.log(counts)]
    return int(enough[0]) if len(enough) else MOST


def _planted(block: Block, side: Ints, rng: np.random.Generator) -> Block:
    sign = np.where(side == 1, 1, -1)
    if isinstance(block, Values):
        _, (t2,), (s2,) = block.start(1)
        return _drawn(block, rng, sign * SHIFT / 2 * np.sqrt(t2 + s2))
    if isinstance(block, Measures):
        value = rng.permutation(block.value)
        return replace(block, value=value + sign * SHIFT / 2 * np.nanstd(value))
    tilt = np.where(rng.permutation(len(block.options)) % 2 == 0, 1.0, -1.0) * np.log(FACTOR) / 2
    taste = np.exp(np.outer([-1, 1], tilt))
    if isinstance(block, Answers):
        share = taste * block.made.mean(axis=0)
        return replace(block, code=np.where(block.observed, _pick(share[side], rng), -1))
    single = _single(block)
    _, usual = single.start(1)
    return replace(single, option=_pick(usual[single.context] * taste[side[single.row]], rng))


def _pick(weights: Array, rng: np.random.Generator) -> Ints:
    """One option a row, in proportion to the weights (rows, options)."""
    cumulative = weights.cumsum(axis=1)
    return (rng.random(len(weights))[:, None] * cumulative[:, -1:] >= cumulative[:, :-1]).sum(axis=1)


__all__ = ["Evidence", "Verdict", "ahead", "gather", "power", "shuffle"]
