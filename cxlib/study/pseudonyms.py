"""Keyed pseudonyms and masks, put on before anything is kept: the study's key turns an id into another.

The key lies beside the study, in `.key`; who has it and a person's id can find that person's rows, nobody
else can. Ids that stand for nobody ("undefined", "0") stay as they are, so that quality can see them.

>>> pseudonym(" Anna@Example.com ", "00" * 32) == pseudonym("anna@example.com", "00" * 32)
True
"""

from __future__ import annotations

import hashlib
import hmac
import os
import re
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import ibis
import ibis.expr.datatypes as dt

from cxlib import masks
from cxlib.contract import TABLES
from cxlib.errors import CxValueError
from cxlib.readers.mapping import Entry, Source
from cxlib.study.banned import banned

KEY, FORGOTTEN = ".key", "forgotten"
"""Files of a study: the key, and the pseudonyms of those whose rows are left out for good."""
PSEUDONYM = re.compile(r"p[0-9a-f]{20}")
PERSONS = ("customer_id", "anonymous_id", "referred_by", "id_value")
FREE_TEXT = ("comment", "content")
DECIMAL = r"^-?(0|[1-9][0-9]{0,7})\.[0-9]+$"  # a measurement, however many digits it has, is nobody's number


@ibis.udf.scalar.builtin(name="unhex")
def _unhex(text: dt.string) -> dt.binary: ...


@ibis.udf.scalar.builtin(name="encode")
def _encode(text: dt.string) -> dt.binary: ...


@ibis.udf.scalar.builtin(name="concat")
def _concat(left: dt.binary, right: dt.binary) -> dt.binary: ...


@ibis.udf.scalar.builtin(name="sha256")
def _sha256(data: dt.binary) -> dt.string: ...


def key_of(folder: Path, make: bool = False) -> str | None:
    """The study's key, 64 hexadecimal digits; where there is none, made, or None."""
    path = folder / KEY
    try:
        if not path.exists():
            if not make:
                return None
            with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
                file.write(secrets.token_hex(32) + "\n")
        key = path.read_text("ascii").strip()
        if len(bytes.fromhex(key)) == 32:
            return key
    except (OSError, ValueError) as error:
        raise CxValueError(
            f"{path}, the key of the pseudonyms, cannot be read or written: {error}."
        ) from error
    raise CxValueError(f"{path} must hold the 64 hexadecimal digits of the key, as it was made.")


def forgotten(folder: Path) -> tuple[str, ...]:
    """The pseudonyms of the persons whose rows are left out for good."""
    path = folder / FORGOTTEN
    listed = set(path.read_text("utf-8", errors="replace").split()) if path.exists() else set[str]()
    if strange := [line for line in sorted(listed) if not PSEUDONYM.fullmatch(line)]:
        raise CxValueError(
            f"{path} is damaged: `{strange[0]}` is no pseudonym. Put its last sound copy back."
        )
    return tuple(sorted(listed))


def pseudonym(text: str, key: str) -> str:
    """A person's pseudonym: "p" and 20 digits of the HMAC-SHA256 of the id, an e-mail in lower case."""
    text = text.strip()
    text = text.lower() if "@" in text else text
    return "p" + hmac.new(bytes.fromhex(key), text.encode(), hashlib.sha256).hexdigest()[:20]


def pseudonyms(value: Any, key: str) -> Any:
    """`pseudonym` of a text column; ids that stand for nobody stay."""
    pad = bytes.fromhex(key).ljust(64, b"\0")
    inner, outer = (ibis.literal(bytes(byte ^ mask for byte in pad).hex()) for mask in (0x36, 0x5C))
    text = value.contains("@").ifelse(value.lower(), value)
    digest = _sha256(_concat(_unhex(outer), _unhex(_sha256(_concat(_unhex(inner), _encode(text))))))
    named = ibis.literal("p").concat(digest.left(20))
    return ibis.cases((value.isnull(), ibis.null("string")), (banned(value), value), else_=named)


def disguised(columns: Mapping[str, Any], source: Source, entry: Entry, key: str) -> dict[str, Any]:
    """The columns of a table with persons' ids hidden and free text masked; hidden is every other id or
    further column, too, that is made from what the source takes persons' ids from, or holds an `@`."""
    of = {column.name: column.kind for column in TABLES[entry.table].columns}
    read = {name: {n for n, _ in rule.names()} for name, rule in entry.columns.items()}
    rules = [rule for one in source.tables for name, rule in one.columns.items() if name in PERSONS]
    personal = {name for rule in rules for name, _ in rule.names()}
    kept = dict(columns)
    for name, value in columns.items():
        kind = of.get(name, "further")
        if not value.type().is_string():
            continue
        if name in PERSONS or (kind in ("id", "key", "further") and read.get(name, set()) & personal):
            kept[name] = pseudonyms(value, key)
        elif kind in ("id", "key"):
            kept[name] = value.contains("@").ifelse(pseudonyms(value, key), value)
        elif kind == "further" or name in FREE_TEXT:
            plain = value.re_search(DECIMAL)
            for pattern, instead in masks.RULES:
                value = plain.ifelse(value, value.re_replace(pattern, instead))
            kept[name] = value.re_replace(masks.HANDLE, r"\1[handle]") if name == "comment" else value
    return kept
