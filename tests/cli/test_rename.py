"""rename: the index of names, the record, and what a renaming leaves alone."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

import pytest

from program import until

if TYPE_CHECKING:
    from program import Crate

IMAGE = "crate.local/busybox"
NONE = ("--network", "none")
SLEEP = (IMAGE, "sleep", "1000")

pytestmark = [pytest.mark.requires("root", "overlay", "busybox"), pytest.mark.usefixtures("busybox")]


def _index(crate: Crate) -> list[str]:
    return sorted(os.listdir(crate.root / "names"))


def test_a_running_container(crate: Crate) -> None:
    container = crate.ok("run", "-d", "--name", "old", *NONE, *SLEEP)
    hostname = crate.ok("exec", "old", "hostname")
    assert crate.ok("rename", "old", "new") == ""
    assert crate.inspect("new")["Id"] == container and crate.inspect("new")["Name"] == "new"
    assert _index(crate) == ["new"] and crate.ok("ps", "--format", "{{.Names}}") == "new"
    assert "no such container" in crate.fails(125, "inspect", "--type", "container", "old")
    assert crate.ok("exec", "new", "hostname") == hostname
    crate.ok("create", "--name", "old", *NONE, *SLEEP)
    assert crate.ok("container", "rename", container[:12], "/newest") == "" and _index(crate) == ["newest", "old"]
    assert crate.ok("stop", "-t", "0", "newest") == "newest" and crate.ok("start", "newest") == "newest"


def test_what_is_refused(crate: Crate) -> None:
    crate.ok("create", "--name", "one", *NONE, *SLEEP)
    crate.ok("create", "--name", "two", *NONE, *SLEEP)
    assert "already in use" in crate.fails(125, "rename", "one", "two")
    assert "has the name one already" in crate.fails(125, "rename", "one", "one")
    assert "invalid container name" in crate.fails(125, "rename", "one", "a b")
    assert "no such container" in crate.fails(125, "rename", "three", "four")
    assert _index(crate) == ["one", "two"] and crate.inspect("one")["Name"] == "one"


def test_one_that_removes_itself_frees_its_new_name(crate: Crate) -> None:
    crate.ok("run", "-d", "--rm", "--name", "old", *NONE, *SLEEP)
    crate.ok("rename", "old", "new")
    crate.ok("create", "--name", "old", *NONE, *SLEEP)
    crate.ok("kill", "new")
    until(lambda: crate.ok("ps", "-a", "--format", "{{.Names}}") == "old")
    until(lambda: _index(crate) == ["old"])


@pytest.mark.requires("strace")
@pytest.mark.parametrize(("call", "number"), [("symlink", 1), ("rename", 1), ("unlink", 1)])
def test_killed_on_the_way(crate: Crate, call: str, number: int) -> None:
    """The container has one of the two names, and the other one is free."""
    container = crate.ok("create", "--name", "old", *NONE, *SLEEP)
    subprocess.run(
        ["strace", "-f", "-qq", "-o", "/dev/null", "-e", f"inject={call}:signal=SIGKILL:when={number}",
         *crate.command("rename", "old", "new")],
        env=crate.environment, cwd=crate.place, capture_output=True, check=False, timeout=60,
    )  # fmt: skip
    name = crate.ok("ps", "-a", "--format", "{{.Names}}")
    other = {"old": "new", "new": "old"}[name]
    assert crate.inspect(name)["Id"] == container
    assert "no such container" in crate.fails(125, "inspect", "--type", "container", other)
    second = crate.ok("create", "--name", other, *NONE, *SLEEP)
    assert crate.inspect(other)["Id"] == second and crate.inspect(name)["Id"] == container
    assert crate.ok("rm", other) == other
    crate.ok("rename", name, other)
    assert crate.inspect(other)["Id"] == container
