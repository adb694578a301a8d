"""What `crate pod ps` shows: which pods, in which order, and each column of them."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from crate.cli import formats, human
from crate.engine.pods import pod as pods
from crate.errors import UsageError

if TYPE_CHECKING:
    from typing import Any

    from crate.engine.context import Engine
    from crate.engine.pods.pod import Pod

_COLUMNS = (
    ("Id", "POD ID"),
    ("Name", "NAME"),
    ("Status", "STATUS"),
    ("Created", "CREATED"),
    ("InfraID", "INFRA ID"),
)
_NUMBER = (("NumberOfContainers", "# OF CONTAINERS"),)
_CONTAINERS = (
    ("ctr_ids", ("ContainerIds", "IDS")),
    ("ctr_names", ("ContainerNames", "NAMES")),
    ("ctr_status", ("ContainerStatuses", "STATUS")),
)
_NAMESPACES = (("Cgroup", "CGROUP"), ("SharedNamespaces", "NAMESPACES"))
_FURTHER = (
    ("ID", "POD ID"),
    ("Labels", "LABELS"),
    ("Networks", "NETWORKS"),
    ("Cgroup", "CGROUP"),
    ("ContainerIds", "IDS"),
    ("ContainerNames", "NAMES"),
    ("ContainerStatuses", "STATUS"),
    ("CreatedAt", "CREATED AT"),
)


class _Entry:
    """A pod on its way to a line."""

    __slots__ = ("engine", "now_ns", "pod", "whole")

    def __init__(self, engine: Engine, pod: Pod, whole: bool, now_ns: int) -> None:
        self.engine = engine
        self.pod = pod
        self.whole = whole
        self.now_ns = now_ns

    def identifier(self, text: str) -> str:
        """An id, as long as it is wanted."""
        return text if self.whole else text[:12]


def text(engine: Engine, options: dict[str, Any]) -> str:
    """The whole output."""
    found = choose(engine, options)
    now_ns = time.time_ns()
    entries = [_Entry(engine, pod, bool(options["no_trunc"]), now_ns) for pod in found]
    rows = [formats.Row(entry, _FIELDS, _FIELDS) for entry in entries]
    asked = tuple(column for option, column in _CONTAINERS if options[option])
    columns = (*_COLUMNS, *(asked or _NUMBER), *(_NAMESPACES if options["ns"] else ()))
    return formats.listing(
        rows, columns, options, quiet="Id", further=_FURTHER, objects=lambda: [_object(entry) for entry in entries]
    )


def choose(engine: Engine, options: dict[str, Any]) -> list[Pod]:
    """The pods that the options want, in the order that they want. UsageError."""
    found = pods.listing(engine)
    if options["filter"]:
        from crate.cli import filters

        found = filters.pods(engine, options["filter"], found)
    order = options["sort"]
    if order and order != "created":
        keys: dict[str, Any] = {
            "id": lambda pod: pod.id,
            "name": lambda pod: pod.name,
            "number": lambda pod: len(pod.members),
            "status": lambda pod: pod.status(engine),
        }
        if order not in keys:
            raise UsageError(f"invalid option for --sort, options are: created, {', '.join(keys)}")
        found = sorted(found, key=keys[order])
    return found[:1] if options["latest"] else found


def networks(pod: Pod) -> list[str]:
    """The networks of its sandbox by name."""
    if not pod.sandbox:
        return []
    from crate.engine.networks import attachments

    return attachments.names(pod.sandbox.record["network"])


def _infra(pod: Pod) -> str:
    return pod.sandbox.id if pod.sandbox else ""


def _states(entry: _Entry) -> list[str]:
    return [member.state(entry.engine)["status"] for member in entry.pod.members]


def _label(entry: _Entry) -> Any:
    return lambda name: entry.pod.record["labels"].get(name, "")


_FIELDS: dict[str, Any] = {
    "Id": lambda entry: entry.identifier(entry.pod.id),
    "ID": lambda entry: entry.identifier(entry.pod.id),
    "Name": lambda entry: entry.pod.name,
    "Status": lambda entry: entry.pod.status(entry.engine),
    "Created": lambda entry: human.ago(entry.pod.record["created"], entry.now_ns),
    "CreatedAt": lambda entry: human.stamp(entry.pod.record["created"]),
    "InfraID": lambda entry: entry.identifier(_infra(entry.pod)),
    "InfraId": lambda entry: entry.identifier(_infra(entry.pod)),
    "NumberOfContainers": lambda entry: len(entry.pod.members),
    "ContainerIds": lambda entry: ",".join(entry.identifier(member.id) for member in entry.pod.members),
    "ContainerNames": lambda entry: ",".join(member.name for member in entry.pod.members),
    "ContainerStatuses": lambda entry: ",".join(_states(entry)),
    "Cgroup": lambda entry: entry.pod.record["cgroup_parent"],
    "Namespace": lambda entry: "",
    "SharedNamespaces": lambda entry: ",".join(entry.pod.record["share"]),
    "Networks": lambda entry: ",".join(networks(entry.pod)),
    "Labels": lambda entry: ",".join(f"{key}={value}" for key, value in sorted(entry.pod.record["labels"].items())),
    "Label": _label,
}


def _object(entry: _Entry) -> dict[str, Any]:
    """A pod in podman's JSON."""
    pod = entry.pod
    return {
        "Cgroup": pod.record["cgroup_parent"],
        "Containers": [
            {"Id": member.id, "Names": member.name, "Status": state}
            for member, state in zip(pod.members, _states(entry), strict=True)
        ],
        "Created": human.rfc3339(pod.record["created"]),
        "Id": pod.id,
        "InfraId": _infra(pod),
        "Name": pod.name,
        "Namespace": "",
        "Networks": networks(pod),
        "Status": pod.status(entry.engine),
        "Labels": pod.record["labels"],
    }
