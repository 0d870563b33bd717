"""What customers write: a phrase bank in four languages, by aspect and sentiment, split in two halves.

A comment is a lead-in, a subject and a judgement. The halves `a` and `b` share subjects but no judgement,
so whoever learns on one half and is tested on the other must have learnt words, not sentences.
"""

from __future__ import annotations

from functools import cache
from itertools import product
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.special import expit

from cxlib.world import company as c
from cxlib.world.draw import Array, Ints, Log, frictions

BANK = Path(__file__).with_name("phrases.tsv")  # language, aspect: subjects and judgements
# At the end of a judgement in the bank: it speaks of effort, it names something that can be acted on.
MARKS = {"effort": "*", "actionable": "!"}
SENTIMENTS, HALVES = ("positive", "negative"), ("a", "b")
NEGATIVE = (
    4.4,
    -8.0,
)  # log-odds of a negative comment: constant, and by the score's place on its scale (0 to 1)
OF_FRICTION = {  # what somebody complains about who met a friction, in 7 of 10 negative comments
    "slow_page": "ease",
    "out_of_stock": "availability",
    "failing_bot": "self_service",
    "repeated_question": "communication",
    "duplicate_call": "communication",
}
BLAMES_FRICTION = 0.7

LEAD_INS = {
    "en": ("", "Honestly: ", "My second order this year. ", "Bought for the kitchen. "),
    "ro": ("", "Sincer: ", "A doua comandă din acest an. ", "Cumpărat pentru bucătărie. "),
    "it": ("", "Sinceramente: ", "Secondo ordine di quest'anno. ", "Comprato per la cucina. "),
    "zh": ("", "说实话，", "今年第二次买。", "给厨房买的。"),
}


@cache
def sentences() -> npt.NDArray[np.object_]:
    """All texts: (languages, aspects, sentiments, halves, 24).

    >>> sentences()[0, 1, 0, 0, 0]
    'Ordering was easy and quick.'
    """
    texts = np.empty((len(c.LANGUAGES), len(c.DIMENSIONS), 2, 2, 24), dtype=object)
    for row in pd.read_csv(BANK, sep="\t").to_dict("records"):
        i, j = c.LANGUAGES.index(row["language"]), c.DIMENSIONS.index(row["aspect"])
        between, stop = ("", "。") if row["language"] == "zh" else (" ", ".")
        for (s, sentiment), (h, half) in product(enumerate(SENTIMENTS), enumerate(HALVES)):
            judgements = row[f"{sentiment}_{half}"].split("|")
            parts = product(LEAD_INS[row["language"]], row["subjects"].split("|"), judgements)
            texts[i, j, s, h] = [
                lead + subject + between + judged.rstrip("*!") + stop for lead, subject, judged in parts
            ]
    return texts


@cache
def marked(mark: str) -> npt.NDArray[np.bool_]:
    """Which of `sentences()` bear a mark, in their shape.

    >>> int(marked("effort")[0, 1].sum()), int(marked("effort")[:, :, 0].sum())
    (48, 0)
    """
    bank = pd.read_csv(BANK, sep="\t").set_index(["language", "aspect"])
    *halves, texts = sentences().shape
    found = np.zeros((*halves, texts), dtype=bool)
    for i, j, s, h in np.ndindex(*halves):
        judgements = bank.loc[(c.LANGUAGES[i], c.DIMENSIONS[j]), f"{SENTIMENTS[s]}_{HALVES[h]}"].split("|")
        bears = np.array([MARKS[mark] in judged[-2:] for judged in judgements])
        found[i, j, s, h] = np.tile(bears, texts // len(bears))
    return found


def comments(
    language: Ints, place: Array, log: Log, event: Ints, rng: np.random.Generator
) -> tuple[npt.NDArray[np.object_], pd.DataFrame]:
    """Texts for answers at `place` on their scale (0 worst, 1 best), and what is planted in each.

    A friction at the visit's last touchpoint is what a negative comment is mostly about.
    """
    n = len(language)
    sentiment = (rng.random(n) < expit(NEGATIVE[0] + NEGATIVE[1] * place)).astype(np.int64)
    aspect = rng.integers(0, len(c.DIMENSIONS), n)
    met = frictions(log.touchpoint[event], log.load_ms[event], log.outcome[event])
    blamed = np.array([c.DIMENSIONS.index(OF_FRICTION[f.name]) for f in c.FRICTIONS])[met.argmax(1)]
    blames = met.any(1) & (sentiment == 1) & (rng.random(n) < BLAMES_FRICTION)
    aspect = np.where(blames, blamed, aspect)
    half, which = rng.integers(0, 2, n), rng.integers(0, sentences().shape[-1], n)
    chosen = (language, aspect, sentiment, half, which)
    planted = {
        "aspect": np.array(c.DIMENSIONS, dtype=object)[aspect],
        "sentiment": np.array(SENTIMENTS, dtype=object)[sentiment],
        "half": np.array(HALVES, dtype=object)[half],
    } | {mark: marked(mark)[chosen] for mark in MARKS}
    return sentences()[chosen], pd.DataFrame(planted)


def hand_read(planted: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """What people noted of the comments they read, a random sample: the rows of these alone.

    `none` is "read, and nothing of the kind in it".
    """
    notes = {
        "read_aspect": planted["aspect"],
        "read_sentiment": planted["sentiment"],
        "read_effort": planted["effort"].map({True: "effort", False: "none"}),
        "read_actionable": planted["actionable"].map({True: "actionable", False: "none"}),
    }
    return pd.DataFrame(notes).astype("str")[rng.random(len(planted)) < c.READ]
