"""Tar archives made by hand, header by header: what no program writes, somebody may still send."""

from __future__ import annotations

from collections.abc import Iterable

BLOCK = 512
END = bytes(2 * BLOCK)


def header(
    name: bytes,
    kind: bytes = b"0",
    size: int | bytes = 0,
    *,
    mode: int = 0o644,
    uid: int | bytes = 0,
    gid: int | bytes = 0,
    mtime: int | bytes = 0,
    link: bytes = b"",
    device: tuple[int, int] = (0, 0),
    magic: bytes = b"ustar\x0000",
    prefix: bytes = b"",
    checksum: bytes | None = None,
) -> bytes:
    """One header block; numbers may be given as the bytes of their field."""
    fields = [
        name.ljust(100, b"\0")[:100],
        _octal(mode, 8),
        _octal(uid, 8),
        _octal(gid, 8),
        _octal(size, 12),
        _octal(mtime, 12),
        b" " * 8,
        kind,
        link.ljust(100, b"\0")[:100],
        magic,
        bytes(64),
        _octal(device[0], 8),
        _octal(device[1], 8),
        prefix.ljust(155, b"\0")[:155],
        bytes(12),
    ]
    block = b"".join(fields)
    assert len(block) == BLOCK
    return block[:148] + (b"%06o\0 " % sum(block) if checksum is None else checksum) + block[156:]


def member(name: bytes, body: bytes = b"", kind: bytes = b"0", **fields: object) -> bytes:
    """A header with its body, padded."""
    return header(name, kind, fields.pop("size", len(body)), **fields) + padded(body)  # type: ignore[arg-type]


def directory(name: bytes, mode: int = 0o755, *, uid: int = 0, gid: int = 0, mtime: int = 0) -> bytes:
    """A directory."""
    return header(name, b"5", mode=mode, uid=uid, gid=gid, mtime=mtime)


def symlink(name: bytes, target: bytes) -> bytes:
    """A symbolic link."""
    return member(name, kind=b"2", link=target, mode=0o777)


def hard_link(name: bytes, target: bytes) -> bytes:
    """A hard link."""
    return member(name, kind=b"1", link=target)


def pax(records: Iterable[tuple[bytes, bytes]], kind: bytes = b"x") -> bytes:
    """A PAX header for the next member."""
    return member(b"PaxHeaders/0", b"".join(pax_record(key, value) for key, value in records), kind)


def pax_record(key: bytes, value: bytes) -> bytes:
    """`length key=value\\n`, where the length counts itself."""
    length = len(key) + len(value) + 3
    while True:
        record = b"%d %s=%s\n" % (length, key, value)
        if len(record) == length:
            return record
        length = len(record)


def padded(body: bytes) -> bytes:
    """A body filled up to whole blocks."""
    return body + bytes(-len(body) % BLOCK)


def archive(*members: bytes) -> bytes:
    """A whole archive."""
    return b"".join(members) + END


def _octal(value: int | bytes, width: int) -> bytes:
    return value if isinstance(value, bytes) else b"%0*o\0" % (width - 1, value)
