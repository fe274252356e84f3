"""``/v1/audio/stream``: raw PCM in over a WebSocket, partial and final texts out as JSON.

The client says in the address what it sends (``?sample_rate=48000&encoding=s16le&channels=2&channel=0``), then
sends binary messages of any number of bytes, and ``{"type": "end"}`` when there is no more. It is told
``ready``; ``partial`` whenever more of an utterance is known, ``final`` when it has ended; ``done`` at the end, or
``error`` with a reason. When the server stops, the utterance ends there: ``final``, then such an ``error``.
"""

import asyncio
import contextlib
import json
from collections.abc import Callable, Iterator
from typing import Any, cast

from anyio import CapacityLimiter, to_thread
from starlette.websockets import WebSocket, WebSocketDisconnect

from speechrnn.errors import ConfigError, SpeechRNNError
from speechrnn.live_audio import Encoding, PcmConverter, PcmFormat
from speechrnn.runtime import EndpointOptions, StreamUpdate, Transcriber, TranscriptionStream
from speechrnn.runtime.segments import whole_segment
from speechrnn.runtime.writers import segment_to_dict
from speechrnn.server.inbox import Inbox, reading_ahead
from speechrnn.server.limits import Limits

NORMAL, NOT_UNDERSTOOD, RESTART, TRY_LATER = 1000, 1003, 1012, 1013  # RFC 6455, section 7.4, and its registry
NAME = "stream"


class StreamError(Exception):
    """Why a stream is ended from our side."""

    def __init__(self, message: str, code: int = NOT_UNDERSTOOD) -> None:
        super().__init__(message)
        self.code = code


class Streams:
    """The streaming sockets of one model."""

    def __init__(self, transcriber: Transcriber, limits: Limits, runners: CapacityLimiter) -> None:
        """Prepare to stream.

        Args:
            transcriber: The model.
            limits: On how many streams there are, and how long they may be silent.
            runners: How many of them may compute at once.
        """
        self.transcriber, self.limits, self.runners = transcriber, limits, runners
        self.num_open = 0

    async def serve(self, socket: WebSocket) -> None:
        """Serve one client from beginning to end."""
        await socket.accept()
        self.num_open += 1
        try:
            await self.transcribe(socket)
            await socket.close(NORMAL)
        except StreamError as error:
            await refuse(socket, str(error), error.code)
        except SpeechRNNError as error:
            await refuse(socket, str(error), NOT_UNDERSTOOD)
        except WebSocketDisconnect:
            pass
        finally:
            self.num_open -= 1

    async def transcribe(self, socket: WebSocket) -> None:
        """Hear a client out.

        Raises:
            StreamError: If there are too many streams, or the client sends what is not understood, or nothing;
                or the server stops.
            SpeechRNNError: If the audio cannot be used.
            WebSocketDisconnect: If the client goes away.
        """
        if self.num_open > self.limits.streams:
            raise StreamError(f"{self.limits.streams} streams are open; try again later", TRY_LATER)
        rate = self.transcriber.info.sample_rate
        pcm, channel = read_format(socket.query_params, rate)
        converter = PcmConverter(NAME, pcm, sample_rate=rate, channel=channel)
        stream = self.transcriber.stream(endpoint=EndpointOptions())
        teller = Teller(socket)
        await socket.send_json(
            {"type": "ready", "sample_rate": pcm.sample_rate, "latency": round(stream.latency_s, 3)}
        )
        async with reading_ahead(socket) as inbox:
            while (data := await self.receive(inbox)) is not None:
                for piece in split(data, pcm):
                    inbox.check()
                    await teller.tell(await self.run(hear, stream, converter, piece))
            await teller.tell(await self.run(finish, stream, converter))
        if inbox.server_stops:
            raise StreamError("the server stops; what had come by then was heard", RESTART)
        await socket.send_json({"type": "done"})

    async def run(self, step: Callable[..., StreamUpdate], *arguments: Any) -> StreamUpdate:
        """Wait for a turn to compute, and for the step."""
        return await to_thread.run_sync(step, *arguments, limiter=self.runners)

    async def receive(self, inbox: Inbox) -> bytes | None:
        """Wait for PCM; None at the end, the client's or the server's. Errors as ``transcribe``."""
        try:
            async with asyncio.timeout(self.limits.stream_silence_s):
                message = await inbox.take()
        except TimeoutError:
            raise StreamError(f"nothing came for {self.limits.stream_silence_s:g} s") from None
        if message.get("bytes") is not None:
            return cast(bytes, message["bytes"])
        if inbox.server_stops or parse(message.get("text")) == {"type": "end"}:
            return None
        raise StreamError('send raw PCM as binary messages, then {"type": "end"} as text')


