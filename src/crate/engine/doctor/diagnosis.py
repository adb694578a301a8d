"""The doctor, called by an error: what it finds about the thing that a command failed for.

Cold: only errors come here.
"""

from __future__ import annotations

import errno
import os

from crate.engine.doctor import host as doctor
from crate.engine.doctor.network import tun, userspace
from crate.engine.doctor.users import Patient, namespaces, programs, subordinate
from crate.errors import CrateError, HostError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from crate.engine.doctor.users import Check

#: words of a message -> what to look at. An error of a monitor's comes over a socket: its words are all there is.
_SUBJECTS: tuple[tuple[str, Check], ...] = (
    ("cannot make a user namespace", namespaces),
    ("no program newuidmap", programs),
    ("no program newgidmap", programs),
    ("cannot map the subordinate ids", subordinate),
    ("no program pasta", userspace),
    ("/dev/net/tun cannot be opened", tun),
    ("cannot limit ", doctor.cgroups),
    ("cannot mount the root filesystem", doctor.overlay),
    (os.strerror(errno.ENOSPC), doctor.store),
)


def hint(error: BaseException, options: dict[str, Any]) -> str:
    """What was found and the command that mends it, in one line; "" where nothing is. `options`: the global ones."""
    message = error.message if isinstance(error, CrateError) else str(error)
    if not isinstance(error, (HostError, OSError)):
        return ""
    look = next((look for words, look in _SUBJECTS if words in message), None)
    if look is None:
        return ""
    try:
        found = look(Patient(options))
    except (CrateError, OSError):
        return ""  # the first error is the one to tell
    if found["status"] == "ok" or not found["mends"]:
        return ""
    return f"crate doctor found: {found['check']}: {found['found']}; what mends it: {found['mends']}"
