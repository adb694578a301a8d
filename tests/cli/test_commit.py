"""`commit`: an image of a container, its files and its configuration."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from program import until

if TYPE_CHECKING:
    from program import Crate

pytestmark = pytest.mark.requires("root", "overlay", "busybox")
RUN = ("run", "--rm", "--network", "none")
CHANGE = (
    "echo x > /etc/group; rm /etc/nsswitch.conf; mkdir -p /new; echo y > /new/file; ln /new/file /new/same; "
    "rm -r /home; mkdir /home; touch /home/mine; chown 55:66 /new/file; chmod 4711 /new/file"
)


def image(crate: Crate, name: str) -> dict[str, Any]:
    """`image inspect` of one image."""
    (found,) = json.loads(crate.ok("image", "inspect", name))
    assert isinstance(found, dict)
    return found


def blob(crate: Crate, digest: str) -> Path:
    """Where a blob lies."""
    algorithm, _, encoded = digest.partition(":")
    return crate.root / "images/blobs" / algorithm / encoded


def test_files(crate: Crate, busybox: str) -> None:
    crate.ok("run", "--name", "box", "--network", "none", "-v", "kept:/volume", busybox, "sh", "-c", CHANGE)
    identity = crate.ok("commit", "box", "changed")
    look = "cat /new/file; stat -c '%u:%g %a %h' /new/same; ls /home; test -e /etc/nsswitch.conf; echo $?"
    assert crate.ok(*RUN, "changed", "sh", "-c", look).splitlines() == ["y", "55:66 4711 2", "mine", "1"]
    assert image(crate, identity)["RepoTags"] == ["localhost/changed:latest"]
    manifest = json.loads(blob(crate, image(crate, "changed")["Digest"]).read_text())
    layer = blob(crate, manifest["layers"][-1]["digest"])
    data = layer.read_bytes()
    assert len(data) == manifest["layers"][-1]["size"]
    assert f"sha256:{hashlib.sha256(data).hexdigest()}" == image(crate, "changed")["RootFS"]["Layers"][-1]
    listed = subprocess.run(["tar", "tf", layer], check=True, capture_output=True, text=True).stdout.split()
    assert {"etc/.wh.nsswitch.conf", "home/.wh..wh..opq", "new/file", "new/same"} <= set(listed)
    assert not {"proc/", "etc/hosts", "volume/"} & set(listed)


@pytest.mark.requires("skopeo")
def test_layer_is_what_its_archive_says(crate: Crate, busybox: str, tmp_path: Path) -> None:
    crate.ok("run", "--name", "box", "--network", "none", busybox, "sh", "-c", CHANGE)
    crate.ok("commit", "box", "changed")
    source = f"oci:{crate.root}/images:localhost/changed:latest"
    subprocess.run(["skopeo", "copy", "-q", source, f"oci:{tmp_path}/copy:changed"], check=True, timeout=60)
    tree = crate.root / "layers"
    before = {path.name: _facts(path / "diff") for path in tree.iterdir() if len(path.name) == 64}
    crate.ok("rm", "box")
    crate.ok("rmi", "--force", "changed", busybox)
    crate.ok("load", "-i", str(tmp_path / "copy"))
    assert {path.name: _facts(path / "diff") for path in tree.iterdir() if len(path.name) == 64} == before


def _facts(tree: Path) -> dict[str, tuple[int, ...]]:
    """Mode, owner, size and whole seconds of everything in a layer."""
    found: dict[str, tuple[int, ...]] = {}
    for path in tree.rglob("*"):
        status = path.lstat()
        size = 0 if path.is_dir() else status.st_size
        time = 0 if status.st_rdev == 0 and not size else int(status.st_mtime)
        name = str(path.relative_to(tree))
        found[name] = (status.st_mode & 0o7777 if size else 0, status.st_uid, status.st_gid, size, time, status.st_rdev)
    return found


def test_configuration(crate: Crate, busybox: str) -> None:
    crate.ok(
        "create",
        "--name",
        "box",
        "-e",
        "MINE=1",
        "--label",
        "own=yes",
        "--user",
        "5",
        "--workdir",
        "/tmp",
        busybox,
        "ls",
    )
    changes = (
        'CMD ["echo", "hello"]', "ENTRYPOINT=/bin/sh", "ENV A=1 B='two words'", "EXPOSE 80 90-91/udp", "LABEL x=y",
        "ONBUILD RUN true", "STOPSIGNAL SIGQUIT", "USER 7:8", 'VOLUME ["/a", "/b"]', "WORKDIR sub",
    )  # fmt: skip
    words = [word for change in changes for word in ("--change", change)]
    crate.ok("commit", "-a", "me <me@here>", "-m", "a message", *words, "box", "changed:1")
    found = image(crate, "localhost/changed:1")
    config = found["Config"]
    assert config["Cmd"] == ["echo", "hello"] and config["Entrypoint"] == ["/bin/sh", "-c", "/bin/sh"]
    assert {"MINE=1", "A=1", "B=two words"} <= set(config["Env"]) and not any("HOSTNAME" in e for e in config["Env"])
    assert set(config["ExposedPorts"]) == {"80/tcp", "90/udp", "91/udp"}
    assert config["Labels"]["x"] == "y" and config["Labels"]["own"] == "yes"
    assert config["OnBuild"] == ["RUN true"] and config["StopSignal"] == "SIGQUIT" and config["User"] == "7:8"
    assert set(config["Volumes"]) == {"/a", "/b"} and config["WorkingDir"] == "/tmp/sub"
    assert found["Author"] == "me <me@here>" and found["History"][-1]["comment"] == "a message"
    for change, told in (
        ("FOO x", 'invalid change "FOO x" - invalid instruction FOO'),
        ("CMD", 'invalid change "CMD" - must be formatted as KEY VALUE'),
        ("EXPOSE none", "invalid port none"),
        ("ENV A", "must be formatted as KEY=VALUE"),
    ):
        assert told in crate.fails(125, "commit", "-c", change, "box")


def test_options(crate: Crate, busybox: str, tmp_path: Path) -> None:
    crate.ok("run", "-d", "--name", "box", "--network", "none", "-v", "kept:/kept", busybox, "sleep", "1000")
    crate.ok("exec", "box", "touch", "/made")
    plain = crate.ok("container", "commit", "-q", "--iidfile", str(tmp_path / "id"), "box")
    assert (tmp_path / "id").read_text() == plain and len(plain) == 64
    crate.ok("commit", "--pause", "--include-volumes", "--format", "docker", "box", "docker")
    assert crate.inspect("box")["State"]["Status"] == "running"
    found = image(crate, "docker")
    assert found["ManifestType"] == "application/vnd.docker.distribution.manifest.v2+json"
    assert set(found["Config"]["Volumes"]) == {"/kept"}
    crate.ok("commit", "--squash", "box", "one")
    assert len(image(crate, "one")["RootFS"]["Layers"]) == 1
    assert crate.ok(*RUN, "one", "ls", "/made", "/bin/sh").split() == ["/bin/sh", "/made"]
    assert "repository name must be lowercase" in crate.fails(125, "commit", "box", "UPPER")
    assert 'unrecognized image format "x"' in crate.fails(125, "commit", "-f", "x", "box")
    assert "no such container" in crate.fails(125, "commit", "nobody")
    assert not os.listdir(crate.root / "stage")


def test_killed_commit_leaves_nothing(crate: Crate, busybox: str) -> None:
    large = "dd if=/dev/zero of=/large bs=1M count=150 2> /dev/null"
    crate.ok("run", "--name", "box", "--network", "none", busybox, "sh", "-c", large)

    def killed() -> bool:
        """Whether the kill came in time: it may have ended meanwhile."""
        process = crate.popen("commit", "box", "half")
        until(lambda: process.poll() == 0 or list((crate.root / "stage").glob("*.layer-*/diff/large")))
        process.kill()
        process.wait()
        return crate("rmi", "half").status != 0

    until(killed, what="a copy that has begun")
    assert crate("image", "exists", "half").status == 1
    crate.ok("commit", "box", "whole")
    assert not os.listdir(crate.root / "stage")
    assert crate.ok(*RUN, "whole", "stat", "-c", "%s", "/large") == str(150 << 20)


def test_without_its_image(crate: Crate, busybox: str) -> None:
    crate.ok("run", "--name", "box", "--network", "none", busybox, "touch", "/made")
    record = crate.root / "images/records" / f"{crate.inspect('box')['Image']}.json"
    record.unlink()  # as after a power cut
    crate.ok("commit", "box", "whole")
    assert len(image(crate, "whole")["RootFS"]["Layers"]) == 1
    assert crate.ok(*RUN, "whole", "ls", "/made", "/bin/sh").split() == ["/bin/sh", "/made"]
