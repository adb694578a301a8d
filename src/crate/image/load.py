"""Loading images from archives: docker's (`docker save`), OCI's, and OCI image layouts in a directory."""

from __future__ import annotations

import os

from crate.errors import ImageError, UsageError
from crate.image import arrival
from crate.image.archive import Archive
from crate.image.layout import Directory, Members, PlainDirectory
from crate.image.trust import verification
from crate.oci import digest as digests
from crate.oci import image_spec, json, platform
from crate.oci import reference as references
from crate.oci.document import Document, check_image, read_document
from crate.storage import content, journal, staging, trash

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from crate.image.progress import Progress
    from crate.oci.platform import Platform
    from crate.storage.image_record import ImageRecord
    from crate.storage.roots import Roots

_DOCUMENT_MAX = image_spec.MANIFEST_SIZE_MAX
_NAME = "org.opencontainers.image.ref.name"
_CONTAINERD_NAME = "io.containerd.image.name"
_INDEX_DEPTH = 4


class Loaded:
    """One image of an archive: the names it came with, in full; none if it came without."""

    __slots__ = ("names", "record")

    def __init__(self, record: ImageRecord, names: list[str]) -> None:
        self.record = record
        self.names = names


def load(
    roots: Roots,
    path: str | None,
    fd: int = 0,
    *,
    wanted: Platform | None = None,
    signature_policy: str | None = None,
    progress: Progress | None = None,
) -> list[Loaded]:
    """Loads what `path` holds, a file or a directory, or what `fd` gives when it is None.

    Names without a registry become `localhost/NAME`, as with podman. Of an image for several platforms that for
    `wanted` (the host) is taken. Raises UsageError, ImageError, HostError; images loaded before the error stay.
    """
    policy = {"signature_policy": signature_policy}
    if path is not None and os.path.isdir(path):
        return _load_directory(roots, path, wanted, policy, progress)
    label = path if path is not None else "standard input"
    if path is not None:
        try:
            fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            raise UsageError(f"cannot load {path}: {os.strerror(error.errno or 0)}") from None
    stage = staging.make(roots, f"load-{os.urandom(4).hex()}")
    try:
        archive = Archive(stage, label)
        archive.spool(fd)
        if archive.find("manifest.json"):
            verification.check_archive("docker-archive", label, policy)
            return _load_docker(roots, archive, progress)
        if archive.find("index.json"):
            verification.check_archive("oci-archive", label, policy)
            return _load_layout(roots, Members(roots, archive), wanted, progress)
        raise ImageError(
            f"cannot load {label}: it is neither an archive of docker nor of OCI",
            "the tree of a container is taken by: crate import",
        )
    finally:
        if path is not None:
            os.close(fd)
        trash.remove_tree(os.path.dirname(stage), os.path.basename(stage))


def _load_directory(
    roots: Roots, path: str, wanted: Platform | None, policy: dict[str, str | None], progress: Progress | None
) -> list[Loaded]:
    layout, plain = Directory(roots, path), PlainDirectory(roots, path)
    try:
        if layout.has("index.json"):
            verification.check_archive("oci", path, policy)
            return _load_layout(roots, layout, wanted, progress)
        if plain.has("manifest.json"):
            verification.check_archive("dir", path, policy)
            return [_load_image(roots, plain, plain.manifest(), [], wanted, progress)]
    finally:
        layout.close()
        plain.close()
    raise ImageError(f"cannot load {path}: it is neither a layout of OCI nor a directory of the transport dir")


def _load_docker(roots: Roots, archive: Archive, progress: Progress | None) -> list[Loaded]:
    """`manifest.json` of docker's image specification 1.2: a list of Config, RepoTags, Layers."""
    entries = _json(archive.read(archive.get("manifest.json"), _DOCUMENT_MAX), archive.label)
    if not isinstance(entries, list):
        raise ImageError(f"cannot load {archive.label}: its manifest.json is no list")
    loaded = []
    for entry in entries:
        if not isinstance(entry, dict) or not isinstance(entry.get("Layers") or [], list):
            raise ImageError(f"cannot load {archive.label}: its manifest.json is malformed")
        config = archive.get(str(entry.get("Config") or ""))
        archive.read(config, image_spec.CONFIG_SIZE_MAX)  # refuses one that is too large
        layers = [archive.get(str(name)) for name in entry.get("Layers") or []]
        names = _names(entry.get("RepoTags") or [], archive.label)
        for member in (config, *layers):
            archive.adopt(roots, member)
        manifest = {
            "schemaVersion": 2,
            "mediaType": image_spec.OCI_MANIFEST,
            "config": _descriptor(image_spec.OCI_CONFIG, config.digest, config.size),
            "layers": [_layer_descriptor(roots, member.digest, member.size) for member in layers],
        }
        body = json.dumps(manifest).encode()
        document = Document(body, digests.of(body), image_spec.OCI_MANIFEST, manifest)
        loaded.append(_receive(roots, document, None, names, archive.label, progress))
    if not loaded:
        raise ImageError(f"cannot load {archive.label}: it has no image")
    return loaded


