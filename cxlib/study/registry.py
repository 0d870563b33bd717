"""Public data sets by name: which files, from where, under which licence; fetched once, checked always.

`data/registry.tsv` pins every file's size, checksum and address; a data set is a folder of that list.
Nothing is downloaded unless it is asked for by name. `CXLIB_DATA_MIRROR` names a folder that holds the
files already (`olist/olist_orders_dataset.csv`, ...): then nothing is downloaded at all.

>>> "olist" in names()
True
>>> files("hillstrom")[0].file
'hillstrom.csv'
"""

from __future__ import annotations

import os
import textwrap
from dataclasses import dataclass
from pathlib import Path

import platformdirs

from cxlib.errors import DataUnavailable, did_you_mean
from cxlib.study.fingerprints import sha256_of

REGISTRY = Path(__file__).resolve().parents[2] / "data" / "registry.tsv"
TIMEOUT = 30.0  # seconds without an answer
COLUMNS = ["name", "bytes", "sha256", "address", "licence"]


@dataclass(frozen=True)
class DataFile:
    """One line of the registry."""

    name: str
    """Data set and file, `olist/olist_orders_dataset.csv`."""
    bytes: int
    sha256: str
    address: str
    licence: str

    @property
    def dataset(self) -> str:
        """The data set it belongs to: the part before the slash."""
        return self.name.split("/")[0]

    @property
    def file(self) -> str:
        """The file's own name: the part after the slash."""
        return self.name.split("/", 1)[1]


def names() -> list[str]:
    """The data sets there are, sorted."""
    return sorted({entry.dataset for entry in _registry()})


def files(name: str) -> tuple[DataFile, ...]:
    """The files of a data set; raises `DataUnavailable` that lists the data sets there are.

    >>> sum(file.bytes for file in files("cdnow"))
    2178827
    """
    found = tuple(entry for entry in _registry() if entry.dataset == name)
    if not found:
        known = names()
        hint = did_you_mean(name, known)
        raise DataUnavailable(f"no public data set `{name}`; there are: {', '.join(known)}.{hint}")
    return found


def where() -> Path:
    """The folder that downloads are kept in: `CXLIB_CACHE`, else this user's cache folder."""
    return Path(os.environ.get("CXLIB_CACHE") or platformdirs.user_cache_dir("cxlib"))


def fetch(name: str, progress: bool = False) -> dict[str, Path]:
    """File name -> checked path of every file of a data set; downloads what is not there yet.

    With `CXLIB_DATA_MIRROR` set, files come from that folder only. Raises `DataUnavailable`, which says
    what to do, for a wrong checksum, a missing file or no network; a file that fails is not kept.
    `progress` shows a bar a file.
    """
    mirror = os.environ.get("CXLIB_DATA_MIRROR")
    if mirror:
        return {entry.file: _from_mirror(entry, Path(mirror)) for entry in files(name)}
    return {entry.file: _download(entry, progress) for entry in files(name)}


def _registry() -> list[DataFile]:
    try:
        head, *lines = REGISTRY.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise DataUnavailable(
            f"the list of public data sets, {REGISTRY}, cannot be read ({error.strerror}). "
            "Work from a clone of the project: it holds the folder `data`."
        ) from error
    if head.split("\t") != COLUMNS:
        raise DataUnavailable(f"{REGISTRY} must have the columns {', '.join(COLUMNS)}, not {head!r}.")
    rows = [line.split("\t") for line in lines if line]
    return [DataFile(row[0], int(row[1]), *row[2:]) for row in rows]


def _from_mirror(entry: DataFile, mirror: Path) -> Path:
    path = mirror / entry.name
    if not path.is_file():
        raise DataUnavailable(
            f"{entry.name} is not in the mirror {mirror} (CXLIB_DATA_MIRROR). "
            f"{_by_hand(entry, path)}, or unset CXLIB_DATA_MIRROR to download it."
        )
    _check(entry, path, f"{_by_hand(entry, path)}.")
    return path


def _download(entry: DataFile, progress: bool) -> Path:
    path = where() / entry.name
    if path.is_file() and sha256_of(path) == entry.sha256:
        return path
    import pooch  # only where something is downloaded: it brings a progress bar that warns in notebooks

    # Beside its place, then renamed: nobody ever sees half a file, nor one that failed its check.
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    get = pooch.HTTPDownloader(progressbar=progress, timeout=TIMEOUT)
    by_hand = _by_hand(entry, path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        get(entry.address, str(part), None)
        _check(entry, part, f"The source has changed, or the download broke off: try again. {by_hand}.")
        part.replace(path)
    except OSError as error:  # requests' own errors are OSErrors too
        reason = textwrap.shorten(f"{type(error).__name__}: {error}", 120, placeholder=" ...")
        raise DataUnavailable(
            f"{entry.name} could not be downloaded from {entry.address} ({reason}). "
            f"Check the network and try again. {by_hand}."
        ) from error
    finally:
        if part.exists():
            part.unlink()
    return path


def _check(entry: DataFile, path: Path, advice: str) -> None:
    size, sha256 = path.stat().st_size, sha256_of(path)
    if sha256 != entry.sha256:
        raise DataUnavailable(
            f"{entry.name} is not the file the registry names: expected sha256 {entry.sha256} "
            f"({entry.bytes:,} bytes), found {sha256} ({size:,} bytes). {advice}"
        )


def _by_hand(entry: DataFile, path: Path) -> str:
    return f"By hand: download {entry.address} and save it as {path}"
