"""What COPY and ADD select: destinations, patterns, links, exclusions, digests; and trees that want to lead outside."""

from __future__ import annotations

import io
import os
import socket
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import zstandard

from crate.build.copying import Rules, Selection, select
from crate.build.entry_writer import EntryWriter
from crate.build.language.dockerfile_error import Fault
from crate.build.language.mode import ModeChange
from crate.build.sources import ignore
from crate.build.sources.file_digests import FileDigests
from crate.build.sources.tree import Tree
from crate.errors import HostError, ImageError
from crate.storage.trash import remove_tree


class Files:
    """A directory as a tree."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.fd = os.open(root, os.O_RDONLY | os.O_DIRECTORY)

    def tree(self, ignored: str = "", *, resets_owner: bool = True) -> Tree:
        """The tree, without what an ignore file of these words leaves out."""
        patterns = ignore.parse("\n".join(ignored.split()).encode(), ".dockerignore")
        return Tree(self.fd, "the build context", resets_owner=resets_owner, ignore=patterns)

    def select(
        self, *sources: str, to: str = "/d/", ignored: str = "", there: bool = False, **rules: object
    ) -> Selection:
        """The selection of COPY."""
        return select(self.tree(ignored), sources, to, is_directory=there, rules=Rules(**rules))  # type: ignore[arg-type]

    def paths(self, *sources: str, **options: object) -> list[str]:
        """The paths of the selection."""
        return [entry.path for entry in self.select(*sources, **options).entries]  # type: ignore[arg-type]


@pytest.fixture
def files(tmp_path: Path) -> Iterator[Files]:
    """a/x.txt, a/b/y.md, a/b/c/z, top, hidden .h, links in and out."""
    for name in ("a/x.txt", "a/b/y.md", "a/b/c/z", "top", ".h"):
        path = tmp_path / "root" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    (tmp_path / "outside").write_text("secret")
    root = tmp_path / "root"
    (root / "inner").symlink_to("a/b")
    (root / "absolute").symlink_to("/top")
    (root / "out").symlink_to("../outside")
    (root / "far").symlink_to(tmp_path / "outside")
    (root / "loop").symlink_to("loop")
    made = Files(root)
    yield made
    os.close(made.fd)


WHOLE = ["d/a", "d/a/b", "d/a/b/c", "d/a/b/c/z", "d/a/b/y.md", "d/a/x.txt"]


def test_destinations(files: Files) -> None:
    assert files.paths("top", to="/d") == ["d"]
    assert files.paths("top", to="/d/") == files.paths("top", to="/d", there=True) == ["d/top"]
    assert files.paths("top", to="/") == ["top"] and files.paths("top", to="/x/.") == ["x/top"]
    assert (
        files.paths("a", to="/d") == files.paths("a/", to="/d/") == ["d/b", "d/b/c", "d/b/c/z", "d/b/y.md", "d/x.txt"]
    )
    assert files.select("a", to="/d").directory == "d" and files.select("top", to="/p/d").directory == "p"
    assert files.paths("top", "a/x.txt") == ["d/top", "d/x.txt"]
    assert files.paths("a/b", "a/b/c") == ["d/c", "d/c/z", "d/y.md", "d/z"]
    assert files.paths("/top", "../top", "./a/../top") == ["d/top"]
    with pytest.raises(Fault, match="the destination must be a directory"):
        files.paths("top", "a/x.txt", to="/d")
    with pytest.raises(Fault, match="the destination must be a directory"):
        files.paths("a/*.*", "top", to="/d")
    with pytest.raises(Fault, match='"nope" not found in the build context'):
        files.paths("nope")


def test_patterns(files: Files) -> None:
    assert files.paths("to?") == ["d/top"] and files.paths("nope*") == []
    assert files.paths("a/*/y.md") == files.paths("[a]/b/*.md") == ["d/y.md"]
    assert files.paths(".*") == ["d/.h"] and files.paths("*/b") == ["d/c", "d/c/z", "d/y.md"]
    (files.root / "w[1]").write_text("")
    assert files.paths("w[[]1]") == files.paths("w\\[1]") == ["d/w[1]"]
    with pytest.raises(Fault, match="syntax error in pattern"):
        files.paths("a/[")


def test_links_named_as_sources_are_followed_within_the_tree(files: Files) -> None:
    assert files.paths("inner") == ["d/c", "d/c/z", "d/y.md"]
    assert files.paths("inner/y.md") == ["d/y.md"]
    (entry,) = files.select("absolute").entries
    assert (entry.path, entry.kind, entry.source) == ("d/absolute", "file", "top")
    for name in ("out", "far", "loop", "out/x", "../outside", "../../../../etc/passwd"):
        with pytest.raises(Fault, match="not found"):
            files.paths(name)
    kept = {entry.path: entry.target for entry in files.select(".").entries if entry.kind == "symlink"}
    assert kept["d/inner"] == "a/b" and kept["d/out"] == "../outside" and kept["d/loop"] == "loop"


def test_ignored_files_are_not_there(files: Files) -> None:
    assert files.paths("a", ignored="a/b !a/b/c/z") == ["d/b", "d/b/c", "d/b/c/z", "d/x.txt"]
    assert files.paths("a", ignored="**/*.md **/c") == ["d/b", "d/x.txt"]
    assert files.paths("a/*", ignored="a/x.txt") == ["d/c", "d/c/z", "d/y.md"]
    for source, ignored in (("top", "top"), ("a", "a"), ("inner", "a/b"), ("a/b/y.md", "a"), ("a/b", "a/b !a/b/none")):
        with pytest.raises(Fault, match="left out by the ignore file"):
            files.paths(source, ignored=ignored)


def test_exclusions(files: Files) -> None:
    assert files.paths("a", exclude=("*.txt", "b/c")) == ["d/b", "d/b/y.md"]
    assert files.paths("a", exclude=("b", "!b/c")) == ["d/b", "d/b/c", "d/b/c/z", "d/x.txt"]
    assert files.paths("top", "a/x.txt", exclude=("*.txt",)) == ["d/top"]
    assert files.select("a", exclude=("**",)).directory == "d"


def test_parents(files: Files) -> None:
    assert files.paths("a/b/c", to="/d", parents=True) == ["d/a", "d/a/b", "d/a/b/c", "d/a/b/c/z"]
    assert files.paths("a/./b/c", parents=True) == ["d/b", "d/b/c", "d/b/c/z"]
    assert files.paths("a/**/z", "top", parents=True) == ["d/a", "d/a/b", "d/a/b/c", "d/a/b/c/z", "d/top"]
    assert files.paths("*/./b/*.md", parents=True) == ["d/b", "d/b/y.md"]
    assert files.paths("a/./", parents=True, exclude=("b",)) == ["d/x.txt"]
    assert files.paths("none*", parents=True) == []
    with pytest.raises(Fault, match="not found"):
        files.paths("none", parents=True)


def test_owner_mode_and_kinds(files: Files) -> None:
    (files.root / "top").chmod(0o4751)
    os.mkfifo(files.root / "a/pipe")
    os.link(files.root / "a/x.txt", files.root / "a/y.txt")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(files.root / "a/socket"))
        made = files.select("a", "top", owner=(7, 8), mode=ModeChange("u=rwX,go=rX")).entries
    shown = {entry.path: (entry.kind, oct(entry.mode), entry.uid, entry.gid) for entry in made}
    assert shown["d/top"] == ("file", "0o755", 7, 8) and shown["d/b"] == ("directory", "0o755", 7, 8)
    assert shown["d/pipe"] == ("fifo", "0o644", 7, 8) and "d/socket" not in shown
    assert [(entry.path, entry.target) for entry in made if entry.kind == "link"] == [("d/y.txt", "d/x.txt")]
    (plain,) = files.select("top").entries
    assert (plain.mode, plain.uid) == (0o4751, 0)
    tree = files.tree(resets_owner=False)
    (owned,) = select(tree, ["top"], "/d", is_directory=False, rules=Rules()).entries
    assert owned.uid == os.geteuid()


def test_heredocs(files: Files) -> None:
    made = select(
        files.tree(), ["top"], "/d/", is_directory=False, rules=Rules(mode=ModeChange("600")),
        heredocs=[("doc", b"text"), ("top", b"later wins")],
    )  # fmt: skip
    assert [(entry.path, entry.data, entry.mode) for entry in made.entries] == [
        ("d/doc", b"text", 0o600), ("d/top", b"later wins", 0o600)
    ]  # fmt: skip


def test_the_digest_is_of_what_ends_up_in_the_image(files: Files) -> None:
    def digest(**rules: object) -> str:
        return files.select("a", to="/d", **rules).digest  # type: ignore[arg-type]

    first = digest()
    os.utime(files.root / "a/x.txt", (1, 1))
    assert digest() == first
    (files.root / "copy").mkdir()
    for path in sorted((files.root / "a").rglob("*")):
        target = files.root / "copy" / path.relative_to(files.root / "a")
        target.mkdir() if path.is_dir() else target.write_bytes(path.read_bytes())
    assert files.select("copy", to="/d").digest == first
    assert digest(owner=(1, 1)) != first and digest(mode=ModeChange("700")) != first
    seen = {first}
    for change in (
        lambda: (files.root / "a/x.txt").write_text("A/x.txt"),
        lambda: (files.root / "a/x.txt").chmod(0o600),
        lambda: (files.root / "a/x.txt").rename(files.root / "a/w.txt"),
        lambda: (files.root / "a/l").symlink_to("x"),
        lambda: (files.root / "a/l").rename(files.root / "a/m"),
    ):
        change()
        seen.add(digest())
    assert len(seen) == 6


def test_digests_of_files_are_remembered_until_the_file_changes(files: Files, tmp_path: Path) -> None:
    kept = str(tmp_path / "digests")
    path = files.root / "top"
    first = FileDigests(kept)
    path.touch()
    found = first.of(files.tree(), "top", path.stat())
    first.save()
    assert not Path(kept).exists(), "a file that has just changed is not remembered"
    time.sleep(max(0, path.stat().st_ctime_ns + 2_100_000_000 - time.time_ns()) / 1e9)
    first.of(files.tree(), "top", path.stat())
    first.save()
    assert Path(kept).stat().st_size > 0
    second = FileDigests(kept)
    assert second.of(Tree(-1, "closed"), "top", path.stat()) == found, "it is not even opened"
    path.write_text("other")
    assert second.of(files.tree(), "top", path.stat()) != found
    Path(kept).write_bytes(b"nonsense")
    assert FileDigests(kept).of(files.tree(), "top", path.stat()) != found


def archive(name: str = "inner.txt") -> bytes:
    """A tar archive of one file."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        info = tarfile.TarInfo(name)
        info.size = 4
        tar.addfile(info, io.BytesIO(b"text"))
    return out.getvalue()


