"""`manifest inspect`: a list of the store, or what a registry has under a name; with docker's `--verbose` in full."""

from __future__ import annotations

from crate.errors import NotFoundError, UsageError
from crate.image.manifest import list as manifest_list
from crate.image.pull import client_of
from crate.oci import image_spec, json
from crate.oci import reference as references
from crate.storage import content, manifest_lists

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from crate.oci.document import Document
    from crate.registry.client import Client
    from crate.settings import Settings
    from crate.storage.roots import Roots

_MANIFEST_WORDS = {image_spec.DOCKER_MANIFEST: "SchemaV2Manifest", image_spec.OCI_MANIFEST: "OCIManifest"}


def show(roots: Roots, settings: Settings, text: str, of_list: str | None, options: Mapping[str, Any]) -> Any:
    """The JSON. `of_list`: the list that `text`, a digest, is an entry of. `options`: `verbose`, and those of pull.

    Raises NotFoundError, RegistryError.
    """
    found = manifest_list.find(roots, of_list or text)
    if of_list and found is None:
        raise NotFoundError(f"{of_list}: no such manifest list")
    if found is not None:
        entries = found["index"]["manifests"]
        if of_list:
            entries = [entry for entry in entries if entry["digest"] == text.rpartition("@")[2]]
            if not entries:
                raise NotFoundError(f"{text}: no image of the manifest list {of_list}")
        if not options.get("verbose"):
            return entries[0] if of_list else found["index"]
        name = next(iter(manifest_lists.names(roots, found["id"])), found["id"])
        return [_described(name, entry, _own_manifest(roots, str(entry["digest"]))) for entry in entries]
    if of_list is None and len(text) == 64 and not text.strip("0123456789abcdef"):
        raise NotFoundError(f"{text[:12]}: no such manifest list")
    try:
        reference = references.parse(text.removeprefix("docker://"))
    except UsageError as error:
        raise NotFoundError(f"{text}: no such manifest list", error.message) from None
    client = client_of(reference, settings, options, verb="inspect")
    try:
        document = client.manifest()
        if not options.get("verbose"):
            return document.value
        return _verbose(client, document, str(reference))
    finally:
        client.close()


def _verbose(client: Client, document: Document, name: str) -> Any:
    if not document.is_index:
        one = {"mediaType": document.media_type, "digest": document.digest, "size": len(document.body)}
        return _described(name, one, document.value)
    return [
        _described(name, entry, client.manifest(str(entry["digest"])).value) for entry in document.value["manifests"]
    ]


def _described(name: str, entry: dict[str, Any], manifest: dict[str, Any] | None) -> dict[str, Any]:
    """An entry in docker's form."""
    found: dict[str, Any] = {"Ref": f"{name}@{entry['digest']}", "Descriptor": entry}
    if manifest is not None:
        found[_MANIFEST_WORDS.get(str(manifest.get("mediaType")), "OCIManifest")] = manifest
    return found


def _own_manifest(roots: Roots, digest: str) -> dict[str, Any] | None:
    if not content.has(roots, digest):
        return None
    value: dict[str, Any] = json.loads(content.read_document(roots, digest))
    return value
