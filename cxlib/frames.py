"""Columns of a caller's frame, or an error that says which column and what is wrong with it."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cxlib.errors import CxLookupError, CxValueError, did_you_mean

_COUNTABLE = ("integer", "floating", "mixed-integer-float", "decimal", "boolean", "empty")


def column(frame: pd.DataFrame, name: str) -> pd.Series:
    """The column of that name; CxLookupError lists those there are, CxValueError where there are two.

    >>> column(pd.DataFrame({"revenue": [3]}), "revenu")
    Traceback (most recent call last):
    cxlib.errors.CxLookupError: The frame has no column `revenu`. Did you mean `revenue`? It has: revenue.
    """
    if not isinstance(frame, pd.DataFrame):
        raise CxValueError(f"This takes a pandas frame with a column `{name}`, not a {type(frame).__name__}.")
    known = [str(one) for one in frame.columns]
    if name not in frame.columns:
        raise CxLookupError(
            f"The frame has no column `{name}`.{did_you_mean(str(name), known)} It has: {', '.join(known[:20])}."
        )
    if known.count(str(name)) > 1:
        raise CxValueError(
            f"The frame has {known.count(str(name))} columns called `{name}`; rename all but one."
        )
    return frame[name]


def numbers(
    frame: pd.DataFrame, name: str, least: float = -np.inf, whole: bool = False, missing: bool = False
) -> NDArray[np.float64]:
    """A column as floats, none infinite or under `least`, all `whole` if asked for; else CxValueError.

    A missing value is an error too, unless `missing`: then it is NaN. Text is never taken for numbers,
    nor are times.

    >>> numbers(pd.DataFrame({"orders": [2, 0, None]}), "orders", least=0, missing=True)
    array([ 2.,  0., nan])
    """
    values = column(frame, name)
    fine = pd.api.types.is_numeric_dtype(values) or (
        values.dtype == object and pd.api.types.infer_dtype(values, skipna=True) in _COUNTABLE
    )
    if not fine or pd.api.types.is_complex_dtype(values):
        kind = "text" if pd.api.types.is_string_dtype(values) or values.dtype == object else values.dtype
        raise CxValueError(
            f"`{name}` must be numbers; it holds {kind}. Convert it, make indicators of names "
            "(pandas.get_dummies), or leave it out."
        )
    found = values.to_numpy(dtype=float, na_value=np.nan)
    with np.errstate(invalid="ignore"):
        wrong = np.isinf(found) | (found < least) | (whole & np.isfinite(found) & (found != np.round(found)))
    if not missing:
        wrong |= np.isnan(found)
    if wrong.any():
        kind = ("whole numbers" if whole else "numbers") + (f" from {least:g}" if least > -np.inf else "")
        example = values.iloc[int(np.argmax(wrong))]
        raise CxValueError(
            f"`{name}` must be {kind}: {int(wrong.sum()):,} value(s) are not, such as {example}."
        )
    return found
