"""Owners where there is a single id: recorded, and given back to what leaves (decision 200)."""

from __future__ import annotations

import io
import json
import os
import tarfile
from pathlib import Path

import pytest

from cli.test_single_id import IMAGE, alone
from program import Crate

RUN = ("run", "--rm", "--network", "none")
ATTRIBUTE = "user.containers.override_stat"

pytestmark = pytest.mark.requires("root", "unprivileged-user", "busybox")


def owners(archive: Path, *names: str) -> dict[str, str]:
    """name -> uid:gid of the entries in a tar archive that has no trace of the attribute."""
    found = {}
    with tarfile.open(archive) as opened:
        for member in opened:
            assert not any(ATTRIBUTE in key for key in member.pax_headers), member.name
            found[member.name.removeprefix("./").rstrip("/")] = f"{member.uid}:{member.gid}"
    return {name: found[name] for name in names} if names else found


def saved(crate: Crate, image: str, place: Path) -> dict[str, str]:
    """The same of all layers of an image, the upper ones last."""
    place.mkdir()
    os.chmod(place, 0o777)
    result = alone(crate, "save", "--format", "oci-dir", "-o", str(place / "image"), image)
    assert result.status == 0, result
    blobs = place / "image/blobs/sha256"
    index = json.loads((place / "image/index.json").read_text())
    manifest = json.loads((blobs / index["manifests"][0]["digest"].removeprefix("sha256:")).read_text())
    found: dict[str, str] = {}
    for layer in manifest["layers"]:
        found |= owners(blobs / layer["digest"].removeprefix("sha256:"))
    return found


def put(directory: Path, dockerfile: str) -> Path:
    directory.mkdir()
    (directory / "Dockerfile").write_text(dockerfile)
    return directory


@pytest.fixture
def pulled(rootless_crate: Crate) -> Crate:
    assert alone(rootless_crate, "pull", "--quiet", IMAGE).status == 0
    return rootless_crate


def test_layers_of_a_build(pulled: Crate, tmp_path: Path) -> None:
    crate = pulled
    context = put(
        crate.place / "context",
        f"FROM {IMAGE} AS first\nCOPY --chown=33:34 f /copied/f\nADD a.tar /\n"
        "RUN mkdir /d && touch /d/f /d/g && ln /d/f /d/hard && ln -s f /d/link && mkfifo /d/pipe"
        " && chown -R 7:8 /d && chown 7:9 /d/g && chmod 4755 /d/f && cd /d && chown 5:8 ../d/link\n"
        "RUN echo more >> /copied/f && touch /made && chown 3:3 /made && chown 0:0 /made\n"
        "RUN mkdir /many && cd /many && touch $(seq 1000) && chown -R 33:44 /many\n"
        "USER 11:12\nWORKDIR /w/x\n"
        f"FROM {IMAGE}\nCOPY --from=first /copied /d /e/\nCOPY --from=first --chown=1:2 /d/g /g\n",
    )
    (context / "f").write_text("f")
    (context / "x").write_text("x")
    with tarfile.open(context / "a.tar", "w") as archive:
        member = archive.gettarinfo(context / "x", "added")
        member.uid, member.gid = 44, 1 << 31
        member.pax_headers = {f"SCHILY.xattr.{ATTRIBUTE}": "1:1:0644:file"}
        archive.addfile(member, io.BytesIO(b"x"))
    result = alone(crate, "build", "--network", "none", "--target", "first", "-t", "first", str(context))
    assert result.status == 0, result
    found = saved(crate, "first", crate.place / "a")
    wanted = {"copied": "33:34", "copied/f": "33:34", "added": f"44:{1 << 31}", "d": "7:8", "d/g": "7:9"}
    wanted |= {"d/f": "5:8", "d/hard": "5:8", "made": "0:0", "d/link": "0:0", "d/pipe": "0:0", "w/x": "11:12"}
    assert {name: found.get(name) for name in wanted} == wanted
    assert sum(name.startswith("many/") and owner == "33:44" for name, owner in found.items()) == 1000
    files = crate.place / "files"
    files.mkdir(mode=0o777)
    os.chmod(files, 0o777)
    output = ("--output", f"type=local,dest={files}/out")
    assert alone(crate, "build", "--network", "none", "--target", "first", *output, str(context)).status == 0
    assert not os.listxattr(files / "out/d/f") and not os.listxattr(files / "out/d")
    # what other stages take from it; what a container of it shows, exports, commits and gives away
    assert alone(crate, "build", "--network", "none", "-t", "second", str(context)).status == 0
    found = saved(crate, "second", crate.place / "b")
    wanted = {"e/f": "5:8", "e/hard": "5:8", "e/g": "7:9", "g": "1:2"}
    assert {name: found.get(name) for name in wanted} == wanted


