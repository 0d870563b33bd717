"""Pictures of what customers answer: scores, who is silent, why a score moved, the scorecard, blind spots."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from cxlib import figures
from cxlib.contract.tables import STAGES
from cxlib.figures import Shown
from cxlib.rates import Counts
from cxlib.results import EVERYWHERE, TOO_FEW, nice, number, percent
from cxlib.voice.drivers import Drivers
from cxlib.voice.responders import Responders
from cxlib.voice.scorecard import DIMENSIONS, WITNESSES, Scorecard
from cxlib.voice.scores import Scores, said
from cxlib.voice.silence import Silent
from cxlib.voice.split import CHANGE, Split
from cxlib.voice.unasked import Unasked

UP, DOWN = figures.COLOURS[2], figures.WARM


UNITS = {"points": "net promoter score, points", "share": "satisfied, %"}


def score_dots(result: Scores) -> Shown:
    """Each group's score as a dot with its interval, highest first (months in their order), the whole as a line.

    Groups on fewer customers than the minimum for display are left out.
    """
    if result.too_few():
        return figures.nothing(result.measure)
    table, key = result.visible(), result.frame.columns[0]
    whole, groups = table.iloc[0], table.iloc[1:]
    if key != "month":
        groups = groups.sort_values("estimate", ascending=False)
    shown = groups if len(groups) else table.iloc[:1]
    factor = 100 if result.unit == "share" else 1
    apart = shown["q"].lt(0.05).fillna(False)
    colours = np.where(apart & (shown["estimate"] < whole["estimate"]), figures.WARM, figures.ACCENT)
    unit, title = UNITS.get(result.unit, "mean score"), f"{result.measure}, by {nice(key)}"
    look: dict[str, Any] = {"factor": factor, "colour": colours, "against": factor * whole["estimate"]}
    fig, _ = figures.dotted(shown, shown[key].tolist(), unit, title, **look)
    best, worst = shown.loc[shown["estimate"].idxmax()], shown.loc[shown["estimate"].idxmin()]
    return figures.finish(
        fig,
        f"{result.measure} for {len(shown)} {key} groups with 95 % intervals: from "
        f"{said(worst['estimate'], result.unit)} ({nice(worst[key])}) to "
        f"{said(best['estimate'], result.unit)} ({nice(best[key])}); "
        f"all answers together {said(whole['estimate'], result.unit)}.",
    )


def response_dots(result: Responders) -> Shown:
    """The share of customers who answered, by each value of each attribute, with intervals."""
    title, table = "Who answered a survey", result.visible()
    if result.too_few():
        return figures.nothing(title)
    whole, rows = table.iloc[0], table.iloc[1:]
    shown = rows if len(rows) else table.iloc[:1]
    labels = [
        f"{a}: {v}" if a != EVERYWHERE else "all"
        for a, v in zip(shown["attribute"], shown["value"], strict=True)
    ]
    look: dict[str, Any] = {"factor": 100, "against": 100 * whole["estimate"], "row": 0.24}
    fig, _ = figures.dotted(shown, labels, "customers who answered, %", title, **look)
    low, high = (int(np.nanargmin(shown["estimate"])), int(np.nanargmax(shown["estimate"])))
    return figures.finish(
        fig,
        f"Share of customers who answered a survey, {percent(whole['estimate'])} in all, by attribute: from "
        f"{percent(shown['estimate'].iloc[low])} ({labels[low]}) to {percent(shown['estimate'].iloc[high])} "
        f"({labels[high]}).",
    )


def silent_dots(result: Silent) -> Shown:
    """A score under each view of the silent: what the view allows as a bar, its 95 % interval as a line."""
    table = result.visible()
    if table.empty or result.too_few():
        return figures.nothing(result.measure, result.claim())
    factor = 100 if result.unit == "share" else 1
    unit, title = UNITS.get(result.unit, "mean score"), "What the silent may change"
    look: dict[str, Any] = {
        "factor": factor,
        "against": factor * table["estimate"].iloc[0],
        "width": "wide",
        "row": 0.32,
    }
    fig, ax = figures.dotted(table, table["view"].tolist(), unit, title, **look)
    rows = np.arange(len(table))[::-1]
    ax.hlines(
        rows, factor * table["least"], factor * table["most"], color=figures.ACCENT, linewidth=7, alpha=0.3
    )
    ax.set_yticks(rows, table["view"])
    first, weighted, last = table.iloc[0], table.iloc[2], table.iloc[-1]
    return figures.finish(
        fig,
        f"{result.measure} under {len(table)} views of those who did not answer: as answered "
        f"{said(first['estimate'], result.unit)}, weighted to all in contact "
        f"{said(weighted['estimate'], result.unit)}, whatever the silent feel between "
        f"{said(last['least'], result.unit)} and {said(last['most'], result.unit)}.",
    )


def stars_bar(result: Counts) -> Shown:
    """The share of each score as a bar with its interval."""
    table = result.visible()
    if not table["estimate"].gt(0).any():
        return figures.nothing("How the answers are spread")
    fig, ax = figures.figure(height=2.8)
    estimate, low, high = (100 * table[name].to_numpy(float) for name in ("estimate", "low", "high"))
    figures.bars(ax, table["score"].astype(str).tolist(), estimate, low, high, upright=True)
    for place, value in enumerate(estimate):
        ax.annotate(
            f"{value:.1f} %", (place, high[place]), xytext=(0, 3), textcoords="offset points", ha="center"
        )
    ax.set_xlabel("score")
    ax.set_title("How the answers are spread")
    ax.set_ylabel("answers, %")
    ax.margins(y=0.12)
    said = ", ".join(f"{score}: {value:.1f} %" for score, value in zip(table["score"], estimate, strict=True))
    return figures.finish(fig, f"Bar chart of how answers spread over the scores: {said}.")


MOST = 12


def split_bars(result: Split) -> Shown:
    """The score before, what each part adds, the score after; beside it the details of the largest part.

    What cannot be told from nothing is grey.
    """
    table = result.visible()
    if not len(table) or table["part"].iloc[0] != CHANGE:
        return figures.nothing("Why the score moved", result.claim())
    factor = 100 if result.unit == "share" else 1
    unit = {"points": "points", "share": "satisfied, %"}.get(result.unit, "mean score")
    fig, (left, right) = figures.figure("wide", height=3.6, columns=2)
    parts = table[(table["detail"] == EVERYWHERE) & (table["part"] != CHANGE)]
    steps, low, high, colours = _steps(parts, factor)
    levels, under, over, _ = _steps(result.levels, factor)
    starts = levels[0] + np.cumsum(steps) - steps
    places = np.arange(1, len(parts) + 1)
    ends = [0, len(parts) + 1]
    left.bar(places, steps, bottom=starts, color=colours, width=0.6, alpha=0.9)
    bars: dict[str, Any] = {"ecolor": figures.INK, "color": figures.INK, "capsize": 3}
    left.errorbar(ends, levels, [levels - under, over - levels], fmt="o", **bars)
    left.errorbar(places, starts + steps, [steps - low, high - steps], fmt="none", **bars)
    flat = [0, *(places[1:] - 0.7), ends[1] - 0.7], [*(places - 0.3), ends[1]]
    left.hlines([*starts, levels[1]], *flat, color=figures.MUTED)
    near: dict[str, Any] = {"xytext": (0, 4), "textcoords": "offset points", "ha": "center"}
    for place, start, step, reach in zip(places, starts, steps, np.nan_to_num(high), strict=True):
        left.annotate(f"{step:+.1f}", (place, start + max(reach, 0)), **near)
    names = [one.replace(" ", "\n", 1) for one in parts["part"]]
    left.set_xticks(range(len(parts) + 2), ["before", *names, "after"])
    left.grid(axis="x", visible=False)
    left.margins(y=0.16)
    left.set_ylabel(unit)
    left.set_title("From before to after, part by part")
    largest = parts.loc[parts["estimate"].abs().idxmax(), "part"]
    details = table[(table["part"] == largest) & (table["detail"] != EVERYWHERE)].head(MOST)
    details = details.sort_values("estimate", kind="stable")
    estimate, low, high, colours = _steps(details, factor, searched=True)
    figures.dots(right, details["detail"].tolist(), estimate, low, high, colours, against=0.0)
    right.set_xlabel("adds to the change" + ("" if result.unit == "scale" else ", points"))
    right.set_title(f"{largest.capitalize()}, one by one")
    said = ", ".join(f"{part} {step:+.1f}" for part, step in zip(parts["part"], steps, strict=True))
    return figures.finish(
        fig,
        f"{result.measure} from {number(levels[0])} to {number(levels[1])}, in steps: {said}; beside it, what each "
        f"of {len(details)} adds within {largest}, with 95 % intervals.",
    )


def _steps(rows: pd.DataFrame, factor: float, searched: bool = False) -> tuple[Any, Any, Any, list[str]]:
    """Estimates and ends in the picture's unit, and a colour that says which way, if either."""
    estimate, low, high = (factor * rows[name].to_numpy(float) for name in ("estimate", "low", "high"))
    clear = rows["q"].lt(0.05).to_numpy() if searched else np.ones(len(rows), dtype=bool)
    colours = np.select([clear & (low > 0), clear & (high < 0)], [UP, DOWN], figures.MUTED)
    return estimate, low, high, colours.tolist()


