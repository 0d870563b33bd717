"""Attribution against published examples, an independent path enumeration, and its own identities."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import cxlib as cx
from cxlib.errors import CxLookupError, CxValueError


def frame(rows):
    return pd.DataFrame(rows, columns=["path", "conversions", "nulls"])


def test_removal_effects_of_the_three_path_example():
    result = cx.journeys.markov(frame([("C1 > C2 > C3", 1, 0), ("C1", 0, 1), ("C2 > C3", 0, 1)]))
    assert result.removal_effects()["estimate"].tolist() == pytest.approx([1 / 2, 1, 1])
    assert result.table().set_index("channel")["share"].to_dict() == pytest.approx(
        {"C1": 0.2, "C2": 0.4, "C3": 0.4}
    )


def test_removal_effects_of_the_published_google_mailing_example():
    result = cx.journeys.markov(frame([("google", 2, 1), ("mailing", 1, 0), ("google > mailing", 1, 0)]))
    assert result.removal_effects().set_index("channel")["estimate"].to_dict() == pytest.approx(
        {"google": 3 / 4, "mailing": 1 / 2}
    )
    assert result.table().set_index("channel")["share"].to_dict() == pytest.approx(
        {"google": 0.6, "mailing": 0.4}
    )


def test_shapley_of_the_published_worths():
    worths = {"F": 0.2, "O": 0.1, "L": 0.17, "FO": 0.47, "FL": 0.67, "OL": 0.27, "FOL": 1.0}
    table = cx.journeys.shapley(worths={frozenset(k): v for k, v in worths.items()}).set_index("channel")
    assert table["estimate"].to_dict() == pytest.approx({"F": 0.455, "O": 0.205, "L": 0.34})


@pytest.fixture(scope="module")
def public_paths(mirror):
    raw = pd.read_csv(mirror / "attribution_paths" / "data.csv.gz")
    return raw.rename(columns={"total_conversions": "conversions", "total_null": "nulls"})


# Exact solves and heuristics printed in the oracle page of the public path data.
CREDIT = {
    "alpha": 5344.9477, "iota": 3884.6147, "eta": 3340.8474, "beta": 2527.3522, "theta": 1971.9129,
    "lambda": 1282.8472, "epsilon": 599.5707, "zeta": 381.0626, "kappa": 274.3633, "gamma": 171.1454,
    "delta": 4.6136, "mi": 1.7224,
}  # fmt: skip
EFFECT = {
    "alpha": 0.5584, "iota": 0.4058, "eta": 0.3490, "beta": 0.2640, "theta": 0.2060, "lambda": 0.1340,
    "epsilon": 0.0626, "zeta": 0.0398, "kappa": 0.0287, "gamma": 0.0179,
}  # fmt: skip
FIRST = {"alpha": 6308, "iota": 4606, "eta": 3164, "beta": 2831, "theta": 1606, "lambda": 902}
LAST = {"alpha": 8447, "eta": 4167, "iota": 3355, "lambda": 1207, "beta": 989, "theta": 653}
LINEAR = {
    "alpha": 7574.719,
    "iota": 3857.096,
    "eta": 3539.951,
    "beta": 2083.500,
    "lambda": 1035.258,
    "theta": 1022.801,
}


def test_public_paths_have_their_exact_removal_effects(public_paths):
    result = cx.journeys.markov(public_paths)
    credit = result.table().set_index("channel")
    assert {c: round(credit.loc[c, "estimate"], 4) for c in CREDIT} == CREDIT
    effects = result.removal_effects().set_index("channel")["estimate"]
    assert {c: round(effects[c], 4) for c in EFFECT} == EFFECT
    assert result.conversions == 19_785
    assert result.journeys == 19_785 + 68_602


def test_public_paths_have_their_heuristic_credits(public_paths):
    rules = cx.journeys.heuristics(public_paths)
    for name, expected in (("first", FIRST), ("last", LAST), ("linear", LINEAR)):
        table = rules[name].table().set_index("channel")["estimate"]
        assert {c: round(table[c], 3) for c in expected} == expected
        assert table.sum() == pytest.approx(19_785)


PATHS = st.lists(
    st.tuples(
        st.lists(st.sampled_from("abcd"), min_size=1, max_size=5), st.integers(0, 4), st.integers(0, 4)
    ),
    min_size=1,
    max_size=8,
).filter(lambda rows: sum(won for _, won, _ in rows) > 0)


def table_of(rows):
    return frame([(" > ".join(path), won, lost) for path, won, lost in rows])


@settings(max_examples=50, deadline=None)
@given(PATHS)
def test_credits_sum_to_the_conversions(rows):
    for result in (cx.journeys.markov(table_of(rows)), cx.journeys.shapley(table_of(rows))):
        assert result.table()["estimate"].sum() == pytest.approx(sum(won for _, won, _ in rows))


@settings(max_examples=50, deadline=None)
@given(PATHS)
def test_self_loops_change_no_removal_effect(rows):
    collapsed = [([c for i, c in enumerate(p) if i == 0 or p[i - 1] != c], w, n) for p, w, n in rows]
    a, b = (
        cx.journeys.markov(table_of(r)).removal_effects()["estimate"].to_numpy() for r in (rows, collapsed)
    )
    assert a == pytest.approx(b, abs=1e-9)


@settings(max_examples=30, deadline=None)
@given(PATHS)
def test_renaming_channels_changes_nothing_but_names(rows):
    renamed = dict(zip("abcd", "zyxw", strict=True))
    other = [([renamed[c] for c in path], won, lost) for path, won, lost in rows]
    a = cx.journeys.markov(table_of(rows)).removal_effects().set_index("channel")["estimate"].rename(renamed)
    b = cx.journeys.markov(table_of(other)).removal_effects().set_index("channel")["estimate"]
    assert a.sort_index().tolist() == pytest.approx(b.sort_index().tolist(), abs=1e-9)


@settings(max_examples=30, deadline=None)
@given(PATHS)
def test_the_equal_split_is_the_shapley_value_of_conversions_within_sets(rows):
    sets = [(frozenset(path), won) for path, won, _ in rows]
    players = sorted(set().union(*(s for s, _ in sets)))
    coalitions = [
        frozenset(p for i, p in enumerate(players) if k >> i & 1) for k in range(1, 2 ** len(players))
    ]
    worths = {c: float(sum(won for s, won in sets if s <= c)) for c in coalitions}
    exact = cx.journeys.shapley(worths=worths).set_index("channel")["estimate"]
    split = cx.journeys.shapley(table_of(rows)).table().set_index("channel")["estimate"]
    assert split[exact.index].tolist() == pytest.approx(exact.tolist(), abs=1e-9)


def test_a_study_gives_what_its_written_out_paths_give(base_seed):
    draw = np.random.default_rng(base_seed)
    catalog = pd.DataFrame(
        {"touchpoint": ["ad", "page", "shop", "buy"], "channel": ["social", "web", "store", "web"],
         "stage": ["awareness", "engagement", "engagement", "transaction"]}
    )  # fmt: skip
    rows, paths = [], []
    channel = dict(zip(catalog["touchpoint"], catalog["channel"], strict=True))
    for person in range(60):
        names = draw.choice(catalog["touchpoint"], size=draw.integers(1, 12), p=[0.3, 0.3, 0.2, 0.2]).tolist()
        rows += [(f"{person}-{i:03d}", f"c{person}", pd.Timestamp("2026-01-05") + pd.Timedelta(minutes=i), n)
                 for i, n in enumerate(names)]  # fmt: skip
        path = []
        for name in names:
            if name == "buy":
                paths.append((path or ["(direct)"], 1, 0))
                path = []
            else:
                path.append(channel[name])
        paths += [(path, 0, 1)] if path else []
    events = pd.DataFrame(rows, columns=["event_id", "customer_id", "ts", "touchpoint"])
    study = cx.open_study({"touchpoints": events, "catalog": catalog})
    for rule in (cx.journeys.markov, cx.journeys.shapley):
        ours = rule(study, conversion=["buy"]).table().set_index("channel")["estimate"]
        written = rule(table_of(paths)).table().set_index("channel")["estimate"]
        assert ours.sort_index().to_dict() == pytest.approx(written.sort_index().to_dict())


@pytest.mark.slow
def test_multinomial_intervals_of_removal_effects_cover(base_seed):
    paths = ["a > b", "b", "a", "b > c > a", "c"]
    won = np.array([0.10, 0.05, 0.04, 0.06, 0.05])
    lost = np.array([0.15, 0.15, 0.20, 0.10, 0.10])
    truth = cx.journeys.markov(frame(list(zip(paths, won, lost, strict=True)))).removal_effects()["estimate"]
    draw, held = np.random.default_rng(base_seed), []
    for _ in range(400):
        counts = draw.multinomial(800, np.concatenate([won, lost]))
        table = cx.journeys.markov(
            frame(list(zip(paths, counts[:5], counts[5:], strict=True)))
        ).removal_effects()
        held.append(((table["low"] <= truth) & (truth <= table["high"])).mean())
    # Three cells a draw are dependent: the draws are the units. Rejects only far outside 92 to 97 %.
    spread = 3.3 * np.std(held) / np.sqrt(len(held))
    assert 0.92 - spread < np.mean(held) < 0.975 + spread


def test_a_channel_that_changes_from_event_to_event_is_followed(base_seed):
    draw = np.random.default_rng(base_seed)
    rows, paths = [], []
    for person in range(40):
        path = []
        for place in range(int(draw.integers(1, 8))):
            name, channel = (
                ("buy", "web") if draw.random() < 0.3 else ("page", str(draw.choice(["web", "app", "store"])))
            )
            at = pd.Timestamp("2026-01-05") + pd.Timedelta(minutes=place)
            rows.append((f"{person}-{place}", f"c{person}", at, name, channel, "engagement"))
            if name == "buy":
                paths.append((path or ["(direct)"], 1, 0))
                path = []
            else:
                path.append(channel)
        paths += [(path, 0, 1)] if path else []
    columns = ["event_id", "customer_id", "ts", "touchpoint", "channel", "stage"]
    study = cx.open_study({"touchpoints": pd.DataFrame(rows, columns=columns)})
    for rule in (cx.journeys.markov, cx.journeys.shapley):
        ours = rule(study, conversion="buy").table().set_index("channel")["estimate"]
        written = rule(table_of(paths)).table().set_index("channel")["estimate"]
        assert ours.sort_index().to_dict() == pytest.approx(written.sort_index().to_dict())


def test_few_conversions_have_credits_but_no_interval_and_no_claim():
    result = cx.journeys.markov(frame([("a > b", 3, 40), ("b", 2, 40)]))
    assert result.table()["low"].isna().all()
    assert result.table()["estimate"].sum() == pytest.approx(5)
    assert "Too few" in str(result.claim())


def test_errors_say_what_is_missing():
    with pytest.raises(CxValueError, match="missing: conversions"):
        cx.journeys.markov(pd.DataFrame({"path": ["a"]}))
    with pytest.raises(CxValueError, match="empty channel"):
        cx.journeys.markov(frame([("a > ", 1, 0)]))
    with pytest.raises(CxValueError, match="finite and not negative"):
        cx.journeys.markov(frame([("a", -1, 0)]))
    with pytest.raises(CxValueError, match="first-order"):
        cx.journeys.markov(frame([("a", 1, 0)]), order=2)
    with pytest.raises(CxValueError, match="every coalition"):
        cx.journeys.shapley(worths={frozenset("ab"): 1.0})
    with pytest.raises(CxLookupError, match="Did you mean `web_purchase`"):
        cx.journeys.markov(cx.open_study("demo"), conversion=["web_purchas"])
