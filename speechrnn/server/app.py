"""The application: which address answers what."""

import asyncio
import math
import os
import time
from collections.abc import AsyncIterator, Collection, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from typing import NamedTuple

from anyio import CancelScope, CapacityLimiter, fail_after, to_thread
from starlette.applications import Starlette
from starlette.datastructures import FormData
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route, WebSocketRoute

from speechrnn import __version__
from speechrnn.audio import AudioFormat, Waveform, load_audio, read_format
from speechrnn.errors import LongAudioError, SpeechRNNError
from speechrnn.runtime import Transcriber, Transcription
from speechrnn.runtime.provenance import describe_decoder, describe_model
from speechrnn.runtime.segments import split_segments
from speechrnn.runtime.writers import Document
from speechrnn.server.guards import Doorkeeper
from speechrnn.server.limits import Limits
from speechrnn.server.refusals import RefusedError
from speechrnn.server.streaming import Streams
from speechrnn.server.transcriptions import TranscriptionRequest, read_request, write_response
from speechrnn.server.uploads import CLIENT_CLOSED, receive_form
from speechrnn.server.worker import Worker
from speechrnn.voice_activity import find_speech


class Recording(NamedTuple):
    """An upload, decoded."""

    waveform: Waveform
    format: AudioFormat
    duration_s: float


class Service:
    """One model and who waits for it."""

    def __init__(self, transcriber: Transcriber, limits: Limits) -> None:
        self.transcriber, self.limits = transcriber, limits
        self.worker = Worker(transcriber)
        self.model, self.decoder = describe_model(transcriber), describe_decoder(transcriber.interpreter)
        self.loaders = CapacityLimiter(os.cpu_count() or 1)
        self.streams = Streams(transcriber, limits, self.loaders)
        self.num_requests = 0
        self.waiting_s = 0.0
        """Seconds of audio that are held in memory."""
        self.mean_s = 1.0
        """How long a request takes of late, seconds."""

    @contextmanager
    def admitted(self) -> Iterator[None]:
        """Hold a place for a transcription; a ``RefusedError`` if none is free."""
        if self.num_requests >= self.limits.requests:
            raise self.busy(f"{self.num_requests} transcriptions are under way")
        self.num_requests += 1
        start = time.monotonic()
        try:
            yield
        finally:
            self.num_requests -= 1
            self.mean_s += 0.1 * (time.monotonic() - start - self.mean_s)

    async def health(self, request: Request) -> Response:
        """Say that the server is there, and how busy it is."""
        return JSONResponse(
            {
                "status": "ok",
                "model": self.model["name"],
                "requests": self.num_requests,
                "most_requests": self.limits.requests,
                "streams": self.streams.num_open,
                "version": __version__,
            }
        )

    async def models(self, request: Request) -> Response:
        """List the one model."""
        model = {"id": self.model["name"], "object": "model", "created": 0, "owned_by": "speechrnn"}
        return JSONResponse({"object": "list", "data": [model | self.model]})

    async def transcriptions(self, request: Request) -> Response:
        """Transcribe an upload."""
        with self.admitted():
            form = await receive_form(request, self.limits)
            with self.in_time():
                asked, recording = await self.read(form)
                with self.held(recording):
                    heard = await self.transcribe(recording, request)
                    return await to_thread.run_sync(
                        self.answer, asked, recording, heard, limiter=self.loaders
                    )

    @contextmanager
    def in_time(self) -> Iterator[None]:
        """Give up what takes too long, with a ``RefusedError``; audio that is being decoded is decoded first."""
        try:
            with fail_after(self.limits.answer_s):
                yield
        except TimeoutError:
            raise RefusedError(
                503, "not done in time; try again later", headers={"Retry-After": "60"}
            ) from None

    async def read(self, form: FormData) -> tuple[TranscriptionRequest, Recording]:
        """Read what is asked for, and close the form; errors as ``read_request`` and ``load``."""
        try:
            asked = read_request(form, model=self.model["name"], language=self.model.get("language"))
            return asked, await to_thread.run_sync(self.load, asked, limiter=self.loaders)
        finally:
            with CancelScope(shield=True):
                await form.close()

    def load(self, asked: TranscriptionRequest) -> Recording:
        """Decode the upload.

        Raises:
            RefusedError: If it is no audio, or too long.
        """
        info, data = self.transcriber.info, asked.file.read()
        try:
            waveform = load_audio(data, sample_rate=info.sample_rate, max_s=self.limits.audio_s)
            info.check_length(len(waveform), asked.filename)
            return Recording(waveform, read_format(data), len(waveform) / info.sample_rate)
        except LongAudioError as error:
            raise RefusedError(413, f"{asked.filename}: {error}", parameter="file") from error
        except SpeechRNNError as error:
            raise RefusedError(400, f"{asked.filename}: {error}", parameter="file") from error

    @contextmanager
    def held(self, recording: Recording) -> Iterator[None]:
        """Hold a recording in memory; a ``RefusedError`` if too much is held already."""
        if self.waiting_s and self.waiting_s + recording.duration_s > self.limits.waiting_s:
            raise self.busy(f"{self.waiting_s:.0f} s of audio wait")
        self.waiting_s += recording.duration_s
        try:
            yield
        finally:
            self.waiting_s -= recording.duration_s

    def busy(self, reason: str) -> RefusedError:
        """Make the refusal of a server that has enough to do."""
        retry = {"Retry-After": str(math.ceil(self.mean_s)), "Connection": "close"}
        return RefusedError(429, f"{reason}; try again later", headers=retry)

    async def transcribe(self, recording: Recording, request: Request) -> Transcription:
        """Wait for the model, for as long as the client does.

        Raises:
            RefusedError: If the model fails, or the client has gone.
        """
        future = asyncio.wrap_future(self.worker.submit(recording.waveform))
        goodbye = asyncio.create_task(until_gone(request))
        goodbye.add_done_callback(lambda _: future.cancel())
        try:
            return await future
        except SpeechRNNError as error:
            raise RefusedError(500, str(error)) from error
        except asyncio.CancelledError:
            if goodbye.done():
                raise RefusedError(CLIENT_CLOSED, "the client has gone") from None
            raise
        finally:
            goodbye.cancel()

    def answer(self, asked: TranscriptionRequest, recording: Recording, heard: Transcription) -> Response:
        """Write what was heard."""
        rate = self.transcriber.info.sample_rate
        speech = find_speech(recording.waveform, sample_rate=rate) if asked.needs_segments else ()
        document = Document(
            transcription=replace(heard, source=asked.filename),
            segments=split_segments(heard, speech=speech),
            audio=recording.format,
            model=self.model,
            decoder=self.decoder,
        )
        return write_response(document, asked)


