"""Figures of personas; each takes a result, never raw data."""

from __future__ import annotations

import textwrap
from typing import Any

from cxlib import figures
from cxlib.figures import ACCENT, COLOURS, INK, MUTED, WARM, Shown
from cxlib.personas.cards import MEANS
from cxlib.personas.evidence import Evidence
from cxlib.personas.model import Personas
from cxlib.personas.movement import Drift, Movement
from cxlib.personas.residuals import RATE, Residuals, feature_name
from cxlib.personas.stability import READINGS, Stability
from cxlib.personas.wall_plot import cards
from cxlib.results import percent, visible


def evidence(result: Evidence) -> Shown:
    """BIC by the number of kinds against one axis without gaps, and what one more kind foretells of later visits."""
    table = result.frame
    kinds = table[table["kinds"].notna()]
    fig, (left, right) = figures.figure("wide", height=3.3, columns=2)
    above = kinds["bic"] - kinds["bic"].min() + 1
    left.plot(kinds["kinds"], above, color=ACCENT, marker="o", linewidth=1.8)
    chosen = kinds["kinds"] == result.k
    ring: dict[str, Any] = {"s": 150, "facecolors": "none", "edgecolors": WARM, "linewidths": 2}
    left.scatter(kinds["kinds"][chosen], above[chosen], zorder=4, **ring)
    axis = table[table["kinds"].isna()]
    for value in axis["bic"] - kinds["bic"].min() + 1:
        if value > 0:
            left.axhline(value, color=MUTED, linestyle="--", linewidth=1.2)
            beside: dict[str, Any] = {"ha": "right", "va": "bottom", "fontsize": 8, "color": MUTED}
            left.text(kinds["kinds"].max(), 1.1 * value, "one axis, no gaps", **beside)
    left.set_yscale("log")
    left.yaxis.set_major_formatter(lambda x, _: f"{x:,.0f}")
    left.set_xticks(list(kinds["kinds"]))
    left.set_xlabel("number of kinds")
    left.set_ylabel("BIC above the smallest, plus 1")
    left.set_title("Fewer points, better model")
    gains = kinds[kinds["later"] > 0]
    if gains.empty:
        right.text(
            0.5, 0.5, "No later visits to predict.", ha="center", color=MUTED, transform=right.transAxes
        )
        right.set_axis_off()
    else:
        names = [f"from {int(k) - 1} to {int(k)}" for k in gains["kinds"]]
        figures.dots(right, names, gains["estimate"], gains["low"], gains["high"])
        right.axvline(0, color=INK, linewidth=0.9)
        right.set_xlabel("gain in log-likelihood a customer")
    right.set_title("Does one more kind foretell later visits?")
    least = int(kinds["kinds"].iloc[kinds["bic"].to_numpy().argmin()])
    alt = f"Two panels. Of {len(kinds)} numbers of kinds tried the BIC is smallest at {least}; judged is {result.k}."
    if not gains.empty:
        alt += f" The last one changes the log-likelihood of later visits by {gains['estimate'].iloc[-1]:+.3f} a customer."
    return figures.finish(fig, alt)


def others(result: Evidence) -> Shown:
    """Whether one more kind, learnt from half of the customers, foretells the other half."""
    gains = result.compared.dropna(subset=["others"])
    if gains.empty:
        return figures.nothing("Does one more kind foretell other customers?")
    fig, ax = figures.figure(height=0.4 * len(gains) + 1.2)
    names = [f"from {k - 1} to {k}" for k in gains.index]
    colours = [WARM if k > result.k else ACCENT for k in gains.index]
    figures.dots(ax, names, gains["others"], gains["others_low"], gains["others_high"], colours, against=0)
    ax.set_xscale("symlog", linthresh=0.05)
    ax.set_xticks([-0.1, 0, 0.1, 1], ["-0.1", "0", "0.1", "1"])
    ax.set_xlabel("gain in log-likelihood a customer (logarithmic from 0.05)")
    ax.set_title("Does one more kind foretell other customers?")
    said = "; ".join(f"{name} kinds {gain:+.3f}" for name, gain in zip(names, gains["others"], strict=True))
    return figures.finish(
        fig, f"Gain in log-likelihood of customers not learnt from, with intervals: {said}."
    )


def stability(result: Stability) -> Shown:
    """How well each persona survives in resamples."""
    table = result.visible()
    if table.empty:
        return figures.nothing("Which personas fall apart in resamples?")
    fig, ax = figures.figure(height=0.42 * len(table) + 1.5)
    figures.dots(ax, list(table["persona"]), table["estimate"], table["low"], table["high"])
    ax.set_yticks(ax.get_yticks(), [_wrapped(name, 40) for name in table["persona"]])
    least = min(0.38, float(table["low"].min()) - 0.05)
    for begin, said in READINGS.items():
        ax.axvline(begin, color=MUTED, linewidth=1, linestyle=":")
        ax.text(max(begin, least) + 0.005, -0.95, said, fontsize=8, color=MUTED)
    ax.set_ylim(-1.1, len(table) - 0.4)
    ax.set_xlim(least, 1.0)
    ax.set_xlabel(f"Jaccard index over {result.times} resamples")
    ax.set_title("Which personas fall apart in resamples?")
    said = "; ".join(f"{r.persona} {r.estimate:.2f}, {r.reading}" for r in table.itertuples())
    return figures.finish(fig, f"Stability of each persona, with the range of its resamples: {said}.")


