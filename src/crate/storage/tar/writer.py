"""Headers of tar archives as image layers have them: ustar, with PAX records for what does not fit.

The same entry always gives the same bytes: times are in whole seconds, users and groups have no names. Sources: POSIX
pax, "Interchange Format"; image-spec layer.md.
"""

from __future__ import annotations

import os
import stat
from struct import pack

from crate.storage.tar.reader import BLOCK, BLOCK_DEVICE, CHARACTER, DIRECTORY, FIFO, FILE, LINK, SYMLINK

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

END = bytes(2 * BLOCK)
_NAME_MAX, _PREFIX_MAX = 100, 155
_ID_MAX = 0o7777777
_SIZE_MAX = 0o77777777777
_KINDS = {
    stat.S_IFREG: FILE,
    stat.S_IFLNK: SYMLINK,
    stat.S_IFDIR: DIRECTORY,
    stat.S_IFCHR: CHARACTER,
    stat.S_IFBLK: BLOCK_DEVICE,
    stat.S_IFIFO: FIFO,
}


def header(
    name: bytes,
    found: os.stat_result,
    *,
    target: bytes = b"",
    is_link: bool = False,
    size: int = -1,
    xattrs: Mapping[bytes, bytes] | None = None,
    owner: tuple[int, int] | None = None,
) -> bytes:
    """The header, whole blocks of 512 bytes, of what stat(2) describes; a file's body follows it, see `padding`.

    `target` is that of a symbolic link, or with `is_link` the archive's name for the file that this is a hard link to.
    `size` replaces that of `found` where it is not negative, `owner` its uid and gid. ValueError for a socket, which
    no archive has.
    """
    kind = LINK if is_link else _KINDS.get(stat.S_IFMT(found.st_mode))
    if kind is None:
        raise ValueError(f"no entry for a file of mode {found.st_mode:o}")
    if size < 0:
        size = found.st_size if kind == FILE else 0
    device = found.st_rdev if kind in (CHARACTER, BLOCK_DEVICE) else 0
    if kind == DIRECTORY:
        name = name.rstrip(b"/") + b"/"
    mode, owner = stat.S_IMODE(found.st_mode), owner or (found.st_uid, found.st_gid)
    return _encode(name, kind, mode, owner, size, found.st_mtime_ns, target, device, xattrs)


def plain_file(name: bytes, size: int = 0, mode: int = 0o600) -> bytes:
    """The header of a file of root's without a time; an empty one may be a whiteout (image-spec layer.md)."""
    return _encode(name, FILE, mode, (0, 0), size, 0, b"", 0, None)


def padding(size: int) -> bytes:
    """What fills up the last block of a body of `size` bytes."""
    return bytes(-size % BLOCK)


def _encode(
    name: bytes,
    kind: bytes,
    mode: int,
    owner: tuple[int, int],
    size: int,
    mtime_ns: int,
    target: bytes,
    device: int,
    xattrs: Mapping[bytes, bytes] | None,
) -> bytes:
    records = {b"SCHILY.xattr." + key: value for key, value in (xattrs or {}).items()}
    prefix, base = _split(name)
    if not base:
        records[b"path"] = name
        base = name[:_NAME_MAX]
    if len(target) > _NAME_MAX:
        records[b"linkpath"] = target
        target = target[:_NAME_MAX]
    numbers = []
    for key, value, most in (
        (b"uid", owner[0], _ID_MAX),
        (b"gid", owner[1], _ID_MAX),
        (b"size", size, _SIZE_MAX),
        (b"mtime", mtime_ns // 1_000_000_000, _SIZE_MAX),
    ):
        fits = 0 <= value <= most
        if not fits:
            records[key] = b"%d" % value
        numbers.append(value if fits else 0)
    block = _block(base, prefix, kind, mode, numbers, target, device)
    return _pax(base, records) + block if records else block


def _split(name: bytes) -> tuple[bytes, bytes]:
    """The name as prefix and name of a ustar header; two empty ones when it does not fit."""
    if len(name) <= _NAME_MAX:
        return b"", name
    at = name.rfind(b"/", 0, _PREFIX_MAX + 1)
    while at > 0:
        base = name[at + 1 :]
        if len(base) > _NAME_MAX:
            break
        if base:
            return name[:at], base
        at = name.rfind(b"/", 0, at)
    return b"", b""


def _block(
    name: bytes, prefix: bytes, kind: bytes, mode: int, numbers: Sequence[int], target: bytes, device: int
) -> bytes:
    """`numbers`: user, group, size, time."""
    uid, gid, size, mtime = numbers
    head = pack(
        "100s8s8s8s12s12s8sc100s6s2s32s32s8s8s155s12x",
        name, b"%07o\0" % mode, b"%07o\0" % uid, b"%07o\0" % gid, b"%011o\0" % size, b"%011o\0" % mtime, b" " * 8,
        kind, target, b"ustar\0", b"00", b"", b"",
        b"%07o\0" % os.major(device), b"%07o\0" % os.minor(device), prefix,
    )  # fmt: skip
    return head[:148] + b"%06o\0 " % sum(head) + head[156:]


def _pax(name: bytes, records: Mapping[bytes, bytes]) -> bytes:
    body = b"".join(_record(key, records[key]) for key in sorted(records))
    base = (b"PaxHeaders.0/" + name.strip(b"/").rpartition(b"/")[2])[:_NAME_MAX]
    return _block(base, b"", b"x", 0o644, (0, 0, len(body), 0), b"", 0) + body + padding(len(body))


def _record(key: bytes, value: bytes) -> bytes:
    """`LENGTH KEY=VALUE\\n`, where the length counts its own digits."""
    rest = len(key) + len(value) + 3
    length = rest + len(str(rest))
    length = rest + len(str(length))
    return b"%d %s=%s\n" % (length, key, value)
