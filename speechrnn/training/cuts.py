"""Lhotse cuts, the form in which training reads its data: made of utterances, and written."""

import contextlib
import gzip
import json
import logging
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from lhotse import MonoCut, MultiCut, Recording, SupervisionSegment
from lhotse.audio import AudioSource
from lhotse.cut import Cut

from speechrnn.errors import AudioError, ManifestError
from speechrnn.manifest import Utterance
from speechrnn.training.probe import (
    DURATION_TOLERANCE_S,
    AudioFacts,
    describe_duration,
    probe_utterances,
)

logger = logging.getLogger("speechrnn")

SUFFIX = ".jsonl.gz"


@dataclass(frozen=True, kw_only=True)
class PreparedManifest:
    """What a manifest of cuts holds."""

    path: Path
    """The file."""
    num_utterances: int
    """Cuts; each has one supervision."""
    duration_s: float
    """Their durations together, seconds."""
    num_speakers: int
    """Different speakers named."""
    num_without_speaker: int
    """Utterances whose speaker is unknown."""
    num_empty_texts: int
    """Utterances in which nothing is said."""

    def __str__(self) -> str:
        """Sum up in a line."""
        counts = {
            "speakers": self.num_speakers,
            "utterances of unknown speakers": self.num_without_speaker,
            "empty texts": self.num_empty_texts,
        }
        notes = [f"{name}: {count:,}" for name, count in counts.items() if count]
        duration = describe_duration(self.duration_s)
        return ", ".join([f"{self.path}: {self.num_utterances:,} utterances, {duration}", *notes])


# ---- Utterances to cuts -------------------------------------------------------------------------


def utterances_to_cuts(utterances: Iterable[Utterance]) -> Iterator[Cut]:
    """Make a cut of each utterance; only the headers of the audio are read.

    Raises:
        ManifestError: If an utterance lies outside its audio.
        AudioError: If an audio file is missing, empty or no audio.
    """
    num_mismatches, first = 0, ""
    for utterance, facts in probe_utterances(utterances, decode=False):
        if isinstance(utterance, ManifestError):
            raise utterance
        if isinstance(facts, AudioError):
            raise AudioError(f"{utterance.place}: {facts} (utterance {utterance.id!r})") from facts
        assert facts is not None
        stated = utterance.file_duration_s
        if stated is not None and abs(stated - facts.duration_s) > DURATION_TOLERANCE_S:
            num_mismatches += 1
            first = first or f"{utterance.place}: {stated:g} s for {facts.duration_s:g} s"
        yield utterance_to_cut(utterance, facts)
    if num_mismatches:
        logger.warning(
            "%d stated durations are not those of the audio, which count (the first: %s); "
            "`speechrnn check` lists them",
            num_mismatches,
            first,
        )


def utterance_to_cut(utterance: Utterance, facts: AudioFacts) -> Cut:
    """Make a cut with one supervision that spans it.

    An utterance that hears the mean of several channels becomes a MultiCut, any other a MonoCut.

    Raises:
        ManifestError: If the utterance ends behind its audio or names a channel that is not there.
    """
    channel = utterance_channel(utterance, facts)
    start, duration = utterance_span(utterance, facts)
    supervision = SupervisionSegment(
        id=utterance.id,
        recording_id=utterance.id,
        start=0.0,
        duration=duration,
        channel=channel,
        text=utterance.text,
        speaker=utterance.speaker,
    )
    kind = MultiCut if isinstance(channel, list) else MonoCut
    return kind(
        id=utterance.id,
        start=start,
        duration=duration,
        channel=channel,
        supervisions=[supervision],
        recording=utterance_recording(utterance, facts),
    )


def utterance_recording(utterance: Utterance, facts: AudioFacts) -> Recording:
    """Describe an utterance's file to Lhotse."""
    channels = list(range(facts.num_channels))
    source = AudioSource(type="file", channels=channels, source=str(utterance.audio.absolute()))
    return Recording(
        id=utterance.id,
        sources=[source],
        sampling_rate=facts.sample_rate,
        num_samples=facts.num_samples,
        duration=facts.duration_s,
    )


def utterance_channel(utterance: Utterance, facts: AudioFacts) -> int | list[int]:
    """Choose the channel of a cut: one, or all of several; errors as ``utterance_to_cut``."""
    if utterance.channel is None:
        return 0 if facts.num_channels == 1 else list(range(facts.num_channels))
    if utterance.channel >= facts.num_channels:
        raise ManifestError(
            f"{utterance.place}: channel must be below {facts.num_channels}, the channels of "
            f"{utterance.audio}, got {utterance.channel} (utterance {utterance.id!r})"
        )
    return utterance.channel


