"""The ids of a container in a user namespace of its own: which they are, settled before its root is mounted."""

from __future__ import annotations

import os

from crate.errors import HostError, UsageError
from crate.ns.idmap import IdShift, maps_of, outside_id
from crate.storage import id_ranges

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from crate.engine.context import Engine
    from crate.ns.idmap import IdMapping
    from crate.plan.host import Host
    from crate.plan.shapes import IdRequest, Plan

#: podman's bounds for the size of `auto`
_LEAST, _MOST = 1024, 65536
_NOBODY = 65534
_OWNER = "containers"  # of the ranges for containers of root, in /etc/subuid


def settle(engine: Engine, plan: Plan, record: dict[str, Any], host: Host, upper: str) -> None:
    """Puts the maps into the spec, and into the record as `ids`: {"uids", "gids"}. HostError, NotFoundError.

    `upper` is the directory of the container's own files, which belongs to its root afterwards.
    `ids` are the container's as seen from the namespace that crate runs in, whether its namespace is new or joined.
    """
    request = plan["ids"]
    assert request is not None
    linux = plan["spec"]["linux"]
    kind = request["kind"]
    uids, gids = request["uids"], request["gids"]
    if kind == "container":
        uids, gids = _join(engine, record, request, linux)
    elif kind == "ns":
        uids, gids = maps_of(request["target"])
    elif kind == "auto":
        uids, gids = _lease(engine, plan, record, request, host)
    elif record["options"].get("uidmap") or record["options"].get("gidmap"):
        _keep_out(engine, record, uids, gids)
    if kind in ("given", "auto"):
        linux["uidMappings"], linux["gidMappings"] = uids, gids
    if engine.roots.rootless and kind == "given":
        _check_mapped("uid", uids, sum(count for _, count in host.mapped_uids()))
        _check_mapped("gid", gids, sum(count for _, count in host.mapped_gids()))
    if uids:
        record["ids"] = {"uids": uids, "gids": gids}
        there = os.stat(upper)
        os.chown(upper, *IdShift(record["ids"]).owner(there.st_uid, there.st_gid))
    for mount in plan["spec"]["mounts"]:
        if "idmap" in mount["options"] and "uidMappings" not in mount:
            mount["uidMappings"], mount["gidMappings"] = uids, gids


def _check_mapped(kind: str, maps: list[IdMapping], count: int) -> None:
    """HostError for ids that an ordinary user does not have, who has those below `count`."""
    for one in maps:
        end = one["hostID"] + one["size"]
        if end > count:
            raise HostError(
                f"cannot map the {kind}s {one['hostID']} to {end - 1}: this user has {count}",
                f"0 is the user, 1 and up are the subordinate ids: crate unshare cat /proc/self/{kind}_map shows them",
            )


def outside(record: dict[str, Any], uid: int, gid: int) -> tuple[int, int]:
    """What ids of the container are in the namespace that crate runs in. HostError for one that is not mapped."""
    ids = record.get("ids")
    if not ids:
        return uid, gid
    found = outside_id(ids["uids"], uid), outside_id(ids["gids"], gid)
    for kind, number, there in (("uid", uid, found[0]), ("gid", gid, found[1])):
        if there < 0:
            raise HostError(
                f"cannot use {kind} {number}: not mapped into the container's user namespace",
                "--userns auto:size= and --uidmap say which ids there are",
            )
    return found


def shift_back(record: dict[str, Any]) -> IdShift | None:
    """What gives files of the container the owners that they have inside; None where these are the same."""
    return IdShift(record["ids"], back=True) if record.get("ids") else None


def _join(
    engine: Engine, record: dict[str, Any], request: IdRequest, linux: Any
) -> tuple[list[IdMapping], list[IdMapping]]:
    from crate.engine import containers
    from crate.engine.filling import depend_on

    other = containers.find(engine, request["target"])
    ids = other.record.get("ids")
    if not ids:  # it shares the namespace of the caller, and so does this one
        linux["namespaces"] = [entry for entry in linux["namespaces"] if entry["type"] != "user"]
        return [], []
    index = next(number for number, entry in enumerate(linux["namespaces"]) if entry["type"] == "user")
    record["joins"]["user"] = {"container": other.id, "index": index}
    depend_on(other, record)
    return ids["uids"], ids["gids"]


