"""What every result shares: a whole table for code, a careful display for people.

A result is a small frozen dataclass. `table()` is complete; what is *shown* hides every row that
rests on fewer than `MINIMUM` customers, because a small cell can point at a person.
"""

from __future__ import annotations

import html
import os
import re
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import pandas as pd

from cxlib.errors import CxValueError
from cxlib.masks import masked

EVERYWHERE = "(all)"
"""The key of the row that stands for all groups together."""

MINIMUM = 10
"""Customers a displayed row must rest on; the environment variable CXLIB_MINIMUM overrides it."""


def minimum() -> int:
    """The number of customers below which a row is not displayed."""
    given = os.environ.get("CXLIB_MINIMUM", str(MINIMUM))
    if not given.isdecimal():
        raise CxValueError(f"CXLIB_MINIMUM is `{given}`; it must be a whole number of customers, such as 10.")
    return int(given)


class Claim(str):
    """One generated sentence about a study: the line a reader takes away from a section.

    >>> Claim("Half of the journeys end in the cart.")
    Half of the journeys end in the cart.
    """

    def __new__(cls, text: object = "") -> Claim:
        """The sentence, without anybody's address or number that a study's names may hold."""
        return super().__new__(cls, masked(str(text)))

    def __repr__(self) -> str:
        return str(self)

    @property
    def first(self) -> Claim:
        """Its first sentence, for where there is no room for what qualifies it.

        >>> Claim("A customer was worth 99 EUR. 2 % of the cost is in no customer's.").first
        A customer was worth 99 EUR.
        """
        return Claim(re.split(r"(?<=\.) (?=[A-Z0-9])", self, maxsplit=1)[0])

    def _repr_markdown_(self) -> str:
        return f"**{_literal(self)}**"


TOO_FEW = Claim("Too few customers to say.")
"""What is said instead of a number that would rest on fewer customers than `minimum()`."""


@dataclass(frozen=True)
class Result:
    """Base of all results: `table()` whole, display with small cells suppressed.

    A subclass says how it is displayed: `SHARES`, the columns that are shares, shown in per cent;
    `ROWS`, how many rows are shown at the most; `WHOLE`, the columns within whose values the rows are
    parts of a whole that is displayed too (see `visible`); and `shown()`, where the display has other
    columns or another order than the table.
    """

    SHARES: ClassVar[tuple[str, ...]] = ()
    ROWS: ClassVar[int] = 20
    WHOLE: ClassVar[tuple[str, ...] | None] = None

    def table(self) -> pd.DataFrame:
        """The result as a frame: keys first, then estimate, low, high, n."""
        raise NotImplementedError

    def claim(self) -> Claim:
        """The sentence this result supports."""
        raise NotImplementedError

    def shown(self) -> pd.DataFrame:
        """The table as it is displayed, before small cells are suppressed."""
        return self.table()

    def visible(self) -> pd.DataFrame:
        """The rows of `table()` that may be shown: what claims and figures speak of."""
        return visible(self.table(), self.WHOLE)

    @property
    def in_percent(self) -> tuple[str, ...]:
        """The columns shown in per cent."""
        return self.SHARES

    def _repr_mimebundle_(self, **kwargs: object) -> dict[str, str]:
        return bundle(self.shown(), self.ROWS, self.in_percent, self.WHOLE)


@dataclass(frozen=True, eq=False)
class Framed(Result):
    """A result whose table is its `frame`, as its class says; nothing is said of what may not be shown.

    A subclass's `told` makes its sentence of the rows that may be shown; it is not asked where there are none,
    nor where the row of all groups together, which comes first, is hidden.
    """

    frame: pd.DataFrame = field(repr=False)

    def table(self) -> pd.DataFrame:
        """The frame, whole."""
        return self.frame

    def told(self, shown: pd.DataFrame) -> str:
        """The sentence, from the rows that may be shown."""
        raise NotImplementedError

    def claim(self) -> Claim:
        """The sentence that the rows which may be shown support, or that they are too few."""
        return TOO_FEW if self.too_few() else Claim(self.told(self.visible()))

    def too_few(self) -> bool:
        """Whether no row may be shown, or not that of all groups together."""
        shown = self.visible()
        whole = len(self.frame) and self.frame.iat[0, 0] == EVERYWHERE
        return shown.empty or bool(whole and shown.iat[0, 0] != EVERYWHERE)


@dataclass(frozen=True)
class Summary:
    """The few lines a decision maker reads, each generated from a result."""

    lines: tuple[str, ...]

    def _repr_markdown_(self) -> str:
        return "\n".join(f"- {_literal(line)}" for line in self.lines)

    def __repr__(self) -> str:
        return "\n".join(masked(line) for line in self.lines)


