"""The server at work: it opens a socket, serves until it is asked to stop, and then finishes what runs."""

import asyncio
import errno
import logging
import math
import signal
import socket

import uvicorn
from starlette.applications import Starlette
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from speechrnn.errors import ConfigError
from speechrnn.server.inbox import server_stops
from speechrnn.server.limits import Limits

BACKLOG = 256


def open_socket(host: str, port: int) -> socket.socket:
    """Open a socket to listen on.

    Args:
        host: Name or address.
        port: 0 for any that is free.

    Raises:
        ConfigError: If it is in use, may not be used, or is not of this machine.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
        except OSError:
            listener.close()
            raise
    except OSError as error:
        cure = "; choose another --port" if error.errno in (errno.EADDRINUSE, errno.EACCES) else ""
        raise ConfigError(f"cannot listen on {host} port {port}: {error.strerror}{cure}") from error
    return listener


def address_of(listener: socket.socket) -> str:
    """Write the address of a socket as clients need it."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


class PatientOnlyOnce(H11Protocol):
    """Hang up on who connects and then does not ask; uvicorn itself waits for ever."""

    silence_s = Limits.silence_s

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin a connection."""
        super().connection_made(transport)
        self.loop.call_later(self.silence_s, self.hang_up_on_the_silent)

    def hang_up_on_the_silent(self) -> None:
        """End the connection if no request has come whole yet; what has become a WebSocket is another's."""
        is_ours = self.transport.get_protocol() is self
        if is_ours and self.cycle is None and not self.transport.is_closing():
            self.transport.close()


class PoliteSocket(WebSocketsSansIOProtocol):
    """Let a stream tell what it has heard when the server ends; uvicorn itself hangs up at once."""

    def shutdown(self) -> None:
        """Ask whoever serves the socket to end it, if somebody does."""
        if self.handshake_complete and not self.close_sent and not self.transport.is_closing():
            self.queue.put_nowait(server_stops())  # type: ignore[arg-type]
        else:
            super().shutdown()


def serve(app: Starlette, listener: socket.socket, *, limits: Limits) -> None:
    """Serve until SIGINT or SIGTERM; then take nothing new, finish what runs, and return.

    A second SIGINT ends it at once.
    """
    make_server(app, limits).run_until_stopped(listener)


class Server(uvicorn.Server):
    """uvicorn's server, which after a graceful end would raise the signal that asked for it again."""

    def run_until_stopped(self, listener: socket.socket) -> None:
        """Serve on an open socket, in this thread."""
        with asyncio.Runner() as runner:
            runner.run(self.serve([listener]))

    def stop(self) -> None:
        """Ask for a graceful end, from any thread."""
        self.should_exit = True

    def handle_exit(self, sig: int, frame: object) -> None:
        """Note that the end was asked for; the first time, gently."""
        self.force_exit = self.should_exit and sig == signal.SIGINT
        self.should_exit = True


def make_server(app: Starlette, limits: Limits) -> Server:
    """Set up uvicorn: no banner, no access log, one process."""
    logging.getLogger("uvicorn.error").setLevel(logging.WARNING)
    return Server(
        uvicorn.Config(
            app,
            http=type("Protocol", (PatientOnlyOnce,), {"silence_s": limits.silence_s}),
            ws=PoliteSocket,
            ws_max_size=2**20,
            ws_ping_timeout=None,  # an answer may wait behind audio; Limits.stream_silence_s is for who has gone
            lifespan="on",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_graceful_shutdown=math.ceil(limits.answer_s),
            backlog=BACKLOG,
        )
    )
