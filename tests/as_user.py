"""The suite as an ordinary user: `python tests/as_user.py [--inside] PYTEST-ARGUMENT...`, as root or as that user.

Root makes a user with subordinate ids for it, and removes it afterwards. pytest runs as the user with `--rootless`:
tests that call for root's rights call for what the kernel gives an ordinary user instead, and those that it gives to
nobody but root are skipped with the reason (tests/rootless.py). `--inside`: pytest itself is in the user's namespace
(`crate unshare`), for tests that call crate's modules and not the program: those of storage, runtime and registry.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from abilities import CHECKOUT, disk_directory
from users import User, make_user, myself, remove_user


def command(*arguments: str) -> list[str]:
    """pytest with `--rootless`. Nothing above tests is collected: the user may be allowed to pass through the checkout,
    but not to list it."""
    words = [str(CHECKOUT / ".venv/bin/python"), "-m", "pytest", "-c", "pyproject.toml", "--rootdir=tests"]
    return [*words, "--confcutdir=tests", "-p", "no:cacheprovider", "--rootless", *arguments]


def environment(user: User) -> dict[str, str]:
    """Of a login of this user, and what the tests are told by."""
    told = {name: os.environ[name] for name in os.environ if name.startswith("CRATE_")}
    path = f"{CHECKOUT}/src:{CHECKOUT}/tests"
    return {
        **told, "PATH": os.environ["PATH"], "LANG": "C.UTF-8", "HOME": str(user.home), "USER": user.name,
        "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1", "PYTEST_DEBUG_TEMPROOT": str(user.home),
    }  # fmt: skip


def namespace(user: User) -> list[str]:
    """The words that run a command in the user's namespace; the roots of the crate that makes it are in the home."""
    crate = str(CHECKOUT / ".venv/bin/crate")
    return [crate, "--root", f"{user.home}/.unshare-root", "--runroot", f"{user.home}/.unshare-run", "unshare"]


def main() -> int:
    """The status of pytest."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # the user goes then, too
    inside = sys.argv[1:2] == ["--inside"]
    user = make_user(disk_directory()) if os.geteuid() == 0 else myself()
    try:
        words = [*user.become, *(namespace(user) if inside else ()), *command(*sys.argv[1 + inside :])]
        told = environment(user)
        if inside:
            # Where runc and podman beside it keep their state: root in a namespace may not use root's.
            place = user.home / ".unshare-peers"
            place.mkdir(mode=0o700, exist_ok=True)
            os.chown(place, user.uid, user.gid)
            told |= {"XDG_RUNTIME_DIR": str(place), "_CONTAINERS_USERNS_CONFIGURED": "done"}
            told |= {"_CONTAINERS_ROOTLESS_UID": str(user.uid), "_CONTAINERS_ROOTLESS_GID": str(user.gid)}
        return subprocess.run(words, check=False, cwd=CHECKOUT, env=told).returncode
    finally:
        if user.become:
            remove_user(user)


if __name__ == "__main__":
    sys.exit(main())
