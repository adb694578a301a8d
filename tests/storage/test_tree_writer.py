"""Archives become trees: what is in them, whatever is in them, and nothing outside."""

from __future__ import annotations

import io
import os
import stat
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from abilities import disk_directory
from crate.errors import HostError, ImageError
from crate.storage.tar.reader import TarReader
from crate.storage.tree.writer import TreeWriter, Unpacked
from descriptors import opened
from storage.archives import archive, directory, hard_link, header, member, padded, pax, symlink

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.requires("root")


@pytest.fixture
def place() -> Iterator[Path]:
    """A directory on a real disk, whose `root` is unpacked into; beside it lies what must not change."""
    path = Path(tempfile.mkdtemp(prefix="crate-tree-", dir=disk_directory()))
    (path / "root").mkdir()
    (path / "outside").mkdir()
    (path / "outside" / "file").write_text("untouched")
    try:
        yield path
        assert sorted(path.name for path in path.iterdir()) == ["outside", "root"]
        assert [path.name for path in (path / "outside").iterdir()] == ["file"]
        found = (path / "outside" / "file").lstat()
        assert (path / "outside" / "file").read_text() == "untouched"
        assert (found.st_uid, found.st_nlink) == (0, 1)
    finally:
        subprocess.run(["rm", "-rf", str(path)], check=True)


def unpack(place: Path, *parts: bytes, whiteouts: bool = True, rootless: bool = False) -> Unpacked:
    root_fd = os.open(place / "root", os.O_RDONLY | os.O_DIRECTORY)
    before = opened()
    try:
        writer = TreeWriter(root_fd, whiteouts=whiteouts, rootless=rootless)
        return writer.unpack(TarReader(io.BytesIO(archive(*parts)).read))
    finally:
        assert not opened() - before
        os.close(root_fd)


def tree(place: Path) -> list[str]:
    root = place / "root"
    return sorted(str(path.relative_to(root)) for path in root.rglob("*"))


def is_whiteout(path: Path) -> bool:
    found = path.lstat()
    return stat.S_ISCHR(found.st_mode) and found.st_rdev == 0


def is_opaque(path: Path) -> bool:
    return "trusted.overlay.opaque" in os.listxattr(path)


def test_everything_a_member_says(place: Path) -> None:
    made = unpack(
        place,
        directory(b"./", 0o751, mtime=5),
        directory(b"d", 0o1777, uid=3, gid=4, mtime=6),
        member(b"d/f", b"content", mode=0o4755, uid=1, gid=2, mtime=7),
        symlink(b"d/l", b"f"),
        hard_link(b"d/h", b"d/f"),
        member(b"fifo", kind=b"6", mode=0o600),
        member(b"null", kind=b"3", mode=0o666, device=(1, 3)),
        member(b"loop", kind=b"4", mode=0o660, gid=6, device=(7, 0)),
    )
    root = place / "root"
    file, folder = (root / "d/f").stat(), (root / "d").stat()
    assert (root / "d/f").read_text() == "content"
    assert (file.st_mode, file.st_uid, file.st_gid, file.st_mtime) == (stat.S_IFREG | 0o4755, 1, 2, 7)
    assert (file.st_nlink, file.st_ino) == (2, (root / "d/h").stat().st_ino)
    assert (folder.st_mode & 0o7777, folder.st_uid, folder.st_gid, folder.st_mtime) == (0o1777, 3, 4, 6)
    assert (root.stat().st_mode & 0o7777, root.stat().st_mtime) == (0o751, 5)
    assert os.readlink(root / "d/l") == "f"
    assert stat.S_ISFIFO((root / "fifo").stat().st_mode)
    assert (root / "null").stat().st_rdev == os.makedev(1, 3)
    assert (root / "loop").stat().st_mode == stat.S_IFBLK | 0o660
    assert (made.entries, made.size, made.made, made.links) == (8, 7, [], [])


def test_setgid_directories_and_default_acls_do_not_pass_on(place: Path) -> None:
    acl = (2).to_bytes(4, "little")
    for tag, permissions in ((1, 7), (4, 7), (0x20, 7)):
        acl += tag.to_bytes(2, "little") + permissions.to_bytes(2, "little") + b"\xff" * 4
    unpack(
        place,
        pax([(b"SCHILY.xattr.system.posix_acl_default", acl)]),
        directory(b"d", 0o2775, gid=50, mtime=9),
        member(b"d/f", b"", mode=0o600),
        directory(b"d/e", 0o700, mtime=3),
    )
    root = place / "root"
    assert root.joinpath("d").stat().st_mode & 0o7777 == 0o2775
    assert (root.joinpath("d/f").stat().st_gid, root.joinpath("d/f").stat().st_mode & 0o7777) == (0, 0o600)
    assert (root.joinpath("d/e").stat().st_gid, root.joinpath("d/e").stat().st_mode & 0o7777) == (0, 0o700)
    assert root.joinpath("d").stat().st_mtime == 9
    assert os.getxattr(root / "d", "system.posix_acl_default") == acl
    assert os.listxattr(root / "d/e") == []


