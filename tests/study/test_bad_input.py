"""Bad input: each case gives a message that says what is wrong and what to do, and nothing half-written."""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import cxlib as cx
from cxlib.errors import ContractViolations, CxError, CxValueError, UnknownStudy
from cxlib.results import Claim

Events = Callable[..., pd.DataFrame]
Folder = Callable[..., Path]
Whole = Callable[[], None]


@pytest.fixture(autouse=True)
def _always_whole(whole: Whole) -> Any:
    yield
    whole()


def refused(where: Any, *says: str, kind: type[CxError] = CxError) -> str:
    """The message with which a study is refused; it must say all of `says`, and end like a sentence."""
    with pytest.raises(kind) as caught:
        cx.open_study(where)
    message = str(caught.value)
    for text in says:
        assert text in message
    assert message.rstrip().endswith((".", ")"))
    assert "Traceback" not in message
    return message


def column(where: Any, name: str, table: str = "touchpoints") -> list[Any]:
    """The values of a column of an opened study by event_id, missing ones as None."""
    study = cx.open_study(where)
    t = study.table(table)
    frame = study.fetch(t.select(key=t[t.columns[0]], value=t[name])).sort_values("key")
    return [None if pd.isna(v) else v for v in frame["value"]]


def shown(result: Any) -> str:
    """The HTML that a notebook shows of a result."""
    return result._repr_html_() if hasattr(result, "_repr_html_") else result._repr_mimebundle_()["text/html"]


def parquet(table: pa.Table) -> bytes:
    """The bytes of an Arrow table as Parquet."""
    buffer = io.BytesIO()
    pq.write_table(table, buffer)
    return buffer.getvalue()


# --- files ------------------------------------------------------------------------------------------


def test_an_empty_folder_says_which_files_it_should_hold(folder: Folder) -> None:
    refused(folder({}), "holds: nothing", "touchpoints.csv", kind=UnknownStudy)


def test_a_folder_that_is_not_there_says_which_studies_there_are(tmp_path: Path) -> None:
    refused(tmp_path / "nowhere", "neither a study nor a folder", "demo", kind=UnknownStudy)
    refused("dmeo", "Did you mean `demo`?", kind=UnknownStudy)


def test_a_file_in_place_of_a_folder_is_named(folder: Folder, events: Events) -> None:
    refused(folder({"touchpoints.csv": events()}) / "touchpoints.csv", "is a file; name the folder")


def test_a_study_is_not_opened_from_a_number() -> None:
    refused(7, "not opened from a int", "a folder", kind=CxValueError)


@pytest.mark.parametrize(("delimiter", "said"), [(";", ";"), ("\t", "\\t"), ("|", "|")])
def test_a_wrong_delimiter_is_named_with_the_line_to_write(
    folder: Folder, events: Events, delimiter: str, said: str
) -> None:
    text = events(**{"a,b": 1}).to_csv(index=False, sep=delimiter)
    refused(folder({"touchpoints.csv": text}), f'delimiter: "{said}"', kind=CxValueError)
    study = cx.open_study(folder({"touchpoints.csv": text}, f'delimiter: "{said}"'))
    assert study.findings.rows["touchpoints"] == 3


def test_latin_1_without_saying_so_names_the_line_and_the_setting(folder: Folder, events: Events) -> None:
    text = events(touchpoint=["page", "café", "page"]).to_csv(index=False).encode("latin-1")
    refused(folder({"touchpoints.csv": text}), "line 3", "not utf-8", "encoding: latin-1")
    assert column(folder({"touchpoints.csv": text}, "encoding: latin-1"), "touchpoint")[1] == "café"


def test_a_wrong_byte_far_into_a_file_is_found_too(folder: Folder, events: Events) -> None:
    many = pd.concat([events()] * 20_000).assign(event_id=range(60_000))
    text = many.to_csv(index=False).encode() + b"last,z,2026-01-01,caf\xe9,web,awareness\n"
    refused(folder({"touchpoints.csv": text}), "line 60002", "not utf-8")


def test_utf_8_declared_as_latin_1_is_refused_rather_than_garbled(folder: Folder, events: Events) -> None:
    text = events(touchpoint=["page", "café", "page"]).to_csv(index=False)
    refused(folder({"touchpoints.csv": text}, "encoding: latin-1"), "is UTF-8", "Take `encoding")


def test_utf_16_is_recognised_and_read_when_declared(folder: Folder, events: Events) -> None:
    text = events().to_csv(index=False)
    refused(folder({"touchpoints.csv": text.encode("utf-16")}), "is UTF-16", "encoding: utf-16")
    refused(folder({"touchpoints.csv": text.encode("utf-16-le")}), "binary data")
    declared = folder({"touchpoints.csv": text.encode("utf-16")}, "encoding: utf-16")
    assert column(declared, "touchpoint") == ["page", "cart", "page"]


