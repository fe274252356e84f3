"""Speech recognition with recurrent networks: from audio files to text, on any machine.

Example:
    >>> import speechrnn
    >>> speechrnn.load().transcribe("clip.wav").text  # doctest: +SKIP
    'ONE TWO THREE'
"""

from os import PathLike
from typing import TYPE_CHECKING

from speechrnn.errors import SpeechRNNError

if TYPE_CHECKING:
    from speechrnn.decoding import DecodingOptions
    from speechrnn.runtime import Transcriber

__all__ = ["SpeechRNNError", "__version__", "load"]
__version__ = "0.1.0"


def load(
    model: str | PathLike[str] | None = None,
    *,
    threads: int | None = None,
    device: str = "auto",
    decoding: "DecodingOptions | None" = None,
    batch_s: float = 60.0,
) -> "Transcriber":
    """Load a model that turns audio into text.

    ONNX Runtime is imported here and not with the package, so that ``import speechrnn`` takes no time.

    Args:
        model: Name of a model that ships with speechrnn, a model file (.onnx) or a training checkpoint
            (.ckpt, exported once and kept); ``an4`` when not given.
        threads: Processor threads to use; the physical cores, at most 4, when not given.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
        decoding: ``speechrnn.decoding.DecodingOptions``: beam search, language model, phrases, hot words;
            greedy when not given.
        batch_s: Padded seconds of audio in one run of the model, > 0; more takes more memory.

    Raises:
        ModelFileError: If there is no such model, or the file is not one.
        CheckpointError: If a checkpoint cannot be exported.
        ConfigError: If ``threads`` is below 1, ``batch_s`` is not above 0, the device does not exist, or the
            model cannot be decoded as asked.
        TextError: If a word, phrase or hot word has a character that the model lacks.
    """
    from speechrnn.decoding import DecodingOptions
    from speechrnn.runtime import Transcriber

    decoding = decoding or DecodingOptions()
    return Transcriber(model, threads=threads, device=device, decoding=decoding, batch_s=batch_s)
