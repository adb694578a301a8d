"""The content store: blobs by digest in an OCI image layout, and the ingest that fills it.

    images/oci-layout  images/index.json          the layout that other tools read (crate.storage.reference derives it)
    images/blobs/<algorithm>/<hex>                whole and checked, mode 0444
    images/partial/<algorithm>-<hex>              what an interrupted ingest has so far; its writer holds its flock

Source: image-spec image-layout.md.
"""

from __future__ import annotations

import os
from fcntl import LOCK_EX, flock

from crate.errors import DigestError, ImageError, NotFoundError
from crate.oci import digest as digests
from crate.storage.durable import read_file, sync_directory, write_all, write_file

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from crate.storage.roots import Roots

_LAYOUT = '{"imageLayoutVersion":"1.0.0"}'
_CHUNK = 1 << 20
DOCUMENT_MAX = 4 << 20  # the size of a manifest or config that registries and engines agree to refuse beyond


def blob_path(roots: Roots, digest: str) -> str:
    """Where the blob of a digest lies, or would. Raises UsageError when that is no digest."""
    algorithm, encoded = digests.split(digest)
    return f"{roots.graphroot}/images/blobs/{algorithm}/{encoded}"


def has(roots: Roots, digest: str) -> bool:
    """Is the blob there, whole?"""
    return os.access(blob_path(roots, digest), os.F_OK)


