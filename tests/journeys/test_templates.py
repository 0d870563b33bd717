"""Journey maps against counts made by hand, against maps of the true kinds, and against planted frictions."""

from __future__ import annotations

import dataclasses
import itertools
import os
import warnings

import ibis
import numpy as np
import pandas as pd
import pytest

import cxlib as cx
import cxlib.world as world
from cxlib.errors import CxLookupError, CxValueError
from cxlib.journeys import map_plot
from cxlib.journeys.pain_points import SLOW, pain_points
from cxlib.journeys.templates import JourneyMap, journey_map
from cxlib.world import company

BASE = int(os.environ.get("CXLIB_SEED", "0"))
CATALOG = pd.DataFrame(
    {
        "touchpoint": ["ad", "page", "chat", "purchase", "parcel"],
        "channel": ["search", "web", "chat", "web", "email"],
        "stage": ["awareness", "engagement", "engagement", "transaction", "retention"],
        "ownership": ["partner", "owned", "owned", "owned", "owned"],
        "mode": ["self_service", "self_service", "assisted", "self_service", "self_service"],
    }
)
# Visits of four customers, a day apart; touchpoints of a visit, a minute apart.
VISITS = {
    "ann": [["ad", "page"], ["page", "chat", "purchase"], ["parcel"]],
    "bob": [["ad"], ["page", "page"]],
    "cem": [["page", "chat"]],
    "dan": [["purchase", "page"]],
}


def touchpoints(visits: dict[str, list[list[str]]]) -> pd.DataFrame:
    start = pd.Timestamp("2026-01-05")
    rows = [
        (who, start + pd.Timedelta(days=day, minutes=minute), name)
        for who, days in visits.items()
        for day, visit in enumerate(days)
        for minute, name in enumerate(visit)
    ]
    frame = pd.DataFrame(rows, columns=["customer_id", "ts", "touchpoint"])
    return frame.assign(event_id=range(len(frame)))


def told(result: JourneyMap, measure: str, persona: str = "(all)") -> dict:
    """Estimates by stage (and name) of one measure."""
    table = result.table()
    table = table[(table["measure"] == measure) & (table["persona"] == persona)]
    keys = ["stage"] if (table["name"] == "").all() else ["stage", "name"]
    return table.set_index(keys)["estimate"].to_dict()


@pytest.fixture(scope="module")
def written() -> JourneyMap:
    """Four customers whose map can be counted by eye."""
    surveys = pd.DataFrame(
        {
            "response_id": ["1", "2", "3", "4"],
            "customer_id": ["ann", "bob", "cem", "eve"],
            "ts": pd.Timestamp("2026-02-01"),
            "question": "csat",
            "touchpoint": ["page", "chat", None, "page"],
            "stage": [None, None, "transaction", None],
            "score": [5.0, 2.0, 3.0, 1.0],
            "scale_min": 1.0,
            "scale_max": 5.0,
        }
    )
    study = cx.open_study({"touchpoints": touchpoints(VISITS), "catalog": CATALOG, "surveys": surveys})
    return journey_map(study)


def test_customers_met_are_counted_once_a_stage(written):
    assert told(written, "met") == {
        "awareness": 0.5,
        "engagement": 1.0,
        "transaction": 0.5,
        "retention": 0.25,
    }


def test_shares_of_contacts_add_up_within_the_stage(written):
    shares = told(written, "touchpoint")
    assert shares["engagement", "page"] == pytest.approx(6 / 8)
    assert shares["engagement", "chat"] == pytest.approx(2 / 8)
    assert shares["awareness", "ad"] == 1


def test_touchpoints_come_in_the_order_in_which_they_are_first_met(written):
    rows = written.table().query("stage == 'engagement' and measure == 'touchpoint'")
    assert rows["name"].tolist() == ["page", "chat"]
    # Page is first met at events 2, 2, 1, 2: F(1) = 1/4, F(2) = 1, so 1.5 + (1/4) / (3/4).
    assert rows["first_step"].iloc[0] == pytest.approx(1.5 + 1 / 3)


