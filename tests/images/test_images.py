"""The images of the tests are what they say, and the registry serves them."""

from __future__ import annotations

import gzip
import json
import tarfile
from pathlib import Path

import pytest

from images.layers import Layout
from images.server import Registry

ACCEPT = "application/vnd.oci.image.manifest.v1+json"


def manifest(registry: Registry, reference: str) -> dict[str, list[dict[str, str]]]:
    """The manifest that the registry has for a reference of its own."""
    repository, _, tag = reference.partition("/")[2].partition(":")
    status, body = registry.request("GET", f"{repository}/manifests/{tag}", Accept=ACCEPT)
    assert status == 200, body
    found = json.loads(body)
    assert isinstance(found, dict)
    return found


@pytest.mark.requires("registry", "busybox")
def test_registry_serves_busybox(registry: Registry, busybox_image: str) -> None:
    (layer,) = manifest(registry, busybox_image)["layers"]
    status, blob = registry.request("GET", f"busybox/blobs/{layer['digest']}")
    assert status == 200
    assert b"bin/busybox" in gzip.decompress(blob)


@pytest.mark.requires("registry", "debootstrap", "network")
def test_nginx_stands_on_debian(registry: Registry, debian_image: str, nginx_image: str, redis_image: str) -> None:
    debian, nginx, redis = (manifest(registry, image)["layers"] for image in (debian_image, nginx_image, redis_image))
    assert len(debian) == 1
    assert nginx[:1] == redis[:1] == debian
    assert nginx[1] != redis[1]


@pytest.mark.requires("debootstrap", "network")
def test_layer_has_whiteouts(debian_family: Path) -> None:
    image = json.loads((debian_family / "layout/index.json").read_text())["manifests"][1]
    assert image["annotations"]["org.opencontainers.image.ref.name"] == "nginx:latest"
    blobs = debian_family / "layout/blobs/sha256"
    layers = json.loads((blobs / image["digest"][7:]).read_text())["layers"]
    with tarfile.open(blobs / layers[1]["digest"][7:]) as archive:
        names = archive.getnames()
    assert "usr/sbin/nginx" in names
    assert any(name.rpartition("/")[2].startswith(".wh.") for name in names)


def test_layout_is_deterministic(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    (tree / "sub").mkdir(parents=True)
    (tree / "sub/file").write_text("content")
    descriptors = [Layout(tmp_path / name).add_layer(tree) for name in ("one", "two")]
    assert descriptors[0] == descriptors[1]
