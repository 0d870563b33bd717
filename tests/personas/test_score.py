"""Scoring everybody on the engine, placing newcomers, and frames of one row a customer, however odd."""

import hashlib
from functools import partial

import ibis
import numpy as np
import pandas as pd
import pytest

import cxlib as cx
from cxlib.errors import CxLookupError, CxValueError
from cxlib.personas.place import placed
from cxlib.stats import folds_of
from cxlib.study.opening import DEMO

TABLES = ("touchpoints", "catalog", "customers", "identities", "orders", "surveys")


def wide(n, seed, shift=3.0):
    """Two planted kinds in text, truth values and numbers (one skewed), a tenth of all missing."""
    rng = np.random.default_rng(seed)
    kind = rng.random(n) < 0.4
    frame = pd.DataFrame(
        {
            "person": [f"p{i:05d}" for i in range(n)],
            "colour": np.where(rng.random(n) < 0.2 + 0.6 * kind, "rouge d'été", "蓝"),
            "size": rng.choice(list("SML"), n).astype(object),
            "member": pd.Series(rng.random(n) < 0.3 + 0.5 * kind, dtype="boolean"),
            "height": rng.normal(shift * kind, 1.0),
            "spent": np.exp(rng.normal(4 + kind, 1.5)),
            "children": pd.Series(rng.poisson(1 + 2 * kind), dtype="Int64"),
        }
    )
    return frame.set_index("person").mask(rng.random((n, 6)) < 0.1).reset_index()


def apart(ours, theirs):
    """Largest difference of two frames of memberships of the same persons."""
    ours, theirs = (frame.set_index("person").sort_index() for frame in (ours, theirs))
    assert ours.index.equals(theirs.index)
    assert list(ours) == list(theirs)
    return float(np.abs(ours.to_numpy() - theirs.to_numpy()).max())


@pytest.fixture(scope="module")
def study():
    return cx.open_study("demo")


@pytest.fixture(scope="module")
def sampled(study):
    return cx.personas.features(study, sample=1000)


@pytest.fixture(scope="module")
def personas(sampled):
    return cx.personas.fit(sampled, k=3)


# The engine


def test_the_engine_scores_everybody_as_numpy_does(study, personas):
    everybody = study.fetch(personas.score(study))
    assert len(everybody) > 4 * personas.features.n
    assert apart(everybody, personas.predict_proba(cx.personas.features(study))) < 1e-9


def test_the_engine_scores_another_period_as_numpy_does(study, personas):
    later = {"since": "2025-07-01", "until": "2025-10-01"}
    by_numpy = personas.predict_proba(cx.personas.features(study, **later))
    assert apart(study.fetch(personas.score(study, **later)), by_numpy) < 1e-9


@pytest.mark.parametrize("k", [1, 3])
def test_a_wide_frame_and_table_with_missing_values_are_scored_as_numpy_does(base_seed, k):
    personas = cx.personas.fit(cx.personas.features(wide(600, base_seed)), k=k)
    others = wide(400, base_seed + 1)
    others.loc[0, ["height", "spent"]] = [1e12, -5.0]
    others.loc[1, "colour"] = "never seen"
    by_numpy = personas.predict_proba(cx.personas.features(others))
    assert apart(personas.score(others).to_pandas(), by_numpy) < 1e-9
    plain = others.assign(
        member=others["member"].astype(object), children=others["children"].astype("Float64")
    )
    assert apart(personas.score(ibis.memtable(plain)).to_pandas(), by_numpy) < 1e-9


def test_memberships_of_more_customers_than_the_sample_are_the_engines_scores(study, personas, monkeypatch):
    few = cx.open_study(
        {"orders": study.fetch(study.table("orders").head(3000))}, currency="EUR", money="minor"
    )
    monkeypatch.setattr("cxlib.personas.model.features", partial(cx.personas.features, sample=400))
    found = cx.personas.memberships(few)
    whole = cx.personas.features(few)
    learnt = cx.personas.fit(cx.personas.features(few, sample=400))
    assert learnt.features.n < 0.5 * whole.n
    assert apart(found, learnt.predict_proba(whole)) < 1e-9


