"""Columns of a caller's frame as arrays, or an error that says which and why."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cxlib.errors import CxValueError, did_you_mean


def column(frame: pd.DataFrame, name: str) -> pd.Series:
    """The column of that name; raises `CxValueError` that lists those there are."""
    if name not in frame:
        known = [str(other) for other in frame]
        raise CxValueError(
            f"The frame lacks `{name}`; it has: {', '.join(known)}.{did_you_mean(name, known)}"
        )
    return frame[name]


def numbers(
    frame: pd.DataFrame, name: str, least: float = -np.inf, whole: bool = False
) -> NDArray[np.float64]:
    """A column of finite numbers, none under `least`, all whole if asked for; else `CxValueError`."""
    try:
        values = column(frame, name).to_numpy(dtype=float, na_value=np.nan)
    except (TypeError, ValueError) as error:
        if isinstance(error, CxValueError):
            raise
        raise CxValueError(
            f"`{name}` must be numbers; make indicators of names (pandas.get_dummies)."
        ) from error
    wrong = ~np.isfinite(values) | (values < least) | (whole & (values != np.round(values)))
    if wrong.any():
        kind = ("whole numbers" if whole else "numbers") + (f" from {least:g}" if least > -np.inf else "")
        example = frame[name].iloc[int(np.argmax(wrong))]
        raise CxValueError(
            f"`{name}` must be {kind}: {int(wrong.sum()):,} value(s) are not, for example {example}."
        )
    return values
