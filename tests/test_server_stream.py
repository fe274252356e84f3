"""The streaming socket: what is said comes back as it is understood, whoever else is connected."""

import asyncio
import concurrent.futures
import contextlib
import json
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from http_client import Running, is_listening, serving
from tiny_model import SAMPLE_RATE, speak, write_model
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from speechrnn.runtime import Transcriber, TranscriptionStream
from speechrnn.server import inbox
from speechrnn.server.inbox import Inbox
from speechrnn.server.limits import Limits

PAUSE = np.zeros(SAMPLE_RATE, dtype=np.float32)
SPEECH = np.concatenate([PAUSE, speak("ab c"), PAUSE, speak("cab"), PAUSE])
END = json.dumps({"type": "end"})


@pytest.fixture(scope="module")
def tones(tmp_path_factory: pytest.TempPathFactory) -> Transcriber:
    return Transcriber(write_model(tmp_path_factory.mktemp("models") / "tones.onnx"))


@pytest.fixture(scope="module")
def running(tones: Transcriber) -> Iterator[Running]:
    with serving(tones, hosts={"127.0.0.1"}, origins={"http://page.example"}) as server:
        yield server


def dial(running: Running, query: str = "", **options: Any) -> ClientConnection:
    return connect(f"ws://127.0.0.1:{running.port}/v1/audio/stream{query}", open_timeout=60, **options)


def pcm(waveform: np.ndarray) -> bytes:
    return (waveform * 2**15).astype("<i2").tobytes()


def converse(socket: ClientConnection, data: bytes, *, size: int = 4001) -> list[dict[str, Any]]:
    """Say everything, and collect the answers until the end."""
    for start in range(0, len(data), size):
        socket.send(data[start : start + size])
    socket.send(END)
    answers = [json.loads(socket.recv(timeout=60))]
    while answers[-1]["type"] not in ("done", "error"):
        answers.append(json.loads(socket.recv(timeout=60)))
    return answers


def finals(answers: list[dict[str, Any]]) -> list[str]:
    return [answer["text"] for answer in answers if answer["type"] == "final"]


def test_a_stream_is_told_partial_and_final_texts(running: Running) -> None:
    with dial(running) as socket:
        answers = converse(socket, pcm(SPEECH))
    assert answers[0]["type"] == "ready"
    assert answers[0]["sample_rate"] == SAMPLE_RATE
    assert 0 < answers[0]["latency"] < 2
    assert finals(answers) == ["ab c", "cab"]
    assert answers[-1] == {"type": "done"}
    partials = [answer["text"] for answer in answers if answer["type"] == "partial"]
    assert "ab" in partials
    second = [answer for answer in answers if answer["type"] == "final"][1]
    assert (second["id"], second["words"][0]["word"]) == (1, "cab")
    assert second["start"] == pytest.approx(3.0, abs=0.03)  # 1 + 0.9 + 1 + 0.1 s


def test_pcm_of_another_kind_is_understood(running: Running) -> None:
    sides = [speak("a", sample_rate=48_000), speak("c", sample_rate=48_000)]
    data = np.stack(sides, axis=1).astype("<f4").tobytes()
    for channel, text in (("0", "a"), ("1", "c")):
        query = f"?sample_rate=48000&encoding=f32le&channels=2&channel={channel}"
        with dial(running, query) as socket:
            assert finals(converse(socket, data)) == [text]


def test_an_end_without_audio_is_no_error(running: Running) -> None:
    with dial(running) as socket:
        assert [answer["type"] for answer in converse(socket, b"")] == ["ready", "done"]


def test_eight_streams_at_once_each_hear_their_own(running: Running) -> None:
    texts = ["a", "b", "c", "ab", "bc", "ca", "abc", "cba"]

    def ask(text: str) -> list[str]:
        with dial(running) as socket:
            return finals(converse(socket, pcm(speak(text)), size=1600))

    with concurrent.futures.ThreadPoolExecutor(len(texts)) as clients:
        assert list(clients.map(ask, texts)) == [[text] for text in texts]


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("?rate=8000", "rate: no such parameter; there are channel, channels, encoding, sample_rate"),
        ("?sample_rate=x", "sample_rate: must be a whole number, got 'x'"),
        ("?sample_rate=1", "the sample rate of raw PCM must be 1000 to 384000 Hz, got 1"),
        ("?channels=9", "raw PCM must have 1 to 8 channels, got 9"),
        ("?encoding=mp3", "the encoding of raw PCM must be one of s16le"),
    ],
)
def test_what_cannot_be_pcm_is_refused(running: Running, query: str, message: str) -> None:
    with dial(running, query) as socket:
        answer = json.loads(socket.recv(timeout=60))
        assert answer["type"] == "error"
        assert message in answer["message"]
        with pytest.raises(ConnectionClosed):
            socket.recv(timeout=60)


