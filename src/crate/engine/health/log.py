"""What the checks of a container have found, in docker's form: the file that inspect, ps and the next check read.

    <run directory>/health.json   {"started_at", "Status", "FailingStreak", "Log": [{Start, End, ExitCode, Output}]}

`started_at` says of which run: each begins as `starting`.
"""

from __future__ import annotations

from crate.oci import json
from crate.storage.durable import RUN_FILE_MODE, read_file, write_file

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

FILE = "health.json"
STARTING, HEALTHY, UNHEALTHY = "starting", "healthy", "unhealthy"
_RETRIES, _COUNT = 3, 5


def of_state(run_directory: str, state: dict[str, Any]) -> dict[str, Any]:
    """Status, FailingStreak and Log of the run that this state is of, or the last one."""
    try:
        found: dict[str, Any] = json.loads(read_file(f"{run_directory}/{FILE}"))
        if found.pop("started_at") == state["started_at"]:
            return found
    except (OSError, ValueError, KeyError):
        pass
    return {"Status": STARTING, "FailingStreak": 0, "Log": []}


def add(found: dict[str, Any], health: dict[str, Any], count: int | None, entry: dict[str, Any], young: bool) -> None:
    """One more check, by the rules of docker: `young`, a failure in the start period counts for nothing.

    `health`: the check as the image's config has it; `count`: how many the log keeps (None: 5, 0: all).
    """
    found["Log"] = [*found["Log"], entry]
    keep = _COUNT if count is None else count
    if keep:
        found["Log"] = found["Log"][-keep:]
    if entry["ExitCode"] == 0:
        found["Status"], found["FailingStreak"] = HEALTHY, 0
    elif not (young and found["Status"] == STARTING):
        found["FailingStreak"] += 1
        if found["FailingStreak"] >= (health.get("Retries") or _RETRIES):
            found["Status"] = UNHEALTHY


def write(run_directory: str, started_at: int, found: dict[str, Any]) -> None:
    """Replaces the file in one step."""
    text = json.dumps({"started_at": started_at, **found})
    write_file(None, f"{run_directory}/{FILE}", text, durable=False, mode=RUN_FILE_MODE)
