"""The second wall, `--security-opt landlock`: what mounts and capabilities alone would allow is refused."""

from __future__ import annotations

import os
import shutil
import socket
import struct
import subprocess

import pytest

from bundles import Bundle
from crate.linux.landlock import landlock_abi
from crate.linux.seccomp import seccomp_load
from program import Crate
from security.hostile import compiled, make_root

RUN = ("run", "--rm", "--network", "none")
ABI_WITH_SCOPES = 6
WALL = ("--security-opt", "landlock")

#: `reach NAME`: whether an abstract socket of this name takes a connection
REACH = r"""
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

int main(int count, char **words) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    strcpy(address.sun_path + 1, words[1]);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    int failed = connect(fd, (struct sockaddr *)&address, sizeof(sa_family_t) + 1 + strlen(words[1]));
    puts(failed ? "refused" : "reached");
    return 0;
}
"""

pytestmark = pytest.mark.requires("overlay", "busybox", "landlock")


@pytest.mark.parametrize(
    "attack",
    [
        "mount -o remount,rw /data && touch /data/made",
        "umount /data",
        "mkdir -p /tmp/p && mount -t proc proc /tmp/p",
        "mkdir -p /tmp/t && mount -t tmpfs none /tmp/t",
        "mknod /tmp/mem c 1 1",
    ],
)
def test_who_has_every_capability_may_not(crate: Crate, busybox: str, attack: str) -> None:
    data = crate.place / "data"
    data.mkdir()
    options = ("--privileged", "-v", f"{data}:/data:ro")
    script = f"mkdir -p /tmp; {attack}"
    crate.ok(*RUN, *options, busybox, "sh", "-c", script)  # the mounts alone allow it
    (data / "made").unlink(missing_ok=True)
    result = crate(*RUN, *options, *WALL, busybox, "sh", "-c", script)
    assert result.status != 0 and ("ermission denied" in result.err or "not permitted" in result.err), result
    assert not (data / "made").exists()
    crate.ok("run", "-d", "--name", "one", "--network", "none", *options, *WALL, busybox, "sleep", "60")
    assert crate("exec", "--privileged", "one", "sh", "-c", script).status != 0
    assert not (data / "made").exists()


def test_files_of_the_host_by_its_processes(crate: Crate, busybox: str) -> None:
    secret = crate.place / "secret"
    secret.write_text("of the host")
    look = (busybox, "cat", f"/proc/{os.getpid()}/root{secret}")
    options = ("--privileged", "--pid", "host")
    assert crate.ok(*RUN, *options, *look) == "of the host"
    assert crate(*RUN, *options, *WALL, *look).out == ""
    if landlock_abi() >= ABI_WITH_SCOPES:
        signal = (busybox, "kill", "-0", str(os.getpid()))
        crate.ok(*RUN, *options, *signal)
        assert "not permitted" in crate(*RUN, *options, *WALL, *signal).err


@pytest.mark.skipif(not shutil.which("musl-gcc"), reason="musl-gcc makes the program (apt install musl-tools)")
def test_abstract_sockets_of_the_host(crate: Crate, busybox: str) -> None:
    if landlock_abi() < ABI_WITH_SCOPES:
        pytest.skip("this kernel's landlock has no scopes (Linux 6.12)")
    program = compiled(crate.place, "reach", REACH)
    name = f"crate-test-{crate.mark}"
    options = ("run", "--rm", "--network", "host", "-v", f"{program}:/reach:ro")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(f"\0{name}")
        server.listen()
        assert crate.ok(*options, busybox, "/reach", name) == "reached"
        assert crate.ok(*options, *WALL, busybox, "/reach", name) == "refused"


