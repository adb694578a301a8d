"""Volumes: directories that outlive containers, named or anonymous, first filled from the image.

    volumes/<name>/_data         the files
    volumes/<name>/volume.json   the record; `populated` tells that a container has used it

Which containers use a volume is the engine's to know.
"""

from __future__ import annotations

import os
import time

from crate.errors import NameInUseError, NotFoundError, StateError, UsageError
from crate.oci import json
from crate.storage import journal, last_use, staging
from crate.storage.durable import read_file, sync_directory, sync_file_system, write_file
from crate.storage.lock import Lock

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import TypedDict

    from crate.storage.roots import Roots

    class VolumeRecord(TypedDict):
        """volume.json; `created` as in RFC 3339, in UTC."""

        version: int
        name: str
        created: str
        driver: str
        labels: dict[str, str]
        options: dict[str, str]
        anonymous: bool
        populated: bool


_ALNUM = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
_RECORD = "volume.json"


def check_name(name: str) -> None:
    """Raises UsageError unless podman would take this as a volume's name."""
    if not 1 <= len(name) <= 255 or name[0] not in _ALNUM or name.strip(_ALNUM + "_.-"):
        raise UsageError(
            f'invalid volume name "{name}"',
            "a-z A-Z 0-9 _ . - beginning with a letter or digit; a host directory begins with /",
        )


def data_path(roots: Roots, name: str) -> str:
    """Where the files of a volume lie."""
    return f"{roots.graphroot}/volumes/{name}/_data"


def exists(roots: Roots, name: str) -> bool:
    """Is there a volume of this name?"""
    return bool(name) and "/" not in name and os.access(f"{roots.graphroot}/volumes/{name}/{_RECORD}", os.F_OK)


def create(
    roots: Roots,
    name: str = "",
    *,
    labels: Mapping[str, str] | None = None,
    options: Mapping[str, str] | None = None,
    source_fd: int | None = None,
    used: bool = False,
    anonymous: bool = False,
) -> VolumeRecord:
    """Makes a volume, durable when this returns; without a name it is anonymous and gets 64 hexadecimal digits.

    `source_fd` is a directory whose content and attributes the volume starts with. `used` tells that a container gets
    it at once. Raises NameInUseError, UsageError.
    """
    anonymous = anonymous or not name
    name = name or os.urandom(32).hex()
    check_name(name)
    record: VolumeRecord = {
        "version": 1,
        "name": name,
        "created": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "driver": "local",
        "labels": dict(labels or {}),
        "options": dict(options or {}),
        "anonymous": anonymous,
        "populated": used,
    }
    directory = f"{roots.graphroot}/volumes/{name}"
    stage = staging.make(roots, f"volume-{os.urandom(8).hex()}")
    try:
        _fill(f"{stage}/_data", source_fd)
        write_file(None, f"{stage}/{_RECORD}", json.dumps(record), durable=source_fd is None)
        if source_fd is not None:
            sync_file_system(stage)
        try:
            os.rename(stage, directory)
        except OSError:
            if exists(roots, name):
                raise NameInUseError(f"volume {name} already exists", "take another name, or remove it first") from None
            raise
    except BaseException:
        from crate.storage.trash import remove_tree

        remove_tree(os.path.dirname(stage), os.path.basename(stage))
        raise
    sync_directory(os.path.dirname(directory))
    journal.record(roots, "volume", "create", name=name, attributes=record["labels"])
    return record


def use(roots: Roots, name: str, source_fd: int | None = None) -> VolumeRecord:
    """The volume for a container that is about to mount it: made if missing, filled from `source_fd` at its first use.

    As docker: an empty volume gets what the image has at that place, owner and mode included; pass None with `nocopy`,
    or where the image has no such directory. No lock is held while files are copied: of two containers that start
    together one fills the volume, and the other's copy is dropped.
    """
    if not exists(roots, name):
        try:
            return create(roots, name, source_fd=source_fd, used=True)
        except NameInUseError:
            pass  # another container was faster
    record = read(roots, name)
    if record["populated"]:
        last_use.volume_used(roots, name)
        return record
    directory = f"{roots.graphroot}/volumes/{name}"
    stage = ""
    if source_fd is not None and not os.listdir(f"{directory}/_data"):
        stage = staging.make(roots, f"volume-{os.urandom(8).hex()}")
    try:
        if stage:
            _fill(f"{stage}/_data", source_fd)
            sync_file_system(stage)
        with Lock(directory):
            record = read(roots, name)
            if not record["populated"]:
                if stage and not os.listdir(f"{directory}/_data"):
                    os.rename(f"{stage}/_data", f"{directory}/_data")
                record["populated"] = True
                write_file(None, f"{directory}/{_RECORD}", json.dumps(record), durable=True)
    except FileNotFoundError:
        raise NotFoundError(f"no such volume: {name}") from None
    finally:
        if stage:
            from crate.storage.trash import remove_tree

            remove_tree(os.path.dirname(stage), os.path.basename(stage))
    return record


def read(roots: Roots, name: str) -> VolumeRecord:
    """The record of a volume. Raises NotFoundError; StateError when it is damaged."""
    if exists(roots, name):
        try:
            record: VolumeRecord = json.loads(read_file(f"{roots.graphroot}/volumes/{name}/{_RECORD}"))
            return record
        except FileNotFoundError:
            pass
        except ValueError:
            raise StateError(f"cannot read volume {name}: its volume.json is damaged") from None
    raise NotFoundError(f"no such volume: {name}")


def list_all(roots: Roots) -> list[VolumeRecord]:
    """The records of all volumes, sorted by name."""
    found = []
    for name in sorted(os.listdir(f"{roots.graphroot}/volumes")):
        try:
            found.append(read(roots, name))
        except NotFoundError:
            pass  # removed while we look
    return found


def remove(roots: Roots, name: str) -> None:
    """Takes the volume away, into the trash. The caller knows that no container uses it. Raises NotFoundError."""
    from crate.storage.trash import throw

    directory = f"{roots.graphroot}/volumes/{name}"
    try:
        if not exists(roots, name):
            raise FileNotFoundError
        with Lock(directory):
            throw(roots, directory)
    except FileNotFoundError:
        raise NotFoundError(f"no such volume: {name}") from None
    sync_directory(os.path.dirname(directory))
    journal.record(roots, "volume", "remove", name=name)


def remove_each(roots: Roots, names: Iterable[str]) -> None:
    """Removes the anonymous volumes of a container that is no more, or never was; those that are gone do not matter."""
    for name in names:
        try:
            remove(roots, name)
        except NotFoundError:
            pass


def _fill(data: str, source_fd: int | None) -> None:
    os.mkdir(data, 0o755)
    os.chmod(data, 0o755)
    if source_fd is not None:
        from crate.storage.tree.copy import copy_tree

        data_fd = os.open(data, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            copy_tree(source_fd, data_fd)
        finally:
            os.close(data_fd)
