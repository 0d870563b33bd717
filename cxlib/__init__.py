"""From raw customer touchpoints to a revenue decision, with an interval on every number.

import cxlib as cx
study = cx.open_study("demo")
cx.journeys.funnel(study)
"""

from __future__ import annotations

import importlib
from typing import Any

__version__ = "0.1.0"

# Imported when first used: a notebook pays only for the rooms it enters.
_ROOMS = (
    "collection",
    "contract",
    "customers",
    "errors",
    "experiments",
    "figures",
    "journeys",
    "personas",
    "readers",
    "results",
    "revenue",
    "stats",
    "text",
    "voice",
    "world",
)
_NAMES = {"open_study": "study", "check": "study", "studies": "study", "simulate": "world"}

__all__ = ["__version__", *_NAMES, *_ROOMS]


def __getattr__(name: str) -> Any:
    if name in _ROOMS:
        return importlib.import_module(f"cxlib.{name}")
    if name in _NAMES:
        return getattr(importlib.import_module(f"cxlib.{_NAMES[name]}"), name)
    raise AttributeError(f"cxlib has no `{name}`; it has: {', '.join(__all__)}.")


def __dir__() -> list[str]:
    return list(__all__)
