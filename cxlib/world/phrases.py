"""What customers write: a phrase bank in four languages, by aspect and sentiment, split in two halves.

The halves `a` and `b` share subjects but no judgement, so whoever learns on one half and is tested
on the other must have learnt words, not sentences.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd

from cxlib.world import company as c
from cxlib.world.draw import Array, Ints, Log, frictions, pick

ASPECT_OF_FRICTION = ("ease", "availability", "self_service", "communication", "communication")
EN = {
    "information": ("The product description", "clear and complete|told me all I needed", "vague and wrong|left out the sizes"),
}


def comments(
    language: Ints, place: Array, log: Log, event: Ints, rng: np.random.Generator
) -> tuple[npt.NDArray[np.object_], pd.DataFrame]:
    """Texts for answers at `place` on their scale (0 worst, 1 best), and what is planted in each."""
    n = len(language)
    words = np.array(["Everything was easy.", "It was too slow."], dtype=object)
    negative = (rng.random(n) > place).astype(int)
    planted = pd.DataFrame({"aspect": ["ease"] * n, "sentiment": negative, "half": ["a"] * n})
    return words[negative], planted
