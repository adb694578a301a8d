"""Decompression as the bytes come: all forms, any cut, bounded steps, corrupt streams in words."""

from __future__ import annotations

import bz2
import gzip
import lzma
import random
import sys
import zlib
from collections.abc import Callable

import pytest
import zstandard
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from crate.errors import HostError, ImageError
from crate.storage.inflate import Inflater
from examples import examples

DATA = random.Random(1).randbytes(50_000) + bytes(300_000) + b"text " * 20_000
FORMS: dict[str, Callable[[bytes], bytes]] = {
    "plain": bytes,
    "gzip": gzip.compress,
    "zstd": zstandard.compress,
    "bzip2": bz2.compress,
    "xz": lzma.compress,
}


def inflate(data: bytes, step: int = 1 << 18) -> bytes:
    parts: list[bytes] = []
    inflater = Inflater(parts.append)
    for start in range(0, len(data), step):
        inflater.write(data[start : start + step])
    inflater.finish()
    assert max(map(len, parts), default=0) <= max(1 << 20, step)
    return b"".join(parts)


@pytest.mark.parametrize("form", FORMS)
def test_all_forms(form: str) -> None:
    assert inflate(FORMS[form](DATA)) == DATA
    assert inflate(FORMS[form](b"")) == b""
    assert inflate(FORMS[form](b"x")) == b"x"


@pytest.mark.parametrize("form", ["gzip", "zstd", "bzip2", "xz"])
def test_several_members_in_a_row(form: str) -> None:
    compress = FORMS[form]
    assert inflate(compress(b"one") + compress(DATA) + compress(b"") + compress(b"two")) == b"one" + DATA + b"two"


def test_skippable_frames_of_zstd() -> None:
    skippable = b"\x50\x2a\x4d\x18" + (4).to_bytes(4, "little") + b"skip"
    assert inflate(skippable + zstandard.compress(DATA) + skippable) == DATA


@given(st.sampled_from(sorted(FORMS)), st.integers(1, 5000), st.binary(max_size=3000))
@settings(max_examples=examples(150), deadline=None)
def test_any_cut(form: str, step: int, data: bytes) -> None:
    # What begins as a compressed stream does is one, whoever calls it plain.
    assume(form != "plain" or not data.startswith((b"\x1f\x8b", b"\x28\xb5\x2f\xfd", b"BZh", b"\xfd7zXZ")))
    assume(form != "plain" or data[1:4] != b"\x2a\x4d\x18")
    assert inflate(FORMS[form](data), step) == data


@given(st.sampled_from(["gzip", "zstd", "bzip2", "xz"]), st.data())
@settings(max_examples=examples(200), deadline=None)
def test_corrupt_streams_are_image_errors(form: str, data: st.DataObject) -> None:
    stream = bytearray(FORMS[form](DATA[:20_000]))
    for _ in range(data.draw(st.integers(1, 3))):
        stream[data.draw(st.integers(6, len(stream) - 1))] ^= data.draw(st.integers(1, 255))
    try:
        inflate(bytes(stream))
    except ImageError:
        pass


@pytest.mark.parametrize("form", ["gzip", "bzip2", "xz"])
def test_truncated_streams_are_told(form: str) -> None:
    with pytest.raises(ImageError, match=f"the {form} stream is truncated"):
        inflate(FORMS[form](DATA)[:-3])


def test_garbage_after_gzip_is_told() -> None:
    with pytest.raises(ImageError, match="the gzip stream is corrupt"):
        inflate(gzip.compress(DATA) + b"garbage" * 10)


@pytest.mark.parametrize("form", ["gzip", "zstd", "bzip2", "xz"])
def test_a_bomb_comes_in_small_pieces(form: str) -> None:
    bomb = FORMS[form](bytes(64 << 20))
    total = largest = 0

    def emit(piece: bytes) -> None:
        nonlocal total, largest
        total += len(piece)
        largest = max(largest, len(piece))

    inflater = Inflater(emit)
    inflater.write(bomb)
    inflater.finish()
    assert total == 64 << 20
    assert largest <= 1 << 20


def test_gzip_without_isal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "isal", None)
    assert inflate(gzip.compress(DATA), 1000) == DATA


def test_gzip_of_one_large_member_without_an_end() -> None:
    compressor = zlib.compressobj(wbits=31)
    with pytest.raises(ImageError, match="truncated"):
        inflate(compressor.compress(DATA) + compressor.flush(zlib.Z_SYNC_FLUSH))


def test_zstd_without_its_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "zstandard", None)
    with pytest.raises(HostError, match="zstandard is missing"):
        inflate(zstandard.compress(DATA))
