"""What a score is depends on its scale, and a scale that gives none is named."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.stats.proportion import proportion_confint

import cxlib as cx
from cxlib.__main__ import _about
from cxlib.collection import summary
from cxlib.errors import CxValueError
from cxlib.report.cells import fit
from cxlib.report.sources import generate
from cxlib.voice import asked, csat, scores


def study(values, low, high, question="csat", **more):
    """One answer a customer."""
    frame = pd.DataFrame(
        {
            "response_id": range(len(values)),
            "customer_id": [f"c{i}" for i in range(len(values))],
            "ts": pd.Timestamp("2026-01-01"),
            "question": question,
            "score": np.asarray(values, dtype=float),
            "scale_min": low,
            "scale_max": high,
        }
    )
    return cx.open_study({"surveys": frame.assign(**more)})


@pytest.mark.parametrize(
    ("low", "high", "values", "share"),
    [
        (1, 4, [4, 3, 2, 1], 0.5),
        (1, 5, [5, 4, 3, 3], 0.5),
        (0, 10, [10, 9, 8, 0], 0.5),
        (0, 1, [1, 0, 0, 0], 0.25),
    ],
)
def test_satisfied_are_the_top_two_boxes_and_of_a_scale_of_two_the_top_one(low, high, values, share):
    assert csat(values, low, high).estimate == pytest.approx(share)
    result = scores(study(values * 5, low, high), by=None, question="csat")
    assert result.table()["estimate"].iloc[0] == pytest.approx(share)
    assert ("top box" in result.measure) == (high - low == 1)
    assert result.unit == "share"


@pytest.mark.parametrize(("low", "high"), [(0, 100), (1, 3), (0, 4.5)])
def test_satisfaction_on_any_other_scale_is_its_mean(low, high):
    values = np.linspace(low, high, 20)
    result = scores(study(values, low, high), "csat", by=None)
    assert result.unit == "scale"
    assert f"on its scale of {low:g} to {high:g}" in result.measure
    assert result.table()["estimate"].iloc[0] == pytest.approx(values.mean())
    with pytest.raises(CxValueError, match=f"scale of {low:g} to {high:g} has no top boxes"):
        csat(values, low, high)


@pytest.mark.parametrize("low", [0, 1])
def test_net_promoters_on_ten_points_are_counted_by_the_published_cuts(low):
    values = [10, 9, 8, 7, 7, 6, 6, 5, 9, 1]  # three promoters, four detractors
    table = scores(study(values * 2, low, 10, "nps"), by=None).table()
    assert table["estimate"].iloc[0] == pytest.approx(-10)


@pytest.mark.parametrize(("low", "high"), [(0, 100), (1, 5), (-1, 10)])
def test_net_promoters_on_another_scale_are_refused_by_name_and_passed_over_in_the_summary(low, high):
    opened = study([low, high] * 10, low, high, "nps")
    with pytest.raises(CxValueError, match=f"on the scale {low:g} to {high:g}"):
        scores(opened, "nps", by=None)
    assert asked(opened) == []
    assert "promoter" not in str(summary(opened))


def test_scores_of_several_scales_are_not_averaged():
    opened = study([5, 5, 7, 7] * 5, 1, [5, 5, 7, 7] * 5, "ces")
    with pytest.raises(CxValueError, match="`ces` was answered on the scale 1 to 5 and 1 to 7"):
        scores(opened, "ces", by=None)


def test_nobody_answered_leaves_nothing_to_ask_for():
    assert asked(study([np.nan] * 3, 1, 5)) == []


@given(st.lists(st.integers(1, 7), min_size=2, max_size=40))
@settings(deadline=None, max_examples=25)
def test_the_interval_of_a_mean_stays_inside_its_scale_and_holds_it(values):
    row = scores(study(values, 1, 7, "ces"), "ces", by=None).table().iloc[0]
    assert row["estimate"] == pytest.approx(np.mean(values))
    assert 1 <= row["low"] <= row["estimate"] + 1e-9
    assert row["estimate"] - 1e-9 <= row["high"] <= 7
    assert row["low"] < row["high"]  # answers that agree are not certainty


def test_the_interval_of_a_large_sample_is_the_textbook_one():
    values = np.tile([2.0, 4.0, 5.0, 6.0], 500)
    row = scores(study(values, 1, 7, "ces"), "ces", by=None).table().iloc[0]
    reach = 1.96 * values.std(ddof=1) / np.sqrt(len(values))
    assert (row["low"], row["high"]) == pytest.approx((4.25 - reach, 4.25 + reach), abs=0.002)


def test_a_mean_at_the_end_of_its_scale_has_wilsons_interval():
    row = scores(study([7.0] * 2000, 1, 7, "ces"), "ces", by=None).table().iloc[0]
    low = proportion_confint(2000, 2000, method="wilson")[0]
    assert (row["low"], row["high"]) == (pytest.approx(1 + 6 * low, abs=1e-3), 7)


def test_sections_about_scores_are_left_out_where_nobody_answered():
    source = Path(__file__).parents[2] / "notebooks" / "src" / "01_data_collection.py"
    book = generate(source)
    answered, silent = (_about(study([value] * 20, 1, 5))[1] for value in (4.0, np.nan))
    assert "answers" in answered
    assert "answers" not in silent
    left_out = [str(section) for section in fit(book, silent)[1]]
    assert "How do customers feel, and about what? (needs survey answers)" in left_out
    assert not any("survey answers" in str(section) for section in fit(book, answered | {"truth"})[1])
    code = "\n".join(cell.source for cell in fit(book, silent)[0].cells if cell.cell_type == "code")
    assert "asked[0]" not in code.split("asked = cx.voice.asked(study) if")[0]
