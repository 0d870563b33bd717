"""Journey maps: what one persona's way through the four stages looks like, as numbers.

A map is a first template of a journey: where these customers are met, what they meet there and in which
order, how it feels, where they are lost and what hurts. Every line is a share or a mean of counts on the
log, with an interval; lines whose table or column the study lacks are left out.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from cxlib.contract import STAGES
from cxlib.errors import require
from cxlib.journeys.map_lines import Lines
from cxlib.journeys.members import Members
from cxlib.journeys.pain_points import PainPoints, pain_points
from cxlib.results import EVERYWHERE, TOO_FEW, Claim, Framed, in_csv, minimum, nice, percent, visible
from cxlib.study.log import GAP

if TYPE_CHECKING:
    from cxlib.study import Study

MEASURES = {
    "met": "customers met",
    "touchpoint": "share of contacts",
    "feeling": "feeling, 0 to 100",
    "never_later": "never come further",
    "visits_end": "visits that end here",
    "pain": "where it hurts",
    "ownership": "whose the contacts are",
    "mode": "who does the work",
}


@dataclass(frozen=True, eq=False)
class JourneyMap(Framed):
    """One journey map a persona, and one of everybody.

    `frame`: persona, stage, measure, name, estimate, low, high, n, customers (the row rests on), first_step,
    one row a line of a map. By `measure`:

    met : share of the persona's customers (n) with a contact in the stage
    touchpoint : share of the stage's contacts (n) at touchpoint `name`, ordered by `first_step`, the median
        event of the customer at which it is first met
    feeling : mean answer to `question` about the stage, from 0 (worst) to 100, on n answers
    never_later : share of the customers met (n) who have no contact in a later stage after their first in it
    visits_end : share of the visits that come to the stage (n) whose last contact is in it
    pain : excess of visits that end after touchpoint and condition `name` (see `pain_points`)
    ownership, mode : share of the stage's contacts (n) by the catalog's `name`

    `personas`: everybody first; `channels`: of the touchpoints that have one only; `unlike`: for each persona, the share of contacts that lie elsewhere than
    everybody's; `left_out`: customers without a membership, who are in no map.
    """

    pains: PainPoints = field(repr=False)
    personas: tuple[str, ...]
    channels: Mapping[str, str]
    question: str = ""
    unlike: tuple[float, ...] = ()
    left_out: int = 0

    @property
    def stages(self) -> tuple[str, ...]:
        """The stages that occur, in the order of a journey."""
        return tuple(stage for stage in STAGES if stage in set(self.frame["stage"]))

    @property
    def most_unlike(self) -> str:
        """The persona whose contacts are least like everybody's; everybody, where there are no personas."""
        return self.personas[-1 - int(np.argmax(self.unlike[::-1]))]

    def of(self, *personas: str) -> JourneyMap:
        """The maps of these personas only; CxLookupError lists those there are."""
        for persona in personas:
            require(persona, self.personas, f"No map is of `{persona}`")
        kept = self.frame[self.frame["persona"].isin(personas)].reset_index(drop=True)
        pains = PainPoints(self.pains.frame[self.pains.frame["persona"].isin(personas)])
        unlike = tuple(d for p, d in zip(self.personas, self.unlike, strict=True) if p in personas)
        names = tuple(p for p in self.personas if p in personas)
        return replace(self, frame=kept, pains=pains, personas=names, unlike=unlike)

    def rows(self, persona: str, measure: str) -> pd.DataFrame:
        """The rows of one persona and measure that may be shown."""
        seen = self._seen
        return seen[(seen["persona"] == persona) & (seen["measure"] == measure)]

    def visible(self) -> pd.DataFrame:
        """The rows that may be shown; none that follows from the others of its stage, or of the personas."""
        return self._seen

    @cached_property
    def _seen(self) -> pd.DataFrame:
        by_persona = visible(self.frame, ("stage", "measure", "name"))
        by_name = visible(
            self.frame[["name", *self.frame.columns.drop("name")]], ("persona", "stage", "measure")
        )
        return by_persona.loc[by_persona.index.intersection(by_name.index)]

    def claim(self) -> Claim:
        """Where a persona is met clearly more or less often than everybody; else where most are lost."""
        met = self._seen[self._seen["measure"] == "met"]
        both = met.merge(met[met["persona"] == EVERYWHERE], on="stage", suffixes=("", "_all"))
        both = both[(both["low"] > both["high_all"]) | (both["high"] < both["low_all"])]
        if len(both):
            top = both.loc[(both["estimate"] - both["estimate_all"]).abs().idxmax()]
            return Claim(
                f"Journeys differ by persona, most at {top['stage']}: {percent(top['estimate_all'])} of all customers "
                f"are met there, but {percent(top['estimate'])} ({percent(top['low'])} to {percent(top['high'])}) "
                f'of the persona "{nice(top["persona"])}".'
            )
        lost = self.rows(EVERYWHERE, "never_later")
        if lost.empty:
            return TOO_FEW
        top = lost.loc[lost["estimate"].idxmax()]
        alike = (
            "No persona is met clearly more or less often at any stage. " if len(self.personas) > 2 else ""
        )
        return Claim(
            f"{alike}Most are lost at {top['stage']}: {percent(top['estimate'])} of the {top['n']:,} customers "
            f"met there never come further ({percent(top['low'])} to {percent(top['high'])})."
        )

    def _repr_mimebundle_(self, **kwargs: object) -> dict[str, str]:
        maps = [(persona, list(self._lines(persona))) for persona in self.personas]
        text = [f"{said(p)}\n" + "\n".join(f"  {h}: {' | '.join(c)}" for h, c in lines) for p, lines in maps]
        return {
            "text/html": _wall(self.stages, maps),
            "text/csv": in_csv(self._seen.round(9)),
            "text/plain": "\n".join(text),
        }

    def _lines(self, persona: str) -> Iterator[tuple[str, list[str]]]:
        """A map as lines of text: what the line is of, and one cell a stage."""
        for measure, heading in MEASURES.items():
            rows = self.rows(persona, measure)
            if len(rows):
                cells = [rows[rows["stage"] == stage] for stage in self.stages]
                yield (
                    heading,
                    ["; ".join(_said(measure, row) for _, row in c.iterrows()) or "-" for c in cells],
                )


