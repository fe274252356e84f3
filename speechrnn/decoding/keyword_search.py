"""Keywords in the log probabilities of a CTC model, found while they arrive.

A keyword's path may begin and end at any frame. Of each path the score is its log likelihood ratio against the
background, the best path of any tokens over the same frames, divided by the keyword's tokens: 0 where the
keyword is what the model heard, below 0 else. One state for each token of each keyword, and one for the gap
between two, are advanced together, a frame at a time; so many keywords cost little more than one.
"""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from speechrnn.decoding.keywords import BAR, Keyword, check_labels
from speechrnn.decoding.spelling import Spelling
from speechrnn.errors import ConfigError
from speechrnn.text import Vocabulary

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class SearchOptions:
    """How keywords are looked for; defaults were found on a development set."""

    gap_cost: float = 0.25
    """Nats that a second between two tokens of a keyword costs, >= 0; silence alone joins no far apart ones."""
    longest_s: float = 3.0
    """Paths that take longer are dropped, > 0."""
    template_temperature: float = 0.2
    """Multiplies log probabilities before templates are compared, > 0; far below 1, tokens that neither frame is likely
    to be are compared, too."""
    rivals_s: float = 0.15
    """How long keywords wait, if one of them is typed and the dictionary has words that could explain better what was
    heard, >= 0; this adds to the latency."""

    def __post_init__(self) -> None:
        """Check every range; a ``ConfigError`` names the option."""
        if not 0 <= self.gap_cost < math.inf:
            raise ConfigError(f"gap_cost must be >= 0 and finite, got {self.gap_cost!r}")
        if not 0 <= self.rivals_s < math.inf:
            raise ConfigError(f"rivals_s must be >= 0 and finite, got {self.rivals_s!r}")
        for name in ("longest_s", "template_temperature"):
            if not 0 < getattr(self, name) < math.inf:
                raise ConfigError(f"{name} must be > 0 and finite, got {getattr(self, name)!r}")


# Of a keyword with recordings and spellings, what its spellings add; found with the first half of KEYWORDS.md's clips.
SPELLED_SHARE = 0.006
LEAST_SPELLED = -30.0  # nats a token, so that what is not quite said may still sound like the recordings


class Scores(NamedTuple):
    """How well keywords end at each frame."""

    log_scores: Floats
    """(frames, keywords), at most 0 before boosts; -inf where none can end."""
    starts: Counts
    """(frames, keywords): the frame, counted from the stream's first, where the path began."""

    def since(self, first: int) -> "Scores":
        """Leave out the frames before one."""
        return Scores(self.log_scores[first:], self.starts[first:])

    def then(self, later: "Scores") -> "Scores":
        """Add what came next."""
        log_scores = np.concatenate([self.log_scores, later.log_scores])
        return Scores(log_scores, np.concatenate([self.starts, later.starts]))


