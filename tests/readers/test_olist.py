"""The Olist reader: published facts of the sample by plain pandas, and small files with known content."""

from __future__ import annotations

import time
from decimal import Decimal
from pathlib import Path

import pandas as pd
import pytest

import cxlib as cx
from cxlib.errors import CxLookupError, CxValueError
from cxlib.readers import READERS, olist, reader, recognise

Tables = dict[str, pd.DataFrame]

TINY = {
    olist.ORDERS: """order_id,customer_id,order_status,order_purchase_timestamp,order_approved_at,order_delivered_carrier_date,order_delivered_customer_date,order_estimated_delivery_date
o1,c1,delivered,2018-01-01 10:00:00,2018-01-01 10:00:00,2018-01-02 09:00:00,2018-01-10 12:00:00,2018-01-10 00:00:00
o2,c2,delivered,2018-02-01 10:00:00,2018-02-01 11:00:00,2018-02-02 09:00:00,2018-02-05 12:00:00,2018-02-20 00:00:00
o3,c3,canceled,2018-03-01 10:00:00,,,,2018-03-20 00:00:00
o4,c4,delivered,2018-03-02 10:00:00,2018-03-02 11:00:00,2018-03-03 09:00:00,,2018-03-20 00:00:00
""",
    # u1 ordered twice, from two states; the files' customer_id is one an order
    olist.CUSTOMERS: """customer_id,customer_unique_id,customer_zip_code_prefix,customer_city,customer_state
c1,u1,01001,sao paulo,SP
c2,u1,20000,rio de janeiro,RJ
c3,u2,01001,sao paulo,SP
c4,u3,01001,sao paulo,SP
""",
    olist.ITEMS: """order_id,order_item_id,product_id,seller_id,shipping_limit_date,price,freight_value
o1,1,p1,s1,2018-01-05 00:00:00,1.15,0.29
o1,2,p2,s2,2018-01-05 00:00:00,58.90,13.2
o2,1,p3,s1,2018-02-05 00:00:00,10,0.00
o4,1,p1,s1,2018-03-05 00:00:00,10.10,0.00
""",
    olist.PAYMENTS: """order_id,payment_sequential,payment_type,payment_installments,payment_value
o1,1,voucher,1,3.54
o1,2,credit_card,8,70.00
o2,1,boleto,1,10.00
o3,1,not_defined,1,0.00
""",
    # r1 stands for two orders, as some ids do in the published file
    olist.REVIEWS: """review_id,order_id,review_score,review_comment_title,review_comment_message,review_creation_date,review_answer_timestamp
r1,o1,1,atrasado,"chegou tarde,
e quebrado",2018-01-08 00:00:00,2018-01-09 10:00:00
r1,o2,5,,muito bom,2018-02-06 00:00:00,2018-02-07 10:00:00
r2,o3,3,regular, ,2018-03-21 00:00:00,2018-03-22 10:00:00
""",
    olist.PRODUCTS: '"product_id","product_category_name"\n"p1","artes"\n"p2","perfumaria"\n',
    olist.SELLERS: "seller_id,seller_zip_code_prefix,seller_city,seller_state\ns1,1,x,SP\ns2,2,y,PR\n",
}


@pytest.fixture
def tiny(tmp_path: Path) -> dict[str, Path]:
    for file, content in TINY.items():
        (tmp_path / file).write_text(content, encoding="utf-8")
    return {file: tmp_path / file for file in TINY}


@pytest.fixture(scope="module")
def folder(mirror: Path) -> Path:
    return mirror / "olist"


@pytest.fixture(scope="module")
def tables(folder: Path) -> Tables:
    return reader("olist").read({path.name: path for path in folder.glob("*.csv")})


# ---------------------------------------------------------------- what one tiny file must become


def test_a_person_is_the_unique_id_however_many_orders_and_states_they_have(tiny: dict[str, Path]) -> None:
    tables = olist.read(tiny)
    assert tables["customers"]["customer_id"].tolist() == ["u1", "u2", "u3"]
    assert tables["customers"]["region"].tolist() == ["SP", "SP", "SP"]  # the state of the first order
    assert tables["orders"]["customer_id"].tolist() == ["u1", "u1", "u2", "u3"]


