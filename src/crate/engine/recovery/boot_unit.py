"""What calls `crate start --boot` at a boot: a unit of systemd, or an `@reboot` line of cron; cold."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys

from crate.errors import HostError, UsageError
from crate.storage.durable import write_file

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from crate.engine.context import Engine

NAME = "crate-boot"
_UNIT = """\
[Unit]
Description=Start the containers that crate is to start at boot
Documentation=man:crate-start(1)
{after}
[Service]
Type=oneshot
RemainAfterExit=yes
# A container is no part of this service: its monitor goes on when the service is stopped.
KillMode=process
ExecStart={command}

[Install]
WantedBy={target}
"""
_AFTER = "After=network-online.target\nWants=network-online.target\n"


def unit(engine: Engine, given: dict[str, Any], program: str, directory: str) -> SystemdUnit | CronLine:
    """What fits this host, or `program` (systemd, cron). `given`: the global options, which the call will have too.

    `directory` replaces the usual one of systemd's units. UsageError, HostError.
    """
    words = [_crate()]
    for option in ("root", "runroot", "config"):
        if given.get(option):
            words += [f"--{option}", os.path.abspath(given[option])]
    words += ["start", "--boot"]
    program = program or ("systemd" if directory or os.path.isdir("/run/systemd/system") else "cron")
    if program == "systemd":
        return SystemdUnit(words, engine.roots.rootless, directory)
    if program != "cron":
        raise UsageError(f'invalid value "{program}" for --by', "systemd or cron")
    return CronLine(words, engine.roots.rootless)


def _crate() -> str:
    """The program as a boot finds it."""
    here = os.path.realpath(sys.argv[0])
    installed = f"{os.path.dirname(sys.executable)}/crate"
    if os.path.basename(here).startswith("crate") and os.access(here, os.X_OK):
        return here
    found = installed if os.access(installed, os.X_OK) else shutil.which("crate")
    if not found:
        raise HostError("cannot find the program crate", "install it on PATH")
    return found


def _run(*words: str, text: str | None = None) -> str:
    """What another program prints. HostError with its own words when it fails."""
    try:
        done = subprocess.run(words, check=False, input=text, capture_output=True, text=True)
    except FileNotFoundError:
        raise HostError(f"cannot run {words[0]}: it is not installed", f"install {words[0]}") from None
    if done.returncode:
        raise HostError(f"{shlex.join(words)}: {done.stderr.strip() or f'it ended with {done.returncode}'}")
    return done.stdout


class SystemdUnit:
    """A service of the system, or of an ordinary user."""

    def __init__(self, words: list[str], rootless: bool, directory: str) -> None:
        self._rootless = rootless
        self._enable = not directory
        if rootless:
            base = os.environ.get("XDG_CONFIG_HOME") or os.path.expanduser("~/.config")
            directory = directory or f"{base}/systemd/user"
        directory = directory or "/etc/systemd/system"
        self._path = f"{directory}/{NAME}.service"
        target = "default.target" if rootless else "multi-user.target"
        command = " ".join(_quoted(word) for word in words)
        self.text = _UNIT.format(command=command, target=target, after="" if rootless else _AFTER)

    def install(self) -> list[str]:
        """Writes and enables it; gives what there is to tell."""
        try:
            os.makedirs(os.path.dirname(self._path), 0o755, exist_ok=True)
            write_file(None, self._path, self.text, durable=True, mode=0o644)
        except OSError as error:
            raise HostError(f"cannot write {self._path}: {os.strerror(error.errno or 0)}") from None
        if self._enable:
            _run("systemctl", *self._scope(), "daemon-reload")
            _run("systemctl", *self._scope(), "enable", f"{NAME}.service")
        lines = [self._path]
        if self._rootless:
            lines.append("it starts at the boot, and not at the login, once this was said: loginctl enable-linger")
        return lines

    def remove(self) -> list[str]:
        """Disables and removes it."""
        if not os.path.exists(self._path):
            return []
        if self._enable:
            _run("systemctl", *self._scope(), "disable", f"{NAME}.service")
        os.unlink(self._path)
        if self._enable:
            _run("systemctl", *self._scope(), "daemon-reload")
        return [self._path]

    def _scope(self) -> list[str]:
        return ["--user"] if self._rootless else []


def _quoted(word: str) -> str:
    """A word of ExecStart, see systemd.service(5)."""
    word = word.replace("\\", "\\\\").replace("%", "%%").replace("$", "$$")
    return '"' + word.replace('"', '\\"') + '"' if set(word) & set(" \t\"'\\;") else word


class CronLine:
    """A line `@reboot` in the table of this user, see crontab(5)."""

    def __init__(self, words: list[str], rootless: bool) -> None:
        self._mark = f"# {NAME}"
        command = shlex.join(words).replace("%", "\\%")
        self.text = f"@reboot {command} {self._mark}\n"

    def install(self) -> list[str]:
        """Adds it; gives what there is to tell."""
        _run("crontab", "-", text=self._others() + self.text)
        return [self.text.rstrip("\n")]

    def remove(self) -> list[str]:
        """Takes it away."""
        others = self._others()
        _run("crontab", "-", text=others)
        return [self._mark.removeprefix("# ")]

    def _others(self) -> str:
        """The table without this line; a user without a table is none of the failures."""
        try:
            table = subprocess.run(["crontab", "-l"], check=False, capture_output=True, text=True).stdout
        except FileNotFoundError:
            raise HostError("cannot run crontab: it is not installed", "install cron, or systemd") from None
        return "".join(line for line in table.splitlines(True) if not line.rstrip().endswith(self._mark))
