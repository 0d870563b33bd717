"""Who is who: ids linked to customers, customers joined into persons, and every merge that was refused.

All rules are deterministic and stated in `RULES`; nothing is guessed from names or behaviour. They are what
companies' own systems rest on: values that never link anybody and limits on how much one id may join (Segment,
Identity Resolution Onboarding: blocked values, limits).
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import ibis
import ibis.expr.types as ir
import numpy as np
import pandas as pd
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from cxlib.contract import EARLIEST, TABLES
from cxlib.errors import CxLookupError, CxValueError
from cxlib.rates import PERSON, rate, sums
from cxlib.results import (
    EVERYWHERE,
    TOO_FEW,
    Claim,
    Framed,
    Result,
    minimum,
    nice,
    number,
    percent,
    visible,
)
from cxlib.study import Study
from cxlib.study.banned import banned as stands_for_nobody
from cxlib.study.log import GAP, microseconds
from cxlib.study.people import CUSTOMER, IDS, WINDOW

CAP = 5
"""The most owners of an id, and the most customers of a person: a household shares a tablet, a shop a till."""
STRONG = ("email", "phone", "loyalty", "loyalty_id", "card", CUSTOMER, "user_id", "crm_id")
"""Types of ids that belong to one human being, so that two customers with the same one are one person."""
MANY = 100
"""A customer with more ids than this is flagged: a test account, a till, or a robot that signs in."""

ONE, SHARED, JUNK, WIDE = "one customer", "shared device", "banned value", "too many customers"
SAME, LARGE, FLAGGED, KEPT, NOBODY = "same person", "person too large", "many ids", "kept", "no customer seen"
RULES: Mapping[str, str] = {
    ONE: "an id seen with one person is that person's, before and after the sign-in",
    WINDOW: "an anonymous event on a shared device goes to who signs in nearest within the window, unless "
    "the sign-ins before and after it are two persons' and it is within the window of both",
    SHARED: "an id seen with two persons up to the cap joins nobody, and is nobody's as a whole",
    JUNK: "what software writes where it knows no id links nobody",
    WIDE: "an id seen with more customers than the cap links nobody",
    SAME: "customers with the same strong id (e-mail, phone, card) are one person; a cookie never joins two",
    LARGE: "customers whom strong ids would join into a person of more than the cap stay apart",
    FLAGGED: f"a customer with more than {MANY} ids is flagged; the links stay",
    KEPT: "what was linked before stays with its person up to then, whatever is seen later",
    NOBODY: "an id that nobody has signed in with is a visitor of its own",
}
REFUSED, LINKED = (SHARED, JUNK, WIDE, LARGE), (EVERYWHERE, ONE, WINDOW)
TIMES = ["first_seen", "last_seen"]
CASE = ["rule", "refused", "id_type", "id_value", "customers", "ids", "events", "together"]
TEXTS = ["kind", "id_type", "id_value", CUSTOMER]
Known = tuple[pd.DataFrame, float]  # earlier identities, with microseconds for times, and the moment they end


@dataclass(frozen=True, eq=False)
class Audit(Framed):
    """What was refused, flagged or joined, and why.

    The table, one row a case: rule, refused, id_type, id_value, customers, ids, events (that carried the id
    beside a customer), together (different customers of all cases of the rule). It names ids and is for
    code only; displayed are the rules, with what each says and how many cases, customers and ids it met.
    """

    def shown(self) -> pd.DataFrame:
        """One row a rule: numbers only."""
        by = self.frame.groupby(["rule", "refused"], as_index=False, sort=False)
        rules = by.agg(cases=("ids", "size"), customers=("together", "max"), ids=("ids", "sum"))
        return rules.assign(says=rules["rule"].map(RULES))

    def claim(self) -> Claim:
        """How many merges each rule refused."""
        rules = self.shown()
        refused = visible(rules[rules["refused"]])
        if refused.empty:
            return TOO_FEW if rules["refused"].any() else Claim("No merge was refused.")
        said = [f"{cases:,} {rule}" for rule, cases in zip(refused["rule"], refused["cases"], strict=True)]
        return Claim(f"{refused['cases'].sum():,} merges were refused: {', '.join(said)}.")


@dataclass(frozen=True, eq=False)
class Stitched(Result):
    """Identities of a study, and what they do to it.

    identities : the contract's table: id_type, id_value, customer_id (the person), rule, first_seen,
        last_seen. Rules are `one customer`, `window on a shared device` (holds between its two times
        only) and `same person` (of id_type customer_id: an alias).
    audit : refused and accepted merges
    unlinked, persons : persons if no id were linked, and as linked
    until : the time of the last event, in microseconds: where the next stitching goes on

    The table: what became of the anonymous events that carry an id, one row a rule; estimate, low, high
    (its share of these events, ids as clusters), n (these events), ids, customers (of ids that nobody
    signed in with: visitors). "(all)": those linked, by whichever rule.
    """

    SHARES: ClassVar = ("estimate",)
    WHOLE: ClassVar = ("linked",)

    identities: pd.DataFrame = field(repr=False)
    audit: Audit = field(repr=False)
    frame: pd.DataFrame = field(repr=False)
    unlinked: int
    persons: int
    until: int = field(repr=False)
    study: Study = field(repr=False)

    @property
    def aliases(self) -> pd.DataFrame:
        """Which customers are another one's person: customer_id, person."""
        rows = self.identities[self.identities["id_type"] == CUSTOMER]
        return rows[["id_value", "customer_id"]].set_axis([CUSTOMER, "person"], axis=1)

    def applied(self) -> Study:
        """The study with these identities: in its log, and with persons for customers in every table."""
        return self._applied

    @functools.cached_property
    def _applied(self) -> Study:
        return self.study.with_identities(self.identities)

    def table(self) -> pd.DataFrame:
        """What became of the anonymous events."""
        return self.frame

    def claim(self) -> Claim:
        """How many persons there are, and how many anonymous events have one."""
        if self.persons < minimum():
            return TOO_FEW
        text = f"{self.unlinked:,} customers and visitors are {self.persons:,} persons"
        rows = self.visible()
        for row in rows[rows["rule"] == EVERYWHERE].itertuples():
            ends = f"{percent(row.low)} to {percent(row.high)}"
            text += (
                f"; {percent(row.estimate)} ({ends}) of {row.n:,} anonymous events are linked to a customer"
            )
        return Claim(text + ".")


