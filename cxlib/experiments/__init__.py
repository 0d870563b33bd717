"""Whom to show what, and is it worth it: the size of an experiment, its sample-ratio check, its effects."""

from cxlib.experiments import plots
from cxlib.experiments.analysis import Analysis, analyze
from cxlib.experiments.contrast import Contrast, contrast
from cxlib.experiments.design import Design, design
from cxlib.experiments.moments import Moments, aggregates
from cxlib.experiments.sample_ratio import SampleRatio, sample_ratio

__all__ = [
    "Analysis",
    "Contrast",
    "Design",
    "Moments",
    "SampleRatio",
    "aggregates",
    "analyze",
    "contrast",
    "design",
    "plots",
    "sample_ratio",
]
