"""How customers travel: transitions, steps, switches, funnels, drop-off, attribution and journey maps, counted on the log."""

from cxlib.journeys import map_plot, plots
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
from cxlib.journeys.pain_points import PainPoints, pain_points
from cxlib.journeys.summary import summary
from cxlib.journeys.templates import JourneyMap, journey_map

__all__ = [
    "Attribution",
    "DropOff",
    "Funnel",
    "JourneyMap",
    "PainPoints",
    "Steps",
    "Switches",
    "Transitions",
    "conversions",
    "drop_off",
    "funnel",
    "heuristics",
    "journey_map",
    "map_plot",
    "markov",
    "pain_points",
    "plots",
    "purchases",
    "shapley",
    "steps",
    "summary",
    "switches",
    "transitions",
]
