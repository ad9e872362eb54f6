"""Download an archive over HTTP and unpack it, trusting neither the connection nor the archive."""

import gzip
import hashlib
import http.client
import tarfile
import urllib.error
import urllib.request
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import IO

from flowersweep.cache.atomic import cache_errors, discard, new_folder, part_of, require_space
from flowersweep.errors import DownloadError
from flowersweep.progress import progress

_CHUNK = 1 << 20  # bytes


@dataclass(frozen=True)
class Archive:
    """A published .tgz that contains one folder with one sub-folder per class.

    Attributes:
        url: Its address.
        size: Its length in bytes.
        sha256: Its SHA-256 as 64 hexadecimal digits.
        counts: Number of pictures in each class.
    """

    url: str
    size: int
    sha256: str
    counts: dict[str, int] = field(default_factory=dict)


FLOWER_PHOTOS = Archive(
    url="https://storage.googleapis.com/download.tensorflow.org/example_images/flower_photos.tgz",
    size=228_813_984,
    sha256="4c54ace7911aaffe13a365c34f650e71dd5bf1be0a58b464e5a7183e3e595d9c",
    counts={"daisy": 633, "dandelion": 898, "roses": 641, "sunflowers": 699, "tulips": 799},
)


def fetch(url: str, destination: Path, *, size: int, sha256: str, timeout: float = 30.0) -> None:
    """Download a file and check its length and SHA-256; `destination` appears only if both are right.

    Args:
        url: An http or https address.
        destination: The file to write, in an existing folder.
        size: Expected length in bytes.
        sha256: Expected SHA-256 as 64 hexadecimal digits.
        timeout: Seconds without a response from the server before giving up.

    Raises:
        DownloadError: The server cannot be reached or answers with an error, or the content is not the expected one.
        DataError: There is not enough space for the file, or it cannot be written.
    """
    if not url.startswith(("http://", "https://")):
        raise DownloadError(
            f"Only http:// and https:// addresses can be downloaded, but the address is {url}."
        )
    part = part_of(destination)
    try:
        with cache_errors(destination):
            require_space(destination, size)
            with part.open("wb") as file:
                found = _receive(url, file, size, timeout)
        if found != sha256:
            raise DownloadError(f"{url} arrived with the SHA-256 {found}, but {sha256} was expected.")
        with cache_errors(destination):
            part.replace(destination)
    finally:
        discard(part)


def _receive(url: str, file: IO[bytes], size: int, timeout: float) -> str:
    """Write the answer to `file` and return its SHA-256."""
    digest = hashlib.sha256()
    received = 0
    with progress(f"Downloading {PurePosixPath(url).name}", size, unit="bytes") as advance:
        for chunk in _chunks(url, timeout):
            received += len(chunk)
            if received > size:
                raise DownloadError(f"{url} sends more than the {size:,} bytes expected.")
            file.write(chunk)
            digest.update(chunk)
            advance(len(chunk))
    if received < size:
        raise DownloadError(f"{url} sent only {received:,} of {size:,} bytes.")
    return digest.hexdigest()


def _chunks(url: str, timeout: float) -> Iterator[bytes]:
    # The scheme was checked by `fetch`, so file:// and similar never occur here.
    try:
        with urllib.request.urlopen(url, timeout=timeout) as response:  # noqa: S310 - see above
            while chunk := response.read(_CHUNK):
                yield chunk
    except urllib.error.HTTPError as error:
        error.close()
        raise DownloadError(f"{url} could not be downloaded: the server answered {error}.") from error
    except (OSError, http.client.HTTPException) as error:
        raise DownloadError(f"{url} could not be downloaded: {getattr(error, 'reason', error)}.") from error


def unpack(archive: Path, target: Path) -> None:
    """Unpack a .tgz that contains one folder; `target` becomes that folder, or stays absent on any error.

    Must be used inside `locked(target)`. Only files and folders are accepted: an archive with a link, a
    device, an absolute path or a path with `..` is rejected completely.

    Raises:
        DownloadError: The archive is damaged or contains a rejected item.
        DataError: There is not enough space, or `target` cannot be written.
    """
    with new_folder(target) as part:
        try:
            with gzip.open(archive) as stream, tarfile.open(fileobj=stream, mode="r:") as members:
                for member in members:
                    if name := _inner_name(archive, member):
                        members.extract(member.replace(name=name, deep=False), part, filter="data")
                while stream.read(_CHUNK):
                    pass  # gzip compares its checksum at the very end, after the last member
        except (tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise DownloadError(
                f"The archive {archive} is damaged ({error}); delete it and try again."
            ) from error


def _inner_name(archive: Path, member: tarfile.TarInfo) -> str:
    """The member's path without its first folder; empty for that folder itself."""
    path = PurePosixPath(member.name)
    if (
        path.is_absolute()
        or ".." in path.parts
        or "\\" in member.name
        or not (member.isfile() or member.isdir())
    ):
        raise DownloadError(
            f"The archive {archive} contains {member.name!r}, which is a link, a device or a path that leads out of "
            "its folder; nothing was unpacked."
        )
    return "/".join(path.parts[1:])
