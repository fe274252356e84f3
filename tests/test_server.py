"""The server, over real sockets: what it answers, what it refuses, and that it loses nothing."""

import concurrent.futures
import http.client
import io
import itertools
import logging
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import srt
from http_client import BOUNDARY, MULTIPART, Running, is_listening, multipart, serving, wav
from tiny_model import SAMPLE_RATE, speak, write_model
from websockets.sync.client import connect

import speechrnn
from speechrnn.cli.main import main
from speechrnn.errors import ConfigError
from speechrnn.runtime import Transcriber
from speechrnn.runtime.emission_stream import EmissionStream
from speechrnn.runtime.transcriber import LONG_S
from speechrnn.server.limits import Limits
from speechrnn.server.listen import address_of, open_socket
from speechrnn.server.worker import Worker

ROOT = Path(speechrnn.__file__).parent.parent
TRANSCRIPTIONS = "/v1/audio/transcriptions"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("models") / "tones.onnx", language="en")


@pytest.fixture(scope="module")
def tones(model: Path) -> Transcriber:
    return Transcriber(model)


@pytest.fixture(scope="module")
def running(tones: Transcriber) -> Iterator[Running]:
    with serving(tones, hosts={"127.0.0.1", "localhost"}, origins={"http://page.example"}) as server:
        yield server


class Gate:
    """Lets the model answer only when it is opened."""

    def __init__(self, tones: Transcriber, monkeypatch: pytest.MonkeyPatch) -> None:
        self.opened, self.reached = threading.Event(), threading.Event()
        transcribe_each = tones.transcribe_each

        def wait(*arguments: Any, **options: Any) -> Any:
            self.reached.set()
            assert self.opened.wait(timeout=60)
            return transcribe_each(*arguments, **options)

        monkeypatch.setattr(tones, "transcribe_each", wait)


