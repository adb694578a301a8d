"""What `crate images` shows: one line a name, images without a name once."""

from __future__ import annotations

import time

from crate.cli import formats, human
from crate.cli.image import users

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from crate.engine.context import Engine
    from crate.image.listing import Listed

_FURTHER = (("CreatedAt", "CREATED AT"), ("Digest", "DIGEST"), ("Containers", "CONTAINERS"))
_JSON = (
    "Containers", "CreatedAt", "CreatedSince", "Digest", "ID", "Repository", "SharedSize", "Size", "Tag", "UniqueSize",
    "VirtualSize",
)  # fmt: skip


def text(engine: Engine, options: dict[str, Any]) -> str:
    """The whole output."""
    from crate.image import listing

    found = _found(engine, options)
    entries = listing.rows(found, options["sort"] or "created")
    if options["quiet"] and not options["format"]:
        ids = dict.fromkeys(_id(entry["image"]["id"], options) for entry in entries)
        return "".join(f"{image_id}\n" for image_id in ids)
    now_ns = time.time_ns()
    rows = [formats.Row((entry, options, now_ns), _FIELDS, _JSON) for entry in entries]
    digest = (("Digest", "DIGEST"),) if options["digests"] else ()
    columns = (
        ("Repository", "REPOSITORY"),
        ("Tag", "TAG"),
        *digest,
        ("ID", "IMAGE ID"),
        ("CreatedSince", "CREATED"),
        ("Size", "SIZE"),
    )
    if options["history"]:
        columns = (*columns, ("History", "HISTORY"))
    shown = {entry["image"]["id"]: entry["image"] for entry in entries}
    objects = lambda: [_object(image) for image in shown.values()]  # noqa: E731
    return formats.listing(rows, columns, options, further=_FURTHER, objects=objects)


def tree(engine: Engine, options: dict[str, Any]) -> str:
    """The output of --tree: an image once, in the order of --sort."""
    from crate.cli.image import trees
    from crate.errors import UsageError
    from crate.image import listing

    for key in ("format", "quiet", "digests", "history"):
        if options[key]:
            raise UsageError(f"--{key} and --tree exclude each other", "leave one of them away")
    rows = listing.rows(_found(engine, options), options["sort"] or "created")
    once = {row["image"]["id"]: row["image"] for row in rows}
    return trees.images(engine, list(once.values()), bool(options["no_trunc"]))


def _found(engine: Engine, options: dict[str, Any]) -> list[Listed]:
    from crate.image import listing

    return listing.images(
        engine.roots,
        filters=options["filter"] or (),
        name=options["image"],
        show_all=bool(options["all"]),
        containers=lambda image_id: [container.id for container in users.of(engine, image_id)],
    )


def _object(image: Any) -> dict[str, Any]:
    """An image in podman's JSON."""
    return {
        "Id": image["id"],
        "ParentId": image["parent_id"],
        "RepoTags": image["repo_tags"] or None,
        "RepoDigests": image["repo_digests"],
        "Size": image["size"],
        "SharedSize": 0,
        "VirtualSize": image["size"],
        "Labels": image["labels"] or None,
        "Containers": image["containers"],
        "Names": image["names"],
        "Digest": image["digest"],
        "History": image["all_names"],
        "Created": image["created_ns"] // 10**9,
        "CreatedAt": human.rfc3339(image["created_ns"]),
    }


def _id(image_id: str, options: dict[str, Any]) -> str:
    return f"sha256:{image_id}" if options["no_trunc"] else image_id[:12]


def _age(source: Any) -> int:
    return int(source[0]["image"]["created_ns"])


def _labels(source: Any) -> Any:
    from crate.cli.template.values import GoMap

    return GoMap(source[0]["image"]["labels"])


_FIELDS: dict[str, Any] = {
    "Containers": lambda source: str(source[0]["image"]["containers"]),
    "Created": lambda source: human.stamp(_age(source)),
    "CreatedAt": lambda source: human.stamp(_age(source)),
    "CreatedSince": lambda source: human.ago(_age(source), source[2]) if _age(source) > 0 else "N/A",
    "CreatedTime": lambda source: human.stamp(_age(source)),
    "Digest": lambda source: source[0]["image"]["digest"],
    "History": lambda source: ", ".join(source[0]["image"]["all_names"]),
    "ID": lambda source: _id(source[0]["image"]["id"], source[1]),
    "Id": lambda source: source[0]["image"]["id"],
    "Labels": _labels,
    "Names": lambda source: list(source[0]["image"]["names"]),
    "ParentId": lambda source: source[0]["image"]["parent_id"],
    "ReadOnly": lambda source: False,
    "Repository": lambda source: source[0]["repository"],
    "RepoDigests": lambda source: list(source[0]["image"]["repo_digests"]),
    "RepoTags": lambda source: list(source[0]["image"]["repo_tags"]),
    "SharedSize": lambda source: "N/A",
    "Size": lambda source: human.size(source[0]["image"]["size"]),
    "Tag": lambda source: source[0]["tag"],
    "UniqueSize": lambda source: "N/A",
    "VirtualSize": lambda source: human.size(source[0]["image"]["size"]),
}