def test_attributes_are_chosen(place: Path) -> None:
    capability = bytes.fromhex("0100000200040000000000000000000000000000")
    unpack(
        place,
        pax(
            [
                (b"SCHILY.xattr.user.note", b"n"),
                (b"SCHILY.xattr.security.capability", capability),
                (b"SCHILY.xattr.trusted.overlay.redirect", b"/etc"),
                (b"SCHILY.xattr.trusted.overlay.metacopy", b""),
                (b"SCHILY.xattr.user.overlay.opaque", b"y"),
                (b"SCHILY.xattr.trusted.secret", b"s"),
                (b"SCHILY.xattr.security.selinux", b"label"),
            ]
        ),
        member(b"f", b"x", uid=5),
    )
    assert sorted(os.listxattr(place / "root/f")) == ["security.capability", "user.note"]
    assert os.getxattr(place / "root/f", "security.capability") == capability


def test_sparse_files_have_holes(place: Path) -> None:
    unpack(
        place,
        pax([(b"GNU.sparse.major", b"1"), (b"GNU.sparse.minor", b"0"), (b"GNU.sparse.realsize", b"104857600")]),
        member(b"f", padded(b"2\n0\n3\n52428800\n4\n") + b"abcdefg"),
    )
    found = (place / "root/f").stat()
    assert found.st_size == 104857600
    assert found.st_blocks * 512 < 1 << 20
    with (place / "root/f").open("rb") as file:
        assert file.read(4) == b"abc\0"
        file.seek(52428800)
        assert file.read(5) == b"defg\0"


def test_whiteouts(place: Path) -> None:
    unpack(
        place,
        directory(b"d", mtime=4),
        member(b"d/.wh.gone"),
        member(b"d/.wh..wh..opq"),
        member(b".wh..wh.plnk/ignored"),
        member(b".wh..wh.aufs"),
        member(b"new/.wh.old"),
    )
    root = place / "root"
    assert is_whiteout(root / "d/gone")
    assert is_opaque(root / "d")
    assert root.joinpath("d").stat().st_mtime == 4
    assert is_whiteout(root / "new/old")
    assert not (root / ".wh..wh.aufs").exists()


def test_a_whiteout_hides_lower_layers_only(place: Path) -> None:
    unpack(
        place,
        member(b"first", b"1"),
        member(b".wh.first"),
        member(b".wh.second"),
        member(b"second", b"2"),
        directory(b"dir1"),
        member(b"dir1/kept"),
        member(b".wh.dir1"),
        member(b".wh.dir2"),
        directory(b"dir2"),
        member(b".wh.dir3"),
        member(b"dir3/kept"),
    )
    root = place / "root"
    assert (root / "first").read_text() == "1"
    assert (root / "second").read_text() == "2"
    assert (root / "dir1/kept").is_file()
    assert is_opaque(root / "dir1")
    assert is_opaque(root / "dir2")
    assert is_opaque(root / "dir3")
    assert (root / "dir3/kept").is_file()


def test_without_whiteouts_such_names_are_names(place: Path) -> None:
    unpack(place, member(b".wh.file", b"x"), member(b".wh..wh..opq"), whiteouts=False)
    assert tree(place) == [".wh..wh..opq", ".wh.file"]


def test_rootless_marks_and_no_devices(place: Path) -> None:
    unpack(place, directory(b"d"), member(b"d/.wh..wh..opq"), member(b"sda", kind=b"4"), rootless=True)
    assert os.listxattr(place / "root/d") == ["user.overlay.opaque"]
    assert tree(place) == ["d"]


