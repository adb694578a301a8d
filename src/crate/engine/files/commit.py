"""`commit`: a container's files and configuration become an image."""

from __future__ import annotations

import os
import stat

from crate.engine.files.diff import mount_points
from crate.engine.files.view import RUNNING, View, hold
from crate.engine.user_namespaces import shift_back
from crate.errors import StateError, UsageError
from crate.image import instructions, making
from crate.oci import platform
from crate.oci import reference as references
from crate.storage import image_record, images, journal
from crate.storage.layer_pack import LayerPack

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from crate.engine.containers import Container
    from crate.engine.context import Engine
    from crate.oci.image_spec import Descriptor
    from crate.storage.image_record import ImageRecord

#: what the engine adds to every container's environment
_OWN_VARIABLES = ("HOME", "HOSTNAME", "TERM", "container")


def commit(engine: Engine, container: Container, name: str, options: dict[str, Any]) -> str:
    """The id of the new image. `options`: author, change, message, pause, squash, format, include_volumes.

    Raises UsageError, StateError, OSError.
    """
    form = making.check_format(options.get("format"))
    names = [local_name(name)] if name else []
    record = container.record
    if record["rootfs"]:
        raise StateError("cannot commit a container that uses an exploded rootfs")
    base = image_record.by_id(engine.roots, record["image"]) if record["image"] else None
    # Without an overlay a container has a whole tree of its own, and without its image nobody has the layers below.
    squash = bool(options.get("squash")) or os.access(f"{container.paths.directory}/rootfs", os.F_OK)
    squash = squash or engine.roots.driver == "fuse-overlayfs"  # it marks replaced directories by files of its own
    squash = squash or (base is None and bool(record["layers"]))
    options = {**options, "squash": squash}
    config = _image_config(container, base, options)
    parents = [] if squash or base is None else base["config"]["rootfs"]["diff_ids"]
    with images.bring_in(engine.roots), LayerPack(engine.roots, parents) as layer:
        _take(engine, container, layer, squash, bool(options.get("pause")))
        layer.write_archive()
        descriptors: list[Descriptor] = [] if squash or base is None else list(base["manifest"].get("layers") or ())
        config["rootfs"] = {"type": "layers", "diff_ids": [*parents, layer.diff_id]}
        descriptors.append(making.layer_descriptor(layer))
        made = making.make(engine.roots, config, descriptors, names, form=form, made=[layer])
    journal.of_container(engine.roots, "commit", container.record)
    return made["id"]


def local_name(text: str) -> str:
    """The full name of an image made here: under localhost/ unless it says otherwise. UsageError in podman's words."""
    if text.rpartition(":")[0] and "/" not in text.rpartition(":")[2]:
        repository = text.rpartition(":")[0]
    else:
        repository = text
    if repository.rpartition("/")[2] != repository.rpartition("/")[2].lower():
        raise UsageError("repository name must be lowercase")
    parsed = references.parse_local(text)
    if parsed.digest:
        raise UsageError(f"{text}: tag by digest not supported", "give NAME or NAME:TAG")
    return str(parsed)


def _take(engine: Engine, container: Container, layer: LayerPack, squash: bool, pause: bool) -> None:
    """Copies the container's files, which stand still meanwhile if that is wanted."""
    status = container.state(engine)["status"]
    if pause and status == "running":
        from crate.engine.pause import pause as freeze
        from crate.engine.pause import unpause

        freeze(engine, container)
        try:
            _copy(engine, container, layer, squash)
        finally:
            unpause(engine, container)
        return
    lock = None if status in RUNNING or squash else hold(container)  # nobody removes or starts it meanwhile
    try:
        _copy(engine, container, layer, squash)
    finally:
        if lock:
            lock.release()


def _copy(engine: Engine, container: Container, layer: LayerPack, squash: bool) -> None:
    if squash:
        with View(engine, container, mounts=False) as root_fd:
            layer.take(root_fd, overlay=False, shift=shift_back(container.record))
        return
    fd = os.open(container.paths.upper, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        layer.take(fd, overlay=True, skip=_made_to_mount_upon(fd, container), shift=shift_back(container.record))
    finally:
        os.close(fd)


def _made_to_mount_upon(upper_fd: int, container: Container) -> list[str]:
    """The empty files and directories that are in the container's own files because something is mounted there."""
    found = []
    for path in mount_points(container.spec()):
        inner = path.strip("/")
        try:
            status = os.stat(inner, dir_fd=upper_fd, follow_symlinks=False)
            is_empty = not status.st_size if stat.S_ISREG(status.st_mode) else not _entries(upper_fd, inner)
        except OSError:
            continue
        if inner and is_empty:
            found.append(inner)
    return found


def _entries(dir_fd: int, path: str) -> list[str]:
    from crate.linux.fs import RESOLVE_BENEATH, RESOLVE_NO_SYMLINKS, openat2

    fd = openat2(dir_fd, path, os.O_RDONLY | os.O_DIRECTORY, RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS)
    try:
        return os.listdir(fd)
    finally:
        os.close(fd)


def _image_config(container: Container, base: ImageRecord | None, options: dict[str, Any]) -> dict[str, Any]:
    """The image config, without its rootfs."""
    old: dict[str, Any] = base["config"] if base else {}
    own = platform.host()
    created, author = making.now(), options.get("author") or ""
    squash = bool(options.get("squash"))
    step: dict[str, Any] = {"created": created, "created_by": " ".join(container.record["command"])}
    step |= {key: text for key, text in (("author", author), ("comment", options.get("message"))) if text}
    found: dict[str, Any] = {
        "created": created,
        "author": author or old.get("author", ""),
        "architecture": old.get("architecture") or own.architecture,
        "os": old.get("os") or own.os,
        "config": _container_config(container, old.get("config") or {}, options),
        "history": [*(() if squash else old.get("history") or ()), step],
    }
    if old.get("variant"):
        found["variant"] = old["variant"]
    if options.get("message") and options.get("format") == "docker":
        found["comment"] = options["message"]
    return {key: value for key, value in found.items() if value != ""}


def _container_config(container: Container, old: dict[str, Any], options: dict[str, Any]) -> dict[str, Any]:
    """What a container of the new image is to have of this one, changed by the instructions."""
    record, process = container.record, container.spec().get("process") or {}
    known = {entry.partition("=")[0] for entry in old.get("Env") or ()}
    environment = [
        entry
        for entry in process.get("env") or ()
        if (name := entry.partition("=")[0]) in known or name not in _OWN_VARIABLES
    ]
    volumes = dict(old.get("Volumes") or {})
    if options.get("include_volumes"):
        volumes |= {one["destination"]: {} for one in record["mounts"] if one["type"] != "tmpfs"}
    directory = process.get("cwd") or "/"
    config: dict[str, Any] = {
        "User": record["user"],
        "ExposedPorts": {port: {} for port in record["exposed_ports"]},
        "Env": environment,
        "Entrypoint": record["entrypoint"],
        "Cmd": record["command"],
        "Volumes": volumes,
        "WorkingDir": directory if directory != "/" else old.get("WorkingDir", ""),
        "Labels": record["labels"],
        "StopSignal": record["options"].get("stop_signal") or old.get("StopSignal", ""),
        "Healthcheck": record["health"],
    }
    instructions.apply(config, options.get("change") or ())
    return {key: value for key, value in config.items() if value}
