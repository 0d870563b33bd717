"""Which channels stand on the way to a conversion: exact Markov removal effects, exact Shapley, heuristics.

None of these is causal: a channel that meets people who were going to buy anyway looks good in all of
them. They divide the conversions that happened; they do not say what would happen without a channel.

Removal effect: Anderl, Becker, von Wangenheim & Schumann (2016), "Mapping the customer journey",
International Journal of Research in Marketing 33(3). Solved exactly; nothing is simulated.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Any, ClassVar

import ibis
import numpy as np
import pandas as pd

from cxlib import stats
from cxlib.errors import CxLookupError, CxValueError, require
from cxlib.journeys.folded import dense, pairs
from cxlib.results import TOO_FEW, Claim, Result, nice, percent
from cxlib.stats.intervals import on_scale, t_quantile
from cxlib.study.log import FOLDS

if TYPE_CHECKING:
    from cxlib.study import Study

DIRECT = "(direct)"  # the state of a conversion that no other contact came before


@dataclass(frozen=True)
class Attribution(Result):
    """Conversions credited to channels, with intervals.

    method : the rule, in words
    channels : names
    share, removal : `stats.Interval` of each channel's share of the credit and, for Markov, of its
        removal effect (None elsewhere)
    conversions, journeys : what was credited, and out of how many journeys
    basis : where the intervals come from
    folds : for a study, from how many of the fifty folds of customers each channel's credit comes

    A credit of fewer than `stats.ENOUGH` conversions has no interval: the methods need that many.
    """

    SHARES: ClassVar = ("share", "removal_effect")
    WHOLE: ClassVar = ()

    method: str
    channels: tuple[str, ...]
    share: stats.Interval
    conversions: float
    journeys: float
    basis: str
    removal: stats.Interval | None = None
    folds: tuple[int, ...] | None = None

    def table(self) -> pd.DataFrame:
        """One row a channel: estimate (conversions), low, high, n (journeys), share and, for Markov,
        removal_effect with its interval; largest first."""
        total, removal = self.conversions, self.removal
        enough = self.share.estimate * total >= stats.ENOUGH
        credit = {name: share * total for name, share in self.share.columns().items()}
        table = pd.DataFrame({"channel": self.channels, **credit, "n": round(self.journeys)})
        table["share"] = self.share.estimate
        if removal is not None:
            table = table.assign(**removal.columns("removal")).rename(columns={"removal": "removal_effect"})
        ends = [name for name in table if name.endswith(("low", "high"))]
        table.loc[~enough, ends] = np.nan
        if self.folds is not None:
            table["folds"] = self.folds
        return table.sort_values(["estimate", "channel"], ascending=[False, True], ignore_index=True)

    def removal_effects(self) -> pd.DataFrame:
        """One row a channel: estimate (removal effect), low, high, n (journeys). Markov only."""
        if self.removal is None:
            raise CxValueError(f"{self.method} has no removal effects; use cx.journeys.markov.")
        table = self.table()[["channel", "removal_effect", "removal_low", "removal_high", "n"]]
        names = {"removal_effect": "estimate", "removal_low": "low", "removal_high": "high"}
        return table.rename(columns=names).set_index("channel").loc[list(self.channels)].reset_index()

    def claim(self) -> Claim:
        """The channel with the largest credit, and whether it is clearly ahead."""
        table = self.visible()
        if self.conversions < stats.ENOUGH or table.empty:
            return TOO_FEW
        top = table.iloc[0]
        who = "No other contact" if top["channel"] == DIRECT else nice(top["channel"]).capitalize()
        credit = f"{percent(top['share'])} of the credit for {self.conversions:,.0f} conversions"
        if len(table) == 1:
            return Claim(f"{who} has {credit} by {self.method}. This is not its effect.")
        lead = "clearly ahead of" if self.ahead() else "not clearly ahead of"
        return Claim(
            f"{who} has most by {self.method}: {credit} ({top['low'] / self.conversions:.0%} to "
            f"{top['high'] / self.conversions:.0%}), {lead} {nice(table.iloc[1]['channel'])}. This is not its effect."
        )

    def ahead(self) -> bool:
        """True where the first channel's interval lies wholly above the second's."""
        table = self.visible()
        return len(table) > 1 and bool(table.iloc[0]["low"] > table.iloc[1]["high"])


def markov(journeys: Any, order: int = 1, conversion: Iterable[str] | None = None) -> Attribution:
    """Removal effects of a first-order Markov chain over channels, and conversions shared by them.

    `journeys` is a study (paths of channels up to each conversion, then on to the next) or a frame
    `path` ("a > b > c"), `conversions`, `nulls`. The probability of conversion is solved exactly from
    (I - Q)^-1, once with every channel and once without each. A channel's removal effect is the share
    of conversions lost when each visit to it leads nowhere; credits are in proportion and sum to the
    conversions. Self-loops change nothing. Intervals: customer folds for a study, multinomial for a frame.

    >>> frame = pd.DataFrame({"path": ["C1 > C2 > C3", "C1", "C2 > C3"], "conversions": [1, 0, 0],
    ...     "nulls": [0, 1, 1]})
    >>> markov(frame).removal_effects()["estimate"].round(6).tolist()
    [0.5, 1.0, 1.0]
    """
    if order != 1:
        raise CxValueError(f"order is {order}; only the first-order chain is here so far.")
    if isinstance(journeys, pd.DataFrame):
        return _markov_of_paths(_parsed(journeys))
    return _markov_of_study(journeys, conversion)


def shapley(
    journeys: Any = None,
    *,
    worths: Mapping[frozenset[str], float] | None = None,
    conversion: Iterable[str] | None = None,
) -> Any:
    """Shapley values of channels: of a game given by its `worths`, or of the conversions in journeys.

    With `worths` ({frozenset of channels: worth}) the value of any game, as a frame (Shapley 1953).
    With a study or a frame of paths the game is v(S) = conversions of journeys whose channels all lie
    in S; for it the Shapley value is the equal split of each converting journey over its distinct
    channels, so that any number of channels is exact.

    >>> shapley(worths={frozenset("a"): 1.0, frozenset("b"): 2.0, frozenset("ab"): 4.0})
      channel  estimate
    0       a       1.5
    1       b       2.5
    """
    if worths is not None:
        return _shapley_of_worths(worths)
    method = "the Shapley value of conversions within channel sets"
    if isinstance(journeys, pd.DataFrame):
        frame = _parsed(journeys)
        credit = [{c: 1 / len(set(path)) for c in path} for path in frame["states"]]
        return _split(method, frame, credit)
    return _split_of_study(method, journeys, conversion)


def heuristics(paths: pd.DataFrame) -> dict[str, Attribution]:
    """First, last and linear touch on a frame of paths (`path`, `conversions`, `nulls`).

    >>> frame = pd.DataFrame({"path": ["a > b > b"], "conversions": [3], "nulls": [0]})
    >>> {name: result.table()["estimate"].tolist() for name, result in heuristics(frame).items()}
    {'first': [3.0, 0.0], 'last': [3.0, 0.0], 'linear': [2.0, 1.0]}
    """
    frame = _parsed(paths)
    rules: dict[str, Any] = {
        "first": lambda path: {path[0]: 1.0},
        "last": lambda path: {path[-1]: 1.0},
        "linear": lambda path: {c: path.count(c) / len(path) for c in path},
    }
    return {
        name: _split(f"{name} touch", frame, [rule(path) for path in frame["states"]])
        for name, rule in rules.items()
    }


def conversions(study: Study, named: Iterable[str] | None = None) -> tuple[str, ...]:
    """The touchpoints that are conversions: those named, else study.yaml's `conversion`, else those of
    the transaction stage that carry an order_id."""
    known = study.log().names["touchpoint"]
    chosen = (named,) if isinstance(named, str) else tuple(named or study.settings.conversion)
    unknown = [name for name in chosen if name not in known]
    if unknown and (named or len(unknown) == len(chosen)):
        require(unknown[0], known, f"No touchpoint is called `{unknown[0]}`")
    if chosen:
        return tuple(name for name in chosen if name in known)
    if study.has("touchpoints", "order_id"):
        t = study.table("touchpoints")
        bought = study.fetch(t.filter(t.order_id.notnull()).select("touchpoint").distinct())["touchpoint"]
        log = study.log()
        stage = dict(zip(known, log.decode(log.of.get("stage", ()), "stage"), strict=False))
        chosen = tuple(sorted(name for name in bought if stage.get(name) == "transaction"))
    if not chosen:
        raise CxLookupError(
            "Which touchpoints are conversions is not known. Put `conversion: [purchase]` into study.yaml, "
            f"or pass conversion=[...]. Touchpoints: {', '.join(known)}."
        )
    return chosen


def purchases(study: Study) -> tuple[str, ...]:
    """The conversions, or none where the study does not say which touchpoints they are."""
    try:
        return conversions(study)
    except CxLookupError:
        return ()


# Markov chains


def _markov_of_study(study: Study, named: Iterable[str] | None) -> Attribution:
    """The chain from pairs of events: no path has to be written out, and folds come with the counts."""
    moves, begun = _states(study, conversions(study, named))
    names = [*study.log().names["channel"], DIRECT]
    n = len(names) - 1  # a conversion's place among the states; the end of the log comes after it
    counts = np.zeros((FOLDS, n + 2, n + 3))
    counts[:, :n, :n], counts[:, :n, n + 1 :] = moves[:, :n, :n], moves[:, :n, n:]
    counts[:, n + 1, :n] = begun[:, :n] + moves[:, n, :n]
    counts[:, n + 1, n] = counts[:, n, n + 1] = begun[:, n] + moves[:, n, n]
    keep = np.flatnonzero(counts[:, : n + 1].sum(axis=(0, 2)) > 0)
    k = len(keep)
    counts = counts[:, [*keep, n + 1]][:, :, [*keep, n + 1, n + 2]]
    total = counts.sum(axis=0)
    behind = (counts[:, :k].sum(axis=2) > 0) & (counts[:, :, k].sum(axis=1) > 0)[:, None]
    return Attribution(
        "first-order Markov removal effects",
        tuple(names[i] for i in keep),
        stats.jackknife(counts, lambda total: _normal(_removal(total, k))),
        float(total[:, k].sum()),
        float(total[k].sum()),
        "customer folds",
        stats.jackknife(counts, lambda total: _removal(total, k)),
        tuple(behind.sum(axis=0).tolist()),
    )


def _states(study: Study, converting: tuple[str, ...]) -> tuple[np.ndarray, np.ndarray]:
    """(folds, n + 1, n + 2) pairs and (folds, n + 1) first events by state: the n channels, then conversion;
    the last place of the pairs is the end of a person's log."""
    log = study.log()
    n = len(log.names["channel"])
    codes = [log.names["touchpoint"].index(name) for name in converting]
    firsts = log.table.filter(log.table.step == 1)
    if "channel" in log.of:
        size = len(log.names["touchpoint"])
        state = np.asarray(log.of["channel"]).copy()
        state[codes] = n
        to = np.zeros((size + 1, n + 2))
        to[np.arange(size), state], to[size, n + 1] = 1, 1
        begun = dense(study, "firsts", {"gap": log.gap}, firsts, ("touchpoint",), (size,))
        own = to[:size, : n + 1]
        return np.einsum("fab,ac,bd->fcd", pairs(study, log), own, to, optimize=True), begun @ own
    # A channel that changes from event to event: the states themselves have to be lined up.
    won = log.table.touchpoint.isin(codes)
    events = log.table.mutate(state=won.ifelse(n, log.table.channel.cast("int64")))
    window = ibis.window(group_by="person", order_by="event")
    events = events.mutate(following=events.state.lead().over(window).fill_null(n + 1))
    params = {"conversion": codes, "gap": log.gap}
    moves = dense(study, "state-pairs", params, events, ("state", "following"), (n + 1, n + 2))
    begun = dense(study, "state-firsts", params, events.filter(events.step == 1), ("state",), (n + 1,))
    return moves, begun


