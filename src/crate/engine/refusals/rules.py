"""From a refused call to the rule that refused it, and the options that would allow it; the first rule that fits.

Seccomp comes first, as in the kernel: what it answers never reaches the other rules.
"""

from __future__ import annotations

import errno
import os
import stat
from typing import NamedTuple

from crate.engine.refusals import calls, netlink
from crate.engine.refusals.files import Files, of_socket
from crate.errors import CrateError
from crate.linux.capability import NUMBERS
from crate.plan.host import Host
from crate.plan.security import Security
from crate.runtime.landlock import ANNOTATION
from crate.runtime.seccomp_assembler import assemble
from crate.runtime.seccomp_verdict import Filter, allows, is_refusal, signals

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from crate.engine.containers import Container
    from crate.engine.context import Engine
    from crate.engine.refusals.calls import Call
    from crate.engine.refusals.files import Finding
    from crate.engine.refusals.tracee import Tracee

#: what a rule may answer; ENOSYS only where the filter does
CODES = (errno.EPERM, errno.EACCES, errno.EROFS, errno.ENOSYS)
# Their EPERM is about the state of the program itself: a session leader, a file that cannot be polled, a lock.
_OWN_AFFAIRS = frozenset("epoll_ctl setsid setpgid futex futex_time64 flock msync rt_sigreturn mremap mprotect".split())
_KNOWN_MAX = 256
#: capabilities that open a call in docker's profile; the first that does is told, the widest last
_WIDE = "CAP_SYS_ADMIN"
_UNKNOWN: Finding = ("the kernel: neither seccomp, nor a capability, nor the mode of a file", [])
_UNCONFINED = "--security-opt seccomp=unconfined"
# unshare(2) and clone(2) of a user namespace ask for no capability.
_CLONE_NEWUSER = 0x10000000


class Refusal(NamedTuple):
    """A distinct refusal. `options`: each of them alone would let the call pass, the narrowest first."""

    call: str
    errno: str
    rule: str
    options: tuple[str, ...]


