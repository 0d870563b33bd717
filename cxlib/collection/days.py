"""Calendar days in the time zone of the study's own files."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import ibis
import ibis.expr.types as ir
import pandas as pd

if TYPE_CHECKING:
    from cxlib.study import Study


def local_day(study: Study, first: object, last: object) -> Callable[[ir.Value], ir.Value]:
    """The calendar day in the study's time zone of a UTC time, on any engine.

    The zone's offset is a step function of time; its steps from `first` to `last` (UTC) are written
    into the expression, as engines differ in what a zone's cast does.
    """
    zone = study.settings.time_zone
    ends = pd.to_datetime([first, last])
    if zone == "UTC" or ends.isna().any():
        return lambda ts: ts.date()
    hours = pd.date_range(ends[0].floor("D"), ends[1].ceil("D"), freq="15min", tz="UTC")
    offset = pd.Series(hours.tz_convert(zone).tz_localize(None) - hours.tz_localize(None))
    steps = offset[offset.ne(offset.shift())] // pd.Timedelta(seconds=1)

    def day(ts: ir.Value) -> ir.Value:
        seconds: ir.Value = ibis.literal(int(steps.iloc[0]))
        for instant, value in zip(hours.tz_localize(None)[steps.index][1:], steps.iloc[1:], strict=True):
            seconds = ibis.ifelse(ts >= ibis.literal(instant.to_pydatetime()), int(value), seconds)
        return (ts + seconds.as_interval("s")).date()

    return day


def local_times(study: Study, times: pd.Series) -> pd.Series:
    """UTC times by the clock of the study's time zone (without a zone, as everywhere)."""
    utc = pd.to_datetime(times).dt.tz_localize("UTC")
    return utc.dt.tz_convert(study.settings.time_zone).dt.tz_localize(None)
