"""What a theme goes with, told apart from what it is mentioned with.

Customers who complain of a queue complain of the staff as well; alone, either theme goes with a bad score.
Together, each is compared with comments that are alike in all other themes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from cxlib import stats
from cxlib.errors import CxValueError, require
from cxlib.results import Framed, nice
from cxlib.text.learned import Themes, spelled
from cxlib.text.slopes import differences


@dataclass(frozen=True, eq=False)
class ThemeEffects(Framed):
    """How much higher or lower the outcome is where a theme is spoken of: associations, no causes.

    `frame`: theme, estimate (difference, the other themes being equal), low, high, n (comments with an
    outcome), customers, alone (difference by itself), alone_low, alone_high, q (p-value of estimate,
    adjusted for the number of themes), count (customers with the theme, as known best). `outcome`: of what.
    `corrected`: whether what the rule misses and invents is taken out. `single`: every comment has one
    theme, so that each is compared with all others.
    """

    outcome: str
    corrected: bool
    single: bool = False

    @property
    def of(self) -> str:
        """The outcome as people call it."""
        return "score" if self.outcome == "place" else nice(self.outcome)

    def visible(self) -> pd.DataFrame:
        """The rows that may be shown, of themes that can be told apart."""
        return super().visible().dropna(subset="low")

    def told(self, table: pd.DataFrame) -> str:
        """Which themes go with a lower outcome when told apart, and which only seemed to."""
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
        return f"{text}{errors}. These are associations: a change tried at one place would show causes."


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
    require(outcome, frame, f"The comments have no column `{outcome}`")
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
    alone, together = differences(y, predicted, fold, read if corrected else None)
    truly = read[known] if corrected else predicted
    single = bool(len(truly) > 0 and (truly.sum(axis=1) == 1).all())
    together = alone if single else together
    best = np.where(np.isnan(read), predicted, read) == 1
    table = pd.DataFrame(
        {"theme": themes.names, **together.columns(), "n": len(y), "customers": person.nunique()}
    )
    table = table.assign(**alone.columns("alone"))
    table["q"] = stats.benjamini_hochberg(together.p(max(len(np.unique(fold)) - 1, 1)))
    table["count"] = [person[best[:, one]].nunique() for one in range(best.shape[1])]
    return ThemeEffects(table.sort_values("estimate", ignore_index=True), outcome, corrected, single)
