"""`manifest`: lists of images for several platforms, made entry by entry of what is here and in registries."""

from __future__ import annotations

from crate.errors import ImageError, NotFoundError, UsageError
from crate.image import local
from crate.image.manifest.list import find, get
from crate.image.pull import client_of
from crate.image.wanted import wanted_platform
from crate.oci import image_spec, platform
from crate.oci import reference as references
from crate.oci.document import check_descriptor, read_object
from crate.storage import content, image_record, journal, manifest_lists

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from crate.oci.document import Document
    from crate.oci.platform import Platform
    from crate.registry.client import Client
    from crate.settings import Settings
    from crate.storage.image_record import ImageRecord
    from crate.storage.manifest_lists import ManifestList
    from crate.storage.roots import Roots

    #: a descriptor of an index, and the repository that it came from, "" for the store
    Entry = tuple[dict[str, Any], str]

_OTHER_TRANSPORTS = ("dir", "oci", "oci-archive", "docker-archive", "docker-daemon")


def create(
    roots: Roots, settings: Settings, name: str, images: Sequence[str], options: Mapping[str, Any]
) -> ManifestList:
    """Makes a list of these images. `options`: `all`, `amend` (one that is there is added to), and those of `add`.

    Raises NameInUseError, and what `add` raises: no list is made then.
    """
    full = str(references.parse_local(name))
    entries = [entry for image in images for entry in _entries(roots, settings, image, options)]
    found = find(roots, name) if options.get("amend") else None
    if found is None:
        index = {"schemaVersion": 2, "mediaType": image_spec.OCI_INDEX, "manifests": []}
        found = manifest_lists.create(roots, full, index)
        journal.record(roots, "image", "build", found["id"], full)
    return manifest_lists.change(roots, found["id"], lambda one: _put_all(one, entries))


def add(roots: Roots, settings: Settings, text: str, image: str, options: Mapping[str, Any]) -> ManifestList:
    """Adds an image, of the store or of a registry (first the one, then the other, unless it says `docker://`).

    `options`, all of which may be missing: `all` (every image of an index, not the one for this host); `os`, `arch`,
    `variant`, `os_version`, `features`, `annotation` (told of the entry); those of pull for the registry.
    """
    found = get(roots, text)
    entries = _entries(roots, settings, image, options)
    for descriptor, _ in entries:
        _annotate(descriptor, options)
    return manifest_lists.change(roots, found["id"], lambda one: _put_all(one, entries))


def annotate(roots: Roots, text: str, image: str, options: Mapping[str, Any]) -> ManifestList:
    """Changes what a list tells of an entry, by its digest or a name of its image; options as of `add`."""

    def act(one: ManifestList) -> None:
        _annotate(_entry(roots, one, image, text), options)

    return manifest_lists.change(roots, get(roots, text)["id"], act)


def take_out(roots: Roots, text: str, image: str) -> ManifestList:
    """Takes an entry out of a list: `manifest remove`."""

    def act(one: ManifestList) -> None:
        one["index"]["manifests"].remove(_entry(roots, one, image, text))

    return manifest_lists.change(roots, get(roots, text)["id"], act)


def _entry(roots: Roots, found: ManifestList, image: str, text: str) -> dict[str, Any]:
    wanted = {image if image.startswith("sha256:") else image.rpartition("@")[2]}
    record = local.find(roots, image) if not image.startswith("sha256:") else None
    if record:
        wanted |= {record["digest"], *image_record.known_digests(roots, record["id"])}
    for entry in found["index"]["manifests"]:
        if entry["digest"] in wanted:
            found_entry: dict[str, Any] = entry
            return found_entry
    raise NotFoundError(f"{image}: no image of the manifest list {text}", f"see: crate manifest inspect {text}")


def _entries(roots: Roots, settings: Settings, image: str, options: Mapping[str, Any]) -> list[Entry]:
    transport = image.partition(":")[0]
    if transport in _OTHER_TRANSPORTS and "/" not in transport and not image.startswith("docker://"):
        raise UsageError(f"cannot add {image}: {transport} is not supported", "load it first: crate load")
    if not image.startswith("docker://"):
        own = image.removeprefix("containers-storage:")
        listed = find(roots, own)
        if listed:
            return _of_list(roots, listed, options)
        record = local.find(roots, own)
        if record:
            return [(_of_record(roots, record), "")]
    return _of_registry(settings, image.removeprefix("docker://"), options)


