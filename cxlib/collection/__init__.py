"""Collection: what is known of the customers, how good it is, and how they feel.

How they feel is in two rooms of its own, `cxlib.voice` (what they answer) and `cxlib.text` (what they write);
the scores can be had here too.
"""

from cxlib.collection import plots
from cxlib.collection.contents import Checks, Contents, checks, columns, contents
from cxlib.collection.drift import drift
from cxlib.collection.faults import Faults, cleaned, faults
from cxlib.collection.identity import Audit, Sensitivity, Stitched, coverage, stitch
from cxlib.collection.promises import promises
from cxlib.collection.quality import Quality, quality
from cxlib.collection.summary import heard, state, summary
from cxlib.rates import Counts
from cxlib.voice import CSAT, NPS, Responders, Scores, asked, csat, nps, responders, scores, stars

__all__ = [
    "CSAT",
    "NPS",
    "Audit",
    "Checks",
    "Contents",
    "Counts",
    "Faults",
    "Quality",
    "Responders",
    "Scores",
    "Sensitivity",
    "Stitched",
    "asked",
    "checks",
    "cleaned",
    "columns",
    "contents",
    "coverage",
    "csat",
    "drift",
    "faults",
    "heard",
    "nps",
    "plots",
    "promises",
    "quality",
    "responders",
    "scores",
    "stars",
    "state",
    "stitch",
    "summary",
]