def test_an_unknown_encoding_lists_those_there_are(folder: Folder, events: Events) -> None:
    refused(folder({"touchpoints.csv": events()}, "encoding: klingon"), "klingon", "latin-1")


@pytest.mark.parametrize("content", ["", "\n\n", " \n"])
def test_an_empty_csv_is_named(folder: Folder, content: str) -> None:
    refused(folder({"touchpoints.csv": content}), "touchpoints.csv is empty", "header")


@pytest.mark.parametrize("file", ["touchpoints.csv", "touchpoints.parquet"])
def test_a_header_alone_is_a_table_without_rows(folder: Folder, events: Events, file: str) -> None:
    refused(folder({file: events().head(0)}), "the table has no rows", "Add rows", kind=ContractViolations)


def test_a_side_table_without_rows_is_treated_as_absent_and_said_so(folder: Folder, events: Events) -> None:
    orders = pd.DataFrame({"order_id": [], "customer_id": [], "ts": [], "revenue": [], "currency": []})
    study = cx.open_study(folder({"touchpoints.csv": events(), "orders.csv": orders}))
    assert "orders" not in study.tables
    assert "It is treated as absent." in str(study.findings)


@pytest.mark.parametrize("damage", ["garbage", "empty", "truncated", "text"])
def test_an_unreadable_parquet_file_is_named(folder: Folder, events: Events, damage: str) -> None:
    good = parquet(pa.Table.from_pandas(events()))
    content = {"garbage": b"\x00\x01" * 999, "empty": b"", "truncated": good[:-64], "text": b"a,b\n1,2\n"}[
        damage
    ]
    refused(folder({"touchpoints.parquet": content}), "touchpoints.parquet cannot be read", "export it again")


def test_parquet_damaged_in_the_middle_is_our_error_and_names_the_table(
    folder: Folder, events: Events
) -> None:
    good = parquet(pa.Table.from_pandas(events()))
    bad = good[:40] + b"\xff" * 60 + good[100:]
    refused(folder({"touchpoints.parquet": bad}), "touchpoints: ", "damaged", "export it again")


def test_parquet_named_csv_is_recognised(folder: Folder, events: Events) -> None:
    content = parquet(pa.Table.from_pandas(events()))
    refused(folder({"touchpoints.csv": content}), "a Parquet file named .csv", "Rename it")


def test_two_forms_of_one_table_are_refused(folder: Folder, events: Events) -> None:
    where = folder({"touchpoints.csv": events(), "touchpoints.parquet": events()})
    refused(where, "there twice: touchpoints.parquet and touchpoints.csv", "Keep one")


def test_a_directory_of_parts_is_one_table(folder: Folder, events: Events) -> None:
    first, second = events().head(1), events(content=["u", "v", "w"]).tail(2)
    for kind in ("csv", "parquet"):
        where = folder({f"touchpoints/1.{kind}": first, f"touchpoints/2.{kind}": second}, name=kind)
        assert column(where, "content") == [None, "v", "w"]


def test_parts_of_two_kinds_are_refused(folder: Folder, events: Events) -> None:
    where = folder({"touchpoints/1.csv": events(), "touchpoints/2.parquet": events()})
    refused(where, "mixes CSV and Parquet", "Keep one kind")


def test_a_file_that_looks_like_a_table_and_is_not_read_is_reported(folder: Folder, events: Events) -> None:
    where = folder(
        {"touchpoints.csv": events(), "survey.csv": "a,b\n", "orders.csv.gz": b"x", "notes.csv": "a\n"}
    )
    warnings = [str(f) for f in cx.open_study(where).findings.warnings]
    assert len(warnings) == 2
    assert "Did you mean `surveys`?" in " ".join(warnings)


def test_a_path_with_blanks_accents_and_quotes_is_read(folder: Folder, events: Events) -> None:
    name = "Données clients d'été (2026) 客户 [1]"
    for file in ("touchpoints.csv", "touchpoints.parquet"):
        study = cx.open_study(folder({file: events()}, name=f"{name} {file}"))
        assert study.name == f"{name} {file}"
        assert cx.journeys.transitions(study).table()["n"].sum() > 0


# --- the shape of a CSV file ------------------------------------------------------------------------


