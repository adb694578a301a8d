"""Attacks from inside a default container, and by what a hostile image or neighbour put into it."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
from typing import TYPE_CHECKING

import pytest

from security.hostile import make_root

if TYPE_CHECKING:
    from pathlib import Path

    from program import Crate

pytestmark = pytest.mark.requires("root", "overlay", "busybox")
RUN = ("run", "--rm", "--network", "none")


def test_link_in_volume_leads_nowhere_but_in_it(crate: Crate, busybox: str) -> None:
    crate.ok(*RUN, "-v", "shared:/v", busybox, "ln", "-s", "/etc", "/v/sub")
    subpath = "type=volume,source=shared,target=/x,volume-subpath=sub"
    assert "cannot mount sub of volume shared" in crate.fails(125, *RUN, "--mount", subpath, busybox, "ls", "/x")
    crate.ok(*RUN, "-v", "shared:/v", busybox, "mkdir", "/v/etc")
    crate.ok(*RUN, "-v", "shared:/v", busybox, "touch", "/v/etc/own")
    assert crate.ok(*RUN, "--mount", subpath, busybox, "ls", "/x") == "own"


def test_link_put_after_creation_leads_nowhere(crate: Crate, busybox: str) -> None:
    crate.ok(*RUN, "-v", "shared:/v", busybox, "mkdir", "/v/sub")
    subpath = "type=volume,source=shared,target=/x,volume-subpath=sub"
    crate.ok("create", "--name", "late", "--network", "none", "--mount", subpath, busybox, "ls", "/x")
    crate.ok(*RUN, "-v", "shared:/v", busybox, "sh", "-c", "rmdir /v/sub; ln -s /etc /v/sub")
    result = crate("start", "--attach", "late")
    assert result.status == 125 and "cannot bind mount" in result.err, result


def test_owner_changes_only_within_volume(crate: Crate, busybox: str) -> None:
    victim = crate.place / "victim"
    victim.mkdir()
    crate.ok(*RUN, "-v", "shared:/v", busybox, "ln", "-s", str(victim), "/v/sub")
    subpath = "type=volume,source=shared,target=/x,volume-subpath=sub,U=true"
    assert crate(*RUN, "--user", "77", "--mount", subpath, busybox, "true").status == 125
    assert victim.stat().st_uid == os.geteuid()


@pytest.mark.requires("strace")
def test_device_that_becomes_a_link_while_it_is_made(crate: Crate, busybox: str) -> None:
    """Seen to catch a chmod(2) of a device by its name."""
    victim = crate.place / "victim"
    victim.touch(0o600)
    swap = f"until [ -c /v/null ]; do :; done; rm /v/null; ln -s {victim} /v/null; ls -l /v/null"
    attacker = crate.popen(*RUN, "-v", "shared:/v", busybox, "sh", "-c", swap)
    words = crate.command(*RUN, "-v", "shared:/dev", busybox, "true")
    late = ["-e", "inject=chmod,fchmodat:delay_enter=500000"]  # whoever changes the mode afterwards comes too late
    subprocess.run(
        ["strace", "-f", "-qq", "-o", "/dev/null", "-e", "trace=chmod,fchmodat", *late, *words],
        env=crate.environment, capture_output=True, timeout=60, check=False,
    )  # fmt: skip
    assert "victim" in attacker.communicate(timeout=60)[0]
    assert stat.S_IMODE(victim.stat().st_mode) == 0o600


@pytest.mark.parametrize(
    "attack",
    [
        "echo h > /proc/sysrq-trigger",
        "echo x > /proc/sys/kernel/core_pattern",
        "mount -o remount,rw /proc/sys",
        "umount /proc/sys",
        "unshare -m true",
        "mount -t cgroup -o memory none /mnt",
        "mkdir /sys/fs/cgroup/memory/made || mkdir /sys/fs/cgroup/made",
        "mknod /disk b 8 0 && head -c 1 /disk",
        "mknod /mem c 1 1 && head -c 1 /mem",
        "hostname taken",
        "dmesg",
        "test -s /proc/kcore || test -s /proc/keys",
        "ls /sys/firmware | grep .",
        "find / -name release_agent -perm -u=w | grep . && echo /x > $(find / -name release_agent | head -n 1)",
    ],
)
def test_default_container_may_not(crate: Crate, busybox: str, attack: str) -> None:
    assert crate(*RUN, busybox, "sh", "-c", f"mkdir -p /mnt; {attack}").status != 0


def test_nothing_of_the_host_comes_along(crate: Crate, busybox: str) -> None:
    descriptor = os.open("/etc", os.O_RDONLY)
    os.set_inheritable(descriptor, True)
    look = "tr '\\0' '\\n' < /proc/1/environ; env; cat /proc/1/cmdline; echo; ls /proc/1/fd; :"
    try:
        told = crate.ok(*RUN, busybox, "sh", "-c", look, HOST_SECRET="mine")
        crate.ok("run", "-d", "--name", "quiet", "--network", "none", busybox, "sleep", "60")
        told_by_exec = crate.ok("exec", "quiet", "sh", "-c", look.replace("/proc/1", "/proc/self"), HOST_SECRET="mine")
    finally:
        os.close(descriptor)
    assert "mine" not in told + told_by_exec and "CRATE_TEST" not in told + told_by_exec
    assert told.split("\n")[-3:] == ["0", "1", "2"]


def test_no_new_privileges_keep_setuid_programs_down(crate: Crate, busybox: str) -> None:
    root = make_root(crate.place)
    (root / "bin/busybox").chmod(0o4755)
    (root / "etc/busybox.conf").write_text("[SUID]\nid = ssx 0.0\n")
    (root / "bin/id").symlink_to("busybox")
    command = ("--user", "1000", "--rootfs", str(root), "id", "-u")
    assert crate.ok(*RUN, *command) == "0"
    assert "not permitted" in crate(*RUN, "--security-opt", "no-new-privileges", *command).err


@pytest.mark.parametrize("directory", ["/proc/self/fd/3", "/proc/self/fd/7", "/proc/self/fd/9", "/link"])
def test_working_directory_by_descriptor(crate: Crate, directory: str) -> None:
    root = make_root(crate.place)
    (root / "link").symlink_to("/proc/self/fd/7")
    crate.fails(125, *RUN, "--workdir", directory, "--rootfs", str(root), "ls")
    crate.ok("run", "-d", "--name", "there", "--network", "none", "--rootfs", str(root), "sh", "-c", "cat; :")
    crate("start", "there")
    assert crate("exec", "--workdir", directory, "there", "ls").status != 0


def test_program_by_descriptor(crate: Crate) -> None:
    """What a program's path or a script's interpreter finds above /proc/self/fd/N is none of the host's."""
    root, host = make_root(crate.place), crate.place / "busybox"
    shutil.copy("/bin/busybox", host)
    for number in range(3, 30):
        found = f"/proc/self/fd/{number}/{'../' * 9}{host}"
        (root / f"link{number}").symlink_to(found)
        (root / f"script{number}").write_text(f"#!{found} echo\n")
        (root / f"script{number}").chmod(0o755)
    crate.ok("run", "-di", "--name", "there", "--network", "none", "--rootfs", str(root), "sh", "-c", "cat; :")
    for number in range(3, 24):
        assert crate("exec", "there", f"/link{number}").status == 127, number
        assert crate(*RUN, "--rootfs", str(root), f"/script{number}").status == 127, number


