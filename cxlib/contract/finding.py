"""What a check found, said so that the reader knows what to mend."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Finding:
    """One thing found in a table: how many rows, three examples, and what to do.

    `blocks` is true for a violation, false for a warning that is reported but does not stop a study.
    """

    table: str
    column: str
    problem: str
    rows: int
    advice: str
    examples: tuple[str, ...] = ()
    blocks: bool = True

    def __str__(self) -> str:
        where = f"{self.table}.{self.column}" if self.column else self.table
        rows = f"{self.rows:,} row{'' if self.rows == 1 else 's'}: " if self.rows else ""
        shown = f" (such as {', '.join(self.examples)})" if self.examples else ""
        return f"{where}: {rows}{self.problem}{shown}. {self.advice}"


@dataclass(frozen=True)
class Findings:
    """Everything a check found, and how many rows each table has."""

    rows: Mapping[str, int] = field(default_factory=dict)
    found: tuple[Finding, ...] = ()

    @property
    def violations(self) -> tuple[Finding, ...]:
        """What must be mended before the study can be opened."""
        return tuple(f for f in self.found if f.blocks)

    @property
    def warnings(self) -> tuple[Finding, ...]:
        """What the reader should know; the study opens all the same."""
        return tuple(f for f in self.found if not f.blocks)

    def __str__(self) -> str:
        tables = ", ".join(f"{name} {rows:,} rows" for name, rows in self.rows.items())
        lines = [f"Tables: {tables or 'none'}."]
        for title, group in (("violation", self.violations), ("warning", self.warnings)):
            if group:
                lines.append(f"{len(group)} {title}{'' if len(group) == 1 else 's'}:")
                lines += [f"  - {finding}" for finding in group]
        if not self.violations:
            lines.append("The contract holds.")
        return "\n".join(lines)