def scorecard_grid(result: Scorecard) -> Shown:
    """Six dimensions down, four stages across; in each cell a mark and its interval for each witness."""
    table = result.visible()
    if table.empty:
        return figures.nothing("Scorecard")
    fig, ax = figures.figure("wide", height=5.2)
    # Across a cell: a margin, the line from 0 to 100 %, the number.
    row = -table["dimension"].map(DIMENSIONS.index)
    start = table["stage"].map(STAGES.index) + 0.1
    height = row + 0.27 - 0.27 * table["witness"].map(WITNESSES.index)
    x, low, high = (start + 0.64 * table[name] for name in ("estimate", "low", "high"))
    apart = set(zip(table["dimension"], table["stage"], table["disagree"], strict=True))
    for i, dimension in enumerate(DIMENSIONS):
        for j, stage in enumerate(STAGES):
            shade = "#fdece3" if (dimension, stage, True) in apart else "#f5f7f9"
            ax.fill_between([j + 0.03, j + 0.97], -i - 0.46, -i + 0.46, color=shade, linewidth=0, zorder=0)
            if not {(dimension, stage, True), (dimension, stage, False)} & apart:
                ax.text(j + 0.5, -i, "nothing known", ha="center", va="center", color=figures.MUTED)
    ax.hlines(height, start, start + 0.64, color="#d5dce3", linewidth=1, zorder=1)
    for one, colour, mark in zip(WITNESSES, (*figures.COLOURS[:2], figures.COLOURS[3]), "osD", strict=True):
        mine = table["witness"] == one
        if mine.any():
            ax.hlines(height[mine], low[mine], high[mine], color=colour, linewidth=5, alpha=0.35, zorder=2)
            ax.scatter(x[mine], height[mine], color=colour, marker=mark, s=26, zorder=3, label=one)
    for left, y, value in zip(start, height, table["estimate"], strict=True):
        ax.text(left + 0.84, y, f"{100 * value:.0f} %", ha="right", va="center", fontsize=8)
    ax.set(xlim=(0, len(STAGES)), ylim=(0.5 - len(DIMENSIONS), 0.5))
    ax.set_xticks(np.arange(len(STAGES)) + 0.5, STAGES)
    ax.set_yticks(-np.arange(len(DIMENSIONS)), [nice(one) for one in DIMENSIONS])
    ax.xaxis.tick_top()
    ax.grid(visible=False)
    ax.spines[:].set_visible(False)
    fig.legend(loc="outside lower center", ncols=3, frameon=False, title="lines run from 0 to 100 %")
    ax.set_title("How much of it is good, by witness (shaded: they contradict each other)")
    shaded = "; ".join(f"{nice(one)} in {stage}" for one, stage, disagree in sorted(apart) if disagree)
    return figures.finish(
        fig,
        "Grid of six dimensions by four stages with the share that is good as "
        f"{' and '.join(one for one in WITNESSES if one in set(table['witness']))} tell it, with 95 % intervals. "
        f"Cells in which they contradict each other: {shaded or 'none'}.",
    )