def test_attributes_of_every_type_enter_or_are_named_and_are_scored(study, base_seed):
    """A truth value with gaps, twenty answers of which eight are rare, a number, a time, a sensitive one."""
    rng = np.random.default_rng(base_seed)
    orders = study.fetch(study.table("orders").order_by("order_id").head(4000))
    known = pd.DataFrame({"customer_id": sorted(orders["customer_id"].dropna().unique())})
    n = len(known)
    known["member"] = pd.Series(rng.random(n) < 0.5, dtype="boolean").mask(rng.random(n) < 0.2)
    known["shop"] = [
        f"магазин {i}" for i in np.where(rng.random(n) < 0.9, rng.integers(0, 11, n), rng.integers(11, 20, n))
    ]
    known = known.assign(children=rng.poisson(1, n), joined=pd.Timestamp("2024-01-01"), religion="none")
    own = cx.open_study({"orders": orders, "customers": known}, currency="EUR", money="minor")
    features = cx.personas.features(own)
    blocks = {block.name: block for block in features.blocks}
    assert blocks["member"].options == ("False", "True")
    assert (~blocks["member"].observed).mean() == pytest.approx(0.2, abs=0.05)
    assert (len(blocks["shop"].options), blocks["shop"].options[-1]) == (12, "(other)")
    assert set(features.unused) >= {"children", "joined", "religion"}
    assert "children (a number; give it with `extra`)" in features.claim()
    personas = cx.personas.fit(features, k=3)
    assert apart(own.fetch(personas.score(own)), personas.memberships) < 1e-9


def test_data_that_have_nothing_in_common_are_refused(study, personas):
    with pytest.raises(CxValueError, match="nothing that the personas know"):
        personas.score(wide(20, 0))
    with pytest.raises(CxValueError, match="nothing that the personas know"):
        cx.personas.fit(cx.personas.features(wide(100, 0)), k=2).score(study)
    with pytest.raises(CxLookupError, match="no column `person`"):
        personas.score(ibis.memtable(wide(20, 0).drop(columns="person")))


@pytest.mark.spark
def test_spark_samples_and_scores_as_duckdb_does(spark, tmp_path_factory, base_seed):
    frames = {name: pd.read_parquet(DEMO / f"{name}.parquet") for name in TABLES}
    first = set(frames["customers"]["customer_id"].sort_values().head(150))
    identities = frames["identities"]
    linked = set(identities.loc[identities["customer_id"].isin(first), "id_value"])
    where = tmp_path_factory.mktemp("scored")
    for name, frame in frames.items():
        if "customer_id" in frame:
            own = frame["customer_id"].isin(first)
            frame = frame[own | frame["anonymous_id"].isin(linked) if name == "touchpoints" else own]
        frame.to_parquet(where / f"{name}.parquet", index=False)
        spark.read.parquet(str(where / f"{name}.parquet")).createOrReplaceTempView(name)
    (where / "study.yaml").write_text((DEMO / "study.yaml").read_text("utf-8"), "utf-8")
    settings = {"conversion": cx.open_study(where).settings.conversion}
    duckdb, other = cx.open_study(where), cx.open_study(ibis.pyspark.connect(spark), **settings)
    ours, theirs = (cx.personas.features(one, sample=75) for one in (duckdb, other))
    assert ours.n < 120
    assert list(ours.persons) == list(theirs.persons)
    personas = cx.personas.fit(ours, k=2)
    assert apart(personas.predict_proba(theirs), personas.memberships) < 1e-9
    assert apart(other.fetch(personas.score(other)), duckdb.fetch(personas.score(duckdb))) < 1e-9
    given = wide(200, base_seed)
    learnt = cx.personas.fit(cx.personas.features(given), k=2)
    on_spark = ibis.pyspark.connect(spark).create_view(
        "wide", ibis.memtable(given.astype({"children": "float64"}))
    )
    assert apart(on_spark.pipe(learnt.score).to_pandas(), learnt.memberships) < 1e-9


# The sample


