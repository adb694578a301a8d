"""Pushing images: to their registry, or to a directory or archive of this host.

    thread of a layer:  compressed if need be (once, kept) ── HEAD · mount · upload
    other threads:      config, and what the destination's name stands for now
    caller:             manifest, unless it is that

Nothing is visible at the destination before the manifest, which comes last.
"""

from __future__ import annotations

import os
import threading
from functools import partial

from crate.errors import NotFoundError, UsageError
from crate.image import abreast, departures, local, wanted
from crate.image.access import access
from crate.image.outgoing import Outgoing, packing
from crate.image.progress import Progress
from crate.oci import reference as references
from crate.storage import content, image_record, images, journal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any, Protocol

    from crate.oci.document import Document
    from crate.oci.reference import Reference
    from crate.registry.upload import Uploader
    from crate.settings import Settings
    from crate.storage.image_record import ImageRecord
    from crate.storage.roots import Roots

    class Departure(Protocol):
        """Where an image goes."""

        def look(self) -> None:
            """Learns what is there under the name; `finish` needs not do what is done."""

        def blob(self, stored: str, digest: str, size: int, progress: Progress) -> None:
            """Brings a blob there, and says so; `stored`: what it is called in the store and in the progress."""

        def finish(self, document: Document) -> None:
            """All blobs are there: the manifest."""

        def close(self) -> None:
            """Ends whatever is under way in other threads."""


_THREADS = 5  # as many as docker uploads at a time


def push(
    roots: Roots,
    settings: Settings,
    image: str,
    destination: str | None = None,
    options: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
) -> Document:
    """Pushes a local image to where its name says, or to `destination`, and gives the manifest that it has there.

    `options`, all of which may be missing or None: `platform`; `tls_verify`, `authfile`, `creds`, `cert_dir` as for
    pull; `compression_format`, `compression_level`, `force_compression`, `format` (crate.image.outgoing); `compress`
    (for a directory); `retry`, how often a failed request is sent again, and `retry_delay` in seconds before it.
    Raises UsageError, NotFoundError, RegistryError, ImageError, OSError.
    """
    given = dict(options or {})
    shown = progress or Progress()
    record, name = _find(roots, image)
    wanted.check(roots, image, given)
    where = departures.parse(destination or _own_name(record, name))
    how = packing(given, plain=where.is_local and not given.get("compress"))
    with images.bring_in(roots):
        outgoing = Outgoing(roots, record, how)
        if where.is_local:
            departure: Departure = where.open(roots, record)
        else:
            departure = Repository(roots, where.reference, uploader_of(where.reference, settings, given), record)
        try:
            document = send(outgoing, departure, shown)
        finally:
            departure.close()
    if not where.is_local:
        images.note_digest(roots, record["id"], document.body)
    journal.record(roots, "image", "push", record["id"], destination or name)
    return document


def repository_names(roots: Roots, text: str) -> list[str]:
    """The names of the local images of a repository (`--all-tags`). UsageError, NotFoundError where there is none."""
    reference = references.parse(text)
    if ":" in text.rpartition("/")[2] or reference.digest:
        raise UsageError(f"cannot push all tags of {text}: it has a tag", "give the repository alone")
    repositories = {references.parse(candidate).name for candidate in references.local_candidates(text)}
    names = {name for record in image_record.list_all(roots) for name in record["names"] if "@" not in name}
    found = sorted(name for name in names if references.parse(name).name in repositories)
    if not found:
        raise NotFoundError(f"{text}: no local image of this repository", "see the local ones with: crate images")
    return found


def _find(roots: Roots, text: str) -> tuple[ImageRecord, str]:
    found = local.find_named(roots, text)
    if found is None:
        raise NotFoundError(f"{text}: image not known", "see the local ones with: crate images")
    return found


def _own_name(record: ImageRecord, name: str) -> str:
    names = [name] if name else [one for one in record["names"] if "@" not in one]
    if len(names) != 1:
        raise UsageError(f"cannot push {record['id'][:12]}: which name?", "give a destination: crate push IMAGE NAME")
    return names[0]


