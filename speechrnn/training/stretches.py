"""Stretches of longer recordings, as clips for a classifier."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import soundfile as sf

from speechrnn.errors import AudioError
from speechrnn.manifest import Utterance


def middle_stretch(utterance: Utterance, longest_s: float, label: str) -> Utterance:
    """Cut a stretch out of an utterance's middle and label it; a shorter utterance is taken whole.

    Raises:
        AudioError: If the utterance's length is not known and its audio cannot be read.
    """
    whole_s = utterance.duration_s or duration_s(utterance.audio) - utterance.start_s
    return replace(
        utterance,
        id=f"{label}-{utterance.id}",
        text=label,
        start_s=utterance.start_s + round(max(0.0, (whole_s - longest_s) / 2), 3),
        duration_s=min(longest_s, whole_s),
    )


def consecutive_stretches(
    utterance: Utterance, length_s: float, label: str, *, every: int = 1
) -> Iterator[Utterance]:
    """Cut an utterance into stretches and label every so-many-th; what is left behind the last is lost.

    Raises:
        AudioError: If the utterance's length is not known and its audio cannot be read.
    """
    whole_s = utterance.duration_s or duration_s(utterance.audio) - utterance.start_s
    for index in range(0, int(whole_s / length_s), every):
        yield replace(
            utterance,
            id=f"{label}-{utterance.id}-{index}",
            text=label,
            start_s=round(utterance.start_s + index * length_s, 3),
            duration_s=length_s,
        )


def duration_s(audio: Path) -> float:
    """Read a recording's length in seconds.

    Raises:
        AudioError: If it cannot be read.
    """
    try:
        return float(sf.info(audio).duration)
    except (sf.SoundFileError, OSError) as error:
        raise AudioError(f"audio file {audio} cannot be read: {error}") from error
