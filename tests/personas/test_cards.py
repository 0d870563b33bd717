"""What a persona card says, against plain counts; and that it can be read."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import cxlib as cx
from cxlib import figures
from cxlib.customers.blocks import Answers, Choices, Values
from cxlib.customers.features import Features
from cxlib.errors import CxLookupError
from cxlib.personas.cards import cards
from cxlib.results import visible

PLACES = ("app_home", "call_support", "store_visit", "web_home")
CHANNELS = {"app_home": "app", "call_support": "call", "store_visit": "store"}  # of web_home it is not known
NEEDS = ("price", "time", "touch")


def made(rng, k=2, n=600, each=6, motive="motive", names=PLACES):
    """Customers of known kinds, whose visits begin mostly at a place of their kind's: features, posterior, kinds."""
    kind = rng.integers(0, k, n)
    option = np.where(rng.random((n, each)) < 0.6, kind[:, None] % 4, rng.integers(0, 4, (n, each))).ravel()
    row = np.repeat(np.arange(n), each)
    zero = np.zeros_like(row)
    begun = Choices("beginnings", "", ("later",), names, n, row, zero, option, np.ones(n * each), zero)
    said = np.where(rng.random(n) < 0.4, -1, np.where(rng.random(n) < 0.7, kind % 3, rng.integers(0, 3, n)))
    tier = np.where(rng.random(n) < 0.95, kind % 3, 0)
    score = rng.normal(kind / k, 1, n)
    blocks = (
        begun,
        Values("satisfaction", "", np.ones(n), score, score**2, unit="standard deviations"),
        Answers(motive, "", NEEDS, said),
        Answers("tier", "", ("basic", "gold", "silver"), tier),
    )
    person = np.array([f"c{i:04d}" for i in range(n)], dtype=object)
    profile = pd.DataFrame({"person": person, "visits": float(each), "revenue": 100.0 * (kind + 1)})
    profile["nps"] = np.where(rng.random(n) < 0.3, rng.choice([-100.0, 0, 100], n), np.nan)
    return Features(person, blocks, profile, channels=CHANNELS), np.eye(k)[kind], kind


def carded(features, posterior, labels=None, **given):
    k = posterior.shape[1]
    labels = labels or tuple(f"{chr(65 + i)}: kind {i}" for i in range(k))
    share = posterior.mean(axis=0)
    sizes = pd.DataFrame({"persona": labels, "estimate": share, "low": share - 0.02, "high": share + 0.02})
    sizes = sizes.assign(n=len(posterior), customers=np.bincount(posterior.argmax(1), minlength=k))
    return cards(labels, posterior, features, sizes, **given)


def lines(result, persona, about):
    return result.card(persona).query("about == @about")


def test_value_channels_and_scores_are_the_plain_means_of_sure_members(base_seed):
    features, posterior, kind = made(np.random.default_rng(base_seed))
    result, mine = carded(features, posterior), kind == 1
    value = lines(result, "B: kind 1", "value").set_index("feature")
    assert value.loc["revenue a customer", "estimate"] == pytest.approx(200)
    assert value.loc["revenue a customer", "overall"] == pytest.approx(features.profile["revenue"].mean())
    channels = lines(result, "B: kind 1", "channels").set_index("feature")["estimate"]
    begun = features.blocks[0].made[mine].sum(axis=0)
    assert dict(channels) == pytest.approx(
        dict(zip(["app", "call", "store", "other"], begun / begun.sum(), strict=True))
    )
    nps = lines(result, "B: kind 1", "feelings").set_index("feature").loc["net promoter score"]
    assert nps["estimate"] == pytest.approx(features.profile["nps"][mine].mean())
    assert nps["n"] == features.profile["nps"][mine].notna().sum()


def test_what_they_come_for_is_asked_for_by_name_and_else_the_answer_that_sets_them_apart(base_seed):
    for name, block in (("motive", "motive"), ("main_goal", "main_goal"), ("mood", "tier")):
        features, posterior, _ = made(np.random.default_rng(base_seed), motive=name)
        motive = lines(carded(features, posterior), "B: kind 1", "motive")
        assert motive["block"].tolist() == [block]
        told = lines(carded(features, posterior), "B: kind 1", "most")
        assert not (told["feature"] == motive["feature"].iloc[0]).any()


def test_a_card_ends_with_two_questions_and_what_it_is_not(base_seed):
    features, posterior, _ = made(np.random.default_rng(base_seed))
    result = carded(features, posterior)
    right, found = lines(result, "A: kind 0", "recognise").itertuples()
    assert (right.block, found.block) == ("right", "found")
    assert right.low > right.overall
    assert right.feature.count("?") == 2
    assert (lines(result, "A: kind 0", "not")["difference"] < 0).all()


