"""The platform that options ask for, and whether an image is of it."""

from __future__ import annotations

from crate.errors import NotFoundError, UsageError
from crate.image import local
from crate.oci import platform

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from crate.oci.platform import Platform
    from crate.storage.image_record import ImageRecord
    from crate.storage.roots import Roots


def wanted_platform(options: Mapping[str, Any]) -> Platform | None:
    """The platform that options ask for; None when they leave it to the host. Raises UsageError."""
    if options.get("platform"):
        if options.get("os") or options.get("arch") or options.get("variant"):
            raise UsageError("--platform option can not be specified with --arch or --os")
        return platform.parse(str(options["platform"]))
    if not (options.get("os") or options.get("arch") or options.get("variant")):
        return None
    own = platform.host()
    architecture = str(options.get("arch") or own.architecture)
    return platform.Platform(str(options.get("os") or own.os), architecture, str(options.get("variant") or ""))


def fits(record: ImageRecord, options: Mapping[str, Any] | None) -> bool:
    """Has a local image the platform that was asked for?"""
    wanted = wanted_platform(options or {})
    return wanted is None or platform.choose([platform.of(record["config"])], wanted, exact=True) is not None


def check(roots: Roots, name: str, options: Mapping[str, Any]) -> None:
    """Raises NotFoundError unless there is such an image of the platform that was asked for: each has one here."""
    record = local.get(roots, name)
    if not fits(record, options):
        own = platform.of(record["config"])
        raise NotFoundError(f"{name}: it is of {own}, not of {wanted_platform(options)}")
