"""Words of a dictionary that sound nearly like a keyword: what was said may be one of them, and not the keyword."""

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

SHORTEST = 4  # phones: nearly any word is like a shorter keyword
PHONES_AN_EDIT = 3  # rounded: one phone of four may differ, two of five to seven, three of eight to ten
MOST_RIVALS = 500
PADDING = -1


class RivalFinder:
    """Ways to say words, laid out so that those like a keyword are found at once.

    Example:
        >>> finder = RivalFinder(["AH L EH K S AH", "R EH K AH L EH K SH AH N", "K AE T"])
        >>> finder.find_rivals(["AH L EH K S AH"])
        ('R EH K AH L EH K SH AH N',)
    """

    def __init__(self, ways: Iterable[str]) -> None:
        """Lay out ways to say words: phones, spaces between them."""
        self.ways = sorted(set(ways))
        said = [way.split() for way in self.ways]
        self.ids = {phone: number for number, phone in enumerate(sorted({p for way in said for p in way}))}
        self.lengths = np.array([len(way) for way in said], np.int64)
        self.phones = np.full((len(said), int(self.lengths.max(initial=0))), PADDING, np.int16)
        flat = [self.ids[phone] for way in said for phone in way]
        self.phones[np.arange(self.phones.shape[1]) < self.lengths[:, None]] = flat
        self.has = np.zeros((len(said), len(self.ids)), bool)
        self.has[np.repeat(np.arange(len(said)), self.lengths), flat] = True

    def find_rivals(self, spellings: Sequence[str]) -> tuple[str, ...]:
        """Find the words in which a keyword could be heard though it is not there.

        A rival has more phones than the keyword, and a part of it, or all, differs from the keyword by a third of
        the keyword's phones at most, rounded (replaced, left out or put in). A word that holds a spelling of the
        keyword as it is, such as its plural, is none.

        Args:
            spellings: The ways to say the keyword, phones with spaces between them.

        Returns:
            At most ``MOST_RIVALS``, the nearest first, then the shorter ones; none of a spelling shorter than
            ``SHORTEST``.
        """
        nearest = np.full(len(self.ways), np.iinfo(np.int64).max)
        for spelling in spellings:
            self._bring_near(nearest, [self.ids.get(phone, len(self.ids)) for phone in spelling.split()])
        found = np.flatnonzero((nearest > 0) & (nearest < np.iinfo(np.int64).max))
        order = np.lexsort((found, self.lengths[found], nearest[found]))
        return tuple(self.ways[place] for place in found[order[:MOST_RIVALS]])

    def _bring_near(self, nearest: NDArray[np.int64], keyword: Sequence[int]) -> None:
        """Lower the distances of the words that are like a keyword."""
        most = (len(keyword) + 1) // PHONES_AN_EDIT if len(keyword) >= SHORTEST else 0
        # No edit takes away more than one of the keyword's phones, so most words need no closer look.
        own = [phone for phone in set(keyword) if phone < len(self.ids)]
        shared = self.has[:, own].sum(axis=1)
        close = np.flatnonzero((self.lengths >= len(keyword)) & (shared >= len(set(keyword)) - most))
        distances = distances_within(self.phones[close], keyword)
        counts = (distances == 0) | ((distances <= most) & (self.lengths[close] > len(keyword)))
        nearest[close[counts]] = np.minimum(nearest[close[counts]], distances[counts])


def distances_within(words: NDArray[np.int16], keyword: Sequence[int]) -> NDArray[np.int64]:
    """Count the edits between a keyword and the part of each word that is most like it.

    Args:
        words: (words, phones), padded.
        keyword: Phones.

    Returns:
        (words,) Levenshtein's distance to the nearest part (Sellers, 1980).

    Example:
        >>> distances_within(np.array([[3, 1, 4, 2, 3]], np.int16), [1, 2]).tolist()
        [1]
    """
    row = np.zeros((words.shape[1] + 1, len(words)), np.int64)
    for number, phone in enumerate(keyword, start=1):
        differs = (words != phone).T
        below = np.minimum(row[:-1] + differs, row[1:] + 1)
        row = np.full_like(row, number)
        for place, best in enumerate(below, start=1):
            np.minimum(best, row[place - 1] + 1, out=row[place])
    nearest: NDArray[np.int64] = row.min(axis=0)
    return nearest
