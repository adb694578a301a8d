"""Giving names to local images and taking them away."""

from __future__ import annotations

from crate.errors import NotFoundError, UsageError
from crate.image import local
from crate.image.manifest import list as manifest_list
from crate.oci import reference as references
from crate.storage import images, journal, manifest_lists

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from crate.storage.roots import Roots


def tag(roots: Roots, image: str, names: Iterable[str]) -> list[str]:
    """Adds `names` to a local image and gives them in full; a name that another image had moves over.

    A name without a registry belongs to `localhost/`, as with podman. Raises NotFoundError, UsageError.
    """
    full = [_local_name(name) for name in names]
    listed = manifest_list.find(roots, image)
    if listed is not None:
        for name in full:
            images.tag_list(roots, listed["id"], name)
            journal.record(roots, "image", "tag", listed["id"], name)
        return full
    record = local.get(roots, image)
    for name in full:
        images.tag(roots, record["id"], name)
        journal.record(roots, "image", "tag", record["id"], name)
    return full


def untag(roots: Roots, image: str, names: Iterable[str] = ()) -> list[str]:
    """Takes `names` from an image, all of them when none is given, and gives those; the image stays.

    Raises NotFoundError where the image has not got such a name.
    """
    listed = manifest_list.find(roots, image)
    if listed is not None:
        object_id, own = listed["id"], manifest_lists.names(roots, listed["id"])
    else:
        record = local.get(roots, image)
        object_id, own = record["id"], record["names"]
    wanted = [_own_name(own, name) for name in names] or own
    for name in wanted:
        images.untag(roots, name)
        journal.record(roots, "image", "untag", object_id, name)
    return wanted


def _local_name(text: str) -> str:
    parsed = references.parse_local(text)
    if parsed.digest:
        raise UsageError(f"{text}: tag by digest not supported", "give NAME or NAME:TAG")
    return str(parsed)


def _own_name(own: list[str], text: str) -> str:
    for candidate in references.local_candidates(text):
        if candidate in own:
            return candidate
    raise NotFoundError(f"{text}: tag not known", "see the names with: crate images")
