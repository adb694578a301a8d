"""`crate doctor` on hosts that lack something, and `crate unshare`."""

from __future__ import annotations

import json
import shlex

import pytest

from program import Crate
from users import User, etc_with

pytestmark = pytest.mark.requires("root", "overlay")

CHECKS = (
    *("kernel", "user namespaces", "subordinate ids", "newuidmap, newgidmap", "run directory", "cgroups", "store"),
    *("overlay", "pasta", "/dev/net/tun", "nftables", "net.ipv4.ip_forward", "br_netfilter", "interpreter"),
    *("seccomp", "init program"),
)


def examined(crate: Crate, script: str = "", status: int = 0) -> dict[str, dict[str, str]]:
    """The findings by their names; `script` changes the host in a mount namespace of the command's own."""
    before = crate.user
    if script:
        become = () if before is None else before.become
        words = ("unshare", "-m", "--propagation", "private", "sh", "-c", f'{script} && exec "$@"', "sh", *become)
        crate.user = (before or User("root", 0, 0, crate.place / "home"))._replace(become=words)
    result = crate("doctor", "--json")
    crate.user = before
    assert result.status == status, result.err + result.out
    return {one["check"]: one for one in json.loads(result.out)}


def test_every_need_is_looked_at(crate: Crate) -> None:
    found = examined(crate)
    assert tuple(found) == CHECKS
    assert all(one["found"] and bool(one["costs"]) == (one["status"] != "ok") for one in found.values())
    text = crate.ok("doctor").splitlines()
    assert text[0].startswith("ok") and str(crate.root) in "\n".join(text)
    assert not crate.root.exists() or not list(crate.root.glob("stage/*"))


def test_store_without_programs_and_without_room(crate: Crate) -> None:
    place = shlex.quote(str(crate.root))
    found = examined(crate, f"mkdir -p {place} && mount -t tmpfs -o size=300m,noexec x {place}")["store"]
    assert (
        found["status"] == "warn" and "noexec" in found["found"] and found["mends"].startswith("sudo mount -o remount")
    )
    full = examined(crate, f"mkdir -p {place} && mount -t tmpfs -o size=50m x {place}", status=1)["store"]
    assert full["status"] == "fail" and full["mends"] == "crate system prune"


@pytest.mark.requires("unprivileged-user")
def test_ordinary_user(rootless_crate: Crate) -> None:
    user = rootless_crate.user
    assert user
    assert examined(rootless_crate)["subordinate ids"]["status"] == "ok"
    empty = shlex.quote(str(rootless_crate.place / "empty"))
    lacking = examined(rootless_crate, etc_with(subuid=""))["subordinate ids"]
    assert lacking["status"] == "warn" and "--add-subuids" in lacking["mends"] and lacking["mends"].endswith(user.name)
    hidden = examined(rootless_crate, "mount --bind /dev/null $(command -v newuidmap)", status=1)[
        "newuidmap, newgidmap"
    ]
    assert hidden["status"] == "fail" and hidden["mends"] == "sudo apt install uidmap"
    forbidden = f"echo 0 > {empty} && mount --bind {empty} /proc/sys/user/max_user_namespaces"
    found = examined(rootless_crate, forbidden, status=1)["user namespaces"]
    assert found["found"] == "user.max_user_namespaces is 0" and "sysctl -w" in found["mends"]


@pytest.mark.requires("unprivileged-user", "busybox")
@pytest.mark.parametrize(
    ("change", "network", "found", "mends"),
    [
        ("mount --bind /dev/null $(command -v newuidmap)", "none", "newuidmap, newgidmap: not there", "uidmap"),
        ("mount -t tmpfs none /dev/net", "pasta", "/dev/net/tun: not there", "sudo modprobe tun"),
    ],
)  # fmt: skip
def test_it_is_called_by_errors(rootless_crate: Crate, change: str, network: str, found: str, mends: str) -> None:
    crate, user = rootless_crate, rootless_crate.user
    assert user
    crate.ok("pull", "--quiet", "crate.local/busybox")
    words = ("unshare", "-m", "--propagation", "private", "sh", "-c", f'{change} && exec "$@"', "sh", *user.become)
    crate.user = user._replace(become=words)
    error = crate.fails(125, "run", "--rm", "--network", network, "crate.local/busybox", "true")
    crate.user = user
    assert f"; crate doctor found: {found}; what mends it: " in error and error.endswith(f"{mends})"), error


def test_a_full_store_is_diagnosed(crate: Crate, busybox_store: Crate) -> None:
    place = shlex.quote(str(crate.root))
    script = (
        f"mkdir -p {place} && mount -t tmpfs -o size=16m,mode=700 x {place} && cp -a {busybox_store.root}/. {place} && "
        f'! head -c 20m /dev/zero 2>/dev/null > {place}/filler && exec "$@"'
    )
    crate.user = User("root", 0, 0, crate.place / "home", ("unshare", "-m", "sh", "-c", script, "sh"))
    error = crate.fails(125, "create", "--network", "none", "crate.local/busybox")
    crate.user = None
    assert "No space left on device" in error and "what mends it: crate system prune)" in error


@pytest.mark.requires("unprivileged-user")
def test_unshare(rootless_crate: Crate) -> None:
    crate, user = rootless_crate, rootless_crate.user
    assert user
    lines = crate.ok("unshare", "sh", "-c", "cat /proc/self/uid_map; echo $CONTAINERS_GRAPHROOT; exit 0").splitlines()
    assert lines[0].split() == ["0", str(user.uid), "1"] and lines[-1] == str(crate.root)
    assert crate("unshare", "sh", "-c", "exit 9").status == 9
    closed = crate.place / "closed"  # a directory of root's in PATH is no reason to be unable to run a program
    closed.mkdir(mode=0o700)
    path = f"{closed}:{crate.environment['PATH']}"
    assert "no such program" in crate.fails(127, "unshare", "no-such-program", PATH=path)
    crate.fails(126, "unshare", "/", PATH=path)
    crate.ok("run", "-d", "--name", "one", "--network", "none", "crate.local/busybox", "sleep", "1000")
    own = crate.ok("exec", "one", "readlink", "/proc/self/ns/user")
    assert crate.ok("unshare", "readlink", "/proc/self/ns/user") == own


def test_unshare_is_not_root_s(crate: Crate) -> None:
    assert "please use unshare with rootless" in crate.fails(125, "unshare", "true")
