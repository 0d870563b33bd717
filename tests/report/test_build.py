"""Building a report: chapters that a study cannot fill stay away, and are named."""

from cxlib.report import About, build
from cxlib.report.sources import dumps, generate

SOURCE = """# %% [markdown] tags=["needs-touchpoints"]
# # How do they travel?

# %% tags=["parameters"]
STUDY = "demo"
"""
OTHER = SOURCE.replace(' tags=["needs-touchpoints"]', "").replace("travel", "feel")


def notebooks(folder, **sources):
    made = []
    for name, text in sources.items():
        source = folder / f"{name}.py"
        source.write_text(text, "utf-8")
        made.append(folder / f"{name}.ipynb")
        made[-1].write_text(dumps(generate(source)), "utf-8")
    return made


def test_a_chapter_that_the_study_cannot_fill_is_named_on_the_index(tmp_path):
    books = notebooks(tmp_path, **{"01_travel": SOURCE, "02_feel": OTHER})
    about = About("mine", "Mine", {})
    built = build(books, about, tmp_path / "out", has={"surveys"}, parameters={"STUDY": "mine"}, quiet=True)
    assert [page.name for page in built.pages] == ["02_feel.html"]
    assert "How do they travel? (needs the table touchpoints)" in built.left_out[0]
    written = built.index.read_text("utf-8")
    assert written.index("How do they travel?") < written.index("How do they feel?")
    assert "Not in this report: needs the table touchpoints." in written


def test_a_chapter_that_can_no_longer_be_filled_leaves_no_page_behind(tmp_path):
    books = notebooks(tmp_path, **{"01_travel": SOURCE, "02_feel": OTHER})
    for has in ({"touchpoints"}, {"surveys"}):
        build(books, About("mine", "Mine", {}), tmp_path / "out", has=has, quiet=True)
    assert sorted(path.name for path in (tmp_path / "out").glob("*.html")) == ["02_feel.html", "index.html"]


CLAIM = """
# %% [markdown]
# ## Who?

# %% tags=["claim", "product"]
from cxlib.results import Claim, Summary
Claim("Nine of them.")

# %% tags=["summary"]
Summary(("Nine came.", "Next: ask them."))
"""


def test_a_chapter_kept_from_an_earlier_build_keeps_its_claims_and_its_headline(tmp_path):
    books = notebooks(tmp_path, **{"01_travel": SOURCE + CLAIM, "02_feel": OTHER})
    has, about = {"touchpoints"}, About("mine", "Mine", {})
    first = build(books, about, tmp_path / "out", has=has, quiet=True)
    before = first.index.read_bytes()
    again = build(books, about, tmp_path / "out", has=has, only="02", quiet=True)
    assert again.index.read_bytes() == before
    assert again.headlines == first.headlines == (("1", "How do they travel?", "Nine came."),)
    assert b"Nine of them." in before
