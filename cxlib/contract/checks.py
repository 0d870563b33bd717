"""The check of a table: one aggregate query, and a small one for the examples of each rule that is broken."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import ibis
import ibis.expr.types as ir

from cxlib.contract.conversion import plain, typed
from cxlib.contract.finding import Finding
from cxlib.contract.rules import beside, rules
from cxlib.contract.settings import Settings
from cxlib.contract.tables import MOST_TOUCHPOINTS, Table
from cxlib.errors import did_you_mean

Fetch = Callable[[ir.Table], Any]


def findings(
    raw: ir.Table, table: Table, settings: Settings, others: Mapping[str, ir.Table], fetch: Fetch
) -> tuple[int, list[Finding]]:
    """Rows of the table and everything that breaks the contract.

    `raw` is the table as it came, `others` the study's other tables (for orphans), `fetch` turns an
    expression into a frame. One aggregate query; one on distinct ids where two kinds of id can clash;
    a further small one for the examples of each rule that is broken.
    """
    found = [
        Finding(table.name, name, "the required column is missing", 0, _missing_advice(table, name, raw))
        for name in table.required
        if name not in raw.columns
    ]
    found += _misnamed(raw, table)
    if table.name == "touchpoints" and not {"customer_id", "anonymous_id"} & set(raw.columns):
        advice = f"Name the person in at least one of the two. The table has: {', '.join(raw.columns[:12])}."
        found.append(Finding(table.name, "customer_id", "neither customer_id nor anonymous_id", 0, advice))
    if table.name == "touchpoints" and "catalog" not in others:
        for name in ("channel", "stage"):
            if name not in raw.columns:
                advice = f"Add a catalog table (touchpoint, channel, stage, ...) or a column {name}."
                found.append(Finding(table.name, name, "neither in the table nor in a catalog", 0, advice))

    both, parents = beside(raw, table, settings, others)
    compiled = list(rules(both, raw, table, settings, parents))
    key = [name for name in table.key if name in raw.columns]
    measures: dict[str, ir.Value] = {"rows": both.count()}
    if len(key) == len(table.key) > 0:
        measures["keys"] = both[key[0]].nunique() if len(key) == 1 else _joined(both, key).nunique()
        measures["keyed"] = ibis.and_(*(both[k].notnull() for k in key)).sum()
    measures |= {f"r{i}": rule.broken.sum() for i, rule in enumerate(compiled)}
    named = table.name == "touchpoints" and "touchpoint" in raw.columns
    if named:
        measures["kinds"] = both.touchpoint.nunique()
        measures |= {f"c{i}": (both.touchpoint == name).sum() for i, name in enumerate(settings.conversion)}
    counts = fetch(both.aggregate(**measures)).iloc[0].fillna(0).astype(int)

    for i, rule in enumerate(compiled):
        if counts[f"r{i}"]:
            shown = rule.column if rule.column in raw.columns else ""
            examples = _examples(both.filter(rule.broken), f"{shown}__raw", fetch) if shown else ()
            found.append(
                Finding(
                    table.name,
                    rule.column,
                    rule.problem,
                    int(counts[f"r{i}"]),
                    rule.advice,
                    examples,
                    rule.blocks,
                )
            )
    if "keys" in counts and counts["keyed"] > counts["keys"]:
        repeated = both.filter(ibis.and_(*(both[k].notnull() for k in key)))
        twice = repeated.group_by(key).aggregate(times=repeated.count()).filter(lambda t: t.times > 1)
        advice = "Keep one row for each, or give each event its own id."
        examples = _examples(twice.mutate(key__raw=_joined(twice, key, ", ")), "key__raw", fetch)
        extra = int(counts["keyed"] - counts["keys"])
        found.append(
            Finding(table.name, ", ".join(key), "repeat a key that must be unique", extra, advice, examples)
        )
    if named and counts["rows"]:
        absent = [name for i, name in enumerate(settings.conversion) if not counts[f"c{i}"]]
        found += _kinds(both, int(counts["kinds"]), absent, others, fetch)
    found += _ambiguous(raw, table, settings, others, fetch)
    if not counts["rows"]:
        alone = table.name == "touchpoints" or not others
        advice = "Add rows, or take the table away." if alone else "It is treated as absent."
        found.append(Finding(table.name, "", "the table has no rows", 0, advice, blocks=alone))
    return int(counts["rows"]), found


def _kinds(
    both: ir.Table, kinds: int, absent: list[str], others: Mapping[str, ir.Table], fetch: Fetch
) -> Iterator[Finding]:
    """Too many kinds of touchpoints, and conversions that are none of them."""
    if kinds > MOST_TOUCHPOINTS:
        advice = "A touchpoint is a kind of contact: put the address or item into `content`."
        problem = f"{kinds:,} kinds of touchpoints, more than {MOST_TOUCHPOINTS}"
        examples = _examples(both, "touchpoint", fetch)
        yield Finding("touchpoints", "touchpoint", problem, 0, advice, examples)
    if not absent:
        return
    names = both.select(name=both.touchpoint).distinct()
    known = set(fetch(names.limit(1000))["name"].dropna())
    if "touchpoint" in getattr(others.get("catalog"), "columns", ()):
        catalog = others["catalog"]
        known |= set(fetch(catalog.select(name=catalog.touchpoint.cast("string")))["name"].dropna())
    for name in absent:
        if name not in known:
            problem = f"no touchpoint is called `{name}`, which `conversion:` of study.yaml names"
            advice = f"There are: {', '.join(sorted(known)[:12])}.{did_you_mean(name, known)}"
            yield Finding("touchpoints", "touchpoint", problem, 0, advice)


def _ambiguous(
    raw: ir.Table, table: Table, settings: Settings, others: Mapping[str, ir.Table], fetch: Fetch
) -> Iterator[Finding]:
    """Warnings for ids that may stand for two persons, counted on distinct ids."""
    if table.name == "identities" and {"id_type", "id_value", "customer_id"} <= set(raw.columns):
        ids = raw.group_by("id_value").aggregate(
            types=raw.id_type.nunique(), owners=raw.customer_id.nunique()
        )
        shared, name = ids.filter((ids.types > 1) & (ids.owners > 1)), "id_value"
        problem = "belong to different customers under different id_types"
        advice = "They are linked to nobody; put the id_type before the id if these are different ids."
    elif table.name == "touchpoints" and {"customer_id", "anonymous_id"} <= set(raw.columns):
        own = plain(typed(raw.select("customer_id", "anonymous_id"), table, settings), table)
        pairs = own.distinct()
        known = pairs.filter(pairs.customer_id.notnull()).select(id="customer_id").distinct()
        links = pairs.select(id="anonymous_id", customer="customer_id")
        linked = others.get("identities")
        if linked is not None and {"id_value", "customer_id"} <= set(linked.columns):
            given = linked.select(
                id=linked.id_value.cast("string"), customer=linked.customer_id.cast("string")
            )
            links = links.union(given)
        owned = (
            links.filter(links.customer.notnull()).group_by("id").aggregate(n=lambda t: t.customer.nunique())
        )
        alone = pairs.filter(pairs.customer_id.isnull() & pairs.anonymous_id.notnull()).select(
            id="anonymous_id"
        )
        shared, name = alone.semi_join(known, "id").anti_join(owned.filter(owned.n == 1), "id"), "id"
        problem = "are both a customer_id and an anonymous_id that nothing links to a customer"
        advice = (
            "Each counts as one person; put a prefix before one of the two if these are different people."
        )
    else:
        return
    if count := int(fetch(shared.aggregate(n=shared.count()))["n"].iloc[0]):
        column = "anonymous_id" if name == "id" else name
        examples = _examples(shared, name, fetch)
        yield Finding(table.name, column, f"{count:,} id(s) {problem}", 0, advice, examples, blocks=False)


def _misnamed(raw: ir.Table, table: Table) -> Iterator[Finding]:
    """Columns that differ from the contract's in case, blanks or hyphens only: taken as further ones they
    would be lost without a word."""
    for given in raw.columns:
        name = given.strip().lower().replace(" ", "_").replace("-", "_")
        if name != given and any(c.name == name for c in table.columns):
            yield Finding(table.name, name, f"the column is named `{given}`", 0, f"Rename it to `{name}`.")


def _missing_advice(table: Table, name: str, raw: ir.Table) -> str:
    has = ", ".join(raw.columns[:12])
    return f"It is {table.column(name).meaning}. The table has: {has}.{did_you_mean(name, raw.columns)}"


def _joined(table: ir.Table, columns: list[str], by: str = "\x1f") -> Any:
    joined: Any = table[columns[0]].cast("string")
    for name in columns[1:]:
        joined = joined.concat(by, table[name].cast("string"))
    return joined


def _examples(broken: ir.Table, column: str, fetch: Fetch) -> tuple[str, ...]:
    rows = fetch(broken.select(example=broken[column].cast("string")).distinct().order_by("example").limit(3))
    return tuple(
        f"`{text if len(text) <= 40 else text[:37] + '...'}`" for text in rows["example"].fillna("empty")
    )
