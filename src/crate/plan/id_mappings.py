"""--userns, --uidmap, --gidmap and the names of ranges: which ids the container has, and what they are outside."""

from __future__ import annotations

from itertools import pairwise

from crate.errors import UsageError
from crate.plan.refusal import invalid

TYPE_CHECKING = False
if TYPE_CHECKING:
    from crate.oci.runtime_spec import LinuxIDMapping
    from crate.plan.host import Host
    from crate.plan.shapes import IdRequest, Options
    from crate.settings import Settings

_ID_MAX = 1 << 32
_MODES = "host, private, auto, keep-id, nomap, container:ID or ns:PATH"


class UserNamespace:
    """The mode in force (`host`, `private`, `container:ID`, `ns:PATH`) and what a start needs for it.

    `request` is None where the caller's own namespace is shared; `user` is who the process becomes unless --user or the
    image says so, as `UID:GID`.
    """

    __slots__ = ("mode", "request", "user")

    def __init__(self, options: Options, settings: Settings, host: Host) -> None:
        self.mode = "host"
        self.request: IdRequest | None = None
        self.user = ""
        given = options.get("userns")
        mode = given if given is not None else settings.get("containers.userns")
        maps = _explicit(options, host)
        if maps:
            if given and given != "private":
                raise UsageError("--userns and --uidmap/--gidmap/--subuidname are mutually exclusive")
            self._give(*maps)
            return
        word, colon, rest = mode.partition(":")
        if mode in ("", "host"):
            return
        if word in ("container", "ns") and rest:
            if word == "ns" and not rest.startswith("/"):
                raise _no_mode(mode)
            self.mode = mode
            self.request = {"kind": word, "uids": [], "gids": [], "target": rest, "size": 0}
        elif word == "auto":
            self.mode = "private"
            self.request = _auto(mode, rest)
        elif word == "keep-id":
            self._keep(host, mode, rest)
        elif word == "nomap" and not colon:
            _only_rootless("nomap", host)
            self._give(*(_without_own(ids) for ids in _own_ids(host)))
        elif mode == "private":
            self._give(*(_identity(ids) for ids in _own_ids(host)))
        else:
            raise _no_mode(mode)

    def _give(self, uids: list[LinuxIDMapping], gids: list[LinuxIDMapping]) -> None:
        for maps in (uids, gids):
            if all(one["containerID"] for one in maps):
                raise UsageError(
                    "the user namespace must map id 0, which sets up the container",
                    "add --uidmap 0:FIRST:COUNT; for keep-id and nomap, subordinate ids (usermod --add-subuids)",
                )
        self.mode = "private"
        self.request = {"kind": "given", "uids": uids, "gids": gids, "target": "", "size": 0}

    def _keep(self, host: Host, mode: str, rest: str) -> None:
        _only_rootless("keep-id", host)
        uid, gid = host.own_ids()
        for field in rest.split(",") if rest else ():
            name, _, value = field.partition("=")
            if name not in ("uid", "gid") or not _is_id(value):
                raise UsageError(f"--userns: invalid USER mode: {mode}", "keep-id[:uid=UID,gid=GID]")
            uid, gid = (int(value), gid) if name == "uid" else (uid, int(value))
        self._give(*(_kept(ids, own) for ids, own in zip(_own_ids(host), (uid, gid), strict=True)))
        self.user = f"{uid}:{gid}"


def _no_mode(mode: str) -> UsageError:
    return UsageError(f"--userns: invalid USER mode: {mode}", _MODES)


def _only_rootless(word: str, host: Host) -> None:
    if not host.rootless:
        raise UsageError(f"{word} is only supported in rootless mode")


def _own_ids(host: Host) -> tuple[int, int]:
    """How many user and group ids there are from 0 up in the namespace that crate runs in."""
    if not host.rootless:
        return _ID_MAX - 1, _ID_MAX - 1
    return sum(size for _, size in host.mapped_uids()), sum(size for _, size in host.mapped_gids())


def _mapping(inside: int, outside: int, size: int) -> LinuxIDMapping:
    return {"containerID": inside, "hostID": outside, "size": size}


def _identity(count: int) -> list[LinuxIDMapping]:
    return [_mapping(0, 0, count)]


def _without_own(count: int) -> list[LinuxIDMapping]:
    """All but the first, which is the user's own."""
    if count < 2:
        raise UsageError(
            "nomap leaves no id: this user has no subordinate ids", "usermod --add-subuids, see usermod(8)"
        )
    return [_mapping(0, 1, count - 1)]


