"""Tomorrow's customers among the personas: placed where that is sure enough, else called uncertain."""

from __future__ import annotations

from dataclasses import dataclass, field

import pandas as pd

from cxlib import stats
from cxlib.errors import CxValueError
from cxlib.results import TOO_FEW, Claim, Result, minimum, percent

SURE = 0.7
UNCERTAIN = "uncertain"


@dataclass(frozen=True, eq=False)
class Placed(Result):
    """Customers placed by their likeliest persona.

    frame : one row a customer: person, persona (or `uncertain`), probability (of the likeliest persona)
    labels : the personas
    """

    SHARES = ("estimate", "low", "high", "error", "error_low", "error_high")
    WHOLE = ()

    frame: pd.DataFrame = field(repr=False)
    labels: tuple[str, ...]
    sure: float

    def table(self) -> pd.DataFrame:
        """One row a persona, then `uncertain`.

        persona, estimate (share of these customers), low, high, n (all of them), customers (placed there),
        error (share of those expected to belong elsewhere; of the uncertain, if the likeliest were taken),
        error_low, error_high
        """
        persona, wrong = self.frame["persona"], 1 - self.frame["probability"]
        names = [*self.labels, UNCERTAIN]
        count = persona.value_counts().reindex(names, fill_value=0)
        found = _rates(count, wrong.groupby(persona).sum().reindex(names, fill_value=0.0), len(persona))
        return found.rename_axis("persona").reset_index()

    def claim(self) -> Claim:
        """How many can be placed, and how many of those wrongly."""
        sure = self.frame.loc[self.frame["persona"] != UNCERTAIN, "probability"]
        n, count = len(self.frame), len(sure)
        if n < minimum():
            return TOO_FEW
        if len(self.labels) == 1:
            return Claim("With one persona there is nobody to be told from others.")
        share, wrong = stats.wilson(count, n), stats.wilson((1 - sure).sum(), count)
        few = (
            "hardly anybody" if count < minimum() else "nearly everybody" if 0 < n - count < minimum() else ""
        )
        said = f"Of {n:,} customers {few or _spoken(share)} can be placed"
        said += f"; {_spoken(wrong)} of those would be wrong" if count >= minimum() else ""
        rest = (
            "hardly anybody is"
            if n - count < minimum()
            else "most are"
            if few
            else f"{percent(1 - count / n)} are"
        )
        return Claim(f"{said}; {rest} uncertain.")


def _rates(count: pd.Series, wrong: pd.Series, n: int) -> pd.DataFrame:
    """Shares of n customers and, of those, expected errors: each is wrong with a chance of its own, and how many
    will be is spread no wider than with one chance for all."""
    share, error = stats.wilson(count, n), stats.wilson(wrong, count)
    return pd.DataFrame(
        {
            "estimate": share.estimate, "low": share.low, "high": share.high, "n": n, "customers": count,
            "error": error.estimate, "error_low": error.low, "error_high": error.high,
        },
        index=count.index,
    )  # fmt: skip


def _spoken(share: stats.Interval) -> str:
    estimate, low, high = (percent(float(end)) for end in (share.estimate, share.low, share.high))
    return f"{estimate} ({low} to {high})"


def placed(memberships: pd.DataFrame, sure: float = SURE) -> Placed:
    """Each customer by the likeliest persona, if its probability is at least `sure`; see `Personas.place`."""
    if not (isinstance(sure, int | float) and 0.5 < sure <= 1):
        raise CxValueError(f"sure is {sure!r}; it must be a probability over 0.5, such as {SURE}.")
    probability = memberships.set_index("person")
    most = probability.max(axis=1)
    persona = probability.idxmax(axis=1).where(most >= sure, UNCERTAIN)
    frame = pd.DataFrame({"persona": persona, "probability": most}).reset_index()
    return Placed(frame, tuple(map(str, probability.columns)), sure)


__all__ = ["SURE", "UNCERTAIN", "Placed", "placed"]