def unasked_dots(result: Unasked) -> Shown:
    """The touchpoints with most trouble and their peers, and beside them how many contacts are asked about."""
    seen = result.visible().sort_values("estimate", ascending=False, kind="stable")
    table = seen[seen["estimate"] >= 0.005].head(MOST)
    if table.empty:
        why = f"At none of {len(seen)} touchpoints are contacts in trouble." if len(seen) else TOO_FEW
        return figures.nothing("Trouble, and who is asked about it", why)
    peers, asked = 100 * table["peers"], 100 * table["asked"]
    fig, left, right, rows = _pair(
        table, table["blind"], "blind spot: more than its peers, hardly anybody asked"
    )
    left.scatter(peers, rows, marker="|", s=90, color=figures.INK, zorder=2, label="its peers")
    left.set(xlabel="%", title="Contacts in trouble")
    for row, value, blind in zip(rows, asked, table["blind"], strict=True):
        right.barh(row, value, color=figures.WARM if blind else figures.ACCENT, height=0.55, alpha=0.9)
        right.text(value + asked.max() / 80, row, f"{value:.1f}", va="center", fontsize=8)
    right.axvline(100 * result.asked, color=figures.MUTED, linewidth=1, linestyle="--")
    right.set(
        xlim=(0, max(1.1 * asked.max(), 1)),
        xlabel="%, dashed: over all touchpoints",
        title="Contacts asked about",
    )
    fig.legend(loc="outside lower center", ncols=2, frameon=False)
    first, blind_spots = (
        table.iloc[0],
        ", ".join(nice(one) for one in table.loc[table["blind"], "touchpoint"]),
    )
    return figures.finish(
        fig,
        f"Share of contacts in trouble at {len(table)} touchpoints with 95 % intervals, from "
        f"{percent(first['estimate'])} at {nice(first['touchpoint'])} down, beside the share of contacts asked about "
        f"({percent(result.asked)} over all touchpoints). Blind spots: {blind_spots or 'none'}.",
    )


