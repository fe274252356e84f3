"""The language model that a model is read with when nobody says otherwise: its card names it."""

from dataclasses import replace
from pathlib import Path

from speechrnn.decoding.beam import beam_kernel
from speechrnn.decoding.decoder import DecodingOptions
from speechrnn.errors import ConfigError, ModelFileError
from speechrnn.lm import read_lm
from speechrnn.lm.files import PACKED_SUFFIX
from speechrnn.runtime.model_file import ModelInfo
from speechrnn.runtime.model_registry import shipped_lms

CARD_ENTRY = "language_model"
WITHOUT = "read it without one (--lm none, or an alpha of 0)"


def own_lm_of(info: ModelInfo, options: DecodingOptions) -> str | None:
    """Name the language model that a model is read with by default; None if it has none, or what may be said is given.

    A language model, a lexicon or phrases, or an ``alpha`` of 0, say that it is not wanted.
    """
    given = (options.lm, options.lexicon, options.phrases)
    if options.alpha == 0 or any(each is not None for each in given):
        return None
    return info.card.get(CARD_ENTRY)


def add_own_lm(info: ModelInfo, options: DecodingOptions) -> DecodingOptions:
    """Add a model's own language model, ``NAME.srlm.xz`` beside the model file or one that ships, to the options.

    Raises:
        ModelFileError: If the language model is nowhere or cannot be read.
        ConfigError: If Numba is not installed, which a search with it needs.
    """
    name = own_lm_of(info, options)
    if name is None:
        return options
    path = find_own_lm(info.path, name)
    try:
        beam_kernel()
    except ConfigError as error:
        raise ConfigError(
            f"{info.name} is read with the language model {name}: {error}; or {WITHOUT}"
        ) from None
    return replace(options, lm=read_lm(path, verify=True))  # damaged arrays would crash compiled code


def find_own_lm(model: Path, name: str) -> Path:
    """Find a model's language model: beside it, or beside the file that a link leads to, or among those that ship.

    Raises:
        ModelFileError: If it is nowhere, or the name is no file's.
    """
    if not name or Path(name).name != name:
        raise ModelFileError(
            f"{model}: its card names the language model {name!r}, which is no name of a file"
        )
    beside = [path.with_name(name + PACKED_SUFFIX) for path in (model, model.resolve())]
    found = [path for path in (*beside, shipped_lms().get(name)) if path is not None and path.exists()]
    if not found:
        raise ModelFileError(
            f"{model}: is read with the language model {name}, which is not here: put {beside[0].name} beside the "
            f"model, name another with --lm, or {WITHOUT}"
        )
    return found[0]