def _removal(total: np.ndarray, k: int) -> np.ndarray:
    """(batch, k) removal effects from (batch, k + 1, k + 2) counts of moves; rows: channels, start;
    columns: channels, conversion, null."""
    size = total.sum(axis=2, keepdims=True)
    p = np.divide(total, size, out=np.zeros_like(total), where=size > 0)
    Q, win, start = p[:, :k, :k], p[:, :k, k], p[:, k, :k]
    whole = np.einsum("bi,bi->b", start, _solve(Q, win))
    effects = np.empty(start.shape)
    for c in range(k):
        rest = [i for i in range(k) if i != c]
        without = np.einsum("bi,bi->b", start[:, rest], _solve(Q[:, rest][:, :, rest], win[:, rest]))
        effects[:, c] = 1 - np.divide(without, whole, out=np.ones_like(whole), where=whole > 0)
    # Rounding must not turn "no effect" or "all of it" into a number just outside [0, 1].
    return np.clip(np.where(np.abs(effects) < 1e-12, 0.0, effects), 0.0, 1.0)


def _solve(Q: np.ndarray, win: np.ndarray) -> np.ndarray:
    return np.linalg.solve(np.eye(Q.shape[-1]) - Q, win[..., None])[..., 0]


def _normal(effects: np.ndarray) -> np.ndarray:
    size = effects.sum(axis=-1, keepdims=True)
    return np.divide(effects, size, out=np.zeros_like(effects), where=size > 0)


