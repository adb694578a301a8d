"""Headers of archives: what is written is what two readers understand, for any name, owner, size and time."""

from __future__ import annotations

import io
import os
import stat
import tarfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crate.storage.tar import writer as tar_writer
from crate.storage.tar.reader import TarReader

PARTS = st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1, max_size=120).filter(
    lambda part: part not in (".", "..")
)
NAMES = st.lists(PARTS, min_size=1, max_size=5).map("/".join)
NUMBERS = st.integers(0, (1 << 31) - 1)
SECOND = 1_000_000_000


def found(mode: int, uid: int = 0, gid: int = 0, size: int = 0, mtime_ns: int = 0, rdev: int = 0) -> os.stat_result:
    """A result of stat(2)."""
    seconds = mtime_ns // SECOND
    extra = {"st_mtime_ns": mtime_ns, "st_rdev": rdev}
    return os.stat_result((mode, 1, 1, 1, uid, gid, size, seconds, seconds, seconds), extra)


@given(name=NAMES, uid=NUMBERS, gid=NUMBERS, mode=st.integers(0, 0o7777), mtime=st.integers(-(1 << 40), 1 << 40))
def test_any_file(name: str, uid: int, gid: int, mode: int, mtime: int) -> None:
    raw = os.fsencode(name)
    status = found(stat.S_IFREG | mode, uid, gid, 3, mtime * SECOND + 5)
    data = (
        tar_writer.header(raw, status, xattrs={b"user.x": b"a\n=b"}) + b"abc" + tar_writer.padding(3) + tar_writer.END
    )
    stream = io.BytesIO(data)
    (entry,) = TarReader(stream.read)
    assert (entry.name, entry.uid, entry.gid, entry.mode, entry.size) == (raw, uid, gid, mode, 3)
    assert entry.mtime_ns == mtime * SECOND and entry.xattrs == {b"user.x": b"a\n=b"}
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        (member,) = tar
        assert (os.fsencode(member.name), member.uid, member.gid, member.mode) == (raw.rstrip(b"/"), uid, gid, mode)
        content = tar.extractfile(member)
        assert content and content.read() == b"abc"


@given(name=NAMES, target=NAMES)
def test_any_link(name: str, target: str) -> None:
    for kind, is_link in ((stat.S_IFLNK, False), (stat.S_IFREG, True)):
        block = tar_writer.header(os.fsencode(name), found(kind | 0o777), target=os.fsencode(target), is_link=is_link)
        (entry,) = TarReader(io.BytesIO(block + tar_writer.END).read)
        assert (entry.name, entry.linkname, entry.stored) == (os.fsencode(name), os.fsencode(target), 0)


def test_kinds() -> None:
    device = os.makedev(8, 17)
    for kind, letter in ((stat.S_IFCHR, b"3"), (stat.S_IFBLK, b"4"), (stat.S_IFIFO, b"6"), (stat.S_IFDIR, b"5")):
        block = tar_writer.header(b"name", found(kind | 0o640, rdev=device))
        (entry,) = TarReader(io.BytesIO(block + tar_writer.END).read)
        assert entry.kind == letter and entry.mode == 0o640
        assert entry.device == ((8, 17) if letter in b"34" else (0, 0))
    with pytest.raises(ValueError, match="no entry"):
        tar_writer.header(b"name", found(stat.S_IFSOCK))


def test_large_file() -> None:
    block = tar_writer.header(b"name", found(stat.S_IFREG, size=1 << 40))
    with tarfile.open(fileobj=io.BytesIO(block + tar_writer.END)) as tar:
        assert tar.next().size == 1 << 40  # type: ignore[union-attr]
