"""The customer's voice: what customers say when they are asked, and when they are not."""

from cxlib.voice import plots
from cxlib.voice.responders import Responders, responders
from cxlib.voice.scales import asked
from cxlib.voice.scores import CSAT, NPS, Scores, csat, nps, scores
from cxlib.voice.stars import stars

__all__ = [
    "CSAT",
    "NPS",
    "Responders",
    "Scores",
    "asked",
    "csat",
    "nps",
    "plots",
    "responders",
    "scores",
    "stars",
]