def _markov_of_paths(frame: pd.DataFrame) -> Attribution:
    """The chain from written-out paths; intervals from each journey's influence (multinomial)."""
    names = sorted({c for path in frame["states"] for c in path})
    k, code = len(names), {name: i for i, name in enumerate(names)}
    rows, sources, targets = [], [], []
    for place, path in enumerate(frame["states"]):
        codes = [code[c] for c in path]
        rows += [place] * len(codes)
        sources += [k, *codes[:-1]]
        targets += codes
    last = np.array([code[path[-1]] for path in frame["states"]])
    won, lost = frame["conversions"].to_numpy(float), frame["nulls"].to_numpy(float)
    row, source, target = np.array(rows), np.array(sources), np.array(targets)
    total = np.zeros((k + 1, k + 2))
    np.add.at(total, (source, target), (won + lost)[row])
    np.add.at(total[:, k], last, won)
    np.add.at(total[:, k + 1], last, lost)
    effects = _removal(total[None], k)[0]
    gradient = _removal_gradient(total, k)
    through = np.zeros((len(frame), k))
    np.add.at(through, row, gradient[:, source, target].T)
    influence = (through + gradient[:, last, k].T, through + gradient[:, last, k + 1].T)

    def spread(of: Any) -> np.ndarray:
        return np.sqrt(
            (won[:, None] * of(influence[0]) ** 2 + lost[:, None] * of(influence[1]) ** 2).sum(axis=0)
        )

    share, size = _normal(effects), effects.sum()
    to_share = lambda d: (d - share * d.sum(axis=1, keepdims=True)) / (size or 1.0)  # noqa: E731
    return Attribution(
        "first-order Markov removal effects",
        tuple(names),
        _logit_interval(share, spread(to_share)),
        float(won.sum()),
        float((won + lost).sum()),
        "multinomial: paths without customers",
        _logit_interval(effects, spread(lambda d: d)),
    )


