"""Personas over time: do customers change persona, and do the personas themselves change?

To assign each customer in each period and count who changed is to count mistakes: two readings that are
each wrong one time in five disagree one time in three where nobody moves. So movement is estimated by
maximum likelihood with the measurement fixed: a latent Markov chain in three steps (Bartolucci, Montanari
and Pandolfi 2015, Advances in Data Analysis and Classification 9; Di Mari, Oberski and Vermunt 2016,
Structural Equation Modeling 23). That is a mixture of densities that are known, those of customers who
stayed and those of customers who moved: it has one maximum, and holds at the border where nobody moves.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import pandas as pd
from scipy import special
from scipy.optimize import brentq
from threadpoolctl import threadpool_limits

from cxlib import stats
from cxlib.customers.blocks import TINY, Array, Block, Choices, Params, Values, aligned
from cxlib.customers.features import Features, features
from cxlib.customers.sources import is_study
from cxlib.errors import CxValueError
from cxlib.personas.mixture import Mixture
from cxlib.personas.model import Personas
from cxlib.rates import Counts
from cxlib.results import EVERYWHERE, TOO_FEW, Claim, minimum, nice, number, percent, visible
from cxlib.stats.laws import chi2

if TYPE_CHECKING:
    from cxlib.study import Study

COLUMNS = ["period", "persona", "block", "feature", "estimate", "low", "high", "n", "customers", "q"]
MONTHS = {"month": 1, "quarter": 3, "half": 6, "year": 12}
STEPS = 100  # of EM, at most
GROUPS = 10  # of customers, of which the intervals of sizes leave out one at a time
ROUNDS = 40  # at most, in which a period's sizes and contexts are learnt while the kinds stay as they are
CLOSE = 1e-7  # gain a person in log-likelihood that ends EM


@dataclass(frozen=True, eq=False)
class Movement(Counts):
    """Who changed persona from one period to the next.

    `frame`: since, until (the days on which the two periods begin), persona, estimate (share of those of this
    persona in the first period who are of another in the second), low, high, n (customers seen in both),
    customers (those of them assigned to the persona in the first), naive (share of these who are assigned
    to another one in the second). The first row of a pair of periods, "(all)", is everybody.
    """


@dataclass(frozen=True, eq=False)
class Drift(Counts):
    """Whether the personas' tastes in each period are what they are over the whole time.

    `frame`: period, persona, block, feature, estimate (how many times as often as the persona as fitted would
    choose it, facing what its customers faced in the period), low, high, n (customers), customers
    (assigned to the persona), q (rows of at most q are a list with a false discovery rate of at most q),
    the smallest q first. `sizes`: period, persona, estimate (share of the period's customers), low, high, n,
    customers.
    """

    ROWS: ClassVar = 8
    sizes: pd.DataFrame = field(default_factory=pd.DataFrame, repr=False)

    def advice(self) -> Claim:
        """What to do next."""
        if (self.frame["q"] < 0.05).any():
            return Claim(
                "Next: fit the personas anew to the latest period, and tell those who use them what changed."
            )
        return Claim(
            "Next: keep these personas, place newcomers as they come, and look again when a period is over."
        )


def periods(study: Study, every: str = "half") -> dict[str, Features]:
    """Features of each month, quarter, half or year of the calendar, under the day on which it begins.

    >>> import cxlib as cx
    >>> list(cx.personas.periods(cx.open_study("demo"), "half"))
    ['2025-01-01', '2025-07-01']
    """
    if every not in MONTHS:
        raise CxValueError(f"every is `{every}`; it is one of {', '.join(MONTHS)}.")
    table, months = (
        is_study(study).table("touchpoints" if study.has("touchpoints") else "orders"),
        MONTHS[every],
    )
    ends = study.fetch(table.aggregate(first=table.ts.min(), last=table.ts.max())).iloc[0]
    first, last = (pd.Timestamp(end).tz_localize(None) for end in ends)
    begin = pd.Timestamp(first.year, 1 + (first.month - 1) // months * months, 1)
    days = pd.date_range(begin, last + pd.DateOffset(months=months), freq=f"{months}MS")
    return {f"{since:%Y-%m-%d}": features(study, since=since, until=until) for since, until in pairwise(days)}


@threadpool_limits.wrap(limits=1)  # threads make many small products slower
def movement(personas: Personas, study: Study | Mapping[str, Features], every: str = "half") -> Movement:
    """The share of customers who changed persona from one period to the next, and what counting would say.

    `study`: a study, cut into periods by `every` (see `periods`), or features under the names of periods. Only what was done in a period
    tells of it: choices, order values, satisfaction; what a customer declared once says nothing of change.
    The kinds stay as they were fitted; what is usual in each context is learnt in each period, as that is
    nobody's trait. Customers seen in both periods count. Who moves is taken to go to the other personas in
    proportion to their sizes in the second period. Intervals (95 %) are by profile likelihood. They do not
    know that personas and contexts were estimated (of customers seen choosing eight times in a period they cover
    92 %, of those seen 16 times 95); and where customers of one persona differ for good, both periods
    show it and the estimate is low, by about a tenth of itself on the simulated company. Without two
    personas, or two periods, the table is empty.

    >>> import cxlib as cx
    >>> study = cx.open_study("demo")
    >>> found = movement(cx.personas.fit(cx.personas.features(study), k=2), study).table().iloc[0]
    >>> found["persona"], bool(found["low"] < 0.05 < found["naive"])
    ('(all)', True)
    """
    read, rows = [], []
    for name, given in (study if isinstance(study, Mapping) else periods(study, every)).items():
        known, blocks = _known(personas, given, (Choices, Values))
        if blocks and personas.k > 1:
            read.append((name, given.persons, known.posterior(blocks), known.sizes))
    for (since, here, first, before), (until, there, second, after) in pairwise(read):
        _, i, j = np.intersect1d(here, there, return_indices=True)
        moved = _moved(personas.labels, first[i], second[j], before, after) if len(i) else []
        rows += [{"since": since, "until": until, **row} for row in moved]
    said = "With one persona, in one period, or with no record of what customers do, nobody can change."
    for row in [row for row in rows if row["persona"] == EVERYWHERE][-1:]:
        said = (
            f"Of {row['n']:,} customers seen in the periods from {row['since']} and from {row['until']} on, "
            f"{percent(row['estimate'])} changed persona ({percent(row['low'])} to {percent(row['high'])}); "
            f"by their likeliest personas alone it would be {percent(row['naive'])}."
        )
        said = said if row["n"] >= minimum() else TOO_FEW
    return Movement(pd.DataFrame(rows), said, ("estimate", "low", "high", "naive"))


@threadpool_limits.wrap(limits=1)
def drift(personas: Personas, study: Study | Mapping[str, Features], every: str = "half") -> Drift:
    """Whether the personas themselves have changed: their sizes, and each taste against what it was fitted as.

    `study` and `every` as for `movement`. The kinds stay as they were fitted, so no label can be taken for
    another; sizes and what is usual in each context are learnt in each period (intervals of sizes learn them
    anew without each tenth of the customers). What is chosen by the customers
    of a persona, each counting by their probability, is compared with what the persona would choose: in
    expectation they are the same where nothing drifts (it is the likelihood's score). Ratios are drawn
    towards 1 by customers who are assigned wrongly: read them as "at least". Intervals leave out one fold of
    customers at a time, on the log scale; options with an expected count under `stats.ENOUGH` are left out.
    The personas were fitted to the same customers, so a false alarm is rarer than q says.

    >>> import cxlib as cx
    >>> study = cx.open_study("demo")
    >>> found = drift(cx.personas.fit(cx.personas.features(study), k=2), study)
    >>> found.sizes["period"].nunique(), bool((found.table()["q"] > 0.05).all())
    (2, True)
    """
    tables, sizes = [], []
    for name, given in (study if isinstance(study, Mapping) else periods(study, every)).items():
        known, blocks = _known(personas, given)
        weights, fold = known.posterior(blocks), stats.folds_of(given.persons)
        size = stats.jackknife(np.eye(GROUPS), partial(_without, known, blocks, fold % GROUPS), "logit")
        assigned = np.bincount(weights.argmax(axis=1), minlength=personas.k)
        ends = {"estimate": size.estimate, "low": size.low, "high": size.high}
        sized = pd.DataFrame({"period": name, "persona": personas.labels, **ends})
        sizes.append(sized.assign(n=given.n, customers=assigned))
        for block, params in zip(blocks, known.params, strict=True):
            if not isinstance(block, Choices) or personas.k == 1:
                continue
            by_fold = _chosen(block, params, weights, fold)
            ratio = stats.jackknife(by_fold, lambda total: total[:, 0] / total[:, 1], "log")
            enough = by_fold.sum(axis=0).min(axis=0) >= stats.ENOUGH
            kind, option = np.nonzero(enough)
            table = sizes[-1].loc[kind, ["period", "persona", "n", "customers"]].assign(block=block.name)
            table["feature"] = [block.options[j] for j in option]
            tables.append(table.assign(**{key: part[enough] for key, part in ratio._asdict().items()}))
    if not sizes:
        raise CxValueError("There is no period to look at.")
    whole = pd.concat(sizes, ignore_index=True)
    if not tables:
        some = personas.k > 1 and any(isinstance(block, Choices) for block in personas.features.blocks)
        said = TOO_FEW if some else "With one persona, or nothing to choose, there are no tastes to compare."
        return Drift(pd.DataFrame(columns=COLUMNS), said, (), whole)
    frame = pd.concat(tables, ignore_index=True)
    z = frame["estimate"] * np.log(frame["estimate"]) / frame["se"]
    frame["q"] = stats.benjamini_hochberg(2 * special.stdtr(stats.FOLDS - 1, -np.abs(z)))
    frame = frame.sort_values("q", kind="stable", ignore_index=True)[COLUMNS]
    apart = visible(frame[frame["q"] < 0.05])
    said = f"Tastes of personas that have changed in some period: {len(apart):,} of {len(frame):,}"
    for row in apart.head(1).to_dict("records"):
        said += (
            f", the clearest in the one from {row['period']} on: {row['persona']} chose {nice(row['feature'])} "
            f"{number(row['estimate'])} times as often as its own ({number(row['low'])} to {number(row['high'])})"
        )
    return Drift(frame, f"{said}.", (), whole)


def _chosen(block: Choices, params: Params, weights: Array, fold: Any) -> Array:
    """(folds, 2, kinds, options) choices made, and those foreseen by the kinds' tastes."""
    taste, usual = params
    chance = np.maximum(taste @ usual.T, TINY)
    by_fold = np.zeros((stats.FOLDS, 2, *taste.shape))
    for one in np.unique(fold):
        mine = fold == one
        faced = weights[mine].T @ block.faced[mine]
        by_fold[one] = weights[mine].T @ block.made[mine], taste * ((faced / chance) @ usual)
    return by_fold


def _known(
    personas: Personas, given: Features, kinds: type | tuple[type, ...] = object
) -> tuple[Mixture, list[Block]]:
    """The fitted kinds for a period's customers: sizes and contexts learnt anew, tastes and means as they are."""
    here = {block.name: block for block in given.blocks}
    pairs = [
        (aligned(here[block.name], block), params)
        for block, params in zip(personas.features.blocks, personas.fitted.params, strict=True)
        if isinstance(block, kinds) and type(here.get(block.name)) is type(block)
    ]
    blocks = [block for block, _ in pairs]
    return _adapted(replace(personas.fitted, params=tuple(params for _, params in pairs)), blocks), blocks


def _adapted(known: Mixture, blocks: Sequence[Block]) -> Mixture:
    """The kinds with sizes and contexts as they are among these customers."""
    for _ in range(ROUNDS if blocks else 0):
        weights, before = known.posterior(blocks), known.sizes
        params = tuple(_usual(*both, weights) for both in zip(blocks, known.params, strict=True))
        known = replace(known, sizes=np.maximum(weights.mean(axis=0), TINY), params=params)
        if np.abs(known.sizes - before).max() < 1e-4:
            break
    return known


def _without(known: Mixture, blocks: Sequence[Block], group: Any, kept: Array) -> Array:
    """Sizes among the customers of the groups kept, one row each of `kept` (replicates, groups)."""
    rows = (np.flatnonzero(row[group] > 0) for row in kept)
    return np.array([_adapted(known, [block.take(row) for block in blocks]).sizes for row in rows])


def _usual(block: Block, params: Params, weights: Array) -> Params:
    """The same kinds with what is usual in each context as it is here (a round of proportional fitting)."""
    if not isinstance(block, Choices):
        return params
    taste, usual = params
    faced = (weights.T @ block.faced) / np.maximum(taste @ usual.T, TINY)
    usual = block.pooled / np.maximum(faced.T @ taste, TINY)
    return taste, usual / np.maximum(usual.sum(axis=1, keepdims=True), TINY)


def _moved(
    labels: Sequence[str], first: Array, second: Array, before: Array, after: Array
) -> list[dict[str, Any]]:
    """Rows of everybody and of each persona, from probabilities (persons, kinds) and sizes in two periods."""
    n, k = first.shape
    was, now, everybody = first.argmax(axis=1), second.argmax(axis=1), np.arange(k)
    # In proportion to the likelihoods: a probability over its size, and all others over theirs together.
    parts = np.hstack([first / before * second / after, first / before * (1 - second) / (1 - after)])
    most, weights = _most(parts, np.r_[np.full(k, 0.9), np.full(k, 0.1)] / k)
    rows = []
    for name, mine in [(EVERYWHERE, everybody), *((name, everybody[[a]]) for a, name in enumerate(labels))]:
        estimate = weights[mine + k].sum() / max(weights[mine].sum() + weights[mine + k].sum(), TINY)
        start = np.maximum(weights, 1e-3) / np.maximum(weights, 1e-3).sum()

        def above(share: float, mine: Any = mine, start: Array = start) -> float:
            return _most(parts, start.copy(), mine, share)[0] - most + chi2.ppf(0.95, 1) / 2

        # That none of k moves is given up less easily: each may seem to by chance.
        border = (chi2.ppf(0.95, 1) - chi2.ppf(0.95, len(mine))) / 2
        low = 0.0 if above(0.0) >= border else brentq(above, 0, estimate, xtol=5e-4)
        high = 1.0 if above(1.0) >= 0 else brentq(above, estimate, 1, xtol=5e-4)
        own = np.isin(was, mine)
        rows.append(
            {
                "persona": name, "estimate": estimate, "low": low, "high": high, "n": n,
                "customers": int(own.sum()), "naive": (was != now)[own].mean() if own.any() else np.nan,
            }
        )  # fmt: skip
    return rows


def _most(parts: Array, weights: Array, mine: Any = (), share: float = 0.0) -> tuple[float, Array]:
    """The largest log-likelihood of a mixture of known `parts` (persons, 2 k: stayed, moved), and its weights;
    of the personas `mine`, if any, the `share` moved."""
    old, k = -np.inf, len(weights) // 2
    for _ in range(STEPS):
        if len(mine):
            stay, move = weights[mine].sum(), weights[mine + k].sum()
            weights[mine] *= (1 - share) * (stay + move) / max(stay, TINY)
            weights[mine + k] *= share * (stay + move) / max(move, TINY)
        total = np.maximum(parts @ weights, TINY)
        value = float(np.log(total).sum())
        if value - old < CLOSE * len(parts):
            break
        old, weights = value, weights * ((1 / total) @ parts) / len(parts)
    return value, weights
