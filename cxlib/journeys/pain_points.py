"""Pain points: touchpoints under an observed condition after which visits end more often than without it.

No company has to be known: every `outcome` that occurs is a condition, and so is a slow page. What the
excess causes is not known either: a hurried customer may leave early *and* wait for no slow page.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import reduce
from typing import TYPE_CHECKING, Any, ClassVar

import ibis
import numpy as np
import pandas as pd

from cxlib import stats
from cxlib.journeys.attribution import purchases
from cxlib.journeys.members import Cells, Members
from cxlib.results import EVERYWHERE, Claim, Framed, nice, percent
from cxlib.stats import ENOUGH
from cxlib.study.log import FOLDS, GAP, Log

if TYPE_CHECKING:
    from cxlib.study import Study

SLOW_MS = 3000
SLOW = f"slower than {SLOW_MS / 1000:g} s"
NAMES, COUNTS = ("persona", "stage", "touchpoint", "condition"), ("n", "customers")
NUMBERS = ("estimate", "low", "high", *COUNTS, "with_it", "without_it", "burden", "q")
NOTHING = (
    dict.fromkeys(NAMES, "str")
    | dict.fromkeys(NUMBERS, "float")
    | dict.fromkeys(COUNTS, "int")
    | {"found": "bool"}
)
FALSE = 0.05
"""Of the conditions called pain points, at most this share is expected to be none."""


@dataclass(frozen=True, eq=False)
class PainPoints(Framed):
    """Conditions and how much more often visits end after them.

    `frame`: persona, stage, touchpoint, condition, estimate (exit rate of contacts under the condition less
    that of the same touchpoint's other contacts), low, high, n (contacts under the condition), customers
    (who met it), with_it, without_it (the two rates), burden (customers x excess), q (adjusted p-value,
    over the conditions of a persona), found (q < .05 and more exits); largest burden first.
    """

    SHARES: ClassVar = ("estimate", "low", "high", "with_it", "without_it")

    def top(self, stage: int = 3) -> pd.DataFrame:
        """The pain points found, the worst so many of each stage."""
        found = self.frame[self.frame["found"]]
        return found.groupby(["persona", "stage"], sort=False).head(stage).reset_index(drop=True)

    def shown(self) -> pd.DataFrame:
        """The three worst of each stage; which persona, where there are several."""
        top = self.top().drop(columns=["n", "with_it", "without_it", "q", "found"])
        return top.drop(columns="persona") if (top["persona"] == EVERYWHERE).all() else top

    def claim(self) -> Claim:
        """The heaviest pain point of everybody, and how many there are."""
        tested = self.visible()
        tested = tested[tested["persona"] == EVERYWHERE]
        if tested.empty:
            return Claim(
                "No condition (an outcome, a slow page) is recorded of enough customers to say what hurts."
            )
        found = tested[tested["found"]]
        if found.empty:
            return Claim(
                f"None of {len(tested)} observed conditions clearly ends more visits than its absence."
            )
        top = found.iloc[0]
        return Claim(
            f"It hurts most at {place(top)}: {excess(top)}, for {top['customers']:,} customers; "
            f"{len(found)} of {len(tested)} observed conditions end more visits than their absence."
        )


def place(row: Any) -> str:
    """Where a pain point is, in words: `chat bot (failed)`."""
    return f"{nice(row['touchpoint'])} ({nice(row['condition'])})"


def excess(row: Any) -> str:
    """How much a pain point hurts, in words, with its interval."""
    rates = f"{percent(row['with_it'])} of visits end there instead of {percent(row['without_it'])}"
    ends = f"{100 * row['low']:.1f} to {100 * row['high']:.1f}"
    return f"{rates} ({100 * row['estimate']:.1f} points more, {ends})"


def pain_points(study: Study, memberships: pd.DataFrame | None = None, gap: str = GAP) -> PainPoints:
    """Touchpoints under a condition after which visits end more often, for everybody and each persona.

    Needs `touchpoints` with `outcome` or `load_ms`; empty without. A condition is a value of
    `outcome`, or a load of more than 3 s. A visit ends at a contact if its customer begins no other in the
    same session. Purchases are left out, as an end there is no loss. The difference of the two rates is
    tested with the fold jackknife where each has at least ten exits and ten others, and controlled for
    false discovery (Benjamini and Hochberg). `memberships`: `person` and a probability column a persona.

    >>> import cxlib as cx
    >>> bool(pain_points(cx.open_study("demo")).top()["low"].gt(0).all())
    True
    """
    carry = tuple(name for name in ("outcome", "load_ms") if study.has("touchpoints", name))
    if not carry:
        return PainPoints(pd.DataFrame(columns=list(NOTHING)).astype(NOTHING))
    log = study.log(gap=gap, carry=carry)
    members = Members.of(study, log, memberships)
    bought = [log.names["touchpoint"].index(name) for name in purchases(study)]
    rows = _conditions(log, carry, bought)
    keys = ("stage", "touchpoint", "kind", "condition")
    cells = members.count("pain-points", rows, keys, ("contacts", "exits"), {"gap": gap})
    return PainPoints(_tested(members, log, cells))


def _conditions(log: Log, carry: tuple[str, ...], bought: list[int]) -> Any:
    """Contacts and exits by person, stage, touchpoint and condition; the condition "" is all contacts of
    which it is known whether they were under one."""
    brand = log.names["initiated"].index("brand") if "brand" in log.names["initiated"] else -99
    own = (log.table.initiated != brand).ifelse(log.table.event, ibis.null("int64"))
    # -1: a session in which the customer begins nothing ends with each of its contacts.
    events = log.table.mutate(last=own.max().over(ibis.window(group_by="session")).fill_null(-1))
    events = events.filter((events.stage >= 0) & events.touchpoint.notin(bought or [-99]))
    known = {}
    if "outcome" in carry:
        known["outcome"] = events.outcome.nullif("")
    if "load_ms" in carry:
        known["slow"] = events.load_ms > SLOW_MS
    keys = ["person", "stage", "touchpoint"]
    exits = (events.event >= events["last"]).cast("int64").sum()
    counted = events.group_by(*keys, **known).aggregate(contacts=events.count(), exits=exits)
    parts = []
    if "outcome" in known:
        parts += _both(counted, counted.filter(counted.outcome.notnull()), "outcome", lambda t: t.outcome)
    if "slow" in known:
        loaded = counted.filter(counted.slow.notnull())
        parts += _both(loaded, loaded.filter(loaded.slow), "slow", lambda t: ibis.literal(SLOW))
    every = reduce(lambda a, b: a.union(b), parts)
    # An outcome may be a text of its own in every row: what is too rare to be tested stays on the engine.
    cell = ["stage", "touchpoint", "kind", "condition"]
    many = every.group_by(cell).aggregate(contacts=every.contacts.sum())
    every = every.semi_join(many.filter(many.contacts >= 2 * ENOUGH), cell)
    by = every.group_by(*keys, "kind", "condition")
    return by.aggregate(contacts=every.contacts.sum(), exits=every.exits.sum())


def _both(whole: Any, part: Any, kind: str, condition: Callable[[Any], Any]) -> list[Any]:
    """All contacts, and those under a condition, as rows of one form."""
    columns = ("person", "stage", "touchpoint", "contacts", "exits")
    named = ((whole, ibis.literal("")), (part, condition(part)))
    return [t.select(*columns, kind=ibis.literal(kind), condition=name) for t, name in named]


def _tested(members: Members, log: Log, cells: Cells) -> pd.DataFrame:
    """One row a persona and condition that can be tested, worst first."""
    keys = cells.keys.reset_index(names="cell")
    under = keys[keys["condition"] != ""].merge(
        keys[keys["condition"] == ""], on=["stage", "touchpoint", "kind"], suffixes=("", "_all")
    )
    one, every = under["cell"].to_numpy(), under["cell_all"].to_numpy()
    # Of two outcomes that are all there are, each is the other's absence: one question, not two.
    count = cells.own["contacts"][0]
    alike = under.assign(n=count[one]).groupby("cell_all")["n"].agg(["size", "sum"]).loc[every]
    mirrored = ((alike["size"] == 2) & (alike["sum"] == count[every])).to_numpy()
    names = ("exits", "contacts")
    with_it = np.stack([cells.sums[name][..., one] for name in names], axis=-1)
    whole = np.stack([cells.sums[name][..., every] for name in names], axis=-1)
    sums = np.stack([with_it, whole - with_it], axis=-2)  # (folds, assigned, conditions, with/without, 2)
    # How often a visit ends is not what personas are told apart by, whether or not the contacts are.
    base = cells.sums["contacts"].sum(axis=-1)
    rates = members.estimate(sums, lambda s: s[..., 0] / s[..., 1], "identity", base).estimate
    total = members.estimate(sums, lambda s: s, "identity", base).estimate
    fewest = np.minimum(total[..., 0], total[..., 1] - total[..., 0]).min(axis=-1, initial=np.inf)
    enough = np.asarray(fewest >= ENOUGH)
    gap = members.estimate(
        sums, lambda s: s[..., 0, 0] / s[..., 0, 1] - s[..., 1, 0] / s[..., 1, 1], "identity", base
    )
    p, ends, frames = gap.p(FOLDS - 1), gap.columns(), []
    for k, persona in enumerate(members.personas):
        frame = pd.DataFrame(
            {
                "persona": persona,
                "stage": log.decode(under["stage"], "stage"),
                "touchpoint": log.decode(under["touchpoint"], "touchpoint"),
                "condition": under["condition"],
                **{end: values[k] for end, values in ends.items()},
                "n": cells.own["contacts"][k, one].astype(int),
                "customers": cells.people["contacts"][k, one].astype(int),
                "with_it": rates[k, :, 0],
                "without_it": rates[k, :, 1],
            }
        )
        asked = enough[k] & ~(mirrored & (gap.estimate[k] < 0))
        frame = frame[asked].assign(q=stats.benjamini_hochberg(p[k, asked]))
        frame.insert(11, "burden", frame["customers"] * frame["estimate"])
        frame["found"] = (frame["q"] < FALSE) & (frame["estimate"] > 0)
        frames.append(frame.sort_values("burden", ascending=False, kind="stable"))
    return pd.concat(frames, ignore_index=True)
