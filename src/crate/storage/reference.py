"""References: which manifest a name stands for, one symbolic link each, and the index.json derived from them.

    images/references/docker.io,library,alpine:latest -> ../blobs/sha256/<hex>
    images/references/localhost,both:1                -> ../lists/<id>     (crate.storage.manifest_lists)

rename(2) of a link decides races and is never seen half. index.json is for other tools; nothing here reads it.
"""

from __future__ import annotations

import os

from crate.errors import UsageError
from crate.oci import json
from crate.storage.durable import sync_directory, write_file

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from crate.storage.roots import Roots

#: begins what a reference to a manifest list made here stands for, instead of a digest
LIST = "lists:"
_SLASH = ","  # no reference contains one
_NAME_MAX = 255 - 12  # NAME_MAX less what a temporary name adds
_INDEX_TYPE = "application/vnd.oci.image.index.v1+json"
_MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json"


def resolve(roots: Roots, reference: str) -> str | None:
    """The digest of the manifest that a full reference (`docker.io/library/alpine:latest`) stands for, or None.

    For a manifest list made here: LIST and its id.
    """
    try:
        target = os.readlink(_path(roots, reference))
    except (FileNotFoundError, UsageError):
        return None
    return _digest(target)


def put(roots: Roots, reference: str, digest: str, durable: bool = True) -> None:
    """Makes the reference stand for the manifest, whatever it stood for before. The blobs must be on disk by now."""
    from crate.storage.content import prepare

    prepare(roots)
    path = _path(roots, reference)
    algorithm, _, encoded = digest.partition(":")
    temporary = f"{os.path.dirname(path)}/.{os.urandom(4).hex()}"
    place = digest.replace(":", "/") if digest.startswith(LIST) else f"blobs/{algorithm}/{encoded}"
    os.symlink(f"../{place}", temporary)
    try:
        os.rename(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise
    if durable:
        sync_directory(os.path.dirname(path))


def remove(roots: Roots, reference: str) -> bool:
    """Removes the reference; False when there was none. The manifest stays: collecting is another matter."""
    path = _path(roots, reference)
    try:
        os.unlink(path)
    except FileNotFoundError:
        return False
    sync_directory(os.path.dirname(path))
    return True


def list_all(roots: Roots) -> dict[str, str]:
    """All references with the digests of their manifests, sorted by reference."""
    directory = f"{roots.graphroot}/images/references"
    try:
        names = sorted(os.listdir(directory))
    except FileNotFoundError:
        return {}
    found = {}
    for name in names:
        if name[0] != ".":
            try:
                found[name.replace(_SLASH, "/")] = _digest(os.readlink(f"{directory}/{name}"))
            except FileNotFoundError:
                pass
    return found


def write_index(roots: Roots) -> None:
    """Derives index.json anew from the references, in the form that skopeo, buildah and containerd read."""
    images = f"{roots.graphroot}/images"
    manifests = []
    for reference, digest in list_all(roots).items():
        algorithm, _, encoded = digest.partition(":")
        descriptor = describe(f"{images}/blobs/{algorithm}/{encoded}", digest)
        if descriptor:
            descriptor["annotations"] = {
                "org.opencontainers.image.ref.name": reference,
                "io.containerd.image.name": reference,
            }
            manifests.append(descriptor)
    index = {"schemaVersion": 2, "mediaType": _INDEX_TYPE, "manifests": manifests}
    write_file(None, f"{images}/index.json", json.dumps(index), durable=False, mode=0o644)


def describe(path: str, digest: str) -> dict[str, Any] | None:
    """The descriptor of a manifest or index that lies at `path`, or None where none does."""
    from crate.storage.durable import read_file

    try:
        data = read_file(path)
        document = json.loads(data)
    except (OSError, ValueError):
        return None
    kind = document.get("mediaType") if isinstance(document, dict) else None
    if not isinstance(kind, str):
        kind = _INDEX_TYPE if isinstance(document, dict) and "manifests" in document else _MANIFEST_TYPE
    return {"mediaType": kind, "digest": digest, "size": len(data)}


def _path(roots: Roots, reference: str) -> str:
    name = reference.replace("/", _SLASH)
    if not name or name[0] == "." or "\0" in name or _SLASH in reference or len(name) > _NAME_MAX:
        raise UsageError(f"cannot keep the image name {reference[:80]}: it is too long or not a reference")
    return f"{roots.graphroot}/images/references/{name}"


def _digest(target: str) -> str:
    head, _, encoded = target.rpartition("/")
    return f"{head.rpartition('/')[2]}:{encoded}"
