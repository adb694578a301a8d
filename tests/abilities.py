"""What tests may ask of the host, by words: `@requires("root", "overlay")`; each is probed by doing it once.

A missing ability skips the test with the reason; with CRATE_MUST_WORK=1 it fails it.
"""

from __future__ import annotations

import ctypes
import functools
import os
import shutil
import socket
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

import users
from images import recipes

if TYPE_CHECKING:
    from collections.abc import Callable

requires = pytest.mark.requires

CHECKOUT = Path(__file__).resolve().parent.parent
CGROUPS = Path("/sys/fs/cgroup")
os.environ["PATH"] += ":/usr/sbin:/sbin"  # nft, runc and debootstrap; an ordinary user's PATH lacks them


@functools.cache
def why_not(word: str) -> str | None:
    """The reason why the host lacks an ability, or None where it has it. KeyError for an unknown word."""
    if word in PROGRAMS:
        return None if shutil.which(PROGRAMS[word]) else f"no program {PROGRAMS[word]}"
    return PROBES[word]()


def need(*words: str) -> None:
    """Skips the running test (or fails it: CRATE_MUST_WORK) where one of the abilities is missing."""
    for word in words:
        try:
            reason = why_not(word)
        except KeyError:
            pytest.fail(f"unknown ability {word!r}; tests/abilities.py knows {' '.join(sorted(known()))}")
        if reason:
            if os.environ.get("CRATE_MUST_WORK", "0") not in ("", "0"):
                pytest.fail(f"{word}: {reason} (and CRATE_MUST_WORK is set)")
            pytest.skip(f"{word}: {reason}")


def known() -> set[str]:
    """Every word."""
    return {*PROGRAMS, *PROBES}


@functools.cache
def disk_directory() -> Path:
    """A directory for the tests' roots on a file system that can be the upper of an overlay, where there is one."""
    chosen = os.environ.get("CRATE_TEST_DIRECTORY")
    candidates = [chosen] if chosen else ["/var/tmp", tempfile.gettempdir(), str(Path.home())]
    for candidate in candidates:
        if (os.geteuid() == 0 or rootless()) and _refuses_upper(Path(candidate)) is None:
            return _spread(Path(candidate))
    return _spread(Path(candidates[0]))


def _spread(directory: Path) -> Path:
    """A directory in it whose subdirectories ext4 puts into block groups far from each other (`T` of chattr(1)).

    Without a journal ext4 gives no inode again for some minutes after its file was removed, and passes each of these
    over, one by one: where tests make and remove thousands of files side by side a new one costs a millisecond.
    """
    place = directory / f"crate-{os.geteuid()}"
    place.mkdir(mode=0o755, exist_ok=True)
    if not os.access(place, os.W_OK):  # root of a user namespace is not the root whose it is
        return directory
    spread(place)
    return place


def spread(place: Path) -> None:
    """Marks a directory so, where that is possible."""
    subprocess.run(["chattr", "+T", str(place)], check=False, capture_output=True)


def vm_runner() -> Path | None:
    """A program that runs `-- COMMAND` in a VM with pure cgroup v2: `$CRATE_VM`, or a neighbour of the checkout."""
    program = Path(os.environ.get("CRATE_VM") or CHECKOUT.parent / "shared" / "vm" / "run")
    return program if os.access(program, os.X_OK) else None


def _fails(*command: str) -> str | None:
    """None when a command works, else its last line of complaint."""
    try:
        done = subprocess.run(
            command, check=False, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60
        )
    except FileNotFoundError:
        return f"no program {command[0]}"
    except subprocess.TimeoutExpired:
        return f"{command[0]} hangs"
    return None if done.returncode == 0 else (done.stderr.strip().splitlines() or [f"{command[0]} fails"])[-1]


def _refuses_upper(directory: Path) -> str | None:
    with tempfile.TemporaryDirectory(dir=directory, prefix="crate-probe-") as place:
        for name in ("lower", "upper", "work", "merged"):
            Path(place, name).mkdir()
        return _fails(
            *_apart(), "mount", "-t", "overlay", "overlay",
            "-o", f"lowerdir={place}/lower,upperdir={place}/upper,workdir={place}/work", f"{place}/merged",
        )  # fmt: skip


def rootless() -> bool:
    """Whether an ordinary user is to do all that root does in tests (`--rootless`), as far as the kernel lets it."""
    return bool(os.environ.get("CRATE_TEST_ROOTLESS"))


def _apart() -> tuple[str, ...]:
    """The words that run a command where it may mount."""
    return ("unshare", "--user", "--map-root-user", "--mount") if rootless() else ("unshare", "--mount")


def _root() -> str | None:
    if rootless():
        return _userns()
    if os.geteuid() != 0:
        return "not root"
    return _fails("unshare", "--mount", "--pid", "--fork", "true")


def _overlay() -> str | None:
    return _root() or _refuses_upper(disk_directory())


def _cgroup_v1() -> str | None:
    memory = CGROUPS / "memory" / "tasks"
    return None if os.access(memory, os.W_OK) else f"{memory} is not there or not writable"


def _cgroup_v2() -> str | None:
    controllers = CGROUPS / "cgroup.controllers"
    if not controllers.is_file():
        return f"{CGROUPS} is not a cgroup2 mount"
    if "memory" not in controllers.read_text().split():
        return "the memory controller is not on cgroup v2"
    return None if os.access(CGROUPS / "cgroup.procs", os.W_OK) else "cgroup v2 is not writable"


def _nft() -> str | None:
    return _root() or _fails(*_apart(), "-n", "nft", "add table inet probe { map m { type ipv4_addr : ipv4_addr; }; }")


