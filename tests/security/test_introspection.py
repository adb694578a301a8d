"""A default container looks at itself, as amicontained does: it has nothing beyond what docker documents."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from security.hostile import compiled

if TYPE_CHECKING:
    from program import Crate

pytestmark = [
    pytest.mark.requires("busybox"),
    pytest.mark.skipif(not shutil.which("musl-gcc"), reason="musl-gcc makes the program (apt install musl-tools)"),
]

#: calls with arguments that end otherwise than with EPERM where no filter stands before them: name, its arguments
REFUSED = {
    "acct": "SYS_acct, -1", "add_key": "SYS_add_key, 0, 0, 0, 0, 0", "bpf": "SYS_bpf, 99, 0, 0",
    "fanotify_init": "SYS_fanotify_init, -1, 0", "fsconfig": "SYS_fsconfig, -1, 0, 0, 0, 0",
    "fsmount": "SYS_fsmount, -1, 0, 0", "fsopen": "SYS_fsopen, 0, 0", "fspick": "SYS_fspick, -1, 0, 0",
    "io_uring_enter": "SYS_io_uring_enter, -1, 0, 0, 0, 0, 0",
    "io_uring_register": "SYS_io_uring_register, -1, 0, 0, 0",
    "io_uring_setup": "SYS_io_uring_setup, 1, 0", "keyctl": "SYS_keyctl, 0, -3, 0",
    "mount_setattr": "442, -1, 0, 0, 0, 0",
    "move_mount": "SYS_move_mount, -1, 0, -1, 0, 0", "open_by_handle_at": "SYS_open_by_handle_at, -1, 0, 0",
    "open_tree": "SYS_open_tree, -1, 0, 0", "perf_event_open": "SYS_perf_event_open, 0, 0, 0, 0, 0",
    "pivot_root": "SYS_pivot_root, 0, 0", "quotactl": "SYS_quotactl, -1, 0, 0, 0",
    "request_key": "SYS_request_key, 0, 0, 0, 0",
    "setns": "SYS_setns, -1, 0", "swapon": "SYS_swapon, 0, 0", "unshare": "SYS_unshare, 0x10000000",
    "userfaultfd": "SYS_userfaultfd, 1", "AF_ALG": "SYS_socket, 38, 5, 0", "AF_VSOCK": "SYS_socket, 40, 1, 0",
}  # fmt: skip
PROGRAM = """
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>
int main(void) {{
{calls}
    for (int fd = 0; fd < 1024; fd++) /* by itself: a shell that looks has more of its own */
        if (fcntl(fd, F_GETFD) >= 0)
            printf("descriptor%d\\n", fd);
    printf("clone3 %d\\n", syscall(435, 0, 0) < 0 ? errno : 0);
    return 0;
}}
"""
LOOK = """
/calls
grep -E '^(Cap|Seccomp:|NoNewPrivs:|Groups:)' /proc/self/status
echo pids $(ls /proc | grep -c '^[0-9]')
echo environment $(tr '\\0' '\\n' < /proc/1/environ | cut -d = -f 1 | sort)
echo devices $(ls /dev)
echo interfaces $(ls /sys/class/net)
for name in acpi asound interrupts kcore keys latency_stats sched_debug scsi timer_list timer_stats; do
    test ! -e /proc/$name || test -c /proc/$name -o -z "$(ls -A /proc/$name 2> /dev/null)" || echo unmasked /proc/$name
    test ! -s /proc/$name || test ! -f /proc/$name || echo readable /proc/$name
done
for name in /sys/firmware /sys/devices/virtual/powercap; do
    test -z "$(ls -A $name 2>/dev/null)" || echo unmasked $name
done
for name in /proc/sys/kernel/core_pattern /proc/sysrq-trigger /proc/irq/default_smp_affinity /sys/power/state; do
    (: > $name) 2> /dev/null && echo writable $name
