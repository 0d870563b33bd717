"""Features of customers: what they chose, what they paid, how they felt, what they declared.

Everything is conditional on activity. How often a customer came is no kind by itself, and it makes
counts, shares and recency move together, so that the usual features find kinds where there are none.
What is left is what customers *do* when they come.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from numbers import Real
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import ibis.expr.types as ir
import numpy as np
import pandas as pd

from cxlib.customers.blocks import Block
from cxlib.customers.columns import AGAIN, MANY, as_numbers, block_of, by_person, skew, useless
from cxlib.customers.profile import ABOUT, DESCRIBED, SENSITIVE, described, sensitive_among
from cxlib.customers.sources import Period, channels, customers, drawn, is_study, parts
from cxlib.errors import CxValueError
from cxlib.results import Claim, Result, nice, percent

if TYPE_CHECKING:
    from cxlib.study import Study

Keep = Callable[[str, Mapping[str, Any], Callable[[], pd.DataFrame]], pd.DataFrame]
SAMPLE = 50_000


@dataclass(frozen=True, eq=False)
class Features(Result):
    """Customer-level features in blocks, and the card that says what each means.

    persons : keys, sorted; every block has one row for each of them
    blocks : see `cxlib.customers.blocks`
    profile : one row a person for the cards (visits, orders, revenue, ...); never part of the mixture
    left_out : who is not among the persons, and how many
    unused : what is known of customers and no part of the mixture: the reason, and of how many it is known
    spare : blocks that tell these persons not apart, but may place them among personas of others
    share : the share of the customers that these are a random sample of; 1 where they are all
    keep : remembers a frame that was made of these features alone, given its name and parameters
    channels : the channel of each touchpoint, for the cards
    """

    SHARES: ClassVar = ("missing",)

    persons: np.ndarray = field(repr=False)
    blocks: tuple[Block, ...] = field(repr=False)
    profile: pd.DataFrame = field(repr=False)
    left_out: Mapping[str, int] = field(default_factory=dict)
    unused: Mapping[str, tuple[str, int]] = field(default_factory=dict, repr=False)
    spare: tuple[Block, ...] = field(default=(), repr=False)
    share: float = 1.0
    keep: Keep | None = field(default=None, repr=False)
    channels: Mapping[str, str] = field(default_factory=dict, repr=False)

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

        block, feature, meaning, unit, n (persons with a value), missing (share), skew, outcome (true where
        buying is part of the feature, which therefore must not explain buying), role: `tells` for part of the
        mixture, `describes` for what is on the cards only, `left out` for what is in neither (meaning: why).
        """
        rows = []
        for block in self.blocks:
            about = (block.name, block.meaning, block.unit)
            rows += [
                self._row(*about, name, values, name in block.outcomes, "tells")
                for name, values in block.columns()
            ]
        for name in self.profile.columns.intersection(list(DESCRIBED)):
            meaning, unit, outcome = DESCRIBED[name]
            values = self.profile[name].to_numpy(float)
            rows.append(self._row("described", meaning, unit, name, values, outcome, "describes"))
        for name, (why, n) in self.unused.items():
            rows.append((name, name, why, "", n, 1 - n / max(self.n, 1), np.nan, False, "left out"))
        names = ["block", "feature", "meaning", "unit", "n", "missing", "skew", "outcome", "role"]
        return pd.DataFrame(rows, columns=names)

    @staticmethod
    def _row(
        block: str, meaning: str, unit: str, name: str, values: np.ndarray, outcome: bool, role: str
    ) -> tuple[Any, ...]:
        seen = np.isfinite(values)
        missing = 1 - float(seen.mean())
        return block, name, meaning, unit, int(seen.sum()), missing, skew(values[seen]), outcome, role

    def blocks_table(self) -> pd.DataFrame:
        """One row a block, which is what is shown: block, meaning, features, n, missing, outcome (in any feature), role."""
        groups = self.table().groupby("block", sort=False)
        table = groups.agg(
            meaning=("meaning", "first"), features=("feature", "size"), n=("n", "max"),
            missing=("missing", "min"), outcome=("outcome", "any"), role=("role", "first"),
        ).reset_index()  # fmt: skip
        table.loc[table["role"] == "describes", "meaning"] = ABOUT
        return table

    def shown(self) -> pd.DataFrame:
        """One row a block: `blocks_table()`."""
        return self.blocks_table()

    def claim(self) -> Claim:
        """How many customers are described by how much, who is left out, and what is not used."""
        out = ", ".join(f"{count:,} {what}" for what, count in self.left_out.items() if count)
        count = sum(len(block.columns()) for block in self.blocks)
        sample = f", a random sample of {percent(self.share)}," if self.share < 1 else ""
        blocks = f"{len(self.blocks)} block{'s' * (len(self.blocks) != 1)}"
        said = f"{self.n:,} customers{sample} are described by {count} features in {blocks}"
        said += f"; left out: {out}." if out else "; nobody is left out."
        kept = ", ".join(f"{nice(name)} ({why})" for name, (why, _) in self.unused.items())
        return Claim(f"{said} Known and not used: {kept}." if kept else said)


