"""Small studies written to folders of their own, with a cache of their own."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq
import pytest

Events = Callable[..., pd.DataFrame]
Folder = Callable[..., Path]


@pytest.fixture
def events() -> Events:
    """Three touchpoints of two customers; columns replaced by keyword, taken away by None."""

    def make(**columns: Any) -> pd.DataFrame:
        base = {
            "event_id": ["a", "b", "c"],
            "customer_id": ["x", "x", "y"],
            "ts": ["2026-01-05T10:00:00", "2026-01-05T10:05:00", "2026-01-06"],
            "touchpoint": ["page", "cart", "page"],
            "channel": ["web", "web", "web"],
            "stage": ["awareness", "engagement", "awareness"],
        }
        return pd.DataFrame({k: v for k, v in (base | columns).items() if v is not None})

    return make


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    """Writes a study: file name to frame, text or bytes; `settings` becomes study.yaml."""

    def write(files: Mapping[str, Any], settings: str = "", name: str = "study") -> Path:
        where = tmp_path / name
        where.mkdir(parents=True, exist_ok=True)
        for file, content in files.items():
            path = where / file
            path.parent.mkdir(exist_ok=True)
            if isinstance(content, pd.DataFrame) and path.suffix == ".parquet":
                content.to_parquet(path, index=False)
            elif isinstance(content, pd.DataFrame):
                content.to_csv(path, index=False)
            elif isinstance(content, str):
                path.write_bytes(content.encode())
            else:
                path.write_bytes(content)
        if settings:
            (where / "study.yaml").write_text(settings, "utf-8")
        return where

    return write


@pytest.fixture(scope="module")
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A cache folder of this file's tests, which look into it or empty it."""
    with pytest.MonkeyPatch.context() as patch:
        where = tmp_path_factory.mktemp("cache")
        patch.setenv("CXLIB_CACHE", str(where))
        yield where


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache folder of this test's own, in which nothing may be half-written when the test ends."""
    where = tmp_path / "cache"
    monkeypatch.setenv("CXLIB_CACHE", str(where))
    return where


@pytest.fixture
def whole(cache: Path) -> Callable[[], None]:
    """Asserts that the cache holds no temporary file and no file that cannot be read."""

    def check() -> None:
        files = [path for path in cache.rglob("*") if path.is_file()]
        assert not [path.name for path in files if path.name.startswith(".")]
        for path in files:
            if path.suffix == ".parquet":
                pq.read_table(path)

    return check
