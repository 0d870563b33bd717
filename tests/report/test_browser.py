"""Every page as a browser sees it: nothing asked of the network, nothing axe-core objects to."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from cxlib.report import About, build, sources
from tests.conftest import missing
from tests.report import browser

pytestmark = pytest.mark.browser
ROOT = Path(__file__).resolve().parents[2]
FIXTURE = Path(__file__).parent / "notebooks"
CHAPTERS = sorted(path.stem for path in (ROOT / "notebooks").glob("*.ipynb"))
SCHEMES = pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])


@pytest.fixture(scope="module")
def axe() -> Path:
    found = browser.axe()
    if found is None:
        missing("no axe-core", "run `npm install axe-core`, or set CXLIB_AXE to the path of axe.min.js")
    return found


@pytest.fixture(scope="module")
def chrome() -> Iterator[browser.Browser]:
    if browser.chromium() is None:
        missing("no Chromium", "install it (Debian: chromium), or set CXLIB_CHROMIUM to its path")
    with browser.Browser() as running:
        yield running


@pytest.fixture(scope="module")
def fixture_report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pages of the fixture notebooks, for a study without orders."""
    folder = tmp_path_factory.mktemp("fixture")
    shutil.copytree(FIXTURE / "src", folder / "src")
    about = About("fixture", "A study made for tests", {"licence": "CC0 1.0", "fingerprint": "0" * 12})
    books = sources.regenerate(folder)
    return build(books, about, folder / "out", has={"touchpoints", "surveys"}, quiet=True).index.parent


