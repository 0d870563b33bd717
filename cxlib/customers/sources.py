"""What each table of a study says of its customers: rows on the engine, and the blocks that are made of them.

Nothing here leaves the engine until a block is asked for: `cxlib.personas.score` adds up log-probabilities
over the same rows where they lie.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import ibis
import ibis.expr.types as ir
import numpy as np
import pandas as pd

from cxlib.customers.blocks import Choices, Values
from cxlib.customers.visits import PHASES, described, gathered, moments, purchases, visits
from cxlib.errors import CxValueError
from cxlib.results import nice
from cxlib.study.log import END

if TYPE_CHECKING:
    from cxlib.study import Study

LEVELS = 12  # categories that an attribute may have
SPLIT = 0.1  # share of the variance of log order values that a column must explain to split them
NO_TRAIT = ("customer_id", "first_seen", "currency", "referred_by", "consent", "person")
OF_ORDERS = ("order_id", "customer_id", "currency", "person", "x", "number", "early", "n", "total", "squares")
KEYS = ("early", "context", "option")
TURNS = ("first order", "second order", "later order")


def drawn(key: ir.StringValue, share: float) -> ir.BooleanValue:
    """Whether a person is in the random sample of that share: the same on every engine, and of no fold alone.

    Folds are the first eight digits of the md5 of the key, the sample is by the next eight.
    """
    return key.hexdigest("md5").substr(8, 8) < f"{int(share * (16**8 - 1)):08x}"


@dataclass(frozen=True)
class Period:
    """From `since` on and before `until`, UTC without a zone (None is open), for a random `share` of the persons."""

    since: pd.Timestamp | None
    until: pd.Timestamp | None
    share: float = 1.0

    @classmethod
    def of(cls, since: Any, until: Any) -> Period:
        """From anything pandas reads as a time; CxValueError where it cannot, or where the ends are crossed."""
        ends: list[pd.Timestamp | None] = []
        for name, value in (("since", since), ("until", until)):
            try:
                time = None if value is None else pd.Timestamp(value)
            except ValueError:
                raise CxValueError(f"{name} is `{value}`; write a date such as 2025-07-01.") from None
            ends.append(time.tz_convert("UTC").tz_localize(None) if time is not None and time.tz else time)
        first, last = ends
        if first is not None and last is not None and not first < last:
            raise CxValueError(f"since ({first}) must lie before until ({last}).")
        return cls(first, last)

    def cut(self, table: ir.Table) -> ir.Table:
        """The rows of the period, by their `ts`."""
        if self.since is not None:
            table = table.filter(table.ts >= ibis.literal(self.since))
        return table if self.until is None else table.filter(table.ts < ibis.literal(self.until))

    def some(self, table: ir.Table, key: str) -> ir.Table:
        """The rows of the persons in the sample, whose keys the column `key` has."""
        return table if self.share >= 1 else table.filter(drawn(table[key], self.share))


@dataclass(frozen=True)
class Cells:
    """Choices on the engine, one row each: person, early, context, option (integers); `keys`: person, key.

    contexts, options : what the integers stand for
    """

    name: str
    meaning: str
    table: ir.Table
    contexts: Mapping[int, str]
    options: Sequence[str]
    outcomes: Sequence[str]
    keys: ir.Table | None = None

    def block(self, study: Study, place: pd.Index) -> Choices:
        """The counted choices of the persons in `place`."""
        cells = gathered(study, self.table, KEYS, self.keys)
        row = place.get_indexer(pd.Index(cells["person"]))
        cells, row = cells[row >= 0], row[row >= 0]
        context, contexts = pd.factorize(cells["context"], sort=True)
        option, used = pd.factorize(cells["option"], sort=True)
        part = 1 - cells["early"].to_numpy(np.int64)
        # In one order whatever the engine's: sums of floats must not depend on it.
        order = np.lexsort((part, option, context, row))
        return Choices(
            name=self.name,
            meaning=self.meaning,
            contexts=tuple(self.contexts[int(c)] for c in contexts),
            options=tuple(self.options[int(o)] for o in used),
            persons=len(place),
            row=row[order],
            context=context[order],
            option=option[order],
            count=cells["n"].to_numpy(float)[order],
            part=part[order],
            outcomes=tuple(self.outcomes),
        )


@dataclass(frozen=True)
class Sums:
    """Repeated measurements on the engine: person (key), n, total, squares."""

    name: str
    meaning: str
    table: ir.Table
    unit: str
    outcomes: tuple[str, ...] = ()

    def block(self, study: Study, place: pd.Index) -> Values:
        """The sums of the persons in `place`."""
        frame = study.fetch(self.table).set_index("person").reindex(place)
        n, total, squares = frame[["n", "total", "squares"]].fillna(0).to_numpy(float).T
        return Values(self.name, self.meaning, n, total, squares, self.unit, self.outcomes)


@dataclass(frozen=True)
class Part:
    """What one table gives: who occurs in it (person, with numbers for the cards), and what makes the blocks."""

    people: ir.Table
    sources: tuple[Cells | Sums, ...]


def parts(study: Study, period: Period) -> list[Part]:
    """All that a study has: its log, its orders, its surveys."""
    made = []
    if study.has("touchpoints"):
        made.append(from_log(study, period))
    if study.has("orders", "customer_id"):
        made.append(from_orders(study, period))
    if study.has("surveys", "customer_id"):
        made.append(from_surveys(study, period))
    return made


def is_study(given: Study) -> Study:
    """The study; CxValueError where something else is given in its place."""
    if not hasattr(given, "given"):
        what = type(given).__name__
        raise CxValueError(f'This takes a study, such as `cx.open_study("demo")`, not a {what}.')
    return given


def customers(study: Study) -> tuple[ir.Table, dict[str, str]] | None:
    """The customers (`person`) with what is declared of them as text; what is no text stays, and why it is not used."""
    if not study.has("customers"):
        return None
    table = study.table("customers")
    kinds = table.schema()
    columns, other = {}, {}
    for name in (name for name in study.given["customers"] if name not in NO_TRAIT):
        if kinds[name].is_string() or kinds[name].is_boolean():
            columns[name] = as_text(table[name])
        else:
            columns[name] = table[name]
            other[name] = f"a {'time' if kinds[name].is_temporal() else 'number'}; give it with `extra`"
    return table.select(person="customer_id", **columns), other


def channels(study: Study) -> dict[str, str]:
    """The channel of each touchpoint; without those of unknown channel."""
    if not study.has("touchpoints"):
        return {}
    log = study.log()
    pairs = study.fetch(log.table.group_by("touchpoint").aggregate(channel=log.table.channel.max()))
    names, places = log.names["touchpoint"], log.names["channel"]
    return {names[t]: places[c] for t, c in zip(pairs["touchpoint"], pairs["channel"], strict=True) if c >= 0}


def as_text(column: ir.Value) -> ir.Value:
    """A column as the text that pandas makes of it."""
    if column.type().is_boolean():
        return ibis.cases((column, "True"), (~column, "False"))
    return column.cast("string")


def from_log(study: Study, period: Period) -> Part:
    """How visits begin and what comes next, counted on the log."""
    log = study.log()
    some = period.some(log.persons, "key").select("person", "key")
    seen, steps, names = visits(study, log, period.since, period.until, some if period.share < 1 else None)
    outcomes, options = purchases(study), (*names, END)
    places = {
        10 * i + phase: f"{name}, {said}" for i, name in enumerate(names) for phase, said in enumerate(PHASES)
    }
    begun = {code: described(code, names) for code in moments(names)}
    people = seen.group_by("person").aggregate(visits=seen.count()).join(some, "person")
    return Part(
        people.select("visits", person="key"),
        (
            Cells("beginnings", "how a visit begins, given when", seen.mutate(option=seen.entry), begun, options, outcomes, some),
            Cells("steps", "what comes next in a visit, given where", steps, places, options, outcomes, some),
        ),
    )  # fmt: skip


def from_orders(study: Study, period: Period) -> Part:
    """What kind of orders, by the study's own columns in text, and of what value."""
    table = period.cut(study.table("orders"))
    kinds = table.schema()
    split = [name for name in study.given["orders"] if name not in OF_ORDERS and kinds[name].is_string()]
    each = study.engine.keep(_each(study, table, split))
    levels = {name: found for name in split if (found := _levels(study, each, name)) is not None}
    best = max(levels, key=lambda name: _explained(levels[name]), default="")
    sources: list[Cells | Sums] = []
    some = period.some(each, "person")
    for name, found in levels.items():
        # The channel of an order is known from the purchase's touchpoint, where there is a log.
        if name == "channel" and study.has("touchpoints"):
            continue
        about = f"{nice(name)} of an order, given whether it is the first"
        known = some.filter(some[name].notnull())
        code = ibis.cases(*((known[name] == level, i) for i, level in enumerate(found.index)), else_=0)
        cells = known.select("person", "early", context="number", option=code.cast("int32"))
        texts = tuple(found.index)
        sources.append(Cells(f"orders by {nice(name)}", about, cells, dict(enumerate(TURNS)), texts, texts))
    splits = levels[best].index if best and _explained(levels[best]) > SPLIT else [""]
    unit = f"log {study.settings.currency or ''}".strip()
    for level in splits:
        mine = some.filter(some[best] == level) if level else some
        name = f"{nice(level)} order value".strip()
        about = "log of the value of an order in minor units"
        sources.append(Sums(name, about, _sums(mine.group_by("person"), mine.x), unit, (name,)))
    people = some.group_by("person").aggregate(orders=some.count(), revenue=some.revenue.sum())
    return Part(people, tuple(sources))


