"""Prefix beam search over CTC log probabilities, with a language model, a lexicon, phrases and hot words."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import ModuleType

import numpy as np
from numpy.typing import ArrayLike, NDArray

from speechrnn.decoding.beam_layout import ENDING, PREFIX, TREE_PATH, TREE_PREFIX, Beam, Tree
from speechrnn.decoding.greedy import check_emissions
from speechrnn.decoding.hypothesis import Hypothesis
from speechrnn.decoding.lexicon import Reading, read_said
from speechrnn.decoding.search_space import SearchSpace, make_search_space
from speechrnn.decoding.spelling import Spelling
from speechrnn.decoding.word_list import WordList
from speechrnn.errors import ConfigError
from speechrnn.lm.compiled import import_compiled
from speechrnn.lm.ngram import NgramModel
from speechrnn.pronunciations import Pronunciations
from speechrnn.text import Vocabulary

BLOCK = 256  # frames between two clean-ups of the tree of prefixes
NORMALIZATION_TOLERANCE = 1e-2  # of the sum of a frame's posteriors: half-precision emissions stay well below


@dataclass(frozen=True, kw_only=True)
class BeamConfig:
    """How wide the search is, and what counts for how much."""

    beam_size: int = 50
    """Prefix endings (in a blank or in a token) that survive a frame; where phones are read as words, of those that the
    language model will treat alike from then on only as many as texts are asked for."""
    beam_threshold: float = 25.0
    """Nats behind the best at which a prefix is dropped."""
    top_tokens: int = 40
    """Tokens tried in a frame, the most probable ones."""
    token_threshold: float = 12.0
    """Nats behind a frame's best token at which a token is not tried."""
    log_add: bool = True
    """Whether a prefix has the summed probability of its paths, or that of the best."""
    alpha: float = 0.5
    """Weight of the language model; 0 is none."""
    beta: float = 0.0
    """Added for each word (for each token, with a language model over tokens)."""
    unknown_score: float = -5.0
    """Added for a word that neither language model nor lexicon knows, or that is not spelled in its usual tokens."""

    def __post_init__(self) -> None:
        """Check every range.

        Raises:
            ConfigError: Naming the option, its value and its range.
        """
        for name in ("beam_size", "top_tokens"):
            if getattr(self, name) < 1:
                raise ConfigError(f"beam.{name} must be >= 1, got {getattr(self, name)!r}")
        for name in ("beam_threshold", "token_threshold", "alpha"):
            if not 0 <= getattr(self, name) < math.inf:
                raise ConfigError(f"beam.{name} must be >= 0 and finite, got {getattr(self, name)!r}")
        for name in ("beta", "unknown_score"):
            if not math.isfinite(getattr(self, name)):
                raise ConfigError(f"beam.{name} must be finite, got {getattr(self, name)!r}")


class BeamDecoder:
    """Decode batches or streams; one decoder may serve many of them."""

    def __init__(
        self,
        vocabulary: Vocabulary,
        config: BeamConfig = BeamConfig(),
        *,
        pronunciations: Pronunciations | None = None,
        lm: NgramModel | None = None,
        lexicon: WordList | None = None,
        phrases: WordList | None = None,
        hot_words: Mapping[str, float] | None = None,
    ) -> None:
        """Prepare a search.

        Args:
            vocabulary: Of a CTC model.
            config: Width and weights.
            pronunciations: How words are said, of a model of phones: with a language model over words, a lexicon or
                phrases, its phones are read as words.
            lm: Language model over words, or over the model's own tokens.
            lexicon: The only words that may occur; a spelled-out grammar of digits or letters, for example. Where
                phones are read as words, a word's own phones may stand behind a tab.
            phrases: The only texts that may be answered. Where phones are read as words, a line's only word may have
                its own phones behind a tab.
            hot_words: Words or phrases and what each adds to the score, in nats.

        Raises:
            ConfigError: If options exclude each other, or a language model does not fit the vocabulary or the
                pronunciations (with the counts).
            TextError: If a word, phrase or hot word has a token that the vocabulary lacks, or nobody says how to say
                it.
        """
        self.vocabulary = vocabulary
        self.kernel = beam_kernel()
        self.space = make_search_space(
            Spelling(vocabulary, pronunciations if vocabulary.unit == "phone" else None),
            config,
            lm=lm,
            lexicon=lexicon,
            phrases=phrases,
            hot_words=hot_words,
        )
        self.config = self.space.config

    def decode(
        self, log_probs: ArrayLike, output_lengths: ArrayLike, *, n_best: int = 1
    ) -> list[list[Hypothesis]]:
        """Decode a padded batch.

        Args:
            log_probs: (batch, time, len(vocabulary)) natural logs of posteriors.
            output_lengths: (batch,) frames that are real.
            n_best: Hypotheses to return, >= 1.

        Returns:
            For each utterance its hypotheses, best first; fewer than ``n_best`` if fewer texts survived, and
            none if nothing that may be answered did.

        Raises:
            ConfigError: If shapes and vocabulary do not fit each other, a frame is no distribution, or ``n_best`` is
                below 1.
        """
        batch, lengths = np.asarray(log_probs), np.asarray(output_lengths)
        check_emissions(batch, lengths, self.vocabulary)
        answers = []
        for index, (rows, length) in enumerate(zip(batch, lengths, strict=True)):
            stream = self.stream(f"log_probs[{index}]", n_best=n_best)
            stream.accept(rows[:length])
            answers.append(stream.finish())
        return answers

    def stream(self, name: str = "log_probs", *, n_best: int = 1) -> "BeamStream":
        """Begin an utterance whose frames arrive in pieces; ``name`` is for errors.

        Raises:
            ConfigError: If ``n_best`` is below 1.
        """
        if n_best < 1:
            raise ConfigError(f"n_best must be >= 1, got {n_best}")
        return BeamStream(self, name, n_best)


