"""The persona cards as a page to hang up, drawn part by part from top to bottom, in inches."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Sequence
from typing import Any
from unicodedata import east_asian_width

import numpy as np
import pandas as pd

from cxlib import figures
from cxlib.figures import COLOURS, FAINT, INK, MUTED, WARM, Shown
from cxlib.masks import masked
from cxlib.personas.cards import Cards
from cxlib.personas.words import FEELINGS, in_words, is_motive
from cxlib.results import nice, percent, visible

ACROSS = 3  # cards side by side
# A card's width, between cards, within one, a line of text, between parts.
CARD, GAP, PAD, LINE, SPACE = 3.1, 0.12, 0.13, 0.18, 0.1
SIZE, LONG = 10, 110  # points, of which a report shows four fifths; letters of a quote
WIDTHS = dict.fromkeys(" .,:;|iljtfrI()", 0.36) | dict.fromkeys("mwMW%", 0.97)  # of letters, by their height
Drawn = Callable[[Any, float], Any]
Lines = list[tuple[float, Drawn]]


def cards(result: Cards) -> Shown:
    """The persona cards as a page to hang up: who, worth what, where, what for, how content, and how to recognise them."""
    table = visible(result.table())
    names = [name for name in result.labels if name in set(table["persona"])]
    if not names:
        return figures.nothing("Personas")
    colours = {name: COLOURS[result.labels.index(name) % len(COLOURS)] for name in names}
    drawn = [_card(name, table[table["persona"] == name], colours[name]) for name in names]
    columns = 2 if len(names) == 4 else min(ACROSS, len(names))
    rows = [drawn[first : first + columns] for first in range(0, len(names), columns)]
    tall = [max(sum(height for height, _ in lines) for lines in row) + GAP for row in rows]
    wide, high = columns * (CARD + GAP) + GAP, sum(tall) + (len(rows) + 1) * GAP
    fig, grid = figures.figure(wide, high, columns, len(rows))
    fig.set_layout_engine("none")
    with figures.style():
        for place, ax in enumerate(np.ravel(grid)):
            down, across = divmod(place, columns)
            left, bottom = GAP + across * (CARD + GAP), high - sum(tall[: down + 1]) - (down + 1) * GAP
            ax.set_position((left / wide, bottom / high, CARD / wide, tall[down] / high))
            ax.set(xlim=(0, CARD), ylim=(tall[down], 0))
            ax.set_axis_off()
            if place < len(names):
                _draw(ax, drawn[place], tall[down], colours[names[place]])
    of = table[table["about"].isin(["size", "motive"])].groupby("persona")
    said = [
        ", ".join([name, *(percent(r.estimate) if r.about == "size" else _said(r) for r in of.get_group(name).itertuples())])
        for name in names
    ]  # fmt: skip
    return figures.finish(fig, f"Persona cards, {len(names)} in all: {'; '.join(said)}.")


def _draw(ax: Any, lines: Lines, tall: float, colour: str) -> None:
    from matplotlib.patches import FancyBboxPatch, Rectangle

    box: dict[str, Any] = {"boxstyle": "round,pad=0,rounding_size=0.08", "linewidth": 1.2}
    paper = ax.add_patch(FancyBboxPatch((0, 0), CARD, tall, facecolor="#fbfcfd", edgecolor=FAINT, **box))
    for height, alpha in ((lines[0][0] - SPACE, 0.16), (0.07, 1.0)):
        band = Rectangle((0, 0), CARD, height, facecolor=colour, alpha=alpha, edgecolor="none")
        ax.add_patch(band).set_clip_path(paper)
    at = 0.0
    for height, draw in lines:
        draw(ax, at)
        at += height


def _card(name: str, table: pd.DataFrame, colour: str) -> Lines:
    """What a card says from top to bottom: the height of each part in inches, and what draws it there."""
    by = {str(about): list(rows.itertuples()) for about, rows in table.groupby("about")}
    parts = [[_head(name, by.get("size", []), colour)], [_bar(row, colour) for row in by.get("value", [])]]
    if "channels" in by:
        parts.append([_strip(sorted(by["channels"], key=lambda row: -row.estimate), colour)])
    if "motive" in by:
        title = "They say they come for" if is_motive(by["motive"][0].block) else "They declare"
        parts.append(_shares(title, by["motive"]))
    parts.append([_mood(row, colour) for row in by.get("feelings", [])])
    quotes = [masked(row.feature) for row in by.get("quote", [])]
    parts.append(_shares("They write about", by.get("said", [])[:2]))
    parts[-1] += [_text(f"“{said[:LONG]}{'…' * (len(said) > LONG)}”", style="italic") for said in quotes]
    parts.append(_shares("More than others", by.get("most", [])))
    if "recognise" in by:
        questions = nice(by["recognise"][0].feature).replace("? ", "? ").split("; ")
        asked = [_text(question) for question in questions]
        sure = [_line(f"  {row.block}", _ends(row)) for row in by["recognise"]]
        parts.append([_text("To recognise them, ask", color=MUTED), *asked, *sure])
    if "not" in by:
        parts.append([_text(f"Not: {', '.join(_said(row) for row in by['not'])}", color=WARM)])
    return [line for part in parts if part for line in (*part, (SPACE, lambda ax, at: None))]


def _head(name: str, size: Sequence[Any], colour: str) -> tuple[float, Drawn]:
    """A portrait with the persona's letter, its name, and its size."""
    from matplotlib.patches import Circle, Ellipse

    letter, _, words = name.partition(": ")

    def draw(ax: Any, at: float) -> None:
        x, y = 0.46, at + 0.54
        frame = ax.add_patch(Circle((x, y), 0.36, facecolor=colour, edgecolor="none"))
        for part in (Circle((x, y - 0.13), 0.12), Ellipse((x, y + 0.36), 0.5, 0.62)):
            part.set(facecolor="white", edgecolor="none")
            ax.add_patch(part).set_clip_path(frame)
        ax.text(x, y + 0.2, letter, fontsize=12, ha="center", va="center", fontweight="bold")
        _text(words or name, x=0.94, fontweight="bold")[1](ax, at + 0.22)
        for row in size:
            _text(f"{_ends(row)} of all", x=0.94)[1](ax, at + 0.66)

    return 1.04 + SPACE, draw