def _link(kind: str) -> str | None:
    """Whether the kernel has a kind of interface."""
    above = {"macvlan": "link wire", "ipvlan": "link wire", "vlan": "link wire"}.get(kind, "")
    more = {"vlan": "id 5", "vxlan": "id 5 dstport 4789"}.get(kind, "")
    make = f"ip link add wire type veth peer name far && ip link add probe {above} type {kind} {more}"
    return _root() or _fails(*_apart(), "-n", "sh", "-c", make)


def _userns() -> str | None:
    if os.geteuid() != 0:
        return _fails("unshare", "-Ur", "true")
    return _fails("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "unshare", "-Ur", "true")


def _subids() -> str | None:
    for program in ("newuidmap", "newgidmap"):
        if not shutil.which(program):
            return f"no program {program}"
    return _userns()


def _unprivileged_user() -> str | None:
    if os.geteuid() != 0:
        name = users.myself().name
        missing = [file for file in ("/etc/subuid", "/etc/subgid") if not users.has_range(Path(file), name)]
        return f"{name} has no range in {' and '.join(missing)}" if missing else _subids()
    for program in ("useradd", "userdel", "setpriv"):
        if not shutil.which(program):
            return f"no program {program}"
    blocked = _fails(
        "setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", str(CHECKOUT / ".venv/bin/python"), "-c", ""
    )  # fmt: skip
    if blocked:
        return f"other users cannot run what is in the checkout: {blocked}"
    return _root() or _subids()


def _delegation() -> str | None:
    """Whether this ordinary user was given a part of the v2 tree, as systemd does for a login."""
    if os.geteuid() == 0:
        return "root needs none"
    own = Path("/proc/self/cgroup").read_text().strip().rpartition(":")[2]
    for group in [CGROUPS / own.lstrip("/"), *(CGROUPS / own.lstrip("/")).parents]:
        if group.name.startswith("user@") and os.access(group / "cgroup.procs", os.W_OK):
            offered = (group / "cgroup.controllers").read_text().split()
            return None if "memory" in offered else f"no memory controller in {group}"
    return f"{own} is not below a group of ours"


def _pasta() -> str | None:
    return "no program pasta" if not shutil.which("pasta") else _tun()


def _tun() -> str | None:
    """The device of rootless networks. Root gives the tests' user one of its own: tests/users.py."""
    if users.may_open_tun():
        return None
    if os.geteuid() != 0 or not Path("/dev/net/tun").exists():
        return "no /dev/net/tun that this user may open"
    make = "mount -t tmpfs none /dev/net && mknod /dev/net/tun c 10 200 && : <> /dev/net/tun"
    return _fails("unshare", "--mount", "sh", "-c", make)


def _fuse_overlayfs() -> str | None:
    if not shutil.which("fuse-overlayfs"):
        return "no program fuse-overlayfs"
    return None if os.access("/dev/fuse", os.R_OK | os.W_OK) else "/dev/fuse cannot be opened"


def _landlock() -> str | None:
    """Whether the kernel has landlock's version 2 or later (Linux 5.19)."""
    libc = ctypes.CDLL(None)
    version = libc.syscall(444, None, ctypes.c_size_t(0), 1)  # landlock_create_ruleset, everywhere
    return None if version > 1 else "no landlock in this kernel"


def _debootstrap() -> str | None:
    return _overlay() or (None if shutil.which("debootstrap") else "no program debootstrap")


def _network() -> str | None:
    try:
        mirror = urlsplit(recipes.apt_mirror())
    except LookupError as error:
        return str(error)
    try:
        socket.create_connection((mirror.hostname or "", mirror.port or 80), 10).close()
    except OSError as error:
        return f"the apt mirror cannot be reached: {error}"
    return None


def _vm() -> str | None:
    if os.environ.get("CRATE_IN_VM"):
        return "this is one"
    return None if vm_runner() else "no VM runner (CRATE_VM names one)"


PROGRAMS = {
    "runc": "runc",
    "crun": "crun",
    "podman": "podman",
    "buildah": "buildah",
    "skopeo": "skopeo",
    "slirp4netns": "slirp4netns",
    "catatonit": "catatonit",
    "registry": "docker-registry",
    "busybox": "busybox",
    "curl": "curl",
    "docker": "docker",
    "dockerd": "dockerd",
    "firewalld": "firewalld",
    "git": "git",
    "openssh": "ssh-agent",
    "strace": "strace",
    "patchelf": "patchelf",
    "dig": "dig",
    "gpg": "gpg",
    "mkfs.btrfs": "mkfs.btrfs",
    "mkfs.xfs": "mkfs.xfs",
}
PROBES: dict[str, Callable[[], str | None]] = {
    "root": _root,
    "overlay": _overlay,
    "cgroup-v1": _cgroup_v1,
    "cgroup-v2": _cgroup_v2,
    "nft": _nft,
    "macvlan": lambda: _link("macvlan"),
    "ipvlan": lambda: _link("ipvlan"),
    "vlan": lambda: _link("vlan"),
    "vxlan": lambda: _link("vxlan"),
    "cni-plugins": lambda: None if os.access("/usr/lib/cni/portmap", os.X_OK) else "no containernetworking-plugins",
    "ifb": lambda: _link("ifb"),
    "userns": _userns,
    "subids": _subids,
    "unprivileged-user": _unprivileged_user,
    "delegation": _delegation,
    "pasta": _pasta,
    "tun": _tun,
    "fuse-overlayfs": _fuse_overlayfs,
    "debootstrap": _debootstrap,
    "landlock": _landlock,
    "network": _network,
    "vm": _vm,
    "two-cpus": lambda: None if len(os.sched_getaffinity(0)) > 1 else "one CPU",
}
