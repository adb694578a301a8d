"""stats: the figures against the kernel's own, formats, which containers, the live table."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from program import until

if TYPE_CHECKING:
    from program import Crate
    from terminal import Spawn

IMAGE = "crate.local/busybox"
NONE = ("--network", "none")
SPIN = (IMAGE, "sh", "-c", "while :; do :; done")

pytestmark = pytest.mark.requires("busybox")


def _objects(crate: Crate, *arguments: str) -> dict[str, dict[str, Any]]:
    found = json.loads(crate.ok("stats", "--no-stream", "--format", "json", *arguments))
    return {row["name"]: row for row in found}


def _host_memory() -> int:
    return int(Path("/proc/meminfo").read_text().split()[1]) * 1024


@pytest.mark.requires("root", "overlay")
def test_what_a_container_uses(crate: Crate, busybox: str) -> None:
    crate.ok("run", "-d", "--name", "busy", *NONE, "-m", "64m", "--cpus", "0.5", *SPIN)
    crate.ok("run", "-d", "--name", "idle", *NONE, IMAGE, "sh", "-c", "sleep 1001 & sleep 1000")
    crate.ok("create", "--name", "created", *NONE, IMAGE, "true")
    heading, *lines = crate.ok("stats", "--no-stream").splitlines()
    assert re.split(r" {2,}", heading) == [
        "ID", "NAME", "CPU %", "MEM USAGE / LIMIT", "MEM %", "NET IO", "BLOCK IO", "PIDS", "CPU TIME", "AVG CPU %",
    ]  # fmt: skip
    assert [line.split()[1] for line in lines] == ["idle", "busy"]
    until(lambda: _objects(crate)["idle"]["pids"] == "2")
    form = "{{.Name}} {{.CPU}} {{.CPUNano}} {{.MemLimit}} {{.PIDs}} {{.MemUsageBytes}} {{.ContainerID}}"
    shown = crate.ok("stats", "-a", "--no-stream", "--format", form)
    rows = {line.split()[0]: line.split() for line in shown.split("\n")}
    assert rows["busy"][3] == str(64 << 20) and rows["idle"][3] == str(_host_memory())
    assert 1 < float(rows["busy"][1]) <= 75, "half a processor, when nothing else runs"
    assert int(rows["busy"][2]) > int(rows["idle"][2]) > 0
    assert [rows[name][4] for name in ("busy", "idle", "created")] == ["1", "2", "0"]
    assert rows["busy"][7] == "64MiB" and rows["busy"][8] == crate.inspect("busy")["Id"]
    assert rows["created"][1:4] == ["0", "0", "0"]
    docker = json.loads(crate.ok("stats", "--no-stream", "--format", "{{json .}}", "busy"))
    assert docker.keys() == {
        "BlockIO", "CPUPerc", "Container", "ID", "MemPerc", "MemUsage", "Name", "NetIO", "PIDs",
    }  # fmt: skip
    assert crate.ok("container", "stats", "--no-stream", "--latest", "--format", "{{.Name}}") == "created"
    crate.ok("pause", "busy")
    assert _objects(crate, "busy")["busy"]["pids"] == "1"


@pytest.mark.requires("root", "overlay")
def test_memory_and_disk(crate: Crate, busybox: str) -> None:
    script = "x=$(head -c 20000000 /dev/zero | tr '\\0' x); echo full; dd if=/dev/zero of=/file bs=1M count=4 " + (
        "conv=fsync 2> /dev/null; echo written; sleep 1000; true"
    )
    crate.ok("run", "-d", "--name", "full", *NONE, IMAGE, "sh", "-c", script)
    crate.await_line("full", "written")
    usage = crate.ok("stats", "--no-stream", "--format", "{{.MemUsage}}|{{.MemPerc}}|{{.BlockOutput}}", "full")
    used, percent, written = usage.split("|")
    assert 20 < float(re.match(r"([\d.]+)MB / ", used)[1]) < 90  # type: ignore[index]
    assert float(percent.rstrip("%")) > 0 and int(written) >= 4 << 20


@pytest.mark.requires("root", "overlay", "nft")
def test_network(crate: Crate, busybox: str) -> None:
    """The counters of the container's own interfaces; in the network of the host they are not its own."""
    crate.ok("run", "-d", "--name", "web", IMAGE, "sleep", "1000")
    form = "{{.NetInput}} {{.NetOutput}} {{.NetIO}}"
    gateway = crate.inspect("web")["NetworkSettings"]["Gateway"]
    crate.ok("exec", "web", "ping", "-c", "3", "-s", "1000", "-i", "0.05", gateway)
    received, sent, shown = crate.ok("stats", "--no-stream", "--format", form, "web").split(" ", 2)
    assert int(received) >= 3000 and int(sent) >= 3000 and "kB / " in shown
    crate.ok("run", "-d", "--name", "host", "--network", "host", IMAGE, "sleep", "1000")
    assert crate.ok("stats", "--no-stream", "--format", form, "host") == "0 0 0B / 0B"


@pytest.mark.requires("root", "overlay")
def test_the_live_table(crate: Crate, busybox: str, spawn: Spawn) -> None:
    crate.ok("run", "-d", "--name", "web", *NONE, IMAGE, "sleep", "1000")
    terminal = spawn("stats", "-i", "1", columns=150)
    terminal.expect("web")
    terminal.expect("\x1b[2J")
    terminal.expect("web")
    crate.ok("run", "-d", "--name", "later", *NONE, IMAGE, "sleep", "1000")
    terminal.expect("later")
    terminal.type("\x03")
    assert terminal.end()[0] == 130
    plain = spawn("stats", "--no-reset", "--no-stream", "web")
    status, seen = plain.end()
    assert status == 0 and "web" in seen and "\x1b" not in seen


@pytest.mark.requires("root", "overlay")
def test_it_ends_with_the_last_of_those_named(crate: Crate, busybox: str) -> None:
    crate.ok("run", "-d", "--name", "web", *NONE, IMAGE, "sleep", "1000")
    process = crate.popen("stats", "-i", "1", "web")
    assert process.stdout and "NAME" in process.stdout.readline() and "web" in process.stdout.readline()
    crate.ok("rm", "-f", "-t", "0", "web")
    assert process.wait(60) == 0
    assert "no such container" in crate.fails(125, "stats", "--no-stream", "web")
    assert "cannot be used together" in crate.fails(125, "stats", "--all", "web")
    assert "interval" in crate.fails(125, "stats", "-i", "0")


@pytest.mark.requires("unprivileged-user")
def test_rootless(rootless_crate: Crate) -> None:
    """With control groups or without: the figures are there."""
    rootless_crate.ok("run", "-d", "--name", "busy", *NONE, *SPIN)
    form = "{{.CPUNano}} {{.PIDs}} {{.MemLimit}} {{.MemUsageBytes}}"

    def used() -> list[str] | None:
        words = rootless_crate.ok("stats", "--no-stream", "--format", form).split()
        return words if int(words[0]) > 10_000_000 else None

    words = until(used)
    assert words[1] == "1" and words[2] == str(_host_memory()) and words[3] != "0B"