def test_a_byte_order_mark_and_windows_line_ends_change_nothing(folder: Folder, events: Events) -> None:
    text = events().to_csv(index=False)
    for content in (
        text.encode("utf-8-sig"),
        text.replace("\n", "\r\n").encode(),
        ("\n" + text + "\n\n").encode(),
    ):
        assert column(folder({"touchpoints.csv": content}), "touchpoint") == ["page", "cart", "page"]


def test_quoted_line_ends_and_quotes_are_kept(folder: Folder, events: Events) -> None:
    said = ["one\ntwo", 'he said "no, thanks"', "a;b"]
    assert column(folder({"touchpoints.csv": events(content=said)}), "content") == said


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("b,x,2026-01-05T10:05:00,cart,web,engagement", "b,x,2026-01-05T10:05:00", "line 3, has 3 fields; the header has 6"),
        ("engagement", "engagement,x,y", "line 3, has 8 fields; the header has 6"),
        ("cart", '"cart', "Mend its quotes"),
    ],
)  # fmt: skip
def test_a_ragged_row_is_named_by_its_line(
    folder: Folder, events: Events, old: str, new: str, says: str
) -> None:
    refused(folder({"touchpoints.csv": events().to_csv(index=False).replace(old, new)}), says)


def test_a_ragged_row_far_into_a_file_is_found_too(folder: Folder, events: Events) -> None:
    many = pd.concat([events()] * 20_000).assign(event_id=range(60_000))
    refused(folder({"touchpoints.csv": many.to_csv(index=False) + "1,2,3\n"}), "line 60002, has 3 fields")


def test_a_column_named_twice_is_refused_in_every_form(folder: Folder, events: Events) -> None:
    twice = pd.concat([events(), events()[["touchpoint"]]], axis=1)
    arrow = pa.Table.from_pandas(events(), preserve_index=False).append_column(
        "touchpoint", pa.array(["z"] * 3)
    )
    for where in (
        folder({"touchpoints.csv": twice}, name="csv"),
        folder({"touchpoints.parquet": parquet(arrow)}, name="parquet"),
        {"touchpoints": twice},
    ):
        refused(where, "a column more than once: touchpoint", "Keep one")


def test_blanks_around_names_and_fields_of_a_csv_are_trimmed(folder: Folder, events: Events) -> None:
    spaced = events().to_csv(index=False).replace(",", " , ")
    assert column(folder({"touchpoints.csv": spaced}), "stage") == ["awareness", "engagement", "awareness"]


@pytest.mark.parametrize("name", [" customer_id ", "Customer_ID", "customer-id", "Customer ID"])
def test_a_name_that_differs_only_in_case_or_blanks_is_a_violation(
    folder: Folder, events: Events, name: str
) -> None:
    renamed = events(anonymous_id=["d", "e", "f"]).rename(columns={"customer_id": name})
    refused(folder({"touchpoints.parquet": renamed}), f"named `{name}`", "Rename it to `customer_id`")


def test_a_csv_without_a_header_lists_what_it_took_for_names(folder: Folder, events: Events) -> None:
    refused(
        folder({"touchpoints.csv": events().to_csv(index=False, header=False)}), "event_id", "has: a, x, 2026"
    )


def test_blank_text_is_empty_in_parquet_as_in_csv(folder: Folder, events: Events) -> None:
    catalog = pd.DataFrame(
        {"touchpoint": ["page", "cart"], "channel": ["web", "app"], "stage": ["awareness", "engagement"]}
    )
    blank = events(channel=["", "shop", ""], stage=None)
    tables = []
    for kind in ("csv", "parquet"):
        study = cx.open_study(folder({f"touchpoints.{kind}": blank, f"catalog.{kind}": catalog}, name=kind))
        tables.append(cx.journeys.switches(study).table())
        assert study.log().names["channel"] == ("shop", "web")
    pd.testing.assert_frame_equal(*tables)


# --- values -----------------------------------------------------------------------------------------


def test_two_date_formats_are_a_violation_with_the_odd_one_shown(folder: Folder, events: Events) -> None:
    where = folder({"touchpoints.csv": events(ts=["2026-01-05", "05/01/2026", "2026-01-05"])})
    refused(where, "touchpoints.ts: 1 row: not a time", "`05/01/2026`", "ISO 8601", kind=ContractViolations)


@pytest.mark.parametrize("ts", ["2026-02-30", "2026-01-05T25:00:00", "5.1.2026", "1767607200", "20260105"])
def test_what_is_not_an_iso_time_is_a_violation(folder: Folder, events: Events, ts: str) -> None:
    refused(folder({"touchpoints.csv": events(ts=["2026-01-05", ts, None])}), f"not a time (such as `{ts}`)")


