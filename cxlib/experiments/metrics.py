"""What an analysis reads of a frame: which columns make a metric, which values are arms, and what is wrong."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import pandas as pd

from cxlib.errors import CxLookupError, CxValueError, did_you_mean
from cxlib.frames import column, numbers

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
    values = [pd.Series(numbers(frame, part, missing=True)) for part in parts]
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


def read_arms(frame: pd.DataFrame, variant: str, control: str | None) -> list[str]:
    """The arms as text, the control first, the others sorted."""
    arms = sorted(column(frame, variant).dropna().astype(str).unique())
    named = ", ".join(arms[:10])
    if len(arms) < 2:
        raise CxValueError(f"`{variant}` holds {named or 'no value'}; a comparison needs two arms.")
    if control is None and not set(CONTROLS) & set(arms):
        raise CxValueError(f"Which arm is the control? Say control=; `{variant}` holds: {named}.")
    if control is not None and str(control) not in arms:
        hint = did_you_mean(str(control), arms)
        raise CxLookupError(f"`{variant}` has no arm `{control}`.{hint} It holds: {named}.")
    return order_arms(arms, control)


def order_arms(arms: Sequence[str], control: str | None = None) -> list[str]:
    """The arms with the control (else what looks like one) first, the others sorted, numbers as numbers."""
    first = str(control) if control is not None else next((one for one in CONTROLS if one in arms), None)
    dose = pd.to_numeric(pd.Series(list(arms)), errors="coerce")
    order = [arms[i] for i in dose.argsort()] if dose.notna().all() else sorted(arms)
    return [*([first] if first else []), *(arm for arm in order if arm != first)]
