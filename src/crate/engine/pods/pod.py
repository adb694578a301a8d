"""Pods: containers that share the namespaces of one sandbox, and one cgroup.

The sandbox is a container like others (podman's infra container), with a monitor, an address, ports and the files of
/etc; its program is `sandbox_program`. It is made with the pod, and started by the first container that needs it. So
a pod has no process and no state of its own: what its containers do is its state.
"""

from __future__ import annotations

import time

from crate.engine import containers
from crate.engine.names import random_name
from crate.errors import CrateError, HostError, NameInUseError, NotFoundError, StateError, UsageError
from crate.plan import pod as planning
from crate.plan.record import make_labels
from crate.storage import containers as container_store
from crate.storage import journal
from crate.storage import pods as store

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from crate.cgroup import Cgroup
    from crate.engine.containers import Container
    from crate.engine.context import Engine

RUNS = ("running", "paused", "restarting", "stopping")
_ALIKE = {"stopping": "running", "initialized": "created"}


class Pod:
    """One pod. `record` is what was asked for; `members` are its containers now, oldest first."""

    __slots__ = ("id", "members", "name", "record")

    def __init__(self, record: dict[str, Any], members: list[Container]) -> None:
        self.record = record
        self.id: str = record["id"]
        self.name: str = record["name"]
        self.members = members

    @property
    def sandbox(self) -> Container | None:
        """Its infra container."""
        return next((member for member in self.members if is_sandbox(member)), None)

    @property
    def others(self) -> list[Container]:
        """The containers that somebody put into it."""
        return [member for member in self.members if not is_sandbox(member)]

    def running(self, engine: Engine) -> list[Container]:
        """Those of `members` that run or are paused."""
        return [member for member in self.members if member.state(engine)["status"] in RUNS]

    def status(self, engine: Engine) -> str:
        """Created, Running, Degraded (not all run), Paused, Exited, Stopped (not all have ended), as podman has it."""
        states = [_ALIKE.get(state, state) for state in (member.state(engine)["status"] for member in self.members)]
        if not states:
            return "Created"
        if "running" in states:
            return "Running" if len(set(states)) == 1 else "Degraded"
        if set(states) == {"paused"}:
            return "Paused"
        if "exited" in states:
            return "Exited" if len(set(states)) == 1 else "Stopped"
        return "Created"


def pod_id(container: Container) -> str:
    """The full id of the pod that the container is in; "" for most."""
    return str(container.record["options"].get("pod_id") or "")


def is_sandbox(container: Container) -> bool:
    """Whether it is the infra container of a pod."""
    return bool(container.record["options"].get("infra"))


def load(engine: Engine, record: dict[str, Any], listed: list[Container] | None = None) -> Pod:
    """The pod of a record. `listed`: all containers, where they are known."""
    every = containers.listing(engine) if listed is None else listed
    members = [container for container in every if pod_id(container) == record["id"]]
    return Pod(record, sorted(members, key=lambda member: member.record["created"]))


def find(engine: Engine, text: str) -> Pod:
    """The pod that a name, an id or the beginning of an id means. NotFoundError."""
    return load(engine, store.find(engine.roots, text))


def of_container(engine: Engine, container: Container) -> Pod:
    """The pod that a container is in. StateError when it was removed."""
    record = store.read(engine.roots, pod_id(container))
    if record is None:
        raise StateError(f"cannot use container {container.name}: its pod was removed", f"crate rm {container.name}")
    return load(engine, record)


def listing(engine: Engine) -> list[Pod]:
    """All pods, newest first."""
    records = store.listing(engine.roots)
    every = containers.listing(engine) if records else []
    return [load(engine, record, every) for record in records]


