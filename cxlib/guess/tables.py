"""The tables that a sampled file seems to fill: events, orders, answers, exposures or customers.

Every rule is written out (`{"column": X, ...}`), with a reading of None where the values leave it open;
`guess` writes it down. Which columns take which part is told by their names (words.toml) and their kinds.
"""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import pandas as pd

from cxlib.contract import MOST_TOUCHPOINTS, RESERVED, STAGES, TABLES
from cxlib.guess.samples import Column, Sample, column
from cxlib.guess.words import BARS, CHANNELS, LISTS, QUESTIONS, ROLES, first_with, slug, words
from cxlib.readers.mapping import preset

SCALES = ((-1, 1), (0, 1), (1, 5), (0, 5), (1, 7), (0, 10), (1, 10), (0, 100))
MIDNIGHT = " 00:00:00"  # which a sheet adds to a day
_READING = {"id": ("whole", "strip"), "number": ("decimal", "thousands", "strip", "map"),
            "time": ("dates", "zone", "unit")}  # fmt: skip


@dataclass
class Entry:
    """A table that a file fills; `notes` are comments, by column or option."""

    table: str
    columns: dict[str, Any]
    options: dict[str, Any] = field(default_factory=dict)
    notes: dict[str, str] = field(default_factory=dict)


class File:
    """Sampled files of one form: their columns, which of them are taken, and the tables they fill."""

    def __init__(self, parts: Sequence[Sample], zone: str):
        self.paths = [part.path for part in parts]
        self.stem = self.paths[0].name.split(".")[0]
        self.frame = pd.concat([part.frame for part in parts], ignore_index=True)
        self.source, self.preset = dict(parts[0].source), parts[0].preset
        self.troubles = [part.trouble for part in parts if part.trouble]
        typed = frozenset.intersection(*(part.typed for part in parts))
        self.columns = [column(name, self.frame[name], name in typed, zone) for name in self.frame]
        sheet = self.source.get("sheet")
        self.label = f"{self.paths[0]}, sheet {sheet}" if sheet else str(self.paths[0])
        self.row = {"join": [{"value": sheet}, {"row": True}], "by": ":"} if sheet else {"row": True}
        self.taken: set[str] = set()
        self.whole: Column | None = None
        self.names: Counter[str] = Counter()
        self.entries: list[Entry] = []
        self.time = self.find("time", "time") or next((c for c in self.columns if c.kind == "time"), None)
        self.clock = next((c for c in self.columns if c.kind == "clock"), None)
        many = min(10, len(self.frame) / 10)  # what has fewer values than that names no persons
        people = [[c for c in self.all(r, "id") if len(c.counts) >= many] for r in ("customer", "anonymous")]
        self.customer, self.anonymous = (next(iter(found), None) for found in people)
        about = {word.removesuffix("s") for word in words(self.stem)}
        if self.customer is None and any(phrase <= about for phrase in ROLES["customer"]):
            self.customer = next((c for c in self.columns if c.words == ["id"] and "id" in c.kinds), None)
        if self.customer is self.anonymous:
            self.anonymous = None
        if not (self.customer or self.anonymous):
            calls = (c for c in self.columns if "id" in c.kinds and LISTS["phone"] & set(c.words))
            self.customer = next((c for c in self.columns if c.kind == "email"), None) or next(calls, None)
        self.who = self.customer or self.anonymous
        everything = " ".join([self.stem, *(c.name for c in self.columns)])
        contacts = {kind: known for kind, known in CHANNELS.items() if kind in LISTS["contacts"]}
        self.medium = first_with(self.stem, CHANNELS, first_with(everything, contacts, "web"))
        self.calls = self.medium in contacts

    def all(self, role: str, *kinds: str) -> list[Column]:
        """Columns that fit the role by name, best first: fewest further words, then the order of phrases."""
        ranked = []
        for place, one in enumerate(self.columns):
            has, bars = frozenset(one.words), BARS.get(role, frozenset())
            if not one.kinds & set(kinds):
                continue
            for rank, phrase in enumerate(ROLES[role]):
                more = len(has - phrase - LISTS["generic"])
                known = phrase <= has and (phrase != {"id"} or has == phrase)
                if known and not (has - phrase) & bars and (more < 3 or role in ("score", "comment")):
                    ranked.append((more, rank, place))
        return list({place: self.columns[place] for *_, place in sorted(ranked)}.values())

    def find(self, role: str, *kinds: str) -> Column | None:
        return next(iter(self.all(role, *kinds)), None)

    def rule(self, one: Column, use: str = "id", **more: Any) -> dict[str, Any]:
        """The rule that reads the column as an id (or text), a number or a time."""
        self.taken.add(one.name)
        reading = {key: one.reading[key] for key in _READING[use] if key in one.reading}
        made = {"column": one.name, **reading, **more}
        if one.nulls:
            made = {"others": "keep", **made, "map": {**dict.fromkeys(one.nulls), **made.get("map", {})}}
        return made

    def rules(self, use: str = "id", **named: Column | None) -> dict[str, Any]:
        """The rules of those columns that are there."""
        return {name: self.rule(one, use) for name, one in named.items() if one}

    def moment(self, time: Column | None) -> dict[str, Any] | None:
        """The rule for a time: with a clock beside it where the day stands alone. None where there is none."""
        if time is None:
            return None
        rule, sheet = self.rule(time, "time"), all(value.endswith(MIDNIGHT) for value in time.counts)
        if self.clock is None or (any(":" in value for value in time.counts) and not sheet):
            return rule
        self.taken.add(self.clock.name)
        if "%" in (rule.get("dates") or ""):
            rule["dates"] += " %H:%M:%S" if max(map(len, self.clock.counts)) > 5 else " %H:%M"
        day = {"column": rule.pop("column"), **({"strip": MIDNIGHT} if sheet else {})}
        return {"join": [day, {"column": self.clock.name}], "by": " ", **rule}

    def customer_id(self) -> dict[str, Any]:
        """The rule for a table that knows customers only: any id of theirs."""
        ids = [self.rule(one) for one in (self.customer, self.anonymous) if one]
        return {"customer_id": {"first": ids} if len(ids) > 1 else ids[0]} if ids else {}

    def known(self, *needed: Column | None) -> dict[str, Any]:
        """Conditions that leave out rows where who, when or what else is needed is not filled."""
        who = None if self.customer and self.anonymous else self.who
        return {
            one.name: {"not": ["", *one.nulls]} if one.nulls else "filled"
            for one in (who, self.time, *needed)
            if one is not None and one.filled < 1
        }

    def kept(self, where: dict[str, Any]) -> pd.DataFrame:
        """The sampled rows for which the conditions hold."""
        keep = pd.Series(True, index=self.frame.index)
        for name, test in where.items():
            texts = self.frame[name].str.strip().fillna("")
            if test == "filled":
                keep &= texts != ""
            elif isinstance(test, (list, str)):
                keep &= texts.isin([test] if isinstance(test, str) else test)
            elif "not" in test:
                keep &= ~texts.isin(test["not"])
            else:
                numbers = next(c for c in self.columns if c.name == name).numbers.reindex(keep.index)
                keep &= numbers > test["over"] if "over" in test else numbers < test["under"]
        return self.frame[keep]

    def add(
        self,
        table: str,
        columns: dict[str, Any],
        each: object,
        where: dict[str, Any],
        notes: Mapping[str, str] = MappingProxyType({}),
    ) -> Entry:
        entry = Entry(table, columns, {k: v for k, v in (("each", each), ("where", where)) if v}, dict(notes))
        if left := len(self.frame) - len(self.kept(where)):
            entry.notes["where"] = f"leaves out {left / len(self.frame):.1%} of the rows looked at"
        self.entries.append(entry)
        return entry

    def contact(self, name: str, columns: dict[str, Any], each: object, where: dict[str, Any]) -> None:
        """Touchpoints all of one name, on rows that make orders or answers too: with ids of their own."""
        own = columns.get("order_id") or columns.pop("response_id")
        ids = {"join": [{"value": name}, own], "by": ":"}
        columns = {"event_id": ids, **columns, "touchpoint": {"value": name}}
        alone = self.who and not self.who.repeats and "order_id" in columns
        note = "different in every row: nobody comes back. Is another column the person's?" if alone else ""
        self.add("touchpoints", columns, each, where, {"customer_id": note})
        self.names[name] += len(self.kept(where))

    def optional(self, *roles: str, kinds: Sequence[str] = ("word", "flag")) -> dict[str, Any]:
        """Rules for further columns that are there, under the roles' names."""
        found = {role: self.find(role, *kinds) for role in roles}
        free = {
            r: one for r, one in found.items() if one and one.name not in self.taken and not one.contact()
        }
        return self.rules("time" if "time" in kinds else "id", **free)

    def money(self, one: Column, **more: Any) -> dict[str, Any]:
        """The rule for an amount; whole numbers throughout may be cents, which the source must say."""
        cents = bool({"cents", "cent", "pence", "minor"} & set(one.words))
        if cents or (
            one.numbers.abs().max() >= 100 and all(text.lstrip("+-").isdigit() for text in one.counts)
        ):
            self.source["money"] = "minor" if cents else None
            self.whole = one
        return self.rule(one, "number", **more)

    def currency(self) -> dict[str, Any]:
        one = self.find("currency", "word")
        if one is None or any(len(code) != 3 for code in one.counts):
            return {}
        small = {code: code.upper() for code in one.counts if code != code.upper()}
        return {"currency": self.rule(one, map=small, others="keep") if small else self.rule(one)}


