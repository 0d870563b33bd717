"""Draws for the coverage harness: how often a theme is spoken of and what goes with it, where both are known."""

from __future__ import annotations

from functools import cache

import numpy as np
import pandas as pd
from scipy.special import expit
from scipy.stats import norm

from cxlib import world
from cxlib.text import Comments, Themes, effects, prevalence, themes
from cxlib.text.learning import auc, learn

READ = 300  # comments of a world that people have read
CUSTOMERS = 500


@cache
def half_b() -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """The demo's comments of the second half of the phrase bank: person, and each theme as planted and as
    predicted by a rule that was learnt on comments of the first half alone."""
    demo = world.simulate(5000, seed=0)
    frame = demo.tables["surveys"].dropna(subset="comment").merge(demo.planted["comments"], on="response_id")
    negative = frame["sentiment"] == "negative"
    about = {aspect: frame["aspect"] == aspect for aspect in sorted(frame["aspect"].unique())}
    complaints = {f"{aspect}: negative": part & negative for aspect, part in about.items()}
    truly = pd.DataFrame(about | complaints).astype(float)
    first = (frame["half"] == "a").to_numpy()
    labels = truly.where(pd.Series(first), axis=0)
    found = pd.DataFrame(np.nan, index=truly.index, columns=truly.columns)
    for _, part in frame.groupby("language"):
        found.loc[part.index] = learn(
            part["comment"], labels.loc[part.index].to_numpy(), part["customer_id"], even=True
        )
    predicted = (found >= 0.5).astype(float).where(found.notna())
    people = frame[["customer_id"]].rename(columns={"customer_id": "person"})
    return tuple(one[~first].reset_index(drop=True) for one in (people, truly, predicted))  # type: ignore[return-value]


def prevalence_draw(seed: int) -> pd.DataFrame:
    """Customers of the demo drawn anew, each with all of their comments; 300 of these comments are read."""
    rng = np.random.default_rng(seed)
    people, truly, predicted = half_b()
    rows = people.groupby("person").indices
    drawn = rng.choice(np.array(list(rows), dtype=object), CUSTOMERS)
    at = np.concatenate([rows[person] for person in drawn])
    person = np.repeat(np.arange(CUSTOMERS), [len(rows[person]) for person in drawn])
    read = np.zeros(len(at), dtype=bool)
    read[rng.choice(len(at), READ, replace=False)] = True
    frame = pd.DataFrame({"person": person.astype(str)})
    true, guess = truly.iloc[at].reset_index(drop=True), predicted.iloc[at].reset_index(drop=True)
    found = prevalence(Themes(frame, guess, true.where(pd.Series(read), axis=0), guess)).table()
    found["truth"] = found["theme"].map(truly.mean())
    found["expected"] = found["truth"] * READ
    found["result"] = np.where(found["theme"].str.contains(":"), "complaint", "aspect")
    naive = found.assign(
        result=found["result"] + ", as counted",
        estimate=found["naive"],
        low=found["naive_low"],
        high=found["naive_high"],
    )
    return pd.concat([found, naive])[["result", "theme", "estimate", "low", "high", "truth", "expected"]]


@cache
def whole_bank() -> pd.DataFrame:
    """All comments of the demo, and what is planted in each."""
    demo = world.simulate(5000, seed=0)
    frame = demo.tables["surveys"].dropna(subset="comment").merge(demo.planted["comments"], on="response_id")
    frame["effort"] = np.where(frame["effort"], "effort", "none")
    return frame[["customer_id", "comment", "language", "aspect", "effort"]]


