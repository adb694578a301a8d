"""The history of an image: one line a step of its build, newest first."""

from __future__ import annotations

from crate.storage import image_record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any, TypedDict

    from crate.storage.image_record import ImageRecord
    from crate.storage.roots import Roots

    class Step(TypedDict):
        """`id`: of the image that ends here, "<missing>" for the others; `size`: bytes of its layer, unpacked."""

        id: str
        created: str
        created_by: str
        author: str
        comment: str
        size: int
        empty_layer: bool
        tags: list[str]


def steps(roots: Roots, record: ImageRecord, layer_sizes: list[int]) -> list[Step]:
    """The steps, newest first. `layer_sizes`: bytes of the unpacked layers, lowest first.

    A step that is also the end of another local image carries its id and names, as podman shows it.
    """
    config = record["config"]
    entries: list[dict[str, Any]] = list(config.get("history") or [])
    missing = len(record["layers"]) - sum(not entry.get("empty_layer") for entry in entries)
    entries = [{"created": record["created"]}] * max(missing, 0) + entries  # some builders write no history
    ends = _ends(roots, record)
    found: list[Step] = []
    layer = 0
    for number, entry in enumerate(entries, start=1):
        is_empty = bool(entry.get("empty_layer"))
        size = 0
        if not is_empty:
            size = layer_sizes[layer] if layer < len(layer_sizes) else 0
            layer += 1
        is_last = number == len(entries)
        image_id, names = (record["id"], record["names"]) if is_last else ends.get((number, layer), ("<missing>", []))
        found.append(
            {
                "id": image_id,
                "created": str(entry.get("created") or ""),
                "created_by": str(entry.get("created_by") or ""),
                "author": str(entry.get("author") or ""),
                "comment": str(entry.get("comment") or ""),
                "size": size,
                "empty_layer": is_empty,
                "tags": names,
            }
        )
    return found[::-1]


def _ends(roots: Roots, record: ImageRecord) -> dict[tuple[int, int], tuple[str, list[str]]]:
    """Where in this image's history other local images end: (steps, layers) to id and names."""
    found = {}
    for other in image_record.list_all(roots):
        if other["id"] != record["id"] and is_parent(other, record):
            steps_of_other = len(other["config"].get("history") or [])
            found[steps_of_other, len(other["layers"])] = (other["id"], other["names"])
    return found


def is_parent(parent: ImageRecord, child: ImageRecord) -> bool:
    """Was `child` built on `parent`: do its layers and its history begin with the parent's, and go on?"""
    first, second = parent["config"].get("history") or [], child["config"].get("history") or []
    layers, own = parent["layers"], child["layers"]
    return len(first) < len(second) and second[: len(first)] == first and own[: len(layers)] == layers


def nearest_parent(record: ImageRecord, records: Sequence[ImageRecord]) -> ImageRecord | None:
    """The image among `records` that this one was built on last."""
    parents = [other for other in records if is_parent(other, record)]
    return max(parents, key=lambda other: len(other["config"].get("history") or []), default=None)