def _kept(count: int, own: int) -> list[LinuxIDMapping]:
    """The first, which is the user's own, as `own` inside; the others around it in their order."""
    others, below = count - 1, min(own, count - 1)
    maps = [_mapping(0, 1, below)] if below else []
    maps.append(_mapping(own, 0, 1))
    if others > below:
        maps.append(_mapping(own + 1, below + 1, others - below))
    return maps


def _auto(mode: str, rest: str) -> IdRequest:
    request: IdRequest = {"kind": "auto", "uids": [], "gids": [], "target": "", "size": 0}
    for field in rest.split(",") if rest else ():
        name, _, value = field.partition("=")
        if name == "size" and _is_id(value) and int(value):
            request["size"] = int(value)
        elif name == "uidmapping":
            request["uids"].append(_parse("userns", value))
        elif name == "gidmapping":
            request["gids"].append(_parse("userns", value))
        else:
            hint = "auto[:size=SIZE,uidmapping=CONTAINER_ID:HOST_ID:COUNT,gidmapping=…]"
            raise UsageError(f"--userns: invalid USER mode: {mode}", hint)
    return request


def _explicit(options: Options, host: Host) -> tuple[list[LinuxIDMapping], list[LinuxIDMapping]] | None:
    """The maps of --uidmap and --gidmap, or of the ranges that --subuidname and --subgidname name; what is given for
    the one kind alone holds for both."""
    uids, gids = options.get("uidmap") or (), options.get("gidmap") or ()
    users, groups = options.get("subuidname"), options.get("subgidname")
    if (users and uids) or (groups and gids):
        raise UsageError("--uidmap and --subuidname, --gidmap and --subgidname are mutually exclusive")
    if not (uids or gids or users or groups):
        return None
    made = [
        _named(name, path, host) if name else [_parse(option, text) for text in texts]
        for name, path, option, texts in (
            (users or (not uids and groups), "/etc/subuid", "uidmap", uids),
            (groups or (not gids and users), "/etc/subgid", "gidmap", gids),
        )
    ]
    for option, maps in zip(("uidmap", "gidmap"), made, strict=True):
        _refuse_overlap(option, maps)
    return made[0] or made[1], made[1] or made[0]


def _named(name: str, path: str, host: Host) -> list[LinuxIDMapping]:
    """The ranges of a name in subuid(5), one after the other from 0 on."""
    ranges = host.subordinate(path, name)
    if not ranges:
        raise UsageError(
            f'cannot find mappings for user "{name}": no ranges found for user "{name}" in {path}',
            f"echo {name}:FIRST:COUNT >> {path}",
        )
    maps, inside = [], 0
    for start, count in ranges:
        maps.append(_mapping(inside, start, count))
        inside += count
    return maps


def _is_id(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 11 and int(text) < _ID_MAX


def _parse(option: str, text: str) -> LinuxIDMapping:
    words = text.split(":")
    if len(words) not in (2, 3) or not all(map(_is_id, words)):
        raise invalid(option, text, f"invalid mapping: {text}", "write it as CONTAINER_ID:HOST_ID:COUNT")
    inside, outside, size = (int(word) for word in (*words, "1")[:3])
    if size < 1 or max(inside, outside) + size > _ID_MAX:
        raise invalid(option, text, f"invalid mapping: {text}: the ids are not within 0 to 4294967295")
    return _mapping(inside, outside, size)


def parse_idmap(text: str, destination: str) -> tuple[list[LinuxIDMapping], list[LinuxIDMapping]]:
    """`uids=0-1-10#10-11-10;gids=0-100-10` of an id-mapped mount, podman's form: first id on the disk, first id
    that the mount shows, how many. What is given for the one kind alone holds for both."""
    found: dict[str, list[LinuxIDMapping]] = {"uids": [], "gids": []}
    for part in text.split(";"):
        name, _, ranges = part.partition("=")
        numbers = [entry.split("-") for entry in ranges.split("#")]
        if name not in found or not all(len(entry) == 3 and all(map(_is_id, entry)) for entry in numbers):
            raise UsageError(
                f"cannot map the ids of {destination}: invalid idmap {text}", "idmap=uids=DISK-SHOWN-COUNT[#…];gids=…"
            )
        found[name] = [_mapping(int(disk), int(shown), int(count)) for disk, shown, count in numbers]
    return found["uids"] or found["gids"], found["gids"] or found["uids"]


def _refuse_overlap(option: str, maps: list[LinuxIDMapping]) -> None:
    """The kernel would refuse them too, with no more to say than EINVAL."""
    for ids in (
        sorted((one["containerID"], one["size"]) for one in maps),
        sorted((one["hostID"], one["size"]) for one in maps),
    ):
        for (first, size), (second, _) in pairwise(ids):
            if first + size > second:
                raise UsageError(f"--{option}: the mappings overlap at id {second}", "each id may be mapped once")
