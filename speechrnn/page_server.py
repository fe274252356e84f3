"""The live page on this machine: built files, model files and nothing else, over HTTP on the loopback interface.

The page needs no server but one that hands out files, so any web server can host it; this one only saves the
trouble. It knows its files beforehand and reads no path that a request makes up.
"""

import json
import sys
from collections.abc import Mapping
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from speechrnn.errors import ConfigError

PAGE_FOLDER = Path(__file__).parent / "web_page"
LOOPBACK = "127.0.0.1"
USUAL_PORT = 8432  # kept from one time to the next, so that the browser remembers what was allowed
INDEX = "index.html"
MODEL_LIST = "models/index.json"

CONTENT_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".json": "application/json",
    ".webmanifest": "application/manifest+json",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
}
OTHER_CONTENT = "application/octet-stream"
HEADERS = {
    "Cache-Control": "no-cache",
    "Content-Security-Policy": "frame-ancestors 'none'",  # the rest is in the page, whoever serves it
    "Permissions-Policy": "microphone=(self), camera=(), geolocation=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


class PageServer(ThreadingHTTPServer):
    """Serve the live page with some models; ``serve_forever`` runs it.

    Attributes:
        url: Where the page is.
    """

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, models: Mapping[str, Path], *, port: int | None = None) -> None:
        """Take a port and find the files.

        Args:
            models: Name and file of each model, in the order of the page's list; the first is opened.
            port: Port to listen on; when not given the usual one, or a free one if that is taken.

        Raises:
            ConfigError: If the port cannot be had, or the page was not built.
        """
        self.files = page_files(models)
        self.model_list = list_models(models)
        super().__init__(
            (LOOPBACK, USUAL_PORT if port is None else port), PageHandler, bind_and_activate=False
        )
        try:
            self.bind(or_any_free=port is None)
        except (OSError, OverflowError) as error:
            self.server_close()
            reason = getattr(error, "strerror", None) or error
            raise ConfigError(
                f"port {port}: cannot be listened on: {reason}; leave --port out for a free one"
            ) from error
        self.url = f"http://{LOOPBACK}:{self.server_address[1]}/"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of a browser that closed a page while it was loading."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)

    def bind(self, *, or_any_free: bool) -> None:
        """Listen; an ``OSError`` if that is not possible."""
        try:
            self.server_bind()
        except OSError:
            if not or_any_free:
                raise
            self.server_address = (LOOPBACK, 0)
            self.server_bind()
        self.server_activate()


def page_files(models: Mapping[str, Path]) -> dict[str, Path]:
    """Find what is served: path behind the first slash to file.

    Raises:
        ConfigError: If the page was not built.
    """
    if not (PAGE_FOLDER / INDEX).is_file():
        raise ConfigError(
            f"{PAGE_FOLDER}: the page is missing from this installation; build it with `make web`"
        )
    built = (path for path in PAGE_FOLDER.rglob("*") if path.is_file())
    files = {path.relative_to(PAGE_FOLDER).as_posix(): path for path in built}
    return files | {model_path(name): path for name, path in models.items()}


def list_models(models: Mapping[str, Path]) -> bytes:
    """Write the list of models that the page reads, in JSON."""
    entries = [
        {"name": name, "file": quote(model_path(name)), "size": path.stat().st_size}
        for name, path in models.items()
    ]
    return json.dumps(entries).encode()


def model_path(name: str) -> str:
    """Say where a model is served."""
    return f"models/{name}.onnx"


class PageHandler(BaseHTTPRequestHandler):
    """Answer one request."""

    protocol_version = "HTTP/1.1"
    server_version, sys_version = "speechrnn", ""
    server: PageServer

    def do_GET(self) -> None:
        """Send a file."""
        self.answer(with_content=True)

    def do_HEAD(self) -> None:
        """Send what would be said of a file."""
        self.answer(with_content=False)

    def answer(self, *, with_content: bool) -> None:
        """Find the file and send it; a request for another host's page was led here, and gets nothing."""
        host = (self.headers.get("Host") or "").rpartition(":")[0]
        path = unquote(urlsplit(self.path).path).removeprefix("/") or INDEX
        if host not in (LOOPBACK, "localhost"):
            self.send_error(HTTPStatus.FORBIDDEN)
        elif path == MODEL_LIST:
            self.send(self.server.model_list, ".json", with_content=with_content)
        elif path in self.server.files:
            file = self.server.files[path]
            self.send(file.read_bytes(), file.suffix, with_content=with_content)
        else:
            self.send_error(HTTPStatus.NOT_FOUND)

    def send(self, content: bytes, suffix: str, *, with_content: bool) -> None:
        """Send content, or only the headers."""
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", CONTENT_TYPES.get(suffix, OTHER_CONTENT))
        self.send_header("Content-Length", str(len(content)))
        for name, value in HEADERS.items():
            self.send_header(name, value)
        self.end_headers()
        if with_content:
            self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:
        """Keep the terminal quiet."""
