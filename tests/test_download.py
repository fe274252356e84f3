"""Downloads from a server of our own, on this machine's loopback."""

import hashlib
import io
import os
import stat
import tarfile
import threading
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from speechrnn.training.download import DownloadError, download, download_release, unpack

CONTENT = bytes(range(256)) * 4096  # 1 MiB, several blocks
SHA256 = hashlib.sha256(CONTENT).hexdigest()


class Handler(BaseHTTPRequestHandler):
    """Serves CONTENT whole, in part, cut short, or not at all, as the path says."""

    def do_GET(self) -> None:
        self.server.ranges.append(self.headers.get("Range"))  # type: ignore[attr-defined]
        start = int((self.headers.get("Range") or "bytes=0-")[6:-1])
        if self.path == "/missing":
            self.send_error(404)
        elif start and self.path != "/whole" and start >= len(CONTENT):
            self.send_error(416)
        elif start and self.path != "/whole":
            self.answer(206, CONTENT[start:])
        elif self.path == "/short":
            self.answer(200, CONTENT, keep=len(CONTENT) // 2)
        elif self.path == "/no_length":
            self.answer(200, CONTENT, with_length=False)
        elif self.path == "/other":
            self.answer(200, CONTENT[::-1])
        else:
            self.answer(200, CONTENT)

    def answer(self, status: int, body: bytes, *, keep: int | None = None, with_length: bool = True) -> None:
        self.send_response(status)
        if with_length:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[:keep])

    def log_message(self, *_: Any) -> None:
        """Keep quiet."""


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[ThreadingHTTPServer]:
    monkeypatch.setenv("no_proxy", "*")
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.ranges = []  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def base(server: ThreadingHTTPServer) -> str:
    return f"http://127.0.0.1:{server.server_port}"


def partials(folder: Path) -> list[Path]:
    return list(folder.glob(".*.partial"))


def test_download_writes_the_file_and_leaves_nothing_else(tmp_path: Path, base: str) -> None:
    path = download([f"{base}/file"], tmp_path / "new" / "a.bin")
    assert path == tmp_path / "new" / "a.bin"
    assert path.read_bytes() == CONTENT
    assert [found.name for found in path.parent.iterdir()] == ["a.bin"]


def test_download_accepts_the_expected_digest_and_size(tmp_path: Path, base: str) -> None:
    path = download([f"{base}/file"], tmp_path / "a", sha256=SHA256, num_bytes=len(CONTENT))
    assert path.read_bytes() == CONTENT


def test_download_reports_progress_up_to_the_whole(tmp_path: Path, base: str) -> None:
    seen: list[tuple[int, int | None]] = []
    download([f"{base}/file"], tmp_path / "a", on_progress=lambda *step: seen.append(step))
    assert len(seen) > 1
    assert seen == sorted(seen)
    assert seen[-1] == (len(CONTENT), len(CONTENT))


def test_progress_without_a_stated_length_has_no_total(tmp_path: Path, base: str) -> None:
    seen: list[tuple[int, int | None]] = []
    path = download([f"{base}/no_length"], tmp_path / "a", on_progress=lambda *s: seen.append(s))
    assert seen[-1] == (len(CONTENT), None)
    assert path.read_bytes() == CONTENT


def test_a_file_that_is_there_is_not_asked_for_again(tmp_path: Path, base: str, server: Any) -> None:
    (tmp_path / "a").write_bytes(CONTENT)
    download([f"{base}/file"], tmp_path / "a", sha256=SHA256)
    assert server.ranges == []


def test_a_file_that_is_there_but_wrong_is_replaced(tmp_path: Path, base: str) -> None:
    (tmp_path / "a").write_bytes(b"old")
    download([f"{base}/file"], tmp_path / "a", num_bytes=len(CONTENT))
    assert (tmp_path / "a").read_bytes() == CONTENT


def test_a_stopped_download_goes_on_where_it_stopped(tmp_path: Path, base: str, server: Any) -> None:
    half = len(CONTENT) // 2
    with pytest.raises(DownloadError, match=r"stopped after 524,288 of 1,048,576 bytes; start"):
        download([f"{base}/short"], tmp_path / "a")
    assert not (tmp_path / "a").exists()
    download([f"{base}/short"], tmp_path / "a", sha256=SHA256)
    assert server.ranges == [None, f"bytes={half}-"]
    assert partials(tmp_path) == []


def test_a_server_that_ignores_ranges_sends_everything_once(tmp_path: Path, base: str) -> None:
    whole = f"{base}/whole"
    name = hashlib.sha256(whole.encode()).hexdigest()[:8]
    (tmp_path / f".a.{name}.partial").write_bytes(b"beginning")
    assert download([whole], tmp_path / "a").read_bytes() == CONTENT


def test_a_complete_temporary_file_that_cannot_go_on_is_fetched_anew(
    tmp_path: Path, base: str, server: Any
) -> None:
    url = f"{base}/file"
    name = hashlib.sha256(url.encode()).hexdigest()[:8]
    (tmp_path / f".a.{name}.partial").write_bytes(CONTENT)
    assert download([url], tmp_path / "a", sha256=SHA256).read_bytes() == CONTENT
    assert server.ranges == [f"bytes={len(CONTENT)}-", None]


