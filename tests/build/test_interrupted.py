"""Kills and a lost power in the middle of a build: no half image, and at most the step in flight is lost."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from program import until

if TYPE_CHECKING:
    from build.building import Builder

pytestmark = pytest.mark.requires("root", "overlay", "busybox")

DOCKERFILE = "FROM crate.local/busybox\nRUN echo good > /good\nRUN touch /begun; sleep 1000\n"


def start(builder: Builder) -> subprocess.Popen[str]:
    """A build that is in the middle of its second RUN."""
    builder.write("Dockerfile", DOCKERFILE)
    command = builder.crate.command("build", "--network", "none", "-t", "half", str(builder.context))
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=builder.crate.environment)
    until(lambda: list((builder.crate.root / "stage").glob("*/upper/begun")))
    return process


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_killed(builder: Builder, number: signal.Signals) -> None:
    process = start(builder)
    process.send_signal(number)
    assert process.wait(timeout=60) != 0
    # The command dies with the build, and so does its process of the stage.
    mark = f"CRATE_TEST={builder.crate.mark}".encode()

    def left() -> list[str]:
        found = []
        for pid in os.listdir("/proc"):
            try:
                if pid.isdigit() and int(pid) != os.getpid() and mark in Path(f"/proc/{pid}/environ").read_bytes():
                    found.append(pid)
            except OSError:
                continue
        return found

    until(lambda: not left())
    assert "half" not in builder.crate.ok("images", "--format", "{{.Repository}}")
    out = builder.build("FROM BASE\nRUN echo good > /good\nRUN true\n")
    assert out.count("Using cache") == 1, "the step that had ended is there"
    assert list((builder.crate.root / "stage").iterdir()) == [], "and what was left is swept"


def unsynced(builder: Builder) -> list[Path]:
    """The links of layers that nobody has synced."""
    links = [layer / "unsynced" for layer in (builder.crate.root / "layers").iterdir()]
    return [link for link in links if link.is_symlink()]


def test_after_a_reboot_only_what_was_synced_counts(builder: Builder) -> None:
    """Layers of steps wait for the image's sync; those of a build that failed are of that boot alone."""
    failed = builder.try_build("FROM BASE\nRUN echo good > /good\nRUN false\n")
    assert failed.status == 1
    (link,) = unsynced(builder)
    assert "Using cache" in builder.build("FROM BASE\nRUN echo good > /good\n")
    assert not link.is_symlink(), "an image with it is on the disk"
    builder.try_build("FROM BASE\nRUN echo other > /other\nRUN false\n")
    (link,) = unsynced(builder)
    link.unlink()
    link.symlink_to("another-boot")
    (link.parent / "diff/other").write_text("")  # as a power cut would leave it
    out = builder.build("FROM BASE\nRUN echo other > /other\n")
    assert "Using cache" not in out and builder.run(out.split()[-1], "cat", "/other") == "other"


def test_full_disk(builder: Builder) -> None:
    """A step that fills the disk fails; what was there before stays, and room comes back."""
    image = builder.image("FROM BASE\nRUN echo good > /good\n", "-t", "good")
    place = builder.crate.root
    small = place.parent / "small"
    small.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "crate-test", str(small)], check=True)
    try:
        crate = builder.crate
        crate.root = small / "root"
        result = builder.try_build("FROM BASE\nRUN echo first > /first\nRUN dd if=/dev/zero of=/big bs=1M count=64\n")
        assert result.status != 0 and "o space left" in result.err, result
        assert list((crate.root / "stage").iterdir()) == []
        out = builder.build("FROM BASE\nRUN echo first > /first\n")
        assert "Using cache" in out
        builder.write("big", "x" * (30 << 20))
        copied = builder.try_build("FROM BASE\nCOPY big /\n")
        assert copied.status == 125 and "o space left" in copied.err, copied
        assert list((crate.root / "stage").iterdir()) == []
    finally:
        builder.crate.root = place
        time.sleep(0.1)
        subprocess.run(["umount", "-l", str(small)], check=True)
    assert builder.run("good", "cat", "/good") == "good" and image
