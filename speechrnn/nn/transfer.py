"""Fine-tuning: the weights of one network put into another, as far as they fit."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import torch
from torch import Tensor

from speechrnn.errors import CheckpointError, ModelFileError
from speechrnn.nn.checkpoint import load_checkpoint
from speechrnn.nn.model import SpeechModel
from speechrnn.nn.restore import restore_model
from speechrnn.runtime import find_model

OUTPUT_LAYER = "head.output."
FEATURES = "features."  # their statistics, which hold for the same features only
MOST_NAMED = 4


@dataclass(frozen=True, kw_only=True)
class Transfer:
    """Which weights a network took over."""

    copied: tuple[str, ...]
    """Tensors of the same name and shape, taken whole."""
    anew: tuple[str, ...]
    """Tensors that begin anew: the other network has none of that name and shape."""
    num_tokens: int
    """Rows of the output layer that were taken: tokens that both vocabularies have, and the blank."""
    num_outputs: int
    """Rows of the output layer."""
    other_features: tuple[str, ...]
    """Settings of the features in which the two differ."""

    def __str__(self) -> str:
        """Sum up in a line."""
        num_tensors = len(self.copied) + len(self.anew)
        said = [f"{len(self.copied)} of {num_tensors} tensors"]
        said.append(f"output layer: {self.num_tokens} of {self.num_outputs} tokens")
        if self.anew:
            dots = ", …" if len(self.anew) > MOST_NAMED else ""
            said.append(f"begun anew: {', '.join(self.anew[:MOST_NAMED])}{dots}")
        if self.other_features:
            said.append(f"made for other features: {', '.join(self.other_features)}")
        return "; ".join(said)


def load_network(name: str) -> SpeechModel:
    """Load the network of a checkpoint, a model file or a shipped model, in evaluation mode.

    Raises:
        CheckpointError: Naming it, if it is not there or cannot be read, or hears nothing.
    """
    try:
        path = find_model(name)
        return load_checkpoint(path) if path.suffix == ".ckpt" else restore_model(path)
    except (CheckpointError, ModelFileError) as error:
        said = str(error)
        raise CheckpointError(said if said.startswith(name) else f"{name}: {said}") from error


def transfer_weights(source: SpeechModel, target: SpeechModel) -> Transfer:
    """Copy what fits of ``source`` into ``target``, in place.

    A tensor fits if name and shape are the same. The output layer is copied row by row for the tokens that
    both vocabularies have, so that a new alphabet keeps what was learnt of the letters that stay.

    Raises:
        CheckpointError: If nothing of the encoder fits.
    """
    theirs, ours = source.state_dict(), target.state_dict()
    rows = shared_rows(source, target)
    other_features = differences(asdict(source.config.features), asdict(target.config.features))
    copied: list[str] = []
    anew: list[str] = []
    with torch.no_grad():
        for name, tensor in ours.items():
            if name.startswith(OUTPUT_LAYER):
                (copied if copy_rows(tensor, theirs.get(name), rows) else anew).append(name)
            elif name.startswith(FEATURES) and other_features:
                anew.append(name)
            elif name in theirs and theirs[name].shape == tensor.shape:
                tensor.copy_(theirs[name])
                copied.append(name)
            else:
                anew.append(name)
    if not any(name.startswith("encoder.") for name in copied):
        raise CheckpointError("no layer of its encoder has a shape of this one's")
    return Transfer(
        copied=tuple(copied),
        anew=tuple(anew),
        num_tokens=len(rows) if any(name.startswith(OUTPUT_LAYER) for name in copied) else 0,
        num_outputs=len(target.config.vocabulary),
        other_features=other_features,
    )


def shared_rows(source: SpeechModel, target: SpeechModel) -> list[tuple[int, int]]:
    """Pair the outputs for the same token, and the blanks: (index of the source, index of the target)."""
    theirs, ours = source.config.vocabulary, target.config.vocabulary
    rows = [(theirs.ids[token], ours.ids[token]) for token in ours.tokens if token in theirs.ids]
    if theirs.blank is not None and ours.blank is not None:
        rows.append((theirs.blank, ours.blank))
    return rows


def copy_rows(tensor: Tensor, source: Tensor | None, rows: Sequence[tuple[int, int]]) -> bool:
    """Copy rows of the output layer where the layers are equally wide; tell whether any was."""
    if source is None or source.shape[1:] != tensor.shape[1:] or not rows:
        return False
    theirs, ours = zip(*rows, strict=True)
    tensor[list(ours)] = source[list(theirs)]
    return True


def differences(theirs: Mapping[str, object], ours: Mapping[str, object]) -> tuple[str, ...]:
    """Name the settings in which two configurations differ."""
    return tuple(name for name, value in ours.items() if theirs.get(name) != value)
