"""A store in a temporary directory with images that are records and blobs only: no layer is unpacked."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crate.oci import digest as digests
from crate.oci import json
from crate.storage import content, image_record, layers
from crate.storage import reference as stored
from crate.storage.roots import Roots, open_roots

if TYPE_CHECKING:
    from crate.storage.image_record import ImageRecord

MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json"


def open_store(place: Path) -> Roots:
    """New roots."""
    return open_roots(str(place / "root"), str(place / "run"))


def add_image(
    roots: Roots,
    *names: str,
    steps: int = 1,
    mark: str = "",
    created: str = "2024-01-01T00:00:00Z",
    labels: dict[str, str] | None = None,
    index_digest: str = "",
) -> ImageRecord:
    """An image of `steps` layers; those with the same `mark` are built on one another."""
    diff_ids = ["sha256:" + hashlib.sha256(f"{mark} {n}".encode()).hexdigest() for n in range(steps)]
    config: dict[str, Any] = {
        "created": created,
        "architecture": "amd64",
        "os": "linux",
        "config": {"Env": ["A=B"], "Labels": labels or {}},
        "rootfs": {"type": "layers", "diff_ids": diff_ids},
        "history": [{"created": created, "created_by": f"{mark} {n}"} for n in range(steps)],
    }
    config_digest = content.put(roots, json.dumps(config).encode())
    manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFEST_TYPE,
        "config": {"digest": config_digest, "size": 1},
        "layers": [{"digest": diff_id, "size": 1} for diff_id in diff_ids],
    }
    body = json.dumps(manifest).encode()
    record: ImageRecord = {
        "id": config_digest.partition(":")[2],
        "digest": content.put(roots, body),
        "names": list(names),
        "config": config,
        "layers": layers.chain_ids(diff_ids),
        "size": 1000 * steps,
        "created": created,
        "manifest": manifest,
    }
    image_record.put(roots, record, [index_digest] if index_digest else [])
    for name in names:
        stored.put(roots, name, record["digest"])
    assert digests.of(body) == record["digest"]
    return record