@pytest.mark.parametrize("text", ["hello", "{}", '{"type": "start"}', "[" * 10_000])
def test_text_that_is_not_understood_ends_the_stream(running: Running, text: str) -> None:
    with dial(running) as socket:
        socket.send(text)
        assert json.loads(socket.recv(timeout=60))["type"] == "ready"
        answer = json.loads(socket.recv(timeout=60))
    assert (answer["type"], answer["message"][:12]) == ("error", "send raw PCM")


def test_samples_that_are_no_numbers_end_the_stream(running: Running) -> None:
    with dial(running, "?encoding=f32le") as socket:
        socket.send(np.full(1600, np.nan, dtype="<f4").tobytes())
        answers = [json.loads(socket.recv(timeout=60)) for _ in range(2)]
    assert "1600 samples are NaN" in answers[1]["message"]


def test_a_message_that_is_too_large_ends_the_stream(running: Running) -> None:
    def send_and_listen() -> None:
        with dial(running) as socket:
            socket.send(bytes(2**20 + 1))
            while True:
                socket.recv(timeout=60)

    with pytest.raises(ConnectionClosed):
        send_and_listen()


def test_a_client_that_says_nothing_is_hung_up_on(tones: Transcriber) -> None:
    with serving(tones, Limits(stream_silence_s=0.05)) as running, dial(running) as socket:
        answers = [json.loads(socket.recv(timeout=60)) for _ in range(2)]
        assert answers[1] == {"type": "error", "message": "nothing came for 0.05 s"}


def test_a_stream_lives_longer_than_a_connection_that_does_not_ask(tones: Transcriber) -> None:
    with serving(tones, Limits(silence_s=0.05)) as running, dial(running) as stream:
        with socket.create_connection(("127.0.0.1", running.port), timeout=60) as silent:
            assert silent.recv(1) == b""  # hung up on, and it came after the stream
        assert finals(converse(stream, pcm(speak("ab")))) == ["ab"]


def test_a_client_whose_answer_to_a_ping_waits_behind_its_audio_is_heard_on(
    tones: Transcriber, monkeypatch: pytest.MonkeyPatch
) -> None:
    can_go_on = threading.Event()
    feed = TranscriptionStream.feed

    def wait(stream: TranscriptionStream, samples: np.ndarray) -> Any:
        assert can_go_on.wait(timeout=60)
        return feed(stream, samples)

    monkeypatch.setattr(TranscriptionStream, "feed", wait)
    monkeypatch.setattr(inbox, "MOST_AHEAD", 1)
    with serving(tones, Limits(silence_s=0.2)) as running:
        config = running.server.config
        config.ws_ping_interval, config.ws_ping_timeout = 0.01, config.ws_ping_timeout and 0.01
        with dial(running) as stream:
            for letter in "abc":
                stream.send(pcm(speak(letter)))
            with socket.create_connection(("127.0.0.1", running.port), timeout=60) as silent:
                assert silent.recv(1) == b""  # many pings later
            can_go_on.set()
            assert finals(converse(stream, b"")) == ["abc"]


def until_there_is_a_place(running: Running) -> None:
    """Dial, and go away in the middle of a stream; the server may still be clearing up behind another one."""
    is_ready = False
    while not is_ready:
        with dial(running) as socket:
            is_ready = json.loads(socket.recv(timeout=60))["type"] == "ready"
            if is_ready:
                socket.send(pcm(speak("a")))


def test_more_streams_than_there_are_places_for_are_told_to_come_again(tones: Transcriber) -> None:
    with serving(tones, Limits(streams=1)) as running:
        with dial(running) as first:
            assert json.loads(first.recv(timeout=60))["type"] == "ready"
            with dial(running) as second:
                refused = json.loads(second.recv(timeout=60))
                assert refused == {"type": "error", "message": "1 streams are open; try again later"}
            assert finals(converse(first, pcm(speak("a"))))[-1:] == ["a"]
        until_there_is_a_place(running)