def test_archives_are_told_by_their_content(files: Files) -> None:
    import bz2
    import gzip
    import lzma

    plain = archive()
    contents = {
        "tar": plain, "gz.txt": gzip.compress(plain), "bz2": bz2.compress(plain), "xz": lzma.compress(plain),
        "zst": zstandard.compress(plain), "no.tar": b"text",
        "zeros.tar": bytes(10240), "text.gz": gzip.compress(b"text" * 500),
        "broken.tar.gz": gzip.compress(plain)[:20], "empty.tar": b"", "magic.gz": b"\x1f\x8b",
    }  # fmt: skip
    (files.root / "t").mkdir()
    for name, content in contents.items():
        (files.root / "t" / name).write_bytes(content)
    kinds = {}
    for name in contents:
        (entry,) = files.select(f"t/{name}", unpacks=True).entries
        kinds[name] = entry.kind
        assert entry.path == ("d" if entry.kind == "archive" else f"d/{name}")
    assert [name for name, kind in kinds.items() if kind == "archive"] == ["tar", "gz.txt", "bz2", "xz", "zst"]
    assert {entry.kind for entry in files.select("t", unpacks=True).entries} == {"file"}, "in a directory they stay"
    assert {entry.kind for entry in files.select("t/tar").entries} == {"file"}, "COPY unpacks nothing"
    assert len(files.select("t/tar", "t/xz", unpacks=True).entries) == 2


