"""Each preset on a small file in the form that its tool documents: fictitious people, every oddity of the form.

A sample lies in samples/; what it must become is worked out by hand beside it.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
import yaml
from pyarrow import parquet

import cxlib as cx
from cxlib.contract import KINDS, TABLES
from cxlib.errors import CxError, CxValueError
from cxlib.readers import mapping
from cxlib.study import Study

SAMPLES = Path(__file__).parent / "samples"
Opened = Callable[..., Study]


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Opened:
    """Opens a study that reads one sample (or a file of the test's own) by a preset; the same one once."""
    known: dict[str, Study] = {}

    def open_sample(
        preset: str, file: str | Path, identifiers: str = "keep", catalog: Any = None, **entry: Any
    ) -> Study:
        values: dict[str, Any] = {"currency": "EUR", "identifiers": identifiers}
        values["sources"] = [{"file": str(SAMPLES / file), "preset": preset, **entry}]
        values |= {"catalog": catalog} if catalog else {}
        text = yaml.safe_dump(values)
        if text not in known:
            folder = tmp_path_factory.mktemp(preset)
            (folder / "study.yaml").write_text(text, "utf-8")
            known[text] = cx.open_study(folder)
        return known[text]

    return open_sample


def rows(study: Study, table: str, by: str = "ts") -> pd.DataFrame:
    """A table's rows in the order of time, ties in that of the first column."""
    frame = study.fetch(study.table(table))
    return frame.sort_values([by, frame.columns[0]], ignore_index=True)


def texts(column: pd.Series) -> list[str | None]:
    return [None if pd.isna(value) else str(value) for value in column]


def left_out(study: Study) -> dict[str, int]:
    """Rows that each table's `where` left out, as the study says it."""
    return {one.table: one.rows for one in study.findings.found if "left out by `where`" in one.problem}


# --- all of them ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", mapping.presets())
def test_a_preset_says_where_its_form_is_documented_how_surely_and_how_to_recognise_it(name: str) -> None:
    preset = mapping.preset(name)
    assert preset.confidence in ("documented", "schema in a connector", "seen in fixture")
    assert preset.title
    assert preset.address.startswith("https://") or "not documented" in preset.address
    assert len(preset.recognise) >= 3
    assert set(preset.needs) <= {"zone"}


@pytest.mark.parametrize("name", mapping.presets())
def test_a_preset_is_read_whole_and_states_a_zone_or_asks_for_it(name: str) -> None:
    """No preset guesses a clock: its times have an offset or count from 1970, or `zone` is said."""
    preset = mapping.preset(name)
    surveys = name in ("qualtrics", "qualtrics_legacy", "surveymonkey", "typeform")
    asked = {"question": {"value": "nps"}, "scale_min": {"value": 0}, "scale_max": {"value": 10}}
    tables = {"tables": [{"table": "surveys", "columns": {**asked, "score": "Q"}}]} if surveys else {}
    source = {"file": "x.csv", "preset": name, **dict.fromkeys(preset.needs, "UTC"), **tables}
    (parsed,) = mapping.parse({"sources": [source]}).sources
    times = [
        rule
        for entry in parsed.tables
        for column, rule in entry.columns.items()
        if column in [c.name for c in TABLES[entry.table].columns if c.kind == "time"]
    ]
    offset = name in ("segment", "rudderstack", "shopify", "xes")
    assert times
    assert parsed.zone or offset or all(rule.unit for rule in times)
    assert set(KINDS) >= {rule.kind for entry in parsed.tables for rule in entry.columns.values()} - {""}


# --- events -----------------------------------------------------------------------------------------

GA4_NAMES = [
    "session_start",
    "page_view",
    "page_view",
    "purchase",
    "purchase",
    "purchase",
    "predicted_top_spenders",
]


def test_ga4_reads_integers_that_are_text_and_counts_rows_of_nobody(opened: Opened) -> None:
    study = opened("ga4", "ga4.jsonl")
    events = rows(study, "touchpoints")
    assert events["touchpoint"].tolist() == GA4_NAMES
    assert events["ts"].iloc[0] == pd.Timestamp("2026-03-02 10:30:00.123456")
    assert (
        texts(events["anonymous_id"]) == ["1111.2222"] + ["3333.4444"] + ["1111.2222"] * 3 + ["3333.4444"] * 2
    )
    assert texts(events["customer_id"]) == [None, None, None, "c-77", "c-77", None, None]
    assert events["value"].dropna().tolist() == [5_980, 5_980, 10]
    assert events["content"].iloc[0] == "https://shop.example/"
    assert events["campaign"].iloc[0] == "spring"
    assert left_out(study)["touchpoints"] == 1


def test_ga4_sessions_are_of_one_visitor_and_rows_without_ids_have_none(opened: Opened) -> None:
    events = rows(opened("ga4", "ga4.jsonl"), "touchpoints")
    of = events.groupby("session_id", dropna=False)["event_id"].count()
    assert of.loc["1111.2222.1772447400"] == 4
    assert of.loc["3333.4444.1772447400"] == 2
    assert events["session_id"].isna().sum() == 1


def test_ga4_orders_are_purchases_with_a_number_each_once(opened: Opened) -> None:
    orders = rows(opened("ga4", "ga4.jsonl"), "orders")
    assert orders[["order_id", "customer_id", "revenue", "currency"]].to_numpy().tolist() == [
        ["T-1001", "c-77", 5_980, "EUR"]
    ]


def test_ga4_hides_the_cookie_also_in_the_session(opened: Opened) -> None:
    study = opened("ga4", "ga4.jsonl", identifiers="hash")
    events = rows(study, "touchpoints")
    assert events["session_id"].nunique() == 2
    assert "1111.2222" not in events.to_csv()
    assert "c-77" not in events.to_csv() + rows(study, "orders").to_csv()


def wrapped(value: Any, repeated: bool = False) -> Any:
    """Lists as `{list: [{element: ...}]}`: what BigQuery makes of Parquet lists that it did not infer."""
    if isinstance(value, list):
        return {"list": [{"element": wrapped(item)} for item in value]}
    return {key: wrapped(item) for key, item in value.items()} if isinstance(value, dict) else value


@pytest.mark.parametrize("form", ["lists", "wrapped lists"])
def test_ga4_as_parquet_gives_what_it_gives_as_json(opened: Opened, tmp_path: Path, form: str) -> None:
    as_json = rows(opened("ga4", "ga4.jsonl"), "touchpoints")
    lines = [json.loads(line) for line in (SAMPLES / "ga4.jsonl").read_text("utf-8").splitlines()]
    for line in lines:  # BigQuery's Parquet has the integers as integers
        line["event_timestamp"] = int(line["event_timestamp"])
        for param in line["event_params"]:
            param["value"]["int_value"] = param["value"]["int_value"] and int(param["value"]["int_value"])
        if line["ecommerce"]:
            line["ecommerce"]["total_item_quantity"] = int(line["ecommerce"]["total_item_quantity"])
    table = pa.Table.from_pylist([wrapped(line) for line in lines] if form == "wrapped lists" else lines)
    parquet.write_table(table, tmp_path / "ga4.parquet")
    study = opened("ga4", tmp_path / "ga4.parquet")
    as_parquet = rows(study, "touchpoints")
    pd.testing.assert_frame_equal(as_parquet.drop(columns="event_id"), as_json.drop(columns="event_id"))
    assert rows(study, "orders")["revenue"].tolist() == [5_980]


def test_snowplow_names_its_131_columns_and_reads_quotes_as_letters(opened: Opened) -> None:
    assert len(mapping.preset("snowplow").entry["names"]) == 131
    assert mapping.preset("snowplow").entry["names"][121] == "refr_device_tstamp"  # counted from 0
    study = opened("snowplow", "snowplow.tsv")
    events = rows(study, "touchpoints")
    assert events["touchpoint"].tolist() == ["page_view", "add_to_cart", "purchase"]
    assert events["ts"].tolist() == [
        pd.Timestamp("2026-03-02 10:30:00.123"),
        pd.Timestamp("2026-03-02 10:31:00"),
        pd.Timestamp("2026-03-02 10:32:00.5"),
    ]
    assert events["channel"].tolist() == ["web", "app", "web"]
    assert set(events["session_id"]) == {"s-1"}
    assert left_out(study)["touchpoints"] == 2  # a page ping, and an event of nobody
    assert texts(events["customer_id"]) == [None, "c-77", "c-77"]
    orders = rows(study, "orders")
    assert orders[["order_id", "customer_id", "revenue"]].to_numpy().tolist() == [["O-9", "c-77", 5_980]]


@pytest.mark.parametrize(("line", "more", "fields"), [(3, None, 130), (4, "\tx", 132), (5, "\t", 132)])
def test_snowplow_refuses_a_line_that_has_not_131_fields_by_its_number(
    opened: Opened, tmp_path: Path, line: int, more: str | None, fields: int
) -> None:
    lines = (SAMPLES / "snowplow.tsv").read_text("utf-8").splitlines()
    lines[line - 1] = lines[line - 1].removesuffix("\t") if more is None else lines[line - 1] + more
    path = tmp_path / "broken.tsv"
    path.write_text("\n".join(lines) + "\n", "utf-8")
    with pytest.raises(CxValueError, match=rf"broken\.tsv, line {line}, has {fields} fields.*131"):
        opened("snowplow", path)


def test_segment_messages_become_contacts_orders_and_identities(opened: Opened) -> None:
    study = opened("segment", "segment.jsonl")
    events = rows(study, "touchpoints")
    assert events["touchpoint"].tolist() == ["page Home", "Product Added", "Order Completed", "screen Start"]
    assert events["ts"].iloc[0] == pd.Timestamp("2026-03-02 10:30:00.123")
    assert events["received_ts"].iloc[0] == pd.Timestamp("2026-03-02 10:30:00.623")
    orders = rows(study, "orders")
    assert orders[["order_id", "revenue", "currency"]].to_numpy().tolist() == [["O-9", 5_980, "EUR"]]
    who = rows(study, "identities", by="id_value")
    assert who[["id_type", "id_value", "customer_id", "rule"]].to_numpy().tolist() == [
        ["anonymous_id", "a-1", "c-77", "identify"],
        ["previous_id", "old-5", "c-77", "alias"],
    ]


def test_rudderstack_goes_by_its_original_timestamp_and_needs_no_alias(opened: Opened) -> None:
    study = opened("rudderstack", "rudderstack.jsonl")
    events = rows(study, "touchpoints")
    assert events["touchpoint"].tolist() == ["page Home", "Product Added", "Order Completed", "screen Start"]
    assert events["ts"].iloc[-1] == pd.Timestamp("2026-03-02 10:35:00.123")
    assert rows(study, "orders")["revenue"].tolist() == [5_980]
    assert rows(study, "identities", by="id_value")["id_value"].tolist() == ["a-1"]


def test_amplitude_reads_both_forms_of_its_times_as_utc(opened: Opened) -> None:
    events = rows(opened("amplitude", "amplitude.json"), "touchpoints")
    assert events["ts"].tolist() == [
        pd.Timestamp("2026-03-02 10:30:00.123456"),
        pd.Timestamp("2026-03-02 10:31:00.5"),
        pd.Timestamp("2026-03-02 10:50:00"),
    ]
    assert texts(events["session_id"]) == ["dev-1.1772447400000", "dev-1.1772447400000", None]
    assert set(events["anonymous_id"]) == {"900000000000000001"}


def test_mixpanel_keeps_the_latest_of_each_copy(opened: Opened) -> None:
    events = rows(opened("mixpanel", "mixpanel.jsonl", zone="UTC"), "touchpoints")
    assert events["touchpoint"].tolist() == ["Page View", "Purchase", "Purchase"]
    assert texts(events["campaign"]) == ["spring", None, None]
    assert events["anonymous_id"].tolist() == ["d-1", "d-1", "d-2"]
    assert events["ts"].iloc[0] == pd.Timestamp("2026-03-02 10:30:00")


def test_mixpanel_of_before_2023_counts_on_the_clock_that_is_stated(opened: Opened) -> None:
    events = rows(opened("mixpanel", "mixpanel.jsonl", zone="America/New_York"), "touchpoints")
    assert events["ts"].iloc[0] == pd.Timestamp("2026-03-02 15:30:00")
    with pytest.raises(CxValueError, match="does not say its zone: write `zone:"):
        opened("mixpanel", "mixpanel.jsonl")


# --- orders, sales, service ---------------------------------------------------------------------------


def test_shopify_takes_an_order_from_its_first_row_once(opened: Opened) -> None:
    """Four orders on six rows; one is voided. 69.69 + 10.00 + 5.00 of Total."""
    study = opened("shopify", "shopify.csv")
    orders = rows(study, "orders")
    assert orders["order_id"].tolist() == ["#1001", "#1002", "#1004"]
    assert orders["revenue"].tolist() == [6_969, 1_000, 500]
    assert orders["refunded"].tolist() == [0, 400, 0]
    assert orders["ts"].tolist() == [
        pd.Timestamp("2025-10-07 07:50:26"),
        pd.Timestamp("2025-11-01 23:30:00"),
        pd.Timestamp("2025-11-04 11:00:00"),
    ]
    assert orders["customer_id"].tolist() == ["ann@example.com", "+33698765432", "guest 5004"]
    events = rows(study, "touchpoints")
    assert events["touchpoint"].value_counts().to_dict() == {
        "purchase": 4,
        "fulfilment": 1,
        "cancellation": 1,
    }
    assert events.loc[events["touchpoint"] == "purchase", "value"].sum() == 6_969 + 1_000 + 9_900 + 500
    assert events.loc[events["touchpoint"] == "cancellation", "order_id"].tolist() == ["#1003"]


def test_shopify_hides_who_bought_and_leaves_the_order_readable(opened: Opened) -> None:
    orders = rows(opened("shopify", "shopify.csv", identifiers="hash"), "orders")
    assert orders["order_id"].tolist() == ["#1001", "#1002", "#1004"]
    assert orders["customer_id"].str.fullmatch(r"p[0-9a-f]{20}").all()


def test_zendesk_tickets_are_read_in_both_dialects_on_the_stated_clock(opened: Opened) -> None:
    events = rows(opened("zendesk", "zendesk.csv", zone="Europe/Rome"), "touchpoints")
    assert events["touchpoint"].tolist() == ["ticket_opened", "ticket_solved", "ticket_opened"]
    assert events["ts"].tolist() == [  # winter, winter, summer
        pd.Timestamp("2026-01-10 08:00"),
        pd.Timestamp("2026-01-11 09:30"),
        pd.Timestamp("2026-07-10 07:00"),
    ]
    assert texts(events["customer_id"]) == ["c-77", "c-77", None]
    assert texts(events["anonymous_id"]) == ["9001", "9001", "9002"]
    assert events["content"].iloc[0] == "Where is my mug, ann@example.com?"
    assert events["first_reply_minutes"].iloc[0] == 45
    other = rows(opened("zendesk", "zendesk_min.csv", zone="Europe/Rome"), "touchpoints")
    assert other["touchpoint"].tolist() == ["ticket_opened", "ticket_opened", "ticket_solved"]
    assert other["first_reply_minutes"].tolist()[1] == 12.5
    assert other["first_reply_minutes"].isna().tolist() == [True, False, True]


def test_zendesk_hides_who_asks_also_in_the_subject(opened: Opened) -> None:
    events = rows(opened("zendesk", "zendesk.csv", identifiers="hash", zone="UTC"), "touchpoints")
    assert events["content"].iloc[0] == "Where is my mug, [e-mail]?"
    assert not events.astype(str).apply(lambda column: column.str.contains("ann@|9001|c-77")).any(axis=None)


def test_zendesk_asks_for_the_zone_and_leaves_its_satisfaction_to_be_mapped(opened: Opened) -> None:
    with pytest.raises(CxValueError, match="does not say its zone"):
        opened("zendesk", "zendesk.csv")
    score = {"column": "Satisfaction Score", "map": {"Good": 1, "Bad": 0}}
    scale = {"question": {"value": "csat"}, "scale_min": {"value": 0}, "scale_max": {"value": 1}}
    columns = {"response_id": "Id", "ts": "Updated at", "score": score, **scale}
    asked = {"table": "surveys", "where": {"Satisfaction Score": ["Good", "Bad"]}, "columns": columns}
    study = opened("zendesk", "zendesk.csv", zone="UTC", tables=[asked])
    assert rows(study, "surveys")["score"].tolist() == [1]
    assert study.findings.rows["touchpoints"] == 3


def test_zoho_deals_are_of_their_contact_or_account_without_the_prefix(opened: Opened) -> None:
    won = {
        "order_id": {"column": "Record Id", "strip": "zcrm_"},
        "customer_id": {"column": "Contact Name.id", "strip": "zcrm_"},
        "ts": "Closing Date",
        "revenue": "Amount",
        "currency": "Currency",
    }
    tables = [{"table": "orders", "where": {"Stage": "Closed Won"}, "columns": won}]
    study = opened("zoho_deals", "Deals_001.csv", zone="Europe/Rome", tables=tables)
    events = rows(study, "touchpoints")
    assert events["event_id"].astype(str).tolist() == ["1234567890000000001", "1234567890000000002"]
    assert events["customer_id"].tolist() == ["1234567890000000777", "901"]
    assert events["value"].tolist() == [120_050, 30_000]
    assert events["ts"].tolist() == [pd.Timestamp("2026-01-10 08:00"), pd.Timestamp("2026-07-10 07:00")]
    assert rows(study, "orders")["revenue"].tolist() == [120_050]


def test_zoho_leads_say_who_they_became(opened: Opened) -> None:
    events = rows(opened("zoho_leads", "Leads_001.csv", zone="Europe/Rome"), "touchpoints")
    assert events["touchpoint"].tolist() == ["lead_created", "lead_created", "lead_converted"]
    assert events["anonymous_id"].tolist() == ["501", "502", "501"]
    assert texts(events["customer_id"]) == ["1234567890000000777", None, "1234567890000000777"]


def test_pipedrive_deals_are_read_under_either_spelling(opened: Opened) -> None:
    study = opened("pipedrive", "pipedrive.csv", zone="UTC")
    events = rows(study, "touchpoints")
    assert events["touchpoint"].value_counts().to_dict() == {"deal_created": 3, "deal_won": 1, "deal_lost": 1}
    assert set(events["customer_id"]) == {"ann@example.com", "Bolt", "bob@example.com"}
    orders = rows(study, "orders")
    assert orders[["order_id", "revenue"]].to_numpy().tolist() == [["1", 120_050]]
    other = rows(opened("pipedrive", "pipedrive_other.csv", zone="UTC"), "touchpoints")
    assert other[["touchpoint", "value"]].to_numpy().tolist() == [["deal_created", 1_525]]


# --- surveys ------------------------------------------------------------------------------------------


def asked(score: str, **more: Any) -> list[dict[str, Any]]:
    scale = {"question": {"value": "nps"}, "scale_min": {"value": 0}, "scale_max": {"value": 10}}
    return [{"table": "surveys", "columns": {**scale, "score": score, **more}}]


def test_qualtrics_skips_three_header_rows_and_unfinished_answers(opened: Opened) -> None:
    study = opened("qualtrics", "qualtrics.csv", zone="Europe/Rome", tables=asked("Q1", comment="Q2"))
    answers = rows(study, "surveys")
    assert answers["response_id"].tolist() == ["R_1", "R_2"]
    assert left_out(study) == {"surveys": 1}
    assert answers["score"].tolist() == [10, 0]
    assert answers["ts"].tolist() == [
        pd.Timestamp("2026-01-10 08:01:01"),
        pd.Timestamp("2026-07-10 07:01:01"),
    ]
    assert answers["customer_id"].tolist() == ["c-77", "bob@example.com"]
    assert texts(answers["comment"]) == ["Schnell,\nund gut", None]
    assert answers["language"].tolist() == ["de", "en"]


def test_qualtrics_asks_which_question_is_the_score(opened: Opened) -> None:
    with pytest.raises(CxValueError, match="table surveys: `columns` lacks question, scale_min, scale_max"):
        opened("qualtrics", "qualtrics.csv", zone="UTC")


def test_the_legacy_form_of_qualtrics_has_two_header_rows_and_a_comma_too_many(opened: Opened) -> None:
    study = opened("qualtrics_legacy", "qualtrics_legacy.csv", zone="UTC", tables=asked("Q1"))
    answers = rows(study, "surveys")
    assert answers[["response_id", "customer_id", "score"]].to_numpy().tolist() == [["R_9", "c-77", 9]]


def test_surveymonkey_joins_two_header_rows_on_the_stated_clock(opened: Opened) -> None:
    question = "How likely are you to recommend us, all in all? - Open-Ended Response"
    other = "Which did you use? - Other (please specify)"
    stated = {"zone": "America/New_York", "dates": "month-first"}
    study = opened("surveymonkey", "surveymonkey.csv", **stated, tables=asked(question, comment=other))
    answers = rows(study, "surveys")
    assert answers["score"].tolist() == [9, 4]
    assert answers["ts"].tolist() == [
        pd.Timestamp("2026-01-10 20:01:30"),
        pd.Timestamp("2026-07-10 19:01:30"),
    ]
    assert texts(answers["comment"]) == [None, "kiosk, in town"]
    assert answers["customer_id"].tolist() == ["c-77", "bob@example.com"]


def test_typeform_is_utc_and_its_hidden_field_says_who_answered(opened: Opened) -> None:
    question = "How likely are you to recommend us to a friend?"
    more = {"customer_id": "customer", "comment": "Why, in your own words?"}
    answers = rows(opened("typeform", "typeform.csv", tables=asked(question, **more)), "surveys")
    assert answers["score"].tolist() == [10, 6]
    assert answers["ts"].iloc[1] == pd.Timestamp("2026-07-10 09:01:00")
    assert texts(answers["customer_id"]) == ["c-77", None]


# --- logs ---------------------------------------------------------------------------------------------


def test_an_event_log_is_a_source_as_any_other_and_keeps_its_order(opened: Opened) -> None:
    catalog = {"Register": ["desk", "engagement"], "*": ["call", "transaction"]}
    events = rows(opened("xes", "log.xes", catalog=catalog), "touchpoints")
    assert events["touchpoint"].tolist() == ["Register", "Check & call (start)", "Check & call", "Register"]
    assert events["ts"].tolist() == [
        pd.Timestamp("2026-03-01 21:30:00.5"),
        pd.Timestamp("2026-03-02 08:00"),
        pd.Timestamp("2026-03-02 08:00"),
        pd.Timestamp("2026-03-03 09:00"),
    ]
    assert events["anonymous_id"].tolist() == ["case 1"] * 3 + ["case 2"]
    assert texts(events["resource"]) == ["7", None, None, None]


@pytest.mark.parametrize("name", mapping.presets())
def test_a_file_of_another_form_is_refused_in_words(opened: Opened, tmp_path: Path, name: str) -> None:
    """Never a traceback: each preset on a plain table, under the suffix of its own format."""
    suffix = {"json": ".json", "xes": ".xes"}.get(str(mapping.preset(name).entry.get("format")), ".csv")
    path = tmp_path / f"other{suffix}"
    path.write_text('{"a": 1}\n' if suffix == ".json" else "a,b\n1,2\n", "utf-8")
    tables = {"tables": asked("b")} if "surveys" in str(mapping.preset(name).entry) else {}
    with pytest.raises(CxError, match="other"):
        opened(name, path, **({"zone": "UTC"} if mapping.preset(name).needs else {}), **tables)
