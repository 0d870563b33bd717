"""Figures of what customers do; each takes a result, never raw data."""

from __future__ import annotations

import numpy as np

from cxlib import figures
from cxlib.customers.lifecycle import Lifecycle
from cxlib.customers.rfm import Rfm
from cxlib.figures import ACCENT, COLOURS, INK, MUTED, WARM, Shown
from cxlib.results import EVERYWHERE, percent


def rfm(result: Rfm) -> Shown:
    """Each segment's share of buyers, and of what they spent."""
    table = result.visible()
    if table.empty:
        return figures.nothing("Who brings the revenue")
    fig, ax = figures.figure(height=0.55 * len(table) + 1.3)
    rows = np.arange(len(table))[::-1]
    for off, stem, colour, of in ((0.14, "", MUTED, "buyers"), (-0.14, "revenue_share_", ACCENT, "revenue")):
        estimate = table[stem.rstrip("_") or "estimate"]
        figures.intervals(
            ax, rows + off, estimate, table[f"{stem}low"], table[f"{stem}high"], colour, label=f"of {of}"
        )
    ax.set_yticks(rows, list(table["segment"]))
    ax.set_xlim(0)
    ax.xaxis.set_major_formatter(lambda x, _: f"{x:.0%}")
    ax.set_xlabel("share")
    ax.legend(loc="upper left", bbox_to_anchor=(1, 1))
    ax.set_title("Who brings the revenue")
    said = "; ".join(
        f"{r.segment} {percent(r.estimate)} of buyers, {percent(r.revenue_share)} of revenue"
        for r in table.itertuples()
    )
    return figures.finish(fig, f"Segments by recency and frequency with intervals: {said}.")


def lifecycle(result: Lifecycle) -> Shown:
    """Who came, came back and lapsed in each period, and how many were current at its end."""
    table = result.visible()
    table = table[table["persona"] == EVERYWHERE]
    if table.empty:
        return figures.nothing("Who comes and who goes")
    fig, (above, below) = figures.figure(height=4.4, rows=2)
    names = [f"{time:%Y-%m}" if result.every != "week" else f"{time:%Y-%m-%d}" for time in table["period"]]
    places = np.arange(len(names))
    above.plot(places, table["closing"], color=INK, marker="o", linewidth=1.8)
    above.set_ylim(0, 1.1 * table["closing"].max())
    above.set_title(f"Customers current at the end of each {result.every}")
    below.bar(places, table["new"], color=COLOURS[2], label="new")
    below.bar(places, table["returned"], bottom=table["new"], color=ACCENT, label="returned")
    below.bar(places, -table["lapsed"], color=WARM, label="lapsed")
    below.axhline(0, color=INK, linewidth=0.9)
    below.set_title("Who came, came back and lapsed")
    below.legend(loc="upper left", bbox_to_anchor=(1, 1))
    step = -(-len(names) // 12)
    for ax in (above, below):
        ax.set_xlim(-0.6, len(names) - 0.4)
        ax.set_xticks(places[::step], names[::step])
        ax.yaxis.set_major_formatter(lambda y, _: f"{abs(y):,.0f}")
    last = table.iloc[-1]
    return figures.finish(
        fig,
        f"Customers current at the end of {len(names)} {result.every}s, {last['closing']:,.0f} at the last, in which "
        f"{last['new']:,.0f} were new, {last['returned']:,.0f} returned and {last['lapsed']:,.0f} lapsed.",
    )


__all__ = ["lifecycle", "rfm"]