def stitch(
    study: Study,
    *,
    cap: int = CAP,
    banned: Sequence[str] = (),
    strong: Sequence[str] = STRONG,
    window: str = GAP,
    previous: Stitched | pd.DataFrame | None = None,
) -> Stitched:
    """Link ids to customers, and customers to persons, by the rules of `RULES`.

    Evidence is each touchpoint with both ids, and the rows of `identities`. `banned`: values that stand for
    nobody, beside those of `cxlib.study.banned.BANNED`. `window`: how near a sign-in must be on a shared
    device; the default is the pause that ends a session. `previous`: an earlier result (or its identities):
    its persons are kept, events up to its end stay with whom they were, and of two persons that become one
    the older keeps its key. MissingTable without touchpoints, CxValueError where a setting makes no sense.

    >>> from cxlib import open_study
    >>> events = pd.DataFrame({"event_id": [1, 2, 3], "anonymous_id": ["d", "d", "null"],
    ...     "customer_id": [None, "x", "x"], "ts": pd.Timestamp("2026-01-05"), "touchpoint": "page",
    ...     "channel": "web", "stage": "awareness"})
    >>> stitch(open_study({"touchpoints": events})).identities[["id_value", "customer_id", "rule"]]
      id_value customer_id          rule
    0        d           x  one customer
    """
    if isinstance(cap, bool) or not isinstance(cap, int) or cap < 1:
        raise CxValueError(f"cap is {cap!r}; it must be a whole number of customers, at least 1.")
    study.table("touchpoints", needed_by="stitch")
    reach, further = microseconds(window, "window"), sorted({str(value).strip().lower() for value in banned})
    types = sorted({str(name).strip().lower() for name in strong})
    old, until = _earlier(previous)
    built = functools.cache(lambda: _built(study, cap, further, types, reach, (old, until)))
    key = {"key": [cap, further, types, reach, until, old.to_csv(index=False)]}

    def part(name: str) -> pd.DataFrame:
        return study.cached(f"stitch_{name}", key, lambda: built()[name])

    unlinked, persons, last = (int(part("totals")[name].iloc[0]) for name in ("unlinked", "persons", "until"))
    return Stitched(part("identities"), Audit(part("audit")), part("fates"), unlinked, persons, last, study)