def test_one_persona_has_no_lines_that_tell_it_from_others(base_seed):
    features, posterior, _ = made(np.random.default_rng(base_seed), k=1)
    result = carded(features, posterior)
    assert not {"most", "not", "recognise"} & set(result.table()["about"])
    assert "nothing to tell it from" in result.claim()


def written(rng, features, kind, chance):
    """Half of the customers write, each about `pain` with the chance of their kind, and some about `praise`."""
    who = rng.random(len(kind)) < 0.5
    said = pd.DataFrame({"person": features.persons[who], "comment": "so it goes"})
    said["read_theme"] = np.where(rng.random(len(said)) < 0.3, "x", None)
    pain = said[rng.random(len(said)) < np.array(chance)[kind[who]]].assign(theme="pain")
    praise = said[rng.random(len(said)) < 0.3].assign(theme="praise")
    return said, pd.concat([pain, praise], ignore_index=True)


def test_a_company_without_surveys_or_known_channels_has_cards(base_seed):
    features, posterior, _ = made(np.random.default_rng(base_seed), k=2)
    bare = replace(features, profile=features.profile.drop(columns="nps"), channels={})
    about = set(carded(bare, posterior).table()["about"])
    assert {"size", "value", "beginnings"} <= about
    assert "channels" not in about


def test_personas_of_a_frame_have_cards_and_no_card_but_theirs(base_seed):
    features, posterior, _ = made(np.random.default_rng(base_seed), k=2)
    found = carded(
        replace(features, profile=features.profile[["person"]], blocks=features.blocks[2:]), posterior
    )
    assert len(found.card("B: kind 1"))
    with pytest.raises(CxLookupError, match="no persona `C`; there are: A: kind 0"):
        found.card("C")


