"""What customers did after they met a variant, and before: one row a customer.

An outcome is counted from the customer's own first exposure on, [exposure, exposure + window). Customers
without any event are there with zeros, as long as somebody exposed them: leaving them out would compare
only those who came, and a variant may be what made them come.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Literal, NamedTuple

import ibis.expr.types as ir
import pandas as pd

from cxlib.errors import CxLookupError, CxValueError, did_you_mean
from cxlib.experiments.exposures import end, first_exposures, picked
from cxlib.study.log import microseconds

if TYPE_CHECKING:
    from cxlib.study import Study

ORDERS = ("orders", "revenue", "margin")
BEFORE = "before "
ANY = "any "


class Outcomes(NamedTuple):
    """One row a customer: customer_id, variant, propensity, cluster, stratum, one column a metric's part, and
    `before ...` of each; which columns are covariates; what was left out, in sentences."""

    frame: pd.DataFrame
    metrics: list[str]
    covariates: list[str]
    notes: tuple[str, ...]


def outcomes(
    study: Study,
    experiment: str,
    metrics: str | Iterable[str] | None = None,
    window: str = "60 D",
    pre_period: str | None = "90 D",
    crossovers: Literal["first", "drop"] = "first",
    until: str | pd.Timestamp | None = None,
) -> Outcomes:
    """Outcomes and pre-period covariates of the customers of an experiment; see `analyze`."""
    picked(study, experiment)
    if crossovers not in ("first", "drop"):
        raise CxValueError(
            f'crossovers is `{crossovers}`; it is "first" (kept in their first arm) or "drop".'
        )
    after = microseconds(window, "window")
    before = microseconds(pre_period, "pre_period") if pre_period else 0
    asked = [metrics] if isinstance(metrics, str) else list(metrics or default(study))
    if not asked:
        raise CxValueError("Name at least one metric: this study has neither orders nor touchpoints.")
    parts = [part.strip() for name in asked for part in name.split("/")]
    named = list(dict.fromkeys(base(part) for part in parts))
    params = {"experiment": experiment, "named": named, "after": after, "before": before}
    frame = study.cached("outcomes", params, lambda: _outcomes(study, experiment, named, after, before))

    last = end(study) if until is None else pd.Timestamp(until).tz_localize(None)
    notes = []
    if crossed := int(frame["two"].sum()):
        frame = frame[frame["two"] == 0] if crossovers == "drop" else frame
        done = "left out" if crossovers == "drop" else "count in the first one"
        notes.append(f"{crossed:,} customers who met two variants are {done}.".replace("are count", "count"))
    whole = frame["ts"] + pd.Timedelta(after, "us") <= last
    if not whole.any():
        most = (last - frame["ts"].min()).days
        raise CxValueError(
            f"Nobody of `{experiment}` can be observed for {window}: the study ends on {last:%Y-%m-%d}. "
            f"Ask for a window of at most {max(most, 0)} D."
        )
    if late := int((~whole).sum()):
        frame = frame[whole]
        notes.append(f"{late:,} customers whose {window} are not over are left out.")
    frame = frame.assign(**{part: _part(frame, part) for part in parts}).reset_index(drop=True)
    covariates = [name for name in frame if str(name).startswith(BEFORE) and frame[name].nunique() > 1]
    return Outcomes(frame, asked, covariates, tuple(notes))


def default(study: Study) -> list[str]:
    """Margin (else revenue), orders and bought of a study with orders; visits of one with touchpoints only."""
    if study.has("orders"):
        return ["margin" if study.has("orders", "margin") else "revenue", "orders", "bought"]
    return ["visits"] if study.has("touchpoints") else []


def base(part: str) -> str:
    """What is counted: `bought` is any of the orders."""
    return "orders" if part == "bought" else part.removeprefix(ANY)


def _part(frame: pd.DataFrame, part: str) -> pd.Series:
    value = frame[base(part)]
    return (value > 0).astype(float) if part == "bought" or part.startswith(ANY) else value


def _outcomes(study: Study, experiment: str, named: list[str], after: int, before: int) -> pd.DataFrame:
    met = first_exposures(study)
    met = met.filter(met.experiment == experiment).drop("experiment")
    frame = study.fetch(met).sort_values("customer_id", ignore_index=True)
    for rows, mean in _sources(study, named):
        values = [name for name in rows.columns if name not in ("customer_id", "when")]
        joined = met.select("customer_id", "at").join(rows, "customer_id")
        age = joined["when"] - joined["at"]
        spans = {"": (age >= 0) & (age < after), BEFORE: (age < 0) & (age >= -before)}
        sums = {
            f"{head}{name}": inside.ifelse(joined[name].cast("float64"), 0.0).sum()
            for head, inside in (spans if before else {"": spans[""]}).items()
            for name in values
        }
        found = study.fetch(joined.group_by("customer_id").agg(**sums))
        frame = frame.merge(found, on="customer_id", how="left")
        frame[list(sums)] = frame[list(sums)].fillna(0.0)
        for head in (head for head in ("", BEFORE) if mean and f"{head}{mean}" in frame):
            asked = frame.pop(f"{head}{mean} answers")
            frame[f"{head}{mean}"] = (frame[f"{head}{mean}"] / asked).where(asked > 0)
            if head:  # who was not asked before has no score before: that cannot be a covariate
                frame.pop(f"{head}{mean}")
    return frame


def _sources(study: Study, named: list[str]) -> list[tuple[ir.Table, str]]:
    """Tables of customer_id, `when` (microseconds) and a value to sum for each name; of a score its name too."""
    left, found = list(named), []
    if study.has("orders"):
        t = study.table("orders")
        if orders := [
            name for name in ORDERS if name in left and (name != "margin" or study.has("orders", name))
        ]:
            if set(orders) != {"orders"}:
                _one_currency(study)
            values = {
                name: t.order_id.notnull() if name == "orders" else t[name].fill_null(0) for name in orders
            }
            found.append((t.select("customer_id", when=study.engine.micros(t.ts), **values), ""))
            left = [name for name in left if name not in orders]
    known: list[str] = [name for name in ORDERS if study.has("orders")]
    if left and study.has("touchpoints"):
        log = study.log()
        touched = [name for name in left if name in (*log.names["touchpoint"], *log.names["stage"])]
        if touched or "visits" in left:
            events = log.table.join(log.persons.select("person", "key"), "person")
            columns = {
                n: (c, log.code(c, n)) for c in ("stage", "touchpoint") for n in touched if n in log.names[c]
            }
            values = {name: events[c] == code for name, (c, code) in columns.items()}
            if touched:
                found.append((events.select(customer_id="key", when="at", **values), ""))
            if "visits" in left:
                # What the company sent is no visit; a visit counts when it begins.
                own = events.filter(events.initiated != _brand(log.names["initiated"]))
                visits = own.group_by(["key", "session"]).agg(when=own["at"].min(), visits=1)
                found.append((visits.select("when", "visits", customer_id="key"), ""))
        left = [name for name in left if name not in (*touched, "visits")]
        known += ["visits", *log.names["stage"], *log.names["touchpoint"]]
    if left and study.has("surveys"):
        t = study.table("surveys")
        t = t.filter(t.score.notnull() & t.customer_id.notnull())
        questions = study.fetch(t.select("question").distinct())["question"].tolist()
        for name in [name for name in left if name in questions]:
            rows = t.filter(t.question == name)
            counts = {name: rows.score, f"{name} answers": 1.0}
            found.append((rows.select("customer_id", when=study.engine.micros(rows.ts), **counts), name))
            left.remove(name)
        known += sorted(questions)
    if left:
        shown = ", ".join(["bought", *known][:20])
        raise CxLookupError(
            f"No metric is called `{left[0]}`.{did_you_mean(left[0], ['bought', *known])} There are: {shown}; "
            f"`{ANY}NAME` for the share of customers with any, `a/b` for a ratio."
        )
    return found


def _one_currency(study: Study) -> None:
    t = study.table("orders")
    named = sorted(study.fetch(t.select("currency").distinct())["currency"].dropna())
    if len(named) > 1:
        raise CxValueError(
            f"Orders are in {', '.join(named)}, which cannot be added. Convert them to one, or take orders or bought."
        )


def _brand(names: tuple[str, ...]) -> int:
    return names.index("brand") if "brand" in names else -2
