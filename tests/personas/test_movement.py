"""Movement and drift: nobody moves, some do, personas change; against arithmetic and planted truth."""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import brentq
from scipy.special import xlogy

import cxlib as cx
from cxlib.errors import CxValueError
from cxlib.personas import Features, drift, movement, periods, plots

sys.path.insert(0, str(Path(__file__).parent))
from proofs_movement import FITTED, LABELS, SIZES, TASTE, USUAL, chosen, known, years


@pytest.fixture(scope="module")
def company(base_seed):
    """A small simulated company, the kind of each of its customers, its personas and its half-years."""
    world = cx.simulate(2000, base_seed + 11)
    study = cx.open_study(world.tables, currency="EUR", money="minor")
    personas = cx.personas.fit(cx.personas.features(study), k=5)
    return world.who.set_index("customer_id")["kind"], personas, periods(study, "half")


# --- movement --------------------------------------------------------------------------------------


def test_where_everybody_is_known_it_is_the_plain_share_with_its_likelihood_interval(base_seed):
    rng = np.random.default_rng(base_seed + 1)
    given, kind, later = years(rng, 0.2)
    sure = np.full((3, 6), 1e-9)
    sure[np.arange(3), np.arange(3)] = 1.0  # each chooses an option of its own, always
    known_ = replace(FITTED, params=((sure, USUAL),))
    given = {"2024": chosen(rng, kind, sure), "2025": chosen(rng, later, sure)}
    table = movement(replace(known(given["2024"]), fitted=known_), given).table().set_index("persona")
    for name, mine in (("(all)", kind >= 0), *((name, kind == i) for i, name in enumerate(LABELS))):
        n, moved = mine.sum(), (kind != later)[mine].sum()
        share = moved / n

        def fall(p, moved=moved, n=n, share=share):
            return 2 * (xlogy(moved, share / p) + xlogy(n - moved, (1 - share) / (1 - p))) - 3.841459

        row = table.loc[name]
        assert (row["customers"], row["naive"]) == (n, pytest.approx(share))
        assert row["estimate"] == pytest.approx(share, abs=2e-3)
        assert row["low"] == pytest.approx(brentq(fall, 1e-9, share), abs=2e-3)
        assert row["high"] == pytest.approx(brentq(fall, share, 1 - 1e-9), abs=2e-3)


def test_nobody_moves_though_a_third_seem_to(company):
    _, personas, halves = company
    found = movement(personas, halves)
    row = found.table().iloc[0]
    assert row["persona"] == "(all)"
    assert row["low"] == 0
    assert row["high"] < 0.1
    assert row["naive"] > 0.2
    assert str(found.claim()).startswith(f"Of {row['n']:,} customers seen in the periods from 2025-01-01")


def test_customers_whose_second_half_is_somebody_elses_are_found(company, base_seed):
    """Seven in twenty get another's second half-year; who is then of another kind has moved."""
    kind, personas, (first, second) = (*company[:2], company[2].values())
    rng = np.random.default_rng(base_seed)
    both = np.flatnonzero(np.isin(second.persons, first.persons))
    some = rng.permutation(both)[: int(0.35 * len(both))]
    persons = second.persons.copy()
    persons[some] = persons[np.roll(some, 1)]
    truth = (kind[persons[some]].to_numpy() != kind[second.persons[some]].to_numpy()).sum() / len(both)
    order = np.argsort(persons)
    swapped = Features(persons[order], tuple(block.take(order) for block in second.blocks), second.profile)
    row = movement(personas, {"first": first, "second": swapped}).table().iloc[0]
    assert row["n"] == len(both)
    assert row["low"] - 0.05 < truth < row["high"] + 0.05  # the personas are estimated, and from few
    assert row["naive"] > row["high"]


def test_the_order_of_customers_changes_nothing(base_seed):
    rng = np.random.default_rng(base_seed + 2)
    given, _, _ = years(rng, 0.2)
    order = rng.permutation(800)
    mixed = {
        name: Features(one.persons[order], (one.blocks[0].take(order),), one.profile)
        for name, one in given.items()
    }
    one, two = (movement(known(given["2024"]), periods_).table() for periods_ in (given, mixed))
    pd.testing.assert_frame_equal(one, two, rtol=1e-3)


def test_who_was_seen_in_one_period_only_does_not_count(base_seed):
    given, _, _ = years(np.random.default_rng(base_seed + 3), 0.0)
    late = given["2025"]
    some = np.arange(300, 800)
    given["2025"] = Features(late.persons[some], (late.blocks[0].take(some),), late.profile.iloc[some])
    table = movement(known(given["2024"]), given).table()
    assert (table["n"] == 500).all()
    assert table["customers"].tolist()[0] == 500 == table["customers"][1:].sum()


