"""The mixture's likelihood against StepMix's (Morin et al. 2025, Journal of Statistical Software 113)."""

from dataclasses import replace

import numpy as np
import pytest
from stepmix.stepmix import StepMix

from cxlib.customers.blocks import Answers, Measures
from cxlib.personas.mixture import Mixture, mixture, shared

KINDS, LEVELS, N = 3, 4, 2000
SHAPES = {"answers": (4, 0), "numbers": (0, 3), "both": (3, 2)}


def world(seed, shape, missing):
    """Codes (persons, answers) and numbers (persons, numbers) of planted kinds; NaN where missing."""
    answers, numbers = shape
    rng = np.random.default_rng(seed)
    kind = rng.choice(KINDS, N, p=[0.5, 0.3, 0.2])
    chance = (
        0.1 + 0.6 * np.eye(LEVELS)[:KINDS]
    )  # each kind has its own favourite answer, seven times as likely
    code = (rng.random((N, answers, 1)) > chance[kind].cumsum(axis=1)[:, None, :-1]).sum(axis=2)
    value = rng.normal(2.0 * kind[:, None], 1.0 + 0.2 * kind[:, None], (N, numbers))
    table = np.column_stack([code, value]).astype(float)
    table[rng.random(table.shape) < (0.15 if missing else 0.0)] = np.nan
    return table[:, :answers], table[:, answers:]


def both(seed, shape, missing):
    """The same data as our blocks and fitted by StepMix: blocks, its model, its table."""
    codes, values = world(seed, shape, missing)
    names = tuple("abcd")
    blocks = [
        Answers(f"q{i}", "", names, np.nan_to_num(c, nan=-1).astype(int)) for i, c in enumerate(codes.T)
    ]
    blocks += [Measures(f"x{i}", "", column) for i, column in enumerate(values.T)]
    kinds = {"answers": ("categorical", codes), "numbers": ("gaussian_diag", values)}
    measurement = {
        name: {"model": model + "_nan" * missing, "n_columns": part.shape[1]}
        for name, (model, part) in kinds.items()
        if part.shape[1]
    }
    model = StepMix(
        KINDS, measurement=measurement, n_init=5, max_iter=2000, abs_tol=1e-9, random_state=0, verbose=0, progress_bar=0
    )  # fmt: skip
    table = np.column_stack([codes, values])
    return blocks, model.fit(table), table


def ours_at(theirs, blocks):
    """Our mixture at StepMix's parameters."""
    found = theirs.get_parameters()
    params = []
    if "answers" in found["measurement"]:
        pis = found["measurement"]["answers"]["pis"].reshape(KINDS, -1, LEVELS)
        params += [(pis[:, i],) for i in range(pis.shape[1])]
    if "numbers" in found["measurement"]:
        numbers = found["measurement"]["numbers"]
        pairs = np.stack([numbers["means"], numbers["covariances"]], axis=2)
        params += [(pairs[:, i], np.zeros(1)) for i in range(pairs.shape[1])]
    return Mixture(found["weights"], tuple(params), 0.0, N, 0)


@pytest.mark.parametrize("missing", [False, True])
@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_the_likelihood_and_the_maximum_are_stepmixs(base_seed, capfd, shape, missing):
    blocks, theirs, table = both(base_seed, shape, missing)
    total, posterior = shared(ours_at(theirs, blocks).joint(blocks))
    assert total.mean() == pytest.approx(theirs.score(table), abs=1e-6)
    assert np.abs(posterior - theirs.predict_proba(table)).max() < 1e-6
    fitted = mixture(blocks, KINDS, seed=0)
    assert fitted.log_likelihood / N == pytest.approx(theirs.score(table), abs=1e-3)
    assert capfd.readouterr().out == ""


def test_the_bic_differs_from_stepmixs_by_the_parameters_of_one_kind(base_seed):
    """Ours counts what a further kind costs; theirs counts all: one kind's 4 answers of 4 levels are 12 more."""
    blocks, theirs, table = both(base_seed, SHAPES["answers"], missing=False)
    at = replace(mixture(blocks, KINDS, seed=0), log_likelihood=theirs.score(table) * N)
    assert at.bic == pytest.approx(theirs.bic(table) - 12 * np.log(N), abs=1e-3)
