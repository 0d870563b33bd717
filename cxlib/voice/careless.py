"""Answers that may not be what they seem: given without reading, or on another scale than the study says.

Evidence only, for somebody to check: nothing is left out or mended here.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy import optimize

from cxlib import stats
from cxlib.rates import Counts, answerer, grouped
from cxlib.results import EVERYWHERE, TOO_FEW, nice, percent, visible
from cxlib.stats import Array
from cxlib.stats import laws as distributions
from cxlib.study import Study
from cxlib.voice.scales import Measure, asked
from cxlib.voice.scores import asked_of, said

SECONDS = ("seconds", "duration_s", "duration")
"""Columns of `surveys` that may say how long a response took, in seconds; the first there is is used."""
ITEMS, LETTERS = 4, 20
"""Items that a straight line has at least, and letters of a comment that can be copied."""
RULES = {
    "straight line": "every one of four items or more, on one scale, has the same answer",
    "too fast": "under 2 seconds an item, or under a third of the median time a response of its length took",
    "word for word": "a comment the customer gave before, or one that comes with the same answers elsewhere",
}
COUNTS = ["estimate", "low", "high", "n", "customers"]


def careless(study: Study, question: str | None = None) -> Counts:
    """Which responses look as if nobody had read the questions: straight lines, too fast, word for word.

    Rules (`RULES`): all items equal, for at least four items of one scale (Johnson 2005, J. Research in
    Personality 39); where `surveys` has a column seconds, duration_s or duration, too fast (Huang et al.
    2012, J. Business and Psychology 27: 2 seconds an item); comments and answers repeated word for word.

    Content customers also answer alike. So straight lines are compared with what attentive customers
    would give: one opinion behind all items (normal; items correlated as observed), and each item's own
    shares. The customers are the clusters. `question`: whose score is shown with and without them; else
    the first of `asked(study)`.

    One row a rule that could be tried: estimate (share of the `n` responses it could be tried on), low, high,
    customers, count, expected (share that attentive customers would give; NaN where the rule has no such
    number), q (that it is no more than that), score and without (the question's score, with all responses
    and without those of this rule).
    """
    surveys = study.table("surveys", needed_by="careless")
    question = question or next(iter(asked(study)), "")
    kind = asked_of(study, question)[1] if question else None
    seconds = [name for name in SECONDS if name in surveys.columns][:1]
    columns = ["response_id", "question", "score", "scale_min", "scale_max", "comment", "weight", *seconds]
    rows = study.fetch(surveys.select(*columns, person=answerer(surveys)))
    rows = rows.sort_values(["response_id", "question"], ignore_index=True)
    answers = rows[(rows["question"] == question) & rows["score"].notna()]
    person = rows.groupby("response_id")["person"].first()
    table = []
    found = (_straight(rows), _fast(rows, seconds), _copied(rows))
    for rule, (flags, expected) in zip(RULES, found, strict=True):
        if len(flags):
            share = stats.Clustered.of(flags, clusters=person.reindex(flags.index))
            p, n = float(share.ratio), share.effective(share.ratio * (1 - share.ratio))
            interval = stats.wilson(p * n, n, df=share.df)
            least = max(expected * (1 - expected) / len(flags), 1e-12)  # a variance of 0 proves nothing
            q = distributions.norm.sf((p - expected) / np.sqrt(np.fmax(share.variance, least)))
            left = answers[~answers["response_id"].isin(flags.index[flags])]
            size = (len(flags), int(share.clusters), int(flags.sum()))
            tested = (expected, float(q), _score(answers, kind), _score(left, kind))
            table.append((rule, p, float(interval.low), float(interval.high), *size, *tested))
    names = ["rule", *COUNTS, "count", "expected", "q", "score", "without"]
    unit = kind.unit if kind else ""
    frame = pd.DataFrame(table, columns=names)
    shares = ("estimate", "expected", *(("score", "without") if unit == "share" else ()))
    return Counts(frame, _say(frame, question, unit), shares)


def _say(frame: pd.DataFrame, question: str, unit: str) -> str:
    found = []
    for row in visible(frame).to_dict("records"):
        text = f"{row['rule']}: {percent(row['estimate'])} of {row['n']:,} responses"
        if np.isfinite(row["expected"]):
            more = "more than" if row["q"] < 0.05 else "no more than"
            text += f", {more} the {percent(row['expected'])} of attentive customers"
        if row["count"] and np.isfinite(row["without"]):
            text += f" ({question} {said(row['score'], unit)}, without them {said(row['without'], unit)})"
        found.append(text)
    if found:
        seen = visible(frame)["count"].any()
        return (
            "; ".join(found).capitalize() + "." + " To be looked at, not to be deleted unseen." * bool(seen)
        )
    nothing = "Nothing to judge by: no response has four items, a time or a comment."
    return str(TOO_FEW) if len(frame) else nothing


def _score(answers: pd.DataFrame, kind: Measure | None) -> float:
    if kind is None or not len(answers):
        return float("nan")
    up, down = kind.sides(answers["score"].to_numpy(float))
    weights = answers["weight"].to_numpy(float, na_value=np.nan)
    return float(kind.told(np.asarray(np.average(up - down, weights=np.nan_to_num(weights, nan=1.0)))))


Flags = tuple[pd.Series, float]
"""A flag a response, by its id, and the share expected of attentive customers (NaN: no such number)."""
NONE: Flags = (pd.Series(dtype=bool), float("nan"))


def _straight(rows: pd.DataFrame) -> Flags:
    given = rows[rows["score"].notna() & (rows["scale_max"] - rows["scale_min"]).between(1, 10)]
    scale = given.groupby(["scale_min", "scale_max"])["score"]
    given = given[scale.transform("size") == scale.size().max()]  # the scale that most answers are on
    given = given[given.groupby("response_id")["score"].transform("size") >= ITEMS]
    if not len(given):
        return NONE
    wide = given.pivot_table(index="response_id", columns="question", values="score")
    return wide.max(axis=1) == wide.min(axis=1), _attentive(wide.to_numpy(float))


def _attentive(answers: Array) -> float:
    """The share of straight lines if one opinion lay behind each response's items, as far as they correlate.

    An ordinal probit factor with equal loadings: thresholds from each item's shares, the loading from the
    mean covariance of two items of one response; integrals by Gauss and Hermite.
    """
    there = np.isfinite(answers).astype(float)
    values = np.unique(answers[there > 0])
    count = np.stack([(answers == value).sum(axis=0) for value in values])
    upper = distributions.norm.ppf(np.minimum(np.cumsum(count / count.sum(axis=0), axis=0), 1))[:, :, None]
    at, mass = np.polynomial.hermite_e.hermegauss(61)
    mass = mass / mass.sum()
    centred = np.nan_to_num(answers - np.nanmean(answers, axis=0))
    pairs = there.T @ there
    np.fill_diagonal(pairs, 0)
    seen = (centred.T @ centred * (pairs > 0)).sum()

    def chances(loading: float) -> Array:
        """(values, items, nodes): chance of each answer under each opinion."""
        cut = (upper - np.sqrt(loading) * at) / np.sqrt(1 - loading)
        return np.diff(distributions.norm.cdf(cut), axis=0, prepend=0.0)

    def excess(loading: float) -> float:
        mean = np.einsum("v,vit->it", values, chances(loading))
        mean -= (mean * mass).sum(axis=1, keepdims=True)
        return float(((mean * mass) @ mean.T * pairs).sum() - seen)

    ends = (0.0, 0.99)
    inside = excess(ends[0]) < 0 < excess(ends[1])
    loading = float(optimize.brentq(excess, *ends)) if inside else ends[int(seen > 0)]
    log = np.log(np.maximum(chances(loading), 1e-300))
    asked_alike, times = np.unique(there, axis=0, return_counts=True)
    alike = np.exp(np.einsum("ri,vit->rvt", asked_alike, log)) @ mass
    return float(times @ alike.sum(axis=1) / len(answers))


def _fast(rows: pd.DataFrame, seconds: list[str]) -> Flags:
    by = rows[rows["score"].notna()].groupby("response_id")
    if not seconds or not len(by):
        return NONE
    took = pd.to_numeric(by[seconds[0]].max(), errors="coerce").dropna()
    items = by.size().reindex(took.index)
    return (took < 2 * items) | (took < took.groupby(items).transform("median") / 3), float("nan")


def _copied(rows: pd.DataFrame) -> Flags:
    comment = rows["comment"].fillna("").astype(str).str.strip().str.casefold()
    rows = rows.assign(comment=comment.where(comment.str.len() >= LETTERS, ""))
    rows = rows[rows["response_id"].isin(rows.loc[rows["comment"] != "", "response_id"])]
    answers = rows["question"].astype(str) + "=" + rows["score"].astype(float).map("{:g}".format).astype(str)
    by = rows.assign(answers=answers).groupby("response_id")
    each = pd.DataFrame({name: by[name].max() for name in ("person", "comment")})
    each["answers"] = by["answers"].agg(" ".join)
    before = each.duplicated(["person", "comment"]) | each.duplicated(["comment", "answers"], keep=False)
    return before, float("nan")


# --- other scales than stated ---------------------------------------------------------------------

LEAST = 20
"""Customers a group must have for its use of a scale to be judged."""
CHECKS = {
    "lowest never used": "are answers shifted up by one, or on a scale that begins one higher (1 to 10, 1 to 11)?",
    "highest never used": "are answers shifted down by one, or on a scale that ends one lower?",
    "0 as blank": "does 0 stand for not answered?",
    "reversed": "is the best answer the lowest number?",
}


def scale_mistakes(study: Study, by: str = "touchpoint") -> Counts:
    """Signs that a question, or one group's answers to it, are on another scale than `surveys` says.

    `by` as in `scores`. Each group of at least 20 customers is compared with all other answers to the
    question, after letting these be as content as the group (their shares times exp(a x score)); the whole
    question is compared with careful guesses (of those at the last two steps a fifth are at the last; of
    those at 0, 1 and 2 at most 85 % are at 0). All signs together at a false discovery rate of 5 %, customers
    counted and not answers:

    - an end of the scale (of 5 to 11 steps) never used that others would have used;
    - 0 as blank: 0s, but neither 1 nor 2, where elsewhere there are;
    - reversed: what customers answer here goes against their other answers of the same response, and
      elsewhere with them (not seen where all of a group's questions are reversed; of two questions that
      were asked together and with no other, both are named).

    One row a sign seen, question and group ("(all)": the question as a whole), the clearest first: estimate
    (share of answers at the end; of 0s among 0, 1 and 2; correlation), low, high, n, customers, expected (the
    same elsewhere), q, check (whether somebody should look). Nothing is mended.

    Raises MissingTable without `surveys`, CxLookupError for a grouping that is not there.
    """
    surveys = grouped(study, by, needed_by="scale_mistakes")
    chosen = surveys.filter(surveys["score"].notnull() & (surveys["scale_max"] > surveys["scale_min"]))
    columns = ("response_id", "question", "score", "scale_min", "scale_max", "group_")
    rows = study.fetch(chosen.select(*columns, person=answerer(chosen)))
    rows["place"] = (rows["score"] - rows["scale_min"]) / (rows["scale_max"] - rows["scale_min"])
    response = rows.groupby("response_id")["place"]
    others = response.transform("size") - 1
    rows["other"] = (response.transform("sum") - rows["place"]) / others.where(others > 0)
    whole = {str(name): _correlation(part)[0] for name, part in rows.groupby("question")}
    found, tests = [], 0
    for question, part in rows.groupby("question"):
        usual = pd.Series(whole).drop(question).median()
        groups = [(EVERYWHERE, part, part.iloc[:0])]
        groups += [(str(name), of, part[part["group_"] != name]) for name, of in part.groupby("group_")]
        for group, mine, rest in groups:
            size = (len(mine), mine["person"].nunique())
            if size[1] < LEAST or (group != EVERYWHERE and rest["person"].nunique() < LEAST):
                continue
            tests += len(CHECKS)
            signs = [*_ends(mine, rest, size[1]), *_reversed(mine, rest, usual)]
            found += [(question, group, name, *ends, *size, *more) for name, ends, more in signs]
    names = ["question", by, "mistake", *COUNTS, "expected", "q"]
    frame = pd.DataFrame(found, columns=names)
    # What was looked for and not seen counts as a test as well.
    unseen = np.ones(tests - len(frame))
    frame["q"] = stats.benjamini_hochberg(np.r_[frame["q"].to_numpy(float), unseen])[: len(frame)]
    frame = frame.assign(check=frame["q"] < 0.05).sort_values(["q", "question", by], ignore_index=True)
    told = [
        f"{nice(row['question'])}{'' if row[by] == EVERYWHERE else f', {nice(row[by])}'} "
        f"({row['mistake']}): {CHECKS[row['mistake']]}"
        for row in visible(frame).query("check").head(5).to_dict("records")
    ]
    none = "No group of answers looks as if given on another scale than stated."
    return Counts(frame, f"To check before any score is read: {' '.join(told)}" if told else none, ())


Sign = tuple[str, tuple[float, float, float], tuple[float, float]]
"""A mistake, its estimate with low and high, what is expected, and the p-value."""


def _ends(mine: pd.DataFrame, rest: pd.DataFrame, customers: int) -> list[Sign]:
    """Signs in how often each step of the scale was given."""
    ends = mine[["scale_min", "scale_max"]].drop_duplicates().to_numpy(float)
    low, high = ends[0]
    if len(ends) > 1 or not 4 <= high - low <= 10 or (mine["score"] % 1).any():
        return []
    steps = np.arange(low, high + 1)
    count, other = (of["score"].value_counts().reindex(steps, fill_value=0).to_numpy() for of in (mine, rest))
    people = mine.groupby("score")["person"].nunique().reindex(steps, fill_value=0).to_numpy()
    usual = _as_content(other + 0.5, count)
    none, signs = float(stats.wilson(0.0, customers).high), []
    for end, beside, mistake in ((0, 1, "lowest never used"), (-1, -2, "highest never used")):
        if not count[end]:
            p = (1 - usual[end]) ** customers if len(rest) else 0.8 ** people[beside]
            signs.append((mistake, (0.0, 0.0, none), (float(usual[end]) if len(rest) else np.nan, float(p))))
    if low == 0 and count[0] and not count[1:3].any():
        share = max(usual[0] / usual[:3].sum(), 0.5) if len(rest) else 0.85
        low = float(stats.wilson(people[0], people[0]).low)
        signs.append(("0 as blank", (1.0, low, 1.0), (float(share), float(share ** people[0]))))
    return signs


def _as_content(others: Array, count: Array) -> Array:
    """The shares of the others times exp(a x step), where that gives them the mean of the counts."""
    steps = np.arange(len(count)) - (count * np.arange(len(count))).sum() / count.sum()

    def tilted(a: float) -> Array:
        weight = others * np.exp(a * steps)
        return np.asarray(weight / weight.sum())

    def off(a: float) -> float:
        return float((tilted(a) * steps).sum())

    return tilted(float(optimize.brentq(off, -20, 20)) if off(-20) < 0 < off(20) else 0.0)


def _correlation(part: pd.DataFrame) -> tuple[float, int]:
    """Of the answers with the customer's other answers in the response, and on how many customers."""
    both, customers = part.dropna(subset="other"), part.dropna(subset="other")["person"].nunique()
    varies = both["place"].nunique() > 1 and both["other"].nunique() > 1
    # A correlation of 1 has no error on Fisher's scale.
    return (float(np.clip(both["place"].corr(both["other"]), -0.999, 0.999)) if varies else np.nan), customers


def _reversed(mine: pd.DataFrame, rest: pd.DataFrame, usual: float) -> list[Sign]:
    r, customers = _correlation(mine)
    expected, more = _correlation(rest) if len(rest) else (usual, 400)
    if min(customers, more) < LEAST or not r < 0 < expected - 1.96 / np.sqrt(more):
        return []
    root = np.sqrt(customers - 3)
    low, high = np.tanh(np.arctanh(r) + np.array([-1.96, 1.96]) / root)
    return [("reversed", (r, low, high), (expected, float(distributions.norm.cdf(np.arctanh(r) * root))))]
