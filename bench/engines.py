"""The engines that are compared, each with its own state: crate, Debian's podman, and bare runtimes with a bundle."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

CRATE_BRIDGE, CRATE_TABLE = "cratebench", "crate_bench"
SUBNET = "10.251.7.0/24"
NAMES_SUBNETS = {"crate": "10.251.8.0/24", "podman": "10.251.9.0/24"}

CRATE_CONFIG = """
[network]
bridge = "{bridge}"
table = "{table}"
address_pools = ["{subnet}"]
lease_root = "{runroot}/addresses"

[containers]
cgroup_parent = "/crate-bench"
"""
# podman's own defaults, less the limits that it cannot raise inside an unprivileged machine
PODMAN_CONFIG = """
[containers]
default_ulimits = ["nofile=4096:4096", "nproc=4096:4096"]
"""
# for names.py, where Debian's netavark and aardvark-dns lie in a directory of their own
PODMAN_HELPERS = """
[network]
network_backend = "netavark"

[engine]
helper_binaries_dir = ["{helpers}", "/usr/libexec/podman", "/usr/lib/podman"]
"""


class Engine:
    """A program with docker's commands. `traces` are the directories that its processes and mounts name."""

    def __init__(
        self, name: str, words: Sequence[str], environment: dict[str, str], traces: list[str], bridge: str
    ) -> None:
        self.name = name
        self.bridge = bridge
        self.words = list(words)
        self.environment = environment
        self.traces = traces

    def command(self, *arguments: str) -> list[str]:
        """The whole command line."""
        return [*self.words, *arguments]

    def __call__(self, *arguments: str) -> str:
        """Runs it untimed; what it prints. RuntimeError with its words when it fails."""
        done = subprocess.run(
            self.command(*arguments), check=False, env=self.environment, stdin=subprocess.DEVNULL,
            capture_output=True, text=True,
        )  # fmt: skip
        if done.returncode:
            raise RuntimeError(f"{self.name} {' '.join(arguments)}: {done.stderr.strip() or done.returncode}")
        return done.stdout.strip()

    def clear(self) -> None:
        """Removes all its containers."""
        self("rm", "--all", "--force", "--time", "0")


def crate(place: Path, run: Path, program: str | None) -> Engine:
    """crate: the installed one beside this Python, or `program`."""
    config = place / "crate.toml"
    runroot = run / "crate"
    config.write_text(CRATE_CONFIG.format(bridge=CRATE_BRIDGE, table=CRATE_TABLE, subnet=SUBNET, runroot=runroot))
    words = [program or str(Path(sys.executable).parent / "crate")]
    words += ["--root", str(place / "crate"), "--runroot", str(runroot), "--config", str(config)]
    return Engine("crate", words, _environment(), [str(place / "crate"), str(runroot)], CRATE_BRIDGE)


def podman(place: Path, run: Path) -> Engine:
    """Debian's podman with crun, cgroupfs and the native overlay driver."""
    config = place / "containers.conf"
    helpers = os.environ.get("CRATE_BENCH_HELPERS")
    config.write_text(PODMAN_CONFIG + (PODMAN_HELPERS.format(helpers=helpers) if helpers else ""))
    networks = place / "podman-networks"
    networks.mkdir(exist_ok=True)
    words = ["podman", "--root", str(place / "podman"), "--runroot", str(run / "podman"), "--storage-driver", "overlay",
             "--cgroup-manager", "cgroupfs", "--network-config-dir", str(networks)]  # fmt: skip
    environment = _environment() | {"CONTAINERS_CONF": str(config)}
    return Engine("podman", words, environment, [str(place / "podman"), str(run / "podman")], "podman0")


def buildah(place: Path, run: Path) -> Engine:
    """Debian's buildah, with a store of its own: podman builds with the same code, and looks into more."""
    words = [
        "buildah",
        "--root",
        str(place / "buildah"),
        "--runroot",
        str(run / "buildah"),
        "--storage-driver",
        "overlay",
    ]
    environment = _environment() | {"CONTAINERS_CONF": str(place / "containers.conf")}
    return Engine("buildah", words, environment, [str(place / "buildah"), str(run / "buildah")], "")


def _environment() -> dict[str, str]:
    return {"PATH": os.environ["PATH"] + ":/usr/sbin:/sbin", "HOME": "/root", "LANG": "C.UTF-8"}


def bundle(place: Path, tree: Path) -> Path:
    """A bundle of `runc spec` around a copy of `tree`, running `true` with no terminal: the least a runtime can do."""
    target = place / "bundle"
    target.mkdir()
    subprocess.run(["runc", "spec", "--bundle", str(target)], check=True)
    shutil.copytree(tree, target / "rootfs", symlinks=True)
    config = json.loads((target / "config.json").read_text())
    config["process"] |= {"terminal": False, "args": ["true"]}
    (target / "config.json").write_text(json.dumps(config))
    return target
