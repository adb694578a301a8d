"""Loading archives that skopeo, podman and docker write, and such as no honest program would."""

from __future__ import annotations

import bz2
import gzip
import hashlib
import json
import lzma
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import pytest
import zstandard

from crate.errors import CrateError, DigestError, ImageError, UsageError
from crate.image import load, local
from crate.storage import content, image_record, layers
from crate.storage.roots import Roots
from images.cache import family
from registry.made import config_of, layer_tar, manifest_of, tar

pytestmark = pytest.mark.requires("root", "skopeo", "busybox")


def skopeo(*words: str) -> None:
    subprocess.run(["skopeo", "--insecure-policy", "copy", "-q", *words], check=True)


@pytest.fixture(scope="module")
def docker_archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("archives") / "docker.tar"
    skopeo(f"oci:{family('busybox')}/layout:busybox:latest", f"docker-archive:{path}:example.com/bb:1")
    return path


@pytest.fixture(scope="module")
def oci_archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("archives") / "oci.tar"
    skopeo(f"oci:{family('busybox')}/layout:busybox:latest", f"oci-archive:{path}:short:1")
    return path


def assert_busybox(roots: Roots, loaded: list[load.Loaded], *names: str) -> None:
    (image,) = loaded
    assert image.names == list(names)
    assert (Path(layers.diff_path(roots, image.record["layers"][-1])) / "bin/busybox").stat().st_size > 1_000_000
    for name in names:
        found = local.find(roots, name)
        assert found
        assert found["id"] == image.record["id"]
    for layer in image.record["manifest"]["layers"]:
        body = Path(content.blob_path(roots, layer["digest"])).read_bytes()
        assert (len(body), "sha256:" + hashlib.sha256(body).hexdigest()) == (layer["size"], layer["digest"])
    assert os.listdir(f"{roots.graphroot}/stage") == []


def test_an_archive_of_docker(roots: Roots, docker_archive: Path) -> None:
    assert_busybox(roots, load.load(roots, str(docker_archive)), "example.com/bb:1")


def test_an_archive_of_oci(roots: Roots, oci_archive: Path) -> None:
    assert_busybox(roots, load.load(roots, str(oci_archive)), "localhost/short:1")


def test_a_layout_in_a_directory(roots: Roots, tmp_path: Path) -> None:
    skopeo(f"oci:{family('busybox')}/layout:busybox:latest", f"oci:{tmp_path}/layout:quay.io/x/y:2")
    assert_busybox(roots, load.load(roots, f"{tmp_path}/layout"), "quay.io/x/y:2")


@pytest.mark.parametrize("pack", [gzip.compress, zstandard.compress, bz2.compress, lzma.compress])
def test_a_compressed_archive_from_standard_input(
    roots: Roots, docker_archive: Path, tmp_path: Path, pack: Any
) -> None:
    (tmp_path / "packed").write_bytes(pack(docker_archive.read_bytes()))
    with (tmp_path / "packed").open("rb") as file:
        assert_busybox(roots, load.load(roots, None, file.fileno()), "example.com/bb:1")


@pytest.mark.requires("podman")
def test_what_podman_saves(roots: Roots, docker_archive: Path, tmp_path: Path) -> None:
    # podman wants a short runroot; vfs leaves no mount behind
    place = tempfile.mkdtemp(prefix="cl-", dir="/tmp")
    store = ["podman", "--root", f"{place}/p", "--runroot", f"{place}/r", "--storage-driver", "vfs"]
    try:
        subprocess.run([*store, "load", "-q", "-i", docker_archive], check=True, capture_output=True)
        for form in ("docker-archive", "oci-archive"):
            archive = f"{tmp_path}/{form}.tar"
            subprocess.run([*store, "save", "-q", "--format", form, "-o", archive, "example.com/bb:1"], check=True)
            assert_busybox(roots, load.load(roots, archive), "example.com/bb:1")
    finally:
        shutil.rmtree(place)


def load_bytes(roots: Roots, tmp_path: Path, body: bytes) -> list[load.Loaded]:
    (tmp_path / "archive").write_bytes(body)
    return load.load(roots, str(tmp_path / "archive"))


def test_several_images_share_layers_by_links(roots: Roots, tmp_path: Path) -> None:
    """As `docker save` wrote until 2023: a layer that is there already is a symbolic link to it."""
    base, top = layer_tar(a="1"), layer_tar(b="2")
    entries = [
        {"Config": "one.json", "RepoTags": ["one:latest"], "Layers": ["x/layer.tar"]},
        {"Config": "two.json", "RepoTags": ["two:1", "three:1"], "Layers": ["y/layer.tar", "z/layer.tar"]},
    ]
    body = tar(
        [
            ("x/layer.tar", base),
            ("y/layer.tar", ("link", "../x/layer.tar")),
            ("z/layer.tar", gzip.compress(top)),
            ("one.json", config_of(base)),
            ("two.json", config_of(base, top)),
            ("./manifest.json", json.dumps(entries).encode()),
        ]
    )
    first, second = load_bytes(roots, tmp_path, body)
    assert first.names == ["localhost/one:latest"]
    assert second.names == ["localhost/two:1", "localhost/three:1"]
    assert second.record["layers"][0] == first.record["layers"][0]


def test_an_image_without_a_name_is_found_by_id(roots: Roots, tmp_path: Path) -> None:
    layer = layer_tar(a="1")
    body = tar([("l", layer), ("c", config_of(layer)), ("manifest.json", manifest_of("c", ["l"]))])
    (image,) = load_bytes(roots, tmp_path, body)
    assert image.names == []
    assert local.find(roots, image.record["id"][:12])


