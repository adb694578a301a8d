"""Images that lie as files: OCI layouts in an archive or a directory, and the directories of `dir:`.

OCI layout    oci-layout · index.json · blobs/<algorithm>/<hex>                     image-spec image-layout.md
dir           version · manifest.json · <hex> · <hex>.manifest.json of an index     containers-transports(5)
"""

from __future__ import annotations

import os

from crate.errors import ImageError
from crate.oci import digest as digests
from crate.oci import image_spec
from crate.storage import content

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from crate.image.archive import Archive
    from crate.storage.roots import Roots

_DOCUMENT_MAX = image_spec.MANIFEST_SIZE_MAX
_CHUNK = 1 << 20


class Members:
    """The blobs of an OCI layout that came as an archive."""

    def __init__(self, roots: Roots, archive: Archive) -> None:
        self._roots = roots
        self._archive = archive
        self.label = archive.label

    def index(self) -> bytes:
        """What index.json has."""
        return self._archive.read(self._archive.get("index.json"), _DOCUMENT_MAX)

    def take(self, digest: str) -> None:
        """Brings a blob into the content store. Raises ImageError, DigestError."""
        algorithm, encoded = digests.split(digest)
        member = self._archive.get(f"blobs/{algorithm}/{encoded}")
        if member.digest == digest:
            self._archive.adopt(self._roots, member)
        else:
            with open(f"{self._archive.directory}/{member.number}", "rb") as file:
                _ingest(self._roots, digest, file.read)


class Directory:
    """The blobs of an OCI layout in a directory, which may be a stranger's."""

    def __init__(self, roots: Roots, path: str) -> None:
        self._roots = roots
        self.label = path
        self._fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)

    def close(self) -> None:
        """Lets the directory go."""
        os.close(self._fd)

    def has(self, name: str) -> bool:
        """Is there such an entry?"""
        return os.access(name, os.F_OK, dir_fd=self._fd, follow_symlinks=False)

    def _open(self, name: str) -> int:
        from crate.linux import fs

        try:
            flags = fs.RESOLVE_BENEATH | fs.RESOLVE_NO_SYMLINKS | fs.RESOLVE_NO_MAGICLINKS
            return fs.openat2(self._fd, name, os.O_RDONLY | os.O_NONBLOCK, flags)
        except OSError as error:
            raise ImageError(f"cannot load {self.label}: {name}: {os.strerror(error.errno or 0)}") from None

    def index(self) -> bytes:
        """What index.json has."""
        return self._read("index.json")

    def _read(self, name: str) -> bytes:
        with open(self._open(name), "rb") as file:
            return file.read(_DOCUMENT_MAX)

    def take(self, digest: str) -> None:
        """Brings a blob into the content store. Raises ImageError, DigestError."""
        if not content.has(self._roots, digest):
            with open(self._open(self._name(digest)), "rb") as file:
                _ingest(self._roots, digest, file.read)

    def _name(self, digest: str) -> str:
        algorithm, encoded = digests.split(digest)
        return f"blobs/{algorithm}/{encoded}"


class PlainDirectory(Directory):
    """The blobs of `dir:`, each a file named by its digits."""

    def manifest(self) -> str:
        """Brings the manifest in; gives its digest."""
        return content.put(self._roots, self._read("manifest.json"))

    def _name(self, digest: str) -> str:
        encoded = digests.split(digest)[1]
        listed = f"{encoded}.manifest.json"
        return listed if self.has(listed) else encoded


def _ingest(roots: Roots, digest: str, read: Callable[[int], bytes]) -> None:
    with content.Ingest(roots, digest) as ingest:
        if not ingest.complete:
            ingest.restart()
            while data := read(_CHUNK):
                ingest.write(data)
            ingest.commit()
