"""Figures of personas; each takes a result, never raw data."""

from __future__ import annotations

import textwrap
from typing import Any

import numpy as np
import pandas as pd

from cxlib import figures
from cxlib.figures import ACCENT, COLOURS, FAINT, INK, MUTED, WARM, Shown
from cxlib.personas.cards import MEANS, Cards
from cxlib.personas.evidence import Evidence
from cxlib.personas.model import Personas
from cxlib.personas.words import in_words
from cxlib.results import nice, percent, visible

ACROSS = 3  # cards side by side
LINES = 16.6  # of a card


def evidence(result: Evidence) -> Shown:
    """BIC by the number of kinds, against one axis without gaps and against shuffled data."""
    table = result.table()
    kinds = table[table["kinds"].notna()]
    fig, (left, right) = figures.figure("wide", height=3.3, columns=2)
    above = kinds["bic"] - kinds["bic"].min() + 1
    left.plot(kinds["kinds"], above, color=ACCENT, marker="o", linewidth=1.8)
    chosen = kinds["kinds"] == result.k
    ring: dict[str, Any] = {"s": 150, "facecolors": "none", "edgecolors": WARM, "linewidths": 2}
    left.scatter(kinds["kinds"][chosen], above[chosen], zorder=4, **ring)
    axis = table[table["kinds"].isna()]
    for value in axis["bic"] - kinds["bic"].min() + 1:
        if value > 0:
            left.axhline(value, color=MUTED, linestyle="--", linewidth=1.2)
            beside: dict[str, Any] = {"ha": "right", "va": "bottom", "fontsize": 8, "color": MUTED}
            left.text(kinds["kinds"].max(), value, "one axis, no gaps", **beside)
    left.set_yscale("log")
    left.yaxis.set_major_formatter(lambda x, _: f"{x:,.0f}")
    left.set_xticks(list(kinds["kinds"]))
    left.set_xlabel("number of kinds")
    left.set_ylabel("BIC above the smallest, plus 1")
    left.set_title("Fewer points, better model")
    gains = kinds[kinds["later"] > 0]
    if gains.empty:
        right.text(
            0.5, 0.5, "No later visits to predict.", ha="center", color=MUTED, transform=right.transAxes
        )
        right.set_axis_off()
    else:
        names = [f"from {int(k) - 1} to {int(k)}" for k in gains["kinds"]]
        figures.dots(right, names, gains["estimate"], gains["low"], gains["high"])
        right.axvline(0, color=INK, linewidth=0.9)
        right.set_xlabel("gain in log-likelihood a customer")
    right.set_title("Does one more kind foretell later visits?")
    alt = f"Two panels. The BIC is smallest, or was asked to be judged, at {result.k} of {len(kinds)} numbers of kinds tried."
    if not gains.empty:
        alt += f" The last kind raises the log-likelihood of later visits by {gains['estimate'].iloc[-1]:.3f} a customer."
    return figures.finish(fig, alt)


def sizes(personas: Personas) -> Shown:
    """How large each persona is, with intervals."""
    table = visible(personas.table())
    if table.empty:
        return figures.nothing("How large each persona is")
    fig, ax = figures.figure(height=0.42 * len(table) + 1.2)
    colours = [COLOURS[i % len(COLOURS)] for i in table.index]
    figures.dots(ax, list(table["persona"]), table["estimate"], table["low"], table["high"], colours)
    ax.set_yticks(ax.get_yticks(), [_wrapped(name, 40) for name in table["persona"]])
    ax.set_xlim(0, max(1.15 * float(table["high"].max()), 0.1))
    ax.xaxis.set_major_formatter(lambda x, _: f"{x:.0%}")
    ax.set_xlabel("share of customers")
    ax.set_title("How large each persona is")
    said = "; ".join(f"{r.persona} {percent(r.estimate)}" for r in table.itertuples())
    return figures.finish(fig, f"Shares of customers with intervals: {said}.")