def _text(words: str, x: float = PAD, **style: Any) -> tuple[float, Drawn]:
    """A paragraph."""
    # A Chinese letter is as wide as two others, and counts as two while lines are broken.
    wide = "".join(f"{letter}\0" if east_asian_width(letter) in "WF" else letter for letter in words)
    each = SIZE / 72 * (0.63 if "fontweight" in style else 0.56)
    folded = textwrap.wrap(wide, int((CARD - PAD - x) / each))
    said = "\n".join(folded).replace("\0", "")
    style = {"va": "top", "fontsize": SIZE, "linespacing": 1.25, **style}
    return LINE * len(folded), lambda ax, at: ax.text(x, at, said, **style)


def _inches(words: str) -> float:
    """How wide words are, about."""
    widths = (1.25 if east_asian_width(letter) in "WF" else WIDTHS.get(letter, 0.62) for letter in words)
    return SIZE / 72 * sum(widths)


def _line(left: str, right: str, colour: str = INK) -> tuple[float, Drawn]:
    """Something on the left, and on the right what it comes to."""

    half = len(left) // 2 + 1
    while _inches(left + right) > CARD - 2 * PAD - 0.06 and half > 3:
        half -= 1
        left = f"{left[:half].rstrip()}\u2026{left[-half:].lstrip()}"

    def draw(ax: Any, at: float) -> None:
        ax.text(PAD, at, left, fontsize=SIZE, va="top", color=colour)
        ax.text(CARD - PAD, at, right, fontsize=SIZE, va="top", ha="right", color=colour)

    return LINE, draw


def _ends(row: Any) -> str:
    ends = f" ({100 * row.low:.0f} to {100 * row.high:.0f})" if row.low < row.high else ""
    return f"{percent(row.estimate)}{ends}"


