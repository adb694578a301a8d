"""The tar reader against Python's tarfile, and against archives that no program writes."""

from __future__ import annotations

import io
import tarfile

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from crate.errors import ImageError
from crate.storage.tar.fields import number, parse_pax, show
from crate.storage.tar.reader import Entry, TarReader
from examples import examples
from storage.archives import END, archive, header, member, padded, pax, pax_record, symlink

KINDS = [tarfile.REGTYPE, tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE]
FORMATS = {"ustar": tarfile.USTAR_FORMAT, "gnu": tarfile.GNU_FORMAT, "pax": tarfile.PAX_FORMAT}


def read(data: bytes, step: int = 1 << 20) -> list[tuple[Entry, bytes]]:
    """All entries with their bodies; `step` bounds what one read gives."""
    stream = io.BytesIO(data)
    reader = TarReader(lambda count: stream.read(min(count, step)))
    return [(entry, b"".join(bytes(piece) for piece in reader.pieces())) for entry in reader]


names = st.lists(
    st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="/\0"), min_size=1, max_size=60).filter(
        lambda part: part not in (".", "..")
    ),
    min_size=1,
    max_size=8,
).map("/".join)


@st.composite
def members(draw: st.DrawFn) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(draw(names))
    info.type = draw(st.sampled_from(KINDS))
    info.mode = draw(st.integers(0, 0o7777))
    info.uid = draw(st.integers(0, 1 << 31))
    info.gid = draw(st.integers(0, 1 << 31))
    info.mtime = draw(st.integers(0, 1 << 34))
    body = draw(st.binary(max_size=1500)) if info.type == tarfile.REGTYPE else b""
    info.size = len(body)
    if info.type in (tarfile.SYMTYPE, tarfile.LNKTYPE):
        info.linkname = draw(names)
    if info.type == tarfile.CHRTYPE:
        info.devmajor, info.devminor = draw(st.integers(0, 4095)), draw(st.integers(0, 1 << 20))
    return info, body


@given(st.lists(members(), max_size=6), st.sampled_from(["gnu", "pax"]), st.integers(1, 2000))
@settings(max_examples=examples(200), deadline=None)
def test_reads_what_tarfile_writes(made: list[tuple[tarfile.TarInfo, bytes]], form: str, step: int) -> None:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=FORMATS[form], encoding="utf-8") as tar:
        for info, body in made:
            tar.addfile(info, io.BytesIO(body))
    found = read(stream.getvalue(), step)
    assert len(found) == len(made)
    for (entry, read_body), (info, body) in zip(found, made, strict=True):
        assert entry.name.rstrip(b"/").decode() == info.name.rstrip("/")
        assert entry.kind == info.type
        assert (entry.mode, entry.uid, entry.gid) == (info.mode, info.uid, info.gid)
        assert entry.mtime_ns == int(info.mtime) * 10**9
        assert read_body == body
        if info.type in (tarfile.SYMTYPE, tarfile.LNKTYPE):
            assert entry.linkname.decode() == info.linkname
        if info.type == tarfile.CHRTYPE:
            assert entry.device == (info.devmajor, info.devminor)


@given(st.binary(max_size=4096))
@example(b"")
@settings(max_examples=examples(300), deadline=None)
def test_noise_is_an_image_error_or_an_archive(data: bytes) -> None:
    try:
        read(data)
    except ImageError:
        pass


@given(st.data())
@settings(max_examples=examples(500), deadline=None)
def test_a_damaged_archive_is_an_image_error_or_an_archive(data: st.DataObject) -> None:
    whole = bytearray(
        archive(
            pax([(b"path", b"p" * 200), (b"mtime", b"1.5"), (b"SCHILY.xattr.user.a", b"b")]),
            member(b"short", b"body" * 200),
            member(b"././@LongLink", b"n" * 300 + b"\0", b"L"),
            member(b"n", b"x"),
            pax([(b"GNU.sparse.major", b"1"), (b"GNU.sparse.minor", b"0"), (b"GNU.sparse.realsize", b"2000")]),
            member(b"sparse", padded(b"1\n100\n3\n") + b"abc"),
            symlink(b"link", b"target"),
        )
    )
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(whole) - 1))
        whole[at] = data.draw(st.integers(0, 255))
        start = at // 512 * 512
        if data.draw(st.booleans()) and start + 512 <= len(whole):  # with a right checksum it gets further
            block = whole[start : start + 512]
            whole[start + 148 : start + 156] = b"%06o\0 " % (sum(block) - sum(block[148:156]) + 256)
    cut = data.draw(st.integers(0, len(whole)))
    try:
        read(bytes(whole[:cut]), data.draw(st.integers(1, 3000)))
    except ImageError:
        pass


