"""Comments: one row each, masked by form and by what the study knows, on any export."""

from __future__ import annotations

import re
import time

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import cxlib as cx
from cxlib.errors import MissingTable
from cxlib.results import TOO_FEW
from cxlib.text import comments
from cxlib.text.names import Names, clean, masked_comment


def surveys(texts, **more) -> pd.DataFrame:
    """One response a text."""
    frame = pd.DataFrame(
        {
            "response_id": [f"r{i:03d}" for i in range(len(texts))],
            "customer_id": [f"c{i:05d}" for i in range(len(texts))],
            "ts": pd.Timestamp("2026-01-01"),
            "question": "csat",
            "score": 5.0,
            "scale_min": 1.0,
            "scale_max": 5.0,
            "comment": pd.array(texts, dtype="str"),
        }
    )
    return frame.assign(**more)


def said(texts, tables=None, names=(), **more) -> list[str]:
    study = cx.open_study({"surveys": surveys(texts, **more), **(tables or {})})
    return comments(study, names=names).frame["comment"].tolist()


def test_a_frame_of_comments_has_the_promised_columns_then_the_studys_own():
    frame = comments(cx.open_study({"surveys": surveys(["a", "b"], shop=["x", "y"])})).frame
    first = ["response_id", "person", "ts", "touchpoint", "stage", "question", "score", "place", "language"]
    assert frame.columns.tolist() == [*first, "comment", "weight", "shop"]
    assert frame["person"].tolist() == ["c00000", "c00001"]
    assert frame["place"].tolist() == [1.0, 1.0]


def test_who_answers_without_a_name_is_a_person_of_their_own_and_no_score_has_no_place():
    told = surveys(["one", "two", "three"], customer_id=["c1", None, ""], score=[3.0, None, 1.0])
    frame = comments(cx.open_study({"surveys": told})).frame
    assert frame["person"].tolist() == ["c1", "r001", "r002"]
    assert frame["place"].fillna(-1).tolist() == [0.5, -1, 0]


def test_blank_comments_are_counted_and_left_out():
    study = cx.open_study({"surveys": surveys(["fine", "", " \t\n", "\u200b\u202e", None] * 4)})
    found = comments(study)
    assert found.frame["comment"].tolist() == ["fine"] * 4
    assert found.blank == 8  # an empty field of an export is no comment at all
    assert found.claim() == TOO_FEW


def test_a_text_on_several_rows_of_one_response_counts_once_with_its_score():
    rows = surveys(["slow", "slow", "other"], response_id=["r1", "r1", "r1"], score=[None, 4.0, 2.0])
    rows["question"] = ["nps_reason", "csat", "extra"]
    frame = comments(cx.open_study({"surveys": rows})).frame
    assert sorted(frame["comment"]) == ["other", "slow"]
    assert frame.set_index("comment")["score"]["slow"] == 4.0


def test_without_surveys_it_says_what_is_missing():
    customers = pd.DataFrame({"customer_id": ["a"]})
    with pytest.raises(MissingTable, match="comments needs the table `surveys`"):
        comments(cx.open_study({"customers": customers}))


def test_no_comment_of_the_demo_is_changed_by_masking():
    study = cx.open_study("demo")
    given_texts = study.fetch(study.table("surveys").select("comment"))["comment"].dropna()
    assert sorted(comments(study).frame["comment"]) == sorted(given_texts)


