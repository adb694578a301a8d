"""What a crate of the tests left on the host: processes, mounts, cgroups, links, firewall elements."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from program import Crate

CGROUPS = Path("/sys/fs/cgroup")


class Traces:
    """The names by which what one crate made is found: its directories, its mark, bridge, table, cgroup parent."""

    def __init__(self, crate: Crate, bridge: str, table: str, cgroup_parent: str) -> None:
        self.directories = [os.fsencode(crate.place), os.fsencode(crate.runroot)]
        self.mark = b"CRATE_TEST=" + crate.mark.encode()
        self.run = crate.runroot.parent
        self.bridge, self.table, self.cgroup_parent = bridge, table, cgroup_parent.strip("/")

    def found(self) -> list[str]:
        """One line for each thing that is there and should not be."""
        lines = [f"process {pid}: {self.describe(pid)}" for pid in self.processes()]
        lines += [f"mount {mount}" for mount in self.mounts()]
        lines += [f"cgroup {path}" for path in self.cgroups()]
        lines += [f"link {name} on {self.bridge}" for name in self.links()]
        return lines + [f"firewall element {element}" for element in self.elements()]

    def processes(self) -> list[int]:
        """Our processes, containers' included."""
        return processes_naming([*self.directories, self.mark])

    def describe(self, pid: int) -> str:
        """The command line of a process, or its name."""
        words = _read(f"/proc/{pid}/cmdline").replace(b"\0", b" ")[:200] or _read(f"/proc/{pid}/comm")
        return words.decode(errors="replace").strip()

    def mounts(self) -> list[str]:
        """Mount points below our directories in the host's namespace, the deepest first."""
        points = []
        for line in _read("/proc/self/mountinfo").splitlines():
            point = line.split(b" ")[4]
            if any(point.startswith(directory + b"/") for directory in self.directories):
                points.append(os.fsdecode(point))
        return sorted(points, key=len, reverse=True)

    def cgroups(self) -> list[Path]:
        """Cgroups below our parent in any hierarchy, the deepest first."""
        roots = [CGROUPS] if (CGROUPS / "cgroup.controllers").exists() else [p for p in CGROUPS.iterdir() if p.is_dir()]
        below = [path for root in roots for path in (root / self.cgroup_parent).glob("**/") if path.name]
        return sorted((p for p in below if p.name != self.cgroup_parent), key=lambda p: len(p.parts), reverse=True)

    def links(self) -> list[str]:
        """The host's ends of veth pairs on our bridge."""
        members = Path(f"/sys/class/net/{self.bridge}/brif")
        return sorted(os.listdir(members)) if members.is_dir() else []

    def elements(self) -> Iterator[str]:
        """Elements of the maps in our table: what containers put there; its sets belong to the networks."""
        if not self.had_networks():
            return
        for entry in nft_json("list", "table", "inet", self.table) + nft_json("list", "table", "ip", self.table):
            for element in entry.get("map", {}).get("elem", []):
                yield f"in {entry['map']['name']}: {element}"

    def had_networks(self) -> bool:
        """Whether a container may have been on a network of the host: each begins with a lease of an address."""
        return (self.run / "addresses").is_dir()

    def destroy(self, *, nothing_found: bool = False) -> None:
        """Removes all of it, the bridge and the table that may rightly stay included. `nothing_found`: only those."""
        for pid in [] if nothing_found else self.processes():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        for mount in [] if nothing_found else self.mounts():
            _quietly("umount", "-l", mount)
        if os.geteuid() != 0:
            return
        parents = [root / self.cgroup_parent for root in (CGROUPS, *CGROUPS.iterdir())]
        for path in [*([] if nothing_found else self.cgroups()), *parents]:
            with suppress(OSError):
                path.rmdir()
        if not self.had_networks():
            return
        leases = self.run / "addresses"
        for bridge in {self.bridge, *os.listdir(leases)}:
            if Path(f"/sys/class/net/{bridge}").exists():
                _quietly("ip", "link", "delete", bridge)
        for family in ("inet", "ip", "ip6", "bridge"):
            _quietly("nft", "delete", "table", family, self.table)


def processes_naming(words: Sequence[bytes]) -> list[int]:
    """Processes other than this one with such a word in their arguments, environment, descriptors or own mounts."""
    return [
        int(name) for name in os.listdir("/proc") if name.isdigit() and int(name) != os.getpid() and _names(name, words)
    ]


def _names(pid: str, words: Sequence[bytes]) -> bool:
    text = _read(f"/proc/{pid}/cmdline") + b"\0" + _read(f"/proc/{pid}/environ")
    if any(word in text for word in words):
        return True
    if b"CRATE_TEST=" in text:  # another test's, with a copy of the mounts that were there when it began
        return False
    try:
        links = [os.readlink(f"/proc/{pid}/cwd")] + [
            os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd")
        ]
        foreign = os.stat(f"/proc/{pid}/ns/mnt").st_ino != os.stat("/proc/self/ns/mnt").st_ino
    except OSError:
        return False
    text = os.fsencode("\n".join(links)) + (_read(f"/proc/{pid}/mountinfo") if foreign else b"")
    return any(word in text for word in words)


def _read(path: str) -> bytes:
    """The bytes of a file of /proc, or none when its process went or is not ours to read."""
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError:
        return b""


def nft_json(*words: str) -> list[dict[str, dict[str, list[object]]]]:
    """What `nft -j` lists, or nothing where it fails."""
    done = subprocess.run(["nft", "-j", *words], check=False, capture_output=True, text=True)
    return json.loads(done.stdout).get("nftables", []) if done.returncode == 0 and done.stdout else []


def _quietly(*command: str) -> None:
    subprocess.run(command, check=False, capture_output=True)
