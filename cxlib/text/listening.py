"""Social listening: who is spoken about and when, what the complaints are about, and what gets passed on.

Works on `surveys` rows that nobody was asked for: posts and tweets with an account (customer_id), a time, a
comment and whatever labels they carry. People are counted, not posts: one who posts forty times is one.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import ibis
import ibis.expr.types as ir
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.sparse import coo_array

from cxlib import stats
from cxlib.errors import CxLookupError, CxValueError, require
from cxlib.rates import Counts, answerer, clustered, grouped, rate, sums
from cxlib.results import EVERYWHERE, TOO_FEW, Claim, Result, minimum, nice, number, percent, visible
from cxlib.stats import Array
from cxlib.stats import laws as distributions
from cxlib.study import Study
from cxlib.text.comments import Comments
from cxlib.text.learning import normalised, runs_on
from cxlib.text.slopes import differences

DAY, WEEK = 86_400, 7 * 86_400
FEWEST, ENOUGH = 8, 30
"""Stretches of time a group must have before its usual number is trusted, and before its spread is looked at
alone; of customers on either side, before a feature of texts is."""


# --- mentions and bursts -----------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Mentions(Result):
    """How many people spoke in every stretch of time, and when that was more than usual.

    `frame`: key (a group), ts (the stretch's start), estimate (people as a multiple of the usual number),
    low, high, n (posts), customers (people), usual, phi (variance over mean of a usual count), q (of a burst,
    false discovery rate over all stretches of all groups; NaN where there is no usual number to compare
    with). `every`, seconds of a stretch.
    """

    frame: pd.DataFrame = field(repr=False)
    every: int

    def table(self) -> pd.DataFrame:
        """One row a group and stretch of time, in the order of time."""
        return self.frame

    def bursts(self) -> pd.DataFrame:
        """One row a burst, the largest first: stretches beyond the usual that follow each other, joined.

        Columns as in `table()`, and `until`; somebody who spoke in two of its stretches counts in both.
        """
        key, length = self.frame.columns[0], pd.Timedelta(seconds=self.every)
        hot = self.frame[self.frame["q"] < 0.05].sort_values([key, "ts"])
        hot = hot.assign(until=hot["ts"] + length, spread=hot["phi"] * hot["usual"])
        begins = (hot.groupby(key)["ts"].diff() != length).cumsum().rename("burst")
        how = {"ts": "min", "until": "max", "n": "sum", "customers": "sum", "usual": "sum", "spread": "sum"}
        made = hot.groupby([key, begins]).agg({**how, "q": "min"}).reset_index(0).reset_index(drop=True)
        times = _times(made["customers"], made["usual"], made["spread"] / made["usual"])
        made = made.assign(**times.columns())
        columns = [key, "ts", "until", "estimate", "low", "high", "n", "customers", "usual", "q"]
        return made[columns].sort_values("customers", ascending=False, ignore_index=True)

    def shown(self) -> pd.DataFrame:
        """The bursts."""
        found = self.bursts()
        times = found[["ts", "until"]].apply(lambda column: column.dt.strftime("%d %b %H:%M"))
        names = {"ts": "from", "n": "posts", "estimate": "times_usual", "low": "times_usual_low"}
        return found.assign(**times).rename(columns={**names, "high": "times_usual_high"})

    def claim(self) -> Claim:
        """How many bursts there were, and the largest."""
        groups, judged = self.frame.iloc[:, 0].nunique(), int(self.frame["q"].notna().sum())
        if not judged:
            return Claim(f"No group has the {FEWEST} stretches of time that a usual number needs.")
        found = visible(self.bursts())
        if not len(found):
            return Claim(
                f"In none of {judged:,} stretches of time did more people speak about one of {groups} "
                "than chance would have it (false discovery rate 5 %)."
            )
        top = found.iloc[0]
        return Claim(
            f"{len(found)} {'burst' if len(found) == 1 else 'bursts'} over {groups} groups (false discovery "
            f"rate 5 %); the largest about {nice(top.iloc[0])}, {top['ts']:%d %B %H:%M} to "
            f"{top['until']:%d %B %H:%M} UTC: {top['customers']:,} people, {number(top['estimate'])} times the "
            f"usual ({number(top['low'])} to {number(top['high'])})."
        )


def mentions(study: Study, by: str = "touchpoint", every: str = "1 D") -> Mentions:
    """How many people spoke about each group in every stretch of time, and where that is a burst.

    `by` as in `scores`. `every` is "1 D", "1 h", ...: a part of a day or whole days. The usual number is the group's own level
    (median over days, or weeks) times the profile of the day (of the week, from four weeks on) that all
    groups share. A burst has more people than a negative binomial count with the spread seen would have;
    false discovery rate over all stretches. Before a group's first mention and after its last nobody may
    have listened: nothing is said of these.

    Raises MissingTable without `surveys`, CxLookupError for a column it lacks, CxValueError for a stretch
    that is neither.
    """
    try:
        seconds = int(pd.Timedelta(every).total_seconds())
    except ValueError:
        seconds = 0
    if seconds <= 0 or (DAY % seconds and seconds % DAY):
        raise CxValueError(f"`every` is {every!r}; take a part of a day or whole days: '1 h', '6 h', '1 D'.")
    posts = _posts(grouped(study, by, needed_by="mentions"))
    key = {"by": by, "every": seconds}
    return Mentions(study.cached("mentions", key, lambda: _mentions(study, posts, by, seconds)), seconds)


def _posts(surveys: ir.Table, *columns: str) -> ir.Table:
    """These rows with their person; CxLookupError for a column they lack."""
    has = [name for name in surveys.columns if not name.endswith("_")]  # without our own, as group_
    for column in columns:
        require(column, has, f"surveys has no column `{column}`", "It has")
    return surveys.mutate(person_=answerer(surveys))


def _number(posts: ir.Table, column: str) -> ir.Value:
    if not posts[column].type().is_numeric():
        raise CxValueError(f"`{column}` of surveys holds no numbers; name a column that does.")
    return posts[column].cast("float64")


def _mentions(study: Study, posts: ir.Table, by: str, seconds: int) -> pd.DataFrame:
    rows = posts.mutate(bin_=(posts["ts"].epoch_seconds() / seconds).floor().cast("int64"))
    rows = rows.filter(rows["group_"].notnull())
    counted = rows.group_by(["group_", "bin_"]).agg(
        n=rows["response_id"].nunique(), people=rows["person_"].nunique()
    )
    found = study.fetch(counted).pivot(index="group_", columns="bin_")
    if not len(found):
        raise CxLookupError(f"No row of surveys has a `{by}`; name a column that says what was spoken about.")
    seen = found.columns.levels[1]
    bins = np.arange(int(seen.min()), int(seen.max()) + 1)
    people, posted = (found[name].reindex(columns=bins) for name in ("people", "n"))
    inside = (people.ffill(axis=1).notna() & people.bfill(axis=1).notna()).to_numpy()
    counts = np.where(inside, people.fillna(0).to_numpy(float), np.nan)
    usual, phi = expected(counts, bins * seconds, seconds)
    at = np.nonzero(inside)
    y, mean, spread = counts[at], usual[at], phi[at]
    times = _times(y, mean, spread)
    from scipy.stats import nbinom  # costs a second to import

    with np.errstate(divide="ignore", invalid="ignore"):
        p = nbinom.sf(y - 1, mean / (spread - 1), 1 / spread)
    starts = pd.to_datetime(bins[at[1]] * seconds, unit="s")
    table = pd.DataFrame({by: found.index[at[0]], "ts": starts.astype("datetime64[us]")})
    table = table.assign(**times.columns(), n=posted.fillna(0).to_numpy(int)[at], customers=y.astype(int))
    return table.assign(usual=mean, phi=spread, q=stats.benjamini_hochberg(p))


def expected(counts: Array, starts: NDArray[np.int64], seconds: int) -> tuple[Array, Array]:
    """The usual count of every group and stretch, and its variance over it (phi); both like `counts`.

    `counts` is (groups, stretches), NaN where a group was not listened to; `starts`, seconds since 1970. Level
    and profile are medians over days (weeks), so that a burst does not raise what it is compared with. phi
    is a negative binomial's, and holds what is uncertain of level and profile.
    """
    span = len(starts) * seconds
    season = (
        WEEK
        if span >= 4 * WEEK and WEEK % seconds == 0
        else DAY
        if seconds < DAY and span >= 3 * DAY
        else seconds
    )
    cycle, slot = starts // season, starts % season // seconds
    grid = np.full((len(counts), int(np.ptp(cycle)) + 1, season // seconds), np.nan)
    grid[:, cycle - cycle[0], slot] = counts
    there = ~np.isnan(grid)
    whole = np.nansum(grid, axis=0)
    full = there.any(axis=0).all(axis=1) & (whole.sum(axis=1) > 0)
    profile = np.ones(season // seconds)
    if season > seconds and full.sum() >= 3:
        profile = np.median(whole[full] / whole[full].mean(axis=1, keepdims=True), axis=0)
        profile = profile / max(profile.mean(), 1e-9)
    with np.errstate(divide="ignore", invalid="ignore"):
        exposed = (there * profile).sum(axis=2)
        levels = pd.DataFrame(np.nansum(grid, axis=2) / exposed).where(exposed >= profile.sum() / 2)
        level = levels.median(axis=1).where(there.sum(axis=(1, 2)) >= FEWEST).to_numpy(float)
        usual = np.where(np.isnan(counts), np.nan, level[:, None] * profile[slot])
        usual = np.where(usual > 0, usual, np.nan)
        alike = np.bincount(slot, np.nansum(usual, axis=0), minlength=len(profile))[slot]
        # The variance of a median is pi / 2 of a mean's.
        unsure = usual / np.nansum(usual, axis=1, keepdims=True)
        unsure = np.pi / 2 * (unsure + (usual / alike if (profile != 1).any() else 0))
    return usual, (1 + _spread(counts, usual)[:, None] * usual) * (1 + unsure)


def _spread(counts: Array, usual: Array) -> Array:
    """Each group's alpha of a negative binomial with variance mean + alpha mean^2.

    Read off the middle of the residuals: half of them lie outside their own quartiles, whatever bursts the tails
    hold. All groups share one, at its upper 90 % limit; a group seen to spread more than that has its own.
    """

    from scipy.stats import nbinom  # costs a second to import

    def alpha_of(some: Array, mean: Array, limit: float) -> float:
        known = mean >= 2  # below, the counts are too coarse to tell
        y, mean = some[known], mean[known]
        for alpha in np.geomspace(1e-3, 2, 30):
            upto, below = (nbinom.cdf(one, 1 / alpha, 1 / (1 + alpha * mean)) for one in (y, y - 1))
            outside = np.abs((upto + below) / 2 - 0.5) > 0.25
            if not outside.sum() >= len(y) / 2 - limit * np.sqrt(len(y)) / 2 or not len(y):
                break
        return float(alpha)

    shared = alpha_of(counts, usual, 1.28)
    many = (usual >= 2).sum(axis=1) >= ENOUGH
    own = [alpha_of(*rows, limit=0) for rows in zip(counts[many], usual[many], strict=True)]
    alphas = np.full(len(counts), shared)
    alphas[many] = np.maximum(shared, own)
    return alphas


def _times(count: Array, usual: Array, phi: Array) -> stats.Interval:
    """A count as a multiple of the usual one; the exact Poisson interval (Garwood 1936) of the count over phi."""
    y, mean, over = (np.asarray(one, dtype=float) for one in (count, usual, phi))
    with np.errstate(divide="ignore", invalid="ignore"):
        low = np.where(y > 0, distributions.chi2.ppf(0.025, 2 * y / over), 0.0) / 2 * over / mean
        high = distributions.chi2.ppf(0.975, 2 * (y / over + 1)) / 2 * over / mean
        return stats.Interval(y / mean, low, high, np.sqrt(y * over) / mean)


# --- reasons, and the words that tell ----------------------------------------------------------

MOST = 50


def reasons(study: Study, column: str = "reason", by: str | None = None, weight: str | None = None) -> Counts:
    """How often each reason (any column of `surveys` with names in it) is given, in all and by group.

    Of the rows that have one. `by` as in `scores`; then `q` says where a group's share differs from the
    other groups' (`ratio`; false discovery rate over all cells). `weight` is a column of 0 to 1, such as the
    confidence of a label. Wilson's interval with customers as clusters; `count`, customers who gave it.

    Raises MissingTable without `surveys`, CxLookupError for a column it lacks, CxValueError for more than
    fifty different reasons: that is free text.
    """
    posts = _posts(grouped(study, by, needed_by="reasons"), *filter(None, (column, weight)))
    key = {"column": column, "by": by, "weight": weight}
    frame = study.cached("reasons", key, lambda: _reasons(study, posts, column, by, weight))
    shown = visible(frame)
    whole = shown[shown[by] == EVERYWHERE] if by else shown
    if not len(whole):
        return Counts(frame, TOO_FEW)
    said = [
        f"{nice(one[column])} ({percent(one['estimate'])}, {percent(one['low'])} to {percent(one['high'])})"
        for _, one in whole.sort_values("estimate", ascending=False, kind="stable").head(3).iterrows()
    ]
    text = f"Of {int(frame['n'].iloc[0]):,} with a {nice(column)}, most name {', '.join(said)}"
    if by and len(apart := shown[(shown["q"] < 0.05) & (shown["ratio"] > 1)]):
        far = apart.loc[apart["ratio"].idxmax()]
        text += (
            f"; furthest above the others: {nice(far[column])} at {nice(far[by])}, {percent(far['estimate'])}"
        )
        text += f" ({number(far['ratio'])} times the others' share)"
    return Counts(frame, f"{text}.")


def _reasons(study: Study, posts: ir.Table, column: str, by: str | None, weight: str | None) -> pd.DataFrame:
    rows = posts.mutate(
        reason_=posts[column].cast("string"),
        group_=posts["group_"] if by else ibis.literal(EVERYWHERE),
        weight_=_number(posts, weight).fill_null(1.0) if weight else ibis.literal(1.0),
    )
    rows = rows.filter(rows["reason_"].notnull() & rows["group_"].notnull())
    persons = rows["person_"].nunique()
    in_all = study.fetch(rows.group_by("reason_").agg(count=persons)).set_index("reason_")["count"]
    names = in_all.sort_index().sort_values(ascending=False, kind="stable").index.tolist()
    if not names:
        raise CxLookupError(f"No row of surveys has a `{column}`; name a column of categories.")
    if len(names) > MOST:
        raise CxValueError(
            f"`{column}` holds {len(names):,} different values, more than {MOST}: it is free text. "
            "Name a column of categories; cx.text.themes finds themes in texts."
        )
    values = {f"v{place}": rows["reason_"] == name for place, name in enumerate(names)}
    whole = study.fetch(sums(rows, values))
    if not by:
        alone = [rate({column: name}, whole, value) for value, name in zip(values, names, strict=True)]
        return pd.DataFrame(alone).assign(count=in_all[names].to_numpy())
    parts = study.fetch(sums(rows, values, by=["group_"])).sort_values("group_")
    counted = study.fetch(rows.group_by(["group_", "reason_"]).agg(count=persons))
    count = counted.set_index(["group_", "reason_"])["count"]
    table = [
        rate({by: EVERYWHERE, column: name}, whole, value) for value, name in zip(values, names, strict=True)
    ]
    table = [{**row, "count": int(in_all[row[column]]), "ratio": np.nan, "q": np.nan} for row in table]
    for group, found in parts.groupby("group_"):
        for value, name in zip(values, names, strict=True):
            row: dict[str, Any] = rate({by: group, column: name}, found, value)
            # The rest is the whole less the group: customers who are in both are counted in each.
            here = clustered(found, value)
            rest = stats.Clustered(*(a - b for a, b in zip(clustered(whole, value), here, strict=True)))
            with np.errstate(divide="ignore", invalid="ignore"):
                ratio = float(here.ratio[0] / rest.ratio[0])
                # The wider half of Wilson's interval: it knows that a few who agree prove little.
                half = max(row["high"] - row["estimate"], row["estimate"] - row["low"])
                se = half / distributions.t.ppf(0.975, here.df)
                gap, se = here.ratio - rest.ratio, np.hypot(se, np.sqrt(rest.variance))
                p = 2 * distributions.t.sf(np.abs(gap) / se, here.df)
            table.append({**row, "count": int(count.get((group, name), 0)), "ratio": ratio, "q": p[0]})
    frame = pd.DataFrame(table)
    return frame.assign(q=stats.benjamini_hochberg(frame["q"].to_numpy(float)))


def telling(comments: Comments, rows: pd.Series, most: int = 12) -> Counts:
    """The words that tell some comments from the others: used by more of their writers than of the rest.

    `rows` is True for those comments, one a row of `comments.frame`. In scripts without spaces, pairs of
    characters. One row a word, the most telling first: estimate (share of the writers who use it), low,
    high, n (writers), customers (who use it), others (share of the other writers), q (false discovery rate
    over all words that enough people use to be displayed); only words of q below .05, at most `most`.
    """
    from sklearn.feature_extraction.text import CountVectorizer

    texts = normalised(comments.frame["comment"].str.replace(r"\[[a-z-]+\]|https?:\S+", " ", regex=True))
    word = r"(?=(\w\w))" if runs_on(texts.tolist()) else r"\w\w+"
    counter = CountVectorizer(binary=True, token_pattern=word)
    used = counter.fit_transform(["", *texts, "word words"])[1:-1]  # never without a word
    person = pd.factorize(comments.frame["person"])[0]

    def users(side: Array) -> tuple[Array, int]:
        who = np.unique(person[side], return_inverse=True)[1]
        wrote = coo_array((np.ones(len(who)), (who, np.arange(len(who))))).tocsr()
        return np.asarray((wrote @ used[np.flatnonzero(side)] > 0).sum(axis=0)).ravel(), wrote.shape[0]

    some = rows.to_numpy(bool)
    if some.all() or not some.any():
        raise CxValueError("`rows` marks all comments, or none; there must be others to compare with.")
    (mine, n), (theirs, m) = users(some), users(~some)
    share, rest = stats.wilson(mine, n), stats.wilson(theirs, m)
    table = pd.DataFrame({"word": counter.get_feature_names_out(), **share.columns(), "n": n})
    table = table.assign(customers=mine.astype(int), others=rest.estimate)
    # Of all who use a word, more of those marked than their part of all writers: on the careful side of Fisher's test.
    p = np.maximum(distributions.binom.sf(mine - 1, mine + theirs, n / (n + m)), 1e-300)
    table["q"] = stats.benjamini_hochberg(np.where(mine + theirs >= minimum(), p, np.nan))
    pooled = (mine + theirs) / (n + m)
    far = (share.estimate - rest.estimate) / np.sqrt(np.maximum(pooled * (1 - pooled), 1e-12))
    table = table.iloc[np.argsort(-far, kind="stable")]
    table = table[(table["q"] < 0.05) & (table["customers"] >= minimum())].head(most).reset_index(drop=True)
    said = ", ".join(table["word"])
    text = f"Words that tell them from the others, the most telling first: {said}." if said else TOO_FEW
    return Counts(table, text, ("estimate", "others"))


# --- what engages ------------------------------------------------------------------------------

FEATURES = {
    "asks something": r"[?？]",
    "exclaims": r"[!！]",
    "has a link": r"https?://|www\.",
    "has a number": r"[0-9]",
    "has a hashtag": r"#\w",
    "addresses several": r"(?s)(?:@\w|\[handle\]).*(?:@\w|\[handle\])",
}
"""What a text may have -> the pattern that says it has it."""


def engagement(study: Study, outcome: str = "retweets") -> Counts:
    """Which texts are passed on: the share with any `outcome` (a column of counts), by features of the text.

    Features: asks something, exclaims, has a link, a number, a hashtag, addresses several, is long (beyond the
    median), and where texts have scores, is pleased or displeased (ends of their scale). One row a feature:
    estimate (difference in the share, all features together by least squares; intervals by leaving out folds
    of customers), low, high, n (texts that have it), customers, alone (the plain difference), share (of those
    that have it), q (false discovery rate). Associations. Features that fewer than thirty customers have, or
    lack, are left out.

    Raises MissingTable without `surveys`, CxLookupError for a column it lacks or without texts.
    """
    posts = _posts(study.table("surveys", needed_by="engagement"), outcome, "comment")
    rows = posts.mutate(outcome_=_number(posts, outcome))
    rows = rows.filter(rows["comment"].notnull() & rows["outcome_"].notnull())
    frame = study.fetch(rows.select("person_", "comment", "score", "scale_min", "scale_max", "outcome_"))
    if not len(frame):
        raise CxLookupError(f"No text has {nice(outcome)} beside it; both columns are needed in a row.")
    place = (frame["score"] - frame["scale_min"]) / (frame["scale_max"] - frame["scale_min"])
    size = frame["comment"].str.len()
    has = pd.DataFrame({name: frame["comment"].str.contains(p) for name, p in FEATURES.items()})
    has = has.assign(**{"is long": size > size.median()})
    if place.notna().any():
        has = has.assign(**{"is displeased": place <= 0.25, "is pleased": place >= 0.75})
    people = has.apply(lambda one: frame.loc[one, "person_"].nunique())
    others = has.apply(lambda one: frame.loc[~one, "person_"].nunique())
    has = has.loc[:, (people >= ENOUGH) & (others >= ENOUGH)]
    passed, fold = (frame["outcome_"] > 0).to_numpy(float), stats.folds_of(frame["person_"])
    alone, together = differences(passed, has.to_numpy(float), fold)
    table = pd.DataFrame({"feature": has.columns, **together.columns(), "n": has.sum().to_numpy(int)})
    table["customers"], table["alone"] = people[has.columns].to_numpy(int), alone.estimate
    table["share"] = [passed[one].mean() for _, one in has.items()]
    table["q"] = stats.benjamini_hochberg(together.p(len(np.unique(fold)) - 1))
    table = table.sort_values("estimate", ascending=False, ignore_index=True)
    apart = visible(table).query("q < 0.05").head(3)
    said = [
        f"{one['feature']} {100 * one['estimate']:+.1f} points ({100 * one['low']:+.1f} to {100 * one['high']:+.1f})"
        for _, one in apart.iterrows()
    ]
    text = (
        f"Of {len(frame):,} texts {percent(passed.mean())} have {nice(outcome)}; with the other features held still, "
        f"these go with it: {', '.join(said) or 'none'} (false discovery rate 5 %). That is what goes together; what "
        "a text would get if it were changed, only an experiment says."
    )
    return Counts(table, text, ("estimate", "alone", "share"))