def test_times_before_1990_or_after_tomorrow_are_violations(folder: Folder, events: Events) -> None:
    refused(
        folder({"touchpoints.csv": events(ts=["1970-01-01", "2126-01-05", "2026-01-05"])}),
        "2 rows: outside 1990",
    )


def test_times_with_offsets_are_read_as_utc(folder: Folder, events: Events) -> None:
    times = ["2026-01-05T10:00:00+02:00", "2026-01-05 10:00:00Z", "2026-01-05T10:00:00.123456-0530"]
    expected = [pd.Timestamp(t).tz_convert(None) for t in times]
    assert column(folder({"touchpoints.csv": events(ts=times)}), "ts") == expected


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_the_time_zone_of_the_settings_holds_for_times_without_one(
    folder: Folder, events: Events, kind: str
) -> None:
    local = pd.to_datetime(["2026-01-05T10:00:00", "2026-07-05T10:00:00", "2026-07-05T10:00:00"])
    given = events(ts=local.astype(str) if kind == "csv" else local)
    where = folder({f"touchpoints.{kind}": given}, "time_zone: Europe/Rome")
    assert column(where, "ts") == list(local.tz_localize("Europe/Rome").tz_convert(None))


def test_an_unknown_time_zone_is_named(folder: Folder, events: Events) -> None:
    for zone in ("Mars/Base", "x'; SELECT 1; --"):
        refused(folder({"touchpoints.csv": events()}, f'time_zone: "{zone}"'), zone, "Europe/Rome")


def test_zoned_nanosecond_and_text_times_are_one_time(folder: Folder, events: Events) -> None:
    moment = pd.to_datetime(["2026-01-05T10:00:00.123456"] * 3)
    forms = {
        "zoned": moment.tz_localize("UTC").tz_convert("Asia/Tokyo"),
        "nanoseconds": moment.astype("datetime64[ns]"),
        "text": moment.strftime("%Y-%m-%dT%H:%M:%S.%f"),
    }
    for name, ts in forms.items():
        for where in (
            folder({"touchpoints.parquet": events(ts=ts)}, name=name),
            {"touchpoints": events(ts=ts)},
        ):
            study = cx.open_study(where)
            assert study.table("touchpoints").ts.type().timezone is None
            assert column(study, "ts") == [moment[0]] * 3
            at = study.fetch(study.log().table.select("at"))["at"]
            assert at.tolist() == [1767607200123456] * 3


def test_an_unknown_stage_lists_those_allowed(folder: Folder, events: Events) -> None:
    where = folder({"touchpoints.csv": events(stage=["awareness", "Engagement", "awareness"])})
    refused(
        where, "touchpoints.stage: 1 row", "`Engagement`", "awareness, engagement, transaction, retention"
    )


def test_duplicate_event_ids_are_counted_and_shown(folder: Folder, events: Events) -> None:
    refused(
        folder({"touchpoints.csv": events(event_id=["a", "a", "c"])}), "1 row: repeat a key", "such as `a`"
    )


def test_a_catalog_that_names_a_touchpoint_twice_is_one_violation_and_multiplies_nothing(
    folder: Folder, events: Events
) -> None:
    catalog = pd.DataFrame(
        {
            "touchpoint": ["page", "cart", "cart"],
            "channel": "web",
            "stage": ["awareness", "engagement", "awareness"],
        }
    )
    where = folder({"touchpoints.csv": events(channel=None, stage=None), "catalog.csv": catalog})
    message = refused(where, "catalog.touchpoint: 1 row: repeat a key")
    assert "1 violation:" in message
    assert "touchpoints 3 rows" in message


def test_a_stage_of_its_own_that_contradicts_the_catalog_is_reported(folder: Folder, events: Events) -> None:
    catalog = pd.DataFrame(
        {"touchpoint": ["page", "cart"], "channel": "web", "stage": ["engagement", "engagement"]}
    )
    study = cx.open_study(folder({"touchpoints.csv": events(), "catalog.csv": catalog}))
    assert [(f.column, f.rows) for f in study.findings.warnings] == [("stage", 2)]


def test_a_touchpoint_that_is_not_in_the_catalog_is_a_violation(folder: Folder, events: Events) -> None:
    catalog = pd.DataFrame({"touchpoint": ["page"], "channel": ["web"], "stage": ["engagement"]})
    where = folder({"touchpoints.csv": events(stage=None), "catalog.csv": catalog})
    refused(where, "touchpoints.touchpoint: 1 row: not in the catalog", "`cart`")


