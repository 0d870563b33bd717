"""Words by which columns of unknown files are known, from words.toml beside this file.

>>> words("CustomerID"), words("Sesión usuario"), words("order_purchase_timestamp")
(['customer', 'id'], ['sesion', 'usuario'], ['order', 'purchase', 'timestamp'])
"""

from __future__ import annotations

import re
import tomllib
import unicodedata
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

_JOINED = re.compile(
    r"\b(customer|user|visitor|client|member|order|session|transaction|item|product|event|invoice|account|kunden|"
    r"bestell|device|person)(id|no|nr|number|date|time|name|type|key|code)\b"
)
_READ = tomllib.loads(Path(__file__).with_name("words.toml").read_text("utf-8"))
ROLES = {
    role: tuple(frozenset(phrase.split()) for phrase in text.split(","))
    for role, text in _READ["roles"].items()
}
"""Role of a column -> phrases, in order of preference."""
BARS, STAGES, CHANNELS, QUESTIONS, LISTS = (
    {name: frozenset(text.split()) for name, text in _READ[table].items()}
    for table in ("bars", "stages", "channels", "questions", "lists")
)
NEEDS: dict[str, str] = _READ["needs"]
VERBAL: list[dict[str, int]] = _READ["verbal"]


@lru_cache(100_000)
def words(name: str) -> list[str]:
    """The words of a column's name or of a value, lower case and without accents."""
    plain = unicodedata.normalize("NFKD", name.replace("ß", "ss"))
    plain = "".join(letter for letter in plain if not unicodedata.combining(letter))
    plain = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|[\W_]+", " ", plain).lower()
    return _JOINED.sub(r"\1 \2", plain).split()


def slug(name: str) -> str:
    return "_".join(words(name)) or "column"


def first_with(name: str, kinds: Mapping[str, frozenset[str]], otherwise: str) -> str:
    """The first kind that has a word of the name.

    >>> first_with("add_to_cart", STAGES, "engagement"), first_with("product_view", STAGES, "engagement")
    ('transaction', 'engagement')
    """
    has = set(words(name))
    return next((kind for kind, known in kinds.items() if has & known), otherwise)
