"""BPI Challenge 2012: a Dutch bank's loan applications, an XES log of 13,087 cases, as contract tables.

A case is an application, not a customer: its number is the anonymous_id. Outcomes are the touchpoints
A_ACTIVATED, A_CANCELLED and A_DECLINED; a case with none of them was open when the log ended. See
data/cards/bpic2012.md.

>>> [name for name, *_ in ACTIVITIES if name.startswith("W_Nabellen")]
['W_Nabellen offertes', 'W_Nabellen incomplete dossiers']
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa

from cxlib.readers import xes
from cxlib.readers.text import present

SETTINGS: dict[str, Any] = {
    "name": "bpic2012",
    "title": "BPI Challenge 2012, loan applications at a Dutch bank",
    "time_zone": "UTC",
    "conversion": ["A_ACTIVATED"],
    "licence": "4TU.ResearchData terms (not verified)",
    "source": "van Dongen, BPI Challenge 2012, 4TU.ResearchData",
    "notes": [
        "A case is an application: whether two are one customer's is not known.",
        "Work items (W_, Dutch; translated in the column `english`) leave an event when scheduled, started and "
        "completed: the first two are touchpoints of their own, such as `W_Nabellen offertes (start)`.",
        "Channel, stage and who began a contact are our reading of the names; the log does not state them. The "
        "transaction begins with an offer; an application declined or cancelled ends where it stands.",
        "The log ends in March 2012: 399 applications are still open, which is no outcome.",
    ],
}

FILE = "bpic2012.xes.gz"
FILES = (FILE,)

# activity, what it means, channel, stage, who begins it. A_ is the application's state, O_ an offer's, W_ work
# on it. "Nabellen" is to ring somebody up about something.
ACTIVITIES = [
    ("A_SUBMITTED", "application submitted", "application", "engagement", "customer"),
    ("A_PARTLYSUBMITTED", "application partly submitted", "application", "engagement", "customer"),
    ("A_PREACCEPTED", "preaccepted, details wanted", "application", "engagement", "brand"),
    ("A_ACCEPTED", "accepted, to be checked", "application", "engagement", "brand"),
    ("A_FINALIZED", "checked", "application", "engagement", "brand"),
    ("A_APPROVED", "approved", "application", "transaction", "brand"),
    ("A_REGISTERED", "registered", "application", "transaction", "brand"),
    ("A_ACTIVATED", "loan activated", "application", "transaction", "brand"),
    ("A_DECLINED", "application declined", "application", "engagement", "brand"),
    ("A_CANCELLED", "application cancelled", "application", "engagement", None),
    ("O_SELECTED", "chosen to get an offer", "offer", "transaction", "brand"),
    ("O_CREATED", "offer made", "offer", "transaction", "brand"),
    ("O_SENT", "offer sent", "offer", "transaction", "brand"),
    ("O_SENT_BACK", "offer sent back by the customer", "offer", "transaction", "customer"),
    ("O_ACCEPTED", "offer accepted", "offer", "transaction", None),
    ("O_CANCELLED", "offer cancelled", "offer", "transaction", None),
    ("O_DECLINED", "offer declined", "offer", "transaction", None),
    ("W_Afhandelen leads", "handle leads", "back_office", "engagement", "brand"),
    ("W_Completeren aanvraag", "complete the application", "back_office", "engagement", "brand"),
    ("W_Nabellen offertes", "call about offers", "call", "transaction", "brand"),
    ("W_Valideren aanvraag", "validate the application", "back_office", "transaction", "brand"),
    ("W_Nabellen incomplete dossiers", "call about incomplete files", "call", "transaction", "brand"),
    ("W_Beoordelen fraude", "assess fraud", "back_office", "engagement", "brand"),
    ("W_Wijzigen contractgegevens", "change contract details", "back_office", "retention", "brand"),
]


def read(files: Mapping[str, Path]) -> dict[str, pd.DataFrame]:
    """Contract tables `touchpoints` (262,200 events) and `catalog` (with the column `english`).

    Further columns of touchpoints: `activity` (24, without the transition), `lifecycle`, `resource` and
    `amount_requested` (whole; the log names no currency). `event_id` is the event's place in the log, so
    events at one time stay in order. Raises `CxLookupError` without the file, `CxValueError` for one that
    is no such log.
    """
    log = pa.concat_tables(xes.events(present(files, FILE)), promote_options="default").to_pandas()
    touchpoints = pd.DataFrame(
        {
            "event_id": range(1, len(log) + 1),
            "anonymous_id": log["case:concept:name"],
            "ts": pd.to_datetime(log["time:timestamp"], format="ISO8601", utc=True).dt.tz_localize(None),
            "touchpoint": log["activity"],
            "initiated_by": log["concept:name"].map({name: by for name, *_, by in ACTIVITIES}),
            "source": "bpic2012",
            "activity": log["concept:name"],
            "lifecycle": log["lifecycle:transition"],
            "resource": log["org:resource"],
            "amount_requested": log["case:AMOUNT_REQ"].astype("int64"),
        }
    )
    kinds = pd.DataFrame(ACTIVITIES, columns=["activity", "english", "channel", "stage", "initiated_by"])
    seen = touchpoints[["touchpoint", "activity"]].drop_duplicates()
    catalog = seen.merge(
        kinds.drop(columns="initiated_by"), on="activity", how="left", validate="many_to_one"
    )
    order = ["touchpoint", "channel", "stage", "activity", "english"]
    return {"touchpoints": touchpoints, "catalog": catalog[order].sort_values("touchpoint")}
