"""The long simulations (`make proof`): do our intervals hold the truth as often as they promise?

Each proof draws many small worlds whose truth is known, asks the package for estimates with
intervals, and counts. Worlds are kept in `.proof/`, named after the code that drew them, so that a
run can be stopped and resumed; `reports/proof.html` is the page for readers. CI runs the same
proofs on a few worlds (tests/test_proof.py).

    python -m tests.proof [--worlds N] [--only NAME] [--minutes CPU] [--jobs N] [--out FILE]
"""

from __future__ import annotations

import argparse
import ast
import hashlib
import html
import importlib.util
import inspect
import os
import sys
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import cxlib as cx
from cxlib import stats
from tests import harness

ROOT = Path(__file__).resolve().parents[1]
STORE = ROOT / ".proof"

Band = tuple[float, float]
CLOSED: Band = (0.92, 0.97)
WHOLE: Band = (0.90, 0.99)


@dataclass(frozen=True)
class Proof:
    """A claim about intervals: `draw` makes one world, `bands` says what coverage each result owes.

    A result without a band is shown, not barred. `code` names what, when edited, makes kept worlds
    worthless; `few` is the number of worlds in CI.
    """

    name: str
    chapter: str
    says: str
    draw: Callable[[int], pd.DataFrame]
    bands: dict[str, Band]
    code: tuple[str, ...]
    worlds: int = 2000
    few: int = 12
    chunk: int = 10

    def store(self) -> Path:
        """The folder of this proof's worlds, for the code as it is."""
        digest = hashlib.blake2b(digest_size=6)
        for function in (self.draw, walk_draw, _against, _frame, told, fitted, _difference, _plain):
            digest.update(_meaning(inspect.getsource(function)))
        for part in self.code:
            path = ROOT / part
            for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
                if file.suffix == ".py":
                    digest.update(_meaning(file.read_text("utf-8")))
                elif file.is_file() and file.suffix != ".pyc":  # frozen truth, phrases
                    digest.update(file.read_bytes())
        return STORE / f"{self.name}-{digest.hexdigest()}"


def _meaning(source: str) -> bytes:
    """The code without comments, layout and docstrings: mending a comment must not cost an hour."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list):
            node.body = [part for part in body if not _is_text(part)]  # type: ignore[attr-defined]
    return ast.dump(tree).encode()


def _is_text(node: ast.AST) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


# --- draws without a world: the hall's intervals on their own ----------------------------------


def _frame(result: str, cells: Iterable[object], interval: stats.Interval, **more: Any) -> pd.DataFrame:
    named = pd.DataFrame({"result": result, "cell": [str(cell) for cell in cells]})
    return named.assign(estimate=interval.estimate, low=interval.low, high=interval.high, **more)


def folds_draw(seed: int) -> pd.DataFrame:
    """600 customers, about 8 events each, who differ (intraclass correlation .1): shares and a ratio."""
    rng = np.random.default_rng(seed)
    truth = np.array([0.5, 0.3, 0.15, 0.04, 0.007, 0.003])
    own = rng.dirichlet(truth * 9, 600)
    events = rng.multinomial(rng.poisson(8, 600), own)
    spent = rng.gamma(2.0, 10.0, 600) * events[:, 0]
    fold = rng.integers(0, stats.FOLDS, 600)
    counts = np.zeros((stats.FOLDS, 7))
    np.add.at(counts, fold, np.column_stack([events, spent]))
    shares = stats.shares(counts[:, :6])
    ratio = stats.jackknife(counts, lambda t: t[:, 6] / t[:, 0], scale="log")
    return pd.concat(
        [
            _frame("shares", range(6), shares, truth=truth, expected=600 * 8 * truth),
            _frame(
                "ratio",
                ["spent"],
                stats.Interval(*(np.atleast_1d(x) for x in ratio)),
                truth=20.0,
                expected=2400.0,
            ),
        ]
    )


def voice_draw(seed: int) -> pd.DataFrame:
    """30, 100 and 500 customers who answer one to four times, each near a mind of their own."""
    rng = np.random.default_rng(seed)
    p, d = 0.5, 0.2
    shares = np.array([p, 1 - p - d, d])
    parts = []
    for customers in (30, 100, 500):
        minds = rng.dirichlet(shares * 2, customers)
        who = np.repeat(np.arange(customers), rng.integers(1, 5, customers))
        kind = (rng.random((len(who), 1)) > minds[who].cumsum(axis=1)).sum(axis=1)
        answers = np.array([10, 8, 3])[kind]
        score = cx.collection.nps(answers, clusters=who)
        happy = cx.collection.csat(np.array([5, 3, 1])[kind], 1, 5, clusters=who)
        alone = cx.collection.nps(answers[np.unique(who, return_index=True)[1]])
        rows = (("nps", score, 100 * (p - d)), ("csat", happy, p), ("nps_once", alone, 100 * (p - d)))
        for result, one, truth in rows:
            parts.append((result, customers, one.estimate, one.low, one.high, truth, one.n))
    columns = ["result", "customers", "estimate", "low", "high", "truth", "expected"]
    return pd.DataFrame(parts, columns=columns)


# Two kinds, three in ten of the second, told apart by yes-or-no answers: (how many, P(yes) of the second
# kind; of the first 1 - that). By summing over all answers, .057, .147 and .188 are assigned to the wrong one.
TOLD = ((3, 0.855), (12, 0.635), (6, 0.65))


def told(
    rng: np.random.Generator, persons: int, answers: int, yes: float
) -> tuple[np.ndarray, np.ndarray, pd.DataFrame]:
    """The true kind (0 or 1) of each person, how often they said yes, and memberships from that, by Bayes' rule."""
    kind = (rng.random(persons) < 0.3).astype(int)
    said = rng.binomial(answers, np.where(kind, yes, 1 - yes))
    odds = 0.3 / 0.7 * (yes / (1 - yes)) ** (2.0 * said - answers)
    return kind, said, _two(odds / (1 + odds))


