"""Who the container's process is: limits, capabilities, ids, seccomp; and the execve(2) that ends our code."""

from __future__ import annotations

import _signal
import errno
import os
import resource

from crate.linux.capability import capget, capset, drop_bounding, mask, set_ambient
from crate.linux.process import PR_SET_KEEPCAPS, PR_SET_NO_NEW_PRIVS, join_session_keyring, prctl
from crate.runtime.sync import SetupError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn

    from crate.runtime.seccomp import Filter
    from crate.runtime.sync import Channel

_SETS = ("bounding", "effective", "permitted", "inheritable", "ambient")


def set_rlimits(rlimits: list[dict[str, Any]]) -> None:
    """process.rlimits of the spec. RLIM_INFINITY travels as 2^64-1."""
    for limit in rlimits:
        number = getattr(resource, limit["type"], None)
        if number is None:
            raise SetupError(f"cannot set rlimit {limit['type']}: unknown to this system")
        soft, hard = limit_values(limit)
        try:
            resource.setrlimit(number, (soft, hard))
        except (OSError, ValueError):
            have = resource.getrlimit(number)[1]
            hint = f"this host allows at most {have} (raising it needs CAP_SYS_RESOURCE)"
            text = f"cannot set rlimit {limit['type']} to {soft}:{hard}"
            raise SetupError(text, OSError(errno.EPERM, ""), hint=hint) from None


def limit_values(limit: dict[str, Any]) -> tuple[int, int]:
    """Soft and hard value of a limit of the spec, as setrlimit(2) takes them."""
    soft, hard = (-1 if value >= 1 << 63 else value for value in (limit["soft"], limit["hard"]))
    return soft, hard


def leave_keyring() -> None:
    """A new session keyring: without it the process would possess the keys of who called crate (session-keyring(7)).

    SetupError where the user has as many keys as the kernel allows.
    """
    try:
        join_session_keyring()
    except OSError as error:
        if error.errno == errno.EDQUOT:
            hint = "an administrator may allow this user more keys: sysctl kernel.keys.maxkeys, kernel.keys.maxbytes"
            raise SetupError("cannot make a session keyring", error, hint=hint) from None
        if error.errno not in (errno.ENOSYS, errno.EPERM):
            raise


def keeps_groups(spec: dict[str, Any]) -> bool:
    """Whether the process keeps its caller's supplementary groups, as crun(1) has it."""
    return (spec.get("annotations") or {}).get("run.oci.keep_original_groups") == "1"


def become(process: dict[str, Any], seccomp: Filter | None, channel: Channel, keep_groups: bool = False) -> None:
    """Ids, capabilities, no_new_privs and the seccomp filter of `process`, in the one order that the kernel allows.

    `channel`: to the parent, who gets a filter's listener. `keep_groups`: the supplementary groups stay the caller's.
    """
    user = process.get("user") or {}
    wanted = process.get("capabilities")
    no_new_privileges = bool(process.get("noNewPrivileges"))
    try:
        if seccomp and not no_new_privileges:
            seccomp.load(channel)  # needs CAP_SYS_ADMIN, so before the capabilities go
        if wanted is not None:
            sets = {name: mask(wanted.get(name) or []) for name in _SETS}
            drop_bounding(sets["bounding"])
            prctl(PR_SET_KEEPCAPS, 1)
        _set_ids(user, keep_groups)
        if wanted is not None:
            prctl(PR_SET_KEEPCAPS, 0)
            have = capget()[1]
            permitted = sets["permitted"] & have
            capset(sets["effective"] & permitted, permitted, sets["inheritable"] & have)
            set_ambient(sets["ambient"] & permitted & sets["inheritable"])
        if no_new_privileges:
            prctl(PR_SET_NO_NEW_PRIVS, 1)
            if seccomp:
                seccomp.load(channel)
    except KeyError as error:
        raise SetupError(f"unknown capability {error.args[0]}") from None
    except OSError as error:
        raise SetupError(f"cannot take the identity of the container's process ({error.strerror})", error) from None


def give_terminal(slave: int, user: dict[str, Any]) -> None:
    """Makes the container's user the owner of its terminal."""
    try:
        os.fchown(slave, user.get("uid", 0), -1)
    except OSError as error:
        raise _unmapped("uid", str(user["uid"])) if error.errno == errno.EINVAL else error from None


