"""Errors are ours, are also what a caller expects, and say what to do."""

from __future__ import annotations

import inspect
import pickle

import pytest

from cxlib import errors
from cxlib.errors import (
    ContractViolations,
    CxError,
    CxLookupError,
    CxValueError,
    DataUnavailable,
    MissingTable,
    UnknownStudy,
    did_you_mean,
)

ALL = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, Exception)]


def test_every_error_has_one_root() -> None:
    assert CxError in ALL
    assert all(issubclass(kind, CxError) for kind in ALL)


@pytest.mark.parametrize("kind", [CxValueError, ContractViolations])
def test_bad_input_is_a_value_error(kind: type[CxError]) -> None:
    assert issubclass(kind, ValueError)


@pytest.mark.parametrize("kind", [CxLookupError, MissingTable, UnknownStudy, DataUnavailable])
def test_what_is_not_there_is_a_lookup_error(kind: type[CxError]) -> None:
    assert issubclass(kind, LookupError)


@pytest.mark.parametrize("kind", [CxError, CxValueError, CxLookupError, UnknownStudy, DataUnavailable])
def test_a_message_is_shown_as_written(kind: type[CxError]) -> None:
    assert str(kind("It is `so`.\nAnd so.")) == "It is `so`.\nAnd so."
    assert str(kind()) == ""


def test_a_missing_table_says_who_needs_it_what_there_is_and_what_to_do() -> None:
    error = MissingTable("surveys", needed_by="nps", has=["orders", "catalog"])
    assert error.table == "surveys"
    assert str(error).startswith("nps needs the table `surveys`; this study has: catalog, orders.")
    assert "surveys.csv" in str(error)
    assert "no tables" in str(MissingTable("surveys", "nps", []))


def test_contract_violations_carry_what_was_found() -> None:
    assert ContractViolations("Bad.", ("one", "two")).violations == ("one", "two")


def test_errors_cross_a_process_boundary() -> None:
    for error in (CxValueError("a"), CxLookupError("b"), ContractViolations("c")):
        copy = pickle.loads(pickle.dumps(error))
        assert (type(copy), str(copy)) == (type(error), str(error))


@pytest.mark.parametrize(
    ("name", "hint"),
    [("olits", " Did you mean `olist`?"), ("xyz", ""), ("", ""), ("demo", " Did you mean `demo`?")],
)
def test_a_hint_is_given_only_for_a_near_name(name: str, hint: str) -> None:
    assert did_you_mean(name, ["demo", "olist"]) == hint
    assert did_you_mean(name, []) == ""
