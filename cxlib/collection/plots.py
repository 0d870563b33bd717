"""Pictures of the room's results: scores with intervals, volume by month, the spread of stars."""

from __future__ import annotations

import numpy as np
import pandas as pd

from cxlib import figures
from cxlib.collection.clusters import Counts
from cxlib.collection.faults import Faults
from cxlib.collection.identity import Sensitivity
from cxlib.collection.quality import Quality
from cxlib.collection.responders import Responders
from cxlib.collection.voice import Scores, points
from cxlib.figures import Shown
from cxlib.results import EVERYWHERE, nice, number, percent, visible


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


def volume_lines(result: Quality) -> Shown:
    """Events a month, one line a channel; months that the study covers only in part are left out.

    A month of a channel with fewer customers than the minimum for display is a gap in its line.
    """
    monthly = result.monthly.table()
    shown = visible(monthly)
    if not len(shown):
        return figures.nothing("Events by channel")
    months = pd.date_range(monthly["month"].min(), monthly["month"].max(), freq="MS")
    hidden = monthly.assign(n=monthly["n"].where(monthly.index.isin(shown.index)).fillna(-1))
    wide = hidden.pivot(index="month", columns="channel", values="n").reindex(months).fillna(0)
    wide = wide[sorted(shown["channel"].unique())].replace(-1, np.nan)
    first, last = result.volume.frame["first"].min(), result.volume.frame["last"].max()
    spare = pd.Timedelta(days=3)
    whole = (wide.index >= first - spare) & (wide.index + pd.offsets.MonthEnd(1) <= last + spare)
    wide = wide[whole] if whole.sum() > 1 else wide
    wide = wide[wide.sum().sort_values(ascending=False).index]
    fig, ax = figures.figure(height=3.2)
    for place, name in enumerate(wide.columns):
        colour = figures.COLOURS[place % len(figures.COLOURS)]
        dash = ("-", "--", ":")[(place // len(figures.COLOURS)) % 3]
        ax.plot(wide.index, wide[name], dash, color=colour, linewidth=1.8, marker="o", markersize=3)
    ax.legend(
        [nice(name) for name in wide.columns],
        loc="center left",
        bbox_to_anchor=(1, 0.5),
        frameon=False,
    )
    ax.set_ylim(bottom=0)
    ax.set_ylabel("events a month")
    ax.set_title("Events by channel, whole months")
    fig.autofmt_xdate(rotation=30)
    busiest = wide.sum(axis=1).idxmax()
    return figures.finish(
        fig,
        f"Events a month in {len(wide.columns)} channels, {wide.index.min():%B %Y} to "
        f"{wide.index.max():%B %Y}; most through {nice(wide.columns[0])}; "
        f"the busiest month is {busiest:%B %Y}.",
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


def coverage_lines(result: Sensitivity) -> Shown:
    """Each figure with its interval, by the share of links it rests on; one panel a figure."""
    table = result.visible()
    names = list(table["figure"].unique())
    if not names:
        return figures.nothing("Figures by the share of links used")
    fig, axes = figures.figure("wide" if len(names) > 1 else "text", 3.0, len(names))
    said = []
    for name, ax in zip(names, np.atleast_1d(axes), strict=True):
        part = table[table["figure"] == name].sort_values("share")
        ax.fill_between(100 * part["share"], part["low"], part["high"], color=figures.ACCENT, alpha=0.2)
        ax.plot(100 * part["share"], part["estimate"], color=figures.ACCENT, marker="o", markersize=4)
        ax.axhline(part["estimate"].iloc[-1], color=figures.MUTED, linewidth=1, linestyle="--")
        ax.set_xlabel("links used, %")
        ax.set_title(figures.label(name))
        least, most = part.iloc[0], part.iloc[-1]
        said.append(
            f"{nice(name)} from {number(least['estimate'])} at {percent(least['share'])} of the links to "
            f"{number(most['estimate'])} at {percent(most['share'])}"
        )
    return figures.finish(fig, f"Figures with their intervals by the share of links used: {'; '.join(said)}.")


def fault_dots(result: Faults) -> Shown:
    """The share of events with each fault as a dot with its interval."""
    table = result.visible()
    if table.empty:
        return figures.nothing("Events at fault")
    return _dots(table, table["fault"].tolist(), "events, %", "Events at fault", 100)


def drift_dots(result: Counts, rows: int = 12) -> Shown:
    """The columns that differ between the halves beyond chance, farthest first: the class that moved most."""
    table = result.visible()
    shown = table[table["q"] < 0.05].nlargest(rows, "distance")
    if shown.empty:
        return figures.nothing("What differs between the halves")
    labels = [f"{column}: {label}" for column, label in zip(shown["column"], shown["class"], strict=True)]
    return _dots(shown, labels, "change of its share, points", "What differs between the halves", 1)


def identity_bars(result: Counts) -> Shown:
    """Whose each channel's events are: shares that add up to the whole, the largest channel on top."""
    table = result.visible()
    if table.empty:
        return figures.nothing("Whose the events are")
    wide = 100 * table.pivot(index="channel", columns="whose", values="estimate")
    wide = wide.loc[table["channel"].unique()[::-1], table["whose"].unique()]
    fig, ax = figures.figure(height=1.2 + 0.28 * len(wide))
    left = np.zeros(len(wide))
    for place, whose in enumerate(wide):
        ax.barh(
            [figures.label(c) for c in wide.index],
            wide[whose],
            left=left,
            color=figures.COLOURS[place],
            label=whose,
        )
        left += wide[whose].to_numpy()
    ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.16 - 0.3 / len(wide)), ncols=3, frameon=False)
    ax.grid(axis="y", visible=False)
    ax.set_xlabel("events, %")
    ax.set_title("Whose the events are")
    said = ", ".join(f"{share:.1f} % {whose}'" for whose, share in wide.iloc[-1].items())
    return figures.finish(
        fig, f"Bars of whose the events of {len(wide) - 1} channels are; all together {said}."
    )


def _dots(table: pd.DataFrame, labels: list[str], unit: str, title: str, factor: float) -> Shown:
    """Estimates with their intervals, one row a label, and the alt text that says them."""
    fig, ax = figures.figure(height=0.9 + 0.28 * len(table))
    estimate, low, high = (factor * table[name].to_numpy(float) for name in ("estimate", "low", "high"))
    figures.dots(ax, labels, estimate, low, high, against=0)
    ax.set_xlabel(unit)
    ax.set_title(title)
    said = ", ".join(f"{nice(name)} {value:.1f}" for name, value in zip(labels, estimate, strict=True))
    return figures.finish(fig, f"{title}, with intervals ({unit}): {said}.")
