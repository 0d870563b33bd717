"""One look for all figures: quiet axes, one accent, readable on white and in print; alt text required.

A plot takes a result and ends with `finish(fig, alt)`, which returns something a notebook shows.
"""

from __future__ import annotations

import base64
import functools
import io
import textwrap
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from cxlib.errors import CxValueError
from cxlib.results import TOO_FEW, nice

INK = "#1f2933"
MUTED = "#7b8794"
FAINT = "#e4e7eb"
ACCENT = "#0b6e99"
WARM = "#c2410c"
# Okabe and Ito's colours, told apart by colour-blind readers, reordered to begin with the accent.
COLOURS = ("#0b6e99", "#e69f00", "#009e73", "#cc79a7", "#d55e00", "#56b4e9", "#8c6d1f", "#444444")
STAGE_COLOURS = {
    "awareness": "#56b4e9",
    "engagement": "#0b6e99",
    "transaction": "#e69f00",
    "retention": "#009e73",
}
WIDTHS = {"text": 7.2, "wide": 9.6}
DPI = 120
LONGEST = 28
# Used where they are installed, for the scripts that matplotlib's own font lacks.
FALLBACKS = (
    "Noto Sans CJK SC", "Noto Sans CJK JP", "Noto Sans CJK KR", "Noto Sans SC", "Noto Sans JP",
    "Source Han Sans SC", "WenQuanYi Zen Hei", "WenQuanYi Micro Hei", "Droid Sans Fallback", "IPAGothic",
    "PingFang SC", "Hiragino Sans", "Microsoft YaHei", "SimHei", "Malgun Gothic", "Arial Unicode MS",
)  # fmt: skip

_STYLE: dict[Any, Any] = {
    "font.family": "sans-serif",
    "font.size": 9.5,
    "text.parse_math": False,  # a name may hold a $
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": "#9aa5b1",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": FAINT,
    "grid.linewidth": 0.8,
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.major.size": 0,
    "ytick.major.size": 0,
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
    "legend.frameon": False,
}


@dataclass(frozen=True)
class Shown:
    """A finished figure: a PNG and the sentence that stands for it where it cannot be seen."""

    png: bytes
    alt: str

    def _repr_mimebundle_(self, **kwargs: Any) -> tuple[dict[str, str], dict[str, dict[str, str]]]:
        data = {"image/png": base64.b64encode(self.png).decode(), "text/plain": self.alt}
        return data, {"image/png": {"alt": self.alt}}


def figure(
    width: str | float = "text", height: float = 3.4, columns: int = 1, rows: int = 1
) -> tuple[Any, Any]:
    """A matplotlib figure and axes in the house style; `width` is text, wide or, as `height`, inches."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with style():
        # Made without pyplot, so that nothing is shown twice and nothing has to be closed.
        inches = WIDTHS[width] if isinstance(width, str) else width
        fig = Figure(figsize=(inches, height), layout="constrained")
        FigureCanvasAgg(fig)
        axes = fig.subplots(rows, columns)
    return fig, axes


def style() -> Any:
    """The house style, as a context for drawing."""
    import matplotlib as mpl

    return mpl.rc_context(_STYLE | {"font.sans-serif": _fonts()})


@functools.cache
def _fonts() -> list[str]:
    """The house font, then what is installed of the fallbacks: matplotlib warns of each that is not."""
    from matplotlib.font_manager import fontManager

    installed = {font.name for font in fontManager.ttflist}
    return ["DejaVu Sans", *(name for name in FALLBACKS if name in installed)]


def label(name: object) -> str:
    """A name as it stands in a figure: as people write it, a long one shortened in the middle.

    >>> label("web_page"), label("newsletter_of_the_first_week_of_spring")
    ('web page', 'newsletter of…week of spring')
    """
    text = " ".join(nice(name).split())
    return text if len(text) <= LONGEST else f"{text[:13].rstrip()}…{text[-14:].lstrip()}"


def finish(fig: Any, alt: str) -> Shown:
    """The figure as PNG with its alt text; CxValueError where the alt text says nothing."""
    if len(alt.split()) < 4:
        raise CxValueError("A figure needs alt text: a sentence that says what it shows.")
    for ax in fig.axes:
        ax.set_title(ax.get_title(), loc="left", fontsize=11, fontweight="bold", pad=10)
        ax.set_title("", loc="center")
    for text in fig.findobj(lambda artist: hasattr(artist, "set_parse_math")):
        text.set_parse_math(False)  # those made outside the style too
    buffer = io.BytesIO()
    with style(), warnings.catch_warnings():
        # A script that no installed font has is drawn as boxes; tables and the alt text hold the names.
        warnings.filterwarnings("ignore", message="Glyph .* missing from", category=UserWarning)
        # No software or date stamp: the same figure gives the same bytes.
        fig.savefig(buffer, format="png", dpi=DPI, metadata={"Software": None})
    return Shown(buffer.getvalue(), alt)


def nothing(title: str, why: str = TOO_FEW) -> Shown:
    """What stands in a figure's place where there is none: it would rest on too few customers, or says `why`."""
    fig, ax = figure(height=1.0)
    ax.text(0, 0.5, textwrap.fill(why, 100), va="center", color=MUTED)
    ax.set_axis_off()
    ax.set_title(title)
    return finish(fig, f"{title}: {'too few customers for a figure.' if why == TOO_FEW else why}")


