"""A journey map as a picture for the wall: a column a stage, a band a line of the map.

Drawn on one canvas in inches, from the top down; every text is measured and broken to the width it has,
so that no name runs into another.
"""

from __future__ import annotations

import functools
import warnings
from typing import Any

import numpy as np
import pandas as pd

from cxlib import figures
from cxlib.figures import ACCENT, COLOURS, FAINT, INK, MUTED, STAGE_COLOURS, WARM, Shown
from cxlib.journeys.pain_points import PainPoints
from cxlib.journeys.templates import JourneyMap, said
from cxlib.results import EVERYWHERE, nice, percent, visible

SIDE, MARGIN = 1.12, 0.12  # inches: the column of headings, the space between columns
SMALL, LINE = 7.5, 0.132  # points, and inches from one line of text to the next
MOST = 7  # touchpoints a stage; the others are added up
# Shades of one colour: channels and stages have the others.
OWNERS = {
    "owned": "#075675",
    "partner": "#3d93b8",
    "customer": "#9cc9dd",
    "social": "#d5e8f0",
    "not stated": FAINT,
}


def journey_map(result: JourneyMap, persona: str = EVERYWHERE) -> Shown:
    """The map of one persona; on others than everybody's, dark marks and a grey curve show everybody's."""
    (unlike,) = result.of(persona).unlike  # says so where there is none
    if persona != EVERYWHERE and unlike < 1e-9:
        fig, ax = figures.figure(height=0.6)
        same = f"The only persona is {said(persona)}: everybody's map is its map."
        ax.text(0, 0.5, same, va="center", color=MUTED)
        ax.set_axis_off()
        return figures.finish(fig, same)
    with figures.style():
        if result.rows(persona, "met").empty:
            return figures.nothing(f"Journey map of {figures.label(said(persona))}")
        canvas = _Canvas(result, persona)
        for band in (
            canvas.heads,
            canvas.touchpoints,
            canvas.feeling,
            canvas.losses,
            canvas.pains,
            canvas.owners,
        ):
            band()
        return canvas.finish()


def pain_points(result: PainPoints, persona: str = EVERYWHERE, top: int = 12) -> Shown:
    """How many more visits end after each pain point found, the heaviest on top, with who met it."""
    found = visible(result.frame[result.frame["found"] & (result.frame["persona"] == persona)]).head(top)
    with figures.style():
        fig, ax = figures.figure(height=0.36 * len(found) + 1.1)
        ax.set_title(f"Where it hurts: {figures.label(said(persona))}")
        if found.empty:
            none = "No condition clearly ends more visits than its absence."
            ax.text(0, 0.5, none, va="center", color=MUTED)
            ax.set_axis_off()
            return figures.finish(fig, f"Pain points of {said(persona)}: {none}")
        rows = np.arange(len(found))[::-1]
        figures.intervals(ax, rows, found["estimate"], found["low"], found["high"], WARM)
        ax.set_yticks(
            rows, ["\n".join(broken(_pain(row), 2.4, 2)) for row in found.itertuples()], fontsize=SMALL
        )
        beside = {"va": "center", "fontsize": 8, "color": MUTED, "transform": ax.get_yaxis_transform()}
        for row, line in zip(rows, found.itertuples(), strict=True):
            ax.text(1.01, row, f"{line.customers:,}", **beside)
        ax.text(1.01, len(found) - 0.2, "met it", **beside)
        ax.set_ylim(-0.7, len(found) - 0.3)
        ax.set_xlim(left=0)
        ax.xaxis.set_major_formatter(lambda x, _: f"{100 * x:.0f}")
        ax.set_xlabel("how many more visits end there, percentage points")
        ax.grid(axis="y", visible=False)
        each = "; ".join(f"{_pain(row)}, {100 * row.estimate:.0f} points" for row in found.itertuples())
        return figures.finish(fig, f"Pain points of {said(persona)}, the heaviest first. {each}.")


def _pain(row: Any) -> str:
    return f"{figures.label(row.touchpoint)}: {figures.label(row.condition)}"


