"""Stitching against a plain reading of its rules, and against the true customer of every event."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import ibis
import numpy as np
import pandas as pd
import pytest

import cxlib as cx
from cxlib.collection import Sensitivity, Stitched, coverage, plots, quality, stitch
from cxlib.collection.identity import RULES
from cxlib.errors import CxLookupError, CxValueError, MissingTable
from cxlib.study import Study
from cxlib.study.people import WINDOW, known_ids, people, touchpoints, with_person
from cxlib.world import company, simulate
from tests import harness

START = pd.Timestamp("2026-01-05")
Row = tuple[str | None, str | None, float]  # anonymous_id, customer_id, minutes since the start


def events(rows: Iterable[Row]) -> pd.DataFrame:
    """Touchpoints, one a row, numbered in the order given."""
    frame = pd.DataFrame(rows, columns=["anonymous_id", "customer_id", "minute"]).astype({"minute": float})
    ids = frame[["anonymous_id", "customer_id"]].astype(object).where(frame.notna(), None)
    ts = START + pd.to_timedelta(frame["minute"], unit="min")
    plain = {"touchpoint": "page", "channel": "web", "stage": "awareness"}
    return ids.assign(event_id=range(len(frame)), ts=ts, **plain)


def linked(*rows: tuple[str, ...], **columns: Any) -> pd.DataFrame:
    """Identities of id_type, id_value, customer_id."""
    return pd.DataFrame(rows, columns=["id_type", "id_value", "customer_id"]).assign(**columns)


def study(rows: Iterable[Row], identities: pd.DataFrame | None = None, **tables: pd.DataFrame) -> Study:
    """A study in memory."""
    more = {"identities": identities} if identities is not None else {}
    return cx.open_study({"touchpoints": events(rows), **more, **tables})


def keys(of: Study) -> list[str]:
    """The person of each event, in the order of event_id."""
    who = with_person(touchpoints(of), people(known_ids(of)))
    frame = of.fetch(who.select("event_id", "key")).astype({"event_id": int})
    return frame.sort_values("event_id")["key"].tolist()


def logged(of: Study) -> list[str]:
    """The same, as the log has it."""
    log = of.log(carry=("event_id",))
    frame = of.fetch(log.decoded().select("event_id", "key")).astype({"event_id": int})
    return frame.sort_values("event_id")["key"].tolist()


def links(found: Stitched) -> set[tuple[str, str, str]]:
    """id_value, customer_id and rule of the identities."""
    return set(found.identities[["id_value", "customer_id", "rule"]].itertuples(index=False, name=None))


def refused(found: Stitched) -> dict[str, int]:
    """Cases by rule."""
    return found.audit.table().groupby("rule").size().to_dict()


# --- the rules, one by one ----------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Case:
    """Events and identities of a rule's own, the person of each event, and what the audit says."""

    rows: list[Row]
    persons: list[str]
    audit: dict[str, int] = dataclasses.field(default_factory=dict)
    seen: tuple[tuple[str, ...], ...] = ()


