"""Hostile comments: nobody's name in any output, no markup that runs, no text that takes for ever or breaks a table."""

from __future__ import annotations

import re
import time
import warnings

import numpy as np
import pandas as pd
import pytest

import cxlib as cx
from cxlib.text import comments, effects, plots, prevalence, quotes, sentiment, themes
from cxlib.text.names import masked_comment

FIRST = ["Anna", "Ștefan", "Okafor", "Giulia", "Müller", "王小明", "D'Angelo", "Zoë"]
PLANTED = [
    *FIRST,
    "anna.rossi@example.com",
    "stefan_77@mail.example.ro",
    "+39 333 123 4567",
    "0712 345 678",
    "13800138000",
    "@giulia_rossi",
    "c0000042",
    "4111 1111 1111 1111",
]
SECRET = re.compile(
    "|".join(["anna", "stefan", "ștefan", "okafor", "giulia", "müller", "muller", "小明", "angelo", "zoë", "example",
              "333.?123", "345.?678", "138001", "0000042", "4111.?1111"]), re.I)  # fmt: skip
DRESSES = [
    "{}",
    "<script>alert('{}')</script>",
    "<b onmouseover=alert(1)>{}</b>",
    "\u202e{}\u202c",
    "{}\u200b!",
    "😀{}😀",
    "（{}）",
    "“{}”,",
    "**{}**",
    "\u2067{}\u2069\ufeff",
]