class KeywordSearch:
    """All keywords in one stream; keeps no more than the best path to each state.

    Example:
        >>> vocabulary = Vocabulary(("a", "b"))
        >>> search = KeywordSearch(vocabulary, [Keyword(label="ab", spellings=("ab",))], frame_s=0.04)
        >>> heard = np.log(np.array([[0.1, 0.8, 0.1], [0.1, 0.1, 0.8]], np.float32))
        >>> np.exp(search.feed(heard).log_scores[:, 0]).round(2).tolist()
        [0.0, 1.0]
    """

    def __init__(
        self,
        vocabulary: Vocabulary,
        keywords: Sequence[Keyword],
        *,
        frame_s: float,
        options: SearchOptions = SearchOptions(),
    ) -> None:
        """Begin a stream.

        Args:
            vocabulary: Of the model.
            keywords: What to look for; at least one, each with a label of its own.
            frame_s: Seconds from one frame to the next.
            options: How.

        Raises:
            ConfigError: If there is no keyword, a label is double, a spelling is empty or that of two keywords,
                or a template is not of this vocabulary.
            TextError: If a spelling has a character that the vocabulary lacks.
        """
        check_labels(keywords)
        spelled = [i for i, keyword in enumerate(keywords) if keyword.spellings]
        recorded = [i for i, keyword in enumerate(keywords) if keyword.templates]
        self.boosts = np.array([keyword.boost for keyword in keywords])
        self.shares = np.where(np.isin(spelled, recorded), SPELLED_SHARE, 1.0)
        self.least = np.where(np.isin(spelled, recorded), LEAST_SPELLED, -np.inf)
        self.spelled, self.recorded = spelled, recorded
        self.spellings: SpellingSearch | None = None
        self.templates: TemplateSearch | None = None
        if spelled:
            self.spellings = SpellingSearch(
                vocabulary, [keywords[i] for i in spelled], options, frame_s=frame_s
            )
        if recorded:
            check_templates([keywords[i] for i in recorded], len(vocabulary))
            templates = [keywords[i].templates for i in recorded]
            self.templates = TemplateSearch(templates, temperature=options.template_temperature)

    def feed(self, log_probs: NDArray[np.float32]) -> Scores:
        """Hear more.

        Args:
            log_probs: (frames, len(vocabulary)); none is fine.

        Returns:
            Scores of all keywords, in their order, boosts added.
        """
        shape = len(log_probs), len(self.boosts)
        joined = Scores(np.zeros(shape), np.zeros(shape, np.int64))
        if self.spellings is not None:
            found = self.spellings.feed(log_probs)
            joined.log_scores[:, self.spelled] += self.shares * np.maximum(found.log_scores, self.least)
            joined.starts[:, self.spelled] = found.starts
        if self.templates is not None:
            found = self.templates.feed(log_probs)
            joined.log_scores[:, self.recorded] += found.log_scores
            joined.starts[:, self.recorded] = found.starts
        return Scores(joined.log_scores + self.boosts, joined.starts)


class SpellingSearch:
    """Keywords by their spellings."""

    def __init__(
        self, vocabulary: Vocabulary, keywords: Sequence[Keyword], options: SearchOptions, *, frame_s: float
    ) -> None:
        """Lay out the states; arguments and errors as of ``KeywordSearch``."""
        paths = [
            (number, spell(vocabulary, spelling))
            for number, keyword in enumerate(keywords)
            for spelling in keyword.spellings
        ]
        check_paths(paths, keywords)
        self.longest = max(1, round(options.longest_s / frame_s))
        self.tokens = np.array([token for _, path in paths for token in with_gaps(path)])
        self.costs = np.where(self.tokens == 0, options.gap_cost * frame_s, 0.0)
        sizes = [2 * len(path) - 1 for _, path in paths]
        self.last = np.cumsum(sizes) - 1
        self.first = self.last - np.array(sizes) + 1
        self.lengths = np.array([len(path) for _, path in paths], float)
        owners = [number for number, _ in paths]
        self.begins = np.searchsorted(owners, np.arange(len(keywords)))  # of each keyword's spellings
        # Two states back lies the token before, unless it is the same: then the gap between must be heard.
        before = np.concatenate([[-1, -1], self.tokens])[: len(self.tokens)]
        self.cannot_skip = (self.tokens == 0) | (self.tokens == before)
        self.cannot_skip[self.first] = True
        self.restart()

    def restart(self) -> None:
        """Forget what was heard; frames are counted anew."""
        self.frame = 0
        self.scores = np.full(len(self.tokens), -np.inf)
        self.starts = np.zeros(len(self.tokens), np.int64)

    def feed(self, log_probs: NDArray[np.float32]) -> Scores:
        """Hear frames; as ``KeywordSearch.feed``, without boosts."""
        return best_of_each(*self.feed_each(log_probs), self.begins)

    def feed_each(self, log_probs: NDArray[np.float32]) -> Scores:
        """Hear frames; the scores of each spelling, (frames, spellings)."""
        ratios = log_probs - log_probs.max(axis=1, keepdims=True)
        gains = ratios[:, self.tokens].astype(np.float64) - self.costs
        shape = len(log_probs), len(self.last)
        ends, starts = np.empty(shape), np.empty(shape, np.int64)
        for row, gain in enumerate(gains):
            self._advance(gain)
            ends[row], starts[row] = self.scores[self.last], self.starts[self.last]
        return Scores(ends / self.lengths, starts)

    def _advance(self, gain: Floats) -> None:
        """Move all paths on by a frame: stay, or come from the state before or the one before that."""
        stay, stay_from = self.scores, self.starts
        best, came_from = stay.copy(), stay_from.copy()
        step = np.concatenate([[-np.inf], stay[:-1]])
        step_from = np.concatenate([[0], stay_from[:-1]])
        step[self.first], step_from[self.first] = 0.0, self.frame
        skip = np.concatenate([[-np.inf, -np.inf], stay])[: len(stay)]
        skip_from = np.concatenate([[0, 0], stay_from])[: len(stay)]
        skip[self.cannot_skip] = -np.inf
        for score, start in ((step, step_from), (skip, skip_from)):
            better = score > best
            np.copyto(best, score, where=better)
            np.copyto(came_from, start, where=better)
        best += gain
        best[self.frame - came_from >= self.longest] = -np.inf
        self.scores, self.starts = best, came_from
        self.frame += 1


