"""A comment as it may be shown: cleaned of what is not seen, without addresses, numbers, handles and known names."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from functools import cache, lru_cache

from cxlib.masks import masked

UNSEEN = "".join(map(chr, (0xAD, 0x180E, 0x200B, *range(0x200E, 0x2010), *range(0x202A, 0x202F))))
UNSEEN += "".join(map(chr, (*range(0x2060, 0x2070), 0xFEFF)))
"""Marks that are not seen and turn or split what is: soft hyphen, zero-width space, right-to-left marks."""

# Joiners make an emoji, and letters of some scripts; between the letters and digits of ours they hide a name.
_JOINER = re.compile("[\u200c\u200d](?=[\\0-\u052f])|(?<=[\\0-\u052f])[\u200c\u200d]")
_GLUED = re.compile(r"(?<![A-Za-z0-9._%+-])@\w{2,}|[0-9]{9,}")
_CONTROL = re.compile(r"[\s\0-\x1f\x7f-\x9f]+")
_WORD = re.compile(r"[^\W_]+(?:['\u2019][^\W_]+)*")
# Scripts written without spaces: a name in them has no end that one could see.
UNSPACED = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\uff66-\uff9f"
_UNSPACED = re.compile(f"[{UNSPACED}]+")
PARTICLES = frozenset(("and", "das", "del", "della", "den", "der", "dos", "las", "los", "the", "van", "von"))


@cache
def _plain() -> dict[int, str | None]:
    """Every digit of the world and the wide Latin letters as ASCII; what is not seen as nothing."""
    wide = {ord(one): None for one in UNSEEN}
    letters = {code: chr(code - 0xFEE0) for code in (*range(0xFF21, 0xFF3B), *range(0xFF41, 0xFF5B))}
    signs = {0xFF20: "@", 0xFF0B: "+", 0xFF0E: ".", 0xFF3F: "_", 0xFF0D: "-"}
    digits = {code: unicodedata.digit(chr(code), None) for code in range(0x80, 0x10000)}
    decimals = {code: str(value) for code, value in digits.items() if chr(code).isdecimal()}
    return {**wide, **letters, **signs, **decimals}


def clean(text: str) -> str:
    r"""A comment in one line: composed (NFC), without control characters and marks that are not seen.

    Digits of any script, wide letters and a wide @ are written as ASCII, so that masks see them.

    >>> clean(" so\u200b slow!\u202e \r\n call \uff10\uff17 ")
    'so slow! call 07'
    """
    plain = unicodedata.normalize("NFC", text).translate(_plain())
    return _CONTROL.sub(" ", _JOINER.sub("", plain)).strip()


def folded(text: str) -> str:
    """A text without case and accents.

    >>> folded("ȘTEFĂNESCU")
    'stefanescu'
    """
    apart = unicodedata.normalize("NFKD", text.casefold())
    return "".join(one for one in apart if not unicodedata.combining(one)).replace("\u2019", "'")


_folded = lru_cache(1 << 16)(folded)  # of words, which come again and again


class Names:
    """Names and ids to take out of comments, as quickly for a hundred thousand of them as for ten.

    A name goes where its words follow one another, in any case, with or without accents; a single word
    of it (of three letters, or a whole name of two) where it stands alone with a capital, or in a script
    without capitals; in lower case too once `common` says which of them are words that people use (a rose, you
    will). In Chinese and Japanese a name of two characters goes wherever it is found. An id goes in any
    case. A name that is a word too hides that word at the start of a sentence.

    >>> Names(["Anna Rossi", "王小明"], ids=["c0000012"]).masked("Ms ROSSI, anna rossi; 请王小明 call C0000012, rossi")
    'Ms [name], [name]; 请[name] call [customer], rossi'
    """

    def __init__(self, names: Iterable[str], ids: Iterable[str] = ()) -> None:
        self._single: set[str] = set()
        self._phrases: dict[str, set[tuple[str, ...]]] = {}
        self._unspaced: set[str] = set()
        for name in map(clean, names):
            self._unspaced.update(run for run in _UNSPACED.findall(name) if len(run) > 1)
            words = tuple(_folded(word) for word in _WORD.findall(_UNSPACED.sub(" ", name)))
            if len(words) > 1:
                self._phrases.setdefault(words[0], set()).add(words)
            least = 2 if len(words) == 1 else 3
            letters = (word for word in words if word.replace("'", "").isalpha() and word not in PARTICLES)
            self._single.update(word for word in letters if len(word) >= least)
        self.common: frozenset[str] | None = None
        self._ids = {one.casefold() for one in ids if len(one) >= 5}
        self._lengths = sorted({len(run) for run in self._unspaced}, reverse=True)

    def in_lower_case(self, text: str) -> set[str]:
        """The words of names that a text writes in lower case: somebody's name, or a word like any other.

        >>> Names(["Rose Will"]).in_lower_case("will you, Rose?")
        {'will'}
        """
        words = (_folded(word) for word in _WORD.findall(text) if word[0].islower())
        return {word for word in words if word in self._single}

    def masked(self, text: str) -> str:
        """The text with `[name]` and `[customer]` in the place of each."""
        pieces, end = [], 0
        words, place = list(_WORD.finditer(text)), 0
        while place < len(words):
            word = words[place]
            taken, instead = self._taken(words, place), "[name]"
            if not taken and word[0].casefold() in self._ids:
                taken, instead = 1, "[customer]"
            if taken:
                pieces += [text[end : word.start()], instead]
                end = words[place + taken - 1].end()
            place += max(taken, 1)
        text = "".join([*pieces, text[end:]])
        return _UNSPACED.sub(self._without, text) if self._unspaced else text

    def _taken(self, words: list[re.Match[str]], place: int) -> int:
        """How many words from here are a name."""
        first = words[place][0]
        key = _folded(first)
        for name in sorted(self._phrases.get(key, ()), key=len, reverse=True):
            if tuple(_folded(word[0]) for word in words[place : place + len(name)]) == name:
                return len(name)
        parts = (first, *re.split("['\u2019]", first))  # D'Angelo, l'Anna, Anna's
        return int(any(self._hides(part) for part in parts))

    def _hides(self, part: str) -> bool:
        key = _folded(part)
        known = self.common is not None and key not in self.common
        return key in self._single and (known or not part[:1].islower())

    def _without(self, run: re.Match[str]) -> str:
        text, kept, place = run[0], [], 0
        while place < len(text):
            length = next((n for n in self._lengths if text[place : place + n] in self._unspaced), 0)
            kept.append("[name]" if length else text[place])
            place += length or 1
        return "".join(kept)


def masked_comment(text: str, names: Names | None = None) -> str:
    """A comment as it may be shown: cleaned, without addresses, numbers, handles and `names`.

    >>> masked_comment("电话13800138000，联系@anna_88 or tel0712345678")
    '电话[number]，联系[handle] or tel[number]'
    """
    text = masked(clean(text))
    text = _GLUED.sub(lambda found: "[handle]" if found[0][0] == "@" else "[number]", text)
    return names.masked(text) if names else text
