"""Figures: one look, alt text required, the same bytes for the same figure."""

from __future__ import annotations

import base64
from typing import Any

import numpy as np
import pytest

from cxlib import figures
from cxlib.errors import CxValueError
from cxlib.figures import Shown, dots, figure, finish, heat, label

ALT = "Dots with intervals: web leads, then app."


def drawn() -> Any:
    fig, ax = figure(height=2.0)
    dots(ax, ["web_page", "app"], [0.5, 0.4], [0.4, 0.3], [0.6, 0.5])
    return fig


@pytest.mark.parametrize("alt", ["", " ", "figure", "A dot plot", "one two three"])
def test_alt_text_that_says_nothing_is_refused(alt: str) -> None:
    with pytest.raises(CxValueError, match="needs alt text"):
        finish(drawn(), alt)


def test_a_figure_carries_its_alt_text_to_the_notebook() -> None:
    shown = finish(drawn(), ALT)
    data, metadata = shown._repr_mimebundle_()
    assert base64.b64decode(data["image/png"]) == shown.png
    assert shown.png.startswith(b"\x89PNG")
    assert metadata["image/png"]["alt"] == data["text/plain"] == ALT


def test_the_same_figure_gives_the_same_bytes() -> None:
    assert finish(drawn(), ALT).png == finish(drawn(), ALT).png


def test_the_png_holds_no_date_and_no_software() -> None:
    png = finish(drawn(), ALT).png
    assert b"Software" not in png
    assert b"tIME" not in png
    assert b"atplotlib" not in png


def test_the_house_style_leaks_nowhere() -> None:
    import matplotlib as mpl

    before = dict(mpl.rcParams)
    finish(drawn(), ALT)
    assert dict(mpl.rcParams) == before


def test_a_figure_made_without_pyplot_stays_open_nowhere() -> None:
    import matplotlib.pyplot as plt

    drawn()
    assert plt.get_fignums() == []


def test_dots_stand_in_the_order_given_the_first_on_top() -> None:
    ax = drawn().axes[0]
    by_place = dict(zip(ax.get_yticks(), [t.get_text() for t in ax.get_yticklabels()], strict=True))
    assert by_place[max(by_place)] == "web page"


def test_a_line_to_compare_with_is_dashed() -> None:
    _, ax = figure()
    dots(ax, ["a"], [0.5], [0.4], [0.6], against=0.3)
    assert [(line.get_linestyle(), line.get_xdata()[0]) for line in ax.lines] == [("--", 0.3)]


@pytest.mark.parametrize("upright", [False, True])
def test_bars_stand_in_the_order_given_with_their_intervals(upright: bool) -> None:
    fig, ax = figure()
    places = figures.bars(ax, ["web_page", "b"], [0.5, 0.2], [0.4, 0.1], [0.7, 0.3], upright=upright)
    assert list(places) == ([0, 1] if upright else [1, 0])
    axis = ax.xaxis if upright else ax.yaxis
    named = dict(zip(axis.get_ticklocs(), [text.get_text() for text in axis.get_ticklabels()], strict=True))
    assert named[places[0]] == "web page"
    lengths = [bar.get_height() if upright else bar.get_width() for bar in ax.patches]
    assert lengths == [0.5, 0.2]
    segments = ax.collections[0].get_segments()
    ends = sorted(segments[0][:, 1 if upright else 0].tolist())
    assert ends == pytest.approx([0.4, 0.7])
    assert isinstance(finish(fig, ALT), Shown)


def test_what_stands_for_too_few_customers_says_so_and_names_its_title() -> None:
    shown = figures.nothing("Where visits end")
    assert shown.alt == "Where visits end: too few customers for a figure."
    assert shown.png.startswith(b"\x89PNG")


def test_heat_labels_cells_of_at_least_half_a_percent() -> None:
    _, ax = figure()
    heat(ax, np.array([[0.5, 0.004], [0.0, 1.0]]), ["a", "b"], ["c", "d"])
    assert sorted(text.get_text() for text in ax.texts) == ["100", "50"]


@pytest.mark.parametrize("values", [np.zeros((2, 2)), np.full((1, 1), np.nan)])
def test_heat_of_nothing_is_drawn_all_the_same(values: np.ndarray) -> None:
    fig, ax = figure()
    heat(ax, values, ["r"] * len(values), ["c"] * values.shape[1])
    assert isinstance(finish(fig, ALT), Shown)


def test_a_name_with_dollars_is_no_formula_wherever_it_stands() -> None:
    fig, ax = figure(columns=2)
    names = ["$5 off", "win $10 $$", r"$\frac$"]
    dots(ax[0], names, [0.5, 0.4, 0.3], [0.4, 0.3, 0.2], [0.6, 0.5, 0.4])
    heat(ax[1], np.eye(3), names, names)
    ax[0].set_title(names[2])
    ax[0].plot([0.3], [0.3], label=names[2])
    ax[0].legend()
    assert isinstance(finish(fig, ALT), Shown)


def test_a_long_name_is_shortened_in_the_middle() -> None:
    short = label("https://example.org/" + "a" * 80 + "/basket?item=7")
    assert (len(short), short[:5], short[-6:]) == (28, "https", "item=7")
    assert label("web_page") == "web page"
    assert label("x" * 28) == "x" * 28
    _, ax = figure()
    heat(ax, np.eye(1), ["r" * 200], ["c" * 200])
    assert all(len(tick.get_text()) <= 28 for tick in [*ax.get_xticklabels(), *ax.get_yticklabels()])


@pytest.mark.filterwarnings("error")
def test_names_of_other_scripts_are_drawn_without_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    fig, ax = figure()
    names = ["カート", "购物车", "장바구니", "عربة", "รถเข็น", "🛒"]
    dots(ax, names, np.arange(6), np.arange(6) - 1, np.arange(6) + 1)
    finish(fig, ALT)
    assert caplog.text == ""


def contrast(one: str, other: str = "#ffffff") -> float:
    """WCAG 2 contrast ratio of two colours."""

    def light(colour: str) -> float:
        parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [p / 12.92 if p <= 0.03928 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    high, low = sorted([light(one), light(other)], reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("colour", [figures.INK, figures.ACCENT, figures.WARM])
def test_text_colours_can_be_read_on_white(colour: str) -> None:
    assert contrast(colour) >= 4.5


def test_the_colours_are_all_different() -> None:
    assert len(set(figures.COLOURS)) == len(figures.COLOURS) == 8


def test_what_stands_for_a_figure_says_why_there_is_none() -> None:
    assert figures.nothing("Faults").alt == "Faults: too few customers for a figure."
    assert figures.nothing("Faults", "No event is at fault.").alt == "Faults: No event is at fault."
