"""What comments say: sentiment learnt from the scores beside them, themes from a sample that people have read."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import ClassVar

import numpy as np
import pandas as pd

from cxlib import stats
from cxlib.errors import CxLookupError, CxValueError, did_you_mean, require
from cxlib.results import TOO_FEW, Claim, Result, minimum, nice, number, percent
from cxlib.study import Study
from cxlib.text.comments import Comments
from cxlib.text.learning import auc, learn, runs_on
from cxlib.text.names import folded

Words = Mapping[str, Mapping[str, Sequence[str]]]

NOTHING = "none"
"""What a reader notes of a comment that has been read and bears none of the themes."""

UNKNOWN = "(unknown)"


@dataclass(frozen=True, eq=False)
class Sentiment(Result):
    """How pleased each comment sounds, learnt in each language from the scores given with comments.

    `frame`: the comments with `positive`, the probability by a model that knew neither the text nor its
    writer (NaN in a language with too few to learn from). `rows`: the table.
    """

    frame: pd.DataFrame = field(repr=False)
    rows: pd.DataFrame = field(repr=False)

    def table(self) -> pd.DataFrame:
        """One row a language: estimate (AUC: how often a pleased text scores above a displeased one), low,
        high, n (comments with a score at either end), customers, positive (share of them pleased),
        comments (judged in all). NaN where a language has too few to learn from."""
        return self.rows

    def claim(self) -> Claim:
        """How well the words tell pleased from displeased, and in which languages that is not known."""
        table = self.visible()
        learnt = table.dropna(subset="estimate")
        if not len(learnt):
            few = "Too few comments have a score near either end of its scale to learn from."
            return TOO_FEW if self.frame["person"].nunique() < minimum() else Claim(few)
        text = "Of a pleased and a displeased comment, the words tell which is which with probability "
        text += spelled(learnt, "language")
        if silent := table.loc[table["estimate"].isna(), "language"].tolist():
            text += f"; too few comments to learn from in {', '.join(silent)}"
        return Claim(text + ".")


def sentiment(comments: Comments, low: float = 0.25, high: float = 0.75) -> Sentiment:
    """Probability that each comment is a pleased one, learnt from comments scored at the ends of their scale.

    A comment whose score lies at most `low` up its scale is displeased, at least `high` pleased; those
    between are judged and not learnt from. Each language by itself (see `cxlib.text.learning.learn`), with
    identical texts and texts of one customer in one fold. Of each text the first 5,000 characters.
    """
    if not 0 <= low < high <= 1:
        raise CxValueError(f"low and high must be 0 <= low < high <= 1, not {low} and {high}.")
    frame = comments.frame.reset_index(drop=True)
    label = np.where(frame["place"] <= low, 0.0, np.where(frame["place"] >= high, 1.0, np.nan))
    found = np.full(len(frame), np.nan)
    rows = []
    for language, part in frame.groupby(frame["language"].fillna(UNKNOWN)):
        at = part.index.to_numpy()
        found[at] = learn(part["comment"], label[at], part["person"])
        scored = ~np.isnan(label[at])
        pleased = np.nanmean(label[at]) if scored.any() else np.nan
        people = part["person"][scored].nunique()
        told = auc(found[at], label[at], part["person"]).columns()
        size = {"n": int(scored.sum()), "customers": people, "positive": pleased, "comments": len(part)}
        rows.append({"language": language, **told, **size})
    columns = ["language", "estimate", "low", "high", "n", "customers", "positive", "comments"]
    table = pd.DataFrame(rows, columns=columns).astype(dict.fromkeys(columns[1:4], float))
    return Sentiment(frame.assign(positive=found), table)


def spelled(table: pd.DataFrame, key: str) -> str:
    """The rows of a table in words: `key` estimate (low to high), and so on."""
    rows = zip(table[key], *(table[name].map(number) for name in ("estimate", "low", "high")), strict=True)
    return ", ".join(f"{nice(name)} {estimate} ({low} to {high})" for name, estimate, low, high in rows)


@dataclass(frozen=True, eq=False)
class Themes(Result):
    """What each comment is about, by the rule that was learnt or given, and by people where they read it.

    Fields, all with one row a comment: `frame`, the comments; `predicted` (1, 0, NaN: cannot be judged),
    `read` (1, 0, NaN: nobody has read it) and `probability`, one column a theme. `source`: where the rule
    is from.
    """

    SHARES: ClassVar = ("share_read", "estimate", "false_alarms")

    frame: pd.DataFrame = field(repr=False)
    predicted: pd.DataFrame = field(repr=False)
    read: pd.DataFrame = field(repr=False)
    probability: pd.DataFrame = field(repr=False)
    source: str = ""

    @property
    def names(self) -> list[str]:
        """The themes."""
        return [str(name) for name in self.predicted.columns]

    def mentions(self) -> pd.DataFrame:
        """One row a comment and theme that it bears, as read, else as predicted: the comment's columns and `theme`."""
        bears = self.read.fillna(self.predicted).to_numpy() == 1
        at, theme = np.nonzero(bears)
        return self.frame.iloc[at].assign(theme=[self.names[one] for one in theme]).reset_index(drop=True)

    def only(self, rows: pd.Series) -> Themes:
        """The themes of some of the comments; `rows` is True for those to keep."""
        kept = rows.to_numpy(bool)
        parts = (self.frame, self.predicted, self.read, self.probability)
        frame, predicted, read, probability = (part[kept].reset_index(drop=True) for part in parts)
        return Themes(frame, predicted, read, probability, self.source)

    def table(self) -> pd.DataFrame:
        """One row a theme: estimate (share of the comments read as this theme that the rule finds), low,
        high, n (these comments), customers, false_alarms (share of those read as something else that it takes for
        it), share_read (of the comments read, how many have it)."""
        fold = stats.folds_of(self.frame["person"])
        both = (self.read.notna() & self.predicted.notna()).to_numpy()
        yes, hit = both & (self.read == 1).to_numpy(), (self.predicted == 1).to_numpy()
        hits, read = np.zeros((2, stats.FOLDS, len(self.names)))
        np.add.at(hits, fold, yes & hit)
        np.add.at(read, fold, yes)
        found, wrong = stats.proportions(hits, read), both & ~yes
        table = pd.DataFrame({"theme": self.names, **found.columns(), "n": yes.sum(axis=0)})
        table["customers"] = [self.frame["person"][one].nunique() for one in yes.T]
        with np.errstate(invalid="ignore"):
            table["false_alarms"] = (wrong & hit).sum(axis=0) / wrong.sum(axis=0)
        return table.assign(share_read=self.read.mean().to_numpy())

    def claim(self) -> Claim:
        """How many themes, from where, and how well the rule finds what people read."""
        read = self.read.notna().any(axis=1).sum()
        themes = "One theme" if len(self.names) == 1 else f"{len(self.names)} themes"
        text = f"{themes} in {len(self.frame):,} comments, {self.source}"
        table = self.visible().dropna(subset="estimate")
        if not len(table):
            return Claim(f"{text}; how often that is wrong is not known, as too few were read by people.")
        worst = table.loc[table["estimate"].idxmin()]
        best = f" ({nice(worst['theme'])}) to {percent(table['estimate'].max())}" if len(table) > 1 else ""
        return Claim(
            f"{text}; of what people found in the {read:,} they have read, the rule finds "
            f"{percent(worst['estimate'])}{best}."
        )


