"""What a transcription came from, as plain data: the model, and how it was decoded."""

from typing import Any

from speechrnn import __version__
from speechrnn.runtime.interpretation import Interpreter
from speechrnn.runtime.transcriber import Transcriber


def describe_model(transcriber: Transcriber) -> dict[str, Any]:
    """Describe the model: name, sha256 of its file, version of its card, language if the card says it."""
    card = transcriber.info.card
    described = {
        "name": transcriber.name,
        "sha256": transcriber.model.sha256,
        "version": card.get("version"),
        "format_version": transcriber.info.format_version,
        "speechrnn": __version__,
    }
    return described | ({"language": card["language"]} if card.get("language") else {})


def describe_decoder(interpreter: Interpreter) -> dict[str, Any]:
    """Describe how answers are read; of a search, its width and weights."""
    options, decoder = interpreter.options, interpreter.decoder
    described: dict[str, Any] = {
        "method": "classification" if decoder is None else "greedy" if decoder.beam is None else "beam",
        "temperature": interpreter.scale.temperature,
        "bias": interpreter.scale.bias,
        "n_best": options.n_best,
        "min_confidence": options.min_confidence,
    }
    if decoder is not None and decoder.beam is not None:
        config = decoder.beam.config
        described |= {
            "beam_size": config.beam_size,
            "lm": options.lm is not None,
            "lm_alpha": config.alpha if options.uses_lm else None,
            "lm_beta": config.beta,
            "lexicon": options.lexicon is not None,
            "phrases": options.phrases is not None,
            "hotwords": dict(options.hot_words or {}),
            "rescore_weight": None if options.rescorer is None else options.rescore_weight,
        }
    return described
