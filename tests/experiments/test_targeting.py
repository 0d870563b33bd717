"""For whom does it work, is choosing by persona worth it, and how often may we write: planted and found."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import cxlib as cx
from cxlib import stats
from cxlib.errors import CxLookupError, CxValueError
from cxlib.experiments import analyze, frequency, overview, plots, policy, summary
from cxlib.experiments.analysis import BROKEN
from cxlib.experiments.policy import KEEP, ONE, PERSONALISE, UNKNOWN
from cxlib.readers import hillstrom
from cxlib.world import simulate
from tests import harness
from tests.experiments.made import KINDS, SEED, shop, told

TARGETED = {"control": 1.0, "deals": (1.6, 0.6, 1.0), "guide": (0.6, 1.6, 1.0)}


def people(
    seed: int, n: int, effect: dict[str, float], right: float = 0.8
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """One row a customer with an effect by hidden kind, and memberships that are right as often as they say."""
    rng = np.random.default_rng(SEED + seed)
    kinds = np.array(list(effect))
    kind, wrong = rng.integers(0, len(kinds), n), rng.random(n) > right
    named = np.where(wrong, (kind + rng.integers(1, len(kinds), n)) % len(kinds), kind)
    arm = rng.integers(0, 2, n)
    before = rng.normal(0, 1, n)
    spend = 5 + kind + before + arm * np.array(list(effect.values()))[kind] + rng.normal(0, 1, n)
    frame = pd.DataFrame({"customer_id": [f"c{i}" for i in range(n)], "arm": np.where(arm, "new", "control")})
    frame = frame.assign(spend=spend, before=before, visits=1 + rng.poisson(2, n))
    chance = np.where(named[:, None] == np.arange(len(kinds)), right, (1 - right) / (len(kinds) - 1))
    return frame, pd.DataFrame(chance, columns=kinds).assign(person=frame["customer_id"])


# --- within personas ---------------------------------------------------------------------------


def test_misclassified_customers_blur_the_effects_and_the_correction_undoes_it() -> None:
    # told right four times in five, a kind's plain effect is .8 of its own and .2 of the other's
    frame, members = people(1, 20_000, {"a": 2.0, "b": 0.0})
    found = analyze(frame, "arm", "spend", "before", memberships=members).personas
    assert found is not None
    table = found.table().set_index("persona")
    assert table["estimate"].to_dict() == pytest.approx({"a": 2.0, "b": 0.0}, abs=0.3)
    assert table["uncorrected"].to_dict() == pytest.approx({"a": 1.6, "b": 0.4}, abs=0.2)
    assert found.tests["q"].iloc[0] < 0.001
    assert found.claim().startswith("1 of 1 effect differs between personas: new on spend from")


def test_where_every_kind_gains_alike_nothing_is_said_to_differ() -> None:
    frame, members = people(2, 6_000, {"a": 1.0, "b": 1.0, "c": 1.0})
    found = analyze(frame, "arm", "spend", "before", memberships=members).personas
    assert found is not None
    assert found.tests["p"].iloc[0] > 1e-4
    assert found.table()["q"].max() < 0.05


def test_certain_memberships_give_the_plain_effects_of_each_group() -> None:
    frame, members = people(3, 3_000, {"a": 2.0, "b": 0.0}, right=1.0)
    found = analyze(frame, "arm", ["spend", "spend/visits"], memberships=members).personas
    assert found is not None
    kind = members[["a", "b"]].idxmax(axis=1)
    for metric in ("spend", "spend/visits"):
        plain = pd.concat([analyze(frame[kind == k], "arm", metric).table() for k in ("a", "b")])
        table = found.table().query("metric == @metric")
        assert table["estimate"].tolist() == pytest.approx(plain["estimate"].tolist())
        assert table["uncorrected"].tolist() == pytest.approx(plain["estimate"].tolist())
        assert table["low"].tolist() == pytest.approx(plain["low"].tolist(), rel=5e-3)


@pytest.mark.slow
@pytest.mark.parametrize("clusters", [False, True])
def test_effects_within_personas_are_covered_and_tests_of_sameness_err_as_promised(clusters: bool) -> None:
    said = []

    def draw(seed: int) -> pd.DataFrame:
        frame, members = people(seed - SEED, 800, {"a": 2.0, "b": 2.0})
        frame["area"] = frame.index % 40
        frame["arm"] = np.where(frame["area"] % 2, "new", "control") if clusters else frame["arm"]
        if clusters:
            rng = np.random.default_rng(seed + 1)
            frame["spend"] = 5 + frame["before"] + 2.0 * (frame["arm"] == "new") + rng.normal(0, 1, 800)
            frame["spend"] += rng.normal(0, 0.5, 40)[frame["area"]]
        found = analyze(
            frame,
            "arm",
            "spend",
            "before",
            memberships=members,
            limit=0,
            cluster="area" if clusters else None,
        ).personas
        assert found is not None
        said.append(float(found.tests["p"].iloc[0]))
        table = found.table().assign(truth=2.0, expected=50.0)
        return table[["persona", "estimate", "low", "high", "truth", "expected"]]

    bar = harness.coverage(draw, 80, SEED)
    assert not bar.rejects(0.92, 0.97), bar.table()
    assert stats.wilson(sum(p < 0.05 for p in said), len(said), level=0.999).low < 0.06


def test_who_has_no_membership_is_left_out_and_counted_and_strangers_are_refused() -> None:
    frame, members = people(5, 1_000, {"a": 1.0, "b": 0.0})
    found = analyze(frame, "arm", "spend", memberships=members.iloc[:900]).personas
    assert found is not None
    assert found.unmatched == 100
    with pytest.raises(CxLookupError, match="None of the 1,000 persons of the memberships"):
        analyze(frame, "arm", "spend", memberships=members.assign(person="x" + members["person"]))


# --- policies ----------------------------------------------------------------------------------


def test_hillstrom_personalising_does_not_pay(mirror: Path) -> None:
    emails = hillstrom.read({hillstrom.FILE: mirror / "hillstrom" / hillstrom.FILE})
    emails["spent"] = pd.qcut(emails["history"], 4, labels=False)
    groups = ["mens", "womens", "newbie", "channel", "spent"]
    result = policy(emails, "segment", "visit", groups, ["recency", "history"], control="No E-Mail")
    value = result.table().set_index("policy")["estimate"]
    # Men's to all, doubly robust; the last digit is the model's (the standard error is .0026).
    assert value["best_single"] == pytest.approx(0.1827, abs=4e-4)
    assert value["control"] == pytest.approx(0.1062, abs=4e-4)
    row = result.gains.iloc[1]
    assert row["low"] < -0.0002 < row["high"]
    assert result.verdict == ONE
    assert result.single == "Mens E-Mail"
    assert result.claim().startswith("One arm for all, Mens E-Mail: ")


@pytest.fixture(scope="module")
def company() -> tuple[cx.study.Study, pd.DataFrame]:  # type: ignore[name-defined]
    """20,000 customers of the simulated company, and their true kinds as memberships."""
    world = simulate(20_000, seed=SEED + 1, faults=False)
    study = cx.open_study({name: world.tables[name] for name in ("customers", "orders", "exposures")})
    kinds = pd.get_dummies(world.who["kind"]).astype(float)
    return study, kinds.assign(person=world.who["customer_id"])


def test_a_home_page_that_helps_some_and_harms_others_is_worth_personalising(company) -> None:
    result = policy(company[0], "home_page", "margin", company[1])
    assert result.verdict == PERSONALISE
    arms = result.arms.set_index("persona")["arm"]
    assert arms[["app_native", "deal_seeker", "researcher"]].tolist() == ["quick", "deals", "guide"]
    assert result.claim().startswith("Personalise: beyond ")


def test_a_checkout_that_serves_all_alike_is_one_arm_for_all(company) -> None:
    result = policy(company[0], "checkout", "orders", company[1])
    assert (result.verdict, result.single) == (ONE, "one_page")
    assert result.check.unit == "clusters"


def test_a_broken_assignment_values_no_policy(company) -> None:
    result = policy(company[0], "new_search", "margin", company[1])
    assert result.verdict == BROKEN
    assert result.table()["estimate"].isna().all()
    assert result.gains["estimate"].isna().all()
    assert "The assignment is broken" in result.claim()


def test_where_there_is_one_kind_of_customer_nothing_is_personalised() -> None:
    world = simulate(8_000, seed=SEED + 2, world="one_kind", faults=False)
    study = cx.open_study({name: world.tables[name] for name in ("customers", "orders", "exposures")})
    group = np.random.default_rng(SEED).integers(0, 4, len(world.who))
    members = pd.DataFrame(np.eye(4)[group], columns=list("abcd")).assign(person=world.who["customer_id"])
    result = policy(study, "home_page", "orders", members)
    assert result.gains["estimate"].iloc[1] < 3 * max(result.gains["se"].iloc[1], 1e-12)


def test_arms_that_harm_everybody_leave_the_control() -> None:
    tables = shop(6, n=3_000, boost={"control": 1.0, "b": 0.5, "c": (0.6, 0.5, 0.4)})
    result = policy(cx.open_study(tables), "trial", "orders", told(tables))
    assert (result.verdict, result.single) == (KEEP, "control")
    assert result.claim().startswith("Keep control: every other arm for all is worth less")


def test_too_few_customers_cannot_tell_and_say_how_many_more() -> None:
    tables = shop(7, n=120, boost={"control": 1.0, "b": 1.05, "c": 1.0})
    result = policy(cx.open_study(tables), "trial", "orders", told(tables), limit=0)
    small = policy(cx.open_study(tables), "trial", "orders", told(tables), limit=0, worth=0.5)
    for one in (result, small):
        if one.verdict == UNKNOWN:  # one in twenty worlds of chance looks like an effect
            assert one.claim().startswith("Cannot tell")
    assert (result.gains["more"] >= 1).all()


@pytest.mark.slow
def test_where_arms_are_equal_no_policy_is_flattered_for_having_been_chosen() -> None:
    said = []

    def draw(seed: int) -> pd.DataFrame:
        rng = np.random.default_rng(seed)
        frame = pd.DataFrame({"arm": rng.choice(["control", "b", "c"], 600), "kind": rng.integers(0, 5, 600)})
        frame["spend"] = rng.gamma(1.0, 10.0, 600)
        found = policy(frame, "arm", "spend", "kind", limit=0, splits=7)
        said.append(found.verdict)
        # Whichever arm is chosen for whom, everybody is worth 10.
        return found.table().assign(truth=10.0, expected=50.0).drop(columns="n")

    bar = harness.coverage(draw, 120, SEED)
    assert not bar.rejects(0.92, 0.99), bar.table()
    assert stats.wilson(said.count(PERSONALISE), len(said), level=0.999).low < 0.025


@pytest.mark.slow
def test_the_value_of_each_policy_is_covered() -> None:
    # By the draw: 5 for the control; arm b adds 1 to kind x and takes 1 from kind y, which is a third.
    truth = {"control": 5.0, "best_single": 5 + 1 / 3, "personal": 5 + 2 / 3}

    def draw(seed: int) -> pd.DataFrame:
        rng = np.random.default_rng(seed)
        kind, b = rng.random(900) < 1 / 3, rng.random(900) < 0.5
        frame = pd.DataFrame({"arm": np.where(b, "b", "control"), "kind": np.where(kind, "y", "x")})
        frame["spend"] = 5 + b * np.where(kind, -1, 1) + rng.gamma(1.0, 1.0, 900) - 1
        table = policy(frame, "arm", "spend", "kind", limit=0, splits=5).table().assign(expected=50.0)
        return table.assign(truth=table["policy"].map(truth)).drop(columns="n")

    bar = harness.coverage(draw, 80, SEED)
    assert not bar.rejects(0.92, 0.97), bar.table()


def test_worth_asks_more_of_a_policy_than_being_above_nothing() -> None:
    frame, members = people(9, 4_000, {"a": 1.0, "b": -1.0}, right=1.0)
    frame["kind"] = members[["a", "b"]].idxmax(axis=1)
    assert policy(frame, "arm", "spend", "kind").verdict == PERSONALISE
    assert policy(frame, "arm", "spend", "kind", worth=2.0).verdict != PERSONALISE


def test_a_policy_of_a_study_needs_memberships() -> None:
    with pytest.raises(CxValueError, match="needs memberships"):
        policy(cx.open_study(shop(10)), "trial")


# --- how often ---------------------------------------------------------------------------------

DOSES = {"0": 1.0, "2": 1.5, "10": 1.0}


def test_the_highest_frequency_that_pays_is_found_with_its_price() -> None:
    left = {"0": 0.0, "2": 0.05, "10": 0.5}
    study = cx.open_study(shop(11, n=3_000, boost=DOSES, opt_out=left))
    result = frequency(study)
    table = result.table().set_index("dose")
    assert table.index.tolist() == [2.0, 10.0]
    assert table.loc[2.0, "verdict"] == "ship"
    assert table.loc[10.0, "lost_low"] < 0.5 < table.loc[10.0, "lost_high"]
    assert table.loc[2.0, "break_even"] == pytest.approx(table.loc[2.0, "estimate"] / table.loc[2.0, "lost"])
    assert result.claim().startswith("2 is the highest frequency shown to pay, and more is not shown to: +")
    dear = frequency(study, address=2 * table.loc[2.0, "break_even"])
    assert dear.table()["verdict"].tolist() == ["stop", "stop"]
    assert dear.claim().startswith("No frequency pays")


def test_without_an_effect_no_frequency_is_said_to_pay() -> None:
    study = cx.open_study(shop(12, n=300, boost=dict.fromkeys(DOSES, 1.0)))
    result = frequency(study)
    assert result.opt_out == ""
    assert result.table()["lost"].isna().all()
    if result.paying.empty:  # one in twenty worlds of chance looks like an effect
        assert result.claim().startswith(("Cannot tell which frequency pays", "No frequency pays"))


def test_a_study_that_never_varied_a_frequency_says_so() -> None:
    study = cx.open_study(shop(13))
    assert (
        frequency(study).claim() == "No experiment in this study varied how often customers are written to."
    )
    assert "too few customers" in plots.dose(frequency(study)).alt
    with pytest.raises(CxValueError, match="not three numbers"):
        frequency(study, "trial")


# --- what is shown -----------------------------------------------------------------------------


def test_every_figure_says_its_numbers_and_the_summary_has_a_line_from_each_result() -> None:
    tables = shop(14, n=1_500, boost=TARGETED)
    doses = shop(15, n=1_500, boost=DOSES, opt_out={"0": 0.0, "2": 0.1, "10": 0.4})
    both = pd.concat([tables["exposures"], doses["exposures"].assign(experiment="mails")])
    events = doses["touchpoints"]
    study, members = cx.open_study(tables | {"exposures": both, "touchpoints": events}), told(tables)
    result = analyze(study, "trial", "orders", memberships=members)
    assert result.personas is not None
    found = [plots.by_persona(result.personas), plots.policy(policy(study, "trial", "orders", members))]
    found.append(plots.dose(frequency(study)))
    for shown, said in zip(found, ["within personas", "three policies", "each frequency"], strict=True):
        assert shown.png.startswith(b"\x89PNG")
        assert said in shown.alt
    lines = summary(study, members).lines
    assert len(lines) == 5
    every = overview(study)
    assert every.table()["experiment"].tolist() == ["mails", "mails", "trial", "trial"]
    assert every.claim().startswith("On revenue, ")
    assert "mails: 2 " in plots.overview(every).alt
    assert lines[0] == f"Trial: {policy(study, 'trial', 'revenue', members).claim()}"
    assert lines[1].startswith("Trial: Against control. ")
    assert all(kind in found[0].alt for kind in KINDS)


def test_the_figure_of_a_broken_experiment_shows_its_arms(company) -> None:
    alt = plots.policy(policy(company[0], "new_search", "margin", company[1])).alt
    assert alt.startswith("Share of the customers in each arm")
