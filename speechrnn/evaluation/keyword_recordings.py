"""Recordings of keywords and of everything else: where they are, and which keyword each is of."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from speechrnn.decoding.keywords import Keyword
from speechrnn.errors import ConfigError, ManifestError
from speechrnn.evaluation.detection import RATES
from speechrnn.manifest import AUDIO_SUFFIXES, Utterance, find_files, read_manifest

MOST_DB = 100.0  # between a positive and the noise: beyond it, one of them is not there


@dataclass(frozen=True, kw_only=True)
class KeywordTrial:
    """What a detector is tried on."""

    negatives: Sequence[Utterance]
    """Recordings of anything else; where a text says a keyword, they are none for that keyword."""
    positives: Sequence[Utterance] = ()
    """Clips of one keyword each; their texts are its label."""
    noise: Sequence[Utterance] = ()
    """Recordings that are mixed with the positives."""
    snrs_db: Sequence[float] = ()
    """How loud a positive is above the noise, a measurement for each; at most 100 dB above or below."""
    rates: Sequence[float] = RATES
    """False alarms an hour."""

    def __post_init__(self) -> None:
        """Check the values; a ``ConfigError`` names the one that is wrong."""
        if not self.negatives:
            raise ConfigError("there are no negatives to count false alarms on")
        if not self.rates or not all(0 <= rate < np.inf for rate in self.rates):
            raise ConfigError(f"false alarms an hour must be >= 0 and finite, got {list(self.rates)}")
        if bool(self.noise) != bool(self.snrs_db):
            raise ConfigError("noise and signal-to-noise ratios go together; one of them is missing")
        if not all(abs(snr) <= MOST_DB for snr in self.snrs_db):  # NaN is not, either
            raise ConfigError(
                f"signal-to-noise ratios must be from {-MOST_DB:g} to {MOST_DB:g} dB, got {list(self.snrs_db)}"
            )


def says(utterance: Utterance, keyword: Keyword) -> bool:
    """Tell whether an utterance's text says a keyword in whole words: a spelling, or the label of a recorded one."""
    text = f" {plain(utterance.text)} "
    return any(f" {plain(phrase)} " in text for phrase in keyword.spellings or (keyword.label,))


def assign(positives: Sequence[Utterance], keywords: Sequence[Keyword]) -> list[int]:
    """Find the keyword of each positive by its label or one of its spellings.

    Raises:
        ConfigError: If a positive is of no keyword, or a keyword has none.
    """
    numbers = name_keywords(keywords)
    owners = []
    for utterance in positives:
        if plain(utterance.text) not in numbers:
            known = ", ".join(keyword.label for keyword in keywords)
            raise ConfigError(
                f"{utterance.audio}: is of {utterance.text!r}, which is no keyword; those are {known}"
            )
        owners.append(numbers[plain(utterance.text)])
    missing = [keyword.label for number, keyword in enumerate(keywords) if number not in owners]
    if positives and missing:
        raise ConfigError(f"there are no positives of {', '.join(map(repr, missing))}")
    return owners


def plain(label: str) -> str:
    """Bring a label to what folders and keywords have in common."""
    return " ".join(label.replace("_", " ").casefold().split())


def name_keywords(keywords: Sequence[Keyword]) -> dict[str, int]:
    """List the names of keywords in their plain form, and the keyword that each is of: labels go before spellings."""
    names = {
        plain(spelling): number for number, keyword in enumerate(keywords) for spelling in keyword.spellings
    }
    return names | {plain(keyword.label): number for number, keyword in enumerate(keywords)}


def find_recordings(source: Path) -> list[Utterance]:
    """List all recordings of a folder, however deep, or of a manifest.

    Raises:
        ManifestError: If there is none, or the manifest cannot be read.
    """
    if not source.is_dir():
        return read_manifest(source)
    paths = [path for path in find_files(source) if path.suffix.lower() in AUDIO_SUFFIXES]
    if not paths:
        raise ManifestError(f"{source}: holds no audio")
    return list(map(partial(whole_file, text=""), paths))


def find_positives(source: Path, keywords: Sequence[Keyword]) -> list[Utterance]:
    """List clips of keywords: a folder named after each, a folder of nothing but clips for one, or a manifest.

    Names are labels or spellings. Folders of other names are passed over, and lines of a manifest with other texts.

    Raises:
        ManifestError: If there is no such folder or line, or the manifest cannot be read.
    """
    labels = {name: keywords[number].label for name, number in name_keywords(keywords).items()}
    known = ", ".join(keyword.label for keyword in keywords)
    if not source.is_dir():
        found = [utterance for utterance in read_manifest(source) if plain(utterance.text) in labels]
        if not found:
            raise ManifestError(f"{source}: has no text that is a keyword: {known}")
        return found
    folders = [path for path in sorted(source.iterdir()) if path.is_dir() and plain(path.name) in labels]
    if not folders and len(keywords) == 1 and not any(path.is_dir() for path in source.iterdir()):
        return [whole_file(utterance.audio, keywords[0].label) for utterance in find_recordings(source)]
    if not folders:
        raise ManifestError(f"{source}: has no folder named after a keyword: {known}")
    return [
        whole_file(utterance.audio, labels[plain(folder.name)])
        for folder in folders
        for utterance in find_recordings(folder)
    ]


def whole_file(audio: Path, text: str) -> Utterance:
    """Make an utterance of a file; Speech Commands names speakers before ``_nohash_``."""
    speaker, _, number = audio.stem.partition("_nohash_")
    return Utterance(id=str(audio), audio=audio, text=text, speaker=speaker if number else None)
