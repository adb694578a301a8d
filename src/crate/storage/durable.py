"""Small files written whole or not at all, and the syncing of files and directories to disk."""

from __future__ import annotations

import os

from crate.linux import fs

# For files of the run root, which may lie in /tmp: tmpfiles.d(5) leaves files with the sticky bit alone.
RUN_FILE_MODE = 0o1600


def write_file(dir_fd: int | None, name: str, data: str | bytes, durable: bool, mode: int = 0o600) -> None:
    """Makes or replaces `name` (a path, or a name beneath `dir_fd`) in one step: readers see the old or the new.

    With `durable` it is on disk when this returns (file and directory); without, it may be lost, or be found empty
    after a power cut, but never be seen half. OSError names the path; nothing is left behind then.
    """
    directory, slash, base = name.rpartition("/")
    # One name a process: what a killed process left is overwritten, and never confused with a reader's file.
    temporary = f"{directory}{slash}.{base}.{os.getpid()}"
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
    fd = os.open(temporary, flags, mode, dir_fd=dir_fd)
    try:
        try:
            write_all(fd, data.encode("utf-8", "surrogateescape") if isinstance(data, str) else data)
            if durable:
                os.fsync(fd)
        finally:
            os.close(fd)
        os.rename(temporary, name, src_dir_fd=dir_fd, dst_dir_fd=dir_fd)
    except BaseException as error:
        os.unlink(temporary, dir_fd=dir_fd)
        if isinstance(error, OSError) and error.filename is None:
            error.filename = name  # write(2) and fsync(2) know no path
        raise
    if durable:
        sync_directory(directory or (slash or "."), dir_fd)


def write_all(fd: int, data: bytes | memoryview) -> None:
    """write(2) until all is written: one call suffices but for signals, full disks and pipes."""
    written = os.write(fd, data)
    if written < len(data):
        rest = memoryview(data)
        while written < len(rest):
            written += os.write(fd, rest[written:])


def read_file(path: str, dir_fd: int | None = None) -> bytes:
    """The content of a small file. FileNotFoundError when it is not there."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC, dir_fd=dir_fd)
    try:
        data = os.read(fd, 65536)
        if len(data) == 65536:
            parts = [data]
            while data := os.read(fd, 1 << 20):
                parts.append(data)
            data = b"".join(parts)
        return data
    finally:
        os.close(fd)


def sync_directory(path: str, dir_fd: int | None = None) -> None:
    """fsync(2) of a directory: the names in it are on disk afterwards."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=dir_fd)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def sync_file_system(path: str) -> None:
    """syncfs(2): everything written so far to the file system of `path` is on disk afterwards, in one go."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fs.syncfs(fd)
    finally:
        os.close(fd)
