"""A first mapping for files nobody has seen: what each file and column seems to be, written to be edited.

From a sample of each file (see `samples`), by the columns' names (see `words`) and by their values. What a
file cannot say is never guessed: the entry is written empty, with a comment, and stands in `Guess.state`.

A touchpoint's stage and channel are guessed from the words of its name, first list that fits wins: retention
(return, review, call, ticket, delivery, ...), transaction (order, purchase, pay, cart, checkout, ...),
awareness (ad, impression, landing, campaign, email, search, ...), otherwise engagement.
"""

from __future__ import annotations

import fnmatch
import glob
import os
import zoneinfo
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from cxlib.contract import Settings
from cxlib.errors import CxValueError
from cxlib.guess.samples import Sample, sample, sheets
from cxlib.guess.tables import Entry, File, bought_of, understand, understand_preset
from cxlib.guess.words import CHANNELS, LISTS, NEEDS, STAGES, first_with
from cxlib.readers import recognise
from cxlib.readers.mapping import preset

MOST_NAMES = 60
"""Touchpoints that the catalog lists; a pattern `*` stands for the others."""


@dataclass(frozen=True)
class Guess:
    """A `study.yaml` to be edited, and what to tell of it, a line each: what was found, what was not taken,
    what must be stated by hand."""

    text: str
    found: tuple[str, ...]
    left: tuple[str, ...]
    state: tuple[str, ...]


def guess(
    files: Sequence[Path], folder: Path, *, zone: str = "", currency: str = "", title: str = ""
) -> Guess:
    """A first mapping of these files for a study in `folder`, to which their paths are written relative.

    `zone` is the clock of all times that carry no offset, `currency` that of amounts whose file names none.
    CxValueError where no file is of use, or one of the two is none.
    """
    Settings.parse({"currency": currency}, "cx new")
    if zone and zone not in zoneinfo.available_timezones() | {"UTC"}:
        raise CxValueError(f"cx new: the zone `{zone}` is not known; write one such as Europe/Rome, or UTC.")
    left, used = list[str](), list[File]()
    groups: dict[object, list[Sample]] = {}
    for path, sheet in [(file, name) for file in files for name in sheets(file)]:
        try:
            sampled = sample(path, sheet)
        except CxValueError as error:
            left.append(f"sheet {sheet}: {error}" if sheet else str(error))
            continue
        groups.setdefault((*sampled.frame.columns, str(sampled.source), path.suffix), []).append(sampled)
    for group in groups.values():
        f = File(group, zone)
        if reason := understand_preset(f) if f.preset else understand(f):
            has = ", ".join(c.name for c in f.columns[:12])
            odd = [NEEDS["encoding"]] if f.source.get("encoding", "") is None else []
            left.append(f"{f.label}: {'. '.join([reason, f'It has: {has}', *odd, *f.troubles])}")
        else:
            used.append(f)
    for where in dict.fromkeys(path.parent for path in files):
        if name := recognise(where):
            left.append(f"{where} is the public data set {name}: `cx report {where}` has a reader for it.")
    _settle(used, left)
    if not used:
        raise CxValueError(
            "\n  ".join(["None of these files can be used as they are.", *left, NEEDS["study"]])
        )
    return _written(used, left, folder, zone, currency, title)


def _settle(used: list[File], left: list[str]) -> None:
    """One file for each order and customer; touchpoints for orders and answers where nothing else has them."""
    for table, key in (("orders", "order_id"), ("customers", "customer_id")):
        seen: set[str] = set()
        for f in used:
            for entry in [e for e in f.entries if e.table == table and "column" in e.columns[key]]:
                ids = set(f.frame[entry.columns[key]["column"]].dropna())
                if ids & seen:
                    left.append(f"{f.label}: its {table} are in another of the files already.")
                    f.entries.remove(entry)
                seen |= ids
    used[:] = [f for f in used if f.entries or f.preset]
    logs = [f for f in used if f.names or f.preset]
    buys = any(bought_of(f.names) for f in logs)
    for f in [f for f in used if not f.preset]:
        first = {entry.table: entry for entry in reversed(f.entries)}
        orders, answers = first.get("orders"), first.get("surveys")
        if orders and buys and not f.names:
            left.append(f"{f.label}: its orders are no touchpoints, as another file has purchases.")
        elif orders and not buys:
            kept = ("order_id", "customer_id", "ts", "currency", "channel")
            columns = {name: rule for name, rule in orders.columns.items() if name in kept}
            columns["value"] = orders.columns["revenue"]
            f.contact("purchase", columns, orders.options.get("each"), orders.options.get("where", {}))
        if answers and f.who and not logs:
            columns = {k: v for k, v in answers.columns.items() if k in ("response_id", "customer_id", "ts")}
            several = answers.options.get("where", {}).keys() - f.known().keys()
            name = "review" if "review" in f.stem.lower() else "survey"
            f.contact(name, columns, columns["response_id"].get("column", "") if several else "", f.known())