def surveys(**columns: Any) -> pd.DataFrame:
    base = {
        "response_id": ["r1", "r2"],
        "ts": ["2026-01-05", "2026-01-06"],
        "question": ["nps", "nps"],
        "score": [9, 5],
        "scale_min": [0, 0],
        "scale_max": [10, 10],
    }
    return pd.DataFrame(base | columns)


def test_a_score_of_11_on_0_to_10_is_a_violation(folder: Folder) -> None:
    refused(
        folder({"surveys.csv": surveys(score=[11, 5])}),
        "surveys.score: 1 row: outside scale_min to scale_max",
        "`11`",
    )


def test_a_score_that_is_no_number_is_a_violation(folder: Folder) -> None:
    refused(folder({"surveys.csv": surveys(score=["nine", 5])}), "not a number", "`nine`")
    refused(folder({"surveys.csv": surveys(score=["inf", 5])}), "not a number", "`inf`")


@pytest.mark.parametrize("kind", ["csv", "parquet"])
@pytest.mark.parametrize("major", ["", "money: major"])
@pytest.mark.parametrize("amount", [np.inf, -np.inf, 1e25, 1e300])
def test_money_without_end_is_a_violation(
    folder: Folder, events: Events, kind: str, major: str, amount: float
) -> None:
    where = folder({f"touchpoints.{kind}": events(value=[amount, 1.0, 2.0], currency="EUR")}, major)
    refused(where, "touchpoints.value: 1 row: not", kind=ContractViolations)


def test_an_amount_beyond_64_bits_is_a_violation(folder: Folder, events: Events) -> None:
    amounts = ["99999999999999999999", "1", "2"]
    for major in ("", "money: major"):
        refused(folder({"touchpoints.csv": events(value=amounts, currency="EUR")}, major), "value: 1 row")


def test_both_ids_empty_is_a_violation(folder: Folder, events: Events) -> None:
    for blank in (None, "", "  "):
        where = folder(
            {"touchpoints.parquet": events(customer_id=["x", blank, "y"], anonymous_id=["k", "", "y"])}
        )
        refused(where, "1 row: neither customer_id nor anonymous_id")
    refused(
        folder({"touchpoints.csv": events(customer_id=None)}, name="none"),
        "neither customer_id nor anonymous_id",
    )


@pytest.mark.parametrize("ids", [[1.0, 2.0, np.nan], [True, False, True]])
def test_ids_stored_as_floats_or_flags_are_a_violation(
    folder: Folder, events: Events, ids: list[Any]
) -> None:
    where = folder({"touchpoints.parquet": events(customer_id=ids, anonymous_id=["a", "b", "c"])})
    message = refused(where, "customer_id", "not as text")
    assert "1 violation:" in message


def test_ids_that_were_floats_before_they_were_text_are_a_violation(folder: Folder, events: Events) -> None:
    ids = ["1.23457E+11", "12.0", "1234567.1609459200"]
    refused(folder({"touchpoints.csv": events(customer_id=ids)}), "2 rows: a decimal number")


def test_ids_with_a_blank_at_an_end_are_a_violation_in_parquet(folder: Folder, events: Events) -> None:
    refused(
        folder({"touchpoints.parquet": events(customer_id=["x ", "x", "y"])}),
        "1 row: begins or ends with a blank",
    )


def test_whole_event_ids_order_as_numbers_whatever_the_file(folder: Folder, events: Events) -> None:
    same = events(event_id=[10, 9, 100], customer_id="x", ts="2026-01-05")
    for kind in ("csv", "parquet"):
        study = cx.open_study(folder({f"touchpoints.{kind}": same}, name=kind))
        log = study.log()
        order = study.fetch(log.table.order_by("event").select("touchpoint"))["touchpoint"]
        assert log.decode(order, "touchpoint") == ["cart", "page", "page"]
        assert column(study, "event_id") == [9, 10, 100]


def test_event_ids_with_leading_noughts_stay_text(folder: Folder, events: Events) -> None:
    assert column(folder({"touchpoints.csv": events(event_id=["007", "7", "8"])}), "event_id") == [
        "007",
        "7",
        "8",
    ]


def test_a_flag_is_one_of_yes_and_no(folder: Folder, events: Events) -> None:
    assert column(folder({"touchpoints.csv": events(consent=["Yes", "0", None])}), "consent") == [
        True,
        False,
        None,
    ]
    refused(
        folder({"touchpoints.csv": events(consent=["Yes", "maybe", None])}), "not true or false", "`maybe`"
    )
    refused(
        folder({"touchpoints.parquet": events(consent=[0, 1, 2])}, name="number"), "1 row: not true or false"
    )


# --- money ------------------------------------------------------------------------------------------


