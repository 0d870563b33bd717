"""Collection: what is known of the customers, how good it is, and how they feel."""

from cxlib.collection import plots
from cxlib.collection.clusters import Counts
from cxlib.collection.contents import Checks, Contents, checks, columns, contents
from cxlib.collection.drift import drift
from cxlib.collection.faults import Faults, cleaned, faults
from cxlib.collection.identity import Audit, Sensitivity, Stitched, coverage, stitch
from cxlib.collection.promises import promises
from cxlib.collection.quality import Quality, quality
from cxlib.collection.responders import Responders, responders
from cxlib.collection.scales import asked
from cxlib.collection.stars import stars
from cxlib.collection.summary import state, summary
from cxlib.collection.voice import CSAT, NPS, Scores, csat, nps, scores

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
