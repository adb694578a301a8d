"""A host that answers from memory, an image, and the ways to a plan with them."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING, Any

from crate import plan
from crate.plan.host import Host
from crate.settings import Settings

if TYPE_CHECKING:
    from crate.plan.shapes import Place, Plan

CONTAINER_ID = "0123456789ab" + "f" * 52
PLACE: Place = {"id": CONTAINER_ID, "directory": "/var/lib/crate/containers/x", "volumes": "/var/lib/crate/volumes"}
ALL_CAPABILITIES = (1 << 41) - 1


def _status(mode: int, device: int = 0) -> os.stat_result:
    return os.stat_result((mode, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0.0, 0.0, 0.0, 0, 0, 0, 0, 0, device))


DIRECTORY = _status(stat.S_IFDIR | 0o755)
FILE = _status(stat.S_IFREG | 0o644)


class MemoryHost(Host):
    """Four processors, kernel 6.1, cgroup v1 with swap, /dev with a disk and a few characters."""

    def __init__(self, rootless: bool = False, environ: dict[str, str] | None = None) -> None:
        super().__init__(rootless, environ or {}, "/home/user")
        self.hostname, self.machine, self.kernel = "machine", "x86_64", "6.1.0-18-amd64"
        self.now_ns = 1_700_000_000_123_456_789
        self.files: dict[str, str] = {
            "/sys/devices/system/cpu/online": "0-3\n",
            "/sys/devices/system/node/online": "0\n",
            "/proc/self/uid_map": "0 1000 1\n1 100000 65536\n",
            "/proc/self/gid_map": "0 1000 1\n1 100000 65536\n",
        }
        self.paths: dict[str, os.stat_result] = {
            "/srv": DIRECTORY,
            "/srv/file": FILE,
            "/home/user/here": DIRECTORY,
            "/usr/bin/tini": FILE,
            "/dev/sda": _status(stat.S_IFBLK | 0o660, os.makedev(8, 0)),
            "/dev/fuse": _status(stat.S_IFCHR | 0o666, os.makedev(10, 229)),
            "/dev/null": _status(stat.S_IFCHR | 0o666, os.makedev(1, 3)),
            "/dev/snd": DIRECTORY,
            "/dev/shm": DIRECTORY,
            "/dev/mqueue": DIRECTORY,
            "/dev/snd/seq": _status(stat.S_IFCHR | 0o660, os.makedev(116, 1)),
        }
        self.ceiling: int | None = None
        self.memory_v1 = True
        self.bits = ALL_CAPABILITIES
        self.controllers = {"pids", "memory", "cpu", "cpuset", "devices"}

    def read_text(self, path: str) -> str:
        if path not in self.files:
            raise FileNotFoundError(2, "No such file or directory", path)
        return self.files[path]

    def stat(self, path: str) -> os.stat_result | None:
        return self.paths.get(path)

    def is_link(self, path: str) -> bool:
        return False

    def list_directory(self, path: str) -> list[str]:
        return sorted(known[len(path) + 1 :] for known in self.paths if os.path.dirname(known) == path)

    def cpus(self) -> int:
        return 4

    def has_memory_v1(self) -> bool:
        return self.memory_v1

    def limits_swap(self) -> bool:
        return True

    def can_limit(self, controller: str) -> bool:
        return controller in self.controllers

    def hard_limit(self, number: int) -> int | None:
        return self.ceiling

    def oom_score_adj(self) -> int | None:
        return 0 if self.rootless else None

    def bounding(self) -> int:
        return self.bits

    def init_program(self) -> str:
        return "/usr/bin/catatonit"


IMAGE: dict[str, Any] = {
    "id": "1" * 64,
    "digest": "sha256:" + "2" * 64,
    "names": ["docker.io/library/web:latest"],
    "layers": ["3" * 64],
    "config": {
        "architecture": "amd64",
        "config": {
            "Env": ["PATH=/usr/bin:/bin", "LANG=C"],
            "Entrypoint": ["/entry"],
            "Cmd": ["serve", "--fast"],
            "WorkingDir": "/srv/app",
            "User": "www",
            "ExposedPorts": {"80/tcp": {}, "53/udp": {}},
            "Volumes": {"/data": {}},
            "StopSignal": "SIGQUIT",
            "Labels": {"vendor": "example"},
            "Healthcheck": {"Test": ["CMD", "true"], "Interval": 1_000_000_000},
        },
    },
}
PLAIN: dict[str, Any] = {"id": "1" * 64, "layers": [], "config": {"config": {"Cmd": ["sh"]}}}


def make(
    image: dict[str, Any] | None = PLAIN,
    host: Host | None = None,
    settings: Settings | None = None,
    **options: Any,
) -> Plan:
    """The plan of these options, as the command line gives them."""
    return plan.make({"image": "web", **options}, image, host or MemoryHost(), settings or Settings(), PLACE)


def environment(made: Plan) -> dict[str, str]:
    """The environment of the planned process."""
    return dict(entry.split("=", 1) for entry in made["spec"]["process"]["env"])


def mount_at(made: Plan, destination: str) -> dict[str, Any]:
    """The only mount of a plan at a destination."""
    (found,) = [mount for mount in made["spec"]["mounts"] if mount["destination"] == destination]
    return dict(found)
