"""Finding a manifest list made here, and the image of one that this host runs; light, for `run` may ask."""

from __future__ import annotations

from crate.errors import NotFoundError, UsageError
from crate.oci import platform
from crate.oci import reference as references
from crate.storage import image_record, manifest_lists, reference

TYPE_CHECKING = False
if TYPE_CHECKING:
    from crate.storage.image_record import ImageRecord
    from crate.storage.manifest_lists import ManifestList
    from crate.storage.roots import Roots

_HEX = "0123456789abcdef"


def find(roots: Roots, text: str) -> ManifestList | None:
    """The list that a name, an id or the beginning of one means. UsageError when several ids begin so."""
    for name in references.local_candidates(text):
        digest = reference.resolve(roots, name)
        if digest:
            if not digest.startswith(reference.LIST):
                return None
            return manifest_lists.read(roots, digest.removeprefix(reference.LIST))
    beginning = text.removeprefix("sha256:")
    if len(beginning) < 4 or beginning.strip(_HEX):
        return None
    found = [list_id for list_id in manifest_lists.list_ids(roots) if list_id.startswith(beginning)]
    if len(found) > 1:
        raise UsageError(f"more than one id begins with {text}", "give more of the id")
    return manifest_lists.read(roots, found[0]) if found else None


def get(roots: Roots, text: str) -> ManifestList:
    """As `find`; NotFoundError where it gives None."""
    found = find(roots, text)
    if found is None:
        raise NotFoundError(f"{text}: no such manifest list", "make one with: crate manifest create")
    return found


def host_image(roots: Roots, list_id: str) -> ImageRecord | None:
    """The image of a list that this host runs, if it is here: what `run LIST` means."""
    try:
        index = manifest_lists.read(roots, list_id)["index"]
    except NotFoundError:
        return None  # removed at this moment
    entries = [
        (entry, record) for entry in index["manifests"] if (record := image_record.by_digest(roots, entry["digest"]))
    ]
    offered = [platform.of(entry.get("platform") or record["config"]) for entry, record in entries]
    chosen = platform.choose(offered, platform.host(), exact=False)
    return None if chosen is None else entries[chosen][1]