def test_a_client_that_goes_away_frees_its_place(tones: Transcriber) -> None:
    with serving(tones, Limits(streams=1)) as running:
        for _ in range(3):
            until_there_is_a_place(running)


def test_what_a_client_has_sent_is_not_heard_once_it_has_gone(
    tones: Transcriber, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard, is_gone = [], threading.Event()
    feed = TranscriptionStream.feed

    def wait(stream: TranscriptionStream, samples: np.ndarray) -> Any:
        heard.append(len(samples))
        assert is_gone.wait(timeout=60)
        return feed(stream, samples)

    monkeypatch.setattr(TranscriptionStream, "feed", wait)
    with serving(tones) as running:
        with dial(running) as socket:
            assert json.loads(socket.recv(timeout=60))["type"] == "ready"
            for _ in range(2):
                socket.send(bytes(10 * 2 * SAMPLE_RATE))
        is_gone.set()
    assert heard in ([], [SAMPLE_RATE])


def test_no_more_than_a_few_mb_are_read_ahead_even_of_empty_messages() -> None:
    class Flood:
        num_messages = 0

        async def receive(self) -> dict[str, Any]:
            self.num_messages += 1
            assert self.num_messages < 100_000
            return {"type": "websocket.receive", "bytes": b""}

    async def read() -> None:
        async with asyncio.timeout(0.05):
            await Inbox(Flood()).read()  # type: ignore[arg-type]

    with pytest.raises(TimeoutError):
        asyncio.run(read())


@pytest.mark.parametrize(
    ("options", "is_welcome"),
    [
        ({}, True),
        ({"origin": "http://page.example"}, True),
        ({"origin": "http://evil.example"}, False),
    ],
)
def test_a_web_page_may_listen_only_if_it_is_allowed_to(
    running: Running, options: dict[str, Any], is_welcome: bool
) -> None:
    if is_welcome:
        with dial(running, **options) as socket:
            assert json.loads(socket.recv(timeout=60))["type"] == "ready"
    else:
        with pytest.raises(InvalidStatus, match="403"):
            dial(running, **options)


def test_a_keyword_model_has_no_text_to_stream(tmp_path: Path) -> None:
    keywords = Transcriber(write_model(tmp_path / "keywords.onnx", "classification"))
    with serving(keywords) as running, dial(running) as socket:
        assert "keyword model" in json.loads(socket.recv(timeout=60))["message"]


@pytest.mark.parametrize("has_spoken", [True, False])
def test_open_streams_are_told_what_was_heard_and_do_not_hold_up_a_graceful_end(
    tones: Transcriber, has_spoken: bool
) -> None:
    with serving(tones) as running, dial(running) as socket:
        assert json.loads(socket.recv(timeout=60))["type"] == "ready"
        if has_spoken:
            socket.send(pcm(np.concatenate([speak("abc"), PAUSE / 2])))
            assert json.loads(socket.recv(timeout=60))["type"] == "partial"
        running.server.stop()
        answers = [json.loads(answer) for answer in until_closed(socket)]
        assert finals(answers) == (["abc"] if has_spoken else [])
        stopped = "the server stops; what had come by then was heard"
        assert answers[-1] == {"type": "error", "message": stopped}
        assert socket.close_code == 1012
        running.thread.join(timeout=60)
        assert not running.thread.is_alive()


def test_a_stream_that_is_being_finished_is_finished_before_a_graceful_end(
    tones: Transcriber, monkeypatch: pytest.MonkeyPatch
) -> None:
    is_reached, is_stopped = threading.Event(), threading.Event()
    final = TranscriptionStream.final

    def wait(stream: TranscriptionStream) -> Any:
        is_reached.set()
        assert is_stopped.wait(timeout=60)
        return final(stream)

    monkeypatch.setattr(TranscriptionStream, "final", wait)
    with serving(tones) as running, dial(running) as stream:
        stream.send(pcm(speak("abc")))
        stream.send(END)
        assert is_reached.wait(timeout=60)
        running.server.stop()
        while is_listening(running.port):
            pass
        is_stopped.set()
        answers = [json.loads(answer) for answer in until_closed(stream)]
        assert finals(answers) == ["abc"]
        assert answers[-1] == {"type": "done"}


def until_closed(stream: ClientConnection) -> Iterator[str | bytes]:
    with contextlib.suppress(ConnectionClosed):
        while True:
            yield stream.recv(timeout=60)
