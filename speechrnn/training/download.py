"""Files from the network: whole or not at all, checked, and unpacked safely."""

import hashlib
import http.client
import os
import stat
import tarfile
import urllib.error
import urllib.request
import zipfile
import zlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO

from speechrnn.errors import SpeechRNNError

BLOCK_BYTES = 1 << 18
TIMEOUT_S = 30.0
PARTIAL_CONTENT, RANGE_NOT_SATISFIABLE = 206, 416


class DownloadError(SpeechRNNError):
    """A file that cannot be downloaded, is not the expected one, or cannot be unpacked."""


def ignore_progress(done: int, total: int | None) -> None:
    """Take no notice of the bytes that came."""


def download(
    urls: Sequence[str],
    path: str | os.PathLike[str],
    *,
    sha256: str | None = None,
    md5: str | None = None,
    num_bytes: int | None = None,
    on_progress: Callable[[int, int | None], object] = ignore_progress,
) -> Path:
    """Download a file from the first address that gives it.

    An earlier attempt that stopped midway goes on where it stopped. The file appears under its name
    only when it is complete and checked; if it is there already, no address is asked.

    Args:
        urls: Where the same file can be had, http or https, in order of preference.
        path: File to write; its folder is made.
        sha256: Expected digest, hexadecimal; not checked when not given.
        md5: The same, for publishers who give no better one.
        num_bytes: Expected size; not checked when not given.
        on_progress: Called with the bytes that are there and those of the whole file (None where
            the server does not say), for a progress bar.

    Returns:
        The path.

    Raises:
        DownloadError: If no address gives the expected file, with the reason of each, or the file
            cannot be written.
    """
    target = Path(path)
    digests = {"SHA-256": sha256, "MD5": md5}
    if target.is_file() and not complaint(target, digests, num_bytes):
        return target
    reasons = []
    for url in urls:
        try:
            partial = fetch(url, target, on_progress)
            refuse_unexpected(partial, url, digests, num_bytes)
            os.replace(partial, target)
            return target
        except DownloadError as error:
            reasons.append(str(error))
        except OSError as error:  # of the network, these were turned into DownloadErrors
            raise DownloadError(f"{target}: cannot be written: {error.strerror}") from error
    raise DownloadError(f"{target.name} cannot be downloaded: {'; '.join(reasons)}")


def fetch(url: str, target: Path, on_progress: Callable[[int, int | None], object]) -> Path:
    """Fetch what is still missing of a file; returns the temporary file that then holds it whole.

    Raises:
        DownloadError: If the address cannot be reached, refuses, or stops before the end.
        OSError: If the temporary file cannot be written.
    """
    if not url.startswith(("https://", "http://")):
        raise DownloadError(f"{url}: must begin with https:// or http://")
    target.parent.mkdir(parents=True, exist_ok=True)
    name = hashlib.sha256(url.encode()).hexdigest()[:8]  # another address may hold other bytes
    partial = target.with_name(f".{target.name}.{name}.partial")
    done = partial.stat().st_size if partial.exists() else 0
    request = urllib.request.Request(url, headers={"Range": f"bytes={done}-"} if done else {})
    try:
        response = urllib.request.urlopen(request, timeout=TIMEOUT_S)
    except urllib.error.HTTPError as error:
        error.close()
        if error.code == RANGE_NOT_SATISFIABLE and done:
            partial.unlink()
            return fetch(url, target, on_progress)
        raise DownloadError(f"{url} answers {error.code} {error.reason}") from error
    except (OSError, http.client.HTTPException) as error:
        raise DownloadError(f"{url} cannot be reached: {reason_of(error)}") from error
    with response:
        is_rest = response.status == PARTIAL_CONTENT
        with open(partial, "ab" if is_rest else "wb") as file:
            receive(response, url, file, done if is_rest else 0, on_progress)
    return partial


def receive(
    response: http.client.HTTPResponse,
    url: str,
    file: IO[bytes],
    done: int,
    on_progress: Callable[[int, int | None], object],
) -> None:
    """Append a response to a file that already holds ``done`` bytes.

    Raises:
        DownloadError: If the connection ends before the response does.
    """
    total = None if response.length is None else done + response.length
    while block := read_block(response, url):
        file.write(block)
        done += len(block)
        on_progress(done, total)
    if total is not None and done < total:
        raise DownloadError(
            f"{url} stopped after {done:,} of {total:,} bytes; start again to go on from there"
        )


def read_block(response: http.client.HTTPResponse, url: str) -> bytes:
    """Read some bytes; none at the end.

    Raises:
        DownloadError: If the connection breaks.
    """
    try:
        return response.read(BLOCK_BYTES)
    except (OSError, http.client.HTTPException) as error:
        raise DownloadError(
            f"{url} broke off: {reason_of(error)}; start again to go on from there"
        ) from error