done
cat /proc/self/mountinfo
"""
DOCKERS = 0xA80425FB  # chown dac_override fowner fsetid kill setgid setuid setpcap net_bind_service net_raw sys_chroot
# mknod audit_write setfcap
DEVICES = "core fd full mqueue null ptmx pts random shm stderr stdin stdout tty urandom zero"
#: the points at which a default container has mounts, and what options these must have
MOUNTS = {
    "/proc": "nosuid nodev noexec", "/dev": "nosuid", "/dev/pts": "nosuid noexec", "/dev/mqueue": "nosuid nodev noexec",
    "/dev/shm": "nosuid nodev noexec", "/sys": "ro nosuid nodev noexec", "/etc/hosts": "", "/etc/hostname": "",
    "/etc/resolv.conf": "", "/proc/bus": "ro", "/proc/fs": "ro", "/proc/irq": "ro", "/proc/sys": "ro",
    "/proc/sysrq-trigger": "ro", "/run/.containerenv": "", "/calls": "ro", "/": "",
}  # fmt: skip
#: what an ordinary user's devices are: binds of the host's
BOUND = {f"/dev/{name}" for name in "full null random tty urandom zero".split()}
MASKED = ("/proc/", "/sys/firmware", "/sys/devices/")


def look(crate: Crate) -> tuple[dict[str, str], dict[str, set[str]]]:
    """What the container says of itself: (facts by their first word, options of mounts by their place)."""
    place = crate.place  # an ordinary user may look into it
    lines = [f'    printf("{name} %d\\n", syscall({words}) < 0 ? errno : 0);' for name, words in REFUSED.items()]
    program = compiled(place, "calls", PROGRAM.format(calls="\n".join(lines)))
    words = ("run", "--rm", "--network", "none", "-v", f"{program}:/calls:ro", "crate.local/busybox", "sh", "-c", LOOK)
    facts, mounts = {}, {}
    for line in crate.ok(*words, HOST_SECRET="mine").splitlines():
        fields = line.split()
        if len(fields) > 6 and fields[0].isdigit():
            mounts[fields[4]] = set(fields[5].split(","))
        else:
            assert fields[0] not in ("unmasked", "readable", "writable"), line
            facts[fields[0].rstrip(":")] = " ".join(fields[1:])
    return facts, mounts


def check(facts: dict[str, str], mounts: dict[str, set[str]]) -> None:
    """What holds for root and for an ordinary user."""
    assert {name: facts[name] for name in REFUSED} == dict.fromkeys(REFUSED, "1")
    assert facts["clone3"] == "38"
    sets = {name: int(facts[f"Cap{name}"], 16) for name in ("Bnd", "Prm", "Eff", "Inh", "Amb")}
    assert sets == {"Bnd": DOCKERS, "Prm": DOCKERS, "Eff": DOCKERS, "Inh": 0, "Amb": 0}
    assert (facts["Seccomp"], facts["NoNewPrivs"]) == ("2", "0")
    assert sorted(name for name in facts if name.startswith("descriptor")) == [f"descriptor{fd}" for fd in (0, 1, 2)]
    assert int(facts["pids"]) < 5 and facts["interfaces"] == "lo"
    assert set(facts["devices"].split()) <= set(DEVICES.split()) and "HOST_SECRET" not in facts["environment"]
    assert facts["environment"] == "HOME HOSTNAME PATH container"
    for point, options in mounts.items():
        if point.startswith("/sys/fs/cgroup"):
            assert {"ro", "nosuid", "nodev", "noexec"} <= options, point  # CVE-2023-25809
        elif point in MOUNTS:
            assert set(MOUNTS[point].split()) <= options, (point, options)
        else:
            assert point in BOUND or point.startswith(MASKED), point


@pytest.mark.requires("root", "overlay")
def test_of_root(crate: Crate, busybox: str) -> None:
    facts, mounts = look(crate)
    check(facts, mounts)
    assert not BOUND & set(mounts)


@pytest.mark.requires("unprivileged-user")
def test_of_an_ordinary_user(rootless_crate: Crate) -> None:
    rootless_crate.ok("pull", "--quiet", "crate.local/busybox")
    check(*look(rootless_crate))