def from_surveys(study: Study, period: Period) -> Part:
    """How content customers are, from all scores together."""
    answers = period.cut(study.table("surveys"))
    answers = answers.filter(answers.customer_id.notnull() & answers.score.notnull())
    about = ibis.window(group_by=["question", "touchpoint"])
    usual, spread = answers.score.mean().over(about), answers.score.std(how="pop").over(about)
    z = (spread > 0).ifelse((answers.score - usual) / spread.nullif(0.0), ibis.null("float64"))
    each = answers.select(person="customer_id", z=z)
    each = period.some(each.filter(each.z.notnull()), "person")
    what = "scores in standard deviations above the mean answer to the same question at the same touchpoint"
    sums = _sums(each.group_by("person"), each.z)
    return Part(sums.select("person"), (Sums("satisfaction", what, sums, "standard deviations"),))


def _each(study: Study, table: ir.Table, split: Sequence[str]) -> ir.Table:
    """One row an order with a value: x (log, differences between currencies taken out), number, early."""
    table = table.filter(table.customer_id.notnull() & (table.revenue > 0))
    own = ibis.window(group_by="customer_id")
    place = ibis.row_number().over(ibis.window(group_by="customer_id", order_by=["ts", "order_id"]))
    x = table.revenue.cast("float64").ln()
    if len(study.fetch(table.select("currency").distinct())) > 1:
        x = x - x.mean().over(ibis.window(group_by="currency")) + x.mean().over(ibis.window())
    early = (2 * place + 1 < table.order_id.count().over(own)).cast("int8")
    return table.select(
        "revenue", *split, person="customer_id", x=x, number=ibis.least(place, 2).cast("int32"), early=early
    )


def _sums(groups: Any, x: Any) -> ir.Table:
    return groups.aggregate(n=x.count(), total=x.sum(), squares=(x * x).sum())


def _levels(study: Study, each: ir.Table, name: str) -> pd.DataFrame | None:
    """Sums of x by the values of a column, in order; None for a column of one value, or of too many."""
    some = each.filter(each[name].notnull())
    by = study.fetch(_sums(some.group_by(name), some.x)).set_index(name).sort_index()
    return by.astype(float) if 2 <= len(by) <= LEVELS else None


def _explained(by: pd.DataFrame) -> float:
    """Share of the variance of x between the values of a column."""
    n, total, squares = (by[column].to_numpy() for column in ("n", "total", "squares"))
    whole = squares.sum() - total.sum() ** 2 / n.sum()
    between = (total**2 / n).sum() - total.sum() ** 2 / n.sum()
    return float(between / whole) if whole > 0 else 0.0
