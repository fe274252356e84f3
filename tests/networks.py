"""Small networks for the tests."""

from typing import Any

import torch

from speechrnn.nn.config import EncoderConfig, FeatureConfig, HeadConfig, ModelConfig
from speechrnn.nn.model import SpeechModel
from speechrnn.text import Vocabulary

CHARACTERS = Vocabulary(("a", "b", "c", " "), "character", ("lowercase",))
LABELS = Vocabulary(("yes", "no", "stop"), "label")
SMALL_FEATURES = {"sample_rate": 8000, "n_fft": 256, "win_length": 200, "hop_length": 80, "n_mels": 12}
SMALL_ENCODER = {"hidden_size": 8, "conv_channels": 8, "num_layers": 2, "dropout": 0.0}


def make_config(
    task: Any = "ctc",
    features: dict[str, Any] | None = None,
    encoder: dict[str, Any] | None = None,
    **head: Any,
) -> ModelConfig:
    return ModelConfig(
        task=task,
        vocabulary=CHARACTERS if task == "ctc" else LABELS,
        features=FeatureConfig(**(SMALL_FEATURES | {"n_mfcc": 6} | (features or {}))),
        encoder=EncoderConfig(**(SMALL_ENCODER | (encoder or {}))),
        head=HeadConfig(**head),
    )


def make_model(*arguments: Any, seed: int = 0, **options: Any) -> SpeechModel:
    """Make a network whose statistics, batch norm's too, are not those it began with."""
    torch.manual_seed(seed)
    model = SpeechModel(make_config(*arguments, **options))
    model.train()
    model(noise(2, 4000), torch.tensor([4000, 3000]))
    size = model.config.features.n_features
    model.features.set_statistics(torch.randn(size), 0.5 + torch.rand(size))
    return model.eval()


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    return 0.1 * torch.randn(*shape, generator=torch.Generator().manual_seed(seed))