def one(*parts: bytes) -> Entry:
    """The only entry of an archive."""
    ((entry, _),) = read(archive(*parts))
    return entry


def test_ustar_prefix() -> None:
    assert one(header(b"name", prefix=b"a/b")).name == b"a/b/name"


def test_gnu_magic_has_no_prefix() -> None:
    assert one(header(b"name", magic=b"ustar  \0", prefix=b"1234567")).name == b"name"


def test_version_7_directory() -> None:
    assert one(header(b"name/", b"\0", magic=bytes(8))).kind == b"5"


def test_long_names_win_over_pax() -> None:
    entry = one(
        member(b"././@LongLink", b"long" * 50 + b"\0", b"L"),
        member(b"././@LongLink", b"link" * 50 + b"\0", b"K"),
        pax([(b"path", b"pax"), (b"linkpath", b"paxlink")]),
        symlink(b"short", b"shortlink"),
    )
    assert entry.name == b"long" * 50
    assert entry.linkname == b"link" * 50


def test_pax_times_and_owners() -> None:
    entry = one(pax([(b"mtime", b"-1.25"), (b"uid", b"70000"), (b"gid", b"4294967294")]), member(b"f"))
    assert entry.mtime_ns == -1_250_000_000
    assert (entry.uid, entry.gid) == (70000, 4294967294)


def test_pax_fraction_beyond_nanoseconds() -> None:
    assert one(pax([(b"mtime", b"3.1234567899")]), member(b"f")).mtime_ns == 3_123_456_789


def test_pax_empty_value_leaves_the_field() -> None:
    assert one(pax([(b"path", b"")]), member(b"kept")).name == b"kept"


def test_pax_xattrs_may_hold_anything() -> None:
    entry = one(pax([(b"SCHILY.xattr.user.x", b"a\0\n=b"), (b"SCHILY.xattr.user.empty", b"")]), member(b"f"))
    assert entry.xattrs == {b"user.x": b"a\0\n=b", b"user.empty": b""}


def test_pax_means_the_next_member_only() -> None:
    (first, _), (second, _) = read(archive(pax([(b"path", b"one")]), member(b"x"), member(b"two")))
    assert (first.name, second.name) == (b"one", b"two")


def test_global_headers_mean_nothing() -> None:
    assert one(pax([(b"path", b"evil"), (b"uid", b"7")], kind=b"g"), member(b"f")).name == b"f"


def test_links_have_no_body_whatever_they_claim() -> None:
    (first, _), (second, _) = read(archive(header(b"l", b"1", 1000, link=b"t"), member(b"f", b"x")))
    assert (first.stored, second.name) == (0, b"f")


def test_base_256_numbers() -> None:
    big = (1 << 33) + 5
    assert one(header(b"f", uid=b"\x80" + (1 << 30).to_bytes(7, "big"))).uid == 1 << 30
    assert one(header(b"f", mtime=b"\x80" + big.to_bytes(11, "big"))).mtime_ns == big * 10**9
    assert one(header(b"f", mtime=b"\xff" * 11 + b"\xfe")).mtime_ns == -2 * 10**9
    assert number(b"\xff" * 8) == -1


def test_absurd_times_are_bounded() -> None:
    for field in (b"\x80" + b"\xff" * 11, b"\xff" + b"\x00" * 11):
        assert abs(one(header(b"f", mtime=field)).mtime_ns) < 10**9 << 62
    assert one(pax([(b"mtime", b"9" * 30)]), member(b"f")).mtime_ns < 10**9 << 62


def test_checksum_of_signed_bytes() -> None:
    block = header("ä".encode() * 10)
    signed = sum(byte - 256 if byte > 127 else byte for byte in block[:148] + b" " * 8 + block[156:])
    assert one(header("ä".encode() * 10, checksum=b"%06o\0 " % signed)).name == "ä".encode() * 10


