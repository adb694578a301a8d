"""The part of `doctor` about users: namespaces, subordinate ids, the run directory; and what all checks share."""

from __future__ import annotations

import os
import stat

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, TypedDict

    class Finding(TypedDict):
        """`status` is ok, warn (something is slower or missing) or fail (nothing works); `mends` is one command."""

        check: str
        status: str
        found: str
        costs: str
        mends: str

    Check = Callable[["Patient"], Finding]

_DIRECTORIES = ("/usr/bin", "/bin", "/usr/local/bin", "/usr/sbin", "/sbin")
_RANGE = 65536


class Patient:
    """Who asks, and where this user's things are or would be."""

    def __init__(self, options: dict[str, Any]) -> None:
        from crate.storage.roots import default_graphroot, user_place

        self.options = options
        self.rootless, runroot = user_place()
        self.runroot = options.get("runroot") or runroot
        self.graphroot = options.get("root") or default_graphroot(self.rootless)

    def good(self, check: str, found: str) -> Finding:
        """Nothing is missing."""
        return {"check": check, "status": "ok", "found": found, "costs": "", "mends": ""}

    def poor(self, check: str, found: str, costs: str, mends: str) -> Finding:
        """Something is missing or slower."""
        return {"check": check, "status": "warn", "found": found, "costs": costs, "mends": mends}

    def bad(self, check: str, found: str, costs: str, mends: str) -> Finding:
        """Containers do not work so."""
        return {"check": check, "status": "fail", "found": found, "costs": costs, "mends": mends}

    def read(self, path: str) -> str:
        """The text of a file; "" where it is not there."""
        try:
            with open(path, encoding="utf-8", errors="replace") as file:
                return file.read().strip()
        except OSError:
            return ""

    def program(self, name: str) -> str:
        """The path of a program of the host's; "" for none."""
        return next((f"{place}/{name}" for place in _DIRECTORIES if os.access(f"{place}/{name}", os.X_OK)), "")

    def existing(self, path: str) -> str:
        """The path, or the nearest directory above it that is there."""
        path = os.path.abspath(path)
        while not os.path.isdir(path):
            path = os.path.dirname(path)
        return path

    def mount_of(self, path: str) -> str:
        """Where the file system is mounted that a directory lies on."""
        while not os.path.ismount(path):
            path = os.path.dirname(path)
        return path

    def file_system(self, path: str) -> tuple[str, list[str]]:
        """Kind and options of the mount that a directory lies on (proc_pid_mountinfo(5))."""
        device = os.stat(path).st_dev
        number = f"{os.major(device)}:{os.minor(device)}"
        mount = self.mount_of(path)
        found = ("unknown", [""])
        for line in self.read("/proc/self/mountinfo").splitlines():
            words = line.split()
            kind = words[words.index("-") + 1]
            if words[4] == mount or (words[2] == number and found[0] == "unknown"):
                found = (kind, words[5].split(","))
        return found

    def name(self) -> str:
        """The user's name, or number."""
        from pwd import getpwuid

        try:
            return getpwuid(os.getuid()).pw_name
        except KeyError:
            return str(os.getuid())


def namespaces(patient: Patient) -> Finding:
    """Whether a user namespace can be made; each sysctl that forbids it by name."""
    check, works = "user namespaces", "no containers" if patient.rootless else "no --userns"
    tell = patient.bad if patient.rootless else patient.poor
    for key, forbids in (
        ("user.max_user_namespaces", "0"),
        ("kernel.unprivileged_userns_clone", "0"),
        ("kernel.apparmor_restrict_unprivileged_userns", "1"),
    ):
        if patient.read(f"/proc/sys/{key.replace('.', '/')}") == forbids:
            if key != "user.max_user_namespaces" and not patient.rootless:
                continue
            value = {"user.max_user_namespaces": "15000", "kernel.unprivileged_userns_clone": "1"}.get(key, "0")
            return tell(check, f"{key} is {forbids}", works, f"sudo sysctl -w {key}={value}")
    if not os.access("/proc/self/ns/user", os.F_OK):
        return tell(check, "the kernel has none", works, "")
    from crate.engine.doctor.host import in_child
    from crate.linux import namespace

    def make() -> str:
        namespace.unshare(namespace.CLONE_NEWUSER)
        return ""

    fault = in_child(make)
    if fault:
        return tell(check, f"cannot be made: {fault}", works, "sudo sysctl -w user.max_user_namespaces=15000")
    return patient.good(check, f"at most {patient.read('/proc/sys/user/max_user_namespaces')}")


