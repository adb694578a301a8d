"""What `inspect` and `image inspect` tell of an image: the members of docker's and of podman's output in one object."""

from __future__ import annotations

from crate.image import history
from crate.oci import reference as references
from crate.storage import image_record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from crate.storage.image_record import ImageRecord
    from crate.storage.roots import Roots

_NO_TIME = "0001-01-01T00:00:00Z"  # Go's zero time, which docker prints for "never"


def inspect(roots: Roots, record: ImageRecord, driver: str, layer_directories: Sequence[str] = ()) -> dict[str, Any]:
    """The object. `driver`: the storage driver's name; `layer_directories`: of the layers, lowest first.

    Sizes are bytes; `Id` is without `sha256:`, as podman writes it.
    """
    document = record["config"]
    config: dict[str, Any] = document.get("config") or {}
    names = record["names"]
    known = image_record.known_digests(roots, record["id"])
    entries = document.get("history") or []
    top = list(layer_directories)
    directories = {"UpperDir": top[-1]} if top else {}
    if len(top) > 1:
        directories["LowerDir"] = ":".join(reversed(top[:-1]))
    found: dict[str, Any] = {
        "Id": record["id"],
        "Digest": record["digest"],
        "RepoTags": [name for name in names if "@" not in name],
        "RepoDigests": repo_digests(names, known),
        "Parent": _parent(roots, record),
        "Comment": str(document.get("comment") or (entries[0].get("comment") if entries else "") or ""),
        "Created": record["created"],
        "Config": config,
        "Version": str(document.get("docker_version") or ""),
        "DockerVersion": str(document.get("docker_version") or ""),
        "Author": str(document.get("author") or ""),
        "Architecture": str(document.get("architecture") or ""),
        "Variant": str(document.get("variant") or ""),
        "Os": str(document.get("os") or ""),
        "Size": record["size"],
        "VirtualSize": record["size"],
        "GraphDriver": {"Name": driver, "Data": directories},
        "RootFS": {"Type": "layers", "Layers": list((document.get("rootfs") or {}).get("diff_ids") or [])},
        "Metadata": {"LastTagTime": _NO_TIME},
        "Labels": config.get("Labels"),
        "Annotations": record["manifest"].get("annotations") or {},
        "ManifestType": str(record["manifest"].get("mediaType") or ""),
        "User": str(config.get("User") or ""),
        "History": entries,
        "NamesHistory": image_record.all_names(record),
    }
    if config.get("Healthcheck"):
        found["Healthcheck"] = config["Healthcheck"]
    return found


def repo_digests(names: Sequence[str], digests: Sequence[str]) -> list[str]:
    """`docker.io/library/alpine@sha256:…` for each repository and each digest, sorted."""
    return sorted({f"{references.parse(name).name}@{digest}" for name in names for digest in digests})


def _parent(roots: Roots, record: ImageRecord) -> str:
    parent = history.nearest_parent(record, image_record.list_all(roots))
    return parent["id"] if parent else ""
