"""Who may ask, and how much they may send: checked before anything is read.

A server on the loopback interface can be reached by every web page that its user opens. A browser says in
``Origin`` which page asks, and in ``Host`` which name led there, so strange pages and strange names (a name
whose owner lets it lead to 127.0.0.1) are refused.
"""

import asyncio
import time
from collections.abc import Collection
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from starlette.websockets import WebSocketClose

from speechrnn.server.limits import Limits
from speechrnn.server.refusals import RefusedError

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
NOT_ALLOWED = 1008  # the WebSocket status for a policy that was violated


class Doorkeeper:
    """Let in who may ask."""

    def __init__(self, app: ASGIApp, *, hosts: Collection[str], origins: Collection[str]) -> None:
        """Guard an application.

        Args:
            app: The application.
            hosts: Names under which the server may be called; any if empty.
            origins: Web pages that may ask, as ``https://name:port``, beside those that the server itself
                serves.
        """
        self.app, self.hosts, self.origins = app, frozenset(hosts), frozenset(origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or refuse to."""
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        try:
            self.check(Headers(scope=scope))
        except RefusedError as refusal:
            answer = WebSocketClose(NOT_ALLOWED) if scope["type"] == "websocket" else refusal.response()
            await answer(scope, receive, send)
            return
        await self.app(scope, receive, send)

    def check(self, headers: Headers) -> None:
        """Check who asks.

        Raises:
            RefusedError: If it is a page that may not, or the server has not that name.
        """
        host, origin = headers.get("host", ""), headers.get("origin")
        if self.hosts and hostname(f"//{host}") not in self.hosts:
            raise RefusedError(403, f"this server is not called {host!r}; --allow-host lets it be")
        if origin is None:
            if headers.get("sec-fetch-site") in ("cross-site", "same-site"):
                raise RefusedError(403, "other web pages may not ask; --allow-origin lets one")
        elif origin not in self.origins and urlsplit(origin).netloc != host:
            raise RefusedError(403, f"the web page {origin} may not ask; --allow-origin lets it")


def hostname(url: str) -> str:
    """Take the name out of an address, without its port."""
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


class Gauge:
    """Watch over what a client sends: not too much, not too slowly."""

    def __init__(self, receive: Receive, limits: Limits) -> None:
        """Begin with a request.

        Args:
            receive: Of the request.
            limits: On bytes and seconds.
        """
        self.receive, self.limits = receive, limits
        self.num_bytes = 0
        self.deadline = time.monotonic() + limits.upload_s

    async def __call__(self) -> Message:
        """Receive a part.

        Raises:
            RefusedError: If it is too much, or takes too long.
        """
        left_s, silence_s = self.deadline - time.monotonic(), self.limits.silence_s
        try:
            async with asyncio.timeout(max(0.0, min(silence_s, left_s))):
                message = await self.receive()
        except TimeoutError:
            raise RefusedError(
                408,
                f"the request did not come whole within {self.limits.upload_s:g} s; send it compressed, or start "
                "the server with a longer --upload-timeout"
                if left_s <= silence_s
                else f"nothing more of the request came for {silence_s:g} s",
                headers={"Connection": "close"},
            ) from None
        self.num_bytes += len(message.get("body", b""))
        check_size(self.num_bytes, self.limits)
        return message


def check_size(num_bytes: int, limits: Limits) -> None:
    """Refuse what is too large with a ``RefusedError``."""
    if num_bytes > limits.upload_bytes:
        most = limits.upload_bytes / 1e6
        raise RefusedError(
            413,
            f"larger than {most:g} MB; send it in parts, or compressed, or start the server with a larger "
            "--max-upload-mb",
            headers={"Connection": "close"},
        )