class TemplateSearch:
    """Keywords by recordings of them: dynamic time warping on what the model heard, frame against frame.

    The distance of two frames is -log of the Bhattacharyya coefficient of their tempered distributions, in [0, inf),
    over 2 · temperature², with the square of which it grows. A path takes at least half and at most double the time
    of its template (Sakoe and Chiba, 1978, their slope of 1), and its score is minus the mean distance along it. Of
    several recordings the two best count.
    """

    def __init__(self, templates: Sequence[Sequence[NDArray[np.float32]]], *, temperature: float) -> None:
        """Lay out the templates: for each keyword its recordings, log_probs (frames, tokens)."""
        flat = [template for group in templates for template in group]
        sizes = [len(template) for template in flat]
        self.temperature = temperature
        self.roots = roots_of(np.concatenate(flat), temperature).T
        self.last = np.cumsum(sizes) - 1
        self.first = self.last - np.array(sizes) + 1
        self.second = self.first[np.array(sizes) > 1] + 1
        self.groups = np.split(np.arange(len(flat)), np.cumsum([len(group) for group in templates])[:-1])
        self.frame = 0
        width = len(self.roots.T)
        nowhere = np.full(width, np.inf), np.zeros(width), np.zeros(width)
        # Of the best path to each frame of a template: its cost, its length and where it began.
        self.one_back: tuple[Floats, Floats, Floats] = nowhere
        self.two_back: tuple[Floats, Floats, Floats] = nowhere
        self.distance_before: Floats = np.full(width, np.inf)

    def feed(self, log_probs: NDArray[np.float32]) -> Scores:
        """Hear frames; as ``KeywordSearch.feed``, without boosts."""
        alike = np.clip(roots_of(log_probs, self.temperature) @ self.roots, 1e-6, 1.0)
        distances = -np.log(alike) / (2 * self.temperature**2)
        shape = len(log_probs), len(self.groups)
        scores, starts = np.empty(shape), np.empty(shape, np.int64)
        for row, distance in enumerate(distances):
            self._advance(distance)
            costs, lengths, begun = (part[self.last] for part in self.one_back)
            means = -costs / np.maximum(lengths, 1)
            for number, group in enumerate(self.groups):
                best = group[np.argsort(-means[group], kind="stable")[:2]]
                scores[row, number], starts[row, number] = means[best].mean(), begun[best[0]]
        return Scores(scores, starts)

    def _advance(self, distance: Floats) -> None:
        """Move all paths on by a frame: a frame each, two of the stream, or two of the template."""
        costs, lengths, begun = (shifted(part, 1) for part in self.one_back)
        costs[self.first], lengths[self.first], begun[self.first] = 0.0, 0.0, self.frame
        slow, slow_lengths, slow_begun = (shifted(part, 1) for part in self.two_back)
        slow = slow + self.distance_before
        slow[self.first] = np.inf
        fast, fast_lengths, fast_begun = (shifted(part, 2) for part in self.one_back)
        fast = fast + shifted(distance, 1)
        fast[self.first] = fast[self.second] = np.inf
        for score, length, start in (
            (slow, slow_lengths, slow_begun),
            (fast, fast_lengths, fast_begun),
        ):
            better = score < costs
            np.copyto(costs, score, where=better)
            np.copyto(lengths, length + 1, where=better)
            np.copyto(begun, start, where=better)
        self.two_back = self.one_back
        self.one_back = costs + distance, lengths + 1, begun
        self.distance_before = distance
        self.frame += 1