def _literal(text: str) -> str:
    """Text that Markdown shows as it is: a study's names may hold `*`, `_`, `<` or a backslash."""
    return re.sub(r"([\\*_`\[\]#|~])", r"\\\1", html.escape(masked(text), quote=False))


def bundle(
    table: pd.DataFrame,
    rows: int = 20,
    shares: tuple[str, ...] = (),
    whole: tuple[str, ...] | None = None,
) -> dict[str, str]:
    """What a notebook shows of a table: HTML, text and CSV, all with small cells suppressed."""
    kept = visible(table, whole).drop(columns="folds", errors="ignore")
    text = readable(kept.head(rows), shares).map(lambda cell: "-" if cell is None else str(cell))
    return {
        "text/html": show(table, rows, shares, whole),
        "text/csv": in_csv(kept),
        "text/plain": text.to_string(index=False),
    }


def in_csv(table: pd.DataFrame) -> str:
    """The table as CSV, its texts without anybody's address or number, and none that a spreadsheet would run.

    >>> in_csv(pd.DataFrame({"comment": ["=1+1", "fine"]})).split()
    ['comment', "'=1+1", 'fine']
    """
    return table.map(lambda cell: _harmless(masked(cell)) if isinstance(cell, str) else cell).to_csv(
        index=False
    )


def _harmless(text: str) -> str:
    """A text that would be a formula is quoted, as spreadsheets do it."""
    return f"'{text}" if re.match(r"[=+\-@\t\r](?![\d.,]*$)", text) else text


def visible(table: pd.DataFrame, whole: tuple[str, ...] | None = None) -> pd.DataFrame:
    """The rows that may be shown: those resting on at least `minimum()` customers, or on none.

    A table says what its rows rest on in `customers`, or in `folds`: from how many of the fifty folds of
    customers the row's count comes, which is a lower bound of its customers and costs nothing. `n` and
    `count` must be as large, whatever they count.

    `whole` names the columns within whose values the rows are parts of a whole that is displayed as well
    (no columns: the whole table; None: they are no such parts). If one part alone is hidden it follows
    from the rest, so the smallest of these is hidden with it. A row "(all)" is the whole, and no part.

    >>> spread = pd.DataFrame({"score": [1, 2, 3], "estimate": [.05, .25, .7], "count": [5, 25, 70]})
    >>> visible(spread)["score"].tolist(), visible(spread, ())["score"].tolist()
    ([2, 3], [3])
    """
    least, kept = minimum(), pd.Series(True, index=table.index)
    for name in ("customers", "n", "count"):
        if name in table:
            kept &= (table[name] >= least) | ((table[name] == 0) & (name == "count"))
    if "folds" in table:
        kept &= table["folds"] >= min(least, 50)
    if whole is not None and not kept.all():
        kept &= ~_follows(table, kept, whole)
    return table[kept]


def _follows(table: pd.DataFrame, kept: pd.Series, whole: tuple[str, ...]) -> pd.Series:
    """True for the row to hide beside each that would be the only one hidden of its whole."""
    size = next(table[name] for name in ("count", "customers", "n", "estimate") if name in table)
    parts = table.assign(kept_=kept, size_=size, place_=range(len(table)))[table.iloc[:, 0] != EVERYWHERE]
    follows = np.zeros(len(table), dtype=bool)
    for _, group in parts.groupby(list(whole), dropna=False) if whole else [(None, parts)]:
        beside = group[group["kept_"] & (group["size_"] > 0)]
        if (~group["kept_"]).sum() == 1 and len(beside):
            follows[beside.nsmallest(1, "size_")["place_"]] = True
    return pd.Series(follows, index=table.index)


def show(
    table: pd.DataFrame,
    rows: int = 20,
    shares: tuple[str, ...] = (),
    whole: tuple[str, ...] | None = None,
) -> str:
    """HTML of a result's table: at most `rows` rows, escaped, small cells suppressed, and said so.

    >>> "script&gt;" in show(pd.DataFrame({"comment": ["<script>"], "n": [50]}))
    True
    """
    kept = visible(table, whole)
    notes = []
    if hidden := len(table) - len(kept):
        rest = "row that rests on fewer" if hidden == 1 else "rows that rest on fewer"
        beside = ", or would give such a row away," if hidden > len(table) - len(visible(table)) else ""
        notes.append(f"{hidden} {rest} than {minimum()}{beside} not shown")
    if len(kept) > rows:
        notes.append(f"the first {rows} of {len(kept)} rows; .table() has them all")
    if table.empty:
        return '<p class="table-note">Nothing to show.</p>'
    shown = readable(kept.head(rows).drop(columns="folds", errors="ignore"), shares)
    numeric = {name: name not in table or _measured(table[name]) for name in shown}
    body = "".join(
        "<tr>"
        + "".join(_cell(cell, numeric[name]) for name, cell in zip(shown, record, strict=True))
        + "</tr>"
        for record in shown.itertuples(index=False, name=None)
    )
    head = "".join(
        f'<th scope="col"{NUMBER if numeric[name] else TEXT}>{html.escape(nice(name))}</th>' for name in shown
    )
    note = f'<p class="table-note">{"; ".join(notes).capitalize()}.</p>' if notes else ""
    return f'<table class="result"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{note}'


