"""What changed of a running container since its monitor wrote state.json: control groups and endpoints of networks.

    amended.json    {"started_at", "cgroup", "lease", "changing"}, in the run directory: `started_at` says of which run;
                    `lease` is what changed of the lease; `changing` what `network connect` or `disconnect` is about
                    to do, or was when it was killed: {"network", "endpoint" as soon as there is one}

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
_OF_LEASE = ("endpoints", "published", "resolver", "host_address")


def adopt(run_directory: str, state: dict[str, Any]) -> None:
    """Puts the changes into a state, if they are of its run."""
    known = _read(run_directory, state)
    if "cgroup" in known:
        state["cgroup"] = known["cgroup"]
    if "lease" in known and state.get("lease"):
        state["lease"].update(known["lease"])


def changing(run_directory: str, state: dict[str, Any]) -> dict[str, Any] | None:
    """What a command that changes the networks of this run has begun and not ended."""
    found: dict[str, Any] | None = _read(run_directory, state).get("changing")
    return found


def adopt_last(run_directory: str, state: dict[str, Any]) -> None:
    """Puts the changes into the state of a run that has ended, and what was begun: its burial frees that too."""
    adopt(run_directory, state)
    endpoint = (changing(run_directory, state) or {}).get("endpoint")
    if endpoint and not any(one["network"] == endpoint["network"] for one in state["lease"]["endpoints"]):
        state["lease"]["endpoints"].append(endpoint)


def write_lease(run_directory: str, state: dict[str, Any]) -> None:
    """Tells every other process what may have changed of the lease of this run."""
    lease = state["lease"]
    write(run_directory, state, lease={key: lease[key] for key in _OF_LEASE})


def write(run_directory: str, state: dict[str, Any], **changed: Any) -> None:
    """Tells every other process of the `cgroup` of this run, or notes what is `changing`."""
    text = json.dumps({**_read(run_directory, state), "started_at": state["started_at"], **changed})
    write_file(None, f"{run_directory}/{FILE}", text, durable=False, mode=RUN_FILE_MODE)


def _read(run_directory: str, state: dict[str, Any]) -> dict[str, Any]:
    try:
        known: dict[str, Any] = json.loads(read_file(f"{run_directory}/{FILE}"))
    except (OSError, ValueError):
        return {}
    return known if known["started_at"] == state["started_at"] else {}
