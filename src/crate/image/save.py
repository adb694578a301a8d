"""`save`: images as archives or directories that docker, podman and skopeo take.

A docker-archive is an OCI layout with docker's manifest.json beside it, as docker itself writes it since version 25.
"""

from __future__ import annotations

import os

from crate.errors import NotFoundError, UsageError
from crate.image import local
from crate.image.departures import copy_blob, docker_entry
from crate.image.outgoing import Outgoing, Packing
from crate.oci import image_spec, json, platform
from crate.storage import content, images, journal
from crate.storage.deflate import GZIP, TAR
from crate.storage.durable import write_all, write_file
from crate.storage.tree.archive import TreeArchive

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from crate.oci.document import Document
    from crate.oci.platform import Platform
    from crate.storage.image_record import ImageRecord
    from crate.storage.roots import Roots

    #: images, each with the names that it was asked for by
    Chosen = Sequence[tuple[ImageRecord, list[str]]]

ARCHIVES = ("docker-archive", "oci-archive")
DIRECTORIES = ("oci-dir", "docker-dir")
_LAYOUT = b'{"imageLayoutVersion":"1.0.0"}'
_MANIFESTS = {"docker-archive": "", "oci-archive": "oci", "oci-dir": "oci", "docker-dir": "v2s2"}


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


def save(roots: Roots, chosen: Chosen, form: str, target: int | str, options: dict[str, Any] | None = None) -> None:
    """Writes the images in one of the forms: an archive to a descriptor, a directory to a path, made if missing.

    `options`, which may be missing or None: `compress`, plain layers become gzip (of docker-dir only), and
    `uncompressed`, compressed ones plain; else layers are as they are stored. UsageError, ImageError, OSError.
    """
    given = options or {}
    if form == "docker-dir" and len(chosen) > 1:
        raise UsageError("docker-dir holds a single image", "use docker-archive, or oci-dir")
    if given.get("compress") and form != "docker-dir":
        raise UsageError("--compress can only be set when --format is 'docker-dir'")
    packed = TAR if given.get("uncompressed") else GZIP if given.get("compress") else ""
    how = Packing(packed, manifest=_MANIFESTS[form], plain=True)
    with images.bring_in(roots):
        saved = [_Saved(roots, record, names, how) for record, names in chosen]
        if isinstance(target, int):
            _write_archive(roots, saved, target, form)
        else:
            _write_directory(roots, saved, target, form)
    for record, names in chosen:
        journal.record(roots, "image", "save", record["id"], next(iter(names), ""))


class _Saved:
    """One image as it goes out: `blobs` are the digests beside the manifest's, lowest layer first after the config."""

    def __init__(self, roots: Roots, record: ImageRecord, names: list[str], how: Packing) -> None:
        outgoing = Outgoing(roots, record, how)
        for number in range(len(outgoing.layers)):
            outgoing.pack(number, lambda _: None)
        self.names = names
        self.document: Document = outgoing.manifest()
        self.blobs = outgoing.blobs

    def descriptors(self) -> list[dict[str, Any]]:
        one = {"mediaType": self.document.media_type, "digest": self.document.digest, "size": len(self.document.body)}
        annotations = ("io.containerd.image.name", "org.opencontainers.image.ref.name")
        named = [{**one, "annotations": dict.fromkeys(annotations, name)} for name in self.names]
        return named or [one]


def _index(saved: Sequence[_Saved]) -> bytes:
    manifests = [descriptor for image in saved for descriptor in image.descriptors()]
    return json.dumps({"schemaVersion": 2, "mediaType": image_spec.OCI_INDEX, "manifests": manifests}).encode()


def _put_all(saved: Sequence[_Saved], put_bytes: Callable[[str, bytes], object], put: Callable[[str], object]) -> None:
    """Every blob once, sorted: of equal images come equal archives."""
    documents = {image.document.digest: image.document.body for image in saved}
    for digest in sorted({*documents, *(digest for image in saved for digest in image.blobs)}):
        if digest in documents:
            put_bytes(digest, documents[digest])
        else:
            put(digest)


def _write_archive(roots: Roots, saved: Sequence[_Saved], fd: int, form: str) -> None:
    archive = TreeArchive(lambda data: write_all(fd, data))

    def put(digest: str) -> None:
        blob_fd = content.open_blob(roots, digest)
        try:
            archive.add_plain(_place(digest), blob_fd)
        finally:
            os.close(blob_fd)

    _put_all(saved, lambda digest, body: archive.add_bytes(_place(digest), body), put)
    archive.add_bytes("index.json", _index(saved))
    if form == "docker-archive":
        archive.add_bytes("manifest.json", _docker_manifest(saved))
    archive.add_bytes("oci-layout", _LAYOUT)
    archive.finish()


def _write_directory(roots: Roots, saved: Sequence[_Saved], path: str, form: str) -> None:
    """The documents that name the blobs come last: what was cut off is no image."""
    os.makedirs(path, exist_ok=True)
    if form == "docker-dir":
        _put_all(saved, lambda *_: None, lambda digest: copy_blob(roots, digest, f"{path}/{digest.partition(':')[2]}"))
        write_file(None, f"{path}/version", "Directory Transport Version: 1.1\n", durable=False, mode=0o644)
        write_file(None, f"{path}/manifest.json", saved[0].document.body, durable=False, mode=0o644)
        return
    for image in saved:
        for digest in (image.document.digest, *image.blobs):
            os.makedirs(os.path.dirname(f"{path}/{_place(digest)}"), exist_ok=True)

    def put_bytes(digest: str, body: bytes) -> None:
        write_file(None, f"{path}/{_place(digest)}", body, durable=False, mode=0o644)

    _put_all(saved, put_bytes, lambda digest: copy_blob(roots, digest, f"{path}/{_place(digest)}"))
    write_file(None, f"{path}/index.json", _index(saved), durable=False, mode=0o644)
    write_file(None, f"{path}/oci-layout", _LAYOUT, durable=False, mode=0o644)


def _place(digest: str) -> str:
    return f"blobs/{digest.replace(':', '/')}"


def _docker_manifest(saved: Sequence[_Saved]) -> bytes:
    return json.dumps([docker_entry(image.document, image.names) for image in saved]).encode()
