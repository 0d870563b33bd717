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
    assert "How do they travel?" in built.index.read_text("utf-8")
