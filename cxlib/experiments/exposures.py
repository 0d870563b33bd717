"""Who met which variant first, and which experiments a study holds.

The first exposure of a customer to an experiment decides the arm, whatever came later (intention to
treat): what a customer met afterwards may be an effect of the first.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import ibis
import ibis.expr.types as ir
import numpy as np
import pandas as pd

from cxlib.errors import require
from cxlib.experiments.metrics import order_arms
from cxlib.experiments.sample_ratio import SampleRatio, balance
from cxlib.results import Claim, Framed, minimum, nice

if TYPE_CHECKING:
    from cxlib.study import Study

DAY = 86_400_000_000  # microseconds


@dataclass(frozen=True, eq=False)
class Trials(Framed):
    """The experiments of a study.

    frame : one row an experiment, in order of time: variants (the likely control first), customers, sound, p (of
        the sample ratio), first exposure, days (that can be observed of everybody), assigned_by (customer, or how
        many clusters), met_two (customers who met several variants), last exposure
    checks : the sample ratio of each experiment, by name
    """

    checks: dict[str, SampleRatio] = field(repr=False)

    @property
    def sound(self) -> tuple[str, ...]:
        """Experiments whose assignment is not broken."""
        return tuple(self.frame.loc[self.frame["sound"], "experiment"])

    def pick(self, name: str = "") -> str:
        """The experiment of that name, or without one the first sound one with the most variants.

        Raises CxLookupError that lists those there are.
        """
        if name:
            return require(name, self.frame["experiment"], f"No experiment is called `{name}`")
        doses = [one for one in self.frame["experiment"] if one in self.doses]
        size = self.frame.set_index("experiment")["variants"].str.count(",")
        rank = size + 0.5 * size.index.isin(self.sound) - 100 * size.index.isin(doses)
        return str(rank.idxmax())

    def started(self, name: str) -> pd.Timestamp:
        """The first exposure of an experiment: what came before can describe its customers."""
        return pd.Timestamp(self.frame.set_index("experiment").loc[self.pick(name), "first"])

    def window(self, name: str, most: int = 60) -> str:
        """As many days as can be observed of everybody in an experiment, `most` at most."""
        days = int(self.frame.set_index("experiment").loc[self.pick(name), "days"])
        return f"{max(min(days, most), 1)} D"

    @property
    def doses(self) -> tuple[str, ...]:
        """Experiments whose variants are all numbers, more than two of them: how often, how much."""
        variants = self.frame.set_index("experiment")["variants"].str.split(", ")
        return tuple(
            name
            for name, arms in variants.items()
            if len(arms) > 2 and pd.to_numeric(pd.Series(arms), errors="coerce").notna().all()
        )

    def claim(self) -> Claim:
        """How many experiments there are, and which cannot be read."""
        table = self.frame
        if not (table["customers"] >= minimum()).any():
            return Claim("No experiment in this study has enough customers to be read.")
        several = f"{len(table)} experiments" if len(table) > 1 else "One experiment"
        text = f"{several} on {table['customers'].min():,} to {table['customers'].max():,} customers"
        text = text if len(table) > 1 else f"{several} on {table['customers'].iloc[0]:,} customers"
        tested = table["p"].notna()
        broken = ", ".join(nice(name) for name in table.loc[tested & ~table["sound"], "experiment"])
        alone = ", ".join(nice(name) for name in table.loc[~tested, "experiment"])
        text += f"; {alone}: one variant only, nothing to compare" if alone else ""
        if broken:
            return Claim(f"{text}; of {broken} the assignment is broken, and no effect is read.")
        return Claim(f"{text}; the arms have the sizes that were planned." if tested.any() else f"{text}.")


def trials(study: Study, limit: float = 0.001) -> Trials:
    """Every experiment found in `exposures`, and whether its assignment went as planned.

    Raises MissingTable without exposures.

    >>> import cxlib as cx
    >>> met = pd.DataFrame({"experiment": "e", "variant": ["A", "B"] * 20, "ts": "2025-03-01",
    ...     "customer_id": [f"c{i}" for i in range(40)]})
    >>> trials(cx.open_study({"exposures": met})).claim()
    One experiment on 40 customers; the arms have the sizes that were planned.
    """
    last = end(study)
    rows, checks = [], {}
    for name, group in _groups(study).groupby("experiment", sort=False):
        arms = order_arms(sorted(group["variant"].unique()))
        clustered = bool(group["clustered"].sum())
        units = "clusters" if clustered else "customers"
        row = {"experiment": name, "variants": ", ".join(arms), "customers": int(group["customers"].sum())}
        row |= {"sound": False, "p": np.nan, "first": group["first"].min()}
        row["days"] = max((last - group["last"].max()).days, 0)
        row["assigned_by"] = f"{int(group['clusters'].sum()):,} clusters" if clustered else "customer"
        row |= {"met_two": int(group["two"].sum()), "last": group["last"].max()}
        if len(arms) > 1:
            checks[str(name)] = check = balance(
                group.assign(units=group[units]), arms, limit=limit, unit=units
            )
            row |= {"p": check.least, "sound": check.passed}
        rows.append(row)
    return Trials(pd.DataFrame(rows), checks)


def first_exposures(study: Study) -> ir.Table:
    """One row an experiment and customer: variant, ts, at (microseconds) and plan of the first exposure, and
    `two`, 1 where others of another variant followed. Ties in time go to the first name."""
    t = study.table("exposures", needed_by="An experiment")
    who = ibis.window(group_by=["experiment", "customer_id"])
    kept = ["experiment", "customer_id", "variant", "ts", "propensity", "cluster", "stratum"]
    ranked = t.select(
        *kept,
        at=study.engine.micros(t.ts),
        place=ibis.row_number().over(
            ibis.window(group_by=["experiment", "customer_id"], order_by=["ts", "variant"])
        ),
        two=(t.variant.min().over(who) != t.variant.max().over(who)).cast("int64"),
    )
    return ranked.filter(ranked.place == 0).drop("place")


def end(study: Study) -> pd.Timestamp:
    """The latest time of a touchpoint, order, answer or exposure: up to then the study has been observed."""

    def latest() -> pd.DataFrame:
        tables = [
            study.table(name) for name in ("touchpoints", "orders", "surveys", "exposures") if study.has(name)
        ]
        found = (study.fetch(t.aggregate(ts=t.ts.max()))["ts"].iloc[0] for t in tables)
        return pd.DataFrame({"ts": [max(pd.Timestamp(ts) for ts in found if pd.notna(ts))]})

    return pd.Timestamp(study.cached("end", {}, latest)["ts"].iloc[0])


def picked(study: Study, name: str) -> str:
    """The name, if the study has such an experiment; CxLookupError lists those there are."""
    return require(name, _groups(study)["experiment"].unique(), f"No experiment is called `{name}`")


def _groups(study: Study) -> pd.DataFrame:
    """What the check of an assignment needs: one row an experiment, stratum and variant, in order of time."""
    groups = study.cached("trials", {}, lambda: study.fetch(_counted(first_exposures(study))))
    return groups.sort_values(["first", "experiment"], kind="stable")


def _counted(met: ir.Table) -> ir.Table:
    # A cluster that reaches into several strata counts in one.
    own = met.stratum.min().over(ibis.window(group_by=["experiment", "cluster"]))
    met = met.mutate(stratum=met.cluster.isnull().ifelse(met.stratum, own))
    return met.group_by(["experiment", "stratum", "variant"]).agg(
        customers=met.count(),
        clusters=met.cluster.nunique() + met.cluster.isnull().cast("int64").sum(),
        clustered=met.cluster.count(),
        inverse=(1.0 / met.propensity.nullif(0.0)).sum(),
        planned=met.propensity.count(),
        first=met.ts.min(),
        last=met.ts.max(),
        two=met.two.sum(),
    )
