"""Listening: bursts in worlds whose volume is known, reasons against plain counts, what engages against a planted effect."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats as distributions

import cxlib as cx
from cxlib import stats
from cxlib.errors import CxLookupError, CxValueError
from cxlib.text import plots
from cxlib.text.comments import Comments
from cxlib.text.listening import DAY, engagement, expected, mentions, reasons, telling
from cxlib.text.slopes import differences
from tests import harness

START = 16_000 * DAY


def posts(people: np.ndarray, seconds: int = DAY, **columns: Any) -> cx.Study:
    """A study in which that many people speak about each group (row) in each stretch (column)."""
    group, bin_ = np.divmod(np.repeat(np.arange(people.size), people.ravel()), people.shape[1])
    return study(
        pd.to_datetime(START + bin_ * seconds + 60, unit="s"),
        touchpoint=pd.Series(group).map(lambda number: f"brand {number}"),
        **columns,
    )


def study(ts: Any, **columns: Any) -> cx.Study:
    n = len(ts)
    frame = {"response_id": [f"r{k}" for k in range(n)], "ts": ts, "question": "mood", "score": 1.0}
    frame |= {"scale_min": 0, "scale_max": 2} | columns
    return cx.open_study({"surveys": pd.DataFrame(frame)}, time_zone="UTC")


def steady(seed: int, groups: int, stretches: int, a_day: int, spread: float) -> np.ndarray:
    """Counts that nothing happens to: levels of 10 to 200, a day's profile, more spread than Poisson."""
    rng = np.random.default_rng(seed)
    level = np.exp(rng.uniform(np.log(10), np.log(200), groups))[:, None]
    day = np.exp(np.sin(2 * np.pi * (np.arange(stretches) % a_day) / a_day)) if a_day > 1 else 1.0
    return rng.poisson(level * day * rng.gamma(1 / spread, spread, (groups, stretches)))


def flagged(counts: np.ndarray, seconds: int) -> np.ndarray:
    usual, phi = expected(counts.astype(float), START + np.arange(counts.shape[1]) * seconds, seconds)
    p = distributions.nbinom.sf(counts - 1, usual / (phi - 1), 1 / phi)
    return stats.benjamini_hochberg(p.ravel()).reshape(p.shape) < 0.05


