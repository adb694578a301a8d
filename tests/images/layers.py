"""OCI layers and layouts from directory trees; not for reading them, which is what the tests are about."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import platform
import stat
import tarfile
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LAYER_TYPE = "application/vnd.oci.image.layer.v1.tar+gzip"
CONFIG_TYPE = "application/vnd.oci.image.config.v1+json"
MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json"
INDEX_TYPE = "application/vnd.oci.image.index.v1+json"
CREATED = "2024-01-01T00:00:00Z"
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm", "ppc64le": "ppc64le", "s390x": "s390x"}

OPAQUE = ("trusted.overlay.opaque", "user.overlay.opaque")


def architecture() -> str:
    """The host's architecture in the words of OCI (which are Go's)."""
    return ARCHITECTURES.get(platform.machine(), platform.machine())


class Layout:
    """An OCI image layout that is being written: blobs, then images that name them."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.blobs = path / "blobs" / "sha256"
        self.blobs.mkdir(parents=True)
        (path / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')
        self.manifests: list[dict[str, Any]] = []

    def add_layer(self, tree: Path) -> tuple[dict[str, Any], str]:
        """Packs a tree (an overlay's upper directory included); returns its descriptor and its diff id."""
        temporary = self.blobs / "layer.tmp"
        with temporary.open("wb") as raw:
            packed: Any = _DigestWriter(raw)
            with gzip.GzipFile(filename="", mode="wb", compresslevel=6, fileobj=packed, mtime=0) as stream:
                plain: Any = _DigestWriter(stream)
                with tarfile.open(mode="w|", fileobj=plain, format=tarfile.PAX_FORMAT, bufsize=1 << 20) as archive:
                    _add_tree(archive, tree)
        digest = packed.sha256.hexdigest()
        temporary.rename(self.blobs / digest)
        return {"mediaType": LAYER_TYPE, "digest": f"sha256:{digest}", "size": packed.size}, (
            f"sha256:{plain.sha256.hexdigest()}"
        )

    def add_json(self, media_type: str, value: dict[str, Any]) -> dict[str, Any]:
        """Stores a JSON blob and returns its descriptor."""
        data = json.dumps(value, separators=(",", ":")).encode()
        digest = hashlib.sha256(data).hexdigest()
        (self.blobs / digest).write_bytes(data)
        return {"mediaType": media_type, "digest": f"sha256:{digest}", "size": len(data)}

    def add_image(self, name: str, layers: list[tuple[dict[str, Any], str]], config: dict[str, Any]) -> None:
        """Adds an image of these layers, bottom first, to the index under `name`."""
        image = {
            "created": CREATED,
            "architecture": architecture(),
            "os": "linux",
            "config": config,
            "rootfs": {"type": "layers", "diff_ids": [diff_id for _, diff_id in layers]},
            "history": [{"created": CREATED, "created_by": "crate's tests"} for _ in layers],
        }
        manifest = {
            "schemaVersion": 2,
            "mediaType": MANIFEST_TYPE,
            "config": self.add_json(CONFIG_TYPE, image),
            "layers": [descriptor for descriptor, _ in layers],
        }
        descriptor = self.add_json(MANIFEST_TYPE, manifest)
        descriptor["annotations"] = {"org.opencontainers.image.ref.name": name}
        self.manifests.append(descriptor)

    def finish(self) -> None:
        """Writes index.json: only now is the layout whole."""
        index = {"schemaVersion": 2, "mediaType": INDEX_TYPE, "manifests": self.manifests}
        (self.path / "index.json").write_text(json.dumps(index, indent=1))


class _DigestWriter:
    """A stream that digests and counts what passes."""

    def __init__(self, stream: Any) -> None:
        self.stream = stream
        self.sha256 = hashlib.sha256()
        self.size = 0

    def write(self, data: bytes) -> int:
        self.sha256.update(data)
        self.size += len(data)
        self.stream.write(data)
        return len(data)

    def flush(self) -> None:
        self.stream.flush()


def _walk(tree: Path, relative: str = "") -> Iterator[str]:
    for entry in sorted(os.scandir(tree / relative), key=lambda entry: entry.name):
        path = f"{relative}/{entry.name}".lstrip("/")
        yield path
        if entry.is_dir(follow_symlinks=False):
            yield from _walk(tree, path)


def _add_tree(archive: tarfile.TarFile, tree: Path) -> None:
    for path in _walk(tree):
        source = tree / path
        status = source.lstat()
        folder, _, base = path.rpartition("/")
        if stat.S_ISCHR(status.st_mode) and status.st_rdev == 0:
            archive.addfile(tarfile.TarInfo(f"{folder}/.wh.{base}".lstrip("/")))
            continue
        entry = archive.gettarinfo(str(source), path)
        if entry is None:  # a socket: tar has no form for it
            continue
        names = [] if stat.S_ISLNK(status.st_mode) else os.listxattr(source)
        entry.pax_headers = {
            f"SCHILY.xattr.{name}": os.getxattr(source, name).decode("utf-8", "surrogateescape")
            for name in names
            if ".overlay." not in name
        }
        if entry.isreg():
            with source.open("rb") as data:
                archive.addfile(entry, data)
        else:
            archive.addfile(entry)
        if any(name in names for name in OPAQUE):
            archive.addfile(tarfile.TarInfo(f"{path}/.wh..wh..opq"))
