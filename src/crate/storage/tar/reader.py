"""A streaming reader of tar archives: ustar, GNU, star and PAX headers become `Entry` objects; nothing touches a disk.

Where implementations differ it reads as Go's archive/tar, for images are made and read with that. Sources: POSIX pax,
"Interchange Format"; GNU tar manual, "Basic Tar Format" and "Storing Sparse Files".
"""

from __future__ import annotations

from struct import Struct
from zlib import adler32

from crate.errors import ImageError
from crate.storage.tar.fields import SECOND, TIME_MAX, decimal, number, parse_pax, show, signed_sum, time_ns
from crate.storage.tar.sparse import data_of_sparse, gnu_sparse, pax_sparse

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

BLOCK = 512
FILE, LINK, SYMLINK, CHARACTER, BLOCK_DEVICE, DIRECTORY, FIFO = b"0", b"1", b"2", b"3", b"4", b"5", b"6"
_SPECIAL_MAX = 1 << 20  # Go's limit for a PAX header or a long name
_ZEROS = bytes(BLOCK)
_MODULUS = 65521  # of Adler-32
_HEADER = Struct("100s8s8s8s12s12s8sc100s8s32s32s8s8s155s12x").unpack_from


class Entry:
    """One member. `size` is what the file will measure, `stored` the bytes of its body in the archive."""

    __slots__ = (
        "device",
        "gid",
        "kind",
        "linkname",
        "mode",
        "mtime_ns",
        "name",
        "size",
        "sparse",
        "stored",
        "uid",
        "xattrs",
    )

    def __init__(self) -> None:
        self.name = b""
        self.kind = FILE
        self.mode = 0
        self.uid = 0
        self.gid = 0
        self.size = 0
        self.stored = 0
        self.mtime_ns = 0
        self.linkname = b""
        self.device = (0, 0)
        self.xattrs: dict[bytes, bytes] | None = None
        self.sparse: list[tuple[int, int]] | None = None  # (offset, length) of the parts that hold data


