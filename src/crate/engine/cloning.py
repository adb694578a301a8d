"""`container clone`: another container with the same options, some of them changed."""

from __future__ import annotations

import os

from crate.engine import containers, create, start
from crate.engine import remove as removing
from crate.engine.files.view import RUNNING
from crate.errors import StateError, UsageError
from crate.storage import containers as store

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from crate.engine.containers import Container
    from crate.engine.context import Engine

#: what is one container's own
_OWN = ("name", "cidfile", "pidfile", "replace", "pull")
_OWN_VARIABLES = ("HOSTNAME",)


def clone(
    engine: Engine,
    container: Container,
    changes: dict[str, Any],
    *,
    name: str = "",
    image: str = "",
    run: bool = False,
    destroy: bool = False,
    force: bool = False,
) -> str:
    """The id of the new container. `changes` are options of `create` that replace those of the original.

    `destroy` removes the original, with `force` even while it runs. UsageError, StateError, and what `create` raises.
    """
    if force and not destroy:
        raise UsageError("cannot set --force without --destroy")
    if destroy and not force and container.state(engine)["status"] in RUNNING:
        raise StateError(
            f"cannot remove container {container.id} as it is running - running or paused containers cannot be "
            "removed without force: container state improper"
        )
    recorded = container.record["options"]
    if recorded.get("pod_id"):
        from crate.engine.pods.members import apart

        recorded = {**apart(engine, container), "pod": recorded["pod_id"]}
    options = {key: value for key, value in recorded.items() if key not in _OWN}
    environment = (container.spec().get("process") or {}).get("env") or []
    options["env"] = [entry for entry in environment if entry.partition("=")[0] not in _OWN_VARIABLES]
    options.update({key: value for key, value in changes.items() if value is not None})
    options["name"] = name or free_name(engine, container.name)
    if image:
        options["image"] = image
        options.pop("rootfs", None)
    elif container.record["image"]:
        options["image"] = image_name(engine, container)
    made = create.create(engine, options)
    if destroy:
        removing.remove(engine, container, force=force)
    clone = containers.load(engine, made) if run else None
    if clone:
        start.start(engine, clone)
    return made


def image_name(engine: Engine, container: Container) -> str:
    """The name of its image, unless that is another image's by now: the id then."""
    from crate.image import local

    name, own = str(container.record["image_name"]), str(container.record["image"])
    found = local.find(engine.roots, name) if name else None
    return name if found and found["id"] == own else own


def free_name(engine: Engine, original: str) -> str:
    """`web-clone`, `web-clone1`, …: the first that nobody has."""
    number = 0
    while True:
        name = f"{original}-clone{number or ''}"
        if not os.path.lexists(f"{engine.roots.graphroot}/names/{name}") or not store.holder(engine.roots, name):
            return name
        number += 1