class _Canvas:
    """The picture while it is drawn; `y` is how far down it has come, in inches."""

    def __init__(self, result: JourneyMap, persona: str):
        self.result, self.persona, self.stages = result, persona, result.stages
        self.width = figures.WIDTHS["text"]
        self.fig, self.ax = figures.figure(height=6.0)
        self.column = (self.width - SIDE) / len(self.stages)
        self.inner = self.column - MARGIN
        self.y = 0.0

    def left(self, stage: str) -> float:
        return SIDE + self.stages.index(stage) * self.column

    def rows(self, measure: str, others: bool = False) -> pd.DataFrame:
        return self.result.rows(EVERYWHERE if others else self.persona, measure)

    # What stands on the canvas

    def text(
        self, x: float, y: float, words: str, colour: str = INK, size: float = SMALL, **how: Any
    ) -> None:
        self.ax.text(x, y, words, color=colour, fontsize=size, va=how.pop("va", "center"), **how)

    def lines(self, x: float, y: float, words: str, width: float, most: int = 3, **how: Any) -> float:
        """Text broken to a width, from `y` downwards; how far down it comes."""
        for line in broken(words, width, most, how.get("size", SMALL), how.get("fontweight", "normal")):
            self.text(x, y + LINE / 2, line, **how)
            y += LINE
        return y

    def bar(self, x: float, y: float, share: float, width: float, colour: str, height: float = 0.07) -> None:
        self.ax.barh(y, share * width, left=x, height=height, color=colour, linewidth=0)

    def heading(self, words: str, y: float, note: str = "") -> float:
        y = self.lines(0, y, words, SIDE - MARGIN, colour=INK, fontweight="bold")
        return self.lines(0, y, note, SIDE - MARGIN, most=6, colour=MUTED, size=7) if note else y

    def rule(self) -> None:
        """The end of a band."""
        self.y += 0.1
        self.ax.plot([0, self.width], [self.y, self.y], color=FAINT, linewidth=0.8)
        self.y += 0.09

    def of_everybody(self, measure: str) -> dict[tuple[str, str], float]:
        """Everybody's estimates by stage and name, on the map of a persona only."""
        if self.persona == EVERYWHERE:
            return {}
        rows = self.rows(measure, others=True)
        return dict(zip(zip(rows["stage"], rows["name"], strict=True), rows["estimate"], strict=True))

    def mark(self, x: float, y: float, height: float = 0.12) -> None:
        self.ax.plot(
            [x, x], [y - height / 2, y + height / 2], color=INK, linewidth=1.3, solid_capstyle="butt"
        )

    # The bands

    def heads(self) -> None:
        for stage in self.stages:
            x = self.left(stage)
            self.ax.barh(0.03, self.inner, left=x, height=0.06, color=STAGE_COLOURS[stage])
            self.text(x, 0.2, stage.capitalize(), fontweight="bold", size=9.5)
        self.y = 0.34
        self.shares("met", "met here")
        if self.persona != EVERYWHERE:
            self.text(0, self.y + LINE / 2, "dark marks: everybody", MUTED, 7)
            self.y += LINE
        self.rule()

    def shares(self, measure: str, heading: str, name: str = "", colour: str = "") -> None:
        """One line: a share a stage as a bar with its interval."""
        rows, all_ = self.rows(measure), self.of_everybody(measure)
        rows = rows[rows["name"] == name]
        if rows.empty:
            return
        end = self.heading(heading, self.y)
        y, room = self.y + LINE / 2, self.inner - 0.42
        for row in rows.itertuples():
            x = self.left(row.stage)
            self.bar(x, y, 1, room, FAINT, 0.1)
            self.bar(x, y, row.estimate, room, colour or STAGE_COLOURS[row.stage], 0.1)
            self.ax.plot([x + room * row.low, x + room * row.high], [y, y], color=INK, linewidth=1)
            if (row.stage, name) in all_:
                self.mark(x + room * all_[row.stage, name], y, 0.16)
            self.text(x + room + 0.06, y, _whole(row.estimate), size=SMALL)
        self.y = end + 0.05

    def touchpoints(self) -> None:
        rows, all_ = self.rows("touchpoint"), self.of_everybody("touchpoint")
        top, channels = self.y, sorted(set(self.result.channels.values()))
        colours = {c: COLOURS[i] if i < len(COLOURS) else MUTED for i, c in enumerate(channels)}
        end = self.heading("Touchpoints", top, "as first met, downwards; bars: share of the stage's contacts")
        used = [c for c in channels if c in set(rows["name"].map(self.result.channels))]
        end += 0.06
        for channel in used if len(used) <= 10 else []:
            self.ax.barh(end + LINE / 2, 0.09, left=0, height=0.09, color=colours[channel])
            end = self.lines(0.15, end, figures.label(channel), SIDE - MARGIN - 0.15, most=1, size=7)
        room, largest = self.inner - 0.38, max(rows["estimate"].max(), 1e-9)
        for stage in self.stages:
            here, x, y = rows[rows["stage"] == stage], self.left(stage), top
            shown = here[here["estimate"].rank(ascending=False, method="first") <= MOST]
            for row in shown.itertuples():
                y = self.lines(x, y, figures.label(row.name), self.inner, most=2)
                middle = y + 0.055
                self.bar(
                    x,
                    middle,
                    row.estimate / largest,
                    room,
                    colours.get(self.result.channels.get(row.name, ""), ACCENT),
                )
                if (stage, row.name) in all_:
                    self.mark(x + room * min(all_[stage, row.name] / largest, 1.0), middle)
                self.text(x + self.inner, middle, _whole(row.estimate), MUTED, size=7, ha="right")
                y = middle + 0.09
            if len(here) > len(shown):
                rest = 1 - shown["estimate"].sum()
                y = self.lines(
                    x, y, f"{len(here) - len(shown)} others, {_whole(rest)}", self.inner, colour=MUTED, size=7
                )
            end = max(end, y)
        self.y = end
        self.rule()

    def feeling(self) -> None:
        rows = self.rows("feeling").dropna(subset=["low", "high"])
        if rows.empty:
            return
        height, top = 0.95, self.y
        end = self.heading("Feeling", top, f"mean answer to {figures.label(self.result.question)}, 0 to 100")
        others = self.rows("feeling", others=True)
        seen = pd.concat([rows["low"], rows["high"], others["estimate"]])
        low, high = (
            max(0.0, 10 * np.floor(seen.min() / 10 - 0.5)),
            min(100.0, 10 * np.ceil(seen.max() / 10 + 0.5)),
        )
        at = lambda value: top + height * (high - np.asarray(value)) / (high - low)  # noqa: E731
        for value in (low, high):
            self.ax.plot([SIDE, self.width - MARGIN], [at(value)] * 2, color=FAINT, linewidth=0.8)
            self.text(SIDE - 0.05, at(value), f"{value:.0f}", MUTED, 7, ha="right")
        middle = lambda frame: [self.left(stage) + self.inner / 2 for stage in frame["stage"]]  # noqa: E731
        if self.persona != EVERYWHERE:
            self.ax.plot(
                middle(others), at(others["estimate"]), color=MUTED, linewidth=1, linestyle=(0, (3, 2))
            )
        x = middle(rows)
        self.ax.plot(x, at(rows["estimate"]), color=ACCENT, linewidth=1.6, alpha=0.6)
        self.ax.vlines(x, at(rows["low"]), at(rows["high"]), color=ACCENT, linewidth=2.2, alpha=0.45)
        self.ax.scatter(x, at(rows["estimate"]), s=28, color=ACCENT, zorder=3)
        for place, value in zip(x, rows["estimate"], strict=True):
            self.text(place + 0.09, float(at(value)) - 0.09, f"{value:.0f}", ACCENT, 8, fontweight="bold")
        self.y = max(end, top + height)
        self.rule()

    def losses(self) -> None:
        self.shares("never_later", "never come further", colour=MUTED)
        self.shares("visits_end", "visits that end here", colour=MUTED)
        self.shares("mode", "helped by a person", "assisted", MUTED)
        self.rule()

    def pains(self) -> None:
        if self.result.pains.frame.empty:
            return
        worst, top = visible(self.result.pains.top()), self.y
        rows = worst[worst["persona"] == self.persona]
        end = self.heading("Where it hurts", top, "how many more visits end after it")
        for stage in self.stages:
            y, x = top, self.left(stage)
            for row in rows[rows["stage"] == stage].itertuples():
                y = self.lines(x, y, _pain(row), self.inner, colour=WARM, most=4)
                more = f"+{100 * row.estimate:.0f} points, {row.customers:,} met it"
                y = self.lines(x, y, more, self.inner, colour=MUTED, size=7, most=2) + 0.06
            if y == top:
                self.text(x, top + LINE / 2, "nothing found", MUTED, 7)
            end = max(end, y)
        self.y = end
        self.rule()

    def owners(self) -> None:
        rows = self.rows("ownership")
        if rows.empty:
            return
        end = self.heading("Whose contacts", self.y)
        for stage in self.stages:
            x = self.left(stage)
            here = rows[rows["stage"] == stage].set_index("name")["estimate"]
            for owner in [name for name in OWNERS if name in here]:
                self.bar(x, self.y + LINE / 2, here[owner], self.inner, OWNERS[owner], 0.12)
                x += here[owner] * self.inner
        x = SIDE
        for owner in [name for name in OWNERS if name in set(rows["name"])]:
            self.ax.barh(end + 0.12, 0.09, left=x, height=0.09, color=OWNERS[owner])
            self.text(x + 0.14, end + 0.12, owner, size=7)
            x += 0.9
        self.y = end + 0.22

    def finish(self) -> Shown:
        self.ax.set_xlim(0, self.width)
        self.ax.set_ylim(self.y, 0)
        self.ax.set_axis_off()
        whom = broken(f"Journey map of {said(self.persona)}", self.width - 1.7, 1, 11, "bold")[0]
        self.ax.set_title(f"{whom}, {self.rows('met')['n'].max():,} customers")
        self.fig.set_size_inches(self.width, self.y + 0.45)
        return figures.finish(self.fig, described(self.result, self.persona))


