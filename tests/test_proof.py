"""The proofs on a few worlds: fails only where a whole band is ruled out at .001."""

from __future__ import annotations

import proof
import pytest

from tests import harness


@pytest.mark.slow
@pytest.mark.parametrize("one", proof.PROOFS, ids=lambda one: one.name)
def test_no_band_is_ruled_out_on_a_few_worlds(one):
    bar = harness.coverage(one.draw, one.few, proof.base())
    assert set(one.bands) <= set(bar.table()["result"])
    table = proof.verdicts(one, bar)
    assert not (table["verdict"] == "rejected").any(), table.to_string()


def test_the_page_says_what_was_found_and_loads_nothing():
    one = proof.proof("folds")
    bar = harness.coverage(one.draw, 5, proof.base())
    page = proof.page([(one, bar)])
    assert "5 worlds" in page
    assert "92-97 %" in page
    assert "default-src 'none'" in page
    assert "http" not in page.replace("http-equiv", "")


def test_kept_worlds_are_named_after_the_code_that_drew_them():
    names = [one.store().name for one in proof.PROOFS]
    assert len(set(names)) == len(names)
    assert all(name.startswith(one.name + "-") for name, one in zip(names, proof.PROOFS, strict=True))


def test_a_run_goes_on_where_it_stopped(tmp_path, monkeypatch):
    monkeypatch.setattr(proof, "STORE", tmp_path)
    one = proof.proof("voice")
    said: list[str] = []
    first = proof.run(one, 100, seconds=60, jobs=1, say=said.append)
    again = proof.run(one, 100, seconds=0, jobs=1, say=said.append)
    assert (first.worlds, again.worlds) == (100, 100)
    assert len(list(tmp_path.rglob("*.parquet"))) == 1
    assert first.table().equals(again.table())
