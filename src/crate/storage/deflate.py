"""Compression of a stream by several processors at once: gzip in blocks, as pigz does it, or zstd.

    gzip 1, 2, 3      isal, 400 MB/s and more on two processors; 2 is the default and about as dense as zlib's 1
    gzip 4 … 9        zlib at that level, 25 to 60 MB/s a processor
    zstd 1 … 20       zstandard at that level; 3 is the default

A block of gzip is compressed with the 32 KiB before it as its dictionary, so the whole is one member and as dense as if
one thread had made it. The bytes depend on the library's version alone: no time, no name.
"""

from __future__ import annotations

import os
import struct
import zlib

from crate.errors import HostError, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future
    from typing import Any

GZIP, ZSTD = "gzip", "zstd"
TAR = "tar"  # no compression
LEVELS = {GZIP: (1, 9, 2), ZSTD: (1, 20, 3)}  # least, most, default
_BLOCK = 1 << 20
_WINDOW = 32 << 10
_ISAL_MAX = 3
_HEAD = b"\x1f\x8b\x08\0\0\0\0\0\0\xff"


def level_of(form: str, level: int | None) -> int:
    """The level in force. Raises UsageError for one that the form does not have."""
    if form == TAR:
        return 0
    least, most, default = LEVELS[form]
    if level is None:
        return default
    if not least <= level <= most:
        raise UsageError(f"compression level {level} is not one of {form}", f"from {least} to {most}")
    return level


def deflater(form: str, level: int, emit: Callable[[bytes], object]) -> Gzip | Zstandard | Plain:
    """What takes plain bytes by `write` and hands compressed ones to `emit`; `finish` ends the stream."""
    if form == TAR:
        return Plain(emit)
    return Gzip(level, emit) if form == GZIP else Zstandard(level, emit)


class Plain:
    """The bytes as they are."""

    def __init__(self, emit: Callable[[bytes], object]) -> None:
        self.write = emit

    def finish(self) -> None:
        """Nothing is held back."""

    def close(self) -> None:
        """Nothing is left behind."""


class Gzip:
    """One gzip member, its blocks compressed side by side and emitted in order."""

    def __init__(self, level: int, emit: Callable[[bytes], object], threads: int = 0) -> None:
        from concurrent.futures import ThreadPoolExecutor  # slow to import, and often nothing is compressed

        self._level = level
        self._emit = emit
        self._threads = threads or os.cpu_count() or 1
        self._pool = ThreadPoolExecutor(self._threads)
        self._under_way: list[Future[bytes]] = []
        self._block = bytearray()
        self._window = b""
        self._crc = 0
        self._size = 0
        emit(_HEAD)

    def write(self, chunk: bytes) -> None:
        """Takes more."""
        self._block += chunk
        while len(self._block) >= _BLOCK:
            block = bytes(memoryview(self._block)[:_BLOCK])
            del self._block[:_BLOCK]
            self._submit(block)

    def _submit(self, block: bytes) -> None:
        self._crc = zlib.crc32(block, self._crc)
        self._size += len(block)
        self._under_way.append(self._pool.submit(_deflated, block, self._window, self._level))
        self._window = block[-_WINDOW:]
        while len(self._under_way) > 2 * self._threads:
            self._emit(self._under_way.pop(0).result())

    def finish(self) -> None:
        """Emits the rest."""
        if self._block:
            self._submit(bytes(self._block))
        for result in self._under_way:
            self._emit(result.result())
        self._emit(b"\x03\x00" + struct.pack("<II", self._crc, self._size & 0xFFFFFFFF))  # an empty last block
        self.close()

    def close(self) -> None:
        """Ends the threads; after `finish` there is nothing to end."""
        self._pool.shutdown(cancel_futures=True)


def _deflated(block: bytes, window: bytes, level: int) -> bytes:
    """A piece of a deflate stream that ends at a whole byte."""
    made: Any = None
    if level <= _ISAL_MAX:
        try:
            from isal import isal_zlib

            made = isal_zlib.compressobj(level, isal_zlib.DEFLATED, -15, zdict=window)
        except ImportError:
            pass
    if made is None:
        made = (
            zlib.compressobj(level, zlib.DEFLATED, -15, zdict=window) if window else zlib.compressobj(level, wbits=-15)
        )
    return bytes(made.compress(block) + made.flush(zlib.Z_SYNC_FLUSH))


class Zstandard:
    """One zstd frame."""

    def __init__(self, level: int, emit: Callable[[bytes], object]) -> None:
        try:
            import zstandard
        except ImportError:
            raise HostError("cannot compress with zstd: the Python package zstandard is missing") from None
        self._emit = emit
        self._stream = zstandard.ZstdCompressor(level=level, threads=os.cpu_count() or 1).compressobj()

    def write(self, chunk: bytes) -> None:
        """Takes more."""
        if made := self._stream.compress(chunk):
            self._emit(made)

    def finish(self) -> None:
        """Emits the rest."""
        self._emit(self._stream.flush())

    def close(self) -> None:
        """Nothing is left behind."""