def test_money_is_whole_centavos(tiny: dict[str, Path]) -> None:
    orders = olist.read(tiny)["orders"].set_index("order_id")
    assert orders["revenue"].to_dict() == {"o1": 7354, "o2": 1000, "o3": 0, "o4": 1010}
    assert orders["paid"].iloc[:3].tolist() == [7354, 1000, 0]
    assert pd.isna(orders.loc["o4", "paid"])
    assert set(orders["currency"]) == {"BRL"}


def test_an_order_is_named_after_its_dearest_item_and_its_largest_payment(tiny: dict[str, Path]) -> None:
    orders = olist.read(tiny)["orders"].set_index("order_id")
    columns = ["items", "sellers", "category", "seller_state", "payment_type", "instalments"]
    assert orders.loc["o1", columns].tolist() == [2, 2, "perfumaria", "PR", "credit_card", 8]
    assert orders.loc["o3", ["items", "sellers"]].tolist() == [0, 0]
    assert pd.isna(orders.loc["o2", "category"])  # p3 is in no product file


def test_late_is_against_the_timestamp_and_unknown_without_a_delivery(tiny: dict[str, Path]) -> None:
    late = olist.read(tiny)["orders"].set_index("order_id")["late"]
    assert late.loc["o1"]  # noon of the promised day, promised for its first second
    assert not late.loc["o2"]
    assert late.loc[["o3", "o4"]].isna().all()


def test_each_dated_step_is_one_event_and_an_undated_one_is_none(tiny: dict[str, Path]) -> None:
    touchpoints = olist.read(tiny)["touchpoints"]
    steps = touchpoints.groupby("order_id", sort=True)["touchpoint"].apply(list).to_dict()
    assert steps == {
        "o1": ["purchase", "payment_approved", "handed_to_carrier", "review_requested", "review", "delivery"],
        "o2": ["purchase", "payment_approved", "handed_to_carrier", "delivery", "review_requested", "review"],
        "o3": ["purchase", "review_requested", "review"],
        "o4": ["purchase", "payment_approved", "handed_to_carrier"],
    }
    assert touchpoints["event_id"].is_unique


def test_a_payment_approved_in_the_second_of_its_purchase_comes_after_it(tiny: dict[str, Path]) -> None:
    first = olist.read(tiny)["touchpoints"].head(2)
    assert first["ts"].nunique() == 1
    assert first["touchpoint"].tolist() == ["purchase", "payment_approved"]
    assert first["event_id"].is_monotonic_increasing


def test_only_a_purchase_carries_money(tiny: dict[str, Path]) -> None:
    tables = olist.read(tiny)
    worth = tables["touchpoints"].groupby("touchpoint")["value"].sum()
    assert worth["purchase"] == tables["orders"]["revenue"].sum() == worth.sum()


def test_a_comment_is_title_and_message_and_blanks_are_none(tiny: dict[str, Path]) -> None:
    surveys = olist.read(tiny)["surveys"]
    assert surveys["comment"].tolist() == ["atrasado\nchegou tarde,\ne quebrado", "muito bom", "regular"]
    assert surveys["response_id"].tolist() == ["r1:o1", "r1:o2", "r2:o3"]


def test_a_review_knows_how_far_its_order_had_come(tiny: dict[str, Path]) -> None:
    assert olist.read(tiny)["surveys"]["reached"].tolist() == ["handed_to_carrier", "delivery", "purchase"]


def test_post_code_and_city_are_not_taken_over(tiny: dict[str, Path]) -> None:
    tables = olist.read(tiny)
    for frame in tables.values():
        text = " ".join(map(str, frame.to_numpy().ravel()))
        assert "sao paulo" not in text
        assert "01001" not in text


