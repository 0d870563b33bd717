"""A first mapping of files nobody has seen. The files are small, made here in the form of well-known exports."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

import cxlib as cx
from cxlib.__main__ import main
from cxlib.errors import CxError, CxValueError
from cxlib.guess import Guess, guess
from cxlib.guess.words import CHANNELS, STAGES, first_with
from cxlib.readers import mapping
from cxlib.study import check

SAMPLES = Path(__file__).parents[1] / "readers" / "samples"
DRAW = random.Random(1)


@pytest.fixture
def study(tmp_path: Path) -> Path:
    return tmp_path / "study"


def written(folder: Path, *files: Path, **given: str) -> tuple[Guess, dict[str, Any]]:
    """The guess, and its YAML, which is a valid mapping unless the guess says what it leaves open."""
    made = guess(files, folder, **given)
    values = yaml.safe_load(made.text)
    if not made.state:
        mapping.parse(values)
    folder.mkdir(exist_ok=True)
    (folder / "study.yaml").write_text(made.text, "utf-8")
    return made, values


def csv(
    path: Path, header: str, rows: Iterable[Iterable[object]], sep: str = ",", encoding: str = "utf-8"
) -> Path:
    frame = pd.DataFrame([list(row) for row in rows], columns=header.split(sep))
    frame.to_csv(path, index=False, sep=sep, encoding=encoding)
    return path


def tables(values: dict[str, Any], source: int = 0) -> dict[str, dict[str, Any]]:
    """The source's entries by table (and by touchpoint, of those all of one name)."""
    named = {}
    for entry in values["sources"][source]["tables"]:
        touchpoint = entry["columns"].get("touchpoint", "")
        named[
            touchpoint["value"] if isinstance(touchpoint, dict) and "value" in touchpoint else entry["table"]
        ] = entry
    return named


def day(i: int) -> str:
    return f"2025-{1 + i % 12:02}-{13 + i % 15}"


def test_order_lines_become_orders_and_their_cancellations_returns(tmp_path: Path, study: Path) -> None:
    # UCI Online Retail: ids that have been floats, dates month first, negative quantities under a C number
    lines = []
    for i in range(200):
        sign, letter = (-1, "C") if i % 8 == 0 else (1, "")
        for _ in range(1 + i % 3):
            who = f"{17850 + i % 40}.0" if i % 5 else ""
            when = f"{1 + i % 12}/{13 + i % 15}/2010 8:26"
            lines.append(
                [f"{letter}{536365 + i}", "85123A", sign * DRAW.randint(1, 24), when, 2.55 + i % 7, who]
            )
    file = csv(
        tmp_path / "retail.csv", "InvoiceNo,StockCode,Quantity,InvoiceDate,UnitPrice,CustomerID", lines
    )
    made, values = written(study, file, zone="Europe/London", currency="GBP")
    assert not made.state
    found = tables(values)
    assert values["sources"][0]["dates"] == "month-first"
    assert found["orders"]["each"] == "InvoiceNo"
    assert found["orders"]["columns"]["revenue"] == {"times": ["Quantity", "UnitPrice"], "sum": True}
    assert found["orders"]["columns"]["customer_id"] == {"column": "CustomerID", "whole": True}
    assert values["catalog"]["return"][1] == "retention"
    assert any("leaves out" in line for line in made.left)

    frame = pd.DataFrame(lines, columns=["no", "item", "quantity", "when", "price", "who"])
    sold = frame[(frame["who"] != "") & (frame["quantity"] > 0)]
    back = frame[(frame["who"] != "") & (frame["quantity"] < 0)]
    opened = cx.open_study(study)
    orders = opened.fetch(opened.table("orders"))
    names = opened.fetch(opened.table("touchpoints"))["touchpoint"].value_counts()
    assert orders["revenue"].sum() == round((sold["quantity"] * sold["price"]).sum() * 100)
    assert len(orders) == sold["no"].nunique() == names["purchase"]
    assert names["return"] == back["no"].nunique()


