"""What `crate ps` shows: which containers, in which order, and each column of them."""

from __future__ import annotations

import time

from crate.cli import formats, human
from crate.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from crate.engine.containers import Container
    from crate.engine.context import Engine

_COLUMNS = (
    ("ID", "CONTAINER ID"),
    ("Image", "IMAGE"),
    ("Command", "COMMAND"),
    ("RunningFor", "CREATED"),
    ("Status", "STATUS"),
    ("Ports", "PORTS"),
    ("Names", "NAMES"),
)
_NAMESPACES = (
    ("ID", "CONTAINER ID"),
    ("Names", "NAMES"),
    ("Pid", "PID"),
    ("CGROUPNS", "CGROUPNS"),
    ("IPC", "IPC"),
    ("MNT", "MNT"),
    ("NET", "NET"),
    ("PIDNS", "PIDNS"),
    ("USERNS", "USERNS"),
    ("UTS", "UTS"),
)
_FURTHER = (
    ("CreatedAt", "CREATED AT"),
    ("CreatedHuman", "CREATED"),
    ("ExitCode", "EXIT CODE"),
    ("ImageID", "IMAGE ID"),
    ("LocalVolumes", "LOCAL VOLUMES"),
    ("StartedAt", "STARTED AT"),
)
_JSON = (
    "Command", "CreatedAt", "ID", "Image", "Labels", "LocalVolumes", "Mounts", "Names", "Networks", "Ports",
    "RunningFor", "Size", "State", "Status",
)  # fmt: skip


class _Entry:
    """A container on its way to a line."""

    __slots__ = ("container", "engine", "now_ns", "options", "state")

    def __init__(self, engine: Engine, container: Container, options: dict[str, Any], now_ns: int) -> None:
        self.engine = engine
        self.container = container
        self.options = options
        self.now_ns = now_ns
        self.state = container.state(engine)

    @property
    def record(self) -> dict[str, Any]:
        return self.container.record


def text(engine: Engine, options: dict[str, Any]) -> str:
    """The whole output."""
    entries = choose(engine, options)
    shown = [*_JSON]
    rows = [formats.Row(entry, _FIELDS, shown) for entry in entries]
    columns: tuple[tuple[str, str], ...] = _COLUMNS
    if options["ns"]:
        columns = _NAMESPACES
    elif options["size"]:
        columns = (*_COLUMNS, ("Size", "SIZE"))
    if options["pod"] and not options["ns"]:
        columns = (*columns, ("Pod", "POD ID"), ("PodName", "PODNAME"))
    return formats.listing(rows, columns, options, further=_FURTHER, objects=lambda: _objects(entries, rows))


def _objects(entries: list[_Entry], rows: list[formats.Row]) -> list[dict[str, Any]]:
    from crate.cli.container import listing_json

    return [listing_json.described(entry.container, entry.state, row) for entry, row in zip(entries, rows, strict=True)]


def row(engine: Engine, container: Container, now_ns: int) -> formats.Row:
    """The fields of one container, for other lists."""
    options = dict.fromkeys(("no_trunc", "size", "format"))
    return formats.Row(_Entry(engine, container, options, now_ns), _FIELDS, _JSON)


def choose(engine: Engine, options: dict[str, Any]) -> list[_Entry]:
    """The containers that the options want, in the order that they want."""
    from crate.engine import containers

    given = options["filter"] or []
    last = options["last"] if options["last"] is not None else -1
    everything = options["all"] or options["latest"] or last > 0 or any(f.startswith("status=") for f in given)
    listed = containers.listing(engine, live=not everything)
    now_ns = time.time_ns()
    if given:
        from crate.cli import filters

        listed = filters.containers(engine, given, listed)
    entries = [_Entry(engine, container, options, now_ns) for container in listed]
    if not everything:
        entries = [entry for entry in entries if entry.state["status"] in ("running", "paused", "restarting")]
    entries = _sorted(entries, options["sort"])
    if options["latest"]:
        return entries[:1]
    return entries[:last] if last > 0 else entries


def _sorted(entries: list[_Entry], field: str | None) -> list[_Entry]:
    if field is None:
        return entries
    keys = {
        "command": _command,
        "created": lambda entry: entry.record["created"],
        "id": lambda entry: entry.container.id,
        "image": _image,
        "names": lambda entry: entry.container.name,
        "runningfor": lambda entry: entry.record["created"],
        "size": lambda entry: _sizes(entry)[0],
        "status": lambda entry: entry.state["status"],
    }
    if field.lower() not in keys:
        raise UsageError(f'invalid option for --sort: "{field}"', f"one of {', '.join(keys)}")
    return sorted(entries, key=keys[field.lower()])


# The fields.


def _id(entry: _Entry) -> str:
    return entry.container.id if entry.options["no_trunc"] else entry.container.id[:12]


def _image(entry: _Entry) -> str:
    return str(entry.record["options"].get("image") or "")


def _command(entry: _Entry) -> str:
    command = " ".join([*entry.record["entrypoint"], *entry.record["command"]])
    if entry.options["no_trunc"] or len(command) <= 20:
        return command
    return command[:19] + "…"


def status(state: dict[str, Any], now_ns: int) -> str:
    """`Up 3 seconds`, `Exited (0) 2 minutes ago`, `Created`, `Paused`."""
    name = state["status"]
    if name == "running":
        note = f" ({state['health']['Status']})" if state.get("health") else ""
        return f"Up {human.span((now_ns - state['started_at']) / 1e9)}{note}"
    if name in ("exited", "restarting"):
        return f"{name.capitalize()} ({state['exit_code']}) {human.ago(state['finished_at'], now_ns)}"
    return str({"created": "Created", "removing": "Removal In Progress"}.get(name, name.capitalize()))