def _two(second: np.ndarray) -> pd.DataFrame:
    return pd.DataFrame({"person": np.arange(len(second)), "first": 1 - second, "second": second})


def fitted(said: np.ndarray, answers: Any, yes: float, known: bool = False) -> pd.DataFrame:
    """Memberships from a mixture of two binomials, fitted by EM from the truth; `known`: its size alone."""
    size, chance = 0.3, np.array([1 - yes, yes])
    for _ in range(100):
        odds = size / (1 - size) * (chance[1] / chance[0]) ** said
        odds *= ((1 - chance[1]) / (1 - chance[0])) ** (answers - said)
        second = odds / (1 + odds)
        size = second.mean()
        if not known:
            weights = np.array([1 - second, second])
            chance = (weights @ said + 0.1) / (weights @ (answers + np.zeros(len(said))) + 0.2)
    return _two(second)


def _difference(given: pd.DataFrame, values: pd.DataFrame, outcome: str, **more: Any) -> pd.DataFrame:
    """The second kind less the first, corrected; as one row for `pd.concat`."""
    table = stats.correct(values[["person", outcome, *more.values()]], given, against="first", **more).table()
    return table[["estimate", "low", "high"]]


def _plain(given: pd.DataFrame, outcome: pd.Series) -> pd.DataFrame:
    """The same of those assigned, with the interval that is usual for two groups."""
    mean, square = (outcome.groupby(given["second"] > 0.5).agg(what) for what in ("mean", "sem"))
    gap, reach = mean[True] - mean[False], 1.96 * float(np.sqrt((square**2).sum()))
    return pd.DataFrame({"estimate": [gap], "low": gap - reach, "high": gap + reach})


def strata_draw(seed: int) -> pd.DataFrame:
    """800 persons of two kinds; the more active answer more often, so are told apart better, and spend more.

    Once the kinds are equally active, once the second is more active by .5 on the log scale; the memberships
    know nothing of that, as those of `personas` do not.
    """
    rng = np.random.default_rng(seed)
    parts = []
    for more in (0.0, 0.5):
        for yes in (0.75, 0.65, 0.61):
            kind = (rng.random(800) < 0.3).astype(int)
            activity = rng.gamma(2.5, 0.4, 800) * np.exp(more * kind)
            answers = 1 + rng.poisson(12 * activity)
            said = rng.binomial(answers, np.where(kind, yes, 1 - yes))
            spent = 0.5 * kind + np.log(activity) + rng.normal(0, 1, 800)
            values = pd.DataFrame({"person": np.arange(800), "spent": spent, "answers": answers})
            given, learnt = (fitted(said, answers, yes, known) for known in (True, False))
            found = {
                "strata": _difference(given, values, "spent", strata="answers"),
                "strata, fitted": _difference(learnt, values, "spent", strata="answers"),
                "no strata": _difference(given, values.drop(columns="answers"), "spent"),
                "uncorrected": _plain(given, values["spent"]),
            }
            cell = f"{yes}, {'second kind more active' if more else 'equally active'}"
            parts += [
                one.assign(result=name, cell=cell, truth=0.5 + more, expected=240.0)
                for name, one in found.items()
            ]
    return pd.concat(parts)


