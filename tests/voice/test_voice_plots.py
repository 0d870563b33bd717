"""Plots take results, show what they say, and cannot be made without alt text."""

from __future__ import annotations

import pytest

import cxlib as cx
from cxlib.voice import plots, responders, scores, stars


@pytest.fixture(scope="module")
def demo():
    return cx.open_study("demo")


@pytest.mark.parametrize(
    ("draw", "says"),
    [
        (lambda study: plots.score_dots(scores(study)), "The net promoter score for"),
        (lambda study: plots.score_dots(scores(study, "csat")), "The share of satisfied answers"),
        (lambda study: plots.score_dots(scores(study, "ces", by=None)), "The mean of `ces`"),
        (lambda study: plots.response_dots(responders(study)), "Share of customers who answered"),
        (lambda study: plots.stars_bar(stars(study)), "how answers spread over the scores: 1:"),
    ],
)
def test_a_plot_is_a_png_with_alt_text_that_names_what_it_shows(demo, draw, says):
    shown = draw(demo)
    assert shown.png.startswith(b"\x89PNG")
    assert says in shown.alt


def test_the_same_result_gives_the_same_picture(demo):
    assert plots.stars_bar(stars(demo)).png == plots.stars_bar(stars(demo)).png


def test_groups_of_few_customers_are_not_drawn(demo, monkeypatch):
    table = scores(demo).table()
    monkeypatch.setenv("CXLIB_MINIMUM", str(int(table["customers"].iloc[1:].max())))
    assert "for 1 touchpoint groups" in plots.score_dots(scores(demo)).alt
