"""How often may we write? The effect of each dose against the lowest, and what it costs in opt-outs.

Doses are the variants of an experiment, as numbers. Nobody offers this: a metric within the window rewards
writing often, as those who leave are missed only later. So every dose is shown with the share of customers
it drives away, and with what an address may be worth before the dose stops paying.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import pandas as pd

from cxlib.errors import CxValueError, require
from cxlib.experiments.analysis import of_frame, signed
from cxlib.experiments.exposures import trials
from cxlib.experiments.outcomes import ANY, default, outcomes
from cxlib.experiments.plan import PLAN
from cxlib.experiments.sample_ratio import SampleRatio
from cxlib.results import TOO_FEW, Claim, Framed, minimum, nice, number, percent

if TYPE_CHECKING:
    from cxlib.study import Study

OPT_OUTS = ("unsubscribe", "opt_out", "optout")


@dataclass(frozen=True, eq=False)
class Frequency(Framed):
    """Effects of a dose.

    frame : empty where the study has no such experiment; else one row a dose above the lowest, in their order:
        estimate (the metric a customer, less opt-outs times `address`, against the lowest dose), low, high, n, q,
        verdict, more, lost (additional share of customers who opt out) with its interval, break_even (the worth of
        an address at which the dose stops paying, in the metric's unit; NaN unless it pays and loses customers)
    metric, opt_out : what is earned, and the touchpoint that means leaving ("" without)
    lowest : the dose that the others are compared with
    level : of each interval; verdicts are of `q`
    """

    SHARES: ClassVar = ("lost",)

    metric: str
    opt_out: str
    lowest: str
    level: float
    check: SampleRatio | None
    experiment: str = ""

    @property
    def paying(self) -> pd.DataFrame:
        """The doses shown to pay."""
        return self.frame[self.frame["verdict"] == "ship"] if len(self.frame) else self.frame

    def claim(self) -> Claim:
        """The highest dose that is shown to pay, and its price in opt-outs; or that it cannot be told."""
        if self.check is None:
            return Claim("No experiment in this study varied how often customers are written to.")
        if not self.check.passed:
            return self.check.claim()
        if not (self.frame["n"] >= minimum()).all():
            return TOO_FEW
        metric, paying = f"{nice(self.metric)} a customer", self.paying
        if len(paying):
            top = paying.iloc[-1]
            last = f"{top['dose']:g} is the highest frequency shown to pay"
            rest = self.frame[self.frame["dose"] > top["dose"]]
            beyond = "" if rest.empty else ", and more is not shown to"
            price = ""
            if np.isfinite(top["lost"]):
                price = f"; it makes {percent(top['lost'])} more of the customers opt out"
            if np.isfinite(top["break_even"]):
                price += f", and pays as long as an address is worth less than {number(top['break_even'])}"
            return Claim(f"{last}{beyond}: {signed(top)} {metric} against {self.lowest}{price}.")
        best = self.frame.loc[self.frame["estimate"].idxmax()]
        if (self.frame["high"] < 0).all():
            return Claim(
                f"No frequency pays: even {best['dose']:g} changes {metric} by {signed(best)} against {self.lowest}."
            )
        needed = f", {best['more']:,.0f} more customers a frequency needed" if best["more"] < 1e6 else ""
        return Claim(
            f"Cannot tell which frequency pays{needed}: the best so far, {best['dose']:g}, changes {metric} by "
            f"{signed(best)} against {self.lowest}."
        )


def frequency(
    study: Study,
    experiment: str = "",
    metric: str | None = None,
    opt_out: str | None = None,
    window: str | None = None,
    pre_period: str | None = "90 D",
    address: float = 0.0,
    level: float = 0.95,
) -> Frequency:
    """Dose and response of an experiment whose variants are numbers (without a name, the first such one).

    metric : margin (else revenue) where not said; in its unit is `address`, what an opted-out customer costs
        beyond the window
    opt_out : the touchpoint that means leaving; else the first whose name holds unsubscribe or opt_out
    window : as in `analyze`; where not said, what can be observed of everybody, 90 days at most

    Without such an experiment the result is empty and says so. Raises CxValueError for an experiment whose
    variants are not numbers.
    """
    found = trials(study)
    name = found.pick(experiment) if experiment else next(iter(found.doses), "")
    metric = metric or (default(study) or [""])[0]
    if not name:
        return Frequency(pd.DataFrame(), metric, "", "", level, None)
    if name not in found.doses:
        raise CxValueError(f"The variants of `{name}` are not three numbers or more; frequencies are.")
    window = window or found.window(name, 90)
    touchpoints = study.log().names["touchpoint"] if study.has("touchpoints") else ()
    if opt_out is None:
        opt_out = next((one for one in touchpoints if any(word in one.lower() for word in OPT_OUTS)), "")
    else:
        require(opt_out, touchpoints, f"No touchpoint is called `{opt_out}`")
    asked = [metric, f"{ANY}{opt_out}"] if opt_out else [metric]
    seen = outcomes(study, name, asked, window, pre_period)
    frame, lost = seen.frame, asked[1:]
    lowest = min(frame["variant"].unique(), key=float)
    named = {**PLAN, "control": lowest, "level": level}
    earned = frame.assign(net=frame[metric] - (address * frame[lost[0]] if lost else 0.0))
    result = of_frame(earned, "variant", "net", seen.covariates, **named)
    columns = ["arm", "estimate", "low", "high", "n", "q", "verdict", "more"]
    table = result.table()[columns].rename(columns={"arm": "dose"})
    table[["lost", "lost_low", "lost_high", "break_even"]] = np.nan
    if lost and result.check.passed:
        left = of_frame(frame, "variant", {lost[0]: "proportion"}, **named).table()
        table[["lost", "lost_low", "lost_high"]] = left[["estimate", "low", "high"]].to_numpy()
        pays = (table["verdict"] == "ship") & (table["lost"] > 0)
        table["break_even"] = (table["estimate"] / table["lost"] + address).where(pays)
    table = table.assign(dose=pd.to_numeric(table["dose"])).sort_values("dose", ignore_index=True)
    return Frequency(table, metric, opt_out, lowest, level, result.check, name)