def themes(
    comments: Comments,
    read: str | Sequence[str] | None = None,
    words: Words | str | None = None,
) -> Themes:
    """The themes of every comment, by a rule learnt from those that people have read, or by a codebook.

    `read`: a column of the comments (`aspect`, which it is if nothing is said, finds `read_aspect` too) in
    which readers noted the themes of a sample, several separated by `;`, `none` where there was none, and
    nothing where nobody read. Of several columns the combinations are the themes ("ease: negative"): as many
    notes in each go together in their order, else each with each.
    Without `words` the rule is learnt, in each language by itself, and a comment is judged by a model that saw
    neither its text nor its writer, whether it was read or not: so the errors found on a random sample of
    readings hold for the others. A language with too few readings cannot be judged (NaN).

    `words`: a codebook, {theme: {language: [words or stems]}}, or the name of one that comes with the
    package (`effort`, `actionable`); a comment in a language that it lacks cannot be judged. Then `read` (with
    a named codebook, the column of its name, if there is one) serves to count its errors.

    Raises CxLookupError for a column or codebook that is not there, CxValueError where nobody has read.
    """
    frame = comments.frame.reset_index(drop=True)
    if words is not None:
        book = _book(words)
        predicted = _spotted(frame, book)
        if read is None and isinstance(words, str) and {words, f"read_{words}"} & set(frame):
            read = words
        seen = pd.DataFrame(np.nan, index=frame.index, columns=list(book))
        if read is not None and set(book) & set(noted := _noted(frame, read)):
            seen = noted.reindex(columns=list(book))
            # Of a comment that was read, a theme that its reader did not note is absent.
            seen[noted.notna().any(axis=1)] = seen[noted.notna().any(axis=1)].fillna(0.0)
        return Themes(frame, predicted, seen, predicted, "by a codebook")
    asked = read or "aspect"
    key = asked if isinstance(asked, str) else tuple(asked)
    if key not in comments.learnt:
        comments.learnt[key] = _learnt(frame, asked)
    return comments.learnt[key]