def test_the_order_of_rows_in_the_files_changes_nothing(tiny: dict[str, Path]) -> None:
    before = olist.read(tiny)
    for path in tiny.values():
        if path.name != olist.REVIEWS:  # its rows span lines
            head, *rows = path.read_text().splitlines()
            path.write_text("\n".join([head, *reversed(rows)]) + "\n")
    after = olist.read(tiny)
    pd.testing.assert_frame_equal(before["touchpoints"], after["touchpoints"])
    pd.testing.assert_frame_equal(before["customers"], after["customers"])
    by_id = after["orders"].sort_values("order_id", ignore_index=True)
    pd.testing.assert_frame_equal(before["orders"].sort_values("order_id", ignore_index=True), by_id)


# ---------------------------------------------------------------- what is wrong is said


@pytest.mark.parametrize("file", list(TINY))
def test_a_missing_file_is_named(tiny: dict[str, Path], file: str) -> None:
    del tiny[file]
    with pytest.raises(CxLookupError, match=file):
        olist.read(tiny)


@pytest.mark.parametrize(
    ("file", "column"),
    [
        (olist.ORDERS, "order_estimated_delivery_date"),
        (olist.ITEMS, "freight_value"),
        (olist.REVIEWS, "review_score"),
        (olist.CUSTOMERS, "customer_unique_id"),
    ],
)
def test_a_missing_column_is_named_with_its_file(tiny: dict[str, Path], file: str, column: str) -> None:
    tiny[file].write_text(tiny[file].read_text().replace(column, "other", 1))
    with pytest.raises(CxValueError, match=rf"{file} lacks the column\(s\) {column}"):
        olist.read(tiny)


@pytest.mark.parametrize(
    ("file", "old", "new", "message"),
    [
        (olist.ORDERS, "o2,c2", "o1,c2", r"repeat or lack the key order_id, such as o1"),
        (olist.ORDERS, "o2,c2", "o2,c9", r"have a customer_id that .*customers.* lacks, for example c9"),
        (olist.ITEMS, "o2,1,p3", "o9,1,p3", r"have a order_id that .*orders.* lacks, for example o9"),
        (olist.ITEMS, "58.90", "58,9", r"lacks the column|not a UTF-8 comma|are not decimal"),
        (olist.REVIEWS, "r1,o2,5", "r1,o2,good", r"review_score: 1 value\(s\) are not whole numbers"),
        (olist.REVIEWS, "r1,o2", "r1,o1", r"repeat or lack the key review_id \+ order_id"),
        (olist.ORDERS, "2018-02-01 10:00:00", "01/02/2018 10:00", r"are not times written"),
    ],
)
def test_a_row_that_cannot_be_right_stops_the_reader_with_an_example(
    tiny: dict[str, Path], file: str, old: str, new: str, message: str
) -> None:
    text = tiny[file].read_text()
    assert old in text
    tiny[file].write_text(text.replace(old, new, 1))
    with pytest.raises(CxValueError, match=message):
        olist.read(tiny)


def test_an_unknown_reader_lists_those_there_are() -> None:
    with pytest.raises(
        CxLookupError,
        match="There are: airline_tweets, bpic2012, cdnow, chn_hotel_reviews, laroseda, olist, sfo_survey",
    ):
        reader("olis")
    for name in READERS:
        assert reader(name).SETTINGS["name"] == name


def test_a_folder_is_recognised_by_its_files_and_only_when_all_are_there(tiny: dict[str, Path]) -> None:
    folder = tiny[olist.ORDERS].parent
    assert set(tiny) == set(olist.FILES)
    assert recognise(folder) == "olist"
    tiny[olist.SELLERS].unlink()
    assert recognise(folder) is None


# ---------------------------------------------------------------- the published sample


def test_the_sample_has_its_published_orders_and_customers(tables: Tables) -> None:
    assert len(tables["orders"]) == 15_000
    assert len(tables["customers"]) == 14_904
    assert len(tables["surveys"]) == 14_944


def test_deliveries_and_lateness_equal_the_published_shares(tables: Tables) -> None:
    """97.0 % delivered; 7.94 % of these late by timestamp, 6.58 % by calendar day (data card)."""
    orders = tables["orders"]
    delivered = orders[orders["status"] == "delivered"]
    assert round(100 * len(delivered) / len(orders), 1) == 97.0
    assert round(100 * float((delivered["delivered_ts"] > delivered["promised_ts"]).mean()), 2) == 7.94
    assert round(100 * float(delivered["late"].astype(float).mean()), 2) == 7.94
    by_day = delivered["delivered_ts"].dt.date > delivered["promised_ts"].dt.date
    assert round(100 * float(by_day.mean()), 2) == 6.58


