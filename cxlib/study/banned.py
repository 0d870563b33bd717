"""Ids that stand for nobody: what software writes where it knows no id."""

from __future__ import annotations

from typing import Any

BANNED = (
    "null", "(null)", "none", "(none)", "nil", "nan", "n/a", "#n/a", "na", "undefined", "not set", "(not set)",
    "unknown", "(unknown)", "unassigned", "pending", "missing", "empty", "blank", "default", "temp", "test",
    "anonymous", "anon", "guest", "-1", "-", "?", "true", "false", "[object object]",
)  # fmt: skip
"""Compared without case and outer blanks; noughts alone ("0", an all-zero UUID) are a rule of their own."""


def banned(identifier: Any) -> Any:
    """True of an id that is in `BANNED`, or made of noughts and hyphens; of an empty one, false.

    The rule and half of the list are what AWS HealthLake skips as placeholders when it matches records;
    the rest is what scripts and spreadsheets write for "nothing". For an Ibis column.
    """
    text = identifier.strip().lower()
    return (text.isin(BANNED) | text.re_search("^-*0[0-]*$")).fill_null(False)