def test_later_members_replace_earlier_ones(place: Path) -> None:
    unpack(
        place,
        member(b"a", b"one"),
        member(b"a", b"two"),
        directory(b"b"),
        member(b"b/deep/inside"),
        member(b"b", b"file now"),
        member(b"c", b"file"),
        directory(b"c"),
        member(b"c/inside"),
        symlink(b"l", b"a"),
        member(b"l", b"no link"),
        directory(b"e", 0o700),
        member(b"e/kept"),
        directory(b"e", 0o755),
    )
    root = place / "root"
    assert (root / "a").read_text() == "two"
    assert (root / "b").read_text() == "file now"
    assert (root / "c/inside").is_file()
    assert (root / "l").read_text() == "no link"
    assert not (root / "l").is_symlink()
    assert (root / "e/kept").is_file()
    assert (root / "e").stat().st_mode & 0o777 == 0o755


def test_a_directory_behind_a_link_goes_where_the_link_leads(place: Path) -> None:
    made = unpack(
        place,
        directory(b"usr"),
        directory(b"usr/lib"),
        symlink(b"lib", b"usr/lib"),
        symlink(b"abs", b"/usr/lib"),
        symlink(b"usr/up", b"../../../usr/lib"),
        symlink(b"dangling", b"not/yet"),
        member(b"lib/one"),
        member(b"abs/two"),
        member(b"usr/up/three"),
        member(b"dangling/four"),
        hard_link(b"abs/five", b"lib/one"),
    )
    assert {name for name in tree(place) if name.startswith(("usr/lib/", "not/"))} == {
        "usr/lib/one",
        "usr/lib/two",
        "usr/lib/three",
        "usr/lib/five",
        "not/yet",
        "not/yet/four",
    }
    assert set(made.made) == {b"", b"not", b"not/yet"}


def test_links_and_directories_of_lower_layers_are_told(place: Path) -> None:
    made = unpack(place, hard_link(b"here", b"usr/bin/below"))
    assert made.links == [(b"usr/bin/below", b"here")]
    assert set(made.made) == {b"", b"usr", b"usr/bin"}


def outside_names() -> list[tuple[str, list[bytes]]]:
    """Archives that try to leave the root."""
    return [
        ("dotdot", [member(b"../outside/new")]),
        ("dotdot inside", [member(b"a/../../outside/new")]),
        ("dotdot link", [symlink(b"l", b"../outside"), member(b"../outside/file", b"changed")]),
        ("hard link dotdot", [hard_link(b"h", b"../outside/file"), member(b"h", b"changed")]),
        ("replaces root", [member(b".", b"file")]),
        ("replaces root by a link", [symlink(b"./", b"../outside")]),
        ("file as parent", [member(b"f"), member(b"f/g")]),
        ("fifo as parent", [member(b"f", kind=b"6"), member(b"f/g")]),
        ("link loop", [symlink(b"a", b"b"), symlink(b"b", b"a"), member(b"a/f")]),
        ("hard link to a directory", [directory(b"d"), hard_link(b"h", b"d")]),
        ("hard link to the root", [hard_link(b"h", b".")]),
        ("empty link", [symlink(b"l", b"")]),
        ("whiteout of dot", [directory(b"d"), member(b"d/.wh..")]),
        ("whiteout of dotdot", [directory(b"d"), member(b"d/.wh...")]),
        ("whiteout of nothing", [member(b".wh.")]),
        ("name too long", [pax([(b"path", b"n" * 300)]), member(b"x")]),
        ("path too long", [pax([(b"path", b"d/" * 3000 + b"f")]), member(b"x")]),
        ("owner too large", [pax([(b"uid", b"4294967295")]), member(b"x")]),
        ("owner negative", [header(b"x", uid=b"\xff" * 8)]),
        ("device too large", [member(b"x", kind=b"3", device=(4096, 0))]),
        ("no name", [member(b"")]),
    ]


@pytest.mark.parametrize(("parts"), [case[1] for case in outside_names()], ids=[case[0] for case in outside_names()])
def test_hostile_members_are_refused(place: Path, parts: list[bytes]) -> None:
    with pytest.raises(ImageError, match=r"^cannot unpack"):
        unpack(place, *parts)


