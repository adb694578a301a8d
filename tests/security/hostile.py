"""What the attacks share: root file systems and programs that an attacker has made."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from program import until

if TYPE_CHECKING:
    from program import Crate

#: `swap A B [C D]...`: exchanges the files of each pair of names, as often as the kernel can, to its end
SWAP = r"""
#define _GNU_SOURCE
#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>
int main(int count, char **words) {
    for (;;)
        for (int i = 1; i + 1 < count; i += 2)
            syscall(SYS_renameat2, AT_FDCWD, words[i], AT_FDCWD, words[i + 1], 2 /* RENAME_EXCHANGE */);
}
"""


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


def start_swapping(
    crate: Crate, place: Path, image: str, make: str, pairs: str, *options: str, name: str = "box"
) -> None:
    """A container of this name that has made its files with a shell, and by now swaps pairs of them without a pause."""
    program = compiled(place, "swap", SWAP)
    words = ("-v", f"{program}:/bin/swap:ro", *options, image, "sh", "-c", f"{make}; exec swap {pairs}")
    crate.ok("run", "-d", "--name", name, "--network", "none", *words)
    comm = Path(f"/proc/{crate.inspect(name)['State']['Pid']}/comm")
    until(lambda: comm.read_text() == "swap\n", what=f"{name} swaps")
