"""A page holds everything it shows, shows everything it holds, and loads nothing."""

from __future__ import annotations

import base64
import io
import re

import matplotlib.pyplot as plt
import pandas as pd
import pytest
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from cxlib.errors import CxValueError
from cxlib.report import About, html, overview
from cxlib.report.cells import LeftOut
from cxlib.report.text import Cleaner, Contents, markdown
from cxlib.results import Claim, show

ABOUT = About("tiny", "A tiny study <of> few", {"licence": "CC0 & free", "fingerprint": "abc123"})
PIXEL = base64.b64encode(b"not really a picture").decode()
EVIL = '<script>alert("x")</script>'


def text(source: str, *tags: str) -> NotebookNode:
    return new_markdown_cell(source, metadata={"tags": list(tags)})


def code(source: str, *outputs: NotebookNode, tags: tuple[str, ...] = ()) -> NotebookNode:
    return new_code_cell(source, outputs=list(outputs), metadata={"tags": list(tags)})


def result(**data: str) -> NotebookNode:
    mimes = {mime.replace("_", "/"): value for mime, value in data.items()}
    return new_output("execute_result", data={"text/plain": "plain", **mimes}, execution_count=1)


def figure(alt: str | None, content: str = PIXEL) -> NotebookNode:
    metadata = {} if alt is None else {"image/png": {"alt": alt}}
    return new_output("display_data", data={"image/png": content}, metadata=metadata)


def page(*cells: NotebookNode, **how: object) -> html.Page:
    return html.page("03_travels", new_notebook(cells=[text("# How do they travel?"), *cells]), ABOUT, **how)


def test_a_table_that_is_a_cells_result_appears() -> None:
    made = page(code("funnel", result(text_html=show(pd.DataFrame({"stage": ["aware"], "n": [50]})))))
    assert '<table class="result">' in made.html
    assert "aware" in made.html


def test_a_table_that_is_displayed_appears_with_the_text_that_follows_it() -> None:
    output = new_output(
        "display_data", data={"text/html": "<table><tr><td>shown</td></tr></table><p>note</p>"}
    )
    made = page(code("display(x)", output))
    assert "<td>shown</td>" in made.html
    assert "<p>note</p>" in made.html


@pytest.mark.parametrize(
    "output",
    [
        result(
            text_html=f"<p>{EVIL}</p><img src=x onerror=alert(1) alt=x><a href='javascript:alert(1)'>y</a>"
        ),
        result(text_html=f"<table><tr><td onclick='alert(1)'>{EVIL}</td></tr></table>"),
        result(text_html="<svg><script>alert(1)</script></svg><iframe src='//x'></iframe>"),
        result(text_html="<style>@import 'x'</style><a href='javascript:alert(1)' style='top:0'>y</a>"),
        result(text_markdown=f"**{EVIL}** [x](javascript:alert(1)) <img src=x onerror=alert(1)>"),
        result(text_markdown=Claim(EVIL)._repr_markdown_()),
        result(text_plain=EVIL),
        new_output("stream", text=EVIL),
        new_output("stream", name="stderr", text=EVIL),
        new_output("error", ename="E", evalue=EVIL, traceback=[EVIL]),
        figure(f'"><script>alert(1)</script>{EVIL}'),
    ],
)
def test_what_customers_type_is_escaped_wherever_it_is_shown(output: NotebookNode) -> None:
    written = page(code(EVIL, output), text(f"## Hm {EVIL}"), left_out=[LeftOut(EVIL, ("surveys",))]).html
    assert "<script" not in written
    assert not re.search(r"<[^>]+\s(on\w+|style)\s*=", written)
    assert 'href="javascript' not in written
    assert "<iframe" not in written
    assert "<img src=x" not in written
    assert "@import" not in written


def test_a_claim_reads_as_it_was_written() -> None:
    made = page(code("c", result(text_markdown=Claim("a < b & c")._repr_markdown_()), tags=("claim",)))
    assert '<div class="claim"><p><strong>a &lt; b &amp; c</strong></p>' in made.html


@pytest.mark.parametrize("alt", [None, "", "  "])
def test_a_figure_without_alt_text_is_refused_and_its_cell_named(alt: str | None) -> None:
    with pytest.raises(CxValueError, match=r"03_travels, cell 1 \(`draw\(\)`\): the figure has no alt text"):
        page(code("draw()\nmore", figure(alt)))