def residuals(result: Residuals) -> Shown:
    """The pairs of features that still go together within personas, the surest of each two blocks."""
    table = visible(result.shown()).head(10)
    if table.empty:
        return figures.nothing("What is left unexplained?")
    fig, ax = figures.figure(height=0.36 * len(table) + 1.2)
    names = [_wrapped(" / ".join(feature_name(row)), 46) for row in table.to_dict("records")]
    colours = [WARM if p <= RATE else MUTED for p in table["p"]]
    figures.dots(ax, names, table["estimate"], table["low"], table["high"], colours, against=0)
    ax.set_yticks(ax.get_yticks(), names)
    ax.set_xlabel("correlation left within personas")
    ax.set_title("What is left unexplained?")
    said = f"{names[0]} {table['estimate'].iloc[0]:+.2f}".replace("\n", " ")
    count = int((table["p"] <= RATE).sum())
    return figures.finish(
        fig, f"{len(table)} pairs of features, {count} of them left over beyond chance; the surest is {said}."
    )


def sizes(personas: Personas) -> Shown:
    """How large each persona is, with intervals."""
    table = personas.visible()
    if table.empty:
        return figures.nothing("How large each persona is")
    fig, ax = figures.figure(height=0.42 * len(table) + 1.2)
    colours = [COLOURS[i % len(COLOURS)] for i in table.index]
    figures.dots(ax, list(table["persona"]), table["estimate"], table["low"], table["high"], colours)
    ax.set_yticks(ax.get_yticks(), [_wrapped(name, 40) for name in table["persona"]])
    ax.set_xlim(0, max(1.15 * float(table["high"].max()), 0.1))
    ax.xaxis.set_major_formatter(lambda x, _: f"{x:.0%}")
    ax.set_xlabel("share of customers")
    ax.set_title("How large each persona is")
    said = "; ".join(f"{r.persona} {percent(r.estimate)}" for r in table.itertuples())
    return figures.finish(fig, f"Shares of customers with intervals: {said}.")


def movement(result: Movement) -> Shown:
    """The share of each persona that moved on in the last pair of periods, and what counting would say."""
    table = result.visible()
    if table.empty:
        return figures.nothing("Who changed persona", result.claim())
    table = table[table["until"] == table["until"].iloc[-1]]
    fig, ax = figures.dotted(table, table["persona"], "share who changed", "Who changed persona", row=0.4)
    figures.beside(ax, table["naive"], "by likeliest personas")
    ax.xaxis.set_major_formatter(lambda x, _: f"{x:.0%}")
    ax.legend(loc="upper left", bbox_to_anchor=(1, 1))
    said = (f"{r.persona} {percent(r.estimate)}, counted {percent(r.naive)}" for r in table.itertuples())
    return figures.finish(fig, f"Shares who changed persona with intervals: {'; '.join(said)}.")


def drift(result: Drift) -> Shown:
    """The size of each persona among the customers of each period."""
    sizes = visible(result.sizes, ("period",))
    if sizes.empty:
        return figures.nothing("How large was each persona?")
    fig, ax = figures.figure()
    names = list(dict.fromkeys(sizes["period"]))
    for place, (persona, own) in enumerate(sizes.groupby("persona", sort=False)):
        at, colour = own["period"].map(names.index) + 0.06 * place, COLOURS[place % len(COLOURS)]
        ax.vlines(at, own["low"], own["high"], color=colour, linewidth=2.2, alpha=0.45)
        ax.plot(at, own["estimate"], "o-", color=colour, label=figures.label(persona))
    ax.set_ylim(0)
    ax.set_xticks(range(len(names)), [f"from {name}" for name in names])
    ax.yaxis.set_major_formatter(lambda y, _: f"{y:.0%}")
    ax.legend(loc="upper left", bbox_to_anchor=(1, 1))
    ax.set_title("How large was each persona?")
    last = sizes[sizes["period"] == names[-1]]
    said = "; ".join(f"{r.persona} {percent(r.estimate)}" for r in last.itertuples())
    return figures.finish(
        fig, f"Sizes of personas in {len(names)} periods, with intervals; in the last: {said}."
    )


def _wrapped(text: str, width: int) -> str:
    return "\n".join(textwrap.wrap(text, width)) or text


__all__ = [
    "MEANS",
    "cards",
    "drift",
    "evidence",
    "movement",
    "others",
    "residuals",
    "sizes",
    "stability",
]
