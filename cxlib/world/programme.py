"""What Alba Home tries on its customers in 2025, and what it costs: all numbers of the second part.

Everything here happens to customers from outside: by a coin (experiments, referral), by their activity
(the card, the tier) or by the waiting line (service failures); never by a trait that nobody records.
A *boost* multiplies a customer's flows into the transaction stage; boosts multiply each other.
"""

from __future__ import annotations

from datetime import date
from typing import NamedTuple

DAY = 86_400
YEAR = 2025


def day(month: int, of_month: int) -> int:
    """Days since the window's start.

    >>> day(3, 1)
    59
    """
    return (date(YEAR, month, of_month) - date(YEAR, 1, 1)).days


class Experiment(NamedTuple):
    """Assigned on its first day to every customer known by then, blind to kind; the control comes first."""

    name: str
    start: int  # day of the window
    days: int  # that effects last
    variants: tuple[str, ...]
    boost: tuple[float, ...] = ()  # by variant; empty: none


EXPERIMENTS: tuple[Experiment, ...] = (
    Experiment("aa_spring", day(3, 1), 60, ("A", "B")),
    Experiment("new_search", day(5, 1), 60, ("control", "new")),
    Experiment("home_page", day(7, 1), 60, ("control", "deals", "quick", "guide")),  # boosts by kind: Kind.home_page
    Experiment("app_nudge", day(8, 15), 120, ("control", "nudge")),
    Experiment("checkout", day(9, 15), 60, ("control", "one_page", "express"), (1.0, 1.35, 1.15)),
    Experiment(
        "email_frequency", day(10, 1), 90, ("0", "1", "2", "4", "6", "8"), (1.0, 1.10, 1.18, 1.24, 1.10, 0.85)
    ),
)  # fmt: skip
EXPERIMENT = {e.name: e for e in EXPERIMENTS}
CLUSTERED = "checkout"  # assigned by area, not by customer
NULL = ("aa_spring", "new_search")  # change nothing at all

# Here rows of the second variant were lost, for the less active more often: log-odds, constant and by log activity.
LOSES_ROWS, LOST_ROWS = "new_search", (-2.05, -1.0)
MET_TWO, MET_LATER_DAYS = 0.015, 14  # home_page: share that met a second variant too, within so many days

# email_frequency: only with consent. E-mails a month by variant, for 3 months; at each the chance to opt out.
OPT_OUT = (0.004, 0.004)  # constant, by e-mails a month
OPTED_OUT_BOOST = 0.95
SEND_HOURS = (4, 5)  # UTC, before anybody is about

# The app's card, linked to the account: from then on the app, the web and the store know each other.
LINKED_BOOST = 1.25
OFFERED = {  # first day of the offer, by region; who takes it does so within these days
    "London": day(3, 15),
    "Lombardy": day(4, 15),
    "Lazio": day(5, 15),
    "Bucharest": day(6, 15),
    "Transylvania": day(7, 15),
}
LINK_ODDS = (-0.6, 1.6)  # log-odds to take it: constant, by log activity
LINK_DAYS = 28
NUDGE_LINKS, NUDGE_DAYS = 0.35, 7  # share of those nudged that link, within these days

# Loyalty tiers (basic, silver, gold): who is in one depends on kind and activity; being in one has effects.
TIER_ODDS = (0.0, 0.7, 1.5)  # weight of the tier: the kind's * activity ** this
TIER_BOOST = (1.0, 1.05, 1.15)
TIER_COST = (0.0, 0.008, 0.02)  # points of margin that its benefits cost

# Leaving for good: drawn at the end of each visit, by kind (Kind.leaves).
REFERRED_LEAVES = 0.7  # customers won by a friend leave at this share of the rate
UNRESOLVED_LEAVES = 0.20  # more, if the visit held a contact that was left unresolved

# Service contacts: minutes in the waiting line (log-normal), and the chance to be left unresolved given them.
QUEUE_MEDIAN = {"chat_agent": 4.0, "call_support": 9.0}
QUEUE_SD = 0.7  # of the log
QUEUE_TIER = (1.0, 0.8, 0.35)
QUEUE_MONTH = (1.4, 1.0, 0.8, 0.8, 0.8, 0.9, 0.9, 0.8, 1.0, 1.1, 1.7, 2.0)
UNRESOLVED_ODDS = (-2.2, 0.11)  # log-odds: constant, by minute
UNRESOLVED_MOOD = -0.9  # shift of satisfaction after the visit, in standard deviations

AREAS_PER_REGION = 24


class Breaks(NamedTuple):
    """How the `broken` world breaks what estimators assume; none of it by default."""

    spill_over: float = 0.0  # checkout: share of the variants' mean effect that reaches control areas too
    nudge_sells: float = 1.0  # boost of the nudge by itself, card or no card
    leaving_fails: float = 0.0  # added to the chance of being left unresolved, for those already leaving
    growth: float = 0.0  # of the boost, a month, in the first region of the roll-out; none in the last
    leave_early: float = (
        0.0  # leaving is not geometric: likelier by this share at the first visits, rarer later
    )
    bursts: float = 0.0  # sd of log pace from one visit to the next: visits are overdispersed
    habit: float = 0.0  # share of visits that begin as the last did: features depend on each other

    def fair(self) -> Breaks:
        """Without what would bias a randomised comparison: the world in which effects are counted."""
        return self._replace(spill_over=0.0, nudge_sells=1.0, leaving_fails=0.0)


BROKEN = Breaks(
    spill_over=0.5, nudge_sells=1.15, leaving_fails=0.6, growth=0.04, leave_early=3.0, bursts=0.8, habit=0.5
)
EARLY_VISITS = 3
