"""A container as commands see it: its record, its state, and the healing of what a crash left."""

from __future__ import annotations

import _signal
import os

from crate.errors import NotFoundError
from crate.linux import process
from crate.oci import json
from crate.storage import containers as store
from crate.storage.durable import read_file, write_file
from crate.storage.roots import boot_id

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from crate.engine.context import Engine

EXIT = "exit.json"
#: the mark, in the run directory, of a container that was paused: the kernel knows whether it still is
PAUSED = "paused"
#: the file, in the run directory, of a container that was given further control groups while it runs (amendments.py)
AMENDED = "amended.json"
#: the directory, in that of a container, with one file for each container that depends on it
DEPENDENTS = "dependents"


class Container:
    """One container. `record` is what was asked for; `state()` what is the case now."""

    __slots__ = ("_state", "id", "name", "paths", "record")

    def __init__(self, container_id: str, paths: store.ContainerPaths, record: dict[str, Any]) -> None:
        self.id = container_id
        self.paths = paths
        self.record = record
        self.name: str = record["name"]
        self._state: dict[str, Any] | None = None

    def spec(self) -> dict[str, Any]:
        """config.json: the OCI runtime-spec of this container."""
        return json.loads(read_file(self.paths.config))  # type: ignore[no-any-return]

    def log_path(self) -> str:
        """The file of its log; "" where its driver keeps none."""
        log = self.record["log"]
        if log["driver"] == "k8s-file":
            return str(log["options"].get("path") or f"{self.paths.directory}/ctr.log")
        return str(log["options"].get("path") or self.paths.log) if log["driver"] in ("json-file", "local") else ""

    def state(self, engine: Engine, fresh: bool = False) -> dict[str, Any]:
        """What is the case: `status` (created, running, paused, exited, removing), pid, times in ns, exit_code …

        A state that a dead monitor left is healed here and on disk.
        """
        if self._state is None or fresh:
            self._state = self._read_state(engine)
            if self.record["health"]:
                from crate.engine.health.log import of_state

                self._state["health"] = of_state(self.paths.run_directory, self._state)
        return self._state

    def _read_state(self, engine: Engine) -> dict[str, Any]:
        for _ in range(3):
            live = _read(self.paths.state)
            if live and is_alive(live["monitor_pid"], live["monitor_start"], live["boot_id"]):
                if os.access(f"{self.paths.run_directory}/{AMENDED}", os.F_OK):
                    from crate.engine.amendments import adopt

                    adopt(self.paths.run_directory, live)
                if os.access(f"{self.paths.run_directory}/{PAUSED}", os.F_OK) and _is_frozen(live):
                    live["status"] = "paused"
                return live
            if live:
                from crate.engine.recovery.healing import heal

                heal(engine, self, live)
                continue
            ended = _read(f"{self.paths.files}/{EXIT}")
            if ended and "lost" in ended:
                from crate.engine.recovery.lost import restore

                restore(self.paths, ended)
                continue
            if ended:
                return ended
            return {"status": "created", "pid": 0, "exit_code": 0, "started_at": 0, "finished_at": 0}
        return {"status": "exited", "pid": 0, "exit_code": 137, "started_at": 0, "finished_at": 0}

    def pidfd(self, engine: Engine) -> int:
        """A pidfd of the container's init; ProcessLookupError when it is not the one that was recorded."""
        state = self.state(engine)
        fd = process.pidfd_open(state["pid"])
        if process.start_time(state["pid"]) != state["start_time"]:
            os.close(fd)
            raise ProcessLookupError(3, "the container has ended")
        return fd


def _is_frozen(live: dict[str, Any]) -> bool:
    from crate import cgroup

    return cgroup.from_record(live["cgroup"]).is_frozen()


def _read(path: str) -> dict[str, Any] | None:
    try:
        return json.loads(read_file(path))  # type: ignore[no-any-return]
    except FileNotFoundError:
        return None
    except ValueError:
        return None


def is_alive(pid: int, start_time: int, boot: str) -> bool:
    """Whether this very process (not a later one with its number) runs in this boot."""
    return boot == boot_id() and start_time > 0 and process.start_time(pid) == start_time


def load(engine: Engine, container_id: str) -> Container | None:
    """The container of a full id; None when it is gone."""
    record = store.read_record(engine.roots, container_id)
    if not record:
        return None
    container = Container(container_id, store.paths(engine.roots, container_id), record)
    launcher = record.get("launcher")
    if launcher and record["remove"] and not is_alive(*launcher) and not os.access(container.paths.state, os.F_OK):
        # `run --rm` was killed before its container started: it was never to be seen without its command.
        from crate.engine.recovery.sweeping import remove_cgroup, sweep_leases

        path = container.spec()["linux"]["cgroupsPath"]
        if record.get("anonymous_volumes"):
            from crate.storage.volumes import remove_each

            remove_each(engine.roots, record["anonymous_volumes"])
        store.release(engine.roots, container_id, container.name)
        remove_cgroup(path)
        sweep_leases(engine)
        return None
    return container


def find(engine: Engine, text: str) -> Container:
    """The container that a name, an id or the beginning of an id means. NotFoundError."""
    container = load(engine, store.find(engine.roots, text))
    if container and container.name != text and not container.id.startswith(text):
        container = None  # a name that it had: whoever renamed it was killed
    if container is None:
        raise NotFoundError(f'no container with name or ID "{text}" found: no such container')
    return container


def listing(engine: Engine, live: bool = False) -> list[Container]:
    """All containers, newest first; `live`: without those that have no state, which is in one look: they do not run."""
    ids = store.list_ids(engine.roots)
    if live:
        ids = [one for one in ids if os.access(f"{engine.roots.runroot}/containers/{one}/state.json", os.F_OK)]
    found = [load(engine, container_id) for container_id in ids]
    return sorted((c for c in found if c), key=lambda container: container.record["created"], reverse=True)


def write_exit(container: Container, ended: dict[str, Any], durable: bool) -> None:
    """Writes the exit record, which is the state of a container that does not run."""
    write_file(None, f"{container.paths.files}/{EXIT}", json.dumps(ended), durable)
    try:
        os.unlink(container.paths.state)
    except FileNotFoundError:
        pass


def kill_recorded(state: dict[str, Any], number: int = _signal.SIGKILL) -> None:
    """A signal to the recorded init, if it is still that process; waits until it is gone."""
    import select

    try:
        pidfd = process.pidfd_open(state["pid"])
    except OSError:
        return
    try:
        if process.start_time(state["pid"]) == state["start_time"]:
            process.pidfd_send_signal(pidfd, number)
            poll = select.poll()
            poll.register(pidfd, select.POLLIN)
            poll.poll(10_000)
    except ProcessLookupError:
        pass
    finally:
        os.close(pidfd)