class Judge:
    """Knows the rules of one container."""

    def __init__(
        self,
        engine: Engine,
        container: Container,
        spec: dict[str, Any],
        process: dict[str, Any],
        program: bytes | None,
    ) -> None:
        """`process` is the spec's own, or that of an exec, which has its filter from the container's capabilities.

        `program`: the filter, assembled.
        """
        self._engine = engine
        self._options: Any = container.record["options"]
        self._capabilities: list[str] = ((spec.get("process") or {}).get("capabilities") or {}).get("bounding") or []
        self._filter = Filter(program) if program else None
        #: what `_opening` found for calls that a program repeats
        self._openings: dict[tuple[str, Call], list[str]] = {}
        self._opened: dict[str, Filter | None] = {}
        self._host = Host(engine.roots.rootless)
        self._rootless = engine.roots.rootless
        self._landlock = (spec.get("annotations") or {}).get(ANNOTATION) == "1"
        self.files = Files({**spec, "process": process}, engine.roots.graphroot)

    def judge(self, tracee: Tracee, call: Call, code: int) -> Refusal | None:
        """What refused a call with this errno; None when no rule did."""
        finding = self._of_filter(tracee, call, code)
        if finding is None:
            if code == errno.ENOSYS or call.name in _OWN_AFFAIRS:
                return None
            finding = self._of_others(tracee, call, code)
        words = self._words(tracee, call)
        return Refusal(f"{call.name} {words}".rstrip(), errno.errorcode[code], finding[0], tuple(finding[1]))

    def signalled(self, call: Call) -> Refusal | None:
        """What the filter answered by SIGSYS, if it did."""
        if self._filter is None or not signals(self._answer(self._filter, call)):
            return None
        options = (*self._opening(call, ""), _UNCONFINED)
        return Refusal(call.name, "SIGSYS", f"seccomp: the profile has a signal for who calls {call.name}", options)

    def answered(self, tracee: Tracee, call: Call, size: int) -> Refusal | None:
        """A refusal in a message of netlink(7) that the program has received."""
        found = netlink.refusal(tracee, call, size)
        if found is None:
            return None
        words, code, needed = found
        rule, options = self._of_capability(tracee, call, needed) or _UNKNOWN
        return Refusal(words, errno.errorcode[code], rule, tuple(options))

    def masked(self, call: Call, path: str) -> Refusal | None:
        """A file that was opened, and is covered."""
        finding = self.files.of_masked(path)
        return Refusal(f"{call.name} {calls.argument(path)}", "", finding[0], tuple(finding[1])) if finding else None

    def executed(self, tracee: Tracee) -> Refusal | None:
        """A program whose file gives rights, and that got none, since no_new_privs was set."""
        try:
            status = os.stat(f"/proc/{tracee.pid}/exe")
            identity = tracee.identity
        except (OSError, ValueError, LookupError):
            return None  # it has just been killed
        if not identity.no_new_privs:
            return None
        if status.st_mode & stat.S_ISUID and status.st_uid != identity.uid:
            kind = "set-user-ID program"
        elif status.st_mode & stat.S_ISGID and status.st_gid != identity.gid:
            kind = "set-group-ID program"
        elif _has_file_capabilities(tracee) and tracee.inside("uid", identity.uid):
            kind = "program with file capabilities"
        else:
            return None
        path = calls.argument(tracee.link("exe"))
        rule = f"no_new_privs: a {kind} keeps its caller's rights"
        return Refusal(f"execve {path}", "", rule, ("--security-opt no-new-privileges=false",))

    def _words(self, tracee: Tracee, call: Call) -> str:
        use = calls.file_use(call.name)
        path = calls.path_of(tracee, call, use) if use else None
        return calls.argument(path) if path else calls.words_of(tracee, call)

    def _answer(self, filter: Filter, call: Call) -> int:
        return filter.answer(call.number, call.architecture, call.pointer, call.arguments)

    def _of_filter(self, tracee: Tracee, call: Call, code: int) -> Finding | None:
        if self._filter is None or not is_refusal(self._answer(self._filter, call), code):
            return None
        needed = calls.capability_of(tracee, call)
        if needed and self._is_beyond_users(tracee, call, needed):
            return f"user namespace: {call.name} needs CAP_{needed} on the host", self._host_options(tracee, needed)
        opening = self._opening(call, needed)
        if opening:
            rule = f"seccomp: the profile allows {call.name} only with a capability"
        else:
            rule = f"seccomp: the profile does not allow {call.name}"
        if not needed or self._asks_for_nothing(call):
            return rule, [*opening, _UNCONFINED]
        if opening:
            return rule, [self._with_user(tracee, option) for option in opening]
        lacks = "" if f"CAP_{needed}" in self._capabilities else f" --cap-add {needed}"
        return rule, [self._with_user(tracee, _UNCONFINED + lacks)]

    def _asks_for_nothing(self, call: Call) -> bool:
        return call.name in ("unshare", "clone") and call.arguments[0] & 0x7E020080 == _CLONE_NEWUSER

    def _opening(self, call: Call, needed: str) -> list[str]:
        """`--cap-add` of the capability with which the profile lets the call pass; none if there is no such."""
        key = needed, call
        if key not in self._openings:
            if len(self._openings) >= _KNOWN_MAX:
                self._openings.clear()
            self._openings[key] = self._find_opening(call, needed)
        return self._openings[key]

    def _find_opening(self, call: Call, needed: str) -> list[str]:
        for name in sorted(NUMBERS, key=lambda name: (name != f"CAP_{needed}", name == _WIDE, NUMBERS[name])):
            if name in self._capabilities:
                continue
            filter = self._with(name)
            if filter is None or allows(self._answer(filter, call)):
                return [f"--cap-add {name.removeprefix('CAP_')}"]
        return []

    def _with(self, capability: str) -> Filter | None:
        """The profile as it would be with one more capability; None when that is none."""
        if capability not in self._opened:
            made: Filter | None = self._filter
            try:
                security = Security(self._options, self._host, self._engine.settings)
                seccomp = security.make_seccomp([*self._capabilities, capability], self._host, "")
                made = Filter(assemble(seccomp, self._host.machine)) if seccomp else None
            except (CrateError, OSError):
                pass  # the profile's file has changed: nothing can be said of what it would be
            self._opened[capability] = made
        return self._opened[capability]

    def _of_others(self, tracee: Tracee, call: Call, code: int) -> Finding:
        if call.name == "ptrace":
            return "--diagnose itself traces the program, and nobody else can", ["--diagnose=false"]
        finding = self._of_files(tracee, call, code)
        if finding:
            return finding
        needed = calls.capability_of(tracee, call)
        if needed:
            finding = self._of_capability(tracee, call, needed)
            if finding:
                return finding
        if call.name in ("mknod", "mknodat"):
            return self._of_mknod(call)
        if self._landlock:
            return "landlock: the second wall", ["--security-opt landlock=false"]
        if tracee.identity.filters > (1 if self._filter else 0):
            return "a seccomp filter of the program's own", []
        return _UNKNOWN

    def _of_files(self, tracee: Tracee, call: Call, code: int) -> Finding | None:
        if call.name in ("connect", "bind"):
            return of_socket(self.files, tracee, call, code)
        use = calls.file_use(call.name)
        path = calls.path_of(tracee, call, use) if use else None
        if use is None or path is None:
            return None
        return self.files.explain(tracee, call, use, path, code)

    def _of_capability(self, tracee: Tracee, call: Call, needed: str) -> Finding | None:
        if self._is_beyond_users(tracee, call, needed):
            return f"user namespace: {call.name} needs CAP_{needed} on the host", self._host_options(tracee, needed)
        if tracee.has(NUMBERS[f"CAP_{needed}"]):
            if tracee.is_in_initial_users():
                return None
            return f"user namespace: CAP_{needed} is there, but the host's is asked for", self._host_options(
                tracee, needed
            )
        rule = f"capability: CAP_{needed} is missing"
        if self.files.own_change(tracee):
            return f"{rule}: the program gave it up itself", []
        lacks = f"CAP_{needed}" not in self._capabilities
        if tracee.inside("uid", tracee.identity.uid) == 0:
            return (rule, [f"--cap-add {needed}"]) if lacks else (f"{rule}: the program gave it up itself", [])
        return rule, [f"--cap-add {needed} --user 0" if lacks else "--user 0"]

    def _is_beyond_users(self, tracee: Tracee, call: Call, needed: str) -> bool:
        return calls.is_of_the_host(call, needed) and not tracee.is_in_initial_users()

    def _host_options(self, tracee: Tracee, needed: str) -> list[str]:
        """What gives the container the host's user namespace: nothing does for an ordinary user."""
        if self._rootless:
            return []
        lacks = "" if f"CAP_{needed}" in self._capabilities else f" --cap-add {needed}"
        return [self._with_user(tracee, f"--userns host{lacks}")]

    def _with_user(self, tracee: Tracee, option: str) -> str:
        return option if tracee.inside("uid", tracee.identity.uid) == 0 else f"{option} --user 0"

    def _of_mknod(self, call: Call) -> Finding:
        at = 1 if call.name == "mknod" else 2
        kind = "b" if stat.S_ISBLK(call.arguments[at]) else "c"
        device = call.arguments[at + 1]
        number = f"{os.major(device)}:{os.minor(device)}"
        rule = f"device: the cgroup's rules do not allow {kind} {number}"
        return rule, [f"--device-cgroup-rule '{kind} {number} rwm'"]


def _has_file_capabilities(tracee: Tracee) -> bool:
    try:
        return bool(os.getxattr(f"/proc/{tracee.pid}/exe", "security.capability"))
    except OSError:
        return False