def correction_draw(seed: int) -> pd.DataFrame:
    """800 persons of two kinds, told apart ever worse: means, ratios, effects and differences, corrected or not."""
    rng = np.random.default_rng(seed)
    parts = []
    for answers, yes in TOLD:
        kind, said, given = told(rng, 800, answers, yes)
        treated = rng.random(800) < 0.5
        orders = rng.poisson(1.0 + kind)
        values = pd.DataFrame(
            {
                "person": given["person"],
                "spent": kind + rng.normal(0, 1, 800) + kind * treated,
                "revenue": rng.gamma(4 * orders + 1e-9, np.where(kind, 5.0, 3.0)),
                "orders": orders,
            }
        )
        arms = pd.DataFrame({"person": given["person"], "t": 1.0 * treated, "c": 1.0 - treated})
        arms["yt"], arms["yc"] = values["spent"] * arms["t"], values["spent"] * arms["c"]
        mean = stats.correct(values[["person", "spent"]], given).table()
        ratio = stats.correct(values[["person", "revenue", "orders"]], given, per="orders").table()
        effect = stats.corrected(arms, given, lambda c: c[..., 3] / c[..., 1] - c[..., 4] / c[..., 2])
        assigned = [values["spent"][(given["second"] > 0.5) == side] for side in (False, True)]
        plain = np.array([(y.mean(), y.sem()) for y in assigned]).T
        naive = stats.Interval(plain[0], plain[0] - 1.96 * plain[1], plain[0] + 1.96 * plain[1], plain[1])
        more = {"expected": np.array([560.0, 240.0])}
        cells = [f"{answers} answers > {name}" for name in ("first", "second")]
        learnt = fitted(said, answers, yes)
        for result, row in (
            ("differences", _difference(given, values, "spent")),
            ("differences, fitted", _difference(learnt, values, "spent")),
            ("differences, uncorrected", _plain(given, values["spent"])),
        ):
            parts.append(row.assign(result=result, cell=f"{answers} answers", truth=1.5, expected=240.0))
        for result, one, truth in (
            ("means", _interval(mean), [0.0, 1.5]),
            ("ratios", _interval(ratio), [12.0, 20.0]),
            ("effects", effect, [0.0, 1.0]),
            ("uncorrected", naive, [0.0, 1.5]),
        ):
            parts.append(_frame(result, cells, one, truth=np.array(truth), **more))
    return pd.concat(parts)


def _interval(table: pd.DataFrame) -> stats.Interval:
    return stats.Interval(*(table[name].to_numpy(float) for name in ("estimate", "low", "high", "estimate")))


# --- draws of the simulated company ------------------------------------------------------------


def walk_draw(seed: int, faults: bool = False) -> pd.DataFrame:
    """600 customers of the simulated company, every result of the first walk against its truth."""
    from cxlib.world import simulate

    world = simulate(600, seed, faults=faults, respond="model" if faults else "all")
    study = cx.open_study(world.tables)
    attribution = cx.journeys.markov(study, conversion=("web_purchase", "app_purchase", "store_purchase"))
    effects = attribution.removal_effects().assign(n=attribution.conversions)
    tables = {
        "transitions": cx.journeys.transitions(study).table(),
        "steps": cx.journeys.steps(study).table(),
        "switches": cx.journeys.switches(study).table(),
        "funnel": cx.journeys.funnel(study).table().drop(columns="name"),
        "markov": effects,
        "nps": cx.collection.scores(study, "nps").table(),
    }
    truths = {name: world.truth(name) for name in tables}
    # Everybody at the first step is at the first step: no interval can miss that, so it is not counted.
    for frames in (tables, truths):
        frames["funnel"] = frames["funnel"].query("step > 1")
    return pd.concat([_against(name, table, truths[name]) for name, table in tables.items()])