def learnt_draw(seed: int) -> pd.DataFrame:
    """900 customers of the demo drawn anew; of their comments 450 are read, which teach the rule and correct it."""
    rng = np.random.default_rng(seed)
    bank = whole_bank()
    rows = bank.groupby("customer_id").indices
    drawn = rng.choice(np.array(list(rows), dtype=object), 900)
    at = np.concatenate([rows[person] for person in drawn])
    frame = bank.iloc[at].reset_index(drop=True)
    frame["person"] = np.repeat(np.arange(900), [len(rows[person]) for person in drawn]).astype(str)
    unread = rng.permutation(len(frame)) >= 450
    parts = []
    for column in ("aspect", "effort"):
        said = Comments(frame.assign(**{column: frame[column].mask(unread)}))
        found = prevalence(themes(said, column)).table().assign(result=column)
        found["truth"] = [(bank[column] == theme).mean() for theme in found["theme"]]
        parts.append(found)
        parts.append(
            found.assign(
                result=f"{column}, as counted",
                estimate=found["naive"],
                low=found["naive_low"],
                high=found["naive_high"],
            )
        )
    both = pd.concat(parts).assign(expected=lambda all_: 450 * all_["truth"])
    return both[["result", "theme", "estimate", "low", "high", "truth", "expected"]]


SHARES = {"app": 0.08, "store": 0.15, "web": 0.3}


def groups_draw(seed: int) -> pd.DataFrame:
    """A theme spoken of more on the web than in the app, by customers who keep to one or use all; 300 read."""
    rng = np.random.default_rng(seed)
    person = np.repeat(np.arange(CUSTOMERS), rng.integers(1, 4, CUSTOMERS))
    lean = rng.normal(0, 1, CUSTOMERS)[person]  # some speak of it more than others
    group = rng.choice(list(SHARES), len(person), p=[0.25, 0.35, 0.4])
    share = pd.Series(group).map(SHARES).to_numpy()
    true = norm.cdf(norm.ppf(share) * np.sqrt(2) + lean) > rng.random(len(person))
    guess = np.where(true, rng.random(len(person)) < 0.7, rng.random(len(person)) < 0.06)
    read = np.zeros(len(person), dtype=bool)
    read[rng.choice(len(person), READ, replace=False)] = True
    frame = pd.DataFrame({"person": person.astype(str), "touchpoint": group})
    one = pd.DataFrame({"queue": guess.astype(float)})
    noted = pd.DataFrame({"queue": np.where(read, true.astype(float), np.nan)})
    found = prevalence(Themes(frame, one, noted, one), by="touchpoint").table()
    found = found[found["group"] != "(all)"].assign(result="by touchpoint")
    found["truth"] = found["group"].map(SHARES)
    found["expected"] = found["truth"] * READ / 3
    naive = found.assign(result="by touchpoint, as counted", low=found["naive_low"], high=found["naive_high"])
    naive["estimate"] = naive["naive"]
    both = pd.concat([found, naive]).assign(expected=lambda all_: all_["expected"].clip(lower=10))
    return both[["result", "group", "estimate", "low", "high", "truth", "expected"]]


BESIDE, CAUSE, OTHER = "staff", "queue", "price"
TRUE = {BESIDE: 0.0, CAUSE: -0.25, OTHER: -0.1}


def blame_world(seed: int, customers: int = 500) -> tuple[Themes, pd.DataFrame]:
    """Comments on a queue, which lowers the score, on staff, mentioned with it and without effect, and on price.

    The rule finds 75 to 85 of 100 and invents 4; 300 comments are read. Also: the themes as they truly are.
    """
    rng = np.random.default_rng(seed)
    person = np.repeat(np.arange(customers), rng.integers(1, 4, customers))
    mood = rng.normal(0, 0.5, customers)[person]
    n = len(person)
    queue = rng.random(n) < expit(-1.2 - mood)
    staff = rng.random(n) < np.where(queue, 0.55, 0.12)
    price = rng.random(n) < expit(-1.8 - mood)
    true = pd.DataFrame({BESIDE: staff, CAUSE: queue, OTHER: price}).astype(float)
    place = 0.75 + true.to_numpy() @ np.array([TRUE[name] for name in true])
    place += rng.normal(0, 0.1, customers)[person] + rng.normal(0, 0.2, n)
    finds = rng.random(true.shape) < np.array([0.85, 0.75, 0.8])
    invents = rng.random(true.shape) < 0.04
    predicted = pd.DataFrame(np.where(true == 1, finds, invents).astype(float), columns=true.columns)
    read = np.zeros(n, dtype=bool)
    read[rng.choice(n, READ, replace=False)] = True
    frame = pd.DataFrame({"person": person.astype(str), "place": place})
    return Themes(frame, predicted, true.where(pd.Series(read), axis=0), predicted), true


