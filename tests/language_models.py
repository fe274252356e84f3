"""Small language models and texts for the tests."""

from pathlib import Path
from typing import Any

import torch

from speechrnn.nn.checkpoint import checkpoint_entry
from speechrnn.nn.language_config import LanguageModelConfig, LanguageNetworkConfig
from speechrnn.nn.language_model import RecurrentLanguageModel
from speechrnn.text import Vocabulary
from speechrnn.training.language_model_task import LanguageModelTask
from speechrnn.training.optimization import OptimizationConfig
from speechrnn.training.text_data import TextDataModule

CELLS = ("rnn", "gru", "lstm")
WORDS = Vocabulary(("go", "stop", "one", "two", "help"), "word", ("lowercase",))
LETTERS = Vocabulary(("a", "b", "c", " "), "character", ("lowercase", "collapse_spaces"))
SENTENCES = ("one two go", "stop", "two one two stop", "help", "go one", "go two one", "stop stop help")
SMALL_NETWORK: dict[str, Any] = {"hidden_size": 12, "embedding_size": 12, "num_layers": 2, "dropout": 0.0}


def make_language_model(
    vocabulary: Vocabulary = WORDS, *, seed: int = 0, **network: Any
) -> RecurrentLanguageModel:
    """Make a language model whose weights, large as they are, make every token and state matter."""
    torch.manual_seed(seed)
    config = LanguageNetworkConfig(**(SMALL_NETWORK | network))
    model = RecurrentLanguageModel(LanguageModelConfig(vocabulary=vocabulary, network=config))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.uniform_(-0.7, 0.7)
    return model.eval()


def write_language_checkpoint(path: Path, model: RecurrentLanguageModel) -> Path:
    state = {f"model.{name}": value for name, value in model.state_dict().items()}
    torch.save({"state_dict": state, "speechrnn": checkpoint_entry(model.config)}, path)
    return path


def write_texts(root: Path, *, sentences: tuple[str, ...] = SENTENCES) -> Path:
    """Write the same sentences as train, dev and test."""
    root.mkdir(parents=True, exist_ok=True)
    for split in ("train", "dev", "test"):
        (root / f"{split}.txt").write_text("".join(f"{s}\n" for s in sentences), encoding="utf-8")
    return root


def make_text_data(root: Path, **options: Any) -> TextDataModule:
    names = {split: f"{split}.txt" for split in ("train", "dev", "test")}
    defaults: dict[str, Any] = {"min_count": 1, "batch_size": 2, "bptt_steps": 4}
    return TextDataModule(str(root), **(names | defaults | options))


def make_language_task(*, lr: float = 0.01, **network: Any) -> LanguageModelTask:
    torch.manual_seed(0)
    optimization = OptimizationConfig(lr=lr, weight_decay=0.0)
    return LanguageModelTask(LanguageNetworkConfig(**(SMALL_NETWORK | network)), optimization)