def dots(
    ax: Any,
    labels: Sequence[str],
    estimate: Any,
    low: Any,
    high: Any,
    colour: Any = ACCENT,
    against: float | None = None,
) -> None:
    """Estimates as dots with their intervals, one row a label, the first on top; `against` is a dashed line."""
    rows = np.arange(len(labels))[::-1]
    intervals(
        ax, rows, estimate, low, high, [colour] * len(labels) if isinstance(colour, str) else list(colour)
    )
    if against is not None:
        ax.axvline(against, color=MUTED, linewidth=1, linestyle="--")
    ax.set_yticks(rows, [label(name) for name in labels])
    ax.set_ylim(-0.7, len(labels) - 0.3)
    ax.grid(axis="y", visible=False)


def dotted(
    table: pd.DataFrame,
    labels: Sequence[str],
    unit: str,
    title: str,
    *,
    factor: float = 1.0,
    colour: Any = ACCENT,
    against: float | None = None,
    width: str = "text",
    height: float = 0.9,
    row: float = 0.28,
) -> tuple[Any, Any]:
    """A figure of a result's rows as dots with their intervals, in `factor` of the table's unit.

    `row` is the height of each in inches, beside `height` for the rest. Returns figure and axes, to add to.
    """
    fig, ax = figure(width, height + row * len(table))
    estimate, low, high = (factor * table[name].to_numpy(float) for name in ("estimate", "low", "high"))
    dots(ax, labels, estimate, low, high, colour, against)
    ax.set_xlabel(unit)
    ax.set_title(title)
    return fig, ax


def beside(ax: Any, values: Any, label: str, **mark: Any) -> None:
    """A second number of each row of `dots`, as a mark (a ring, if `mark` says no other)."""
    rows = np.arange(len(values))[::-1]
    ring = {} if "marker" in mark else {"facecolors": "none", "edgecolors": INK, "s": 34, "zorder": 4}
    ax.scatter(values, rows, label=label, **{**ring, **mark})


def intervals(
    ax: Any, rows: Any, estimate: Any, low: Any, high: Any, colour: Any = ACCENT, **dot: Any
) -> None:
    """Dots with their intervals at the heights `rows`; `dot` goes to the dots (a label for the legend, a size)."""
    ax.hlines(rows, low, high, color=colour, linewidth=2.2, alpha=0.45)
    ax.scatter(estimate, rows, color=colour, zorder=3, **{"s": 30, **dot})


def bars(
    ax: Any,
    labels: Sequence[str],
    estimate: Any,
    low: Any,
    high: Any,
    colour: Any = ACCENT,
    upright: bool = False,
) -> Any:
    """Estimates as bars with their intervals, one a label: the first on top, or `upright` the first on the left.

    Returns the places of the bars, to write beside them.
    """
    estimate, low, high = (np.asarray(one, dtype=float) for one in (estimate, low, high))
    reach, names = [estimate - low, high - estimate], [label(name) for name in labels]
    style: dict[str, Any] = {"fmt": "none", "ecolor": INK, "capsize": 3, "linewidth": 1.2}
    places = np.arange(len(labels)) if upright else np.arange(len(labels))[::-1]
    if upright:
        ax.bar(places, estimate, color=colour, width=0.65, alpha=0.9)
        ax.errorbar(places, estimate, yerr=reach, **style)
        ax.set_xticks(places, names)
    else:
        ax.barh(places, estimate, color=colour, height=0.62, alpha=0.9)
        ax.errorbar(estimate, places, xerr=reach, **style)
        ax.set_yticks(places, names)
    ax.grid(axis="x" if upright else "y", visible=False)
    return places


def heat(ax: Any, values: Any, rows: Sequence[str], columns: Sequence[str], *, percent: bool = True) -> None:
    """A matrix of shares as shaded cells, each labelled where it is at least half a percent."""
    from matplotlib.colors import LinearSegmentedColormap

    shade = LinearSegmentedColormap.from_list("shade", ["#ffffff", "#cfe5ef", ACCENT, "#063b53"])
    values = np.asarray(values, dtype=float)
    top = max(float(np.nanmax(values, initial=0.0)), 1e-9)
    ax.imshow(values, cmap=shade, vmin=0, vmax=top, aspect="auto")
    ax.set_xticks(range(len(columns)), [label(c) for c in columns])
    ax.set_yticks(range(len(rows)), [label(r) for r in rows])
    ax.grid(visible=False)
    for spine in ax.spines.values():
        spine.set_visible(False)
    for i, j in zip(*np.nonzero(values >= 0.005), strict=True):
        text = f"{100 * values[i, j]:.0f}" if percent else f"{values[i, j]:.2f}"
        ink = "white" if values[i, j] > 0.55 * top else INK
        ax.text(j, i, text, ha="center", va="center", fontsize=7.5, color=ink)
