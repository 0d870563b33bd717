"""The Olist marketplace: the public CSV files of Brazilian orders, 2016-2018, as contract tables.

Reads the seven files as published (the full 99,441 orders and the 15,000-order sample alike). An order
leaves up to four touchpoints behind (purchase, payment_approved, handed_to_carrier, delivery), a review
two more (review_requested, review). What the files cannot say is left null, never made up:
see data/cards/olist.md.

>>> SETTINGS["conversion"]
['purchase']
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from cxlib.errors import CxValueError
from cxlib.readers.text import minor_units, read_columns, times, whole

SETTINGS: dict[str, Any] = {
    "name": "olist",
    "title": "Olist, a Brazilian marketplace",
    "currency": "BRL",
    "money": "minor",
    "time_zone": "UTC",
    "conversion": ["purchase"],
    "licence": "CC BY-NC-SA 4.0 (orders, items, payments, reviews, customers); MIT (products, sellers)",
    "source": "Olist, Brazilian E-Commerce Public Dataset",
    "notes": [
        "Times carry no zone in the files; they are taken as UTC.",
        "Repeat purchase and customer value cannot be measured: orders were sampled, not customers.",
        "Nothing before the purchase is recorded: no awareness or engagement touchpoints.",
        "A review is requested on a date without a time: its place among that day's events is unknown.",
    ],
}

CURRENCY = SETTINGS["currency"]

ORDERS = "olist_orders_dataset.csv"
ITEMS = "olist_order_items_dataset.csv"
PAYMENTS = "olist_order_payments_dataset.csv"
REVIEWS = "olist_order_reviews_dataset.csv"
CUSTOMERS = "olist_customers_dataset.csv"
PRODUCTS = "olist_products_dataset.csv"
SELLERS = "olist_sellers_dataset.csv"
FILES = (ORDERS, ITEMS, PAYMENTS, REVIEWS, CUSTOMERS, PRODUCTS, SELLERS)

# touchpoint, channel, stage, ownership, mode, who initiates it
TOUCHPOINTS = [
    ("purchase", "web", "transaction", "owned", "self_service", "customer"),
    ("payment_approved", "payment", "transaction", "partner", "self_service", "brand"),
    ("handed_to_carrier", "carrier", "transaction", "partner", "assisted", "brand"),
    ("delivery", "carrier", "transaction", "partner", "assisted", "brand"),
    ("review_requested", "email", "retention", "owned", "self_service", "brand"),
    ("review", "email", "retention", "owned", "self_service", "customer"),
]

# touchpoint of an order -> the column of the orders table that dates it, in the order of a normal parcel
MILESTONES = {
    "purchase": "ts",
    "payment_approved": "approved_ts",
    "handed_to_carrier": "handed_ts",
    "delivery": "delivered_ts",
}


def read(files: Mapping[str, Path]) -> dict[str, pd.DataFrame]:
    """Contract tables `touchpoints`, `orders`, `surveys`, `customers`, `catalog`.

    `files` maps the published file names to paths. Money is in centavos (Int64), times are UTC without
    a zone, in microseconds. Raises `CxLookupError` for a missing file, `CxValueError` for a missing column,
    a value that cannot be read, a repeated key, or a row of an order that the orders file lacks.
    """
    orders = _orders(files)
    reviews = _reviews(files, orders)
    return {
        "touchpoints": _touchpoints(orders, reviews),
        "orders": orders,
        "surveys": reviews,
        "customers": _customers(orders),
        "catalog": _catalog(),
    }


def _orders(files: Mapping[str, Path]) -> pd.DataFrame:
    """One row an order: the person, the five times, the state of the parcel, money and what was in it."""
    raw = read_columns(
        files,
        ORDERS,
        [
            "order_id",
            "customer_id",
            "order_status",
            "order_purchase_timestamp",
            "order_approved_at",
            "order_delivered_carrier_date",
            "order_delivered_customer_date",
            "order_estimated_delivery_date",
        ],
    )
    people = read_columns(files, CUSTOMERS, ["customer_id", "customer_unique_id", "customer_state"])
    _unique(raw, ["order_id"], ORDERS)
    _unique(people, ["customer_id"], CUSTOMERS)
    _known(raw, people, "customer_id", ORDERS, CUSTOMERS)
    # The files' customer_id is new with every order; the person is customer_unique_id.
    raw = raw.merge(people, on="customer_id", how="left", validate="many_to_one")
    orders = pd.DataFrame(
        {
            "order_id": raw["order_id"],
            "customer_id": raw["customer_unique_id"],
            "ts": times(raw["order_purchase_timestamp"], ORDERS),
            "channel": "web",
            "status": raw["order_status"],
            "approved_ts": times(raw["order_approved_at"], ORDERS),
            "handed_ts": times(raw["order_delivered_carrier_date"], ORDERS),
            "delivered_ts": times(raw["order_delivered_customer_date"], ORDERS),
            "promised_ts": times(raw["order_estimated_delivery_date"], ORDERS),
            "region": raw["customer_state"],
        }
    )
    # Against the timestamp, which is midnight as that day begins: a parcel of the promised day is late.
    arrived = orders["status"].eq("delivered") & orders[["delivered_ts", "promised_ts"]].notna().all(axis=1)
    orders["late"] = (orders["delivered_ts"] > orders["promised_ts"]).astype("boolean").mask(~arrived)
    orders = orders.merge(_baskets(files, orders), on="order_id", how="left", validate="one_to_one")
    orders = orders.merge(_payments(files, orders), on="order_id", how="left", validate="one_to_one")
    # Some orders, nearly all canceled or unavailable, list no item: nothing was sold, whatever was paid.
    sums = ["price", "freight", "items", "sellers"]
    orders[sums] = orders[sums].astype("Int64").fillna(0)
    orders["revenue"] = orders["price"] + orders["freight"]
    orders["currency"] = CURRENCY
    return orders


def _baskets(files: Mapping[str, Path], orders: pd.DataFrame) -> pd.DataFrame:
    """One row an order that has items: price, freight (centavos), items, sellers, category."""
    raw = read_columns(
        files, ITEMS, ["order_id", "order_item_id", "product_id", "seller_id", "price", "freight_value"]
    )
    products = read_columns(files, PRODUCTS, ["product_id", "product_category_name"])
    sellers = read_columns(files, SELLERS, ["seller_id", "seller_state"])
    _unique(raw, ["order_id", "order_item_id"], ITEMS)
    _unique(products, ["product_id"], PRODUCTS)
    _unique(sellers, ["seller_id"], SELLERS)
    _known(raw, orders, "order_id", ITEMS, ORDERS)
    raw = raw.merge(products, on="product_id", how="left").merge(sellers, on="seller_id", how="left")
    items = raw.assign(
        price=minor_units(raw["price"], ITEMS),
        freight=minor_units(raw["freight_value"], ITEMS),
        order_item_id=whole(raw["order_item_id"], ITEMS),
    )
    of_order = items.groupby("order_id", sort=False)
    sums = of_order.agg(
        price=("price", "sum"),
        freight=("freight", "sum"),
        items=("order_item_id", "size"),
        sellers=("seller_id", "nunique"),
    )
    # An order is named after its dearest item; among equals, the first listed.
    dearest = items.sort_values(["price", "order_item_id"], ascending=[False, True]).drop_duplicates(
        "order_id"
    )
    names = dearest.set_index("order_id")[["product_category_name", "seller_state"]]
    return sums.join(names.rename(columns={"product_category_name": "category"})).reset_index()


def _payments(files: Mapping[str, Path], orders: pd.DataFrame) -> pd.DataFrame:
    """One row an order that has payments: the sum paid (centavos), the largest one's type and instalments."""
    columns = ["order_id", "payment_sequential", "payment_type", "payment_installments", "payment_value"]
    raw = read_columns(files, PAYMENTS, columns)
    _unique(raw, ["order_id", "payment_sequential"], PAYMENTS)
    _known(raw, orders, "order_id", PAYMENTS, ORDERS)
    payments = pd.DataFrame(
        {
            "order_id": raw["order_id"],
            "sequence": whole(raw["payment_sequential"], PAYMENTS),
            "paid": minor_units(raw["payment_value"], PAYMENTS),
            "payment_type": raw["payment_type"],
            "instalments": whole(raw["payment_installments"], PAYMENTS),
        }
    )
    largest = payments.sort_values(["paid", "sequence"], ascending=[False, True]).drop_duplicates("order_id")
    sums = payments.groupby("order_id", sort=False)["paid"].sum()
    return largest.drop(columns=["paid", "sequence"]).merge(sums, on="order_id", validate="one_to_one")


