"""The collection chapter in five lines, each from a result; lines whose table is missing stay away."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cxlib.collection.promises import promises
from cxlib.collection.quality import quality
from cxlib.collection.responders import responders
from cxlib.collection.voice import scores
from cxlib.errors import CxLookupError, CxValueError
from cxlib.results import Summary, nice, percent

if TYPE_CHECKING:
    from cxlib.study import Study


def summary(study: Study) -> Summary:
    """What is known, how good it is, how customers feel, who is silent, and what to do next."""
    lines, volume, advice = [], [], []
    if not (study.has("touchpoints") or study.has("surveys")):
        held = ", ".join(f"{name} {rows:,}" for name, rows in study.findings.rows.items())
        lines.append(f"Neither touchpoints nor surveys are in this study; it has {held} (rows).")
    if study.has("touchpoints"):
        found = quality(study)
        volume = [str(found.volume.claim()), str(found.issues.claim())]
        issues = found.issues.visible().sort_values("estimate", ascending=False)
        if len(issues) and issues["estimate"].iloc[0] > 0.005:
            worst = issues.iloc[0]
            advice.append(f"find where {worst['check']} come from ({percent(worst['estimate'])} of events)")
    if study.has("orders", "status", "promised_ts", "delivered_ts"):
        lines.append(str(promises(study).claim()))
    if study.has("surveys"):
        for question in ("nps", "csat"):
            try:
                asked = scores(study, question, "touchpoint")
            except (CxLookupError, CxValueError):  # nobody answered, or on a scale that gives no score
                continue
            lines.append(str(asked.claim()))
            groups = asked.visible()
            below = groups[(groups["q"] < 0.05) & (groups["estimate"] < asked.table()["estimate"].iloc[0])]
            if len(below) and not any("read" in line for line in advice):
                lowest = below.sort_values("estimate").iloc[0]
                advice.append(f"read what customers say about {nice(lowest.iloc[0])}")
        if study.has("touchpoints") or study.has("orders"):
            lines.append(str(responders(study).claim()))
    lines += volume  # how customers feel comes first, what was counted after it
    if advice:
        lines.append(f"Next: {'; '.join(advice)}.")
    return Summary(tuple(dict.fromkeys(lines)))