async def until_gone(request: Request) -> None:
    """Wait until the client of a request that has come whole goes away."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


def make_app(
    transcriber: Transcriber,
    *,
    limits: Limits = Limits(),
    hosts: Collection[str] = (),
    origins: Collection[str] = (),
) -> Starlette:
    """Make the ASGI application for one model.

    Args:
        transcriber: The model, opened.
        limits: On what clients may ask for.
        hosts: Names under which the server may be called; any if empty.
        origins: Web pages that may ask.
    """
    service = Service(transcriber, limits)

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        yield
        await to_thread.run_sync(service.worker.close)

    return Starlette(
        routes=[
            Route("/health", service.health),
            Route("/v1/models", service.models),
            Route("/v1/audio/transcriptions", service.transcriptions, methods=["POST"]),
            WebSocketRoute("/v1/audio/stream", service.streams.serve),
        ],
        middleware=[
            Middleware(Doorkeeper, hosts=hosts, origins=origins),
            Middleware(CORSMiddleware, allow_origins=list(origins), allow_methods=["*"], allow_headers=["*"]),
        ],
        exception_handlers={RefusedError: refuse, HTTPException: refuse_address},
        lifespan=lifespan,
    )


async def refuse(request: Request, error: Exception) -> Response:
    """Answer a refused request."""
    assert isinstance(error, RefusedError)
    return error.response()


async def refuse_address(request: Request, error: Exception) -> Response:
    """Answer a request for what is not there."""
    assert isinstance(error, HTTPException)
    message = f"{request.method} {request.url.path}: {error.detail}"
    return RefusedError(error.status_code, message, headers=error.headers or {}).response()