def _earlier(previous: Stitched | pd.DataFrame | None) -> Known:
    columns = [column.name for column in TABLES["identities"].columns]
    if previous is None:
        return pd.DataFrame(columns=columns, dtype="str").astype(dict.fromkeys(TIMES, float)), np.nan
    frame = previous.identities if isinstance(previous, Stitched) else previous
    if missing := [name for name in columns if name not in frame]:
        raise CxLookupError(
            f"The previous identities lack `{', '.join(missing)}`; give the result of stitch."
        )
    whole = {name: pd.to_datetime(frame[name]).astype("datetime64[us]") for name in TIMES}
    times = {name: at.astype("int64").astype(float).where(at.notna()) for name, at in whole.items()}
    frame = frame[columns].assign(**times)
    return frame, previous.until if isinstance(previous, Stitched) else float(frame["last_seen"].max())


def _built(
    study: Study, cap: int, further: list[str], strong: list[str], reach: int, known: Known
) -> dict[str, pd.DataFrame]:
    """The frames of a result, by name."""
    old, until = known
    pairs = study.engine.keep(_pairs(study))
    edges = study.fetch(_evidence(study, pairs, strong, further)).astype(dict.fromkeys(TEXTS, "str"))
    edges = _with_earlier(edges, old, strong)
    spoilt = edges["junk"] | edges["nameless"]
    junk = edges.assign(case=edges["id_value"].where(edges["junk"], edges[CUSTOMER]))[spoilt]
    edges = edges[~spoilt]
    aliases, audit = _persons(study, pairs, edges[edges["strong"]], old, cap)
    edges = edges.assign(person=_named(edges[CUSTOMER], aliases))
    edges["who"] = pd.factorize(edges["person"])[0]
    owners = _owners(edges)
    edges["rule"] = np.select([owners == 1, owners <= cap], [ONE, SHARED], WIDE)
    own, shared, wide = (edges[edges["rule"] == rule] for rule in (ONE, SHARED, WIDE))

    earlier = old[(old["id_type"] != CUSTOMER) & old["id_value"].isin(edges.loc[owners > 1, "id_value"])]
    earlier = earlier.assign(person=_named(earlier[CUSTOMER], aliases))
    contested = edges[(edges["rule"] == SHARED) | edges["id_value"].isin(earlier["id_value"])]
    met = _met(study, contested, aliases, further)
    windows = _kept(_windows(met, shared[shared["kind"] == ""], reach), earlier, until)
    unnamed = met[met["person"].isna()].astype({"at": float})[["id_value", "at"]].sort_values("at")
    spans = windows.assign(at=windows["first_seen"]).sort_values("at")
    held = pd.merge_asof(unnamed, spans, on="at", by="id_value")
    held = held[held["at"] <= held["last_seen"]]

    by, links = own.groupby("node"), own.drop_duplicates("node").set_index("node")
    links = links.assign(
        id_type=by["id_type"].min(), first_seen=by["first"].min(), last_seen=by["last"].max()
    )
    many = own[own["who"].isin(np.flatnonzero(np.bincount(links["who"]) > MANY))]
    links = links.drop(columns=CUSTOMER).rename(columns={"person": CUSTOMER})[links["id_type"] != CUSTOMER]
    types = edges[edges["id_value"].isin(windows["id_value"])].groupby("id_value")["id_type"].min()
    shares = windows.assign(id_type=windows["id_value"].map(types)).rename(columns={"person": CUSTOMER})
    joined = pd.DataFrame({"id_type": CUSTOMER, "id_value": aliases.index, CUSTOMER: aliases.array})
    identities = pd.concat([links.assign(rule=ONE), shares.assign(rule=WINDOW), joined.assign(rule=SAME)])
    identities = identities.reindex(columns=old.columns).astype({"id_type": "str"})
    identities = identities.sort_values(["id_type", "id_value", "first_seen"], ignore_index=True)
    for name in TIMES:
        whole = identities[name].fillna(0).astype("int64").astype("datetime64[us]")
        identities[name] = whole.where(identities[name].notna())

    before = earlier.loc[earlier["rule"] != WINDOW, "id_value"]
    kept = edges[(owners > 1) & edges["id_value"].isin(before)]
    audit += [_cases(rule, rows, "node") for rule, rows in ((WIDE, wide), (SHARED, shared), (KEPT, kept))]
    audit += [_cases(JUNK, junk, "case"), _cases(FLAGGED, many, "person")]
    ids = study.with_identities(identities).ids
    absent = {name: ibis.null("string") for name in (*IDS, "linked_customer") if name not in ids.columns}
    ids = ids.mutate(**absent)
    refused = pd.concat([shared[shared["id_value"].isin(unnamed["id_value"])], wide])
    totals = pairs.aggregate(
        unlinked=ibis.coalesce(pairs[CUSTOMER], pairs.id_value).nunique(), until=pairs["last"].max()
    )
    return {
        "identities": identities,
        "audit": pd.concat(audit, ignore_index=True),
        "fates": _fates(study, ids, refused, held, junk[CUSTOMER].nunique(), further),
        "totals": study.fetch(totals).assign(persons=_count(study, ids)),
    }


