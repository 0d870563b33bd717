"""The index: what every chapter found as one story, what to do next, and what concerns each team.

It is made of what the pages already say, in their order: the lines of their summaries and the claims
that are tagged for a team. The first chapter, numbered 0, is about the data and stands at the foot.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from markupsafe import Markup

from cxlib.report.cells import TEAMS
from cxlib.report.html import About, Page, Told, render

NEXT = "Next: "
RANGE = re.compile(r"\((?=[^()]*\d)[^()]* to [^()]*\)[.,;:]?")
"""An interval, with the mark after it: that must not begin a line."""


def index(pages: Sequence[Page], about: About) -> str:
    """The page over all pages, each a chapter of the walk; chapters left out are named in their place.

    A deep dive (`01a`) is a link in its chapter, and a chapter of its own only where that is not there.

    >>> "For your team" in index([Page("01_who", "Who?", claims=(Told(("service",), "9 call", "Why?", "why"),))],
    ...                          About("tiny", "A tiny study"))
    True
    """
    walk = [page for page in pages if page.chapter != "0"]
    advice = [(page, line) for page in walk for line in page.lines if line.startswith(NEXT)]
    return render(
        "overview.html.j2",
        about=about,
        walk=[(page, _found(page, walk)) for page in walk if page not in _behind(walk)],
        advice=[(page, _capital(line[len(NEXT) :])) for page, line in advice],
        teams=_teams(walk),
        data=[page for page in pages if page.chapter == "0"],
        pages=pages,
    )


def _behind(walk: Sequence[Page]) -> list[Page]:
    """The deep dives whose chapter is there."""
    chapters = {page.chapter for page in walk if not page.absent}
    return [page for page in walk if page.chapter[-1:].isalpha() and page.chapter[:-1] in chapters]


def _found(page: Page, walk: Sequence[Page]) -> list[Markup]:
    """What a page found; its last line leads to the deep dives behind it."""
    lines = [_quiet(line) for line in findings(page)]
    dives = [dive for dive in _behind(walk) if dive.chapter[:-1] == page.chapter and not dive.absent]
    if dives:
        links = [Markup('<a href="{}">{}</a>').format(dive.file, dive.title) for dive in dives]
        behind = Markup("More: ") + Markup(" ").join(links)
        lines = [*lines[:-1], Markup(" ").join([*lines[-1:], behind])]
    return lines


def findings(page: Page) -> list[str]:
    """What a page found, as HTML lines: the most important first, without what to do next.

    >>> findings(Page("01_who", "Who?", summary="<ul><li>Few buy.</li><li>Next: ask them.</li></ul>"))
    ['Few buy.']
    """
    return [line for line in page.lines if not line.startswith(NEXT)]


def headlines(pages: Sequence[Page]) -> tuple[tuple[str, str, str], ...]:
    """Chapter, question and most important finding of each page that has one, as plain text."""
    walk = [(page, findings(page)) for page in pages if page.chapter != "0"]
    return tuple((page.chapter, page.title, Markup(found[0]).striptags()) for page, found in walk if found)


def _teams(pages: Sequence[Page]) -> list[tuple[str, list[tuple[Page, Told, Markup]]]]:
    """For each team that anything concerns: page, claim, and its text."""
    told = [(page, claim, _quiet(claim.text)) for page in pages for claim in page.claims]
    gathered = [(team, [one for one in told if team in one[1].teams]) for team in TEAMS]
    return [(team, claims) for team, claims in gathered if claims]


def _quiet(line: str) -> Markup:
    """A line whose intervals stand back: the number is read first, its range when one wants it."""
    return Markup(RANGE.sub(r'<span class="range">\g<0></span>', line))


def _capital(line: str) -> Markup:
    return Markup(line[:1].upper() + line[1:])