def test_the_sample_of_a_frame_and_of_a_table_is_always_the_same(base_seed):
    given = wide(2000, base_seed)
    mixed = given.sample(frac=1, random_state=base_seed)
    for form in (pd.DataFrame, ibis.memtable):
        first, second = (cx.personas.features(form(one), sample=500) for one in (given, mixed))
        assert list(first.persons) == list(second.persons)
        assert 400 < first.n < 600
        assert "a random sample of 25.0" in first.claim()


def test_the_sample_is_by_digits_of_the_key_that_folds_do_not_use():
    """By hashlib; a quarter of all eight digits lies below 3fffffff."""
    persons = [f"p{i}" for i in range(1000)]
    table = ibis.memtable(pd.DataFrame({"person": persons, "x": range(1000)}))
    digits = {person: hashlib.md5(person.encode()).hexdigest()[8:16] for person in persons}
    drawn = {person for person in persons if digits[person] < "3fffffff"}
    assert set(cx.personas.features(table, sample=250).persons) == drawn


def test_the_sample_is_of_no_fold_alone(study):
    """A fifth of some 4,800 customers: 19 of each of the fifty folds, give or take what chance gives (5 sd)."""
    known = cx.personas.features(study)
    drawn = cx.personas.features(study, sample=1000)
    assert set(drawn.persons) < set(known.persons)
    inside = np.bincount(folds_of(drawn.persons), minlength=50)
    expected = np.bincount(folds_of(known.persons), minlength=50) * drawn.share
    assert (np.abs(inside - expected) < 5 * np.sqrt(expected)).all()


def test_only_the_usual_features_are_remembered_as_the_studys(study, sampled):
    assert cx.personas.features(study).keep is not None
    assert sampled.keep is None
    assert cx.personas.features(study, sensitive=()).keep is None


# Newcomers


def test_a_customer_is_placed_where_one_persona_is_sure_enough():
    given = pd.DataFrame({"person": list("abcd"), "A": [0.9, 0.7, 0.5, 0.2], "B": [0.1, 0.3, 0.5, 0.8]})
    result = placed(given, sure=0.7)
    assert result.frame["persona"].tolist() == ["A", "A", "uncertain", "B"]
    assert result.frame["probability"].tolist() == [0.9, 0.7, 0.5, 0.8]
    table = result.table().set_index("persona")
    assert table["customers"].to_dict() == {"A": 2, "B": 1, "uncertain": 1}
    assert table["estimate"].sum() == pytest.approx(1)
    assert table.loc["A", "error"] == pytest.approx(0.2)  # (.1 + .3) / 2
    assert str(result.claim()) == "Too few customers to say."


def test_the_claim_on_newcomers_says_how_many_are_placed_and_wrong():
    """By hand: of 100, 80 at .9: 8 wrong. Wilson's ends for 80 of 100 are published as .711 and .867."""
    given = pd.DataFrame({"person": range(100), "A": [0.9] * 80 + [0.5] * 20, "B": [0.1] * 80 + [0.5] * 20})
    said = placed(given).claim().replace("\u00a0", " ")
    assert said.startswith("Of 100 customers 80.0 % (71.1 % to 86.7 %) can be placed; 10.0 % (")
    assert said.endswith("of those would be wrong; 20.0 % are uncertain.")
    assert placed(given.assign(A=0.9, B=0.1)).claim().endswith("hardly anybody is uncertain.")


@pytest.mark.parametrize(("sure", "says"), [(3, "hardly anybody can"), (97, "nearly everybody can")])
def test_the_claim_on_newcomers_gives_no_number_of_a_few(sure, says):
    given = pd.DataFrame({"person": range(100), "A": [0.9] * sure + [0.5] * (100 - sure)})
    said = placed(given.assign(B=1 - given["A"])).claim()
    assert f"Of 100 customers {says} be placed" in said
    assert "97" not in said
    assert "3.0" not in said


def test_a_single_newcomer_who_is_told_apart_from_nobody_is_placed(base_seed):
    personas = cx.personas.fit(cx.personas.features(wide(600, base_seed)), k=2)
    new = pd.DataFrame({"person": ["new"], "colour": ["蓝"], "height": [4.0], "children": [5]})
    features = cx.personas.features(new)
    assert features.blocks == ()
    assert apart(personas.score(new).to_pandas(), personas.predict_proba(features)) < 1e-9
    assert len(personas.place(features).frame) == 1


