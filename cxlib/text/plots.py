"""Pictures of what customers write: sentiment, themes and what goes with them, mentions over time, reasons."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from cxlib import figures
from cxlib.figures import ACCENT, INK, MUTED, WARM, Shown
from cxlib.rates import Counts
from cxlib.results import EVERYWHERE, minimum, nice, number, percent, visible
from cxlib.text.effects import ThemeEffects
from cxlib.text.learned import Sentiment, spelled
from cxlib.text.listening import Mentions
from cxlib.text.prevalence import Prevalence


def sentiment_dots(result: Sentiment) -> Shown:
    """For each language, how often a pleased comment sounds more pleased than a displeased one."""
    shown = result.visible().dropna(subset="low")
    if not len(shown):
        return figures.nothing("Can the words tell who is pleased?")
    unit, title = (
        "of two comments, the pleased one is told right (0.5: by chance)",
        "Can the words tell who is pleased?",
    )
    fig, ax = figures.dotted(shown, shown["language"].tolist(), unit, title, against=0.5, height=1.1, row=0.3)
    ax.set_xlim(min(0.45, shown["low"].min()), 1.0)
    said = f"Probability that words tell a pleased from a displeased comment: {spelled(shown, 'language')}."
    return figures.finish(fig, said)


def prevalence_dots(result: Prevalence) -> Shown:
    """Each theme's share of comments as a dot with its interval, the rule's own count as a ring."""
    shown = result.whole().sort_values("estimate", ascending=False)
    if not len(shown):
        return figures.nothing("What comments speak of")
    title = "What comments speak of" + (", the rule's errors taken out" if result.corrected else "")
    fig, ax = figures.dotted(
        shown, shown["theme"].tolist(), "comments, %", title, factor=100, height=1.2, row=0.3
    )
    said = ", ".join(f"{nice(r['theme'])} {percent(r['estimate'])}" for r in shown.to_dict("records"))
    if result.corrected:
        figures.beside(ax, 100 * shown["naive"], "counted by the rule alone")
        fig.legend(loc="outside lower right", fontsize=9, frameon=False)
    ax.set_xlim(left=0)
    return figures.finish(fig, f"Share of comments with each theme, 95 % intervals: {said}.")


def effect_dots(result: ThemeEffects) -> Shown:
    """What goes with each theme: filled together with the others, a ring by itself."""
    shown = result.visible()
    title = f"Which themes go with a lower {result.of}"
    if not len(shown):
        return figures.nothing(title)
    away = (shown["q"] < 0.05).to_numpy()
    lower = away & (shown["estimate"] < 0)
    colours = np.where(lower, figures.WARM, np.where(away, figures.ACCENT, figures.MUTED))
    unit = f"{result.of}: lower or higher where the theme is spoken of"
    unit += ", 1 is a whole scale" if result.outcome == "place" else ""
    look: dict[str, Any] = {"colour": colours, "against": 0.0, "height": 1.3, "row": 0.34}
    fig, ax = figures.dotted(shown, shown["theme"].tolist(), unit, title, **look)
    if not result.single:
        figures.beside(ax, shown["alone"], "by itself")
        fig.legend(loc="outside lower right", fontsize=9, frameon=False)
    said = f"Difference in {result.of} that goes with each theme: {spelled(shown, 'theme')}."
    return figures.finish(fig, said)


def mention_ridges(result: Mentions) -> Shown:
    """Each group's people over time, on a scale of its own; the usual number as a line, bursts in the other colour."""
    table, key = result.frame, result.frame.columns[0]
    people = table.groupby(key)["customers"].max().sort_values(ascending=False)
    names = people[people >= minimum()].index[:12].tolist()
    if not names:
        return figures.nothing("Who was spoken about, and when")
    from matplotlib.dates import num2date

    bursts = visible(result.bursts())
    fig, ax = figures.figure("wide", 0.9 + 0.62 * len(names))
    for row, name in enumerate(reversed(names)):
        one, top = table[table[key] == name], people[name]
        # A stretch of few people is left blank, as a row of a table would be.
        height = 0.8 * one["customers"].where(one["customers"] >= minimum()).to_numpy(float) / top
        hot = np.zeros(len(one), dtype=bool)
        for _, burst in bursts[bursts[key] == name].iterrows():
            now = (one["ts"] >= burst["ts"]) & (one["ts"] < burst["until"])
            hot |= now.to_numpy()
            peak = int(np.argmax(np.where(now, height, -1)))
            ax.annotate(
                f"{number(burst['estimate'])} times the usual", (one["ts"].iloc[peak], row + 0.86),
                xytext=(-5, 0), textcoords="offset points", ha="right", va="center", fontsize=8, color=WARM,
            )  # fmt: skip
        width = pd.Timedelta(seconds=result.every)
        ax.bar(one["ts"], height, width, row, align="edge", color=np.where(hot, WARM, ACCENT), alpha=0.6)
        usual = row + 0.8 * one["usual"].to_numpy(float) / top
        ax.plot(one["ts"] + width / 2, usual, color=INK, linewidth=0.9, linestyle=(0, (4, 2)))
    labels = [f"{figures.label(name)}\n(to {people[name]:,})" for name in reversed(names)]
    ax.set_yticks(np.arange(len(names)) + 0.25, labels)
    ax.set_ylim(-0.1, len(names))
    ax.grid(axis="y", visible=False)
    ax.hlines(range(len(names)), *ax.get_xlim(), color=figures.FAINT, linewidth=0.8, zorder=0)
    ax.xaxis.set_major_formatter(lambda day, _: f"{num2date(day):%d %b}".lstrip("0"))
    ax.set_xlabel(
        f"time, UTC (dashed: the usual number of people at that time; blank: fewer than {minimum()})"
    )
    ax.set_title("Who was spoken about, and when it was more than usual")
    said = "; ".join(
        f"{nice(b.iloc[0])} {b['ts']:%d %b %H:%M}, {number(b['estimate'])} times" for _, b in bursts.head(5).iterrows()
    )  # fmt: skip
    return figures.finish(
        fig,
        f"People who spoke about {len(names)} groups over time, each on its own scale. Bursts: {said or 'none'}.",
    )


