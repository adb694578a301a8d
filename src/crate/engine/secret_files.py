"""The secrets of a container: copied when it is made, files in memory and variables whenever it is started.

The copy lies beside container.json, for the owner of the store alone. What the container gets of it never stands in
config.json or container.json, so that inspect, commit and the images of it know nothing of it.
"""

from __future__ import annotations

import binascii
import os

from crate.engine.user_namespaces import outside
from crate.errors import HostError
from crate.linux import mount as m
from crate.ns.single_id import owner_here
from crate.oci import json
from crate.plan.secrets import DIRECTORY
from crate.runtime.mounts import MountOptions, file_system
from crate.storage import secrets as store
from crate.storage.durable import read_file, write_all

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from crate.engine.containers import Container
    from crate.engine.context import Engine

#: name of the copies' file in the container's directory: the values in base64, in the order of the record's `secrets`
FILE = "secrets.json"
_OPTIONS = ["nosuid", "nodev", "noexec", "mode=755"]


def copies(engine: Engine, record: dict[str, Any]) -> str:
    """The text of FILE for a new container; its record gets the secrets' ids. NotFoundError."""
    values = []
    for use in record["secrets"]:
        use["id"] = store.find(engine.roots, use["name"])["id"]
        values.append(binascii.b2a_base64(store.value(engine.roots, use["id"]), newline=False).decode())
    return json.dumps(values)


def with_variables(container: Container, spec: dict[str, Any]) -> dict[str, Any]:
    """The spec of a container with the secrets that are variables."""
    added = {
        use["target"]: value.decode("utf-8", "surrogateescape")
        for use, value in _values(container)
        if use["type"] == "env"
    }
    if not added:
        return spec
    for name, value in added.items():
        if "\0" in value:
            raise HostError(f"cannot make secret {name} a variable: a NUL byte in it", "leave type=env away")
    process = spec["process"]
    env = [entry for entry in process.get("env") or () if entry.partition("=")[0] not in added]
    return {**spec, "process": {**process, "env": [*env, *(f"{name}={value}" for name, value in added.items())]}}


def at_start(container: Container, spec: dict[str, Any]) -> tuple[dict[str, Any], dict[int, int]]:
    """The spec with the secrets of both kinds; and the mounts as of `with_files`."""
    return with_files(container, with_variables(container, spec))


def with_files(container: Container, spec: dict[str, Any]) -> tuple[dict[str, Any], dict[int, int]]:
    """The spec with a mount for the directory of secrets and one for each of those elsewhere.

    The second is their place in spec.mounts -> a detached, read-only mount, which the caller closes. HostError.
    """
    user = (spec.get("process") or {}).get("user") or {}
    trees: dict[str, list[tuple[str, dict[str, Any], bytes]]] = {}
    for use, value in _values(container):
        if use["type"] == "mount":
            directory, beneath, name = use["target"].partition(f"{DIRECTORY}/")
            place, name = (DIRECTORY, name) if beneath and not directory else (use["target"], "")
            trees.setdefault(place, []).append((name, use, value))
    entries = [*spec["mounts"]]
    made: dict[int, int] = {}
    try:
        for place, files in trees.items():
            made[len(entries)] = _make(container, files, user)
            entries.append({"destination": place, "type": "bind", "source": "", "options": ["bind"]})
    except BaseException as error:
        for fd in made.values():
            os.close(fd)
        if isinstance(error, OSError):
            raise HostError(f"cannot make the files of the container's secrets: {error.strerror}") from None
        raise
    return {**spec, "mounts": entries}, made


def _values(container: Container) -> list[tuple[dict[str, Any], bytes]]:
    values = json.loads(read_file(f"{container.paths.files}/{FILE}"))
    return [(use, binascii.a2b_base64(value)) for use, value in zip(container.record["secrets"], values, strict=True)]


def _make(container: Container, files: list[tuple[str, dict[str, Any], bytes]], user: dict[str, Any]) -> int:
    """A mount in memory with these files, or of the one file whose name is empty."""
    fd = _memory()
    try:
        owner = outside(container.record, 0, 0)
        os.chown(".", *owner, dir_fd=fd)
        for name, use, value in files:
            parts = (name or "content").split("/")
            for depth in range(1, len(parts)):
                directory = "/".join(parts[:depth])
                try:
                    os.mkdir(directory, 0o755, dir_fd=fd)
                except FileExistsError:
                    continue
                os.chown(directory, *owner, dir_fd=fd)
            _write(fd, "/".join(parts), container, use, value, user)
        m.mount_setattr(fd, "", m.AT_EMPTY_PATH, m.MOUNT_ATTR_RDONLY)
        if files[0][0]:
            return fd
        part = m.open_tree(fd, "content", m.OPEN_TREE_CLONE)
    except BaseException:
        os.close(fd)
        raise
    os.close(fd)
    return part


def _memory() -> int:
    """A new tmpfs, which stays out of the swap where the kernel can promise that (Linux 6.4, root)."""
    try:
        return file_system("tmpfs", "tmpfs", MountOptions([*_OPTIONS, "noswap"]))
    except OSError:
        return file_system("tmpfs", "tmpfs", MountOptions(_OPTIONS))


def _write(fd: int, name: str, container: Container, use: dict[str, Any], value: bytes, user: dict[str, Any]) -> None:
    uid = user.get("uid", 0) if use["uid"] is None else use["uid"]
    gid = user.get("gid", 0) if use["gid"] is None else use["gid"]
    file_fd = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600, dir_fd=fd)
    try:
        write_all(file_fd, value)
        os.fchown(file_fd, *owner_here(*outside(container.record, uid, gid)))
        os.fchmod(file_fd, use["mode"])
    finally:
        os.close(file_fd)
