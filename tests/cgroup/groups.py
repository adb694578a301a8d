"""A parent cgroup of a test's own, and processes in groups beneath it."""

from __future__ import annotations

import os
import secrets
import subprocess
import time
from pathlib import Path
from typing import Any

from crate import cgroup
from crate.cgroup.hierarchy import Hierarchy, discover

JOIN = 'n=$1; shift; while [ "$n" -gt 0 ]; do echo 0 > "$1" || exit 99; shift; n=$((n - 1)); done; exec "$@"'


class Parent:
    """A parent cgroup: makes groups beneath it, starts processes in them, and removes all of it."""

    def __init__(self, hierarchy: Hierarchy | None = None) -> None:
        self.path = f"/crate-test-{os.getpid()}-{secrets.token_hex(3)}"
        self.hierarchy = hierarchy or discover()
        self.groups: list[cgroup.Cgroup] = []
        self.processes: list[subprocess.Popen[str]] = []

    def create(self, resources: dict[str, Any] | None = None, name: str = "one") -> cgroup.Cgroup:
        """A group with limits."""
        group = cgroup.create(f"{self.path}/{name}", resources or {}, hierarchy=self.hierarchy)
        self.groups.append(group)
        return group

    def start(self, group: cgroup.Cgroup, *command: str, **options: Any) -> subprocess.Popen[str]:
        """A process that has joined the group and becomes the command; stdout is a pipe."""
        joins = [*group.join_paths(), *([f"{group.unified}/cgroup.procs"] if group.unified else [])]
        words = ["sh", "-c", JOIN, "sh", str(len(joins)), *joins, *command]
        options = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True} | options
        process = subprocess.Popen(words, **options)
        self.processes.append(process)
        while process.pid not in group.pids() and process.poll() is None:
            time.sleep(0.001)
        return process

    def run(self, group: cgroup.Cgroup, *command: str, timeout: float = 120) -> tuple[int, str]:
        """The exit status and the output of a command in the group."""
        process = self.start(group, *command)
        out, _ = process.communicate(timeout=timeout)
        return process.returncode, out

    def directories(self) -> list[Path]:
        """The parent in every hierarchy."""
        tops = {mount[0] for mount in self.hierarchy.v1.values()}
        if self.hierarchy.unified:
            tops.add(self.hierarchy.unified[0])
        return [Path(top + self.path) for top in sorted(tops) if Path(top + self.path).is_dir()]

    def remove(self) -> None:
        """Kills what runs, frozen or not, and removes the groups."""
        for group in self.groups:
            group.thaw()
            group.kill()
        for process in self.processes:
            process.kill()
            process.wait()
            if process.stdout:
                process.stdout.close()
        for group in self.groups:
            group.remove()
        for directory in self.directories():
            for below in sorted(directory.glob("**/"), key=lambda path: len(path.parts), reverse=True):
                below.rmdir()
