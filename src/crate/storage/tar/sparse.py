"""The maps of sparse files in tar archives: GNU's old form and the three PAX ones (0.0, 0.1, 1.0).

A map is a list of (offset, length) of the parts that hold data; holes lie between them. Source: GNU tar manual,
"Storing Sparse Files"; limits and checks as in Go's archive/tar.
"""

from __future__ import annotations

from crate.errors import ImageError
from crate.storage.tar.fields import decimal, number

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

_MAP_MAX = 1 << 20  # bytes of map text: Go's limit since CVE-2025-58183
_OLD_PARTS_MAX = 1 << 16
_SIZE_MAX = (1 << 63) - 1


def gnu_sparse(block: bytes, next_block: Callable[[], bytes]) -> tuple[list[tuple[int, int]], int]:
    """Map and real size from a header of type `S`, whose map goes on in blocks of their own."""
    size = number(block[483:495])
    parts: list[tuple[int, int]] = []
    part_bytes, extended = block[386:482], block[482]
    while True:
        for start in range(0, len(part_bytes), 24):
            field = part_bytes[start : start + 24]
            if not field[0]:
                break
            parts.append((number(field[:12]), number(field[12:])))
        if not extended:
            return parts, size
        if len(parts) > _OLD_PARTS_MAX:
            raise ImageError("the archive has a sparse file of too many parts")
        block = next_block()
        part_bytes, extended = block[:504], block[504]


def pax_sparse(
    pax: dict[bytes, bytes], records: list[tuple[bytes, bytes]], next_block: Callable[[], bytes]
) -> tuple[bytes, int, list[tuple[int, int]] | None]:
    """Name (or b""), real size and map of a regular file with `GNU.sparse.` records; no map where it is not sparse."""
    version = (pax.get(b"GNU.sparse.major", b"0"), pax.get(b"GNU.sparse.minor", b"0"))
    name = pax.get(b"GNU.sparse.name", b"")
    size_text = pax.get(b"GNU.sparse.realsize") or pax.get(b"GNU.sparse.size")
    if version == (b"1", b"0"):
        values = _map_in_body(next_block)
    elif version[0] == b"0" and b"GNU.sparse.map" in pax:
        values = [decimal(b"GNU.sparse", text) for text in pax[b"GNU.sparse.map"].split(b",") if text]
    elif version[0] == b"0":
        values = _map_in_records(records)
    else:
        raise ImageError("the archive has a sparse file of an unknown format")
    if size_text is None:
        if values:
            raise ImageError("the archive has a sparse file without its size")
        return name, 0, None
    if len(values) % 2:
        raise ImageError("the archive has a sparse file with half a part")
    return name, decimal(b"GNU.sparse", size_text), list(zip(values[::2], values[1::2], strict=True))


def _map_in_body(next_block: Callable[[], bytes]) -> list[int]:
    """Version 1.0: decimal lines in front of the data, filling whole blocks: a count, then offsets and lengths."""
    text = b""
    wanted = 1
    while True:
        lines = text.count(b"\n")
        if lines and wanted == 1:
            wanted = 1 + 2 * decimal(b"GNU.sparse", text[: text.index(b"\n")])
        if lines >= wanted:
            return [decimal(b"GNU.sparse", line) for line in text.split(b"\n")[1:wanted]]
        if len(text) >= _MAP_MAX:
            raise ImageError("the archive has a sparse file with too long a map")
        text += next_block()


def _map_in_records(records: list[tuple[bytes, bytes]]) -> list[int]:
    """Version 0.0: a pair of records a part, in their order."""
    values: list[int] = []
    for key, value in records:
        if key in (b"GNU.sparse.offset", b"GNU.sparse.numbytes"):
            if (key == b"GNU.sparse.numbytes") != bool(len(values) % 2):
                raise ImageError("the archive has a sparse file with its map out of order")
            values.append(decimal(b"GNU.sparse", value))
    return values


def data_of_sparse(parts: list[tuple[int, int]], size: int) -> int:
    """How many bytes of data a map speaks of. Raises ImageError for one that overlaps, runs backwards or too far."""
    position = total = 0
    for offset, length in parts:
        if offset < position or length < 0 or offset + length > size:
            raise ImageError("the archive has a sparse file with an impossible map")
        position = offset + length
        total += length
    if not 0 <= size <= _SIZE_MAX:
        raise ImageError("the archive has a sparse file of impossible size")
    return total
