"""The control groups that a running container has besides those it began with.

    cgroup.json     {"started_at", "cgroup"}, in the run directory: `started_at` says of which run

The monitor has its state in memory and writes state.json from it, so this is a file of its own.
"""

from __future__ import annotations

from crate.oci import json
from crate.storage.durable import RUN_FILE_MODE, read_file, write_file

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_FILE = "cgroup.json"


def adopt(run_directory: str, state: dict[str, Any]) -> None:
    """Puts the groups into a state, if they are of its run."""
    try:
        known = json.loads(read_file(f"{run_directory}/{_FILE}"))
    except (OSError, ValueError):
        return
    if known["started_at"] == state["started_at"]:
        state["cgroup"] = known["cgroup"]


def write(run_directory: str, state: dict[str, Any], group: dict[str, Any]) -> None:
    """Tells every other process of the groups of this run."""
    text = json.dumps({"started_at": state["started_at"], "cgroup": group})
    write_file(None, f"{run_directory}/{_FILE}", text, durable=False, mode=RUN_FILE_MODE)