def open_blob(roots: Roots, digest: str) -> int:
    """A descriptor for reading the blob. Raises NotFoundError."""
    try:
        return os.open(blob_path(roots, digest), os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        raise NotFoundError(f"no such blob: {digest}", "pull the image again") from None


def read_document(roots: Roots, digest: str) -> bytes:
    """A small blob (manifest, index, config), checked against its digest. Raises NotFoundError, DigestError."""
    try:
        data = read_file(blob_path(roots, digest))
    except FileNotFoundError:
        raise NotFoundError(f"no such blob: {digest}", "pull the image again") from None
    if digests.of(data, digest.partition(":")[0]) != digest:
        raise DigestError(f"blob {digest} is damaged on disk", "remove the image and pull it again")
    return data


def put(roots: Roots, data: bytes) -> str:
    """Stores a small blob; gives its digest."""
    digest = digests.of(data)
    path = blob_path(roots, digest)
    if not os.access(path, os.F_OK):
        prepare(roots)
        write_file(None, path, data, durable=False, mode=0o444)
    return digest


def remove(roots: Roots, digest: str) -> int:
    """Removes a blob; gives the bytes it took, 0 when it was not there."""
    path = blob_path(roots, digest)
    try:
        size = os.stat(path).st_size
        os.unlink(path)
    except FileNotFoundError:
        return 0
    return size


def list_digests(roots: Roots) -> list[str]:
    """The digests of all blobs, in no order."""
    blobs = f"{roots.graphroot}/images/blobs"
    found = []
    try:
        for algorithm in os.listdir(blobs):
            found += [f"{algorithm}:{name}" for name in os.listdir(f"{blobs}/{algorithm}")]
    except FileNotFoundError:
        pass
    return [digest for digest in found if digests.is_digest(digest)]  # not the temporary file of another process


def prepare(roots: Roots) -> None:
    """Makes the directories of the layout where they are missing."""
    images = f"{roots.graphroot}/images"
    if not os.access(f"{images}/oci-layout", os.F_OK):
        for name in ("blobs", "blobs/sha256", "blobs/sha512", "blobs/sha384", "partial", "references", "records"):
            try:
                os.mkdir(f"{images}/{name}", 0o700)
            except FileExistsError:
                pass
        write_file(None, f"{images}/oci-layout", _LAYOUT, durable=False, mode=0o644)


class Ingest:
    """A blob on its way in: its bytes are hashed as they are written, and it appears by rename, whole and right.

    What was written survives an interruption: `offset` says from where the next attempt goes on. Two processes that
    want one blob take turns: the second waits in the constructor and mostly finds `complete` then. So no thread may
    hold one ingest while it opens another.

        with Ingest(roots, digest, size) as ingest:
            if not ingest.complete:
                for chunk in fetch(digest, start=ingest.offset):
                    ingest.write(chunk)
                ingest.commit()
    """

    def __init__(self, roots: Roots, digest: str, size: int | None = None) -> None:
        """`size` in bytes where the descriptor told it; more than that is refused while it is written."""
        self._path = blob_path(roots, digest)
        self._partial = f"{roots.graphroot}/images/partial/{digest.replace(':', '-')}"
        self._hash: Any = digests.hasher(digest.partition(":")[0])
        self._replayed = False
        self._fd = -1
        self.digest = digest
        self.size = size
        self.offset = 0
        self.complete = False
        prepare(roots)
        while not self.complete and self._fd < 0:
            self._open()

    def _open(self) -> None:
        if os.access(self._path, os.F_OK):
            self.complete = True
            self.offset = os.stat(self._path).st_size
            return
        fd = os.open(self._partial, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            flock(fd, LOCK_EX)
            held, there = os.fstat(fd), os.stat(self._partial)
        except FileNotFoundError:  # the other one has finished
            os.close(fd)
            return
        except BaseException:
            os.close(fd)
            raise
        if held.st_ino != there.st_ino or os.access(self._path, os.F_OK):
            os.close(fd)
            return
        self._fd = fd
        self.offset = held.st_size
        if self.size is not None and self.offset > self.size:
            self.restart()

    def replay(self) -> Iterator[bytes]:
        """What an earlier attempt left, from its beginning up to `offset`: for whoever consumes the blob on the way."""
        os.lseek(self._fd, 0, os.SEEK_SET)
        left = self.offset
        made = digests.hasher(self.digest.partition(":")[0])
        while left:
            chunk = os.read(self._fd, min(left, _CHUNK))
            if not chunk:
                raise ImageError(f"cannot read {self._partial}: it is shorter than it was")
            made.update(chunk)
            left -= len(chunk)
            yield chunk
        self._hash = made
        self._replayed = True

    def restart(self) -> None:
        """Forgets what an earlier attempt left, for a server that cannot resume."""
        os.ftruncate(self._fd, 0)
        os.lseek(self._fd, 0, os.SEEK_SET)
        self.offset = 0
        self._hash = digests.hasher(self.digest.partition(":")[0])
        self._replayed = True

    def write(self, chunk: bytes | memoryview) -> None:
        """Appends bytes. Raises DigestError when they are more than the descriptor said; OSError ENOSPC."""
        if not self._replayed:
            for _ in self.replay():
                pass
        if self.size is not None and self.offset + len(chunk) > self.size:
            self._discard()
            raise DigestError(f"blob {self.digest} is longer than the {self.size} bytes that were announced")
        self._hash.update(chunk)
        write_all(self._fd, chunk)
        self.offset += len(chunk)

    def commit(self, durable: bool = False) -> None:
        """Checks size and digest and makes the blob visible. Raises DigestError: what was written is gone then.

        Without `durable` the caller syncs the file system before it refers to the blob.
        """
        if not self._replayed:
            for _ in self.replay():
                pass
        if self.size is not None and self.offset < self.size:
            raise DigestError(f"blob {self.digest} ended after {self.offset} of {self.size} bytes")
        found = f"{self.digest.partition(':')[0]}:{self._hash.hexdigest()}"
        if found != self.digest:
            self._discard()
            raise DigestError(f"blob {self.digest} does not match its digest: got {found}")
        os.fchmod(self._fd, 0o444)
        if durable:
            os.fsync(self._fd)
        os.rename(self._partial, self._path)
        if durable:
            sync_directory(os.path.dirname(self._path))
        self.complete = True
        self.close()

    def _discard(self) -> None:
        os.unlink(self._partial)
        self.close()

    def close(self) -> None:
        """Lets the blob go; what was written stays for the next attempt."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def __enter__(self) -> Ingest:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()
