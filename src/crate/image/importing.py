"""`import`: a tar archive of a whole file system becomes an image of one layer."""

from __future__ import annotations

import os

from crate.errors import ImageError, UsageError
from crate.image import instructions, making
from crate.image.wanted import wanted_platform
from crate.oci import platform
from crate.storage import images, journal
from crate.storage.inflate import inflated, inflated_by
from crate.storage.layer_pack import LayerImport

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any

    from crate.storage.image_record import ImageRecord
    from crate.storage.roots import Roots

_SECONDS = 60.0


def bring(
    roots: Roots, source: str, names: Sequence[str] = (), options: Mapping[str, Any] | None = None
) -> ImageRecord:
    """The image of an archive: a file, `-` for standard input, or a URL (http, https); compressed or not.

    `options`, all of which may be missing: `change`, `message`, and what crate.image.pull takes for the platform.
    Raises UsageError, ImageError, HostError.
    """
    given = dict(options or {})
    config: dict[str, Any] = {}
    instructions.apply(config, given.get("change") or ())
    wanted = wanted_platform(given) or platform.host()
    with images.bring_in(roots), LayerImport(roots) as layer:
        try:
            layer.fill(_open(source))
        except ImageError as error:
            raise ImageError(f"cannot import {source}: {error.message}", error.hint) from None
        created, encoded = making.now(), layer.diff_id.partition(":")[2]
        step = {
            "created": created,
            "created_by": f"/bin/sh -c #(nop) ADD file:{encoded} in /",
            "comment": given.get("message") or "imported from tarball",
        }
        whole: dict[str, Any] = {
            "created": created,
            "architecture": wanted.architecture,
            "os": wanted.os,
            "config": config,
            "rootfs": {"type": "layers", "diff_ids": [layer.diff_id]},
            "history": [step],
        }
        if wanted.variant:
            whole["variant"] = wanted.variant
        made = making.make(roots, whole, [making.layer_descriptor(layer)], names, made=[layer])
    journal.record(roots, "image", "import", made["id"], next(iter(names), ""))
    return made


def _open(source: str) -> Callable[[int], bytes]:
    if source == "-":
        return inflated(0)
    if source.startswith(("http://", "https://")):
        return _download(source)
    try:
        return inflated(os.open(source, os.O_RDONLY | os.O_CLOEXEC))
    except OSError as error:
        reason = os.strerror(error.errno or 0).lower()
        raise UsageError(f'error opening "{source}": open {source}: {reason}') from None


def _download(url: str) -> Callable[[int], bytes]:
    from urllib.error import URLError
    from urllib.request import urlopen

    try:
        response = urlopen(url, timeout=_SECONDS)
    except (URLError, OSError, ValueError) as error:
        raise UsageError(f"cannot download {url}: {getattr(error, 'reason', error)}") from None
    return inflated_by(response.read)