def _descriptor(media_type: str, digest: str, size: int) -> dict[str, Any]:
    return {"mediaType": media_type, "digest": digest, "size": size}


def _layer_descriptor(roots: Roots, digest: str, size: int) -> dict[str, Any]:
    """Docker's archives do not tell how a layer is compressed: its first bytes do."""
    fd = content.open_blob(roots, digest)
    try:
        begin = os.read(fd, 4)
    finally:
        os.close(fd)
    kinds = {b"\x1f\x8b": image_spec.OCI_LAYER_GZIP, b"\x28\xb5": image_spec.OCI_LAYER_ZSTD}
    return _descriptor(kinds.get(begin[:2], image_spec.OCI_LAYER), digest, size)


def _load_layout(
    roots: Roots, layout: Members | Directory, wanted: Platform | None, progress: Progress | None
) -> list[Loaded]:
    index = _json(layout.index(), layout.label)
    entries = index.get("manifests") if isinstance(index, dict) else None
    if not isinstance(entries, list):
        raise ImageError(f"cannot load {layout.label}: its index.json is malformed")
    loaded = []
    for entry in entries:
        if not isinstance(entry, dict) or not digests.is_digest(entry.get("digest")):
            raise ImageError(f"cannot load {layout.label}: its index.json has an entry without a digest")
        annotations = entry.get("annotations")
        annotations = annotations if isinstance(annotations, dict) else {}
        if annotations.get("vnd.docker.reference.type"):
            continue  # an attestation, no image
        name = annotations.get(_CONTAINERD_NAME) or annotations.get(_NAME)
        names = _names([name] if name else [], layout.label)
        loaded.append(_load_image(roots, layout, str(entry["digest"]), names, wanted, progress))
    if not loaded:
        raise ImageError(f"cannot load {layout.label}: it has no image")
    return loaded


def _load_image(
    roots: Roots,
    layout: Members | Directory,
    digest: str,
    names: list[str],
    wanted: Platform | None,
    progress: Progress | None,
) -> Loaded:
    document, parent = _resolve(roots, layout, digest, wanted)
    for descriptor in (*check_image(document, f"load {layout.label}"), document.value["config"]):
        layout.take(descriptor["digest"])
        size = os.stat(content.blob_path(roots, descriptor["digest"])).st_size
        if size != descriptor["size"]:
            raise ImageError(
                f"cannot load {layout.label}: {descriptor['digest']} has {size} bytes, not {descriptor['size']}"
            )
    return _receive(roots, document, parent, names, layout.label, progress)


def _resolve(
    roots: Roots, layout: Members | Directory, digest: str, wanted: Platform | None
) -> tuple[Document, Document | None]:
    """The manifest for the platform, and the index that led to it, if one did."""
    parent = None
    for _ in range(_INDEX_DEPTH):
        layout.take(digest)
        document = read_document(content.read_document(roots, digest), digest, "", f"load {layout.label}")
        if not document.is_index:
            return document, parent
        parent = parent or document
        entry = arrival.choose(document, wanted or platform.host(), wanted is not None, f"load {layout.label}")
        digest = entry["digest"]
    raise ImageError(f"cannot load {layout.label}: its indexes are nested too deep")


def _receive(
    roots: Roots, document: Document, parent: Document | None, names: list[str], label: str, progress: Progress | None
) -> Loaded:
    record = arrival.receive(
        roots, document, arrival.Nowhere(), subject=f"load {label}", index=parent, names=names, progress=progress
    )
    journal.record(roots, "image", "loadfromarchive", record["id"], next(iter(names), ""))
    return Loaded(record, names)


def _names(texts: object, label: str) -> list[str]:
    """The full names; what is no name is refused, for it would be lost silently."""
    names = []
    for text in texts if isinstance(texts, list) else []:
        try:
            names.append(str(references.parse_local(str(text))))
        except UsageError as error:
            raise ImageError(f"cannot load {label}: it names an image wrongly: {error.message}") from None
    return names


def _json(body: bytes, label: str) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        raise ImageError(f"cannot load {label}: its index is not JSON") from None