def test_a_german_export_is_read_as_it_is_written(tmp_path: Path, study: Path) -> None:
    rows = [
        [
            f"R-{i}",
            f"{13 + i % 15}.{1 + i % 12:02}.2025",
            "18:30",
            f"K{i % 30}",
            "Jörg Müller",
            f"{i}.234,50",
            status,
        ]
        for i, status in zip(range(1, 61), ["Bezahlt", "Storniert", "Versendet"] * 20, strict=True)
    ]
    header = "Bestellnummer;Bestelldatum;Uhrzeit;Kundennummer;Name;Gesamtbetrag;Status"
    file = csv(tmp_path / "bestellungen.csv", header, rows, ";", "cp1252")
    made, values = written(study, file, zone="Europe/Berlin", currency="EUR")
    source, found = values["sources"][0], tables(values)
    said = {key: source[key] for key in ("encoding", "delimiter", "dates", "decimal", "thousands")}
    assert said == {
        "encoding": "cp1252",
        "delimiter": ";",
        "dates": "day-first",
        "decimal": ",",
        "thousands": ".",
    }
    assert found["orders"]["columns"]["ts"] == {"join": ["Bestelldatum", "Uhrzeit"], "by": " "}
    assert found["orders"]["where"] == {"Status": {"not": ["Storniert"]}}
    assert "contact columns: Name" in " ".join(made.left)
    opened = cx.open_study(study)
    expected = sum(i * 100_000 + 23_450 for i in range(1, 61) if i % 3 != 2)
    assert opened.fetch(opened.table("orders"))["revenue"].sum() == expected


def test_what_a_file_cannot_say_is_left_open_and_check_says_so(tmp_path: Path, study: Path) -> None:
    rows = [[i, i % 40, f"{1 + i % 12:02}/{1 + i % 11:02}/2025", f"{1 + i % 9},{100 + i}"] for i in range(60)]
    file = csv(tmp_path / "a.csv", "order_id;customer_id;date;total", rows, ";")
    made, values = written(study, file)
    assert {key: values["sources"][0][key] for key in ("dates", "zone", "decimal")} == dict.fromkeys(
        ("dates", "zone", "decimal")
    )
    assert values["currency"] is None
    assert len(made.state) == 4
    with pytest.raises(CxValueError, match=r"`dates`.*`zone`.*`decimal`"):
        check(study)


def test_nothing_that_stands_in_a_file_breaks_the_page(tmp_path: Path, study: Path) -> None:
    rows = [
        [i, i % 30, f"{1 + i % 12:02}/{1 + i % 11:02}/2025" if i % 3 else "?\x07\n- a: [\x85\u2028", 9.5]
        for i in range(90)
    ]
    made, values = written(study, csv(tmp_path / "a.csv", "order_id,customer_id,date,total", rows))
    assert values["sources"][0]["dates"] is None
    assert all(line.isprintable() for line in made.state)


def test_whole_numbers_of_money_may_be_cents(tmp_path: Path, study: Path) -> None:
    records = [
        {"id": f"ch_{i}", "amount": 1999 + i, "currency": "usd", "created": 1735689600 + i * 3600, "customer": f"c{i % 30}"}
        for i in range(60)
    ]  # fmt: skip
    (tmp_path / "charges.json").write_text(json.dumps({"object": "list", "data": records}), "utf-8")
    made, values = written(study, tmp_path / "charges.json")
    source, found = values["sources"][0], tables(values)
    assert source["records"] == "data"
    assert source["money"] is None
    assert "cents" in made.state[0]
    assert found["orders"]["columns"]["ts"] == {"column": "created", "unit": "s"}
    assert found["orders"]["columns"]["currency"]["map"] == {"usd": "USD"}


def test_an_event_log_keeps_its_names_but_those_that_mean_something_else(tmp_path: Path, study: Path) -> None:
    names = ["view", "view", "addtocart", "transaction"]
    rows = [[1433221332117 + i * 60000, i % 50, names[i % 4], "7" if i % 4 == 3 else ""] for i in range(120)]
    file = csv(tmp_path / "events.csv", "timestamp,visitorid,event,transactionid", rows)
    made, values = written(study, file)
    columns = tables(values)["touchpoints"]["columns"]
    assert not made.state
    assert columns["ts"] == {"column": "timestamp", "unit": "ms"}
    assert columns["anonymous_id"] == "visitorid"
    assert columns["touchpoint"] == {"column": "event", "map": {"transaction": "purchase"}, "others": "keep"}
    assert values["conversion"] == ["purchase"]
    assert values["catalog"]["addtocart"] == ["web", "transaction"]
    assert not check(study).violations