def test_archive_without_end_blocks() -> None:
    assert len(read(member(b"a", b"x") + member(b"b"))) == 2
    assert len(read(member(b"a", b"x") + bytes(512))) == 1
    assert read(b"") == []


def test_what_follows_the_end_is_read_for_the_digest() -> None:
    stream = io.BytesIO(archive(member(b"a")) + b"anything" * 1000)
    assert len(list(TarReader(stream.read))) == 1
    assert stream.read() == b""


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (header(b"f")[:100], "truncated"),
        (header(b"f", size=600) + b"part", "truncated"),
        (header(b"f", size=5) + b"12345", "truncated"),
        (member(b"f") + bytes(512) + member(b"g"), "after its end"),
        (header(b"f", checksum=b"000001\0 "), "checksum"),
        (header(b"f", checksum=b"zzzzzz\0 "), "malformed number"),
        (header(b"f", size=b"0000_000010\0"), "malformed number"),
        (header(b"f", size=b"-0000000010\0"), "malformed number"),
        (header(b"f", size=b"\xff" * 12), "negative size"),
        (archive(member(b"f", kind=b"M")), "unknown kind"),
        (archive(member(b"f", kind=b"\xff")), "unknown kind"),
        (archive(pax([(b"path", b"f")])), "announces a file"),
        (archive(member(b"x", b"n\0", b"L")), "announces a file"),
        (archive(header(b"x", b"x", 2 << 20)), "header of 2097152 bytes"),
        (archive(header(b"x", b"L", 1 << 32)), "header of"),
        (archive(pax([(b"path", b"a\0b")]), member(b"f")), "NUL byte"),
        (archive(pax([(b"size", b"-1")]), member(b"f")), "malformed size"),
        (archive(pax([(b"uid", b"1e3")]), member(b"f")), "malformed uid"),
        (archive(pax([(b"mtime", b"yesterday")]), member(b"f")), "malformed mtime"),
        (archive(pax([(b"size", b"9" * 40)]), member(b"f")), "malformed size"),
        (archive(pax([(b"size", b"9" * 18)]), member(b"f")), "truncated"),
        (archive(member(b"x", b"99 path=f\n", b"x"), member(b"f")), "malformed PAX"),
        (archive(member(b"x", b"10 path=ff", b"x"), member(b"f")), "malformed PAX"),
        (archive(member(b"x", b"path=ff\n", b"x"), member(b"f")), "malformed PAX"),
        (archive(member(b"x", b"0 path=f\n", b"x"), member(b"f")), "malformed PAX"),
        (archive(member(b"x", b"7 path\n", b"x"), member(b"f")), "malformed PAX"),
    ],
)
def test_bad_archives_are_refused_in_words(data: bytes, words: str) -> None:
    with pytest.raises(ImageError, match=words):
        read(data)


def test_bodies_that_were_not_read_are_passed_over() -> None:
    stream = io.BytesIO(archive(member(b"a", b"x" * 700), member(b"b", b"y" * 3)))
    reader = TarReader(lambda count: stream.read(min(count, 100)))
    assert [entry.name for entry in reader] == [b"a", b"b"]


def test_whole_gives_a_body_in_memory_only() -> None:
    stream = io.BytesIO(archive(member(b"a", b"x" * 700)))
    reader = TarReader(stream.read)
    next(iter(reader))
    body = reader.whole()
    assert body is not None
    assert bytes(body) == b"x" * 700
    stream = io.BytesIO(archive(member(b"a", b"x" * 700)))
    reader = TarReader(lambda count: stream.read(min(count, 600)))
    next(iter(reader))
    assert reader.whole() is None
    assert b"".join(bytes(piece) for piece in reader.pieces()) == b"x" * 700


@given(st.lists(st.tuples(st.binary(min_size=1).filter(lambda key: b"=" not in key and b"\0" not in key), st.binary())))
def test_pax_records_come_back(records: list[tuple[bytes, bytes]]) -> None:
    records = [(b"SCHILY.xattr." + key, value) for key, value in records]
    assert parse_pax(b"".join(pax_record(key, value) for key, value in records)) == records


def test_names_in_messages_are_harmless() -> None:
    assert show(b"a\x1b[31m\n\xff") == "a\\x1b[31m\\n\\xff"
    assert len(show(b"x" * 5000)) < 250


def test_the_end_is_two_blocks() -> None:
    assert read(END) == []