def test_a_picture_without_alt_text_inside_html_or_markdown_is_refused() -> None:
    with pytest.raises(CxValueError, match="has no alt text"):
        page(code("x", result(text_html='<img src="data:image/png;base64,AA">')))
    with pytest.raises(CxValueError, match="has no alt text"):
        page(text("![](data:image/png;base64,AA)"))


def test_a_picture_from_elsewhere_is_refused() -> None:
    with pytest.raises(CxValueError, match="would load from outside"):
        page(text("![A cat](https://example.org/cat.png)"))


def test_nothing_on_a_page_or_the_index_loads_from_anywhere() -> None:
    cells = [text("## See\n[a site](https://example.org)"), code("x", figure("A line"))]
    made = page(*cells)
    for written in (made.html, overview.index([made], ABOUT)):
        assert re.findall(r'(?:src|srcset|poster|data)="(?!data:)', written) == []
        assert re.findall(r'<link[^>]*href="(?!data:)', written) == []
        assert "url(" not in written
        assert "default-src 'none'" in written


def test_the_contents_list_leads_to_every_heading_and_ids_are_unique() -> None:
    made = page(
        text("## Why?\n### How *much*?"), text("## Why?"), code("x", result(text_markdown="## Not me"))
    )
    nav = re.search(r"<nav.*?</nav>", made.html, re.S)
    assert nav is not None
    links = re.findall(r'href="#([^"]+)"', nav[0])
    assert links == ["why", "how-much", "why-1", "about"]
    ids = re.findall(r'\sid="([^"]+)"', made.html)
    assert len(ids) == len(set(ids))
    assert set(links) <= set(ids)
    assert made.html.count("<h1>") == 1


def test_the_summary_stands_on_top_and_on_the_index_and_its_heading_nowhere() -> None:
    made = page(
        text("## First"), text("## In five lines", "summary"),
        code("say()", result(text_markdown="- Buy *less*"), tags=("summary",)),
    )  # fmt: skip
    assert made.html.index("Buy <em>less</em>") < made.html.index('id="first"')
    assert made.html.count("Buy <em>less</em>") == 1
    assert "In five lines" not in made.html
    assert "Buy <em>less</em>" in overview.index([made], ABOUT)


def test_code_is_folded_below_its_outputs_and_absent_from_a_brief() -> None:
    cells = [
        code("first_step()"),
        code("secret()", tags=("hide-code",)),
        code("last_step()", result(text_html="<p>out</p>")),
    ]
    made = page(*cells)
    assert made.html.count("<details") == 1
    assert made.html.index("out</p>") < made.html.index("first_step") < made.html.index("last_step")
    assert "secret" not in made.html
    brief = page(*cells, brief=True)
    assert "<details" not in brief.html
    assert "last_step" not in brief.html
    assert "<p>out</p>" in brief.html


def test_the_thumbnail_is_the_tagged_figure_else_the_first() -> None:
    one, two = figure("one", PIXEL), figure("two", base64.b64encode(b"other").decode())
    assert page(code("a", one), code("b", two)).alt == "one"
    assert page(code("a", one), code("b", two, tags=("thumbnail",))).alt == "two"


def csv_of(written: str) -> str:
    link = re.search(r'href="data:text/csv;base64,([^"]+)"', written)
    assert link is not None
    return base64.b64decode(link[1]).decode()


def test_a_table_carries_the_csv_of_its_bundle_else_its_shown_cells() -> None:
    frame = pd.DataFrame({"channel": ["web, app", "=cmd()"], "n": [12345, 20]})
    assert (
        csv_of(page(code("x", result(text_html=show(frame)))).html)
        == 'channel,n\n"web, app",12345\n\'=cmd(),20\n'
    )
    assert csv_of(page(code("x", result(text_html=show(frame), text_csv="a,b\n1,2\n"))).html) == "a,b\n1,2\n"


def test_pandas_empty_heading_cells_become_plain_cells_and_numbers_align() -> None:
    frame = pd.DataFrame({"nps": [-12.5, float("nan")], "name": ["a", "-"]})
    written = str(Cleaner(frame.to_html(na_rep="-")).html)
    assert "<th></th>" not in written
    assert '<td class="number">-12.5</td>' in written
    assert '<td class="number">-</td>' in written
    assert '<th class="number">nps</th>' in written
    assert "<td>-</td>" in written
    assert "<th>name</th>" in written