class Teller:
    """Tell a client what is new."""

    def __init__(self, socket: WebSocket) -> None:
        self.socket = socket
        self.told = ""
        self.num_finals = 0

    async def tell(self, update: StreamUpdate) -> None:
        """Send the utterances that have ended, and what is known of the one that goes on if that is news."""
        for heard in update.finals:
            self.told = ""
            if heard.text:
                segment = segment_to_dict(self.num_finals, whole_segment(heard))
                await self.socket.send_json({"type": "final", **segment})
                self.num_finals += 1
        if update.partial != self.told:
            self.told = update.partial
            await self.socket.send_json({"type": "partial", "text": update.partial})


def read_format(query: Any, default_rate: int) -> tuple[PcmFormat, Any]:
    """Read from the address what the client will send, and which channel is to be heard.

    Raises:
        StreamError: Naming the parameter that is wrong.
    """
    known = {"sample_rate", "encoding", "channels", "channel"}
    unknown = sorted(set(query) - known)
    if unknown:
        raise StreamError(f"{unknown[0]}: no such parameter; there are {', '.join(sorted(known))}")
    try:
        pcm = PcmFormat(
            sample_rate=number(query, "sample_rate", default_rate),
            encoding=cast(Encoding, query.get("encoding", "s16le")),
            num_channels=number(query, "channels", 1),
        )
    except ConfigError as error:
        raise StreamError(str(error)) from error
    if query.get("channel", "mean") == "mean":
        return pcm, "mean"
    return pcm, number(query, "channel", 0)


def number(query: Any, name: str, default: int) -> int:
    """Read a whole number; errors as ``read_format``."""
    text = query.get(name, str(default))
    if not (text.isdecimal() and text.isascii() and len(text) < 10):
        raise StreamError(f"{name}: must be a whole number, got {text!r}")
    return int(text)


def parse(text: str | None) -> Any:
    """Read JSON; None if it is none."""
    try:
        return json.loads(text or "")
    except (ValueError, RecursionError):  # the latter for brackets within brackets
        return None


def split(data: bytes, pcm: PcmFormat) -> Iterator[bytes]:
    """Cut PCM into pieces of a second or less: between them others have a turn, and who has gone is not heard."""
    length = pcm.sample_rate * pcm.frame_bytes
    return (data[start : start + length] for start in range(0, len(data), length))


def hear(stream: TranscriptionStream, converter: PcmConverter, data: bytes) -> StreamUpdate:
    """Go on through a stream; errors as ``TranscriptionStream.feed``."""
    return stream.feed(converter.convert(data))


def finish(stream: TranscriptionStream, converter: PcmConverter) -> StreamUpdate:
    """End a stream; errors as ``TranscriptionStream.feed``."""
    finals = stream.feed(converter.flush()).finals
    return StreamUpdate(partial="", finals=(*finals, stream.final()))


async def refuse(socket: WebSocket, message: str, code: int) -> None:
    """Say why, and hang up, unless the client has done so."""
    with contextlib.suppress(WebSocketDisconnect):
        await socket.send_json({"type": "error", "message": message})
        await socket.close(code)
