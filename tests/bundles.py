"""Bundles of the tests: a directory with config.json beside a root file system of busybox."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any, NamedTuple

Spec = dict[str, Any]


class Ran(NamedTuple):
    """How a bundle's process ended."""

    status: int
    out: str
    err: str


class Bundle:
    """A directory with config.json, beside a root file system of busybox."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self.rootfs = place / "rootfs"
        (self.rootfs / "bin").mkdir(parents=True)
        shutil.copy("/bin/busybox", self.rootfs / "bin/busybox")
        applets = subprocess.run(["busybox", "--list"], capture_output=True, text=True, check=True).stdout.split()
        for applet in applets:
            if applet != "busybox":
                (self.rootfs / "bin" / applet).symlink_to("busybox")
        (self.rootfs / "tmp").mkdir(mode=0o1777)
        subprocess.run(["runc", "spec"], cwd=place, check=True)
        self.spec: Spec = json.loads((place / "config.json").read_text())
        self.spec["process"]["terminal"] = False
        self.spec["root"]["readonly"] = False
        self.spec["linux"]["cgroupsPath"] = f"/crate-test-runtime/{place.name}"

    @property
    def process(self) -> Spec:
        """spec.process."""
        return self.spec["process"]  # type: ignore[no-any-return]

    @property
    def linux(self) -> Spec:
        """spec.linux."""
        return self.spec["linux"]  # type: ignore[no-any-return]

    def shell(self, script: str) -> None:
        """Lets the process be a shell with this script."""
        self.process["args"] = ["sh", "-c", script]

    def namespaces(self) -> list[str]:
        """The types that the spec lists."""
        return [entry["type"] for entry in self.linux["namespaces"]]

    def write(self) -> None:
        """Writes config.json."""
        (self.place / "config.json").write_text(json.dumps(self.spec))
