"""Everybody's memberships, computed where the data lie: log-probabilities are added up on the engine.

A fitted mixture is a sum of log-probabilities a customer, and each block's share of it is either linear in
counts (choices: a small table of weights is joined to the rows, and added up by person) or an expression in
one row a customer (answers, sums of values). So a fit on a sample of customers scores all of them
without any of them leaving the engine; the arithmetic is that of `Mixture.posterior`, on DuckDB and on Spark.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import reduce
from operator import add
from typing import TYPE_CHECKING

import ibis
import ibis.expr.types as ir
import numpy as np
import pandas as pd

from cxlib.customers.blocks import OTHER, TINY, Answers, Array, Block, Choices, Params, Values
from cxlib.customers.columns import by_person, plain
from cxlib.customers.sources import Cells, Period, Sums, as_text, customers, is_study, parts
from cxlib.errors import CxLookupError, CxValueError

if TYPE_CHECKING:
    from cxlib.study import Study

Learnt = Mapping[str, tuple[Block, Params]]


def score(
    given: Study | ir.Table | pd.DataFrame,
    learnt: Learnt,
    sizes: Array,
    labels: Sequence[str],
    period: Period,
) -> ir.Table:
    """Probabilities of each person, lazily: `person` and one column a label; see `Personas.score`."""
    logs = [_float(np.log(max(size, TINY))) for size in sizes]
    if isinstance(given, pd.DataFrame):
        frame = by_person(given, "The frame")
        kept = {name: values for name in frame if (values := plain(frame[name])) is not None}
        given = ibis.memtable(pd.DataFrame({"person": frame.index.to_numpy(object), **kept}))
    if not isinstance(given, ir.Table):
        given = _of_study(is_study(given), learnt, period, len(sizes))
        logs = [log + given[f"log{i}"] for i, log in enumerate(logs)]
    elif "person" not in given.columns:
        raise CxLookupError(f"The table has no column `person`; it has: {', '.join(given.columns)}.")
    else:
        _refuse_strange(set(given.columns), learnt)
    for name, (block, params) in learnt.items():
        if name not in given.columns:
            continue
        column, number = given[name], given[name].type().is_numeric()
        if isinstance(block, Answers) and number == (block.cuts is not None):
            logs = [*map(add, logs, _of_answers(column, block, params))]
    most = reduce(lambda a, b: ibis.greatest(a, b), logs)
    person = given.person.cast("string")
    each = given.select(person=person, **{f"part{i}": (log - most).exp() for i, log in enumerate(logs)})
    total = reduce(add, (each[f"part{i}"] for i in range(len(logs))))
    return each.select("person", **{label: each[f"part{i}"] / total for i, label in enumerate(labels)})


def _of_study(study: Study, learnt: Learnt, period: Period, k: int) -> ir.Table:
    """Everybody who would have features: `person`, `log0`, ... of what was done, and the columns of `customers`."""
    rows, made, declared = [], parts(study, period), customers(study)
    known = {source.name for part in made for source in part.sources}
    _refuse_strange(known | set(declared[0].columns if declared else ()), learnt)
    for part in made:
        # Whoever occurs in a part is there, if with nothing that the personas know.
        rows.append(_row(part.people, [_float(0)] * k))
        for source in part.sources:
            block, params = learnt.get(source.name, (None, ()))
            if isinstance(source, Cells) and isinstance(block, Choices):
                rows.append(_of_choices(source, block, params))
            elif isinstance(source, Sums) and isinstance(block, Values):
                rows.append(_row(source.table, _of_values(source.table, params)))
    every = reduce(ir.Table.union, rows)
    sums = every.group_by("person").aggregate(**{f"log{i}": every[f"log{i}"].sum() for i in range(k)})
    return sums if declared is None else sums.join(declared[0], "person")


def _refuse_strange(names: set[str], learnt: Learnt) -> None:
    if not learnt.keys() & names:
        raise CxValueError(f"The data have nothing that the personas know, which is: {', '.join(learnt)}.")


def _row(table: ir.Table, logs: Sequence[ir.Value]) -> ir.Table:
    return table.select("person", **{f"log{i}": log for i, log in enumerate(logs)})


def _of_choices(source: Cells, block: Choices, params: Params) -> ir.Table:
    """By person, the sum of the weights of what was chosen where; what is usual in a context is the same for all."""
    taste, usual = params
    weight = np.log(np.maximum(taste, TINY))[:, None] - np.log(np.maximum(taste @ usual.T, TINY))[:, :, None]
    context = {name: i for i, name in enumerate(block.contexts)}
    option = {name: i for i, name in enumerate(block.options)}
    cells = [
        (here, chosen, *weight[:, context[where], option[what]])
        for here, where in source.contexts.items() if where in context
        for chosen, what in enumerate(source.options) if what in option
    ]  # fmt: skip
    names = [f"log{i}" for i in range(len(weight))]
    types = {"context": "int32", "option": "int32"} | dict.fromkeys(names, "float64")
    weights = ibis.memtable(pd.DataFrame(cells, columns=list(types)).astype(types))
    joined = source.table.join(weights, ["context", "option"])
    sums = joined.group_by("person").aggregate(**{name: joined[name].sum() for name in names})
    return sums if source.keys is None else sums.join(source.keys, "person").select(*names, person="key")


def _of_values(table: ir.Table, params: Params) -> list[ir.Value]:
    means, (between,), (within,) = params
    n = table.n.cast("float64").nullif(_float(0))
    weight = _float(1) / ibis.greatest(_float(between) + _float(within) / n, _float(1e-9))
    usual = (weight / _float(2 * np.pi)).ln()
    off = [table.total.cast("float64") / n - _float(mean) for mean in means]
    return [(_float(0.5) * (usual - weight * x * x)).fill_null(_float(0)) for x in off]


def _of_answers(column: ir.Value, block: Answers, params: Params) -> list[ir.Value]:
    logs = []
    for shares in np.log(np.maximum(params[0], TINY)):
        weights = dict(zip(block.options, map(_float, shares), strict=True))
        if block.cuts is not None:
            x, (*below, over) = column.cast("float64"), weights.values()
            banded = ((x <= _float(cut), weight) for cut, weight in zip(block.cuts, below, strict=True))
            logs.append((x.notnull() & ~x.isnan()).ifelse(ibis.cases(*banded, else_=over), _float(0)))
        else:
            text = as_text(column)
            rest = text.notnull().ifelse(weights[OTHER], _float(0)) if OTHER in weights else _float(0)
            logs.append(ibis.cases(*((text == option, log) for option, log in weights.items()), else_=rest))
    return logs


def _float(value: float) -> ir.Value:
    """A double to its last digit: engines take a bare 0.1 for a decimal."""
    return ibis.literal(repr(float(value))).cast("float64")


__all__ = ["score"]
