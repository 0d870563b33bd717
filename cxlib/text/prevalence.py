"""How often a theme is spoken of, with the errors of whoever counts it taken out, and their uncertainty carried.

A rule that finds two thirds of the complaints counts too few, and an interval around its count is narrow and
wrong. A random sample that people have read says how wrong.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from cxlib import stats
from cxlib.errors import CxValueError, require
from cxlib.results import EVERYWHERE, Framed, nice, percent
from cxlib.stats.intervals import Array, Interval
from cxlib.text.learned import UNKNOWN, Themes

Codes = NDArray[np.int64]
Names = NDArray[np.object_]

UNREAD = 2
"""Third value of what is true: nobody has read it. Third of what is predicted: it could not be judged."""

ROUNDS, CLOSE = 500, 1e-9


@dataclass(frozen=True, eq=False)
class Prevalence(Framed):
    """The share of comments with each theme.

    `frame`: theme, then the group where asked for ("(all)" first), estimate (corrected), low, high, n
    (comments), customers, naive (share that the rule counts), naive_low, naive_high, read (comments read
    by people), count (customers with the theme, as known best). Where nobody has read any, the estimate is the naive one: `corrected` is False.
    """

    SHARES = ("estimate", "naive")

    corrected: bool = True

    def whole(self) -> pd.DataFrame:
        """The rows of all groups together that may be shown and have an interval."""
        table = self.visible().dropna(subset="low")
        return table[table["group"] == EVERYWHERE] if "group" in table else table

    def too_few(self) -> bool:
        """Whether no theme's share in all may be shown."""
        return self.whole().empty

    def told(self, _: pd.DataFrame) -> str:
        """The theme spoken of most, with what the rule alone would have said."""
        table = self.whole()
        most = table.loc[table["estimate"].idxmax()]
        text = (
            f"{nice(most['theme']).capitalize()} is spoken of {'most, ' if len(table) > 1 else ''}in "
            f"{percent(most['estimate'])} of {most['n']:,} comments ({percent(most['low'])} to {percent(most['high'])})"
        )
        if not self.corrected:
            return f"{text}, as the rule counts: nobody has read a sample, so its errors are not known."
        alone = f"; the rule alone counts {percent(most['naive'])}" if pd.notna(most["naive"]) else ""
        return f"{text}, corrected by the {most['read']:,} that people have read{alone}."


def prevalence(themes: Themes, by: str | None = None) -> Prevalence:
    """Share of comments with each theme, by a column of the comments if asked (`by`).

    Maximum likelihood for a sample of which a random part is read (double sampling; Tenenbein 1970, J. Am.
    Stat. Assoc. 65, is the case of one group). Between groups the shares differ, while how often the rule
    finds or invents a theme is taken to be the same; by `language`, in each of which there is another rule,
    it is estimated apart. What the rule cannot judge is a third answer of it, so no comment is left out.
    That the comments read are a random sample of all is assumed, and decides. Intervals: jackknife over
    folds of customers with t on the logit scale; Wilson's with as much information where fewer than 10
    comments read have the theme.
    """
    group = np.full(len(themes.frame), EVERYWHERE, dtype=object)
    if by is not None:
        require(by, themes.frame, f"The comments have no column `{by}`")
        group = themes.frame[by].astype("object").fillna(UNKNOWN).astype(str).to_numpy(object)
    fold = stats.folds_of(themes.frame["person"])
    known = themes.read.notna().any(axis=None)
    people = pd.DataFrame({"person": themes.frame["person"].to_numpy(), "group": group})
    frames = []
    for theme in themes.names:
        predicted, true = (f[theme].fillna(UNREAD).to_numpy(int) for f in (themes.predicted, themes.read))
        parts = [_shares(np.full(len(group), EVERYWHERE, dtype=object), predicted, true, fold, False)]
        if by is not None:
            parts.append(_shares(group, predicted, true, fold, by == "language"))
        bears = np.where(true == UNREAD, predicted, true) == 1
        named = pd.concat(parts).assign(theme=theme)
        frames.append(named.assign(count=named["group"].map(_writers(people[bears])).fillna(0).astype(int)))
    table = pd.concat(frames, ignore_index=True)
    table["customers"] = table["group"].map(_writers(people)).astype(int)
    naive = ["naive", "naive_low", "naive_high"]
    table = table[["theme", "group", "estimate", "low", "high", "n", "customers", *naive, "read", "count"]]
    return Prevalence(table if by is not None else table.drop(columns="group"), bool(known))


def _writers(people: pd.DataFrame) -> pd.Series:
    """How many customers each group has, and all together."""
    many = people.groupby("group")["person"].nunique()
    many[EVERYWHERE] = people["person"].nunique()
    return many


