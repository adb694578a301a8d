"""Decompression of a stream as it comes: gzip, zstd, bzip2, xz, or none, by what its first bytes say.

The output of each step is bounded, however small the input that makes it: a bomb meets the checks of whoever takes the
output, not the end of memory.
"""

from __future__ import annotations

import os
import zlib

from crate.errors import HostError, ImageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

_STEP = 1 << 20
_MAGIC_LENGTH = 6
_WINDOW_MAX = 1 << 27  # memory for looking back: zstd's own default limit


def inflated(fd: int) -> Callable[[int], bytes]:
    """A `read` of the plain bytes of what `fd` gives, as crate.storage.tar.reader wants one."""
    return inflated_by(lambda count: os.read(fd, count))


def inflated_by(read: Callable[[int], bytes]) -> Callable[[int], bytes]:
    """As `inflated`, of what a function gives. No more is inflated ahead than one step, whatever the input."""
    begin = b""
    while len(begin) < _MAGIC_LENGTH and (data := read(_STEP)):
        begin += data
    if _is_zstd(begin):
        return _zstd_reader(begin, read)
    stream = _pieces(begin, read)
    return lambda _count: next(stream, b"")


def _pieces(chunk: bytes, read: Callable[[int], bytes]) -> Iterator[bytes]:
    decoder = _choose(chunk, lambda _: None)
    assert not isinstance(decoder, _Zstandard)
    while chunk:
        yield from decoder.feed(chunk)
        chunk = read(_STEP)
    decoder.finish()


class Inflater:
    """Takes compressed bytes by `write` and hands plain ones to `emit`; `finish` checks that the stream was whole."""

    def __init__(self, emit: Callable[[bytes], object]) -> None:
        self._emit = emit
        self._begin = b""
        self._stream: _Members | _Zstandard | _Plain | None = None

    def write(self, chunk: bytes) -> None:
        """Raises ImageError when the stream is corrupt, HostError when its compression needs a missing library."""
        if self._stream is None:
            self._begin += chunk
            if len(self._begin) < _MAGIC_LENGTH:
                return
            chunk = self._start()
        assert self._stream is not None
        self._stream.write(chunk)

    def finish(self) -> None:
        """Raises ImageError when the stream ended too early."""
        if self._stream is None:
            begin = self._start()
            assert self._stream is not None
            self._stream.write(begin)
        self._stream.finish()

    def _start(self) -> bytes:
        begin, self._begin = self._begin, b""
        self._stream = _choose(begin, self._emit)
        return begin


def _choose(begin: bytes, emit: Callable[[bytes], object]) -> _Members | _Zstandard | _Plain:
    if begin.startswith(b"\x1f\x8b"):
        return _Members("gzip", *_gzip(), emit)
    if _is_zstd(begin):
        return _Zstandard(emit)
    if begin.startswith(b"BZh"):
        from bz2 import BZ2Decompressor

        return _Members("bzip2", BZ2Decompressor, OSError, emit)
    if begin.startswith(b"\xfd7zXZ\0"):
        from lzma import FORMAT_XZ, LZMADecompressor, LZMAError

        return _Members("xz", lambda: LZMADecompressor(FORMAT_XZ, _WINDOW_MAX), LZMAError, emit)
    return _Plain(emit)


def _is_zstd(begin: bytes) -> bool:
    """A frame, or one that is to be skipped (RFC 8878, 3.1)."""
    return begin.startswith(b"\x28\xb5\x2f\xfd") or (begin[1:4] == b"\x2a\x4d\x18" and begin[0] & 0xF0 == 0x50)


def _gzip() -> tuple[Callable[[], Any], type[Exception]]:
    """What makes decompressors, and what they raise."""
    try:
        from isal import isal_zlib
    except ImportError:
        return lambda: zlib.decompressobj(31), zlib.error
    error: Any = isal_zlib.error  # the stubs call it an instance
    return lambda: isal_zlib.decompressobj(31), error


class _Plain:
    """No compression."""

    def __init__(self, emit: Callable[[bytes], object]) -> None:
        self.write = emit

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        """The chunk itself."""
        yield chunk

    def finish(self) -> None:
        """Nothing can be missing that the archive's reader would not miss."""


class _Members:
    """Compressed members one after the other, by a decompressor object of the standard library's kind."""

    def __init__(
        self, name: str, make: Callable[[], Any], error: type[Exception], emit: Callable[[bytes], object]
    ) -> None:
        self._name = name
        self._make = make
        self._error = error
        self._emit = emit
        self._member: Any = make()

    def write(self, chunk: bytes) -> None:
        for plain in self.feed(chunk):
            self._emit(plain)

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        """The plain bytes of a chunk, step by step."""
        while chunk:
            if self._member is None:
                self._member = self._make()
            plain = self._step(chunk)
            if plain:
                yield plain
            while not self._member.eof and len(plain) == _STEP:
                # More lies in the decompressor, and in the input that it gave back.
                plain = self._step(getattr(self._member, "unconsumed_tail", b""))
                if plain:
                    yield plain
            chunk = b""
            if self._member.eof:
                chunk = self._member.unused_data
                self._member = None

    def _step(self, data: bytes) -> bytes:
        try:
            plain: bytes = self._member.decompress(data, _STEP)
        except self._error as error:
            raise ImageError(f"the {self._name} stream is corrupt: {error}") from None
        return plain

    def finish(self) -> None:
        if self._member is not None:
            raise ImageError(f"the {self._name} stream is truncated")


class _Zstandard:
    """Frames of zstd, skippable ones included. A truncated last frame shows in the archive and its digest."""

    def __init__(self, emit: Callable[[bytes], object]) -> None:
        decompressor, self._error = _zstd()
        # zstandard wants no more of a file than `write`.
        sink: Any = _Sink(emit)
        self._writer: Any = decompressor.stream_writer(sink, write_size=_STEP, closefd=False)

    def write(self, chunk: bytes) -> None:
        try:
            self._writer.write(chunk)
        except self._error as error:
            raise ImageError(f"the zstd stream is corrupt: {error}") from None

    def finish(self) -> None:
        self._writer.close()


def _zstd_reader(begin: bytes, read: Callable[[int], bytes]) -> Callable[[int], bytes]:
    decompressor, failure = _zstd()
    source: Any = _Source(begin, read)
    reader = decompressor.stream_reader(source, read_size=_STEP, read_across_frames=True, closefd=False)

    def step(_count: int) -> bytes:
        try:
            return bytes(reader.read(_STEP))
        except failure as error:
            raise ImageError(f"the zstd stream is corrupt: {error}") from None

    return step


def _zstd() -> tuple[Any, type[Exception]]:
    """A decompressor, and what it raises. Raises HostError."""
    try:
        from zstandard import ZstdDecompressor, ZstdError
    except ImportError:
        raise HostError(
            "cannot unpack a layer compressed with zstd: the Python module zstandard is missing",
            "apt install python3-zstandard",
        ) from None
    return ZstdDecompressor(max_window_size=_WINDOW_MAX), ZstdError


class _Source:
    """What zstandard reads from: the bytes that were looked at, then the rest."""

    def __init__(self, begin: bytes, read: Callable[[int], bytes]) -> None:
        self._begin = begin
        self._read = read

    def read(self, count: int) -> bytes:
        found, self._begin = self._begin, b""
        return found or self._read(count)


class _Sink:
    """What zstandard writes into."""

    def __init__(self, emit: Callable[[bytes], object]) -> None:
        self._emit = emit

    def write(self, data: bytes) -> int:
        self._emit(bytes(data))
        return len(data)