_HOISTED = {"dates": "iso", "zone": "", "decimal": ".", "thousands": ""}


def _parts(value: Any) -> Iterator[dict[str, Any]]:
    """A rule and all rules within it."""
    if isinstance(value, dict):
        yield value
    for part in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _parts(part)


def _plain(value: Any) -> Any:
    """Rules without what goes without saying: `{column: X}` is X."""
    if isinstance(value, list):
        return [_plain(part) for part in value]
    if not isinstance(value, dict):
        return value
    return value["column"] if [*value] == ["column"] else {k: _plain(part) for k, part in value.items()}


def _flow(value: Any) -> str:
    """A value as YAML on one line; nothing for None."""
    text = yaml.safe_dump(value, default_flow_style=True, width=10**9, allow_unicode=True, sort_keys=False)
    return "" if value is None else text.removesuffix("\n").removesuffix("\n...")


def _printable(text: str) -> str:
    """A text that stays on its line: what stands in a file may hold anything."""
    return "".join(letter for letter in " ".join(text.split()) if letter.isprintable())


class _Page:
    """The lines of a study.yaml, and what it leaves to be stated."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.state: list[str] = []

    def put(self, depth: int, key: str, value: Any, note: str = "") -> None:
        line = f"{'  ' * depth}{key}: {_flow(_plain(value))}".rstrip()
        self.lines.append(f"{line:<40}  # {_printable(note)}" if note else line)

    def source(self, f: File, folder: Path, zone: str) -> None:
        """A source and its tables; what all its rules say alike is said once."""
        source, examples = f.source, {c.name: next(iter(c.counts), "")[:40] for c in f.columns}
        said = {key: NEEDS[key] for key, value in source.items() if value is None}
        if "money" in said and f.whole:
            said["money"] = NEEDS["money"].format(f.whole.name, examples[f.whole.name])
        rules = [rule for entry in f.entries for rule in _parts(entry.columns)]
        for key, usual in _HOISTED.items():
            held = [rule for rule in rules if key in rule]
            for rule in [rule for rule in held if rule[key] is None]:
                name = rule.get("column") or rule["join"][0]["column"]
                said[key] = NEEDS[key].format(name, examples[name])
            if held and all(rule[key] == held[0][key] for rule in held):
                if held[0][key] != usual:
                    source[key] = held[0][key]
                for rule in held:
                    rule.pop(key, None)
        if f.preset:
            needs = {need: zone if need == "zone" and zone else None for need in preset(f.preset).needs}
            source |= {"preset": f.preset, **needs}
            said |= {need: NEEDS["preset"] for need, given in needs.items() if given is None}
        self.state += [f"{f.label}: {trouble}" for trouble in f.troubles]
        self.state += [f"{f.label}: {key}: {what}" for key, what in said.items()]
        for number, name in enumerate(_globbed(f.paths)):
            seen = "" if number else f"{len(f.frame):,} rows looked at"
            self.put(1, "- file", os.path.relpath(name, folder), seen)
            for key, value in source.items():
                self.put(2, key, value, said.get(key, "") if value is None else "")
            self.lines += ["    tables:"] if f.entries else []
            for entry in f.entries:
                self.entry(entry, "" if number else f"{f.label}: ")

    def entry(self, entry: Entry, of: str) -> None:
        self.put(3, "- table", entry.table)
        for key, value in entry.options.items():
            self.put(4, key, value, entry.notes.get(key, ""))
        self.lines.append("        columns:")
        for key, value in entry.columns.items():
            note = entry.notes.get(key, "")
            if value is None:
                note = "; ".join(filter(None, [NEEDS.get(key), note]))
                self.state += [f"{of}{key} of {entry.table}: {note}"] if of else []
            self.put(5, key, value, note)


def _written(used: list[File], left: list[str], folder: Path, zone: str, currency: str, title: str) -> Guess:
    page, body, names, found = _Page(), _Page(), Counter[str](), list[str]()
    known: dict[str, Any] = {}
    media: dict[str, str] = {}
    for f in used:
        known_tables = preset(f.preset).entry.get("tables", []) if f.preset else []
        tables = dict.fromkeys([e.table for e in f.entries] + [e["table"] for e in known_tables])
        told = [f"{what}: {one.name}" for what, one in (("who", f.who), ("when", f.time)) if one]
        for asked in [e.columns for e in f.entries if e.columns.get("scale_max")]:
            ends = (asked[key]["value"] for key in ("question", "scale_min", "scale_max"))
            told.append("{} from {} to {}".format(*ends))
        said = f"preset {f.preset}" if f.preset else "; ".join(told)
        more = f" and {len(f.paths) - 1} more" if len(f.paths) > 1 else ""
        found.append(f"{f.label}{more}: {', '.join(tables)}{f' ({said})' if said else ''}")
        if not (f.who or f.preset):
            left.append(f"{f.label}: no column says who it was, so that there are no journeys in it.")
        body.source(f, folder, zone)
        names += f.names
        media = {**dict.fromkeys(f.names, f.medium), **media}
        known |= preset(f.preset).catalog if f.preset else {}
        where = {_flow(e.options["where"]): e for e in reversed(f.entries) if "where" in e.notes}
        left += [f"{f.label}: {e.table} where {test}: {e.notes['where']}." for test, e in where.items()]
        rest = [] if f.preset else [c for c in f.columns if c.name not in f.taken]
        for why, private in (("contact columns", True), ("of no use here", False)):
            if some := [c.name for c in rest if c.contact() is private]:
                left.append(f"{f.label}: {why}: {', '.join(some)}.")
    page.lines.append("# Made by `cx new`, to be looked at and edited: see notebooks/your_data.md")
    page.put(0, "title", title or folder.resolve().name)
    priced = [set(e.columns) for f in used for e in f.entries if {"revenue", "value"} & set(e.columns)]
    if currency or any("currency" not in columns for columns in priced):
        page.put(0, "currency", currency or None, "" if currency else NEEDS["currency"])
        page.state += [] if currency else [f"currency: {NEEDS['currency']}"]
    clock = "the clock of days and months in reports" + "; else UTC" * (not zone)
    page.put(0, "time_zone" if zone else "# time_zone", zone or "Europe/Rome", clock)
    if bought := bought_of(names) or bought_of(name for name in known if "*" not in name):
        page.put(0, "conversion", bought, "the touchpoints that a journey is meant to reach")
    page.put(0, "identifiers", "hash", "ids become pseudonyms made with .key; keep: they stay as they are")
    page.lines += ["", "sources:", *body.lines]
    if names or known:
        page.lines += [
            "",
            "catalog:  # touchpoint: [channel, stage], guessed from words; first that fits wins",
        ]
        for name, _ in names.most_common(MOST_NAMES):
            if any(fnmatch.fnmatchcase(name, pattern) for pattern in known if pattern != "*"):
                continue
            stage = first_with(name, STAGES, first_with(media[name], STAGES, "engagement"))
            own = {} if media[name] in LISTS["contacts"] else CHANNELS
            page.put(1, _flow(name), [first_with(name, own, media[name]), stage])
        for pattern, row in known.items():
            page.put(1, _flow(pattern), row)
        if "*" not in known:
            page.put(1, _flow("*"), ["web", "engagement"], "all others")
    shown = [tuple(map(_printable, lines)) for lines in (found, left, page.state + body.state)]
    return Guess("\n".join(page.lines) + "\n", *shown)


def _globbed(paths: Sequence[Path]) -> list[str]:
    """A pattern that means these files and no other, else the files."""
    names = sorted(str(path) for path in paths)
    if len(names) > 1:
        start = next(i for i, letters in enumerate(zip(*names, strict=False)) if len(set(letters)) > 1)
        pattern = f"{glob.escape(names[0][:start])}*{''.join(paths[0].suffixes)}"
        if sorted(glob.glob(pattern)) == names:
            return [pattern]
    return [glob.escape(name) for name in names]
