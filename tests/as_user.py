"""The suite as an ordinary user: `python tests/as_user.py PYTEST-ARGUMENT...`, as root or as that user.

Root makes a user with subordinate ids for it, and removes it afterwards. pytest runs as the user with `--rootless`:
tests that call for root's rights call for what the kernel gives an ordinary user instead, and those that it gives to
nobody but root are skipped with the reason (tests/rootless.py).
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


def main() -> int:
    """The status of pytest."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # the user goes then, too
    user = make_user(disk_directory()) if os.geteuid() == 0 else myself()
    try:
        words = [*user.become, *command(*sys.argv[1:])]
        return subprocess.run(words, check=False, cwd=CHECKOUT, env=environment(user)).returncode
    finally:
        if user.become:
            remove_user(user)


if __name__ == "__main__":
    sys.exit(main())
