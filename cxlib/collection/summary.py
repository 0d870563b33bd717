"""The collection chapter in five lines, each from a result; lines whose table is missing stay away."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING

from cxlib.collection.identity import stitch
from cxlib.collection.promises import promises
from cxlib.collection.quality import quality
from cxlib.errors import CxLookupError, CxValueError
from cxlib.results import TOO_FEW, Result, Summary, nice, percent
from cxlib.text import comments, prevalence, themes
from cxlib.voice import asked, responders, scores, silent, split, unasked

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
        volume = [str(found.volume.claim()), str(found.faults.claim())]
        faults = found.faults.visible().sort_values("estimate", ascending=False)
        if len(faults) and faults["estimate"].iloc[0] > 0.005:
            worst = faults.iloc[0]
            advice.append(
                f"find where events come from that are {worst['fault']} ({percent(worst['estimate'])})"
            )
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
            lines.append(str(responders(study).claim().first))
    lines += volume  # how customers feel comes first, what was counted after it
    if advice:
        lines.append(f"Next: {'; '.join(advice)}.")
    return Summary(tuple(dict.fromkeys(lines)))


def state(study: Study) -> Summary:
    """The state of the events, for somebody to sign: faults, who is who, what was refused, gaps, drift."""
    if not study.has("touchpoints"):
        return Summary(("This study has no touchpoints: there is nothing here to be at fault.",))
    found = quality(study)
    lines = [str(found.faults.claim())]
    if study.has("touchpoints", "anonymous_id"):
        stitched = stitch(study)
        lines += [str(stitched.claim()), str(stitched.audit.claim())]
    else:
        lines.append(str(found.identity.claim()))
    return Summary(tuple(dict.fromkeys([*lines, str(found.gaps.claim()), str(found.drift.claim())])))


def heard(study: Study, question: str | None = None, read: str = "aspect") -> Summary:
    """The customer's voice: how far the score may be off, why it moved, what is written about, where nobody asks.

    `question`: the first of `cx.voice.asked` without it; `read`: the column of themes that people noted.
    """
    question = question or next(iter(asked(study)), None)
    if question is None:
        return Summary(("Nobody answered a question that has a score: there is no voice to report.",))
    who = "loyalty_tier" if study.has("customers", "loyalty_tier") else None
    lines: list[str] = []
    with suppress(CxLookupError, CxValueError):  # nobody in contact is known
        lines = [str(silent(study, question).claim())]
    if not lines or lines[0] == TOO_FEW or "customers in contact" not in lines[0]:
        lines = [str(scores(study, question, by=None).claim())]
    lines = [f"{line.split('; ')[0].rstrip('.')}." for line in lines]
    tellers: list[Callable[[], Result]] = [
        lambda: split(study, question, who=who),
        lambda: prevalence(themes(comments(study), read=read)),
        lambda: unasked(study),
    ]
    for tell in tellers:
        with suppress(CxLookupError, CxValueError):  # what this study has no tables or answers for
            lines.append(str(tell().claim().first))
    if study.has("touchpoints"):
        blind = unasked(study).visible().query("blind")
        lines += [
            f"Next: ask after {nice(name)}, few questions of few people." for name in blind["touchpoint"][:1]
        ]
    return Summary(tuple(line for line in lines if line != TOO_FEW) or (str(TOO_FEW),))
