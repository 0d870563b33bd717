"""Forgetting a person: out of a study's tables and every cache of it, with the proof that nobody is left.

Files are rewritten without the person's rows: all new ones first, then each takes its old one's place. What
a mapping converts cannot be rewritten, for exports are not ours: their persons are listed, by keyed
pseudonym, in the study's file `forgotten`, and left out at every conversion from then on.
"""

from __future__ import annotations

import csv
import io
import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import ibis
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import parquet

from cxlib.contract import Settings
from cxlib.errors import CxLookupError, CxValueError
from cxlib.study import intake, registry
from cxlib.study.engine import ENCODINGS, replacing
from cxlib.study.folders import mapping_of, sources_of
from cxlib.study.opening import unchecked
from cxlib.study.pseudonyms import FORGOTTEN, PSEUDONYM, key_of, pseudonym
from cxlib.study.study import Study

Mine = Callable[[str, str], bool]
"""Whether a value of a column names the person."""

REFERRED = "referred_by"
"""Emptied where it names the person, for the row is somebody else's."""
COLUMNS = ("customer_id", "anonymous_id", "id_value", REFERRED)
UNFINISHED = ".forgetting"
"""Names the ids while files are replaced, so that a run that was killed can be finished."""


@dataclass(frozen=True)
class Forgotten:
    """What was taken out: `ids` of the person, `removed`: rows that named them by table (emptied where they only
    referred somebody), rows `left` (none, or it would have been an error), and `beyond`: what holds the person
    still and is not ours to change."""

    ids: int
    removed: Mapping[str, int]
    left: Mapping[str, int]
    beyond: tuple[str, ...]

    def __str__(self) -> str:
        lines = [f"Known by {self.ids} id{'' if self.ids == 1 else 's'}."]
        lines += [
            f"  {table}: {rows:,} row{'' if rows == 1 else 's'} named them, {self.left[table]} do now"
            for table, rows in self.removed.items()
        ]
        lines.append("Every cache of the study is gone; what is computed from now on is without the person.")
        return "\n".join([*lines, *self.beyond])


def forget(folder: str | Path, person: str) -> Forgotten:
    """Take a person out of the study in a folder; `person` is any id of theirs, as exported or as a pseudonym.

    All rows with a customer_id of theirs go, and all rows of the ids that are linked to nobody else; what an
    id shared with somebody else did without signing in stays, for it may be the other's. Raises
    CxLookupError where nobody is called so, CxValueError where rows are left.
    """
    folder = Path(folder).expanduser()
    if not folder.is_dir():
        raise CxLookupError(f"`{folder}` is no folder. People are forgotten in a study's own folder.")
    study, key, pending = unchecked(folder), key_of(folder), folder / UNFINISHED
    customers, owned, shared = _ids(study, {person.strip(), *([pseudonym(person, key)] if key else [])})
    if pending.exists():
        earlier = json.loads(pending.read_text("utf-8"))
        customers, owned = customers | set(earlier[0]), owned | set(earlier[1])
    if not customers | owned:
        raise CxLookupError(
            f"Nobody in {folder} is called `{person}`. Give a customer_id, an anonymous_id, or what the export "
            "had in their place."
        )
    with replacing(pending) as unfinished:
        unfinished.write_text(json.dumps([sorted(customers), sorted(owned)]), "utf-8")
    ids = {"customer_id": customers, "anonymous_id": owned, "id_value": owned, REFERRED: customers}
    removed = _counts(study, ids)

    def mine(column: str, text: str) -> bool:
        return text != "" and (text in ids[column] or bool(key and pseudonym(text, key) in ids[column]))

    beyond = _listed(folder, customers | owned)
    with ExitStack() as done:
        for paths in sources_of(folder).values():
            for path in paths:
                _rewrite(path, done.enter_context(replacing(path)), mine, study.settings)
    shutil.rmtree(registry.where() / "results", ignore_errors=True)
    left = dict.fromkeys(removed, 0) | _counts(unchecked(folder), ids)
    if any(left.values()):
        raise CxValueError(f"{folder} still holds rows of this person: {left}. Run `cx forget` again.")
    pending.unlink()
    if shared:
        what = "An id" if len(shared) == 1 else f"{len(shared)} ids"
        beyond.append(f"{what} shared with somebody else: what was done there without signing in stays.")
    beyond.append("Reports made before still rest on this person: make them again with `cx report`.")
    return Forgotten(len(customers | owned), removed, left, tuple(beyond))


