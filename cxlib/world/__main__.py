"""Freeze the truth of every world and the demo study anew: `python -m cxlib.world [data/demo]`."""

import sys
from pathlib import Path

from cxlib.world import effects, freeze
from cxlib.world.world import TRUTH

if __name__ == "__main__":
    effects.freeze(TRUTH)
    freeze(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parents[2] / "data" / "demo")
