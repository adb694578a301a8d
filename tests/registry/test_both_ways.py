"""Every form and compression that crate, podman and skopeo share: what one wrote the others read, to the same files."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from images.server import Registry
from program import Crate
from registry.pulling import MANIFEST_TYPE

pytestmark = pytest.mark.requires("root", "overlay", "registry", "skopeo", "podman", "busybox")

DOCKER_TYPE = "application/vnd.docker.distribution.manifest.v2+json"
COMPRESSIONS = ("gzip", "zstd", "zstd:chunked")
#: transport of containers-transports(5) -> how `save` of crate and podman calls it
FORMS = {"docker-archive": "docker-archive", "oci-archive": "oci-archive", "oci": "oci-dir", "dir": "docker-dir"}
TRANSPORTS = ["oci", "dir", *(pytest.param(name, marks=pytest.mark.slow) for name in ("docker-archive", "oci-archive"))]
NAME = "example.com/moved:1"


#: they remember which compressions of a layer a registry has, and send those again whatever is asked for
_FORGETFUL = ("unshare", "-m", "sh", "-c", 'mount -t tmpfs cache /var/lib/containers/cache; exec "$0" "$@"')


class Peers:
    """podman with a store of its own, and skopeo."""

    def __init__(self, place: str) -> None:
        self.store = ["podman", "--root", f"{place}/p", "--runroot", f"{place}/r", "--storage-driver", "vfs"]

    def podman(self, *words: str) -> str:
        return output([*_FORGETFUL, *self.store, *words])

    def skopeo(self, *words: str) -> str:
        return output([*_FORGETFUL, "skopeo", "--insecure-policy", *words])

    def sees(self, image_id: str) -> str:
        """The digest of all of /files, and what the link says, as podman unpacked them; the image goes then."""
        files = Path(self.podman("image", "mount", image_id)) / "files"
        found = digest_of(files)
        self.podman("image", "unmount", image_id)
        self.podman("rmi", "-f", image_id)
        return found


def output(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(command)}: {done.stderr}"
    return done.stdout.strip()


def digest_of(directory: Path) -> str:
    """Of names, modes, owners, times to the second, links and contents of what lies in a directory."""
    hasher = hashlib.sha256()
    for path in sorted(directory.rglob("*")):
        status = path.lstat()
        hasher.update(repr((path.name, status.st_mode, status.st_uid, status.st_gid, int(status.st_mtime))).encode())
        hasher.update(
            str(path.readlink()).encode() if path.is_symlink() else path.read_bytes() if path.is_file() else b""
        )
    return hasher.hexdigest()


class Moved:
    """An image of two layers, the upper one plain in the store; `digest` is that of its files."""

    def __init__(self, crate: Crate, busybox: str) -> None:
        self.crate = crate
        crate.ok("create", "--name", "made", busybox)
        files = Path(crate.ok("mount", "made")) / "files"
        (files / "sub").mkdir(parents=True)
        (files / "text").write_text("line\n" * 100_000)
        (files / "empty").touch(mode=0o600)
        (files / "sub/ünï").write_bytes(bytes(range(256)) * 3000)
        (files / "link").symlink_to("/etc/passwd")
        (files / "sub/program").write_text("#!/bin/sh\n")
        (files / "sub/program").chmod(0o4755)
        self.digest = digest_of(files)
        crate.ok("unmount", "made")
        crate.ok("commit", "--quiet", "made", NAME)
        crate.ok("rm", "made")
        self.id = self.shown(NAME)

    def shown(self, name: str) -> str:
        return self.crate.ok("image", "inspect", "--format", "{{.Id}}", name)

    def arrived(self, how: object) -> None:
        """The image is in crate's store as it was; then it is removed."""
        place = Path(self.crate.ok("image", "mount", self.id))
        assert digest_of(place / "files") == self.digest, how
        self.crate.ok("image", "unmount", self.id)
        self.crate.ok("rmi", "-f", self.id)

    def leave(self) -> None:
        """Removes it from crate's store, with what was made of it."""
        self.crate.ok("rmi", "-f", self.id)


@pytest.fixture
def moved(crate: Crate, busybox: str) -> Moved:
    return Moved(crate, busybox)


@pytest.fixture
def peers() -> Iterator[Peers]:
    Path("/var/lib/containers/cache").mkdir(parents=True, exist_ok=True)
    place = tempfile.mkdtemp(prefix="cb-", dir="/tmp")  # podman wants a short runroot
    yield Peers(place)
    shutil.rmtree(place)


def layers(registry: Registry, path: str) -> list[dict[str, Any]]:
    """Of the manifest of a repository's tag 1."""
    status, body = registry.request("GET", f"{path}/manifests/1", Accept=f"{MANIFEST_TYPE}, {DOCKER_TYPE}")
    assert status == 200, body
    found: list[dict[str, Any]] = json.loads(body)["layers"]
    return found


def is_compressed(layer: dict[str, Any], compression: str) -> bool:
    """Is it so by its media type, and for zstd:chunked by the annotation that says where its table of contents is?"""
    kind = compression.partition(":")[0]
    chunked = any("zstd-chunked" in key for key in layer.get("annotations") or {})
    return bool(layer["mediaType"].endswith(kind)) and chunked == compression.endswith("chunked")


