"""The files of a container for the verbs that read or write them (cp, export, commit, mount), running or not."""

from __future__ import annotations

import os

from crate.errors import NotFoundError
from crate.linux import mount
from crate.storage.lock import Lock

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType
    from typing import Any

    from crate.engine.containers import Container
    from crate.engine.context import Engine

RUNNING = ("running", "paused", "stopping")


class View:
    """`with View(engine, container) as root_fd:` a descriptor of its root, with its volumes and binds.

    A container that does not run is held by its lock meanwhile: an overlay must not be mounted twice, so a start waits
    (docs/decisions/0025). `mounts=False`: the root file system alone. Raises NotFoundError, StateError, HostError.
    """

    def __init__(self, engine: Engine, container: Container, *, mounts: bool = True) -> None:
        self._engine = engine
        self._container = container
        self._mounts = mounts
        self._lock: Lock | None = None
        self.root_fd = -1

    def __enter__(self) -> int:
        try:
            while self.root_fd < 0:
                if self._container.state(self._engine, fresh=True)["status"] in RUNNING:
                    self.root_fd = self._running()
                else:
                    self.root_fd = self._stopped()
        except BaseException:
            self.close()
            raise
        return self.root_fd

    def _running(self) -> int:
        from crate.runtime import view

        try:
            pidfd = self._container.pidfd(self._engine)
        except OSError:
            return -1  # it has just ended: another look
        try:
            pid = self._container.state(self._engine)["pid"]
            own = f"/proc/{pid}/ns/user"
            same = os.stat(own).st_ino == os.stat("/proc/self/ns/user").st_ino
            return view.of_process(pidfd, "" if same else own, mounts=self._mounts)
        except FileNotFoundError:
            return -1
        finally:
            os.close(pidfd)

    def _stopped(self) -> int:
        self._lock = hold(self._container)
        if self._container.state(self._engine, fresh=True)["status"] in RUNNING:
            self._lock.release()
            return -1
        return stopped_root(self._engine, self._container, mounts=self._mounts)

    def close(self) -> None:
        """Lets the tree and the container go."""
        if self.root_fd >= 0:
            os.close(self.root_fd)
            self.root_fd = -1
        if self._lock:
            self._lock.release()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def hold(container: Container) -> Lock:
    """The lock of the container, taken. NotFoundError when the container is gone."""
    lock = Lock(container.paths.directory)
    try:
        lock.acquire()
    except FileNotFoundError:
        raise NotFoundError(f"no such container: {container.name}") from None
    return lock


def stopped_root(engine: Engine, container: Container, *, mounts: bool) -> int:
    """The root of a container that does not run, as a detached mount; its lock is held by the caller."""
    from crate.engine.root_mount import mount_root

    root_fd = mount_root(engine.roots, container.record, container.paths.directory)
    try:
        spec = container.spec()
        entries = _own_mounts(container, spec) if mounts else []
        if entries:
            from crate.runtime import view

            whole = view.composed(root_fd, container.paths.directory, entries)
            os.close(root_fd)
            root_fd = whole
        if mounts and (spec.get("root") or {}).get("readonly"):
            mount.mount_setattr(root_fd, "", mount.AT_EMPTY_PATH, mount.MOUNT_ATTR_RDONLY)
    except BaseException:
        os.close(root_fd)
        raise
    return root_fd


def _own_mounts(container: Container, spec: dict[str, Any]) -> list[dict[str, Any]]:
    """The volumes and binds that somebody asked for; a tmpfs is there only while the container runs."""
    wanted = {one["destination"] for one in container.record["mounts"] if one["type"] != "tmpfs"}
    return [entry for entry in spec.get("mounts") or () if entry["destination"] in wanted]