def _count(study: Study, ids: ir.Table) -> int:
    """How many persons the touchpoints are of."""
    return int(study.fetch(ids.aggregate(persons=ids.key.nunique()))["persons"].iloc[0])


def _pairs(study: Study) -> ir.Table:
    """Each combination of ids in the touchpoints: how often, first and last (microseconds)."""
    t = study.table("touchpoints")
    seen = t.select(
        id_value=t.anonymous_id.nullif(""), customer_id=t.customer_id.nullif(""), at=study.engine.micros(t.ts)
    )
    at = seen["at"]
    return seen.group_by(["id_value", CUSTOMER]).aggregate(events=seen.count(), first=at.min(), last=at.max())


def _evidence(study: Study, pairs: ir.Table, strong: list[str], further: list[str]) -> ir.Table:
    """One row an id and customer: kind, id_type, events, first, last, strong, junk, nameless.

    `kind` tells ids of the same text apart: it is the id_type, but empty for an anonymous_id of the
    touchpoints, which is one id whatever `identities` call it.
    """
    both = pairs.filter(pairs.id_value.notnull() & pairs[CUSTOMER].notnull())
    edges = both.mutate(kind=ibis.literal(""), id_type=ibis.null("string"), strong=False)
    columns = ["kind", "id_type", "id_value", CUSTOMER, "events", "first", "last", "strong"]
    if study.has("identities"):
        ids = pairs.filter(pairs.id_value.notnull()).select(here_="id_value").distinct()
        given = study.table("identities").filter(lambda t: t[CUSTOMER].nullif("").notnull())
        given = given.left_join(ids, given.id_value == ids["here_"]).select(*given.columns, "here_")
        seen = given.rule.fill_null("") != WINDOW  # a window is what was concluded, not what was seen
        first, last = (study.engine.micros(seen.ifelse(given[name], None)) for name in TIMES)
        given = given.mutate(
            kind=given["here_"].isnull().ifelse(given.id_type, ""),
            events=ibis.literal(0, "int64"),
            first=ibis.coalesce(first, last),
            last=ibis.coalesce(last, first),
            strong=given.id_type.strip().lower().isin(strong),
        )
        edges = edges[columns].union(given[columns])
    edges = edges.group_by(["kind", "id_value", CUSTOMER]).aggregate(
        id_type=edges["id_type"].min().fill_null("cookie"),
        events=edges["events"].sum(),
        first=edges["first"].min(),
        last=edges["last"].max(),
        strong=edges["strong"].any(),
    )
    return edges.mutate(junk=_nobody(edges.id_value, further), nameless=_nobody(edges[CUSTOMER], further))


def _nobody(value: Any, further: list[str]) -> Any:
    """True for an id that stands for nobody."""
    listed = stands_for_nobody(value)
    return listed | value.strip().lower().isin(further) if further else listed


def _with_earlier(edges: pd.DataFrame, old: pd.DataFrame, strong: list[str]) -> pd.DataFrame:
    """The edges, those that an earlier result rests on included, and their ids numbered (`node`)."""
    here = edges.loc[edges["kind"] == "", "id_value"]
    rows = old[old["id_type"] != CUSTOMER].rename(columns={"first_seen": "first", "last_seen": "last"})
    if len(rows):
        seen = rows[["first", "last"]].where(rows["rule"] != WINDOW)
        kind = rows["id_type"].where(~rows["id_value"].isin(here), "")
        joins = rows["id_type"].str.strip().str.lower().isin(strong)
        rows = rows.drop(columns="rule").assign(kind=kind, **seen, strong=joins)
        rows = rows.assign(events=0, junk=False, nameless=False)
        edges = pd.concat([edges, rows], ignore_index=True)
    types = pd.Categorical(edges["id_type"], ordered=True)  # compared as numbers, not as texts
    return edges.assign(id_type=types, node=edges.groupby(["kind", "id_value"], sort=False).ngroup())


