"""Digests of content: `algorithm:hex`, their checking and their making."""

from __future__ import annotations

from crate.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

HEX_LENGTH = {"sha256": 64, "sha384": 96, "sha512": 128}
_HEX = "0123456789abcdef"
_LOWER_ALNUM = "abcdefghijklmnopqrstuvwxyz0123456789"
_ENCODED = _LOWER_ALNUM + "ABCDEFGHIJKLMNOPQRSTUVWXYZ=_-"


def fault(text: str) -> str | None:
    """Why `text` is not a digest that crate can check, in the words of go-digest; None when it is one."""
    algorithm, colon, encoded = text.partition(":")
    if not colon or not algorithm or not encoded:
        return "invalid checksum digest format"
    length = HEX_LENGTH.get(algorithm)
    if length is None:
        parts = algorithm.replace(".", "+").replace("_", "+").replace("-", "+").split("+")
        well_formed = all(part and not part.strip(_LOWER_ALNUM) for part in parts) and not encoded.strip(_ENCODED)
        return "unsupported digest algorithm" if well_formed else "invalid checksum digest format"
    if len(encoded) != length:
        return "invalid checksum digest length"
    return "invalid checksum digest format" if encoded.strip(_HEX) else None


def is_digest(text: object) -> bool:
    """Is this a digest in full (`sha256:` and 64 lower case hexadecimal digits; sha384, sha512 alike)?"""
    return isinstance(text, str) and fault(text) is None


def split(text: str) -> tuple[str, str]:
    """`("sha256", hex)`. Raises UsageError with the reason when it is not a digest."""
    reason = fault(text)
    if reason:
        raise UsageError(f"{reason}: {text}")
    algorithm, _, encoded = text.partition(":")
    return algorithm, encoded


def is_hex_id(text: str) -> bool:
    """Is this a full identifier without its algorithm: 64 lower case hexadecimal digits?"""
    return len(text) == 64 and not text.strip(_HEX)


def hasher(algorithm: str = "sha256") -> Any:
    """A hash object with `update` and `hexdigest` for content of any size; it releases the interpreter lock."""
    import hashlib

    return hashlib.new(algorithm)


def of(content: bytes, algorithm: str = "sha256") -> str:
    """The digest of `content`."""
    if algorithm == "sha256":
        # hashlib loads libcrypto (three milliseconds); the built-in module has another name from 3.12 on.
        try:
            from _sha256 import sha256  # type: ignore[import-not-found,unused-ignore]
        except ImportError:
            from _sha2 import sha256  # type: ignore[import-not-found,no-redef,unused-ignore]
        return f"sha256:{sha256(content).hexdigest()}"
    made = hasher(algorithm)
    made.update(content)
    return f"{algorithm}:{made.hexdigest()}"
