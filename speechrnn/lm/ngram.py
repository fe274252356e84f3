"""A back-off n-gram model as a trie in flat arrays, which walks from context to context word by word."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from types import ModuleType
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from speechrnn.errors import ConfigError
from speechrnn.lm.compiled import import_compiled

LmUnit = Literal["word", "character"]
LM_UNITS = ("word", "character")
UNKNOWN, BEGIN_OF_SENTENCE, END_OF_SENTENCE = "<unk>", "<s>", "</s>"
SPACE = "<space>"
"""How a model of characters spells the space, which separates the tokens of a file."""
STEPS = (1e-6, 10.0)
"""What log probabilities may be rounded to multiples of, nats: finer float32 has not, and coarser say nothing."""
ARRAYS = {
    "words": np.int32,
    "log_probs": np.float32,
    "backoffs": np.float32,
    "first_child": np.int64,
    "suffixes": np.int32,
}


@dataclass(frozen=True, kw_only=True, eq=False)
class NgramModel:
    """An n-gram model with back-off.

    A node of the trie is an n-gram, its parent the n-gram without the last word. Nodes are numbered by
    (order, parent, word): node 0 is the root, the empty context, and node ``i + 1`` the unigram of word
    ``i``. A state is the node of a context, the longest whose first word can still matter.

    Example:
        >>> import numpy as np
        >>> from speechrnn.lm.trie import Level, build_model
        >>> unigrams = Level(np.arange(4)[:, None], np.log([0.1, 1, 0.5, 0.4]), np.zeros(4))
        >>> model = build_model(("<unk>", "<s>", "</s>", "a"), [unigrams])
        >>> log_prob, state = model.score(model.begin_state(), model.word_id("a"))
        >>> round(float(np.exp(log_prob)), 3)
        0.4
    """

    vocabulary: tuple[str, ...]
    """Spelling of each word; its place is the word's id. Holds <unk>, <s> and </s>."""
    order: int
    """Words of the longest n-gram."""
    words: NDArray[np.int32]
    """(nodes,) last word of each n-gram; -1 for the root."""
    log_probs: NDArray[np.float32]
    """(nodes,) natural log of P(last word | the words before it)."""
    backoffs: NDArray[np.float32]
    """(nodes,) natural log of the back-off weight of the n-gram as a context; 0 where it is none."""
    first_child: NDArray[np.int64]
    """(nodes + 1,) children of node n are ``first_child[n]`` … ``first_child[n + 1]`` - 1, by rising word id."""
    suffixes: NDArray[np.int32]
    """(nodes,) node of the n-gram without its first word, or of the longest end of that which is in the model."""
    unit: LmUnit = "word"
    """What a word of the model is: a word, or a character with ``<space>`` for the space."""

    def __post_init__(self) -> None:
        """Check that the parts fit each other, and make the arrays read-only.

        Raises:
            ConfigError: If they do not fit, or <unk>, <s> or </s> is missing.
        """
        if self.unit not in LM_UNITS:
            raise ConfigError(f"unit must be one of {', '.join(LM_UNITS)}, got {self.unit!r}")
        for token in (UNKNOWN, BEGIN_OF_SENTENCE, END_OF_SENTENCE):
            if token not in self.word_ids:
                raise ConfigError(f"the vocabulary of a language model must hold {token}")
        for name, dtype in ARRAYS.items():
            array = np.ascontiguousarray(getattr(self, name), dtype)
            if len(array) != len(self.words) + (name == "first_child"):
                raise ConfigError(f"{name} has {len(array)} entries for {len(self.words)} nodes")
            array = array.view()
            array.setflags(write=False)  # one kind of array, memory-mapped or not, compiles once
            object.__setattr__(self, name, array)

    @cached_property
    def word_ids(self) -> dict[str, int]:
        """Id of each word."""
        return {word: number for number, word in enumerate(self.vocabulary)}

    @property
    def unknown(self) -> int:
        """Id of <unk>, which stands for every word that the model does not know."""
        return self.word_ids[UNKNOWN]

    @property
    def begin_of_sentence(self) -> int:
        """Id of <s>."""
        return self.word_ids[BEGIN_OF_SENTENCE]

    @property
    def end_of_sentence(self) -> int:
        """Id of </s>."""
        return self.word_ids[END_OF_SENTENCE]

    @property
    def arrays(self) -> tuple[NDArray[Any], ...]:
        """The five arrays in the order in which ``scoring.score_word`` takes them."""
        return self.words, self.log_probs, self.backoffs, self.first_child, self.suffixes

    @cached_property
    def level_bounds(self) -> tuple[int, ...]:
        """First node of each order from 1 on, and the number of nodes."""
        bounds = [1]
        for _ in range(self.order):  # the first child of an order's first node begins the next order
            bounds.append(int(self.first_child[bounds[-1]]))
        return tuple(bounds)

    @property
    def counts(self) -> tuple[int, ...]:
        """Number of n-grams of each order from 1 on."""
        return tuple(end - start for start, end in itertools.pairwise(self.level_bounds))

    def word_id(self, word: str) -> int:
        """Look up a word; that of <unk> if the model does not know it."""
        return self.word_ids.get(word, self.unknown)

    def rounded(self, step: float) -> "NgramModel":
        """Round log probabilities and weights to multiples of ``step`` nats: a packed file gets much smaller.

        The probabilities after a context then sum to 1 only about.

        Raises:
            ConfigError: If ``step`` is out of ``STEPS``.
        """
        least, most = STEPS
        if not least <= step <= most:
            raise ConfigError(f"step must be in [{least:g}, {most:g}] nats, got {step}")
        log_probs, backoffs = (
            (np.round(each / step) * step).astype(np.float32) for each in (self.log_probs, self.backoffs)
        )
        return replace(self, log_probs=log_probs, backoffs=backoffs)

    def begin_state(self) -> int:
        """Return the state at the begin of a sentence, after <s>."""
        state: int = scoring().minimize_state(
            self.backoffs, self.first_child, self.suffixes, self.begin_of_sentence + 1
        )
        return state

    def score(self, state: int, word_id: int) -> tuple[float, int]:
        """Score a word after a context.

        Args:
            state: Node of the context, as ``begin_state`` or ``score`` gave it; 0 for none.
            word_id: As ``word_id`` gave it.

        Returns:
            Natural log of the word's probability, and the state after it.

        Raises:
            ConfigError: If the word or the state does not exist, or Numba is not installed.
        """
        if not 0 <= word_id < len(self.vocabulary):
            raise ConfigError(f"word_id must be in [0, {len(self.vocabulary)}), got {word_id}")
        if not 0 <= state < len(self.words):
            raise ConfigError(f"state must be in [0, {len(self.words)}), got {state}")
        log_prob, next_state = scoring().score_word(*self.arrays, state, word_id)
        return log_prob, next_state

    def score_sentence(self, words: Sequence[str]) -> NDArray[np.float64]:
        """Score a sentence from <s> to </s>.

        Args:
            words: Words of a model of words, or characters and ``<space>``; may be empty.

        Returns:
            (len(words) + 1,) natural log of the probability of each word, and of </s>.

        Raises:
            ConfigError: If Numba is not installed.
        """
        ids = [*map(self.word_id, words), self.end_of_sentence]
        return self.score_ids(np.array(ids, np.int32))

    def score_ids(self, ids: NDArray[np.int32]) -> NDArray[np.float64]:
        """Score sentences, each closed by the id of </s>: a natural log for every id."""
        scores: NDArray[np.float64] = scoring().score_sentences(
            *self.arrays, self.begin_state(), self.end_of_sentence, ids
        )
        return scores


def scoring() -> ModuleType:
    """Import the compiled arithmetic; errors as ``import_compiled``: reading a model must not take Numba."""
    return import_compiled("speechrnn.lm.scoring")
