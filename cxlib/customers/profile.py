"""What describes a customer and must not make a kind: activity, hours, depth, answers; and what is sensitive.

How often and how lately somebody came moves counts, shares and recency together, so that a mixture of these
finds kinds where there are none. On a card they are worth knowing. What a study lacks is absent here, not zero.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import ibis
import ibis.expr.types as ir
import pandas as pd

from cxlib.customers.visits import _micros
from cxlib.study.people import people, touchpoints, with_person

if TYPE_CHECKING:
    from cxlib.customers.sources import Period
    from cxlib.study import Study
    from cxlib.study.log import Log

DESCRIBED: dict[str, tuple[str, str, bool]] = {
    "recency": ("time from the last contact of the customer's own to the end", "days", True),
    "tenure": ("time from when the customer was first seen to the end", "days", False),
    "visits": ("visits in which the customer did something", "visits", True),
    "active_days": ("days with a contact of the customer's own", "days", True),
    "orders": ("orders", "orders", True),
    "revenue": ("what the orders were worth", "minor units", True),
    "channels": ("channels used", "channels", True),
    "touchpoints": ("touchpoints used", "touchpoints", True),
    "mobile": ("own contacts on a mobile device, of those whose device is known", "share of contacts", False),
    "evening": ("visits begun from 18 to 24 o'clock", "share of visits", False),
    "weekend": ("visits begun on a Saturday or Sunday", "share of visits", False),
    "transaction": ("visits that reached the stage transaction", "share of visits", True),
    "self_service": ("own contacts without staff, of those whose mode is known", "share of contacts", True),
    "response": ("the company's contacts that one of the customer's own followed in 3 days", "share of contacts", False),
    "nps": ("mean of 100 for answers of 9 and 10 to the question nps, -100 for 0 to 6", "-100 to 100", False),
    "csat": ("mean answer to the question csat, on its scale", "0 worst to 1 best", False),
    "sentiment": ("mean of the column sentiment of the answers", "as given", False),
}  # fmt: skip
"""Meaning, unit, and whether buying is part of it, which therefore must not explain buying."""

ABOUT = "activity, hours, depth and answers: on the cards, never in the mixture"

SENSITIVE = (
    "age", "birth", "birthday", "birthdate", "dob", "gender", "sex", "sexual", "sexuality", "orientation",
    "race", "racial", "ethnic", "ethnicity", "religion", "religious", "belief", "political", "politics", "union",
    "genetic", "biometric", "health", "disability", "disabled", "pregnant", "pregnancy",
)  # fmt: skip
"""Age and sex, and what article 9 of the GDPR names; a column is meant where a word of its name is among them."""

DAY = 86_400_000_000
REPLY = 3 * DAY
NONE = -2  # the code of nothing


def sensitive_among(names: Iterable[object], words: Sequence[str]) -> list[str]:
    """The names one of whose words, parted by a capital or anything but letters and digits, is among `words`.

    >>> sensitive_among(["age_band", "language", "Sex", "sussex_store", "customerAge"], SENSITIVE)
    ['age_band', 'Sex', 'customerAge']
    """
    asked = {word.lower() for word in ([words] if isinstance(words, str) else words)}
    parted = {str(name): re.sub("(?<=[a-z0-9])(?=[A-Z])", "_", str(name)).lower() for name in names}
    return [name for name, plain in parted.items() if asked & set(re.split(r"[\W_]+", plain))]


def brand_code(log: Log) -> int:
    """The code in `initiated` of what the company began."""
    return log.names["initiated"].index("brand") if "brand" in log.names["initiated"] else NONE


def first_seen(study: Study) -> pd.Series:
    """Microseconds since 1970 when each of `customers` was first seen, by key; NaN where unknown."""
    table = study.table("customers")
    given = study.fetch(table.select("customer_id", "first_seen")).drop_duplicates("customer_id")
    since = pd.to_datetime(given.set_index("customer_id")["first_seen"])
    return (since - pd.Timestamp(0)) / pd.Timedelta("1us")


def described(study: Study, period: Period) -> pd.DataFrame:
    """The columns of `DESCRIBED` that the study has and that orders do not give; one row a person, by key."""
    asked = {
        ("touchpoints",): _from_log,
        ("touchpoints", "device"): _mobile,
        ("surveys", "customer_id"): _answers,
    }
    parts = [make(study, period) for needs, make in asked.items() if study.has(*needs)]
    return pd.concat(parts, axis=1) if parts else pd.DataFrame()


def _from_log(study: Study, period: Period) -> pd.DataFrame:
    log = study.log()
    events = log.table
    ends = study.fetch(events.aggregate(first=events["at"].min(), last=events["at"].max())).iloc[0]
    first, end = (int(time) for time in ends.fillna(0))
    if period.since is not None:
        events = events.filter(events["at"] >= (since := _micros(period.since)))
        first = max(first, since)
    if period.until is not None:
        events = events.filter(events["at"] < (until := _micros(period.until)))
        end = min(end, until)
    persons = period.some(log.persons, "key").select("person", "key")
    if period.share < 1:
        events = events.semi_join(persons, "person")
    brand = brand_code(log)
    own = events.filter(events.initiated != brand)
    own = own.mutate(clock=own["at"] + _offset(own["at"], study.settings.time_zone, first, max(first, end)))
    asked: dict[str, Any] = {}
    if study.has("catalog", "mode"):
        modes = study.fetch(study.table("catalog").select("touchpoint", "mode"))
        mode = dict(zip(modes["touchpoint"], modes["mode"], strict=True))
        alone, staffed = (
            [code for code, name in enumerate(log.names["touchpoint"]) if mode.get(name) == which]
            for which in ("self_service", "assisted")
        )
        alike = own.touchpoint.isin(alone or [NONE]).cast("float64")
        asked["self_service"] = own.touchpoint.isin([*alone, *staffed] or [NONE]).ifelse(alike, None).mean()
    deep = ibis.null("int32")
    if "transaction" in log.names["stage"]:
        deep = (own.stage == log.names["stage"].index("transaction")).cast("int32")
    visit = own.mutate(deep=deep).group_by("person", "session").aggregate(
        begun=lambda t: t.clock.min(), deep=lambda t: t.deep.max()
    )  # fmt: skip
    shares = visit.group_by("person").aggregate(
        evening=((visit.begun % DAY) >= 18 * DAY // 24).cast("float64").mean(),
        # The first of January 1970 was a Thursday.
        weekend=((_days(visit.begun) + 3) % 7 >= 5).cast("float64").mean(),
        transaction=visit.deep.cast("float64").mean(),
    )
    sums = own.group_by("person").aggregate(
        last=own["at"].max(),
        first=own["at"].min(),
        active_days=_days(own.clock).nunique(),
        channels=(own.channel >= 0).ifelse(own.channel, None).nunique(),
        touchpoints=own.touchpoint.nunique(),
        **asked,
    )
    found = [shares, sums]
    if brand >= 0:
        after = ibis.window(group_by="person", order_by="event", preceding=0, following=None)
        seen = events.mutate(
            own_next=(events.initiated != brand).ifelse(events["at"], ibis.null("int64")).min().over(after)
        )
        # What was sent too late to be answered by the end says nothing.
        sent = seen.filter((seen.initiated == brand) & (seen["at"] <= end - REPLY))
        replied = (sent.own_next - sent["at"] <= REPLY).fill_null(False).cast("float64")
        found.append(sent.group_by("person").aggregate(response=replied.mean()))
    keys = study.fetch(persons).set_index("person")["key"]
    frame = pd.concat([study.fetch(part).set_index("person") for part in found], axis=1)
    frame.index = pd.Index(keys.reindex(frame.index), name="key")
    frame["recency"] = (end - frame["last"]) / DAY
    frame["tenure"] = (end - frame["first"]) / DAY
    if study.has("customers", "first_seen"):
        given = (end - first_seen(study).reindex(frame.index)) / DAY
        frame["tenure"] = frame["tenure"].clip(lower=given.fillna(0.0))
    return frame.drop(columns=["first", "last"]).astype(float).dropna(axis=1, how="all")


def _mobile(study: Study, period: Period) -> pd.DataFrame:
    t = period.cut(touchpoints(study))
    t = t.filter(t.device.notnull())
    if study.has("touchpoints", "initiated_by"):
        t = t.filter(t.initiated_by != "brand")
    who = period.some(with_person(t, people(study.ids)), "key")
    share = who.group_by("key").aggregate(
        mobile=who.device.lower().isin(["mobile", "phone", "smartphone", "tablet"]).cast("float64").mean()
    )
    return study.fetch(share).set_index("key")


def _answers(study: Study, period: Period) -> pd.DataFrame:
    t = period.cut(study.table("surveys"))
    t = period.some(t.filter(t.customer_id.notnull()), "customer_id")
    net = (t.score >= 9).cast("float64") - (t.score <= 6).cast("float64")
    width = (t.scale_max - t.scale_min).cast("float64").nullif(0.0)
    asked = {
        "nps": (t.question == "nps").ifelse(net * 100.0, None),
        "csat": (t.question == "csat").ifelse((t.score - t.scale_min).cast("float64") / width, None),
    }
    if study.has("surveys", "sentiment") and t.sentiment.type().is_numeric():
        asked["sentiment"] = t.sentiment.cast("float64")
    means = t.group_by(key=t.customer_id).aggregate(**{name: one.mean() for name, one in asked.items()})
    return study.fetch(means).set_index("key").astype(float).dropna(axis=1, how="all")


def _days(micros: ir.Value) -> ir.Value:
    return (micros // DAY).cast("int64")


def _offset(at: ir.Value, zone: str, first: int, last: int) -> ir.Value:
    """Microseconds by which the clock of a zone is ahead of UTC at each time, as steps written into the expression."""
    hours = pd.date_range(pd.Timestamp(first, unit="us").floor("h"), pd.Timestamp(last, unit="us"), freq="h")
    ahead = pd.Series(hours.tz_localize("UTC").tz_convert(zone).tz_localize(None) - hours, index=hours)
    steps = ahead[ahead.ne(ahead.shift())] // pd.Timedelta("1us")
    later = [(at >= _micros(time), int(step)) for time, step in steps.iloc[:0:-1].items()]
    start = ibis.literal(int(steps.iloc[0]), "int64")
    return ibis.cases(*later, else_=start) if later else start


__all__ = ["ABOUT", "DESCRIBED", "SENSITIVE", "brand_code", "described", "first_seen", "sensitive_among"]
