"""How to recognise a persona by two questions that an employee can ask or look up, and how often that is right.

A rule is two yes/no questions joined by "and" or "or": the two whose answer correlates most with the
probability of belonging to the persona (of the twelve questions that tell most alone, each with any
other). It is learnt on one half of the customers and judged on the other, each counted by the probability:
somebody who belongs with .7 is seven tenths right. So wrong assignment is in the numbers already, as
long as the probabilities are right on average.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from cxlib import stats
from cxlib.contract import EXPONENTS
from cxlib.customers.blocks import Answers, Array, Block, Choices
from cxlib.customers.features import Features
from cxlib.personas.words import FEELINGS, TRAVEL, is_motive
from cxlib.results import TOO_FEW, Claim, Result, minimum, nice, number, percent
from cxlib.study.log import END

if TYPE_CHECKING:
    from cxlib.personas.model import Personas

FIRST = 12
OFTEN = {"a tenth": 0.1, "a fifth": 0.2, "a third": 1 / 3, "half": 0.5}
CUTS = (0.2, 0.4, 0.6, 0.8)
ENTRIES = ("row", "context", "option", "count", "part")
COLUMNS = (
    "persona", "ask", "estimate", "low", "high", "n", "customers", "finds", "finds_low", "finds_high", "base"
)  # fmt: skip
ASKED = {
    "beginnings": ("Has a visit ever begun with “{}”?", "Do at least {} of their visits begin with “{}”?"),
    "contacts": ("Have they ever used “{}”?", "Are at least {} of their contacts “{}”?"),
}
ORDERS = ("Have they ever placed an order “{}”?", "Are at least {} of their orders “{}”?")
Yes = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Recognised(Result):
    """Two questions a persona, and how far they carry.

    `frame`: persona, ask (the questions with the answers that name the persona), estimate (share of those named who
    belong to it), low, high, n (customers judged), customers (named), finds (share of the persona that is
    named), finds_low, finds_high, base (share of all customers who belong to it: what naming anybody would
    get right).
    """

    SHARES = ("estimate", "low", "high", "base")

    frame: pd.DataFrame = field(repr=False)

    def table(self) -> pd.DataFrame:
        """One row a persona; none where there is only one."""
        return self.frame

    def shown(self) -> pd.DataFrame:
        """Personas by their letter, so that there is room for the questions."""
        t = self.frame
        ends = [
            f"{percent(x)}, {100 * a:.1f} to {percent(b)}"
            for x, a, b in zip(t.finds, t.finds_low, t.finds_high, strict=True)
        ]
        short = t.assign(persona=t["persona"].str.split(":").str[0], finds=ends)
        return short.drop(columns=["n", "finds_low", "finds_high"])

    def claim(self) -> Claim:
        """The persona that is recognised best, and the one that is recognised worst."""
        if self.frame.empty:
            return Claim("There is one persona and nobody to tell it from, or no two features to ask about.")
        table = self.visible().dropna(subset=["low", "finds"])
        if table.empty:
            return TOO_FEW
        lift = (table["estimate"] - table["base"]) / (1 - table["base"])
        best, worst = table.loc[lift.idxmax()], table.loc[lift.idxmin()]
        said = (
            f"Two questions recognise {nice(best['persona'])} best: {percent(best['estimate'])} of those they name belong to "
            f"it ({percent(best['low'])} to {percent(best['high'])}; of all customers {percent(best['base'])}), and they "
            f"find {percent(best['finds'])} of it ({percent(best['finds_low'])} to {percent(best['finds_high'])})"
        )
        if len(table) > 1:
            said += f"; worst is {nice(worst['persona'])}, {percent(worst['estimate'])} right"
        return Claim(f"{said}.")


class Question(NamedTuple):
    """What is asked, of which feature, and who answers yes."""

    feature: str
    text: str
    yes: npt.NDArray[np.bool_]


class Rule(NamedTuple):
    """Two questions by their places, the answers that count, and whether both must be so."""

    first: int
    second: int
    answers: tuple[bool, bool]
    both: bool

    def names(self, yes: Yes) -> npt.NDArray[np.bool_]:
        """Who is named, from (persons, questions) answers."""
        one, two = ((yes[:, q] > 0) == a for q, a in zip(self[:2], self.answers, strict=True))
        return one & two if self.both else one | two

    def said(self, texts: Sequence[str]) -> str:
        """The questions with their answers; "; " parts them."""
        one, two = ("yes" if answer else "no" for answer in self.answers)
        second = texts[self.second][0].lower() + texts[self.second][1:]
        return f"{texts[self.first]} {one}; {'and' if self.both else 'or'} {second} {two}"


def recognise(personas: Personas) -> Recognised:
    """For each persona the two yes/no questions that best tell it from the others, with their accuracy.

    Questions are about single features: how visits begin and go on, kinds and values of orders, content
    or not, and what customers declared. A missing answer is a no. Who answers so is named; how many of
    these belong to the persona, and how many of the persona are named, is counted in the half of the customers
    (of odd folds) that the rule was not learnt from. Intervals by folds of customers.

    >>> import cxlib as cx
    >>> colour = ["red", "blue"] * 100
    >>> frame = pd.DataFrame({"person": range(200), "colour": colour, "drink": ["tea", "coffee"] * 100})
    >>> personas = cx.personas.fit(cx.personas.features(frame), k=2)
    >>> cx.personas.recognise(personas).table()["estimate"].round(2).tolist()
    [1.0, 1.0]
    """
    return recognised(personas.labels, personas.memberships.iloc[:, 1:].to_numpy(), personas.features)


def recognised(labels: Sequence[str], posterior: Array, features: Features) -> Recognised:
    """The same from probabilities (persons, kinds)."""
    fold, asked = stats.folds_of(features.persons), questions(features.blocks)
    blocks, texts = [q.feature for q in asked], [q.text for q in asked]
    if posterior.shape[1] < 2 or len(set(blocks)) < 2:
        return Recognised(pd.DataFrame(columns=list(COLUMNS)))
    yes, judged = np.stack([q.yes for q in asked], axis=1).astype(np.float32), fold % 2 == 1
    rules = [learn(yes[~judged], p[~judged], blocks) for p in posterior.T]
    named, p, fold = np.stack([r.names(yes[judged]) for r in rules], axis=1), posterior[judged], fold[judged]
    sums = np.zeros((3, stats.FOLDS, len(rules)))
    for total, what in zip(sums, (p * named, named, p), strict=True):
        np.add.at(total, fold, what)
    right, finds = stats.proportions(sums[0], sums[1]), stats.proportions(sums[0], sums[2])
    columns = (
        labels, [rule.said(texts) for rule in rules], right.estimate, right.low, right.high, len(fold),
        named.sum(axis=0), finds.estimate, finds.low, finds.high, p.mean(axis=0),
    )  # fmt: skip
    return Recognised(pd.DataFrame(dict(zip(COLUMNS, columns, strict=True))))


def learn(yes: Yes, p: Array, about: Sequence[str]) -> Rule:
    """The rule whose answer correlates most with the probabilities p (persons,); `about`: each question's feature."""
    n, share = len(p), p.mean()

    def tells(named: Array, hits: Array) -> Array:
        spread = np.sqrt(np.maximum(named * (n - named), 0.5))
        return np.asarray((hits - share * named) / spread)

    p = p.astype(np.float32)
    alone = np.abs(tells(yes.sum(axis=0), p @ yes))
    first = np.argsort(-alone, kind="stable")[:FIRST]
    some = np.concatenate([yes[:, first], 1 - yes[:, first]], axis=1).T
    named, hits = some @ yes, (some * p) @ yes
    # Both so: the first as in `some`, the second yes or else no. A negative correlation is that of its opposite.
    pairs = (named, hits), (some.sum(axis=1, keepdims=True) - named, (some @ p)[:, None] - hits)
    found = np.stack([tells(*pair) for pair in pairs])
    names = np.asarray(about)
    found[:, np.tile(names[first], 2)[:, None] == names] = 0.0
    no, i, j = (int(place) for place in np.unravel_index(np.abs(found).argmax(), found.shape))
    both = bool(found[no, i, j] > 0)
    return Rule(int(first[i % len(first)]), j, ((i < len(first)) == both, (no == 0) == both), both)


