"""Figures of journeys; each takes a result, never raw data."""

from __future__ import annotations

import numpy as np

from cxlib import figures
from cxlib.figures import ACCENT, INK, MUTED, STAGE_COLOURS, WARM, Shown
from cxlib.journeys.attribution import Attribution
from cxlib.journeys.counts import DropOff, Shares, Steps
from cxlib.journeys.funnels import Funnel
from cxlib.results import minimum, nice, percent, visible
from cxlib.study.log import END


def funnel(result: Funnel) -> Shown:
    """Bars of how many customers reach each step, with intervals and the share kept between steps."""
    table = result.table()
    fig, ax = figures.figure(height=0.62 * len(table) + 1.0)
    rows = np.arange(len(table))[::-1]
    colours = [STAGE_COLOURS.get(name, ACCENT) for name in table["name"]]
    ax.barh(rows, table["estimate"], color=colours, height=0.62, alpha=0.9)
    ax.errorbar(
        table["estimate"], rows, fmt="none", ecolor=INK, capsize=3, linewidth=1.2,
        xerr=[table["estimate"] - table["low"], table["high"] - table["estimate"]],
    )  # fmt: skip
    for row, line in zip(rows, table.itertuples(), strict=True):
        kept = "" if line.step == 1 else f"   {percent(line.of_previous)} of the step before"
        ax.text(line.high + 0.015, row, f"{line.count:,}{kept}", va="center", fontsize=8.5)
    ax.set_yticks(rows, [nice(name) for name in table["name"]])
    ax.set_xlim(0, 1.42)
    ax.set_xticks(np.linspace(0, 1, 6), [f"{x:.0%}" for x in np.linspace(0, 1, 6)])
    ax.set_xlabel("share of the customers who begin")
    ax.set_title("How far customers get")
    ax.grid(axis="y", visible=False)
    steps = "; ".join(f"{nice(r.name)} {percent(r.estimate)}" for r in table.itertuples(index=False))
    return figures.finish(fig, f"Funnel of {table['n'].iloc[0]:,} customers: {steps}.")


def steps(result: Steps, top: int = 12) -> Shown:
    """The step matrix as shaded cells: the commonest touchpoints by step, the rest together."""
    matrix, total = result.matrix(), result.total
    inner = [name for name in matrix.columns if name != END]
    order = matrix[inner].sum().sort_values(ascending=False).index[:top]
    chosen = [name for name in inner if name in set(order)]
    shown = matrix[chosen].copy()
    rest = matrix[inner].drop(columns=chosen).sum(axis=1)
    small = total[:, [inner.index(name) for name in chosen]] < minimum()
    shown = shown.mask(small, 0.0)
    if len(inner) > top:
        shown["all others"] = rest
    shown["has ended"] = matrix[END]
    fig, ax = figures.figure("wide", height=0.3 * shown.shape[1] + 1.3)
    figures.heat(ax, shown.T.to_numpy(), list(shown.columns), [str(step) for step in shown.index])
    ax.set_xlabel("event of the customer")
    ax.set_title("Where customers are at each event (% of customers)")
    first = shown[chosen].iloc[0].idxmax()
    return figures.finish(
        fig,
        f"Step matrix: at the first event the commonest touchpoint is {nice(first)} "
        f"({percent(shown[chosen].iloc[0].max())}); by event {shown.index[-1]} {percent(shown['has ended'].iloc[-1])} have ended.",
    )


def moves(result: Shares, title: str, top: int = 14) -> Shown:
    """A matrix of moves between touchpoints or channels, the busiest `top`, rows adding up to 100 %."""
    total = result.total
    busiest = sorted(np.argsort(-total.sum(axis=1), kind="stable")[:top])
    rows = [result.rows[i] for i in busiest]
    ends = [j for j, name in enumerate(result.cells) if name == END]
    columns = [*busiest, *ends]
    size = total.sum(axis=1, keepdims=True)
    share = np.divide(total, size, out=np.zeros(total.shape), where=size > 0)
    share = np.where(total < minimum(), 0.0, share)[np.ix_(busiest, columns)]
    fig, ax = figures.figure("wide", height=0.33 * len(rows) + 2.0)
    figures.heat(ax, share, rows, [result.cells[j] for j in columns])
    ax.set_xticks(range(len(columns)), [nice(result.cells[j]) for j in columns], rotation=40, ha="right")
    ax.set_xlabel("next")
    ax.set_ylabel("from")
    ax.set_title(title)
    off = np.where(np.array(rows)[:, None] == np.array([result.cells[j] for j in columns])[None, :], 0, share)
    i, j = np.unravel_index(int(off.argmax()), off.shape)
    return figures.finish(
        fig,
        f"{title}: the largest share leads from {nice(rows[i])} to {nice(result.cells[columns[j]])} "
        f"({percent(off[i, j])} of what follows).",
    )


def drop_off(result: DropOff, purchases: tuple[str, ...] = (), top: int = 16) -> Shown:
    """Exit rates with intervals; touchpoints where an exit is no loss (purchases) in grey."""
    table = visible(result.table()).head(top)
    fig, ax = figures.figure(height=0.27 * len(table) + 1.2)
    colours = [MUTED if name in purchases else WARM for name in table["touchpoint"]]
    figures.dots(ax, list(table["touchpoint"]), table["estimate"], table["low"], table["high"], colours)
    ax.set_xlim(0, 1)
    ax.set_xticks(np.linspace(0, 1, 6), [f"{x:.0%}" for x in np.linspace(0, 1, 6)])
    ax.set_xlabel("share of events that are the last of the visit")
    ax.set_title("Where visits end" + (" (grey: after a purchase)" if purchases else ""))
    lost = table[~table["touchpoint"].isin(purchases)]
    top_line = (
        ""
        if lost.empty
        else f" {nice(lost.iloc[0]['touchpoint'])} leads with {percent(lost.iloc[0]['estimate'])}."
    )
    return figures.finish(fig, f"Exit rates with intervals of {len(table)} touchpoints.{top_line}")


def attribution(*results: Attribution) -> Shown:
    """Shares of the credit by channel under each rule, side by side, with intervals."""
    tables = [result.table().set_index("channel") for result in results]
    channels = list(tables[0].index) + [c for c in tables[-1].index if c not in tables[0].index]
    fig, ax = figures.figure(height=0.42 * len(channels) + 1.5)
    rows = np.arange(len(channels))[::-1]
    for place, (result, table) in enumerate(zip(results, tables, strict=True)):
        table = table.reindex(channels)
        at = rows + 0.22 * ((len(results) - 1) / 2 - place)
        total = result.conversions or 1.0
        colour = figures.COLOURS[place]
        ax.hlines(at, table["low"] / total, table["high"] / total, color=colour, linewidth=2.2, alpha=0.45)
        ax.scatter(table["share"], at, s=26, color=colour, label=result.method, zorder=3)
    ax.set_yticks(rows, [nice(c) for c in channels])
    ax.set_xlim(left=0)
    ax.xaxis.set_major_formatter(lambda x, _: f"{x:.0%}")
    ax.set_xlabel("share of the credit for conversions")
    ax.set_title("Which channels stand on the way to a conversion")
    ax.legend(loc="upper center", bbox_to_anchor=(0.45, -0.16), fontsize=8, frameon=False)
    ax.grid(axis="y", visible=False)
    leads = "; ".join(
        f"{nice(table.index[0])} by {r.method}" for r, table in zip(results, tables, strict=True)
    )
    return figures.finish(fig, f"Shares of conversion credit by channel with intervals. In front: {leads}.")
