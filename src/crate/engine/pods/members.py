"""A container and its pod: joining it when it is made, its sandbox and names when it starts."""

from __future__ import annotations

import os

from crate.engine.pods import pod as pods
from crate.errors import StateError, UsageError
from crate.plan import pod as planning
from crate.storage.lock import Lock

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from crate.engine.containers import Container
    from crate.engine.context import Engine

_HOSTS_MAX = 1 << 20
#: what follows it in /etc/hosts is written again whenever a container starts
_MARK = "# containers of the pod"


def prepare(engine: Engine, options: dict[str, Any], launches: bool) -> tuple[Container, int]:
    """As crate.engine.create.prepare, for options with --pod or --pod-id-file."""
    from crate.engine import create

    text, path = options.get("pod"), options.get("pod_id_file")
    if text and path:
        raise UsageError("cannot specify both --pod and --pod-id-file")
    name = pods.read_id_file(path) if path else str(text)
    if not name.startswith("new:"):
        pod = pods.find(engine, name)
        return create.prepare(engine, _joined(engine, pod, options), launches)
    pod = pods.create(engine, _options_of_new(options, name[4:]))
    try:
        own = {key: value for key, value in options.items() if key not in planning.OF_NEW}
        return create.prepare(engine, _joined(engine, pod, own), launches)
    except BaseException:
        from crate.engine.pods.verbs import remove

        remove(engine, pods.find(engine, pod.id), force=True)
        raise


def _joined(engine: Engine, pod: pods.Pod, options: dict[str, Any]) -> dict[str, Any]:
    sandbox = pods.ensure_sandbox(engine, pod)
    return planning.member_options(options, pod.record, sandbox.id if sandbox else "")


def apart(engine: Engine, container: Container) -> dict[str, Any]:
    """The options of a container before it joined its pod. StateError for a pod's sandbox."""
    if pods.is_sandbox(container):
        raise StateError(f"container {container.name} is the infra container of a pod", "crate pod clone")
    pod = pods.of_container(engine, container)
    return planning.unjoined_options(container.record["options"], pod.record, pod.sandbox.id if pod.sandbox else "")


def _options_of_new(options: dict[str, Any], name: str) -> dict[str, Any]:
    if not name:
        raise UsageError("new pod name must be at least one character")
    return {"name": name, **{key: options[key] for key in planning.OF_NEW if options.get(key)}}


def enter(engine: Engine, container: Container) -> None:
    """What must be there before a container of a pod starts: the pod's cgroup, its sandbox, and its name for others."""
    pod = pods.of_container(engine, container)
    pods.make_cgroup(engine, pod)
    if pods.is_sandbox(container):
        return
    sandbox = pods.ensure_sandbox(engine, pod)
    if sandbox is None:
        return
    from crate.engine.start import start

    start(engine, sandbox)
    if "net" in pod.record["share"]:
        names = [other.name for other in pod.others if shares_network(other, sandbox)]
        write_names(f"{sandbox.paths.directory}/hosts", names)


def shares_network(container: Container, sandbox: Container) -> bool:
    """Whether it is in the sandbox's network."""
    return bool(container.record["joins"].get("network", {}).get("container") == sandbox.id)


def write_names(path: str, names: list[str]) -> None:
    """Puts the containers' names into the sandbox's /etc/hosts, each for 127.0.0.1, as podman does.

    In place: the file is bound into every container of the pod, and a new one in its stead would be seen by none.
    """
    try:
        with Lock(os.path.dirname(path)):
            fd = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
            try:
                _rewrite(fd, names)
            finally:
                os.close(fd)
    except FileNotFoundError:
        pass  # --no-hosts


def _rewrite(fd: int, names: list[str]) -> None:
    text = os.pread(fd, _HOSTS_MAX, 0)
    if len(text) == _HOSTS_MAX:
        return  # the containers may write to it, and made it their own
    base = text.decode("utf-8", "surrogateescape").partition(_MARK)[0]
    lines = "".join(f"127.0.0.1\t{name}\n" for name in names)
    new = f"{base}{_MARK}\n{lines}".encode("utf-8", "surrogateescape")
    if new != text:
        os.pwrite(fd, new, 0)
        os.ftruncate(fd, len(new))
