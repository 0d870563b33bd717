"""How customers came to their arms, and what that asks of the arithmetic.

Arms may have been given to clusters (areas, shops) and not to customers, or with chances that differ
between customers. Both turn a mean into a ratio of sums, weighted and over units: sum(w y) / sum(w),
whose linearised variance knows the units (Cochran 1977, Sampling Techniques, 6.3 and 9A; weights are
Hajek's, one over the chance of the arm that was met). So one arithmetic serves all designs.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from cxlib.errors import CxValueError
from cxlib.experiments.metrics import Metric, column, numbers
from cxlib.experiments.moments import Array

PLAN: Any = {"cluster": "cluster", "propensity": "propensity", "stratum": "stratum"}
"""What the contract calls the columns of a plan."""


class Plan(NamedTuple):
    """The frame's columns that hold the arm and, where there are such, unit, chance and stratum."""

    variant: str
    cluster: str | None = None
    propensity: str | None = None
    stratum: str | None = None

    def read(self, frame: pd.DataFrame) -> Plan:
        """The same, checked; a column without any value is as good as none."""
        used = [name if name and column(frame, name).notna().any() else None for name in self[1:]]
        plan = Plan(self.variant, *used)
        if plan.propensity:
            chance = numbers(frame, plan.propensity, missing=True)
            if wrong := int(((chance <= 0) | (chance > 1)).sum()):
                raise CxValueError(
                    f"`{plan.propensity}` is the chance of the arm met, above 0 and up to 1; in {wrong:,} row(s) it is not."
                )
        return plan

    @property
    def unit(self) -> str:
        """What was assigned."""
        return "clusters" if self.cluster else "customers"

    def units(self, frame: pd.DataFrame) -> pd.Series:
        """A name for each row's unit; a row without a cluster is one of its own."""
        if not self.cluster:
            return pd.Series(np.arange(len(frame)), index=frame.index)
        own = pd.Series([f"row {i}" for i in range(len(frame))], index=frame.index)
        return frame[self.cluster].astype("string").fillna(own)

    def weights(self, frame: pd.DataFrame) -> Array | None:
        """One over the chance of the arm, where it differed between customers of an arm; else None."""
        if not self.propensity:
            return None
        chance = pd.Series(numbers(frame, self.propensity, missing=True), index=frame.index)
        spread = chance.groupby(frame[self.variant]).agg(["min", "max"])
        if chance.isna().any() or (spread["max"] - spread["min"] < 1e-9).all():
            return None
        return 1 / chance.to_numpy()

    def groups(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Units assigned by stratum and arm, as `sample_ratio.balance` takes them."""
        kept = frame[frame[self.variant].notna()]
        rows = pd.DataFrame({"variant": kept[self.variant].astype(str), "unit": self.units(kept)})
        rows["stratum"] = kept[self.stratum].astype("string") if self.stratum else ""
        if self.cluster and self.stratum:  # a cluster that reaches into several strata counts in one
            rows["stratum"] = rows.groupby("unit")["stratum"].transform("min")
        rows["chance"] = numbers(kept, self.propensity, missing=True) if self.propensity else np.nan
        rows["inverse"] = 1 / rows["chance"]
        return (
            rows.groupby(["stratum", "variant"], dropna=False)
            .agg(
                units=("unit", "nunique"),
                customers=("unit", "size"),
                inverse=("inverse", "sum"),
                planned=("chance", "count"),
            )
            .reset_index()
        )

    def sums(self, frame: pd.DataFrame, metric: Metric, covariates: list[str]) -> pd.DataFrame:
        """One row a unit: arm, `top`, `below`, and the covariates less their mean, weighted sums of each."""
        columns = [*metric.columns, *covariates]
        kept = frame[frame[columns].notna().all(axis=1) & frame[self.variant].notna()]
        weight = self.weights(kept)
        weight = np.ones(len(kept)) if weight is None else weight
        values = kept[columns].to_numpy(dtype=float)
        below = values[:, 1] if metric.kind == "ratio" else np.ones(len(kept))
        known = values[:, len(metric.columns) :]
        known = known - np.average(known, axis=0, weights=weight)
        rows = pd.DataFrame(np.column_stack([values[:, 0], below, known]) * weight[:, None])
        rows.columns = pd.Index(["top", "below", *covariates])
        rows[self.variant] = kept[self.variant].to_numpy()
        return rows.groupby([self.variant, self.units(kept).to_numpy()]).sum().reset_index(level=0)