def test_what_chance_would_do_sets_no_persona_apart_and_nothing_is_said_twice(base_seed):
    rng = np.random.default_rng(base_seed)
    features, posterior, _ = made(rng, k=2, n=2000)
    town = Answers("town", "", ("north", "south"), np.arange(2000) // 2 % 2)
    told = carded(replace(features, blocks=(*features.blocks[:2], town)), posterior)
    assert "town" not in set(told.table()["block"])
    steps = replace(features.blocks[0], name="steps")
    lines = carded(replace(features, blocks=(*features.blocks, steps)), posterior).table()
    assert not lines[lines["about"] == "not"].duplicated(["persona", "feature"]).any()
    assert "north" not in str(told.claim())
    assert "south" not in str(told.claim())


def test_words_are_shares_of_writers_corrected_for_wrong_assignment(base_seed):
    """The truth is .5 and .1; a plain count over those assigned, 15 % of them wrongly, is .44 and .16."""
    rng = np.random.default_rng(base_seed)
    features, _, kind = made(rng, n=8000)
    right = rng.random(8000) < 0.85
    posterior = np.where((np.eye(2)[kind] == 1) == right[:, None], 0.85, 0.15)
    said, themes = written(rng, features, kind, (0.5, 0.1))
    row = lines(carded(features, posterior, said=said, themes=themes), "A: kind 0", "said").iloc[0]
    assert row["feature"] == "pain"
    assert row["estimate"] == pytest.approx(0.5, abs=0.05)
    assert row["low"] > 0.44


def test_without_a_theme_of_its_own_a_persona_has_the_one_it_brings_up_most(base_seed):
    rng = np.random.default_rng(base_seed)
    features, posterior, kind = made(rng)
    said, themes = written(rng, features, kind, (0.1, 0.1))
    for persona in ("A: kind 0", "B: kind 1"):
        assert lines(carded(features, posterior, said=said, themes=themes), persona, "said")[
            "feature"
        ].tolist() == ["praise"]


def test_the_quote_is_one_that_people_have_read_of_middling_length_by_a_sure_member(base_seed):
    rng = np.random.default_rng(base_seed)
    features, posterior, kind = made(rng)
    posterior = np.where(posterior == 1, np.where(np.arange(600) % 2, 0.9, 0.6)[:, None], posterior)
    posterior[:, 1] = np.where(kind == 1, posterior[:, 1], 1 - posterior[:, 0])
    posterior[:, 0] = 1 - posterior[:, 1]
    said, themes = written(rng, features, kind, (0.6, 0.1))
    themes["comment"] = [
        f"text {'x' * int(i)} of {who}"
        for i, who in zip(rng.integers(1, 40, len(themes)), themes["person"], strict=True)
    ]
    quote = lines(carded(features, posterior, said=said, themes=themes), "A: kind 0", "quote")[
        "feature"
    ].iloc[0]
    mine = themes[(themes["theme"] == "pain") & themes["person"].isin(features.persons[kind == 0])]
    chosen = mine[mine["comment"] == quote].iloc[0]
    assert chosen["read_theme"] == "x"
    assert int(chosen["person"][1:]) % 2 == 1
    assert mine["comment"].str.len().quantile(0.25) <= len(quote) <= mine["comment"].str.len().quantile(0.75)


def test_what_hardly_anybody_wrote_is_not_quoted(base_seed):
    rng = np.random.default_rng(base_seed)
    features, posterior, kind = made(rng)
    said, themes = written(rng, features, kind, (0.6, 0.1))
    few = themes[themes["theme"] == "pain"].head(9)
    assert not {"said", "quote"} & set(carded(features, posterior, said=said, themes=few).table()["about"])


def test_comments_without_their_themes_are_refused(base_seed):
    features, posterior, _ = made(np.random.default_rng(base_seed))
    with pytest.raises(CxLookupError, match="theme"):
        carded(features, posterior, said=pd.DataFrame({"person": ["c0001"], "comment": ["no"]}))


def drawn(monkeypatch, result):
    """The figure and the words in each card with their boxes."""
    kept = []
    finish = figures.finish
    monkeypatch.setattr(figures, "finish", lambda fig, alt: kept.append(fig) or finish(fig, alt))
    shown = cx.personas.plots.cards(result)
    renderer = kept[-1].canvas.get_renderer()
    texts = [(ax, [(t.get_text(), t.get_window_extent(renderer)) for t in ax.texts]) for ax in kept[-1].axes]
    return shown, [(ax.get_window_extent(renderer), words) for ax, words in texts if words]


@pytest.mark.filterwarnings("ignore:Glyph")
@pytest.mark.parametrize("k", [1, 2, 5, 8])
def test_nothing_on_a_page_of_cards_is_cut_off_or_written_over(monkeypatch, base_seed, k):
    rng = np.random.default_rng(base_seed)
    names = (
        "app_home",
        "call_support",
        "a_shop_with_a_name_that_does_not_end_before_the_line",
        "線上產品頁面與非常長的名稱",
    )
    features, posterior, kind = made(rng, k=k, n=200 * k, names=names)
    said, themes = written(rng, features, kind, np.linspace(0.9, 0.1, k))
    themes["comment"] = "我在商店購買了這個產品 and then nobody answered for weeks. " * 4
    labels = tuple(f"{chr(65 + i)}: kind {i} of a long name, 線上產品頁面" for i in range(k))
    shown, found = drawn(monkeypatch, carded(features, posterior, labels, said=said, themes=themes))
    assert len(found) == k
    for card, words in found:
        for place, (_, box) in enumerate(words):
            assert card.x0 <= box.x0
            assert box.x1 <= card.x1
            assert card.y0 <= box.y0
            over = [w for w, other in words[:place] if min(box.x1, other.x1) - max(box.x0, other.x0) > 1
                    and min(box.y1, other.y1) - max(box.y0, other.y0) > 4]  # fmt: skip
            assert over == []
    assert all(label in shown.alt for label in labels)


def test_a_persona_of_few_is_on_no_page(monkeypatch, base_seed):
    features, posterior, _ = made(np.random.default_rng(base_seed), k=3)
    result = carded(features, posterior)
    few = result.table()["persona"] == "C: kind 2"
    result = cx.personas.Cards(result.table().assign(n=result.table()["n"].mask(few, 9)), result.labels)
    assert "C: kind 2" not in set(visible(result.table())["persona"])
    shown, found = drawn(monkeypatch, result)
    assert len(found) == 2
    assert "C: kind 2" not in shown.alt


def test_what_a_few_of_a_persona_declare_chose_or_wrote_is_on_no_card(base_seed):
    rng = np.random.default_rng(base_seed)
    features, posterior, kind = made(rng, k=3)
    code = np.where(np.arange(600) % 2, 0, 1)
    code[np.flatnonzero(kind == 0)[:9]] = 2
    faith = Answers("faith", "", ("one", "other", "rare"), code)
    features = replace(features, blocks=(*features.blocks, faith))
    said, themes = written(rng, features, kind, (0.6, 0.6, 0.6))
    nine = themes[themes["theme"] == "pain"].drop_duplicates("person")
    nine = nine.groupby(nine["person"].map(dict(zip(features.persons, kind, strict=True)))).head(9)
    found = carded(features, posterior, said=said, themes=nine).table()
    assert len(nine) == 27
    assert "tier" in set(found["block"])
    assert not {"rare", "pain"} & set(found["feature"])


def test_addresses_in_a_quote_are_masked_on_the_page(monkeypatch, base_seed):
    rng = np.random.default_rng(base_seed)
    features, posterior, kind = made(rng)
    said, themes = written(rng, features, kind, (0.6, 0.1))
    themes["comment"] = "write to anna.rossi@example.com for $5 or $6"
    _, found = drawn(monkeypatch, carded(features, posterior, said=said, themes=themes))
    words = " ".join(text for _, texts in found for text, _ in texts).replace("\n", " ")
    assert "write to [e-mail] for $5 or $6" in words
    assert "rossi" not in words
