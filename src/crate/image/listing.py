"""The local images as `images` shows them: one row a name, with the facts that docker and podman give."""

from __future__ import annotations

from crate.errors import UsageError
from crate.image import history
from crate.image.filters import compile_filters
from crate.image.inspect import repo_digests
from crate.oci import digest as digests
from crate.oci import moment
from crate.oci import reference as references
from crate.storage import image_record, manifest_lists

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any, TypedDict

    from crate.storage.image_record import ImageRecord
    from crate.storage.manifest_lists import ManifestList
    from crate.storage.roots import Roots

    class Listed(TypedDict):
        """One image. `digests`: of all manifests and indexes it is known by; `containers`: how many use it."""

        id: str
        parent_id: str
        digest: str
        digests: list[str]
        names: list[str]
        all_names: list[str]
        repo_tags: list[str]
        repo_digests: list[str]
        labels: dict[str, str]
        created: str
        created_ns: int
        size: int
        containers: int
        dangling: bool
        intermediate: bool
        manifest_type: str

    class Row(TypedDict):
        """One line: an image under one of its names; repository and tag are "<none>" when there is none."""

        repository: str
        tag: str
        image: Listed


NONE = "<none>"
_SORT_KEYS = ("created", "id", "repository", "size", "tag")


def images(
    roots: Roots,
    *,
    filters: Sequence[str] = (),
    name: str | None = None,
    show_all: bool = False,
    containers: Callable[[str], Sequence[str]] | None = None,
) -> list[Listed]:
    """The images that pass all filters, newest first.

    `name`: as the filter `reference`; `show_all`: intermediate images (untagged, with children) too; `containers`
    gives the ids of the containers that use an image. Raises UsageError and NotFoundError for filters.
    """
    texts = [*filters, *([f"reference={name}"] if name else [])]
    passes = compile_filters(roots, texts)
    asks_for_them = any(text.startswith("intermediate") for text in texts)
    records = image_record.list_all(roots)
    listed = [_listed(roots, record, records, containers) for record in records]
    listed += [_listed_list(roots, one) for one in manifest_lists.list_all(roots)]
    found = [image for image in listed if (show_all or asks_for_them or not image["intermediate"]) and passes(image)]
    return sorted(found, key=lambda image: (-image["created_ns"], image["id"]))


def rows(listed: Sequence[Listed], sort: str = "created") -> list[Row]:
    """A row for each name of each image. `sort`: created (newest first), id, repository, size (largest first), tag."""
    if sort not in _SORT_KEYS:
        raise UsageError(f'invalid sort key "{sort}"', f"sort by one of: {', '.join(_SORT_KEYS)}")
    made: list[Row] = []
    for image in listed:
        for name in shown_names(image["names"]) or [""]:
            parsed = references.parse(name) if name else None
            tag = (parsed.tag or NONE) if parsed else NONE
            made.append({"repository": parsed.name if parsed else NONE, "tag": tag, "image": image})
    keys: dict[str, Callable[[Row], Any]] = {
        "created": lambda row: -row["image"]["created_ns"],
        "id": lambda row: row["image"]["id"],
        "repository": lambda row: (row["repository"], row["tag"]),
        "size": lambda row: -row["image"]["size"],
        "tag": lambda row: row["tag"],
    }
    return sorted(made, key=keys[sort])


def shown_names(names: Sequence[str]) -> list[str]:
    """Without the names by digest (of pulls by digest) in repositories where the image has a tag as well."""
    tagged = {references.parse(name).name for name in names if "@" not in name}
    return [name for name in names if "@" not in name or name.partition("@")[0] not in tagged]


def _listed_list(roots: Roots, one: ManifestList) -> Listed:
    """A manifest list: its size is that of the index."""
    names, body = manifest_lists.names(roots, one["id"]), manifest_lists.body(one)
    digest = digests.of(body)
    return {
        "id": one["id"],
        "parent_id": "",
        "digest": digest,
        "digests": [digest],
        "names": names,
        "all_names": names,
        "repo_tags": names,
        "repo_digests": repo_digests(names, [digest]),
        "labels": {},
        "created": one["created"],
        "created_ns": moment.created(one["created"]),
        "size": len(body),
        "containers": 0,
        "dangling": not names,
        "intermediate": False,
        "manifest_type": str(one["index"]["mediaType"]),
    }


def _listed(
    roots: Roots,
    record: ImageRecord,
    records: Sequence[ImageRecord],
    containers: Callable[[str], Sequence[str]] | None,
) -> Listed:
    names = record["names"]
    digests = image_record.known_digests(roots, record["id"])
    children = [other for other in records if history.is_parent(record, other)]
    parent = history.nearest_parent(record, records)
    return {
        "id": record["id"],
        "parent_id": parent["id"] if parent else "",
        "digest": record["digest"],
        "digests": digests,
        "names": names,
        "all_names": image_record.all_names(record),
        "repo_tags": [name for name in names if "@" not in name],
        "repo_digests": repo_digests(names, digests),
        "labels": dict((record["config"].get("config") or {}).get("Labels") or {}),
        "created": record["created"],
        "created_ns": moment.created(record["created"]),
        "size": record["size"],
        "containers": len(containers(record["id"])) if containers else 0,
        "dangling": not names and not children,
        "intermediate": not names and bool(children),
        "manifest_type": str(record["manifest"].get("mediaType") or ""),
    }
