"""What COPY and ADD copy, and where to: a sorted list of entries, and a digest of all that ends up in the image.

    a file            to the destination; into it when that ends in a slash or is a directory
    a directory       its contents, never itself
    a link            named as a source: what it leads to; within a directory: the link
    --parents         the path below `/./` (or the whole of it) is kept; the pattern may have `**`

The rules are BuildKit's. Not for writing: `Selection` is a plan.
"""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

from crate.build.language.dockerfile_error import Fault
from crate.build.records import dataclass
from crate.build.sources import go_match
from crate.build.sources.archives import is_archive
from crate.build.sources.file_digests import FileDigests
from crate.build.sources.ignore import Matched, Patterns
from crate.ns.recorded_owner import RAW_NAME, parse
from crate.ns.single_id import maps_one_id
from crate.oci import digest as digests

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from crate.build.language.mode import ModeChange
    from crate.build.sources.tree import Found, Tree

DIRECTORY, FILE, SYMLINK, LINK, DEVICE, FIFO, ARCHIVE = (
    "directory",
    "file",
    "symlink",
    "link",
    "device",
    "fifo",
    "archive",
)

_SEVERAL = "when using COPY or ADD with more than one source, the destination must be a directory and end with a /"


class Entry:
    """One thing to be written at `path` (relative to the image's root, clean, no slash at its end).

    `kind`: directory, file, symlink, link (a hard link to the path `target` written before), device, fifo, or archive:
    a local archive that ADD unpacks into the directory `path`. `source` is where a file's content is in the tree;
    `data` holds it instead for heredocs. `mode` are the bits 07777; for a device also S_IFCHR or S_IFBLK, and `device`
    is (major, minor). `content` is the SHA-256 of a file or archive. `mtime_ns` is not part of the digest.
    """

    __slots__ = (
        *("path", "kind", "mode", "uid", "gid", "size", "mtime_ns", "source", "target", "device", "xattrs", "content"),
        "data",
    )

    def __init__(
        self,
        path: str,
        kind: str,
        mode: int,
        uid: int = 0,
        gid: int = 0,
        size: int = 0,
        mtime_ns: int = 0,
        source: str = "",
        target: str = "",
        device: tuple[int, int] = (0, 0),
        xattrs: dict[bytes, bytes] | None = None,
        content: bytes = b"",
        data: bytes | None = None,
    ) -> None:
        self.path = path
        self.kind = kind
        self.mode = mode
        self.uid = uid
        self.gid = gid
        self.size = size
        self.mtime_ns = mtime_ns
        self.source = source
        self.target = target
        self.device = device
        self.xattrs = {} if xattrs is None else xattrs
        self.content = content
        self.data = data


@dataclass
class Selection:
    """The entries, sorted by path (a parent comes before what it holds), and the digest of them all: `sha256:hex`.

    `directory` must exist before they are written (made with mode 0755), also when there are none; so must the parents
    of each entry. The entries of a directory that exists already change its owner and mode.
    """

    entries: list[Entry]
    digest: str
    directory: str


@dataclass(frozen=True)
class Rules:
    """What the flags say. `owner` is that of --chown, resolved; `unpacks` as of ADD for local archives."""

    exclude: tuple[str, ...] = ()
    parents: bool = False
    owner: tuple[int, int] | None = None
    mode: ModeChange | None = None
    unpacks: bool = False


def select(
    tree: Tree,
    sources: Sequence[str],
    destination: str,
    *,
    is_directory: bool,
    rules: Rules,
    heredocs: Iterable[tuple[str, bytes]] = (),
    known: FileDigests | None = None,
) -> Selection:
    """The plan for `sources` of a tree, and heredocs (name, content), copied to an absolute `destination`.

    `is_directory`: a directory is there already. Raises Fault for a missing source or a destination that cannot be;
    ImageError where the tree cannot be read.
    """
    heredocs = list(heredocs)
    selecting = _Selecting(tree, destination, is_directory, rules, known or FileDigests())
    if len(sources) + len(heredocs) > 1 and not selecting.into_directory:
        raise Fault(_SEVERAL, destination)
    for source in sources:
        if rules.parents:
            selecting.with_parents(source)
        else:
            selecting.source(source)
    for name, content in heredocs:
        selecting.heredoc(name, content)
    return selecting.result()