def features(
    given: Study | pd.DataFrame | ir.Table,
    extra: pd.DataFrame | None = None,
    since: str | pd.Timestamp | None = None,
    until: str | pd.Timestamp | None = None,
    sample: int = SAMPLE,
    sensitive: Sequence[str] = SENSITIVE,
) -> Features:
    """Features of each identified customer from whatever tables the study has, or from a frame of customers.

    Identified are the customers of `customers`, where the study has that table, else all persons of
    the log. Who did nothing in the period has no row. `since` and `until` (UTC, the latter excluded)
    restrict everything that happened to a period, such as the time before an experiment. `extra`: a
    frame of `person` and further columns; such a frame, or an Ibis table of one row a customer, may also
    stand in the study's place. Its numbers go by bands of a tenth of the customers, so that neither
    their shape nor an outlier looks like a kind; all else is text, of more than 12 answers the 11 commonest.

    Blocks: how visits begin, what comes next (choices given their context); what kind of order (choices);
    order values and survey answers (repeated measurements with the person's own level); declared attributes
    (categories; missing stays missing). The device is no feature: which ones are seen depends on where a
    customer was recognised, and a computer that never was looks like a taste for the telephone.

    Of more than `sample` customers a random sample of about that size is taken, always the same, and nobody
    else leaves the engine; `Personas.score` then scores them all. `sensitive`: words of attributes' names
    that keep them out of the mixture; those it has are English, so give yours where names are in another language.

    >>> import cxlib as cx
    >>> card = cx.personas.features(cx.open_study("demo")).table()
    >>> list(card["block"].unique())[:2]
    ['beginnings', 'steps']
    """
    if not (isinstance(sample, Real) and sample >= 1):
        raise CxValueError(f"sample is {sample!r}; it must be a number of customers, such as {SAMPLE}.")
    if isinstance(given, pd.DataFrame | ir.Table):
        if extra is not None or since is not None or until is not None:
            raise CxValueError(
                "`extra`, `since` and `until` go with a study; put all columns into the one frame."
            )
        return _of_frame(given, sample, sensitive)
    share = min(1.0, sample / max(_number(is_study(given)), 1))
    period = replace(Period.of(since, until), share=share)
    made = parts(given, period)
    people = [given.fetch(part.people).set_index("person") for part in made]
    declared = customers(given)
    known = None
    if declared is not None:
        known = given.fetch(period.some(declared[0], "person"))
        known = known.drop_duplicates("person").set_index("person").sort_index()
    seen = sorted(set().union(*(part.index for part in people)))
    persons = np.array([p for p in seen if known is None or p in known.index], dtype=object)
    if not len(persons):
        raise CxValueError(
            "Nobody identified did anything in this period: there are no features. Widen since and until."
        )
    place = pd.Index(persons)
    found = [_judged(source.block(given, place)) for part in made for source in part.sources]
    left_out = {"persons who are not customers": len(seen) - len(persons)}
    if declared is not None and known is not None:
        left_out["customers without a record in the period"] = len(known) - len(persons)
        known, other = known.reindex(place), declared[1]
        found += _columns(known.drop(columns=list(other)), "declared by or for the customer", sensitive)
        found += [Found(name, None, what, int(known[name].notna().sum())) for name, what in other.items()]
    if extra is not None:
        found += _columns(by_person(extra, "`extra`").reindex(place), "given with `extra`", sensitive)
    profile = pd.concat([part.reindex(place) for part in [*people, described(given, period)]], axis=1)
    profile = profile.loc[:, ~profile.columns.duplicated()].reset_index(drop=True)
    counts = profile.columns.intersection(["visits", "orders", "revenue"])
    profile[counts] = profile[counts].fillna(0.0)
    profile.insert(0, "person", persons)
    usual = extra is None and share == 1 and tuple(sensitive) == SENSITIVE
    keep = keeper(given, since, until) if usual else None
    about: dict[str, Any] = {"profile": profile, "left_out": left_out, "channels": channels(given)}
    return Features(persons, share=share, keep=keep, **about, **_sorted(found))


