"""The fields of tar headers: numbers, times, PAX records; and how a name is shown in a message."""

from __future__ import annotations

from crate.errors import ImageError

SECOND = 1_000_000_000
TIME_MAX = (1 << 62) - 1  # seconds; utimensat(2) takes 63 bits, and file systems less
_OCTAL = b"01234567"


def number(field: bytes) -> int:
    """A numeric header field: octal text, or base 256 with the first bit set (GNU), then possibly negative."""
    if field[0] & 0x80:
        value = int.from_bytes(field, "big")
        bits = 8 * len(field)
        return value - (1 << bits) if field[0] & 0x40 else value - (1 << (bits - 1))
    text = field.partition(b"\0")[0].strip(b" ")
    if not text:
        return 0
    if text.translate(None, _OCTAL):
        raise ImageError(f"the archive has a header with a malformed number: {text!r}")
    return int(text, 8)


def signed_sum(block: bytes) -> int:
    """The checksum as old programs took it, with signed bytes."""
    fields = block[:148] + b" " * 8 + block[156:]
    return sum(fields) - 256 * sum(byte > 127 for byte in fields)


def parse_pax(body: bytes) -> list[tuple[bytes, bytes]]:
    """The records of a PAX header in their order: `length key=value\\n`, where the length counts itself."""
    records = []
    position = 0
    while position < len(body):
        space = body.find(b" ", position, position + 20)
        digits = body[position:space]
        if space < 0 or not digits.isdigit():
            raise ImageError("the archive has a malformed PAX header")
        end = position + int(digits)
        key, equals, value = body[space + 1 : end - 1].partition(b"=")
        if end > len(body) or end <= space + 1 or body[end - 1 : end] != b"\n" or not equals or not key:
            raise ImageError("the archive has a malformed PAX header")
        if b"\0" in value and not key.startswith((b"SCHILY.xattr.", b"LIBARCHIVE.")):
            raise ImageError("the archive has a NUL byte in a PAX header")
        records.append((key, value))
        position = end
    return records


def decimal(key: bytes, value: bytes) -> int:
    """A value of the PAX record `key` that must be a decimal number."""
    if not value.isdigit() or len(value) > 19:
        raise ImageError(f"the archive has a PAX header with a malformed {key.decode()}: {value[:40]!r}")
    return int(value)


def time_ns(value: bytes) -> int:
    """Nanoseconds since the epoch of `[-]seconds[.fraction]`."""
    negative = value.startswith(b"-")
    seconds, _, fraction = value.removeprefix(b"-").partition(b".")
    if not seconds.isdigit() or (fraction and not fraction.isdigit()) or len(value) > 64:
        raise ImageError(f"the archive has a PAX header with a malformed mtime: {value[:40]!r}")
    result: int = min(int(seconds), TIME_MAX) * SECOND + int(fraction[:9].ljust(9, b"0"))
    return -result if negative else result


def show(name: bytes) -> str:
    """A name as it goes into a message: escaped, and not a page long."""
    text = name.decode("utf-8", "backslashreplace")
    shown = "".join(character if character.isprintable() else ascii(character)[1:-1] for character in text)
    return shown if len(shown) <= 200 else f"{shown[:200]}..."