class TarReader:
    """Iterates over the entries of a stream; the body of the current one is read with `pieces` or is passed over.

    `read(n)` gives up to n bytes, and b"" at the end. Raises ImageError for whatever is not a whole, sane archive.
    """

    def __init__(self, read: Callable[[int], bytes], chunk: int = 1 << 20) -> None:
        self._read = read
        self._chunk = chunk
        self._buffer = b""
        self._view = memoryview(b"")
        self._position = 0
        self._end = 0
        self._left = 0  # of the current body, with its padding
        self._padding = 0

    def __iter__(self) -> Iterator[Entry]:
        pax: dict[bytes, bytes] = {}
        pax_list: list[tuple[bytes, bytes]] = []
        long_name = long_link = None
        while True:
            self.skip_body()
            header = self._header()
            if header is None:
                if pax or long_name is not None or long_link is not None:
                    raise ImageError("the archive ends after a header that announces a file")
                return
            entry, kind, magic, block = header
            if kind in b"xXgKL":
                body = self._special(entry)
                if kind in b"xX":
                    pax_list = parse_pax(body)
                    pax = dict(pax_list)
                elif kind == b"L":
                    long_name = body.partition(b"\0")[0]
                elif kind == b"K":
                    long_link = body.partition(b"\0")[0]
                # A global header ("g") means nothing to Go's reader, and an image must mean the same here.
                continue
            if pax:
                _apply_pax(entry, pax)
            if long_name is not None:
                entry.name = long_name
            if long_link is not None:
                entry.linkname = long_link
            self._finish(entry, kind, magic, block, pax, pax_list)
            yield entry
            pax, pax_list, long_name, long_link = {}, [], None, None

    def _finish(
        self,
        entry: Entry,
        kind: bytes,
        magic: bytes,
        block: bytes,
        pax: dict[bytes, bytes],
        pax_list: list[tuple[bytes, bytes]],
    ) -> None:
        """Settles the kind of an entry, how long its body is, and where the data of a sparse file belongs."""
        if kind == b"\0":
            kind = DIRECTORY if entry.name.endswith(b"/") else FILE
        elif kind == b"7":
            kind = FILE  # contiguous, where that means something
        if kind in b"123456":
            entry.size = entry.stored = 0  # such entries have no body, whatever size they claim
            entry.kind = kind
            return
        self._left = entry.stored
        self._padding = -entry.stored % BLOCK
        if kind == b"S":
            entry.sparse, entry.size = gnu_sparse(block, lambda: self._take(BLOCK))
        elif kind != FILE:
            if kind == b"V":
                entry.kind = kind  # a volume label: no file
                return
            raise ImageError(f"cannot unpack {show(entry.name)}: unknown kind of archive entry {kind!r}")
        elif pax and any(key.startswith(b"GNU.sparse.") for key in pax):
            name, size, sparse = pax_sparse(pax, pax_list, self._take_body_block)
            if name:
                entry.name = name
            if sparse is not None:
                entry.size, entry.sparse = size, sparse
        entry.kind = FILE
        if entry.sparse is not None and data_of_sparse(entry.sparse, entry.size) != self._left:
            raise ImageError(f"cannot unpack {show(entry.name)}: its map of holes contradicts its size")

    def _take_body_block(self) -> bytes:
        """The next block of the body, for a sparse map that is stored there."""
        if self._left < BLOCK:
            raise ImageError("the archive's map of holes is longer than its file")
        self._left -= BLOCK
        return self._take(BLOCK)

    def pieces(self) -> Iterator[memoryview]:
        """The body of the current entry, in pieces as they lie in memory: use each before the next is asked for."""
        while self._left:
            have = self._end - self._position
            if not have:
                self._fill()
                continue
            have = min(have, self._left)
            start = self._position
            self._position += have
            self._left -= have
            yield self._view[start : start + have]

    def whole(self) -> memoryview | None:
        """The whole body at once, if it already lies in memory; None leaves it to `pieces`."""
        start = self._position
        end = start + self._left
        if end > self._end:
            return None
        self._position = end
        self._left = 0
        return self._view[start:end]

    def skip_body(self) -> None:
        """Passes over the rest of the current body."""
        left = self._left + self._padding
        self._left = self._padding = 0
        while left > self._end - self._position:
            left -= self._end - self._position
            self._position = self._end
            self._fill()
        self._position += left

    def drain(self) -> None:
        """Reads the stream to its end: what follows the archive belongs to its digest."""
        while self._read(self._chunk):
            pass

    def _fill(self) -> None:
        data = self._read(self._chunk)
        if not data:
            raise ImageError("the archive is truncated")
        self._buffer = data
        self._view = memoryview(data)
        self._position = 0
        self._end = len(data)

    def _take(self, count: int) -> bytes:
        position = self._position
        if self._end - position >= count:
            self._position = position + count
            return self._buffer[position : position + count]
        parts = [self._buffer[position : self._end]]
        count -= self._end - position
        while count:
            self._position = self._end
            self._fill()
            have = min(count, self._end)
            parts.append(self._buffer[:have])
            self._position = have
            count -= have
        return b"".join(parts)

    def _at_end(self) -> bool:
        """Has the stream ended exactly here? Archives without the two closing blocks exist."""
        if self._position < self._end:
            return False
        data = self._read(self._chunk)
        self._buffer, self._view, self._position, self._end = data, memoryview(data), 0, len(data)
        return not data

    def _special(self, entry: Entry) -> bytes:
        """The body of a header that describes the next one."""
        if entry.stored > _SPECIAL_MAX:
            raise ImageError(f"the archive has a header of {entry.stored} bytes; at most {_SPECIAL_MAX} are allowed")
        body = self._take(entry.stored)
        self._padding = -entry.stored % BLOCK
        return body

    def _header(self) -> tuple[Entry, bytes, bytes, bytes] | None:
        """The next header: entry, type flag, magic, the block itself; None at the end of the archive."""
        if self._at_end():
            return None
        block = self._take(BLOCK)
        if block == _ZEROS:
            if not self._at_end() and self._take(BLOCK) != _ZEROS:
                raise ImageError("the archive has a header after its end")
            self.drain()
            return None
        fields = _HEADER(block)
        name, mode, uid, gid, size, mtime, checksum, kind, linkname, magic, _, _, major, minor, prefix = fields
        # The sum of all bytes, taken by zlib's C code: Adler-32 begins with 1 and keeps the sum in its low half.
        expected = number(checksum)
        if (expected + sum(checksum) - 255) % _MODULUS != (adler32(block) & 0xFFFF) and expected != signed_sum(block):
            raise ImageError("the archive has a header with a wrong checksum")
        entry = Entry()
        entry.name = name.partition(b"\0")[0]
        entry.mode = number(mode) & 0o7777
        entry.uid = number(uid)
        entry.gid = number(gid)
        entry.size = entry.stored = number(size)
        entry.mtime_ns = min(max(number(mtime), -TIME_MAX), TIME_MAX) * SECOND
        if linkname[0]:
            entry.linkname = linkname.partition(b"\0")[0]
        if kind in b"34":
            entry.device = (number(major), number(minor))
        if prefix[0] and magic[:6] == b"ustar\0":
            if block[508:512] == b"tar\0":
                prefix = prefix[:131]  # star keeps two times behind it
            entry.name = prefix.partition(b"\0")[0] + b"/" + entry.name
        if entry.stored < 0:
            raise ImageError(f"the archive has an entry of negative size: {show(entry.name)}")
        return entry, kind, magic, block


def _apply_pax(entry: Entry, pax: dict[bytes, bytes]) -> None:
    """Replaces the fields of the fixed header. An empty value means that the field stands."""
    for key, value in pax.items():
        if key.startswith(b"SCHILY.xattr."):
            if entry.xattrs is None:
                entry.xattrs = {}
            entry.xattrs[key[13:]] = value
        elif not value:
            continue
        elif key == b"path":
            entry.name = value
        elif key == b"linkpath":
            entry.linkname = value
        elif key == b"size":
            entry.size = entry.stored = decimal(key, value)
        elif key == b"uid":
            entry.uid = decimal(key, value)
        elif key == b"gid":
            entry.gid = decimal(key, value)
        elif key == b"mtime":
            entry.mtime_ns = time_ns(value)