def _removal_gradient(total: np.ndarray, k: int) -> np.ndarray:
    """(k, k + 1, k + 2) derivatives of each removal effect by each count of moves.

    dP/dC_ij = (expected visits to i) / (moves out of i) * (h_j - h_i), h the probability of conversion.
    """

    def derivative(removed: int | None) -> tuple[float, np.ndarray]:
        rest = [i for i in range(k) if i != removed]
        size = total.sum(axis=1, keepdims=True)
        p = np.divide(total, size, out=np.zeros_like(total), where=size > 0)
        inverse = np.linalg.inv(np.eye(len(rest)) - p[np.ix_(rest, rest)])
        h = np.zeros(k + 2)
        h[rest], h[k] = inverse @ p[rest, k], 1.0
        visits = np.zeros(k + 1)
        visits[rest], visits[k] = p[k, rest] @ inverse, 1.0
        reach = p @ h
        weight = np.divide(visits[:, None], size, out=np.zeros((k + 1, 1)), where=size > 0)
        return float(p[k, :k] @ h[:k]), weight * (h[None, :] - reach[:, None])

    whole, d_whole = derivative(None)
    gradient = np.zeros((k, k + 1, k + 2))
    if whole > 0:
        for c in range(k):
            without, d_without = derivative(c)
            gradient[c] = -d_without / whole + without * d_whole / whole**2
    return gradient


def _logit_interval(estimate: np.ndarray, se: np.ndarray) -> stats.Interval:
    return on_scale(estimate, se, "logit", t_quantile(0.95, np.asarray(np.inf)))


# Splits of converting journeys


