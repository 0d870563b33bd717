"""Write environment.yml, for conda users, from requirements.lock: the same versions, without hashes.

Conda hands its pip section to pip as one file, and pip refuses a hash lock beside an editable install.
`make lock` runs this; tests/test_environment.py fails when the two disagree.
"""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

HEAD = """\
# Made from requirements.lock by tests/environment.py (`make lock`): the same versions. Edit neither by hand.
#   conda env create --file environment.yml && conda activate cxlib && python -m cxlib report demo
name: cxlib
channels:
  - conda-forge
  - nodefaults
dependencies:
  - python=3.11
  - pip
  - pip:
"""


def pins(lock: str) -> dict[str, list[str]]:
    """Requirement line (`name==version`, perhaps `; marker`) -> its hashes, in the lock's order.

    >>> pins("numpy==2.4.6 ; os_name != 'nt' \\\\\\n  --hash=sha256:ab \\\\\\n  --hash=sha256:cd\\n")
    {"numpy==2.4.6 ; os_name != 'nt'": ['sha256:ab', 'sha256:cd']}
    """
    found: dict[str, list[str]] = {}
    for entry in re.sub(r"\\\n", " ", lock).splitlines():
        requirement, *hashes = re.split(r"\s+--hash=", entry.strip())
        if requirement and not requirement.startswith("#"):
            found[requirement] = [value.strip() for value in hashes]
    return found


def environment(lock: str) -> str:
    """The text of environment.yml for a lock: its pins with their markers, then the project itself."""
    lines = [f'      - "{requirement}"' for requirement in pins(lock)]
    return HEAD + "\n".join([*lines, "      - -e ."]) + "\n"


if __name__ == "__main__":
    (ROOT / "environment.yml").write_text(environment((ROOT / "requirements.lock").read_text()))
