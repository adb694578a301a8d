"""What options mean for an ordinary user: ids, binds, devices, namespaces, privileges."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from program import Crate, until
from terminal import Terminal

if TYPE_CHECKING:
    from users import User

IMAGE = "crate.local/busybox"

pytestmark = pytest.mark.requires("unprivileged-user", "busybox")


@pytest.fixture
def crate(rootless_crate: Crate, rootless_busybox: str) -> Crate:
    """An ordinary user's, with the image in its store."""
    return rootless_crate


def inside(crate: Crate, *arguments: str) -> str:
    """The output of `run --rm --network none` with options, then `--` words of the command."""
    cut = arguments.index("--")
    return crate.ok("run", "--rm", "--network", "none", *arguments[:cut], IMAGE, *arguments[cut + 1 :])


def user_of(crate: Crate) -> User:
    assert crate.user
    return crate.user


def test_binds_belong_to_root_inside(crate: Crate) -> None:
    shared = crate.place / "home"
    out = inside(crate, "-v", f"{shared}:/x", "--", "sh", "-c", "echo new > /x/new; stat -c %u:%g /x /x/new")
    assert out.split() == ["0:0", "0:0"]
    made = (shared / "new").stat()
    assert (made.st_uid, made.st_gid) == (user_of(crate).uid, user_of(crate).gid)


def test_host_s_files_are_nobody_s(crate: Crate) -> None:
    assert inside(crate, "-v", "/etc/passwd:/x", "--", "stat", "-c", "%u", "/x") == "65534"
    script = "cat /x/shadow; echo x >> /x/passwd"
    result = crate("run", "--rm", "--network", "none", "-v", "/etc:/x", IMAGE, "sh", "-c", script)
    assert result.status == 1 and result.err.lower().count("permission denied") == 2


def test_setuid_program_of_the_image(crate: Crate) -> None:
    make = "cp /bin/busybox /ping; chmod 4755 /ping; exec sleep 1000"
    crate.ok("run", "-d", "--name", "one", "--network", "none", IMAGE, "sh", "-c", make)
    until(lambda: crate("exec", "one", "test", "-u", "/ping").status == 0)
    assert "1 packets received" in crate.ok("exec", "-u", "1000", "one", "/ping", "-c1", "127.0.0.1")


def test_devices_are_the_host_s_own(crate: Crate) -> None:
    for option in (["--device", "/dev/null:/dev/other"], ["--privileged"]):
        out = inside(crate, *option, "--", "sh", "-c", "echo lost > /dev/null; stat -c %t:%T /dev/null /dev/zero")
        assert out.split() == ["1:3", "1:5"]
    assert inside(crate, "--device", "/dev/null:/dev/other", "--", "stat", "-c", "%t:%T", "/dev/other") == "1:3"
    assert crate("run", "--rm", "--network", "none", IMAGE, "mknod", "/dev/own", "c", "1", "3").status == 1


def test_privileged_has_all_rights_over_its_own_only(crate: Crate) -> None:
    script = "grep CapEff /proc/self/status; mkdir /m; mount -t tmpfs none /m && echo mounted; hostname other"
    out = inside(crate, "--privileged", "--", "sh", "-c", script)
    kernel = int(Path("/proc/sys/kernel/cap_last_cap").read_text())
    assert out.split() == ["CapEff:", f"{(1 << kernel + 1) - 1:016x}", "mounted"]
    before = Path("/proc/sys/kernel/panic").read_text()
    assert crate("run", "--rm", "--privileged", IMAGE, "sh", "-c", "echo 7 > /proc/sys/kernel/panic").status != 0
    assert Path("/proc/sys/kernel/panic").read_text() == before


def test_sysctls_of_own_namespaces(crate: Crate) -> None:
    options = ["--sysctl", "net.ipv4.ip_forward=1", "--sysctl", "kernel.shmmax=100000"]
    show = ["cat", "/proc/sys/net/ipv4/ip_forward", "/proc/sys/kernel/shmmax"]
    assert inside(crate, *options, "--", *show).split() == ["1", "100000"]


def test_low_ports_and_pings_for_any_user_of_the_container(crate: Crate) -> None:
    show = ["cat", "/proc/sys/net/ipv4/ip_unprivileged_port_start", "/proc/sys/net/ipv4/ping_group_range"]
    start, first, last = inside(crate, "--user", "1000", "--", *show).split()
    assert start == "0" and int(first) <= 1 and int(last) >= 65535


