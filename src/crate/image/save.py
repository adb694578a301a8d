"""`save`: images as archives or directories that docker, podman and skopeo take.

A docker-archive is an OCI layout with docker's manifest.json beside it, as docker itself writes it since version 25.
"""

from __future__ import annotations

import os

from crate.errors import NotFoundError, UsageError
from crate.image import local
from crate.oci import image_spec, json, platform
from crate.storage import content, journal
from crate.storage.durable import write_all, write_file
from crate.storage.tree_archive import TreeArchive
from crate.storage.tree_copy import copy_content

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from crate.oci.platform import Platform
    from crate.storage.image_record import ImageRecord
    from crate.storage.roots import Roots

ARCHIVES = ("docker-archive", "oci-archive")
DIRECTORIES = ("oci-dir", "docker-dir")
_LAYOUT = b'{"imageLayoutVersion":"1.0.0"}'


def find(roots: Roots, texts: Sequence[str], wanted: Platform | None = None) -> list[tuple[ImageRecord, list[str]]]:
    """The images, each once, with the names that they were asked for by. NotFoundError, also for another platform."""
    found: dict[str, tuple[ImageRecord, list[str]]] = {}
    for text in texts:
        record = local.get(roots, text)
        actual = platform.of(record["config"])
        if wanted is not None and platform.choose([actual], wanted, exact=True) is None:
            raise NotFoundError(f"{text}: the image is for {actual}, not for {wanted}")
        named = local.find_named(roots, text)
        names = found.setdefault(record["id"], (record, []))[1]
        if named and named[1] and "@" not in named[1]:
            names.append(named[1])
    return list(found.values())


def write_archive(roots: Roots, chosen: Sequence[tuple[ImageRecord, list[str]]], fd: int, form: str) -> None:
    """Writes a tar archive of form `docker-archive` or `oci-archive`."""
    archive = TreeArchive(lambda data: write_all(fd, data))
    for digest in _blobs(chosen):
        blob_fd = content.open_blob(roots, digest)
        try:
            archive.add_plain(f"blobs/{digest.replace(':', '/')}", blob_fd)
        finally:
            os.close(blob_fd)
    archive.add_bytes("index.json", _index(roots, chosen))
    if form == "docker-archive":
        archive.add_bytes("manifest.json", _docker_manifest(chosen))
    archive.add_bytes("oci-layout", _LAYOUT)
    archive.finish()
    for record, names in chosen:
        journal.record(roots, "image", "save", record["id"], next(iter(names), ""))


def write_directory(roots: Roots, chosen: Sequence[tuple[ImageRecord, list[str]]], path: str, form: str) -> None:
    """Writes a directory of form `oci-dir` or, of a single image, `docker-dir`. UsageError, OSError."""
    if form == "docker-dir" and len(chosen) > 1:
        raise UsageError("docker-dir holds a single image", "use docker-archive, or oci-dir")
    os.makedirs(path, exist_ok=True)
    for digest in _blobs(chosen):
        algorithm, _, encoded = digest.partition(":")
        if form == "oci-dir":
            os.makedirs(f"{path}/blobs/{algorithm}", exist_ok=True)
            _copy(roots, digest, f"{path}/blobs/{algorithm}/{encoded}")
        elif digest == chosen[0][0]["digest"]:
            _copy(roots, digest, f"{path}/manifest.json")
        else:
            _copy(roots, digest, f"{path}/{encoded}")
    if form == "oci-dir":
        write_file(None, f"{path}/index.json", _index(roots, chosen), durable=False, mode=0o644)
        write_file(None, f"{path}/oci-layout", _LAYOUT, durable=False, mode=0o644)
    else:
        write_file(None, f"{path}/version", "Directory Transport Version: 1.1\n", durable=False, mode=0o644)


def _copy(roots: Roots, digest: str, path: str) -> None:
    source_fd = content.open_blob(roots, digest)
    try:
        target_fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
        try:
            copy_content(source_fd, target_fd, os.fstat(source_fd).st_size)
        finally:
            os.close(target_fd)
    finally:
        os.close(source_fd)


def _layers(record: ImageRecord) -> list[str]:
    return [layer["digest"] for layer in record["manifest"].get("layers") or ()]


def _blobs(chosen: Sequence[tuple[ImageRecord, list[str]]]) -> list[str]:
    """The digests of all blobs, each once, sorted: of equal images come equal archives."""
    found: set[str] = set()
    for record, _ in chosen:
        found |= {record["digest"], f"sha256:{record['id']}", *_layers(record)}
    return sorted(found)


def _index(roots: Roots, chosen: Sequence[tuple[ImageRecord, list[str]]]) -> bytes:
    manifests = []
    for record, names in chosen:
        size = os.stat(content.blob_path(roots, record["digest"])).st_size
        kind = record["manifest"].get("mediaType") or image_spec.OCI_MANIFEST
        one = {"mediaType": kind, "digest": record["digest"], "size": size}
        for name in names or [""]:
            annotations = {"io.containerd.image.name": name, "org.opencontainers.image.ref.name": name}
            manifests.append({**one, "annotations": annotations} if name else one)
    return json.dumps({"schemaVersion": 2, "mediaType": image_spec.OCI_INDEX, "manifests": manifests}).encode()


def _docker_manifest(chosen: Sequence[tuple[ImageRecord, list[str]]]) -> bytes:
    entries: list[dict[str, Any]] = [
        {
            "Config": f"blobs/sha256/{record['id']}",
            "RepoTags": names or None,
            "Layers": [f"blobs/{digest.replace(':', '/')}" for digest in _layers(record)],
        }
        for record, names in chosen
    ]
    return json.dumps(entries).encode()
