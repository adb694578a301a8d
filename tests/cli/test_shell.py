"""`crate shell`: the caller's own home, user, directory and terminal in an image, kept between calls."""

from __future__ import annotations

import os
import socket

import pytest

from program import Crate
from terminal import Terminal

IMAGE = "crate.local/busybox"
NAME = "shell-crate-local-busybox"

pytestmark = pytest.mark.requires("root", "overlay", "busybox")


def test_root_s_shell_stays(crate: Crate, busybox: str) -> None:
    home = crate.place / "home"
    (home / "work").mkdir()
    script = "touch /kept made; pwd; echo $HOME $LANG; readlink /proc/self/ns/net"
    out = crate.ok("shell", IMAGE, "--", "sh", "-c", script, cwd=home / "work").splitlines()
    assert out == [str(home / "work"), f"{home} C.UTF-8", os.readlink("/proc/self/ns/net")]
    assert (home / "work/made").exists()
    first = crate.inspect(NAME)["State"]["Pid"]
    assert crate.ok("shell", "--", "ls", "/kept", cwd=home) == "/kept"  # the image of the shell that there is
    assert crate("shell", IMAGE, "sh", "-c", "exit 7", cwd=home).status == 7
    assert crate("shell", IMAGE, "no-such", cwd=home).status == 127
    assert crate.inspect(NAME)["State"]["Pid"] == first
    crate.ok("stop", "-t", "0", NAME)
    assert crate.ok("shell", IMAGE, "ls", "/kept", cwd=home) == "/kept"
    assert crate.ok("shell", "--list").splitlines()[1].split()[:2] == [NAME, IMAGE]
    assert crate("shell", "--reset", IMAGE, "ls", "/kept", cwd=home).status == 1
    crate.ok("shell", "--rm", IMAGE)
    assert "no shell of the image" in crate.fails(125, "shell", "--rm", IMAGE)
    assert crate.ok("ps", "-aq") == ""


def test_directories(crate: Crate, busybox: str) -> None:
    (crate.place / "more").mkdir()
    (crate.place / "more/file").write_text("seen")
    more = str(crate.place / "more")
    assert (
        crate.ok("shell", "--dir", more, IMAGE, "sh", "-c", "pwd; cat file", cwd=crate.place / "more")
        == f"{more}\nseen"
    )
    elsewhere = crate("shell", IMAGE, "pwd", cwd=crate.place)
    assert elsewhere.out.strip() == str(crate.place / "home") and "is not in this shell" in elsewhere.err
    assert "cannot add /usr/share to the shell" in crate.fails(125, "shell", "--dir", "/usr/share", IMAGE, "true")
    assert "no such directory" in crate.fails(125, "shell", "--reset", "--dir", "/no-such", IMAGE, "true")


def test_several_at_once_make_one(crate: Crate, busybox: str) -> None:
    calls = [crate.popen("shell", IMAGE, "echo", "in", cwd=crate.place / "home") for _ in range(4)]
    assert [call.communicate(timeout=60) for call in calls] == [("in\n", "")] * 4
    assert len(crate.ok("ps", "-aq").split()) == 1


def test_homes(crate: Crate, busybox: str) -> None:
    """One that is not there, and one that is a link: what lies in it has the path by which it is mounted."""
    away = crate("shell", IMAGE, "pwd", HOME="/no-such", cwd=crate.place)
    assert (away.out, away.status) == ("/\n", 0) and "is not in this shell: starting in / " in away.err
    crate.ok("shell", "--rm", IMAGE)
    (crate.place / "link").symlink_to("home")
    (crate.place / "home/work").mkdir()
    link = f"{crate.place}/link"
    assert crate.ok("shell", IMAGE, "pwd", HOME=link, cwd=crate.place / "home/work") == f"{link}/work"


def test_odd_names_of_directories(crate: Crate, busybox: str) -> None:
    """Separators of --volume and --mount in the home's, and in that of --dir."""
    home, more = crate.place / 'a:b,c="d" e', crate.place / "more:rw,x"
    for place in (home, more):
        place.mkdir()
        (place / "file").write_text(place.name)
    words = ("shell", "--dir", str(more), IMAGE, "sh", "-c", f"pwd; cat file '{more}/file'; touch \"$HOME/made\"")
    assert crate.ok(*words, HOME=str(home), cwd=home) == f"{home}\n{home.name}{more.name}"
    assert sorted(os.listdir(home)) == ["file", "made"]


def test_name_that_is_taken(crate: Crate, busybox: str) -> None:
    crate.ok("create", "--name", NAME, IMAGE, "true")
    assert f"the container {NAME} is another" in crate.fails(125, "shell", IMAGE, "true")


def test_agent_and_terminal(crate: Crate, busybox: str) -> None:
    path = f"/tmp/agent-{crate.mark}"
    with socket.socket(socket.AF_UNIX) as agent:
        agent.bind(path)
        try:
            out = crate.ok("shell", IMAGE, "sh", "-c", "test -S $SSH_AUTH_SOCK && echo there", SSH_AUTH_SOCK=path)
            assert out == "there"
        finally:
            os.unlink(path)
    environment = crate.environment | {"TERM": "vt220", "SHELL": "/bin/no-such", "HOME": str(crate.place / "home")}
    terminal = Terminal(crate.command("shell", IMAGE), environment, 24, 80)
    try:
        terminal.expect("# ")
        terminal.type("tty; echo $TERM; exit 5\n")
        terminal.expect("/dev/pts/")
        terminal.expect("vt220")
        assert terminal.end()[0] == 5
    finally:
        terminal.close()


@pytest.mark.requires("unprivileged-user")
def test_ordinary_user(rootless_crate: Crate) -> None:
    crate = rootless_crate
    crate.ok("pull", "--quiet", IMAGE)
    user = crate.user
    assert user
    home = user.home
    show = f"id -u; id -un; echo $HOME; touch {home}/mine; stat -c %u /bin/busybox"
    assert crate.ok("shell", IMAGE, "sh", "-c", show, cwd=home).split() == [str(user.uid), user.name, str(home), "0"]
    assert (home / "mine").stat().st_uid == user.uid
    assert crate("shell", IMAGE, "touch", "/etc/new", cwd=home).status == 1
    shared = home / f"group-{crate.mark}"
    shared.mkdir()
    os.chown(shared, 0, 54321)
    shared.chmod(0o2770)
    words = ["--groups=54321" if word == "--clear-groups" else word for word in user.become]
    crate.user = user._replace(become=tuple(words))
    crate.ok("shell", IMAGE, "touch", f"{shared}/shared", cwd=home)  # the groups outside count inside
    crate.user = user
    assert crate.ok("shell", "--root", IMAGE, "sh", "-c", "touch /etc/new; id -u; echo $HOME", cwd=home) == "0\n/root"
    assert crate.ok("shell", IMAGE, "stat", "-c", "%u", "/etc/new", cwd=home) == "0"
    crate.ok("shell", "--rm", IMAGE)