def said(persona: str) -> str:
    """A persona's name for people.

    >>> said("(all)"), said("deal_seeker")
    ('everybody', 'deal seeker')
    """
    return "everybody" if persona == EVERYWHERE else nice(persona)


def _said(measure: str, row: Any) -> str:
    ends = f"({100 * row['low']:.0f} to {100 * row['high']:.0f})"
    if measure == "pain":
        return f"{nice(row['name'])}, {100 * row['estimate']:+.0f} points {ends}"
    if measure == "feeling":
        return f"{row['estimate']:.0f} ({row['low']:.0f} to {row['high']:.0f})"
    if measure in ("met", "never_later", "visits_end"):
        return f"{percent(row['estimate'])} ({100 * row['low']:.1f} to {100 * row['high']:.1f})"
    return f"{nice(row['name'])} {100 * row['estimate']:.0f} %"


def _kept(cell: str) -> str:
    """Text whose intervals and per cent do not break over lines."""
    whole = re.sub(r"\([^()]*\)", lambda found: found[0].replace(" ", "\u00a0"), cell)
    return whole.replace(" %", "\u00a0%")


def _wall(stages: tuple[str, ...], maps: list[tuple[str, list[tuple[str, list[str]]]]]) -> str:
    """The maps as one table: a column a stage, a group of rows a persona."""
    head = "".join(f'<th scope="col">{stage}</th>' for stage in stages)
    body = ""
    for persona, lines in maps:
        body += f'<tr><th scope="rowgroup" colspan="{len(stages) + 1}"><strong>{html.escape(said(persona))}</strong></th></tr>'
        for heading, cells in lines:
            shown = "".join(f"<td>{html.escape(_kept(cell))}</td>" for cell in cells)
            body += f'<tr><th scope="row">{heading}</th>{shown}</tr>'
    note = f'<p class="table-note">Lines that rest on fewer than {minimum()} customers are not shown.</p>'
    return f'<table class="result"><thead><tr><td></td>{head}</tr></thead><tbody>{body}</tbody></table>{note}'


def journey_map(
    study: Study,
    memberships: pd.DataFrame | None = None,
    question: str | None = None,
    from_log: bool = False,
    gap: str = GAP,
) -> JourneyMap:
    """A journey map of everybody and, with `memberships`, of each persona.

    Needs `touchpoints`. Ownership and mode need `catalog`, feeling
    `surveys` whose answers have a stage or a touchpoint, pain points `outcome` or `load_ms`; each is left
    out without. `memberships`: `person` and one probability column a persona; sums are corrected for wrong
    assignment (see `cxlib.stats.bch`). `from_log`: they were learned from the contacts of this very log, as
    `cx.personas` does; counts of contacts are then weighted by the probabilities, which is right there, and
    only feeling and pain points are corrected. `question`: whose answers say how it feels, else csat or nps,
    whichever has more answers. Sums of a persona with few customers may be unknown: NaN.

    >>> import cxlib as cx
    >>> maps = journey_map(cx.open_study("demo"))
    >>> maps.stages
    ('awareness', 'engagement', 'transaction', 'retention')
    >>> maps.rows("(all)", "met")["estimate"].between(0, 1).all()
    np.True_
    """
    log = study.log(gap=gap)
    members = Members.of(study, log, memberships, from_log)
    lines = Lines(study, log, members)
    touchpoints, unlike = lines.touchpoints()
    asked, feeling = lines.feeling(question)
    pains = pain_points(study, memberships, gap)
    frame = pd.concat(
        [*lines.met(), *touchpoints, *feeling, *lines.visits(), _worst(pains)], ignore_index=True
    )
    order = {"persona": members.personas, "stage": STAGES, "measure": tuple(MEASURES)}
    for column, names in order.items():
        frame[column] = pd.Categorical(frame[column], names, ordered=True)
    # Touchpoints as they are first met; pain points, which come sorted, and all other lines as they are.
    frame = frame.sort_values([*order, "first_step"], kind="stable", ignore_index=True)
    frame = frame.astype(dict.fromkeys(order, "str"))
    known = zip(log.names["touchpoint"], log.decode(log.of.get("channel", ()), "channel"), strict=False)
    channels = {touchpoint: channel for touchpoint, channel in known if channel is not None}
    return JourneyMap(frame, pains, members.personas, channels, asked, unlike, members.left_out)


def _worst(pains: PainPoints) -> pd.DataFrame:
    """The pain points of a map: the three worst a stage."""
    top = pains.top()
    name = top["touchpoint"] + ": " + top["condition"]
    columns = ["persona", "stage", "estimate", "low", "high", "n", "customers"]
    return top[columns].assign(measure="pain", name=name)