def _keep_out(engine: Engine, record: dict[str, Any], uids: list[IdMapping], gids: list[IdMapping]) -> None:
    """What --uidmap gives is not to be given by auto."""
    for kind, maps in (("u", uids), ("g", gids)):
        for one in maps:
            id_ranges.note(engine.roots, record["id"], kind, one["hostID"], one["size"])


def _lease(
    engine: Engine, plan: Plan, record: dict[str, Any], request: IdRequest, host: Host
) -> tuple[list[IdMapping], list[IdMapping]]:
    size = request["size"] or _size(engine, plan, record)
    wanted = []
    for kind, path, forced in (("u", "/etc/subuid", request["uids"]), ("g", "/etc/subgid", request["gids"])):
        taken = sum(min(one["size"], max(0, size - one["containerID"])) for one in forced)
        wanted.append((kind, _pool(engine, host, kind, path), max(1, size - taken)))
    starts = id_ranges.lease(engine.roots, record["id"], wanted)
    return _around(request["uids"], starts[0], size), _around(request["gids"], starts[1], size)


def _pool(engine: Engine, host: Host, kind: str, path: str) -> list[tuple[int, int]]:
    if engine.roots.rootless:
        count = sum(size for _, size in (host.mapped_uids() if kind == "u" else host.mapped_gids()))
        pool = [(1, count - 1)] if count > 1 else []
        hint = "usermod --add-subuids FIRST-LAST --add-subgids FIRST-LAST USER"
        owner = "of this user"
    else:
        pool = host.subordinate(path, _OWNER)
        hint, owner = f"echo {_OWNER}:2147483648:1073741824 | tee -a /etc/subuid /etc/subgid", f'for user "{_OWNER}"'
    if not pool:
        raise HostError(f"cannot find ids for --userns auto: no ranges {owner} in {path}", hint)
    return pool


def _around(forced: list[IdMapping], start: int, size: int) -> list[IdMapping]:
    """The ids from 0 to `size` that `forced` leaves, mapped to those from `start` on in their order; and `forced`."""
    maps: list[IdMapping] = []
    at = 0
    for one in [*sorted(forced, key=lambda one: one["containerID"]), None]:
        end = min(size, one["containerID"]) if one else size
        if end > at:
            maps.append({"containerID": at, "hostID": start, "size": end - at})
            start += end - at
        if one:
            maps.append(one)
            at = max(at, one["containerID"] + one["size"])
    return maps


def _size(engine: Engine, plan: Plan, record: dict[str, Any]) -> int:
    """As many ids as the image's users and groups need, and that of the process. UsageError beyond podman's bound."""
    from crate.runtime.user import names
    from crate.storage.rootfs import mount_layers

    highest = 0
    for number in record["user"].split(":"):
        if number.isdigit():
            highest = max(highest, int(number))
    if highest >= 1 << 31:
        raise UsageError(f"user {record['user']}: the id is not within 0 to 2147483647")
    if record["rootfs"]:
        root_fd = os.open(record["rootfs"], os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    else:
        root_fd = mount_layers(engine.roots, record["layers"])
    try:
        for path in ("etc/passwd", "etc/group"):
            known = [number for number in names(root_fd, path) if number < _NOBODY]
            highest = max(highest, *known) if known else highest
    finally:
        os.close(root_fd)
    if highest >= _MOST:  # the image's word alone must not take what other containers need
        raise UsageError(
            f"cannot use user {record['user']} with --userns auto: it gives at most {_MOST} ids by itself",
            f"--userns auto:size={highest + 1}",
        )
    return max(_LEAST, highest + 1)
