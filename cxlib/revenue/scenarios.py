"""One thing to do: what it earns, what it costs, when it has paid for itself, and whether to do it now.

Every quantity that is not known is drawn as often as its interval says, and the rest is arithmetic. Where
the answer could still be either, knowing more is worth at most what it would change: the expected value of
perfect information, the mean of the better choices less the better of the means (Raiffa & Schlaifer 1961).
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from scipy import special

from cxlib.errors import CxValueError
from cxlib.results import Claim, Result, nice, number, percent
from cxlib.revenue.causal import Effect
from cxlib.revenue.regression import Array
from cxlib.stats import laws as distributions


@dataclass(frozen=True, eq=False)
class Scenario(Result):
    """Gains and costs of one thing to do, over a horizon. All money in `unit` (the currency), discounted.

    name : what it is
    frame, path : as `table()`; the cumulated net by month: month, estimate, low, high
    months : the horizon
    unit : the name of the currency
    verdict : do it, don't, or cannot tell
    worth_knowing : the expected value of perfect information
    """

    name: str
    frame: pd.DataFrame = field(repr=False)
    path: pd.DataFrame = field(repr=False)
    months: int
    unit: str
    verdict: str
    worth_knowing: float

    def table(self) -> pd.DataFrame:
        """One row a quantity: gain, cost, net (the mean of the draws), payback_months (the median; infinite:
        not within the horizon), loss_probability, worth_knowing: estimate, low, high, n (behind the effect)."""
        return self.frame

    def shown(self) -> pd.DataFrame:
        """The table with names for people."""
        return self.frame.assign(quantity=self.frame["quantity"].map(nice))

    def claim(self) -> Claim:
        """What it earns, when it has paid for itself, how likely it loses, and what to do."""
        rows = self.frame.set_index("quantity")
        net, back = rows.loc["net"], rows.loc["payback_months"]
        if not np.isfinite(net["low"]):
            return Claim(
                f"{self.name}: cannot tell. The data set no bound on the effect, so there is none on what it earns."
            )
        late = f"not within {self.months}"
        ends = [f"{at:.0f}" if np.isfinite(at) else late for at in back[["low", "high"]]]
        after = f"after {back['estimate']:.0f} months ({ends[0]} to {ends[1]})"
        if not np.isfinite(back["estimate"]):
            after = f"{late} months (at best {ends[0]})" if np.isfinite(back["low"]) else f"{late} months"
        said = (
            f"{self.name}: over {self.months} months it earns {number(net['estimate'])} {self.unit} net "
            f"({number(net['low'])} to {number(net['high'])}), pays for itself {after}, and loses money with "
            f"a probability of {percent(rows.loc['loss_probability', 'estimate'])}"
        )
        verdict = {"do it": "Do it", "don't": "Don't"}.get(
            self.verdict,
            f"Cannot tell yet: learning more is worth up to {number(self.worth_knowing)} {self.unit}",
        )
        return Claim(f"{' '.join(said.split())}. {verdict}.")


def scenario(
    effect: Effect | tuple[float, float, float],
    reach: float | tuple[float, float],
    *,
    name: str = "This",
    months: int = 24,
    during: int | None = None,
    each: float = 0.0,
    once: float = 0.0,
    monthly: float = 0.0,
    avoided: bool = False,
    spread: int = 1,
    discount: float = 0.10,
    draws: int = 20_000,
    seed: int = 0,
) -> Scenario:
    """What doing something to `reach` customers a month earns, if it does `effect` to each of them.

    effect : an identified effect on margin per customer, or one's own (estimate, low, high), in the currency
    reach : customers a month; two numbers are the ends of a 95 % interval (log-normal between them)
    during : in how many months customers are reached (1: all at once; all `months` if not given)
    each, once, monthly : cost of each customer reached, at the start, and to run, in the currency
    avoided : the effect is that of what is taken away, such as a failure: its opposite is gained
    spread : months over which a customer's effect comes in, evenly
    discount : a year

    The effect is drawn from Student's t, each side with the width of its side of the interval. An effect that
    is not identified is refused: its interval says nothing of what would happen. Verdicts: do it (the net's
    interval lies above 0), don't (below), else cannot tell. Gains after the horizon are not counted.

    >>> plan = scenario((20.0, 10.0, 30.0), (80, 120), months=12, once=5_000, name="A better queue")
    >>> plan.verdict
    'do it'
    """
    if isinstance(effect, Effect):
        if effect.rung != "identified":
            raise CxValueError(
                f"A scenario needs an identified effect; this one is {effect.rung}, and says nothing of what would "
                "happen. Identify it by a design, or give (estimate, low, high) of your own."
            )
        size = effect.unit.size
        centre, low, high = effect.estimate / size, effect.low / size, effect.high / size
        df, n, unit = effect.df, effect.n, effect.unit.name
    else:
        (centre, low, high), df, n, unit = effect, np.inf, 0, ""
    if avoided:
        centre, low, high = -centre, -high, -low
    few, many = (reach, reach) if isinstance(reach, (int, float)) else reach
    if not (low <= centre <= high and 0 < few <= many and months >= 1 and spread >= 1):
        raise CxValueError("low <= estimate <= high, 0 < reach, months and spread of at least 1 are needed.")
    if not np.isfinite([low, high]).all():
        return _unbounded(name, months, unit, n)

    rng = np.random.default_rng(seed)
    t = rng.standard_t(df, draws) if np.isfinite(df) else rng.standard_normal(draws)
    own = distributions.t.ppf(0.975, df)
    gained = centre + t * np.where(t < 0, centre - low, high - centre) / own
    z = special.ndtri(0.975)
    reached = np.exp(
        (np.log(few) + np.log(many)) / 2 + rng.standard_normal(draws) * np.log(many / few) / (2 * z)
    )

    active = (np.arange(months) < (during or months)).astype(float)
    fade = (1 + discount) ** (-(np.arange(months) + 0.5) / 12)
    comes = np.convolve(active, np.full(spread, 1 / spread))[:months]
    gain = np.outer(gained * reached, (comes * fade).cumsum())
    cost = once + np.outer(reached, (each * active * fade).cumsum()) + (monthly * fade).cumsum()
    net = gain - cost
    paid = net >= 0
    # It has paid when it is above 0 for good, not when it first touches it.
    back = np.where(paid[:, -1], months - paid[:, ::-1].argmin(axis=1) + 1.0, np.inf)
    back = np.where(paid.all(axis=1), 1.0, back)
    tails = [0.025, 0.975]

    def row(quantity: str, values: Array, middle: float) -> tuple[str, float, float, float]:
        ends = np.quantile(values, tails, method="nearest")
        return quantity, middle, float(ends[0]), float(ends[1])

    total = net[:, -1]
    worth = float(np.maximum(total, 0).mean() - max(total.mean(), 0))
    rows = [
        row("gain", gain[:, -1], float(gain[:, -1].mean())),
        row("cost", cost[:, -1], float(cost[:, -1].mean())),
        row("net", total, float(total.mean())),
        row("payback_months", back, float(np.quantile(back, 0.5, method="nearest"))),
        ("loss_probability", float((total < 0).mean()), np.nan, np.nan),
        ("worth_knowing", worth, np.nan, np.nan),
    ]
    frame = pd.DataFrame(rows, columns=["quantity", "estimate", "low", "high"])
    frame["n"] = n
    verdict = "do it" if rows[2][2] > 0 else "don't" if rows[2][3] < 0 else "cannot tell"
    low_path, high_path = np.quantile(net, tails, axis=0)
    path = pd.DataFrame(
        {"month": np.arange(1, months + 1), "estimate": net.mean(axis=0), "low": low_path, "high": high_path}
    )
    return Scenario(name, frame, path, months, unit, verdict, worth)


def _unbounded(name: str, months: int, unit: str, n: int) -> Scenario:
    """Where the effect has no bounds, neither has anything that follows from it."""
    names = ["gain", "cost", "net", "payback_months", "loss_probability", "worth_knowing"]
    frame = pd.DataFrame({"quantity": names, "estimate": np.nan, "low": -np.inf, "high": np.inf, "n": n})
    path = pd.DataFrame(
        {"month": np.arange(1, months + 1), "estimate": np.nan, "low": np.nan, "high": np.nan}
    )
    return Scenario(name, frame, path, months, unit, "cannot tell", np.nan)
