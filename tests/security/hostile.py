"""What the attacks share: root file systems and programs that an attacker has made."""

from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def make_root(place: Path) -> Path:
    """A root file system of busybox, to be given to --rootfs and made hostile."""
    root = place / "hostile"
    for name in ("bin", "etc"):
        (root / name).mkdir(parents=True)
    shutil.copy("/bin/busybox", root / "bin/busybox")
    for applet in ("sh", "cat", "echo", "ls", "mkdir"):
        (root / "bin" / applet).symlink_to("busybox")
    return root


def compiled(place: Path, name: str, text: str) -> Path:
    """The static program of this C text."""
    (place / f"{name}.c").write_text(text)
    subprocess.run(["musl-gcc", "-static", "-o", place / name, place / f"{name}.c"], check=True, timeout=60)
    return place / name
