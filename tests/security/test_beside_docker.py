"""The same program looks at a default container of a real dockerd and at one of crate: here it sees nothing more."""

from __future__ import annotations

import io
import platform
import shutil
import subprocess
import tarfile
from collections import defaultdict
from typing import TYPE_CHECKING

import pytest

from crate.linux.syscall_table import numbers
from program import until
from security.hostile import compiled

if TYPE_CHECKING:
    from pathlib import Path

    from program import Crate

pytestmark = [
    pytest.mark.slow,
    pytest.mark.requires("root", "overlay", "busybox", "dockerd"),
    pytest.mark.skipif(not shutil.which("docker"), reason="no program docker (apt install docker.io)"),
    pytest.mark.skipif(not shutil.which("musl-gcc"), reason="musl-gcc makes the program (apt install musl-tools)"),
]

#: prints lines of "kind, tab, key, tab, value"
PROBE = r"""
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *const paths[] = {
    "/proc/acpi", "/proc/asound", "/proc/bus", "/proc/fs", "/proc/interrupts", "/proc/irq", "/proc/kallsyms",
    "/proc/kcore", "/proc/keys", "/proc/kmsg", "/proc/latency_stats", "/proc/sched_debug", "/proc/scsi",
    "/proc/sys/kernel/core_pattern", "/proc/sys/kernel/hostname", "/proc/sysrq-trigger", "/proc/timer_list",
    "/proc/timer_stats", "/proc/config.gz", "/sys/class/thermal", "/sys/devices/virtual/powercap", "/sys/firmware",
    "/sys/fs/bpf", "/sys/fs/cgroup", "/sys/kernel/debug", "/sys/kernel/security", "/sys/kernel/tracing",
    "/sys/power/state", "/dev/kmsg", "/dev/mem", "/dev/fuse", "/dev/net/tun", "/dev/vda", "/dev/sda", "/dev/console"};

/* ends with 0, does not end, or concerns more than this process */
static int left_out(int n) {
    static const int numbers[] = {
#ifdef SYS_fork
        SYS_fork, SYS_vfork, SYS_pause, SYS_select, SYS_poll,
#endif
        SYS_exit, SYS_exit_group, SYS_rt_sigreturn, SYS_rt_sigsuspend, SYS_pselect6, SYS_ppoll, SYS_kill,
        SYS_rt_sigtimedwait, SYS_reboot, SYS_sync, SYS_vhangup};
    for (unsigned i = 0; i < sizeof numbers / sizeof *numbers; i++)
        if (numbers[i] == n)
            return 1;
    return 0;
}

static void tell_call(int n) {
    int ends[2], told = -1;
    if (pipe(ends))
        exit(2);
    pid_t child = fork();
    if (!child) {
        alarm(1);
        errno = 0;
        int got = syscall(n, -1, -1, -1, -1, -1, -1) < 0 ? errno : 0;
        write(ends[1], &got, sizeof got);
        _exit(0);
    }
    close(ends[1]);
    waitpid(child, 0, 0);
    read(ends[0], &told, sizeof told);
    close(ends[0]);
    printf("call\t%d\t%d\n", n, told);
}

static void tell_path(const char *path) {
    struct stat found;
    if (lstat(path, &found))
        return;
    int fd = open(path, O_RDONLY | O_NONBLOCK);
    char byte;
    int shows = S_ISREG(found.st_mode) ? fd >= 0 && read(fd, &byte, 1) == 1 : fd >= 0;
    DIR *directory = S_ISDIR(found.st_mode) ? opendir(path) : 0;
    if (directory) {
        shows = 0;
        for (struct dirent *entry; (entry = readdir(directory));)
            shows |= entry->d_name[0] != '.';
        closedir(directory);
    } else if (S_ISCHR(found.st_mode) && found.st_rdev == 0x103)
        shows = 0; /* the null device, for a mask */
    int writes = !(S_ISCHR(found.st_mode) && found.st_rdev == 0x103) && !access(path, W_OK);
    printf("shows\t%s\t%d\nwrites\t%s\t%d\n", path, shows, path, writes);
    close(fd);
}

int main(void) {
    char line[4096], name[256], value[3800], target[256];
    for (int fd = 0; fd < 1024; fd++)
        if (fcntl(fd, F_GETFD) >= 0)
            printf("descriptor\t%d\t1\n", fd);
    FILE *file = fopen("/proc/self/status", "r");
    while (fgets(line, sizeof line, file))
        if (sscanf(line, "%255[^:]: %3799[^\n]", name, value) == 2 &&
            (!strncmp(name, "Cap", 3) || strstr("Seccomp NoNewPrivs Groups Uid Gid", name)))
            printf("status\t%s\t%s\n", name, value);
    fclose(file);
    file = fopen("/proc/self/mountinfo", "r");
    while (fgets(line, sizeof line, file))
        if (sscanf(line, "%*s %*s %*s %255s %255s %3799s", target, name, value) == 3)
            printf("mount\t%s\t%s %s\n", name, target, value);
    fclose(file);
    DIR *devices = opendir("/dev");
    for (struct dirent *entry; (entry = readdir(devices));) {
        struct stat found;
        if (!fstatat(dirfd(devices), entry->d_name, &found, AT_SYMLINK_NOFOLLOW))
            printf("device\t%s\t%o %lx\n", entry->d_name, found.st_mode & S_IFMT, (long)found.st_rdev);
    }
    closedir(devices);
    for (unsigned i = 0; i < sizeof paths / sizeof *paths; i++)
        tell_path(paths[i]);
    for (int family = 0; family < 46; family++)
        for (int type = 1; type < 4; type++) {
            int fd = socket(family, type, 0);
            printf("socket\t%d %d\t%d\n", family, type, fd < 0 ? errno : 0);
            close(fd);
        }
    fflush(stdout);
    for (int n = 0; n < 480; n++)
        if (!left_out(n)) {
            tell_call(n);
            fflush(stdout);
        }
    return 0;
}
"""

