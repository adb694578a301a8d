"""Images named by where they come from, as containers-transports(5) has it: `docker-archive:image.tar`.

A name without a transport is one of a registry, as is `docker://NAME`.
"""

from __future__ import annotations

import os

from crate.errors import UsageError
from crate.image import load
from crate.image.wanted import wanted_platform

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from crate.image.progress import Progress
    from crate.storage.image_record import ImageRecord
    from crate.storage.roots import Roots

ARCHIVES = ("docker-archive", "oci-archive", "oci", "dir")
_NOT_HERE = ("containers-storage", "docker-daemon", "ostree", "sif")


def from_registry(text: str) -> str | None:
    """The name without `docker://`; None for what an archive of the host holds. UsageError for other transports."""
    transport = text.partition(":")[0]
    if transport in _NOT_HERE:
        raise UsageError(
            f"cannot pull {text}: {transport} is not supported", f"one of docker://, {', '.join(ARCHIVES)}"
        )
    return None if transport in ARCHIVES else text.removeprefix("docker://")


def load_one(roots: Roots, text: str, options: Mapping[str, Any], progress: Progress) -> ImageRecord:
    """Takes the one image out of an archive, or out of a layout of OCI. UsageError, ImageError."""
    path = text.partition(":")[2]
    if not os.path.exists(path) and ":" in path:
        path = path.rpartition(":")[0]  # a name within, of which there is one
    loaded = load.load(
        roots,
        path,
        wanted=wanted_platform(options),
        signature_policy=options.get("signature_policy"),
        progress=progress,
    )
    if len(loaded) != 1:
        raise UsageError(f"cannot pull {text}: it holds {len(loaded)} images", f"crate load -i {path}")
    return loaded[0].record