def beam_kernel() -> ModuleType:
    """Import the compiled search; errors as ``import_compiled``: greedy decoding must not take Numba."""
    return import_compiled("speechrnn.decoding.beam_kernel")


def beam_tree() -> ModuleType:
    """Import the compiled tree; as ``beam_kernel``."""
    return import_compiled("speechrnn.decoding.beam_tree")


class BeamStream:
    """One utterance on its way through the search; its answer does not depend on how it was cut."""

    def __init__(self, decoder: BeamDecoder, name: str, n_best: int) -> None:
        self.decoder = decoder
        self.name = name
        self.n_best = n_best
        self.options = decoder.space.options._replace(num_alike=n_best)
        self.num_frames = 0
        self.size = 1
        beam_size = decoder.config.beam_size
        self.beam, self.spare = (empty_beam(beam_size) for _ in range(2))
        self.beam.prefixes["lm_state"][0] = decoder.space.begin_state
        self.tree = empty_tree(4 * BLOCK)
        self.live_size = 1

    @property
    def columns(self) -> NDArray[np.int32]:
        """The column of log probabilities of each token of the search."""
        columns: NDArray[np.int32] = self.space.tokens["column"]
        return columns

    @property
    def space(self) -> SearchSpace:
        """What may be said, and what it is worth."""
        return self.decoder.space

    def accept(self, log_probs: ArrayLike) -> None:
        """Search on through frames (time, len(vocabulary)).

        Raises:
            ConfigError: If a frame holds NaN or is no distribution, with its number.
        """
        frames = np.asarray(log_probs)
        for start in range(0, len(frames), BLOCK):  # hours of them are never copied whole
            block = np.ascontiguousarray(frames[start : start + BLOCK], dtype=np.float64)
            check_frames(block, self.name, self.num_frames, len(self.decoder.vocabulary))
            self.accept_block(block if len(self.space.tokens) == block.shape[1] else block[:, self.columns])

    def accept_block(self, frames: NDArray[np.float64]) -> None:
        """Search on through at most ``BLOCK`` frames (time, tokens of the search)."""
        if self.tree.size.max() > 2 * self.live_size + BLOCK:
            beam_tree().compact(self.size, self.beam, self.tree)
            self.live_size = int(self.tree.size.max())
        room = int(self.tree.size.max()) + len(frames) * self.decoder.config.beam_size
        self.tree = enlarge(self.tree, room)
        space = self.space
        self.size, self.beam, self.spare = self.decoder.kernel.advance(
            frames,
            self.num_frames,
            self.size,
            self.beam,
            self.spare,
            self.tree,
            space.lm,
            space.lexicon,
            space.hot,
            space.tokens,
            self.options,
        )
        self.num_frames += len(frames)

    def finish(self) -> list[Hypothesis]:
        """Rank what has been heard so far as whole texts; the stream may go on afterwards."""
        space = self.space
        totals, acoustics, lm_scores = self.decoder.kernel.finish(
            self.size, self.beam, space.lm, space.lexicon, space.hot, space.end_of_sentence, self.options
        )
        hypotheses: dict[
            str, Hypothesis
        ] = {}  # spaces at the ends or twice may tell prefixes apart, not texts
        for place in np.argsort(-totals, axis=None, kind="stable"):
            row, last_word = divmod(int(place), totals.shape[1])
            if len(hypotheses) == self.n_best or totals[row, last_word] == -np.inf:
                break
            found = replace(
                self.hypothesis(row, last_word=last_word),
                log_prob=float(acoustics[row]),
                lm_log_prob=float(lm_scores[row, last_word]),
                score=float(totals[row, last_word]),
            )
            hypotheses.setdefault(found.text, found)
        return list(hypotheses.values())

    def hypothesis(self, row: int, *, last_word: int) -> Hypothesis:
        """Read one prefix and its best path; ``last_word`` tells which of the words that end there was said."""
        vocabulary, paths = self.decoder.vocabulary, self.tree.paths
        endings = self.beam.endings[row]
        best = endings[endings["best"].argmax()]
        path, end, peak = int(best["path"]), int(best["end"]), float(best["peak"])
        tokens, starts, ends, peaks = [], [], [], []
        while path >= 0:
            node = paths[path]
            tokens.append(int(node["token"]))
            starts.append(int(node["start"]))
            ends.append(end)
            peaks.append(min(1.0, float(np.exp(peak))))
            path, end, peak = int(node["before"]), int(node["end_before"]), float(node["peak_before"])
        tokens.reverse()
        words, space = Reading("", ()), self.space
        if space.words.said:
            words = read_said(space.words.automaton, space.words.said, space.tokens[tokens], last_word)
        elif space.words.phrases is not None:
            words = space.words.phrases.read(tokens)
        tokens = self.columns[tokens].tolist()
        return Hypothesis(
            text=words.text or vocabulary.normalize(vocabulary.decode(tokens)),
            tokens=tuple(tokens),
            word_starts=words.starts,
            frames=tuple(reversed(starts)),
            log_prob=-math.inf,
            confidence=float(np.mean(peaks)) if peaks else 1.0,
            ends=tuple(reversed(ends)),
            peaks=tuple(reversed(peaks)),
        )


