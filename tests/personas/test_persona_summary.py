"""The five lines hold for every verdict."""

from dataclasses import replace
from typing import get_args

import numpy as np
import pandas as pd
import pytest

import cxlib as cx
from cxlib.personas.evidence import Verdict


@pytest.fixture(scope="module")
def personas(base_seed):
    rng = np.random.default_rng(base_seed)
    kind = rng.integers(0, 2, 400)
    answers = np.where(rng.random((3, 400)) < 0.9, kind, 1 - kind)
    columns = {name: np.array(["no", "yes"])[code] for name, code in zip("abc", answers, strict=True)}
    frame = pd.DataFrame({"person": [f"p{i}" for i in range(400)], **columns})
    return cx.personas.fit(cx.personas.features(frame), k=2)


@pytest.mark.parametrize("verdict", get_args(Verdict))
def test_every_verdict_has_its_five_lines_and_says_what_to_do_next(personas, verdict):
    told = replace(personas, found=replace(personas.found, verdict=verdict))
    lines = cx.personas.summary(told).lines
    assert len(lines) == 5
    assert lines[0] == str(told.claim())
    assert lines[-1].startswith("Next: ")
    assert not any("nan" in line or "-\u00a0%" in line for line in lines)


def test_a_persona_of_few_is_in_no_line(personas, monkeypatch):
    monkeypatch.setenv("CXLIB_MINIMUM", "1000")
    lines = cx.personas.summary(personas).lines
    assert not any(label in line for label in personas.labels for line in lines)