def _of_record(roots: Roots, record: ImageRecord) -> dict[str, Any]:
    kind = record["manifest"].get("mediaType") or image_spec.OCI_MANIFEST
    size = len(content.read_document(roots, record["digest"]))
    return {
        "mediaType": kind,
        "digest": record["digest"],
        "size": size,
        "platform": _platform(platform.of(record["config"])),
    }


def _of_list(roots: Roots, listed: ManifestList, options: Mapping[str, Any]) -> list[Entry]:
    entries = [dict(entry) for entry in listed["index"]["manifests"]]
    if not options.get("all"):
        entries = [_chosen(entries, options, "add from the list")]
    return [(entry, listed["sources"].get(entry["digest"], "")) for entry in entries]


def _of_registry(settings: Settings, text: str, options: Mapping[str, Any]) -> list[Entry]:
    parsed = references.parse(text)
    client = client_of(parsed, settings, options, verb="add")
    try:
        document = client.manifest()
        if not document.is_index:
            return [(_of_document(client, document), parsed.name)]
        entries = [dict(entry) for entry in document.value["manifests"]]
        for entry in entries:
            check_descriptor(entry, f"add {parsed}")
        if not options.get("all"):
            entries = [_chosen(entries, options, f"add {parsed}")]
        return [(entry, parsed.name) for entry in entries]
    finally:
        client.close()


def _of_document(client: Client, document: Document) -> dict[str, Any]:
    subject = f"add {client.reference}"
    check_descriptor(document.value["config"], subject)
    config = document.value["config"]
    body = client.small_blob(config["digest"], config["size"], image_spec.CONFIG_SIZE_MAX)
    own = platform.of(read_object(body) or {})
    return {
        "mediaType": document.media_type,
        "digest": document.digest,
        "size": len(document.body),
        "platform": _platform(own),
    }


def _chosen(entries: list[dict[str, Any]], options: Mapping[str, Any], subject: str) -> dict[str, Any]:
    wanted = wanted_platform({key: options.get(key) for key in ("os", "arch", "variant")})
    known = [entry for entry in entries if isinstance(entry.get("platform"), dict)]
    offered = [platform.of(entry["platform"]) for entry in known]
    place = platform.choose(offered, wanted or platform.host(), exact=wanted is not None)
    if place is None:
        there = ", ".join(sorted({str(one) for one in offered})) or "none"
        raise ImageError(f"cannot {subject}: no image for platform {wanted or platform.host()}, only for: {there}")
    return known[place]


def _platform(own: Platform) -> dict[str, Any]:
    found: dict[str, Any] = {"architecture": own.architecture, "os": own.os}
    return {**found, "variant": own.variant} if own.variant else found


def _put_all(found: ManifestList, entries: Sequence[Entry]) -> None:
    for descriptor, source in entries:
        digest = str(descriptor["digest"])
        others = [entry for entry in found["index"]["manifests"] if entry["digest"] != digest]
        found["index"]["manifests"] = [*others, descriptor]
        if source:
            found["sources"][digest] = source


def _annotate(descriptor: dict[str, Any], options: Mapping[str, Any]) -> None:
    told: dict[str, Any] = dict(descriptor.get("platform") or {})
    words = {"arch": "architecture", "os": "os", "variant": "variant", "os_version": "os.version"}
    told |= {key: options[word] for word, key in words.items() if options.get(word)}
    lists = {"features": "features", "os_features": "os.features"}
    told |= {key: list(options[word]) for word, key in lists.items() if options.get(word)}
    if told:
        descriptor["platform"] = told
    for text in options.get("annotation") or ():
        key, equals, value = text.partition("=")
        if not equals or not key:
            raise UsageError(f'no value given for annotation "{text}"', "--annotation KEY=VALUE")
        descriptor.setdefault("annotations", {})[key] = value
