"""Counts on the log against documented cases and the plain pandas a reader would write."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import cxlib as cx
from cxlib.errors import CxLookupError, CxValueError
from cxlib.study import Study

CATALOG = pd.DataFrame(
    {
        "touchpoint": ["home", "catalog", "search", "cart", "purchase"],
        "channel": ["web", "web", "search", "web", "web"],
        "stage": ["awareness", "engagement", "engagement", "transaction", "transaction"],
    }
)


def study_of(paths: list[list[str]], pause: str = "1 min") -> Study:
    rows = [
        (
            f"e{person:04d}-{place:04d}",
            f"c{person:04d}",
            pd.Timestamp("2026-01-05") + place * pd.Timedelta(pause),
            name,
        )
        for person, path in enumerate(paths)
        for place, name in enumerate(path)
    ]
    events = pd.DataFrame(rows, columns=["event_id", "customer_id", "ts", "touchpoint"])
    return cx.open_study({"touchpoints": events, "catalog": CATALOG})


@pytest.fixture(scope="module")
def documented():
    """The five paths of retentioneering's step-matrix documentation, as its printed counts imply them."""
    return study_of(
        [
            ["home", "catalog", "cart", "purchase"],
            ["home", "catalog", "cart", "purchase"],
            ["home", "catalog", "catalog", "cart"],
            ["home", "search", "cart"],
            ["home", "search", "search"],
        ]
    )


def test_transition_counts_are_those_of_the_documented_example(documented):
    table = cx.journeys.transitions(documented).table().set_index(["source", "target"])["count"].to_dict()
    assert {pair: n for pair, n in table.items() if pair[1] != "(end)"} == {
        ("home", "catalog"): 3,
        ("home", "search"): 2,
        ("catalog", "cart"): 3,
        ("catalog", "catalog"): 1,
        ("search", "cart"): 1,
        ("search", "search"): 1,
        ("cart", "purchase"): 2,
    }
    assert table["cart", "(end)"] == 2


def test_the_step_matrix_is_that_of_the_documented_example(documented):
    shares = cx.journeys.steps(documented, n=4).matrix()
    assert shares.loc[1, "home"] == 1
    assert shares.loc[2, ["catalog", "search"]].tolist() == [0.6, 0.4]
    assert shares.loc[3, ["catalog", "search", "cart"]].tolist() == [0.2, 0.2, 0.6]
    assert shares.loc[4, ["cart", "purchase", "(end)"]].tolist() == [0.2, 0.4, 0.4]


def test_the_funnel_is_that_of_the_documented_example(documented):
    table = cx.journeys.funnel(documented, ["home", "cart", "purchase"]).table()
    assert table["count"].tolist() == [5, 4, 2]


@pytest.fixture(scope="module")
def clickstream(mirror):
    """31,106 events of a public synthetic shop; ties in time go by row number."""
    raw = pd.read_csv(mirror / "ecom_clickstream" / "ecom.csv.gz")
    events = pd.DataFrame(
        {
            "event_id": np.arange(len(raw)),
            "customer_id": raw["path_id"].astype(str) if "path_id" in raw else raw["user_id"].astype(str),
            "ts": pd.to_datetime(raw["timestamp"]),
            "touchpoint": raw["event"],
            "channel": "web",
            "stage": "engagement",
        }
    )
    return cx.open_study({"touchpoints": events})


def test_the_public_clickstream_has_its_published_funnel(clickstream):
    funnel = cx.journeys.funnel(clickstream, ["catalog", "add_to_cart", "purchase"])
    assert funnel.table()["count"].tolist() == [600, 511, 285]
    from_cart = cx.journeys.funnel(clickstream, ["add_to_cart", "purchase"])
    assert from_cart.table()["count"].tolist() == [522, 297]


def test_the_public_clickstream_begins_where_published(clickstream):
    first = cx.journeys.steps(clickstream, n=1).matrix().loc[1]
    assert first[["home", "catalog", "product_view"]].round(4).tolist() == [0.325, 0.2683, 0.1217]


PATHS = st.lists(
    st.lists(st.sampled_from(CATALOG["touchpoint"].tolist()), min_size=1, max_size=8), min_size=1, max_size=12
)


@settings(max_examples=25, deadline=None)
@given(PATHS)
def test_counts_equal_the_plain_pandas_expression(paths):
    study = study_of(paths)
    frame = pd.DataFrame(
        [(person, name) for person, path in enumerate(paths) for name in path],
        columns=["person", "touchpoint"],
    )
    frame["next"] = frame.groupby("person")["touchpoint"].shift(-1).fillna("(end)")
    frame["step"] = frame.groupby("person").cumcount() + 1
    expected = frame.groupby(["touchpoint", "next"]).size()
    table = cx.journeys.transitions(study).table().set_index(["source", "target"])
    assert table["count"].to_dict() == expected.to_dict()
    assert np.allclose(table.groupby("source")["estimate"].sum(), 1)
    steps = cx.journeys.steps(study, n=3)
    assert np.allclose(steps.matrix().sum(axis=1), 1)
    here = frame[frame["step"] <= 3].groupby(["step", "touchpoint"]).size() / len(paths)
    assert all(abs(steps.matrix().loc[k] - share) < 1e-12 for k, share in here.items())
    switch = cx.journeys.switches(study).table()
    assert switch["count"].sum() == sum(len(path) - 1 for path in paths)