def reason_of(error: Exception) -> str:
    """Say in words what an error of the network says."""
    reason = getattr(error, "reason", error)
    return str(getattr(reason, "strerror", None) or reason or type(error).__name__)


def refuse_unexpected(path: Path, url: str, digests: Mapping[str, str | None], num_bytes: int | None) -> None:
    """Check a downloaded file, and remove one that is wrong, since nothing can be made of it.

    Raises:
        DownloadError: If digest or size are not as expected.
    """
    wrong = complaint(path, digests, num_bytes)
    if wrong:
        path.unlink()
        raise DownloadError(f"{url} is not the expected file: {wrong}")


def complaint(path: Path, digests: Mapping[str, str | None], num_bytes: int | None) -> str:
    """Say in what a file differs from what is expected; nothing if it does not."""
    size = path.stat().st_size
    if num_bytes is not None and size != num_bytes:
        return f"it has {size:,} bytes, not {num_bytes:,}"
    for kind, expected in digests.items():
        if expected is None:
            continue
        with open(path, "rb") as file:
            digest = hashlib.file_digest(file, kind.replace("-", "").lower()).hexdigest()
        if digest != expected:
            return f"its {kind} is {digest}, not {expected}"
    return ""


def download_release(
    urls: Sequence[str],
    archive: str | os.PathLike[str],
    *,
    sha256: str | None = None,
    md5: str | None = None,
    num_bytes: int | None = None,
    on_progress: Callable[[int, int | None], object] = ignore_progress,
) -> None:
    """Download an archive, unpack it in its folder, and remove it; arguments as ``download``.

    Raises:
        DownloadError: As for ``download`` and ``unpack``. An archive that cannot be unpacked is
            removed too, so that another attempt fetches it anew.
    """
    path = download(urls, archive, sha256=sha256, md5=md5, num_bytes=num_bytes, on_progress=on_progress)
    try:
        unpack(path, path.parent)
    finally:
        path.unlink()


def fetch_release(
    root: Path,
    is_whole: Callable[[Path], bool],
    urls: Sequence[str],
    archive: str | os.PathLike[str],
    *,
    otherwise: str,
    sha256: str | None = None,
    num_bytes: int | None = None,
    on_progress: Callable[[int, int | None], object] = ignore_progress,
) -> Path:
    """Return the folder of a release, downloaded and unpacked unless it lies there already.

    Args:
        root: The folder that unpacking the archive makes.
        is_whole: Tells whether the folder is there and is the release.
        urls: As for ``download``.
        archive: Where the archive is kept meanwhile; it is unpacked beside itself.
        otherwise: What to say of the folder if, downloaded anew, it is not the release.
        sha256: As for ``download``.
        num_bytes: As for ``download``.
        on_progress: As for ``download``.

    Raises:
        DownloadError: If the release cannot be had, or what came is not the release.
    """
    if not is_whole(root):
        download_release(urls, archive, sha256=sha256, num_bytes=num_bytes, on_progress=on_progress)
        if not is_whole(root):
            raise DownloadError(f"{root}: {otherwise}")
    return root


def unpack(archive: str | os.PathLike[str], folder: str | os.PathLike[str]) -> None:
    """Unpack a tar or zip archive, but nothing that would lie outside the folder.

    Args:
        archive: Tar archive, compressed or not, or ``.zip``.
        folder: Where to unpack; it is made.

    Raises:
        DownloadError: If the archive is damaged or cut short, has a member that points outside the
            folder or is no plain file or folder, or if it cannot be written.
    """
    path = Path(archive)
    extract = extract_zip if path.suffix == ".zip" else extract_tar
    try:
        extract(path, Path(folder))
    except (tarfile.TarError, zipfile.BadZipFile, zlib.error, EOFError, OSError) as error:
        raise DownloadError(f"{path}: cannot be unpacked: {error or type(error).__name__}") from error


def extract_tar(path: Path, folder: Path) -> None:
    """Unpack a tar archive; errors as the archive has them, or DownloadError."""
    if not hasattr(tarfile, "data_filter"):
        raise DownloadError(f"{path}: Python 3.11.4 or later is needed to unpack it safely")
    with tarfile.open(path) as archive:
        archive.extractall(folder, filter="data")


def extract_zip(path: Path, folder: Path) -> None:
    """Unpack a zip archive; errors as the archive has them, or DownloadError."""
    with zipfile.ZipFile(path) as archive:
        for member in archive.infolist():
            parts = Path(member.filename.replace("\\", "/")).parts
            kind = stat.S_IFMT(member.external_attr >> 16)
            if ".." in parts or parts[:1] == ("/",) or kind == stat.S_IFLNK:
                raise DownloadError(f"{path}: holds {member.filename!r}, which could lead outside")
        archive.extractall(folder)
