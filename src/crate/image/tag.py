"""Giving names to local images and taking them away."""

from __future__ import annotations

from crate.errors import NotFoundError, UsageError
from crate.image import local
from crate.oci import reference as references
from crate.storage import images, journal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from crate.storage.roots import Roots


def tag(roots: Roots, image: str, names: Iterable[str]) -> list[str]:
    """Adds `names` to a local image and gives them in full; a name that another image had moves over.

    A name without a registry belongs to `localhost/`, as with podman. Raises NotFoundError, UsageError.
    """
    record = local.get(roots, image)
    full = [_local_name(name) for name in names]
    for name in full:
        images.tag(roots, record["id"], name)
        journal.record(roots, "image", "tag", record["id"], name)
    return full


def untag(roots: Roots, image: str, names: Iterable[str] = ()) -> list[str]:
    """Takes `names` from an image, all of them when none is given, and gives those; the image stays.

    Raises NotFoundError where the image has not got such a name.
    """
    record = local.get(roots, image)
    wanted = [_own_name(record["names"], name) for name in names] or record["names"]
    for name in wanted:
        images.untag(roots, name)
        journal.record(roots, "image", "untag", record["id"], name)
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
