"""How many kinds, and how do we know? Four questions, each with a world in which the answer is no.

1. Is the gain worth the parameters? The BIC, with one kind allowed.
2. Do kinds last? Kinds learnt from everybody's earlier visits must make the later ones likelier: a phase
   passes, a kind stays. The last kind must do so clearly, and so must all of them together, or it is dropped.
3. Is it kinds, and not degrees? One axis without gaps must explain less (see `axis`).
4. Would kinds have been found? Where one kind is found, two are planted in the same customers' contexts;
   if the method misses those too, it cannot tell.

And three for comparison, which choose nothing and are answered when the table is asked for:
what the same method finds in a world drawn from the fitted model with one kind; whether a further kind, learnt
from half of the customers, makes what the others did likelier; and how far k-means would agree.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Literal

import numpy as np
import pandas as pd
from scipy.special import logsumexp

from cxlib.customers.blocks import TINY, Answers, Array, Block, Choices, Ints, Measures, Params, Values
from cxlib.customers.columns import skew
from cxlib.personas.axis import axis
from cxlib.personas.mixture import Mixture, em, mixture, shared
from cxlib.personas.words import differences, labels, letter
from cxlib.results import Claim, Result, minimum, percent

PLANTED = 3000  # customers in whom kinds are planted; what they show is scaled to all
FACTOR, SHIFT = 2.0, 0.5  # planted: tastes apart by this factor, means by so many standard deviations
MOST = 10_000_000
SKEWED, FEW = 2.0, 2  # beyond it a logarithm is taken for k-means; starts where much is fitted
COMPARED = 5000  # customers, drawn by lot, for what is compared and does not choose

Verdict = Literal["kinds", "one kind", "phases", "degrees", "cannot tell"]


@dataclass(frozen=True, eq=False)
class Evidence(Result):
    """What speaks for the number of kinds.

    frame : model (`1 kind`, ..., `one axis`), kinds, bic (above that of the chosen number), and for later visits
    given earlier ones: estimate, low, high (gain in log-likelihood a customer over one kind fewer), later
    (customers with both), n (customers)
    needed : customers who would be needed to find two planted kinds; only where one kind is found
    asked : the number of kinds was given and not found
    once : share of buyers who bought again, where they are so few that an occasion looks like a kind
    along : where customers differ by degree: from what to what, and in which order the personas cut it
    blocks, fits, seed : what it was gathered from
    """

    k: int
    n: int
    verdict: Verdict
    frame: pd.DataFrame = field(repr=False)
    error: float
    needed: int | None = None
    asked: bool = False
    once: float | None = None
    along: str = ""
    blocks: Sequence[Block] = field(default=(), repr=False)
    fits: Mapping[int, Mixture] = field(default_factory=dict, repr=False)
    seed: int = 0

    @cached_property
    def compared(self) -> pd.DataFrame:
        """By kinds: null (BIC above one kind in a world drawn with one), others with others_low and others_high (gain
        in log-likelihood a customer over one kind fewer, learnt from other customers), agreement (adjusted Rand index
        with k-means of the same number), compared (customers drawn by lot for this)."""
        lot = np.random.default_rng([self.seed, 1])
        rows = np.sort(lot.permutation(self.fits[1].n)[:COMPARED])
        some = [block.take(rows) for block in self.blocks]
        world = drawn(some, self.fits[1], np.zeros(len(rows), dtype=np.int64), lot)
        world = [block for block in world if block.observed.any()]
        null: dict[int, float] = {}
        for k in self.fits:
            null[k] = mixture(world, k, self.seed).bic
            if null[k] > min(null.values()):
                break
        scores = others(some, [k for k in self.fits if k <= self.k + 1], lot)
        gains = {k: _interval(scores[k] - scores[k - 1])[:3] for k in scores if k - 1 in scores}
        table = pd.DataFrame(index=pd.Index(self.fits, name="kinds"))
        table["null"] = pd.Series(null) - null[1]
        for place, name in enumerate(("others", "others_low", "others_high")):
            table[name] = pd.Series({k: gain[place] for k, gain in gains.items()}, dtype=float)
        plain = numbers(some)
        table["agreement"] = [
            _agreement(plain, self.fits[k].posterior(some).argmax(axis=1), self.seed) if k > 1 else np.nan
            for k in self.fits
        ]
        table["compared"] = len(rows)
        return table

    def table(self) -> pd.DataFrame:
        """One row a model that was fitted: `frame`, and `compared` beside it."""
        whole = self.frame.join(self.compared, on="kinds") if self.fits else self.frame
        return whole.assign(compared=whole["compared"].astype("Int64")) if self.fits else whole

    def null(self) -> Claim:
        """What the method finds where there is one kind."""
        if len(self.fits) == 1:
            return Claim("No second number of kinds was tried.")
        found = int(self.compared["null"].idxmin())
        said = f"In a world drawn with one kind of customer, who face what these did, the same method finds {found}"
        return Claim(f"{said}." if found == 1 else f"{said}: what it finds here is in doubt.")

    def foretells(self) -> Claim:
        """Whether the last kind, and one more, make what other customers do likelier."""
        said = []
        for k, which in ((self.k, "The last kind kept"), (self.k + 1, "One kind more")):
            gain, low, high = self.compared.reindex([k]).iloc[0][["others", "others_low", "others_high"]]
            if np.isfinite(gain):
                does = "foretells" if low > 0 else "foretells worse" if high < 0 else "does not change"
                said.append(f"{which} {does} what other customers do ({low:+.3f} to {high:+.3f} a customer)")
        return Claim(f"{'. '.join(said)}." if said else "No second number of kinds was tried.")

    def degrees(self) -> Claim:
        """Whether one axis without gaps explains more than the kinds do."""
        line = self.frame.loc[self.frame["kinds"].isna(), "bic"]
        if line.empty or self.k == 1:
            return Claim("With one kind there is nothing that an axis could explain better.")
        which = "better" if line.item() < 0 else "worse"
        ends = self.along if self.verdict == "degrees" else ""
        return Claim(
            f"One axis without gaps{ends} explains these customers {which} than {self.k} kinds do (BIC {line.item():+,.0f})."
        )

    def agrees(self) -> Claim:
        """How far k-means would put the same customers together."""
        if self.k == 1:
            return Claim("With one kind there is nothing for k-means to agree with.")
        index = self.compared["agreement"]
        said = f"K-means with {self.k} clusters agrees with the personas by {index[self.k]:.2f} (1 would be the same, 0 chance)"
        return Claim(f"{said}; with {index.idxmax()} it agrees the most, by {index.max():.2f}.")

    def claim(self) -> Claim:
        """The verdict in words."""
        unlike = f"two kinds whose tastes differ by a factor of {FACTOR:g}"
        if self.once is not None:
            return Claim(
                f"Cannot tell: of {self.n:,} customers only {percent(self.once)} bought more than once, so that "
                "what looks like a kind of customer may be the occasion."
            )
        if list(self.fits) == [1]:
            return Claim(
                f"One kind was asked for among {self.n:,} customers; whether there are more was not looked at."
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
                f"A continuum: the {self.n:,} customers differ by degree, along one axis without gaps{self.along}. "
                "Personas are slices of it, cut for convenience: no kinds."
            )
        rows = self.frame.set_index("kinds")
        lasts = "whether they last is unchecked"
        if self.k in rows.index and rows.loc[self.k, "later"] > 1:
            tells = "tells" if rows.loc[self.k, "low"] > 0 else "does not clearly tell"
            lasts = f"what customers did earlier {tells} what they do later"
        least = "at least " if self.fits and self.k == max(self.fits) else ""  # more were not tried
        first = (
            f"{self.k} kinds were asked for"
            if self.asked
            else f"There are {least}{self.k} kinds of customers"
        )
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
    frame = pd.DataFrame({"model": [f"{i} kind{'s' * (i > 1)}" for i in fits], "kinds": list(fits)})
    frame["bic"] = [m.bic - fits[k].bic for m in fits.values()]
    line = axis(blocks, fits[2]) if 2 in fits else None
    if line is not None:
        frame.loc[len(frame)] = ["one axis", None, line.bic - fits[k].bic]
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
    along = ""
    if best > 1 and line is not None and line.bic < fits[best].bic:
        verdict, along = "degrees", _along(blocks, line, fits[k])
    needed = (
        power(blocks, fits[1], np.random.default_rng([seed, 2])) if k == 1 and verdict == "one kind" else None
    )
    if once is not None or (needed is not None and needed > fits[1].n):
        verdict = "cannot tell"
    error = float(1 - fits[k].posterior(blocks).max(axis=1).mean())
    asked = fixed not in (None, best)
    return Evidence(
        k, fits[k].n, verdict, frame, error, needed, asked, once, along, tuple(blocks), dict(fits), seed
    )


def _along(blocks: Sequence[Block], line: Mixture, kinds: Mixture) -> str:
    """What lies at either end of an axis, and in which order kinds lie along it."""
    place = line.posterior(blocks)  # nodes are in order
    half = line.k // 2
    ends = np.stack([place[:, :half].sum(axis=1), place[:, -half:].sum(axis=1)], axis=1)
    low, high = (name.partition(": ")[2] for name in labels(differences(blocks, ends), 2))
    said = f", from customers with {low} to those with {high}"
    if kinds.k == 1:
        return said
    weights = kinds.posterior(blocks)
    mean = weights.T @ (place @ np.arange(line.k)) / weights.sum(axis=0)
    return f"{said} (in this order: {', '.join(letter(int(i)) for i in np.argsort(mean))})"


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
    second = [_met(b, of) for b, of in zip(second, first, strict=True)]
    seen = np.any([b.observed for b in first], axis=0) & np.any([b.observed for b in second], axis=0)
    score = []
    for fitted in (more, fewer):
        learnt = em(first, fitted.posterior(blocks), 15)
        prior = np.log(np.maximum(learnt.posterior(first), 1e-300))
        joint = sum((b.density(p) for b, p in zip(second, learnt.params, strict=True)), prior)
        score.append(logsumexp(joint, axis=1))
    return (score[0] - score[1])[seen]


def _met(block: Block, learnt: Block) -> Block:
    """Without choices in contexts that nobody faced where the parameters were learnt: nothing is usual there."""
    if not (isinstance(block, Choices) and isinstance(learnt, Choices)):
        return block
    return block._only(learnt.pooled.sum(axis=1)[block.context] > 0)


def others(blocks: Sequence[Block], fits: Iterable[int], rng: np.random.Generator) -> dict[int, Array]:
    """By number of kinds the log-likelihood of each customer, learnt from the half of customers they are not in.

    With fresh starts: what was fitted to everybody knows the other half.
    """
    n = len(blocks[0].observed)
    side, seed = rng.permutation(n) % 2, int(rng.integers(2**31))
    score = {k: np.zeros(n) for k in fits}
    for part in (0, 1):
        taught, judged = np.flatnonzero(side == part), np.flatnonzero(side != part)
        first, second = [], []
        for block in blocks:
            if (seen := block.take(taught)).observed.any():
                first.append(seen)
                second.append(_met(block.take(judged), seen))
        for k in score:
            score[k][judged] = shared(mixture(first, k, seed, FEW).joint(second))[0]
    return score


def numbers(blocks: Sequence[Block]) -> Array:
    """What k-means is usually given: (persons, features), shares and means, by their logarithm where skewed,
    standardised, the mean where there is none."""
    seen = [block for block in blocks if block.observed.any()]
    columns = [np.where(np.isfinite(x), x, np.nanmean(x)) for block in seen for _, x in block.columns()]
    x = np.stack([column for column in columns if column.std() > 1e-9], axis=1)
    skewed = (x.min(axis=0) >= 0) & (np.array([skew(column) for column in x.T]) > SKEWED)
    x[:, skewed] = np.log(x[:, skewed] + x[:, skewed].mean(axis=0))
    return np.asarray((x - x.mean(axis=0)) / x.std(axis=0))


def _agreement(plain: Array, kind: Ints, seed: int) -> float:
    from sklearn.cluster import KMeans
    from sklearn.metrics import adjusted_rand_score

    means = KMeans(int(kind.max()) + 1, n_init=5, random_state=seed).fit(plain)
    return float(adjusted_rand_score(kind, means.labels_))


def drawn(blocks: Sequence[Block], fitted: Mixture, kind: Ints, rng: np.random.Generator) -> list[Block]:
    """A world drawn from a fitted mixture: the same customers, of the kinds given, face the same contexts.

    Answers come from the kind's shares, values from its normal with a level of the person's own; who gave none
    gives none. Customers of one kind drawn from the model with one are what the null run is about.
    """
    return [_drawn(block, params, kind, rng) for block, params in zip(blocks, fitted.params, strict=True)]


def _drawn(block: Block, params: Params, kind: Ints, rng: np.random.Generator) -> Block:
    if isinstance(block, Choices):
        taste, usual = params
        times = block.count.astype(np.int64)  # one entry a choice instead of one a count
        row, context, part = (np.repeat(of, times) for of in (block.row, block.context, block.part))
        chance = (taste[:, None] * usual).reshape(-1, len(block.options))
        option = _pick(chance, kind[row] * len(usual) + context, rng)
        return replace(block, row=row, context=context, option=option, part=part, count=np.ones(len(row)))
    if isinstance(block, Answers):
        return replace(block, code=np.where(block.observed, _pick(params[0], kind, rng), -1), raw=None)
    if isinstance(block, Measures):
        mean, variance = params[0][kind].T
        value = np.where(block.observed, rng.normal(mean, np.sqrt(variance)), np.nan)
        return replace(block, value=value)
    mean, (t2,), (s2,) = params
    n = np.maximum(block.n, 1)
    means = mean[kind] + np.sqrt(t2 + s2 / n) * rng.standard_normal(len(n))
    within = 2 * s2 * rng.gamma((n - 1) / 2)
    return replace(block, total=block.n * means, squares=block.observed * (n * means**2 + within))


def _pick(chance: Array, row: Ints, rng: np.random.Generator) -> Ints:
    """An option for each entry of `row`, in proportion to that row of `chance` (rows, options)."""
    options = chance.shape[1]
    steps = chance.cumsum(axis=1)
    steps = steps / np.maximum(steps[:, -1:], TINY) + np.arange(len(chance))[:, None]
    place = np.searchsorted(steps.ravel(), row + rng.random(len(row)), side="right")
    return np.asarray(np.minimum(place - row * options, options - 1))


def power(blocks: Sequence[Block], one: Mixture, rng: np.random.Generator) -> int:
    """Customers needed to find two equally large kinds, planted in the contexts that some of these customers faced."""
    rows = np.sort(rng.permutation(one.n)[:PLANTED])
    some = [block.take(rows) for block in blocks]
    apart = tuple(_apart(block, params, rng) for block, params in zip(some, one.params, strict=True))
    side = rng.integers(0, 2, len(rows))
    planted = drawn(some, replace(one, params=apart), side, rng)
    two = em(planted, np.eye(2)[side], 50)
    plain = em(planted, np.ones((len(rows), 1)), 30)
    # Twice the parameters: what a second kind gains by chance alone.
    gain = max(2 * (two.log_likelihood - plain.log_likelihood) - 2 * two.free, 0.0) / len(rows)
    counts = np.unique(np.geomspace(20, MOST, 400).astype(int))
    enough = counts[counts * gain > two.free * np.log(counts)]
    return int(enough[0]) if len(enough) else MOST


def _apart(block: Block, params: Params, rng: np.random.Generator) -> Params:
    """Parameters of two kinds to either side of the one fitted."""
    sign = np.array([-1, 1])
    if isinstance(block, Values):
        return params[0] + sign * SHIFT / 2 * np.sqrt(params[1] + params[2]), *params[1:]
    if isinstance(block, Measures):
        mean, variance = params[0][0]
        means = mean + sign * SHIFT / 2 * np.sqrt(variance)
        return np.stack([means, np.full(2, variance)], axis=1), *params[1:]
    tilt = np.where(rng.permutation(len(block.options)) % 2 == 0, 1.0, -1.0) * np.log(FACTOR) / 2
    return params[0] * np.exp(np.outer(sign, tilt)), *params[1:]


__all__ = ["FEW", "Evidence", "Verdict", "ahead", "drawn", "gather", "others", "power"]
