"""The index tells one story: findings in the order of the walk, what to do next, and a part for each team."""

from __future__ import annotations

import re

import pytest
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from cxlib.report import About, html, overview
from cxlib.report.cells import TEAMS
from cxlib.report.html import Page
from cxlib.results import Claim, Summary

ABOUT = About("tiny", "A tiny study", {"licence": "CC0"})
EVIL = '<script>alert("x")</script>'


def said(what: Claim | Summary, *tags: str) -> NotebookNode:
    """A code cell that displays a claim or a summary."""
    data = {"text/plain": repr(what), "text/markdown": what._repr_markdown_()}
    output = new_output("execute_result", data=data, execution_count=1)
    return new_code_cell("x", outputs=[output], metadata={"tags": list(tags)})


def chapter(name: str, *cells: NotebookNode) -> Page:
    return html.page(name, new_notebook(cells=[new_markdown_cell(f"# What of {name[3:]}?"), *cells]), ABOUT)


def section(written: str, name: str) -> str:
    """What stands under the heading with this id, to the next section."""
    return written.partition(f'id="{name}"')[2].partition("</section>")[0]


def test_the_first_line_of_a_summary_is_the_headline_and_the_last_says_what_to_do() -> None:
    summary = Summary(("Half of them leave.", "Most of them at the till.", "Next: look at the till."))
    written = overview.index([chapter("03_paths", said(summary, "summary"))], ABOUT)
    assert '<p class="headline">Half of them leave.</p>' in written
    article = written[written.index("<article") : written.index("</article>")]
    assert "<li>Most of them at the till.</li>" in article
    assert "look at the till" not in article
    advice = section(written, "next")
    assert "Look at the till." in advice
    assert '<a href="03_paths.html">chapter 3</a>' in advice
    assert written.count("look at the till") + written.count("Look at the till") == 1


def test_chapters_stand_in_the_order_of_the_walk_with_those_left_out_named_in_their_place() -> None:
    absent = Page("04_trials", "What to whom?", absent="needs the table exposures")
    pages = [chapter("03_paths"), absent, chapter("05_money")]
    written = overview.index(pages, ABOUT)
    places = [written.index(text) for text in ("What of paths?", "What to whom?", "What of money?")]
    assert places == sorted(places)
    assert "Not in this report: needs the table exposures." in written
    assert "04_trials.html" not in written


def test_the_chapter_on_the_data_stands_at_the_foot() -> None:
    start = chapter("00_start", said(Summary(("It has 6 tables.", "It is simulated.")), "summary"))
    written = overview.index([start, chapter("01_who")], ABOUT)
    assert written.count("<article") == 1
    assert "<li>It has 6 tables.</li>" in section(written, "data")
    assert 'href="00_start.html"' in section(written, "data")


def test_a_team_gets_the_claims_tagged_for_it_each_with_a_link_to_its_section() -> None:
    page = chapter(
        "03_paths",
        new_markdown_cell("## Who calls, & *why*?"),
        said(Claim("Nine call."), "claim", "service", "finance"),
        said(Claim("Nobody's."), "claim"),
    )
    written = overview.index([page], ABOUT)
    link = 'Nine call. <a href="03_paths.html#who-calls-why">Who calls, &amp; why?</a>'
    for team in TEAMS:
        assert (link in section(written, team)) == (team in ("service", "finance"))
    assert 'id="who-calls-why"' in page.html
    assert "Nobody" not in written


def test_a_team_without_claims_has_no_section_and_without_any_there_is_no_heading() -> None:
    page = chapter("03_paths", said(Claim("Nine call."), "claim", "service"))
    written = overview.index([page], ABOUT)
    assert re.findall(r"<h3 [^>]*>(\w+)</h3>", written) == ["Service"]
    assert "For your team" not in overview.index([chapter("03_paths", said(Claim("x"), "claim"))], ABOUT)


@pytest.mark.parametrize("tags", [("claim", "marketing"), ("summary",)])
def test_what_customers_type_is_escaped_on_the_index(tags: tuple[str, ...]) -> None:
    what = Summary((EVIL, EVIL, f"Next: {EVIL}")) if "summary" in tags else Claim(EVIL)
    page = chapter("03_paths", new_markdown_cell(f"## Hm {EVIL}"), said(what, *tags))
    assert "<script" not in overview.index([page], ABOUT)


def test_an_interval_stands_back_and_other_brackets_do_not() -> None:
    line = "It is 39.6 (35.9 to 43.1), lowest (top two boxes) at -15.9 (-23.4 to -8.2); 3 of 6 (n = 30)."
    page = chapter("01_who", said(Summary((line,)), "summary"))
    found = re.findall(r'<span class="range">(.*?)</span>', overview.index([page], ABOUT))
    assert found == ["(35.9 to 43.1),", "(-23.4 to -8.2);"]


def test_headlines_are_plain_text_of_the_chapters_that_found_something() -> None:
    found = chapter("02_kinds", said(Summary(("1 < 2 & 38 % buy.", "More.")), "summary"))
    only_advice = chapter("03_paths", said(Summary(("Next: ask.",)), "summary"))
    start = chapter("00_start", said(Summary(("It has 6 tables.",)), "summary"))
    shown = overview.headlines([start, found, only_advice, chapter("04_trials")])
    assert shown == (("2", "What of kinds?", "1 < 2 & 38 % buy."),)


def test_a_summary_that_is_no_list_is_shown_as_it_is() -> None:
    output = new_output("display_data", data={"text/markdown": "It all *went well*."})
    cell = new_code_cell("x", outputs=[output], metadata={"tags": ["summary"]})
    assert "It all <em>went well</em>." in overview.index([chapter("01_who", cell)], ABOUT)


def test_a_deep_dive_is_a_link_in_its_chapter_and_a_chapter_only_without_it():
    chapter = Page("01_data", "What do we know?", summary="<ul><li>Much.</li></ul>")
    dive = Page("01a_identity", "Who is who?", summary="<ul><li>Half of them.</li></ul>")
    both = overview.index([chapter, dive], About("tiny", "A tiny study"))
    assert 'More: <a href="01a_identity.html">Who is who?</a>' in both
    assert both.count('<article class="step') == 1
    assert overview.index([dive], About("tiny", "A tiny study")).count('<article class="step') == 1
