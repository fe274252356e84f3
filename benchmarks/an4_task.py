"""What the benchmarks of decoding decode: a model's log probabilities of AN4, and a 3-gram of AN4."""

import atexit
import functools
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from an4_network import ROOT
from numpy.typing import NDArray

from speechrnn.evaluation.tune import Reading, compute_readings
from speechrnn.lm import NgramModel, estimate_model, read_lm, read_sentences, write_lm
from speechrnn.manifest import read_manifest
from speechrnn.runtime import Transcriber
from speechrnn.runtime.decoding_choice import LmChoice
from speechrnn.text import Vocabulary

DEFAULT_FOLDER = ROOT / "exp" / "an4" / "data"  # where recipes/an4/prepare.py writes
SPLITS = ("train", "test")
DEFAULT_MODEL = "an4"  # the shipped one
ORDER = 3
UNTUNED = LmChoice(alpha=0.5, beta=0.0)

LogProbs = NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class An4Source:
    """Where AN4 and the model that has heard it are."""

    folder: Path
    """Of the manifests."""
    model: str
    """Name of a shipped model, or path of a model file."""


@dataclass(frozen=True, kw_only=True, eq=False)
class An4Task:
    """AN4, ready to be decoded."""

    vocabulary: Vocabulary
    """Of the model."""
    alpha: float
    """Weight of the language model, as it was tuned for the model; the same for every decoder."""
    beta: float
    """Added for each word, likewise."""
    test: list[Reading]
    lm: NgramModel
    """3-gram of the training transcripts, interpolated modified Kneser–Ney."""
    arpa: Path
    """The same 3-gram as a file, which every decoder reads."""

    @property
    def words(self) -> list[str]:
        """All words of the training transcripts."""
        special = {self.lm.unknown, self.lm.begin_of_sentence, self.lm.end_of_sentence}
        return [word for number, word in enumerate(self.lm.vocabulary) if number not in special]

    @property
    def test_log_probs(self) -> list[LogProbs]:
        """(frames, tokens) of each test utterance."""
        return [reading.emission.log_probs for reading in self.test]

    @property
    def test_s(self) -> float:
        """Seconds of the test utterances."""
        return sum(reading.emission.duration_s for reading in self.test)


def missing_an4(folder: Path) -> list[str]:
    """Name what of AN4 is missing, and how to get it."""
    if all(manifest(folder, split).is_file() for split in SPLITS):
        return []
    return [f"AN4 in {folder} (python recipes/an4/prepare.py --out DIR, then benchmarks/run.py --an4 DIR)"]


def manifest(folder: Path, split: str) -> Path:
    """Return the path of a split."""
    return folder / f"{split}.jsonl.gz"


@functools.cache
def load_task(source: An4Source) -> An4Task:
    """Run the model over the test set, and estimate the language model.

    Raises:
        SpeechRNNError: If a manifest or an utterance cannot be read.
    """
    transcriber = Transcriber(source.model, device="cpu")
    vocabulary, choice = transcriber.info.vocabulary, transcriber.info.decoding.lm or UNTUNED
    sentences = read_sentences(manifest(source.folder, "train"), normalization=vocabulary.normalization)
    arpa = Path(tempfile.mkdtemp()) / "an4.arpa"
    atexit.register(shutil.rmtree, arpa.parent, ignore_errors=True)
    write_lm(estimate_model(sentences, order=ORDER), arpa)
    return An4Task(
        vocabulary=vocabulary,
        alpha=choice.alpha,
        beta=choice.beta,
        test=compute_readings(transcriber, read_manifest(manifest(source.folder, "test"))),
        lm=read_lm(arpa),
        arpa=arpa,
    )
