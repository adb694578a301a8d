"""Image records: what commands need to know of an image, flattened into one small file each.

    images/records/<image id>.json                 the record
    images/records/<algorithm>-<hex>.json          a link to it, one for each manifest or index it is known by

`run` so reads one link (the reference) and one file. A record can be made again from the blobs at any time.
"""

from __future__ import annotations

import os

from crate.errors import UsageError
from crate.oci import json
from crate.storage import reference
from crate.storage.durable import read_file, write_file

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Any, NotRequired, TypedDict

    from crate.storage.roots import Roots

    class ImageRecord(TypedDict):
        """One image: `layers` are chain ids, bottom first; `size` is in bytes, unpacked.

        `former`: names that it was ever given, the last one first.
        """

        id: str
        digest: str
        names: list[str]
        config: dict[str, Any]
        layers: list[str]
        size: int
        created: str
        manifest: dict[str, Any]
        former: NotRequired[list[str]]


_HEX = "0123456789abcdef"


def find(roots: Roots, text: str) -> ImageRecord | None:
    """The image that `text` means: a full reference, a digest of a manifest, an image id or the beginning of one.

    Short names are the caller's to complete (crate.oci.reference). Raises UsageError when several ids begin so.
    """
    digest = reference.resolve(roots, text)
    if digest:
        return by_digest(roots, digest)
    plain = text.removeprefix("sha256:")
    if plain and not plain.strip(_HEX):
        found = by_id(roots, plain)
        if found or plain == text:
            return found
    return by_digest(roots, text) if ":" in text and "/" not in text else None


def by_digest(roots: Roots, digest: str) -> ImageRecord | None:
    """The image of a manifest or index."""
    return _read(roots, digest.replace(":", "-"))


def by_id(roots: Roots, prefix: str) -> ImageRecord | None:
    """The image whose id is, or alone begins with, these hexadecimal digits. Raises UsageError when several do."""
    if len(prefix) == 64:
        return _read(roots, prefix)
    candidates = [image_id for image_id in list_ids(roots) if image_id.startswith(prefix)]
    if len(candidates) > 1:
        shown = ", ".join(sorted(image_id[:12] for image_id in candidates))
        raise UsageError(f"more than one image id begins with {prefix}: {shown}", "give more of the id")
    return _read(roots, candidates[0]) if candidates else None


def list_ids(roots: Roots) -> list[str]:
    """The ids of all images, in no order."""
    try:
        names = os.listdir(f"{roots.graphroot}/images/records")
    except FileNotFoundError:
        return []
    return [name[:-5] for name in names if len(name) == 69 and name.endswith(".json")]


def list_all(roots: Roots) -> list[ImageRecord]:
    """The records of all images, in no order."""
    names = _names_by_digest(roots)
    records = (_read(roots, image_id, names) for image_id in list_ids(roots))
    return [record for record in records if record]


def put(roots: Roots, record: ImageRecord, digests: Iterable[str] = (), durable: bool = True) -> None:
    """Writes the record; `digests` are others than its own under which it shall be found (of an index)."""
    from crate.storage.content import prepare

    prepare(roots)
    records = f"{roots.graphroot}/images/records"
    stored = {key: value for key, value in record.items() if key != "names"}  # the references say them
    write_file(None, f"{records}/{record['id']}.json", json.dumps(stored), durable)
    for digest in {record["digest"], *digests}:
        link = f"{records}/{digest.replace(':', '-')}.json"
        temporary = f"{records}/.{os.urandom(4).hex()}"
        os.symlink(f"{record['id']}.json", temporary)
        os.rename(temporary, link)


def with_former(record: ImageRecord, given: Sequence[str], known: ImageRecord | None) -> ImageRecord:
    """The record with `given` as its last names; `known`: the record that there was before."""
    former = list(known.get("former") or ()) if known else []
    return {**record, "former": [*reversed(given), *(name for name in former if name not in given)]}


def all_names(record: ImageRecord) -> list[str]:
    """The names that it has, then those that it had, the last one first."""
    return [*record["names"], *(name for name in record.get("former") or () if name not in record["names"])]


def remove(roots: Roots, image_id: str) -> list[str]:
    """Removes the record and its links; gives the digests it was known by. References and blobs stay."""
    records = f"{roots.graphroot}/images/records"
    digests = known_digests(roots, image_id)
    for digest in digests:
        _unlink(f"{records}/{digest.replace(':', '-')}.json")
    _unlink(f"{records}/{image_id}.json")
    return digests


def known_digests(roots: Roots, image_id: str) -> list[str]:
    """The digests of manifests and indexes that this image is known by, sorted."""
    return sorted(digest for digest, known in _links(roots).items() if known == image_id)


def names(roots: Roots, image_id: str) -> list[str]:
    """The references of the image, sorted."""
    links = _links(roots)
    return [name for name, digest in reference.list_all(roots).items() if links.get(digest) == image_id]


def _links(roots: Roots) -> dict[str, str]:
    records = f"{roots.graphroot}/images/records"
    found = {}
    try:
        listed = os.listdir(records)
    except FileNotFoundError:
        return {}
    for name in listed:
        if "-" in name and name.endswith(".json") and name[0] != ".":
            try:
                found[name[:-5].replace("-", ":")] = os.readlink(f"{records}/{name}")[:-5]
            except OSError:
                pass
    return found


def _names_by_digest(roots: Roots) -> dict[str, list[str]]:
    """The references of each image id."""
    links = _links(roots)
    found: dict[str, list[str]] = {}
    for name, digest in reference.list_all(roots).items():
        image_id = links.get(digest)
        if image_id:
            found.setdefault(image_id, []).append(name)
    return found


def _read(roots: Roots, stem: str, known_names: dict[str, list[str]] | None = None) -> ImageRecord | None:
    try:
        record: ImageRecord = json.loads(read_file(f"{roots.graphroot}/images/records/{stem}.json"))
    except (FileNotFoundError, ValueError):
        return None  # lost in a power cut: the image is pulled, or its record made, again
    if known_names is None:
        record["names"] = names(roots, record["id"])
    else:
        record["names"] = known_names.get(record["id"], [])
    return record


def _unlink(path: str) -> None:
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass
