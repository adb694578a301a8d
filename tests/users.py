"""An ordinary user with subordinate ids, made for the tests and removed after them."""

from __future__ import annotations

import os
import pwd
import shlex
import shutil
import subprocess
import time
from pathlib import Path
from typing import NamedTuple

RANGE = 65536
# Where /dev/net/tun is root's alone, who becomes the user gets one of its own, in a mount namespace; the machine's is
# left alone. One that a test has hidden stays hidden.
_OWN_TUN = """
[ ! -e /dev/net/tun ] || { mount -t tmpfs none /dev/net && mknod -m 666 /dev/net/tun c 10 200; } 2> /dev/null
exec "$@"
"""
FIRST = 1_000_000_000  # far from what useradd hands out itself


class User(NamedTuple):
    """A user; `become` are the words that run a command as this user, none where we are it ourselves."""

    name: str
    uid: int
    gid: int
    home: Path
    become: tuple[str, ...] = ()


def myself() -> User:
    """The ordinary user that runs the tests."""
    entry = pwd.getpwuid(os.getuid())
    return User(entry.pw_name, entry.pw_uid, entry.pw_gid, Path(entry.pw_dir))


def make_user(directory: Path) -> User:
    """A new user, with its home on the file system of `directory`. Root."""
    name = f"crate-{os.getpid()}"
    home = directory / f"crate-home-{os.getpid()}"
    _patiently("useradd", "--create-home", "--home-dir", str(home), "--shell", "/bin/sh", name)
    subprocess.run(["chattr", "+T", str(home)], check=False, capture_output=True)  # as abilities.spread
    entry = pwd.getpwnam(name)
    for option, file in (("--add-subuids", "/etc/subuid"), ("--add-subgids", "/etc/subgid")):
        if not has_range(Path(file), name):
            first = FIRST + (os.getpid() % 10_000) * RANGE
            _patiently("usermod", option, f"{first}-{first + RANGE - 1}", name)
    become: tuple[str, ...] = (
        "setpriv",
        f"--reuid={entry.pw_uid}",
        f"--regid={entry.pw_gid}",
        "--clear-groups",
        "--inh-caps=-all",
    )
    if not may_open_tun():
        become = ("unshare", "--mount", "sh", "-c", _OWN_TUN, "sh", *become)
    return User(name, entry.pw_uid, entry.pw_gid, home, become)


def may_open_tun() -> bool:
    """Whether every user may open /dev/net/tun on this machine."""
    tun = Path("/dev/net/tun")
    return tun.exists() and tun.stat().st_mode & 0o006 == 0o006


def remove_user(user: User) -> None:
    """Ends the processes of a made user and removes it with its home."""
    subprocess.run(["pkill", "-KILL", "-u", str(user.uid)], check=False)
    time.sleep(0.1)
    _patiently("userdel", user.name)
    shutil.rmtree(user.home, ignore_errors=True)


def etc_with(**files: str) -> str:
    """A line of shell that lays files over those of /etc, for who has a mount namespace of its own: root.

    A mount upon the file itself would vanish as soon as somebody makes a user: that renames a new file to its place.
    """
    make = "".join(f"printf %s {shlex.quote(text)} > /mnt/{name} && " for name, text in files.items())
    return f"mount -t tmpfs -o mode=755 none /mnt && {make}mount -t overlay -o lowerdir=/mnt:/etc none /etc"


def has_range(file: Path, name: str) -> bool:
    """Whether a user has subordinate ids in /etc/subuid or /etc/subgid."""
    return file.exists() and any(line.startswith(f"{name}:") for line in file.read_text().splitlines())


def _patiently(*command: str) -> None:
    """Once more when another process holds the lock of the password file."""
    for _ in range(600):
        done = subprocess.run(command, check=False, capture_output=True, text=True)
        if done.returncode == 0:
            return
        time.sleep(0.1)
    raise RuntimeError(f"{' '.join(command)}: {done.stderr.strip()}")
