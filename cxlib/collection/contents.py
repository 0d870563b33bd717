"""What a study holds: its tables, which of the contract's columns came with it, and what it can answer."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import pandas as pd

from cxlib.contract import TABLES
from cxlib.errors import require
from cxlib.rates import Counts
from cxlib.results import Claim, Framed, Summary

if TYPE_CHECKING:
    from cxlib.study import Study

ANSWERS = {
    "touchpoints": "how customers travel, and where visits end",
    "surveys": "how they feel, and who is silent",
    "orders": "what they buy",
    "identities": "who the anonymous visitors are",
    "exposures": "what an experiment changed",
}


@dataclass(frozen=True, eq=False)
class Contents(Framed):
    """The tables of a study.

    `frame`: table, rows, one_row_is, and the columns beyond the required ones that came with it.
    """

    title: str
    warnings: tuple[str, ...]
    simulated: bool

    def claim(self) -> Claim:
        """The study in a sentence."""
        return Claim(f"{self.title} has {len(self.frame)} of the contract's {len(TABLES)} tables.")

    def summary(self) -> Summary:
        """What it holds, what it can and cannot answer, what the contract's check noticed."""
        have = set(self.frame["table"])
        can = [text for table, text in ANSWERS.items() if table in have]
        cannot = [f"{text} (no {table})" for table, text in ANSWERS.items() if table not in have]
        lines = [f"{self.claim()}", f"It can tell {_and(can)}."]
        if cannot:
            lines.append(f"It cannot tell {_and(cannot)}.")
        lines.append(self.warnings[0] if self.warnings else "The contract holds; the check noticed nothing.")
        lines.append(
            "It is simulated: the truth is known, and every chapter is scored against it."
            if self.simulated
            else "Its truth is not known: nothing here can be scored, only its uncertainty stated."
        )
        return Summary(tuple(lines))


def contents(study: Study) -> Contents:
    """The tables a study holds, with their rows and optional columns."""
    rows = []
    for name in study.tables:
        spec = TABLES[name]
        optional = [c.name for c in spec.columns if not c.required and study.has(name, c.name)]
        rows.append((name, study.findings.rows[name], spec.row, ", ".join(optional)))
    frame = pd.DataFrame(rows, columns=["table", "rows", "one_row_is", "optional_columns_present"])
    # Without their examples: those are values of customers, and this is shown in reports.
    warnings = tuple(str(replace(finding, examples=())) for finding in study.findings.warnings)
    return Contents(frame, study.title, warnings, study.truths is not None)


@dataclass(frozen=True, eq=False)
class Checks(Framed):
    """What the contract's check noticed: table, column, problem, rows, what to do; no values of customers."""

    rows: int

    def claim(self) -> Claim:
        """How much was checked, and how much was noticed."""
        noticed = f"noticed {len(self.frame)} thing{'' if len(self.frame) == 1 else 's'}"
        return Claim(
            f"The contract holds on {self.rows:,} rows; the check {noticed if len(self.frame) else 'noticed nothing'}."
        )


def checks(study: Study) -> Checks:
    """The warnings of the contract's check (a study with violations does not open)."""
    found = [(f.table, f.column, f.problem, f.rows, f.advice) for f in study.findings.warnings]
    frame = pd.DataFrame(found, columns=["table", "column", "problem", "rows", "what_to_do"])
    return Checks(frame, sum(study.findings.rows.values()))


def columns(table: str) -> Counts:
    """The contract of one table: column, required or optional, kind, meaning, allowed values.

    >>> columns("catalog").table()["column"].tolist()[:3]
    ['touchpoint', 'channel', 'stage']
    """
    require(table, TABLES, f"The contract has no table `{table}`", "It has")
    frame = pd.DataFrame(
        [
            (c.name, "required" if c.required else "optional", c.kind, c.meaning, ", ".join(c.allowed))
            for c in TABLES[table].columns
        ],
        columns=["column", "needed", "kind", "meaning", "allowed"],
    )
    return Counts(frame, f"{table}: {TABLES[table].row}.", ())


def _and(parts: list[str]) -> str:
    return " and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts) or "nothing yet"
