"""Archives that hold images: their members spooled to disk in one pass, hashed, and looked up by name.

The order of members is anybody's guess (docker writes its manifest last), and standard input cannot seek. No member's
name ever becomes a path: they are keys of a dictionary, and the files are numbered.
"""

from __future__ import annotations

import os

from crate.errors import HostError, ImageError
from crate.oci import digest as digests
from crate.storage import content
from crate.storage.durable import write_all
from crate.storage.inflate import inflated
from crate.storage.tar import reader as tar_reader
from crate.storage.tar.reader import TarReader

TYPE_CHECKING = False
if TYPE_CHECKING:
    from crate.storage.roots import Roots

_MEMBERS_MAX = 100_000
_LINKS_MAX = 8


class Member:
    """A regular file of the archive: its number is the name of its spooled file."""

    __slots__ = ("digest", "number", "size")

    def __init__(self, number: int, size: int, digest: str) -> None:
        self.number = number
        self.size = size
        self.digest = digest


class Archive:
    """The members of an archive, spooled into `directory`, which is the caller's to remove."""

    def __init__(self, directory: str, label: str) -> None:
        """`label`: how messages name the archive."""
        self.directory = directory
        self.label = label
        self.members: dict[str, Member] = {}
        self._links: dict[str, str] = {}

    def spool(self, fd: int) -> None:
        """Takes in the whole archive, compressed or not. Raises ImageError, HostError."""
        try:
            self._spool(TarReader(inflated(fd)))
        except OSError as error:
            raise HostError(f"cannot load {self.label}: {os.strerror(error.errno or 0)}") from None
        except ImageError as error:
            raise ImageError(f"cannot load {self.label}: {error.message}", error.hint) from None

    def _spool(self, reader: TarReader) -> None:
        for number, entry in enumerate(reader):
            if number >= _MEMBERS_MAX:
                raise ImageError(f"it has more than {_MEMBERS_MAX} members")
            name = _clean(os.fsdecode(entry.name))
            if entry.kind == tar_reader.FILE and entry.sparse is None:
                self.members[name] = self._keep(number, reader)
                self._links.pop(name, None)
            elif entry.kind in (tar_reader.SYMLINK, tar_reader.LINK):
                target = os.fsdecode(entry.linkname)
                base = "" if entry.kind == tar_reader.LINK else name.rpartition("/")[0]
                self._links[name] = _clean(f"{base}/{target}")

    def _keep(self, number: int, reader: TarReader) -> Member:
        fd = os.open(self._path(number), os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            made, size = digests.hasher(), 0
            for piece in reader.pieces():
                made.update(piece)
                write_all(fd, piece)
                size += len(piece)
        finally:
            os.close(fd)
        return Member(number, size, f"sha256:{made.hexdigest()}")

    def _path(self, number: int) -> str:
        return f"{self.directory}/{number}"

    def find(self, name: str) -> Member | None:
        """The member of this name, through links (docker names a layer that images share once)."""
        name = _clean(name)
        for _ in range(_LINKS_MAX):
            if name in self.members:
                return self.members[name]
            if name not in self._links:
                return None
            name = self._links[name]
        return None

    def get(self, name: str) -> Member:
        """As `find`; raises ImageError where it gives None."""
        found = self.find(name)
        if found is None:
            raise ImageError(f"cannot load {self.label}: it has no {_shown(name)}")
        return found

    def read(self, member: Member, limit: int) -> bytes:
        """The content of a small member. Raises ImageError when it is larger than `limit` bytes."""
        if member.size > limit:
            raise ImageError(f"cannot load {self.label}: a document of {member.size} bytes; {limit} are the most")
        with open(self._path(member.number), "rb") as file:
            return file.read()

    def adopt(self, roots: Roots, member: Member) -> None:
        """Moves a member into the content store, under its digest."""
        path = self._path(member.number)
        if content.has(roots, member.digest) or not os.access(path, os.F_OK):
            return
        content.prepare(roots)
        os.chmod(path, 0o444)
        os.rename(path, content.blob_path(roots, member.digest))


def _clean(name: str) -> str:
    """The name without `.`, `..` and double slashes: one name a member."""
    parts: list[str] = []
    for part in name.split("/"):
        if part == "..":
            del parts[-1:]
        elif part not in ("", "."):
            parts.append(part)
    return "/".join(parts)


def _shown(name: str) -> str:
    return repr(name[:100])
