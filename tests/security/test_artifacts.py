"""Artifacts and checkpoints that mean harm: what they name and link to is neither written nor read by any command."""

from __future__ import annotations

import io
import json
import os
import tarfile
from typing import TYPE_CHECKING

import pytest

from build.building import Builder
from registry.made import config_of
from registry.pulling import MANIFEST_TYPE, Pusher

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any

    from images.server import Registry
    from program import Crate

pytestmark = pytest.mark.requires("root", "overlay", "busybox")
NONE = ("--network", "none")
#: the annotations in which tools look for the name of a file: oras, compose, containerd, skopeo, buildx, podman
NAMING = (
    *("org.opencontainers.image.title", "com.docker.compose.file", "com.docker.compose.envfile"),
    *("io.containerd.image.name", "org.opencontainers.image.ref.name", "io.deis.oras.content.unpack"),
    *("vnd.docker.reference.digest", "buildkit.file", "org.opencontainers.artifact.description"),
)
CONFIG_TYPE = "application/vnd.oci.image.config.v1+json"
#: what a program could be told that a blob is
TYPES = (
    "application/vnd.oci.image.layer.v1.tar",
    "application/vnd.docker.compose.file+yaml",
    "application/vnd.oci.empty.v1+json",
)


def busybox_layer(*links: tuple[str, str], **files: bytes) -> bytes:
    """A layer with busybox as /bin/sh, these symbolic links, and files of the top directory."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        archive.add("/bin/busybox", "bin/sh")
        for name, target in links:
            entry = tarfile.TarInfo(name)
            entry.type, entry.linkname = tarfile.SYMTYPE, target
            archive.addfile(entry)
        for name, body in files.items():
            entry = tarfile.TarInfo(name.replace("_", "."))
            entry.size = len(body)
            archive.addfile(entry, io.BytesIO(body))
    return stream.getvalue()


@pytest.mark.requires("registry", "skopeo")
def test_annotations_name_no_file(crate: Crate, registry: Registry, tmp_path: Path) -> None:
    """CVE-2025-62725: compose wrote an artifact's layers to where their annotations said."""
    victim = tmp_path / "victim"
    victim.mkdir()
    up = "../" * 20
    names = [f"{crate.mark}-0", f"{up.rstrip('/')}{victim}/{crate.mark}-1", f"{victim}/{crate.mark}-2"]
    repository, pusher = f"{crate.mark}/artifact", Pusher(registry)
    layer = busybox_layer()
    each = [{"annotations": dict.fromkeys(NAMING, name)} for name in names]
    for kind in TYPES:
        config = {"mediaType": CONFIG_TYPE, **pusher.blob(repository, config_of(layer, layer, layer))}
        manifest: dict[str, Any] = {
            "schemaVersion": 2, "mediaType": MANIFEST_TYPE, **each[1], "config": {**config, **each[2]},
            "layers": [{"mediaType": kind, **one, **pusher.blob(repository, layer)} for one in each],
        }  # fmt: skip
        if kind != TYPES[0]:
            manifest["artifactType"] = "application/vnd.docker.compose.project"
        tag = f"t{TYPES.index(kind)}"
        pusher.document(repository, tag, MANIFEST_TYPE, manifest)
        pulled = crate("pull", "--quiet", "--tls-verify=false", f"{registry.address}/{repository}:{tag}")
        assert ("it is no container image" in pulled.err) is (pulled.status == 125) is (kind != TYPES[0]), pulled
    image, out = f"{registry.address}/{repository}:t0", tmp_path / "out"
    out.mkdir()
    crate.ok("run", "--name", "box", *NONE, image, "/bin/sh", "-c", ":")
    for form in ("docker-archive", "oci-archive", "oci-dir", "docker-dir"):
        crate.ok("save", "--quiet", "--format", form, "-o", str(out / form), image)
        crate.ok("load", "--quiet", "-i", str(out / form), cwd=out)
    mounting = (("image", "mount", image), ("image", "unmount", image)) if os.geteuid() == 0 else ()  # root's alone
    for words in (
        *mounting, ("history", image), ("image", "tree", image),
        ("push", "--quiet", "--tls-verify=false", image, f"{image}-again"), ("commit", "box"),
    ):  # fmt: skip
        crate.ok(*words, cwd=out)
    (tmp_path / "Dockerfile").write_text(f"FROM {image}\nRUN :\nCOPY --from={image} /bin /copied\n")
    crate.ok("build", "--quiet", *NONE, str(tmp_path))
    assert os.listdir(victim) == []
    made = [path for place in (tmp_path, crate.place, crate.runroot) for path in place.rglob(f"*{crate.mark}-[012]*")]
    assert made == []


