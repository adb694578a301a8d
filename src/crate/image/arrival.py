"""The arrival of an image, from a registry, an archive or this program: layers side by side, all or nothing.

    thread of a layer:  source ──bytes──> content store (hashed) and crate:unpack (inflated, hashed, written as files)
    caller:             config · threads · publish layers (one sync) · record · names

The image is visible by its record and its names, which come last. Blobs of an arrival that failed stay for the next
try, unless their content was at fault; what nobody comes back for is collected (crate.storage.images).
"""

from __future__ import annotations

import os
import threading

from crate.errors import HostError, ImageError
from crate.image import abreast
from crate.image.progress import Progress
from crate.oci import document as documents
from crate.oci import image_spec, platform
from crate.storage import content, image_record, images, layers, staging
from crate.storage.lock import Lease

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any, Protocol

    from crate.oci.document import Document
    from crate.oci.image_spec import Descriptor
    from crate.oci.platform import Platform
    from crate.storage.image_record import ImageRecord
    from crate.storage.layers import LayerUnpack
    from crate.storage.roots import Roots

    class Source(Protocol):
        """Where blobs come from: crate.registry.client.Client, for one."""

        def small_blob(self, digest: str, size: int, limit: int) -> bytes:
            """A blob as a whole, its digest checked."""

        def blob(self, digest: str, size: int, write: Callable[[bytes], object], start: int = 0) -> None:
            """The bytes of a blob from `start`, handed to `write`."""

        def close(self) -> None:
            """Ends whatever is under way in other threads."""


_THREADS = 3  # as many as docker downloads at a time
_GO_ZERO_TIME = "0001-01-01T00:00:00Z"


class Nowhere:
    """The source of an image whose blobs are in the content store already."""

    def small_blob(self, digest: str, size: int, limit: int) -> bytes:
        """Raises ImageError: it should have been there."""
        raise ImageError(f"the blob {digest} is missing")

    def blob(self, digest: str, size: int, write: Callable[[bytes], object], start: int = 0) -> None:
        """As `small_blob`."""
        self.small_blob(digest, size, 0)

    def close(self) -> None:
        """Nothing is under way."""


def choose(index: Document, wanted: Platform, exact: bool, subject: str) -> Descriptor:
    """The entry of an index that serves `wanted` best. Raises ImageError that lists the platforms there are."""
    entries: list[Descriptor] = [entry for entry in index.value["manifests"] if entry.get("platform")]
    offered = [platform.of(_object(entry["platform"])) for entry in entries]
    chosen = platform.choose(offered, wanted, exact)
    if chosen is not None:
        entry = entries[chosen]
    elif not entries and len(index.value["manifests"]) == 1:
        entry = index.value["manifests"][0]
    else:
        there = ", ".join(sorted({str(other) for other in offered if other.architecture != "unknown"})) or "none"
        raise ImageError(f"cannot {subject}: no image for platform {wanted}, only for: {there}")
    documents.check_descriptor(entry, subject)
    return entry


