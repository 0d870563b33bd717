"""A staggered roll-out: those who already have an offer against those who do not have it yet.

Each region's change since just before its own start, less the change, over the same time, of the regions
that were still waiting (Callaway & Sant'Anna 2021, Journal of Econometrics 225, in its simplest form:
not-yet-treated controls, no covariates). A region is never compared with one that started before it, which
is where a regression with effects of regions and months goes wrong.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cxlib.errors import CxValueError
from cxlib.frames import column, numbers
from cxlib.results import Claim, Result, nice
from cxlib.revenue.causal import Effect
from cxlib.revenue.regression import Array
from cxlib.revenue.units import PLAIN, Unit
from cxlib.stats import laws as distributions

Flags = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Rollout(Result):
    """The effect of an offer, from regions that got it one after the other.

    effect : averaged over all customers and periods with the offer, while others still waited
    frame : as `table()`
    regions : those that began while others still waited
    """

    effect: Effect
    frame: pd.DataFrame = field(repr=False)
    regions: tuple[str, ...]

    def table(self) -> pd.DataFrame:
        """First the effect (measure `effect`, `since` empty), then a row a period since the start (measure
        `period`; below 0: before it, where there should be nothing): estimate, low, high, n (customers
        compared), regions."""
        return self.frame

    def parallel(self) -> bool:
        """Whether no period before the start lies apart from zero (5 % for all of them together)."""
        before = self.frame[self.frame["since"] < 0]
        strict = distributions.norm.isf(0.025 / max(len(before), 1))
        return bool((before["estimate"].abs() <= strict * before["se"]).all())

    def claim(self) -> Claim:
        """The effect, whether regions moved in parallel before it, and what the interval leaves out."""
        before = "There is no period before to see whether they did."
        if (self.frame["since"] < 0).any():
            before = f"Before it they {'did, as far as one can see' if self.parallel() else 'did not: do not believe it'}."
        return Claim(
            f"{self.effect.claim()} {before} {len(self.regions)} regions: a shock to one of them alone is not in the interval."
        )

    def shown(self) -> pd.DataFrame:
        """The table with money in the currency."""
        return self.effect.unit.shown(self.frame)


class _Cell(NamedTuple):
    """One region at one time since its start: the estimate, and what each customer adds to its error."""

    begin: int
    since: int
    estimate: float
    influence: Array
    treated: int


def rollout(
    panel: pd.DataFrame,
    *,
    outcome: str,
    by: str = "region",
    known: str | None = None,
    base: int = 1,
    unit: Unit = PLAIN,
) -> Rollout:
    """Effect on `outcome` per customer and period of an offer that began in one region after the other.

    `panel` has one row a `customer_id` and `period`, all periods for everybody; `by` says the region and `begins`
    the period of its start (missing where it never started): these do not change. With `known` (the period a customer was
    first seen in) a region's effect is on those known before its start, against those known before the
    same time elsewhere. `base`: how many periods before the start are its reference, on average.

    Customers are the units of the interval (the estimate's influence function, as large as leaving out one
    customer at a time gives). It is an effect if, without the offer, regions would have moved in parallel;
    with few regions it is narrow for a reason that is not in it, as whatever hits one region alone looks
    like the offer. Raises CxError for missing columns or values, an incomplete panel, or nobody waiting.

    >>> rng = np.random.default_rng(0)
    >>> panel = pd.MultiIndex.from_product([range(600), range(4)], names=["customer_id", "period"]).to_frame(index=False)
    >>> panel["region"] = np.where(panel["customer_id"] % 2, "north", "south")
    >>> panel["begins"] = np.where(panel["region"] == "north", 2.0, np.nan)
    >>> live = panel["period"] >= panel["begins"]
    >>> panel["spent"] = 10 + panel["period"] + 3 * live + rng.normal(0, 1, len(panel))
    >>> found = rollout(panel, outcome="spent").effect
    >>> found.low < 3 < found.high
    True
    """
    y, place, people = _wide(panel, outcome)
    start = np.nan_to_num(numbers(people, "begins", missing=True), nan=np.inf)
    there = numbers(people, known) if known else np.full(len(people), -np.inf)
    cells = []
    for begin in sorted({int(at) for at in start[np.isfinite(start)]}):
        before = [place[begin - k] for k in range(1, base + 1) if begin - k in place]
        if len(before) < base or begin not in place:
            continue
        mine = (start == begin) & (there < begin)
        change = y - y[:, before].mean(axis=1, keepdims=True)
        for at, k in place.items():
            waiting = (start > max(at, begin)) & (there < begin)
            # The reference itself differs by nothing.
            if min(mine.sum(), waiting.sum()) > 1 and change[:, k].any():
                cells.append(_cell(begin, at - begin, change[:, k], mine, waiting))
    live = [cell for cell in cells if cell.since >= 0]
    if not live:
        raise CxValueError(
            f"No {nice(by)} began while another still waited, with {base} period(s) before it: there is nothing to compare."
        )
    each = {
        since: [cell for cell in cells if cell.since == since] for since in {cell.since for cell in cells}
    }
    rows: list[tuple[str, int | None, float, float, float, int, float, int]] = [
        ("effect", None, *_mean(live))
    ]
    rows += [("period", since, *_mean(each[since])) for since in sorted(each)]
    frame = pd.DataFrame(rows, columns=["measure", "since", "estimate", "low", "high", "n", "se", "regions"])
    frame["since"] = frame["since"].astype("Int64")
    first = rows[0]
    inside = np.isin(start, [cell.begin for cell in live])
    regions = tuple(sorted({str(name) for name in column(people, by)[inside]}))
    treated = int((inside & (there < start)).sum())
    effect = Effect(
        "identified", outcome, *first[2:6], first[6], treated, first[5] - treated,
        basis=f"If without it all {nice(by)}s had moved in parallel", unit=unit,
    )  # fmt: skip
    return Rollout(effect, frame, regions)


def _wide(panel: pd.DataFrame, outcome: str) -> tuple[Array, dict[int, int], pd.DataFrame]:
    """(customers, periods) outcomes, the place of each period, and the first row of each customer."""
    who, names = pd.factorize(column(panel, "customer_id"))
    when = numbers(panel, "period", whole=True).astype(int).tolist()
    place = {at: k for k, at in enumerate(sorted(set(when)))}
    y = np.full((len(names), len(place)), np.nan)
    y[who, [place[at] for at in when]] = numbers(panel, outcome)
    if len(panel) != y.size or np.isnan(y).any():
        raise CxValueError(
            f"The panel needs one row for each of {len(names):,} customers in each of {len(place)} periods; "
            f"it has {len(panel):,} rows. Fill in what is missing (0 where nothing was bought)."
        )
    return y, place, panel.iloc[np.unique(who, return_index=True)[1]]


def _cell(begin: int, since: int, change: Array, mine: Flags, waiting: Flags) -> _Cell:
    """The change of those who began, less that of those who waited."""
    influence = np.zeros(len(change))
    for group, sign in ((mine, 1), (waiting, -1)):
        n = group.sum()
        influence[group] = sign * (change[group] - change[group].mean()) / np.sqrt(n * (n - 1))
    return _Cell(
        begin, since, float(change[mine].mean() - change[waiting].mean()), influence, int(mine.sum())
    )


def _mean(cells: list[_Cell]) -> tuple[float, float, float, int, float, int]:
    """Cells weighted by the customers who began: estimate, low, high, customers, error, regions."""
    weight = np.array([cell.treated for cell in cells], dtype=float)
    weight /= weight.sum()
    estimate = float(weight @ [cell.estimate for cell in cells])
    influence = weight @ np.array([cell.influence for cell in cells])
    se, n = float(np.sqrt((influence**2).sum())), int((influence != 0).sum())
    reach = float(distributions.t.ppf(0.975, max(n - 2, 1))) * se
    return estimate, estimate - reach, estimate + reach, n, se, len({cell.begin for cell in cells})
