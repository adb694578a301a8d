"""User namespaces of containers: which ids they have, as the kernel's own files say, and whose their files are."""

from __future__ import annotations

import os
import subprocess
import threading
from pathlib import Path

import pytest

from program import Crate
from users import User, etc_with

IMAGE = "crate.local/busybox"
POOL = (3_000_000_000, 200_000)

pytestmark = pytest.mark.requires("root", "overlay", "busybox")


@pytest.fixture
def ranged(crate: Crate, busybox: str) -> Crate:
    """crate on a host whose /etc/subuid and /etc/subgid give the user "containers" a range."""
    ranges = f"containers:{POOL[0]}:{POOL[1]}\n"
    script = f'{etc_with(subuid=ranges, subgid=ranges)} && exec "$@"'
    crate.user = User("root", 0, 0, crate.place / "home", ("unshare", "-m", "sh", "-c", script, "sh"))
    return crate


def pid_of(crate: Crate, name: str) -> int:
    return int(crate.inspect(name)["State"]["Pid"])


def maps(pid: int, kind: str = "uid") -> list[list[int]]:
    """/proc/PID/uid_map as the host sees it."""
    return [[int(word) for word in line.split()] for line in Path(f"/proc/{pid}/{kind}_map").read_text().splitlines()]


def inside(crate: Crate, *arguments: str) -> list[str]:
    """The output of `run --rm --network none` with options, then `--` and a script, in lines."""
    return crate.ok("run", "--rm", "--network", "none", *arguments[:-1], IMAGE, "sh", "-c", arguments[-1]).splitlines()


def test_maps_and_owners(crate: Crate, busybox: str) -> None:
    script = "echo new > /new; mkdir /d; chown 1000:1000 /d; echo again > /dev/stdout; sleep 1000"
    crate.ok(
        "run",
        "-d",
        "--name",
        "one",
        "--uidmap",
        "0:200000:5000",
        "--gidmap",
        "0:300000:6000",
        IMAGE,
        "sh",
        "-c",
        script,
    )
    crate.await_line("one", "again")
    pid = pid_of(crate, "one")
    assert (maps(pid), maps(pid, "gid")) == ([[0, 200000, 5000]], [[0, 300000, 6000]])
    status = Path(f"/proc/{pid}/status").read_text()
    assert "Uid:\t200000\t" in status and "Gid:\t300000\t" in status
    root = Path(f"/proc/{pid}/root")
    # files of the image, of the container and of crate: all are root's inside
    owners = {name: (root / name).stat() for name in ("bin/busybox", "new", "etc/hosts", "d")}
    assert [(one.st_uid, one.st_gid) for one in owners.values()] == [(200000, 300000)] * 3 + [(201000, 301000)]
    # the layer on the disk is what it was, nothing was copied
    assert not list(crate.root.glob("layers/*/ids-*"))
    assert {path.stat().st_uid for path in crate.root.glob("layers/*/diff/bin")} == {0}
    assert crate.ok("exec", "one", "id", "-u") == "0"
    host = crate.inspect("one")["HostConfig"]
    assert host["UsernsMode"] == "private" and host["IDMappings"]["UidMap"] == ["0:200000:5000"]


def test_files_leave_and_enter_with_the_owners_of_inside(crate: Crate, busybox: str, tmp_path: Path) -> None:
    make = "mkdir /d; chown 1000:1000 /d; touch /d/x"
    crate.ok("run", "--name", "one", "--network", "none", "--uidmap", "0:200000:5000", IMAGE, "sh", "-c", make)
    crate.ok("commit", "one", "made")
    assert crate.ok("run", "--rm", "--network", "none", "made", "stat", "-c", "%u:%g", "/d", "/d/x") == "1000:1000\n0:0"
    crate.ok("export", "-o", str(tmp_path / "all.tar"), "one")
    listed = subprocess.run(
        ["tar", "--numeric-owner", "-tvf", tmp_path / "all.tar"], check=True, capture_output=True, text=True
    ).stdout
    assert [line.split()[1] for line in listed.splitlines() if line.endswith((" d/", " d/x"))] == ["1000/1000", "0/0"]
    crate.ok("cp", "/etc/hostname", "one:/d/host")
    assert next(crate.root.glob("containers/*/upper/d/host")).stat().st_uid == 200000
    crate.ok("start", "one")