def _listed(folder: Path, ids: set[str]) -> list[str]:
    """Puts the person on the list that every conversion of the study's exports heeds; says which exports."""
    mapping = mapping_of(folder)
    if mapping is None:
        return []
    key, path = key_of(folder, make=True), folder / FORGOTTEN
    listed = set(path.read_text("utf-8").split()) if path.exists() else set()
    listed |= {name if PSEUDONYM.fullmatch(name) else pseudonym(name, str(key)) for name in ids}
    with replacing(path) as unfinished:
        unfinished.write_text("".join(f"{name}\n" for name in sorted(listed)), "utf-8")
    intake.clear(folder)
    names = ", ".join(source.file for source in mapping.sources)
    return [f"The exports are as they were and hold this person still; delete the rows there too: {names}."]


def _ids(study: Study, names: set[str]) -> tuple[set[str], set[str], set[str]]:
    """Of the person of these names: customer ids, ids linked to nobody else, ids that somebody else has too."""
    customers = {name for name in names if _occurs(study, "customer_id", name)}
    others = {
        name for column in ("anonymous_id", "id_value") for name in names if _occurs(study, column, name)
    }
    links = _links(study)
    for name in others - customers:
        owners = set(links.loc[links["id"] == name, "customer"])
        customers |= owners if len(owners) == 1 else set()
    known = set(links.loc[links["customer"].isin(customers), "id"])
    shared = set(links.loc[links["id"].isin(known) & ~links["customer"].isin(customers), "id"])
    alone = others - set(links["id"])
    return customers, (known | alone) - shared - customers, shared


def _links(study: Study) -> pd.DataFrame:
    """Each id and customer that a row of touchpoints or of identities names together."""
    pairs = []
    if study.has("touchpoints", "customer_id", "anonymous_id"):
        pairs.append(study.table("touchpoints").select(id="anonymous_id", customer="customer_id"))
    if study.has("identities", "id_value", "customer_id"):
        pairs.append(study.table("identities").select(id="id_value", customer="customer_id"))
    frames = [study.fetch(pair.distinct()).dropna() for pair in pairs]
    return pd.concat([pd.DataFrame({"id": [], "customer": []}, dtype=str), *frames]).drop_duplicates()


def _occurs(study: Study, column: str, name: str) -> bool:
    tables = [study.table(table) for table in study.tables if study.has(table, column)]
    return any(len(study.fetch(table.filter(table[column] == name).limit(1))) for table in tables)


def _counts(study: Study, ids: Mapping[str, set[str]]) -> dict[str, int]:
    """Rows that name the person, in each table of the study."""
    found = {}
    for name in study.tables:
        table = study.table(name)
        named = [table[c].isin(sorted(ids[c])).fill_null(False) for c in ids if study.has(name, c)]
        if named:
            count = table.aggregate(n=ibis.or_(*named).sum().fill_null(0))
            found[name] = int(study.fetch(count)["n"].iloc[0])
    return found


def _rewrite(path: Path, new: Path, mine: Mine, settings: Settings) -> None:
    """A table's file without the person's rows, in its own form; who referred somebody else is emptied."""
    if path.suffix == ".csv":
        encoding = ENCODINGS[settings.encoding.lower()]
        with (
            path.open(encoding=encoding, newline="") as file,
            new.open("w", encoding=encoding, newline="") as out,
        ):
            out.writelines(_kept_lines(file, mine, settings.delimiter))
        return
    table = parquet.ParquetFile(path)
    with parquet.ParquetWriter(new, table.schema_arrow) as writer:
        for batch in table.iter_batches():
            for name in set(COLUMNS) & set(batch.schema.names):
                text = pc.utf8_trim_whitespace(batch[name].cast(pa.string()))
                names = [value for value in text.unique().to_pylist() if value and mine(name, value)]
                named = pc.is_in(text, pa.array(names, pa.string()))
                if name == REFERRED:
                    at = batch.schema.get_field_index(name)
                    field = batch.schema.field(at)
                    batch = batch.set_column(
                        at, field, pc.if_else(named, pa.scalar(None, field.type), batch[name])
                    )
                else:
                    batch = batch.filter(pc.invert(named))
            writer.write_batch(batch)


def _kept_lines(file: IO[str], mine: Mine, delimiter: str) -> Iterator[str]:
    """The lines of a CSV file's kept records, as they are."""
    lines: list[str] = []

    def remembered() -> Iterator[str]:
        for line in file:
            lines.append(line)
            yield line

    header: list[str] = []
    for row in csv.reader(remembered(), delimiter=delimiter):
        own, lines[:] = "".join(lines), []
        if not header:
            header = [name.strip().lstrip("\ufeff") for name in row]
            yield own
            continue
        fields = {name: value.strip() for name, value in zip(header, row, strict=False) if name in COLUMNS}
        named = {name for name, value in fields.items() if mine(name, value)}
        if named == {REFERRED}:
            row[header.index(REFERRED)] = ""
            out = io.StringIO()
            csv.writer(out, delimiter=delimiter, lineterminator="\n").writerow(row)
            own = out.getvalue()
        if named <= {REFERRED}:
            yield own