def _split_of_study(method: str, study: Study, named: Iterable[str] | None) -> Attribution:
    """Each conversion split equally over the distinct channels met since the one before."""
    log = study.log()
    names = [*log.names["channel"], DIRECT]
    converting = [log.names["touchpoint"].index(name) for name in conversions(study, named)]

    def count() -> pd.DataFrame:
        window = ibis.window(group_by="person", order_by="event", preceding=0, following=None)
        events = log.table
        won = events.touchpoint.isin(converting)
        ends = won.ifelse(events.event, ibis.null("int64")).min().over(window)
        journeys = events.select(
            "fold", ends=ends, channel=won.ifelse(len(names) - 1, events.channel.cast("int64"))
        )
        met = journeys.filter(journeys.ends.notnull()).distinct()
        # Every converting journey meets its own conversion, which counts only where it met nothing else.
        sizes = met.group_by("ends").aggregate(size=met.count() - 1)
        met = met.join(sizes, "ends").filter(lambda t: (t.channel != len(names) - 1) | (t["size"] == 0))
        return study.fetch(met.group_by("fold", "channel", "size").aggregate(journeys=lambda t: t.count()))

    frame = study.cached("channel-credit", {"conversion": converting, "gap": log.gap}, count)
    by_fold = np.zeros((FOLDS, len(names)))
    credit = frame["journeys"] / frame["size"].clip(lower=1)
    np.add.at(by_fold, (frame["fold"].to_numpy(int), frame["channel"].to_numpy(int)), credit.to_numpy(float))
    used = np.flatnonzero(by_fold.sum(axis=0) > 0)
    by_fold, total = by_fold[:, used], float(by_fold.sum())
    share = stats.jackknife(by_fold, _normal)
    folds = tuple((by_fold > 0).sum(axis=0).tolist())
    return Attribution(
        method, tuple(names[i] for i in used), share, total, total, "customer folds", folds=folds
    )


def _split(method: str, frame: pd.DataFrame, credit: list[dict[str, float]]) -> Attribution:
    """Credits of each path added up; each conversion is one multinomial draw of a path."""
    names = sorted({c for path in frame["states"] for c in path})
    code = {name: i for i, name in enumerate(names)}
    weight = np.zeros((len(frame), len(names)))
    for row, parts in enumerate(credit):
        for name, part in parts.items():
            weight[row, code[name]] = part
    won = frame["conversions"].to_numpy(float)
    total = won.sum()
    share = won @ weight / total if total else np.zeros(len(names))
    se = np.sqrt((won[:, None] * (weight - share) ** 2).sum(axis=0)) / max(total, 1.0)
    return Attribution(
        method,
        tuple(names),
        _logit_interval(share, se),
        float(total),
        float(total + frame["nulls"].sum()),
        "multinomial: paths without customers",
    )


def _parsed(paths: pd.DataFrame) -> pd.DataFrame:
    """A frame of paths with its channels split; CxValueError where it is not one."""
    missing = [c for c in ("path", "conversions") if c not in paths]
    if missing:
        raise CxValueError(
            f"A frame of paths needs the columns path and conversions (and nulls); missing: {', '.join(missing)}; "
            f"it has: {', '.join(map(str, paths.columns))}."
        )
    frame = paths.assign(nulls=paths.get("nulls", 0))[["path", "conversions", "nulls"]]
    counts = frame[["conversions", "nulls"]].to_numpy(float)
    if not np.isfinite(counts).all() or (counts < 0).any():
        raise CxValueError("conversions and nulls must be counts: finite and not negative.")
    states = [[c.strip() for c in str(path).split(">")] for path in frame["path"]]
    if any(not all(path) for path in states):
        raise CxValueError("A path has an empty channel; write `a > b > c`.")
    return frame.assign(states=states).reset_index(drop=True)


def _shapley_of_worths(worths: Mapping[frozenset[str], float]) -> pd.DataFrame:
    players = sorted({player for coalition in worths for player in coalition})
    n, worth = len(players), {frozenset(c): float(v) for c, v in worths.items()}
    wanted = {frozenset(c) for size in range(1, n + 1) for c in combinations(players, size)}
    if missing := wanted - set(worth):
        example = "{" + ", ".join(sorted(next(iter(missing)))) + "}"
        raise CxValueError(
            f"worths must name every coalition of {n} players; {len(missing)} are missing, as {example}."
        )
    values = []
    for player in players:
        others = [p for p in players if p != player]
        value = 0.0
        for size in range(n):
            weight = math.factorial(size) * math.factorial(n - size - 1) / math.factorial(n)
            for coalition in combinations(others, size):
                before = worth.get(frozenset(coalition), 0.0)
                value += weight * (worth[frozenset(coalition) | {player}] - before)
        values.append(value)
    return pd.DataFrame({"channel": players, "estimate": values})
