"""User namespaces within that of an ordinary user: keep-id, nomap, auto."""

from __future__ import annotations

from pathlib import Path

import pytest

from program import Crate

IMAGE = "crate.local/busybox"

pytestmark = pytest.mark.requires("root", "unprivileged-user", "busybox")


@pytest.fixture
def crate(rootless_crate: Crate, rootless_busybox: str) -> Crate:
    """An ordinary user's, with the image in its store."""
    return rootless_crate


def outside(crate: Crate, name: str) -> list[tuple[int, int, int]]:
    """/proc/PID/uid_map of a container as the host sees it."""
    lines = Path(f"/proc/{crate.inspect(name)['State']['Pid']}/uid_map").read_text().splitlines()
    return [(int(words[0]), int(words[1]), int(words[2])) for words in map(str.split, lines)]


def test_keep_id(crate: Crate) -> None:
    user = crate.user
    assert user
    home = crate.place / "home"
    arguments = ["--network", "none", "--userns", "keep-id", "-v", f"{home}:{home}"]
    script = f"touch {home}/mine; id -u; id -un; stat -c %u /bin/busybox; echo $HOME; sleep 1000"
    crate.ok("run", "-d", "--name", "one", *arguments, IMAGE, "sh", "-c", script)
    crate.await_line("one", "/")
    assert crate.ok("logs", "one").split() == [str(user.uid), user.name, "0", "/"]
    assert (user.uid, user.uid, 1) in outside(crate, "one")
    assert (home / "mine").stat().st_uid == user.uid
    # a copy with other owners, made once
    assert len(list(crate.root.glob("layers/*/ids-*"))) == 1
    assert crate.ok("exec", "-u", "0", "one", "sh", "-c", "touch /etc/new && stat -c %u /etc/new") == "0"
    crate.ok("commit", "one", "made")
    assert crate.ok("run", "--rm", "--network", "none", "made", "stat", "-c", "%u", "/etc/new") == "0"
    show = ["run", "--rm", "--network", "none", "--userns", "keep-id:uid=7,gid=8"]
    assert crate.ok(*show, IMAGE, "sh", "-c", "id -u; id -g").split() == ["7", "8"]
    assert crate.ok(*show, "--user", "0", IMAGE, "id", "-u") == "0"
    assert len(list(crate.root.glob("layers/*/ids-*"))) == 2


def test_ids_that_the_user_does_not_have(crate: Crate) -> None:
    options = ("--network", "none", "--uidmap", "0:200000:5000", IMAGE, "true")
    for words in (("run", "--rm"), ("create",)):
        error = crate.fails(125, *words, *options)
        assert "cannot map the uids 200000 to 204999: this user has 65537" in error
    assert "this user has 65537" in crate.fails(
        125, "run", "--network", "none", "--uidmap", "0:65000:1000", IMAGE, "true"
    )
    assert crate.ok("ps", "-aq") == "" and not list(crate.root.glob("stage/*"))
    mapped = ("--uidmap", "0:1:1000", "--gidmap", "0:1:1000")
    assert crate.ok("run", "--rm", "--network", "none", *mapped, IMAGE, "cat", "/proc/self/uid_map").split()[1:] == [
        "1",
        "1000",
    ]


def test_nomap_and_auto_leave_the_user_out(crate: Crate) -> None:
    user = crate.user
    assert user
    for name, mode in (("one", "nomap"), ("two", "auto:size=1500"), ("three", "auto:size=1500")):
        crate.ok("run", "-d", "--name", name, "--network", "none", "--userns", mode, IMAGE, "sleep", "1000")
        assert all(not first <= user.uid < first + size for _, first, size in outside(crate, name))
        assert crate.ok("exec", name, "stat", "-c", "%u", "/bin/busybox") == "0"
    assert outside(crate, "two")[0][1] + 1500 <= outside(crate, "three")[0][1]
