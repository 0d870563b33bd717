"""What each table of a study says of its customers, as blocks of features: engine on one side, persons on the other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import ibis
import ibis.expr.types as ir
import numpy as np
import pandas as pd

from cxlib.errors import CxValueError
from cxlib.personas.blocks import Block, Choices, Values
from cxlib.personas.visits import PHASES, described, gathered, purchases, visits
from cxlib.results import nice
from cxlib.study.log import END

if TYPE_CHECKING:
    from cxlib.study import Study

LEVELS = 12  # categories that an attribute may have
SPLIT = 0.1  # share of the variance of log order values that a column must explain to split them
NO_TRAIT = ("customer_id", "first_seen", "currency", "referred_by", "consent")
OF_ORDERS = ("order_id", "customer_id", "currency")
KEYS = ("early", "context", "option")
TURNS = ("first order", "second order", "later order")


@dataclass(frozen=True)
class Period:
    """From `since` on and before `until`, UTC without a zone; None is open."""

    since: pd.Timestamp | None
    until: pd.Timestamp | None

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


@dataclass(frozen=True)
class Part:
    """What one table gives: who occurs in it, what makes the blocks for given persons, numbers for the cards."""

    persons: set[str]
    blocks: Callable[[pd.Index], list[Block]]
    profile: dict[str, pd.Series]


NOTHING = Part(set(), lambda place: [], {})


def declared(study: Study) -> pd.DataFrame | None:
    """The customers with their attributes in text, by key; None where the study has no such table."""
    if not study.has("customers"):
        return None
    table = study.table("customers")
    kinds = table.schema()
    given = [name for name in study.given["customers"] if name not in NO_TRAIT]
    chosen = [name for name in given if kinds[name].is_string() or kinds[name].is_boolean()]
    frame = study.fetch(table.select("customer_id", *chosen))
    return frame.drop_duplicates("customer_id").set_index("customer_id")


def from_log(study: Study, period: Period) -> Part:
    """How visits begin and what comes next, counted on the log."""
    if not study.has("touchpoints"):
        return NOTHING
    log = study.log()
    seen, steps, names = visits(study, log, period.since, period.until)
    keys = study.fetch(log.persons.select("person", "key")).set_index("person")["key"]
    begun = gathered(study, seen.mutate(option=seen.entry), KEYS)
    moved = gathered(study, steps, KEYS)
    people = begun.groupby("person")["n"].sum()
    people.index = keys.reindex(people.index)
    outcomes, options = purchases(study), (*names, END)
    about = "what comes next in a visit, given where"

    def blocks(place: pd.Index) -> list[Block]:
        cells = [table.assign(person=keys.reindex(table["person"]).to_numpy()) for table in (begun, moved)]
        say = lambda c: f"{names[c // 10]}, {PHASES[c % 10]}"  # noqa: E731
        return [
            _choices("beginnings", "how a visit begins, given when", cells[0], place, lambda c: described(c, names), options, outcomes),
            _choices("steps", about, cells[1], place, say, options, outcomes),
        ]  # fmt: skip

    return Part(set(people.index), blocks, {"visits": people})


def from_orders(study: Study, period: Period) -> Part:
    """What kind of orders, by the study's own columns in text, and of what value."""
    if not study.has("orders", "customer_id"):
        return NOTHING
    table = period.cut(study.table("orders"))
    kinds = table.schema()
    split = [name for name in study.given["orders"] if name not in OF_ORDERS and kinds[name].is_string()]
    each = study.engine.keep(_each(study, table, split))
    total = each.group_by("customer_id").aggregate(orders=each.count(), revenue=each.revenue.sum())
    totals = study.fetch(total).set_index("customer_id")
    explained = {name: share for name in split if (share := _explained(study, each, name)) is not None}
    # The channel of an order is known from the purchase's touchpoint, where there is a log.
    kept = [name for name in explained if name != "channel" or not study.has("touchpoints")]
    best = max(explained, key=lambda name: explained[name], default="")
    by = ["customer_id", best] if best and explained[best] > SPLIT else ["customer_id"]
    choices = {name: _kinds(study, each, name) for name in kept}
    sums = study.fetch(_sums(each.group_by(by), each.x))

    def blocks(place: pd.Index) -> list[Block]:
        made: list[Block] = []
        for name, (cells, levels) in choices.items():
            about = f"{nice(name)} of an order, given whether it is the first"
            made.append(
                _choices(f"orders by {nice(name)}", about, cells, place, lambda c: TURNS[c], levels, levels)
            )
        for level, some in sums.groupby(best, sort=True) if len(by) > 1 else [("", sums)]:
            name = f"{nice(level)} order value".strip()
            about = "log of the value of an order in minor units"
            made.append(_values(name, about, some, place, "log", (name,)))
        return made

    return Part(set(totals.index), blocks, {"orders": totals["orders"], "revenue": totals["revenue"]})


