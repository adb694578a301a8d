"""`run --diagnose`: each kind of refusal is provoked, named, and allowed by the very option that the report gives."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import signal
import struct
import time
from pathlib import Path

import pytest

from program import Crate, until
from security.diagnosing import PROBE, RUN, report
from security.hostile import compiled, make_root
from terminal import Terminal

pytestmark = [
    pytest.mark.requires("overlay", "busybox"),
    pytest.mark.skipif(not shutil.which("musl-gcc"), reason="musl-gcc makes the program (apt install musl-tools)"),
]


@pytest.fixture(scope="session")
def probe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return compiled(tmp_path_factory.mktemp("diagnose"), "probe", PROBE)


# options, the command, the call, its errno, how the rule begins, the option that is tried (the first one, if empty)
CASES = [
    ("", "/probe io_uring", "io_uring_setup", "EPERM", "seccomp", "--security-opt seccomp=unconfined"),
    ("", "/probe unshare_user", "unshare CLONE_NEWUSER", "EPERM", "seccomp", "--cap-add SYS_ADMIN"),
    ("", "/probe unshare_user", "unshare CLONE_NEWUSER", "EPERM", "seccomp", "--security-opt seccomp=unconfined"),
    ("", "/probe setns", "setns CLONE_NEWUTS", "EPERM", "seccomp", "--cap-add SYS_ADMIN"),
    ("", "/probe mount", "mount /etc", "EPERM", "seccomp", "--cap-add SYS_ADMIN"),
    ("", "/probe clock", "clock_settime", "EPERM", "seccomp", "--cap-add SYS_TIME"),
    ("--cap-drop NET_RAW", "/probe packet", "socket AF_PACKET", "EPERM", "capability", "--cap-add NET_RAW"),
    (
        "--cap-drop NET_BIND_SERVICE --sysctl net.ipv4.ip_unprivileged_port_start=1024",
        "/probe bind", "bind port 80", "EACCES", "capability: CAP_NET_BIND_SERVICE", "--cap-add NET_BIND_SERVICE",
    ),
    ("--cap-drop ALL", "/probe chown", "chown /etc", "EPERM", "capability: CAP_CHOWN", "--cap-add CHOWN"),
    ("--user 1000", "/probe chown", "chown /etc", "EPERM", "capability: CAP_CHOWN", "--user 0"),
    ("", "ip address add 10.9.9.9/32 dev lo", "netlink route RTM_NEWADDR", "EPERM", "cap", "--cap-add NET_ADMIN"),
    ("", "ifconfig lo mtu 1000", "ioctl 0x8922", "EPERM", "capability: CAP_NET_ADMIN", "--cap-add NET_ADMIN"),
    ("--user 1000", "chmod 700 /bin", "chmod /bin", "EPERM", "owner: /bin belongs to 0", "--user 0"),
    ("--user 1000", "mkdir /etc/made", "mkdir /etc/made", "EACCES", "mode: /etc is 0:0 0755, the", "--user 0"),
    ("--read-only", "mkdir /etc/made", "mkdir /etc/made", "EROFS", "read-only", "--tmpfs /etc"),
    ("--read-only", "mkdir /made", "mkdir /made", "EROFS", "read-only", "--read-only=false"),
    ("-v vol:/vol:ro", "mkdir /vol/made", "mkdir /vol/made", "EROFS", "read-only: the mount at /vol", "-v vol:/vol:rw"),
    ("", "ls /sys/firmware", "openat /sys/firmware", "", "masked", "--security-opt unmask=/sys/firmware"),
    (
        "", "sh -c 'echo 9 > /proc/sys/kernel/domainname'", "openat /proc/sys/kernel/domainname", "EROFS",
        "read-only: the mount at /proc/sys", "--security-opt unmask=/proc/sys",
    ),
    (
        "--tmpfs /t", "sh -c 'cp /bin/busybox /t; /t/busybox true'", "execve /t/busybox", "EACCES",
        "mount option noexec on /t", "--tmpfs /t:exec",
    ),
]  # fmt: skip


def without(options: str, new: str) -> str:
    """The options, less the one that the new one replaces."""
    for word in ("--tmpfs /t", "-v vol:/vol:ro", "--user 1000"):
        if new.partition(" ")[0] == word.partition(" ")[0] and new.startswith(word.split(":")[0][: len("--user")]):
            options = options.replace(word, "")
    return options


@pytest.mark.parametrize("part", range(4))
def test_the_option_of_the_report_allows_the_call(crate: Crate, busybox: str, probe: Path, part: int) -> None:
    mount = ("-v", f"{probe}:/probe:ro")
    for options, command, call, errno, rule, option in CASES[part::4]:
        words = shlex.split(command)
        first = crate(*RUN, *mount, *shlex.split(options), busybox, *words)
        (found,) = [one for one in report(first.err) if one.call == call]
        assert found.errno == errno and found.rule.startswith(rule), found
        assert option in found.options, found
        second = crate(*RUN, *mount, *shlex.split(without(options, option)), *shlex.split(option), busybox, *words)
        assert [one for one in report(second.err) if one.call == call] == [], (option, second)
        assert second.status == 0 and (words[0] != "/probe" or second.out.endswith("ok\n")), (option, second)


@pytest.mark.requires("root")
@pytest.mark.skipif(not Path("/dev/fuse").exists(), reason="no /dev/fuse")
def test_devices(crate: Crate, busybox: str) -> None:
    script = ("sh", "-c", "mknod /node c 10 229 && exec 3< /node && echo opened")
    (found,) = report(crate(*RUN, busybox, *script).err)
    assert (found.call, found.errno) == ("openat /node", "EPERM") and "do not allow c 10:229" in found.rule
    assert found.options == ["--device /dev/fuse:/node", "--device-cgroup-rule 'c 10:229 rwm'"]
    for option, work in zip(found.options, (script[2].partition("&&")[2], script[2]), strict=True):
        result = crate(*RUN, *shlex.split(option), busybox, "sh", "-c", work)
        assert result.out == "opened\n" and report(result.err) == []


@pytest.mark.requires("root")
def test_a_file_of_somebody_else(crate: Crate) -> None:
    root = make_root(crate.place)
    shadow = root / "etc/shadow"
    shadow.write_text("secret\n")
    shadow.chmod(0o640)
    os.chown(shadow, 5, 42)
    (root / "etc/link").symlink_to("shadow")
    command = ("--rootfs", str(root), "cat", "/etc/link")
    (found,) = report(crate(*RUN, "--user", "1000", *command).err)
    assert found.rule == "mode: /etc/link is 5:42 0640, the program 1000:0" and found.errno == "EACCES", found
    assert found.options == ["--group-add 42", "--user 5", "--user 0"]
    for option in found.options:
        user = () if option.startswith("--user") else ("--user", "1000")
        result = crate(*RUN, *user, *option.split(), *command)
        assert result.out == "secret\n" and report(result.err) == []
    (found,) = report(crate(*RUN, "--cap-drop", "DAC_OVERRIDE,DAC_READ_SEARCH", *command).err)
    assert found.options == ["--cap-add DAC_OVERRIDE"]


@pytest.mark.requires("root")
def test_no_new_privileges(crate: Crate) -> None:
    root = make_root(crate.place)
    (root / "bin/busybox").chmod(0o4755)
    (root / "etc/busybox.conf").write_text("[SUID]\nid = ssx 0.0\n")
    (root / "bin/id").symlink_to("busybox")
    command = ("--user", "1000", "--rootfs", str(root), "id", "-u")
    refused = report(crate(*RUN, "--security-opt", "no-new-privileges", *command).err)
    (found,) = [one for one in refused if one.call == "execve /bin/busybox"]
    assert found.rule.startswith("no_new_privs") and found.options == ["--security-opt no-new-privileges=false"]
    result = crate(*RUN, "--security-opt", "no-new-privileges", *found.options[0].split(), *command)
    assert result.out == "0\n" and report(result.err) == []  # a traced set-user-ID program has its rights
    chown = root / "bin/chown"
    shutil.copy("/bin/busybox", chown)
    os.setxattr(chown, "security.capability", struct.pack("<5I", 0x02000001, 1, 0, 0, 0))  # CAP_CHOWN
    capable = ("--user", "1000", "--rootfs", str(root), "chown", "1000", "/etc")
    refused = report(crate(*RUN, "--security-opt", "no-new-privileges", *capable).err)
    assert [one.call for one in refused] == ["execve /bin/chown", "chown /etc"], refused
    assert refused[0].rule.startswith("no_new_privs: a program with file capabilities")
    assert crate(*RUN, *refused[0].options[0].split(), *capable).err == "diagnosis: nothing was refused\n"


@pytest.mark.requires("landlock")
def test_landlock(crate: Crate, busybox: str, probe: Path) -> None:
    options = ("-v", f"{probe}:/probe:ro", "--cap-add", "SYS_ADMIN", "--security-opt", "landlock")
    (found,) = report(crate(*RUN, *options, busybox, "/probe", "mount").err)
    assert (found.call, found.rule, found.options) == (
        "mount /etc",
        "landlock: the second wall",
        ["--security-opt landlock=false"],
    )
    assert crate.ok(*RUN, *options, *found.options[0].split(), busybox, "/probe", "mount") == "mount ok"


def test_own_profile(crate: Crate, busybox: str) -> None:
    """A profile of one's own: what it allows with a capability, what it kills for."""
    rules = [
        {"names": ["mkdir"], "action": "SCMP_ACT_ERRNO", "errnoRet": 13, "excludes": {"caps": ["CAP_SYS_TIME"]}},
        {"names": ["rmdir"], "action": "SCMP_ACT_KILL_PROCESS"},
    ]
    profile = crate.place / "profile.json"
    profile.write_text(json.dumps({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": rules}))
    result = crate(
        *RUN, "--security-opt", f"seccomp={profile}", busybox, "sh", "-c", "mkdir /made; rmdir /made; exit 3"
    )
    assert result.status == 3
    made, killed = report(result.err)
    assert (made.call, made.errno, made.options) == (
        "mkdir /made",
        "EACCES",
        ["--cap-add SYS_TIME", "--security-opt seccomp=unconfined"],
    )
    assert (killed.call, killed.errno) == ("rmdir", "SIGSYS") and killed.rule.startswith("seccomp")


def test_threads_forks_and_counts(crate: Crate, busybox: str, probe: Path) -> None:
    options = ("-v", f"{probe}:/probe:ro", "--cap-drop", "SYS_CHROOT")
    result = crate(*RUN, *options, busybox, "/probe", "threads")
    assert result.status == 0 and result.out == "threads ok\n"
    (found,) = report(result.err)
    assert (found.call, found.times) == ("chroot /", 14)
    # execve(2) by a thread that is not the first: it takes the first one's number
    result = crate(*RUN, "-v", f"{probe}:/probe:ro", "--cap-drop", "CHOWN", busybox, "/probe", "exec_in_thread")
    assert result.out == "chown Operation not permitted\n" and [one.call for one in report(result.err)] == [
        "chown /etc"
    ]


def test_who_falls_back_is_not_refused(crate: Crate, busybox: str, probe: Path) -> None:
    """clone3 does not exist in the profile, so that libraries take clone."""
    options = ("-v", f"{probe}:/probe:ro", busybox, "/probe")
    assert report(crate(*RUN, *options, "clone3_then_clone").err) == []
    (found,) = report(crate(*RUN, *options, "clone3_alone").err)
    assert (found.call, found.errno) == ("clone3", "ENOSYS") and "--cap-add SYS_ADMIN" in found.options


def test_who_traces_itself(crate: Crate, busybox: str, probe: Path) -> None:
    result = crate(*RUN, "-v", f"{probe}:/probe:ro", busybox, "/probe", "ptrace")
    (found,) = report(result.err)
    assert found.call == "ptrace 0" and found.options == ["--diagnose=false"]


def test_exits_and_signals_are_as_ever(crate: Crate, busybox: str) -> None:
    result = crate(*RUN, busybox, "sh", "-c", "exit 32")
    assert result.status == 32 and result.err == "diagnosis: nothing was refused\n" and not result.out
    assert crate(*RUN, busybox, "/nowhere").status == 127
    assert crate(*RUN, busybox, "sh", "-c", "sh -c 'kill -SEGV $$'; exit $?").status == 139
    # the first process ignores what comes from within; a stop lasts until SIGCONT
    script = (
        "kill -STOP 1; kill -TERM 1; sh -c 'kill -STOP $$; echo went on' &"
        "until grep 'State:.[Tt]' /proc/$!/status; do sleep 0.05; done;"
        "kill -CONT $!; wait; trap 'echo got it; exit 5' USR1; kill -USR1 1; sleep 9"
    )
    result = crate(*RUN, busybox, "sh", "-c", script)
    assert result.status == 5 and result.out.split("\n")[1:3] == ["went on", "got it"], result
    assert "T (stopped)" in result.out or "t (tracing stop)" in result.out
    process = crate.popen("run", "--name", "one", "--network", "none", "--diagnose", busybox, "sleep", "60")
    until(lambda: crate("exec", "one", "true").status == 0)
    process.send_signal(signal.SIGTERM)
    time.sleep(0.3)
    assert process.poll() is None  # sleep as the first process has no handler, and so does not end
    crate.ok("kill", "one")
    process.wait(timeout=60)
    assert process.returncode == 137
    crate.ok("rm", "one")


def test_detached_and_later(crate: Crate, busybox: str) -> None:
    script = "chroot / true; sleep 60"
    crate.ok(
        "run",
        "-d",
        "--diagnose",
        "--name",
        "one",
        "--network",
        "none",
        "--cap-drop",
        "SYS_CHROOT",
        busybox,
        "sh",
        "-c",
        script,
    )
    seen = until(lambda: crate("diagnose", "one").out.replace("diagnosis: nothing was refused so far\n", ""))
    assert "--cap-add SYS_CHROOT" in seen
    crate.ok("stop", "-t", "0", "one")
    found = json.loads(crate.ok("diagnose", "--json", "one"))
    assert found["ended"] and found["refusals"][0]["call"] == "chroot /"
    crate.ok(
        "create", "--diagnose", "--name", "two", "--network", "none", busybox, "sh", "-c", "unshare -U true; exit 4"
    )
    result = crate("start", "-a", "two")
    assert result.status == 4 and report(result.err)[0].call == "unshare CLONE_NEWUSER"
    words = ("--rm", "--diagnose", "--name", "gone", "--network", "none", busybox, "unshare", "-U", "true")
    crate.ok("create", *words)
    assert "crate start --attach gone" in crate.fails(125, "start", "gone")
    assert report(crate("start", "--attach", "gone").err)[0].call == "unshare CLONE_NEWUSER"
    assert crate.ok("ps", "-aq", "--filter", "name=gone") == ""
    crate.ok("run", "--name", "three", "--network", "none", busybox, "true")
    assert "has no diagnosis" in crate.fails(125, "diagnose", "three")
    assert "--detach and --rm" in crate.fails(125, *RUN, "-d", busybox, "true")


def test_terminal_shows_a_table(crate: Crate, busybox: str) -> None:
    command = crate.command(*RUN, busybox, "unshare", "-U", "true")
    status, text = Terminal(command, crate.environment | {"TERM": "xterm"}, 40, 160).end()
    assert status == 1 and "Refused calls" in text and "CLONE_NEWUSER" in text and "SYS_ADMIN" in text


def test_tracer_killed_ends_the_container(crate: Crate, busybox: str) -> None:
    process = crate.popen("run", "--rm", "--name", "one", "--network", "none", "--diagnose", busybox, "sleep", "60")
    until(lambda: crate("exec", "one", "true").status == 0)
    pid = crate.inspect("one")["State"]["Pid"]
    (tracer,) = re.findall(r"TracerPid:\t(\d+)", Path(f"/proc/{pid}/status").read_text())
    os.kill(int(tracer), signal.SIGKILL)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 137 and crate.ok("ps", "-aq") == ""
    assert err == "diagnosis: incomplete, its tracer was killed, and what it traced with it\n"


@pytest.mark.requires("root")
def test_users_of_the_hosts_root(crate: Crate, busybox: str, probe: Path) -> None:
    mount = ("-v", f"{probe}:/probe:ro")
    mapped = ("--uidmap", "0:100000:65536", "--gidmap", "0:100000:65536")
    script = ("sh", "-c", "mknod /x c 1 3; /probe clock; chmod 700 /sys")
    mknod, clock, chmod = report(crate(*RUN, *mount, *mapped, busybox, *script).err)
    assert mknod.rule == "user namespace: mknodat needs CAP_MKNOD on the host" and mknod.options == ["--userns host"]
    assert clock.options == ["--userns host --cap-add SYS_TIME"]
    assert (chmod.call, chmod.options) == ("chmod /sys", ["--privileged"])
    result = crate(*RUN, *mount, *clock.options[0].split(), busybox, *script)
    assert [one.call for one in report(result.err)] == ["chmod /sys"] and result.out == "clock ok\n", result
    # ids are told as the container knows them
    (found,) = report(crate(*RUN, *mapped, "--user", "7", busybox, "mkdir", "/etc/made").err)
    assert found.rule == "mode: /etc is 0:0 0755, the program 7:0"


@pytest.mark.requires("unprivileged-user")
def test_ordinary_user(rootless_crate: Crate) -> None:
    image = "crate.local/busybox"
    rootless_crate.ok("pull", "--quiet", image)
    result = rootless_crate(*RUN, image, "sh", "-c", "mount -t tmpfs none /mnt; date -s 10:00; unshare -U true; exit 6")
    assert result.status == 6
    mount, clock, unshare = report(result.err)
    assert mount.options == ["--cap-add SYS_ADMIN"] and unshare.options[0] == "--cap-add SYS_ADMIN"
    assert clock.rule.startswith("user namespace") and clock.options == []
    allowed = rootless_crate(
        *RUN, "--cap-add", "SYS_ADMIN", image, "sh", "-c", "mkdir /m; mount -t tmpfs none /m && unshare -U true"
    )
    assert allowed.status == 0 and report(allowed.err) == []
    (found,) = report(rootless_crate(*RUN, "--user", "1000", image, "mkdir", "/etc/made").err)
    assert found.rule == "mode: /etc is 0:0 0755, the program 1000:0" and found.options == ["--user 0"]
    for mode in (("--userns", "auto"), ("--userns", "keep-id"), ("--pid", "host")):
        result = rootless_crate(*RUN, *mode, image, "unshare", "-U", "true")
        assert "unshare CLONE_NEWUSER" in [one.call for one in report(result.err)], (mode, result)


def test_exec(crate: Crate, busybox: str, probe: Path) -> None:
    """A command that enters is traced as the container's own, which is not; what it leaves behind goes on."""
    mount = ("-v", f"{probe}:/probe:ro")
    crate.ok("run", "-d", "--name", "one", "--network", "none", *mount, busybox, "sh", "-c", "sleep 1000; :")
    script = "/probe mount; mkdir /etc/made; exit 7"
    result = crate("exec", "--diagnose", "--user", "1000", "one", "sh", "-c", script)
    assert (result.status, result.out) == (7, "mount Operation not permitted\n")
    mount_call, mkdir = report(result.err.partition("diagnosis")[1] + result.err.partition("diagnosis")[2])
    assert (mount_call.call, mount_call.rule[:7]) == ("mount /etc", "seccomp")
    assert (mkdir.call, mkdir.errno, mkdir.options) == ("mkdir /etc/made", "EACCES", ["--user 0"])
    result = crate("exec", "--diagnose", *mkdir.options[0].split(), "one", "mkdir", "/etc/made")
    assert (result.status, result.err) == (0, "diagnosis: nothing was refused\n")
    assert crate("exec", "--diagnose", "one", "no-such").status == 127
    (found,) = report(crate("exec", "--diagnose", "--privileged", "one", "/probe", "mount").err)
    assert found.options == ["--cap-add SYS_ADMIN"]  # the filter is the container's
    left = "(sleep 0.3; chroot /none true; touch /left; sleep 1000) > /dev/null 2>&1 &"
    process = crate.popen("exec", "--diagnose", "one", "sh", "-c", f"{left} kill -STOP $$; exit 3")
    until(lambda: crate("exec", "one", "sh", "-c", "kill -CONT -1").status or process.poll() is not None)
    assert process.communicate(timeout=20)[1] == "diagnosis: nothing was refused\n" and process.returncode == 3
    until(lambda: crate("exec", "one", "test", "-e", "/left").status == 0)
    assert list(crate.runroot.rglob("diagnosis*")) == []
    assert "crate" not in crate.ok("exec", "one", "sh", "-c", "cat /proc/[0-9]*/comm")
    assert "--diagnose and --detach" in crate.fails(125, "exec", "--diagnose", "-d", "one", "true")
    assert "has no diagnosis" in crate.fails(125, "diagnose", "one")
    crate.ok("rm", "-f", "-t", "0", "one")


@pytest.mark.requires("unprivileged-user")
def test_exec_of_an_ordinary_user(rootless_crate: Crate) -> None:
    rootless_crate.ok("run", "-d", "--name", "one", "--network", "none", "crate.local/busybox", "sleep", "1000")
    result = rootless_crate("exec", "--diagnose", "--user", "5", "one", "sh", "-c", "mkdir /etc/made; exit 4")
    assert result.status == 4
    (found,) = report(result.err.partition("diagnosis")[1] + result.err.partition("diagnosis")[2])
    assert found.rule == "mode: /etc is 0:0 0755, the program 5:0"
