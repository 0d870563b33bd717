"""What goes with a theme: least squares where all is read, no blame by company, effects covered."""

from __future__ import annotations

import os

import numpy as np
import pandas as pd
import proofs_text
import pytest
import statsmodels.api as sm
from scipy.stats import binom

import cxlib as cx
from cxlib.errors import CxLookupError, CxValueError
from cxlib.results import TOO_FEW
from cxlib.text import Themes, comments, effects, plots, themes
from tests import harness

SEED = int(os.environ.get("CXLIB_SEED", "0"))


def everything_read() -> Themes:
    spoken, true = proofs_text.blame_world(SEED)
    return Themes(spoken.frame, true, true, true)


def test_where_all_is_read_it_is_least_squares_with_clustered_errors():
    spoken = everything_read()
    table = effects(spoken).table().set_index("theme").loc[spoken.names]
    model = sm.OLS(spoken.frame["place"], sm.add_constant(spoken.read))
    fit = model.fit(cov_type="cluster", cov_kwds={"groups": pd.factorize(spoken.frame["person"])[0]})
    assert table["estimate"].tolist() == pytest.approx(fit.params[1:].tolist(), abs=1e-9)
    half = ((table["high"] - table["low"]) / 2 / 2.0096).tolist()  # t, 49 degrees of freedom
    assert half == pytest.approx(fit.bse[1:].tolist(), rel=0.35)
    for name in spoken.names:
        mean = spoken.frame["place"].groupby(spoken.read[name]).mean()
        assert table.loc[name, "alone"] == pytest.approx(mean[1] - mean[0])


def test_a_theme_without_effect_is_not_blamed_for_its_company():
    """100 worlds: mentioned with a cause and without effect of its own."""
    together = alone = left_in = 0
    for seed in range(100):
        spoken, _ = proofs_text.blame_world(SEED + seed)
        table = effects(spoken).table().set_index("theme")
        row = table.loc[proofs_text.BESIDE]
        together += row["q"] < 0.05 and row["estimate"] < 0
        alone += row["alone_high"] < 0
        blind = Themes(spoken.frame, spoken.predicted, spoken.read * np.nan, spoken.predicted)
        row = effects(blind).table().set_index("theme").loc[proofs_text.BESIDE]
        left_in += row["q"] < 0.05 and row["estimate"] < 0
        assert table["q"][proofs_text.CAUSE] < 0.05
    assert together <= 10
    assert alone > 90  # by itself it is blamed nearly always
    assert left_in > binom.ppf(0.999, 100, 0.05)  # and too often where the rule's errors are left in


def test_one_theme_alone_is_not_counted_as_one_of_one():
    spoken = everything_read()
    alone = spoken.read[[proofs_text.CAUSE]]
    claim = effects(Themes(spoken.frame, alone, alone, alone)).claim()
    assert claim.startswith("The one theme goes with a lower score, than where it is not spoken of: ")


def test_the_effects_are_covered():
    assert not harness.coverage(proofs_text.effects_draw, 30).rejects(0.92, 0.97, "together")


def test_where_each_comment_has_one_theme_each_is_compared_with_all_others():
    result = effects(themes(comments(cx.open_study("demo")), ("aspect", "sentiment")))
    assert result.single
    table = result.table()
    assert (table["estimate"] == table["alone"]).all()
    lower = table[table["estimate"] < 0]["theme"]
    assert lower.str.endswith("negative").all()
    assert len(lower) == 6
    assert "than all others together" in result.claim()
    assert "associations" in result.claim()
    assert "lower score" in plots.effect_dots(result).alt or "score" in plots.effect_dots(result).alt


def test_themes_that_always_come_together_cannot_be_told_apart():
    spoken = everything_read()
    same = spoken.read.assign(twin=spoken.read[proofs_text.CAUSE])
    table = effects(Themes(spoken.frame, same, same, same)).table().set_index("theme")
    assert table.loc[["twin", proofs_text.CAUSE], "low"].isna().all()
    assert table.loc[[proofs_text.BESIDE, proofs_text.OTHER], "low"].notna().all()


def test_what_cannot_be_judged_still_counts_where_a_sample_was_read():
    spoken, _ = proofs_text.blame_world(SEED)
    blind = spoken.predicted.where(pd.Series(np.arange(len(spoken.frame)) % 5 > 0), axis=0)
    table = effects(Themes(spoken.frame, blind, spoken.read, blind)).table()
    assert (table["n"] == len(spoken.frame)).all()
    assert table.set_index("theme").loc[proofs_text.CAUSE, "high"] < 0


def test_wrong_input_is_named_and_nothing_is_said_of_few():
    spoken = everything_read()
    with pytest.raises(CxLookupError, match="Did you mean `place`"):
        effects(spoken, "plaec")
    with pytest.raises(CxValueError, match="`person` is not a number"):
        effects(spoken, "person")
    few = effects(spoken.only(pd.Series(np.arange(len(spoken.frame)) < 9)))
    assert few.claim() == TOO_FEW
    none = effects(spoken.only(pd.Series(np.zeros(len(spoken.frame), bool))))
    assert none.claim() == TOO_FEW
    assert "too few customers" in plots.effect_dots(none).alt
