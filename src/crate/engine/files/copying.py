"""`cp`: files between the host, containers and tar streams, by docker's rules for where they end up."""

from __future__ import annotations

import os
import stat

from crate.engine import containers
from crate.engine.files.view import View
from crate.errors import ImageError, NotFoundError, StateError, UsageError
from crate.linux.fs import O_PATH
from crate.runtime.paths import open_in_root
from crate.storage import journal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from crate.engine.containers import Container
    from crate.engine.context import Engine

_LINKS_MAX = 40
_NO_ARCHIVE = "source must be a (compressed) tar archive when copying from stdin"
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


class Side:
    """One end of a copy: the host, or a container seen through `root_fd`."""

    def __init__(self, path: str, container: Container | None = None, root_fd: int = -1, workdir: str = "/") -> None:
        self.path = path
        self.container = container
        self._root_fd = root_fd
        self._workdir = workdir
        self.where = f"container {container.name}" if container else "the host"

    def open(self, path: str, flags: int) -> int:
        """A descriptor of what a path means on this side; a relative one is meant from the working directory."""
        if self._root_fd < 0:
            return os.open(path, flags | os.O_CLOEXEC)
        return open_in_root(self._root_fd, self._absolute(path), flags)

    def _absolute(self, path: str) -> str:
        return path if path.startswith("/") else f"{self._workdir}/{path}"

    def locate(self, follow: bool) -> Spot:
        """Where the path leads, symbolic links at its end followed or not. NotFoundError without its directory."""
        path = self.path
        for _ in range(_LINKS_MAX):
            parent, slash, name = path.rstrip("/").rpartition("/")
            if name in ("", ".", ".."):
                parent, name = path, ""
            try:
                fd = self.open((parent + slash) or ".", O_PATH | os.O_DIRECTORY)
            except OSError as error:
                raise self.missing(error) from None
            if not name:
                return Spot(fd, "", os.fstat(fd))
            try:
                found = os.lstat(name, dir_fd=fd)
            except FileNotFoundError:
                return Spot(fd, name, None)
            if path.endswith("/") and not stat.S_ISDIR(found.st_mode) and not stat.S_ISLNK(found.st_mode):
                os.close(fd)
                raise self.missing(NotADirectoryError(20, os.strerror(20)))
            if not stat.S_ISLNK(found.st_mode) or not follow:
                return Spot(fd, name, found)
            target = os.readlink(name, dir_fd=fd) + ("/" if path.endswith("/") else "")
            os.close(fd)
            path = target if target.startswith("/") else f"{parent}{slash}{target}"
        raise self.missing(OSError(40, os.strerror(40)))

    def missing(self, error: OSError) -> NotFoundError:
        """In podman's words."""
        reason = os.strerror(error.errno or 0).lower()
        return NotFoundError(f'"{self.path}" could not be found on {self.where}: {reason}')


class Spot:
    """A place in a directory: `name` is "" for the directory itself; `found` is None where nothing is."""

    def __init__(self, dir_fd: int, name: str, found: os.stat_result | None) -> None:
        self.dir_fd = dir_fd
        self.name = name
        self.found = found

    @property
    def is_directory(self) -> bool:
        """Is a directory there?"""
        return self.found is not None and stat.S_ISDIR(self.found.st_mode)

    def open_directory(self) -> int:
        """The directory, for reading and for making files in it."""
        if self.name:
            return os.open(self.name, _DIRECTORY | os.O_NOFOLLOW, dir_fd=self.dir_fd)
        return os.open(".", _DIRECTORY, dir_fd=self.dir_fd)


def copy(engine: Engine, source: str, target: str, options: dict[str, Any]) -> None:
    """Copies as `[CONTAINER:]PATH` and `-` say. `options`: archive, follow_link, overwrite.

    Raises UsageError, NotFoundError, StateError; OSError with the path.
    """
    (from_name, from_path), (to_name, to_path) = _parse(source), _parse(target)
    if not from_path or not to_path:
        raise UsageError(f'invalid arguments "{source}", "{target}": you must specify paths')
    if not from_name and not to_name:
        raise UsageError("must specify at least one container source", "crate cp CONTAINER:PATH PATH, or the other way")
    ends = [_find(engine, name) if name else None for name in (from_name, to_name)]
    views: dict[str, View] = {}
    roots: dict[str, int] = {}
    try:
        # In the order of ids: two commands that hold the same stopped containers must not wait for each other.
        for container in sorted(filter(None, ends), key=lambda one: one.id):
            if container.id not in views:
                views[container.id] = View(engine, container)
                roots[container.id] = views[container.id].__enter__()
        sides = [_side(path, one, roots) for path, one in zip((from_path, to_path), ends, strict=True)]
        if to_name and not from_name and from_path == "-":
            _extract(sides[1], options, engine.roots.rootless)
        elif from_name and not to_name and to_path == "-":
            _archive(sides[0], _follows(options))
        else:
            _copy(sides[0], sides[1], options)
        for container in {one.id: one for one in ends if one}.values():
            journal.of_container(engine.roots, "copy", container.record)
    finally:
        for view in views.values():
            view.close()