def check_frames(frames: NDArray[np.float64], name: str, first: int, num_tokens: int) -> None:
    """Check that each frame is a distribution over the tokens; errors as ``BeamStream.accept``."""
    if frames.ndim != 2 or frames.shape[1] != num_tokens:
        raise ConfigError(f"{name} must be (time, {num_tokens}) for this vocabulary, got {frames.shape}")
    sums = np.exp(frames).sum(axis=1)
    wrong = np.flatnonzero(~(np.abs(sums - 1) <= NORMALIZATION_TOLERANCE))
    if len(wrong):
        frame = wrong[0]
        if np.isnan(frames[frame]).any():
            raise ConfigError(f"{name}: frame {first + frame} holds NaN")
        raise ConfigError(
            f"{name}: the posteriors of frame {first + frame} sum to {sums[frame]:.4g}, not 1; "
            "pass log probabilities (log_softmax), not logits"
        )


def empty_beam(size: int) -> Beam:
    """Make a beam of ``size`` rows, the first of them the empty prefix."""
    beam = Beam(np.zeros(size, PREFIX), np.zeros((size, 2), ENDING))
    for name, value in (("score", -np.inf), ("best", -np.inf), ("path", -1), ("end", -1)):
        beam.endings[name] = value
    for name in ("score", "best"):
        beam.endings[name][0, 0] = 0.0
    return beam


def empty_tree(capacity: int) -> Tree:
    """Make a tree with room for ``capacity`` prefixes and paths; it holds the empty prefix."""
    prefixes, paths = np.zeros(capacity, TREE_PREFIX), np.zeros(capacity, TREE_PATH)
    prefixes["child"] = -1
    return Tree(prefixes, paths, np.array([1, 0]))


def enlarge(tree: Tree, capacity: int) -> Tree:
    """Return the tree with room for ``capacity`` prefixes and paths."""
    have = len(tree.prefixes)
    if have >= capacity:
        return tree
    more = max(capacity, 2 * have) - have
    grown = [np.concatenate([nodes, np.zeros(more, nodes.dtype)]) for nodes in (tree.prefixes, tree.paths)]
    return tree._replace(prefixes=grown[0], paths=grown[1])