def test_reviews_by_stars_equal_the_published_shares(tables: Tables) -> None:
    shares = tables["surveys"]["score"].value_counts(normalize=True).sort_index()
    assert [round(100 * float(share), 1) for share in shares] == [11.4, 3.2, 8.6, 19.3, 57.5]


def test_the_response_is_review_and_order_because_the_review_id_repeats(tables: Tables) -> None:
    surveys = tables["surveys"]
    assert surveys["response_id"].is_unique
    assert surveys["response_id"].str.split(":").str[0].nunique() == 14_924


def test_the_number_of_texts_is_that_of_the_file(tables: Tables, folder: Path) -> None:
    raw = pd.read_csv(folder / olist.REVIEWS)
    assert int(raw["review_comment_message"].notna().sum()) == 6_176  # data card
    either = raw[["review_comment_title", "review_comment_message"]].fillna("").sum(axis=1).str.strip() != ""
    assert int(tables["surveys"]["comment"].notna().sum()) == int(either.sum())


def test_every_order_costs_what_decimal_arithmetic_says(tables: Tables, folder: Path) -> None:
    raw = pd.read_csv(folder / olist.ITEMS, dtype=str)
    exact = (raw["price"].map(Decimal) + raw["freight_value"].map(Decimal)).groupby(
        raw["order_id"]
    ).sum() * 100
    orders = tables["orders"].set_index("order_id")["revenue"]
    assert (orders.loc[exact.index].astype(object) == exact).all()
    assert set(orders.drop(exact.index)) == {0}


def test_every_dated_step_of_the_files_is_an_event(tables: Tables, folder: Path) -> None:
    raw = pd.read_csv(folder / olist.ORDERS)
    counts = tables["touchpoints"]["touchpoint"].value_counts()
    assert counts["purchase"] == raw["order_purchase_timestamp"].notna().sum() == 15_000
    assert counts["payment_approved"] == raw["order_approved_at"].notna().sum()
    assert counts["handed_to_carrier"] == raw["order_delivered_carrier_date"].notna().sum()
    assert counts["delivery"] == raw["order_delivered_customer_date"].notna().sum()
    assert counts["review_requested"] == counts["review"] == 14_944
    assert tables["touchpoints"]["event_id"].is_unique
    assert set(tables["touchpoints"]["touchpoint"]) == set(tables["catalog"]["touchpoint"])


def test_times_are_taken_as_they_stand(tables: Tables, folder: Path) -> None:
    raw = pd.read_csv(folder / olist.ORDERS)
    assert (tables["orders"]["ts"].astype(str) == raw["order_purchase_timestamp"]).all()
    assert tables["orders"]["ts"].dt.tz is None


def test_a_file_seven_times_the_sample_reads_in_seconds(folder: Path, tmp_path: Path) -> None:
    """The size of the full public files (99,441 orders), from copies of the sample with ids of their own."""
    files = {path.name: path for path in folder.glob("*.csv")}
    for file in (olist.ORDERS, olist.ITEMS, olist.PAYMENTS, olist.REVIEWS, olist.CUSTOMERS):
        raw = pd.read_csv(files[file], dtype=str)
        ids = raw.columns.intersection(["order_id", "customer_id", "customer_unique_id", "review_id"])
        copies = [raw.assign(**{column: raw[column] + f"-{k}" for column in ids}) for k in range(7)]
        files[file] = tmp_path / file
        pd.concat(copies).to_csv(files[file], index=False)
    started = time.process_time()
    tables = olist.read(files)
    assert time.process_time() - started < 30
    assert len(tables["orders"]) == 7 * 15_000
    assert tables["touchpoints"]["event_id"].is_unique


def test_the_tables_break_nothing_in_the_contract(tables: Tables) -> None:
    study = cx.open_study(tables)
    assert study.findings.found == ()