def _owners(edges: pd.DataFrame) -> pd.Series:
    """How many persons the id of each edge was seen with."""
    return edges["node"].map(edges.drop_duplicates(["node", "who"]).groupby("node").size())


def _named(customers: pd.Series, aliases: pd.Series) -> pd.Series:
    """Persons for customers."""
    return customers.map(aliases).fillna(customers).astype("str") if len(aliases) else customers


def _persons(
    study: Study, pairs: ir.Table, strong: pd.DataFrame, old: pd.DataFrame, cap: int
) -> tuple[pd.Series, list[pd.DataFrame]]:
    """Person by customer, for those who have another's key; and what was joined or refused.

    Connected components of persons and strong ids, the earlier persons taken as one node each; the key is
    that of who was known before, then of who was seen first.
    """
    rows = old[old["id_type"] == CUSTOMER]
    known = pd.Series(rows[CUSTOMER].array, index=rows["id_value"].array, dtype="str")
    if strong.empty:
        return known, []
    itself = strong[strong["id_type"] == CUSTOMER]
    strong = pd.concat([strong, itself.assign(customer_id=itself["id_value"], events=0)])
    strong = strong.assign(person=_named(strong[CUSTOMER], known))
    strong = strong.assign(who=pd.factorize(strong["person"])[0])
    strong = strong[_owners(strong) <= cap]
    place, persons = pd.factorize(strong["person"], sort=True)
    ends = (place, len(persons) + pd.factorize(strong["node"])[0])
    size = len(persons) + len(strong)
    graph = coo_array((np.ones(len(strong)), ends), shape=(size, size))
    component = connected_components(graph, directed=False)[1][: len(persons)]
    nodes = pd.DataFrame({"person": persons, "component": component})
    nodes["customers"] = 1 + nodes["person"].map(known.value_counts()).fillna(0).astype(int)
    nodes = nodes[nodes["component"].duplicated(keep=False)]
    large = nodes.groupby("component")["customers"].transform("sum") > cap
    strong = strong.assign(component=component[pd.factorize(strong["person"], sort=True)[0]])
    refused = strong[strong["person"].isin(nodes.loc[large, "person"])]
    nodes = nodes[~large]
    audit = [
        _cases(SAME, strong[strong["person"].isin(nodes["person"])], "component"),
        _cases(LARGE, refused, "component"),
    ]
    if len(nodes):
        asked = ibis.memtable({"asked": nodes["person"].tolist()})
        seen = pairs.semi_join(asked, pairs[CUSTOMER] == asked["asked"]).group_by(CUSTOMER)
        since = study.fetch(seen.aggregate(at=lambda t: t["first"].min())).set_index(CUSTOMER)["at"]
        new = ~nodes["person"].isin(old[CUSTOMER])
        nodes = nodes.assign(new=new, since=nodes["person"].map(since))
        nodes = nodes.sort_values(["new", "since", "person"])
        key = nodes.groupby("component")["person"].transform("first")
        fresh = pd.Series(key.array, index=nodes["person"].array, dtype="str")
        known = pd.concat([_named(known, fresh), fresh[fresh.index != fresh]])
    return known, audit


def _met(study: Study, contested: pd.DataFrame, aliases: pd.Series, further: list[str]) -> pd.DataFrame:
    """The events of contested devices: id_value, at, and the person where one is known; and other sign-ins."""
    asked = ibis.memtable(contested[["id_value"]].drop_duplicates().astype("string"))
    t = study.table("touchpoints")
    rows = t.semi_join(asked, t.anonymous_id == asked.id_value)
    named = _nobody(rows[CUSTOMER], further).ifelse(None, rows[CUSTOMER].nullif(""))
    found = study.fetch(rows.select(id_value="anonymous_id", at=study.engine.micros(rows.ts), person=named))
    found = found.astype({"id_value": "str", "person": "str"})
    found = found.assign(person=_named(found["person"], aliases))
    seen = [
        contested[["id_value", "person", name]].rename(columns={name: "at"}) for name in ("first", "last")
    ]
    return pd.concat([found, *(rows.dropna() for rows in seen)])


