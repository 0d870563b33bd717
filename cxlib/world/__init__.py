"""The simulated company, with planted truth.

>>> world = simulate(200, seed=1)
>>> sorted(world.tables)
['catalog', 'customers', 'exposures', 'identities', 'orders', 'surveys', 'touchpoints']
"""

from cxlib.world.posterior import posterior
from cxlib.world.world import World, freeze, simulate, write_large

__all__ = ["World", "freeze", "posterior", "simulate", "write_large"]
