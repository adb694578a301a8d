"""The tables of `crate system df --verbose`, as podman has them."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from crate.cli import formats, human
from crate.cli.container import listing
from crate.image.listing import NONE, shown_names
from crate.oci import moment
from crate.oci import reference as references

if TYPE_CHECKING:
    from crate.engine.context import Engine
    from crate.engine.usage.disk import ImageUse, Usage

_IMAGES = ("REPOSITORY", "TAG", "IMAGE ID", "CREATED", "SIZE", "SHARED SIZE", "UNIQUE SIZE", "CONTAINERS")
_CONTAINERS = ("CONTAINER ID", "IMAGE", "COMMAND", "LOCAL VOLUMES", "SIZE", "CREATED", "STATUS", "NAMES")
_VOLUMES = ("VOLUME NAME", "LINKS", "SIZE")


def verbose(engine: Engine, usage: Usage) -> str:
    """Every image, container and volume with what it takes."""
    now_ns = time.time_ns()
    images = [row for image in usage.images for row in _image(image, now_ns)]
    containers = []
    for container, size in usage.containers:
        row = listing.row(engine, container, now_ns)
        cells = (row["ID"], row["Image"], row["Command"], row["LocalVolumes"], _size(size), row["CreatedHuman"])
        containers.append([*cells, row["Status"], row["Names"]])
    volumes = [[volume["name"], str(volume["links"]), _size(volume["size"])] for volume in usage.volumes]
    parts = (("Images", _IMAGES, images), ("Containers", _CONTAINERS, containers), ("Local Volumes", _VOLUMES, volumes))
    return "\n".join(f"{title} space usage:\n\n{formats.table([heading, *rows])}" for title, heading, rows in parts)


def _size(size_bytes: int) -> str:
    return human.size(size_bytes, 4)


def _image(image: ImageUse, now_ns: int) -> list[list[str]]:
    record = image.record
    rows = []
    for name in shown_names(record["names"]) or [""]:
        parsed = references.parse(name) if name else None
        place = [parsed.name, parsed.tag or NONE] if parsed else [NONE, NONE]
        created = human.ago(moment.created(record["created"]), now_ns)
        sizes = [_size(image.size), _size(image.shared), _size(image.size - image.shared)]
        rows.append([*place, record["id"][:12], created, *sizes, str(image.containers)])
    return rows
