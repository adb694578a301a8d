"""What the removal and the listing of images ask the engine: which containers stand on an image."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from crate.engine.containers import Container
    from crate.engine.context import Engine
    from crate.image.remove import Users


def of(engine: Engine, image_id: str) -> list[Container]:
    """The containers made from an image."""
    from crate.engine import containers

    return [container for container in containers.listing(engine) if container.record["image"] == image_id]


def users(engine: Engine) -> Users:
    """The questions of `crate.image.remove`, answered by the engine."""
    from crate.engine import containers
    from crate.image.remove import Users

    def ids(image_id: str) -> list[str]:
        return [container.id for container in of(engine, image_id)]

    def layers() -> set[str]:
        records = [container.record for container in containers.listing(engine)]
        stacks = [record["layers"] for record in records]
        stacks += [mount["layers"] for record in records for mount in record.get("image_mounts") or ()]
        return {layer for stack in stacks for layer in stack}

    def remove_containers(image_id: str) -> None:
        from crate.engine import remove
        from crate.engine.pods import pod as pods
        from crate.engine.pods import verbs as pod_verbs
        from crate.storage.containers import exists

        for container in of(engine, image_id):
            if not exists(engine.roots, container.id):
                continue  # it went with its pod
            if pods.is_sandbox(container):
                pod_verbs.remove(engine, pods.of_container(engine, container), force=True, timeout=0)
            else:
                remove.remove(engine, container, force=True, volumes=True, timeout=0)

    return Users(ids, layers, remove_containers)
