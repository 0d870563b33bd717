"""Which ratings go with the whole: associations, alone and together. They say nothing of what would happen.

Alone: the correlation of an item with the whole. Together: Johnson's relative weights (2000, Multivariate
Behavioral Research 35), which share the explained variance R2 among items that go with each other. As most
customers never met most places, each correlation comes from those who rated both (pairwise complete).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cxlib import stats
from cxlib.errors import CxValueError
from cxlib.results import Framed, nice, percent
from cxlib.stats import Array
from cxlib.study import Study
from cxlib.voice.scales import scales
from cxlib.voice.split import answers

WHOLES = ("nps", "csat", "ces")
ENOUGH = 30
"""Responses that must rate two questions together, for an item that was not asked for by name."""
FLOOR = 1e-3
"""Pairwise correlations may contradict each other; eigenvalues below this are raised to it."""


@dataclass(frozen=True, eq=False)
class Drivers(Framed):
    """Items by how much of the whole's variance goes with them.

    `frame`: item, estimate (relative weight: the share of the whole's variance that goes with this item, the
    others beside it), low, high, n (responses that rate the item and the whole), customers, alone (its
    correlation with the whole), alone_low, alone_high, rated (mean place on its scale, 0 worst to 1 best),
    rated_low, rated_high, q (adjusted p-value of "goes with the whole no further than the other items do",
    from its standardised regression coefficient), behind (its weight is less than the first item's by more than
    chance, at .05 over all of them); the largest weight first. `whole`, the question; `r2`, what
    all items explain together, with `r2_low`, `r2_high`; `fewest`, the responses behind the rarest pair of
    items; `mended`, whether the correlations had to be made consistent.
    """

    SHARES: ClassVar = ("estimate", "low", "high", "rated", "rated_low", "rated_high")

    whole: str
    r2: float
    r2_low: float
    r2_high: float
    fewest: int
    mended: bool

    def told(self, table: pd.DataFrame) -> str:
        """What goes with the whole most, and what it would take to know whether it moves it."""
        first, below = table.iloc[0], table[table["rated"] < table["rated"].median()]
        text = (
            f"Of {len(table)} items {nice(first['item'])} goes with {nice(self.whole)} most: "
            f"{percent(first['estimate'])} of its variance ({percent(first['low'])} to {percent(first['high'])}) of "
            f"the {percent(self.r2)} that go with all"
        )
        if tied := len(table) - 1 - int(table["behind"].sum()):
            text += f" ({tied} {'other is' if tied == 1 else 'others are'} not clearly behind)"
        if len(below) and below["item"].iloc[0] == first["item"]:
            text += ", though it is rated below most others"
        elif len(below):
            low = below.iloc[0]
            text += f"; of those rated below the middle {nice(low['item'])} does ({percent(low['estimate'])})"
        return (
            f"{text}. This is association: whether changing it changes {nice(self.whole)}, only an experiment, or a "
            "change at one place with others to compare, can tell."
        )


def drivers(
    study: Study,
    whole: str = "csat",
    items: Sequence[str] | None = None,
    period: tuple[object, object] | None = None,
) -> Drivers:
    """How ratings of items go with the answer to `whole` in the same response, with intervals.

    `items`: the questions to compare; without them all that at least `ENOUGH` responses rate beside the whole and
    beside each other, except nps, csat and ces. `period`: (from, to), from included and to not. The table's
    weights count where it has them; customers are the clusters (fold jackknife, t on the logit scale, for a
    correlation on Fisher's z).

    Raises CxLookupError for a question nobody answered, CxValueError where fewer than two items are left, or
    two were never rated together.

    >>> import cxlib as cx
    >>> found = drivers(cx.open_study("demo"), "nps")
    >>> bool(abs(found.table()["estimate"].sum() - found.r2) < 1e-9)
    True
    """
    beside = (name for name in scales(study)["question"].unique() if name not in (*WHOLES, whole))
    wanted = [whole, *dict.fromkeys(items or sorted(beside))]
    t = answers(study, "drivers", *wanted)
    if period is not None:
        start, stop = (pd.Timestamp(one) for one in period)
        t = t.filter((t["ts"] >= start) & (t["ts"] < stop))
    rows = study.fetch(
        t.select("response_id", "question", person="person_", place="place_", weight="weight_")
    )
    wide = rows.pivot_table(index="response_id", columns="question", values="place").reindex(columns=wanted)
    about = rows.drop_duplicates("response_id").set_index("response_id").loc[wide.index]
    together = wide.notna().astype(int).T @ wide.notna().astype(int)
    if items is None:
        kept = [name for name in wanted[1:] if together.loc[whole, name] >= ENOUGH]
        kept = [name for name in kept if together.loc[name, kept].min() >= ENOUGH]
        wanted = [whole, *kept]
    pairs = together.loc[wanted, wanted]
    if len(wanted) < 3:
        raise CxValueError(f"Fewer than two items are rated beside `{whole}`; nothing can be compared.")
    if pairs.to_numpy().min() < stats.ENOUGH:
        one, other = pairs.stack().idxmin()
        raise CxValueError(
            f"`{one}` and `{other}` are rated together in only {pairs.loc[one, other]} responses; leave one out."
        )
    fold = stats.folds_of(about["person"])
    sums = moments(wide[wanted].to_numpy(), about["weight"].to_numpy(float), fold)
    found = stats.jackknife(sums, _told)
    k = len(wanted) - 1
    alone = stats.jackknife(sums, lambda s: (1 + correlations(s)[..., 0, 1:]) / 2)
    beta = stats.jackknife(sums, lambda s: _weights(s)[1], "identity")
    both = wide[wanted[1:]].notna() & wide[[whole]].notna().to_numpy()
    weighs, rates = (stats.Interval(*(one[part] for one in found)) for part in (slice(k), slice(k, 2 * k)))
    frame = pd.DataFrame({"item": wanted[1:], **weighs.columns()})
    frame["n"] = pairs.loc[whole, wanted[1:]].to_numpy()
    frame["customers"] = [about.loc[both[name], "person"].nunique() for name in wanted[1:]]
    frame = frame.assign(**{end: 2 * one - 1 for end, one in alone.columns("alone").items()})
    frame = frame.assign(**rates.columns("rated"))
    frame["q"] = stats.benjamini_hochberg(beta.p(len(np.unique(fold)) - 1))
    top = int(np.argmax(found.estimate[:k]))
    # The first was picked for being first, so each other is compared at the share of .05 that is its own.
    lead = stats.jackknife(sums, lambda s: _led(s, top), "identity", level=1 - 0.05 / max(k - 1, 1))
    frame["behind"] = lead.low > 0
    r2, low, high = (float(one[-1]) for one in found[:3])
    frame = frame.sort_values("estimate", ascending=False, kind="stable", ignore_index=True)
    smallest = np.linalg.eigvalsh(correlations(sums.sum(axis=0))[1:, 1:])[0]
    return Drivers(frame, whole, r2, low, high, int(pairs.to_numpy().min()), bool(smallest < FLOOR))


def moments(x: Array, weight: Array, fold: NDArray[np.int64]) -> Array:
    """Sums over responses that rate both, (folds, 4, k, k): weights, x of the row's item, its square, products.

    `x` is (responses, k) with NaN for what was not rated.
    """
    here, filled = (~np.isnan(x)).astype(float), np.nan_to_num(x)
    sums = np.zeros((stats.FOLDS, 4, x.shape[1], x.shape[1]))
    for one in np.unique(fold):
        mine = fold == one
        a, b, w = here[mine], filled[mine], weight[mine, None]
        sums[one] = [(w * a).T @ a, (w * b).T @ a, (w * b * b).T @ a, (w * b).T @ b]
    return sums


def correlations(sums: Array) -> Array:
    """Pairwise complete correlations, (..., k, k), from `moments` summed over folds."""
    size, x, square, product = np.moveaxis(sums, -3, 0)
    mean = x / size
    other = np.swapaxes(mean, -1, -2)
    variance = square / size - mean**2
    spread = np.sqrt(variance * np.swapaxes(variance, -1, -2))
    return np.where(spread > 0, (product / size - mean * other) / np.where(spread > 0, spread, 1.0), 0.0)


def relative_weights(between: Array, whole: Array) -> tuple[Array, Array]:
    """Johnson's relative weights, (..., k), and the standardised regression coefficients.

    `between`: correlations of the items, (..., k, k); `whole`: of each with the whole, (..., k). The weights
    are not negative and sum to R2. Eigenvalues below `FLOOR` are raised to it.

    >>> weights, beta = relative_weights(np.array([[1, .5], [.5, 1]]), np.array([.6, .4]))
    >>> weights.round(4).tolist(), round(float(weights.sum()), 4) == round(.28 / .75, 4)
    ([0.2867, 0.0867], True)
    """
    values, vectors = np.linalg.eigh(between)
    root = np.sqrt(np.maximum(values, FLOOR))[..., None, :]
    turned = np.swapaxes(vectors, -1, -2)
    link = (vectors * root) @ turned
    own = ((vectors / root) @ turned @ whole[..., None])[..., 0]
    beta = ((vectors / root**2) @ turned @ whole[..., None])[..., 0]
    return (link**2 @ own[..., None] ** 2)[..., 0], beta


def _weights(sums: Array) -> tuple[Array, Array]:
    r = correlations(sums)
    return relative_weights(r[..., 1:, 1:], r[..., 0, 1:])


def _led(sums: Array, top: int) -> Array:
    """By how much the weight of item `top` is more than each."""
    weights = _weights(sums)[0]
    return weights[..., [top]] - weights


def _told(sums: Array) -> Array:
    """Relative weights, the items' means and R2, each a share of 1."""
    weights = _weights(sums)[0]
    own = np.diagonal(sums, axis1=-2, axis2=-1)[..., 1:]  # all who rated the item, whatever else they did
    return np.concatenate(
        [weights, own[..., 1, :] / own[..., 0, :], weights.sum(axis=-1, keepdims=True)], axis=-1
    )
