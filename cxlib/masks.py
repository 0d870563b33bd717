"""What names a person inside a text: e-mail addresses, telephone, card and account numbers, handles.

The patterns are written for Python's `re` and for the engines' (RE2: no look-around), so that a comment is
masked at the door by the same rule as a name on its way into a report. A mask errs on the side of hiding:
an order number of nine digits goes too.

>>> masked("Call me on +39 333 123 4567 or write to Anna.Rossi@example.com, order 12")
'Call me on [number] or write to [e-mail], order 12'
>>> masked("(0171) 555 01 234, 00 44 20 7946 0958, (555) 123-4567, 4111 1111 1111 1111")
'[number], [number], [number], [number]'
>>> masked("up +112.5 (110.2 to 114.8) at 2026-03-31 18:30:00")
'up +112.5 (110.2 to 114.8) at 2026-03-31 18:30:00'
>>> masked("from 2026-03-31 to 2026-04-30: 1,234 of 5,678 (21.7 %)")
'from 2026-03-31 to 2026-04-30: 1,234 of 5,678 (21.7 %)'
"""

from __future__ import annotations

import re

# Lengths are bounded (RFC 5321: 64 before the @), as a long text without spaces would take the square of its length.
E_MAIL = r"[^\s@<>,;:\"'()\[\]|`]{1,64}@[^\s@<>,;:\"'()\[\]|`]{1,255}\.[a-zA-Z]{2,}"
HANDLE = r"(^|[\s(.,;:!?\"'])@[a-zA-Z0-9_]{2,}"
NUMBER = "|".join(
    (
        # international; national with a leading nought; North American, and much that is written alike
        r"(\+|\b00) ?[1-9]([ .-]?[0-9]){0,3}[ .-]?(\([0-9]{1,4}\)[ .-]?)?([ ./-]?[0-9]){6,12}\b",
        r"\(?\b0([ ./()-]{0,2}[0-9]){8,12}\b",
        r"\(?\b[2-9][0-9]{2}\)?[ .-]{1,2}[0-9]{3}[ .-][0-9]{4}\b",
        r"\b([0-9]{4}[ -]){3}[0-9]{1,4}\b",  # cards
        r"\b[A-Z]{2}[0-9]{2}( ?[A-Z0-9]{4}){2,7}( ?[A-Z0-9]{1,3})?\b",  # bank accounts
        r"\b[0-9]{9,}\b",
    )
)
RULES = ((E_MAIL, "[e-mail]"), (NUMBER, "[number]"))
"""Pattern -> what stands in its place, in this order; of a comment `HANDLE` too."""

# As the engines read them: a letter of another script is no part of a word, so that digits beside it are seen.
_COMPILED = tuple((re.compile(pattern, re.ASCII), instead) for pattern, instead in RULES)


def masked(text: str) -> str:
    """The text with every e-mail address and every long number of a person's taken out."""
    for pattern, instead in _COMPILED:
        text = pattern.sub(instead, text)
    return text