def questions(blocks: Sequence[Block]) -> list[Question]:
    """What can be asked of single features, and is answered by enough customers either way."""
    return [
        Question(f"{block.name}: {name}", text, made)
        for block in (*(b for b in blocks if b.name != "steps"), *_contacts(blocks))
        for name, values in block.columns()
        for text, least in _asked(block, name, values)
        if minimum() <= (made := np.nan_to_num(values, nan=-np.inf) >= least).sum() <= len(made) - minimum()
    ]


def _contacts(blocks: Sequence[Block]) -> list[Choices]:
    """First and later contacts of visits together, as only their options and counts matter here."""
    travel = [b for b in blocks if isinstance(b, Choices) and b.name in TRAVEL]
    names = tuple(sorted({option for b in travel for option in b.options} - {END}))
    known = [b.like(replace(b, options=names)) for b in travel]
    joined: Any = {f: np.concatenate([getattr(b, f) for b in known]) for f in ENTRIES if known}
    return [replace(known[0], name="contacts", **joined)] if known else []


def _asked(block: Block, name: str, values: Array) -> Iterator[tuple[str, float]]:
    """Texts, and from which value on the answer is yes."""
    if isinstance(block, Answers):
        say = "Do they come for" if is_motive(block.name) else f"Is their {nice(block.name)}"
        if name != block.options[0] or len(block.options) > 2:  # of two answers, one is asked for
            yield f"{say} “{nice(name)}”?", 1.0
    elif isinstance(block, Choices):
        ever, often = ASKED.get(block.name, ORDERS)
        yield ever.format(nice(name)), 1e-9
        for word, least in OFTEN.items():
            yield often.format(word, nice(name)), least
    elif block.name == FEELINGS:
        yield "Are their scores above what is usual?", 0.0
    else:
        there, back, unit = _scale(block)
        cuts = np.nanquantile(there(values), CUTS)
        for cut in np.unique([float(f"{x:.2g}") for x in cuts]):
            what = f"usual {nice(name).removesuffix(' value')}" if unit else nice(name)
            yield f"Is their {what} above {number(cut)} {unit}".rstrip() + "?", back(cut) + 1e-9


def _scale(block: Block) -> tuple[Callable[[Any], Any], Callable[[Any], Any], str]:
    """From a block's unit to one for people and back, and its name: money out of the log of minor units."""
    if block.unit == "log(1 + x)":
        return np.expm1, np.log1p, ""
    if not block.unit.startswith("log"):
        return np.asarray, float, ""
    currency = block.unit.removeprefix("log").strip()
    size = 10.0 ** EXPONENTS.get(currency, 2)
    return lambda x: np.exp(x) / size, lambda x: np.log(x * size), currency


__all__ = ["Recognised", "recognise"]
