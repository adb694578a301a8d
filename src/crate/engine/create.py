"""`create`: from options to a container on disk, complete before anybody sees it."""

from __future__ import annotations

import os

from crate import plan as planning
from crate.engine import containers
from crate.engine.filling import fill
from crate.engine.names import random_name
from crate.engine.root_mount import mount_root
from crate.errors import CrateError, NameInUseError, NotFoundError, UsageError
from crate.linux.process import start_time
from crate.oci import json
from crate.plan.host import Host
from crate.storage import containers as store
from crate.storage import journal, last_use, staging
from crate.storage.durable import write_file
from crate.storage.roots import boot_id

_ARCHIVES = ("docker-archive", "oci-archive", "oci")  # of containers-transports(5)
_PULL_POLICIES = ("always", "missing", "never", "newer")

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from crate.engine.containers import Container
    from crate.engine.context import Engine
    from crate.plan.shapes import Place, Plan
    from crate.storage.image_record import ImageRecord


def create(engine: Engine, options: dict[str, Any]) -> str:
    """The id of the new container."""
    container, root_mount_fd = prepare(engine, options)
    os.close(root_mount_fd)
    store.sync(container.paths)
    return container.id


def prepare(engine: Engine, options: dict[str, Any], launches: bool = False) -> tuple[Container, int]:
    """Makes the container; gives it with its root file system as a detached mount. `launches`: a start follows.

    Raises UsageError, NotFoundError, NameInUseError, ImageError …; nothing is left behind then.
    """
    if options.get("pod") or options.get("pod_id_file"):
        from crate.engine.pods import members as pod_members

        return pod_members.prepare(engine, options, launches)
    if options.get("cidfile"):
        from crate.engine.id_file import write_with

        return write_with(
            options["cidfile"], "container", lambda: _prepare(engine, options, launches), lambda made: made[0].id
        )
    return _prepare(engine, options, launches)


def _prepare(engine: Engine, options: dict[str, Any], launches: bool) -> tuple[Container, int]:
    if str(options["image"]).partition(":")[0] in _ARCHIVES:
        options = _from_archive(engine, options)
    image, image_name = find_image(engine, options)
    if options.get("replace"):
        _make_room(engine, options.get("name"))
    roots, settings = engine.roots, engine.settings
    for attempt in range(8):
        container_id = store.new_id()
        name = options.get("name") or random_name()
        place: Place = {
            "id": container_id,
            "directory": f"{roots.graphroot}/containers/{container_id}",
            "volumes": f"{roots.graphroot}/volumes",
        }
        host = Host(roots.rootless)
        plan = planning.make(options, image, host, settings, place)
        plan["record"]["image_name"] = image_name
        try:
            made = _make(engine, container_id, name, plan, image, host, launches)
        except NameInUseError:
            if options.get("name") or attempt == 7:
                raise
        else:
            break
    if engine.warn:
        for text in plan["warnings"]:
            engine.warn(text)
    return made


def _make(
    engine: Engine,
    container_id: str,
    name: str,
    plan: Plan,
    image: ImageRecord | None,
    host: Host,
    launches: bool,
) -> tuple[Container, int]:
    layers = image["layers"] if image else []
    root_mount_fd = -1
    record = {**plan["record"], "id": container_id, "name": name, "layers": layers, "network": plan["network"]}
    record["files"], record["joins"] = plan["files"], {}
    if launches:
        record["launcher"] = [os.getpid(), start_time(os.getpid()), boot_id()]

    def complete(stage: str) -> dict[str, str]:
        nonlocal root_mount_fd
        if plan["ids"]:
            from crate.engine.user_namespaces import settle

            settle(engine, plan, record, host, f"{stage}/upper")
        root_mount_fd = mount_root(engine.roots, record, stage)
        volumes = [volume["name"] for volume in plan["volumes"] if volume["anonymous"]]
        if volumes:
            # Should this process be killed before the container is there, its staging tells whose they were.
            write_file(None, f"{stage}/{staging.VOLUMES}", "\n".join(volumes), durable=False)
        fill(engine, plan, record, root_mount_fd)
        files = {}
        if record.get("secrets"):
            from crate.engine import secret_files

            files[secret_files.FILE] = secret_files.copies(engine, record)
        return {**files, "config.json": json.dumps(plan["spec"]), "container.json": json.dumps(record)}

    try:
        paths = store.create(
            engine.roots, container_id, name, complete, layers=layers, ephemeral=bool(record["remove"])
        )
    except BaseException:
        if root_mount_fd >= 0:
            os.close(root_mount_fd)
        if record.get("anonymous_volumes"):
            from crate.storage.volumes import remove_each

            remove_each(engine.roots, record["anonymous_volumes"])
        raise
    journal.of_container(engine.roots, "create", record)
    return containers.Container(container_id, paths, record), root_mount_fd