#: in namespaces of its own: everything ends with the first process
DAEMON = """
umount /sys/fs/cgroup/unified 2> /dev/null
ip link set lo up
exec dockerd --data-root "$1/data" --exec-root "$1/exec" --pidfile "$1/pid" -H "unix://$1/sock" \\
    --bridge none --iptables=false --cgroup-parent "$2" > "$1/log" 2>&1
"""

#: calls that the profile of docker 20.10 refused or did not know, and that of later versions allows
NEWER = {
    "name_to_handle_at", "process_vm_readv", "process_vm_writev", "pkey_alloc", "pkey_free", "pkey_mprotect",
    "cachestat", "fchmodat2", "futex_requeue", "futex_wait", "futex_wake", "listmount", "mseal",
    "statmount", "getxattrat", "listxattrat", "removexattrat", "setxattrat",
}  # fmt: skip
#: an errno with which a filter, or the capability behind a call, answers
REFUSED = {"1", "38"}
NAMES = {str(number): name for name, number in numbers(platform.machine().upper()).items()}
FLAGS = {"ro", "nosuid", "nodev", "noexec"}
#: mounts that docker does not have: podman's file; the unified hierarchy, without which its daemon has to start here
OWN_MOUNTS = {"/run/.containerenv", "/sys/fs/cgroup/unified"}

Seen = dict[str, dict[str, str]]


def parsed(text: str) -> Seen:
    seen: Seen = defaultdict(dict)
    for line in text.splitlines():
        kind, key, value = line.split("\t", 2)
        seen[kind][key] = value
    assert set(seen) == {"descriptor", "status", "mount", "device", "shows", "writes", "socket", "call"}, text
    assert len(seen["call"]) > 450
    return seen


@pytest.fixture
def image(tmp_path: Path) -> Path:
    """An archive of a file system with the program as /probe."""
    program = compiled(tmp_path, "probe", PROBE)
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        archive.add(program, "probe")
    (tmp_path / "image.tar").write_bytes(stream.getvalue())
    return tmp_path / "image.tar"