def test_decimals_without_money_major_are_a_violation_that_names_the_setting(
    folder: Folder, events: Events
) -> None:
    where = folder({"touchpoints.csv": events(value=["1.50", "2", "3"], currency="EUR")})
    refused(where, "1 row: not whole minor units", "`1.50`", "money: major")


def test_major_money_is_converted_by_the_currency_and_halves_go_to_even(
    folder: Folder, events: Events
) -> None:
    def cents(values: list[str], currencies: list[str]) -> list[Any]:
        where = folder({"touchpoints.csv": events(value=values, currency=currencies)}, "money: major")
        return column(where, "value")

    assert cents(["1.005", "1.015", "-0.025"], ["EUR"] * 3) == [100, 102, -2]
    assert cents(["1.5", "2.5", "1.0015"], ["JPY", "JPY", "KWD"]) == [2, 2, 1002]
    assert cents(["1.2345", "0.0050000001", "0.00499999"], ["CLF", "EUR", "EUR"]) == [12345, 1, 0]


def test_major_money_agrees_with_decimal_arithmetic(folder: Folder, events: Events, base_seed: int) -> None:
    import decimal

    rng = np.random.default_rng(base_seed)
    amounts = [str(Decimal(int(n)) / 1000) for n in rng.integers(-(10**9), 10**9, 500)]
    codes = rng.choice(["EUR", "JPY", "KWD"], 500)
    exponent = {"EUR": 2, "JPY": 0, "KWD": 3}
    expected = [
        int((Decimal(a) * 10 ** exponent[c]).to_integral_value(decimal.ROUND_HALF_EVEN))
        for a, c in zip(amounts, codes, strict=True)
    ]
    frame = pd.DataFrame(
        {
            "order_id": [f"o{i:03}" for i in range(500)],
            "customer_id": "x",
            "ts": "2026-01-05",
            "revenue": amounts,
        }
    ).assign(currency=codes)
    assert column(folder({"orders.csv": frame}, "money: major"), "revenue", "orders") == expected
    floats = frame.assign(revenue=frame["revenue"].astype(float))
    assert (
        column(folder({"orders.parquet": floats}, "money: major", name="f"), "revenue", "orders") == expected
    )


def test_a_currency_in_small_letters_is_refused_since_its_exponent_would_be_missed(
    folder: Folder, events: Events
) -> None:
    refused(
        folder({"touchpoints.csv": events(value=1, currency="jpy")}, "money: major"),
        "not an ISO 4217 code",
        "`jpy`",
    )
    refused(folder({"touchpoints.csv": events(value=1)}, "money: major\ncurrency: jpy"), "currency is `jpy`")


def test_an_empty_currency_is_the_one_of_the_settings(folder: Folder, events: Events) -> None:
    yen = events(value=["100", "2.5", "3"], currency=["", "JPY", None])
    for kind in ("csv", "parquet"):
        where = folder({f"touchpoints.{kind}": yen}, "money: major\ncurrency: JPY", name=kind)
        assert column(where, "value") == [100, 2, 3]


def test_money_without_any_currency_is_a_violation(folder: Folder, events: Events) -> None:
    refused(
        folder({"touchpoints.csv": events(value=[1, 2, 3])}),
        "3 rows: money without a currency",
        "`currency:`",
    )
    blank = events(value=[1, 2, 3], currency=["", "EUR", "EUR"])
    refused(folder({"touchpoints.parquet": blank}, name="blank"), "1 row: money without a currency")


def test_decimal_columns_are_exact(folder: Folder, events: Events) -> None:
    def typed(values: list[Decimal | None]) -> bytes:
        arrow = pa.Table.from_pandas(events(currency="EUR"), preserve_index=False)
        return parquet(arrow.append_column("value", pa.array(values, pa.decimal128(38, 2))))

    whole = typed([Decimal("12.00"), Decimal("90071992547409930.00"), None])
    assert column(folder({"touchpoints.parquet": whole}), "value")[0] == 12
    study = cx.open_study(folder({"touchpoints.parquet": whole}))
    t = study.table("touchpoints")
    exact = t.filter(t.value == 90071992547409930)
    assert study.fetch(exact.aggregate(n=exact.count()))["n"].iloc[0] == 1
    part = typed([Decimal("12.50"), Decimal("3.00"), None])
    refused(folder({"touchpoints.parquet": part}), "not whole minor units", "`12.50`")
    assert column(folder({"touchpoints.parquet": part}, "money: major"), "value") == [1250, 300, None]


# --- frames and column types ------------------------------------------------------------------------


