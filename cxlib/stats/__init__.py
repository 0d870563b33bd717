"""Honest numbers: folds and the jackknife, score intervals, many comparisons, and results beside the truth.

Nothing here knows what a study is. Counts come in with customer folds on the first axis (customers
are the independent units, events are not), estimates come out with intervals. `truth` asks the only
question that matters of an interval: does it hold what it promises?
"""

from cxlib.stats.bootstrap import bootstrap_t
from cxlib.stats.clusters import Clustered
from cxlib.stats.correction import Corrected, bch, correct, corrected, unmixed
from cxlib.stats.folds import ENOUGH, FOLDS, folds_of, jackknife, proportions, shares
from cxlib.stats.intervals import Array, Interval, Scale, tango, wilson
from cxlib.stats.multiplicity import benjamini_hochberg
from cxlib.stats.truth import Score, Scoreboard, score, scoreboard

__all__ = [
    "ENOUGH",
    "FOLDS",
    "Array",
    "Clustered",
    "Corrected",
    "Interval",
    "Scale",
    "Score",
    "Scoreboard",
    "bch",
    "benjamini_hochberg",
    "bootstrap_t",
    "correct",
    "corrected",
    "folds_of",
    "jackknife",
    "proportions",
    "score",
    "scoreboard",
    "shares",
    "tango",
    "unmixed",
    "wilson",
]
