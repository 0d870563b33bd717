"""Pictures of the room's results: volume by month, faults, drift, and whose the events are."""

from __future__ import annotations

import numpy as np
import pandas as pd

from cxlib import figures
from cxlib.collection.faults import Faults
from cxlib.collection.identity import Sensitivity
from cxlib.collection.quality import Quality
from cxlib.figures import Shown
from cxlib.rates import Counts
from cxlib.results import nice, number, percent, visible


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
        return figures.nothing("Events at fault", result.claim())
    return _dots(table, table["fault"].tolist(), "events, %", "Events at fault", 100)


def drift_dots(result: Counts, rows: int = 12) -> Shown:
    """The columns that differ between the halves beyond chance, farthest first: the class that moved most."""
    table = result.visible()
    shown = table[table["q"] < 0.05].nlargest(rows, "distance")
    if shown.empty:
        return figures.nothing("What differs between the halves", result.claim())
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
    fig, _ = figures.dotted(table, labels, unit, title, factor=factor, against=0)
    pairs = zip(labels, factor * table["estimate"], strict=True)
    said = ", ".join(f"{nice(name)} {value:.1f}" for name, value in pairs)
    return figures.finish(fig, f"{title}, with intervals ({unit}): {said}.")