def hostile() -> cx.study.Study:
    """800 answers: each planted secret in each dress inside an ordinary comment, and worse."""
    rng = np.random.default_rng(1)
    n = 800
    pleased = rng.random(n) < 0.5
    rows = []
    for i in range(n):
        secret = PLANTED[i % len(PLANTED)]
        dressed = DRESSES[(i // len(PLANTED)) % len(DRESSES)].format(secret)
        mood = "was friendly and quick" if pleased[i] else "was slow and rude"
        rows.append(f"The adviser {dressed} {mood} in room {i % 37}")
    rows[:8] = [
        "a" * 50_000,
        "word " * 10_000,
        "好" * 50_000,
        "😀" * 50_000,
        "@" * 50_000,
        "1 " * 25_000,
        "\u202e",
        " ",
    ]
    rows[8:12] = ["=HYPERLINK(1)", "$x$ \\frac", "|a|b|", "\x00\x07 bell"]
    surveys = pd.DataFrame(
        {
            "response_id": [f"r{i}" for i in range(n)],
            "customer_id": [f"c{i % 300:07d}" for i in range(n)],
            "ts": pd.Timestamp("2026-01-01"),
            "question": "csat",
            "score": np.where(pleased, 5.0, 1.0),
            "scale_min": 1.0,
            "scale_max": 5.0,
            "comment": rows,
            "language": "en",
            "touchpoint": rng.choice(["<i>desk</i>", "phone"], n),
            "read_topic": pd.array(
                np.where(rng.random(n) < 0.6, np.where(pleased, "<b>staff</b>", "waiting"), None), dtype="str"
            ),
        }
    )
    customers = pd.DataFrame(
        {"customer_id": [f"c{i:07d}" for i in range(300)], "first_name": (FIRST * 38)[:300]}
    )
    return cx.open_study({"surveys": surveys, "customers": customers})


@pytest.fixture(scope="module")
def outputs() -> tuple[dict[str, str], float]:
    """Everything that people may see of such a study, by where it was shown; and the CPU seconds it took."""
    began = time.process_time()
    found: dict[str, str] = {}
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)  # those of the engine are its own
        said = comments(hostile())
        spoken = themes(said, "topic")
        results = {
            "comments": said,
            "sentiment": sentiment(said),
            "themes": spoken,
            "prevalence": prevalence(spoken, by="touchpoint"),
            "effects": effects(spoken),
            "quotes": quotes(spoken, "waiting", n=50),
            "other quotes": quotes(spoken, "<b>staff</b>", n=50),
        }
        pictures = [
            plots.sentiment_dots(results["sentiment"]),
            plots.prevalence_dots(results["prevalence"]),
            plots.effect_dots(results["effects"]),
        ]
    for name, result in results.items():
        shown = result._repr_mimebundle_()
        found |= {f"{name} {kind}": text for kind, text in shown.items()}
        found |= {f"{name} claim": str(result.claim()), f"{name} repr": repr(result)}
        found[f"{name} claim shown"] = result.claim()._repr_markdown_()
    found |= {f"picture {place}": shown.alt for place, shown in enumerate(pictures)}
    found["frame"] = "\n".join(said.frame["comment"])
    return found, time.process_time() - began


def test_no_planted_name_address_number_or_handle_is_in_any_output(outputs):
    for where, text in outputs[0].items():
        assert not SECRET.search(text), (where, SECRET.search(text))
    assert "[name]" in outputs[0]["frame"]
    assert "[e-mail]" in outputs[0]["frame"]
    assert "[customer]" in outputs[0]["frame"]


def test_markup_is_shown_and_never_run(outputs):
    for where, text in outputs[0].items():
        if where.endswith(("text/html", "claim shown")):
            assert not re.search("<(script|b|i)[ >]", text), where
    shown = "".join(text for where, text in outputs[0].items() if where.endswith("quotes text/html"))
    assert "&lt;" in shown


def test_marks_that_turn_or_hide_text_are_gone_and_emoji_stay(outputs):
    everything = "".join(outputs[0].values())
    assert not re.search("[\u200b\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff\x00\x07]", everything)
    assert "😀" in outputs[0]["frame"]


def test_a_repr_holds_no_comment(outputs):
    for where, text in outputs[0].items():
        if where.endswith("repr"):
            assert "adviser" not in text


def test_long_texts_take_no_time_and_are_kept_whole_but_not_quoted(outputs):
    found, seconds = outputs
    assert seconds < 8
    assert max(map(len, found["frame"].split("\n"))) == 50_000
    assert len(found["quotes text/html"]) < 20_000


@pytest.mark.parametrize(
    "text", ["a" * 50_000, "a@" * 25_000, "0-" * 25_000, "AB12" * 12_500, "(1)" * 17_000, "\u200d" * 50_000]
)
def test_no_text_of_fifty_thousand_characters_takes_longer_than_a_moment(text):
    began = time.process_time()
    masked_comment(text)
    assert time.process_time() - began < 0.5


def test_repeated_and_empty_comments_are_counted_and_teach_no_more_than_once():
    n = 240
    surveys = pd.DataFrame(
        {
            "response_id": [f"r{i}" for i in range(n)],
            "customer_id": [f"c{i}" for i in range(n)],
            "ts": pd.Timestamp("2026-01-01"),
            "question": "csat",
            "score": [5.0, 1.0, 5.0] * 80,
            "scale_min": 1.0,
            "scale_max": 5.0,
            "comment": ["ok", "OK!", " "] * 80,
            "language": "en",
        }
    )
    said = comments(cx.open_study({"surveys": surveys}))
    assert said.blank == 80
    assert "159 repeat another's words; 80 more are blank" in said.claim()
    result = sentiment(said)  # one text: nobody can be told from anybody
    assert result.table()["estimate"].isna().all() or (result.table()["low"] < 0.5).all()


def test_a_study_without_comments_has_clear_answers():
    frame = pd.DataFrame({"response_id": ["a"], "ts": pd.Timestamp("2026-01-01"), "question": "nps", "score": 9.0,
                          "scale_min": 0.0, "scale_max": 10.0})  # fmt: skip
    said = comments(cx.open_study({"surveys": frame}))
    assert said.frame.empty
    assert said.claim() == "Too few customers to say."
    assert sentiment(said).claim() == "Too few customers to say."
    found = themes(said, words="effort")
    assert "not known" in found.claim()
    assert prevalence(found).claim() == "Too few customers to say."
    assert effects(found).claim() == "Too few customers to say."
    assert quotes(found, "effort").claim() == "Too few customers to say."
