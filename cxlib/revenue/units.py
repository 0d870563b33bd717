"""What a number of money is in: the contract's minor units in tables, the currency itself for people."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pandas as pd

from cxlib.contract import EXPONENTS
from cxlib.errors import CxValueError
from cxlib.results import nice, number

if TYPE_CHECKING:
    from cxlib.study import Study

MONEY = ("revenue", "margin", "contact_cost", "net")


@dataclass(frozen=True)
class Unit:
    """A unit for people: its name, and how many of the table's own units make one (100 cents a euro).

    >>> Unit("EUR", 100).say(123456)
    '1,235 EUR'
    """

    name: str = ""
    size: float = 1.0

    def say(self, value: float) -> str:
        """A number in this unit, with its name."""
        return f"{number(value / self.size)} {self.name}".rstrip()

    def ends(self, row: pd.Series) -> str:
        """A row's estimate with its interval."""
        low, high = (number(row[end] / self.size) for end in ("low", "high"))
        return f"{self.say(row['estimate'])} ({low} to {high})"

    def spread(self, personas: pd.DataFrame) -> str:
        """The lowest and the highest of several personas, each with its interval."""
        rows = (personas.loc[personas["estimate"].agg(end)] for end in ("idxmin", "idxmax"))
        return " to ".join(f"{nice(row['persona'])} {self.ends(row)}" for row in rows)

    def shown(
        self, table: pd.DataFrame, columns: tuple[str, ...] = ("estimate", "low", "high", "se")
    ) -> pd.DataFrame:
        """The table with those columns in this unit."""
        present = [name for name in columns if name in table]
        return table.assign(**{name: table[name] / self.size for name in present})


PLAIN = Unit()
POINTS = Unit("points", 0.01)
"""Of a share of customers: hundredths."""


def money(study: Study) -> Unit:
    """The currency of a study's orders; CxValueError where there are several."""
    name = study.settings.currency
    if not name and study.has("orders", "currency"):
        found = study.fetch(study.table("orders").select("currency").distinct())["currency"].dropna()
        if len(found) > 1:
            raise CxValueError(
                f"Orders are in {', '.join(sorted(found))}: convert them to one currency first."
            )
        name = str(found.iloc[0]) if len(found) else ""
    return Unit(name, 10.0 ** EXPONENTS.get(name, 2))