def spell(vocabulary: Vocabulary, spelling: str) -> list[int]:
    """Turn a spelling into tokens; errors as ``KeywordSearch``."""
    return vocabulary.encode(Spelling(vocabulary).normalize(spelling, "keyword"))


def check_paths(paths: Sequence[tuple[int, Sequence[int]]], keywords: Sequence[Keyword]) -> None:
    """Refuse tokens that spell two keywords, only one of which could be told, with a ``ConfigError``."""
    owners: dict[tuple[int, ...], int] = {}
    for number, path in paths:
        owner = owners.setdefault(tuple(path), number)
        if owner != number:
            first, second = keywords[owner].label, keywords[number].label
            raise ConfigError(
                f"keywords {first!r} and {second!r} have a spelling that is the same for this model; spellings "
                f"between bars, {BAR}, make one keyword of them"
            )


def with_gaps(tokens: Sequence[int]) -> list[int]:
    """Put a blank, id 0, between any two tokens."""
    return [token for one in tokens for token in (0, one)][1:]


def best_of_each(scores: Floats, starts: Counts, begins: Counts) -> Scores:
    """Take the best spelling of each keyword, (frames, spellings) to (frames, keywords)."""
    bounds = [*begins.tolist(), scores.shape[1]]
    best = np.maximum.reduceat(scores, begins, axis=1)
    chosen = [starts[:, a] for a in begins] if len(begins) == scores.shape[1] else []
    if not chosen:
        rows = np.arange(len(scores))
        for a, b in itertools.pairwise(bounds):
            chosen.append(starts[rows, a + scores[:, a:b].argmax(axis=1)])
    return Scores(best, np.stack(chosen, axis=1))


def roots_of(log_probs: NDArray[np.float32], temperature: float) -> NDArray[np.float32]:
    """Take the square roots of tempered probabilities, whose dot products are Bhattacharyya coefficients."""
    tempered = log_probs * temperature
    tempered = tempered - tempered.max(axis=1, keepdims=True)
    powers = np.exp(tempered)
    roots: NDArray[np.float32] = np.sqrt(powers / powers.sum(axis=1, keepdims=True))
    return roots


def shifted(values: Floats, places: int) -> Floats:
    """Move values right; what comes in at the left is overwritten by the caller."""
    moved = np.empty_like(values)
    moved[places:] = values[: len(values) - places]
    moved[:places] = values[:1]
    return moved


def check_templates(keywords: Sequence[Keyword], num_tokens: int) -> None:
    """Refuse templates that are empty or of another vocabulary with a ``ConfigError``."""
    for keyword in keywords:
        for template in keyword.templates:
            if template.ndim != 2 or not len(template) or template.shape[1] != num_tokens:
                raise ConfigError(
                    f"keyword {keyword.label!r}: a template must be (frames, {num_tokens}) for this model, "
                    f"got {template.shape}; enroll it again with this model"
                )