def utterance_span(utterance: Utterance, facts: AudioFacts) -> tuple[float, float]:
    """Compute start and duration in seconds within the audio; errors as ``utterance_to_cut``."""
    left = facts.duration_s - utterance.start_s
    is_whole = utterance.duration_s is None or utterance.duration_s == utterance.file_duration_s
    wanted = left if is_whole else utterance.duration_s
    assert wanted is not None
    if left <= 0 or wanted > left + DURATION_TOLERANCE_S:
        end = utterance.start_s + max(wanted, 0.0)
        raise ManifestError(
            f"{utterance.place}: ends at {end:g} s, but {utterance.audio} lasts "
            f"{facts.duration_s:g} s (utterance {utterance.id!r})"
        )
    return utterance.start_s, min(wanted, left)


def cut_text(cut: Cut) -> str:
    """Join the texts of a cut's supervisions."""
    return " ".join(s.text for s in cut.supervisions if s.text)


# ---- Writing ------------------------------------------------------------------------------------


def watched(cuts: Iterable[Cut], on_cut: Callable[[], object]) -> Iterator[Cut]:
    """Pass cuts on, telling of each."""
    for cut in cuts:
        on_cut()
        yield cut


def refuse_existing(paths: Iterable[Path], *, overwrite: bool) -> None:
    """Check that nothing is lost by writing.

    Raises:
        ManifestError: If a manifest exists and must not be overwritten, or a name does not fit.
    """
    for path in paths:
        if not path.name.endswith(SUFFIX):
            raise ManifestError(f"{path}: the manifest's name must end in {SUFFIX}")
        if path.exists() and not overwrite:
            raise ManifestError(f"{path}: exists already; --overwrite replaces it")


def split_path(folder: Path, split: str) -> Path:
    """Name a split's manifest."""
    return folder / f"{split}{SUFFIX}"


def write_splits(
    splits: Mapping[str, Iterable[Cut]], folder: Path, *, overwrite: bool
) -> list[PreparedManifest]:
    """Write a manifest for each split; errors as ``write_manifest``."""
    paths = {name: split_path(folder, name) for name in splits}
    refuse_existing(paths.values(), overwrite=overwrite)
    return [write_manifest(splits[name], path, overwrite=overwrite) for name, path in paths.items()]


def write_manifest(cuts: Iterable[Cut], path: Path, *, overwrite: bool) -> PreparedManifest:
    """Write cuts, and only when all is well give the file its name.

    The same cuts always make the same bytes.

    Raises:
        ManifestError: If the file exists or cannot be written, an id comes twice, or nothing comes.
    """
    refuse_existing([path], overwrite=overwrite)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(partial, "wb") as raw, gzip.GzipFile("", "wb", 6, raw, mtime=0) as file:
            prepared = write_cuts(cuts, file, path)
        os.replace(partial, path)
    except OSError as error:
        raise ManifestError(f"{path}: cannot be written: {error.strerror or error}") from error
    finally:
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)
    return prepared


def write_cuts(cuts: Iterable[Cut], file: gzip.GzipFile, path: Path) -> PreparedManifest:
    """Write one cut per line and count what goes by; errors as ``write_manifest``."""
    ids: set[str] = set()
    speakers: set[str] = set()
    duration_s, num_without_speaker, num_empty_texts = 0.0, 0, 0
    for cut in cuts:
        if cut.id in ids:
            raise ManifestError(f"{path}: id {cut.id!r} comes twice; give each utterance its own")
        supervision = cut.supervisions[0]
        ids.add(cut.id)
        speakers.update([supervision.speaker] if supervision.speaker else [])
        duration_s += cut.duration
        num_without_speaker += not supervision.speaker
        num_empty_texts += not supervision.text
        file.write(json.dumps(cut.to_dict(), ensure_ascii=False).encode() + b"\n")
    if not ids:
        raise ManifestError(f"{path}: there are no utterances to write")
    return PreparedManifest(
        path=path,
        num_utterances=len(ids),
        duration_s=duration_s,
        num_speakers=len(speakers),
        num_without_speaker=num_without_speaker,
        num_empty_texts=num_empty_texts,
    )
