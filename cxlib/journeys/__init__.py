"""How customers travel: transitions, steps, switches, funnels, drop-off and attribution, counted on the log."""

from cxlib.journeys import plots
from cxlib.journeys.attribution import Attribution, conversions, heuristics, markov, purchases, shapley
from cxlib.journeys.counts import (
    DropOff,
    Steps,
    Switches,
    Transitions,
    drop_off,
    steps,
    switches,
    transitions,
)
from cxlib.journeys.funnels import Funnel, funnel
from cxlib.journeys.summary import summary

__all__ = [
    "Attribution",
    "DropOff",
    "Funnel",
    "Steps",
    "Switches",
    "Transitions",
    "conversions",
    "drop_off",
    "funnel",
    "heuristics",
    "markov",
    "plots",
    "purchases",
    "shapley",
    "steps",
    "summary",
    "switches",
    "transitions",
]
