"""What customers say when they are asked: who is asked, what they would answer, and who replies."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import expit, ndtr

from cxlib.world import company as c
from cxlib.world import programme
from cxlib.world.company import Array, Ints
from cxlib.world.draw import UNRESOLVED, Log, frictions
from cxlib.world.people import People, pick


def answer_probabilities(mean: Array, question: str) -> Array:
    """Probability of each answer, lowest first: (n, answers), for satisfaction `mean` (n,)."""
    cuts = ndtr(np.array(c.CUTS[question]) - np.asarray(mean)[:, None])
    return np.diff(cuts, axis=1, prepend=0.0, append=1.0)


def reply_probability(answer: Ints | Array, question: str, shift: Array) -> Array:
    """Chance that somebody asked sends the questionnaire back, by the first answer (0 = worst)."""
    place = np.asarray(answer) / len(c.CUTS[question])
    constant, linear, quadratic = c.ANSWER_ODDS
    return expit(constant + linear * place + quadratic * place**2 + shift)


def visit_mood(log: Log) -> Array:
    """Shift of satisfaction at each event by the frictions and unresolved contacts met so far in its visit."""
    met = frictions(log.touchpoint, log.load_ms, log.outcome) @ np.array([f.mood for f in c.FRICTIONS])
    total = np.append(0.0, (met + programme.UNRESOLVED_MOOD * (log.outcome == UNRESOLVED)).cumsum())
    first = np.maximum.accumulate(np.where(log.starts, np.arange(len(log.at)), 0))
    return np.maximum(total[1:] - total[first], -2.0)


@dataclass(frozen=True)
class Answers:
    """One row a question answered; the rows of one questionnaire share `event`."""

    event: Ints  # row of the log: the last touchpoint of the visit
    question: Ints  # code of QUESTIONS
    answer: Ints  # 0 = worst
    comment: npt.NDArray[np.bool_]  # whether the row carries a comment


def satisfaction(firm: c.Company, kind: Ints, log: Log, event: Ints) -> Array:
    """Mean of the satisfaction behind an answer: kind, touchpoint and the visit's frictions."""
    at_touchpoint = np.array([t.mood for t in c.TOUCHPOINTS])[log.touchpoint[event]]
    return firm.mood[kind] + at_touchpoint + visit_mood(log)[event]


def surveys(firm: c.Company, who: People, log: Log, everybody: bool, rng: np.random.Generator) -> Answers:
    """Draw who is asked, what they would answer, and who replies (`everybody`: all)."""
    ask = np.array([c.ASK.get(name, (0.0, ""))[0] for name in c.NAMES])
    first_question = np.array([c.QUESTIONS.index(c.ASK.get(name, (0, "nps"))[1]) for name in c.NAMES])
    ends = np.flatnonzero(log.last) if len(log.at) else np.zeros(0, np.int64)
    event = ends[rng.random(len(ends)) < ask[log.touchpoint[ends]]]
    kind = who.kind[log.person[event]]
    mean = satisfaction(firm, kind, log, event)
    question = first_question[log.touchpoint[event]]
    answer, reply = np.zeros(len(event), np.int64), np.ones(len(event))
    for code, name in enumerate(c.QUESTIONS[:3]):
        q = question == code
        answer[q] = pick(rng, answer_probabilities(mean[q], name))
        reply[q] = reply_probability(answer[q], name, firm.replies[kind[q]])
    back = rng.random(len(event)) < (1.0 if everybody else reply)
    comment = rng.random(len(event)) < c.COMMENTS
    items = rng.random((len(event), len(c.DIMENSIONS))).argsort(1)[:, : c.ITEMS_ASKED]
    parts = [(event[back], question[back], answer[back], comment[back])]
    for column in items.T:
        code = 3 + column
        given = np.zeros(len(event), np.int64)
        for d, name in enumerate(c.DIMENSIONS):
            q = column == d
            given[q] = pick(rng, answer_probabilities(mean[q] + c.ITEM_SHIFT[name], name))
        parts.append((event[back], code[back], given[back], np.zeros(int(back.sum()), bool)))
    columns: list[Any] = [np.concatenate(values) for values in zip(*parts, strict=True)]
    order = np.argsort(columns[0], kind="stable")
    return Answers(*(column[order] for column in columns))
