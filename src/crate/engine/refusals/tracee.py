"""What a stopped process of a container says of itself. All of it is hostile: bounded, and looked at, never obeyed.

Paths are resolved beneath the process's own root by openat2, as descriptors that open nothing (O_PATH).
"""

from __future__ import annotations

import os
from struct import unpack

from crate.linux.fs import O_PATH, RESOLVE_IN_ROOT, RESOLVE_NO_MAGICLINKS, openat2

#: PROC_USER_INIT_INO of the kernel: the number of the initial user namespace
_INITIAL_USER_NAMESPACE = 0xEFFFFFFD
_PATH_BYTES = 4096
_PAGE = 4096
_AT_FDCWD = -100
_STATUS_BYTES = 16384


class Identity:
    """Who a thread is (proc_pid_status(5)); ids as this process's user namespace knows them."""

    __slots__ = ("capabilities", "filters", "gid", "groups", "no_new_privs", "real_uid", "uid")

    def __init__(self, pid: int) -> None:
        fields: dict[bytes, list[bytes]] = {}
        for line in _read(f"/proc/{pid}/status", _STATUS_BYTES).splitlines():
            name, _, value = line.partition(b":")
            fields[name] = value.split()
        #: those that files are asked for (fsuid, fsgid)
        self.real_uid, self.uid = int(fields[b"Uid"][0]), int(fields[b"Uid"][3])
        self.gid = int(fields[b"Gid"][3])
        self.groups = frozenset(int(word) for word in fields[b"Groups"])
        self.capabilities = int(fields[b"CapEff"][0], 16)
        self.no_new_privs = fields.get(b"NoNewPrivs", [b"0"])[0] == b"1"
        self.filters = int(fields.get(b"Seccomp_filters", [b"1"])[0])


class Tracee:
    """A stopped thread."""

    __slots__ = ("_identity", "_ids", "pid")

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self._identity: Identity | None = None
        self._ids: dict[str, list[tuple[int, int, int]]] = {}

    @property
    def identity(self) -> Identity:
        """Who it is."""
        if self._identity is None:
            self._identity = Identity(self.pid)
        return self._identity

    def has(self, capability: int) -> bool:
        """Whether a capability is in its effective set."""
        return bool(self.identity.capabilities >> capability & 1)

    def is_in_initial_users(self) -> bool:
        """Whether its user namespace is that of the host."""
        return os.stat(f"/proc/{self.pid}/ns/user").st_ino == _INITIAL_USER_NAMESPACE

    def inside(self, kind: str, number: int) -> int:
        """An id of this process's user namespace as the tracee knows it; -1 for one that is not mapped there.

        `kind`: uid or gid.
        """
        if kind not in self._ids and os.path.samefile("/proc/self/ns/user", f"/proc/{self.pid}/ns/user"):
            self._ids[kind] = [(0, 0, 1 << 32)]  # its own map would tell of the namespace around this one
        if kind not in self._ids:
            lines = _read(f"/proc/{self.pid}/{kind}_map", _PAGE).splitlines()
            self._ids[kind] = [(int(a), int(b), int(c)) for a, b, c in (line.split() for line in lines)]
        for first, outside, count in self._ids[kind]:
            if outside <= number < outside + count:
                return first + number - outside
        return -1

    def memory(self, address: int, size: int) -> bytes:
        """Bytes of its memory; fewer, or none, where it has none."""
        if not 0 < address < 1 << 63:
            return b""
        try:
            fd = os.open(f"/proc/{self.pid}/mem", os.O_RDONLY | os.O_CLOEXEC)
            try:
                return os.pread(fd, size, address)
            finally:
                os.close(fd)
        except (OSError, OverflowError):
            return b""

    def text(self, address: int) -> bytes | None:
        """A string of its memory, at most a path's length; None where there is none."""
        found = b""
        while len(found) < _PATH_BYTES:
            piece = self.memory(address + len(found), _PAGE - (address + len(found)) % _PAGE)
            if not piece:
                return None
            end = piece.find(b"\0")
            if end >= 0:
                return (found + piece[:end])[:_PATH_BYTES]
            found += piece
        return None

    def word(self, address: int) -> int:
        """A number of 64 bits in its memory; 0 where there is none."""
        data = self.memory(address, 8)
        return int(unpack("=Q", data)[0]) if len(data) == 8 else 0

    def link(self, name: str) -> str:
        """Where a link of its /proc directory leads, as a path of its mount namespace; empty when it is gone."""
        try:
            return os.readlink(f"/proc/{self.pid}/{name}")
        except OSError:
            return ""

    def netlink_protocol(self, fd: int) -> int | None:
        """The protocol of a netlink socket, by the inodes of its network namespace; None for another descriptor."""
        inode = self.link(f"fd/{fd}").removeprefix("socket:[").removesuffix("]").encode()
        for line in _read(f"/proc/{self.pid}/net/netlink", 1 << 20).splitlines()[1:]:
            words = line.split()
            if words[-1] == inode:
                return int(words[1])
        return None

    def full_path(self, directory_fd: int, path: bytes) -> str:
        """The path from its root on, by the words alone: `directory_fd` is the argument of openat(2)."""
        text = path.decode("utf-8", "surrogateescape")
        if text.startswith("/"):
            return text
        start = self.link("cwd" if directory_fd == _AT_FDCWD else f"fd/{directory_fd}")
        root = self.link("root")
        if root not in ("", "/") and (start + "/").startswith(root + "/"):
            start = start[len(root) :]
        return f"{start.rstrip('/')}/{text}".rstrip("/") or "/"

    def open(self, path: str, *, follow: bool = True) -> int:
        """The file of a path beneath its root, as an O_PATH descriptor. OSError."""
        root_fd = os.open(f"/proc/{self.pid}/root", O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            flags = O_PATH if follow else O_PATH | os.O_NOFOLLOW
            relative = path.lstrip("/") or "."
            return openat2(root_fd, relative, flags, RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS)
        finally:
            os.close(root_fd)

    def mount_of(self, fd: int) -> tuple[str, str, list[str]]:
        """The mount of a descriptor: its point, its type, its options; the point is empty where it is not found."""
        number = ""
        for line in _read(f"/proc/self/fdinfo/{fd}", _PAGE).decode("ascii", "replace").splitlines():
            if line.startswith("mnt_id:"):
                number = line.split()[1]
        from crate.linux.mountinfo import unescape

        for row in _read(f"/proc/{self.pid}/mountinfo", 1 << 20).splitlines():
            fields, _, rest = row.partition(b" - ")
            words, after = fields.split(b" "), rest.split(b" ")
            if words[0].decode() == number:
                options = (words[5] + b"," + after[2]).decode("utf-8", "replace").split(",")
                return unescape(words[4].decode("utf-8", "surrogateescape")), after[0].decode(), options
        return "", "", []


def _read(path: str, most: int) -> bytes:
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        data = b""
        while len(data) < most and (piece := os.read(fd, most - len(data))):
            data += piece
        return data
    finally:
        os.close(fd)
