"""Figures of value and its drivers; each takes a result, never raw data."""

from __future__ import annotations

import numpy as np

from cxlib import figures
from cxlib.figures import ACCENT, COLOURS, INK, MUTED, WARM, Shown
from cxlib.results import nice, number, percent, visible
from cxlib.revenue.causal import Ladder
from cxlib.revenue.outlook import Check, Value
from cxlib.revenue.realised import Realised
from cxlib.revenue.rollouts import Rollout
from cxlib.revenue.scenarios import Scenario

RUNGS = {"naive": WARM, "adjusted": COLOURS[1], "identified": ACCENT}


def realised(result: Realised) -> Shown:
    """What a customer was worth, by measure of money, everybody or each persona."""
    title = "What a customer was worth"
    table = visible(result.table())
    table = table[table["measure"].isin(["revenue", "margin", "net"])]
    measures = [name for name in ("revenue", "margin", "net") if (table["measure"] == name).any()]
    personas = list(table["persona"].unique())
    if not measures:
        return figures.nothing(title)
    one = measures[-1]
    chosen = table if len(personas) == 1 else table[table["measure"] == one]
    chosen = result.unit.shown(chosen)
    labels = chosen["measure"] if len(personas) == 1 else chosen["persona"]
    unit = f"{'' if len(personas) == 1 else one + ' '}per customer, {result.unit.name}".strip()
    fig, ax = figures.dotted(chosen, list(labels), unit, title, height=1.2, row=0.42)
    ax.axvline(0, color=INK, linewidth=0.8)
    said = "; ".join(f"{nice(name)} {number(x)}" for name, x in zip(labels, chosen["estimate"], strict=True))
    return figures.finish(fig, f"{title}, in {result.unit.name or 'money'}, with intervals: {said}.")


def value(result: Value) -> Shown:
    """Expected value by persona, beside the two forecasts that need no model."""
    title = "What a customer is expected to bring"
    table = visible(result.table())
    if table.empty:
        return figures.nothing(title)
    table = result.unit.shown(table, ("estimate", "low", "high", "naive"))
    unit = f"{result.amount} per customer who has bought, {result.unit.name}, discounted"
    heading = f"{title} in {round(result.weeks * 7)} days"
    fig, ax = figures.dotted(table, list(table["persona"]), unit, heading, height=1.7, row=0.42)
    past = {"marker": "|", "s": 130, "color": WARM, "zorder": 4}
    figures.beside(ax, table["naive"], "the past rate goes on", **past)
    ax.axvline(0, color=MUTED, linewidth=1.2, linestyle=":", label="nobody buys again")
    ax.set_xlim(left=min(0, ax.get_xlim()[0]))
    fig.legend(loc="outside lower center", ncols=2, fontsize=8)
    said = "; ".join(f"{nice(row.persona)} {number(row.estimate)}" for row in table.itertuples())
    return figures.finish(fig, f"{title}, with intervals and the past rate beside: {said}.")


def check(result: Check) -> Shown:
    """The three forecasts of the study's last months against what came."""
    title = "The same forecast, tried on what has happened"
    table = visible(result.table()) if len(result.table()) else result.table()
    if table.empty:
        return figures.nothing(title)
    fig, axes = figures.figure("wide", height=2.3, columns=2)
    for ax, (measure, part) in zip(axes, table.groupby("measure", sort=False), strict=True):
        size = result.unit.size if measure == result.amount else 1.0
        figures.dots(
            ax, list(part["method"]), part["estimate"] / size, part["low"] / size, part["high"] / size,
            [ACCENT, WARM, MUTED],
        )  # fmt: skip
        ax.axvline(part["actual"].iloc[0] / size, color=INK, linewidth=1.2)
        ax.set_xlim(0, 1.08 * np.nanmax(part[["estimate", "high", "actual"]]) / size)
        ax.locator_params(axis="x", nbins=5)
        ax.xaxis.set_major_formatter(lambda x, _: f"{x:,.0f}")
        ax.set_xlabel(f"{measure}{f', {result.unit.name}' if size > 1 else ''} (line: what came)")
    axes[0].set_title(title)
    said = "; ".join(f"{row.measure} by {row.method} {percent(row.error)}" for row in table.itertuples())
    return figures.finish(fig, f"{title}. Error of each forecast: {said}.")


