"""Notebooks from sources, reports from notebooks. Knows notebooks, and no room of the package.

`sources` makes `notebooks/*.ipynb` from `notebooks/src/*.py` and checks them; `run` executes a copy
for one study; `html` turns an executed copy into one self-contained page, `overview` makes the index over all pages;
`build` does it for all.
"""

from cxlib.report.build import Built, build, case, store
from cxlib.report.html import About

__all__ = ["About", "Built", "build", "case", "store"]