def _parse(text: str) -> tuple[str, str]:
    """(container or "", path): what begins with a dot or a slash is no container's."""
    name, colon, path = text.partition(":")
    if not colon or text[0] in "./" or "/" in name:
        return "", text
    return name, path


def _find(engine: Engine, name: str) -> Container:
    try:
        return containers.find(engine, name)
    except NotFoundError:
        raise NotFoundError(f'container "{name}" does not exist') from None


def _side(path: str, container: Container | None, roots: dict[str, int]) -> Side:
    if container is None:
        return Side(path)
    workdir = (container.spec().get("process") or {}).get("cwd") or "/"
    return Side(path, container, roots[container.id], workdir)


def _follows(options: dict[str, Any]) -> bool:
    return options.get("follow_link") is not False  # podman always follows, docker with -L


def _owner(side: Side, options: dict[str, Any]) -> tuple[int, int] | None:
    """Whose the copies become: root of the container's, the caller's on the host; with --archive whose they were.

    With --archive=false too, as podman has it, where that is not the default.
    """
    if options.get("archive") is not None:
        return None
    if side.container is None:
        return os.geteuid(), os.getegid()
    from crate.engine.user_namespaces import outside

    return outside(side.container.record, 0, 0)


def _is_content(path: str) -> bool:
    """Does the path ask for what is in the directory, not for the directory?"""
    return path == "." or path.endswith("/.")


def _source(side: Side, follow: bool) -> tuple[Spot, str]:
    """The source, and the name that its copy gets in a directory: "" for the content of one."""
    spot = side.locate(follow or _is_content(side.path) or side.path.endswith("/"))
    if spot.found is None:
        raise side.missing(FileNotFoundError(2, os.strerror(2)))
    if _is_content(side.path):
        return spot, ""
    name = os.path.basename(side.path.rstrip("/"))
    return spot, "" if name == ".." else name


def _target(side: Side) -> Spot:
    """The target: a directory or file that is there, or the place for a new one. In podman's words where neither is."""
    if side.container is None and os.path.exists(side.path):
        mode = os.stat(side.path).st_mode
        if not stat.S_ISDIR(mode) and not stat.S_ISREG(mode):
            raise StateError(f'invalid destination: "{side.path}" must be a directory or a regular file')
    spot = side.locate(True)
    if spot.found is None and side.path.endswith("/"):
        raise side.missing(FileNotFoundError(2, os.strerror(2)))
    return spot


def _copy(source: Side, target: Side, options: dict[str, Any]) -> None:
    from crate.storage.transfer import Transfer

    start, name = _source(source, _follows(options))
    end = _target(target)
    owner = _owner(target, options)
    records = owner is None and source.container is not None and target.container is not None
    transfer = Transfer(owner=owner, overwrite=bool(options.get("overwrite")), records=records)
    if not start.is_directory:
        if end.is_directory:
            transfer.file(start.dir_fd, start.name, end.open_directory(), name)
        else:
            transfer.file(start.dir_fd, start.name, end.dir_fd, end.name)
        return
    if end.is_directory:
        transfer.tree(start.open_directory(), end.open_directory(), name)
    elif end.found is not None:
        raise StateError("destination must be a directory when copying a directory")
    else:
        transfer.tree(start.open_directory(), end.dir_fd, end.name)


def _archive(source: Side, follow: bool) -> None:
    """Writes the source as a tar archive to standard output."""
    from crate.engine.user_namespaces import shift_back
    from crate.storage.durable import write_all
    from crate.storage.tree.archive import TreeArchive

    start, name = _source(source, follow)
    assert source.container is not None
    archive = TreeArchive(lambda data: write_all(1, data), mounts=True, shift=shift_back(source.container.record))
    if start.is_directory:
        archive.add_tree(start.open_directory(), "", name or ".")
    else:
        assert start.found is not None
        archive.add_file(start.dir_fd, start.name, start.found, name)
    archive.finish()


def _extract(target: Side, options: dict[str, Any], rootless: bool) -> None:
    """Unpacks standard input, a tar archive, compressed or not, into a directory."""
    from crate.ns.single_id import maps_one_id
    from crate.storage.inflate import inflated
    from crate.storage.tar.reader import TarReader
    from crate.storage.tree.writer import TreeWriter

    end = target.locate(True)
    if not end.is_directory:
        raise StateError("destination must be a directory when copying from stdin")
    reader = TarReader(inflated(0))
    owner = _owner(target, options)
    records = owner is None and rootless and maps_one_id()
    writer = TreeWriter(
        end.open_directory(),
        whiteouts=False,
        rootless=rootless,
        owner=(0, 0) if records else owner,
        records=records,
        replaces=bool(options.get("overwrite")),
    )
    try:
        unpacked = writer.unpack(reader)
    except ImageError as error:
        if error.message.startswith("the archive "):
            raise StateError(_NO_ARCHIVE) from None
        raise
    if not unpacked.entries:
        raise StateError(_NO_ARCHIVE)