@pytest.mark.parametrize("sure", [0.5, 0.2, 1.1])
def test_a_probability_at_which_two_could_be_meant_is_refused(sure):
    with pytest.raises(CxValueError, match=r"over 0\.5"):
        placed(pd.DataFrame({"person": ["a"], "A": [1.0]}), sure)


def test_newcomers_are_placed_as_wrongly_as_expected(base_seed):
    """The planted kind is known: the share placed wrongly lies within the interval of the expected one, widened by
    what the fit does not know."""
    learnt = cx.personas.fit(cx.personas.features(wide(3000, base_seed + 2)), k=2)
    new = wide(3000, base_seed + 3)
    rng = np.random.default_rng(base_seed + 3)
    kind = rng.random(3000) < 0.4
    result = learnt.place(cx.personas.features(new))
    sure = (result.frame["persona"] != "uncertain").to_numpy()
    first = result.frame["persona"].eq(learnt.labels[0]).to_numpy()
    wrong = (first[sure] == kind[sure]).mean()
    expected = (1 - result.frame["probability"])[sure].mean()
    assert wrong == pytest.approx(expected, abs=0.03)


# Odd columns: each a clear result or a clear error


def persons(n):
    return [f"p{i:04d}" for i in range(n)]


def of(n=300, **columns):
    return cx.personas.features(pd.DataFrame({"person": persons(n)} | columns))


def why(features, name):
    return features.table().set_index(["role", "feature"]).loc[("left out", name), "meaning"]


def test_what_tells_nobody_apart_is_left_out_with_its_reason(base_seed):
    rng = np.random.default_rng(base_seed)
    odd = of(
        none=[np.nan] * 300,
        nobody=[None] * 300,
        same=[7.0] * 300,
        word=["a"] * 300,
        day=pd.date_range("2026-01-01", periods=300),
        name=[f"Zoë {i}" for i in range(300)],
        gender=rng.choice(["f", "m"], 300),
        x=rng.normal(size=300),
    )
    assert [block.name for block in odd.blocks] == ["x"]
    assert why(odd, "none") == why(odd, "nobody") == "nobody has a value"
    assert why(odd, "same") == why(odd, "word") == "(nearly) everybody has the same value"
    assert why(odd, "day").startswith("a time")
    assert why(odd, "name") == "too many different values"
    assert why(odd, "gender") == "sensitive"
    assert cx.personas.features(
        pd.DataFrame({"person": persons(4), "sex": list("fmfm")}), sensitive=()
    ).blocks


@pytest.mark.parametrize("column", [[np.nan] * 300, [None] * 300, [1.0] * 300, ["a"] * 300])
def test_customers_who_are_told_apart_by_nothing_are_refused(column):
    with pytest.raises(CxValueError, match="No feature"):
        cx.personas.fit(of(only=column))


def test_two_customers_cannot_tell_and_are_scored():
    two = of(2, x=[1.0, 5.0])
    personas = cx.personas.fit(two)
    assert (personas.k, personas.evidence().verdict) == (1, "cannot tell")
    assert personas.score(pd.DataFrame({"person": ["new"], "x": [3.0]})).to_pandas().iloc[0, 1] == 1
    with pytest.raises(CxValueError, match="at least 2"):
        cx.personas.fit(of(1, x=[1.0]))


def test_how_far_out_one_giant_lies_makes_no_difference(base_seed):
    rng = np.random.default_rng(base_seed)
    kind = rng.integers(0, 2, 400)
    x, y = rng.normal(4 * kind, 1.0), rng.normal(4 * kind, 1.0)
    x[np.argmax(x)] = 10.0
    plain = cx.personas.fit(of(400, x=x, y=y), k=2)
    assert plain.table()["customers"].min() > 150
    for giant in (1e6, 1e308, np.inf):
        x[np.argmax(x)] = giant
        again = cx.personas.fit(of(400, x=x, y=y), k=2)
        assert apart(again.memberships, plain.memberships) < 1e-12