class _Selecting:
    """The selection as it grows. A later source replaces what an earlier one put at the same path."""

    def __init__(self, tree: Tree, destination: str, is_directory: bool, rules: Rules, known: FileDigests) -> None:
        self._tree = tree
        self._shown_destination = destination
        self._destination = go_match.clean(destination).strip("/")
        self._destination = "" if self._destination == "." else self._destination
        last = destination.rpartition("/")[2]
        self.into_directory = is_directory or last in ("", ".", "..") or rules.parents
        self._needs_directory = self.into_directory
        self._rules = rules
        self._excluded = Patterns(rules.exclude)
        self._known = known
        self._reads_records = maps_one_id()
        self._entries: dict[str, Entry] = {}
        self._inodes: dict[tuple[int, int], str] = {}

    def result(self) -> Selection:
        entries = [self._entries[path] for path in sorted(self._entries, key=lambda path: path.split("/"))]
        directory = self._destination if self._needs_directory else self._destination.rpartition("/")[0]
        return Selection(entries, _digest(entries), directory)

    def source(self, pattern: str) -> None:
        """One source: a path or a pattern. A pattern that matches nothing is no fault, in BuildKit."""
        matches = list(_matches(self._tree, pattern))
        if not matches:
            if go_match.has_wildcard(pattern):
                return
            raise self._not_found(pattern)
        for name, found in matches:
            if found.is_directory:
                self._needs_directory = True
                self._contents(found.path)
            elif not (name and self._excluded and self._excluded.leaves_out(name)):
                self._one(found, name)
        if len(matches) > 1 and not self.into_directory and not self._needs_directory:
            raise Fault(_SEVERAL, self._shown_destination)

    def _not_found(self, source: str) -> Fault:
        hint = ""
        if self._tree.hides(go_match.unescaped(source)):
            hint = " (it is left out by the ignore file)"
        return Fault(f'"{source}" not found in {self._tree.label}{hint}', source)

    def _one(self, found: Found, name: str) -> None:
        """A single file."""
        if self._rules.unpacks and stat.S_ISREG(found.status.st_mode) and is_archive(self._tree, found.path):
            self._needs_directory = True
            entry = self._entry(found, self._destination)
            entry.kind = ARCHIVE
            self._entries[f"{self._destination}\0{found.path}"] = entry  # several may go to the same directory
            return
        path = self._beneath(name) if self.into_directory else self._destination
        if not path:
            raise Fault(f"cannot copy to {self._shown_destination}: it is a directory", self._shown_destination)
        self._put(self._entry(found, path))

    def _contents(self, directory: str) -> None:
        """What a directory holds, at the destination."""
        skip = len(directory) + 1 if directory else 0
        for found, relative in self._included(self._tree.walk(directory), skip, None):
            self._put(self._entry(found, self._beneath(relative)))

    def with_parents(self, source: str) -> None:
        """--parents: the path from the pivot `/./` on is kept, with the owner and mode of each directory."""
        base, pivot, pattern = source.partition("/./")
        if not pivot:
            base, pattern = "", source
        pattern = go_match.clean("/" + pattern).strip("/")
        starts = [found for _, found in _matches(self._tree, base or "/")]
        included = Patterns([pattern] if pattern else ["**"])
        has_any = False
        for start in starts:
            skip = len(start.path) + 1 if start.path else 0
            if not start.is_directory:
                continue
            for found, relative in self._included(self._tree.walk(start.path), skip, included):
                has_any = True
                self._put(self._entry(found, self._beneath(relative)))
        if not has_any and not go_match.has_wildcard(source):
            raise self._not_found(source)

    def _included(self, walk: Iterator[Found], skip: int, included: Patterns | None) -> Iterator[tuple[Found, str]]:
        """(thing, path relative to the source) of what `included` matches and --exclude does not, and their parents."""
        if not self._excluded and included is None:
            for found in walk:
                yield found, found.path[skip:]
            return
        kept: dict[str, tuple[Matched, Matched | None]] = {}
        waiting: dict[str, Found] = {}
        for found in walk:
            relative = found.path[skip:]
            parent = relative.rpartition("/")[0]
            out_above, in_above = kept.get(parent, (None, None))
            is_out, out_matched = self._excluded.match(relative, out_above)
            is_in, in_matched = included.match(relative, in_above) if included else (True, None)
            if found.is_directory:
                kept[relative] = (out_matched, in_matched)
            if is_out or not is_in:
                if found.is_directory:
                    waiting[relative] = found
                continue
            # Directories that do not match are made all the same when something in them does.
            for count in range(1, relative.count("/") + 1):
                above = "/".join(relative.split("/")[:count])
                directory = waiting.pop(above, None)
                if directory is not None:
                    yield directory, above
            yield found, relative

    def heredoc(self, name: str, content: bytes) -> None:
        """A file made of a heredoc."""
        path = self._beneath(name.strip("/")) if self.into_directory else self._destination
        digest = bytes.fromhex(digests.split(digests.of(content))[1])
        entry = Entry(path, FILE, 0o644, size=len(content), content=digest, data=content)
        self._put(self._ruled(entry))

    def _beneath(self, relative: str) -> str:
        return f"{self._destination}/{relative}" if self._destination else relative

    def _put(self, entry: Entry) -> None:
        before = self._entries.get(entry.path)
        if before is not None and entry.kind != DIRECTORY and before.kind == DIRECTORY:
            raise Fault(
                f"cannot copy over the directory /{entry.path} with another kind of file", self._shown_destination
            )
        self._entries[entry.path] = entry

    def _entry(self, found: Found, path: str) -> Entry:
        status = found.status
        mode = status.st_mode
        entry = Entry(path, FILE, stat.S_IMODE(mode), status.st_uid, status.st_gid, mtime_ns=status.st_mtime_ns)
        if self._tree.resets_owner:
            entry.uid = entry.gid = 0
        self._describe(entry, found)
        return self._ruled(entry, stat.S_IFMT(mode) if entry.kind == DEVICE else 0)

    def _describe(self, entry: Entry, found: Found) -> None:
        """What depends on the kind of thing that is found."""
        status, mode, path = found.status, found.status.st_mode, entry.path
        if stat.S_ISDIR(mode):
            entry.kind = DIRECTORY
            entry.xattrs = self._tree.xattrs(found)
        elif stat.S_ISREG(mode):
            entry.source, entry.size = found.path, status.st_size
            entry.content = self._known.of(self._tree, found.path, status)
            entry.xattrs = self._tree.xattrs(found)
            if status.st_nlink > 1:
                inode = (status.st_dev, status.st_ino)
                first = self._inodes.setdefault(inode, path)
                if first != path:
                    entry.kind, entry.target = LINK, first
        elif stat.S_ISLNK(mode):
            entry.kind, entry.mode, entry.target = SYMLINK, 0o777, self._tree.read_link(found.path)
        elif stat.S_ISFIFO(mode):
            entry.kind = FIFO
        else:
            entry.kind = DEVICE
            entry.device = (os.major(status.st_rdev), os.minor(status.st_rdev))
        value = entry.xattrs.pop(RAW_NAME, None) if self._reads_records else None
        owner = parse(value) if value and not self._tree.resets_owner else None
        if owner:
            entry.uid, entry.gid = owner

    def _ruled(self, entry: Entry, kind_bits: int = 0) -> Entry:
        if self._rules.owner:
            entry.uid, entry.gid = self._rules.owner
        if self._rules.mode and entry.kind != SYMLINK:
            entry.mode = self._rules.mode.apply(entry.mode, entry.kind == DIRECTORY)
        entry.mode |= kind_bits
        return entry