@pytest.mark.parametrize(("stretches", "a_day", "spread"), [(14, 1, 0.05), (60, 1, 0.1), (56, 4, 0.05)])
def test_where_nothing_happens_at_most_one_world_in_twenty_has_a_burst(
    base_seed: int, stretches: int, a_day: int, spread: float
) -> None:
    worlds = [
        flagged(steady(base_seed + seed, 6, stretches, a_day, spread), DAY // a_day) for seed in range(60)
    ]
    false = sum(bool(world.any()) for world in worlds)
    assert distributions.binomtest(false, len(worlds), 0.05, alternative="greater").pvalue > 0.001


def test_a_tripling_for_three_days_is_found_in_most_worlds_and_where_it_is(base_seed: int) -> None:
    found = 0
    for seed in range(40):
        counts = steady(base_seed + seed, 6, 30, 1, 0.03)
        counts[2, 11:14] *= 3
        hit = flagged(counts, DAY)
        found += hit[2, 11:14].any()
    assert found >= 32


def test_the_usual_number_does_not_move_with_the_burst_it_is_compared_with() -> None:
    counts = np.full((3, 20), 50.0)
    counts[0, 7] = 5_000
    usual, _ = expected(counts, START + np.arange(20) * DAY, DAY)
    assert (usual == 50).all()


def test_a_burst_is_named_with_its_people_and_stretches_that_follow_each_other_are_one() -> None:
    people = np.full((2, 20), 40)
    people[1, 5:7] = 200
    result = mentions(posts(people))
    bursts = result.bursts()
    assert bursts[["touchpoint", "customers", "usual"]].to_numpy().tolist() == [["brand 1", 400, 80.0]]
    assert bursts.loc[0, "until"] - bursts.loc[0, "ts"] == pd.Timedelta(days=2)
    assert bursts.loc[0, "low"] < bursts.loc[0, "estimate"] == 5 < bursts.loc[0, "high"]
    assert "1 burst over 2 groups" in result.claim()
    assert "brand 1" in plots.mention_ridges(result).alt


def test_one_who_posts_forty_times_is_one() -> None:
    loud = posts(np.full((1, 12), 30))
    frame = loud.fetch(loud.table("surveys"))
    again = frame.iloc[[0]].assign(customer_id="loud").loc[np.zeros(40, int)]
    again["response_id"] = [f"again {k}" for k in range(40)]
    result = mentions(cx.open_study({"surveys": pd.concat([frame, again])}))
    assert result.table()["customers"].tolist() == [31] + [30] * 11
    assert result.table()["n"].tolist() == [70] + [30] * 11
    assert not len(result.bursts())
    assert "In none of 12 stretches" in result.claim()


def test_a_group_heard_of_late_was_not_silent_before_and_a_short_one_is_not_judged() -> None:
    people = np.full((2, 20), 40)
    people[1, :15] = 0
    result = mentions(posts(people)).table()
    late = result[result["touchpoint"] == "brand 1"]
    assert len(late) == 5
    assert late["usual"].isna().all()


def test_stretches_that_no_week_is_made_of_have_no_week(base_seed: int) -> None:
    counts = steady(base_seed, 2, 40, 1, 0.05)
    usual, phi = expected(counts.astype(float), START + np.arange(40) * 2 * DAY, 2 * DAY)
    assert np.allclose(usual, np.median(counts, axis=1)[:, None])
    assert (phi > 1).all()


def test_a_figure_of_stretches_with_few_people_says_too_few() -> None:
    assert "too few" in plots.mention_ridges(mentions(posts(np.full((2, 12), 3)))).alt


@pytest.mark.parametrize("every", ["5 h", "36 h", "soon", "-1 D"])
def test_a_stretch_that_is_no_part_of_a_day_nor_whole_days_is_refused(every: str) -> None:
    with pytest.raises(CxValueError, match="'1 h', '6 h', '1 D'"):
        mentions(posts(np.full((1, 3), 2)), every=every)


def test_a_column_that_is_not_there_is_named_with_what_is() -> None:
    with pytest.raises(CxLookupError, match=r"no column `resaon`.*`reason`") as said:
        reasons(posts(np.full((1, 3), 2), reason="late"), "resaon")
    assert "group_" not in str(said.value)


# --- reasons -----------------------------------------------------------------------------------


def test_shares_of_reasons_are_the_plain_counts_and_sum_to_one() -> None:
    given = study(
        pd.date_range("2026-01-01", periods=100), reason=["late"] * 60 + ["lost"] * 30 + [None] * 10
    )
    table = reasons(given).table()
    assert table["estimate"].round(9).tolist() == [round(60 / 90, 9), round(30 / 90, 9)]
    low, high = (float(end) for end in stats.wilson(60, 90, df=89)[1:3])
    assert table.loc[0, ["low", "high"]].tolist() == pytest.approx([low, high], abs=1e-9)
    assert "Of 90 with a reason" in reasons(given).claim()


def test_a_reason_that_one_group_has_more_often_is_marked_and_alike_groups_are_not(base_seed: int) -> None:
    rng = np.random.default_rng(base_seed)
    group = rng.integers(0, 3, 3_000)
    reason = np.where(rng.random(3_000) < np.where(group == 1, 0.5, 0.2), "late", "rude")
    given = study(
        pd.date_range("2026-01-01", periods=3_000, freq="h"),
        reason=reason,
        touchpoint=pd.Series(group).map(str),
    )
    result = reasons(given, by="touchpoint")
    table = result.table().set_index(["touchpoint", "reason"])
    assert table.loc[("1", "late"), "q"] < 0.001
    assert table.loc[("1", "late"), "ratio"] == pytest.approx(2.5, abs=0.8)
    assert "late at 1" in result.claim()
    assert "late at 1" in plots.reason_dots(result).alt


def test_a_reason_that_is_no_reason_but_a_script_or_an_address_is_shown_as_harmless_text() -> None:
    names = ["<script>alert(1)</script>"] * 30 + ["write to anna@example.com"] * 30 + ["\u202eevil"] * 30
    given = study(pd.date_range("2026-01-01", periods=90), reason=names, touchpoint=["<b>x</b>", "y"] * 45)
    for result in (reasons(given), reasons(given, by="touchpoint"), mentions(given)):
        shown = result._repr_mimebundle_()["text/html"] + result.claim()._repr_markdown_()
        assert "<script>" not in shown
        assert "<b>x" not in shown
        assert "anna@" not in shown
    assert "anna@" not in plots.reason_dots(reasons(given)).alt


def test_a_doubtful_label_counts_for_as_much_as_its_confidence() -> None:
    sure = study(pd.date_range("2026-01-01", periods=40), reason=["late"] * 20 + ["lost"] * 20, sure=[1.0] * 20 + [0.5] * 20)  # fmt: skip
    table = reasons(sure, weight="sure").table().set_index("reason")
    assert table.loc["late", "estimate"] == pytest.approx(2 / 3)


def test_the_reasons_named_are_in_the_order_of_their_shares() -> None:
    # given by fewer people, but more often
    times, persons = [*range(40), *[0, 1, 2] * 5, *range(12)], [*range(40), *range(100, 110), *[110] * 5]
    persons += [*range(200, 212)]
    names = ["late"] * 40 + ["rude"] * 15 + ["lost"] * 12
    when = pd.Timestamp("2026-01-01") + pd.to_timedelta(times, unit="D")
    given = study(when, reason=names, customer_id=[f"c{one}" for one in persons])
    claim = reasons(given).claim()
    assert claim.index("late (") < claim.index("rude (") < claim.index("lost (")


def test_a_column_that_is_empty_has_no_reasons() -> None:
    with pytest.raises(CxLookupError, match="No row of surveys has a `reason`"):
        reasons(study(pd.date_range("2026-01-01", periods=6), reason=None))
    with pytest.raises(CxLookupError, match="No row of surveys has a `stage`"):
        mentions(study(pd.date_range("2026-01-01", periods=6)), by="stage")


def test_free_text_is_no_column_of_reasons() -> None:
    with pytest.raises(CxValueError, match=r"60 different values, more than 50: it is free text"):
        reasons(study(pd.date_range("2026-01-01", periods=60), reason=[f"because {k}" for k in range(60)]))


# --- the words that tell ----------------------------------------------------------------------


def said(texts: list[str], writers: list[str] | None = None) -> Comments:
    writers = writers or [f"w{k}" for k in range(len(texts))]
    return Comments(pd.DataFrame({"comment": texts, "person": writers}))


def test_the_words_that_tell_are_those_more_of_the_writers_use_and_masks_are_no_words() -> None:
    given = said(["parcel came late [handle]"] * 40 + ["parcel came fine [handle]"] * 60)
    table = telling(given, given.frame["comment"].str.contains("late")).table()
    assert table[["word", "customers", "n", "estimate", "others"]].to_numpy().tolist() == [
        ["late", 40, 40, 1.0, 0.0]
    ]


def test_a_word_that_one_person_says_a_hundred_times_tells_nothing() -> None:
    given = said(["refund now"] * 100 + ["hello there"] * 50, ["loud"] * 100 + [f"w{k}" for k in range(50)])
    loud = given.frame["comment"].str.contains("refund")
    assert len(telling(given, loud).table()) == 0


def test_where_the_words_have_nothing_to_tell_at_most_one_world_in_twenty_hears_one(base_seed: int) -> None:
    rng = np.random.default_rng(base_seed)
    word = np.array([f"word{k:02d}" for k in range(60)])
    chance = 0.9 / np.arange(1, 61)
    heard = 0
    for _ in range(60):
        given = said([" ".join(word[rng.random(60) < chance]) or "nothing" for _ in range(400)])
        heard += len(telling(given, pd.Series(rng.random(400) < 0.1)).table()) > 0
    assert distributions.binomtest(heard, 60, 0.05, alternative="greater").pvalue > 0.001


def test_in_a_script_without_spaces_pairs_of_characters_tell() -> None:
    given = said(["房间很好"] * 40 + ["服务太差"] * 40)
    words = telling(given, given.frame["comment"].str.contains("差")).table()["word"]
    assert "太差" in set(words)
    with pytest.raises(CxValueError, match="marks all comments, or none"):
        telling(given, given.frame["comment"].notna())


# --- what engages ------------------------------------------------------------------------------


def spread(seed: int) -> pd.DataFrame:
    """Links are passed on 20 points oftener; numbers go with links and do nothing themselves."""
    rng = np.random.default_rng(seed)
    writer = rng.integers(0, 700, 1_500)
    link = rng.random(1_500) < np.where(writer % 3 == 0, 0.6, 0.2)
    digit = rng.random(1_500) < np.where(link, 0.7, 0.2)
    # Some writers are heard more than others: their tweets resemble each other.
    heard = np.clip(0.1 + 0.2 * link + rng.normal(0, 0.05, 700)[writer], 0, 1)
    frame = pd.DataFrame({"has a link": link, "has a number": digit, "passed": rng.random(1_500) < heard})
    return frame.assign(writer=pd.Series(writer).map(lambda one: f"w{one}"))


def told(frame: pd.DataFrame) -> cx.Study:
    text = np.where(frame["has a link"], "see https://x.y ", "see ").astype(object)
    return study(
        pd.date_range("2026-01-01", periods=len(frame), freq="min"),
        comment=text + np.where(frame["has a number"], "flight 9", "flight").astype(object),
        customer_id=frame["writer"],
        retweets=frame["passed"].astype(int),
        score=np.nan,
    )


def engaged(seed: int) -> pd.DataFrame:
    frame = spread(seed)
    has, fold = frame[["has a link", "has a number"]], stats.folds_of(frame["writer"])
    _, together = differences(frame["passed"].to_numpy(float), has.to_numpy(float), fold)
    named = {"result": has.columns, "feature": has.columns, **together.columns()}
    return pd.DataFrame({**named, "truth": [0.2, 0.0], "expected": 100.0})


def test_the_planted_difference_is_covered_and_what_only_goes_along_is_not_blamed() -> None:
    covered = harness.coverage(engaged, 200)
    assert not covered.rejects(0.92, 0.97)
    alone = engagement(told(spread(0))).table().set_index("feature").loc["has a number"]
    assert alone["alone"] > 0.05
    assert alone["q"] > 0.05


def test_what_engages_is_called_what_goes_together(base_seed: int) -> None:
    result = engagement(told(spread(base_seed)))
    assert "has a link" in result.claim()
    assert "only an experiment says" in result.claim()
    assert result.table()["customers"].min() >= 30
    assert "has a link" in plots.engagement_dots(result).alt
    assert "[handle]" not in set(result.table()["feature"])


def test_a_column_that_holds_no_numbers_is_refused() -> None:
    given = study(
        pd.date_range("2026-01-01", periods=3), comment="so", retweets=["many", "few", "none"], reason="x"
    )
    with pytest.raises(CxValueError, match="`retweets` of surveys holds no numbers"):
        engagement(given)
    with pytest.raises(CxValueError, match="`comment` of surveys holds no numbers"):
        reasons(given, weight="comment")


def test_texts_without_an_outcome_are_refused_in_words() -> None:
    silent = study(pd.date_range("2026-01-01", periods=3), comment=None, retweets=[0, 1, 2])
    with pytest.raises(CxLookupError, match="No text has retweets beside it"):
        engagement(silent)