def test_numbers_of_any_shape_make_no_kinds_of_one(base_seed):
    """Independent columns have one kind; normal distributions a kind found eight here, one a step of the grid."""
    rng = np.random.default_rng(base_seed)
    n = 1500
    odd = {"children": rng.poisson(1.2, n), "stars": rng.integers(1, 6, n), "spent": rng.lognormal(3, 1, n)}
    odd |= {
        "flag": 1 * (rng.random(n) < 0.3),
        "visits": rng.geometric(0.15, n),
        "bought": rng.gamma(0.3, 9, n),
    }
    odd["bought"] *= rng.random(n) < 0.2
    features = of(n, **odd)
    assert {block.name for block in features.blocks} == set(odd)
    assert cx.personas.fit(features).k == 1


def test_bands_hold_as_many_customers_each_and_never_split_ties():
    block = of(400, x=np.arange(400.0)).blocks[0]
    assert block.made.sum(axis=0).tolist() == [40.0] * 10
    assert (block.options[0], block.options[1], block.options[-1]) == ("up to 39", "39 to 79", "over 359")
    none = of(400, visits=[0.0] * 360 + [1.0, 2.0, 3.0, 4.0] * 10).blocks[0]
    assert (none.options, none.made.sum(axis=0).tolist()) == (("up to 0", "over 0"), [360.0, 40.0])
    few = of(45, x=np.arange(45.0)).blocks[0]
    assert len(few.options) == 4


def test_of_200_levels_the_commonest_stay_and_the_rest_are_one(base_seed):
    rng = np.random.default_rng(base_seed)
    level = np.minimum(rng.geometric(0.2, 2000), 200)
    level[:200] = np.arange(1, 201)
    towns = pd.Series([f"town {i:03d}" for i in level])
    features = of(2000, town=towns, y=rng.normal(size=2000))
    *kept, rest = features.blocks[0].options
    counts = towns.value_counts()
    assert (len(kept), rest) == (11, "(other)")
    assert counts[kept].min() >= counts.drop(kept).max()
    assert "the 11 commonest of" in features.table()["meaning"].iloc[0]
    personas = cx.personas.fit(features, k=2)
    new = pd.DataFrame({"person": list("abc"), "town": ["town 001", "town 150", "Atlantis"], "y": np.nan})
    found = personas.score(new).to_pandas().set_index("person")
    assert found.loc["b"].equals(found.loc["c"].rename("b"))  # both are others
    assert apart(found.reset_index(), personas.predict_proba(cx.personas.features(new))) < 1e-9
    assert not personas.cards().table().empty


def test_labels_in_any_script_are_kept(base_seed):
    rng = np.random.default_rng(base_seed)
    kind = rng.integers(0, 2, 400)
    words = np.array(["Ελλάδα", "中国", "مصر", 'it\'s "quoted"'], dtype=object)
    frame = {
        f"città {i}": words[2 * (rng.random(400) < 0.9 - 0.8 * kind) + rng.integers(0, 2, 400)]
        for i in range(3)
    }
    personas = cx.personas.fit(of(400, **frame), k=2)
    assert set(personas.cards().table()["feature"]) & set(words)
    given = pd.DataFrame({"person": persons(400)} | frame)
    assert apart(personas.score(given).to_pandas(), personas.memberships) < 1e-9


@pytest.mark.parametrize(
    ("frame", "said"),
    [
        (pd.DataFrame({"x": [1.0]}), "column `person`"),
        (pd.DataFrame({"person": ["a", "a"], "x": [1.0, 2.0]}), "more than one row"),
        (pd.DataFrame({"person": ["a", None], "x": [1.0, 2.0]}), "without a person"),
        (pd.DataFrame([["a", 1.0, 2.0]], columns=["person", "x", "x"]), "two columns"),
    ],
)
def test_a_frame_that_is_not_one_row_a_customer_is_refused(frame, said):
    with pytest.raises(CxValueError, match=said):
        cx.personas.features(frame)


def test_a_frame_takes_no_period():
    with pytest.raises(CxValueError, match="go with a study"):
        cx.personas.features(wide(20, 0), since="2026-01-01")
