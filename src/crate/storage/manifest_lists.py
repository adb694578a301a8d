"""Manifest lists made here: an index that grows entry by entry, under an id that stays.

    images/lists/<id>.json      {"version", "id", "created", "index", "sources"}
    images/references/<name>    -> ../lists/<id>     so a name is a list's or an image's, never both's

What is pushed is `index`; the blobs of its entries that are in the store are kept as long as the list.
"""

from __future__ import annotations

import os
import time

from crate.errors import NameInUseError, NotFoundError
from crate.oci import digest as digests
from crate.oci import json
from crate.storage import content, reference
from crate.storage.durable import read_file, write_file
from crate.storage.lock import Lock

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, TypedDict

    from crate.storage.roots import Roots

    class ManifestList(TypedDict):
        """`index`: an OCI index or docker's list. `sources`: digest -> the repository that an entry not here is in."""

        version: int
        id: str
        created: str
        index: dict[str, Any]
        sources: dict[str, str]


def create(roots: Roots, name: str, index: dict[str, Any]) -> ManifestList:
    """Makes a list of this full name. Raises NameInUseError where an image or a list has it."""
    found: ManifestList = {
        "version": 1,
        "id": os.urandom(32).hex(),
        "created": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "index": index,
        "sources": {},
    }
    content.prepare(roots)
    with Lock(f"{roots.graphroot}/images"):
        if reference.resolve(roots, name):
            raise NameInUseError(f"that name is already in use: {name}", "take another name, or --amend")
        _write(roots, found)
        reference.put(roots, name, f"{reference.LIST}{found['id']}")
    return found


def read(roots: Roots, list_id: str) -> ManifestList:
    """Raises NotFoundError, also for one that is damaged."""
    try:
        found: ManifestList = json.loads(read_file(_path(roots, list_id)))
    except (FileNotFoundError, ValueError):
        raise NotFoundError(f"{list_id[:12]}: no such manifest list") from None
    return found


def list_ids(roots: Roots) -> list[str]:
    """The ids of all lists, in no order."""
    try:
        names = os.listdir(f"{roots.graphroot}/images/lists")
    except FileNotFoundError:
        return []
    return [name[:-5] for name in names if len(name) == 69 and name.endswith(".json")]


def list_all(roots: Roots) -> list[ManifestList]:
    """All lists, the oldest first."""
    found = []
    for list_id in list_ids(roots):
        try:
            found.append(read(roots, list_id))
        except NotFoundError:
            pass  # removed while we look
    return sorted(found, key=lambda one: (one["created"], one["id"]))


def names(roots: Roots, list_id: str) -> list[str]:
    """The references that stand for a list, sorted."""
    wanted = f"{reference.LIST}{list_id}"
    return [name for name, digest in reference.list_all(roots).items() if digest == wanted]


def change(roots: Roots, list_id: str, act: Callable[[ManifestList], object]) -> ManifestList:
    """Has `act` change a list while nobody else does; what it raises leaves the list as it was. NotFoundError."""
    with Lock(f"{roots.graphroot}/images"):
        found = read(roots, list_id)
        act(found)
        _write(roots, found)
    return found


def remove(roots: Roots, list_id: str) -> list[str]:
    """Removes a list with its names, and gives those. NotFoundError."""
    with Lock(f"{roots.graphroot}/images"):
        gone = names(roots, list_id)
        for name in gone:
            reference.remove(roots, name)
        try:
            os.unlink(_path(roots, list_id))
        except FileNotFoundError:
            raise NotFoundError(f"{list_id[:12]}: no such manifest list") from None
        reference.write_index(roots)
    return gone


def body(found: ManifestList) -> bytes:
    """The bytes of the index, which its digest is of."""
    return json.dumps(found["index"]).encode()


def kept_blobs(roots: Roots) -> set[str]:
    """The digests of what the entries of all lists have in the store: manifests, configs, layers."""
    kept: set[str] = set()
    for found in list_all(roots):
        for entry in found["index"]["manifests"]:
            digest = str(entry["digest"])
            if digests.is_digest(digest) and content.has(roots, digest):
                manifest = json.loads(read_file(content.blob_path(roots, digest)))
                kept |= {digest, str(manifest.get("config", {}).get("digest"))}
                kept |= {str(layer["digest"]) for layer in manifest.get("layers") or ()}
    return kept


def _write(roots: Roots, found: ManifestList) -> None:
    try:
        os.mkdir(f"{roots.graphroot}/images/lists", 0o700)
    except FileExistsError:
        pass
    write_file(None, _path(roots, found["id"]), json.dumps(found), durable=True)


def _path(roots: Roots, list_id: str) -> str:
    return f"{roots.graphroot}/images/lists/{list_id}.json"