def _having(values: Iterable[str], of: str, but: frozenset[str] = frozenset()) -> list[str]:
    """The values with a word of the list, and none of `but`."""
    has = {value: set(words(value)) for value in values}
    has = {value: found | {word.removesuffix("s") for word in found} for value, found in has.items()}
    return [value for value in has if has[value] & LISTS[of] and not has[value] & but]


def _orders(f: File) -> bool:
    """Orders, and the returns among them: a row each, or lines that one order id holds together."""
    order, amount, price = f.find("order", "id"), f.find("amount", "number"), f.find("price", "number")
    quantity, event, money = f.find("quantity", "number"), f.find("event", "id"), amount or price
    named = order is not None and not (order.words == ["id"] and (event or not money))
    if not (f.time and f.who and (named or (money and f.who.repeats and not event))):
        return False
    if not money and f.all("score", "number"):
        return False
    each, time = order.name if order and order.repeats else "", f.time
    factors = [quantity, price] if quantity and price else []
    product = factors[0].numbers * factors[1].numbers if factors else None
    lines: bool | None = bool(each) and amount is None
    doubt = "the order's, or each line's own (then {column: ..., sum: true})?"
    if each and amount:
        alike = product is not None and ((amount.numbers - product).abs().dropna() < 0.011).mean() > 0.95
        lines = True if alike else _by_line(f, each, amount)
    if amount and price and not quantity and (amount.numbers % 1 == 0).all() and amount.numbers.median() < 10:
        lines, doubt = None, "money, or a number of things?"
    needed = factors if factors and amount is None else [money] if money else []
    rules = [f.rule(one, "number") if one is quantity else f.money(one) for one in needed]
    revenue: Any = {"times": rules} if len(rules) > 1 else rules[0] if rules else {}
    if lines:
        revenue["sum"] = True
    where = f.known(*needed)
    if status := f.find("status", "word"):
        won, undone = _having(status.counts, "won"), _having(status.counts, "undone")
        if won or undone:
            where[status.name] = won or {"not": undone}
        time = (won and f.find("closed", "time")) or f.time
    signed = factors[0] if factors and (lines or amount is None) else money
    negative = bool(signed and (signed.numbers < 0).any())
    who = {"order_id": f.rule(order) if order else f.row, **f.customer_id()}
    columns = {
        **who,
        "ts": f.moment(time),
        "revenue": revenue if lines is not None else None,
        **f.currency(),
        **f.rules(status=status),
        **f.optional("channel"),
        **f.optional("promised_ts", "delivered_ts", kinds=["time"]),
    }
    if _having([f.stem], "undone"):
        f.contact("return", {**who, "ts": columns["ts"]}, each, f.known())
        return True
    if money:
        sold = {**where, signed.name: {"over": 0}} if signed and negative else where
        note = {"revenue": f"`{money.name}`: {doubt}"}
        f.add("orders", columns, each, sold, note if lines is None else {})
    else:
        name = "purchase" if bought_of([f.stem, f.time.name.replace("date", "")]) else slug(f.stem)
        f.contact(name, {**who, "ts": columns["ts"]}, each, where)
    if signed and negative:
        f.contact("return", {**who, "ts": columns["ts"]}, each, {**where, signed.name: {"under": 0}})
    if time is not f.time:
        f.contact("deal_opened", {**who, "ts": f.moment(f.time)}, each, f.known())
    return True


