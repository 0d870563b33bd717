"""YAML as people mean it: what a `study.yaml` says twice is an error, and 007 or 12:30 is text, not a number.

>>> load("a: [1, 2.5, yes, null, 010, 12:30, 2026-01-02]")
{'a': [1, 2.5, True, None, '010', '12:30', '2026-01-02']}
>>> load("a: 1\\na: 2")
Traceback (most recent call last):
cxlib.errors.CxValueError: line 2: `a` is there twice. Keep one.
"""

from __future__ import annotations

import re
from typing import Any

import yaml

from cxlib.errors import CxValueError


class _Plain(yaml.SafeLoader):
    """Whole and decimal numbers, true and false, and null; all else is text. No anchors, no names twice."""

    yaml_implicit_resolvers = {  # noqa: RUF012
        first: [pair for pair in pairs if pair[0].rpartition(":")[2] in ("bool", "null")]
        for first, pairs in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            raise CxValueError(f"line {self.peek_event().start_mark.line + 1}: write it out, without `*`.")
        return super().compose_node(parent, index)

    def construct_mapping(self, node: Any, deep: bool = False) -> Any:
        seen = set()
        for key, _ in node.value:
            if not isinstance(key.value, str):
                raise CxValueError(f"line {key.start_mark.line + 1}: a name is one word, not a list.")
            if key.value in seen:
                raise CxValueError(f"line {key.start_mark.line + 1}: `{key.value}` is there twice. Keep one.")
            seen.add(key.value)
        return super().construct_mapping(node, deep)


_Plain.add_implicit_resolver(
    "tag:yaml.org,2002:int", re.compile(r"^[-+]?(0|[1-9][0-9]*)$"), list("-+0123456789")
)
_Plain.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"^[-+]?(0|[1-9][0-9]*)\.[0-9]+$"), list("-+0123456789")
)


def load(text: str) -> Any:
    """What a YAML text holds; CxValueError says where it is wrong."""
    try:
        return yaml.load(text, _Plain)  # a SafeLoader still
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"line {mark.line + 1}: " if mark else ""
        raise CxValueError(f"{where}{getattr(error, 'problem', None) or error}.") from error
    except RecursionError:
        raise CxValueError("it is nested too deeply.") from None
