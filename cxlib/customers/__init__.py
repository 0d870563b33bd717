"""Customers: what a study says of each, as features, and how they come and go.

Personas are learnt from the features; who the customers are stands here, which kinds they are of stands there.
"""

from cxlib.customers import plots
from cxlib.customers.features import Features, features
from cxlib.customers.lifecycle import Lifecycle, lifecycle
from cxlib.customers.rfm import Rfm, rfm

__all__ = ["Features", "Lifecycle", "Rfm", "features", "lifecycle", "plots", "rfm"]
