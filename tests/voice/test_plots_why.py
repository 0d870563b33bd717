"""Pictures of why: each a PNG with alt text that names what it shows, nothing where customers are too few."""

from __future__ import annotations

import pandas as pd
import pytest

import cxlib as cx
from cxlib.voice import plots


@pytest.fixture(scope="module")
def demo():
    return cx.open_study("demo")


THEMES = pd.DataFrame(
    {"person": range(60), "stage": "retention", "dimension": "ease", "good": [0, 1, 1] * 20}
)
DRAWN = {
    "split": (
        lambda s: plots.split_bars(cx.voice.split(s, who="loyalty_tier")),
        "in steps: who answered",
    ),
    "shares": (lambda s: plots.split_bars(cx.voice.split(s, "csat")), "in steps: touchpoints met"),
    "means": (lambda s: plots.split_bars(cx.voice.split(s, "ces")), "The mean of `ces`"),
    "scorecard": (
        lambda s: plots.scorecard_grid(cx.voice.scorecard(s, THEMES)),
        "asked and behaviour and said",
    ),
    "unasked": (lambda s: plots.unasked_dots(cx.voice.unasked(s)), "Blind spots: web"),
    "drivers": (
        lambda s: plots.driver_dots(cx.voice.drivers(s, "nps")),
        "the variance of nps goes with each of 6",
    ),
}


@pytest.mark.parametrize("name", DRAWN)
def test_a_picture_of_why_is_a_png_with_alt_text(demo, name):
    draw, says = DRAWN[name]
    shown = draw(demo)
    assert shown.png.startswith(b"\x89PNG")
    assert says in shown.alt


@pytest.mark.parametrize("name", DRAWN)
def test_too_few_customers_give_no_picture(demo, name, monkeypatch):
    monkeypatch.setenv("CXLIB_MINIMUM", "100000")
    assert "too few customers" in DRAWN[name][0](demo).alt
