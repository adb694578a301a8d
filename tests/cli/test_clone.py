"""`init`, `container clone` and `container runlabel`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from program import Crate

pytestmark = pytest.mark.requires("root", "overlay", "busybox")
NONE = ("--network", "none")


def test_init(crate: Crate, busybox: str) -> None:
    crate.ok("create", "--name", "box", *NONE, busybox, "echo", "here")
    assert crate.ok("init", "box") == "box"
    assert crate.inspect("box")["State"]["Status"] == "initialized"
    assert crate.ok("ps", "--all", "--filter", "status=initialized", "--format", "{{.Names}} {{.Status}}") == (
        "box Initialized"
    )
    assert "has already been created in runtime: container state improper" in crate.fails(125, "init", "box")
    assert crate.ok("start", "--attach", "box") == "here"
    assert crate.ok("container", "init", "--latest") and crate.ok("start", "--attach", "box") == "here"
    crate.ok("init", "box")
    crate.ok("rm", "box")
    crate.ok("run", "-d", "--name", "runs", *NONE, busybox, "sleep", "1000")
    assert "container state improper" in crate.fails(125, "init", "runs")


def test_clone(crate: Crate, busybox: str) -> None:
    own = ("-m", "64m", "-e", "MINE=1", "--label", "a=b", "-v", "kept:/kept", "--hostname", "named", "--user", "9")
    crate.ok("run", "--name", "box", *NONE, *own, busybox, "sh", "-c", "echo $MINE $(hostname) $(id -u); ls /kept")
    first = crate.ok("container", "clone", "box")
    found = crate.inspect("box-clone")
    assert found["Id"] == first and found["HostConfig"]["Memory"] == 64 << 20
    assert found["Config"]["Labels"]["a"] == "b"
    assert found["ImageName"].startswith(busybox) and found["State"]["Status"] == "created"
    assert crate.ok("start", "--attach", "box-clone") == "1 named 9"
    crate.ok("container", "clone", "--memory", "32m", "--cpus", "0.5", "--run", "box")
    found = crate.inspect("box-clone1")
    assert found["HostConfig"]["Memory"] == 32 << 20 and crate.ok("wait", "box-clone1") == "0"
    crate.ok("tag", busybox, "other:1")
    crate.ok("container", "clone", "--destroy", "box", "moved", "other:1")
    assert crate.inspect("moved")["ImageName"] == "localhost/other:1"
    assert crate("container", "exists", "box").status == 1


def test_clone_of_running(crate: Crate, busybox: str) -> None:
    crate.ok("run", "-d", "--name", "box", *NONE, busybox, "sleep", "1000")
    assert "cannot remove container" in crate.fails(125, "container", "clone", "--destroy", "box")
    assert "cannot set --force without --destroy" in crate.fails(125, "container", "clone", "--force", "box")
    assert len(crate.ok("ps", "-aq").split()) == 1
    crate.ok("container", "clone", "--destroy", "--force", "--run", "--name", "new", "box")
    assert crate.ok("ps", "--format", "{{.Names}}") == "new"


def test_runlabel(crate: Crate, busybox: str) -> None:
    crate.ok("create", "--name", "box", *NONE, busybox)
    label = "LABEL run='/usr/bin/podman run --name NAME --network none ${IMAGE} echo PWD' say='echo $NAME =IMAGE'"
    crate.ok("commit", "-c", label, "box", "labelled")
    shown = "command: crate run --name labelled --network none localhost/labelled:latest echo"
    assert crate.ok("container", "runlabel", "--display", "run", "labelled") == f"{shown} {crate.place}"
    assert crate.ok("container", "runlabel", "-q", "run", "labelled", "more") == f"{crate.place} more"
    assert crate("container", "runlabel", "run", "labelled").status == 125  # the name is taken
    assert crate.ok("container", "runlabel", "--replace", "run", "labelled") == str(crate.place)
    assert crate.ok("container", "runlabel", "-q", "--name", "x", "say", "labelled") == "x =localhost/labelled:latest"
    text = "cannot find the value of label: none in image: labelled"
    assert text in crate.fails(125, "container", "runlabel", "none", "labelled")
