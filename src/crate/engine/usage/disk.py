"""How much disk images, containers and volumes take, and how much of it `prune` would give back."""

from __future__ import annotations

from crate.engine import containers, volumes
from crate.engine.usage import sizes
from crate.storage import image_record, layers

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from crate.engine.containers import Container
    from crate.engine.context import Engine
    from crate.storage.image_record import ImageRecord


class ImageUse:
    """An image: bytes of its layers (`size`), of those that other images have too (`shared`); its containers."""

    __slots__ = ("containers", "record", "shared", "size")

    def __init__(self, record: ImageRecord, size: int, shared: int, users: int) -> None:
        self.record = record
        self.size = size
        self.shared = shared
        self.containers = users


class Usage:
    """Everything there is, each with its bytes. `layers`: chain id -> bytes."""

    def __init__(self, engine: Engine) -> None:
        every = containers.listing(engine)
        self.layers = {chain: layers.size(engine.roots, [chain]) for chain in layers.list_ids(engine.roots)}
        self.images = self._images(engine, every)
        self.containers = [(one, sizes.tree_bytes(one.paths.upper)) for one in every]
        self.volumes = _volumes(engine, every)
        self._running = [one for one in every if one.state(engine)["status"] in ("running", "paused")]
        self._kept = {layer for one in every for layer in one.record["layers"]}

    def _images(self, engine: Engine, every: list[Container]) -> list[ImageUse]:
        records = image_record.list_all(engine.roots)
        owners: dict[str, int] = {}
        for record in records:
            for chain in set(record["layers"]):
                owners[chain] = owners.get(chain, 0) + 1
        found = []
        for record in records:
            chains = set(record["layers"])
            shared = sum(self.layers.get(chain, 0) for chain in chains if owners[chain] > 1)
            users = sum(one.record["image"] == record["id"] for one in every)
            found.append(ImageUse(record, sum(self.layers.get(chain, 0) for chain in chains), shared, users))
        return found

    def summary(self) -> list[dict[str, Any]]:
        """A row a kind: type, total and active (how many), size and reclaimable (bytes)."""
        used = self._kept.union(*(image.record["layers"] for image in self.images if image.containers))
        idle = [size for one, size in self.containers if one not in self._running]
        return [
            {
                "type": "Images",
                "total": len(self.images),
                "active": sum(image.containers > 0 for image in self.images),
                "size": sum(self.layers.values()),
                "reclaimable": sum(size for chain, size in self.layers.items() if chain not in used),
            },
            {
                "type": "Containers",
                "total": len(self.containers),
                "active": len(self._running),
                "size": sum(size for _, size in self.containers),
                "reclaimable": sum(idle),
            },
            {
                "type": "Local Volumes",
                "total": len(self.volumes),
                "active": sum(volume["links"] > 0 for volume in self.volumes),
                "size": sum(volume["size"] for volume in self.volumes),
                "reclaimable": sum(volume["size"] for volume in self.volumes if not volume["links"]),
            },
        ]


def _volumes(engine: Engine, every: list[Container]) -> list[dict[str, Any]]:
    """name, links (how many containers mount it) and size of each."""
    mounted = [{mount["name"] for mount in one.record.get("mounts") or ()} for one in every]
    return [
        {
            "name": record["name"],
            "links": sum(record["name"] in names for names in mounted),
            "size": sizes.tree_bytes(record["mountpoint"]),
        }
        for record in volumes.listing(engine)
    ]