def _shares(title: str, rows: Sequence[Any]) -> Lines:
    """Options with their shares here and among all, under a title; a value is named alone."""
    found = np.array([(r.estimate, (r.high - r.low) / 2, r.overall) for r in rows]) * 100
    shares = [
        "" if r.block == r.feature else "{:.0f}±{:.0f} | {:.0f} %".format(*f)
        for r, f in zip(rows, found, strict=True)
    ]
    lines = [_line(f"  {_said(row)}", share) for row, share in zip(rows, shares, strict=True)]
    return [_line(title, "here | all" if any(shares) else "", MUTED), *lines] if lines else []


def _said(row: Any) -> str:
    """What a line is about, in words short enough for half a card."""
    words = in_words(row.block, row.feature, abs(row.difference) if row.about == "not" else row.difference)
    if row.about == "said" or (row.about == "motive" and is_motive(row.block)):
        words = nice(row.feature)
    return figures.label(words or nice(row.feature))


def _bar(row: Any, colour: str) -> tuple[float, Drawn]:
    """A mean as a multiple of that of all customers, which is the grey line; with its interval."""
    from matplotlib.patches import Rectangle

    left, width = 0.95, 1.25
    many = np.array([row.estimate, row.low, row.high]) / max(row.overall, 1e-9)
    end, low, high = left + np.clip(many / 2, 0, 1) * width

    def draw(ax: Any, at: float) -> None:
        _line(nice(row.feature).removesuffix(" a customer").capitalize(), f"{many[0]:.1f} × all")[1](ax, at)
        ax.add_patch(Rectangle((left, at + 0.02), end - left, 0.11, facecolor=colour, alpha=0.75))
        ax.plot([low, high], [at + 0.075] * 2, color=INK, linewidth=1)
        ax.plot([left + width / 2] * 2, [at, at + 0.15], color=MUTED, linewidth=1)

    return 0.21, draw


def _strip(rows: Sequence[Any], colour: str) -> tuple[float, Drawn]:
    """Where visits begin, as one bar: the widest channels named."""
    from matplotlib.patches import Rectangle

    def draw(ax: Any, at: float) -> None:
        _line("Visits begin in", "", MUTED)[1](ax, at)
        left, wide = PAD, CARD - 2 * PAD
        for place, row in enumerate(rows):
            width, name = row.estimate * wide, figures.label(row.feature)
            shade: dict[str, Any] = {
                "facecolor": colour,
                "alpha": max(0.55 - 0.14 * place, 0.08),
                "edgecolor": "white",
            }
            ax.add_patch(Rectangle((left, at + LINE), width, 0.38, **shade))
            if width > (len(name) + 1) * 0.085:
                style: dict[str, Any] = {"ha": "center", "va": "center", "fontsize": SIZE, "linespacing": 1.1}
                ax.text(left + width / 2, at + LINE + 0.19, f"{name}\n{100 * row.estimate:.0f} %", **style)
            left += width

    return LINE + 0.42, draw


def _mood(row: Any, colour: str) -> tuple[float, Drawn]:
    """Satisfaction on a line from one standard deviation below all to one above; a score in figures."""
    if row.block != FEELINGS:
        return _line(
            nice(row.feature).capitalize(), f"{row.estimate:+.0f} ({row.low:+.0f} to {row.high:+.0f})"
        )
    word = "content" if row.difference > 0.1 else "discontent" if row.difference < -0.1 else "as others are"
    left, width = 0.95, 1.0
    dot, low, high = left + width * np.clip(0.5 + np.array([row.estimate, row.low, row.high]) / 2, 0, 1)

    def draw(ax: Any, at: float) -> None:
        _line("Mood", word)[1](ax, at)
        ax.plot([left, left + width], [at + 0.075] * 2, color=FAINT, linewidth=3, solid_capstyle="round")
        ax.plot([left + width / 2] * 2, [at, at + 0.15], color=MUTED, linewidth=1)
        ax.plot([low, high], [at + 0.075] * 2, color=INK, linewidth=1)
        ax.scatter([dot], [at + 0.075], color=colour, s=42, zorder=3)

    return LINE, draw


__all__ = ["cards"]
