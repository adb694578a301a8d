"""The journal of events: one JSON object a line, appended by whoever does something; engine/events.py reads it.

    <graphroot>/events/journal      the current part
    <graphroot>/events/journal.1    the one before it

An event must not cost: one open, one write(2) to the end of the file (O_APPEND: lines do not mix), one close, without a
lock. It must not fail a command either: a full disk loses events. Hot.
"""

from __future__ import annotations

import os
import time

from crate.oci import json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from crate.storage.roots import Roots

DIRECTORY = "events"
NAME = "journal"
#: when the current part is larger than this, it becomes the older one
MAX_BYTES = 1 << 20
_FLAGS = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW


def record(
    roots: Roots,
    kind: str,
    action: str,
    object_id: str = "",
    name: str = "",
    *,
    image: str = "",
    attributes: Mapping[str, str] | None = None,
    **more: Any,
) -> None:
    """Tells that something was done, after it was. Never fails.

    `kind`: container, image, volume, network, pod, system; `action` in podman's words: create, start, died, remove …;
    `image`: the name of a container's image; `attributes`: labels, and what docker tells beside them. `more` are fields
    of certain events: exit_code (died, exec_died), health_status, pod_id, network.
    """
    fields = {"time": time.time_ns(), "type": kind, "action": action, "id": object_id, "name": name, **more}
    if image:
        fields["image"] = image
    if attributes:
        fields["attributes"] = attributes
    try:
        _append(f"{roots.graphroot}/{DIRECTORY}", json.dumps(fields).encode("utf-8", "surrogateescape") + b"\n")
    except OSError:
        pass  # a full disk, a store that is being removed: what was done is done


def of_container(roots: Roots, action: str, container: Mapping[str, Any], **more: Any) -> None:
    """The same for a container, of which the record is given."""
    pod = container["options"].get("pod_id")
    if pod:
        more["pod_id"] = pod
    image, labels = container["image_name"], container["labels"]
    record(roots, "container", action, container["id"], container["name"], image=image, attributes=labels, **more)


def _append(directory: str, line: bytes) -> None:
    path = f"{directory}/{NAME}"
    try:
        fd = os.open(path, _FLAGS, 0o600)
    except FileNotFoundError:
        os.makedirs(directory, 0o700, exist_ok=True)
        fd = os.open(path, _FLAGS, 0o600)
    try:
        os.write(fd, line)
        if os.fstat(fd).st_size > MAX_BYTES:
            _rotate(directory, fd)
    finally:
        os.close(fd)


def _rotate(directory: str, fd: int) -> None:
    """Begins a new part, unless another process does so or has done it."""
    from crate.storage.lock import Lock

    with Lock(directory):
        if os.stat(f"{directory}/{NAME}").st_ino == os.fstat(fd).st_ino:
            os.rename(f"{directory}/{NAME}", f"{directory}/{NAME}.1")