def _state(entry: _Entry) -> str:
    return str(entry.state["status"])


def ports(published: list[dict[str, Any]]) -> str:
    """`0.0.0.0:8080-8082->80-82/tcp`: docker joins what follows one another."""
    runs: list[list[Any]] = []
    order = sorted(published, key=lambda p: (p["protocol"], p["host_ip"], p["container_port"], p["host_port"]))
    for port in order:
        last = runs[-1] if runs else None
        if (
            last
            and (last[0], last[1]) == (port["host_ip"], port["protocol"])
            and port["container_port"] == last[3] + 1
            and port["host_port"] == last[5] + 1
        ):
            last[3], last[5] = port["container_port"], port["host_port"]
            continue
        numbers = (port["container_port"], port["container_port"], port["host_port"], port["host_port"])
        runs.append([port["host_ip"], port["protocol"], *numbers])
    shown = []
    for address, protocol, first, final, host_first, host_final in runs:
        inside = str(first) if first == final else f"{first}-{final}"
        outside = str(host_first) if host_first == host_final else f"{host_first}-{host_final}"
        address = address or "0.0.0.0"
        address = f"[{address}]" if ":" in address else address
        shown.append(f"{address}:{outside}->{inside}/{protocol}")
    return ", ".join(shown)


def _ports(entry: _Entry) -> str:
    if not entry.record["options"].get("pod_id"):
        lease = entry.state.get("lease") or {}
        if not lease.get("ports"):
            return ""
        from crate.engine.networks.published import of_lease

        return ports(of_lease(lease))
    from crate.engine.networks.published import published

    return ports(published(entry.engine, entry.container))


def _labels(entry: _Entry) -> str:
    labels = entry.record.get("labels") or {}
    return ",".join(f"{key}={labels[key]}" for key in sorted(labels))


def _label(entry: _Entry) -> Any:
    labels = entry.record.get("labels") or {}
    return lambda name: labels.get(name, "")


def _mounts(entry: _Entry) -> str:
    mounts = entry.record.get("mounts") or []
    names = [str(mount.get("name") or mount.get("source") or mount.get("destination") or "") for mount in mounts]
    if not entry.options["no_trunc"]:
        names = [name if len(name) <= 15 else name[:14] + "…" for name in names]
    return ",".join(name for name in names if name)


def _local_volumes(entry: _Entry) -> str:
    return str(sum(1 for mount in entry.record.get("mounts") or [] if mount.get("name")))


def _networks(entry: _Entry) -> str:
    from crate.engine.networks import attachments

    request = entry.record["network"]
    return ",".join(attachments.names(request) or [request["mode"]])


def _sizes(entry: _Entry) -> tuple[int, int]:
    from crate.engine.usage import sizes

    return sizes.of(entry.engine, entry.container)


def _size(entry: _Entry) -> str:
    if not (entry.options["size"] or ".Size" in (entry.options["format"] or "")):
        return "0B"  # as docker, which looks only when it is asked to
    own, whole = _sizes(entry)
    return f"{human.size(own)} (virtual {human.size(whole)})"


def _namespace(kind: str) -> Any:
    def number(entry: _Entry) -> str:
        import os

        try:
            return os.readlink(f"/proc/{entry.state['pid']}/ns/{kind}").partition("[")[2].rstrip("]")
        except OSError:
            return ""

    return number


def _pod(entry: _Entry) -> str:
    identifier = str(entry.record["options"].get("pod_id") or "")
    return identifier if entry.options["no_trunc"] else identifier[:12]


def _pod_name(entry: _Entry) -> str:
    identifier = entry.record["options"].get("pod_id")
    if not identifier:
        return ""
    from crate.storage import pods

    pod = pods.read(entry.engine.roots, identifier)
    return str(pod["name"]) if pod else ""


_FIELDS: dict[str, Any] = {
    "ID": _id,
    "Image": _image,
    "ImageID": lambda entry: str(entry.record.get("image") or ""),
    "Command": _command,
    "Created": lambda entry: entry.record["created"] // 10**9,
    "CreatedAt": lambda entry: human.stamp(entry.record["created"]),
    "CreatedHuman": lambda entry: human.ago(entry.record["created"], entry.now_ns),
    "RunningFor": lambda entry: human.ago(entry.record["created"], entry.now_ns),
    "StartedAt": lambda entry: entry.state["started_at"] // 10**9,
    "Status": lambda entry: status(entry.state, entry.now_ns),
    "State": _state,
    "ExitCode": lambda entry: entry.state["exit_code"],
    "Exited": lambda entry: entry.state["status"] == "exited",
    "ExitedAt": lambda entry: entry.state["finished_at"] // 10**9,
    "AutoRemove": lambda entry: bool(entry.record.get("remove")),
    "Ports": _ports,
    "Names": lambda entry: entry.container.name,
    "Name": lambda entry: entry.container.name,
    "Labels": _labels,
    "Label": _label,
    "LocalVolumes": _local_volumes,
    "Mounts": _mounts,
    "Networks": _networks,
    "Size": _size,
    "Pid": lambda entry: entry.state["pid"],
    "PID": lambda entry: entry.state["pid"],
    "Pod": _pod,
    "PodName": _pod_name,
    "Platform": lambda entry: str(entry.record.get("platform") or ""),
    "Restarts": lambda entry: entry.state.get("restarts", 0),
    "IsInfra": lambda entry: bool(entry.record["options"].get("infra")),
    "CGROUPNS": _namespace("cgroup"),
    "IPC": _namespace("ipc"),
    "MNT": _namespace("mnt"),
    "NET": _namespace("net"),
    "PIDNS": _namespace("pid"),
    "USERNS": _namespace("user"),
    "UTS": _namespace("uts"),
}
