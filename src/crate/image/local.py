"""Finding an image that is already here by whatever a user calls it: the hot part of this package."""

from __future__ import annotations

from crate.errors import NotFoundError, UsageError
from crate.oci import digest as digests
from crate.oci import reference as references
from crate.storage import image_record
from crate.storage import reference as stored

TYPE_CHECKING = False
if TYPE_CHECKING:
    from crate.storage.image_record import ImageRecord
    from crate.storage.roots import Roots

_HEX = "0123456789abcdef"


def find(roots: Roots, text: str) -> ImageRecord | None:
    """The local image that `text` means, None when there is none; no registry is asked.

    In podman's order: a digest (`sha256:…` of an image, manifest or index); a full name; a short name under
    `localhost/`, then on docker.io; the beginning of an image id; a short name in any registry. Raises UsageError
    when `text` is the beginning of several ids.
    """
    found = find_named(roots, text)
    return found[0] if found else None


def get(roots: Roots, text: str) -> ImageRecord:
    """As `find`; raises NotFoundError where it gives None."""
    found = find(roots, text)
    if found is None:
        raise NotFoundError(f"{text}: image not known", "see the local ones with: crate images")
    return found


def find_named(roots: Roots, text: str) -> tuple[ImageRecord, str] | None:
    """The image and the name that it was found by, "" when that was an id or a digest."""
    if text.startswith("sha256:") or digests.is_hex_id(text):
        record = image_record.find(roots, text)
        return (record, "") if record else None
    candidates = references.local_candidates(text)
    for name in candidates:
        digest = stored.resolve(roots, name)
        record = image_record.by_digest(roots, digest) if digest else None
        if record:
            return record, name
        if digest and digest.startswith(stored.LIST):
            from crate.image.manifest.list import host_image

            record = host_image(roots, digest.removeprefix(stored.LIST))
            return (record, "") if record else None
    if candidates and "@" in candidates[0]:
        # The content decides, under whatever name it was stored.
        record = image_record.by_digest(roots, candidates[0].partition("@")[2])
        return (record, "") if record else None
    if not text.strip(_HEX):
        record = _by_prefix(roots, text)
        if record:
            return record, ""
    return _in_any_registry(roots, candidates[0]) if candidates and references.is_short(text) else None


def _by_prefix(roots: Roots, text: str) -> ImageRecord | None:
    try:
        return image_record.by_id(roots, text) if text else None
    except UsageError:
        if len(text) < 4:
            return None  # rather a name that is to be pulled than a beginning that fits by chance
        raise


def _in_any_registry(roots: Roots, local_name: str) -> tuple[ImageRecord, str] | None:
    """The first image whose name ends with the short name, in whatever registry: podman's last resort."""
    ending = local_name.removeprefix(references.LOCAL_DOMAIN)
    for name, digest in stored.list_all(roots).items():
        if name.endswith(ending):
            record = image_record.by_digest(roots, digest)
            if record:
                return record, name
    return None