def subordinate(patient: Patient) -> Finding:
    """The ranges of subuid(5) and subgid(5)."""
    from crate.plan.host import Host

    check, host = "subordinate ids", Host(patient.rootless)
    names = [patient.name(), str(os.getuid())] if patient.rootless else ["containers"]
    counts = []
    for path in ("/etc/subuid", "/etc/subgid"):
        counts.append(sum(count for name in names for _, count in host.subordinate(path, name)))
    text = f"{counts[0]} in /etc/subuid, {counts[1]} in /etc/subgid, for {names[0]}"
    first = _free_range(patient)
    if not patient.rootless:
        if min(counts):
            return patient.good(check, text)
        return patient.poor(
            check,
            text,
            "--userns auto does not work",
            "echo containers:2147483648:1073741824 | tee -a /etc/subuid /etc/subgid",
        )
    mend = (
        f"sudo usermod --add-subuids {first}-{first + _RANGE - 1} --add-subgids {first}-{first + _RANGE - 1} {names[0]}"
    )
    if not min(counts):
        return patient.poor(check, text, "a single id: no other users in containers, all files are root's", mend)
    if min(counts) < _RANGE:
        return patient.poor(check, text, f"images with ids above {min(counts)} do not work", mend)
    return patient.good(check, text)


def _free_range(patient: Patient) -> int:
    """The first id of a range that is nobody's by now."""
    ends = [100000]
    for path in ("/etc/subuid", "/etc/subgid"):
        for line in patient.read(path).splitlines():
            fields = line.split(":")
            if len(fields) == 3 and fields[1].isdigit() and fields[2].isdigit():
                ends.append(int(fields[1]) + int(fields[2]))
    return max(end for end in ends if end < 1 << 31)


def programs(patient: Patient) -> Finding:
    """Those that write the maps of ordinary users."""
    check = "newuidmap, newgidmap"
    found = [patient.program(name) for name in ("newuidmap", "newgidmap")]
    if not all(found):
        tell = patient.bad if patient.rootless else patient.poor
        costs = "subordinate ids cannot be used" if patient.rootless else "ordinary users have a single id"
        return tell(check, "not there", costs, "sudo apt install uidmap")
    for path in found:
        if not os.stat(path).st_mode & stat.S_ISUID and "security.capability" not in os.listxattr(path):
            tell = patient.bad if patient.rootless else patient.poor
            return tell(check, f"{path} is not setuid", "subordinate ids cannot be used", f"sudo chmod u+s {path}")
    return patient.good(check, ", ".join(found))


def _run_directory(patient: Patient) -> Finding:
    check = "run directory"
    place = patient.existing(patient.runroot)
    status = os.stat(place)
    kind, flags = patient.file_system(place)
    text = f"{patient.runroot} on {kind}"
    if place == os.path.abspath(patient.runroot):
        if status.st_uid != os.geteuid():
            return patient.bad(
                check, f"{text}, which belongs to uid {status.st_uid}", "nothing works", f"sudo rm -r {place}"
            )
    elif not os.access(place, os.W_OK) or "ro" in flags:
        return patient.bad(check, f"{place} cannot be written to", "nothing works", "crate --runroot /OTHER/DIRECTORY")
    return patient.good(check, text)


USER_CHECKS: tuple[Check, ...] = (namespaces, subordinate, programs, _run_directory)
