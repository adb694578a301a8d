"""What `crate history` shows: the steps that an image was made of."""

from __future__ import annotations

import time

from crate.cli import formats, human
from crate.oci import moment

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from crate.engine.context import Engine

_COLUMNS = (
    ("ID", "IMAGE"),
    ("CreatedSince", "CREATED"),
    ("CreatedBy", "CREATED BY"),
    ("Size", "SIZE"),
    ("Comment", "COMMENT"),
)
_JSON = ("Comment", "CreatedAt", "CreatedBy", "CreatedSince", "ID", "Size")


def text(engine: Engine, options: dict[str, Any]) -> str:
    """The whole output, the last step first."""
    from crate.image import history, local
    from crate.storage import layers

    now_ns = time.time_ns()
    record = local.get(engine.roots, options["image"])
    steps = history.steps(engine.roots, record, [layers.size(engine.roots, [layer]) for layer in record["layers"]])
    if options["quiet"] and not options["format"]:
        return "".join(f"{_id((step, options, now_ns))}\n" for step in steps)
    rows = [formats.Row((step, options, now_ns), _FIELDS, _JSON) for step in steps]
    further = (("CreatedAt", "CREATED AT"),)
    return formats.listing(rows, _COLUMNS, options, further=further, objects=lambda: [_object(step) for step in steps])


def _object(step: Any) -> dict[str, Any]:
    """A step in podman's JSON."""
    found = {"id": step["id"], "created": step["created"], "CreatedBy": step["created_by"], "size": step["size"]}
    found.update({key: step[key] for key in ("tags", "comment") if step[key]})
    found["Created"] = step["created"]
    return found


def _id(source: Any) -> str:
    image_id = str(source[0].get("id") or "<missing>")
    if image_id == "<missing>":
        return image_id
    return f"sha256:{image_id}" if source[1]["no_trunc"] else image_id[:12]


def _since(source: Any) -> str:
    created = moment.created(source[0].get("created") or "")
    if not created:
        return "N/A"
    return human.rfc3339(created) if source[1]["human"] is False else human.ago(created, source[2])


def _created_by(source: Any) -> str:
    command = " ".join(str(source[0].get("created_by") or "").split())
    return command if source[1]["no_trunc"] or len(command) <= 45 else command[:44] + "…"


def _size(source: Any) -> str:
    size = int(source[0].get("size") or 0)
    return str(size) if source[1]["human"] is False else human.size(size)


_FIELDS: dict[str, Any] = {
    "ID": _id,
    "CreatedSince": _since,
    "Created": _since,
    "CreatedAt": lambda source: human.stamp(moment.created(source[0].get("created") or "")),
    "CreatedBy": _created_by,
    "Size": _size,
    "Comment": lambda source: str(source[0].get("comment") or ""),
    "Tags": lambda source: ", ".join(source[0].get("tags") or []),
}
