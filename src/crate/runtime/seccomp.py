"""The seccomp filter of a bundle as a program for the kernel, kept by content; loading it is `linux.seccomp`'s duty."""

from __future__ import annotations

import os

from crate import hotcore
from crate.errors import UsageError
from crate.oci import digest, json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from crate.oci.runtime_spec import LinuxSeccomp

# Part of the key of the cache: raise it with every change of what the assembler or its tables produce.
_VERSION = "1"
_FLAGS = {
    "SECCOMP_FILTER_FLAG_TSYNC": 0,  # the loading process has one thread
    "SECCOMP_FILTER_FLAG_LOG": 2,
    "SECCOMP_FILTER_FLAG_SPEC_ALLOW": 4,
}


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
    key = digest.of(f"{_VERSION} {machine} {json.canonical(seccomp)}".encode())
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
