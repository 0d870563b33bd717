"""What an analysis reads of a frame: which columns make a metric, which values are arms, and what is wrong."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from cxlib.errors import CxLookupError, CxValueError, did_you_mean

KINDS = ("mean", "proportion", "ratio")
CONTROLS = ("control", "A", "a", "0", "False")  # what a control is called where nobody says


class Metric(NamedTuple):
    """A metric, its kind, and its column (of a ratio: numerator and denominator)."""

    name: str
    kind: str
    columns: tuple[str, ...]


def read_metrics(
    frame: pd.DataFrame, metrics: str | Iterable[str] | Mapping[str, str], taken: Sequence[str]
) -> list[Metric]:
    """The metrics, each of the kind it is said or seen to be; no column of theirs may be `taken`."""
    names = [metrics] if isinstance(metrics, str) else metrics
    asked = dict(names) if isinstance(names, Mapping) else dict.fromkeys(names, "")
    if not asked:
        raise CxValueError(f"Name at least one metric. Columns: {', '.join(map(str, frame.columns))}.")
    return [_metric(frame, name, kind, taken) for name, kind in asked.items()]


def _metric(frame: pd.DataFrame, name: str, kind: str, taken: Sequence[str]) -> Metric:
    if kind and kind not in KINDS:
        raise CxValueError(
            f"`{name}`: no kind `{kind}`; there are {', '.join(KINDS)}.{did_you_mean(kind, KINDS)}"
        )
    if kind == "ratio" or (not kind and "/" in name and name not in frame):
        parts: tuple[str, ...] = tuple(part.strip() for part in name.split("/"))
        if len(parts) != 2:
            raise CxValueError(f"`{name}` is no ratio of two columns; write it like `revenue/sessions`.")
        kind = "ratio"
    else:
        parts = (name,)
    for part in parts:
        if part in taken:
            raise CxValueError(f"`{part}` cannot be a metric and also the variant or a covariate.")
    values = [numbers(frame, part) for part in parts]
    if negative := int((values[-1] < 0).sum()) if kind == "ratio" else 0:
        raise CxValueError(f"The denominator `{parts[-1]}` is negative in {negative:,} row(s).")
    wrong = values[0][values[0].notna() & ~values[0].isin([0, 1])]
    if kind == "proportion" and len(wrong):
        examples = ", ".join(f"{value:g}" for value in wrong.unique()[:3])
        raise CxValueError(
            f"`{name}` is called a proportion, but {len(wrong):,} value(s) are neither 0 nor 1, such as "
            f"{examples}. Call it a mean, or code it 0 and 1."
        )
    return Metric(name, kind or ("mean" if len(wrong) else "proportion"), parts)


def numbers(frame: pd.DataFrame, name: str) -> pd.Series:
    """A column as floats, missing as NaN; CxValueError where it holds text or something infinite."""
    values = column(frame, name)
    if not pd.api.types.is_numeric_dtype(values):
        raise CxValueError(f"`{name}` holds {values.dtype}, not numbers; convert it, or leave it out.")
    values = pd.Series(values.to_numpy(dtype=float, na_value=np.nan), index=frame.index)
    if infinite := int(np.isinf(values).sum()):
        raise CxValueError(f"`{name}` is infinite in {infinite:,} row(s); correct them or make them missing.")
    return values


def column(frame: pd.DataFrame, name: str) -> pd.Series:
    """A column by name; CxLookupError that says which there are."""
    known = [str(one) for one in frame.columns]
    if name not in known:
        raise CxLookupError(
            f"The frame has no column `{name}`.{did_you_mean(str(name), known)} It has: {', '.join(known)}."
        )
    if known.count(name) > 1:
        raise CxValueError(f"The frame has {known.count(name)} columns called `{name}`; rename all but one.")
    return frame[name]


def read_arms(frame: pd.DataFrame, variant: str, control: str | None) -> list[str]:
    """The arms as text, the control first, the others sorted."""
    arms = sorted(column(frame, variant).dropna().astype(str).unique())
    named = ", ".join(arms[:10])
    if len(arms) < 2:
        raise CxValueError(f"`{variant}` holds {named or 'no value'}; a comparison needs two arms.")
    first = str(control) if control is not None else next((one for one in CONTROLS if one in arms), None)
    if first is None:
        raise CxValueError(f"Which arm is the control? Say control=; `{variant}` holds: {named}.")
    if first not in arms:
        raise CxLookupError(
            f"`{variant}` has no arm `{first}`.{did_you_mean(first, arms)} It holds: {named}."
        )
    return [first, *(arm for arm in arms if arm != first)]
