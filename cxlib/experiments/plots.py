"""Figures of experiments; each takes a result, never raw data."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from cxlib import figures
from cxlib.experiments.analysis import Analysis
from cxlib.experiments.by_persona import ByPersona
from cxlib.experiments.frequency import Frequency
from cxlib.experiments.overview import Overview
from cxlib.experiments.policy import Policy
from cxlib.experiments.sample_ratio import SampleRatio
from cxlib.figures import ACCENT, MUTED, WARM, Shown
from cxlib.results import minimum, nice, number, percent, visible

COLOURS = {"ship": ACCENT, "stop": WARM}


def overview(result: Overview) -> Shown:
    """Every arm of every experiment against its control; an experiment that may not be read has an empty row."""
    table = visible(result.table())
    if table.empty:
        return figures.nothing("What the experiments changed")
    labels = [f"{nice(r.experiment)}: {nice(r.arm)}" for r in table.itertuples()]
    unit, title = f"{nice(result.metric)} a customer, against the control", "What the experiments changed"
    colour = [COLOURS.get(verdict, MUTED) for verdict in table["verdict"]]
    look: dict[str, Any] = {"colour": colour, "against": 0, "height": 1.2, "row": 0.3}
    fig, ax = figures.dotted(table, labels, unit, title, **look)
    for row, broken in zip(range(len(table))[::-1], table["estimate"].isna(), strict=True):
        if broken:
            ax.text(0.02, row, "not to be read", transform=ax.get_yaxis_transform(), va="center", color=MUTED)
    ends = zip(_said(labels, table), table["verdict"], strict=True)
    said = "; ".join(f"{each}, {verdict}" for each, verdict in ends)
    return figures.finish(fig, f"Effects on {nice(result.metric)} with intervals: {said}.")


def effects(result: Analysis) -> Shown:
    """Each arm's difference from the control with its interval, a panel a metric, in the metric's unit.

    Of a broken experiment: what share of the customers each arm got, and what was planned.
    """
    if not result.check.passed:
        return _split(result.check)
    table = result.table().copy()
    table.loc[table["n"] < minimum(), ["estimate", "low", "high"]] = np.nan  # drawn as an empty row
    metrics = list(dict.fromkeys(table["metric"]))
    fig, axes = figures.figure("wide", 1.3 + 0.4 * table["arm"].nunique(), columns=len(metrics))
    for ax, metric in zip(np.atleast_1d(axes), metrics, strict=True):
        rows = table[table["metric"] == metric]
        colour = [COLOURS.get(verdict, MUTED) for verdict in rows["verdict"]]
        figures.dots(ax, rows["arm"].tolist(), rows["estimate"], rows["low"], rows["high"], colour, against=0)
        ax.set_title(nice(metric).capitalize())
        ax.set_xlabel(f"difference from {nice(result.control)}")
        ax.locator_params(axis="x", nbins=5)
        if ax is not np.atleast_1d(axes)[0]:
            ax.set_yticklabels([])
    rows = table[table["estimate"].notna()]
    names = [f"{nice(metric)}, {nice(arm)}:" for metric, arm in zip(rows["metric"], rows["arm"], strict=True)]
    ends = zip(_said(names, rows), rows["verdict"], strict=True)
    said = "; ".join(f"{each}, {verdict}" for each, verdict in ends)
    head = f"Differences from {nice(result.control)} with {100 * result.level:g} % intervals"
    return figures.finish(fig, f"{head}: {said or 'none can be shown'}.")


def _split(check: SampleRatio) -> Shown:
    table = check.table()
    look: dict[str, Any] = {"factor": 100, "colour": WARM, "height": 1.3, "row": 0.4}
    unit, title = f"share of the {check.unit}, %", "The assignment is broken"
    fig, ax = figures.dotted(table, table["arm"].tolist(), unit, title, **look)
    figures.beside(ax, 100 * table["expected"], "planned", marker="|", s=300, color=MUTED)
    ax.legend(loc="best", frameon=False)
    said = "; ".join(
        f"{nice(r.arm)} {percent(r.estimate)}, planned {percent(r.expected)}"
        for r in table.itertuples(index=False)
    )
    return figures.finish(fig, f"Share of the {check.unit} in each arm, and as planned: {said}.")


def by_persona(result: ByPersona, metric: str = "") -> Shown:
    """The effects on one metric (the first) within each persona, a panel an arm."""
    table = visible(result.table())
    if table.empty:
        return figures.nothing("Effects by persona")
    metric = metric or str(table["metric"].iloc[0])
    table = table[table["metric"] == metric]
    arms, personas = list(dict.fromkeys(table["arm"])), list(dict.fromkeys(table["persona"]))
    fig, axes = figures.figure("wide", 1.4 + 0.36 * len(personas), columns=len(arms))
    apart = result.tests[result.tests["metric"] == metric].set_index("arm")["q"] <= 1 - result.level
    for place, (ax, arm) in enumerate(zip(np.atleast_1d(axes), arms, strict=True)):
        rows = table[table["arm"] == arm].set_index("persona").reindex(personas)
        clear = rows["q"] <= 1 - result.level
        colour = np.where(clear & (rows["estimate"] > 0), ACCENT, np.where(clear, WARM, MUTED)).tolist()
        figures.dots(ax, personas, rows["estimate"], rows["low"], rows["high"], colour, against=0)
        ax.set_title(f"{figures.label(arm)}: {'differs' if apart.get(arm, False) else 'not apart'}")
        ax.set_xlabel(f"{nice(metric)}, against {nice(result.control)}")
        ax.locator_params(axis="x", nbins=4)
        if place:
            ax.set_yticklabels([])
    rows = table[table["estimate"].notna()]
    names = [f"{nice(arm)}, {nice(who)}:" for arm, who in zip(rows["arm"], rows["persona"], strict=True)]
    said = "; ".join(_said(names, rows))
    return figures.finish(fig, f"Effects on {nice(metric)} within personas with intervals: {said or 'none'}.")


def policy(result: Policy) -> Shown:
    """What a customer is worth under each policy."""
    table = visible(result.table())
    if table.empty or not table["estimate"].notna().any():
        return (
            _split(result.check) if not result.check.passed else figures.nothing("What each policy is worth")
        )
    names = {
        "control": nice(result.control),
        "best_single": "one arm for all",
        "personal": "best arm by persona",
    }
    labels = [names[one] for one in table["policy"]]
    fig, ax = figures.figure(height=2.4)
    colours = [MUTED, ACCENT, ACCENT][: len(table)]
    figures.dots(ax, labels, table["estimate"], table["low"], table["high"], colours)
    ax.set_xlabel(f"{nice(result.metric)} a customer")
    ax.set_title(f"What each policy is worth: {result.verdict}")
    said = "; ".join(_said(labels, table))
    return figures.finish(fig, f"{nice(result.metric).capitalize()} a customer under three policies: {said}.")


def dose(result: Frequency) -> Shown:
    """The effect of each frequency on the metric, and on the share who opt out, by dose."""
    table = result.table()
    if result.check is not None and not result.check.passed:
        return _split(result.check)
    if table.empty or not (table["n"] >= minimum()).all():
        return figures.nothing("How often to write")
    two = bool(table["lost"].notna().any())
    fig, axes = figures.figure("wide", 3.2, columns=1 + two)
    panels = [("estimate", "low", "high", f"{nice(result.metric)} a customer, against {result.lowest}", 1.0)]
    panels += [("lost", "lost_low", "lost_high", "% more who opt out", 100.0)] if two else []
    for ax, (middle, low, high, title, scale) in zip(np.atleast_1d(axes), panels, strict=True):
        colour = [
            COLOURS.get(verdict, MUTED) if middle == "estimate" else WARM for verdict in table["verdict"]
        ]
        ax.vlines(
            table["dose"], scale * table[low], scale * table[high], color=colour, linewidth=2.2, alpha=0.45
        )
        ax.scatter(table["dose"], scale * table[middle], s=30, color=colour, zorder=3)
        ax.axhline(0, color=MUTED, linewidth=1, linestyle="--")
        ax.set_xticks(table["dose"], [f"{one:g}" for one in table["dose"]])
        ax.set_xlabel("variant")
        ax.set_title(title)
    lost = [f", {percent(share)} more opt out" if two else "" for share in table["lost"]]
    each = _said([f"{one:g}:" for one in table["dose"]], table)
    said = "; ".join(f"{effect}{more}" for effect, more in zip(each, lost, strict=True))
    return figures.finish(
        fig, f"Effect of each frequency on {nice(result.metric)} against {result.lowest}: {said}."
    )


def _said(names: list[str], table: pd.DataFrame) -> list[str]:
    """Each estimate of the table with its interval, after its name."""
    rows = zip(names, table["estimate"], table["low"], table["high"], strict=True)
    return [f"{name} {number(e)} ({number(low)} to {number(high)})" for name, e, low, high in rows]