def _against(result: str, table: pd.DataFrame, truth: pd.DataFrame) -> pd.DataFrame:
    """Every cell of the truth with its estimate; the expected count is the row's n times the truth."""
    if result == "funnel":  # everybody at step 1 is at step 1: that is no test
        truth = truth[truth["step"] > 1].drop(columns="name")
    keys = [column for column in truth.columns if column != "truth"]
    merged = truth.merge(table, on=keys, how="left")
    n = merged["n"] if len(keys) == 1 else merged["n"].fillna(merged.groupby(keys[0])["n"].transform("max"))
    share = 1.0 if result == "nps" else merged["truth"]
    return pd.DataFrame(
        {
            "result": result,
            "cell": merged[keys].astype(str).agg(" > ".join, axis=1),
            **{name: merged[name] for name in ("estimate", "low", "high", "truth")},
            "expected": (n * share).fillna(0.0),
        }
    )


def faulty_draw(seed: int) -> pd.DataFrame:
    """The same with duplicates, late events, shared devices, bots and people who do not answer."""
    return walk_draw(seed, faults=True)


def whole_draw(seed: int, faults: bool = True) -> pd.DataFrame:
    """5,000 customers, the data as they come: what chapters 4 and 5 say of effects and value against the truth."""
    from cxlib.world import simulate

    world = simulate(5000, seed, faults=faults)
    study = cx.open_study(world.tables)
    metrics, parts = ["orders", "margin", "bought"], []
    for trial, days in (("aa_spring", 60), ("home_page", 60), ("checkout", 60), ("email_frequency", 90)):
        effects = cx.experiments.analyze(study, trial, metrics, f"{days} D").table()
        keyed = effects.rename(columns={"arm": "variant"}).assign(experiment=trial)
        parts.append(_cells("effects", keyed, world.truth("experiments")))
    value = cx.revenue.realised(study).table().rename(columns={"persona": "kind"})
    parts.append(_cells("value", value, world.truth("value")))
    built = (
        ("failure", "service_failure", cx.revenue.service_failure),
        ("link", "adoption", cx.revenue.adoption),
    )
    for result, name, ladder in built:
        for _, rung in ladder(study).table().iterrows():
            label = result if rung["rung"] == "identified" else f"{result}, {rung['rung']}"
            frame = pd.DataFrame([{**rung, "measure": "effect"}])
            parts.append(_cells(label, frame, world.truth(name)))
    return pd.concat(parts, ignore_index=True)


def _cells(result: str, table: pd.DataFrame, truth: pd.DataFrame) -> pd.DataFrame:
    """The rows of a table whose truth is known; all of them rest on hundreds of customers."""
    keys = [name for name in truth.columns if name != "truth"]
    found = table.merge(truth, on=keys)
    cell = found[keys].astype(str).agg(" > ".join, axis=1)
    numbers = {name: found[name] for name in ("estimate", "low", "high", "truth")}
    return pd.DataFrame({"result": result, "cell": cell, **numbers, "expected": float(stats.ENOUGH)})


def persona_draw(seed: int) -> pd.DataFrame:
    """5,000 customers, personas found in what they did before an experiment, its effects within each.

    A persona is named after the kind that most of its customers are of, for scoring only; where that names one
    kind twice, or another number of kinds was found, there is nothing to score.
    """
    from cxlib.world import simulate

    world = simulate(5000, seed)
    study = cx.open_study(world.tables)
    before = cx.personas.memberships(study, until="2025-07-01")
    likeliest = before.set_index("person").idxmax(axis=1)
    kinds = world.who.set_index("customer_id")["kind"].reindex(likeliest.index)
    named = kinds.groupby(likeliest).agg(lambda of: of.mode().iloc[0])
    found = cx.experiments.analyze(study, "home_page", ["orders"], "60 D", memberships=before).personas
    columns = ["result", "cell", "estimate", "low", "high", "truth", "expected"]
    if found is None or len(named) != world.who["kind"].nunique() or not named.is_unique:
        return pd.DataFrame(columns=columns)
    table = found.table().rename(columns={"arm": "variant"})
    table = table.assign(experiment="home_page", kind=table["persona"].map(named))
    return _cells("effects by persona", table, world.truth("experiments_by_kind"))


WALK = (
    "cxlib/stats",
    "cxlib/study/people.py",
    "cxlib/study/log.py",
    "cxlib/journeys/folded.py",
    "cxlib/journeys/counts.py",
    "cxlib/journeys/funnels.py",
    "cxlib/journeys/attribution.py",
    "cxlib/rates.py",
    "cxlib/voice/scales.py",
    "cxlib/voice/scores.py",
    "cxlib/world",
)

