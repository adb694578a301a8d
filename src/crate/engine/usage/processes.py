"""The processes of a running container and what /proc tells of each, proc(5); no program of the image is asked."""

from __future__ import annotations

import os

from crate import cgroup
from crate.cgroup.hierarchy import read
from crate.errors import StateError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from crate.engine.containers import Container
    from crate.engine.context import Engine

TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")


class Process:
    """One process: numbers of the host's (`pid`) and of the container's pid namespace (`inner_pid`).

    `stat` are the fields of proc_pid_stat(5) from the third on, `status` the lines of proc_pid_status(5).
    """

    __slots__ = ("_depth", "comm", "pid", "stat", "status")

    def __init__(self, pid: int, depth: int) -> None:
        text = read(f"/proc/{pid}/stat")
        self.pid = pid
        self._depth = depth
        self.comm = text[text.find("(") + 1 : text.rfind(")")]
        self.stat = text[text.rfind(")") + 2 :].split()
        lines = (line.partition(":\t") for line in read(f"/proc/{pid}/status").split("\n"))
        self.status = {key: value for key, _, value in lines}
        if not self.stat or "NSpid" not in self.status:
            raise ProcessLookupError(3, "the process has ended")

    def number(self, field: int) -> int:
        """A field of proc_pid_stat(5), by the number that it has there."""
        return int(self.stat[field - 3])

    @property
    def inner_pid(self) -> int:
        """Its pid as the container sees it; 0 when it does not."""
        return self._inner("NSpid")

    @property
    def inner_pgid(self) -> int:
        """Its process group as the container sees it."""
        return self._inner("NSpgid")

    def _inner(self, key: str) -> int:
        numbers = self.status[key].split()
        return int(numbers[self._depth]) if len(numbers) > self._depth else 0

    @property
    def state(self) -> str:
        """The letter of its state."""
        return self.stat[0]

    @property
    def tty(self) -> str:
        """Its controlling terminal: `pts/0`, `tty1`, `console`, or `?`."""
        number = self.number(7)
        major, minor = os.major(number), os.minor(number)
        if 136 <= major <= 143:
            return f"pts/{minor + 256 * (major - 136)}"
        if major == 4:
            return f"tty{minor}" if minor < 64 else f"ttyS{minor - 64}"
        return "console" if (major, minor) == (5, 1) else "?"

    @property
    def cpu_seconds(self) -> float:
        """Processor time, user's and system's."""
        return (self.number(14) + self.number(15)) / TICKS

    def started_at(self, booted_at: float) -> float:
        """When it was started, in seconds since the epoch."""
        return booted_at + self.number(22) / TICKS

    @property
    def rss_kib(self) -> int:
        """Resident memory."""
        return self.number(24) * _PAGE // 1024

    @property
    def vsz_kib(self) -> int:
        """Size of its address space."""
        return self.number(23) // 1024

    def ids(self, key: str) -> list[int]:
        """Real, effective, saved and file system ids: `Uid`, `Gid`; or all of `Groups`."""
        return [int(word) for word in self.status.get(key, "").split()]

    def arguments(self) -> str:
        """Its command line, or its name in brackets where it has none."""
        words = read(f"/proc/{self.pid}/cmdline").rstrip("\0").split("\0")
        return " ".join(words) if any(words) else f"[{self.comm}]"


def of(engine: Engine, container: Container) -> list[Process]:
    """The processes of a running container in the order in which they were started. StateError when it does not run."""
    state = container.state(engine)
    if state["status"] not in ("running", "paused"):
        raise StateError("top can only be used on running containers: container state improper")
    init = state["pid"]
    depth = max(len(_line(init, "NSpid").split()) - 1, 0)
    found = []
    for pid in _pids(cgroup.from_record(state["cgroup"]), init):
        try:
            found.append(Process(pid, depth))
        except ProcessLookupError:
            pass
    if not found:
        raise StateError(f"container {container.name} has just ended")
    return sorted(found, key=lambda process: (process.number(22), process.pid))


def _pids(group: cgroup.Cgroup, init: int) -> list[int]:
    """Those of its control group; where it has none, those of its pid namespace, or of its init and what that began."""
    if group.directories():
        return group.pids()
    space = _namespace(init)
    everyone = [int(name) for name in os.listdir("/proc") if name.isdigit()]
    if space != _namespace(os.getpid()):
        return [pid for pid in everyone if _namespace(pid) == space]
    parents = {pid: _line(pid, "PPid") for pid in everyone}
    found = [init]
    for parent in found:
        found += [pid for pid, above in parents.items() if above == str(parent) and pid not in found]
    return found


def _namespace(pid: int) -> str:
    try:
        return os.readlink(f"/proc/{pid}/ns/pid")
    except OSError:
        return ""


def _line(pid: int, key: str) -> str:
    for line in read(f"/proc/{pid}/status").split("\n"):
        if line.startswith(key + ":"):
            return line.partition(":")[2].strip()
    return ""


def booted_at() -> float:
    """When the host was started, in seconds since the epoch."""
    for line in read("/proc/stat").split("\n"):
        if line.startswith("btime "):
            return float(line[6:])
    return 0.0
