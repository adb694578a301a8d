"""`save` and `load` beside podman and skopeo: what the one writes the other reads; and archives of the hostile."""

from __future__ import annotations

import bz2
import gzip
import hashlib
import io
import json
import lzma
import os
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import zstandard

from registry.made import config_of, layer_tar, manifest_of, tar

if TYPE_CHECKING:
    from collections.abc import Iterator

    from program import Crate

IMAGE = "crate.local/busybox"
FORMS = ("docker-archive", "oci-archive", "oci-dir", "docker-dir")

pytestmark = pytest.mark.requires("root", "overlay", "busybox", "skopeo")


class Podman:
    """podman with a store of its own, which leaves no mount behind."""

    def __init__(self, place: str) -> None:
        self.words = ["podman", "--root", f"{place}/p", "--runroot", f"{place}/r", "--storage-driver", "vfs"]

    def __call__(self, *words: str) -> str:
        done = subprocess.run([*self.words, *words], capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"podman {' '.join(words)}: {done.stderr}"
        return done.stdout.strip()


@pytest.fixture
def podman() -> Iterator[Podman]:
    place = tempfile.mkdtemp(prefix="cs-", dir="/tmp")  # podman wants a short runroot
    yield Podman(place)
    shutil.rmtree(place)


@pytest.fixture
def two(crate: Crate, busybox: str) -> str:
    """An image with one more layer, which is not compressed in the store."""
    crate.ok("create", "--name", "c", busybox)
    (Path(crate.ok("mount", "c")) / "added").write_text("added\n" * 1000)
    crate.ok("unmount", "c")
    crate.ok("commit", "-q", "-c", "CMD cat /added", "c", "example.com/two:1")
    crate.ok("rm", "c")
    return "example.com/two:1"


def transport(form: str, path: Path, name: str) -> str:
    """How skopeo calls it."""
    return {"oci-dir": f"oci:{path}:{name}", "docker-dir": f"dir:{path}"}.get(form, f"{form}:{path}:{name}")


@pytest.mark.requires("podman")
def test_what_is_saved_is_read_by_others(crate: Crate, two: str, podman: Podman, tmp_path: Path) -> None:
    image_id = crate.ok("image", "inspect", "-f", "{{.Id}}", two)
    for form in FORMS:
        path = tmp_path / form
        crate.ok("save", "--format", form, "-o", str(path), two)
        target = tmp_path / f"skopeo-{form}"
        command = ["skopeo", "--insecure-policy", "copy", "-q", transport(form, path, two), f"dir:{target}"]
        subprocess.run(command, check=True)
        manifest = json.loads((target / "manifest.json").read_text())
        assert manifest["config"]["digest"] == f"sha256:{image_id}"
        podman("load", "-q", "-i", str(path))
        assert podman("inspect", "--type", "image", "--format", "{{.Id}}", image_id) == image_id
        podman("rmi", "-f", image_id)
    # and the other way round
    podman("load", "-q", "-i", str(tmp_path / "oci-archive"))
    crate.ok("rmi", "-f", two, IMAGE)
    for form in FORMS:
        path = tmp_path / f"podman-{form}"
        podman("save", "-q", "--format", form, "-o", str(path), two)
        loaded = crate.ok("load", "-q", "-i", str(path))
        assert loaded in (f"Loaded image: {two}", f"Loaded image: sha256:{image_id}"), (form, loaded)
        shown = crate.ok("run", "--rm", "--network", "none", image_id)
        assert shown.count("added") == 1000, form
        crate.ok("rmi", "-f", image_id)
    podman("tag", two, "example.com/more:2")
    podman("save", "-q", "-m", "-o", str(tmp_path / "several"), two, "example.com/more:2")
    loaded = crate.ok("load", "-q", "-i", str(tmp_path / "several"))
    assert set(loaded.splitlines()) == {f"Loaded image: {two}", "Loaded image: example.com/more:2"}


def layers_of(path: Path) -> list[bytes]:
    """The first bytes of the layers in a directory that was saved, lowest first."""
    manifest = json.loads((path / "manifest.json").read_text())
    found = []
    for layer in manifest["layers"]:
        body = (path / layer["digest"].partition(":")[2]).read_bytes()
        assert (len(body), f"sha256:{hashlib.sha256(body).hexdigest()}") == (layer["size"], layer["digest"])
        found.append(body[:2])
    return found


def test_compression(crate: Crate, two: str, tmp_path: Path) -> None:
    packed, plain = tmp_path / "packed", tmp_path / "plain"
    assert "single image" in crate.fails(125, "save", "--format", "docker-dir", "-o", str(tmp_path / "x"), two, IMAGE)
    crate.ok("save", "--format", "docker-dir", "--compress", "-o", str(packed), two)
    assert layers_of(packed) == [b"\x1f\x8b"] * 2
    kinds = [layer["mediaType"] for layer in json.loads((packed / "manifest.json").read_text())["layers"]]
    assert kinds == ["application/vnd.docker.image.rootfs.diff.tar.gzip"] * 2
    crate.ok("rmi", "-f", two, IMAGE)
    assert crate.ok("load", "-q", "-i", str(packed)).startswith("Loaded image: sha256:")
    crate.ok("tag", crate.ok("images", "-q"), two)
    crate.ok("save", "--format", "docker-dir", "-o", str(tmp_path / "again"), two)
    assert layers_of(tmp_path / "again") == [b"\x1f\x8b"] * 2, "as they are stored"
    crate.ok("save", "--format", "docker-dir", "--uncompressed", "-o", str(plain), two)
    assert b"\x1f\x8b" not in layers_of(plain)
    assert "--format is 'docker-dir'" in crate.fails(125, "save", "--compress", "-o", str(tmp_path / "x"), two)
    # the same image, the same archive
    for number in ("1", "2"):
        crate.ok("save", "-o", str(tmp_path / number), two)
    assert (tmp_path / "1").read_bytes() == (tmp_path / "2").read_bytes()


def test_streams(crate: Crate, two: str, tmp_path: Path) -> None:
    """Several images over standard output and input, and in every compression."""
    with (tmp_path / "all").open("wb") as file:
        command = crate.command("save", "-m", two, IMAGE)
        subprocess.run(command, stdout=file, check=True, env=crate.environment)
    body = (tmp_path / "all").read_bytes()
    crate.ok("rmi", "-f", two, IMAGE)
    for pack in (gzip.compress, zstandard.compress, bz2.compress, lzma.compress):
        (tmp_path / "packed").write_bytes(pack(body))
        with (tmp_path / "packed").open("rb") as file:
            done = subprocess.run(
                crate.command("load", "-q"), stdin=file, capture_output=True, check=True, env=crate.environment
            )
        assert set(done.stdout.decode().splitlines()) == {f"Loaded image: {two}", f"Loaded image: {IMAGE}:latest"}
    reader, writer = os.pipe()
    os.close(reader)
    broken = subprocess.run(crate.command("save", two), stdout=writer, stderr=subprocess.PIPE, check=False)
    os.close(writer)
    assert broken.returncode and b"Traceback" not in broken.stderr
    (tmp_path / "cut").write_bytes(body[: len(body) // 2])
    assert "truncated" in crate.fails(125, "load", "-i", str(tmp_path / "cut"))
    assert "directory" in crate.fails(125, "save", "--format", "oci-dir", two)


LAYER = layer_tar(a="1")
NAMED = {"mediaType": "application/vnd.oci.image.manifest.v1+json"}


def layout(index: dict[str, Any], *blobs: bytes, wrong: dict[bytes, str] | None = None) -> bytes:
    """An OCI archive of these blobs; `wrong`: digests that some are to have instead."""
    names = [(wrong or {}).get(blob) or hashlib.sha256(blob).hexdigest() for blob in blobs]
    members = [(f"blobs/sha256/{name}", blob) for name, blob in zip(names, blobs, strict=True)]
    return tar(
        [*members, ("oci-layout", b'{"imageLayoutVersion":"1.0.0"}'), ("index.json", json.dumps(index).encode())]
    )


def descriptor(blob: bytes, **more: Any) -> dict[str, Any]:
    return {"digest": f"sha256:{hashlib.sha256(blob).hexdigest()}", "size": len(blob), **more}


def an_image(layer: bytes, **descriptor_of_layer: Any) -> tuple[bytes, bytes, dict[str, Any]]:
    config = config_of(layer)
    entry = {**descriptor(layer, mediaType="application/vnd.oci.image.layer.v1.tar"), **descriptor_of_layer}
    value = {"schemaVersion": 2, **NAMED, "config": descriptor(config), "layers": [entry]}
    manifest = json.dumps(value).encode()
    return config, manifest, {"schemaVersion": 2, "manifests": [descriptor(manifest, **NAMED)]}


def hostile_layer(kind: str, mark: str) -> bytes:
    """A layer that would write outside, were it unpacked by its letters."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        members: dict[str, list[tuple[str, str | None, bool]]] = {
            "names": [("../../../../../../../../tmp/{mark}", None, False), ("/tmp/{mark}", None, False)],
            "links": [("l", "/tmp", True), ("l/{mark}", None, False)],
            "hard links": [("l", "/etc/passwd", False), ("m", "../../../../../etc/passwd", False)],
            "whiteouts": [("l", "/", True), ("l/tmp/.wh.{mark}", None, False), ("../../.wh.{mark}", None, False),
                          ("../../../../tmp/.wh..wh..opq", None, False), (".wh...", None, False)],
        }  # fmt: skip
        for name, target, symbolic in members[kind]:
            entry = tarfile.TarInfo(name.format(mark=mark))
            if target:
                entry.type, entry.linkname = tarfile.SYMTYPE if symbolic else tarfile.LNKTYPE, target
            archive.addfile(entry)
    return stream.getvalue()


def test_hostile_layers_change_nothing_outside(crate: Crate, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("here")
    for kind in ("names", "links", "hard links", "whiteouts"):
        layer = hostile_layer(kind, f"crate-outside-{crate.mark}")
        (tmp_path / "archive").write_bytes(
            tar([("l", layer), ("c", config_of(layer)), ("manifest.json", manifest_of("c", ["l"], "x"))])
        )
        done = crate("load", "-q", "-i", str(tmp_path / "archive"))
        assert done.status in (0, 125) and "Traceback" not in done.err
        assert not os.path.exists(f"/tmp/crate-outside-{crate.mark}") and victim.read_text() == "here", kind
        assert Path("/etc/passwd").read_text().startswith("root:") and Path("/etc/passwd").stat().st_nlink == 1, kind
        assert not list((crate.root / "stage").iterdir())


def test_hostile_archives_leave_nothing(crate: Crate, tmp_path: Path) -> None:
    config, manifest, index = an_image(LAYER)
    short, long = an_image(LAYER, size=len(LAYER) - 1), an_image(LAYER, size=len(LAYER) + 1)
    evil = an_image(LAYER, digest="sha256:../../../../../../etc/passwd")
    both = json.dumps({**json.loads(manifest), "manifests": []}).encode()
    archives: dict[str, tuple[bytes, str]] = {
        "a blob under another's digest": (
            layout(index, LAYER, config, manifest, wrong={LAYER: "0" * 64}), "has no|digest"),
        "a layer that is missing": (layout(index, config, manifest), "has no"),
        "a manifest that is missing": (layout(index, LAYER, config), "has no"),
        "a layer that is shorter": (layout(long[2], LAYER, *long[:2]), "bytes|size"),
        "a layer that is longer": (layout(short[2], LAYER, *short[:2]), "bytes|size"),
        "a digest that is a path": (layout(evil[2], LAYER, *evil[:2]), "valid digest"),
        "manifest and index in one": (
            layout({"manifests": [descriptor(both, **NAMED)]}, LAYER, config, both), "contradict"),
        "an index in itself": (layout({"manifests": [descriptor(b"{}")]}, b"{}"), "no image manifest"),
        "a name that is none": (layout({"manifests": [{**index["manifests"][0], "annotations": {
            "org.opencontainers.image.ref.name": "../../x"}}]}, LAYER, config, manifest), "wrongly"),
        "a docker archive of nothing": (tar([("manifest.json", b"[]")]), "no image"),
    }  # fmt: skip
    for name, (body, words) in archives.items():
        (tmp_path / "archive").write_bytes(body)
        refusal = crate.fails(125, "load", "-q", "-i", str(tmp_path / "archive"))
        assert any(word in refusal for word in words.split("|")), f"{name}: {refusal}"
        assert crate.ok("images", "-qa") == "" and not list((crate.root / "stage").iterdir()), name
    # Of members of one name the last is the one, as tar has it.
    layer = layer_tar(a="2")
    body = tar([("l", LAYER), ("c", config_of(layer)), ("l", layer), ("manifest.json", manifest_of("c", ["l"], "x"))])
    (tmp_path / "archive").write_bytes(body)
    assert crate.ok("load", "-i", str(tmp_path / "archive"), "-q") == "Loaded image: localhost/x:latest"


def test_a_bomb_meets_a_limit(crate: Crate, tmp_path: Path) -> None:
    """Two gigabytes of nothing in a few kilobytes, where memory is short and a file may have 64 MB: nothing stays."""
    head = tarfile.TarInfo("layer.tar")
    head.size = 2 << 30
    stream = zstandard.ZstdCompressor(level=1).compressobj()
    with (tmp_path / "bomb").open("wb") as file:
        file.write(stream.compress(head.tobuf()))
        for _ in range(1 << 8):
            file.write(stream.compress(bytes(8 << 20)))
        file.write(stream.flush())
    command = [
        "prlimit",
        f"--fsize={64 << 20}",
        f"--as={1 << 30}",
        *crate.command("load", "-i", str(tmp_path / "bomb")),
    ]
    done = subprocess.run(command, capture_output=True, text=True, env=crate.environment, timeout=60, check=False)
    assert done.returncode == 125 and done.stderr.count("\n") == 1 and "File too large" in done.stderr, done.stderr
    assert crate.ok("images", "-qa") == "" and not list((crate.root / "stage").iterdir())
