"""Pods on disk: one directory a pod with one record; what it means is the engine's matter.

    <graphroot>/pods/<id>/pod.json

A pod is there while its directory is: it comes by one rename, and goes to the trash by one. What state it is in is
nowhere written: its containers tell. Names are decided under the lock of `pods`: there are few pods.
"""

from __future__ import annotations

import os

from crate.errors import NameInUseError, NotFoundError, StateError, UsageError
from crate.oci import json
from crate.storage import staging
from crate.storage.durable import read_file, sync_directory, write_file
from crate.storage.lock import Lock

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from crate.storage.roots import Roots

VERSION = 1
_RECORD = "pod.json"
_HEX = "0123456789abcdef"
_ALNUM = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"


def check_name(name: str) -> None:
    """Raises UsageError unless podman would take this as a pod's name."""
    if not name or len(name) > 255 or name[0] not in _ALNUM or name.strip(_ALNUM + "_.-"):
        raise UsageError(f'invalid pod name "{name}"', "a-z A-Z 0-9 _ . - beginning with a letter or digit")


def create(roots: Roots, record: Mapping[str, Any]) -> None:
    """Makes the pod of a record (`version`, `id`, `name` …) visible, on disk when this returns. NameInUseError."""
    check_name(record["name"])
    directory = f"{roots.graphroot}/pods"
    try:
        os.mkdir(directory, 0o700)
    except FileExistsError:
        pass
    stage = staging.make(roots, record["id"])
    try:
        write_file(None, f"{stage}/{_RECORD}", json.dumps(record), durable=True)
        with Lock(directory):
            if any(known["name"] == record["name"] for known in listing(roots)):
                raise NameInUseError(f'adding pod to state: name "{record["name"]}" is in use: pod already exists')
            os.rename(stage, f"{directory}/{record['id']}")
    except BaseException:
        from crate.storage.trash import remove_tree

        remove_tree(os.path.dirname(stage), os.path.basename(stage))
        raise
    sync_directory(directory)


def replace(roots: Roots, record: Mapping[str, Any]) -> None:
    """Writes a changed record. FileNotFoundError when the pod was removed."""
    write_file(None, f"{roots.graphroot}/pods/{record['id']}/{_RECORD}", json.dumps(record), durable=True)


def read(roots: Roots, pod_id: str) -> dict[str, Any] | None:
    """The record of a full id; None when the pod is gone. StateError when it is damaged, or of a newer crate."""
    path = f"{roots.graphroot}/pods/{pod_id}/{_RECORD}"
    try:
        text = read_file(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    try:
        record = json.loads(text)
    except ValueError:
        record = None
    if not isinstance(record, dict):
        raise StateError(f"cannot read {path}: it is damaged", f"remove {os.path.dirname(path)}")
    if record["version"] != VERSION:
        raise StateError(f"cannot use {path}: its version is {record['version']}", "use the newer crate that made it")
    return record


def listing(roots: Roots) -> list[dict[str, Any]]:
    """The records of all pods, newest first."""
    try:
        names = os.listdir(f"{roots.graphroot}/pods")
    except FileNotFoundError:
        return []
    found = [record for name in names if (record := read(roots, name))]
    return sorted(found, key=lambda record: record["created"], reverse=True)


def find(roots: Roots, text: str) -> dict[str, Any]:
    """The record of the pod that a name, an id or the beginning of one id means. NotFoundError, UsageError."""
    known = listing(roots)
    found = [record for record in known if text in (record["id"], record["name"])]
    if not found and text and not text.strip(_HEX):
        found = [record for record in known if record["id"].startswith(text)]
    if not found:
        raise NotFoundError(f"no pod with name or ID {text} found: no such pod")
    if len(found) > 1:
        shown = ", ".join(sorted(record["id"][:12] for record in found))
        raise UsageError(f"more than one pod id begins with {text}: {shown}", "give more of the id")
    return found[0]


def release(roots: Roots, pod_id: str) -> None:
    """Takes the pod away, in one step; a pod that is gone is no error."""
    try:
        os.rename(f"{roots.graphroot}/pods/{pod_id}", f"{roots.graphroot}/trash/{pod_id}.{os.urandom(4).hex()}")
    except FileNotFoundError:
        pass
