"""`image scp`: to another host through the ssh program, to another user of this host, and back."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from program import Crate, program
from users import User

pytestmark = pytest.mark.requires("root", "overlay", "busybox")

# What stands for ssh: notes its arguments, and runs the command "there", where crate has another store.
SSH = """#!/bin/sh
for word; do echo "$word" >> "$NOTES"; last=$word; done
PATH="$THERE:$PATH" exec sh -c "$last"
"""


@pytest.fixture
def far(crate: Crate, tmp_path: Path) -> Path:
    """A host that `ssh` reaches; gives the notes of what ssh was told."""
    here, there = tmp_path / "here", tmp_path / "there"
    for place in (here, there):
        place.mkdir()
    (here / "ssh").write_text(SSH)
    words = " ".join([*program(), "--root", str(crate.place / "far"), "--runroot", str(crate.runroot) + "-far"])
    (there / "crate").write_text(f'#!/bin/sh\nexec {words} --config {crate.config} "$@"\n')
    for file in (here / "ssh", there / "crate"):
        file.chmod(0o755)
    notes = tmp_path / "notes"
    crate.environment |= {"PATH": f"{here}:{os.environ['PATH']}", "THERE": str(there), "NOTES": str(notes)}
    return notes


def test_to_another_host_and_back(crate: Crate, busybox: str, far: Path, tmp_path: Path) -> None:
    assert crate.ok("image", "scp", busybox, "me@build.example:2222::") == f"Loaded image: {busybox}:latest"
    told = far.read_text().splitlines()
    assert told[:4] == ["-p", "2222", "--", "me@build.example"]
    assert told[4].startswith("sh -c ")
    remote = [str(tmp_path / "there/crate"), "images", "--format", "{{.Repository}}"]
    assert subprocess.run(remote, capture_output=True, text=True, check=True).stdout == f"{busybox}\n"
    wanted = crate.ok("image", "inspect", "--format", "{{.Id}}", busybox)
    crate.ok("rmi", busybox)
    assert crate.ok("image", "scp", "--quiet", f"build.example::{busybox}") == ""
    assert crate.ok("image", "inspect", "--format", "{{.Id}}", busybox) == wanted
    assert "ssh: nosuch: image not known" in crate.fails(125, "image", "scp", "build.example::nosuch")
    assert "nosuch: image not known" in crate.fails(125, "image", "scp", "nosuch", "build.example::")


def test_what_is_no_host(crate: Crate, busybox: str, far: Path) -> None:
    for words, told in (
        (["--", busybox, "-oProxyCommand=x::"], "invalid host"),
        (["--", busybox, "me@-oProxyCommand=x::"], "invalid host"),
        ([busybox, "host:port::"], "invalid host"),
        ([busybox, "host::name"], "keeps its name"),
        ([busybox], "where to copy"),
        (["host::"], "no image"),
        (["--", "host::--all"], "no image"),
    ):
        assert told in crate.fails(125, "image", "scp", *words)
    assert not far.exists()
    assert "no user nosuch-user" in crate.fails(125, "image", "scp", busybox, "nosuch-user@localhost::")


def test_an_image_name_is_not_a_command(crate: Crate, busybox: str, far: Path, tmp_path: Path) -> None:
    crate(
        "image", "scp", f"build.example::x; touch {tmp_path}/owned; '`touch {tmp_path}/owned`$(touch {tmp_path}/owned)"
    )
    assert not (tmp_path / "owned").exists()


def test_to_another_user_of_this_host(crate: Crate, busybox: str, unprivileged_user: User) -> None:
    user = unprivileged_user
    assert crate.ok("image", "scp", busybox, f"{user.name}@localhost::") == f"Loaded image: {busybox}:latest"
    environment = {"HOME": str(user.home), "PATH": os.environ["PATH"], "LANG": "C.UTF-8"}
    theirs = [*user.become, *program(), "images", "--format", "json"]
    try:
        done = subprocess.run(theirs, env=environment, capture_output=True, text=True, check=True, cwd="/")
        assert [image["Names"] for image in json.loads(done.stdout)] == [[f"{busybox}:latest"]]
        crate.ok("rmi", busybox)
        assert crate.ok("image", "scp", f"{user.name}@localhost::{busybox}") == f"Loaded image: {busybox}:latest"
        assert "image not known" in crate.fails(125, "image", "scp", f"{user.name}@localhost::nosuch")
    finally:
        remove = [*user.become, *program(), "rmi", "--all", "--force"]
        subprocess.run(remove, env=environment, capture_output=True, check=False, cwd="/")
        shutil.rmtree(f"/tmp/crate-run-{user.uid}", ignore_errors=True)