def reason_dots(result: Counts) -> Shown:
    """The share of each reason as a dot with its interval; by group, a table of shades with what stands out boxed."""
    table = result.visible()
    if not len(table):
        return figures.nothing("What they complain about")
    return _reason_heat(table) if "ratio" in table else _reason_dots(table)


def _reason_dots(table: pd.DataFrame) -> Shown:
    column = table.columns[0]
    unit = f"of those with a {nice(column)}, %"
    fig, ax = figures.dotted(table, table[column].tolist(), unit, "What they complain about", factor=100)
    ax.set_xlim(left=0)
    said = ", ".join(f"{nice(a)} {percent(b)}" for a, b in zip(table[column], table["estimate"], strict=True))
    return figures.finish(fig, f"Share of each {nice(column)} with 95 % intervals: {said}.")


def _reason_heat(table: pd.DataFrame) -> Shown:
    by, column = table.columns[:2]
    order = table[column].drop_duplicates().tolist()
    shares = table.pivot(index=column, columns=by, values="estimate").loc[order]
    shares = shares[[EVERYWHERE, *(name for name in shares if name != EVERYWHERE)]]
    q = table.pivot(index=column, columns=by, values="q").reindex_like(shares)
    ratio = table.pivot(index=column, columns=by, values="ratio").reindex_like(shares)
    fig, ax = figures.figure("wide", 1.1 + 0.3 * len(order))
    columns = ["all" if name == EVERYWHERE else str(name) for name in shares]
    figures.heat(ax, shares.fillna(0), order, columns)
    above, below = ((q < 0.05) & (ratio > 1)).to_numpy(), ((q < 0.05) & (ratio < 1)).to_numpy()
    for marked, colour, mark in ((above, WARM, "^"), (below, MUTED, "v")):
        at = np.argwhere(marked)
        ax.scatter(
            at[:, 1] + 0.34, at[:, 0], marker=mark, color=colour, s=28, edgecolor="white", linewidth=0.8
        )
    ax.xaxis.tick_top()
    ax.axvline(0.5, color="white", linewidth=3)
    ax.set_xlabel("triangles: above (pointing up) or below the others by more than chance would do")
    ax.set_title(f"What they complain about by {nice(by)}, %")
    first = [f"{nice(name)}: {nice(shares[name].idxmax())} {percent(shares[name].max())}" for name in shares]
    far = [f"{nice(order[i])} at {nice(columns[j])}" for i, j in np.argwhere(above)]
    return figures.finish(
        fig,
        f"Share of each {nice(column)} by {nice(by)}; most frequent of {'; '.join(first)}. "
        f"Above the others by more than chance: {', '.join(far) or 'none'}.",
    )


def engagement_dots(result: Counts) -> Shown:
    """Each feature's difference with its interval, all features together; hollow, the difference taken alone."""
    table = result.visible()
    if not len(table):
        return figures.nothing("What gets passed on")
    look: dict[str, Any] = {
        "factor": 100,
        "colour": [ACCENT if q < 0.05 else MUTED for q in table["q"]],
        "against": 0.0,
    }
    unit, title = "difference in the share passed on, points", "What gets passed on: what goes with it"
    fig, ax = figures.dotted(table, table["feature"].tolist(), unit, title, **look, height=1.3, row=0.3)
    figures.beside(ax, 100 * table["alone"], "taken alone", facecolors="white", zorder=2)
    ax.scatter([], [], color=ACCENT, s=30, label="with the others held still, beyond chance")
    ax.scatter([], [], color=MUTED, s=30, label="within chance")
    ax.legend(loc="upper center", bbox_to_anchor=(0.4, -0.2), ncols=3, fontsize=8, frameon=False)
    said = ", ".join(f"{a} {100 * b:+.1f}" for a, b in zip(table["feature"], table["estimate"], strict=True))
    return figures.finish(fig, f"Difference in the share passed on by feature, in points: {said}.")
