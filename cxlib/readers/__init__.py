"""Readers: one outside format a module; in come its files, out come contract tables.

A reader module declares `FILES` (the names it needs), `SETTINGS` (what a `study.yaml` would say) and
`read(files)`, which takes file names and paths and returns contract tables. Modules load when they are
asked for.

>>> reader("olist").SETTINGS["currency"]
'BRL'
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol, cast

import pandas as pd

from cxlib.errors import require

READERS = ("airline_tweets", "bpic2012", "cdnow", "chn_hotel_reviews", "laroseda", "olist", "sfo_survey")
"""The readers, by the names of their modules and of their data sets in data/registry.tsv."""


class Reader(Protocol):
    """What a reader module offers."""

    FILES: tuple[str, ...]
    SETTINGS: Mapping[str, Any]

    def read(self, files: Mapping[str, Path]) -> dict[str, pd.DataFrame]:
        """Contract tables from files, given as file name -> path."""


def reader(name: str) -> Reader:
    """The reader of that name; raises `CxLookupError` that lists the readers there are.

    >>> reader("olits")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    cxlib.errors.CxLookupError: There is no reader `olits`. Did you mean `olist`? There are: airline_tweets, ...
    """
    known = require(name, READERS, f"There is no reader `{name}`")
    return cast(Reader, importlib.import_module(f"cxlib.readers.{known}"))


def recognise(folder: Path) -> str | None:
    """Name of the reader whose files all lie in a folder, if there is one: somebody's own copy of them.

    >>> recognise(Path("a folder that holds nothing of the kind")) is None
    True
    """
    for name in READERS:
        if all((folder / file).is_file() for file in reader(name).FILES):
            return name
    return None
