"""Whom to show what, and is it worth it: the size of an experiment, its sample-ratio check, its effects."""

from cxlib.experiments import plots
from cxlib.experiments.analysis import Analysis
from cxlib.experiments.analyze import analyze
from cxlib.experiments.by_persona import ByPersona
from cxlib.experiments.contrast import Contrast, contrast
from cxlib.experiments.design import Design, design
from cxlib.experiments.exposures import Trials, trials
from cxlib.experiments.frequency import Frequency, frequency
from cxlib.experiments.moments import Moments, aggregates
from cxlib.experiments.overview import Overview, overview
from cxlib.experiments.policy import Policy, policy
from cxlib.experiments.sample_ratio import SampleRatio, sample_ratio
from cxlib.experiments.summary import summary

__all__ = [
    "Analysis",
    "ByPersona",
    "Contrast",
    "Design",
    "Frequency",
    "Moments",
    "Overview",
    "Policy",
    "SampleRatio",
    "Trials",
    "aggregates",
    "analyze",
    "contrast",
    "design",
    "frequency",
    "overview",
    "plots",
    "policy",
    "sample_ratio",
    "summary",
    "trials",
]
