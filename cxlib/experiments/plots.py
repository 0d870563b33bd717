"""Figures of experiments; each takes a result, never raw data."""

from __future__ import annotations

import numpy as np

from cxlib import figures
from cxlib.experiments.analysis import Analysis
from cxlib.figures import ACCENT, MUTED, WARM, Shown
from cxlib.results import minimum, nice, number, percent


def effects(result: Analysis) -> Shown:
    """Each arm's difference from the control with its interval, a panel a metric, in the metric's unit.

    Of a broken experiment: what share of the customers each arm got, and what was planned.
    """
    if not result.check.passed:
        return _split(result)
    table = result.table().copy()
    table.loc[table["n"] < minimum(), ["estimate", "low", "high"]] = np.nan  # drawn as an empty row
    metrics = list(dict.fromkeys(table["metric"]))
    fig, axes = figures.figure("wide", 1.3 + 0.4 * table["arm"].nunique(), columns=len(metrics))
    colours = {"ship": ACCENT, "stop": WARM, "cannot tell": MUTED}
    for ax, metric in zip(np.atleast_1d(axes), metrics, strict=True):
        rows = table[table["metric"] == metric]
        colour = [colours[verdict] for verdict in rows["verdict"]]
        figures.dots(ax, rows["arm"].tolist(), rows["estimate"], rows["low"], rows["high"], colour)
        ax.axvline(0, color=MUTED, linewidth=1, linestyle="--")
        ax.set_title(nice(metric).capitalize())
        ax.set_xlabel(f"difference from {nice(result.control)}")
        ax.locator_params(axis="x", nbins=5)
        if ax is not np.atleast_1d(axes)[0]:
            ax.set_yticklabels([])
    said = "; ".join(
        f"{nice(r.metric)}, {nice(r.arm)}: {number(r.estimate)} ({number(r.low)} to {number(r.high)}), {r.verdict}"
        for r in table[table["estimate"].notna()].itertuples(index=False)
    )
    head = f"Differences from {nice(result.control)} with {100 * result.level:g} % intervals"
    return figures.finish(fig, f"{head}: {said or 'none can be shown'}.")


def _split(result: Analysis) -> Shown:
    table = result.check.table()
    fig, ax = figures.figure(height=1.3 + 0.4 * len(table))
    estimate, low, high = (100 * table[name] for name in ("estimate", "low", "high"))
    figures.dots(ax, table["arm"].tolist(), estimate, low, high, WARM)
    rows = np.arange(len(table))[::-1]
    ax.scatter(100 * table["expected"], rows, marker="|", s=300, color=MUTED, label="planned")
    ax.set_xlabel("share of the customers, %")
    ax.set_title("The assignment is broken")
    ax.legend(loc="best", frameon=False)
    said = "; ".join(
        f"{nice(r.arm)} {percent(r.estimate)}, planned {percent(r.expected)}"
        for r in table.itertuples(index=False)
    )
    return figures.finish(fig, f"Share of the customers in each arm, and as planned: {said}.")
