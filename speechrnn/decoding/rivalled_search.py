"""A keyword search that doubts: what another word explains better is no keyword.

Of "recollection" a model hears all of "alexa" but one sound, so the mean over the keyword's tokens is high; the
whole word explains what was heard far better. Where a keyword seems to end, its rivals (`rivals.py`) are laid over the
same frames, and what the best of them explains better is taken off its score. That is at most as much as the score is
below 0, so rivals do nothing for a keyword that is wholly heard.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from speechrnn.decoding.keyword_search import (
    Counts,
    Floats,
    KeywordSearch,
    Scores,
    SearchOptions,
    SpellingSearch,
    spell,
)
from speechrnn.decoding.keywords import Keyword
from speechrnn.text import Vocabulary

BEFORE_S = 0.8  # by which a rival may begin before the keyword
BEHIND_S = 0.08  # and behind it
FAINTEST = 1e-30  # confidence; its logarithm is finite


class Past(NamedTuple):
    """The last frames of a stream, as far back as a rival can reach."""

    log_probs: NDArray[np.float32]
    """(frames, tokens)."""
    scores: Scores

    def since(self, first: int) -> "Past":
        """Forget the frames before one."""
        return Past(self.log_probs[first:], self.scores.since(first))

    def then(self, later: "Past") -> "Past":
        """Add what came next."""
        log_probs = np.concatenate([self.log_probs, later.log_probs])
        return Past(log_probs, self.scores.then(later.scores))


class RivalledSearch:
    """All keywords in one stream, with their rivals; frames are told a little late, when it is known what follows.

    Attributes:
        wait: How many frames behind the last that was heard scores are told; 0 if no keyword has rivals.
    """

    def __init__(
        self,
        vocabulary: Vocabulary,
        keywords: Sequence[Keyword],
        rivals: Sequence[tuple[str, ...]],
        *,
        frame_s: float,
        floors: Sequence[float],
        options: SearchOptions = SearchOptions(),
    ) -> None:
        """Begin a stream.

        Args:
            vocabulary: Of the model.
            keywords: What to look for; at least one, each with a label of its own.
            rivals: For each keyword the spellings of what it could be taken for; none for those with recordings. If one
                keyword has rivals, all are told that much later.
            frame_s: Seconds from one frame to the next.
            floors: For each keyword the confidence, in [0, 1], below which its score is told as it is.
            options: How.

        Raises:
            ConfigError: As ``KeywordSearch``.
            TextError: As ``KeywordSearch``.
        """
        self.vocabulary, self.keywords, self.options, self.frame_s = vocabulary, keywords, options, frame_s
        self.floors = np.log(np.maximum(floors, FAINTEST))
        self.wait = math.ceil(options.rivals_s / frame_s - 1e-6) if any(rivals) else 0
        self.duels = {
            number: Duel(vocabulary, keyword, others, frame_s=frame_s, options=options)
            for number, (keyword, others) in enumerate(zip(keywords, rivals, strict=True))
            if others and self.wait
        }
        self.reach = 2 * self.wait + max(1, round((options.longest_s + BEFORE_S) / frame_s))
        self.restart()

    def restart(self) -> None:
        """Forget what was heard."""
        self.search = KeywordSearch(
            self.vocabulary, self.keywords, frame_s=self.frame_s, options=self.options
        )
        nothing = np.zeros((0, len(self.vocabulary)), np.float32)
        self.past = Past(nothing, self.search.feed(nothing))
        self.first = 0  # the stream's number of the past's first frame
        self.told = 0  # how many frames were told

    def feed(self, log_probs: NDArray[np.float32]) -> Scores:
        """Hear more; as ``KeywordSearch.feed``, of frames up to ``wait`` before the last."""
        found = self.search.feed(log_probs)
        if not self.wait:
            return found
        self.past = self.past.then(Past(log_probs, found))
        return self._tell(self.first + len(self.past.log_probs) - self.wait)

    def finish(self) -> Scores:
        """Tell the frames that are left."""
        return self._tell(self.first + len(self.past.log_probs))

    def _tell(self, end: int) -> Scores:
        """Tell the frames up to one, and forget those that no rival can reach any more."""
        rows = np.arange(self.told, max(self.told, end)) - self.first
        log_scores = self.past.scores.log_scores[rows]
        for number, duel in self.duels.items():
            near = rows[log_scores[:, number] >= self.floors[number]]
            peaks = np.array([self._find_peak(number, row) for row in near.tolist()], np.int64)
            for peak in np.unique(peaks).tolist():
                doubtful = near[peaks == peak]
                log_scores[doubtful - rows[0], number] -= self._measure_lead(number, duel, peak, doubtful)
        told = Scores(log_scores, self.past.scores.starts[rows])
        self.told += len(rows)
        forgotten = max(0, self.told - self.reach - self.first)
        self.past, self.first = self.past.since(forgotten), self.first + forgotten
        return told

    def _find_peak(self, number: int, row: int) -> int:
        """Find where the spelling ends best close to a frame: there it is compared."""
        first = max(0, row - self.wait)
        return first + int(self.past.scores.log_scores[first : row + self.wait + 1, number].argmax())

    def _measure_lead(self, number: int, duel: "Duel", peak: int, rows: Counts) -> Floats:
        """Tell by how much rivals explain better what was heard up to ``wait`` behind each of some frames.

        A last token that is heard for longer than that has no rival: what comes behind it is not known yet.
        """
        begin = int(self.past.scores.starts[peak, number]) - self.first
        first = max(0, begin - duel.before)
        heard = self.past.log_probs[first : rows[-1] + self.wait + 1]
        leads = duel.measure_leads(heard, begin=begin - first, end=peak - first)
        return leads[np.minimum(rows + self.wait - first, len(heard) - 1)]


class Duel:
    """A keyword and its rivals over the same frames."""

    def __init__(
        self,
        vocabulary: Vocabulary,
        keyword: Keyword,
        rivals: Sequence[str],
        *,
        frame_s: float,
        options: SearchOptions,
    ) -> None:
        """Lay out all paths; arguments and errors as of ``RivalledSearch``."""
        ways = {tuple(spell(vocabulary, spelling)): spelling for spelling in keyword.spellings}
        spellings = [*ways.values(), *rivals]
        alone = [Keyword(label=str(number), spellings=(each,)) for number, each in enumerate(spellings)]
        self.search = SpellingSearch(vocabulary, alone, options, frame_s=frame_s)
        self.num_own = len(ways)
        self.before, self.behind = round(BEFORE_S / frame_s), round(BEHIND_S / frame_s)

    def measure_leads(self, log_probs: NDArray[np.float32], *, begin: int, end: int) -> Floats:
        """Compare the keyword from ``begin`` to ``end`` with the rivals that cover it.

        Args:
            log_probs: (frames, tokens), from where a rival may begin.
            begin: The keyword's first frame.
            end: Its last.

        Returns:
            (frames,) by how much the best rival that has ended by each is better, >= 0, nats for each token of the
            keyword.
        """
        self.search.restart()
        found = self.search.feed_each(log_probs)
        own = found.log_scores[end, : self.num_own]
        size = self.search.lengths[own.argmax()]
        totals = found.log_scores * self.search.lengths
        totals[:, : self.num_own] = -np.inf
        totals[found.starts > begin + self.behind] = -np.inf
        totals[: max(0, end - 1)] = -np.inf
        best = np.maximum.accumulate(totals.max(axis=1))
        leads: Floats = np.maximum(0.0, best / size - own.max())
        return leads