def _by_line(f: File, each: str, money: Column) -> bool | None:
    """Whether an amount is each line's own; None where the sample does not tell."""
    by = money.numbers.groupby(f.frame[each].reindex(money.numbers.index))
    same = by.nunique()[by.size() > 1] == 1
    return True if same.mean() < 0.9 else False if len(same) >= 20 and same.mean() > 0.99 else None


def _surveys(f: File) -> bool:
    """Answers: an entry for each column of scores, or for each question where a row is an answer."""
    scores = [c for c in f.all("score", "number") if 2 <= len(c.counts) <= 101 and c.numbers.max() <= 100]
    if not scores:
        return False
    scores.sort(key=f.columns.index)
    texts = [c for c in f.columns if c.kind == "text" and not c.contact()]
    comment = f.find("comment", "text") or (texts[0] if len(texts) == 1 else f.find("comment", "word"))
    question = f.find("question", "word") if len(scores) == 1 else None
    parts = [(score, "") for score in scores]
    if question and len(question.counts) <= 30:
        parts = [(scores[0], asked) for asked in question.counts]
        f.taken.add(question.name)
    case = f.find("case", "id")
    own = case and case is not f.customer and case.filled == 1 and (parts[0][1] or not case.repeats)
    response = f.rule(case) if case and own else f.row
    common = {"response_id": response, **f.customer_id(), "ts": f.moment(f.time)}
    alone = sum(bool(set(c.words) & QUESTIONS["csat"]) for c in scores) < 2
    for number, (score, asked) in enumerate(parts):
        only = {question.name: asked} if question and asked else {}
        numbers = score.numbers[score.numbers.index.isin(f.kept(only).index)]
        name = first_with(asked or score.name, QUESTIONS, "")
        if not name or (name == "csat" and not alone):
            name = slug(asked or score.name)[:40].rstrip("_")
        columns = {
            **common,
            "question": {"value": name},
            "score": f.rule(score, "number"),
            **_scale(name, numbers),
            **(f.rules(comment=comment) if asked or not number else {}),
            **({} if number else f.optional("language")),
        }
        where = {name: test for name, test in f.known().items() if f.time and name == f.time.name}
        seen = f"answers seen: {numbers.min():g} to {numbers.max():g}"
        f.add("surveys", columns, "", {**where, **only}, {"scale_min": seen, "scale_max": seen})
    return True


