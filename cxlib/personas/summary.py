"""The persona chapter in five lines, each from a result."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from cxlib.customers.features import features
from cxlib.errors import CxLookupError
from cxlib.personas.model import Personas, fit
from cxlib.results import Summary, percent

if TYPE_CHECKING:
    from cxlib.study import Study


def summary(study: Study | Personas) -> Summary:
    """Who is described, how many kinds there are, how large, how well they are told apart, what next.

    Takes a study, or personas that have been fitted already.
    """
    personas = study if isinstance(study, Personas) else fit(features(study))
    found = personas.evidence()
    lines = [str(found.claim()), str(personas.features.claim().first)]
    if personas.k > 1:
        table = personas.visible()
        if len(table):
            first, worst = table.iloc[0], table.sort_values("error").iloc[-1]
            lines.append(
                f"The largest is {first['persona']}, {percent(first['estimate'])} of customers "
                f"({percent(first['low'])} to {percent(first['high'])}, n = {first['n']:,})."
            )
            lines.append(
                f"Hardest to recognise is {worst['persona']}: {percent(worst['error'])} of those assigned to it "
                "belong elsewhere. Correct later estimates for this; never treat a persona as a fact about a person."
            )
    lines.append(NEXT[found.verdict])
    return Summary(tuple(lines))


def planted(study: Study) -> pd.DataFrame:
    """True sizes of the kinds of a simulated study, from the largest: column `truth`; without rows where not planted."""
    try:
        sizes = study.truth("kinds")["truth"]
    except CxLookupError:
        sizes = pd.Series(dtype=float)
    return sizes.sort_values(ascending=False, ignore_index=True).to_frame("truth")


NEXT = {
    "kinds": "Next: give each persona its own journey template, and test whether what helps one harms another.",
    "degrees": "Next: steer by where a customer stands on that axis, a number each; thresholds on it are yours to choose.",
    "phases": "Next: treat customers by where they are on their way, not by who they are.",
    "one kind": "Next: one journey template for everybody; spend on what hurts all customers alike.",
    "cannot tell": "Next: collect more of what customers repeat before building anything on personas.",
}
