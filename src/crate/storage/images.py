"""Images as a whole: made known in one step when all parts are there, removed, and their unneeded parts collected.

Whoever brings parts of an image in holds the lease of `bring_in` meanwhile, so that nobody collects them as unneeded:

    with bring_in(roots):
        ...  blobs (crate.storage.content), layers (crate.storage.layers: LayerUnpack, publish)
        enroll(roots, record, [reference])
"""

from __future__ import annotations

import os

from crate.errors import StateError
from crate.storage import build_cache, content, image_record, layers, reference
from crate.storage.durable import sync_file_system
from crate.storage.lock import Lease, Lock

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from crate.storage.image_record import ImageRecord
    from crate.storage.roots import Roots

_PARTIAL_SECONDS = 24 * 3600


def bring_in(roots: Roots) -> Lease:
    """The lease, for `with`, of a pull, load, build or commit: any number hold it together."""
    return Lease(f"{roots.runroot}/leases/images", shared=True)


def are_coming(roots: Roots) -> bool:
    """Is a pull, load, build or commit under way? Nothing can be collected then."""
    lease = Lease(f"{roots.runroot}/leases/images")
    is_free = lease.acquire(wait=False)
    lease.release()
    return not is_free


def enroll(
    roots: Roots, record: ImageRecord, references: Iterable[str], digests: Iterable[str] = (), *, synced: bool = False
) -> None:
    """Makes an image known and its references stand for it; all is on disk when this returns.

    `digests` are others than `record["digest"]` by which it shall be found (that of an index), `references` may be
    none; `synced`: its blobs are on disk already. Raises StateError where a part is missing, which only a
    reckless removal explains.
    """
    if not synced:
        sync_file_system(f"{roots.graphroot}/images")
        if os.stat(f"{roots.graphroot}/images").st_dev != os.stat(f"{roots.graphroot}/layers").st_dev:
            sync_file_system(f"{roots.graphroot}/layers")
    with Lock(f"{roots.graphroot}/images"):
        gone = layers.missing(roots, record["layers"])
        if gone:
            raise StateError(f"layer {gone[0][:12]} was removed meanwhile", "pull the image again")
        layers.note_synced(roots, record["layers"])
        given = list(references)
        known = image_record.by_id(roots, record["id"])
        image_record.put(roots, image_record.with_former(record, given, known), digests)
        for name in given:
            reference.put(roots, name, record["digest"])
        reference.write_index(roots)


def tag(roots: Roots, image_id: str, name: str) -> None:
    """Makes one more reference stand for an image. Raises StateError when it was removed meanwhile."""
    with Lock(f"{roots.graphroot}/images"):
        record = image_record.by_id(roots, image_id)
        if record is None:
            raise StateError(f"image {image_id[:12]} was removed meanwhile")
        image_record.put(roots, image_record.with_former(record, [name], record))
        reference.put(roots, name, record["digest"])
        reference.write_index(roots)


def tag_list(roots: Roots, list_id: str, name: str) -> None:
    """Makes one more reference stand for a manifest list (crate.storage.manifest_lists)."""
    with Lock(f"{roots.graphroot}/images"):
        reference.put(roots, name, f"{reference.LIST}{list_id}")
        reference.write_index(roots)


def note_digest(roots: Roots, image_id: str, manifest: bytes) -> None:
    """Makes an image known by one more manifest, such as it was pushed with."""
    digest = content.put(roots, manifest)
    with Lock(f"{roots.graphroot}/images"):
        record = image_record.by_id(roots, image_id)
        if record is not None and digest != record["digest"]:
            image_record.put(roots, record, [digest])


def untag(roots: Roots, name: str) -> bool:
    """Removes one reference; the image stays, maybe without a name. False when there was none."""
    with Lock(f"{roots.graphroot}/images"):
        removed = reference.remove(roots, name)
        if removed:
            reference.write_index(roots)
    return removed


def remove(roots: Roots, image_id: str, used_layers: Callable[[], Iterable[str]]) -> int:
    """Removes an image with all its references and what only it needs; gives the bytes of the blobs that went.

    `used_layers` gives the chain ids that containers stand on; it is called while no container can become visible, and
    may raise to forbid the removal.
    """
    with Lock(f"{roots.graphroot}/images"):
        kept_layers = set(used_layers())
        for name in image_record.names(roots, image_id):
            reference.remove(roots, name)
        image_record.remove(roots, image_id)
        reference.write_index(roots)
        return _collect(roots, kept_layers)


def collect(roots: Roots, used_layers: Callable[[], Iterable[str]]) -> int:
    """Removes blobs and layers that no image and no container needs, and old partial downloads; gives bytes of blobs.

    While parts of images are being brought in nothing is removed: the next one collects.
    """
    with Lock(f"{roots.graphroot}/images"):
        return _collect(roots, set(used_layers()))


def _collect(roots: Roots, kept_layers: set[str]) -> int:
    from crate.storage import compressed, manifest_lists

    lease = Lease(f"{roots.runroot}/leases/images")
    if not lease.acquire(wait=False):
        return 0
    try:
        cached_layers, kept_blobs = build_cache.layers(roots)
        kept_layers |= cached_layers
        for record in image_record.list_all(roots):
            kept_layers.update(record["layers"])
            kept_blobs.update((record["digest"], f"sha256:{record['id']}"))
            kept_blobs.update(image_record.known_digests(roots, record["id"]))
            kept_blobs.update(layer["digest"] for layer in record["manifest"].get("layers", ()))
        kept_blobs.update(reference.list_all(roots).values())
        kept_blobs |= manifest_lists.kept_blobs(roots)
        kept_blobs |= compressed.made_of(roots, kept_blobs)
        for chain in layers.list_ids(roots):
            if chain not in kept_layers:
                layers.remove(roots, chain)
        _collect_partials(roots)
        unneeded = [digest for digest in content.list_digests(roots) if digest not in kept_blobs]
        return sum(content.remove(roots, digest) for digest in unneeded)
    finally:
        lease.release()


def _collect_partials(roots: Roots) -> None:
    """Removes what interrupted downloads left, once nobody seems to come back for it."""
    import time

    partials = f"{roots.graphroot}/images/partial"
    try:
        names = os.listdir(partials)
    except FileNotFoundError:
        return
    for name in names:
        try:
            if time.time() - os.stat(f"{partials}/{name}").st_mtime > _PARTIAL_SECONDS:
                os.unlink(f"{partials}/{name}")
        except FileNotFoundError:
            pass
