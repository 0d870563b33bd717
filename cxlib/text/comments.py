"""Comments as they may be read: one row a comment, without addresses, numbers, handles and known names."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, ClassVar

import ibis
import ibis.expr.types as ir
import pandas as pd

from cxlib.rates import answerer
from cxlib.results import EVERYWHERE, MINIMUM, Framed, minimum
from cxlib.study import Study
from cxlib.text.learning import normalised
from cxlib.text.names import Names, masked_comment

NAMED = {
    "name", "firstname", "lastname", "surname", "fullname", "nickname", "nome", "cognome", "nume", "prenume",
}  # fmt: skip
"""A column of `customers` or `surveys` with one of these words in its name (first_name) holds names of people."""
PERSONAL_IDS = ("mail", "phone", "tel", "name", "handle", "user")
"""An id_type of `identities` that says one of these holds what names a person."""


@dataclass(frozen=True, eq=False)
class Comments(Framed):
    """What customers wrote.

    `frame`: one row a comment that is not blank, by time: response_id, person (customer_id, else
    response_id), ts, touchpoint, stage, question, score, place (0 worst to 1 best of its own scale; NaN
    without a score), language (null where unknown), comment (masked, in one line), then the further
    columns of `surveys`. `blank`: comments given that say nothing.
    """

    WHOLE: ClassVar = ()

    blank: int = 0
    learnt: dict[object, Any] = field(default_factory=dict, repr=False)
    """Themes that were learnt from these comments before, by the columns read: learning them takes the longest."""

    def table(self) -> pd.DataFrame:
        """One row a language, "(all)" first: n (comments), customers, texts (different), longest (characters)."""
        said = self.frame.assign(
            language=self.frame["language"].fillna("(unknown)"),
            text_=normalised(self.frame["comment"]).to_numpy(),
            length_=self.frame["comment"].str.len(),
        )
        grouped = pd.concat([said.assign(language=EVERYWHERE), said]).groupby("language")
        counted = {"n": ("person", "size"), "customers": ("person", "nunique"), "texts": ("text_", "nunique")}
        return grouped.agg(**counted, longest=("length_", "max")).reset_index()

    def told(self, shown: pd.DataFrame) -> str:
        """How many comments there are, in which languages, and how many say the same."""
        whole, rest = shown.iloc[0], shown.iloc[1:].sort_values("n", ascending=False)
        said = ", ".join(f"{row['language']} {row['n']:,}" for _, row in rest.iterrows())
        text = f"{whole['n']:,} comments of {whole['customers']:,} customers"
        text += f", by language: {said}" if said else ""
        if repeated := whole["n"] - whole["texts"]:
            text += f"; {repeated:,} repeat another's words"
        if self.blank >= minimum():
            text += f"; {self.blank:,} more are blank"
        return text + ". Addresses, numbers, handles and the names this study knows are masked."


def comments(study: Study, names: Iterable[str] = ()) -> Comments:
    """The comments of `surveys`, each masked, stripped of what is not seen, and in one line.

    E-mail addresses, long numbers and handles go by their form (`cxlib.masks`); names as far as this
    study knows them: columns of `customers` and `surveys` that hold names (`first_name`, `surname`,
    `agent_name` ...), ids of `identities` that are addresses, telephones or names, the customer ids, and
    `names`. A name that
    nobody knows stays: no list of names is complete. A text that one response carries on several rows
    counts once. Raises MissingTable without `surveys`.

    >>> import cxlib as cx
    >>> said = cx.text.comments(cx.open_study("demo"))
    >>> len(said.frame), said.blank
    (1360, 0)
    """
    surveys = study.table("surveys", needed_by="comments")
    given = sorted(set(names))

    def build() -> Comments:
        frame = study.cached("comments", {"names": given}, lambda: _comments(study, surveys, given))
        blank = frame["comment"] == ""
        return Comments(frame[~blank].reset_index(drop=True), int(blank.sum()))

    return study.once(("comments", *given), build)


COLUMNS = ("response_id", "person", "ts", "touchpoint", "stage", "question", "score", "place", "language")
"""The first columns of a frame of comments; the text follows, then whatever else the surveys have."""


def _comments(study: Study, surveys: ir.Table, given: list[str]) -> pd.DataFrame:
    told = surveys.filter(surveys["comment"].notnull())
    person = answerer(told)
    span = (told["scale_max"] - told["scale_min"]).cast("float64")
    place = ibis.ifelse(span > 0, (told["score"] - told["scale_min"]) / span.nullif(0), ibis.null("float64"))
    told = told.mutate(person=person, place=place, language=told["language"].nullif(""))
    further = [
        n for n in surveys.columns if n not in {*COLUMNS, "comment", "customer_id", "scale_min", "scale_max"}
    ]
    frame = study.fetch(told.select(*COLUMNS, "comment", *further))
    # The text on the row with a score stands for a response that carries it on several.
    frame = frame.assign(silent_=frame["score"].isna())
    frame = frame.sort_values(["ts", "response_id", "silent_", "question"], kind="stable")
    frame = frame.drop_duplicates(["response_id", "comment"]).drop(columns="silent_")
    known = _known(study, given)
    known.common = _common(known, frame)
    texts = {text: masked_comment(text, known) for text in frame["comment"].unique()}
    return frame.assign(comment=frame["comment"].map(texts)).reset_index(drop=True)


def _common(known: Names, frame: pd.DataFrame) -> frozenset[str]:
    """What is a name and a word: written in lower case by as many customers as a display must rest on."""
    writers: dict[str, set[str]] = {}
    for person, text in zip(frame["person"], frame["comment"], strict=True):
        for word in known.in_lower_case(text):
            writers.setdefault(word, set()).add(person)
    return frozenset(word for word, people in writers.items() if len(people) >= MINIMUM)


def _known(study: Study, given: list[str]) -> Names:
    """What this study knows of names and ids."""
    names, ids = list(given), []
    for held in (study.table(name) for name in ("customers", "surveys") if study.has(name)):
        for column in held.columns:
            if NAMED & set(column.lower().split("_")) and held[column].type().is_string():
                names += _distinct(study, held, column)
        ids += _distinct(study, held, "customer_id")
    if study.has("identities"):
        identities = study.table("identities")
        kind = identities["id_type"].lower()
        held = identities.filter(ibis.or_(*(kind.contains(word) for word in PERSONAL_IDS)))
        names += _distinct(study, held, "id_value")
    return Names(names, ids)


def _distinct(study: Study, table: ir.Table, column: str) -> list[str]:
    values = table.select(one_=table[column].cast("string")).distinct()
    return [str(value) for value in study.fetch(values)["one_"].dropna()]