@pytest.fixture(scope="module")
def demo_report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo's report, built by the command that users type."""
    out = tmp_path_factory.mktemp("a folder, à part") / "demo"
    command = [sys.executable, "-m", "cxlib", "report", "demo", "--out", str(out)]
    environment = {key: value for key, value in os.environ.items() if key != "MPLBACKEND"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return out


def look(chrome: browser.Browser, path: Path, axe: Path, dark: bool) -> None:
    """Everything that must hold of any page."""
    page = chrome.open(path, dark=dark)
    assert page.requests == []
    assert page.axe(axe) == []
    assert page.run("[...document.images].filter(i => !i.alt.trim() || !i.naturalWidth).length") == 0
    assert page.run("document.scripts.length") == 0
    assert page.run("document.documentElement.scrollWidth <= innerWidth")


def look_into(chrome: browser.Browser, path: Path) -> None:
    """What must hold of a chapter: contents that lead somewhere, a table with its CSV, a narrow screen."""
    page = chrome.open(path, width=390)
    links = "[...document.querySelectorAll('nav.contents a')]"
    assert page.run(f"{links}.length") >= 2
    assert page.run(f"{links}.every(a => document.getElementById(decodeURIComponent(a.hash.slice(1))))")
    assert page.run("document.querySelectorAll('main table tbody tr').length") >= 1
    assert page.run('document.querySelectorAll(\'a[download$=".csv"][href^="data:text/csv"]\').length') >= 1
    assert page.run("document.documentElement.scrollWidth <= innerWidth")


@SCHEMES
@pytest.mark.parametrize("name", ["index", "00_start", "03_journeys"])
def test_a_page_of_the_fixture_asks_nothing_and_is_accessible(
    chrome: browser.Browser, axe: Path, fixture_report: Path, name: str, dark: bool
) -> None:
    look(chrome, fixture_report / f"{name}.html", axe, dark)


def test_the_fixtures_index_has_every_part_of_the_story_and_every_link_leads_somewhere(
    chrome: browser.Browser, fixture_report: Path
) -> None:
    page = chrome.open(fixture_report / "index.html", width=390)
    parts = (
        ".headline",
        ".step.absent",
        ".step.next li",
        "#product",
        "#service",
        "#data",
        "#about",
        ".range",
    )
    assert [part for part in parts if not page.run(f"!!document.querySelector('{part}')")] == []
    assert page.run("document.documentElement.scrollWidth <= innerWidth")
    for link in page.run("[...document.querySelectorAll('main a')].map(a => a.getAttribute('href'))"):
        file, _, anchor = link.partition("#")
        written = (fixture_report / (file or "index.html")).read_text("utf-8")
        assert not anchor or f'id="{anchor}"' in written, link


def test_the_fixtures_chapter_has_contents_tables_and_fits_a_phone(
    chrome: browser.Browser, fixture_report: Path
) -> None:
    look_into(chrome, fixture_report / "03_journeys.html")


@SCHEMES
@pytest.mark.parametrize("name", ["index", *CHAPTERS])
def test_a_page_of_the_demo_asks_nothing_and_is_accessible(
    chrome: browser.Browser, axe: Path, demo_report: Path, name: str, dark: bool
) -> None:
    look(chrome, demo_report / f"{name}.html", axe, dark)


@pytest.mark.parametrize("name", CHAPTERS)
def test_a_chapter_of_the_demo_has_contents_tables_and_fits_a_phone(
    chrome: browser.Browser, demo_report: Path, name: str
) -> None:
    look_into(chrome, demo_report / f"{name}.html")


def test_a_director_reads_the_demos_summaries_on_two_screens_and_prints_few_sheets(
    chrome: browser.Browser, demo_report: Path, tmp_path: Path
) -> None:
    page = chrome.open(demo_report / "index.html", width=1100)
    assert page.run("document.querySelector('.walk').getBoundingClientRect().bottom") <= 2 * 1000
    page.pdf(tmp_path / "index.pdf")
    assert len(re.findall(rb"/Type\s*/Page\b", (tmp_path / "index.pdf").read_bytes())) <= 3


@pytest.fixture(scope="module")
def olist_report(tmp_path_factory: pytest.TempPathFactory, mirror: Path) -> Path:
    """A report on real data: a hundred thousand orders of a marketplace."""
    out = tmp_path_factory.mktemp("olist")
    command = [sys.executable, "-m", "cxlib", "report", "olist", "--out", str(out)]
    environment = {key: value for key, value in os.environ.items() if key != "MPLBACKEND"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return out


@SCHEMES
def test_the_pages_of_a_real_study_ask_nothing_and_are_accessible(
    chrome: browser.Browser, axe: Path, olist_report: Path, dark: bool
) -> None:
    for path in sorted(olist_report.glob("*.html")):
        look(chrome, path, axe, dark)


@pytest.mark.parametrize(
    "planted",
    [
        '<img src="http://127.0.0.1:9/pixel.png" alt="x">',
        '<link rel="stylesheet" href="http://127.0.0.1:9/a.css">',
        '<script>setTimeout(() => fetch("http://127.0.0.1:9/late"), 50)</script>',
        '<style>@import "http://127.0.0.1:9/b.css";</style>',
        '<img src="beside.png" alt="x">',
    ],
)
def test_a_planted_request_is_seen(
    chrome: browser.Browser, fixture_report: Path, tmp_path: Path, planted: str
) -> None:
    page = tmp_path / "planted.html"
    whole = (fixture_report / "00_start.html").read_text("utf-8")
    page.write_text(whole.replace("</main>", f"{planted}</main>"), "utf-8")
    assert len(chrome.open(page).requests) == 1


def test_the_pages_own_policy_stops_a_request_and_a_script(
    chrome: browser.Browser, fixture_report: Path, tmp_path: Path
) -> None:
    page = tmp_path / "planted.html"
    whole = (fixture_report / "00_start.html").read_text("utf-8")
    planted = '<img src="http://127.0.0.1:9/pixel.png" alt="x"><script>document.title = "run"</script>'
    page.write_text(whole.replace("</main>", f"{planted}</main>"), "utf-8")
    opened = chrome.open(page, policy=True)
    assert opened.run("document.title") != "run"
    assert opened.blocked == 1


def test_axe_sees_a_picture_without_alt_text(
    chrome: browser.Browser, axe: Path, fixture_report: Path, tmp_path: Path
) -> None:
    page = tmp_path / "planted.html"
    whole = (fixture_report / "00_start.html").read_text("utf-8")
    page.write_text(whole.replace("</main>", '<img src="data:,"></main>'), "utf-8")
    assert any("image-alt" in violation for violation in chrome.open(page).axe(axe))


def test_the_csv_link_downloads_the_table(
    chrome: browser.Browser, fixture_report: Path, tmp_path: Path
) -> None:
    page = chrome.open(fixture_report / "03_journeys.html")
    page.call("Page.setDownloadBehavior", behavior="allow", downloadPath=str(tmp_path))
    page.run("document.querySelector('a[download]').click()")
    for _ in range(50):
        page.run("new Promise(done => setTimeout(done, 100))")
        if found := [path for path in tmp_path.glob("*.csv") if path.stat().st_size]:
            break
    assert found[0].read_text("utf-8").startswith("step,name,estimate,")


def test_a_screenshot_shows_the_page(fixture_report: Path, tmp_path: Path) -> None:
    if browser.chromium() is None:
        missing("no Chromium", "install it (Debian: chromium), or set CXLIB_CHROMIUM to its path")
    browser.screenshot(fixture_report / "index.html", tmp_path / "index.png", dark=True)
    assert (tmp_path / "index.png").stat().st_size > 10_000
