"""Where behaviour says trouble and hardly anybody is asked: the blind spots of listening.

A contact that the customer began is in trouble if the visit ends there after an outcome that is a failure or
a load of more than 3 s, or if it is self-service and its customer turns at once to chat or to another
channel's staff. That is read off behaviour, so it is a sign and no proof: some leave because they have what
they came for.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, ClassVar

import ibis
import numpy as np
import pandas as pd

from cxlib import stats
from cxlib.results import Framed, nice, percent
from cxlib.study import Study
from cxlib.voice.scorecard import FAILURES, SLOW_MS, visits

HARDLY = 0.5
"""Hardly anybody is asked: less than this much of the share asked over all touchpoints."""


@dataclass(frozen=True, eq=False)
class Unasked(Framed):
    """Touchpoints by trouble and by how many of their contacts are asked about.

    `frame`: touchpoint, estimate (share of its contacts in trouble), low, high, n (contacts that customers
    began), customers, peers (the share at the other touchpoints of its stage), asked (survey responses for
    each contact), q (adjusted p-value of "as at its peers"), burden (contacts in trouble beyond its peers'
    share), blind (more trouble than its peers with q < .05, and hardly anybody asked); blind spots first, the
    largest burden first. `asked`: survey responses for each contact over all touchpoints; 0 without surveys.
    """

    SHARES: ClassVar = ("estimate", "low", "high", "peers", "asked")
    ROWS: ClassVar = 30

    asked: float

    def told(self, table: pd.DataFrame) -> str:
        """The worst blind spot, and how many there are."""
        asked = f"{percent(self.asked)} of all contacts" if self.asked else "nobody is asked anywhere"
        blind = table[table["blind"]]
        if blind.empty:
            there = f"asks about {asked}" if self.asked else f"is needed, though {asked}"
            return (
                f"At none of {len(table)} touchpoints does behaviour say more trouble than at its peers where hardly "
                f"anybody is asked; listening {there}."
            )
        worst = blind.iloc[0]
        text = (
            f"The worst blind spot is {nice(worst['touchpoint'])}: {percent(worst['estimate'])} of its "
            f"{worst['n']:,} contacts are in trouble ({percent(worst['low'])} to {percent(worst['high'])}; its peers "
            f"{percent(worst['peers'])})"
        )
        here = f"{percent(worst['asked'])} are asked about (of {asked})" if self.asked else asked
        more = len(blind) - 1
        return f"{text}, and {here}; there {'is' if more == 1 else 'are'} {more or 'no'} more."


def unasked(study: Study, failures: Collection[str] = FAILURES) -> Unasked:
    """Each touchpoint's contacts in trouble beside how many of its contacts anybody is asked about.

    Needs `touchpoints`; uses `outcome`, `load_ms`, the catalog's `mode` and `surveys` where the study has them.
    `failures`: the outcomes that are no success. Shares: fold jackknife or Wilson's interval; the difference
    from the peers is tested where both have ten contacts in trouble, and controlled for false discovery.

    Raises MissingTable without `touchpoints`.

    >>> import cxlib as cx
    >>> found = unasked(cx.open_study("demo"))
    >>> bool(found.table()["estimate"].between(0, 1).all())
    True
    """
    study.table("touchpoints", needed_by="unasked")
    log, t = visits(study)
    failed: Any = ibis.literal(False)
    if "outcome" in log.carry:
        failed = failed | t["outcome"].isin(list(failures)).fill_null(False)
    if "load_ms" in log.carry:
        failed = failed | (t["load_ms"] > SLOW_MS).fill_null(False)
    trouble = ((t["event"] == t["ends"]) & failed) | (t["itself"] & ~t["talk"] & t["then"])
    t = t.mutate(trouble=trouble).filter(t["own"])
    sums = t.group_by(["fold", "touchpoint"]).aggregate(
        n=t.count(), trouble=t["trouble"].sum(), customers=t["person"].nunique()
    )
    counted = study.cached("unasked", {"failures": sorted(failures)}, lambda: study.fetch(sums))
    names = log.names["touchpoint"]
    counts = np.zeros((stats.FOLDS, len(names), 2))
    np.add.at(counts, (counted["fold"], counted["touchpoint"]), counted[["trouble", "n"]].to_numpy(float))
    stage = np.array(log.of.get("stage", [0] * len(names)))
    peers = (stage[:, None] == stage) & ~np.eye(len(names), dtype=bool)
    lonely = (peers @ counts[..., 1].sum(axis=0)) == 0
    peers[lonely] = ~np.eye(len(names), dtype=bool)[lonely]
    share = stats.proportions(counts[..., 0], counts[..., 1])
    beside = np.stack([counts, peers @ counts], axis=-1)  # (folds, touchpoints, trouble/n, own/peers)
    gap = stats.jackknife(
        beside, lambda c: c[..., 0, 0] / c[..., 1, 0] - c[..., 0, 1] / c[..., 1, 1], "identity"
    )
    few = beside.sum(axis=0)[:, 0].min(axis=-1) < stats.ENOUGH
    frame = pd.DataFrame({"touchpoint": names, **share.columns()})
    frame["n"] = counts[..., 1].sum(axis=0).astype(int)
    people = counted.groupby("touchpoint")["customers"].sum()
    frame["customers"] = people.reindex(range(len(names)), fill_value=0).astype(int).to_numpy()
    frame["peers"] = share.estimate - gap.estimate
    answers = _answers(study).reindex(names, fill_value=0).to_numpy()
    frame["asked"] = answers / np.maximum(frame["n"], 1)
    frame = frame.assign(q=np.where(few, np.nan, gap.p(stats.FOLDS - 1)))[frame["n"] > 0]
    frame["q"] = stats.benjamini_hochberg(frame["q"])
    frame["burden"] = frame["n"] * (frame["estimate"] - frame["peers"])
    whole = answers.sum() / max(frame["n"].sum(), 1)
    frame["blind"] = (frame["q"] < 0.05) & (frame["burden"] > 0)
    frame["blind"] &= (frame["asked"] < HARDLY * whole) | (whole == 0)
    frame = frame.sort_values(["blind", "burden"], ascending=False, kind="stable", ignore_index=True)
    return Unasked(frame, float(whole))


def _answers(study: Study) -> pd.Series:
    """Survey responses by touchpoint; those about none are left out."""
    if "surveys" not in study.tables:
        return pd.Series(dtype=float)
    surveys = study.table("surveys")
    counted = surveys.group_by("touchpoint").aggregate(asked=surveys["response_id"].nunique())
    return study.fetch(counted).dropna(subset="touchpoint").set_index("touchpoint")["asked"]