@settings(max_examples=15, deadline=None)
@given(PATHS, st.permutations(["home", "cart", "purchase"]))
def test_the_funnel_is_the_greedy_match_and_never_widens(paths, order):
    def reached(path):
        place, steps = -1, 0
        for name in order:
            later = [i for i, seen in enumerate(path) if seen == name and i > place]
            if not later:
                break
            place, steps = later[0], steps + 1
        return steps

    counts = [sum(reached(path) >= k for path in paths) for k in (1, 2, 3)]
    table = cx.journeys.funnel(study_of(paths), order).table()
    assert table["count"].tolist() == counts
    assert counts == sorted(counts, reverse=True)


def test_switches_are_counted_the_same_where_rows_carry_their_own_channel():
    paths = [["home", "search", "cart"], ["search", "search", "home"], ["cart", "home", "search", "home"]]
    plain = study_of(paths)
    events = plain.fetch(plain.table("touchpoints"))[["event_id", "customer_id", "ts", "touchpoint"]]
    events["channel"] = events["touchpoint"].map(CATALOG.set_index("touchpoint")["channel"])
    moved = events.copy()
    moved.loc[moved["event_id"] == "e0002-0003", "channel"] = "store"
    own = cx.open_study({"touchpoints": moved, "catalog": CATALOG})
    assert "channel" not in own.log().of
    a, b = (cx.journeys.switches(s).table().set_index(["source", "target"])["count"] for s in (plain, own))
    assert b["search", "store"] == 1
    assert a["search", "web"] == b["search", "web"] + 1
    assert a.sum() == b.sum()


def test_a_visit_ends_at_its_last_event_and_brand_contacts_do_not_count():
    study = study_of([["home", "cart"], ["home", "catalog", "home"]])
    events = study.fetch(study.table("touchpoints"))[["event_id", "customer_id", "ts", "touchpoint"]]
    events["initiated_by"] = "customer"
    mail = pd.DataFrame(
        {
            "event_id": ["m"], "customer_id": ["c0000"], "ts": [pd.Timestamp("2026-01-05 00:10")],
            "touchpoint": ["search"], "initiated_by": ["brand"],
        }
    )  # fmt: skip
    study = cx.open_study({"touchpoints": pd.concat([events, mail]), "catalog": CATALOG})
    table = cx.journeys.drop_off(study).table().set_index("touchpoint")
    assert table["count"].to_dict() == {"cart": 1, "home": 1, "catalog": 0}
    assert table["n"].to_dict() == {"cart": 1, "home": 3, "catalog": 1}


def test_a_longer_pause_makes_fewer_visits():
    study = study_of([["home", "cart", "home", "catalog"]], pause="1 h")
    short = cx.journeys.drop_off(study).table()["count"].sum()
    assert (short, cx.journeys.drop_off(study, gap="2 h").table()["count"].sum()) == (4, 1)


def test_every_claim_is_a_sentence_on_any_study(documented):
    for make in (
        cx.journeys.transitions,
        cx.journeys.steps,
        cx.journeys.switches,
        cx.journeys.drop_off,
        cx.journeys.funnel,
    ):
        assert str(make(documented).claim()).endswith(".")


def test_a_funnel_says_which_names_there_are(documented):
    with pytest.raises(CxLookupError, match="Did you mean `purchase`"):
        cx.journeys.funnel(documented, ["home", "purchas"])
    with pytest.raises(CxValueError, match="at least two steps"):
        cx.journeys.funnel(documented, ["home"])


def test_small_cells_are_not_displayed(documented):
    shown = cx.journeys.transitions(documented)._repr_mimebundle_()
    assert "purchase" not in shown["text/html"]
    assert "purchase" not in shown["text/csv"]
    assert "not shown" in shown["text/html"]


def said_of(study) -> str:
    """Everything this room would display of a study: claims, tables, alt texts, summary."""
    journeys = cx.journeys
    results = [
        make(study)
        for make in (
            journeys.transitions,
            journeys.steps,
            journeys.switches,
            journeys.drop_off,
            journeys.funnel,
        )
    ]
    credit = [
        journeys.markov(study, conversion=["purchase"]),
        journeys.shapley(study, conversion=["purchase"]),
    ]
    plots = journeys.plots
    figures = [
        plots.moves(results[0], "What follows"), plots.steps(results[1]), plots.moves(results[2], "Which channel"),
        plots.drop_off(results[3]), plots.funnel(results[4]), plots.attribution(*credit),
    ]  # fmt: skip
    shown = [
        str(part)
        for result in (*results, *credit)
        for part in (result.claim(), *result._repr_mimebundle_().values())
    ]
    return "\n".join([*shown, *(figure.alt for figure in figures), str(journeys.summary(study))])


@settings(max_examples=10, deadline=None)
@given(PATHS.filter(lambda paths: len(paths) < 10 and any("purchase" in path for path in paths)))
def test_of_fewer_than_ten_customers_nothing_is_said(paths):
    said = said_of(study_of([path * 20 for path in paths]))
    assert not [
        name
        for name in CATALOG["touchpoint"]
        if name in said.replace("Before a purchase", "").replace("after a purchase", "")
    ]
    assert "%" not in said.replace("(% of", "")


def test_one_busy_customer_is_not_a_finding():
    paths = [["home", "catalog", "cart"]] * 60 + [["home"] + ["search", "purchase"] * 40]
    said = said_of(study_of(paths))
    assert "catalog" in said
    assert "search" not in said
    assert "purchase" not in said.replace("Before a purchase", "")


def test_cells_shown_rest_on_at_least_ten_customers():
    paths = [["home", "catalog"]] * 40 + [["home", "search"]] * 9 + [["home", "cart"]]
    table = cx.journeys.transitions(study_of(paths)).table()
    people = {"catalog": 40, "search": 9, "cart": 1}
    home = table[table["source"] == "home"].set_index("target")
    assert all(home.loc[name, "folds"] <= people[name] for name in people)