def test_lost_is_who_comes_to_no_later_stage_after_the_first_contact_in_this_one(written):
    # Dan bought before his page, so nothing came after it; after a purchase only Ann had a parcel.
    assert told(written, "never_later") == {"awareness": 0.0, "engagement": 0.75, "transaction": 0.5}


def test_visits_end_in_the_stage_of_their_last_contact(written):
    # Engagement: Ann 2 visits (one goes on to the purchase), Bob, Cem and Dan one each.
    assert told(written, "visits_end") == {
        "awareness": 0.5, "engagement": pytest.approx(4 / 5), "transaction": 0.5, "retention": 1.0,
    }  # fmt: skip


def test_feeling_is_the_answers_place_on_their_scale_by_the_stage_asked_about(written):
    # 5 of 1 to 5 is 100, 2 is 25; who has no contact on the log has no stage of a journey to be at.
    assert written.question == "csat"
    assert told(written, "feeling") == {"engagement": 62.5, "transaction": 50.0}


def test_ownership_and_mode_are_the_catalogs(written):
    assert told(written, "ownership")["awareness", "partner"] == 1
    assert told(written, "mode")["engagement", "assisted"] == pytest.approx(2 / 8)


def test_contacts_begun_by_the_company_end_no_visit():
    events = touchpoints({"ann": [["ad", "page", "parcel"]], "bob": [["ad"]]})
    events["initiated_by"] = np.where(events["touchpoint"] == "parcel", "brand", "customer")
    ended = told(journey_map(cx.open_study({"touchpoints": events, "catalog": CATALOG})), "visits_end")
    assert ended == {"awareness": 0.5, "engagement": 1.0}


def test_what_the_study_does_not_hold_is_left_out_and_not_invented():
    bare = CATALOG.drop(columns=["ownership", "mode"])
    result = journey_map(cx.open_study({"touchpoints": touchpoints(VISITS), "catalog": bare}))
    assert set(result.table()["measure"]) == {"met", "touchpoint", "never_later", "visits_end"}
    assert result.pains.table().empty
    assert "No condition" in result.pains.claim()
    assert result.question == ""


def test_a_question_that_nobody_answered_is_refused_with_those_that_were(demo):
    with pytest.raises(CxLookupError, match=r"Asked were: .*nps"):
        journey_map(demo, question="joy")


@pytest.fixture(scope="module")
def demo():
    return cx.open_study("demo")


@pytest.fixture(scope="module")
def everybody(demo):
    return journey_map(demo)


def test_rows_of_few_customers_are_in_the_table_and_in_no_display(written, everybody):
    assert len(written.table())
    shown = written._repr_mimebundle_()
    assert "page" not in shown["text/html"] + shown["text/plain"] + shown["text/csv"]
    lines = everybody._repr_mimebundle_()["text/csv"].splitlines()[1:]
    assert len(lines) == len(everybody.table().query("customers >= 10"))


def test_the_display_is_a_table_with_a_head_for_every_row_and_column(everybody):
    shown = everybody._repr_mimebundle_()["text/html"]
    assert shown.count('<th scope="col">') == 4
    assert shown.count('<th scope="row">') >= 6
    assert "<th></th>" not in shown


# --- personas ------------------------------------------------------------------------------------


def sure(who: pd.DataFrame) -> pd.DataFrame:
    """Memberships without doubt: the true kinds."""
    kinds = pd.get_dummies(who["kind"]).astype(float)
    return pd.concat([who["customer_id"].astype(str).rename("person"), kinds], axis=1)


