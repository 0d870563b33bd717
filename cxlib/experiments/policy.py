"""Is it worth showing different people different things?

Three policies are valued in the metric's unit a customer: the control for everybody, the best single arm
for everybody, and for each group (persona) its own best arm. The best of many looks better than it is, so
arms are chosen on one half of the customers and valued on the other, and the other way round, by doubly
robust scores: a model's guess for each arm, plus, where the customer met that arm, what the guess missed
over the chance of meeting it (Dudik, Langford & Li 2011, ICML). In an experiment that chance is known, so
the values hold whatever the model; a better model only narrows them. One halving would leave the verdict
to its luck: of several the middle estimate and the middle ends of the interval are taken (Chernozhukov,
Demirer, Duflo & Fernandez-Val 2018, NBER 24678). Halves and no average, because with more folds, or means
over splits, choice and value share customers: where arms are nearly equal such intervals held .80 to .90.
So the value is that of arms chosen on half of the customers, a little less than what all would choose.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import numpy as np
import pandas as pd

from cxlib.errors import CxValueError
from cxlib.experiments.analysis import BROKEN, signed
from cxlib.experiments.metrics import read_arms
from cxlib.experiments.moments import Array
from cxlib.experiments.outcomes import default, outcomes
from cxlib.experiments.plan import PLAN, Plan
from cxlib.experiments.sample_ratio import SampleRatio, balance
from cxlib.frames import column, numbers
from cxlib.results import Claim, Result, nice
from cxlib.stats import laws as distributions

if TYPE_CHECKING:
    from cxlib.study import Study

PERSONALISE, ONE, KEEP, UNKNOWN = "personalise", "one arm for all", "keep the control", "cannot tell"
MOST = 1e6  # a larger number of customers needed says that nothing would do
NOBODY = "(no persona)"
GAINS = ("best_single over control", "personal over best_single", "personal over control")


@dataclass(frozen=True, eq=False)
class Policy(Result):
    """What a customer is worth under each policy, and which one the experiment supports.

    values : as `table()`
    gains : one row a difference: gain (best_single over control, personal over best_single, personal over
        control), estimate, low, high, se, p, n, more (customers or clusters more that would find it, were it real)
    arms : one row a group: its arm when all customers choose, the single arm, customers; what is displayed
    verdict : personalise, one arm for all, keep the control, cannot tell; or that the assignment is broken
    """

    KEYS: ClassVar = ("control", "best_single", "personal")

    values: pd.DataFrame = field(repr=False)
    gains: pd.DataFrame = field(repr=False)
    arms: pd.DataFrame = field(repr=False)
    verdict: str
    metric: str
    control: str
    single: str
    level: float
    check: SampleRatio
    experiment: str = ""

    def table(self) -> pd.DataFrame:
        """One row a policy: estimate (the metric's mean over all customers, had it ruled), low, high, n."""
        return self.values

    def shown(self) -> pd.DataFrame:
        """What somebody would do; what it is worth is in the figure and the claim."""
        return self.arms

    def claim(self) -> Claim:
        """The verdict and the two differences it stands on."""
        if self.verdict == BROKEN:
            return self.check.claim()
        single, personal, both = self.gains.to_dict("records")
        # Of a study the groups are personas.
        best, control, metric = nice(self.single), nice(self.control), f"{nice(self.metric)} a customer"
        own = (
            f"choosing by persona adds {signed(personal)}"
            if personal["se"]
            else "no persona has another best arm"
        )
        own = own.replace("group", "persona") if self.experiment else own
        alone = f"{best} for all instead of {control} changes {metric} by {signed(single)}"
        if self.verdict == PERSONALISE:
            return Claim(f"Personalise: beyond {best} for all, {own} {metric}.")
        if self.verdict == ONE:
            return Claim(f"One arm for all, {best}: {alone}; {own}, so personalising is not shown to pay.")
        if self.verdict == KEEP:
            return Claim(f"Keep {control}: every other arm for all is worth less; {own}.")
        more = min(single["more"], both["more"])
        needed = f", about {more:,.0f} more {self.check.unit} needed" if more < MOST else ""
        return Claim(f"Cannot tell{needed}: {alone}; {own}.")


def policy(data: Any, *args: Any, **named: Any) -> Policy:
    """Value the control, the best single arm and the best arm by group.

    A study: `policy(study, experiment, metric, memberships, window, pre_period)`; groups are the personas
    to which customers most probably belong, as a policy can only act on what is known of them (customers
    without a membership are a group of their own). A frame: `policy(frame, variant, metric, by,
    covariates)`; `by` names the column or columns whose values make the groups. Further, of both:

    control, level, expected, limit : as in `analyze`, and a broken assignment ends it
    worth : smallest gain a customer that would pay for the trouble; without it any gain does
    splits, seed : random halvings of the customers (or clusters), and their seed

    The verdict is `personalise` where the interval of "by group less the best single arm" lies above 0 (its
    estimate at `worth` or more), else `one arm for all` where that of the single arm less the control does,
    else `keep the control` where all others lie below it (or below `worth`), else `cannot tell`.

    >>> rng = np.random.default_rng(0)
    >>> frame = pd.DataFrame({"arm": ["A", "B"] * 2000, "kind": ["x", "x", "y", "y"] * 1000})
    >>> frame["spend"] = rng.normal(0, 1, 4000) + ((frame["arm"] == "B") == (frame["kind"] == "x"))
    >>> policy(frame, "arm", "spend", "kind").verdict
    'personalise'
    """
    return (_of_frame if isinstance(data, pd.DataFrame) else _of_study)(data, *args, **named)


def _of_study(
    study: Study,
    experiment: str,
    metric: str | None = None,
    memberships: pd.DataFrame | None = None,
    window: str = "60 D",
    pre_period: str | None = "90 D",
    **named: Any,
) -> Policy:
    if memberships is None:
        raise CxValueError("policy needs memberships: person and one probability column a persona.")
    seen = outcomes(study, experiment, metric or default(study)[:1], window, pre_period)
    person = column(memberships, "person").astype(str)
    most = memberships.drop(columns="person").idxmax(axis=1).set_axis(person)
    frame = seen.frame.assign(persona=seen.frame["customer_id"].map(most).fillna(NOBODY))
    found = _of_frame(frame, "variant", seen.metrics[0], "persona", seen.covariates, **PLAN, **named)
    return replace(found, experiment=experiment, arms=found.arms.rename(columns={"group": "persona"}))


def _of_frame(
    frame: pd.DataFrame,
    variant: str,
    metric: str,
    by: str | Sequence[str],
    covariates: str | Sequence[str] | None = None,
    control: str | None = None,
    level: float = 0.95,
    *,
    worth: float = 0.0,
    splits: int = 11,
    seed: int = 0,
    expected: dict[str, float] | None = None,
    limit: float = 0.001,
    cluster: str | None = None,
    propensity: str | None = None,
    stratum: str | None = None,
) -> Policy:
    covariates = [covariates] if isinstance(covariates, str) else list(covariates or ())
    columns = [by] if isinstance(by, str) else list(by)
    frame = frame.assign(**{variant: column(frame, variant).convert_dtypes().astype("string")})
    arms = read_arms(frame, variant, control)
    plan = Plan(variant, cluster, propensity, stratum).read(frame)
    check = balance(plan.groups(frame), arms, expected, limit, plan.unit)
    values = np.column_stack([numbers(frame, name, missing=True) for name in (metric, *covariates)])
    whole = np.isfinite(values).all(axis=1) & frame[variant].notna().to_numpy()
    frame, values = frame[whole], values[whole]
    names = frame[columns].astype(str).agg(" ".join, axis=1)
    group, groups = pd.factorize(names, sort=True)
    arm = pd.Categorical(frame[variant], categories=arms).codes.astype(int)
    weights = plan.weights(frame)
    chance = (np.bincount(arm) / len(arm))[arm] if weights is None else 1 / weights
    unit = pd.factorize(plan.units(frame))[0]
    data = _Data(values[:, 0], values[:, 1:], group, arm, chance, len(groups), len(arms))

    everyone = data.choose(np.ones(len(arm), dtype=bool))
    worths, changes, each = [], [], np.zeros((len(arm), len(arms)))
    rng = np.random.default_rng(seed)
    for _ in range(splits):
        half = (rng.permutation(unit.max() + 1) % 2)[unit]
        ruled = np.zeros((len(arm), 3))
        for held in (0, 1):
            here = half == held
            rule = data.choose(~here)
            scores = data.scores(rule, here)
            chosen = np.zeros((len(scores), 3), dtype=int)
            chosen[:, 1], chosen[:, 2] = rule.single, rule.best[group[here]]
            ruled[here] = np.take_along_axis(scores, chosen, axis=1)
            each[here] += scores / splits
        worths.append(_means(ruled, unit, level))
        changes.append(_means(ruled[:, [1, 2, 2]] - ruled[:, [0, 1, 0]], unit, level))
    table = pd.DataFrame({"policy": Policy.KEYS} | _middle(worths)).drop(columns=["se", "p", "more"])
    gains = pd.DataFrame({"gain": GAINS} | _middle(changes))
    single = arms[everyone.single]
    by_group = pd.DataFrame({"group": groups, "arm": [arms[a] for a in everyone.best], "for_all": single})
    by_group["customers"] = np.bincount(group)
    rest = _means(each[:, 1:] - each[:, :1], unit, 1 - (1 - level) / (len(arms) - 1))
    verdict = _verdict(gains, rest, worth)
    if not check.passed:  # no number that somebody could act on
        verdict, by_group = BROKEN, by_group.iloc[:0]
        table[["estimate", "low", "high"]] = gains[list(gains.columns[1:])] = np.nan
    table["n"] = gains["n"] = len(arm)
    return Policy(table, gains, by_group, verdict, metric, arms[0], single, level, check)


class _Rule(NamedTuple):
    """What some customers teach: guesses by group and arm, slopes of covariates, and the arms they choose."""

    guess: Array
    slope: Array
    single: int
    best: Any


class _Data(NamedTuple):
    """One row a customer: outcome, covariates, group, arm met, its chance; and how many groups and arms."""

    y: Array
    x: Array
    group: Any
    arm: Any
    chance: Array
    groups: int
    arms: int

    def choose(self, here: Any) -> _Rule:
        """The best arm for all and the best by group among the customers `here`.

        A group's own differences are shrunk towards those of all, by as much as chance alone would make
        them spread (James & Stein 1961, after the groups' and the arms' own levels are taken out): the
        best of a few noisy numbers is otherwise chosen for its noise.
        """
        y, x, size = self.y[here], self.x[here], self.groups * self.arms
        cell = (self.group * self.arms + self.arm)[here]
        arm = pd.Series(cell)
        known = pd.DataFrame(np.c_[y, x])
        inside = (known - known.groupby(arm).transform("mean")).to_numpy()
        slope = np.linalg.lstsq(inside[:, 1:], inside[:, 0], rcond=1e-10)[0] if x.shape[1] else np.zeros(0)
        left = y - x @ slope
        n = np.bincount(cell, minlength=size).reshape(self.groups, self.arms)
        total = np.bincount(cell, left, size).reshape(n.shape)
        square = np.bincount(cell, left**2, size).reshape(n.shape)
        everyone = total.sum(axis=0) / n.sum(axis=0)
        level = total.sum(axis=1) / np.maximum(n.sum(axis=1), 1)
        flat = level[:, None] + everyone - left.mean()
        with np.errstate(divide="ignore", invalid="ignore"):
            own = total / n - flat
            noise = (square / n - (total / n) ** 2) / np.maximum(n - 1, 1)
        usable = n > 1
        free = (self.groups - 1) * (self.arms - 1) / size
        signal = float((n * own**2)[usable].sum())
        kept = max(0.0, 1 - free * float((n * noise)[usable].sum()) / signal) if signal > 0 else 0.0
        guess = flat + np.where(usable, kept * own, 0.0)
        return _Rule(guess, slope, int(everyone.argmax()), guess.argmax(axis=1))

    def scores(self, rule: _Rule, here: Any) -> Array:
        """(customers here, arms) doubly robust scores: their means are the arms' values."""
        adjusted = self.x[here] @ rule.slope
        guess = rule.guess[self.group[here]] + adjusted[:, None]
        rows, arm = np.arange(len(guess)), self.arm[here]
        missed = (self.y[here] - guess[rows, arm]) / self.chance[here]
        guess[rows, arm] += missed
        return guess


def _means(scores: Array, unit: Any, level: float) -> dict[str, Array]:
    """Means of columns with t intervals between units, p-values, and customers more to find each with .8."""
    n, mean = len(scores), scores.mean(axis=0)
    by_unit = np.column_stack([np.bincount(unit, column) for column in (scores - mean).T])
    units = len(by_unit)
    se = np.sqrt((by_unit**2).sum(axis=0) * units / (units - 1)) / n
    with np.errstate(divide="ignore", invalid="ignore"):
        z = np.abs(mean) / se
        more = np.ceil(
            units * ((distributions.norm.ppf(0.5 + level / 2) + distributions.norm.ppf(0.8)) / z) ** 2 - units
        )
    reach = distributions.t.ppf(0.5 + level / 2, units - 1) * se
    p = np.where(se > 0, 2 * distributions.t.sf(z, units - 1), 1.0)
    more = np.where(se > 0, np.maximum(more, 1), math.inf)
    return {"estimate": mean, "low": mean - reach, "high": mean + reach, "se": se, "p": p, "more": more}


def _middle(found: list[dict[str, Array]]) -> dict[str, Array]:
    """The median over splits of each number."""
    return {name: np.median([one[name] for one in found], axis=0) for name in found[0]}


def _verdict(gains: pd.DataFrame, rest: dict[str, Array], worth: float) -> str:
    single, personal, both = gains.to_dict("records")
    if personal["low"] > 0 and both["low"] > 0 and personal["estimate"] >= worth:
        return PERSONALISE
    if single["low"] > 0 and single["estimate"] >= worth:
        return ONE
    if (rest["high"] < worth).all() and not both["low"] > 0 and (not worth or both["high"] < worth):
        return KEEP
    return UNKNOWN