CASES = {
    "an id seen with one customer is theirs, before and after": Case(
        [("d", None, 0), ("d", "x", 9), ("d", None, 10**5), ("e", None, 0)], ["x", "x", "x", "e"]
    ),
    "an id seen with as many as the cap is a shared device": Case(
        [*(("d", f"c{i}", 100 * i) for i in range(5)), ("d", None, 1), ("d", None, 50)],
        [*(f"c{i}" for i in range(5)), "c0", "d"],
        {"shared device": 1},
    ),
    "an id seen with more than the cap links nobody": Case(
        [*(("d", f"c{i}", 100 * i) for i in range(6)), ("d", None, 1)],
        [*(f"c{i}" for i in range(6)), "d"],
        {"too many customers": 1},
    ),
    "a customer with implausibly many ids is flagged and stays linked": Case(
        [(f"d{i}", "till", i) for i in range(101)] + [("d7", None, 0)], ["till"] * 102, {"many ids": 1}
    ),
    "a shared device is whose sign-in is near, and nobody's where two are": Case(
        [
            ("d", "x", 0), ("d", None, 29), ("d", None, 31), ("d", None, 969), ("d", None, 971),
            ("d", "y", 1000), ("d", None, 1020), ("d", "x", 1040), ("d", None, 1070), ("d", None, 1071),
        ],
        ["x", "x", "d", "d", "y", "y", "d", "x", "x", "d"],
        {"shared device": 1},
    ),
    "sign-ins that only identities know of make windows too": Case(
        [("d", None, 5), ("d", None, 700), ("d", None, 1435)],
        ["x", "d", "y"],
        {"shared device": 1},
        (("cookie", "d", "x", "0"), ("cookie", "d", "y", "1440")),
    ),
    "a strong id makes two customers one person, a cookie or a badge never does": Case(
        [("d", "y", 0), ("d", "x", 500), (None, "z", 900)],
        ["y", "x", "x"],  # x was seen before z
        {"same person": 1, "shared device": 2},
        (("Email", "m", "x"), ("Email", "m", "z"), ("cookie", "d", "z"), ("badge", "b", "x"), ("badge", "b", "y")),
    ),
    "an id of two customers who are one person is that person's": Case(
        [("d", "x", 0), ("d", None, 400), ("d", "y", 500)],
        ["x", "x", "x"],
        {"same person": 1},
        (("email", "m", "x"), ("email", "m", "y")),
    ),
    "a row of type customer_id says whom a customer_id stands for": Case(
        [(None, "old", 0), (None, "new", 1)], ["old", "old"], {"same person": 1}, (("customer_id", "old", "new"),)
    ),
    "a person of more customers than the cap is refused as a whole": Case(
        [(None, f"c{i}", i) for i in range(6)],
        [f"c{i}" for i in range(6)],
        {"person too large": 1, "shared device": 5},
        tuple(("email", f"m{i}", f"c{j}") for i in range(5) for j in (i, i + 1)),
    ),
    "a strong id of more customers than the cap joins nobody": Case(
        [(None, f"c{i}", i) for i in range(6)],
        [f"c{i}" for i in range(6)],
        {"too many customers": 1},
        tuple(("email", "info@shop", f"c{i}") for i in range(6)),
    ),
    "the same text under two types is two ids": Case(
        [(None, "x", 0), (None, "y", 1)], ["x", "y"], {}, (("loyalty", "7", "x"), ("phone", "7", "y"))
    ),
    "the same text under two types is one id where it is a visitor's": Case(
        [("8", None, 1)], ["8"], {"shared device": 1}, (("web", "8", "x"), ("app", "8", "y"))
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def ruled() -> tuple[Stitched, list[str]]:
    """All cases side by side in one study, and the person of each event; ids begin with the case's number."""
    rows: list[Row] = []
    seen = []
    for number, case in enumerate(CASES.values()):
        own = f"{number}:"
        rows += [(d and own + d, c and own + c, minute) for d, c, minute in case.rows]
        seen += [(kind, own + value, own + who, *at) for kind, value, who, *at in case.seen]
    links = pd.DataFrame(seen, columns=["id_type", "id_value", "customer_id", "first_seen"])
    minute = pd.to_timedelta(links["first_seen"].astype(float), unit="min")
    found = stitch(study(rows, links.assign(first_seen=START + minute, last_seen=pd.NaT)))
    return found, keys(found.applied())


@pytest.mark.parametrize("name", CASES)
def test_the_rules_one_by_one(ruled: tuple[Stitched, list[str]], name: str) -> None:
    number = list(CASES).index(name)
    before = sum(len(case.rows) for case in list(CASES.values())[:number])
    case, own = CASES[name], f"{number}:"
    found, persons = ruled
    assert [key.removeprefix(own) for key in persons[before : before + len(case.rows)]] == case.persons
    audit = found.audit.table()
    assert audit[audit["id_value"].str.startswith(own)].groupby("rule").size().to_dict() == case.audit


def test_what_the_audit_and_the_identities_hold(ruled: tuple[Stitched, list[str]]) -> None:
    found = ruled[0]
    audit = found.audit.table().set_index("rule")
    assert audit.loc["person too large", ["customers", "ids"]].tolist() == [6, 5]
    assert audit.loc["many ids", ["id_type", "ids"]].tolist() == ["customer_id", 101]
    row = found.identities[found.identities["id_value"] == "0:d"].iloc[0]
    moment = START + pd.Timedelta("9min")
    assert row[["id_type", "rule", "first_seen", "last_seen"]].tolist() == [
        "cookie",
        "one customer",
        moment,
        moment,
    ]
    assert list(found.identities) == ["id_type", "id_value", "customer_id", "rule", "first_seen", "last_seen"]
    assert len(found.aliases) == 3


def test_what_stands_for_nobody_links_nobody_even_if_seen_with_one_customer() -> None:
    junk = ["NULL", "0", "n/a", "-", "00000000-0000-0000-0000-000000000000"]
    rows = [
        row
        for i, j in enumerate(junk)
        for row in ((j, f"x{i}", 0), (j, None, 1), (f"d{i}", j, 2), (f"d{i}", f"y{i}", 3))
    ]
    found = stitch(study([*rows, ("void", "x", 0)]), banned=("Void",))
    assert links(found) == {(f"d{i}", f"y{i}", "one customer") for i in range(5)}
    assert keys(found.applied())[1::4] == junk
    assert refused(found) == {"banned value": 6}


def test_cap_window_and_strong_ids_are_the_callers_choice() -> None:
    rows = [
        ("d", "y", 0),
        ("d", None, 31),
        ("d", "x", 40),
        ("e", "x", 0),
        ("e", "y", 1),
        ("e", "z", 2),
        ("e", None, 2),
    ]
    seen = linked(("badge", "b", "x"), ("badge", "b", "v"))
    found = stitch(study(rows, seen), cap=2, window="12 min", strong=("badge",))
    assert keys(found.applied()) == ["y", "x", "x", "x", "y", "z", "e"]
    assert found.aliases.to_numpy().tolist() == [["v", "x"]]


# --- persons are the same in every table ----------------------------------------------------------------


def tables() -> dict[str, pd.DataFrame]:
    """Two customers with one e-mail, in every table."""
    who = pd.DataFrame({"customer_id": ["x", "y"], "ts": START})
    scale = {"question": "nps", "score": 9.0, "scale_min": 0.0, "scale_max": 10.0}
    return {
        "customers": pd.DataFrame({"customer_id": ["y", "x", "z"], "region": ["south", "north", "east"], "referred_by": [None, None, "y"]}),
        "orders": who.assign(order_id=["1", "2"], revenue=100, currency="EUR"),
        "surveys": who.assign(response_id=["1", "2"], **scale),
        "exposures": who.assign(experiment="e", variant="a"),
    }  # fmt: skip


def test_an_alias_is_the_person_in_every_table_and_one_row_of_customers() -> None:
    found = stitch(
        study([("d", "x", 0), ("e", "y", 1)], linked(("email", "m", "x"), ("email", "m", "y")), **tables())
    )
    one = found.applied()
    for name in ("touchpoints", "orders", "surveys", "exposures"):
        assert one.fetch(one.table(name))["customer_id"].tolist() == ["x", "x"], name
    customers = one.fetch(one.table("customers")).sort_values("customer_id")
    assert customers[["customer_id", "region"]].to_numpy().tolist() == [["x", "north"], ["z", "east"]]
    assert customers["referred_by"].dropna().tolist() == ["x"]
    assert one.findings.rows["customers"] == 2
    assert keys(one) == ["x", "x"]
    assert keys(found.study) == ["x", "y"]


def test_caches_are_kept_apart_and_a_stitched_study_is_told_from_its_origin(tmp_path: Path) -> None:
    rows = [("d", None, 0), ("d", "x", 1), ("null", "x", 2), ("null", None, 3)]
    events(rows).to_parquet(tmp_path / "touchpoints.parquet")
    opened = cx.open_study(tmp_path)
    assert keys(opened) == ["x"] * 4
    one, again = (stitch(cx.open_study(tmp_path)).applied() for _ in range(2))
    assert keys(one) == ["x", "x", "x", "null"]
    assert one.fingerprint == again.fingerprint != opened.fingerprint
    assert one.cache == again.cache != opened.cache
    assert opened.cache in one.cache.parents
    assert keys(cx.open_study(tmp_path)) == ["x"] * 4
    assert one.provenance["fingerprint"] != opened.provenance["fingerprint"]


def test_windows_hold_in_a_study_that_is_opened_with_the_stitched_identities(tmp_path: Path) -> None:
    rows: list[Row] = [("d", None, 0), ("d", "x", 9), ("d", None, 500), ("d", "y", 1000), ("d", None, 1001)]
    found = stitch(study(rows))
    opened = study(rows, found.identities)
    assert keys(opened) == keys(found.applied()) == ["x", "x", "d", "y", "y"]
    assert links(stitch(opened)) == links(found)
    assert int(quality(opened).volume.table()["n"].sum()) == 5
    # Two windows of a hand-made table that contradict each other hold for nobody.
    twice = pd.concat([found.identities, found.identities.assign(customer_id="z")])
    assert keys(study(rows, twice)) == ["d", "x", "d", "y", "d"]


def test_windows_hold_where_touchpoints_know_visitors_only() -> None:
    visits = events([("d", None, 5), ("d", None, 700), ("e", None, 6)]).drop(columns="customer_id")
    seen = linked(("cookie", "d", "x"), ("cookie", "d", "y"), ("cookie", "e", "z"))
    seen["first_seen"] = seen["last_seen"] = [START, START + pd.Timedelta("1D"), START]
    found = stitch(cx.open_study({"touchpoints": visits, "identities": seen}))
    assert keys(found.applied()) == logged(found.applied()) == ["x", "d", "z"]
    assert found.persons == 3


def test_a_study_without_windows_reads_its_touchpoints_as_they_are() -> None:
    plain = study([("d", "x", 0)], linked(("cookie", "d", "x"), rule="sign_in"))
    assert touchpoints(plain) is plain.table("touchpoints")
    assert touchpoints(plain.with_identities(stitch(plain).identities)).equals(plain.table("touchpoints"))


# --- properties, on hundreds of small worlds side by side ---------------------------------------------------

Mail = tuple[str, str, str]  # id_type, id_value, customer_id


def worlds(seed: int, number: int = 300, after: int = 0) -> tuple[list[Row], list[Mail]]:
    """Events and e-mails of many worlds of three devices and three customers each, drawn at random."""
    rng = np.random.default_rng([seed, after])
    rows: list[Row] = []
    mails: list[Mail] = []
    for w in range(number):
        for _ in range(rng.integers(1, 16)):
            device = rng.choice(["d", "e", "f", ""], p=[0.6, 0.2, 0.1, 0.1])
            who = rng.choice(["x", "y", "z", ""], p=[0.15, 0.15, 0.1, 0.6]) if device else "x"
            minute = after + int(rng.integers(0, 240))
            rows.append((f"{device}{w}" if device else None, f"{who}{w}" if who else None, minute))
        for _ in range(rng.integers(0, 4)):
            mails.append(("email", f"{rng.choice(['m', 'n'])}{w}", f"{rng.choice(list('xyz'))}{w}"))
    return rows, mails


def by_hand(rows: list[Row], mails: list[Mail], cap: int, reach: int) -> list[str]:
    """The person of each event by the rules as they are said, event by event."""
    first: dict[str, float] = {}
    signs: dict[str | None, set[tuple[float, str]]] = {}
    for _, customer, minute in rows:
        if customer:
            first[customer] = min(minute, first.get(customer, minute))
    person = {c: {c} for c in [*first, *(who for *_, who in mails)]}
    owned = {mail: {who for _, m, who in mails if m == mail} for _, mail, _ in mails}
    for _ in range(3):  # as far apart as two of three customers can be
        for whole in owned.values():
            if len(whole) <= cap:
                together = set().union(*(person[who] for who in whole))
                person |= dict.fromkeys(together, together)
    key = {
        c: min(whole, key=lambda who: (first.get(who, np.inf), who)) if len(whole) <= cap else c
        for c, whole in person.items()
    }
    for device, customer, minute in rows:
        if customer:
            signs.setdefault(device, set()).add((minute, key[customer]))
    out = []
    for device, customer, minute in rows:
        seen = signs.get(device, set())
        owners = {who for _, who in seen}
        before = max((m for m, _ in seen if m <= minute), default=None)
        after = min((m for m, _ in seen if m >= minute), default=None)
        near = {who for m, who in seen if m in (before, after) and abs(m - minute) <= reach}
        found = owners if len(owners) == 1 else near if len(owners) <= cap else set()
        out.append(key[customer] if customer else next(iter(found)) if len(found) == 1 else str(device))
    return out


@pytest.fixture(scope="module")
def many(base_seed: int) -> tuple[list[Row], list[Mail]]:
    """Events and e-mails of many worlds."""
    return worlds(base_seed)


@pytest.fixture(scope="module")
def whole(many: tuple[list[Row], list[Mail]]) -> Stitched:
    """They, stitched."""
    return stitch(study(many[0], linked(*many[1])))


@pytest.mark.parametrize("cap", [2, 5])
def test_persons_are_those_of_the_rules_read_event_by_event(many: Any, whole: Stitched, cap: int) -> None:
    rows, mails = many
    found = whole if cap == 5 else stitch(whole.study, cap=cap)
    expected = by_hand(rows, mails, cap, 30)
    assert keys(found.applied()) == logged(found.applied()) == expected
    assert found.persons == len(set(expected))
    assert set(found.identities["rule"]) == {"one customer", WINDOW, "same person"}
    anonymous = [i for i, (_, customer, _) in enumerate(rows) if not customer]
    share = np.mean([expected[i] != rows[i][0] for i in anonymous])
    table = found.table().set_index("rule")
    assert table.loc["(all)", "estimate"] == pytest.approx(share)
    assert table.loc["(all)", "n"] == len(anonymous)
    assert table["estimate"].iloc[1:].sum() == pytest.approx(1)
    assert table["low"].lt(table["estimate"]).all()


def parted(of: list[str]) -> list[int]:
    """Which events are of one person, whatever the persons are called."""
    return pd.factorize(pd.Series(of))[0].tolist()


def test_the_order_of_rows_and_the_names_of_ids_do_not_matter(many: Any, whole: Stitched, base_seed: int) -> None:  # fmt: skip
    (rows, mails), found = many, whole
    places = np.random.default_rng(base_seed).permutation(len(rows))
    mixed = stitch(study([rows[i] for i in places], linked(*mails[::-1])))
    pd.testing.assert_frame_equal(found.identities, mixed.identities)
    pd.testing.assert_frame_equal(found.table(), mixed.table())
    pd.testing.assert_frame_equal(found.audit.table(), mixed.audit.table())

    def named(name: str | None) -> str | None:
        return name and name[::-1]

    renamed = [(named(device), named(customer), minute) for device, customer, minute in rows]
    called = stitch(study(renamed, linked(*(("email", m[::-1], who[::-1]) for _, m, who in mails))))
    assert parted(keys(called.applied())) == parted(keys(found.applied()))
    pd.testing.assert_frame_equal(called.table(), found.table())


def test_events_with_banned_values_change_nobody_else(many: Any, whole: Stitched) -> None:
    (rows, mails), found = many, whole
    junk = [("null", "x1", 900), ("null", None, 901), ("0", "y2", 902), ("undefined", "x3", 903)]
    more = stitch(study(rows + junk, linked(*mails, ("email", "n/a", "x1"), ("email", "n/a", "x2"))))
    pd.testing.assert_frame_equal(found.identities, more.identities)
    assert keys(more.applied())[: len(rows)] == keys(found.applied())


def test_new_events_keep_old_persons(many: Any, whole: Stitched, base_seed: int) -> None:
    old, mails = many
    new, later = worlds(base_seed, after=300)
    first = stitch(whole.study, cap=2)
    grown = study(old + new, linked(*mails, *later))
    second = stitch(grown, cap=2, previous=first)
    joined = second.aliases.set_index("customer_id")["person"].to_dict()
    known = set(first.identities["id_value"])
    before, after = keys(first.applied()), keys(second.applied())
    anew = keys(stitch(grown, cap=2).applied())
    otherwise = 0
    for (device, customer, _), was, now, alone in zip(old, before, after, anew, strict=False):
        if customer or device in known:
            # A device's two owners may have become one person, whose it is from then on as a whole.
            assert now in (was, joined.get(was)) or (was == device and now in joined.values())
            otherwise += alone not in (now, was)
    assert otherwise > 10  # what would have changed if nothing were kept
    # Of several that become one, one that was known before gives the key, and the cap holds for what is new.
    people = set(first.identities["customer_id"])
    for person, of in second.aliases.groupby("person")["customer_id"]:
        assert person in people or not people & set(of)
    assert set(first.aliases["customer_id"]) <= set(second.aliases["customer_id"])
    assert {"kept", "shared device", "same person"} <= set(refused(second))
    # With nothing new, everything is as it was.
    assert keys(stitch(first.study, cap=2, previous=first).applied()) == before


def test_links_whose_evidence_is_no_longer_in_the_study_stay() -> None:
    first = stitch(study([("d", "x", 0), ("e", "x", 1), ("e", "y", 900)], linked(("email", "m", "x"))))
    later = [("d", None, 2000), ("e", None, 2001), ("f", "z", 2002)]
    second = stitch(study(later, linked(("email", "m", "z"))), previous=first.identities)
    assert keys(second.applied()) == ["x", "e", "x"]
    assert set(first.identities["id_value"]) <= set(second.identities["id_value"])


def test_stitching_what_is_stitched_changes_nothing(base_seed: int) -> None:
    rows, _ = worlds(base_seed)
    found = stitch(study(rows))
    again = stitch(found.applied())
    pd.testing.assert_frame_equal(again.identities, found.identities)
    assert again.persons == found.persons


# --- what is shown ------------------------------------------------------------------------------------------


def shown(result: cx.results.Result) -> str:
    """All that a reader sees of a result."""
    return json.dumps([*result._repr_mimebundle_().values(), str(result.claim()), repr(result)])


def test_no_identifier_and_no_small_cell_is_shown(base_seed: int) -> None:
    rows, mails = worlds(base_seed, 60)
    long = [(d and f"device-{d}", c and f"customer-{c}", m) for d, c, m in rows]
    found = stitch(study(long, linked(*(("email", f"{m}@mail", f"customer-{c}") for _, m, c in mails))))
    said = shown(found) + shown(found.audit)
    assert "device-" not in said
    assert "customer-" not in said
    assert "@mail" not in said
    assert found.audit.table()["id_value"].str.contains("device-").any()  # it is there for code
    assert {rule for rule in RULES if rule in said} >= {"one customer", "shared device", "same person"}

    few = stitch(study([("d", f"c{i % 2}", 50 * i) for i in range(9)] + [("d", None, 1), ("e", None, 1)]))
    assert str(few.claim()) == str(few.audit.claim()) == str(cx.results.TOO_FEW)
    assert few.visible().empty
    assert "shared device" not in shown(few.audit)


def test_what_shared_devices_did_cannot_be_worked_out_from_the_rest() -> None:
    rows = [(f"d{i}", who, i) for i in range(40) for who in (None, f"c{i}")]
    rows += [("t", who, 9_000 + 500 * i) for i, who in enumerate(["c1", "c2"])] + [("t", None, 9_001)]
    found = stitch(study(rows))
    assert found.table()["rule"].tolist() == ["(all)", "one customer", WINDOW]
    assert found.visible()["rule"].tolist() == ["(all)"]


def test_nothing_to_link_is_said_so() -> None:
    found = stitch(study([(None, f"c{i}", i) for i in range(20)]))
    assert str(found.claim()) == "20 customers and visitors are 20 persons."
    assert str(found.audit.claim()) == "No merge was refused."
    assert found.identities.empty
    assert keys(found.applied()) == keys(found.study)
    assert "Nothing to show" in found.audit._repr_mimebundle_()["text/html"]


def test_errors_say_what_to_do() -> None:
    plain = study([("d", "x", 0)])
    for cap in (0, 2.5, True):
        with pytest.raises(
            CxValueError, match=r"cap is .*; it must be a whole number of customers, at least 1"
        ):
            stitch(plain, cap=cap)  # type: ignore[arg-type]
    with pytest.raises(CxValueError, match="window is `soon`; write a length of time"):
        stitch(plain, window="soon")
    with pytest.raises(CxLookupError, match="previous identities lack `rule, first_seen, last_seen`"):
        stitch(plain, previous=linked(("cookie", "d", "x")))
    with pytest.raises(CxLookupError, match="no column `id_type`"):
        plain.with_identities(pd.DataFrame({"id_value": ["d"], "customer_id": ["x"]}))
    with pytest.raises(CxValueError, match="alias of two persons"):
        plain.with_identities(linked(("customer_id", "x", "y"), ("customer_id", "y", "z")))
    with pytest.raises(CxValueError, match="each must be from 0 to 1"):
        coverage(plain, {}, shares=(1, 2))
    with pytest.raises(MissingTable, match="stitch needs the table `touchpoints`"):
        stitch(cx.open_study({"orders": tables()["orders"]}))


# --- how much later figures rest on it ----------------------------------------------------------------------


def persons(of: Study) -> tuple[float, float, float]:
    """How many persons there are, as a figure."""
    people = float(len(set(keys(of))))
    return people, people - 10, people + 10


def test_figures_are_recomputed_with_nested_parts_of_the_links_withheld(whole: Stitched) -> None:
    held: list[set[str]] = []

    def constant(part: Study) -> tuple[float, float, float]:
        held.append(set(part.fetch(part.table("identities"))["id_value"]))
        return 1.0, 0.9, 1.1

    result = coverage(
        whole.study, {"persons": persons, "constant": constant}, shares=(0, 0.5, 1), stitched=whole
    )
    table = result.table()
    assert list(table) == ["share", "figure", "estimate", "low", "high", "n"]
    people = table[table["figure"] == "persons"]
    assert people["share"].tolist() == [1, 0.5, 0]
    assert people["estimate"].tolist() == people["n"].tolist()
    assert people["estimate"].is_monotonic_increasing
    assert people["estimate"].iloc[0] == whole.persons
    assert people["estimate"].iloc[-1] == whole.unlinked
    assert held[0] > held[1] > held[2] == set()
    assert len(held[1]) / len(held[0]) == pytest.approx(0.5, abs=0.1)
    assert "persons at 50.0" in str(result.claim())
    assert "constant" not in str(result.claim())
    drawn = plots.coverage_lines(result)
    assert "persons from" in drawn.alt
    assert drawn.png[:4] == b"\x89PNG"
    still = Sensitivity(table[table["figure"] == "constant"])
    assert str(still.claim()) == "No figure leaves its interval, however few links there are."


# --- the simulated company, whose true customers are known ---------------------------------------------------


def scored(customers: int, seed: int) -> dict[str, float]:
    """Precision and recall of the links between ids and customers; anonymous events of shared devices: how many
    are in doubt, linked, and linked rightly."""
    world = simulate(customers, seed=seed)
    found = stitch(cx.open_study(world.tables))
    log = world.tables["touchpoints"][["event_id", "anonymous_id", "customer_id"]].astype(object)
    log["true"] = world.planted["events"]["customer_id"].astype(object).to_numpy()
    used = log[log["anonymous_id"].notna() & log["true"].notna() & ~log["anonymous_id"].isin(company.JUNK)]
    users = used.groupby("anonymous_id")["true"].nunique()
    own = used["anonymous_id"].map(users) == 1
    signed = used[own & used["customer_id"].notna()]
    true = set(zip(signed["anonymous_id"], signed["customer_id"], strict=True))
    rows = found.identities[found.identities["rule"] == "one customer"]
    ours = {pair for pair in zip(rows["id_value"], rows["customer_id"], strict=True) if users[pair[0]] == 1}
    log["key"] = keys(found.applied())
    in_doubt = set(found.identities.loc[found.identities["rule"] == WINDOW, "id_value"])
    windows = log[log["customer_id"].isna() & log["anonymous_id"].isin(in_doubt) & log["true"].notna()]
    given = windows[windows["key"] != windows["anonymous_id"]]
    return {
        "precision": len(ours & true) / len(ours),
        "recall": len(ours & true) / len(true),
        "in_doubt": len(windows),
        "linked": len(given),
        "right": (given["key"] == given["true"]).sum(),
        "junk": float(found.identities["id_value"].isin(company.JUNK).sum()),
    }


def test_two_thousand_customers_are_told_apart(base_seed: int) -> None:
    bars = scored(2000, base_seed)
    assert bars["precision"] >= 0.995
    assert bars["recall"] >= 0.98
    assert bars["junk"] == 0


@pytest.mark.slow
def test_twenty_thousand_customers_are_told_apart(base_seed: int) -> None:
    bars = pd.DataFrame([scored(7_000, base_seed + place) for place in range(3)])
    assert (bars["precision"] >= 0.995).all()
    assert (bars["recall"] >= 0.98).all()
    events = bars[["in_doubt", "linked", "right"]].sum()
    assert events["right"] >= 0.95 * events["linked"]
    assert 0.1 < events["linked"] / events["in_doubt"] < 0.6


@pytest.mark.slow
def test_the_interval_of_the_share_linked_holds_the_truth(base_seed: int) -> None:
    def world(seed: int) -> pd.DataFrame:
        rng = np.random.default_rng(seed)
        rows: list[Row] = []
        for visitor, (size, known) in enumerate(
            zip(rng.geometric(0.2, 400), rng.random(400) < 0.6, strict=True)
        ):
            rows += [(f"d{visitor}", None, minute) for minute in range(size)]
            rows += [(f"d{visitor}", f"c{visitor}", 99)] if known else []
        found = stitch(study(rows)).table().iloc[:1]
        return found[["rule", "estimate", "low", "high"]].assign(truth=0.6, expected=240.0)

    assert not harness.coverage(world, 50, base_seed).rejects(0.92, 0.97)


@pytest.mark.spark
def test_spark_finds_the_same(spark: Any, tmp_path: Path) -> None:
    rows, mails = worlds(3, 40)
    junk = [("null", f"x{i}", 10_000 + i) for i in range(9)] + [("null", None, 10_000)]
    seen = linked(*mails, ("cookie", "d1", "y1"), rule="sign_in", first_seen=START, last_seen=START)
    frames = {"touchpoints": events(rows + junk), "identities": seen}
    frames["touchpoints"] = frames["touchpoints"].astype({"anonymous_id": "str", "customer_id": "str"})
    for name, frame in frames.items():
        frame.astype({c: "datetime64[us]" for c in frame if frame[c].dtype.kind == "M"}).to_parquet(
            tmp_path / f"{name}.parquet"
        )
        spark.read.parquet(str(tmp_path / f"{name}.parquet")).createOrReplaceTempView(name)
    pair = cx.open_study(tmp_path), cx.open_study(ibis.pyspark.connect(spark))
    ours, theirs = (stitch(one) for one in pair)
    same: dict[str, Any] = {"check_dtype": False, "rtol": 1e-9}
    pd.testing.assert_frame_equal(ours.identities, theirs.identities, **same)
    pd.testing.assert_frame_equal(ours.table(), theirs.table(), **same)
    pd.testing.assert_frame_equal(ours.audit.table(), theirs.audit.table(), **same)
    assert (ours.unlinked, ours.persons, ours.until) == (theirs.unlinked, theirs.persons, theirs.until)
    assert keys(ours.applied()) == keys(theirs.applied())
    assert dataclasses.replace(theirs, study=ours.study).applied().fingerprint == ours.applied().fingerprint
