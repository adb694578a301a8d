"""The stage of a measurement: a registry, images, engines with their own state, all removed at the end."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from abilities import disk_directory
from bench.engines import CRATE_BRIDGE, CRATE_TABLE, Engine, bundle, crate, podman
from images.cache import family
from images.server import Registry, copy_storage
from leftovers import processes_naming

BUSYBOX, DEBIAN = "busybox:latest", "debian:bookworm"


class Stage:
    """`crate` and `podman` with busybox pulled, `bundle` for bare runtimes, `registry` with busybox and Debian."""

    def __init__(self, program: str | None) -> None:
        self.place = Path(tempfile.mkdtemp(prefix="crate-bench-", dir=disk_directory()))
        self.run = Path(tempfile.mkdtemp(prefix="cb-", dir="/run"))
        self.engines: list[Engine] = []
        self.registry = Registry(self.place / "registry")
        try:
            self._prepare(program)
        except BaseException:
            self.close()
            raise

    def _prepare(self, program: str | None) -> None:
        for name in ("busybox", "debian"):
            copy_storage(family(name) / "registry", self.registry.storage)
        self.busybox = self.registry.reference(BUSYBOX)
        self.debian = self.registry.reference(DEBIAN)
        self.crate = crate(self.place, self.run, program)
        self.podman = podman(self.place, self.run)
        self.bundle = bundle(self.place, family("busybox") / "busybox")
        self.engines = [self.crate, self.podman]
        self.crate("pull", "--quiet", self.busybox)
        self.podman("pull", "--quiet", "--tls-verify=false", self.busybox)

    def close(self) -> None:
        """Removes everything, what a failed measurement left included."""
        for engine in self.engines:
            subprocess.run(
                engine.command("rm", "--all", "--force", "--time", "0"),
                check=False, capture_output=True, env=engine.environment,
            )  # fmt: skip
        self.registry.stop()
        for pid in processes_naming([os.fsencode(self.place), os.fsencode(self.run)]):
            subprocess.run(["kill", "-KILL", str(pid)], check=False, capture_output=True)
        points = [line.split(" ")[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
        for point in sorted(points, key=len, reverse=True):
            if point.startswith((str(self.place), str(self.run))):
                subprocess.run(["umount", "-l", point], check=False, capture_output=True)
        subprocess.run(["ip", "link", "delete", CRATE_BRIDGE], check=False, capture_output=True)
        for group in ("inet", "ip"):
            subprocess.run(["nft", "delete", "table", group, CRATE_TABLE], check=False, capture_output=True)
        shutil.rmtree(self.place, ignore_errors=True)
        shutil.rmtree(self.run, ignore_errors=True)
