"""The contract: the tables of a study, their columns, what they mean, and how they are checked.

A study needs at least one of these tables; every method says which it needs. Columns beyond the
contract are kept and carried. `findings` compiles the whole check of a table to one aggregate query.

>>> [table.name for table in TABLES.values()][:3]
['touchpoints', 'catalog', 'customers']
>>> TABLES["catalog"].column("stage").allowed
('awareness', 'engagement', 'transaction', 'retention')
"""

from cxlib.contract.checks import findings
from cxlib.contract.conversion import EXPONENTS, complete, half_even, scaled, typed
from cxlib.contract.finding import Finding, Findings
from cxlib.contract.settings import CURRENCY, Settings
from cxlib.contract.tables import (
    EARLIEST,
    KINDS,
    MOST_TOUCHPOINTS,
    RESERVED,
    SAYS,
    STAGES,
    TABLES,
    Column,
    Table,
)

__all__ = [
    "CURRENCY",
    "EARLIEST",
    "EXPONENTS",
    "KINDS",
    "MOST_TOUCHPOINTS",
    "RESERVED",
    "SAYS",
    "STAGES",
    "TABLES",
    "Column",
    "Finding",
    "Findings",
    "Settings",
    "Table",
    "complete",
    "findings",
    "half_even",
    "scaled",
    "typed",
]
