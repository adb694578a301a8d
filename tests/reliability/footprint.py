"""What a crate of the tests takes of its host at a moment, so that two moments can be compared."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from leftovers import Traces, nft_json
from program import until

if TYPE_CHECKING:
    from program import Crate

#: namespaces of which a process can have others than the tests
_KINDS = ("mnt", "pid", "net", "ipc", "uts", "cgroup", "user", "time")


class Footprint:
    """`take()` gives everything of one crate on the host and on disk; `wait_for(before)` waits until it is no more."""

    def __init__(self, crate: Crate) -> None:
        self._traces = Traces(crate, f"ct{crate.mark}", f"crate_test_{crate.mark}", f"/crate-test-{crate.mark}")
        self._table = f"crate_test_{crate.mark}"
        # What has a bound of its own: leases of work, one file for each thing that was locked; the journal of events.
        self._bounded = {str(crate.runroot / "locks"), str(crate.root / "events")}
        self._places = [crate.root, crate.runroot, crate.runroot.parent / "addresses"]

    def take(self) -> set[str]:
        """One line for each process, namespace, mount, cgroup, link, firewall rule or element, and file."""
        processes = self._traces.processes()
        lines = {f"process {pid}: {self._traces.describe(pid)}" for pid in processes}
        lines |= {f"namespace {name}" for pid in processes for name in _foreign_namespaces(pid)}
        lines |= {f"mount {path}" for path in self._traces.mounts()}
        lines |= {f"cgroup {path}" for path in self._traces.cgroups()}
        lines |= {f"link {name}" for name in self._traces.links()}
        lines |= {f"element {element}" for element in self._traces.elements()}
        lines |= {f"rule {rule}" for rule in self._rules()}
        for place in self._places:
            for directory, directories, files in os.walk(place):
                if directory not in self._bounded:
                    lines.update(f"file {directory}/{name}" for name in (*directories, *files))
        return lines

    def _rules(self) -> list[str]:
        """Rules by their handles, and elements of sets: their order and counters say nothing."""
        found = []
        for entry in nft_json("list", "table", "inet", self._table):
            if "rule" in entry:
                found.append(f"{entry['rule']['chain']} {entry['rule']['handle']}")
            for element in entry.get("set", {}).get("elem", []):
                found.append(f"{entry['set']['name']} {element}")
        return found

    def wait_for(self, before: set[str], seconds: float = 60.0) -> None:
        """Waits until there is nothing that was not there `before`; AssertionError names what stays."""
        try:
            until(lambda: not self.take() - before, seconds)
        except AssertionError:
            left = sorted(self.take() - before)
            assert not left, f"{len(left)} left behind:\n  " + "\n  ".join(left[:20])


def _foreign_namespaces(pid: int) -> list[str]:
    names = []
    for kind in _KINDS:
        try:
            name = os.readlink(f"/proc/{pid}/ns/{kind}")
            if name != os.readlink(f"/proc/self/ns/{kind}"):
                names.append(name)
        except OSError:
            pass  # the process has ended
    return names


def settled(crate: Crate, *network: str) -> tuple[Footprint, set[str]]:
    """What is there after a first run, when its monitor has ended: the image, the bridge, what crate learned."""
    for words in (("echo", "first"), ("true",)):
        crate.ok("run", "--rm", *network, "crate.local/busybox", *words)
    footprint = Footprint(crate)
    until(lambda: not any(line.startswith("process") for line in footprint.take()), what="the last monitor has ended")
    return footprint, footprint.take()