def test_kernel_without_landlock(crate: Crate, busybox: str) -> None:
    """A filter answers landlock_create_ruleset(2), 444 everywhere, as such a kernel does."""
    rules = ((0x20, 0, 0, 0), (0x15, 0, 1, 444), (0x06, 0, 0, 0x50000 | 38), (0x06, 0, 0, 0x7FFF0000))
    program = b"".join(struct.pack("=HBBI", *rule) for rule in rules)
    for options, status in (((), 0), (WALL, 125)):
        done = subprocess.run(
            crate.command(*RUN, *options, busybox, "true"), preexec_fn=lambda: seccomp_load(program),
            capture_output=True, text=True, env=crate.environment, check=False,
        )  # fmt: skip
        assert done.returncode == status, done
    assert done.stderr.startswith("Error: cannot use --security-opt landlock: this kernel has no landlock")
    assert "Linux 5.19 or later" in done.stderr and done.stderr.count("\n") == 1
    bundle = Bundle(crate.place / "bundle")
    bundle.spec["annotations"] = {"crate.landlock": "1"}
    bundle.process["args"] = ["true"]
    bundle.write()
    foreign = subprocess.run(
        crate.command("runtime", "run", "-b", str(bundle.place), f"ct{crate.mark}"),
        preexec_fn=lambda: seccomp_load(program), capture_output=True, text=True, env=crate.environment, check=False,
    )  # fmt: skip
    assert foreign.returncode and "cannot use the annotation crate.landlock: this kernel" in foreign.stderr, foreign
    assert crate.ok("ps", "-aq") == ""


def test_ordinary_work_goes_on(crate: Crate, busybox: str) -> None:
    script = (
        "mkdir /made /made/deep; echo a > /made/a; mv /made/a /made/deep/b;"
        "ln -s b /made/deep/c; echo b >> /made/deep/c;"
        "cat /made/deep/b; echo x > /dev/null; echo s > /dev/shm/s; echo v > /vol/v; rm -r /made; mkfifo /tmp/f;"
        "echo 5 > /proc/self/oom_score_adj; ls /proc/self/fd > /dev/null; echo out > /dev/stdout"
    )
    result = crate(*RUN, *WALL, "-v", "vol:/vol", busybox, "sh", "-c", f"mkdir -p /tmp; {script}")
    assert result.out.split() == ["a", "b", "out"] and not result.err, result
    user = crate.ok(*RUN, *WALL, "--user", "1000", "--read-only", busybox, "sh", "-c", "echo t > /tmp/t; cat /tmp/t")
    assert user == "t"


def test_read_only_directory_within_a_writable_one(crate: Crate, busybox: str) -> None:
    (crate.place / "data").mkdir()
    options = (*WALL, "-v", f"{crate.place}/data:/srv/data:ro", "-v", "vol:/srv/vol")
    script = (
        "echo a > /srv/vol/a; cat /srv/vol/a; echo b > /etc/b; cat /etc/b; touch /srv/data/x || touch /srv/new || id -u"
    )
    assert crate(*RUN, *options, busybox, "sh", "-c", script).out.split() == ["a", "b", "0"]


def test_inspect_and_refusals(crate: Crate, busybox: str) -> None:
    crate.ok("create", "--name", "one", *WALL, busybox, "true")
    found = crate.inspect("one")
    assert found["HostConfig"]["SecurityOpt"] == ["landlock"]
    assert found["Config"]["Annotations"] == {"crate.landlock": "1"}
    told = crate.fails(125, *RUN, "--annotation", "crate.landlock=1", busybox, "true")
    assert told == "Error: the annotation crate.landlock is crate's own mark (hint: --security-opt landlock)"
    assert "landlock=maybe" in crate.fails(125, *RUN, "--security-opt", "landlock=maybe", busybox, "true")
    crate.ok(
        *RUN, "--privileged", "--security-opt", "landlock=false", busybox, "sh", "-c", "mkdir /t; mount -t tmpfs t /t"
    )


@pytest.mark.requires("unprivileged-user")
def test_ordinary_user(rootless_crate: Crate) -> None:
    image = "crate.local/busybox"
    mount = ("--cap-add", "sys_admin", image, "sh", "-c", "mkdir /t; mount -t tmpfs t /t")
    rootless_crate.ok(*RUN, *mount)
    assert rootless_crate(*RUN, *WALL, *mount).status != 0
    assert rootless_crate.ok(*RUN, *WALL, image, "sh", "-c", "echo a > /a; cat /a") == "a"


@pytest.mark.requires("root")
def test_setuid_programs_work(crate: Crate) -> None:
    root = make_root(crate.place)
    (root / "bin/busybox").chmod(0o4755)
    (root / "etc/busybox.conf").write_text("[SUID]\nid = ssx 0.0\n")
    (root / "bin/id").symlink_to("busybox")
    command = ("--user", "1000", "--rootfs", str(root), "id", "-u")
    assert crate.ok(*RUN, *WALL, *command) == "0"
    assert "not permitted" in crate(*RUN, *WALL, "--security-opt", "no-new-privileges", *command).err
