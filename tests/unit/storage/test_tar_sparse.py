"""Sparse files in the four forms that GNU tar writes, and maps that lie."""

from __future__ import annotations

import io
import os
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crate.errors import ImageError
from crate.storage.tar.reader import TarReader
from crate.storage.tar.sparse import data_of_sparse
from storage.archives import archive, member, padded, pax

VERSION_1 = [(b"GNU.sparse.major", b"1"), (b"GNU.sparse.minor", b"0"), (b"GNU.sparse.name", b"f")]
PARTS = [(0, 10), (50_000, 4096), (1 << 20, 5), (3 << 20, 100_000)]
PARTS += [((5 << 20) + index * (128 << 10), 7) for index in range(60)]  # more than one extension block holds


@pytest.fixture(scope="module")
def sparse_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sparse") / "sparse"
    with path.open("wb") as file:
        for offset, length in PARTS:
            file.seek(offset)
            file.write(bytes([offset % 251 + 1]) * length)
        file.truncate(20 << 20)
    return path


@pytest.mark.parametrize(
    "options",
    [
        ["--format=gnu"],
        ["--format=posix", "--sparse-version=0.0"],
        ["--format=posix", "--sparse-version=0.1"],
        ["--format=posix", "--sparse-version=1.0"],
    ],
)
def test_reads_what_gnu_tar_writes(sparse_file: Path, options: list[str]) -> None:
    data = subprocess.run(
        ["tar", "--sparse", *options, "-C", str(sparse_file.parent), "-c", sparse_file.name],
        check=True,
        capture_output=True,
    ).stdout
    assert len(data) < 4 << 20
    stream = io.BytesIO(data)
    reader = TarReader(stream.read)
    content = bytearray()
    for entry in reader:
        assert entry.name == os.fsencode(sparse_file.name)
        assert entry.size == 20 << 20
        assert entry.sparse is not None
        content = bytearray(entry.size)
        body = b"".join(bytes(piece) for piece in reader.pieces())
        for offset, length in entry.sparse:
            content[offset : offset + length], body = body[:length], body[length:]
        assert body == b""
    assert bytes(content) == sparse_file.read_bytes()


def read(data: bytes) -> None:
    for _ in TarReader(io.BytesIO(data).read):
        pass


def sparse(text: bytes, stored: bytes = b"", size: bytes = b"100") -> bytes:
    """A member in format 1.0 with this map."""
    return archive(pax([*VERSION_1, (b"GNU.sparse.realsize", size)]), member(b"f", padded(text) + stored))


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (sparse(b"1\n0\n4\n", b"ab"), "contradicts"),
        (sparse(b"1\n0\n4\n", b"abcdef"), "contradicts"),
        (sparse(b"1\n99\n4\n", b"abcd"), "impossible map"),
        (sparse(b"2\n10\n2\n5\n2\n", b"abcd"), "impossible map"),
        (sparse(b"2\n0\n3\n2\n1\n", b"abcd"), "impossible map"),
        (sparse(b"x\n"), "malformed GNU.sparse"),
        (sparse(b"-1\n"), "malformed GNU.sparse"),
        (sparse(b"5\n0\n1\n", b""), "longer than its file"),
        (sparse(b"1" * 600), "longer than its file"),
        (sparse(b"1\n0\n4\n", b"abcd", size=b"9" * 19), "impossible size"),
        (sparse(b"999999999\n" + b"1\n" * 600_000), "too long a map"),
        (archive(pax(VERSION_1), member(b"f", padded(b"1\n0\n4\n") + b"abcd")), "without its size"),
        (archive(pax([(b"GNU.sparse.major", b"2")]), member(b"f")), "unknown format"),
        (archive(pax([(b"GNU.sparse.size", b"9"), (b"GNU.sparse.map", b"1,2,3")]), member(b"f")), "half a part"),
        (
            archive(pax([(b"GNU.sparse.size", b"9"), (b"GNU.sparse.numbytes", b"1")]), member(b"f")),
            "out of order",
        ),
    ],
)
def test_lying_maps_are_refused(data: bytes, words: str) -> None:
    with pytest.raises(ImageError, match=words):
        read(data)


def test_a_name_alone_is_no_sparse_file() -> None:
    (entry,) = TarReader(io.BytesIO(archive(pax([(b"GNU.sparse.name", b"real")]), member(b"fake", b"abc"))).read)
    assert (entry.name, entry.size, entry.sparse) == (b"real", 3, None)


@given(st.lists(st.tuples(st.integers(-5, 100), st.integers(-5, 100)), max_size=6), st.integers(-1, 200))
def test_a_map_is_accepted_only_if_it_fits(parts: list[tuple[int, int]], size: int) -> None:
    covered = bytearray(max(size, 0) + 1000)
    legal = size >= 0
    position = 0
    for offset, length in parts:
        legal = legal and length >= 0 and position <= offset and offset + length <= size
        position = offset + length
        covered[offset : offset + length] = b"x" * max(length, 0)
    try:
        total = data_of_sparse(parts, size)
    except ImageError:
        assert not legal
    else:
        assert legal
        assert total == covered.count(b"x")
