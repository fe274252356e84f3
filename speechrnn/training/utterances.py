"""Utterances read, and padded into batches."""

import re
from typing import NamedTuple

import numpy as np
import torch
from lhotse import CutSet
from lhotse.cut import Cut
from torch import Tensor
from torch.utils.data import Dataset

from speechrnn.audio import Waveform, load_audio
from speechrnn.errors import AudioError
from speechrnn.training.cuts import cut_text
from speechrnn.training.shard_plan import ShardBatch
from speechrnn.training.shard_reader import ShardFolder


class SpeechBatch(NamedTuple):
    """A padded batch of utterances."""

    waveform: Tensor
    """(batch, samples) in [-1, 1], zero-padded at the end."""
    waveform_lengths: Tensor
    """(batch,) int64 samples."""
    texts: list[str]
    """Transcripts or labels."""
    utterances: list[str]
    """Names, for messages and results."""
    speakers: list[str]
    """Speakers; empty where unknown."""
    unreadable: tuple[str, ...] = ()
    """For each utterance why its audio could not be read, empty where it could; such a one has length 0."""

    def is_readable(self, index: int) -> bool:
        """Tell whether there is audio of the utterance at ``index``."""
        return not self.unreadable or not self.unreadable[index]


class Utterances(Dataset[SpeechBatch]):
    """A dataset whose index is a batch of cuts and whose item is the batch itself.

    Audio that cannot be read leaves an utterance of length 0, which losses mask: a batch never becomes
    empty, so that all processes go on making the same number of steps.
    """

    def __init__(self, sample_rate: int, kept: "dict[str, Waveform] | None" = None) -> None:
        """Set up; ``kept`` collects each cut's waveform by its id, and is asked first."""
        self.sample_rate = sample_rate
        self.kept = kept

    def load(self, cut: Cut) -> Waveform:
        """Load a cut's waveform, or find it among those that are kept."""
        if self.kept is None:
            return load_cut(cut, self.sample_rate)
        if cut.id not in self.kept:
            self.kept[cut.id] = load_cut(cut, self.sample_rate)
        return self.kept[cut.id]

    def try_load(self, cut: Cut) -> tuple[Waveform, str]:
        """Load a cut's waveform, or give none and the reason why it cannot be read."""
        try:
            return self.load(cut), ""
        except AudioError as error:
            return np.zeros(0, dtype=np.float32), str(error)

    def __getitem__(self, cuts: CutSet) -> SpeechBatch:
        """Load and pad one batch."""
        waveforms, reasons = zip(*(self.try_load(cut) for cut in cuts), strict=True)
        lengths = [len(waveform) for waveform in waveforms]
        padded = np.zeros((len(waveforms), max(1, *lengths)), dtype=np.float32)
        for row, waveform in zip(padded, waveforms, strict=True):
            row[: len(waveform)] = waveform
        return SpeechBatch(
            torch.from_numpy(padded),
            torch.tensor(lengths, dtype=torch.int64),
            [cut_text(cut) for cut in cuts],
            [cut.id for cut in cuts],
            [cut_speaker(cut) for cut in cuts],
            reasons,
        )


class ShardUtterances(Utterances):
    """Utterances of shards: a batch is of one shard, which is kept for the batches to come."""

    def __init__(self, folder: ShardFolder, sample_rate: int, *, num_kept: int) -> None:
        super().__init__(sample_rate)
        self.folder = folder
        self.num_kept = num_kept
        self.opened: dict[int, list[Cut]] = {}

    def __getitem__(self, batch: ShardBatch) -> SpeechBatch:
        """Load and pad one batch."""
        cuts = self.opened.pop(batch.shard, None) or self.folder.cuts(batch.shard)
        self.opened[batch.shard] = cuts  # the latest comes last
        while len(self.opened) > self.num_kept:
            del self.opened[next(iter(self.opened))]
        return super().__getitem__(CutSet.from_cuts(cuts[member] for member in batch.members))


def load_cut(cut: Cut, sample_rate: int) -> Waveform:
    """Load a cut's waveform at ``sample_rate``.

    Raises:
        AudioError: Naming the cut and its file, if it cannot be read.
    """
    try:
        samples = cut.load_audio()
    except Exception as error:  # lhotse's backends each raise their own
        where = f"utterance {cut.id!r}: cannot read {', '.join(cut_files(cut))}"
        raise AudioError(f"{where}: {reason_of(error)}") from error
    if not np.isfinite(samples).all():
        raise AudioError(
            f"utterance {cut.id!r}: {', '.join(cut_files(cut))} holds samples that are no numbers"
        )
    return load_audio(np.ascontiguousarray(samples.T), sample_rate=sample_rate, source_rate=cut.sampling_rate)


def reason_of(error: Exception) -> str:
    """Find what libsndfile said within Lhotse's account of all that it tried, else the account's first line."""
    said = re.search(r"LibsndfileError'>: (?:Error opening '.*': )?(.*)", str(error))
    return said[1] if said else (str(error).splitlines() or [type(error).__name__])[0]


def cut_files(cut: Cut) -> list[str]:
    """Name the files behind a cut; none for audio that comes from memory or the network."""
    sources = cut.recording.sources if cut.has_recording else []
    return [str(source.source) for source in sources if source.type == "file"]


def cut_speaker(cut: Cut) -> str:
    """Name the speaker of a cut, or nobody."""
    return next((s.speaker for s in cut.supervisions if s.speaker), "")
