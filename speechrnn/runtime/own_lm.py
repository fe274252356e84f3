"""The language model that a model is read with when nobody says otherwise: its card names it."""

from dataclasses import replace

from speechrnn.decoding.beam import beam_kernel
from speechrnn.decoding.decoder import DecodingOptions
from speechrnn.errors import ConfigError, ModelFileError
from speechrnn.lm import read_lm
from speechrnn.lm.files import PACKED_SUFFIX
from speechrnn.runtime.model_file import ModelInfo
from speechrnn.runtime.model_registry import find_lm

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
    beside = info.path.with_name(name + PACKED_SUFFIX)
    try:
        path = beside if beside.exists() else find_lm(name)
    except ModelFileError:
        raise ModelFileError(
            f"{info.path}: is read with the language model {name}, which is not here: put {beside.name} beside the "
            f"model, name another with --lm, or {WITHOUT}"
        ) from None
    try:
        beam_kernel()
    except ConfigError as error:
        raise ConfigError(
            f"{info.name} is read with the language model {name}: {error}; or {WITHOUT}"
        ) from None
    return replace(options, lm=read_lm(path, verify=True))  # damaged arrays would crash compiled code