def _windows(met: pd.DataFrame, shared: pd.DataFrame, reach: int) -> pd.DataFrame:
    """Who has a shared device when: id_value, person, first_seen, last_seen; none overlaps another.

    A sign-in holds for `reach` before and after it, up to the next; between the sign-ins of two persons
    neither holds where both would.
    """
    signs = met[met["id_value"].isin(shared["id_value"])].dropna().drop_duplicates()
    several = signs.duplicated(["id_value", "at"], keep=False)
    signs = signs.assign(person=signs["person"].mask(several, "")).drop_duplicates()  # two at once: nobody's
    signs = signs.sort_values(["id_value", "at"], ignore_index=True)
    at = signs["at"].to_numpy(float)
    device, person = (pd.factorize(signs[name])[0] for name in ("id_value", "person"))
    beside, gap = device[1:] == device[:-1], np.diff(at)
    same = beside & (person[1:] == person[:-1])
    alone = np.maximum(0, np.minimum(reach, gap - reach - 1))  # as far as only one of the two reaches
    far = np.where(same, np.minimum(reach, gap), np.where(beside, alone, reach))
    low, high = at - np.append(reach, far)[: len(at)], at + np.append(far, reach)[: len(at)]
    run = np.cumsum(np.append(True, ~(same & (low[1:] <= high[:-1] + 1))))[: len(at)]
    signs = signs.assign(first_seen=low, last_seen=high, run=run)
    by = signs[signs["person"] != ""].groupby("run")
    return by.agg({"id_value": "first", "person": "first", "first_seen": "min", "last_seen": "max"})


def _kept(windows: pd.DataFrame, earlier: pd.DataFrame, until: float) -> pd.DataFrame:
    """The windows, where ids were known before from then on only; before, it is as it was."""
    known = windows["id_value"].isin(earlier["id_value"])
    start = windows["first_seen"].clip(lower=until + 1).where(known, windows["first_seen"])
    whole = earlier["rule"] != WINDOW
    begin = (pd.Timestamp(EARLIEST) - pd.Timestamp(0)) // pd.Timedelta("1us")
    held = earlier.assign(
        first_seen=earlier["first_seen"].mask(whole, begin),
        last_seen=earlier["last_seen"].mask(whole, until).clip(upper=until),
    )[list(windows)]
    frame = pd.concat([held, windows.assign(first_seen=start)])
    return frame[frame["first_seen"] <= frame["last_seen"]]


def _cases(rule: str, rows: pd.DataFrame, by: str) -> pd.DataFrame:
    """The cases of a rule, one a value of `by`."""
    who = "person" if by == "node" else CUSTOMER
    cases = rows.groupby(by, as_index=False).agg(
        id_type=("id_type", "min"), id_value=("id_value", "min"), customers=(who, "nunique"),
        ids=("node", "nunique"), events=("events", "sum"),
    )  # fmt: skip
    if by in ("case", "person"):
        cases["id_value"] = cases[by]
    if by == "person":
        cases["id_type"] = CUSTOMER
    cases = cases.assign(rule=rule, refused=rule in REFUSED, together=rows[who].nunique())
    return cases.sort_values(["id_type", "id_value"])[CASE]