def seen(who: pd.DataFrame, error: float, seed: int) -> pd.DataFrame:
    """Memberships where a customer is taken for another kind with probability `error`, by Bayes' rule."""
    rng = np.random.default_rng(seed)
    kinds = sorted(who["kind"].unique())
    k, true = len(kinds), who["kind"].map({name: i for i, name in enumerate(kinds)}).to_numpy()
    other = (true + rng.integers(1, k, len(true))) % k
    taken = np.where(rng.random(len(true)) < error, other, true)
    given = np.where(np.eye(k, dtype=bool), 1 - error, error / (k - 1))
    joint = np.bincount(true, minlength=k)[:, None] * given
    posterior = (joint / joint.sum(axis=0))[:, taken].T
    return pd.concat(
        [who["customer_id"].astype(str).rename("person"), pd.DataFrame(posterior, columns=kinds)], axis=1
    )


def assigned(memberships: pd.DataFrame) -> pd.DataFrame:
    """Everybody surely of the likeliest persona: what one would do without a correction."""
    names = list(memberships.columns[1:])
    best = memberships[names].to_numpy().argmax(axis=1)
    return pd.concat([memberships["person"], pd.DataFrame(np.eye(len(names))[best], columns=names)], axis=1)


@pytest.fixture(scope="module")
def alba():
    """A clean world of 2,000 customers, opened as a study, and who they are."""
    made = world.simulate(2000, seed=BASE + 1, world="demo", faults=False)
    with_events = made.who["customer_id"].isin(made.tables["touchpoints"]["customer_id"])
    return cx.open_study(made.tables, currency="EUR"), made.who[with_events].reset_index(drop=True)


@pytest.fixture(scope="module")
def alba_posterior():
    """A clean world, who they are, and the exact probability of each kind given all that was observed."""
    made = world.simulate(1000, seed=BASE + 7, world="demo", faults=False)
    known = made.who["customer_id"].isin(made.tables["touchpoints"]["customer_id"])
    posterior = world.posterior(made).rename(columns={"customer_id": "person"}).astype({"person": str})
    return cx.open_study(made.tables, currency="EUR"), made.who[known].reset_index(drop=True), posterior


def test_a_persona_that_is_certain_has_the_map_of_its_customers_alone(alba):
    study, who = alba
    one = who.loc[who["kind"] == "help_seeker", "customer_id"]
    frames = {name: study.fetch(study.table(name)) for name in ("touchpoints", "catalog", "surveys")}
    for name in ("touchpoints", "surveys"):
        frames[name] = frames[name][frames[name]["customer_id"].isin(one)].dropna(axis=1, how="all")
    alone = journey_map(cx.open_study(frames, currency="EUR", conversion=list(company.CONVERSION))).table()
    among = journey_map(study, sure(who)).table().query("persona == 'help_seeker'").reset_index(drop=True)
    parts = [t.drop(columns="persona")[t["measure"] != "pain"] for t in (among, alone)]
    exact = ["stage", "measure", "name", "estimate", "n", "customers", "first_step"]
    pd.testing.assert_frame_equal(*(part[exact].reset_index(drop=True) for part in parts), rtol=1e-9)
    # A fold in which nobody of the persona answered counts here and is empty there: one degree of freedom.
    pd.testing.assert_frame_equal(
        *(part[["low", "high"]].reset_index(drop=True) for part in parts), rtol=0.05
    )


def test_identical_personas_get_identical_maps():
    visits = {f"{who}{i}": days for i in range(30) for who, days in VISITS.items()}
    study = cx.open_study({"touchpoints": touchpoints(visits), "catalog": CATALOG})
    person = sorted(visits)
    even = np.array([int(name[3:]) % 2 for name in person], dtype=float)
    result = journey_map(study, pd.DataFrame({"person": person, "one": even, "other": 1 - even}))
    table = result.table().set_index(["measure", "stage", "name"])
    for column in ("estimate", "n", "customers", "first_step"):
        parts = [table.loc[table["persona"] == name, column] for name in ("one", "other")]
        pd.testing.assert_series_equal(*parts)
    assert result.unlike == pytest.approx((0, 0, 0))
    assert "No persona is met clearly more or less often" in result.claim()


