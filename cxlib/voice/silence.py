"""The silent: what the score would be if those who answered stood for all, and how wrong that may still be."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from cxlib.errors import CxLookupError
from cxlib.results import Claim, Framed, percent
from cxlib.stats import Array
from cxlib.study import Study
from cxlib.voice.responders import ACTIVITY, ATTRIBUTES, UNKNOWN, contacted
from cxlib.voice.scales import Measure
from cxlib.voice.scores import asked_of, said, scores
from cxlib.voice.weights import Raked, rake

PLEASED = (1 / 3, 1 / 2, 2.0, 3.0)
"""How many times as likely the pleased may be to answer as the displeased, alike in all that is known."""
COLUMNS = ["view", "estimate", "low", "high", "n", "customers", "least", "most", "pleased"]
RARE = 5
"""Customers who answered below which a value is put together with others, so that weights stay bounded."""


@dataclass(frozen=True, eq=False)
class Silent(Framed):
    """A score as answered, weighted to all customers in contact, and under what the silent may feel.

    `frame`: view, estimate (none where anything may be), low, high (with sampling error), n (answers),
    customers (who answered), least and most (what the view allows, without sampling error), pleased (how
    many times as likely the pleased are taken to answer as the displeased; NaN where that is not the view).
    `answered`: the share of the `contacted` who did; `raked`: the weights; `measure`, `unit` as in `Scores`.
    Where nobody in contact answered under a customer_id the frame is empty, and there are no weights.
    """

    measure: str
    unit: str
    answered: float
    contacted: int
    raked: Raked | None = field(repr=False)

    def shown(self) -> pd.DataFrame:
        """The same without the number that the view says in words."""
        return self.frame.drop(columns="pleased")

    @property
    def in_percent(self) -> tuple[str, ...]:
        """Everything, where the score is a share."""
        return ("estimate", "least", "most") if self.unit == "share" else ()

    def claim(self) -> Claim:
        """The score as answered, weighted, under the views in between, and whatever the silent feel."""
        if self.frame.empty:
            nobody = "None of the customers in contact answered under a customer_id"
            return Claim(f"{nobody}; whom the answers speak for cannot be said.")
        return super().claim()

    def too_few(self) -> bool:
        """Whether any view may not be shown."""
        return len(self.visible()) < len(self.frame)

    def told(self, _: pd.DataFrame) -> str:
        """As the claim, where there are answers."""
        views = self.frame.map(lambda value: said(value, self.unit) if isinstance(value, float) else value)
        first, weighted, last = views.iloc[0], views.iloc[2], views.iloc[-1]
        text = (
            f"{self.measure} is {first['estimate']} as answered and {weighted['estimate']} ({weighted['low']} "
            f"to {weighted['high']}) weighted to the {self.contacted:,} customers in contact, of whom "
            f"{percent(self.answered)} answered"
        )
        between = self.frame.dropna(subset="pleased").sort_values("pleased")
        if len(between):
            low, high = (said(end, self.unit) for end in (between["low"].min(), between["high"].max()))
            few, many = (_times(times) for times in between["pleased"].iloc[[0, -1]])
            text += (
                f"; if the pleased are {few} to {many} times as likely to answer as the displeased, it lies "
                f"between {low} and {high}"
            )
        ends = f"between {last['least']} and {last['most']}"
        return f"{text}; whatever the silent feel, {ends}. No weight can tell which."


def silent(
    study: Study,
    question: str = "nps",
    by: Iterable[str] = ATTRIBUTES,
    among: Iterable[str] | None = None,
    pleased: Iterable[float] = PLEASED,
    bounds: tuple[float, float] | None = (1 / 8, 8),
) -> Silent:
    """A question's score with the customers counted who were in contact and did not answer it.

    `by`: columns of `customers` that weights are raked on, beside the activity (see `responders`); `among`:
    the ids of the customers who were asked, where that is known; else all in contact. Each customer counts
    once, in equal parts of the answers given, times the survey's weights. `bounds` as in `rake`. Views:

    - as answered: `scores(study, question, by=None)`;
    - each customer once;
    - weighted to all in contact: right if, among customers alike in these attributes, those who answer feel
      as the others do (missing at random);
    - pleased G times as likely to answer: among customers alike, who gives the highest answer is G times as
      likely to answer as who gives the lowest, and in between the chance rises (or falls) in any way.
      `least` and `most` are over all ways (at the extremes it does so in one step: a closed form); the
      estimate is where it does so evenly. Left out where more would have answered than there are;
    - whatever the silent feel: all of them at the lowest answer, or at the highest (Manski 1990, American
      Economic Review 80).

    Where customers are alike in all that is known, everybody counts once. Raises MissingTable without
    `surveys` or any contacts, CxLookupError where none of `among` answered, else as `scores`.
    """
    kind = asked_of(study, question)[1]
    first = scores(study, question, by=None).table().iloc[0]
    wanted = list(by)
    if wrong := [name for name in wanted if name not in ATTRIBUTES and not study.has("customers", name)]:
        raise CxLookupError(
            f"customers has no column `{wrong[0]}`; weights go by its columns and the activity."
        )
    people = study.fetch(
        contacted(study, [name for name in wanted if study.has("customers", name)], "silent")
    )
    people = people.astype(object).fillna(UNKNOWN).astype(str).sort_values("customer_id", ignore_index=True)
    if among is not None:
        people = people[people["customer_id"].isin({str(one) for one in among})]
    answers = _answers(study, question).merge(people, on="customer_id", validate="many_to_one")
    if not len(answers) and among is None:
        return Silent(pd.DataFrame(columns=COLUMNS), kind.name, kind.unit, 0.0, len(people), None)
    if not len(answers):
        raise CxLookupError(f"None of the customers in `among` answered `{question}` under a customer_id.")
    people, answers = _merged(people, answers)
    known = [name for name in people.columns[1:] if people[name].nunique() > 1]
    if not known:
        people, answers, known = people.assign(all="all"), answers.assign(all="all"), ["all"]
    once = (answers["weight"] / answers.groupby("customer_id")["weight"].transform("size")).to_numpy(float)
    alike = rake(answers.assign(all="all"), {"all": {"all": 1}}, once)
    raked = rake(answers, {name: _counted(people[name]) for name in known}, once, bounds)
    x, who = answers["score"].to_numpy(float), answers["customer_id"].to_numpy()
    contacts, customers = len(people), answers["customer_id"].nunique()
    answered = customers / contacts
    each, weighted = alike.estimate(x, kind, who), raked.estimate(x, kind, who, stand_for=contacts)
    rows = [
        (view, *(float(end) for end in one), float(one[0]), float(one[0]), np.nan)
        for view, one in (
            ("as answered", first[["estimate", "low", "high"]].tolist()),
            ("each customer once", each[:3]),
            ("weighted to all in contact", weighted[:3]),
        )
    ]
    for times in pleased:
        chances = _chances(x, kind, times)
        # The lowest chance follows from the share that answered; no chance may be above 1.
        needed = [np.average(1 / one, weights=raked.weights) * answered * one.max() for one in chances]
        if needed[0] <= 1:
            possible = [one for one, most in zip(chances, needed, strict=True) if most <= 1]
            ways = np.array([raked.estimate(x, kind, who, 1 / one, contacts)[:3] for one in possible])
            ends = (ways[:, 1].min(), ways[:, 2].max(), ways[:, 0].min(), ways[:, 0].max())
            rows.append((f"pleased {_times(times)} times as likely to answer", ways[0, 0], *ends, times))
    worst, best = kind.told(np.array([-1.0 if kind.unit == "points" else 0.0, 1.0]))
    low, least = (answered * float(end) + (1 - answered) * worst for end in (each.low, each.estimate))
    high, most = (answered * float(end) + (1 - answered) * best for end in (each.high, each.estimate))
    rows.append(("whatever the silent feel", np.nan, low, high, least, most, np.nan))
    frame = pd.DataFrame(rows, columns=[name for name in COLUMNS if name not in ("n", "customers")])
    others = len(frame) - 1
    frame.insert(4, "n", [int(first["n"]), *[len(x)] * others])
    frame.insert(5, "customers", [int(first["customers"]), *[customers] * others])
    return Silent(frame, kind.name, kind.unit, answered, contacts, raked)


def _answers(study: Study, question: str) -> pd.DataFrame:
    surveys = study.table("surveys", needed_by="silent")
    asked = surveys.filter(
        (surveys["question"] == question) & surveys["score"].notnull() & surveys["customer_id"].notnull()
    )
    frame = study.fetch(asked.select("customer_id", "response_id", "score", "weight"))
    frame = frame.sort_values(["customer_id", "response_id"], ignore_index=True)
    return frame.assign(weight=frame["weight"].astype(float).fillna(1.0))


def _merged(people: pd.DataFrame, answers: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Values from which hardly anybody answered become one, which joins the commonest if it is rare too."""
    for name in people.columns[1:]:
        count = answers.drop_duplicates("customer_id")[name].value_counts()
        rare = list(set(people[name]) - set(count[count >= RARE].index))
        into = "(rare)" if count.reindex(rare).sum() >= RARE else count.index[0]
        people, answers = (
            frame.assign(**{name: frame[name].mask(frame[name].isin(rare), into)})
            for frame in (people, answers)
        )
    return people, answers


def _counted(values: pd.Series) -> dict[str, float]:
    """How many customers have each value, bands of activity in their order."""
    bands = [name for _, name in ACTIVITY]
    count = values.value_counts().sort_index().to_dict()
    return dict(sorted(count.items(), key=lambda one: bands.index(one[0]) if one[0] in bands else len(bands)))


def _chances(scores: Array, kind: Measure, times: float) -> list[Array]:
    """Relative chances to answer: rising evenly from 1 at the lowest score to `times`, or in one step."""
    up, down = kind.sides(scores)
    place = up - down
    steps = np.unique(place)
    even = (place - steps[0]) / max(steps[-1] - steps[0], 1e-12)
    return [times**even, *(np.where(place >= step, times, 1.0) for step in steps[1:])]


def _times(times: float) -> str:
    """How many times, as people write it.

    >>> _times(1 / 3), _times(2), _times(0.4)
    ('1/3', '2', '0.4')
    """
    under = times < 1 and abs(1 / times - round(1 / times)) < 1e-9
    return f"1/{round(1 / times)}" if under else f"{times:g}"