def test_with_one_persona_or_one_period_nobody_can_change(base_seed):
    given = chosen(np.random.default_rng(base_seed), np.zeros(50, int))
    alone = movement(known(given), {"2024": given})
    assert alone.table().empty
    assert "nobody can change" in alone.claim()
    single = cx.personas.fit(given, k=1)
    for found in (movement(single, {"a": given, "b": given}), drift(single, {"a": given, "b": given})):
        assert found.table().empty
        assert str(found.claim()).startswith("With one persona")


def test_personas_of_what_customers_are_say_that_they_know_nothing_that_customers_do():
    colour = ["red", "blue"] * 100
    frame = pd.DataFrame({"person": range(200), "hat": colour, "coat": colour, "scarf": colour})
    features = cx.personas.features(frame)
    both = cx.personas.fit(features, k=2), {"one": features, "two": features}
    assert "no record of what customers do" in str(cx.personas.movement(*both).claim())
    assert "nothing to choose" in str(cx.personas.drift(*both).claim())
    with pytest.raises(CxValueError, match="no period"):
        cx.personas.drift(both[0], {})


def test_a_handful_of_customers_is_too_few_to_speak_of(base_seed):
    given, _, _ = years(np.random.default_rng(base_seed), 0.2, customers=8)
    found = movement(known(given["2024"]), given)
    assert len(found.table()) == 4
    assert str(found.claim()) == "Too few customers to say."


# --- drift -----------------------------------------------------------------------------------------


def test_a_changed_taste_is_found_and_named(base_seed):
    rng = np.random.default_rng(base_seed + 4)
    kind = rng.choice(3, 2000, p=SIZES)
    bent = TASTE.copy()
    bent[1, 2] *= 3  # stores' customers come to choose `w`
    given = {"2024": chosen(rng, kind), "2025": chosen(rng, kind, bent)}
    found = drift(known(given["2024"]), given)
    first = found.table().iloc[0]
    assert (first["period"], first["persona"], first["feature"]) == ("2025", "store", "w")
    assert 1.2 < first["low"] < first["estimate"] < 3
    assert "from 2025 on: store chose w" in found.claim()
    assert (found.table().query("period == '2024'")["q"] > 0.01).all()


def test_what_changes_for_everybody_is_nobodys_drift(base_seed):
    # All choose `z` four times as often in the second year, whoever they are.
    rng = np.random.default_rng(base_seed + 5)
    kind = rng.choice(3, 2000, p=SIZES)
    given = {"2024": chosen(rng, kind), "2025": chosen(rng, kind, TASTE * [1, 1, 1, 1, 1, 4])}
    found = drift(known(given["2024"]), given)
    assert (found.table()["q"] > 0.01).all()
    assert (
        str(found.claim())
        == f"Tastes of personas that have changed in some period: 0 of {len(found.table())}."
    )


def test_sizes_are_those_of_each_periods_customers(base_seed):
    rng = np.random.default_rng(base_seed + 6)
    shares = {"2024": SIZES, "2025": SIZES[::-1]}
    given = {name: chosen(rng, rng.choice(3, 3000, p=share)) for name, share in shares.items()}
    sizes = drift(known(given["2024"]), given).sizes
    truth = np.concatenate(list(shares.values()))
    half = (sizes["high"] - sizes["low"]) / 2
    assert (
        abs(sizes["estimate"] - truth) < 2 * half
    ).all()  # contexts are learnt too, which widens by a little
    assert sizes.groupby("period")["estimate"].sum().to_numpy() == pytest.approx(1)


# --- periods, pictures -----------------------------------------------------------------------------


def test_periods_are_those_of_the_calendar():
    days = pd.date_range("2026-02-10", "2026-05-20", periods=40)
    orders = pd.DataFrame(
        {"customer_id": [f"c{i % 5}" for i in range(40)], "ts": days, "revenue": range(1, 41)}
    )
    orders["order_id"] = [f"o{i}" for i in range(40)]
    study = cx.open_study({"orders": orders}, currency="EUR", money="minor")
    assert list(periods(study, "month")) == ["2026-02-01", "2026-03-01", "2026-04-01", "2026-05-01"]
    found = periods(study, "quarter")
    assert list(found) == ["2026-01-01", "2026-04-01"]
    counts = [given.profile["orders"].sum() for given in found.values()]
    assert counts == [(days < "2026-04-01").sum(), (days >= "2026-04-01").sum()]
    with pytest.raises(CxValueError, match="every is `week`; it is one of month, quarter, half, year"):
        periods(study, "week")


def test_figures_have_words(company):
    _, personas, halves = company
    for shown in (plots.movement(movement(personas, halves)), plots.drift(drift(personas, halves))):
        assert shown.png.startswith(b"\x89PNG")
        assert len(shown.alt.split()) > 6
