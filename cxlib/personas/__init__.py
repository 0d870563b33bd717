"""Personas: which kinds of customers there are, whether they are real, and how to recognise them.

They are learnt from the features of `cxlib.customers`, which can be had here too.
"""

from cxlib.customers.features import Features, features
from cxlib.personas import plots
from cxlib.personas.cards import Cards
from cxlib.personas.evidence import Evidence
from cxlib.personas.model import Personas, fit, memberships
from cxlib.personas.movement import Drift, Movement, drift, movement, periods
from cxlib.personas.place import Placed
from cxlib.personas.proxies import Proxies, proxies
from cxlib.personas.recognise import Recognised, recognise
from cxlib.personas.residuals import Residuals, residuals
from cxlib.personas.stability import Stability, stability
from cxlib.personas.summary import planted, summary

__all__ = [
    "Cards",
    "Drift",
    "Evidence",
    "Features",
    "Movement",
    "Personas",
    "Placed",
    "Proxies",
    "Recognised",
    "Residuals",
    "Stability",
    "drift",
    "features",
    "fit",
    "memberships",
    "movement",
    "periods",
    "planted",
    "plots",
    "proxies",
    "recognise",
    "residuals",
    "stability",
    "summary",
]
