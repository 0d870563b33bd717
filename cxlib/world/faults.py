"""What is laid over the clean log: what a company's own systems do to it before an analyst sees it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from cxlib.world import company as c
from cxlib.world import tables
from cxlib.world.company import Ints
from cxlib.world.draw import BOUGHT, Log
from cxlib.world.programme import DAY

HOUR = 3600
_CHANNEL = {name: i for i, name in enumerate(c.CHANNELS)}
CART = BOUGHT | np.isin(c.NAMES, ("web_cart", "app_cart", "app_link_card"))


@dataclass(frozen=True)
class Devices:
    """Which device each event was on, as `person * 4 + slot` (-1: none), and the cookie each device shows."""

    event: Ints
    cookie: Ints  # by device
    cookies: int


def devices(log: Log, customers: int, rng: np.random.Generator) -> Devices:
    """Up to two phones and two computers a person, each with a cookie; a few are shared."""
    second = rng.random((customers, 2)) < (c.FAULTS["second_phone"], c.FAULTS["second_computer"])
    visit = log.starts.cumsum() - 1
    other = (rng.random(int(log.last.sum())) < c.FAULTS["on_the_second"])[visit]
    on = np.maximum(log.device, 0)
    app = c.CHANNEL_OF[log.touchpoint] == _CHANNEL["app"]
    slot = 2 * on + (other & second[log.person, on] & ~app)
    device = np.where(log.device < 0, -1, log.person * 4 + slot)
    device[c.CHANNEL_OF[log.touchpoint] == _CHANNEL["email"]] = -1  # a mail program keeps no cookie
    used = np.unique(device[device >= 0])
    cookie = np.full(customers * 4, -1)
    cookie[used] = rng.permutation(len(used))
    shared = used[rng.random(len(used)) < c.FAULTS["shared_devices"]]
    if len(used):
        cookie[shared] = cookie[rng.choice(used, len(shared))]
    return Devices(device, cookie, len(used))


def signed_in(log: Log, on: Devices, rng: np.random.Generator) -> npt.NDArray[np.bool_]:
    """Whether the company knows who it is: by e-mail, telephone and in the store; else from sign-in on.

    A device signs in at its first cart or linked card, by a link in an e-mail, by chance, or was signed in from the start.
    """
    n = len(log.at)
    has = on.event >= 0
    starts = log.starts
    already = rng.random(len(on.cookie)) < c.FAULTS["signed_in_already"]
    sign_in = starts & (rng.random(n) < c.FAULTS["sign_in"])
    by_mail = np.append(False, (c.CHANNEL_OF[log.touchpoint] == _CHANNEL["email"])[:-1])[:n] & ~starts
    signs = has & (CART[log.touchpoint] | already[on.event] | sign_in | by_mail)
    since = np.full(len(on.cookie), n)
    np.minimum.at(since, on.event[signs], np.flatnonzero(signs))
    return ~has | (np.arange(n) >= since[on.event])


def lay_over(
    log: Log, clean: dict[str, pd.Series], customers: int, first: int, rng: np.random.Generator
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """The log as the company has it, its identities, and what is planted (one row an event of the log).

    Ids of events and cookies begin at `first * 1000` and `first * 4`: parts can be written one by one.
    """
    n = len(log.at)
    on = devices(log, customers, rng)
    known = signed_in(log, on, rng)
    wrong = rng.random(len(on.cookie)) < c.FAULTS["skewed_devices"]
    skew = np.where(wrong, rng.integers(-5 * HOUR, 5 * HOUR, len(wrong)), 0)
    shift = np.where(on.event >= 0, skew[on.event], 0)
    late = rng.random(n) < c.FAULTS["late"]
    received = log.at + np.where(late, rng.integers(2 * HOUR, 3 * DAY, n), rng.integers(0, 4, n))
    cookie = np.where(on.event >= 0, on.cookie[on.event], -1)
    spoils = (cookie >= 0) & (rng.random(n) < c.FAULTS["junk_ids"])
    junk = np.where(spoils, rng.integers(0, len(c.JUNK), n), -1)
    again = np.flatnonzero(rng.random(n) < c.FAULTS["duplicates"])
    rows = np.concatenate([np.arange(n), again])
    received = np.concatenate([received, received[again] + rng.integers(1, 600, len(again))])

    bots = _bots(customers, on.cookies, rng)
    total = len(rows) + len(bots["at"])
    frame = pd.DataFrame(clean).drop(columns=["event_id", "anonymous_id", "customer_id", "ts", "received_ts"])
    frame = pd.concat([frame.iloc[rows], _bot_rows(bots)], ignore_index=True)
    cookies = np.concatenate([cookie[rows], bots["cookie"]])
    spoilt = np.concatenate([junk[rows], np.full(len(bots["at"]), -1)])
    person = np.concatenate([log.person[rows], np.full(len(bots["at"]), -1)])
    shown = np.where(np.concatenate([known[rows], np.zeros(len(bots["at"]), bool)]), person, -1)
    received = np.concatenate([received, bots["at"] + 1])
    at = np.concatenate([(log.at + shift)[rows], bots["at"]])
    anonymous = tables.numbered("a", np.where(cookies < 0, -1, cookies + 4 * first), 6)
    anonymous = anonymous.where(spoilt < 0, tables.text(spoilt, c.JUNK))
    frame.insert(0, "customer_id", tables.numbered("c", np.where(shown < 0, -1, first + shown)))
    frame.insert(1, "anonymous_id", anonymous)
    frame.insert(2, "ts", tables.time(at))
    frame.insert(3, "received_ts", tables.time(received))
    order = np.argsort(received, kind="stable")
    frame = frame.iloc[order].reset_index(drop=True)
    event_id = 1000 * first + 1 + np.arange(total)
    frame.insert(0, "event_id", event_id)

    fault = np.zeros(total, np.int64)
    fault[: len(rows)] = np.select([spoilt[: len(rows)] >= 0, (shift != 0)[rows], late[rows]], [3, 2, 1])
    fault[n : len(rows)], fault[len(rows) :] = 4, 5
    clean_id = np.concatenate([clean["event_id"].to_numpy()[rows], np.full(len(bots["at"]), -1)])
    planted = pd.DataFrame({"event_id": event_id}).assign(
        customer_id=tables.numbered("c", np.where(person < 0, -1, first + person)[order]),
        clean_event_id=clean_id[order],
        fault=tables.text(fault[order], ("none", "late", "clock_skew", "junk_id", "duplicate", "bot")),
    )
    return frame, _identities(frame), planted


def _identities(log: pd.DataFrame) -> pd.DataFrame:
    """Each pair of ids seen on one row: what a tag manager would record, shared devices and junk included."""
    if not len(log):
        return no_identities()
    both = log[log["anonymous_id"].notna() & log["customer_id"].notna()]
    pairs = both.groupby(["anonymous_id", "customer_id"], sort=True)["ts"].agg(["min", "max"]).reset_index()
    cookie, sign_in = (tables.text(np.zeros(len(pairs)), [word]) for word in ("cookie", "sign_in"))
    pairs.columns = pd.Index(["id_value", "customer_id", "first_seen", "last_seen"])
    pairs.insert(0, "id_type", cookie)
    pairs.insert(3, "rule", sign_in)
    return pairs


def no_identities() -> pd.DataFrame:
    """The table without a row: in a clean log nobody needs linking."""
    names = ("id_type", "id_value", "customer_id", "rule")
    columns = {name: tables.text([], [""]) for name in names}
    return pd.DataFrame(columns | {"first_seen": tables.time([]), "last_seen": tables.time([])})


def _bots(customers: int, cookies: int, rng: np.random.Generator) -> dict[str, Ints]:
    """Crawlers: 40 to 200 pages in a row, a second or two apart, without cookies that anybody owns."""
    n = int(rng.poisson(c.FAULTS["bots"] * customers))
    pages = rng.integers(40, 200, n)
    bot = np.repeat(np.arange(n), pages)
    gap = rng.integers(1, 4, len(bot)).cumsum()
    start = rng.integers(0, (c.DAYS - 1) * DAY, n)
    first = np.append(0, pages.cumsum()[:-1])[:n]
    at = start[bot] + gap - gap[first][bot] if n else np.zeros(0, np.int64)
    page = rng.choice([c.CODE["web_category_page"], c.CODE["web_product_page"]], len(bot), p=[0.3, 0.7])
    return {
        "at": at,
        "cookie": cookies + bot,
        "touchpoint": page,
        "load_ms": rng.integers(8, 60, len(bot)) * 10,
    }


def _bot_rows(bots: dict[str, Ints]) -> pd.DataFrame:
    n = len(bots["at"])
    none = np.full(n, -1)
    product = bots["touchpoint"] == c.CODE["web_product_page"]
    return pd.DataFrame(
        {
            "touchpoint": tables.text(bots["touchpoint"], c.NAMES),
            "initiated_by": tables.text(np.zeros(n), ["customer"]),
            "device": tables.text(np.ones(n), c.DEVICES),
            "load_ms": pd.array(bots["load_ms"], dtype="Int64"),
            "queue_min": tables.minutes(none),
            "outcome": tables.text(np.where(product, 0, -1), c.OUTCOMES),
            "order_id": tables.text(none, [""]),
            "value": pd.array([pd.NA] * n, dtype="Int64"),
            "currency": tables.text(none, [""]),
        }
    )