def test_cells_left_open_are_closed_so_that_one_output_cannot_spoil_the_page() -> None:
    assert str(Cleaner("<div><p>a<b>b</div></div></main>c").html) == "<div><p>a<b>b</b></p></div>c"


def test_money_in_a_claim_is_no_formula() -> None:
    claim = Claim("A visit earns $1.20 to $3.40")
    written = page(code("c", result(text_markdown=claim._repr_markdown_()), tags=("claim",))).html
    assert "A visit earns $1.20 to $3.40" in written


def test_formulas_become_mathml() -> None:
    assert "<mi>p</mi>" in markdown("Share $p$")
    assert 'display="block"' in markdown("$$\\frac{a}{b}$$")
    assert "a &amp; b" in markdown("AT&T is a & b")


def test_headings_in_many_scripts_get_ids() -> None:
    contents = Contents()
    markdown("## Câți?\n\n## 为什么\n\n## ???\n\n## ???", contents)
    assert [name for _, name, _ in contents] == ["câți", "为什么", "section", "section-1"]


def test_what_was_left_out_and_the_licence_are_said_on_page_and_index() -> None:
    made = page(left_out=[LeftOut("Who answered?", ("surveys",))])
    for written in (made.html, overview.index([made], ABOUT)):
        assert "Who answered? (needs the table surveys)" in written
        assert "CC0 &amp; free" in written
        assert "A tiny study &lt;of&gt; few" in written
        assert "abc123" in written


def test_a_page_without_summary_figures_or_sections_is_still_a_page() -> None:
    made = html.page("notes", new_notebook(cells=[code("1")]), ABOUT)
    assert made.title == "notes"
    assert "</html>" in made.html
    assert 'class="thumbnail"' not in overview.index([made], ABOUT)


def test_a_figure_as_matplotlib_displays_it_is_accepted() -> None:
    figure_, axes = plt.subplots()
    axes.plot([0, 1])
    stream = io.BytesIO()
    figure_.savefig(stream, format="png")
    plt.close(figure_)
    content = base64.encodebytes(stream.getvalue()).decode()  # with line breaks, as kernels send it
    found = re.search(r'<figure><img src="([^"]+)"', page(code("x", figure("A line", content))).html)
    assert found is not None
    assert "\n" not in found[1]


def test_an_svg_is_a_picture_that_can_run_nothing() -> None:
    drawing = f"<svg>{EVIL}</svg>"
    output = new_output("display_data", data={"image/svg+xml": drawing}, metadata={"alt": "A drawing"})
    written = page(code("x", output)).html
    assert '<img src="data:image/svg+xml;base64,' in written
    assert "<script" not in written


def test_a_warning_is_shown_without_the_path_of_the_file_that_raised_it() -> None:
    raised = "/home/me/lib/fit.py:21: UserWarning: few answers\n  warnings.warn(text)\n"
    written = page(code("x", new_output("stream", name="stderr", text=raised))).html
    assert '<pre class="warning" tabindex="0">UserWarning: few answers</pre>' in written
    assert "/home/me" not in written


@pytest.mark.parametrize("space", [" ", "\xa0"])
def test_a_number_stays_with_its_unit_and_is_found_by_a_search(space: str) -> None:
    shown = 'is <span class="one">97.0 %</span> (<span class="one">n = 15,000</span>)'
    assert shown in markdown(f"It is 97.0{space}% (n = 15,000)")
    assert "<td>97.0 %</td>" in Cleaner(
        f"<table><tr><td>97.0{space}%</td><td>a</td></tr></table>"
    ).html.replace(' class="number"', "")


def test_a_date_is_not_broken_over_lines() -> None:
    assert '<span class="one">2025-01-01</span> to' in markdown("From 2025-01-01 to 2025-12-31.")


def test_a_markdown_table_without_heads_has_no_empty_heading_cells() -> None:
    written = markdown("| | |\n|---|---|\n| a | b |")
    assert "<th" not in written
    assert "<td>a</td>" in written


def test_a_page_is_the_same_whether_or_not_a_brief_was_made_of_it_before() -> None:
    book = new_notebook(cells=[text("# T"), code("x = 1", tags=("summary",)), code("y = 2")])
    first = html.page("t", book, ABOUT).html
    html.page("t", book, ABOUT, brief=True)
    assert html.page("t", book, ABOUT).html == first
