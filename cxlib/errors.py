"""What can go wrong, said so that the reader knows what to do next.

Every error of ours is a `CxError`, and also the built-in error a caller would expect
(`ValueError` for bad input, `LookupError` for something that is not there). A message says
what is wrong, what exists, and what to do.

>>> try:
...     raise MissingTable("surveys", needed_by="nps", has=["touchpoints"])
... except LookupError as error:
...     print(error)
nps needs the table `surveys`; this study has: touchpoints. Add surveys.parquet or surveys.csv to the study, or skip this section.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class CxError(Exception):
    """Root of every error raised by cxlib."""


class CxValueError(CxError, ValueError):
    """An input is not what the contract or the method asks for."""


class CxLookupError(CxError, LookupError):
    """Something asked for by name does not exist."""

    def __str__(self) -> str:  # KeyError's repr quoting must never reach a reader
        return str(self.args[0]) if self.args else ""


class MissingTable(CxLookupError):
    """A study lacks a table that a method needs."""

    def __init__(self, table: str, needed_by: str, has: Iterable[str]):
        self.table = table
        present = ", ".join(sorted(has)) or "no tables"
        super().__init__(
            f"{needed_by} needs the table `{table}`; this study has: {present}. "
            f"Add {table}.parquet or {table}.csv to the study, or skip this section."
        )


class UnknownStudy(CxLookupError):
    """No study of that name, and no folder at that path."""


class DataUnavailable(CxLookupError):
    """A public data set could not be had: no network, a wrong checksum, a missing file."""


class ContractViolations(CxValueError):
    """The tables of a study break the contract; carries every violation found."""

    def __init__(self, message: str, violations: tuple = ()):
        self.violations = violations
        super().__init__(message)


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """A hint for a mistyped name, or an empty string.

    >>> did_you_mean("olits", ["demo", "olist"])
    ' Did you mean `olist`?'
    """
    close = difflib.get_close_matches(name, list(known), n=1)
    return f" Did you mean `{close[0]}`?" if close else ""


def require(name: str, known: Iterable[str], otherwise: str, there: str = "There are") -> str:
    """The name, if it is one of those known; else CxLookupError: what is wrong, what was meant, what there is.

    >>> require("olits", ["demo", "olist"], "No study is called `olits`")
    Traceback (most recent call last):
    cxlib.errors.CxLookupError: No study is called `olits`. Did you mean `olist`? There are: demo, olist.
    """
    names = [str(one) for one in known]
    if name not in names:
        hint = did_you_mean(name, names)
        raise CxLookupError(f"{otherwise}.{hint} {there}: {', '.join(names) or 'none'}.")
    return name
