"""Which kinds of customers there are, whether they are real, and how to recognise them."""

from cxlib.personas import plots
from cxlib.personas.cards import Cards
from cxlib.personas.evidence import Evidence
from cxlib.personas.features import Features, features
from cxlib.personas.model import Personas, fit, memberships
from cxlib.personas.summary import planted, summary

__all__ = [
    "Cards",
    "Evidence",
    "Features",
    "Personas",
    "features",
    "fit",
    "memberships",
    "planted",
    "plots",
    "summary",
]