def create(engine: Engine, options: dict[str, Any]) -> Pod:
    """The new pod with its sandbox, of the options of `pod create`; nothing is left behind by a failure."""
    planning.check_pod(options)
    if options.get("name") and options.get("replace"):
        _make_room(engine, options["name"])
    share = planning.parse_share(options.get("share"))
    if options.get("infra") is False:
        share = []
    identifier = container_store.new_id()
    parent = options.get("cgroup_parent") or engine.settings.get("containers.cgroup_parent") or "/crate"
    record: dict[str, Any] = {
        "version": store.VERSION,
        "id": identifier,
        "name": options.get("name") or random_name(),
        "created": time.time_ns(),
        "hostname": options.get("hostname") or "",
        "labels": make_labels(options, {}, _host(engine)),
        "share": share,
        "share_parent": options.get("share_parent") is not False,
        "exit_policy": options.get("exit_policy") or "continue",
        "cgroup_parent": f"/{parent.strip('/')}",
        "cgroup": f"/{parent.strip('/')}/{identifier}".replace("//", "/"),
        "resources": _resources(engine, options),
        "sandbox": {},
        "options": planning.lasting_options(options),
        "create_command": options.get("create_command") or [],
    }
    if share:
        image = options.get("infra_image") or engine.settings.get("pods.infra_image") or None
        record["sandbox"] = planning.sandbox_options({**options, "infra_image": image}, record)
    store.create(engine.roots, record)
    made = Pod(record, [])
    try:
        wanted = options.get("cgroup_parent")
        if record["resources"] or wanted:  # what cannot be is refused now, not at the first start
            group = make_cgroup(engine, made)
            if wanted and not group.directories():
                hint = "leave it away, or use cgroup v2"
                raise HostError("cannot use --cgroup-parent: this user has no cgroups here", hint)
        if share:
            made.members.append(_make_sandbox(engine, record))
    except BaseException:
        remove_cgroup(made)
        store.release(engine.roots, identifier)
        raise
    journal.record(engine.roots, "pod", "create", made.id, made.name, attributes=record["labels"])
    return made


def _host(engine: Engine) -> Any:
    from crate.plan.host import Host

    return Host(engine.roots.rootless)


def _resources(engine: Engine, options: dict[str, Any]) -> dict[str, Any]:
    """OCI linux.resources of the cgroup around all containers of the pod."""
    from crate.plan.resources import make_resources

    warnings: list[str] = []
    made = make_resources({"pids_limit": 0, **options}, _host(engine), engine.settings, warnings)
    for text in warnings:
        if engine.warn:
            engine.warn(text)
    return dict(made)


def _make_room(engine: Engine, name: str) -> None:
    """Removes the pod of this name, for --replace."""
    from crate.engine.pods.verbs import remove

    for record in store.listing(engine.roots):
        if record["name"] == name:
            remove(engine, load(engine, record), force=True)


def ensure_sandbox(engine: Engine, pod: Pod) -> Container | None:
    """The sandbox of a pod that has one, made again where the pod's maker was killed before it had made it."""
    if not pod.record["sandbox"]:
        return None
    return pod.sandbox or _make_sandbox(engine, pod.record)


def _make_sandbox(engine: Engine, record: dict[str, Any]) -> Container:
    from crate.engine import create as creating
    from crate.engine.pods import sandbox_image

    options = dict(record["sandbox"])
    if options["infra"] == "sandbox":
        options["image"] = sandbox_image.name()  # of the crate that makes it, which may not be the pod's
    try:
        identifier = creating.create(engine, options)
    except NameInUseError:
        known = load(engine, record).sandbox  # another command was faster
        if known is None:
            raise
        return known
    made = containers.load(engine, identifier)
    if made is None:
        raise NotFoundError(f"the infra container of pod {record['name']} was removed")
    return made


def make_cgroup(engine: Engine, pod: Pod) -> Cgroup:
    """The cgroup around the containers, with the pod's limits. HostError for a limit that cannot be enforced."""
    from crate import cgroup

    found = cgroup.find(pod.record["cgroup"])
    if pod.record["resources"] or not found.directories():
        return cgroup.create(pod.record["cgroup"], pod.record["resources"])
    return found


def remove_cgroup(pod: Pod) -> None:
    """Takes it away when nothing runs in it; what will not go stays for the next time."""
    from crate import cgroup

    try:
        group = cgroup.find(pod.record["cgroup"])
        if not group.pids():
            group.remove()
    except (OSError, CrateError):
        pass


def refuse_sandbox(container: Container, verb: str) -> None:
    """StateError for what is not to be done to the infra container of a pod alone."""
    if is_sandbox(container):
        raise StateError(
            f"container {container.id} is the infra container of pod {pod_id(container)} and cannot be {verb} "
            "without removing the pod",
            f"crate pod rm {pod_id(container)[:12]}",
        )


def read_id_file(path: str) -> str:
    """The id that --pod-id-file of `pod create` wrote. UsageError."""
    try:
        with open(path, encoding="utf-8") as file:
            text = file.readline().strip()
    except OSError as error:
        raise UsageError(f"cannot read pod ID file {path}: {error.strerror}") from None
    if not text:
        raise UsageError(f"cannot read pod ID file {path}: it is empty")
    return text