def from_surveys(study: Study, period: Period) -> Part:
    """How content customers are, from all scores together."""
    if not study.has("surveys", "customer_id"):
        return NOTHING
    answers = period.cut(study.table("surveys"))
    answers = answers.filter(answers.customer_id.notnull() & answers.score.notnull())
    about = ibis.window(group_by=["question", "touchpoint"])
    usual, spread = answers.score.mean().over(about), answers.score.std(how="pop").over(about)
    z = (spread > 0).ifelse((answers.score - usual) / spread.nullif(0.0), ibis.null("float64"))
    each = answers.select("customer_id", z=z)
    each = each.filter(each.z.notnull())
    sums = study.fetch(_sums(each.group_by("customer_id"), each.z))
    what = "scores in standard deviations above the mean answer to the same question at the same touchpoint"

    def blocks(place: pd.Index) -> list[Block]:
        return [_values("satisfaction", what, sums, place, "standard deviations", ())]

    return Part(set(sums["customer_id"]), blocks, {})


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
        "customer_id", "revenue", *split, x=x, number=ibis.least(place, 2).cast("int32"), early=early
    )


def _sums(groups: Any, x: Any) -> ir.Table:
    return groups.aggregate(n=x.count(), total=x.sum(), squares=(x * x).sum())


def _explained(study: Study, each: ir.Table, name: str) -> float | None:
    """Share of the variance of x that a column explains; None for a column of one value, or of too many."""
    some = each.filter(each[name].notnull())
    by = study.fetch(_sums(some.group_by(name), some.x))
    if not 2 <= len(by) <= LEVELS:
        return None
    n, total, squares = (by[column].to_numpy(float) for column in ("n", "total", "squares"))
    whole = squares.sum() - total.sum() ** 2 / n.sum()
    between = (total**2 / n).sum() - total.sum() ** 2 / n.sum()
    return float(between / whole) if whole > 0 else 0.0


def _kinds(study: Study, each: ir.Table, name: str) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Orders counted by a column in text, and its values."""
    some = each.filter(each[name].notnull())
    levels = tuple(sorted(study.fetch(some.select(name).distinct())[name]))
    code = ibis.cases(*((some[name] == level, i) for i, level in enumerate(levels)), else_=0).cast("int32")
    return gathered(
        study, some.select("early", person="customer_id", context="number", option=code), KEYS
    ), levels


def _choices(
    name: str, meaning: str, cells: pd.DataFrame, place: pd.Index,
    say: Callable[[int], str], options: Sequence[str], outcomes: Sequence[str],
) -> Choices:  # fmt: skip
    """A block from counted cells (person, early, context, option, n), of the persons in `place` only."""
    row = place.get_indexer(pd.Index(cells["person"]))
    cells, row = cells[row >= 0], row[row >= 0]
    context, contexts = pd.factorize(cells["context"], sort=True)
    option, used = pd.factorize(cells["option"], sort=True)
    part = 1 - cells["early"].to_numpy(np.int64)
    # In one order whatever the engine's: sums of floats must not depend on it.
    order = np.lexsort((part, option, context, row))
    return Choices(
        name=name,
        meaning=meaning,
        contexts=tuple(say(int(c)) for c in contexts),
        options=tuple(options[int(o)] for o in used),
        persons=len(place),
        row=row[order],
        context=context[order],
        option=option[order],
        count=cells["n"].to_numpy(float)[order],
        part=part[order],
        outcomes=tuple(outcomes),
    )


def _values(
    name: str, meaning: str, sums: pd.DataFrame, place: pd.Index, unit: str, outcomes: tuple[str, ...]
) -> Values:
    given = sums.set_index("customer_id").reindex(place)[["n", "total", "squares"]].fillna(0).to_numpy(float)
    n, total, squares = given.T
    return Values(name, meaning, n, total, squares, unit, outcomes)
