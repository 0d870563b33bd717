"""A nudge as an experiment on something nobody can be made to do: the effect on those whom it moves.

Who links a card, or installs the app, chooses so; a nudge to do it can be drawn by lot. If it does nothing
but that, its effect on the outcome over its effect on adoption is the effect of adopting on those whom the
nudge made adopt (Imbens & Angrist 1994, Econometrica 62). The interval is Anderson and Rubin's (1949), for
one instrument Fieller's: all effects that the data do not contradict, right also where the nudge is weak,
and then unbounded.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from cxlib.errors import CxValueError
from cxlib.frames import numbers
from cxlib.results import number, percent
from cxlib.revenue.causal import Effect
from cxlib.revenue.regression import coefficient, held_equal, two_sides
from cxlib.revenue.units import PLAIN, Unit
from cxlib.stats import laws as distributions


def encouraged(
    frame: pd.DataFrame,
    *,
    nudged: str,
    adopted: str,
    outcome: str,
    covariates: Sequence[str] = (),
    unit: Unit = PLAIN,
) -> Effect:
    """Effect of `adopted` on `outcome` among those whom the randomised `nudged` makes adopt (both 0 and 1).

    One row a customer, everybody assigned. `covariates`, settled before the nudge, only sharpen it. The
    note states the first stage: how far the nudge moved adoption, with its F. Where it moved it too little,
    the interval is unbounded (infinite ends) and the note says so. Raises CxError for missing columns or
    values, or where the nudge moved nobody at all.

    It is an effect only if the nudge works through adoption alone: a nudge that sells by itself breaks it,
    and nothing in the interval tells.

    >>> rng = np.random.default_rng(0)
    >>> nudged, keen = rng.random(4000) < .5, rng.random(4000)
    >>> adopted = (keen > .8) | (nudged & (keen > .4))
    >>> frame = pd.DataFrame({"nudged": nudged, "adopted": adopted, "spent": 50 * keen + 5 * adopted})
    >>> found = encouraged(frame, nudged="nudged", adopted="adopted", outcome="spent")
    >>> found.low < 5 < found.high
    True
    """
    X = held_equal(frame, covariates, {nudged, adopted, outcome})
    z, d, y = two_sides(frame, nudged), numbers(frame, adopted), numbers(frame, outcome)
    if not np.isin(d, (0, 1)).all():
        raise CxValueError(f"`{adopted}` must be 0 (has not) or 1 (has adopted).")
    (up, moved), covariance, _ = coefficient(z, np.column_stack([y, d]), X, tuple(covariates))
    if moved == 0:
        raise CxValueError(f"`{nudged}` moved nobody: as many adopted with it as without.")
    df = float(len(y) - 2 - X.shape[1])
    t = float(distributions.t.ppf(0.975, df))
    estimate = up / moved
    (v_up, v_both), (_, v_moved) = covariance
    se = float(np.sqrt(max(v_up - 2 * estimate * v_both + estimate**2 * v_moved, 0)) / abs(moved))
    low, high, outside = _fieller(moved**2 - t**2 * v_moved, up * moved - t**2 * v_both, up**2 - t**2 * v_up)
    strength = moved**2 / v_moved if v_moved else np.inf
    reach = t * np.sqrt(v_moved)
    note = f"It is that on the {percent(moved)} whom the nudge made adopt ({100 * (moved - reach):.1f} to {percent(moved + reach)}; F = {number(strength)})."
    if not np.isfinite([low, high]).all():
        excluded = "no effect of whatever size can be excluded"
        if outside is not None:
            excluded = f"only effects between {unit.say(outside[0])} and {unit.say(outside[1])} are excluded"
        note += f" That is too few: {excluded}."
    basis = "If the nudge works through adoption alone"
    ones = int(z.sum())
    return Effect(
        "identified", outcome, float(estimate), low, high, len(y), se, ones, len(y) - ones,
        covariates=tuple(covariates), basis=basis, note=note, df=df, unit=unit,
    )  # fmt: skip


def _fieller(a: float, b: float, c: float) -> tuple[float, float, tuple[float, float] | None]:
    """All x with a x^2 - 2 b x + c <= 0: ends, infinite if unbounded, and what lies outside of two rays."""
    root = b**2 - a * c
    if a > 0:
        half = float(np.sqrt(max(root, 0)))
        return float((b - half) / a), float((b + half) / a), None
    if root <= 0 or a == 0:
        return -np.inf, np.inf, None
    ends = sorted(float((b + sign * np.sqrt(root)) / a) for sign in (-1, 1))
    return -np.inf, np.inf, (ends[0], ends[1])
