"""The facts of the host that a plan depends on; reads only, each fact when it is asked for."""

from __future__ import annotations

import os
import time

from crate.errors import HostError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

_INIT_PROGRAMS = (
    "/usr/libexec/podman/catatonit",
    "/usr/bin/catatonit",
    "/usr/libexec/catatonit/catatonit",
    "/usr/bin/tini",
    "/usr/bin/tini-static",
    "/usr/bin/docker-init",
    "/usr/libexec/docker/docker-init",
)
_CAP_SYS_RESOURCE = 24


class Host:
    """This host as the caller sees it. Tests give a subclass that answers from memory."""

    __slots__ = ("_cwd", "_status", "environ", "hostname", "kernel", "machine", "now_ns", "rootless")

    def __init__(
        self, rootless: bool = False, environ: Mapping[str, str] | None = None, cwd: str | None = None
    ) -> None:
        system = os.uname()
        self.rootless = rootless
        self.environ: Mapping[str, str] = os.environ if environ is None else environ
        self._cwd = cwd
        self.hostname = system.nodename
        self.machine = system.machine
        self.kernel = system.release
        self.now_ns = time.time_ns()
        self._status: dict[str, str] | None = None

    @property
    def cwd(self) -> str:
        """The working directory, where relative paths of options begin. HostError when it was removed."""
        if self._cwd is None:
            try:
                self._cwd = os.getcwd()
            except FileNotFoundError:
                raise HostError("the working directory was removed", "cd to one that is there") from None
        return self._cwd

    def read_text(self, path: str) -> str:
        """A file that an option names. OSError; UnicodeDecodeError."""
        with open(path, encoding="utf-8-sig") as file:
            return file.read()

    def stat(self, path: str) -> os.stat_result | None:
        """stat(2) of a path that an option names; None where nothing is, or may be seen."""
        try:
            return os.stat(path)
        except OSError:
            return None

    def is_link(self, path: str) -> bool:
        """Whether the last part of a path is a symbolic link."""
        return os.path.islink(path)

    def list_directory(self, path: str) -> list[str]:
        """The names in a directory, sorted; none where it cannot be read."""
        try:
            return sorted(os.listdir(path))
        except OSError:
            return []

    def cpus(self) -> int:
        """Processors that are online."""
        return os.cpu_count() or 1

    def limits_swap(self) -> bool:
        """Whether a limit on swap can be set; asking for one is an error where it cannot."""
        if os.access("/sys/fs/cgroup/memory/memory.memsw.limit_in_bytes", os.F_OK):
            return True
        groups = ("crate", "system.slice", "init.scope", "user.slice")
        if any(os.access(f"/sys/fs/cgroup/{group}/memory.swap.max", os.F_OK) for group in groups):
            return True
        return bool(self._cgroup_facts()["has_swap_limit"])

    def has_memory_v1(self) -> bool:
        """Whether memory is limited by cgroup v1, which knows swappiness and a life without the OOM killer."""
        return os.access("/sys/fs/cgroup/memory", os.F_OK)

    def can_limit(self, controller: str) -> bool:
        """Whether limits of a cgroup controller (by its name in v1) can be set here by this user."""
        if not self.rootless:
            if os.access(f"/sys/fs/cgroup/{controller}", os.F_OK):
                return True
            try:
                if controller in self.read_text("/sys/fs/cgroup/cgroup.controllers").split():
                    return True
            except OSError:
                pass
        if controller in self._cgroup_facts()["controllers"]:
            return True
        from crate.cgroup import scope

        return self.rootless and controller in scope.offered(self.mapped_uids()[0][0])

    def _cgroup_facts(self) -> dict[str, Any]:
        from crate.cgroup.facts import facts  # two milliseconds: only where a look at one file does not tell

        return facts()

    def hard_limit(self, number: int) -> int | None:
        """The hard resource limit that cannot be exceeded; None where CAP_SYS_RESOURCE lifts it."""
        import resource

        if not self.rootless and self._capabilities("CapEff") >> _CAP_SYS_RESOURCE & 1:
            return None
        hard = resource.getrlimit(number)[1]
        return None if hard == resource.RLIM_INFINITY else hard

    def oom_score_adj(self) -> int | None:
        """The caller's oom_score_adj, which only CAP_SYS_RESOURCE undercuts; None where there is that right."""
        if not self.rootless and self._capabilities("CapEff") >> _CAP_SYS_RESOURCE & 1:
            return None
        return int(self.read_text("/proc/self/oom_score_adj"))

    def bounding(self) -> int:
        """The capabilities that a process here can have at all, as bits."""
        return self._capabilities("CapBnd")

    def mapped_uids(self) -> list[tuple[int, int]]:
        """The user ids of an ordinary user's namespace, from 0 up without a gap: (what it is outside, how many)."""
        return self._mapped("/proc/self/uid_map")

    def mapped_gids(self) -> list[tuple[int, int]]:
        """The group ids of an ordinary user's namespace, from 0 up without a gap: (what it is outside, how many)."""
        return self._mapped("/proc/self/gid_map")

    def has_single_id(self) -> bool:
        """Whether this is the namespace of an ordinary user without subordinate ids."""
        return self.rootless and [size for _, size in self.mapped_uids()] == [1]

    def own_ids(self) -> tuple[int, int]:
        """The uid and gid of the ordinary user who is root in this namespace."""
        return self.mapped_uids()[0][0], self.mapped_gids()[0][0]

    def subordinate(self, path: str, name: str) -> list[tuple[int, int]]:
        """The ranges of a name in a file as subuid(5) describes it: (first id, how many)."""
        try:
            lines = [line.strip().split(":") for line in self.read_text(path).splitlines()]
        except OSError:
            return []
        return [
            (int(line[1]), int(line[2]))
            for line in lines
            if len(line) == 3 and line[0] == name and line[1].isdigit() and line[2].isdigit() and int(line[2])
        ]

    def account(self, name: str) -> list[str] | None:
        """The fields of a user's entry in the host's database, by name or number; None for no such user."""
        from pwd import getpwnam, getpwuid

        try:
            found = getpwuid(int(name)) if name.isdigit() else getpwnam(name)
        except (KeyError, OverflowError):
            return None
        return [str(field) for field in found]

    def _mapped(self, path: str) -> list[tuple[int, int]]:
        found, count = [], 0
        for line in self.read_text(path).splitlines():
            inside, outside, size = map(int, line.split())
            if inside == count:
                found.append((outside, size))
                count += size
        return found

    def init_program(self) -> str:
        """The program of `--init`; empty where none is installed."""
        for path in _INIT_PROGRAMS:
            if os.access(path, os.X_OK):
                return path
        return ""

    def _capabilities(self, name: str) -> int:
        if self._status is None:
            lines = (line.partition(":") for line in self.read_text("/proc/self/status").splitlines())
            self._status = {key: value.strip() for key, _, value in lines}
        return int(self._status[name], 16)
