"""Filling the slots of a plan: what only the image's files, other containers and the volumes can tell."""

from __future__ import annotations

import os

from crate.engine import containers
from crate.errors import HostError, NotFoundError, StateError, UsageError
from crate.runtime.paths import is_directory, open_in_root
from crate.runtime.user import lookup, lower_capabilities

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from crate.engine.context import Engine
    from crate.plan.mount_points import MountPoint
    from crate.plan.shapes import Plan, Slot, Volume

#: what --volume …:U would break on the host
_NEVER_CHOWNED = (
    *("/", "/bin", "/boot", "/dev", "/etc", "/etc/passwd", "/etc/shadow", "/home", "/lib", "/lib64", "/opt", "/proc"),
    *("/root", "/run", "/sbin", "/sys", "/tmp", "/usr", "/var", "/var/lib", "/var/log"),
)


def fill(engine: Engine, plan: Plan, record: dict[str, Any], root_fd: int) -> None:
    """Completes the plan's spec and the record. `root_fd`: the container's root. UsageError, NotFoundError, StateError.

    The anonymous volumes that it makes are named in the record before they exist, for who has to undo it.
    """
    _check_networks(engine, plan["network"])
    if record.get("links"):
        from crate.engine.networks import links

        links.resolve(engine, record)
    for slot in plan["slots"]:
        _FILLERS[slot["slot"]](engine, plan, record, slot, root_fd)
    record["anonymous_volumes"] = [volume["name"] for volume in plan["volumes"] if volume["anonymous"]]
    for volume in plan["volumes"]:
        _use_volume(engine, plan, record, volume, root_fd)
    for path in plan["chowns"]:
        _change_owner(path, _owner(plan, record, path))


def _check_networks(engine: Engine, request: Any) -> None:
    """NotFoundError for a network that is not there; the default one is made when it is needed."""
    default = engine.settings.get("network.default")
    for attachment in request["networks"]:
        if attachment["network"] not in ("", default):
            from crate.engine.networks import verbs as networks

            attachment["network"] = networks.name_of(engine, attachment["network"])


def _user(engine: Engine, plan: Plan, record: dict[str, Any], slot: Slot, root_fd: int) -> None:
    process = plan["spec"]["process"]
    if slot["groups"] and engine.roots.rootless and not record.get("ids"):
        _check_groups(slot["groups"])
    user, home = lookup(root_fd, slot["user"], slot["groups"])
    process["user"] = {**process["user"], **user}  # type: ignore[typeddict-item]
    if slot.get("home"):
        process.setdefault("env", []).append(f"HOME={home}")
    if user["uid"]:
        lower_capabilities(process["capabilities"], record["options"].get("cap_add") or ())


def _check_groups(groups: Sequence[str]) -> None:
    from crate.ns.rootless import denies_groups

    if denies_groups():
        raise HostError(
            f"cannot add group {groups[0]}: this user's namespace has one id",
            "give this user subordinate ids: usermod --add-subuids FIRST-LAST --add-subgids FIRST-LAST USER",
        )


def _namespace(engine: Engine, plan: Plan, record: dict[str, Any], slot: Slot, root_fd: int) -> None:
    """Which container it is; its namespace has a path only while that one runs (joining.py)."""
    other = containers.find(engine, slot["container"])
    kind = slot["type"] if slot["slot"] == "namespace" else "shm"
    record["joins"][kind] = {"container": other.id, "index": slot["index"]}
    depend_on(other, record)


def depend_on(other: containers.Container, record: dict[str, Any]) -> None:
    """Notes at the other container that this one needs it. A note that nobody stands behind any more means nothing."""
    directory = f"{other.paths.directory}/{containers.DEPENDENTS}"
    try:
        os.mkdir(directory, 0o700)
    except FileExistsError:
        pass
    os.close(os.open(f"{directory}/{record['id']}", os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600))


def _file(engine: Engine, plan: Plan, record: dict[str, Any], slot: Slot, root_fd: int) -> None:
    other = containers.find(engine, slot["container"])
    plan["spec"]["mounts"][slot["index"]]["source"] = f"{other.paths.directory}/{slot['file']}"


def _volumes_from(engine: Engine, plan: Plan, record: dict[str, Any], slot: Slot, root_fd: int) -> None:
    other = containers.find(engine, slot["container"])
    taken = {mount["destination"] for mount in record["mounts"]}
    points: list[MountPoint] = [point for point in other.record["mounts"] if point["type"] in ("bind", "volume")]
    record.setdefault("volumes_from", []).append(other.id)
    depend_on(other, record)
    for point in points:
        if point["destination"] in taken:
            continue
        options = list(point["options"])
        if slot["read_only"] and "ro" not in options:
            options += ["ro", "rro"] if "rbind" in options else ["ro"]
        record["mounts"].append({**point, "options": options})
        plan["spec"]["mounts"].append(
            {"destination": point["destination"], "type": "bind", "source": point["source"], "options": options}
        )


def _image(engine: Engine, plan: Plan, record: dict[str, Any], slot: Slot, root_fd: int) -> None:
    """What a start mounts there (image_mounts.py): the layers of the image that has the name now."""
    from crate.image import local

    mount = plan["spec"]["mounts"][slot["index"]]
    found = local.find(engine.roots, mount["source"])
    if found is None:
        raise NotFoundError(f"{mount['source']}: image not known", f"crate pull {mount['source']}")
    writable = "ro" not in mount["options"]
    record.setdefault("image_mounts", []).append(
        {"index": slot["index"], "image": found["id"], "layers": found["layers"], "writable": writable}
    )