def effects_draw(seed: int) -> pd.DataFrame:
    """Each theme's effect: together with errors taken out; as predicted; and by itself."""
    spoken, _ = blame_world(seed)
    blind = Themes(spoken.frame, spoken.predicted, spoken.read * np.nan, spoken.predicted)
    parts = []
    for result, one in (("together", spoken), ("together, errors left in", blind)):
        table = effects(one).table()
        parts.append(table.assign(result=result))
        if one is spoken:
            alone = table[["theme", "alone", "alone_low", "alone_high"]].set_axis(
                ["theme", "estimate", "low", "high"], axis=1
            )
            parts.append(alone.assign(result="by itself"))
    found = pd.concat(parts)
    found["truth"], found["expected"] = found["theme"].map(TRUE), float(READ) / 5
    return found[["result", "theme", "estimate", "low", "high", "truth", "expected"]]


APART = 1.4  # how far pleased and displeased lie apart, in standard deviations


def auc_draw(seed: int) -> pd.DataFrame:
    """Scores of texts by customers who write one to four, each in a manner of their own."""
    rng = np.random.default_rng(seed)
    parts = []
    for customers in (60, 300):
        who = np.repeat(np.arange(customers), rng.integers(1, 5, customers))
        mood, manner = rng.normal(0, 1, customers)[who], rng.normal(0, np.sqrt(0.5), customers)[who]
        label = (0.8 * mood + 0.6 * rng.normal(0, 1, len(who)) > 0.6).astype(float)
        score = APART * label + manner + rng.normal(0, np.sqrt(0.5), len(who))
        one = auc(score, label, who)
        parts.append((customers, float(one.estimate), float(one.low), float(one.high), len(who)))
    found = pd.DataFrame(parts, columns=["customers", "estimate", "low", "high", "expected"])
    return found.assign(result="auc", truth=norm.cdf(APART / np.sqrt(2)))


CLOSED = (0.92, 0.97)
CLAIMS = (
    (
        "themes",
        "How often six aspects, and complaints of each, are spoken of in about 600 comments of the demo's customers, "
        "by a rule learnt on the other half of the phrase bank, 300 comments read; and as the rule alone counts.",
        prevalence_draw,
        {"aspect": CLOSED, "complaint": CLOSED},
        (
            "cxlib/stats",
            "cxlib/text/learning.py",
            "cxlib/text/learned.py",
            "cxlib/text/prevalence.py",
            "cxlib/world/phrases.tsv",
        ),
        2000,
        100,
        100,
    ),
    (
        "themes learnt",
        "About 1,090 comments of 900 customers of the demo, 450 of them read: the same readings teach the rule, by "
        "folds, and take its errors out; six aspects, and effort; and as the rule alone counts.",
        learnt_draw,
        {"aspect": CLOSED, "effort": CLOSED},
        (
            "cxlib/stats",
            "cxlib/text/learning.py",
            "cxlib/text/learned.py",
            "cxlib/text/prevalence.py",
            "cxlib/world/phrases.tsv",
        ),
        500,
        10,
        10,
    ),
    (
        "themes by touchpoint",
        "A theme spoken of in 8, 15 and 30 of 100 comments at three touchpoints, about 1,000 comments of 500 customers, "
        "300 read, one set of error rates; and as the rule alone counts.",
        groups_draw,
        {"by touchpoint": CLOSED},
        ("cxlib/stats", "cxlib/text/prevalence.py"),
        2000,
        60,
        100,
    ),
    (
        "theme effects",
        "What goes with three themes, one of them without effect but mentioned with a cause, in about 1,000 comments "
        "of 500 customers, 300 read: together; with the rule's errors left in; and each by itself.",
        effects_draw,
        {"together": CLOSED},
        ("cxlib/stats", "cxlib/text/effects.py"),
        2000,
        100,
        100,
    ),
    (
        "sentiment",
        "How well a score tells pleased from displeased texts of 60 and 300 customers who write one to four, each "
        "in a manner of their own.",
        auc_draw,
        {"auc": CLOSED},
        ("cxlib/stats", "cxlib/text/learning.py"),
        2000,
        200,
        200,
    ),
)
