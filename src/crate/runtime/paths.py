"""Paths of a container, resolved beneath its root by descriptors, never by a string that it could have changed."""

from __future__ import annotations

import errno
import os
import stat

from crate.linux.fs import O_PATH, RESOLVE_IN_ROOT, RESOLVE_NO_MAGICLINKS, openat2

_LINKS_MAX = 40  # as the kernel, path_resolution(7)
_ANYWHERE = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS


def open_in_root(root_fd: int, path: str, flags: int, mode: int = 0) -> int:
    """Opens `path` as a process chrooted to `root_fd` would. EAGAIN (a rename raced with `..`) is tried again."""
    for _ in range(64):
        try:
            return openat2(root_fd, path, flags, _ANYWHERE, mode)
        except OSError as error:
            if error.errno != errno.EAGAIN:
                raise
    raise OSError(errno.EAGAIN, "openat2: the path changes all the time", path)


def make_directory(root_fd: int, path: str, mode: int = 0o755, owner: tuple[int, int] | None = None) -> int:
    """Opens the directory `path` beneath the root, making it and its missing parents: an O_PATH descriptor.

    What is made belongs to `owner`, or else to this process.

    A symbolic link that leads nowhere is followed too, as far as the root: its target is made (images have
    /var/run -> /run without /run).
    """
    try:
        return open_in_root(root_fd, path, O_PATH | os.O_DIRECTORY)
    except FileNotFoundError:
        pass
    made = _make_last(root_fd, path, mode, owner)
    if made >= 0:
        return made
    current, done, waiting, links = os.dup(root_fd), "", _parts(path), 0
    while waiting:
        part = waiting.pop(0)
        try:
            step = open_in_root(root_fd, f"{done}/{part}", O_PATH | os.O_DIRECTORY)
        except FileNotFoundError:
            try:
                _make_one(current, part, mode, owner)
            except FileExistsError:
                links += 1
                if links > _LINKS_MAX:
                    raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), path) from None
                target = _read_link(current, part)
                waiting[:0] = _parts(target if target.startswith("/") else f"{done}/{target}")
                os.close(current)
                current, done = os.dup(root_fd), ""
                continue
            step = open_in_root(root_fd, f"{done}/{part}", O_PATH | os.O_DIRECTORY)
        os.close(current)
        current, done = step, f"{done}/{part}"
    return current


def _make_one(parent_fd: int, name: str, mode: int, owner: tuple[int, int] | None) -> None:
    os.mkdir(name, mode, dir_fd=parent_fd)
    if owner:
        from crate.ns.recorded_owner import give

        fd = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent_fd)
        try:
            give(fd, *owner)
        finally:
            os.close(fd)


def _make_last(root_fd: int, path: str, mode: int, owner: tuple[int, int] | None) -> int:
    """The directory when only its last part is missing, as nearly always; -1 when there is more to it."""
    parents, _, name = path.rstrip("/").rpartition("/")
    if name in ("", ".", ".."):
        return -1
    try:
        parent = open_in_root(root_fd, parents or ".", O_PATH | os.O_DIRECTORY)
    except FileNotFoundError:
        return -1
    try:
        _make_one(parent, name, mode, owner)
        return open_in_root(root_fd, path, O_PATH | os.O_DIRECTORY)
    except (FileExistsError, FileNotFoundError):
        return -1
    finally:
        os.close(parent)


def _read_link(directory_fd: int, name: str) -> str:
    try:
        return os.readlink(name, dir_fd=directory_fd)
    except OSError:
        return name  # no link any more: another process was faster, and made it


def make_file(root_fd: int, path: str, mode: int = 0o755) -> int:
    """Opens the file `path` beneath the root as O_PATH, making it empty, with its parents, when it is missing.

    A symbolic link that leads nowhere is followed as by `make_directory` (images have /etc/resolv.conf ->
    ../run/systemd/resolve/stub-resolv.conf).
    """
    for _ in range(_LINKS_MAX):
        try:
            return open_in_root(root_fd, path, O_PATH)
        except FileNotFoundError:
            pass
        *parents, name = _parts(path)
        parent = make_directory(root_fd, "/".join(parents) or ".", mode)
        try:
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
            os.close(os.open(name, flags, 0o644, dir_fd=parent))
        except FileExistsError:
            target = _read_link(parent, name)
            path = target if target.startswith("/") else "/".join([*parents, target])
        finally:
            os.close(parent)
    raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), path)


def _parts(path: str) -> list[str]:
    parts: list[str] = []
    for part in path.split("/"):
        if part == "..":
            parts[-1:] = []
        elif part not in ("", "."):
            parts.append(part)
    return parts


def is_directory(fd: int) -> bool:
    """Whether the descriptor is one of a directory."""
    return stat.S_ISDIR(os.fstat(fd).st_mode)
