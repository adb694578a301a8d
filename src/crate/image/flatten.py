"""`image flatten`: an image whose files lie in one layer, or in fewer, made of one that has many."""

from __future__ import annotations

from crate.errors import NotFoundError, UsageError
from crate.image import local, making
from crate.oci import image_spec
from crate.storage import images, journal
from crate.storage.layer_pack import LayerPack

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from crate.storage.image_record import ImageRecord
    from crate.storage.roots import Roots

_BEGINNING_MIN = 4  # of a digest; less is meant as a place


def flatten(
    roots: Roots, text: str, names: Sequence[str] = (), *, first: str | None = None, keep_history: bool = False
) -> ImageRecord:
    """Makes an image of the same files and configuration whose layers from `first` up are one; gives its record.

    `first`: the place of a layer (1 is the lowest), or the beginning of its digest, diff id or chain id; None: the
    lowest. What the merged layers hide of those below stays hidden. The history of the merged layers becomes one
    step, with `keep_history` it stays, its steps without layers of their own. The same image always gives the same
    digest. Raises NotFoundError, UsageError.
    """
    record = local.get(roots, text)
    if not record["layers"]:
        raise UsageError(f"cannot flatten {text}: it has no layers")
    lower = _place(record, text, first) if first else 0
    parents = record["config"]["rootfs"]["diff_ids"][:lower]
    form = "docker" if record["manifest"].get("mediaType") == image_spec.DOCKER_MANIFEST else "oci"
    with images.bring_in(roots), LayerPack(roots, parents) as layer:
        layer.merge(record["layers"][lower:], record["layers"][:lower])
        layer.write_archive()
        config: dict[str, Any] = {
            **record["config"],
            "created": record["created"],
            "rootfs": {"type": "layers", "diff_ids": [*parents, layer.diff_id]},
            "history": _history(record, lower, keep_history),
        }
        descriptors = [*(record["manifest"].get("layers") or ())[:lower], making.layer_descriptor(layer)]
        made = making.make(roots, config, descriptors, names, form=form, made=[layer])
    journal.record(roots, "image", "flatten", made["id"], next(iter(names), ""))
    return made


def _place(record: ImageRecord, text: str, first: str) -> int:
    """How many layers lie below the one that `first` means."""
    count = len(record["layers"])
    if first.isdigit() and 1 <= int(first) <= count:
        return int(first) - 1
    beginning = first.removeprefix("sha256:")
    described = record["manifest"].get("layers") or ()
    known = zip(record["layers"], record["config"]["rootfs"]["diff_ids"], described, strict=True)
    found = [
        number
        for number, (chain, diff_id, descriptor) in enumerate(known)
        if any(
            name.removeprefix("sha256:").startswith(beginning) for name in (chain, diff_id, str(descriptor["digest"]))
        )
    ]
    if len(beginning) < _BEGINNING_MIN or not found:
        raise NotFoundError(f"{first}: no layer of {text}", f"give its place, 1 to {count}, or see: crate image tree")
    if len(found) > 1:
        raise UsageError(f"{first}: more than one layer of {text} begins so", "give more of the digest")
    return found[0]


def _history(record: ImageRecord, lower: int, keep: bool) -> list[dict[str, Any]]:
    entries: list[dict[str, Any]] = [dict(entry) for entry in record["config"].get("history") or ()]
    missing = max(0, len(record["layers"]) - sum(not entry.get("empty_layer") for entry in entries))
    entries = [{"created": record["created"]} for _ in range(missing)] + entries  # some builders write no history
    below, left = 0, lower
    while left and below < len(entries):
        left -= not entries[below].get("empty_layer")
        below += 1
    merged = entries[below:]
    step = {
        "created": record["created"],
        "created_by": "crate image flatten",
        "comment": f"{len(record['layers']) - lower} layers as one",
    }
    if not keep:
        return [*entries[:below], step]
    return [*entries[:below], *({**entry, "empty_layer": True} for entry in merged), step]