def _of_frame(given: pd.DataFrame | ir.Table, sample: int, sensitive: Sequence[str]) -> Features:
    """Features of a frame of one row a customer, or of an Ibis table."""
    number = len(given) if isinstance(given, pd.DataFrame) else int(given.count().execute())
    share = min(1.0, sample / max(number, 1))
    if isinstance(given, ir.Table):
        some = given.filter(drawn(given.person.cast("string"), share)) if share < 1 else given
        frame = by_person(some.to_pandas(), "The table")
    else:
        frame = by_person(given, "The frame").sample(frac=share, random_state=0).sort_index()
    persons, found = frame.index.to_numpy(object), _columns(frame, "given", sensitive)
    return Features(persons, profile=pd.DataFrame({"person": persons}), share=share, **_sorted(found))


class Found(NamedTuple):
    """What was found of customers: a block, where there can be one, and why it is not used (empty if it is)."""

    name: str
    block: Block | None
    why: str
    n: int


def _judged(block: Block) -> Found:
    return Found(block.name, block, useless(block), int(block.observed.sum()))


def _columns(frame: pd.DataFrame, meaning: str, sensitive: Sequence[str]) -> list[Found]:
    """Each column of a frame of customers."""
    found, out = [], sensitive_among(frame.columns, sensitive)
    for name, column in frame.items():
        block = None if name in out else block_of(str(name), meaning, column, name == "loyalty_tier")
        why = "sensitive" if name in out else "a time; give a number, such as the days since"
        known = int(column.notna().sum())
        one = Found(str(name), None, why, known) if block is None else _judged(block)
        if one.why == MANY and as_numbers(column) is not column:
            one = one._replace(why="numbers read as text; give them as numbers")
        found.append(one)
    return found


def _sorted(found: list[Found]) -> dict[str, Any]:
    """What is used, what is not and why, and what may be of use to others' personas."""
    return {
        "blocks": tuple(one.block for one in found if not one.why),
        "unused": {one.name: (one.why, one.n) for one in found if one.why},
        "spare": tuple(one.block for one in found if one.block and one.why),
    }


def _number(study: Study) -> int:
    """How many customers there are, at the most."""
    if study.has("customers"):
        return int(study.findings.rows["customers"])
    if study.has("touchpoints"):
        return study.log().people
    table = study.table("orders" if study.has("orders") else "surveys")
    return int(study.fetch(table.aggregate(n=table.customer_id.nunique()))["n"].iloc[0])


def keeper(study: Study, since: str | pd.Timestamp | None, until: str | pd.Timestamp | None) -> Keep:
    """The study's cache for what follows from the features of one period."""
    period = Period.of(since, until)

    def keep(name: str, params: Mapping[str, Any], build: Callable[[], pd.DataFrame]) -> pd.DataFrame:
        times = {"since": str(period.since), "until": str(period.until)}
        return study.cached(name, {**times, **params}, build)

    return keep


__all__ = ["SAMPLE", "Features", "features"]
