"""What a study says of itself: `study.yaml`, or the keywords of `open_study`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cxlib.errors import CxValueError, did_you_mean

CURRENCY = r"^[A-Z]{3}$"


@dataclass(frozen=True)
class Settings:
    """What `study.yaml` or `open_study(where, ...)` may say. `money: major` has decimals converted to minor
    units when read."""

    name: str = ""
    title: str = ""
    currency: str = ""
    money: str = ""
    time_zone: str = "UTC"
    conversion: tuple[str, ...] = ()
    delimiter: str = ","
    encoding: str = "utf-8"
    licence: str = ""
    source: str = ""
    notes: tuple[str, ...] = ()

    @classmethod
    def parse(cls, values: object, where: str = "study.yaml") -> Settings:
        """Settings from a mapping, each checked; CxValueError names the entry and what it may be."""
        if not isinstance(values, Mapping):
            raise CxValueError(f"{where} must be a list of `name: value` lines, not {type(values).__name__}.")
        known = list(cls.__dataclass_fields__)
        for entry in values:
            if entry not in known:
                hint = did_you_mean(str(entry), known)
                raise CxValueError(
                    f"{where} has an unknown entry `{entry}`.{hint} Known: {', '.join(known)}."
                )
        kept: dict[str, Any] = {}
        for entry, value in values.items():
            if entry in ("conversion", "notes") and isinstance(value, (list, tuple)):
                kept[entry] = tuple(str(v) for v in value)
            elif isinstance(value, (list, tuple, Mapping)):
                raise CxValueError(f"{where}: {entry} must be one value, not a list: write `{entry}: ...`.")
            elif value is not None:
                kept[entry] = (str(value),) if entry in ("conversion", "notes") else str(value)
        settings = cls(**kept)
        if settings.money not in ("", "major", "minor"):
            raise CxValueError(
                f"{where}: money is `{settings.money}`; write `money: major` or `money: minor`."
            )
        if settings.currency and not re.match(CURRENCY, settings.currency):
            raise CxValueError(
                f"{where}: currency is `{settings.currency}`; write an ISO 4217 code such as EUR."
            )
        if len(settings.delimiter) != 1:
            raise CxValueError(f"{where}: delimiter must be one character, not `{settings.delimiter}`.")
        return settings