def uploader_of(reference: Reference, settings: Settings, options: Mapping[str, Any]) -> Uploader:
    """What uploads to a repository, as the options of the command line want it (see `push`)."""
    from crate.registry.upload import Uploader

    return Uploader(reference, settings, **access(options))


def send(outgoing: Outgoing, departure: Departure, shown: Progress) -> Document:
    """Brings an image to where it goes, and gives the manifest that it has there."""
    stop = threading.Event()

    def passed(digest: str, count: int) -> None:
        if stop.is_set():
            raise _Stopped
        shown.received(digest, count)

    def end() -> None:
        stop.set()
        departure.close()

    def config() -> None:
        departure.blob("", outgoing.config["digest"], outgoing.config["size"], Progress())

    def layer(number: int) -> None:
        stored = outgoing.layers[number]["digest"]
        digest, size = outgoing.pack(number, lambda count: passed(stored, count))
        shown.resize(stored, size)
        departure.blob(stored, digest, size, shown)

    shown.layers({entry["digest"]: entry["size"] for entry in outgoing.layers})
    # A layer may lie in an image more than once: the empty one often does.
    numbers = list({entry["digest"]: number for number, entry in enumerate(outgoing.layers)}.values())
    tasks: list[Callable[[], object]] = [partial(layer, number) for number in sorted(numbers)]
    tasks += [config, departure.look]
    abreast.each(tasks, lambda task: task(), end, _THREADS)
    for number in set(range(len(outgoing.layers))) - set(numbers):
        outgoing.pack(number, lambda _: None)
    shown.config(outgoing.config["digest"].partition(":")[2])
    document = outgoing.manifest()
    shown.storing()
    departure.finish(document)
    return document


class Repository:
    """A repository of a registry. With `untagged` the manifest is stored under its digest alone."""

    def __init__(
        self, roots: Roots, reference: Reference, uploader: Uploader, record: ImageRecord, untagged: bool = False
    ) -> None:
        self._roots = roots
        self._reference = reference
        self._uploader = uploader
        self._untagged = untagged
        self._elsewhere = _repositories_by_layer(roots, reference, record)
        self._there = ""

    def look(self) -> None:
        if not self._untagged:
            self._there = self._uploader.manifest_digest(self._reference.selector)

    def blob(self, stored: str, digest: str, size: int, progress: Progress) -> None:
        fd = content.open_blob(self._roots, digest)
        try:
            how = self._uploader.blob(
                digest,
                size,
                fd,
                elsewhere=self._elsewhere.get(stored, ()),
                sent=lambda count: progress.received(stored, count),
            )
        finally:
            os.close(fd)
        if how == "sent":
            progress.done(stored)
        else:
            progress.exists(stored)

    def finish(self, document: Document) -> None:
        if not self._untagged and self._reference.digest and self._reference.digest != document.digest:
            raise UsageError(
                f"cannot push {self._reference}: the manifest has the digest {document.digest}", "give a tag instead"
            )
        if self._there == document.digest:
            return
        selector = document.digest if self._untagged else self._reference.selector
        self._uploader.manifest(selector, document.body, document.media_type, document.digest)

    def close(self) -> None:
        self._uploader.close()


def _repositories_by_layer(roots: Roots, target: Reference, record: ImageRecord) -> dict[str, list[str]]:
    """Other repositories of the same registry that, by the names of local images, may have the layers of this one."""
    found: dict[str, list[str]] = {layer["digest"]: [] for layer in record["manifest"].get("layers") or ()}
    for other in image_record.list_all(roots):
        paths = [name.path for name in map(references.parse, other["names"]) if name.domain == target.domain]
        for layer in other["manifest"].get("layers") or () if paths else ():
            if layer["digest"] in found:
                found[layer["digest"]] += paths
    return found


class _Stopped(Exception):
    """Another layer failed, or the user interrupted."""
