"""Draws for the coverage harness: scores of few, weighted and repeated answers; raking; the silent; false alarms.

`CLAIMS` is what `tests.proof` registers: name, what it says, draw, bands, code, worlds, worlds in CI, chunk.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy.special import expit
from scipy.stats import norm

import cxlib as cx
from cxlib.voice.careless import careless, scale_mistakes
from cxlib.voice.scores import scores
from cxlib.voice.silence import silent
from cxlib.voice.weights import rake

SIZES = (30, 100, 400)
SHARES = ((0.5, 0.2), (0.7, 0.1), (0.3, 0.3), (0.2, 0.5), (0.85, 0.05))
"""Promoters and detractors; of a scale of 1 to 5 the first is the share satisfied."""
SHAPES = {
    "even": [1, 1, 1, 1, 1, 1, 1],
    "high": [1, 1, 2, 4, 8, 14, 20],
    "both ends": [20, 5, 3, 2, 3, 6, 25],
    "middle": [1, 4, 10, 18, 10, 4, 1],
    "ceiling": [1, 0, 1, 1, 2, 10, 85],
    "few against all": [5, 0, 0, 0, 0, 5, 90],
    "hardly any against": [2, 0, 0, 0, 0, 3, 95],
}
"""How answers spread over 1 to 7."""


def survey(
    who: np.ndarray, score: np.ndarray, question: str, low: float, high: float, **more
) -> pd.DataFrame:
    """Contract rows of one question."""
    frame = pd.DataFrame(
        {
            "response_id": [f"r{i}" for i in range(len(who))],
            "customer_id": [f"c{i}" for i in who],
            "ts": pd.Timestamp("2026-01-01"),
            "question": question,
            "score": score.astype(float),
            "scale_min": low,
            "scale_max": high,
        }
    )
    return frame.assign(**more)


def _rows(parts: list[tuple]) -> pd.DataFrame:
    columns = ["result", "cell", "estimate", "low", "high", "truth", "expected"]
    return pd.DataFrame(parts, columns=columns)


def small_draw(seed: int) -> pd.DataFrame:
    """30, 100 and 400 customers, once each, and one to four times each with weights from .5 to 2."""
    rng = np.random.default_rng(seed)
    parts = []
    for n in SIZES:
        for p, d in SHARES:
            shares = np.array([p, 1 - p - d, d])
            once = rng.choice([10, 8, 3], n, p=shares)
            who = np.repeat(np.arange(n), rng.integers(1, 5, n))
            minds = rng.dirichlet(shares * 2, n)[who]
            kind = (rng.random((len(who), 1)) > minds.cumsum(axis=1)).sum(axis=1)
            weights = rng.uniform(0.5, 2, n)[who]
            found = {
                "nps": (cx.voice.nps(once), 100 * (p - d)),
                "csat": (cx.voice.csat(np.where(once == 10, 5, 2), 1, 5), p),
                "nps, weighted and repeated": (
                    cx.voice.nps(np.array([10, 8, 3])[kind], weights, who),
                    100 * (p - d),
                ),
                "csat, weighted and repeated": (
                    cx.voice.csat(np.array([5, 3, 2])[kind], 1, 5, weights, who),
                    p,
                ),
            }
            for name, (one, truth) in found.items():
                shown = f"{name}, 30" if n == 30 and "repeated" in name else name
                parts.append((shown, f"{n} > {p}, {d}", one.estimate, one.low, one.high, truth, float(n)))
    return _rows(parts)


def effort_draw(seed: int) -> pd.DataFrame:
    """Means on 1 to 7 of answers spread in seven ways, of 30, 100 and 400 customers."""
    rng = np.random.default_rng(seed)
    drawn = {
        (n, name): rng.choice(7, n, p=np.array(shape) / sum(shape)) + 1
        for n in SIZES
        for name, shape in SHAPES.items()
    }
    score = np.concatenate(list(drawn.values()))
    place = np.repeat([f"{name}, {n}" for n, name in drawn], [len(one) for one in drawn.values()])
    frame = survey(np.arange(len(score)), score, "ces", 1, 7, touchpoint=place)
    table = scores(cx.open_study({"surveys": frame}), "ces").table().set_index("touchpoint")
    parts = []
    for n, name in drawn:
        truth = float((np.arange(1, 8) * SHAPES[name]).sum() / sum(SHAPES[name]))
        ends = table.loc[f"{name}, {n}", ["estimate", "low", "high"]]
        parts.append((f"ces, {n}", name, *ends, truth, float(n)))
    return _rows(parts)


def alike_draw(seed: int) -> pd.DataFrame:
    """Twelve groups of 10 to 400 answers that do not differ: is any called worse or better than the others?"""
    rng = np.random.default_rng(seed)
    sizes = np.repeat([10, 20, 40, 80, 200, 400], 2)
    customers = 500
    mood = rng.normal(0, 1, customers)
    who = rng.integers(0, customers, sizes.sum())
    latent = mood[who] + rng.normal(0, 1, len(who))
    place = np.repeat([f"t{i}" for i in range(12)], sizes)
    asked = {
        "nps": (0, 10, np.array([3, 8, 10])[(latent > -0.8).astype(int) + (latent > 0.3)]),
        "csat": (1, 5, np.array([2, 5])[(latent > -0.5).astype(int)]),
        "ces": (1, 7, np.clip(np.round(4.5 + 1.5 * latent), 1, 7)),
    }
    frames = [survey(who, x, name, low, high, touchpoint=place) for name, (low, high, x) in asked.items()]
    study = cx.open_study({"surveys": pd.concat(frames, ignore_index=True)})
    found = {name: float((scores(study, name).table()["q"] < 0.05).sum()) for name in asked}
    return _rows([(name, "flagged", count, count, count, 0.0, 12.0) for name, count in found.items()])


TARGETS = {"age": {"a": 0.3, "b": 0.3, "c": 0.4}, "tier": {"gold": 0.5, "basic": 0.5}}


def raked_draw(seed: int) -> pd.DataFrame:
    """100 and 400 customers with weights, one to three answers each, raked to a quite different population."""
    rng = np.random.default_rng(seed)
    level = {"a": 1.2, "b": 0.3, "c": -0.4}
    truth = {
        "nps": 100
        * sum(
            TARGETS["age"][a] * TARGETS["tier"][t] * (norm.sf(1 - m) - norm.cdf(-m))
            for a in level
            for t in TARGETS["tier"]
            for m in [level[a] + 0.8 * (t == "gold")]
        ),
        "csat": sum(
            TARGETS["age"][a] * TARGETS["tier"][t] * norm.sf(-level[a] - 0.8 * (t == "gold"))
            for a in level
            for t in TARGETS["tier"]
        ),
    }
    parts = []
    for n in (100, 400):
        age, tier = (
            rng.choice(list("abc"), n, p=[0.5, 0.3, 0.2]),
            rng.choice(["gold", "basic"], n, p=[0.3, 0.7]),
        )
        who = np.repeat(np.arange(n), rng.integers(1, 4, n))
        mean = pd.Series(age).map(level).to_numpy() + 0.8 * (tier == "gold") + rng.normal(0, np.sqrt(0.5), n)
        latent = mean[who] + rng.normal(0, np.sqrt(0.5), len(who))
        frame = pd.DataFrame({"age": age[who], "tier": tier[who], "w": rng.choice([0.5, 1.0, 2.0], n)[who]})
        raked = rake(frame, TARGETS, "w")
        one = raked.score(np.array([3, 8, 10])[(latent > 0).astype(int) + (latent > 1)], clusters=who)
        top = raked.score(np.array([2, 5])[(latent > 0).astype(int)], "csat", (1, 5), clusters=who)
        design = cx.voice.nps(
            np.array([3, 8, 10])[(latent > 0).astype(int) + (latent > 1)], raked.weights, who
        )
        for name, found, of in (
            ("nps", one, "nps"),
            ("csat", top, "csat"),
            ("nps, as design weights", design, "nps"),
        ):
            parts.append(
                (f"{name}, {n}", "raked", found.estimate, found.low, found.high, truth[of], float(n))
            )
    return _rows(parts)


def silent_world(seed: int, customers: int = 1200) -> tuple[dict[str, pd.DataFrame], float]:
    """Who answers depends on tier and activity alone, as does how they feel: the tables and the true score."""
    rng = np.random.default_rng(seed)
    ids = np.array([f"c{i}" for i in range(customers)])
    tier = rng.choice(["basic", "silver", "gold"], customers, p=[0.6, 0.3, 0.1])
    events = np.minimum(rng.geometric(0.12, customers), 60)
    band = np.searchsorted([1, 4, 9, 29], events)  # as bands of activity
    mean = pd.Series(tier).map({"basic": -0.3, "silver": 0.3, "gold": 0.9}).to_numpy() + 0.25 * band
    answers = rng.random(customers) < expit(-2.4 + 0.5 * band + 0.9 * (tier == "gold"))
    latent = mean + rng.normal(0, 1, customers)
    score = np.array([3, 8, 10])[(latent > 0).astype(int) + (latent > 0.8)]
    # By counting all outcomes, the truth of the population that customers are drawn from.
    chance = 0.12 * 0.88 ** (np.arange(1, 60) - 1)
    chance = np.append(chance, 1 - chance.sum())
    bands = np.bincount(np.searchsorted([1, 4, 9, 29], np.arange(1, 61)), chance)
    truth = 100 * sum(
        share * of * (norm.sf(0.8 - level - 0.25 * b) - norm.cdf(-level - 0.25 * b))
        for share, level in ((0.6, -0.3), (0.3, 0.3), (0.1, 0.9))
        for b, of in enumerate(bands)
    )
    who = np.repeat(ids, events)
    touchpoints = pd.DataFrame({"event_id": np.arange(len(who)), "customer_id": who, "touchpoint": "web"})
    touchpoints = touchpoints.assign(channel="web", stage="engagement", ts=pd.Timestamp("2026-01-01"))
    people = pd.DataFrame({"customer_id": ids, "loyalty_tier": tier})
    surveys = survey(np.flatnonzero(answers), score[answers], "nps", 0, 10)
    return {"touchpoints": touchpoints, "customers": people, "surveys": surveys}, truth


def silent_draw(seed: int) -> pd.DataFrame:
    """1,200 customers in contact of whom a quarter answers, missing at random given tier and activity."""
    tables, truth = silent_world(seed)
    table = silent(cx.open_study(tables)).table().set_index("view")
    rows = {"weighted": "weighted to all in contact", "as answered": "as answered"}
    return _rows(
        [
            (name, "nps", *table.loc[view, ["estimate", "low", "high"]], truth, 300.0)
            for name, view in rows.items()
        ]
    )


def attentive(rng: np.random.Generator, people: int, items: int, loading: float = 0.5) -> pd.DataFrame:
    """Answers of 1 to 5 of customers with one opinion each, items of different level; one row a customer."""
    cuts = np.array([-1.6, -0.8, 0.1, 1.0])
    opinion = rng.normal(0, 1, (people, 1))
    latent = np.sqrt(loading) * opinion + np.sqrt(1 - loading) * rng.normal(0, 1, (people, items))
    latent = latent + rng.uniform(-0.4, 0.4, items)
    names = [f"item_{i}" for i in range(items)]
    return pd.DataFrame((latent[:, :, None] > cuts).sum(axis=2) + 1, columns=names)


def items_survey(wide: pd.DataFrame, **more) -> pd.DataFrame:
    """Contract rows of answers in columns, one response and customer a row; `more`: one value a row."""
    long = wide.assign(customer_id=[f"c{i}" for i in range(len(wide))], **more).melt(
        id_vars=["customer_id", *more], value_vars=list(wide), var_name="question", value_name="score"
    )
    long = long.assign(
        response_id=long["customer_id"], ts=pd.Timestamp("2026-01-01"), scale_min=1.0, scale_max=5.0
    )
    return long.assign(score=long["score"].astype(float))


def clean_draw(seed: int) -> pd.DataFrame:
    """300 attentive customers, eight items, six touchpoints that please differently: is anything flagged?"""
    rng = np.random.default_rng(seed)
    place = rng.integers(0, 6, 300)
    wide = attentive(rng, 300, 8)
    wide = (wide + np.array([-1, 0, 0, 0, 0, 1])[place][:, None] * (rng.random(wide.shape) < 0.5)).clip(1, 5)
    study = cx.open_study({"surveys": items_survey(wide, touchpoint=np.array(list("abcdef"))[place])})
    lines = float((careless(study, "item_0").table()["q"] < 0.05).sum())
    scales = float(scale_mistakes(study).table()["check"].sum())
    return _rows(
        [
            ("straight lines", "flagged", lines, lines, lines, 0.0, 300.0),
            ("scales", "flagged", scales, scales, scales, 0.0, 300.0),
        ]
    )


SCORES = (
    "cxlib/stats",
    "cxlib/rates.py",
    "cxlib/voice/scales.py",
    "cxlib/voice/scores.py",
    "tests/voice/proofs_scores.py",
)
WIDE, RIGHT, FALSE = (0.92, 0.98), (0.92, 0.97), (0.95, 1.0)

CLAIMS = (
    (
        "small_scores",
        "NPS and satisfaction of 30, 100 and 400 customers at five pairs of shares: once each, and one to four "
        "times each with unequal weights (of 30 customers shown, not barred).",
        small_draw,
        dict.fromkeys(("nps", "csat", "nps, weighted and repeated", "csat, weighted and repeated"), WIDE),
        SCORES,
        2000,
        60,
        100,
    ),
    (
        "effort",
        "Means on a scale of 1 to 7, answers spread in seven ways, of 30, 100 and 400 customers.",
        effort_draw,
        {f"ces, {n}": WIDE for n in SIZES},
        SCORES,
        2000,
        20,
        50,
    ),
    (
        "alike",
        "Twelve groups that do not differ, of 10 to 400 answers by the same customers: worlds in which none is "
        "called worse or better than the others.",
        alike_draw,
        {"nps": FALSE, "csat": FALSE, "ces": FALSE},
        SCORES,
        2000,
        12,
        50,
    ),
    (
        "raked",
        "Scores of 100 and 400 customers raked to another population; with the weights taken for a design's, the "
        "interval is too wide.",
        raked_draw,
        {f"{name}, {n}": RIGHT for name in ("nps", "csat") for n in (100, 400)},
        (*SCORES, "cxlib/voice/weights.py"),
        2000,
        60,
        50,
    ),
    (
        "silent",
        "1,200 customers in contact of whom a quarter answers, at random given tier and activity: weighted to all; "
        "as answered it misses.",
        silent_draw,
        {"weighted": RIGHT},
        (*SCORES, "cxlib/voice/weights.py", "cxlib/voice/silence.py", "cxlib/voice/responders.py"),
        2000,
        12,
        20,
    ),
    (
        "attentive",
        "300 attentive customers, eight items, six touchpoints that differ: worlds in which no careless answers and "
        "no mistaken scale are reported.",
        clean_draw,
        {"straight lines": FALSE, "scales": FALSE},
        (*SCORES, "cxlib/voice/careless.py"),
        1000,
        12,
        20,
    ),
)
