"""What `images --tree` and `image tree` draw: platforms of images, and layers with the steps that made them."""

from __future__ import annotations

from crate.oci import platform
from crate.storage import image_record, layers, manifest_lists

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from crate.image.listing import Listed
    from crate.storage.image_record import ImageRecord
    from crate.storage.roots import Roots


class Layer:
    """A layer: chain and diff id, bytes of its files, the step that made it, and the names of images that end there."""

    __slots__ = ("chain_id", "diff_id", "size", "step", "top_of")

    def __init__(self, chain_id: str, diff_id: str, size: int, step: str, top_of: list[str]) -> None:
        self.chain_id = chain_id
        self.diff_id = diff_id
        self.size = size
        self.step = step
        self.top_of = top_of


class Variant:
    """An image for one platform. `layers` is None for one of a list that is not here."""

    __slots__ = ("id", "layers", "platform", "size")

    def __init__(self, shown_platform: str, image_id: str, size: int, found: list[Layer] | None) -> None:
        self.platform = shown_platform
        self.id = image_id
        self.size = size
        self.layers = found


def variants(roots: Roots, image: Listed, records: Sequence[ImageRecord]) -> list[Variant]:
    """The platforms of an image: one, or those of a manifest list."""
    by_id = {record["id"]: record for record in records}
    if image["id"] in by_id:
        return [_variant(roots, by_id[image["id"]], records)]
    found = []
    for entry in manifest_lists.read(roots, image["id"])["index"]["manifests"]:
        record = image_record.by_digest(roots, entry["digest"])
        if record:
            found.append(_variant(roots, record, records))
        else:
            shown = str(platform.of(entry.get("platform") or {}))
            found.append(Variant(shown, str(entry["digest"]).partition(":")[2], int(entry["size"]), None))
    return found


def _variant(roots: Roots, record: ImageRecord, records: Sequence[ImageRecord]) -> Variant:
    own = layers_of(roots, record, records)
    return Variant(str(platform.of(record["config"])), record["id"], record["size"], own)


def layers_of(roots: Roots, record: ImageRecord, records: Sequence[ImageRecord]) -> list[Layer]:
    """The layers of an image, lowest first."""
    tops: dict[str, list[str]] = {}
    for other in records:
        if other["layers"]:
            tops.setdefault(other["layers"][-1], []).extend(other["names"])
    steps = [entry for entry in record["config"].get("history") or () if not entry.get("empty_layer")]
    steps = [{}] * (len(record["layers"]) - len(steps)) + steps
    diff_ids = record["config"]["rootfs"]["diff_ids"]
    return [
        Layer(chain, diff_id, layers.size(roots, [chain]), str(step.get("created_by") or ""), tops.get(chain, []))
        for chain, diff_id, step in zip(record["layers"], diff_ids, steps, strict=False)
    ]


def requiring(record: ImageRecord, records: Sequence[ImageRecord]) -> list[ImageRecord]:
    """The images that have all layers of this one, and more."""
    count = len(record["layers"])
    return [other for other in records if len(other["layers"]) > count and other["layers"][:count] == record["layers"]]