def test_the_correction_brings_maps_nearer_to_those_of_the_true_kinds(alba):
    study, who = alba
    given = seen(who, error=0.3, seed=BASE + 2)
    key = ["persona", "measure", "stage", "name"]
    tables = {
        name: journey_map(study, memberships).table().set_index(key)["estimate"]
        for name, memberships in {"true": sure(who), "corrected": given, "assigned": assigned(given)}.items()
    }
    for measure in ("met", "touchpoint"):
        truth = tables["true"].drop("(all)", level="persona").xs(measure, level="measure")
        far = {name: spread(table.xs(measure, level="measure"), truth) for name, table in tables.items()}
        assert far["assigned"] < 0.75, measure
        assert far["corrected"] == pytest.approx(1, abs=0.25 if measure == "met" else 0.12), measure


def test_memberships_learned_from_the_log_are_weights_by_themselves(alba_posterior):
    study, who, learned = alba_posterior
    key = ["persona", "measure", "stage", "name"]
    tables = {
        "true": journey_map(study, sure(who)),
        "told": journey_map(study, learned, from_log=True),
        "corrected": journey_map(study, learned),
    }
    met, told, corrected = (
        t.table().set_index(key)["estimate"].xs("touchpoint", level="measure") for t in tables.values()
    )
    assert (told - met).abs().mean() < 0.5 * (corrected - met).abs().mean()
    assert spread(told, met) == pytest.approx(1, abs=0.03)


def spread(found: pd.Series, truth: pd.Series) -> float:
    """How far the personas are apart, as a multiple of how far the true kinds are (a regression's slope)."""
    x, y = (
        t - t.groupby(level=["stage", "name"]).transform("mean") for t in (truth, found.reindex(truth.index))
    )
    return float((x * y).sum() / (x * x).sum())


def test_sums_are_those_of_the_weights_of_bch(alba):
    study, who = alba
    given = seen(who, error=0.2, seed=BASE + 3)
    weights = cx.stats.bch(given).set_index("person")
    events = study.fetch(study.table("touchpoints")[["customer_id", "touchpoint"]])
    stage = {t.name: t.stage for t in company.TOUCHPOINTS}
    met = events.assign(stage=events["touchpoint"].map(stage)).drop_duplicates(["customer_id", "stage"])
    bought = (
        weights.loc[met.loc[met["stage"] == "transaction", "customer_id"].astype(str)].sum() / weights.sum()
    )
    found = (
        journey_map(study, given)
        .table()
        .query("measure == 'met' and stage == 'transaction'")
        .set_index("persona")
    )
    np.testing.assert_allclose(found["estimate"].drop("(all)"), bought[found.index.drop("(all)")], rtol=1e-9)


def test_neither_the_order_of_persons_nor_of_personas_matters(alba):
    study, who = alba
    given = seen(who, error=0.2, seed=BASE + 4)
    turned = given.sample(frac=1, random_state=BASE)[["person", *reversed(given.columns[1:])]]
    key = ["persona", "measure", "stage", "name"]
    one, other = (journey_map(study, m).table().set_index(key).sort_index() for m in (given, turned))
    pd.testing.assert_frame_equal(one, other, rtol=1e-7)


def test_customers_without_a_membership_are_in_no_map_and_counted(alba):
    study, who = alba
    part = sure(who).iloc[:1500]
    result = journey_map(study, part)
    assert result.left_out == len(who) - 1500
    assert result.rows("(all)", "met")["n"].iloc[0] == 1500
    strangers = part.assign(person=[f"x{i}" for i in range(len(part))])
    with pytest.raises(CxValueError, match="None of the 1,500 persons in memberships is among"):
        journey_map(study, strangers)
    with pytest.raises(CxLookupError, match="Did you mean `app_native`"):
        result.of("app_natives")