def _object(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def receive(
    roots: Roots,
    document: Document,
    source: Source,
    *,
    subject: str,
    index: Document | None = None,
    names: Sequence[str] = (),
    wanted: Platform | None = None,
    progress: Progress | None = None,
) -> ImageRecord:
    """Brings the image of a manifest into the store, durable, and gives it these full names.

    `index`: the index that the manifest was found in, so that the image is found by its digest too. `wanted`: the
    platform that the user named. `subject` begins the messages.
    Raises ImageError (DigestError), HostError, and what the source raises.
    """
    shown = progress or Progress()
    descriptors = documents.check_image(document, subject)
    arriving = _Arriving(roots, document, index, descriptors, source, subject, wanted, shown)
    lease = Lease(f"{roots.runroot}/locks/image-{arriving.image_id}")
    staging.sweep(roots)  # what a killed pull left
    try:
        with images.bring_in(roots):
            if not lease.acquire(wait=False):
                shown.note("waiting for another process that fetches this image")
                lease.acquire()
            arriving.fetch()
            arriving.enroll(names)
    except ImageError:
        # Content at fault is not worth keeping. Layers stay: which of them containers use is known above us.
        images.collect(roots, lambda: layers.list_ids(roots))
        raise
    except OSError as error:
        place = f": {error.filename}" if error.filename else ""
        raise HostError(f"cannot {subject}: {os.strerror(error.errno or 0)}{place}") from None
    finally:
        lease.release()
    shown.end(arriving.image_id)
    found = image_record.by_id(roots, arriving.image_id)
    if found is None:
        raise HostError(f"cannot {subject}: the image was removed as soon as it was there", "try again")
    return found


class _Arriving:
    """One image on its way."""

    def __init__(
        self,
        roots: Roots,
        document: Document,
        index: Document | None,
        descriptors: list[Descriptor],
        source: Source,
        subject: str,
        wanted: Platform | None,
        shown: Progress,
    ) -> None:
        self._roots = roots
        self._document = document
        self._index = index
        self._descriptors = descriptors
        self._source = source
        self._subject = subject
        self._wanted = wanted
        self._shown = shown
        self._chains: list[str] = []
        self._config: dict[str, Any] = {}
        self._stop = threading.Event()
        self._unpacks: dict[int, LayerUnpack] = {}
        self.image_id = document.value["config"]["digest"].partition(":")[2]

    def fetch(self) -> None:
        """Fetches and unpacks what is missing, and has it on disk afterwards."""
        self._shown.layers({entry["digest"]: entry["size"] for entry in self._descriptors})
        self._read_config()
        wanted = []
        for number, entry in enumerate(self._descriptors):
            if layers.exists(self._roots, self._chains[number]) and content.has(self._roots, entry["digest"]):
                self._shown.exists(entry["digest"])
            else:
                wanted.append(number)
        try:
            abreast.each(wanted, self._layer, self._end, _THREADS)
            self._shown.config(self.image_id)
            self._shown.storing()
            for document in (self._document, self._index):
                if document:
                    content.put(self._roots, document.body)
            layers.publish(self._roots, [self._unpacks[number] for number in sorted(self._unpacks)])
        except BaseException:
            for unpack in self._unpacks.values():
                unpack.abort()
            raise
        finally:
            self._unpacks.clear()

    def _read_config(self) -> None:
        descriptor = self._document.value["config"]
        if content.has(self._roots, descriptor["digest"]):
            body = content.read_document(self._roots, descriptor["digest"])
        else:
            body = self._source.small_blob(descriptor["digest"], descriptor["size"], image_spec.CONFIG_SIZE_MAX)
            content.put(self._roots, body)
        self._config = documents.read_config(body, len(self._descriptors), self._subject)
        self._check_platform()
        self._chains = layers.chain_ids(self._config["rootfs"]["diff_ids"])

    def _check_platform(self) -> None:
        """An image without an index tells in its config alone what it is for."""
        if self._index is not None or not self._config.get("architecture"):
            return
        actual = platform.of(self._config)
        if self._wanted is not None and platform.choose([actual], self._wanted, exact=True) is None:
            raise ImageError(f"cannot {self._subject}: the image is for {actual}, not for {self._wanted}")
        if self._wanted is None and platform.choose([actual], platform.host(), exact=False) is None:
            self._shown.note(f"the image is for {actual}, this host is {platform.host()}")

    def _end(self) -> None:
        """Has all threads end soon, those too that wait for the network."""
        self._stop.set()
        self._source.close()

    def _layer(self, number: int) -> None:
        """Brings one blob, unpacks it, or both."""
        digest, size = self._descriptors[number]["digest"], self._descriptors[number]["size"]
        unpack = None
        if not layers.exists(self._roots, self._chains[number]):
            below = self._chains[number - 1] if number else ""
            diff_id = self._config["rootfs"]["diff_ids"][number]
            unpack = layers.LayerUnpack(self._roots, self._chains[number], diff_id, below)
        try:
            with content.Ingest(self._roots, digest, size) as ingest:
                if not ingest.complete:
                    self._download(ingest, unpack)
                elif unpack:
                    layers.unpack_blob(unpack, content.blob_path(self._roots, digest))
            if unpack:
                unpack.finish()
                self._unpacks[number] = unpack
        except BaseException as error:
            if unpack:
                unpack.abort()
            if isinstance(error, (ImageError, HostError)) and not error.message.startswith(f"cannot {self._subject}"):
                error.message = f"cannot {self._subject}: {error.message}"
            raise
        self._shown.done(digest)

    def _download(self, ingest: content.Ingest, unpack: LayerUnpack | None) -> None:
        for piece in ingest.replay():
            self._check_stop()
            if unpack:
                unpack.write(piece)
        self._check_stop()
        self._shown.received(ingest.digest, ingest.offset)

        def write(piece: bytes) -> None:
            self._check_stop()
            ingest.write(piece)
            if unpack:
                unpack.write(piece)
            self._shown.received(ingest.digest, len(piece))

        assert ingest.size is not None
        self._source.blob(ingest.digest, ingest.size, write, ingest.offset)
        ingest.commit()

    def _check_stop(self) -> None:
        if self._stop.is_set():
            raise _Stopped

    def enroll(self, names: Sequence[str]) -> None:
        """Makes the image visible, durable."""
        record: ImageRecord = {
            "id": self.image_id,
            "digest": self._document.digest,
            "names": [],
            "config": self._config,
            "layers": self._chains,
            "size": layers.size(self._roots, self._chains),
            "created": str(self._config.get("created") or _GO_ZERO_TIME),
            "manifest": self._document.value,
        }
        images.enroll(self._roots, record, names, [self._index.digest] if self._index else [])


class _Stopped(Exception):
    """Another layer failed, or the user interrupted."""
