"""Learning from texts without a download: words (or characters) weighted by how rare they are, and a line through them.

TF-IDF and logistic regression, each text judged by a model that saw neither it, nor a text that says the
same, nor another text of its writer.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import product

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from cxlib.errors import CxValueError
from cxlib.stats.intervals import Array, Interval, on_scale, t_quantile, wilson
from cxlib.text.names import UNSPACED, clean

LONGEST = 5_000
"""Characters of a text that are learnt from and judged; the rest is left unread."""

FEWEST, FEWEST_EACH = 40, 10
"""Texts with a label, and of each label, below which nothing is learnt."""

# Thai, Lao, Burmese and Khmer run on like Chinese and Japanese.
_RUNS_ON = re.compile(f"[{UNSPACED}\\u0e00-\\u0eff\\u1000-\\u109f\\u1780-\\u17ff]")


def normalised(texts: ArrayLike) -> pd.Series:
    """Texts without case, spaces and signs: what is equal here says the same.

    >>> normalised(["So slow!!", "so  slow", ":-("]).tolist()
    ['so slow', 'so slow', ':-(']
    """
    given = pd.Series(np.asarray(texts, dtype=object)).astype("str")
    words = given.str.casefold().str.replace(r"[\W_]+", " ", regex=True).str.strip()
    return words.where(words != "", given)


def apart(texts: ArrayLike, persons: ArrayLike | None = None, folds: int = 5) -> NDArray[np.int64]:
    """A fold for each text, of nearly equal size: texts that say the same in one, and texts of a person.

    Where that would tie more than two folds' worth into one (few different texts, each of many persons),
    persons are split and only equal texts stay together. No chance: the same texts get the same folds.

    >>> apart(["good", "Good!", "bad", "poor"], folds=2).tolist()
    [0, 0, 1, 1]
    """
    text = pd.factorize(normalised(texts))[0]
    if not len(text):
        return np.empty(0, dtype=np.int64)
    piece = text
    if persons is not None:
        person = pd.factorize(np.asarray(persons, dtype=object))[0]
        # Texts and persons are nodes, a comment is an edge between its own.
        size = text.max() + 1 + person.max() + 1
        edges = coo_array((np.ones(len(text)), (text, text.max() + 1 + person)), shape=(size, size))
        tied = connected_components(edges, directed=False)[1][text]
        piece = text if np.bincount(tied).max() > 2 / folds * len(text) else pd.factorize(tied)[0]
    sizes = np.bincount(piece)
    fold, filled = np.empty(len(sizes), dtype=np.int64), np.zeros(folds)
    for one in np.argsort(-sizes, kind="stable"):
        fold[one] = filled.argmin()
        filled[fold[one]] += sizes[one]
    return fold[piece]


def runs_on(texts: Sequence[str]) -> bool:
    """Whether the texts' script has no spaces between words (a fifth of the characters will do).

    >>> runs_on(["房间很干净"]), runs_on(["clean room"])
    (True, False)
    """
    sample = "".join(text[:200] for text in list(texts)[:500])
    return len(_RUNS_ON.findall(sample)) > 0.2 * max(len(sample), 1)


def learn(
    texts: ArrayLike,
    labels: ArrayLike,
    persons: ArrayLike | None = None,
    folds: int = 5,
    even: bool = False,
) -> Array:
    """Probability of each label for each text, by a model that has not seen its fold (see `apart`).

    `texts`: n texts of one language; `labels`: (n,) or (n, k) of 0, 1 and NaN (not labelled: judged, not
    learnt from, and by the very rule for those that are); `persons`: who wrote each; `even`: as if either label
    were equally common, which finds what is rare. The result has the labels' shape. Single words and pairs of
    words; in scripts without spaces, runs of 1 to 3 characters. Rarity counts over all texts (it knows no
    label); of each text the first 5,000 characters. A label with fewer than 40 texts, or 10 of either
    value, is NaN throughout.

    >>> good, bad = "quick kind neat calm warm".split(), "slow rude torn loud cold".split()
    >>> texts = [f"{one} and {other}" for words in (good, bad) for one in words for other in words]
    >>> found = learn(texts, [1] * 25 + [0] * 25)
    >>> found.shape, bool(found[:25].min() > found[25:].max())
    ((50,), True)
    """
    given = np.asarray(labels, dtype=float)
    wanted = given if given.ndim == 2 else given[:, None]
    said = [clean(str(text))[:LONGEST] for text in np.asarray(texts, dtype=object)]
    if len(said) != len(given):
        raise CxValueError(f"{len(said):,} texts but {len(given):,} labels; there must be one for each.")
    if not np.isin(given[~np.isnan(given)], (0, 1)).all():
        raise CxValueError("Labels must be 0, 1 or NaN (not labelled).")
    found = np.full(wanted.shape, np.nan)
    counts = np.stack([(wanted == 0).sum(axis=0), (wanted == 1).sum(axis=0)])
    enough = np.flatnonzero((counts.sum(axis=0) >= FEWEST) & (counts.min(axis=0) >= FEWEST_EACH))
    words = _weighted(said) if len(enough) else None
    if words is not None:
        fold = apart(said, persons, folds)
        for one, left_out in product(enough, np.unique(fold)):
            judged = fold == left_out
            found[judged, one] = _judge(words, wanted[:, one], judged, even)
    return found.reshape(given.shape)


def _weighted(said: list[str]) -> NDArray | None:
    """Sparse (texts, words or runs of characters), each row of length 1; None where no word comes twice."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    how = {"analyzer": "char", "ngram_range": (1, 3)} if runs_on(said) else {"ngram_range": (1, 2)}
    try:
        return TfidfVectorizer(min_df=2, sublinear_tf=True, dtype=np.float32, **how).fit_transform(said)
    except ValueError:  # an empty vocabulary
        return None