def _learnt(frame: pd.DataFrame, read: str | Sequence[str]) -> Themes:
    """Themes by the rule learnt from what people noted."""
    noted = _noted(frame, read)
    probability = pd.DataFrame(np.nan, index=frame.index, columns=noted.columns)
    for _, part in frame.groupby(frame["language"].fillna(UNKNOWN)):
        at = part.index
        probability.loc[at] = learn(part["comment"], noted.loc[at].to_numpy(), part["person"], even=True)
    predicted = (probability >= 0.5).astype(float).where(probability.notna())
    count = int(noted.notna().any(axis=1).sum())
    return Themes(frame, predicted, noted, probability, f"learnt from {count:,} that people have read")


def noted(study: Study, *read: str) -> bool:
    """Whether people who read comments noted a theme in each of these columns (`aspect` finds `read_aspect`).

    >>> from cxlib import open_study
    >>> noted(open_study("demo"), "aspect", "sentiment"), noted(open_study("demo"), "weather")
    (True, False)
    """
    names = [name if study.has("surveys", name) else f"read_{name}" for name in read]
    if not study.has("surveys", *names):
        return False
    t = study.table("surveys")
    said = {
        name: t[name].cast("string").strip().notin(["", NOTHING]).fill_null(False).any() for name in names
    }
    return bool(study.fetch(t.aggregate(**said)).fillna(False).to_numpy().all())


def _noted(frame: pd.DataFrame, read: str | Sequence[str]) -> pd.DataFrame:
    """Readers' notes as one column a theme: 1, 0, NaN where nobody read."""
    columns = []
    for name in [read] if isinstance(read, str) else read:
        column = name if name in frame else f"read_{name}"
        if column not in frame:
            known = [one for one in frame if one.startswith("read_")]
            raise CxLookupError(
                f"The comments have no column `{name}` of readers' notes.{did_you_mean(name, frame.columns)} "
                f"Columns read_...: {', '.join(known) or 'none'}. A codebook (`words`) needs none."
            )
        columns.append(frame[column].astype("object"))
    notes = pd.concat(columns, axis=1).dropna().astype(str).agg(_together, axis=1)
    if notes.empty:
        raise CxValueError(
            f"Nobody has read a comment: `{read}` is empty. "
            "Have a random sample of 300 read, or give a codebook (`words`)."
        )
    split = notes.explode()
    table = pd.crosstab(split.index, split).clip(upper=1).astype(float).reindex(frame.index)
    table = table.drop(columns=[NOTHING, ""], errors="ignore")
    if not len(table.columns):
        raise CxValueError(f"Of {len(notes):,} comments read, `{read}` notes no theme in any.")
    return table.set_axis([str(name) for name in table], axis=1)


def _together(notes: pd.Series) -> list[str]:
    """The themes of one comment, from one note a column: several notes in each go together in their order.

    >>> _together(pd.Series(["ease; parcel", "negative"])), _together(pd.Series(["ease; parcel", "positive; negative"]))
    (['ease: negative', 'parcel: negative'], ['ease: positive', 'parcel: negative'])
    """
    parts = [[part.strip() for part in note.split(";")] for note in notes]
    alike = len({len(part) for part in parts}) == 1
    both = list(zip(*parts, strict=True) if alike else product(*parts))
    return [NOTHING if {NOTHING, ""} & set(one) else ": ".join(one) for one in both]


def _book(words: Words | str) -> Words:
    if not isinstance(words, str):
        return words
    known = tomllib.loads(Path(__file__).with_name("words.toml").read_text("utf-8"))
    return {words: known[require(words, known, f"No codebook `{words}`")]}


def _spotted(frame: pd.DataFrame, book: Words) -> pd.DataFrame:
    """1 where a comment has one of the theme's words in its language, else 0; NaN without such a language."""
    found = pd.DataFrame(np.nan, index=frame.index, columns=list(book))
    for language, part in frame.groupby("language"):
        for theme, words in book.items():
            if language in words:
                find = _finder(words[str(language)])
                found.loc[part.index, theme] = [float(find(text)) for text in part["comment"]]
    return found


def _finder(words: Sequence[str]) -> Callable[[str], bool]:
    start = "" if runs_on(words) else r"\b"
    pattern = re.compile(start + "(?:" + "|".join(re.escape(folded(word)) for word in words) + ")")
    return lambda text: pattern.search(folded(text)) is not None
