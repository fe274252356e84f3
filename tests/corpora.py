"""A small corpus of noise for the tests of training, and tasks that learn it."""

from pathlib import Path
from typing import Any

import soundfile
import torch
from networks import CHARACTERS, LABELS, SMALL_ENCODER, SMALL_FEATURES, noise

from speechrnn.manifest import Utterance
from speechrnn.nn.config import EncoderConfig, FeatureConfig
from speechrnn.training.classification_task import ClassificationTask
from speechrnn.training.ctc_task import CTCTask
from speechrnn.training.data import SpeechDataModule
from speechrnn.training.optimization import OptimizationConfig
from speechrnn.training.prepare import prepare_utterances

TEXTS = ["ab", "c a", "bb", "cab", "a", "b c"]


def write_corpus(root: Path, *, num_utterances: int = 11, labels: bool = False) -> Path:
    """Write noise clips of different lengths and their manifests for all splits."""
    root.mkdir(parents=True, exist_ok=True)
    utterances = []
    for number in range(num_utterances):
        path = root / f"u{number}.wav"
        soundfile.write(path, noise(3000 + 700 * number, seed=number).numpy(), 8000)
        text = LABELS.tokens[number % 3] if labels else TEXTS[number % len(TEXTS)]
        utterances.append(Utterance(id=f"u{number}", audio=path, text=text, speaker=f"s{number % 4}"))
    for split in ("train", "dev", "test"):
        prepare_utterances(utterances, root / f"{split}.jsonl.gz")
    return root


def make_task(
    *,
    labels: bool = False,
    features: dict[str, Any] | None = None,
    encoder: dict[str, Any] | None = None,
    optimization: dict[str, Any] | None = None,
    **options: Any,
) -> Any:
    torch.manual_seed(0)
    task: Any = ClassificationTask if labels else CTCTask
    return task(
        LABELS if labels else CHARACTERS,
        FeatureConfig(**(SMALL_FEATURES | (features or {}))),
        EncoderConfig(**(SMALL_ENCODER | (encoder or {}))),  # type: ignore[arg-type]
        optimization=OptimizationConfig(**({"lr": 0.01} | (optimization or {}))),
        **options,
    )


def make_data(root: Path, **options: Any) -> SpeechDataModule:
    defaults: dict[str, Any] = {"sample_rate": 8000, "max_batch_s": 2.0, "num_workers": 0, "num_buckets": 3}
    return SpeechDataModule(str(root), **(defaults | options))