def _judge(words: NDArray, label: Array, judged: NDArray[np.bool_], even: bool) -> Array | float:
    from sklearn.linear_model import LogisticRegression

    shown = ~judged & ~np.isnan(label)
    if len(np.unique(label[shown])) < 2:  # all that carry the label say the same
        return float(label[shown].mean()) if shown.any() else np.nan
    model = LogisticRegression(C=10, solver="liblinear", class_weight="balanced" if even else None)
    probability: Array = model.fit(words[shown], label[shown]).predict_proba(words[judged])[:, 1]
    return probability


def auc(score: ArrayLike, label: ArrayLike, clusters: ArrayLike | None = None) -> Interval:
    """How often a text labelled 1 scores above one labelled 0 (ties half): area under the ROC curve, 95 %.

    `clusters`: who wrote each; texts of one person are not independent (Obuchowski 1997, Biometrics 53;
    without clusters it is DeLong, DeLong and Clarke-Pearson 1988). Logit scale, t with the persons of the
    rarer label less one; where no text of the one lies below any of the other, Wilson's of these persons.
    Without both labels, NaN.

    >>> round(float(auc([.1, .4, .35, .8], [0, 0, 1, 1]).estimate), 3)
    0.75
    """
    x, y = np.asarray(score, dtype=float), np.asarray(label, dtype=float)
    kept = ~np.isnan(x) & ~np.isnan(y)
    who = pd.factorize(np.arange(len(x)) if clusters is None else np.asarray(clusters, dtype=object))[0][kept]
    x, y = x[kept], y[kept]
    ups, downs = int((y == 1).sum()), int((y == 0).sum())
    if not ups or not downs:
        return Interval(*(np.asarray(np.nan) for _ in range(4)))
    within = np.empty(len(x))
    for value in (0, 1):
        within[y == value] = pd.Series(x[y == value]).rank().to_numpy()
    beaten = pd.Series(x).rank().to_numpy() - within  # how many of the other label lie below
    area = beaten[y == 1].sum() / (ups * downs)
    placed = np.where(y == 1, beaten / downs, 1 - beaten / ups) - area
    sums = [np.bincount(who[y == v], placed[y == v], minlength=who.max() + 1) for v in (0, 1)]
    persons = [len(np.unique(who[y == value])) for value in (0, 1)]
    several = len(np.unique(who))
    with np.errstate(divide="ignore", invalid="ignore"):
        own = [
            np.divide(k, k - 1) * (s @ s) / n**2 for k, s, n in zip(persons, sums, (downs, ups), strict=True)
        ]
        both = np.divide(several, several - 1) * (sums[0] @ sums[1]) / (ups * downs)
        se = np.sqrt(np.maximum(sum(own) + 2 * both, 0))
    t = t_quantile(0.95, np.asarray(min(persons) - 1.0))
    if area in (0, 1):  # without a mistake nothing varies
        return wilson(area * min(persons), min(persons))
    return on_scale(np.asarray(area), np.asarray(se), "logit", t)
