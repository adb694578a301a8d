"""`diff`: what a container changed in its image, and an image in its parent."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from program import Crate

pytestmark = pytest.mark.requires("root", "overlay", "busybox")
CHANGE = (
    "echo x >> /etc/group; rm /etc/nsswitch.conf; mkdir -p /new/deep; touch /new/deep/file; rm -r /home; mkdir /home"
)
CHANGES = ["C /etc", "C /etc/group", "D /etc/nsswitch.conf", "C /home", "A /new", "A /new/deep", "A /new/deep/file"]


def test_container(crate: Crate, busybox: str) -> None:
    run = ("--network", "none", "-v", "kept:/volume", "--tmpfs", "/temporary", busybox, "sh", "-c")
    crate.ok("run", "-d", "--name", "box", *run, f"{CHANGE}; touch /volume/x /temporary/y; sleep 1000")
    crate.ok("exec", "box", "sh", "-c", "until test -d /home; do :; done")
    assert crate.ok("diff", "box").splitlines() == CHANGES
    crate.ok("stop", "--time", "0", "box")
    assert crate.ok("container", "diff", "--latest").splitlines() == CHANGES
    found = json.loads(crate.ok("diff", "--format", "json", "box"))
    assert found["deleted"] == ["/etc/nsswitch.conf"] and found["added"] == ["/new", "/new/deep", "/new/deep/file"]
    assert crate.ok("create", "--name", "same", "--network", "none", busybox) and crate.ok("diff", "same") == ""
    assert "D /new" in crate.ok("diff", busybox, "box").splitlines()


def test_image(crate: Crate, busybox: str) -> None:
    crate.ok("run", "--name", "box", "--network", "none", busybox, "sh", "-c", CHANGE)
    crate.ok("commit", "box", "changed")
    assert crate.ok("image", "diff", "changed").splitlines() == CHANGES
    assert crate.ok("diff", "changed").splitlines() == CHANGES
    assert "A /bin/busybox" in crate.ok("diff", busybox).splitlines()


def test_refusals(crate: Crate, busybox: str) -> None:
    assert "nobody not found: layer not known" in crate.fails(125, "diff", "nobody")
    assert "not found" in crate.fails(125, "container", "diff", busybox)
    assert "only supported value for '--format' is 'json'" in crate.fails(125, "diff", "--format", "x", busybox)