def _scale(question: str, numbers: pd.Series) -> dict[str, Any]:
    """The scale that the answers seen fit and reach, if there is one."""
    low, high = numbers.min(), numbers.max()
    fits = [scale for scale in SCALES if scale[0] <= low and high == scale[1]]
    if question == "nps" and low >= 0 and 6 < high <= 10:
        fits = [(0, 10)]
    ends = max(fits, default=(None, None))
    return {
        f"scale_{of}": end if end is None else {"value": end}
        for of, end in zip(("min", "max"), ends, strict=True)
    }


def _exposures(f: File) -> bool:
    """Who was shown which variant of an experiment, and when."""
    variant, experiment = f.find("variant", "word", "flag", "number"), f.find("experiment", "word")
    tested = experiment or LISTS["tested"] & set(words(f.stem))
    if not (variant and tested and f.who and f.time and 2 <= len(variant.counts) <= 12):
        return False
    named = f.rule(experiment) if experiment else {"value": slug(f.stem)}
    columns = {**f.customer_id(), "experiment": named, "variant": f.rule(variant), "ts": f.moment(f.time)}
    key = [f.who.name, *([experiment.name] if experiment else [])]
    f.add("exposures", columns, key if f.who.repeats else "", f.known(variant))
    return True


def _log(f: File, weak: bool = False) -> bool:
    """Contacts: who, when, and a category that says what it was; `weak` names of such a column do as well."""
    if not (f.time and f.who):
        return False
    named = f.all("event", "word") + (f.all("topic", "word", "text") if weak else [])
    most = {c.name: MOST_TOUCHPOINTS if "event" in c.words else max(20, len(f.frame) / 3) for c in named}
    few = [c for c in named if len(c.counts) <= min(most[c.name], MOST_TOUCHPOINTS) and not c.contact()]
    address = f.find("address", "word", "text") or next((c for c in named if c not in few), None)
    if not few and not (weak and (f.who.repeats or f.calls)):
        return False
    kind, note = few[0] if few else None, ""
    if kind:
        taken = {value: f"{value}_event" for value in kind.counts if value in (*STAGES, *RESERVED)}
        taken |= {"transaction": "purchase"} if "transaction" in taken else {}
        touchpoint = f.rule(kind, map=taken, others="keep") if taken else f.rule(kind)
        f.names.update({taken.get(value, value): times for value, times in kind.counts.items()})
        note = "renamed: the names of stages mean something else in results" if taken else ""
    else:
        name = f.medium if f.calls else "page_view" if address else slug(f.stem)
        touchpoint = {"value": name}
        f.names[name] += len(f.frame)
        if address:
            note = f"{len(address.counts):,} addresses are too many: or give `{address.name}` a map"
    case, session, order = f.find("case", "id"), f.find("session", "id"), f.find("order", "id")
    case = None if case is f.who or case is None or case.repeats or case.filled < 1 else case
    order = None if order is None or order is case or order.words == ["id"] else order
    amount, event = f.find("amount", "number"), f.rule(case) if case else f.row
    ended = f.find("outcome", "word", "flag")
    columns = {
        "event_id": event,
        **f.rules(customer_id=f.customer, anonymous_id=f.anonymous),
        "ts": f.moment(f.time),
        "touchpoint": touchpoint,
        **f.rules(session_id=session, order_id=order),
        **({"value": f.money(amount), **f.currency()} if amount else {}),
        **f.optional("channel", "device", "campaign"),
        **({"outcome": _outcome(f, ended)} if ended else {}),
        **f.rules(content=None if address and address.name in f.taken else address),
    }
    f.add("touchpoints", columns, "", f.known(kind), {"touchpoint": note})
    bought, money = bought_of(kind.counts) if kind else [], amount or f.find("price", "number")
    if kind and bought and money:
        where = {**f.known(money), kind.name: bought}
        filled = (c for c in (order, session) if c and f.kept(where)[c.name].notna().mean() > 0.95)
        basket = next(filled, None)
        columns = {
            "order_id": f.rule(basket) if basket else event,
            **f.customer_id(),
            "ts": columns["ts"],
            "revenue": f.money(money, **({"sum": True} if basket else {})),
            **f.currency(),
        }
        note = "" if basket is not session else "no order number: the purchases of a session are one order"
        f.add("orders", columns, basket.name if basket else "", {**where, **f.known(basket)}, {"each": note})
    return True