def test_null_device_of_a_volume_is_no_way_out(crate: Crate, busybox: str) -> None:
    secret = crate.place / "secret"
    secret.write_text("of the host")
    crate.ok("volume", "create", "shared")
    null = crate.root / "volumes/shared/_data/null"
    for number in range(3, 24):
        null.symlink_to(f"/proc/self/fd/{number}/{'../' * 9}{secret}")
        assert "host" not in crate(*RUN, "-v", "shared:/dev", busybox, "cat").out, number
        null.unlink()


def test_interpreter_of_the_host_cannot_be_written(crate: Crate) -> None:
    root = make_root(crate.place)
    script = root / "attack"
    script.write_text("#!/proc/self/exe\n")
    script.chmod(0o755)
    crate.fails(127, *RUN, "--rootfs", str(root), "/attack")
    crate.ok("version")
    with open("/proc/self/mountinfo") as mounts:
        sealed = [line.split() for line in mounts if " /run/crate/interpreter/" in line]
    assert sealed and all("ro" in fields[5].split(",") for fields in sealed)


@pytest.mark.parametrize("target", ["/etc", "/", "../../../../../tmp"])
@pytest.mark.parametrize("name", ["proc", "sys"])
def test_linked_kernel_file_systems_are_refused(crate: Crate, name: str, target: str) -> None:
    root = make_root(crate.place)
    (root / name).symlink_to(target)
    assert f"on /{name}" in crate.fails(125, *RUN, "--rootfs", str(root), "echo")


