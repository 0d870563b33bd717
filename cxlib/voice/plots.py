"""Pictures of what customers say: scores with intervals, who answered, the spread of the stars."""

from __future__ import annotations

import numpy as np

from cxlib import figures
from cxlib.figures import Shown
from cxlib.rates import Counts
from cxlib.results import EVERYWHERE, nice, number, percent
from cxlib.voice.responders import Responders
from cxlib.voice.scores import Scores, points


def score_dots(result: Scores) -> Shown:
    """Each group's score as a dot with its interval, highest first, the whole as a line.

    Groups on fewer customers than the minimum for display are left out.
    """
    table, key = result.visible(), result.table().columns[0]
    if not len(table) or table[key].iloc[0] != EVERYWHERE:
        return figures.nothing(result.measure)
    whole, groups = table.iloc[0], table.iloc[1:].sort_values("estimate", ascending=False)
    shown = groups if len(groups) else table.iloc[:1]
    factor = 100 if result.unit == "share" else 1
    say = {"points": points, "share": percent}.get(result.unit, number)
    fig, ax = figures.figure(height=0.9 + 0.28 * len(shown))
    apart = shown["q"].lt(0.05).fillna(False)
    colours = np.where(apart & (shown["estimate"] < whole["estimate"]), figures.WARM, figures.ACCENT)
    estimate, low, high = (factor * shown[name].to_numpy(float) for name in ("estimate", "low", "high"))
    figures.dots(ax, shown[key].tolist(), estimate, low, high, colours, factor * whole["estimate"])
    ax.set_xlabel(
        {"points": "net promoter score, points", "share": "satisfied, %"}.get(result.unit, "mean score")
    )
    ax.set_title(f"{result.measure}, by {nice(key)}")
    best, worst = shown.iloc[0], shown.iloc[-1]
    return figures.finish(
        fig,
        f"{result.measure} for {len(shown)} {key} groups with 95 % intervals: from {say(worst['estimate'])} "
        f"({nice(worst[key])}) to {say(best['estimate'])} ({nice(best[key])}); "
        f"all answers together {say(whole['estimate'])}.",
    )


def response_dots(result: Responders) -> Shown:
    """The share of customers who answered, by each value of each attribute, with intervals."""
    table = result.visible()
    if not len(table) or table["attribute"].iloc[0] != EVERYWHERE:
        return figures.nothing("Who answered a survey")
    whole, rows = table.iloc[0], table.iloc[1:]
    shown = rows if len(rows) else table.iloc[:1]
    labels = [
        f"{a}: {v}" if a != EVERYWHERE else "all"
        for a, v in zip(shown["attribute"], shown["value"], strict=True)
    ]
    fig, ax = figures.figure(height=0.9 + 0.24 * len(shown))
    estimate, low, high = (100 * shown[name] for name in ("estimate", "low", "high"))
    figures.dots(ax, labels, estimate, low, high, against=100 * whole["estimate"])
    ax.set_xlabel("customers who answered, %")
    ax.set_title("Who answered a survey")
    low, high = (int(np.nanargmin(shown["estimate"])), int(np.nanargmax(shown["estimate"])))
    return figures.finish(
        fig,
        f"Share of customers who answered a survey, {percent(whole['estimate'])} in all, by attribute: from "
        f"{percent(shown['estimate'].iloc[low])} ({labels[low]}) to {percent(shown['estimate'].iloc[high])} "
        f"({labels[high]}).",
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
