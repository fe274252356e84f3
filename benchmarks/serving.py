"""Thirty-two clients at once, every answer checked: what HTTP costs, and what sharing batches gains."""

import http.client
import json
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from an4_network import ROOT
from timing import Comparison, compare, time_in_turn

from speechrnn.runtime import Transcriber
from speechrnn.server.app import make_app
from speechrnn.server.limits import Limits
from speechrnn.server.listen import make_server, open_socket

REPEATS = 9
NUM_CLIENTS = 32
BOUNDARY = "b0undary"
AT_ONCE, IN_TURN, DIRECT = "32 clients at once", "the same, one after another", "Transcriber, one list"


def measure(*, repeats: int = REPEATS) -> Iterator[Comparison]:
    """Compare clients at once with clients in turn, and with the library."""
    transcriber = Transcriber()
    clips = sorted((ROOT / "data/samples").glob("an4_*.wav"))
    uploads = [clips[number % len(clips)].read_bytes() for number in range(NUM_CLIENTS)]
    heard = transcriber.transcribe(uploads)
    expected = [transcription.text for transcription in heard]
    audio_s = sum(transcription.duration_s for transcription in heard)
    with serving(transcriber) as port, ThreadPoolExecutor(NUM_CLIENTS) as clients:

        def ask(upload: bytes) -> str:
            return post(port, upload)

        seconds = time_in_turn(
            {
                AT_ONCE: lambda: check(list(clients.map(ask, uploads)), expected),
                IN_TURN: lambda: check([ask(upload) for upload in uploads], expected),
                DIRECT: lambda: check([t.text for t in transcriber.transcribe(uploads)], expected),
            },
            repeats=repeats,
        )
    title = f"{NUM_CLIENTS} clips of AN4, {audio_s:.0f} s"
    yield compare(title, AT_ONCE, DIRECT, seconds, audio_s=audio_s)
    yield compare(title, IN_TURN, AT_ONCE, seconds, audio_s=audio_s)


def check(answers: Sequence[str], expected: Sequence[str]) -> None:
    """Refuse to time answers that are wrong or lost.

    Raises:
        RuntimeError: Naming the first of them.
    """
    for number, (answer, wanted) in enumerate(zip(answers, expected, strict=True)):
        if answer != wanted:
            raise RuntimeError(f"client {number} got {answer!r} instead of {wanted!r}")


@contextmanager
def serving(transcriber: Transcriber) -> Iterator[int]:
    """Run a server in a thread; yields its port."""
    limits = Limits()
    listener = open_socket("127.0.0.1", 0)
    listener.listen(NUM_CLIENTS)
    server = make_server(make_app(transcriber, limits=limits), limits)
    thread = threading.Thread(target=server.run_until_stopped, args=[listener])
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        server.stop()
        thread.join()
        listener.close()


def post(port: int, audio: bytes) -> str:
    """Upload a clip and return its text.

    Raises:
        RuntimeError: If it was refused.
    """
    disposition = 'Content-Disposition: form-data; name="file"; filename="x.wav"'
    body = f"--{BOUNDARY}\r\n{disposition}\r\n\r\n".encode() + audio + f"\r\n--{BOUNDARY}--\r\n".encode()
    connection = http.client.HTTPConnection("127.0.0.1", port)
    headers = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}
    connection.request("POST", "/v1/audio/transcriptions", body, headers)
    response = connection.getresponse()
    answer = json.loads(response.read())
    connection.close()
    if response.status != 200:
        raise RuntimeError(f"{response.status}: {answer}")
    return str(answer["text"])
