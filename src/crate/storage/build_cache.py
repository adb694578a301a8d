"""The cache of builds: what each step made, found by a key that stands for all that went into it.

    cache/build/steps/<key>.json      {"version", "key", "layer", "diff_id", "descriptor", "created", "size", "text", …}
    cache/build/mounts/<id>/          a directory of RUN --mount=type=cache: `data`, and `mount.json` that names it

`layer` is a chain id, "" for a step that changed no file. A file's time of modification is that of its last use. What
names a layer here keeps it in the store, as images do; what is removed here is collected with the next removal there.
"""

from __future__ import annotations

import os
import time

from crate.oci import json
from crate.storage.durable import read_file, write_file
from crate.storage.lock import Lease, Lock

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Any

    from crate.storage.roots import Roots

VERSION = 1
_HEX = "0123456789abcdef"


def find(roots: Roots, key: str) -> dict[str, Any] | None:
    """The record of a step, which counts as used now; None where there is none."""
    path = _path(roots, key)
    record = _read(path)
    if record:
        try:
            os.utime(path)
        except OSError:
            pass  # removed at this moment: what it named is here as long as the caller's lease
    return record


def put(roots: Roots, key: str, record: dict[str, Any]) -> None:
    """Keeps the record of a step, whose layer is in the store."""
    path = _path(roots, key)
    text = json.dumps({"version": VERSION, "key": key, **record})
    try:
        write_file(None, path, text, durable=False)
    except FileNotFoundError:
        os.makedirs(os.path.dirname(path), 0o700, exist_ok=True)
        write_file(None, path, text, durable=False)


def list_all(roots: Roots) -> list[dict[str, Any]]:
    """All records, with `last_used` (seconds since the epoch), in no order."""
    directory = f"{roots.graphroot}/cache/build/steps"
    found = []
    for name in _names(directory):
        if len(name) == 69 and not name[:64].strip(_HEX):
            path = f"{directory}/{name}"
            record = _read(path)
            if record:
                try:
                    found.append({**record, "last_used": os.stat(path).st_mtime})
                except FileNotFoundError:
                    pass
    return found


def last_uses(records: Iterable[dict[str, Any]]) -> dict[str, float]:
    """When each layer was of use last (seconds since the epoch): later than all that stands on it.

    Without those below nothing above is found again, so what is removed by last use goes from the top. The top layers
    of base images are among them.
    """
    found: dict[str, float] = {}
    below: dict[str, str] = {}
    for record in records:
        layer = record["layer"]
        found[layer] = max(found.get(layer, 0.0), record["last_used"])
        below[layer] = record["parent"]
    for layer, used in sorted(found.items(), key=lambda item: item[1]):
        under = below[layer]
        while under:
            used += 1e-6
            if found.get(under, 0.0) >= used:
                break
            found[under] = used
            under = below.get(under, "")
    return found


def remove(roots: Roots, key: str) -> None:
    """Forgets a step; its layer goes when it is collected."""
    try:
        os.unlink(_path(roots, key))
    except FileNotFoundError:
        pass


def layers(roots: Roots) -> tuple[set[str], set[str]]:
    """The chain ids of layers that the cache needs, and the digests of their blobs."""
    records = list_all(roots)
    blobs = {str(record["descriptor"]["digest"]) for record in records if record.get("descriptor")}
    return {record["layer"] for record in records if record["layer"]}, blobs


class Turn:
    """The turn to make one step, of all processes that want the same one: for `with`. Its file goes with it."""

    def __init__(self, roots: Roots, key: str) -> None:
        self._lease = Lease(f"{roots.runroot}/leases/build-{key}")

    def __enter__(self) -> Turn:
        while True:
            try:
                self._lease.acquire()
            except FileNotFoundError:
                continue  # whoever had it took the file away: a new one
            return self

    def __exit__(self, *exception: object) -> None:
        os.unlink(self._lease.path)  # who waits looks whether what it got is still there
        self._lease.release()


def mounts(roots: Roots) -> Iterator[tuple[str, dict[str, Any], float]]:
    """(directory, {"id", …}, last use in seconds since the epoch) of each directory of RUN --mount=type=cache."""
    parent = f"{roots.graphroot}/cache/build/mounts"
    for name in _names(parent):
        directory = f"{parent}/{name}"
        try:
            used = os.stat(f"{directory}/mount.json").st_mtime
            yield directory, json.loads(read_file(f"{directory}/mount.json")), used
        except (OSError, ValueError):
            continue


def remove_mount(roots: Roots, directory: str) -> None:
    """Removes a directory of RUN --mount=type=cache. StateError while a build uses it."""
    from crate.errors import StateError
    from crate.storage.trash import throw

    lock = Lock(directory)
    try:
        if not lock.acquire(wait=False):
            raise StateError(f"a build uses the cache directory {os.path.basename(directory)}")
        throw(roots, directory)
    except FileNotFoundError:
        pass
    finally:
        lock.release()


def open_mount(
    roots: Roots, name: str, facts: dict[str, Any], *, exclusive: bool, wait: bool
) -> tuple[str, Lock] | None:
    """A cache directory, made where it is missing, with the lock that keeps it; None where it is taken.

    The caller releases the lock. `data` in it is missing until the caller makes it.
    """
    directory = f"{roots.graphroot}/cache/build/mounts/{name}"
    lock = Lock(directory, shared=not exclusive)
    while lock.fd < 0:
        os.makedirs(directory, 0o700, exist_ok=True)
        try:
            if not lock.acquire(wait=wait):
                return None
        except FileNotFoundError:
            continue  # it was removed at this moment
    if not os.access(f"{directory}/mount.json", os.F_OK):
        write_file(None, f"{directory}/mount.json", json.dumps({"version": VERSION, **facts}), durable=False)
    os.utime(f"{directory}/mount.json", (time.time(),) * 2)
    return directory, lock


def _path(roots: Roots, key: str) -> str:
    return f"{roots.graphroot}/cache/build/steps/{key}.json"


def _names(directory: str) -> list[str]:
    try:
        return os.listdir(directory)
    except FileNotFoundError:
        return []


def _read(path: str) -> dict[str, Any] | None:
    try:
        record: dict[str, Any] = json.loads(read_file(path))
    except (OSError, ValueError):
        return None  # never there, or lost in a power cut
    return record if record.get("version") == VERSION else None
