"""The customer's voice: what customers answer when they are asked, whom it speaks for, and why it moved."""

from cxlib.voice import plots
from cxlib.voice.careless import careless, scale_mistakes
from cxlib.voice.drivers import Drivers, drivers
from cxlib.voice.responders import Responders, responders
from cxlib.voice.scales import asked
from cxlib.voice.scorecard import Scorecard, scorecard
from cxlib.voice.scores import CSAT, NPS, Scores, csat, nps, scores
from cxlib.voice.silence import Silent, silent
from cxlib.voice.split import Split, split, split_frame
from cxlib.voice.stars import stars
from cxlib.voice.unasked import Unasked, unasked
from cxlib.voice.weights import Raked, rake

__all__ = [
    "CSAT",
    "NPS",
    "Drivers",
    "Raked",
    "Responders",
    "Scorecard",
    "Scores",
    "Silent",
    "Split",
    "Unasked",
    "asked",
    "careless",
    "csat",
    "drivers",
    "nps",
    "plots",
    "rake",
    "responders",
    "scale_mistakes",
    "scorecard",
    "scores",
    "silent",
    "split",
    "split_frame",
    "stars",
    "unasked",
]