def _reviews(files: Mapping[str, Path], orders: pd.DataFrame) -> pd.DataFrame:
    """One row a response: a review_id **and** an order_id, since one review_id can stand for several orders.

    The question is about the purchase as a whole, so that is its touchpoint; `reached` is the latest step of
    the order that had happened when the answer came.
    """
    columns = ["review_id", "order_id", "review_score", "review_comment_title", "review_comment_message"]
    raw = read_columns(files, REVIEWS, [*columns, "review_creation_date", "review_answer_timestamp"])
    _unique(raw, ["review_id", "order_id"], REVIEWS)
    _known(raw, orders, "order_id", REVIEWS, ORDERS)
    raw = raw.merge(
        orders[["order_id", "customer_id", *MILESTONES.values()]],
        on="order_id",
        how="left",
        validate="many_to_one",
    )
    answered = times(raw["review_answer_timestamp"], REVIEWS)
    reached = pd.Series(pd.NA, index=raw.index, dtype="str")
    for touchpoint, column in MILESTONES.items():
        reached = reached.mask(raw[column].le(answered), touchpoint)
    parts = [raw[column].str.strip() for column in ("review_comment_title", "review_comment_message")]
    title, message = (part.mask(part.eq("")) for part in parts)
    return pd.DataFrame(
        {
            "response_id": raw["review_id"] + ":" + raw["order_id"],
            "customer_id": raw["customer_id"],
            "ts": answered,
            "touchpoint": "purchase",
            "stage": "transaction",
            "question": "csat",
            "score": whole(raw["review_score"], REVIEWS),
            "scale_min": 1,
            "scale_max": 5,
            "comment": (title + "\n" + message).fillna(message).fillna(title),
            "language": "pt",
            "order_id": raw["order_id"],
            "requested_ts": times(raw["review_creation_date"], REVIEWS),
            "reached": reached,
        }
    )