def _set_ids(user: dict[str, Any], keep_groups: bool) -> None:
    uid, gid, groups = user.get("uid", 0), user.get("gid", 0), user.get("additionalGids") or []
    try:
        if not keep_groups:
            os.setgroups(groups)
    except PermissionError:
        pass  # a user namespace of a single id denies it: no group can be dropped, and the image's are not there
    except OSError as error:
        if error.errno == errno.EINVAL:
            raise _unmapped("groups", ", ".join(map(str, groups))) from None
        raise
    for kind, call, number in (("gid", os.setresgid, gid), ("uid", os.setresuid, uid)):
        try:
            call(number, number, number)
        except OSError as error:
            if error.errno == errno.EINVAL:
                raise _unmapped(kind, str(number)) from None
            raise
    os.umask(user.get("umask", 0o022))


def _unmapped(kind: str, numbers: str) -> SetupError:
    return SetupError(
        f"cannot run as {kind} {numbers}: not mapped into the user namespace",
        hint="an ordinary user has the ids that /etc/subuid and /etc/subgid give: usermod --add-subuids FIRST-LAST "
        "--add-subgids FIRST-LAST USER",
    )


def enter_directory(cwd: str) -> None:
    """chdir(2), and the proof that it lies within the root (CVE-2024-21626)."""
    try:
        os.chdir(cwd)
        seen = os.getcwd()
    except OSError as error:
        raise SetupError(f"cannot enter the working directory {cwd}", error, 126) from None
    if not seen.startswith("/"):
        raise SetupError(f"the working directory {cwd} lies outside of the container", None, 126)


def enter_directory_first(cwd: str) -> bool:
    """`enter_directory` before `become`: root may go where the user may not, as in runc.

    False where root may not (NFS), so that it must be entered after `become`.
    """
    try:
        enter_directory(cwd)
    except SetupError as error:
        if error.error is None or error.error.errno != errno.EACCES:
            raise
        return False
    return True


def find_program(process: dict[str, Any]) -> str:
    """The path of process.args[0], searched in the container's PATH as execvp(3) does: 127 and 126 are decided here.

    A relative one is meant from the working directory, which was entered before.
    """
    name = process["args"][0] if process.get("args") else ""
    if not name:
        raise SetupError("no command specified", None, 125, "give one, or use an image with CMD or ENTRYPOINT")
    if "/" in name:
        _must_be_program(name, name)
        return str(name)
    search = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    for entry in process.get("env") or []:
        if entry.startswith("PATH="):
            search = entry[5:]
    found = None
    for directory in search.split(":"):
        path = f"{directory or '.'}/{name}"
        try:
            _must_be_program(path, name)
        except SetupError as error:
            if error.status == 126 and found is None:
                found = error
        else:
            return path
    raise found or SetupError(f'exec: "{name}": executable file not found in $PATH', None, 127)


def _must_be_program(path: str, name: str) -> None:
    try:
        mode = os.stat(path).st_mode
    except OSError as error:
        status = 127 if error.errno in (errno.ENOENT, errno.ENOTDIR) else 126
        raise SetupError(f'exec: "{name}"', error, status) from None
    if mode & 0o170000 == 0o040000:
        raise SetupError(f'exec: "{name}": is a directory', OSError(errno.EACCES, ""), 126)
    if not mode & 0o111:
        raise SetupError(f'exec: "{name}"', OSError(errno.EACCES, ""), 126)


def reset_signals() -> None:
    """What Python, the monitor or a caller ignores, and what is blocked, would be inherited over execve(2)."""
    for number in range(1, 65):
        if _signal.getsignal(number) == _signal.SIG_IGN:
            _signal.signal(number, _signal.SIG_DFL)
    _signal.pthread_sigmask(_signal.SIG_SETMASK, [])


def close_descriptors(keep: int) -> None:
    """Closes all but the standard streams and `keep`, a close-on-exec socket, before a path of the container is used.

    Close-on-exec is too late: execve(2) looks its path up before, and a program, working directory or interpreter that
    is /proc/self/fd/N/../../.. leads from a directory of the host's to any file of it (CVE-2024-21626).
    """
    os.closerange(3, keep)
    os.closerange(keep + 1, 1 << 20)


def execute(path: str, process: dict[str, Any]) -> NoReturn:
    """execve(2) of the container's program, after `close_descriptors`."""
    environment = {}
    for entry in process.get("env") or []:
        key, _, value = entry.partition("=")
        environment[key] = value
    try:
        os.execve(path, process["args"], environment)
    except OSError as error:
        status = 127 if error.errno in (errno.ENOENT, errno.ENOTDIR) else 126
        hint = None
        if error.errno == errno.ENOENT:
            hint = "the file is there: its interpreter (#! line or ELF loader) is missing in the image"
        if error.errno == errno.ENOEXEC:
            hint = "a script without #! line, or a program for another architecture"
        if error.errno == errno.E2BIG:
            hint = (
                "one argument or variable has at most 128 KiB, all together a quarter of the stack's limit: execve(2)"
            )
        raise SetupError(f'exec: "{process["args"][0]}"', error, status, hint) from None