def test_strange_names_and_deep_trees(files: Files) -> None:
    names = ["new\nline", "back\\slash", " space ", "-dash", "tab\t", os.fsdecode(b"\xff\xfe"), "é", "n" * 255]
    directory = files.root / "odd"
    directory.mkdir()
    for name in names:
        (directory / name).write_text(name, errors="surrogateescape")
    assert files.paths("odd") == sorted(f"d/{name}" for name in names)
    nest(files.root / "deep", "e", 1050)
    try:
        assert sum(1 for _ in files.tree().walk("deep")) == 1050
    finally:
        remove_tree(str(files.root), "deep")  # pytest cannot
    nest(files.root / "long", "e" * 200, 25)
    with pytest.raises(ImageError, match="File name too long"):
        files.paths("long")


def nest(place: Path, name: str, depth: int) -> None:
    """Directories in directories, deeper than a path can say."""
    place.mkdir()
    fd = os.open(place, os.O_RDONLY)
    for _ in range(depth):
        os.mkdir(name, dir_fd=fd)
        inner = os.open(name, os.O_RDONLY, dir_fd=fd)
        os.close(fd)
        fd = inner
    os.close(fd)


def test_a_file_that_becomes_something_else_is_not_opened(files: Files) -> None:
    tree = files.tree()
    status = (files.root / "top").stat()
    (files.root / "top").unlink()
    for replace in (
        lambda path: path.symlink_to("/etc/passwd"),
        os.mkfifo,
        Path.mkdir,
    ):
        replace(files.root / "top")
        with pytest.raises(ImageError, match="cannot read top of the build context"):
            FileDigests().of(tree, "top", status)
        (files.root / "top").rmdir() if (files.root / "top").is_dir() else (files.root / "top").unlink()
    (files.root / "a").rename(files.root / "a2")
    (files.root / "a").symlink_to("/etc")
    with pytest.raises(ImageError):
        FileDigests().of(tree, "a/passwd", status)
    assert list(tree.walk("a")) == []


def test_a_file_that_changes_while_it_is_copied_is_not_kept(files: Files, tmp_path: Path) -> None:
    """What was selected goes into the key of a cache: other content must not be found under it."""
    target = tmp_path / "image"
    target.mkdir()
    tree = files.tree()
    selection = select(tree, ["top"], "/", is_directory=True, rules=Rules())
    (files.root / "top").write_text("changed since")
    target_fd = os.open(target, os.O_RDONLY)
    try:
        with pytest.raises(HostError, match="top of the build context changed while it was copied"):
            EntryWriter(tree, target_fd, rootless=False).write(selection)
    finally:
        os.close(target_fd)
