"""From arrays to the contract's tables: pandas frames with text columns, UTC times and integer cents."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from cxlib.world import company as c
from cxlib.world import phrases, programme
from cxlib.world.company import Ints
from cxlib.world.draw import Log, Orders
from cxlib.world.feedback import Answers
from cxlib.world.people import People, pick
from cxlib.world.programme import DAY
from cxlib.world.trials import Treated, lost_row_chance

TEXT = pa.string()


def text(codes: npt.ArrayLike, names: Sequence[str]) -> pd.Series:
    """A text column from codes into `names`; -1 is null."""
    values = np.asarray(codes)
    indices = pa.array(values.astype(np.int32), mask=values < 0)
    return _series(pa.DictionaryArray.from_arrays(indices, pa.array(names, TEXT)).cast(TEXT))


def numbered(prefix: str, numbers: npt.ArrayLike, width: int = 7) -> pd.Series:
    """A text column of ids such as `c0000012`; negative numbers are null.

    >>> numbered("c", [12, -1]).tolist()
    ['c0000012', nan]
    """
    values = np.asarray(numbers)
    digits = pc.utf8_lpad(pa.array(values.astype(np.int64), mask=values < 0).cast(TEXT), width, padding="0")
    return _series(pc.binary_join_element_wise(pa.scalar(prefix), digits, ""))


def _series(values: pa.Array) -> pd.Series:
    return pd.Series(pd.array(values, dtype="str"))


def time(seconds: npt.ArrayLike) -> pd.Series:
    """A UTC time column (naive, microseconds) from whole seconds since the window's start."""
    return pd.Series(c.START + np.asarray(seconds, np.int64) * np.timedelta64(1_000_000, "us"))


def catalog() -> pd.DataFrame:
    """The touchpoints of the company."""
    frame = pd.DataFrame(c.TOUCHPOINTS).rename(columns={"name": "touchpoint"})
    frame = frame[["touchpoint", "channel", "stage", "ownership", "mode", "unit_cost"]]
    return frame.assign(currency=c.CURRENCY).astype({"currency": "str"})


def customers(firm: c.Company, who: People, log: Log, first: int, rng: np.random.Generator) -> pd.DataFrame:
    """All known customers. A new customer is first seen at the first touchpoint."""
    n = len(who.kind)
    seen = who.joined * DAY + rng.integers(6 * 3600, 23 * 3600, n)
    starts = np.flatnonzero(np.append(True, log.person[1:] != log.person[:-1])[: len(log.person)])
    new = starts[who.joined[log.person[starts]] >= 0]
    seen[log.person[new]] = log.at[new]
    cost = np.array(c.ACQUISITION_COST)[who.traits["acquisition_channel"]]
    cost = cost * np.exp(0.3 * rng.standard_normal(n))
    friend = np.where(who.referred, first + rng.integers(0, np.maximum(np.arange(n), 1)), -1)
    frame = {
        "customer_id": numbered("c", first + np.arange(n)),
        "first_seen": time(seen),
        "acquisition_cost": cost.round(1),
        "currency": text(np.zeros(n), [c.CURRENCY]),
        "referred_by": numbered("c", friend),
        "consent": who.consent,
    }
    traits = {name: text(who.traits[name], values) for name, (values, _) in firm.traits.items()}
    asked = np.where(rng.random(n) < c.SAYS_MOTIVE, pick(rng, firm.motives[who.kind]), -1)
    return pd.DataFrame(frame | traits | {"area": text(who.area, c.AREAS), "motive": text(asked, c.MOTIVES)})


def exposures(who: People, treated: Treated, first: int, rng: np.random.Generator) -> pd.DataFrame:
    """One row an assignment, by time and customer: rows of `new_search` lost, second variants of `home_page`."""
    parts = []
    for e in programme.EXPERIMENTS:
        variant = treated.variant[e.name]
        person = np.flatnonzero(variant >= 0)
        lost = (e.name == programme.LOSES_ROWS) & (variant[person] == 1)
        person = person[~(lost & (rng.random(len(person)) < lost_row_chance(who.activity[person])))]
        met, days = variant[person], np.full(len(person), e.start)
        if e.name == "home_page":
            again = rng.random(len(person)) < programme.MET_TWO
            other = (met + rng.integers(1, len(e.variants), len(met))) % len(e.variants)
            later = e.start + rng.integers(1, 1 + programme.MET_LATER_DAYS, len(met))
            person = np.concatenate([person, person[again]])
            met, days = np.concatenate([met, other[again]]), np.concatenate([days, later[again]])
        frame = pd.DataFrame(
            {
                "experiment": text(np.zeros(len(person)), [e.name]),
                "variant": text(met, e.variants),
                "customer_id": numbered("c", first + person),
                "ts": time(days * DAY),
                "propensity": 1 / len(e.variants),
                "cluster": text(
                    who.area[person] if e.name == programme.CLUSTERED else person * 0 - 1, c.AREAS
                ),
                "stratum": text(who.traits["region"][person], c.REGIONS),
            }
        )
        parts.append(frame)
    return pd.concat(parts).sort_values(["ts", "experiment", "customer_id"], ignore_index=True)


