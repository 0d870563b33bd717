"""What customers chose, and what they chose from: two tables of choices, counted on the log.

A visit is a session in which the customer did something: contacts that only the company began (an
e-mail that nobody opened) say nothing about the customer and are left out. Two questions are put to
each visit: how did it begin, and after each touchpoint, what came next (or did it end)?

What is likely depends on the moment, and moments come and go: somebody who has just bought waits for
a parcel, whatever kind of customer they are. So each choice is counted within its *context*:

- a beginning: how many visits since the last purchase (and which purchase, just after one), and how
  many visits the customer made in all (rare visitors are recognised at other places than frequent ones);
- a step: the touchpoint before, and how many visits since the last purchase.

Contexts are nobody's trait. They stand in the mixture as offsets that all kinds share.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import ibis
import ibis.expr.types as ir
import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from cxlib.study import Study
    from cxlib.study.log import Log

MOST = 30  # touchpoints told apart; rarer ones count as one
REST = "(other)"
BANDS = (2, 5, 10, 20, 40)  # visits of a customer, up to and including
WIDTH = 1 << 14
PHASES = ("first", "second", "later", "after")  # visits since the last purchase; `after`: just after one


def purchases(study: Study) -> tuple[str, ...]:
    """The touchpoints that are conversions: named by the study, else those that carry an order."""
    if study.settings.conversion:
        return tuple(study.settings.conversion)
    if not study.has("touchpoints", "order_id"):
        return ()
    t = study.table("touchpoints")
    with_order = t.filter(t.order_id.notnull()).select("touchpoint").distinct()
    return tuple(sorted(study.fetch(with_order)["touchpoint"]))


def visits(
    study: Study,
    log: Log,
    since: pd.Timestamp | None,
    until: pd.Timestamp | None,
    some: ir.Table | None = None,
) -> tuple[ir.Table, ir.Table, tuple[str, ...]]:
    """Visits (person, session, entry, phase, ...) and steps (person, before, phase, next), with names of codes.

    `some`: the persons (codes) to look at, if not all.
    """
    events, names = _named(study, log)
    if some is not None:
        events = events.semi_join(some, "person")
    if since is not None:
        events = events.filter(events["at"] >= _micros(since))
    if until is not None:
        events = events.filter(events["at"] < _micros(until))
    bought = [log.names["touchpoint"].index(n) for n in purchases(study) if n in log.names["touchpoint"]]
    initiators = log.names["initiated"]
    own = events.initiated != initiators.index("brand") if "brand" in initiators else ibis.literal(True)
    events = events.mutate(
        own=own.cast("int8"),
        bought=(events.touchpoint.isin(bought) if bought else ibis.literal(False)).cast("int8"),
    )
    seen = events.group_by("person", "session").aggregate(
        last_event=events.event.max(),
        entry=events.place.argmin(events.event),
        own=events.own.max(),
        bought=events.bought.max(),
        what=(events.bought > 0).ifelse(events.place, ibis.null("int32")).max(),
    )
    seen = seen.filter(seen.own > 0)
    order = ibis.window(group_by="person", order_by="session")
    seen = seen.mutate(
        number=ibis.row_number().over(order).cast("int32"),
        visits=seen.session.count().over(ibis.window(group_by="person")).cast("int32"),
    )
    seen = seen.mutate(bought_at=(seen.bought > 0).ifelse(seen.number, ibis.null("int32")))
    running = ibis.window(group_by="person", order_by="session", preceding=None, following=0)
    seen = seen.mutate(latest=seen.bought_at.max().over(running))
    seen = seen.mutate(before=seen.latest.lag().over(order), item=seen.what.lag().over(order))
    gone = (seen.number - seen.before).fill_null(-1)
    phase = ibis.cases((gone < 0, ibis.least(seen.number, 2)), (gone == 1, 3), else_=ibis.least(gone - 2, 2))
    moment = ibis.cases(
        (gone < 0, ibis.least(seen.number, 2)),
        (gone == 1, 6 + seen.item.fill_null(0)),
        else_=1 + ibis.least(gone, 4),
    )
    band = sum(
        ((seen.visits > top).cast("int32") for top in BANDS[1:]), (seen.visits > BANDS[0]).cast("int32")
    )
    seen = study.engine.keep(
        seen.select(
            "person", "session", "entry", "last_event",
            phase=phase.cast("int32"),
            context=(band * 100 + moment).cast("int32"),
            early=(2 * seen.number + 1 < seen.visits).cast("int8"),
        )
    )  # fmt: skip
    events = events.mutate(
        done=events.bought.max().over(
            ibis.cumulative_window(group_by=["person", "session"], order_by="event")
        )
    )
    steps = events.join(
        seen.select("person", "session", "last_event", "phase", "early"), ["person", "session"]
    )
    moved = (steps.event == steps.last_event).ifelse(len(names), steps.following).cast("int32")
    steps = steps.select(
        "person", "early", option=moved,
        context=(steps.place * 10 + (steps.done > 0).ifelse(3, steps.phase)).cast("int32"),
    )  # fmt: skip
    return seen, study.engine.keep(steps), names


def _micros(time: pd.Timestamp) -> int:
    return int((time - pd.Timestamp(0)) // pd.Timedelta("1us"))


def _named(study: Study, log: Log) -> tuple[ir.Table, tuple[str, ...]]:
    """Events with `place` and `following`: codes of the commonest touchpoints, the rest as one."""
    names = log.names["touchpoint"]
    events = log.table
    if len(names) <= MOST:
        return events.mutate(
            place=events.touchpoint.cast("int32"), following=events.next.cast("int32")
        ), names
    counts = study.fetch(events.group_by("touchpoint").aggregate(n=events.count()))
    top = counts.sort_values(["n", "touchpoint"], ascending=[False, True])["touchpoint"].head(MOST).tolist()

    def coded(column: Any) -> Any:
        return ibis.cases(*((column == code, i) for i, code in enumerate(top)), else_=len(top)).cast("int32")

    return events.mutate(place=coded(events.touchpoint), following=coded(events.next)), (
        *(names[code] for code in top), REST,
    )  # fmt: skip


def gathered(
    study: Study, choices: ir.Table, keys: tuple[str, ...], named: ir.Table | None = None
) -> pd.DataFrame:
    """Counts of `choices` by person and the integer columns `keys`; one row a person leaves the engine.

    `named`: the person's own `key` for each code `person`; given where these are codes.

    A person's counts travel as one list of packed integers, which take no order: fourteen bits a key,
    the rest a count.
    """
    counts = choices.group_by("person", *keys).aggregate(n=choices.count())
    packed = counts["n"].cast("int64")
    for key in keys:
        packed = packed * WIDTH + counts[key].cast("int64")
    lists = counts.mutate(packed=packed).group_by("person").aggregate(cells=lambda t: t.packed.collect())
    if named is not None:
        lists = lists.join(named, "person").select("cells", person="key")
    frame = study.fetch(lists)
    sizes = frame["cells"].map(len).to_numpy(int) if len(frame) else np.zeros(0, int)
    cells = np.concatenate(frame["cells"].to_list()).astype(np.int64) if len(frame) else np.zeros(0, np.int64)
    out = {"person": np.repeat(frame["person"].to_numpy(), sizes)}
    for key in reversed(keys):
        out[key], cells = cells % WIDTH, cells // WIDTH
    return pd.DataFrame(out | {"n": cells})


def moments(names: tuple[str, ...]) -> list[int]:
    """All contexts of a beginning."""
    return [100 * band + moment for band in range(len(BANDS) + 1) for moment in range(6 + len(names))]


def described(context: int, names: tuple[str, ...]) -> str:
    """A context of a beginning in words."""
    band, moment = divmod(context, 100)
    lows = (1, *(top + 1 for top in BANDS))
    many = f"{lows[band]} to {BANDS[band]} visits" if band < len(BANDS) else f"over {BANDS[-1]} visits"
    if moment >= 6:
        return f"just after {names[moment - 6]}, {many}"
    since = (
        "first visit",
        "second visit",
        "no purchase yet",
        "second since a purchase",
        "third since a purchase",
        "long after a purchase",
    )
    return f"{since[moment]}, {many}"