LATER = ("cxlib/stats", "cxlib/study", "cxlib/experiments", "cxlib/revenue", "cxlib/world")


def _claimed(chapter: str, path: Path) -> tuple[Proof, ...]:
    """The proofs that a file beside a room's tests claims, as tuples of the fields of `Proof`."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module  # dataclasses look themselves up there
    spec.loader.exec_module(module)
    return tuple(Proof(name, chapter, *rest) for name, *rest in module.CLAIMS)


PROOFS: tuple[Proof, ...] = (
    Proof(
        "folds",
        "The hall",
        "Shares and a ratio from customer folds, where one customer's events resemble each other.",
        folds_draw,
        {"shares": CLOSED, "ratio": CLOSED},
        ("cxlib/stats",),
        few=150,
        chunk=100,
    ),
    Proof(
        "voice",
        "The hall",
        "NPS and satisfaction of 30, 100 and 500 customers who answer one to four times each "
        "(nps_once: one answer each).",
        voice_draw,
        {"nps": CLOSED, "csat": CLOSED, "nps_once": CLOSED},
        ("cxlib/stats", "cxlib/voice/scales.py", "cxlib/voice/scores.py"),
        few=150,
        chunk=100,
    ),
    Proof(
        "correction",
        "The hall",
        "Means, ratios, effects and differences of 800 customers of two kinds, with 6, 14 and 19 in 100 assigned "
        "to the wrong one, corrected for that; uncorrected: those assigned; fitted: the memberships are those of "
        "a mixture fitted to these customers, which the interval does not know.",
        correction_draw,
        {"means": CLOSED, "ratios": CLOSED, "effects": CLOSED, "differences": CLOSED},
        ("cxlib/stats",),
        few=100,
        chunk=100,
    ),
    Proof(
        "strata",
        "The hall",
        "Differences between two kinds among 800 customers of whom the more active are told apart better and "
        "spend more: corrected within strata of activity, without strata, and uncorrected.",
        strata_draw,
        {"strata": CLOSED},
        ("cxlib/stats",),
        few=40,
        chunk=100,
    ),
    Proof(
        "walk",
        "Collection and journeys",
        "Every result of the first walk on 600 customers of the simulated company, the data clean and "
        "everybody asked answering. Bands: 92 to 97 %; removal effects 90 to 98 %.",
        walk_draw,
        {
            "transitions": CLOSED,
            "steps": CLOSED,
            "switches": CLOSED,
            "funnel": CLOSED,
            "nps": CLOSED,
            "markov": (0.90, 0.98),
        },
        WALK,
    ),
    Proof(
        "faults",
        "Collection and journeys",
        "The same results on the data as they come: duplicates, late events, clock skew, shared devices, "
        "bots, visits before sign-in, and only some who answer. The intervals know of sampling, not of "
        "this: the gap is shown, not barred.",
        faulty_draw,
        {},
        WALK,
        worlds=200,
        few=3,
    ),
    Proof(
        "whole",
        "The whole walk",
        "5,000 customers of the simulated company, the data as they come: effects of four experiments, what a "
        "customer was worth, what a failed contact and a linked card change. Bands: 90 to 99 %. What only "
        "compares or adjusts is shown, and misses.",
        whole_draw,
        {"effects": WHOLE, "value": WHOLE, "failure": WHOLE, "link": WHOLE},
        LATER,
        worlds=200,
        few=3,
        chunk=5,
    ),
    Proof(
        "personas",
        "The whole walk",
        "5,000 customers: personas found in half a year, and the effects of the experiment after it within "
        "each, corrected for wrong assignment. Shown, not barred: the correction takes wrong assignment to have "
        "nothing to do with the outcome, and the most active are assigned best.",
        persona_draw,
        {},
        (*LATER, "cxlib/customers", "cxlib/personas"),
        worlds=50,
        few=2,
        chunk=5,
    ),
    *(
        proof
        for path in sorted((ROOT / "tests").glob("*/proofs_*.py"))
        for proof in _claimed("Personas" if path.parent.name == "personas" else "The voice", path)
    ),
)


def proof(name: str) -> Proof:
    """The proof of that name."""
    return next(one for one in PROOFS if one.name == name)


# --- running -----------------------------------------------------------------------------------


def base() -> int:
    """Where seeds begin."""
    return int(os.environ.get("CXLIB_SEED", "0"))


def _fill(name: str, store: Path, start: int, stop: int) -> float:
    """Worlds start to stop - 1 into the store, in a process of its own; CPU seconds spent."""
    began, one = time.process_time(), proof(name)
    harness.coverage(one.draw, stop - start, base() + start, store=store, chunk=one.chunk)
    return time.process_time() - began


def run(one: Proof, worlds: int, seconds: float, jobs: int, say: Callable[[str], object]) -> harness.Coverage:
    """Draw what the store lacks, on `jobs` processes, within `seconds` of CPU; then count."""
    first, store, spent = base(), one.store(), 0.0
    chunks = [(start, min(start + one.chunk, worlds)) for start in range(0, worlds, one.chunk)]

    def kept(chunk: tuple[int, int]) -> bool:
        return (store / f"{first + chunk[0]}-{first + chunk[1] - 1}.parquet").exists()

    todo = [chunk for chunk in chunks if not kept(chunk)]
    # A fresh process every few chunks: engines in memory give nothing back.
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn"), max_tasks_per_child=10) as pool:
        for place in range(0, len(todo), jobs):
            if place and spent > seconds:
                say(f"\n{one.name}: out of its CPU time; the next run goes on from here")
                break
            waiting = [pool.submit(_fill, one.name, store, *chunk) for chunk in todo[place : place + jobs]]
            spent += sum(task.result() for task in waiting)
            done = one.chunk * sum(kept(chunk) for chunk in chunks)
            say(f"\r{one.name}: {min(done, worlds):,} of {worlds:,} worlds, {spent / 60:.1f} CPU minutes ")
    say("\n")
    return harness.coverage(one.draw, worlds, first, store=store, chunk=one.chunk, seconds=0.0)


def verdicts(one: Proof, bar: harness.Coverage) -> pd.DataFrame:
    """One row a result: what was promised, what was found, and whether that will do."""
    table = bar.table().copy()
    bands = [one.bands.get(name) for name in table["result"]]
    table["band"] = [f"{100 * b[0]:.0f}-{100 * b[1]:.0f} %" if b else "shown only" for b in bands]
    table["verdict"] = [
        ""
        if b is None
        else "held"
        if bar.within(*b, name)
        else "rejected"
        if bar.rejects(*b, name)
        else "outside"
        for b, name in zip(bands, table["result"], strict=True)
    ]
    return table


# --- the page ----------------------------------------------------------------------------------

_STYLE = """
:root{color-scheme:light dark;--ink:#1f2933;--faint:#e4e7eb;--paper:#fff;--quiet:#52606d}
:root{--bad:#b42318;--good:#066b4f}
@media(prefers-color-scheme:dark){
:root{--ink:#e4e7eb;--faint:#3e4c59;--paper:#14191f;--quiet:#9aa5b1;--bad:#ff9a8d;--good:#6ee7b7}}
body{font:16px/1.55 system-ui,sans-serif;color:var(--ink);background:var(--paper)}
main{max-width:62rem;margin:2rem auto;padding:0 1rem}
h1{font-size:1.6rem}h2{font-size:1.2rem;margin-top:2.2rem}.quiet,caption{color:var(--quiet)}
.wide{overflow-x:auto}table{border-collapse:collapse;width:100%;margin:.8rem 0}
caption{text-align:left;padding-bottom:.3rem}
th,td{padding:.3rem .6rem;border-bottom:1px solid var(--faint);text-align:right}
th:first-child,td:first-child{text-align:left}
.held{color:var(--good);font-weight:600}.rejected,.outside{color:var(--bad);font-weight:600}
"""

_INTRODUCTION = f"""
<h1>Do the intervals hold what they promise?</h1>
<p>Each row was found by simulation: worlds were drawn whose truth is known, the package estimated it
with its 95 % intervals, and we counted how often these held the truth. Coverage is averaged over the
cells with an expected count of at least {stats.ENOUGH}; a missing or unknown interval counts as a miss.</p>
<p><em>Held</em>: the coverage lies in the band. <em>Outside</em>: it does not, but by so little that
chance may have done it. <em>Rejected</em>: the whole band is ruled out (a binomial test at .001 in
which worlds, not cells, are the independent units). Widths and biases are in the result's own unit:
shares from 0 to 1, net promoter scores in points.</p>
"""


def page(found: list[tuple[Proof, harness.Coverage]]) -> str:
    """A self-contained page of every proof run."""
    body, chapter = [_INTRODUCTION], ""
    for one, bar in found:
        if one.chapter != chapter:
            chapter = one.chapter
            body.append(f"<h2>{html.escape(chapter)}</h2>")
        body.append(_section(one, bar))
    body.append(
        f'<p class="quiet">cxlib {html.escape(cx.__version__)}, seeds from {base()}. Made by '
        "<code>make proof</code>, which keeps its worlds in <code>.proof</code> and resumes there.</p>"
    )
    policy = "default-src 'none'; style-src 'unsafe-inline'"
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Coverage of the intervals</title>'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<style>{_STYLE}</style></head><body><main>{''.join(body)}</main></body></html>"
    )


def _section(one: Proof, bar: harness.Coverage) -> str:
    heads = ["result", "coverage", "its own range", "band", "verdict"]
    heads += ["cells", "worst cell", "mean width", "mean bias"]
    rows = []
    for row in verdicts(one, bar).to_dict("records"):
        mine = bar.cells[(bar.cells["result"] == row["result"]) & bar.cells["scored"]]
        values = [
            html.escape(str(row["result"])),
            f"{100 * row['estimate']:.1f} %",
            f"{100 * row['low']:.1f} to {100 * row['high']:.1f} %",
            html.escape(row["band"]),
            f'<span class="{row["verdict"]}">{row["verdict"] or "-"}</span>',
            f"{row['cells']:,}",
            f"{100 * mine['estimate'].min():.1f} %",
            f"{row['width']:.4g}",
            f"{row['bias']:+.2g}" if abs(row["bias"]) > 1e-4 * row["width"] else "0",
        ]
        rows.append("<tr>" + "".join(f"<td>{value}</td>" for value in values) + "</tr>")
    head = "".join(f'<th scope="col">{name}</th>' for name in heads)
    caption = f"{html.escape(one.says)} {bar.worlds:,} worlds."
    return (
        f'<div class="wide" tabindex="0"><table><caption>{caption}</caption>'
        f"<thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table></div>"
    )


def main(arguments: list[str] | None = None) -> int:
    """Run every proof (or `--only` one) and write the page; 1 if a band is not held."""
    parser = argparse.ArgumentParser(prog="python -m tests.proof", description=(__doc__ or "").split("\n")[0])
    parser.add_argument(
        "--worlds", type=int, default=int(os.environ.get("CXLIB_WORLDS", "0")), help="worlds a proof"
    )
    parser.add_argument("--only", action="append", choices=[one.name for one in PROOFS])
    parser.add_argument("--minutes", type=float, default=60.0, help="CPU minutes a chapter, at most")
    parser.add_argument("--jobs", type=int, default=min(os.cpu_count() or 1, 4))
    parser.add_argument("--out", type=Path, default=ROOT / "reports" / "proof.html")
    asked = parser.parse_args(arguments)
    left: dict[str, float] = {}
    found = []
    for one in PROOFS:
        if asked.only and one.name not in asked.only:
            continue
        budget = left.setdefault(one.chapter, 60 * asked.minutes)
        worlds = min(asked.worlds or one.worlds, one.worlds)
        began = _cpu()
        bar = run(one, worlds, budget, max(asked.jobs, 1), sys.stderr.write)
        left[one.chapter] = budget - (_cpu() - began)
        found.append((one, bar))
    asked.out.parent.mkdir(parents=True, exist_ok=True)
    aside = asked.out.with_suffix(f".{os.getpid()}.tmp")
    aside.write_text(page(found), encoding="utf-8")
    aside.replace(asked.out)
    failed = 0
    for one, bar in found:
        table = verdicts(one, bar)
        failed += int(table["verdict"].isin(["rejected", "outside"]).sum())
        sys.stdout.write(f"\n{one.name}: {bar.worlds:,} worlds\n")
        sys.stdout.write(table.drop(columns=["trials"]).round(4).to_string(index=False) + "\n")
    sys.stdout.write(f"\n{asked.out}\n")
    return 1 if failed else 0


def _cpu() -> float:
    mine = os.times()
    return mine.user + mine.system + mine.children_user + mine.children_system


if __name__ == "__main__":
    raise SystemExit(main())
