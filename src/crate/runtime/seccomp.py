"""The seccomp filter of a bundle: its program for the kernel, kept by content, and its loading by who is confined."""

from __future__ import annotations

import errno
import os

from crate import hotcore
from crate.errors import UsageError
from crate.linux import seccomp as kernel
from crate.oci import digest, json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from crate.oci.runtime_spec import LinuxSeccomp
    from crate.runtime.sync import Channel

# Part of the key of the cache: raise it with every change of what the assembler or its tables produce.
_VERSION = "1"
_FLAGS = {
    "SECCOMP_FILTER_FLAG_TSYNC": 0,  # the loading process has one thread
    "SECCOMP_FILTER_FLAG_LOG": 2,
    "SECCOMP_FILTER_FLAG_SPEC_ALLOW": 4,
}


#: `listenerMetadata` of a filter whose agent records owners (owners.py): without a listener, it does without.
RECORDS_OWNERS = "crate: records owners"
#: in the directory of the container's files: the agent's door
OWNERS_SOCKET = "owners.sock"
_NOTIFY = "SCMP_ACT_NOTIFY"


class Filter:
    """The filter of a container, made before the clone: `load` needs nothing more.

    `listener_path`: where the agent waits that answers some calls (SCMP_ACT_NOTIFY); "" without such calls.
    """

    __slots__ = ("_flags", "_program", "_without_listener", "listener_path")

    def __init__(self, seccomp: LinuxSeccomp, cache_dir: str | None) -> None:
        self._flags = load_flags(seccomp)
        self.listener_path = _listener_path(seccomp)
        self._program = compiled(seccomp, cache_dir)
        self._without_listener = b""
        if self.listener_path and seccomp.get("listenerMetadata") == RECORDS_OWNERS:
            self._without_listener = compiled(_pretending(seccomp), cache_dir)

    @property
    def records_owners(self) -> bool:
        """Is its agent the one that records owners?"""
        return bool(self.listener_path and self._without_listener)

    def forget_listener(self) -> bool:
        """Does without an agent that is not there; says whether it can."""
        if not self._without_listener:
            return False
        self._program, self.listener_path = self._without_listener, ""
        return True

    def load(self, channel: Channel) -> None:
        """Confines this process; the parent gets the listener's descriptor by `channel`. OSError."""
        if not self.listener_path:
            kernel.seccomp_load(self._program, self._flags)
            return
        try:
            fd = self._load_listening()
        except OSError as error:
            # crate itself runs where a filter has a listener: a process has one at most.
            if error.errno != errno.EBUSY or not self._without_listener:
                raise
            kernel.seccomp_load(self._without_listener, self._flags)
            return
        channel.send("listener", fd=fd)
        os.close(fd)

    def _load_listening(self) -> int:
        flags = self._flags | kernel.SECCOMP_FILTER_FLAG_NEW_LISTENER
        try:
            # A signal does not interrupt a call that the agent has begun to answer.
            return kernel.seccomp_load(self._program, flags | kernel.SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV)
        except OSError as error:
            if error.errno != errno.EINVAL:
                raise
            return kernel.seccomp_load(self._program, flags)  # before Linux 5.19


def _listener_path(seccomp: LinuxSeccomp) -> str:
    notified = [name for rule in seccomp.get("syscalls") or () if rule["action"] == _NOTIFY for name in rule["names"]]
    if seccomp["defaultAction"] != _NOTIFY and not notified:
        return ""
    if not seccomp.get("listenerPath"):
        raise UsageError(f"cannot use linux.seccomp: action {_NOTIFY} is not supported without listenerPath")
    if seccomp["defaultAction"] == _NOTIFY or {"sendmsg", "execve"} & set(notified):
        # init sends the listener's descriptor by it, and then nobody answers yet
        raise UsageError(f"cannot use linux.seccomp: action {_NOTIFY} is not supported for sendmsg and execve")
    return seccomp["listenerPath"]


def _pretending(seccomp: LinuxSeccomp) -> LinuxSeccomp:
    """The same, but the calls that an agent would answer succeed without doing anything."""
    rules = [
        {**rule, "action": "SCMP_ACT_ERRNO", "errnoRet": 0} if rule["action"] == _NOTIFY else rule
        for rule in seccomp["syscalls"]
    ]
    return {**seccomp, "syscalls": rules}  # type: ignore[typeddict-item]


def load_flags(seccomp: LinuxSeccomp) -> int:
    """The flags of `linux.seccomp` in the bits of seccomp(2)."""
    bits = 0
    for flag in seccomp.get("flags") or ():
        if flag not in _FLAGS:
            raise UsageError(f"cannot use linux.seccomp: flag {flag} is not supported")
        bits |= _FLAGS[flag]
    return bits


def compiled(seccomp: LinuxSeccomp, cache_dir: str | None) -> bytes:
    """The classic BPF program of `linux.seccomp`: an array of `struct sock_filter` in the byte order of this machine.

    Assembling costs a few milliseconds, so the program is kept in `cache_dir` (made if missing; None: nowhere) under
    the digest of its JSON. A file that does not fit its checksum is made anew, one that cannot be written is not.
    UsageError for an action, operator or flag that crate does not implement.
    """
    machine = os.uname().machine
    if cache_dir is None:
        return _assemble(seccomp, machine)
    # Where its agent waits, which is each container's own, changes nothing in the program.
    content_of = {name: value for name, value in seccomp.items() if not name.startswith("listener")}
    key = digest.of(f"{_VERSION} {machine} {json.canonical(content_of)}".encode())
    path = f"{cache_dir}/{key.partition(':')[2]}.bpf"
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError:
        pass
    else:
        try:
            content = os.read(fd, 1 << 16)
        finally:
            os.close(fd)
        checksum, _, program = content.partition(b"\n")
        if checksum == digest.of(program).encode():  # a rename may survive a power cut without the content
            return program
    program = _assemble(seccomp, machine)
    _keep(path, digest.of(program).encode() + b"\n" + program)
    return program


def _assemble(seccomp: LinuxSeccomp, machine: str) -> bytes:
    with hotcore.Apart(""):  # once for each profile
        from crate.runtime.seccomp_assembler import assemble

        return assemble(seccomp, machine)


def _keep(path: str, content: bytes) -> None:
    temporary = f"{path}.{os.getpid()}"
    try:
        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
        fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            os.write(fd, content)
        finally:
            os.close(fd)
        os.rename(temporary, path)
    except OSError:
        pass  # a read-only or full disk costs time, not the container
