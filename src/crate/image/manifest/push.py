"""`manifest push`: a list goes to a registry, its images before it.

Images of the store go as `push` sends them, compressed if they were not, so an entry may get another digest there;
those of registries go byte for byte, through the store, unless the registry has them or mounts them, and only if the
policy of signatures (crate.image.trust) lets them in.
"""

from __future__ import annotations

import os

from crate.errors import ImageError, UsageError
from crate.image.manifest import list as manifest_list
from crate.image.outgoing import FORMATS, Outgoing, packing
from crate.image.progress import Progress
from crate.image.pull import client_of
from crate.image.push import Repository, send, uploader_of
from crate.image.trust import verification
from crate.oci import digest as digests
from crate.oci import image_spec, json
from crate.oci import reference as references
from crate.oci.document import Document, check_image
from crate.storage import content, images, journal, manifest_lists

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from crate.oci.reference import Reference
    from crate.registry.upload import Uploader
    from crate.settings import Settings
    from crate.storage.image_record import ImageRecord
    from crate.storage.manifest_lists import ManifestList
    from crate.storage.roots import Roots

_INDEXES = {"": "", "oci": image_spec.OCI_INDEX, "v2s2": image_spec.DOCKER_LIST}


def push(
    roots: Roots,
    settings: Settings,
    text: str,
    destination: str | None,
    options: Mapping[str, Any],
    progress: Progress | None = None,
) -> Document:
    """Pushes a list to `destination`, or to where its name says, and gives the index that the registry has.

    `options`: `all` (False: the index alone, whose images the registry has), `format` (`oci` or `v2s2`), and those of
    crate.image.push. Raises UsageError, NotFoundError, RegistryError, ImageError.
    """
    found = manifest_list.get(roots, text)
    if options.get("format") and options["format"] not in FORMATS:
        raise UsageError(f'unsupported manifest format "{options["format"]}"', f"one of: {', '.join(FORMATS)}")
    where = _destination(roots, found, destination)
    shown = progress or Progress()
    uploader = uploader_of(where, settings, options)
    try:
        with images.bring_in(roots):
            entries = [dict(entry) for entry in found["index"]["manifests"]]
            if options.get("all") is not False:
                entries = [
                    _send_entry(roots, settings, found, entry, where, uploader, options, shown) for entry in entries
                ]
        index = {**found["index"], "manifests": entries}
        index["mediaType"] = _INDEXES[str(options.get("format") or "")] or index["mediaType"]
        body = json.dumps(index).encode()
        document = Document(body, digests.of(body), index["mediaType"], index)
        if where.digest and where.digest != document.digest:
            raise UsageError(f"cannot push {where}: the list has the digest {document.digest}", "give a tag instead")
        uploader.manifest(where.selector, body, document.media_type, document.digest)
    finally:
        uploader.close()
    journal.record(roots, "image", "push", found["id"], str(where))
    return document


def _destination(roots: Roots, found: ManifestList, destination: str | None) -> Reference:
    if destination:
        transport = destination.partition(":")[0]
        if transport in ("dir", "oci", "oci-archive", "docker-archive", "containers-storage"):
            raise UsageError(
                f"cannot push a list to {destination}: {transport} is not supported", "give a registry's name"
            )
        return references.parse(destination.removeprefix("docker://"))
    names = manifest_lists.names(roots, found["id"])
    if len(names) != 1:
        raise UsageError(f"cannot push {found['id'][:12]}: which name?", "crate manifest push LIST DESTINATION")
    return references.parse(names[0])


def _send_entry(
    roots: Roots,
    settings: Settings,
    found: ManifestList,
    entry: dict[str, Any],
    where: Reference,
    uploader: Uploader,
    options: Mapping[str, Any],
    shown: Progress,
) -> dict[str, Any]:
    """Has the registry get the image of an entry, and gives the entry as it is to be there."""
    digest = str(entry["digest"])
    source = found["sources"].get(digest)
    if source is None or content.has(roots, digest):
        document = _send_own(roots, digest, where, uploader, options, shown)
    else:
        document = _send_foreign(roots, settings, references.parse(f"{source}@{digest}"), where, uploader, options)
    return {**entry, "mediaType": document.media_type, "digest": document.digest, "size": len(document.body)}


def _send_own(
    roots: Roots, digest: str, where: Reference, uploader: Uploader, options: Mapping[str, Any], shown: Progress
) -> Document:
    if not content.has(roots, digest):
        raise ImageError(f"cannot push {where}: the image {digest} of the list is not here any more")
    value = json.loads(content.read_document(roots, digest))
    record: ImageRecord = {
        "id": value["config"]["digest"].partition(":")[2],
        "digest": digest,
        "names": [],
        "config": {},
        "layers": [],
        "size": 0,
        "created": "",
        "manifest": value,
    }
    outgoing = Outgoing(roots, record, packing(options))
    return send(outgoing, Repository(roots, where, uploader, record, untagged=True), shown)


def _send_foreign(
    roots: Roots,
    settings: Settings,
    source: Reference,
    where: Reference,
    uploader: Uploader,
    options: Mapping[str, Any],
) -> Document:
    gate = verification.Gate(source, options.get("signature_policy"), verb="push")
    client = client_of(source, settings, options, verb="push")
    elsewhere = [source.path] if source.domain == where.domain else []
    try:
        document = client.manifest()
        check_image(document, f"push {where}")
        gate.check([document], client)
        for blob in (document.value["config"], *(document.value.get("layers") or ())):
            digest, size = str(blob["digest"]), int(blob["size"])
            if uploader.has(digest):
                continue
            with content.Ingest(roots, digest, size) as ingest:
                if not ingest.complete:
                    client.blob(digest, size, ingest.write, ingest.offset)
                    ingest.commit()
            fd = content.open_blob(roots, digest)
            try:
                uploader.blob(digest, size, fd, elsewhere=elsewhere)
            finally:
                os.close(fd)
    finally:
        client.close()
    uploader.manifest(document.digest, document.body, document.media_type, document.digest)
    return document
