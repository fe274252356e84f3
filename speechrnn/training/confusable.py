"""Phrases that a keyword could be taken for: what a detector must learn to let pass."""

import difflib
import random
from collections.abc import Iterable, Sequence

MOST_NEIGHBOURS = 60
LEAST_SIMILAR = 0.5  # of difflib's ratio: "alexa" and "relax" have 0.6


def confusable_phrases(phrase: str, words: Iterable[str], *, number: int, seed: int) -> list[str]:
    """Make phrases that sound like parts of a keyword, contain it in part, or resemble it.

    A third are pieces of the keyword (its words alone, in another order, its beginning and end), a third have
    words of a similar spelling in the place of its own, a third are any words, of which the keyword's voice is
    not a sign either.

    Args:
        phrase: The keyword, one or several words.
        words: Words of the language, for example of transcripts.
        number: How many phrases; some come more than once.
        seed: With the words it fixes the phrases.

    Returns:
        The phrases, none of which contains the keyword.

    Raises:
        ValueError: If there are no words but the keyword's.
    """
    own = phrase.lower().split()
    others = sorted({word.lower() for word in words} - set(own))
    if not others:
        raise ValueError("words must hold at least one that is not the keyword's")
    rng = random.Random(seed)
    parts, similar = pieces(own), [neighbours(word, others) for word in own]
    makers = (
        lambda: rng.choice(parts) if parts else rng.choice(others),
        lambda: " ".join(rng.choice(near) if near else rng.choice(others) for near in similar),
        lambda: " ".join(rng.choices(others, k=len(own) + rng.randrange(2))),
    )
    made = [makers[index % len(makers)]() for index in range(number)]
    return [text if phrase.lower() not in text else rng.choice(others) for text in made]


def pieces(own: Sequence[str]) -> list[str]:
    """Take a keyword apart: halves of a word, and of several each alone and all of them the other way round."""
    halves = [
        part for word in own if len(word) > 3 for part in (word[: len(word) // 2 + 1], word[len(word) // 2 :])
    ]
    return [*own, " ".join(reversed(own)), *halves] if len(own) > 1 else halves


def neighbours(word: str, others: Sequence[str]) -> list[str]:
    """Find the words that are spelled most like one."""
    return difflib.get_close_matches(word, others, n=MOST_NEIGHBOURS, cutoff=LEAST_SIMILAR)
