"""For how many of the events and customers it is known who they are, and whether they agreed."""

from __future__ import annotations

import ibis.expr.types as ir
import pandas as pd

from cxlib.collection.events import IDENTITY, events
from cxlib.rates import Counts, rate, sums
from cxlib.results import EVERYWHERE, TOO_FEW, nice, percent, visible
from cxlib.study import Study


def identity(study: Study) -> Counts:
    """Whose the events are, by channel: a known customer's, a cookie's linked to one, another cookie's.

    One row a channel and kind (`IDENTITY`), the whole first; a channel's shares sum to 1. `n` events and
    `customers` persons of the channel; customers are the clusters.
    """
    frame = study.cached("quality_identity", {}, lambda: _identity(study, events(study)))
    return Counts(frame, _say_identity(visible(frame)))


def consent(study: Study) -> Counts:
    """The share of events, and of customers, whose consent is known, and of these, that was given.

    of (events, customers), what (known, given), estimate, low, high, n, customers. Without rows for what
    came without a column `consent`.
    """
    frame = study.cached("quality_consent", {}, lambda: _consent(study))
    return Counts(frame, _say_consent(frame))


def _identity(study: Study, rows: ir.Table) -> pd.DataFrame:
    kinds = {whose: rows["identity_"] == place for place, whose in enumerate(IDENTITY)}
    channels = study.fetch(sums(rows, kinds, ["channel_"])).sort_values("channel_")
    channels = channels.sort_values("n", ascending=False, kind="stable")
    whole = study.fetch(sums(rows, kinds)).assign(channel_=EVERYWHERE)
    parts = pd.concat([whole, channels]).groupby("channel_", sort=False)
    return pd.DataFrame([rate({"channel": c, "whose": k}, part, k) for c, part in parts for k in kinds])


def _consent(study: Study) -> pd.DataFrame:
    asked: dict[str, ir.Table] = {}
    if study.has("touchpoints", "consent"):
        asked["events"] = events(study).select("person_", yes_="consent")
    if study.has("customers", "consent"):
        asked["customers"] = study.table("customers").select(person_="customer_id", yes_="consent")
    table = []
    for of, each in asked.items():
        told = each.filter(each["yes_"].notnull())
        for what, some, share in (("known", each, each["yes_"].notnull()), ("given", told, told["yes_"])):
            found = study.fetch(sums(some, {"x": share}))
            if found["customers"].iloc[0]:
                table.append(rate({"of": of, "what": what}, found, "x"))
    return pd.DataFrame(table, columns=["of", "what", "estimate", "low", "high", "n", "customers"])


def _say_identity(shown: pd.DataFrame) -> str:
    whole = shown[shown["channel"] == EVERYWHERE]
    said = [f"{percent(row.estimate)} {row.whose}'" for row in whole.itertuples() if row.estimate > 0]
    loose = shown[(shown["whose"] == IDENTITY[-1]) & (shown["channel"] != EVERYWHERE)].nlargest(1, "estimate")
    most = [f"; unlinked most in {nice(row.channel)} ({percent(row.estimate)})" for row in loose.itertuples()]
    return f"Of all events, {', '.join(said)}{''.join(most)}." if said else TOO_FEW


def _say_consent(frame: pd.DataFrame) -> str:
    if frame.empty:
        return "Nothing in this study says who agreed to what."
    shown = visible(frame)
    said = [
        f"{what} for {percent(share)} of {of}" if what == "known" else f"given by {percent(share)} of these"
        for of, what, share in zip(shown["of"], shown["what"], shown["estimate"], strict=True)
    ]
    return f"Consent is {', '.join(said)}." if said else TOO_FEW