def _touchpoints(orders: pd.DataFrame, reviews: pd.DataFrame) -> pd.DataFrame:
    """One row a dated step of an order or a review, in the order of time."""
    dated = [(name, orders, "order_id", column) for name, column in MILESTONES.items()]
    dated += [("review_requested", reviews, "response_id", "requested_ts")]
    dated += [("review", reviews, "response_id", "ts")]
    steps = []
    for number, (touchpoint, rows, key, column) in enumerate(dated, start=1):
        step = rows[["order_id", "customer_id"]].assign(ts=rows[column], touchpoint=touchpoint)
        # Ties in time go by event_id: the number keeps a payment approved at once after its purchase.
        step["event_id"] = rows[key] + f":{number}:{touchpoint}"
        steps.append(step[step["ts"].notna()])
    events = pd.concat(steps, ignore_index=True)
    kinds = pd.DataFrame(
        TOUCHPOINTS, columns=["touchpoint", "channel", "stage", "owner", "mode", "initiated_by"]
    )
    events = events.merge(kinds.drop(columns=["owner", "mode"]), on="touchpoint", validate="many_to_one")
    money = orders.set_index("order_id")["revenue"]
    bought = events["touchpoint"].eq("purchase")
    events["value"] = events["order_id"].map(money).where(bought).astype("Int64")
    events["currency"] = pd.Series(CURRENCY, index=events.index, dtype="str").where(events["value"].notna())
    events["source"] = "olist"
    columns = ["event_id", "customer_id", "ts", "touchpoint", "initiated_by", "channel", "stage", "order_id"]
    events = events[[*columns, "value", "currency", "source"]]
    return events.sort_values(["ts", "event_id"], ignore_index=True)


def _customers(orders: pd.DataFrame) -> pd.DataFrame:
    """One row a person, with the state of the first order; no street, city or post code is taken over."""
    first = orders.sort_values(["ts", "order_id"]).drop_duplicates("customer_id")
    people = first[["customer_id", "ts", "region"]].rename(columns={"ts": "first_seen"})
    return people.sort_values("customer_id", ignore_index=True)


def _catalog() -> pd.DataFrame:
    columns = ["touchpoint", "channel", "stage", "ownership", "mode", "initiated_by"]
    catalog = pd.DataFrame(TOUCHPOINTS, columns=columns).drop(columns="initiated_by")
    return catalog.assign(unit_cost=pd.Series(float("nan"), index=catalog.index))


def _unique(frame: pd.DataFrame, key: list[str], file: str) -> None:
    repeated = frame[frame.duplicated(key) | frame[key].isna().any(axis=1)]
    if len(repeated):
        examples = ", ".join(map(str, repeated[key[0]].head(3)))
        raise CxValueError(
            f"{file}: {len(repeated):,} row(s) repeat or lack the key {' + '.join(key)}, such as {examples}. "
            "Keep one row a key."
        )


def _known(rows: pd.DataFrame, parent: pd.DataFrame, key: str, file: str, parent_file: str) -> None:
    orphans = rows[~rows[key].isin(parent[key])]
    if len(orphans):
        examples = ", ".join(map(str, orphans[key].head(3)))
        raise CxValueError(
            f"{file}: {len(orphans):,} row(s) have a {key} that {parent_file} lacks, for example {examples}. "
            "Cut all files to the same orders."
        )
