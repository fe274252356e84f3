"""Transcripts in phones instead of words."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace

from speechrnn.manifest import Utterance
from speechrnn.pronunciations import Pronunciations

MOST_NAMED = 20


def to_phones(
    utterances: Iterable[Utterance], pronunciations: Pronunciations
) -> tuple[list[Utterance], Counter[str]]:
    """Say each word in the usual way.

    Returns:
        Those utterances all of whose words are known, their texts phones with spaces between, in their order; and how
        often each word that is not known was met.
    """
    spoken: list[Utterance] = []
    unknown: Counter[str] = Counter()
    for utterance in utterances:
        words = utterance.text.split()
        ways = [pronunciations.of(word) for word in words]
        unknown.update(word for word, known in zip(words, ways, strict=True) if not known)
        if all(ways):
            spoken.append(replace(utterance, text=" ".join(known[0] for known in ways)))
    return spoken, unknown


def name_unknown(unknown: Counter[str]) -> str:
    """Name the most frequent of words that are not known."""
    named = ", ".join(f"{word!r} ({count}×)" for word, count in unknown.most_common(MOST_NAMED))
    return named + (f" and {len(unknown) - MOST_NAMED} more words" if len(unknown) > MOST_NAMED else "")
