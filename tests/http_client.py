"""A server in a thread, and a client that can also misbehave."""

import http.client
import io
import json
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any, NamedTuple

import soundfile
from tiny_model import SAMPLE_RATE, speak

from speechrnn.runtime import Transcriber
from speechrnn.server.app import make_app
from speechrnn.server.limits import Limits
from speechrnn.server.listen import Server, make_server, open_socket

BOUNDARY = "b0undary"
MULTIPART = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}


class Answer(NamedTuple):
    """What came back."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def error(self) -> str:
        """The reason of a refusal."""
        return str(self.json["error"]["message"])


class Running(NamedTuple):
    """A server at work."""

    port: int
    server: Server
    thread: threading.Thread

    def request(
        self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] = {}
    ) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request(method, path, body=body, headers=dict(headers))
            response = connection.getresponse()
            return Answer(response.status, response.headers, response.read())
        finally:
            connection.close()

    def transcribe(self, audio: bytes, **fields: str) -> Answer:
        headers = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}
        return self.request("POST", "/v1/audio/transcriptions", multipart(audio, fields), headers)


@contextmanager
def serving(transcriber: Transcriber, limits: Limits = Limits(), **options: Any) -> Iterator[Running]:
    """Run a server; in the end it finishes what runs, and so does the block."""
    listener = open_socket("127.0.0.1", 0)
    listener.listen(256)  # who connects before the server runs shall wait
    server = make_server(make_app(transcriber, limits=limits, **options), limits)
    thread = threading.Thread(target=server.run_until_stopped, args=[listener])
    thread.start()
    try:
        yield Running(listener.getsockname()[1], server, thread)
    finally:
        server.stop()
        thread.join(timeout=60)
        listener.close()
        assert not thread.is_alive()


def is_listening(port: int) -> bool:
    """Tell whether somebody still listens."""
    with suppress(ConnectionError), socket.create_connection(("127.0.0.1", port), timeout=60):
        return True
    return False


def multipart(audio: bytes | None, fields: Mapping[str, str] = {}, *, filename: str = "x.wav") -> bytes:
    """Write a form."""
    parts = [
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
        for name, value in fields.items()
    ]
    if audio is not None:
        disposition = f'Content-Disposition: form-data; name="file"; filename="{filename}"'
        parts.append(f"--{BOUNDARY}\r\n{disposition}\r\n\r\n".encode() + audio + b"\r\n")
    return b"".join([*parts, f"--{BOUNDARY}--\r\n".encode()])


def wav(text: str, **options: Any) -> bytes:
    """Say a text in tones, as the bytes of a file."""
    file = io.BytesIO()
    soundfile.write(file, speak(text), SAMPLE_RATE, **{"format": "WAV", "subtype": "PCM_16", **options})
    return file.getvalue()