def test_only_sums_leave_the_engine_however_many_customers_there_are():
    left = []
    for times in (300, 600):  # enough for every fold to hold each of the four
        visits = {f"{who}{i}": days for i in range(times) for who, days in VISITS.items()}
        study = cx.open_study({"touchpoints": touchpoints(visits), "catalog": CATALOG})
        study.log()
        before = study.engine.rows_out
        journey_map(study)
        left.append(study.engine.rows_out - before)
    assert left[0] == left[1]


# --- pain points ---------------------------------------------------------------------------------


def test_the_excess_is_the_difference_of_two_exit_rates():
    # Of 40 failed chats 30 end the visit, of 80 others 20 do.
    ends, goes = [["chat"]], [["chat", "page"]]
    visits = {f"f{i}": ends if i < 30 else goes for i in range(40)} | {
        f"o{i}": ends if i < 20 else goes for i in range(80)
    }
    events = touchpoints(visits)
    failed = events["customer_id"].str.startswith("f")
    events["outcome"] = np.where(events["touchpoint"] == "chat", np.where(failed, "failed", "solved"), None)
    table = pain_points(cx.open_study({"touchpoints": events, "catalog": CATALOG})).table()
    assert len(table) == 1  # failing and being solved are one question
    row = table.iloc[0]
    assert (row["touchpoint"], row["condition"], row["n"], row["customers"]) == ("chat", "failed", 40, 40)
    assert row[["with_it", "without_it", "estimate", "burden"]].tolist() == pytest.approx(
        [0.75, 0.25, 0.5, 20]
    )
    assert row["low"] > 0
    assert row["found"]


PLANTED = {
    (touchpoint, SLOW if friction.name == "slow_page" else friction.condition.split("'")[1])
    for friction in company.FRICTIONS
    for touchpoint in friction.touchpoints
    if (touchpoint, friction.name) != ("store_advice", "repeated_question")  # met by next to nobody
}


def test_the_planted_frictions_are_found_and_hardly_anything_else(demo):
    found = pain_points(demo).table().query("found")
    named = set(zip(found["touchpoint"], found["condition"], strict=True))
    assert len(PLANTED & named) >= len(PLANTED) - 2
    assert len(named - PLANTED) <= 1


def test_conditions_without_effect_are_rarely_called_pain_points(alba):
    study, _ = alba
    events = study.fetch(study.table("touchpoints")).drop(columns=["load_ms"]).dropna(axis=1, how="all")
    rng = np.random.default_rng(BASE + 5)
    # Two customers in three meet each label now and then, some of them far more often than others.
    customers = events["customer_id"].unique()
    lean = pd.Series(rng.beta(0.5, 1.5, len(customers)), customers)
    events["outcome"] = np.where(rng.random(len(events)) < events["customer_id"].map(lean), "x", "y")
    catalog = study.fetch(study.table("catalog"))
    found = pain_points(cx.open_study({"touchpoints": events, "catalog": catalog}, currency="EUR")).table()
    assert len(found) > 15
    assert found["found"].sum() <= 2  # at most one list in twenty has any: controlled for false discovery


# --- the picture ---------------------------------------------------------------------------------


def test_the_picture_says_in_words_what_it_shows(alba):
    study, who = alba
    result = journey_map(study, sure(who))
    shown = map_plot.journey_map(result, "help_seeker")
    met = result.rows("help_seeker", "met").set_index("stage")["estimate"]
    assert shown.alt.startswith("Journey map of help seeker. Awareness: ")
    assert cx.results.percent(met["transaction"]) in shown.alt
    assert shown.png.startswith(b"\x89PNG")
    with pytest.raises(CxLookupError, match="No map is of `helper`"):
        map_plot.journey_map(result, "helper")


LONG = (
    "newsletter_of_the_first_week_of_spring_in_the_southern_region",
    "商品详细页面浏览与比较价格的网站首页推荐位与更多内容",
    "W" * 60,
    "payment_approved_by_the_acquiring_bank_on_the_second_attempt",
    "a$b_$c^2_{touch}",
    "customer_service_hotline_for_premium_members",
)


