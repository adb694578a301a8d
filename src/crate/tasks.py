"""The tasks of processes that are started anew (fresh.py): each loads what it needs, and nothing else.

A name stays, whatever becomes of what is behind it: an older crate may still call it.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn


def resume() -> NoReturn:
    """crate:monitor, lean, of a container that runs."""
    from crate.engine.monitor import handover

    handover.resume()


def bury() -> NoReturn:
    """crate:monitor of a container that has ended."""
    from crate.engine.monitor import handover

    handover.bury()


def restart() -> NoReturn:
    """crate:monitor of a container that begins again."""
    from crate.engine.monitor import handover

    handover.restart()


def check() -> NoReturn:
    """crate:health: one check of a container's health."""
    from crate.engine.health import check as health

    health.main()


def ports() -> NoReturn:
    """crate:ports: what comes to the published ports of an ordinary user's container."""
    from crate.net.rootless import forwarder

    forwarder.serve()


def owners() -> NoReturn:
    """crate:owners: records the owners that a container with a single id wants."""
    from crate.runtime import owners as recorder

    recorder.main()


def unpack() -> NoReturn:
    """crate:unpack: an archive becomes files."""
    from crate.storage import unpack_process

    unpack_process.main()
