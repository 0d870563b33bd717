"""What is shown of a result: no small cell, nothing unescaped, numbers as people read them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cxlib import results
from cxlib.results import Claim, Result, Summary, bundle, nice, number, percent, readable, show, visible


def table(**columns: object) -> pd.DataFrame:
    base = {
        "channel": ["web", "app"],
        "estimate": [0.5, 0.25],
        "low": [0.4, 0.2],
        "high": [0.6, 0.3],
        "n": [10, 9],
    }
    return pd.DataFrame(base | columns)


# --- small cells ------------------------------------------------------------------------------------


@pytest.mark.parametrize("column", ["n", "customers", "count"])
def test_a_row_on_fewer_than_ten_is_in_no_form_of_the_display(column: str) -> None:
    frame = table(**({"n": [100, 100]} | {column: [10, 9]}))
    shown = bundle(frame)
    for form in ("text/html", "text/csv", "text/plain"):
        assert "web" in shown[form]
        assert "app" not in shown[form], form
    assert "1 row that rests on fewer than 10 not shown" in shown["text/html"].lower()


def test_a_table_without_a_size_is_shown_whole() -> None:
    frame = table().drop(columns="n")
    assert len(visible(frame)) == 2
    assert "not shown" not in show(frame)


def test_the_minimum_is_a_parameter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXLIB_MINIMUM", "9")
    assert len(visible(table())) == 2
    monkeypatch.setenv("CXLIB_MINIMUM", "11")
    assert len(visible(table())) == 0
    monkeypatch.delenv("CXLIB_MINIMUM")
    assert results.minimum() == results.MINIMUM == 10


def test_the_table_itself_is_whole_and_untouched() -> None:
    frame = table()
    before = frame.copy()
    bundle(frame)
    pd.testing.assert_frame_equal(frame, before)


@given(st.lists(st.integers(0, 30), max_size=30))
def test_no_small_cell_survives_whatever_the_sizes(sizes: list[int]) -> None:
    frame = pd.DataFrame({"key": [f"k{i}" for i in range(len(sizes))], "n": pd.Series(sizes, dtype=int)})
    kept = set(visible(frame)["key"])
    assert kept == {f"k{i}" for i, size in enumerate(sizes) if size >= 10}


PARTS = pd.DataFrame(
    {"key": [*"abcd"], "estimate": [0.05, 0.15, 0.3, 0.5], "count": [5, 15, 30, 50], "n": 100}
)


def test_a_part_of_a_whole_is_never_the_only_one_hidden() -> None:
    assert visible(PARTS)["key"].tolist() == ["b", "c", "d"]
    assert visible(PARTS, ())["key"].tolist() == ["c", "d"]
    shown = bundle(PARTS, whole=())
    assert "15" not in shown["text/csv"]
    assert "or would give such a row away" in shown["text/html"]
    assert "give such a row away" not in bundle(PARTS)["text/html"]


def test_two_hidden_parts_do_not_follow_from_the_rest_and_none_needs_no_company() -> None:
    assert visible(PARTS.assign(count=[5, 9, 36, 50]), ())["key"].tolist() == ["c", "d"]
    assert visible(PARTS.assign(count=[15, 15, 20, 50]), ())["key"].tolist() == [*"abcd"]


def test_parts_are_hidden_within_their_own_whole_and_the_row_of_all_is_no_part() -> None:
    two = pd.concat([PARTS.assign(of="x"), PARTS.assign(of="y", count=[20, 20, 20, 40])], ignore_index=True)
    assert visible(two, ("of",)).groupby("of").size().to_dict() == {"x": 2, "y": 4}
    whole = pd.DataFrame({"key": ["(all)"], "estimate": [1.0], "count": [100], "n": [100]})
    assert visible(pd.concat([whole, PARTS], ignore_index=True), ())["key"].tolist() == ["(all)", "c", "d"]


@given(st.lists(st.integers(0, 40), min_size=1, max_size=12))
def test_whatever_is_hidden_cannot_be_told_from_the_rest(sizes: list[int]) -> None:
    frame = pd.DataFrame({"key": [f"k{i}" for i in range(len(sizes))], "count": sizes})
    shown = visible(frame, ())
    hidden = frame.drop(shown.index)
    assert len(hidden) != 1 or not shown["count"].gt(0).any()
    assert hidden["count"].gt(0).all()


def test_a_result_says_how_it_is_displayed() -> None:
    @dataclass(frozen=True)
    class Spread(Result):
        SHARES = ("estimate",)
        ROWS = 1
        WHOLE = ()

        def table(self) -> pd.DataFrame:
            return PARTS

        def shown(self) -> pd.DataFrame:
            return self.table().sort_values("estimate", ascending=False).drop(columns="n")

    assert Spread().visible()["key"].tolist() == ["c", "d"]
    html = Spread()._repr_mimebundle_()["text/html"]
    assert f'>d</td><td class="number">{percent(0.5)}</td>' in html
    assert "the first 1 of 2 rows" in html


# --- escaping ---------------------------------------------------------------------------------------

HOSTILE = "<script>alert('x')</script>&\"<img src=x onerror=y>"


def test_nothing_is_shown_unescaped_in_a_cell_a_header_or_a_claim() -> None:
    frame = pd.DataFrame({HOSTILE: [HOSTILE], "n": [50]})
    for text in (show(frame), Claim(HOSTILE)._repr_markdown_(), Summary((HOSTILE,))._repr_markdown_()):
        assert "<script" not in text
        assert "<img" not in text
        assert "&lt;script" in text


# --- the table --------------------------------------------------------------------------------------


def test_a_long_table_says_how_much_is_left_out() -> None:
    frame = pd.DataFrame({"key": range(30), "n": 100})
    assert "first 12 of 30 rows" in show(frame, rows=12)
    assert show(frame, rows=12).count("<tr>") == 13
    assert "of 30" not in show(frame, rows=30)


def test_an_empty_table_is_said_to_be_empty() -> None:
    shown = bundle(table().head(0))
    assert "Nothing to show." in shown["text/html"]
    assert shown["text/csv"].strip() == "channel,estimate,low,high,n"


def test_headers_have_a_scope_and_none_is_empty() -> None:
    html = show(table(n=[50, 50]))
    assert html.count('scope="col"') == html.count("<th ")
    assert "<th></th>" not in html
    assert '<th scope="col"></th>' not in html


def test_low_and_high_become_one_interval() -> None:
    frame = readable(table(), shares=("estimate", "low", "high"))
    assert list(frame) == ["channel", "estimate", "interval", "n"]
    assert frame["interval"][0] == f"40.0 to {percent(0.6)}"


def test_what_is_missing_is_a_dash_and_yes_is_yes() -> None:
    frame = pd.DataFrame(
        {"a": [None], "b": [np.nan], "c": [pd.NaT], "d": [True], "e": [pd.NA], "f": [np.inf]}
    )
    html = show(frame)
    assert html.count('<td class="empty">-</td>') == 4
    assert "<td" in html
    assert ">yes<" in html
    assert "nan" not in html.lower().replace("nat", "")


def test_a_result_must_say_what_its_table_and_claim_are() -> None:
    @dataclass(frozen=True)
    class Nothing(Result):
        pass

    with pytest.raises(NotImplementedError):
        Nothing().table()
    with pytest.raises(NotImplementedError):
        Nothing().claim()


def test_a_claim_is_text_that_shows_as_itself() -> None:
    claim = Claim("Half of them leave.")
    assert claim == "Half of them leave."
    assert repr(claim) == str(claim) == "Half of them leave."
    assert claim._repr_markdown_() == "**Half of them leave.**"


# --- numbers ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (0.0, "0"),
        (1.0, "1.00"),
        (9.996, "10.00"),
        (31.04, "31.0"),
        (100.4, "100"),
        (12345.6, "12,346"),
        (-12345.6, "-12,346"),
        (0.1234, "0.123"),
        (float("nan"), "-"),
        (float("inf"), "-"),
    ],
)
def test_numbers_are_rounded_for_reading(value: float, said: str) -> None:
    assert number(value) == said


@pytest.mark.parametrize(("value", "said"), [(0.0794, "7.9"), (1.0, "100.0"), (0.0, "0.0"), (0.97, "97.0")])
def test_shares_are_per_cent(value: float, said: str) -> None:
    assert percent(value).removesuffix("%").strip() == said
    assert percent(float("nan")) == "-"


@given(st.floats(allow_nan=True, allow_infinity=True))
def test_any_number_can_be_said(value: float) -> None:
    assert number(value)
    assert "e" not in number(value) or abs(value) >= 1e16


def test_names_are_said_without_underscores() -> None:
    assert nice("web_product_page") == "web product page"
    assert nice(3) == "3"


class Told(results.Framed):
    """Says its first key."""

    def told(self, shown: pd.DataFrame) -> str:
        return str(shown.iloc[0, 0])


@pytest.mark.parametrize(
    ("keys", "sizes", "says"),
    [
        ([], [], results.TOO_FEW),
        (["a", "b"], [3, 4], results.TOO_FEW),
        (["a", "b"], [3, 40], "b"),
        (["(all)", "b"], [43, 40], "(all)"),
        (["(all)", "b"], [9, 40], results.TOO_FEW),
    ],
)
def test_nothing_is_said_of_rows_that_may_not_be_shown_nor_of_groups_whose_whole_is_hidden(
    keys: list[str], sizes: list[int], says: str
) -> None:
    assert Told(pd.DataFrame({"key": keys, "n": sizes})).claim() == says