def ladder(*results: Ladder) -> Shown:
    """Each ladder's rungs with their intervals, from the naive to the identified, one panel a ladder."""
    title = "One effect, three ways to look"
    if any(visible(result.table()).empty for result in results):
        return figures.nothing(title)
    fig, axes = figures.figure("wide" if len(results) > 1 else "text", height=2.3, columns=len(results))
    said = []
    for ax, result in zip(np.atleast_1d(axes), results, strict=True):
        unit, rungs = result.rungs[-1].unit, result.rungs
        table = unit.shown(result.table())
        reach = np.nanmax(np.abs(table[["estimate", "low", "high"]].replace([np.inf, -np.inf], np.nan)))
        low, high = (table[end].clip(-3 * reach, 3 * reach) for end in ("low", "high"))
        figures.dots(
            ax, list(table["rung"]), table["estimate"], low, high, [RUNGS[rung] for rung in table["rung"]]
        )
        ax.axvline(0, color=INK, linewidth=0.8)
        ax.locator_params(axis="x", nbins=5)
        ax.set_xlabel(f"{nice(rungs[0].outcome)}{f', {unit.name}' if unit.name else ''}")
        said.append("; ".join(f"{effect.rung} {effect.said()}" for effect in rungs))
    np.atleast_1d(axes)[0].set_title(title)
    return figures.finish(fig, f"{title}, with intervals: {'. '.join(said)}.")


def rollout(result: Rollout) -> Shown:
    """The difference from those who still waited, by period since the start."""
    title = "Before and after the offer came"
    table = visible(result.table().dropna(subset=["since"]))
    if table.empty:
        return figures.nothing(title)
    table = result.effect.unit.shown(table)
    fig, ax = figures.figure(height=3.0)
    live = table["since"].to_numpy(int) >= 0
    for rows, colour in ((~live, MUTED), (live, ACCENT)):
        part = table[rows]
        ax.vlines(
            part["since"].astype(int), part["low"], part["high"], color=colour, linewidth=2.2, alpha=0.45
        )
        ax.scatter(part["since"].astype(int), part["estimate"], color=colour, s=30, zorder=3)
    ax.axhline(0, color=INK, linewidth=0.8)
    ax.axvline(-0.5, color=MUTED, linewidth=0.8, linestyle=":")
    ax.set_xlabel("months since the offer came (left of the line: before)")
    ax.set_ylabel(f"{nice(result.effect.outcome)} {result.effect.unit.name}".strip())
    ax.set_title(title)
    return figures.finish(
        fig,
        f"{title}: differences by month with intervals; {sum(live)} months after, {sum(~live)} before the start.",
    )


def scenario(result: Scenario) -> Shown:
    """The cumulated net by month with its band."""
    title = f"{result.name}: what it has earned by month"
    path = result.path
    if not np.isfinite(path["estimate"]).all():
        return figures.nothing(title)
    fig, ax = figures.figure(height=3.0)
    ax.fill_between(path["month"], path["low"], path["high"], color=ACCENT, alpha=0.18, linewidth=0)
    ax.plot(path["month"], path["estimate"], color=ACCENT, linewidth=2)
    ax.axhline(0, color=INK, linewidth=0.8)
    ax.yaxis.set_major_formatter(lambda x, _: f"{x:,.0f}")
    ax.set_xlabel("month")
    ax.set_ylabel(f"cumulated net, {result.unit}" if result.unit else "cumulated net")
    ax.set_title(title)
    last = path.iloc[-1]
    return figures.finish(
        fig,
        f"{title}: after {result.months} months {number(last['estimate'])} ({number(last['low'])} to {number(last['high'])}).",
    )