def _outcome(f: File, one: Column) -> dict[str, Any]:
    """How a contact ended: yes as ok, no as unresolved (of calls, chats and tickets) or failed."""
    bad = "unresolved" if f.calls else "failed"
    said = {value: bad if value[:1].lower() in "nf0" else "ok" for value in one.counts}
    return f.rule(one, map=said) if one.kind == "flag" else f.rule(one)


def bought_of(names: Iterable[str]) -> list[str]:
    """The touchpoints that are purchases, by the surest words that any of them has."""
    other = LISTS["starts"] | LISTS["undone"]
    ranked = [_having(names, of, other) for of in ("bought1", "bought2", "bought3")]
    return next((found for found in ranked if found), [])


def _customers(f: File) -> bool:
    """One row a person, and what is known of them."""
    if f.customer is None or f.customer.repeats or f.customer.filled < 1:
        return False
    columns = {
        "customer_id": f.rule(f.customer),
        **f.rules("time", first_seen=f.find("first_seen", "time") or f.time),
        **f.optional("region", "age_band", "loyalty_tier", "acquisition_channel"),
        **f.optional("consent", kinds=["flag"]),
    }
    contract = [c.name for c in TABLES["customers"].columns]
    for one in f.columns:
        further = one.kinds & {"word", "flag"} and 2 <= len(one.counts) <= 30 and not one.contact()
        close = difflib.get_close_matches(slug(one.name), contract, 1, 0.8)
        if further and one.name not in f.taken and not close:
            columns[slug(one.name)] = f.rule(one)
    if len(columns) > 1:
        f.add("customers", columns, "", {})
    return len(columns) > 1


