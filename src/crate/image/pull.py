"""Pulling an image: from its registry, or from this host for `crate.local/`.

A pull imports requests and starts threads, and their memory stays: whoever forks afterwards (the monitor of `run`)
does the pull in a child process and looks the image up when that has ended (crate.engine.pulling).
"""

from __future__ import annotations

from crate.errors import ImageError, NotFoundError, RegistryError, UsageError
from crate.image import arrival, embedded, local, transports
from crate.image.access import access
from crate.image.progress import Progress
from crate.image.trust import verification
from crate.image.wanted import fits, wanted_platform
from crate.oci import platform
from crate.oci import reference as references
from crate.oci.document import Document, read_document
from crate.storage import image_record, journal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from crate.oci.platform import Platform
    from crate.oci.reference import Reference
    from crate.registry.client import Client
    from crate.settings import Settings
    from crate.storage.image_record import ImageRecord
    from crate.storage.roots import Roots

POLICIES = ("always", "missing", "newer", "never")
_INDEX_DEPTH = 4


def ensure(
    roots: Roots,
    settings: Settings,
    text: str,
    policy: str,
    options: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
) -> ImageRecord:
    """The image that `text` means, by a pull policy: `missing` pulls what is not here, `newer` what has changed.

    With `newer` a local image is good enough when the registry cannot be reached. Raises NotFoundError with `never`,
    UsageError for another policy, and what `pull` raises.
    """
    if policy not in POLICIES:
        raise UsageError(f'unsupported pull policy "{policy}"', f"one of: {', '.join(POLICIES)}")
    name = transports.from_registry(text)
    if name is None:
        return transports.load_one(roots, text, options or {}, progress or Progress())
    text = name
    found = local.find_named(roots, text) or _find_by_alias(roots, text)
    is_id = found is not None and not found[1] and "@" not in text
    if is_id and policy == "always":
        raise UsageError(f"cannot pull {text}: it is the id of a local image", "pull by name")
    if found and fits(found[0], options) and (is_id or policy in ("missing", "never")):
        return found[0]
    if policy == "never":
        raise NotFoundError(f"{text}: image not known", f"crate pull {text}")
    if policy == "newer" and found:
        try:
            return pull(roots, settings, found[1] or text, {**(options or {}), "newer_than": found[0]}, progress)
        except RegistryError:
            return found[0]
    return pull(roots, settings, text, options, progress)


def pull(
    roots: Roots,
    settings: Settings,
    text: str,
    options: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
) -> ImageRecord:
    """Pulls `text`, as a user writes it, and gives the record of the image.

    `options`, all of which may be missing or None: `platform`, or `os`, `arch`, `variant`; `tls_verify`; `authfile`;
    `creds` (`user:password`); `cert_dir`; `newer_than`, a record that is given back when the registry has the same;
    `signature_policy`, a file instead of the one in force (crate.image.trust).
    A short name that is the end of a local image's name means that image's registry, as with podman.
    Raises UsageError, NotFoundError, RegistryError, ImageError, HostError.
    """
    given = dict(options or {})
    shown = progress or Progress()
    failures: list[RegistryError] = []
    for reference in _candidates(roots, text):
        try:
            return _pull_from(roots, settings, reference, given, shown)
        except RegistryError as error:
            failures.append(error)
    if len(failures) == 1:
        raise failures[0]
    told = "; ".join(error.message for error in failures)
    raise RegistryError(f"{len(failures)} errors occurred while pulling: {told}", failures[-1].hint)


def _pull_from(
    roots: Roots, settings: Settings, reference: Reference, options: Mapping[str, Any], shown: Progress
) -> ImageRecord:
    wanted = wanted_platform(options)
    if embedded.is_embedded(reference):
        return _assemble(roots, reference, wanted, shown)
    gate = verification.Gate(reference, options.get("signature_policy"))
    client = client_of(reference, settings, options)
    try:
        shown.begin(str(reference))
        return _pull(roots, client, reference, wanted, gate, options.get("newer_than"), shown)
    finally:
        client.close()


def pull_tags(
    roots: Roots,
    settings: Settings,
    text: str,
    options: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
) -> list[ImageRecord]:
    """Pulls every tag of a repository (`--all-tags`). As `pull` otherwise."""
    given = dict(options or {})
    reference = _candidates(roots, text)[0]
    if ":" in text.rpartition("/")[2] or reference.digest:
        raise UsageError(f"cannot pull all tags of {text}: it has a tag", "give the repository alone")
    client = client_of(reference, settings, given)
    try:
        tags = client.tags()
    finally:
        client.close()
    return [pull(roots, settings, f"{reference.name}:{tag}", given, progress) for tag in tags if references.is_tag(tag)]


def _find_by_alias(roots: Roots, text: str) -> tuple[ImageRecord, str] | None:
    """The local image that registries.conf has another name for."""
    candidates = _candidates(roots, text) if references.is_short(text) else []
    found = (local.find_named(roots, str(candidate)) for candidate in candidates)
    return next((one for one in found if one), None)


def _candidates(roots: Roots, text: str) -> list[Reference]:
    """What a name may mean, best first: several for a short one, if registries.conf names several registries."""
    if not references.is_short(text):
        return [references.parse(text)]
    found = local.find_named(roots, text)
    if found and found[1] and not found[1].startswith(f"{references.LOCAL_DOMAIN}/"):
        return [references.parse(found[1])]
    from crate.registry import registries_conf

    return registries_conf.load().candidates(text)


def client_of(reference: Reference, settings: Settings, options: Mapping[str, Any], verb: str = "pull") -> Client:
    """A client for the repository, as the options of the command line want it (see `pull`)."""
    from crate.registry.client import Client

    return Client(reference, settings, verb=verb, **access(options))


def _assemble(roots: Roots, reference: Reference, wanted: Platform | None, shown: Progress) -> ImageRecord:
    image = embedded.assemble(reference)
    document = read_document(image.manifest, image.manifest_digest, "", f"pull {reference}")
    names = [_stored_name(reference)]
    subject = f"pull {reference}"
    record = arrival.receive(roots, document, image, subject=subject, names=names, wanted=wanted, progress=shown)
    journal.record(roots, "image", "pull", record["id"], str(reference))
    return record


def _stored_name(reference: Reference) -> str:
    """The name that the image gets: of tag and digest the digest, which is what was asked for."""
    return f"{reference.name}@{reference.digest}" if reference.digest else str(reference)


def _pull(
    roots: Roots,
    client: Client,
    reference: Reference,
    wanted: Platform | None,
    gate: verification.Gate,
    known: ImageRecord | None,
    shown: Progress,
) -> ImageRecord:
    subject = f"pull {reference}"
    if known is not None and client.digest() in _known_digests(roots, known):
        return known
    document = client.manifest()
    index: Document | None = None
    for _ in range(_INDEX_DEPTH):
        if not document.is_index:
            break
        index = index or document
        entry = arrival.choose(document, wanted or platform.host(), wanted is not None, subject)
        document = client.manifest(entry["digest"])
    else:
        raise ImageError(f"cannot {subject}: its indexes are nested too deep")
    gate.check([document, *([index] if index else [])], client)
    record = arrival.receive(
        roots,
        document,
        client,
        subject=subject,
        index=index,
        names=[_stored_name(reference)],
        wanted=wanted,
        progress=shown,
    )
    journal.record(roots, "image", "pull", record["id"], str(reference))
    return record


def _known_digests(roots: Roots, record: ImageRecord) -> list[str]:
    return image_record.known_digests(roots, record["id"])
