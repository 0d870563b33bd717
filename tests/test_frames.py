"""Columns of a caller's frame: what is taken for numbers, and what is said of the rest."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import pandas as pd
import pytest

from cxlib.errors import CxLookupError, CxValueError
from cxlib.frames import column, numbers


@pytest.mark.parametrize(
    ("values", "found"),
    [
        ([1, 2], [1, 2]),
        ([True, False], [1, 0]),
        (pd.array([1, None], dtype="Int64"), [1, np.nan]),
        (pd.Series([1, None], dtype=object), [1, np.nan]),
        (pd.Series([Decimal("1.5"), Decimal(2)], dtype=object), [1.5, 2]),
        (pd.Series([], dtype=object), []),
    ],
)
def test_numbers_are_numbers_however_they_are_held(values, found):
    assert numbers(pd.DataFrame({"x": values}), "x", missing=True) == pytest.approx(found, nan_ok=True)


@pytest.mark.parametrize(
    ("values", "options", "says"),
    [
        (["1", "2"], {}, "`x` must be numbers; it holds text"),
        ([1, "two"], {}, "`x` must be numbers; it holds text"),
        (pd.Categorical(["a", "b"]), {}, "it holds text"),
        (pd.to_datetime(["2026-01-01", "2026-01-02"]), {}, "it holds datetime64"),
        ([1 + 2j, 3], {}, "it holds complex"),
        ([1.0, None], {}, r"`x` must be numbers: 1 value\(s\) are not, such as nan"),
        ([1.0, np.inf], {"missing": True}, r"1 value\(s\) are not, such as inf"),
        ([-1, 2], {"least": 0}, r"`x` must be numbers from 0: 1 value\(s\) are not, such as -1"),
        ([1.5, 2.5], {"whole": True, "least": 1}, r"`x` must be whole numbers from 1: 2 value\(s\)"),
    ],
)
def test_what_is_not_a_number_is_named(values, options, says):
    with pytest.raises(CxValueError, match=says):
        numbers(pd.DataFrame({"x": values}), "x", **options)


def test_a_column_that_is_not_there_or_there_twice_is_named():
    frame = pd.DataFrame([[1, 2, 3]], columns=["revenue", "x", "x"])
    with pytest.raises(
        CxLookupError, match=r"no column `revenu`\. Did you mean `revenue`\? It has: revenue, x, x"
    ):
        column(frame, "revenu")
    with pytest.raises(CxValueError, match="2 columns called `x`"):
        column(frame, "x")
    with pytest.raises(CxValueError, match="takes a pandas frame with a column `x`, not a dict"):
        column({"x": [1]}, "x")  # type: ignore[arg-type]
