"""Figures of journeys; each takes a result, never raw data."""

from __future__ import annotations

import numpy as np

from cxlib import figures
from cxlib.figures import ACCENT, MUTED, STAGE_COLOURS, WARM, Shown
from cxlib.journeys.attribution import Attribution
from cxlib.journeys.counts import DropOff, Shares, Steps
from cxlib.journeys.funnels import Funnel
from cxlib.results import minimum, nice, percent
from cxlib.study.log import END


def funnel(result: Funnel) -> Shown:
    """Bars of how many customers reach each step, with intervals and the share kept between steps."""
    table = result.visible()
    if table.empty:
        return figures.nothing("How far customers get")
    fig, ax = figures.figure(height=0.62 * len(table) + 1.0)
    colours = [STAGE_COLOURS.get(name, ACCENT) for name in table["name"]]
    rows = figures.bars(ax, list(table["name"]), table["estimate"], table["low"], table["high"], colours)
    for row, line in zip(rows, table.itertuples(), strict=True):
        kept = "" if line.step == 1 else f"   {percent(line.of_previous)} of the step before"
        ax.text(line.high + 0.015, row, f"{line.count:,}{kept}", va="center", fontsize=8.5)
    ax.set_xlim(0, 1.42)
    ax.set_xticks(np.linspace(0, 1, 6), [f"{x:.0%}" for x in np.linspace(0, 1, 6)])
    ax.set_xlabel("share of the customers who begin")
    ax.set_title("How far customers get")
    steps = "; ".join(f"{nice(r.name)} {percent(r.estimate)}" for r in table.itertuples(index=False))
    return figures.finish(fig, f"Funnel of {table['n'].iloc[0]:,} customers: {steps}.")


def steps(result: Steps, top: int = 12) -> Shown:
    """The step matrix as shaded cells: the commonest touchpoints by step, the rest together."""
    matrix = result.matrix().mask(~result.may_show())
    if result.total.sum(axis=1)[0] < minimum():
        return figures.nothing("Where customers are at each event")
    inner = [name for name in matrix.columns if name != END]
    size = matrix[inner].sum()
    order = set(size[size > 0].sort_values(ascending=False, kind="stable").index[:top])
    chosen = [name for name in inner if name in order]
    shown = matrix[chosen].copy()
    if len(inner) > len(chosen):
        # What is left: the hidden cells are in it, so it adds up to all without giving one away.
        shown["all others"] = 1 - shown.sum(axis=1) - result.matrix()[END]
    shown["has ended"] = matrix[END]
    fig, ax = figures.figure("wide", height=0.3 * shown.shape[1] + 1.3)
    figures.heat(ax, shown.T.fillna(0).to_numpy(), list(shown.columns), [str(step) for step in shown.index])
    ax.set_xlabel("event of the customer")
    ax.set_title("Where customers are at each event (% of customers)")
    begun, said = shown[chosen].iloc[0].dropna(), "Step matrix."
    if len(begun) and begun.max() > 0:
        said = f"Step matrix: at the first event the commonest touchpoint is {nice(begun.idxmax())} ({percent(begun.max())})."
    return figures.finish(fig, f"{said} Shaded cells: share of customers at each touchpoint by event.")


def moves(result: Shares, title: str, top: int = 14) -> Shown:
    """A matrix of moves between touchpoints or channels, the busiest `top`, rows adding up to 100 %."""
    total, shares = result.total, result.matrix().mask(~result.may_show())
    people = (result.counts.sum(axis=2) > 0).sum(axis=0)
    allowed = [i for i in np.argsort(-total.sum(axis=1), kind="stable") if people[i] >= min(minimum(), 50)]
    busiest = sorted(allowed[:top])
    if not busiest:
        return figures.nothing(title)
    rows = [result.rows[i] for i in busiest]
    columns = [*rows, *([END] if END in result.cells else [])]
    share = shares[columns].iloc[busiest].fillna(0).to_numpy()
    fig, ax = figures.figure("wide", height=0.33 * len(rows) + 2.0)
    figures.heat(ax, share, rows, columns)
    ax.set_xticks(range(len(columns)), [figures.label(name) for name in columns], rotation=40, ha="right")
    ax.set_xlabel("next")
    ax.set_ylabel("from")
    ax.set_title(title)
    off = np.where(
        np.array(rows, dtype=object)[:, None] == np.array(columns, dtype=object)[None, :], 0, share
    )
    i, j = np.unravel_index(int(off.argmax()), off.shape)
    largest = f": the largest share leads from {nice(rows[i])} to {nice(columns[j])} ({percent(off[i, j])} of what follows)."
    return figures.finish(fig, f"Matrix of shares, {title}{largest if off.max() > 0 else '.'}")


def drop_off(result: DropOff, purchases: tuple[str, ...] = (), top: int = 16) -> Shown:
    """Exit rates with intervals; touchpoints where an exit is no loss (purchases) in grey."""
    table = result.visible().head(top)
    if table.empty:
        return figures.nothing("Where visits end")
    colours = [MUTED if name in purchases else WARM for name in table["touchpoint"]]
    title = "Where visits end" + (" (grey: after a purchase)" if purchases else "")
    unit, names = "share of events that are the last of the visit", list(table["touchpoint"])
    fig, ax = figures.dotted(table, names, unit, title, colour=colours, height=1.2, row=0.27)
    ax.set_xlim(0, 1)
    ax.set_xticks(np.linspace(0, 1, 6), [f"{x:.0%}" for x in np.linspace(0, 1, 6)])
    lost = table[~table["touchpoint"].isin(purchases)]
    top_line = (
        ""
        if lost.empty
        else f" {nice(lost.iloc[0]['touchpoint'])} leads with {percent(lost.iloc[0]['estimate'])}."
    )
    return figures.finish(fig, f"Exit rates with intervals of {len(table)} touchpoints.{top_line}")


def attribution(*results: Attribution) -> Shown:
    """Shares of the credit by channel under each rule, side by side, with intervals."""
    tables = [result.visible().set_index("channel") for result in results]
    if any(table.empty for table in tables):
        return figures.nothing("Which channels stand on the way to a conversion")
    channels = list(tables[0].index) + [c for c in tables[-1].index if c not in tables[0].index]
    fig, ax = figures.figure(height=0.42 * len(channels) + 1.5)
    rows = np.arange(len(channels))[::-1]
    for place, (result, table) in enumerate(zip(results, tables, strict=True)):
        table = table.reindex(channels)
        at = rows + 0.22 * ((len(results) - 1) / 2 - place)
        total = result.conversions or 1.0
        colour = figures.COLOURS[place]
        ends = (table["low"] / total, table["high"] / total)
        figures.intervals(ax, at, table["share"], *ends, colour, label=result.method, s=26)
    ax.set_yticks(rows, [figures.label(c) for c in channels])
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
