"""What customers will be worth: their expected margin over a horizon, discounted, and how such a forecast did.

How often they will buy comes from BG/NBD, what a purchase will bring from Gamma-Gamma (or, where customers
differ too much for it to have a variance, from the components of variance: Buehlmann 1967). Beside it stand
two forecasts that need no model: that everybody goes on at their own rate, and that nobody buys again. All
three are tried first on the study's own last months.

It describes: it knows no season, no growth, no competitor, and nothing of customers who have not bought yet.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import ibis
import numpy as np
import pandas as pd

from cxlib import stats
from cxlib.errors import CxLookupError, CxValueError
from cxlib.results import EVERYWHERE, Claim, Framed, number, percent, visible
from cxlib.revenue.models import BGNBD, GammaGamma, fit_bgnbd, fit_gamma_gamma
from cxlib.revenue.realised import in_currency
from cxlib.revenue.regression import Array
from cxlib.revenue.units import Unit, money
from cxlib.stats import laws as distributions
from cxlib.stats.intervals import on_scale, t_quantile

if TYPE_CHECKING:
    from cxlib.study import Study

DAY = 86_400_000_000  # microseconds
WEEK, YEAR = 7, 365.25 / 7  # days of the one, weeks of the other
PAIRS = 25  # groups of folds that are left out one at a time
HEAVY = 2.0  # Gamma-Gamma's q below which its mean over customers has no variance


@dataclass(frozen=True, eq=False)
class Check(Framed):
    """Three forecasts of a study's last months, made from what came before, and what came.

    frame : measure (purchases, or the amount), method (model, naive, zero), estimate, low, high (of what these
        customers do, by the model), actual, error (relative), n (customers who had bought before)
    amount : margin or revenue
    days : how long the forecast was for
    unit : of money
    """

    SHARES: ClassVar = ("error",)

    amount: str
    days: int
    unit: Unit

    def claim(self) -> Claim:
        """What was foreseen and what came; whether the past rate did better."""
        table = visible(self.frame) if len(self.frame) else self.frame
        if table.empty:
            return Claim("There was too little to try the forecast on.")
        rows, parts = table.set_index(["measure", "method"]), []
        for measure in table["measure"].unique():
            model, naive = rows.loc[(measure, "model")], rows.loc[(measure, "naive")]
            paid = measure == self.amount
            guess, came = (
                (self.unit.say if paid else number)(model[name]) for name in ("estimate", "actual")
            )
            held = "holds" if model["low"] <= model["actual"] <= model["high"] else "misses"
            better = "" if abs(model["error"]) < abs(naive["error"]) else ", which did better"
            parts.append(
                f"{guess}{' of' if paid else ''} {measure} foreseen, {came} came ({_signed(model['error'])}; the interval "
                f"{held} it; the past rate {_signed(naive['error'])}{better})"
            )
        return Claim(f"Tried on the last {self.days} days: {'; '.join(parts)}.")

    def shown(self) -> pd.DataFrame:
        """The table with money in the currency."""
        return in_currency(self.frame, self.unit)


@dataclass(frozen=True, eq=False)
class Value(Framed):
    """Expected margin per customer over a horizon, by persona, and how the forecast did.

    frame : one row a persona ("(all)" first): estimate, low, high, n (customers who have bought), customers
        (of this persona), purchases (expected), naive (the past rate goes on); zero is the third forecast
    check : the same forecast tried on the study's last months
    amount : margin, or revenue where orders have no margin
    weeks, discount : horizon and yearly rate
    unit : of money
    alive : mean probability of not having left
    note : what the fit could not tell, or empty
    """

    check: Check
    amount: str
    weeks: float
    discount: float
    unit: Unit
    alive: float
    note: str

    def told(self, table: pd.DataFrame) -> str:
        """What a customer is expected to bring, and what the models could not tell."""
        whole = table.iloc[0]
        said = (
            f"A customer who has bought is expected to bring {self.unit.ends(whole)} of {self.amount} in the next "
            f"{round(self.weeks * WEEK)} days, discounted at {percent(self.discount)} a year, on {whole['n']:,} customers"
        )
        personas = table.iloc[1:]
        if len(personas) > 1:
            said += f"; from {self.unit.spread(personas)}"
        return f"{said}. {self.note}".strip()

    def shown(self) -> pd.DataFrame:
        """The table with money in the currency."""
        return self.unit.shown(self.frame, ("estimate", "low", "high", "naive"))


def value(
    study: Study,
    memberships: pd.DataFrame | None = None,
    horizon: str = "365 D",
    discount: float = 0.10,
    holdout: str | None = None,
) -> Value:
    """Expected discounted margin of each customer who has bought, over the `horizon` after the study's end.

    Needs `orders`; revenue stands in where they have no margin. `discount` a year, continuously. `holdout`:
    the length of the study's end that the forecast is tried on (by default a quarter of it). With
    `memberships` also by persona: both models are fitted to each, its customers counting by their probability
    (one fit for all would draw everybody's amounts towards the same mean, and personas together).

    Intervals are over customers such as these: 25 refits, each without two of the fifty folds, hold the
    uncertainty of the parameters and of who happened to be a customer; with t (24 df), on the log scale.
    They hold no change of habits and no error of the model. The holdout's interval is for *these* customers:
    parameters, and purchases and amounts as they fall. Raises CxValueError where nobody bought again.
    """
    amount = "margin" if study.has("orders", "margin") else "revenue"
    ts = study.table("orders", needed_by="value")["ts"]
    at = study.engine.micros(ts)
    span = study.fetch(study.table("orders").aggregate(first=at.min(), last=at.max())).iloc[0] // DAY
    last = int(span["last"])
    tried = pd.Timedelta(holdout).days if holdout else int(span["last"] - span["first"]) // 4
    people = study.cached("history", {"until": last, "amount": amount}, lambda: _people(study, amount, last))
    if not people["frequency"].any():
        raise CxValueError(
            f"None of {len(people):,} customers bought on a second day: nothing tells who will buy again."
        )
    weeks = pd.Timedelta(horizon) / pd.Timedelta(weeks=1)
    params = {"weeks": weeks, "discount": discount, "amount": amount, "until": last}
    seen = "" if memberships is None else pd.util.hash_pandas_object(memberships, index=False).sum()
    model = _fit(people)
    known = params | {"memberships": str(seen)}
    frame = study.cached("value", known, lambda: _table(people, memberships, weeks, discount))
    cut = last - tried
    past = study.cached("history", {"until": cut, "amount": amount}, lambda: _people(study, amount, cut))
    unit, tried_on = money(study), pd.DataFrame()
    if tried and past["frequency"].any():
        build = lambda: _tried(past, _since(study, amount, cut, last), amount, tried / WEEK)  # noqa: E731
        tried_on = study.cached("value_tried", params | {"cut": cut}, build)
    alive = float(model.purchases.alive(people).mean())
    check = Check(tried_on, amount, tried, unit)
    return Value(frame, check, amount, weeks, discount, unit, alive, model.note(people))


def _signed(share: float) -> str:
    return f"{'+' if share > 0 else ''}{percent(share)}"


# --- the models --------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Model:
    """How often (`purchases`) and how much: everybody's mean, the weight it has against a customer's own
    (as many purchases), the variance of a customer's amounts and that between customers."""

    purchases: BGNBD
    mean: float
    weight: float
    within: float
    between: float
    amounts: GammaGamma | None

    @property
    def heavy(self) -> bool:
        """Whether amounts differ too much between customers for Gamma-Gamma."""
        return self.amounts is None

    def each(self, people: pd.DataFrame) -> Array:
        """What the next purchase of each customer brings: their own mean drawn towards everybody's."""
        x = people["frequency"].to_numpy(float)
        own = people["monetary_value"].fillna(0).to_numpy(float)
        return (self.weight * self.mean + x * own) / (self.weight + x)

    def count(self, people: pd.DataFrame, weeks: float) -> Array:
        """Purchases to expect of each."""
        return self.purchases.expected(people, weeks).to_numpy()

    def discounted(self, people: pd.DataFrame, weeks: float, discount: float) -> Array:
        """Purchases to expect of each, a later one counting less.

        The integral of exp(-d t) dE(t) is exp(-d h) E(h) + d times that of exp(-d t) E(t) dt, whose integrand
        is smooth: three nodes of Gauss and Legendre do for years.
        """
        rate = np.log1p(discount) / YEAR
        nodes, weights = np.polynomial.legendre.leggauss(3)
        times = np.append((nodes + 1) / 2, 1.0) * weeks
        each = np.append(rate * weights / 2 * weeks, 1.0) * np.exp(-rate * times)
        return np.asarray(self.purchases.within(people, list(times)) @ each)

    def note(self, people: pd.DataFrame) -> str:
        """What a reader must know of the fit."""
        again = int((people["frequency"] > 0).sum())
        said = (
            f"Only {again:,} of them ({percent(again / len(people))}) bought on a second day."
            if again < 0.05 * len(people)
            else ""
        )
        if self.purchases.note:
            said += " The data do not tell the purchase model's parameters apart: trust it no further than it was tried."
        if self.heavy:
            said += (
                " Amounts differ too much between customers for Gamma-Gamma; components of variance stand in."
            )
        return said.strip()


def _fit(people: pd.DataFrame, weights: Array | None = None, near: _Model | None = None) -> _Model:
    """Both models, each customer counting by their weight. A refit begins `near` the fit to everybody, and
    takes its model of amounts: refits must not change sides."""
    w = np.ones(len(people)) if weights is None else weights
    again = (people["frequency"] > 0).to_numpy()
    x, own, squares = (
        people.loc[again, name].to_numpy(float) for name in ("frequency", "monetary_value", "squares")
    )
    count = w[again]
    total, spare = float(count @ x), float(count @ (x - 1))
    mean = float((count * x) @ own / total)
    within = float(count @ (squares - x * own**2) / spare) if spare > 0 else 0.0
    # The components of variance of groups of unequal size (Buehlmann & Straub 1970).
    size = total - float(count @ x**2) / total
    spread = float((count * x) @ (own - mean) ** 2) - (count.sum() - 1) * within
    between = max(spread / size, 0.0) if size > 0 else 0.0
    bgnbd = fit_bgnbd(people, weights=w, near=near.purchases if near else None)
    gains = (people["frequency"] > 0) & (people["monetary_value"] > 0)
    if not (near and near.heavy) and people.loc[gains, "monetary_value"].nunique() > 1:
        amounts = fit_gamma_gamma(
            people[gains], weights=w[gains.to_numpy()], near=near.amounts if near else None
        )
        p, q, v = np.exp(amounts.maximum.logs)
        if near or q > HEAVY:
            return _Model(bgnbd, p * v / (q - 1), (q - 1) / p, within, between, amounts)
    return _Model(bgnbd, mean, within / between if between > 0 else 1e9, within, between, None)


# --- forecasts ---------------------------------------------------------------------------------


def _naive(people: pd.DataFrame, weeks: float) -> tuple[Array, Array]:
    """Purchases and amounts if everybody goes on as from their first to the last day they were watched."""
    rate = people["frequency"] / people["T"].where(people["T"] > 0)
    count = (rate * weeks).fillna(0).to_numpy(float)
    return count, count * people["monetary_value"].fillna(0).to_numpy(float)


def _table(
    people: pd.DataFrame, memberships: pd.DataFrame | None, weeks: float, discount: float
) -> pd.DataFrame:
    names, n, sizes = [EVERYWHERE], [len(people)], [len(people)]
    weights = np.ones((len(people), 1))
    if memberships is not None:
        known = memberships.assign(person=memberships["person"].astype(str))
        known = known[known["person"].isin(people["customer_id"])].set_index("person")
        if known.empty:
            raise CxLookupError(
                "None of the persons with a membership has bought; both need the customer_id, as text."
            )
        chance = known.reindex(people["customer_id"]).fillna(0).to_numpy(float)
        weights, names = np.column_stack([weights, chance]), [*names, *map(str, known.columns)]
        n += [len(known)] * known.shape[1]
        sizes += np.bincount(known.to_numpy().argmax(axis=1), minlength=known.shape[1]).tolist()
    models = [_fit(people, w) for w in weights.T]

    def means(rows: Array, fits: list[_Model]) -> Array:
        of = people[rows]
        worth = [model.discounted(of, weeks, discount) * model.each(of) for model in fits]
        return np.array([w @ one / w.sum() for w, one in zip(weights[rows].T, worth, strict=True)])

    def again(rows: Array) -> Array:
        return means(rows, [_fit(people[rows], w, m) for w, m in zip(weights[rows].T, models, strict=True)])

    estimate = means(np.full(len(people), True), models)
    interval = _refitted(people, estimate, again)
    counts = [w @ model.count(people, weeks) / w.sum() for w, model in zip(weights.T, models, strict=True)]
    rate = np.log1p(discount) / YEAR * weeks
    naive = _naive(people, weeks)[1] * (-np.expm1(-rate) / rate if rate else 1.0)
    found = {"persona": names, **interval.columns(), "n": n, "customers": sizes, "purchases": counts}
    return pd.DataFrame({**found, "naive": naive @ weights / weights.sum(axis=0)})


def _refitted(people: pd.DataFrame, estimate: Array, statistic: Callable[[Array], Array]) -> stats.Interval:
    """The delete-a-group jackknife; `statistic` fits anew on the rows it is given."""
    group = stats.folds_of(people["customer_id"]) % PAIRS
    kept = [group != left_out for left_out in range(PAIRS)]
    errors = np.array([statistic(rows) for rows in kept if people.loc[rows, "frequency"].any()]) - estimate
    se = np.sqrt((errors**2).sum(axis=0) * (len(errors) - 1) / len(errors))
    return on_scale(estimate, se, "log", t_quantile(0.95, np.array(len(errors) - 1.0)))


def _tried(past: pd.DataFrame, came: pd.DataFrame, amount: str, weeks: float) -> pd.DataFrame:
    """Model, naive and zero against what the customers of the cut did after it."""
    model = _fit(past)
    count, each = model.count(past, weeks), model.each(past)
    estimate = np.array([count.sum(), count @ each])

    def again(rows: Array) -> Array:
        refit = _fit(past[rows], near=model)
        count = refit.count(past, weeks)
        return np.array([count.sum(), count @ refit.each(past)])

    parameters = _refitted(past, estimate, again).se
    mean, variance = model.purchases.moments(past, weeks)
    own = model.between * model.weight / (model.weight + past["frequency"].to_numpy(float))
    falls = np.array(
        [variance.sum(), mean.sum() * model.within + (variance + mean**2) @ own + variance @ each**2]
    )
    reach = distributions.t.ppf(0.975, PAIRS - 1) * np.sqrt(parameters**2 + falls)
    root = np.sqrt(estimate)
    low, high = np.maximum(root - reach / (2 * root), 0) ** 2, (root + reach / (2 * root)) ** 2
    if not model.purchases.note:  # its own errors where it has them: less noisy than 25 refits
        own_errors = model.purchases.forecast(past, weeks)
        low[0], high[0] = own_errors.low, own_errors.high
    mine = came[came["customer_id"].isin(past["customer_id"])]
    actual = np.array([mine["days"].sum(), mine["amount"].sum()], dtype=float)
    naive = [one.sum() for one in _naive(past, weeks)]
    rows = []
    for k, measure in enumerate(("purchases", amount)):
        for method, guess in (("model", estimate[k]), ("naive", naive[k]), ("zero", 0.0)):
            ends = (low[k], high[k]) if method == "model" else (np.nan, np.nan)
            error = guess / actual[k] - 1 if actual[k] else np.nan
            rows.append((measure, method, guess, *ends, actual[k], error, len(past)))
    names = ["measure", "method", "estimate", "low", "high", "actual", "error", "n"]
    return pd.DataFrame(rows, columns=names)


# --- on the engine -----------------------------------------------------------------------------


def _days(study: Study, amount: str) -> ibis.Table:
    """One row a customer and day (whole days since 1970): what was spent."""
    orders = study.table("orders")
    day = (study.engine.micros(orders["ts"]) / DAY).floor().cast("int64")
    rows = orders.mutate(day=day)
    return rows.group_by("customer_id", "day").aggregate(
        amount=rows[amount].fill_null(0).sum().cast("float64")
    )


def _people(study: Study, amount: str, until: int) -> pd.DataFrame:
    """As `history` in weeks, up to and with the day `until`; `squares` sums the squared repeat amounts."""
    days = _days(study, amount).filter(lambda t: t.day <= until)
    days = days.mutate(first=days["day"].min().over(ibis.window(group_by="customer_id")))
    repeat = days["day"] > days["first"]
    found = study.fetch(
        days.group_by("customer_id").aggregate(
            frequency=repeat.cast("int64").sum(),
            first=days["first"].min(),
            last=days["day"].max(),
            spent=repeat.ifelse(days["amount"], 0.0).sum(),
            squares=repeat.ifelse(days["amount"] * days["amount"], 0.0).sum(),
        )
    ).sort_values("customer_id", ignore_index=True)
    x = found["frequency"].where(found["frequency"] > 0)
    return pd.DataFrame(
        {
            "customer_id": found["customer_id"],
            "frequency": found["frequency"],
            "recency": (found["last"] - found["first"]) / WEEK,
            "T": (until - found["first"]) / WEEK,
            "monetary_value": found["spent"] / x,
            "squares": found["squares"],
        }
    )


def _since(study: Study, amount: str, cut: int, last: int) -> pd.DataFrame:
    """Days and amount of each customer after the cut."""
    days = _days(study, amount).filter(lambda t: (t.day > cut) & (t.day <= last))
    return study.fetch(days.group_by("customer_id").aggregate(days=days.count(), amount=days["amount"].sum()))
