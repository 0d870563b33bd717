"""What lies in a folder: the files of each table, its settings, and originals that a reader converts."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import yaml

from cxlib import readers
from cxlib.contract import TABLES, Finding, Settings
from cxlib.errors import CxValueError, did_you_mean
from cxlib.readers import mapping, plain_yaml
from cxlib.study import registry
from cxlib.study.fingerprints import code_digest, digest_of, sha256_of


def sources_of(folder: Path) -> dict[str, list[Path]]:
    """The files of each table present; two forms of one table are refused."""
    found = {}
    for table in TABLES:
        forms = []
        for path in (folder / f"{table}.parquet", folder / f"{table}.csv"):
            if path.is_file():
                forms.append([path])
        if (folder / table).is_dir():
            parts = [p for p in sorted((folder / table).iterdir()) if p.suffix in (".parquet", ".csv")]
            if len({p.suffix for p in parts}) > 1:
                raise CxValueError(f"{table}/ mixes CSV and Parquet parts. Keep one kind.")
            if parts:
                forms.append(parts)
        if len(forms) > 1:
            names = " and ".join(str(paths[0].relative_to(folder)) for paths in forms)
            raise CxValueError(f"The table {table} is there twice: {names}. Keep one.")
        if forms:
            found[table] = forms[0]
    return found


def settings_of(folder: Path) -> Settings:
    """What the folder's study.yaml says of the study, if it has one."""
    values = _stated(folder)
    if isinstance(values, Mapping) and "sources" in values:
        values = {entry: value for entry, value in values.items() if entry not in mapping.ENTRIES}
    return Settings.parse(values, "study.yaml")


def mapping_of(folder: Path) -> mapping.Mapping | None:
    """How the folder's study.yaml has exports converted; None where it names no `sources`."""
    values = _stated(folder)
    return mapping.parse(values) if isinstance(values, Mapping) and "sources" in values else None


def _stated(folder: Path) -> object:
    path = folder / "study.yaml"
    try:
        return plain_yaml.load(path.read_text("utf-8")) or {} if path.exists() else {}
    except CxValueError as error:
        raise CxValueError(f"{path} is not YAML: {error} Write lines such as `currency: EUR`.") from error
    except (OSError, UnicodeDecodeError) as error:
        raise CxValueError(f"{path} cannot be read: {error}. Save it as UTF-8.") from error


def unread(folder: Path) -> list[Finding]:
    """Warnings for files that look like tables of the contract and are not."""
    found = []
    for path in sorted(folder.iterdir()):
        stem = path.name.split(".")[0].lower()
        hint = did_you_mean(stem, TABLES)
        data = path.is_file() and path.suffix.lower() in (".csv", ".parquet", ".tsv", ".gz", ".xlsx", ".json")
        if (
            data
            and hint
            and path.name not in {f"{table}{kind}" for table in TABLES for kind in (".csv", ".parquet")}
        ):
            advice = f"Tables are <table>.csv or <table>.parquet.{hint}"
            found.append(Finding(path.name, "", "this file is not read", 0, advice, blocks=False))
    return found


def original(folder: Path) -> Path | None:
    """Somebody's own copy of a public data set's files, as a folder of contract tables; None of any other."""
    name = readers.recognise(folder)
    if name is None:
        return None
    files = {file: folder / file for file in readers.reader(name).FILES}
    return converted(name, files, [sha256_of(path) for path in files.values()])


def public(name: str) -> Path:
    """A public data set by its name, as a folder of contract tables."""
    files = registry.fetch(name)
    return converted(name, files, [entry.sha256 for entry in registry.files(name)])


def converted(name: str, files: Mapping[str, Path], sums: Sequence[str]) -> Path:
    """Files as a folder of contract tables, converted once into the cache for these check sums and this code."""
    reader = readers.reader(name)
    folder = registry.where() / "studies" / f"{name}-{digest_of(sorted(files), list(sums), code_digest())}"
    if (folder / "study.yaml").exists():
        return folder
    with made_whole(folder) as unfinished:
        for table, frame in reader.read(files).items():
            frame.to_parquet(unfinished / f"{table}.parquet", index=False)
        text = yaml.safe_dump(reader.SETTINGS, allow_unicode=True)
        (unfinished / "study.yaml").write_text(text, "utf-8")
    return folder


@contextmanager
def made_whole(folder: Path) -> Iterator[Path]:
    """An empty folder to write a study to, which becomes `folder` if all went well, and is removed if not."""
    unfinished = folder.with_name(f".{folder.name}-{os.getpid()}")
    shutil.rmtree(unfinished, ignore_errors=True)
    try:
        unfinished.mkdir(parents=True)
        yield unfinished
        if not (folder / "study.yaml").exists():  # unless another process was faster
            shutil.rmtree(folder, ignore_errors=True)
            unfinished.rename(folder)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