def _from_archive(engine: Engine, options: dict[str, Any]) -> dict[str, Any]:
    """The options with the name of the image that `docker-archive:FILE` holds, which is loaded; its id without one."""
    from crate.engine.pulling import pull_apart
    from crate.storage import image_record

    image = image_record.by_id(engine.roots, pull_apart(engine, {**options, "pull": "missing"}))
    if image is None:
        raise NotFoundError(f"{options['image']}: the image was removed meanwhile")
    return {**options, "image": next(iter(image["names"]), image["id"]), "pull": "never"}


def find_image(engine: Engine, options: dict[str, Any]) -> tuple[ImageRecord | None, str]:
    """The image of the options with its name, pulled first where the pull policy says so; (None, "") with --rootfs."""
    if options.get("rootfs"):
        return None, ""
    if options.get("infra") == "sandbox":
        from crate.engine.pods import sandbox_image

        return sandbox_image.ensure(engine.roots, str(options["image"]))
    from crate.image import local

    name, policy = (
        str(options["image"]).removeprefix("docker://"),
        str(options.get("pull") or engine.settings.get("containers.pull")),
    )
    if policy not in _PULL_POLICIES:
        raise UsageError(f'invalid argument "{policy}" for "--pull" flag', f"one of {', '.join(_PULL_POLICIES)}")
    found = None if policy == "always" else local.find_named(engine.roots, name)
    if found and not _is_for(found[0], options):
        found = None
    if found is None or policy == "newer":
        if policy == "never":
            raise NotFoundError(f"{name}: image not known", f"crate pull {name}")
        from crate.engine.pulling import pull_apart

        image_id = pull_apart(engine, {**options, "pull": policy})
        # A short name may be another's alias (registries.conf): the id is what was pulled.
        found = local.find_named(engine.roots, name) or local.find_named(engine.roots, image_id)
        if found is None:
            raise NotFoundError(f"{name}: image not known")
        if not _is_for(found[0], options):
            raise NotFoundError(f"{name}: there is no image of it for this platform", "leave --platform away")
    last_use.image_used(engine.roots, found[0]["id"])
    return found[0], found[1] or next(iter(found[0]["names"]), "")


def _is_for(image: ImageRecord, options: dict[str, Any]) -> bool:
    """Whether the image is of the platform that is wanted, if one is."""
    if not any(options.get(name) for name in ("platform", "arch", "os", "variant")):
        return True
    from crate.image.wanted import fits

    return fits(image, options)


def _make_room(engine: Engine, name: str | None) -> None:
    """Removes the container of this name, for --replace."""
    if not name:
        raise UsageError("cannot replace container without --name being set")
    holder = store.holder(engine.roots, name)
    there = containers.load(engine, holder) if holder and store.exists(engine.roots, holder) else None
    if there and there.name == name:
        from crate.engine.remove import remove

        remove(engine, there, force=True)


def abandon(engine: Engine, container: Container, error: BaseException) -> None:
    """After a start that failed: a --rm container goes, another one stays as it was and tells why."""
    from crate.engine.recovery.sweeping import sweep_leases

    sweep_leases(engine)
    if container.record["remove"]:
        from crate.engine.remove import remove

        remove(engine, container)
        return
    if isinstance(error, CrateError):
        before = container.state(engine, fresh=True)
        failed = {
            "version": 1,
            "status": before["status"],
            "pid": 0,
            "exit_code": error.exit_status,
            "oom_killed": False,
            "started_at": before["started_at"],
            "finished_at": before["finished_at"],
            "error": error.message,
        }
        try:
            containers.write_exit(container, failed, durable=False)
        except OSError as second:
            error.add_note(f"and while recording this: {second}")
