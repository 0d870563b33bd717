"""Collection: what is known of the customers, how good it is, and how they feel."""

from cxlib.collection.quality import Counts, Quality, promises, quality, stars
from cxlib.collection.voice import CSAT, NPS, Responders, Scores, csat, nps, responders, scores

__all__ = [
    "CSAT",
    "NPS",
    "Counts",
    "Quality",
    "Responders",
    "Scores",
    "csat",
    "nps",
    "promises",
    "quality",
    "responders",
    "scores",
    "stars",
]