def driver_dots(result: Drivers) -> Shown:
    """How much of the whole goes with each item, and beside it how the item is rated."""
    table, whole = result.visible(), figures.label(result.whole)
    if table.empty:
        return figures.nothing(f"What goes with {whole}")
    middle = table[["estimate", "rated"]].median()
    marked = (table["estimate"] >= middle["estimate"]) & (table["rated"] < middle["rated"])
    fig, left, right, rows = _pair(table, marked, "goes with it more than most, and is rated lower than most")
    left.set(xlabel="% of its variance", title=f"Goes with {whole} (no proof that it moves it)")
    estimate, low, high = (100 * table[name] for name in ("rated", "rated_low", "rated_high"))
    figures.intervals(
        right, rows, estimate, low, high, np.where(marked, figures.WARM, figures.ACCENT).tolist()
    )
    right.axvline(100 * middle["rated"], color=figures.MUTED, linewidth=1, linestyle="--")
    right.set(xlabel="% of the way from worst to best, dashed: the middle item", title="How it is rated")
    fig.legend(loc="outside lower center", frameon=False)
    first, said = table.iloc[0], ", ".join(nice(one) for one in table.loc[marked, "item"])
    return figures.finish(
        fig,
        f"How much of the variance of {nice(result.whole)} goes with each of {len(table)} items, with 95 % intervals: "
        f"most with {nice(first['item'])}, {percent(first['estimate'])}; beside it their mean ratings. More than most, "
        f"and rated lower than most: {said or 'none'}.",
    )


def _pair(table: pd.DataFrame, marked: pd.Series, label: str) -> tuple[Any, Any, Any, Any]:
    """Two panels that share their rows, named by the first column; the estimates on the left."""
    fig, (left, right) = figures.figure("wide", height=1.4 + 0.27 * len(table), columns=2)
    estimate, low, high = (100 * table[name] for name in ("estimate", "low", "high"))
    colours = np.where(marked, figures.WARM, figures.ACCENT).tolist()
    figures.dots(left, table.iloc[:, 0].tolist(), estimate, low, high, colours)
    left.scatter([], [], color=figures.WARM, label=label)
    left.set_xlim(left=0)
    rows = np.arange(len(table))[::-1]
    right.set_yticks(rows, [""] * len(rows))
    right.set_ylim(left.get_ylim())
    right.grid(axis="y", visible=False)
    return fig, left, right, rows
