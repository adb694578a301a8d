"""`image scp`: an image from one store to another, as an archive through a pipe: `save` here, `load` there.

    crate save │ crate load             user@localhost::  another user of this host: root becomes any, others ask sudo
    crate save │ ssh host crate load    host::            the ssh program, with whatever it is configured for

At a far end crate is used, or podman or docker, whichever is there.
"""

from __future__ import annotations

import os

from crate.errors import HostError, NotFoundError, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import IO, Any

_CHUNK = 1 << 20
_WORDS_MAX = 64 << 10
_LOCAL = ("", "localhost")
_PROGRAMS = "crate podman docker"


class End:
    """Where an image is, or goes: `host` "" or `localhost` is this one, `user` "" is ourselves (or ssh's choice)."""

    __slots__ = ("host", "image", "port", "user")

    def __init__(self, user: str = "", host: str = "", port: str = "", image: str = "") -> None:
        self.user = user
        self.host = host
        self.port = port
        self.image = image

    def command(self, own: Sequence[str], verb: Sequence[str]) -> tuple[list[str], dict[str, Any]]:
        """The command that does `verb` there, and how it is started (arguments of subprocess). UsageError, HostError.

        `own`: the words that start this very program with its global options, for our own store.
        """
        if self.host not in _LOCAL:
            return self._ssh(verb), {}
        if not self.user or self.user == _own_name():
            return [*own, *verb], {}
        if os.geteuid():
            return ["sudo", "-u", self.user, "--", *_started(own), *verb], {}
        return [*_started(own), *verb], _as_user(self.user)

    def _ssh(self, verb: Sequence[str]) -> list[str]:
        import shlex

        words = shlex.join(verb)
        script = f"for p in {_PROGRAMS}; do command -v $p >/dev/null 2>&1 && exec $p {words}; done; "
        script += f"echo 'none of {_PROGRAMS} is here' >&2; exit 127"
        target = f"{self.user}@{self.host}" if self.user else self.host
        return ["ssh", *(["-p", self.port] if self.port else []), "--", target, f"sh -c {shlex.quote(script)}"]


def _started(own: Sequence[str]) -> list[str]:
    """The words without the global options: those are about our own store."""
    end = next((number for number, word in enumerate(own) if word.startswith("--")), len(own))
    return list(own[:end])


def parse(source: str, target: str | None) -> tuple[End, End]:
    """The two ends: `IMAGE`, `HOST::IMAGE`, `USER@HOST[:PORT]::IMAGE`; a target has no image. UsageError."""
    first = _end(source) if "::" in source else End(image=source)
    if not first.image or first.image.startswith("-"):
        raise UsageError(f'no image in "{source}"', "crate image scp HOST::IMAGE, or crate image scp IMAGE HOST::")
    if target is None:
        sudo_user = os.environ.get("SUDO_USER", "")
        if first.host == "localhost" and first.user == "root" and sudo_user not in ("", "root"):
            return first, End(sudo_user, "localhost")
        if first.host in _LOCAL and not first.user:
            raise UsageError(f"where to copy {source}?", f"crate image scp {source} HOST::")
        return first, End()
    second = _end(target if "::" in target else f"{target}::")
    if second.image:
        raise UsageError(f"cannot copy to {target}: the image keeps its name", "give HOST:: alone")
    return first, second


def _end(text: str) -> End:
    where, _, image = text.partition("::")
    plain = where.removeprefix("ssh://")
    user, at, host = plain.rpartition("@")
    port = ""
    if not host.startswith("["):
        host, _, port = host.partition(":")
        port = port.partition("/")[0]  # podman writes the path of a socket after it
    # ssh would read a beginning dash as an option (CVE-2017-1000117 and its kin).
    is_odd = not host or host.startswith("-") or user.startswith("-") or (at and not user)
    if is_odd or (port and not port.isdigit()):
        raise UsageError(f'invalid host in "{text}"', "as USER@HOST[:PORT]::")
    return End(user, host, port, image)


def _own_name() -> str:
    import pwd

    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return ""


def _as_user(name: str) -> dict[str, Any]:
    """How root starts a program as another user, with nothing of root's own environment."""
    import pwd

    try:
        entry = pwd.getpwnam(name)
    except KeyError:
        raise NotFoundError(f"no user {name} on this host") from None
    environment = {"HOME": entry.pw_dir, "USER": name, "LOGNAME": name, "PATH": os.environ.get("PATH", os.defpath)}
    run = f"/run/user/{entry.pw_uid}"
    if os.path.isdir(run):
        environment["XDG_RUNTIME_DIR"] = run
    groups = os.getgrouplist(name, entry.pw_gid)
    return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": groups, "env": environment, "cwd": "/"}


def copy(source: tuple[list[str], dict[str, Any]], target: tuple[list[str], dict[str, Any]]) -> str:
    """Runs both with a pipe between; gives what the second printed. HostError in the words of the one that failed.

    The second is not started before the first has something to say, so that nothing is loaded of what is not there.
    """
    import subprocess
    import tempfile

    with tempfile.TemporaryFile() as from_first, tempfile.TemporaryFile() as from_second:
        first = _start(source, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, stderr=from_first)
        assert first.stdout
        data = first.stdout.read(_CHUNK)
        if not data:
            raise _failure(source[0], first.wait(), from_first)
        second = _start(target, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=from_second)
        assert second.stdin and second.stdout
        try:
            while data:
                second.stdin.write(data)
                data = first.stdout.read(_CHUNK)
            second.stdin.close()
        except BrokenPipeError:
            first.kill()
        printed: str = second.stdout.read(_WORDS_MAX).decode(errors="replace")
        status = second.wait()
        if status:
            first.kill()
            first.wait()
            raise _failure(target[0], status, from_second)
        if first.wait():
            raise _failure(source[0], first.returncode, from_first)
    return printed


def _start(what: tuple[list[str], dict[str, Any]], **streams: Any) -> Any:
    import subprocess

    words, how = what
    try:
        return subprocess.Popen(words, **how, **streams)
    except FileNotFoundError:
        raise HostError(f"cannot copy: {words[0]} is not installed") from None
    except OSError as error:
        raise HostError(f"cannot copy: {words[0]}: {os.strerror(error.errno or 0)}") from None


def _failure(words: Sequence[str], status: int, told: IO[bytes]) -> HostError:
    told.seek(0)
    lines = told.read(_WORDS_MAX).decode(errors="replace").strip().splitlines()
    last = lines[-1].removeprefix("Error: ") if lines else f"it ended with {status}"
    return HostError(f"cannot copy: {'ssh: ' if words[0] == 'ssh' else ''}{last}")