def understand(f: File) -> str:
    """Fills the file's entries; the reason where it fits no table."""
    exposed = _exposures(f)
    if not _log(f):
        done = (f.calls and _log(f, weak=True)) or _orders(f) or exposed
        _surveys(f) or done or _customers(f) or _log(f, weak=True)
    if f.entries:
        return ""
    lacks = [said for said, has in (("who it was", f.who), ("when", f.time)) if not has]
    if lacks == ["when"] and f.who:
        return f"no column says when, and it is no list of customers, as `{f.who.name}` repeats"
    return f"no column says {' or '.join(lacks) or 'what happened'}"


def understand_preset(f: File) -> str:
    """Touchpoints' names for the catalog, as far as the preset takes them from a column as they are, and the
    questions of a survey, which a preset cannot know."""
    entries = preset(f.preset).entry.get("tables", [])
    for entry in entries:
        name = entry.get("columns", {}).get("touchpoint")
        f.names.update(next((c.counts for c in f.columns if c.name == name), {}))
    if not (asked := [e for e in entries if e["table"] == "surveys" and "score" not in e["columns"]]):
        return ""
    for one in f.columns:
        if f"{one.name}_NPS_GROUP" in f.frame:  # so Qualtrics marks its questions from 0 to 10
            asks = {"question": {"value": "nps"}, "score": f.rule(one, "number")}
            f.add("surveys", {**asks, **_scale("nps", pd.Series([0, 10]))}, "", {})
    if not f.entries and not _surveys(f):
        numbers = [c.name for c in f.columns if c.kind == "number" and 1 < len(c.counts) <= 11]
        blank = dict.fromkeys(("question", "score", "scale_min", "scale_max"))
        f.add("surveys", blank, "", {}, {"score": f"perhaps {', '.join(numbers)}"} if numbers else {})
    for made in f.entries:
        made.columns = {name: rule for name, rule in made.columns.items() if name not in asked[0]["columns"]}
        made.options = {}
    return ""
