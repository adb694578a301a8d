"""Measures crate beside podman, crun and runc, and prints a table in Markdown: `python -m bench.run [--only TOPIC]`."""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from bench import building, commands, files, idle, logs, moving, names, parallel, pulling, rootless, start, traffic
from bench.stage import Stage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bench.timing import Row

TOPICS: dict[str, Callable[[Stage, int], Iterator[Row]]] = {
    "run": start.without_network,
    "bridge": start.on_the_bridge,
    "rootless": rootless.starting,
    "shell": rootless.shells,
    "detached": start.detached,
    "rm": start.removal,
    "exec": commands.executing,
    "ps": commands.listing,
    "stopped": commands.among_the_stopped,
    "stop": commands.stopping,
    "beside": commands.beside,
    "help": commands.helping,
    "logs": logs.reading,
    "logging": logs.writing,
    "pull": pulling.pulling,
    "moving": moving.moving,
    "cp": files.copying,
    "commit": files.committing,
    "build": building.steps,
    "many-files": building.many_files,
    "stages": building.stages,
    "parallel": parallel.throughput,
    "idle": idle.hundred,
    "networks": traffic.making,
    "traffic": traffic.throughput,
    "names": names.all_pairs,
    "lookup": names.run_with_a_lookup,
}
UNIFIED = Path("/sys/fs/cgroup/unified")


def main() -> int:
    """Parses the command line, measures topic by topic, prints as it goes."""
    parser = argparse.ArgumentParser(prog="python -m bench.run", description=__doc__)
    parser.add_argument("--only", action="append", choices=TOPICS, help="a topic; may be repeated")
    parser.add_argument("--rounds", type=int, default=20, help="turns of each engine (default 20)")
    parser.add_argument("--program", help="the crate to measure (default: the one beside this Python)")
    arguments = parser.parse_args()
    if os.geteuid() != 0:
        parser.error("needs root: podman and crate run containers on a bridge")
    _leave_unified_hierarchy()
    print(f"{_machine()}; median of {arguments.rounds} (least), alternating\n")
    print(
        "| | crate | podman | crun | runc | crate : podman | crate : crun |\n|---|---|---|---|---|---|---|", flush=True
    )
    stage = Stage(arguments.program)
    try:
        for topic in arguments.only or TOPICS:
            rows: dict[str, dict[str, Row]] = {}
            for row in TOPICS[topic](stage, arguments.rounds):
                rows.setdefault(row.topic, {})[row.engine] = row
            for title, by_engine in rows.items():
                print(_line(title, by_engine), flush=True)
    finally:
        stage.close()
    return 0


def _leave_unified_hierarchy() -> None:
    """crun takes a mixed host for a broken v2 one: all engines run where only the v1 hierarchies are mounted."""
    if UNIFIED.is_mount():
        command = [sys.executable, "-m", "bench.run", *sys.argv[1:]]
        os.execvp("unshare", ["unshare", "-m", "sh", "-c", f'umount {UNIFIED}; exec "$@"', "sh", *command])


def _line(title: str, rows: dict[str, Row]) -> str:
    cells = [
        f"`{title}`"
        if title.startswith(("run ", "shell ", "exec ", "ps ", "pull ", "push ", "inspect ", "logs "))
        else title
    ]
    for engine in ("crate", "podman", "crun", "runc"):
        cells.append(_cell(rows[engine]) if engine in rows else "")
    crate = rows["crate"].median
    for other in ("podman", "crun"):
        cells.append(f"{crate / rows[other].median:.2f}" if other in rows and rows[other].median else "")
    return f"| {' | '.join(cells)} |"


def _cell(row: Row) -> str:
    least = f" ({min(row.values):.1f})" if len(row.values) > 1 else ""
    return f"{row.median:.1f}{least} {row.unit}".strip()


def _machine() -> str:
    system = platform.freedesktop_os_release().get("PRETTY_NAME", "Linux")
    versions = [
        subprocess.run([name, "--version"], capture_output=True, text=True, check=True).stdout.splitlines()[0]
        for name in ("podman", "crun", "runc")
    ]
    return f"{os.cpu_count()} processors, {system}, Linux {platform.release().partition('-')[0]}, " + ", ".join(
        versions
    )


if __name__ == "__main__":
    sys.exit(main())
