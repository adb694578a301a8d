"""`init`: a container is made ready to start, and told apart from one that was only created.

Podman sets up mounts and namespaces at this point; here they live only as long as a process does, so what is checked
is that the root file system can be mounted, and the rest is left to `start` (docs/decisions/0028).
"""

from __future__ import annotations

import os

from crate.engine.containers import write_exit
from crate.engine.files.view import hold
from crate.engine.root_mount import mount_root
from crate.errors import StateError
from crate.storage import journal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from crate.engine.containers import Container
    from crate.engine.context import Engine


def init(engine: Engine, container: Container) -> None:
    """Makes it `initialized`. StateError in podman's words unless it was created or has ended."""
    lock = hold(container)
    try:
        state = container.state(engine, fresh=True)
        if state["status"] not in ("created", "exited"):
            raise StateError(f"container {container.id} has already been created in runtime: container state improper")
        os.close(mount_root(engine.roots, container.record, container.paths.directory))
        write_exit(container, {"version": 1, "oom_killed": False, **state, "status": "initialized"}, durable=False)
    finally:
        lock.release()
    journal.of_container(engine.roots, "init", container.record)