def test_pandas_and_arrow_types_of_every_kind_give_the_same_study(folder: Folder, events: Events) -> None:
    plain = events(value=[1, None, 3], currency="EUR", load_ms=[1.5, None, 2.0], consent=[True, None, False])
    nullable = plain.convert_dtypes()
    nullable["value"] = nullable["value"].astype("Int64")
    categorical = plain.astype(
        dict.fromkeys(["touchpoint", "channel", "stage", "customer_id", "currency"], "category")
    )
    arrow = pa.Table.from_pandas(nullable, preserve_index=False)
    for place, name in enumerate(arrow.column_names):
        if pa.types.is_large_string(arrow[name].type) or pa.types.is_string(arrow[name].type):
            arrow = arrow.set_column(place, name, arrow[name].dictionary_encode())
    sources: list[Any] = [
        {"touchpoints": plain},
        {"touchpoints": nullable},
        {"touchpoints": categorical},
        folder({"touchpoints.parquet": parquet(arrow)}, name="dictionary"),
        folder({"touchpoints.csv": plain.astype({"value": "Int64"})}, name="csv"),
    ]
    studies = [cx.open_study(source) for source in sources]
    for name in ("touchpoint", "value", "load_ms", "consent", "currency", "ts"):
        expected = column(studies[0], name)
        for study in studies[1:]:
            assert column(study, name) == expected, name


def test_frames_of_another_name_or_kind_are_refused(events: Events) -> None:
    refused({"touchpoint": events()}, "`touchpoint`", "Did you mean `touchpoints`?")
    refused({"touchpoints": [1, 2]}, "a list", "pandas DataFrame")
    refused({}, "There is no table", kind=UnknownStudy)


def test_nan_of_a_float_column_means_missing_in_a_frame_and_is_refused_where_stored(
    folder: Folder, events: Events
) -> None:
    assert column({"touchpoints": events(load_ms=[1.0, np.nan, 3.0])}, "load_ms") == [1.0, None, 3.0]
    arrow = pa.Table.from_pandas(events(), preserve_index=False)
    stored = parquet(arrow.append_column("load_ms", pa.array([1.0, float("nan"), None])))
    refused(folder({"touchpoints.parquet": stored}), "load_ms: 1 row: not finite")


def test_nested_columns_and_times_as_numbers_are_violations(folder: Folder, events: Events) -> None:
    arrow = pa.Table.from_pandas(events(ts=None), preserve_index=False)
    for values in (pa.array([[1], [2], [3]]), pa.array([1, 2, 3]), pa.array([1.5, 2.5, 3.5])):
        where = folder({"touchpoints.parquet": parquet(arrow.append_column("ts", values))})
        refused(where, "touchpoints.ts: 3 rows: not a time")


# --- settings ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ("currncy: EUR", "Did you mean `currency`?"),
        ("currency: [EUR", "not YAML"),
        ("- currency", "`name: value` lines"),
        ("money: euros", "`money: major` or `money: minor`"),
        ("currency: [EUR, USD]", "currency must be one value"),
        ("delimiter: ';;'", "one character"),
    ],
)
def test_a_wrong_study_yaml_says_what_it_may_hold(
    folder: Folder, events: Events, settings: str, says: str
) -> None:
    refused(folder({"touchpoints.csv": events()}, settings), "study.yaml", says, kind=CxValueError)


def test_an_empty_entry_of_study_yaml_is_as_if_absent(folder: Folder, events: Events) -> None:
    study = cx.open_study(
        folder({"touchpoints.csv": events()}, "name:\ntitle: ~\nconversion: cart\nmoney:\n")
    )
    assert (study.name, study.title, study.settings.conversion) == ("study", "study", ("cart",))


# --- odd but right ----------------------------------------------------------------------------------


def everything(study: cx.study.Study) -> list[Any]:
    """Every journey result a small study can give."""
    j = cx.journeys
    return [j.transitions(study), j.steps(study), j.switches(study), j.funnel(study), j.drop_off(study)]


@pytest.mark.parametrize("persons", [1, 2])
def test_one_customer_gives_results_and_sentences(events: Events, persons: int) -> None:
    study = cx.open_study({"touchpoints": events(customer_id=["x", "x", "x" if persons == 1 else "y"])})
    for result in everything(study):
        table = result.table()
        assert len(table)
        low, high = table["low"].to_numpy(float), table["high"].to_numpy(float)
        assert np.all(np.isnan(low) | (low <= table["estimate"] + 1e-9))
        assert np.all(np.isnan(high) | (high >= table["estimate"] - 1e-9))
        assert isinstance(result.claim(), Claim)
        assert result.claim().rstrip("*").endswith(".")
        assert "not shown" in shown(result)  # fewer than ten customers