def _fates(
    study: Study, ids: ir.Table, refused: pd.DataFrame, held: pd.DataFrame, junk: int, further: list[str]
) -> pd.DataFrame:
    """What became of the anonymous events that carry an id, by rule.

    `ids` as of the study's; `refused`: id_value, who and rule of the ids that link nobody as a whole; `held`:
    the events that windows hold; `junk`: with how many customers banned values were seen.
    """
    kinds = {"known_": "string", "rule": "string"}
    asked = refused.drop_duplicates("id_value").rename(columns={"id_value": "known_"})[list(kinds)]
    known = ibis.memtable(asked.astype(kinds))
    unnamed = ids.filter(ids.anonymous_id.nullif("").notnull() & ids[CUSTOMER].nullif("").isnull())
    unnamed = unnamed.left_join(known, unnamed.anonymous_id == known["known_"])
    unnamed = unnamed.select("anonymous_id", "linked_customer", "events", "rule")
    nobody = _nobody(unnamed.anonymous_id, further).ifelse(JUNK, NOBODY)
    linked = unnamed["linked_customer"].notnull()
    rows = unnamed.select(
        person_=ibis.coalesce(unnamed["linked_customer"], unnamed.anonymous_id),
        weight_=unnamed["events"].cast("int64"),
        rule=linked.ifelse(ONE, unnamed["rule"].isnull().ifelse(nobody, unnamed["rule"])),
        id=unnamed.anonymous_id,
    )
    if len(held):
        part = held.groupby("id_value", as_index=False).size().set_axis(["id", "weight_"], axis=1)
        part = part.assign(person_=part["id"], rule=WINDOW)[list(rows.columns)]
        rows = rows.union(ibis.memtable(part.astype({"id": "string", "person_": "string", "rule": "string"})))
    rows = study.engine.keep(rows)
    by = rows.group_by("rule")
    counts = study.fetch(by.aggregate(ids=rows["id"].nunique(), customers=rows[PERSON].nunique()))
    counts = counts.set_index("rule").astype(int)
    owners = refused.groupby("rule")["who"].nunique().to_dict() | {
        WINDOW: held["person"].nunique(),
        JUNK: junk,
    }
    counts["customers"] = [owners.get(rule, visitors) for rule, visitors in counts["customers"].items()]
    counts.loc[EVERYWHERE] = (
        counts.reindex([ONE, WINDOW]).max().fillna(0)
    )  # at the least: they may be the same
    names = [name for name in (EVERYWHERE, ONE, WINDOW, SHARED, WIDE, JUNK, NOBODY) if name in counts.index]
    shares = {name: (rows["rule"] == name).cast("float64") for name in names}
    shares[EVERYWHERE] = rows["rule"].isin(LINKED).cast("float64")
    found = study.fetch(sums(rows, {f"v{i}": shares[name] for i, name in enumerate(names)})).fillna(0)
    total = int(found["weight_"].iloc[0])
    table = [rate({"rule": name}, found, f"v{i}", n=total) for i, name in enumerate(names)]
    frame = pd.DataFrame(table).assign(linked=[name in LINKED for name in names])
    return frame.assign(**{name: counts.loc[names, name].astype(int).array for name in ("customers", "ids")})


@dataclass(frozen=True, eq=False)
class Sensitivity(Framed):
    """Figures by the share of links they rest on.

    `frame`: share (of links used), figure, estimate, low, high, n (persons that the study then has).
    """

    SHARES: ClassVar = ("share",)

    def told(self, rows: pd.DataFrame) -> str:
        """Which figures leave the interval they have with all links, and when."""
        said = []
        for name, group in rows.groupby("figure", sort=False):
            whole = group.iloc[0]
            for row in group[~group["estimate"].between(whole["low"], whole["high"])].head(1).itertuples():
                ends = f"{number(row.estimate)} for {number(whole['estimate'])}"
                said.append(f"{nice(name)} at {percent(row.share)} of the links ({ends})")
        if not said:
            return "No figure leaves its interval, however few links there are."
        return f"Leaving the interval they have with all links: {'; '.join(said)}."


def coverage(
    study: Study,
    figures: Mapping[str, Callable[[Study], tuple[float, float, float]]],
    shares: Sequence[float] = (1, 0.75, 0.5, 0.25, 0),
    stitched: Stitched | None = None,
) -> Sensitivity:
    """Figures recomputed while a part of the links is withheld: what worse identity would have made of them.

    `figures`: name to a function of a study that returns estimate, low, high. Links are withheld at random
    (by a hash of the id, so that the ids of a smaller share are among those of a larger one); `stitched`: the
    links, by default those of `stitch(study)`.
    """
    if not shares or not all(0 <= share <= 1 for share in shares):
        raise CxValueError(f"shares are {list(shares)}; each must be from 0 to 1, such as (1, 0.5, 0).")
    links = (stitched or stitch(study)).identities
    drawn = (pd.util.hash_array(links["id_value"].to_numpy(object)) >> np.uint64(11)) / 2.0**53
    rows = []
    for share in sorted(set(shares), reverse=True):
        part = study.with_identities(links[drawn < share])
        persons = _count(part, part.ids)
        rows += [(share, name, *figure(part), persons) for name, figure in figures.items()]
    return Sensitivity(pd.DataFrame(rows, columns=["share", "figure", "estimate", "low", "high", "n"]))