def test_long_names_run_neither_into_each_other_nor_off_the_picture(monkeypatch):
    rng = np.random.default_rng(BASE + 6)
    stages = ("awareness", "engagement", "engagement", "transaction", "engagement", "retention")
    catalog = pd.DataFrame({"touchpoint": LONG, "channel": LONG, "stage": stages, "ownership": "owned"})
    size = 6000
    who = np.array([f"c{i:03d}" for i in rng.integers(0, 300, size)])
    events = pd.DataFrame({"event_id": range(size), "customer_id": who, "touchpoint": rng.choice(LONG, size)})
    events["ts"] = pd.Timestamp("2026-01-01") + pd.to_timedelta(rng.integers(0, 40_000, size), "min")
    events["outcome"] = np.where(rng.random(size) < 0.4, f"not_{LONG[0]}", "fine")
    persona = f"the_{LONG[3]}"
    people = pd.DataFrame({"person": sorted(set(who))})
    people[persona] = (np.arange(len(people)) % 2).astype(float)
    people["other"] = 1 - people[persona]
    result = journey_map(cx.open_study({"touchpoints": events, "catalog": catalog}), people)
    pains = result.pains.frame.assign(found=True)  # as many words as there can be
    drawn = []
    finish = cx.figures.finish
    monkeypatch.setattr(cx.figures, "finish", lambda fig, alt: drawn.append(fig) or finish(fig, alt))
    map_plot.journey_map(
        dataclasses.replace(result, pains=dataclasses.replace(result.pains, frame=pains)), persona
    )
    (fig,) = drawn
    with cx.figures.style(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of scripts that no font here has
        boxes = [
            (text.get_text(), text.get_window_extent(fig.canvas.get_renderer())) for text in fig.axes[0].texts
        ]
    assert len(boxes) > 30
    for (one, a), (other, b) in itertools.combinations(boxes, 2):
        wide, tall = min(a.x1, b.x1) - max(a.x0, b.x0), min(a.y1, b.y1) - max(a.y0, b.y0)
        assert not (wide > 1 and tall > 4), (one, other)
    assert all(box.x0 > -1 and box.x1 < fig.bbox.width + 1 for _, box in boxes)


@pytest.mark.spark
def test_maps_are_the_same_on_spark(spark, demo, tmp_path):
    first = demo.fetch(demo.table("customers"))["customer_id"].sort_values().head(60)
    for name in ("touchpoints", "catalog", "surveys"):
        frame = demo.fetch(demo.table(name)).dropna(axis=1, how="all")
        if "customer_id" in frame:
            frame = frame[frame["customer_id"].isin(first)].reset_index(drop=True)
        frame.to_parquet(tmp_path / f"{name}.parquet", index=False)
        spark.read.parquet(str(tmp_path / f"{name}.parquet")).createOrReplaceTempView(name)
    likely = np.linspace(0, 1, len(first))
    people = pd.DataFrame({"person": first.to_numpy(), "one": likely, "other": 1 - likely})
    studies = cx.open_study(tmp_path), cx.open_study(ibis.pyspark.connect(spark))
    duckdb, other = (journey_map(study, people) for study in studies)
    pd.testing.assert_frame_equal(duckdb.table(), other.table(), rtol=1e-9, check_dtype=False)
    pd.testing.assert_frame_equal(duckdb.pains.table(), other.pains.table(), rtol=1e-9, check_dtype=False)


def test_a_touchpoint_that_only_people_without_a_membership_met_is_not_on_the_map():
    study = cx.open_study({"touchpoints": touchpoints(VISITS), "catalog": CATALOG})
    given = pd.DataFrame({"person": ["bob", "cem"], "A": [1.0, 0.0], "B": [0.0, 1.0]})
    for from_log in (False, True):
        found = journey_map(study, given, from_log=from_log).table().query("measure == 'touchpoint'")
        assert set(found["name"]) == {"ad", "page", "chat"}
        assert found["first_step"].notna().any()