def _matches(tree: Tree, pattern: str) -> Iterator[tuple[str, Found]]:
    """(last part of its name, thing) for what a path or pattern means in a tree; links are followed."""
    cleaned = go_match.clean("/" + pattern)
    if not go_match.has_wildcard(pattern):
        found = tree.find(go_match.unescaped(cleaned))
        if found:
            yield go_match.unescaped(cleaned).rpartition("/")[2], found
        return
    plain = cleaned[: cleaned.rfind("/", 0, go_match.wild_at(cleaned)) + 1]
    parts = cleaned[len(plain) :].split("/")
    yield from _match_parts(tree, go_match.unescaped(plain), parts)


def _match_parts(tree: Tree, directory: str, parts: list[str]) -> Iterator[tuple[str, Found]]:
    """The things beneath a directory whose path matches the parts, one for each level."""
    base = tree.find(directory)
    if base is None or not base.is_directory:
        return
    for one in tree.entries(base.path):
        if not go_match.match(parts[0], one.name):
            continue
        if len(parts) > 1:
            yield from _match_parts(tree, one.path, parts[1:])
            continue
        found = tree.find(one.path)
        if found is not None:
            yield one.name, found


def _digest(entries: Iterable[Entry]) -> str:
    """Of paths, kinds, modes, owners, contents, links, devices and attributes; not of times, sizes and sources."""
    pieces: list[bytes] = []
    for entry in entries:
        path, target = os.fsencode(entry.path), os.fsencode(entry.target)
        head = f"{entry.kind} {entry.mode:o} {entry.uid} {entry.gid} {entry.device[0]} {entry.device[1]} "
        head += f"{len(path)} {len(target)} {len(entry.content)} {len(entry.xattrs)} "
        pieces += (head.encode(), path, target, entry.content)
        for name, value in sorted(entry.xattrs.items()):
            pieces.append(b"%d %d " % (len(name), len(value)) + name + value)
    return digests.of(b"".join(pieces))
