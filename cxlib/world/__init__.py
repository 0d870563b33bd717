"""The simulated company, with planted truth.

>>> world = simulate(200, seed=1)
>>> sorted(world.tables)
['catalog', 'customers', 'identities', 'orders', 'surveys', 'touchpoints']
"""

from cxlib.world.simulate import World, freeze, simulate, write_large

__all__ = ["World", "freeze", "simulate", "write_large"]
