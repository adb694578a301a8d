"""What changed of a running container since its monitor wrote state.json: control groups and endpoints of networks.

    amended.json    {"started_at", "cgroup", "lease"}, in the run directory: `started_at` says of which run; `lease` is
                    what changed of the lease

The monitor has its state in memory and writes state.json from it, so this is a file of its own. Writers hold the lock
of the container's directory.
"""

from __future__ import annotations

from crate.oci import json
from crate.storage.durable import RUN_FILE_MODE, read_file, write_file

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

FILE = "amended.json"


def adopt(run_directory: str, state: dict[str, Any]) -> None:
    """Puts the changes into a state, if they are of its run."""
    known = _read(run_directory, state)
    if "cgroup" in known:
        state["cgroup"] = known["cgroup"]
    if "lease" in known and state.get("lease"):
        state["lease"].update(known["lease"])


def write(run_directory: str, state: dict[str, Any], **changed: Any) -> None:
    """Tells every other process of the `cgroup` or the `lease` of this run."""
    text = json.dumps({**_read(run_directory, state), "started_at": state["started_at"], **changed})
    write_file(None, f"{run_directory}/{FILE}", text, durable=False, mode=RUN_FILE_MODE)


def _read(run_directory: str, state: dict[str, Any]) -> dict[str, Any]:
    try:
        known: dict[str, Any] = json.loads(read_file(f"{run_directory}/{FILE}"))
    except (OSError, ValueError):
        return {}
    return known if known["started_at"] == state["started_at"] else {}
