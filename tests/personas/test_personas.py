"""Personas against worlds whose kinds are known, independent libraries and arithmetic."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy.special import logsumexp
from sklearn.metrics import adjusted_rand_score

import cxlib as cx
from cxlib.customers.blocks import Answers, Choices, Values
from cxlib.errors import CxValueError
from cxlib.personas.mixture import em, mixture
from cxlib.results import visible
from cxlib.study import Study

CONVERSION = ("web_purchase", "app_purchase", "store_purchase")


def study_of(tables) -> Study:
    return cx.open_study(tables, conversion=CONVERSION, currency="EUR", money="minor")


@pytest.fixture(scope="module")
def world(base_seed):
    return cx.simulate(2000, base_seed + 1)


@pytest.fixture(scope="module")
def study(world):
    return study_of(world.tables)


@pytest.fixture(scope="module")
def features(study):
    return cx.personas.features(study)


@pytest.fixture(scope="module")
def personas(features):
    return cx.personas.fit(features)


def kind_of(world, persons):
    return world.who.set_index("customer_id").loc[persons, "kind"]


def choices(rng, persons=400, contexts=6, options=5, taste=None, each=20):
    """Choices drawn from the block's own model; `taste` (persons, options) bends what is usual in each context."""
    usual = rng.dirichlet(np.ones(options), contexts)
    row = np.repeat(np.arange(persons), each)
    context = rng.integers(0, contexts, len(row))
    chance = usual[context] * (1 if taste is None else taste[row])
    chance = (chance / chance.sum(1, keepdims=True)).cumsum(1)
    option = (rng.random(len(row))[:, None] >= chance[:, :-1]).sum(1)
    part = np.tile(np.repeat([0, 1], each // 2), persons)
    names = tuple(f"o{i}" for i in range(options))
    contexts_ = tuple(f"c{i}" for i in range(contexts))
    return Choices("steps", "", contexts_, names, persons, row, context, option, np.ones(len(row)), part)


# The verdicts, each on a world where it is right


def test_kinds_are_found_again_almost_as_well_as_is_possible(world, personas):
    """Bar: .8 of the adjusted Rand index of the exact posterior, which is .78 in this world (20,000 customers)."""
    kind = kind_of(world, personas.features.persons)
    found = personas.memberships.drop(columns="person").to_numpy().argmax(1)
    assert personas.k == 5
    assert personas.evidence().verdict == "kinds"
    assert adjusted_rand_score(kind, found) > 0.8 * 0.78


def test_one_kind_of_customer_is_not_split(base_seed):
    plain = cx.simulate(1500, base_seed + 2, world="one_kind")
    personas = cx.personas.fit(cx.personas.features(study_of(plain.tables)))
    assert personas.k == 1
    assert personas.evidence().verdict == "one kind"
    assert "one kind of customer" in personas.claim()
    assert personas.labels == ("A: all customers",)


def test_degrees_along_an_axis_are_not_called_kinds(base_seed):
    plain = cx.simulate(2000, base_seed + 3, world="continuum")
    personas = cx.personas.fit(cx.personas.features(study_of(plain.tables)), kmax=5)
    assert personas.evidence().verdict == "degrees"
    assert "by degree" in personas.claim()


def test_moods_that_pass_are_not_called_kinds(base_seed):
    # Each customer has one of two moods in the first six visits, and again one, by a new toss, in the last six.
    rng = np.random.default_rng(base_seed)
    moods = np.array([[6, 6, 1, 1, 1, 1], [1, 1, 1, 1, 6, 6]]) / 16
    chance = moods[rng.integers(0, 2, (800, 2))].repeat(6, axis=1)  # (customers, visits, touchpoints)
    met = (rng.random((800, 12, 1)) > chance.cumsum(axis=2)).sum(axis=2)
    customer, visit = np.indices(met.shape).reshape(2, -1)
    frame = pd.DataFrame({"customer_id": customer.astype(str), "touchpoint": [f"t{i}" for i in met.ravel()]})
    frame["ts"] = pd.Timestamp("2026-01-01") + pd.to_timedelta(7 * visit, unit="D")
    frame = frame.assign(event_id=range(len(frame)), channel="web", stage="engagement")
    frame["initiated_by"] = "customer"
    personas = cx.personas.fit(cx.personas.features(cx.open_study({"touchpoints": frame})))
    assert (personas.k, personas.evidence().verdict) == (1, "phases")
    assert personas.claim().startswith("No kinds that last")


def test_a_few_customers_cannot_tell_and_it_says_how_many_could(base_seed):
    few = cx.simulate(40, base_seed + 4, world="one_kind")
    personas = cx.personas.fit(cx.personas.features(study_of(few.tables)))
    assert personas.evidence().verdict == "cannot tell"
    assert personas.evidence().needed > personas.features.n
    assert personas.claim().startswith("Cannot tell")


def test_customers_who_bought_once_cannot_tell_a_kind_from_an_occasion():
    n = 300
    orders = pd.DataFrame(
        {
            "order_id": [f"o{i}" for i in range(n)],
            "customer_id": [f"c{i}" for i in range(n)],
            "ts": pd.Timestamp("2026-01-05"),
            "revenue": [1000 + i if i % 2 else 90000 + i for i in range(n)],
        }
    )
    personas = cx.personas.fit(cx.personas.features(study_of({"orders": orders})))
    assert personas.k == 1
    assert "more than once" in personas.claim()


# What the numbers promise


def test_memberships_are_probabilities_with_speaking_unique_names(personas):
    probability = personas.memberships.drop(columns="person")
    assert np.allclose(probability.sum(axis=1), 1)
    assert list(probability) == list(personas.labels)
    assert len(set(personas.labels)) == personas.k
    assert max(map(len, personas.labels)) <= 40
    assert personas.memberships["person"].is_unique


def test_sizes_fall_and_add_up_and_hold_the_truth(personas, world):
    """True shares are those of the kinds of the persons described; Bonferroni over the five intervals."""
    table = personas.table()
    assert table["estimate"].is_monotonic_decreasing
    assert table["estimate"].sum() == pytest.approx(1)
    found = personas.memberships.drop(columns="person").to_numpy().argmax(1)
    kind = kind_of(world, personas.features.persons)
    for place, row in table.iterrows():
        name = kind[found == place].mode()[0]
        half = (row["high"] - row["low"]) / 2
        assert abs((kind == name).mean() - row["estimate"]) < 2.6 / 1.96 * half + 0.02


def test_the_same_seed_gives_the_same_and_rows_may_come_in_any_order(world, personas, base_seed):
    rng = np.random.default_rng(base_seed)
    mixed = {name: frame.iloc[rng.permutation(len(frame))] for name, frame in world.tables.items()}
    again = cx.personas.fit(cx.personas.features(study_of(mixed)), k=personas.k)
    assert again.labels == personas.labels
    difference = again.memberships.drop(columns="person") - personas.memberships.drop(columns="person")
    assert difference.abs().max(axis=None) < 1e-6


def test_known_persons_get_their_own_memberships_back(personas, features):
    again = personas.predict_proba(features).drop(columns="person")
    assert (again - personas.memberships.drop(columns="person")).abs().max(axis=None) < 1e-9


def test_personas_learnt_before_a_date_recognise_customers_after_it(study, world):
    before = cx.personas.features(study, until="2025-07-01")
    after = cx.personas.features(study, since="2025-07-01")
    learnt = cx.personas.fit(before, k=5)
    seen = learnt.predict_proba(after).set_index("person")
    assert np.allclose(seen.sum(axis=1), 1)
    kind = kind_of(world, seen.index)
    assert adjusted_rand_score(kind, seen.to_numpy().argmax(1)) > 0.4  # chance gives 0


def test_cards_say_size_value_and_what_a_persona_is_not(personas):
    table = personas.cards().table()
    assert set(table["persona"]) == set(personas.labels)
    assert {"size", "value", "feelings", "beginnings", "declared", "most", "not"} <= set(table["about"])
    assert (table.loc[table["about"] == "not", "difference"] < 0).all()
    measured = table.dropna(subset=["low"])
    assert (measured["low"] <= measured["estimate"]).all()
    assert (measured["estimate"] <= measured["high"]).all()
    revenue = table[table["feature"] == "revenue a customer"]
    sizes = personas.table()["estimate"].to_numpy()
    assert sizes @ revenue["estimate"] == pytest.approx(revenue["overall"].iloc[0], rel=0.01)


def test_figures_and_summary_have_words_for_everything(personas):
    plots = cx.personas.plots
    for shown in (plots.evidence(personas.evidence()), plots.sizes(personas), plots.cards(personas.cards())):
        assert shown.png.startswith(b"\x89PNG")
        assert len(shown.alt.split()) > 6
    lines = cx.personas.summary(personas).lines
    assert len(lines) == 5
    assert str(personas.claim()) in lines


def test_small_personas_are_not_shown(features):
    few = cx.personas.fit(features, k=2)
    table = few.cards().table().assign(n=3)
    assert visible(table).empty


# Features


def test_the_feature_card_counts_missing_answers_and_marks_outcomes(features, study):
    card = features.table()
    columns = ["block", "feature", "meaning", "unit", "n", "missing", "skew", "outcome", "role"]
    assert list(card.columns) == columns
    answered = study.fetch(study.table("surveys").select("customer_id").distinct())["customer_id"]
    told = card[card["feature"] == "satisfaction"].iloc[0]
    assert told["n"] == len(set(answered) & set(features.persons))
    assert card.loc[card["feature"].isin(CONVERSION), "outcome"].all()
    assert not card.loc[card["feature"] == "web_product_page", "outcome"].any()


def test_shares_on_the_card_are_the_plain_counts(world):
    """Visits of the clean log by pandas: a pause over 30 minutes begins one; those of the brand alone are none."""
    t = world.clean["touchpoints"].sort_values(["customer_id", "ts", "event_id"])
    pause = t.groupby("customer_id")["ts"].diff() > pd.Timedelta("30min")
    visit = pause.groupby(t["customer_id"]).cumsum()
    groups = t.groupby([t["customer_id"], visit])
    acted = groups["initiated_by"].agg(lambda who: (who == "customer").any())
    first = groups["touchpoint"].first()[acted]
    block = cx.personas.features(study_of(world.clean)).blocks[0]
    assert dict(zip(block.options, block.made.sum(axis=0), strict=True)) == first.value_counts().to_dict()


def test_a_period_is_the_study_cut_to_it(world):
    """`until` gives what a study gives that ends there (log by ts, orders and surveys by ts)."""
    day = pd.Timestamp("2025-06-01")
    tables = world.clean
    cut = {name: frame[frame["ts"] < day] if "ts" in frame else frame for name, frame in tables.items()}
    one = cx.personas.features(study_of(tables), until=day)
    two = cx.personas.features(study_of(cut))
    pd.testing.assert_frame_equal(one.table(), two.table())
    assert (one.persons == two.persons).all()


def test_further_columns_enter_as_numbers_or_text(study, features):
    persons = features.persons[:200]
    rng = np.random.default_rng(0)
    extra = pd.DataFrame(
        {"person": persons, "spend": rng.lognormal(0, 2, 200), "mood": rng.choice(["up", "down"], 200)}
    )
    card = cx.personas.features(study, extra=extra).table().set_index("feature")
    spend = card[card["block"] == "spend"]
    assert (len(spend), set(spend["unit"]), set(spend["n"])) == (10, {"band of the number"}, {200})
    assert card.loc["up", "missing"] == pytest.approx(1 - 200 / features.n)
    with pytest.raises(CxValueError, match="more than one row"):
        cx.personas.features(study, extra=pd.concat([extra, extra]))
    with pytest.raises(CxValueError, match="person"):
        cx.personas.features(study, extra=extra.drop(columns="person"))


def test_any_study_has_some_features():
    orders = pd.DataFrame(
        {
            "order_id": list("abcdef"),
            "customer_id": list("xxyyzz"),
            "ts": pd.date_range("2026-01-05", periods=6),
            "revenue": [100, 200, 300, 400, 500, 600],
        }
    )
    features = cx.personas.features(study_of({"orders": orders}))
    assert list(features.persons) == ["x", "y", "z"]
    assert [block.name for block in features.blocks] == ["order value"]
    assert cx.personas.fit(features).k == 1


@pytest.mark.parametrize(("since", "until"), [("2025-07-01", "2025-06-01"), ("soon", None)])
def test_a_period_that_is_none_is_refused(study, since, until):
    with pytest.raises(CxValueError, match="since"):
        cx.personas.features(study, since=since, until=until)


def test_a_period_in_which_nobody_did_anything_is_refused(study):
    with pytest.raises(CxValueError, match="Nobody"):
        cx.personas.features(study, until="2001-01-01")


# Bad input


def of_extra(**columns):
    """Features of customers known by nothing but further columns (and one order each, to exist)."""
    n = len(next(iter(columns.values())))
    persons = [f"c{i:05d}" for i in range(n)]
    orders = pd.DataFrame(
        {"order_id": persons, "customer_id": persons, "ts": pd.Timestamp("2026-01-05"), "revenue": 100}
    )
    orders = pd.concat([orders, orders.assign(order_id=orders["order_id"] + "b")])
    return cx.personas.features(study_of({"orders": orders}), pd.DataFrame({"person": persons} | columns))


def test_one_customer_is_refused_and_two_cannot_tell():
    with pytest.raises(CxValueError, match="at least 2"):
        cx.personas.fit(of_extra(x=[1.0]))
    two = cx.personas.fit(of_extra(x=[1.0, 5.0]))
    assert two.k == 1
    assert two.evidence().verdict == "cannot tell"


def test_constant_and_empty_columns_are_no_features():
    with pytest.raises(CxValueError, match="No feature"):
        cx.personas.fit(of_extra(same=[1.0] * 20, none=[np.nan] * 20, word=["a"] * 20))


def test_one_giant_is_no_kind(base_seed):
    rng = np.random.default_rng(base_seed + 5)
    x, y = rng.standard_normal((2, 400))
    x[0] = 1e6
    assert cx.personas.fit(of_extra(x=x, y=y)).table()["customers"].min() != 1


@pytest.mark.parametrize(
    "asked", [{"k": 0}, {"kmax": 0}, {"k": 10**6}, {"k": 1.5}, {"seed": -1}, {"seed": "x"}]
)
def test_an_impossible_number_of_kinds_is_refused(features, asked):
    with pytest.raises(CxValueError, match="whole number"):
        cx.personas.fit(features, **asked)


def test_what_is_no_study_and_no_features_is_refused_in_words(features, personas):
    for given in (
        lambda: cx.personas.features("demo"),
        lambda: personas.score("demo"),
        lambda: cx.personas.proxies(personas, 3),
        lambda: cx.personas.movement(personas, ["2025"]),
    ):
        with pytest.raises(CxValueError, match="takes a study"):
            given()
    with pytest.raises(CxValueError, match="predict_proba takes the result of"):
        personas.place(features.profile)
    with pytest.raises(CxValueError, match="sure is"):
        personas.place(features, sure="0.9")
    with pytest.raises(CxValueError, match="kmax is nan"):
        cx.personas.fit(features, kmax=float("nan"))
    with pytest.raises(CxValueError, match="sample is 0"):
        cx.personas.features(features.profile, sample=0)


def test_numbers_read_as_text_are_said_to_be_such():
    frame = pd.DataFrame({"person": range(600), "town": ["a", "b"] * 300})
    frame["income"] = (20_000 + frame["person"]).astype(str)
    why = cx.personas.features(frame).unused["income"][0]
    assert why == "numbers read as text; give them as numbers"


def test_features_are_what_is_fitted():
    with pytest.raises(CxValueError, match="features"):
        cx.personas.fit(pd.DataFrame())


# The likelihood


def test_categories_have_the_likelihood_written_by_hand():
    codes = np.array([0, 0, 1, 2, -1])
    block = Answers("colour", "", ("red", "green", "blue"), codes)
    p = np.array([[0.5, 0.25, 0.25], [0.1, 0.2, 0.7]])
    by_hand = [[0.5, 0.1], [0.5, 0.1], [0.25, 0.2], [0.25, 0.7], [1, 1]]
    assert np.allclose(block.density((p,)), np.log(by_hand))


def test_choices_of_one_kind_have_the_likelihood_of_their_shares_in_context(base_seed):
    block = choices(np.random.default_rng(base_seed + 7))
    fitted = em([block], np.ones((block.persons, 1)), 50)
    share = block.pooled / block.pooled.sum(axis=1, keepdims=True)
    assert fitted.log_likelihood == pytest.approx(
        (block.pooled * np.log(np.where(share > 0, share, 1))).sum()
    )


def test_repeated_values_have_the_likelihood_of_a_normal_with_the_persons_own_level():
    """Against the multivariate normal of each person's values, up to what is the same for all kinds."""
    from scipy.stats import multivariate_normal

    values = [np.array([1.0, 2.0, 1.5]), np.array([0.2]), np.array([3.0, 2.0])]
    n, total, squares = (
        np.array([f(v) for v in values], float) for f in (len, np.sum, lambda v: (v**2).sum())
    )
    block = Values("v", "", n, total, squares)
    t2, s2 = 0.5, 0.3
    ours = block.density((np.array([0.0, 1.0]), np.array([t2]), np.array([s2])))
    whole = [
        [multivariate_normal(np.full(len(v), m), t2 + s2 * np.eye(len(v))).logpdf(v) for m in (0.0, 1.0)]
        for v in values
    ]
    assert np.allclose(np.diff(ours, axis=1), np.diff(whole, axis=1))


def test_every_step_of_em_raises_the_likelihood(base_seed):
    rng = np.random.default_rng(base_seed + 8)
    taste = np.exp(rng.normal(0, 0.7, (2, 5)))[rng.integers(0, 2, 400)]
    block = choices(rng, taste=taste)
    start = rng.dirichlet(np.ones(3), 400)
    path = [em([block], start, steps).log_likelihood for steps in (1, 2, 3, 5, 8, 13, 21)]
    assert (np.diff(path) > -0.5).all()  # half an observation of prior may cost so much


def test_kinds_do_not_come_out_of_contexts(base_seed):
    """Persons who face unlike contexts, all with the usual tastes: one kind, whatever their counts look like."""
    rng = np.random.default_rng(base_seed + 9)
    block = choices(rng, each=40)
    side = rng.integers(0, 2, block.persons)
    keep = (block.context % 2 == side[block.row]) | (rng.random(len(block.row)) < 0.1)
    apart = block._only(keep)
    assert mixture([apart], 1).bic < mixture([apart], 2).bic


def test_posteriors_follow_bayes(features, personas):
    joint = personas.fitted.joint(features.blocks)
    by_hand = np.exp(joint - logsumexp(joint, axis=1, keepdims=True))
    assert np.allclose(by_hand, personas.memberships.drop(columns="person"))


def test_a_remembered_fit_is_the_fit_and_changed_features_are_fitted_anew(study: Study) -> None:
    features = cx.personas.features(study)
    first, again = (cx.personas.fit(features, kmax=3) for _ in range(2))
    assert first.fitted.sizes.tolist() == again.fitted.sizes.tolist()
    unkept = cx.personas.fit(replace(features, keep=None), kmax=3)
    pd.testing.assert_frame_equal(unkept.memberships, again.memberships)
    fewer = replace(features, blocks=features.blocks[1:])
    plain = cx.personas.fit(replace(fewer, keep=None), kmax=3)
    pd.testing.assert_frame_equal(cx.personas.fit(fewer, kmax=3).memberships, plain.memberships)
