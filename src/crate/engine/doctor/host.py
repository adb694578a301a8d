"""`doctor`: what crate needs of this host, looked at one by one: what was found, what it costs, what mends it.

Nothing is changed, and nothing here needs what it looks at: `crate doctor` works where no other command does.
"""

from __future__ import annotations

import os

from crate.engine.doctor.network import NETWORK_CHECKS
from crate.engine.doctor.users import USER_CHECKS, Patient

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn

    from crate.engine.doctor.users import Check, Finding

_LITTLE, _TOO_LITTLE = 2 << 30, 200 << 20  # bytes free in the store
_MOUNT_API, _IDMAPPED, _OVERLAY = (5, 12), (5, 19), (5, 11)
_REMOTE = {"nfs": "files of other owners cannot be made", "nfs4": "files of other owners cannot be made",
           "9p": "locks and attributes are missing", "cifs": "owners and links are missing"}  # fmt: skip


def examine(options: dict[str, Any]) -> list[Finding]:
    """The findings in the order of their subjects. `options`: the global ones (`root`, `runroot` …)."""
    patient = Patient(options)
    return [check(patient) for check in (_kernel, *USER_CHECKS, cgroups, store, overlay, *NETWORK_CHECKS, *_OTHERS)]


def _kernel(patient: Patient) -> Finding:
    from crate.storage.rootfs import kernel

    release = os.uname().release
    if kernel() < _MOUNT_API:
        return patient.bad("kernel", release, "no container starts: the mount API of Linux 5.12 is needed", "")
    if kernel() < _IDMAPPED and not patient.rootless:
        return patient.poor("kernel", release, "--userns copies each image: id-mapped layers need Linux 5.19", "")
    return patient.good("kernel", release)


def cgroups(patient: Patient) -> Finding:
    """What can be limited."""
    from crate.cgroup.facts import facts

    found = facts()
    controllers = [name for name in ("cpu", "cpuset", "memory", "pids", "blkio") if name in found["controllers"]]
    text = f"version {found['version']}, controllers that can limit: {' '.join(controllers) or 'none'}"
    missing = [name for name in ("cpu", "memory", "pids") if name not in controllers]
    if found["version"] == "none":
        return patient.bad(
            "cgroups", "none mounted", "no limits, no statistics", "mount -t cgroup2 cgroup2 /sys/fs/cgroup"
        )
    if not missing:
        return patient.good("cgroups", text)
    costs = f"an error for limits of {' '.join(missing)}, or --limits=best-effort"
    if not patient.rootless:
        return patient.poor("cgroups", text, costs, "boot without cgroup_disable=")
    if found["version"] != "2":
        return patient.poor("cgroups", text, costs, "boot with systemd.unified_cgroup_hierarchy=1")
    place = "/etc/systemd/system/user@.service.d"
    lines = "'[Service]\\nDelegate=cpu cpuset io memory pids\\n'"
    mend = f"sudo mkdir -p {place} && printf {lines} | sudo tee {place}/delegate.conf && sudo systemctl daemon-reload"
    return patient.poor("cgroups", text, costs, mend)


def store(patient: Patient) -> Finding:
    """The file system of the store: its kind, its flags and its room."""
    place = patient.existing(patient.graphroot)
    kind, flags = patient.file_system(place)
    found = os.statvfs(place)
    free = found.f_bavail * found.f_frsize
    text = f"{patient.graphroot} on {kind}, {free >> 20} MiB free"
    if kind in _REMOTE:
        return patient.bad(
            "store", text, f"images cannot be unpacked there: {_REMOTE[kind]}", "crate --root /LOCAL/DIRECTORY"
        )
    if not os.access(place, os.W_OK):
        return patient.bad(
            "store", f"{place} cannot be written to", "nothing works", f"sudo chown {os.getuid()} {place}"
        )
    for flag in ("noexec", "nosuid"):
        if flag in flags:
            costs = "no program of a container can be executed" if flag == "noexec" else "setuid programs do not work"
            return patient.poor(
                "store", f"{text}, mounted {flag}", costs, f"sudo mount -o remount,{flag[2:]} {patient.mount_of(place)}"
            )
    if free < _TOO_LITTLE or (found.f_files and found.f_favail < 1000):
        return patient.bad("store", text, "images do not fit", "crate system prune")
    if free < _LITTLE:
        return patient.poor("store", text, "large images do not fit", "crate system prune")
    return patient.good("store", text)


def overlay(patient: Patient) -> Finding:
    """A probe as the storage driver makes one, in the user's namespace."""
    fault = in_child(lambda: _overlay_fault(patient))
    if not fault:
        return patient.good("overlay", "works on the file system of the store")
    fuse = patient.program("fuse-overlayfs")
    if fuse and os.access("/dev/fuse", os.R_OK | os.W_OK):
        return patient.poor(
            "overlay", f"no ({fault}); {fuse} is there", "slower files: all go through fuse-overlayfs", ""
        )
    return patient.poor(
        "overlay", f"no ({fault})", "the driver vfs copies the image for each container",
        "sudo modprobe overlay" if "No such device" in fault else "sudo apt install fuse-overlayfs",
    )  # fmt: skip


def _overlay_fault(patient: Patient) -> str:
    from crate.engine.context import open_engine
    from crate.storage.driver import overlay_fault

    return overlay_fault(open_engine(patient.options).roots)


def in_child(look: Any) -> str:
    """The text that a function gives in a child process, which may enter namespaces; or the error that it raised."""
    from crate.linux.process import fork_child

    told, tell = os.pipe2(os.O_CLOEXEC)

    def child() -> NoReturn:
        try:
            text = look()
        except Exception as error:
            text = str(error)
        os.write(tell, text.encode()[:4096])
        os._exit(0)

    pid = fork_child(child)
    os.close(tell)
    text = os.read(told, 4096).decode(errors="replace")
    os.close(told)
    os.waitpid(pid, 0)
    return text


def _interpreter(patient: Patient) -> Finding:
    """Whether a container could write to the program that enters it (decision 45)."""
    import sys

    from crate.runtime.sealed import DIRECTORY, is_safe

    name = sys._xoptions.get("crate_python") or sys.executable
    if is_safe() or not patient.rootless:
        return patient.good("interpreter", f"{name}, protected from containers")
    return patient.good(
        "interpreter", f"{name} is this user's own: each command runs from a read-only mount, not {DIRECTORY}"
    )


def _seccomp(patient: Patient) -> Finding:
    if os.access("/proc/sys/kernel/seccomp", os.F_OK):
        return patient.good("seccomp", "the kernel has filters")
    return patient.bad(
        "seccomp", "the kernel has none", "no container starts without --security-opt seccomp=unconfined", ""
    )


def _init(patient: Patient) -> Finding:
    from crate.plan.host import Host

    program = Host().init_program()
    if program:
        return patient.good("init program", program)
    return patient.poor("init program", "none", "run --init does not work", "sudo apt install catatonit")


_OTHERS: tuple[Check, ...] = (_interpreter, _seccomp, _init)