def test_an_index_names_no_file(crate: Crate, busybox: str, tmp_path: Path) -> None:
    """The same in the index of a layout, which `load` reads names from."""
    crate.ok("save", "--quiet", "--format", "oci-dir", "-o", str(tmp_path / "layout"), busybox)
    index = json.loads((tmp_path / "layout/index.json").read_text())
    for name in (f"{crate.mark}-0/../../x", f"../../../..{tmp_path}/{crate.mark}-1", f"{tmp_path}/{crate.mark}-2"):
        for key in NAMING[3:5]:
            index["manifests"][0]["annotations"] = {**dict.fromkeys(NAMING, name), key: name}
            (tmp_path / "layout/index.json").write_text(json.dumps(index))
            told = crate.fails(125, "load", "--quiet", "-i", str(tmp_path / "layout"), cwd=tmp_path)
            assert "names an image wrongly" in told
    made = [path for place in (tmp_path, crate.place, crate.runroot) for path in place.rglob(f"*{crate.mark}-[012]*")]
    assert made == [] and not (tmp_path / "x").exists()


def test_links_of_a_checkpoint_read_nothing(crate: Crate, tmp_path: Path) -> None:
    """CVE-2026-53489: containerd read the log, and what else it expects in a checkpoint, through links of it."""
    secret = tmp_path / "secret"
    secret.write_text("the host's\n")
    up = f"{'../' * 20}{secret}"
    names = ("container.log", "stats-dump", "bind.mounts", "network.status", "io.kubernetes.cri-o.LogPath", "dump.log")
    links = [(name, target) for name, target in zip(names, (str(secret), up, f"/proc/1/root{secret}") * 2, strict=True)]
    name = json.dumps({"name": "box", "id": "0" * 64, "log-path": str(secret), "ociVersion": "1.0.2"}).encode()
    body = busybox_layer(*links, ("etc/hosts", str(secret)), ("rootfs-diff.tar", up), spec_dump=name, config_dump=name)
    (tmp_path / "checkpoint.tar").write_bytes(body)
    keys = ("io.podman.annotations", "io.kubernetes.cri-o.annotations", "org.criu", "io.containerd")
    labels = [word for key in keys for word in ("--change", f"LABEL {key}.checkpoint.name=box")]
    said = crate.ok("import", *labels, str(tmp_path / "checkpoint.tar"), "checkpoint")
    said += Builder(crate, tmp_path).try_build("FROM checkpoint\nADD checkpoint.tar /other/\n").out
    look = "busybox=; read l < /container.log; echo $l; exec /bin/sh -c 'cat /container.log /stats-dump /etc/hosts; :'"
    for words in (
        ("run", "--name", "box", *NONE, "checkpoint", "/bin/sh", "-c", look),
        ("logs", "box"), ("start", "-a", "box"), ("inspect", "box"), ("diff", "box"),
        *(("cp", f"box:/{name}", f"{name}.out") for name in (*names, "rootfs-diff.tar")),
        ("export", "-o", "box.tar", "box"), ("cp", "box:/", "all"), ("cp", "box:/container.log", "-"),
        ("commit", "box", "kept"), ("save", "--quiet", "-o", "kept.tar", "kept"), ("image", "inspect", "checkpoint"),
        ("load", "--quiet", "-i", str(tmp_path / "checkpoint.tar")), ("start", "--checkpoint", "c", "box"),
    ):  # fmt: skip
        result = crate(*words, cwd=tmp_path)
        assert result.status in (0, 125), (words, result)
        said += result.out + result.err
    assert "the host's" not in said
    files = [path for path in tmp_path.rglob("*") if not path.is_symlink() and path.is_file() and path != secret]
    assert {path.name for path in files} >= {"box.tar", "kept.tar"}
    assert [path for path in files if b"the host's" in path.read_bytes()] == []
