"""Images made on this host: a config and layers that are in the store become an image, known under its names."""

from __future__ import annotations

import os
import time

from crate.errors import StateError, UsageError
from crate.oci import image_spec, json
from crate.storage import content, image_record, images, layers

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from crate.oci.image_spec import Descriptor
    from crate.storage.image_record import ImageRecord
    from crate.storage.layer_pack import LayerMade
    from crate.storage.layers import LayerTree
    from crate.storage.roots import Roots

FORMATS = ("oci", "docker")
_OCI = {
    "manifest": image_spec.OCI_MANIFEST,
    "config": image_spec.OCI_CONFIG,
    image_spec.DOCKER_LAYER: image_spec.OCI_LAYER,
    image_spec.DOCKER_LAYER_GZIP: image_spec.OCI_LAYER_GZIP,
    image_spec.DOCKER_LAYER_ZSTD: image_spec.OCI_LAYER_ZSTD,
}
_DOCKER = {
    "manifest": image_spec.DOCKER_MANIFEST,
    "config": image_spec.DOCKER_CONFIG,
    image_spec.OCI_LAYER: image_spec.DOCKER_LAYER,
    image_spec.OCI_LAYER_GZIP: image_spec.DOCKER_LAYER_GZIP,
    image_spec.OCI_LAYER_ZSTD: image_spec.DOCKER_LAYER_ZSTD,
}


def check_format(text: str | None) -> str:
    """`oci` (the default) or `docker`. UsageError in podman's words."""
    if text in (None, "", "oci", image_spec.OCI_MANIFEST):
        return "oci"
    if text in ("docker", image_spec.DOCKER_MANIFEST):
        return "docker"
    raise UsageError(f'unrecognized image format "{text}"', f"one of: {', '.join(FORMATS)}")


def now() -> str:
    """The time as image configs have it: RFC 3339 in UTC, with nanoseconds."""
    return stamp(time.time_ns())


def stamp(nanoseconds: int) -> str:
    """A time since the epoch, in that form."""
    seconds, rest = divmod(nanoseconds, 1_000_000_000)
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + f".{rest:09d}Z"


def layer_descriptor(layer: LayerMade) -> Descriptor:
    """What a manifest says of a layer made here."""
    return {"mediaType": image_spec.OCI_LAYER, "digest": layer.diff_id, "size": layer.archive_bytes}


def make(
    roots: Roots,
    config: Mapping[str, Any],
    descriptors: Sequence[Descriptor],
    names: Sequence[str] = (),
    *,
    form: str = "oci",
    made: Sequence[LayerTree] = (),
    annotations: Mapping[str, str] | None = None,
) -> ImageRecord:
    """Makes the image known, durable, under these full names; gives its record.

    `config` is a whole image config whose `rootfs.diff_ids` name layers that are there, or are published here (`made`);
    the blobs of `descriptors`, lowest first, are in the content store. The caller holds the lease of
    crate.storage.images.
    """
    types = _OCI if form == "oci" else _DOCKER
    body = json.dumps(config).encode()
    digest = content.put(roots, body)
    kinds = [str(one.get("mediaType") or image_spec.OCI_LAYER) for one in descriptors]
    manifest: dict[str, Any] = {
        "schemaVersion": 2,
        "mediaType": types["manifest"],
        "config": {"mediaType": types["config"], "digest": digest, "size": len(body)},
        "layers": [
            {"mediaType": types.get(kind, kind), "digest": one["digest"], "size": one["size"]}
            for kind, one in zip(kinds, descriptors, strict=True)
        ],
    }
    if annotations and form == "oci":
        manifest["annotations"] = dict(annotations)
    manifest_digest = content.put(roots, json.dumps(manifest).encode())
    if made:
        layers.publish(roots, made)  # with one sync for blobs and layers, where they are on one file system
    chains = layers.chain_ids(config["rootfs"]["diff_ids"])
    record: ImageRecord = {
        "id": digest.partition(":")[2],
        "digest": manifest_digest,
        "names": [],
        "config": dict(config),
        "layers": chains,
        "size": layers.size(roots, chains),
        "created": str(config["created"]),
        "manifest": manifest,
    }
    known = image_record.by_id(roots, record["id"])
    is_known = known is not None and known["digest"] == manifest_digest  # made before: only its names are new
    images.enroll(roots, record, names, synced=is_known or (bool(made) and _is_one_file_system(roots)))
    found = image_record.by_id(roots, record["id"])
    if found is None:
        raise StateError("the image was removed as soon as it was there", "try again")
    return found


def _is_one_file_system(roots: Roots) -> bool:
    return os.stat(f"{roots.graphroot}/images").st_dev == os.stat(f"{roots.graphroot}/layers").st_dev
