"""Locks, environment.yml and pyproject.toml say the same, and nothing names a package host."""

from __future__ import annotations

import ast
import importlib.metadata
import re
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

from tests.environment import ROOT, environment, pins

LOCKS = [
    ROOT / "requirements.lock",
    ROOT / "requirements-spark.lock",
    ROOT / "benchmarks" / "requirements.lock",
]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

OPTIONAL = {"pyspark"}  # installed apart, from requirements-spark.lock
LOCAL = {"cxlib", "tests"} | {path.stem for path in (ROOT / "tests").rglob("*.py")}


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def declared() -> set[str]:
    lines = [
        *PROJECT["dependencies"],
        *(r for extra in PROJECT["optional-dependencies"].values() for r in extra),
    ]
    return {canonical(re.split(r"[^A-Za-z0-9._-]", line)[0]) for line in lines}


def imports(folder: Path) -> dict[str, str]:
    """Top-level module imported anywhere in a folder (also inside functions) -> a file that imports it."""
    found: dict[str, str] = {}
    for path in sorted(folder.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                modules = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                modules = [node.module]
            else:
                continue
            for module in modules:
                found.setdefault(module.split(".")[0], str(path.relative_to(ROOT)))
    return found


@pytest.mark.parametrize("lock", LOCKS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_locked_package_is_pinned_with_hashes_and_no_address(lock: Path) -> None:
    text = lock.read_text()
    assert "://" not in text
    assert not re.search(r"^\s*(--index|--extra-index|--find-links|-i |-f |-e )", text, flags=re.MULTILINE)
    for requirement, hashes in pins(text).items():
        assert re.match(r"^[a-z0-9._-]+==[0-9][^ ]*( ;.*)?$", requirement), requirement
        assert hashes, requirement
        assert all(re.fullmatch(r"sha256:[0-9a-f]{64}", value) for value in hashes), requirement


def test_environment_yml_is_the_lock_without_hashes() -> None:
    """Run `make lock` when this fails."""
    assert (ROOT / "environment.yml").read_text() == environment((ROOT / "requirements.lock").read_text())


def test_environment_yml_is_yaml_that_conda_understands() -> None:
    content = yaml.safe_load((ROOT / "environment.yml").read_text())
    python, pip, section = content["dependencies"]
    assert python == "python=3.11"
    assert pip == "pip"
    locked = pins((ROOT / "requirements.lock").read_text())
    assert section["pip"] == [*locked, "-e ."]
    assert not any("--hash" in line for line in section["pip"])


def test_the_lock_holds_every_requirement_that_pyproject_declares() -> None:
    locked = {canonical(line.split("==")[0]) for line in pins((ROOT / "requirements.lock").read_text())}
    assert declared() - locked == set()


def test_the_environment_that_runs_this_has_the_locked_versions() -> None:
    locked: dict[str, set[str]] = {}
    for line in pins((ROOT / "requirements.lock").read_text()):
        name, version = line.split(" ;")[0].split("==")
        locked.setdefault(canonical(name), set()).add(version)
    installed = {canonical(d.metadata["Name"]): d.version for d in importlib.metadata.distributions()}
    differing = {n: installed[n] for n in locked.keys() & installed.keys() if installed[n] not in locked[n]}
    assert differing == {}


@pytest.mark.parametrize("folder", ["cxlib", "tests"])
def test_every_direct_import_is_declared(folder: str) -> None:
    """A package that comes in only through another one is gone with that one's next release."""
    distributions = importlib.metadata.packages_distributions()
    allowed = declared() | OPTIONAL
    undeclared = {
        module: path
        for module, path in imports(ROOT / folder).items()
        if module not in sys.stdlib_module_names | LOCAL
        and not {canonical(name) for name in distributions.get(module, [module])} & allowed
    }
    assert undeclared == {}


@pytest.mark.parametrize(
    "name", ["Makefile", "pyproject.toml", "environment.yml", ".ci/run", "tests/conftest.py"]
)
def test_what_builds_the_environment_names_no_address(name: str) -> None:
    """Packages come from wherever this machine's own pip and conda are set to look."""
    assert "://" not in (ROOT / name).read_text()