@pytest.mark.parametrize(
    "parts",
    [
        [symlink(b"l", b"../../outside"), member(b"l/new", b"x")],
        [symlink(b"l", b"/proc/self/root"), member(b"l/new", b"x")],
        [symlink(b"l", b"/proc/self/cwd/../outside"), member(b"l/new", b"x")],
        [symlink(b"l", b"../outside/file"), member(b"l", b"changed")],
        [symlink(b"l", b"../outside"), directory(b"l", uid=7)],
        [symlink(b"l", b"../outside/file"), hard_link(b"h", b"l"), member(b"h", b"changed")],
        [directory(b"d"), symlink(b"d/l", b"../.."), member(b"d/l/outside/new", b"x")],
        [directory(b"d"), symlink(b"e", b"d"), symlink(b"d/o", b"../../outside"), member(b"e/o/new", b"x")],
        [symlink(b"l", b"../outside"), member(b"l/.wh.file")],
        [symlink(b"l", b"../outside"), member(b"l/.wh..wh..opq")],
        [symlink(b"a", b"b"), symlink(b"b", b"../outside"), hard_link(b"h", b"a/file")],
        [member(b"/absolute", b"x"), member(b"//double", b"y"), member(b"./././dots", b"z")],
        [directory(b"d"), directory(b"d"), symlink(b"d", b"../outside"), member(b"d/new", b"x")],
    ],
)
def test_what_points_outside_stays_inside(place: Path, parts: list[bytes]) -> None:
    unpack(place, *parts)  # the fixture looks at what lies outside


def test_absolute_names_are_beneath_the_root(place: Path) -> None:
    unpack(place, member(b"/etc/hostname", b"x"), hard_link(b"/etc/other", b"/etc/hostname"))
    assert tree(place) == ["etc", "etc/hostname", "etc/other"]


def test_a_file_larger_than_the_disk_is_refused_before_it_is_written(place: Path) -> None:
    with pytest.raises(HostError, match="not enough space"):
        unpack(place, header(b"f", size=b"\x80" + (1 << 60).to_bytes(11, "big")), b"x")
    assert tree(place) == []


def test_a_full_disk_is_told(place: Path) -> None:
    root = place / "root"
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m,nr_inodes=50", "tmpfs", str(root)], check=True)
    try:
        with pytest.raises(HostError, match="not enough space"):
            unpack(place, *(member(b"f%d" % index, b"x" * 100_000) for index in range(20)))
        with pytest.raises(HostError, match=r"not enough space|No space left"):
            unpack(place, *(member(b"n%d" % index) for index in range(80)))
    finally:
        subprocess.run(["umount", str(root)], check=True)


def test_very_deep_trees(place: Path) -> None:
    deep = b"d/" * 1500
    unpack(place, pax([(b"path", deep + b"f")]), member(b"x", b"deep"), member(b"d", b"a file takes its place"))
    assert tree(place) == ["d"]


def test_many_directories_do_not_exhaust_descriptors(place: Path) -> None:
    unpack(place, *(directory(b"d%d" % index) for index in range(300)), *(member(b"d%d/f" % n) for n in range(300)))
    assert len(tree(place)) == 600


def test_an_existing_tree_is_added_to(place: Path) -> None:
    (place / "root/old").mkdir(mode=0o2775)
    os.chown(place / "root/old", 0, 50)
    (place / "root/old").chmod(0o2775)
    unpack(place, member(b"old/f", b"x"), member(b"old/g", b"y", gid=7), whiteouts=False)
    assert (place / "root/old/f").stat().st_gid == 0
    assert (place / "root/old/g").stat().st_gid == 7


@pytest.mark.parametrize("form", ["gnu", "posix", "ustar"])
def test_gives_what_gnu_tar_gives(place: Path, form: str) -> None:
    source = place / "root" / "source"
    source.mkdir()
    long = "n" * (40 if form == "ustar" else 90)
    (source / "sub" / long).mkdir(parents=True)
    (source / "sub" / long / "file").write_bytes(os.urandom(100_000))
    (source / "link").symlink_to("sub")
    os.link(source / "sub" / long / "file", source / "hard")
    (source / "empty").touch(mode=0o6711)
    os.mkfifo(source / "fifo")
    os.chown(source / "empty", 1234, 4321)
    (source / "empty").chmod(0o6711)
    if form != "ustar":
        (source / ("ü" * 100)).write_text("long name")
        os.setxattr(source / "hard", "user.x", b"y")
    data = subprocess.run(
        ["tar", f"--format={form}", *(["--xattrs"] if form == "posix" else []), "-C", str(source), "-c", "."],
        check=True,
        capture_output=True,
    ).stdout
    target = place / "root" / "target"
    target.mkdir()
    root_fd = os.open(target, os.O_RDONLY | os.O_DIRECTORY)
    TreeWriter(root_fd, whiteouts=True).unpack(TarReader(io.BytesIO(data).read))
    os.close(root_fd)
    compared = subprocess.run(
        ["tar", "-C", str(target), "--xattrs", "-d"], input=data, check=False, capture_output=True
    )
    assert compared.stdout == b""
    assert compared.returncode == 0
    if form == "posix":
        assert os.getxattr(target / "hard", "user.x") == b"y"