def seen_by_docker(crate: Crate, image: Path) -> Seen:
    """In a default container of a dockerd of its own; skips where that cannot run."""
    place, parent = crate.place / "d", f"/crate-test-docker-{crate.mark}"
    place.mkdir()
    words = ["unshare", "--mount", "--net", "--pid", "--fork", "--kill-child", "--mount-proc", "sh", "-c", DAEMON, "sh"]
    daemon = subprocess.Popen([*words, str(place), parent])
    docker = ["docker", "-H", f"unix://{place}/sock"]

    def ask(*command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([*docker, *command], capture_output=True, text=True, timeout=120, check=False)

    try:
        until(lambda: daemon.poll() is not None or ask("version").returncode == 0, 60)
        if daemon.poll() is not None:
            pytest.skip(f"no dockerd can run here: {(place / 'log').read_text()[-300:]}")
        assert ask("import", str(image), "probe").returncode == 0
        done = ask("run", "--rm", "--network", "none", "probe", "/probe")
        if done.returncode == 125:
            pytest.skip(f"this dockerd can run no container here: {done.stderr}")
        assert done.returncode == 0, done
        return parsed(done.stdout)
    finally:
        daemon.kill()  # and by it all that is in its pid namespace
        daemon.wait()
        remove = ["find", "/sys/fs/cgroup", "-depth", "-type", "d", "-path", f"*{parent}*", "-exec", "rmdir", "{}", ";"]
        subprocess.run(remove, check=False)


def more(ours: Seen, docker: Seen) -> set[str]:
    """What is to be seen here and not there: kinds and keys."""
    found = {f"status {key}" for key, value in ours["status"].items() if value != docker["status"][key]}
    found |= {f"descriptor {key}" for key in ours["descriptor"].keys() - docker["descriptor"].keys()}
    for number, got in ours["call"].items():
        if got not in REFUSED and docker["call"][number] in REFUSED and NAMES.get(number) not in NEWER:
            found.add(f"call {NAMES.get(number, number)}")
    found |= {f"socket {key}" for key, got in ours["socket"].items() if got == "0" != docker["socket"][key]}
    for kind in ("shows", "writes"):
        found |= {f"{kind} {path}" for path, got in ours[kind].items() if got > docker[kind].get(path, "0")}
    found |= {f"device {name}" for name, _ in ours["device"].items() - docker["device"].items()}
    hidden = {path for path in ours["mount"] if ours["shows"].get(path) == "0" == ours["writes"].get(path)}
    found |= {f"mount {path}" for path in ours["mount"].keys() - docker["mount"].keys() - hidden - OWN_MOUNTS}
    for path in ours["mount"].keys() & docker["mount"].keys() - hidden:
        here, there = (set(seen["mount"][path].split(" ")[1].split(",")) for seen in (ours, docker))
        found |= {f"mount {path} without {option}" for option in there & FLAGS - here}
    return found


def test_a_default_container_shows_nothing_that_dockers_does_not(crate: Crate, image: Path) -> None:
    docker = seen_by_docker(crate, image)
    crate.ok("import", "--quiet", str(image), "probe")

    def look(*options: str) -> set[str]:
        told = crate.ok("run", "--rm", "--network", "none", *options, "probe", "/probe", timeout=120)
        return more(parsed(told), docker)

    assert look() == set()
    # what the comparison finds where there is more
    assert {"status CapEff", "call fsopen"} <= look("--cap-add", "SYS_ADMIN")
    assert {"call keyctl", "status Seccomp"} <= look("--security-opt", "seccomp=unconfined")
    found = look("--security-opt", "unmask=/proc/keys:/proc/sys")
    assert {"shows /proc/keys", "writes /proc/sys/kernel/core_pattern"} <= found, found
    assert look("-v", "/:/host:ro") >= {"mount /host"}
    assert look("--device", "/dev/loop-control") >= {"device loop-control"}