def test_what_leaves_a_container(pulled: Crate, tmp_path: Path) -> None:
    crate = pulled
    context = put(crate.place / "context", f"FROM {IMAGE}\nRUN mkdir /d /v && touch /d/f && chown 7:8 /d /d/f /v\n")
    assert alone(crate, "build", "--network", "none", "-t", "base", str(context)).status == 0
    start = ("run", "-d", "--name", "one", "--network", "none", "-v", "data:/v", "base", "sleep", "1000")
    assert alone(crate, *start).status == 0
    script = "stat -c %u:%g /d/f; echo x >> /d/f; touch /own /v/f; chown 9 /v/f && chown 9:10 /own; id -u > /etc/new"
    assert alone(crate, "exec", "one", "sh", "-c", script).out == "0:0"
    archive = crate.place / "out.tar"

    def take(*command: str) -> Path:
        with open(archive, "wb") as file:
            assert alone(crate, *command, stdout=file).status == 0
        return archive

    assert owners(take("export", "one"), "d", "d/f", "own", "etc/new") == {
        "d": "7:8", "d/f": "7:8", "own": "9:10", "etc/new": "0:0"
    }  # fmt: skip
    assert owners(take("cp", "one:/d", "-")) == {"d": "7:8", "d/f": "7:8"}
    assert owners(take("cp", "one:/v", "-")) == {"v": "7:8", "v/f": "9:0"}
    assert alone(crate, "cp", "one:/d/f", str(crate.place / "f")).status == 0
    assert ATTRIBUTE not in os.listxattr(crate.place / "f")
    for options, name in (((), "layered"), (("--squash",), "squashed")):
        assert alone(crate, "commit", *options, "one", name).status == 0
        found = saved(crate, name, crate.place / name)
        assert (found["own"], found["d/f"], found["d"]) == ("9:10", "7:8", "7:8"), name
    # back in, by an archive: into a volume, into a container, and by the layers of another store
    assert alone(crate, "volume", "create", "other").status == 0
    forged = crate.place / "forged.tar"
    with tarfile.open(forged, "w") as opened:
        member = tarfile.TarInfo("v")
        member.uid, member.gid, member.pax_headers = 4, 5, {f"SCHILY.xattr.{ATTRIBUTE}": "1:1:0644:file"}
        opened.addfile(member)
    with open(take("volume", "export", "data"), "rb") as file:
        assert alone(crate, "volume", "import", "other", stdin=file).status == 0
    assert alone(crate, "volume", "import", "other", str(forged)).status == 0
    assert owners(take("volume", "export", "other"), "f", "v") == {"f": "9:0", "v": "4:5"}
    with open(forged, "rb") as file:
        assert alone(crate, "cp", "-", "one:/tmp", stdin=file).status == 0
    assert owners(take("cp", "one:/tmp/v", "-")) == {"v": "0:0"}
    assert alone(crate, *RUN, "-v", "data:/v:ro", IMAGE, "chown", "5", "/v/f").status == 1
    assert "Read-only" in alone(crate, *RUN, "--read-only", IMAGE, "chown", "5", "/etc/passwd").err
    with open(take("cp", "one:/d", "-"), "rb") as file:
        assert alone(crate, "cp", "--archive", "-", "one:/tmp", stdin=file).status == 0
    assert owners(take("cp", "one:/tmp/d", "-")) == {"d": "7:8", "d/f": "7:8"}
    assert alone(crate, "save", "-o", str(crate.place / "image.tar"), "layered").status == 0
    alone(crate, "rm", "-f", "-t", "0", "one")
    assert alone(crate, "rmi", "layered", "squashed", "base").status == 0
    assert alone(crate, "load", "-i", str(crate.place / "image.tar")).status == 0
    assert alone(crate, "create", "--name", "two", "layered").status == 0
    assert owners(take("export", "two"), "d/f", "own") == {"d/f": "7:8", "own": "9:10"}


def test_where_trees_are_copies(pulled: Crate) -> None:
    """The driver vfs: a change of an owner alone is a change of the file."""
    crate = pulled
    dockerfile = f"FROM {IMAGE}\nRUN mkdir /d && touch /d/f /d/g\nRUN chown 5:6 /d/f\n"
    context = put(crate.place / "context", dockerfile)
    vfs = ("--storage-driver", "vfs")
    assert alone(crate, *vfs, "build", "--network", "none", "-t", "base", str(context)).status == 0
    found = saved(crate, "base", crate.place / "a")
    assert (found["d/f"], found["d/g"]) == ("5:6", "0:0")
    script = "chown 7:8 /d/g; touch /d/h"
    assert alone(crate, *vfs, "run", "--name", "one", "--network", "none", "base", "sh", "-c", script).status == 0
    assert alone(crate, *vfs, "commit", "one", "made").status == 0
    found = saved(crate, "made", crate.place / "b")
    assert (found["d/f"], found["d/g"], found["d/h"]) == ("5:6", "7:8", "0:0")
