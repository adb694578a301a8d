"""How the `mount` commands show what is mounted: the places, podman's table, or JSON."""

from __future__ import annotations

from crate.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from crate.engine.containers import Container
    from crate.storage.image_record import ImageRecord


def check_format(text: str | None) -> None:
    """UsageError for what is not `json`."""
    if text not in (None, "json"):
        raise UsageError(f'unknown --format argument: "{text}"')


def show(rows: Sequence[tuple[str, str]]) -> str:
    """Two columns."""
    width = max((len(name) for name, _ in rows), default=0)
    return "".join(f"{name.ljust(width)}  {place}\n" for name, place in rows)


def containers(found: Sequence[tuple[Container, str]], options: dict[str, Any], named: bool) -> str:
    """The containers that are mounted; only the places of those that were `named`."""
    if options["format"] == "json":
        return _json([{"id": one.id, "Names": [one.name], "mountpoint": place} for one, place in found])
    if named:
        return "".join(f"{place}\n" for _, place in found)
    length = 64 if options["no_trunc"] else 12
    return show([(one.id[:length], place) for one, place in found])


def images(found: Sequence[tuple[ImageRecord, str]], options: dict[str, Any], named: bool) -> str:
    """The images that are mounted; only the places of those that were `named`."""
    if options["format"] == "json":
        rows = [
            {"id": image["id"], "Names": [image["digest"]], "Repositories": image["names"], "mountpoint": place}
            for image, place in found
        ]
        return _json(rows)
    if named:
        return "".join(f"{place}\n" for _, place in found)
    return show([(name, place) for image, place in found for name in image["names"] or [image["id"]]])


def _json(rows: list[dict[str, Any]]) -> str:
    from crate.oci import json

    return json.pretty(rows, 1) + "\n"
