"""CDNOW: purchases of a cohort at an online music shop, 1997-98, as transactions or as contract tables.

Two whitespace-separated files: the master (23,570 customers, with a header) and a sample of a tenth of them
(2,357, without one, both ids). Published fits are of the sample, in weeks and dollars, and begin at
`transactions`; `read` makes a study of the master. What the files cannot say is left out: see
data/cards/cdnow.md.

>>> SETTINGS["currency"]
'USD'
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from cxlib.errors import CxLookupError, CxValueError
from cxlib.readers.text import minor_units, present, times, whole

SETTINGS: dict[str, Any] = {
    "name": "cdnow",
    "title": "CDNOW, purchases of one cohort",
    "currency": "USD",
    "money": "minor",
    "time_zone": "UTC",
    "licence": "none stated",
    "source": "Fader and Hardie, CDNOW master data set",
    "notes": [
        "Days carry no time and no zone: an order's ts is midnight UTC of its day.",
        "Orders have no number in the file: order_id is the line it stands on.",
        "Purchases only: no channel, no cost, no margin, nothing before the first purchase.",
        "All customers first bought between January and March 1997.",
    ],
}

MASTER = "CDNOW_master.txt"
SAMPLE = "CDNOW_sample.txt"
FILES = (MASTER, SAMPLE)

# Columns of each file; the sample's own id numbers its customers anew.
COLUMNS = {
    MASTER: ["customer_id", "date", "units", "dollars"],
    SAMPLE: ["customer_id", "sample_id", "date", "units", "dollars"],
}


def transactions(files: Mapping[str, Path], file: str = SAMPLE) -> pd.DataFrame:
    """Every line of the sample (or of `CDNOW_master.txt`): customer_id (the master's), date, units, dollars.

    Nothing is dropped: lines that spend nothing (80 in the master, 8 in the sample) and exact duplicates
    (255 and 21) are counted in `.attrs["zero_spend"]` and `.attrs["duplicates"]`; who looks at days of
    purchase, as `cx.revenue.history` does, need not care for the latter. Raises `CxLookupError` for a missing file,
    `CxValueError` for a line that cannot be read.
    """
    raw = _lines(files, file)
    frame = pd.DataFrame(
        {
            "customer_id": raw["customer_id"],
            "date": _days(raw["date"], file),
            "units": whole(raw["units"], file).astype("int64"),
            "dollars": minor_units(raw["dollars"], file).astype("int64") / 100,
        }
    )
    frame.attrs = {
        "zero_spend": int((frame["dollars"] == 0).sum()),
        "duplicates": int(frame.duplicated().sum()),
    }
    return frame


def read(files: Mapping[str, Path]) -> dict[str, pd.DataFrame]:
    """Contract tables `orders` (a line of the master, cents) and `customers`, all 23,570.

    Exact duplicates stay: two equal baskets on a day are as possible as an error. The column `sampled` of
    customers says who is in the published sample. Raises as `transactions` does.
    """
    raw = _lines(files, MASTER)
    orders = pd.DataFrame(
        {
            "order_id": raw["line"].astype(str),
            "customer_id": raw["customer_id"],
            "ts": _days(raw["date"], MASTER),
            "revenue": minor_units(raw["dollars"], MASTER),
            "currency": SETTINGS["currency"],
            "units": whole(raw["units"], MASTER),
        }
    )
    customers = orders.groupby("customer_id", as_index=False).agg(first_seen=("ts", "min"))
    customers["sampled"] = customers["customer_id"].isin(_lines(files, SAMPLE)["customer_id"])
    return {"orders": orders, "customers": customers}


def _lines(files: Mapping[str, Path], file: str) -> pd.DataFrame:
    """The file's fields as text, with the number of the line each stands on."""
    if file not in COLUMNS:
        raise CxLookupError(f"CDNOW has no file {file}; there are: {', '.join(FILES)}.")
    names = COLUMNS[file]
    lines = present(files, file).read_text(encoding="utf-8-sig").splitlines()
    rows = [[*line.split(), str(number)] for number, line in enumerate(lines, start=1) if line.strip()]
    if rows and file == MASTER and not rows[0][0].isdigit():
        rows = rows[1:]
    odd = [row for row in rows if len(row) != len(names) + 1]
    if odd or not rows:
        where = f"line {odd[0][-1]} has {len(odd[0]) - 1}" if odd else "it has no line"
        raise CxValueError(
            f"{file}: a line has {len(names)} fields ({', '.join(names)}); {where}. Take the file as published."
        )
    return pd.DataFrame(rows, columns=[*names, "line"], dtype="str")


def _days(text: pd.Series, file: str) -> pd.Series:
    """Days written 19970131, as midnight without a zone."""
    dashed = text.str.replace(r"^(\d{4})(\d{2})(\d{2})$", r"\1-\2-\3 00:00:00", regex=True)
    return times(dashed, file)