@pytest.mark.parametrize(
    "words",
    [
        ("-v", "PLACE:/proc"),
        ("--tmpfs", "/proc"),
        ("-v", "PLACE:/proc/self/attr"),
        ("-v", "PLACE:/proc/sys"),
        ("--tmpfs", "/proc/1"),
        ("-v", "PLACE/file:/proc/version"),
        ("-v", "PLACE/file:/proc/sys/kernel/core_pattern"),
        ("-v", "PLACE:/proc/../proc/sys"),
        ("-v", "PLACE:/linked/kernel"),
        ("-v", "PLACE:/relative"),
        ("-v", "PLACE:/own/attr"),
    ],
)
def test_nothing_is_mounted_over_proc(crate: Crate, words: tuple[str, str]) -> None:
    root = make_root(crate.place)
    (root / "linked").symlink_to("/proc/sys")
    (root / "relative").symlink_to("bin/../../proc/tty")
    (root / "own").symlink_to("/proc/self")
    (crate.place / "file").touch()
    option, value = words[0], words[1].replace("PLACE", str(crate.place))
    assert "/proc" in crate.fails(125, *RUN, option, value, "--rootfs", str(root), "ls")


def test_files_of_lxcfs_and_proc_itself_may_be_mounted(crate: Crate, busybox: str) -> None:
    (crate.place / "file").write_text("forged\n")
    assert crate.ok(*RUN, "-v", f"{crate.place}/file:/proc/uptime", busybox, "cat", "/proc/uptime") == "forged"
    with open("/proc/1/comm") as file:
        assert crate.ok(*RUN, "-v", "/proc:/proc", busybox, "cat", "/proc/1/comm") == file.read().rstrip()


def test_linked_files_of_etc_stay_inside(crate: Crate) -> None:
    root = make_root(crate.place)
    victim = crate.place / "victim"
    (root / "etc/hostname").symlink_to(f"../../../../../../../..{victim}")
    (root / "etc/resolv.conf").symlink_to("../run/systemd/resolve/stub-resolv.conf")
    look = "echo written > /etc/hostname; ls /run/systemd/resolve"
    assert crate.ok(*RUN, "--rootfs", str(root), "sh", "-c", look) == "stub-resolv.conf"
    assert not victim.exists()


def _fifo(path: Path) -> None:
    os.mkfifo(path)


def _device(path: Path) -> None:
    os.mknod(path, stat.S_IFCHR | 0o666, os.makedev(1, 5))


def _huge(path: Path) -> None:
    path.touch()
    os.truncate(path, 1 << 33)


def _link_to_host(path: Path) -> None:
    path.symlink_to("/../../../../etc/passwd")


def _strange_digits(path: Path) -> None:
    path.write_text("nosuch:x:\N{SUPERSCRIPT TWO}:0:::\n")


def test_nul_bytes_are_refused_by_name(crate: Crate) -> None:
    root = make_root(crate.place)
    (root / "etc/passwd").write_text("odd:x:5:5::/home/\0odd:/bin/sh\n")
    (crate.place / "words").write_text("A=1\nB=\0\n")
    command = ("--rootfs", str(root), "sh", "-c", "cat; :")
    assert "home directory of user odd" in crate.fails(125, *RUN, "--user", "odd", *command)
    assert "environment" in crate.fails(125, *RUN, "--env-file", str(crate.place / "words"), *command)
    crate.ok("run", "-di", "--name", "there", "--network", "none", *command)
    assert "environment" in crate.fails(125, "exec", "--env-file", str(crate.place / "words"), "there", "ls")
    assert "home directory of user odd" in crate.fails(125, "exec", "--user", "odd", "there", "ls")


@pytest.mark.parametrize("make", [_fifo, _device, _huge, _link_to_host, _strange_digits])
def test_hostile_passwd(crate: Crate, make: object) -> None:
    root = make_root(crate.place)
    make(root / "etc/passwd")  # type: ignore[operator]
    crate.fails(125, *RUN, "--user", "nosuch", "--rootfs", str(root), "echo")
    assert crate.ok(*RUN, "--user", "5", "--rootfs", str(root), "echo", "here") == "here"
