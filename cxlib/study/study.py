"""A study: a set of contract tables on an engine, and the caches of what was computed from them."""

from __future__ import annotations

import hashlib
import html
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import ibis.expr.types as ir
import pandas as pd

from cxlib.contract import TABLES, Findings, Settings, complete
from cxlib.errors import CxLookupError, MissingTable, require
from cxlib.study.engine import Engine, remembered
from cxlib.study.fingerprints import code_digest, digest_of, refuse_changed
from cxlib.study.log import GAP, Log, build_log
from cxlib.study.people import has_windows, known_ids, relinked

T = TypeVar("T")


@dataclass(frozen=True)
class Study:
    """Contract tables on an engine; what every method takes.

    Tables are lazy Ibis tables with every column of the contract (absent optional ones are null),
    then the study's own further columns. Results are cached by fingerprint and parameters.
    `stitched`: its identities are complete, and rows that carry two ids link nobody further.

    >>> from cxlib import open_study
    >>> study = open_study({"surveys": pd.DataFrame({"response_id": ["a"], "ts": ["2026-01-05"],
    ...     "question": ["nps"], "score": [9.0], "scale_min": [0.0], "scale_max": [10.0]})})
    >>> sorted(study.tables)
    ['surveys']
    >>> study.table("orders")
    Traceback (most recent call last):
      ...
    cxlib.errors.MissingTable: This step needs the table `orders`; this study has: surveys. \
Add orders.parquet or orders.csv to the study, or skip this section.
    """

    name: str
    settings: Settings
    tables: Mapping[str, ir.Table]
    findings: Findings
    engine: Engine = field(repr=False)
    given: Mapping[str, tuple[str, ...]] = field(repr=False)
    fingerprint: str = ""
    cache: Path | None = field(default=None, repr=False)
    files: Mapping[Path, tuple[int, int]] = field(default_factory=dict, repr=False)
    truths: Path | None = field(default=None, repr=False)
    stitched: bool = False
    _made: dict[Hashable, Any] = field(default_factory=dict, repr=False, compare=False)

    @property
    def title(self) -> str:
        """The study's title for people."""
        return self.settings.title or self.name

    def table(self, name: str, needed_by: str = "This step") -> ir.Table:
        """The lazy table of that name; MissingTable says who needs it and what the study has."""
        require(name, TABLES, f"The contract has no table `{name}`", "It has")
        if name not in self.tables:
            raise MissingTable(name, needed_by, self.tables)
        return self.tables[name]

    def has(self, table: str, *columns: str) -> bool:
        """True if the study came with that table and all those columns."""
        return table in self.tables and set(columns) <= set(self.given[table])

    def fetch(self, expr: ir.Table) -> pd.DataFrame:
        """The rows of an expression on this study's tables, as a pandas frame."""
        self._unchanged()
        return self.engine.fetch(expr)

    def cached(self, name: str, params: Mapping[str, Any], build: Callable[[], pd.DataFrame]) -> pd.DataFrame:
        """The frame that `build` returns, computed once for this study, these parameters and this code."""
        self._unchanged()
        if self.cache is None:
            return self.once((name, digest_of(params)), build).copy()

        def confirmed() -> pd.DataFrame:
            frame = build()
            self._unchanged()
            return frame

        return remembered(self.cache / f"{name}-{digest_of(params, code_digest())}.parquet", confirmed)

    def log(self, gap: str = GAP, carry: Sequence[str] = ()) -> Log:
        """The coded, totally ordered log of all touchpoints; built once. See `cxlib.study.log`."""

        def build() -> Log:
            self._unchanged()
            log = build_log(self, gap=gap, carry=tuple(carry))
            self._unchanged()
            return log

        return self.once(("log", gap, *carry), build)

    def once(self, key: Hashable, build: Callable[[], T]) -> T:
        """What `build` makes, such as a table kept on the engine: made once while the study is open."""
        if key not in self._made:
            self._made[key] = build()
        return self._made[key]

    @property
    def ids(self) -> ir.Table:
        """Each combination of ids in the touchpoints and the person key it stands for; see `known_ids`."""
        return self.once("ids", lambda: self.engine.keep(known_ids(self)))

    def derived(
        self, tables: Mapping[str, ir.Table], why: str, rows: Mapping[str, int] | None = None
    ) -> Study:
        """This study with some tables replaced or added; `why`, the recipe with its parameters, tells it apart.

        `rows`: how many the tables have, as far as that is known. The fingerprint of the new study is another,
        and its caches lie in a folder of their own inside this study's.
        """
        frames = {name: complete(table, TABLES[name]) for name, table in tables.items()}
        counts = dict(rows or {})
        for name in frames.keys() - counts.keys():
            counts[name] = int(self.fetch(frames[name].aggregate(n=frames[name].count()))["n"].iloc[0])
        given = {name: self.given.get(name, tuple(table.columns)) for name, table in tables.items()}
        digest = digest_of(self.fingerprint, why)
        return replace(
            self,
            tables={**self.tables, **frames},
            findings=replace(self.findings, rows={**self.findings.rows, **counts}),
            given={**self.given, **given},
            fingerprint=self.fingerprint and digest,
            cache=self.cache and self.cache / f"derived-{digest}",
            _made={},
        )

    @cached_property
    def windowed(self) -> bool:
        """Whether some of its identities hold for a time only, as on shared devices."""
        return has_windows(self)

    def with_identities(self, identities: pd.DataFrame) -> Study:
        """This study with other `identities`, which alone say who an anonymous event is of.

        A frame of the contract's columns, as `cxlib.collection.stitch` makes it. Its rows of id_type
        `customer_id` make customers one person, in every table. Its results are cached apart.
        """
        columns = sorted(identities)
        rows = pd.util.hash_pandas_object(identities[columns], index=False).sort_values()
        why = f"identities: {columns} {hashlib.blake2b(rows.to_numpy().tobytes()).hexdigest()}"
        given = {**self.given, "identities": tuple(identities)}
        tables = relinked(self, identities)
        # Of other tables only customers lose rows, where several become one.
        rows = {name: self.findings.rows[name] for name in tables.keys() - {"customers", "identities"}}
        made = self.derived(tables, why, rows | {"identities": len(identities)})
        return replace(made, given=given, stitched=True)

    def truth(self, name: str) -> pd.DataFrame:
        """The planted truth of a named result: its keys and `truth`. Simulated studies only."""
        if self.truths is None:
            raise CxLookupError(
                f"The study `{self.name}` has no planted truth; only simulated studies have. "
                "Open the demo, or make one with `cx simulate`."
            )
        whole = pd.read_parquet(self.truths)
        part = whole[whole["result"] == name].drop(columns="result")
        if part.empty:
            known = ", ".join(sorted(whole["result"].unique()))
            raise CxLookupError(f"No truth is planted for `{name}`; there is: {known}.")
        part = part.dropna(axis="columns", how="all").reset_index(drop=True)
        if "step" in part:
            part["step"] = part["step"].astype(int)
        return part

    @property
    def provenance(self) -> dict[str, str]:
        """Where the figures come from, for the foot of a report; free of dates, so it does not drift."""
        import cxlib

        return {
            "study": self.title,
            "licence": self.settings.licence or "not stated",
            "source": self.settings.source or "the files of the study",
            "fingerprint": self.fingerprint[:12] or "not on disk",
            "engine": self.engine.name,
            "cxlib": cxlib.__version__,
        }

    def _unchanged(self) -> None:
        refuse_changed(self.files, self.cache)

    def _repr_html_(self) -> str:
        rows = "".join(
            f'<tr><td>{html.escape(name)}</td><td class="number">{count:,}</td>'
            f"<td>{html.escape(TABLES[name].row)}</td></tr>"
            for name, count in self.findings.rows.items()
        )
        head = '<th scope="col">table</th><th scope="col">rows</th><th scope="col">one row is</th>'
        return f'<table class="result"><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>'

    def __str__(self) -> str:
        tables = ", ".join(f"{name} {count:,}" for name, count in self.findings.rows.items())
        return f"{self.title}: {tables}"