def test_what_others_pushed(moved: Moved, peers: Peers, registry: Registry, tmp_path: Path) -> None:
    """Pulled, and pushed on byte for byte, annotations included."""
    crate = moved.crate
    crate.ok("save", "--format", "oci-dir", "--uncompressed", "-o", f"{tmp_path}/plain", NAME)
    peers.podman("load", "-q", "-i", f"{tmp_path}/plain")
    moved.leave()
    for compression in COMPRESSIONS:
        name = compression.replace(":", "-")
        copy = ("copy", "-q", "--dest-tls-verify=false", "--dest-compress-format", compression)
        peers.skopeo(*copy, f"oci:{tmp_path}/plain:{NAME}", f"docker://{registry.reference(f'skopeo/{name}:1')}")
        push = ("push", "-q", "--tls-verify=false", "--compression-format", compression)
        peers.podman(*push, moved.id, registry.reference(f"podman/{name}:1"))
        for peer in ("skopeo", "podman"):
            source, onward = f"{peer}/{name}", f"onward/{peer}-{name}"
            there = layers(registry, source)
            assert all(is_compressed(layer, compression) for layer in there), there
            assert crate.ok("pull", "--quiet", registry.reference(f"{source}:1")) == moved.id
            crate.ok("push", "--quiet", registry.reference(f"{source}:1"), registry.reference(f"{onward}:1"))
            assert layers(registry, onward) == there
            moved.arrived((peer, compression))
            peers.skopeo("copy", "-q", "--src-tls-verify=false", f"docker://{registry.reference(f'{onward}:1')}",
                        f"dir:{tmp_path}/{peer}-{name}")  # fmt: skip
    peers.podman("rmi", "-f", moved.id)
    for compression in COMPRESSIONS:
        source = registry.reference(f"onward/skopeo-{compression.replace(':', '-')}:1")
        peers.podman("pull", "-q", "--tls-verify=false", source)
        assert peers.sees(moved.id) == moved.digest, compression


def test_what_crate_pushed(moved: Moved, peers: Peers, registry: Registry, tmp_path: Path) -> None:
    for compression, form in (("gzip", "oci"), ("zstd", "oci"), ("gzip", "v2s2")):
        path = f"crate/{compression}-{form}"
        target = registry.reference(f"{path}:1")
        how = ("--compression-format", compression, "--force-compression", "--format", form)
        moved.crate.ok("push", "--quiet", *how, NAME, target)
        assert all(is_compressed(layer, compression) for layer in layers(registry, path))
        peers.skopeo(
            "copy", "-q", "--src-tls-verify=false", f"docker://{target}", f"dir:{tmp_path}/{compression}-{form}"
        )
        peers.podman("pull", "-q", "--tls-verify=false", target)
        assert peers.sees(moved.id) == moved.digest, (compression, form)
    refused = moved.crate.fails(125, "push", "--compression-format", "zstd:chunked", NAME, target)
    assert 'cannot write compression format "zstd:chunked"' in refused


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_what_crate_wrote_to_disk(moved: Moved, peers: Peers, tmp_path: Path, transport: str) -> None:
    """By `push` and by `save`, plain and compressed; podman unpacks each, skopeo checks every digest on the way."""
    form = FORMS[transport]
    ways: list[tuple[str, tuple[str, ...]]] = [("push", ()), ("save", ())]
    if transport != "docker-archive":  # which knows plain layers only
        ways += [("push", ("--compression-format", "gzip")), ("push", ("--compression-format", "zstd"))]
    if transport == "dir":
        ways += [("save", ("--compress",)), ("save", ("--uncompressed",))]
    for number, (verb, options) in enumerate(ways):
        path = tmp_path / f"{number}"
        place = f"{transport}:{path}" + (f":{NAME}" if transport != "dir" else "")
        if verb == "push":
            moved.crate.ok("push", "--quiet", *options, NAME, place)
        else:
            moved.crate.ok("save", "--format", form, *options, "-o", str(path), NAME)
        peers.skopeo("copy", "-q", place, f"dir:{tmp_path}/{number}-skopeo")
        peers.podman("pull", "-q", place)
        assert peers.sees(moved.id) == moved.digest, (verb, transport, options)


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_what_others_wrote_to_disk(moved: Moved, peers: Peers, tmp_path: Path, transport: str) -> None:
    crate = moved.crate
    crate.ok("save", "--format", "oci-dir", "--uncompressed", "-o", f"{tmp_path}/plain", NAME)
    peers.podman("load", "-q", "-i", f"{tmp_path}/plain")
    peers.podman("tag", moved.id, NAME)
    moved.leave()
    form = FORMS[transport]
    ways: list[tuple[str, ...]] = [("podman", "save", "-q", "--format", form, "-o")]
    compressions = ("gzip", "zstd", "zstd:chunked") if transport in ("oci", "oci-archive") else ("gzip",)
    pack = ("--dest-compress",) if transport == "dir" else ()
    for one in compressions if transport != "docker-archive" else ():
        ways.append(("skopeo", "copy", "-q", *pack, "--dest-compress-format", one))
    ways.append(("skopeo", "copy", "-q"))
    for number, (peer, *words) in enumerate(ways):
        path = tmp_path / f"{number}"
        if peer == "podman":
            peers.podman(*words, str(path), NAME)
        else:
            suffix = f":{NAME}" if transport != "dir" else ""
            peers.skopeo(*words, f"oci:{tmp_path}/plain:{NAME}", f"{transport}:{path}{suffix}")
        assert "Loaded image: " in crate.ok("load", "--quiet", "-i", str(path))
        moved.arrived((peer, transport, words))
        assert crate.ok("pull", "--quiet", f"{transport}:{path}") == moved.id
        moved.arrived((peer, transport, words, "by pull"))