def described(result: JourneyMap, persona: str) -> str:
    """The map in words, for who cannot see it."""
    sentences = [f"Journey map of {said(persona)}."]
    for stage in result.stages:
        rows = {
            m: r[r["stage"] == stage]
            for m in ("met", "touchpoint", "feeling", "never_later", "pain")
            for r in [result.rows(persona, m)]
        }
        parts = [f"{percent(v)} met" for v in rows["met"]["estimate"]]
        if len(rows["touchpoint"]):
            top = rows["touchpoint"].loc[rows["touchpoint"]["estimate"].idxmax()]
            parts.append(f"most contacts at {nice(top['name'])} ({percent(top['estimate'])})")
        parts += [f"feeling {v:.0f} of 100" for v in rows["feeling"]["estimate"]]
        parts += [f"{percent(v)} never come further" for v in rows["never_later"]["estimate"]]
        parts += [f"it hurts at {nice(name)}" for name in rows["pain"]["name"]]
        sentences.append(f"{stage.capitalize()}: {', '.join(parts) or 'too few customers'}.")
    return " ".join(sentences)


def broken(words: str, width: float, most: int, size: float = SMALL, weight: str = "normal") -> list[str]:
    """Text in lines no wider than `width` inches, at spaces where it can; the last is cut short after `most`."""
    lines: list[str] = []
    for word in (piece for whole in words.split() for piece in _pieces(whole, width, size, weight)):
        longer = f"{lines[-1]} {word}" if lines else ""
        if lines and _wide(longer, size, weight) <= width:
            lines[-1] = longer
        else:
            lines.append(word)
    if len(lines) > most:
        last = lines[most - 1]
        while last and _wide(f"{last}…", size, weight) > width:
            last = last[:-1]
        lines = [*lines[: most - 1], f"{last}…"]
    return lines


def _whole(share: float) -> str:
    return f"{100 * share:.0f} %"


def _pieces(word: str, width: float, size: float, weight: str) -> list[str]:
    """A word, cut where it is longer than a line."""
    cut = len(word)
    while cut > 1 and _wide(word[:cut], size, weight) > width:
        cut -= 1
    return [word] if cut == len(word) else [word[:cut], *_pieces(word[cut:], width, size, weight)]


@functools.cache
def _wide(words: str, size: float, weight: str) -> float:
    """How wide a text is, in inches, in the fonts that will draw it."""
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import TextToPath

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from", category=UserWarning)
        font = FontProperties(size=size, weight=weight)
        return float(TextToPath().get_text_width_height_descent(words, font, False)[0]) / 72