def test_one_event_gives_results_and_sentences(events: Events) -> None:
    for result in everything(cx.open_study({"touchpoints": events().head(1)})):
        assert result.claim().endswith(".")
        result.table()


def test_all_events_at_one_time_are_ordered_by_their_ids(events: Events) -> None:
    same = events(event_id=["c", "b", "a"], customer_id="x", ts="2026-01-05")
    study = cx.open_study({"touchpoints": same})
    log = study.log()
    frame = study.fetch(log.table.order_by("event"))
    assert log.decode(frame["touchpoint"], "touchpoint") == ["page", "cart", "page"]
    assert frame["gap"].tolist() == [-1, 0, 0]
    assert frame["session"].nunique() == 1
    for result in everything(study):
        assert result.claim().endswith(".")


HOSTILE = '<script>alert("x")</script>'


def test_a_script_in_the_data_is_never_shown_unescaped(folder: Folder, events: Events) -> None:
    many = pd.concat([events()] * 20, ignore_index=True)
    many["event_id"] = range(60)
    many["customer_id"] = [f"k{i}" for i in range(60)]
    many["touchpoint"] = many["channel"] = many["content"] = HOSTILE
    answers = pd.concat([surveys(comment=HOSTILE, touchpoint=HOSTILE)] * 20, ignore_index=True)
    answers["response_id"] = range(40)
    study = cx.open_study(folder({"touchpoints.csv": many, "surveys.csv": answers}, f"title: '{HOSTILE}'"))
    results = [*everything(study), cx.collection.scores(study, "nps"), cx.collection.quality(study), study]
    for result in results:
        assert "<script" not in shown(result).lower()
        claim = result.claim() if hasattr(result, "claim") else None
        if claim is not None:
            assert "<script" not in claim._repr_markdown_()


# --- what changes while it is read ------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_a_table_that_grows_while_it_is_read_is_refused_and_nothing_is_kept(
    folder: Folder, events: Events, cache: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    where = folder({f"touchpoints.{kind}": events()})
    first = (where / f"touchpoints.{kind}").read_bytes()
    grown = pd.concat([events(), events(event_id=["d", "e", "f"])])
    from cxlib.study import opening as module

    fingerprinted = module.fingerprint_of

    def then_grows(*args: Any) -> str:
        digest = fingerprinted(*args)
        folder({f"touchpoints.{kind}": grown})
        return digest

    monkeypatch.setattr(module, "fingerprint_of", then_grows)
    refused(where, f"touchpoints.{kind} has changed", "Open it again")
    assert not [path for path in cache.rglob("*") if path.is_file()]
    monkeypatch.setattr(module, "fingerprint_of", fingerprinted)
    assert len(column(where, "touchpoint")) == 6
    (where / f"touchpoints.{kind}").write_bytes(first)
    assert len(column(where, "touchpoint")) == 3


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_a_table_that_changes_after_the_study_was_opened_is_refused(
    folder: Folder, events: Events, kind: str
) -> None:
    where = folder({f"touchpoints.{kind}": events()})
    study = cx.open_study(where)
    folder({f"touchpoints.{kind}": pd.concat([events(), events(event_id=["d", "e", "f"])])})
    for use in (
        lambda: study.log(),
        lambda: cx.journeys.steps(study),
        lambda: study.fetch(study.table("touchpoints")),
    ):
        with pytest.raises(CxValueError, match="has changed since the study was opened"):
            use()
    os.remove(where / f"touchpoints.{kind}")
    with pytest.raises(CxValueError, match="is gone since"):
        study.log()


def test_a_table_that_grows_while_a_result_is_computed_is_refused_and_nothing_is_kept(
    folder: Folder, events: Events, cache: Path
) -> None:
    where = folder({"touchpoints.parquet": events()})
    study = cx.open_study(where)

    def build() -> pd.DataFrame:
        folder({"touchpoints.parquet": events(event_id=["d", "e", "f"], content="later")})
        return pd.DataFrame({"a": [1]})

    with pytest.raises(CxValueError, match="has changed"):
        study.cached("anything", {}, build)
    assert not list(cache.rglob("anything*"))


def test_check_reports_every_violation_at_once_without_raising(folder: Folder, events: Events) -> None:
    bad = events(event_id=["a", "a", "c"], ts=["2026-01-05", "nonsense", "1970-01-01"], stage="Awareness")
    found = cx.check(folder({"touchpoints.csv": bad}))
    assert {f.column for f in found.violations} == {"event_id", "ts", "stage"}
    assert len(found.violations) == 4
    assert "violations:" in str(found)