LAYER = layer_tar(a="1")
CONFIG = config_of(LAYER)

HOSTILE: dict[str, tuple[bytes, str]] = {
    "nothing": (b"", "neither an archive of docker nor of OCI"),
    "text": (b"hello" * 1000, "malformed|checksum|truncated"),
    "zeros": (bytes(10240), "neither an archive of docker nor of OCI"),
    "cut": (tar([("l", LAYER), ("manifest.json", b"[]")])[:700], "truncated"),
    "a tree": (layer_tar(etc="x"), "neither an archive"),
    "no json": (tar([("manifest.json", b"{")]), "not JSON"),
    "no list": (tar([("manifest.json", b"{}")]), "no list"),
    "no objects": (tar([("manifest.json", b"[1]")]), "malformed"),
    "outside": (tar([("manifest.json", manifest_of("../../etc/passwd", []))]), "has no '../../etc/passwd'"),
    "absolute": (tar([("manifest.json", manifest_of("/etc/passwd", []))]), "has no '/etc/passwd'"),
    "link outside": (
        tar([("c", ("link", "/etc/passwd")), ("manifest.json", manifest_of("c", []))]), "has no 'c'"),
    "circle": (
        tar([("c", ("link", "d")), ("d", ("link", "c")), ("manifest.json", manifest_of("c", []))]), "has no 'c'"),
    "missing layer": (tar([("c", CONFIG), ("manifest.json", manifest_of("c", ["l"]))]), "has no 'l'"),
    "wrong layer": (
        tar([("l", layer_tar(a="2")), ("c", CONFIG), ("manifest.json", manifest_of("c", ["l"]))]), "diff id"),
    "layer no tar": (
        tar([("l", b"x" * 600), ("c", CONFIG), ("manifest.json", manifest_of("c", ["l"]))]), "checksum|malformed"),
    "bad name": (
        tar([("l", LAYER), ("c", CONFIG), ("manifest.json", manifest_of("c", ["l"], "NO SUCH"))]), "an image wrongly"),
    "no config": (tar([("l", LAYER), ("c", b"{}"), ("manifest.json", manifest_of("c", ["l"]))]), "disagree"),
    "huge config": (
        tar([("l", LAYER), ("c", b" " * (5 << 20)), ("manifest.json", manifest_of("c", ["l"]))]), "the most"),
    "empty index": (tar([("index.json", b'{"manifests":[]}')]), "has no image"),
    "index without digest": (tar([("index.json", b'{"manifests":[{}]}')]), "without a digest"),
    "index to nothing": (
        tar([("index.json", json.dumps({"manifests": [{"digest": "sha256:" + "0" * 64}]}).encode())]), "has no 'blobs"),
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_archive_is_refused_and_leaves_nothing(roots: Roots, tmp_path: Path, name: str) -> None:
    body, words = HOSTILE[name]
    with pytest.raises(ImageError, match=words) as caught:
        load_bytes(roots, tmp_path, body)
    assert caught.value.message.startswith(f"cannot load {tmp_path}/archive: ")
    assert image_record.list_ids(roots) == []
    assert os.listdir(f"{roots.graphroot}/stage") == []
    assert [name for name in os.listdir(f"{roots.graphroot}/layers") if name != "l"] == []


def test_names_that_lead_outside_touch_nothing(roots: Roots, tmp_path: Path) -> None:
    layer, config = layer_tar(a="1"), config_of(layer_tar(a="1"))
    victim = tmp_path / "victim"
    body = tar(
        [
            (f"../../../../../../{victim}", layer),
            (f"/{victim}", layer),
            ("c", config),
            ("manifest.json", manifest_of("c", [str(victim)])),
        ]
    )
    (image,) = load_bytes(roots, tmp_path, body)
    assert not victim.exists()
    assert image.record["size"] == 1


def test_a_blob_under_a_wrong_digest_is_refused(roots: Roots, tmp_path: Path, oci_archive: Path) -> None:
    subprocess.run(["tar", "xf", oci_archive, "-C", tmp_path], check=True)
    blobs = tmp_path / "blobs/sha256"
    largest = max(blobs.iterdir(), key=lambda path: path.stat().st_size)
    body = bytearray(largest.read_bytes())
    body[4] ^= 1
    largest.write_bytes(body)
    with pytest.raises(DigestError):
        load.load(roots, str(tmp_path))
    packed = tmp_path / "packed.tar"
    subprocess.run(["tar", "cf", packed, "-C", tmp_path, "blobs", "index.json", "oci-layout"], check=True)
    with pytest.raises(DigestError):
        load.load(roots, str(packed))
    assert image_record.list_ids(roots) == []


def test_a_directory_with_links_to_the_outside_is_refused(roots: Roots, tmp_path: Path, oci_archive: Path) -> None:
    subprocess.run(["tar", "xf", oci_archive, "-C", tmp_path], check=True)
    shutil.move(tmp_path / "index.json", tmp_path / "elsewhere")
    (tmp_path / "index.json").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ImageError, match=r"index\.json"):
        load.load(roots, str(tmp_path))


def test_what_cannot_be_read_is_named(roots: Roots, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot load /no/such/file: No such file"):
        load.load(roots, "/no/such/file")
    with pytest.raises(CrateError, match="cannot load "):
        load.load(roots, str(tmp_path))