def _shares(group: Names, predicted: Codes, true: Codes, fold: Codes, apart: bool) -> pd.DataFrame:
    """Corrected and naive shares of one theme, a row a group."""
    names, code = np.unique(group.astype(str), return_inverse=True)
    counts = np.zeros((stats.FOLDS, len(names), 3, 3))
    np.add.at(counts, (fold, code, predicted, true), 1)
    judged = counts[:, :, :2].sum(axis=3)
    naive = stats.proportions(judged[:, :, 1], judged.sum(axis=2))
    read = counts[..., :UNREAD].sum(axis=(0, 2, 3)).astype(int)
    found = corrected_shares(counts, apart) if read.any() else naive
    total = counts.sum(axis=(0, 2, 3)).astype(int)
    return pd.DataFrame(
        {"group": names, **found.columns(), "n": total, **naive.columns("naive"), "read": read}
    )


def corrected_shares(counts: ArrayLike, apart: bool = False) -> Interval:
    """Share truly 1 in each group, from counts (folds, groups, predicted, true); 95 %.

    `predicted` is 0, 1 or, if there is a third place, not judged; `true` 0, 1 or 2, unread. `apart`: each
    group has error rates of its own.
    """
    given = np.asarray(counts, dtype=float)
    if given.ndim != 4 or given.shape[-1] != 3:
        raise CxValueError(
            f"corrected_shares needs (folds, groups, predicted, true in 3); got {given.shape}."
        )
    found = stats.jackknife(given, lambda total: likeliest(total, apart))
    total = given.sum(axis=0)
    p, size = found.estimate, total.sum(axis=(1, 2))
    # Few read cases, or a share of 0 or 1: no more is known than the readings themselves can tell.
    few = np.minimum(total[..., 1].sum(axis=1), total[..., 0].sum(axis=1)) < stats.ENOUGH
    with np.errstate(divide="ignore", invalid="ignore"):
        worth = np.where(found.se > 0, p * (1 - p) / found.se**2, total[..., :UNREAD].sum(axis=(1, 2)))
    worth = np.minimum(worth, size)
    spread = stats.wilson(np.clip(p, 0, 1) * worth, worth)
    return Interval(p, np.where(few, spread.low, found.low), np.where(few, spread.high, found.high), found.se)


def likeliest(counts: ArrayLike, apart: bool = False) -> Array:
    """Maximum-likelihood share truly 1: (..., groups) from counts (..., groups, predicted, true).

    With one group, or `apart`, in closed form (Tenenbein 1970): the share of true among what is predicted
    so, weighted by how often it is predicted. Else by EM: shares by group, one set of error rates. A group
    of which nothing is read then is as Rogan and Gladen 1978 (Am. J. Epidemiology 107) would correct it.

    >>> read, unread = [[70, 10, 300], [5, 15, 100]], 2  # predicted 0 and 1; truly 0, truly 1, unread
    >>> likeliest([read]).round(4).tolist()  # 380/500 * 10/80 + 120/500 * 15/20
    [0.275]
    """
    given = np.asarray(counts, dtype=float)
    read, unread = given[..., :UNREAD], given[..., UNREAD]
    with np.errstate(divide="ignore", invalid="ignore"):
        if apart or given.shape[-3] == 1:
            weight, known = given.sum(axis=-1), read.sum(axis=-1)
            overall = read[..., 1].sum(axis=-1, keepdims=True) / known.sum(axis=-1, keepdims=True)
            # An answer of the rule of which none was read: as the readings are in all.
            among = np.where(known > 0, read[..., 1] / known, overall)
            return (weight * among).sum(axis=-1) / weight.sum(axis=-1)
        pooled = read.sum(axis=-3)
        rates = (pooled + 1e-12) / (pooled + 1e-12).sum(axis=-2, keepdims=True)  # predicted given true
        overall = (pooled[..., 1].sum(axis=-1) / pooled.sum(axis=(-1, -2)))[..., None]
        share = np.broadcast_to(overall, given.shape[:-2])
        for _ in range(ROUNDS):
            one = share[..., None] * rates[..., None, :, 1]
            odds = one / (one + (1 - share[..., None]) * rates[..., None, :, 0])
            whole = read + unread[..., None] * np.stack([1 - odds, odds], axis=-1)
            pooled = whole.sum(axis=-3) + 1e-12
            rates = pooled / pooled.sum(axis=-2, keepdims=True)
            before, share = share, whole[..., 1].sum(axis=-1) / whole.sum(axis=(-1, -2))
            if np.nanmax(np.abs(share - before), initial=0.0) < CLOSE:
                break
    return share
