"""SpeechBrain's own training step, of its own layers and loss, for gpu_training.py."""

import importlib.util
import logging
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

if TYPE_CHECKING:
    from gpu_training import Batch, Size


def is_installed() -> bool:
    """Tell whether SpeechBrain can be compared with."""
    return importlib.util.find_spec("speechbrain") is not None


class SpeechBrainStep:
    """One step as ``Brain.fit_batch`` makes it; called, it returns when the device is done."""

    def __init__(self, size: "Size", batch: "Batch", device: str, num_tokens: int) -> None:
        import speechbrain
        from speechbrain.nnet.linear import Linear
        from speechbrain.nnet.losses import ctc_loss
        from speechbrain.nnet.normalization import BatchNorm1d
        from speechbrain.nnet.RNN import GRU

        logging.getLogger("speechbrain").setLevel(logging.WARNING)
        shape = (None, None, size.num_features)
        layers: dict[str, Any] = {
            "norm": BatchNorm1d(input_shape=shape),
            "rnn": GRU(size.hidden_size, input_shape=shape, num_layers=size.num_layers, bidirectional=True),
            "output": Linear(num_tokens, input_size=2 * size.hidden_size),
        }

        class Brain(speechbrain.Brain):  # type: ignore[misc, unused-ignore]
            def compute_forward(self, batch: "Batch", stage: Any) -> Tensor:
                encoded, _ = self.modules.rnn(self.modules.norm(batch.features))
                log_probs: Tensor = self.modules.output(encoded).float().log_softmax(-1)
                return log_probs

            def compute_objectives(self, log_probs: Tensor, batch: "Batch", stage: Any) -> Tensor:
                lengths = batch.input_lengths / batch.features.shape[1]
                target_lengths = batch.target_lengths / batch.targets.shape[1]
                loss: Tensor = ctc_loss(log_probs, batch.targets, lengths, target_lengths, 0)
                return loss

        self.brain = Brain(
            modules=layers,
            opt_class=lambda parameters: torch.optim.AdamW(parameters, lr=1e-4, fused=device == "cuda"),
            run_opts={"device": device, "precision": "bf16"},
        )
        self.brain.on_fit_start()
        self.brain.modules.train()
        self.batch = batch

    def __call__(self) -> float:
        """Make the step; the loss."""
        return float(self.brain.fit_batch(self.batch))
