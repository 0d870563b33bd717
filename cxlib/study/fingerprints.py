"""What tells one study, one file or one version of the code from another: the keys of every cache."""

from __future__ import annotations

import functools
import hashlib
import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from cxlib.contract import Settings
from cxlib.errors import CxValueError


def fingerprint_of(folder: Path, sources: Mapping[str, Sequence[Path]], settings: Settings | None) -> str:
    """A digest of the study's contents and of settings that differ from its file's: the same wherever the
    folder lies, another if a byte changes."""
    digest = hashlib.blake2b(digest_size=16)
    files = [path for paths in sources.values() for path in paths]
    files += [p for p in (folder / "study.yaml",) if p.exists()]
    for path in files:
        digest.update(str(path.relative_to(folder)).encode())
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "blake2b").digest())
    if settings is not None:
        digest.update(json.dumps(asdict(settings)).encode())
    return digest.hexdigest()


def state_of(path: Path) -> tuple[int, int]:
    """Size and time of the last change of a file: what tells, at no cost, that it is another."""
    now = path.stat()
    return now.st_size, now.st_mtime_ns


def sha256_of(path: Path) -> str:
    """The check sum of a file, as the registry of public data writes it."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def refuse_changed(files: Mapping[Path, tuple[int, int]], cache: Path | None) -> None:
    """CxValueError where a file is not what it was when the study was opened; what was kept is dropped."""
    for path, then in files.items():
        try:
            changed = "" if state_of(path) == then else "has changed"
        except OSError:
            changed = "is gone"
        if changed:
            if cache is not None:
                shutil.rmtree(cache, ignore_errors=True)
            raise CxValueError(f"{path.name} {changed} since the study was opened. Open it again.")


def digest_of(*parts: object) -> str:
    """A short digest of parameters."""
    return hashlib.blake2b(
        json.dumps(parts, sort_keys=True, default=str).encode(), digest_size=10
    ).hexdigest()


@functools.cache
def code_digest() -> str:
    """A digest of the package's own sources, so that no cache outlives the code that filled it."""
    digest = hashlib.blake2b(digest_size=16)
    package = Path(__file__).resolve().parents[1]
    for path in sorted(package.rglob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()