def cards(result: Cards) -> Shown:
    """The persona cards, side by side: size, value, how visits begin, feelings, what is most its own and what is not."""
    table = visible(result.table())
    names = [name for name in result.labels if name in set(table["persona"])]
    if not names:
        return figures.nothing("Personas")
    columns = min(ACROSS, len(names))
    rows = -(-len(names) // columns)
    fig, grid = figures.figure(3.2 * columns, 4.5 * rows, columns, rows)
    with figures.style():
        for ax in np.ravel(grid):
            ax.set_axis_off()
        for ax, name in zip(np.ravel(grid), names, strict=False):
            colour = COLOURS[result.labels.index(name) % len(COLOURS)]
            _card(ax, name, table[table["persona"] == name], colour)
    said = []
    for name in names:
        size = table[(table["persona"] == name) & (table["about"] == "size")]
        said.append(f"{name}, {percent(size['estimate'].iloc[0])}" if len(size) else name)
    return figures.finish(fig, f"Cards of {len(names)} personas: {'; '.join(said)}.")


def _card(ax: Any, name: str, lines: pd.DataFrame, colour: str) -> None:
    from matplotlib.patches import FancyBboxPatch, Rectangle

    ax.set_xlim(0, 1)
    ax.set_ylim(LINES, 0)
    box: dict[str, Any] = {"boxstyle": "round,pad=0,rounding_size=0.03", "mutation_aspect": LINES}
    ax.add_patch(FancyBboxPatch((0, 0), 1, LINES, facecolor="#fbfcfd", edgecolor=FAINT, **box))
    ax.add_patch(Rectangle((0, 0), 1, 2.2, facecolor=colour, edgecolor="none"))
    letter, _, words = name.partition(": ")
    _left(ax, 1.1, letter, 20, color="white", fontweight="bold")
    _left(ax, 1.1, _wrapped(words or name, 26), 9, x=0.17, color="white", fontweight="bold")
    by = {about: lines[lines["about"] == about] for about in lines["about"].unique()}
    at = 2.9
    for row in by.get("size", lines.head(0)).itertuples():
        _left(ax, at, f"{100 * row.estimate:.0f} % of customers", 10.5, fontweight="bold")
        _right(ax, at, f"{100 * row.low:.0f} to {100 * row.high:.0f} %", color=MUTED)
    at += 0.95
    for row in by.get("value", lines.head(0)).itertuples():
        ratio = row.estimate / max(row.overall, 1e-9)
        at = _bar(ax, at, str(row.feature).removesuffix(" a customer"), ratio, colour)
    for row in by.get("feelings", lines.head(0)).itertuples():
        other = "discontent" if row.difference < -0.1 else "as content as others"
        face = "content" if row.difference > 0.1 else other
        _left(ax, at, f"Feels {face} ({row.estimate:+.2f} sd)")
        at += 0.9
    titles = {"beginnings": "Visits begin with", "most": "More than others", "not": "Less than others"}
    for about, title in titles.items():
        said = by.get(about, lines.head(0)).head(3)
        if said.empty:
            continue
        _left(ax, at, title, 7.5, color=MUTED)
        at += 0.72
        for row in said.itertuples():
            _left(ax, at, figures.label(_said(row, about)), x=0.07)
            share = row.estimate <= 1 and row.block != "satisfaction"
            if about != "most" or (share and not str(row.feature).endswith("value")):
                shares = f"{100 * row.estimate:.0f} %, all {100 * row.overall:.0f} %"
                _right(ax, at, shares, 7.5, color=MUTED)
            at += 0.72
        at += 0.15


def _left(ax: Any, at: float, words: str, size: float = 8.5, x: float = 0.04, **style: Any) -> None:
    ax.text(x, at, words, fontsize=size, va="center", **style)


def _right(ax: Any, at: float, words: str, size: float = 8.0, **style: Any) -> None:
    ax.text(0.96, at, words, fontsize=size, ha="right", va="center", **style)


def _said(row: Any, about: str) -> str:
    difference = abs(row.difference) if about == "not" else row.difference
    return in_words(row.block, row.feature, difference) or nice(row.feature)


def _bar(ax: Any, at: float, what: str, ratio: float, colour: str) -> float:
    """A bar of a mean against that of all customers, which is the grey line in the middle."""
    from matplotlib.patches import Rectangle

    left, middle, width = 0.34, 0.53, 0.38
    _left(ax, at, nice(what))
    ax.add_patch(Rectangle((left, at - 0.2), min(ratio / 2, 1) * width, 0.4, facecolor=colour, alpha=0.75))
    ax.plot([middle, middle], [at - 0.35, at + 0.35], color=MUTED, linewidth=1)
    _right(ax, at, f"{ratio:.1f} x")
    return at + 0.8


def _wrapped(text: str, width: int) -> str:
    return "\n".join(textwrap.wrap(text, width)) or text


__all__ = ["MEANS", "cards", "evidence", "sizes"]
