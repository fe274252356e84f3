"""What audio files really hold: rate, channels, length, and whether all of it can be read."""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby
from pathlib import Path
from typing import TypeVar

import numpy as np
import soundfile as sf

from speechrnn.errors import AudioError, ManifestError
from speechrnn.manifest import Utterance

ItemT = TypeVar("ItemT")
ResultT = TypeVar("ResultT")

BLOCK_SIZE = 1 << 16  # samples decoded at a time: an hour of audio must not fill the memory
DURATION_TOLERANCE_S = 0.1  # encoders of lossy formats pad, and manifests round
NUM_THREADS = 8  # the disk is waited for more than it is worked with
MAX_OGG_PAGE = 65_307  # bytes: header 27, table 255, 255 segments of 255
OGG_END_OF_STREAM = 4
UNKNOWN_SIZE = 0x7FFFF000  # a WAV file written to a pipe claims about this much or more


@dataclass(frozen=True, kw_only=True)
class AudioFacts:
    """What an audio file holds."""

    sample_rate: int
    """Hz."""
    num_samples: int
    """Samples in each channel."""
    num_channels: int
    """Channels."""
    is_silent: bool = False
    """Whether all samples are zero; false where only the header was read."""
    lacks_end: bool = False
    """Whether it is an Ogg file without an end mark: cut short, or saved from a running stream."""

    @property
    def duration_s(self) -> float:
        """Duration in seconds."""
        return self.num_samples / self.sample_rate


def probe_audio(path: Path, *, decode: bool) -> AudioFacts:
    """Find out what an audio file holds.

    Args:
        path: The file.
        decode: Read every sample, and so find damage anywhere; otherwise only the header.

    Raises:
        AudioError: If the file is missing, empty, not audio, cut short, without samples, or has
            samples that are no numbers.
    """
    if not path.is_file():
        raise AudioError(f"audio file {path} does not exist")
    if path.stat().st_size == 0:
        raise AudioError(f"audio file {path} is empty (0 bytes)")
    try:
        with sf.SoundFile(path) as audio:
            refuse_cut_wav(path, audio.extra_info)
            num_samples, peak = decode_all(path, audio) if decode else (audio.frames, np.inf)
            facts = AudioFacts(
                sample_rate=audio.samplerate,
                num_samples=num_samples,
                num_channels=audio.channels,
                is_silent=peak == 0,
                lacks_end=lacks_ogg_end(path),
            )
    except (sf.SoundFileError, OSError) as error:
        raise AudioError(f"audio file {path} cannot be read: {error}{name_cure(path)}") from error
    if facts.num_samples == 0:
        raise AudioError(f"audio file {path} holds no samples; is it cut short?")
    return facts


def describe_duration(seconds: float) -> str:
    """Write a duration: in hours, or in seconds if it is below 6 minutes."""
    return f"{seconds / 3600:.2f} h" if seconds >= 360 else f"{seconds:.1f} s"


def name_cure(path: Path) -> str:
    """Say what to do about formats that libsndfile does not know."""
    is_foreign = path.suffix.lower() in (".m4a", ".aac", ".mp4", ".wma")
    return f"; convert it: ffmpeg -i {path.name} {path.stem}.flac" if is_foreign else ""


def refuse_cut_wav(path: Path, log: str) -> None:
    """Refuse a WAV file with fewer bytes than its header says, which libsndfile only logs.

    Raises:
        AudioError: With both sizes.
    """
    for line in log.splitlines():
        if line.startswith("data : ") and "(should be " in line:
            said, there = line.removeprefix("data : ").rstrip(")").split(" (should be ")
            if int(there) < int(said) < UNKNOWN_SIZE:
                raise AudioError(
                    f"audio file {path} is cut short: {there} of {said} bytes of samples are there"
                )


def lacks_ogg_end(path: Path) -> bool:
    """Tell whether the last page of an Ogg file is not marked as the last of its stream.

    RFC 3533, section 6: a page begins with "OggS", a byte 0 and the flags; 4 marks the end.
    """
    with open(path, "rb") as file:
        if file.read(4) != b"OggS":
            return False
        file.seek(-min(path.stat().st_size, MAX_OGG_PAGE), os.SEEK_END)
        tail = file.read()
    flags = tail[tail.rfind(b"OggS") + 5 :][:1]
    return not flags or not flags[0] & OGG_END_OF_STREAM


def decode_all(path: Path, audio: sf.SoundFile) -> tuple[int, float]:
    """Read every sample; returns their number in each channel and the largest magnitude.

    Raises:
        AudioError: If the samples end before the header says, or some are no numbers.
    """
    num_samples, peak = 0, 0.0
    while len(block := audio.read(BLOCK_SIZE, dtype="float32")):
        num_samples += len(block)
        peak = max(peak, float(np.abs(block).max()))
        if not np.isfinite(block).all():
            raise AudioError(f"audio file {path} holds samples that are not finite numbers")
    if num_samples < audio.frames:
        raise AudioError(f"audio file {path} is cut short: {num_samples} of {audio.frames} samples")
    return num_samples, peak


def probe_utterances(
    utterances: Iterable[Utterance | ManifestError], *, decode: bool
) -> Iterator[tuple[Utterance | ManifestError, AudioFacts | AudioError | None]]:
    """Probe the files of a manifest on several threads, in its order.

    A file that several utterances in a row share is read once. An error of the manifest passes
    through, with nothing beside it.
    """

    @lru_cache(maxsize=4096)
    def probe(path: Path | None) -> AudioFacts | AudioError | None:
        try:
            return None if path is None else probe_audio(path, decode=decode)
        except AudioError as error:
            return error

    groups = ((path, list(group)) for path, group in groupby(utterances, key=audio_of))
    for (_, group), facts in map_in_order(lambda group: probe(group[0]), groups):
        for utterance in group:
            yield utterance, facts


def audio_of(found: Utterance | ManifestError) -> Path | None:
    """Return an utterance's file; an error has none."""
    return found.audio if isinstance(found, Utterance) else None


def map_in_order(
    function: Callable[[ItemT], ResultT], items: Iterable[ItemT]
) -> Iterator[tuple[ItemT, ResultT]]:
    """Apply a function on several threads, a few items ahead; yields item and result in order."""
    pending: deque[tuple[ItemT, Future[ResultT]]] = deque()
    with ThreadPoolExecutor(NUM_THREADS) as pool:
        for item in items:
            pending.append((item, pool.submit(function, item)))
            if len(pending) > 4 * NUM_THREADS:
                first, future = pending.popleft()
                yield first, future.result()
        for first, future in pending:
            yield first, future.result()
