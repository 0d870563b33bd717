"""Features of customers: what they chose, what they paid, how they felt, what they declared.

Everything is conditional on activity. How often a customer came is no kind by itself, and it makes
counts, shares and recency move together, so that the usual features find kinds where there are none.
What is left is what customers *do* when they come.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import pandas as pd

from cxlib.errors import CxValueError
from cxlib.personas.blocks import Answers, Array, Block, Choices, Measures, Values
from cxlib.personas.sources import LEVELS, Period, declared, from_log, from_orders, from_surveys
from cxlib.results import Claim, Result

if TYPE_CHECKING:
    from cxlib.study import Study

Keep = Callable[[str, Mapping[str, Any], Callable[[], pd.DataFrame]], pd.DataFrame]
AGAIN = 0.1  # share of the persons in a block of choices who must have chosen more than once
EXTREME = 4.0  # standard deviations, as judged by the quartiles, beyond which a number is drawn in
SKEWED = 2.0  # beyond it, positive numbers enter by their logarithm


@dataclass(frozen=True, eq=False)
class Features(Result):
    """Customer-level features in blocks, and the card that says what each means.

    persons : keys, sorted; every block has one row for each of them
    blocks : see `cxlib.personas.blocks`
    profile : one row a person for the cards (visits, orders, revenue, ...); never part of the mixture
    left_out : who is not among the persons, and how many
    keep : remembers a frame that was made of these features alone, given its name and parameters
    """

    SHARES: ClassVar = ("missing",)

    persons: np.ndarray = field(repr=False)
    blocks: tuple[Block, ...] = field(repr=False)
    profile: pd.DataFrame = field(repr=False)
    left_out: Mapping[str, int] = field(default_factory=dict)
    keep: Keep | None = field(default=None, repr=False)

    @property
    def n(self) -> int:
        """Number of persons."""
        return len(self.persons)

    @property
    def once(self) -> float | None:
        """Share who bought again, where nearly all are buyers and hardly any came back; else None.

        Then each customer is one occasion, and whatever belongs together within it looks like a kind.
        """
        if "orders" not in self.profile:
            return None
        orders = self.profile["orders"].fillna(0)
        again = float((orders > 1).mean())
        return again if (orders > 0).mean() >= 1 - AGAIN and again < AGAIN else None

    def table(self) -> pd.DataFrame:
        """The feature card, one row a feature.

        block, feature, meaning, unit, n (persons with a value), missing (share), skew, outcome: true where
        buying is part of the feature, which therefore must not explain buying.
        """
        rows = []
        for block in self.blocks:
            for name, values in block.columns():
                seen = np.isfinite(values)
                missing, skew = 1 - float(seen.mean()), _skew(values[seen])
                outcome = name in block.outcomes
                rows.append(
                    (block.name, name, block.meaning, block.unit, int(seen.sum()), missing, skew, outcome)
                )
        names = ["block", "feature", "meaning", "unit", "n", "missing", "skew", "outcome"]
        return pd.DataFrame(rows, columns=names)

    def blocks_table(self) -> pd.DataFrame:
        """One row a block, which is what is shown: block, meaning, features, n, missing, outcome (in any feature)."""
        groups = self.table().groupby("block", sort=False)
        return groups.agg(
            meaning=("meaning", "first"), features=("feature", "size"), n=("n", "max"),
            missing=("missing", "min"), outcome=("outcome", "any"),
        ).reset_index()  # fmt: skip

    def shown(self) -> pd.DataFrame:
        """One row a block: `blocks_table()`."""
        return self.blocks_table()

    def claim(self) -> Claim:
        """How many customers are described by how much, and who is left out."""
        out = ", ".join(f"{count:,} {what}" for what, count in self.left_out.items() if count)
        count = sum(len(block.columns()) for block in self.blocks)
        said = f"{self.n:,} customers are described by {count} features in {len(self.blocks)} blocks"
        return Claim(f"{said}; left out: {out}." if out else f"{said}; nobody is left out.")


def features(
    study: Study,
    extra: pd.DataFrame | None = None,
    since: str | pd.Timestamp | None = None,
    until: str | pd.Timestamp | None = None,
) -> Features:
    """Features of each identified customer from whatever tables the study has.

    Identified are the customers of `customers`, where the study has that table, else all persons of
    the log. Who did nothing in the period has no row. `since` and `until` (UTC, the latter excluded)
    restrict everything that happened to a period, such as the time before an experiment. `extra`: a
    frame of `person` and further columns, numbers (normal, by their logarithm where skewed) or text.

    Blocks: how visits begin, what comes next (choices given their context); what kind of order (choices);
    order values and survey answers (repeated measurements with the person's own level); declared attributes
    (categories; missing stays missing). The device is no feature: which ones are seen depends on where a
    customer was recognised, and a computer that never was looks like a taste for the telephone.

    >>> import cxlib as cx
    >>> card = cx.personas.features(cx.open_study("demo")).table()
    >>> list(card["block"].unique())[:2]
    ['beginnings', 'steps']
    """
    period = Period.of(since, until)
    parts = [from_log(study, period), from_orders(study, period), from_surveys(study, period)]
    known = declared(study)
    seen = sorted(set().union(*(part.persons for part in parts)))
    persons = np.array([p for p in seen if known is None or p in known.index], dtype=object)
    if not len(persons):
        raise CxValueError(
            "Nobody identified did anything in this period: there are no features. Widen since and until."
        )
    place = pd.Index(persons)
    blocks = [block for part in parts for block in part.blocks(place)]
    profile = pd.DataFrame({"person": persons})
    for part in parts:
        for name, values in part.profile.items():
            profile[name] = values.reindex(place).to_numpy()
    left_out = {"persons who are not customers": len(seen) - len(persons)}
    if known is not None:
        left_out["customers without a record in the period"] = len(known) - len(persons)
        blocks += _declared(known.reindex(place))
    if extra is not None:
        blocks += _extra(extra, place)
    keep = None if extra is not None else keeper(study, since, until)
    return Features(persons, tuple(b for b in blocks if _tells(b)), profile, left_out, keep)


def keeper(study: Study, since: str | pd.Timestamp | None, until: str | pd.Timestamp | None) -> Keep:
    """The study's cache for what follows from the features of one period."""
    period = Period.of(since, until)

    def keep(name: str, params: Mapping[str, Any], build: Callable[[], pd.DataFrame]) -> pd.DataFrame:
        times = {"since": str(period.since), "until": str(period.until)}
        return study.cached(name, {**times, **params}, build)

    return keep


def _declared(customers: pd.DataFrame) -> list[Block]:
    return [
        _answers(str(name), "declared by or for the customer", customers[name], ("loyalty_tier",))
        for name in customers
    ]


def _answers(name: str, meaning: str, column: pd.Series, outcomes: tuple[str, ...] = ()) -> Answers:
    text = column.astype("str").where(column.notna(), None)
    code, options = pd.factorize(text, sort=True)
    return Answers(
        name,
        meaning,
        tuple(str(o) for o in options),
        code.astype(np.int64),
        outcomes=tuple(options) if name in outcomes else (),
    )


def _extra(frame: pd.DataFrame, place: pd.Index) -> list[Block]:
    if "person" not in frame or len(frame.columns) < 2:
        raise CxValueError("`extra` is a frame with a column `person` and at least one further column.")
    if frame["person"].duplicated().any():
        raise CxValueError("`extra` has more than one row for a person; aggregate it to one row each.")
    by_person = frame.set_index(frame["person"].astype(str)).drop(columns="person").reindex(place)
    made: list[Block] = []
    for name, column in by_person.items():
        if not pd.api.types.is_numeric_dtype(column) or pd.api.types.is_bool_dtype(column):
            made.append(_answers(str(name), "given with `extra`", column))
            continue
        value = column.to_numpy(float, na_value=np.nan)
        seen = value[np.isfinite(value)]
        log = len(seen) > 2 and seen.min() >= 0 and _skew(seen) > SKEWED
        value = np.where(np.isfinite(value), np.log1p(np.maximum(value, 0)) if log else value, np.nan)
        made.append(
            Measures(str(name), "given with `extra`", value, unit="log(1 + x)" if log else "as given")
        )
    return made


def _tells(block: Block) -> bool:
    """Whether a block can tell persons apart at all: two options in use, chosen more than once, or a spread.

    Where hardly anybody chose twice, a choice may be the occasion's and not the customer's.
    """
    if isinstance(block, Answers):
        return 2 <= len(block.options) <= LEVELS
    if isinstance(block, Choices):
        chosen = block.made.sum(axis=1)
        return len(block.options) > 1 and (chosen > 1).sum() >= AGAIN * block.observed.sum()
    values = block.means if isinstance(block, Values) else block.value
    seen = values[np.isfinite(values)]
    return len(seen) > 1 and float(seen.std()) > 1e-9


def _skew(values: Array) -> float:
    spread = float(values.std()) if len(values) > 2 else 0.0
    return float(((values - values.mean()) ** 3).mean() / spread**3) if spread > 1e-12 else float("nan")


__all__ = ["Features", "features"]