def _sandbox(engine: Engine, plan: Plan, record: dict[str, Any], slot: Slot, root_fd: int) -> None:
    from crate.engine.pods import sandbox_program

    sandbox_program.write(root_fd)


def _account(engine: Engine, plan: Plan, record: dict[str, Any], slot: Slot, root_fd: int) -> None:
    from crate.engine.user_namespaces import outside
    from crate.runtime.accounts import add_account

    for entry in slot["entries"]:
        add_account(root_fd, entry, outside(record, 0, 0))


_FILLERS = {
    "account": _account,
    "user": _user,
    "namespace": _namespace,
    "shm": _namespace,
    "file": _file,
    "volumes_from": _volumes_from,
    "image": _image,
    "sandbox": _sandbox,
}


def _use_volume(engine: Engine, plan: Plan, record: dict[str, Any], wanted: Volume, root_fd: int) -> None:
    """Makes the volume if it is missing, with what the image has at its place."""
    from crate.storage import volumes

    if wanted["driver"] != "local":
        raise UsageError(f"volume {wanted['name']}: no such driver: {wanted['driver']}", "local is the only one")
    source_fd = None
    fresh = not volumes.exists(engine.roots, wanted["name"])
    if wanted["copy"]:
        try:
            source_fd = open_in_root(root_fd, wanted["destination"], os.O_RDONLY | os.O_DIRECTORY)
        except OSError:
            pass  # the image has nothing there, or a file
    try:
        if fresh and (wanted["anonymous"] or wanted["labels"] or wanted["options"]):
            volume = volumes.create(
                engine.roots,
                wanted["name"],
                labels=wanted["labels"],
                options=wanted["options"],
                source_fd=source_fd,
                used=True,
                anonymous=wanted["anonymous"],
            )
        else:
            volume = volumes.use(engine.roots, wanted["name"], source_fd)
    finally:
        if source_fd is not None:
            os.close(source_fd)
    mount = plan["spec"]["mounts"][wanted["mount"]]
    if volume["options"].get("type") or volume["options"].get("device"):
        _mount_as_asked(mount, volume["options"], wanted["name"])  # type: ignore[arg-type]
    elif not _is_directory(mount["source"]):
        raise StateError(f"cannot mount {mount['source'].partition('/./')[2]} of volume {wanted['name']}: not there")
    if wanted["chown"] or (fresh and source_fd is None and record.get("ids") and "idmap" not in mount["options"]):
        _change_owner(mount["source"], _owner(plan, record, mount["source"]))


def _mount_as_asked(mount: dict[str, Any], options: dict[str, str], name: str) -> None:
    """`volume create -o type=tmpfs -o device=tmpfs -o o=size=1m`: the volume is what mount(8) would make of these."""
    kind, device = options.get("type", ""), options.get("device", "")
    words = [word for word in options.get("o", "").split(",") if word]
    if kind in ("", "none", "bind") or "bind" in words or "rbind" in words:
        if not os.path.exists(device):
            raise StateError(f"cannot mount volume {name}: {device or 'its device'} does not exist")
        mount["source"] = device
        mount["options"] = [*mount["options"], *(word for word in words if word not in ("bind", "rbind"))]
        return
    mount["type"], mount["source"] = kind, device or kind
    mount["options"] = [word for word in mount["options"] if word in ("ro", "nosuid", "nodev", "noexec")] + words


def _is_directory(source: str) -> bool:
    from crate.runtime.mounts import open_source

    try:
        fd = open_source(source)
    except OSError:
        return False
    try:
        return is_directory(fd)
    finally:
        os.close(fd)


def _owner(plan: Plan, record: dict[str, Any], source: str) -> tuple[int, int]:
    """Who the container's user is on the host; with an id-mapped mount of this source, who that is on the disk."""
    user = plan["spec"]["process"]["user"]
    uid, gid = user.get("uid", 0), user.get("gid", 0)
    mapped = any(mount.get("source") == source and "uidMappings" in mount for mount in plan["spec"]["mounts"])
    if not record.get("ids") or mapped:
        return uid, gid
    from crate.engine.user_namespaces import outside

    return outside(record, uid, gid)


def _change_owner(source: str, owner: tuple[int, int]) -> None:
    """Gives a file, or a directory with all in it, to a user and group. No symbolic link in it is followed."""
    from crate.runtime.mounts import open_source

    uid, gid = owner
    fd = open_source(source)
    try:
        path = os.readlink(f"/proc/self/fd/{fd}")
        if path in _NEVER_CHOWNED:
            raise UsageError(
                f"cannot change the owner of {path}: the host needs it as it is", "leave the option U away"
            )
        os.chown(f"/proc/self/fd/{fd}", uid, gid)
        if not is_directory(fd):
            return
        for _, directories, files, dir_fd in os.fwalk(".", dir_fd=fd):
            for name in (*directories, *files):
                os.chown(name, uid, gid, dir_fd=dir_fd, follow_symlinks=False)
    finally:
        os.close(fd)
