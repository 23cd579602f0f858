"""Degraded copies of texts: key content is found, and more and more of it is removed."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np

from envzoo.errors import EnvzooError
from envzoo.kernel.arguments import check_whole

Spans = list[tuple[int, int]]
Extractor = Callable[[str], Spans]


def degrade(text: str, spans: Spans, levels: int, order: Sequence[int], filler: str = "") -> list[str | None]:
    """Remove a growing share j / (levels - 1), j = 0, ..., of the key spans of a text.

    Args:
        text: The text.
        spans: Places (first, last + 1) of its key content, disjoint.
        levels: Number of copies (K), at least 2.
        order: A permutation of the spans: the first round(share * n) of it are removed, so that copies are nested.
        filler: Character that takes the place of each removed one, for copies of equal length; "" deletes.

    Returns:
        K copies; None where nothing distinguishes a copy from the one before. Without key content all but the first
        are None, and the text has no degrees.

    Raises:
        EnvzooError: Fewer than two levels, or an order that is no permutation of the spans.
    """
    levels = check_whole("levels", levels, 2)
    if sorted(order) != list(range(len(spans))):
        raise EnvzooError(f"the order of {len(spans)} spans is {list(order)!r:.80}; expected a permutation")
    copies: list[str | None] = []
    removed = -1
    for level in range(levels):
        count = math.floor(level / (levels - 1) * len(spans) + 0.5)
        if count == removed:
            copies.append(None)
            continue
        removed = count
        gone = {place for k in list(order)[:count] for place in range(*spans[k])}
        copies.append("".join(filler if place in gone else sign for place, sign in enumerate(text)))
    return copies


class TfIdf:
    """Extractor without knowledge of the texts: the characters of largest tf-idf.

    Args:
        texts: The corpus, such as all chosen answers.
        share: Share of the characters of a text that count as key content.
    """

    def __init__(self, texts: Sequence[str], share: float = 0.5):
        self.share, count = share, Counter(sign for text in texts for sign in set(text))
        self.idf = {sign: math.log(len(texts) / number) for sign, number in count.items()}

    def __call__(self, text: str) -> Spans:
        """Return the places of the characters with the largest tf-idf, earlier ones first where equal."""
        frequency = Counter(text)
        score = [-frequency[sign] / len(text) * self.idf.get(sign, 0.0) for sign in text]
        best = np.argsort(score, kind="stable")[: math.ceil(self.share * len(text))]
        return [(int(place), int(place) + 1) for place in sorted(best)]