def test_the_names_the_study_knows_are_masked_wherever_they_are_kept():
    customers = pd.DataFrame(
        {
            "customer_id": ["c00000", "c00001", "c00002"],
            "first_name": ["Ștefan", "Anna", "小明"],
            "surname": ["Ionescu", "D'Angelo", "王"],
            "full_name": ["Ștefan Ionescu", "Anna D'Angelo", "王小明"],
            "plan": ["Gold", "Rose", "Silver"],
        }
    )
    identities = pd.DataFrame(
        {
            "id_type": ["e-mail", "phone", "real_name", "device"],
            "id_value": ["x@y.it", "555-1234", "Moritz Graf", "Tablet"],
            "customer_id": "c00001",
        }
    )
    texts = [
        "Stefan was told STEFAN IONESCU would call, anna d'angelo too",
        "l'Anna ha detto: D\u2019Angelo!",
        "店员王小明很好，小明谢谢",
        "Call 555-1234 or Moritz, I am c00002",
        "My Tablet is Gold, a Rose is a Rose",
        "anna is masked alone and small",
    ]
    found = said(texts, {"customers": customers, "identities": identities})
    assert found == [
        "[name] was told [name] would call, [name] too",
        "l'Anna ha detto: D'Angelo!".replace("l'Anna", "[name]").replace("D'Angelo", "[name]"),
        "店员[name]很好，[name]谢谢",
        "Call [name] or [name], I am [customer]",
        "My Tablet is Gold, a Rose is a Rose",
        "[name] is masked alone and small",
    ]


def test_a_name_in_lower_case_stays_where_ten_customers_use_it_as_a_word():
    texts = [f"I will come again, visit {'x' * number}" for number in range(1, 11)]
    assert said([*texts, "o'neill was rude"], names=["Will O'Neill"])[-1] == "[name] was rude"
    assert said(texts, names=["Will O'Neill"]) == texts
    assert said(texts[:9], names=["Will O'Neill"])[0].startswith("I [name] come again")


def test_names_can_be_given():
    assert said(["Ask Ms Okafor"], names=["Okafor"]) == ["Ask Ms [name]"]
    assert said(["Ask Ms Okafor"]) == ["Ask Ms Okafor"]


@pytest.mark.parametrize(
    "text",
    [
        "write to anna.rossi@example.com now",
        "邮箱anna.rossi@example.com谢谢",
        "an\u200bna.rossi@exam\u00adple.com",
        "anna.rossi\uff20example\uff0ecom",
        "call +39 333 123 4567",
        "电话13800138000请回",
        "\uff11\uff13\uff18\uff10\uff10\uff11\uff13\uff18\uff10\uff10\uff10",
        "٠٧١٢٣٤٥٦٧٨",
        "tel0712345678",
        "0712\u200d345\u2060678",
        "联系@anna_rossi88",
        "(@anna_rossi88)",
    ],
)
def test_addresses_numbers_and_handles_are_masked_in_any_dress(text):
    found = masked_comment(text)
    assert re.search(r"\[(e-mail|number|handle)\]", found)
    assert not re.search(r"\d{4}|rossi|@", found)


def test_emoji_and_scripts_keep_their_joiners():
    family = "\U0001f468\u200d\U0001f469\u200d\U0001f467 بسیار خوب می\u200cخواهم"
    assert clean(family) == family


LETTERS = st.text(alphabet="abcdefghijăîșțéü", min_size=4, max_size=9)


@given(st.lists(st.tuples(LETTERS, LETTERS), min_size=1, max_size=6), st.lists(LETTERS, max_size=4))
@settings(deadline=None, max_examples=50)
def test_a_known_full_name_never_stays_whatever_its_case(people, words):
    names = Names([f"{first} {last}" for first, last in people])
    for first, last in people:
        for text in (f"{first} {last}", f"{first.title()}  {last.upper()}"):
            found = masked_comment(" ".join([*words, text, *words]), names)
            assert "[name]" in found
        assert masked_comment(f"(was {last.title()}!)", names) == "(was [name]!)"


@given(st.text(max_size=80))
@settings(deadline=None, max_examples=150)
def test_masking_twice_changes_nothing_and_leaves_one_line(text):
    once = masked_comment(text)
    assert masked_comment(once) == once
    assert once == once.strip()
    assert not re.search("[\n\r\t\u202e\u200b]", once)


def test_a_hundred_thousand_names_cost_no_more_than_reading_them():
    rng = np.random.default_rng(0)
    letters = np.array(list("abcdefghijklmnop"))
    words = ["".join(rng.choice(letters, 7)).title() for _ in range(20_000)]
    names = Names(words)
    texts = [f"I spoke to {word} about order {i}, who was friendly" for i, word in enumerate(words[:5000])]
    began = time.process_time()
    assert all("[name]" in names.masked(text) for text in texts)
    assert time.process_time() - began < 2
