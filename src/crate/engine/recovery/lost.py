"""A container whose run directory is gone: by a reboot, or by whoever cleaned /run while it was running.

Without its state a container would look as if it had never been started. So the monitor of one that is kept writes its
exit record before the end: `{"lost": true, "state": …}`, which the true end replaces. Whoever finds it, and no state,
puts the state back, and all goes on as after any crash: it is alive, or it is healed.
"""

from __future__ import annotations

import os

from crate.engine.containers import PAUSED
from crate.oci import json
from crate.storage.durable import write_file

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from crate.storage.containers import ContainerPaths

_VERSION = 1


def foresee(facts: dict[str, Any]) -> None:
    """For the monitor of a container that lives on; who follows syncs it to disk."""
    text = json.dumps({"version": _VERSION, "lost": True, "state": facts["state"]})
    write_file(None, f"{facts['files']}/exit.json", text, durable=False)


def restore(paths: ContainerPaths, known: dict[str, Any]) -> None:
    """Puts the state back that `foresee` kept, unless somebody was faster: its monitor has recorded the true end."""
    os.makedirs(paths.run_directory, 0o700, exist_ok=True)
    temporary = f"{paths.run_directory}/.restored.{os.getpid()}"
    write_file(None, temporary, json.dumps(known["state"]), durable=False)
    # Whether it was paused is the kernel's to say: docs/decisions/0080.
    write_file(None, f"{paths.run_directory}/{PAUSED}", "", durable=False)
    try:
        os.link(temporary, paths.state)
    except FileExistsError:
        pass
    finally:
        os.unlink(temporary)