@pytest.mark.requires("catatonit")
def test_init(crate: Crate) -> None:
    assert inside(crate, "--init", "--", "sh", "-c", "echo $$") != "1"


def test_unmapped_user(crate: Crate) -> None:
    error = crate.fails(125, "run", "--rm", "--network", "none", "--user", "1000000", IMAGE, "true")
    assert "cannot run as uid 1000000: not mapped into the user namespace" in error


def test_namespaces_of_another_container(crate: Crate) -> None:
    crate.ok("run", "-d", "--name", "one", "--network", "none", IMAGE, "sh", "-c", "echo x > /dev/shm/x; sleep 1000")
    pid = crate.inspect("one")["State"]["Pid"]
    files = {kind: f"/proc/{pid}/ns/{kind}" for kind in ("pid", "ipc", "uts", "net")}
    theirs = [os.readlink(path) for path in files.values()] if os.geteuid() == 0 else []
    options = ["--pid", "container:one", "--ipc", "container:one", "--uts", "container:one"]
    show = "for kind in pid ipc uts net; do readlink /proc/self/ns/$kind; done; cat /dev/shm/x"
    out = crate.ok("run", "--rm", *options, "--network", "container:one", IMAGE, "sh", "-c", show).split()
    assert out[4] == "x" and (not theirs or out[:4] == theirs)


def test_container_in_the_pid_namespace_of_another_has_its_own_life(crate: Crate) -> None:
    crate.ok("run", "-d", "--name", "one", "--network", "none", IMAGE, "sleep", "1000")
    crate.ok("run", "-d", "--name", "two", "--network", "none", "--pid", "container:one", IMAGE, "sleep", "999")
    assert "sleep 1000" in crate.ok("exec", "two", "ps")
    crate.ok("stop", "-t", "0", "two")
    assert crate.ok("ps", "--format", "{{.Names}}") == "one"


def test_terminal(crate: Crate) -> None:
    terminal = Terminal(crate.command("run", "-it", "--rm", "--network", "none", IMAGE), crate.environment, 24, 80)
    try:
        terminal.expect("# ")
        terminal.type("tty; exit 7\n")
        terminal.expect("/dev/pts/0")
        assert terminal.end()[0] == 7
    finally:
        terminal.close()


def test_network_of_the_bridge_is_not_an_ordinary_user_s(crate: Crate) -> None:
    error = crate.fails(125, "run", "--rm", "--network", "other", IMAGE, "true")
    assert "network" in error


def test_what_is_not_an_ordinary_user_s_is_told(crate: Crate) -> None:
    words = ("--oom-score-adj", "-900", "--ulimit", "memlock=1:9999999999999", "--name", "one", IMAGE)
    said = crate("create", *words).err.splitlines()
    assert [line.split(" is ")[0] for line in said] == ["WARNING: ulimit memlock", "WARNING: oom score adj"]
    assert crate.inspect("one")["HostConfig"]["NetworkMode"] == "pasta"


@pytest.mark.requires("pasta")
def test_default_network_is_pasta(crate: Crate) -> None:
    for option in ([], ["--network", "bridge"], ["--network", "pasta:-t,none"]):
        assert "scope global" in crate.ok("run", "--rm", *option, IMAGE, "ip", "-o", "addr")


@pytest.mark.requires("pasta")
def test_pasta_ends_with_a_killed_monitor(crate: Crate) -> None:
    crate.ok("run", "-d", "--name", "one", IMAGE, "sleep", "1000")
    state = crate.inspect("one")["State"]
    listed = Path(f"/proc/{state['ConmonPid']}/task/{state['ConmonPid']}/children")
    until(lambda: len(listed.read_text().split()) == 2, what="the container and pasta")
    children = listed.read_text().split()
    os.kill(state["ConmonPid"], 9)
    until(lambda: all(_is_gone(pid) for pid in children), what="pasta and the container are gone")


def _is_gone(pid: str) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] == "Z"
    except OSError:
        return True


@pytest.mark.requires("slirp4netns", "tun")
def test_slirp4netns(crate: Crate) -> None:
    assert "10.0.2.100" in crate.ok("run", "--rm", "--network", "slirp4netns", IMAGE, "ip", "-o", "addr")
