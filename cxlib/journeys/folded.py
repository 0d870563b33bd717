"""Counts on the log by fold of customers, as dense arrays: what every share and interval starts from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import ibis.expr.types as ir
import numpy as np

from cxlib.study.log import FOLDS, Log

if TYPE_CHECKING:
    from cxlib.study import Study


def dense(
    study: Study,
    name: str,
    params: Mapping[str, Any],
    rows: ir.Table,
    keys: Sequence[str],
    size: tuple[int, ...],
) -> np.ndarray:
    """Row counts by fold and codes as an array (folds, *size); code -1 counts in the last place.

    `rows` has `fold` and the coded columns `keys`; kept in the study's cache under `name` and `params`.
    """
    frame = study.cached(
        name, params, lambda: study.fetch(rows.group_by("fold", *keys).aggregate(rows=rows.count()))
    )
    counts = np.zeros((FOLDS, *size), dtype=np.int64)
    np.add.at(counts, tuple(frame[key].to_numpy() for key in ("fold", *keys)), frame["rows"].to_numpy())
    return counts


def pairs(study: Study, log: Log) -> np.ndarray:
    """(folds, touchpoints, touchpoints + 1) counts of what follows what; the last is the end."""
    size = len(log.names["touchpoint"])
    return dense(study, "pairs", {"gap": log.gap}, log.table, ("touchpoint", "next"), (size, size + 1))
