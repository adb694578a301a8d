"""`top`: the processes of a container in podman's columns, `user`, `%U`; those of ps(1) are in top_ps.py."""

from __future__ import annotations

import os
import time

from crate.cgroup.hierarchy import read
from crate.engine.usage import processes
from crate.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from crate.engine.containers import Container
    from crate.engine.context import Engine
    from crate.engine.usage.processes import Process

    Show = Callable[["Process", "Scene"], str]

_USUAL = ("user", "pid", "ppid", "pcpu", "etime", "tty", "time", "args")
#: AIX format descriptors, ps(1)
_AIX = {
    "%C": "pcpu", "%G": "group", "%P": "ppid", "%U": "user", "%a": "args", "%c": "comm", "%g": "rgroup", "%n": "nice",
    "%p": "pid", "%r": "pgid", "%t": "etime", "%u": "ruser", "%x": "time", "%y": "tty", "%z": "vsz",
}  # fmt: skip
_SECCOMP = {"0": "disabled", "1": "strict", "2": "filter"}


class Scene:
    """What the columns of all processes need: times, names of the container's and of the host's, each read once."""

    def __init__(self, found: list[Process], init: int) -> None:
        self.now = time.time()
        self.booted_at = processes.booted_at()
        self.inner_pids = {process.pid: process.inner_pid for process in found}
        self._init = init
        self._names: dict[str, dict[int, str]] = {}

    def user(self, number: int, kind: str = "uid") -> str:
        """The name of a user (or group: `gid`) in the container; the number where it has none."""
        inside = _into(number, f"/proc/{self._init}/{kind}_map") if self._other_users() else number
        return self._name(kind, inside, container=True)

    def host_user(self, number: int, kind: str = "uid") -> str:
        """The same on the host."""
        return self._name(kind, _outof(number, f"/proc/self/{kind}_map"), container=False)

    def _other_users(self) -> bool:
        try:
            return os.readlink(f"/proc/{self._init}/ns/user") != os.readlink("/proc/self/ns/user")
        except OSError:
            return False

    def _name(self, kind: str, number: int, container: bool) -> str:
        from crate.runtime.user import names

        file = "etc/passwd" if kind == "uid" else "etc/group"
        key = f"{container} {file}"
        if key not in self._names:
            root = f"/proc/{self._init}/root" if container else "/"
            root_fd = os.open(root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                self._names[key] = names(root_fd, file)
            finally:
                os.close(root_fd)
        return self._names[key].get(number, str(number))


def _into(number: int, path: str) -> int:
    return _mapped(number, path, 1, 0)


def _outof(number: int, path: str) -> int:
    return _mapped(number, path, 0, 1)


def _mapped(number: int, path: str, known: int, wanted: int) -> int:
    """user_namespaces(7), "uid_map": first inside, first outside, how many."""
    for line in read(path).split("\n"):
        words = [int(word) for word in line.split()]
        if len(words) == 3 and words[known] <= number < words[known] + words[2]:
            return number - words[known] + words[wanted]
    return number


def top(engine: Engine, container: Container, words: list[str]) -> list[list[str]]:
    """The heading and a line a process. `words` are descriptors, apart or joined by commas, or options of ps(1).

    UsageError for others; StateError when the container does not run.
    """
    wanted = [name for word in words for name in word.split(",") if name] or list(_USUAL)
    keys = [_AIX.get(name, name) for name in wanted]
    is_podman = all(key in _COLUMNS for key in keys)
    if not is_podman:
        if not words[0].startswith("-") and any(key in _COLUMNS for key in keys):
            unknown = next(name for name, key in zip(wanted, keys, strict=True) if key not in _COLUMNS)
            raise UsageError(f'unknown descriptor "{unknown}"', f"one of {', '.join(_COLUMNS)}, or options of ps(1)")
        from crate.engine.usage.top_ps import parse

        columns = parse(words)
    found = processes.of(engine, container)
    scene = Scene(found, container.state(engine)["pid"])
    if is_podman:
        columns = [_COLUMNS[key] for key in keys]
    return [[title for title, _ in columns], *([show(process, scene) for _, show in columns] for process in found)]


def go_duration(seconds: float) -> str:
    """`1h2m3.45s`, as Go prints a duration."""
    whole, rest = divmod(max(seconds, 0.0), 60)
    hours, minutes = divmod(int(whole), 60)
    text = f"{rest:.3f}".rstrip("0").rstrip(".") + "s"
    return (f"{hours}h{minutes}m" if hours else f"{minutes}m" if minutes else "") + text


def elapsed(process: Process, scene: Scene) -> float:
    """Seconds since its start."""
    return max(scene.now - process.started_at(scene.booted_at), 0.0)


def percentage(process: Process, scene: Scene) -> float:
    """Processor time in percent of the time that it has been there."""
    span = elapsed(process, scene)
    return process.cpu_seconds / span * 100 if span else 0.0


def parent(process: Process, scene: Scene) -> int:
    """The pid of its parent in the container; 0 when that is outside."""
    return scene.inner_pids.get(process.number(4), 0)


def _capabilities(key: str) -> Show:
    def show(process: Process, scene: Scene) -> str:
        from crate.linux.capability import NAMES

        bits = int(process.status[key], 16)
        if bits == (1 << len(NAMES)) - 1:
            return "full"
        return ",".join(sorted(name for number, name in enumerate(NAMES) if bits >> number & 1)) or "none"

    return show


def _id(key: str, place: int, on_host: bool = False) -> Show:
    kind = key.lower()

    def show(process: Process, scene: Scene) -> str:
        number = process.ids(key)[place]
        return scene.host_user(number, kind) if on_host else scene.user(number, kind)

    return show


def _groups(on_host: bool) -> Show:
    def show(process: Process, scene: Scene) -> str:
        name = scene.host_user if on_host else scene.user
        return ",".join(name(number, "gid") for number in process.ids("Groups"))

    return show


def _label(process: Process, scene: Scene) -> str:
    return read(f"/proc/{process.pid}/attr/current").rstrip("\0") or "?"


def _start(process: Process, scene: Scene) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S %z %Z", time.localtime(process.started_at(scene.booted_at)))


_COLUMNS: dict[str, tuple[str, Show]] = {
    "args": ("COMMAND", lambda process, scene: process.arguments()),
    "capamb": ("AMBIENT CAPS", _capabilities("CapAmb")),
    "capbnd": ("BOUNDING CAPS", _capabilities("CapBnd")),
    "capeff": ("EFFECTIVE CAPS", _capabilities("CapEff")),
    "capinh": ("INHERITED CAPS", _capabilities("CapInh")),
    "capprm": ("PERMITTED CAPS", _capabilities("CapPrm")),
    "comm": ("COMMAND", lambda process, scene: process.comm),
    "etime": ("ELAPSED", lambda process, scene: go_duration(elapsed(process, scene))),
    "group": ("GROUP", _id("Gid", 1)),
    "groups": ("GROUPS", _groups(on_host=False)),
    "hgroup": ("HGROUP", _id("Gid", 1, on_host=True)),
    "hgroups": ("HGROUPS", _groups(on_host=True)),
    "hpid": ("HPID", lambda process, scene: str(process.pid)),
    "huser": ("HUSER", _id("Uid", 1, on_host=True)),
    "label": ("LABEL", _label),
    "nice": ("NI", lambda process, scene: str(process.number(19))),
    "pcpu": ("%CPU", lambda process, scene: f"{percentage(process, scene):.3f}"),
    "pgid": ("PGID", lambda process, scene: str(process.inner_pgid)),
    "pid": ("PID", lambda process, scene: str(process.inner_pid)),
    "ppid": ("PPID", lambda process, scene: str(parent(process, scene))),
    "rgroup": ("RGROUP", _id("Gid", 0)),
    "rss": ("RSS", lambda process, scene: str(process.rss_kib)),
    "ruser": ("RUSER", _id("Uid", 0)),
    "seccomp": ("SECCOMP", lambda process, scene: _SECCOMP.get(process.status.get("Seccomp", "0"), "?")),
    "state": ("STATE", lambda process, scene: process.state),
    "stime": ("STIME", _start),
    "time": ("TIME", lambda process, scene: go_duration(process.cpu_seconds)),
    "tty": ("TTY", lambda process, scene: process.tty),
    "user": ("USER", _id("Uid", 1)),
    "vsz": ("VSZ", lambda process, scene: str(process.vsz_kib)),
}