def test_another_digest_is_refused_and_leaves_nothing(tmp_path: Path, base: str) -> None:
    with pytest.raises(
        DownloadError, match=f"/other is not the expected file: its SHA-256 is .*not {SHA256}"
    ):
        download([f"{base}/other"], tmp_path / "a", sha256=SHA256)
    assert list(tmp_path.iterdir()) == []


def test_another_size_is_refused_and_leaves_nothing(tmp_path: Path, base: str) -> None:
    with pytest.raises(DownloadError, match="it has 1,048,576 bytes, not 7"):
        download([f"{base}/file"], tmp_path / "a", num_bytes=7)
    assert list(tmp_path.iterdir()) == []


def test_the_next_address_is_asked_when_one_fails(tmp_path: Path, base: str) -> None:
    urls = [f"{base}/missing", f"{base}/other", f"{base}/file"]
    assert download(urls, tmp_path / "a", sha256=SHA256).read_bytes() == CONTENT


def test_all_reasons_are_given_when_no_address_has_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, base: str
) -> None:
    closed = "http://127.0.0.1:9/a"  # the discard service, which nobody runs
    with pytest.raises(DownloadError) as caught:
        download([f"{base}/missing", closed, "file:///etc/passwd"], tmp_path / "a.tgz")
    message = str(caught.value)
    assert message.startswith("a.tgz cannot be downloaded: ")
    assert "/missing answers 404 Not Found" in message
    assert f"{closed} cannot be reached: " in message
    assert "file:///etc/passwd: must begin with https:// or http://" in message


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path, base: str) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(DownloadError, match=r"file.a: cannot be written"):
        download([f"{base}/file"], tmp_path / "file" / "a")


def write_tar(path: Path, members: dict[str, bytes]) -> Path:
    with tarfile.open(path, "w:gz") as archive:
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return path


def test_unpack_makes_the_folder_and_unpacks_tar_and_zip(tmp_path: Path) -> None:
    archive = write_tar(tmp_path / "a.tar.gz", {"in/b.txt": b"tar"})
    unpack(archive, tmp_path / "from_tar")
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as zipped:
        zipped.writestr("in/b.txt", "zip")
    unpack(tmp_path / "a.zip", tmp_path / "from_zip")
    assert (tmp_path / "from_tar" / "in" / "b.txt").read_bytes() == b"tar"
    assert (tmp_path / "from_zip" / "in" / "b.txt").read_bytes() == b"zip"


def test_unpack_refuses_a_tar_that_leads_outside(tmp_path: Path) -> None:
    archive = write_tar(tmp_path / "a.tar.gz", {"../evil": b""})
    with pytest.raises(DownloadError, match=r"cannot be unpacked.*evil"):
        unpack(archive, tmp_path / "in")
    assert not (tmp_path / "evil").exists()


@pytest.mark.parametrize("name", ["../evil", "/evil", "a/../../evil", "..\\evil"])
def test_unpack_refuses_a_zip_that_leads_outside(tmp_path: Path, name: str) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as zipped:
        zipped.writestr(zipfile.ZipInfo(name), b"")
    with pytest.raises(DownloadError, match="could lead outside"):
        unpack(tmp_path / "a.zip", tmp_path / "in")
    assert not (tmp_path / "in").exists()


def test_unpack_refuses_links_in_a_zip(tmp_path: Path) -> None:
    link = zipfile.ZipInfo("link")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as zipped:
        zipped.writestr(link, "/etc/passwd")
    with pytest.raises(DownloadError, match="'link', which could lead outside"):
        unpack(tmp_path / "a.zip", tmp_path / "in")


@pytest.mark.parametrize("name", ["a.zip", "a.tar.gz"])
def test_unpack_names_an_archive_that_is_none(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"<html>sign in</html>")
    with pytest.raises(DownloadError, match=f"{name}: cannot be unpacked"):
        unpack(tmp_path / name, tmp_path / "in")


def test_unpack_names_an_archive_that_is_cut_short(tmp_path: Path) -> None:
    archive = write_tar(tmp_path / "a.tar.gz", {"b": os.urandom(100_000)})
    archive.write_bytes(archive.read_bytes()[:50_000])
    with pytest.raises(DownloadError, match="cannot be unpacked"):
        unpack(archive, tmp_path / "in")


def test_unpack_needs_a_python_that_unpacks_safely(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = write_tar(tmp_path / "a.tar.gz", {"b": b""})
    monkeypatch.delattr(tarfile, "data_filter")
    with pytest.raises(DownloadError, match=r"Python 3\.11\.4 or later"):
        unpack(archive, tmp_path / "in")


def test_a_release_that_cannot_be_unpacked_is_removed_to_be_fetched_anew(tmp_path: Path, base: str) -> None:
    with pytest.raises(DownloadError, match="cannot be unpacked"):
        download_release([f"{base}/file"], tmp_path / "a.tar.gz")
    assert list(tmp_path.iterdir()) == []


def test_an_md5_is_checked_where_a_publisher_gives_no_better_digest(base: str, tmp_path: Path) -> None:
    md5 = hashlib.md5(CONTENT).hexdigest()
    assert download([f"{base}/file"], tmp_path / "a", md5=md5).read_bytes() == CONTENT
    with pytest.raises(DownloadError, match=f"its MD5 is {md5}, not 0123"):
        download([f"{base}/file"], tmp_path / "b", md5="0123")
