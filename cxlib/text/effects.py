"""What a theme goes with, told apart from what it is mentioned with.

Customers who complain of a queue complain of the staff as well; alone, either theme goes with a bad score.
Together, each is compared with comments that are alike in all other themes.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats as distributions

from cxlib import stats
from cxlib.errors import CxLookupError, CxValueError, did_you_mean
from cxlib.results import TOO_FEW, Claim, Result, nice
from cxlib.stats.intervals import Array, Interval
from cxlib.text.learned import Themes, spelled
from cxlib.text.learning import ends


@dataclass(frozen=True, eq=False)
class ThemeEffects(Result):
    """How much higher or lower the outcome is where a theme is spoken of: associations, no causes.

    `frame`: theme, estimate (difference, the other themes being equal), low, high, n (comments with an
    outcome), customers, alone (difference by itself), alone_low, alone_high, q (p-value of estimate,
    adjusted for the number of themes), count (customers with the theme, as known best). `outcome`: of what.
    `corrected`: whether what the rule misses and invents is taken out. `single`: every comment has one
    theme, so that each is compared with all others.
    """

    frame: pd.DataFrame = field(repr=False)
    outcome: str
    corrected: bool
    single: bool = False

    @property
    def of(self) -> str:
        """The outcome as people call it."""
        return "score" if self.outcome == "place" else nice(self.outcome)

    def table(self) -> pd.DataFrame:
        """One row a theme, the lowest first."""
        return self.frame

    def claim(self) -> Claim:
        """Which themes go with a lower outcome when told apart, and which only seemed to."""
        table = self.visible().dropna(subset="low")
        if not len(table):
            return TOO_FEW
        lower = table[(table["q"] < 0.05) & (table["estimate"] < 0)]
        text = f"No theme goes with a lower {self.of} by more than chance would do"
        if len(lower):
            than = "than all others together" if self.single else "the others being equal"
            many = f"{len(lower)} of {len(table)} themes {'goes' if len(lower) == 1 else 'go'}"
            if len(self.frame) == 1:
                many, than = "The one theme goes", "than where it is not spoken of"
            text = f"{many} with a lower {self.of}, {than}: {spelled(lower.head(3), 'theme')}"
            text += ", the rest by less" if len(lower) > 3 else ""
        seemed = table[(table["q"] >= 0.05) & (table["alone_high"] < 0)]["theme"]
        if len(seemed) and not self.single:
            text += f"; {', '.join(map(nice, seemed))} only as mentioned with others"
        errors = (
            "" if self.corrected else "; the rule's errors are in it: they hide part and shift part to others"
        )
        return Claim(
            f"{text}{errors}. These are associations: a change tried at one place would show causes."
        )


def effects(themes: Themes, outcome: str = "place") -> ThemeEffects:
    """Difference in an outcome (a number beside the comment) that goes with each theme, alone and together.

    Together: least squares on all themes at once. Where people have read a random sample, the moments of
    the themes as predicted on all comments are put right by how read and predicted differ on those read
    (a difference estimator over two phases: Sarndal, Swensson and Wretman 1992, ch. 9; Angelopoulos et al.
    2023, Science 382, "prediction-powered"). Without, a theme that the rule misses leaves its effect to those it
    is mentioned with: residual confounding, and `corrected` is False; comments that cannot be judged are left
    out then, those without the outcome always. Where every comment has exactly one theme, together is alone: a
    theme against all others. Intervals: jackknife over folds of customers with t; q by Benjamini and Hochberg.

    Themes that always come together cannot be told apart: NaN. Raises CxLookupError for an unknown
    outcome, CxValueError for one that is not a number.
    """
    frame = themes.frame
    if outcome not in frame:
        raise CxLookupError(f"The comments have no column `{outcome}`.{did_you_mean(outcome, frame.columns)}")
    if not pd.api.types.is_numeric_dtype(frame[outcome]):
        raise CxValueError(f"`{outcome}` is not a number; give it as one (0 and 1 for no and yes).")
    y = frame[outcome].to_numpy(float)
    predicted, read = themes.predicted.to_numpy(float), themes.read.to_numpy(float)
    known = ~np.isnan(read).any(axis=1)
    corrected = bool((known & ~np.isnan(y)).any())
    # Where there are readings any guess will do for what cannot be judged, if it is the same for all such.
    used = ~np.isnan(y) & (corrected | ~np.isnan(predicted).any(axis=1))
    y, predicted, read, known = y[used], np.nan_to_num(predicted[used]), read[used], known[used]
    person = frame["person"][used]
    fold = stats.folds_of(person)
    total = _moments(predicted, np.where(known[:, None], read, 0.0), y, known, fold)
    truly = read[known] if corrected else predicted
    single = bool(len(truly) > 0 and (truly.sum(axis=1) == 1).all())
    found = stats.jackknife(total, lambda sums: _slopes(sums, corrected), scale="identity")
    alone, together = (Interval(*(end[which] for end in found)) for which in (0, 0 if single else 1))
    with np.errstate(divide="ignore", invalid="ignore"):
        p = 2 * distributions.t.sf(np.abs(together.estimate / together.se), max(len(np.unique(fold)) - 1, 1))
    best = np.where(np.isnan(read), predicted, read) == 1
    table = pd.DataFrame(
        {"theme": themes.names, **ends(together), "n": len(y), "customers": person.nunique()}
    )
    table = table.assign(**ends(alone, "alone"))
    table["q"] = stats.benjamini_hochberg(p)
    table["count"] = [person[best[:, one]].nunique() for one in range(best.shape[1])]
    return ThemeEffects(table.sort_values("estimate", ignore_index=True), outcome, corrected, single)


def _moments(guess: Array, read: Array, y: Array, known: NDArray[np.bool_], fold: NDArray[np.int64]) -> Array:
    """By fold: sums of z z' of all comments as predicted, of those read as predicted and as read: (folds, 3, k, k).

    z is (1, themes, y); the first cell of each is the number of comments.
    """
    one = np.ones((len(y), 1))
    z, truly = np.hstack([one, guess, y[:, None]]), np.hstack([one, read, y[:, None]])
    sums = np.zeros((stats.FOLDS, 3, z.shape[1], z.shape[1]))
    for one_fold in np.unique(fold):
        here = fold == one_fold
        for place, part in enumerate((z[here], z[here & known], truly[here & known])):
            sums[one_fold, place] = part.T @ part
    return sums


def _slopes(total: Array, corrected: bool) -> Array:
    """Slopes of y on each theme alone and on all together from stacked moments (..., 3, k, k): (..., 2, themes)."""
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = total / total[..., :1, :1]
        moment = mean[..., 0, :, :] + (mean[..., 2, :, :] - mean[..., 1, :, :] if corrected else 0.0)
        centred = moment[..., 1:, 1:] - moment[..., 1:, :1] * moment[..., :1, 1:]
        within, across = centred[..., :-1, :-1], centred[..., :-1, -1:]
        alone = across[..., 0] / np.diagonal(within, axis1=-2, axis2=-1)
    # NaN where none was read, and where a theme is a sum of others: its own direction is not all there.
    known = np.isfinite(centred).all(axis=(-1, -2), keepdims=True)
    inverse = np.linalg.pinv(np.where(known, within, 0.0), rcond=1e-8, hermitian=True)
    told = np.diagonal(inverse @ np.where(known, within, 0.0), axis1=-2, axis2=-1) > 1 - 1e-6
    return np.stack([alone, np.where(told, (inverse @ across)[..., 0], np.nan)], axis=-2)
