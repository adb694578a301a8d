"""`crate push` against Debian's docker-registry: what is sent, in which form, who reads it, what a cut leaves."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from images.server import Registry
from program import Crate
from registry.pulling import MANIFEST_TYPE
from registry.wire import CuttingProxy
from terminal import Terminal

pytestmark = pytest.mark.requires("root", "overlay", "registry", "skopeo", "busybox")

DOCKER_TYPE = "application/vnd.docker.distribution.manifest.v2+json"


@pytest.fixture
def app(crate: Crate, busybox: str) -> str:
    """`localhost/app:latest`: busybox and a committed layer, which lies in the store uncompressed."""
    crate.ok("run", "--name", "made", "--network", "none", busybox, "sh", "-c",
             "seq 1 200000 > /seq; dd if=/dev/urandom of=/noise bs=64k count=40 2>/dev/null")  # fmt: skip
    crate.ok("commit", "--quiet", "made", "app")
    crate.ok("rm", "made")
    return "localhost/app:latest"


def manifest(registry: Registry, path: str) -> dict[str, Any]:
    """Of `team/app:1`, whatever its type."""
    repository, _, tag = path.partition(":")
    status, body = registry.request("GET", f"{repository}/manifests/{tag}", Accept=f"{MANIFEST_TYPE}, {DOCKER_TYPE}")
    assert status == 200, body
    found = json.loads(body)
    assert isinstance(found, dict)
    return found


def layer_types(registry: Registry, path: str) -> set[str]:
    return {layer["mediaType"].rpartition(".")[2] for layer in manifest(registry, path)["layers"]}


def skopeo(*words: str, status: int = 0) -> str:
    done = subprocess.run(["skopeo", "--insecure-policy", *words], capture_output=True, text=True, check=False)
    assert done.returncode == status, done.stderr
    return done.stdout


def podman(crate: Crate, *words: str) -> str:
    """podman with a store beside crate's."""
    place = crate.runroot.parent  # podman wants a short path
    command = ["podman", "--root", str(crate.place / "podman"), "--runroot", str(place / "p"), *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def image_id(crate: Crate, name: str) -> str:
    return crate.ok("image", "inspect", "--format", "{{.Id}}", name)


def test_what_was_pushed_is_what_is_pulled(crate: Crate, app: str, registry: Registry, tmp_path: Path) -> None:
    """By crate, by skopeo and by podman; the committed layer is compressed once."""
    target = registry.reference("team/app:1")
    result = crate("push", "--digestfile", str(tmp_path / "digest"), app, target)
    assert result.status == 0, result.err
    assert result.out == ""
    assert "Copying blob" in result.err
    assert "Writing manifest to image destination\n" in result.err
    pushed = manifest(registry, "team/app:1")
    assert [layer["mediaType"] for layer in pushed["layers"]] == ["application/vnd.oci.image.layer.v1.tar+gzip"] * 2
    digest = (tmp_path / "digest").read_text()
    assert json.loads(skopeo("inspect", "--tls-verify=false", f"docker://{target}"))["Digest"] == digest
    wanted = image_id(crate, app)
    assert crate.ok("image", "inspect", "--format", "{{.Id}}", digest) == wanted  # the local image has the digest too
    skopeo("copy", "-q", "--src-tls-verify=false", f"docker://{target}", f"oci:{tmp_path}/oci:x")
    podman(crate, "pull", "-q", "--tls-verify=false", target)
    assert podman(crate, "image", "inspect", "--format", "{{.Id}}", target) == wanted
    crate.ok("rmi", app)
    assert crate.ok("pull", "--quiet", target) == wanted
    crate.ok("run", "--rm", "--network", "none", target, "sh", "-c", "tail -n 1 /seq | grep -q 200000")


def test_what_podman_pushed_is_pulled(crate: Crate, app: str, registry: Registry) -> None:
    crate.ok("push", "--quiet", app, registry.reference("for/podman:1"))
    podman(crate, "pull", "-q", "--tls-verify=false", registry.reference("for/podman:1"))
    podman(crate, "push", "-q", "--tls-verify=false", registry.reference("for/podman:1"),
           registry.reference("of/podman:1"))  # fmt: skip
    wanted = image_id(crate, app)
    crate.ok("rmi", app)
    assert crate.ok("pull", "--quiet", registry.reference("of/podman:1")) == wanted


def test_only_what_is_missing_is_sent(crate: Crate, app: str, registry: Registry) -> None:
    once, another = f"once-{crate.mark}/app", f"other-{crate.mark}/app"  # nobody was there before
    assert "skipped" not in crate("push", app, registry.reference(f"{once}:1")).err
    assert crate("push", app, registry.reference(f"{once}:2")).err.count("skipped: already exists") == 2
    assert manifest(registry, f"{once}:1") == manifest(registry, f"{once}:2")
    # The name tells where else in this registry the layers may be: they are mounted.
    crate.ok("tag", app, registry.reference(f"{once}:1"))
    assert crate("push", app, registry.reference(f"{another}:1")).err.count("skipped: already exists") == 2
    assert manifest(registry, f"{another}:1") == manifest(registry, f"{once}:1")


def test_a_tag_that_stands_for_it_already_is_left_alone(
    crate: Crate, app: str, busybox: str, registry: Registry
) -> None:
    crate.ok("push", "--quiet", app, registry.reference("still/app:1"))
    tag = registry.storage / "docker/registry/v2/repositories/still/app/_manifests/tags/1/current/link"
    before, stood_for = tag.stat(), manifest(registry, "still/app:1")
    crate.ok("push", "--quiet", app, registry.reference("still/app:1"))
    assert tag.stat().st_mtime_ns == before.st_mtime_ns
    crate.ok("push", "--quiet", busybox, registry.reference("still/app:1"))
    assert manifest(registry, "still/app:1") != stood_for
    crate.ok("push", "--quiet", app, registry.reference("still/app:1"))
    assert manifest(registry, "still/app:1") == stood_for


def test_compression_and_manifest_type(crate: Crate, app: str, registry: Registry, tmp_path: Path) -> None:
    wanted = image_id(crate, app)
    for words, kind, layers in (
        (["--compression-format", "zstd", "--compression-level", "6"], MANIFEST_TYPE, {"tar+zstd"}),
        (["--format", "v2s2"], DOCKER_TYPE, {"gzip"}),
        (["--format", "oci", "--compression-level", "9", "--force-compression"], MANIFEST_TYPE, {"tar+gzip"}),
    ):
        crate.ok("push", "--quiet", *words, app, registry.reference("forms/app:1"))
        assert manifest(registry, "forms/app:1")["mediaType"] == kind
        assert layer_types(registry, "forms/app:1") == layers
        skopeo("copy", "-q", "--src-tls-verify=false", f"docker://{registry.reference('forms/app:1')}",
               f"dir:{tmp_path}/{len(words)}")  # fmt: skip
        other = registry.reference("forms/app:1")
        assert crate.ok("pull", "--quiet", other) == wanted
    assert "zstd" in crate.fails(125, "push", "--compression-format", "zstd", "--format", "v2s2", app, "x.example/x")
    assert "from 1 to 9" in crate.fails(125, "push", "--compression-level", "10", app, "x.example/x")
    assert "one of: gzip, zstd" in crate.fails(125, "push", "--compression-format", "lzw", app, "x.example/x")


def test_all_tags_and_their_names(crate: Crate, app: str, registry: Registry) -> None:
    repository = f"{registry.address}/tags/app"
    for tag in ("1", "2", "latest"):
        crate.ok("tag", app, f"{repository}:{tag}")
    crate.ok("push", "--quiet", "--all-tags", repository)
    status, body = registry.request("GET", "tags/app/tags/list")
    assert sorted(json.loads(body)["tags"]) == ["1", "2", "latest"], status
    assert "it has a tag" in crate.fails(125, "push", "-a", f"{repository}:1")
    assert "no local image" in crate.fails(125, "push", "-a", "nosuch.example/app")
    assert "image not known" in crate.fails(125, "push", "nosuch")
    assert "which name?" in crate.fails(125, "push", image_id(crate, app))
    crate.ok("push", "--quiet", f"{repository}:1")
    assert "has the digest" in crate.fails(125, "push", "-q", app, f"{repository}@sha256:{'0' * 64}")


def test_with_a_password(crate: Crate, app: str, guarded_registry: Registry, tmp_path: Path) -> None:
    target = guarded_registry.reference("private/app:1")
    assert "unauthorized: authentication required" in crate.fails(125, "push", "-q", app, target)
    assert "unauthorized: authentication required" in crate.fails(125, "push", "-q", "--creds", "me:no", app, target)
    crate.ok("push", "--quiet", "--creds", "me:secret", app, target)
    assert crate.ok("pull", "--quiet", "--creds", "me:secret", target) == image_id(crate, app)


def test_over_tls(crate: Crate, app: str, tls_registry: tuple[Registry, Path], tmp_path: Path) -> None:
    server, certificate = tls_registry
    target = server.reference("tls/app:1")
    assert "certificate not trusted" in crate.fails(125, "push", "-q", "--tls-verify", app, target)
    (tmp_path / "certs").mkdir()
    (tmp_path / "certs/ca.crt").write_bytes(certificate.read_bytes())
    crate.ok("push", "-q", "--tls-verify", "--cert-dir", str(tmp_path / "certs"), app, target)
    assert crate.ok("pull", "-q", "--tls-verify", "--cert-dir", str(tmp_path / "certs"), target) == image_id(crate, app)


@pytest.mark.parametrize("cuts", [[None, 900, 70_000, 500_000, 1_000_000, 3, None], [None, 250_000, 0, None]])
def test_cut_connections_do_no_harm(
    crate: Crate, app: str, registry: Registry, cutting: Callable[..., CuttingProxy], cuts: list[int | None]
) -> None:
    """docker-registry cannot go on in the midst of a chunk: it gets the blob anew."""
    proxy = cutting(registry.address, cuts_up=cuts)
    name = f"cut/app{len(cuts)}:1"
    crate.ok("push", "--quiet", "--retry", "8", "--retry-delay", "10ms", app, f"{proxy.address}/{name}")
    assert proxy.connections >= len(cuts)
    assert crate.ok("pull", "--quiet", registry.reference(name)) == image_id(crate, app)


def test_a_push_that_fails_leaves_no_manifest(
    crate: Crate, app: str, registry: Registry, cutting: Callable[..., CuttingProxy]
) -> None:
    proxy = cutting(registry.address, cuts_up=[None, 300_000, 0])
    words = ["--quiet", "--retry", "1", "--retry-delay", "10ms", app, f"{proxy.address}/failed/app:1"]
    assert f"cannot push {proxy.address}/failed/app:1" in crate.fails(125, "push", *words)
    assert registry.request("GET", "failed/app/manifests/1", Accept=MANIFEST_TYPE)[0] == 404
    assert os.listdir(crate.root / "stage") == []


def test_directories_and_archives(crate: Crate, app: str, tmp_path: Path) -> None:
    wanted = image_id(crate, app)
    for transport in ("dir:plain", "oci:layout:one", "oci:layout:two", "oci-archive:oci.tar:one",
                      "docker-archive:docker.tar:app:1"):  # fmt: skip
        name, _, rest = transport.partition(":")
        crate.ok("push", "--quiet", app, f"{name}:{tmp_path}/{rest}")
        source = f"{name}:{tmp_path}/{rest}".replace("app:1", "docker.io/library/app:1")
        skopeo("copy", "-q", source, f"dir:{tmp_path}/copied")
        found = json.loads((tmp_path / "copied/manifest.json").read_text())
        assert found["config"]["digest"] == f"sha256:{wanted}"
        assert not {layer["mediaType"] for layer in found["layers"]} & {"application/vnd.oci.image.layer.v1.tar+gzip"}
    crate.ok("push", "--quiet", "--compress", app, f"dir:{tmp_path}/packed")
    packed = json.loads((tmp_path / "packed/manifest.json").read_text())
    assert {layer["mediaType"] for layer in packed["layers"]} == {"application/vnd.oci.image.layer.v1.tar+gzip"}
    crate.ok("rmi", app)
    crate.ok("load", "-i", str(tmp_path / "docker.tar"))
    assert image_id(crate, "app:1") == wanted
    assert "is not supported" in crate.fails(125, "push", "app:1", "docker-daemon:x")
    assert "regular file" in crate.fails(125, "push", "app:1", f"oci-archive:{tmp_path}")


def test_compressed_blobs_go_with_their_image(crate: Crate, app: str, registry: Registry) -> None:
    def blobs() -> set[str]:
        return set(os.listdir(crate.root / "images/blobs/sha256"))

    before = blobs()
    crate.ok("push", "--quiet", "--compression-format", "zstd", app, registry.reference("gone/app:1"))
    assert len(blobs() - before) == 3  # two layers and the manifest
    crate.ok("rmi", app)
    assert len(blobs() - before) == 1  # of busybox, which is another image
    assert len(os.listdir(crate.root / "images/compressed")) == 1


def test_bars_on_a_terminal(crate: Crate, app: str, registry: Registry) -> None:
    environment = {**crate.environment, "TERM": "xterm"}
    terminal = Terminal(crate.command("push", app, registry.reference("bars/app:1")), environment, 24, 100)
    status, seen = terminal.end()
    assert status == 0, seen
    assert "Copying blob" in seen
    assert "━" in seen
    assert seen.count("done") >= 2
    assert seen.rstrip().endswith("Writing manifest to image destination")
