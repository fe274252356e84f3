"""``POST /v1/audio/transcriptions`` as clients of OpenAI's API know it: fields in, one of five formats out."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, BinaryIO, Literal, TypeAlias, get_args

from starlette.datastructures import FormData, UploadFile
from starlette.responses import JSONResponse, PlainTextResponse, Response

from speechrnn.runtime.writers import Document, segment_to_dict, to_dict, write_srt, write_vtt
from speechrnn.server.refusals import RefusedError

logger = logging.getLogger("speechrnn")

ResponseFormat: TypeAlias = Literal["json", "text", "srt", "vtt", "verbose_json"]
FORMATS: tuple[ResponseFormat, ...] = get_args(ResponseFormat)
GRANULARITIES = frozenset({"word", "segment"})
ANY_MODEL = "whisper-1"  # what clients say that were written for OpenAI's own service


@dataclass(frozen=True, kw_only=True)
class TranscriptionRequest:
    """What a client asks for."""

    file: BinaryIO
    """The upload, until the form is closed."""
    filename: str
    response_format: ResponseFormat = "json"
    granularities: frozenset[str] = frozenset({"segment"})

    @property
    def needs_segments(self) -> bool:
        """Whether the answer tells of segments."""
        return self.response_format in ("srt", "vtt", "verbose_json")


def read_request(form: FormData, *, model: str, language: str | None) -> TranscriptionRequest:
    """Read the fields of a request; those that only steer other models are left alone.

    Args:
        form: As the client sent it.
        model: Name of the one model that there is.
        language: That it hears, if it is known.

    Raises:
        RefusedError: Naming the field that is missing or wrong.
    """
    file = form.get("file")
    if not isinstance(file, UploadFile):
        raise RefusedError(400, "file: missing, or not sent as a file", parameter="file")
    wanted = text_field(form, "model") or model
    if wanted not in (model, ANY_MODEL):
        raise RefusedError(404, f"model: there is no {wanted!r} here, only {model!r}", parameter="model")
    check_language(text_field(form, "language"), language, model)
    if (text_field(form, "stream") or "false").lower() != "false":
        raise RefusedError(400, "stream: use the WebSocket /v1/audio/stream", parameter="stream")
    response_format = text_field(form, "response_format") or "json"
    if response_format not in FORMATS:
        raise RefusedError(
            400,
            f"response_format: must be one of {', '.join(FORMATS)}, got {response_format!r}",
            parameter="response_format",
        )
    return TranscriptionRequest(
        file=file.file,
        filename=file.filename or "file",
        response_format=response_format,
        granularities=read_granularities(form, response_format),
    )


def check_language(wanted: str | None, language: str | None, model: str) -> None:
    """Refuse another language than the model's with a ``RefusedError``; warn if it is not known to have that one."""
    if wanted and language and wanted != language:
        raise RefusedError(
            400, f"language: the model hears {language!r}, not {wanted!r}", parameter="language"
        )
    if wanted and not language:
        warn_of_language(wanted[:20], model)


@lru_cache(maxsize=100)  # clients make the names up
def warn_of_language(wanted: str, model: str) -> None:
    """Say once that a language was asked for of which nothing is known."""
    logger.warning(
        "a client wants %r to be heard; the model %r does not say what language it hears", wanted, model
    )


def text_field(form: FormData, name: str) -> str | None:
    """Return a field of text; a ``RefusedError`` if a file was sent in its place."""
    value = form.get(name)
    if isinstance(value, UploadFile):
        raise RefusedError(400, f"{name}: must be text, not a file", parameter=name)
    return value


def read_granularities(form: FormData, response_format: str) -> frozenset[str]:
    """Read ``timestamp_granularities[]``; errors as ``read_request``."""
    name = "timestamp_granularities[]"
    values = [*form.getlist(name), *form.getlist(name.removesuffix("[]"))]
    wanted = frozenset(str(value) for value in values)
    if not wanted <= GRANULARITIES:
        raise RefusedError(
            400, f"{name}: must be word or segment, got {', '.join(sorted(wanted))}", parameter=name
        )
    if wanted and response_format != "verbose_json":
        raise RefusedError(400, f"{name}: goes with response_format=verbose_json", parameter=name)
    return wanted or frozenset({"segment"})


def write_response(document: Document, request: TranscriptionRequest) -> Response:
    """Write the answer in the format that is wanted."""
    write: dict[ResponseFormat, Callable[[], Response]] = {
        "json": lambda: JSONResponse({"text": document.transcription.text}),
        "text": lambda: PlainTextResponse(f"{document.transcription.text}\n"),
        "srt": lambda: PlainTextResponse(write_srt(document), media_type="application/x-subrip"),
        "vtt": lambda: PlainTextResponse(write_vtt(document), media_type="text/vtt"),
        "verbose_json": lambda: JSONResponse(verbose(document, request.granularities)),
    }
    return write[request.response_format]()


def verbose(document: Document, granularities: frozenset[str]) -> dict[str, Any]:
    """Describe everything, in the service's keys and ours."""
    described = to_dict(document)
    words = [word for segment in described["segments"] for word in segment["words"]]
    segments = [
        {key: value for key, value in segment_to_dict(*pair).items() if key != "words"}
        for pair in enumerate(document.segments)
    ]
    return {
        "task": "transcribe",
        "language": document.model.get("language"),  # null rather than absent: clients read it unasked
        "duration": described["audio"]["duration"],
        **{key: described[key] for key in ("text", "confidence", "audio", "model", "decoder")},
        **({"segments": segments} if "segment" in granularities else {}),
        **({"words": words} if "word" in granularities else {}),
    }