def touchpoints(
    log: Log, bought: Orders, first: int, event_id: Ints, order_number: Ints
) -> dict[str, pd.Series]:
    """Columns of the clean log, in the log's own order (by person)."""
    n = len(log.at)
    order, value = np.full(n, -1), np.zeros(n, np.int64)
    order[bought.event], value[bought.event] = order_number, bought.revenue
    nothing = order < 0
    return {
        "event_id": pd.Series(event_id),
        "customer_id": numbered("c", first + log.person),
        "anonymous_id": text(np.full(n, -1), [""]),
        "ts": time(log.at),
        "received_ts": time(log.at),
        "touchpoint": text(log.touchpoint, c.NAMES),
        "initiated_by": text(log.brand.astype(int), ("customer", "brand")),
        "device": text(log.device, c.DEVICES),
        "load_ms": _whole(log.load_ms, log.load_ms < 0),
        "queue_min": minutes(log.queue),
        "outcome": text(log.outcome, c.OUTCOMES),
        "order_id": numbered("o", order),
        "value": _whole(value, nothing),
        "currency": text(np.where(nothing, -1, 0), [c.CURRENCY]),
    }


def _whole(values: Ints, missing: npt.NDArray[np.bool_]) -> pd.Series:
    return pd.Series(pd.arrays.IntegerArray(values.astype(np.int64), missing))


def minutes(tenths: Ints) -> pd.Series:
    """Minutes from tenths; below 0 is null."""
    return pd.Series(np.where(tenths < 0, np.nan, tenths / 10))


def orders(log: Log, bought: Orders, first: int, order_number: Ints) -> pd.DataFrame:
    """One row an order; `purchase` says whether it was instinctive or considered."""
    e = bought.event
    frame = pd.DataFrame(
        {
            "order_id": numbered("o", order_number),
            "customer_id": numbered("c", first + log.person[e]),
            "ts": time(log.at[e]),
            "channel": text(c.CHANNEL_OF[log.touchpoint[e]], c.CHANNELS),
            "revenue": bought.revenue,
            "margin": bought.margin,
            "currency": text(np.zeros(len(e)), [c.CURRENCY]),
            "purchase": text(bought.instinctive.astype(int), ("considered", "instinctive")),
        }
    )
    return frame.sort_values("order_id", ignore_index=True)


def surveys(
    who: People,
    log: Log,
    answers: Answers,
    first: int,
    first_response: int,
    rng: np.random.Generator,
    reader: np.random.Generator,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """One row an answer, and what is planted in the comments: response, aspect, sentiment, half, marks.

    `reader` draws which comments people have read: what they noted stands in the `read_` columns.
    """
    event, sent = np.unique(answers.event, return_inverse=True)
    asked_at = log.at[event] + rng.integers(600, 3 * 3600, len(event))
    rank = np.empty(len(event), np.int64)
    rank[np.argsort(asked_at, kind="stable")] = np.arange(len(event))
    response = numbered("r", first_response + rank[sent])
    low = np.array([c.SCALE[q][0] for q in c.QUESTIONS])[answers.question]
    high = np.array([c.SCALE[q][1] for q in c.QUESTIONS])[answers.question]
    touchpoint, person = log.touchpoint[answers.event], log.person[answers.event]
    language = np.where(answers.comment, who.traits["language"][person], -1)
    said = np.flatnonzero(answers.comment)
    place = answers.answer[said] / (high - low)[said]
    comment, planted = phrases.comments(language[said], place, log, answers.event[said], rng)
    text_column = pd.array([None] * len(response), dtype="str")
    text_column[said] = comment
    stages = [t.stage for t in c.TOUCHPOINTS]
    frame = pd.DataFrame(
        {
            "response_id": response,
            "customer_id": numbered("c", first + person),
            "ts": time(asked_at[sent]),
            "touchpoint": text(touchpoint, c.NAMES),
            "stage": text(np.array([c.STAGES.index(s) for s in stages])[touchpoint], c.STAGES),
            "question": text(answers.question, c.QUESTIONS),
            "score": low + answers.answer,
            "scale_min": low,
            "scale_max": high,
            "comment": text_column,
            "language": text(language, c.LANGUAGES),
        }
    )
    notes = phrases.hand_read(planted.set_index(said), reader).reindex(frame.index)
    frame = pd.concat([frame, notes], axis=1)
    planted.insert(0, "response_id", response.to_numpy()[said])
    order = np.lexsort((answers.question, rank[sent]))
    return frame.iloc[order].reset_index(drop=True), planted.sort_values("response_id", ignore_index=True)