def test_purchases_in_an_event_log_are_orders_a_session(tmp_path: Path, study: Path) -> None:
    kinds = ["view", "cart", "purchase", "purchase"]  # REES46
    rows = [
        [f"2019-10-{1 + i % 28:02} 00:00:{i % 60:02} UTC", kinds[i % 4], 5.5, i // 8, f"s{i // 4}"]
        for i in range(160)
    ]
    file = csv(tmp_path / "2019-Oct.csv", "event_time,event_type,price,user_id,user_session", rows)
    _, values = written(study, file, currency="EUR")
    orders = tables(values)["orders"]
    assert orders["each"] == "user_session"
    assert orders["where"] == {"event_type": ["purchase"]}
    assert "zone" not in values["sources"][0]
    opened = cx.open_study(study)
    assert set(opened.fetch(opened.table("orders"))["revenue"]) == {1100}


def test_thousands_of_addresses_are_no_kinds_of_contact(tmp_path: Path, study: Path) -> None:
    rows = [[f"{day(i)} 10:00:00", f"v{i % 90}", f"/product/{i}"] for i in range(700)]
    _, values = written(study, csv(tmp_path / "hits.csv", "timestamp,visitor_id,page_url", rows), zone="UTC")
    columns = tables(values)["page_view"]["columns"]
    assert columns["content"] == "page_url"


def test_a_call_centres_sheet_is_contacts_and_answers(tmp_path: Path, study: Path) -> None:
    rows = [
        [f"CALL-{i}", pd.Timestamp(day(i)), f"{8 + i % 10:02}:15:00", f"C{i % 30}", "Ann", f"+39 06 {1000000 + i}",
         ["Billing", "Delivery"][i % 2], "YN"[i % 2], 1 + i % 5] for i in range(60)
    ]  # fmt: skip
    header = [
        "Call ID",
        "Date",
        "Time",
        "Customer ID",
        "Agent",
        "Phone number",
        "Reason",
        "Resolved",
        "Satisfaction",
    ]
    pd.DataFrame(rows, columns=header).to_excel(tmp_path / "call centre.xlsx", index=False)
    made, values = written(study, tmp_path / "call centre.xlsx", zone="Europe/Rome")
    found = tables(values)
    assert found["touchpoints"]["columns"]["outcome"] == {
        "column": "Resolved",
        "map": {"Y": "ok", "N": "unresolved"},
    }
    assert found["surveys"]["columns"]["question"] == {"value": "csat"}
    assert values["catalog"]["Billing"] == ["call", "retention"]
    assert "contact columns: Phone number" in " ".join(made.left)
    opened = cx.open_study(study)
    events = opened.fetch(opened.table("touchpoints")).set_index("event_id")
    assert str(events.loc["CALL-0", "ts"]) == "2025-01-13 07:15:00"  # 08:15 in Rome


def test_each_score_of_a_survey_is_a_question_with_its_scale(tmp_path: Path, study: Path) -> None:
    recommend, why = "How likely are you to recommend us to a friend?", "Why did you give this score?"
    header = f"response_id,submitted_at,customer_id,{recommend},Overall satisfaction,How easy was it?,{why}"
    words = ["", "Delivery was late and nobody told me", "I love it, thank you all"]
    rows = [
        [i, f"{day(i)} 10:00:00", f"C{i % 40}", i % 11, 1 + i % 5, 1 + i % 7, words[i % 3]] for i in range(77)
    ]
    made, values = written(study, csv(tmp_path / "survey.csv", header, rows), zone="UTC")
    asked = [entry["columns"] for entry in values["sources"][0]["tables"] if entry["table"] == "surveys"]
    scales = [(c["question"]["value"], c["scale_min"]["value"], c["scale_max"]["value"]) for c in asked]
    assert scales == [("nps", 0, 10), ("csat", 1, 5), ("ces", 1, 7)]
    assert [c.get("comment") for c in asked] == [why, None, None]
    assert "nps from 0 to 10" in made.found[0]
    assert "survey" in tables(values)  # answers alone: answering is the journey's contact


def test_a_row_an_answer_gives_each_question_its_own_scale(tmp_path: Path, study: Path) -> None:
    asked = {"nps": 10, "delivery": 5}
    rows = [
        [i // 2, f"C{i % 30}", f"{day(i)}T10:00:00Z", q, i % (top + 1) or 1]
        for i in range(120)
        for q, top in asked.items()
    ]
    _, values = written(
        study, csv(tmp_path / "a.csv", "response_id,customer_id,answered_at,question,score", rows)
    )
    entries = [e for e in values["sources"][0]["tables"] if e["table"] == "surveys"]
    assert [(e["where"], e["columns"]["scale_max"]["value"]) for e in entries] == [
        ({"question": "nps"}, 10), ({"question": "delivery"}, 5),
    ]  # fmt: skip


def test_reviews_without_a_day_ask_for_it(tmp_path: Path, study: Path) -> None:
    records = {
        "reviews": [{"starRating": str(1 + i % 5), "content": "a fine watch, all in all"} for i in range(40)]
    }
    (tmp_path / "reviews.json").write_text(json.dumps(records), "utf-8")
    made, values = written(study, tmp_path / "reviews.json")
    assert tables(values)["surveys"]["columns"]["ts"] is None
    assert "write the day" in made.state[0]
    assert any("no journeys" in line for line in made.left)


def test_utf_16_and_words_for_scores_are_read(tmp_path: Path, study: Path) -> None:
    rows = [
        [f"{day(i)}T08:00:00Z", ["negative", "neutral", "positive"][i % 3], "l’app è lenta, molto lenta"]
        for i in range(30)
    ]
    file = csv(tmp_path / "reviews.csv", "Submit Time,Sentiment,Review Text", rows, encoding="utf-16")
    _, values = written(study, file)
    columns = tables(values)["surveys"]["columns"]
    assert values["sources"][0]["encoding"] == "utf-16"
    assert columns["score"]["map"] == {"negative": -1, "neutral": 0, "positive": 1}
    assert columns["scale_min"] == {"value": -1}
    assert not check(study).violations


def test_customers_and_exposures_are_told_apart(tmp_path: Path, study: Path) -> None:
    people = [
        [f"C{i}", f"Name {i}", f"n{i}@x.org", ["IT", "DE"][i % 2], ["gold", "NULL"][i % 2], day(i)]
        for i in range(50)
    ]
    header = "customer_id,full_name,email,country,loyalty_tier,signup_date"
    shown = [["checkout", "AB"[i % 2], f"C{i}", f"{day(i)}T10:00:00+02:00"] for i in range(50)]
    files = [
        csv(tmp_path / "customers.csv", header, people),
        csv(tmp_path / "ab.csv", "experiment,variant,customer_id,assigned_at", shown),
    ]
    made, values = written(study, *files, zone="UTC")
    columns = tables(values)["customers"]["columns"]
    assert columns["loyalty_tier"] == {"column": "loyalty_tier", "map": {"NULL": None}, "others": "keep"}
    assert {"region": "country", "first_seen": "signup_date"}.items() <= columns.items()
    assert tables(values, 1).keys() == {"exposures"}
    assert "contact columns: full_name, email" in " ".join(made.left)
    assert not check(study).violations


def test_only_won_deals_are_orders(tmp_path: Path, study: Path) -> None:
    stages = ["Closed Won", "Closed Lost", "Contract Sent"]
    rows = [
        [i, f"Deal {i}", stages[i % 3], 99.5, f"{day(i)} 10:00", f"{day(i)} 09:00", f"Firm {i % 30}"]
        for i in range(60)
    ]
    header = "Record ID,Deal Name,Deal Stage,Amount,Close Date,Create Date,Associated Company"
    _, values = written(study, csv(tmp_path / "deals.csv", header, rows), zone="UTC", currency="EUR")
    orders = tables(values)["orders"]
    assert orders["where"] == {"Deal Stage": ["Closed Won"]}
    assert orders["columns"]["ts"] == "Close Date"


def test_refunds_are_returns_and_no_revenue(tmp_path: Path, study: Path) -> None:
    rows = [[f"O{i}", f"C{i % 20}", f"{day(i)}T10:00:00Z", 12.5] for i in range(60)]
    _, values = written(study, csv(tmp_path / "refunds.csv", "order_id,customer_id,created_at,amount", rows))
    assert tables(values).keys() == {"return"}


def test_negative_quantities_are_returns_where_each_order_is_one_row(tmp_path: Path, study: Path) -> None:
    rows = [[i, f"C{i % 20}", f"{day(i)}T10:00:00Z", -1 if i % 6 == 0 else 2, 9.5] for i in range(60)]
    header = "order_id,customer_id,created_at,quantity,price"
    _, values = written(study, csv(tmp_path / "sales.csv", header, rows), currency="EUR")
    assert tables(values)["orders"]["where"] == {"quantity": {"over": 0}}
    opened = cx.open_study(study)
    assert opened.fetch(opened.table("orders"))["revenue"].sum() == 50 * 1900


def test_the_total_of_an_order_is_not_added_up_over_its_lines(tmp_path: Path, study: Path) -> None:
    rows = [
        [f"O{i}", i % 40, f"{day(i)}T00:00:00Z", 2, 5.25, 21.0, "USD"] for i in range(60) for _ in range(2)
    ]
    rows = [[*row[:5], 21.0 + i // 2 / 2, row[6]] for i, row in enumerate(rows)]
    header = "Order Number,Customer ID,Order Date,Quantity,Unit Price,Order Total,Currency"
    _, values = written(study, csv(tmp_path / "lines.csv", header, rows))
    assert tables(values)["orders"]["columns"]["revenue"] == "Order Total"


def test_parquet_ids_that_are_floats_lose_their_nought(tmp_path: Path, study: Path) -> None:
    frame = {"user_id": [float(i % 30) for i in range(90)], "event": ["a", "b", "c"] * 30,
             "ts": pd.date_range("2025-01-01", periods=90, tz="UTC")}  # fmt: skip
    pd.DataFrame(frame).to_parquet(tmp_path / "log.parquet")
    _, values = written(study, tmp_path / "log.parquet")
    assert tables(values)["touchpoints"]["columns"]["customer_id"] == {"column": "user_id", "whole": True}
    assert not check(study).violations


def test_parts_of_one_form_are_one_source_and_orders_are_taken_once(tmp_path: Path, study: Path) -> None:
    rows = [[i, i % 40, f"{day(i)}T00:00:00Z", 9.5] for i in range(60)]
    header = "order_id,customer_id,created_at,total"
    files = [
        csv(tmp_path / f"orders_{year}.csv", header, part)
        for year, part in ((2024, rows[:30]), (2025, rows[30:]))
    ]
    (tmp_path / "copy").mkdir()
    files.append(csv(tmp_path / "copy" / "copy.csv", header + ",note", [[*row, "x"] for row in rows]))
    made, values = written(study, *files, currency="EUR")
    assert [source["file"] for source in values["sources"]] == ["../orders_202*.csv"]
    assert "in another of the files already" in " ".join(made.left)
    assert check(study).rows["orders"] == 60


def test_each_sheet_is_a_source_whose_rows_have_ids_of_their_own(tmp_path: Path, study: Path) -> None:
    rows = [[f"{day(i)}T10:00:00Z", f"u{i % 20}", "ab"[i % 2]] for i in range(60)]
    frame = pd.DataFrame(rows, columns=["time", "user_id", "event"])
    with pd.ExcelWriter(tmp_path / "years.xlsx") as file:
        for name, part in (
            ("2024", frame[:30]),
            ("2025", frame[30:]),
            ("notes", pd.DataFrame({"by": ["me"]})),
        ):
            part.to_excel(file, sheet_name=name, index=False)
    made, values = written(study, tmp_path / "years.xlsx")
    assert [source["sheet"] for source in values["sources"]] == ["2024", "2025"]
    assert "sheet notes: no column says" in made.left[0]
    assert check(study).rows["touchpoints"] == 60


@pytest.mark.parametrize("file", sorted(SAMPLES.iterdir()), ids=lambda file: file.name)
def test_a_known_export_is_known_by_its_columns(file: Path, study: Path) -> None:
    made, values = written(study, file, zone="Europe/Rome")
    assert values["sources"][0]["preset"]
    assert "(preset " in made.found[0]


def test_the_files_own_columns_are_not_touched_by_what_yaml_thinks_of_them(
    tmp_path: Path, study: Path
) -> None:
    header = '"user: id"|#event|"ts - [x]"'
    rows = [[f"u{i % 20}", ["yes", "b: c # d", "- x", "1"][i % 4], f"{day(i)}T00:00:00Z"] for i in range(60)]
    frame = pd.DataFrame(rows, columns=[name.strip('"') for name in header.split("|")])
    frame.to_csv(tmp_path / "odd [1] {name}.csv", index=False)
    _, values = written(study, tmp_path / "odd [1] {name}.csv")
    assert set(values["catalog"]) == {"yes", "b: c # d", "- x", "1", "*"}
    assert not check(study).violations


MALFORMED = {
    "empty.csv": b"", "blank.csv": b"\n\n", "header.csv": b"a,b\n", "bytes.csv": bytes(range(256)) * 9, "cut.json": b'{"a": 1,',
    "text.json": b'["a", "b"]', "no.xlsx": b"no", "no.parquet": b"PAR1", "no.csv.gz": b"no", "no.xes": b"<log/>",
    "blanks.txt": b" 00001 19970101  1   11.77\n 00001 19970112  1   12.00\n", "values.csv": b"1,2025-01-01,5.5\n2,2025-01-02,6.5\n",
    "title.csv": b"Report\n\nuser_id,event,ts\n1,a,2025-01-01\n", "nobody.csv": b"x,y\n1,2\n", "odd.dat": b"a,b\n1\n",
    "quotes.csv": b'user_id,event,ts\n1,"a,2025-01-01\n', "alphabet.csv": "имя,событие\nа,б\n".encode("cp1251"),
}  # fmt: skip


@pytest.mark.parametrize("name", MALFORMED)
def test_what_is_no_table_of_events_orders_or_answers_is_refused_with_the_reason(
    name: str, tmp_path: Path
) -> None:
    (tmp_path / name).write_bytes(MALFORMED[name])
    with pytest.raises(CxError, match=name):
        guess([tmp_path / name, tmp_path / "missing.csv"], tmp_path / "study")


@pytest.mark.parametrize(
    ("file", "says"),
    [("hillstrom/hillstrom.csv", "who it was or when"), ("attribution_paths/data.csv.gz", "who it was or when"),
     ("cdnow/CDNOW_master.txt", "blanks")],
)  # fmt: skip
def test_public_files_without_persons_or_times_are_no_study(
    file: str, says: str, mirror: Path, study: Path
) -> None:
    with pytest.raises(CxValueError, match=says):
        guess([mirror / file], study)


def test_public_files_are_understood(mirror: Path, study: Path) -> None:
    files = [
        mirror / "ecom_clickstream" / "ecom.csv.gz",
        mirror / "airline_tweets" / "TwitterUSAirlineSentiment.csv",
    ]
    made, values = written(study, *files, zone="UTC")
    assert values["conversion"] == ["purchase"]
    assert tables(values)["touchpoints"]["columns"]["session_id"] == "session_id"
    found = check(study)
    assert not found.violations
    assert found.rows["touchpoints"] == 31_106
    assert found.rows["surveys"] == 14_640
    assert "contact columns: name" in " ".join(made.left)


def test_every_command_and_output_of_the_page_on_ones_own_data_is_true(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    page = (Path(__file__).resolve().parents[2] / "notebooks" / "your_data.md").read_text("utf-8")
    blocks = {kind: re.findall(rf"```{kind}\n(.*?)```", page, re.S) for kind in ("csv", "yaml", "console")}
    monkeypatch.chdir(tmp_path)
    Path("calls.csv").write_text(blocks["csv"][0], "utf-8")
    for block, becomes in zip(blocks["console"], [blocks["yaml"][0], ""], strict=True):
        command, _, output = block.partition("\n")
        assert main(command.removeprefix("$ cx ").split()) == 0
        assert capsys.readouterr().out == output
        if becomes:
            assert main(["check", "mine"]) == 1
            assert "`dates`" in capsys.readouterr().err
            Path("mine/study.yaml").write_text(becomes, "utf-8")
    Path("mine/study.yaml").write_text(blocks["yaml"][0].replace("score: Stars", "score: Solved"), "utf-8")
    assert main(["check", "mine"]) == 1
    said = re.search(r"^> (.*)$", page, re.M)
    assert said
    assert said[1] in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "stage", "channel"),
    [("product_view", "engagement", "web"), ("Order Completed", "transaction", "web"), ("email_open", "awareness", "email"),
     ("Support call", "retention", "call"), ("Reklamation", "retention", "web"), ("ad_impression", "awareness", "ads")],
)  # fmt: skip
def test_stage_and_channel_are_guessed_from_words(name: str, stage: str, channel: str) -> None:
    assert (first_with(name, STAGES, "engagement"), first_with(name, CHANNELS, "web")) == (stage, channel)
