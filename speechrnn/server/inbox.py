"""What the client of a stream has sent, read ahead of what is computed: so it is noticed soon that one has gone."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.types import Message
from starlette.websockets import WebSocket, WebSocketDisconnect

SERVER_STOPS = "speechrnn.server_stops"  # a key that no client can put into a message
MOST_AHEAD = 2**23  # bytes that wait; a client that sends more has to
MESSAGE = 500  # bytes that a message takes beside what is in it


class Inbox:
    """Messages that wait for their turn."""

    def __init__(self, socket: WebSocket) -> None:
        """Begin with a socket that was accepted."""
        self.socket = socket
        self.gone: WebSocketDisconnect | None = None
        self.server_stops = False
        self._messages: asyncio.Queue[Message] = asyncio.Queue()
        self._num_bytes = 0
        self._has_room = asyncio.Event()
        self._has_room.set()

    async def read(self) -> None:
        """Read until the client goes away."""
        while self.gone is None:
            await self._has_room.wait()
            message = await self.socket.receive()
            if message["type"] == "websocket.disconnect":
                self.gone = WebSocketDisconnect(message["code"], message.get("reason"))
            self._messages.put_nowait(message)
            self._count(size(message))

    async def take(self) -> Message:
        """Wait for the next message; errors as ``check``."""
        message = await self._messages.get()
        self._count(-size(message))
        self.check()
        self.server_stops = SERVER_STOPS in message
        return message

    def check(self) -> None:
        """Raise a ``WebSocketDisconnect`` if the client has gone, whatever it sent before."""
        if self.gone is not None:
            raise self.gone

    def _count(self, num_bytes: int) -> None:
        """Count what waits, and read on only while that is not too much."""
        self._num_bytes += num_bytes
        if self._num_bytes < MOST_AHEAD:
            self._has_room.set()
        else:
            self._has_room.clear()


def server_stops() -> Message:
    """Make the message that the server stops; what came before it is still heard."""
    return {"type": "websocket.receive", SERVER_STOPS: True}


def size(message: Message) -> int:
    """Count the bytes that a message takes, about; an empty one takes some, too."""
    return MESSAGE + len(message.get("bytes") or message.get("text") or "")


@asynccontextmanager
async def reading_ahead(socket: WebSocket) -> AsyncIterator[Inbox]:
    """Read ahead during the block."""
    inbox = Inbox(socket)
    reader = asyncio.create_task(inbox.read())
    try:
        yield inbox
    finally:
        reader.cancel()
        await asyncio.gather(reader, return_exceptions=True)