class LongGate:
    """Lets a long recording be heard only when it is opened, and counts the blocks that were."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.opened, self.reached, self.num_blocks = threading.Event(), threading.Event(), 0
        feed = EmissionStream.feed

        def wait(stream: EmissionStream, samples: Any) -> Any:
            self.reached.set()
            assert self.opened.wait(timeout=60)
            self.num_blocks += 1
            return feed(stream, samples)

        monkeypatch.setattr(EmissionStream, "feed", wait)


@pytest.fixture
def long_gate(monkeypatch: pytest.MonkeyPatch) -> Iterator[LongGate]:
    gate = LongGate(monkeypatch)
    yield gate
    gate.opened.set()


@pytest.fixture
def gate(tones: Transcriber, monkeypatch: pytest.MonkeyPatch) -> Iterator[Gate]:
    gate = Gate(tones, monkeypatch)
    yield gate
    gate.opened.set()


# ---- What it answers ------------------------------------------------------------------------------------


def test_health_says_that_it_is_there(running: Running) -> None:
    health = running.request("GET", "/health")
    assert health.status == 200
    assert (health.json["status"], health.json["model"], health.json["requests"]) == ("ok", "tones", 0)


def test_models_lists_the_one_that_is_served(running: Running) -> None:
    (model,) = running.request("GET", "/v1/models").json["data"]
    assert (model["id"], model["object"], model["owned_by"]) == ("tones", "model", "speechrnn")


@pytest.mark.parametrize("fields", [{}, {"model": "tones"}, {"model": "whisper-1", "language": "en"}])
def test_a_transcription_is_json_with_its_text(running: Running, fields: dict[str, str]) -> None:
    answer = running.transcribe(wav("ab c"), **fields)
    assert (answer.status, answer.json) == (200, {"text": "ab c"})


@pytest.mark.parametrize("container", ["FLAC", "OGG", "MP3"])
def test_other_kinds_of_audio_are_understood(running: Running, container: str) -> None:
    audio = wav("ab c", format=container, subtype=None)
    assert running.transcribe(audio).json == {"text": "ab c"}


def test_text_and_subtitles_are_written_as_such(running: Running) -> None:
    text = running.transcribe(wav("ab c"), response_format="text")
    assert (text.body, text.headers["content-type"]) == (b"ab c\n", "text/plain; charset=utf-8")
    subtitles = running.transcribe(wav("ab c"), response_format="srt")
    (subtitle,) = srt.parse(subtitles.body.decode())
    assert subtitle.content == "ab c"
    vtt = running.transcribe(wav("ab c"), response_format="vtt")
    assert vtt.body.startswith(b"WEBVTT\n\n00:00:00.")
    assert vtt.headers["content-type"] == "text/vtt; charset=utf-8"


def test_verbose_json_has_segments_or_words_or_both(running: Running) -> None:
    plain = running.transcribe(wav("ab c"), response_format="verbose_json").json
    assert (plain["task"], plain["language"], plain["text"]) == ("transcribe", "en", "ab c")
    assert plain["duration"] == pytest.approx(0.9)  # silence and tones, 0.1 s each: 2 * 4 + 1
    assert plain["audio"]["path"] == "x.wav"
    assert [segment["text"] for segment in plain["segments"]] == ["ab c"]
    assert "words" not in plain
    words = running.transcribe(
        wav("ab c"), response_format="verbose_json", **{"timestamp_granularities[]": "word"}
    ).json
    assert [word["word"] for word in words["words"]] == ["ab", "c"]
    assert words["words"][1]["start"] == pytest.approx(0.7, abs=0.02)
    assert "segments" not in words


def test_a_language_of_which_the_model_says_nothing_is_warned_of_once_and_not_claimed(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "speechrnn")
    nameless = Transcriber(write_model(tmp_path / "nameless.onnx"))
    with serving(nameless) as running:
        fields = {"response_format": "verbose_json", "language": "de"}
        answers = [running.transcribe(wav("a"), **fields).json for _ in range(2)]
    assert [(answer["text"], answer["language"]) for answer in answers] == [("a", None)] * 2
    assert caplog.messages == [
        "a client wants 'de' to be heard; the model 'nameless' does not say what language it hears"
    ]


def test_thirty_two_clients_at_once_each_get_their_own_answer(running: Running) -> None:
    texts = ["".join(letters) for letters in itertools.product("abc", repeat=4)][:32]
    start = threading.Barrier(len(texts))

    def ask(text: str) -> tuple[int, Any]:
        start.wait(timeout=60)
        answer = running.transcribe(wav(text))
        return answer.status, answer.json

    with concurrent.futures.ThreadPoolExecutor(len(texts)) as clients:
        answers = list(clients.map(ask, texts))
    assert answers == [(200, {"text": text}) for text in texts]


# ---- What it refuses ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "status", "message"),
    [
        ({"model": "large-v3"}, 404, "model: there is no 'large-v3' here, only 'tones'"),
        ({"language": "de"}, 400, "language: the model hears 'en', not 'de'"),
        ({"response_format": "doc"}, 400, "response_format: must be one of json, text, srt, vtt"),
        ({"stream": "true"}, 400, "stream: use the WebSocket"),
        ({"timestamp_granularities[]": "word"}, 400, "goes with response_format=verbose_json"),
        (
            {"timestamp_granularities[]": "letter", "response_format": "verbose_json"},
            400,
            "must be word or segment, got letter",
        ),
    ],
)
def test_fields_that_cannot_be_met_are_named(
    running: Running, fields: dict[str, str], status: int, message: str
) -> None:
    answer = running.transcribe(wav("a"), **fields)
    assert answer.status == status
    assert message in answer.error
    assert answer.json["error"]["type"] == "invalid_request_error"


@pytest.mark.parametrize(
    ("audio", "message"),
    [
        (b"", "x.wav: audio of 0 bytes: is empty"),
        (b"this is text", "x.wav: audio of 12 bytes: not audio that can be read"),
        (wav("ab")[:2000], "truncated: 1956 bytes are there of 16000"),
        (wav("a")[:44], "x.wav"),
    ],
)
def test_what_is_no_audio_is_refused(running: Running, audio: bytes, message: str) -> None:
    answer = running.transcribe(audio)
    assert answer.status == 400
    assert message in answer.error
    assert answer.json["error"]["param"] == "file"


def test_audio_that_is_too_short_is_refused(running: Running) -> None:
    answer = running.transcribe(wav("")[:44] + bytes(100))
    assert answer.status == 400


@pytest.mark.parametrize(
    ("body", "headers", "status", "message"),
    [
        (b"x=1", {"Content-Type": "application/x-www-form-urlencoded"}, 415, "send the fields as multipart"),
        (b"RIFF", {"Content-Type": "audio/wav"}, 415, "not 'audio/wav'"),
        (b"RIFF", {}, 415, "without a type"),
        (b"{}", {"Content-Type": "multipart/form-data"}, 400, "Missing boundary"),
        (b"nonsense", MULTIPART, 400, "cannot be read"),
        (b"", MULTIPART, 400, "they are cut off"),
        (multipart(None, {"model": "tones"}), MULTIPART, 400, "file: missing"),
        (multipart(None, {"file": "x.wav"}), MULTIPART, 400, "file: missing, or not sent as a file"),
        (multipart(wav("a"))[:-200], MULTIPART, 400, "the fields cannot be read: they are cut off"),
        (multipart(None, {"model": "x" * 2_000_000}), MULTIPART, 400, "exceeded maximum size"),
        (multipart(wav("a"), {f"f{i}": "" for i in range(30)}), MULTIPART, 400, "Too many fields"),
        (multipart(wav("a"))[: -len(BOUNDARY) - 6] + multipart(wav("b")), MULTIPART, 400, "Too many files"),
    ],
)
def test_bodies_that_are_no_form_are_refused(
    running: Running, body: bytes, headers: dict[str, str], status: int, message: str
) -> None:
    answer = running.request("POST", TRANSCRIPTIONS, body, headers)
    assert answer.status == status
    assert message in answer.error


def test_a_file_where_text_belongs_is_refused(running: Running) -> None:
    body = multipart(b"tones").replace(b'name="file"', b'name="model"')
    body = multipart(wav("a"))[: -len(f"--{BOUNDARY}--\r\n")] + body
    assert running.request("POST", TRANSCRIPTIONS, body, MULTIPART).status == 400


@pytest.mark.parametrize(
    ("method", "path", "status"), [("GET", "/", 404), ("GET", TRANSCRIPTIONS, 405), ("POST", "/health", 405)]
)
def test_what_is_not_there_is_said_in_the_same_shape(
    running: Running, method: str, path: str, status: int
) -> None:
    answer = running.request(method, path)
    assert answer.status == status
    assert answer.error.startswith(f"{method} {path}: ")


# ---- Too much, too slow ---------------------------------------------------------------------------------


def test_an_upload_that_says_it_is_too_large_is_refused_before_it_comes(tones: Transcriber) -> None:
    with serving(tones, Limits(upload_bytes=1000)) as running:
        with socket.create_connection(("127.0.0.1", running.port), timeout=60) as client:
            client.sendall(head(1001))
            assert client.recv(1000).startswith(b"HTTP/1.1 413 ")
        assert running.transcribe(wav("a")).status == 413


def test_an_upload_that_does_not_say_its_size_is_counted(tones: Transcriber) -> None:
    with serving(tones, Limits(upload_bytes=1000)) as running:
        connection = http.client.HTTPConnection("127.0.0.1", running.port, timeout=60)
        parts = iter([multipart(wav("a"))[:900], multipart(wav("a"))[900:1800]])
        connection.request("POST", TRANSCRIPTIONS, parts, MULTIPART, encode_chunked=True)
        assert connection.getresponse().status == 413
        connection.close()


def test_a_long_recording_in_a_small_file_is_refused(tones: Transcriber) -> None:
    with serving(tones, Limits(audio_s=0.5)) as running:
        assert running.transcribe(wav("ab")).json == {"text": "ab"}  # 0.5 s
        answer = running.transcribe(wav("abc"))
        assert answer.status == 413
        assert "longer than 0.5 s" in answer.error


def head(length: int) -> bytes:
    lines = [f"POST {TRANSCRIPTIONS} HTTP/1.1", "Host: 127.0.0.1", f"Content-Length: {length}"]
    lines += [f"{name}: {value}" for name, value in MULTIPART.items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


@pytest.mark.parametrize(
    ("limits", "reason"),
    [
        (Limits(silence_s=0.05), b"nothing more of the request came for 0.05 s"),
        (
            Limits(upload_s=0.05),
            b"did not come whole within 0.05 s; send it compressed, or start the server with a longer",
        ),
    ],
)
def test_a_client_that_stops_within_its_upload_is_told_so(
    tones: Transcriber, limits: Limits, reason: bytes
) -> None:
    with serving(tones, limits) as running:
        with socket.create_connection(("127.0.0.1", running.port), timeout=60) as client:
            client.sendall(head(1000) + multipart(wav("a"))[:500])
            answer = b"".join(iter(lambda: client.recv(1000), b""))
            assert answer.startswith(b"HTTP/1.1 408 ")
            assert reason in answer
        assert running.request("GET", "/health").json["requests"] == 0


@pytest.mark.parametrize("beginning", [b"", b"POST", head(1000)[:-4]])
def test_a_client_that_connects_and_does_not_ask_is_hung_up_on(tones: Transcriber, beginning: bytes) -> None:
    with (
        serving(tones, Limits(silence_s=0.05)) as running,
        socket.create_connection(("127.0.0.1", running.port), timeout=60) as client,
    ):
        client.sendall(beginning)
        assert client.recv(1000) == b""


def test_a_client_that_goes_away_within_its_upload_frees_its_place(tones: Transcriber) -> None:
    with serving(tones, Limits(requests=1)) as running:
        with socket.create_connection(("127.0.0.1", running.port), timeout=60) as client:
            client.sendall(head(1000) + multipart(wav("a"))[:500])
            while running.request("GET", "/health").json["requests"] == 0:
                pass
        while running.request("GET", "/health").json["requests"] == 1:
            pass
        assert running.transcribe(wav("a")).status == 200


def test_a_client_that_goes_away_before_its_answer_is_worked_for_no_longer(
    tones: Transcriber, long_gate: LongGate
) -> None:
    silence = io.BytesIO()
    soundfile.write(silence, np.zeros(round(1.5 * LONG_S * SAMPLE_RATE)), SAMPLE_RATE, format="FLAC")
    body = multipart(silence.getvalue())
    with serving(tones) as running:
        with socket.create_connection(("127.0.0.1", running.port), timeout=60) as client:
            client.sendall(head(len(body)) + body)
            assert long_gate.reached.wait(timeout=60)
        while running.request("GET", "/health").json["requests"] == 1:
            pass
        long_gate.opened.set()
        assert running.transcribe(wav("ab")).json == {"text": "ab"}
    assert long_gate.num_blocks == 1


def test_more_requests_than_there_are_places_for_are_told_to_come_again(
    tones: Transcriber, gate: Gate
) -> None:
    with serving(tones, Limits(requests=2)) as running, concurrent.futures.ThreadPoolExecutor() as clients:
        first = [clients.submit(running.transcribe, wav(text)) for text in "ab"]
        while running.request("GET", "/health").json["requests"] < 2:
            pass
        refused = running.transcribe(wav("c"))
        gate.opened.set()
        assert refused.status == 429
        assert int(refused.headers["Retry-After"]) >= 1
        assert "2 transcriptions are under way; try again later" in refused.error
        assert [answer.result().json["text"] for answer in first] == ["a", "b"]
        assert running.transcribe(wav("c")).json == {"text": "c"}


def test_more_audio_than_memory_is_meant_for_is_told_to_come_again(tones: Transcriber, gate: Gate) -> None:
    with serving(tones, Limits(waiting_s=0.9)) as running, concurrent.futures.ThreadPoolExecutor() as clients:
        first = clients.submit(running.transcribe, wav("abc"))  # 0.7 s
        assert gate.reached.wait(timeout=60)
        refused = running.transcribe(wav("a"))  # 0.3 s
        gate.opened.set()
        assert refused.status == 429
        assert first.result().json == {"text": "abc"}


def test_a_recording_that_takes_too_long_is_given_up(tones: Transcriber, gate: Gate) -> None:
    with serving(tones, Limits(answer_s=0.05)) as running:
        answer = running.transcribe(wav("a"))
        gate.opened.set()
        assert answer.status == 503
        assert answer.headers["Retry-After"] == "60"


def test_the_time_for_an_answer_begins_with_the_wait_for_a_place_to_decode(
    tones: Transcriber, long_gate: LongGate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: 1)
    with serving(tones, Limits(answer_s=0.05)) as running:
        with connect(f"ws://127.0.0.1:{running.port}/v1/audio/stream") as stream:
            stream.send(bytes(2))  # holds the only place
            assert long_gate.reached.wait(timeout=60)
            assert running.transcribe(wav("a")).status == 503
        long_gate.opened.set()


@pytest.mark.parametrize("limit", ["upload_bytes", "audio_s", "requests", "upload_s", "answer_s"])
@pytest.mark.parametrize("value", [0, float("nan")])
def test_a_limit_of_nothing_is_refused(limit: str, value: float) -> None:
    with pytest.raises(ConfigError, match=f"{limit} must be > 0 and finite, got {value}"):
        Limits(**{limit: value})  # type: ignore[arg-type]


# ---- Browsers -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"Host": "localhost:80"}, 200),
        ({"Origin": "http://page.example"}, 200),
        ({"Host": "localhost:8000", "Origin": "http://localhost:8000"}, 200),
        ({"Sec-Fetch-Site": "none"}, 200),  # typed into the address bar
        ({"Sec-Fetch-Site": "same-origin"}, 200),
        ({"Host": "rebound.example"}, 403),
        ({"Host": "127.0.0.1.evil.example"}, 403),
        ({"Host": "["}, 403),
        ({"Host": ""}, 403),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "https://page.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Host": "localhost:8000", "Origin": "http://localhost:3000"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),  # an image, say, which has no Origin
    ],
)
def test_a_web_page_may_ask_only_if_it_is_allowed_to(
    running: Running, headers: dict[str, str], status: int
) -> None:
    assert running.request("GET", "/health", headers=headers).status == status


def test_a_browser_that_asks_first_is_told_what_its_page_may(running: Running) -> None:
    asking = {"Origin": "http://page.example", "Access-Control-Request-Method": "POST"}
    answer = running.request("OPTIONS", TRANSCRIPTIONS, headers=asking)
    assert answer.status == 200
    assert answer.headers["Access-Control-Allow-Origin"] == "http://page.example"
    asking["Origin"] = "http://evil.example"
    assert running.request("OPTIONS", TRANSCRIPTIONS, headers=asking).status == 403


def test_without_names_any_name_will_do(tones: Transcriber) -> None:
    with serving(tones) as running:
        assert running.request("GET", "/health", headers={"Host": "lab.example"}).status == 200


# ---- The end --------------------------------------------------------------------------------------------


def test_a_graceful_end_finishes_what_runs_and_takes_nothing_new(tones: Transcriber, gate: Gate) -> None:
    with concurrent.futures.ThreadPoolExecutor() as clients, serving(tones) as running:
        last = clients.submit(running.transcribe, wav("ab"))
        assert gate.reached.wait(timeout=60)
        running.server.stop()
        while is_listening(running.port):
            pass
        gate.opened.set()
        assert last.result(timeout=60).json == {"text": "ab"}
        running.thread.join(timeout=60)
        assert not running.thread.is_alive()


def test_a_bug_in_one_batch_does_not_end_the_worker(
    tones: Transcriber, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*arguments: Any, **options: Any) -> None:
        raise ZeroDivisionError

    worker = Worker(tones)
    with monkeypatch.context() as patch:
        patch.setattr(tones, "transcribe_each", fail)
        with pytest.raises(ZeroDivisionError):
            worker.submit(speak("a")).result(timeout=60)
    assert worker.submit(speak("a")).result(timeout=60).text == "a"
    last = worker.submit(speak("b"))
    worker.close()
    assert last.result(timeout=0).text == "b"


def test_what_was_cancelled_before_its_turn_is_not_computed(tones: Transcriber, gate: Gate) -> None:
    worker = Worker(tones)
    first = worker.submit(speak("a"))
    assert gate.reached.wait(timeout=60)
    second, third = worker.submit(speak("b")), worker.submit(speak("c"))
    assert second.cancel()
    gate.opened.set()
    assert [first.result(timeout=60).text, third.result(timeout=60).text] == ["a", "c"]
    worker.close()


def test_a_long_recording_that_is_given_up_is_heard_no_further(
    tones: Transcriber, long_gate: LongGate
) -> None:
    worker = Worker(tones)
    long = worker.submit(np.zeros(round(1.5 * LONG_S * SAMPLE_RATE), np.float32))
    assert long_gate.reached.wait(timeout=60)
    assert long.cancel()
    short = worker.submit(speak("ab"))
    long_gate.opened.set()
    assert short.result(timeout=60).text == "ab"
    assert long_gate.num_blocks == 1
    worker.close()


# ---- The command ----------------------------------------------------------------------------------------


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGTERM")
@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_the_command_serves_until_it_is_asked_to_stop(model: Path, how: signal.Signals) -> None:
    command = [sys.executable, "-m", "speechrnn", "serve", "--port", "0", "-m", str(model)]
    with subprocess.Popen(command, cwd=ROOT, text=True, stderr=subprocess.PIPE) as process:
        assert process.stderr is not None
        assert process.stderr.readline() == "model tones: text of 4 different characters\n"
        line = process.stderr.readline().strip()
        assert line.startswith("listening on http://127.0.0.1:")
        port = int(line.rpartition(":")[2])
        while not is_listening(port):
            pass
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        connection.request("GET", "/health")
        assert connection.getresponse().status == 200
        connection.close()
        process.send_signal(how)
        assert process.wait(timeout=60) == 0
        assert process.stderr.read() == "speechrnn: stopped\n"


def test_every_limit_can_be_set(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found: list[Limits] = []
    monkeypatch.setattr("speechrnn.cli.serve.serve", lambda app, listener, *, limits: found.append(limits))
    options = [
        "--max-upload-mb",
        "2",
        "--max-audio-seconds",
        "3",
        "--max-requests",
        "4",
        "--max-streams",
        "5",
    ]
    times = ["--upload-timeout", "6", "--timeout", "7"]
    assert main(["serve", "--port", "0", "-m", str(model), *options, *times]) == 0
    assert found == [Limits(upload_bytes=2_000_000, audio_s=3, requests=4, streams=5, upload_s=6, answer_s=7)]


def test_a_port_in_use_is_named(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        assert main(["serve", "--port", str(port), "-m", str(model)]) == 1
    error = capsys.readouterr().err
    assert f"cannot listen on 127.0.0.1 port {port}: Address already in use; choose another" in error


@pytest.mark.parametrize("port", ["x", "-1", "65536"])
def test_a_port_that_cannot_be_is_wrong_usage(port: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["serve", "--port", port]) == 2
    assert "must be a number from 0 to 65535" in capsys.readouterr().err


def test_an_address_of_ipv6_is_written_in_brackets() -> None:
    try:
        listener = open_socket("::1", 0)
    except ConfigError:
        pytest.skip("no IPv6 here")
    with listener:
        assert address_of(listener).startswith("http://[::1]:")


def test_without_the_extra_the_error_says_what_to_install() -> None:
    code = (
        "import sys; sys.modules.update(starlette=None, uvicorn=None)\n"
        "from speechrnn.cli.main import main; sys.exit(main(['serve']))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, cwd=ROOT, check=False, text=True)
    assert done.returncode == 1
    assert done.stderr.startswith("speechrnn: error: `speechrnn serve` needs ")
    assert done.stderr.endswith('; install it with: pip install "speechrnn[serve]"\n')
