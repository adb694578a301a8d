"""What the attacks share: root file systems that an attacker has made."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def make_root(place: Path) -> Path:
    """A root file system of busybox, to be given to --rootfs and made hostile."""
    root = place / "hostile"
    for name in ("bin", "etc"):
        (root / name).mkdir(parents=True)
    shutil.copy("/bin/busybox", root / "bin/busybox")
    for applet in ("sh", "cat", "echo", "ls"):
        (root / "bin" / applet).symlink_to("busybox")
    return root