def test_auto_leases_ranges_that_nobody_else_has(ranged: Crate) -> None:
    def run(name: str) -> None:
        ranged.ok(
            "run", "-d", "--name", name, "--network", "none", "--userns", "auto:size=3000", IMAGE, "sleep", "1000"
        )

    threads = [threading.Thread(target=run, args=(f"c{number}",)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = sorted(maps(pid_of(ranged, f"c{number}"))[0][1] for number in range(6))
    assert found == [POOL[0] + 3000 * number for number in range(6)]
    freed = maps(pid_of(ranged, "c2"))[0][1]
    ranged.ok("rm", "-f", "-t", "0", "c2")
    ranged.ok("stop", "-t", "0", "c3")
    run("new")
    assert maps(pid_of(ranged, "new"))[0][1] == freed  # c3 is stopped, but keeps its own
    ranged.ok("start", "c3")
    assert maps(pid_of(ranged, "c3"))[0][1] in found
    error = ranged.fails(125, "run", "--rm", "--userns", "auto:size=190000", IMAGE, "true")
    assert "cannot find 190000 free user ids" in error


def test_auto_has_the_ids_that_the_image_needs(ranged: Crate) -> None:
    show = "cat /proc/self/uid_map"
    assert inside(ranged, "--userns", "auto", show)[0].split() == ["0", str(POOL[0]), "1024"]
    assert inside(ranged, "--userns", "auto", "--user", "5000", show)[0].split()[2] == "5001"
    # an image must not take the ids of other containers by its user alone
    error = ranged.fails(125, "run", "--rm", "--userns", "auto", "--user", "100000", IMAGE, "true")
    assert "at most 65536 ids" in error and "auto:size=100001" in error
    assert inside(ranged, "--userns", "auto:size=100001", "--user", "100000", "id -u") == ["100000"]
    forced = inside(ranged, "--userns", "auto:size=2000,uidmapping=1000:77777:1", show)
    assert [line.split() for line in forced] == [
        ["0", str(POOL[0]), "1000"], ["1000", "77777", "1"], ["1001", str(POOL[0] + 1000), "999"]
    ]  # fmt: skip
    assert inside(ranged, "--subuidname", "containers", show)[0].split() == ["0", str(POOL[0]), str(POOL[1])]


def test_setting(ranged: Crate) -> None:
    text = ranged.config.read_text()
    ranged.config.write_text(text.replace("[containers]\n", '[containers]\nuserns = "auto"\n'))
    ranged.ok("run", "-d", "--name", "one", IMAGE, "sleep", "1000")
    assert maps(pid_of(ranged, "one"))[0][1] == POOL[0]


def test_auto_without_ranges_is_told(crate: Crate, busybox: str) -> None:
    if "containers:" in Path("/etc/subuid").read_text():
        pytest.skip("this host gives the user containers a range")
    error = crate.fails(125, "run", "--rm", "--userns", "auto", IMAGE, "true")
    assert 'no ranges for user "containers" in /etc/subuid' in error


def test_namespaces_shared_with_a_container(crate: Crate, busybox: str) -> None:
    crate.ok("run", "-d", "--name", "one", "--network", "none", "--uidmap", "0:200000:5000", IMAGE, "sleep", "1000")
    pid = pid_of(crate, "one")
    ours = [os.readlink(f"/proc/{pid}/ns/{kind}") for kind in ("user", "net", "pid")]
    options = ["--userns", "container:one", "--network", "container:one", "--pid", "container:one"]
    show = "for kind in user net pid; do readlink /proc/self/ns/$kind; done; stat -c %u /bin/busybox; id -u"
    assert crate.ok("run", "--rm", *options, IMAGE, "sh", "-c", show).split() == [*ours, "0", "0"]
    assert inside(crate, "--userns", f"ns:/proc/{pid}/ns/user", show)[0] == ours[0]
    # one of the host's ids may join what belongs to the namespace, not the other way round
    crate.ok("run", "--rm", "--network", "container:one", IMAGE, "true")
    error = crate.fails(125, "run", "--rm", "--pid", "container:one", "--uidmap", "0:300000:9", IMAGE, "true")
    assert "cannot mount proc on /proc" in error and "--userns container:ID" in error
    crate.ok("stop", "-t", "0", "one")
    assert "it is not running" in crate.fails(125, "run", "--rm", "--userns", "container:one", IMAGE, "true")


def test_volumes(crate: Crate, busybox: str, tmp_path: Path) -> None:
    options = ["--uidmap", "0:200000:5000"]
    show = "touch /data/new; stat -c %u /data /data/new"
    assert inside(crate, *options, "-v", "named:/data", show) == ["0", "0"]
    assert (crate.root / "volumes/named/_data/new").stat().st_uid == 200000
    assert inside(crate, *options, "--user", "7", "-v", "named:/data:U", show) == ["7", "7"]
    assert (crate.root / "volumes/named/_data").stat().st_uid == 200007
    crate.place.joinpath("bind").mkdir()
    bind = crate.place / "bind"
    assert inside(crate, *options, "-v", f"{bind}:/data:idmap", show) == ["0", "0"]
    assert (bind / "new").stat().st_uid == 0
    assert inside(crate, *options, "-v", f"{bind}:/data", "stat -c %u /data") == ["65534"]
    # maps of its own: what is 0 on the disk is 200007 on the host, so 7 inside
    assert inside(crate, *options, "-v", f"{bind}:/data:idmap=uids=0-200007-1", "stat -c %u /data") == ["7"]
    assert inside(crate, "--mount", f"type=bind,src={bind},dst=/data,idmap=uids=0-5-1", "stat -c %u /data") == ["5"]
    assert inside(crate, *options, "--mount", f"type=bind,src={bind},dst=/data,U=true", show) == ["0", "0"]
    assert (bind / "new").stat().st_uid == 200000


def test_driver_without_idmapped_mounts(crate: Crate, busybox: str) -> None:
    """vfs copies for each container; so does overlay for each image where its layers cannot be mapped."""
    options = [
        "--storage-driver",
        "vfs",
        "run",
        "-d",
        "--name",
        "one",
        "--network",
        "none",
        "--uidmap",
        "0:200000:5000",
    ]
    crate.ok(*options, IMAGE, "sleep", "1000")
    assert Path(f"/proc/{pid_of(crate, 'one')}/root/bin/busybox").stat().st_uid == 200000
    assert crate.ok("exec", "one", "stat", "-c", "%u", "/etc", "/bin/busybox") == "0\n0"


def test_rights_end_at_the_namespace(crate: Crate, busybox: str) -> None:
    """Not even a privileged container has a right over the host."""
    options = ["--privileged", "--uidmap", "0:200000:5000", "--ulimit", "nofile=500:600", "--oom-score-adj", "7"]
    script = "mknod /own c 1 3 2>&1; mount -t tmpfs x /tmp && echo mounted; ulimit -Hn; cat /proc/self/oom_score_adj"
    out = inside(crate, *options, script)
    assert "Operation not permitted" in out[0] and out[1:] == ["mounted", "600", "7"]


def test_pod(crate: Crate, busybox: str) -> None:
    crate.ok("pod", "create", "--name", "pod", "--network", "none", "--uidmap", "0:200000:5000")
    crate.ok("run", "-d", "--pod", "pod", "--name", "one", IMAGE, "sleep", "1000")
    crate.ok("run", "-d", "--pod", "pod", "--name", "two", IMAGE, "sleep", "1000")
    first, second = (os.readlink(f"/proc/{pid_of(crate, name)}/ns/user") for name in ("one", "two"))
    assert first == second != os.readlink("/proc/self/ns/user")
    assert maps(pid_of(crate, "one")) == [[0, 200000, 5000]]
    error = crate.fails(125, "run", "--rm", "--pod", "pod", "--userns", "auto", IMAGE, "true")
    assert "--userns and --pod cannot be set together" in error


def test_groups_of_the_caller(crate: Crate, busybox: str) -> None:
    crate.user = User("root", 0, 0, crate.place / "home", ("setpriv", "--groups", "1234,5678"))
    arguments = ["run", "--rm", "--network", "none", "--group-add", "keep-groups"]
    assert set(crate.ok(*arguments, IMAGE, "id", "-G").split()) >= {"1234", "5678"}
    assert "65534" in crate.ok(*arguments, "--uidmap", "0:200000:5000", IMAGE, "id", "-G").split()
    error = crate.fails(125, *arguments, "--group-add", "457", IMAGE, "id")
    assert "the '--group-add keep-groups' option is not allowed with any other --group-add options" in error


def test_what_is_wrong_is_told(crate: Crate, busybox: str) -> None:
    for options, words in (
        (["--userns", "keep-id"], "keep-id is only supported in rootless mode"),
        (["--userns", "auto:size=x"], "invalid USER mode: auto:size=x"),
        (["--userns", "other"], "invalid USER mode: other"),
        (["--uidmap", "0:1:5", "--uidmap", "3:100:5"], "--uidmap: the mappings overlap at id 3"),
        (["--uidmap", "0:1:5", "--subuidname", "x"], "mutually exclusive"),
        (["--uidmap", "5:200000:10"], "must map id 0"),
        (["--subuidname", "no-such"], 'no ranges found for user "no-such" in /etc/subuid'),
        (["--uidmap", "0:200000:5", "--user", "9"], "cannot use uid 9: not mapped into"),
    ):
        assert words in crate.fails(125, "run", "--rm", "--network", "none", *options, IMAGE, "true")
    assert crate.ok("ps", "-aq") == ""


def test_users_of_the_host(crate: Crate, busybox: str) -> None:
    show = "tail -n1 /etc/passwd"
    assert inside(crate, "--hostuser", "_apt", "--user", "_apt", show)[0].startswith("_apt:")
    assert inside(crate, "--user", "4321", "--passwd-entry", "me:*:$UID:0::/tmp:/bin/sh", "id -un; echo $HOME") == [
        "me", "/tmp"
    ]  # fmt: skip
    assert "no such user" in crate.fails(126, "run", "--rm", "--hostuser", "bogus", IMAGE, "true")
