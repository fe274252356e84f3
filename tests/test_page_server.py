"""The live page's server: its files and the models, with their types, to this machine alone."""

import http.client
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from tiny_model import write_model

from speechrnn import page_server
from speechrnn.cli import demo
from speechrnn.cli.main import main
from speechrnn.errors import ConfigError
from speechrnn.page_server import PageServer


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("models") / "my tönes.onnx")


@pytest.fixture(scope="module")
def server(model: Path) -> Iterator[PageServer]:
    with PageServer({"my tönes": model}, port=0) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def ask(
    server: PageServer, path: str, method: str = "GET", host: str | None = None
) -> tuple[int, bytes, dict[str, str]]:
    connection = http.client.HTTPConnection(*server.server_address[:2], timeout=10)  # type: ignore[arg-type]
    try:
        connection.request(method, path, headers={} if host is None else {"Host": host})
        answer = connection.getresponse()
        return answer.status, answer.read(), dict(answer.getheaders())
    finally:
        connection.close()


@pytest.mark.parametrize(
    ("path", "content_type"),
    [
        ("/", "text/html; charset=utf-8"),
        ("/service_worker.js", "text/javascript; charset=utf-8"),
        ("/icon.svg", "image/svg+xml"),
        ("/page.webmanifest", "application/manifest+json"),
        ("/runtime.wasm.gz", "application/octet-stream"),
        ("/models/index.json", "application/json"),
    ],
)
def test_each_file_of_the_page_has_its_type(server: PageServer, path: str, content_type: str) -> None:
    status, content, headers = ask(server, path)
    assert (status, headers["Content-Type"]) == (200, content_type)
    assert len(content) == int(headers["Content-Length"]) > 0
    assert headers["X-Content-Type-Options"] == "nosniff"


def test_the_list_of_models_leads_to_their_files(server: PageServer, model: Path) -> None:
    [entry] = json.loads(ask(server, "/models/index.json")[1])
    assert entry["name"] == "my tönes"
    assert entry["size"] == model.stat().st_size
    assert ask(server, "/" + entry["file"])[1] == model.read_bytes()


def test_head_says_the_same_without_content(server: PageServer) -> None:
    status, content, headers = ask(server, "/index.html", "HEAD")
    assert (status, content) == (200, b"")
    assert int(headers["Content-Length"]) == (page_server.PAGE_FOLDER / "index.html").stat().st_size


@pytest.mark.parametrize(
    "path", ["/../errors.py", "/%2e%2e/errors.py", "//etc/passwd", "/models/", "/models/an4.onnx", "/x"]
)
def test_nothing_else_is_served(server: PageServer, path: str) -> None:
    assert ask(server, path)[0] == 404


def test_a_page_of_another_name_that_was_led_here_gets_nothing(server: PageServer) -> None:
    port = server.server_address[1]
    assert ask(server, "/", host=f"speech.example:{port}")[0] == 403
    assert ask(server, "/", host=f"localhost:{port}")[0] == 200


@pytest.mark.parametrize(
    ("error", "said"), [(ConnectionResetError(), ""), (ValueError("odd"), "ValueError: odd")]
)
def test_a_browser_that_leaves_early_is_no_news_but_a_defect_is(
    server: PageServer, error: Exception, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    try:
        raise error
    except Exception:
        server.handle_error(None, ("127.0.0.1", 1))
    heard = capsys.readouterr().err
    assert said in heard
    assert bool(heard) == bool(said)


def test_it_listens_on_the_loopback_interface_alone(server: PageServer) -> None:
    assert server.server_address[0] == "127.0.0.1"
    assert server.url == f"http://127.0.0.1:{server.server_address[1]}/"


def test_another_port_is_taken_if_the_usual_one_is_not_free(
    server: PageServer, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(page_server, "USUAL_PORT", server.server_address[1])
    with PageServer({"tones": model}) as other:
        assert other.server_address[1] != server.server_address[1]


@pytest.mark.parametrize("port", [-1, 70_000])
def test_a_port_that_does_not_exist_is_refused(model: Path, port: int) -> None:
    with pytest.raises(ConfigError, match=f"port {port}: cannot be listened on"):
        PageServer({"tones": model}, port=port)


def test_a_port_that_is_taken_is_refused_when_it_was_asked_for(server: PageServer, model: Path) -> None:
    port = server.server_address[1]
    with pytest.raises(ConfigError, match=f"port {port}: .*leave --port out"):
        PageServer({"tones": model}, port=port)


def test_an_installation_without_the_page_says_how_to_build_it(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(page_server, "PAGE_FOLDER", tmp_path)
    with pytest.raises(ConfigError, match="make web"):
        PageServer({"tones": model})


def test_demo_begins_with_the_model_that_was_asked_for(model: Path) -> None:
    assert next(iter(demo.choose_models(str(model)))) == "my tönes"
    assert next(iter(demo.choose_models(None))) == "an4"


def test_demo_refuses_a_file_that_is_no_model(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(b"no model")
    assert main(["demo", "--no-browser", "-m", str(path)]) == 1
    assert "not a whole ONNX file" in capsys.readouterr().err


def test_demo_prints_the_address_and_ends_well_when_interrupted(model: Path) -> None:
    command = [sys.executable, "-m", "speechrnn", "demo", "--no-browser", "--port", "0", "-m", str(model)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith(b"http://127.0.0.1:")
        os.kill(process.pid, signal.SIGINT)
        assert process.wait(timeout=30) == 0
