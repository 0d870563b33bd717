"""Plots take results, show what they say, and cannot be made without alt text."""

from __future__ import annotations

import pytest

import cxlib as cx
from cxlib.collection import plots, quality


@pytest.fixture(scope="module")
def demo():
    return cx.open_study("demo")


@pytest.mark.parametrize(
    ("draw", "says"),
    [
        (lambda study: plots.volume_lines(quality(study)), "Events a month in 8 channels"),
        (lambda study: plots.fault_dots(quality(study).faults), "Events at fault, with intervals"),
        (lambda study: plots.drift_dots(quality(study).drift), "What differs between the halves"),
        (lambda study: plots.identity_bars(quality(study).identity), "the events of 8 channels"),
    ],
)
def test_a_plot_is_a_png_with_alt_text_that_names_what_it_shows(demo, draw, says):
    shown = draw(demo)
    assert shown.png.startswith(b"\x89PNG")
    assert says in shown.alt