def _measured(column: pd.Series) -> bool:
    """Numbers and times are set right and never broken over lines."""
    return pd.api.types.is_numeric_dtype(column) or pd.api.types.is_datetime64_any_dtype(column)


NUMBER = ' class="number"'
TEXT = ' style="text-align: left"'  # JupyterLab sets every cell right


def readable(table: pd.DataFrame, shares: tuple[str, ...] = ()) -> pd.DataFrame:
    """The table as people read it: numbers rounded, low and high as one interval beside their estimate.

    >>> frame = pd.DataFrame({"step": [1], "estimate": [0.5], "low": [0.41], "high": [0.59], "n": [1200]})
    >>> readable(frame, shares=("estimate", "low", "high")).iloc[0].tolist()
    ['1', '50.0\xa0%', '41.0 to 59.0\xa0%', '1,200']
    """
    shown: dict[str, list[str | None]] = {}
    for name in table:
        if str(name) in ("low", "high") or str(name).endswith(("_low", "_high")):
            continue
        shown[name] = [_said(value, name in shares) for value in table[name]]
        stem = "" if name == "estimate" else f"{str(name).removesuffix('_effect')}_"
        if (
            f"{stem}low" in table
            and f"{stem}high" in table
            and _uncertain(table, name, f"{stem}low", f"{stem}high")
        ):
            ends = zip(table[f"{stem}low"], table[f"{stem}high"], strict=True)
            title = "interval" if not stem else f"{stem}interval"
            shown[title] = [_interval(low, high, name in shares) for low, high in ends]
    return pd.DataFrame(shown, index=table.index, dtype=object)


def _uncertain(table: pd.DataFrame, estimate: str, low: str, high: str) -> bool:
    """False for what was counted in full: its ends are the number itself."""
    return not ((table[low] == table[estimate]) & (table[high] == table[estimate])).all()


def _interval(low: float, high: float, share: bool) -> str | None:
    if not (np.isfinite(low) and np.isfinite(high)):
        return None
    if share:
        return f"{100 * low:.1f} to {percent(high)}"
    return f"{number(low)} to {number(high)}"


def _said(value: object, share: bool = False) -> str | None:
    if value is None or value is pd.NaT or value is pd.NA or (isinstance(value, float) and np.isnan(value)):
        return None
    if isinstance(value, (bool, np.bool_)):
        return "yes" if value else "no"
    if isinstance(value, (int, np.integer)):
        return f"{value:,}"
    if isinstance(value, (float, np.floating)):
        return percent(float(value)) if share else number(float(value))
    if isinstance(value, pd.Timestamp):
        return value.strftime("%Y-%m-%d")
    return masked(str(value))


def _cell(text: object, numeric: bool) -> str:
    if not isinstance(text, str):
        return '<td class="empty">-</td>'
    return f"<td{NUMBER if numeric else TEXT}>{html.escape(text)}</td>"


def number(value: float) -> str:
    """A number as people read it: three significant digits under 100, thousands separated above.

    >>> number(0.12345), number(31.04), number(12345.6), number(1e-9)
    ('0.123', '31.0', '12,346', '< 0.001')
    """
    if not np.isfinite(value):
        return "-"
    size = abs(value)
    if size >= 100 or value == 0:
        return f"{value:,.0f}"
    if size < 0.0005:
        return "< 0.001" if value > 0 else "> -0.001"
    return f"{value:.1f}" if size >= 10 else f"{value:.2f}" if size >= 1 else f"{value:.3f}"


def percent(value: float) -> str:
    """A share as people read it.

    The space before the sign does not break.

    >>> percent(0.0794)
    '7.9\xa0%'
    """
    return "-" if not np.isfinite(value) else f"{100 * value:.1f}\u00a0%"


def nice(name: object) -> str:
    """A name for people: `web_product_page` becomes `web product page`; no address or number of anybody's.

    >>> nice("mail_to_anna@example.com")
    '[e-mail]'
    """
    return masked(str(name)).replace("_", " ")
